//! The admin RPC of the real server, over its real sockets: who may call what, what a call leaves behind, and what
//! becomes of it when the store stands still.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

#[path = "../support/hostile_http.rs"]
mod hostile_http;
#[path = "../support/mod.rs"]
mod support;

mod calls;
mod command_line;
mod desk;
mod foreign;
mod issuers;
mod links;
mod raw;
mod streams;
mod table;
mod tls;
mod tokens;
mod urgent;
mod walk;
