//! Documents that are made from code, compared with what is committed. `UPDATE_EXPECTED=1 cargo test --test generated`
//! writes them anew.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failed test is a panic"
)]

#[path = "support/cryptography.rs"]
mod cryptography;
#[path = "support/sources.rs"]
mod sources;

use std::path::Path;

use latchkey::authenticate::record::Recorder;
use latchkey::config::{SETTINGS, Scope};
use latchkey::domain::Reason;
use latchkey::domain::event::{Action, DetailKey};
use latchkey::telemetry::metrics::Metrics;
use latchkey::transport::admin::pages::{Page, names};
use latchkey::verify::{argon, slow};

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

/// A file of the repository; nothing where there is none.
fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_default()
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
fn the_page_of_pages_names_every_method_in_its_order() {
    let named = first_column("docs/PAGES.md");
    let all: Vec<&str> = names(Page::Studio).chain(names(Page::Portal)).collect();
    assert_eq!(named, all, "docs/PAGES.md");
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

#[test]
fn f4_the_page_of_cryptography_is_the_inventory() {
    compare("docs/CRYPTOGRAPHY.md", &cryptography::page());
}

/// Production sources, by their path.
fn production() -> Vec<(String, String)> {
    let all = sources::sources();
    let ours = all.iter().filter(|(path, _)| !sources::is_test_file(path));
    ours.map(|(path, text)| (format!("src/{}", path.display()), sources::production(text))).collect()
}

#[test]
fn f4_every_use_of_a_cryptographic_crate_is_in_the_inventory() {
    let (all, files) = (cryptography::inventory(), production());
    let mut wrong = Vec::new();
    for (path, text) in &files {
        for name in cryptography::CRATES.iter().filter(|name| cryptography::uses(text, name)) {
            let named = all.iter().any(|one| one.files.contains(&path.as_str()) && one.crates.contains(name));
            if !named {
                wrong.push(format!("{path} uses {name}, and no entry says for what"));
            }
        }
    }
    let used = |path: &str, name: &str| match files.iter().find(|(file, _)| file == path) {
        Some((_, text)) => cryptography::uses(text, name),
        None => cryptography::PROGRAMS.contains(&name) && read(path).contains(&format!("{name} ")),
    };
    let looked_for = |name: &str| cryptography::CRATES.contains(&name) || cryptography::PROGRAMS.contains(&name);
    for one in &all {
        for path in one.files.iter().filter(|path| !one.crates.iter().any(|name| used(path, name))) {
            wrong.push(format!("{}: {path} uses none of what is named", one.purpose));
        }
        for name in one.crates.iter().filter(|name| !one.files.iter().any(|path| used(path, name))) {
            wrong.push(format!("{}: none of its files uses {name}", one.purpose));
        }
        for name in one.crates.iter().filter(|name| !looked_for(name)) {
            wrong.push(format!("{}: uses of {name} are not looked for", one.purpose));
        }
    }
    assert!(wrong.is_empty(), "tests/support/cryptography.rs:\n{}", wrong.join("\n"));
    let text = "use {hmac::Hmac};\nlet x = my_sha2::y(); crate::region::z()";
    assert!(cryptography::uses(text, "hmac"));
    assert!(!cryptography::uses(text, "sha2") && !cryptography::uses(text, "region"));
}

#[test]
fn f4_every_domain_is_in_the_inventory_with_its_version() {
    let (all, files) = (cryptography::inventory(), production());
    for (path, text) in &files {
        for domain in cryptography::domains(text) {
            let named =
                all.iter().any(|one| one.files.contains(&path.as_str()) && one.domains.contains(&domain.as_str()));
            assert!(named, "{path}: no entry names {domain}");
            let version = domain.rsplit_once(" v").unwrap().1;
            assert!(version.parse::<u8>().is_ok(), "{path}: {domain} has no version");
        }
    }
    for one in &all {
        for domain in one.domains {
            let used = |(path, text): &(String, String)| {
                one.files.contains(&path.as_str()) && cryptography::domains(text).iter().any(|found| found == domain)
            };
            assert!(files.iter().any(used), "{}: nothing uses {domain}", one.purpose);
        }
    }
}

#[test]
fn f4_the_bounds_of_the_inventory_are_those_that_hold() {
    use cryptography::{ARGON2_OUTPUT, ARGON2_SALT, BCRYPT_COST, PBKDF2_ROUNDS, SCRYPT_LN};
    let (salt, output) = ("c2FsdHNhbHRzYWx0c2FsdA", "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g");
    let bcrypt = |cost: u32| slow::check(&format!("$2b${cost:02}${}", "a".repeat(53)));
    let scrypt = |ln: u8, r: u32, p: u32| slow::check(&format!("$scrypt$ln={ln},r={r},p={p}${salt}${output}"));
    let pbkdf2 = |rounds: u32| slow::check(&format!("$pbkdf2-sha256$i={rounds}${salt}${output}"));
    for (most, more) in [
        (bcrypt(BCRYPT_COST), bcrypt(BCRYPT_COST + 1)),
        (scrypt(SCRYPT_LN, 8, 2), scrypt(SCRYPT_LN + 1, 8, 2)),
        (scrypt(SCRYPT_LN, 8, 2), scrypt(SCRYPT_LN, 9, 2)),
        (scrypt(SCRYPT_LN, 8, 2), scrypt(SCRYPT_LN, 8, 3)),
        (pbkdf2(PBKDF2_ROUNDS), pbkdf2(PBKDF2_ROUNDS + 1)),
    ] {
        assert_eq!((most, more), (Ok(()), Err(argon::HashError::Cost)));
    }
    let made = argon::hash(argon::DEFAULT_COST, b"secret", &latchkey::clock::SystemEntropy).unwrap();
    let parts: Vec<&str> = made.split('$').collect();
    // Base64 without padding.
    let bytes = |text: &str| text.len() * 3 / 4;
    assert_eq!((bytes(parts[4]), bytes(parts[5])), (ARGON2_SALT, ARGON2_OUTPUT), "{made}");
}
