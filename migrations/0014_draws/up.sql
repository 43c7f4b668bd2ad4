-- Draws that an outsider can compute again: several plans an activity, prizes of several lots, limits, multi-draws, the
-- terms in force as a public document, and records that name nobody.

-- How often somebody may draw and win. Days are those of Shanghai.
ALTER TABLE activities ADD COLUMN draws_at_once integer NOT NULL DEFAULT 1;
ALTER TABLE activities ADD COLUMN draws_per_day integer;
ALTER TABLE activities ADD COLUMN wins_per_holder integer;
ALTER TABLE activities ADD COLUMN wins_per_day integer;
-- What was sealed until settlement, for everybody to see.
ALTER TABLE activities ADD COLUMN revealed_seed bytea;
ALTER TABLE activities ADD CONSTRAINT activities_draws_at_once_check CHECK (draws_at_once BETWEEN 1 AND 10);
ALTER TABLE activities ADD CONSTRAINT activities_draws_per_day_check CHECK (draws_per_day >= 1);
ALTER TABLE activities ADD CONSTRAINT activities_wins_per_holder_check CHECK (wins_per_holder >= 1);
ALTER TABLE activities ADD CONSTRAINT activities_wins_per_day_check CHECK (wins_per_day >= 1);
ALTER TABLE activities ADD CONSTRAINT activities_revealed_seed_check CHECK (revealed_seed IS NULL OR state IN ('SETTLED', 'ARCHIVED'));

-- Records so far were made by rules that are no longer known: their activities go no further.
UPDATE activities SET state = 'ENDED', version = version + 1, updated_at = now()
 WHERE kind = 'DRAW' AND state IN ('PUBLISHED', 'PAUSED');

-- A version may have several plans: one for everybody, others for some time or for chosen people.
ALTER TABLE prize_plans ADD COLUMN position integer NOT NULL DEFAULT 0;
-- Only for holders who have one of its tags.
ALTER TABLE prize_plans ADD COLUMN for_chosen boolean NOT NULL DEFAULT false;
ALTER TABLE prize_plans ADD COLUMN starts_at timestamptz;
ALTER TABLE prize_plans ADD COLUMN ends_at timestamptz;
ALTER TABLE prize_plans ADD COLUMN priority integer NOT NULL DEFAULT 0;
ALTER TABLE prize_plans ADD COLUMN overlays boolean NOT NULL DEFAULT false;
ALTER TABLE prize_plans ADD COLUMN falls_through boolean NOT NULL DEFAULT false;
ALTER TABLE prize_plans ADD COLUMN exhaustion text NOT NULL DEFAULT 'TO_NO_PRIZE';
-- What was never published is nobody's business.
ALTER TABLE prize_plans ADD COLUMN published boolean NOT NULL DEFAULT false;
UPDATE prize_plans AS plan SET published = true
  FROM activities AS activity
 WHERE activity.tenant_id = plan.tenant_id AND activity.id = plan.activity_id
   AND activity.state IN ('PUBLISHED', 'PAUSED', 'ENDED', 'SETTLED', 'ARCHIVED', 'TERMINATED');
ALTER TABLE prize_plans ADD CONSTRAINT prize_plans_window_check CHECK (starts_at < ends_at);
ALTER TABLE prize_plans ADD CONSTRAINT prize_plans_exhaustion_check
    CHECK (exhaustion IN ('TO_NO_PRIZE', 'TO_FALLBACK', 'RENORMALISE', 'REDRAW_ONCE', 'CLOSE_ACTIVITY'));
ALTER TABLE prize_plans DROP CONSTRAINT prize_plans_version_key;
ALTER TABLE prize_plans ADD CONSTRAINT prize_plans_position_key UNIQUE (tenant_id, activity_id, version, position);

