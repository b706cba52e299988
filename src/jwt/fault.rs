//! What can be wrong with a token or a key, and which clause says so.

use std::fmt;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $check:ident, $text:literal;)+) => {
        /// What is wrong with a token or a key. For operators and logs; a caller never reads which it was.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Fault { $($(#[$doc])* $name,)+ }

        impl Fault {
            /// Every fault.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// What is wrong, and the clause that says so.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// At which check it is found.
            pub const fn check(self) -> Check {
                match self { $(Self::$name => Check::$check,)+ }
            }
        }
    };
}

/// The checks of a token, in their order; all before the one that failed were passed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Check {
    /// The keys themselves can be used.
    Keys,
    /// Length, parts, base64url and JSON.
    Form,
    /// The header asks for nothing that is not done here.
    Header,
    /// The claims have the types that they must have.
    Claims,
    /// The algorithm is one of those allowed.
    Algorithm,
    /// One key is meant, and fits.
    Key,
    /// That key signed it.
    Signature,
    /// It is a token of the kind that is asked for.
    Type,
    /// It is from this issuer.
    Issuer,
    /// It is for us.
    Audience,
    /// It holds now.
    Times,
    /// It says what it must.
    Required,
    /// It is bound to no key of its holder.
    Confirmation,
}

impl Check {
    /// All, in their order.
    pub const ALL: &'static [Self] = &[
        Self::Keys,
        Self::Form,
        Self::Header,
        Self::Claims,
        Self::Algorithm,
        Self::Key,
        Self::Signature,
        Self::Type,
        Self::Issuer,
        Self::Audience,
        Self::Times,
        Self::Required,
        Self::Confirmation,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Form => "form",
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Type => "type",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Times => "times",
            Self::Required => "required",
            Self::Confirmation => "confirmation",
        }
    }

    /// What it sees to.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Keys => "the keys can be used",
            Self::Form => "three parts of strict base64url, JSON with each name once",
            Self::Header => "one algorithm, and nothing that would have to be understood, fetched or decrypted",
            Self::Claims => "registered claims have their types",
            Self::Algorithm => "the algorithm is allowed",
            Self::Key => "one key is meant, and is for that algorithm",
            Self::Signature => "that key signed header and payload",
            Self::Type => "an access token, of a type that is taken",
            Self::Issuer => "exactly that issuer",
            Self::Audience => "exactly one of those audiences",
            Self::Times => "exp, nbf and iat hold now",
            Self::Required => "required claims are there",
            Self::Confirmation => "no proof of possession is asked for",
        }
    }
}

