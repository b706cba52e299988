//! Issuers on the files: what is made of them by the command line, whoever edits the database, a secret, and a restore.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed test is a panic"
)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use serde_json::{Value, json};
use support::{APP, OTHER_APP, TENANT, TestStore, USER};

const ISS: &str = "https://idp.example";
/// RFC 7515 section A.3, with what a set of a provider has beside what is needed.
const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","use":"sig","x5c":["x"],
  "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
  {"kty":"RSA","kid":"old","n":"AQAB","e":"AQAB","use":"enc"}]}"#;

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Adds one for an audience, with more of the line.
fn add(store: &TestStore, audience: &str, more: &str) -> Output {
    let line = format!("issuer add --tenant {TENANT} --iss {ISS} --aud {audience} --output json {more}");
    store.run_with_input(&words(&line), JWKS)
}

fn made(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn id(issuer: &Value) -> String {
    issuer["issuer_id"].as_str().unwrap().to_owned()
}

fn list(store: &TestStore) -> Vec<Value> {
    let told = store.ok(&words(&format!("issuer list --tenant {TENANT} --output json")));
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn run(store: &TestStore, what: &str, id: &str, more: &str) -> Output {
    store.run(&words(&format!("issuer {what} {id} --tenant {TENANT} --output json {more}")))
}

#[test]
fn the_settled_line_trusts_an_issuer_whose_provider_does_not_answer_and_says_so() {
    let store = TestStore::new();
    let line = format!(
        "issuer add --tenant {TENANT} --iss {ISS} --jwks-url https://idp.example/keys --alg ES256 --aud gateway --app {APP} \
         --user-claim sub --output json"
    );
    let output = store.run(&words(&line));
    let issuer = made(&output);
    assert!(said(&output).contains("warning: keys_unknown: "), "{}", said(&output));
    let expected = json!({
        "iss": ISS, "audiences": ["gateway"], "algorithms": ["ES256"], "types": ["at+jwt", "jwt", "none"],
        "leeway_seconds": 30, "max_age_seconds": null, "required_claims": [], "key_source": "jwks_url",
        "jwks_url": "https://idp.example/keys", "app_id": APP, "user_claim": "sub", "scope_claim": "scope",
        "strict": false, "active": true, "status": "active", "waivers": [], "first_use": null,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(issuer[name], *value, "{name}");
    }
    let id = id(&issuer);
    assert_eq!(list(&store)[0]["issuer_id"], id.as_str());
    assert_eq!(made(&run(&store, "show", &id, ""))["etag"], issuer["etag"]);
    let again = store.run(&words(&line));
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("exists already"), "{}", said(&again));
    // Without an answer from there, a check fails, and so does an addition that asks for one.
    let checked = run(&store, "check", &id, "");
    assert_eq!(checked.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(told["passed"] == false && told["keys_error"].is_string(), "{told}");
    let asked = store.run(&words(&format!("{line} --aud second --check").replace("--aud gateway", "")));
    assert_eq!(asked.status.code(), Some(1));
    assert!(said(&asked).contains("keys cannot be had"), "{}", said(&asked));
}

#[test]
fn an_issuer_with_pasted_keys_is_checked_changed_and_removed() {
    let store = TestStore::new();
    let issuer = made(&add(&store, "gateway,second", "--alg ES256,EdDSA --jwks-file - --typ at+jwt --max-age 3600"));
    let id = id(&issuer);
    assert_eq!(issuer["audiences"], json!(["gateway", "second"]));
    assert!(!issuer["jwks"].as_str().unwrap().contains("x5c"), "what is of no use is not kept");
    let checked = made(&run(&store, "check", &id, ""));
    assert_eq!((&checked["passed"], &checked["keys"][0]["kind"]), (&json!(true), &json!("P-256")));
    // RFC 7638: SHA-256 of the required members, base64url.
    assert_eq!(checked["keys"][0]["thumbprint"].as_str().unwrap().len(), 43);
    let table = String::from_utf8(store.run(&words(&format!("issuer check {id} --tenant {TENANT}"))).stdout).unwrap();
    assert!(table.contains("P-256") && table.contains("its tokens can be taken"), "{table}");
    let line = format!(
        "--leeway 5 --aud gateway --strict true --links --no-require --etag {}",
        issuer["etag"].as_str().unwrap()
    );
    let changed = made(&run(&store, "set", &id, &line));
    assert_eq!(
        (&changed["leeway_seconds"], &changed["audiences"], &changed["strict"]),
        (&json!(5), &json!(["gateway"]), &json!(true))
    );
    assert_eq!(run(&store, "set", &id, &line).status.code(), Some(1), "not as it was read any more");
    assert_eq!(run(&store, "set", &id, "").status.code(), Some(2));
    let refused = run(&store, "set", &id, "--leeway 61");
    assert!(said(&refused).contains("leeway: ") && refused.status.code() == Some(1), "{}", said(&refused));
    assert_eq!(made(&run(&store, "set", &id, "--active false"))["status"], "inactive");
    store.ok(&words(&format!("issuer remove {id} --tenant {TENANT}")));
    assert!(list(&store).is_empty());
    assert!(said(&run(&store, "show", &id, "")).contains("there is no issuer"));
    let events = store.ok(&["audit", "list", "--output", "json"]);
    for action in ["issuer.added", "issuer.changed", "issuer.removed"] {
        assert!(events.contains(action), "{action}");
    }
    assert!(events.contains(r#"["fields","audiences,leeway_seconds,strict"]"#), "{events}");
}

#[test]
fn what_the_linter_refuses_is_told_with_its_clause_and_can_be_waived_where_that_is_permitted() {
    let store = TestStore::new();
    let refused = add(&store, "gateway", "--alg ES256,HS256 --jwks-file -");
    assert_eq!(refused.status.code(), Some(1));
    let text = said(&refused);
    assert!(text.contains("hmac_mixed: ") && text.contains("(RFC 8725 sections 2.1 and 3.1)"), "{text}");
    let refused = add(&store, "gateway", "--alg ES256 --jwks-file - --typ none");
    assert!(said(&refused).contains("type_absent_accepted: "), "{}", said(&refused));
    let waive = |rule: &str| {
        let line = format!("--alg ES256 --jwks-file - --typ none --waive {rule} --waive-owner ops@acme.example");
        add(&store, "gateway", &format!("{line} --waive-until {}", soon()))
    };
    assert_eq!(waive("hmac_mixed").status.code(), Some(2));
    let issuer = made(&waive("type_absent_accepted"));
    assert_eq!(issuer["waivers"][0]["owner"], "ops@acme.example");
    let events = store.ok(&["audit", "list", "--action", "issuer.added", "--output", "json"]);
    assert!(events.contains("type_absent_accepted:ops@acme.example:"), "{events}");
    for wrong in [
        "--alg ES256",
        "--alg es256 --jwks-file -",
        "--alg ES256 --jwks-file - --jwks-url https://idp.example/keys",
        "--alg ES256 --jwks-file - --kid a",
        "--alg ES256 --jwks-file - --app 7",
        "--alg ES256 --jwks-file - --app 7 --app-claim a --user 9",
        "--alg ES256 --jwks-file - --first-use-app 7",
        "--alg ES256 --jwks-file - --waive key_shared",
        "--alg ES256 --jwks-file - --app 0 --user 9",
    ] {
        assert_eq!(add(&store, "another", wrong).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn the_linter_runs_when_a_process_starts_and_says_what_is_waived_no_more() {
    let store = TestStore::new();
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    let waived = "--alg ES256 --jwks-file - --typ none --waive type_absent_accepted --waive-owner ops@acme.example";
    made(&add(&store, "gateway", &format!("{waived} --waive-until {until}")));
    let said =
        |server: &support::server::Server| String::from_utf8_lossy(&server.log()).contains("type_absent_accepted");
    let server = support::server::Server::start(&store);
    assert!(!said(&server), "it is waived");
    drop(server);
    while jiff::Timestamp::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let server = support::server::Server::start(&store);
    let began = std::time::Instant::now();
    while !said(&server) {
        assert!(began.elapsed().as_secs() < 10, "{}", String::from_utf8_lossy(&server.log()));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A day within the year.
fn soon() -> String {
    let now = jiff::Timestamp::now();
    let in_100_days = now + jiff::SignedDuration::from_hours(2_400);
    in_100_days.to_string()[..10].to_owned()
}

#[test]
fn a_first_use_is_typed_whole() {
    let store = TestStore::new();
    let line = format!(
        "--alg ES256 --jwks-file - --first-use-app {APP} --first-use-user {USER} --first-use-allow groups=ops \
         --first-use-cap 10 --first-use-until {}",
        soon()
    );
    let issuer = made(&add(&store, "gateway", &line));
    assert_eq!(issuer["first_use"]["allow"], json!([{ "claim": "groups", "value": "ops" }]));
    assert_eq!((&issuer["first_use"]["cap"], &issuer["app_id"]), (&json!(10), &Value::Null));
    let refused = add(&store, "second", &line.replace("groups=ops", "email=ann@acme.example"));
    assert!(said(&refused).contains("first_use_email"), "{}", said(&refused));
}

#[test]
fn one_public_key_is_given_as_pem_and_a_private_one_is_refused() {
    let store = TestStore::new();
    // RFC 8410 section 10.1, and 10.3.
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let line = format!(
        "issuer add --tenant {TENANT} --iss {ISS} --aud gateway --alg EdDSA --pem-file - --kid k1 --output json"
    );
    let refused = store.run_with_input(&words(&line), private);
    assert!(refused.status.code() == Some(2) && said(&refused).contains("private key"), "{}", said(&refused));
    let issuer = made(&store.run_with_input(&words(&line), public));
    assert!(issuer["jwks"].as_str().unwrap().contains("\"kid\":\"k1\""), "{issuer}");
    assert_eq!(made(&run(&store, "check", &id(&issuer), ""))["keys"][0]["kind"], "Ed25519");
}

#[test]
fn r4_an_issuer_that_was_widened_in_the_file_is_not_believed() {
    let store = TestStore::new();
    let [kept, edited] = ["kept", "edited"].map(|aud| id(&made(&add(&store, aud, "--alg ES256 --jwks-file -"))));
    let db = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
    let raw = latchkey::domain::IssuerId::parse(edited.as_bytes()).unwrap();
    let sql = "UPDATE issuers SET audiences = '[\"edited\",\"anything\"]' WHERE id = ?1";
    assert_eq!(db.execute(sql, rusqlite::params![raw.as_bytes()]), Ok(1));
    drop(db);
    let states: Vec<_> = list(&store).iter().map(|row| (row["issuer_id"].clone(), row["status"].clone())).collect();
    let expected = [(&kept, "active"), (&edited, "row_forged")].map(|(id, state)| (id.as_str().into(), state.into()));
    assert_eq!(states, expected);
    let refused = run(&store, "set", &edited, "--strict true");
    assert!(said(&refused).contains("was not written by Latchkey"), "{}", said(&refused));
    let doctor = String::from_utf8(store.run(&["doctor", "--quick", "--output", "json"]).stdout).unwrap();
    let told = doctor.lines().find(|line| line.contains("\"issuers\"")).unwrap_or_else(|| panic!("{doctor}"));
    assert!(told.contains("problem") && told.contains(&edited), "{told}");
    store.ok(&words(&format!("issuer remove {edited} --tenant {TENANT}")));
}

#[test]
fn r5_the_subject_key_is_not_replaced_while_there_is_an_issuer() {
    let store = TestStore::new();
    let id = id(&made(&add(&store, "gateway", "--alg ES256 --jwks-file -")));
    let key = store.data.join("subject.key");
    std::fs::remove_file(&key).unwrap();
    assert_eq!(list(&store)[0]["status"], "key_missing");
    assert!(said(&add(&store, "second", "--alg ES256 --jwks-file -")).contains("is missing"));
    let migrated = store.run(&["migrate", "up"]);
    assert!(migrated.status.code() == Some(1) && !key.exists(), "{migrated:?}");
    store.ok(&words(&format!("issuer remove {id} --tenant {TENANT}")));
    store.ok(&["migrate", "up"]);
    assert!(key.exists());
}

#[test]
fn an_issuers_secret_lies_beside_the_store_and_in_no_other_file() {
    let store = TestStore::new();
    let secret = "kq3v-9xTz-unusual-secret-of-the-test-0815";
    let file = store.data.parent().unwrap().join("secret-to-give");
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    let line = format!("--alg HS256 --secret-file {}", file.display());
    let output = add(&store, "gateway", &line);
    let issuer = made(&output);
    let path = store.data.join(format!("issuer-{}.secret", id(&issuer)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), secret, "without the line end");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((&issuer["key_source"], &issuer["jwks"]), (&json!("secret"), &Value::Null));
    let backup = store.data.parent().unwrap().join("backup.db");
    store.ok(&["backup", backup.to_str().unwrap()]);
    let others = std::fs::read_dir(&store.data).unwrap().map(|entry| entry.unwrap().path());
    for other in others.filter(|other| *other != path).chain([backup]) {
        let bytes = std::fs::read(&other).unwrap();
        assert!(!bytes.windows(16).any(|window| window == &secret.as_bytes()[..16]), "{}", other.display());
    }
    for text in [String::from_utf8(output.stdout.clone()).unwrap(), said(&output)] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(made(&run(&store, "check", &id(&issuer), ""))["keys"][0]["thumbprint"], Value::Null);
    let refused =
        store.run(&words(&format!("issuer add --tenant {TENANT} --iss {ISS} --aud b {line} --server unix:/nowhere")));
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let weak = store.run_with_input(
        &words(&format!("issuer add --tenant {TENANT} --iss {ISS} --aud c --alg HS256 --secret-file -")),
        &"abc".repeat(20),
    );
    assert!(said(&weak).contains("hmac_guessable"), "{}", said(&weak));
    store.ok(&words(&format!("issuer remove {} --tenant {TENANT}", id(&issuer))));
    assert!(!path.exists());
}

#[test]
fn r9_an_issuer_that_was_removed_switched_off_or_changed_after_the_backup_is_not_taken_as_the_backup_has_it() {
    let store = TestStore::new();
    let [kept, removed, off, changed] =
        ["kept", "removed", "off", "changed"].map(|aud| id(&made(&add(&store, aud, "--alg ES256 --jwks-file -"))));
    let file = store.data.parent().unwrap().join("backup.db");
    store.ok(&["backup", file.to_str().unwrap()]);
    store.ok(&words(&format!("issuer remove {removed} --tenant {TENANT}")));
    made(&run(&store, "set", &off, "--active false"));
    made(&run(&store, "set", &changed, "--leeway 5"));
    let told: Value =
        serde_json::from_str(&store.ok(&["restore", file.to_str().unwrap(), "--output", "json"])).unwrap();
    assert_eq!(told["issuers_taken_back"], 3);
    let states: Vec<_> = list(&store).iter().map(|row| (row["issuer_id"].clone(), row["status"].clone())).collect();
    let expected = [(&kept, "active"), (&off, "inactive"), (&changed, "inactive")]
        .map(|(id, state)| (id.as_str().into(), state.into()));
    assert_eq!(states, expected);
    // It can be switched on again: its row is sealed.
    assert_eq!(made(&run(&store, "set", &off, "--active true"))["status"], "active");
    let events = store.ok(&["audit", "list", "--action", "issuer.removed", "--output", "json"]);
    assert!(events.contains("\"system\"") && events.contains(&removed), "{events}");
}

#[test]
fn an_issuer_outlives_its_app_and_names_only_what_its_tenant_has() {
    let store = TestStore::new();
    let line = format!("--alg ES256 --jwks-file - --app {OTHER_APP} --user {USER}");
    let issuer = made(&add(&store, "gateway", &line));
    let refused = add(&store, "second", &line.replace(&format!("--app {OTHER_APP}"), "--app 4711"));
    assert!(said(&refused).contains("there is no App 4711"), "{}", said(&refused));
    store.ok(&words(&format!("app remove --tenant {TENANT} --id {OTHER_APP}")));
    assert_eq!(made(&run(&store, "set", &id(&issuer), "--active false"))["status"], "inactive");
}

#[test]
fn every_rule_of_the_linter_is_documented_with_its_clause() {
    use latchkey::jwt::lint::{RULES, Severity};
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ADMIN_API.md");
    let text = std::fs::read_to_string(path).unwrap();
    for (rule, clause, severity) in RULES {
        let means = match severity {
            Severity::Refused => "refused",
            Severity::Waivable => "refused unless waived",
            Severity::Waived | Severity::Warning => "warning",
        };
        let row =
            text.lines().find(|line| line.starts_with(&format!("| `{rule}` |"))).unwrap_or_else(|| panic!("{rule}"));
        assert!(row.ends_with(&format!(" | {clause} | {means} |")), "{row}");
    }
}
