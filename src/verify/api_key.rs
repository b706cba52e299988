//! Proves an API key: by public id, the tag decides, and Argon2id only where the row has no tag.
//!
//! The order of work never depends on the row: one read, one tag, one row MAC, two comparisons, with
//! dummies where there is no row (rule R13, control A5). Status is judged after the secret.

use sha2::{Digest as _, Sha256};

use crate::domain::denial::Class;
use crate::domain::key_format::KeyParts;
use crate::domain::{
    AppId, Credential, CredentialId, CredentialKind, Environment, Generation, Reason, Status, Subject, Tag, TenantId,
    UserId,
};
use crate::secret::equal_in_constant_time;
use crate::store::Resealed;
use crate::verify::pool::{Ask, Unproven};
use crate::verify::{Asked, Known, Proof, Refused, RestsOn, Verified, Verifier, tag};

impl Verifier {
    pub(super) async fn api_key(&self, parts: &KeyParts<'_>, asked: &Asked, now_ms: i64) -> Result<Verified, Refused> {
        let found = self.store.credentials().look_up(parts.id).map_err(|_| Reason::StoreUnavailable)?;
        let position = found.position;
        let ring = self.keyring.ring();
        let dummy;
        let row = if let Some(row) = &found.row {
            row
        } else {
            dummy = absent(parts.id, ring.current());
            &dummy
        };
        // Where we do not hold the row's pepper the same work is done under another, for nothing.
        let held = ring.of(row.verifier.pepper);
        let tagger = held.unwrap_or(ring.current());
        let presented = tagger.tag(CredentialKind::ApiKey, row.tenant, row.id, parts.body);
        let zero = Tag([0; 32]);
        let same_secret = tag::same_tag(row.verifier.tag.as_ref().unwrap_or(&zero), &presented);
        let genuine_row = equal_in_constant_time(&tagger.credential_mac(row), &row.row_mac);
        let sealed = match held {
            Some(_) => Sealed::Under { same_secret, genuine_row },
            None if ring.is_recovering(row.verifier.pepper, now_ms) => Sealed::Recovering,
            None => Sealed::Unknown,
        };
        drop(ring);

        let proved = Subject::Credential(parts.id);
        let rests_on = Some(RestsOn { position, proved, beside: None, linked: false, until_ms: None });
        let Some(row) = found.row else {
            return Err(Refused { reason: Reason::UnknownCredential, known: None, rests_on });
        };
        let mut judged = self.judge(&row, sealed, parts.body, asked, now_ms).await;
        // A key of another environment is another key, and one that was imported is found by its handle alone.
        let other = parts.environment != Some(row.environment) || row.verifier.prehash.is_some();
        if other && judged.as_ref().err().is_none_or(|reason| reason.class() == Class::Credential) {
            judged = judged.and(Err(Reason::WrongSecret)).map_err(|reason: Reason| match reason {
                Reason::RowForged => reason,
                _ => Reason::WrongSecret,
            });
        }
        match judged {
            Ok(()) => Ok(Verified::key(row, position)),
            Err(reason) => Err(refused(reason, &row, rests_on)),
        }
    }

    pub(super) async fn judge(
        &self,
        row: &Credential,
        sealed: Sealed,
        secret: &[u8],
        asked: &Asked,
        now_ms: i64,
    ) -> Result<(), Reason> {
        let stored = Stored { tenant: row.tenant, id: row.id, verifier: &row.verifier };
        self.prove(&stored, sealed, secret, asked).await?;
        row.check_validity(now_ms)
    }

    /// That a presented secret is the one of a row that only a holder of the pepper can have written.
    pub(super) async fn prove(
        &self,
        stored: &Stored<'_>,
        sealed: Sealed,
        secret: &[u8],
        asked: &Asked,
    ) -> Result<(), Reason> {
        let (proven, genuine_row) = match sealed {
            // Nothing verifies without the pepper that the row was made under: the tag can't be compared
            // and the row itself can't be trusted, its "untagged" included.
            Sealed::Unknown => return Err(Reason::PepperMissing),
            // An operator said so, for a time: the row is taken as it stands, and Argon2id decides.
            Sealed::Recovering => (self.slow_proof(stored, secret, asked).await?, true),
            Sealed::Under { same_secret, genuine_row } => match stored.verifier.tag {
                Some(_) => (same_secret, genuine_row),
                // A forged row must not buy Argon2id work either.
                None if !genuine_row => return Err(Reason::RowForged),
                None => (self.slow_proof(stored, secret, asked).await?, true),
            },
        };
        if !genuine_row {
            return Err(Reason::RowForged);
        }
        if proven { Ok(()) } else { Err(Reason::WrongSecret) }
    }

