-- The EVM ledger: operations wait, are bundled into transactions of one enterprise each, and are settled by what the
-- chain says. Nonces belong to the house's accounts and are given out under the lock of the account's row.

CREATE TABLE evm_operations (
    tenant_id uuid NOT NULL,
    operation_id uuid NOT NULL,
    -- In the order of being handed over.
    sequence_id uuid NOT NULL,
    kind text NOT NULL,
    collectible_id uuid NOT NULL,
    payload text NOT NULL,
    state text NOT NULL DEFAULT 'WAITING',
    -- How often the chain took back a transaction that carried it.
    reverts integer NOT NULL DEFAULT 0,
    transaction_id uuid,
    block_number bigint,
    log_index integer,
    transaction_hash bytea,
    reason text,
    submitted_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT evm_operations_pkey PRIMARY KEY (tenant_id, operation_id),
    CONSTRAINT evm_operations_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT evm_operations_kind_check CHECK (kind IN ('ISSUE', 'TRANSFER')),
    CONSTRAINT evm_operations_state_check CHECK (state IN ('WAITING', 'BUNDLED', 'CONFIRMED', 'REFUSED')),
    CONSTRAINT evm_operations_reverts_check CHECK (reverts >= 0),
    CONSTRAINT evm_operations_bundled_check CHECK (state <> 'BUNDLED' OR transaction_id IS NOT NULL),
    -- The contract itself keeps the block alone: where no log can be had, the rest stays unknown.
    CONSTRAINT evm_operations_confirmed_check CHECK (state <> 'CONFIRMED' OR block_number IS NOT NULL),
    CONSTRAINT evm_operations_told_check CHECK ((log_index IS NULL) = (transaction_hash IS NULL)),
    CONSTRAINT evm_operations_refused_check CHECK ((state = 'REFUSED') = (reason IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX evm_operations_waiting_index ON evm_operations (tenant_id, sequence_id) WHERE state = 'WAITING';
CREATE INDEX evm_operations_issues_index ON evm_operations (tenant_id, collectible_id) WHERE kind = 'ISSUE';
CREATE INDEX evm_operations_transaction_index ON evm_operations (tenant_id, transaction_id);

-- Some operations of one enterprise that are sent together. It has a nonce from the moment it is to be sent.
CREATE TABLE evm_transactions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    chain_id bigint NOT NULL,
    contract bytea NOT NULL,
    gas_limit bigint NOT NULL,
    state text NOT NULL DEFAULT 'WAITING',
    account bytea,
    nonce bigint,
    block_number bigint,
    block_hash bytea,
    transaction_hash bytea,
    -- Since when its nonce is spent on the chain without a sign of it.
    missing_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT evm_transactions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT evm_transactions_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT evm_transactions_state_check CHECK (state IN ('WAITING', 'SENT', 'MINED', 'SETTLED', 'REVERTED', 'WITHDRAWN')),
    CONSTRAINT evm_transactions_gas_check CHECK (gas_limit > 0),
    CONSTRAINT evm_transactions_nonce_check
        CHECK ((state = 'WAITING') = (nonce IS NULL) AND (nonce IS NULL) = (account IS NULL) AND nonce >= 0),
    CONSTRAINT evm_transactions_mined_check
        CHECK (state <> 'MINED' OR (block_number IS NOT NULL AND block_hash IS NOT NULL AND transaction_hash IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX evm_transactions_open_index ON evm_transactions (tenant_id, id) WHERE state IN ('WAITING', 'SENT', 'MINED');

-- Each form in which a transaction was sent: the same again with a higher fee has another hash, and either may be mined.
-- Written down before it is sent, so that an answer that is lost loses nothing.
CREATE TABLE evm_attempts (
    tenant_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    hash bytea NOT NULL,
    nonce bigint NOT NULL,
    -- In wei for a unit of gas; of a legacy transaction both are its gas price.
    max_fee bigint NOT NULL,
    tip bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT evm_attempts_pkey PRIMARY KEY (tenant_id, transaction_id, hash),
    CONSTRAINT evm_attempts_transaction_fkey
        FOREIGN KEY (tenant_id, transaction_id) REFERENCES evm_transactions (tenant_id, id),
    CONSTRAINT evm_attempts_fee_check CHECK (tip >= 0 AND max_fee >= tip)
);

-- The house's accounts. A nonce is given out under the lock of its account's row. The lease only keeps servers from doing
-- the same work twice; whoever holds it by mistake harms nothing.
CREATE TABLE evm_accounts (
    chain_id bigint NOT NULL,
    address bytea NOT NULL,
    lease_holder uuid,
    lease_until timestamptz,
    CONSTRAINT evm_accounts_pkey PRIMARY KEY (chain_id, address)
);

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['evm_operations', 'evm_transactions', 'evm_attempts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY tenant ON %I TO minthouse_tenant'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT ON %I TO minthouse_tenant', table_name);
        EXECUTE format('CREATE POLICY house ON %I TO minthouse_house USING (true) WITH CHECK (true)', table_name);
    END LOOP;
    GRANT INSERT, UPDATE ON evm_operations, evm_transactions TO minthouse_tenant;
    -- What the operations are about stays the enterprise's.
    GRANT SELECT (tenant_id, state) ON evm_operations TO minthouse_house;
    GRANT SELECT, UPDATE ON evm_transactions TO minthouse_house;
    GRANT SELECT, INSERT, UPDATE ON evm_attempts TO minthouse_house;

    -- No enterprise's: the house alone.
    ALTER TABLE evm_accounts ENABLE ROW LEVEL SECURITY;
    CREATE POLICY house ON evm_accounts TO minthouse_house USING (true) WITH CHECK (true);
    GRANT SELECT, INSERT, UPDATE ON evm_accounts TO minthouse_house;
END $$;
