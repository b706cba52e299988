//! Decisions as they are recorded for auditors, off the answer path (rule R11).

use std::net::IpAddr;

use crate::domain::{AppId, CredentialId, Reason, TenantId, UserId};

/// One decision. It borrows what it tells of, because most are counted and copied nowhere.
pub enum DecisionRecord<'a> {
    /// A yes.
    Accepted {
        /// Whose credential it was.
        known: (CredentialId, TenantId, AppId, UserId),
        /// At which point of the request.
        stage: &'static str,
        /// The client's address, where it is known for certain.
        remote: Option<IpAddr>,
        /// The host's id of the request.
        request_id: &'a str,
    },
    /// A no.
    Refused {
        /// Why.
        reason: Reason,
        /// At which point of the request; empty where its message was never read.
        stage: &'static str,
        /// Whose credential it was, where the presented id named one.
        known: Option<(CredentialId, TenantId, AppId, UserId)>,
        /// The client's address, where it is known for certain.
        remote: Option<IpAddr>,
        /// The host's id of the request.
        request_id: &'a str,
    },
}

/// Takes decisions without ever blocking; what it cannot take it counts.
pub trait DecisionSink: Send + Sync {
    /// Records one decision.
    fn record(&self, record: &DecisionRecord<'_>);
}

/// Records nothing, for one-shot commands and tests.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoDecisions;

impl DecisionSink for NoDecisions {
    fn record(&self, _: &DecisionRecord<'_>) {}
}
