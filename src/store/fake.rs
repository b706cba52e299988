//! The store in memory: for faults and speed in tests, held to the same contract as the real one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::audit::chain;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::verify::Stored;
use crate::domain;
use crate::domain::imported::{Handle, Method};
use crate::domain::{
    App, AppId, AuditEvent, Change, Credential, CredentialId, Generation, HostSync, Issuer, Link, LinkId, LlmId,
    LostPepper, Operator, PepperFingerprint, Position, Subject, SubjectHash, SubjectKeyFingerprint, Tenant, TenantId,
    UnclaimedApp, User, UserId,
};
use crate::store::{
    Apps, At, Audit, ChainedEvent, CommitListener, Credentials, Feed, HostChange, HostCopy, Imported, Imports,
    IssuerPlace, Issuers, KeptKeys, LinkPlace, LinkedRows, Links, News, Operators, Page, Peppers, Record, RequestKey,
    Requests, Resealed, Room, Store, StoreError, StoreResult, Tenants, Tokens, Users,
};

mod issuers;
mod tokens;

const EPOCH: [u8; 16] = [0; 16];

/// What can be made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Every read, the feed included.
    Reads,
    /// Every mutation: nothing is changed.
    Writes,
}

type Request = (String, Option<TenantId>, String, String);

#[derive(Default)]
struct Rows {
    tenants: BTreeMap<String, Tenant>,
    apps: BTreeMap<AppId, App>,
    users: BTreeMap<UserId, User>,
    credentials: BTreeMap<CredentialId, Credential>,
    hidden: BTreeMap<CredentialId, Credential>,
    operators: BTreeMap<CredentialId, Operator>,
    links: BTreeMap<LinkPlace, Link>,
    first_uses: BTreeMap<SubjectHash, domain::IssuerId>,
    issuers: BTreeMap<IssuerPlace, Issuer>,
    issuer_keys: BTreeMap<domain::IssuerId, KeptKeys>,
    tokens: BTreeMap<domain::JtiHash, domain::IssuedToken>,
    signing_keys: Vec<domain::SigningKeyRow>,
    subject_key: Option<SubjectKeyFingerprint>,
    handles: Vec<(Handle, CredentialId)>,
    methods: std::collections::BTreeSet<(Method, PepperFingerprint)>,
    /// None: any pepper may be named.
    peppers: Option<domain::Peppers>,
    requests: std::collections::HashMap<Request, ([u8; 32], String)>,
    audit: Vec<ChainedEvent>,
    checkpoints: Vec<Checkpoint>,
    base: Option<Checkpoint>,
    changes: Vec<Change>,
    unclaimed: BTreeMap<AppId, UnclaimedApp>,
    released: std::collections::BTreeSet<AppId>,
    sync: Option<HostSync>,
}

impl Rows {
    fn check_pepper(&self, fingerprint: PepperFingerprint) -> StoreResult<()> {
        let Some(peppers) = &self.peppers else { return Ok(()) };
        let known =
            |version: &domain::PepperVersion| version.fingerprint == fingerprint && version.retired_at_ms.is_none();
        if peppers.versions.iter().any(known) { Ok(()) } else { Err(StoreError::Missing { what: "pepper" }) }
    }

    fn pepper(&mut self, fingerprint: PepperFingerprint) -> StoreResult<&mut domain::PepperVersion> {
        let versions = self.peppers.as_mut().map(|peppers| peppers.versions.iter_mut());
        let found = versions.into_iter().flatten().find(|version| version.fingerprint == fingerprint);
        found.ok_or(StoreError::Missing { what: "pepper" })
    }

    fn add_pepper(&mut self, fingerprint: PepperFingerprint, added_at_ms: i64) -> StoreResult<()> {
        if self.pepper(fingerprint).is_ok() {
            return Err(StoreError::Exists { what: "pepper" });
        }
        let version = domain::PepperVersion { fingerprint, added_at_ms, retired_at_ms: None, lost: None };
        let peppers = self.peppers.get_or_insert(domain::Peppers { current: fingerprint, versions: Vec::new() });
        peppers.versions.push(version);
        Ok(())
    }

    fn make_current(&mut self, fingerprint: PepperFingerprint) -> StoreResult<()> {
        self.check_pepper(fingerprint)?;
        if let Some(peppers) = &mut self.peppers {
            peppers.current = fingerprint;
        }
        Ok(())
    }

    fn check_owners(&self, tenant: TenantId, app: AppId, user: UserId) -> StoreResult<()> {
        let owned = |of: TenantId| of == tenant;
        if !self.apps.get(&app).is_some_and(|app| owned(app.tenant)) {
            return Err(StoreError::Missing { what: "App" });
        }
        if !self.users.get(&user).is_some_and(|user| owned(user.tenant)) {
            return Err(StoreError::Missing { what: "User" });
        }
        Ok(())
    }

