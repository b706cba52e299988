//! What a host says of what a tenant has, as the store keeps it.

use crate::domain::ids::{AppId, UserId};

/// Whether the host lets an App or User be used. A thing that the host never spoke of is let.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostState {
    /// Whether the host calls it active.
    pub active: bool,
    /// Since when the host does not have it any more, milliseconds since the epoch.
    pub gone_at_ms: Option<i64>,
}

impl Default for HostState {
    fn default() -> Self {
        Self { active: true, gone_at_ms: None }
    }
}

impl HostState {
    /// Whether the host lets it be used.
    pub fn permits(self) -> bool {
        self.active && self.gone_at_ms.is_none()
    }
}

/// An App of the host that no tenant has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnclaimedApp {
    /// The host's id.
    pub id: AppId,
    /// The host's name for it.
    pub name: String,
    /// The gateway namespace it belongs to; empty for none.
    pub namespace: String,
    /// The User who owns it.
    pub owner: Option<UserId>,
    /// Whether the host calls it active.
    pub active: bool,
}

/// How the store was last brought in step with the host's Apps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HostSync {
    /// When that began, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// When it ended.
    pub finished_at_ms: i64,
    /// Apps that the host listed.
    pub listed: u32,
    /// Rows that were changed by it.
    pub changed: u32,
    /// Apps that the host does not have any more.
    pub gone: u32,
    /// Apps that no tenant has.
    pub unclaimed: u32,
}
