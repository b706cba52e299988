//! `restore`: a backup takes the place of the store, and nothing that was taken back comes to life again (rule R9).
//!
//! Everything is made beside and moved into place at the end. The replaced database stays, under another name.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::init::{Workshop, local_actor};
use crate::app::{OpenFailure, Settings, pepper_source, subject_key, tokens};
use crate::clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use crate::domain::event::{Actor, DetailKey};
use crate::domain::hex;
use crate::domain::{Action, AuditEvent, Issuer, Status, Subject, Tenant, TenantStatus};
use crate::store::sqlite::backup::{self, Inspection};
use crate::store::sqlite::{self, OpenError, OpenOptions, ProcessKind, SqliteStore, guard, lock, migrate};
use crate::store::{MOST_ISSUERS, Page, Sharing, Store as _, StoreError, StoreResult};
use crate::verify::keyring::Keyring;
use crate::verify::subject::SubjectKey;

/// Rows read at once.
const PAGE: u32 = 500;

/// Why nothing was restored. The store is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreFailure {
    /// The backup, the directory or the pepper.
    #[error(transparent)]
    Open(#[from] OpenFailure),
    /// The backup is not whole.
    #[error("{} is damaged: {damage}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found first.
        damage: String,
    },
    /// What was taken back since the backup cannot be known.
    #[error(
        "the store that is to be replaced cannot be read ({0}), so what was revoked since the backup would be good again: \
         restore with --accept-lost-revocations, then revoke anew what must be"
    )]
    RevocationsLost(String),
    /// The new store could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be copied or moved.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl From<OpenError> for RestoreFailure {
    fn from(error: OpenError) -> Self {
        Self::Open(error.into())
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the backup held.
    pub backup: Inspection,
    /// Revocations of the replaced store that were carried over.
    pub revocations: u64,
    /// Links of the backup that were removed from the replaced store, and so from this one.
    pub links: u64,
    /// Issuers of the backup that were removed from the replaced store or switched off there, and so here.
    pub issuers: u64,
    /// Tokens of the backup that were taken back in the replaced store or are not there, and so taken back here.
    pub tokens: u64,
    /// Tenants that are suspended as they were in the replaced store.
    pub suspensions: u64,
    /// Credentials of the replaced store that the backup does not have.
    pub lost_credentials: u64,
    /// Where the replaced database is now.
    pub replaced: Option<PathBuf>,
}

fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RestoreFailure {
    let path = path.to_owned();
    move |source| RestoreFailure::Io { operation, path, source }
}

