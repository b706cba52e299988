//! Short-lived tokens: how this machine issues them, and what a restore takes over of them.

use std::path::{Path, PathBuf};

use crate::admin::TokenRules;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::event::{Actor, DetailKey};
use crate::domain::{Action, AuditEvent, SigningKeyRow, Subject, hex};
use crate::store::{Store, StoreResult};

/// How tokens are issued, as far as somebody said.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// Where the keys that sign them are; beside the database by default.
    pub key_dir: Option<PathBuf>,
    /// Ourselves, as in `iss`; a name of the store by default.
    pub issuer: Option<String>,
    /// For whom they are, as in `aud`; ourselves by default.
    pub audience: Option<String>,
    /// How long one lives where nobody says, in seconds.
    pub ttl_s: u32,
    /// How long one may live, in seconds.
    pub max_ttl_s: u32,
    /// How many of a credential may be in force.
    pub most: u32,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self { key_dir: None, issuer: None, audience: None, ttl_s: 900, max_ttl_s: 3_600, most: 1_000 }
    }
}

impl TokenSettings {
    /// Where this machine keeps the keys that sign tokens.
    pub fn key_dir(&self, data_dir: &Path) -> PathBuf {
        self.key_dir.clone().unwrap_or_else(|| data_dir.to_owned())
    }

    /// What holds for this store. Its trail begins with 128 random bits, which stay what they are when a backup takes its
    /// place: no other store is called so.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rules(&self, data_dir: &Path, store: &dyn Store) -> StoreResult<TokenRules> {
        let (beginning, _) = store.audit().beginning()?;
        let issuer = self.issuer.clone().unwrap_or_else(|| format!("urn:latchkey:{}", hex::encode(&beginning)));
        let audience = self.audience.clone().unwrap_or_else(|| issuer.clone());
        let Self { ttl_s, max_ttl_s, most, .. } = *self;
        Ok(TokenRules { key_dir: self.key_dir(data_dir), issuer, audience, ttl_s, max_ttl_s, most })
    }
}

fn event(action: Action, subject: Subject, details: Vec<(DetailKey, String)>) -> AuditEvent {
    let (at_ms, request_id) = (SystemClock.wall_ms(), String::new());
    AuditEvent { at_ms, actor: Actor::System, action, subject, tenant: None, details, request_id }
}

/// Takes over into `new` what became of the keys in `old`, as it was sealed there: those that were made since, and that
/// some were retired. None that was retired comes back.
///
/// # Errors
/// When one of the stores cannot be read or written.
pub(super) fn carry_keys(old: &dyn Store, new: &dyn Store) -> StoreResult<()> {
    let mut rows = new.tokens().keys()?.row;
    let mut events = Vec::new();
    let mut note = |action, row: &SigningKeyRow| {
        events.push(event(action, Subject::SigningKeys, vec![(DetailKey::KeyId, row.kid.clone())]));
    };
    for was in old.tokens().keys()?.row {
        match rows.iter_mut().find(|row| row.kid == was.kid) {
            None => {
                note(Action::TokenKeyAdded, &was);
                rows.push(was);
            }
            Some(row) if was.retires_at_ms.is_some_and(|end| row.retires_at_ms.is_none_or(|later| end < later)) => {
                note(Action::TokenKeyRetired, &was);
                *row = was;
            }
            Some(_) => {}
        }
    }
    if events.is_empty() { Ok(()) } else { new.tokens().put_keys(&rows, events) }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
