-- The decision log, apart from the store: a flood of refusals must not hold up a revocation. Rows are dropped
-- from the oldest; the base keeps the hash before the oldest that is left.
CREATE TABLE IF NOT EXISTS decisions (
  sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms         INTEGER NOT NULL,
  kind          TEXT    NOT NULL CHECK (kind IN ('refused', 'counted')),
  reason        TEXT    NOT NULL,
  stage         TEXT    NOT NULL,
  credential_id BLOB,
  tenant_id     BLOB,
  app_id        INTEGER,
  user_id       INTEGER,
  request_id    TEXT    NOT NULL,
  calls         INTEGER NOT NULL,
  hash          BLOB    NOT NULL
);
CREATE TABLE IF NOT EXISTS decisions_base (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  sequence INTEGER NOT NULL,
  hash     BLOB    NOT NULL
);
INSERT OR IGNORE INTO decisions_base (id, sequence, hash) VALUES (1, 0, zeroblob(32));
