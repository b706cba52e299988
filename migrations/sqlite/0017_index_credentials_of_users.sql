-- What the portal lists and counts of a User, however many credentials the tenant has.
CREATE INDEX credentials_of_user ON credentials (tenant_id, user_id, created_at_ms, id);
