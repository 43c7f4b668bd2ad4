-- Identity: branches of partners, sessions, single sign-on, API clients, holders' proofs, documents, the audit chain.
-- Roles, policies and grants of all of it stand at the end.

-- Enterprises: what the house thinks of them, and what a partner thinks of its branch.
ALTER TABLE enterprises ADD COLUMN state_reason text;
-- The PLATFORM enterprise above a branch, which knows it by its corpOpenId.
ALTER TABLE enterprises ADD COLUMN partner_id uuid;
ALTER TABLE enterprises ADD COLUMN corp_open_id text;
ALTER TABLE enterprises ADD COLUMN disabled_at timestamptz;
ALTER TABLE enterprises ADD COLUMN expires_at timestamptz;
-- How often its partner has disabled it. A partner's token for it names the count that it was made under.
ALTER TABLE enterprises ADD COLUMN times_disabled integer NOT NULL DEFAULT 0;
ALTER TABLE enterprises ADD CONSTRAINT enterprises_branch_check CHECK ((partner_id IS NULL) = (corp_open_id IS NULL));
ALTER TABLE enterprises ADD CONSTRAINT enterprises_one_level_check CHECK (partner_id IS NULL OR kind = 'STANDARD');

-- A connection or a key is named by somebody who has not said yet whose it is.
ALTER TABLE directory_entries DROP CONSTRAINT directory_entries_kind_check;
ALTER TABLE directory_entries ADD CONSTRAINT directory_entries_kind_check
    CHECK (kind IN ('SLUG', 'SIGN_IN', 'HOST', 'SSO_CONNECTION', 'SSO_KEY'));

-- A partner's branches, in the partner's own shard. Who is one cannot be changed.
CREATE TABLE branches (
    tenant_id uuid NOT NULL,
    branch_id uuid NOT NULL,
    corp_open_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT branches_pkey PRIMARY KEY (tenant_id, branch_id),
    CONSTRAINT branches_corp_open_id_key UNIQUE (tenant_id, corp_open_id),
    CONSTRAINT branches_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id)
);

-- Files that an enterprise hands in. Their bytes lie in the object store under the row's ID.
CREATE TABLE documents (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    media_type text,
    size bigint,
    sha256 bytea,
    state text NOT NULL DEFAULT 'AWAITED',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT documents_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT documents_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT documents_state_check CHECK (state IN ('AWAITED', 'STORED')),
    CONSTRAINT documents_stored_check CHECK (state = 'AWAITED' OR (media_type IS NOT NULL AND size IS NOT NULL AND sha256 IS NOT NULL))
);

CREATE TABLE qualifications (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    number text NOT NULL,
    document_id uuid NOT NULL,
    expires_at timestamptz,
    state text NOT NULL DEFAULT 'PENDING',
    review_remark text,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT qualifications_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT qualifications_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT qualifications_document_fkey FOREIGN KEY (tenant_id, document_id) REFERENCES documents (tenant_id, id),
    CONSTRAINT qualifications_kind_check CHECK (kind IN ('BUSINESS_LICENCE', 'ICP_LICENCE', 'BLOCKCHAIN_FILING', 'COPYRIGHT_PROOF')),
    CONSTRAINT qualifications_state_check CHECK (state IN ('PENDING', 'APPROVED', 'REJECTED', 'EXPIRED'))
);
CREATE INDEX qualifications_document_index ON qualifications (tenant_id, document_id);
CREATE INDEX qualifications_expiry_index ON qualifications (tenant_id, expires_at) WHERE state = 'APPROVED';

ALTER TABLE reviews DROP CONSTRAINT reviews_subject_kind_check;
ALTER TABLE reviews ADD CONSTRAINT reviews_subject_kind_check
    CHECK (subject_kind IN ('COLLECTIBLE', 'ACTIVITY', 'ENTERPRISE', 'QUALIFICATION'));
-- The house's queue and its look-ups go across tenants, by state and by ID: the tenant cannot lead here.
CREATE INDEX reviews_queue_index ON reviews (state, id);
CREATE INDEX reviews_id_index ON reviews (id);