    fn check_room(&self, new: &Credential, room: Option<Room>) -> StoreResult<()> {
        let Some(room) = room else { return Ok(()) };
        let counts = |row: &&Credential| {
            let end_ms = row.end_ms();
            (row.tenant, row.user, row.app) == (new.tenant, new.user, new.app)
                && row.status == domain::Status::Active
                && !row.decoy
                && end_ms.is_none_or(|end| end > room.now_ms)
        };
        let taken = self.credentials.values().filter(counts).count();
        if taken < room.most as usize { Ok(()) } else { Err(StoreError::Full { what: "credentials" }) }
    }
}

/// The store.
#[derive(Default)]
pub struct FakeStore {
    rows: Mutex<Rows>,
    listener: Mutex<Option<Arc<dyn CommitListener>>>,
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
    reads: AtomicU64,
}

impl FakeStore {
    /// Who is told of each commit.
    pub fn set_listener(&self, listener: Arc<dyn CommitListener>) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// Makes something fail from now on.
    pub fn fail(&self, fault: Fault) {
        match fault {
            Fault::Reads => self.reads_fail.store(true, Ordering::SeqCst),
            Fault::Writes => self.writes_fail.store(true, Ordering::SeqCst),
        }
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.reads_fail.store(false, Ordering::SeqCst);
        self.writes_fail.store(false, Ordering::SeqCst);
    }

    /// Point reads of credentials so far.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// Changes a row behind everybody's back, as somebody with the file and without the pepper would.
    pub fn tamper(&self, id: CredentialId, change: impl FnOnce(&mut Credential)) {
        if let Some(row) = self.rows().credentials.get_mut(&id) {
            change(row);
        }
    }

    /// The same of a link.
    pub fn tamper_link(&self, id: LinkId, change: impl FnOnce(&mut Link)) {
        if let Some(row) = self.rows().links.values_mut().find(|row| row.id == id) {
            change(row);
        }
    }

    /// Takes a credential away, untold.
    pub fn hide(&self, id: CredentialId) {
        let mut rows = self.rows();
        if let Some(row) = rows.credentials.remove(&id) {
            rows.hidden.insert(id, row);
        }
    }

    /// Makes a hidden credential again, as its issue would: told to everybody.
    pub fn show(&self, id: CredentialId) {
        let mut rows = self.rows();
        let Some(row) = rows.hidden.remove(&id) else { return };
        rows.credentials.insert(id, row);
        let position = Position(rows.changes.len() as u64 + 1);
        let change = Change { position, subject: Subject::Credential(id), at_ms: 1 };
        rows.changes.push(change);
        drop(rows);
        if let Some(listener) = self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            listener.committed(&[change]);
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Rows) -> T) -> StoreResult<T> {
        if self.reads_fail.load(Ordering::SeqCst) {
            return Err(StoreError::Failed { operation: "read", source: "a fault was asked for".into() });
        }
        Ok(read(&self.rows()))
    }

    fn check_writes(&self) -> StoreResult<()> {
        if self.writes_fail.load(Ordering::SeqCst) {
            return Err(StoreError::Failed { operation: "write", source: "a fault was asked for".into() });
        }
        Ok(())
    }

    fn commit(
        &self,
        record: impl Into<Record>,
        subjects: &[Subject],
        change: impl FnOnce(&mut Rows) -> StoreResult<()>,
    ) -> StoreResult<()> {
        self.check_writes()?;
        let Record { event, once, room: _ } = record.into();
        let mut rows = self.rows();
        let request = once.map(|once| {
            let key = (event.actor.to_text(), once.tenant, once.method.to_owned(), event.request_id.clone());
            (key, (once.hash, once.resource))
        });
        if request.as_ref().is_some_and(|(key, _)| rows.requests.contains_key(key)) {
            return Err(StoreError::Exists { what: "request" });
        }
        change(&mut rows)?;
        rows.requests.extend(request);
        let base = rows.base.as_ref().map(|base| (base.sequence, base.head));
        let last = rows.audit.last().map(|last| (last.sequence, last.hash)).or(base);
        let (last, previous) = last.unwrap_or_else(|| (0, chain::genesis(&EPOCH)));
        let sequence = last + 1;
        let (hash, at_ms) = (chain::hash(&previous, sequence, &event), event.at_ms);
        rows.audit.push(ChainedEvent { sequence, event, hash });
        let from = rows.changes.len();
        for &subject in subjects {
            let position = Position(rows.changes.len() as u64 + 1);
            rows.changes.push(Change { position, subject, at_ms });
        }
        let changes: Vec<Change> = rows.changes.iter().skip(from).copied().collect();
        drop(rows);
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener {
            listener.committed(&changes);
        }
        Ok(())
    }
}

/// Rows after a key, at most so many.
fn page<K: Ord + Clone, V: Clone>(rows: &BTreeMap<K, V>, page: &Page<K>, keep: impl Fn(&V) -> bool) -> Vec<V> {
    let after = |key: &K| page.after.as_ref().is_none_or(|after| key > after);
    let kept = rows.iter().filter(|(key, row)| after(key) && keep(row)).map(|(_, row)| row.clone());
    kept.take(page.limit as usize).collect()
}

