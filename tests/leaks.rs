//! No log line, error, metric or file holds a secret: proven by searching, at the finest log level, for any eight
//! consecutive characters of each (controls A2 and A6), in the process's memory (F5) and in what the kernel
//! would write of it (rule R20).
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a failed test is a panic"
)]

mod support;

use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use latchkey::pb::full::plugin as pb;
use support::secrets::random_text;
use support::server::Server;
use support::store::{bare_command, sealed, secret_part};
use support::{
    APP, FOREIGN_LLM, Key, LLM, OTHER_APP, Setup, TENANT, TestHost, TestStore, USER, assert_no_secret, auth_request,
    body, context, request, run, sleep_ms,
};

/// Every kind of call with this text as the credential; nothing that comes back may hold a part of a secret.
async fn call_with(host: &TestHost, credential: &str) {
    let canaries = &host.setup.canaries;
    for llm in [LLM, FOREIGN_LLM, 0] {
        let answer = host.service().authenticate(auth_request(credential, llm, body())).await.unwrap().into_inner();
        canaries.assert_absent("Authenticate", format!("{answer:?}").as_bytes());
        let message = pb::GetAppRequest { credential: credential.to_owned(), context: Some(context(llm)) };
        let answer = host.service().get_app_by_credential(message).await.unwrap().into_inner();
        canaries.assert_absent("GetAppByCredential", format!("{answer:?}").as_bytes());
        let message = pb::GetUserRequest { credential: credential.to_owned(), context: Some(context(llm)) };
        let answer = host.service().get_user_by_credential(message).await.unwrap().into_inner();
        canaries.assert_absent("GetUserByCredential", format!("{answer:?}").as_bytes());
        let bearer = format!("Bearer {credential}");
        for (vendor, header) in
            [("openai", ("Authorization", bearer.as_str())), ("anthropic", ("X-Api-Key", credential))]
        {
            let mut context = context(llm);
            context.vendor = vendor.to_owned();
            let message = request(&[header, ("Cookie", &bearer)], body(), context);
            let answer = host.service().process_pre_auth(message).await.unwrap().into_inner();
            canaries.assert_absent("ProcessPreAuth", format!("{answer:?}").as_bytes());
        }
    }
}

/// Good and bad texts, each secret part registered.
fn credentials(store: &TestStore, good: &Key, revoked: &Key, inactive: &Key) -> Vec<String> {
    let wrong = store.canaries.make("a wrong secret", 43);
    let junk = store.canaries.make("junk", 40);
    let jwt = format!(
        "eyJhbGciOiJub25lIn0.{}.{}",
        store.canaries.make("a claim", 40),
        store.canaries.make("a signature", 43)
    );
    vec![
        good.text.clone(),
        revoked.text.clone(),
        inactive.text.clone(),
        good.forged(&wrong),
        sealed(&format!("lk_live_{}_{wrong}", "0".repeat(22))),
        format!("{}x", good.text),
        good.text[..good.text.len() - 6].to_owned(),
        junk,
        jwt,
        store.operator_token.clone(),
        format!("\n{{\"@level\":1}} {}", good.text),
    ]
}

#[test]
fn a6_no_secret_in_logs_answers_metrics_or_files_at_trace() {
    run(120, async {
        let store = TestStore::new();
        let [good, revoked] = [(); 2].map(|()| store.issue(APP, USER));
        let inactive = store.issue(OTHER_APP, USER);
        store.revoke(&revoked);
        store.set_app_active(OTHER_APP, false);
        let hostile = serde_json::json!({"unknown_secret": store.canaries.make("a setting", 40)});
        for setup in [Setup::on(&store), Setup::on(&store).studio().config(hostile).secured(true, true)] {
            let host = TestHost::start(setup).await;
            for credential in credentials(&store, &good, &revoked, &inactive) {
                call_with(&host, &credential).await;
                let request = pb::CallRequest { method: credential.clone(), payload: credential, service_broker_id: 0 };
                let answer = host.service().call(request).await.unwrap().into_inner();
                store.canaries.assert_absent("Call", format!("{}{}", answer.data, answer.error_message).as_bytes());
            }
            // `call` itself searches what it returns.
            host.call("health", "{}").await.unwrap();
            host.call("get_metrics", "{}").await.unwrap();
            let lines = host.plugin.logs().lines().len();
            assert!(lines > 20, "at TRACE there is something to search: {lines} lines");
            host.unload().await; // searches every log line
        }
        assert!(store.canaries.assert_absent_below(&store.data) > 10_000, "the store was searched");
    });
}

