//! Reservations: stock and a holder's limit are taken for an order, and given back when it comes to nothing.

use std::collections::{BTreeMap, HashMap};

use crate::catalog::model::{Allotment, AllotmentId, StockMove};
use crate::catalog::stock;
use crate::platform::fault::Fault;
use crate::sales::model::{Offer, OfferId, OrderId};
use crate::sales::store::offers::{self, TallyChange};
use crate::sales::store::orders;
use crate::tenancy::model::HolderId;
use crate::tenancy::scope::TenantTx;

/// Why a reservation is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    LimitReached(OfferId),
    SoldOut(OfferId),
}

/// Takes all of it or nothing, each offer named once. A shortage leaves the transaction as good as before.
pub async fn reserve_in(
    tx: &TenantTx,
    order: OrderId,
    holder: HolderId,
    wanted: &[(Offer, i32)],
) -> Result<Result<(), Shortage>, Fault> {
    let ids: Vec<OfferId> = wanted.iter().map(|(offer, _)| offer.id).collect();
    let bought = offers::lock_tallies_in(tx, holder, &ids).await?;
    let allotments = wanted.iter().map(|(offer, _)| allotment_of(offer)).collect::<Result<Vec<_>, _>>()?;
    let stock = stock::lock_in(tx, &allotments).await?;
    if let Some(shortage) = shortage(wanted, &bought, &stock) {
        return Ok(Err(shortage));
    }
    let changes: Vec<TallyChange> =
        wanted.iter().map(|(offer, by)| TallyChange { offer: offer.id, holder, by: *by }).collect();
    offers::change_tallies_in(tx, &changes).await?;
    let moves: Vec<StockMove> = wanted
        .iter()
        .zip(&allotments)
        .map(|((_, quantity), allotment)| StockMove::reserve(*allotment, order.uuid(), *quantity))
        .collect();
    stock::move_in(tx, &moves).await?;
    Ok(Ok(()))
}

/// Gives back what orders had reserved. Their rows are locked, and nothing was paid for them.
pub async fn release_in(tx: &TenantTx, released: &[OrderId]) -> Result<(), Fault> {
    let lines = orders::reserved_lines(tx, released).await?;
    let mut sums: BTreeMap<(OfferId, HolderId), i32> = BTreeMap::new();
    let mut moves = Vec::with_capacity(lines.len());
    for line in &lines {
        *sums.entry((line.offer_id, line.holder_id)).or_default() -= line.quantity;
        moves.push(StockMove::release(line.allotment_id, line.order_id.uuid(), line.quantity));
    }
    let changes: Vec<TallyChange> =
        sums.into_iter().map(|((offer, holder), by)| TallyChange { offer, holder, by }).collect();
    offers::change_tallies_in(tx, &changes).await?;
    lock_and_move_in(tx, &moves).await?;
    Ok(())
}

/// Moves that no decision goes before. The locks still come first, in their order, so that no two wait in a ring.
pub async fn lock_and_move_in(tx: &TenantTx, moves: &[StockMove]) -> Result<BTreeMap<AllotmentId, i32>, Fault> {
    let mut allotments: Vec<AllotmentId> = moves.iter().map(|change| change.allotment).collect();
    allotments.sort();
    allotments.dedup();
    stock::lock_in(tx, &allotments).await?;
    stock::move_in(tx, moves).await
}

/// The run of serial numbers that an offer sells from.
pub fn allotment_of(offer: &Offer) -> Result<AllotmentId, Fault> {
    offer.allotment_id.ok_or_else(|| Fault::internal(anyhow::anyhow!("{} is sold without an allotment", offer.id)))
}

/// The limit is looked at before the stock: whoever may not have it is not to be told that it is gone.
fn shortage(
    wanted: &[(Offer, i32)],
    bought: &HashMap<OfferId, i32>,
    stock: &BTreeMap<AllotmentId, Allotment>,
) -> Option<Shortage> {
    let over_limit = wanted.iter().find(|(offer, quantity)| {
        let had = bought.get(&offer.id).copied().unwrap_or(0);
        had.saturating_add(*quantity) > offer.limit_per_holder
    });
    let short = || {
        wanted.iter().find(|(offer, quantity)| {
            let left = offer.allotment_id.and_then(|id| stock.get(&id)).map_or(0, |allotment| allotment.available);
            *quantity > left
        })
    };
    match over_limit {
        Some((offer, _)) => Some(Shortage::LimitReached(offer.id)),
        None => short().map(|(offer, _)| Shortage::SoldOut(offer.id)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::activities::model::ActivityId;
    use crate::catalog::model::CollectibleId;
    use crate::sales::model::{Currency, MerchantId};

    #[rstest]
    #[case::just_fits(3, 2, 5, 3, None)]
    #[case::one_over_the_limit(4, 2, 5, 9, Some(Shortage::LimitReached as fn(OfferId) -> Shortage))]
    #[case::one_too_few_left(3, 0, 5, 2, Some(Shortage::SoldOut as fn(OfferId) -> Shortage))]
    #[case::over_the_limit_and_sold_out(4, 2, 5, 0, Some(Shortage::LimitReached as fn(OfferId) -> Shortage))]
    fn a_reservation_fits_limit_and_stock(
        #[case] quantity: i32,
        #[case] had: i32,
        #[case] limit_per_holder: i32,
        #[case] available: i32,
        #[case] expected: Option<fn(OfferId) -> Shortage>,
    ) {
        let (allotment, collectible_id) = (AllotmentId::generate(), CollectibleId::generate());
        let offer = Offer {
            id: OfferId::generate(),
            activity_id: ActivityId::generate(),
            collectible_id,
            merchant_id: MerchantId::generate(),
            position: 0,
            price_minor: 1,
            currency: Currency::Cny,
            quantity: 10,
            limit_per_holder,
            allotment_id: Some(allotment),
        };
        let stock = Allotment {
            id: allotment,
            collectible_id: Some(collectible_id),
            total: 10,
            available,
            reserved: 10 - available,
            issued: 0,
            void: 0,
            next_serial: 1,
        };
        let found = shortage(
            &[(offer.clone(), quantity)],
            &HashMap::from([(offer.id, had)]),
            &BTreeMap::from([(allotment, stock)]),
        );
        assert_eq!(found, expected.map(|shortage| shortage(offer.id)));
    }
}
