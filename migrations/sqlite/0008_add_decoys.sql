-- Honey keys. A process of the release before knows none and refuses such a row all the same: its MAC covers the mark.
ALTER TABLE credentials ADD COLUMN decoy INTEGER NOT NULL DEFAULT 0 CHECK (decoy IN (0, 1));
