//! JWTs of outside issuers, over the in-memory store with a clock in hand.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::authenticate::testing::{TENANT, World, event};
use crate::domain::issuer::{ClaimPath, FirstUse, Half, Identity, Issuer, KeySource, TokenRules};
use crate::domain::{
    Algorithm, AppId, Generation, IssuerId, Link, LinkId, Subject, Tenant, TenantId, TenantStatus, UserId,
};
use crate::store::{Apps, Issuers, Links, Page, Sharing, Tenants, Users};

pub(super) const ISS: &str = "https://idp.example";

/// Signs as an issuer does.
pub(super) struct Signer {
    pair: Ed25519KeyPair,
    pub(super) kid: &'static str,
}

impl Signer {
    pub(super) fn new(seed: u8, kid: &'static str) -> Self {
        Self { pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(), kid }
    }

    pub(super) fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "alg": "EdDSA", "use": "sig"})
    }

    pub(super) fn jwks(&self) -> String {
        json!({"keys": [self.jwk()]}).to_string()
    }

    pub(super) fn sign_as(&self, typ: &str, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": self.kid, "typ": typ})), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }

    pub(super) fn sign(&self, claims: &Value) -> Secret<CredentialText> {
        Secret::new(self.sign_as("JWT", claims).into_bytes())
    }
}

fn path(text: &str) -> ClaimPath {
    ClaimPath::parse(text).unwrap()
}

pub(super) fn seconds(world: &World) -> i64 {
    world.clock.wall_ms() / 1_000
}

/// The claims of a good token; User 9.
fn claims(world: &World) -> Value {
    let now = seconds(world);
    json!({"iss": ISS, "aud": "gateway", "sub": "9", "iat": now, "exp": now + 600, "scope": "chat embed"})
}

fn mapped() -> Identity {
    Identity::Mapped { app: Half::Fixed(AppId::new(7).unwrap()), user: Half::Claim(path("sub")) }
}

fn issuer(id: u8, signer: &Signer, identity: Identity) -> Issuer {
    Issuer {
        id: IssuerId::from_bytes([id; 16]),
        tenant: TENANT,
        rules: TokenRules {
            iss: ISS.into(),
            audiences: vec!["gateway".into()],
            algorithms: vec![Algorithm::EdDSA],
            types: vec!["at+jwt".into(), "jwt".into()],
            leeway_s: 30,
            max_age_s: None,
            required: Vec::new(),
        },
        keys: KeySource::Keys(signer.jwks()),
        identity,
        scope_claim: path("scope"),
        strict: false,
        waivers: Vec::new(),
        active: true,
        created_by: "test".into(),
        created_at_ms: 1,
        generation: Generation(1),
        mac: [0; 32],
    }
}

impl World {
    fn trust(&self, mut issuer: Issuer) {
        issuer.mac = self.seals.issuer_mac(&issuer);
        Issuers::add(&*self.store, &issuer, Sharing::Allowed, event().into()).unwrap();
    }

    fn change_issuer(&self, id: u8, change: impl FnOnce(&mut Issuer)) {
        let mut row = Issuers::by_id(&*self.store, TENANT, IssuerId::from_bytes([id; 16])).unwrap().unwrap();
        let expected = row.generation;
        change(&mut row);
        row.generation = Generation(expected.0 + 1);
        row.mac = self.seals.issuer_mac(&row);
        Issuers::update(&*self.store, &row, expected, Sharing::Allowed, event()).unwrap();
    }

    fn link(&self, id: u8, subject: &str) -> Link {
        let mut link = Link {
            tenant: TENANT,
            id: LinkId::from_bytes([id; 16]),
            issuer: ISS.into(),
            subject: self.seals.hash(TENANT, ISS, subject),
            app: AppId::new(7).unwrap(),
            user: UserId::new(9).unwrap(),
            created_at_ms: 1,
            generation: Generation(1),
            mac: [0; 32],
        };
        link.mac = self.seals.link_mac(&link);
        link
    }
}

/// A world that trusts one issuer, and its signer.
fn trusting(identity: Identity) -> (World, Signer) {
    let (world, signer) = (World::new(), Signer::new(1, "k1"));
    world.trust(issuer(1, &signer, identity));
    (world, signer)
}

