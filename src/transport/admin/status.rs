//! Our errors as gRPC's: the only table. Each has google.rpc details: a stable reason, which field or thing, what to do.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::admin::AdminError;
use crate::store::StoreError;
use crate::verify::argon::HashError;

/// Whose reasons they are.
const DOMAIN: &str = "latchkey.dev";
/// The one text for whoever cannot be identified, whatever the cause.
const UNKNOWN_CALLER: &str = "the caller could not be identified";

/// Whatever went wrong in an unforeseen way.
const INTERNAL: &str = "internal error; the server's log has more";

/// What a call failed with, in the terms of the wire.
struct Told {
    code: Code,
    reason: &'static str,
    /// What to do; empty where the message says it.
    advice: &'static str,
}

fn told(error: &AdminError) -> Told {
    let (code, reason) = match error {
        AdminError::NotFound { .. } => (Code::NotFound, "NOT_FOUND"),
        AdminError::Exists { .. } => (Code::AlreadyExists, "ALREADY_EXISTS"),
        AdminError::Claimed { .. } => (Code::AlreadyExists, "CLAIMED"),
        AdminError::Invalid { .. } | AdminError::Hash(HashError::Cost) => (Code::InvalidArgument, "INVALID"),
        AdminError::Forbidden { .. } => (Code::PermissionDenied, "FORBIDDEN"),
        AdminError::Stale { .. } => (Code::Aborted, "STALE"),
        AdminError::Replayed { .. } => (Code::AlreadyExists, "REPLAYED"),
        AdminError::RequestReused { .. } => (Code::AlreadyExists, "REQUEST_ID_REUSED"),
        AdminError::LastOwner(_) => (Code::FailedPrecondition, "LAST_OWNER"),
        AdminError::Suspended(_) => (Code::FailedPrecondition, "TENANT_SUSPENDED"),
        AdminError::Forged(_) | AdminError::IssuerForged(_) => (Code::FailedPrecondition, "ROW_FORGED"),
        AdminError::Policy(_) => (Code::FailedPrecondition, "ISSUER_POLICY"),
        AdminError::IssuerKeys(_) => (Code::FailedPrecondition, "ISSUER_KEYS"),
        AdminError::IssuerSecret(_) => (Code::FailedPrecondition, "ISSUER_SECRET"),
        AdminError::PepperMissing(_) => (Code::FailedPrecondition, "PEPPER_MISSING"),
        AdminError::PepperInUse { .. } => (Code::FailedPrecondition, "PEPPER_IN_USE"),
        AdminError::NotInForce { .. } => (Code::FailedPrecondition, "NOT_IN_FORCE"),
        AdminError::Keyring(_) => (Code::FailedPrecondition, "KEYRING"),
        AdminError::SigningKey(_) => (Code::FailedPrecondition, "SIGNING_KEY"),
        AdminError::TokenKey(_) => (Code::FailedPrecondition, "TOKEN_KEY"),
        AdminError::SubjectKey(_) => (Code::FailedPrecondition, "SUBJECT_KEY"),
        AdminError::DeniedHere => (Code::Unavailable, "DENIED_HERE_NOT_DURABLE"),
        AdminError::TooMany { .. } => (Code::ResourceExhausted, "TOO_MANY_KEYS"),
        AdminError::TooManyTokens { .. } => (Code::ResourceExhausted, "TOO_MANY_TOKENS"),
        AdminError::Busy(_) => (Code::ResourceExhausted, "BUSY"),
        AdminError::Unavailable(_) => (Code::Unavailable, "NOT_READY"),
        AdminError::Store(StoreError::Conflict { .. }) => (Code::Aborted, "CONFLICT"),
        AdminError::Store(_) => (Code::Unavailable, "STORE_FAILED"),
        AdminError::Entropy(_) => (Code::Unavailable, "NO_RANDOMNESS"),
        AdminError::Hash(_) => (Code::Internal, "HASH_FAILED"),
    };
    Told { code, reason, advice: advice(error) }
}

/// As in metrics and log.
fn code_label(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::InvalidArgument => "invalid_argument",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::Unavailable => "unavailable",
        Code::ResourceExhausted => "resource_exhausted",
        Code::Unauthenticated => "unauthenticated",
        _ => "internal",
    }
}

/// How a call with this error ended, as in metrics and log.
pub(super) fn label(error: &AdminError) -> &'static str {
    code_label(told(error).code)
}

/// What to type next.
fn advice(error: &AdminError) -> &'static str {
    match error {
        AdminError::NotFound { what: "tenant", .. } => "`latchkey tenant list` shows all",
        AdminError::NotFound { what: "App", .. } => "`latchkey app list --tenant …` shows all of a tenant",
        AdminError::NotFound { what: "User", .. } => "`latchkey user list --tenant …` shows all of a tenant",
        AdminError::NotFound { what: "link", .. } => "`latchkey link list --tenant …` shows all of a tenant",
        AdminError::NotFound { what: "token", .. } => {
            "`latchkey token list --credential …` shows those of a credential"
        }
        AdminError::NotFound { what: "issuer", .. } => "`latchkey issuer list --tenant …` shows all of a tenant",
        AdminError::NotFound { what: "operator", .. } => "`latchkey operator list` shows all",
        AdminError::NotFound { .. } => "`latchkey key list --tenant …` shows all of a tenant",
        AdminError::Forbidden { .. } => "ask an operator who may; `latchkey operator list` shows all",
        AdminError::DeniedHere => "see what holds the store up: `latchkey doctor`; ask again until it is done",
        AdminError::Store(_) => "try again; `latchkey doctor` on the server's machine says what is wrong",
        _ => "",
    }
}

