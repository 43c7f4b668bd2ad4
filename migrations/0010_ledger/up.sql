-- The embedded ledger proves what it says: operations carry their pieces, blocks are Merkle trees, checkpoints are signed.
--
-- Chains from before were signed by nobody and no proof hangs on them. Their operations wait again, in the order that
-- they had, and the sealer binds them anew.

ALTER TABLE ledger_operations ADD COLUMN collectible_id uuid;
ALTER TABLE ledger_operations ADD COLUMN first_serial integer;
ALTER TABLE ledger_operations ADD COLUMN piece_count integer;
-- The two sides of a transfer; without a giver the piece comes from the enterprise's treasury.
ALTER TABLE ledger_operations ADD COLUMN from_holder_id uuid;
ALTER TABLE ledger_operations ADD COLUMN to_holder_id uuid;
-- Its place in the call that handed it over.
ALTER TABLE ledger_operations ADD COLUMN ordinal integer NOT NULL DEFAULT 0;
-- SHA-256 of the leaf that the payload is in its block's tree.
ALTER TABLE ledger_operations ADD COLUMN leaf bytea;
-- Why the ledger will not carry it out.
ALTER TABLE ledger_operations ADD COLUMN refusal text;

-- IDs in the payloads of before are typed: 26 characters of Crockford's base 32 after the last underscore.
CREATE OR REPLACE FUNCTION pg_temp.bare_id(typed text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(to_hex(digits.four::integer), '' ORDER BY digits.place)::uuid
      FROM (SELECT place, lpad(substr(bits, place * 4 + 1, 4), 4, '0')::bit(4)::integer AS four
              FROM (SELECT substr(string_agg((strpos('0123456789abcdefghjkmnpqrstvwxyz', letter) - 1)::bit(5)::text, '' ORDER BY place), 3) AS bits
                      FROM unnest(string_to_array(right(typed, 26), NULL)) WITH ORDINALITY AS letters (letter, place)) AS all_bits,
                   generate_series(0, 31) AS place) AS digits
$$;

UPDATE ledger_operations SET
    collectible_id = pg_temp.bare_id(payload::json ->> 'collectibleId'),
    first_serial = coalesce(payload::json ->> 'firstSerial', payload::json ->> 'serial')::integer,
    piece_count = coalesce((payload::json ->> 'count')::integer, 1),
    from_holder_id = CASE WHEN payload::json ->> 'from' IS NOT NULL THEN pg_temp.bare_id(payload::json ->> 'from') END,
    to_holder_id = CASE WHEN payload::json ->> 'to' IS NOT NULL THEN pg_temp.bare_id(payload::json ->> 'to') END;
UPDATE ledger_operations AS operation SET ordinal = operation.position, submitted_at = block.sealed_at
  FROM ledger_blocks AS block
 WHERE block.tenant_id = operation.tenant_id AND block.number = operation.block_number;
ALTER TABLE ledger_operations ALTER COLUMN payload DROP NOT NULL;
UPDATE ledger_operations SET state = 'PENDING', block_number = NULL, position = NULL, payload = NULL;
DELETE FROM ledger_blocks;

ALTER TABLE ledger_operations ALTER COLUMN collectible_id SET NOT NULL;
ALTER TABLE ledger_operations ALTER COLUMN first_serial SET NOT NULL;
ALTER TABLE ledger_operations ALTER COLUMN piece_count SET NOT NULL;
ALTER TABLE ledger_operations ALTER COLUMN ordinal DROP DEFAULT;
ALTER TABLE ledger_operations DROP CONSTRAINT ledger_operations_state_check;
ALTER TABLE ledger_operations ADD CONSTRAINT ledger_operations_state_check CHECK (state IN ('PENDING', 'CONFIRMED', 'REFUSED'));
ALTER TABLE ledger_operations DROP CONSTRAINT ledger_operations_sealed_check;
ALTER TABLE ledger_operations ADD CONSTRAINT ledger_operations_sealed_check
    CHECK ((state = 'CONFIRMED') = (block_number IS NOT NULL AND position IS NOT NULL AND payload IS NOT NULL AND leaf IS NOT NULL));
ALTER TABLE ledger_operations ADD CONSTRAINT ledger_operations_refusal_check CHECK ((state = 'REFUSED') = (refusal IS NOT NULL));
ALTER TABLE ledger_operations ADD CONSTRAINT ledger_operations_sides_check CHECK ((kind = 'TRANSFER') = (to_holder_id IS NOT NULL));
-- What cannot be true may be handed over, and is then refused; it never stands in a block.
ALTER TABLE ledger_operations ADD CONSTRAINT ledger_operations_pieces_check
    CHECK (state <> 'CONFIRMED' OR (first_serial >= 0 AND piece_count >= 1 AND first_serial::bigint + piece_count <= 2147483648));

DROP INDEX ledger_operations_pending_index;
CREATE INDEX ledger_operations_pending_index ON ledger_operations (tenant_id, submitted_at, ordinal, operation_id) WHERE state = 'PENDING';
DROP INDEX ledger_operations_block_index;
CREATE UNIQUE INDEX ledger_operations_block_index ON ledger_operations (tenant_id, block_number, position);
-- In which run a piece was issued, and what has become of it since.
CREATE INDEX ledger_operations_runs_index ON ledger_operations (tenant_id, collectible_id, first_serial)
    WHERE kind = 'ISSUE' AND state = 'CONFIRMED';
CREATE INDEX ledger_operations_piece_index ON ledger_operations (tenant_id, collectible_id, first_serial, block_number, position)
    WHERE kind = 'TRANSFER' AND state = 'CONFIRMED';

ALTER TABLE ledger_blocks DROP COLUMN operations_hash;
ALTER TABLE ledger_blocks ADD COLUMN operations_root bytea NOT NULL;
-- Of the tree over the chain's blocks: the full subtrees that end with this block, from pairs upwards, 32 bytes each.
ALTER TABLE ledger_blocks ADD COLUMN subtrees bytea NOT NULL;

-- The house's signed word on how long a chain is and what it holds.
CREATE TABLE ledger_checkpoints (
    tenant_id uuid NOT NULL,
    tree_size bigint NOT NULL,
    note text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT ledger_checkpoints_pkey PRIMARY KEY (tenant_id, tree_size),
    CONSTRAINT ledger_checkpoints_block_fkey FOREIGN KEY (tenant_id, tree_size) REFERENCES ledger_blocks (tenant_id, number)
);
ALTER TABLE ledger_checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ledger_checkpoints TO minthouse_tenant
    USING (tenant_id = current_setting('app.tenant_id')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant_id')::uuid);
GRANT SELECT, INSERT ON ledger_checkpoints TO minthouse_tenant;
