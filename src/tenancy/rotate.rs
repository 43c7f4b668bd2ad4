//! The enterprise's data key is exchanged: a new one seals from now on, and what older ones have sealed is sealed anew.
//!
//! Nothing stops meanwhile. A server reads all of an enterprise's keys at each use, so it opens what stands under any of
//! them. Values are taken in batches, each a transaction that locks its rows; a run that is killed is gone on with by the
//! next one, which finds what is left by the version that each value begins with. Old keys are kept, so that a value
//! which escaped can still be opened; `doctor` names enterprises that have such. Hashes stay as they are, because the key
//! that they are made with is derived from the master key.

use std::time::Duration;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::sealed::SealedColumn;
use crate::tenancy::store::sealed::{self, OldValue};
use crate::tenancy::{audit, enterprise};

/// How many values are sealed anew in one transaction.
const BATCH: i64 = 500;
/// How often a batch that lost a race is tried again.
const ATTEMPTS: usize = 5;
/// How long transactions that may have read the keys before the new one was there are waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What is to be done for one enterprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub version: u16,
    /// Whether the key was made just now, or an earlier run's is gone on with.
    pub fresh: bool,
    /// Values that stand under older keys.
    pub values: i64,
}

/// Makes a new key, unless values still stand under a key before the newest: then that rotation is gone on with.
pub async fn begin(platform: &Platform, tenant: EnterpriseId, columns: &[SealedColumn]) -> Result<Rotation, Fault> {
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    let version = enterprise::data_key(platform, &tx).await?.version();
    let left = count_older(&tx, columns, version).await?;
    if left > 0 {
        return Ok(Rotation { version, fresh: false, values: left });
    }
    let version = version.checked_add(1).ok_or_else(|| Fault::internal(anyhow::anyhow!("there is no version left")))?;
    enterprise::add_data_key_in(platform, &tx, version).await?;
    let values = count_older(&tx, columns, version).await?;
    audit::record_in(&tx, "dataKeyRotate", tenant.uuid(), None, &version).await?;
    tx.commit().await?;
    Ok(Rotation { version, fresh: true, values })
}

/// Seals everything anew that stands under a key before `version`. `progress` is told of each batch.
pub async fn reseal(
    platform: &Platform,
    tenant: EnterpriseId,
    columns: &[SealedColumn],
    version: u16,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), Fault> {
    for column in columns.iter().filter(|column| !column.passing) {
        pass(platform, tenant, column, version, progress).await?;
    }
    // Whoever read the keys before the new one was there may have sealed under an old one since.
    wait_for_older(platform, tenant).await?;
    for column in columns.iter().filter(|column| !column.passing) {
        pass(platform, tenant, column, version, progress).await?;
    }
    Ok(())
}

/// How many values stand under keys before the enterprise's newest one.
pub async fn left(platform: &Platform, tenant: EnterpriseId, columns: &[SealedColumn]) -> Result<i64, Fault> {
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let version = enterprise::data_key(platform, &tx).await?.version();
    count_older(&tx, columns, version).await
}

async fn count_older(
    tx: &crate::tenancy::scope::TenantTx,
    columns: &[SealedColumn],
    version: u16,
) -> Result<i64, Fault> {
    let mut count = 0;
    for column in columns.iter().filter(|column| !column.passing) {
        count += sealed::count_older(tx, column, version).await?;
    }
    Ok(count)
}

async fn pass(
    platform: &Platform,
    tenant: EnterpriseId,
    column: &SealedColumn,
    version: u16,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), Fault> {
    let mut after: Option<Vec<String>> = None;
    loop {
        let mut attempt = 1;
        let done = loop {
            match batch(platform, tenant, column, version, after.as_deref()).await {
                Err(Fault::Contended(_)) if attempt < ATTEMPTS => attempt += 1,
                outcome => break outcome?,
            }
        };
        let Some(last) = done.last() else { return Ok(()) };
        after = Some(last.clone());
        progress(done.len() as u64);
    }
}

/// One transaction. Gives the keys of the rows that it has gone over.
async fn batch(
    platform: &Platform,
    tenant: EnterpriseId,
    column: &SealedColumn,
    version: u16,
    after: Option<&[String]>,
) -> Result<Vec<Vec<String>>, Fault> {
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let old = sealed::lock_older_in(&tx, column, version, after, BATCH).await?;
    if old.is_empty() {
        return Ok(Vec::new());
    }
    let mut anew = Vec::with_capacity(old.len());
    for OldValue { key, sealed } in old {
        let place = || format!("{}.{} of {}", column.table, column.column, key.join("/"));
        let purpose =
            column.purpose.of(&key).ok_or_else(|| Fault::internal(anyhow::anyhow!("{} has no purpose", place())))?;
        let clear = data_key
            .open(&purpose, &sealed)
            .map_err(|error| Fault::internal(anyhow::Error::from(error).context(place())))?;
        let sealed = data_key.seal(&*platform.randomness, &purpose, &clear);
        anew.push(OldValue { key, sealed });
    }
    sealed::replace_in(&tx, column, &anew).await?;
    tx.commit().await?;
    Ok(anew.into_iter().map(|value| value.key).collect())
}

async fn wait_for_older(platform: &Platform, tenant: EnterpriseId) -> Result<(), Fault> {
    let scope = TenantScope::of_system(tenant);
    let tx = scope.read(&platform.database).await?;
    let now = tx.now().await?;
    drop(tx);
    let mut patience = PATIENCE;
    loop {
        let tx = scope.read(&platform.database).await?;
        if sealed::transactions_from_before(&tx, now).await? == 0 {
            return Ok(());
        }
        drop(tx);
        if patience.is_zero() {
            tracing::warn!(
                "a transaction has been open for long; run `minthouse doctor` later to see whether it left a value under an old key"
            );
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        patience = patience.saturating_sub(LOOK_AGAIN);
    }
}
