//! How a host reaches us.
pub mod go_plugin;
pub mod plugin;
