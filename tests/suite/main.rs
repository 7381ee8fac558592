//! Everything that is tested from outside: the API, real clients, the browser, and the repository's own rules.

mod api;
mod browser;
mod clients;
mod repository;
