-- Events: written beside the change they tell of, then published in a gap-free order a tenant.

CREATE TABLE outbox (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    subject_id uuid NOT NULL,
    subject_version integer NOT NULL,
    data json NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT outbox_pkey PRIMARY KEY (tenant_id, id)
);

-- The lock on this row is the tenant's turn to publish.
CREATE TABLE event_sequences (
    tenant_id uuid NOT NULL,
    last_sequence bigint NOT NULL DEFAULT 0,
    CONSTRAINT event_sequences_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT event_sequences_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id)
);

-- Append-only, a partition a month by the time inside the UUIDv7.
CREATE TABLE events (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    sequence bigint NOT NULL,
    type text NOT NULL,
    subject_id uuid NOT NULL,
    subject_version integer NOT NULL,
    data json NOT NULL,
    occurred_at timestamptz NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT events_pkey PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX events_sequence_index ON events (tenant_id, sequence);
CREATE INDEX events_subject_index ON events (tenant_id, subject_id, sequence);
