-- Generated from the migrations; compared by tests/migrations.rs.

CREATE INDEX apps_gone ON apps (host_gone_at_ms) WHERE host_gone_at_ms IS NOT NULL;

CREATE INDEX apps_of_llm ON app_llms (realm, llm_id, app_id);

CREATE INDEX apps_of_tenant ON apps (tenant_id, app_id);

CREATE INDEX credentials_of_tenant ON credentials (tenant_id, created_at_ms, id);

CREATE INDEX credentials_of_user ON credentials (tenant_id, user_id, created_at_ms, id);

CREATE INDEX first_uses_of_issuer ON first_uses (issuer_id);

CREATE INDEX handles_of_credential ON handles (row_id);

CREATE INDEX issuer_audiences_of_issuer ON issuer_audiences (issuer_id);

CREATE INDEX issuers_by_iss ON issuers (iss);

CREATE INDEX issuers_of_tenant ON issuers (tenant_id, created_at_ms, id);

CREATE INDEX links_of_issuer ON links (tenant_id, issuer, created_at_ms, id);

CREATE INDEX links_of_tenant ON links (tenant_id, created_at_ms, id);

CREATE UNIQUE INDEX operators_by_certificate ON operators (certificate)
  WHERE certificate IS NOT NULL AND revoked_at_ms IS NULL;

CREATE INDEX requests_by_age ON requests (at_ms);

CREATE INDEX tokens_by_end ON tokens (expires_at_ms);

CREATE INDEX tokens_in_force ON tokens (credential_id, generation, expires_at_ms) WHERE revoked_at_ms IS NULL;

CREATE INDEX tokens_of_credential ON tokens (credential_id, issued_at_ms);

CREATE INDEX users_gone ON users (host_gone_at_ms) WHERE host_gone_at_ms IS NOT NULL;

CREATE INDEX users_of_tenant ON users (tenant_id, user_id);

CREATE TABLE app_llms (
  realm    TEXT    NOT NULL,
  app_id   INTEGER NOT NULL,
  llm_id   INTEGER NOT NULL CHECK (llm_id BETWEEN 1 AND 4294967295),
  llm_slug TEXT,
  PRIMARY KEY (realm, app_id, llm_id),
  FOREIGN KEY (realm, app_id) REFERENCES apps (realm, app_id) ON DELETE CASCADE
);

CREATE TABLE apps (
  realm          TEXT    NOT NULL,
  app_id         INTEGER NOT NULL CHECK (app_id BETWEEN 1 AND 4294967295),
  tenant_id      BLOB    NOT NULL REFERENCES tenants (id),
  name           TEXT    NOT NULL,
  description    TEXT    NOT NULL,
  owner_email    TEXT    NOT NULL,
  active         INTEGER NOT NULL CHECK (active IN (0, 1)),
  monthly_budget REAL    NOT NULL,
  rate_limit     INTEGER NOT NULL,
  metadata       TEXT    NOT NULL,
  generation     INTEGER NOT NULL, owner_user_id INTEGER CHECK (owner_user_id BETWEEN 1 AND 4294967295), host_active INTEGER NOT NULL DEFAULT 1 CHECK (host_active IN (0, 1)), host_gone_at_ms INTEGER, tools TEXT NOT NULL DEFAULT '[]', datasources TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (realm, app_id)
);

CREATE TABLE audit_base (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  sequence   INTEGER NOT NULL,
  public_key BLOB    NOT NULL CHECK (length(public_key) = 32),
  at_ms      INTEGER NOT NULL,
  head       BLOB    NOT NULL CHECK (length(head) = 32),
  signature  BLOB    NOT NULL CHECK (length(signature) = 64)
);