    /// The row of a proven key sealed anew from what was presented, if it is under another pepper than the current one or
    /// has no tag: then Argon2id is never needed for it again. The secrets of our own keys have 256 bits.
    pub(super) fn reseal_key(&self, parts: &KeyParts<'_>, row: &Credential) -> Option<Resealed> {
        let ring = self.keyring.ring();
        let current = ring.current();
        if row.verifier.pepper == current.fingerprint() && row.verifier.tag.is_some() {
            return None;
        }
        let mut sealed = row.clone();
        sealed.verifier.tag = Some(current.tag(CredentialKind::ApiKey, row.tenant, row.id, parts.body));
        sealed.verifier.pepper = current.fingerprint();
        let row_mac = current.credential_mac(&sealed);
        Some(Resealed { id: row.id, was: row.row_mac, verifier: sealed.verifier, row_mac, handle: None })
    }

    async fn slow_proof(&self, stored: &Stored<'_>, secret: &[u8], asked: &Asked) -> Result<bool, Reason> {
        let Stored { tenant, id: credential, verifier } = *stored;
        let against: [u8; 32] = Sha256::digest(verifier.phc.as_bytes()).into();
        let known = self.proofs.get(&asked.digest);
        if known.is_some_and(|proof| proof.credential == credential && proof.against == against) {
            return Ok(true);
        }
        let Asked { digest, suspect, .. } = *asked;
        let ask = Ask { tenant, credential, digest, phc: &verifier.phc, secret, suspect };
        let proven = self.pool.verify(ask).await.map_err(|unproven| match unproven {
            Unproven::Full => Reason::HashQueueFull,
            Unproven::Hash(_) => Reason::RowForged,
        })?;
        if proven {
            self.proofs.put(asked.digest, Proof { tenant, credential, against });
        }
        Ok(proven)
    }
}

/// A refusal of a known credential. What could not be decided rests on nothing.
pub(super) fn refused(reason: Reason, row: &Credential, rests_on: Option<RestsOn>) -> Refused {
    // Time alone makes this one good; all other times only end.
    let until_ms = row.not_before_ms.filter(|_| reason == Reason::NotYetValid);
    let decided = reason.class() != Class::Unavailable;
    let rests_on = rests_on.filter(|_| decided).map(|rests_on| RestsOn { until_ms, ..rests_on });
    Refused { reason, known: Some(Known::from(row)), rests_on }
}

/// What proves a secret, whoever's it is.
pub(super) struct Stored<'a> {
    pub(super) tenant: TenantId,
    pub(super) id: CredentialId,
    pub(super) verifier: &'a crate::domain::verifier::Verifier,
}

/// What the seals of a row say.
pub enum Sealed {
    /// We hold its pepper.
    Under {
        /// Whether its tag is the presented secret's.
        same_secret: bool,
        /// Whether its MAC is right.
        genuine_row: bool,
    },
    /// Its pepper is lost, and rows are proven anew.
    Recovering,
    /// We do not hold its pepper.
    Unknown,
}

/// A row to do the same work on when there is none. Its MAC and tag match nothing.
pub(super) fn absent(id: CredentialId, tagger: &tag::Tagger) -> Credential {
    use crate::domain::verifier::Verifier as Stored;
    Credential {
        id,
        tenant: TenantId::from_bytes([0; 16]),
        app: AppId::MAX,
        user: UserId::MAX,
        label: String::new(),
        environment: Environment::Live,
        scopes: Vec::new(),
        cidrs: Vec::new(),
        not_before_ms: None,
        expires_at_ms: None,
        status: Status::Active,
        replaces: None,
        replaced: None,
        decoy: false,
        // As long as a real one, so that the MAC runs over as many blocks.
        verifier: Stored { phc: "x".repeat(97), tag: Some(Tag([0; 32])), pepper: tagger.fingerprint(), prehash: None },
        generation: Generation(0),
        row_mac: [0; 32],
        created_by: String::new(),
        created_at_ms: 0,
        last_used_at_ms: None,
    }
}