-- Whom the enterprise has chosen, and by which words, is its own business: holders see that a plan is for chosen people.
CREATE TABLE prize_plan_tags (
    tenant_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    tag text NOT NULL,
    CONSTRAINT prize_plan_tags_pkey PRIMARY KEY (tenant_id, plan_id, tag),
    CONSTRAINT prize_plan_tags_plan_fkey FOREIGN KEY (tenant_id, plan_id) REFERENCES prize_plans (tenant_id, id)
);

ALTER TABLE prizes ADD COLUMN wins_per_holder integer;
ALTER TABLE prizes ADD COLUMN wins_per_day integer;
ALTER TABLE prizes ADD COLUMN paced boolean NOT NULL DEFAULT false;
ALTER TABLE prizes ADD COLUMN fallback boolean NOT NULL DEFAULT false;
ALTER TABLE prizes ADD COLUMN published boolean NOT NULL DEFAULT false;
UPDATE prizes SET published = allotment_id IS NOT NULL;
ALTER TABLE prizes ADD CONSTRAINT prizes_wins_per_holder_check CHECK (wins_per_holder >= 1);
ALTER TABLE prizes ADD CONSTRAINT prizes_wins_per_day_check CHECK (wins_per_day >= 1);

-- What a prize consists of: pieces of one collectible, or of several (a blind box).
CREATE TABLE prize_lots (
    tenant_id uuid NOT NULL,
    prize_id uuid NOT NULL,
    position integer NOT NULL,
    collectible_id uuid NOT NULL,
    quantity integer NOT NULL,
    -- Null until the activity is published and its stock set aside.
    allotment_id uuid,
    CONSTRAINT prize_lots_pkey PRIMARY KEY (tenant_id, prize_id, position),
    CONSTRAINT prize_lots_prize_fkey FOREIGN KEY (tenant_id, prize_id) REFERENCES prizes (tenant_id, id),
    CONSTRAINT prize_lots_collectible_fkey FOREIGN KEY (tenant_id, collectible_id) REFERENCES collectibles (tenant_id, id),
    CONSTRAINT prize_lots_allotment_fkey FOREIGN KEY (tenant_id, allotment_id) REFERENCES allotments (tenant_id, id),
    CONSTRAINT prize_lots_quantity_check CHECK (quantity >= 1)
);
CREATE INDEX prize_lots_collectible_index ON prize_lots (tenant_id, collectible_id);
CREATE INDEX prize_lots_allotment_index ON prize_lots (tenant_id, allotment_id);
INSERT INTO prize_lots (tenant_id, prize_id, position, collectible_id, quantity, allotment_id)
SELECT tenant_id, id, 0, collectible_id, quantity, allotment_id FROM prizes;
DROP POLICY holder ON prizes;
ALTER TABLE prizes DROP COLUMN allotment_id;
ALTER TABLE prizes DROP COLUMN collectible_id;
ALTER TABLE prizes DROP COLUMN quantity;

-- Terms in force, byte for byte as they are public, and the head of the chain once they were. Append-only.
CREATE TABLE draw_terms (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    version integer NOT NULL,
    document text NOT NULL,
    since timestamptz NOT NULL,
    record_hash bytea NOT NULL,
    CONSTRAINT draw_terms_pkey PRIMARY KEY (tenant_id, activity_id, version),
    CONSTRAINT draw_terms_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id)
);

ALTER TABLE participants ADD COLUMN wins integer NOT NULL DEFAULT 0;
-- The day of their last draw, counted from 1970, and what they drew and won on it.
ALTER TABLE participants ADD COLUMN day integer NOT NULL DEFAULT 0;
ALTER TABLE participants ADD COLUMN day_draws integer NOT NULL DEFAULT 0;
ALTER TABLE participants ADD COLUMN day_wins integer NOT NULL DEFAULT 0;
UPDATE participants AS participant SET wins = drawn.wins
  FROM (SELECT tenant_id, activity_id, holder_id, count(awarded_prize_id) AS wins FROM draws GROUP BY 1, 2, 3) AS drawn
 WHERE drawn.tenant_id = participant.tenant_id AND drawn.activity_id = participant.activity_id
   AND drawn.holder_id = participant.holder_id;

