-- Prizes that are no collectibles, and wins that wait for the enterprise's word.

ALTER TABLE prizes ADD COLUMN kind text NOT NULL DEFAULT 'COLLECTIBLE';
-- How many points a win gives.
ALTER TABLE prizes ADD COLUMN points bigint;
-- What the enterprise's own system knows it as: a card, a gift.
ALTER TABLE prizes ADD COLUMN reference text;
ALTER TABLE prizes ADD COLUMN instructions_chinese text NOT NULL DEFAULT '';
ALTER TABLE prizes ADD COLUMN instructions_english text NOT NULL DEFAULT '';
-- Whether a win waits for the enterprise's word (中奖审核).
ALTER TABLE prizes ADD COLUMN reviewed boolean NOT NULL DEFAULT false;
ALTER TABLE prizes ADD CONSTRAINT prizes_kind_check
    CHECK (kind IN ('COLLECTIBLE', 'BENEFIT', 'POINTS', 'WECHAT_CARD', 'OWN_GIFT', 'CLAIM_CODE', 'NOTHING'));
ALTER TABLE prizes ADD CONSTRAINT prizes_points_check CHECK ((kind = 'POINTS') = (points IS NOT NULL) AND points >= 1);
ALTER TABLE prizes ADD CONSTRAINT prizes_reference_check
    CHECK ((kind IN ('BENEFIT', 'WECHAT_CARD', 'OWN_GIFT')) = (reference IS NOT NULL));
ALTER TABLE prizes ADD CONSTRAINT prizes_nothing_check
    CHECK (kind <> 'NOTHING' OR NOT (reviewed OR paced OR fallback OR wins_per_holder IS NOT NULL OR wins_per_day IS NOT NULL));

-- Stock of what is no collectible has numbers too, from 1: the n-th piece.
ALTER TABLE allotments ALTER COLUMN collectible_id DROP NOT NULL;
ALTER TABLE prize_lots ALTER COLUMN collectible_id DROP NOT NULL;
ALTER TABLE stock_entries DROP CONSTRAINT stock_entries_reason_check;
ALTER TABLE stock_entries ADD CONSTRAINT stock_entries_reason_check
    CHECK (reason IN ('ALLOTTED', 'WON', 'AIRDROPPED', 'RESERVED', 'RELEASED', 'DELIVERED', 'EXPIRED', 'REVOKED'));

ALTER TABLE claims ALTER COLUMN collectible_id DROP NOT NULL;
-- The prize's own, so that a claim can be told without it.
ALTER TABLE claims ADD COLUMN kind text NOT NULL DEFAULT 'COLLECTIBLE';
ALTER TABLE claims ADD COLUMN reference text;
-- Under which name the enterprise delivered it.
ALTER TABLE claims ADD COLUMN delivery_reference text;
-- What the enterprise said of the win.
ALTER TABLE claims ADD COLUMN remark text;
ALTER TABLE claims ADD COLUMN taken_at timestamptz;
UPDATE claims AS claim SET taken_at = transfer.created_at
  FROM transfers AS transfer
 WHERE transfer.tenant_id = claim.tenant_id AND transfer.id = claim.transfer_id;
-- While a win is reviewed no days count.
ALTER TABLE claims ALTER COLUMN deadline DROP NOT NULL;
ALTER TABLE claims DROP CONSTRAINT claims_state_check;
ALTER TABLE claims ADD CONSTRAINT claims_state_check
    CHECK (state IN ('IN_REVIEW', 'PENDING', 'CLAIMED', 'DELIVERING', 'DELIVERED', 'EXPIRED', 'REVOKED'));
ALTER TABLE claims ADD CONSTRAINT claims_deadline_check CHECK (deadline IS NOT NULL OR state IN ('IN_REVIEW', 'REVOKED'));
ALTER TABLE claims ADD CONSTRAINT claims_kind_check
    CHECK (kind IN ('COLLECTIBLE', 'BENEFIT', 'POINTS', 'WECHAT_CARD', 'OWN_GIFT', 'CLAIM_CODE'));
ALTER TABLE claims ADD CONSTRAINT claims_collectible_check CHECK ((kind = 'COLLECTIBLE') = (collectible_id IS NOT NULL));
-- The ledger moves collectibles and nothing else.
ALTER TABLE claims DROP CONSTRAINT claims_transfer_check;
ALTER TABLE claims ADD CONSTRAINT claims_transfer_check
    CHECK ((kind = 'COLLECTIBLE' AND state IN ('DELIVERING', 'DELIVERED')) = (transfer_id IS NOT NULL));
ALTER TABLE claims ADD CONSTRAINT claims_delivering_check CHECK (kind = 'COLLECTIBLE' OR state <> 'DELIVERING');
-- Beside claims_serial_key, which knows collectibles alone.
CREATE UNIQUE INDEX claims_piece_key ON claims (tenant_id, allotment_id, serial) WHERE collectible_id IS NULL;

-- Codes that prove a win (兑奖码), in the order in which they are given: the n-th piece of the prize has the n-th. What a
-- code reads is sealed; its keyed hash says whether it is there already.
CREATE TABLE prize_claim_codes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    prize_id uuid NOT NULL,
    position integer NOT NULL,
    code_hash bytea NOT NULL,
    sealed_code bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT prize_claim_codes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT prize_claim_codes_position_key UNIQUE (tenant_id, prize_id, position),
    CONSTRAINT prize_claim_codes_code_key UNIQUE (tenant_id, code_hash, prize_id),
    CONSTRAINT prize_claim_codes_prize_fkey FOREIGN KEY (tenant_id, prize_id) REFERENCES prizes (tenant_id, id),
    CONSTRAINT prize_claim_codes_position_check CHECK (position >= 1)
);
-- The codes of all prizes that are public: under one of them alone.
CREATE TABLE published_claim_codes (
    tenant_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    CONSTRAINT published_claim_codes_pkey PRIMARY KEY (tenant_id, code_hash)
);
ALTER TABLE published_claim_codes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON published_claim_codes TO minthouse_tenant
    USING (tenant_id = current_setting('app.tenant_id')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant_id')::uuid);
GRANT SELECT, INSERT ON published_claim_codes TO minthouse_tenant;
ALTER TABLE prize_claim_codes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON prize_claim_codes TO minthouse_tenant
    USING (tenant_id = current_setting('app.tenant_id')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant_id')::uuid);
GRANT SELECT, INSERT ON prize_claim_codes TO minthouse_tenant;
-- They are sealed anew when the data key is exchanged.
GRANT UPDATE (sealed_code) ON prize_claim_codes TO minthouse_tenant;

ALTER TABLE point_entries DROP CONSTRAINT point_entries_reason_check;
ALTER TABLE point_entries ADD CONSTRAINT point_entries_reason_check CHECK (reason IN ('ADJUSTED', 'DRAWN', 'WON'));
