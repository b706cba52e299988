//! Why a credential is refused, condition by condition: for admins, who may know; never on the answer path.
//!
//! The conditions are the very tables that requests are judged by, in the same order. All are judged, so that an admin
//! sees everything that is wrong at once; the first that fails is the reason that a request is refused for.

use crate::authenticate::attempt::Attempt;
use crate::authenticate::grant;
use crate::authenticate::link::{Facts, LINKS};
use crate::domain::credential::VALIDITY;
use crate::domain::imported::LENGTHS;
use crate::domain::key_format::KeyParts;
use crate::domain::presented::Scheme;
use crate::domain::{Credential, CredentialId, CredentialKind, LlmGrants, Presented, Reason};
use crate::secret::{CredentialText, Secret};
use crate::store::{LinkedRows, Store, StoreResult};
use crate::verify::api_key::Sealed;
use crate::verify::keyring::Ring;
use crate::verify::{imported, slow, tag};

const PEPPER: &str = "this process holds the pepper that it was stored under";
const GENUINE: &str = "its row is as Latchkey wrote it";
const SECRET: &str = "its secret is the stored one";

/// What is to be explained.
#[derive(Clone, Copy)]
pub enum Asked<'a> {
    /// A credential as a client would present it.
    Credential(&'a Secret<CredentialText>),
    /// The record of that id, whatever its secret.
    Id(CredentialId),
}

/// How a condition turned out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It does not: requests are refused for this.
    Fails(Reason),
    /// It was not asked about, or cannot be judged because something before it is missing.
    NotJudged,
}

/// Every condition in order.
pub struct Explanation {
    /// The credential that was found.
    pub credential: Option<Credential>,
    /// What it must fulfil, and whether it does.
    pub steps: Vec<(&'static str, Outcome)>,
}

impl Explanation {
    /// What a request would be refused for; none if it would be accepted.
    pub fn refused_for(&self) -> Option<Reason> {
        self.steps.iter().find_map(|(_, outcome)| match outcome {
            Outcome::Fails(reason) => Some(*reason),
            Outcome::Holds | Outcome::NotJudged => None,
        })
    }

    fn judge(&mut self, what: &'static str, failed: Option<Reason>) {
        self.steps.push((what, failed.map_or(Outcome::Holds, Outcome::Fails)));
    }

    fn skip(&mut self, what: &'static str) {
        self.steps.push((what, Outcome::NotJudged));
    }
}

/// What the conditions are judged with.
pub struct Explainer<'a> {
    /// Where credentials live.
    pub store: &'a dyn Store,
    /// Proves them.
    pub ring: &'a Ring,
    /// As in [`super::Settings::llm_grants`].
    pub llm_grants: LlmGrants,
    /// The time that expiry is judged by, milliseconds since the epoch.
    pub now_ms: i64,
}

