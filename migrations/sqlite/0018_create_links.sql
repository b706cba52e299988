-- Identities of outside issuers, each with the App and User that it stands for. The subject is there as a keyed hash alone,
-- under the key that store_meta names; none, as long as nobody made one.
CREATE TABLE links (
  id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  tenant_id     BLOB    NOT NULL REFERENCES tenants (id),
  issuer        TEXT    NOT NULL,
  subject_hash  BLOB    NOT NULL CHECK (length(subject_hash) = 32),
  app_id        INTEGER NOT NULL,
  user_id       INTEGER NOT NULL,
  generation    INTEGER NOT NULL,
  row_mac       BLOB    NOT NULL CHECK (length(row_mac) = 32),
  created_at_ms INTEGER NOT NULL,
  UNIQUE (tenant_id, issuer, subject_hash)
) WITHOUT ROWID;

CREATE INDEX links_of_tenant ON links (tenant_id, created_at_ms, id);
CREATE INDEX links_of_issuer ON links (tenant_id, issuer, created_at_ms, id);

ALTER TABLE store_meta ADD COLUMN subject_key BLOB CHECK (subject_key IS NULL OR length(subject_key) = 16);
