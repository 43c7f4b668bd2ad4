//! SQL over lanes, participants and draws: what a batch of draws reads and writes, each in one statement.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, insert_into, update};
use uuid::Uuid;

use crate::activities::engine::Head;
use crate::activities::fairness::Hash;
use crate::activities::model::{ActivityId, ActivityKind, ActivityState, Draw, DrawId, PrizeId, PrizePlanId, Window};
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::platform::page::Page;
use crate::schema::{activities, draw_lanes, draws, participants};
use crate::stored_words;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::HolderId;

/// Opens an activity's chain of draws.
pub async fn insert_lane_in(tx: &TenantTx, activity: ActivityId, head: &Hash) -> Result<(), Fault> {
    let row = (
        draw_lanes::tenant_id.eq(tx.tenant()),
        draw_lanes::activity_id.eq(activity),
        draw_lanes::head_hash.eq(head.to_vec()),
    );
    tx.execute_exactly(1, insert_into(draw_lanes::table).values(row)).await
}

/// The activity's turn to draw, held until the transaction ends. `None`: nothing can be drawn there.
pub async fn lock_lane_in(tx: &TenantTx, activity: ActivityId) -> Result<Option<Head>, Fault> {
    let row: Option<(i64, Vec<u8>)> = tx
        .optional(
            draw_lanes::table
                .filter(draw_lanes::tenant_id.eq(tx.tenant()))
                .filter(draw_lanes::activity_id.eq(activity))
                .select((draw_lanes::next_sequence, draw_lanes::head_hash))
                .for_no_key_update(),
        )
        .await?;
    row.map(|(next_sequence, hash)| match Hash::try_from(hash) {
        Ok(hash) => Ok(Head { next_sequence, hash }),
        Err(_) => Err(Fault::internal(anyhow::anyhow!("the head of {activity} is no SHA-256"))),
    })
    .transpose()
}

/// Moves the end of the chain on; the lane's lock has kept `from` what it was.
pub async fn advance_lane_in(tx: &TenantTx, activity: ActivityId, from: i64, to: &Head) -> Result<(), Fault> {
    let statement = update(draw_lanes::table)
        .filter(draw_lanes::tenant_id.eq(tx.tenant()))
        .filter(draw_lanes::activity_id.eq(activity))
        .filter(draw_lanes::next_sequence.eq(from))
        .set((draw_lanes::next_sequence.eq(to.next_sequence), draw_lanes::head_hash.eq(to.hash.to_vec())));
    tx.execute_exactly(1, statement).await
}

/// What a batch must know of its activity anew each time.
#[derive(QueryableByName)]
pub struct Standing {
    #[diesel(sql_type = Text)]
    pub kind: ActivityKind,
    #[diesel(sql_type = Text)]
    pub state: ActivityState,
    #[diesel(sql_type = Timestamptz)]
    pub opens_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub closes_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub at: DateTime<Utc>,
    #[diesel(sql_type = Integer)]
    pub chances_per_holder: i32,
    #[diesel(sql_type = Integer)]
    pub claim_days: i32,
    #[diesel(sql_type = SqlUuid)]
    pub plan_id: PrizePlanId,
    #[diesel(sql_type = Integer)]
    pub plan_version: i32,
}

impl Standing {
    pub fn window(&self) -> Window {
        Window { state: self.state, opens_at: self.opens_at, closes_at: self.closes_at, at: self.at }
    }
}

/// Read after the lane is locked, in a statement of its own: one that waits for a lock sees the rows that it did not
/// lock as they were before it waited.
pub async fn standing(tx: &TenantTx, activity: ActivityId) -> Result<Standing, Fault> {
    tx.one::<Standing, _, _>(
        statement(
            "SELECT activity.kind, activity.state, activity.opens_at, activity.closes_at, now() AS at,
                    activity.chances_per_holder, activity.claim_days, plan.id AS plan_id, plan.version AS plan_version
               FROM activities AS activity
               JOIN prize_plans AS plan ON plan.tenant_id = $1 AND plan.activity_id = $2
              WHERE activity.tenant_id = $1 AND activity.id = $2
              ORDER BY plan.version DESC LIMIT 1",
        )
        .bind::<SqlUuid, _>(tx.tenant())
        .bind::<SqlUuid, _>(activity),
    )
    .await
}

pub async fn sealed_seed(tx: &TenantTx, activity: ActivityId) -> Result<Option<Vec<u8>>, Fault> {
    let row: Option<Option<Vec<u8>>> = tx
        .optional(
            activities::table
                .filter(activities::tenant_id.eq(tx.tenant()))
                .filter(activities::id.eq(activity))
                .select(activities::sealed_seed),
        )
        .await?;
    Ok(row.flatten())
}

/// Who of these has drawn here before, locked in the order of their IDs, with what is left of their chances.
pub async fn lock_participants_in(
    tx: &TenantTx,
    activity: ActivityId,
    holders: &[HolderId],
) -> Result<HashMap<HolderId, i32>, Fault> {
    let rows: Vec<(HolderId, i32)> = tx
        .load(
            participants::table
                .filter(participants::tenant_id.eq(tx.tenant()))
                .filter(participants::activity_id.eq(activity))
                .filter(participants::holder_id.eq_any(holders.to_vec()))
                .order(participants::holder_id)
                .select((participants::holder_id, participants::granted - participants::used))
                .for_no_key_update(),
        )
        .await?;
    Ok(rows.into_iter().collect())
}

