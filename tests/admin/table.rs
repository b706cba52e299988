//! Each method of the admin RPC: what it needs, and a call of it.

use latchkey::pb::admin::v1 as pb;
use prost::Message as _;

use crate::desk::ACME;
use crate::support::{APP, Key, TestStore, USER};

/// The least that a method needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Any operator.
    Reader,
    /// Any operator who is bound to no tenant.
    UnboundReader,
    /// An issuer.
    Issuer,
    /// An issuer who is bound to no tenant.
    UnboundIssuer,
    /// An owner.
    Owner,
    /// An owner who is bound to no tenant.
    UnboundOwner,
}
use Needs::{Issuer, Owner, Reader, UnboundIssuer, UnboundOwner, UnboundReader};

/// What is there to be asked for.
pub struct World {
    pub key: Key,
    pub link: String,
    pub issuer: String,
    /// The text of a token, and its id.
    pub token: (String, String),
    /// Chosen anew for each call that makes something.
    pub number: u32,
}

impl World {
    fn tenant(&self) -> String {
        ACME.to_owned()
    }
    fn id(&self) -> String {
        self.key.id.clone()
    }
}

/// A link of the tenant `acme` about this subject.
pub fn link(store: &TestStore, subject: &str) -> String {
    let line =
        format!("link add --tenant {ACME} --issuer https://id.example --subject {subject} --app {APP} --user {USER}");
    let made = store.ok(&[line.split(' ').collect(), vec!["--output", "json"]].concat());
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    made["link_id"].as_str().unwrap().to_owned()
}

/// A token of a key: its text and its id.
pub fn token(store: &TestStore, key: &Key) -> (String, String) {
    let made = store.ok(&["token", "issue", "--credential", &key.id, "--output", "json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    (store.token_of(&made), made["token_id"].as_str().unwrap().to_owned())
}

/// A key that signs nothing here (RFC 7515 section A.3).
const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// An issuer that the tenant `acme` trusts with this audience.
pub fn issuer(store: &TestStore, audience: &str) -> String {
    let line =
        format!("issuer add --tenant {ACME} --iss https://id.example --alg ES256 --aud {audience} --jwks-file -");
    let made = store.run_with_input(&[line.split(' ').collect(), vec!["--output", "json"]].concat(), JWKS);
    assert!(made.status.success(), "{made:?}");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    made["issuer_id"].as_str().unwrap().to_owned()
}

/// One to be trusted, by this tenant and for this audience.
pub fn new_issuer(tenant: &str, audience: &str) -> pb::Issuer {
    let (audiences, algorithms) = (vec![audience.to_owned()], vec!["ES256".to_owned()]);
    let (tenant, iss, jwks) = (tenant.to_owned(), "https://id.example".to_owned(), JWKS.to_owned());
    pb::Issuer { tenant, iss, audiences, algorithms, jwks, ..Default::default() }
}

fn app(w: &World) -> pb::App {
    pb::App { tenant: w.tenant(), app_id: APP, name: "Shop".to_owned(), active: true, ..pb::App::default() }
}

fn user(w: &World) -> pb::User {
    let (tenant, email) = (w.tenant(), "ann@acme.example".to_owned());
    pb::User { tenant, user_id: USER, email, active: true, ..pb::User::default() }
}

fn mask(field: &str) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: vec![field.to_owned()] })
}

