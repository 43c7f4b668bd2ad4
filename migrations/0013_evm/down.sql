DROP TABLE evm_accounts;
DROP TABLE evm_attempts;
DROP TABLE evm_transactions;
DROP TABLE evm_operations;
