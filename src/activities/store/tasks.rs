//! SQL over tasks, what was done of them, and draw codes.

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, insert_into};
use uuid::Uuid;

use crate::activities::chances::{Counts, Proof};
use crate::activities::model::{ActivityId, ChanceEntry, ChanceEntryId, DrawCodeBatch, DrawCodeBatchId, Task, TaskId};
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{activity_tasks, chance_entries, draw_code_batches};
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::HolderId;

pub async fn insert_tasks_in(tx: &TenantTx, new: &[Task]) -> Result<(), Fault> {
    let rows: Vec<_> = new
        .iter()
        .map(|task| {
            (
                activity_tasks::tenant_id.eq(tx.tenant()),
                activity_tasks::id.eq(task.id),
                activity_tasks::activity_id.eq(task.activity_id),
                activity_tasks::position.eq(task.position),
                activity_tasks::kind.eq(task.kind),
                activity_tasks::name_chinese.eq(task.name_chinese.clone()),
                activity_tasks::name_english.eq(task.name_english.clone()),
                activity_tasks::link.eq(task.link.clone()),
                activity_tasks::chances.eq(task.chances),
                activity_tasks::times_per_day.eq(task.times_per_day),
                activity_tasks::times_per_holder.eq(task.times_per_holder),
                activity_tasks::on_trust.eq(task.on_trust),
            )
        })
        .collect();
    tx.execute_exactly(new.len(), insert_into(activity_tasks::table).values(rows)).await
}

/// By position.
pub async fn tasks_of_activities(tx: &TenantTx, ids: &[ActivityId]) -> Result<HashMap<ActivityId, Vec<Task>>, Fault> {
    let rows: Vec<Task> = tx
        .load(
            activity_tasks::table
                .filter(activity_tasks::tenant_id.eq(tx.tenant()))
                .filter(activity_tasks::activity_id.eq_any(ids.to_vec()))
                .order((activity_tasks::activity_id, activity_tasks::position))
                .select(Task::as_select()),
        )
        .await?;
    let mut tasks: HashMap<ActivityId, Vec<Task>> = HashMap::new();
    for task in rows {
        tasks.entry(task.activity_id).or_default().push(task);
    }
    Ok(tasks)
}

