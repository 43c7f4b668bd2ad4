-- Media: files by their content, what moderation says of them, and what of the catalogue they belong to. And what has
-- been changed of series and collectibles, field by field.

CREATE TABLE media (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    file_name text NOT NULL,
    -- What was announced, and then what its bytes were found to be.
    media_type text NOT NULL,
    size bigint NOT NULL,
    sha256 bytea,
    sm3 bytea,
    width integer,
    height integer,
    state text NOT NULL DEFAULT 'AWAITED',
    -- Where the same bytes came before: the medium that counts.
    same_as uuid,
    moderation text NOT NULL DEFAULT 'PENDING',
    moderation_remark text,
    thumbnail text NOT NULL DEFAULT 'NONE',
    -- Since when everybody may see it: since something that shows it was approved.
    published_at timestamptz,
    -- How often it was taken up to be looked at, and when it may be next.
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT media_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT media_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES enterprises (tenant_id),
    CONSTRAINT media_size_check CHECK (size > 0),
    CONSTRAINT media_state_check CHECK (state IN ('AWAITED', 'STORED', 'SAME')),
    CONSTRAINT media_stored_check CHECK (state <> 'STORED' OR (sha256 IS NOT NULL AND sm3 IS NOT NULL)),
    CONSTRAINT media_same_check CHECK ((state = 'SAME') = (same_as IS NOT NULL)),
    CONSTRAINT media_moderation_check CHECK (moderation IN ('PENDING', 'PASS', 'REVIEW', 'BLOCK')),
    CONSTRAINT media_thumbnail_check CHECK (thumbnail IN ('NONE', 'DUE', 'JPEG', 'PNG', 'FAILED')),
    CONSTRAINT media_published_check CHECK (published_at IS NULL OR state = 'STORED')
);
-- The same bytes are one medium of an enterprise's; of two enterprises', they are two that know nothing of each other.
CREATE UNIQUE INDEX media_content_index ON media (tenant_id, sha256) WHERE state = 'STORED';
-- Serves the job that looks at what has come in.
CREATE INDEX media_due_index ON media (tenant_id, due_at) WHERE state = 'STORED' AND (moderation = 'PENDING' OR thumbnail = 'DUE');
CREATE INDEX media_unfinished_index ON media (tenant_id, created_at) WHERE state <> 'STORED';

ALTER TABLE series ADD COLUMN cover_id uuid;
ALTER TABLE series ADD CONSTRAINT series_cover_fkey FOREIGN KEY (tenant_id, cover_id) REFERENCES media (tenant_id, id);
CREATE INDEX series_cover_index ON series (tenant_id, cover_id);

ALTER TABLE collectibles ADD COLUMN cover_id uuid;
ALTER TABLE collectibles ADD COLUMN media_id uuid;
-- SM3 of the main medium, as it was approved.
ALTER TABLE collectibles ADD COLUMN media_sm3 bytea;
ALTER TABLE collectibles ADD COLUMN copyright_proof_id uuid;
ALTER TABLE collectibles ADD COLUMN filing_number text NOT NULL DEFAULT '';
ALTER TABLE collectibles ADD COLUMN flag text NOT NULL DEFAULT '';
ALTER TABLE collectibles ADD COLUMN metadata text NOT NULL DEFAULT '';
-- Names and values in their order.
ALTER TABLE collectibles ADD COLUMN attributes json NOT NULL DEFAULT '[]';
ALTER TABLE collectibles ADD CONSTRAINT collectibles_cover_fkey FOREIGN KEY (tenant_id, cover_id) REFERENCES media (tenant_id, id);
ALTER TABLE collectibles ADD CONSTRAINT collectibles_media_fkey FOREIGN KEY (tenant_id, media_id) REFERENCES media (tenant_id, id);
ALTER TABLE collectibles ADD CONSTRAINT collectibles_copyright_proof_fkey
    FOREIGN KEY (tenant_id, copyright_proof_id) REFERENCES documents (tenant_id, id);
ALTER TABLE collectibles ADD CONSTRAINT collectibles_media_sm3_check CHECK (media_sm3 IS NULL OR media_id IS NOT NULL);
CREATE INDEX collectibles_cover_index ON collectibles (tenant_id, cover_id);
CREATE INDEX collectibles_media_index ON collectibles (tenant_id, media_id);
CREATE INDEX collectibles_copyright_proof_index ON collectibles (tenant_id, copyright_proof_id);

-- Append-only. No foreign keys: what was changed of a draft outlives the draft.
CREATE TABLE collectible_changes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    collectible_id uuid NOT NULL,
    version integer NOT NULL,
    action text NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid NOT NULL,
    fields json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT collectible_changes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT collectible_changes_version_key UNIQUE (tenant_id, collectible_id, version)
);
CREATE INDEX collectible_changes_collectible_index ON collectible_changes (tenant_id, collectible_id, id);
CREATE TABLE series_changes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    series_id uuid NOT NULL,
    version integer NOT NULL,
    action text NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid NOT NULL,
    fields json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT series_changes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT series_changes_version_key UNIQUE (tenant_id, series_id, version)
);
CREATE INDEX series_changes_series_index ON series_changes (tenant_id, series_id, id);

-- What moderation is unsure of waits in the house's queue with everything else.
ALTER TABLE reviews DROP CONSTRAINT reviews_subject_kind_check;
ALTER TABLE reviews ADD CONSTRAINT reviews_subject_kind_check
    CHECK (subject_kind IN ('COLLECTIBLE', 'ACTIVITY', 'ENTERPRISE', 'QUALIFICATION', 'MEDIA'));

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['media', 'collectible_changes', 'series_changes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('CREATE POLICY tenant ON %I TO minthouse_tenant'
            ' USING (tenant_id = current_setting(''app.tenant_id'')::uuid)'
            ' WITH CHECK (tenant_id = current_setting(''app.tenant_id'')::uuid)', table_name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO minthouse_tenant', table_name);
    END LOOP;
END $$;
GRANT UPDATE, DELETE ON media TO minthouse_tenant;
-- A draft that nobody but its enterprise has seen may go. Everything that leads on from a collectible refers to it by
-- foreign keys, so that no other can.
GRANT DELETE ON collectibles, collectible_stocks TO minthouse_tenant;
CREATE POLICY holder ON media FOR SELECT TO minthouse_holder
    USING (tenant_id = current_setting('app.tenant_id')::uuid AND published_at IS NOT NULL AND moderation = 'PASS');
GRANT SELECT ON media TO minthouse_holder;
-- The house: where work is due.
CREATE POLICY house ON media FOR SELECT TO minthouse_house USING (true);
GRANT SELECT (tenant_id, state, moderation, thumbnail, due_at, created_at) ON media TO minthouse_house;
