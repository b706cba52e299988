use std::os::unix::fs::PermissionsExt as _;

use rusqlite::Connection;

use super::*;
use crate::clock::ManualClock;
use crate::domain::{AppId, Credential, CredentialId, Reason, TenantId, UserId};
use crate::store::suite;

pub(super) fn data_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

pub(super) fn known() -> (CredentialId, TenantId, AppId, UserId) {
    let (id, tenant) = (CredentialId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
    (id, tenant, AppId::new(7).unwrap(), UserId::new(9).unwrap())
}

pub(super) fn refused(
    reason: Reason,
    known: Option<(CredentialId, TenantId, AppId, UserId)>,
) -> DecisionRecord<'static> {
    DecisionRecord::Refused { reason, stage: "auth", known, remote: None, request_id: "req_1" }
}

pub(super) fn credential() -> Credential {
    let (id, tenant, app, user) = known();
    Credential { id, tenant, app, user, ..suite::credential(tenant, 1, 1) }
}

pub(super) fn accepted(credential: &Credential) -> DecisionRecord<'_> {
    let known = (credential.id, credential.tenant, credential.app, credential.user);
    let remote = Some("192.0.2.7".parse().unwrap());
    DecisionRecord::Accepted { known, stage: "auth", remote, request_id: "req_2" }
}

pub(super) fn start(dir: &Path, limits: (u64, u32, u32)) -> (DecisionLog, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(1_000_000));
    let (max_rows, per_second, accepted_one_in) = limits;
    let limits = Limits { max_rows, per_second, accepted_one_in };
    (DecisionLog::start(dir, limits, clock.clone()).unwrap(), clock)
}

pub(super) const PATIENTLY: Duration = Duration::from_secs(10);

fn open(dir: &Path) -> Connection {
    Connection::open(dir.join(FILE_NAME)).unwrap()
}

fn one(dir: &Path, sql: &str) -> u64 {
    u64::try_from(open(dir).query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()).unwrap()
}

fn sum(dir: &Path, condition: &str) -> u64 {
    one(dir, &format!("SELECT coalesce(sum(calls), 0) FROM decisions WHERE {condition}"))
}

#[test]
fn r11_kept_and_counted_and_dropped_are_all_decisions() {
    let dir = data_dir();
    let (log, _clock) = start(dir.path(), (1_000, 10, 0));
    let credential = credential();
    for _ in 0..100 {
        log.record(&accepted(&credential));
        log.record(&refused(Reason::Revoked, Some(known())));
        log.record(&refused(Reason::UnknownCredential, None));
    }
    log.flush(PATIENTLY);
    assert_eq!(sum(dir.path(), "kind = 'refused'"), 10, "one by one up to the rate");
    assert_eq!(sum(dir.path(), "reason = 'accepted'"), 100);
    assert_eq!(sum(dir.path(), "kind = 'accepted'"), 0, "none one by one unless asked for");
    assert_eq!(sum(dir.path(), "1"), 300, "nothing is lost");
}

#[test]
fn r11_the_log_is_capped_and_its_rest_still_chains() {
    let dir = data_dir();
    let (log, clock) = start(dir.path(), (50, 1_000, 0));
    for _ in 0..20 {
        for _ in 0..10 {
            log.record(&refused(Reason::Expired, Some(known())));
        }
        clock.advance(Duration::from_secs(1));
        log.flush(PATIENTLY);
    }
    let rows = one(dir.path(), "SELECT count(*) FROM decisions");
    assert!(rows <= 50, "{rows}");
    let verified = verify(dir.path()).unwrap().unwrap();
    assert_eq!((verified.first, verified.last, verified.first_form), (151, 200, 0));
}

#[test]
fn e1_a_share_of_acceptances_is_kept_with_whose_they_were() {
    let dir = data_dir();
    let (log, clock) = start(dir.path(), (1_000, 10, 10));
    let credential = credential();
    for n in 1..=1_005 {
        log.record(&accepted(&credential));
        if n % 7 == 0 {
            // However the writes fall.
            log.flush(PATIENTLY);
        }
        if n % 200 == 0 {
            clock.advance(Duration::from_secs(1));
        }
    }
    log.flush(PATIENTLY);
    assert_eq!(sum(dir.path(), "kind = 'accepted'"), 100, "each tenth");
    assert_eq!(sum(dir.path(), "kind = 'counted' AND reason = 'accepted'"), 905);
    let rows = list(dir.path(), 0, 1_000, &DecisionFilter::default()).unwrap();
    let row = rows.iter().find(|row| row.kind == Kind::Accepted).unwrap();
    let (id, tenant, app, user) = known();
    assert_eq!((row.credential, row.tenant, row.app, row.user), (Some(id), Some(tenant), Some(app), Some(user)));
    assert_eq!((row.stage.as_str(), row.request_id.as_str(), row.source.as_str()), ("auth", "req_2", "192.0.2.7"));
    verify(dir.path()).unwrap().unwrap();
}

