//! What the operator calls, behind the session.

mod account_rows;
mod account_settings;
pub(crate) mod accounts;
pub(crate) mod decisions;
mod error;
mod extension_view;
pub(crate) mod extensions;
pub(crate) mod guard;
pub(crate) mod import;
pub(crate) mod keys;
pub(crate) mod operations;
pub(crate) mod overview;
pub(crate) mod policies;
pub(crate) mod proxies;
pub(crate) mod replay;
pub(crate) mod session;
pub(crate) mod sign_in;
mod view;
mod ways;

use axum::extract::Request;

use error::Refusal;

/// A path below the admin prefix that does not exist.
pub(crate) async fn unknown(request: Request) -> Refusal {
    Refusal::not_found(format!("there is no {} {}", request.method(), request.uri().path()))
}

/// A method that an admin path does not have.
pub(crate) async fn method_not_allowed(request: Request) -> Refusal {
    Refusal::method_not_allowed(format!("{} does not take {}", request.uri().path(), request.method()))
}
