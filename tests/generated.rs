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

use latchkey::config::{SETTINGS, Scope};

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
