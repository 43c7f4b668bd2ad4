-- Who may draw, and how chances are earned: participation rules, tasks, draw codes, points.

-- How many draws a day, in Shanghai, are free beside the chances that somebody has. They do not add up.
ALTER TABLE activities ADD COLUMN daily_chances integer NOT NULL DEFAULT 0;
ALTER TABLE activities ADD CONSTRAINT activities_daily_chances_check CHECK (daily_chances BETWEEN 0 AND 1000);
GRANT SELECT (daily_chances) ON activities TO minthouse_holder;
-- Of the draws of their last day: how many were that day's free ones.
ALTER TABLE participants ADD COLUMN day_free integer NOT NULL DEFAULT 0;
-- Also for somebody's own lines, whatever they are for.
DROP INDEX chance_entries_participant_index;
CREATE INDEX chance_entries_holder_index ON chance_entries (tenant_id, holder_id, activity_id, id);
ALTER TABLE chance_entries DROP CONSTRAINT chance_entries_reason_check;
ALTER TABLE chance_entries ADD CONSTRAINT chance_entries_reason_check
    CHECK (reason IN ('JOINED', 'DAILY', 'FOLLOWED', 'CODE_ENTERED', 'SHARED', 'GRANTED', 'DRAWN'));

-- Who may draw. What is not asked for is false or null.
CREATE TABLE participation_rules (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    phone_bound boolean NOT NULL,
    real_named boolean NOT NULL,
    -- Only who has drawn in no other activity of the enterprise.
    first_time boolean NOT NULL,
    -- Only who stands on the activity's list of phones.
    listed boolean NOT NULL,
    points_at_least bigint,
    -- What one draw costs.
    points_cost bigint,
    -- How many people may draw from one device, and from one address.
    holders_per_device integer,
    holders_per_address integer,
    CONSTRAINT participation_rules_pkey PRIMARY KEY (tenant_id, activity_id),
    CONSTRAINT participation_rules_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id),
    CONSTRAINT participation_rules_points_at_least_check CHECK (points_at_least >= 1),
    CONSTRAINT participation_rules_points_cost_check CHECK (points_cost >= 1),
    CONSTRAINT participation_rules_holders_per_device_check CHECK (holders_per_device >= 1),
    CONSTRAINT participation_rules_holders_per_address_check CHECK (holders_per_address >= 1)
);
-- Only who has one of those that are not excluded, where there are such; nobody who has an excluded one.
CREATE TABLE participation_tags (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    tag text NOT NULL,
    excluded boolean NOT NULL,
    CONSTRAINT participation_tags_pkey PRIMARY KEY (tenant_id, activity_id, tag),
    CONSTRAINT participation_tags_rules_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES participation_rules (tenant_id, activity_id)
);
-- Keyed hashes of phones: who is invited to an activity, and whom the enterprise lets draw in none.
CREATE TABLE participation_phones (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    phone_hash bytea NOT NULL,
    CONSTRAINT participation_phones_pkey PRIMARY KEY (tenant_id, activity_id, phone_hash),
    CONSTRAINT participation_phones_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id)
);
CREATE TABLE blocked_phones (
    tenant_id uuid NOT NULL,
    phone_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT blocked_phones_pkey PRIMARY KEY (tenant_id, phone_hash)
);
-- From which devices and addresses people have drawn, as keyed hashes, where an activity limits that. Gone at settlement.
CREATE TABLE draw_origins (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    mark bytea NOT NULL,
    holder_id uuid NOT NULL,
    CONSTRAINT draw_origins_pkey PRIMARY KEY (tenant_id, activity_id, mark, holder_id)
);

-- Points that the enterprise gives to its holders and that draws cost. A balance is the sum of its entries.
CREATE TABLE point_accounts (
    tenant_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    balance bigint NOT NULL,
    CONSTRAINT point_accounts_pkey PRIMARY KEY (tenant_id, holder_id),
    CONSTRAINT point_accounts_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id),
    CONSTRAINT point_accounts_balance_check CHECK (balance >= 0)
) WITH (fillfactor = 80);
CREATE TABLE point_entries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    holder_id uuid NOT NULL,
    reason text NOT NULL,
    delta bigint NOT NULL,
    -- The enterprise's own name for what it did, once and for ever.
    reference text,
    -- The draw that it was spent on.
    subject_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT point_entries_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT point_entries_reason_check CHECK (reason IN ('ADJUSTED', 'DRAWN')),
    CONSTRAINT point_entries_reference_check CHECK ((reason = 'ADJUSTED') = (reference IS NOT NULL))
);
CREATE UNIQUE INDEX point_entries_reference_key ON point_entries (tenant_id, reference) WHERE reference IS NOT NULL;
CREATE INDEX point_entries_holder_index ON point_entries (tenant_id, holder_id, id);

