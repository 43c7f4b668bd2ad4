-- Prizes are collectibles alone, and every win is awarded at once. Prizes of other kinds, what people are owed of them,
-- and their stock are gone; points that were won are kept as if the enterprise had given them.

UPDATE point_entries SET reason = 'ADJUSTED', reference = 'won-' || id WHERE reason = 'WON';
ALTER TABLE point_entries DROP CONSTRAINT point_entries_reason_check;
ALTER TABLE point_entries ADD CONSTRAINT point_entries_reason_check CHECK (reason IN ('ADJUSTED', 'DRAWN'));

DROP TABLE published_claim_codes;
DROP TABLE prize_claim_codes;

DROP INDEX claims_piece_key;
DELETE FROM claims WHERE kind <> 'COLLECTIBLE';
ALTER TABLE claims DROP CONSTRAINT claims_delivering_check;
ALTER TABLE claims DROP CONSTRAINT claims_transfer_check;
ALTER TABLE claims ADD CONSTRAINT claims_transfer_check CHECK ((state IN ('DELIVERING', 'DELIVERED')) = (transfer_id IS NOT NULL));
ALTER TABLE claims DROP CONSTRAINT claims_collectible_check;
ALTER TABLE claims DROP CONSTRAINT claims_kind_check;
ALTER TABLE claims DROP CONSTRAINT claims_deadline_check;
ALTER TABLE claims DROP CONSTRAINT claims_state_check;
UPDATE claims SET state = 'PENDING', deadline = now() + interval '30 days' WHERE state = 'IN_REVIEW';
UPDATE claims SET deadline = updated_at WHERE deadline IS NULL;
ALTER TABLE claims ADD CONSTRAINT claims_state_check
    CHECK (state IN ('PENDING', 'CLAIMED', 'DELIVERING', 'DELIVERED', 'EXPIRED', 'REVOKED'));
ALTER TABLE claims ALTER COLUMN deadline SET NOT NULL;
ALTER TABLE claims DROP COLUMN taken_at;
ALTER TABLE claims DROP COLUMN remark;
ALTER TABLE claims DROP COLUMN delivery_reference;
ALTER TABLE claims DROP COLUMN reference;
ALTER TABLE claims DROP COLUMN kind;
ALTER TABLE claims ALTER COLUMN collectible_id SET NOT NULL;

DELETE FROM stock_entries AS entry USING allotments AS allotment
 WHERE allotment.tenant_id = entry.tenant_id AND allotment.id = entry.allotment_id AND allotment.collectible_id IS NULL;
UPDATE stock_entries SET reason = 'EXPIRED' WHERE reason = 'REVOKED';
ALTER TABLE stock_entries DROP CONSTRAINT stock_entries_reason_check;
ALTER TABLE stock_entries ADD CONSTRAINT stock_entries_reason_check
    CHECK (reason IN ('ALLOTTED', 'WON', 'AIRDROPPED', 'RESERVED', 'RELEASED', 'DELIVERED', 'EXPIRED'));
DELETE FROM prize_lots WHERE collectible_id IS NULL;
ALTER TABLE prize_lots ALTER COLUMN collectible_id SET NOT NULL;
DELETE FROM allotments WHERE collectible_id IS NULL;
ALTER TABLE allotments ALTER COLUMN collectible_id SET NOT NULL;

DELETE FROM airdrops AS airdrop USING prizes AS prize
 WHERE prize.tenant_id = airdrop.tenant_id AND prize.id = airdrop.prize_id AND prize.kind <> 'COLLECTIBLE';
DELETE FROM prizes WHERE kind <> 'COLLECTIBLE';
ALTER TABLE prizes DROP CONSTRAINT prizes_nothing_check;
ALTER TABLE prizes DROP CONSTRAINT prizes_reference_check;
ALTER TABLE prizes DROP CONSTRAINT prizes_points_check;
ALTER TABLE prizes DROP CONSTRAINT prizes_kind_check;
ALTER TABLE prizes DROP COLUMN reviewed;
ALTER TABLE prizes DROP COLUMN instructions_english;
ALTER TABLE prizes DROP COLUMN instructions_chinese;
ALTER TABLE prizes DROP COLUMN reference;
ALTER TABLE prizes DROP COLUMN points;
ALTER TABLE prizes DROP COLUMN kind;
