//! Every method of the descriptor with no, foreign, too little and enough authority. A method that is not in the table
//! fails the test.

use tonic::{Code, Status};

use crate::desk::{ACME, AdminServer, OTHER_TENANT, operator, store};
use crate::raw;
use crate::support::{APP, USER, run};
use crate::table::{Needs, TABLE, World, issuer, link, token};
use Needs::{Issuer, Owner, Reader, UnboundIssuer, UnboundOwner, UnboundReader};

/// Of no tenant, so that there is nothing foreign about it.
const OF_NO_TENANT: &[&str] =
    &["GetHealth", "GetCaller", "ListTenants", "ListOperators", "GetAuditPublicKey", "ListSigningKeys"];

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
        let key = store.issue(APP, USER);
        let of_key = token(&store, &key);
        let (link_id, issuer_id) = (link(&store, "first"), issuer(&store, "first"));
        let mut world = World { key, link: link_id, issuer: issuer_id, token: of_key, number: 0 };
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
                if matches!(*method, "RotateCredential" | "RevokeCredential" | "IssueToken") {
                    world.key = store.issue(APP, USER);
                }
                if matches!(*method, "InspectToken" | "RevokeToken") {
                    world.token = crate::table::token(&store, &world.key);
                }
                if *method == "DeleteLink" {
                    world.link = link(&store, &format!("number-{}", world.number));
                }
                if *method == "DeleteIssuer" {
                    world.issuer = issuer(&store, &format!("number-{}", world.number));
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
        let key = store.issue(APP, USER);
        let token = token(&store, &key);
        let world = World { key, link: link(&store, "first"), issuer: issuer(&store, "first"), token, number: 7 };
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
