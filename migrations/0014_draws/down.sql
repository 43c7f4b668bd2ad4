-- Of a prize with several lots only the first is kept, of an activity with several plans a version only the first.

REVOKE SELECT (tenant_id, kind, state, closes_at, updated_at) ON activities FROM minthouse_house;
DROP POLICY house ON activities;
DROP INDEX activities_settlement_index;
REVOKE SELECT (draws_at_once, draws_per_day, wins_per_holder, wins_per_day, revealed_seed) ON activities FROM minthouse_holder;
DROP POLICY holder ON prizes;
DROP POLICY holder ON prize_plans;
CREATE POLICY holder ON prize_plans FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid);
GRANT UPDATE ON prizes TO minthouse_tenant;

-- Where nothing was drawn from any plan, the activity's first one stands in.
UPDATE draws SET plan_id = plan.id
  FROM prize_plans AS plan
 WHERE draws.plan_id IS NULL AND plan.tenant_id = draws.tenant_id AND plan.activity_id = draws.activity_id
   AND plan.version = draws.version AND plan.position = 0;
UPDATE draws SET roll = 0 WHERE roll IS NULL;
ALTER TABLE draws ALTER COLUMN roll SET NOT NULL;
ALTER TABLE draws ALTER COLUMN plan_id SET NOT NULL;
ALTER TABLE draws DROP COLUMN lot;
ALTER TABLE draws DROP COLUMN steps;
ALTER TABLE draws DROP COLUMN open_plans;
ALTER TABLE draws DROP COLUMN place;
ALTER TABLE draws DROP COLUMN ordinal;
ALTER TABLE draws DROP COLUMN version;
ALTER TABLE draw_lanes DROP COLUMN last_at;
ALTER TABLE draw_lanes DROP COLUMN last_draw_id;

DROP TABLE holder_tags;
DROP TABLE prize_days;
DROP TABLE prize_tallies;
ALTER TABLE participants DROP COLUMN day_wins;
ALTER TABLE participants DROP COLUMN day_draws;
ALTER TABLE participants DROP COLUMN day;
ALTER TABLE participants DROP COLUMN wins;
DROP TABLE draw_terms;

ALTER TABLE prizes ADD COLUMN collectible_id uuid;
ALTER TABLE prizes ADD COLUMN quantity integer;
ALTER TABLE prizes ADD COLUMN allotment_id uuid;
UPDATE prizes AS prize
   SET collectible_id = lot.collectible_id, quantity = lot.quantity, allotment_id = lot.allotment_id
  FROM prize_lots AS lot
 WHERE lot.tenant_id = prize.tenant_id AND lot.prize_id = prize.id AND lot.position = 0;
ALTER TABLE prizes ALTER COLUMN collectible_id SET NOT NULL;
ALTER TABLE prizes ALTER COLUMN quantity SET NOT NULL;
ALTER TABLE prizes ADD CONSTRAINT prizes_collectible_fkey FOREIGN KEY (tenant_id, collectible_id) REFERENCES collectibles (tenant_id, id);
ALTER TABLE prizes ADD CONSTRAINT prizes_allotment_fkey FOREIGN KEY (tenant_id, allotment_id) REFERENCES allotments (tenant_id, id);
ALTER TABLE prizes ADD CONSTRAINT prizes_quantity_check CHECK (quantity >= 1);
CREATE INDEX prizes_collectible_index ON prizes (tenant_id, collectible_id);
CREATE INDEX prizes_allotment_index ON prizes (tenant_id, allotment_id);
CREATE POLICY holder ON prizes FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid AND allotment_id IS NOT NULL);
DROP TABLE prize_lots;
ALTER TABLE prizes DROP COLUMN published;
ALTER TABLE prizes DROP COLUMN fallback;
ALTER TABLE prizes DROP COLUMN paced;
ALTER TABLE prizes DROP COLUMN wins_per_day;
ALTER TABLE prizes DROP COLUMN wins_per_holder;

DROP TABLE prize_plan_tags;
ALTER TABLE prize_plans DROP CONSTRAINT prize_plans_position_key;
UPDATE prize_plans SET version = version * 64 + position WHERE position > 0;
ALTER TABLE prize_plans ADD CONSTRAINT prize_plans_version_key UNIQUE (tenant_id, activity_id, version);
ALTER TABLE prize_plans DROP COLUMN published;
ALTER TABLE prize_plans DROP COLUMN exhaustion;
ALTER TABLE prize_plans DROP COLUMN falls_through;
ALTER TABLE prize_plans DROP COLUMN overlays;
ALTER TABLE prize_plans DROP COLUMN priority;
ALTER TABLE prize_plans DROP COLUMN ends_at;
ALTER TABLE prize_plans DROP COLUMN starts_at;
ALTER TABLE prize_plans DROP COLUMN for_chosen;
ALTER TABLE prize_plans DROP COLUMN position;

ALTER TABLE activities DROP COLUMN revealed_seed;
ALTER TABLE activities DROP COLUMN wins_per_day;
ALTER TABLE activities DROP COLUMN wins_per_holder;
ALTER TABLE activities DROP COLUMN draws_per_day;
ALTER TABLE activities DROP COLUMN draws_at_once;
