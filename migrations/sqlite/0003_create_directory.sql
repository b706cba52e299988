-- Apps and Users of the host, and which LLMs an App may use. A host id belongs to at most one tenant: the
-- primary keys do not contain the tenant.
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
  generation     INTEGER NOT NULL,
  PRIMARY KEY (realm, app_id)
);
CREATE INDEX apps_of_tenant ON apps (tenant_id, app_id);

CREATE TABLE app_llms (
  realm    TEXT    NOT NULL,
  app_id   INTEGER NOT NULL,
  llm_id   INTEGER NOT NULL CHECK (llm_id BETWEEN 1 AND 4294967295),
  llm_slug TEXT,
  PRIMARY KEY (realm, app_id, llm_id),
  FOREIGN KEY (realm, app_id) REFERENCES apps (realm, app_id) ON DELETE CASCADE
);

CREATE TABLE users (
  realm      TEXT    NOT NULL,
  user_id    INTEGER NOT NULL CHECK (user_id BETWEEN 1 AND 4294967295),
  tenant_id  BLOB    NOT NULL REFERENCES tenants (id),
  email      TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  active     INTEGER NOT NULL CHECK (active IN (0, 1)),
  metadata   TEXT    NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY (realm, user_id)
);
CREATE INDEX users_of_tenant ON users (tenant_id, user_id);