pub async fn tasks_by_id(tx: &TenantTx, ids: &[TaskId]) -> Result<HashMap<TaskId, Task>, Fault> {
    let query = activity_tasks::table
        .filter(activity_tasks::tenant_id.eq(tx.tenant()))
        .filter(activity_tasks::id.eq_any(ids.to_vec()));
    let rows: Vec<Task> = tx.load(query.select(Task::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Makes participants of these holders, in the order given, who are none yet. One who has become one meanwhile is
/// contention: the next try knows them.
pub async fn join_in(tx: &TenantTx, activity: ActivityId, holders: &[HolderId], chances: i32) -> Result<(), Fault> {
    if holders.is_empty() {
        return Ok(());
    }
    let statement = statement(
        "INSERT INTO participants (tenant_id, activity_id, holder_id, granted)
         SELECT $1, $2, holder, $4 FROM unnest($3) AS holder
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Array<SqlUuid>, _>(holders.to_vec())
    .bind::<Integer, _>(chances);
    match tx.execute(statement).await? {
        joined if joined == holders.len() => Ok(()),
        joined => Err(Fault::Contended(anyhow::anyhow!("{joined} of {} participants were new", holders.len()))),
    }
}

/// Adds to what participants were granted, each once.
pub async fn grant_in(tx: &TenantTx, activity: ActivityId, sums: &[(HolderId, i32)]) -> Result<(), Fault> {
    if sums.is_empty() {
        return Ok(());
    }
    let statement = statement(
        "UPDATE participants AS participant SET granted = participant.granted + grant_.chances
           FROM unnest($3, $4) AS grant_ (holder_id, chances)
          WHERE participant.tenant_id = $1 AND participant.activity_id = $2 AND participant.holder_id = grant_.holder_id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Array<SqlUuid>, _>(sums.iter().map(|(holder, _)| *holder).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(sums.iter().map(|(_, chances)| *chances).collect::<Vec<_>>());
    tx.execute_exactly(sums.len(), statement).await
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = SqlUuid)]
    task_id: TaskId,
    #[diesel(sql_type = SqlUuid)]
    holder_id: HolderId,
    #[diesel(sql_type = BigInt)]
    today: i64,
    #[diesel(sql_type = BigInt)]
    ever: i64,
}

/// How often each of these holders did each of these tasks, on a day and in all. Who never did is left out.
pub async fn counts(tx: &TenantTx, tasks: &[TaskId], holders: &[HolderId], day: i32) -> Result<Counts, Fault> {
    let rows: Vec<CountRow> = tx
        .load(
            statement(
                "SELECT task_id, holder_id, count(*) FILTER (WHERE day = $4) AS today, count(*) AS ever FROM task_completions
                  WHERE tenant_id = $1 AND task_id = ANY($2) AND holder_id = ANY($3)
                  GROUP BY task_id, holder_id",
            )
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<Array<SqlUuid>, _>(tasks.to_vec())
            .bind::<Array<SqlUuid>, _>(holders.to_vec())
            .bind::<Integer, _>(day),
        )
        .await?;
    Ok(rows.into_iter().map(|row| ((row.task_id, row.holder_id), (row.today, row.ever))).collect())
}

/// A task that was done, before it is written.
pub struct Done<'a> {
    pub id: Uuid,
    pub task: TaskId,
    pub holder: HolderId,
    pub day: i32,
    pub chances: i32,
    pub proof: &'a Proof,
}

/// One whose proof was used meanwhile is contention: the next try finds it.
pub async fn insert_done_in(tx: &TenantTx, done: &[Done<'_>]) -> Result<(), Fault> {
    if done.is_empty() {
        return Ok(());
    }
    let reference = |done: &Done<'_>| if let Proof::Reference(name) = done.proof { Some(name.clone()) } else { None };
    let code = |done: &Done<'_>| if let Proof::Code(hash) = done.proof { Some(hash.clone()) } else { None };
    let statement = statement(
        "INSERT INTO task_completions (tenant_id, id, task_id, holder_id, day, chances, reference, code_hash)
         SELECT $1, done.* FROM unnest($2, $3, $4, $5, $6, $7, $8) AS done
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(done.iter().map(|done| done.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(done.iter().map(|done| done.task).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(done.iter().map(|done| done.holder).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(done.iter().map(|done| done.day).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(done.iter().map(|done| done.chances).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(done.iter().map(reference).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(done.iter().map(code).collect::<Vec<_>>());
    match tx.execute(statement).await? {
        written if written == done.len() => Ok(()),
        written => Err(Fault::Contended(anyhow::anyhow!("{written} of {} proofs were unused", done.len()))),
    }
}

#[derive(QueryableByName)]
struct ReferenceRow {
    #[diesel(sql_type = Text)]
    reference: String,
    #[diesel(sql_type = SqlUuid)]
    holder_id: HolderId,
    #[diesel(sql_type = Integer)]
    chances: i32,
}

/// For whom these references of a task were used, and what they gave.
pub async fn by_reference(
    tx: &TenantTx,
    task: TaskId,
    references: &[String],
) -> Result<HashMap<String, (HolderId, i32)>, Fault> {
    let rows: Vec<ReferenceRow> = tx
        .load(
            statement(
                "SELECT reference, holder_id, chances FROM task_completions
                  WHERE tenant_id = $1 AND task_id = $2 AND reference = ANY($3)",
            )
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<SqlUuid, _>(task)
            .bind::<Array<Text>, _>(references.to_vec()),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.reference, (row.holder_id, row.chances))).collect())
}

pub async fn insert_batch_in(
    tx: &TenantTx,
    batch: &DrawCodeBatch,
    sealed_secret: Option<Vec<u8>>,
) -> Result<(), Fault> {
    let row = (
        draw_code_batches::tenant_id.eq(tx.tenant()),
        draw_code_batches::id.eq(batch.id),
        draw_code_batches::activity_id.eq(batch.activity_id),
        draw_code_batches::task_id.eq(batch.task_id),
        draw_code_batches::count.eq(batch.count),
        draw_code_batches::uses.eq(batch.uses),
        draw_code_batches::word.eq(batch.word),
        draw_code_batches::sealed_secret.eq(sealed_secret),
        draw_code_batches::created_at.eq(batch.created_at),
    );
    tx.execute_exactly(1, insert_into(draw_code_batches::table).values(row)).await
}

/// How many of these codes were new to the activity.
pub async fn insert_codes_in(tx: &TenantTx, batch: &DrawCodeBatch, hashes: Vec<Vec<u8>>) -> Result<usize, Fault> {
    let statement = statement(
        "INSERT INTO draw_codes (tenant_id, activity_id, batch_id, uses_left, code_hash)
         SELECT $1, $2, $3, $4, hash FROM unnest($5) AS hash
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(batch.activity_id)
    .bind::<SqlUuid, _>(batch.id)
    .bind::<Integer, _>(batch.uses)
    .bind::<Array<Binary>, _>(hashes);
    tx.execute(statement).await
}

pub async fn batches_by_id(
    tx: &TenantTx,
    ids: &[DrawCodeBatchId],
) -> Result<HashMap<DrawCodeBatchId, DrawCodeBatch>, Fault> {
    let rows: Vec<DrawCodeBatch> = tx
        .load(
            draw_code_batches::table
                .filter(draw_code_batches::tenant_id.eq(tx.tenant()))
                .filter(draw_code_batches::id.eq_any(ids.to_vec()))
                .select(DrawCodeBatch::as_select()),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// In the order in which they were made.
pub async fn batches_of_tasks(tx: &TenantTx, ids: &[TaskId]) -> Result<HashMap<TaskId, Vec<DrawCodeBatch>>, Fault> {
    let rows: Vec<DrawCodeBatch> = tx
        .load(
            draw_code_batches::table
                .filter(draw_code_batches::tenant_id.eq(tx.tenant()))
                .filter(draw_code_batches::task_id.eq_any(ids.to_vec()))
                .order((draw_code_batches::task_id, draw_code_batches::id))
                .select(DrawCodeBatch::as_select()),
        )
        .await?;
    let mut batches: HashMap<TaskId, Vec<DrawCodeBatch>> = HashMap::new();
    for batch in rows {
        batches.entry(batch.task_id).or_default().push(batch);
    }
    Ok(batches)
}

/// How many batches a task has.
pub async fn count_batches(tx: &TenantTx, task: TaskId) -> Result<i64, Fault> {
    tx.one(
        draw_code_batches::table
            .filter(draw_code_batches::tenant_id.eq(tx.tenant()))
            .filter(draw_code_batches::task_id.eq(task))
            .count(),
    )
    .await
}

pub async fn sealed_secret(tx: &TenantTx, batch: DrawCodeBatchId) -> Result<Option<Vec<u8>>, Fault> {
    let row: Option<Option<Vec<u8>>> = tx
        .optional(
            draw_code_batches::table
                .filter(draw_code_batches::tenant_id.eq(tx.tenant()))
                .filter(draw_code_batches::id.eq(batch))
                .select(draw_code_batches::sealed_secret),
        )
        .await?;
    Ok(row.flatten())
}

#[derive(QueryableByName)]
struct EnteredRow {
    #[diesel(sql_type = SqlUuid)]
    task_id: TaskId,
    #[diesel(sql_type = Integer)]
    uses_left: i32,
    #[diesel(sql_type = Bool)]
    entered: bool,
}

/// A draw code of an activity, under lock.
#[derive(Clone, Copy, Debug)]
pub struct LockedCode {
    pub task: TaskId,
    pub uses_left: i32,
    /// By this holder.
    pub entered: bool,
}

pub async fn lock_code_in(
    tx: &TenantTx,
    activity: ActivityId,
    hash: &[u8],
    holder: HolderId,
) -> Result<Option<LockedCode>, Fault> {
    let row: Option<EnteredRow> = tx
        .optional(
            statement(
                "SELECT batch.task_id, code.uses_left,
                        EXISTS (SELECT FROM task_completions AS done
                                 WHERE done.tenant_id = $1 AND done.task_id = batch.task_id AND done.code_hash = code.code_hash
                                   AND done.holder_id = $4) AS entered
                   FROM draw_codes AS code
                   JOIN draw_code_batches AS batch ON batch.tenant_id = code.tenant_id AND batch.id = code.batch_id
                  WHERE code.tenant_id = $1 AND batch.tenant_id = $1 AND code.activity_id = $2 AND code.code_hash = $3
                    FOR NO KEY UPDATE OF code",
            )
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<SqlUuid, _>(activity)
            .bind::<Binary, _>(hash.to_vec())
            .bind::<SqlUuid, _>(holder),
        )
        .await?;
    Ok(row.map(|row| LockedCode { task: row.task_id, uses_left: row.uses_left, entered: row.entered }))
}

/// Uses a code once, under its lock.
pub async fn use_code_in(tx: &TenantTx, activity: ActivityId, hash: &[u8]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE draw_codes SET uses_left = uses_left - 1 WHERE tenant_id = $1 AND activity_id = $2 AND code_hash = $3",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Binary, _>(hash.to_vec());
    tx.execute_exactly(1, statement).await
}

#[derive(Clone, Debug, Default)]
pub struct ChanceEntryFilter {
    pub activity: Option<ActivityId>,
    pub holder: Option<HolderId>,
}

pub async fn list_chance_entries(
    tx: &TenantTx,
    filter: &ChanceEntryFilter,
    page: &Page<ChanceEntryId>,
) -> Result<Vec<ChanceEntry>, Fault> {
    let query =
        chance_entries::table.filter(chance_entries::tenant_id.eq(tx.tenant())).select(ChanceEntry::as_select());
    let mut query = paged!(query, chance_entries::id, page);
    if let Some(activity) = filter.activity {
        query = query.filter(chance_entries::activity_id.eq(activity));
    }
    if let Some(holder) = filter.holder {
        query = query.filter(chance_entries::holder_id.eq(holder));
    }
    tx.load(query).await
}

pub async fn count_chance_entries(tx: &TenantTx, filter: &ChanceEntryFilter) -> Result<i64, Fault> {
    let mut query = chance_entries::table.filter(chance_entries::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(activity) = filter.activity {
        query = query.filter(chance_entries::activity_id.eq(activity));
    }
    if let Some(holder) = filter.holder {
        query = query.filter(chance_entries::holder_id.eq(holder));
    }
    tx.one(query).await
}
