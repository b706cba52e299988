-- Acceptances one by one by a share, where a decision came from, and the form of the hash. The table is made anew,
-- because a CHECK cannot be changed; numbers and hashes stay as they are. What a process of the release before writes
-- meanwhile says nothing about the form, and is of the first.
CREATE TABLE decisions_2 (
  sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms         INTEGER NOT NULL,
  kind          TEXT    NOT NULL CHECK (kind IN ('refused', 'counted', 'accepted')),
  reason        TEXT    NOT NULL,
  stage         TEXT    NOT NULL,
  source        TEXT    NOT NULL DEFAULT '',
  credential_id BLOB,
  tenant_id     BLOB,
  app_id        INTEGER,
  user_id       INTEGER,
  request_id    TEXT    NOT NULL,
  calls         INTEGER NOT NULL,
  form          INTEGER NOT NULL DEFAULT 1,
  hash          BLOB    NOT NULL
);
INSERT INTO decisions_2 (sequence, at_ms, kind, reason, stage, credential_id, tenant_id, app_id, user_id, request_id, calls, hash)
  SELECT sequence, at_ms, kind, reason, stage, credential_id, tenant_id, app_id, user_id, request_id, calls, hash
  FROM decisions ORDER BY sequence;
-- The highest number ever given, so that a cut end still shows.
DELETE FROM sqlite_sequence WHERE name = 'decisions_2';
INSERT INTO sqlite_sequence (name, seq) SELECT 'decisions_2', seq FROM sqlite_sequence WHERE name = 'decisions';
DROP TABLE decisions;
ALTER TABLE decisions_2 RENAME TO decisions;
