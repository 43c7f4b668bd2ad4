-- Enterprises, the people who work for them, and what stands across tenants.

CREATE TABLE enterprises (
    tenant_id uuid NOT NULL,
    slug text NOT NULL,
    name_chinese text NOT NULL,
    name_english text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT enterprises_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT enterprises_kind_check CHECK (kind IN ('HOUSE', 'STANDARD', 'PLATFORM')),
    CONSTRAINT enterprises_state_check CHECK (state IN ('PENDING', 'ACTIVE', 'SUSPENDED', 'CLOSED'))
);

-- What must be unique across all tenants is claimed here: a row is found before the tenant is known.
CREATE TABLE directory_entries (
    kind text NOT NULL,
    key text NOT NULL,
    tenant_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT directory_entries_pkey PRIMARY KEY (kind, key),
    CONSTRAINT directory_entries_kind_check CHECK (kind IN ('SLUG', 'SIGN_IN', 'HOST'))
);
CREATE INDEX directory_entries_tenant_index ON directory_entries (tenant_id, kind);

CREATE TABLE operators (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    sign_in text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    password_hash text NOT NULL,
    state text NOT NULL DEFAULT 'ACTIVE',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT operators_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT operators_sign_in_key UNIQUE (tenant_id, sign_in),
    CONSTRAINT operators_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT operators_role_check CHECK (role IN ('OWNER', 'ADMIN', 'OPERATOR', 'FINANCE', 'AUDITOR')),
    CONSTRAINT operators_state_check CHECK (state IN ('ACTIVE', 'DISABLED'))
);

-- One data key a tenant and version, wrapped by the master key: personal data is sealed under it.
CREATE TABLE data_keys (
    tenant_id uuid NOT NULL,
    version integer NOT NULL,
    wrapped_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT data_keys_pkey PRIMARY KEY (tenant_id, version),
    CONSTRAINT data_keys_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id)
);

CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL,
    principal uuid NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    input_hash bytea NOT NULL,
    result json,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, principal, operation, key)
);
CREATE INDEX idempotency_keys_age_index ON idempotency_keys (tenant_id, created_at);

-- Append-only: the server's roles may insert and read, never update or delete.
CREATE TABLE audit_records (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid NOT NULL,
    action text NOT NULL,
    subject_id uuid NOT NULL,
    before_digest bytea,
    after_digest bytea NOT NULL,
    request_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_records_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT audit_records_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT audit_records_actor_kind_check CHECK (actor_kind IN ('OPERATOR', 'HOLDER', 'HOUSE', 'SYSTEM'))
);
CREATE INDEX audit_records_subject_index ON audit_records (tenant_id, subject_id, id);

-- What the house has to look at before it goes live.
CREATE TABLE reviews (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'PENDING',
    remark text,
    reviewer_id uuid,
    submitted_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    CONSTRAINT reviews_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT reviews_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT reviews_subject_kind_check CHECK (subject_kind IN ('COLLECTIBLE', 'ACTIVITY')),
    CONSTRAINT reviews_state_check CHECK (state IN ('PENDING', 'APPROVED', 'REJECTED')),
    CONSTRAINT reviews_decision_check CHECK ((state = 'PENDING') = (decided_at IS NULL))
);
-- One open review a subject.
CREATE UNIQUE INDEX reviews_open_index ON reviews (tenant_id, subject_id) WHERE state = 'PENDING';
CREATE INDEX reviews_state_index ON reviews (tenant_id, state, id);

-- What a tenant manifest has made, so that applying it again changes nothing.
CREATE TABLE manifest_entries (
    tenant_id uuid NOT NULL,
    key text NOT NULL,
    subject_id uuid NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT manifest_entries_pkey PRIMARY KEY (tenant_id, key),
    CONSTRAINT manifest_entries_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id)
);
