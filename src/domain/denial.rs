//! Every way to say no: a private reason for log, metric and audit, and one of two public texts.
//!
//! The public text tells an attacker nothing: unknown, wrong, revoked, expired and another tenant's
//! all read the same (security rule R13), because hosts show it to the client (hazard H3).

use std::fmt;

/// What the caller reads when a credential is refused, whatever the reason.
pub const REFUSED: &str = "invalid credential";
/// What the caller reads when we could not decide, which is a refusal too.
pub const UNAVAILABLE: &str = "authentication unavailable";

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $class:ident;)+) => {
        /// Why a request was refused. Never shown to the caller.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason, in the order of the metrics.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code in logs, metrics and audit events.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// What kind of refusal it is.
            pub const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)+ }
            }
        }
    };
}

/// What kind of refusal a reason is; decides the public text and the HTTP status of pre-auth.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// The credential does not authenticate (401 `invalid_token`).
    Credential,
    /// The credential is genuine, but may not do this (403 `insufficient_scope`).
    Authority,
    /// The request contradicts itself or is over a limit (400 `invalid_request`).
    Request,
    /// We could not decide; refused all the same.
    Unavailable,
}

reasons! {
    /// No credential at all.
    CredentialEmpty = "credential_empty", Credential;
    /// Longer than the limit.
    CredentialTooLong = "credential_too_long", Credential;
    /// A byte that no credential has.
    CredentialCharacters = "credential_characters", Credential;
    /// Neither a key nor a JWT.
    CredentialForm = "credential_form", Credential;
    /// A key whose checksum differs: mistyped or made up.
    CredentialChecksum = "credential_checksum", Credential;
    /// A JWT, and no issuer is trusted.
    JwtNotAccepted = "jwt_not_accepted", Credential;
    /// It has dots, and is not a JWT as RFC 7515 and RFC 7519 say.
    JwtMalformed = "jwt_malformed", Credential;
    /// A JWT of an issuer that no tenant trusts, or not for its audience.
    IssuerUnknown = "issuer_unknown", Credential;
    /// A JWT that more than one trusted issuer could have made (rule R16).
    IssuerAmbiguous = "issuer_ambiguous", Credential;
    /// The issuer's tokens are not taken for the time being.
    IssuerInactive = "issuer_inactive", Credential;
    /// The issuer's rules do not pass the linter, or a waiver has ended.
    IssuerPolicy = "issuer_policy", Credential;
    /// The issuer's row was changed by somebody without the key of subject hashes. An alarm.
    IssuerForged = "issuer_forged", Credential;
    /// A JWT with an algorithm that its issuer is not allowed, or that its key is not for.
    JwtAlgorithm = "jwt_algorithm", Credential;
    /// A JWT under a key that its issuer does not have.
    JwtKeyUnknown = "jwt_key_unknown", Credential;
    /// There are no keys of the issuer to verify with, or they are too old. Outside as any refusal, for whoever has proven
    /// nothing learns not even whom we trust.
    KeysUnavailable = "keys_unavailable", Credential;
    /// A JWT whose signature is wrong.
    JwtSignature = "jwt_signature", Credential;
    /// A JWT whose type or claims are not those that its issuer's tokens must have.
    JwtClaims = "jwt_claims", Credential;
    /// A JWT that does not say for which App and User it stands, or not as it should.
    ClaimUnusable = "claim_unusable", Credential;
    /// A JWT of a subject that is linked to no App and User.
    LinkMissing = "link_missing", Credential;
    /// The link's row was changed by somebody without the key of subject hashes. An alarm.
    LinkForged = "link_forged", Credential;
    /// A token with our signature that we have no record of.
    TokenUnknown = "token_unknown", Credential;
    /// The token's record was changed by somebody without the key of subject hashes. An alarm.
    TokenForged = "token_forged", Credential;
    /// A token of a key that was changed after it was issued.
    TokenSuperseded = "token_superseded", Credential;
    /// An operator token where an API key belongs, or the reverse.
    WrongKind = "wrong_kind", Credential;
    /// No credential has this id.
    UnknownCredential = "unknown_credential", Credential;
    /// The id exists, the secret is another.
    WrongSecret = "wrong_secret", Credential;
    /// The row was changed by somebody without the pepper. An alarm.
    RowForged = "row_forged", Credential;
    /// Revoked.
    Revoked = "revoked", Credential;
    /// It, its tenant, App or User was taken back here, and the store could not commit that yet.
    DeniedHere = "denied_here", Credential;
    /// Past its expiry.
    Expired = "expired", Credential;
    /// Rotated, and the grace of the old credential is over.
    GraceEnded = "grace_ended", Credential;
    /// A honey key was used: somebody reads what they should not. An alarm.
    HoneyKey = "honey_key", Credential;
    /// Before its first valid moment.
    NotYetValid = "not_yet_valid", Credential;
    /// The tenant is suspended.
    TenantSuspended = "tenant_suspended", Credential;
    /// The row names a tenant that is not there.
    TenantUnknown = "tenant_unknown", Credential;
    /// The gateway's namespace is not one of the tenant's.
    NamespaceNotAllowed = "namespace_not_allowed", Credential;
    /// The App does not exist, or belongs to another tenant.
    AppUnknown = "app_unknown", Credential;
    /// The App is not active.
    AppInactive = "app_inactive", Credential;
    /// The User does not exist, or belongs to another tenant.
    UserUnknown = "user_unknown", Credential;
    /// The User is not active.
    UserInactive = "user_inactive", Credential;
    /// The App has no grant for this LLM.
    LlmNotGranted = "llm_not_granted", Authority;
    /// The request names no LLM, and the App's grants need one.
    LlmMissing = "llm_missing", Request;
    /// The request's LLM id and slug name two different ones.
    LlmContradiction = "llm_contradiction", Request;
    /// The credential is bound to addresses and this is not one of them, or none is known.
    AddressNotAllowed = "address_not_allowed", Credential;
    /// More message bytes than an auth call may hold.
    MessageTooLarge = "message_too_large", Request;
    /// The process holds too many message bytes at once.
    IntakeFull = "intake_full", Unavailable;
    /// The message is not the protobuf it should be.
    MessageMalformed = "message_malformed", Request;
    /// The plugin has no usable store or configuration; see `health`.
    NotReady = "not_ready", Unavailable;
    /// The key of subject hashes, under which issuers and links are, is not here.
    SubjectKeyMissing = "subject_key_missing", Unavailable;
    /// The row was tagged under a pepper that this process does not hold.
    PepperMissing = "pepper_missing", Unavailable;
    /// The hashing queue is full.
    HashQueueFull = "hash_queue_full", Unavailable;
    /// The store could not be read.
    StoreUnavailable = "store_unavailable", Unavailable;
    /// Whether the cached facts still hold could not be checked.
    FeedStale = "feed_stale", Unavailable;
    /// The directory did not answer.
    DirectoryUnavailable = "directory_unavailable", Unavailable;
    /// The time allowed for a decision ran out.
    DeadlineExceeded = "deadline_exceeded", Unavailable;
    /// The handler panicked; an error line says where.
    Panicked = "panicked", Unavailable;
    /// The process is shutting down.
    ShuttingDown = "shutting_down", Unavailable;
}

