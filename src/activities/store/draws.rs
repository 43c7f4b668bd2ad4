//! SQL over lanes, participants and draws: what a batch of draws reads and writes, each in one statement.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{
    ExpressionMethods, QueryDsl, Queryable, QueryableByName, Selectable, SelectableHelper, insert_into, update,
};
use uuid::Uuid;

use crate::activities::engine::Head;
use crate::activities::fairness::Hash;
use crate::activities::model::{
    ActivityId, ActivityKind, ActivityState, ChanceReason, Draw, DrawId, PrizeId, PrizePlanId, Window,
};
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::platform::page::Page;
use crate::schema::{activities, draw_lanes, draws};
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::HolderId;

/// Opens an activity's chain of draws.
pub async fn insert_lane_in(
    tx: &TenantTx,
    activity: ActivityId,
    head: &Hash,
    since: DateTime<Utc>,
) -> Result<(), Fault> {
    let row = (
        draw_lanes::tenant_id.eq(tx.tenant()),
        draw_lanes::activity_id.eq(activity),
        draw_lanes::head_hash.eq(head.to_vec()),
        draw_lanes::last_at.eq(since),
    );
    tx.execute_exactly(1, insert_into(draw_lanes::table).values(row)).await
}

/// An activity's turn to draw, held until the transaction ends.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    pub head: Head,
    pub last_draw: Option<DrawId>,
    pub last_at: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = draw_lanes)]
struct LaneRow {
    next_sequence: i64,
    head_hash: Vec<u8>,
    last_draw_id: Option<DrawId>,
    last_at: DateTime<Utc>,
}

/// `None`: nothing can be drawn there.
pub async fn lock_lane_in(tx: &TenantTx, activity: ActivityId) -> Result<Option<Lane>, Fault> {
    let row: Option<LaneRow> = tx
        .optional(
            draw_lanes::table
                .filter(draw_lanes::tenant_id.eq(tx.tenant()))
                .filter(draw_lanes::activity_id.eq(activity))
                .select(LaneRow::as_select())
                .for_no_key_update(),
        )
        .await?;
    let Some(LaneRow { next_sequence, head_hash, last_draw_id: last_draw, last_at }) = row else { return Ok(None) };
    let no_hash = |_| Fault::internal(anyhow::anyhow!("the head of {activity} is no SHA-256"));
    let hash = Hash::try_from(head_hash).map_err(no_hash)?;
    Ok(Some(Lane { head: Head { next_sequence, hash }, last_draw, last_at }))
}

/// Moves the end of the chain on; the lane's lock has kept `from` what it was.
pub async fn advance_lane_in(tx: &TenantTx, activity: ActivityId, from: i64, to: &Lane) -> Result<(), Fault> {
    let statement = update(draw_lanes::table)
        .filter(draw_lanes::tenant_id.eq(tx.tenant()))
        .filter(draw_lanes::activity_id.eq(activity))
        .filter(draw_lanes::next_sequence.eq(from))
        .set((
            draw_lanes::next_sequence.eq(to.head.next_sequence),
            draw_lanes::head_hash.eq(to.head.hash.to_vec()),
            draw_lanes::last_draw_id.eq(to.last_draw),
            draw_lanes::last_at.eq(to.last_at),
        ));
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
    /// The moment of the draws. Not the transaction's own: one that began earlier may have its turn later.
    #[diesel(sql_type = Timestamptz)]
    pub at: DateTime<Utc>,
    #[diesel(sql_type = Integer)]
    pub chances_per_holder: i32,
    #[diesel(sql_type = Integer)]
    pub daily_chances: i32,
    #[diesel(sql_type = Integer)]
    pub draws_at_once: i32,
    #[diesel(sql_type = Integer)]
    pub claim_days: i32,
    /// Of the terms in force.
    #[diesel(sql_type = Integer)]
    pub terms_version: i32,
    /// Whether the enterprise has blocked anybody.
    #[diesel(sql_type = Bool)]
    pub blocks: bool,
}

impl Standing {
    pub fn window(&self) -> Window {
        Window { state: self.state, opens_at: self.opens_at, closes_at: self.closes_at, at: self.at }
    }
}

