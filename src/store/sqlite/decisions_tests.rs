use super::*;
use crate::clock::ManualClock;
use std::os::unix::fs::PermissionsExt as _;

fn data_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

fn known() -> (CredentialId, TenantId, AppId, UserId) {
    let (id, tenant) = (CredentialId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
    (id, tenant, AppId::new(7).unwrap(), UserId::new(9).unwrap())
}

fn refused(reason: Reason, known: Option<(CredentialId, TenantId, AppId, UserId)>) -> DecisionRecord<'static> {
    DecisionRecord::Refused { reason, stage: "auth", known, request_id: "req_1" }
}

fn sum(dir: &Path, condition: &str) -> u64 {
    let connection = Connection::open(dir.join(FILE_NAME)).unwrap();
    let sql = format!("SELECT coalesce(sum(calls), 0) FROM decisions WHERE {condition}");
    u64::try_from(connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()).unwrap()
}

#[test]
fn r11_kept_and_counted_and_dropped_are_all_decisions() {
    let dir = data_dir();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let log = DecisionLog::start(dir.path(), 1_000, 10, clock).unwrap();
    for _ in 0..100 {
        log.record(&DecisionRecord::Accepted);
        log.record(&refused(Reason::Revoked, Some(known())));
        log.record(&refused(Reason::UnknownCredential, None));
    }
    log.flush(Duration::from_secs(5));
    log.flush(Duration::from_secs(5));
    assert_eq!(sum(dir.path(), "kind = 'refused'"), 10, "one by one up to the rate");
    assert_eq!(sum(dir.path(), "reason = 'accepted'"), 100);
    assert_eq!(sum(dir.path(), "1"), 300, "nothing is lost");
}

#[test]
fn r11_the_log_is_capped_and_its_rest_still_chains() {
    let dir = data_dir();
    let clock = Arc::new(ManualClock::at(1_000_000));
    let log = DecisionLog::start(dir.path(), 50, 1_000, clock.clone()).unwrap();
    for _ in 0..20 {
        for _ in 0..10 {
            log.record(&refused(Reason::Expired, Some(known())));
        }
        clock.advance(Duration::from_secs(1));
        log.flush(Duration::from_secs(5));
    }
    let connection = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    let rows: i64 = connection.query_row("SELECT count(*) FROM decisions", [], |row| row.get(0)).unwrap();
    assert!(rows <= 50, "{rows}");
    let mut previous: [u8; 32] = connection.query_row("SELECT hash FROM decisions_base", [], |r| r.get(0)).unwrap();
    let mut statement = connection
        .prepare("SELECT at_ms, kind, reason, stage, request_id, credential_id, calls, hash FROM decisions ORDER BY sequence")
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (kind, reason, stage): (String, String, String) =
            (row.get(1).unwrap(), row.get(2).unwrap(), row.get(3).unwrap());
        let request_id: String = row.get(4).unwrap();
        let fields = Fields {
            at_ms: row.get(0).unwrap(),
            kind: &kind,
            reason: &reason,
            stage: &stage,
            request_id: &request_id,
            id: row.get(5).unwrap(),
            calls: row.get(6).unwrap(),
        };
        previous = fields.hash(&previous);
        assert_eq!(previous, row.get::<_, [u8; 32]>(7).unwrap());
    }
}
