//! What a page sends: JSON with secrets in it. Wiped when it was read; what is wrong with it is said without showing it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Visitor};
use zeroize::Zeroizing;

use crate::admin::{AdminError, AdminResult};
use crate::secret::{CredentialText, Secret};

/// The longest that is looked at, in bytes.
const MAX: usize = 64 * 1024;

/// The JSON of a call.
pub struct Payload(Zeroizing<String>);

impl Payload {
    /// Takes it over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Whether it is more than is looked at.
    pub fn is_too_large(&self) -> bool {
        self.0.len() > MAX
    }

    /// What it says; an empty one is an empty object.
    pub(super) fn read<T: DeserializeOwned>(&self) -> AdminResult<T> {
        let text = if self.0.is_empty() { "{}" } else { self.0.as_str() };
        let wrong = |problem: String| AdminError::Invalid { field: "payload", problem };
        // A list would be taken for the fields in their order.
        if !text.trim_start().starts_with('{') {
            return Err(wrong("a JSON object, as `describe` shows it".to_owned()));
        }
        serde_json::from_str(text).map_err(|error| {
            let problem = match error.classify() {
                serde_json::error::Category::Data => problem(&error.to_string()),
                _ => "this is no JSON".to_owned(),
            };
            wrong(format!("line {}, column {}: {problem}", error.line(), error.column()))
        })
    }
}

/// In words that hold nothing of what was sent: a token may stand where none belongs.
fn problem(text: &str) -> String {
    if text.starts_with("missing field") || text.starts_with("duplicate field") {
        // The names are ours.
        return text.split(" at line ").next().unwrap_or_default().to_owned();
    }
    let what = if text.starts_with("unknown field") { "a field that is none" } else { "a value that is none" };
    format!("{what} of this method; `describe` shows what there is")
}

/// Text that is a secret: read into its place at once.
pub(super) struct SecretText(Secret<CredentialText>);

impl SecretText {
    pub(super) fn secret(&self) -> &Secret<CredentialText> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = SecretText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_str<E>(self, text: &str) -> Result<SecretText, E> {
                Ok(SecretText(Secret::new(text.as_bytes().to_vec())))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::admin::pages::input::{RaiseInput, TenantInput};

    fn refused<T: DeserializeOwned>(text: &str) -> String {
        match Payload::new(text.to_owned()).read::<T>() {
            Ok(_) => panic!("taken: {text}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_of_it_shown() {
        const SECRET: &str = "lkop_canary";
        for text in [
            r#"{"tenant":["lkop_canary"]}"#,
            r#"{"tenant":"a","lkop_canary":1}"#,
            r#"{"tenant":lkop_canary}"#,
            r#"{"tenant":"a","tenant":"lkop_canary"}"#,
            r#""lkop_canary""#,
            r#"["lkop_canary"]"#,
            r#"{"session":"lkop_canary"}"#,
            "null",
            "{",
        ] {
            let said = refused::<TenantInput>(text);
            assert!(said.starts_with("payload: ") && !said.contains(SECRET), "{said}");
        }
        assert!(refused::<TenantInput>("").contains("missing field `tenant`"));
        assert!(refused::<RaiseInput>(r#"{"operator_token":7}"#).contains("a value that is none"));
        let deep = format!("{{\"tenant\":{}", "[".repeat(60_000));
        assert!(refused::<TenantInput>(&deep).contains("a value that is none"));
        assert!(refused::<serde_json::Value>(&deep).contains("no JSON"), "a bounded depth");
    }

    #[test]
    fn a_payload_is_bounded() {
        assert!(!Payload::new("x".repeat(MAX)).is_too_large() && Payload::new("x".repeat(MAX + 1)).is_too_large());
    }
}
