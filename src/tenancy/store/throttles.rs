//! SQL over counted attempts. Each count is one statement that judges and counts under the row's lock.

use diesel::sql_types::{Array, Binary, Bool, Double, Integer, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, delete, update};

use chrono::{DateTime, TimeDelta, Utc};

use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::throttle::{Forgotten, Growth, Tally, Window};
use crate::schema::throttles;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::throttle::Key;

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = Integer)]
    count: i32,
}

fn seconds(length: TimeDelta) -> f64 {
    length.as_seconds_f64()
}

/// Whether tallies are forgotten by their start, and after how many seconds.
fn forgotten(rule: Forgotten) -> (bool, f64) {
    match rule {
        Forgotten::AfterStart(length) => (true, seconds(length)),
        Forgotten::AfterQuiet(length) => (false, seconds(length)),
    }
}

fn unsigned(counted: Option<Counted>) -> Option<u32> {
    counted.map(|counted| counted.count.unsigned_abs())
}

/// Counts an attempt that need not wait and gives its number; counts nothing where it must. The waits come from the rule,
/// so that it stands in one place. Who queued behind an attempt that began after their own is judged as if they had begun
/// with it: where there is no wait they go through.
pub async fn count_growth_in(tx: &TenantTx, key: &Key, growth: &Growth) -> Result<Option<u32>, Fault> {
    let (from_start, length) = forgotten(growth.forgotten);
    let waits: Vec<f64> = growth.waits().into_iter().map(seconds).collect();
    let statement = statement(
        "INSERT INTO throttles AS kept (tenant_id, kind, key, count, began_at, last_at)
         VALUES ($1, $2, $3, 1, now(), now())
         ON CONFLICT (tenant_id, kind, key) DO UPDATE SET
            count = CASE WHEN (CASE WHEN $4 THEN kept.began_at ELSE kept.last_at END) + make_interval(secs => $5) <= now()
                    THEN 1 ELSE kept.count + 1 END,
            began_at = CASE WHEN (CASE WHEN $4 THEN kept.began_at ELSE kept.last_at END) + make_interval(secs => $5) <= now()
                    THEN now() ELSE kept.began_at END,
            last_at = greatest(kept.last_at, now())
          WHERE kept.tenant_id = $1
            AND ((CASE WHEN $4 THEN kept.began_at ELSE kept.last_at END) + make_interval(secs => $5) <= now()
              OR kept.last_at
                 + make_interval(secs => coalesce(($6)[least(kept.count, cardinality($6))], 0))
                 <= greatest(kept.last_at, now()))
         RETURNING kept.count",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Text, _>(key.kind)
    .bind::<Binary, _>(key.hash.to_vec())
    .bind::<Bool, _>(from_start)
    .bind::<Double, _>(length)
    .bind::<Array<Double>, _>(waits);
    Ok(unsigned(tx.optional(statement).await?))
}

/// Counts an attempt whether or not it ought to have waited.
pub async fn count_always_in(tx: &TenantTx, key: &Key, rule: Forgotten) -> Result<(), Fault> {
    let (from_start, length) = forgotten(rule);
    let statement = statement(
        "INSERT INTO throttles AS kept (tenant_id, kind, key, count, began_at, last_at)
         VALUES ($1, $2, $3, 1, now(), now())
         ON CONFLICT (tenant_id, kind, key) DO UPDATE SET
            count = CASE WHEN (CASE WHEN $4 THEN kept.began_at ELSE kept.last_at END) + make_interval(secs => $5) <= now()
                    THEN 1 ELSE kept.count + 1 END,
            began_at = CASE WHEN (CASE WHEN $4 THEN kept.began_at ELSE kept.last_at END) + make_interval(secs => $5) <= now()
                    THEN now() ELSE kept.began_at END,
            last_at = greatest(kept.last_at, now())
          WHERE kept.tenant_id = $1",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Text, _>(key.kind)
    .bind::<Binary, _>(key.hash.to_vec())
    .bind::<Bool, _>(from_start)
    .bind::<Double, _>(length);
    tx.execute_exactly(1, statement).await
}

/// Counts one more within the window and gives its number; counts nothing where the window is full.
pub async fn count_window_in(tx: &TenantTx, key: &Key, window: &Window) -> Result<Option<u32>, Fault> {
    if window.limit == 0 {
        return Ok(None);
    }
    let statement = statement(
        "INSERT INTO throttles AS kept (tenant_id, kind, key, count, began_at, last_at)
         VALUES ($1, $2, $3, 1, now(), now())
         ON CONFLICT (tenant_id, kind, key) DO UPDATE SET
            count = CASE WHEN kept.began_at + make_interval(secs => $4) <= now() THEN 1 ELSE kept.count + 1 END,
            began_at = CASE WHEN kept.began_at + make_interval(secs => $4) <= now() THEN now() ELSE kept.began_at END,
            last_at = greatest(kept.last_at, now())
          WHERE kept.tenant_id = $1
            AND (kept.count < $5 OR kept.began_at + make_interval(secs => $4) <= now())
         RETURNING kept.count",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Text, _>(key.kind)
    .bind::<Binary, _>(key.hash.to_vec())
    .bind::<Double, _>(seconds(window.length))
    .bind::<Integer, _>(i32::try_from(window.limit).unwrap_or(i32::MAX));
    Ok(unsigned(tx.optional(statement).await?))
}

pub async fn tally(tx: &TenantTx, key: &Key) -> Result<Option<Tally>, Fault> {
    let row: Option<(i32, DateTime<Utc>, DateTime<Utc>)> = tx
        .optional(
            throttles::table
                .filter(throttles::tenant_id.eq(tx.tenant()))
                .filter(throttles::kind.eq(key.kind))
                .filter(throttles::key.eq(key.hash.to_vec()))
                .select((throttles::count, throttles::began_at, throttles::last_at)),
        )
        .await?;
    Ok(row.map(|(count, began_at, last_at)| Tally { count: count.unsigned_abs(), began_at, last_at }))
}

pub async fn delete_in(tx: &TenantTx, key: &Key) -> Result<(), Fault> {
    let statement = delete(throttles::table)
        .filter(throttles::tenant_id.eq(tx.tenant()))
        .filter(throttles::kind.eq(key.kind))
        .filter(throttles::key.eq(key.hash.to_vec()));
    tx.execute(statement).await.map(drop)
}

pub async fn count_down_in(tx: &TenantTx, key: &Key) -> Result<(), Fault> {
    let statement = update(throttles::table)
        .filter(throttles::tenant_id.eq(tx.tenant()))
        .filter(throttles::kind.eq(key.kind))
        .filter(throttles::key.eq(key.hash.to_vec()))
        .filter(throttles::count.gt(0))
        .set(throttles::count.eq(throttles::count - 1));
    tx.execute(statement).await.map(drop)
}
