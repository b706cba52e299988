//! What is said about a token: for people check by check, for scripts as one object. Never the token itself.

use serde::Serialize;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::output::{Listing, plain};
use crate::jwt::compact::{self, Compact};
use crate::jwt::json::{self, Object};
use crate::jwt::{Check, Fault, raw};

/// The checks of a signature alone.
const RAW: &[Check] = &[Check::Keys, Check::Form, Check::Header, Check::Algorithm, Check::Key, Check::Signature];

pub(super) struct Answer {
    is_raw: bool,
    header: Option<Object>,
    claims: Option<Object>,
    /// What is wrong, if anything is.
    pub(super) fault: Option<Fault>,
    /// The payload under a good signature, where that was asked for.
    pub(super) payload: Option<Vec<u8>>,
    /// Checks that were not asked for.
    pub(super) skipped: Vec<(Check, &'static str)>,
}

/// A check as people read it.
#[derive(Serialize)]
struct Row {
    check: &'static str,
    result: &'static str,
    what: String,
}

impl Answer {
    /// Shows as much of a token as can be read, whatever else is wrong with it.
    pub(super) fn of(token: &[u8], is_raw: bool) -> Self {
        let parts = Compact::split(token, raw::MAX_LEN).ok();
        let read = |part: &[u8]| json::object(&compact::decode(part).ok()?).ok();
        let header = parts.and_then(|parts| read(parts.header));
        let claims = parts.filter(|_| !is_raw).and_then(|parts| read(parts.payload));
        Self { is_raw, header, claims, fault: None, payload: None, skipped: Vec::new() }
    }

    /// Prints it; a yes is a token that holds.
    pub(super) fn print(&self, context: &Context) -> Outcome {
        if context.json() {
            context.line(&self.to_json())?;
        } else if let Some(payload) = &self.payload {
            context.write(payload)?;
        } else if self.is_raw {
            let fault =
                self.fault.map(|fault| format!("refused at the {}: {}: {fault}", fault.check().name(), fault.code()));
            context.tell(&fault.unwrap_or_default());
        } else {
            self.table(context)?;
        }
        Ok(self.fault.is_none())
    }

    /// Numbers as they were written, which is why no JSON library writes it.
    fn to_json(&self) -> String {
        let text = |text: Option<&str>| serde_json::Value::from(text).to_string();
        let object = |object: &Option<Object>| object.as_ref().map_or_else(|| "null".to_owned(), Object::to_json);
        let mut out = format!(
            r#"{{"valid":{},"reason":{},"detail":{},"header":{}"#,
            self.fault.is_none(),
            text(self.fault.map(Fault::code)),
            text(self.fault.map(Fault::text)),
            object(&self.header),
        );
        if self.is_raw {
            let payload = self.payload.as_deref();
            out += r#","payload":"#;
            out += &text(payload.map(compact::encode).as_deref());
            out += r#","payload_text":"#;
            out += &text(payload.and_then(|payload| std::str::from_utf8(payload).ok()));
        } else {
            let skipped: Vec<&str> = self.skipped.iter().map(|(check, _)| check.name()).collect();
            out += r#","claims":"#;
            out += &object(&self.claims);
            out += r#","not_checked":"#;
            out += &serde_json::Value::from(skipped).to_string();
        }
        out.push('}');
        out
    }

    fn table(&self, context: &Context) -> Outcome {
        let mut listing = Listing::new(context, &["check", "result", "what"]);
        let failed = self.fault.map(Fault::check);
        for &check in if self.is_raw { RAW } else { Check::ALL } {
            let option = self.skipped.iter().find(|(skipped, _)| *skipped == check).map(|(_, option)| option);
            let (result, what) = match (failed.map(|failed| check.cmp(&failed)), option) {
                (Some(std::cmp::Ordering::Greater), _) => ("not reached", check.what().to_owned()),
                (Some(std::cmp::Ordering::Equal), _) => {
                    ("FAILED", self.fault.map(|fault| format!("{}: {fault}", fault.code())).unwrap_or_default())
                }
                (_, Some(option)) => ("not asked", format!("{option} asks for it")),
                _ => ("ok", check.what().to_owned()),
            };
            listing.add(&Row { check: check.name(), result, what });
        }
        listing.finish("checks")?;
        for (name, object) in [("header", &self.header), ("claims", &self.claims)] {
            if let Some(object) = object {
                context.line(&format!("{name}: {}", plain(&object.to_json())))?;
            }
        }
        context.line(if self.fault.is_none() { "the token holds" } else { "the token is refused" })
    }
}
