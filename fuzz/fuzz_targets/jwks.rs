//! Any bytes as a set of keys, as one JWK of an operator, and as a public key in PEM.
#![no_main]

use latchkey::jwt::jwk::Allowed;
use latchkey::jwt::keys::KeySet;
use latchkey::jwt::{MAX_KEYS, pem, rsa};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(set) = KeySet::from_jwks(bytes) {
        assert!(set.keys().len() + set.skipped().len() <= MAX_KEYS);
        for key in set.keys() {
            assert!((256..=rsa::MAX_BITS).contains(&key.bits()));
            // What is published again is the same key under the same name.
            let again = format!(r#"{{"keys":[{}]}}"#, key.to_public_jwk_json().expect("no secret in a public set"));
            let again = KeySet::from_jwks(again.as_bytes()).expect("its own JWK");
            assert_eq!(again.keys()[0].thumbprint(), key.thumbprint());
            assert_eq!(again.keys()[0].kid(), key.kid());
        }
    }
    let _ = KeySet::from_file(bytes, Allowed { secrets: true, private: true });
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(set) = pem::to_jwks(text, None)
    {
        assert_eq!(KeySet::from_jwks(set.as_bytes()).expect("a key that was checked").keys().len(), 1);
    }
});
