-- Points, tasks, codes, lists and rules are gone; the ledger of chances keeps their lines as grants.

DROP TABLE draw_codes;
DROP TABLE draw_code_batches;
DROP TABLE task_completions;
DROP TABLE activity_tasks;
DROP TABLE point_entries;
DROP TABLE point_accounts;
DROP TABLE draw_origins;
DROP TABLE blocked_phones;
DROP TABLE participation_phones;
DROP TABLE participation_tags;
DROP TABLE participation_rules;

UPDATE chance_entries SET reason = 'GRANTED' WHERE reason IN ('DAILY', 'FOLLOWED', 'CODE_ENTERED', 'SHARED');
ALTER TABLE chance_entries DROP CONSTRAINT chance_entries_reason_check;
ALTER TABLE chance_entries ADD CONSTRAINT chance_entries_reason_check CHECK (reason IN ('JOINED', 'GRANTED', 'DRAWN'));
DROP INDEX chance_entries_holder_index;
CREATE INDEX chance_entries_participant_index ON chance_entries (tenant_id, activity_id, holder_id, id);
ALTER TABLE participants DROP COLUMN day_free;
REVOKE SELECT (daily_chances) ON activities FROM minthouse_holder;
ALTER TABLE activities DROP CONSTRAINT activities_daily_chances_check;
ALTER TABLE activities DROP COLUMN daily_chances;
