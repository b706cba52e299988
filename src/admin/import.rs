//! Keys that other systems made, taken over from files (rule R6).
//!
//! A line is a key: how its secret is known (a digest, another system's slow hash, or the key itself), and what it is bound
//! to. What has the entropy of a generated key is proven by a tag over its digest, everything else by Argon2id over it;
//! the digest itself is never stored. A slow hash is stored as it is, until the key is first used.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;

use ipnet::IpNet;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::admin::authority::{Act, Permit};
use crate::admin::foreign::{Foreign, foreign_of};
use crate::admin::formats::{self, Format, Line, Secret};
use crate::admin::limits;
use crate::admin::{Admin, AdminError, AdminResult};
use crate::domain::event::DetailKey;
use crate::domain::imported::{Handle, Method, Prehash, Proof};
use crate::domain::{
    Action, AppId, Credential, CredentialId, Environment, Status, Subject, Tenant, TenantStatus, UserId, Verifier,
};
use crate::store::{Imported, StoreError};
use crate::verify::argon::{self, Cost};
use crate::verify::imported::MOST_METHODS;
use crate::verify::keyring::Ring;

/// The longest line that is looked at, in bytes.
const MAX_LINE: u64 = 64 * 1024;
/// Refused lines that are told one by one; the rest are counted.
const MOST_TOLD: usize = 1_000;

/// How much chance is in a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entropy {
    /// At least 112 bits from a generator: a tag is enough.
    High,
    /// Less, or not known: Argon2id, for ever.
    Low,
}

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// What the lines are.
    pub format: Format,
    /// How much chance is in the keys, where the operator says so; else what the format says.
    pub entropy: Option<Entropy>,
    /// The App of lines that name none.
    pub app: Option<AppId>,
    /// The User of lines that name none.
    pub user: Option<UserId>,
    /// Lines stored in one transaction, with one audit event.
    pub batch: usize,
    /// A name for the audit event.
    pub name: String,
    /// Checks everything and stores nothing.
    pub dry_run: bool,
    /// How expensive the stored hashes of low entropy are.
    pub cost: Cost,
}

/// What became of the lines.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Lines read.
    pub lines: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Keys stored; in a dry run, that would be.
    pub imported: u64,
    /// Keys that were there already, from a run before.
    pub already: u64,
    /// Keys of low entropy among the imported: hashed for ever, and worth a rotation.
    pub weak: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// The first of them, by number and reason. Never by what they hold.
    pub reasons: Vec<(u64, String)>,
}

impl Report {
    fn refuse(&mut self, line: u64, reason: String) {
        self.refused += 1;
        if self.reasons.len() < MOST_TOLD {
            self.reasons.push((line, reason));
        }
    }
}

/// A line that can be stored.
struct Row {
    number: u64,
    imported: Imported,
    /// What it would be found by under each pepper that is held.
    handles: Vec<Handle>,
    weak: bool,
}

#[derive(Default)]
struct Batch {
    /// What the ids of its rows begin with, so that they lie together.
    neighbourhood: [u8; 8],
    rows: Vec<Row>,
    /// The ways of finding keys that are in use.
    methods: HashSet<Method>,
    /// Apps and Users that were looked for, and whether they are there.
    apps: HashMap<AppId, bool>,
    users: HashMap<UserId, bool>,
}

impl Batch {
    /// Whether keys may be found so: each way is looked for in everything that may be a key of another system.
    fn knows(&mut self, method: Method) -> bool {
        let room = self.methods.len() < MOST_METHODS;
        self.methods.contains(&method) || (room && self.methods.insert(method))
    }
}

