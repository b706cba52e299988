//! The command line as a script sees it: what is printed where, and with which status.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

struct Store {
    _dir: tempfile::TempDir,
    data: std::path::PathBuf,
}

impl Store {
    fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Self { _dir: dir, data }
    }

    fn new() -> Self {
        let store = Self::empty();
        store.ok("init");
        store.ok("tenant create acme");
        store.ok("app add --tenant acme --id 7 --name Shop --llm 3=gpt --llm 4");
        store.ok("user add --tenant acme --id 9 --email ann@acme.example --name Ann");
        store
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
        command.env_clear().env("LATCHKEY_STORE__DEV", "true").env("LATCHKEY_DATA_DIR", &self.data);
        command.args(line.split_whitespace()).stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, line: &str) -> Value {
        let text = self.ok(&format!("{line} --output json"));
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{line}: {text}"))
    }

    /// Status and what stderr says; nothing is on stdout.
    fn fails(&self, line: &str) -> (i32, String) {
        let output = self.run(line);
        assert!(output.stdout.is_empty(), "{line}: something on stdout");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn authenticate(&self, credential: &str, line: &str) -> (i32, Value) {
        use std::io::Write as _;
        let mut command = self.command(&format!("authenticate {line}"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(credential.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_makes_a_private_store_once() {
    let store = Store::empty();
    let made = store.json("init");
    assert!(made["operator_token"].as_str().unwrap().starts_with("lkop_"));
    assert_eq!(made["audit_public_key"].as_str().unwrap().len(), 64);
    assert_eq!(mode(&store.data), 0o700);
    let mut names: Vec<_> = std::fs::read_dir(&store.data).unwrap().map(|entry| entry.unwrap()).collect();
    names.sort_by_key(std::fs::DirEntry::file_name);
    assert!(names.iter().all(|entry| mode(&entry.path()) == 0o600), "{names:?}");
    let kid = made["token_key_id"].as_str().unwrap();
    assert_eq!(
        names.iter().map(|entry| entry.file_name()).collect::<Vec<_>>(),
        ["audit.key", "latchkey.db", "pepper", "subject.key", &format!("token-{kid}.key")]
    );
    let pepper = std::fs::read(store.data.join("pepper")).unwrap();
    let (status, said) = store.fails("init");
    assert_eq!(status, 1);
    assert!(said.contains("exists already"), "{said}");
    assert_eq!(std::fs::read(store.data.join("pepper")).unwrap(), pepper);
}

#[test]
fn init_uses_a_pepper_that_is_placed_elsewhere() {
    let (store, elsewhere) = (Store::empty(), tempfile::tempdir().unwrap());
    let pepper = elsewhere.path().join("mounted");
    std::fs::write(&pepper, format!("{}\n", "ab".repeat(32))).unwrap();
    std::fs::set_permissions(&pepper, std::fs::Permissions::from_mode(0o600)).unwrap();
    let with = |line: &str| store.command(line).env("LATCHKEY_PEPPER__FILE", &pepper).output().unwrap();
    assert!(with("init").status.success());
    assert!(!store.data.join("pepper").exists());
    assert!(with("tenant list").status.success());
    let without = store.run("tenant list");
    assert_eq!(without.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&without.stderr).contains("no pepper"));
    std::fs::write(&pepper, "cd".repeat(32)).unwrap();
    let wrong = with("tenant list");
    assert_eq!(wrong.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("not the one of this store"));
}

#[test]
fn a_key_lives_from_issue_to_revocation() {
    let store = Store::new();
    let issued =
        store.json("key issue --tenant acme --app 7 --user 9 --label ci --expires-in 90d --scope chat --scope read");
    let (id, key) = (issued["credential_id"].as_str().unwrap(), issued["key"].as_str().unwrap());
    assert!(key.starts_with(&format!("lk_live_{id}_")) && issued["expires_at"].as_str().unwrap().ends_with('Z'));
    let (status, answer) = store.authenticate(key, "--llm-id 3");
    assert_eq!(status, 0, "{answer}");
    assert_eq!((answer["app_id"].as_str(), answer["user_id"].as_str()), (Some("7"), Some("9")));
    let claims = &answer["claims"];
    assert_eq!(claims["tenant"], "acme");
    assert_eq!(claims["credential_id"], id);
    assert_eq!(claims["credential_kind"], "api_key");
    assert_eq!(claims["scopes"], "chat read");
    assert_eq!(claims["environment"], "live");
    assert_eq!(claims["expires_at"], issued["expires_at"]);
    for (line, status) in [
        ("--llm-id 3 --llm-slug gpt", 0),
        ("--llm-id 3 --llm-slug other", 1),
        ("--llm-id 5", 1),
        ("--llm-slug gpt", 0),
        ("", 0),
    ] {
        assert_eq!(store.authenticate(&format!("{key}\n"), line).0, status, "{line}");
    }
    let shown = store.json(&format!("key show {id}"));
    assert_eq!((shown["status"].as_str(), shown["label"].as_str()), (Some("active"), Some("ci")));
    let revoked = store.json(&format!("key revoke {id} --reason key_compromise"));
    assert_eq!(
        (revoked["status"].as_str(), revoked["revocation_reason"].as_str()),
        (Some("revoked"), Some("key_compromise"))
    );
    let (status, answer) = store.authenticate(key, "--llm-id 3");
    assert_eq!((status, answer["authenticated"].as_bool()), (1, Some(false)));
    assert_eq!(answer["error_message"], "invalid credential");
    assert!(answer["claims"].as_object().unwrap().is_empty() && answer["app_id"] == "" && answer["user_id"] == "");
    let listed = store.ok("key list --tenant acme --output json");
    assert_eq!(listed.lines().count(), 1);
    assert!(!listed.contains(&key[key.len() - 49..]));
}

#[test]
fn r13_every_refusal_on_the_command_line_reads_the_same() {
    let store = Store::new();
    let issue = |more: &str| store.json(&format!("key issue --tenant acme --app 7 --user 9 {more}"));
    let good = issue("")["key"].as_str().unwrap().to_owned();
    let future = issue("--not-before 2999-01-01T00:00:00Z")["key"].as_str().unwrap().to_owned();
    let bound = issue("--cidr 192.0.2.0/24")["key"].as_str().unwrap().to_owned();
    assert_eq!(store.authenticate(&bound, "--remote-addr 192.0.2.7").0, 0, "from where it may be used");
    let junk = ["", "junk", "lk_live_x", &good[..70], &future, &bound, "a.b.c", "Bearer"];
    let answers: Vec<_> = junk.iter().map(|text| store.authenticate(text, "--llm-id 3")).collect();
    assert!(answers.iter().all(|(status, answer)| *status == 1 && answer == &answers[0].1), "{answers:?}");
}

#[test]
fn everything_can_be_listed_shown_changed_and_removed() {
    let store = Store::new();
    assert_eq!(store.json("tenant list")["tenant"], "acme");
    assert_eq!(store.json("tenant set acme --name Acme --namespace eu --key-prefix ak")["namespaces"][0], "eu");
    assert_eq!(store.json("tenant set acme --any-namespace")["namespaces"].as_array().unwrap().len(), 0);
    assert!(store.json("key issue --tenant acme --app 7 --user 9")["key"].as_str().unwrap().starts_with("ak_live_"));
    assert_eq!(store.json("app show --tenant acme --id 7")["llms"][0]["slug"], "gpt");
    assert_eq!(store.json("app set --tenant acme --id 7 --llm 5")["llms"][0]["id"], 5);
    assert_eq!(store.json("app set --tenant acme --id 7 --no-llms --active false")["active"], false);
    assert_eq!(store.json("user set --tenant acme --id 9 --name Anna --metadata team=x")["metadata"]["team"], "x");
    assert!(store.ok("app list --tenant acme").contains("Shop"));
    assert!(store.ok("user list --tenant acme").contains("ann@acme.example"));
    assert_eq!(store.json("tenant suspend acme")["status"], "suspended");
    let (status, said) = store.fails("key issue --tenant acme --app 7 --user 9");
    assert!(status == 1 && said.contains("latchkey tenant resume acme"), "{said}");
    assert_eq!(store.json("tenant resume acme")["status"], "active");
    store.ok("app remove --tenant acme --id 7");
    store.ok("user remove --tenant acme --id 9");
    assert_eq!(store.fails("app show --tenant acme --id 7").0, 1);
}

#[test]
fn failures_say_what_and_what_to_do_with_the_documented_status() {
    let store = Store::new();
    for (line, status, says) in [
        ("", 1, "latchkey init"),
        ("frobnicate", 2, "unrecognized subcommand"),
        ("tenant show nobody", 1, "`latchkey tenant list`"),
        ("tenant create Acme", 2, "a-z, 0-9 and -"),
        ("tenant create acme", 1, "exists already"),
        ("app add --tenant acme --id 0 --name x", 2, "from 1 to 4294967295"),
        ("app add --tenant acme --id 7 --name x", 1, "belongs to a tenant already"),
        ("key issue --tenant acme --app 8 --user 9", 1, "no App 8 in tenant acme"),
        ("key issue --tenant acme --app 7 --user 9 --expires-in soon", 2, "90d"),
        ("key issue --tenant acme --app 7 --user 9 --cidr 10.0.0.1/8", 2, "10.0.0.0/8"),
        ("key issue --tenant acme --app 7 --user 9 --argon2 m=9999999999", 2, "whole number"),
        ("key issue --tenant acme --app 7 --user 9 --argon2 m=1024", 2, "at least m=19456"),
        ("key revoke nonsense", 2, "base62"),
        ("key revoke 0000000000000000000001", 1, "no credential"),
        ("key revoke 0000000000000000000001 --reason because", 2, "key_compromise"),
        ("--config /nowhere.toml tenant list", 64, "/nowhere.toml"),
        ("serve --listen 0.0.0.0:0", 64, "--allow-plaintext"),
        ("serve --listen here", 64, "host:port"),
        ("serve --tls-cert /x", 2, "--tls-key"),
        ("serve --tls-cert /x --tls-key /y", 64, "/x"),
    ] {
        let (code, said) = store.fails(line);
        assert_eq!(code, status, "{line}: {said}");
        assert!(said.contains(says), "{line}: {said}");
        assert!(!said.contains("panicked") && said.len() < 4_000, "{line}: {said}");
    }
}

#[test]
fn a_data_directory_that_is_not_fit_is_bad_configuration() {
    let store = Store::new();
    let chmod = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let fails = |says: &str| {
        let (status, said) = store.fails("tenant list");
        assert!(status == 64 && said.contains(says), "{status}: {said}");
    };
    chmod(&store.data, 0o755);
    fails("chmod 700");
    chmod(&store.data, 0o700);
    for (file, says) in [("latchkey.db", "chmod 600"), ("pepper", "chmod 600")] {
        chmod(&store.data.join(file), 0o644);
        fails(says);
        chmod(&store.data.join(file), 0o600);
    }
    std::fs::rename(store.data.join("pepper"), store.data.join("away")).unwrap();
    fails("no pepper");
    std::fs::rename(store.data.join("away"), store.data.join("pepper")).unwrap();
    store.ok("tenant list");
    std::fs::rename(&store.data, store.data.with_extension("away")).unwrap();
    fails("latchkey --data-dir");
}

#[test]
fn a_damaged_database_is_said_and_not_touched() {
    let store = Store::new();
    assert!(!store.data.join("latchkey.db-wal").exists(), "commands leave one whole file");
    std::fs::write(store.data.join("latchkey.db"), "x".repeat(8192)).unwrap();
    let (status, said) = store.fails("tenant list");
    assert!(status == 1 && said.contains("backup"), "{said}");
    assert!(std::fs::read(store.data.join("latchkey.db")).unwrap().iter().all(|&byte| byte == b'x'));
}

#[test]
fn the_configuration_is_printed_and_checked() {
    let store = Store::empty();
    let text = store.ok("config default");
    assert!(text.contains("[auth]") && text.contains("# deadline_ms = 2000"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latchkey.toml");
    let check = |text: &str| {
        std::fs::write(&path, text).unwrap();
        store.run(&format!("--config {} config check --output json", path.display()))
    };
    let good = check("[auth]\ndeadline_ms = 500\n");
    let told: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!((&told["valid"], &told["settings"]["auth.deadline_ms"]), (&Value::from(true), &Value::from("500")));
    assert!(check(&text).status.success(), "the default file");
    for (bad, says) in
        [("[auth]\ndeadline = 5\n", "auth.deadline"), ("x = [", "TOML"), ("[log]\nlevel = \"loud\"\n", "one of error")]
    {
        let output = check(bad);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(says) && said.contains("latchkey.toml"), "{said}");
    }
    let bad = store.command("config check").env("LATCHKEY_NO__SUCH", "1").output().unwrap();
    assert_eq!(bad.status.code(), Some(64));
}

#[test]
fn help_version_and_completions_go_to_stdout() {
    let store = Store::empty();
    assert!(store.ok("--help").contains("authenticate"));
    assert!(store.ok("--version").starts_with("latchkey "));
    assert!(store.ok("version").starts_with("latchkey "));
    assert!(store.json("version")["version"].is_string());
    for shell in ["bash", "zsh", "fish"] {
        assert!(store.ok(&format!("completions {shell}")).contains("latchkey"));
    }
}

/// Every command below `line`, as `--help` lists them: the words after `latchkey`.
fn commands(store: &Store, line: &str) -> Vec<String> {
    let help = store.ok(&format!("{line} --help"));
    let listed = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap());
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.map(|line| line.split_whitespace().next().unwrap()).filter(|name| *name != "help");
    names
        .flat_map(|name| {
            let whole = format!("{line} {name}").trim().to_owned();
            let below = commands(store, &whole);
            std::iter::once(whole).chain(below)
        })
        .collect()
}

#[test]
fn every_command_has_its_manual_page() {
    let store = Store::empty();
    let commands = commands(&store, "");
    assert!(commands.len() > 30 && commands.iter().any(|command| command == "key issue"), "{commands:?}");
    let whole = store.ok("man");
    assert!(whole.contains("\n.TH latchkey 1") && whole.contains("latchkey\\-key(1)"), "{whole}");
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("made").join("man1");
    assert_eq!(store.ok(&format!("man {}", pages.display())), "", "pages go to files alone");
    let mut written: Vec<_> =
        std::fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut expected: Vec<String> =
        commands.iter().map(|command| format!("latchkey-{}.1", command.replace(' ', "-"))).collect();
    expected.push("latchkey.1".to_owned());
    written.sort();
    expected.sort();
    assert_eq!(written, expected);
    for page in &written {
        let text = std::fs::read_to_string(pages.join(page)).unwrap();
        let title = format!("\n.TH {} 1", page.trim_end_matches(".1"));
        assert!(text.contains(&title) && text.contains("\n.SH NAME\n") && text.contains("\n.SH OPTIONS\n"), "{page}");
    }
    let (status, said) = store.fails("man /proc/nowhere");
    assert!(status == 1 && said.contains("/proc/nowhere"), "{said}");
}

#[test]
fn a_socket_that_is_taken_is_said() {
    let store = Store::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (status, said) = store.fails(&format!("serve --listen {}", taken.local_addr().unwrap()));
    assert!(status == 1 && said.contains("cannot listen"), "{said}");
}

#[test]
fn r10_a_file_system_that_loses_data_needs_to_be_asked_for() {
    let shm = Path::new("/dev/shm");
    let tmpfs = rustix::fs::statfs(shm).is_ok_and(|fs| fs.f_type == 0x0102_1994);
    let Ok(dir) = tempfile::tempdir_in(shm) else { return println!("skipped: no memory file system here") };
    if !tmpfs {
        return println!("skipped: no memory file system here");
    }
    let data = dir.path().join("data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    let refused = command.env_clear().arg("--data-dir").arg(&data).arg("init").output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(said.contains("tmpfs") && said.contains("LATCHKEY_STORE__DEV=true"), "{said}");
    assert!(command.env("LATCHKEY_STORE__DEV", "true").status().unwrap().success());
}
