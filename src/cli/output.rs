//! Tables for people, JSON for scripts, from the same views.

use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use serde_json::Value;

use crate::cli::Outcome;
use crate::cli::context::Context;

/// Rows asked for at once.
pub(super) const PAGE: i32 = 1_000;

/// Prints one thing: a JSON document, or its fields one below the other.
pub(super) fn one(context: &Context, view: &impl Serialize) -> Outcome {
    let value = serde_json::to_value(view).map_err(anyhow::Error::from)?;
    if context.json() {
        return context.line(&value.to_string());
    }
    let mut table = table();
    for (name, value) in value.as_object().into_iter().flatten() {
        table.add_row([name.clone(), text(value)]);
    }
    context.line(&table.to_string())
}

/// Collects the rows of a listing.
pub(super) struct Listing<'a> {
    context: &'a Context,
    columns: &'static [&'static str],
    table: Table,
    rows: usize,
    broken: Option<crate::cli::context::Failure>,
}

impl<'a> Listing<'a> {
    /// Of these fields; JSON has all.
    pub(super) fn new(context: &'a Context, columns: &'static [&'static str]) -> Self {
        let mut table = table();
        table.set_header(columns);
        Self { context, columns, table, rows: 0, broken: None }
    }

    /// Adds a row; in JSON it is printed at once.
    pub(super) fn add(&mut self, view: &impl Serialize) {
        let value = serde_json::to_value(view).unwrap_or_default();
        self.rows += 1;
        if self.context.json() {
            if self.broken.is_none() {
                self.broken = self.context.line(&value.to_string()).err();
            }
        } else {
            self.table.add_row(self.columns.iter().map(|column| value.get(column).map(text).unwrap_or_default()));
        }
    }

    /// Whether there was no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Prints the table.
    pub(super) fn finish(self, what: &str) -> Outcome {
        match (self.broken, self.context.json()) {
            (Some(failure), _) => Err(failure),
            (None, true) => Ok(true),
            (None, false) if self.rows == 0 => {
                self.context.tell(&format!("no {what}"));
                Ok(true)
            }
            (None, false) => self.context.line(&self.table.to_string()),
        }
    }
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED).set_width(118);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// A field as people read it. Stored texts have no control characters, and were they there, none reaches a terminal.
fn text(value: &Value) -> String {
    let raw = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        // A list of pairs is a list of what has which value.
        Value::Array(items) => {
            let item = |item: &Value| match item {
                Value::Array(pair) => pair.iter().map(text).collect::<Vec<_>>().join("="),
                other => text(other),
            };
            items.iter().map(item).collect::<Vec<_>>().join(", ")
        }
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    plain(&raw)
}

/// A text that moves no terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
