wasmtime::component::bindgen!({
    path: "../../wit",
    world: "scheduler",
    ownership: Borrowing { duplicate_if_necessary: true },
});
