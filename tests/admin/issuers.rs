//! Issuers over the RPC: who may give which keys, what is refused and how, and what takes one back.

use latchkey::pb::admin::v1 as pb;
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::desk::{ACME, AdminServer, OTHER_TENANT, operator, store};
use crate::hostile_http::{Hostile, Step};
use crate::support::{run, sleep_ms};
use crate::table::{issuer, new_issuer};

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

fn create(issuer: pb::Issuer) -> pb::CreateIssuerRequest {
    pb::CreateIssuerRequest { issuer: Some(issuer), ..Default::default() }
}

#[test]
fn r16_an_owner_of_a_tenant_gives_no_keys_and_takes_no_audience_of_another() {
    run(60, async {
        let store = store();
        let bound = operator(&store, "of globex", "owner", &[OTHER_TENANT]);
        issuer(&store, "gateway");
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(Some(&bound)).await;
        let pasted = new_issuer(OTHER_TENANT, "theirs");
        let with_url =
            pb::Issuer { jwks: String::new(), jwks_url: "https://id.example/keys".to_owned(), ..pasted.clone() };
        let waivers = vec![pb::Waiver { rule: "key_shared".to_owned(), ..Default::default() }];
        for wrong in [pasted.clone(), with_url] {
            let status = rpc.create_issuer(create(wrong)).await.unwrap_err();
            assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "FORBIDDEN"), "{status:?}");
        }
        let discover = |issuer: pb::Issuer| pb::CreateIssuerRequest { discover: true, ..create(issuer) };
        let own = pb::Issuer { jwks: String::new(), iss: "https://own.example".to_owned(), ..pasted.clone() };
        let waived = pb::Issuer { waivers, ..own.clone() };
        assert!(rpc.create_issuer(discover(waived)).await.is_err());
        let shared =
            rpc.create_issuer(discover(pb::Issuer { jwks: String::new(), ..pasted.clone() })).await.unwrap_err();
        // Another tenant has it, which is told like a provider that is not there.
        let own = rpc.create_issuer(discover(own)).await.unwrap_err();
        assert_eq!(reason(&own), "ISSUER_KEYS");
        assert_eq!(format!("{shared:?}").replace("id.example", ""), format!("{own:?}").replace("own.example", ""));
        let mut owner = server.rpc(None).await;
        let taken = owner.create_issuer(create(new_issuer(OTHER_TENANT, "gateway"))).await.unwrap_err();
        assert_eq!(taken.code(), Code::AlreadyExists);
        assert!(!format!("{taken:?} {:?}", taken.get_error_details()).contains(ACME), "{taken:?}");
        let made = owner.create_issuer(create(pasted.clone())).await.unwrap().into_inner().issuer.unwrap();
        assert_eq!((made.status.as_str(), made.key_source.as_str()), ("active", "jwks"));
        let keys = pb::Issuer { issuer_id: made.issuer_id, ..pasted };
        let request = pb::UpdateIssuerRequest {
            issuer: Some(keys),
            update_mask: Some(FieldMask { paths: vec!["jwks".to_owned()] }),
            ..Default::default()
        };
        assert_eq!(rpc.update_issuer(request).await.unwrap_err().code(), Code::PermissionDenied);
    });
}