impl Store for FakeStore {
    fn tenants(&self) -> &dyn Tenants {
        self
    }
    fn apps(&self) -> &dyn Apps {
        self
    }
    fn users(&self) -> &dyn Users {
        self
    }
    fn links(&self) -> &dyn Links {
        self
    }
    fn issuers(&self) -> &dyn Issuers {
        self
    }
    fn tokens(&self) -> &dyn Tokens {
        self
    }
    fn credentials(&self) -> &dyn Credentials {
        self
    }
    fn operators(&self) -> &dyn Operators {
        self
    }
    fn peppers(&self) -> &dyn Peppers {
        self
    }
    fn imports(&self) -> &dyn Imports {
        self
    }
    fn audit(&self) -> &dyn Audit {
        self
    }
    fn requests(&self) -> &dyn Requests {
        self
    }
    fn host_copy(&self) -> &dyn HostCopy {
        self
    }
    fn feed(&self) -> &dyn Feed {
        self
    }
}

impl Requests for FakeStore {
    fn find(&self, key: &RequestKey<'_>) -> StoreResult<Option<([u8; 32], String)>> {
        let key = (key.actor.to_owned(), key.tenant, key.method.to_owned(), key.request_id.to_owned());
        self.read(|rows| rows.requests.get(&key).cloned())
    }
}

impl Tenants for FakeStore {
    fn create(&self, tenant: &Tenant, record: Record) -> StoreResult<()> {
        self.commit(record, &[Subject::Tenant(tenant.id)], |rows| {
            if rows.tenants.contains_key(&tenant.slug) {
                return Err(StoreError::Exists { what: "tenant" });
            }
            rows.tenants.insert(tenant.slug.clone(), tenant.clone());
            Ok(())
        })
    }
    fn by_slug(&self, slug: &str) -> StoreResult<Option<Tenant>> {
        self.read(|rows| rows.tenants.get(slug).cloned())
    }
    fn by_id(&self, id: TenantId) -> StoreResult<Option<Tenant>> {
        self.read(|rows| rows.tenants.values().find(|tenant| tenant.id == id).cloned())
    }
    fn list(&self, wanted: &Page<String>) -> StoreResult<Vec<Tenant>> {
        self.read(|rows| page(&rows.tenants, wanted, |_| true))
    }
    fn update(&self, tenant: &Tenant, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::Tenant(tenant.id)], |rows| {
            let row = rows.tenants.values_mut().find(|row| row.id == tenant.id && row.generation == expected);
            row.map(|row| *row = tenant.clone()).ok_or(StoreError::Conflict { what: "tenant" })
        })
    }
}

impl Apps for FakeStore {
    fn add(&self, app: &App, record: Record) -> StoreResult<()> {
        self.commit(record, &[Subject::App(app.id)], |rows| {
            if !rows.tenants.values().any(|tenant| tenant.id == app.tenant) {
                return Err(StoreError::Missing { what: "tenant" });
            }
            if rows.apps.contains_key(&app.id) {
                return Err(StoreError::Exists { what: "App" });
            }
            rows.apps.insert(app.id, app.clone());
            rows.released.remove(&app.id);
            Ok(())
        })
    }
    fn by_id(&self, tenant: TenantId, id: AppId) -> StoreResult<Option<App>> {
        self.read(|rows| rows.apps.get(&id).filter(|app| app.tenant == tenant).cloned())
    }
    fn list(&self, tenant: TenantId, wanted: &Page<AppId>) -> StoreResult<Vec<App>> {
        self.read(|rows| page(&rows.apps, wanted, |app| app.tenant == tenant))
    }
    fn update(&self, app: &App, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::App(app.id)], |rows| {
            let row = rows.apps.get_mut(&app.id).filter(|row| row.tenant == app.tenant && row.generation == expected);
            row.map(|row| *row = app.clone()).ok_or(StoreError::Conflict { what: "App" })
        })
    }
    fn remove(&self, tenant: TenantId, id: AppId, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::App(id)], |rows| {
            rows.apps.get(&id).filter(|app| app.tenant == tenant).ok_or(StoreError::Missing { what: "App" })?;
            rows.apps.remove(&id);
            rows.released.insert(id);
            Ok(())
        })
    }
}

