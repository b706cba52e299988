//! Tests of which JWKs may verify, and of what makes a whole set none.
use super::*;
use crate::jwt::json;
use crate::jwt::keys::KeySet;
use proptest::prelude::*;

/// RFC 7515 section A.3.1.
const EC: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
/// RFC 8037 section A.2.
const ED: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
/// RFC 7515 section A.2.1.
const RSA: &str = r#""kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB""#;

fn of(members: &str) -> Result<VerifyingKey, Fault> {
    key(&json::object(format!("{{{members}}}").as_bytes()).unwrap(), Allowed::default())
}

fn why(members: &str) -> Option<Fault> {
    of(members).err()
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(bytes in any::<Vec<u8>>(), at in 0_usize..700, byte in any::<u8>()) {
        let _ = KeySet::from_jwks(&bytes);
        let mut set = format!(r#"{{"keys":[{{{EC}}},{{{ED}}},{{{RSA}}}]}}"#).into_bytes();
        if let Some(place) = set.get_mut(at) {
            *place = byte;
        }
        let _ = KeySet::from_jwks(&set);
    }
}

#[test]
fn the_standards_keys_are_keys() {
    for (members, family, bits) in
        [(EC, KeyFamily::P256, 256), (ED, KeyFamily::Ed25519, 256), (RSA, KeyFamily::Rsa, 2048)]
    {
        let key = of(&format!(r#"{members},"kid":"k","use":"sig","key_ops":["verify"],"x5c":["x"],"more":1"#)).unwrap();
        assert_eq!((key.family(), key.bits(), key.kid(), key.algorithm()), (family, bits, Some("k"), None));
        let again =
            KeySet::from_jwks(format!(r#"{{"keys":[{}]}}"#, key.to_public_jwk_json().unwrap()).as_bytes()).unwrap();
        assert_eq!(again.keys()[0].thumbprint(), key.thumbprint());
        assert_eq!(again.keys()[0].kid(), Some("k"));
    }
    let p384 = of(r#""kty":"EC","crv":"P-384","alg":"ES384","x":"qofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3","y":"NhfeSpYmLG9dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f""#).unwrap();
    assert_eq!((p384.bits(), p384.algorithm()), (384, Some(Algorithm::ES384)));
}

/// RFC 7638 section 3.1.
#[test]
fn a_thumbprint_is_that_of_the_standard() {
    let key = of(r#""kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29""#).unwrap();
    assert_eq!(compact::encode(key.thumbprint()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn a_key_for_something_else_is_left_out() {
    for (members, fault) in [
        (r#""kty":"XXX""#.to_owned(), Fault::JwkType),
        (r#""x":"""#.to_owned(), Fault::JwkType),
        (r#""kty":7"#.to_owned(), Fault::JwkType),
        (format!(r#"{EC},"use":"enc""#), Fault::JwkUse),
        (format!(r#"{EC},"use":null"#), Fault::JwkUse),
        (format!(r#"{EC},"key_ops":["sign"]"#), Fault::JwkOperations),
        (format!(r#"{EC},"key_ops":[]"#), Fault::JwkOperations),
        (format!(r#"{EC},"key_ops":"verify""#), Fault::JwkOperations),
        (format!(r#"{EC},"key_ops":["verify","verify"]"#), Fault::JwkOperations),
        (format!(r#"{EC},"alg":"ES384""#), Fault::JwkAlgorithm),
        (format!(r#"{EC},"alg":"HS256""#), Fault::JwkAlgorithm),
        (format!(r#"{RSA},"alg":"RSA-OAEP""#), Fault::JwkAlgorithm),
        (format!(r#"{RSA},"alg":"none""#), Fault::JwkAlgorithm),
        (format!(r#"{RSA},"alg":5"#), Fault::JwkAlgorithm),
        (format!(r#"{EC},"kid":"a\u0000""#), Fault::KidInvalid),
        (format!(r#"{EC},"kid":5"#), Fault::KidInvalid),
        (EC.replace("P-256", "P-521"), Fault::JwkCurve),
        (EC.replace("P-256", "secp256k1"), Fault::JwkCurve),
        (EC.replace("P-256", "P-384"), Fault::JwkMember),
        (ED.replace("Ed25519", "X25519"), Fault::JwkCurve),
        (RSA.replace("AQAB", "AQAB="), Fault::JwkMember),
        (RSA.replace("AQAB", "Aw"), Fault::RsaExponent),
        (r#""kty":"RSA","e":"AQAB""#.to_owned(), Fault::JwkMember),
        (RSA.replace("ofgWCuLj", "AKH4FgriDg"), Fault::JwkMember),
    ] {
        assert_eq!(why(&members), Some(fault), "{members}");
    }
}

#[test]
fn a_point_is_on_its_curve_and_of_full_order() {
    assert_eq!(why(&EC.replace("5a0", "5a4")), Some(Fault::PointInvalid));
    let zero = compact::encode(&[0; 32]);
    assert_eq!(why(&format!(r#""kty":"EC","crv":"P-256","x":"{zero}","y":"{zero}""#)), Some(Fault::PointInvalid));
    let short = compact::encode(&[1; 31]);
    assert_eq!(why(&format!(r#""kty":"EC","crv":"P-256","x":"{short}","y":"{zero}""#)), Some(Fault::JwkMember));
    for y in SMALL_ORDER {
        for sign in [0, 0x80] {
            let mut point: [u8; 32] = hex::array(y).unwrap();
            point[31] |= sign;
            assert_eq!(ed25519_key(&point).err(), Some(Fault::PointWeak), "{y}");
        }
    }
    for low in 0xed..=0xff {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (low, 0x7f);
        assert_eq!(ed25519_key(&point).err(), Some(Fault::PointWeak), "2^255 - 19 and above: {low:x}");
    }
    assert_eq!(ed25519_key(&[1; 31]).err(), Some(Fault::JwkMember));
}