/// Chances that a holder used, and where they are new here, what they were granted on joining.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    pub holder: HolderId,
    pub count: i32,
    /// For who is not new here it only has to be no less than `count`: the row keeps its own.
    pub granted: i32,
}

/// Counts chances as used. The table's check refuses more than were granted.
pub async fn use_chances_in(tx: &TenantTx, activity: ActivityId, uses: &[Use]) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO participants (tenant_id, activity_id, holder_id, used, granted)
         SELECT $1, $2, change.holder_id, change.used, change.granted
           FROM unnest($3, $4, $5) AS change (holder_id, used, granted)
         ON CONFLICT (tenant_id, activity_id, holder_id) DO UPDATE SET used = participants.used + excluded.used",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Array<SqlUuid>, _>(uses.iter().map(|change| change.holder).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(uses.iter().map(|change| change.count).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(uses.iter().map(|change| change.granted).collect::<Vec<_>>());
    tx.execute_exactly(uses.len(), statement).await
}

stored_words! {
    /// Why somebody's chances changed.
    pub enum ChanceReason {
        Joined = "JOINED",
        Drawn = "DRAWN",
    }
}

/// A line of the ledger of chances.
#[derive(Clone, Copy, Debug)]
pub struct ChanceEntry {
    pub holder: HolderId,
    pub reason: ChanceReason,
    pub delta: i32,
    pub subject: Uuid,
}

pub async fn insert_chance_entries_in(
    tx: &TenantTx,
    activity: ActivityId,
    entries: &[ChanceEntry],
) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO chance_entries (tenant_id, activity_id, id, holder_id, reason, delta, subject_id)
         SELECT $1, $2, entry.* FROM unnest($3, $4, $5, $6, $7) AS entry
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Array<SqlUuid>, _>(entries.iter().map(|_| id::generate()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(entries.iter().map(|entry| entry.holder).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(entries.iter().map(|entry| entry.reason).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(entries.iter().map(|entry| entry.delta).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(entries.iter().map(|entry| entry.subject).collect::<Vec<_>>());
    tx.execute_exactly(entries.len(), statement).await
}

/// Draws of one activity and one plan. Their `created_at` is the transaction's time, which the database writes too.
pub async fn insert_draws_in(
    tx: &TenantTx,
    activity: ActivityId,
    plan: PrizePlanId,
    made: &[Draw],
) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO draws (tenant_id, activity_id, plan_id, id, holder_id, sequence, client_seed, roll,
                            picked_prize_id, awarded_prize_id, serial, claim_id, record_hash)
         SELECT $1, $2, $3, draw.* FROM unnest($4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS draw
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<SqlUuid, _>(plan)
    .bind::<Array<SqlUuid>, _>(made.iter().map(|draw| draw.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(made.iter().map(|draw| draw.holder_id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(made.iter().map(|draw| draw.sequence).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(made.iter().map(|draw| draw.client_seed.clone()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(made.iter().map(|draw| draw.roll).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(made.iter().map(|draw| draw.picked_prize_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(made.iter().map(|draw| draw.awarded_prize_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(made.iter().map(|draw| draw.serial).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(made.iter().map(|draw| draw.claim_id).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(made.iter().map(|draw| draw.record_hash.clone()).collect::<Vec<_>>());
    tx.execute_exactly(made.len(), statement).await
}

pub async fn draws_by_id(tx: &TenantTx, ids: &[DrawId]) -> Result<HashMap<DrawId, Draw>, Fault> {
    let query = draws::table.filter(draws::tenant_id.eq(tx.tenant())).filter(draws::id.eq_any(ids.to_vec()));
    let rows: Vec<Draw> = tx.load(query.select(Draw::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

#[derive(Clone, Debug, Default)]
pub struct DrawFilter {
    pub activity: Option<ActivityId>,
    pub won: Option<bool>,
    pub awarded: Option<PrizeId>,
}

pub async fn list_draws(tx: &TenantTx, filter: &DrawFilter, page: &Page<DrawId>) -> Result<Vec<Draw>, Fault> {
    let query = draws::table.filter(draws::tenant_id.eq(tx.tenant())).select(Draw::as_select());
    let mut query = paged!(query, draws::id, page);
    if let Some(activity) = filter.activity {
        query = query.filter(draws::activity_id.eq(activity));
    }
    match filter.won {
        Some(true) => query = query.filter(draws::awarded_prize_id.is_not_null()),
        Some(false) => query = query.filter(draws::awarded_prize_id.is_null()),
        None => {}
    }
    if let Some(prize) = filter.awarded {
        query = query.filter(draws::awarded_prize_id.eq(prize));
    }
    tx.load(query).await
}

pub async fn count_draws(tx: &TenantTx, filter: &DrawFilter) -> Result<i64, Fault> {
    let mut query = draws::table.filter(draws::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(activity) = filter.activity {
        query = query.filter(draws::activity_id.eq(activity));
    }
    match filter.won {
        Some(true) => query = query.filter(draws::awarded_prize_id.is_not_null()),
        Some(false) => query = query.filter(draws::awarded_prize_id.is_null()),
        None => {}
    }
    if let Some(prize) = filter.awarded {
        query = query.filter(draws::awarded_prize_id.eq(prize));
    }
    tx.one(query).await
}
