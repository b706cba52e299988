//! What auditors read: the trail of changes ([`chain`], [`lines`]), what signs it ([`key`], [`checkpoint`]) and what checks it ([`verify`]), and the decision log
//! ([`decisions`]), which lives in a database of its own so that no flood of refusals holds up a change.

pub mod chain;
pub mod checkpoint;
pub mod decisions;
pub mod key;
pub mod lines;
pub mod report;
pub mod verify;
