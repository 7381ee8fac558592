//! The parts pages are made of. They show what they are given; words and numbers come from `logic`.

pub(crate) mod account_row;
pub(crate) mod account_table;
pub(crate) mod badge;
pub(crate) mod candidate_table;
pub(crate) mod connection;
pub(crate) mod copy_button;
pub(crate) mod decision_table;
pub(crate) mod dialog;
pub(crate) mod fact;
pub(crate) mod field;
pub(crate) mod gate_card;
pub(crate) mod header;
pub(crate) mod icon;
pub(crate) mod import_form;
pub(crate) mod policy_select;
pub(crate) mod pulse;
pub(crate) mod state;
pub(crate) mod title;
pub(crate) mod toast;
pub(crate) mod tries;
pub(crate) mod window_bar;
