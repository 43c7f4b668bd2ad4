//! SQL over what enterprises say of series and collectibles.

use diesel::dsl::{exists, select};
use diesel::sql_types::Timestamptz;
use diesel::{ExpressionMethods, IntoSql, QueryDsl, SelectableHelper, delete, insert_into, update};

use crate::catalog::model::design::{Design, SeriesDesign};
use crate::catalog::model::{Collectible, CollectibleId, CollectibleState, Series, SeriesId};
use crate::platform::fault::Fault;
use crate::schema::{collectible_stocks, collectibles, series};
use crate::tenancy::scope::TenantTx;

/// A series' columns, for an insertion and a change alike.
macro_rules! series_columns {
    ($design:expr) => {
        (
            series::name_chinese.eq($design.name_chinese.clone()),
            series::name_english.eq($design.name_english.clone()),
            series::description_chinese.eq($design.description_chinese.clone()),
            series::description_english.eq($design.description_english.clone()),
            series::cover_id.eq($design.cover_id),
        )
    };
}

/// A collectible's, likewise.
macro_rules! collectible_columns {
    ($design:expr) => {
        (
            collectibles::series_id.eq($design.series_id),
            collectibles::name_chinese.eq($design.name_chinese.clone()),
            collectibles::name_english.eq($design.name_english.clone()),
            collectibles::description_chinese.eq($design.description_chinese.clone()),
            collectibles::description_english.eq($design.description_english.clone()),
            collectibles::author.eq($design.author.clone()),
            collectibles::image_url.eq($design.image_url.clone()),
            collectibles::cover_id.eq($design.cover_id),
            collectibles::media_id.eq($design.media_id),
            collectibles::copyright_proof_id.eq($design.copyright_proof_id),
            collectibles::filing_number.eq($design.filing_number.clone()),
            collectibles::flag.eq($design.flag.clone()),
            collectibles::metadata.eq($design.metadata.clone()),
            collectibles::attributes.eq($design.attributes.clone()),
            collectibles::supply.eq($design.supply),
            collectibles::first_serial.eq($design.first_serial),
        )
    };
}

pub async fn insert_series_in(tx: &TenantTx, id: SeriesId, design: &SeriesDesign) -> Result<Series, Fault> {
    let row = (series::tenant_id.eq(tx.tenant()), series::id.eq(id), series_columns!(design));
    tx.one(insert_into(series::table).values(row).returning(Series::as_returning())).await
}

pub async fn set_series_in(tx: &TenantTx, id: SeriesId, design: &SeriesDesign) -> Result<Series, Fault> {
    tx.one(
        update(series::table)
            .filter(series::tenant_id.eq(tx.tenant()))
            .filter(series::id.eq(id))
            .set((
                series_columns!(design),
                series::version.eq(series::version + 1),
                series::updated_at.eq(diesel::dsl::now.into_sql::<Timestamptz>()),
            ))
            .returning(Series::as_returning()),
    )
    .await
}

/// One series, locked: nobody changes it, or hands in one of its collectibles, before the transaction ends.
pub async fn lock_series_in(tx: &TenantTx, id: SeriesId) -> Result<Option<Series>, Fault> {
    tx.optional(
        series::table
            .filter(series::tenant_id.eq(tx.tenant()))
            .filter(series::id.eq(id))
            .select(Series::as_select())
            .for_no_key_update(),
    )
    .await
}

/// Whether the house has come to see any of its collectibles.
pub async fn has_been_submitted(tx: &TenantTx, id: SeriesId) -> Result<bool, Fault> {
    let seen = collectibles::table
        .filter(collectibles::tenant_id.eq(tx.tenant()))
        .filter(collectibles::series_id.eq(id))
        .filter(collectibles::state.ne_all([CollectibleState::Draft, CollectibleState::Rejected]));
    tx.one(select(exists(seen))).await
}

pub async fn insert_collectible_in(tx: &TenantTx, id: CollectibleId, design: &Design) -> Result<Collectible, Fault> {
    let row = (collectibles::tenant_id.eq(tx.tenant()), collectibles::id.eq(id), collectible_columns!(design));
    let collectible =
        tx.one(insert_into(collectibles::table).values(row).returning(Collectible::as_returning())).await?;
    let stock = (
        collectible_stocks::tenant_id.eq(tx.tenant()),
        collectible_stocks::collectible_id.eq(id),
        collectible_stocks::supply.eq(design.supply),
        collectible_stocks::unallotted.eq(design.supply),
        collectible_stocks::next_serial.eq(design.first_serial),
    );
    tx.execute_exactly(1, insert_into(collectible_stocks::table).values(stock)).await?;
    Ok(collectible)
}

pub async fn set_design_in(tx: &TenantTx, id: CollectibleId, design: &Design) -> Result<Collectible, Fault> {
    tx.one(
        update(collectibles::table)
            .filter(collectibles::tenant_id.eq(tx.tenant()))
            .filter(collectibles::id.eq(id))
            .set((
                collectible_columns!(design),
                collectibles::version.eq(collectibles::version + 1),
                collectibles::updated_at.eq(diesel::dsl::now.into_sql::<Timestamptz>()),
            ))
            .returning(Collectible::as_returning()),
    )
    .await
}

/// The stock of a draft that was planned anew. Nothing of it is set aside yet.
pub async fn set_planned_stock_in(tx: &TenantTx, id: CollectibleId, design: &Design) -> Result<(), Fault> {
    let statement = update(collectible_stocks::table)
        .filter(collectible_stocks::tenant_id.eq(tx.tenant()))
        .filter(collectible_stocks::collectible_id.eq(id))
        .filter(collectible_stocks::allotted.eq(0))
        .set((
            collectible_stocks::supply.eq(design.supply),
            collectible_stocks::unallotted.eq(design.supply),
            collectible_stocks::next_serial.eq(design.first_serial),
        ));
    tx.execute_exactly(1, statement).await
}

/// The main medium's SM3, with the approval. The row's lock is held.
pub async fn freeze_media_in(tx: &TenantTx, id: CollectibleId, sm3: Option<Vec<u8>>) -> Result<(), Fault> {
    let statement = update(collectibles::table)
        .filter(collectibles::tenant_id.eq(tx.tenant()))
        .filter(collectibles::id.eq(id))
        .set(collectibles::media_sm3.eq(sm3));
    tx.execute_exactly(1, statement).await
}

/// A draft goes, and its stock, of which nothing is set aside.
pub async fn remove_collectible_in(tx: &TenantTx, id: CollectibleId) -> Result<(), Fault> {
    let stock = delete(collectible_stocks::table)
        .filter(collectible_stocks::tenant_id.eq(tx.tenant()))
        .filter(collectible_stocks::collectible_id.eq(id))
        .filter(collectible_stocks::allotted.eq(0));
    tx.execute_exactly(1, stock).await?;
    let draft = delete(collectibles::table)
        .filter(collectibles::tenant_id.eq(tx.tenant()))
        .filter(collectibles::id.eq(id))
        .filter(collectibles::state.eq(CollectibleState::Draft));
    tx.execute_exactly(1, draft).await
}
