//! Signed statements of how far a trail goes. Against one that is kept elsewhere it shows that nothing was cut off the
//! trail and nothing before it was written again (rule R19).

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::audit::chain::Hash;
use crate::domain::hex;

/// The public half of an Ed25519 key (RFC 8032).
pub type PublicKey = [u8; 32];

/// How far a trail goes, by whom it was signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// What the trail begins with.
    pub beginning: [u8; 16],
    /// The number of its last event.
    pub sequence: u64,
    /// That event's hash.
    pub head: Hash,
    /// When it was signed, milliseconds since the epoch.
    pub at_ms: i64,
    /// Whose signature it is.
    pub key: PublicKey,
    /// Over everything before.
    pub signature: [u8; 64],
}

/// One line of JSON, as it is kept elsewhere.
#[derive(Serialize, Deserialize)]
struct Line {
    latchkey_audit_checkpoint: u8,
    beginning: String,
    sequence: u64,
    head: String,
    at_ms: i64,
    key: String,
    signature: String,
}

impl Checkpoint {
    /// What is signed: every field led by nothing, for each has its length.
    pub fn message(beginning: &[u8; 16], sequence: u64, head: &Hash, at_ms: i64, key: &PublicKey) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(b"latchkey audit checkpoint v1");
        out.extend_from_slice(beginning);
        out.extend_from_slice(&sequence.to_be_bytes());
        out.extend_from_slice(head);
        out.extend_from_slice(&at_ms.to_be_bytes());
        out.extend_from_slice(key);
        out
    }

    /// Whether its key signed it. Whether the key is to be trusted is another question.
    pub fn is_signed(&self) -> bool {
        let message = Self::message(&self.beginning, self.sequence, &self.head, self.at_ms, &self.key);
        UnparsedPublicKey::new(&ED25519, self.key).verify(&message, &self.signature).is_ok()
    }

    /// As a line of JSON, for a place that who may change the store cannot write to.
    pub fn to_line(&self) -> String {
        let line = Line {
            latchkey_audit_checkpoint: 1,
            beginning: hex::encode(&self.beginning),
            sequence: self.sequence,
            head: hex::encode(&self.head),
            at_ms: self.at_ms,
            key: hex::encode(&self.key),
            signature: hex::encode(&self.signature),
        };
        serde_json::to_string(&line).unwrap_or_default()
    }

    /// From a line of JSON.
    pub fn parse(line: &str) -> Option<Self> {
        let line: Line = serde_json::from_str(line).ok()?;
        (line.latchkey_audit_checkpoint == 1).then_some(())?;
        Some(Self {
            beginning: hex::array(&line.beginning)?,
            sequence: line.sequence,
            head: hex::array(&line.head)?,
            at_ms: line.at_ms,
            key: hex::array(&line.key)?,
            signature: hex::array(&line.signature)?,
        })
    }
}