#[test]
fn what_the_linter_refuses_has_a_violation_for_each_rule() {
    run(60, async {
        let store = store();
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(None).await;
        let mut draft = new_issuer(ACME, "gateway");
        draft.leeway_seconds = Some(61);
        draft.algorithms.push("HS256".to_owned());
        let status = rpc.create_issuer(create(draft)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ISSUER_POLICY"));
        let details = status.get_error_details();
        let told: Vec<_> =
            details.precondition_failure().unwrap().violations.iter().map(|one| one.r#type.as_str()).collect();
        assert_eq!(told, ["hmac_mixed", "leeway"]);
        for (wrong, field) in [
            (pb::Issuer { algorithms: vec!["none".to_owned()], ..new_issuer(ACME, "x") }, "algorithms"),
            (pb::Issuer { jwks_url: "https://id.example".to_owned(), ..new_issuer(ACME, "x") }, "jwks_url"),
            (pb::Issuer { jwks: String::new(), ..new_issuer(ACME, "x") }, "jwks_url"),
            (pb::Issuer { iss: "a\nb".to_owned(), ..new_issuer(ACME, "x") }, "iss"),
            (pb::Issuer { scope_claim: "a..b".to_owned(), ..new_issuer(ACME, "x") }, "scope_claim"),
        ] {
            let status = rpc.create_issuer(create(wrong)).await.unwrap_err();
            let violations = status.get_error_details().bad_request().unwrap().field_violations.clone();
            assert_eq!(violations[0].field, field, "{status:?}");
        }
        let request = pb::CreateIssuerRequest { request_id: "r-1".to_owned(), ..create(new_issuer(ACME, "once")) };
        let first = rpc.create_issuer(request.clone()).await.unwrap().into_inner();
        let again = rpc.create_issuer(request).await.unwrap().into_inner();
        let ids = [&first, &again].map(|made| made.issuer.as_ref().unwrap().issuer_id.clone());
        assert!(ids[0] == ids[1] && !first.replayed && again.replayed);
    });
}

#[test]
fn r11_an_issuer_that_cannot_be_taken_back_in_time_is_told_as_not_done() {
    run(90, async {
        let store = store();
        let [removed, off] = ["removed", "off"].map(|audience| issuer(&store, audience));
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(None).await;
        let held = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
        held.execute_batch("BEGIN IMMEDIATE").unwrap();
        let tenant = || ACME.to_owned();
        let delete = pb::DeleteIssuerRequest { tenant: tenant(), issuer_id: removed.clone(), ..Default::default() };
        let told = |status: Status| (status.code(), reason(&status));
        let expected = (Code::Unavailable, "DENIED_HERE_NOT_DURABLE".to_owned());
        assert_eq!(told(rpc.delete_issuer(delete).await.unwrap_err()), expected);
        let issuer = Some(pb::Issuer { tenant: tenant(), issuer_id: off.clone(), active: false, ..Default::default() });
        let update_mask = Some(FieldMask { paths: vec!["active".to_owned()] });
        let update = pb::UpdateIssuerRequest { issuer, update_mask, ..Default::default() };
        assert_eq!(told(rpc.update_issuer(update).await.unwrap_err()), expected);
        drop(held);
        let start = std::time::Instant::now();
        loop {
            let request = pb::ListIssuersRequest { tenant: tenant(), ..Default::default() };
            let left = rpc.list_issuers(request).await.unwrap().into_inner().issuers;
            if left.len() == 1 && left[0].issuer_id == off && left[0].status == "inactive" {
                break;
            }
            assert!(start.elapsed().as_secs() < 20, "never committed: {left:?}");
            sleep_ms(200).await;
        }
    });
}

#[test]
fn r12_a_tenant_whose_provider_hangs_keeps_no_others_admins_waiting() {
    run(60, async {
        let store = store();
        let bound = operator(&store, "of globex", "owner", &[OTHER_TENANT]);
        let provider = Hostile::always(None, vec![Step::Hang]).await;
        let mut command = store.command(&[]);
        command.env("LATCHKEY_JWKS__ALLOW_LOOPBACK_HTTP", "true");
        let server = AdminServer::of(command, &store, &[]);
        let iss = format!("http://{}", provider.address);
        let draft = pb::Issuer { jwks: String::new(), iss, ..new_issuer(OTHER_TENANT, "theirs") };
        let request = pb::CreateIssuerRequest { discover: true, ..create(draft) };
        let mut hanging = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (mut rpc, request) = (server.rpc(Some(&bound)).await, request.clone());
            hanging.spawn(async move { rpc.create_issuer(request).await.unwrap_err() });
        }
        sleep_ms(300).await;
        let (mut owner, start) = (server.rpc(None).await, std::time::Instant::now());
        owner.list_issuers(pb::ListIssuersRequest { tenant: ACME.to_owned(), ..Default::default() }).await.unwrap();
        assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
        let ended = hanging.join_all().await;
        let busy = ended.iter().filter(|status| reason(status) == "BUSY").count();
        let unreachable = ended.iter().filter(|status| reason(status) == "ISSUER_KEYS").count();
        assert_eq!((busy, unreachable, provider.connections()), (18, 2, 2));
    });
}

#[test]
fn issuers_come_in_pages_of_one_listing() {
    run(60, async {
        let store = store();
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(None).await;
        for n in 0..5 {
            rpc.create_issuer(create(new_issuer(ACME, &format!("a{n}")))).await.unwrap();
        }
        let (mut audiences, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let request = pb::ListIssuersRequest { tenant: ACME.to_owned(), page_size: 2, page_token };
            let page = rpc.list_issuers(request).await.unwrap().into_inner();
            audiences.extend(page.issuers.into_iter().flat_map(|issuer| issuer.audiences));
            (page_token, pages) = (page.next_page_token, pages + 1);
            if page_token.is_empty() {
                break;
            }
            let elsewhere = pb::ListIssuersRequest {
                tenant: OTHER_TENANT.to_owned(),
                page_token: page_token.clone(),
                ..Default::default()
            };
            assert_eq!(rpc.list_issuers(elsewhere).await.unwrap_err().code(), Code::InvalidArgument);
        }
        audiences.sort_unstable();
        assert_eq!((audiences, pages), (["a0", "a1", "a2", "a3", "a4"].map(str::to_owned).to_vec(), 3));
    });
}
