REVOKE SELECT (ledger) ON transfers FROM minthouse_house;
DROP INDEX transfers_due_index;
CREATE INDEX transfers_due_index ON transfers (tenant_id, due_at)
    WHERE state IN ('REQUESTED', 'LOCKED', 'SUBMITTED', 'CONFIRMED', 'UNKNOWN');
ALTER TABLE transfers DROP CONSTRAINT transfers_ledger_check;
ALTER TABLE transfers DROP COLUMN ledger;

ALTER TABLE collectibles ADD COLUMN operation_id uuid;
UPDATE collectibles SET operation_id = issuances.operation_id
  FROM issuances WHERE issuances.tenant_id = collectibles.tenant_id AND issuances.collectible_id = collectibles.id;
-- An issuance under way cannot be told in the old words: finish it first, or its collectible is issued twice.
CREATE INDEX collectibles_due_index ON collectibles (tenant_id, id) WHERE state IN ('SUBMITTED', 'CONFIRMING', 'UNKNOWN');
DROP TABLE issuance_batches;
DROP TABLE issuances;