-- Operators. One who comes by single sign-on has neither a sign-in name nor a password.
ALTER TABLE operators ALTER COLUMN sign_in DROP NOT NULL;
ALTER TABLE operators ALTER COLUMN password_hash DROP NOT NULL;
ALTER TABLE operators ADD COLUMN totp_sealed bytea;
ALTER TABLE operators ADD COLUMN totp_confirmed_at timestamptz;
-- The last step of the one-time password that was accepted: none is accepted twice.
ALTER TABLE operators ADD COLUMN totp_step bigint NOT NULL DEFAULT 0;
ALTER TABLE operators ADD COLUMN sso_connection_id uuid;
ALTER TABLE operators ADD COLUMN sso_subject text;
ALTER TABLE operators ADD CONSTRAINT operators_way_in_check
    CHECK ((sign_in IS NOT NULL AND password_hash IS NOT NULL) OR sso_subject IS NOT NULL);
ALTER TABLE operators ADD CONSTRAINT operators_sso_check CHECK ((sso_connection_id IS NULL) = (sso_subject IS NULL));
-- The connection may be the partner's, in another shard: no foreign key.
CREATE UNIQUE INDEX operators_sso_index ON operators (tenant_id, sso_connection_id, sso_subject) WHERE sso_subject IS NOT NULL;

CREATE TABLE recovery_codes (
    tenant_id uuid NOT NULL,
    operator_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT recovery_codes_pkey PRIMARY KEY (tenant_id, operator_id, code_hash),
    CONSTRAINT recovery_codes_operator_fkey FOREIGN KEY (tenant_id, operator_id) REFERENCES operators (tenant_id, id)
);

CREATE TABLE invitations (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    sign_in text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    token_hash bytea NOT NULL,
    invited_by uuid NOT NULL,
    state text NOT NULL DEFAULT 'OPEN',
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT invitations_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT invitations_token_key UNIQUE (tenant_id, token_hash),
    CONSTRAINT invitations_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT invitations_role_check CHECK (role IN ('OWNER', 'ADMIN', 'OPERATOR', 'FINANCE', 'AUDITOR')),
    CONSTRAINT invitations_state_check CHECK (state IN ('OPEN', 'ACCEPTED', 'REVOKED'))
);
CREATE UNIQUE INDEX invitations_open_index ON invitations (tenant_id, sign_in) WHERE state = 'OPEN';

-- One row for each time somebody signed in. Access tokens name it; revoking it kills them.
CREATE TABLE sessions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid NOT NULL,
    method text NOT NULL,
    client text NOT NULL DEFAULT '',
    address text NOT NULL DEFAULT '',
    used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_because text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sessions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT sessions_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT sessions_subject_check CHECK (subject_kind IN ('OPERATOR', 'HOLDER')),
    CONSTRAINT sessions_method_check CHECK (method IN ('PASSWORD', 'TOTP', 'RECOVERY_CODE', 'INVITATION', 'OIDC', 'TICKET',
        'PHONE_CODE', 'WECHAT', 'PARTNER')),
    CONSTRAINT sessions_revocation_check CHECK ((revoked_at IS NULL) = (revoked_because IS NULL))
);
CREATE INDEX sessions_subject_index ON sessions (tenant_id, subject_id, id);
-- What the gate asks every few seconds for each enterprise that is at work.
CREATE INDEX sessions_revoked_index ON sessions (tenant_id, revoked_at) WHERE revoked_at IS NOT NULL;

-- Each refresh token is good once. One that comes back a second time was stolen: its session ends.
CREATE TABLE refresh_tokens (
    tenant_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    session_id uuid NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (tenant_id, token_hash),
    CONSTRAINT refresh_tokens_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id)
);
CREATE INDEX refresh_tokens_session_index ON refresh_tokens (tenant_id, session_id);
CREATE INDEX refresh_tokens_age_index ON refresh_tokens (tenant_id, created_at);

-- Attempts that failed, by a keyed hash of who or where. Before a tenant is known, tenant_id is the nil UUID.
CREATE TABLE throttles (
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    key bytea NOT NULL,
    count integer NOT NULL,
    began_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT throttles_pkey PRIMARY KEY (tenant_id, kind, key),
    CONSTRAINT throttles_count_check CHECK (count >= 0)
);
CREATE INDEX throttles_age_index ON throttles (tenant_id, last_at);

