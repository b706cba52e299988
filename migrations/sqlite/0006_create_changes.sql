-- The change feed, by which every process drops what it cached. AUTOINCREMENT: a position is never used twice.
CREATE TABLE changes (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  subject_kind TEXT    NOT NULL,
  subject_id   TEXT    NOT NULL,
  at_ms        INTEGER NOT NULL
);
