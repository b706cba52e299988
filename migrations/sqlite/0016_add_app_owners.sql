-- The host's User who owns an App: what the portal lets them manage. None: nobody's, in the portal.
ALTER TABLE apps ADD COLUMN owner_user_id INTEGER CHECK (owner_user_id BETWEEN 1 AND 4294967295);
