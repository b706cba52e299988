//! `latchkey scan` finds what somebody left lying, says what became of it, and cries for nothing else (control A7).
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use latchkey::domain::key_scan::{PATTERN, find};
use serde_json::Value;
use support::{APP, TestStore, USER};

fn scan(store: &TestStore, args: &[&str], input: &str) -> (Option<i32>, Vec<Value>) {
    let args: Vec<&str> = [&["scan", "--output", "json"], args].concat();
    let output = store.run_with_input(&args, input);
    store.canaries.assert_absent("a scan", &[output.stdout.clone(), output.stderr].concat());
    let lines = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn a7_a_key_is_found_in_files_with_its_place_and_what_became_of_it() {
    let store = TestStore::new();
    let [live, revoked] = [(); 2].map(|()| store.issue(APP, USER));
    store.revoke(&revoked);
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("deep")).unwrap();
    std::fs::write(dir.path().join("a.env"), format!("# one\nKEY={}\n", live.text)).unwrap();
    // Across the border of two pieces, after many lines.
    let mut large = "x\n".repeat((1 << 19) - 30);
    large.push_str(&format!("\"{}\"", revoked.text));
    large.push_str(&"\ny".repeat(1 << 19));
    std::fs::write(dir.path().join("deep/b.log"), large).unwrap();
    let token = store.operator_token.clone();
    std::fs::write(dir.path().join("deep/c.bin"), [b"\0\xff".as_slice(), token.as_bytes(), b"\0"].concat()).unwrap();
    let (code, found) = scan(&store, &[dir.path().to_str().unwrap()], "");
    assert_eq!(code, Some(1));
    let told: Vec<_> = found
        .iter()
        .map(|view| {
            let name = Path::new(view["path"].as_str().unwrap()).file_name().unwrap().to_str().unwrap();
            (name, view["line"].as_u64().unwrap(), view["checksum"].as_str().unwrap(), view["status"].as_str())
        })
        .collect();
    let line = (1 << 19) - 29;
    assert_eq!(
        told,
        [("a.env", 2, "right", Some("active")), ("b.log", line, "right", Some("revoked")), ("c.bin", 1, "right", None)]
    );
    assert_eq!(found[0]["credential_id"].as_str(), Some(&*live.id));
    let (code, found) = scan(&store, &[], &format!("{} and {}", live.text, live.forged(&"z".repeat(43))));
    assert_eq!((code, found.len()), (Some(1), 2));
    assert_eq!(scan(&store, &[], "nothing here"), (Some(0), Vec::new()));
    assert_eq!(store.run(&["scan", "/no/such/place"]).status.code(), Some(2));
}

fn sources(dir: &Path, each: &mut dyn FnMut(&Path, &[u8])) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.is_symlink() {
            sources(&path, each);
        } else if path.is_file() {
            each(&path, &std::fs::read(&path).unwrap_or_default());
        }
    }
}

#[test]
fn a7_the_standard_library_and_all_dependencies_hold_nothing_that_looks_like_a_key() {
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let cargo = std::env::var("CARGO").unwrap();
    let version = run("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments = ["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host];
    let metadata: Value = serde_json::from_str(&run(&cargo, &arguments)).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let mut dirs: Vec<PathBuf> = packages
        .iter()
        .filter(|package| package["name"] != "latchkey")
        .map(|package| Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned())
        .collect();
    assert!(dirs.len() > 100, "{}", dirs.len());
    let library = Path::new(run("rustc", &["--print", "sysroot"]).trim()).join("lib/rustlib/src");
    if library.exists() {
        dirs.push(library);
    } else {
        println!("the standard library's sources are not installed here");
    }
    let (mut files, mut bytes) = (0, 0);
    for dir in dirs {
        sources(&dir, &mut |path, text| {
            files += 1;
            bytes += text.len();
            assert_eq!(find(text).next(), None, "{}", path.display());
        });
    }
    println!("{files} files, {} MiB", bytes >> 20);
    assert!(files > 1_000);
}

#[test]
fn a7_the_documented_pattern_is_the_one_that_is_looked_for() {
    for document in ["README.md", "SECURITY.md"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
        assert!(text.contains(PATTERN), "{document} does not hold the pattern {PATTERN}");
    }
}
