//! Keys over real connections: first use, rotation, an outage, and a flood while the source hangs. Times and bounds are tested
//! in virtual time, beside the code.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey::clock::{Clock as _, SystemClock, SystemEntropy};
use latchkey::domain::IssuerId;
use latchkey::jwks::{FetchError, Jwks, KeysUnavailable, Nowhere, Settings, Source};
use latchkey::telemetry::metrics::Metrics;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::hostile_http::{Hostile, Step, answer, json};
use crate::{Names, TENANT, outbound, settings};

const SECOND: Duration = Duration::from_secs(1);

/// A set of new Ed25519 keys.
fn set_of(kids: &[&str]) -> String {
    let one = |kid: &&str| {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let x = URL_SAFE_NO_PAD.encode(rcgen::PublicKeyData::der_bytes(&key));
        format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"{x}"}}"#)
    };
    format!(r#"{{"keys":[{}]}}"#, kids.iter().map(one).collect::<Vec<_>>().join(","))
}

/// A server that answers as it is told at the time, and the keys that are fetched from it.
struct World {
    server: Hostile,
    says: Arc<Mutex<Vec<Step>>>,
    jwks: Arc<Jwks>,
    source: Source,
}

impl World {
    async fn new(settings: Settings) -> Self {
        let says = Arc::new(Mutex::new(json(&set_of(&["a"]))));
        let script = Arc::clone(&says);
        let server =
            Hostile::start([127, 0, 0, 1].into(), 0, None, Arc::new(move |_| script.lock().unwrap().clone())).await;
        let source = Source {
            issuer: IssuerId::from_bytes([1; 16]),
            tenant: TENANT,
            url: format!("http://{}/jwks", server.address).into(),
        };
        let from = Arc::new(outbound(settings.clone(), &Arc::new(Names::default())));
        let (clock, metrics) = (Arc::new(SystemClock), Arc::new(Metrics::new(&[("revoked", false)])));
        let (entropy, runtime) = (Arc::new(SystemEntropy), Handle::current());
        let jwks = Jwks::new(settings, from, Arc::new(Nowhere), clock, entropy, metrics, runtime);
        Self { server, says, jwks, source }
    }

    fn says(&self, steps: Vec<Step>) {
        *self.says.lock().unwrap() = steps;
    }

    async fn finds(&self, kid: &str) -> Result<bool, KeysUnavailable> {
        self.jwks.keys(&self.source, Some(kid), 2 * SECOND).await.map(|handle| handle.set().has_kid(kid))
    }
}

fn quick() -> Settings {
    Settings { cooldown: SECOND / 2, ..settings() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c6_keys_come_are_rotated_and_outlive_an_outage() {
    let world = World::new(quick()).await;
    assert_eq!(world.finds("a").await, Ok(true));
    let mark = world.jwks.keys(&world.source, None, SECOND).await.unwrap().mark();
    sleep(SECOND).await;
    world.says(json(&set_of(&["b"])));
    assert_eq!(world.finds("b").await, Ok(true));
    assert!(!mark.is_current(SystemClock.boot_ns()));
    for (steps, problem) in [
        (vec![], FetchError::Broken),
        (answer("302 Found", &["Location: http://169.254.169.254/"], b""), FetchError::Redirected),
        (answer("200 OK", &["Content-Type: text/html"], b"<html>"), FetchError::NotJson),
        (json(r#"{"keys":[{"kty":"x"}]}"#), FetchError::NoKeys),
        (answer("503 Unavailable", &[], b""), FetchError::Status(503)),
    ] {
        world.says(steps);
        let started = Instant::now();
        while world.jwks.status(&world.source).problem.map(|(error, _)| error) != Some(problem) {
            assert!(started.elapsed() < 10 * SECOND, "{problem} is not seen");
            assert_eq!(world.finds("c").await, Ok(false));
            assert_eq!(world.finds("b").await, Ok(true), "{problem}");
            sleep(SECOND / 20).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_cannot_be_reached_has_no_keys_and_says_why() {
    let world = World::new(Settings { allow_loopback_http: false, ..settings() }).await;
    let error = world.finds("a").await.unwrap_err();
    assert_eq!(error.to_string(), "the issuer's keys are not available");
    assert!(matches!(error.problem, Some(FetchError::Url(_))));
    assert_eq!(world.server.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_a_source_that_hangs_and_a_flood_of_made_up_keys_hold_up_nobody_else() {
    let world = Arc::new(World::new(Settings { cooldown: SECOND, timeout: 5 * SECOND, ..settings() }).await);
    assert_eq!(world.finds("a").await, Ok(true));
    sleep(SECOND).await;
    world.says(vec![Step::Hang]);
    let before = world.server.connections();
    let (junk, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut floods = Vec::new();
    while started.elapsed() < 3 * SECOND {
        for _ in 0..10 {
            let (world, junk) = (Arc::clone(&world), Arc::clone(&junk));
            floods.push(tokio::spawn(async move {
                let n = junk.fetch_add(1, Ordering::SeqCst);
                assert_eq!(world.finds(&format!("junk-{n}")).await, Ok(false));
            }));
        }
        let good = world.jwks.keys(&world.source, Some("a"), SECOND);
        assert!(futures::FutureExt::now_or_never(good).is_some_and(|found| found.is_ok()));
        sleep(SECOND / 100).await;
    }
    for flood in floods {
        flood.await.unwrap();
    }
    assert!(junk.load(Ordering::SeqCst) > 1_000);
    assert_eq!(world.server.connections() - before, 1);
}
