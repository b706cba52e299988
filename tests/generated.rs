//! Documents that are made from code, compared with what is committed. `UPDATE_EXPECTED=1 cargo test --test generated`
//! writes them anew.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

use std::path::Path;

use latchkey::authenticate::record::Recorder;
use latchkey::config::{SETTINGS, Scope};
use latchkey::domain::Reason;
use latchkey::domain::event::{Action, DetailKey};
use latchkey::telemetry::metrics::Metrics;

fn compare(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == made,
        "{name} does not match the code: UPDATE_EXPECTED=1 cargo test --test generated"
    );
}

#[test]
fn the_page_of_settings_is_the_table_of_settings() {
    let mut page = String::from(
        "# Settings\n\nMade from `src/config/table.rs`; `tests/generated.rs` compares.\n\n\
         Three sources, later wins: a TOML file (`--config`, `LATCHKEY_CONFIG`, else `/etc/latchkey/latchkey.toml`), the\n\
         environment (`LATCHKEY_SECTION__NAME`), the host's `Initialize` map (keys with dots or underscores). The file counts only\n\
         if nobody but root and the process's own user can write it. What a host may set:\n\n\
         - **host**: the host too.\n\
         - **local first**: the host only where this machine says nothing.\n\
         - **local**: this machine alone; a host's value is ignored with a warning.\n\n\
         `latchkey config default` prints the same as a commented file, `latchkey config check` validates.\n\n\
         | setting | takes | default | who | what it does |\n| --- | --- | --- | --- | --- |\n",
    );
    for setting in SETTINGS {
        let who = match setting.scope {
            Scope::LocalOnly => "local",
            Scope::LocalFirst => "local first",
            Scope::HostMaySet => "host",
        };
        let default = if setting.default.is_empty() { "none".to_owned() } else { format!("`{}`", setting.default) };
        page += &format!("| `{}` | {} | {default} | {who} | {} |\n", setting.key, setting.kind.expected(), setting.doc);
    }
    compare("docs/CONFIG.md", &page);
}

/// The first column of every table of a page, without its quotes.
fn first_column(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let cells =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(cell, _)| cell.to_owned()));
    cells.collect()
}

#[test]
fn the_page_of_logs_names_every_reason_and_metric() {
    let named = first_column("docs/LOGGING.md");
    for reason in Reason::ALL {
        assert!(named.iter().any(|name| name == reason.code()), "{reason} is not in docs/LOGGING.md");
    }
    let metrics = Metrics::new(&Recorder::reason_labels()).render();
    let exposed: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE latchkey_")?.split(' ').next())
        .map(|name| name.trim_end_matches("_seconds").trim_end_matches("_bytes"))
        .collect();
    assert!(exposed.len() > 8, "{metrics}");
    for metric in &exposed {
        let known = named.iter().any(|name| name.trim_end_matches("_bytes") == *metric);
        assert!(known, "{metric} is not in docs/LOGGING.md");
    }
    let codes = Reason::ALL.iter().map(|reason| reason.code());
    let fields =
        ["request_id", "stage", "tenant", "credential_id", "app_id", "user_id", "outcome", "reason", "duration_us"];
    let all: Vec<&str> = codes.chain(exposed).chain(fields).collect();
    for name in &named {
        let known = all.iter().any(|known| known == name || *known == name.trim_end_matches("_bytes"));
        assert!(known, "docs/LOGGING.md names {name}, which is not in the code");
    }
}

#[test]
fn the_page_of_the_trail_names_every_action_and_detail() {
    let named = first_column("docs/AUDIT.md");
    let codes: Vec<&str> =
        Action::ALL.iter().map(|action| action.as_str()).chain(DetailKey::ALL.iter().map(|key| key.as_str())).collect();
    for code in &codes {
        assert!(named.iter().any(|name| name == code), "{code} is not in docs/AUDIT.md");
    }
    let columns = [
        "sequence",
        "at_ms",
        "actor",
        "action",
        "subject_kind",
        "subject_id",
        "details",
        "request_id",
        "tenant_id",
        "hash",
    ];
    for name in &named {
        assert!(codes.contains(&name.as_str()) || columns.contains(&name.as_str()), "docs/AUDIT.md names {name}");
    }
}
