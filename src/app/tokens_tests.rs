use super::*;
use crate::domain::Algorithm;
use crate::store::fake::FakeStore;
use crate::store::suite;

fn key(kid: &str, retires_at_ms: Option<i64>) -> SigningKeyRow {
    SigningKeyRow {
        kid: kid.to_owned(),
        algorithm: Algorithm::EdDSA,
        public_jwk: String::new(),
        created_at_ms: 1,
        retires_at_ms,
        mac: [u8::from(retires_at_ms.is_some()); 32],
    }
}

fn store(keys: &[SigningKeyRow]) -> FakeStore {
    let store = FakeStore::default();
    store.tokens().put_keys(keys, vec![suite::event()]).unwrap();
    store
}

#[test]
fn r9_a_key_that_was_retired_stays_so_and_one_that_was_made_since_signs() {
    let now = [key("a", Some(9)), key("b", Some(5)), key("c", None)];
    let (old, new) = (store(&now), store(&[key("a", None), key("b", Some(3)), key("d", None)]));
    carry_keys(&old, &new).unwrap();
    let mut rows = new.tokens().keys().unwrap().row;
    rows.sort_by(|a, b| a.kid.cmp(&b.kid));
    assert_eq!(rows, [key("a", Some(9)), key("b", Some(3)), key("c", None), key("d", None)]);
}

#[test]
fn what_is_not_said_is_of_the_store_itself() {
    let unsaid = TokenSettings::default();
    let rules = unsaid.rules(Path::new("/data"), &FakeStore::default()).unwrap();
    assert_eq!(rules.issuer, format!("urn:latchkey:{}", "0".repeat(32)));
    assert_eq!((&rules.audience, rules.key_dir.to_str()), (&rules.issuer, Some("/data")));
    let said = TokenSettings { issuer: Some("https://id.example".to_owned()), ..unsaid };
    let rules = said.rules(Path::new("/data"), &FakeStore::default()).unwrap();
    assert_eq!((rules.issuer.as_str(), rules.audience.as_str()), ("https://id.example", "https://id.example"));
}
