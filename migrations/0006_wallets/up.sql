-- Holders, the items they hold, and what moves an item.

CREATE TABLE holders (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    phone_hash bytea NOT NULL,
    phone_sealed bytea NOT NULL,
    phone_masked text NOT NULL,
    nickname text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT holders_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT holders_phone_key UNIQUE (tenant_id, phone_hash),
    CONSTRAINT holders_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id)
);

ALTER TABLE participants ADD CONSTRAINT participants_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id);
ALTER TABLE claims ADD CONSTRAINT claims_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id);
ALTER TABLE orders ADD CONSTRAINT orders_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id);
ALTER TABLE purchase_tallies ADD CONSTRAINT purchase_tallies_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id);
CREATE INDEX purchase_tallies_holder_index ON purchase_tallies (tenant_id, holder_id);

-- One row a numbered piece, from its issuance on. Without a holder it lies in the enterprise's treasury.
CREATE TABLE items (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    collectible_id uuid NOT NULL,
    serial integer NOT NULL,
    holder_id uuid,
    acquired_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT items_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT items_serial_key UNIQUE (tenant_id, collectible_id, serial),
    CONSTRAINT items_collectible_fkey FOREIGN KEY (tenant_id, collectible_id) REFERENCES collectibles (tenant_id, id),
    CONSTRAINT items_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id),
    CONSTRAINT items_acquired_check CHECK ((holder_id IS NULL) = (acquired_at IS NULL))
);
CREATE INDEX items_holder_index ON items (tenant_id, holder_id, id);
-- What has been given out, without wading through the treasury.
CREATE INDEX items_held_index ON items (tenant_id, id) WHERE holder_id IS NOT NULL;
CREATE INDEX items_held_collectible_index ON items (tenant_id, collectible_id, id) WHERE holder_id IS NOT NULL;

CREATE TABLE transfers (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    item_id uuid NOT NULL,
    from_holder_id uuid,
    to_holder_id uuid NOT NULL,
    cause text NOT NULL,
    cause_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'REQUESTED',
    failure text,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT transfers_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT transfers_item_fkey FOREIGN KEY (tenant_id, item_id) REFERENCES items (tenant_id, id),
    CONSTRAINT transfers_from_fkey FOREIGN KEY (tenant_id, from_holder_id) REFERENCES holders (tenant_id, id),
    CONSTRAINT transfers_to_fkey FOREIGN KEY (tenant_id, to_holder_id) REFERENCES holders (tenant_id, id),
    CONSTRAINT transfers_sides_check CHECK (from_holder_id IS DISTINCT FROM to_holder_id),
    CONSTRAINT transfers_cause_check CHECK (cause IN ('CLAIM', 'ORDER', 'GIFT')),
    CONSTRAINT transfers_state_check CHECK (state IN ('REQUESTED', 'LOCKED', 'SUBMITTED', 'CONFIRMED', 'SUCCEEDED',
        'FAILED', 'UNKNOWN', 'CANCELLED'))
) WITH (fillfactor = 70);
-- One open transfer an item.
CREATE UNIQUE INDEX transfers_open_index ON transfers (tenant_id, item_id)
    WHERE state IN ('REQUESTED', 'LOCKED', 'SUBMITTED', 'CONFIRMED', 'UNKNOWN');
CREATE INDEX transfers_item_index ON transfers (tenant_id, item_id, id);
CREATE INDEX transfers_from_index ON transfers (tenant_id, from_holder_id, id);
CREATE INDEX transfers_to_index ON transfers (tenant_id, to_holder_id, id);
CREATE INDEX transfers_due_index ON transfers (tenant_id, due_at)
    WHERE state IN ('REQUESTED', 'LOCKED', 'SUBMITTED', 'CONFIRMED', 'UNKNOWN');