faults! {
    /// No token at all.
    TokenEmpty = "token_empty", Form, "there is no token";
    /// Over the limit.
    TokenTooLong = "token_too_long", Form, "longer than a credential may be (16 KiB; 1 MiB with --raw)";
    /// Not header, payload and signature.
    Segments = "segments", Form,
        "not three parts between two dots (RFC 7515 section 7.1: header, payload and signature)";
    /// The JSON serialisation of a signature.
    JsonSerialisation = "json_serialisation", Form,
        "this is the JSON serialisation (RFC 7515 section 7.2); a JWT is always the compact one (RFC 7519 section 1)";
    /// Five parts.
    Encrypted = "encrypted", Form,
        "five parts or parameters of encryption: this is a JWE (RFC 7516), and only signed tokens are taken";
    /// Not strict base64url.
    Base64 = "base64", Form,
        "a part is not base64url: RFC 7515 section 2 allows A-Z a-z 0-9 - _ without padding, white space or line breaks, and RFC \
         4648 section 3.5 no bits that are left over";
    /// Nothing after the last dot.
    SignatureEmpty = "signature_empty", Form,
        "the signature is missing: an unsecured JWT (RFC 7519 section 6) is never taken (RFC 8725 section 3.2)";
    /// A header over its limit.
    HeaderTooLong = "header_too_long", Form, "the header is longer than 4 KiB";
    /// Not UTF-8, or with a byte order mark.
    JsonEncoding = "json_encoding", Form,
        "not UTF-8 without a byte order mark (RFC 7515 section 3, RFC 8259 section 8.1; RFC 8725 section 3.7)";
    /// Not JSON.
    JsonSyntax = "json_syntax", Form, "not JSON (RFC 8259; RFC 7519 section 7.2 step 10)";
    /// No object at the top.
    JsonNotObject = "json_not_object", Form,
        "not one JSON object (RFC 7515 section 4; RFC 7519 section 7.2 steps 3 and 10)";
    /// One name twice.
    JsonDuplicate = "json_duplicate", Form,
        "a name stands twice in one object; names must be unique (RFC 7515 section 4, RFC 7519 section 4)";
    /// `Exp` for `exp`.
    NameVariant = "name_variant", Form,
        "a name differs from a registered one by case alone: names are case-sensitive (RFC 7515 section 4, RFC 7519 section 4), \
         and some parsers forget it";
    /// Half a surrogate pair.
    JsonSurrogate = "json_surrogate", Form, "an escape is half of a surrogate pair (RFC 8259 section 8.2)";
    /// Too deep, too many members or elements, too long a number.
    JsonLimits = "json_limits", Form,
        "more nesting, members, elements or digits than a token needs, or a number beyond a double (RFC 8259 section 9 lets a parser set limits)";
    /// No `alg`.
    AlgorithmMissing = "alg_missing", Header, "the header has no alg; it must (RFC 7515 section 4.1.1)";
    /// `alg` is not text.
    AlgorithmType = "alg_type", Header, "alg is not a text (RFC 7515 section 4.1.1)";
    /// `none`, in any case.
    AlgorithmNone = "alg_none", Header, "alg is none: a token without a signature is never taken (RFC 8725 section 3.2)";
    /// No algorithm of ours.
    AlgorithmUnknown = "alg_unknown", Header,
        "alg names no algorithm that is supported; names are case-sensitive (RFC 7515 section 4.1.1, RFC 7518 section 3.1)";
    /// `crit` in any form.
    HeaderCritical = "crit", Header,
        "crit names extensions that must be understood, and none is; an empty or misplaced one is wrong itself (RFC 7515 section \
         4.1.11)";
    /// `b64`.
    HeaderUnencoded = "b64", Header, "b64 changes what is signed; JWTs must not use it (RFC 7797 section 7)";
    /// `zip`.
    HeaderCompressed = "zip", Header,
        "zip: compression belongs to encryption alone (RFC 7516 section 4.1.3) and is best avoided (RFC 8725 section 3.6)";
    /// `cty`.
    HeaderNested = "cty", Header, "cty: the payload is said to be another token (RFC 7519 section 5.2), and nested ones are not taken";
    /// Parameters of encryption.
    HeaderEncrypted = "header_encrypted", Header,
        "the header has parameters of encryption (RFC 7516 section 4.1, RFC 7518 section 4); only signed tokens are taken";
    /// A key, or a place to fetch one, in the token itself.
    HeaderKey = "header_key", Header,
        "the token brings its own key (jwk, jku, x5u or x5c): keys come from the issuer's record alone (RFC 8725 section 3.10, RFC \
         7515 section 10)";
    /// `kid` is not a short printable text.
    KidInvalid = "kid_invalid", Header,
        "kid is not a text of 1 to 256 bytes without control characters (RFC 7515 section 4.1.4; RFC 8725 section 3.10)";
    /// `typ` is not a media type.
    TypeInvalid = "typ_invalid", Header, "typ is not a media type's name (RFC 7515 section 4.1.9)";
    /// `iss` is not text.
    IssuerType = "iss_type", Claims, "iss is not a text without control characters (RFC 7519 section 4.1.1)";
    /// `sub` is not text.
    SubjectType = "sub_type", Claims, "sub is not a text without control characters (RFC 7519 section 4.1.2)";
    /// `aud` is neither text nor texts.
    AudienceType = "aud_type", Claims,
        "aud is neither a text nor a list of 1 to 32 texts without control characters (RFC 7519 section 4.1.3)";
    /// `jti` is not text.
    TokenIdType = "jti_type", Claims, "jti is not a text without control characters (RFC 7519 section 4.1.7)";
    /// A time that is no integer.
    TimeType = "time_type", Claims,
        "exp, nbf or iat is not a whole number of seconds (RFC 7519 section 2, NumericDate; what is not a number is not taken for \
         absent)";
    /// A time out of range.
    TimeRange = "time_range", Claims,
        "exp, nbf or iat is before 1970 or after 9999: perhaps milliseconds, where RFC 7519 section 2 has seconds";
    /// Times that contradict each other.
    TimesContradict = "times_contradict", Claims, "nbf or iat is after exp (RFC 7519 sections 4.1.4 to 4.1.6)";
    /// An algorithm that the record does not list.
    AlgorithmNotAllowed = "alg_not_allowed", Algorithm,
        "alg is not one of those that the issuer's record allows (RFC 8725 section 3.1)";
    /// The `kid` is none of the set's.
    KeyUnknown = "key_unknown", Key, "kid is that of no key of the issuer (RFC 7515 section 4.1.4)";
    /// The `kid` is that of a key that was left out.
    KeyUnusable = "key_unusable", Key, "kid is that of a key of the issuer which cannot be used; `issuer check` says why";
    /// No `kid`, and several keys fit.
    KeyAmbiguous = "key_ambiguous", Key,
        "the token names no kid and several keys fit its alg: none is guessed (RFC 7515 section 6)";
    /// No `kid`, and no key fits.
    KeyNone = "key_none", Key, "the token names no kid and no key of the issuer fits its alg (RFC 7515 section 5.2)";
    /// Another kind of key.
    KeyFamily = "key_family", Key,
        "the key that kid names is not of the kind that alg takes (RFC 8725 section 3.1: a key goes with exactly one algorithm)";
    /// A key of another algorithm.
    KeyAlgorithm = "key_algorithm", Key,
        "the key that kid names is for another alg (RFC 7517 section 4.4; RFC 8725 section 3.1)";
    /// A secret shorter than the hash.
    KeyShort = "key_short", Key, "the secret is shorter than the hash of alg (RFC 7518 section 3.2)";
    /// A signature of another length than the algorithm's.
    SignatureLength = "signature_length", Signature,
        "the signature has not the length that alg and key give (RFC 7518 sections 3.2 to 3.5, RFC 8037 section 3.1)";
    /// Not signed by that key.
    SignatureWrong = "signature_wrong", Signature,
        "the signature is not of this header and payload under that key (RFC 7515 section 5.2 step 8)";
    /// `typ` is none of those taken.
    TypeNotAllowed = "typ_not_allowed", Type,
        "typ, or that there is none, is not what is taken from this issuer (RFC 8725 section 3.11, RFC 9068 section 4)";
    /// An ID token, a logout token or another that is no access token.
    NotAccessToken = "not_access_token", Type,
        "its typ or claims (events, at_hash, c_hash, token_use) say that it is an ID token, a logout token or an event, and no \
         access token (RFC 8725 section 2.8 and 3.12)";
    /// No `iss`.
    IssuerMissing = "iss_missing", Issuer, "there is no iss (RFC 8725 section 3.8)";
    /// Another `iss`.
    IssuerOther = "iss_other", Issuer,
        "iss is not exactly the issuer's (RFC 7519 section 4.1.1: case-sensitive; RFC 8725 section 3.8)";
    /// No `aud`.
    AudienceMissing = "aud_missing", Audience, "there is no aud (RFC 8725 section 3.9)";
    /// Others than us.
    AudienceOther = "aud_other", Audience,
        "aud has no value that is exactly one of ours (RFC 7519 section 4.1.3; RFC 8725 section 3.9)";
    /// No `exp`.
    ExpiryMissing = "exp_missing", Times, "there is no exp, and a token must end (RFC 9068 section 2.2)";
    /// Past its end.
    Expired = "expired", Times, "expired: exp and the leeway are over (RFC 7519 section 4.1.4)";
    /// Before its beginning.
    NotYetValid = "not_yet_valid", Times, "not valid yet: nbf, less the leeway, is to come (RFC 7519 section 4.1.5)";
    /// Issued in the future.
    IssuedInFuture = "iat_future", Times, "iat is in the future by more than the leeway (RFC 7519 section 4.1.6)";
    /// No `iat`, where there is a greatest age.
    IssuedMissing = "iat_missing", Times, "there is no iat, and the issuer's record has a greatest age (RFC 7519 section 4.1.6)";
    /// Over the greatest age.
    TooOld = "too_old", Times, "older than the issuer's record allows, by its iat (RFC 7519 section 4.1.6)";
    /// A required claim is not there.
    ClaimMissing = "claim_missing", Required,
        "a claim that the issuer's record requires is missing or null (RFC 7519 section 4: which are required is the application's)";
    /// Bound to a key that the holder would have to prove.
    Confirmation = "cnf", Confirmation,
        "cnf: the token is bound to a key of its holder (RFC 7800 section 3.1), and no proof of it can be shown here";
    /// A set over its limit.
    JwksTooLarge = "jwks_too_large", Keys, "the set of keys is longer than 256 KiB";
    /// Too many keys.
    JwksTooMany = "jwks_too_many", Keys, "the set has more than 100 keys";
    /// Not a set of keys.
    JwksForm = "jwks_form", Keys, "not a JWK set: an object whose member keys is a list of objects (RFC 7517 section 5)";
    /// One `kid` twice.
    JwksDuplicate = "duplicate_kid", Keys, "two keys of the set have the same kid (RFC 7517 section 4.5)";
    /// A private key where public ones belong.
    JwkPrivate = "private_key", Keys,
        "there is a private key in it (RFC 7517 section 9.2): give the public half alone, and replace the key if others saw it";
    /// A secret among public keys.
    JwkSecret = "secret_key", Keys,
        "there is a symmetric key in it (kty oct): who verifies with it could sign (RFC 7517 section 9.2, RFC 8725 section 3.1)";
    /// An unknown kind.
    JwkType = "jwk_type", Keys, "kty is none of RSA, EC and OKP (RFC 7517 section 4.1)";
    /// An unknown curve.
    JwkCurve = "jwk_curve", Keys, "crv is none of P-256, P-384 and Ed25519 (RFC 7518 section 6.2.1.1, RFC 8037 section 2)";
    /// Not for signatures.
    JwkUse = "jwk_use", Keys, "use is not sig (RFC 7517 section 4.2)";
    /// Not for verifying.
    JwkOperations = "jwk_operations", Keys, "key_ops is not a list of texts with verify among them (RFC 7517 section 4.3)";
    /// For another algorithm.
    JwkAlgorithm = "jwk_algorithm", Keys, "alg is no signature algorithm of such a key (RFC 7517 section 4.4)";
    /// A member that is missing or not what it must be.
    JwkMember = "jwk_member", Keys,
        "a member is missing, not base64url or not of its length (RFC 7518 sections 6.2.1, 6.3.1 and 6.4.1, RFC 8037 section 2)";
    /// An RSA modulus of a size that is not taken.
    RsaSize = "rsa_size", Keys, "the RSA modulus is not of 2048 to 8192 bits (RFC 7518 section 3.3)";
    /// An RSA exponent that is not taken.
    RsaExponent = "rsa_exponent", Keys, "the RSA exponent is even, below 65537 or above 33 bits (FIPS 186-5 section A.1.1)";
    /// A modulus that is no product of two large primes, or of a generator that is broken.
    RsaModulus = "rsa_modulus", Keys,
        "the RSA modulus has a small factor, or the mark of a generator whose keys can be factored (ROCA, CVE-2017-15361)";
    /// A point that is not on its curve.
    PointInvalid = "point_invalid", Keys, "the point is not on its curve (RFC 8725 section 3.4)";
    /// A point under which anything could be signed.
    PointWeak = "point_weak", Keys, "the Ed25519 point is of small order or not in its one form (RFC 8032 section 5.1.3)";
    /// A secret below 256 bits.
    SecretShort = "hmac_short", Keys, "the secret is shorter than 256 bits (RFC 7518 section 3.2, RFC 8725 section 3.5)";
    /// A secret that everybody knows.
    SecretGuessable = "hmac_guessable", Keys,
        "the secret repeats itself, or is an example that everybody knows (RFC 8725 section 3.5)";
    /// Not one public key.
    PemForm = "pem_form", Keys,
        "not one PEM block `PUBLIC KEY` (RFC 7468 section 13); of a certificate: `openssl x509 -pubkey -noout`, of a PKCS#1 key: \
         `openssl rsa -RSAPublicKey_in -pubout`";
    /// A private key.
    PemPrivate = "pem_private", Keys,
        "this is a private key: give its public half alone (`openssl pkey -pubout`), and replace the key if others saw it";
    /// A public key of another kind.
    PemKind = "pem_kind", Keys, "not the public key of RSA, P-256, P-384 or Ed25519 (RFC 5280 section 4.1.2.7, RFC 8410)";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_every_check_has_its_faults() {
        let codes: std::collections::HashSet<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
        assert!(Check::ALL.iter().all(|check| Fault::ALL.iter().any(|fault| fault.check() == *check)));
        assert!(Check::ALL.is_sorted());
    }

    #[test]
    fn a_text_of_a_token_quotes_its_clause() {
        let limits = [Fault::TokenEmpty, Fault::TokenTooLong, Fault::HeaderTooLong, Fault::KeyUnusable];
        for fault in Fault::ALL.iter().filter(|fault| fault.check() != Check::Keys && !limits.contains(fault)) {
            assert!(fault.text().contains("RFC "), "{}", fault.code());
            assert!(!fault.text().contains("  "), "{}", fault.code());
        }
    }
}
