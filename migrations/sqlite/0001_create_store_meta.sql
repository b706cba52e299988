-- One row about the store itself. The epoch is random and new at each restore, so that every process
-- notices a replaced file; the pepper's fingerprint lets a process with another pepper deny instead of
-- tagging anew.
CREATE TABLE store_meta (
  id                 INTEGER PRIMARY KEY CHECK (id = 1),
  epoch              BLOB    NOT NULL CHECK (length(epoch) = 16),
  realm              TEXT    NOT NULL,
  pepper_fingerprint BLOB    NOT NULL CHECK (length(pepper_fingerprint) = 16),
  created_at_ms      INTEGER NOT NULL
);

-- Processes that have the store open for long. All share one kernel: a live row of another boot is refused.
CREATE TABLE processes (
  pid             INTEGER NOT NULL,
  boot_id         TEXT    NOT NULL,
  kind            TEXT    NOT NULL,
  started_at_ms   INTEGER NOT NULL,
  heartbeat_at_ms INTEGER NOT NULL,
  PRIMARY KEY (boot_id, pid)
);
