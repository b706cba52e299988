//! The keys that sign tokens: one signs, those before it are believed until their last tokens have ended.
//!
//! The private halves are files of this machine. A new one takes over by its sealed row alone: where that was not written,
//! the file is ignored, and nothing has changed.

use crate::admin::authority::{Act, Backend, Permit};
use crate::admin::{Admin, AdminError, AdminResult, retrying};
use crate::domain::event::DetailKey;
use crate::domain::{Action, Algorithm, SigningKeyRow, Subject};
use crate::issue::keys::{self, PublicHalf, TokenKeyError};
use crate::issue::{Signer, jwks};
use crate::store::Store;
use crate::verify::subject::SubjectKey;

/// How much longer than its last token a key is believed, in milliseconds: another process may sign with it until it sees
/// that there is another.
const MARGIN_MS: i64 = 60_000;
/// The longest that a token may live on any machine, in milliseconds: `tokens.max_ttl_seconds` at most.
const LONGEST_MS: i64 = 86_400_000;

/// What a key is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SigningKeyState {
    /// It signs.
    Signing,
    /// It signs no more, and what it signed is believed.
    Verifying,
    /// What it signed is refused.
    Retired,
    /// Somebody without the key of subject hashes wrote the row: it is ignored (rule R4).
    Forged,
    /// The key of subject hashes is not here to tell.
    KeyMissing,
}

impl SigningKeyState {
    /// Its name, as shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Retired => "retired",
            Self::Forged => "row_forged",
            Self::KeyMissing => "key_missing",
        }
    }
}

/// A key, and what it is good for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JudgedSigningKey {
    /// As stored.
    pub key: SigningKeyRow,
    /// What that is good for.
    pub state: SigningKeyState,
}

/// What a rotation made of the keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RotatedSigningKey {
    /// The one that signs from now on.
    pub key: SigningKeyRow,
    /// Those that it took over from.
    pub retired: Vec<SigningKeyRow>,
}

/// What a caller is told of a key that cannot be used: not where it is, for they may be a tenant's alone. That is in the log.
const fn told(error: &TokenKeyError) -> &'static str {
    match error {
        TokenKeyError::Missing { .. } => {
            "the key that signs tokens is missing: put it back on the store's machine, or make another with \
             `latchkey token rotate-key`; `latchkey doctor` there says where"
        }
        TokenKeyError::Exposed { .. } => {
            "the file of the key that signs tokens is not ours alone: `latchkey doctor` on the store's machine says more"
        }
        _ => "the key that signs tokens cannot be used: `latchkey doctor` on the store's machine says why",
    }
}

const NONE: &str = "no key signs tokens here yet: `latchkey token rotate-key` on the store's machine makes one";

fn failed(error: &TokenKeyError) -> AdminError {
    let told = told(error);
    tracing::warn!(%error, "tokens cannot be signed");
    AdminError::TokenKey(told)
}

fn believed(store: &dyn Store, key: &SubjectKey) -> AdminResult<Vec<SigningKeyRow>> {
    let mut rows = store.tokens().keys()?.row;
    rows.retain(|row| key.is_genuine_signing_key(row) && keys::is_named_right(row));
    Ok(rows)
}

impl Backend {
    /// The public halves of the keys that are believed now, as a JWK set: what everybody may know.
    ///
    /// # Errors
    /// When the store or the key of subject hashes cannot be read.
    pub fn published_keys(&self) -> AdminResult<serde_json::Value> {
        let admin = self.admin(crate::admin::Caller::unbound_owner(crate::domain::event::Actor::System));
        let permit = admin.permit(Act::Read)?;
        let key = admin.subject_key(&permit)?;
        Ok(jwks::published(&believed(permit.store(), &key)?, admin.now_ms()))
    }
}

impl Admin {
    /// The key of subject hashes and the rows that it believes, oldest first.
    pub(super) fn signing_keys(&self, permit: &Permit<'_>) -> AdminResult<(SubjectKey, Vec<SigningKeyRow>)> {
        let key = self.subject_key(permit)?;
        let rows = believed(permit.store(), &key)?;
        Ok((key, rows))
    }