impl Explainer<'_> {
    /// Judges every condition. Blocks, for as long as an Argon2id hash takes where only that can prove the secret.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn explain(&self, asked: Asked<'_>, attempt: &Attempt<'_>) -> StoreResult<Explanation> {
        let mut told = Explanation { credential: None, steps: Vec::new() };
        let form = "it has the form of a credential, its checksum right";
        let (id, parts) = match asked {
            Asked::Id(id) => {
                told.skip(form);
                (id, None)
            }
            Asked::Credential(credential) => match Presented::parse(credential) {
                Err(reason) => {
                    told.judge(form, Some(reason));
                    return Ok(told);
                }
                Ok(presented) => {
                    told.judge(form, None);
                    let kind = "it is an API key";
                    match presented.scheme() {
                        Scheme::Key(parts) if parts.kind == CredentialKind::ApiKey => {
                            told.judge(kind, None);
                            (parts.id, Some(parts))
                        }
                        Scheme::Key(_) => {
                            told.judge(kind, Some(Reason::WrongKind));
                            return Ok(told);
                        }
                        Scheme::Jwt => {
                            told.judge(kind, Some(Reason::JwtNotAccepted));
                            return Ok(told);
                        }
                        Scheme::Foreign(text) => return self.foreign(told, text, attempt),
                    }
                }
            },
        };
        let found = self.store.credentials().look_up(id)?.row;
        told.judge("its id is known", found.is_none().then_some(Reason::UnknownCredential));
        let Some(row) = found else { return Ok(told) };
        self.secret(&mut told, &row, parts.as_ref());
        self.rest(told, row, attempt)
    }

    fn rest(&self, mut told: Explanation, row: Credential, attempt: &Attempt<'_>) -> StoreResult<Explanation> {
        for (what, check) in VALIDITY {
            told.judge(what, check(&row, self.now_ms));
        }
        self.links(&mut told, &row, attempt)?;
        told.credential = Some(row);
        Ok(told)
    }

    /// A key of another system: found by its handle, proven over its digest.
    fn foreign(&self, mut told: Explanation, text: &[u8], attempt: &Attempt<'_>) -> StoreResult<Explanation> {
        let handles = imported::handles(self.ring, &imported::methods(self.store)?, text);
        if handles.is_empty() || !LENGTHS.contains(&text.len()) {
            told.steps.clear();
            told.judge("it has the form of a credential, its checksum right", Some(Reason::CredentialForm));
            return Ok(told);
        }
        let mut found = self.store.imports().look_up(&handles)?.row;
        told.judge("it is a key that was imported", found.is_empty().then_some(Reason::UnknownCredential));
        // Several may begin alike: the first that is not merely another key decides.
        let genuine = |row: &Credential| self.ring.is_genuine(row) == Some(true);
        let at = found.iter().position(|row| !genuine(row) || self.proves(row, text)).unwrap_or(0);
        if at >= found.len() {
            return Ok(told);
        }
        let row = found.swap_remove(at);
        let held = self.ring.of(row.verifier.pepper).is_some();
        told.judge(PEPPER, (!held).then_some(Reason::PepperMissing));
        let genuine = self.ring.is_genuine(&row) == Some(true) && row.verifier.prehash.is_some();
        told.judge(GENUINE, (!genuine).then_some(Reason::RowForged));
        if held && genuine {
            told.judge(SECRET, (!self.proves(&row, text)).then_some(Reason::WrongSecret));
        } else {
            told.skip(SECRET);
        }
        self.rest(told, row, attempt)
    }

    /// Whether a key of another system is the row's.
    fn proves(&self, row: &Credential, text: &[u8]) -> bool {
        match imported::seals(self.ring, row, text) {
            (Sealed::Under { same_secret, genuine_row: true }, made_over) => match row.verifier.tag {
                Some(_) => same_secret,
                None => slow::verify(&row.verifier.phc, &made_over).unwrap_or(false),
            },
            _ => false,
        }
    }

    fn secret(&self, told: &mut Explanation, row: &Credential, parts: Option<&KeyParts<'_>>) {
        let (pepper, genuine, secret) = (PEPPER, GENUINE, SECRET);
        let missing = self.ring.of(row.verifier.pepper).is_none();
        told.judge(pepper, missing.then_some(Reason::PepperMissing));
        if missing {
            told.skip(genuine);
            told.skip(secret);
            return;
        }
        let forged = self.ring.is_genuine(row) != Some(true);
        told.judge(genuine, forged.then_some(Reason::RowForged));
        match parts {
            Some(parts) if !forged => told.judge(secret, self.wrong_secret(row, parts)),
            _ => told.skip(secret),
        }
    }

    fn wrong_secret(&self, row: &Credential, parts: &KeyParts<'_>) -> Option<Reason> {
        let proven = match &row.verifier.tag {
            Some(stored) => {
                let tagger = self.ring.of(row.verifier.pepper).unwrap_or(self.ring.current());
                tag::same_tag(stored, &tagger.tag(CredentialKind::ApiKey, row.tenant, row.id, parts.body))
            }
            None => match slow::verify(&row.verifier.phc, parts.body) {
                Ok(proven) => proven,
                Err(_) => return Some(Reason::RowForged),
            },
        };
        let other = parts.environment != Some(row.environment) || row.verifier.prehash.is_some();
        (!proven || other).then_some(Reason::WrongSecret)
    }

    fn links(&self, told: &mut Explanation, row: &Credential, attempt: &Attempt<'_>) -> StoreResult<()> {
        let LinkedRows { tenant, app, user } = self.store.credentials().linked(row.tenant, row.app, row.user)?.row;
        told.judge("its tenant exists", tenant.is_none().then_some(Reason::TenantUnknown));
        told.judge("its App exists", app.is_none().then_some(Reason::AppUnknown));
        told.judge("its User exists", user.is_none().then_some(Reason::UserUnknown));
        let llm = "its App may use the LLM";
        let (Some(tenant), Some(app), Some(user)) = (&tenant, &app, &user) else {
            for (what, _) in LINKS {
                told.skip(what);
            }
            told.skip(llm);
            return Ok(());
        };
        let facts = Facts { holder: row.into(), tenant, app, user };
        for (what, check) in LINKS {
            told.judge(what, check(&facts, attempt));
        }
        if attempt.llm.is_none() {
            told.skip(llm);
        } else {
            told.judge(llm, grant::check_llm(app, tenant, attempt, self.llm_grants).err());
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
