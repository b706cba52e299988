//! Tests that the cryptography below refuses what a signature must not be.
use super::*;
use crate::jwt::Fault;
use crate::jwt::compact;
use crate::jwt::keys::KeySet;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    RsaPssSaltLength, RsaPublicKeyComponents, RsaSignatureEncoding,
};

const MESSAGE: &[u8] = b"header.payload";

/// The orders of the curves' groups (FIPS 186-5, SEC 2).
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384_ORDER: &str =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

fn set(jwk: &str) -> KeySet {
    KeySet::from_jwks(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).unwrap()
}

fn ec(curve: &str, algorithm: &'static EcdsaSigningAlgorithm) -> (EcdsaKeyPair, KeySet) {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let (x, y) = (compact::encode(x), compact::encode(y));
    let keys = set(&format!(r#"{{"kty":"EC","crv":"{curve}","x":"{x}","y":"{y}"}}"#));
    (pair, keys)
}

fn rsa() -> (RsaKeyPair, KeySet) {
    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let parts: RsaPublicKeyComponents<Vec<u8>> = pair.public_key().into();
    let (n, e) = (compact::encode(&parts.n), compact::encode(&parts.e));
    let keys = set(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#));
    (pair, keys)
}

fn sign(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), MESSAGE, &mut signature).unwrap();
    signature
}

/// `a - b` or `a + b` of big-endian numbers, modulo their length.
fn add(a: &[u8], b: &[u8], minus: bool) -> Vec<u8> {
    let (mut out, mut carry) = (a.to_vec(), i16::from(false));
    for (place, byte) in out.iter_mut().zip(b).rev() {
        let sum = i16::from(*place) + carry + if minus { -i16::from(*byte) } else { i16::from(*byte) };
        *place = u8::try_from(sum.rem_euclid(256)).unwrap();
        carry = sum.div_euclid(256);
    }
    out
}

#[test]
fn ecdsa_takes_r_and_s_within_the_group_and_of_full_length() {
    for (algorithm, curve, signing, order) in [
        (Algorithm::ES256, "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING, P256_ORDER),
        (Algorithm::ES384, "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING, P384_ORDER),
    ] {
        let (pair, keys) = ec(curve, signing);
        let key = &keys.keys()[0];
        let good = pair.sign(&SystemRandom::new(), MESSAGE).unwrap().as_ref().to_vec();
        assert_eq!(verify(algorithm, key, MESSAGE, &good), Ok(()));
        let order = crate::domain::hex::decode(order).unwrap();
        let (r, s) = good.split_at(order.len());
        let mut one = vec![0; order.len()];
        *one.last_mut().unwrap() = 1;
        let zero = vec![0; order.len()];
        let edges = [
            zero.clone(),
            one.clone(),
            add(&order, &one, true),
            order.clone(),
            add(&order, &one, false),
            vec![0xff; order.len()],
        ];
        for edge in &edges {
            for pair in [[&edge[..], s], [r, &edge[..]], [&edge[..], &edge[..]]] {
                assert_eq!(verify(algorithm, key, MESSAGE, &pair.concat()), Err(Fault::SignatureWrong));
            }
        }
        // What is equal to them modulo the order is another number.
        assert!(verify(algorithm, key, MESSAGE, &[&add(r, &order, false), s].concat()).is_err());
        assert!(verify(algorithm, key, MESSAGE, &[r, &add(s, &order, false)].concat()).is_err());
        // -s signs the same: ECDSA has two for each, and RFC 7518 asks for neither. Nothing here is keyed by a signature.
        assert_eq!(verify(algorithm, key, MESSAGE, &[r, &add(&order, s, true)].concat()), Ok(()));
        for wrong in [&good[1..], &[&good[..], &[0]].concat(), &[&[0], r, &[0], s].concat(), &[]] {
            assert_eq!(verify(algorithm, key, MESSAGE, &wrong.to_vec()), Err(Fault::SignatureLength));
        }
    }
    // DER in the place of the two numbers (RFC 7518 section 3.4).
    let pair = EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = (compact::encode(&point[..32]), compact::encode(&point[32..]));
    let keys = set(&format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#));
    let der = pair.sign(&SystemRandom::new(), MESSAGE).unwrap().as_ref().to_vec();
    assert_eq!(verify(Algorithm::ES256, &keys.keys()[0], MESSAGE, &der), Err(Fault::SignatureLength));
}

#[test]
fn ed25519_takes_the_one_s_below_the_order() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = compact::encode(pair.public_key().as_ref());
    let keys = set(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#));
    let good = pair.sign(MESSAGE).as_ref().to_vec();
    assert_eq!(verify(Algorithm::EdDSA, &keys.keys()[0], MESSAGE, &good), Ok(()));
    // The order, big-endian; S is little-endian (RFC 8032 section 5.1.7).
    let order = crate::domain::hex::decode("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed").unwrap();
    let (r, s) = good.split_at(32);
    let mut s: Vec<u8> = s.iter().rev().copied().collect();
    for _ in 0..15 {
        s = add(&s, &order, false);
        let s: Vec<u8> = s.iter().rev().copied().collect();
        assert_eq!(verify(Algorithm::EdDSA, &keys.keys()[0], MESSAGE, &[r, &s].concat()), Err(Fault::SignatureWrong));
    }
    for wrong in [&good[..63], &[], &[&good[..], &[0]].concat()] {
        assert_eq!(verify(Algorithm::EdDSA, &keys.keys()[0], MESSAGE, &wrong.to_vec()), Err(Fault::SignatureLength));
    }
    // An encoding that is no point of the curve verifies nothing.
    let off = (2..=u8::MAX).map(|y| [&[y][..], &[0; 31]].concat());
    for x in off {
        let keys = set(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, compact::encode(&x)));
        for signature in [vec![0; 64], good.clone(), [&x[..], &[0; 32]].concat()] {
            assert!(verify(Algorithm::EdDSA, &keys.keys()[0], MESSAGE, &signature).is_err());
        }
    }
}

static SHORT_SALT: RsaSignatureEncoding = RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(20));
static NO_SALT: RsaSignatureEncoding = RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(0));

#[test]
fn rsa_takes_its_own_padding_hash_and_salt() {
    let (pair, keys) = rsa();
    let key = &keys.keys()[0];
    let pkcs1 = sign(&pair, &RSA_PKCS1_SHA256);
    let pss = sign(&pair, &RSA_PSS_SHA256);
    assert_eq!(verify(Algorithm::RS256, key, MESSAGE, &pkcs1), Ok(()));
    assert_eq!(verify(Algorithm::PS256, key, MESSAGE, &pss), Ok(()));
    for (algorithm, signature) in [
        (Algorithm::PS256, &pkcs1),
        (Algorithm::RS256, &pss),
        (Algorithm::RS384, &pkcs1),
        (Algorithm::PS512, &pss),
        (Algorithm::PS256, &sign(&pair, &RSA_PSS_SHA512)),
        (Algorithm::PS256, &sign(&pair, &SHORT_SALT)),
        (Algorithm::PS256, &sign(&pair, &NO_SALT)),
        (Algorithm::RS256, &vec![0; 256]),
        (Algorithm::RS256, &vec![0xff; 256]),
        (Algorithm::RS256, &[&[0; 255][..], &[1]].concat()),
    ] {
        assert_eq!(verify(algorithm, key, MESSAGE, signature), Err(Fault::SignatureWrong), "{algorithm}");
    }
    for wrong in [&pkcs1[1..], &[&[0], &pkcs1[..]].concat(), &[]] {
        assert_eq!(verify(Algorithm::RS256, key, MESSAGE, &wrong.to_vec()), Err(Fault::SignatureLength));
    }
    assert_eq!(verify(Algorithm::ES256, key, MESSAGE, &pkcs1), Err(Fault::KeyFamily));
    assert_eq!(verify(Algorithm::HS256, key, MESSAGE, &vec![0; 32]), Err(Fault::KeyFamily));
}

#[test]
fn a_mac_is_whole() {
    let secret: Vec<u8> = (0..64_u8).collect();
    let keys = KeySet::from_secret(&crate::secret::Secret::new(secret.clone())).unwrap();
    let key = &keys.keys()[0];
    for (algorithm, hash) in [
        (Algorithm::HS256, aws_lc_rs::hmac::HMAC_SHA256),
        (Algorithm::HS384, aws_lc_rs::hmac::HMAC_SHA384),
        (Algorithm::HS512, aws_lc_rs::hmac::HMAC_SHA512),
    ] {
        let mac = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(hash, &secret), MESSAGE).as_ref().to_vec();
        assert_eq!(verify(algorithm, key, MESSAGE, &mac), Ok(()));
        assert_eq!(verify(algorithm, key, b"header.payloae", &mac), Err(Fault::SignatureWrong));
        for cut in [&mac[..16], &mac[..mac.len() - 1], &[], &[&mac[..], &[0]].concat()] {
            assert_eq!(verify(algorithm, key, MESSAGE, &cut.to_vec()), Err(Fault::SignatureLength));
        }
    }
}
