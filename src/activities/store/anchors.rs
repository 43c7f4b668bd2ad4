//! SQL over anchors, and over what is looked at for them.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, Queryable, QueryableByName, Selectable, SelectableHelper, insert_into};

use crate::activities::anchor::{Anchor, AnchorState};
use crate::activities::engine::day_of;
use crate::activities::fairness::Hash;
use crate::activities::model::{ActivityId, ActivityState, Draw, DrawId};
use crate::ledger::model::OperationId;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::schema::{draw_anchors, draw_watches, draws};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantTx};
use crate::tenancy::worker::Next;

/// An anchor as it is kept.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = draw_anchors)]
pub struct AnchorRow {
    pub activity_id: ActivityId,
    pub from_sequence: i64,
    pub to_sequence: i64,
    pub last_draw_id: DrawId,
    beginning: Vec<u8>,
    head: Vec<u8>,
    root: Vec<u8>,
    lots_left: Vec<u8>,
    pub operation_id: OperationId,
    pub state: AnchorState,
    pub block_number: Option<i64>,
    pub attempts: i32,
    pub created_at: DateTime<Utc>,
}

impl AnchorRow {
    pub fn anchor(&self) -> Result<Anchor, Fault> {
        let hash = |bytes: &[u8]| Hash::try_from(bytes).map_err(Fault::internal);
        Ok(Anchor {
            activity: self.activity_id,
            beginning: hash(&self.beginning)?,
            from: self.from_sequence.unsigned_abs(),
            to: self.to_sequence.unsigned_abs(),
            head: hash(&self.head)?,
            root: hash(&self.root)?,
        })
    }

    /// What the stretch has left of every lot of the terms.
    pub fn lots_left(&self) -> Vec<u32> {
        self.lots_left.as_chunks::<4>().0.iter().map(|left| u32::from_be_bytes(*left)).collect()
    }
}

/// Has an activity's chain looked at from now on.
pub async fn insert_watch_in(tx: &TenantTx, activity: ActivityId) -> Result<(), Fault> {
    let now = tx.now().await?;
    let row = (
        draw_watches::tenant_id.eq(tx.tenant()),
        draw_watches::activity_id.eq(activity),
        draw_watches::day.eq(day_of(now)),
        draw_watches::due_at.eq(Some(now)),
    );
    tx.execute_exactly(1, insert_into(draw_watches::table).values(row)).await
}

/// Has it looked at next thing: nothing more will be drawn. What has no terms is not looked at.
pub async fn look_now_in(tx: &TenantTx, activity: ActivityId) -> Result<(), Fault> {
    let statement = statement("UPDATE draw_watches SET due_at = now() WHERE tenant_id = $1 AND activity_id = $2")
        .bind::<SqlUuid, _>(tx.tenant())
        .bind::<SqlUuid, _>(activity);
    tx.execute(statement).await.map(drop)
}

/// The tenants with chains to look at, or anchors that the ledger is to be asked about.
pub async fn tenants_anchoring(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    #[derive(QueryableByName)]
    struct Due {
        #[diesel(sql_type = SqlUuid)]
        tenant_id: EnterpriseId,
    }
    let statement = statement(
        "SELECT tenant_id FROM draw_watches WHERE due_at <= now()
         UNION SELECT tenant_id FROM draw_anchors WHERE due_at <= now()",
    );
    Ok(tx.load::<Due, _, _>(statement).await?.into_iter().map(|due| due.tenant_id).collect())
}

/// How long until the next of those comes due.
pub async fn next_due(tx: &HouseTx) -> Result<Option<Duration>, Fault> {
    let statement = statement(
        "SELECT ceil(extract(epoch FROM least((SELECT min(due_at) FROM draw_watches), (SELECT min(due_at) FROM draw_anchors))
                - clock_timestamp()) * 1000)::bigint AS milliseconds",
    );
    Ok(tx.one::<Next, _, _>(statement).await?.due_in())
}

/// Chains to look at, longest due first.
pub async fn due_watches(tx: &TenantTx, limit: i64) -> Result<Vec<ActivityId>, Fault> {
    tx.load(
        draw_watches::table
            .filter(draw_watches::tenant_id.eq(tx.tenant()))
            .filter(draw_watches::due_at.le(diesel::dsl::now))
            .order(draw_watches::due_at)
            .limit(limit)
            .select(draw_watches::activity_id),
    )
    .await
}

/// The day that the chain was last anchored to its end, if it is still due and no other worker is at it. Locked until the
/// transaction ends.
pub async fn lock_watch_in(tx: &TenantTx, activity: ActivityId) -> Result<Option<i32>, Fault> {
    tx.optional(
        draw_watches::table
            .filter(draw_watches::tenant_id.eq(tx.tenant()))
            .filter(draw_watches::activity_id.eq(activity))
            .filter(draw_watches::due_at.le(diesel::dsl::now))
            .select(draw_watches::day)
            .for_no_key_update()
            .skip_locked(),
    )
    .await
}

