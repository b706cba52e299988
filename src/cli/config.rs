//! `latchkey config …`

use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::config::{SETTINGS, file};

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Print a commented configuration file with every default
    Default,
    /// Check file and environment, and print what differs from the defaults; status 64 if something is wrong
    Check,
}

pub(super) fn run(context: &Context, command: &ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Default => context.write(file::default_text().as_bytes()),
        ConfigCommand::Check => check(context),
    }
}

fn check(context: &Context) -> Outcome {
    let values = context.values()?;
    let changed: Map<String, Value> = SETTINGS
        .iter()
        .filter(|setting| values.get(setting.key) != setting.default)
        .map(|setting| (setting.key.to_owned(), Value::from(values.get(setting.key))))
        .collect();
    if context.json() {
        return context.line(&json!({ "valid": true, "settings": changed }).to_string());
    }
    context.tell("the configuration is valid; it differs from the defaults in:");
    let lines: Vec<String> = changed.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    if lines.is_empty() { Ok(true) } else { context.line(&lines.join("\n")) }
}