impl Admin {
    /// Imports line by line, in batches that are stored whole or not at all. A run that was cut off is started again: what
    /// is there already is counted and passed over. `progress` is told after each batch.
    ///
    /// # Errors
    /// When the tenant is not there or suspended, the file cannot be read, or the store fails; what was stored stays.
    pub fn import_keys(
        &self,
        tenant: &str,
        request: &ImportRequest,
        lines: &mut dyn BufRead,
        mut progress: impl FnMut(&Report),
    ) -> AdminResult<Report> {
        let permit = self.permit(Act::Govern)?;
        let tenant = permit.tenant(tenant)?;
        if tenant.status == TenantStatus::Suspended {
            return Err(AdminError::Suspended(tenant.slug));
        }
        limits::text("name", &request.name, limits::MAX_NAME)?;
        let methods = permit.store().imports().methods()?.into_iter().map(|(method, _)| method).collect();
        let (mut report, mut batch) = (Report::default(), Batch { methods, ..Batch::default() });
        let mut text = Zeroizing::new(Vec::new());
        loop {
            text.clear();
            let read = std::io::Read::take(&mut *lines, MAX_LINE).read_until(b'\n', &mut text);
            let read =
                read.map_err(|source| StoreError::Failed { operation: "read the import", source: source.into() })?;
            if read == 0 {
                break;
            }
            report.lines += 1;
            report.bytes += read as u64;
            if text.trim_ascii().is_empty() {
                continue;
            }
            let number = report.lines;
            if batch.rows.is_empty() {
                self.backend.entropy.fill(&mut batch.neighbourhood)?;
            }
            match self.row_of(&tenant, request, (number, batch.neighbourhood), text.trim_ascii()) {
                Ok(row) => match &row.imported.handle {
                    Some((method, _)) if !batch.knows(*method) => {
                        let problem =
                            format!("there are {MOST_METHODS} ways of finding keys already, each a read a call");
                        report.refuse(number, problem);
                    }
                    _ => batch.rows.push(row),
                },
                Err(AdminError::Store(error)) => return Err(error.into()),
                Err(error) => report.refuse(number, error.to_string()),
            }
            if batch.rows.len() >= request.batch.max(1) {
                // It may last: whose token is taken back meanwhile stores no more.
                self.still_in_force()?;
                self.store_batch(&permit, &tenant, request, &mut batch, &mut report)?;
                progress(&report);
            }
        }
        self.store_batch(&permit, &tenant, request, &mut batch, &mut report)?;
        progress(&report);
        Ok(report)
    }

    fn row_of(
        &self,
        tenant: &Tenant,
        request: &ImportRequest,
        (number, near): (u64, [u8; 8]),
        text: &[u8],
    ) -> AdminResult<Row> {
        let line = formats::parse(request.format, text).map_err(|problem| limits::invalid("line", problem))?;
        let entropy = request.entropy.or(line.entropy).unwrap_or(Entropy::Low);
        let id = match &line.secret {
            Secret::Native { id, .. } => *id,
            _ => CredentialId::random_near(near, self.backend.entropy.as_ref())?,
        };
        let mut credential = self.bare(tenant, request, &line, id)?;
        let ring = self.backend.keyring.ring();
        let mut handles = Vec::new();
        let handle = match &line.secret {
            Secret::Native { phc, .. } => {
                argon::check(phc)?;
                credential.verifier.phc.clone_from(phc);
                None
            }
            foreign => {
                let Foreign { found_by, value, proof } = foreign_of(foreign, entropy, &ring)?;
                let prehash = Prehash { found_by, proof };
                match (&prehash.proof, foreign) {
                    (Proof::Key { .. }, Secret::Slow { phc, .. }) => credential.verifier.phc.clone_from(phc),
                    (_, Secret::Salted { digest, .. }) => {
                        self.prove(request, entropy, &ring, &prehash, digest, &mut credential)?;
                    }
                    _ => self.prove(request, entropy, &ring, &prehash, &value, &mut credential)?,
                }
                credential.verifier.prehash = Some(prehash);
                handles.extend(ring.held().map(|tagger| tagger.handle(found_by, &value)));
                // The current pepper's is the first.
                handles.first().map(|handle| (found_by, *handle))
            }
        };
        ring.seal(&mut credential);
        let weak = handle.is_some() && entropy == Entropy::Low;
        Ok(Row { number, imported: Imported { credential, handle }, handles, weak })
    }

    /// By a tag what has the entropy of a generated key, by Argon2id what has not.
    fn prove(
        &self,
        request: &ImportRequest,
        entropy: Entropy,
        ring: &Ring,
        prehash: &Prehash,
        made_over: &[u8],
        credential: &mut Credential,
    ) -> AdminResult<()> {
        match entropy {
            Entropy::High => {
                let tag = ring.current().imported_tag(prehash, credential.tenant, credential.id, made_over);
                credential.verifier.tag = Some(tag);
            }
            Entropy::Low if request.dry_run => {}
            Entropy::Low => {
                let (hasher, entropy) = (&self.backend.hasher, self.backend.entropy.as_ref());
                let made = hasher.hash(credential.tenant, credential.id, request.cost, made_over, entropy);
                credential.verifier.phc = made?;
            }
        }
        Ok(())
    }

