-- Keys of other systems carry no id of ours: they are found by a keyed handle of what is presented.
CREATE TABLE handles (
  handle        BLOB NOT NULL PRIMARY KEY CHECK (length(handle) = 32),
  credential_id BLOB NOT NULL REFERENCES credentials (id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE INDEX handles_of_credential ON handles (credential_id);

-- How what is presented must be digested to be found, and under which pepper the handle is made.
CREATE TABLE import_methods (
  method TEXT NOT NULL,
  pepper BLOB NOT NULL CHECK (length(pepper) = 16),
  PRIMARY KEY (method, pepper)
) WITHOUT ROWID;

ALTER TABLE verifiers ADD COLUMN prehash TEXT;
