//! Every id with ids of another tenant: they read as what is not there.

use latchkey::pb::admin::v1 as pb;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::desk::{ACME, AdminServer, OTHER_TENANT, operator, store};
use crate::raw;
use crate::support::{APP, USER, run};
use crate::table::{issuer, link, token as token_of};

/// What a status says, with the id that was asked for taken out.
fn without(status: &Status, id: &str) -> (Code, String) {
    let told = format!("{} | {:?}", status.message(), status.get_error_details());
    let words = [format!(" {id} "), format!("\"{id}\""), format!(" {id}\"")];
    (status.code(), words.iter().fold(told, |told, word| told.replace(word.as_str(), " ID ")))
}

fn new_link(tenant: &str, app_id: u32, user_id: u32) -> Vec<u8> {
    let (tenant, issuer) = (tenant.to_owned(), "https://id.example".to_owned());
    let link = Some(pb::Link { tenant, issuer, app_id, user_id, ..Default::default() });
    pb::CreateLinkRequest { link, subject: "ann".to_owned(), request_id: String::new() }.encode_to_vec()
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
        ("IssueToken", |id| {
            pb::IssueTokenRequest { credential_id: id.to_owned(), ..Default::default() }.encode_to_vec()
        }),
        ("ListTokens", |id| {
            pb::ListTokensRequest { credential_id: id.to_owned(), ..Default::default() }.encode_to_vec()
        }),
        ("RevokeCredentialTokens", |id| {
            pb::RevokeCredentialTokensRequest { credential_id: id.to_owned(), ..Default::default() }.encode_to_vec()
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
        ("ListLinks", |t| pb::ListLinksRequest { tenant: t.to_owned(), ..Default::default() }.encode_to_vec()),
        ("CreateLink", |t| new_link(t, 7, 9)),
        ("ListIssuers", |t| pb::ListIssuersRequest { tenant: t.to_owned(), ..Default::default() }.encode_to_vec()),
        ("IssueCredential", |t| {
            let credential = pb::Credential { tenant: t.to_owned(), app_id: 7, user_id: 9, ..Default::default() };
            pb::IssueCredentialRequest { credential: Some(credential), ..Default::default() }.encode_to_vec()
        }),
        ("ListAuditEvents", |t| {
            let filter = Some(pb::AuditFilter { tenant: t.to_owned(), ..Default::default() });
            pb::ListAuditEventsRequest { filter, ..Default::default() }.encode_to_vec()
        }),
    ];
    const BY_LINK: &[(&str, Ask)] = &[
        ("GetLink", |id| {
            pb::GetLinkRequest { tenant: OTHER_TENANT.to_owned(), link_id: id.to_owned() }.encode_to_vec()
        }),
        ("DeleteLink", |id| {
            let (tenant, link_id) = (OTHER_TENANT.to_owned(), id.to_owned());
            pb::DeleteLinkRequest { tenant, link_id, ..Default::default() }.encode_to_vec()
        }),
    ];
    const BY_TOKEN: &[(&str, Ask)] = &[("RevokeToken", |id| {
        let which = Some(pb::revoke_token_request::Which::TokenId(id.to_owned()));
        pb::RevokeTokenRequest { which, ..Default::default() }.encode_to_vec()
    })];
    const BY_ISSUER: &[(&str, Ask)] = &[
        ("GetIssuer", |id| {
            pb::GetIssuerRequest { tenant: OTHER_TENANT.to_owned(), issuer_id: id.to_owned() }.encode_to_vec()
        }),
        ("UpdateIssuer", |id| {
            let (tenant, issuer_id) = (OTHER_TENANT.to_owned(), id.to_owned());
            let issuer = Some(pb::Issuer { tenant, issuer_id, strict: true, ..Default::default() });
            pb::UpdateIssuerRequest { issuer, ..Default::default() }.encode_to_vec()
        }),
        ("CheckIssuer", |id| {
            pb::CheckIssuerRequest { tenant: OTHER_TENANT.to_owned(), issuer_id: id.to_owned() }.encode_to_vec()
        }),
        ("DeleteIssuer", |id| {
            let (tenant, issuer_id) = (OTHER_TENANT.to_owned(), id.to_owned());
            pb::DeleteIssuerRequest { tenant, issuer_id, ..Default::default() }.encode_to_vec()
        }),
    ];
    const BY_NUMBER: &[(&str, ByNumber)] = &[
        ("GetApp", |n| pb::GetAppRequest { tenant: OTHER_TENANT.to_owned(), app_id: n }.encode_to_vec()),
        ("GetUser", |n| pb::GetUserRequest { tenant: OTHER_TENANT.to_owned(), user_id: n }.encode_to_vec()),
        ("CreateLink", |n| new_link(OTHER_TENANT, n, 22)),
        ("CreateLink", |n| new_link(OTHER_TENANT, 21, n)),
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
        for (theirs, methods) in [(link(&store, "of-acme"), BY_LINK), (issuer(&store, "of-acme"), BY_ISSUER)] {
            for (method, ask) in methods {
                let absent = "0000000000000000000001";
                let [there, not] = [refusal(method, ask(&theirs)).await, refusal(method, ask(absent)).await];
                assert_eq!(there.code(), Code::NotFound, "{method}: {there:?}");
                assert_eq!(without(&there, &theirs), without(&not, absent), "{method}");
            }
        }
        let of_key = token_of(&store, &key);
        for (method, ask) in BY_TOKEN {
            let absent = "0000000000000000000001";
            let [there, not] = [refusal(method, ask(&of_key.1)).await, refusal(method, ask(absent)).await];
            assert_eq!(there.code(), Code::NotFound, "{method}: {there:?}");
            assert_eq!(without(&there, &of_key.1), without(&not, absent), "{method}");
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
        // By its text a token of another tenant is none, and neither is one that names its credential and nothing else.
        let header = of_key.0.split('.').next().unwrap();
        let [payload, signature] = [1, 2].map(|part| of_key.0.split('.').nth(part).unwrap());
        for text in [of_key.0.clone(), format!("{header}.{payload}.{}", signature.replace('A', "B"))] {
            let status = refusal("InspectToken", pb::InspectTokenRequest { token: text.clone() }.encode_to_vec()).await;
            assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no token as presented"));
            let which = Some(pb::revoke_token_request::Which::Token(text));
            let message = pb::RevokeTokenRequest { which, ..Default::default() }.encode_to_vec();
            let status = refusal("RevokeToken", message).await;
            assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no token as presented"));
        }
        // By its text a key of another tenant is none, right or wrong.
        for text in [key.text.clone(), key.forged(&"x".repeat(43)), key.under_id("0000000000000000000001")] {
            let message = pb::ExplainCredentialRequest { which: Some(Which::Credential(text)), request: None };
            let status = refusal("ExplainCredential", message.encode_to_vec()).await;
            assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no credential as presented"));
        }
    });
}
