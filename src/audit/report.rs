//! The report of a checklist for an auditor's file: what it says, its signature, and how that is checked anywhere.
//!
//! What is signed are the bytes of the file themselves, up to the signature: nothing has to be written anew in one
//! certain way before it can be checked, and whatever was changed shows.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::checkpoint::PublicKey;
use crate::domain::hex;

/// The form of the report that this version writes.
pub const REPORT_VERSION: u8 = 1;

/// How a claim turned out, or all of them together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It holds for every credential that was checked, and some were.
    Pass,
    /// It does not hold for all of them.
    Fail,
    /// There was none to check it on: no pass.
    NotChecked,
}

impl Status {
    /// As in the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotChecked => "not_checked",
        }
    }

    /// Of several together: a failure is one, and what was not checked is no pass.
    pub fn of_all(all: impl IntoIterator<Item = Self>) -> Self {
        let worse = |one, other| match (one, other) {
            (Self::Fail, _) | (_, Self::Fail) => Self::Fail,
            (Self::Pass, Self::Pass) => Self::Pass,
            _ => Self::NotChecked,
        };
        all.into_iter().reduce(worse).unwrap_or(Self::NotChecked)
    }
}

/// A credential for which a claim does not hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Offender {
    /// The slug of its tenant.
    pub tenant: String,
    /// Its id.
    pub credential_id: String,
    /// The App that its row names.
    pub app_id: u32,
    /// The User that its row names.
    pub user_id: u32,
    /// A stable code: why not.
    pub reason: String,
}

/// One of the five claims.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// `V1` to `V5`.
    pub id: String,
    /// What it says.
    pub claim: String,
    /// Whether it holds.
    pub status: Status,
    /// Credentials that it was judged for.
    pub checked: u64,
    /// Those for which it does not hold.
    pub failed: u64,
    /// The first of them.
    pub offenders: Vec<Offender>,
}

/// What a run of the checklist found, of what, and who asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub report_version: u8,
    /// `latchkey`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// The version of the store's schema.
    pub schema_version: u32,
    /// What the audit trail of the store begins with, 32 hexadecimal digits: which store it was.
    pub trail_beginning: String,
    /// The number of the trail's last event, which is that of this run or one after it.
    pub trail_last_event: u64,
    /// That event's hash, 64 hexadecimal digits.
    pub trail_head: String,
    /// When it began, RFC 3339, UTC.
    pub started_at: String,
    /// When it ended.
    pub finished_at: String,
    /// Who ran it, as in the audit trail.
    pub run_by: String,
    /// The slugs of the tenants that it is about; null is all of them.
    pub tenants: Option<Vec<String>>,
    /// Who was asked for Apps: `store`, or beside it the host, `gateway` or `studio`. Users come from the store.
    pub directory: String,
    /// Which of the host's programs runs this process, where that is known.
    pub host_runtime: Option<String>,
    /// The machine's setting `auth.llm_grants`: `required`, or `tenant` where a tenant may say that none is needed.
    pub llm_grants: String,
    /// Credentials in force that were found.
    pub population: u64,
    /// Whether all of them were found. Where not, the run was bounded, and the sample is of those that were.
    pub population_complete: bool,
    /// Those of suspended tenants, which are refused whatever else holds.
    pub not_usable: u64,
    /// How many were to be chosen by chance; null is every one.
    pub sample: Option<u32>,
    /// How many were judged.
    pub checked: u64,
    /// Those that ended while the run went on.
    pub ended_meanwhile: u64,
    /// `pass` if every claim holds for every one, and there was one.
    pub status: Status,
    /// The claims, in their order.
    pub claims: Vec<Claim>,
    /// Why there is no signature, where there is none.
    pub unsigned_because: Option<String>,
    /// The last member of the file; what is before it is what it signs.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    pub signature: Option<Signature>,
}

/// Whose signature it is, over what stands before it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Signature {
    /// `Ed25519` (RFC 8032).
    pub algorithm: String,
    /// 64 hexadecimal digits.
    pub public_key: String,
    /// 128 hexadecimal digits.
    pub value: String,
}

impl Signature {
    /// Of this key.
    pub fn new(key: &PublicKey, value: &[u8; 64]) -> Self {
        let (public_key, value) = (hex::encode(key), hex::encode(value));
        Self { algorithm: "Ed25519".to_owned(), public_key, value }
    }
}

/// What is signed: the report as it stands in the file before its signature.
pub fn message(body: &str) -> Vec<u8> {
    [b"latchkey checklist v1", body.as_bytes()].concat()
}

fn ending(signature: Option<&Signature>) -> String {
    let signature = serde_json::to_string(&signature).unwrap_or_default();
    format!(",\"signature\":{signature}}}")
}

impl Report {
    /// What there is to sign.
    pub fn body(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The file: one line of JSON.
pub fn file(body: &str, signature: Option<&Signature>) -> String {
    format!("{}{}", body.strip_suffix('}').unwrap_or(body), ending(signature))
}

/// What may be said of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is as it was signed, by that key.
    Genuine(PublicKey),
    /// It was changed after it was signed.
    Edited,
    /// It is as it was signed, by a key that is not the one that was named.
    OtherKey(PublicKey),
    /// Nobody signed it.
    Unsigned,
}

/// Reads a file and checks its signature, by the key that is trusted, or else whichever it names. None where it is no
/// report, or of a form that this version does not know.
pub fn check(text: &str, trusted: Option<&PublicKey>) -> Option<(Report, Verdict)> {
    let text = text.trim_end_matches(['\n', '\r']);
    let report: Report = serde_json::from_str(text).ok()?;
    (report.report_version == REPORT_VERSION).then_some(())?;
    let verdict = match &report.signature {
        None => Verdict::Unsigned,
        Some(signature) => verdict(text, signature, trusted),
    };
    Some((report, verdict))
}

fn verdict(text: &str, signature: &Signature, trusted: Option<&PublicKey>) -> Verdict {
    let (key, value) = (hex::array(&signature.public_key), hex::array::<64>(&signature.value));
    let body = text.strip_suffix(&ending(Some(signature))).map(|head| format!("{head}}}"));
    let (Some(key), Some(value), Some(body), "Ed25519") = (key, value, body, signature.algorithm.as_str()) else {
        return Verdict::Edited;
    };
    match UnparsedPublicKey::new(&ED25519, key).verify(&message(&body), &value) {
        Err(_) => Verdict::Edited,
        Ok(()) if trusted.is_some_and(|trusted| *trusted != key) => Verdict::OtherKey(key),
        Ok(()) => Verdict::Genuine(key),
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
