-- The audit trail: append-only, hash-chained from the first row.
CREATE TABLE audit_events (
  sequence     INTEGER NOT NULL PRIMARY KEY CHECK (sequence >= 1),
  at_ms        INTEGER NOT NULL,
  actor        TEXT    NOT NULL,
  action       TEXT    NOT NULL,
  subject_kind TEXT    NOT NULL,
  subject_id   TEXT    NOT NULL,
  tenant_id    BLOB,
  details      TEXT    NOT NULL,
  request_id   TEXT    NOT NULL,
  hash         BLOB    NOT NULL CHECK (length(hash) = 32)
);
CREATE TRIGGER audit_events_are_never_changed BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
CREATE TRIGGER audit_events_are_never_deleted BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
