//! SQL over the transactions of all enterprises, which share the house's account: under the house's role, which sees
//! when and where a transaction goes and never what it is about.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use alloy::primitives::{Address, B256};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Double, Nullable, Uuid as SqlUuid};
use uuid::Uuid;

use crate::ledger::evm::fee::Fee;
use crate::ledger::evm::model::{Attempt, Mined, OpenTransaction, TransactionKey};
use crate::ledger::evm::nonce;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::HouseTx;

/// An account on a chain.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub chain: u64,
    pub address: Address,
}

/// Whether any transaction wants something done on this chain.
pub async fn has_open(tx: &HouseTx, chain: u64) -> Result<bool, Fault> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Bool)]
        found: bool,
    }
    let statement = statement(
        "SELECT EXISTS (SELECT FROM evm_transactions
                         WHERE state IN ('WAITING', 'SENT', 'MINED') AND chain_id = $1) AS found",
    )
    .bind::<BigInt, _>(chain.cast_signed());
    Ok(tx.one::<Found, _, _>(statement).await?.found)
}

/// Takes the account for a while, or says that another server has it.
pub async fn lease_in(tx: &HouseTx, account: Account, holder: Uuid, time: Duration) -> Result<bool, Fault> {
    let statement = statement(
        "INSERT INTO evm_accounts AS account (chain_id, address, lease_holder, lease_until)
         VALUES ($1, $2, $3, now() + make_interval(secs => $4))
         ON CONFLICT (chain_id, address) DO UPDATE SET lease_holder = $3, lease_until = now() + make_interval(secs => $4)
          WHERE account.lease_holder IS NULL OR account.lease_holder = $3 OR account.lease_until < now()",
    )
    .bind::<BigInt, _>(account.chain.cast_signed())
    .bind::<Binary, _>(account.address.to_vec())
    .bind::<SqlUuid, _>(holder)
    .bind::<Double, _>(time.as_secs_f64());
    Ok(tx.execute(statement).await? == 1)
}

pub async fn give_back_in(tx: &HouseTx, account: Account, holder: Uuid) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE evm_accounts SET lease_holder = NULL, lease_until = NULL
          WHERE chain_id = $1 AND address = $2 AND lease_holder = $3",
    )
    .bind::<BigInt, _>(account.chain.cast_signed())
    .bind::<Binary, _>(account.address.to_vec())
    .bind::<SqlUuid, _>(holder);
    tx.execute(statement).await.map(drop)
}

#[derive(QueryableByName)]
struct OpenRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: EnterpriseId,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Binary)]
    contract: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    gas_limit: i64,
    #[diesel(sql_type = BigInt)]
    nonce: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    block_number: Option<i64>,
    #[diesel(sql_type = Nullable<Binary>)]
    block_hash: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    transaction_hash: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Double>)]
    missing_for: Option<f64>,
}

impl OpenRow {
    fn key(&self) -> TransactionKey {
        TransactionKey { tenant: self.tenant_id, id: self.id }
    }

    fn read(self) -> Option<OpenTransaction> {
        let mined = match (self.block_number, &self.block_hash, &self.transaction_hash) {
            (Some(number), Some(block), Some(transaction)) => Some(Mined {
                block_number: number.cast_unsigned(),
                block_hash: B256::try_from(&block[..]).ok()?,
                transaction_hash: B256::try_from(&transaction[..]).ok()?,
            }),
            _ => None,
        };
        Some(OpenTransaction {
            key: self.key(),
            contract: Address::try_from(&self.contract[..]).ok()?,
            gas_limit: self.gas_limit.cast_unsigned(),
            nonce: self.nonce.cast_unsigned(),
            mined,
            missing_for: self.missing_for,
            attempts: Vec::new(),
        })
    }
}

#[derive(QueryableByName)]
struct AttemptRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: EnterpriseId,
    #[diesel(sql_type = SqlUuid)]
    transaction_id: Uuid,
    #[diesel(sql_type = Binary)]
    hash: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    max_fee: i64,
    #[diesel(sql_type = BigInt)]
    tip: i64,
    #[diesel(sql_type = Double)]
    age: f64,
    #[diesel(sql_type = Double)]
    silent_for: f64,
}

