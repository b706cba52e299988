//! The rules, where each comes from, and the names that they are about.

use crate::domain::Algorithm;
use crate::jwt::Fault;
use crate::jwt::lint::Severity;

macro_rules! rules {
    ($($severity:ident $name:ident = $code:literal, $clause:literal;)+) => {
        /// One of them.
        #[derive(Clone, Copy)]
        pub(super) struct Rule {
            pub(super) code: &'static str,
            pub(super) clause: &'static str,
            pub(super) severity: Severity,
        }

        $(pub(super) const $name: Rule = Rule { code: $code, clause: $clause, severity: Severity::$severity };)+

        /// Every rule: its stable name, where it comes from and what a finding of it means.
        pub const RULES: &[(&str, &str, Severity)] = &[$(($code, $clause, Severity::$severity),)+];
    };
}

rules! {
    Refused NO_ISSUER = "no_issuer", "RFC 8725 section 3.8";
    Refused RESERVED_ISSUER = "reserved_issuer", "RFC 8725 section 3.8";
    Refused NO_AUDIENCE = "no_audience", "RFC 8725 section 3.9";
    Refused NO_ALGORITHM = "no_algorithm", "RFC 8725 section 3.1";
    Refused HMAC_MIXED = "hmac_mixed", "RFC 8725 sections 2.1 and 3.1";
    Refused HMAC_PUBLISHED = "hmac_published", "RFC 8725 section 3.1";
    Refused HMAC_SHORT = "hmac_short", "RFC 8725 section 3.5, RFC 7518 section 3.2";
    Refused HMAC_GUESSABLE = "hmac_guessable", "RFC 8725 section 3.5";
    Refused RSA_SHORT = "rsa_short", "RFC 7518 section 3.3";
    Refused RSA_LONG = "rsa_long", "RFC 8725 section 3.10";
    Refused IDENTITY_CHOSEN = "identity_chosen", "OpenID Connect Core 1.0 section 5.7";
    Refused PRIVATE_KEY = "private_key", "RFC 7517 section 9.2";
    Refused DUPLICATE_KID = "duplicate_kid", "RFC 7517 section 4.5";
    Refused KEYS_MALFORMED = "keys_malformed", "RFC 7517 section 5";
    Refused KEY_UNUSABLE = "key_unusable", "RFC 8725 section 3.1";
    Refused STRICT_KEY = "strict_key", "ASVS 5.0 section 11.2.3";
    Refused LEEWAY = "leeway", "RFC 7519 section 4.1.4";
    Refused TYPE_UNKNOWN = "type_unknown", "RFC 7515 section 4.1.9";
    Refused TYPE_LOGOUT = "type_logout", "RFC 8725 sections 2.8 and 3.12";
    Refused NOT_HTTPS = "not_https", "RFC 8725 section 3.10";
    Refused FIRST_USE_OPEN = "first_use_open", "RFC 8725 section 3.10";
    Refused FIRST_USE_EMAIL = "first_use_email", "OpenID Connect Core 1.0 section 5.7";
    Refused REQUIRED_UNKNOWN = "required_unknown", "RFC 8725 section 3.12";
    Waivable KEY_ALGORITHM_AMBIGUOUS = "key_algorithm_ambiguous", "RFC 8725 section 3.1";
    Waivable KEY_WITHOUT_KID = "key_without_kid", "RFC 7517 section 4.5";
    Waivable KEY_SHARED = "key_shared", "RFC 8725 sections 2.8 and 3.12";
    Waivable TYPE_ABSENT = "type_absent_accepted", "RFC 8725 section 3.11";
    Warning RSA_2048 = "rsa_2048", "ASVS 5.0 section 11.2.3";
    Warning TYPE_NOT_EXPLICIT = "type_not_explicit", "RFC 8725 section 3.11";
    Warning NO_MAX_AGE = "no_max_age", "RFC 8725 section 3.10";
    Warning PKCS1 = "pkcs1", "RFC 8725 section 3.2";
    Warning KEY_LEFT_OUT = "key_left_out", "RFC 7517 section 5";
    Warning KEYS_UNKNOWN = "keys_unknown", "RFC 7517 section 5";
    Warning WAIVER_OVER = "waiver_over", "RFC 8725 section 3.1";
}

/// Whether a rule can be waived.
pub fn is_waivable(rule: &str) -> bool {
    RULES.iter().any(|(code, _, severity)| *code == rule && *severity == Severity::Waivable)
}

/// What every `iss` of ours begins with.
pub const OUR_PREFIX: &str = "urn:latchkey:";

/// Types of tokens that are no access tokens (RFC 8417 section 2.3, OIDC Back-Channel Logout 1.0 section 2.4, RFC
/// 9449 section 4.2, RFC 9101 section 10.8, RFC 9701 section 5, RFC 7523 in its later profile).
pub(super) const OTHER_TYPES: &[&str] = &[
    "logout+jwt",
    "secevent+jwt",
    "dpop+jwt",
    "oauth-authz-req+jwt",
    "token-introspection+jwt",
    "client-authentication+jwt",
    "kb+jwt",
    "dc+sd-jwt",
    "entity-statement+jwt",
    "jwe",
];

/// Claims that people choose or that pass from one to another (OIDC Core 1.0 section 5.7).
pub(super) const CHOSEN: &[&str] = &[
    "preferred_username",
    "name",
    "given_name",
    "middle_name",
    "family_name",
    "nickname",
    "profile",
    "picture",
    "website",
    "phone_number",
    "upn",
    "unique_name",
    "username",
    "user_name",
    "login",
];

/// Claims that no token has which is taken.
pub(super) const NEVER_TAKEN: &[&str] = &["cnf", "events", "at_hash", "c_hash"];

/// Bits that a secret must have for an algorithm (RFC 7518 section 3.2).
pub(super) const fn secret_bits(algorithm: Algorithm) -> u32 {
    match algorithm {
        Algorithm::HS512 => 512,
        Algorithm::HS384 => 384,
        _ => 256,
    }
}

/// The rule that a fault of keys breaks.
pub(super) const fn rule_of(fault: Fault) -> Rule {
    match fault {
        Fault::SecretShort | Fault::KeyShort => HMAC_SHORT,
        Fault::SecretGuessable => HMAC_GUESSABLE,
        Fault::RsaSize => RSA_SHORT,
        Fault::JwkPrivate | Fault::PemPrivate | Fault::JwkSecret => PRIVATE_KEY,
        Fault::JwksDuplicate => DUPLICATE_KID,
        _ => KEYS_MALFORMED,
    }
}
