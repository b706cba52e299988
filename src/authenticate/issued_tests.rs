//! Tokens that we sign for a key: never more than it, and gone with it.

use serde_json::{Value, json};

use super::*;
use crate::authenticate::testing::{OWN_AUDIENCE, OWN_ISSUER};
use crate::domain::credential::{RevocationReason, Status};
use crate::domain::token::content_hash;
use crate::domain::{Algorithm, CredentialId, IssuedToken, JtiHash, LlmId, SigningKeyRow, Subject, TenantStatus};
use crate::store::{Credentials, Tokens};

fn kid() -> &'static str {
    "own-1"
}

impl World {
    /// Makes our signing key known; `shape` may change its row before it is sealed.
    fn own_key(&self, signer: &Signer, shape: impl FnOnce(&mut SigningKeyRow)) {
        let mut row = SigningKeyRow {
            kid: signer.kid.into(),
            algorithm: Algorithm::EdDSA,
            public_jwk: signer.jwk().to_string(),
            created_at_ms: 1,
            retires_at_ms: None,
            mac: [0; 32],
        };
        shape(&mut row);
        row.mac = self.seals.signing_key_mac(&row);
        Tokens::put_keys(&*self.store, &[row], vec![event()]).unwrap();
    }

    /// A token of a key, its row kept; `shape` may change the row before it is sealed.
    fn token(
        &self,
        signer: &Signer,
        parent: CredentialId,
        more: &Value,
        shape: impl FnOnce(&mut IssuedToken),
    ) -> Secret<CredentialText> {
        let row = Credentials::by_id(&*self.store, TENANT, parent).unwrap().unwrap();
        let now = seconds(self);
        let mut claims = json!({
            "iss": OWN_ISSUER, "aud": OWN_AUDIENCE, "sub": parent.to_string(), "client_id": parent.to_string(),
            "iat": now, "exp": now + 600, "jti": "t-1", "scope": "chat", "lk_gen": row.generation.0.to_string(),
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let mut kept = IssuedToken {
            jti: JtiHash::of(OWN_ISSUER, claims["jti"].as_str().unwrap()),
            tenant: TENANT,
            credential: parent,
            parent: row.generation,
            content: content_hash(claims.to_string().as_bytes()),
            issued_at_ms: now * 1_000,
            expires_at_ms: (now + 600) * 1_000,
            revoked_at_ms: None,
            mac: [0; 32],
        };
        shape(&mut kept);
        kept.mac = self.seals.token_mac(&kept);
        Tokens::issue(&*self.store, &kept, 100, event().into()).unwrap();
        Secret::new(signer.sign_as("at+jwt", &claims).into_bytes())
    }
}

fn signing() -> (World, Signer) {
    let (world, signer) = (World::new(), Signer::new(7, kid()));
    world.own_key(&signer, |_| {});
    (world, signer)
}

async fn told(world: &World, token: &Secret<CredentialText>) -> Vec<(&'static str, String)> {
    let attempt = testing::attempt();
    let answer = world.authenticator.authenticate(token, &attempt, |decision| match decision {
        Decision::Grant(grant) => grant.claims().to_vec(),
        Decision::Deny(denial) => panic!("{:?}", denial.reason()),
    });
    answer.await
}

fn claim<'a>(told: &'a [(&'static str, String)], name: &str) -> Option<&'a str> {
    told.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn r15_a_token_acts_as_its_key_does_within_what_both_may() {
    let (world, signer) = signing();
    let (id, _) = world.issue(|row| row.scopes = vec!["chat".into(), "embed".into()]);
    let token = world.token(&signer, id, &json!({"scope": "chat other"}), |_| {});
    let first = told(&world, &token).await;
    assert_eq!(claim(&first, "credential_kind"), Some("jwt"));
    assert_eq!(claim(&first, "credential_id"), Some(id.to_string().as_str()));
    assert_eq!(claim(&first, "scopes"), Some("chat"), "what the key has not it has not");
    let none = world.token(&signer, id, &json!({"scope": "", "jti": "t-2"}), |_| {});
    assert_eq!(claim(&told(&world, &none).await, "scopes"), Some(""), "none is none, not its key's");
}

#[tokio::test]
async fn r15_a_token_dies_with_its_key_at_once_cold_and_warm() {
    type Change = fn(&World, CredentialId);
    let changes: [(Change, Reason); 6] = [
        (
            |w, id| {
                w.change_credential(id, |row| {
                    row.status = Status::Revoked { at_ms: 1, reason: RevocationReason::KeyCompromise };
                });
            },
            Reason::TokenSuperseded,
        ),
        (|w, id| w.change_credential(id, |row| row.scopes.clear()), Reason::TokenSuperseded),
        (|w, _| w.change_tenant(|t| t.status = TenantStatus::Suspended), Reason::TenantSuspended),
        (|w, _| w.change_app(|a| a.active = false), Reason::AppInactive),
        (|w, _| w.change_user(|u| u.active = false), Reason::UserInactive),
        (
            |w, _| Tokens::revoke(&*w.store, TENANT, JtiHash::of(OWN_ISSUER, "t-1"), 5, event()).unwrap(),
            Reason::Revoked,
        ),
    ];
    for (change, reason) in changes {
        let (world, signer) = signing();
        let (id, key) = world.issue(|_| {});
        let token = world.token(&signer, id, &json!({}), |_| {});
        assert_eq!(world.ask(&token).await, Ok(7));
        change(&world, id);
        assert_eq!(world.ask(&token).await, Err(reason), "warm: effective for the very next request");
        world.authenticator.cache.clear();
        assert_eq!(world.ask(&token).await, Err(reason), "cold");
        if reason == Reason::Revoked {
            assert_eq!(world.ask(&key).await, Ok(7), "the key is another matter");
        }
    }
}

#[tokio::test]
async fn r15_after_a_rotation_a_token_lives_out_its_keys_grace_and_no_longer() {
    let (world, signer) = signing();
    let (id, _) = world.issue(|_| {});
    let token = world.token(&signer, id, &json!({}), |_| {});
    let grace_until_ms = world.clock.wall_ms() + 60_000;
    world.rotate(id, grace_until_ms);
    assert_eq!(world.ask(&token).await, Ok(7));
    assert_eq!(claim(&told(&world, &token).await, "expires_at"), Some(crate::clock::rfc3339(grace_until_ms).as_str()));
    world.clock.advance(Duration::from_secs(60));
    world.authenticator.feed.check(&*world.store).unwrap();
    assert_eq!(world.ask(&token).await, Err(Reason::GraceEnded));
}

#[tokio::test]
async fn r15_what_a_change_ended_no_rotation_brings_back_and_a_change_in_the_grace_ends_the_rest() {
    let (world, signer) = signing();
    let (id, _) = world.issue(|_| {});
    let (before, grace_until_ms) = (world.token(&signer, id, &json!({}), |_| {}), world.clock.wall_ms() + 60_000);
    world.change_credential(id, |row| row.cidrs = vec!["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(world.ask(&before).await, Err(Reason::TokenSuperseded));
    world.change_credential(id, |row| row.cidrs.clear());
    let after = world.token(&signer, id, &json!({"jti": "t-2"}), |_| {});
    world.rotate(id, grace_until_ms);
    assert_eq!(world.ask(&before).await, Err(Reason::Revoked));
    assert_eq!(world.ask(&after).await, Ok(7));
    world.change_credential(id, |row| row.label = "narrowed".into());
    assert_eq!(world.ask(&after).await, Err(Reason::Revoked));
}

#[tokio::test]
async fn r15_the_keys_addresses_bind_its_tokens() {
    let (world, signer) = signing();
    let (id, _) = world.issue(|row| row.cidrs = vec!["192.0.2.0/24".parse().unwrap()]);
    let token = world.token(&signer, id, &json!({}), |_| {});
    let from = |remote: &str| Attempt { remote: remote.parse().ok(), ..testing::attempt() };
    assert_eq!(world.ask_with(&token, &from("192.0.2.1")).await, Ok(7));
    assert_eq!(world.ask_with(&token, &from("198.51.100.1")).await, Err(Reason::AddressNotAllowed));
    assert_eq!(world.ask_with(&token, &from("-")).await, Err(Reason::AddressNotAllowed));
}

#[tokio::test]
async fn r15_a_token_for_fewer_llms_is_for_no_others_whatever_the_policy() {
    for unchecked in [false, true] {
        let local = if unchecked { crate::domain::LlmGrants::Unchecked } else { crate::domain::LlmGrants::Required };
        let world = World::with(Settings { llm_grants: local, ..Settings::default() });
        world.change_tenant(|tenant| tenant.llm_grants = local);
        let signer = Signer::new(7, kid());
        world.own_key(&signer, |_| {});
        let (id, _) = world.issue(|_| {});
        let ask = async |llms: Value, jti: &str, id_asked: Option<u32>, slug: Option<&str>| {
            let token = world.token(&signer, id, &json!({"lk_llms": llms, "jti": jti}), |_| {});
            let llm = RequestedLlm { id: id_asked.and_then(LlmId::new), slug };
            world.ask_with(&token, &Attempt { llm, ..testing::attempt() }).await
        };
        assert_eq!(ask(json!([4]), "a", Some(4), None).await, Ok(7));
        assert_eq!(ask(json!([4]), "b", Some(3), Some("gpt")).await, Err(Reason::LlmNotGranted));
        assert_eq!(ask(json!([4]), "c", None, Some("gpt")).await, Err(Reason::LlmNotGranted));
        assert_eq!(ask(json!([3]), "d", None, Some("gpt")).await, Ok(7));
        assert_eq!(ask(json!([]), "e", Some(3), None).await, Err(Reason::LlmNotGranted), "none is none");
        assert_eq!(ask(json!(["3"]), "f", Some(3), None).await, Err(Reason::JwtClaims));
        assert_eq!(ask(json!([4]), "g", None, None).await, Err(Reason::LlmMissing));
        assert!(ask(json!([9]), "h", None, Some("unknown")).await.is_err());
    }
}

#[tokio::test]
async fn who_has_a_signing_key_alone_mints_nothing() {
    let (world, signer) = signing();
    let (id, _) = world.issue(|row| row.scopes = vec!["chat".into(), "admin".into()]);
    let token = world.token(&signer, id, &json!({}), |_| {});
    assert_eq!(world.ask(&token).await, Ok(7));
    // The same jti, other claims; and a jti that nobody keeps.
    let row = Credentials::by_id(&*world.store, TENANT, id).unwrap().unwrap();
    let now = seconds(&world);
    for jti in ["t-1", "t-99"] {
        let claims = json!({
            "iss": OWN_ISSUER, "aud": OWN_AUDIENCE, "sub": id.to_string(), "client_id": id.to_string(), "iat": now,
            "exp": now + 86_000, "jti": jti, "scope": "admin", "lk_gen": row.generation.0.to_string(),
        });
        let minted = Secret::new(signer.sign_as("at+jwt", &claims).into_bytes());
        assert_eq!(world.ask(&minted).await, Err(Reason::TokenUnknown), "{jti}");
    }
    // Of another key than its row says.
    let (other, _) = world.issue(|_| {});
    let stolen = world.token(&signer, id, &json!({"jti": "t-3", "sub": other.to_string()}), |_| {});
    assert_eq!(world.ask(&stolen).await, Err(Reason::TokenUnknown));
}

#[tokio::test]
async fn r4_a_token_or_a_signing_key_that_nobody_with_the_key_wrote_is_believed_by_nobody() {
    let (world, signer) = signing();
    let (id, _) = world.issue(|_| {});
    let token = world.token(&signer, id, &json!({}), |_| {});
    let forger = Signer::new(8, "forged");
    let mut row = SigningKeyRow {
        kid: forger.kid.into(),
        algorithm: Algorithm::EdDSA,
        public_jwk: forger.jwk().to_string(),
        created_at_ms: 2,
        retires_at_ms: None,
        mac: [3; 32],
    };
    let ours = Tokens::keys(&*world.store).unwrap().row;
    Tokens::put_keys(&*world.store, &[ours[0].clone(), row.clone()], vec![event()]).unwrap();
    let minted = world.token(&forger, id, &json!({"jti": "t-2"}), |_| {});
    assert_eq!(world.ask(&minted).await, Err(Reason::TokenForged));
    row.mac = world.seals.signing_key_mac(&row);
    assert_eq!(world.ask(&token).await, Ok(7));
}

#[tokio::test]
async fn a_key_that_is_retired_ends_what_it_signed_cached_or_not() {
    let (world, signer) = signing();
    let (id, _) = world.issue(|_| {});
    let token = world.token(&signer, id, &json!({}), |_| {});
    assert_eq!(world.ask(&token).await, Ok(7));
    let retires = world.clock.wall_ms() + 10_000;
    world.own_key(&signer, |row| row.retires_at_ms = Some(retires));
    assert_eq!(world.ask(&token).await, Ok(7));
    world.clock.advance(Duration::from_secs(10));
    world.authenticator.feed.check(&*world.store).unwrap();
    assert_eq!(world.ask(&token).await, Err(Reason::Expired), "warm");
    world.authenticator.cache.clear();
    assert_eq!(world.ask(&token).await, Err(Reason::JwtKeyUnknown), "cold");
    // At once, where it was stolen.
    let (world, signer) = signing();
    let (id, _) = world.issue(|_| {});
    let token = world.token(&signer, id, &json!({}), |_| {});
    assert_eq!(world.ask(&token).await, Ok(7));
    world.own_key(&signer, |row| row.retires_at_ms = Some(0));
    assert_eq!(world.ask(&token).await, Err(Reason::JwtKeyUnknown));
}

#[tokio::test]
async fn c4_our_own_tokens_have_our_type_audience_and_no_leeway() {
    let (world, signer) = signing();
    let (id, _) = world.issue(|_| {});
    let now = seconds(&world);
    for (more, reason) in [
        (json!({"jti": "a", "aud": "other"}), Reason::JwtClaims),
        (json!({"jti": "b", "exp": now, "iat": now - 60}), Reason::Expired),
        (json!({"jti": "c", "iat": now + 1}), Reason::JwtClaims),
        (json!({"jti": "d", "cnf": {"jkt": "x"}}), Reason::JwtClaims),
    ] {
        let token = world.token(&signer, id, &more, |_| {});
        assert_eq!(world.ask(&token).await, Err(reason), "{more}");
    }
}

#[tokio::test]
async fn r11_a_token_that_is_denied_here_is_denied() {
    let (world, signer) = signing();
    let (id, key) = world.issue(|_| {});
    let token = world.token(&signer, id, &json!({}), |_| {});
    assert_eq!(world.ask(&token).await, Ok(7));
    let subject = Subject::Token(JtiHash::of(OWN_ISSUER, "t-1").id());
    assert!(world.authenticator.denied.deny(subject, crate::authenticate::denied::By::Admin));
    assert_eq!(world.ask(&token).await, Err(Reason::DeniedHere));
    assert_eq!(world.ask(&key).await, Ok(7));
}
