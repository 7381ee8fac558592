//! Everything that is tested from outside: the API, real clients, the browser, and the repository's own rules.

#![expect(clippy::indexing_slicing, reason = "a test that panics is a test that fails")]

mod api;
mod browser;
mod clients;
mod repository;
