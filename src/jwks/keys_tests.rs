//! What is promised of keys, in virtual time and with a source that does as it is told.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt as _;
use futures::future::join_all;
use tokio::time::sleep;

use super::*;
use crate::clock::SystemEntropy;
use crate::domain::{IssuerId, TenantId};
use crate::jwks::fetch::Fetching;
use crate::jwks::last_good::Nowhere;
use crate::jwks::line::KeysMark;
use crate::jwks::outbound::Fetched;

const START_MS: i64 = 1_800_000_000_000;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(2);

/// Both clocks go as tokio's does; the wall clock may be set.
struct VirtualClock {
    start: Instant,
    stepped_ms: AtomicI64,
}

impl Clock for VirtualClock {
    fn wall_ms(&self) -> i64 {
        START_MS + i64::try_from(self.start.elapsed().as_millis()).unwrap() + self.stepped_ms.load(Ordering::SeqCst)
    }

    fn boot_ns(&self) -> u64 {
        nanos(HOUR) + nanos(self.start.elapsed())
    }
}

/// A set of Ed25519 keys of these names; the same name is the same key, unless a number says another.
fn jwks(names: &[&str]) -> String {
    static MADE: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap();
    let one = |name: &&str| {
        let new = || {
            let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
            URL_SAFE_NO_PAD.encode(rcgen::PublicKeyData::der_bytes(&key))
        };
        let x = made.get_or_insert_default().entry((*name).to_owned()).or_insert_with(new).clone();
        let kid = name.split('#').next().unwrap();
        format!(r#"{{"kty":"OKP","crv":"Ed25519","use":"sig","kid":"{kid}","x":"{x}"}}"#)
    };
    format!(r#"{{"keys":[{}]}}"#, names.iter().map(one).collect::<Vec<_>>().join(","))
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Answers,
    Fails,
    /// For five seconds; then it is given up.
    Hangs,
    Panics,
}

/// Whoever publishes keys.
struct Web {
    mood: Mutex<Mood>,
    body: Mutex<String>,
    max_age: Mutex<Option<Duration>>,
    /// How long an answer takes; what it says is of when it was asked.
    takes: Mutex<Duration>,
    asked: Mutex<Vec<Instant>>,
}

impl Web {
    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn publishes(&self, names: &[&str]) {
        self.says(&jwks(names));
    }

    fn says(&self, body: &str) {
        body.clone_into(&mut self.body.lock().unwrap());
    }

    fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Fetch for Web {
    fn fetch<'a>(&'a self, _: TenantId, _: &'a str) -> Fetching<'a> {
        self.asked.lock().unwrap().push(Instant::now());
        let (mood, body) = (*self.mood.lock().unwrap(), self.body.lock().unwrap().clone());
        let (max_age, takes) = (*self.max_age.lock().unwrap(), *self.takes.lock().unwrap());
        Box::pin(async move {
            sleep(takes).await;
            match mood {
                Mood::Answers => Ok(Fetched { body: body.into_bytes(), max_age }),
                Mood::Fails => Err(FetchError::Unreachable),
                Mood::Hangs => {
                    sleep(5 * SECOND).await;
                    Err(FetchError::TimedOut)
                }
                Mood::Panics => panic!("as it should"),
            }
        })
    }
}

/// What outlives a process.
#[derive(Default)]
struct Disk(Mutex<HashMap<Source, Kept>>);

impl LastGood for Disk {
    fn load(&self, source: &Source) -> Option<Kept> {
        self.0.lock().unwrap().get(source).cloned()
    }

    fn keep(&self, source: &Source, kept: Kept) {
        self.0.lock().unwrap().insert(source.clone(), kept);
    }
}

/// Whether somebody still trusts the issuer.
struct Trust(AtomicBool);

impl LastGood for Trust {
    fn load(&self, _: &Source) -> Option<Kept> {
        None
    }

    fn is_wanted(&self, _: &Source) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn keep(&self, _: &Source, _: Kept) {}
}

/// Keys that end after two hours.
fn short() -> Settings {
    Settings { max_stale: 2 * HOUR, ..Settings::default() }
}

fn source(number: u8) -> Source {
    Source {
        issuer: IssuerId::from_bytes([number; 16]),
        tenant: TenantId::from_bytes([1; 16]),
        url: format!("https://{number}.example/jwks").into(),
    }
}

struct World {
    web: Arc<Web>,
    clock: Arc<VirtualClock>,
    metrics: Arc<Metrics>,
    jwks: Arc<Jwks>,
}

impl World {
    fn new() -> Self {
        Self::on(Arc::new(Nowhere), Settings::default())
    }

    fn on(disk: Arc<dyn LastGood>, settings: Settings) -> Self {
        let web = Arc::new(Web {
            mood: Mutex::new(Mood::Answers),
            body: Mutex::new(jwks(&["a"])),
            max_age: Mutex::default(),
            takes: Mutex::default(),
            asked: Mutex::default(),
        });
        let clock = Arc::new(VirtualClock { start: Instant::now(), stepped_ms: AtomicI64::new(0) });
        let metrics = Arc::new(Metrics::new(&[("revoked", false)]));
        let jwks = Jwks::new(
            settings,
            Arc::clone(&web) as _,
            disk,
            Arc::clone(&clock) as _,
            Arc::new(SystemEntropy),
            Arc::clone(&metrics),
            Handle::current(),
        );
        Self { web, clock, metrics, jwks }
    }

    async fn get(&self, kid: &str) -> Result<KeysHandle, KeysUnavailable> {
        self.jwks.keys(&source(1), Some(kid), PATIENCE).await
    }

    /// Whether a key of this name is there, and whether it was at once.
    async fn finds(&self, kid: &str) -> bool {
        self.get(kid).await.is_ok_and(|handle| handle.set().has_kid(kid))
    }

    fn at_once(&self, kid: &str) -> Option<Result<KeysHandle, KeysUnavailable>> {
        self.get(kid).now_or_never()
    }

    fn is_current(&self, mark: &KeysMark) -> bool {
        mark.is_current(self.clock.boot_ns())
    }

    fn waiting(&self) -> usize {
        self.jwks.line(&source(1)).state().waiting
    }

    /// Long enough for a refresh to be due and over.
    async fn refreshed(&self) {
        sleep(Settings::default().refresh * 12 / 10).await;
    }

    /// The least time between two fetches.
    fn least_gap(&self) -> Duration {
        let asked = self.web.asked.lock().unwrap();
        asked.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(Duration::MAX)
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_held_is_had_at_once_whatever_the_source_does() {
    let world = World::new();
    assert!(world.finds("a").await);
    for mood in [Mood::Hangs, Mood::Fails, Mood::Answers] {
        world.web.is(mood);
        let calls = world.web.calls();
        world.refreshed().await;
        assert!(world.web.calls() > calls, "it is asked beside");
        for _ in 0..100 {
            assert!(world.at_once("a").is_some_and(|found| found.is_ok()));
        }
        assert!(world.jwks.keys(&source(1), None, PATIENCE).now_or_never().is_some_and(|found| found.is_ok()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_come_first_ask_once() {
    let world = World::new();
    *world.web.takes.lock().unwrap() = SECOND / 2;
    let all = join_all((0..1_000).map(|_| world.finds("a"))).await;
    assert!(all.iter().all(|found| *found));
    assert_eq!((world.web.calls(), world.waiting()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn b6_made_up_names_of_keys_cost_one_fetch_in_each_cooldown() {
    for mood in [Mood::Answers, Mood::Fails, Mood::Hangs] {
        let world = World::new();
        assert!(world.finds("a").await);
        world.web.is(mood);
        sleep(30 * SECOND).await;
        let before = world.web.calls();
        let most = AtomicUsize::new(0);
        // 10,000 in 100 seconds, beside those who have a good key.
        let flood = (0..100_u64).map(|second| {
            let (world, most) = (&world, &most);
            async move {
                sleep(SECOND * u32::try_from(second).unwrap()).await;
                let junk = join_all((0..100).map(|n| async move { world.finds(&format!("junk-{second}-{n}")).await }));
                let watch = async {
                    tokio::task::yield_now().await;
                    most.fetch_max(world.waiting(), Ordering::SeqCst);
                    assert!(world.at_once("a").is_some_and(|found| found.is_ok()), "nobody else waits");
                };
                assert!(!tokio::join!(junk, watch).0.contains(&true));
            }
        });
        join_all(flood).await;
        let calls = world.web.calls() - before;
        assert!((2..=4).contains(&calls), "{calls}");
        assert!(world.least_gap() >= 30 * SECOND, "{:?}", world.least_gap());
        assert_eq!(world.waiting(), 0);
        assert!(world.metrics.jwks.not_asked.get() > 9_000);
        assert!(most.load(Ordering::SeqCst) <= WAITING);
    }
}

#[tokio::test(start_paused = true)]
async fn b6_few_wait_for_a_key_that_is_not_held_and_none_for_a_source_that_is_slow() {
    let world = World::new();
    assert!(world.finds("a").await);
    sleep(30 * SECOND).await;
    world.web.is(Mood::Hangs);
    let started = Instant::now();
    let many = join_all((0..1_000).map(|n| {
        let world = &world;
        async move {
            let _ = world.get(&format!("junk-{n}")).await;
            started.elapsed()
        }
    }))
    .await;
    let waited = many.iter().filter(|time| **time >= SECOND).count();
    assert_eq!(waited, WAITING);
    assert!(many.iter().all(|time| *time < SECOND + SECOND / 10), "no longer than is configured");
    assert!(world.at_once("late").is_some(), "the fetch is still under way, and known to be slow");
    assert_eq!(world.least_gap(), 30 * SECOND);
    // Who has less time waits less, and does not call a source slow for it.
    let world = World::new();
    assert!(world.finds("a").await);
    sleep(30 * SECOND).await;
    world.web.is(Mood::Hangs);
    let started = Instant::now();
    let _ = world.jwks.keys(&source(1), Some("junk"), SECOND / 10).await;
    assert_eq!(started.elapsed(), SECOND / 10);
    assert!(world.at_once("junk").is_none(), "another one waits");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_used_as_soon_as_it_is_published() {
    let world = World::new();
    assert!(world.finds("a").await);
    sleep(30 * SECOND).await;
    let mark = world.get("a").await.unwrap().mark();
    world.web.publishes(&["a", "b"]);
    assert!(world.finds("b").await, "asked for because of it");
    assert_eq!(world.web.calls(), 2);
    assert!(world.is_current(&mark), "what was verified under the old ones holds on");
    // Another one within the cooldown has to wait for its end.
    world.web.publishes(&["a", "b", "c"]);
    assert!(!world.finds("c").await);
    sleep(30 * SECOND).await;
    assert!(world.finds("c").await);
    assert_eq!(world.web.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_without_a_name_is_replaced_unseen_and_asked_for_within_the_same_cooldown() {
    let world = World::new();
    let nameless = |name: &str| jwks(&[name]).replace(&format!(r#""kid":"{name}","#), "");
    world.web.says(&nameless("n"));
    let before = world.get("any").await.unwrap();
    assert_eq!(before.set().keys().len(), 1);
    let (world, source) = (&world, source(1));
    let newer = || world.jwks.newer(&source, &before, PATIENCE);
    assert!(newer().await.is_none(), "within the cooldown of the first");
    sleep(30 * SECOND).await;
    world.web.says(&nameless("m"));
    let after = newer().await.unwrap();
    assert_ne!(after.set().keys()[0].thumbprint(), before.set().keys()[0].thumbprint());
    assert!(!world.is_current(&before.mark()));
    assert!(newer().now_or_never().is_some_and(|newer| newer.is_some()), "had at once by the next");
    assert_eq!(world.web.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_published_during_a_fetch_is_asked_for_once_more() {
    let world = World::new();
    assert!(world.finds("a").await);
    *world.web.takes.lock().unwrap() = SECOND / 4;
    // Until a refresh is under way, which was answered before the key was there.
    let calls = world.web.calls();
    while world.web.calls() == calls {
        sleep(SECOND / 100).await;
    }
    world.web.publishes(&["a", "b"]);
    assert!(world.finds("b").await);
    assert_eq!(world.web.calls(), calls + 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_removed_or_replaced_ends_what_was_verified_under_it() {
    for (after, ends) in
        [(&["a", "b"][..], false), (&["b", "a", "c"], false), (&["a"], true), (&["c"], true), (&["a", "b#2"], true)]
    {
        let world = World::new();
        world.web.publishes(&["a", "b"]);
        let mark = world.get("a").await.unwrap().mark();
        world.web.publishes(after);
        world.refreshed().await;
        assert_eq!(world.is_current(&mark), !ends, "{after:?}");
        let now = world.get("a").await.unwrap();
        assert_eq!(now.set().keys().len(), after.len());
        assert!(world.is_current(&now.mark()), "what is verified now holds");
    }
    // Nobody needs to send a token for that, and whoever sends one under a key that is gone is not believed.
    let world = World::new();
    world.web.publishes(&["a", "b"]);
    let handle = world.get("a").await.unwrap();
    world.web.publishes(&["b"]);
    world.refreshed().await;
    assert!(!world.is_current(&handle.mark()), "verified under the old set, kept under the new one");
    assert!(!world.finds("a").await);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_set_of_keys_takes_nothing_away() {
    let many = format!(r#"{{"keys":[{}]}}"#, vec![r#"{"kty":"x"}"#; 10_000].join(","));
    for body in ["", "<html>", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[{"kty":"x"}]}"#, &many] {
        let world = World::new();
        let mark = world.get("a").await.unwrap().mark();
        world.web.says(body);
        world.refreshed().await;
        assert!(world.web.calls() > 1);
        assert!(world.is_current(&mark) && world.finds("a").await, "{body:.20}");
        let status = world.jwks.status(&source(1));
        assert_eq!((status.kids, status.fetched_at_ms), (vec![Some("a".to_owned())], Some(START_MS)));
        assert!(matches!(status.problem, Some((FetchError::Keys(_) | FetchError::NoKeys, _))), "{:?}", status.problem);
        world.web.publishes(&["a"]);
        world.refreshed().await;
        assert_eq!(world.jwks.status(&source(1)).problem, None, "{body:.20}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_takes_all_keys_away_when_it_is_said_again_and_not_before() {
    async fn asked_again(world: &World) {
        let calls = world.web.calls();
        while world.web.calls() == calls {
            sleep(SECOND).await;
        }
    }
    let disk = Arc::new(Disk::default());
    let world = World::on(Arc::clone(&disk) as _, Settings::default());
    let mark = world.get("a").await.unwrap().mark();
    // A mistake of a moment takes nothing away, as often as there is another answer between, if only one of no use.
    for between in [jwks(&["a"]), r#"{"keys":[{"kty":"x"}]}"#.to_owned()] {
        world.web.says(r#"{"keys":[]}"#);
        asked_again(&world).await;
        assert!(world.is_current(&mark) && world.finds("a").await);
        assert_eq!(world.jwks.status(&source(1)).problem.map(|(error, _)| error), Some(FetchError::NoneAtAll));
        world.web.says(&between);
        asked_again(&world).await;
    }
    world.web.says(r#"{"keys":[]}"#);
    asked_again(&world).await;
    assert!(world.is_current(&mark) && world.finds("a").await);
    // That it cannot be reached says nothing else.
    world.web.is(Mood::Fails);
    asked_again(&world).await;
    world.web.is(Mood::Answers);
    assert!(world.is_current(&mark));
    asked_again(&world).await;
    assert!(!world.is_current(&mark) && !world.finds("a").await, "taken back");
    assert_eq!(world.jwks.status(&source(1)).kids, []);
    sleep(SECOND).await;
    drop(world);
    let world = World::on(Arc::clone(&disk) as _, Settings::default());
    world.web.is(Mood::Fails);
    assert!(!world.finds("a").await, "nor does another process have them");
    world.web.is(Mood::Answers);
    sleep(30 * SECOND).await;
    assert!(world.finds("a").await, "whoever publishes keys again has them");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_none_until_the_bound_and_then_a_refusal() {
    let world = World::on(Arc::new(Nowhere), short());
    let mark = world.get("a").await.unwrap().mark();
    let end_ns = mark.usable_until_ns();
    assert_eq!(end_ns, nanos(3 * HOUR), "from when they were asked for");
    assert!(mark.is_current(end_ns - 1) && !mark.is_current(end_ns), "whoever looks first");
    world.web.is(Mood::Fails);
    sleep(Duration::from_secs(2 * 3_600 - 1)).await;
    assert!(world.is_current(&mark) && world.finds("a").await);
    sleep(2 * SECOND).await;
    assert!(!world.is_current(&mark), "nor what was verified before");
    assert_eq!(world.get("a").await.err(), Some(KeysUnavailable { problem: Some(FetchError::Unreachable) }));
    assert_eq!(world.jwks.status(&source(1)).kids, []);
    // Retried less and less often, but as often as it would be refreshed.
    let calls = world.web.calls();
    assert!((22..36).contains(&calls), "{calls}");
    world.web.is(Mood::Answers);
    sleep(30 * SECOND).await;
    assert!(world.finds("a").await);
    assert!(!world.is_current(&mark), "what has ended does not come back");
}

#[tokio::test(start_paused = true)]
async fn each_success_moves_the_bound() {
    let world = World::on(Arc::new(Nowhere), short());
    assert!(world.finds("a").await);
    sleep(HOUR).await;
    world.web.is(Mood::Fails);
    sleep(Duration::from_secs(2 * 3_600 - 400)).await;
    assert!(world.finds("a").await);
    sleep(400 * SECOND).await;
    assert!(!world.finds("a").await);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_answered_is_asked_again_soon_and_then_less_often() {
    let world = World::new();
    world.web.is(Mood::Fails);
    for _ in 0..600 {
        assert!(world.get("a").await.is_err());
        sleep(SECOND / 10).await;
    }
    let gaps: Vec<u64> = world.web.asked.lock().unwrap().windows(2).map(|two| (two[1] - two[0]).as_secs()).collect();
    assert_eq!(gaps, [1, 2, 4, 8, 16]);
    world.web.is(Mood::Answers);
    sleep(30 * SECOND).await;
    assert!(world.finds("a").await);
}

#[tokio::test(start_paused = true)]
async fn keys_outlive_the_process_and_are_asked_for_beside() {
    let disk = Arc::new(Disk::default());
    let world = World::on(Arc::clone(&disk) as _, short());
    assert!(world.finds("a").await);
    sleep(SECOND).await;
    let kept = Kept { json: jwks(&["a"]).into_bytes(), fetched_at_ms: START_MS };
    assert_eq!(disk.load(&source(1)), Some(kept));
    drop(world);
    for mood in [Mood::Fails, Mood::Hangs] {
        let world = World::on(Arc::clone(&disk) as _, short());
        world.clock.stepped_ms.fetch_add(3_600_000, Ordering::SeqCst);
        world.web.is(mood);
        let started = Instant::now();
        assert!(world.finds("a").await);
        assert!(started.elapsed() < SECOND / 10, "nobody waits for who is down");
        sleep(SECOND / 10).await;
        assert_eq!(world.web.calls(), 1, "asked by whoever came");
        // As old as they are, not as the process is.
        sleep(Duration::from_secs(3_600 - 1)).await;
        assert!(world.finds("a").await);
        sleep(2 * SECOND).await;
        assert!(!world.finds("a").await);
    }
    // Once the source answers, it is what counts.
    let world = World::on(Arc::clone(&disk) as _, short());
    let mark = world.get("a").await.unwrap().mark();
    world.web.publishes(&["b"]);
    sleep(2 * SECOND).await;
    assert!(world.finds("b").await && !world.is_current(&mark));
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_is_believed_no_more_than_what_is_fetched() {
    let good = jwks(&["a"]).into_bytes();
    let day_ms = 86_400_000;
    for (what, json, fetched_at_ms, usable) in [
        ("an hour old", good.clone(), START_MS - 3_600_000, true),
        ("just within the bound", good.clone(), START_MS - day_ms + 1_000, true),
        ("as old as the bound", good.clone(), START_MS - day_ms, false),
        ("older", good.clone(), 0, false),
        ("of clocks that differ", good.clone(), START_MS + 59_000, true),
        ("of the future", good, START_MS + 3_600_000, false),
        ("damaged", b"{\"keys\":[".to_vec(), START_MS, false),
        ("empty", b"{\"keys\":[]}".to_vec(), START_MS, false),
    ] {
        let disk = Arc::new(Disk::default());
        disk.keep(&source(1), Kept { json, fetched_at_ms });
        let world = World::on(disk, Settings::default());
        world.web.is(Mood::Fails);
        assert_eq!(world.finds("a").await, usable, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_url_starts_anew_and_what_is_forgotten_is_not_used() {
    let world = World::new();
    let mark = world.get("a").await.unwrap().mark();
    let moved = Source { url: "https://elsewhere.example/jwks".into(), ..source(1) };
    world.web.is(Mood::Fails);
    assert!(world.jwks.keys(&moved, Some("a"), PATIENCE).await.is_err());
    assert!(world.finds("a").await);
    world.jwks.forget(&source(2));
    assert!(world.is_current(&mark), "another issuer's");
    world.jwks.forget(&source(1));
    assert!(!world.is_current(&mark));
    assert!(!world.finds("a").await);
    // A fetch that is under way brings nothing back.
    world.web.is(Mood::Answers);
    *world.web.takes.lock().unwrap() = 2 * SECOND;
    sleep(30 * SECOND).await;
    let calls = world.web.calls();
    let (world, line) = (&world, world.jwks.line(&source(1)));
    let got = tokio::join!(world.get("a"), async {
        sleep(SECOND / 2).await;
        world.jwks.forget(&source(1));
        sleep(2 * SECOND).await;
        world.jwks.status(&source(1))
    });
    assert_eq!((got.0.is_err(), got.1), (true, Status::default()));
    assert_eq!(world.web.calls(), calls + 1);
    assert!(line.handle(world.clock.boot_ns()).is_none(), "nor for who still has the place that was lost");
}

#[tokio::test(start_paused = true)]
async fn r17_an_issuer_that_nobody_trusts_any_more_is_not_asked_once_more() {
    let trust = Arc::new(Trust(AtomicBool::new(true)));
    let world = World::on(Arc::clone(&trust) as _, Settings::default());
    let mark = world.get("a").await.unwrap().mark();
    world.refreshed().await;
    let calls = world.web.calls();
    assert!(calls > 1 && world.is_current(&mark));
    trust.0.store(false, Ordering::SeqCst);
    sleep(2 * HOUR).await;
    assert_eq!((world.web.calls(), world.jwks.status(&source(1)).kids), (calls, Vec::new()));
    assert!(!world.is_current(&mark));
    assert!(world.finds("a").await, "a request asks for what its issuer says now");
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_how_long_it_is_kept_within_bounds() {
    for (says, least, most) in
        [(None, 270, 331), (Some(1), 54, 67), (Some(600), 540, 661), (Some(86_400), 3_240, 3_961)]
    {
        let world = World::new();
        *world.web.max_age.lock().unwrap() = says.map(Duration::from_secs);
        assert!(world.finds("a").await);
        while world.web.calls() == 1 {
            sleep(SECOND).await;
        }
        let asked = world.web.asked.lock().unwrap();
        let gap = (asked[1] - asked[0]).as_secs();
        assert!((least..=most).contains(&gap), "{says:?}: {gap}");
    }
}

#[tokio::test(start_paused = true)]
async fn refreshes_of_what_was_fetched_at_once_spread() {
    let world = World::new();
    for number in 0..100 {
        assert!(world.jwks.keys(&source(number), Some("a"), PATIENCE).await.is_ok());
    }
    let mut busiest = 0;
    for _ in 0..400 {
        let calls = world.web.calls();
        sleep(SECOND).await;
        busiest = busiest.max(world.web.calls() - calls);
    }
    assert!(world.web.calls() >= 200);
    assert!(busiest <= 20, "{busiest} in one second");
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_is_not_waited_for() {
    let world = World::new();
    world.web.is(Mood::Panics);
    let started = Instant::now();
    assert!(world.get("a").await.is_err());
    assert!(started.elapsed() < SECOND);
    world.web.is(Mood::Answers);
    assert!(!world.finds("a").await, "not at once");
    sleep(30 * SECOND).await;
    assert!(world.finds("a").await);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_may_wait_nobody_does() {
    let world = World::on(Arc::new(Nowhere), Settings { wait: Duration::ZERO, ..Settings::default() });
    let started = Instant::now();
    assert!(world.get("a").await.is_err());
    assert!(started.elapsed() <= Duration::from_millis(1));
    sleep(SECOND / 10).await;
    assert!(world.at_once("a").is_some_and(|found| found.is_ok()), "fetched beside");
}

#[tokio::test(start_paused = true)]
async fn nobody_looks_after_keys_that_nobody_holds() {
    let world = World::new();
    assert!(world.finds("a").await);
    let web = Arc::clone(&world.web);
    drop(world);
    sleep(2 * HOUR).await;
    assert_eq!((web.calls(), Arc::strong_count(&web)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_metrics_tell_of_fetches_and_of_the_oldest_keys() {
    let world = World::new();
    assert!(world.finds("a").await);
    sleep(2 * SECOND).await;
    world.web.is(Mood::Fails);
    world.refreshed().await;
    world.web.is(Mood::Answers);
    world.web.says("<html>");
    sleep(600 * SECOND).await;
    let text = world.metrics.render();
    for (outcome, at_least) in [("fetched", 1), ("unreachable", 1), ("unusable", 1)] {
        let line = format!("latchkey_jwks_fetches_total{{outcome=\"{outcome}\"}} ");
        let count: u64 = text.split(&line).nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        assert!(count >= at_least, "{outcome}: {count}");
    }
    assert!(text.contains("latchkey_jwks_oldest_fetched_at_seconds 1800000000"), "{text}");
}
