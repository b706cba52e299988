//! The real binary, driven over the wire as a host drives it (go-plugin-wire 11, host contract 2 and 3).
//!
//! One file a theme. The other judge, on HashiCorp's own go-plugin, is `tests/host-go`.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a failed test is a panic"
)]

#[path = "../support/hostile_http.rs"]
mod hostile_http;
#[path = "../support/mod.rs"]
mod support;

mod attach;
mod bodies;
mod client_address;
mod death;
mod directory;
mod handshake;
mod helper;
mod hostile;
mod jwt;
mod life;
mod peppers;
mod portal;
mod pre_auth;
mod reconcile;
mod session;
mod start;
mod studio;
mod surface;
mod two_processes;
