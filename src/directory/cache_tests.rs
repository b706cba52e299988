//! What is promised of freshness, with a clock in hand and a host that does as it is told.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::authenticate::record::Recorder;
use crate::clock::{ManualClock, SystemEntropy};
use crate::directory::facts::HostApp;
use crate::directory::service::{HostFuture, HostPage, HostRuntime, HostService};
use crate::directory::slot::PATIENCE;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const ROW: Generation = Generation(1);

fn id(number: u32) -> AppId {
    AppId::new(number).unwrap()
}

fn app(number: u32, name: &str) -> HostApp {
    HostApp {
        id: id(number),
        name: name.to_owned(),
        description: String::new(),
        active: true,
        decides: false,
        owner_email: None,
        owner: None,
        monthly_budget: 0.0,
        rate_limit: None,
        llms: None,
        tools: None,
        datasources: None,
        namespace: None,
        metadata: BTreeMap::new(),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Answers,
    Fails,
    /// Until told otherwise.
    Hangs,
}

/// A host.
struct Host {
    mood: watch::Sender<Mood>,
    apps: Mutex<HashMap<AppId, HostApp>>,
    calls: AtomicUsize,
    /// Lets something happen while a call is under way.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl HostService for Host {
    fn app(&self, id: AppId) -> HostFuture<'_, Option<HostApp>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let found = self.apps.lock().unwrap().get(&id).cloned();
            let meanwhile = self.meanwhile.lock().unwrap().take();
            if let Some(meanwhile) = meanwhile {
                meanwhile();
            }
            let mut mood = self.mood.subscribe();
            let mood = *mood.wait_for(|mood| *mood != Mood::Hangs).await.unwrap();
            if mood == Mood::Fails { Err(HostError::Unreachable) } else { Ok(found) }
        })
    }

    fn apps(&self, _: u32) -> HostFuture<'_, HostPage> {
        unreachable!("not asked here")
    }
}

struct World {
    host: Arc<Host>,
    clock: Arc<ManualClock>,
    cache: Arc<AppCache>,
    metrics: Arc<Metrics>,
}

impl World {
    fn new(settings: Settings) -> Self {
        let apps = (1..=1_000).map(|number| (id(number), app(number, "Shop"))).collect();
        let host = Arc::new(Host {
            mood: watch::Sender::new(Mood::Answers),
            apps: Mutex::new(apps),
            calls: AtomicUsize::new(0),
            meanwhile: Mutex::default(),
        });
        let link = Arc::new(HostLink::default());
        link.set_service(Arc::clone(&host) as _, HostRuntime::Microgateway);
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let metrics = Arc::new(Metrics::new(&Recorder::reason_labels()));
        let cache =
            AppCache::new(link, settings, Arc::clone(&clock) as _, Arc::new(SystemEntropy), Arc::clone(&metrics));
        Self { host, clock, cache, metrics }
    }

    fn strict() -> Self {
        Self::new(Settings::default())
    }

    fn lenient() -> Self {
        Self::new(Settings { max_stale: Duration::from_secs(300), ..Settings::default() })
    }

    async fn get(&self, number: u32) -> Result<(Arc<Lease>, Standing), HostError> {
        self.cache.get(TENANT, id(number), ROW).await
    }

    /// As authentication asks about what it keeps.
    fn holds(&self, lease: &Lease) -> Standing {
        let now_ns = self.clock.boot_ns();
        if lease.is_current(now_ns) { Standing::Fresh } else { self.cache.standing(lease, now_ns) }
    }

    fn calls(&self) -> usize {
        self.host.calls.load(Ordering::SeqCst)
    }

    fn mood(&self, mood: Mood) {
        self.host.mood.send_replace(mood);
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Lets what runs beside run.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

fn name(lease: &Lease) -> Option<&str> {
    match lease.answer() {
        Answer::Present(app) => Some(&app.name),
        Answer::Absent => None,
    }
}

#[tokio::test]
async fn v3_a_thousand_who_ask_at_once_cost_one_call_and_none_within_the_ttl() {
    let world = World::strict();
    let asked = (0..1_000).map(|_| world.get(7));
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|(_, standing)| *standing == Standing::Fresh)));
    assert_eq!(world.calls(), 1);
    world.pass(10);
    let (lease, _) = world.get(7).await.unwrap();
    assert_eq!((world.calls(), name(&lease), world.holds(&lease)), (1, Some("Shop"), Standing::Fresh));
}

#[tokio::test]
async fn it_is_fetched_anew_beside_the_answers_before_it_is_too_old() {
    let world = World::strict();
    let (lease, _) = world.get(7).await.unwrap();
    world.pass(21);
    for _ in 0..100 {
        assert_eq!(world.holds(&lease), Standing::Fresh);
    }
    world.settle().await;
    assert_eq!(world.calls(), 2, "one beside, however many ask");
    world.pass(19);
    assert_eq!(world.holds(&lease), Standing::Fresh, "the same lease goes on: nothing that rests on it is read again");
    world.pass(300);
    assert_eq!(world.holds(&lease), Standing::Ended, "idle for too long");
}

