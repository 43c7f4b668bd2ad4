-- The roles stay: they belong to the cluster, and another database may use them.
DO $$
DECLARE
    wall record;
BEGIN
    FOR wall IN SELECT policyname, tablename FROM pg_policies WHERE schemaname = 'public' LOOP
        EXECUTE format('DROP POLICY %I ON %I', wall.policyname, wall.tablename);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', wall.tablename);
    END LOOP;
END $$;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM minthouse_tenant, minthouse_holder, minthouse_house;
REVOKE USAGE ON SCHEMA public FROM minthouse_tenant, minthouse_holder, minthouse_house;
GRANT USAGE ON SCHEMA public TO PUBLIC;
