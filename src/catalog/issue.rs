//! Issuance begins: an approved collectible's supply is to be put on the ledger. `issue_job` carries it out.
//!
//! The decision writes the whole plan down: the ledger, the issuance's operation ID, and each batch under a name that
//! is derived from it. Whoever carries it out, and however often, does it under these names.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalog::collectible::{self, lock_in};
use crate::catalog::history;
use crate::catalog::issuance::{Batch, BatchState, Issuance};
use crate::catalog::model::{CatalogErrorCode, Collectible, CollectibleId, CollectibleState};
use crate::catalog::store::issuances::{self, Step};
use crate::catalog::store::{self, StateChange};
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::ledger::model::LedgerKind;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::{Platform, id};
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};

const OPERATION: &str = "collectibleIssue";

pub struct Issued {
    pub collectible: Collectible,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    collectible: CollectibleId,
}

/// Decides to issue on a ledger, or to go on with an issuance that has failed: on the ledger that it has, under its
/// operation ID, and without what is confirmed already.
pub async fn start(
    platform: &Platform,
    scope: &TenantScope,
    ledger: LedgerKind,
    id: CollectibleId,
    key: &IdempotencyKey,
) -> Result<Issued, Refusal<CatalogErrorCode>> {
    scope.require(Permission::CatalogManage)?;
    let tx = scope.write(&platform.database).await?;
    match idempotency::claim_in(&tx, OPERATION, key, &json!({ "id": id })).await? {
        Turn::First => {}
        Turn::Replay(Kept { collectible }) => {
            let collectible = lock_in(&tx, collectible).await?;
            return Ok(Issued { collectible, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", CatalogErrorCode::IdempotencyKeyReused)),
    }
    let before = lock_in(&tx, id).await?;
    if !before.state.may_be_issued() {
        return Err(Refusal::at("id", CatalogErrorCode::WrongState));
    }
    // What the house has blocked since the approval is not sold.
    collectible::shown_in(&tx, &before).await?;
    let issuance = match issuances::issuances_by_collectible(&tx, &[id]).await?.remove(&id) {
        None => begin_in(&tx, &before, ledger).await?,
        Some(failed) => begin_again_in(&tx, &failed).await?,
    };
    let after =
        advance_in(&tx, OPERATION, &before, CollectibleState::Submitted, before.issued_count, &issuance).await?;
    audit::record_in(&tx, OPERATION, after.id.uuid(), Some(&before), &after).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { collectible: id }).await?;
    tx.commit().await?;
    Ok(Issued { collectible: after, replayed: false })
}

async fn begin_in(tx: &TenantTx, collectible: &Collectible, ledger: LedgerKind) -> Result<Issuance, Fault> {
    let operation = id::generate();
    let plan = Batch::plan(operation, collectible.id, collectible.first_serial, collectible.supply);
    issuances::insert_issuance_in(tx, collectible.id, ledger, operation, &plan).await?;
    issuances::issuances_by_collectible(tx, &[collectible.id]).await?.remove(&collectible.id).ok_or(Fault::NotFound)
}

/// What the ledger refused goes to it anew. What it was never told of still waits.
async fn begin_again_in(tx: &TenantTx, failed: &Issuance) -> Result<Issuance, Fault> {
    let refused = issuances::batches(tx, failed.collectible_id, BatchState::Refused, failed.batch_count.into()).await?;
    let anew: Vec<Batch> = refused.into_iter().map(|batch| batch.anew(failed.operation_id)).collect();
    issuances::renew_batches_in(tx, failed.collectible_id, &anew).await?;
    let step =
        Step { confirmed_count: failed.confirmed_count, failure: None, attempts: 0, due_in: Some(Duration::ZERO) };
    issuances::set_issuance_in(tx, failed, step).await
}

/// On which ledgers collectibles are kept. One whose issuance has not started is left out.
pub async fn ledgers_of(
    tx: &TenantTx,
    collectibles: &[CollectibleId],
) -> Result<HashMap<CollectibleId, LedgerKind>, Fault> {
    let found = issuances::issuances_by_collectible(tx, collectibles).await?;
    Ok(found.into_iter().map(|(id, issuance)| (id, issuance.ledger)).collect())
}

/// The new state of a collectible that is being issued, its line in the history, and the word of it.
pub async fn advance_in(
    tx: &TenantTx,
    action: &str,
    before: &Collectible,
    state: CollectibleState,
    issued_count: i32,
    issuance: &Issuance,
) -> Result<Collectible, Fault> {
    let change = StateChange { state, review_remark: before.review_remark.clone(), issued_count };
    let after = store::set_state_in(tx, before.id, change).await?;
    if before.state != after.state {
        history::record_in(tx, action, Some(before), &after).await?;
    }
    let data = json!({
        "collectibleId": after.id,
        "state": after.state,
        "supply": after.supply,
        "issuedCount": after.issued_count,
        "ledger": issuance.ledger,
        "batchCount": issuance.batch_count,
        "confirmedBatchCount": issuance.confirmed_count,
        "failure": issuance.failure,
    });
    let event = NewEvent::new(EventType::CollectibleChanged, after.id.uuid(), after.version, data)?;
    outbox::emit_in(tx, event).await?;
    Ok(after)
}
