//! An unpaid order is called off, by its holder or by the enterprise.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::sales::model::{Order, OrderId, OrderState, SaleErrorCode};
use crate::sales::order::{advance_in, find, lock_in};
use crate::sales::reserve;
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{HolderScope, TenantScope, TenantTx};

const OPERATION: &str = "orderCancel";

pub struct Cancelled {
    pub order: Order,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    order: OrderId,
}

/// A holder calls off an order of their own; another's is not to be told from none.
pub async fn cancel_own(
    platform: &Platform,
    scope: &HolderScope,
    id: OrderId,
    key: &IdempotencyKey,
) -> Result<Cancelled, Refusal<SaleErrorCode>> {
    cancel_with(scope.write(&platform.database).await?, id, key).await
}

pub async fn cancel(
    platform: &Platform,
    scope: &TenantScope,
    id: OrderId,
    key: &IdempotencyKey,
) -> Result<Cancelled, Refusal<SaleErrorCode>> {
    scope.require(Permission::SaleManage)?;
    cancel_with(scope.write(&platform.database).await?, id, key).await
}

async fn cancel_with(tx: TenantTx, id: OrderId, key: &IdempotencyKey) -> Result<Cancelled, Refusal<SaleErrorCode>> {
    match idempotency::claim_in(&tx, OPERATION, key, &json!({ "order": id })).await? {
        Turn::First => {}
        Turn::Replay(Kept { order }) => return Ok(Cancelled { order: find(&tx, order).await?, replayed: true }),
        Turn::Reused => return Err(Refusal::at("idempotencyKey", SaleErrorCode::IdempotencyKeyReused)),
    }
    let before = lock_in(&tx, id).await?;
    if before.state != OrderState::PendingPayment {
        return Err(Refusal::at("orderId", SaleErrorCode::WrongState));
    }
    reserve::release_in(&tx, &[id]).await?;
    let order = advance_in(&tx, std::slice::from_ref(&before), OrderState::Cancelled).await?.remove(0);
    audit::record_in(&tx, OPERATION, id.uuid(), Some(&before), &order).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { order: id }).await?;
    tx.commit().await?;
    Ok(Cancelled { order, replayed: false })
}