/// The account's transactions under way, by their nonces.
pub async fn open(tx: &HouseTx, account: Account) -> Result<Vec<OpenTransaction>, Fault> {
    let transactions = statement(
        "SELECT tenant_id, id, contract, gas_limit, nonce, block_number, block_hash, transaction_hash,
                extract(epoch FROM now() - missing_since)::double precision AS missing_for
           FROM evm_transactions
          WHERE state IN ('SENT', 'MINED') AND chain_id = $1 AND account = $2 ORDER BY nonce",
    )
    .bind::<BigInt, _>(account.chain.cast_signed())
    .bind::<Binary, _>(account.address.to_vec());
    let attempts = statement(
        "SELECT attempt.tenant_id, attempt.transaction_id, attempt.hash, attempt.max_fee, attempt.tip,
                extract(epoch FROM now() - attempt.created_at)::double precision AS age,
                extract(epoch FROM now() - attempt.sent_at)::double precision AS silent_for
           FROM evm_transactions AS transaction
           JOIN evm_attempts AS attempt ON attempt.tenant_id = transaction.tenant_id
                AND attempt.transaction_id = transaction.id AND attempt.nonce = transaction.nonce
          WHERE transaction.state IN ('SENT', 'MINED') AND transaction.chain_id = $1 AND transaction.account = $2
          ORDER BY attempt.max_fee, attempt.created_at",
    )
    .bind::<BigInt, _>(account.chain.cast_signed())
    .bind::<Binary, _>(account.address.to_vec());
    let mut attempts_of: HashMap<TransactionKey, Vec<Attempt>> = HashMap::new();
    let rows: Vec<OpenRow> = tx.load(transactions).await?;
    for row in tx.load::<AttemptRow, _, _>(attempts).await? {
        let key = TransactionKey { tenant: row.tenant_id, id: row.transaction_id };
        let hash = B256::try_from(&row.hash[..]).map_err(Fault::internal)?;
        let fee = Fee { max: wei(row.max_fee), tip: wei(row.tip) };
        let attempt = Attempt { hash, fee, age: row.age, silent_for: row.silent_for };
        attempts_of.entry(key).or_default().push(attempt);
    }
    let mut open = Vec::with_capacity(rows.len());
    for row in rows {
        let attempts = attempts_of.remove(&row.key()).unwrap_or_default();
        let malformed = || Fault::internal(anyhow::anyhow!("a transaction's address or hash has a wrong length"));
        open.push(OpenTransaction { attempts, ..row.read().ok_or_else(malformed)? });
    }
    Ok(open)
}

