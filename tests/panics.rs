//! Rule R20: a panic tells where, never what. A child process hardens itself as the binary does and then slices a secret.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failed test is a panic"
)]

use std::process::Command;

const ROLE: &str = "PANICS_ROLE";
/// What the child panics over; a slice inside the é panics with the whole text in its message.
const CANARY: &str = "Zk4Wq9Rt2Vb7é";

#[test]
#[ignore = "the child process of the other test"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    if role == "hardened" {
        latchkey::process::harden();
    }
    let text = String::from(CANARY);
    let _ = std::thread::Builder::new()
        .name("answering".to_owned())
        .spawn(move || {
            let _ = std::hint::black_box(&text[..CANARY.len() - 1]).len();
        })
        .unwrap()
        .join();
}

fn run(role: &str) -> String {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env(ROLE, role)
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr))
}

#[test]
fn r20_a_slicing_panic_on_a_secret_tells_where_and_not_what() {
    let said = run("hardened");
    let line = said.lines().find(|line| line.contains("a handler panicked")).unwrap_or_else(|| panic!("{said}"));
    let line: serde_json::Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
    assert!(line["location"].as_str().unwrap().contains("panics.rs"), "{line}");
    assert_eq!(line["thread"], "answering");
    assert_eq!(line["@level"], "error");
    assert!(!said.contains(&CANARY[..8]), "{said}");
    // The control: without the hook the whole text is there.
    assert!(run("bare").contains(&CANARY[..8]));
}
