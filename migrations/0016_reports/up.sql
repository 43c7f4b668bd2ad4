-- What an activity came to, counted as it happens: by minutes and by hours, so that a report over a year reads hours.

-- What is counted is written in the same transaction. Draws are counted under their lane's lock in shard 0. Views and
-- claims come in many transactions at once, and in the shards above it: a reader adds them up.
CREATE TABLE activity_counts (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    span text NOT NULL,
    starts_at timestamptz NOT NULL,
    shard integer NOT NULL,
    views bigint NOT NULL,
    -- Their first view of the activity, their first draw in it.
    viewers bigint NOT NULL,
    participants bigint NOT NULL,
    draws bigint NOT NULL,
    wins bigint NOT NULL,
    claims bigint NOT NULL,
    CONSTRAINT activity_counts_pkey PRIMARY KEY (tenant_id, activity_id, span, starts_at, shard),
    CONSTRAINT activity_counts_activity_fkey FOREIGN KEY (tenant_id, activity_id) REFERENCES activities (tenant_id, id),
    CONSTRAINT activity_counts_span_check CHECK (span IN ('MINUTE', 'HOUR')),
    CONSTRAINT activity_counts_shard_check CHECK (shard >= 0),
    CONSTRAINT activity_counts_people_check CHECK (viewers BETWEEN 0 AND views AND participants BETWEEN 0 AND draws),
    CONSTRAINT activity_counts_wins_check CHECK (wins BETWEEN 0 AND draws),
    CONSTRAINT activity_counts_claims_check CHECK (claims >= 0)
) WITH (fillfactor = 50);

-- Who has looked at an activity, and when last: within one minute a person is counted once. Hot, so without foreign keys:
-- the transaction that writes a row has read the activity, and a holder's token has named the holder.
CREATE TABLE activity_viewers (
    tenant_id uuid NOT NULL,
    activity_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    minute timestamptz NOT NULL,
    views bigint NOT NULL,
    CONSTRAINT activity_viewers_pkey PRIMARY KEY (tenant_id, activity_id, holder_id),
    CONSTRAINT activity_viewers_views_check CHECK (views >= 1)
) WITH (fillfactor = 80);

-- What there is so far. IDs rise along an activity's draws; a claim is taken up in the transaction that asks for its transfer.
INSERT INTO activity_counts (tenant_id, activity_id, span, starts_at, shard, views, viewers, participants, draws, wins, claims)
SELECT tenant_id, activity_id, span, date_trunc(span, at, 'UTC'), 0, 0, 0,
       sum(participants), sum(draws), sum(wins), sum(claims)
  FROM (SELECT tenant_id, activity_id, created_at AS at,
               (row_number() OVER (PARTITION BY tenant_id, activity_id, holder_id ORDER BY id) = 1)::integer AS participants,
               1 AS draws, (awarded_prize_id IS NOT NULL)::integer AS wins, 0 AS claims
          FROM draws
        UNION ALL
        SELECT claim.tenant_id, claim.activity_id, coalesce(transfer.created_at, claim.updated_at), 0, 0, 0, 1
          FROM claims AS claim
          LEFT JOIN transfers AS transfer ON transfer.tenant_id = claim.tenant_id AND transfer.id = claim.transfer_id
         WHERE claim.state IN ('CLAIMED', 'DELIVERING', 'DELIVERED')) AS happened
 CROSS JOIN (VALUES ('MINUTE'), ('HOUR')) AS spans (span)
 GROUP BY 1, 2, 3, 4;

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['activity_counts', 'activity_viewers'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY tenant ON %I TO minthouse_tenant'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO minthouse_tenant', table_name);
    END LOOP;
END $$;
GRANT UPDATE (views, viewers, participants, draws, wins, claims) ON activity_counts TO minthouse_tenant;
GRANT UPDATE (minute, views) ON activity_viewers TO minthouse_tenant;