/// Read after the lane is locked, in a statement of its own: one that waits for a lock sees the rows that it did not
/// lock as they were before it waited. Moments do not go back behind the lane's last one.
pub async fn standing(tx: &TenantTx, activity: ActivityId, last_at: DateTime<Utc>) -> Result<Standing, Fault> {
    tx.one::<Standing, _, _>(
        statement(
            "SELECT kind, state, opens_at, closes_at, greatest(clock_timestamp(), $3) AS at, chances_per_holder, daily_chances, draws_at_once, claim_days,
                    coalesce((SELECT max(version) FROM draw_terms WHERE tenant_id = $1 AND activity_id = $2), 0) AS terms_version,
                    EXISTS (SELECT FROM blocked_phones WHERE tenant_id = $1) AS blocks
               FROM activities WHERE tenant_id = $1 AND id = $2",
        )
        .bind::<SqlUuid, _>(tx.tenant())
        .bind::<SqlUuid, _>(activity)
        .bind::<Timestamptz, _>(last_at),
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

/// Where a participant stands.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct ParticipantRow {
    #[diesel(sql_type = SqlUuid)]
    pub holder_id: HolderId,
    #[diesel(sql_type = Integer)]
    pub granted: i32,
    #[diesel(sql_type = Integer)]
    pub used: i32,
    #[diesel(sql_type = Integer)]
    pub wins: i32,
    /// Of their last draw.
    #[diesel(sql_type = Integer)]
    pub day: i32,
    #[diesel(sql_type = Integer)]
    pub day_draws: i32,
    #[diesel(sql_type = Integer)]
    pub day_wins: i32,
    #[diesel(sql_type = Integer)]
    pub day_free: i32,
}

/// Who of these has drawn here before, locked in the order of their IDs.
pub async fn lock_participants_in(
    tx: &TenantTx,
    activity: ActivityId,
    holders: &[HolderId],
) -> Result<Vec<ParticipantRow>, Fault> {
    tx.load(
        statement(
            "SELECT holder_id, granted, used, wins, day, day_draws, day_wins, day_free FROM participants
              WHERE tenant_id = $1 AND activity_id = $2 AND holder_id = ANY($3)
              ORDER BY holder_id FOR NO KEY UPDATE",
        )
        .bind::<SqlUuid, _>(tx.tenant())
        .bind::<SqlUuid, _>(activity)
        .bind::<Array<SqlUuid>, _>(holders.to_vec()),
    )
    .await
}

/// What a batch has changed for a participant.
#[derive(Clone, Copy, Debug)]
pub struct Played {
    pub holder: HolderId,
    pub draws: i32,
    pub wins: i32,
    /// Chances that they were given on the way.
    pub granted: i32,
    /// The day, and how much of it there is by now.
    pub day: i32,
    pub day_draws: i32,
    pub day_wins: i32,
    pub day_free: i32,
}

/// Writes down who drew here for the first time. One who was given chances meanwhile is there already, and that is
/// contention: the next try knows them.
pub async fn insert_participants_in(tx: &TenantTx, activity: ActivityId, played: &[Played]) -> Result<(), Fault> {
    if played.is_empty() {
        return Ok(());
    }
    let statement = played_by(
        "INSERT INTO participants (tenant_id, activity_id, holder_id, used, wins, granted, day, day_draws, day_wins, day_free)
         SELECT $1, $2, change.* FROM unnest($3, $4, $5, $6, $7, $8, $9, $10) AS change
         ON CONFLICT DO NOTHING",
        tx,
        activity,
        played,
    );
    match tx.execute(statement).await? {
        new if new == played.len() => Ok(()),
        new => Err(Fault::Contended(anyhow::anyhow!("{new} of {} participants were new", played.len()))),
    }
}

/// Counts draws, wins and chances of who is known here. The table's check refuses more draws than chances.
pub async fn move_participants_in(tx: &TenantTx, activity: ActivityId, played: &[Played]) -> Result<(), Fault> {
    if played.is_empty() {
        return Ok(());
    }
    let statement = played_by(
        "UPDATE participants AS known
            SET used = known.used + change.draws, wins = known.wins + change.wins, granted = known.granted + change.granted,
                day = change.day, day_draws = change.day_draws, day_wins = change.day_wins, day_free = change.day_free
           FROM unnest($3, $4, $5, $6, $7, $8, $9, $10)
                AS change (holder_id, draws, wins, granted, day, day_draws, day_wins, day_free)
          WHERE known.tenant_id = $1 AND known.activity_id = $2 AND known.holder_id = ANY($3) AND known.holder_id = change.holder_id",
        tx,
        activity,
        played,
    );
    tx.execute_exactly(played.len(), statement).await
}

fn played_by(
    text: &'static str,
    tx: &TenantTx,
    activity: ActivityId,
    played: &[Played],
) -> impl QueryFragment<Pg> + QueryId + Send {
    let column = |pick: fn(&Played) -> i32| played.iter().map(pick).collect::<Vec<i32>>();
    statement(text)
        .bind::<SqlUuid, _>(tx.tenant())
        .bind::<SqlUuid, _>(activity)
        .bind::<Array<SqlUuid>, _>(played.iter().map(|change| change.holder).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(column(|change| change.draws))
        .bind::<Array<Integer>, _>(column(|change| change.wins))
        .bind::<Array<Integer>, _>(column(|change| change.granted))
        .bind::<Array<Integer>, _>(column(|change| change.day))
        .bind::<Array<Integer>, _>(column(|change| change.day_draws))
        .bind::<Array<Integer>, _>(column(|change| change.day_wins))
        .bind::<Array<Integer>, _>(column(|change| change.day_free))
}

#[derive(QueryableByName)]
struct TallyRow {
    #[diesel(sql_type = SqlUuid)]
    prize_id: PrizeId,
    #[diesel(sql_type = SqlUuid)]
    holder_id: HolderId,
    #[diesel(sql_type = Integer)]
    wins: i32,
}

/// How often each of these holders has won each of these prizes. Under the lane's lock.
pub async fn tallies(
    tx: &TenantTx,
    prizes: &[PrizeId],
    holders: &[HolderId],
) -> Result<Vec<(PrizeId, HolderId, i32)>, Fault> {
    if prizes.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<TallyRow> = tx
        .load(
            statement(
                "SELECT prize_id, holder_id, wins FROM prize_tallies
                  WHERE tenant_id = $1 AND prize_id = ANY($2) AND holder_id = ANY($3)",
            )
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<Array<SqlUuid>, _>(prizes.to_vec())
            .bind::<Array<SqlUuid>, _>(holders.to_vec()),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.prize_id, row.holder_id, row.wins)).collect())
}

