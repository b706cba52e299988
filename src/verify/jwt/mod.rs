//! Proves a JWT: whose it is, that its issuer made it, and for whom it stands.
//!
//! `iss` leads to the rows of that issuer, of whatever tenant; the audience must single one of them out (rule R16). Its
//! record, never the token, says which algorithms and keys there are. What a token says is believed only after its
//! signature and all its issuer's rules hold ([`crate::jwt`]); then `identity` says which App and User it stands for.
//! Tokens of our own go by `issued`.

mod first_use;
mod identity;
mod issued;
pub mod kept;
mod said;
mod seals;
mod trusted;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Entropy;
use crate::domain::issuer::Issuer;
use crate::domain::{Position, Reason, Subject};
use crate::jwks::{Jwks, KeysHandle};
use crate::jwt::keys::KeySet;
use crate::jwt::token::{Unverified, VerifiedToken};
use crate::jwt::{Check, Fault};
use crate::store::Store;
use crate::verify::subject::SubjectKey;
use crate::verify::{Asked, Refused, RestsOn, Verified, Verifier};

use first_use::Tries;
pub use identity::Standing;
pub use said::Said;
use seals::Seals;
use trusted::{Registry, Trusted};

/// When a refusal of a JWT leaves, after it came: so that which issuers and links there are, and what their keys cost,
/// does not show in its time (rule R13).
pub const QUANTUM: Duration = Duration::from_millis(5);

/// How long a token that expired, or whose signature is wrong, is not verified again, in milliseconds.
const AGAIN_MS: i64 = 30_000;

/// What is set about JWTs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our own `iss`.
    pub issuer: String,
    /// The audience of our own tokens.
    pub audience: String,
}

/// What JWTs are verified with.
pub struct Jwts {
    store: Arc<dyn Store>,
    settings: Settings,
    seals: Seals,
    registry: Registry,
    /// Fetches keys; none in commands that ask nobody.
    fetched: Option<Arc<Jwks>>,
    entropy: Arc<dyn Entropy>,
    tries: Tries,
}

/// Keys to verify with, and what says how long they may be used.
struct Keys {
    set: Arc<KeySet>,
    fetched: Option<KeysHandle>,
    /// Milliseconds since the epoch: the first waiver that it needs ends then.
    until_ms: Option<i64>,
}

impl Keys {
    fn fetched((set, until_ms): trusted::KeysUntil, handle: KeysHandle) -> Self {
        Self { set, fetched: Some(handle), until_ms }
    }
}

impl Jwts {
    /// Over this store, whose rows are sealed under the key in `subject_key`. `data_dir` has the secrets of issuers that
    /// share one.
    pub fn new(
        store: Arc<dyn Store>,
        settings: Settings,
        subject_key: PathBuf,
        data_dir: PathBuf,
        fetched: Option<Arc<Jwks>>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let seals = Seals::new(Arc::clone(&store), subject_key);
        Self { store, settings, seals, registry: Registry::new(data_dir), fetched, entropy, tries: Tries::default() }
    }
}

/// A refusal that stands while this is as it was.
fn resting(reason: Reason, position: Position, proved: Subject) -> Refused {
    let rests_on = Some(RestsOn { position, proved, beside: None, linked: false, until_ms: None });
    Refused { reason, known: None, rests_on }
}

/// The same until a moment, milliseconds since the epoch.
fn for_now(refused: Refused, until_ms: i64) -> Refused {
    let rests_on = refused.rests_on.map(|on| RestsOn { until_ms: Some(until_ms), ..on });
    Refused { rests_on, ..refused }
}

/// What a failed check is called in log and metrics.
fn reason(fault: Fault) -> Reason {
    tracing::debug!(fault = fault.code(), "a JWT was refused");
    match (fault, fault.check()) {
        (Fault::Expired, _) => Reason::Expired,
        (Fault::NotYetValid, _) => Reason::NotYetValid,
        (_, Check::Keys) => Reason::KeysUnavailable,
        (_, Check::Form | Check::Header) => Reason::JwtMalformed,
        (_, Check::Algorithm) => Reason::JwtAlgorithm,
        (_, Check::Key) => Reason::JwtKeyUnknown,
        (_, Check::Signature) => Reason::JwtSignature,
        _ => Reason::JwtClaims,
    }
}

impl Verifier {
    pub(super) async fn jwt(&self, text: &[u8], asked: &Asked, now_ms: i64) -> Result<Verified, Refused> {
        let jwts = self.jwts.as_ref().ok_or(Reason::JwtNotAccepted)?;
        let token = Unverified::parse(text).map_err(reason)?;
        let iss = token.issuer().ok_or(Reason::JwtClaims)?;
        // Before it is looked whose it is: what we lack is lacking for whoever asks. Once for all that is judged under it.
        let key = jwts.seals.key()?;
        if iss == jwts.settings.issuer {
            return jwts.issued(&key, text, token, &self.keyring, now_ms);
        }
        let (issuer, position) = jwts.issuer_of(&key, &token, iss)?;
        jwts.federated(&key, text, token, &issuer, position, asked, now_ms).await
    }
}

