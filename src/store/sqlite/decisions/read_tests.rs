//! Logs that were tampered with, ten thousand ways; logs of the release before.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::audit::decisions::DecisionSink as _;
use crate::clock::{Entropy as _, SystemEntropy};
use crate::domain::Reason;
use crate::store::sqlite::decisions::tests::{PATIENTLY, accepted, credential, data_dir, known, refused, start};
use crate::store::sqlite::migrate::MigrateError;

const FIRST: &str = include_str!("../../../../migrations/decisions/0001_create_decisions.sql");
const OF_BEFORE: &str = "INSERT INTO decisions (at_ms, kind, reason, stage, credential_id, tenant_id, app_id, user_id, request_id, \
                         calls, hash) VALUES (?1, ?2, ?3, 'auth', ?4, ?5, ?6, ?6, ?7, ?8, ?9)";

fn chance(below: u64) -> u64 {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random).unwrap();
    u64::from_le_bytes(random) % below
}

fn open(dir: &Path) -> Connection {
    Connection::open(dir.join(FILE_NAME)).unwrap()
}

/// As the release before wrote a row: its own encoding, written out here once more.
fn write_as_before(connection: &Connection, n: i64) {
    let base = "SELECT hash FROM (SELECT 0 AS sequence, hash FROM decisions_base UNION ALL SELECT sequence, hash FROM decisions) \
                ORDER BY sequence DESC LIMIT 1";
    let previous: [u8; 32] = connection.query_row(base, [], |row| row.get(0)).unwrap();
    let single = n % 3 == 0;
    let id = single.then_some([1_u8; 16]);
    let (kind, reason, calls) =
        if single { ("refused", "revoked", 1) } else { ("counted", "unknown_credential", n + 5) };
    let request_id = if single { format!("req_{n}") } else { String::new() };
    let mut bytes = b"latchkey decision v1".to_vec();
    bytes.extend(previous);
    bytes.extend((n * 1000).to_be_bytes());
    bytes.extend(calls.to_be_bytes());
    let id_bytes = id.map_or(Vec::new(), |id| id.to_vec());
    for text in [kind.as_bytes(), reason.as_bytes(), b"auth", request_id.as_bytes(), &id_bytes] {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text);
    }
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    let (tenant, app) = (single.then_some([2_u8; 16]), single.then_some(7));
    connection.execute(OF_BEFORE, params![n * 1000, kind, reason, id, tenant, app, request_id, calls, hash]).unwrap();
}

