//! What happens when something under us fails. The table is what `docs/FAULTS.md` is made of; each line names its test.
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
use std::time::Duration;

use support::{APP, BINARY, LLM, Setup, TestHost, TestStore, USER, run, sleep_ms, until};

/// Fault, what happens, what ends it, test.
const FAULTS: &[(&str, &str, &str, &str)] = &[
    (
        "the disk is full",
        "changes fail and say so; nothing is lost; requests to running processes go on; a revocation gets through from the reserve; nothing can be started",
        "room on the disk",
        "b5_on_a_full_disk_changes_fail_and_a_revocation_gets_through",
    ),
    (
        "the database is read-only",
        "nothing opens it for changes; a plugin denies everything and says why",
        "the mode is put right: within two seconds",
        "b5_a_read_only_database_denies_and_recovers",
    ),
    (
        "another process holds the write lock",
        "changes wait up to five seconds, then fail; requests go on",
        "the lock is given back",
        "a_locked_database_is_an_error_in_bounded_time_and_reads_go_on",
    ),
    (
        "the write-ahead log is gone",
        "what was only in it is lost, the rest is whole; a live process denies and opens the store anew",
        "nothing to do; run `latchkey doctor`",
        "b5_a_lost_write_ahead_log_leaves_a_whole_older_store",
    ),
    (
        "the database is damaged",
        "it is not opened; everything is denied",
        "`latchkey restore`",
        "b5_a_damaged_database_denies_everything",
    ),
    (
        "the pepper is missing",
        "everything is denied; none is made up",
        "the pepper is put back: within two seconds",
        "b5_a_missing_pepper_denies_and_recovers",
    ),
    (
        "the clock goes back an hour",
        "nothing that has ended begins again; health says so",
        "the clock is set right",
        "times_and_revocation_are_judged_on_every_request",
    ),
    (
        "the change feed cannot be read",
        "nothing cached is used; requests are denied",
        "the feed can be read again",
        "r8_a_hit_rests_on_a_young_look_at_the_feed",
    ),
    (
        "the file is replaced under a live process",
        "everything is denied until the new file is open, within a second or two",
        "by itself",
        "r9_a_file_that_is_put_in_the_stores_place_by_hand_is_opened_anew",
    ),
    (
        "the process is killed at any moment",
        "what was acknowledged is there, what was not is whole or absent",
        "the next start",
        "b3_nothing_acknowledged_is_lost_when_the_process_is_killed",
    ),
    (
        "a newer version has changed the schema",
        "it is refused and left alone",
        "the newer version",
        "a_newer_schema_is_refused_and_left_as_it_is",
    ),
    (
        "the host's Service API does not answer",
        "known Apps are answered until what is known is older than directory.ttl_seconds, longer only where directory.max_stale_seconds says so; Apps that are not known are refused",
        "the host answers again",
        "v3_an_outage_is_survived_as_long_as_is_configured_and_no_longer",
    ),
    (
        "the host's Service API takes seconds",
        "known Apps are answered as fast as ever; one that is not known waits for its own deadline",
        "the host answers in time",
        "a_slow_service_api_never_makes_a_known_app_slow",
    ),
    (
        "the host forbids the call",
        "everything is refused; health names the scope",
        "the scope is approved and pushed, or directory.source = store",
        "a_host_that_forbids_the_call_is_refused_with_the_remedy_in_health",
    ),
    (
        "Studio's list of Apps fails",
        "nothing is taken away by it",
        "within ten seconds, when it can be listed again",
        "a_list_that_fails_takes_nothing_away",
    ),
    (
        "Studio's event bus ends",
        "it is listened to again, and what was told meanwhile is found",
        "by itself",
        "a_bus_that_ends_is_listened_to_again_and_what_was_missed_is_found",
    ),
    (
        "the store cannot be written when Studio tells that a User is gone",
        "they are refused in that process at once, and written when that is possible",
        "the store can be written again",
        "r11_a_user_who_is_gone_is_refused_here_while_the_store_cannot_be_written",
    ),
];

