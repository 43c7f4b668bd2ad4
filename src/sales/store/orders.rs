//! SQL over orders and their lines.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::dsl::sql;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{ExpressionMethods, IntoSql, QueryDsl, QueryableByName, SelectableHelper};
use diesel::{insert_into, update};
use uuid::Uuid;

use crate::activities::model::ActivityId;
use crate::catalog::model::{AllotmentId, CollectibleId};
use crate::paged;
use crate::platform::db::{self, statement};
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::sales::model::{MerchantId, Money, OfferId, Order, OrderId, OrderLine, OrderState, order_number};
use crate::schema::{order_lines, orders};
use crate::tenancy::model::{EnterpriseId, HolderId};
use crate::tenancy::scope::{ActorKind, HouseTx, TenantTx};

pub struct NewOrder {
    pub id: OrderId,
    pub activity: ActivityId,
    pub merchant: MerchantId,
    pub holder: HolderId,
    pub total: Money,
}

pub struct NewLine {
    pub offer: OfferId,
    pub collectible: CollectibleId,
    pub quantity: i32,
    pub unit_price_minor: i64,
}

/// An order that waits for its payment for fifteen minutes, by the database's time.
pub async fn insert_order_in(tx: &TenantTx, new: &NewOrder, lines: &[NewLine]) -> Result<Order, Fault> {
    let row = (
        orders::tenant_id.eq(tx.tenant()),
        orders::id.eq(new.id),
        orders::number.eq(order_number(new.id)),
        orders::activity_id.eq(new.activity),
        orders::merchant_id.eq(new.merchant),
        orders::holder_id.eq(new.holder),
        orders::state.eq(OrderState::PendingPayment),
        orders::total_minor.eq(new.total.amount_minor),
        orders::currency.eq(new.total.currency),
        orders::undelivered.eq(0),
        orders::expires_at.eq(sql::<Timestamptz>("now() + interval '15 minutes'")),
    );
    let statement = insert_into(orders::table).values(row).on_conflict_do_nothing().returning(Order::as_returning());
    // Two IDs may, once in a long while, give one number. Another try has another ID.
    let order = tx
        .optional(statement)
        .await?
        .ok_or_else(|| Fault::Contended(anyhow::anyhow!("{} gives a number that is taken", new.id)))?;
    let statement = db::statement(
        "INSERT INTO order_lines (tenant_id, order_id, position, holder_id, offer_id, collectible_id, quantity, unit_price_minor)
         SELECT $1, $2, line.position, $3, line.offer_id, line.collectible_id, line.quantity, line.unit_price_minor
           FROM unnest($4, $5, $6, $7, $8) AS line (position, offer_id, collectible_id, quantity, unit_price_minor)
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(new.id)
    .bind::<SqlUuid, _>(new.holder)
    .bind::<Array<Integer>, _>((0..lines.len() as i32).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(lines.iter().map(|line| line.offer).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(lines.iter().map(|line| line.collectible).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(lines.iter().map(|line| line.quantity).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(lines.iter().map(|line| line.unit_price_minor).collect::<Vec<_>>());
    tx.execute_exactly(lines.len(), statement).await?;
    Ok(order)
}

/// Whose orders this transaction may see, if not everybody's. Row security says the same where a person reads; this
/// also holds where a use case works for them as the tenant.
fn only(tx: &TenantTx) -> Option<HolderId> {
    (tx.actor().kind == ActorKind::Holder).then(|| HolderId::from_uuid(tx.actor().id))
}

pub async fn orders_by_id(tx: &TenantTx, ids: &[OrderId]) -> Result<HashMap<OrderId, Order>, Fault> {
    let mut query = orders::table
        .filter(orders::tenant_id.eq(tx.tenant()))
        .filter(orders::id.eq_any(ids.to_vec()))
        .select(Order::as_select())
        .into_boxed();
    if let Some(holder) = only(tx) {
        query = query.filter(orders::holder_id.eq(holder));
    }
    let rows: Vec<Order> = tx.load(query).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Locked in the order of their IDs.
pub async fn lock_orders_in(tx: &TenantTx, ids: &[OrderId]) -> Result<Vec<Order>, Fault> {
    let query = orders::table
        .filter(orders::tenant_id.eq(tx.tenant()))
        .filter(orders::id.eq_any(ids.to_vec()))
        .order(orders::id)
        .select(Order::as_select())
        .for_no_key_update();
    let mut rows: Vec<Order> = tx.load(query).await?;
    rows.retain(|order| only(tx).is_none_or(|holder| holder == order.holder_id));
    Ok(rows)
}

/// Whether a holder has an order that money or pieces are still owed for.
pub async fn has_open(tx: &TenantTx, holder: HolderId) -> Result<bool, Fault> {
    tx.one(diesel::select(diesel::dsl::exists(
        orders::table
            .filter(orders::tenant_id.eq(tx.tenant()))
            .filter(orders::holder_id.eq(holder))
            .filter(orders::state.eq_any(OrderState::OPEN)),
    )))
    .await
}

pub async fn order_id_by_number(tx: &TenantTx, number: &str) -> Result<Option<OrderId>, Fault> {
    tx.optional(
        orders::table
            .filter(orders::tenant_id.eq(tx.tenant()))
            .filter(orders::number.eq(number.to_owned()))
            .select(orders::id),
    )
    .await
}

/// Whether an order's time to pay has run out, by the database's time.
pub async fn is_overdue(tx: &TenantTx, id: OrderId) -> Result<bool, Fault> {
    tx.one(
        orders::table
            .filter(orders::tenant_id.eq(tx.tenant()))
            .filter(orders::id.eq(id))
            .select(sql::<Bool>("expires_at <= now()")),
    )
    .await
}

pub async fn lines_of(tx: &TenantTx, orders: &[OrderId]) -> Result<Vec<OrderLine>, Fault> {
    tx.load(
        order_lines::table
            .filter(order_lines::tenant_id.eq(tx.tenant()))
            .filter(order_lines::order_id.eq_any(orders.to_vec()))
            .order((order_lines::order_id, order_lines::position))
            .select(OrderLine::as_select()),
    )
    .await
}

/// What a line holds of which allotment, and whose limit it counts against.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct ReservedLine {
    #[diesel(sql_type = SqlUuid)]
    pub order_id: OrderId,
    #[diesel(sql_type = SqlUuid)]
    pub holder_id: HolderId,
    #[diesel(sql_type = SqlUuid)]
    pub offer_id: OfferId,
    #[diesel(sql_type = SqlUuid)]
    pub allotment_id: AllotmentId,
    #[diesel(sql_type = SqlUuid)]
    pub collectible_id: CollectibleId,
    #[diesel(sql_type = Integer)]
    pub position: i32,
    #[diesel(sql_type = Integer)]
    pub quantity: i32,
}

pub async fn reserved_lines(tx: &TenantTx, orders: &[OrderId]) -> Result<Vec<ReservedLine>, Fault> {
    let statement = statement(
        "SELECT line.order_id, line.holder_id, line.offer_id, offer.allotment_id, line.collectible_id, line.position, line.quantity
           FROM order_lines AS line
           JOIN offers AS offer ON offer.tenant_id = $1 AND offer.id = line.offer_id
          WHERE line.tenant_id = $1 AND line.order_id = ANY($2)
          ORDER BY line.order_id, line.position",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(orders.to_vec());
    tx.load(statement).await
}

/// Writes one state for orders under lock and counts their versions up. In the order of their IDs.
pub async fn set_order_states_in(tx: &TenantTx, ids: &[OrderId], state: OrderState) -> Result<Vec<Order>, Fault> {
    let statement = update(orders::table)
        .filter(orders::tenant_id.eq(tx.tenant()))
        .filter(orders::id.eq_any(ids.to_vec()))
        .set((
            orders::state.eq(state),
            orders::version.eq(orders::version + 1),
            orders::updated_at.eq(diesel::dsl::now.into_sql::<Timestamptz>()),
        ))
        .returning(Order::as_returning());
    in_order(ids.len(), tx.load(statement).await?)
}

pub async fn set_paid_in(tx: &TenantTx, id: OrderId) -> Result<Order, Fault> {
    tx.one(
        update(orders::table)
            .filter(orders::tenant_id.eq(tx.tenant()))
            .filter(orders::id.eq(id))
            .set((
                orders::state.eq(OrderState::Paid),
                orders::paid_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()),
                orders::version.eq(orders::version + 1),
                orders::updated_at.eq(diesel::dsl::now.into_sql::<Timestamptz>()),
            ))
            .returning(Order::as_returning()),
    )
    .await
}

/// Where each order stands with the pieces it waits for.
pub async fn set_undelivered_in(tx: &TenantTx, changes: &[(OrderId, OrderState, i32)]) -> Result<Vec<Order>, Fault> {
    let statement = statement(
        "UPDATE orders AS bought
            SET state = change.state, undelivered = change.undelivered, version = bought.version + 1, updated_at = now()
           FROM unnest($2, $3, $4) AS change (id, state, undelivered)
          WHERE bought.tenant_id = $1 AND bought.id = change.id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(changes.iter().map(|change| change.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(changes.iter().map(|change| change.1).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(changes.iter().map(|change| change.2).collect::<Vec<_>>());
    tx.execute_exactly(changes.len(), statement).await?;
    let ids: Vec<OrderId> = changes.iter().map(|change| change.0).collect();
    in_order(ids.len(), orders_by_id(tx, &ids).await?.into_values().collect())
}

/// The first serial number of each line of an order, by position.
pub async fn set_first_serials_in(tx: &TenantTx, order: OrderId, firsts: &[(i32, i32)]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE order_lines AS line SET first_serial = given.first_serial
           FROM unnest($3, $4) AS given (position, first_serial)
          WHERE line.tenant_id = $1 AND line.order_id = $2 AND line.position = given.position AND line.first_serial IS NULL",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(order)
    .bind::<Array<Integer>, _>(firsts.iter().map(|first| first.0).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(firsts.iter().map(|first| first.1).collect::<Vec<_>>());
    tx.execute_exactly(firsts.len(), statement).await
}

/// How many pieces came off one allotment for one order.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct Arrival {
    #[diesel(sql_type = SqlUuid)]
    pub order_id: OrderId,
    #[diesel(sql_type = SqlUuid)]
    pub allotment_id: AllotmentId,
    #[diesel(sql_type = Integer)]
    pub pieces: i32,
}

/// Finds the line of each piece by its serial number: an order may have two lines of one collectible.
pub async fn arrivals(tx: &TenantTx, pieces: &[(OrderId, CollectibleId, i32)]) -> Result<Vec<Arrival>, Fault> {
    let statement = statement(
        "SELECT line.order_id, offer.allotment_id, count(*)::integer AS pieces
           FROM unnest($2, $3, $4) AS piece (order_id, collectible_id, serial)
           JOIN order_lines AS line
             ON line.tenant_id = $1 AND line.order_id = piece.order_id AND line.collectible_id = piece.collectible_id
            AND piece.serial >= line.first_serial AND piece.serial < line.first_serial + line.quantity
           JOIN offers AS offer ON offer.tenant_id = $1 AND offer.id = line.offer_id
          GROUP BY line.order_id, offer.allotment_id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(pieces.iter().map(|piece| piece.0).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(pieces.iter().map(|piece| piece.1).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(pieces.iter().map(|piece| piece.2).collect::<Vec<_>>());
    tx.load(statement).await
}

// Both name the state in the text, not as a bind: a plan made for any state could not use the partial index.
const UNPAID: &str = "state = 'PENDING_PAYMENT'";

/// The tenants with orders whose time has run out.
pub async fn tenants_expiring(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    tx.load(
        orders::table
            .filter(sql::<Bool>(UNPAID))
            .filter(orders::expires_at.le(diesel::dsl::now))
            .select(orders::tenant_id)
            .distinct(),
    )
    .await
}

/// Orders whose time has run out, locked; what a payment or another worker holds is passed over.
pub async fn lock_overdue_in(tx: &TenantTx, limit: i64) -> Result<Vec<Order>, Fault> {
    tx.load(
        orders::table
            .filter(orders::tenant_id.eq(tx.tenant()))
            .filter(sql::<Bool>(UNPAID))
            .filter(orders::expires_at.le(diesel::dsl::now))
            .order((orders::expires_at, orders::id))
            .limit(limit)
            .select(Order::as_select())
            .for_no_key_update()
            .skip_locked(),
    )
    .await
}

#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    pub states: Option<Vec<OrderState>>,
    pub activity: Option<ActivityId>,
    pub merchant: Option<MerchantId>,
    pub created_from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub created_to: Option<DateTime<Utc>>,
}

/// The smallest ID that can have been made at a time, an hour's slack for clocks that differ. It bounds the walk along
/// an index that ends in the ID; `created_at` decides.
fn earliest_id(at: DateTime<Utc>, slack: TimeDelta) -> OrderId {
    let millis = at.checked_add_signed(slack).unwrap_or(at).timestamp_millis().clamp(0, (1 << 48) - 1);
    OrderId::from_uuid(Uuid::from_u128((millis as u128) << 80))
}

macro_rules! filtered {
    ($tx:expr, $query:expr, $filter:expr) => {{
        let (mut query, filter) = ($query, $filter);
        if let Some(holder) = only($tx) {
            query = query.filter(orders::holder_id.eq(holder));
        }
        if let Some(states) = &filter.states {
            query = query.filter(orders::state.eq_any(states.clone()));
        }
        if let Some(activity) = filter.activity {
            query = query.filter(orders::activity_id.eq(activity));
        }
        if let Some(merchant) = filter.merchant {
            query = query.filter(orders::merchant_id.eq(merchant));
        }
        if let Some(from) = filter.created_from {
            query = query
                .filter(orders::created_at.ge(from))
                .filter(orders::id.ge(earliest_id(from, -TimeDelta::hours(1))));
        }
        if let Some(to) = filter.created_to {
            query = query.filter(orders::created_at.lt(to)).filter(orders::id.lt(earliest_id(to, TimeDelta::hours(1))));
        }
        query
    }};
}

pub async fn list_orders(tx: &TenantTx, filter: &OrderFilter, page: &Page<OrderId>) -> Result<Vec<Order>, Fault> {
    let query = orders::table.filter(orders::tenant_id.eq(tx.tenant())).select(Order::as_select());
    tx.load(filtered!(tx, paged!(query, orders::id, page), filter)).await
}

pub async fn count_orders(tx: &TenantTx, filter: &OrderFilter) -> Result<i64, Fault> {
    let query = orders::table.filter(orders::tenant_id.eq(tx.tenant())).count().into_boxed();
    tx.one(filtered!(tx, query, filter)).await
}

fn in_order(due: usize, mut rows: Vec<Order>) -> Result<Vec<Order>, Fault> {
    if rows.len() != due {
        return Err(Fault::internal(anyhow::anyhow!("{due} orders were to change, {} did", rows.len())));
    }
    rows.sort_by_key(|order| order.id);
    Ok(rows)
}