    /// The key that signs, and the one that seals what is kept of a token.
    pub(super) fn token_signer(&self, permit: &Permit<'_>) -> AdminResult<(SubjectKey, Signer)> {
        let dir = &self.token_rules()?.key_dir;
        let mut missing = None;
        // Twice, as somebody may have made another meanwhile, whose predecessor's file is gone.
        for _ in 0..2 {
            let (key, rows) = self.signing_keys(permit)?;
            let row = SigningKeyRow::signing(&rows).ok_or(AdminError::TokenKey(NONE))?;
            match keys::load(dir, &row.kid, row.algorithm) {
                Ok(signer) => return Ok((key, signer)),
                Err(error @ TokenKeyError::Missing { .. }) => missing = Some(error),
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(missing.map_or(AdminError::TokenKey(NONE), |error| failed(&error)))
    }

    /// The keys that sign tokens or did, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list_signing_keys(&self) -> AdminResult<Vec<JudgedSigningKey>> {
        let permit = self.permit(Act::Read)?;
        let (key, now_ms) = (self.subject_key_if_there(&permit)?, self.now_ms());
        let rows = permit.store().tokens().keys()?.row;
        let genuine =
            |row: &SigningKeyRow| key.as_ref().map(|key| key.is_genuine_signing_key(row) && keys::is_named_right(row));
        let believed: Vec<_> = rows.iter().filter(|row| genuine(row) == Some(true)).cloned().collect();
        let signing = SigningKeyRow::signing(&believed).map(|row| row.kid.clone());
        let judge = |key: SigningKeyRow| {
            let state = match genuine(&key) {
                None => SigningKeyState::KeyMissing,
                Some(false) => SigningKeyState::Forged,
                Some(true) if signing.as_ref() == Some(&key.kid) => SigningKeyState::Signing,
                Some(true) if key.verifies(now_ms) => SigningKeyState::Verifying,
                Some(true) => SigningKeyState::Retired,
            };
            JudgedSigningKey { key, state }
        };
        Ok(rows.into_iter().map(judge).collect())
    }

    /// Makes a new key, in a file of this machine, that signs tokens from now on. What the ones before it signed is
    /// believed until it has ended; with `at_once` it is refused from now on.
    ///
    /// # Errors
    /// When the caller may not, or something cannot be read or written. Then nothing has changed.
    pub fn rotate_signing_key(&self, algorithm: Algorithm, at_once: bool) -> AdminResult<RotatedSigningKey> {
        let permit = self.permit(Act::Govern)?;
        let dir = &self.token_rules()?.key_dir;
        // Before anything is made.
        let key = self.subject_key(&permit)?;
        let PublicHalf { kid, algorithm, jwk: public_jwk } =
            keys::create(dir, algorithm).map_err(|error| failed(&error))?;
        let rotated = retrying(|| {
            let now_ms = self.now_ms();
            let rows = permit.store().tokens().keys()?.row;
            // Never older than another, whatever the clock says.
            let newest_ms = rows.iter().map(|row| row.created_at_ms).max().unwrap_or(i64::MIN);
            let created_at_ms = now_ms.max(newest_ms.saturating_add(1));
            let mut new = SigningKeyRow {
                kid: kid.clone(),
                algorithm,
                public_jwk: public_jwk.clone(),
                created_at_ms,
                retires_at_ms: None,
                mac: [0; 32],
            };
            new.mac = key.signing_key_mac(&new);
            let end_ms = if at_once { now_ms } else { now_ms.saturating_add(LONGEST_MS + MARGIN_MS) };
            let over = |row: &SigningKeyRow| if at_once { row.verifies(now_ms) } else { row.signs() };
            let retire = |mut row: SigningKeyRow| {
                let genuine = key.is_genuine_signing_key(&row);
                row.retires_at_ms = Some(end_ms);
                // A new seal is never put on what somebody else wrote (rule R4): such a row stays ignored.
                row.mac = if genuine { key.signing_key_mac(&row) } else { [0; 32] };
                row
            };
            let retired: Vec<SigningKeyRow> = rows.into_iter().filter(over).map(retire).collect();
            let event = |action, kid: &str, mut details: Vec<_>| {
                details.push((DetailKey::KeyId, kid.to_owned()));
                self.event(action, Subject::SigningKeys, None, details)
            };
            let mut events: Vec<_> = retired
                .iter()
                .map(|row| event(Action::TokenKeyRetired, &row.kid, vec![(DetailKey::Until, end_ms.to_string())]))
                .collect();
            let named = vec![(DetailKey::Algorithm, algorithm.as_str().to_owned())];
            events.push(event(Action::TokenKeyAdded, &kid, named));
            let all: Vec<SigningKeyRow> = retired.iter().chain([&new]).cloned().collect();
            permit.store().tokens().put_keys(&all, events)?;
            Ok(RotatedSigningKey { key: new, retired })
        })?;
        for row in &rotated.retired {
            // Nothing is ever signed with it again.
            keys::remove(dir, &row.kid);
        }
        Ok(rotated)
    }
}