fn table() -> String {
    let mut text = "# Faults\n\nWhat happens when something under Latchkey fails. Whatever it is, a request that cannot be decided is denied.\n\
                    Each line is a test. Made from `tests/faults.rs`.\n\n| fault | what happens | what ends it | test |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for (fault, outcome, end, test) in FAULTS {
        text += &format!("| {fault} | {outcome} | {end} | `{test}` |\n");
    }
    text
}

fn sources() -> String {
    fn walk(dir: &Path, all: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let (root, mut all) = (Path::new(env!("CARGO_MANIFEST_DIR")), String::new());
    walk(&root.join("src"), &mut all);
    walk(&root.join("tests"), &mut all);
    all
}

#[test]
fn the_document_is_the_table_and_each_line_has_its_test() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FAULTS.md");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, table()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap_or_default(),
        table(),
        "UPDATE_EXPECTED=1 cargo test --test faults"
    );
    let sources = sources();
    for (fault, .., test) in FAULTS {
        assert!(sources.contains(&format!("fn {test}(")), "{fault}: no test {test}");
    }
}

/// Runs a shell script where it may mount file systems of its own, if this machine lets us.
fn in_own_mounts(script: &str) -> Option<std::process::Output> {
    let allowed = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        println!("skipped: no mount namespaces here");
        return None;
    }
    Some(Command::new("unshare").args(["-rm", "sh", "-c", script]).env("LATCHKEY", BINARY).output().unwrap())
}

#[test]
fn b5_on_a_full_disk_changes_fail_and_a_revocation_gets_through() {
    let script = r#"
        set -e
        mount -t tmpfs -o size=24m none /mnt
        export LATCHKEY_STORE__DEV=true LATCHKEY_DATA_DIR=/mnt/data
        "$LATCHKEY" -q init > /dev/null
        "$LATCHKEY" tenant create acme > /dev/null
        "$LATCHKEY" app add --tenant acme --id 7 --name Shop --llm 3 > /dev/null
        "$LATCHKEY" user add --tenant acme --id 9 --email a@b.example > /dev/null
        key=$("$LATCHKEY" -q key issue --tenant acme --app 7 --user 9)
        id=$("$LATCHKEY" key list --tenant acme --output json | sed 's/.*"credential_id":"\([^"]*\)".*/\1/')
        test -f /mnt/data/reserve
        "$LATCHKEY" -q serve --listen unix:/mnt/data/s > /mnt/serve.log 2>&1 &
        serve=$!
        trap 'kill $serve' EXIT
        for n in 1 2 3 4 5 6 7 8 9 10; do test -S /mnt/data/s || sleep 0.2; done
        printf %s "$key" | "$LATCHKEY" authenticate --llm-id 3 > /dev/null || { echo "a good key is refused before"; exit 1; }
        dd if=/dev/zero of=/mnt/filler bs=4096 2> /dev/null || true
        if "$LATCHKEY" -q key issue --tenant acme --app 7 --user 9 > /dev/null 2> /mnt2; then echo "issued on a full disk"; exit 1; fi
        printf %s "$key" | "$LATCHKEY" authenticate --llm-id 3 > /dev/null || { echo "a good key is refused"; exit 1; }
        "$LATCHKEY" -q key revoke "$id" > /dev/null || { echo "not revoked"; exit 1; }
        test ! -f /mnt/data/reserve || { echo "the reserve is still there"; exit 1; }
        if printf %s "$key" | "$LATCHKEY" authenticate --llm-id 3 > /dev/null; then echo "revoked and accepted"; exit 1; fi
        rm /mnt/filler
        "$LATCHKEY" -q key issue --tenant acme --app 7 --user 9 > /dev/null
        test -f /mnt/data/reserve || { echo "no new reserve"; exit 1; }
        echo done
    "#
    .replace("2> /mnt2", "2> /dev/null");
    let Some(output) = in_own_mounts(&script) else { return };
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.ends_with("done\n"), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

async fn denies_then_recovers(store: &TestStore, key: &str, mend: impl FnOnce()) {
    let host = TestHost::start(Setup::on(store)).await;
    sleep_ms(300).await;
    assert!(!host.passes(key, LLM).await, "denied while the fault lasts");
    mend();
    let start = std::time::Instant::now();
    while !host.passes(key, LLM).await {
        assert!(start.elapsed() < Duration::from_secs(20), "does not recover");
        sleep_ms(50).await;
    }
}

#[test]
fn b5_a_read_only_database_denies_and_recovers() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER).text;
        let db = store.data.join("latchkey.db");
        // Root writes whatever the mode says; the immutable mark stops everybody, where it can be set.
        let lock = |on: bool| Command::new("chattr").arg(if on { "+i" } else { "-i" }).arg(&db).status();
        if lock(true).is_ok_and(|status| status.success()) {
            let changed = store.run(&["tenant", "set", "acme", "--name", "X"]);
            assert_ne!(changed.status.code(), Some(0));
            denies_then_recovers(&store, &key, || assert!(lock(false).unwrap().success())).await;
            return;
        }
        mode(&db, 0o400);
        if std::fs::OpenOptions::new().write(true).open(&db).is_ok() {
            println!("skipped: nothing is read-only to this user here");
            return;
        }
        let changed = store.run(&["tenant", "set", "acme", "--name", "X"]);
        assert_ne!(changed.status.code(), Some(0));
        denies_then_recovers(&store, &key, || mode(&db, 0o600)).await;
    });
}

