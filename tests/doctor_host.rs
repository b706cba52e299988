//! `latchkey doctor` about the host, as an operator uses it, and what docs/HOSTS.md says of it.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use latchkey::app::doctor::host;
use latchkey::config::{SETTINGS, Scope};
use serde_json::Value;

const FIXTURES: [&str; 4] = ["studio.json", "well.json", "standalone.json", "broken.json"];

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/HOSTS.md")).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host").join(name)
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.env_clear().env("LATCHKEY_STORE__DEV", "true").stdin(Stdio::null()).args(args);
    command
}

/// Runs it; nothing that a fixture calls a secret is printed.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("CANARY"), "{text}");
    }
    output
}

/// Exit status, and the findings about the host alone.
fn doctor(args: &[&str]) -> (i32, Vec<Value>) {
    let output = run(&mut command(&[&["doctor", "--host-only", "--output", "json"], args].concat()));
    let told = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!found.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), found)
}

fn export(name: &str, more: &[&str]) -> (i32, Vec<Value>) {
    let path = fixture(name);
    doctor(&[&["--host-export", path.to_str().unwrap()], more].concat())
}

fn verdict<'a>(found: &'a [Value], check: &str) -> &'a str {
    let all: Vec<&Value> = found.iter().filter(|one| one["check"] == check).collect();
    assert_eq!(all.len(), 1, "{check}: {found:?}");
    all[0]["verdict"].as_str().unwrap()
}

#[test]
fn a_host_that_is_wrong_in_every_way_is_told_so() {
    let (code, found) = export("studio.json", &["--host-kind", "hub", "--host-complete"]);
    assert_eq!(code, 1);
    for (check, expected) in [
        ("host.export", "good"),
        ("host.plugin", "good"),
        ("host.built_in_secrets", "problem"),
        ("host.two_auth_plugins", "problem"),
        ("host.pre_auth_chain", "good"),
        ("host.several_llms", "warning"),
        ("host.app_one", "warning"),
        ("host.open_route", "unknown"),
        ("host.scopes", "problem"),
        ("host.command_studio", "warning"),
        ("host.command_gateway", "warning"),
        ("host.command_file", "unknown"),
        ("host.studio_start", "warning"),
        ("host.embedded_gateway", "unknown"),
        ("host.pushed", "unknown"),
        ("host.directory_source", "good"),
    ] {
        assert_eq!(verdict(&found, check), expected, "{check}: {found:#?}");
    }
    for one in &found {
        let fields: Vec<&String> = one.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["check", "verdict", "text", "remedy"]);
        assert_eq!(one["verdict"] == "good", one["remedy"].is_null(), "{one}");
    }
    let secrets = found.iter().find(|one| one["check"] == "host.built_in_secrets").unwrap()["text"].as_str().unwrap();
    assert!(secrets.contains("7 (Shop)") && secrets.contains("8 (Bare)") && !secrets.contains("First"), "{secrets}");
}

#[test]
fn a_host_that_is_right_has_no_problem_and_what_no_export_tells_is_open() {
    let (code, found) = export("well.json", &["--host-kind", "hub", "--host-complete"]);
    assert_eq!(code, 0);
    let of = |wanted: &str| found.iter().filter(|one| one["verdict"] == wanted).count();
    assert_eq!((of("problem"), of("warning"), of("unknown")), (0, 0, 4), "{found:#?}");
    let (code, found) = export("well.json", &["--host-kind", "hub"]);
    let of = |wanted: &str| found.iter().filter(|one| one["verdict"] == wanted).count();
    assert_eq!((code, of("unknown")), (0, 9), "nobody said that these are all: {found:#?}");
}

