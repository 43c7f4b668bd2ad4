//! What a sale sells, and at what price; and the stock that is set aside when it is published.

use crate::activities::model::{ActivityId, ActivityKind, ActivityState};
use crate::activities::window;
use crate::catalog::model::CollectibleId;
use crate::catalog::stock;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::sales::model::{BindingState, Currency, MerchantId, Offer, OfferId, SaleErrorCode};
use crate::sales::store::offers::NewOffer;
use crate::sales::store::{bindings, offers};
use crate::tenancy::audit;
use crate::tenancy::loaders::Batch;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};

/// How many offers a sale may have.
const MAXIMUM_OFFERS: usize = 100;

#[derive(Clone, Debug)]
pub struct OfferRequest {
    pub activity: ActivityId,
    pub collectible: CollectibleId,
    pub merchant: MerchantId,
    pub price_minor: i64,
    pub quantity: i32,
    pub limit_per_holder: i32,
}

/// Adds an offer to a sale that is still a draft.
pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &OfferRequest,
) -> Result<Offer, Refusal<SaleErrorCode>> {
    scope.require(Permission::SaleManage)?;
    check(request)?;
    let tx = scope.write(&platform.database).await?;
    // Its lock keeps a publication from setting stock aside while an offer is being added.
    let activity = window::lock_in(&tx, request.activity)
        .await?
        .filter(|activity| activity.kind == ActivityKind::Sale)
        .ok_or_else(|| Refusal::at("activityId", SaleErrorCode::ActivityNotFound))?;
    if !matches!(activity.state, ActivityState::Draft | ActivityState::Rejected) {
        return Err(Refusal::at("activityId", SaleErrorCode::ActivityFrozen));
    }
    let collectible = CollectibleId::fetch(&tx, &[request.collectible])
        .await?
        .remove(&request.collectible)
        .ok_or_else(|| Refusal::at("collectibleId", SaleErrorCode::CollectibleNotFound))?;
    if request.quantity > collectible.supply {
        return Err(Refusal::explained(
            "quantity",
            SaleErrorCode::InvalidInput,
            "数量不能超过藏品的发行量。",
            "An offer has no more pieces than the collectible's supply.",
        ));
    }
    let merchant = bindings::merchants_by_id(&tx, &[request.merchant])
        .await?
        .remove(&request.merchant)
        .ok_or_else(|| Refusal::at("merchantId", SaleErrorCode::MerchantNotFound))?;
    if merchant.state != BindingState::Active {
        return Err(Refusal::at("merchantId", SaleErrorCode::MerchantNotActive));
    }
    let others = offers::offers_of(&tx, &[request.activity]).await?;
    if others.len() >= MAXIMUM_OFFERS {
        return Err(Refusal::explained(
            "activityId",
            SaleErrorCode::InvalidInput,
            "一个发售活动最多 100 个商品。",
            "A sale has at most 100 offers.",
        ));
    }

    let new = NewOffer {
        id: OfferId::generate(),
        activity: request.activity,
        collectible: request.collectible,
        merchant: request.merchant,
        position: others.last().map_or(0, |last| last.position + 1),
        price_minor: request.price_minor,
        currency: Currency::Cny,
        quantity: request.quantity,
        limit_per_holder: request.limit_per_holder,
    };
    let offer = offers::insert_offer_in(&tx, &new).await?;
    audit::record_in(&tx, "offerCreate", offer.id.uuid(), None, &offer).await?;
    tx.commit().await?;
    Ok(offer)
}

/// Sets the stock of a sale's offers aside; called by its publication, in its transaction. `false`: some collectible
/// has not enough left, and the transaction must not be committed.
pub async fn allot_in(tx: &TenantTx, activity: ActivityId) -> Result<bool, Fault> {
    let mut waiting = offers::offers_of(tx, &[activity]).await?;
    waiting.retain(|offer| offer.allotment_id.is_none());
    // In one order whoever publishes, so that two publications do not wait for each other in a ring.
    waiting.sort_by_key(|offer| (offer.collectible_id, offer.position));
    let mut allotted = Vec::with_capacity(waiting.len());
    for offer in &waiting {
        match stock::allot_in(tx, offer.collectible_id, activity.uuid(), offer.quantity).await? {
            Some(allotment) => allotted.push((offer.id, allotment)),
            None => return Ok(false),
        }
    }
    offers::set_allotments_in(tx, &allotted).await?;
    Ok(true)
}

fn check(request: &OfferRequest) -> Result<(), Refusal<SaleErrorCode>> {
    let refuse =
        |field, chinese, english| Err(Refusal::explained(field, SaleErrorCode::InvalidInput, chinese, english));
    if !(1..=100_000_000).contains(&request.price_minor) {
        return refuse(
            "priceMinor",
            "价格须为 1 分到 100 万元。",
            "A price lies between 1 fen and one million yuan (100000000 fen).",
        );
    }
    if request.quantity < 1 {
        return refuse("quantity", "数量至少为 1。", "An offer has at least one piece.");
    }
    if !(1..=1000).contains(&request.limit_per_holder) {
        return refuse(
            "limitPerHolder",
            "每人限购须为 1 到 1000。",
            "A limit for each holder lies between 1 and 1000.",
        );
    }
    Ok(())
}
