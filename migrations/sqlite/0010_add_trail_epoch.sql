-- The audit trail's beginning outlives restores, which give the store another epoch.
ALTER TABLE store_meta ADD COLUMN trail_epoch BLOB CHECK (trail_epoch IS NULL OR length(trail_epoch) = 16);