-- How often each holder has won a prize that limits that, and how often it was won on each day.
CREATE TABLE prize_tallies (
    tenant_id uuid NOT NULL,
    prize_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    wins integer NOT NULL,
    CONSTRAINT prize_tallies_pkey PRIMARY KEY (tenant_id, prize_id, holder_id)
) WITH (fillfactor = 80);
CREATE TABLE prize_days (
    tenant_id uuid NOT NULL,
    prize_id uuid NOT NULL,
    day integer NOT NULL,
    wins integer NOT NULL,
    CONSTRAINT prize_days_pkey PRIMARY KEY (tenant_id, prize_id, day)
) WITH (fillfactor = 50);

-- Words that an enterprise ties to its holders.
CREATE TABLE holder_tags (
    tenant_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    tag text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT holder_tags_pkey PRIMARY KEY (tenant_id, holder_id, tag),
    CONSTRAINT holder_tags_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id)
);
CREATE INDEX holder_tags_tag_index ON holder_tags (tenant_id, tag, holder_id);

-- Neither IDs nor moments go back along the chain, whatever a clock does: the next ones are above these.
ALTER TABLE draw_lanes ADD COLUMN last_draw_id uuid;
ALTER TABLE draw_lanes ADD COLUMN last_at timestamptz NOT NULL DEFAULT now();

-- Which of the holder's draws it was, its place in a multi-draw, and the numbers' way to the prize as `activities::record`
-- packs it. Nothing is drawn from where no plan is open.
ALTER TABLE draws ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE draws ADD COLUMN ordinal integer NOT NULL DEFAULT 0;
ALTER TABLE draws ADD COLUMN place integer NOT NULL DEFAULT 0;
ALTER TABLE draws ADD COLUMN open_plans bigint NOT NULL DEFAULT 0;
ALTER TABLE draws ADD COLUMN steps bytea NOT NULL DEFAULT '';
ALTER TABLE draws ADD COLUMN lot integer;
ALTER TABLE draws ALTER COLUMN plan_id DROP NOT NULL;
ALTER TABLE draws ALTER COLUMN roll DROP NOT NULL;

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['prize_plan_tags', 'prize_lots', 'draw_terms', 'prize_tallies', 'prize_days', 'holder_tags'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY tenant ON %I TO minthouse_tenant'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO minthouse_tenant', table_name);
    END LOOP;
END $$;
GRANT UPDATE ON prize_tallies, prize_days TO minthouse_tenant;
-- A plan never changes: it is published, once, with its stock.
GRANT UPDATE (published) ON prize_plans TO minthouse_tenant;
REVOKE UPDATE ON prizes FROM minthouse_tenant;
GRANT UPDATE (published) ON prizes TO minthouse_tenant;
GRANT UPDATE (allotment_id) ON prize_lots TO minthouse_tenant;
GRANT DELETE ON holder_tags TO minthouse_tenant;
-- What was published: plans, prizes and their lots, the terms, the seed once it is revealed.
DROP POLICY holder ON prize_plans;
CREATE POLICY holder ON prize_plans FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid AND published);
CREATE POLICY holder ON prizes FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid AND published);
CREATE POLICY holder ON prize_lots FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid AND allotment_id IS NOT NULL);
GRANT SELECT ON prize_lots TO minthouse_holder;
CREATE POLICY holder ON draw_terms FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid);
GRANT SELECT ON draw_terms TO minthouse_holder;
GRANT SELECT (draws_at_once, draws_per_day, wins_per_holder, wins_per_day, revealed_seed) ON activities TO minthouse_holder;
-- The house: which enterprises have draws that are over and not settled.
CREATE INDEX activities_settlement_index ON activities (tenant_id, closes_at)
    WHERE kind = 'DRAW' AND state IN ('PUBLISHED', 'PAUSED', 'ENDED');
CREATE POLICY house ON activities FOR SELECT TO minthouse_house USING (true);
GRANT SELECT (tenant_id, kind, state, closes_at, updated_at) ON activities TO minthouse_house;
