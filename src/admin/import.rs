//! Keys that other systems made, taken over from files (rule R6).
//!
//! A line is a key: how its secret is known (a digest, or the key itself), and what it is bound to. It is proven and
//! stored as if it were ours at once: what has the entropy of a generated key by a tag over its digest, everything else
//! by Argon2id over it. The digest itself is never stored.

use std::collections::HashMap;
use std::io::BufRead;

use ipnet::IpNet;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::admin::formats::{self, Format, Line, Secret};
use crate::admin::limits;
use crate::admin::{Admin, AdminError, AdminResult};
use crate::domain::event::DetailKey;
use crate::domain::imported::{Handle, LENGTHS, Method};
use crate::domain::{
    Action, AppId, Credential, CredentialId, Environment, Status, Subject, Tenant, TenantStatus, UserId, Verifier,
};
use crate::store::{Imported, StoreError};
use crate::verify::argon::{self, Cost};
use crate::verify::imported::digest;

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

#[derive(Default)]
struct Batch {
    /// What the ids of its rows begin with, so that they lie together.
    neighbourhood: [u8; 8],
    rows: Vec<(u64, Imported)>,
    /// Apps and Users that were looked for, and whether they are there.
    apps: HashMap<AppId, bool>,
    users: HashMap<UserId, bool>,
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
        let tenant = self.tenant(tenant)?;
        if tenant.status == TenantStatus::Suspended {
            return Err(AdminError::Suspended(tenant.slug));
        }
        limits::text("name", &request.name, limits::MAX_NAME)?;
        let (mut report, mut batch) = (Report::default(), Batch::default());
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
            if text.trim_ascii().is_empty() {
                continue;
            }
            let number = report.lines;
            if batch.rows.is_empty() {
                self.entropy.fill(&mut batch.neighbourhood)?;
            }
            match self.row_of(&tenant, request, batch.neighbourhood, text.trim_ascii()) {
                Ok((row, weak)) => {
                    report.weak += u64::from(weak);
                    batch.rows.push((number, row));
                }
                Err(AdminError::Store(error)) => return Err(error.into()),
                Err(error) => report.refuse(number, error.to_string()),
            }
            if batch.rows.len() >= request.batch.max(1) {
                self.store_batch(&tenant, request, &mut batch, &mut report)?;
                progress(&report);
            }
        }
        self.store_batch(&tenant, request, &mut batch, &mut report)?;
        progress(&report);
        Ok(report)
    }

    fn row_of(
        &self,
        tenant: &Tenant,
        request: &ImportRequest,
        near: [u8; 8],
        text: &[u8],
    ) -> AdminResult<(Imported, bool)> {
        let line = formats::parse(request.format, text).map_err(|problem| limits::invalid("line", problem))?;
        let entropy = request.entropy.or(line.entropy).unwrap_or(Entropy::Low);
        let id = match &line.secret {
            Secret::Native { id, .. } => *id,
            Secret::Digest(..) | Secret::Key(_) => CredentialId::random_near(near, self.entropy.as_ref())?,
        };
        let mut credential = self.bare(tenant, request, &line, id)?;
        let ring = self.keyring.ring();
        let current = ring.current();
        let mut handle = None;
        match &line.secret {
            Secret::Native { phc, .. } => {
                argon::check(phc)?;
                credential.verifier.phc.clone_from(phc);
            }
            Secret::Digest(..) | Secret::Key(_) => {
                let (method, digest) = match &line.secret {
                    Secret::Key(key) if !LENGTHS.contains(&key.len()) => {
                        let problem = format!("a key of {} to {} characters", LENGTHS.start(), LENGTHS.end());
                        return Err(limits::invalid("key", problem));
                    }
                    Secret::Key(key) if key.contains(&b'.') => {
                        return Err(limits::invalid("key", "has a dot, and would be taken for a JWT"));
                    }
                    Secret::Key(key) => (Method::Sha256, digest(Method::Sha256, key)),
                    Secret::Digest(method, digest) => (*method, digest.clone()),
                    Secret::Native { .. } => return Err(limits::invalid("line", "neither key nor digest")),
                };
                credential.verifier.prehash = Some(method);
                match entropy {
                    Entropy::High => {
                        credential.verifier.tag = Some(current.imported_tag(method, tenant.id, id, &digest));
                    }
                    Entropy::Low if request.dry_run => {}
                    Entropy::Low => {
                        credential.verifier.phc = argon::hash(request.cost, &digest, self.entropy.as_ref())?;
                    }
                }
                handle = Some((method, current.handle(method, &digest)));
            }
        }
        ring.seal(&mut credential);
        let weak = handle.is_some() && entropy == Entropy::Low;
        Ok((Imported { credential, handle }, weak))
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
        let now_ms = self.clock.wall_ms();
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
                pepper: self.keyring.ring().current().fingerprint(),
                prehash: None,
            },
            generation: self.generation()?,
            row_mac: [0; 32],
            created_by: self.actor.to_text(),
            created_at_ms: now_ms,
            last_used_at_ms: None,
        })
    }

    fn store_batch(
        &self,
        tenant: &Tenant,
        request: &ImportRequest,
        batch: &mut Batch,
        report: &mut Report,
    ) -> AdminResult<()> {
        let (mut fresh, mut seen) = (Vec::new(), std::collections::HashSet::new());
        let (mut numbers, mut rows) = (Vec::new(), Vec::new());
        for (number, row) in std::mem::take(&mut batch.rows) {
            if seen.insert(row.handle.map_or(row.credential.id.as_bytes().to_vec(), |(_, Handle(h))| h.to_vec())) {
                numbers.push(number);
                rows.push(row);
            } else {
                report.refuse(number, "the same key stands in an earlier line".to_owned());
            }
        }
        let stored = self.store.imports().stored(&rows)?;
        for ((number, row), stored) in numbers.into_iter().zip(rows).zip(stored) {
            if stored {
                report.already += 1;
            } else if !known(&mut batch.apps, row.credential.app, |app| self.store.apps().by_id(tenant.id, app))? {
                report.refuse(number, format!("there is no App {} in the tenant", row.credential.app));
            } else if !known(&mut batch.users, row.credential.user, |user| self.store.users().by_id(tenant.id, user))? {
                report.refuse(number, format!("there is no User {} in the tenant", row.credential.user));
            } else {
                fresh.push(row);
            }
        }
        let count = fresh.len() as u64;
        if !request.dry_run && !fresh.is_empty() {
            let details = vec![(DetailKey::Name, request.name.clone()), (DetailKey::Count, count.to_string())];
            let event = self.event(Action::CredentialsImported, Subject::Imports, Some(tenant.id), details);
            self.store.imports().import(fresh, event)?;
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