fn with(mut claims: Value, name: &str, value: impl Into<Value>) -> Value {
    claims[name] = value.into();
    claims
}

#[tokio::test]
async fn a_good_token_is_granted_as_the_app_and_user_that_its_issuer_says() {
    let (world, signer) = trusting(mapped());
    let token = signer.sign(&claims(&world));
    let attempt = testing::attempt();
    let told = world.authenticator.authenticate(&token, &attempt, |decision| match decision {
        Decision::Grant(grant) => (grant.app_id().get(), grant.user_id().get(), grant.claims().to_vec()),
        Decision::Deny(denial) => panic!("{:?}", denial.reason()),
    });
    let (app, user, told) = told.await;
    assert_eq!((app, user), (7, 9));
    let claim = |name: &str| told.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    assert_eq!(claim("credential_kind"), Some("jwt"));
    assert_eq!((claim("tenant"), claim("scopes"), claim("issuer")), (Some("acme"), Some("chat embed"), Some(ISS)));
    assert_eq!(claim("credential_id"), Some(IssuerId::from_bytes([1; 16]).to_string().as_str()));
    assert_eq!(world.authenticator.cached(), 1);
}

#[tokio::test]
async fn whatever_a_token_rests_on_ends_it_at_once_cold_and_warm() {
    type Change = fn(&World);
    let changes: [(Change, Reason); 9] = [
        (|w| w.change_tenant(|t| t.status = TenantStatus::Suspended), Reason::TenantSuspended),
        (|w| w.change_app(|a| a.active = false), Reason::AppInactive),
        (|w| w.change_app(|a| a.llms.clear()), Reason::LlmNotGranted),
        (|w| w.change_user(|u| u.active = false), Reason::UserInactive),
        (World::remove_app, Reason::AppUnknown),
        (World::remove_user, Reason::UserUnknown),
        (|w| w.change_issuer(1, |i| i.active = false), Reason::IssuerInactive),
        (|w| w.change_issuer(1, |i| i.rules.audiences = vec!["other".into()]), Reason::IssuerUnknown),
        (
            |w| Issuers::remove(&*w.store, TENANT, IssuerId::from_bytes([1; 16]), event()).unwrap(),
            Reason::IssuerUnknown,
        ),
    ];
    for (change, reason) in changes {
        let (world, signer) = trusting(mapped());
        let token = signer.sign(&claims(&world));
        assert_eq!(world.ask(&token).await, Ok(7));
        change(&world);
        assert_eq!(world.ask(&token).await, Err(reason), "warm: effective for the very next request");
        world.authenticator.cache.clear();
        assert_eq!(world.ask(&token).await, Err(reason), "cold");
    }
}

#[tokio::test]
async fn c3_a_token_that_was_cached_ends_with_the_token() {
    let (world, signer) = trusting(mapped());
    let token = signer.sign(&with(claims(&world), "exp", seconds(&world) + 60));
    assert_eq!(world.ask(&token).await, Ok(7));
    world.clock.advance(Duration::from_millis(60_000 + 29_999));
    world.authenticator.feed.check(&*world.store).unwrap();
    assert_eq!(world.ask(&token).await, Ok(7), "within the leeway");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.ask(&token).await, Err(Reason::Expired));
}

#[tokio::test]
async fn c3_the_greatest_age_ends_a_cached_token_too() {
    let (world, signer) = trusting(mapped());
    world.change_issuer(1, |row| row.rules.max_age_s = Some(100));
    let token = signer.sign(&claims(&world));
    assert_eq!(world.ask(&token).await, Ok(7));
    world.clock.advance(Duration::from_secs(130));
    world.authenticator.feed.check(&*world.store).unwrap();
    assert_eq!(world.ask(&token).await, Ok(7), "its last moment");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.ask(&token).await, Err(Reason::Expired));
}

#[tokio::test]
async fn an_issuer_that_is_trusted_later_is_believed_from_then_on() {
    let (world, signer) = (World::new(), Signer::new(1, "k1"));
    let token = signer.sign(&claims(&world));
    assert_eq!(world.ask(&token).await, Err(Reason::IssuerUnknown));
    assert_eq!(world.ask(&token).await, Err(Reason::IssuerUnknown), "remembered");
    world.trust(issuer(1, &signer, mapped()));
    assert_eq!(world.ask(&token).await, Ok(7));
}

