DELETE FROM reviews WHERE subject_kind = 'MEDIA';
ALTER TABLE reviews DROP CONSTRAINT reviews_subject_kind_check;
ALTER TABLE reviews ADD CONSTRAINT reviews_subject_kind_check
    CHECK (subject_kind IN ('COLLECTIBLE', 'ACTIVITY', 'ENTERPRISE', 'QUALIFICATION'));
REVOKE DELETE ON collectibles, collectible_stocks FROM minthouse_tenant;
DROP TABLE series_changes;
DROP TABLE collectible_changes;
ALTER TABLE collectibles DROP COLUMN attributes;
ALTER TABLE collectibles DROP COLUMN metadata;
ALTER TABLE collectibles DROP COLUMN flag;
ALTER TABLE collectibles DROP COLUMN filing_number;
ALTER TABLE collectibles DROP COLUMN copyright_proof_id;
ALTER TABLE collectibles DROP CONSTRAINT collectibles_media_sm3_check;
ALTER TABLE collectibles DROP COLUMN media_sm3;
ALTER TABLE collectibles DROP COLUMN media_id;
ALTER TABLE collectibles DROP COLUMN cover_id;
ALTER TABLE series DROP COLUMN cover_id;
DROP TABLE media;
