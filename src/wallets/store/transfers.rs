//! SQL over transfers.

use std::collections::HashMap;
use std::time::Duration;

use diesel::sql_types::{Array, Bool, Double, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, SelectableHelper};
use uuid::Uuid;

use crate::ledger::model::LedgerKind;
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::transfers;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantTx};
use crate::tenancy::worker::Next;
use crate::wallets::model::{HolderId, ItemId, Transfer, TransferCause, TransferId, TransferState};

pub struct NewTransfer {
    pub id: TransferId,
    pub item: ItemId,
    pub from: Option<HolderId>,
    pub to: HolderId,
    pub cause: TransferCause,
    pub cause_id: Uuid,
    pub ledger: LedgerKind,
}

pub async fn insert_transfers_in(tx: &TenantTx, new: &[NewTransfer]) -> Result<Vec<Transfer>, Fault> {
    let statement = statement(
        "INSERT INTO transfers (tenant_id, id, item_id, from_holder_id, to_holder_id, cause, cause_id, ledger)
         SELECT $1, transfer.* FROM unnest($2, $3, $4, $5, $6, $7, $8) AS transfer
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|transfer| transfer.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|transfer| transfer.item).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(new.iter().map(|transfer| transfer.from).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|transfer| transfer.to).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|transfer| transfer.cause).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|transfer| transfer.cause_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|transfer| transfer.ledger).collect::<Vec<_>>());
    tx.execute_exactly(new.len(), statement).await?;
    let ids: Vec<TransferId> = new.iter().map(|transfer| transfer.id).collect();
    in_order(&ids, transfers_by_id(tx, &ids).await?)
}