#[test]
fn a6_a_key_is_shown_once_and_by_no_other_command() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        for output in ["json", "table"] {
            for args in [
                vec!["key", "list", "--tenant", TENANT],
                vec!["key", "show", &key.id],
                vec!["app", "show", "--tenant", TENANT, "--id", "7"],
                vec!["tenant", "list"],
            ] {
                let mut args = args;
                if output == "json" {
                    args.extend(["--output", "json"]);
                }
                let shown = store.ok(&args);
                assert_no_secret(&shown, &key.secret);
                store.canaries.assert_absent(&format!("{args:?}"), shown.as_bytes());
            }
        }
        // As a credential on stdin, right and wrong, with and without detail.
        for text in [key.text.clone(), key.forged(&store.canaries.make("a wrong secret", 43)), "junk".to_owned()] {
            for more in [&[][..], &["-v"], &["--output", "json"]] {
                let mut args = vec!["authenticate", "--llm-id", "3"];
                args.extend(more);
                let output = store.run_with_input(&args, &text);
                store.canaries.assert_absent("authenticate", &[output.stdout, output.stderr].concat());
            }
        }
        // Given as an argument by mistake, it is refused without being repeated.
        let output = store.run(&["key", "revoke", &key.text]);
        assert!(!output.status.success());
        store.canaries.assert_absent("key revoke with a key", &output.stdout);
    });
}

#[test]
fn a6_no_secret_in_the_log_of_a_server() {
    run(60, async {
        let store = TestStore::new();
        let [good, revoked] = [(); 2].map(|()| store.issue(APP, USER));
        store.revoke(&revoked);
        let server = Server::start(&store);
        let mut host = TestHost::attach(server.address, Setup::on(&store)).await;
        host.begin().await;
        for credential in credentials(&store, &good, &revoked, &good) {
            call_with(&host, &credential).await;
        }
        host.unload().await;
        assert!(!server.log().is_empty(), "a server at TRACE says something");
        server.judge(&store.canaries);
    });
}

#[test]
fn a2_the_files_of_a_store_hold_no_usable_secret() {
    run(180, async {
        let store = TestStore::new();
        let host = TestHost::start(Setup::on(&store)).await;
        let keys: Vec<Key> = (0..60).map(|_| store.issue(APP, USER)).collect();
        for key in &keys {
            host.must_accept(key, "one of sixty").await;
        }
        // While the store is open, its WAL and shared memory too; and when all have left it.
        let open = store.canaries.assert_absent_below(&store.data);
        host.unload().await;
        let closed = store.canaries.assert_absent_below(&store.data);
        assert!(open > 50_000 && closed > 50_000, "the store was searched: {open} and {closed} bytes");
        // Nor does the database hold what turns its tags into keys.
        let pepper = std::fs::read_to_string(store.data.join("pepper")).unwrap();
        let raw: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&pepper[2 * n..2 * n + 2], 16).unwrap()).collect();
        for entry in std::fs::read_dir(&store.data).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().is_some_and(|name| name != "pepper") {
                let bytes = std::fs::read(&path).unwrap();
                assert!(!contains(&bytes, &raw[..8]), "{}: the pepper", path.display());
                assert!(!contains(&bytes, &pepper.as_bytes()[..16]), "{}: the pepper as text", path.display());
            }
        }
    });
}

#[test]
fn a3_a_store_without_its_pepper_verifies_nothing() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_accept(&key, "with the pepper").await;
        host.unload().await;
        std::fs::remove_file(store.data.join("pepper")).unwrap();
        let host = TestHost::start(Setup::on(&store).studio()).await;
        host.must_refuse(&key.text, LLM, "without the pepper").await;
        let health = host.call("health", "{}").await.unwrap();
        assert_ne!(health["status"], "healthy", "{health}");
        assert!(!store.data.join("pepper").exists(), "a pepper was made up (rule R5)");
        host.unload().await;
    });
}

#[test]
fn a2_a_thousand_keys_are_in_no_file_of_the_store() {
    use latchkey::admin::IssueRequest;
    use latchkey::domain::{AppId, Environment, UserId};
    use latchkey::store::sqlite::ProcessKind;
    let store = TestStore::new();
    let mut values = latchkey::config::Values::default();
    for (key, value) in [("data_dir", support::store::text(&store.data)), ("store.dev", "true")] {
        values.set("test", latchkey::config::table::find(key).unwrap(), value).unwrap();
    }
    let opened = latchkey::app::open(&latchkey::config::Config::new(&values).app, ProcessKind::Command).unwrap();
    let admin = latchkey::app::init::local_admin(&opened);
    for n in 0..1_000 {
        let request = IssueRequest {
            app: AppId::new(APP).unwrap(),
            user: UserId::new(USER).unwrap(),
            label: format!("key {n}"),
            environment: Environment::Live,
            scopes: Vec::new(),
            cidrs: Vec::new(),
            not_before_ms: None,
            expires_at_ms: None,
            decoy: false,
            cost: latchkey::verify::argon::DEFAULT_COST,
        };
        let issued = admin.issue_key("acme", &request).unwrap();
        let text = std::str::from_utf8(issued.key.expose()).unwrap();
        store.canaries.add("one of a thousand keys", secret_part(text).unwrap());
    }
    // While the store is open, its write-ahead log and shared memory too; and when all have left it.
    assert!(store.canaries.assert_absent_below(&store.data) > 300_000, "the store was searched");
    drop((admin, opened));
    assert!(store.canaries.assert_absent_below(&store.data) > 300_000, "the store was searched");
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Where in a process's writable memory `needle` lies; none when this user may not look.
fn in_memory(pid: u32, needle: &[u8]) -> Option<Vec<String>> {
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, modes) = (fields.next().unwrap(), fields.next().unwrap());
        if !modes.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        let mut filled = 0;
        while filled < bytes.len() {
            match memory.read_at(&mut bytes[filled..], from + filled as u64) {
                Ok(count @ 1..) => filled += count,
                _ => break,
            }
        }
        // Most of an allocator's memory was never written: looked at a page at a time, for speed.
        for page in (0..filled).step_by(4096) {
            let end = filled.min(page + 4096);
            if bytes[page..end] == [0; 4096][..end - page] {
                continue;
            }
            let reach = filled.min(end + needle.len() - 1);
            let hits = bytes[page..reach].windows(needle.len()).filter(|window| *window == needle).count();
            found.extend((0..hits).map(|_| line.to_owned()));
        }
    }
    Some(found)
}

