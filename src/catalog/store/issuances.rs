//! SQL over issuances and their batches.

use std::collections::HashMap;
use std::time::Duration;

use diesel::sql_types::{Array, Double, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, insert_into, update};

use crate::catalog::issuance::{Batch, BatchState, Issuance, Tally};
use crate::catalog::model::CollectibleId;
use crate::ledger::model::{LedgerKind, OperationId};
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::schema::{issuance_batches, issuances};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantTx};
use crate::tenancy::worker::Next;

pub async fn insert_issuance_in(
    tx: &TenantTx,
    collectible: CollectibleId,
    ledger: LedgerKind,
    operation: OperationId,
    plan: &[Batch],
) -> Result<(), Fault> {
    let row = (
        issuances::tenant_id.eq(tx.tenant()),
        issuances::collectible_id.eq(collectible),
        issuances::ledger.eq(ledger),
        issuances::operation_id.eq(operation),
        issuances::batch_count.eq(plan.len() as i32),
    );
    tx.execute_exactly(1, insert_into(issuances::table).values(row)).await?;
    let column = |pick: fn(&Batch) -> i32| plan.iter().map(pick).collect::<Vec<_>>();
    let statement = statement(
        "INSERT INTO issuance_batches (tenant_id, collectible_id, number, operation_id, first_serial, count)
         SELECT $1, $2, batch.* FROM unnest($3, $4, $5, $6) AS batch ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(collectible)
    .bind::<Array<Integer>, _>(column(|batch| batch.number))
    .bind::<Array<SqlUuid>, _>(plan.iter().map(|batch| batch.operation_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(column(|batch| batch.first_serial))
    .bind::<Array<Integer>, _>(column(|batch| batch.count));
    tx.execute_exactly(plan.len(), statement).await
}

pub async fn issuances_by_collectible(
    tx: &TenantTx,
    ids: &[CollectibleId],
) -> Result<HashMap<CollectibleId, Issuance>, Fault> {
    let query = issuances::table
        .filter(issuances::tenant_id.eq(tx.tenant()))
        .filter(issuances::collectible_id.eq_any(ids.to_vec()));
    let rows: Vec<Issuance> = tx.load(query.select(Issuance::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.collectible_id, row)).collect())
}

/// The tenants with an issuance to move on, on one ledger.
pub async fn tenants_issuing(tx: &HouseTx, ledger: LedgerKind) -> Result<Vec<EnterpriseId>, Fault> {
    tx.load(
        issuances::table
            .filter(issuances::ledger.eq(ledger))
            .filter(issuances::due_at.le(diesel::dsl::now))
            .select(issuances::tenant_id)
            .distinct(),
    )
    .await
}

/// How long until the next issuance on a ledger comes due.
pub async fn next_due(tx: &HouseTx, ledger: LedgerKind) -> Result<Option<Duration>, Fault> {
    let statement = statement(
        "SELECT ceil(extract(epoch FROM min(due_at) - clock_timestamp()) * 1000)::bigint AS milliseconds
           FROM issuances WHERE ledger = $1 AND due_at IS NOT NULL",
    )
    .bind::<Text, _>(ledger);
    Ok(tx.one::<Next, _, _>(statement).await?.due_in())
}

/// What of this tenant and ledger the worker has to move on, longest due first.
pub async fn due_issuances(tx: &TenantTx, ledger: LedgerKind, limit: i64) -> Result<Vec<Issuance>, Fault> {
    tx.load(
        issuances::table
            .filter(issuances::tenant_id.eq(tx.tenant()))
            .filter(issuances::ledger.eq(ledger))
            .filter(issuances::due_at.le(diesel::dsl::now))
            .order(issuances::due_at)
            .limit(limit)
            .select(Issuance::as_select()),
    )
    .await
}

/// The issuance under lock, if it is still under way and no other worker is at it.
pub async fn lock_issuance_in(tx: &TenantTx, id: CollectibleId) -> Result<Option<Issuance>, Fault> {
    tx.optional(
        issuances::table
            .filter(issuances::tenant_id.eq(tx.tenant()))
            .filter(issuances::collectible_id.eq(id))
            .filter(issuances::due_at.is_not_null())
            .select(Issuance::as_select())
            .for_no_key_update()
            .skip_locked(),
    )
    .await
}

/// The first batches in a state, in the order of their numbers.
pub async fn batches(tx: &TenantTx, id: CollectibleId, state: BatchState, limit: i64) -> Result<Vec<Batch>, Fault> {
    tx.load(
        issuance_batches::table
            .filter(issuance_batches::tenant_id.eq(tx.tenant()))
            .filter(issuance_batches::collectible_id.eq(id))
            .filter(issuance_batches::state.eq(state))
            .order(issuance_batches::number)
            .limit(limit)
            .select(Batch::as_select()),
    )
    .await
}

/// Moves batches of an issuance that the caller has locked; gives those that were still in `from`. They go by the names
/// under which the ledger has them: one that was tried anew meanwhile has another, and is not meant.
pub async fn move_batches_in(
    tx: &TenantTx,
    id: CollectibleId,
    names: &[OperationId],
    from: BatchState,
    to: BatchState,
) -> Result<Vec<Batch>, Fault> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut moved: Vec<Batch> = tx
        .load(
            update(issuance_batches::table)
                .filter(issuance_batches::tenant_id.eq(tx.tenant()))
                .filter(issuance_batches::collectible_id.eq(id))
                .filter(issuance_batches::operation_id.eq_any(names.to_vec()))
                .filter(issuance_batches::state.eq(from))
                .set(issuance_batches::state.eq(to))
                .returning(Batch::as_returning()),
        )
        .await?;
    moved.sort_by_key(|batch| batch.number);
    Ok(moved)
}

/// Writes batches down that were refused and are to be tried anew.
pub async fn renew_batches_in(tx: &TenantTx, id: CollectibleId, anew: &[Batch]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE issuance_batches AS batch SET operation_id = anew.operation_id, refusals = anew.refusals, state = 'WAITING'
           FROM unnest($3, $4, $5) AS anew (number, operation_id, refusals)
          WHERE batch.tenant_id = $1 AND batch.collectible_id = $2 AND batch.number = anew.number AND batch.state = 'REFUSED'",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(id)
    .bind::<Array<Integer>, _>(anew.iter().map(|batch| batch.number).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(anew.iter().map(|batch| batch.operation_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(anew.iter().map(|batch| batch.refusals).collect::<Vec<_>>());
    tx.execute_exactly(anew.len(), statement).await
}

/// How many batches stand where. Confirmed ones, which are most of them in the end, are counted on their issuance.
pub async fn tally(tx: &TenantTx, issuance: &Issuance) -> Result<Tally, Fault> {
    let open: Vec<(BatchState, i64)> = tx
        .load(
            issuance_batches::table
                .filter(issuance_batches::tenant_id.eq(tx.tenant()))
                .filter(issuance_batches::collectible_id.eq(issuance.collectible_id))
                .filter(issuance_batches::state.ne(BatchState::Confirmed))
                .group_by(issuance_batches::state)
                .select((issuance_batches::state, diesel::dsl::count_star())),
        )
        .await?;
    let mut tally = Tally { confirmed: issuance.confirmed_count.into(), ..Tally::default() };
    for (state, count) in open {
        match state {
            BatchState::Waiting => tally.waiting = count,
            BatchState::Handed => tally.handed = count,
            BatchState::Refused => tally.refused = count,
            BatchState::Confirmed => {}
        }
    }
    Ok(tally)
}

/// What a turn leaves behind. `due_in`: when to look again; `None` where there is nothing left to do.
pub struct Step {
    pub confirmed_count: i32,
    pub failure: Option<String>,
    pub attempts: i32,
    pub due_in: Option<Duration>,
}

pub async fn set_issuance_in(tx: &TenantTx, before: &Issuance, step: Step) -> Result<Issuance, Fault> {
    let statement = statement(
        "UPDATE issuances SET confirmed_count = $3, failure = $4, attempts = $5, due_at = now() + make_interval(secs => $6)
          WHERE tenant_id = $1 AND collectible_id = $2",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(before.collectible_id)
    .bind::<Integer, _>(step.confirmed_count)
    .bind::<Nullable<Text>, _>(step.failure.clone())
    .bind::<Integer, _>(step.attempts)
    .bind::<Nullable<Double>, _>(step.due_in.map(|pause| pause.as_secs_f64()));
    tx.execute_exactly(1, statement).await?;
    let Step { confirmed_count, failure, attempts, .. } = step;
    Ok(Issuance { confirmed_count, failure, attempts, ..before.clone() })
}
