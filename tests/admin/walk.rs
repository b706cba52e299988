//! Every method of the descriptor with no, foreign, too little and enough authority; every id with ids of another tenant.
//! A method that is not in the table fails the test.

use latchkey::pb::admin::v1 as pb;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::desk::{ACME, AdminServer, OTHER_TENANT, operator, store};
use crate::raw;
use crate::support::{APP, USER, run};
use crate::table::{Needs, TABLE, World};
use Needs::{Issuer, Owner, Reader, UnboundIssuer, UnboundOwner, UnboundReader};

/// Of no tenant, so that there is nothing foreign about it.
const OF_NO_TENANT: &[&str] = &["GetHealth", "GetCaller", "ListTenants", "ListOperators", "GetAuditPublicKey"];

/// Roles with their tenants, each with a token: what the least of them that suffices is, follows from [`Needs`].
fn suffices(needs: Needs, role: &str, bound: bool) -> bool {
    let rank = ["auditor", "issuer", "owner"].iter().position(|r| *r == role).unwrap();
    let (least, unbound) = match needs {
        Reader => (0, false),
        UnboundReader => (0, true),
        Issuer => (1, false),
        UnboundIssuer => (1, true),
        Owner => (2, false),
        UnboundOwner => (2, true),
    };
    rank >= least && (!unbound || !bound)
}

#[test]
fn f1_every_method_is_in_the_table() {
    let mut named: Vec<&str> = TABLE.iter().map(|(name, ..)| *name).collect();
    let mut all = raw::methods();
    named.sort_unstable();
    all.sort_unstable();
    assert_eq!(named, all);
}

#[test]
fn f1_every_method_refuses_no_and_too_little_authority_and_takes_enough() {
    run(120, async {
        let store = store();
        let tokens: Vec<(&str, bool, String)> = ["auditor", "issuer", "owner"]
            .into_iter()
            .flat_map(|role| [(role, false), (role, true)])
            .map(|(role, bound)| {
                let name = format!("{role} {bound}");
                (role, bound, operator(&store, &name, role, if bound { &[ACME] } else { &[] }))
            })
            .collect();
        operator(&store, "reader of acme", "auditor", &[ACME]);
        operator(&store, "to be revoked", "auditor", &[]);
        let gone = operator(&store, "gone", "owner", &[]);
        store.ok(&["operator", "revoke", "gone"]);
        let gateways = store.issue(APP, USER);
        let server = AdminServer::start(&store, &[]);
        let channel = server.channel().await;
        let mut world = World { key: store.issue(APP, USER), number: 0 };
        let other_secret = crate::support::store::sealed(&format!("{}{}", &tokens[5].2[..28], "x".repeat(43)));
        for (method, needs, message) in TABLE {
            // Nobody, however they come.
            for nobody in ["junk", "", &gone, &gateways.text, &other_secret, &tokens[5].2[1..]] {
                let refused = raw::call(&channel, method, Some(nobody), message(&world)).await;
                let status = refused.err().unwrap_or_else(|| panic!("{method}: let {nobody:?} in"));
                assert_eq!(status.code(), Code::Unauthenticated, "{method} {nobody:?}: {status:?}");
                assert_eq!(status.message(), "the caller could not be identified");
            }
            for (role, bound, token) in &tokens {
                world.number += 1;
                if matches!(*method, "RotateCredential" | "RevokeCredential") {
                    world.key = store.issue(APP, USER);
                }
                if *method == "DeleteApp" {
                    let _ = store.run(&["app", "add", "--tenant", ACME, "--id", "12", "--name", "New"]);
                }
                if *method == "DeleteUser" {
                    let _ = store.run(&["user", "add", "--tenant", ACME, "--id", "10", "--email", "b@acme.example"]);
                }
                let done = raw::call(&channel, method, Some(token), message(&world)).await;
                let code = done.as_ref().err().map_or(Code::Ok, Status::code);
                if suffices(*needs, role, *bound) {
                    // Nothing so old was signed.
                    let fine = code == Code::Ok || (*method == "PruneAuditTrail" && code == Code::InvalidArgument);
                    assert!(fine, "{method} by {role}, bound {bound}: {done:?}");
                } else {
                    assert_eq!(code, Code::PermissionDenied, "{method} by {role}, bound {bound}: {done:?}");
                }
                if matches!(*method, "SuspendTenant") {
                    store.ok(&["tenant", "resume", ACME]);
                }
            }
        }
        store.canaries.assert_absent("the log", server.log().as_bytes());
    });
}

