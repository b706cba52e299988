//! Short-lived tokens and their keys, in memory.

use super::{FakeStore, Rows, page};
use crate::domain::{
    AuditEvent, Credential, CredentialId, Generation, IssuedToken, JtiHash, Position, SigningKeyRow, Subject, TenantId,
    TokenId,
};
use crate::store::{
    At, KEPT_AFTER_END_MS, Page, Record, SWEPT_AT_ONCE, StoreError, StoreResult, TokenAndParent, TokenPlace, Tokens,
};

impl FakeStore {
    /// Changes a token behind everybody's back.
    pub fn tamper_token(&self, jti: JtiHash, change: impl FnOnce(&mut IssuedToken)) {
        if let Some(row) = self.rows().tokens.get_mut(&jti) {
            change(row);
        }
    }

    /// The same of a key that signs tokens.
    pub fn tamper_signing_key(&self, kid: &str, change: impl FnOnce(&mut SigningKeyRow)) {
        if let Some(row) = self.rows().signing_keys.iter_mut().find(|row| row.kid == kid) {
            change(row);
        }
    }
}

impl Rows {
    fn sweep_tokens(&mut self, now_ms: i64) {
        let over = |row: &&IssuedToken| row.expires_at_ms < now_ms.saturating_sub(KEPT_AFTER_END_MS);
        let mut gone: Vec<_> = self.tokens.values().filter(over).map(|row| (row.expires_at_ms, row.jti)).collect();
        gone.sort_unstable();
        for (_, jti) in gone.iter().take(SWEPT_AT_ONCE as usize) {
            self.tokens.remove(jti);
        }
    }

    /// Takes back what was issued for a credential, but for what is of a generation.
    pub(super) fn revoke_tokens_of(&mut self, credential: CredentialId, but: Option<Generation>, at_ms: i64) {
        let its = self.tokens.values_mut().filter(|row| row.credential == credential && Some(row.parent) != but);
        its.filter(|row| row.revoked_at_ms.is_none()).for_each(|row| Self::revoke_token(row, at_ms));
    }

    fn revoke_token(row: &mut IssuedToken, at_ms: i64) {
        row.revoked_at_ms = row.revoked_at_ms.or(Some(at_ms));
        row.mac = [0; 32];
    }
}

impl Tokens for FakeStore {
    fn keys(&self) -> StoreResult<At<Vec<SigningKeyRow>>> {
        self.read(|rows| {
            let mut row = rows.signing_keys.clone();
            row.sort_by(|a, b| (a.created_at_ms, &a.kid).cmp(&(b.created_at_ms, &b.kid)));
            At { position: Position(rows.changes.len() as u64), row }
        })
    }
    fn put_keys(&self, keys: &[SigningKeyRow], mut events: Vec<AuditEvent>) -> StoreResult<()> {
        let last = events.pop().ok_or(StoreError::Missing { what: "event" })?;
        let unknown =
            |rows: &Rows| rows.signing_keys.iter().any(|row| row.signs() && keys.iter().all(|key| key.kid != row.kid));
        if self.read(unknown)? {
            return Err(StoreError::Conflict { what: "signing key" });
        }
        for event in events {
            self.commit(event, &[], |_| Ok(()))?;
        }
        self.commit(last, &[Subject::SigningKeys], |rows| {
            for key in keys {
                match rows.signing_keys.iter_mut().find(|row| row.kid == key.kid) {
                    Some(row) => (row.retires_at_ms, row.mac) = (key.retires_at_ms, key.mac),
                    None => rows.signing_keys.push(key.clone()),
                }
            }
            Ok(())
        })
    }
    fn issue(&self, token: &IssuedToken, most: u32, record: Record) -> StoreResult<()> {
        self.commit(record, &[Subject::Token(token.jti.id())], |rows| {
            let row = rows.credentials.get(&token.credential).filter(|row| row.tenant == token.tenant);
            let row = row.ok_or(StoreError::Missing { what: "credential" })?;
            if row.generation != token.parent {
                return Err(StoreError::Conflict { what: "credential" });
            }
            let counts = |row: &&IssuedToken| {
                (row.credential, row.parent) == (token.credential, token.parent)
                    && row.revoked_at_ms.is_none()
                    && row.expires_at_ms > token.issued_at_ms
            };
            if rows.tokens.values().filter(counts).count() >= most as usize {
                return Err(StoreError::Full { what: "tokens" });
            }
            if rows.tokens.contains_key(&token.jti) {
                return Err(StoreError::Exists { what: "token" });
            }
            rows.sweep_tokens(token.issued_at_ms);
            rows.tokens.insert(token.jti, token.clone());
            Ok(())
        })
    }
    fn look_up(&self, jti: JtiHash) -> StoreResult<At<Option<IssuedToken>>> {
        self.read(|rows| At { position: Position(rows.changes.len() as u64), row: rows.tokens.get(&jti).cloned() })
    }
    fn look_up_with_parent(&self, jti: JtiHash, credential: CredentialId) -> StoreResult<At<TokenAndParent>> {
        self.read(|rows| {
            let row = (rows.tokens.get(&jti).cloned(), rows.credentials.get(&credential).cloned());
            At { position: Position(rows.changes.len() as u64), row }
        })
    }
    fn by_id(&self, id: TokenId) -> StoreResult<Option<IssuedToken>> {
        self.read(|rows| rows.tokens.values().find(|row| row.jti.id() == id).cloned())
    }
    fn forget_all(&self, now_ms: i64) -> StoreResult<u64> {
        self.check_writes()?;
        let mut rows = self.rows();
        let gone = std::mem::take(&mut rows.tokens);
        let in_force = gone.values().filter(|row| row.expires_at_ms > now_ms && row.revoked_at_ms.is_none());
        Ok(in_force.count() as u64)
    }
    fn list_of(
        &self,
        tenant: TenantId,
        credential: CredentialId,
        wanted: &Page<TokenPlace>,
    ) -> StoreResult<Vec<IssuedToken>> {
        self.read(|rows| {
            let by_age = rows.tokens.values().map(|row| ((row.issued_at_ms, row.jti), row.clone())).collect();
            page(&by_age, wanted, |row: &IssuedToken| (row.tenant, row.credential) == (tenant, credential))
        })
    }
    fn revoke(&self, tenant: TenantId, jti: JtiHash, at_ms: i64, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::Token(jti.id())], |rows| {
            let row = rows.tokens.get_mut(&jti).filter(|row| row.tenant == tenant);
            row.map(|row| Rows::revoke_token(row, at_ms)).ok_or(StoreError::Missing { what: "token" })
        })
    }
    fn revoke_of(&self, parent: &Credential, expected: Generation, at_ms: i64, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::Credential(parent.id)], |rows| {
            rows.check_pepper(parent.verifier.pepper)?;
            let row = rows.credentials.get_mut(&parent.id);
            let row = row.filter(|row| row.tenant == parent.tenant && row.generation == expected);
            row.map(|row| *row = parent.clone()).ok_or(StoreError::Conflict { what: "credential" })?;
            rows.revoke_tokens_of(parent.id, None, at_ms);
            Ok(())
        })
    }
}
