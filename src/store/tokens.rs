//! Short-lived tokens that we sign, and the public halves of the keys that sign them.

use crate::domain::{
    AuditEvent, Credential, CredentialId, Generation, IssuedToken, JtiHash, SigningKeyRow, TenantId, TokenId,
};
use crate::store::{At, Page, Record, StoreResult};

/// What a listing of tokens goes by: when they were issued, and their hash.
pub type TokenPlace = (i64, JtiHash);

/// How long the row of a token stays after its end, in milliseconds: a token that came to its end reads as that for a day.
pub const KEPT_AFTER_END_MS: i64 = 24 * 3_600_000;
/// Rows past that which one issue removes at most.
pub const SWEPT_AT_ONCE: u32 = 100;

/// Tokens. Each change of one is told of itself, so that also what was found about one that was not there is dropped.
pub trait Tokens: Send + Sync {
    /// For the answer path: all keys, retired ones too, oldest first, with the feed position of the snapshot.
    fn keys(&self) -> StoreResult<At<Vec<SigningKeyRow>>>;
    /// Adds those of these keys that are not there; of the others only their retirement and MAC change. `Conflict` where a
    /// key that was not retired is none of these: somebody added one meanwhile.
    fn put_keys(&self, keys: &[SigningKeyRow], events: Vec<AuditEvent>) -> StoreResult<()>;
    /// Adds one for a credential of its tenant: `Missing` where there is no such credential, `Conflict` where its generation
    /// is not the token's, `Full` where `most` tokens of that generation are in force. Rows of long ago are removed, a few at
    /// each issue.
    fn issue(&self, token: &IssuedToken, most: u32, record: Record) -> StoreResult<()>;
    /// For the answer path: by its hash alone, one indexed read, with the feed position of the snapshot.
    fn look_up(&self, jti: JtiHash) -> StoreResult<At<Option<IssuedToken>>>;
    /// The same, with the credential that the token says it is of: one snapshot, so that neither is older than the other.
    fn look_up_with_parent(&self, jti: JtiHash, credential: CredentialId) -> StoreResult<At<TokenAndParent>>;
    /// For administration: by its public id alone. Whether it is the caller's is asked of what is found.
    fn by_id(&self, id: TokenId) -> StoreResult<Option<IssuedToken>>;
    /// Forgets every token, so that none is good any more, and says how many were in force: for a restore, whose rows are of
    /// before. Nobody has the store open beside it, so no change is told.
    fn forget_all(&self, now_ms: i64) -> StoreResult<u64>;
    /// Of a credential of this tenant, newest last, in the order of (issued, hash).
    fn list_of(
        &self,
        tenant: TenantId,
        credential: CredentialId,
        page: &Page<TokenPlace>,
    ) -> StoreResult<Vec<IssuedToken>>;
    /// Takes one back and breaks its seal, whoever wrote it. The first time stands. `Missing` where it is not there.
    fn revoke(&self, tenant: TenantId, jti: JtiHash, at_ms: i64, event: AuditEvent) -> StoreResult<()>;
    /// Takes all back that were issued for a credential, and replaces its row where its generation is `expected`: what is
    /// issued at the same time meets the one or the other.
    fn revoke_of(&self, parent: &Credential, expected: Generation, at_ms: i64, event: AuditEvent) -> StoreResult<()>;
}

/// A token and its parent, each as far as it is there.
pub type TokenAndParent = (Option<IssuedToken>, Option<Credential>);
