-- What the host says of Apps and Users that a tenant has, and of Apps that none has.
ALTER TABLE apps ADD COLUMN host_active INTEGER NOT NULL DEFAULT 1 CHECK (host_active IN (0, 1));
ALTER TABLE apps ADD COLUMN host_gone_at_ms INTEGER;
ALTER TABLE apps ADD COLUMN tools TEXT NOT NULL DEFAULT '[]';
ALTER TABLE apps ADD COLUMN datasources TEXT NOT NULL DEFAULT '[]';
ALTER TABLE users ADD COLUMN host_active INTEGER NOT NULL DEFAULT 1 CHECK (host_active IN (0, 1));
ALTER TABLE users ADD COLUMN host_gone_at_ms INTEGER;

CREATE INDEX apps_gone ON apps (host_gone_at_ms) WHERE host_gone_at_ms IS NOT NULL;
CREATE INDEX users_gone ON users (host_gone_at_ms) WHERE host_gone_at_ms IS NOT NULL;
CREATE INDEX apps_of_llm ON app_llms (realm, llm_id, app_id);

CREATE TABLE unclaimed_apps (
  realm         TEXT    NOT NULL,
  app_id        INTEGER NOT NULL CHECK (app_id BETWEEN 1 AND 4294967295),
  name          TEXT    NOT NULL,
  namespace     TEXT    NOT NULL,
  owner_user_id INTEGER CHECK (owner_user_id BETWEEN 1 AND 4294967295),
  active        INTEGER NOT NULL CHECK (active IN (0, 1)),
  PRIMARY KEY (realm, app_id)
) WITHOUT ROWID;

CREATE TABLE released_apps (
  realm  TEXT    NOT NULL,
  app_id INTEGER NOT NULL CHECK (app_id BETWEEN 1 AND 4294967295),
  PRIMARY KEY (realm, app_id)
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
