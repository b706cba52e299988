-- Who owns Apps, Users and credentials.
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