    /// A record with everything but what proves its secret.
    fn bare(&self, tenant: &Tenant, request: &ImportRequest, line: &Line, id: CredentialId) -> AdminResult<Credential> {
        let number = |field: &'static str, given: Option<u32>| {
            given.ok_or_else(|| limits::invalid(field, "not named by the line, and not by an option"))
        };
        let app = number("app", line.app.or(request.app.map(AppId::get)))?;
        let app = AppId::new(app).ok_or_else(|| limits::invalid("app", "1 to 4294967295"))?;
        let user = number("user", line.user.or(request.user.map(UserId::get)))?;
        let user = UserId::new(user).ok_or_else(|| limits::invalid("user", "1 to 4294967295"))?;
        if !line.active {
            return Err(limits::invalid("line", "the key is blocked or inactive where it comes from"));
        }
        let now_ms = self.now_ms();
        limits::text("label", &line.label, limits::MAX_NAME)?;
        limits::scopes(&line.scopes)?;
        let cidrs: Option<Vec<IpNet>> = line.cidrs.iter().map(|text| text.parse().ok()).collect();
        let cidrs = cidrs.ok_or_else(|| limits::invalid("cidr", "a range such as 10.0.0.0/8"))?;
        limits::cidrs(&cidrs)?;
        limits::times(line.not_before_ms, line.expires_at_ms, now_ms)?;
        Ok(Credential {
            id,
            tenant: tenant.id,
            app,
            user,
            label: line.label.clone(),
            environment: line.environment.unwrap_or(Environment::Live),
            scopes: line.scopes.clone(),
            cidrs,
            not_before_ms: line.not_before_ms,
            expires_at_ms: line.expires_at_ms,
            status: Status::Active,
            replaces: None,
            replaced: None,
            decoy: false,
            verifier: Verifier {
                phc: String::new(),
                tag: None,
                pepper: self.backend.keyring.ring().current().fingerprint(),
                prehash: None,
            },
            generation: self.generation()?,
            row_mac: [0; 32],
            created_by: self.caller.actor.to_text(),
            created_at_ms: now_ms,
            last_used_at_ms: None,
        })
    }

    fn store_batch(
        &self,
        permit: &Permit<'_>,
        tenant: &Tenant,
        request: &ImportRequest,
        batch: &mut Batch,
        report: &mut Report,
    ) -> AdminResult<()> {
        let (mut seen, mut rows) = (HashSet::new(), Vec::new());
        for row in std::mem::take(&mut batch.rows) {
            let found_by =
                row.imported.handle.map_or(row.imported.credential.id.as_bytes().to_vec(), |(_, h)| h.0.to_vec());
            if seen.insert(found_by) {
                rows.push(row);
            } else {
                report.refuse(
                    row.number,
                    "the same key, or one with the same prefix, stands in an earlier line".to_owned(),
                );
            }
        }
        let wanted: Vec<_> =
            rows.iter_mut().map(|row| (row.imported.credential.id, std::mem::take(&mut row.handles))).collect();
        let stored = permit.store().imports().stored(&wanted)?;
        let mut fresh = Vec::new();
        for (Row { number, imported, weak, .. }, stored) in rows.into_iter().zip(stored) {
            let (app, user) = (imported.credential.app, imported.credential.user);
            if stored {
                report.already += 1;
            } else if !known(&mut batch.apps, app, |app| permit.store().apps().by_id(tenant.id, app))? {
                report.refuse(number, format!("there is no App {app} in the tenant"));
            } else if !known(&mut batch.users, user, |user| permit.store().users().by_id(tenant.id, user))? {
                report.refuse(number, format!("there is no User {user} in the tenant"));
            } else {
                report.weak += u64::from(weak);
                fresh.push(imported);
            }
        }
        let count = fresh.len() as u64;
        if !request.dry_run && !fresh.is_empty() {
            let details = vec![(DetailKey::Name, request.name.clone()), (DetailKey::Count, count.to_string())];
            let event = self.event(Action::CredentialsImported, Subject::Imports, Some(tenant.id), details);
            permit.store().imports().import(fresh, event)?;
        }
        report.imported += count;
        Ok(())
    }
}

/// Whether there is such an owner, looked for once.
fn known<K: Copy + Eq + std::hash::Hash, T>(
    cache: &mut HashMap<K, bool>,
    id: K,
    look: impl FnOnce(K) -> Result<Option<T>, StoreError>,
) -> AdminResult<bool> {
    if let Some(known) = cache.get(&id) {
        return Ok(*known);
    }
    let found = look(id)?.is_some();
    cache.insert(id, found);
    Ok(found)
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