#[tokio::test]
async fn r4_a_row_that_nobody_with_the_key_wrote_is_believed_by_nobody() {
    let (world, signer) = (World::new(), Signer::new(1, "k1"));
    let mut row = issuer(1, &signer, mapped());
    row.mac = world.seals.issuer_mac(&row);
    row.identity =
        Identity::Mapped { app: Half::Fixed(AppId::new(7).unwrap()), user: Half::Fixed(UserId::new(9).unwrap()) };
    Issuers::add(&*world.store, &row, Sharing::Allowed, event().into()).unwrap();
    assert_eq!(world.ask(&signer.sign(&claims(&world))).await, Err(Reason::IssuerForged));
    let (world, signer) = trusting(Identity::Linked { first_use: None });
    let forged = Link { app: AppId::new(8).unwrap(), ..world.link(1, "ann") };
    let mut other = Apps::by_id(&*world.store, TENANT, AppId::new(7).unwrap()).unwrap().unwrap();
    other.id = AppId::new(8).unwrap();
    Apps::add(&*world.store, &other, event().into()).unwrap();
    Links::add(&*world.store, &forged, event().into()).unwrap();
    assert_eq!(world.ask(&signer.sign(&with(claims(&world), "sub", "ann"))).await, Err(Reason::LinkForged));
}

#[tokio::test]
async fn r5_without_the_key_of_subject_hashes_no_token_is_taken() {
    let (world, signer) = trusting(mapped());
    std::fs::remove_file(world.files.path().join("subject.key")).unwrap();
    assert_eq!(world.ask(&signer.sign(&claims(&world))).await, Err(Reason::SubjectKeyMissing));
}

#[tokio::test]
async fn r16_a_token_that_two_issuers_could_have_made_is_refused() {
    let (world, signer) = trusting(mapped());
    let mut second = issuer(2, &signer, mapped());
    second.rules.audiences = vec!["other".into()];
    let both = signer.sign(&with(claims(&world), "aud", json!(["gateway", "other"])));
    assert_eq!(world.ask(&both).await, Ok(7), "there is one");
    world.trust(second);
    assert_eq!(world.ask(&both).await, Err(Reason::IssuerAmbiguous));
    assert_eq!(world.ask(&signer.sign(&claims(&world))).await, Ok(7));
}

#[tokio::test]
async fn c4_the_same_kid_under_two_issuers_is_two_keys() {
    let (world, signer) = trusting(mapped());
    let (other, second) = (Signer::new(2, "k1"), "https://other.example");
    let mut row = issuer(2, &other, mapped());
    row.rules.iss = second.into();
    world.trust(row);
    assert_eq!(world.ask(&other.sign(&with(claims(&world), "iss", second))).await, Ok(7));
    assert_eq!(world.ask(&other.sign(&claims(&world))).await, Err(Reason::JwtSignature));
    assert_eq!(world.ask(&signer.sign(&with(claims(&world), "iss", second))).await, Err(Reason::JwtSignature));
}

