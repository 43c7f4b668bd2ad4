-- The chains of draws are anchored: again and again the ledger binds what an activity's record has come to, so that nothing
-- of it can be rewritten afterwards, and one draw can be checked without all the others.

-- The embedded ledger also binds digests of what is outside of it.
ALTER TABLE ledger_operations ADD COLUMN digest bytea;
ALTER TABLE ledger_operations ALTER COLUMN collectible_id DROP NOT NULL;
ALTER TABLE ledger_operations ALTER COLUMN first_serial DROP NOT NULL;
ALTER TABLE ledger_operations ALTER COLUMN piece_count DROP NOT NULL;
ALTER TABLE ledger_operations DROP CONSTRAINT ledger_operations_kind_check;
ALTER TABLE ledger_operations ADD CONSTRAINT ledger_operations_kind_check CHECK (kind IN ('ISSUE', 'TRANSFER', 'ANCHOR'));
ALTER TABLE ledger_operations ADD CONSTRAINT ledger_operations_digest_check CHECK ((kind = 'ANCHOR') = (digest IS NOT NULL));
ALTER TABLE ledger_operations ADD CONSTRAINT ledger_operations_about_check
    CHECK (CASE WHEN kind = 'ANCHOR' THEN num_nonnulls(collectible_id, first_serial, piece_count, from_holder_id) = 0
                ELSE num_nulls(collectible_id, first_serial, piece_count) = 0 END);

-- A stretch of an activity's draws, and what binds it. Nothing of it changes but how far the ledger has come with it.
CREATE TABLE draw_anchors (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    from_sequence bigint NOT NULL,
    to_sequence bigint NOT NULL,
    -- Of `to_sequence`: IDs rise along an activity's draws, so the stretch is found by these.
    last_draw_id uuid NOT NULL,
    -- The hash that the chain begins with, the one that it has come to, and the root of the tree over the stretch's.
    beginning bytea NOT NULL,
    head bytea NOT NULL,
    root bytea NOT NULL,
    -- What the stretch has left of every lot of the terms, four bytes each.
    lots_left bytea NOT NULL,
    operation_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'SUBMITTED',
    block_number bigint,
    position integer,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT draw_anchors_pkey PRIMARY KEY (tenant_id, activity_id, from_sequence),
    CONSTRAINT draw_anchors_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id),
    CONSTRAINT draw_anchors_sequence_check CHECK (from_sequence >= 1 AND to_sequence >= from_sequence),
    CONSTRAINT draw_anchors_state_check CHECK (state IN ('SUBMITTED', 'CONFIRMED')),
    CONSTRAINT draw_anchors_confirmed_check
        CHECK ((state = 'CONFIRMED') = (block_number IS NOT NULL AND position IS NOT NULL)),
    CONSTRAINT draw_anchors_due_check CHECK ((state = 'SUBMITTED') = (due_at IS NOT NULL)),
    CONSTRAINT draw_anchors_attempts_check CHECK (attempts >= 0)
) WITH (fillfactor = 80);
CREATE INDEX draw_anchors_due_index ON draw_anchors (tenant_id, due_at) WHERE due_at IS NOT NULL;

-- When an activity's chain is looked at next. A row of its own: a lane's row is what all draws wait for.
CREATE TABLE draw_watches (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    -- The last day in Shanghai, counted from 1970, that began with an anchor of whatever there was.
    day integer NOT NULL,
    -- Null once nothing more can be drawn and all of it is anchored.
    due_at timestamptz,
    CONSTRAINT draw_watches_pkey PRIMARY KEY (tenant_id, activity_id),
    CONSTRAINT draw_watches_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id)
) WITH (fillfactor = 80);
CREATE INDEX draw_watches_due_index ON draw_watches (tenant_id, due_at) WHERE due_at IS NOT NULL;
-- Records from before there were terms cannot be computed again, and are left as they are.
INSERT INTO draw_watches (tenant_id, activity_id, day, due_at)
SELECT tenant_id, activity_id, 0, now() FROM draw_terms WHERE version = 1;

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['draw_anchors', 'draw_watches'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY tenant ON %I TO minthouse_tenant'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO minthouse_tenant', table_name);
        -- The house: where work is due.
        EXECUTE format('CREATE POLICY house ON %I FOR SELECT TO minthouse_house USING (true)', table_name);
        EXECUTE format('GRANT SELECT (tenant_id, due_at) ON %I TO minthouse_house', table_name);
    END LOOP;
END $$;
GRANT UPDATE (operation_id, state, block_number, position, attempts, due_at) ON draw_anchors TO minthouse_tenant;
GRANT UPDATE (day, due_at) ON draw_watches TO minthouse_tenant;
