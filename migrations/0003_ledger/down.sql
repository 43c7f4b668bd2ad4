DROP TABLE ledger_operations;
DROP TABLE ledger_blocks;
