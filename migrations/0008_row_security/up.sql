-- Three login roles that own nothing, and what each may see. A query under a role without the settings that its
-- policies read is an error, never an empty answer.
--
--   minthouse_tenant  one enterprise, named by app.tenant_id
--   minthouse_holder  one person in one enterprise: app.tenant_id and app.holder_id; reads only
--   minthouse_house   the house: enterprises, the directory, reviews, and where work is due; no tenant's data

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['minthouse_tenant', 'minthouse_holder', 'minthouse_house'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database of this cluster is being migrated at the same moment
            END;
        END IF;
    END LOOP;
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO minthouse_tenant, minthouse_holder, minthouse_house;

-- The tenant's wall, on every table.
DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY[
        'enterprises', 'directory_entries', 'operators', 'data_keys', 'idempotency_keys', 'audit_records', 'reviews', 'manifest_entries',
        'series', 'collectibles', 'collectible_stocks', 'allotments', 'stock_entries',
        'ledger_blocks', 'ledger_operations',
        'activities', 'prize_plans', 'prizes', 'draw_lanes', 'participants', 'chance_entries', 'draws', 'claims', 'airdrops',
        'merchants', 'domains', 'offers', 'purchase_tallies', 'orders', 'order_lines', 'payments',
        'holders', 'items', 'transfers',
        'outbox', 'event_sequences', 'events'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY tenant ON %I TO minthouse_tenant'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO minthouse_tenant', table_name);
    END LOOP;
    -- What is not append-only. Nothing here is ever deleted but what names itself below.
    FOREACH table_name IN ARRAY ARRAY[
        'enterprises', 'operators', 'idempotency_keys', 'reviews',
        'series', 'collectibles', 'collectible_stocks', 'allotments', 'ledger_operations',
        'activities', 'prizes', 'draw_lanes', 'participants', 'claims', 'airdrops',
        'merchants', 'domains', 'offers', 'purchase_tallies', 'orders', 'payments',
        'holders', 'items', 'transfers', 'event_sequences'
    ] LOOP
        EXECUTE format('GRANT UPDATE ON %I TO minthouse_tenant', table_name);
    END LOOP;
END $$;
-- The relay takes rows out of the outbox; idempotency keys older than 72 hours may be swept.
GRANT DELETE ON outbox, idempotency_keys TO minthouse_tenant;
-- A line gets its serial numbers when its order is paid; the rest of it never changes.
GRANT UPDATE (first_serial) ON order_lines TO minthouse_tenant;

-- What every holder of an enterprise may see of it.
DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['enterprises', 'series', 'collectible_stocks', 'allotments', 'prize_plans', 'merchants'] LOOP
        EXECUTE format('CREATE POLICY holder ON %I FOR SELECT TO minthouse_holder'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT ON %I TO minthouse_holder', table_name);
    END LOOP;
    -- What only the person it belongs to may see.
    FOREACH table_name IN ARRAY ARRAY['participants', 'chance_entries', 'draws', 'claims', 'orders', 'order_lines', 'payments', 'items', 'purchase_tallies'] LOOP
        EXECUTE format('CREATE POLICY holder ON %I FOR SELECT TO minthouse_holder'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid'
            ' AND holder_id = current_setting(''app.holder_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT ON %I TO minthouse_holder', table_name);
    END LOOP;
END $$;
CREATE POLICY holder ON activities FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid
        AND state IN ('PUBLISHED', 'PAUSED', 'ENDED', 'SETTLED', 'ARCHIVED', 'TERMINATED'));
-- Everything but the sealed seed.
GRANT SELECT (tenant_id, id, kind, name_chinese, name_english, rules_chinese, rules_english, opens_at, closes_at,
        chances_per_holder, claim_days, state, review_remark, seed_commitment, version, created_at, updated_at)
    ON activities TO minthouse_holder;
-- What has not been issued or published yet is nobody's business: not a design, not a prize, not a price.
CREATE POLICY holder ON collectibles FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid AND state = 'ISSUED');
GRANT SELECT ON collectibles TO minthouse_holder;
CREATE POLICY holder ON prizes FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid AND allotment_id IS NOT NULL);
GRANT SELECT ON prizes TO minthouse_holder;
CREATE POLICY holder ON offers FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid AND allotment_id IS NOT NULL);
GRANT SELECT ON offers TO minthouse_holder;
CREATE POLICY holder ON holders FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid AND id = current_setting('app.holder_id')::uuid);
GRANT SELECT ON holders TO minthouse_holder;
CREATE POLICY holder ON transfers FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid
        AND (from_holder_id = current_setting('app.holder_id')::uuid OR to_holder_id = current_setting('app.holder_id')::uuid));
GRANT SELECT ON transfers TO minthouse_holder;
-- The house: who exists, what waits for review, and which tenants have work due (never what the work is about).
DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['enterprises', 'directory_entries', 'reviews', 'outbox', 'transfers', 'ledger_operations', 'collectibles', 'orders'] LOOP
        EXECUTE format('CREATE POLICY house ON %I TO minthouse_house USING (true) WITH CHECK (true)', table_name);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON enterprises TO minthouse_house;
GRANT SELECT, INSERT ON directory_entries TO minthouse_house;
GRANT SELECT ON reviews TO minthouse_house;
GRANT SELECT (tenant_id, id) ON outbox TO minthouse_house;
GRANT SELECT (tenant_id, state, due_at) ON transfers TO minthouse_house;
GRANT SELECT (tenant_id, state) ON ledger_operations TO minthouse_house;
GRANT SELECT (tenant_id, state) ON collectibles TO minthouse_house;
GRANT SELECT (tenant_id, state, expires_at) ON orders TO minthouse_house;
