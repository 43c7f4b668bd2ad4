DROP TABLE draw_watches;
DROP TABLE draw_anchors;

-- The version before cannot read a chain that holds anchors. Where one does, its operations wait again, in the order that
-- they had, and the sealer binds them anew without those; what was signed of such a chain is void.
CREATE TEMPORARY TABLE anchored_chains ON COMMIT DROP AS
SELECT DISTINCT tenant_id FROM ledger_operations WHERE kind = 'ANCHOR' AND state = 'CONFIRMED';
DELETE FROM ledger_checkpoints WHERE tenant_id IN (SELECT tenant_id FROM anchored_chains);
UPDATE ledger_operations AS operation
   SET state = 'PENDING', ordinal = operation.position, submitted_at = block.sealed_at,
       block_number = NULL, position = NULL, payload = NULL, leaf = NULL
  FROM ledger_blocks AS block
 WHERE block.tenant_id = operation.tenant_id AND block.number = operation.block_number
   AND operation.tenant_id IN (SELECT tenant_id FROM anchored_chains);
DELETE FROM ledger_blocks WHERE tenant_id IN (SELECT tenant_id FROM anchored_chains);
DELETE FROM ledger_operations WHERE kind = 'ANCHOR';

ALTER TABLE ledger_operations DROP CONSTRAINT ledger_operations_about_check;
ALTER TABLE ledger_operations DROP CONSTRAINT ledger_operations_digest_check;
ALTER TABLE ledger_operations DROP CONSTRAINT ledger_operations_kind_check;
ALTER TABLE ledger_operations ADD CONSTRAINT ledger_operations_kind_check CHECK (kind IN ('ISSUE', 'TRANSFER'));
ALTER TABLE ledger_operations ALTER COLUMN piece_count SET NOT NULL;
ALTER TABLE ledger_operations ALTER COLUMN first_serial SET NOT NULL;
ALTER TABLE ledger_operations ALTER COLUMN collectible_id SET NOT NULL;
ALTER TABLE ledger_operations DROP COLUMN digest;
