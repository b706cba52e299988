//! What was decided, over the wire and in the files of the real binary: no call is missing in the decision log, junk costs
//! it little (control E1), and no text of a caller can forge a line of the log (control E2).
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed test is a panic"
)]

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use latchkey::pb::full::plugin as pb;
use latchkey::store::sqlite::decisions;
use rusqlite::Connection;
use support::secrets::random_text;
use support::{
    APP, FOREIGN_LLM, Key, LLM, Setup, TENANT, TestHost, TestStore, USER, auth_request, body, context, request, run,
};

/// Rows a second that count for one source alone, as docs/AUDIT.md says.
const OWN_ROWS: u64 = 64;
/// Reasons and stages that the rest of a second's rows can be about here.
const SHARED_ROWS: u64 = 20;
/// Each so many-th acceptance is kept.
const ONE_IN: u64 = 10;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum What {
    Good,
    WrongSecret,
    Revoked,
    UnknownId,
    Checksum,
}
use What::{Checksum, Good, Revoked, UnknownId, WrongSecret};

const ALL: [What; 5] = [Good, WrongSecret, Revoked, UnknownId, Checksum];

impl What {
    fn reason(self) -> &'static str {
        match self {
            Good => "accepted",
            WrongSecret => "wrong_secret",
            Revoked => "revoked",
            UnknownId => "unknown_credential",
            Checksum => "credential_checksum",
        }
    }

    /// Whether a refusal of it is of a known credential.
    fn is_known(self) -> bool {
        matches!(self, WrongSecret | Revoked)
    }

    /// Decisions about one request that is asked about at pre-auth and again at auth. A refusal counts once (rule R14),
    /// where there was something to tell credentials apart by: a text that is no key at all is counted at each stage.
    fn of_a_pair(self) -> u64 {
        match self {
            Good | Checksum => 2,
            WrongSecret | Revoked | UnknownId => 1,
        }
    }
}

#[derive(Clone)]
struct Keys {
    good: Key,
    revoked: Key,
}

impl Keys {
    fn text(&self, what: What) -> String {
        match what {
            Good => self.good.text.clone(),
            Revoked => self.revoked.text.clone(),
            WrongSecret => self.good.forged(&random_text(43)),
            UnknownId => self.good.under_id(&format!("1{}", random_text(21))),
            Checksum => format!("lk_live_{}_{}", "0".repeat(22), random_text(49)),
        }
    }
}

/// What was asked, and what must be found.
#[derive(Default)]
struct Asked {
    decisions: BTreeMap<&'static str, u64>,
    /// Request ids of refusals of known credentials.
    known: HashSet<String>,
}

impl Asked {
    fn add(&mut self, what: What, request_id: &str, decisions: u64) {
        *self.decisions.entry(what.reason()).or_default() += decisions;
        if what.is_known() {
            self.known.insert(request_id.to_owned());
        }
    }

    fn join(&mut self, other: Self) {
        other.decisions.into_iter().for_each(|(reason, count)| *self.decisions.entry(reason).or_default() += count);
        self.known.extend(other.known);
    }
}

async fn auth(host: &TestHost, text: &str, what: What, context: &pb::PluginContext, remote: &str) {
    let mut call = auth_request(text, LLM, body());
    call.context = Some(context.clone());
    call.request.as_mut().unwrap().remote_addr = remote.to_owned();
    let answer = host.service().authenticate(call).await.unwrap().into_inner();
    assert_eq!(answer.authenticated, what == Good, "{what:?}");
}

async fn pre_auth(host: &TestHost, text: &str, what: What, context: &pb::PluginContext, remote: &str) {
    let mut context = context.clone();
    context.vendor = "openai".to_owned();
    let bearer = format!("Bearer {text}");
    let mut call = request(&[("Authorization", &bearer)], Vec::new(), context);
    call.remote_addr = remote.to_owned();
    let answer = host.service().process_pre_auth(call).await.unwrap().into_inner();
    assert_eq!(answer.block, what != Good, "{what:?}");
}

