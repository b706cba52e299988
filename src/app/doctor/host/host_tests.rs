//! Each hazard seen, not seen, and not to be seen from what is given.

use super::*;

const PLUGIN: &str = r#"{"id":5,"name":"Latchkey","command":"plugins/latchkey","hook_types":["auth","pre_auth","studio_ui"],
    "is_active":true,"service_scopes":["apps.read"],"service_access_authorized":true}"#;
const LLM: &str = r#"{"id":3,"vendor":"openai","name":"GPT","slug":"gpt","plugins":[{"id":5}]}"#;
const APP: &str = r#"{"id":7,"name":"Shop","credential":{"id":1,"active":false}}"#;

fn export(plugins: &[&str], llms: &[&str], apps: &[&str]) -> Given {
    let text =
        format!(r#"{{"plugins":[{}],"llms":[{}],"apps":[{}]}}"#, plugins.join(","), llms.join(","), apps.join(","));
    Given {
        exports: vec![("x".to_owned(), text.into_bytes())],
        commands: Vec::new(),
        complete: true,
        kind: None,
        asks_host: true,
    }
}

fn of<'a>(found: &'a [Finding], check: &str) -> Vec<&'a Finding> {
    found.iter().filter(|finding| finding.check == check).collect()
}

#[track_caller]
fn expect(given: &Given, check: &str, verdict: Verdict, word: &str) {
    let found = examine(given, true);
    let of = of(&found, check);
    assert!(of.iter().any(|one| one.verdict == verdict && one.text.contains(word)), "{check} {verdict:?}: {of:?}");
    for one in &found {
        assert_eq!(one.verdict == Verdict::Good, one.remedy.is_none(), "what to do: {one:?}");
    }
}

#[test]
fn what_was_not_given_is_unknown_and_never_good() {
    let nothing = Given { exports: Vec::new(), commands: Vec::new(), complete: true, kind: None, asks_host: true };
    let short = examine(&nothing, false);
    assert_eq!(short.iter().map(|one| (one.check, one.verdict)).collect::<Vec<_>>(), [("host", Verdict::Unknown)]);
    let full = examine(&nothing, true);
    assert!(full.iter().all(|one| one.verdict == Verdict::Unknown && one.remedy.is_some()), "{full:?}");
    assert_eq!(full.len(), HAZARDS.len() + 1, "each once");
    // An export of nothing says as little, and so does one of which nobody says that it is all.
    let unsure = |given| Given { complete: false, ..given };
    let empty = examine(&unsure(export(&[], &[], &[])), false);
    assert!(empty.iter().skip(1).all(|one| one.verdict == Verdict::Unknown), "{empty:?}");
    let given = unsure(export(&[PLUGIN], &[LLM], &[APP]));
    for check in
        ["host.built_in_secrets", "host.two_auth_plugins", "host.pre_auth_chain", "host.several_llms", "host.app_one"]
    {
        expect(&given, check, Verdict::Unknown, "");
    }
}

#[test]
fn a_host_as_it_should_be_leaves_open_only_what_no_export_tells() {
    let found = examine(&export(&[PLUGIN], &[LLM], &[APP]), false);
    let open = found.iter().filter(|one| one.verdict != Verdict::Good).map(|one| one.check);
    assert_eq!(
        open.collect::<Vec<_>>(),
        ["host.open_route", "host.command_file", "host.embedded_gateway", "host.pushed"],
        "{found:?}"
    );
    assert!(found[0].text.contains("1 plugins, 1 LLMs, 1 Apps; judged: host.plugin, "), "{:?}", found[0]);
}

#[test]
fn secrets_of_the_hosts_own_are_a_problem_where_an_llm_takes_them() {
    let active = APP.replace("false", "true");
    expect(&export(&[PLUGIN], &[LLM], &[&active]), "host.built_in_secrets", Verdict::Warning, "7 (Shop)");
    let bare = r#"{"id":4,"vendor":"v","name":"Bare","plugins":[]}"#;
    expect(&export(&[PLUGIN], &[LLM, bare], &[&active]), "host.built_in_secrets", Verdict::Problem, "4 (Bare)");
    let idle = PLUGIN.replacen("\"is_active\":true", "\"is_active\":false", 1);
    let given = export(&[&idle], &[LLM], &[&active]);
    expect(&given, "host.built_in_secrets", Verdict::Problem, "3 (GPT)");
    expect(&given, "host.plugin", Verdict::Problem, "inactive");
    expect(&export(&[&PLUGIN.replace("\"pre_auth\",", "")], &[], &[]), "host.plugin", Verdict::Warning, "500");
    let unhooked = PLUGIN.replace("\"auth\",", "");
    expect(&export(&[&unhooked], &[], &[]), "host.plugin", Verdict::Problem, "no hook `auth`");
    let unsaid = r#"{"id":8,"credential_id":2}"#;
    expect(&export(&[], &[], &[APP, unsaid]), "host.built_in_secrets", Verdict::Unknown, "Apps 8");
}