/// Which field of the request is wrong, and how.
fn violation(error: &AdminError) -> Option<(String, String)> {
    match error {
        AdminError::Invalid { field, problem } => Some((field.replace('-', "_"), problem.clone())),
        AdminError::Hash(_) => Some(("argon2".to_owned(), error.to_string())),
        _ => None,
    }
}

/// A text and what caused it, each that it does not end with already.
pub fn with_causes(mut text: String, mut cause: Option<&(dyn std::error::Error + 'static)>) -> String {
    while let Some(source) = cause {
        let more = source.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = source.source();
    }
    text
}

/// The message with its causes, which name operations and never values.
fn message(error: &AdminError) -> String {
    use std::error::Error as _;
    with_causes(error.to_string(), error.source())
}

/// The gRPC status of an error.
pub(super) fn status(error: &AdminError) -> Status {
    let Told { code, reason, advice } = told(error);
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    if let Some((field, problem)) = violation(error) {
        details.add_bad_request_violation(field, problem);
    }
    match error {
        AdminError::NotFound { what, name, .. } | AdminError::Exists { what, name } => {
            details.set_resource_info(*what, name, "", error.to_string());
        }
        AdminError::Claimed { what, id } => {
            details.set_resource_info(*what, id.to_string(), "", error.to_string());
        }
        AdminError::Stale { what, name } => {
            details.add_precondition_failure_violation("ETAG", format!("{what} {name}"), "read again, decide again");
        }
        AdminError::Policy(findings) => {
            let against = findings.iter().filter(|finding| crate::jwt::lint::refuses(std::slice::from_ref(finding)));
            against.for_each(|finding| {
                details.add_precondition_failure_violation(finding.rule, finding.clause, finding.text.clone());
            });
        }
        _ if code == Code::FailedPrecondition => {
            details.add_precondition_failure_violation(reason, "", error.to_string());
        }
        _ => {}
    }
    if !advice.is_empty() {
        details.set_localized_message("en", advice);
    }
    Status::with_error_details(code, message(error), details)
}

impl From<AdminError> for Status {
    fn from(error: AdminError) -> Self {
        status(&error)
    }
}

/// Of a caller who is nobody that we know: the same whatever was wrong.
pub(super) fn unidentified() -> Status {
    let mut details = ErrorDetails::with_error_info("UNIDENTIFIED", DOMAIN, HashMap::new());
    details.set_localized_message(
        "en",
        "send `authorization: Bearer lkop_…` (LATCHKEY_TOKEN), or a client certificate that an operator was added with",
    );
    Status::with_error_details(Code::Unauthenticated, UNKNOWN_CALLER, details)
}

/// Of a call that failed, with an error or by a panic.
pub(super) fn of(failed: Option<&AdminError>) -> Status {
    failed.map_or_else(internal, status)
}

/// An error as the pages have it, from the same table.
#[derive(Serialize, JsonSchema)]
pub struct ErrorView {
    /// As in gRPC, in lower case.
    code: &'static str,
    /// What is wrong, for programs: stable.
    reason: &'static str,
    /// What is wrong, for people.
    message: String,
    /// Which field of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

impl ErrorView {
    /// Of a call that failed, with an error or by a panic.
    pub(super) fn of(failed: Option<&AdminError>) -> Self {
        let Some(error) = failed else {
            return Self::plain(Code::Internal, "INTERNAL", INTERNAL);
        };
        let Told { code, reason, advice } = told(error);
        let field = violation(error).map(|(field, _)| field);
        let advice = Some(advice).filter(|advice| !advice.is_empty());
        Self { code: code_label(code), reason, message: message(error), field, advice }
    }

    /// Whoever cannot be identified: the same whatever was wrong.
    pub(super) fn unidentified() -> Self {
        Self::plain(Code::Unauthenticated, "UNIDENTIFIED", UNKNOWN_CALLER)
    }

    /// A session that is over, or never was.
    pub(super) fn no_session() -> Self {
        Self::plain(Code::Unauthenticated, "SESSION_ENDED", "the session is over: raise again")
    }

    fn plain(code: Code, reason: &'static str, message: &str) -> Self {
        Self { code: code_label(code), reason, message: message.to_owned(), field: None, advice: None }
    }

    /// Without what is for operators: commands of ours.
    pub(super) fn for_people(self) -> Self {
        Self { advice: None, ..self }
    }

    /// As in metrics and log.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

/// Of a call that failed in an unforeseen way.
pub(super) fn internal() -> Status {
    let details = ErrorDetails::with_error_info("INTERNAL", DOMAIN, HashMap::new());
    Status::with_error_details(Code::Internal, INTERNAL, details)
}
