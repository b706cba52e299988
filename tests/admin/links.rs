//! Links over the RPC: made once, found by their subject, and the subject is nowhere.

use latchkey::pb::admin::v1 as pb;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::desk::{ACME, AdminServer, Rpc, operator, store};
use crate::support::{APP, USER, run, sleep_ms};
use crate::table::link;

const ISSUER: &str = "https://id.example/realms/acme";

fn new(subject: &str, request_id: &str) -> pb::CreateLinkRequest {
    let (tenant, issuer) = (ACME.to_owned(), ISSUER.to_owned());
    let link = Some(pb::Link { tenant, issuer, app_id: APP, user_id: USER, ..Default::default() });
    pb::CreateLinkRequest { link, subject: subject.to_owned(), request_id: request_id.to_owned() }
}

async fn found(rpc: &mut Rpc, issuer: &str, subject: &str) -> Vec<pb::Link> {
    let (tenant, issuer, subject) = (ACME.to_owned(), issuer.to_owned(), subject.to_owned());
    let request = pb::ListLinksRequest { tenant, issuer, subject, ..Default::default() };
    rpc.list_links(request).await.unwrap().into_inner().links
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

#[test]
fn r5_a_subject_is_in_no_answer_log_file_or_event() {
    run(60, async {
        let store = store();
        let subject = store.canaries.make("a subject", 40);
        let token = operator(&store, "issuer", "issuer", &[ACME]);
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(Some(&token)).await;
        let made = rpc.create_link(new(&subject, "r-1")).await.unwrap().into_inner();
        let made = (made.link.unwrap(), made.replayed);
        assert_eq!((made.0.status.as_str(), made.0.issuer.as_str(), made.1), ("active", ISSUER, false));
        let again = rpc.create_link(new(&subject, "r-1")).await.unwrap().into_inner();
        assert!(again.replayed && again.link.as_ref() == Some(&made.0));
        assert_eq!(found(&mut rpc, ISSUER, &subject).await, std::slice::from_ref(&made.0));
        assert_eq!(found(&mut rpc, ISSUER, "").await, std::slice::from_ref(&made.0));
        assert!(found(&mut rpc, "https://id.example", &subject).await.is_empty());
        let mut told = vec![format!("{made:?} {again:?}")];
        let mut stranger = new(&subject, "");
        stranger.link.as_mut().unwrap().app_id = 77;
        let far = format!("{subject}\n");
        let asked = [new(&subject, ""), new(&subject, "r-1 "), stranger, new(&far, "")];
        for asked in asked.into_iter().chain([new(&format!("{subject}x"), "r-1")]) {
            let status = rpc.create_link(asked).await.unwrap_err();
            told.push(format!("{status:?} {:?}", status.get_error_details()));
        }
        let reasons: Vec<bool> = ["ALREADY_EXISTS", "INVALID", "NOT_FOUND", "INVALID", "REQUEST_ID_REUSED"]
            .iter()
            .zip(told.iter().skip(1))
            .map(|(reason, told)| told.contains(reason))
            .collect();
        assert_eq!(reasons, [true; 5], "{told:?}");
        let of = |name: &str| store.ok(&["audit", "list", "--action", name, "--output", "json"]);
        let request =
            pb::DeleteLinkRequest { tenant: ACME.to_owned(), link_id: made.0.link_id.clone(), ..Default::default() };
        rpc.delete_link(request.clone()).await.unwrap();
        assert_eq!(reason(&rpc.delete_link(request).await.unwrap_err()), "NOT_FOUND");
        told.extend([of("link.added"), of("link.removed")]);
        assert!(told[6].contains(&made.0.link_id) && told[6].contains(ISSUER) && told[7].contains(&made.0.link_id));
        rpc.create_link(new(&subject, "r-2")).await.unwrap();
        store.canaries.assert_absent("answers and events", told.join("\n").as_bytes());
        store.canaries.assert_absent("the server's log", server.log().as_bytes());
        assert!(server.log().contains("create_link"), "it was searched");
        // While the store is open, its write-ahead log too, and when everybody has left it.
        assert!(store.canaries.assert_absent_below(&store.data) > 50_000);
        drop((rpc, server));
        assert!(store.canaries.assert_absent_below(&store.data) > 50_000);
    });
}

#[test]
fn r11_a_link_that_cannot_be_removed_in_time_is_told_as_not_done() {
    run(60, async {
        let store = store();
        let link_id = link(&store, "ann");
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(None).await;
        let held = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
        held.execute_batch("BEGIN IMMEDIATE").unwrap();
        let request = pb::DeleteLinkRequest { tenant: ACME.to_owned(), link_id: link_id.clone(), ..Default::default() };
        let status = rpc.delete_link(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "DENIED_HERE_NOT_DURABLE"));
        drop(held);
        let start = std::time::Instant::now();
        while store.ok(&["link", "list", "--tenant", ACME]).contains(&link_id) {
            assert!(start.elapsed().as_secs() < 20, "never committed");
            sleep_ms(200).await;
        }
    });
}

#[test]
fn links_come_in_pages_of_one_listing() {
    run(60, async {
        let store = store();
        let server = AdminServer::start(&store, &[]);
        let mut rpc = server.rpc(None).await;
        for n in 0..5 {
            rpc.create_link(new(&format!("s{n}"), "")).await.unwrap();
        }
        let (mut ids, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
        let first = loop {
            let (tenant, issuer) = (ACME.to_owned(), ISSUER.to_owned());
            let request = pb::ListLinksRequest { tenant, issuer, page_size: 2, page_token, ..Default::default() };
            let page = rpc.list_links(request).await.unwrap().into_inner();
            ids.extend(page.links.into_iter().map(|link| link.link_id));
            (page_token, pages) = (page.next_page_token, pages + 1);
            if pages == 1 {
                let request = pb::ListLinksRequest {
                    tenant: ACME.to_owned(),
                    page_token: page_token.clone(),
                    ..Default::default()
                };
                assert_eq!(
                    rpc.list_links(request).await.unwrap_err().code(),
                    Code::InvalidArgument,
                    "of another filter"
                );
            }
            if page_token.is_empty() {
                break ids.len();
            }
        };
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((first, ids.len(), pages), (5, 5, 3));
    });
}