impl Users for FakeStore {
    fn add(&self, user: &User, record: Record) -> StoreResult<()> {
        self.commit(record, &[Subject::User(user.id)], |rows| {
            if !rows.tenants.values().any(|tenant| tenant.id == user.tenant) {
                return Err(StoreError::Missing { what: "tenant" });
            }
            if rows.users.contains_key(&user.id) {
                return Err(StoreError::Exists { what: "User" });
            }
            rows.users.insert(user.id, user.clone());
            Ok(())
        })
    }
    fn by_id(&self, tenant: TenantId, id: UserId) -> StoreResult<Option<User>> {
        self.read(|rows| rows.users.get(&id).filter(|user| user.tenant == tenant).cloned())
    }
    fn owner_of(&self, id: UserId) -> StoreResult<Option<TenantId>> {
        self.read(|rows| rows.users.get(&id).map(|user| user.tenant))
    }
    fn list(&self, tenant: TenantId, wanted: &Page<UserId>) -> StoreResult<Vec<User>> {
        self.read(|rows| page(&rows.users, wanted, |user| user.tenant == tenant))
    }
    fn update(&self, user: &User, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::User(user.id)], |rows| {
            let row =
                rows.users.get_mut(&user.id).filter(|row| row.tenant == user.tenant && row.generation == expected);
            row.map(|row| *row = user.clone()).ok_or(StoreError::Conflict { what: "User" })
        })
    }
    fn remove(&self, tenant: TenantId, id: UserId, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::User(id)], |rows| {
            rows.users.get(&id).filter(|user| user.tenant == tenant).ok_or(StoreError::Missing { what: "User" })?;
            rows.users.remove(&id);
            Ok(())
        })
    }
}

impl Links for FakeStore {
    fn key(&self) -> StoreResult<Option<SubjectKeyFingerprint>> {
        self.read(|rows| rows.subject_key)
    }
    fn any(&self) -> StoreResult<bool> {
        self.read(|rows| !rows.links.is_empty() || !rows.issuers.is_empty())
    }
    fn set_key(&self, key: SubjectKeyFingerprint, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::SubjectKey], |rows| {
            if !rows.links.is_empty() || !rows.issuers.is_empty() {
                return Err(StoreError::Conflict { what: "subject key" });
            }
            rows.subject_key = Some(key);
            Ok(())
        })
    }
    fn add(&self, link: &Link, record: Record) -> StoreResult<()> {
        self.commit(record, &[Subject::Link(link.id), Subject::Links], |rows| {
            rows.check_owners(link.tenant, link.app, link.user)?;
            let same = |row: &Link| (row.tenant, &row.issuer, row.subject) == (link.tenant, &link.issuer, link.subject);
            if rows.links.values().any(|row| row.id == link.id || same(row)) {
                return Err(StoreError::Exists { what: "link" });
            }
            rows.links.insert((link.created_at_ms, link.id), link.clone());
            Ok(())
        })
    }
    fn add_first(
        &self,
        link: &Link,
        issuer: (domain::IssuerId, Generation),
        cap: u32,
        event: AuditEvent,
    ) -> StoreResult<()> {
        self.commit(event, &[Subject::Link(link.id), Subject::Links], |rows| {
            let as_read = |row: &crate::domain::Issuer| (row.id, row.generation) == issuer && row.active;
            if !rows.issuers.values().any(as_read) {
                return Err(StoreError::Conflict { what: "issuer" });
            }
            if rows.first_uses.values().filter(|id| **id == issuer.0).count()
                >= usize::try_from(cap).unwrap_or(usize::MAX)
            {
                return Err(StoreError::Full { what: "links made at a first use" });
            }
            rows.check_owners(link.tenant, link.app, link.user)?;
            let same = |row: &Link| (row.tenant, &row.issuer, row.subject) == (link.tenant, &link.issuer, link.subject);
            if rows.links.values().any(same) || rows.first_uses.contains_key(&link.subject) {
                return Err(StoreError::Exists { what: "link" });
            }
            rows.first_uses.insert(link.subject, issuer.0);
            rows.links.insert((link.created_at_ms, link.id), link.clone());
            Ok(())
        })
    }
    fn may_be_first(&self, issuer: domain::IssuerId, subject: SubjectHash, cap: u32) -> StoreResult<bool> {
        self.read(|rows| {
            let made = rows.first_uses.values().filter(|id| **id == issuer).count();
            made < usize::try_from(cap).unwrap_or(usize::MAX) && !rows.first_uses.contains_key(&subject)
        })
    }
    fn by_id(&self, tenant: TenantId, id: LinkId) -> StoreResult<Option<Link>> {
        self.read(|rows| rows.links.values().find(|row| row.id == id && row.tenant == tenant).cloned())
    }
    fn find(&self, tenant: TenantId, issuer: &str, subject: SubjectHash) -> StoreResult<Option<Link>> {
        let about = |row: &&Link| (row.tenant, row.issuer.as_str(), row.subject) == (tenant, issuer, subject);
        self.read(|rows| rows.links.values().find(about).cloned())
    }
    fn look_up(&self, tenant: TenantId, issuer: &str, subject: SubjectHash) -> StoreResult<At<Option<Link>>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let about = |row: &&Link| (row.tenant, row.issuer.as_str(), row.subject) == (tenant, issuer, subject);
        self.read(|rows| At {
            position: Position(rows.changes.len() as u64),
            row: rows.links.values().find(about).cloned(),
        })
    }
    fn list(&self, tenant: TenantId, issuer: Option<&str>, wanted: &Page<LinkPlace>) -> StoreResult<Vec<Link>> {
        let of = |row: &Link| row.tenant == tenant && issuer.is_none_or(|issuer| row.issuer == issuer);
        self.read(|rows| page(&rows.links, wanted, of))
    }
    fn remove(&self, tenant: TenantId, id: LinkId, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::Link(id), Subject::Links], |rows| {
            let place = rows.links.values().find(|row| row.id == id && row.tenant == tenant);
            let place = place.map(|row| (row.created_at_ms, row.id)).ok_or(StoreError::Missing { what: "link" })?;
            rows.links.remove(&place);
            Ok(())
        })
    }
}

