//! What the wallets believe, compared with what the ledger says, item by item.

use std::collections::HashMap;
use std::fmt;

use crate::ledger::Ledger;
use crate::ledger::model::{Account, LedgerKind, Owner, Piece};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::TenantScope;
use crate::wallets::model::ItemId;
use crate::wallets::store::positions::{self, Position};

/// How many items are compared at a time.
const STEP: i64 = 1000;

/// How many batches are looked through at a time.
const BATCHES: i64 = 50;

/// What the wallets say otherwise than the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The ledger does not know the item's piece.
    NeverIssued { item: ItemId, piece: Piece },
    /// The ledger has another owner for it.
    OtherOwner { item: ItemId, piece: Piece, held_by: Account, ledger_says: Account },
    /// The piece came into being, and its item is not there.
    Gone { piece: Piece },
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |piece: &Piece| format!("serial number {} of {}", piece.serial, piece.collectible);
        match self {
            Self::NeverIssued { item, piece } => {
                write!(formatter, "items, {item}: the ledger never issued {}", named(piece))
            }
            Self::OtherOwner { item, piece, held_by: Account(here), ledger_says: Account(there) } => {
                let piece = named(piece);
                write!(formatter, "items, {item} ({piece}), column holder_id: {here}, and on the ledger {there}")
            }
            Self::Gone { piece } => write!(formatter, "items: that of {} is gone", named(piece)),
        }
    }
}

/// How many items were compared, and the first difference. Items on their way are left out.
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
        let Some(last) = settled.last() else { break };
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
            let (item, piece) = (position.id, piece(&position));
            let held_by = ledger.account(tenant, owner(&position));
            let difference = match ledger_says {
                None => Difference::NeverIssued { item, piece },
                Some(ledger_says) => Difference::OtherOwner { item, piece, held_by, ledger_says },
            };
            return Ok((compared, Some(difference)));
        }
    }
    Ok((compared, first_gone(platform, ledger.kind(), tenant).await?))
}

/// The first piece that was brought into being and has no item.
async fn first_gone(
    platform: &Platform,
    ledger: LedgerKind,
    tenant: EnterpriseId,
) -> Result<Option<Difference>, Fault> {
    let mut after = None;
    loop {
        let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
        let batches = positions::batches_looked_through(&tx, ledger, after, BATCHES).await?;
        let Some(last) = batches.last() else { return Ok(None) };
        after = Some((last.collectible_id, last.number));
        let missing = batches.iter().find_map(|batch| Some((batch.collectible_id, batch.missing?)));
        if let Some((collectible, serial)) = missing {
            return Ok(Some(Difference::Gone { piece: Piece { collectible, serial } }));
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
