//! What a key of another system is found by and proven by.

use super::*;

fn hex_of(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

#[test]
fn each_method_makes_of_a_key_what_the_other_system_did() {
    let key = b"Hi There";
    // RFC 4231, test case 1.
    let constant = HmacKey::parse("0b".repeat(20).as_bytes()).unwrap();
    let held = [constant];
    let hmac = |algorithm| hex_of(&value(Method::Hmac(algorithm, held[0].id()), key, &held).unwrap());
    assert_eq!(hmac(Algorithm::Sha256), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert!(hmac(Algorithm::Sha512).starts_with("87aa7cdea5ef619d4ff0b4241a1d6cb0"));
    let other = HmacKey::parse("0c".repeat(20).as_bytes()).unwrap();
    assert_ne!(other.id(), held[0].id());
    assert!(value(Method::Hmac(Algorithm::Sha256, other.id()), key, &held).is_none(), "its key is not held");
    assert_eq!(value(Method::Prefix(6), key, &[]).unwrap().as_slice(), b"Hi The");
    assert!(value(Method::Prefix(8), key, &[]).is_none(), "the public part is not all of it");
    assert!(value(Method::Prefix(9), key, &[]).is_none());
}

#[test]
fn salts_stand_where_they_stood() {
    let salted = |first| Prehash {
        found_by: Method::Prefix(6),
        proof: Proof::Salted { algorithm: Algorithm::Sha256, salt: Box::from(*b"salt"), first },
    };
    let of = |text: &[u8]| digest(Algorithm::Sha256, &[text]).to_vec();
    assert_eq!(secret(&salted(true), b"the-key", &[]).unwrap().to_vec(), of(b"saltthe-key"));
    assert_eq!(secret(&salted(false), b"the-key", &[]).unwrap().to_vec(), of(b"the-keysalt"));
}

#[test]
fn a_constant_key_is_of_a_sensible_length_and_hexadecimal() {
    for bad in ["", "00", &"00".repeat(7), &"00".repeat(129), "zz".repeat(20).as_str(), "012"] {
        assert!(HmacKey::parse(bad.as_bytes()).is_none(), "{bad}");
    }
}

#[test]
fn r6_a_row_that_was_not_imported_is_never_proven_as_one() {
    let pepper = crate::secret::Secret::new(vec![7; 32]);
    let tagger = Arc::new(crate::verify::tag::Tagger::new(&pepper).unwrap());
    let keyring = Keyring::single(Arc::clone(&tagger));
    let mut row = absent(CredentialId::from_bytes([1; 16]), &tagger);
    for (prehash, expected) in [(None, false), (Some(Prehash::SHA256), true)] {
        row.verifier.prehash = prehash;
        row.row_mac = tagger.credential_mac(&row);
        let (sealed, _) = seals(&keyring.ring(), &row, b"a-presented-key");
        assert!(matches!(sealed, Sealed::Under { genuine_row, .. } if genuine_row == expected));
    }
}