#[test]
fn f1_every_method_keeps_another_tenants_things_to_itself() {
    run(120, async {
        let store = store();
        let world = World { key: store.issue(APP, USER), number: 7 };
        operator(&store, "reader of acme", "auditor", &[ACME]);
        let foreign = operator(&store, "of globex", "owner", &[OTHER_TENANT]);
        let server = AdminServer::start(&store, &[]);
        let channel = server.channel().await;
        let head = || store.ok(&["audit", "list", "--limit", "100000", "--output", "json"]).lines().count();
        let before = head();
        for (method, needs, message) in TABLE {
            let done = raw::call(&channel, method, Some(&foreign), message(&world)).await;
            if OF_NO_TENANT.contains(method) {
                let answer = done.unwrap_or_else(|status| panic!("{method}: {status:?}"));
                let seen = String::from_utf8_lossy(&answer);
                assert!(!seen.contains(ACME) && !seen.contains("owner\""), "{method}: {seen}");
                continue;
            }
            let status = done.err().unwrap_or_else(|| panic!("{method}: answered"));
            let expected = if suffices(*needs, "owner", true) { Code::NotFound } else { Code::PermissionDenied };
            assert_eq!(status.code(), expected, "{method}: {status:?}");
        }
        assert_eq!(head(), before, "nothing was done");
        assert!(store.ok(&["key", "show", &world.key.id]).contains("active"));
    });
}

/// What a status says, with the id that was asked for taken out.
fn without(status: &Status, id: &str) -> (Code, String) {
    let told = format!("{} | {:?}", status.message(), status.get_error_details());
    let words = [format!(" {id} "), format!("\"{id}\""), format!(" {id}\"")];
    (status.code(), words.iter().fold(told, |told, word| told.replace(word.as_str(), " ID ")))
}

