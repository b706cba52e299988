//! Who may import whom, how long a file may be, and which names stay where they belong. A new arrow is a decision: an
//! ADR and a changed line here.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed test is a panic"
)]

#[path = "support/sources.rs"]
mod sources;

use std::path::Path;

use sources::{is_test_file, production, sources};

/// Each module and what it may import of ours, itself aside. `*` is everything.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("clock", &[]),
    ("pb", &[]),
    ("telemetry", &["clock"]),
    ("process", &["telemetry"]),
    ("domain", &["secret", "clock"]),
    ("fair_cache", &["domain"]),
    ("issue", &["jwt", "domain", "secret", "clock"]),
    ("jwt", &["domain", "secret"]),
    ("turns", &["domain"]),
    ("jwks", &["domain", "turns", "jwt", "clock", "telemetry"]),
    ("audit", &["domain", "secret", "clock", "telemetry"]),
    ("store", &["domain", "audit", "secret", "clock", "telemetry"]),
    ("directory", &["domain", "turns", "store", "pb", "clock", "telemetry"]),
    ("verify", &["jwks", "fair_cache", "jwt", "domain", "store", "secret", "clock", "telemetry"]),
    (
        "authenticate",
        &["fair_cache", "domain", "verify", "store", "directory", "audit", "secret", "clock", "telemetry"],
    ),
    (
        "admin",
        &[
            "issue",
            "jwt",
            "domain",
            "store",
            "directory",
            "verify",
            "authenticate",
            "audit",
            "secret",
            "clock",
            "telemetry",
        ],
    ),
    (
        "transport",
        &[
            "authenticate",
            "admin",
            "jwt",
            "audit",
            "verify",
            "store",
            "domain",
            "secret",
            "clock",
            "pb",
            "telemetry",
            "directory",
        ],
    ),
    ("config", &["verify", "app", "authenticate", "directory", "jwks", "transport", "telemetry", "domain", "secret"]),
    ("plugin_client", &["pb", "secret", "clock"]),
    (
        "cli",
        &[
            "config",
            "app",
            "admin",
            "audit",
            "jwt",
            "pb",
            "domain",
            "secret",
            "clock",
            "store",
            "verify",
            "plugin_client",
            "telemetry",
            "transport",
        ],
    ),
    ("app", &["*"]),
    ("main", &["process", "cli"]),
    ("lib", &[]),
];

/// Crates whose names may appear only below these paths.
const KEPT_TO: &[(&str, &[&str])] = &[
    ("tonic", &["transport/", "directory/", "pb.rs", "plugin_client/", "cli/"]),
    ("prost", &["transport/", "directory/", "pb.rs", "plugin_client/", "cli/"]),
    ("rusqlite", &["store/sqlite/", "store/sqlite.rs"]),
    ("argon2", &["verify/argon.rs", "verify/slow.rs"]),
    ("getrandom", &["clock.rs"]),
    ("jsonwebtoken", &["jwt/"]),
    ("clap", &["cli/"]),
    ("axum", &["transport/http/"]),
];

/// Lines of a production file at most; tests aside.
const MAX_LINES: usize = 400;

fn module(path: &Path) -> String {
    path.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// What follows `crate::` or `latchkey::` in a text.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::", "latchkey::"] {
        for (at, _) in text.match_indices(root) {
            let rest = &text[at + root.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let inside = group.split('}').next().unwrap();
                found.extend(inside.split(',').map(|item| first_word(item.trim())));
            } else {
                found.push(first_word(rest));
            }
        }
    }
    found.retain(|word| !word.is_empty());
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !is_test_file(path)) {
        let module = module(path);
        let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == module);
        let Some((_, allowed)) = allowed else {
            wrong.push(format!("{}: module {module} is not in the table", path.display()));
            continue;
        };
        for import in imports(&production(text)) {
            if import != module && !allowed.contains(&"*") && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{}: {module} may not import {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !is_test_file(path)) {
        let text = production(text);
        for (name, places) in KEPT_TO {
            let used = text.contains(&format!("{name}::")) || text.contains(&format!("use {name}"));
            let own = text.contains(&format!("verify::{name}::")) || text.contains(&format!("{name}::self"));
            let here = places.iter().any(|place| path.to_str().unwrap().starts_with(place));
            if used && !own && !here {
                wrong.push(format!("{}: {name}", path.display()));
            }
        }
        if text.contains("super::super") {
            wrong.push(format!("{}: super::super", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|(path, _)| !is_test_file(path))
        .filter(|(_, text)| text.lines().count() > MAX_LINES)
        .map(|(path, text)| format!("{}: {}", path.display(), text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// The word itself, so that `unsafe_code` is none.
fn has_unsafe(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == "unsafe")
}

#[test]
fn f3_there_is_no_unsafe_code_and_nothing_that_would_permit_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let lints = manifest.split_once("[lints.rust]\n").unwrap().1.split("\n[").next().unwrap();
    assert!(lints.lines().any(|line| line == r#"unsafe_code = "forbid""#), "{lints}");
    let mut all = sources();
    all.insert("../build.rs".into(), std::fs::read_to_string(root.join("build.rs")).unwrap());
    let wrong: Vec<String> = all
        .iter()
        .filter(|(_, text)| has_unsafe(&production(text)) || text.contains("(unsafe_code"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(has_unsafe("let x = unsafe { y };") && !has_unsafe("forbid(unsafe_code)"));
}

#[test]
fn the_table_is_of_modules_that_exist_and_would_notice() {
    let modules: Vec<String> = sources().keys().map(|path| module(path)).collect();
    for (name, allowed) in MAY_IMPORT {
        assert!(modules.iter().any(|module| module == name), "{name} is no module");
        assert!(allowed.iter().all(|other| *other == "*" || modules.iter().any(|module| module == other)), "{name}");
    }
    let text = "use crate::{store::Store, clock};\nfn f() { crate::cli::run() }\n// crate::app\n";
    assert_eq!(imports(&production(text)), ["store", "clock", "cli"]);
}
