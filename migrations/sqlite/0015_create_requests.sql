-- Creates that were asked for with a request id: a second call with the same id answers with what the first one made.
-- Rows are kept for a week.
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
CREATE INDEX requests_by_age ON requests (at_ms);