impl Credentials for FakeStore {
    fn issue(&self, credential: &Credential, record: Record) -> StoreResult<()> {
        let room = record.room;
        self.commit(record, &[Subject::Credential(credential.id)], |rows| {
            rows.check_owners(credential.tenant, credential.app, credential.user)?;
            rows.check_room(credential, room)?;
            rows.check_pepper(credential.verifier.pepper)?;
            if rows.credentials.contains_key(&credential.id) {
                return Err(StoreError::Exists { what: "credential" });
            }
            rows.credentials.insert(credential.id, credential.clone());
            Ok(())
        })
    }
    fn look_up(&self, id: CredentialId) -> StoreResult<At<Option<Credential>>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.read(|rows| At { position: Position(rows.changes.len() as u64), row: rows.credentials.get(&id).cloned() })
    }
    fn linked(&self, tenant: TenantId, app: AppId, user: UserId) -> StoreResult<At<LinkedRows>> {
        self.read(|rows| {
            let row = LinkedRows {
                tenant: rows.tenants.values().find(|row| row.id == tenant).cloned(),
                app: rows.apps.get(&app).filter(|app| app.tenant == tenant).cloned(),
                user: rows.users.get(&user).filter(|user| user.tenant == tenant).cloned(),
            };
            At { position: Position(rows.changes.len() as u64), row }
        })
    }
    fn by_id(&self, tenant: TenantId, id: CredentialId) -> StoreResult<Option<Credential>> {
        self.read(|rows| rows.credentials.get(&id).filter(|row| row.tenant == tenant).cloned())
    }
    fn list(&self, tenant: TenantId, wanted: &Page<(i64, CredentialId)>) -> StoreResult<Vec<Credential>> {
        self.read(|rows| {
            let by_age = rows.credentials.values().map(|row| ((row.created_at_ms, row.id), row.clone())).collect();
            page(&by_age, wanted, |row: &Credential| row.tenant == tenant)
        })
    }
    fn list_of(
        &self,
        tenant: TenantId,
        user: UserId,
        wanted: &Page<(i64, CredentialId)>,
    ) -> StoreResult<Vec<Credential>> {
        self.read(|rows| {
            let by_age = rows.credentials.values().map(|row| ((row.created_at_ms, row.id), row.clone())).collect();
            page(&by_age, wanted, |row: &Credential| row.tenant == tenant && row.user == user)
        })
    }
    fn update(&self, credential: &Credential, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        let at_ms = event.at_ms;
        self.commit(event, &[Subject::Credential(credential.id)], |rows| {
            rows.check_pepper(credential.verifier.pepper)?;
            let row = rows.credentials.get_mut(&credential.id);
            let row = row.filter(|row| row.tenant == credential.tenant && row.generation == expected);
            row.map(|row| *row = credential.clone()).ok_or(StoreError::Conflict { what: "credential" })?;
            if credential.replaced.is_some() {
                rows.revoke_tokens_of(credential.id, None, at_ms);
            }
            Ok(())
        })
    }
    fn rotate(&self, new: &Credential, old: &Credential, expected: Generation, record: Record) -> StoreResult<()> {
        let (room, at_ms) = (record.room, record.event.at_ms);
        self.commit(record, &[Subject::Credential(old.id), Subject::Credential(new.id)], |rows| {
            rows.check_owners(new.tenant, new.app, new.user)?;
            rows.check_pepper(new.verifier.pepper)?;
            rows.check_pepper(old.verifier.pepper)?;
            if rows.credentials.contains_key(&new.id) {
                return Err(StoreError::Exists { what: "credential" });
            }
            let row = rows.credentials.get_mut(&old.id);
            let row = row.filter(|row| row.tenant == old.tenant && row.generation == expected);
            let before = row.map(|row| std::mem::replace(row, old.clone()));
            let before = before.ok_or(StoreError::Conflict { what: "credential" })?;
            if let Err(full) = rows.check_room(new, room) {
                rows.credentials.insert(old.id, before);
                return Err(full);
            }
            rows.credentials.insert(new.id, new.clone());
            rows.revoke_tokens_of(old.id, Some(expected), at_ms);
            Ok(())
        })
    }
    fn used(&self, uses: &[(CredentialId, i64)]) -> StoreResult<()> {
        self.check_writes()?;
        let mut rows = self.rows();
        for (id, at_ms) in uses {
            if let Some(row) = rows.credentials.get_mut(id) {
                row.last_used_at_ms = row.last_used_at_ms.max(Some(*at_ms));
            }
        }
        Ok(())
    }
}

