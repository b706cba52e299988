//! The public halves of our keys as a JWK set (RFC 7517 section 5): what is published, and what tokens are verified with.

use serde_json::{Map, Value, json};

use crate::domain::SigningKeyRow;
use crate::issue::keys::is_named_right;

/// Those of these keys that are believed at `now_ms`, newest first. Whether the rows are genuine is asked before.
pub fn published(keys: &[SigningKeyRow], now_ms: i64) -> Value {
    let believed = keys.iter().rev().filter(|key| key.verifies(now_ms) && is_named_right(key));
    json!({ "keys": believed.filter_map(jwk).collect::<Vec<_>>() })
}

fn jwk(key: &SigningKeyRow) -> Option<Map<String, Value>> {
    let mut jwk: Map<String, Value> = serde_json::from_str(&key.public_jwk).ok()?;
    for (name, value) in [("kid", key.kid.as_str()), ("use", "sig"), ("alg", key.algorithm.as_str())] {
        jwk.insert(name.to_owned(), Value::from(value));
    }
    Some(jwk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Algorithm;
    use crate::issue::keys;

    fn row(dir: &std::path::Path, algorithm: Algorithm, created_at_ms: i64) -> SigningKeyRow {
        let keys::PublicHalf { kid, algorithm, jwk: public_jwk } = keys::create(dir, algorithm).unwrap();
        SigningKeyRow { kid, algorithm, public_jwk, created_at_ms, retires_at_ms: None, mac: [0; 32] }
    }

    #[test]
    fn what_is_published_is_public_named_and_not_retired() {
        let dir = tempfile::tempdir().unwrap();
        let mut rows = [row(dir.path(), Algorithm::EdDSA, 1), row(dir.path(), Algorithm::ES256, 2)];
        let set = published(&rows, 5);
        let all = set["keys"].as_array().unwrap();
        let members = |key: &Value| key.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(members(&all[0]), ["crv", "kty", "x", "y", "kid", "use", "alg"]);
        assert_eq!(members(&all[1]), ["crv", "kty", "x", "kid", "use", "alg"]);
        assert_eq!((&all[0]["alg"], &all[1]["alg"]), (&json!("ES256"), &json!("EdDSA")), "the newest first");
        assert_eq!((&all[1]["kty"], &all[1]["crv"], &all[1]["use"]), (&json!("OKP"), &json!("Ed25519"), &json!("sig")));
        assert_eq!(all[0]["kid"], json!(rows[1].kid));
        rows[0].retires_at_ms = Some(5);
        assert_eq!(published(&rows, 4)["keys"].as_array().unwrap().len(), 2);
        assert_eq!(published(&rows, 5)["keys"].as_array().unwrap().len(), 1);
        rows[1].public_jwk = rows[1].public_jwk.replace("\"EC\"", "\"EC\",\"d\":\"AA\"");
        assert!(published(&rows, 5)["keys"].as_array().unwrap().is_empty(), "what its name is not the name of");
    }
}
