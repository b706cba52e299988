use super::*;
use crate::domain::{AppId, LlmId, UserId};

const ACME: TenantId = TenantId::from_bytes([1; 16]);

fn row() -> App {
    told(&App::blank(ACME, AppId::new(7).unwrap(), Generation(1)), &host())
}

fn host() -> HostApp {
    HostApp {
        id: AppId::new(7).unwrap(),
        name: "Shop".into(),
        description: "sells".into(),
        active: true,
        decides: true,
        owner_email: None,
        owner: UserId::new(9),
        monthly_budget: 9.5,
        rate_limit: None,
        llms: Some(vec![LlmId::new(4).unwrap(), LlmId::new(3).unwrap(), LlmId::new(4).unwrap()]),
        tools: Some(vec![1]),
        datasources: Some(vec![2]),
        namespace: Some("eu".into()),
        metadata: BTreeMap::new(),
    }
}

fn plan(kept: Kept<'_>, host: &HostApp, namespaces: &[(&str, TenantId)]) -> Option<HostChange> {
    let namespaces = namespaces.iter().map(|(name, tenant)| ((*name).to_owned(), *tenant)).collect();
    of_app(kept, host, &Rules { namespaces: &namespaces, generation: &|| Generation(99) })
}

fn updated(change: Option<HostChange>) -> App {
    match change {
        Some(HostChange::App { app, expected: Generation(1) }) if app.generation == Generation(99) => app,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_app_that_is_as_it_was_is_not_written() {
    assert!(plan(Kept::Claimed(&row()), &host(), &[]).is_none());
    let ids: Vec<u32> = row().llms.iter().map(|grant| grant.id.get()).collect();
    assert_eq!(ids, [3, 4], "in order, each once, as the store gives them back");
}

#[test]
fn v5_grants_are_the_hosts_and_slugs_are_kept() {
    let mut known = row();
    known.llms[0].slug = Some("gpt".into());
    assert!(plan(Kept::Claimed(&known), &host(), &[]).is_none(), "a slug that only the store knows is no difference");
    let fewer = HostApp { llms: Some(vec![LlmId::new(3).unwrap()]), ..host() };
    let app = updated(plan(Kept::Claimed(&known), &fewer, &[]));
    assert_eq!(app.llms, [LlmGrant { id: LlmId::new(3).unwrap(), slug: Some("gpt".into()) }]);
}

#[test]
fn v1_what_admins_switched_off_stays_off_and_what_the_host_switches_is_kept_apart() {
    let off = App { active: false, ..row() };
    assert!(plan(Kept::Claimed(&off), &host(), &[]).is_none());
    let app = updated(plan(Kept::Claimed(&row()), &HostApp { active: false, ..host() }, &[]));
    assert!(app.active && !app.host.active && !app.is_active());
    let back = App { generation: Generation(1), ..app };
    assert!(updated(plan(Kept::Claimed(&back), &host(), &[])).is_active());
}

#[test]
fn an_app_that_is_gone_is_refused_at_once_keeps_its_claim_and_comes_back() {
    let Some(HostChange::App { app, .. }) = of_gone(&row(), 5, Generation(2)) else { panic!("nothing") };
    assert_eq!(app.host, HostState { active: false, gone_at_ms: Some(5) });
    assert!(!app.is_active() && app.tenant == ACME && !app.llms.is_empty());
    assert!(of_gone(&app, 50, Generation(3)).is_none(), "since when it is gone does not change");
    let gone = App { generation: Generation(1), ..app };
    assert!(updated(plan(Kept::Claimed(&gone), &host(), &[])).is_active());
}

#[test]
fn r3_only_a_rule_for_its_namespace_gives_an_app_to_a_tenant() {
    let Some(HostChange::Unclaimed(listed)) = plan(Kept::Nothing, &host(), &[("us", ACME)]) else { panic!("claimed") };
    assert_eq!((listed.name.as_str(), listed.namespace.as_str(), listed.owner), ("Shop", "eu", UserId::new(9)));
    assert!(plan(Kept::Listed(&listed), &host(), &[]).is_none(), "listed once");
    let Some(HostChange::Claim(app)) = plan(Kept::Listed(&listed), &host(), &[("eu", ACME)]) else {
        panic!("no claim")
    };
    assert_eq!((app.tenant, app.name.as_str(), app.is_active()), (ACME, "Shop", true));
    // The empty namespace is everybody's: no rule can name it.
    let anywhere = HostApp { namespace: Some(String::new()), ..host() };
    assert!(matches!(plan(Kept::Nothing, &anywhere, &[("", ACME)]), Some(HostChange::Unclaimed(_))));
    // And what a tenant has is not taken from it by another's rule.
    assert!(plan(Kept::Claimed(&row()), &host(), &[("eu", TenantId::from_bytes([2; 16]))]).is_none());
}

#[test]
fn e2_the_hosts_text_is_tidied() {
    let odd = HostApp { name: format!("a\n\u{1b}[2J{}", "x".repeat(500)), ..host() };
    let app = updated(plan(Kept::Claimed(&row()), &odd, &[]));
    assert_eq!(app.name.chars().count(), 200);
    assert!(app.name.starts_with("a\u{fffd}\u{fffd}[2Jxx"));
    let again = App { generation: Generation(1), ..app };
    assert!(plan(Kept::Claimed(&again), &odd, &[]).is_none(), "and is then no difference");
}