CREATE TABLE api_clients (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    scopes text NOT NULL,
    allow_list text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'ACTIVE',
    last_used_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_clients_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT api_clients_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT api_clients_state_check CHECK (state IN ('ACTIVE', 'DISABLED'))
);

CREATE TABLE api_client_secrets (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    hint text NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_client_secrets_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT api_client_secrets_client_fkey FOREIGN KEY (tenant_id, client_id) REFERENCES api_clients (tenant_id, id)
);
CREATE INDEX api_client_secrets_client_index ON api_client_secrets (tenant_id, client_id, id);
CREATE INDEX api_client_secrets_revoked_index ON api_client_secrets (tenant_id, revoked_at) WHERE revoked_at IS NOT NULL;

-- Single sign-on. An OpenID provider of the enterprise's own.
CREATE TABLE sso_connections (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    issuer text NOT NULL,
    client_id text NOT NULL,
    client_secret_sealed bytea,
    scopes text NOT NULL,
    role_claim text NOT NULL,
    roles json NOT NULL,
    default_role text,
    branch_claim text,
    state text NOT NULL DEFAULT 'ACTIVE',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sso_connections_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT sso_connections_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT sso_connections_default_role_check CHECK (default_role IN ('ADMIN', 'OPERATOR', 'FINANCE', 'AUDITOR')),
    CONSTRAINT sso_connections_state_check CHECK (state IN ('ACTIVE', 'DISABLED'))
);

-- One sign-in that has left for the provider. The state, the nonce and the browser's cookie are known by hash only.
CREATE TABLE sso_attempts (
    tenant_id uuid NOT NULL,
    state_hash bytea NOT NULL,
    connection_id uuid NOT NULL,
    browser_hash bytea NOT NULL,
    verifier_sealed bytea NOT NULL,
    nonce_hash bytea NOT NULL,
    origin text,
    expires_at timestamptz NOT NULL,
    spent_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sso_attempts_pkey PRIMARY KEY (tenant_id, state_hash),
    CONSTRAINT sso_attempts_connection_fkey FOREIGN KEY (tenant_id, connection_id) REFERENCES sso_connections (tenant_id, id)
);
CREATE INDEX sso_attempts_connection_index ON sso_attempts (tenant_id, connection_id);
CREATE INDEX sso_attempts_age_index ON sso_attempts (tenant_id, expires_at);

-- What a partner's server signs with: a public key, or the secret of one of the signature profiles.
CREATE TABLE sso_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    profile text NOT NULL,
    public_jwk json,
    secret_sealed bytea,
    roles json NOT NULL,
    default_role text,
    state text NOT NULL DEFAULT 'ACTIVE',
    version integer NOT NULL DEFAULT 1,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sso_keys_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT sso_keys_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT sso_keys_profile_check CHECK (profile IN ('JWT', 'EQXIU', 'DUIBA', 'RRX')),
    CONSTRAINT sso_keys_default_role_check CHECK (default_role IN ('ADMIN', 'OPERATOR', 'FINANCE', 'AUDITOR')),
    CONSTRAINT sso_keys_material_check CHECK ((profile = 'JWT') = (public_jwk IS NOT NULL) AND (profile = 'JWT') = (secret_sealed IS NULL)),
    CONSTRAINT sso_keys_state_check CHECK (state IN ('ACTIVE', 'DISABLED'))
);

-- The web origins from which the console may be embedded.
CREATE TABLE sso_origins (
    tenant_id uuid NOT NULL,
    origin text NOT NULL,
    state text NOT NULL DEFAULT 'ACTIVE',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sso_origins_pkey PRIMARY KEY (tenant_id, origin),
    CONSTRAINT sso_origins_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT sso_origins_state_check CHECK (state IN ('ACTIVE', 'DISABLED'))
);