#[tokio::test]
async fn what_a_claim_maps_to_is_a_decimal_and_the_tenants_own() {
    let (world, signer) = trusting(mapped());
    let other = Tenant {
        id: TenantId::from_bytes([8; 16]),
        slug: "globex".into(),
        ..Tenants::by_id(&*world.store, TENANT).unwrap().unwrap()
    };
    Tenants::create(&*world.store, &other, event().into()).unwrap();
    let mut user = Users::by_id(&*world.store, TENANT, UserId::new(9).unwrap()).unwrap().unwrap();
    (user.tenant, user.id) = (other.id, UserId::new(20).unwrap());
    Users::add(&*world.store, &user, event().into()).unwrap();
    for (value, expected) in [
        (json!("9"), Ok(7)),
        (json!(20), Err(Reason::JwtClaims)),
        (json!("20"), Err(Reason::UserUnknown)),
        (json!("009"), Err(Reason::ClaimUnusable)),
        (json!("+9"), Err(Reason::ClaimUnusable)),
        (json!(" 9"), Err(Reason::ClaimUnusable)),
        (json!("0"), Err(Reason::ClaimUnusable)),
        (json!("4294967296"), Err(Reason::ClaimUnusable)),
        (json!("ann"), Err(Reason::ClaimUnusable)),
    ] {
        assert_eq!(world.ask(&signer.sign(&with(claims(&world), "sub", value.clone()))).await, expected, "{value}");
    }
    world.change_issuer(1, |row| {
        let (app, user) = (Half::Claim(path("lk.app")), Half::Claim(path("lk.user")));
        row.identity = Identity::Mapped { app, user };
    });
    for (value, expected) in [
        (json!({"app": 7, "user": 9}), Ok(7)),
        (json!({"app": "7", "user": "9"}), Ok(7)),
        (json!({"app": 7.0, "user": 9}), Err(Reason::ClaimUnusable)),
        (json!({"app": -7, "user": 9}), Err(Reason::ClaimUnusable)),
        (json!({"app": 7}), Err(Reason::ClaimUnusable)),
        (json!([7, 9]), Err(Reason::ClaimUnusable)),
        (json!({"app": [7], "user": 9}), Err(Reason::ClaimUnusable)),
    ] {
        assert_eq!(world.ask(&signer.sign(&with(claims(&world), "lk", value.clone()))).await, expected, "{value}");
    }
}

#[tokio::test]
async fn c36_scopes_are_those_of_rfc_6749_or_the_token_is_refused() {
    let (world, signer) = trusting(mapped());
    for (value, good) in [
        (json!(""), true),
        (json!(["a", "b"]), true),
        (json!("a  b"), false),
        (json!("a\r\nX-Admin: 1"), false),
        (json!("a,b"), true),
        (json!(["a b"]), false),
        (json!(["a", 1]), false),
        (json!({"a": 1}), false),
        (json!("\"a\""), false),
        (json!("é"), false),
        (json!("x".repeat(129)), false),
        (json!(vec!["x"; 65]), false),
    ] {
        let asked = world.ask(&signer.sign(&with(claims(&world), "scope", value.clone()))).await;
        assert_eq!(asked, if good { Ok(7) } else { Err(Reason::ClaimUnusable) }, "{value}");
    }
}

#[tokio::test]
async fn c5_a_subject_stands_for_whom_its_link_says_within_its_issuer() {
    let (world, signer) = trusting(Identity::Linked { first_use: None });
    let token = signer.sign(&with(claims(&world), "sub", "ann"));
    assert_eq!(world.ask(&token).await, Err(Reason::LinkMissing));
    let link = world.link(1, "ann");
    Links::add(&*world.store, &link, event().into()).unwrap();
    assert_eq!(world.ask(&token).await, Ok(7), "a link that is added counts at once");
    Links::remove(&*world.store, TENANT, link.id, event()).unwrap();
    assert_eq!(world.ask(&token).await, Err(Reason::LinkMissing), "and so does its removal");
    let (other, second) = (Signer::new(2, "k1"), "https://other.example");
    let mut row = issuer(2, &other, Identity::Linked { first_use: None });
    row.rules.iss = second.into();
    world.trust(row);
    Links::add(&*world.store, &link, event().into()).unwrap();
    let same_subject = with(with(claims(&world), "sub", "ann"), "iss", second);
    assert_eq!(world.ask(&other.sign(&same_subject)).await, Err(Reason::LinkMissing));
    let nobody = signer.sign(&{
        let mut claims = claims(&world);
        claims.as_object_mut().unwrap().remove("sub");
        claims
    });
    assert_eq!(world.ask(&nobody).await, Err(Reason::ClaimUnusable));
}

fn first_use(world: &World) -> FirstUse {
    FirstUse {
        app: AppId::new(7).unwrap(),
        user: UserId::new(9).unwrap(),
        allow: vec![(path("groups"), "staff".into())],
        cap: 2,
        until_ms: world.clock.wall_ms() + 60_000,
    }
}

