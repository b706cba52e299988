-- Which peppers rows may name. store_meta says which one new rows get.
CREATE TABLE peppers (
  fingerprint   BLOB    NOT NULL PRIMARY KEY CHECK (length(fingerprint) = 16),
  added_at_ms   INTEGER NOT NULL,
  retired_at_ms INTEGER,
  lost_until_ms INTEGER,
  lost_mac      BLOB    CHECK (lost_mac IS NULL OR length(lost_mac) = 32),
  CHECK ((lost_until_ms IS NULL) = (lost_mac IS NULL))
) WITHOUT ROWID;

INSERT INTO peppers (fingerprint, added_at_ms) SELECT pepper_fingerprint, created_at_ms FROM store_meta;
