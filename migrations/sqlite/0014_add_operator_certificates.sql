-- The client certificate that an operator may come with in the place of a token: SHA-256 of its public key. One key is
-- one operator's, as long as that one is not revoked.
ALTER TABLE operators ADD COLUMN certificate BLOB CHECK (certificate IS NULL OR length(certificate) = 32);
CREATE UNIQUE INDEX operators_by_certificate ON operators (certificate)
  WHERE certificate IS NOT NULL AND revoked_at_ms IS NULL;
