-- Short-lived tokens that we sign, and the public halves of the keys that sign them. The private halves are files; a
-- token's own id is here as its hash alone, and of what it says only the hash. A token is of the generation that its
-- credential's row had. Both kinds of rows are sealed under the key of subject hashes; a token that was taken back has no
-- seal, so that no cleared time makes it good again.
CREATE TABLE signing_keys (
  kid           TEXT    NOT NULL PRIMARY KEY,
  algorithm     TEXT    NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256')),
  public_jwk    TEXT    NOT NULL,
  created_at_ms INTEGER NOT NULL,
  retires_at_ms INTEGER,
  row_mac       BLOB    NOT NULL CHECK (length(row_mac) = 32)
) WITHOUT ROWID;

CREATE TABLE tokens (
  jti_hash      BLOB    NOT NULL PRIMARY KEY CHECK (length(jti_hash) = 32),
  tenant_id     BLOB    NOT NULL REFERENCES tenants (id),
  credential_id BLOB    NOT NULL CHECK (length(credential_id) = 16),
  generation    INTEGER NOT NULL,
  content_hash  BLOB    NOT NULL CHECK (length(content_hash) = 32),
  issued_at_ms  INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  revoked_at_ms INTEGER,
  row_mac       BLOB    NOT NULL CHECK (length(row_mac) = 32)
) WITHOUT ROWID;

CREATE INDEX tokens_of_credential ON tokens (credential_id, issued_at_ms);
CREATE INDEX tokens_in_force ON tokens (credential_id, generation, expires_at_ms) WHERE revoked_at_ms IS NULL;
CREATE INDEX tokens_by_end ON tokens (expires_at_ms);
