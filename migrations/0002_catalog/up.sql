-- Series, collectibles, and the stock of each: counted once for the design, set aside in allotments for each use.

CREATE TABLE series (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name_chinese text NOT NULL,
    name_english text NOT NULL,
    description_chinese text NOT NULL DEFAULT '',
    description_english text NOT NULL DEFAULT '',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT series_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT series_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id)
);

CREATE TABLE collectibles (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    series_id uuid NOT NULL,
    name_chinese text NOT NULL,
    name_english text NOT NULL,
    description_chinese text NOT NULL DEFAULT '',
    description_english text NOT NULL DEFAULT '',
    author text NOT NULL,
    image_url text NOT NULL DEFAULT '',
    supply integer NOT NULL,
    first_serial integer NOT NULL DEFAULT 1,
    state text NOT NULL DEFAULT 'DRAFT',
    review_remark text,
    -- The ledger's name for this issuance; every retry uses the same.
    operation_id uuid,
    issued_count integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT collectibles_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT collectibles_series_fkey FOREIGN KEY (tenant_id, series_id) REFERENCES series (tenant_id, id),
    CONSTRAINT collectibles_supply_check CHECK (supply BETWEEN 1 AND 10000000),
    CONSTRAINT collectibles_first_serial_check CHECK (first_serial IN (0, 1)),
    CONSTRAINT collectibles_issued_count_check CHECK (issued_count BETWEEN 0 AND supply),
    CONSTRAINT collectibles_state_check CHECK (state IN ('DRAFT', 'IN_REVIEW', 'APPROVED', 'REJECTED',
        'SUBMITTED', 'CONFIRMING', 'ISSUED', 'FAILED', 'UNKNOWN'))
);
CREATE INDEX collectibles_series_index ON collectibles (tenant_id, series_id, id);
CREATE INDEX collectibles_state_index ON collectibles (tenant_id, state, id);
-- Serves the issuance worker, which first asks which tenants have work.
CREATE INDEX collectibles_due_index ON collectibles (tenant_id, id) WHERE state IN ('SUBMITTED', 'CONFIRMING', 'UNKNOWN');

-- The stock of a whole collectible: what is not set aside, and the next serial number to hand to an allotment.
CREATE TABLE collectible_stocks (
    tenant_id uuid NOT NULL,
    collectible_id uuid NOT NULL,
    supply integer NOT NULL,
    unallotted integer NOT NULL,
    allotted integer NOT NULL DEFAULT 0,
    next_serial integer NOT NULL,
    CONSTRAINT collectible_stocks_pkey PRIMARY KEY (tenant_id, collectible_id),
    CONSTRAINT collectible_stocks_collectible_fkey FOREIGN KEY (tenant_id, collectible_id) REFERENCES collectibles (tenant_id, id),
    CONSTRAINT collectible_stocks_unallotted_check CHECK (unallotted >= 0),
    CONSTRAINT collectible_stocks_sum_check CHECK (supply = unallotted + allotted)
);

-- A run of serial numbers set aside for one prize or one offer. A hot prize locks its own row, nobody else's.
CREATE TABLE allotments (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    collectible_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    total integer NOT NULL,
    available integer NOT NULL,
    reserved integer NOT NULL DEFAULT 0,
    issued integer NOT NULL DEFAULT 0,
    void integer NOT NULL DEFAULT 0,
    next_serial integer NOT NULL,
    end_serial integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT allotments_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT allotments_collectible_fkey FOREIGN KEY (tenant_id, collectible_id) REFERENCES collectibles (tenant_id, id),
    CONSTRAINT allotments_available_check CHECK (available >= 0),
    CONSTRAINT allotments_reserved_check CHECK (reserved >= 0),
    CONSTRAINT allotments_issued_check CHECK (issued >= 0),
    CONSTRAINT allotments_void_check CHECK (void >= 0),
    CONSTRAINT allotments_sum_check CHECK (total = available + reserved + issued + void),
    CONSTRAINT allotments_serial_check CHECK (next_serial <= end_serial)
) WITH (fillfactor = 70);
CREATE INDEX allotments_collectible_index ON allotments (tenant_id, collectible_id);
CREATE INDEX allotments_activity_index ON allotments (tenant_id, activity_id);

-- Append-only: the sum of an allotment's entries equals its balances. No foreign key on this hot table: the writer
-- holds the allotment's row lock, and `doctor` and the suite check the sums.
CREATE TABLE stock_entries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    allotment_id uuid NOT NULL,
    reason text NOT NULL,
    subject_id uuid NOT NULL,
    available_delta integer NOT NULL,
    reserved_delta integer NOT NULL,
    issued_delta integer NOT NULL,
    void_delta integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stock_entries_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT stock_entries_reason_check CHECK (reason IN ('ALLOTTED', 'WON', 'AIRDROPPED', 'RESERVED', 'RELEASED', 'DELIVERED', 'EXPIRED'))
);
CREATE INDEX stock_entries_allotment_index ON stock_entries (tenant_id, allotment_id, id);
