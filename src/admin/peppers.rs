//! Peppers: which there are, another for new rows, an end for an old one, a way on when one was lost (rules R4 and R5).

use std::time::Duration;

use crate::admin::authority::Act;
use crate::admin::{Admin, AdminError, AdminResult};
use crate::domain::event::DetailKey;
use crate::domain::{Action, Credential, CredentialId, LostPepper, PepperFingerprint, PepperVersion, Status, Subject};
use crate::store::{Page, Resealed};

/// Rows sealed anew in one transaction.
const BATCH: u32 = 500;

/// A pepper, and how much rests on it.
#[derive(Clone, Debug)]
pub struct PepperState {
    /// What the store knows of it.
    pub version: PepperVersion,
    /// Whether new rows get it.
    pub current: bool,
    /// Whether this process holds it.
    pub held: bool,
    /// Credentials under it.
    pub credentials: u64,
}

/// What retiring came to.
#[derive(Clone, Copy, Debug)]
pub struct Retired {
    /// Rows that were sealed anew, without a tag.
    pub resealed: u64,
}

impl Admin {
    /// Every pepper of the store. Counts rows, which takes seconds on millions.
    ///
    /// # Errors
    /// When the store fails.
    pub fn peppers(&self) -> AdminResult<Vec<PepperState>> {
        let permit = self.permit(Act::ReadAll)?;
        let state = permit.store().peppers().list()?;
        let held = self.backend.keyring.ring().fingerprints();
        let described = state.versions.into_iter().map(|version| {
            let fingerprint = version.fingerprint;
            Ok(PepperState {
                version,
                current: fingerprint == state.current,
                held: held.contains(&fingerprint),
                credentials: permit.store().peppers().count_under(fingerprint)?,
            })
        });
        described.collect()
    }

    fn pepper_event(&self, action: Action, fingerprint: PepperFingerprint) -> crate::domain::AuditEvent {
        let details = vec![(DetailKey::PepperFingerprint, fingerprint.to_string())];
        self.event(action, Subject::Pepper, None, details)
    }

    /// New rows get another pepper, which the source of every process must hold already. It is made known first, and
    /// current only after `settle`, so that every process holds it before a row names it. Operators are sealed anew.
    ///
    /// # Errors
    /// When it is retired, or not held here.
    pub fn rotate_pepper(&self, fingerprint: PepperFingerprint, settle: Duration) -> AdminResult<()> {
        let permit = self.permit(Act::Govern)?;
        let peppers = permit.store().peppers();
        if !peppers.list()?.versions.iter().any(|version| version.fingerprint == fingerprint) {
            peppers.add(fingerprint, self.pepper_event(Action::PepperAdded, fingerprint))?;
            std::thread::sleep(settle);
        }
        peppers.make_current(fingerprint, self.pepper_event(Action::PepperRotated, fingerprint))?;
        self.backend.keyring.reload(&peppers.list()?)?;
        self.reseal_operators()
    }

    /// Operators are few, and their tokens are not at hand: without a tag Argon2id proves them.
    fn reseal_operators(&self) -> AdminResult<()> {
        let permit = self.permit(Act::Govern)?;
        let ring = self.backend.keyring.ring();
        let current = ring.current();
        for mut operator in permit.store().operators().list()? {
            let genuine = ring.is_genuine_operator(&operator) == Some(true);
            if operator.verifier.pepper == current.fingerprint() || !genuine {
                continue;
            }
            let expected = operator.generation;
            operator.verifier.tag = None;
            operator.verifier.pepper = current.fingerprint();
            operator.generation = self.generation()?;
            operator.row_mac = current.operator_mac(&operator);
            let event = self.event(Action::CredentialsResealed, Subject::Operator(operator.id), None, Vec::new());
            permit.store().peppers().reseal_operator(&operator, expected, event)?;
        }
        Ok(())
    }