#[test]
fn f1_every_id_of_another_tenant_reads_as_one_that_is_not_there() {
    use pb::explain_credential_request::Which;
    type Ask = fn(&str) -> Vec<u8>;
    type ByNumber = fn(u32) -> Vec<u8>;
    /// Methods with an id, and what stands in the place of one that exists in the other tenant and one that does not.
    const BY_CREDENTIAL: &[(&str, Ask)] = &[
        ("GetCredential", |id| pb::GetCredentialRequest { credential_id: id.to_owned() }.encode_to_vec()),
        ("UpdateCredential", |id| {
            let credential =
                pb::Credential { credential_id: id.to_owned(), label: "l".to_owned(), ..Default::default() };
            pb::UpdateCredentialRequest { credential: Some(credential), ..Default::default() }.encode_to_vec()
        }),
        ("RotateCredential", |id| {
            pb::RotateCredentialRequest { credential_id: id.to_owned(), ..Default::default() }.encode_to_vec()
        }),
        ("RevokeCredential", |id| {
            pb::RevokeCredentialRequest { credential_id: id.to_owned(), ..Default::default() }.encode_to_vec()
        }),
        ("ExplainCredential", |id| {
            let which = Some(Which::CredentialId(id.to_owned()));
            pb::ExplainCredentialRequest { which, request: None }.encode_to_vec()
        }),
        ("GetOperator", |id| pb::GetOperatorRequest { operator: id.to_owned() }.encode_to_vec()),
    ];
    const BY_TENANT: &[(&str, Ask)] = &[
        ("GetTenant", |t| pb::GetTenantRequest { tenant: t.to_owned() }.encode_to_vec()),
        ("ListApps", |t| pb::ListAppsRequest { tenant: t.to_owned(), ..Default::default() }.encode_to_vec()),
        ("ListUsers", |t| pb::ListUsersRequest { tenant: t.to_owned(), ..Default::default() }.encode_to_vec()),
        ("ListCredentials", |t| {
            pb::ListCredentialsRequest { tenant: t.to_owned(), ..Default::default() }.encode_to_vec()
        }),
        ("GetApp", |t| pb::GetAppRequest { tenant: t.to_owned(), app_id: 7 }.encode_to_vec()),
        ("GetUser", |t| pb::GetUserRequest { tenant: t.to_owned(), user_id: 9 }.encode_to_vec()),
        ("UpdateApp", |t| {
            let app = pb::App { tenant: t.to_owned(), app_id: 7, name: "x".to_owned(), ..Default::default() };
            pb::UpdateAppRequest { app: Some(app), ..Default::default() }.encode_to_vec()
        }),
        ("UpdateUser", |t| {
            let user = pb::User { tenant: t.to_owned(), user_id: 9, name: "x".to_owned(), ..Default::default() };
            pb::UpdateUserRequest { user: Some(user), ..Default::default() }.encode_to_vec()
        }),
        ("IssueCredential", |t| {
            let credential = pb::Credential { tenant: t.to_owned(), app_id: 7, user_id: 9, ..Default::default() };
            pb::IssueCredentialRequest { credential: Some(credential), ..Default::default() }.encode_to_vec()
        }),
        ("ListAuditEvents", |t| {
            let filter = Some(pb::AuditFilter { tenant: t.to_owned(), ..Default::default() });
            pb::ListAuditEventsRequest { filter, ..Default::default() }.encode_to_vec()
        }),
    ];
    const BY_NUMBER: &[(&str, ByNumber)] = &[
        ("GetApp", |n| pb::GetAppRequest { tenant: OTHER_TENANT.to_owned(), app_id: n }.encode_to_vec()),
        ("GetUser", |n| pb::GetUserRequest { tenant: OTHER_TENANT.to_owned(), user_id: n }.encode_to_vec()),
        ("IssueCredential", |n| {
            let credential =
                pb::Credential { tenant: OTHER_TENANT.to_owned(), app_id: n, user_id: 22, ..Default::default() };
            pb::IssueCredentialRequest { credential: Some(credential), ..Default::default() }.encode_to_vec()
        }),
        ("IssueCredential", |n| {
            let credential =
                pb::Credential { tenant: OTHER_TENANT.to_owned(), app_id: 21, user_id: n, ..Default::default() };
            pb::IssueCredentialRequest { credential: Some(credential), ..Default::default() }.encode_to_vec()
        }),
        ("UpdateApp", |n| {
            // Nobody of another tenant manages its keys.
            let app = pb::App { tenant: OTHER_TENANT.to_owned(), app_id: 21, owner_user_id: n, ..Default::default() };
            pb::UpdateAppRequest { app: Some(app), ..Default::default() }.encode_to_vec()
        }),
    ];
    run(60, async {
        let store = store();
        let key = store.issue(APP, USER);
        let acmes = operator(&store, "of acme", "auditor", &[ACME]);
        let acmes_id = &acmes[5..27];
        let token = operator(&store, "of globex", "owner", &[OTHER_TENANT]);
        let server = AdminServer::start(&store, &[]);
        let channel = server.channel().await;
        let refusal =
            async |method: &str, message: Vec<u8>| match raw::call(&channel, method, Some(&token), message).await {
                Err(status) => status,
                Ok(_) => panic!("{method}: answered"),
            };
        for (method, ask) in BY_CREDENTIAL {
            let (foreign, absent) =
                (if *method == "GetOperator" { acmes_id } else { &key.id }, "0000000000000000000001");
            let [there, not] = [refusal(method, ask(foreign)).await, refusal(method, ask(absent)).await];
            assert_eq!(there.code(), Code::NotFound, "{method}: {there:?}");
            assert_eq!(without(&there, foreign), without(&not, absent), "{method}");
        }
        for (method, ask) in BY_TENANT {
            let [there, not] = [refusal(method, ask(ACME)).await, refusal(method, ask("nope")).await];
            assert_eq!(there.code(), Code::NotFound, "{method}: {there:?}");
            assert_eq!(without(&there, ACME), without(&not, "nope"), "{method}");
        }
        for (method, ask) in BY_NUMBER {
            let [there, not] = [refusal(method, ask(APP)).await, refusal(method, ask(5)).await];
            assert_eq!(there.code(), Code::NotFound, "{method}: {there:?}");
            assert_eq!(without(&there, "7"), without(&not, "5"), "{method}");
        }
        // A page of one tenant goes on in no other.
        let mut owner = server.rpc(None).await;
        let request = pb::ListAppsRequest { tenant: ACME.to_owned(), page_size: 1, ..Default::default() };
        let page_token = owner.list_apps(request).await.unwrap().into_inner().next_page_token;
        assert!(!page_token.is_empty());
        let request = pb::ListAppsRequest { tenant: OTHER_TENANT.to_owned(), page_token, ..Default::default() };
        let status = refusal("ListApps", request.encode_to_vec()).await;
        assert_eq!(status.code(), Code::InvalidArgument);
        // By its text a key of another tenant is none, right or wrong.
        for text in [key.text.clone(), key.forged(&"x".repeat(43)), key.under_id("0000000000000000000001")] {
            let message = pb::ExplainCredentialRequest { which: Some(Which::Credential(text)), request: None };
            let status = refusal("ExplainCredential", message.encode_to_vec()).await;
            assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no credential as presented"));
        }
    });
}
