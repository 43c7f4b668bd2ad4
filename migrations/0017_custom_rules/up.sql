-- Custom rules: endpoints of the enterprise's own that decide who may draw and what is won.

CREATE TABLE custom_rules (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    digest text NOT NULL,
    -- What stands behind the message in its envelope, if anything does.
    trailing_id text,
    -- The token and the key that both sides share.
    sealed_secrets bytea NOT NULL,
    -- The names under which activities may send costs and thresholds, with what each may be.
    parameters json NOT NULL,
    state text NOT NULL DEFAULT 'ACTIVE',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT custom_rules_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT custom_rules_kind_check CHECK (kind IN ('DRAW_RULE', 'CHANCE_COUNT')),
    CONSTRAINT custom_rules_digest_check CHECK (digest IN ('SHA1', 'SHA256')),
    CONSTRAINT custom_rules_state_check CHECK (state IN ('ACTIVE', 'DISABLED'))
);

-- Which endpoints an activity asks. It never changes.
CREATE TABLE activity_custom_rules (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    kind text NOT NULL,
    custom_rule_id uuid NOT NULL,
    -- What is sent under each name.
    parameters json NOT NULL,
    -- The endpoint decides each draw; its word that we may draw ourselves is not taken.
    decides boolean NOT NULL,
    CONSTRAINT activity_custom_rules_pkey PRIMARY KEY (tenant_id, activity_id, kind),
    CONSTRAINT activity_custom_rules_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id),
    CONSTRAINT activity_custom_rules_rule_fkey FOREIGN KEY (tenant_id, custom_rule_id) REFERENCES custom_rules (tenant_id, id)
);
CREATE INDEX activity_custom_rules_rule_index ON activity_custom_rules (tenant_id, custom_rule_id);

-- Each wish that an endpoint is asked about: written before the call, so that nothing is asked twice at once and an answer
-- outlives the server that got it.
CREATE TABLE consultations (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    key text NOT NULL,
    input_hash bytea NOT NULL,
    -- Null until it is answered.
    answer json,
    asked_at timestamptz NOT NULL,
    answered_at timestamptz,
    -- An answer serves one draw, or one multi-draw.
    drawn_at timestamptz,
    CONSTRAINT consultations_pkey PRIMARY KEY (tenant_id, activity_id, holder_id, key)
);

-- What the endpoint has ruled of a draw; null where it has left it to us.
ALTER TABLE draws ADD COLUMN ruling bytea;

ALTER TABLE chance_entries DROP CONSTRAINT chance_entries_reason_check;
ALTER TABLE chance_entries ADD CONSTRAINT chance_entries_reason_check
    CHECK (reason IN ('JOINED', 'DAILY', 'FOLLOWED', 'CODE_ENTERED', 'SHARED', 'GRANTED', 'ENDPOINT', 'DRAWN'));

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['custom_rules', 'activity_custom_rules', 'consultations'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY tenant ON %I TO minthouse_tenant'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO minthouse_tenant', table_name);
    END LOOP;
END $$;
-- Its secrets are sealed anew when the data key is exchanged.
GRANT UPDATE (state, version, sealed_secrets) ON custom_rules TO minthouse_tenant;
GRANT UPDATE (answer, asked_at, answered_at, drawn_at) ON consultations TO minthouse_tenant;
-- At settlement.
GRANT DELETE ON consultations TO minthouse_tenant;
