//! Any bytes as the header of a token, and as a whole token.
#![no_main]

use latchkey::jwt::header::Header;
use latchkey::jwt::token::Unverified;
use latchkey::jwt::{MAX_KID_LEN, compact, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Unverified::parse(bytes);
    if let Ok(header) = Header::parse(compact::encode(bytes).as_bytes()) {
        // What a lax parser reads is the same, and nothing that must be refused came through.
        let lax: serde_json::Value = serde_json::from_slice(bytes).expect("strict is a subset of lax");
        assert_eq!(lax["alg"], header.algorithm().as_str());
        assert!(header.kid().is_none_or(|kid| lax["kid"] == kid && kid.len() <= MAX_KID_LEN));
        for refused in ["crit", "b64", "zip", "cty", "jwk", "jku", "x5u", "x5c", "enc", "p2c"] {
            assert!(lax.get(refused).is_none());
        }
        assert_eq!(json::object(header.all().to_json().as_bytes()).as_ref(), Ok(header.all()));
    }
});