/// Puts the next look down: none, at once, or at the full minute.
pub async fn set_watch_in(tx: &TenantTx, activity: ActivityId, day: i32, next: Look) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE draw_watches
            SET day = $3, due_at = CASE WHEN $4 THEN NULL WHEN $5 THEN now() ELSE date_trunc('minute', now()) + interval '1 minute' END
          WHERE tenant_id = $1 AND activity_id = $2",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Integer, _>(day)
    .bind::<Bool, _>(next == Look::Never)
    .bind::<Bool, _>(next == Look::AtOnce);
    tx.execute_exactly(1, statement).await
}

/// When a chain is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Never,
    AtOnce,
    /// Days in Shanghai begin with a minute.
    AtTheMinute,
}

/// Where an activity's chain stands.
#[derive(Debug, QueryableByName)]
pub struct Chain {
    #[diesel(sql_type = Text)]
    pub state: ActivityState,
    #[diesel(sql_type = BigInt)]
    pub next_sequence: i64,
    #[diesel(sql_type = Binary)]
    pub head_hash: Vec<u8>,
    /// With the first terms.
    #[diesel(sql_type = Binary)]
    pub beginning: Vec<u8>,
    #[diesel(sql_type = Text)]
    pub document: String,
    #[diesel(sql_type = Timestamptz)]
    pub now: DateTime<Utc>,
}

pub async fn chain(tx: &TenantTx, activity: ActivityId) -> Result<Chain, Fault> {
    let statement = statement(
        "SELECT activity.state, lane.next_sequence, lane.head_hash, terms.record_hash AS beginning, terms.document, now() AS now
           FROM activities AS activity
           JOIN draw_lanes AS lane ON lane.tenant_id = activity.tenant_id AND lane.activity_id = activity.id
           JOIN draw_terms AS terms
             ON terms.tenant_id = activity.tenant_id AND terms.activity_id = activity.id AND terms.version = 1
          WHERE activity.tenant_id = $1 AND activity.id = $2",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity);
    tx.one(statement).await
}

/// The chain's last anchors that begin at a sequence or before it, the later first.
pub async fn anchors_until(
    tx: &TenantTx,
    activity: ActivityId,
    sequence: i64,
    limit: i64,
) -> Result<Vec<AnchorRow>, Fault> {
    tx.load(
        draw_anchors::table
            .filter(draw_anchors::tenant_id.eq(tx.tenant()))
            .filter(draw_anchors::activity_id.eq(activity))
            .filter(draw_anchors::from_sequence.le(sequence))
            .order(draw_anchors::from_sequence.desc())
            .limit(limit)
            .select(AnchorRow::as_select()),
    )
    .await
}

/// What a record is to its stretch.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = draws)]
pub struct Link {
    pub id: DrawId,
    pub sequence: i64,
    pub lot: Option<i32>,
    pub record_hash: Vec<u8>,
}

/// The records behind a draw, in order.
pub async fn links(tx: &TenantTx, activity: ActivityId, after: Option<DrawId>, limit: i64) -> Result<Vec<Link>, Fault> {
    let mut query = draws::table
        .filter(draws::tenant_id.eq(tx.tenant()))
        .filter(draws::activity_id.eq(activity))
        .order(draws::id)
        .limit(limit)
        .select(Link::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(draws::id.gt(after));
    }
    tx.load(query).await
}

/// A draw by its sequence, which is looked for behind one and as far as another.
pub async fn draw_between(
    tx: &TenantTx,
    activity: ActivityId,
    sequence: i64,
    after: Option<DrawId>,
    until: Option<DrawId>,
) -> Result<Option<Draw>, Fault> {
    let mut query = draws::table
        .filter(draws::tenant_id.eq(tx.tenant()))
        .filter(draws::activity_id.eq(activity))
        .filter(draws::sequence.eq(sequence))
        .order(draws::id)
        .limit(1)
        .select(Draw::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(draws::id.gt(after));
    }
    if let Some(until) = until {
        query = query.filter(draws::id.le(until));
    }
    tx.optional(query).await
}

/// The hash of the record before a draw, if there is one.
pub async fn hash_before(tx: &TenantTx, draw: &Draw) -> Result<Option<Vec<u8>>, Fault> {
    tx.optional(
        draws::table
            .filter(draws::tenant_id.eq(tx.tenant()))
            .filter(draws::activity_id.eq(draw.activity_id))
            .filter(draws::id.lt(draw.id))
            .order(draws::id.desc())
            .limit(1)
            .select(draws::record_hash),
    )
    .await
}

/// How many pieces of each lot were given behind one draw, as far as another and with it.
pub async fn taken_between(
    tx: &TenantTx,
    activity: ActivityId,
    after: Option<DrawId>,
    until: DrawId,
) -> Result<HashMap<i32, i64>, Fault> {
    let mut query = draws::table
        .filter(draws::tenant_id.eq(tx.tenant()))
        .filter(draws::activity_id.eq(activity))
        .filter(draws::id.le(until))
        .filter(draws::lot.is_not_null())
        .group_by(draws::lot)
        .select((draws::lot, diesel::dsl::count_star()))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(draws::id.gt(after));
    }
    let rows: Vec<(Option<i32>, i64)> = tx.load(query).await?;
    Ok(rows.into_iter().filter_map(|(lot, count)| Some((lot?, count))).collect())
}

