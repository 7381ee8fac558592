//! The bindings generated from `wit/`, host side. Records that travel to the guest borrow, so that a call
//! copies once, into the guest's memory.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "extension",
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(crate) use exports::switchyard::plugin::{
    lifecycle, model_mapping, request_filter, response_filter, scheduling, usage_observer,
};
pub(crate) use switchyard::plugin::{filtering, types};