/// A file of the release before, with so many rows; it never set a version.
fn file_of_before(dir: &Path, rows: i64) {
    use std::os::unix::fs::PermissionsExt as _;
    let connection = open(dir);
    connection.execute_batch(FIRST).unwrap();
    (1..=rows).for_each(|n| write_as_before(&connection, n));
    drop(connection);
    std::fs::set_permissions(dir.join(FILE_NAME), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Fifty rows of every kind, the oldest of which were dropped for room.
fn whole(dir: &Path) -> Connection {
    let (log, clock) = start(dir, (30, 5, 2));
    let credential = credential();
    for n in 0..6_u64 {
        (0..4).for_each(|_| log.record(&accepted(&credential)));
        (0..4).for_each(|_| log.record(&refused(Reason::Revoked, Some(known()))));
        (0..n).for_each(|_| log.record(&refused(Reason::UnknownCredential, None)));
        log.flush(PATIENTLY);
        clock.advance(std::time::Duration::from_secs(1));
    }
    open(dir)
}

fn of(connection: Connection) -> Reading {
    Reading { connection, has_sources: true }
}

/// What is wrong after a change that is taken back.
fn damage(reading: &Reading, change: impl FnOnce(&Connection)) -> Option<Damage> {
    reading.connection.execute_batch("BEGIN").unwrap();
    change(&reading.connection);
    let found = walk(reading).unwrap().err();
    reading.connection.execute_batch("ROLLBACK").unwrap();
    found
}

/// The same for a statement, which must concern a row.
fn damage_by(reading: &Reading, sql: &str) -> Option<Damage> {
    damage(reading, |connection| assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}"))
}

/// Exchanges what two rows say, under the numbers that they have.
fn exchange(connection: &Connection, one: u64, other: u64) {
    let number = |n: u64, to: i64| {
        let moved = "UPDATE decisions SET sequence = ?2 WHERE sequence = ?1";
        connection.execute(moved, params![i64::try_from(n).unwrap(), to]).unwrap();
    };
    number(one, -1);
    number(other, i64::try_from(one).unwrap());
    connection
        .execute("UPDATE decisions SET sequence = ?1 WHERE sequence = -1", [i64::try_from(other).unwrap()])
        .unwrap();
}

#[test]
fn e1_ten_thousand_edits_deletions_and_reorderings_are_all_found() {
    const EDITS: [&str; 19] = [
        "at_ms = at_ms + 1",
        "kind = CASE kind WHEN 'refused' THEN 'accepted' ELSE 'refused' END",
        "reason = reason || 'x'",
        "reason = substr(reason, 2), stage = substr(reason, 1, 1) || stage",
        "stage = stage || ' '",
        "source = CASE source WHEN '' THEN 'others' ELSE '' END",
        "source = source || '0'",
        "credential_id = CASE WHEN credential_id IS NULL THEN zeroblob(16) END",
        "credential_id = randomblob(16)",
        "tenant_id = CASE WHEN tenant_id IS NULL THEN zeroblob(16) END",
        "tenant_id = randomblob(16)",
        "app_id = coalesce(app_id, 0) + 1",
        "app_id = CASE WHEN app_id IS NULL THEN 0 END",
        "user_id = coalesce(user_id, 0) + 1",
        "app_id = user_id, user_id = coalesce(app_id, 5) + 4294967296",
        "request_id = request_id || char(0)",
        "calls = calls + 1",
        "form = form - 1",
        "hash = randomblob(32)",
    ];
    let dir = data_dir();
    let reading = of(whole(dir.path()));
    let Verified { first, last, .. } = walk(&reading).unwrap().unwrap();
    assert_eq!(last - first + 1, 30);
    assert!(first > 10, "some were dropped for room: {first}");
    let mut kinds = BTreeMap::new();
    for n in 0..10_000_usize {
        let at = first + chance(last - first + 1);
        let found = match n % 24 {
            edit @ 0..=18 => {
                let sql = format!("UPDATE decisions SET {} WHERE sequence = {at}", EDITS[edit]);
                let found = damage_by(&reading, &sql);
                assert_eq!(found, Some(Damage::Edited { sequence: at }), "{sql}");
                found
            }
            19 => {
                let sql = format!("DELETE FROM decisions WHERE sequence = {at}");
                let found = damage_by(&reading, &sql);
                let expected = if at == last {
                    Damage::Truncated { found: last - 1, known: last }
                } else {
                    Damage::Deleted { sequence: at, found: at + 1 }
                };
                assert_eq!(found, Some(expected));
                found
            }
            20 => {
                let other = first + (at - first + 1 + chance(last - first)) % (last - first + 1);
                let found = damage(&reading, |connection| exchange(connection, at, other));
                let (sequence, to) = (at.min(other), at.max(other));
                assert_eq!(found, Some(Damage::Reordered { sequence, to }));
                found
            }
            21 => {
                // Gone, and the numbers closed up behind it, the highest one ever given too.
                let at = at.min(last - 1);
                let found = damage(&reading, |connection| {
                    let closed_up = format!(
                        "DELETE FROM decisions WHERE sequence = {at}; \
                         UPDATE decisions SET sequence = -sequence WHERE sequence > {at}; \
                         UPDATE decisions SET sequence = -sequence - 1 WHERE sequence < 0; \
                         UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'decisions'"
                    );
                    connection.execute_batch(&closed_up).unwrap();
                });
                assert_eq!(found, Some(Damage::Edited { sequence: at }));
                found
            }
            22 => {
                let sql = format!("UPDATE decisions SET request_id = CAST(request_id AS BLOB) WHERE sequence = {at}");
                damage_by(&reading, &sql)
            }
            _ => {
                let sql = match chance(5) {
                    0 => "UPDATE decisions_base SET hash = randomblob(32)",
                    1 => "UPDATE decisions_base SET sequence = sequence + 1",
                    2 => "UPDATE decisions_base SET sequence = sequence - 1",
                    3 => "DELETE FROM decisions_base",
                    // Everything under the next number, consistently.
                    _ => {
                        "UPDATE decisions SET sequence = -sequence; \
                         UPDATE decisions SET sequence = 1 - sequence; \
                         UPDATE decisions_base SET sequence = sequence + 1; \
                         UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'decisions'"
                    }
                };
                let found = damage(&reading, |connection| connection.execute_batch(sql).unwrap());
                assert!(found.is_some_and(|damage| damage.sequence() <= first + 1), "{sql}: {found:?}");
                found
            }
        };
        let found = found.unwrap_or_else(|| panic!("change {} of row {at} was not found", n % 24));
        *kinds.entry(found.kind()).or_insert(0) += 1;
    }
    for kind in ["edited", "deleted", "reordered", "truncated"] {
        assert!(kinds.get(kind).is_some_and(|found| *found > 5), "{kinds:?}");
    }
    assert_eq!(walk(&reading).unwrap().unwrap().last, last, "and nothing was found where nothing is");
}

#[test]
fn e1_after_a_cut_end_the_log_goes_on_and_the_cut_still_shows() {
    let dir = data_dir();
    let (log, _clock) = start(dir.path(), (1_000, 10, 0));
    let refuse = || (0..4).for_each(|_| log.record(&refused(Reason::Revoked, Some(known()))));
    refuse();
    log.flush(PATIENTLY);
    open(dir.path()).execute_batch("DELETE FROM decisions WHERE sequence > 2").unwrap();
    assert_eq!(verify(dir.path()).unwrap(), Err(Damage::Truncated { found: 2, known: 4 }));
    refuse();
    log.flush(PATIENTLY);
    assert_eq!(verify(dir.path()).unwrap(), Err(Damage::Deleted { sequence: 3, found: 5 }));
    // Nor does a hash that is none stop it.
    open(dir.path()).execute_batch("UPDATE decisions SET hash = x'00' WHERE sequence = 8").unwrap();
    refuse();
    log.flush(PATIENTLY);
    let rows: i64 = open(dir.path()).query_row("SELECT sum(calls) FROM decisions", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 10);
}

#[test]
fn e1_a_hole_does_not_stop_the_oldest_rows_from_going() {
    let dir = data_dir();
    let (log, _clock) = start(dir.path(), (10, 100, 0));
    let refuse = |rows: u32| {
        (0..rows).for_each(|_| log.record(&refused(Reason::Revoked, Some(known()))));
        log.flush(PATIENTLY);
    };
    refuse(10);
    open(dir.path()).execute_batch("DELETE FROM decisions WHERE sequence = 5").unwrap();
    refuse(5);
    assert_eq!(verify(dir.path()).unwrap(), Err(Damage::Deleted { sequence: 5, found: 6 }));
    refuse(5);
    let verified = verify(dir.path()).unwrap().unwrap();
    assert_eq!((verified.first, verified.last), (11, 20), "and with what was around it the hole is gone");
}

#[test]
fn e1_a_walk_beside_a_writer_that_drops_rows_finds_nothing_wrong() {
    let dir = data_dir();
    let (log, _clock) = start(dir.path(), (20, 1_000_000, 0));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                (0..10).for_each(|_| log.record(&refused(Reason::Revoked, Some(known()))));
                log.flush(PATIENTLY);
            }
        });
        let walked: Vec<_> = (0..300).map(|_| verify(dir.path())).collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let found: Vec<_> = walked.into_iter().map(|walked| walked.unwrap().unwrap().last).collect();
        assert!(found.last() > found.first(), "nothing was written meanwhile");
    });
}