#[test]
fn two_auth_plugins_on_an_llm() {
    let other = r#"{"id":6,"name":"Other","hook_type":"auth","is_active":true}"#;
    let both = LLM.replace(r#"[{"id":5}]"#, r#"[{"id":5},{"id":6}]"#);
    expect(
        &export(&[PLUGIN, other], &[&both], &[]),
        "host.two_auth_plugins",
        Verdict::Problem,
        "LLM 3 (GPT): plugins 5 (Latchkey), 6 (Other)",
    );
    let idle = other.replace("true", "false");
    expect(&export(&[PLUGIN, &idle], &[&both], &[]), "host.two_auth_plugins", Verdict::Good, "");
    expect(&export(&[PLUGIN], &[&both], &[]), "host.two_auth_plugins", Verdict::Unknown, "");
    let unlinked = LLM.replace(r#","plugins":[{"id":5}]"#, "");
    expect(&export(&[PLUGIN], &[&unlinked], &[]), "host.two_auth_plugins", Verdict::Unknown, "");
    let chain = other.replace("\"auth\"", "\"pre_auth\"");
    expect(
        &export(&[PLUGIN, &chain], &[&both], &[]),
        "host.pre_auth_chain",
        Verdict::Warning,
        "plugins 5 (Latchkey), 6 (Other)",
    );
    expect(&export(&[PLUGIN, &chain], &[&both], &[]), "host.two_auth_plugins", Verdict::Good, "");
}

#[test]
fn a_plugin_on_two_llms() {
    let second = LLM.replacen("\"id\":3", "\"id\":4", 1);
    let given = export(&[PLUGIN], &[LLM, &second], &[]);
    expect(&given, "host.several_llms", Verdict::Warning, "5 (Latchkey)");
    let alone = Given { kind: Some(HostKind::Standalone), ..given };
    assert!(of(&examine(&alone, true), "host.several_llms").is_empty(), "nothing is synced without a Studio");
}

#[test]
fn an_app_one_is_named_and_ids_that_are_none() {
    let one = APP.replacen('7', "1", 1);
    expect(&export(&[], &[], &[&one]), "host.app_one", Verdict::Warning, "1 (Shop)");
    expect(&export(&[], &[], &[r#"{"id":"shop"}"#]), "host.app_one", Verdict::Problem, "shop");
    let page = r#"{"data":[{"type":"apps","id":"7","attributes":{"credential_id":0}}],"meta":{"total_count":2}}"#;
    let given = Given { exports: vec![("x".to_owned(), page.into())], ..export(&[], &[], &[]) };
    expect(&given, "host.app_one", Verdict::Unknown, "App 1");
    expect(&given, "host.built_in_secrets", Verdict::Unknown, "");
}

#[test]
fn scopes_are_there_and_approved_where_the_host_is_asked() {
    let lacking = PLUGIN.replace("apps.read", "llms.read");
    expect(&export(&[&lacking], &[], &[]), "host.scopes", Verdict::Problem, "apps.read");
    let asks_nothing = Given { asks_host: false, ..export(&[&lacking], &[], &[]) };
    expect(&asks_nothing, "host.scopes", Verdict::Good, "store");
    let waiting = PLUGIN.replace("\"service_access_authorized\":true", "\"service_access_authorized\":false");
    expect(&export(&[&waiting], &[], &[]), "host.scopes", Verdict::Warning, "not approved");
    let unsaid = r#"{"id":5,"name":"latchkey","hook_type":"auth"}"#;
    expect(&export(&[unsaid], &[], &[]), "host.scopes", Verdict::Unknown, "");
    expect(&export(&[unsaid], &[], &[]), "host.studio_start", Verdict::Warning, "never started");
}

#[test]
fn a_gateway_without_a_studio_needs_the_store() {
    let unsaid = r#"{"id":5,"name":"latchkey","hook_type":"auth"}"#;
    let given = |kind, asks_host| Given { kind, asks_host, ..export(&[unsaid], &[], &[]) };
    for (kind, asks_host, verdict) in [
        (Some(HostKind::Standalone), true, Verdict::Problem),
        (Some(HostKind::Standalone), false, Verdict::Good),
        (Some(HostKind::Hub), true, Verdict::Good),
        (Some(HostKind::Hub), false, Verdict::Warning),
        (None, true, Verdict::Warning),
        (None, false, Verdict::Unknown),
    ] {
        expect(&given(kind, asks_host), "host.directory_source", verdict, "directory.source");
    }
}

#[test]
fn commands_are_judged_by_both_hosts_unless_there_is_one() {
    let given = |kind| Given { commands: vec!["grpc://127.0.0.1:7443".to_owned()], kind, ..export(&[], &[], &[]) };
    expect(&given(None), "host.command_studio", Verdict::Problem, "Studio refuses");
    expect(&given(None), "host.command_gateway", Verdict::Good, "");
    assert!(of(&examine(&given(Some(HostKind::Standalone)), false), "host.command_studio").is_empty());
    expect(&export(&[PLUGIN], &[], &[]), "host.command_gateway", Verdict::Good, "plugins/latchkey");
}

#[test]
fn what_is_no_json_is_a_problem_that_quotes_nothing() {
    let given = Given { exports: vec![("x.json".to_owned(), b"{\"a\": CANARY".to_vec())], ..export(&[], &[], &[]) };
    expect(&given, "host.export", Verdict::Problem, "x.json: no JSON, at line 1");
    assert!(!format!("{:?}", examine(&given, true)).contains("CANARY"));
    let strange = Given { exports: vec![("x".to_owned(), b"[{\"id\":1}]".to_vec())], ..given };
    expect(&strange, "host.export", Verdict::Warning, "1 objects are none of these");
}