    /// Ends a pepper. Rows of credentials that are revoked or expired are sealed anew; those of others too with
    /// `drop_tags`. While any row is left that names it, it stays.
    ///
    /// # Errors
    /// When rows still name it, or it is the current one.
    pub fn retire_pepper(&self, fingerprint: PepperFingerprint, drop_tags: bool) -> AdminResult<Retired> {
        let permit = self.permit(Act::Govern)?;
        let peppers = permit.store().peppers();
        let state = peppers.list()?;
        if state.current == fingerprint {
            return Err(super::limits::invalid("fingerprint", "the current pepper stays: rotate first"));
        }
        if !state.versions.iter().any(|version| version.fingerprint == fingerprint) {
            let (what, name) = ("pepper", fingerprint.to_string());
            return Err(AdminError::NotFound { what, name, place: String::new() });
        }
        let now_ms = self.now_ms();
        let resealed = self.reseal_under(fingerprint, |row| {
            let ended = matches!(row.status, Status::Revoked { .. }) || row.end_ms().is_some_and(|end| end <= now_ms);
            // A key of another system cannot be found without its handle, which only its next use can make anew.
            (drop_tags && row.verifier.prehash.is_none()) || ended
        })?;
        // Closed first, so that none is written while the rest are counted.
        peppers.set_retired(fingerprint, Some(now_ms), self.pepper_event(Action::PepperRetired, fingerprint))?;
        let count = peppers.count_under(fingerprint)?;
        if count > 0 {
            peppers.set_retired(fingerprint, None, self.pepper_event(Action::PepperAdded, fingerprint))?;
            return Err(AdminError::PepperInUse { fingerprint, count });
        }
        self.backend.keyring.reload(&peppers.list()?)?;
        Ok(Retired { resealed })
    }

    /// Seals the chosen rows under a pepper anew, without a tag. A forged row is left, and so keeps the pepper.
    fn reseal_under(&self, fingerprint: PepperFingerprint, chosen: impl Fn(&Credential) -> bool) -> AdminResult<u64> {
        let permit = self.permit(Act::Govern)?;
        let (mut after, mut total) = (None::<CredentialId>, 0);
        loop {
            let page = Page { after, limit: BATCH };
            let rows = permit.store().peppers().credentials_under(fingerprint, &page)?;
            let Some(last) = rows.last() else { return Ok(total) };
            after = Some(last.id);
            let ring = self.backend.keyring.ring();
            let genuine = |row: &Credential| ring.is_genuine(row) == Some(true);
            let sealed: Vec<Resealed> = rows
                .into_iter()
                .filter(|row| genuine(row) && chosen(row))
                .map(|mut row| {
                    let was = row.row_mac;
                    row.verifier.tag = None;
                    row.verifier.pepper = ring.current().fingerprint();
                    ring.seal(&mut row);
                    Resealed { id: row.id, was, verifier: row.verifier, row_mac: row.row_mac, handle: None }
                })
                .collect();
            drop(ring);
            if !sealed.is_empty() {
                total += permit.store().peppers().reseal(&sealed, &|count| self.resealed_event(count))?;
            }
        }
    }

    fn resealed_event(&self, count: u64) -> crate::domain::AuditEvent {
        let details = vec![(DetailKey::Count, count.to_string())];
        self.event(Action::CredentialsResealed, Subject::Pepper, None, details)
    }

    /// Declares a pepper lost. Until the time is over, Argon2id proves a key under it once more at its next use, and the
    /// row is sealed under the current pepper. What such rows say is taken as it stands meanwhile.
    ///
    /// # Errors
    /// When it is held after all.
    pub fn lose_pepper(
        &self,
        lost: PepperFingerprint,
        current: &crate::verify::tag::Tagger,
        until_ms: i64,
    ) -> AdminResult<()> {
        let record = LostPepper { until_ms, mac: current.loss_mac(lost, until_ms) };
        let mut event = self.pepper_event(Action::PepperLost, lost);
        event.details.push((DetailKey::Until, until_ms.to_string()));
        self.permit(Act::Govern)?.store().peppers().set_lost(lost, record, current.fingerprint(), event)?;
        Ok(())
    }
}