/// Counts wins of prizes that limit them a holder. Each pair once.
pub async fn add_tallies_in(tx: &TenantTx, won: &[(PrizeId, HolderId, i32)]) -> Result<(), Fault> {
    if won.is_empty() {
        return Ok(());
    }
    let statement = statement(
        "INSERT INTO prize_tallies (tenant_id, prize_id, holder_id, wins)
         SELECT $1, change.* FROM unnest($2, $3, $4) AS change
         ON CONFLICT (tenant_id, prize_id, holder_id) DO UPDATE SET wins = prize_tallies.wins + excluded.wins",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(won.iter().map(|one| one.0).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(won.iter().map(|one| one.1).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(won.iter().map(|one| one.2).collect::<Vec<_>>());
    tx.execute_exactly(won.len(), statement).await
}

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = SqlUuid)]
    prize_id: PrizeId,
    #[diesel(sql_type = Integer)]
    wins: i32,
}

/// How often each of these prizes was won on a day. Under the lane's lock.
pub async fn wins_on(tx: &TenantTx, prizes: &[PrizeId], day: i32) -> Result<HashMap<PrizeId, i32>, Fault> {
    if prizes.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<DayRow> = tx
        .load(
            statement("SELECT prize_id, wins FROM prize_days WHERE tenant_id = $1 AND prize_id = ANY($2) AND day = $3")
                .bind::<SqlUuid, _>(tx.tenant())
                .bind::<Array<SqlUuid>, _>(prizes.to_vec())
                .bind::<Integer, _>(day),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.prize_id, row.wins)).collect())
}