#[test]
fn e1_a_log_of_the_release_before_keeps_its_rows_and_its_chain() {
    let dir = data_dir();
    file_of_before(dir.path(), 20);
    // Read as it is, before anybody of this version wrote it.
    let before = list(dir.path(), 0, 100, &DecisionFilter::default()).unwrap();
    assert_eq!(before.len(), 20);
    let verified = verify(dir.path()).unwrap().unwrap();
    assert_eq!((verified.first, verified.last, verified.first_form), (1, 20, 20));

    // Whoever of the release before still has it open when it is brought up to date.
    let old = open(dir.path());
    assert_eq!(old.query_row("SELECT count(*) FROM decisions", [], |row| row.get::<_, i64>(0)).unwrap(), 20);
    let (log, _clock) = start(dir.path(), (1_000, 10, 1));
    let version: i64 = open(dir.path()).query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
    assert_eq!(list(dir.path(), 0, 100, &DecisionFilter::default()).unwrap(), before, "nothing of it was lost");
    log.record(&accepted(&credential()));
    log.flush(PATIENTLY);
    write_as_before(&old, 22);
    log.record(&refused(Reason::Revoked, Some(known())));
    log.flush(PATIENTLY);
    old.execute_batch(FIRST).unwrap();
    let verified = verify(dir.path()).unwrap().unwrap();
    assert_eq!((verified.first, verified.last, verified.first_form), (1, 23, 21));

    // What their hashes cover is as safe as it was.
    let reading = of(open(dir.path()));
    for edit in
        ["at_ms = 1", "kind = 'accepted'", "reason = 'x'", "stage = ''", "source = 'x'", "form = 2", "calls = 2"]
    {
        let sql = format!("UPDATE decisions SET {edit} WHERE sequence = 3");
        let found = damage_by(&reading, &sql);
        assert_eq!(found, Some(Damage::Edited { sequence: 3 }), "{edit}");
    }
    let found = damage(&reading, |connection| exchange(connection, 3, 5));
    assert_eq!(found, Some(Damage::Reordered { sequence: 3, to: 5 }));
    let found = damage(&reading, |connection| exchange(connection, 20, 21));
    assert_eq!(found, Some(Damage::Reordered { sequence: 20, to: 21 }));
}

