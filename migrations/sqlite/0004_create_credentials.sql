-- Gateway credentials and, apart from them, what proves their secrets. No secret is in here. App and User
-- are not foreign keys: removing one leaves its credentials, which are then refused.
CREATE TABLE credentials (
  id                BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
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
  generation        INTEGER NOT NULL,
  row_mac           BLOB    NOT NULL CHECK (length(row_mac) = 32),
  created_by        TEXT    NOT NULL,
  created_at_ms     INTEGER NOT NULL,
  CHECK ((revoked_at_ms IS NULL) = (revocation_reason IS NULL))
) WITHOUT ROWID;
CREATE INDEX credentials_of_tenant ON credentials (tenant_id, created_at_ms, id);

CREATE TABLE verifiers (
  credential_id BLOB NOT NULL PRIMARY KEY REFERENCES credentials (id) ON DELETE CASCADE,
  phc           TEXT NOT NULL,
  tag           BLOB CHECK (tag IS NULL OR length(tag) = 32),
  pepper        BLOB NOT NULL CHECK (length(pepper) = 16)
) WITHOUT ROWID;
