-- Activities: who may win what, under which odds, and the record of every draw.

CREATE TABLE activities (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    name_chinese text NOT NULL,
    name_english text NOT NULL,
    rules_chinese text NOT NULL DEFAULT '',
    rules_english text NOT NULL DEFAULT '',
    opens_at timestamptz NOT NULL,
    closes_at timestamptz NOT NULL,
    chances_per_holder integer NOT NULL DEFAULT 0,
    claim_days integer NOT NULL DEFAULT 30,
    state text NOT NULL DEFAULT 'DRAFT',
    review_remark text,
    -- SHA-256 of the seed, public from publication on; the seed itself is sealed until settlement.
    seed_commitment bytea,
    sealed_seed bytea,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT activities_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT activities_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT activities_kind_check CHECK (kind IN ('DRAW', 'AIRDROP', 'REDEMPTION', 'SALE')),
    CONSTRAINT activities_window_check CHECK (opens_at < closes_at),
    CONSTRAINT activities_chances_check CHECK (chances_per_holder BETWEEN 0 AND 1000),
    CONSTRAINT activities_claim_days_check CHECK (claim_days BETWEEN 1 AND 365),
    CONSTRAINT activities_state_check CHECK (state IN ('DRAFT', 'IN_REVIEW', 'APPROVED', 'REJECTED', 'PUBLISHED',
        'PAUSED', 'ENDED', 'SETTLED', 'ARCHIVED', 'TERMINATED')),
    CONSTRAINT activities_seed_check CHECK ((seed_commitment IS NULL) = (sealed_seed IS NULL))
);
CREATE INDEX activities_state_index ON activities (tenant_id, state, id);

-- A version is never changed: a live activity's change is a new version.
CREATE TABLE prize_plans (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    activity_id uuid NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT prize_plans_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT prize_plans_version_key UNIQUE (tenant_id, activity_id, version),
    CONSTRAINT prize_plans_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id)
);

CREATE TABLE prizes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    plan_id uuid NOT NULL,
    collectible_id uuid NOT NULL,
    position integer NOT NULL,
    level integer NOT NULL,
    name_chinese text NOT NULL,
    name_english text NOT NULL,
    odds_per_million integer NOT NULL,
    quantity integer NOT NULL,
    -- Null until the activity is published and its stock set aside.
    allotment_id uuid,
    CONSTRAINT prizes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT prizes_position_key UNIQUE (tenant_id, plan_id, position),
    CONSTRAINT prizes_plan_fkey FOREIGN KEY (tenant_id, plan_id) REFERENCES prize_plans (tenant_id, id),
    CONSTRAINT prizes_collectible_fkey FOREIGN KEY (tenant_id, collectible_id) REFERENCES collectibles (tenant_id, id),
    CONSTRAINT prizes_allotment_fkey FOREIGN KEY (tenant_id, allotment_id) REFERENCES allotments (tenant_id, id),
    CONSTRAINT prizes_odds_check CHECK (odds_per_million BETWEEN 0 AND 1000000),
    CONSTRAINT prizes_quantity_check CHECK (quantity >= 1),
    CONSTRAINT prizes_level_check CHECK (level >= 0)
);
CREATE INDEX prizes_collectible_index ON prizes (tenant_id, collectible_id);
CREATE INDEX prizes_allotment_index ON prizes (tenant_id, allotment_id);

-- One row an activity that draws: its lock is the activity's turn, its hash the head of the chain of draws.
CREATE TABLE draw_lanes (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    next_sequence bigint NOT NULL DEFAULT 1,
    head_hash bytea NOT NULL,
    CONSTRAINT draw_lanes_pkey PRIMARY KEY (tenant_id, activity_id),
    CONSTRAINT draw_lanes_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id)
) WITH (fillfactor = 50);

