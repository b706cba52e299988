//! Trusted issuers, in memory.

use super::{FakeStore, Rows, page};
use crate::domain::{AuditEvent, Generation, Issuer, IssuerId, Position, Subject, TenantId};
use crate::store::{
    At, IssuerPlace, Issuers, KeptKeys, MOST_ISSUERS, MOST_OF_ISS, OTHERS_ISS, Page, Record, Sharing, StoreError,
    StoreResult,
};

impl FakeStore {
    /// Changes an issuer behind everybody's back.
    pub fn tamper_issuer(&self, id: IssuerId, change: impl FnOnce(&mut Issuer)) {
        if let Some(row) = self.rows().issuers.values_mut().find(|row| row.id == id) {
            change(row);
        }
    }
}

impl Rows {
    fn check_named(&self, issuer: &Issuer) -> StoreResult<()> {
        let (app, user) = issuer.identity.fixed();
        if app.is_some_and(|app| self.apps.get(&app).is_none_or(|app| app.tenant != issuer.tenant)) {
            return Err(StoreError::Missing { what: "App" });
        }
        if user.is_some_and(|user| self.users.get(&user).is_none_or(|user| user.tenant != issuer.tenant)) {
            return Err(StoreError::Missing { what: "User" });
        }
        Ok(())
    }

    /// That no other tenant has its `iss`, where it may not be shared.
    fn check_sharing(&self, issuer: &Issuer, sharing: Sharing) -> StoreResult<()> {
        let is_others = |row: &Issuer| row.rules.iss == issuer.rules.iss && row.tenant != issuer.tenant;
        let refused = sharing == Sharing::Refused && self.issuers.values().any(is_others);
        if refused { Err(StoreError::Exists { what: OTHERS_ISS }) } else { Ok(()) }
    }

    /// That no other row has the issuer with one of these audiences.
    fn check_audiences(&self, issuer: &Issuer) -> StoreResult<()> {
        let shares = |row: &Issuer| {
            row.id != issuer.id
                && row.rules.iss == issuer.rules.iss
                && row.rules.audiences.iter().any(|aud| issuer.rules.audiences.contains(aud))
        };
        let mut audiences = issuer.rules.audiences.clone();
        audiences.sort_unstable();
        let twice = audiences.windows(2).any(|pair| pair.first() == pair.last());
        if twice || self.issuers.values().any(shares) { Err(StoreError::Exists { what: "issuer" }) } else { Ok(()) }
    }
}

impl FakeStore {
    fn with_namesakes(&self, issuer: &Issuer) -> StoreResult<Vec<Subject>> {
        let others = self.by_iss(&issuer.rules.iss)?.row.into_iter().map(|row| Subject::Issuer(row.id));
        Ok(others.filter(|subject| *subject != Subject::Issuer(issuer.id)).chain(subjects(issuer.id)).collect())
    }
}

fn subjects(id: IssuerId) -> [Subject; 2] {
    [Subject::Issuer(id), Subject::Issuers]
}

impl Issuers for FakeStore {
    fn add(&self, issuer: &Issuer, sharing: Sharing, record: Record) -> StoreResult<()> {
        self.commit(record, &self.with_namesakes(issuer)?, |rows| {
            rows.check_sharing(issuer, sharing)?;
            rows.check_named(issuer)?;
            if !rows.tenants.values().any(|tenant| tenant.id == issuer.tenant) {
                return Err(StoreError::Missing { what: "tenant" });
            }
            let count = |fits: &dyn Fn(&Issuer) -> bool| rows.issuers.values().filter(|row| fits(row)).count();
            if count(&|row| row.tenant == issuer.tenant) >= MOST_ISSUERS as usize
                || count(&|row| row.rules.iss == issuer.rules.iss) >= MOST_OF_ISS as usize
            {
                return Err(StoreError::Full { what: "issuers" });
            }
            rows.check_audiences(issuer)?;
            if rows.issuers.values().any(|row| row.id == issuer.id) {
                return Err(StoreError::Exists { what: "issuer" });
            }
            rows.issuers.insert((issuer.created_at_ms, issuer.id), issuer.clone());
            Ok(())
        })
    }
    fn by_id(&self, tenant: TenantId, id: IssuerId) -> StoreResult<Option<Issuer>> {
        self.read(|rows| rows.issuers.values().find(|row| row.id == id && row.tenant == tenant).cloned())
    }
    fn by_iss(&self, iss: &str) -> StoreResult<At<Vec<Issuer>>> {
        self.read(|rows| At {
            position: Position(rows.changes.len() as u64),
            row: rows.issuers.values().filter(|row| row.rules.iss == iss).cloned().collect(),
        })
    }
    fn list(&self, tenant: TenantId, wanted: &Page<IssuerPlace>) -> StoreResult<Vec<Issuer>> {
        self.read(|rows| page(&rows.issuers, wanted, |row| row.tenant == tenant))
    }
    fn all(&self) -> StoreResult<Vec<Issuer>> {
        self.read(|rows| rows.issuers.values().cloned().collect())
    }
    fn update(&self, issuer: &Issuer, expected: Generation, sharing: Sharing, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &self.with_namesakes(issuer)?, |rows| {
            rows.check_sharing(issuer, sharing)?;
            let is_it = |row: &Issuer| {
                (row.id, row.tenant, &row.rules.iss) == (issuer.id, issuer.tenant, &issuer.rules.iss)
                    && row.generation == expected
            };
            if !rows.issuers.values().any(is_it) {
                return Err(StoreError::Conflict { what: "issuer" });
            }
            rows.check_audiences(issuer)?;
            let Some(row) = rows.issuers.values_mut().find(|row| is_it(row)) else { return Ok(()) };
            let moved = row.keys != issuer.keys;
            let (created_by, created_at_ms) = (row.created_by.clone(), row.created_at_ms);
            *row = Issuer { created_by, created_at_ms, ..issuer.clone() };
            if moved {
                rows.issuer_keys.remove(&issuer.id);
            }
            Ok(())
        })
    }
    fn remove(&self, tenant: TenantId, id: IssuerId, event: AuditEvent) -> StoreResult<()> {
        let [issuer, issuers] = subjects(id);
        self.commit(event, &[issuer, issuers, Subject::Links], |rows| {
            let place = rows.issuers.values().find(|row| row.id == id && row.tenant == tenant);
            let place = place.map(|row| (row.created_at_ms, row.id)).ok_or(StoreError::Missing { what: "issuer" })?;
            if let Some(gone) = rows.issuers.remove(&place) {
                let named = |row: &Issuer| row.tenant == tenant && row.rules.iss == gone.rules.iss;
                if !rows.issuers.values().any(named) {
                    rows.links.retain(|_, link| link.tenant != tenant || link.issuer != gone.rules.iss);
                }
            }
            rows.issuer_keys.remove(&id);
            Ok(())
        })
    }
    fn keys_of(&self, id: IssuerId) -> StoreResult<Option<KeptKeys>> {
        self.read(|rows| rows.issuer_keys.get(&id).cloned())
    }
    fn keep_keys(&self, id: IssuerId, keys: &KeptKeys) -> StoreResult<()> {
        self.check_writes()?;
        let mut rows = self.rows();
        let newer = rows.issuer_keys.get(&id).is_some_and(|kept| kept.fetched_at_ms > keys.fetched_at_ms);
        if rows.issuers.values().any(|row| row.id == id) && !newer {
            rows.issuer_keys.insert(id, keys.clone());
        }
        Ok(())
    }
}