impl Operators for FakeStore {
    fn add(&self, operator: &Operator, record: Record) -> StoreResult<()> {
        self.commit(record, &[Subject::Operator(operator.id)], |rows| {
            if rows.operators.values().any(|row| row.id == operator.id || row.name == operator.name) {
                return Err(StoreError::Exists { what: "operator" });
            }
            let taken = |row: &Operator| row.certificate == operator.certificate && row.revoked_at_ms.is_none();
            if operator.certificate.is_some() && rows.operators.values().any(taken) {
                return Err(StoreError::Exists { what: "certificate" });
            }
            rows.operators.insert(operator.id, operator.clone());
            Ok(())
        })
    }
    fn look_up(&self, id: CredentialId) -> StoreResult<Option<Operator>> {
        self.read(|rows| rows.operators.get(&id).cloned())
    }
    fn by_certificate(&self, public_key: &[u8; 32]) -> StoreResult<Option<Operator>> {
        let is_it = |row: &&Operator| row.certificate == Some(*public_key) && row.revoked_at_ms.is_none();
        self.read(|rows| rows.operators.values().find(is_it).cloned())
    }
    fn revoke(&self, operator: &Operator, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::Operator(operator.id)], |rows| {
            if !rows.operators.values().any(|row| row.governs() && row.id != operator.id) {
                return Err(StoreError::Missing { what: "owner" });
            }
            match rows.operators.get_mut(&operator.id) {
                Some(row) if row.generation == expected => row.clone_from(operator),
                _ => return Err(StoreError::Conflict { what: "operator" }),
            }
            Ok(())
        })
    }
    fn list(&self) -> StoreResult<Vec<Operator>> {
        self.read(|rows| rows.operators.values().cloned().collect())
    }
}

impl Peppers for FakeStore {
    fn list(&self) -> StoreResult<domain::Peppers> {
        let none = domain::Peppers { current: PepperFingerprint([0; 16]), versions: Vec::new() };
        self.read(|rows| rows.peppers.clone().unwrap_or(none))
    }
    fn add(&self, fingerprint: PepperFingerprint, event: AuditEvent) -> StoreResult<()> {
        let at_ms = event.at_ms;
        self.commit(event, &[Subject::Pepper], |rows| rows.add_pepper(fingerprint, at_ms))
    }
    fn make_current(&self, fingerprint: PepperFingerprint, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::Pepper], |rows| rows.make_current(fingerprint))
    }
    fn set_retired(&self, fingerprint: PepperFingerprint, at_ms: Option<i64>, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::Pepper], |rows| {
            if rows.peppers.as_ref().is_some_and(|peppers| peppers.current == fingerprint) {
                return Err(StoreError::Missing { what: "pepper" });
            }
            rows.pepper(fingerprint)?.retired_at_ms = at_ms;
            Ok(())
        })
    }
    fn set_lost(
        &self,
        fingerprint: PepperFingerprint,
        lost: LostPepper,
        current: PepperFingerprint,
        event: AuditEvent,
    ) -> StoreResult<()> {
        let at_ms = event.at_ms;
        self.commit(event, &[Subject::Pepper], |rows| {
            rows.pepper(fingerprint)?.lost = Some(lost);
            if rows.check_pepper(current).is_err() {
                rows.add_pepper(current, at_ms)?;
            }
            rows.make_current(current)
        })
    }
    fn credentials_under(
        &self,
        fingerprint: PepperFingerprint,
        wanted: &Page<CredentialId>,
    ) -> StoreResult<Vec<Credential>> {
        self.read(|rows| page(&rows.credentials, wanted, |row| row.verifier.pepper == fingerprint))
    }
    fn count_under(&self, fingerprint: PepperFingerprint) -> StoreResult<u64> {
        self.read(|rows| rows.credentials.values().filter(|row| row.verifier.pepper == fingerprint).count() as u64)
    }
    fn reseal(&self, resealed: &[Resealed], event: &dyn Fn(u64) -> AuditEvent) -> StoreResult<u64> {
        let mut sealed = 0;
        let moved = resealed.iter().any(|row| row.handle.is_some());
        let subjects: &[Subject] = if moved { &[Subject::Imports] } else { &[] };
        self.commit(event(resealed.len() as u64), subjects, |rows| {
            for new in resealed {
                rows.check_pepper(new.verifier.pepper)?;
                if let Some(row) = rows.credentials.get_mut(&new.id).filter(|row| row.row_mac == new.was) {
                    (row.verifier, row.row_mac) = (new.verifier.clone(), new.row_mac);
                    if let Some((method, handle)) = new.handle {
                        rows.handles.retain(|(_, id)| *id != new.id);
                        rows.handles.push((handle, new.id));
                        rows.methods.insert((method, new.verifier.pepper));
                    }
                    sealed += 1;
                }
            }
            Ok(())
        })?;
        Ok(sealed)
    }
    fn reseal_operator(&self, operator: &Operator, expected: Generation, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::Operator(operator.id)], |rows| {
            rows.check_pepper(operator.verifier.pepper)?;
            let row = rows.operators.get_mut(&operator.id).filter(|row| row.generation == expected);
            row.map(|row| *row = operator.clone()).ok_or(StoreError::Conflict { what: "operator" })
        })
    }
}