CREATE TABLE participants (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    granted integer NOT NULL,
    used integer NOT NULL DEFAULT 0,
    joined_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT participants_pkey PRIMARY KEY (tenant_id, activity_id, holder_id),
    CONSTRAINT participants_used_check CHECK (used BETWEEN 0 AND granted)
) WITH (fillfactor = 80);
CREATE INDEX participants_holder_index ON participants (tenant_id, holder_id, activity_id);

-- Append-only: a participant's granted and used equal the sums of these.
CREATE TABLE chance_entries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    activity_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    reason text NOT NULL,
    delta integer NOT NULL,
    subject_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT chance_entries_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT chance_entries_reason_check CHECK (reason IN ('JOINED', 'GRANTED', 'DRAWN'))
);
CREATE INDEX chance_entries_participant_index ON chance_entries (tenant_id, activity_id, holder_id, id);

-- Hot and append-only, a partition a month by the time inside the UUIDv7. No foreign keys: the lane has locked what
-- a row names in the transaction that writes it.
CREATE TABLE draws (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    activity_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    sequence bigint NOT NULL,
    client_seed text NOT NULL,
    roll integer NOT NULL,
    picked_prize_id uuid,
    awarded_prize_id uuid,
    serial integer,
    claim_id uuid,
    record_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT draws_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT draws_roll_check CHECK (roll BETWEEN 0 AND 999999),
    CONSTRAINT draws_award_check CHECK ((awarded_prize_id IS NULL) = (claim_id IS NULL) AND (claim_id IS NULL) = (serial IS NULL))
) PARTITION BY RANGE (id);
-- IDs rise with the sequence within a lane, so this serves the list of an activity's draws and their verification.
CREATE INDEX draws_activity_index ON draws (tenant_id, activity_id, id);
CREATE INDEX draws_holder_index ON draws (tenant_id, holder_id, id);

-- What somebody is owed: from a draw, an airdrop. It becomes an item once claimed in time.
CREATE TABLE claims (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    activity_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    source text NOT NULL,
    source_id uuid NOT NULL,
    prize_id uuid NOT NULL,
    collectible_id uuid NOT NULL,
    allotment_id uuid NOT NULL,
    serial integer NOT NULL,
    state text NOT NULL DEFAULT 'PENDING',
    deadline timestamptz NOT NULL,
    transfer_id uuid,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT claims_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT claims_serial_key UNIQUE (tenant_id, collectible_id, serial),
    CONSTRAINT claims_source_check CHECK (source IN ('DRAW', 'AIRDROP')),
    CONSTRAINT claims_state_check CHECK (state IN ('PENDING', 'CLAIMED', 'DELIVERING', 'DELIVERED', 'EXPIRED', 'REVOKED')),
    CONSTRAINT claims_transfer_check CHECK ((state IN ('DELIVERING', 'DELIVERED')) = (transfer_id IS NOT NULL))
);
CREATE INDEX claims_holder_index ON claims (tenant_id, holder_id, id);
CREATE INDEX claims_activity_index ON claims (tenant_id, activity_id, id);

-- A list of people and prizes handed in at once. A row of it is a claim.
CREATE TABLE airdrops (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    activity_id uuid NOT NULL,
    prize_id uuid NOT NULL,
    row_count integer NOT NULL,
    state text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT airdrops_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT airdrops_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id),
    CONSTRAINT airdrops_prize_fkey FOREIGN KEY (tenant_id, prize_id) REFERENCES prizes (tenant_id, id),
    CONSTRAINT airdrops_row_count_check CHECK (row_count >= 1),
    CONSTRAINT airdrops_state_check CHECK (state IN ('DRAFT', 'VALIDATING', 'READY', 'RUNNING', 'PAUSED', 'COMPLETED', 'COMPLETED_WITH_ERRORS', 'CANCELLED'))
);
CREATE INDEX airdrops_activity_index ON airdrops (tenant_id, activity_id, id);
CREATE INDEX airdrops_prize_index ON airdrops (tenant_id, prize_id);
