use super::*;
use crate::authenticate::testing::World;
use crate::domain::TenantStatus;
use crate::store::Store as _;

fn found() -> (Credential, LinkedRows) {
    let world = World::new();
    let (id, _) = world.issue(|_| {});
    let row = world.store.credentials().look_up(id).unwrap().row.unwrap();
    let linked = world.store.credentials().linked(row.tenant, row.app, row.user).unwrap().row;
    (row, linked)
}

#[test]
fn each_condition_counts_against_the_claim_that_it_is_of_whatever_else_is_wrong() {
    type Spoil = fn(&mut LinkedRows);
    const APPS: &[(Option<Reason>, Spoil)] = &[
        (None, |_| {}),
        (Some(Reason::AppUnknown), |rows| rows.app = None),
        (Some(Reason::AppInactive), |rows| rows.app.as_mut().unwrap().active = false),
        (Some(Reason::AppUnknown), |rows| {
            rows.app.as_mut().unwrap().tenant = crate::domain::TenantId::from_bytes([9; 16]);
        }),
    ];
    const USERS: &[(Option<Reason>, Spoil)] = &[
        (None, |_| {}),
        (Some(Reason::UserUnknown), |rows| rows.user = None),
        (Some(Reason::UserInactive), |rows| rows.user.as_mut().unwrap().active = false),
        (Some(Reason::UserUnknown), |rows| rows.user.as_mut().unwrap().id = crate::domain::UserId::new(77).unwrap()),
        (Some(Reason::UserUnknown), |rows| {
            rows.user.as_mut().unwrap().tenant = crate::domain::TenantId::from_bytes([9; 16]);
        }),
    ];
    for (app, spoil_app) in APPS {
        for (user, spoil_user) in USERS {
            let (row, mut rows) = found();
            spoil_app(&mut rows);
            spoil_user(&mut rows);
            assert_eq!(links(&row, &rows), Links { app: *app, user: *user, suspended: false });
        }
    }
    let (row, mut rows) = found();
    // What depends on a request is not asked about.
    rows.tenant.as_mut().unwrap().namespaces = vec!["eu".to_owned()];
    assert_eq!(links(&row, &rows), Links::default());
    rows.tenant.as_mut().unwrap().status = TenantStatus::Suspended;
    assert!(links(&row, &rows).suspended);
    rows.tenant = None;
    let unknown = Some(Reason::TenantUnknown);
    assert_eq!(links(&row, &rows), Links { app: unknown, user: unknown, suspended: false });
}

#[test]
fn grants_are_known_by_a_list_or_by_tenant_and_machine() {
    use LlmGrants::{Required, Unchecked};
    let (_, rows) = found();
    let (mut app, mut tenant) = (rows.app.unwrap(), rows.tenant.unwrap());
    assert_eq!(llms(&app, &tenant, Required), None);
    app.llms.clear();
    for (of_tenant, local, known) in [
        (Required, Required, false),
        (Unchecked, Required, false),
        (Required, Unchecked, false),
        (Unchecked, Unchecked, true),
    ] {
        tenant.llm_grants = of_tenant;
        assert_eq!(llms(&app, &tenant, local).is_none(), known, "{of_tenant:?} {local:?}");
    }
}