/// Holds the writer up until it is dropped: what is recorded meanwhile waits in the queue.
fn held_up(dir: &Path, log: &Arc<DecisionLog>) -> (Connection, std::thread::JoinHandle<()>) {
    let connection = open(dir);
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    log.record(&refused(Reason::Revoked, Some(known())));
    let flushing = Arc::clone(log);
    let flush = std::thread::spawn(move || flushing.flush(PATIENTLY));
    while log.shared.waiting.load(Ordering::Relaxed) > 0 {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(100));
    (connection, flush)
}

#[test]
fn e1_a_flood_of_junk_leaves_room_for_known_credentials_and_a_full_queue_is_not_lost() {
    let dir = data_dir();
    let (log, _clock) = start(dir.path(), (100_000, 100_000, 0));
    let log = Arc::new(log);
    let (lock, flush) = held_up(dir.path(), &log);
    let (junk, of_known) = (QUEUE + 1_000, QUEUE - QUEUE_OF_UNKNOWN + 50);
    (0..junk).for_each(|_| log.record(&refused(Reason::UnknownCredential, None)));
    (0..of_known).for_each(|_| log.record(&refused(Reason::Revoked, Some(known()))));
    let last = Arc::clone(&log);
    let last = std::thread::spawn(move || last.flush(PATIENTLY));
    std::thread::sleep(Duration::from_millis(100));
    drop(lock);
    flush.join().unwrap();
    last.join().unwrap();
    assert_eq!(
        sum(dir.path(), "kind = 'refused'"),
        (QUEUE - QUEUE_OF_UNKNOWN) as u64 + 1,
        "all that there was room for"
    );
    assert_eq!(sum(dir.path(), "reason = 'unknown_credential'"), QUEUE_OF_UNKNOWN as u64);
    assert_eq!(sum(dir.path(), "1"), (junk + of_known) as u64 + 1, "the rest is counted as dropped");
}

#[test]
fn e1_what_could_not_be_written_is_counted_as_dropped() {
    let dir = data_dir();
    let (log, _clock) = start(dir.path(), (1_000, 10, 2));
    let credential = credential();
    let round = || {
        (0..20).for_each(|_| log.record(&accepted(&credential)));
        (0..20).for_each(|_| log.record(&refused(Reason::Revoked, Some(known()))));
        log.flush(PATIENTLY);
    };
    open(dir.path()).execute_batch("ALTER TABLE decisions RENAME TO away").unwrap();
    round();
    open(dir.path()).execute_batch("ALTER TABLE away RENAME TO decisions").unwrap();
    round();
    assert_eq!(sum(dir.path(), "reason = 'dropped'"), 40);
    assert_eq!(sum(dir.path(), "1"), 80);
    verify(dir.path()).unwrap().unwrap();
}

#[test]
fn e1_refusals_are_counted_by_source() {
    let dir = data_dir();
    let (log, _clock) = start(dir.path(), (1_000, 10, 0));
    let from = |remote: &str, request_id: &str, known| {
        let remote = (!remote.is_empty()).then(|| remote.parse().unwrap());
        log.record(&DecisionRecord::Refused { reason: Reason::WrongSecret, stage: "auth", known, remote, request_id });
    };
    (0..5).for_each(|_| from("192.0.2.1", "", None));
    from("192.0.2.2", "", None);
    (0..4).for_each(|n| from(&format!("2001:db8::{n}"), "", None));
    from("", "", None);
    from("2001:db8::1", "req_9", Some(known()));
    log.flush(PATIENTLY);
    let rows = list(dir.path(), 0, 100, &DecisionFilter::default()).unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.kind, row.source.as_str(), row.calls)).collect();
    let expected = [
        (Kind::Refused, "2001:db8::1", 1),
        (Kind::Counted, "", 1),
        (Kind::Counted, "192.0.2.1", 5),
        (Kind::Counted, "192.0.2.2", 1),
        (Kind::Counted, "2001:db8::/64", 4),
    ];
    assert_eq!(told, expected);
}

#[test]
fn e1_a_busy_second_is_written_before_it_ends() {
    let dir = data_dir();
    let (log, _clock) = start(dir.path(), (100_000, 100_000, 0));
    for _ in 0..3 {
        (0..2_000).for_each(|_| log.record(&refused(Reason::Revoked, Some(known()))));
        while log.shared.waiting.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
    }
    assert!(sum(dir.path(), "1") >= 4_096, "all of it waits in memory");
}
