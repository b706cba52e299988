//! The audit trail and the decision log.

pub mod decisions;