-- A ticket opens one session of one operator, once. It lies with the enterprise that the session will be in; who
-- vouched for the operator may be that one's partner.
CREATE TABLE sso_tickets (
    tenant_id uuid NOT NULL,
    ticket_hash bytea NOT NULL,
    vouched_by uuid NOT NULL,
    voucher_id uuid NOT NULL,
    operator_id uuid NOT NULL,
    method text NOT NULL,
    origin text,
    nonce_hash bytea,
    expires_at timestamptz NOT NULL,
    spent_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sso_tickets_pkey PRIMARY KEY (tenant_id, ticket_hash),
    CONSTRAINT sso_tickets_method_check CHECK (method IN ('OIDC', 'TICKET'))
);
CREATE INDEX sso_tickets_age_index ON sso_tickets (tenant_id, expires_at);

-- An assertion is good once: its ID is kept until it has expired.
CREATE TABLE used_assertions (
    tenant_id uuid NOT NULL,
    assertion_hash bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT used_assertions_pkey PRIMARY KEY (tenant_id, assertion_hash)
);
CREATE INDEX used_assertions_age_index ON used_assertions (tenant_id, expires_at);

-- Holders: known by phone, by WeChat, or by the enterprise's own name for them. One who was erased keeps the row
-- that the ledgers point at and nothing else.
ALTER TABLE holders ALTER COLUMN phone_hash DROP NOT NULL;
ALTER TABLE holders ALTER COLUMN phone_sealed DROP NOT NULL;
ALTER TABLE holders ALTER COLUMN phone_masked DROP NOT NULL;
ALTER TABLE holders ADD COLUMN name_sealed bytea;
ALTER TABLE holders ADD COLUMN name_masked text;
ALTER TABLE holders ADD COLUMN id_number_sealed bytea;
ALTER TABLE holders ADD COLUMN id_number_hash bytea;
ALTER TABLE holders ADD COLUMN id_number_masked text;
ALTER TABLE holders ADD COLUMN verified_at timestamptz;
ALTER TABLE holders ADD COLUMN erased_at timestamptz;
ALTER TABLE holders ADD CONSTRAINT holders_phone_check
    CHECK ((phone_hash IS NULL) = (phone_sealed IS NULL) AND (phone_hash IS NULL) = (phone_masked IS NULL));
ALTER TABLE holders ADD CONSTRAINT holders_verified_check
    CHECK (verified_at IS NULL OR erased_at IS NOT NULL OR (name_sealed IS NOT NULL AND id_number_sealed IS NOT NULL));
ALTER TABLE holders ADD CONSTRAINT holders_erased_check
    CHECK (erased_at IS NULL OR (phone_hash IS NULL AND name_sealed IS NULL AND id_number_sealed IS NULL AND id_number_hash IS NULL));
CREATE INDEX holders_id_number_index ON holders (tenant_id, id_number_hash);

CREATE TABLE holder_identities (
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    key_hash bytea NOT NULL,
    key_sealed bytea NOT NULL,
    holder_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT holder_identities_pkey PRIMARY KEY (tenant_id, kind, key_hash),
    CONSTRAINT holder_identities_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id),
    CONSTRAINT holder_identities_kind_check CHECK (kind IN ('WECHAT_OPEN_ID', 'WECHAT_UNION_ID', 'PARTNER'))
);
CREATE INDEX holder_identities_holder_index ON holder_identities (tenant_id, holder_id);

CREATE TABLE verification_codes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    purpose text NOT NULL,
    phone_hash bytea NOT NULL,
    code_hash bytea NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT verification_codes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT verification_codes_purpose_check CHECK (purpose IN ('SIGN_IN', 'BIND_PHONE', 'WALLET', 'ERASE'))
);
CREATE INDEX verification_codes_phone_index ON verification_codes (tenant_id, phone_hash, purpose, id);
CREATE INDEX verification_codes_age_index ON verification_codes (tenant_id, expires_at);

CREATE TABLE wechat_apps (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    app_id text NOT NULL,
    secret_sealed bytea NOT NULL,
    state text NOT NULL DEFAULT 'ACTIVE',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT wechat_apps_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT wechat_apps_app_key UNIQUE (tenant_id, app_id),
    CONSTRAINT wechat_apps_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT wechat_apps_kind_check CHECK (kind IN ('MINI_PROGRAM', 'OFFICIAL_ACCOUNT')),
    CONSTRAINT wechat_apps_state_check CHECK (state IN ('ACTIVE', 'DISABLED'))
);

