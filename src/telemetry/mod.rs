//! What is told about the process: log lines, metrics, and the names of both.

pub mod issuer_keys;
pub mod log;
pub mod metrics;
pub mod names;
