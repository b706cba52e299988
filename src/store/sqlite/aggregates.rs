//! One store, all its aggregates.

use crate::store::sqlite::SqliteStore;
use crate::store::{
    Apps, Audit, Credentials, Feed, HostCopy, Imports, Issuers, Links, Operators, Peppers, Requests, Store, Tenants,
    Tokens, Users,
};

impl Store for SqliteStore {
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
        &self.feed
    }
}
