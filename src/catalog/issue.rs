//! Issuance: an approved collectible's supply is put on the ledger, and its items come into being.
//!
//! The operation ID is chosen once, with the decision to issue; every try goes to the ledger under it. So a crash
//! between any two steps loses nothing and does nothing twice: the next turn asks the ledger where it stands.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalog::collectible::{announce_in, lock_in};
use crate::catalog::model::{CatalogErrorCode, Collectible, CollectibleId, CollectibleState};
use crate::catalog::store::{self, StateChange};
use crate::ledger::Ledger;
use crate::ledger::model::{Content, Operation, Receipt};
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::{Platform, id};
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::worker::Job;
use crate::wallets::item;

const OPERATION: &str = "collectibleIssue";

/// How many items one step brings into being.
const ITEMS_A_STEP: i32 = 5_000;

pub struct Issued {
    pub collectible: Collectible,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    collectible: CollectibleId,
}

/// Decides to issue. The worker does the rest.
pub async fn start(
    platform: &Platform,
    scope: &TenantScope,
    collectible: CollectibleId,
    key: &IdempotencyKey,
) -> Result<Issued, Refusal<CatalogErrorCode>> {
    scope.require(Permission::CatalogManage)?;
    let tx = scope.write(&platform.database).await?;
    match idempotency::claim_in(&tx, OPERATION, key, &json!({ "id": collectible })).await? {
        Turn::First => {}
        Turn::Replay(Kept { collectible }) => {
            let collectible = lock_in(&tx, collectible).await?;
            return Ok(Issued { collectible, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", CatalogErrorCode::IdempotencyKeyReused)),
    }
    let before = lock_in(&tx, collectible).await?;
    if !before.state.may_be_issued() {
        return Err(Refusal::at("id", CatalogErrorCode::WrongState));
    }
    let operation = before.operation_id.unwrap_or_else(id::generate);
    let after = advance_in(&tx, &before, CollectibleState::Submitted, before.issued_count, Some(operation)).await?;
    audit::record_in(&tx, OPERATION, after.id.uuid(), Some(&before), &after).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { collectible }).await?;
    tx.commit().await?;
    Ok(Issued { collectible: after, replayed: false })
}

/// Moves issuances along: submit, ask, bring items into being.
pub struct IssuanceJob {
    pub platform: Arc<Platform>,
    pub ledger: Arc<dyn Ledger>,
}

#[async_trait]
impl Job for IssuanceJob {
    fn name(&self) -> &'static str {
        "issuance"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        store::tenants_issuing(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let scope = TenantScope::of_system(tenant);
        let tx = scope.read(&self.platform.database).await?;
        let due = store::due_issuances(&tx, 20).await?;
        drop(tx);
        for collectible in &due {
            match collectible.state {
                CollectibleState::Submitted => self.submit(&scope, collectible).await?,
                _ => self.follow(&scope, collectible).await?,
            }
        }
        Ok(())
    }
}

impl IssuanceJob {
    async fn submit(&self, scope: &TenantScope, collectible: &Collectible) -> Result<(), Fault> {
        let operation = operation(collectible)?;
        // Outside any transaction: the ledger may take its time.
        self.ledger.submit(scope.tenant(), &[operation]).await?;
        let tx = scope.write(&self.platform.database).await?;
        if let Some(before) = still_in(&tx, collectible.id, CollectibleState::Submitted).await? {
            advance_in(&tx, &before, CollectibleState::Confirming, before.issued_count, before.operation_id).await?;
        }
        tx.commit().await
    }

    async fn follow(&self, scope: &TenantScope, collectible: &Collectible) -> Result<(), Fault> {
        let operation = operation(collectible)?;
        let receipt = self.ledger.receipts(scope.tenant(), &[operation.id]).await?.remove(&operation.id);
        let tx = scope.write(&self.platform.database).await?;
        let Some(before) = still_in(&tx, collectible.id, collectible.state).await? else { return tx.commit().await };
        match receipt {
            Some(Receipt::Confirmed(_)) => {
                let count = (before.supply - before.issued_count).min(ITEMS_A_STEP);
                item::mint_in(&tx, before.id, before.first_serial + before.issued_count, count).await?;
                let issued = before.issued_count + count;
                let state =
                    if issued == before.supply { CollectibleState::Issued } else { CollectibleState::Confirming };
                advance_in(&tx, &before, state, issued, before.operation_id).await?;
            }
            Some(Receipt::Pending) => {}
            Some(Receipt::Refused { .. }) => {
                advance_in(&tx, &before, CollectibleState::Failed, before.issued_count, before.operation_id).await?;
            }
            // It never arrived: the same operation goes out again.
            Some(Receipt::Unknown) | None => {
                advance_in(&tx, &before, CollectibleState::Submitted, before.issued_count, before.operation_id).await?;
            }
        }
        tx.commit().await
    }
}

fn operation(collectible: &Collectible) -> Result<Operation, Fault> {
    let id =
        collectible.operation_id.ok_or_else(|| Fault::internal(anyhow::anyhow!("an issuance has no operation ID")))?;
    let content = Content::Issue {
        collectible_id: collectible.id,
        first_serial: collectible.first_serial,
        count: collectible.supply,
    };
    Ok(Operation { id, content })
}

/// The collectible under lock, if no other worker has moved it meanwhile.
async fn still_in(tx: &TenantTx, id: CollectibleId, state: CollectibleState) -> Result<Option<Collectible>, Fault> {
    Ok(store::lock_collectible_in(tx, id).await?.filter(|collectible| collectible.state == state))
}

async fn advance_in(
    tx: &TenantTx,
    before: &Collectible,
    state: CollectibleState,
    issued_count: i32,
    operation_id: Option<uuid::Uuid>,
) -> Result<Collectible, Fault> {
    let change = StateChange { state, review_remark: before.review_remark.clone(), operation_id, issued_count };
    let after = store::set_state_in(tx, before.id, change).await?;
    announce_in(tx, &after).await?;
    Ok(after)
}
