//! The bindings generated from `wit/`, host side. Records that travel to the guest borrow, so that a call
//! copies once, into the guest's memory.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "scheduler",
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(crate) use exports::switchyard::plugin::lifecycle;
pub(crate) use exports::switchyard::plugin::scheduling;
pub(crate) use switchyard::plugin::types;
