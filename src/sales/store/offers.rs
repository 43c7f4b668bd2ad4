//! SQL over offers and what holders have bought of them.

use std::collections::HashMap;

use diesel::sql_types::{Array, Integer, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, insert_into};

use crate::activities::model::ActivityId;
use crate::catalog::model::{AllotmentId, CollectibleId};
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::sales::model::{Currency, MerchantId, Offer, OfferId};
use crate::schema::offers;
use crate::tenancy::model::HolderId;
use crate::tenancy::scope::TenantTx;

pub struct NewOffer {
    pub id: OfferId,
    pub activity: ActivityId,
    pub collectible: CollectibleId,
    pub merchant: MerchantId,
    pub position: i32,
    pub price_minor: i64,
    pub currency: Currency,
    pub quantity: i32,
    pub limit_per_holder: i32,
}

pub async fn insert_offer_in(tx: &TenantTx, new: &NewOffer) -> Result<Offer, Fault> {
    let row = (
        offers::tenant_id.eq(tx.tenant()),
        offers::id.eq(new.id),
        offers::activity_id.eq(new.activity),
        offers::collectible_id.eq(new.collectible),
        offers::merchant_id.eq(new.merchant),
        offers::position.eq(new.position),
        offers::price_minor.eq(new.price_minor),
        offers::currency.eq(new.currency),
        offers::quantity.eq(new.quantity),
        offers::limit_per_holder.eq(new.limit_per_holder),
    );
    tx.one(insert_into(offers::table).values(row).returning(Offer::as_returning())).await
}

pub async fn offers_by_id(tx: &TenantTx, ids: &[OfferId]) -> Result<HashMap<OfferId, Offer>, Fault> {
    let query = offers::table.filter(offers::tenant_id.eq(tx.tenant())).filter(offers::id.eq_any(ids.to_vec()));
    let rows: Vec<Offer> = tx.load(query.select(Offer::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// All offers of these activities, in their order.
pub async fn offers_of(tx: &TenantTx, activities: &[ActivityId]) -> Result<Vec<Offer>, Fault> {
    tx.load(
        offers::table
            .filter(offers::tenant_id.eq(tx.tenant()))
            .filter(offers::activity_id.eq_any(activities.to_vec()))
            .order((offers::activity_id, offers::position))
            .select(Offer::as_select()),
    )
    .await
}

#[derive(Clone, Debug, Default)]
pub struct OfferFilter {
    pub activity: Option<ActivityId>,
}

pub async fn list_offers(tx: &TenantTx, filter: &OfferFilter, page: &Page<OfferId>) -> Result<Vec<Offer>, Fault> {
    let query = offers::table.filter(offers::tenant_id.eq(tx.tenant())).select(Offer::as_select());
    let mut query = paged!(query, offers::id, page);
    if let Some(activity) = filter.activity {
        query = query.filter(offers::activity_id.eq(activity));
    }
    tx.load(query).await
}

pub async fn count_offers(tx: &TenantTx, filter: &OfferFilter) -> Result<i64, Fault> {
    let mut query = offers::table.filter(offers::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(activity) = filter.activity {
        query = query.filter(offers::activity_id.eq(activity));
    }
    tx.one(query).await
}

pub async fn set_allotments_in(tx: &TenantTx, allotted: &[(OfferId, AllotmentId)]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE offers AS offer SET allotment_id = given.allotment_id
           FROM unnest($2, $3) AS given (id, allotment_id)
          WHERE offer.tenant_id = $1 AND offer.id = given.id AND offer.allotment_id IS NULL",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(allotted.iter().map(|pair| pair.0).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(allotted.iter().map(|pair| pair.1).collect::<Vec<_>>());
    tx.execute_exactly(allotted.len(), statement).await
}

/// Locks what a holder has bought of these offers (each named once), in the order of their IDs, and reads it. A tally
/// that is not there yet is made: two first orders at once must queue on one row.
pub async fn lock_tallies_in(
    tx: &TenantTx,
    holder: HolderId,
    offers: &[OfferId],
) -> Result<HashMap<OfferId, i32>, Fault> {
    #[derive(QueryableByName)]
    struct Tally {
        #[diesel(sql_type = SqlUuid)]
        offer_id: OfferId,
        #[diesel(sql_type = Integer)]
        quantity: i32,
    }
    let mut offers = offers.to_vec();
    offers.sort();
    let statement = statement(
        "INSERT INTO purchase_tallies AS tally (tenant_id, offer_id, holder_id, quantity)
         SELECT $1, wanted.offer_id, $2, 0 FROM unnest($3) AS wanted (offer_id)
         ON CONFLICT (tenant_id, offer_id, holder_id) DO UPDATE SET quantity = tally.quantity
         RETURNING tally.offer_id, tally.quantity",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(holder)
    .bind::<Array<SqlUuid>, _>(offers);
    let rows: Vec<Tally> = tx.load(statement).await?;
    Ok(rows.into_iter().map(|row| (row.offer_id, row.quantity)).collect())
}

/// A change of what a holder has bought of an offer.
pub struct TallyChange {
    pub offer: OfferId,
    pub holder: HolderId,
    pub by: i32,
}

/// Changes tallies, each named once. Locks them first in the order that [`lock_tallies_in`] locks.
pub async fn change_tallies_in(tx: &TenantTx, changes: &[TallyChange]) -> Result<(), Fault> {
    let statement = statement(
        "WITH change AS MATERIALIZED (
             SELECT tally.offer_id, tally.holder_id, wanted.by
               FROM unnest($2, $3, $4) AS wanted (offer_id, holder_id, by)
               JOIN purchase_tallies AS tally
                 ON tally.tenant_id = $1 AND tally.offer_id = wanted.offer_id AND tally.holder_id = wanted.holder_id
              ORDER BY tally.offer_id, tally.holder_id FOR NO KEY UPDATE OF tally)
         UPDATE purchase_tallies AS tally SET quantity = tally.quantity + change.by
           FROM change
          WHERE tally.tenant_id = $1 AND tally.offer_id = change.offer_id AND tally.holder_id = change.holder_id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(changes.iter().map(|change| change.offer).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(changes.iter().map(|change| change.holder).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(changes.iter().map(|change| change.by).collect::<Vec<_>>());
    tx.execute_exactly(changes.len(), statement).await
}
