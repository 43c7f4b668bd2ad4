DROP TABLE transfers;
DROP TABLE items;
ALTER TABLE purchase_tallies DROP CONSTRAINT purchase_tallies_holder_fkey;
DROP INDEX purchase_tallies_holder_index;
ALTER TABLE orders DROP CONSTRAINT orders_holder_fkey;
ALTER TABLE claims DROP CONSTRAINT claims_holder_fkey;
ALTER TABLE participants DROP CONSTRAINT participants_holder_fkey;
DROP TABLE holders;