#[tokio::test]
async fn r16_a_first_use_links_whom_the_rule_lets_as_many_as_it_lets_and_until_it_ends() {
    let (world, signer) = (World::new(), Signer::new(1, "k1"));
    world.trust(issuer(1, &signer, Identity::Linked { first_use: Some(first_use(&world)) }));
    let token =
        |subject: &str, groups: Value| signer.sign(&with(with(claims(&world), "sub", subject), "groups", groups));
    let ann = token("ann", json!(["staff", "x"]));
    for groups in [json!("stafff"), json!("Staff"), json!([]), json!(["guest"]), Value::Null, json!({"staff": 1})] {
        assert_eq!(world.ask(&token("ann", groups.clone())).await, Err(Reason::LinkMissing), "{groups}");
    }
    assert_eq!(world.ask(&ann).await, Ok(7));
    let all = |world: &World| Links::list(&*world.store, TENANT, None, &Page { after: None, limit: 10 }).unwrap();
    let links = all(&world);
    assert_eq!(links.len(), 1);
    assert!(world.seals.is_genuine(&links[0]));
    // Once taken out, always out; and it still counts.
    Links::remove(&*world.store, TENANT, links[0].id, event()).unwrap();
    assert_eq!(world.ask(&ann).await, Err(Reason::LinkMissing));
    assert_eq!(world.ask(&token("ann", json!("staff"))).await, Err(Reason::LinkMissing));
    assert_eq!(world.ask(&token("bob", json!("staff"))).await, Ok(7));
    assert_eq!(world.ask(&token("eve", json!("staff"))).await, Err(Reason::LinkMissing), "the cap");
    world.change_issuer(1, |row| {
        row.identity = Identity::Linked { first_use: Some(FirstUse { cap: 10, ..first_use(&world) }) };
    });
    world.clock.advance(Duration::from_millis(59_999));
    world.authenticator.feed.check(&*world.store).unwrap();
    assert_eq!(world.ask(&token("eve", json!("staff"))).await, Ok(7));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.ask(&token("dan", json!("staff"))).await, Err(Reason::LinkMissing), "the end");
}

#[tokio::test]
async fn c7_a_token_that_is_bound_to_a_key_of_its_holder_is_refused_without_the_proof() {
    let (world, signer) = trusting(mapped());
    for cnf in [json!({"jkt": "x"}), json!({"x5t#S256": "x"}), json!({}), Value::Null] {
        assert_eq!(world.ask(&signer.sign(&with(claims(&world), "cnf", cnf))).await, Err(Reason::JwtClaims));
    }
}

#[tokio::test]
async fn r13_a_missing_link_is_looked_for_again_once_anything_could_give_one() {
    let (world, signer) = trusting(Identity::Linked { first_use: None });
    let token = signer.sign(&with(with(claims(&world), "sub", "ann"), "groups", "staff"));
    assert_eq!(world.ask(&token).await, Err(Reason::LinkMissing));
    let rule = first_use(&world);
    world.change_issuer(1, |row| row.identity = Identity::Linked { first_use: Some(rule) });
    assert_eq!(world.ask(&token).await, Ok(7), "the same token, by a rule that is new");
    // More in a second than the process makes: later ones are taken a second later.
    world.change_issuer(1, |row| {
        row.identity = Identity::Linked { first_use: Some(FirstUse { cap: 100, ..first_use(&world) }) };
    });
    let tokens: Vec<_> =
        (0..8).map(|n| signer.sign(&with(with(claims(&world), "sub", format!("s{n}")), "groups", "staff"))).collect();
    let mut linked = 0;
    for token in &tokens {
        linked += usize::from(world.ask(token).await.is_ok());
    }
    assert!(linked < tokens.len(), "{linked}");
    world.clock.advance(Duration::from_secs(1));
    world.authenticator.feed.check(&*world.store).unwrap();
    for token in tokens.iter().skip(5) {
        assert_eq!(world.ask(token).await, Ok(7));
    }
}

