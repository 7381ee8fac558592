//! What is peculiar to the Codex backend of ChatGPT: its error bodies, its quota reports, its tokens.

pub mod auth;
mod classify;
pub mod import;
mod quota;
mod redeem;

/// The header that carries what the upstream keeps of a running turn: opaque, and of one account.
pub const TURN_STATE: &str = "x-codex-turn-state";

pub use classify::{classify_answer, classify_error_object, dead_token_code};
pub use quota::{
    accounts_check_body, client_usage_body, is_limit_header, limit_headers, quota_from_event,
    quota_from_header_list, quota_from_headers, quota_from_status, quota_from_usage, usage_body,
};
pub use redeem::{Redemption, redeem_body, redemption};