/// Gives nonces to transactions that wait, up to `most` that stand in no block. `count` is how many transactions of the account stand
/// in blocks. Under the account's lock, so that no nonce is given out twice.
pub async fn assign_in(tx: &HouseTx, account: Account, count: u64, most: usize) -> Result<usize, Fault> {
    #[derive(QueryableByName)]
    struct WaitingRow {
        #[diesel(sql_type = SqlUuid)]
        tenant_id: EnterpriseId,
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let lock = statement("SELECT chain_id FROM evm_accounts WHERE chain_id = $1 AND address = $2 FOR UPDATE")
        .bind::<BigInt, _>(account.chain.cast_signed())
        .bind::<Binary, _>(account.address.to_vec());
    tx.execute(lock).await?;
    let under_way = open(tx, account).await?;
    let taken: BTreeSet<u64> = under_way.iter().map(|transaction| transaction.nonce).collect();
    // One more than may be under way, where a gap must be filled by something.
    let gap = nonce::gap(count, &taken);
    let unmined = under_way.iter().filter(|transaction| transaction.mined.is_none()).count();
    let room = most.saturating_sub(unmined).max(usize::from(gap.is_some()));
    if room == 0 {
        return Ok(0);
    }
    let waiting = statement(
        "SELECT tenant_id, id FROM evm_transactions WHERE state = 'WAITING' AND chain_id = $1 ORDER BY id LIMIT $2",
    )
    .bind::<BigInt, _>(account.chain.cast_signed())
    .bind::<BigInt, _>(room as i64);
    let waiting: Vec<WaitingRow> = tx.load(waiting).await?;
    let mut chosen: Vec<TransactionKey> =
        waiting.into_iter().map(|row| TransactionKey { tenant: row.tenant_id, id: row.id }).collect();
    if chosen.is_empty()
        && gap.is_some()
        && let Some(last) = under_way.last().filter(|last| last.mined.is_none())
    {
        chosen.push(last.key);
    }
    if chosen.is_empty() {
        return Ok(0);
    }
    let nonces = nonce::free(count, &taken, chosen.len());
    let assign = statement(
        "UPDATE evm_transactions AS transaction SET state = 'SENT', account = $1, nonce = chosen.nonce, missing_since = NULL
           FROM unnest($2, $3, $4) AS chosen (tenant_id, id, nonce)
          WHERE transaction.tenant_id = chosen.tenant_id AND transaction.id = chosen.id
            AND transaction.state IN ('WAITING', 'SENT')",
    )
    .bind::<Binary, _>(account.address.to_vec())
    .bind::<Array<SqlUuid>, _>(chosen.iter().map(|key| key.tenant).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(chosen.iter().map(|key| key.id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(nonces.into_iter().map(u64::cast_signed).collect::<Vec<_>>());
    tx.execute_exactly(chosen.len(), assign).await?;
    Ok(chosen.len())
}

/// Before it is sent, and each time that it is sent again.
pub async fn record_attempt_in(
    tx: &HouseTx,
    key: TransactionKey,
    nonce: u64,
    hash: B256,
    fee: Fee,
) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO evm_attempts (tenant_id, transaction_id, hash, nonce, max_fee, tip) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id, transaction_id, hash) DO UPDATE SET sent_at = now()",
    )
    .bind::<SqlUuid, _>(key.tenant)
    .bind::<SqlUuid, _>(key.id)
    .bind::<Binary, _>(hash.to_vec())
    .bind::<BigInt, _>(nonce.cast_signed())
    .bind::<BigInt, _>(stored(fee.max))
    .bind::<BigInt, _>(stored(fee.tip));
    tx.execute_exactly(1, statement).await
}

/// It was seen in a block.
pub async fn mined_in(tx: &HouseTx, key: TransactionKey, mined: Mined) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE evm_transactions
            SET state = 'MINED', block_number = $3, block_hash = $4, transaction_hash = $5, missing_since = NULL
          WHERE tenant_id = $1 AND id = $2 AND state IN ('SENT', 'MINED')",
    )
    .bind::<SqlUuid, _>(key.tenant)
    .bind::<SqlUuid, _>(key.id)
    .bind::<BigInt, _>(mined.block_number.cast_signed())
    .bind::<Binary, _>(mined.block_hash.to_vec())
    .bind::<Binary, _>(mined.transaction_hash.to_vec());
    tx.execute(statement).await.map(drop)
}

/// The block that it was seen in is not the chain's any more: it is on its way again, and may be sent at once.
pub async fn unmined_in(tx: &HouseTx, key: TransactionKey) -> Result<(), Fault> {
    let transaction = statement(
        "UPDATE evm_transactions SET state = 'SENT', block_number = NULL, block_hash = NULL, transaction_hash = NULL
          WHERE tenant_id = $1 AND id = $2 AND state = 'MINED'",
    )
    .bind::<SqlUuid, _>(key.tenant)
    .bind::<SqlUuid, _>(key.id);
    tx.execute(transaction).await?;
    let attempts = statement("UPDATE evm_attempts SET sent_at = 'epoch' WHERE tenant_id = $1 AND transaction_id = $2")
        .bind::<SqlUuid, _>(key.tenant)
        .bind::<SqlUuid, _>(key.id);
    tx.execute(attempts).await.map(drop)
}

/// Its nonce is spent and none of its forms stands in a block.
pub async fn missing_in(tx: &HouseTx, key: TransactionKey) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE evm_transactions SET missing_since = coalesce(missing_since, now())
          WHERE tenant_id = $1 AND id = $2 AND state = 'SENT'",
    )
    .bind::<SqlUuid, _>(key.tenant)
    .bind::<SqlUuid, _>(key.id);
    tx.execute(statement).await.map(drop)
}

/// Another's transaction has spent its nonce: it gets a new one.
pub async fn wait_again_in(tx: &HouseTx, key: TransactionKey) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE evm_transactions SET state = 'WAITING', account = NULL, nonce = NULL, missing_since = NULL
          WHERE tenant_id = $1 AND id = $2 AND state = 'SENT'",
    )
    .bind::<SqlUuid, _>(key.tenant)
    .bind::<SqlUuid, _>(key.id);
    tx.execute(statement).await.map(drop)
}

fn wei(stored: i64) -> u128 {
    u128::from(stored.max(0).unsigned_abs())
}

/// Settings hold fees below a whole coin, far within 64 bits.
fn stored(wei: u128) -> i64 {
    wei.try_into().unwrap_or(i64::MAX)
}
