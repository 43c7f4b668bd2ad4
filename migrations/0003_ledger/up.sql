-- The embedded ledger: operations wait, a sealer binds them into blocks, each block names the hash of the last.

CREATE TABLE ledger_blocks (
    tenant_id uuid NOT NULL,
    number bigint NOT NULL,
    previous_hash bytea NOT NULL,
    operations_hash bytea NOT NULL,
    hash bytea NOT NULL,
    operation_count integer NOT NULL,
    sealed_at timestamptz NOT NULL,
    CONSTRAINT ledger_blocks_pkey PRIMARY KEY (tenant_id, number),
    CONSTRAINT ledger_blocks_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT ledger_blocks_number_check CHECK (number >= 1)
);

CREATE TABLE ledger_operations (
    tenant_id uuid NOT NULL,
    operation_id uuid NOT NULL,
    kind text NOT NULL,
    payload text NOT NULL,
    state text NOT NULL DEFAULT 'PENDING',
    block_number bigint,
    position integer,
    submitted_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ledger_operations_pkey PRIMARY KEY (tenant_id, operation_id),
    CONSTRAINT ledger_operations_block_fkey FOREIGN KEY (tenant_id, block_number) REFERENCES ledger_blocks (tenant_id, number),
    CONSTRAINT ledger_operations_kind_check CHECK (kind IN ('ISSUE', 'TRANSFER')),
    CONSTRAINT ledger_operations_state_check CHECK (state IN ('PENDING', 'CONFIRMED')),
    CONSTRAINT ledger_operations_sealed_check CHECK ((state = 'CONFIRMED') = (block_number IS NOT NULL AND position IS NOT NULL))
);
CREATE INDEX ledger_operations_block_index ON ledger_operations (tenant_id, block_number, position);
CREATE INDEX ledger_operations_pending_index ON ledger_operations (tenant_id, operation_id) WHERE state = 'PENDING';