-- What earns chances.
CREATE TABLE activity_tasks (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    activity_id uuid NOT NULL,
    position integer NOT NULL,
    kind text NOT NULL,
    name_chinese text NOT NULL,
    name_english text NOT NULL,
    -- Where people go to do it.
    link text,
    -- How many chances each time gives, and how often it may be done.
    chances integer NOT NULL,
    times_per_day integer,
    times_per_holder integer,
    -- Whether a holder's own word will do.
    on_trust boolean NOT NULL,
    CONSTRAINT activity_tasks_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT activity_tasks_position_key UNIQUE (tenant_id, activity_id, position),
    CONSTRAINT activity_tasks_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id),
    CONSTRAINT activity_tasks_kind_check CHECK (kind IN ('FOLLOW_ACCOUNT', 'DRAW_CODE', 'SHARE', 'API')),
    CONSTRAINT activity_tasks_chances_check CHECK (chances >= 1),
    CONSTRAINT activity_tasks_times_per_day_check CHECK (times_per_day >= 1),
    CONSTRAINT activity_tasks_times_per_holder_check CHECK (times_per_holder >= 1)
);
-- Each time that somebody did one. Append-only.
CREATE TABLE task_completions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    task_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    -- In Shanghai, counted from 1970.
    day integer NOT NULL,
    chances integer NOT NULL,
    -- The enterprise's own name for what happened, once and for ever.
    reference text,
    -- The draw code that was entered: by one person once.
    code_hash bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT task_completions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT task_completions_task_fkey FOREIGN KEY (tenant_id, task_id) REFERENCES activity_tasks (tenant_id, id)
);
CREATE INDEX task_completions_task_index ON task_completions (tenant_id, task_id, holder_id, day);
CREATE UNIQUE INDEX task_completions_reference_key ON task_completions (tenant_id, task_id, reference) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX task_completions_code_key ON task_completions (tenant_id, task_id, code_hash, holder_id) WHERE code_hash IS NOT NULL;

-- Draw codes (抽奖码) made together. The codes follow from the sealed secret; what the enterprise chose itself has none.
CREATE TABLE draw_code_batches (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    activity_id uuid NOT NULL,
    task_id uuid NOT NULL,
    count integer NOT NULL,
    uses integer NOT NULL,
    word boolean NOT NULL,
    sealed_secret bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT draw_code_batches_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT draw_code_batches_task_fkey FOREIGN KEY (tenant_id, task_id) REFERENCES activity_tasks (tenant_id, id),
    CONSTRAINT draw_code_batches_count_check CHECK (count >= 1),
    CONSTRAINT draw_code_batches_uses_check CHECK (uses >= 1),
    CONSTRAINT draw_code_batches_word_check CHECK (word = (sealed_secret IS NULL))
);
CREATE INDEX draw_code_batches_task_index ON draw_code_batches (tenant_id, task_id, id);
CREATE TABLE draw_codes (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    batch_id uuid NOT NULL,
    uses_left integer NOT NULL,
    CONSTRAINT draw_codes_pkey PRIMARY KEY (tenant_id, activity_id, code_hash),
    CONSTRAINT draw_codes_batch_fkey FOREIGN KEY (tenant_id, batch_id) REFERENCES draw_code_batches (tenant_id, id),
    CONSTRAINT draw_codes_uses_check CHECK (uses_left >= 0)
) WITH (fillfactor = 80);
CREATE INDEX draw_codes_batch_index ON draw_codes (tenant_id, batch_id);

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['participation_rules', 'participation_tags', 'participation_phones', 'blocked_phones',
        'draw_origins', 'point_accounts', 'point_entries', 'activity_tasks', 'task_completions', 'draw_code_batches', 'draw_codes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY tenant ON %I TO minthouse_tenant'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO minthouse_tenant', table_name);
    END LOOP;
    -- What only the person it belongs to may see.
    FOREACH table_name IN ARRAY ARRAY['point_accounts', 'point_entries', 'task_completions'] LOOP
        EXECUTE format('CREATE POLICY holder ON %I FOR SELECT TO minthouse_holder'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid'
            ' AND holder_id = current_setting(''app.holder_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT ON %I TO minthouse_holder', table_name);
    END LOOP;
    -- What every holder may see; it is reached through an activity that they may see.
    FOREACH table_name IN ARRAY ARRAY['participation_rules', 'activity_tasks'] LOOP
        EXECUTE format('CREATE POLICY holder ON %I FOR SELECT TO minthouse_holder'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT ON %I TO minthouse_holder', table_name);
    END LOOP;
END $$;
GRANT UPDATE (balance) ON point_accounts TO minthouse_tenant;
GRANT UPDATE (uses_left) ON draw_codes TO minthouse_tenant;
-- Sealed anew when the data key is exchanged.
GRANT UPDATE (sealed_secret) ON draw_code_batches TO minthouse_tenant;
GRANT DELETE ON participation_phones, blocked_phones, draw_origins TO minthouse_tenant;
