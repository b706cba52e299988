//! The tests' own signer: it signs whatever a row says, right or wrong, with keys that are made for the run.
#![allow(
    dead_code,
    missing_docs,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::allow_attributes,
    reason = "a failed test is a panic, and each binary uses a part"
)]

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The moment of the tests: 2027-01-15T08:00:00Z.
pub const NOW_S: i64 = 1_800_000_000;

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub struct Keys {
    p256: (EcdsaKeyPair, EcdsaKeyPair),
    stranger: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
    pub secret: Vec<u8>,
}

/// Made once for a run.
pub static KEYS: LazyLock<Keys> = LazyLock::new(Keys::generate);

impl Keys {
    pub fn generate() -> Self {
        let ec = |algorithm: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::generate(algorithm).unwrap();
        let pair = ec(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = pair.to_pkcs8v1().unwrap();
        // The same key, for signatures as X.509 has them.
        let der = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref()).unwrap();
        let mut secret = vec![0; 64];
        aws_lc_rs::rand::fill(&mut secret).unwrap();
        Self {
            p256: (pair, der),
            stranger: ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            ed: Ed25519KeyPair::generate().unwrap(),
            rsa: RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap(),
            secret,
        }
    }

    /// The members of a public JWK, without its braces.
    pub fn members(&self, name: &str) -> String {
        let ec = |curve: &str, pair: &EcdsaKeyPair| {
            let (x, y) = pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
            format!(r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#, b64(x), b64(y))
        };
        match name {
            "es" => ec("P-256", &self.p256.0),
            "stranger" => ec("P-256", &self.stranger),
            "es3" => ec("P-384", &self.p384),
            "ed" => format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, b64(self.ed.public_key())),
            "rs" => {
                let parts: RsaPublicKeyComponents<Vec<u8>> = self.rsa.public_key().into();
                format!(r#""kty":"RSA","n":"{}","e":"{}""#, b64(parts.n), b64(parts.e))
            }
            "oct" => format!(r#""kty":"oct","k":"{}""#, b64(&self.secret)),
            other => panic!("no key {other}"),
        }
    }

    /// A set of every public key, each by its name.
    pub fn jwks(&self) -> String {
        let keys: Vec<String> =
            ["es", "es3", "ed", "rs"].map(|name| format!(r#"{{{},"kid":"{name}"}}"#, self.members(name))).to_vec();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// The public key of P-256 in a form that a verifier might take for the secret of an HMAC.
    pub fn as_secret(&self, form: &str) -> Vec<u8> {
        let point = self.p256.0.public_key().as_ref();
        let spki = [&b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"[..], point].concat();
        let text = STANDARD.encode(&spki);
        let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\n");
        match form {
            "jwk" => format!("{{{}}}", self.members("es")).into_bytes(),
            "jwks" => self.jwks().into_bytes(),
            "point" => point.to_vec(),
            "x" => point[1..33].to_vec(),
            "der" => spki,
            "pem" => format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n").into_bytes(),
            "pem_without_line_end" => {
                format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----").into_bytes()
            }
            "openssh" => {
                let mut blob = Vec::new();
                for part in [&b"ecdsa-sha2-nistp256"[..], b"nistp256", point] {
                    blob.extend((part.len() as u32).to_be_bytes());
                    blob.extend(part);
                }
                format!("ecdsa-sha2-nistp256 {}", STANDARD.encode(blob)).into_bytes()
            }
            "empty" => Vec::new(),
            "kid" => b"es".to_vec(),
            "rsa_modulus" => {
                let parts: RsaPublicKeyComponents<Vec<u8>> = self.rsa.public_key().into();
                parts.n
            }
            other => panic!("no form {other}"),
        }
    }

    /// Signs with the algorithm's key, or with a stranger's.
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &random, message, &mut signature).unwrap();
            signature
        };
        match algorithm {
            "ES256" => self.p256.0.sign(&random, message).unwrap().as_ref().to_vec(),
            "ES256 DER" => self.p256.1.sign(&random, message).unwrap().as_ref().to_vec(),
            "stranger" => self.stranger.sign(&random, message).unwrap().as_ref().to_vec(),
            "ES384" => self.p384.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            other => mac(other, &self.secret, message),
        }
    }

    /// A whole token with these texts.
    pub fn token(&self, algorithm: &str, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let message = format!("{}.{}", b64(header), b64(claims));
        let signature = self.sign(algorithm, message.as_bytes());
        format!("{message}.{}", b64(signature))
    }

    /// A good token of an algorithm, with one claim more.
    pub fn good(&self, algorithm: &str, more: (&str, Value)) -> String {
        let mut claims = claims();
        claims[more.0] = more.1;
        self.token(algorithm, header(algorithm).to_string(), claims.to_string())
    }
}

/// An HMAC under any secret, also an empty one.
pub fn mac(algorithm: &str, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let hash = match algorithm {
        "HS256" => hmac::HMAC_SHA256,
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        other => panic!("no algorithm {other}"),
    };
    hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
}

/// The name of the key that an algorithm signs with.
pub fn kid(algorithm: &str) -> Option<&'static str> {
    match algorithm.get(..2) {
        Some("ES") if algorithm == "ES384" => Some("es3"),
        Some("ES") => Some("es"),
        Some("Ed") => Some("ed"),
        Some("RS" | "PS") => Some("rs"),
        _ => None,
    }
}

pub fn header(algorithm: &str) -> Value {
    let mut header = json!({ "alg": algorithm, "typ": "at+jwt" });
    if let Some(kid) = kid(algorithm) {
        header["kid"] = kid.into();
    }
    header
}

/// Claims that hold until the year 2100.
pub fn claims() -> Value {
    json!({ "iss": "https://id.example", "aud": "https://api.example", "sub": "ann", "exp": 4_102_444_800_i64 })
}

/// `a + b` or `a - b` of big-endian numbers of one length, modulo that length.
pub fn add(a: &[u8], b: &[u8], minus: bool) -> Vec<u8> {
    let (mut out, mut carry) = (a.to_vec(), 0_i16);
    for (place, byte) in out.iter_mut().zip(b).rev() {
        let sum = i16::from(*place) + carry + if minus { -i16::from(*byte) } else { i16::from(*byte) };
        *place = u8::try_from(sum.rem_euclid(256)).unwrap();
        carry = sum.div_euclid(256);
    }
    out
}
