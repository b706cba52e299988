//! Trusted issuers of JWTs, whose audiences are whose, and their last good keys.

use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::domain::hex;
use crate::domain::issuer::{ClaimPath, FirstUse, Half, Identity, KeySource, TokenRules, Waiver};
use crate::domain::{Algorithm, AppId, AuditEvent, Generation, Issuer, IssuerId, Subject, TenantId, UserId};
use crate::store::sqlite::rows::{convert_text, to_json, unreadable};
use crate::store::sqlite::{SqliteStore, directory, feed, reader, store_error};
use crate::store::{
    At, IssuerPlace, Issuers, KeptKeys, MOST_ISSUERS, MOST_OF_ISS, OTHERS_ISS, Page, Record, Sharing, StoreError,
    StoreResult,
};

const COLUMNS: &str = "id, tenant_id, iss, audiences, algorithms, types, leeway_s, max_age_s, required, keys_kind, keys, \
                       identity, scope_claim, strict, waivers, active, created_by, created_at_ms, generation, row_mac";

/// [`Identity`] as its column has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum IdentityColumn {
    Mapped { app: HalfColumn, user: HalfColumn },
    Linked { first_use: Option<FirstUseColumn> },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum HalfColumn {
    Fixed(u32),
    Claim(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstUseColumn {
    app: u32,
    user: u32,
    allow: Vec<(Vec<String>, String)>,
    cap: u32,
    until_ms: i64,
}

fn half<Id: Copy>(half: &Half<Id>, number: impl Fn(Id) -> u32) -> HalfColumn {
    match half {
        Half::Fixed(id) => HalfColumn::Fixed(number(*id)),
        Half::Claim(path) => HalfColumn::Claim(path.0.clone()),
    }
}

fn half_from<Id>(column: HalfColumn, id: impl Fn(u32) -> Option<Id>) -> Option<Half<Id>> {
    match column {
        HalfColumn::Fixed(number) => id(number).map(Half::Fixed),
        HalfColumn::Claim(names) => path(names).map(Half::Claim),
    }
}

/// A path without a name would be the claims themselves.
fn path(names: Vec<String>) -> Option<ClaimPath> {
    (!names.is_empty()).then_some(ClaimPath(names))
}

fn identity_column(identity: &Identity) -> IdentityColumn {
    match identity {
        Identity::Mapped { app, user } => {
            IdentityColumn::Mapped { app: half(app, AppId::get), user: half(user, UserId::get) }
        }
        Identity::Linked { first_use } => IdentityColumn::Linked {
            first_use: first_use.as_ref().map(|first| FirstUseColumn {
                app: first.app.get(),
                user: first.user.get(),
                allow: first.allow.iter().map(|(path, text)| (path.0.clone(), text.clone())).collect(),
                cap: first.cap,
                until_ms: first.until_ms,
            }),
        },
    }
}

fn identity(text: &str) -> Option<Identity> {
    Some(match serde_json::from_str(text).ok()? {
        IdentityColumn::Mapped { app, user } => {
            Identity::Mapped { app: half_from(app, AppId::new)?, user: half_from(user, UserId::new)? }
        }
        IdentityColumn::Linked { first_use: None } => Identity::Linked { first_use: None },
        IdentityColumn::Linked { first_use: Some(first) } => {
            let allow = first.allow.into_iter().map(|(names, text)| Some((path(names)?, text)));
            Identity::Linked {
                first_use: Some(FirstUse {
                    app: AppId::new(first.app)?,
                    user: UserId::new(first.user)?,
                    allow: allow.collect::<Option<_>>()?,
                    cap: first.cap,
                    until_ms: first.until_ms,
                }),
            }
        }
    })
}

/// A list column; what cannot be read must never read as an empty one.
fn list<T: serde::de::DeserializeOwned>(row: &Row<'_>, index: usize, what: &'static str) -> rusqlite::Result<T> {
    convert_text(row, index, what, |text| serde_json::from_str(text).ok())
}

fn keys(row: &Row<'_>, kind: usize) -> rusqlite::Result<KeySource> {
    let text: String = row.get(kind + 1)?;
    convert_text(row, kind, "source of keys", |kind| match kind {
        "jwks_url" => Some(KeySource::Url(text)),
        "jwks" => Some(KeySource::Keys(text)),
        "secret" => hex::array(&text).map(KeySource::Secret),
        _ => None,
    })
}

fn keys_text(keys: &KeySource) -> String {
    match keys {
        KeySource::Url(text) | KeySource::Keys(text) => text.clone(),
        KeySource::Secret(fingerprint) => hex::encode(fingerprint),
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Issuer> {
    let names: Vec<String> = list(row, 4, "list of algorithms")?;
    let algorithms: Option<Vec<Algorithm>> = names.iter().map(|name| Algorithm::parse(name)).collect();
    let required: Vec<Vec<String>> = list(row, 8, "list of claims")?;
    let required: Option<Vec<ClaimPath>> = required.into_iter().map(path).collect();
    let waivers: Vec<(String, String, i64)> = list(row, 14, "list of waivers")?;
    Ok(Issuer {
        id: IssuerId::from_bytes(row.get(0)?),
        tenant: TenantId::from_bytes(row.get(1)?),
        rules: TokenRules {
            iss: row.get(2)?,
            audiences: list(row, 3, "list of audiences")?,
            algorithms: algorithms.ok_or_else(|| unreadable(4, "list of algorithms"))?,
            types: list(row, 5, "list of types")?,
            leeway_s: row.get(6)?,
            max_age_s: row.get(7)?,
            required: required.ok_or_else(|| unreadable(8, "list of claims"))?,
        },
        keys: keys(row, 9)?,
        identity: convert_text(row, 11, "identity", identity)?,
        scope_claim: path(list(row, 12, "claim")?).ok_or_else(|| unreadable(12, "claim"))?,
        strict: row.get(13)?,
        waivers: waivers.into_iter().map(|(rule, owner, until_ms)| Waiver { rule, owner, until_ms }).collect(),
        active: row.get(15)?,
        created_by: row.get(16)?,
        created_at_ms: row.get(17)?,
        generation: Generation(row.get(18)?),
        mac: row.get(19)?,
    })
}

/// Rows that fit.
fn select(connection: &Connection, fits: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Vec<Issuer>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM issuers {fits}"))?;
    statement.query_map(values, from_row)?.collect()
}

/// What an update may change, as the columns have it, after whose row it is.
fn values(issuer: &Issuer) -> Vec<Box<dyn ToSql>> {
    let rules = &issuer.rules;
    let algorithms: Vec<&str> = rules.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
    let required: Vec<&Vec<String>> = rules.required.iter().map(|path| &path.0).collect();
    let waiver = |waiver: &Waiver| (waiver.rule.clone(), waiver.owner.clone(), waiver.until_ms);
    let waivers: Vec<(String, String, i64)> = issuer.waivers.iter().map(waiver).collect();
    vec![
        Box::new(*issuer.id.as_bytes()),
        Box::new(*issuer.tenant.as_bytes()),
        Box::new(rules.iss.clone()),
        Box::new(to_json(&rules.audiences)),
        Box::new(to_json(&algorithms)),
        Box::new(to_json(&rules.types)),
        Box::new(rules.leeway_s),
        Box::new(rules.max_age_s),
        Box::new(to_json(&required)),
        Box::new(issuer.keys.kind()),
        Box::new(keys_text(&issuer.keys)),
        Box::new(to_json(&identity_column(&issuer.identity))),
        Box::new(to_json(&issuer.scope_claim.0)),
        Box::new(issuer.strict),
        Box::new(to_json(&waivers)),
        Box::new(issuer.active),
        Box::new(issuer.generation.0),
        Box::new(issuer.mac),
    ]
}

fn write_audiences(transaction: &Transaction<'_>, issuer: &Issuer) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM issuer_audiences WHERE issuer_id = ?1", [issuer.id.as_bytes()])?;
    let sql = "INSERT INTO issuer_audiences (iss, aud, issuer_id) VALUES (?1, ?2, ?3)";
    let mut insert = transaction.prepare_cached(sql)?;
    let mut add = |aud: &String| insert.execute(params![issuer.rules.iss, aud, issuer.id.as_bytes()]).map(drop);
    issuer.rules.audiences.iter().try_for_each(&mut add)
}

/// That the Apps and Users that it names are there, and its tenant's.
fn check_named(transaction: &Transaction<'_>, realm: &str, issuer: &Issuer) -> rusqlite::Result<StoreResult<()>> {
    let (app, user) = issuer.identity.fixed();
    if let Some(app) = app
        && directory::app(transaction, realm, issuer.tenant, app)?.is_none()
    {
        return Ok(Err(StoreError::Missing { what: "App" }));
    }
    if let Some(user) = user
        && directory::user(transaction, realm, issuer.tenant, user)?.is_none()
    {
        return Ok(Err(StoreError::Missing { what: "User" }));
    }
    Ok(Ok(()))
}

fn check_room(transaction: &Transaction<'_>, issuer: &Issuer) -> rusqlite::Result<StoreResult<()>> {
    let of_tenant = "SELECT count(*) FROM issuers WHERE tenant_id = ?1";
    let of_tenant: u32 = transaction.query_row(of_tenant, [issuer.tenant.as_bytes()], |row| row.get(0))?;
    let of_iss = "SELECT count(*) FROM issuers WHERE iss = ?1";
    let of_iss: u32 = transaction.query_row(of_iss, [&issuer.rules.iss], |row| row.get(0))?;
    let full = of_tenant >= MOST_ISSUERS || of_iss >= MOST_OF_ISS;
    Ok(if full { Err(StoreError::Full { what: "issuers" }) } else { Ok(()) })
}

fn subjects(id: IssuerId) -> Vec<Subject> {
    vec![Subject::Issuer(id), Subject::Issuers]
}

/// That no other tenant has its `iss`, where it may not be shared.
fn check_sharing(
    transaction: &Transaction<'_>,
    issuer: &Issuer,
    sharing: Sharing,
) -> rusqlite::Result<StoreResult<()>> {
    let sql = "SELECT EXISTS (SELECT 1 FROM issuers WHERE iss = ?1 AND tenant_id <> ?2)";
    let others = || transaction.query_row(sql, params![issuer.rules.iss, issuer.tenant.as_bytes()], |row| row.get(0));
    let refused = sharing == Sharing::Refused && others()?;
    Ok(if refused { Err(StoreError::Exists { what: OTHERS_ISS }) } else { Ok(()) })
}

/// Where an issuer is added or gets another audience, a token of another of its `iss` may be no one's alone any more. Read
/// where it is written, so that two who are added at once are told of each other.
fn with_namesakes(transaction: &Transaction<'_>, issuer: &Issuer) -> rusqlite::Result<Vec<Subject>> {
    let mut others = transaction.prepare_cached("SELECT id FROM issuers WHERE iss = ?1 AND id <> ?2")?;
    let subject = |row: &Row<'_>| row.get(0).map(|id| Subject::Issuer(IssuerId::from_bytes(id)));
    let others = others.query_map(params![issuer.rules.iss, issuer.id.as_bytes()], subject)?;
    others.chain(subjects(issuer.id).into_iter().map(Ok)).collect()
}

impl Issuers for SqliteStore {
    fn add(&self, issuer: &Issuer, sharing: Sharing, record: Record) -> StoreResult<()> {
        const OPERATION: &str = "add an issuer";
        let (row, realm) = (issuer.clone(), self.shared.realm.clone());
        self.writer.commit_and_tell(OPERATION, record, move |transaction| {
            let failed = || store_error(OPERATION, "issuer");
            check_sharing(transaction, &row, sharing).map_err(failed())??;
            check_named(transaction, &realm, &row).map_err(failed())??;
            check_room(transaction, &row).map_err(failed())??;
            let sql = "INSERT INTO issuers (id, tenant_id, iss, audiences, algorithms, types, leeway_s, max_age_s, required, \
                       keys_kind, keys, identity, scope_claim, strict, waivers, active, generation, row_mac, created_by, \
                       created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
                       ?18, ?19, ?20)";
            let mut values = values(&row);
            values.push(Box::new(row.created_by.clone()));
            values.push(Box::new(row.created_at_ms));
            transaction.execute(sql, params_from_iter(values)).map_err(failed())?;
            write_audiences(transaction, &row).map_err(failed())?;
            with_namesakes(transaction, &row).map_err(failed())
        })
    }

    fn by_id(&self, tenant: TenantId, id: IssuerId) -> StoreResult<Option<Issuer>> {
        self.read("read an issuer", |connection| {
            let found = select(connection, "WHERE id = ?1 AND tenant_id = ?2", &[id.as_bytes(), tenant.as_bytes()])?;
            Ok(found.into_iter().next())
        })
    }

    fn by_iss(&self, iss: &str) -> StoreResult<At<Vec<Issuer>>> {
        self.read("find an issuer", |connection| {
            reader::in_snapshot(connection, |connection| {
                let row = select(connection, "WHERE iss = ?1", &[&iss])?;
                Ok(At { position: feed::position(connection)?, row })
            })
        })
    }

    fn list(&self, tenant: TenantId, page: &Page<IssuerPlace>) -> StoreResult<Vec<Issuer>> {
        self.read("list issuers", |connection| {
            let (at, id) = page.after.map_or((i64::MIN, [0; 16]), |(at, id)| (at, *id.as_bytes()));
            let fits = "WHERE tenant_id = ?1 AND (created_at_ms, id) > (?2, ?3) ORDER BY created_at_ms, id LIMIT ?4";
            select(connection, fits, &[tenant.as_bytes(), &at, &id, &page.limit])
        })
    }

    fn all(&self) -> StoreResult<Vec<Issuer>> {
        self.read("read all issuers", |connection| select(connection, "", &[]))
    }

    fn update(&self, issuer: &Issuer, expected: Generation, sharing: Sharing, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "change an issuer";
        let row = issuer.clone();
        self.writer.commit_and_tell(OPERATION, event, move |transaction| {
            let failed = || store_error(OPERATION, "issuer");
            check_sharing(transaction, &row, sharing).map_err(failed())??;
            let (kind, text) = (row.keys.kind(), keys_text(&row.keys));
            transaction
                .execute(
                    "DELETE FROM issuer_keys WHERE issuer_id = \
                     (SELECT id FROM issuers WHERE id = ?1 AND (keys_kind, keys) <> (?2, ?3))",
                    params![row.id.as_bytes(), kind, text],
                )
                .map_err(failed())?;
            let sql = "UPDATE issuers SET audiences = ?4, algorithms = ?5, types = ?6, leeway_s = ?7, max_age_s = ?8, \
                       required = ?9, keys_kind = ?10, keys = ?11, identity = ?12, scope_claim = ?13, strict = ?14, \
                       waivers = ?15, active = ?16, generation = ?17, row_mac = ?18 \
                       WHERE id = ?1 AND tenant_id = ?2 AND iss = ?3 AND generation = ?19";
            let mut values = values(&row);
            values.push(Box::new(expected.0));
            match transaction.execute(sql, params_from_iter(values)).map_err(failed())? {
                1 => write_audiences(transaction, &row).map_err(failed())?,
                _ => return Err(StoreError::Conflict { what: "issuer" }),
            }
            with_namesakes(transaction, &row).map_err(failed())
        })
    }

    fn remove(&self, tenant: TenantId, id: IssuerId, event: AuditEvent) -> StoreResult<()> {
        const OPERATION: &str = "remove an issuer";
        let subjects = subjects(id).into_iter().chain([Subject::Links]).collect();
        self.writer.commit(OPERATION, event, subjects, move |transaction| {
            let failed = || store_error(OPERATION, "issuer");
            let its = "WHERE issuer_id = (SELECT id FROM issuers WHERE id = ?1 AND tenant_id = ?2)";
            for table in ["issuer_keys", "issuer_audiences"] {
                let sql = format!("DELETE FROM {table} {its}");
                transaction.execute(&sql, params![id.as_bytes(), tenant.as_bytes()]).map_err(failed())?;
            }
            // Whom it said they were nobody vouches for any more, unless another row of the tenant has its name.
            let sql = "DELETE FROM links WHERE tenant_id = ?2 AND issuer IN \
                       (SELECT iss FROM issuers WHERE id = ?1 AND tenant_id = ?2) AND NOT EXISTS \
                       (SELECT 1 FROM issuers AS o WHERE o.tenant_id = ?2 AND o.iss = links.issuer AND o.id <> ?1)";
            transaction.execute(sql, params![id.as_bytes(), tenant.as_bytes()]).map_err(failed())?;
            let sql = "DELETE FROM issuers WHERE id = ?1 AND tenant_id = ?2";
            match transaction.execute(sql, params![id.as_bytes(), tenant.as_bytes()]).map_err(failed())? {
                1 => Ok(()),
                _ => Err(StoreError::Missing { what: "issuer" }),
            }
        })
    }

    fn keys_of(&self, id: IssuerId) -> StoreResult<Option<KeptKeys>> {
        self.read("read an issuer's keys", |connection| {
            let sql = "SELECT jwks, fetched_at_ms, mac FROM issuer_keys WHERE issuer_id = ?1";
            let kept = |row: &Row<'_>| Ok(KeptKeys { jwks: row.get(0)?, fetched_at_ms: row.get(1)?, mac: row.get(2)? });
            connection.prepare_cached(sql)?.query_row([id.as_bytes()], kept).optional()
        })
    }

    fn keep_keys(&self, id: IssuerId, keys: &KeptKeys) -> StoreResult<()> {
        const OPERATION: &str = "keep an issuer's keys";
        let keys = keys.clone();
        self.writer.commit_unrecorded(OPERATION, move |transaction| {
            transaction
                .execute(
                    "INSERT OR REPLACE INTO issuer_keys (issuer_id, jwks, fetched_at_ms, mac) \
                     SELECT id, ?2, ?3, ?4 FROM issuers WHERE id = ?1 AND NOT EXISTS \
                     (SELECT 1 FROM issuer_keys WHERE issuer_id = ?1 AND fetched_at_ms > ?3)",
                    params![id.as_bytes(), keys.jwks, keys.fetched_at_ms, keys.mac],
                )
                .map(drop)
                .map_err(store_error(OPERATION, "issuer"))
        })
    }
}
