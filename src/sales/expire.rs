//! Orders that were not paid in time are taken back.

use std::sync::Arc;

use async_trait::async_trait;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::sales::model::{OrderId, OrderState};
use crate::sales::order::advance_in;
use crate::sales::reserve;
use crate::sales::store::orders;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::worker::Job;

/// How many orders one step takes back: their tallies and allotments stay locked for as long as it takes.
const ORDERS_A_STEP: i64 = 200;

pub struct OrderExpiryJob {
    pub platform: Arc<Platform>,
}

#[async_trait]
impl Job for OrderExpiryJob {
    fn name(&self) -> &'static str {
        "order expiry"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        orders::tenants_expiring(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        // Under the lock the state is still unpaid; a payment that holds an order is passed over and wins.
        let overdue = orders::lock_overdue_in(&tx, ORDERS_A_STEP).await?;
        if overdue.is_empty() {
            tx.commit().await?;
            return Ok(());
        }
        let ids: Vec<OrderId> = overdue.iter().map(|order| order.id).collect();
        reserve::release_in(&tx, &ids).await?;
        advance_in(&tx, &overdue, OrderState::Expired).await?;
        tx.commit().await?;
        Ok(())
    }
}
