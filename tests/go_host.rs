//! The other judge of the wire: `tests/host-go`, a host on HashiCorp's own go-plugin. Runs where Go is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a failed test is a panic")]

use std::path::Path;
use std::process::Command;

#[test]
fn the_conformance_host_on_go_plugin_passes_every_case() {
    if Command::new("go").arg("version").output().is_err() {
        println!("skipped: there is no `go` on the path; .ci/run always runs this");
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host-go");
    let run = Command::new("go")
        .current_dir(here)
        .args(["run", ".", "-binary", env!("CARGO_BIN_EXE_latchkey"), "-budget", "8m"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    print!("{said}");
    let stderr = String::from_utf8_lossy(&run.stderr);
    let no_modules = stderr.contains("proxyconnect") || stderr.contains("dial tcp") || stderr.contains("no such host");
    if !run.status.success() && said.is_empty() && no_modules {
        println!("skipped: Go's modules cannot be had without a network; .ci/run always runs this");
        return;
    }
    assert!(run.status.success() && said.contains(" passed, 0 failed"), "{said}{stderr}");
}
