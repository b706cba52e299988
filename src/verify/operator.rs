//! Proves an operator: by the very machinery that proves API keys, over rows of another table and in a tag domain of
//! their own, so that neither is ever taken for the other (rule R18).

use crate::domain::key_format::KeyParts;
use crate::domain::operator::NO_TENANT;
use crate::domain::presented::Scheme;
use crate::domain::{CredentialId, CredentialKind, Generation, Operator, Presented, Reason, Role, Tag};
use crate::secret::{CredentialText, Secret, equal_in_constant_time};
use crate::verify::api_key::{Sealed, Stored};
use crate::verify::{Asked, Verifier, tag};

/// An operator whose token or certificate was proven, and a row to put in the place of theirs.
pub struct ProvenOperator {
    /// Who it is.
    pub operator: Operator,
    /// The same with a tag under the current pepper, where theirs has none: then Argon2id is never needed for it again.
    pub retagged: Option<Operator>,
}

impl Verifier {
    /// Whose token it is. Unknown and wrong cost the same: one read, one tag, one row MAC (rule R13).
    ///
    /// # Errors
    /// Why it is nobody's; for the log alone.
    pub async fn operator(&self, credential: &Secret<CredentialText>) -> Result<ProvenOperator, Reason> {
        let presented = Presented::parse(credential)?;
        match presented.scheme() {
            Scheme::Key(parts) if parts.kind == CredentialKind::Operator => self.token(&parts).await,
            Scheme::Key(_) => Err(Reason::WrongKind),
            Scheme::Jwt => Err(Reason::JwtNotAccepted),
            Scheme::Foreign(_) => Err(Reason::CredentialForm),
        }
    }

    async fn token(&self, parts: &KeyParts<'_>) -> Result<ProvenOperator, Reason> {
        let found = self.store.operators().look_up(parts.id).map_err(|_| Reason::StoreUnavailable)?;
        let ring = self.keyring.ring();
        let dummy;
        let row = if let Some(row) = &found {
            row
        } else {
            dummy = absent(parts.id, ring.current());
            &dummy
        };
        let held = ring.of(row.verifier.pepper);
        let tagger = held.unwrap_or(ring.current());
        let tag = tagger.tag(CredentialKind::Operator, NO_TENANT, row.id, parts.body);
        let same_secret = tag::same_tag(row.verifier.tag.as_ref().unwrap_or(&Tag([0; 32])), &tag);
        let genuine_row = equal_in_constant_time(&tagger.operator_mac(row), &row.row_mac);
        // Of a lost pepper no operator comes back: they are few, and are made anew.
        let sealed = held.map_or(Sealed::Unknown, |_| Sealed::Under { same_secret, genuine_row });
        drop(ring);
        let operator = found.ok_or(Reason::UnknownCredential)?;
        let stored = Stored { tenant: NO_TENANT, id: operator.id, verifier: &operator.verifier };
        // Keyed, and of this one secret: what the proof of a slow hash is kept under.
        let asked = Asked { digest: tag.0, suspect: false, patience: std::time::Duration::ZERO, may_link: false };
        self.prove(&stored, sealed, parts.body, &asked).await?;
        if operator.revoked_at_ms.is_some() {
            return Err(Reason::Revoked);
        }
        let retagged = operator.verifier.tag.is_none().then(|| self.retagged(&operator, parts.body));
        Ok(ProvenOperator { operator, retagged })
    }

    fn retagged(&self, operator: &Operator, secret: &[u8]) -> Operator {
        let ring = self.keyring.ring();
        let current = ring.current();
        let mut row = operator.clone();
        row.verifier.tag = Some(current.tag(CredentialKind::Operator, NO_TENANT, row.id, secret));
        row.verifier.pepper = current.fingerprint();
        row.row_mac = current.operator_mac(&row);
        row
    }

    /// Whose certificate it is, by the SHA-256 of its public key. That the caller has the key was proven by TLS.
    ///
    /// # Errors
    /// Why it is nobody's; for the log alone.
    pub fn operator_by_certificate(&self, public_key: &[u8; 32]) -> Result<Operator, Reason> {
        let found = self.store.operators().by_certificate(public_key).map_err(|_| Reason::StoreUnavailable)?;
        let row = found.ok_or(Reason::UnknownCredential)?;
        // The row says whose key it is: somebody with the file alone must not say that it is theirs.
        if !self.keyring.ring().is_genuine_operator(&row).ok_or(Reason::PepperMissing)? {
            return Err(Reason::RowForged);
        }
        if row.revoked_at_ms.is_some() { Err(Reason::Revoked) } else { Ok(row) }
    }
}

/// A row to do the same work on when there is none. Its MAC and tag match nothing.
fn absent(id: CredentialId, tagger: &tag::Tagger) -> Operator {
    use crate::domain::verifier::Verifier as Kept;
    Operator {
        id,
        name: String::new(),
        role: Role::Auditor,
        tenants: Vec::new(),
        // As long as a real one, so that the MAC runs over as many blocks.
        verifier: Kept { phc: "x".repeat(97), tag: Some(Tag([0; 32])), pepper: tagger.fingerprint(), prehash: None },
        certificate: None,
        generation: Generation(0),
        row_mac: [0; 32],
        created_at_ms: 0,
        revoked_at_ms: None,
    }
}

#[cfg(test)]
#[path = "operator_tests.rs"]
mod tests;