#[test]
fn b5_a_missing_pepper_denies_and_recovers() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER).text;
        let (pepper, aside) = (store.data.join("pepper"), store.data.join("aside"));
        std::fs::rename(&pepper, &aside).unwrap();
        denies_then_recovers(&store, &key, || std::fs::rename(&aside, &pepper).unwrap()).await;
    });
}

#[test]
fn b5_a_damaged_database_denies_everything() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER).text;
        let db = store.data.join("latchkey.db");
        let mut bytes = std::fs::read(&db).unwrap();
        let length = bytes.len();
        bytes[100..length].fill(0x7e);
        std::fs::write(&db, bytes).unwrap();
        let host = TestHost::start(Setup::on(&store)).await;
        sleep_ms(300).await;
        assert!(!host.passes(&key, LLM).await);
        assert_eq!(store.run(&["tenant", "list"]).status.code(), Some(1));
    });
}

#[test]
fn b5_a_lost_write_ahead_log_leaves_a_whole_older_store() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER).text;
        // A store whose log still holds the last changes, as after a kill, less its log.
        let elsewhere = tempfile::tempdir().unwrap();
        mode(elsewhere.path(), 0o700);
        let aside = |name: &str| -> PathBuf { elsewhere.path().join(name) };
        let open = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
        open.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0)).unwrap();
        let _reader = open.prepare("SELECT 1 FROM tenants").unwrap();
        store.ok(&["tenant", "create", "late"]);
        for name in ["latchkey.db", "pepper", "audit.key"] {
            std::fs::copy(store.data.join(name), aside(name)).unwrap();
        }
        let mut command = support::store::bare_command();
        let listed = command.arg("--data-dir").arg(elsewhere.path()).args(["doctor", "--output", "json"]);
        let listed = listed.env("LATCHKEY_STORE__DEV", "true").output().unwrap();
        let told = String::from_utf8(listed.stdout).unwrap();
        let integrity = told.lines().find(|line| line.contains("\"integrity\"")).unwrap();
        assert!(integrity.contains("\"good\""), "{told}");
        let host = TestHost::start(Setup::on(&store).data(elsewhere.path())).await;
        until(Duration::from_secs(10), "it serves what it has", || true).await;
        assert!(host.passes(&key, LLM).await);
    });
}
