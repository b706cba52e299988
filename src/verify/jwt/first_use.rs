//! Links that are made at a subject's first use, where its issuer's rule lets them (rule R16): to the one App and User that
//! the rule names, for claims that the provider controls, as many as it permits and until it ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::event::{Actor, DetailKey};
use crate::domain::issuer::{FirstUse, Issuer};
use crate::domain::{Action, AuditEvent, Generation, IssuerId, Link, LinkId, Reason, Subject, TenantStatus};
use crate::jwt::claims::Claims;
use crate::store::StoreError;
use crate::verify::jwt::Jwts;
use crate::verify::jwt::identity::says;
use crate::verify::subject::SubjectKey;

/// Links that are tried to be made each second: each is a commit, on the writer that revocations need too.
const PER_SECOND: u32 = 20;
/// And of one issuer, so that nobody's subjects keep others' out.
const OF_ONE: u32 = 5;

/// What came of it.
pub(super) enum Added {
    /// There is a link.
    Linked,
    /// The rule does not let it, as long as it is what it is.
    Never,
    /// Perhaps another time.
    NotNow,
}

/// How many were tried in this second, by issuer.
#[derive(Default)]
pub(super) struct Tries(Mutex<(i64, HashMap<IssuerId, u32>)>);

impl Tries {
    fn take(&self, issuer: IssuerId, now_ms: i64) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, counts) = &mut *tries;
        if *second != now_ms / 1_000 {
            (*second, *counts) = (now_ms / 1_000, HashMap::new());
        }
        let all: u32 = counts.values().sum();
        let own = counts.get(&issuer).copied().unwrap_or(0);
        let may = all < PER_SECOND && own < OF_ONE;
        if may {
            counts.insert(issuer, own + 1);
        }
        may
    }
}

impl Jwts {
    /// Links a subject if the rule lets it. One whose link was removed is not linked again.
    #[expect(clippy::too_many_arguments, reason = "each is a fact that the rule needs")]
    pub(super) async fn add_link(
        &self,
        key: &SubjectKey,
        issuer: &Issuer,
        rule: &FirstUse,
        claims: &Claims,
        subject: &str,
        may_link: bool,
        now_ms: i64,
    ) -> Result<Added, Reason> {
        let fits = !rule.allow.is_empty() && rule.allow.iter().all(|(path, text)| says(claims, path, text));
        if !fits || now_ms >= rule.until_ms {
            return Ok(Added::Never);
        }
        let hash = key.hash(issuer.tenant, &issuer.rules.iss, subject);
        let failed = |_| Reason::StoreUnavailable;
        if !self.store.links().may_be_first(issuer.id, hash, rule.cap).map_err(failed)? {
            return Ok(Added::Never);
        }
        // What would be refused all the same links nobody.
        let found = self.store.credentials().linked(issuer.tenant, rule.app, rule.user).map_err(failed)?.row;
        let active = found.tenant.is_some_and(|tenant| tenant.status == TenantStatus::Active)
            && found.app.is_some_and(|app| app.is_active())
            && found.user.is_some_and(|user| user.is_active());
        if !may_link || !active || !self.tries.take(issuer.id, now_ms) {
            return Ok(Added::NotNow);
        }
        let entropy = self.entropy.as_ref();
        let mut generation = [0; 8];
        entropy.fill(&mut generation).map_err(|_| Reason::StoreUnavailable)?;
        let mut link = Link {
            tenant: issuer.tenant,
            id: LinkId::random(entropy).map_err(|_| Reason::StoreUnavailable)?,
            issuer: issuer.rules.iss.clone(),
            subject: hash,
            app: rule.app,
            user: rule.user,
            created_at_ms: now_ms,
            generation: Generation(i64::from_be_bytes(generation)),
            mac: [0; 32],
        };
        link.mac = key.link_mac(&link);
        let details = vec![
            (DetailKey::App, link.app.to_string()),
            (DetailKey::User, link.user.to_string()),
            (DetailKey::Issuer, link.issuer.clone()),
            (DetailKey::Source, "first_use".to_owned()),
        ];
        let event = AuditEvent {
            at_ms: now_ms,
            actor: Actor::System,
            action: Action::LinkAdded,
            subject: Subject::Link(link.id),
            tenant: Some(issuer.tenant),
            details,
            request_id: String::new(),
        };
        let (store, of, cap) = (Arc::clone(&self.store), (issuer.id, issuer.generation), rule.cap);
        // It waits for the disk, and is not undone where the request goes away.
        let added = tokio::task::spawn_blocking(move || store.links().add_first(&link, of, cap, event)).await;
        match added {
            // Somebody was faster, or took it out just now: what is there says which.
            Ok(Ok(()) | Err(StoreError::Exists { .. })) => Ok(Added::Linked),
            Ok(Err(error)) => {
                tracing::warn!(issuer = %issuer.id, %error, "a subject was not linked at its first use");
                Ok(Added::NotNow)
            }
            Err(_) => Err(Reason::StoreUnavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r12_tries_are_counted_each_second_and_no_issuer_takes_all() {
        let (tries, id) = (Tries::default(), |n| IssuerId::from_bytes([n; 16]));
        let taken = |issuer, now_ms| (0..30).filter(|_| tries.take(issuer, now_ms)).count();
        assert_eq!((taken(id(1), 1_000), taken(id(1), 1_999), taken(id(2), 1_999)), (5, 0, 5));
        assert_eq!([3, 4, 5].map(|n| taken(id(n), 1_999)), [5, 5, 0]);
        assert_eq!(taken(id(1), 2_000), 5);
    }
}