impl Reason {
    /// Whether who is refused for this may have been guessing. What is ours to mend tells nothing of them.
    pub const fn tells_of_a_guess(self) -> bool {
        matches!(self.class(), Class::Credential) && !matches!(self, Self::KeysUnavailable | Self::IssuerPolicy)
    }

    /// For a refusal that somebody must look at: what it means. It is always logged at error.
    pub const fn alarm(self) -> Option<&'static str> {
        match self {
            Self::RowForged => Some("a credential's row was changed by somebody without the pepper; it is refused"),
            Self::IssuerForged | Self::LinkForged | Self::TokenForged => {
                Some("a row about JWTs was changed by somebody without the key of subject hashes; it is refused")
            }
            Self::HoneyKey => Some("a honey key was used: where it was laid out has been read; it is refused"),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A refusal. Refusing is a normal result, not an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Denial {
    reason: Reason,
}

impl Denial {
    /// The private reason.
    pub const fn reason(self) -> Reason {
        self.reason
    }

    /// The text the caller may read.
    pub const fn public_text(self) -> &'static str {
        match self.reason.class() {
            Class::Unavailable => UNAVAILABLE,
            Class::Credential | Class::Authority | Class::Request => REFUSED,
        }
    }
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        Self { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h3_there_are_two_public_texts_and_neither_names_a_reason() {
        for &reason in Reason::ALL {
            let text = Denial::from(reason).public_text();
            assert!(text == REFUSED || text == UNAVAILABLE);
            assert!(!text.contains(reason.code()));
        }
    }

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::HashSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
