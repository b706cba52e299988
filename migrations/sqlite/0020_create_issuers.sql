-- Trusted issuers of JWTs. Lists and what has parts are JSON text; a secret that both sides know is not here, only its
-- keyed fingerprint. Each row is sealed under the key of subject hashes.
CREATE TABLE issuers (
  id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  tenant_id     BLOB    NOT NULL REFERENCES tenants (id),
  iss           TEXT    NOT NULL,
  audiences     TEXT    NOT NULL,
  algorithms    TEXT    NOT NULL,
  types         TEXT    NOT NULL,
  leeway_s      INTEGER NOT NULL,
  max_age_s     INTEGER,
  required      TEXT    NOT NULL,
  keys_kind     TEXT    NOT NULL CHECK (keys_kind IN ('jwks_url', 'jwks', 'secret')),
  keys          TEXT    NOT NULL,
  identity      TEXT    NOT NULL,
  scope_claim   TEXT    NOT NULL,
  strict        INTEGER NOT NULL CHECK (strict IN (0, 1)),
  waivers       TEXT    NOT NULL,
  active        INTEGER NOT NULL CHECK (active IN (0, 1)),
  created_by    TEXT    NOT NULL,
  created_at_ms INTEGER NOT NULL,
  generation    INTEGER NOT NULL,
  row_mac       BLOB    NOT NULL CHECK (length(row_mac) = 32)
);

CREATE INDEX issuers_of_tenant ON issuers (tenant_id, created_at_ms, id);
CREATE INDEX issuers_by_iss ON issuers (iss);

-- An audience of an issuer belongs to one tenant: the key does not contain whose it is.
CREATE TABLE issuer_audiences (
  iss       TEXT NOT NULL,
  aud       TEXT NOT NULL,
  issuer_id BLOB NOT NULL REFERENCES issuers (id),
  PRIMARY KEY (iss, aud)
) WITHOUT ROWID;

CREATE INDEX issuer_audiences_of_issuer ON issuer_audiences (issuer_id);

-- The last good keys of an issuer that publishes them, for when it cannot be asked. Sealed like its row.
CREATE TABLE issuer_keys (
  issuer_id     BLOB    NOT NULL PRIMARY KEY REFERENCES issuers (id),
  jwks          TEXT    NOT NULL,
  fetched_at_ms INTEGER NOT NULL,
  mac           BLOB    NOT NULL CHECK (length(mac) = 32)
);