pub type Entry = (&'static str, Needs, fn(&World) -> Vec<u8>);

/// Each method, what it needs, and a call of it on the tenant `acme`.
pub const TABLE: &[Entry] = &[
    ("GetHealth", Reader, |_| pb::GetHealthRequest {}.encode_to_vec()),
    ("GetCaller", Reader, |_| pb::GetCallerRequest {}.encode_to_vec()),
    ("CreateTenant", UnboundOwner, |w| {
        let tenant = pb::Tenant { tenant: format!("t{}", w.number), ..pb::Tenant::default() };
        pb::CreateTenantRequest { tenant: Some(tenant), ..Default::default() }.encode_to_vec()
    }),
    ("GetTenant", Reader, |w| pb::GetTenantRequest { tenant: w.tenant() }.encode_to_vec()),
    ("ListTenants", Reader, |_| pb::ListTenantsRequest::default().encode_to_vec()),
    ("UpdateTenant", UnboundOwner, |w| {
        let tenant = pb::Tenant { tenant: w.tenant(), name: format!("N{}", w.number), ..pb::Tenant::default() };
        pb::UpdateTenantRequest { tenant: Some(tenant), ..Default::default() }.encode_to_vec()
    }),
    ("SuspendTenant", UnboundOwner, |w| {
        pb::SuspendTenantRequest { tenant: w.tenant(), ..Default::default() }.encode_to_vec()
    }),
    ("ResumeTenant", UnboundOwner, |w| {
        pb::ResumeTenantRequest { tenant: w.tenant(), ..Default::default() }.encode_to_vec()
    }),
    ("CreateApp", UnboundOwner, |w| {
        let app = pb::App { app_id: 1_000 + w.number, ..app(w) };
        pb::CreateAppRequest { app: Some(app), ..Default::default() }.encode_to_vec()
    }),
    ("GetApp", Reader, |w| pb::GetAppRequest { tenant: w.tenant(), app_id: APP }.encode_to_vec()),
    ("ListApps", Reader, |w| pb::ListAppsRequest { tenant: w.tenant(), ..Default::default() }.encode_to_vec()),
    ("UpdateApp", Owner, |w| {
        pb::UpdateAppRequest { app: Some(app(w)), update_mask: mask("name"), ..Default::default() }.encode_to_vec()
    }),
    ("DeleteApp", UnboundOwner, |w| {
        pb::DeleteAppRequest { tenant: w.tenant(), app_id: 12, ..Default::default() }.encode_to_vec()
    }),
    ("ListUnclaimedApps", UnboundReader, |_| pb::ListUnclaimedAppsRequest::default().encode_to_vec()),
    ("CreateUser", UnboundOwner, |w| {
        let user = pb::User { user_id: 1_000 + w.number, ..user(w) };
        pb::CreateUserRequest { user: Some(user), ..Default::default() }.encode_to_vec()
    }),
    ("GetUser", Reader, |w| pb::GetUserRequest { tenant: w.tenant(), user_id: USER }.encode_to_vec()),
    ("ListUsers", Reader, |w| pb::ListUsersRequest { tenant: w.tenant(), ..Default::default() }.encode_to_vec()),
    ("UpdateUser", Owner, |w| {
        pb::UpdateUserRequest { user: Some(user(w)), update_mask: mask("email"), ..Default::default() }.encode_to_vec()
    }),
    ("DeleteUser", UnboundOwner, |w| {
        pb::DeleteUserRequest { tenant: w.tenant(), user_id: 10, ..Default::default() }.encode_to_vec()
    }),
    ("CreateLink", Issuer, |w| {
        let (app_id, user_id, issuer) = (APP, USER, "https://id.example".to_owned());
        let link = pb::Link { tenant: w.tenant(), issuer, app_id, user_id, ..Default::default() };
        let subject = format!("s{}", w.number);
        pb::CreateLinkRequest { link: Some(link), subject, request_id: String::new() }.encode_to_vec()
    }),
    ("GetLink", Reader, |w| pb::GetLinkRequest { tenant: w.tenant(), link_id: w.link.clone() }.encode_to_vec()),
    ("ListLinks", Reader, |w| pb::ListLinksRequest { tenant: w.tenant(), ..Default::default() }.encode_to_vec()),
    ("DeleteLink", Issuer, |w| {
        let (tenant, link_id) = (w.tenant(), w.link.clone());
        pb::DeleteLinkRequest { tenant, link_id, ..Default::default() }.encode_to_vec()
    }),
    ("CreateIssuer", UnboundOwner, |w| {
        let issuer = Some(new_issuer(&w.tenant(), &format!("a{}", w.number)));
        pb::CreateIssuerRequest { issuer, ..Default::default() }.encode_to_vec()
    }),
    ("GetIssuer", Reader, |w| pb::GetIssuerRequest { tenant: w.tenant(), issuer_id: w.issuer.clone() }.encode_to_vec()),
    ("ListIssuers", Reader, |w| pb::ListIssuersRequest { tenant: w.tenant(), ..Default::default() }.encode_to_vec()),
    ("UpdateIssuer", Owner, |w| {
        let (tenant, issuer_id, strict) = (w.tenant(), w.issuer.clone(), w.number % 2 == 0);
        let issuer = Some(pb::Issuer { tenant, issuer_id, strict, ..Default::default() });
        pb::UpdateIssuerRequest { issuer, update_mask: mask("strict"), ..Default::default() }.encode_to_vec()
    }),
    ("CheckIssuer", Owner, |w| {
        pb::CheckIssuerRequest { tenant: w.tenant(), issuer_id: w.issuer.clone() }.encode_to_vec()
    }),
    ("DeleteIssuer", Owner, |w| {
        let (tenant, issuer_id) = (w.tenant(), w.issuer.clone());
        pb::DeleteIssuerRequest { tenant, issuer_id, ..Default::default() }.encode_to_vec()
    }),
    ("IssueCredential", Issuer, |w| {
        let credential = pb::Credential { tenant: w.tenant(), app_id: APP, user_id: USER, ..Default::default() };
        pb::IssueCredentialRequest { credential: Some(credential), ..Default::default() }.encode_to_vec()
    }),
    ("GetCredential", Reader, |w| pb::GetCredentialRequest { credential_id: w.id() }.encode_to_vec()),
    ("ListCredentials", Reader, |w| {
        pb::ListCredentialsRequest { tenant: w.tenant(), ..Default::default() }.encode_to_vec()
    }),
    ("UpdateCredential", Issuer, |w| {
        let credential =
            pb::Credential { credential_id: w.id(), label: format!("l{}", w.number), ..Default::default() };
        pb::UpdateCredentialRequest { credential: Some(credential), ..Default::default() }.encode_to_vec()
    }),
    ("RotateCredential", Issuer, |w| {
        pb::RotateCredentialRequest { credential_id: w.id(), grace_seconds: 60, ..Default::default() }.encode_to_vec()
    }),
    ("RevokeCredential", Issuer, |w| {
        pb::RevokeCredentialRequest { credential_id: w.id(), ..Default::default() }.encode_to_vec()
    }),
    ("ExplainCredential", Reader, |w| {
        let which = Some(pb::explain_credential_request::Which::CredentialId(w.id()));
        pb::ExplainCredentialRequest { which, request: None }.encode_to_vec()
    }),
    ("TestCredential", UnboundIssuer, |w| {
        pb::TestCredentialRequest { credential: w.key.text.clone(), request: None }.encode_to_vec()
    }),
    ("ImportCredentials", UnboundOwner, |w| {
        let options = Some(pb::ImportOptions { tenant: w.tenant(), dry_run: true, ..Default::default() });
        pb::ImportCredentialsRequest { options, lines: Vec::new() }.encode_to_vec()
    }),
    ("ExportCredentials", UnboundOwner, |w| pb::ExportCredentialsRequest { tenant: w.tenant() }.encode_to_vec()),
    ("IssueToken", Issuer, |w| pb::IssueTokenRequest { credential_id: w.id(), ..Default::default() }.encode_to_vec()),
    ("ListTokens", Reader, |w| pb::ListTokensRequest { credential_id: w.id(), ..Default::default() }.encode_to_vec()),
    ("InspectToken", Issuer, |w| pb::InspectTokenRequest { token: w.token.0.clone() }.encode_to_vec()),
    ("RevokeToken", Issuer, |w| {
        let which = Some(pb::revoke_token_request::Which::TokenId(w.token.1.clone()));
        pb::RevokeTokenRequest { which, ..Default::default() }.encode_to_vec()
    }),
    ("RevokeCredentialTokens", Issuer, |w| {
        pb::RevokeCredentialTokensRequest { credential_id: w.id(), ..Default::default() }.encode_to_vec()
    }),
    ("ListSigningKeys", Reader, |_| pb::ListSigningKeysRequest {}.encode_to_vec()),
    ("RotateSigningKey", UnboundOwner, |_| pb::RotateSigningKeyRequest::default().encode_to_vec()),
    ("CreateOperator", UnboundOwner, |w| {
        let operator = pb::Operator { name: format!("o{}", w.number), ..Default::default() };
        pb::CreateOperatorRequest { operator: Some(operator), ..Default::default() }.encode_to_vec()
    }),
    ("GetOperator", Reader, |_| pb::GetOperatorRequest { operator: "reader of acme".to_owned() }.encode_to_vec()),
    ("ListOperators", Reader, |_| pb::ListOperatorsRequest::default().encode_to_vec()),
    ("RevokeOperator", UnboundOwner, |_| {
        pb::RevokeOperatorRequest { operator: "to be revoked".to_owned(), ..Default::default() }.encode_to_vec()
    }),
    ("ListAuditEvents", Reader, |w| {
        let filter = Some(pb::AuditFilter { tenant: w.tenant(), ..Default::default() });
        pb::ListAuditEventsRequest { filter, ..Default::default() }.encode_to_vec()
    }),
    ("StreamAuditEvents", Reader, |w| {
        let filter = Some(pb::AuditFilter { tenant: w.tenant(), ..Default::default() });
        pb::StreamAuditEventsRequest { filter, after: Some(0) }.encode_to_vec()
    }),
    ("VerifyAuditTrail", UnboundReader, |_| pb::VerifyAuditTrailRequest::default().encode_to_vec()),
    ("ExportAuditTrail", UnboundReader, |_| pb::ExportAuditTrailRequest {}.encode_to_vec()),
    ("CreateAuditCheckpoint", UnboundReader, |_| pb::CreateAuditCheckpointRequest {}.encode_to_vec()),
    ("GetAuditPublicKey", Reader, |_| pb::GetAuditPublicKeyRequest {}.encode_to_vec()),
    ("RotateAuditKey", UnboundOwner, |_| pb::RotateAuditKeyRequest::default().encode_to_vec()),
    ("PruneAuditTrail", UnboundOwner, |_| {
        let before = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
        pb::PruneAuditTrailRequest { before, ..Default::default() }.encode_to_vec()
    }),
    ("RunChecklist", Reader, |w| pb::RunChecklistRequest { tenant: w.tenant(), ..Default::default() }.encode_to_vec()),
    ("ListDecisions", UnboundReader, |_| pb::ListDecisionsRequest::default().encode_to_vec()),
];
