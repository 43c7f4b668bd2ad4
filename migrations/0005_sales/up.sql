-- First-hand sale: merchants, domains, offers, orders and their payments.

CREATE TABLE merchants (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    channel text NOT NULL,
    merchant_number text NOT NULL,
    state text NOT NULL DEFAULT 'PENDING',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT merchants_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT merchants_number_key UNIQUE (tenant_id, channel, merchant_number),
    CONSTRAINT merchants_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT merchants_channel_check CHECK (channel IN ('SANDBOX')),
    CONSTRAINT merchants_state_check CHECK (state IN ('PENDING', 'VERIFIED', 'ACTIVE', 'FAILED'))
);

CREATE TABLE domains (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    host text NOT NULL,
    filing_number text NOT NULL,
    verification_token text NOT NULL,
    state text NOT NULL DEFAULT 'PENDING',
    -- What the last check found wrong.
    failure text,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT domains_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT domains_host_key UNIQUE (tenant_id, host),
    CONSTRAINT domains_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT domains_state_check CHECK (state IN ('PENDING', 'VERIFIED', 'ACTIVE', 'FAILED')),
    CONSTRAINT domains_failure_check CHECK ((state = 'FAILED') = (failure IS NOT NULL)),
    CONSTRAINT domains_failure_word_check CHECK (failure IN ('UNREACHABLE', 'PRIVATE_ADDRESS', 'NOT_FOUND', 'WRONG_CONTENT'))
);

-- What an activity of kind SALE sells. Prices are in minor units (fen).
CREATE TABLE offers (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    activity_id uuid NOT NULL,
    collectible_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    position integer NOT NULL,
    price_minor bigint NOT NULL,
    currency text NOT NULL DEFAULT 'CNY',
    quantity integer NOT NULL,
    limit_per_holder integer NOT NULL,
    allotment_id uuid,
    CONSTRAINT offers_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT offers_position_key UNIQUE (tenant_id, activity_id, position),
    CONSTRAINT offers_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id),
    CONSTRAINT offers_collectible_fkey FOREIGN KEY (tenant_id, collectible_id) REFERENCES collectibles (tenant_id, id),
    CONSTRAINT offers_merchant_fkey FOREIGN KEY (tenant_id, merchant_id) REFERENCES merchants (tenant_id, id),
    CONSTRAINT offers_allotment_fkey FOREIGN KEY (tenant_id, allotment_id) REFERENCES allotments (tenant_id, id),
    CONSTRAINT offers_price_check CHECK (price_minor BETWEEN 1 AND 100000000),
    CONSTRAINT offers_quantity_check CHECK (quantity >= 1),
    CONSTRAINT offers_limit_check CHECK (limit_per_holder BETWEEN 1 AND 1000),
    CONSTRAINT offers_currency_check CHECK (currency IN ('CNY'))
);
CREATE INDEX offers_collectible_index ON offers (tenant_id, collectible_id);
CREATE INDEX offers_merchant_index ON offers (tenant_id, merchant_id);
CREATE INDEX offers_allotment_index ON offers (tenant_id, allotment_id);

-- What a holder has bought or reserved of an offer: the limit is held here, under this row's lock.
CREATE TABLE purchase_tallies (
    tenant_id uuid NOT NULL,
    offer_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    quantity integer NOT NULL,
    CONSTRAINT purchase_tallies_pkey PRIMARY KEY (tenant_id, offer_id, holder_id),
    CONSTRAINT purchase_tallies_offer_fkey FOREIGN KEY (tenant_id, offer_id) REFERENCES offers (tenant_id, id),
    CONSTRAINT purchase_tallies_quantity_check CHECK (quantity >= 0)
);

CREATE TABLE orders (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    number text NOT NULL,
    activity_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    state text NOT NULL,
    total_minor bigint NOT NULL,
    currency text NOT NULL,
    undelivered integer NOT NULL,
    expires_at timestamptz NOT NULL,
    paid_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT orders_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT orders_number_key UNIQUE (tenant_id, number),
    CONSTRAINT orders_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id),
    CONSTRAINT orders_merchant_fkey FOREIGN KEY (tenant_id, merchant_id) REFERENCES merchants (tenant_id, id),
    CONSTRAINT orders_total_check CHECK (total_minor > 0),
    CONSTRAINT orders_undelivered_check CHECK (undelivered >= 0),
    CONSTRAINT orders_state_check CHECK (state IN ('CREATED', 'PENDING_PAYMENT', 'PAID', 'FULFILLING', 'COMPLETED',
        'CANCELLED', 'EXPIRED', 'REFUNDING', 'REFUNDED', 'PARTIALLY_REFUNDED', 'REFUND_FAILED'))
);
CREATE INDEX orders_activity_index ON orders (tenant_id, activity_id, id);
CREATE INDEX orders_merchant_index ON orders (tenant_id, merchant_id, id);
CREATE INDEX orders_holder_index ON orders (tenant_id, holder_id, id);
CREATE INDEX orders_state_index ON orders (tenant_id, state, id);
CREATE INDEX orders_expiry_index ON orders (tenant_id, expires_at) WHERE state = 'PENDING_PAYMENT';

CREATE TABLE order_lines (
    tenant_id uuid NOT NULL,
    order_id uuid NOT NULL,
    position integer NOT NULL,
    -- The order's holder, repeated: the holder's wall must not look into another table.
    holder_id uuid NOT NULL,
    offer_id uuid NOT NULL,
    collectible_id uuid NOT NULL,
    quantity integer NOT NULL,
    unit_price_minor bigint NOT NULL,
    -- The first of the line's serial numbers, which follow one another. Null until the order is paid.
    first_serial integer,
    CONSTRAINT order_lines_pkey PRIMARY KEY (tenant_id, order_id, position),
    CONSTRAINT order_lines_order_fkey FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id),
    CONSTRAINT order_lines_offer_fkey FOREIGN KEY (tenant_id, offer_id) REFERENCES offers (tenant_id, id),
    CONSTRAINT order_lines_collectible_fkey FOREIGN KEY (tenant_id, collectible_id) REFERENCES collectibles (tenant_id, id),
    CONSTRAINT order_lines_quantity_check CHECK (quantity BETWEEN 1 AND 1000),
    CONSTRAINT order_lines_price_check CHECK (unit_price_minor > 0)
);
CREATE INDEX order_lines_offer_index ON order_lines (tenant_id, offer_id);
CREATE INDEX order_lines_collectible_index ON order_lines (tenant_id, collectible_id);

CREATE TABLE payments (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    -- The order's holder, repeated, as in order_lines.
    holder_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    channel text NOT NULL,
    channel_transaction_id text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    state text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payments_pkey PRIMARY KEY (tenant_id, id),
    -- A channel tells of one payment more than once; the second telling meets this key.
    CONSTRAINT payments_channel_transaction_key UNIQUE (tenant_id, channel, channel_transaction_id),
    CONSTRAINT payments_order_fkey FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id),
    CONSTRAINT payments_merchant_fkey FOREIGN KEY (tenant_id, merchant_id) REFERENCES merchants (tenant_id, id),
    CONSTRAINT payments_channel_check CHECK (channel IN ('SANDBOX')),
    CONSTRAINT payments_state_check CHECK (state IN ('SUCCEEDED', 'REFUND_DUE')),
    CONSTRAINT payments_amount_check CHECK (amount_minor > 0)
);
CREATE INDEX payments_order_index ON payments (tenant_id, order_id);
CREATE INDEX payments_merchant_index ON payments (tenant_id, merchant_id);
