//! Short-lived tokens, over the store in memory.

use super::*;
use crate::admin::tests::{World, new_app, request, world};
use crate::admin::{AppChanges, IssueRequest, KeyChanges, RotateRequest, UserChanges};
use crate::clock::SystemEntropy;
use crate::domain::credential::RevocationReason;
use crate::domain::{Algorithm, AppId, LlmGrant, SigningKeyRow, TokenId, UserId};
use crate::jwt::compact::{self, Compact};
use crate::store::fake::Fault;
use crate::store::{Page, Store as _};
use crate::verify::argon;
use crate::verify::subject::SubjectKey;

const ISSUER: &str = "urn:latchkey:test";
/// When the world's clock begins, in seconds.
const NOW_S: i64 = 1_800_000_000;

struct Issuing {
    world: World,
    admin: Admin,
    backend: Backend,
    key: SubjectKey,
    parent: CredentialId,
    dir: tempfile::TempDir,
}

/// With a key of subject hashes, one that signs, and a credential with two scopes that ends in two hours.
fn issuing() -> Issuing {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let path = dir.path().join("subject.key");
    let key = SubjectKey::create(&path, &SystemEntropy).unwrap();
    world.admin.set_subject_key(key.fingerprint()).unwrap();
    let rules = TokenRules {
        key_dir: dir.path().to_owned(),
        issuer: ISSUER.to_owned(),
        audience: "urn:gateway".to_owned(),
        ttl_s: 900,
        max_ttl_s: 3_600,
        most: 3,
    };
    let backend = world.backend.clone().with_subject_key(path).with_tokens(rules);
    let admin = backend.admin(Caller::unbound_owner(Actor::Local { uid: 1000 }));
    admin.rotate_signing_key(Algorithm::EdDSA, false).unwrap();
    let asked = IssueRequest {
        scopes: vec!["chat".to_owned(), "files:read".to_owned()],
        expires_at_ms: Some((NOW_S + 7_200) * 1_000),
        ..request()
    };
    let parent = admin.issue_key("acme", &asked).unwrap().credential.id;
    Issuing { world, admin, backend, key, parent, dir }
}

impl Issuing {
    fn issue(&self, request: &TokenRequest) -> AdminResult<MintedToken> {
        self.admin.issue_token(Some("acme"), self.parent, request)
    }

    fn plain(&self) -> MintedToken {
        self.issue(&TokenRequest::default()).unwrap()
    }

    fn row(&self, minted: &MintedToken) -> IssuedToken {
        self.world.store.tokens().look_up(minted.token.jti).unwrap().row.unwrap()
    }

    fn inspect(&self, minted: &MintedToken) -> Inspection {
        self.admin.inspect_token(&minted.text).unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "tests look inside secrets")]
fn claims(minted: &MintedToken) -> serde_json::Value {
    let parts = Compact::split(minted.text.expose(), 16 * 1024).unwrap();
    serde_json::from_slice(&compact::decode(parts.payload).unwrap()).unwrap()
}

/// Which check fails first, and with which code.
fn failed(inspection: &Inspection) -> Option<(&'static str, &'static str)> {
    inspection.checks.iter().find_map(|(name, verdict)| match verdict {
        Verdict::Fails { code, .. } => Some((*name, *code)),
        _ => None,
    })
}

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

#[test]
fn r15_a_token_is_what_its_credential_is_and_its_row_is_sealed() {
    let issuing = issuing();
    let minted = issuing.plain();
    let said = claims(&minted);
    let parent = issuing.admin.key(issuing.parent).unwrap();
    assert_eq!((&said["iss"], &said["aud"], &said["tenant"]), (&ISSUER.into(), &"urn:gateway".into(), &"acme".into()));
    assert_eq!((&said["sub"], &said["client_id"]), (&parent.id.to_string().into(), &parent.id.to_string().into()));
    assert_eq!((&said["scope"], &said["lk_gen"]), (&"chat files:read".into(), &parent.generation.0.to_string().into()));
    assert_eq!((&said["iat"], &said["exp"]), (&NOW_S.into(), &(NOW_S + 900).into()));
    assert!(said.get("lk_llms").is_none());
    let row = issuing.row(&minted);
    assert_eq!(row, minted.token);
    assert!(issuing.key.is_genuine_token(&row));
    assert_eq!((row.parent, row.expires_at_ms, row.credential), (parent.generation, (NOW_S + 900) * 1_000, parent.id));
    assert!(issuing.inspect(&minted).holds());
    let event = issuing.world.store.audit().list(0, 100).unwrap().pop().unwrap().event;
    assert_eq!((event.action, event.subject), (Action::TokenIssued, Subject::Token(row.jti.id())));
    let jti = said["jti"].as_str().unwrap();
    assert!(!format!("{event:?}").contains(jti), "what the trail has is its hash");
}