/// Puts the backup at `from` in the store's place.
///
/// # Errors
/// When a process uses the store, the backup is damaged or of another pepper, or what was revoked since cannot be known
/// and nobody accepted that.
pub fn restore(settings: &Settings, from: &Path, accept_lost_revocations: bool) -> Result<Restored, RestoreFailure> {
    let data_dir = settings.data_dir.clone().ok_or(OpenFailure::NoDataDir)?;
    guard::check_dir(&data_dir, settings.dev).map_err(OpenError::from)?;
    let _alone = lock::exclusive(&data_dir)?;
    let workshop = Workshop::beside(&data_dir, ".restore").map_err(io("make a directory in", &data_dir))?;
    let copy = workshop.path().join(sqlite::FILE_NAME);
    copy_to(from, &copy).map_err(io("copy", from))?;
    let options =
        |kind| OpenOptions { dev: settings.dev, kind, clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) };
    // Brings it to this version's schema, or says that it is newer.
    let new = SqliteStore::open(workshop.path(), options(ProcessKind::Command))?;
    let backup = backup::inspect(&copy)?;
    if let Some(damage) = backup.damage.first() {
        return Err(RestoreFailure::Damaged { path: from.to_owned(), damage: damage.clone() });
    }
    let keyring =
        Keyring::load(pepper_source(settings, &data_dir), &new.peppers().list()?).map_err(OpenFailure::from)?;
    let mut restored = Restored {
        backup,
        revocations: 0,
        links: 0,
        issuers: 0,
        tokens: 0,
        suspensions: 0,
        lost_credentials: 0,
        replaced: None,
    };
    let mut details = Vec::new();
    let path = data_dir.join(sqlite::FILE_NAME);
    let mut replaced = None;
    if path.symlink_metadata().is_ok() {
        match replaced_store(&data_dir, &workshop, options(ProcessKind::Command)) {
            Ok(old) => {
                carry_over(&old, &new, &keyring, &subject_key(settings, &data_dir), &mut restored)?;
                if let Some((length, head)) = old.audit().head()? {
                    details.push((DetailKey::TrailLength, length.to_string()));
                    details.push((DetailKey::TrailHead, hex::encode(&head)));
                }
            }
            Err(error) if !accept_lost_revocations => return Err(RestoreFailure::RevocationsLost(error.to_string())),
            Err(_) => details.push((DetailKey::AcceptedLoss, "true".to_owned())),
        }
        replaced = Some(data_dir.join(format!("{}.replaced-{}", sqlite::FILE_NAME, SystemClock.wall_ms())));
    } else if accept_lost_revocations {
        details.push((DetailKey::AcceptedLoss, "true".to_owned()));
    } else {
        return Err(RestoreFailure::RevocationsLost("there is none".to_owned()));
    }
    // Their rows are of before: what was taken back since, or ended by a change, would be good again.
    restored.tokens = new.tokens().forget_all(SystemClock.wall_ms())?;
    details.push((DetailKey::Count, restored.revocations.to_string()));
    details.sort_unstable_by_key(|(key, _)| *key);
    let mut epoch = [0; 16];
    SystemEntropy.fill(&mut epoch).map_err(|error| OpenError::System { what: error.to_string() })?;
    new.renew_epoch(event(Action::StoreRestored, Subject::Everything, details, local_actor()), epoch)?;
    new.close()?;
    if let Some(replaced) = &replaced {
        std::fs::rename(&path, replaced).map_err(io("move aside", &path))?;
        for suffix in ["-wal", "-shm"] {
            let mut beside = path.clone().into_os_string();
            beside.push(suffix);
            // Of the replaced database: it must never be taken for the new one's.
            let mut aside = replaced.clone().into_os_string();
            aside.push(suffix);
            let _ = std::fs::rename(beside, aside);
        }
    }
    std::fs::rename(&copy, &path).map_err(io("put in place", &path))?;
    File::open(&data_dir).and_then(|dir| dir.sync_all()).map_err(io("sync", &data_dir))?;
    restored.replaced = replaced;
    Ok(restored)
}

/// Copies bytes into a new file of ours alone, whatever the mode of the other.
fn copy_to(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut source = File::open(from)?;
    guard::create_file(to).map_err(std::io::Error::other)?;
    let mut copy = File::options().write(true).open(to)?;
    std::io::copy(&mut source, &mut copy)?;
    copy.sync_all()
}

fn event(action: Action, subject: Subject, details: Vec<(DetailKey, String)>, actor: Actor) -> AuditEvent {
    let (at_ms, request_id) = (SystemClock.wall_ms(), String::new());
    AuditEvent { at_ms, actor, action, subject, tenant: None, details, request_id }
}

/// The store that is to be replaced, as a copy, so that it stays as it is and no lock of its own is needed. We hold the
/// directory alone, so nobody has its files open.
fn replaced_store(data_dir: &Path, workshop: &Workshop, options: OpenOptions) -> Result<SqliteStore, OpenError> {
    let aside = workshop.path().join("replaced");
    let failed = |source| guard::GuardError::Io { operation: "copy", path: data_dir.to_owned(), source };
    std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&aside).map_err(failed)?;
    for suffix in ["", "-wal"] {
        let name = format!("{}{suffix}", sqlite::FILE_NAME);
        if data_dir.join(&name).exists() {
            copy_to(&data_dir.join(&name), &aside.join(&name)).map_err(failed)?;
        }
    }
    let path = aside.join(sqlite::FILE_NAME);
    let damage = match migrate::status(&path) {
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    if let Some(damage) = damage {
        return Err(OpenError::Damaged { path, damage });
    }
    let store = SqliteStore::open(&aside, options)?;
    match backup::inspect(&path)?.damage.first() {
        Some(damage) => Err(OpenError::Damaged { path, damage: damage.clone() }),
        None => Ok(store),
    }
}

/// Every tenant of a store.
fn tenants(store: &SqliteStore) -> StoreResult<Vec<Tenant>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.tenants().list(&Page { after: after.take(), limit: PAGE })?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.slug.clone());
        all.extend(page);
    }
}

