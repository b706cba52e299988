//! Is a credential genuine and current? Says nothing about what it may do.

pub mod tag;
