-- Signed statements of how far the trail goes.
CREATE TABLE audit_checkpoints (
  sequence   INTEGER NOT NULL CHECK (sequence >= 1),
  public_key BLOB    NOT NULL CHECK (length(public_key) = 32),
  at_ms      INTEGER NOT NULL,
  head       BLOB    NOT NULL CHECK (length(head) = 32),
  signature  BLOB    NOT NULL CHECK (length(signature) = 64),
  PRIMARY KEY (sequence, public_key)
) WITHOUT ROWID;

-- The checkpoint before which events were given up.
CREATE TABLE audit_base (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  sequence   INTEGER NOT NULL,
  public_key BLOB    NOT NULL CHECK (length(public_key) = 32),
  at_ms      INTEGER NOT NULL,
  head       BLOB    NOT NULL CHECK (length(head) = 32),
  signature  BLOB    NOT NULL CHECK (length(signature) = 64)
);

CREATE TRIGGER audit_checkpoints_are_never_changed BEFORE UPDATE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER audit_checkpoints_are_never_deleted BEFORE DELETE ON audit_checkpoints
WHEN OLD.sequence > coalesce((SELECT sequence FROM audit_base), 0)
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;

-- Only what was given up for a signed base goes.
DROP TRIGGER audit_events_are_never_deleted;
CREATE TRIGGER audit_events_are_never_deleted BEFORE DELETE ON audit_events
WHEN OLD.sequence > coalesce((SELECT sequence FROM audit_base), 0)
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
