//! Puts an enterprise's waiting operations into transactions. No network, no nonce: only what travels together.

use std::sync::Arc;

use async_trait::async_trait;

use crate::ledger::evm::model::{self, Waiting};
use crate::ledger::evm::{Chain, contract, store};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::store::enterprise_row;
use crate::tenancy::worker::Job;

pub struct Bundler {
    platform: Arc<Platform>,
    chain: Arc<Chain>,
}

impl Bundler {
    pub fn new(platform: Arc<Platform>, chain: Arc<Chain>) -> Self {
        Self { platform, chain }
    }
}

#[async_trait]
impl Job for Bundler {
    fn name(&self) -> &'static str {
        "evm bundler"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        store::tenants_waiting(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let settings = &self.chain.settings;
        let (most, transactions) = (settings.operations as usize, settings.in_flight as usize);
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        // The enterprise's row is the turn: two bundlers at once would give later operations the earlier transaction.
        enterprise_row::lock_in(&tx).await?.ok_or(Fault::NotFound)?;
        let waiting = store::lock_waiting_in(&tx, (most * transactions) as i64).await?;
        let mut rest = &waiting[..];
        let room = settings.gas_limit.saturating_sub(contract::GAS_OF_A_TRANSACTION);
        for _ in 0..transactions {
            let gas_of = |waiting: &Waiting| contract::gas_of(&waiting.operation.content);
            let (bundle, left) = rest.split_at(model::bundle(rest, most, room, gas_of));
            let Some(first) = bundle.first() else { break };
            rest = left;
            // What was taken back before gets all there is; what needs more than that is tried with it all the same.
            let floor = if first.reverts > 0 { settings.gas_limit } else { 0 };
            let needed = contract::gas(bundle.iter().map(|waiting| &waiting.operation.content));
            let gas = needed.max(floor).min(settings.gas_limit);
            let ids: Vec<_> = bundle.iter().map(|waiting| waiting.operation.id).collect();
            store::bundle_in(&tx, settings.chain_id, self.chain.contract, gas, &ids).await?;
        }
        tx.commit().await
    }
}