/// Each request once, at one stage or the other, from many addresses.
async fn mixed(host: Arc<TestHost>, keys: Keys, calls: u32, task: u32, what: &[What]) -> Asked {
    let mut asked = Asked::default();
    for n in 0..calls {
        let what = what[n as usize % what.len()];
        let (text, context) = (keys.text(what), context(LLM));
        let remote = match n % 4 {
            0 => format!("[2001:db8:{task:x}:{n:x}::{n:x}]:443"),
            1 => "198.51.100.7:443".to_owned(),
            _ => format!("10.{task}.{}.{}:443", n / 256, n % 256),
        };
        if n % 3 == 0 {
            pre_auth(&host, &text, what, &context, &remote).await;
        } else {
            auth(&host, &text, what, &context, &remote).await;
        }
        asked.add(what, &context.request_id, 1);
    }
    asked
}

fn open(data: &Path) -> Connection {
    Connection::open(data.join(decisions::FILE_NAME)).unwrap()
}

fn number(db: &Connection, sql: &str) -> u64 {
    let found: i64 = db.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"));
    u64::try_from(found).unwrap()
}

fn by_reason(db: &Connection) -> HashMap<String, u64> {
    let mut statement = db.prepare("SELECT reason, sum(calls) FROM decisions GROUP BY reason").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).unwrap();
    rows.map(|row| row.map(|(reason, calls)| (reason, u64::try_from(calls).unwrap())).unwrap()).collect()
}

