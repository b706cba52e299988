-- Credentials and verifiers lie in the order in which they came, and only the index of ids in the order of ids, which
-- are random. As trees of whole rows in random order they were twice as deep at ten million keys, and each new row
-- touched pages of its own.
DROP INDEX credentials_of_tenant;
DROP INDEX handles_of_credential;
ALTER TABLE credentials RENAME TO old_credentials;
ALTER TABLE verifiers RENAME TO old_verifiers;
ALTER TABLE handles RENAME TO old_handles;

CREATE TABLE credentials (
  row_id            INTEGER PRIMARY KEY,
  id                BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
  tenant_id         BLOB    NOT NULL REFERENCES tenants (id),
  app_id            INTEGER NOT NULL,
  user_id           INTEGER NOT NULL,
  kind              TEXT    NOT NULL CHECK (kind IN ('api_key', 'jwt')),
  label             TEXT    NOT NULL,
  environment       TEXT    NOT NULL CHECK (environment IN ('live', 'test')),
  scopes            TEXT    NOT NULL,
  cidrs             TEXT    NOT NULL,
  not_before_ms     INTEGER,
  expires_at_ms     INTEGER,
  revoked_at_ms     INTEGER,
  revocation_reason TEXT,
  replaces          BLOB,
  replaced_by       BLOB,
  grace_until_ms    INTEGER,
  last_used_at_ms   INTEGER,
  decoy             INTEGER NOT NULL DEFAULT 0 CHECK (decoy IN (0, 1)),
  generation        INTEGER NOT NULL,
  row_mac           BLOB    NOT NULL CHECK (length(row_mac) = 32),
  created_by        TEXT    NOT NULL,
  created_at_ms     INTEGER NOT NULL,
  CHECK ((revoked_at_ms IS NULL) = (revocation_reason IS NULL))
);

INSERT INTO credentials (
  id, tenant_id, app_id, user_id, kind, label, environment, scopes, cidrs, not_before_ms, expires_at_ms, revoked_at_ms,
  revocation_reason, replaces, replaced_by, grace_until_ms, last_used_at_ms, decoy, generation, row_mac, created_by,
  created_at_ms
)
SELECT
  id, tenant_id, app_id, user_id, kind, label, environment, scopes, cidrs, not_before_ms, expires_at_ms, revoked_at_ms,
  revocation_reason, replaces, replaced_by, grace_until_ms, last_used_at_ms, decoy, generation, row_mac, created_by,
  created_at_ms
FROM old_credentials ORDER BY created_at_ms, id;

CREATE TABLE verifiers (
  row_id  INTEGER PRIMARY KEY REFERENCES credentials (row_id) ON DELETE CASCADE,
  phc     TEXT    NOT NULL,
  tag     BLOB    CHECK (tag IS NULL OR length(tag) = 32),
  pepper  BLOB    NOT NULL CHECK (length(pepper) = 16),
  prehash TEXT
);

INSERT INTO verifiers (row_id, phc, tag, pepper, prehash)
SELECT c.row_id, v.phc, v.tag, v.pepper, v.prehash
FROM credentials AS c JOIN old_verifiers AS v ON v.credential_id = c.id ORDER BY c.row_id;

CREATE TABLE handles (
  handle BLOB    NOT NULL PRIMARY KEY CHECK (length(handle) = 32),
  row_id INTEGER NOT NULL REFERENCES credentials (row_id) ON DELETE CASCADE
) WITHOUT ROWID;

INSERT INTO handles (handle, row_id)
SELECT h.handle, c.row_id FROM old_handles AS h JOIN credentials AS c ON c.id = h.credential_id ORDER BY h.handle;

DROP TABLE old_handles;
DROP TABLE old_verifiers;
DROP TABLE old_credentials;

CREATE INDEX credentials_of_tenant ON credentials (tenant_id, created_at_ms, id);
CREATE INDEX handles_of_credential ON handles (row_id);