#[test]
fn a_gateway_without_a_studio_is_told_to_use_the_store() {
    let (code, found) = export("standalone.json", &["--host-kind", "standalone"]);
    assert_eq!((code, verdict(&found, "host.directory_source")), (1, "problem"));
    assert!(found.iter().all(|one| one["check"] != "host.command_studio"), "no Studio, no rules of it");
    let path = fixture("standalone.json");
    let args = [
        "doctor",
        "--host-only",
        "--output",
        "json",
        "--host-kind",
        "standalone",
        "--host-export",
        path.to_str().unwrap(),
    ];
    let output = run(command(&args).env("LATCHKEY_DIRECTORY__SOURCE", "store"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let (_, guessed) = export("standalone.json", &[]);
    assert_eq!(verdict(&guessed, "host.directory_source"), "warning");
}

#[test]
fn no_secret_of_an_export_is_printed_in_any_form() {
    for name in FIXTURES {
        let text = std::fs::read_to_string(fixture(name)).unwrap();
        assert!(text.contains("CANARY") || name == "standalone.json", "{name} has something to find");
        for more in [&["-v"][..], &["-vv", "--output", "json"], &["-q"]] {
            let path = fixture(name);
            run(&mut command(&[&["doctor", "--host-only", "--host-export", path.to_str().unwrap()], more].concat()));
        }
    }
    let output =
        run(&mut command(&["doctor", "--host-only", "--plugin-command", "oci://u:CANARY@r/x?a=CANARY&auth=CANARY"]));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_cannot_be_read_is_a_problem_or_an_error_and_never_good() {
    let (code, found) = export("broken.json", &[]);
    assert_eq!(code, 1);
    assert!(found[0]["text"].as_str().unwrap().contains("no JSON, at line 1"), "{found:?}");
    let output = run(&mut command(&["doctor", "--host-only", "--host-export", "/nowhere.json"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("/nowhere.json"));
    let (code, found) = doctor(&["--host-export", "/dev/null"]);
    assert_eq!((code, verdict(&found, "host.export")), (0, "warning"), "nothing in it");
}

#[test]
fn several_documents_come_by_stdin_one_after_the_other() {
    let mut child = command(&["doctor", "--host-only", "--output", "json", "--host-export", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = std::fs::read_to_string(fixture("well.json")).unwrap();
    text.push_str("HTTP/2 200\r\nx-total-count: 2\r\n\r\n");
    text.push_str(r#"[{"id": 9, "vendor": "v", "plugins": [{"id": 5}]}]"#);
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let told = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let found: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verdict(&found, "host.several_llms"), "warning", "{told}");
    assert_eq!(verdict(&found, "host.two_auth_plugins"), "good", "the host said that there are two LLMs: {told}");
    assert!(found[0]["text"].as_str().unwrap().starts_with("1 plugins, 2 LLMs, 1 Apps"), "{told}");
}

#[test]
fn without_a_word_about_the_host_it_is_one_line_and_all_unknowns_with_v() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    assert!(run(&mut command(&["--data-dir", data, "init"])).status.success());
    let of_host = |args: &[&str]| -> (i32, Vec<Value>) {
        let output = run(&mut command(&[&["--data-dir", data, "doctor", "--output", "json"], args].concat()));
        let told = String::from_utf8(output.stdout).unwrap();
        let all: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let host = all.iter().filter(|one| one["check"].as_str().unwrap().starts_with("host"));
        (output.status.code().unwrap(), host.cloned().collect())
    };
    let (code, found) = of_host(&[]);
    assert_eq!((code, found.len(), verdict(&found, "host")), (0, 1, "unknown"));
    let (code, found) = of_host(&["-v"]);
    assert_eq!(code, 0, "what is unknown is no problem");
    assert_eq!(found.len(), host::checks().count() - 1, "all but what an export would be");
    assert!(found.iter().all(|one| one["verdict"] == "unknown" && one["remedy"].is_string()), "{found:?}");
    let (code, _) = of_host(&["--plugin-command", "/usr/local/bin/latchkey"]);
    assert_eq!(code, 1, "a problem of the host is one");
}

#[test]
fn the_file_behind_a_command_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("latchkey");
    std::fs::copy(env!("CARGO_BIN_EXE_latchkey"), &file).unwrap();
    let judged = |path: &Path| {
        let (_, found) = doctor(&["--plugin-command", path.to_str().unwrap()]);
        verdict(&found, "host.command_file").to_owned()
    };
    for (mode, expected) in [(0o755, "good"), (0o644, "problem"), (0o775, "problem")] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(judged(&file), expected, "{mode:o}");
    }
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert_eq!(judged(&link), "problem");
    // As the host sees it: from the directory that it runs in.
    std::fs::create_dir(dir.path().join("plugins")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&file, dir.path().join("plugins/latchkey")).unwrap();
    let output =
        run(command(&["doctor", "--host-only", "--plugin-command", "plugins/latchkey"]).current_dir(dir.path()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_page_of_hosts_has_the_commands_as_they_are_judged() {
    let page = page();
    let table = page.split("| command | Studio | microgateway |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    assert!(rows.len() > 8, "{table}");
    for row in rows {
        let (_, found) = doctor(&["--plugin-command", row[0]]);
        for (check, expected) in [("host.command_studio", row[1]), ("host.command_gateway", row[2])] {
            let said = match verdict(&found, check) {
                "good" => "yes",
                "problem" => "no",
                other => other,
            };
            assert_eq!(said, expected, "{} {check}", row[0]);
        }
    }
}

#[test]
fn the_page_of_hosts_names_every_check_and_no_other() {
    let page = page();
    let named: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `host")?.split_once("` |").map(|(name, _)| name)).collect();
    let all: Vec<String> = host::checks().map(|check| check.strip_prefix("host").unwrap().to_owned()).collect();
    assert_eq!(named, all);
    let settings = SETTINGS.iter().map(|setting| setting.key);
    for section in ["auth.", "directory.", "studio.", "portal."] {
        for name in page.split('`').filter(|word| word.starts_with(section) && !word.contains(['…', ' '])) {
            assert!(settings.clone().any(|key| key == name), "docs/HOSTS.md names {name}");
        }
    }
    let sentence = page.split("configuration in Studio only ").nth(1).unwrap().split(" count;").next().unwrap();
    let counted: Vec<&str> = sentence.split('`').skip(1).step_by(2).collect();
    let free = SETTINGS.iter().filter(|setting| setting.scope != Scope::LocalOnly).map(|setting| setting.key);
    let mut free: Vec<&str> = free.collect();
    free.rotate_left(1);
    assert_eq!(counted, free, "what a host may set");
}

#[test]
fn the_export_of_the_page_of_hosts_is_understood() {
    let page = page();
    let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("export.json");
    std::fs::write(&file, example).unwrap();
    let (code, found) = doctor(&["--host-kind", "hub", "--host-complete", "--host-export", file.to_str().unwrap()]);
    assert_eq!(code, 0);
    for check in ["host.plugin", "host.built_in_secrets", "host.two_auth_plugins", "host.app_one", "host.scopes"] {
        assert_eq!(verdict(&found, check), "good", "{found:#?}");
    }
}

#[test]
fn the_artifact_of_the_page_of_hosts_has_the_executable_as_its_first_layer() {
    let page = page();
    let script = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let binary = b"\x7fELF and so on";
    std::fs::write(dir.path().join("latchkey"), binary).unwrap();
    let output = Command::new("sh").args(["-euc", script]).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let blob = |digest: &Value| {
        let name = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
        std::fs::read(dir.path().join("oci/blobs/sha256").join(name)).unwrap()
    };
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let index = json(&std::fs::read(dir.path().join("oci/index.json")).unwrap());
    let entry = &index["manifests"][0];
    let manifest = blob(&entry["digest"]);
    assert_eq!(entry["size"].as_u64(), Some(manifest.len() as u64));
    let manifest = json(&manifest);
    let layer = &manifest["layers"][0];
    assert_eq!((blob(&layer["digest"]), layer["size"].as_u64()), (binary.to_vec(), Some(binary.len() as u64)));
    assert_eq!(blob(&manifest["config"]["digest"]), b"{}");
    let command = String::from_utf8(output.stdout).unwrap();
    let (_, found) = doctor(&["--plugin-command", command.trim()]);
    assert_eq!((verdict(&found, "host.command_studio"), verdict(&found, "host.command_gateway")), ("good", "good"));
}
