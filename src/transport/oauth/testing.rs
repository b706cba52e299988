//! The endpoints over the store in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::admin::{Backend, Caller, TokenRules};
use crate::authenticate::testing::{OWN_AUDIENCE, World};
use crate::authenticate::{Gate, Health};
use crate::clock::{Clock, SystemEntropy};
use crate::domain::event::Actor;
use crate::domain::{Algorithm, LlmGrants};
use crate::transport::admin::Office;
use crate::transport::oauth::{Oauth, Settings};

/// A process that serves.
pub struct Desk {
    pub gate: Arc<Gate>,
    pub backend: Mutex<Option<Backend>>,
}

impl Office for Desk {
    fn backend(&self) -> Option<Backend> {
        self.backend.lock().unwrap().clone()
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

/// With a key that signs tokens of this issuer.
pub fn endpoints(world: &World, issuer: &str, issues_per_minute: u32) -> (Arc<Desk>, Oauth) {
    let rules = TokenRules {
        key_dir: world.files.path().to_owned(),
        issuer: issuer.to_owned(),
        audience: OWN_AUDIENCE.to_owned(),
        ttl_s: 900,
        max_ttl_s: 3_600,
        most: 100,
    };
    let (store, clock) = (Arc::clone(&world.store) as _, Arc::clone(&world.clock) as Arc<dyn Clock>);
    let (keyring, entropy) = (Arc::clone(&world.keyring), Arc::new(SystemEntropy));
    let backend = Backend::new(store, keyring, Arc::clone(&clock), entropy, LlmGrants::Required);
    let backend = backend.with_subject_key(world.files.path().join("subject.key")).with_tokens(rules);
    let admin = backend.admin(Caller::unbound_owner(Actor::Local { uid: 1 }));
    admin.rotate_signing_key(Algorithm::EdDSA, false).unwrap();
    let gate = Arc::new(Gate::opening(Arc::clone(&world.metrics)));
    gate.open(Arc::clone(&world.authenticator), Vec::new());
    let desk = Arc::new(Desk { gate, backend: Mutex::new(Some(backend)) });
    let oauth = Oauth::new(Arc::clone(&desk) as _, clock, Settings { issues_per_minute });
    (desk, oauth)
}
