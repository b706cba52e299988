//! What only the real store can show: two processes' worth on one file, and what somebody else does to the file.

use super::*;
use crate::audit::chain;
use crate::clock::{ManualClock, SystemClock, SystemEntropy};
use crate::domain::{CredentialId, Generation, IssuerId, Subject};
use crate::store::suite::issuers::issuer;
use crate::store::suite::{ACME, GLOBEX, app, credential, event, private_dir, tenant, user};
use crate::store::{News, OTHERS_ISS, Sharing, Store as _};

struct File {
    dir: tempfile::TempDir,
}

impl File {
    fn new() -> Self {
        let file = Self { dir: private_dir() };
        let pepper = PepperFingerprint([4; 16]);
        drop(SqliteStore::create(file.dir.path(), "host", pepper, &event(), options()).unwrap());
        file
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(self.dir.path(), options()).unwrap()
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join(FILE_NAME)
    }

    /// The file as somebody with a shell would open it.
    fn raw(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

fn options() -> OpenOptions {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    OpenOptions { dev: true, kind: ProcessKind::Command, clock, entropy }
}

fn furnish(store: &SqliteStore) {
    store.tenants().create(&tenant(ACME, "acme"), event().into()).unwrap();
    store.apps().add(&app(ACME, 7), event().into()).unwrap();
    store.users().add(&user(ACME, 9), event().into()).unwrap();
}

#[test]
fn r8_what_one_process_commits_another_reads_and_is_told() {
    let file = File::new();
    let (one, other) = (file.open(), file.open());
    let start = other.position().unwrap();
    assert_eq!(other.feed().news(start).unwrap(), News::Nothing);
    furnish(&one);
    one.credentials().issue(&credential(ACME, 1, 1), event().into()).unwrap();
    let id = CredentialId::from_bytes([1; 16]);
    assert!(other.credentials().look_up(id).unwrap().row.is_some());
    let News::Changes(changes) = other.feed().news(start).unwrap() else { panic!("there are news") };
    assert_eq!(changes.last().unwrap().subject, Subject::Credential(id));
    // And the other way round: both may write.
    other.credentials().issue(&credential(ACME, 2, 1), event().into()).unwrap();
    assert!(one.credentials().look_up(CredentialId::from_bytes([2; 16])).unwrap().row.is_some());
    let trail = one.audit().list(0, 100).unwrap();
    assert!(trail.windows(2).all(|pair| pair[1].hash == chain::hash(&pair[0].hash, pair[1].sequence, &pair[1].event)));
}

#[test]
fn r13_an_unknown_id_reads_another_row_and_never_gets_it() {
    let file = File::new();
    let store = file.open();
    furnish(&store);
    let unknown = |n: u8| CredentialId::from_bytes([n; 16]);
    assert!(store.credentials().look_up(unknown(200)).unwrap().row.is_none(), "there is no row at all");
    for id in 1..5 {
        store.credentials().issue(&credential(ACME, id, 1), event().into()).unwrap();
    }
    drop(store);
    let store = file.open();
    for id in 100..120 {
        assert!((1..=4).contains(&store.shared.other_row(unknown(id))), "one that is there");
        let found = store.credentials().look_up(unknown(id)).unwrap();
        assert!(found.row.is_none() && found.position > Position(0), "{id}");
    }
    assert!(store.credentials().look_up(unknown(4)).unwrap().row.is_some());
}

#[test]
fn r8_reads_share_no_snapshot_and_the_feed_holds_none() {
    let file = File::new();
    let (one, other) = (file.open(), file.open());
    furnish(&one);
    for id in 1..20 {
        one.credentials().issue(&credential(ACME, id, 1), event().into()).unwrap();
        let before = other.position().unwrap();
        assert!(other.credentials().look_up(CredentialId::from_bytes([id; 16])).unwrap().row.is_some(), "{id}");
        assert_eq!(other.feed().news(before).unwrap(), News::Nothing);
    }
    // No reader keeps the log from being folded in.
    let (busy, log, folded): (i64, i64, i64) = file
        .raw()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    assert_eq!((busy, log), (0, folded));
}

#[test]
fn r9_a_new_epoch_or_lost_changes_drop_everything() {
    let file = File::new();
    let store = file.open();
    furnish(&store);
    let start = store.position().unwrap();
    assert_eq!(store.feed().news(start).unwrap(), News::Nothing);
    file.raw().execute("UPDATE store_meta SET epoch = randomblob(16)", []).unwrap();
    assert!(matches!(store.feed().news(start).unwrap(), News::Lost { .. }));
    assert_eq!(store.feed().news(start).unwrap(), News::Nothing, "told once");
    file.raw().execute("DELETE FROM changes WHERE seq = (SELECT max(seq) - 1 FROM changes)", []).unwrap();
    assert!(matches!(store.feed().news(Position(start.0 - 2)).unwrap(), News::Lost { .. }), "a gap");
}

#[test]
fn r9_another_file_at_our_path_is_not_read_from() {
    let file = File::new();
    let store = file.open();
    let start = store.position().unwrap();
    std::fs::rename(file.path(), file.dir.path().join("moved")).unwrap();
    std::fs::copy(file.dir.path().join("moved"), file.path()).unwrap();
    assert!(store.feed().news(start).is_err());
}

#[test]
fn r9_generations_are_random_and_never_count() {
    let made: Vec<i64> = (0..200).map(|_| Generation::random(&SystemEntropy).unwrap().0).collect();
    assert!(made.windows(2).any(|pair| pair[1] < pair[0]));
    let distinct: std::collections::HashSet<_> = made.iter().collect();
    assert_eq!(distinct.len(), made.len());
    assert!(made.iter().any(|n| n.unsigned_abs() > u64::from(u32::MAX)));
}

#[test]
fn r10_a_store_in_use_by_another_boot_is_refused_until_its_process_is_dead() {
    let file = File::new();
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let enter = "INSERT INTO processes (pid, boot_id, kind, started_at_ms, heartbeat_at_ms) VALUES (4, 'other', 'serve', 0, ?1)";
    file.raw().execute(enter, [clock.wall_ms() - 1_000]).unwrap();
    let open = |kind| {
        let clock = Arc::clone(&clock) as Arc<dyn Clock>;
        SqliteStore::open(file.dir.path(), OpenOptions { kind, clock, ..options() }).map(drop)
    };
    assert!(matches!(open(ProcessKind::Plugin), Err(OpenError::OtherKernel { pid: 4, .. })));
    assert!(matches!(open(ProcessKind::Command), Err(OpenError::OtherKernel { .. })));
    clock.advance(Duration::from_secs(60));
    open(ProcessKind::Plugin).unwrap();
}

#[test]
fn r10_a_live_process_is_entered_and_leaves() {
    let file = File::new();
    let count = || file.raw().query_row("SELECT count(*) FROM processes", [], |row| row.get::<_, i64>(0)).unwrap();
    let store = SqliteStore::open(file.dir.path(), OpenOptions { kind: ProcessKind::Plugin, ..options() }).unwrap();
    assert_eq!(count(), 1);
    drop(store);
    assert_eq!(count(), 0);
    let _command = file.open();
    assert_eq!(count(), 0);
}

#[test]
fn r10_a_writer_that_is_never_idle_says_that_it_lives_and_folds_its_log_in() {
    let file = File::new();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let store =
        SqliteStore::open(file.dir.path(), OpenOptions { kind: ProcessKind::Serve, clock: clock.clone(), ..options() })
            .unwrap();
    furnish(&store);
    for _ in 0..4 {
        clock.advance(Duration::from_secs(6));
        store.credentials().used(&[(CredentialId::from_bytes([1; 16]), 1)]).unwrap();
    }
    // The next is answered after what the writer did for itself.
    store.credentials().used(&[]).unwrap();
    let heartbeat: i64 = file.raw().query_row("SELECT heartbeat_at_ms FROM processes", [], |row| row.get(0)).unwrap();
    assert!(heartbeat >= 1_000_000 + 12_000, "{heartbeat}");
    let (log, folded): (i64, i64) =
        file.raw().query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| Ok((row.get(1)?, row.get(2)?))).unwrap();
    assert!(folded > 0 && log - folded < 20, "{log} pages in the log, {folded} folded in");
}

#[test]
fn e3_the_trail_cannot_be_edited_or_deleted_with_sql() {
    let file = File::new();
    furnish(&file.open());
    for statement in ["UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events WHERE sequence = 2"] {
        let refused = file.raw().execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
}

#[test]
fn e4_a_change_whose_event_cannot_be_written_does_not_happen() {
    let file = File::new();
    let store = file.open();
    furnish(&store);
    let stop = "CREATE TRIGGER stop BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'no'); END";
    file.raw().execute_batch(stop).unwrap();
    assert!(store.credentials().issue(&credential(ACME, 1, 1), event().into()).is_err());
    assert!(store.apps().remove(ACME, crate::domain::AppId::new(7).unwrap(), event()).is_err());
    assert!(store.credentials().look_up(CredentialId::from_bytes([1; 16])).unwrap().row.is_none());
    assert!(store.apps().by_id(ACME, crate::domain::AppId::new(7).unwrap()).unwrap().is_some());
    file.raw().execute_batch("DROP TRIGGER stop").unwrap();
    store.credentials().issue(&credential(ACME, 1, 1), event().into()).unwrap();
}

#[test]
fn a_locked_database_is_an_error_in_bounded_time_and_reads_go_on() {
    let file = File::new();
    let store = file.open();
    furnish(&store);
    let raw = file.raw();
    raw.execute_batch("BEGIN IMMEDIATE").unwrap();
    let clock = SystemClock;
    let started = clock.boot_ns();
    assert!(store.credentials().issue(&credential(ACME, 1, 1), event().into()).is_err());
    let waited = Duration::from_nanos(clock.boot_ns() - started);
    assert!(waited >= Duration::from_secs(1) && waited < Duration::from_secs(10), "{waited:?}");
    assert!(store.tenants().by_id(ACME).unwrap().is_some());
    raw.execute_batch("ROLLBACK").unwrap();
    store.credentials().issue(&credential(ACME, 1, 1), event().into()).unwrap();
}

#[test]
fn a_full_disk_is_an_error_that_changes_nothing_and_passes() {
    let file = File::new();
    let store = file.open();
    furnish(&store);
    // What a full disk says, said by the database's own limit.
    let limit = |pages: i64| {
        store.writer.on_connection(move |connection| {
            connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        });
    };
    limit(1);
    let mut large = user(ACME, 10);
    large.name = "x".repeat(1 << 20);
    let head = store.audit().head().unwrap();
    let refused = store.users().add(&large, event().into()).unwrap_err();
    assert!(matches!(refused, StoreError::Failed { .. }), "{refused}");
    assert_eq!(store.audit().head().unwrap(), head);
    limit(1 << 30);
    store.users().add(&large, event().into()).unwrap();
}

#[test]
fn a_damaged_or_foreign_file_is_said_and_left_alone() {
    let file = File::new();
    let content = b"not a database, and long enough to be read as the header of one. ".repeat(4);
    std::fs::write(file.path(), &content).unwrap();
    let opened = SqliteStore::open(file.dir.path(), options());
    assert!(matches!(opened, Err(OpenError::Corrupt { .. })));
    assert_eq!(std::fs::read(file.path()).unwrap(), content);
}

#[test]
fn corrupt_rows_are_errors_and_never_defaults() {
    let file = File::new();
    let store = file.open();
    furnish(&store);
    store.credentials().issue(&credential(ACME, 1, 1), event().into()).unwrap();
    let id = CredentialId::from_bytes([1; 16]);
    for (column, value) in
        [("cidrs", "[\"anywhere\"]"), ("cidrs", "x"), ("scopes", "{"), ("app_id", "0"), ("row_mac", "")]
    {
        let raw = file.raw();
        raw.execute_batch("PRAGMA ignore_check_constraints = ON; BEGIN").unwrap();
        raw.execute(&format!("UPDATE credentials SET {column} = ?1"), [value]).unwrap();
        raw.execute_batch("COMMIT").unwrap();
        assert!(store.credentials().look_up(id).is_err(), "{column} = {value}");
        let good = credential(ACME, 1, 1);
        raw.execute_batch("DELETE FROM credentials; DELETE FROM verifiers").unwrap();
        store.credentials().issue(&good, event().into()).unwrap();
    }
}

#[test]
fn a_panic_in_a_mutation_takes_nothing_with_it() {
    let file = File::new();
    let store = file.open();
    let panicked = store.writer.commit("panic", event(), vec![Subject::Everything], |_| panic!("in the closure"));
    assert!(matches!(panicked, Err(StoreError::Failed { .. })));
    furnish(&store);
}

#[test]
fn r16_issuers_of_one_iss_that_are_added_at_once_are_told_of_each_other_and_may_not_pass_each_other() {
    let file = File::new();
    let store = file.open();
    furnish(&store);
    store.tenants().create(&tenant(GLOBEX, "globex"), event().into()).unwrap();
    let start = store.position().unwrap();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let add = |tenant, id, sharing| {
        let row = issuer(tenant, id, &id.to_string());
        store.issuers().add(&row, sharing, event().into())
    };
    let refused = std::thread::scope(|scope| {
        // Until both have looked and wait for the writer.
        scope.spawn(|| {
            store.writer.on_connection(move |_| {
                begun.send(()).unwrap();
                let _ = released.recv();
            });
        });
        has_begun.recv().unwrap();
        let shared = [1, 2].map(|id| scope.spawn(move || add(ACME, id, Sharing::Allowed)));
        std::thread::sleep(std::time::Duration::from_millis(200));
        let bound = scope.spawn(|| add(GLOBEX, 3, Sharing::Refused));
        std::thread::sleep(std::time::Duration::from_millis(200));
        release.send(()).unwrap();
        for added in shared {
            added.join().unwrap().unwrap();
        }
        bound.join().unwrap()
    });
    assert!(matches!(refused, Err(StoreError::Exists { what: OTHERS_ISS })), "{refused:?}");
    let News::Changes(changes) = store.feed().news(start).unwrap() else { panic!("there are news") };
    let told: Vec<Subject> = changes.iter().map(|change| change.subject).collect();
    let of = |id| told.iter().filter(|subject| **subject == Subject::Issuer(IssuerId::from_bytes([id; 16]))).count();
    assert_eq!(of(1) + of(2), 3, "the second tells of the first: {told:?}");
}

#[test]
fn a_closed_store_is_one_whole_file() {
    let file = File::new();
    let store = file.open();
    store.tenants().create(&tenant(ACME, "acme"), event().into()).unwrap();
    store.close().unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(file.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [FILE_NAME, lock::FILE_NAME, reserve::FILE_NAME]);
    assert!(file.open().tenants().by_slug("acme").unwrap().is_some());
}

#[test]
fn durability_and_safety_settings_are_what_they_must_be() {
    let file = File::new();
    let store = file.open();
    store.writer.on_connection(|connection| {
        let get = |name: &str| {
            connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0))
        };
        let number = |name: &str| get(name).map(|value| format!("{value:?}")).unwrap_or_default();
        assert_eq!(number("journal_mode"), "Text(\"wal\")");
        assert_eq!(number("synchronous"), "Integer(2)", "FULL");
        assert_eq!(number("secure_delete"), "Integer(1)");
        assert_eq!(number("temp_store"), "Integer(2)", "memory: no file under SQLITE_TMPDIR");
        assert_eq!(number("foreign_keys"), "Integer(1)");
        assert_eq!(number("mmap_size").replace("Text(\"0\")", "Integer(0)"), "Integer(0)", "rule R10");
    });
}