/// Removes from `new` the links of a tenant that were removed from `old`.
fn remove_links(tenant: &Tenant, old: &SqliteStore, new: &SqliteStore, restored: &mut Restored) -> StoreResult<()> {
    let mut after = None;
    loop {
        let page = new.links().list(tenant.id, None, &Page { after, limit: PAGE })?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.created_at_ms, last.id));
        for row in page {
            if old.links().by_id(tenant.id, row.id)?.is_none() {
                let mut event = event(Action::LinkRemoved, Subject::Link(row.id), Vec::new(), Actor::System);
                event.tenant = Some(tenant.id);
                new.links().remove(tenant.id, row.id, event)?;
                restored.links += 1;
            }
        }
    }
}

/// Removes from `new` the issuers of a tenant that were removed from `old`, and switches those off that were switched off or
/// changed there: what a backup takes of one may be what somebody has since put an end to. Without the key of subject hashes the latter's rows are not sealed anew: they are refused like those of somebody
/// else's making.
fn take_back_issuers(
    tenant: &Tenant,
    old: &SqliteStore,
    new: &SqliteStore,
    key: Option<&SubjectKey>,
    restored: &mut Restored,
) -> StoreResult<()> {
    // A tenant has few.
    let page = Page { after: None, limit: MOST_ISSUERS };
    for mut row in new.issuers().list(tenant.id, &page)? {
        let event = |action, details| {
            let event = event(action, Subject::Issuer(row.id), details, Actor::System);
            AuditEvent { tenant: Some(tenant.id), ..event }
        };
        match old.issuers().by_id(tenant.id, row.id)? {
            None => {
                let event = event(Action::IssuerRemoved, vec![(DetailKey::Issuer, row.rules.iss.clone())]);
                new.issuers().remove(tenant.id, row.id, event)?;
            }
            Some(was) if row.active && was.mac != row.mac => {
                let event = event(Action::IssuerChanged, vec![(DetailKey::Active, false.to_string())]);
                row.active = false;
                if let Some(key) = key.filter(|key| key.is_genuine_issuer(&Issuer { active: true, ..row.clone() })) {
                    row.mac = key.issuer_mac(&row);
                }
                new.issuers().update(&row, row.generation, Sharing::Allowed, event)?;
            }
            Some(_) => continue,
        }
        restored.issuers += 1;
    }
    Ok(())
}

/// Takes back in `new` what was taken back in `old`, and lets it know the key of subject hashes that was made since.
fn carry_over(
    old: &SqliteStore,
    new: &SqliteStore,
    keyring: &Keyring,
    subject_key: &Path,
    restored: &mut Restored,
) -> Result<(), RestoreFailure> {
    if let (None, Some(key)) = (new.links().key()?, old.links().key()?) {
        let details = vec![(DetailKey::SubjectKeyFingerprint, key.to_string())];
        new.links().set_key(key, event(Action::SubjectKeyAdded, Subject::SubjectKey, details, Actor::System))?;
    }
    let subject_key = SubjectKey::load_known(subject_key, new.links().key()?).ok();
    tokens::carry_keys(old, new)?;
    new.add_first_uses(old.first_uses()?)?;
    for tenant in tenants(old)? {
        if tenant.status == TenantStatus::Suspended
            && let Some(mut active) = new.tenants().by_id(tenant.id)?
            && active.status == TenantStatus::Active
        {
            active.status = TenantStatus::Suspended;
            let event = event(Action::TenantSuspended, Subject::Tenant(tenant.id), Vec::new(), Actor::System);
            new.tenants().update(&active, active.generation, event)?;
            restored.suspensions += 1;
        }
        remove_links(&tenant, old, new, restored)?;
        take_back_issuers(&tenant, old, new, subject_key.as_ref(), restored)?;
        let mut after = None;
        loop {
            let page = old.credentials().list(tenant.id, &Page { after, limit: PAGE })?;
            let Some(last) = page.last() else { break };
            after = Some((last.created_at_ms, last.id));
            for row in page {
                let Some(mut active) = new.credentials().by_id(tenant.id, row.id)? else {
                    restored.lost_credentials += 1;
                    continue;
                };
                if let (Status::Revoked { reason, .. }, Status::Active) = (&row.status, &active.status) {
                    let details = vec![(DetailKey::Reason, reason.as_str().to_owned())];
                    let mut event =
                        event(Action::CredentialRevoked, Subject::Credential(row.id), details, Actor::System);
                    event.tenant = Some(tenant.id);
                    active.status = row.status.clone();
                    keyring.ring().seal(&mut active);
                    new.credentials().update(&active, active.generation, event)?;
                    restored.revocations += 1;
                }
            }
        }
    }
    Ok(())
}
