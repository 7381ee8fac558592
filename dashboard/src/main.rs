//! The module's start. Everything is in the library, so that its logic can be tested on the host.

fn main() {
    switchyard_dashboard::start();
}
