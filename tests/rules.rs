//! Every hazard of the host and every security rule of this version has its test, named after it. What a test proves is
//! in the test; this table only sees to it that none is forgotten.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

use std::path::Path;

/// What is done about a hazard of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    /// Guarded and tested.
    Guarded,
    /// Not ours to guard: SECURITY.md says what to do instead.
    Documented,
}
use Answer::{Documented, Guarded};

const HAZARDS: &[(u32, &str, Answer)] = &[
    (1, "an App id that is empty, 0 or no number becomes App 1", Guarded),
    (2, "a refused Bearer credential becomes HTTP 500", Guarded),
    (3, "error texts reach the client", Guarded),
    (4, "a plugin that does not load or is unhealthy makes the gateway use its own secrets", Guarded),
    (5, "two auth plugins on one LLM fail every request", Documented),
    (6, "one plugin on two LLMs can roll an edge's sync back", Documented),
    (7, "the host checks neither App activity nor LLM grants", Guarded),
    (8, "Initialize has no deadline and holds a lock", Guarded),
    (9, "every call carries the whole body", Guarded),
    (10, "the host never cancels, and waits 30 seconds", Guarded),
    (11, "only the first value of a header is seen", Guarded),
    (12, "the peer's address is not the client's", Guarded),
    (13, "numbers in settings are printed as floats", Guarded),
    (14, "the host drops User and claims", Documented),
    (15, "several processes of the binary run at once", Guarded),
    (16, "an edge's App data is stale until pushed", Guarded),
    (17, "the zero value of an object hook's answer rejects", Guarded),
    (18, "an edge's identity to the service API is self-declared", Guarded),
    (19, "a log line with a field of the wrong type crashes the host", Guarded),
    (20, "payloads carry password hashes and secrets", Guarded),
    (21, "rows in the edge's key-value store break its sync", Documented),
    (22, "empty values break the edge's key-value store", Documented),
    (23, "Shutdown and Initialize are awaited under a lock", Guarded),
];

/// The rules that this version is built by; SECURITY.md says what each promises.
const RULES: &[u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
/// Controls of the auditor's list.
const CONTROLS: &[&str] = &[
    "a1_", "a2_", "a3_", "a4_", "a5_", "a6_", "a7_", "b1_", "b2_", "b3_", "b4_", "b5_", "b6_", "b7_", "c1_", "c2_",
    "c3_", "c4_", "c5_", "c6_", "c7_", "d1_", "d3_", "d4_", "e1_", "e2_", "e3_", "e4_", "f1_", "f2_", "f3_", "f4_",
    "f5_", "v1_", "v2_", "v3_", "v4_", "v5_",
];

/// The names of all tests.
fn tests() -> Vec<String> {
    fn walk(dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let mut is_test = false;
                for line in text.lines().map(str::trim) {
                    is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                    let name = line.trim_start_matches("async ").strip_prefix("fn ");
                    if let Some(name) = name {
                        // The tests of the store's suite are functions of a table.
                        if is_test || path.ends_with("suite_tests.rs") {
                            found.push(name.split(['(', '<']).next().unwrap().to_owned());
                        }
                        is_test = false;
                    }
                }
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("src"), &mut found);
    walk(&root.join("tests"), &mut found);
    found
}

fn security_md() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).unwrap()
}

#[test]
fn every_hazard_of_the_host_has_its_answer() {
    let (tests, document) = (tests(), security_md());
    assert_eq!(HAZARDS.iter().map(|(number, ..)| *number).collect::<Vec<_>>(), (1..=23).collect::<Vec<_>>());
    for (number, what, answer) in HAZARDS {
        let tested = tests.iter().any(|name| name.starts_with(&format!("h{number}_")));
        assert_eq!(tested, *answer == Guarded, "H{number}, {what}: {answer:?}");
        assert!(document.contains(&format!("| H{number} |")), "H{number} is not in the table of SECURITY.md");
    }
}

#[test]
fn every_rule_and_control_has_its_tests() {
    let (tests, document) = (tests(), security_md());
    for rule in RULES {
        assert!(tests.iter().any(|name| name.starts_with(&format!("r{rule}_"))), "R{rule} has no test");
        assert!(document.contains(&format!("`r{rule}_")), "SECURITY.md does not name the tests of R{rule}");
    }
    for prefix in CONTROLS {
        assert!(tests.iter().any(|name| name.starts_with(prefix)), "{prefix} has no test");
    }
}

/// The patches of `tests/guards`, by name: the lines before the diff.
fn guards() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guards")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let text = std::fs::read_to_string(&path).unwrap();
            let (head, _) = text.split_once("\ndiff --git ").unwrap();
            found.push((path.file_stem().unwrap().to_str().unwrap().to_owned(), head.to_owned()));
        }
    }
    found
}

/// What a head says under this word, line by line.
fn said<'a>(head: &'a str, word: &str) -> Vec<&'a str> {
    head.lines().filter_map(|line| line.strip_prefix("# ")?.strip_prefix(word)?.strip_prefix(": ")).collect()
}

#[test]
fn every_claim_has_guards_and_each_names_the_tests_that_fail_without_it() {
    let (tests, guards, root) = (tests(), guards(), Path::new(env!("CARGO_MANIFEST_DIR")));
    for claim in ["V1", "V2", "V3", "V4", "V5"] {
        assert!(guards.iter().any(|(_, head)| said(head, "claim") == [claim]), "{claim} has no guard in tests/guards");
    }
    for (name, head) in &guards {
        assert!(head.lines().all(|line| line.starts_with("# ")), "{name}: what stands before the diff");
        assert!(matches!(&*said(head, "claim"), [claim] if name.starts_with(&format!("{}-", claim.to_lowercase()))));
        assert_eq!(said(head, "Removed").len(), 1, "{name} does not say what it removes");
        let fails = said(head, "fails");
        assert!(!fails.is_empty(), "{name} names no test");
        for arguments in fails {
            let (target, test) = arguments.rsplit_once(' ').unwrap_or_default();
            let known = match target.split_once(' ') {
                Some(("--test", file)) => [format!("tests/{file}.rs"), format!("tests/{file}/main.rs")]
                    .iter()
                    .any(|at| root.join(at).exists()),
                _ => target == "--lib",
            };
            let test = test.rsplit("::").next().unwrap();
            assert!(known && tests.iter().any(|name| name == test), "{name}: there is no {arguments}");
        }
    }
}

#[test]
fn every_guard_can_still_be_taken_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = |args: &[&str]| std::process::Command::new("git").args(args).current_dir(root).output();
    if !root.join(".git").exists() || git(&["--version"]).is_err() {
        println!("skipped: no repository, or no git");
        return;
    }
    for (name, _) in guards() {
        let output = git(&["apply", "--check", "-v", &format!("tests/guards/{name}.patch")]).unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        // Git leaves out what is not below where it stands, and is content.
        assert!(output.status.success() && text.contains("Checking patch"), "{name} does not apply any more: {text}");
    }
}

#[test]
fn the_search_finds_tests_and_nothing_else() {
    let tests = tests();
    assert!(tests.iter().any(|name| name == "the_search_finds_tests_and_nothing_else"));
    assert!(!tests.iter().any(|name| name == "security_md"));
    assert!(tests.len() > 200, "{}", tests.len());
}
