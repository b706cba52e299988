-- Subjects that were linked at their first use, by the issuer whose rule let them. A row stays when its link is removed, and when
-- the issuer is: so that who was taken out does not come back by themselves, and so that the rule's cap counts what was ever linked.
-- The hash is of the tenant, the issuer's `iss` and the subject.
CREATE TABLE first_uses (
  subject_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(subject_hash) = 32),
  issuer_id    BLOB    NOT NULL CHECK (length(issuer_id) = 16),
  at_ms        INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX first_uses_of_issuer ON first_uses (issuer_id);