#[test]
fn e1_bringing_a_log_up_to_date_keeps_a_cut_end_a_base_and_an_empty_log() {
    let dir = data_dir();
    file_of_before(dir.path(), 10);
    let cut = "UPDATE decisions_base SET sequence = 4, hash = (SELECT hash FROM decisions WHERE sequence = 4); \
               DELETE FROM decisions WHERE sequence <= 4 OR sequence = 10";
    open(dir.path()).execute_batch(cut).unwrap();
    let expected = Err(Damage::Truncated { found: 9, known: 10 });
    assert_eq!(verify(dir.path()).unwrap(), expected);
    let _log = start(dir.path(), (1_000, 10, 0));
    assert_eq!(verify(dir.path()).unwrap(), expected);

    let empty = data_dir();
    file_of_before(empty.path(), 0);
    let (log, _clock) = start(empty.path(), (1_000, 10, 0));
    log.record(&refused(Reason::Revoked, Some(known())));
    log.flush(PATIENTLY);
    let verified = verify(empty.path()).unwrap().unwrap();
    assert_eq!((verified.first, verified.last, verified.first_form), (1, 1, 0));
}

#[test]
fn e1_a_log_of_a_newer_version_is_refused_and_left_as_it_is() {
    let dir = data_dir();
    drop(start(dir.path(), (1_000, 10, 0)));
    open(dir.path()).pragma_update(None, "user_version", 99).unwrap();
    let limits = crate::store::sqlite::decisions::Limits { max_rows: 1, per_second: 1, accepted_one_in: 1 };
    let clock = std::sync::Arc::new(crate::clock::ManualClock::at(1));
    let newer = |refused: Option<OpenError>| {
        assert!(
            matches!(refused, Some(OpenError::Migrate(MigrateError::Newer { found: 99, known: 2, .. }))),
            "{refused:?}"
        );
    };
    newer(crate::store::sqlite::decisions::DecisionLog::start(dir.path(), limits, clock).err());
    newer(list(dir.path(), 0, 1, &DecisionFilter::default()).err());
    newer(verify(dir.path()).err());
}

#[test]
fn pages_and_filters_beside_a_live_writer() {
    let dir = data_dir();
    assert_eq!(list(dir.path(), 0, 10, &DecisionFilter::default()).unwrap(), []);
    assert_eq!(verify(dir.path()).unwrap().unwrap(), Verified::default());
    let (log, clock) = start(dir.path(), (10_000, 1_000, 1));
    let other = (CredentialId::from_bytes([3; 16]), TenantId::from_bytes([4; 16]), known().2, known().3);
    let credential = credential();
    for _ in 0..10 {
        log.record(&accepted(&credential));
        log.record(&refused(Reason::Revoked, Some(known())));
        log.record(&refused(Reason::Expired, Some(other)));
        log.record(&refused(Reason::UnknownCredential, None));
        log.flush(PATIENTLY);
        clock.advance(std::time::Duration::from_secs(1));
    }
    let count = |filter: DecisionFilter| {
        let (mut after, mut rows) = (0, Vec::new());
        loop {
            let page = list(dir.path(), after, 3, &filter).unwrap();
            let Some(last) = page.last() else { return rows.len() };
            assert!(page.len() <= 3 && page[0].sequence > after);
            after = last.sequence;
            rows.extend(page);
        }
    };
    let all = DecisionFilter::default;
    assert_eq!(count(all()), 40);
    assert_eq!(count(DecisionFilter { reason: Some("revoked".to_owned()), ..all() }), 10);
    assert_eq!(count(DecisionFilter { reason: Some("accepted".to_owned()), ..all() }), 10);
    assert_eq!(count(DecisionFilter { credential: Some(known().0), ..all() }), 20);
    assert_eq!(count(DecisionFilter { tenant: Some(other.1), ..all() }), 10);
    assert_eq!(count(DecisionFilter { since_ms: Some(1_002_000), until_ms: Some(1_004_000), ..all() }), 8);
    let both = DecisionFilter { credential: Some(known().0), tenant: Some(other.1), ..all() };
    assert_eq!(count(both), 0);
    let verified = verify(dir.path()).unwrap().unwrap();
    assert_eq!((verified.first, verified.last), (1, 40));
    assert!(verified.statement().contains("row 1 to row 40") && verified.statement().contains("not signed"));
    assert_eq!(Verified::default().statement(), "no rows");
}