#[tokio::test]
async fn r16_nothing_is_linked_by_a_trial_or_by_what_is_refused_all_the_same() {
    type Change = fn(&World);
    let changes: [Change; 3] = [
        |w| w.change_tenant(|t| t.status = TenantStatus::Suspended),
        |w| w.change_app(|a| a.active = false),
        |w| w.change_user(|u| u.active = false),
    ];
    let links =
        |world: &World| Links::list(&*world.store, TENANT, None, &Page { after: None, limit: 9 }).unwrap().len();
    for change in changes {
        let (world, signer) = (World::new(), Signer::new(1, "k1"));
        world.trust(issuer(1, &signer, Identity::Linked { first_use: Some(first_use(&world)) }));
        let good = with(with(claims(&world), "sub", "ann"), "groups", "staff");
        let trial = Attempt { stage: Stage::CommandLine, ..testing::attempt() };
        assert_eq!(world.ask_with(&signer.sign(&good), &trial).await, Err(Reason::LinkMissing));
        let wrong = signer.sign(&with(good.clone(), "scope", "a  b"));
        assert_eq!(world.ask(&wrong).await, Err(Reason::ClaimUnusable));
        change(&world);
        assert!(world.ask(&signer.sign(&good)).await.is_err());
        assert_eq!(links(&world), 0);
    }
}

#[tokio::test]
async fn b4_two_tokens_that_share_all_but_their_end_are_two() {
    let (world, signer) = trusting(mapped());
    let good = signer.sign_as("JWT", &claims(&world));
    assert_eq!(world.ask(&Secret::new(good.clone().into_bytes())).await, Ok(7));
    for at in [good.len() - 1, good.len() - 40, 25] {
        let mut bent = good.clone().into_bytes();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        assert!(world.ask(&Secret::new(bent)).await.is_err(), "{at}");
    }
    // The signature of one under the claims of another.
    let other = signer.sign_as("JWT", &with(claims(&world), "sub", "10"));
    let (message, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    assert_eq!(world.ask(&Secret::new(format!("{message}.{signature}").into_bytes())).await, Err(Reason::JwtSignature));
}

#[tokio::test(start_paused = true)]
async fn r13_every_refusal_of_a_jwt_leaves_at_the_same_time_and_says_the_same() {
    let (world, signer) = trusting(mapped());
    let stranger = Signer::new(3, "k1");
    let refused = [
        signer.sign(&with(claims(&world), "iss", "https://nobody.example")),
        signer.sign(&with(claims(&world), "aud", "other")),
        stranger.sign(&claims(&world)),
        signer.sign(&with(claims(&world), "exp", seconds(&world) - 100)),
        signer.sign(&with(claims(&world), "sub", "10")),
        Secret::new(b"a.b.c".to_vec()),
    ];
    for token in &refused {
        for warm in [false, true] {
            let (attempt, began) = (testing::attempt(), tokio::time::Instant::now());
            let text = world.authenticator.authenticate(token, &attempt, |decision| match decision {
                Decision::Grant(_) => "granted",
                Decision::Deny(denial) => denial.public_text(),
            });
            assert_eq!(text.await, crate::domain::denial::REFUSED);
            assert_eq!(began.elapsed().as_millis(), 5, "{warm}");
        }
    }
}

#[tokio::test]
async fn d10_a_jwt_is_never_tried_as_a_key_nor_a_key_as_a_jwt() {
    let (world, _) = trusting(mapped());
    assert_eq!(world.ask(&Secret::new(b"lk_live_x.y".to_vec())).await, Err(Reason::JwtMalformed));
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_kept_after_it() {
    let (world, signer) = trusting(mapped());
    let token = signer.sign(&claims(&world));
    world.meanwhile(|world| world.change_issuer(1, |row| row.active = false));
    assert_eq!(world.ask(&token).await, Err(Reason::IssuerInactive));
}

#[tokio::test]
async fn r11_what_is_denied_here_is_denied_to_tokens_too() {
    let (world, signer) = trusting(Identity::Linked { first_use: None });
    let link = world.link(1, "ann");
    Links::add(&*world.store, &link, event().into()).unwrap();
    let token = signer.sign(&with(claims(&world), "sub", "ann"));
    for subject in [Subject::Issuer(IssuerId::from_bytes([1; 16])), Subject::Link(link.id)] {
        assert_eq!(world.ask(&token).await, Ok(7));
        assert!(world.authenticator.denied.deny(subject, crate::authenticate::denied::By::Admin));
        assert_eq!(world.ask(&token).await, Err(Reason::DeniedHere));
        world.authenticator.denied.lift(subject, crate::authenticate::denied::By::Admin);
    }
}

#[path = "issued_tests.rs"]
mod issued;