impl Imports for FakeStore {
    fn methods(&self) -> StoreResult<Vec<(Method, PepperFingerprint)>> {
        self.read(|rows| rows.methods.iter().copied().collect())
    }
    fn look_up(&self, handles: &[Handle]) -> StoreResult<At<Vec<Credential>>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.read(|rows| {
            let id_of = |handle: &Handle| rows.handles.iter().find(|(known, _)| known == handle).map(|(_, id)| id);
            let row = handles.iter().filter_map(|handle| rows.credentials.get(id_of(handle)?).cloned()).collect();
            At { position: Position(rows.changes.len() as u64), row }
        })
    }
    fn stored(&self, wanted: &[(CredentialId, Vec<Handle>)]) -> StoreResult<Vec<bool>> {
        self.read(|rows| {
            let known = |handle: &Handle| rows.handles.iter().any(|(known, _)| known == handle);
            let stored = |(id, handles): &(CredentialId, Vec<Handle>)| {
                handles.iter().any(known) || (handles.is_empty() && rows.credentials.contains_key(id))
            };
            wanted.iter().map(stored).collect()
        })
    }
    fn import(&self, imported: Vec<Imported>, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[Subject::Imports], |rows| {
            for Imported { credential, handle } in &imported {
                rows.check_owners(credential.tenant, credential.app, credential.user)?;
                rows.check_pepper(credential.verifier.pepper)?;
                let taken = |other: &(Handle, CredentialId)| handle.is_some_and(|(_, handle)| handle == other.0);
                if rows.handles.iter().any(taken) || rows.credentials.contains_key(&credential.id) {
                    return Err(StoreError::Exists { what: "key" });
                }
            }
            for Imported { credential, handle } in &imported {
                rows.credentials.insert(credential.id, credential.clone());
                if let Some((method, handle)) = handle {
                    rows.handles.push((*handle, credential.id));
                    rows.methods.insert((*method, credential.verifier.pepper));
                }
            }
            Ok(())
        })
    }
}

impl Audit for FakeStore {
    fn list(&self, after: u64, limit: u32) -> StoreResult<Vec<ChainedEvent>> {
        self.read(|rows| {
            rows.audit.iter().filter(|event| event.sequence > after).take(limit as usize).cloned().collect()
        })
    }
    fn stored(&self, after: u64, limit: u32) -> StoreResult<Vec<Stored>> {
        let events = Audit::list(self, after, limit)?;
        let stored = |e: ChainedEvent| Stored { sequence: e.sequence, hash: e.hash, event: Some(e.event) };
        Ok(events.into_iter().map(stored).collect())
    }
    fn beginning(&self) -> StoreResult<([u8; 16], Option<Checkpoint>)> {
        self.read(|rows| (EPOCH, rows.base.clone()))
    }
    fn checkpoints(&self, after: u64, limit: u32) -> StoreResult<Vec<Checkpoint>> {
        self.read(|rows| rows.checkpoints.iter().filter(|c| c.sequence > after).take(limit as usize).cloned().collect())
    }
    fn checkpoint_at_most(&self, sequence: u64) -> StoreResult<Option<Checkpoint>> {
        self.read(|rows| rows.checkpoints.iter().rfind(|c| c.sequence <= sequence).cloned())
    }
    fn add_checkpoints(&self, signed: &[Checkpoint]) -> StoreResult<()> {
        self.check_writes()?;
        let checkpoints = &mut self.rows().checkpoints;
        checkpoints.extend_from_slice(signed);
        checkpoints.sort_by_key(|c| c.sequence);
        Ok(())
    }
    fn prune(&self, base: &Checkpoint, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[], |rows| {
            rows.audit.retain(|event| event.sequence > base.sequence);
            rows.checkpoints.retain(|c| c.sequence > base.sequence);
            rows.base = Some(base.clone());
            Ok(())
        })
    }
    fn note(&self, event: AuditEvent) -> StoreResult<()> {
        self.commit(event, &[], |_| Ok(()))
    }
    fn head(&self) -> StoreResult<Option<(u64, [u8; 32])>> {
        self.read(|rows| rows.audit.last().map(|event| (event.sequence, event.hash)))
    }
}