/// Counts wins of prizes that limit them a day. Each prize once.
pub async fn add_wins_on_in(tx: &TenantTx, day: i32, won: &[(PrizeId, i32)]) -> Result<(), Fault> {
    if won.is_empty() {
        return Ok(());
    }
    let statement = statement(
        "INSERT INTO prize_days (tenant_id, day, prize_id, wins)
         SELECT $1, $2, change.* FROM unnest($3, $4) AS change
         ON CONFLICT (tenant_id, prize_id, day) DO UPDATE SET wins = prize_days.wins + excluded.wins",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Integer, _>(day)
    .bind::<Array<SqlUuid>, _>(won.iter().map(|one| one.0).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(won.iter().map(|one| one.1).collect::<Vec<_>>());
    tx.execute_exactly(won.len(), statement).await
}

#[derive(QueryableByName)]
struct ChosenRow {
    #[diesel(sql_type = SqlUuid)]
    holder_id: HolderId,
    #[diesel(sql_type = SqlUuid)]
    plan_id: PrizePlanId,
}

/// For which of these plans the holders were chosen, by their tags.
pub async fn chosen(
    tx: &TenantTx,
    plans: &[PrizePlanId],
    holders: &[HolderId],
) -> Result<Vec<(HolderId, PrizePlanId)>, Fault> {
    if plans.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<ChosenRow> = tx
        .load(
            statement(
                "SELECT DISTINCT tagged.holder_id, meant.plan_id
                   FROM prize_plan_tags AS meant
                   JOIN holder_tags AS tagged ON tagged.tenant_id = meant.tenant_id AND tagged.tag = meant.tag
                  WHERE meant.tenant_id = $1 AND tagged.tenant_id = $1
                    AND meant.plan_id = ANY($2) AND tagged.holder_id = ANY($3)",
            )
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<Array<SqlUuid>, _>(plans.to_vec())
            .bind::<Array<SqlUuid>, _>(holders.to_vec()),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.holder_id, row.plan_id)).collect())
}

/// A line of the ledger of chances, before it is written.
#[derive(Clone, Copy, Debug)]
pub struct NewChanceEntry {
    pub holder: HolderId,
    pub reason: ChanceReason,
    pub delta: i32,
    pub subject: Uuid,
}

pub async fn insert_chance_entries_in(
    tx: &TenantTx,
    activity: ActivityId,
    entries: &[NewChanceEntry],
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

/// Draws of one activity and one version of its terms, made at one moment.
pub async fn insert_draws_in(
    tx: &TenantTx,
    activity: ActivityId,
    version: i32,
    at: DateTime<Utc>,
    made: &[Draw],
) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO draws (tenant_id, activity_id, version, created_at, id, plan_id, holder_id, sequence, ordinal, place, open_plans,
                            client_seed, roll, picked_prize_id, awarded_prize_id, lot, serial, claim_id, steps, ruling, record_hash)
         SELECT $1, $2, $3, $4, draw.*
           FROM unnest($5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) AS draw
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Integer, _>(version)
    .bind::<Timestamptz, _>(at)
    .bind::<Array<SqlUuid>, _>(made.iter().map(|draw| draw.id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(made.iter().map(|draw| draw.plan_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(made.iter().map(|draw| draw.holder_id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(made.iter().map(|draw| draw.sequence).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(made.iter().map(|draw| draw.ordinal).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(made.iter().map(|draw| draw.place).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(made.iter().map(|draw| draw.open_plans).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(made.iter().map(|draw| draw.client_seed.clone()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(made.iter().map(|draw| draw.roll).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(made.iter().map(|draw| draw.picked_prize_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(made.iter().map(|draw| draw.awarded_prize_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(made.iter().map(|draw| draw.lot).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(made.iter().map(|draw| draw.serial).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(made.iter().map(|draw| draw.claim_id).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(made.iter().map(|draw| draw.steps.clone()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(made.iter().map(|draw| draw.ruling.clone()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(made.iter().map(|draw| draw.record_hash.clone()).collect::<Vec<_>>());
    tx.execute_exactly(made.len(), statement).await
}

/// An activity's draws behind one of them, in the order of sequence: IDs rise with it within a lane.
pub async fn recorded(
    tx: &TenantTx,
    activity: ActivityId,
    after: Option<DrawId>,
    limit: i64,
) -> Result<Vec<Draw>, Fault> {
    let mut query = draws::table
        .filter(draws::tenant_id.eq(tx.tenant()))
        .filter(draws::activity_id.eq(activity))
        .order(draws::id)
        .limit(limit)
        .select(Draw::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(draws::id.gt(after));
    }
    tx.load(query).await
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
