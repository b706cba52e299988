//! What auditors read: the trail of changes ([`chain`]), the key that will sign it ([`key`]), and the decision log
//! ([`decisions`]), which lives in a database of its own so that no flood of refusals holds up a change.

pub mod chain;
pub mod decisions;
pub mod key;
