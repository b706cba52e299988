//! The last good keys of issuers that publish theirs, in the store: so that a process that starts while a provider cannot be
//! reached has them too. Sealed, for keys that somebody put there would be believed.

use std::sync::Arc;

use crate::domain::Issuer;
use crate::domain::issuer::KeySource;
use crate::jwks::{Kept, LastGood, Source};
use crate::store::{KeptKeys, Store};
use crate::verify::jwt::seals::Seals;

/// Keeps keys in the store.
pub struct StoredKeys {
    store: Arc<dyn Store>,
    seals: Seals,
}

impl StoredKeys {
    /// In this store, sealed under the key of subject hashes in that file.
    pub fn new(store: Arc<dyn Store>, subject_key: std::path::PathBuf) -> Self {
        Self { seals: Seals::new(Arc::clone(&store), subject_key), store }
    }
}

/// Whether this is where an issuer's keys are.
fn is_of(row: &Issuer, source: &Source) -> bool {
    row.keys == KeySource::Url(source.url.to_string())
}

impl LastGood for StoredKeys {
    fn load(&self, source: &Source) -> Option<Kept> {
        let kept = self.store.issuers().keys_of(source.issuer).ok().flatten()?;
        let genuine = self.seals.key().ok()?.are_genuine_keys(source.issuer, &source.url, &kept);
        if !genuine {
            // Of another URL, which is no fault; or somebody else's.
            tracing::warn!(issuer = %source.issuer, "keys that were kept of an issuer are not used: they are not what was kept");
            return None;
        }
        Some(Kept { json: kept.jwks.into_bytes(), fetched_at_ms: kept.fetched_at_ms })
    }

    fn is_wanted(&self, source: &Source) -> bool {
        let found = self.store.issuers().by_id(source.tenant, source.issuer);
        let still = |row: Issuer| row.active && is_of(&row, source);
        found.map_or(true, |row| row.is_some_and(still))
    }

    fn keep(&self, source: &Source, kept: Kept) {
        let Ok(jwks) = String::from_utf8(kept.json) else { return };
        let Ok(key) = self.seals.key() else { return };
        // The issuer may have got another URL meanwhile: what is of the old one would only be refused later.
        let still = |row: Issuer| is_of(&row, source);
        if !matches!(
            self.store.issuers().by_id(source.tenant, source.issuer).map(|row| row.is_some_and(still)),
            Ok(true)
        ) {
            return;
        }
        let mac = key.keys_mac(source.issuer, &source.url, &jwks, kept.fetched_at_ms);
        let keys = KeptKeys { jwks, fetched_at_ms: kept.fetched_at_ms, mac };
        if let Err(error) = self.store.issuers().keep_keys(source.issuer, &keys) {
            tracing::warn!(issuer = %source.issuer, %error, "the keys of an issuer could not be kept; they are used all the same");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sharing;
    use crate::store::fake::FakeStore;
    use crate::store::suite::issuers::issuer;
    use crate::store::suite::{ACME, event, tenant};

    #[test]
    fn r4_kept_keys_are_believed_as_they_were_kept_of_this_issuer_and_from_there_alone() {
        use crate::store::Issuers as _;
        let (store, dir) = (Arc::new(FakeStore::default()), tempfile::tempdir().unwrap());
        store.tenants().create(&tenant(ACME, "acme"), event().into()).unwrap();
        let file = dir.path().join("subject.key");
        let key = crate::verify::subject::SubjectKey::create(&file, &crate::clock::SystemEntropy).unwrap();
        crate::store::Links::set_key(&*store, key.fingerprint(), event()).unwrap();
        let (row, other) = (issuer(ACME, 1, "gateway"), issuer(ACME, 2, "another"));
        for row in [&row, &other] {
            store.add(row, Sharing::Allowed, event().into()).unwrap();
        }
        let KeySource::Url(url) = &row.keys else { panic!("it has a URL") };
        let source = |id, url: &str| Source { issuer: id, tenant: ACME, url: url.into() };
        let kept = StoredKeys::new(Arc::clone(&store) as _, file);
        let (here, elsewhere) = (source(row.id, url), "https://id.example/before");
        assert_eq!(kept.load(&here), None);
        let keys = Kept { json: b"{\"keys\":[]}".to_vec(), fetched_at_ms: 5 };
        kept.keep(&source(row.id, elsewhere), keys.clone());
        assert_eq!(store.keys_of(row.id).unwrap(), None, "not of where it is now");
        kept.keep(&here, keys.clone());
        assert_eq!(kept.load(&here), Some(keys));
        assert_eq!(kept.load(&source(row.id, elsewhere)), None);
        // Whoever can write the file puts keys there: of their own, younger ones, or those of another.
        let stored = store.keys_of(row.id).unwrap().unwrap();
        store.keep_keys(other.id, &stored).unwrap();
        assert_eq!(kept.load(&source(other.id, url)), None);
        for forged in [
            KeptKeys { jwks: "{\"keys\":[{}]}".to_owned(), fetched_at_ms: 6, ..stored.clone() },
            KeptKeys { fetched_at_ms: 7, ..stored.clone() },
            KeptKeys { fetched_at_ms: 8, mac: [0; 32], ..stored },
        ] {
            store.keep_keys(row.id, &forged).unwrap();
            assert_eq!(kept.load(&here), None);
        }
    }

    #[test]
    fn r17_who_is_gone_switched_off_or_moved_is_not_asked_any_more() {
        let store = Arc::new(FakeStore::default());
        store.tenants().create(&tenant(ACME, "acme"), event().into()).unwrap();
        let row = issuer(ACME, 1, "gateway");
        let KeySource::Url(url) = &row.keys else { panic!("it has a URL") };
        let source = Source { issuer: row.id, tenant: ACME, url: url.as_str().into() };
        let kept = StoredKeys::new(Arc::clone(&store) as _, std::path::PathBuf::new());
        assert!(!kept.is_wanted(&source), "not there yet");
        store.issuers().add(&row, Sharing::Allowed, event().into()).unwrap();
        assert!(kept.is_wanted(&source));
        assert!(!kept.is_wanted(&Source { url: "https://id.example/before".into(), ..source.clone() }));
        store.tamper_issuer(row.id, |row| row.active = false);
        assert!(!kept.is_wanted(&source));
        store.fail(crate::store::fake::Fault::Reads);
        assert!(kept.is_wanted(&source), "a store that is down is no reason to lose keys");
    }
}