CREATE TABLE audit_checkpoints (
  sequence   INTEGER NOT NULL CHECK (sequence >= 1),
  public_key BLOB    NOT NULL CHECK (length(public_key) = 32),
  at_ms      INTEGER NOT NULL,
  head       BLOB    NOT NULL CHECK (length(head) = 32),
  signature  BLOB    NOT NULL CHECK (length(signature) = 64),
  PRIMARY KEY (sequence, public_key)
) WITHOUT ROWID;

CREATE TABLE audit_events (
  sequence     INTEGER NOT NULL PRIMARY KEY CHECK (sequence >= 1),
  at_ms        INTEGER NOT NULL,
  actor        TEXT    NOT NULL,
  action       TEXT    NOT NULL,
  subject_kind TEXT    NOT NULL,
  subject_id   TEXT    NOT NULL,
  tenant_id    BLOB,
  details      TEXT    NOT NULL,
  request_id   TEXT    NOT NULL,
  hash         BLOB    NOT NULL CHECK (length(hash) = 32)
);

CREATE TABLE changes (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  subject_kind TEXT    NOT NULL,
  subject_id   TEXT    NOT NULL,
  at_ms        INTEGER NOT NULL
);

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

CREATE TABLE first_uses (
  subject_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(subject_hash) = 32),
  issuer_id    BLOB    NOT NULL CHECK (length(issuer_id) = 16),
  at_ms        INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE handles (
  handle BLOB    NOT NULL PRIMARY KEY CHECK (length(handle) = 32),
  row_id INTEGER NOT NULL REFERENCES credentials (row_id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE host_syncs (
  realm          TEXT    NOT NULL PRIMARY KEY,
  started_at_ms  INTEGER NOT NULL,
  finished_at_ms INTEGER NOT NULL,
  listed         INTEGER NOT NULL,
  changed        INTEGER NOT NULL,
  gone           INTEGER NOT NULL,
  unclaimed      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE import_methods (
  method TEXT NOT NULL,
  pepper BLOB NOT NULL CHECK (length(pepper) = 16),
  PRIMARY KEY (method, pepper)
) WITHOUT ROWID;

CREATE TABLE issuer_audiences (
  iss       TEXT NOT NULL,
  aud       TEXT NOT NULL,
  issuer_id BLOB NOT NULL REFERENCES issuers (id),
  PRIMARY KEY (iss, aud)
) WITHOUT ROWID;

CREATE TABLE issuer_keys (
  issuer_id     BLOB    NOT NULL PRIMARY KEY REFERENCES issuers (id),
  jwks          TEXT    NOT NULL,
  fetched_at_ms INTEGER NOT NULL,
  mac           BLOB    NOT NULL CHECK (length(mac) = 32)
);

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
, certificate BLOB CHECK (certificate IS NULL OR length(certificate) = 32)) WITHOUT ROWID;

CREATE TABLE peppers (
  fingerprint   BLOB    NOT NULL PRIMARY KEY CHECK (length(fingerprint) = 16),
  added_at_ms   INTEGER NOT NULL,
  retired_at_ms INTEGER,
  lost_until_ms INTEGER,
  lost_mac      BLOB    CHECK (lost_mac IS NULL OR length(lost_mac) = 32),
  CHECK ((lost_until_ms IS NULL) = (lost_mac IS NULL))
) WITHOUT ROWID;

CREATE TABLE processes (
  pid             INTEGER NOT NULL,
  boot_id         TEXT    NOT NULL,
  kind            TEXT    NOT NULL,
  started_at_ms   INTEGER NOT NULL,
  heartbeat_at_ms INTEGER NOT NULL,
  PRIMARY KEY (boot_id, pid)
);

CREATE TABLE released_apps (
  realm  TEXT    NOT NULL,
  app_id INTEGER NOT NULL CHECK (app_id BETWEEN 1 AND 4294967295),
  PRIMARY KEY (realm, app_id)
) WITHOUT ROWID;

CREATE TABLE requests (
  actor        TEXT    NOT NULL,
  tenant_id    BLOB    NOT NULL CHECK (length(tenant_id) = 16),
  method       TEXT    NOT NULL,
  request_id   TEXT    NOT NULL,
  request_hash BLOB    NOT NULL CHECK (length(request_hash) = 32),
  resource     TEXT    NOT NULL,
  at_ms        INTEGER NOT NULL,
  PRIMARY KEY (actor, tenant_id, method, request_id)
) WITHOUT ROWID;

CREATE TABLE signing_keys (
  kid           TEXT    NOT NULL PRIMARY KEY,
  algorithm     TEXT    NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256')),
  public_jwk    TEXT    NOT NULL,
  created_at_ms INTEGER NOT NULL,
  retires_at_ms INTEGER,
  row_mac       BLOB    NOT NULL CHECK (length(row_mac) = 32)
) WITHOUT ROWID;

CREATE TABLE store_meta (
  id                 INTEGER PRIMARY KEY CHECK (id = 1),
  epoch              BLOB    NOT NULL CHECK (length(epoch) = 16),
  realm              TEXT    NOT NULL,
  pepper_fingerprint BLOB    NOT NULL CHECK (length(pepper_fingerprint) = 16),
  created_at_ms      INTEGER NOT NULL
, trail_epoch BLOB CHECK (trail_epoch IS NULL OR length(trail_epoch) = 16), subject_key BLOB CHECK (subject_key IS NULL OR length(subject_key) = 16));

CREATE TABLE tenants (
  id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  slug          TEXT    NOT NULL UNIQUE,
  name          TEXT    NOT NULL,
  status        TEXT    NOT NULL CHECK (status IN ('active', 'suspended')),
  key_prefix    TEXT    NOT NULL,
  llm_grants    TEXT    NOT NULL CHECK (llm_grants IN ('required', 'unchecked')),
  namespaces    TEXT    NOT NULL,
  generation    INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL
);

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

CREATE TABLE unclaimed_apps (
  realm         TEXT    NOT NULL,
  app_id        INTEGER NOT NULL CHECK (app_id BETWEEN 1 AND 4294967295),
  name          TEXT    NOT NULL,
  namespace     TEXT    NOT NULL,
  owner_user_id INTEGER CHECK (owner_user_id BETWEEN 1 AND 4294967295),
  active        INTEGER NOT NULL CHECK (active IN (0, 1)),
  PRIMARY KEY (realm, app_id)
) WITHOUT ROWID;

CREATE TABLE users (
  realm      TEXT    NOT NULL,
  user_id    INTEGER NOT NULL CHECK (user_id BETWEEN 1 AND 4294967295),
  tenant_id  BLOB    NOT NULL REFERENCES tenants (id),
  email      TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  active     INTEGER NOT NULL CHECK (active IN (0, 1)),
  metadata   TEXT    NOT NULL,
  generation INTEGER NOT NULL, host_active INTEGER NOT NULL DEFAULT 1 CHECK (host_active IN (0, 1)), host_gone_at_ms INTEGER,
  PRIMARY KEY (realm, user_id)
);

CREATE TABLE verifiers (
  row_id  INTEGER PRIMARY KEY REFERENCES credentials (row_id) ON DELETE CASCADE,
  phc     TEXT    NOT NULL,
  tag     BLOB    CHECK (tag IS NULL OR length(tag) = 32),
  pepper  BLOB    NOT NULL CHECK (length(pepper) = 16),
  prehash TEXT
);

CREATE TRIGGER audit_checkpoints_are_never_changed BEFORE UPDATE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;

CREATE TRIGGER audit_checkpoints_are_never_deleted BEFORE DELETE ON audit_checkpoints
WHEN OLD.sequence > coalesce((SELECT sequence FROM audit_base), 0)
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;

CREATE TRIGGER audit_events_are_never_changed BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;

CREATE TRIGGER audit_events_are_never_deleted BEFORE DELETE ON audit_events
WHEN OLD.sequence > coalesce((SELECT sequence FROM audit_base), 0)
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