pub async fn transfers_by_id(tx: &TenantTx, ids: &[TransferId]) -> Result<HashMap<TransferId, Transfer>, Fault> {
    let query =
        transfers::table.filter(transfers::tenant_id.eq(tx.tenant())).filter(transfers::id.eq_any(ids.to_vec()));
    let rows: Vec<Transfer> = tx.load(query.select(Transfer::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Locked in the order of their IDs.
pub async fn lock_transfers_in(tx: &TenantTx, ids: &[TransferId]) -> Result<Vec<Transfer>, Fault> {
    tx.load(
        transfers::table
            .filter(transfers::tenant_id.eq(tx.tenant()))
            .filter(transfers::id.eq_any(ids.to_vec()))
            .order(transfers::id)
            .select(Transfer::as_select())
            .for_no_key_update(),
    )
    .await
}

/// Those of them that are still in a state, locked; what another worker is moving is passed over.
pub async fn lock_free_transfers_in(
    tx: &TenantTx,
    state: TransferState,
    ids: &[TransferId],
) -> Result<Vec<Transfer>, Fault> {
    tx.load(
        transfers::table
            .filter(transfers::tenant_id.eq(tx.tenant()))
            .filter(transfers::id.eq_any(ids.to_vec()))
            .filter(transfers::state.eq(state))
            .order(transfers::id)
            .select(Transfer::as_select())
            .for_no_key_update()
            .skip_locked(),
    )
    .await
}

pub async fn has_open_transfer(tx: &TenantTx, item: ItemId) -> Result<bool, Fault> {
    tx.one(diesel::select(diesel::dsl::exists(
        transfers::table
            .filter(transfers::tenant_id.eq(tx.tenant()))
            .filter(transfers::item_id.eq(item))
            .filter(transfers::state.eq_any(TransferState::OPEN)),
    )))
    .await
}

/// Whether something is on its way to or from a holder.
pub async fn has_open_transfer_of(tx: &TenantTx, holder: HolderId) -> Result<bool, Fault> {
    tx.one(diesel::select(diesel::dsl::exists(
        transfers::table
            .filter(transfers::tenant_id.eq(tx.tenant()))
            .filter(transfers::from_holder_id.eq(holder).or(transfers::to_holder_id.eq(holder)))
            .filter(transfers::state.eq_any(TransferState::OPEN)),
    )))
    .await
}

/// The tenants with transfers to move on, on one ledger.
pub async fn tenants_transferring(tx: &HouseTx, ledger: LedgerKind) -> Result<Vec<EnterpriseId>, Fault> {
    tx.load(
        transfers::table
            .filter(transfers::state.eq_any(TransferState::OPEN))
            .filter(transfers::ledger.eq(ledger))
            .filter(transfers::due_at.le(diesel::dsl::now))
            .select(transfers::tenant_id)
            .distinct(),
    )
    .await
}

/// How long until the next transfer on a ledger comes due.
pub async fn next_transfer_due(tx: &HouseTx, ledger: LedgerKind) -> Result<Option<Duration>, Fault> {
    let statement = statement(
        "SELECT ceil(extract(epoch FROM min(due_at) - clock_timestamp()) * 1000)::bigint AS milliseconds
           FROM transfers WHERE ledger = $1 AND state IN ('REQUESTED', 'LOCKED', 'SUBMITTED', 'CONFIRMED', 'UNKNOWN')",
    )
    .bind::<Text, _>(ledger);
    Ok(tx.one::<Next, _, _>(statement).await?.due_in())
}

/// Transfers in one state whose time has come, longest due first, with how often in a row they were tried in vain.
pub async fn due_transfers(
    tx: &TenantTx,
    ledger: LedgerKind,
    state: TransferState,
    limit: i64,
) -> Result<Vec<(TransferId, i32)>, Fault> {
    tx.load(
        transfers::table
            .filter(transfers::tenant_id.eq(tx.tenant()))
            .filter(transfers::ledger.eq(ledger))
            .filter(transfers::state.eq(state))
            .filter(transfers::due_at.le(diesel::dsl::now))
            .order((transfers::due_at, transfers::id))
            .limit(limit)
            .select((transfers::id, transfers::attempts)),
    )
    .await
}

/// Moves transfers on; one that has come further is tried from the beginning of its patience.
pub async fn set_transfer_states_in(tx: &TenantTx, moves: &[TransferMove]) -> Result<Vec<Transfer>, Fault> {
    let statement = statement(
        "UPDATE transfers AS transfer
            SET state = change.state, failure = change.failure, version = transfer.version + 1, updated_at = now(),
                attempts = CASE WHEN change.onward THEN 0 ELSE transfer.attempts END, due_at = now()
           FROM unnest($2, $3, $4, $5) AS change (id, state, failure, onward)
          WHERE transfer.tenant_id = $1 AND transfer.id = change.id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(moves.iter().map(|change| change.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(moves.iter().map(|change| change.state).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(moves.iter().map(|change| change.failure.clone()).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(moves.iter().map(|change| change.onward).collect::<Vec<_>>());
    tx.execute_exactly(moves.len(), statement).await?;
    let ids: Vec<TransferId> = moves.iter().map(|change| change.id).collect();
    in_order(&ids, transfers_by_id(tx, &ids).await?)
}

/// Where a transfer goes.
pub struct TransferMove {
    pub id: TransferId,
    pub state: TransferState,
    /// Why it has failed.
    pub failure: Option<String>,
    /// Whether that is nearer to its end, so that its patience begins anew.
    pub onward: bool,
}

/// Tries transfers that the caller has locked again later: each with how often it was tried in vain by now, and after
/// what pause.
pub async fn put_transfers_off_in(tx: &TenantTx, pauses: &[(TransferId, i32, Duration)]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE transfers AS transfer SET attempts = later.attempts, due_at = now() + make_interval(secs => later.seconds)
           FROM unnest($2, $3, $4) AS later (id, attempts, seconds)
          WHERE transfer.tenant_id = $1 AND transfer.id = later.id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(pauses.iter().map(|pause| pause.0).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(pauses.iter().map(|pause| pause.1).collect::<Vec<_>>())
    .bind::<Array<Double>, _>(pauses.iter().map(|pause| pause.2.as_secs_f64()).collect::<Vec<_>>());
    tx.execute_exactly(pauses.len(), statement).await
}

#[derive(Clone, Debug, Default)]
pub struct TransferFilter {
    pub item: Option<ItemId>,
    pub states: Option<Vec<TransferState>>,
}

pub async fn list_transfers(
    tx: &TenantTx,
    filter: &TransferFilter,
    page: &Page<TransferId>,
) -> Result<Vec<Transfer>, Fault> {
    let query = transfers::table.filter(transfers::tenant_id.eq(tx.tenant())).select(Transfer::as_select());
    let mut query = paged!(query, transfers::id, page);
    if let Some(item) = filter.item {
        query = query.filter(transfers::item_id.eq(item));
    }
    if let Some(states) = &filter.states {
        query = query.filter(transfers::state.eq_any(states.clone()));
    }
    tx.load(query).await
}

pub async fn count_transfers(tx: &TenantTx, filter: &TransferFilter) -> Result<i64, Fault> {
    let mut query = transfers::table.filter(transfers::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(item) = filter.item {
        query = query.filter(transfers::item_id.eq(item));
    }
    if let Some(states) = &filter.states {
        query = query.filter(transfers::state.eq_any(states.clone()));
    }
    tx.one(query).await
}

fn in_order(ids: &[TransferId], mut found: HashMap<TransferId, Transfer>) -> Result<Vec<Transfer>, Fault> {
    ids.iter().map(|id| found.remove(id).ok_or(Fault::NotFound)).collect()
}
