//! Generated messages and services, in two views of one wire (`proto/CONTRACT.md`).
//!
//! [`full`] is what hosts speak: our clients and the fake hosts of the tests use it, and go-plugin's own services are
//! served from it. [`slim`] is what our server reads of `PluginService`. Messages that carry a credential have no
//! `Debug` in either. Nothing outside `transport`, `directory` and `plugin_client` should name these types.
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code, whose style and attributes are not ours"
)]

/// Every message whole.
pub mod full {
    /// `PluginService` as hosts send it, and go-plugin's broker, controller and stdio.
    pub mod plugin {
        include!(concat!(env!("OUT_DIR"), "/full/plugin.rs"));
    }
    /// What Studio asks before it registers a plugin.
    pub mod config_provider {
        include!(concat!(env!("OUT_DIR"), "/full/config_provider.rs"));
    }
    /// The gateway's service API.
    pub mod microgateway_management {
        include!(concat!(env!("OUT_DIR"), "/full/microgateway_management.rs"));
    }
    /// Studio's service API.
    pub mod ai_studio_management {
        include!(concat!(env!("OUT_DIR"), "/full/ai_studio_management.rs"));
    }
    /// The host's event bus.
    pub mod plugin_events {
        include!(concat!(env!("OUT_DIR"), "/full/plugin_events.rs"));
    }
}

/// Only what our server reads; client-chosen text is bytes.
pub mod slim {
    /// `PluginService` to implement.
    pub mod plugin {
        include!(concat!(env!("OUT_DIR"), "/slim/plugin.rs"));
    }
}

/// The administration of the store.
pub mod admin {
    /// Version 1.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/admin/latchkey.admin.v1.rs"));
    }
}

/// Descriptors of the administration, for reflection and for tests that walk every method.
pub const ADMIN_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/admin.bin"));

/// Descriptors of the full view; the ones to offer for reflection, as they show what may be sent.
pub const FULL_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/full.bin"));

/// Descriptors of the slim view, for the test that compares the two.
pub const SLIM_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/slim.bin"));
