//! What the wallets believe, compared with what the ledger says, item by item.

use std::collections::HashMap;

use crate::ledger::Ledger;
use crate::ledger::model::{Account, Owner, Piece};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::TenantScope;
use crate::wallets::model::ItemId;
use crate::wallets::store::positions::{self, Position};

/// How many items are compared at a time.
const STEP: i64 = 1000;

/// An item whose holder is not the one that the ledger has for its piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub item: ItemId,
    pub piece: Piece,
    pub held_by: Account,
    /// None: the ledger does not know the piece.
    pub ledger_says: Option<Account>,
}

/// How many items were compared, and the first whose holder is another on the ledger. Items on their way are left out.
pub async fn compare(
    platform: &Platform,
    ledger: &dyn Ledger,
    tenant: EnterpriseId,
) -> Result<(i64, Option<Difference>), Fault> {
    let scope = TenantScope::of_system(tenant);
    let (mut after, mut compared) = (None, 0);
    loop {
        let tx = scope.read(&platform.database).await?;
        let settled = positions::settled_positions(&tx, ledger.kind(), after, STEP).await?;
        drop(tx);
        let Some(last) = settled.last() else { return Ok((compared, None)) };
        after = Some(last.id);
        compared += settled.len() as i64;
        let mut suspects = differing(ledger, tenant, &settled).await?;
        if suspects.is_empty() {
            continue;
        }
        // A transfer may have come between the two looks: what is still so, untouched, is so.
        let tx = scope.read(&platform.database).await?;
        let ids: Vec<ItemId> = suspects.iter().map(|(position, _)| position.id).collect();
        let again: HashMap<ItemId, Position> = positions::settled_positions_of(&tx, &ids)
            .await?
            .into_iter()
            .map(|position| (position.id, position))
            .collect();
        drop(tx);
        suspects.retain(|(position, _)| again.get(&position.id) == Some(position));
        let still: Vec<Position> = suspects.into_iter().map(|(position, _)| position).collect();
        if let Some((position, ledger_says)) = differing(ledger, tenant, &still).await?.into_iter().next() {
            let held_by = ledger.account(tenant, owner(&position));
            let difference = Difference { item: position.id, piece: piece(&position), held_by, ledger_says };
            return Ok((compared, Some(difference)));
        }
    }
}

async fn differing(
    ledger: &dyn Ledger,
    tenant: EnterpriseId,
    positions: &[Position],
) -> Result<Vec<(Position, Option<Account>)>, Fault> {
    let pieces: Vec<Piece> = positions.iter().map(piece).collect();
    let mut owners = ledger.owners(tenant, &pieces).await?;
    Ok(positions
        .iter()
        .map(|position| (position.clone(), owners.remove(&piece(position))))
        .filter(|(position, says)| says.as_ref() != Some(&ledger.account(tenant, owner(position))))
        .collect())
}

fn piece(position: &Position) -> Piece {
    Piece { collectible: position.collectible_id, serial: position.serial }
}

fn owner(position: &Position) -> Owner {
    position.holder_id.map_or(Owner::Treasury, Owner::Holder)
}
