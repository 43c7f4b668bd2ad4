//! SQL over what is counted of an activity, and over who has looked at it.

use std::ops::Range;

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Text, Timestamptz, Uuid as SqlUuid};

use crate::activities::model::ActivityId;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::stored_words;
use crate::tenancy::model::HolderId;
use crate::tenancy::scope::TenantTx;

stored_words! {
    /// How long a stretch of time is that a row counts.
    pub enum Span {
        Minute = "MINUTE",
        Hour = "HOUR",
    }
}

/// What has happened in an activity, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, QueryableByName)]
pub struct Counts {
    #[diesel(sql_type = BigInt)]
    pub views: i64,
    #[diesel(sql_type = BigInt)]
    pub viewers: i64,
    #[diesel(sql_type = BigInt)]
    pub participants: i64,
    #[diesel(sql_type = BigInt)]
    pub draws: i64,
    #[diesel(sql_type = BigInt)]
    pub wins: i64,
    #[diesel(sql_type = BigInt)]
    pub claims: i64,
}

/// Adds to the stretches of time that begin at these moments. Rows are locked in the order given, until the transaction
/// ends.
pub async fn add_in(
    tx: &TenantTx,
    activity: ActivityId,
    shard: i32,
    stretches: [(Span, DateTime<Utc>); 2],
    more: &Counts,
) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO activity_counts AS known
                (tenant_id, activity_id, shard, span, starts_at, views, viewers, participants, draws, wins, claims)
         SELECT $1, $2, $3, stretch.*, $6, $7, $8, $9, $10, $11 FROM unnest($4, $5) AS stretch
         ON CONFLICT (tenant_id, activity_id, span, starts_at, shard) DO UPDATE
            SET views = known.views + excluded.views, viewers = known.viewers + excluded.viewers,
                participants = known.participants + excluded.participants, draws = known.draws + excluded.draws,
                wins = known.wins + excluded.wins, claims = known.claims + excluded.claims",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Integer, _>(shard)
    .bind::<Array<Text>, _>(stretches.map(|(span, _)| span).to_vec())
    .bind::<Array<Timestamptz>, _>(stretches.map(|(_, starts_at)| starts_at).to_vec())
    .bind::<BigInt, _>(more.views)
    .bind::<BigInt, _>(more.viewers)
    .bind::<BigInt, _>(more.participants)
    .bind::<BigInt, _>(more.draws)
    .bind::<BigInt, _>(more.wins)
    .bind::<BigInt, _>(more.claims);
    tx.execute_exactly(stretches.len(), statement).await
}

#[derive(QueryableByName)]
struct StretchRow {
    #[diesel(sql_type = Timestamptz)]
    starts_at: DateTime<Utc>,
    #[diesel(embed)]
    counts: Counts,
}

/// What was counted in each stretch that begins within these moments, the latter not included.
pub async fn stretches(
    tx: &TenantTx,
    activity: ActivityId,
    span: Span,
    within: Range<DateTime<Utc>>,
) -> Result<Vec<(DateTime<Utc>, Counts)>, Fault> {
    let rows: Vec<StretchRow> = tx
        .load(
            statement(
                "SELECT starts_at, sum(views)::bigint AS views, sum(viewers)::bigint AS viewers,
                        sum(participants)::bigint AS participants, sum(draws)::bigint AS draws,
                        sum(wins)::bigint AS wins, sum(claims)::bigint AS claims
                   FROM activity_counts
                  WHERE tenant_id = $1 AND activity_id = $2 AND span = $3 AND starts_at >= $4 AND starts_at < $5
                  GROUP BY starts_at ORDER BY starts_at",
            )
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<SqlUuid, _>(activity)
            .bind::<Text, _>(span)
            .bind::<Timestamptz, _>(within.start)
            .bind::<Timestamptz, _>(within.end),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.starts_at, row.counts)).collect())
}

/// Everything that was ever counted.
pub async fn totals(tx: &TenantTx, activity: ActivityId) -> Result<Counts, Fault> {
    tx.one::<Counts, _, _>(
        statement(
            "SELECT coalesce(sum(views), 0)::bigint AS views, coalesce(sum(viewers), 0)::bigint AS viewers,
                    coalesce(sum(participants), 0)::bigint AS participants, coalesce(sum(draws), 0)::bigint AS draws,
                    coalesce(sum(wins), 0)::bigint AS wins, coalesce(sum(claims), 0)::bigint AS claims
               FROM activity_counts WHERE tenant_id = $1 AND activity_id = $2 AND span = 'HOUR'",
        )
        .bind::<SqlUuid, _>(tx.tenant())
        .bind::<SqlUuid, _>(activity),
    )
    .await
}

#[derive(QueryableByName)]
struct ViewerRow {
    #[diesel(sql_type = BigInt)]
    views: i64,
}

/// Notes who looks at an activity in a minute, each holder once and in the order of their IDs. For each who had not been
/// noted in it: how many minutes they have looked by now.
pub async fn note_viewers_in(
    tx: &TenantTx,
    activity: ActivityId,
    holders: &[HolderId],
    minute: DateTime<Utc>,
) -> Result<Vec<i64>, Fault> {
    let rows: Vec<ViewerRow> = tx
        .load(
            statement(
                "INSERT INTO activity_viewers AS known (tenant_id, activity_id, holder_id, minute, views)
                 SELECT $1, $2, holder, $4, 1 FROM unnest($3) AS holder
                 ON CONFLICT (tenant_id, activity_id, holder_id) DO UPDATE
                    SET minute = excluded.minute, views = known.views + 1
                  WHERE known.minute < excluded.minute
                 RETURNING known.views",
            )
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<SqlUuid, _>(activity)
            .bind::<Array<SqlUuid>, _>(holders.to_vec())
            .bind::<Timestamptz, _>(minute),
        )
        .await?;
    Ok(rows.into_iter().map(|row| row.views).collect())
}
