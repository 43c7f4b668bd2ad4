//! SQL over series, collectibles and their stock. Issuances stand in a file of their own beside this one.

pub mod issuances;

pub mod changes;
pub mod designs;

use std::collections::{BTreeMap, HashMap};

use diesel::sql_types::{Array, Integer, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, IntoSql, QueryDsl, QueryableByName, SelectableHelper, insert_into, update};
use uuid::Uuid;

use crate::catalog::model::{
    Allotment, AllotmentId, Collectible, CollectibleId, CollectibleState, CollectibleStock, Series, SeriesId,
    StockMove, StockReason,
};
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::platform::page::Page;
use crate::schema::{allotments, collectible_stocks, collectibles, series};
use crate::tenancy::scope::TenantTx;

pub async fn series_by_id(tx: &TenantTx, ids: &[SeriesId]) -> Result<HashMap<SeriesId, Series>, Fault> {
    let query = series::table.filter(series::tenant_id.eq(tx.tenant())).filter(series::id.eq_any(ids.to_vec()));
    let rows: Vec<Series> = tx.load(query.select(Series::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub async fn list_series(tx: &TenantTx, page: &Page<SeriesId>) -> Result<Vec<Series>, Fault> {
    let query = series::table.filter(series::tenant_id.eq(tx.tenant())).select(Series::as_select());
    tx.load(paged!(query, series::id, page)).await
}

pub async fn count_series(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(series::table.filter(series::tenant_id.eq(tx.tenant())).count()).await
}

pub async fn collectibles_by_id(
    tx: &TenantTx,
    ids: &[CollectibleId],
) -> Result<HashMap<CollectibleId, Collectible>, Fault> {
    let query = collectibles::table
        .filter(collectibles::tenant_id.eq(tx.tenant()))
        .filter(collectibles::id.eq_any(ids.to_vec()));
    let rows: Vec<Collectible> = tx.load(query.select(Collectible::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// One collectible, locked until the transaction ends.
pub async fn lock_collectible_in(tx: &TenantTx, id: CollectibleId) -> Result<Option<Collectible>, Fault> {
    tx.optional(
        collectibles::table
            .filter(collectibles::tenant_id.eq(tx.tenant()))
            .filter(collectibles::id.eq(id))
            .select(Collectible::as_select())
            .for_no_key_update(),
    )
    .await
}

#[derive(Clone, Debug, Default)]
pub struct CollectibleFilter {
    pub series: Option<SeriesId>,
    pub states: Option<Vec<CollectibleState>>,
}

pub async fn list_collectibles(
    tx: &TenantTx,
    filter: &CollectibleFilter,
    page: &Page<CollectibleId>,
) -> Result<Vec<Collectible>, Fault> {
    let query = collectibles::table.filter(collectibles::tenant_id.eq(tx.tenant())).select(Collectible::as_select());
    let mut query = paged!(query, collectibles::id, page);
    if let Some(series) = filter.series {
        query = query.filter(collectibles::series_id.eq(series));
    }
    if let Some(states) = &filter.states {
        query = query.filter(collectibles::state.eq_any(states.clone()));
    }
    tx.load(query).await
}

pub async fn count_collectibles(tx: &TenantTx, filter: &CollectibleFilter) -> Result<i64, Fault> {
    let mut query = collectibles::table.filter(collectibles::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(series) = filter.series {
        query = query.filter(collectibles::series_id.eq(series));
    }
    if let Some(states) = &filter.states {
        query = query.filter(collectibles::state.eq_any(states.clone()));
    }
    tx.one(query).await
}

/// The first `limit` collectibles of each series, in one statement.
pub async fn collectibles_of_series(
    tx: &TenantTx,
    series: &[SeriesId],
    limit: i64,
) -> Result<HashMap<SeriesId, Vec<Collectible>>, Fault> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = SqlUuid)]
        id: CollectibleId,
    }
    let statement = statement(
        "SELECT first.id
           FROM unnest($2) AS wanted (series_id)
          CROSS JOIN LATERAL (SELECT id FROM collectibles
                               WHERE tenant_id = $1 AND series_id = wanted.series_id ORDER BY id LIMIT $3) AS first",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(series.to_vec())
    .bind::<diesel::sql_types::BigInt, _>(limit);
    let ids: Vec<CollectibleId> = tx.load::<Found, _, _>(statement).await?.into_iter().map(|found| found.id).collect();
    let mut rows: Vec<Collectible> = collectibles_by_id(tx, &ids).await?.into_values().collect();
    rows.sort_by_key(|row| row.id);
    let mut grouped: HashMap<SeriesId, Vec<Collectible>> = HashMap::new();
    for row in rows {
        grouped.entry(row.series_id).or_default().push(row);
    }
    Ok(grouped)
}

/// What changes with a collectible's state.
#[derive(Clone, Debug)]
pub struct StateChange {
    pub state: CollectibleState,
    pub review_remark: Option<String>,
    pub issued_count: i32,
}

/// Writes a new state under the row's lock and counts the version up.
pub async fn set_state_in(tx: &TenantTx, id: CollectibleId, change: StateChange) -> Result<Collectible, Fault> {
    tx.one(
        update(collectibles::table)
            .filter(collectibles::tenant_id.eq(tx.tenant()))
            .filter(collectibles::id.eq(id))
            .set((
                collectibles::state.eq(change.state),
                collectibles::review_remark.eq(change.review_remark),
                collectibles::issued_count.eq(change.issued_count),
                collectibles::version.eq(collectibles::version + 1),
                collectibles::updated_at.eq(diesel::dsl::now.into_sql::<diesel::sql_types::Timestamptz>()),
            ))
            .returning(Collectible::as_returning()),
    )
    .await
}

pub async fn stocks_by_collectible(
    tx: &TenantTx,
    ids: &[CollectibleId],
) -> Result<HashMap<CollectibleId, CollectibleStock>, Fault> {
    let query = collectible_stocks::table
        .filter(collectible_stocks::tenant_id.eq(tx.tenant()))
        .filter(collectible_stocks::collectible_id.eq_any(ids.to_vec()));
    let rows: Vec<CollectibleStock> = tx.load(query.select(CollectibleStock::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.collectible_id, row)).collect())
}

pub async fn allotments_by_id(tx: &TenantTx, ids: &[AllotmentId]) -> Result<HashMap<AllotmentId, Allotment>, Fault> {
    let query =
        allotments::table.filter(allotments::tenant_id.eq(tx.tenant())).filter(allotments::id.eq_any(ids.to_vec()));
    let rows: Vec<Allotment> = tx.load(query.select(Allotment::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Takes pieces off what is not set aside; gives the first of their serial numbers.
pub async fn take_unallotted_in(tx: &TenantTx, id: CollectibleId, quantity: i32) -> Result<Option<i32>, Fault> {
    #[derive(QueryableByName)]
    struct Taken {
        #[diesel(sql_type = Integer)]
        first_serial: i32,
    }
    let statement = statement(
        "UPDATE collectible_stocks AS stock
            SET unallotted = stock.unallotted - $3, allotted = stock.allotted + $3, next_serial = stock.next_serial + $3
           FROM collectibles
          WHERE stock.tenant_id = $1 AND stock.collectible_id = $2 AND stock.unallotted >= $3
            AND collectibles.tenant_id = $1 AND collectibles.id = $2 AND collectibles.state = 'ISSUED'
         RETURNING stock.next_serial - $3 AS first_serial",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(id)
    .bind::<Integer, _>(quantity);
    Ok(tx.optional::<Taken, _, _>(statement).await?.map(|taken| taken.first_serial))
}

pub async fn insert_allotment_in(
    tx: &TenantTx,
    id: AllotmentId,
    collectible: Option<CollectibleId>,
    activity: Uuid,
    first_serial: i32,
    quantity: i32,
) -> Result<(), Fault> {
    let row = (
        allotments::tenant_id.eq(tx.tenant()),
        allotments::id.eq(id),
        allotments::collectible_id.eq(collectible),
        allotments::activity_id.eq(activity),
        allotments::total.eq(quantity),
        allotments::available.eq(quantity),
        allotments::next_serial.eq(first_serial),
        allotments::end_serial.eq(first_serial + quantity),
    );
    tx.execute_exactly(1, insert_into(allotments::table).values(row)).await?;
    let set_aside =
        StockMove { available: quantity, reserved: 0, ..StockMove::award(id, StockReason::Allotted, activity, 0) };
    insert_stock_entries_in(tx, &[set_aside]).await
}

pub async fn lock_allotments_in(tx: &TenantTx, ids: &[AllotmentId]) -> Result<Vec<Allotment>, Fault> {
    tx.load(
        allotments::table
            .filter(allotments::tenant_id.eq(tx.tenant()))
            .filter(allotments::id.eq_any(ids.to_vec()))
            .order(allotments::id)
            .select(Allotment::as_select())
            .for_no_key_update(),
    )
    .await
}

/// One update for all; gives the first serial number taken off each run. An allotment without the stock is left out.
pub async fn apply_stock_moves_in(
    tx: &TenantTx,
    moves: impl ExactSizeIterator<Item = &StockMove> + Clone,
) -> Result<BTreeMap<AllotmentId, i32>, Fault> {
    #[derive(QueryableByName)]
    struct Applied {
        #[diesel(sql_type = SqlUuid)]
        id: AllotmentId,
        #[diesel(sql_type = Integer)]
        first_serial: i32,
    }
    let column = |pick: fn(&StockMove) -> i32| moves.clone().map(pick).collect::<Vec<i32>>();
    let statement = statement(
        "UPDATE allotments AS allotment
            SET available = allotment.available + change.available, reserved = allotment.reserved + change.reserved,
                issued = allotment.issued + change.issued, void = allotment.void + change.void,
                next_serial = allotment.next_serial + change.serials
           FROM unnest($2, $3, $4, $5, $6, $7) AS change (id, available, reserved, issued, void, serials)
          WHERE allotment.tenant_id = $1 AND allotment.id = change.id
            AND allotment.available + change.available >= 0 AND allotment.reserved + change.reserved >= 0
         RETURNING allotment.id, allotment.next_serial - change.serials AS first_serial",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(moves.clone().map(|change| change.allotment).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(column(|change| change.available))
    .bind::<Array<Integer>, _>(column(|change| change.reserved))
    .bind::<Array<Integer>, _>(column(|change| change.issued))
    .bind::<Array<Integer>, _>(column(|change| change.void))
    .bind::<Array<Integer>, _>(column(|change| change.serials));
    let rows: Vec<Applied> = tx.load(statement).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.first_serial)).collect())
}

pub async fn insert_stock_entries_in(tx: &TenantTx, moves: &[StockMove]) -> Result<(), Fault> {
    let column = |pick: fn(&StockMove) -> i32| moves.iter().map(pick).collect::<Vec<i32>>();
    let statement = statement(
        "INSERT INTO stock_entries (tenant_id, id, allotment_id, reason, subject_id, available_delta, reserved_delta, issued_delta, void_delta)
         SELECT $1, entry.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9) AS entry
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(moves.iter().map(|_| id::generate()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(moves.iter().map(|change| change.allotment).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(moves.iter().map(|change| change.reason).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(moves.iter().map(|change| change.subject).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(column(|change| change.available))
    .bind::<Array<Integer>, _>(column(|change| change.reserved))
    .bind::<Array<Integer>, _>(column(|change| change.issued))
    .bind::<Array<Integer>, _>(column(|change| change.void));
    tx.execute_exactly(moves.len(), statement).await
}
