DROP TABLE manifest_entries;
DROP TABLE reviews;
DROP TABLE audit_records;
DROP TABLE idempotency_keys;
DROP TABLE data_keys;
DROP TABLE operators;
DROP TABLE directory_entries;
DROP TABLE enterprises;
