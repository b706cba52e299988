//! Latchkey: a multi-tenant authentication plugin for API and AI gateways.
//!
//! The map, in reading order:
//!
//! - [`authenticate`]: the whole decision, top to bottom; start here.
//! - [`domain`]: the facts it decides about, and every reason to refuse.
//! - [`verify`]: is a credential genuine and current?
//! - [`issue`]: short-lived tokens of our own.
//! - [`jwt`]: what a JWT says, and whether its issuer signed it.
//! - [`jwks`]: the public keys of outside issuers, fetched and kept.
//! - [`directory`]: the App and the User behind it.
//! - [`store`]: where all of that lives, and the change feed that keeps caches honest.
//! - [`transport`]: how a host reaches us; [`plugin_client`] is a host of our own for demo and tests.
//! - [`admin`]: the use cases of people; [`cli`] is how they call them; [`config`] their settings.
//! - [`app`]: the only place where concrete types meet.
//!
//! `docs/ARCHITECTURE.md` walks through a request; `tests/architecture.rs` holds who may import whom.

pub mod admin;
pub mod app;
pub mod audit;
pub mod authenticate;
pub mod cli;
pub mod clock;
pub mod config;
pub mod directory;
pub mod domain;
pub mod fair_cache;
pub mod issue;
pub mod jwks;
pub mod jwt;
pub mod pb;
pub mod plugin_client;
pub mod process;
pub mod secret;
pub mod store;
pub mod telemetry;
pub mod transport;
pub mod turns;
pub mod verify;
