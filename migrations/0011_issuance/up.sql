-- Issuance in batches, each an operation of its own on the ledger; and which ledger a collectible and its transfers
-- are kept on.

CREATE TABLE issuances (
    tenant_id uuid NOT NULL,
    collectible_id uuid NOT NULL,
    -- Chosen when the issuance starts, for good.
    ledger text NOT NULL,
    -- The issuance's name through all its retries; the names of its batches are derived from it.
    operation_id uuid NOT NULL,
    batch_count integer NOT NULL,
    confirmed_count integer NOT NULL DEFAULT 0,
    -- Why the ledger refused, in its own words.
    failure text,
    -- Turns in a row that brought nothing.
    attempts integer NOT NULL DEFAULT 0,
    -- When a worker looks at it next; NULL where there is nothing to do.
    due_at timestamptz DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT issuances_pkey PRIMARY KEY (tenant_id, collectible_id),
    CONSTRAINT issuances_collectible_fkey FOREIGN KEY (tenant_id, collectible_id) REFERENCES collectibles (tenant_id, id),
    CONSTRAINT issuances_operation_key UNIQUE (tenant_id, operation_id),
    CONSTRAINT issuances_ledger_check CHECK (ledger IN ('EMBEDDED', 'EVM')),
    CONSTRAINT issuances_confirmed_check CHECK (confirmed_count BETWEEN 0 AND batch_count)
);
CREATE INDEX issuances_due_index ON issuances (tenant_id, ledger, due_at) WHERE due_at IS NOT NULL;

-- The whole plan is written down with the decision to issue; afterwards a batch only changes its state.
CREATE TABLE issuance_batches (
    tenant_id uuid NOT NULL,
    collectible_id uuid NOT NULL,
    number integer NOT NULL,
    operation_id uuid NOT NULL,
    first_serial integer NOT NULL,
    count integer NOT NULL,
    -- How often the ledger has refused it: a refused operation is never sent again, its successor has another name.
    refusals integer NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'WAITING',
    CONSTRAINT issuance_batches_pkey PRIMARY KEY (tenant_id, collectible_id, number),
    CONSTRAINT issuance_batches_issuance_fkey FOREIGN KEY (tenant_id, collectible_id) REFERENCES issuances (tenant_id, collectible_id),
    CONSTRAINT issuance_batches_operation_key UNIQUE (tenant_id, operation_id),
    CONSTRAINT issuance_batches_count_check CHECK (count >= 1),
    CONSTRAINT issuance_batches_state_check CHECK (state IN ('WAITING', 'HANDED', 'CONFIRMED', 'REFUSED'))
);
CREATE INDEX issuance_batches_open_index ON issuance_batches (tenant_id, collectible_id, state, number) WHERE state <> 'CONFIRMED';

-- What was issued before, or is on its way under one operation for the whole supply.
INSERT INTO issuances (tenant_id, collectible_id, ledger, operation_id, batch_count, confirmed_count, due_at)
SELECT tenant_id, id, 'EMBEDDED', operation_id, 1, CASE WHEN state = 'ISSUED' THEN 1 ELSE 0 END,
       CASE WHEN state IN ('SUBMITTED', 'CONFIRMING', 'UNKNOWN') THEN now() END
  FROM collectibles WHERE operation_id IS NOT NULL;
INSERT INTO issuance_batches (tenant_id, collectible_id, number, operation_id, first_serial, count, state)
SELECT tenant_id, id, 0, operation_id, first_serial + CASE WHEN state = 'ISSUED' THEN 0 ELSE issued_count END,
       supply - CASE WHEN state = 'ISSUED' THEN 0 ELSE issued_count END,
       CASE state WHEN 'ISSUED' THEN 'CONFIRMED' WHEN 'FAILED' THEN 'REFUSED' WHEN 'SUBMITTED' THEN 'WAITING' ELSE 'HANDED' END
  FROM collectibles WHERE operation_id IS NOT NULL;
DROP INDEX collectibles_due_index;
ALTER TABLE collectibles DROP COLUMN operation_id;

-- Which ledger carries a transfer out: that of the item's collectible.
ALTER TABLE transfers ADD COLUMN ledger text NOT NULL DEFAULT 'EMBEDDED';
ALTER TABLE transfers ALTER COLUMN ledger DROP DEFAULT;
ALTER TABLE transfers ADD CONSTRAINT transfers_ledger_check CHECK (ledger IN ('EMBEDDED', 'EVM'));
DROP INDEX transfers_due_index;
CREATE INDEX transfers_due_index ON transfers (tenant_id, ledger, state, due_at)
    WHERE state IN ('REQUESTED', 'LOCKED', 'SUBMITTED', 'CONFIRMED', 'UNKNOWN');

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['issuances', 'issuance_batches'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY tenant ON %I TO minthouse_tenant'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO minthouse_tenant', table_name);
    END LOOP;
END $$;
-- The house: where work is due, and on which ledger.
CREATE POLICY house ON issuances FOR SELECT TO minthouse_house USING (true);
GRANT SELECT (tenant_id, ledger, due_at) ON issuances TO minthouse_house;
GRANT SELECT (ledger) ON transfers TO minthouse_house;