impl Feed for FakeStore {
    fn position(&self) -> StoreResult<Position> {
        self.read(|rows| Position(rows.changes.len() as u64))
    }
    fn news(&self, since: Position) -> StoreResult<News> {
        self.read(|rows| {
            let now = Position(rows.changes.len() as u64);
            let changes: Vec<Change> = rows.changes.iter().filter(|c| c.position > since).copied().collect();
            match (now < since, changes.is_empty()) {
                (true, _) => News::Lost { position: now },
                (false, true) => News::Nothing,
                (false, false) => News::Changes(changes),
            }
        })
    }
}

impl Rows {
    fn host_change(&mut self, change: &HostChange) -> StoreResult<()> {
        match change.clone() {
            HostChange::App { app, expected } => {
                let row = self.apps.get_mut(&app.id).filter(|row| row.generation == expected);
                *row.ok_or(StoreError::Conflict { what: "App" })? = app.clone();
                Ok(())
            }
            HostChange::Claim(app) => {
                let id = app.id;
                if self.apps.contains_key(&id) {
                    return Err(StoreError::Exists { what: "App" });
                }
                self.apps.insert(id, app);
                self.released.remove(&id);
                Ok(())
            }
            HostChange::RemoveApp { id, .. } => {
                self.released.insert(id);
                self.apps.remove(&id).map(drop).ok_or(StoreError::Missing { what: "App" })
            }
            HostChange::User { user, expected } => {
                let row = self.users.get_mut(&user.id).filter(|row| row.generation == expected);
                *row.ok_or(StoreError::Conflict { what: "User" })? = user.clone();
                Ok(())
            }
            HostChange::RemoveUser { id, .. } => {
                self.users.remove(&id).map(drop).ok_or(StoreError::Missing { what: "User" })
            }
            HostChange::Unclaimed(app) => {
                self.unclaimed.insert(app.id, app);
                Ok(())
            }
            HostChange::Forget(id) => {
                self.unclaimed.remove(&id);
                Ok(())
            }
        }
    }
}

impl HostCopy for FakeStore {
    fn claimed(&self, ids: &[AppId]) -> StoreResult<Vec<App>> {
        self.read(|rows| rows.apps.values().filter(|app| ids.contains(&app.id)).cloned().collect())
    }
    fn list_claimed(&self, wanted: &Page<AppId>) -> StoreResult<Vec<App>> {
        self.read(|rows| page(&rows.apps, wanted, |_| true))
    }
    fn with_llm(&self, llm: LlmId, wanted: &Page<AppId>) -> StoreResult<Vec<App>> {
        self.read(|rows| page(&rows.apps, wanted, |app| app.llms.iter().any(|grant| grant.id == llm)))
    }
    fn user(&self, id: UserId) -> StoreResult<Option<User>> {
        self.read(|rows| rows.users.get(&id).cloned())
    }
    fn gone_before(&self, at_ms: i64, limit: u32) -> StoreResult<(Vec<App>, Vec<User>)> {
        let gone = |host: domain::HostState| host.gone_at_ms.is_some_and(|at| at < at_ms);
        self.read(|rows| {
            let apps = rows.apps.values().filter(|app| gone(app.host)).take(limit as usize).cloned().collect();
            (apps, rows.users.values().filter(|user| gone(user.host)).take(limit as usize).cloned().collect())
        })
    }
    fn unclaimed(&self, ids: &[AppId]) -> StoreResult<Vec<UnclaimedApp>> {
        self.read(|rows| rows.unclaimed.values().filter(|app| ids.contains(&app.id)).cloned().collect())
    }
    fn released(&self, ids: &[AppId]) -> StoreResult<Vec<AppId>> {
        self.read(|rows| ids.iter().copied().filter(|id| rows.released.contains(id)).collect())
    }
    fn list_unclaimed(&self, wanted: &Page<AppId>) -> StoreResult<Vec<UnclaimedApp>> {
        self.read(|rows| page(&rows.unclaimed, wanted, |app| !rows.apps.contains_key(&app.id)))
    }
    fn apply(&self, changes: Vec<HostChange>, events: Vec<AuditEvent>) -> StoreResult<()> {
        self.check_writes()?;
        let all = |rows: &mut Rows| {
            let before = (rows.apps.clone(), rows.users.clone(), rows.unclaimed.clone());
            let applied = changes.iter().try_for_each(|change| rows.host_change(change));
            if applied.is_err() {
                (rows.apps, rows.users, rows.unclaimed) = before;
            }
            applied
        };
        let Some((last, others)) = events.split_last() else { return all(&mut self.rows()) };
        let subjects: Vec<Subject> = changes.iter().filter_map(HostChange::subject).collect();
        self.commit(last.clone(), &subjects, all)?;
        others.iter().try_for_each(|event| self.commit(event.clone(), &[], |_| Ok(())))
    }
    fn last_sync(&self) -> StoreResult<Option<HostSync>> {
        self.read(|rows| rows.sync)
    }
    fn synced(&self, sync: &HostSync) -> StoreResult<()> {
        self.check_writes()?;
        self.rows().sync = Some(*sync);
        Ok(())
    }
}
