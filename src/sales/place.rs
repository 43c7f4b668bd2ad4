//! A holder orders pieces of a sale. Stock is theirs for fifteen minutes; then they have paid, or it goes back.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::activities::model::{ActivityId, ActivityKind, WhyClosed};
use crate::activities::window;
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::sales::basket::{Basket, Line, Quote};
use crate::sales::model::{Offer, OfferId, Order, OrderId, SaleErrorCode};
use crate::sales::order::{announce_in, find};
use crate::sales::reserve::{self, Shortage};
use crate::sales::store::offers;
use crate::sales::store::orders::{self, NewLine, NewOrder};
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::scope::HolderScope;

const OPERATION: &str = "orderPlace";

#[derive(Clone, Debug)]
pub struct PlaceRequest {
    pub activity: ActivityId,
    pub lines: Vec<Line>,
    /// What the holder was shown. Another total is refused, so that nobody pays a price they have not seen.
    pub expected_total_minor: Option<i64>,
}

pub struct Placed {
    pub order: Order,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    order: OrderId,
}

pub async fn place(
    platform: &Platform,
    scope: &HolderScope,
    request: &PlaceRequest,
    key: &IdempotencyKey,
) -> Result<Placed, Refusal<SaleErrorCode>> {
    let basket = Basket::new(&request.lines)?;
    let tx = scope.write(&platform.database).await?;
    let input =
        json!({ "activity": request.activity, "basket": basket, "expectedTotal": request.expected_total_minor });
    match idempotency::claim_in(&tx, OPERATION, key, &input).await? {
        Turn::First => {}
        Turn::Replay(Kept { order }) => return Ok(Placed { order: find(&tx, order).await?, replayed: true }),
        Turn::Reused => return Err(Refusal::at("idempotencyKey", SaleErrorCode::IdempotencyKeyReused)),
    }

    window::open_in(&tx, request.activity, ActivityKind::Sale).await?.map_err(closed)?;
    let on_sale: HashMap<OfferId, _> = offers::offers_by_id(&tx, &basket.offer_ids())
        .await?
        .into_iter()
        .filter(|(_, offer)| offer.activity_id == request.activity)
        .collect();
    let quote = basket.quote(&on_sale)?;
    if request.expected_total_minor.is_some_and(|expected| expected != quote.total.amount_minor) {
        return Err(Refusal::at("expectedTotalMinor", SaleErrorCode::PriceChanged));
    }

    let id = OrderId::generate();
    let reserved = reserve::reserve_in(&tx, id, scope.holder(), &quote.priced).await?;
    reserved.map_err(|shortage| refusal_of(shortage, &basket))?;
    let new = NewOrder {
        id,
        activity: request.activity,
        merchant: quote.merchant,
        holder: scope.holder(),
        total: quote.total,
    };
    let order = orders::insert_order_in(&tx, &new, &lines(&quote)).await?;
    announce_in(&tx, std::slice::from_ref(&order)).await?;
    audit::record_in(&tx, OPERATION, order.id.uuid(), None, &order).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { order: order.id }).await?;
    tx.commit().await?;
    Ok(Placed { order, replayed: false })
}

fn lines(quote: &Quote) -> Vec<NewLine> {
    let line = |(offer, quantity): &(Offer, i32)| NewLine {
        offer: offer.id,
        collectible: offer.collectible_id,
        quantity: *quantity,
        unit_price_minor: offer.price_minor,
    };
    quote.priced.iter().map(line).collect()
}

fn closed(why: WhyClosed) -> Refusal<SaleErrorCode> {
    let code = match why {
        WhyClosed::NotFound => SaleErrorCode::ActivityNotFound,
        WhyClosed::NotPublished => SaleErrorCode::NotPublished,
        WhyClosed::NotYetOpen => SaleErrorCode::NotYetOpen,
        WhyClosed::Closed => SaleErrorCode::Closed,
        WhyClosed::Paused => SaleErrorCode::Paused,
    };
    Refusal::at("activityId", code)
}

fn refusal_of(shortage: Shortage, basket: &Basket) -> Refusal<SaleErrorCode> {
    let (offer, code) = match shortage {
        Shortage::LimitReached(offer) => (offer, SaleErrorCode::LimitReached),
        Shortage::SoldOut(offer) => (offer, SaleErrorCode::SoldOut),
    };
    match basket.line_of(offer) {
        Some(line) => Refusal::at(format!("lines.{line}.quantity"), code),
        None => Refusal::code(code),
    }
}