/// An anchor before it is written.
pub struct NewAnchor {
    pub anchor: Anchor,
    pub operation: OperationId,
    pub last_draw: DrawId,
    pub lots_left: Vec<u32>,
}

/// Writes down that the ledger is to be told of an anchor.
pub async fn insert_anchor_in(tx: &TenantTx, new: &NewAnchor) -> Result<(), Fault> {
    let NewAnchor { anchor, operation, last_draw, lots_left } = new;
    let lots_left: Vec<u8> = lots_left.iter().flat_map(|left| left.to_be_bytes()).collect();
    let row = (
        draw_anchors::tenant_id.eq(tx.tenant()),
        draw_anchors::activity_id.eq(anchor.activity),
        draw_anchors::from_sequence.eq(anchor.from.cast_signed()),
        draw_anchors::to_sequence.eq(anchor.to.cast_signed()),
        draw_anchors::last_draw_id.eq(*last_draw),
        draw_anchors::beginning.eq(anchor.beginning.to_vec()),
        draw_anchors::head.eq(anchor.head.to_vec()),
        draw_anchors::root.eq(anchor.root.to_vec()),
        draw_anchors::lots_left.eq(lots_left),
        draw_anchors::operation_id.eq(*operation),
    );
    tx.execute_exactly(1, insert_into(draw_anchors::table).values(row)).await
}

/// Anchors that the ledger is to be asked about, in their order.
pub async fn due_anchors(tx: &TenantTx, limit: i64) -> Result<Vec<AnchorRow>, Fault> {
    tx.load(
        draw_anchors::table
            .filter(draw_anchors::tenant_id.eq(tx.tenant()))
            .filter(draw_anchors::due_at.le(diesel::dsl::now))
            .order((draw_anchors::due_at, draw_anchors::activity_id, draw_anchors::from_sequence))
            .limit(limit)
            .select(AnchorRow::as_select()),
    )
    .await
}

/// What the ledger says of an anchor under one name.
pub enum Word {
    /// The block, and the place in it.
    Confirmed(i64, i32),
    /// Refused for good: it goes out again under this name.
    Anew(OperationId),
    /// To be asked again after a while, which is so long.
    NotYet(Duration),
}

/// Writes down what the ledger has said of anchors. What another worker has heard meanwhile stays.
pub async fn heard_in(tx: &TenantTx, heard: &[(OperationId, Word)]) -> Result<(), Fault> {
    let place = |word: &Word| match word {
        Word::Confirmed(block, position) => (Some(*block), Some(*position)),
        _ => (None, None),
    };
    let seconds = |word: &Word| match word {
        Word::NotYet(pause) => pause.as_secs_f64(),
        _ => 0.0,
    };
    let anew = |word: &Word| match word {
        Word::Anew(operation) => Some(*operation),
        _ => None,
    };
    let statement = statement(
        "UPDATE draw_anchors AS anchor
            SET operation_id = coalesce(heard.anew, anchor.operation_id), block_number = heard.block, position = heard.position,
                state = CASE WHEN heard.block IS NULL THEN 'SUBMITTED' ELSE 'CONFIRMED' END,
                due_at = CASE WHEN heard.block IS NULL THEN now() + make_interval(secs => heard.pause) END,
                attempts = anchor.attempts + 1
           FROM unnest($2, $3, $4, $5, $6) AS heard (operation_id, anew, block, position, pause)
          WHERE anchor.tenant_id = $1 AND anchor.operation_id = heard.operation_id
            AND anchor.state = 'SUBMITTED' AND anchor.due_at IS NOT NULL",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(heard.iter().map(|(operation, _)| *operation).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(heard.iter().map(|(_, word)| anew(word)).collect::<Vec<_>>())
    .bind::<Array<Nullable<BigInt>>, _>(heard.iter().map(|(_, word)| place(word).0).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(heard.iter().map(|(_, word)| place(word).1).collect::<Vec<_>>())
    .bind::<Array<Double>, _>(heard.iter().map(|(_, word)| seconds(word)).collect::<Vec<_>>());
    tx.execute(statement).await.map(drop)
}