#[tokio::test]
async fn r8_max_staleness_is_a_promise() {
    for seed in 0..50 {
        let world = World::strict();
        let (lease, _) = world.get(7).await.unwrap();
        world.mood(Mood::Fails);
        let mut age = 0;
        // Asked at odd moments, in the hope that one slips through.
        while age <= 40 {
            let standing = world.holds(&lease);
            assert!(age < 30 || standing == Standing::Ended, "{age} s old, and {standing:?}");
            assert!(age > 26 || standing == Standing::Fresh, "{age} s old, and {standing:?}");
            world.settle().await;
            let step = 1 + (seed * 7 + age) % 3;
            world.pass(step);
            age += step;
        }
        assert!(world.get(7).await.is_err(), "nothing stale where it is not configured");
    }
}

#[tokio::test]
async fn where_it_is_configured_facts_outlive_an_outage_for_so_long_and_no_longer() {
    let world = World::lenient();
    let (lease, _) = world.get(7).await.unwrap();
    world.mood(Mood::Fails);
    world.pass(31);
    assert_eq!(world.get(7).await.unwrap().1, Standing::Stale);
    for age in 32..=329 {
        world.pass(1);
        assert_eq!(world.holds(&lease), Standing::Stale, "{age} s");
        world.settle().await;
    }
    assert!(world.calls() <= 302, "once a second at most: {}", world.calls());
    assert!(world.metrics.directory_stale.get() >= 298);
    world.pass(1);
    assert_eq!(world.holds(&lease), Standing::Ended);
    assert_eq!(world.get(7).await.unwrap_err(), HostError::Unreachable);
    assert!(world.cache.condition().problem().is_some());
    assert!((world.metrics.directory_answered_at.get() - 1_800_000_000.0).abs() < 1e-3, "before the outage");
    world.mood(Mood::Answers);
    world.pass(1);
    assert_eq!(world.get(7).await.unwrap().1, Standing::Fresh);
    assert_eq!(world.cache.condition().problem(), None);
}

#[tokio::test]
async fn what_is_stale_is_not_used_while_the_host_answers() {
    let world = World::lenient();
    let (lease, _) = world.get(7).await.unwrap();
    world.pass(31);
    assert_eq!(world.holds(&lease), Standing::Ended, "nobody asked for a while, and the host is well");
    world.host.apps.lock().unwrap().insert(id(7), HostApp { active: false, ..app(7, "Shop") });
    let (fresh, standing) = world.get(7).await.unwrap();
    assert!(standing == Standing::Fresh && matches!(fresh.answer(), Answer::Present(app) if !app.active));
}