#[test]
fn r15_scopes_llms_and_life_only_shrink() {
    let issuing = issuing();
    let few = TokenRequest { scopes: Some(texts(&["files:read"])), ttl_s: Some(60), ..TokenRequest::default() };
    let said = claims(&issuing.issue(&few).unwrap());
    assert_eq!((&said["scope"], &said["exp"]), (&"files:read".into(), &(NOW_S + 60).into()));
    let none = TokenRequest { scopes: Some(Vec::new()), ..TokenRequest::default() };
    assert!(claims(&issuing.issue(&none).unwrap()).get("scope").is_none());
    let llm = |id| LlmId::new(id).unwrap();
    let one = TokenRequest { llms: Some(vec![llm(3), llm(3)]), ..TokenRequest::default() };
    assert_eq!(claims(&issuing.issue(&one).unwrap())["lk_llms"], serde_json::json!([3]));
    let refused = [
        (TokenRequest { scopes: Some(texts(&["chat", "admin"])), ..TokenRequest::default() }, "no scope admin"),
        (TokenRequest { scopes: Some(texts(&["chat "])), ..TokenRequest::default() }, "scope"),
        (TokenRequest { llms: Some(vec![llm(3), llm(4)]), ..TokenRequest::default() }, "may not use LLM 4"),
        (TokenRequest { llms: Some(Vec::new()), ..TokenRequest::default() }, "at least one"),
        (TokenRequest { ttl_s: Some(0), ..TokenRequest::default() }, "60 to 3600 seconds"),
        (TokenRequest { ttl_s: Some(59), ..TokenRequest::default() }, "60 to 3600 seconds"),
        (TokenRequest { ttl_s: Some(3_601), ..TokenRequest::default() }, "60 to 3600 seconds"),
        (TokenRequest { ttl_s: Some(u64::MAX), ..TokenRequest::default() }, "60 to 3600 seconds"),
    ];
    for (request, expected) in refused {
        let error = issuing.issue(&request).map(drop).unwrap_err();
        assert!(matches!(error, AdminError::Invalid { .. }) && error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn r15_a_token_never_outlives_its_credential() {
    let issuing = issuing();
    issuing.world.clock.step_wall_ms((7_200 - 300) * 1_000);
    let said = claims(&issuing.plain());
    assert_eq!(said["exp"], NOW_S + 7_200, "five minutes are left of it");
    let grace_ms = 60_500;
    let rotation = RotateRequest { grace_ms, expires_at_ms: None, cost: argon::DEFAULT_COST, etag: None };
    issuing.admin.rotate_key(issuing.parent, rotation).unwrap();
    assert_eq!(claims(&issuing.plain())["exp"], NOW_S + 6_900 + 60, "whole seconds of its grace");
    // Where that is nearer than the least that a token lives, it is all there is; what is shorter still is none.
    issuing.world.clock.step_wall_ms(30_000);
    let asked = |ttl_s| issuing.issue(&TokenRequest { ttl_s: Some(ttl_s), ..TokenRequest::default() });
    assert_eq!(claims(&asked(30).unwrap())["exp"], NOW_S + 6_900 + 60);
    assert!(matches!(asked(29), Err(AdminError::Invalid { .. })));
    issuing.world.clock.step_wall_ms(30_000);
    let error = issuing.issue(&TokenRequest::default()).map(drop).unwrap_err();
    assert!(error.to_string().contains("ends within this second"), "{error}");
    issuing.world.clock.step_wall_ms(500);
    let error = issuing.issue(&TokenRequest::default()).map(drop).unwrap_err();
    assert!(matches!(error, AdminError::NotInForce { .. }) && error.to_string().contains("grace_ended"), "{error}");
}

#[test]
fn r15_nothing_is_issued_for_what_is_not_in_force() {
    let refused = |change: &dyn Fn(&Issuing)| {
        let issuing = issuing();
        change(&issuing);
        issuing.issue(&TokenRequest::default()).map(drop).unwrap_err()
    };
    let error = refused(&|i| drop(i.admin.revoke_key(i.parent, RevocationReason::KeyCompromise).unwrap()));
    assert!(matches!(error, AdminError::NotInForce { .. }), "{error}");
    let error = refused(&|i| i.world.clock.step_wall_ms(7_200_000));
    assert!(error.to_string().contains("expired"), "{error}");
    let error = refused(&|i| drop(i.admin.set_tenant_status("acme", TenantStatus::Suspended).unwrap()));
    assert!(matches!(error, AdminError::Suspended(_)), "{error}");
    let (app, user) = (AppId::new(7).unwrap(), UserId::new(9).unwrap());
    let off = AppChanges { active: Some(false), ..AppChanges::default() };
    let error = refused(&|i| drop(i.admin.set_app("acme", app, &off).unwrap()));
    assert!(error.to_string().contains("App 7, which is not active"), "{error}");
    let off = UserChanges { active: Some(false), ..UserChanges::default() };
    let error = refused(&|i| drop(i.admin.set_user("acme", user, &off).unwrap()));
    assert!(error.to_string().contains("User 9, who is not active"), "{error}");
    let error = refused(&|i| i.admin.remove_app("acme", app).unwrap());
    assert!(matches!(error, AdminError::NotFound { what: "App", .. }), "{error}");
    let error = refused(&|i| i.world.store.tamper(i.parent, |row| row.scopes.push("admin".to_owned())));
    assert!(matches!(error, AdminError::Forged(_)), "{error}");
    let error = refused(&|i| i.world.store.fail(Fault::Writes));
    assert!(matches!(error, AdminError::Store(StoreError::Failed { .. })), "{error}");
}

#[test]
fn as_many_tokens_are_in_force_as_may_be_and_no_more() {
    let issuing = issuing();
    let first = issuing.plain();
    issuing.plain();
    issuing.plain();
    let error = issuing.issue(&TokenRequest::default()).map(drop).unwrap_err();
    assert!(matches!(error, AdminError::TooManyTokens { most: 3 }), "{error}");
    issuing.admin.revoke_token(None, &TokenRef::Id(first.token.jti.id())).unwrap();
    issuing.plain();
    issuing.world.clock.step_wall_ms(900_000);
    issuing.plain();
}

#[test]
fn r3_a_token_is_issued_found_and_taken_back_only_by_who_has_its_tenant() {
    let issuing = issuing();
    let minted = issuing.plain();
    let of = |slug: &str| issuing.admin.tenant(slug).unwrap().id;
    let bound = |role, slug| issuing.backend.admin(Caller::new(Actor::System, role, Scope::Tenants(vec![of(slug)])));
    let stranger = bound(Role::Owner, "globex");
    let (id, other) = (minted.token.jti.id(), TokenId::from_bytes([1; 16]));
    let no_key = CredentialId::from_bytes([1; 16]);
    let told = |error: AdminError, name: String| error.to_string().replace(&name, "ID");
    let alike = |theirs: AdminError, none: AdminError, names: [String; 2]| {
        let [one, two] = names;
        assert_eq!(told(theirs, one), told(none, two));
    };
    let (parent, request) = (issuing.parent, TokenRequest::default());
    let keys = [parent.to_string(), no_key.to_string()];
    for tenant in [None, Some("globex"), Some("acme")] {
        let issue = |id| stranger.issue_token(tenant, id, &request).map(drop).unwrap_err();
        alike(issue(parent), issue(no_key), keys.clone());
        let list = |id| stranger.list_tokens(tenant, id, Page { after: None, limit: 9 }).map(drop).unwrap_err();
        alike(list(parent), list(no_key), keys.clone());
        let revoke = |id| stranger.revoke_token(tenant, &TokenRef::Id(id)).map(drop).unwrap_err();
        alike(revoke(id), revoke(other), [id.to_string(), other.to_string()]);
        let all = |id| stranger.revoke_tokens_of(tenant, id).map(drop).unwrap_err();
        alike(all(parent), all(no_key), keys.clone());
    }
    let presented = stranger.inspect_token(&minted.text).map(drop).unwrap_err();
    assert!(matches!(presented, AdminError::NotFound { what: "token", .. }), "{presented}");
    assert!(issuing.row(&minted).revoked_at_ms.is_none());
    let foreign = issuing.admin.issue_token(Some("globex"), parent, &request).map(drop).unwrap_err();
    assert!(matches!(foreign, AdminError::NotFound { what: "credential", .. }), "{foreign}");
    let foreign = issuing.admin.revoke_token(Some("globex"), &TokenRef::Id(id)).map(drop).unwrap_err();
    assert!(matches!(foreign, AdminError::NotFound { what: "token", .. }), "{foreign}");

    assert!(bound(Role::Issuer, "acme").issue_token(None, parent, &request).is_ok());
    let auditor = bound(Role::Auditor, "acme");
    assert!(matches!(auditor.issue_token(None, parent, &request).map(drop), Err(AdminError::Forbidden { .. })));
    assert!(matches!(auditor.inspect_token(&minted.text).map(drop), Err(AdminError::Forbidden { .. })));
    assert!(auditor.list_tokens(None, parent, Page { after: None, limit: 9 }).is_ok());
    let portal = issuing.backend.admin(Caller::portal(UserId::new(9).unwrap(), of("acme")));
    assert!(matches!(portal.issue_token(None, parent, &request).map(drop), Err(AdminError::Forbidden { .. })));
    let bound_owner = bound(Role::Owner, "acme");
    let rotation = bound_owner.rotate_signing_key(Algorithm::EdDSA, true);
    assert!(matches!(rotation, Err(AdminError::Forbidden { .. })));
}

#[test]
fn r18_a_repeated_request_answers_with_the_token_of_before_and_not_its_text() {
    let issuing = issuing();
    let caller = |request_id: &str, hash| {
        let caller = Caller::unbound_owner(Actor::Local { uid: 1000 });
        issuing.backend.admin(Caller { request_id: request_id.to_owned(), request_hash: [hash; 32], ..caller })
    };
    let (parent, request) = (issuing.parent, TokenRequest::default());
    let first = caller("r", 1).issue_token(None, parent, &request).unwrap();
    let again = caller("r", 1).issue_token(None, parent, &request).map(drop).unwrap_err();
    let AdminError::Replayed { resource } = again else { panic!("{again}") };
    assert_eq!(issuing.admin.token(resource.parse().unwrap()).unwrap().token, first.token);
    let other = caller("r", 2).issue_token(None, parent, &request).map(drop).unwrap_err();
    assert!(matches!(other, AdminError::RequestReused { .. }), "{other}");
}

#[test]
fn a_token_is_taken_back_by_its_id_its_jti_or_its_text_and_once() {
    let issuing = issuing();
    for by in 0..3 {
        let minted = issuing.plain();
        let jti = claims(&minted)["jti"].as_str().unwrap().to_owned();
        let id = minted.token.jti.id();
        #[expect(clippy::disallowed_methods, reason = "tests look inside secrets")]
        let which = match by {
            0 => TokenRef::Id(id),
            1 => TokenRef::Id(jti.parse().unwrap()),
            _ => TokenRef::Text(Secret::new(minted.text.expose().to_vec())),
        };
        assert_eq!(issuing.admin.may_revoke_token(None, &which).unwrap(), Subject::Token(id));
        let (revoked, already) = issuing.admin.revoke_token(None, &which).unwrap();
        assert_eq!(
            (already, revoked.state, revoked.token.revoked_at_ms),
            (false, TokenState::Revoked, Some(NOW_S * 1_000))
        );
        assert_eq!(issuing.row(&minted), revoked.token);
        assert!(issuing.admin.revoke_token(None, &which).unwrap().1);
        assert_eq!(failed(&issuing.inspect(&minted)), Some(("revocation", "revoked")));
        issuing.world.store.tamper_token(minted.token.jti, |row| row.revoked_at_ms = None);
        assert_eq!(failed(&issuing.inspect(&minted)), Some(("row", "row_forged")), "a cleared time makes nothing good");
    }
    let text = TokenRef::Text(Secret::new(b"a.b.c".to_vec()));
    let none = issuing.admin.revoke_token(None, &text).map(drop).unwrap_err().to_string();
    assert_eq!(none, "there is no token as presented");
    let issuing = self::issuing();
    let mut said = claims(&issuing.plain());
    said["iss"] = "urn:another".into();
    let header = compact::encode(br#"{"alg":"EdDSA","typ":"at+jwt"}"#);
    let text = format!("{header}.{}.{}", compact::encode(said.to_string().as_bytes()), compact::encode(&[1; 64]));
    let others = TokenRef::Text(Secret::new(text.into_bytes()));
    let none = issuing.admin.revoke_token(None, &others).map(drop).unwrap_err();
    assert!(matches!(none, AdminError::NotFound { what: "token", .. }), "another issuer's with the id of ours: {none}");
}

#[test]
fn all_tokens_of_a_credential_go_at_once_and_the_credential_stays() {
    let issuing = issuing();
    let before = issuing.plain();
    let key = issuing.admin.revoke_tokens_of(Some("acme"), issuing.parent).unwrap();
    assert_ne!(key.generation, before.token.parent);
    assert_eq!(issuing.world.backend.keyring.ring().is_genuine(&issuing.admin.key(key.id).unwrap()), Some(true));
    assert_eq!(failed(&issuing.inspect(&before)), Some(("revocation", "revoked")));
    let after = issuing.plain();
    assert!(issuing.inspect(&after).holds());
    // Also of one that was rotated, whose tokens live through its grace whatever its generation is.
    let rotation = RotateRequest { grace_ms: 60_000, expires_at_ms: None, cost: argon::DEFAULT_COST, etag: None };
    issuing.admin.rotate_key(issuing.parent, rotation).unwrap();
    assert!(issuing.inspect(&after).holds());
    issuing.admin.revoke_tokens_of(None, issuing.parent).unwrap();
    assert_eq!(failed(&issuing.inspect(&after)), Some(("revocation", "revoked")));
}

#[test]
fn a_token_is_judged_check_by_check_and_dies_with_a_change_of_its_credential() {
    let issuing = issuing();
    let minted = issuing.plain();
    let names: Vec<_> = issuing.inspect(&minted).checks.iter().map(|(name, _)| *name).collect();
    assert_eq!(names[names.len() - 4..], ["row", "revocation", "credential", "generation"]);
    let state = || issuing.admin.token(minted.token.jti.id()).unwrap().state;
    assert_eq!(state(), TokenState::Active);

    issuing
        .admin
        .change_key(issuing.parent, &KeyChanges { label: Some("new".to_owned()), ..KeyChanges::default() })
        .unwrap();
    assert_eq!(
        (failed(&issuing.inspect(&minted)), state()),
        (Some(("generation", "superseded")), TokenState::Superseded)
    );
    let minted = issuing.plain();
    let state = || issuing.admin.token(minted.token.jti.id()).unwrap().state;
    issuing.world.store.tamper_token(minted.token.jti, |row| row.expires_at_ms += 1);
    assert_eq!((failed(&issuing.inspect(&minted)), state()), (Some(("row", "row_forged")), TokenState::Forged));
    issuing.world.store.tamper_token(minted.token.jti, |row| row.expires_at_ms -= 1);
    issuing.world.clock.step_wall_ms(899_999);
    assert!(issuing.inspect(&minted).holds());
    issuing.world.clock.step_wall_ms(1);
    assert_eq!(failed(&issuing.inspect(&minted)).unwrap().0, "times");
    assert_eq!(state(), TokenState::Expired);
}

#[test]
fn who_has_a_signing_key_alone_mints_nothing() {
    let issuing = issuing();
    let minted = issuing.plain();
    let (_, signer) = issuing.admin.token_signer(&issuing.admin.permit(Act::Govern).unwrap()).unwrap();
    let parent = issuing.admin.key(issuing.parent).unwrap();
    let forge = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut said = claims(&minted);
        change(&mut said);
        let kid = &signer.public().kid;
        let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}"}}"#);
        let message = [header.as_bytes(), said.to_string().as_bytes()].map(compact::encode).join(".");
        let signature = compact::encode(&signer.sign(message.as_bytes()).unwrap());
        let text = Secret::new(format!("{message}.{signature}").into_bytes());
        failed(&issuing.admin.inspect_token(&text).unwrap())
    };
    assert_eq!(forge(&|_| ()), None, "the same text signed anew is the same token");
    assert_eq!(
        forge(&|said| said["jti"] = TokenId::from_bytes([7; 16]).to_string().into()),
        Some(("row", "row_missing"))
    );
    assert_eq!(forge(&|said| said["exp"] = (NOW_S + 3_600).into()), Some(("row", "content")));
    assert_eq!(forge(&|said| said["scope"] = "chat files:read admin".into()), Some(("row", "content")));
    assert_eq!(forge(&|said| said["lk_gen"] = (parent.generation.0 ^ 1).to_string().into()), Some(("row", "content")));
}

#[test]
fn a_program_gets_a_token_of_what_it_proved_and_the_trail_says_which() {
    let issuing = issuing();
    let parent = issuing.admin.key(issuing.parent).unwrap();
    let minted = issuing.backend.issue_token_for_client(&parent, "tcp:192.0.2.1", &TokenRequest::default()).unwrap();
    assert_eq!(minted.token.credential, parent.id);
    let event = issuing.world.store.audit().list(0, 100).unwrap().pop().unwrap().event;
    assert_eq!(event.actor, Actor::Client(parent.id));
    assert_eq!(Actor::parse(&event.actor.to_text()), Some(event.actor));
    assert!(event.details.contains(&(DetailKey::Source, "tcp:192.0.2.1".to_owned())));
    issuing.admin.revoke_key(parent.id, RevocationReason::KeyCompromise).unwrap();
    let late = issuing.backend.issue_token_for_client(&parent, "", &TokenRequest::default()).map(drop);
    assert!(matches!(late, Err(AdminError::NotInForce { .. })), "what it is now counts");
}

#[test]
fn llms_of_a_tenant_that_needs_no_grants_are_not_asked_for() {
    let issuing = issuing();
    issuing.admin.add_app("acme", &crate::admin::NewApp { llms: Vec::new(), ..new_app(8) }).unwrap();
    let asked = IssueRequest { app: AppId::new(8).unwrap(), ..request() };
    let id = issuing.admin.issue_key("acme", &asked).unwrap().credential.id;
    let request = TokenRequest { llms: Some(vec![LlmId::new(5).unwrap()]), ..TokenRequest::default() };
    assert!(issuing.admin.issue_token(None, id, &request).is_err());
    let changes = crate::admin::TenantChanges { llm_grants: Some(LlmGrants::Unchecked), ..Default::default() };
    issuing.admin.set_tenant("acme", &changes).unwrap();
    assert!(issuing.admin.issue_token(None, id, &request).is_err(), "the machine does not say so");
    let grants = vec![LlmGrant { id: LlmId::new(5).unwrap(), slug: None }];
    let changes = AppChanges { llms: Some(grants), ..AppChanges::default() };
    issuing.admin.set_app("acme", AppId::new(8).unwrap(), &changes).unwrap();
    assert!(issuing.admin.issue_token(None, id, &request).is_ok());
}

fn states(issuing: &Issuing) -> Vec<(Algorithm, SigningKeyState)> {
    issuing.admin.list_signing_keys().unwrap().iter().map(|key| (key.key.algorithm, key.state)).collect()
}

#[test]
fn one_key_signs_and_those_before_it_are_believed_until_their_tokens_have_ended() {
    use SigningKeyState::{Retired, Signing, Verifying};
    let issuing = issuing();
    let old = issuing.plain();
    let rotated = issuing.admin.rotate_signing_key(Algorithm::ES256, false).unwrap();
    assert_eq!(states(&issuing), [(Algorithm::EdDSA, Verifying), (Algorithm::ES256, Signing)]);
    let new = issuing.plain();
    assert!(issuing.inspect(&old).holds() && issuing.inspect(&new).holds());
    let kids = |issuing: &Issuing| issuing.backend.published_keys().unwrap()["keys"].as_array().unwrap().len();
    assert_eq!((kids(&issuing), crate::issue::keys::found(issuing.dir.path()).unwrap()), (2, vec![rotated.key.kid]));
    issuing.world.clock.step_wall_ms(86_400_000 + 60_000);
    assert_eq!(states(&issuing), [(Algorithm::EdDSA, Retired), (Algorithm::ES256, Signing)]);
    assert_eq!(kids(&issuing), 1);

    let actions = issuing.world.store.audit().list(0, 100).unwrap();
    let of_keys = |entry: &&crate::store::ChainedEvent| entry.event.subject == Subject::SigningKeys;
    let actions: Vec<_> = actions.iter().filter(of_keys).map(|entry| entry.event.action).collect();
    assert_eq!(actions, [Action::TokenKeyAdded, Action::TokenKeyRetired, Action::TokenKeyAdded]);
}

#[test]
fn a_leaked_key_is_refused_at_once_also_one_that_was_on_its_way_out() {
    let issuing = issuing();
    let first = issuing.plain();
    issuing.admin.rotate_signing_key(Algorithm::EdDSA, false).unwrap();
    let second = issuing.plain();
    issuing.admin.rotate_signing_key(Algorithm::EdDSA, true).unwrap();
    for token in [&first, &second] {
        assert_eq!(failed(&issuing.inspect(token)).unwrap().0, "key");
    }
    assert!(issuing.inspect(&issuing.plain()).holds());
}

#[test]
fn r4_a_key_that_somebody_else_wrote_signs_and_verifies_nothing_and_is_never_sealed() {
    let issuing = issuing();
    let minted = issuing.plain();
    let kid = issuing.admin.list_signing_keys().unwrap()[0].key.kid.clone();
    issuing.world.store.tamper_signing_key(&kid, |row| row.created_at_ms += 1);
    assert_eq!(states(&issuing), [(Algorithm::EdDSA, SigningKeyState::Forged)]);
    let error = issuing.issue(&TokenRequest::default()).map(drop).unwrap_err();
    assert!(matches!(error, AdminError::TokenKey(_)) && error.to_string().contains("rotate-key"), "{error}");
    assert_eq!(failed(&issuing.inspect(&minted)).unwrap().0, "key");
    assert!(issuing.backend.published_keys().unwrap()["keys"].as_array().unwrap().is_empty());
    issuing.admin.rotate_signing_key(Algorithm::EdDSA, false).unwrap();
    let rows = issuing.world.store.tokens().keys().unwrap().row;
    let genuine: Vec<bool> = rows.iter().map(|row| issuing.key.is_genuine_signing_key(row)).collect();
    assert_eq!(genuine, [false, true]);
    assert!(issuing.inspect(&issuing.plain()).holds());
}

#[test]
fn without_its_file_or_the_key_of_subject_hashes_nothing_is_signed_and_what_to_do_is_said() {
    let issuing = issuing();
    let minted = issuing.plain();
    let rows = issuing.world.store.tokens().keys().unwrap().row;
    let SigningKeyRow { kid, .. } = &rows[0];
    crate::issue::keys::remove(issuing.dir.path(), kid);
    let error = issuing.issue(&TokenRequest::default()).map(drop).unwrap_err().to_string();
    assert!(error.contains("missing") && !error.contains(issuing.dir.path().to_str().unwrap()), "{error}");
    assert!(issuing.inspect(&minted).holds(), "who verifies needs no private half");
    std::fs::remove_file(issuing.dir.path().join("subject.key")).unwrap();
    let error = issuing.issue(&TokenRequest::default()).map(drop).unwrap_err();
    assert!(matches!(error, AdminError::SubjectKey(_)), "{error}");
    assert_eq!(states(&issuing), [(Algorithm::EdDSA, SigningKeyState::KeyMissing)]);
    assert_eq!(issuing.admin.token(minted.token.jti.id()).unwrap().state, TokenState::KeyMissing);
    let revoked = issuing.admin.revoke_token(None, &TokenRef::Id(minted.token.jti.id())).unwrap();
    assert!(!revoked.1, "taking back needs no key");
}
