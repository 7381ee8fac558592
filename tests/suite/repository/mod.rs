//! The repository's own rules: which crate may see which, and how its files look.

mod files;
mod functions;
mod layering;
mod routes;
mod tidy;
mod twins;
