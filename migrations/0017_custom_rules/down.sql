-- Draws that an endpoint has ruled on can no longer be made again from their records.

UPDATE chance_entries SET reason = 'GRANTED' WHERE reason = 'ENDPOINT';
ALTER TABLE chance_entries DROP CONSTRAINT chance_entries_reason_check;
ALTER TABLE chance_entries ADD CONSTRAINT chance_entries_reason_check
    CHECK (reason IN ('JOINED', 'DAILY', 'FOLLOWED', 'CODE_ENTERED', 'SHARED', 'GRANTED', 'DRAWN'));
ALTER TABLE draws DROP COLUMN ruling;
DROP TABLE consultations;
DROP TABLE activity_custom_rules;
DROP TABLE custom_rules;