-- What a provider said of a name and a number; neither stands here.
CREATE TABLE real_name_verifications (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    holder_id uuid NOT NULL,
    provider text NOT NULL,
    result text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT real_name_verifications_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT real_name_verifications_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id),
    CONSTRAINT real_name_verifications_result_check CHECK (result IN ('MATCH', 'MISMATCH', 'UNAVAILABLE'))
);
CREATE INDEX real_name_verifications_holder_index ON real_name_verifications (tenant_id, holder_id, id);

-- One person across enterprises, by a keyed hash of the phone. Nobody reads it but the person: a tenant only adds.
-- Like the directory it is found before the tenant is known, so its key begins with the person.
CREATE TABLE persons (
    person_key bytea NOT NULL,
    tenant_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT persons_pkey PRIMARY KEY (person_key, tenant_id)
);
CREATE INDEX persons_holder_index ON persons (tenant_id, holder_id);

-- The chain over the audit log. A record is written with the change; a worker numbers and links it.
CREATE TABLE audit_waiting (
    tenant_id uuid NOT NULL,
    record_id uuid NOT NULL,
    CONSTRAINT audit_waiting_pkey PRIMARY KEY (tenant_id, record_id)
);
CREATE TABLE audit_links (
    tenant_id uuid NOT NULL,
    sequence bigint NOT NULL,
    record_id uuid NOT NULL,
    hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_links_pkey PRIMARY KEY (tenant_id, sequence),
    CONSTRAINT audit_links_record_key UNIQUE (tenant_id, record_id)
);
-- Who did it, and what was done: the two questions beside "what happened to this".
CREATE INDEX audit_records_actor_index ON audit_records (tenant_id, actor_id, id);
CREATE INDEX audit_records_action_index ON audit_records (tenant_id, action, id);
ALTER TABLE audit_records DROP CONSTRAINT audit_records_actor_kind_check;
ALTER TABLE audit_records ADD CONSTRAINT audit_records_actor_kind_check
    CHECK (actor_kind IN ('OPERATOR', 'HOLDER', 'HOUSE', 'SYSTEM', 'CLIENT', 'PARTNER'));

-- Roles. A fourth one: a partner, which sees its branches side by side, by state and in sums, never their data.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'minthouse_partner') THEN
        BEGIN
            CREATE ROLE minthouse_partner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- another database of this cluster is being migrated at the same moment
        END;
    END IF;
