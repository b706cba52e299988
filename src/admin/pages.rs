//! Listings, a page at a time, by the key of the last row of the page before: a late page costs what the first one costs.

use crate::admin::authority::{Act, Scope};
use crate::admin::credentials::KeyFilter;
use crate::admin::{Admin, AdminResult};
use crate::domain::{App, AppId, Credential, CredentialId, Operator, Tenant, User, UserId};
use crate::store::{Page, StoreResult};

/// Rows taken from the store at once.
const CHUNK: u32 = 500;
/// Rows looked at for one page: a filter that fits few answers in bounded time, and goes on with the next page.
const MOST_SCANNED: u32 = 20_000;

/// Bytes of a page, about, after which it ends: what clients take in one message.
const MOST_BYTES: usize = 1 << 20;

fn metadata(fields: &std::collections::BTreeMap<String, String>) -> usize {
    fields.iter().map(|(key, value)| key.len() + value.len() + 16).sum()
}

/// What a listing of credentials goes by: when they were made, and their id.
pub type KeyPlace = (i64, CredentialId);

/// Rows of a listing, and after which key it goes on; none at its end.
pub struct Listed<T, K> {
    /// The rows.
    pub rows: Vec<T>,
    /// The key of the last row that was looked at, where there may be more.
    pub next: Option<K>,
}

/// Rows that are wanted, after a key, at most `limit`.
pub(super) fn collect<T, K: Clone>(
    mut page: Page<K>,
    read: impl Fn(&Page<K>) -> StoreResult<Vec<T>>,
    key: impl Fn(&T) -> K,
    wants: impl Fn(&T) -> StoreResult<bool>,
    weight: impl Fn(&T) -> usize,
) -> AdminResult<Listed<T, K>> {
    let (limit, mut rows, mut scanned, mut bytes) = (page.limit as usize, Vec::new(), 0, 0);
    loop {
        page.limit = CHUNK.min(u32::try_from(limit).unwrap_or(CHUNK)).max(1);
        let chunk = read(&page)?;
        let last_chunk = chunk.len() < page.limit as usize;
        for row in chunk {
            if rows.len() == limit || bytes >= MOST_BYTES {
                // At least this one is left.
                return Ok(Listed { rows, next: page.after });
            }
            scanned += 1;
            page.after = Some(key(&row));
            if wants(&row)? {
                bytes += weight(&row);
                rows.push(row);
            }
        }
        if last_chunk {
            return Ok(Listed { rows, next: None });
        }
        if scanned >= MOST_SCANNED {
            return Ok(Listed { rows, next: page.after });
        }
    }
}

impl Admin {
    /// Tenants that are the caller's, in the order of slugs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list_tenants(&self, page: Page<String>) -> AdminResult<Listed<Tenant, String>> {
        let permit = self.permit(Act::Read)?;
        let tenants = permit.store().tenants();
        if let Scope::Tenants(bound) = &permit.caller().scope {
            // A few by their ids, however many others there are.
            let mut rows = Vec::new();
            for id in bound {
                rows.extend(
                    tenants.by_id(*id)?.filter(|row| page.after.as_ref().is_none_or(|after| row.slug > *after)),
                );
            }
            rows.sort_unstable_by(|a, b| a.slug.cmp(&b.slug));
            return Ok(cut(rows, page.limit, |row| row.slug.clone()));
        }
        collect(page, |page| tenants.list(page), |row| row.slug.clone(), |_| Ok(true), |_| 512)
    }

    /// Apps of a tenant that are the caller's, in the order of ids.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn list_apps(&self, tenant: &str, page: Page<AppId>) -> AdminResult<Listed<App, AppId>> {
        let permit = self.permit(Act::ReadKeys)?;
        let tenant = permit.tenant(tenant)?;
        let weight = |row: &App| 256 + row.description.len() + metadata(&row.metadata) + row.llms.len() * 32;
        let list = |page: &_| permit.store().apps().list(tenant.id, page);
        collect(page, list, |row| row.id, |row| Ok(permit.owns(row)), weight)
    }

    /// Users of a tenant, in the order of ids.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn list_users(&self, tenant: &str, page: Page<UserId>) -> AdminResult<Listed<User, UserId>> {
        let permit = self.permit(Act::Read)?;
        let tenant = permit.tenant(tenant)?;
        let weight = |row: &User| 256 + metadata(&row.metadata);
        collect(page, |page| permit.store().users().list(tenant.id, page), |row| row.id, |_| Ok(true), weight)
    }

    /// Credentials of a tenant that are the caller's and that fit, oldest first.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn list_keys(
        &self,
        tenant: &str,
        filter: &KeyFilter,
        page: Page<KeyPlace>,
    ) -> AdminResult<Listed<Credential, KeyPlace>> {
        let permit = self.permit(Act::ReadKeys)?;
        let (tenant, now_ms) = (permit.tenant(tenant)?, self.now_ms());
        let credentials = permit.store().credentials();
        let of = permit.caller().own.or(filter.user);
        collect(
            page,
            |page| match of {
                Some(user) => credentials.list_of(tenant.id, user, page),
                None => credentials.list(tenant.id, page),
            },
            |row| (row.created_at_ms, row.id),
            |row| Ok(filter.wants(row, now_ms) && permit.may_see(row)?),
            |row| 512 + row.scopes.iter().map(String::len).sum::<usize>() + row.cidrs.len() * 20,
        )
    }

    /// Operators that are the caller's, in the order of ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list_operators(&self, page: &Page<CredentialId>) -> AdminResult<Listed<Operator, CredentialId>> {
        let mut rows = self.operators()?;
        rows.retain(|row| page.after.is_none_or(|after| row.id > after));
        Ok(cut(rows, page.limit, |row| row.id))
    }
}

/// The first rows of a list that was read whole.
fn cut<T, K>(mut rows: Vec<T>, limit: u32, key: impl Fn(&T) -> K) -> Listed<T, K> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(key);
    Listed { rows, next }
}
