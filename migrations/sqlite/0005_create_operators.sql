-- People and programs that may administer the store; their tokens are kept like API keys.
CREATE TABLE operators (
  id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  name          TEXT    NOT NULL UNIQUE,
  role          TEXT    NOT NULL CHECK (role IN ('owner', 'issuer', 'auditor')),
  tenants       TEXT    NOT NULL,
  phc           TEXT    NOT NULL,
  tag           BLOB    CHECK (tag IS NULL OR length(tag) = 32),
  pepper        BLOB    NOT NULL CHECK (length(pepper) = 16),
  generation    INTEGER NOT NULL,
  row_mac       BLOB    NOT NULL CHECK (length(row_mac) = 32),
  created_at_ms INTEGER NOT NULL,
  revoked_at_ms INTEGER
) WITHOUT ROWID;
