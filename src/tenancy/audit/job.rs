//! Numbers and links the audit records that wait.
//!
//! Two servers may come for one enterprise at once: the enterprise's row is the turn, and who does not get it leaves the
//! work to who has it. Should that ever fail, the chain's primary key (enterprise and number) lets only one of them in.

use std::sync::Arc;

use async_trait::async_trait;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::audit::chain::{self, BEGINNING, Hash, Place};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::model::audit::AuditLink;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::store::audit as store;
use crate::tenancy::worker::Job;

/// How many records one step links.
const STEP: i64 = 1000;

pub struct AuditChainJob {
    pub platform: Arc<Platform>,
}

#[async_trait]
impl Job for AuditChainJob {
    fn name(&self) -> &'static str {
        "audit chain"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        store::tenants_waiting(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        if !store::take_turn_in(&tx).await? {
            return Ok(());
        }
        // Under the turn, so that what another server has just linked is seen.
        let (last, records, linked_at) =
            futures_util::try_join!(store::last_link(&tx), store::waiting(&tx, STEP), tx.now())?;
        if records.is_empty() {
            return match store::count_waiting(&tx).await? {
                0 => Ok(()),
                // Nothing of ours takes a record away. Said again and again, since nobody but people can mend it.
                gone => Err(Fault::internal(anyhow::anyhow!(
                    "{gone} audit records are gone that wait for their place in the chain; run `minthouse doctor`"
                ))),
            };
        }
        let (mut sequence, mut previous) = match last {
            Some(link) => (link.sequence, Hash::try_from(&link.hash[..]).map_err(Fault::internal)?),
            None => (0, BEGINNING),
        };
        let links: Vec<AuditLink> = records
            .iter()
            .map(|record| {
                sequence += 1;
                previous = chain::link(&previous, &Place { tenant, sequence, linked_at }, record);
                AuditLink { sequence, record_id: record.id, hash: previous.to_vec(), created_at: linked_at }
            })
            .collect();
        store::link_in(&tx, &links, linked_at).await?;
        tx.commit().await
    }
}