END $$;
GRANT USAGE ON SCHEMA public TO minthouse_partner;

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY[
        'branches', 'documents', 'qualifications', 'recovery_codes', 'invitations', 'sessions', 'refresh_tokens', 'throttles',
        'api_clients', 'api_client_secrets', 'sso_connections', 'sso_attempts', 'sso_keys', 'sso_origins', 'sso_tickets',
        'used_assertions', 'holder_identities', 'verification_codes', 'wechat_apps', 'real_name_verifications', 'persons',
        'audit_waiting', 'audit_links'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY tenant ON %I TO minthouse_tenant'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT INSERT ON %I TO minthouse_tenant', table_name);
        -- A tenant adds to persons and does not look there.
        IF table_name <> 'persons' THEN
            EXECUTE format('GRANT SELECT ON %I TO minthouse_tenant', table_name);
        END IF;
    END LOOP;
    FOREACH table_name IN ARRAY ARRAY[
        'documents', 'qualifications', 'recovery_codes', 'invitations', 'sessions', 'refresh_tokens', 'throttles',
        'api_clients', 'api_client_secrets', 'sso_connections', 'sso_attempts', 'sso_keys', 'sso_origins', 'sso_tickets',
        'holder_identities', 'verification_codes', 'wechat_apps'
    ] LOOP
        EXECUTE format('GRANT UPDATE ON %I TO minthouse_tenant', table_name);
    END LOOP;
    -- What is of no use any more is swept; a record leaves the waiting list when it is linked; who is erased leaves
    -- no identity behind.
    FOREACH table_name IN ARRAY ARRAY[
        'audit_waiting', 'recovery_codes', 'refresh_tokens', 'throttles', 'sso_attempts', 'sso_tickets', 'used_assertions',
        'holder_identities', 'verification_codes', 'persons', 'documents'
    ] LOOP
        EXECUTE format('GRANT DELETE ON %I TO minthouse_tenant', table_name);
    END LOOP;
    -- A DELETE must find its rows.
    GRANT SELECT (tenant_id, holder_id) ON persons TO minthouse_tenant;

    FOREACH table_name IN ARRAY ARRAY['real_name_verifications'] LOOP
        EXECUTE format('CREATE POLICY holder ON %I FOR SELECT TO minthouse_holder'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid'
            ' AND holder_id = current_setting(''app.holder_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT ON %I TO minthouse_holder', table_name);
    END LOOP;
    -- The holder's own sessions.
    CREATE POLICY holder ON sessions FOR SELECT TO minthouse_holder
        USING (tenant_id = current_setting('app.tenant_id')::uuid AND subject_id = current_setting('app.holder_id')::uuid);
    GRANT SELECT ON sessions TO minthouse_holder;
    -- The person across enterprises: one setting of its own, and this table alone.
    CREATE POLICY person ON persons FOR SELECT TO minthouse_holder
        USING (person_key = decode(current_setting('app.person_key'), 'hex'));
    GRANT SELECT ON persons TO minthouse_holder;

    -- The house: where work is due.
    FOREACH table_name IN ARRAY ARRAY['audit_waiting', 'qualifications', 'branches', 'refresh_tokens', 'throttles', 'sso_attempts',
        'sso_tickets', 'used_assertions', 'verification_codes', 'idempotency_keys', 'data_keys', 'documents'] LOOP
        EXECUTE format('CREATE POLICY house ON %I FOR SELECT TO minthouse_house USING (true)', table_name);
    END LOOP;
    GRANT SELECT ON audit_waiting, branches TO minthouse_house;
    GRANT SELECT (tenant_id, state, expires_at) ON qualifications TO minthouse_house;
    GRANT SELECT (tenant_id, created_at) ON refresh_tokens, idempotency_keys TO minthouse_house;
    GRANT SELECT (tenant_id, version) ON data_keys TO minthouse_house;
    GRANT SELECT (tenant_id, state, created_at) ON documents TO minthouse_house;
    GRANT SELECT (tenant_id, last_at) ON throttles TO minthouse_house;
    GRANT SELECT (tenant_id, expires_at) ON sso_attempts, sso_tickets, used_assertions, verification_codes TO minthouse_house;

    -- A partner: rows of the branches that its transaction names. Which those may be stands in `branches`, its own.
    FOREACH table_name IN ARRAY ARRAY['enterprises', 'holders', 'items', 'orders', 'activities', 'collectibles'] LOOP
        EXECUTE format('CREATE POLICY partner ON %I FOR SELECT TO minthouse_partner'
            ' USING (tenant_id = ANY (current_setting(''app.branches'')::uuid[]))', table_name);
    END LOOP;
    GRANT SELECT ON enterprises TO minthouse_partner;
    GRANT SELECT (tenant_id, id, erased_at) ON holders TO minthouse_partner;
    GRANT SELECT (tenant_id, id, holder_id) ON items TO minthouse_partner;
    GRANT SELECT (tenant_id, id, state, total_minor, currency) ON orders TO minthouse_partner;
    GRANT SELECT (tenant_id, id, state, kind, opens_at, closes_at) ON activities TO minthouse_partner;
    GRANT SELECT (tenant_id, id, state) ON collectibles TO minthouse_partner;
END $$;

-- Columns that a holder may read of their own row have grown; what is sealed stays out of it.
REVOKE SELECT ON holders FROM minthouse_holder;
GRANT SELECT (tenant_id, id, phone_masked, nickname, name_masked, id_number_masked, verified_at, erased_at, version, created_at)
    ON holders TO minthouse_holder;
