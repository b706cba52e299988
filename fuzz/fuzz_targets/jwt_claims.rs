//! Any bytes as the claims of a token.
#![no_main]

use latchkey::jwt::claims::{Claims, MAX_TIME_S};
use latchkey::jwt::{MAX_AUDIENCES, compact, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(claims) = Claims::parse(compact::encode(bytes).as_bytes()) {
        let lax: serde_json::Value = serde_json::from_slice(bytes).expect("strict is a subset of lax");
        assert!((0..=MAX_TIME_S * 1000).contains(&claims.expires_at_ms()));
        assert_eq!(lax.get("exp").map_or(Some(0), serde_json::Value::as_i64), Some(claims.expires_at_ms() / 1000));
        assert_eq!(lax.get("sub").map(|sub| sub.as_str()), claims.subject().map(Some));
        assert_eq!(lax.get("iss").map_or(Some(""), |iss| iss.as_str()), Some(claims.issuer()));
        assert!(claims.audiences().len() <= MAX_AUDIENCES);
        assert_eq!(lax.get("aud").is_none(), claims.audiences().is_empty());
        assert!(claims.not_before_ms().is_none_or(|start| lax.get("exp").is_none() || start <= claims.expires_at_ms()));
        assert_eq!(json::object(claims.all().to_json().as_bytes()).as_ref(), Ok(claims.all()));
    }
});