impl Jwts {
    /// The one issuer of the store whose token this says it is.
    fn issuer_of(&self, key: &SubjectKey, token: &Unverified<'_>, iss: &str) -> Result<(Issuer, Position), Refused> {
        let found = self.store.issuers().by_iss(iss).map_err(|_| Reason::StoreUnavailable)?;
        let position = found.position;
        let ours = |row: &Issuer| {
            row.rules.iss == iss && token.audiences().iter().any(|aud| row.rules.audiences.contains(aud))
        };
        let mut matching = found.row.into_iter().filter(ours);
        let issuer = matching.next().ok_or_else(|| resting(Reason::IssuerUnknown, position, Subject::Issuers))?;
        if matching.next().is_some() {
            return Err(resting(Reason::IssuerAmbiguous, position, Subject::Issuers));
        }
        if !key.is_genuine_issuer(&issuer) {
            return Err(Reason::IssuerForged.into());
        }
        if !issuer.active {
            return Err(resting(Reason::IssuerInactive, position, Subject::Issuer(issuer.id)));
        }
        Ok((issuer, position))
    }

    #[expect(clippy::too_many_arguments, reason = "each is a fact, and all are needed")]
    async fn federated(
        &self,
        key: &SubjectKey,
        text: &[u8],
        token: Unverified<'_>,
        issuer: &Issuer,
        position: Position,
        asked: &Asked,
        now_ms: i64,
    ) -> Result<Verified, Refused> {
        let patience = asked.patience;
        let names_none = token.kid().is_none();
        let trusted = self.registry.of(issuer, key, now_ms)?;
        let mut keys = self.keys(&trusted, issuer, token.kid(), patience, now_ms).await?;
        let mut judged = token.verify(&keys.set, &issuer.rules, now_ms);
        // Who replaces a key that has no name does so unseen: it may be another by now.
        if names_none
            && judged.as_ref().is_err_and(|fault| fault.check() == Check::Signature)
            && let Some(newer) = self.newer(&trusted, issuer, &keys, patience, now_ms).await?
        {
            keys = newer;
            judged = Unverified::parse(text).and_then(|token| token.verify(&keys.set, &issuer.rules, now_ms));
        }
        let verified = judged.map_err(|fault| match reason(fault) {
            // What is sent again and again costs one verification in a while: no time to come makes these good, but other
            // rules may, other keys, or a clock that is set right.
            again @ (Reason::Expired | Reason::JwtSignature) => {
                for_now(resting(again, position, Subject::Issuer(issuer.id)), now_ms + AGAIN_MS)
            }
            other => other.into(),
        })?;
        // Before anything is linked: a token that is refused for them changes nothing.
        let scopes = identity::scopes(issuer, verified.claims())?;
        let standing = self.standing(key, issuer, position, &verified, asked.may_link, now_ms).await?;
        let position = standing.position.map_or(position, |link| link.min(position));
        Ok(Verified::federated(Self::facts(issuer, &verified, &standing, scopes, keys), position))
    }

    /// The keys that a token of this issuer may be under.
    async fn keys(
        &self,
        trusted: &Trusted,
        issuer: &Issuer,
        kid: Option<&str>,
        patience: Duration,
        now_ms: i64,
    ) -> Result<Keys, Refused> {
        if let Some((set, until_ms)) = trusted.own(now_ms)? {
            return Ok(Keys { set, fetched: None, until_ms });
        }
        let (Some(source), Some(fetched)) = (trusted.source(), &self.fetched) else {
            return Err(Reason::KeysUnavailable.into());
        };
        let handle = fetched.keys(source, kid, patience).await.map_err(|_| Reason::KeysUnavailable)?;
        Ok(Keys::fetched(trusted.judge(issuer, handle.set(), now_ms)?, handle))
    }

    /// Keys that took the place of these, if any did.
    async fn newer(
        &self,
        trusted: &Trusted,
        issuer: &Issuer,
        than: &Keys,
        patience: Duration,
        now_ms: i64,
    ) -> Result<Option<Keys>, Refused> {
        let (Some(source), Some(fetched), Some(held)) = (trusted.source(), &self.fetched, &than.fetched) else {
            return Ok(None);
        };
        let Some(handle) = fetched.newer(source, held, patience).await else { return Ok(None) };
        Ok(Some(Keys::fetched(trusted.judge(issuer, handle.set(), now_ms)?, handle)))
    }

    fn facts(
        issuer: &Issuer,
        token: &VerifiedToken,
        standing: &Standing,
        scopes: Vec<String>,
        keys: Keys,
    ) -> super::verified::Federated {
        let claims = token.claims();
        let leeway_ms = i64::from(issuer.rules.leeway_s) * 1_000;
        // The last moment of an age is good, the first after it is not.
        let aged = issuer.rules.max_age_s.and_then(|age| Some(claims.issued_at_ms()? + i64::from(age) * 1_000 + 1));
        let expires_at_ms = claims.expires_at_ms();
        let ends_at_ms = aged.map_or(expires_at_ms, |aged| aged.min(expires_at_ms)).saturating_add(leeway_ms);
        let ends_at_ms = keys.until_ms.map_or(ends_at_ms, |until| until.min(ends_at_ms));
        super::verified::Federated {
            issuer: issuer.id,
            iss: issuer.rules.iss.clone(),
            tenant: issuer.tenant,
            link: standing.link,
            app: standing.app,
            user: standing.user,
            scopes,
            expires_at_ms,
            ends_at_ms,
            keys: keys.fetched.map(|handle| handle.mark()),
        }
    }
}