#[test]
fn f5_memory_holds_the_pepper_at_most_once_and_never_as_text() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store).quiet()).await;
        host.must_accept(&key, "so that the pepper is in use").await;
        let pepper = std::fs::read_to_string(store.data.join("pepper")).unwrap();
        let raw: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&pepper[2 * n..2 * n + 2], 16).unwrap()).collect();
        let Some(as_text) = in_memory(host.pid(), &pepper.as_bytes()[..32]) else {
            println!("skipped: this user may not read the memory of another process (run as root)");
            return;
        };
        // The control: what must be there is found.
        assert!(!in_memory(host.pid(), key.id.as_bytes()).unwrap().is_empty(), "the search finds nothing at all");
        assert_eq!(as_text, Vec::<String>::new(), "the pepper's text was not wiped");
        let copies = in_memory(host.pid(), &raw).unwrap();
        assert!(copies.len() <= 1, "the pepper lies in several places: {copies:#?}");
        host.unload().await;
    });
}

#[test]
fn f5_no_copy_of_a_secret_outlives_its_requests_and_those_that_follow() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store).quiet()).await;
        for _ in 0..20 {
            host.must_accept(&key, "so that the secret passes through").await;
        }
        host.must_refuse(&key.forged(&random_text(43)), LLM, "so that the slow path runs").await;
        // Transport buffers are a named residual: they are freed, not wiped. Other requests of the same size take
        // their place; what then still holds the secret would be a copy of ours, kept.
        for _ in 0..300 {
            host.must_refuse(&sealed(&format!("lk_live_{}_{}", random_text(21) + "0", random_text(43))), LLM, "filler")
                .await;
        }
        sleep_ms(100).await;
        let Some(copies) = in_memory(host.pid(), key.secret.as_bytes()) else {
            println!("skipped: this user may not read the memory of another process (run as root)");
            return;
        };
        assert_eq!(copies, Vec::<String>::new(), "the secret is still in memory");
        host.unload().await;
    });
}

#[test]
fn r20_no_core_is_ever_written_and_the_pepper_is_locked_in_memory() {
    run(60, async {
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let host = TestHost::start(Setup::on(&store)).await;
        host.must_accept(&key, "so that the store is open").await;
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.pid())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
        assert!(support::proc::status_kib(host.pid(), "VmLck") > 0, "nothing is locked in memory");
        host.unload().await;
    });
}

#[test]
fn r20_the_process_is_not_dumpable_in_any_mode() {
    run(60, async {
        let root = rustix::process::geteuid().is_root();
        for args in [&[][..], &["serve", "--dev", "--listen", "127.0.0.1:0"]] {
            let mut command = bare_command();
            command.args(args).env("AI_STUDIO_PLUGIN", "v1").env("PLUGIN_PROTOCOL_VERSIONS", "1");
            if !args.is_empty() {
                command.env_remove("AI_STUDIO_PLUGIN");
            }
            if root {
                command.uid(65_534);
            }
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            let Ok(mut child) = command.spawn() else {
                println!("skipped: another user may not execute the binary where it lies");
                return;
            };
            let _killed = support::proc::KillOnDrop(child.id());
            sleep_ms(500).await;
            // The kernel gives the files of a process that is not dumpable to root.
            let owner = std::fs::metadata(format!("/proc/{}/environ", child.id())).map(|metadata| metadata.uid());
            let _ = child.kill();
            let _ = child.wait();
            assert_eq!(owner.unwrap(), 0, "{args:?}: dumpable");
        }
    });
}

#[test]
fn the_search_itself_finds_what_is_there() {
    let store = TestStore::new();
    let key = store.issue(APP, USER);
    std::fs::write(store.data.join("planted"), format!("x{}y", &key.secret[10..18])).unwrap();
    let found =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.canaries.assert_absent_below(&store.data)));
    assert!(found.is_err(), "eight planted characters were not found");
    assert_eq!(secret_part(&key.text), Some(key.secret.as_str()));
}