#[tokio::test(start_paused = true)]
async fn a_slow_host_never_makes_a_kept_answer_slow() {
    let world = World::lenient();
    let (lease, _) = world.get(7).await.unwrap();
    world.mood(Mood::Hangs);
    world.pass(25);
    let started = tokio::time::Instant::now();
    for _ in 0..1_000 {
        assert_eq!(world.holds(&lease), Standing::Fresh);
    }
    world.settle().await;
    world.pass(6);
    assert_eq!(world.get(7).await.unwrap().1, Standing::Stale, "the first finds out that the host is slow");
    assert!(started.elapsed() <= PATIENCE);
    for _ in 0..1_000 {
        assert_eq!(world.holds(&lease), Standing::Stale);
        assert_eq!(world.get(7).await.unwrap().1, Standing::Stale);
    }
    assert!(started.elapsed() <= PATIENCE, "the others do not wait at all");
    assert_eq!(world.calls(), 2, "one hangs, and none is added");
    world.mood(Mood::Answers);
    world.settle().await;
    assert_eq!(world.holds(&lease), Standing::Fresh, "as of when it was asked for");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_given_up_and_does_not_stop_the_next() {
    let world = World::strict();
    world.mood(Mood::Hangs);
    let timeout = Settings::default().timeout;
    let started = tokio::time::Instant::now();
    assert_eq!(world.get(7).await.unwrap_err(), HostError::TimedOut);
    assert_eq!(started.elapsed(), timeout);
    world.mood(Mood::Answers);
    world.pass(1);
    assert!(world.get(7).await.is_ok());
}

#[tokio::test]
async fn a_caller_that_gives_up_takes_nothing_from_the_others() {
    let world = World::strict();
    world.mood(Mood::Hangs);
    let mut first = Box::pin(world.get(7));
    assert!(futures::poll!(&mut first).is_pending());
    let mut second = Box::pin(world.get(7));
    assert!(futures::poll!(&mut second).is_pending());
    world.settle().await;
    drop(first);
    world.mood(Mood::Answers);
    assert!(second.await.is_ok());
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn r8_what_the_host_told_of_ends_at_once_and_never_comes_back() {
    let world = World::lenient();
    let (lease, _) = world.get(7).await.unwrap();
    world.cache.forget(id(7));
    assert_eq!(world.holds(&lease), Standing::Ended);
    world.mood(Mood::Fails);
    assert!(world.get(7).await.is_err(), "told of a change, nothing old is used, host or no host");
    world.mood(Mood::Answers);
    world.pass(1);
    // Asked for before the change, answered after it: what was read is of before.
    let (cache, apps) = (Arc::clone(&world.cache), Arc::clone(&world.host));
    *world.host.meanwhile.lock().unwrap() = Some(Box::new(move || {
        apps.apps.lock().unwrap().insert(id(7), app(7, "Renamed"));
        cache.forget(id(7));
    }));
    let (lease, _) = world.get(7).await.unwrap();
    assert_eq!(name(&lease), Some("Renamed"));
    assert_eq!(world.holds(&lease), Standing::Fresh);
}

#[tokio::test]
async fn a_row_that_changed_in_the_store_is_asked_for_again() {
    let world = World::lenient();
    let (lease, _) = world.get(7).await.unwrap();
    let changed = |number| world.cache.get(TENANT, id(number), Generation(2));
    world.host.apps.lock().unwrap().insert(id(7), app(7, "Renamed"));
    let (fresh, _) = changed(7).await.unwrap();
    assert_eq!((name(&fresh), world.holds(&lease)), (Some("Renamed"), Standing::Ended));
    let calls = world.calls();
    changed(7).await.unwrap();
    assert_eq!(world.calls(), calls, "once for each change");
}

#[tokio::test]
async fn an_app_that_is_not_there_is_asked_for_again_soon_and_not_by_everybody() {
    let world = World::lenient();
    assert_eq!(name(&world.get(5_000).await.unwrap().0), None);
    for _ in 0..100 {
        assert_eq!(name(&world.get(5_000).await.unwrap().0), None);
    }
    assert_eq!(world.calls(), 1);
    world.host.apps.lock().unwrap().insert(id(5_000), app(5_000, "New"));
    world.pass(6);
    assert_eq!(name(&world.get(5_000).await.unwrap().0), Some("New"));
    // And the other way: what is gone is not kept because the host fails later.
    world.host.apps.lock().unwrap().remove(&id(5_000));
    world.cache.forget(id(5_000));
    assert_eq!(name(&world.get(5_000).await.unwrap().0), None);
    world.mood(Mood::Fails);
    world.pass(6);
    assert!(world.get(5_000).await.is_err());
}

#[tokio::test]
async fn a_failure_is_not_repeated_for_everybody_who_asks() {
    let world = World::strict();
    world.mood(Mood::Fails);
    for _ in 0..1_000 {
        assert!(world.get(7).await.is_err());
    }
    assert_eq!(world.calls(), 1);
    world.clock.advance(RETRY_WAITED_FOR);
    assert!(world.get(7).await.is_err());
    assert_eq!(world.calls(), 2);
}

#[tokio::test]
async fn a_thousand_apps_fetched_at_once_do_not_end_at_once() {
    let world = World::strict();
    let leases = futures::future::join_all((1..=1_000).map(|number| world.get(number))).await;
    let leases: Vec<_> = leases.into_iter().map(|got| got.unwrap().0).collect();
    let due = || leases.iter().filter(|lease| !lease.is_current(world.clock.boot_ns())).count();
    world.pass(13);
    assert_eq!(due(), 0);
    let mut most = 0;
    let mut before = 0;
    for _ in 0..70 {
        world.clock.advance(Duration::from_millis(100));
        most = most.max(due() - before);
        before = due();
    }
    assert_eq!(due(), 1_000);
    assert!(most < 100, "{most} of 1,000 in one tenth of a second");
}

#[tokio::test]
async fn a_place_that_is_given_up_ends_what_rests_on_it() {
    let world = World::new(Settings { entries: 100, ..Settings::default() });
    let mut leases = Vec::new();
    for number in 1..=200 {
        leases.push(world.get(number).await.unwrap().0);
    }
    assert!(world.cache.len() <= 100);
    let held = leases.iter().filter(|lease| world.holds(lease) != Standing::Ended).count();
    assert!(held <= 50, "half at most is one tenant's: {held}");
    assert_eq!(world.holds(&leases[0]), Standing::Ended);
    let other = TenantId::from_bytes([2; 16]);
    let (others, _) = world.cache.get(other, id(900), ROW).await.unwrap();
    for number in 1..=200 {
        world.get(number).await.unwrap();
    }
    assert_eq!(world.holds(&others), Standing::Fresh, "a tenant with many Apps crowds out its own");
}

#[tokio::test]
async fn another_generation_of_the_service_is_asked_for_everything_anew() {
    let world = World::strict();
    let (lease, _) = world.get(7).await.unwrap();
    world.cache.look_again();
    assert_eq!(world.holds(&lease), Standing::Fresh, "it is no reason to refuse");
    world.settle().await;
    assert_eq!(world.calls(), 2);
}
