//! What of the pages needs a clock or a store in a test's hand.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::authenticate::denied::By;
use crate::authenticate::testing::World;
use crate::authenticate::{Gate, Health};
use crate::clock::SystemEntropy;
use crate::domain::event::Actor;
use crate::domain::{LlmGrants, TenantId};

struct Here {
    backend: Option<Backend>,
    gate: Arc<Gate>,
}

impl Office for Here {
    fn backend(&self) -> Option<Backend> {
        self.backend.clone()
    }
    fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }
    fn serves(&self) -> bool {
        true
    }
    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
    fn health(&self) -> Health {
        self.gate.health()
    }
}

struct Stage {
    world: World,
    backend: Backend,
    gate: Arc<Gate>,
    pages: Pages,
}

fn stage() -> Stage {
    let world = World::new();
    let gate = Arc::new(Gate::opening(Arc::clone(&world.metrics)));
    gate.open(Arc::clone(&world.authenticator), Vec::new());
    let (store, keyring) = (Arc::clone(&world.store) as _, Arc::clone(&world.keyring));
    let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
    let backend = Backend::new(store, keyring, Arc::clone(&clock), Arc::new(SystemEntropy), LlmGrants::Required);
    let office = Here { backend: Some(backend.clone()), gate: Arc::clone(&gate) };
    let pages = Pages::new(Arc::new(office), clock, Arc::new(SystemEntropy));
    Stage { world, backend, gate, pages }
}

impl Stage {
    async fn studio(&self, method: &str, payload: Value) -> Value {
        let way = Way::Studio(StudioSettings { tenants: vec!["acme".to_owned()], role: Role::Auditor });
        self.told(Page::Studio, way, method, payload).await
    }

    async fn portal(&self, user: u32, method: &str) -> Value {
        self.told(Page::Portal, Way::Portal(user), method, json!({})).await
    }

    async fn told(&self, page: Page, way: Way, method: &str, payload: Value) -> Value {
        let answer = self.pages.answer(find(page, method).unwrap(), way, Payload::new(payload.to_string())).await;
        serde_json::from_str(&answer).unwrap()
    }

    /// A session of a new owner, and who that is.
    #[expect(clippy::disallowed_methods, reason = "tests present what they minted")]
    async fn raised(&self, name: &str) -> (String, CredentialId) {
        let admin = self.backend.admin(Caller::unbound_owner(Actor::Local { uid: 1 }));
        let issued = admin.add_owner(name).unwrap();
        let token = String::from_utf8(issued.token.expose().to_vec()).unwrap();
        let answer = self.studio("raise", json!({ "operator_token": token })).await;
        (answer["session"].as_str().unwrap().to_owned(), issued.operator.id)
    }
}

fn reason(answer: &Value) -> &str {
    answer["error"]["reason"].as_str().unwrap_or("none")
}

#[tokio::test]
async fn r18_a_raised_session_ends_five_minutes_after_it_began() {
    let stage = stage();
    let (session, _) = stage.raised("ann").await;
    let asked = || json!({ "session": session });
    for _ in 0..2 {
        assert_eq!(stage.studio("get_caller", asked()).await["every_tenant"], true);
        stage.world.clock.advance(Duration::from_secs(149));
    }
    assert_eq!(stage.studio("get_caller", asked()).await["role"], "issuer");
    // Set back by a day, for all that it helps.
    stage.world.clock.step_wall_ms(-86_400_000);
    stage.world.clock.advance(Duration::from_secs(2));
    assert_eq!(reason(&stage.studio("get_caller", asked()).await), "SESSION_ENDED");
    assert_eq!(reason(&stage.studio("lower", asked()).await), "SESSION_ENDED");
}

#[tokio::test]
async fn r11_who_is_denied_here_asks_nothing_through_a_page() {
    let stage = stage();
    let (session, ann) = stage.raised("ann").await;
    assert_eq!(reason(&stage.portal(9, "list_apps").await), "none");
    for subject in [Subject::User(UserId::new(9).unwrap()), Subject::Tenant(tenant(&stage))] {
        stage.gate.denied().deny(subject, By::Admin);
        assert_eq!(reason(&stage.portal(9, "list_apps").await), "FORBIDDEN", "{subject:?}");
        stage.gate.denied().lift(subject, By::Admin);
    }
    stage.gate.denied().deny(Subject::Operator(ann), By::Admin);
    assert_eq!(reason(&stage.studio("get_caller", json!({ "session": session })).await), "SESSION_ENDED");
    stage.gate.denied().lift(Subject::Operator(ann), By::Admin);
    let again = stage.studio("get_caller", json!({ "session": session })).await;
    assert_eq!(reason(&again), "SESSION_ENDED", "for good");
}

fn tenant(stage: &Stage) -> TenantId {
    stage.backend.admin(Caller::unbound_owner(Actor::System)).tenant("acme").unwrap().id
}

#[tokio::test]
async fn without_a_store_a_page_is_told_so_at_once() {
    let gate = Arc::new(Gate::closed(Arc::clone(&World::new().metrics), Vec::new()));
    let office = Arc::new(Here { backend: None, gate });
    let pages = Pages::new(office, Arc::new(crate::clock::SystemClock), Arc::new(SystemEntropy));
    let method = find(Page::Portal, "list_apps").unwrap();
    let answer = pages.answer(method, Way::Portal(9), Payload::new(String::new())).await;
    assert!(answer.contains("NOT_READY"), "{}", *answer);
}