#[test]
fn e1_events_aggregated_and_dropped_are_all_calls() {
    run(300, async {
        let store = TestStore::new();
        let keys = Keys { good: store.issue(APP, USER), revoked: store.issue(APP, USER) };
        store.revoke(&keys.revoked);
        let setup = Setup::on(&store)
            .quiet()
            .env("LATCHKEY_AUTH__TRUST_REMOTE_ADDR", "true")
            .env("LATCHKEY_AUDIT__ACCEPTED_ONE_IN", &ONE_IN.to_string());
        let busy = setup.clone().env("LATCHKEY_AUDIT__DECISIONS_PER_SECOND", "100000");
        let host = Arc::new(TestHost::start(busy).await);
        let (mut asked, mut calls, mut repeated) = (Asked::default(), 0, 0);

        // About the same request twice, one request after the other, so that each is still remembered.
        for what in ALL.into_iter().cycle().take(200) {
            let (text, context) = (keys.text(what), context(LLM));
            pre_auth(&host, &text, what, &context, "192.0.2.1:443").await;
            auth(&host, &text, what, &context, "192.0.2.1:443").await;
            asked.add(what, &context.request_id, what.of_a_pair());
            (calls, repeated) = (calls + 2, repeated + 2 - what.of_a_pair());
        }
        // Everything at once, and a flood of junk beside it.
        let mix = |task| tokio::spawn(mixed(Arc::clone(&host), keys.clone(), 600, task, &ALL));
        let junk = |task| tokio::spawn(mixed(Arc::clone(&host), keys.clone(), 1_500, task, &[UnknownId, Checksum]));
        for task in [mix(0), mix(1), junk(2), junk(3)] {
            asked.join(task.await.unwrap());
        }
        calls += 2 * 600 + 2 * 1_500;
        // What was not even read is a call like any other.
        let unread = host.auth(&"x".repeat(300_000), LLM).await.unwrap();
        assert!(!unread.authenticated);
        *asked.decisions.entry("message_too_large").or_default() += 1;
        calls += 1;
        assert_eq!(asked.decisions.values().sum::<u64>() + repeated, calls, "the test's own count");
        Arc::into_inner(host).unwrap().unload().await;

        let db = open(&store.data);
        let sum =
            |condition: &str| number(&db, &format!("SELECT coalesce(sum(calls), 0) FROM decisions WHERE {condition}"));
        let (kept, counted) = (sum("kind IN ('refused', 'accepted')"), sum("kind = 'counted' AND reason <> 'dropped'"));
        let dropped = sum("reason = 'dropped'");
        assert_eq!(kept + counted + dropped, calls - repeated, "{kept} kept, {counted} counted, {dropped} dropped");
        let found = by_reason(&db);
        for (reason, asked) in &asked.decisions {
            let found = found.get(*reason).copied().unwrap_or(0);
            assert!(found <= *asked && found + dropped >= *asked, "{reason}: {found} of {asked}");
        }
        // Each refusal of a known credential is there by itself, and whose it was.
        let mut statement =
            db.prepare("SELECT request_id, app_id, user_id, source FROM decisions WHERE kind = 'refused'").unwrap();
        let rows = statement.query_map([], |row| {
            let of: (u32, u32, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
            assert_eq!((of.0, of.1, of.2.is_empty()), (APP, USER, false));
            row.get::<_, String>(0)
        });
        let single: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
        assert_eq!(single.len(), asked.known.len(), "once each");
        assert_eq!(single.into_iter().collect::<HashSet<_>>(), asked.known);
        // Acceptances by their share.
        let accepted = asked.decisions["accepted"];
        assert_eq!(sum("kind = 'accepted'"), accepted / ONE_IN);
        let whose = format!(
            "SELECT count(*) FROM decisions WHERE kind = 'accepted' AND app_id = {APP} AND user_id = {USER} \
                             AND length(credential_id) = 16 AND length(tenant_id) = 16 AND request_id LIKE 'req_%'"
        );
        assert_eq!(number(&db, &whose), accepted / ONE_IN);
        // The flood came from more sources than there are rows for.
        let seconds = number(&db, "SELECT max(at_ms) / 1000 - min(at_ms) / 1000 + 1 FROM decisions");
        let own = "kind = 'counted' AND source NOT IN ('', 'others')";
        let own_rows = number(&db, &format!("SELECT count(*) FROM decisions WHERE {own}"));
        assert!(own_rows <= seconds * OWN_ROWS, "{own_rows} rows of their own in {seconds} s");
        let rows = number(&db, "SELECT count(*) FROM decisions WHERE kind = 'counted'");
        assert!(rows <= seconds * (OWN_ROWS + SHARED_ROWS), "{rows} rows of counts in {seconds} s");
        assert!(sum("source = 'others'") > 0, "{own_rows} own rows in {seconds} s");
        assert!(number(&db, "SELECT count(*) FROM decisions WHERE source LIKE '2001:db8:%::/64'") > 0);
        let busy = decisions::verify(&store.data).unwrap().unwrap();
        assert_eq!((busy.first, busy.first_form), (1, 0));
        drop(statement);
        drop(db);

        // Another process goes on with the log, at a low rate.
        let host = TestHost::start(setup.env("LATCHKEY_AUDIT__DECISIONS_PER_SECOND", "5")).await;
        for _ in 0..300 {
            auth(&host, &keys.revoked.text, Revoked, &context(LLM), "192.0.2.2:443").await;
        }
        host.unload().await;
        let db = open(&store.data);
        let after = busy.last;
        let refused = number(&db, &format!("SELECT sum(calls) FROM decisions WHERE sequence > {after}"));
        let single = format!("SELECT count(*) FROM decisions WHERE sequence > {after} AND kind = 'refused'");
        let seconds =
            format!("SELECT max(at_ms) / 1000 - min(at_ms) / 1000 + 1 FROM decisions WHERE sequence > {after}");
        let (single, seconds) = (number(&db, &single), number(&db, &seconds));
        assert_eq!(refused, 300);
        assert!(single >= 5 && single <= 5 * seconds, "{single} one by one in {seconds} s");
        assert!(decisions::verify(&store.data).unwrap().unwrap().last > after);
    });
}

/// What could begin another line, steer a terminal, or make text read another way than it is.
const NASTY: &str = "a\n{\"@level\":\"error\",\"@message\":\"forged\"}\r\u{1b}[31m\u{202e}gnp\u{2066}\u{200b}\u{0}\"\\";

fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

fn nasty_context(marker: &str) -> pb::PluginContext {
    let request_id = format!("{marker} {NASTY}");
    let metadata =
        HashMap::from([("edge_namespace".to_owned(), NASTY.to_owned()), (NASTY.to_owned(), NASTY.to_owned())]);
    pb::PluginContext { request_id, metadata, ..context(LLM) }
}

#[test]
fn e2_no_text_of_a_caller_or_host_makes_more_than_one_well_formed_line() {
    run(60, async {
        let store = TestStore::new();
        let [good, revoked] = [(); 2].map(|()| store.issue(APP, USER));
        let decoy = store.issue_for(TENANT, APP, USER, &["--decoy"]);
        store.revoke(&revoked);
        let config = serde_json::json!({ format!("key {NASTY}"): format!("value {NASTY}") });
        let host = TestHost::start(Setup::on(&store).config(config)).await;
        let mut expected = Vec::new();
        let cases = [("good", &good.text), ("revoked", &revoked.text), ("decoy", &decoy.text)];
        let cases = cases.map(|(name, text)| (name, text.clone())).into_iter();
        for (name, credential) in cases.chain([("nasty", NASTY.to_owned())]) {
            for (stage, llm_slug) in [("auth", support::slug(LLM)), ("slug", NASTY.to_owned())] {
                let marker = format!("{name}-{stage}");
                let mut call = auth_request(&credential, LLM, body());
                call.context = Some(pb::PluginContext { llm_slug, ..nasty_context(&marker) });
                host.service().authenticate(call).await.unwrap();
                expected.push(marker);
            }
            let marker = format!("{name}-look_up");
            let context = Some(nasty_context(&marker));
            host.service()
                .get_app_by_credential(pb::GetAppRequest { credential: credential.clone(), context })
                .await
                .unwrap();
            expected.push(marker);
            let marker = format!("{name}-pre_auth");
            let mut context = nasty_context(&marker);
            (context.vendor, context.llm_id) = ("anthropic".to_owned(), FOREIGN_LLM);
            let headers = [("X-Api-Key", credential.as_str()), (NASTY, NASTY)];
            host.service().process_pre_auth(request(&headers, body(), context)).await.unwrap();
            expected.push(marker);
        }
        let logs = host.plugin.logs();
        host.unload().await; // judges every line: JSON, flat, its three texts as a host needs them
        let entries = logs.entries();
        assert_eq!(entries.len(), logs.lines().len(), "every line is one entry");
        for line in logs.lines() {
            assert!(!line.chars().any(misleads), "{line:?}");
        }
        assert!(entries.iter().all(|entry| entry.message != "forged"));
        for marker in expected {
            let sent = format!("{marker} {NASTY}");
            let of_it = entries.iter().filter(|entry| entry.fields.get("request_id").is_some_and(|id| *id == *sent));
            let outcomes = of_it.filter(|entry| entry.fields.contains_key("outcome")).count();
            assert_eq!(outcomes, 1, "{marker}");
        }
        assert!(
            entries.iter().any(|entry| entry.fields.values().any(|value| value.to_string().contains("key a\\n"))),
            "what the host set is told of, in one line"
        );
        // The decision log has the text as it came, for whoever shows it to escape.
        let filter = decisions::DecisionFilter { reason: Some("revoked".to_owned()), ..Default::default() };
        let rows = decisions::list(&store.data, 0, 100, &filter).unwrap();
        assert!(rows.iter().any(|row| row.request_id == format!("revoked-auth {NASTY}")), "{rows:?}");
    });
}
