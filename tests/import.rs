//! Keys of other systems on the real binary: taken over, proven, never found by what leaked (rule R6).
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

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use support::{APP, LLM, Setup, TENANT, TestHost, TestStore, USER, run, sleep_ms, until};

fn sha256(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn import(store: &TestStore, lines: &str, args: &[&str]) -> (Option<i32>, Value) {
    let app =
        [&["key", "import", "-", "--tenant", TENANT, "--app", "7", "--user", "9", "--output", "json"], args].concat();
    let output = store.run_with_input(&app, lines);
    store.canaries.assert_absent("an import", &[output.stdout.clone(), output.stderr.clone()].concat());
    let told = String::from_utf8(output.stdout).unwrap();
    let report = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

#[test]
fn r6_an_imported_key_is_accepted_at_once_everywhere_and_a_leaked_digest_never() {
    run(120, async {
        let store = TestStore::new();
        let host = TestHost::start(Setup::on(&store)).await;
        let key = store.canaries.make("an imported key", 40);
        assert!(!host.passes(&key, LLM).await, "unknown yet");
        let line = format!(r#"{{"sha256":"{}","label":"old gateway","scopes":["chat"]}}"#, sha256(&key));
        let (code, report) = import(&store, &line, &["--entropy", "high"]);
        assert_eq!((code, report["imported"].as_u64(), report["weak"].as_u64()), (Some(0), Some(1), Some(0)));
        sleep_ms(200).await;
        assert!(host.passes(&key, LLM).await, "what was refused before the import is known after it");
        assert!(host.passes(&key, LLM).await, "and remembered");
        assert!(!host.passes(&sha256(&key), LLM).await, "a digest is no key");
        assert!(!host.passes(&format!("{key}x"), LLM).await);
        assert!(!host.passes(&key, support::FOREIGN_LLM).await, "its App's grants hold for it too");
        let bytes = std::fs::read(store.data.join("latchkey.db")).unwrap();
        let wal = std::fs::read(store.data.join("latchkey.db-wal")).unwrap_or_default();
        let raw = Sha256::digest(&key);
        for file in [bytes, wal] {
            store.canaries.assert_absent("the database", &file);
            assert!(!file.windows(32).any(|window| window == raw.as_slice()), "the raw digest is stored");
        }
        let listed = store.ok(&["key", "list", "--tenant", TENANT, "--output", "json"]);
        let id = serde_json::from_str::<Value>(listed.lines().last().unwrap()).unwrap()["credential_id"].clone();
        store.ok(&["key", "revoke", id.as_str().unwrap()]);
        sleep_ms(200).await;
        assert!(!host.passes(&key, LLM).await, "revoked like any other");
        let explained = store.run_with_input(&["key", "explain", "--output", "json"], &key);
        assert!(String::from_utf8(explained.stdout).unwrap().contains("\"reason\":\"revoked\""));
    });
}

#[test]
fn a4_keys_of_low_entropy_are_kept_by_argon2id_and_never_get_a_tag() {
    run(120, async {
        let store = TestStore::new();
        let (code, report) =
            import(&store, r#"{"key":"correct horse battery","app":7,"user":9}"#, &["--format", "kong"]);
        assert_eq!((code, report["weak"].as_u64()), (Some(0), Some(1)));
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(!host.passes("correct horse batterY", LLM).await);
        // Spaces have no place in a credential.
        assert!(!host.passes("correct horse battery", LLM).await);
        import(&store, r#"{"key":"correct-horse-battery","app":7,"user":9}"#, &["--format", "kong"]);
        sleep_ms(200).await;
        assert!(host.passes("correct-horse-battery", LLM).await);
        store.ok(&["tenant", "set", TENANT, "--name", "Changed"]);
        sleep_ms(200).await;
        assert!(host.passes("correct-horse-battery", LLM).await, "without another hash");
        let db = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
        let tags: i64 = db.query_row("SELECT count(tag) FROM verifiers", [], |row| row.get(0)).unwrap();
        let hashes: i64 = db
            .query_row("SELECT count(*) FROM verifiers WHERE phc LIKE '$argon2id$%m=19456,t=2,p=1$%'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!((tags, hashes), (0, 2), "at the floor of OWASP, and only so");
        let four_gib = r#"{"credential_id":"0000000000000000000001","phc":"$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"}"#;
        let (code, report) = import(&store, four_gib, &[]);
        assert_eq!((code, report["refused"].as_u64()), (Some(1), Some(1)), "{report}");
        assert_eq!(report["refusals"][0]["line"], 1);
    });
}

/// Keys with a public beginning, and how another system kept each: salted digests, and slow hashes of several kinds.
fn kept_elsewhere(store: &TestStore) -> Vec<(String, String, bool)> {
    use argon2::password_hash::PasswordHasher as _;
    let key = |n: u32| format!("pk_{n:04}_{}", store.canaries.make("the secret of a key", 30));
    let line = |key: &str, rest: &str| format!(r#"{{"prefix":"{}",{rest}}}"#, &key[..8]);
    let b64 = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD_NO_PAD, bytes);
    let salt = b"a salt of sixtee";
    let mut all = Vec::new();
    for (n, high) in [(1, true), (2, false)] {
        let entropy = if high { "high" } else { "low" };
        let before = key(n);
        let digest = sha256(&format!("pinch{before}"));
        let rest = format!(r#""sha256":"{digest}","salt":"pinch","entropy":"{entropy}""#);
        all.push((line(&before, &rest), before, high));
        let after = key(10 + n);
        let digest = sha256(&format!("{after}pinch"));
        let rest = format!(r#""sha256":"{digest}","salt_hex":"70696e6368","salt_place":"after","entropy":"{entropy}""#);
        all.push((line(&after, &rest), after, high));
        let slow = |key: String, phc: String| {
            all.push((line(&key, &format!(r#""phc":"{phc}","entropy":"{entropy}""#)), key, high));
        };
        let mut slow = slow;
        let bcrypted = key(20 + n);
        let phc = bcrypt::hash(&bcrypted, 6).unwrap();
        slow(bcrypted, phc);
        let scrypted = key(30 + n);
        let mut output = [0; 32];
        let params = scrypt::Params::new(10, 8, 1).unwrap();
        scrypt::scrypt(scrypted.as_bytes(), salt, &params, &mut output).unwrap();
        let phc = format!("$scrypt$ln=10,r=8,p=1${}${}", b64(salt), b64(&output));
        slow(scrypted, phc);
        let derived = key(40 + n);
        pbkdf2::pbkdf2_hmac::<Sha256>(derived.as_bytes(), salt, 2_000, &mut output);
        slow(derived, format!("$pbkdf2-sha256$i=2000${}${}", b64(salt), b64(&output)));
        let argoned = key(50 + n);
        let params = argon2::Params::new(64, 2, 1, Some(32)).unwrap();
        let argon = argon2::Argon2::new(argon2::Algorithm::Argon2i, argon2::Version::V0x13, params);
        let phc = argon.hash_password_with_salt(argoned.as_bytes(), salt).unwrap().to_string();
        slow(argoned, phc);
    }
    all
}

#[test]
fn r6_keys_that_another_system_salted_or_hashed_are_proven_at_first_use_and_then_kept_our_way() {
    run(180, async {
        let store = TestStore::new();
        let kept = kept_elsewhere(&store);
        let lines: Vec<&str> = kept.iter().map(|(line, ..)| line.as_str()).collect();
        let (code, report) = import(&store, &lines.join("\n"), &[]);
        assert_eq!((code, report["imported"].as_u64()), (Some(0), Some(12)), "{report}");
        assert_eq!(report["weak"], 6, "what is still weak is told");
        let weak = || store.ok(&["key", "list", "--tenant", TENANT, "--weak", "--output", "json"]).lines().count();
        assert_eq!(weak(), 10, "all but the salted digests of high entropy, which a tag proves already");
        let host = TestHost::start(Setup::on(&store)).await;
        // Refusals are held back for a second: all at once.
        let none_passes = async |keys: Vec<String>, when: &str| {
            let asked = keys.iter().map(async |key| assert!(!host.passes(key, LLM).await, "{key}: {when}"));
            futures::future::join_all(asked).await;
        };
        let longer = || kept.iter().map(|(_, key, _)| format!("{key}x")).collect::<Vec<_>>();
        none_passes(longer(), "before").await;
        none_passes(kept.iter().map(|(_, key, _)| format!("{}{}", &key[..8], "x".repeat(30))).collect(), "wrong").await;
        for (line, key, _) in &kept {
            assert!(host.passes(key, LLM).await, "{line}");
            assert!(host.passes(key, LLM).await, "{line}: and from memory");
        }
        let db = || rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
        let count = |sql: &str| db().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let unsettled =
            "SELECT count(*) FROM verifiers WHERE prehash IS NOT NULL AND prehash NOT LIKE 'prefix:8 sha256'";
        until(Duration::from_secs(30), "all are kept our way", || count(unsettled) == 0).await;
        assert_eq!(count("SELECT count(*) FROM verifiers WHERE tag IS NOT NULL AND phc = ''"), 6);
        assert_eq!(
            count("SELECT count(*) FROM verifiers WHERE tag IS NULL AND phc LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'"),
            6,
            "what is of low entropy by our hash at OWASP's floor, and never by a tag"
        );
        assert_eq!(weak(), 6);
        sleep_ms(200).await;
        for (line, key, _) in &kept {
            assert!(host.passes(key, LLM).await, "{line}: once it is kept our way");
        }
        none_passes(longer(), "once they are kept our way").await;
        // A second run of the same lines must not bring back what was taken back since.
        let listed = store.ok(&["key", "list", "--tenant", TENANT, "--output", "json"]);
        for view in listed.lines() {
            let view: Value = serde_json::from_str(view).unwrap();
            store.ok(&["key", "revoke", view["credential_id"].as_str().unwrap()]);
        }
        store.ok(&["pepper", "rotate"]);
        let (_, again) = import(&store, &lines.join("\n"), &[]);
        assert_eq!((again["imported"].as_u64(), again["already_there"].as_u64()), (Some(0), Some(12)), "{again}");
        sleep_ms(200).await;
        none_passes(kept.iter().map(|(_, key, _)| key.clone()).collect(), "revoked").await;
    });
}

#[test]
fn r6_keys_that_begin_alike_are_told_apart_and_a_revoked_one_is_not_let_in_by_another_row() {
    run(120, async {
        let store = TestStore::new();
        let [one, other, third] =
            [(); 3].map(|()| format!("pk_0001_{}", store.canaries.make("the secret of a key", 30)));
        let salted = |prefix: &str, key: &str| {
            let digest = sha256(&format!("pinch{key}"));
            format!(r#"{{"prefix":"{prefix}","sha256":"{digest}","salt":"pinch","entropy":"high"}}"#)
        };
        // Found by eight characters, by sixteen, and by the whole: the first eight are the same.
        // Found by eight characters and by twelve, by sixteen, and by the whole: the first eight are the same.
        let lines = [
            salted(&one[..8], &one),
            salted(&one[..12], &one),
            salted(&other[..16], &other),
            format!(r#"{{"sha256":"{}"}}"#, sha256(&third)),
        ];
        let (code, report) = import(&store, &lines.join("\n"), &["--entropy", "high"]);
        assert_eq!((code, report["imported"].as_u64()), (Some(0), Some(4)), "{report}");
        let explained = || {
            let told = store.run_with_input(&["key", "explain", "--output", "json"], &one);
            serde_json::from_slice::<Value>(&told.stdout).unwrap()
        };
        let host = TestHost::start(Setup::on(&store)).await;
        for key in [&one, &other, &third] {
            assert!(host.passes(key, LLM).await);
        }
        store.ok(&["key", "revoke", explained()["credential_id"].as_str().unwrap()]);
        sleep_ms(200).await;
        assert!(!host.passes(&one, LLM).await, "revoked where it is found first");
        assert_eq!(explained()["reason"], "revoked");
        assert!(host.passes(&other, LLM).await && host.passes(&third, LLM).await);
    });
}

#[test]
fn r6_keys_that_another_system_kept_by_hmac_need_its_constant_key() {
    use hmac::{KeyInit as _, Mac as _};
    run(120, async {
        let store = TestStore::new();
        let key = store.canaries.make("an imported key", 40);
        let constant = b"the constant key of a gateway";
        let digest = hmac::Hmac::<Sha256>::new_from_slice(constant).unwrap().chain_update(&key).finalize().into_bytes();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = format!(r#"{{"hmac_sha256":"{}","entropy":"high"}}"#, hex(&digest));
        let (code, report) = import(&store, &line, &[]);
        assert_eq!((code, report["refused"].as_u64()), (Some(1), Some(1)), "{report}");
        assert!(report["refusals"][0]["reason"].as_str().unwrap().contains("hmac:"), "{report}");
        let host = TestHost::start(Setup::on(&store)).await;
        // Where the peppers are, in every process's source; the one that runs reads it when the first such key comes.
        let pepper = std::fs::read_to_string(store.data.join("pepper")).unwrap();
        std::fs::write(store.data.join("pepper"), format!("{pepper}hmac:{}\n", hex(constant))).unwrap();
        let (code, report) = import(&store, &line, &[]);
        assert_eq!((code, report["imported"].as_u64()), (Some(0), Some(1)), "{report}");
        until(Duration::from_secs(5), "the process has read it", || {
            store.run_with_input(&["key", "explain"], &key).status.success()
        })
        .await;
        sleep_ms(300).await;
        assert!(host.passes(&key, LLM).await);
        assert!(!host.passes(&hex(&digest), LLM).await, "a digest is no key");
        assert!(!host.passes(&format!("{key}x"), LLM).await);
        // Without it they are refused, and nothing else is.
        std::fs::write(store.data.join("pepper"), pepper).unwrap();
        let other = TestHost::start(Setup::on(&store)).await;
        assert!(!other.passes(&key, LLM).await);
        let doctor = store.run(&["doctor", "--output", "json"]);
        assert_eq!(doctor.status.code(), Some(1));
        assert!(String::from_utf8(doctor.stdout).unwrap().contains("no hmac: line"), "and it is said");
        let ours = store.issue(APP, USER);
        other.must_accept(&ours, "a key of ours").await;
    });
}

#[test]
fn r6_a_handle_that_was_moved_to_another_row_finds_nothing() {
    let store = TestStore::new();
    let ours = store.issue(APP, USER);
    let key = store.canaries.make("an imported key", 40);
    import(&store, &format!(r#"{{"sha256":"{}"}}"#, sha256(&key)), &["--entropy", "high"]);
    let db = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
    assert_eq!(db.execute("UPDATE handles SET row_id = (SELECT min(row_id) FROM credentials)", []).unwrap(), 1);
    drop(db);
    let explained = store.run_with_input(&["key", "explain", "--output", "json"], &key);
    let explained: Value = serde_json::from_slice(&explained.stdout).unwrap();
    assert_eq!(explained["reason"], "row_forged", "the row of {} is none that was imported", ours.id);
    assert!(!store.run_with_input(&["authenticate", "--llm-id", "3"], &key).status.success());
}

#[test]
fn a4_slow_hashes_without_a_prefix_or_beyond_the_caps_are_refused_by_line() {
    let store = TestStore::new();
    let bcrypt = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    let digest = sha256("x");
    let lines = [
        format!(r#"{{"phc":"{bcrypt}"}}"#),
        format!(r#"{{"sha256":"{digest}","salt":"x"}}"#),
        format!(r#"{{"prefix":"short","phc":"{bcrypt}"}}"#),
        format!(r#"{{"prefix":"with.a.dot","phc":"{bcrypt}"}}"#),
        format!(r#"{{"prefix":"pk_000001","phc":"{}"}}"#, bcrypt.replace("$05$", "$15$")),
        r#"{"prefix":"pk_000001","phc":"$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"}"#.to_owned(),
        r#"{"prefix":"pk_000001","phc":"$1$abcdefgh$deadbeef"}"#.to_owned(),
        format!(r#"{{"prefix":"pk_000001","sha256":"{digest}","salt":""}}"#),
        format!(r#"{{"prefix":"pk_000001","sha256":"{digest}","salt":"{}"}}"#, "x".repeat(65)),
        format!(r#"{{"prefix":"pk_000001","sha256":"{digest}","salt":"x","salt_place":"within"}}"#),
    ];
    let (code, report) = import(&store, &lines.join("\n"), &[]);
    assert_eq!((code, report["refused"].as_u64()), (Some(1), Some(lines.len() as u64)), "{report}");
    assert!(!report.to_string().contains("E5YPO9"), "never by what it holds");
    // No more than eight ways of finding keys: each costs a read for whatever may be a key of another system.
    let many: Vec<String> = (0..10)
        .map(|n| format!(r#"{{"prefix":"{}","phc":"{bcrypt}"}}"#, "abcdefghijklmnop".split_at(6 + n).0))
        .collect();
    let (_, report) = import(&store, &many.join("\n"), &[]);
    assert_eq!((report["imported"].as_u64(), report["refused"].as_u64()), (Some(8), Some(2)), "{report}");
}

#[test]
fn r13_refusals_of_foreign_forms_take_the_same_time_whatever_is_found() {
    run(120, async {
        let store = TestStore::new();
        let [good, revoked] = [(); 2].map(|()| store.canaries.make("an imported key", 40));
        let lines = format!("{{\"sha256\":\"{}\"}}\n{{\"sha256\":\"{}\"}}", sha256(&good), sha256(&revoked));
        import(&store, &lines, &["--entropy", "high"]);
        import(&store, r#"{"key":"low-entropy-key-1"}"#, &[]);
        let listed = store.ok(&["key", "list", "--tenant", TENANT, "--output", "json"]);
        for line in listed.lines() {
            let view: Value = serde_json::from_str(line).unwrap();
            if store.run_with_input(&["key", "explain", view["credential_id"].as_str().unwrap()], "").status.success() {
                continue;
            }
        }
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(host.passes(&good, LLM).await);
        let mut times = Vec::new();
        for key in
            [store.canaries.make("unknown", 40), "low-entropy-key-2".to_owned(), "another-unknown-one".to_owned()]
        {
            let start = std::time::Instant::now();
            assert!(!host.passes(&key, LLM).await);
            times.push(start.elapsed());
        }
        assert!(times.iter().all(|time| *time >= Duration::from_millis(100)), "held back: {times:?}");
        let junk = format!("lk_live_{}_{}", "0".repeat(22), "z".repeat(49));
        let start = std::time::Instant::now();
        assert!(!host.passes(&junk, LLM).await);
        assert!(start.elapsed() < Duration::from_millis(90), "our own form is not held back");
    });
}

#[test]
fn a3_imported_keys_move_to_a_new_pepper_at_their_next_use() {
    run(120, async {
        let store = TestStore::new();
        let key = store.canaries.make("an imported key", 40);
        import(&store, &format!(r#"{{"sha256":"{}"}}"#, sha256(&key)), &["--entropy", "high"]);
        let old = store.ok(&["pepper", "status", "--output", "json"]);
        let old = serde_json::from_str::<Value>(old.trim()).unwrap()["fingerprint"].as_str().unwrap().to_owned();
        store.ok(&["pepper", "rotate"]);
        let held = store.run(&["pepper", "retire", &old, "--drop-tags"]);
        assert_eq!(held.status.code(), Some(1), "without its handle it could not be found again");
        let host = TestHost::start(Setup::on(&store)).await;
        assert!(host.passes(&key, LLM).await);
        until(Duration::from_secs(10), "it moved", || store.run(&["pepper", "retire", &old]).status.success()).await;
        sleep_ms(200).await;
        assert!(host.passes(&key, LLM).await, "found by its new handle");
    });
}

#[test]
fn what_one_store_exports_another_imports_without_a_secret() {
    run(120, async {
        let (from, to) = (TestStore::new(), TestStore::new());
        let [key, revoked] =
            [(); 2].map(|()| from.issue_for(TENANT, APP, USER, &["--scope", "chat", "--expires-in", "1d"]));
        from.revoke(&revoked);
        let lines = from.ok(&["key", "export", "--tenant", TENANT]);
        from.canaries.assert_absent("an export", lines.as_bytes());
        assert_eq!(lines.lines().count(), 1, "what was taken back does not go along");
        let (code, report) = import(&to, &lines, &[]);
        assert_eq!((code, report["imported"].as_u64()), (Some(0), Some(1)), "{report}");
        let host = TestHost::start(Setup::on(&to)).await;
        assert!(host.passes(&key.text, LLM).await, "proven by its slow hash");
        assert!(!host.passes(&key.forged(&to.canaries.make("wrong", 43)), LLM).await);
        let tagged = || to.ok(&["key", "show", &key.id, "--output", "json"]).contains("\"proof\":\"tag\"");
        until(Duration::from_secs(10), "it has a tag after its first use", tagged).await;
        let (_, again) = import(&to, &lines, &[]);
        assert_eq!((again["imported"].as_u64(), again["already_there"].as_u64()), (Some(0), Some(1)));
    });
}
