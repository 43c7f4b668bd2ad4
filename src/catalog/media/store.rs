//! SQL over media. Their bytes lie in the object store.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Bool, Double, Timestamptz, Uuid as SqlUuid};
use diesel::{
    ExpressionMethods, IntoSql, NullableExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, delete,
    insert_into, update,
};

use super::examine::Found;
use super::model::{Media, MediaId, MediaState, Moderation, Thumbnail};
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::media::MediaType;
use crate::platform::page::Page;
use crate::schema::media;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantTx};
use crate::tenancy::worker::Next;

pub struct NewMedia<'a> {
    pub id: MediaId,
    pub file_name: &'a str,
    pub media_type: MediaType,
    pub size: i64,
    pub sha256: Option<Vec<u8>>,
}

pub async fn insert_in(tx: &TenantTx, new: &NewMedia<'_>) -> Result<Media, Fault> {
    let row = (
        media::tenant_id.eq(tx.tenant()),
        media::id.eq(new.id),
        media::file_name.eq(new.file_name.to_owned()),
        media::media_type.eq(new.media_type.as_str()),
        media::size.eq(new.size),
        media::sha256.eq(new.sha256.clone()),
    );
    tx.one(insert_into(media::table).values(row).returning(Media::as_returning())).await
}

/// The bytes are there and stay.
pub async fn set_stored_in(tx: &TenantTx, id: MediaId, found: &Found) -> Result<Media, Fault> {
    let thumbnail = if found.pixels.is_some() { Thumbnail::Due } else { Thumbnail::None };
    tx.one(
        update(media::table)
            .filter(media::tenant_id.eq(tx.tenant()))
            .filter(media::id.eq(id))
            .filter(media::state.eq(MediaState::Awaited))
            .set((
                media::state.eq(MediaState::Stored),
                media::sha256.eq(Some(found.sha256.to_vec())),
                media::sm3.eq(Some(found.sm3.to_vec())),
                media::width.eq(found.pixels.map(|pixels| pixels.0)),
                media::height.eq(found.pixels.map(|pixels| pixels.1)),
                media::thumbnail.eq(thumbnail),
                media::version.eq(media::version + 1),
            ))
            .returning(Media::as_returning()),
    )
    .await
}

/// Its bytes had come before.
pub async fn set_same_in(tx: &TenantTx, id: MediaId, as_this: MediaId) -> Result<(), Fault> {
    let statement = update(media::table)
        .filter(media::tenant_id.eq(tx.tenant()))
        .filter(media::id.eq(id))
        .filter(media::state.eq(MediaState::Awaited))
        .set((
            media::state.eq(MediaState::Same),
            media::same_as.eq(Some(as_this)),
            media::version.eq(media::version + 1),
        ));
    tx.execute_exactly(1, statement).await
}

pub async fn set_moderation_in(
    tx: &TenantTx,
    id: MediaId,
    moderation: Moderation,
    remark: Option<String>,
) -> Result<Media, Fault> {
    tx.one(
        update(media::table)
            .filter(media::tenant_id.eq(tx.tenant()))
            .filter(media::id.eq(id))
            .set((
                media::moderation.eq(moderation),
                media::moderation_remark.eq(remark),
                media::version.eq(media::version + 1),
            ))
            .returning(Media::as_returning()),
    )
    .await
}

pub async fn set_thumbnail_in(tx: &TenantTx, id: MediaId, thumbnail: Thumbnail) -> Result<(), Fault> {
    let statement = update(media::table)
        .filter(media::tenant_id.eq(tx.tenant()))
        .filter(media::id.eq(id))
        .set((media::thumbnail.eq(thumbnail), media::version.eq(media::version + 1)));
    tx.execute_exactly(1, statement).await
}

/// From now on everybody may see them; those that were public stay so since when they were.
pub async fn publish_in(tx: &TenantTx, ids: &[MediaId]) -> Result<(), Fault> {
    let now = diesel::dsl::now.into_sql::<Timestamptz>();
    let statement = update(media::table)
        .filter(media::tenant_id.eq(tx.tenant()))
        .filter(media::id.eq_any(ids.to_vec()))
        .filter(media::published_at.is_null())
        .set((media::published_at.eq(now.nullable()), media::version.eq(media::version + 1)));
    tx.execute(statement).await.map(|_| ())
}

pub async fn remove_in(tx: &TenantTx, id: MediaId) -> Result<(), Fault> {
    let statement = delete(media::table).filter(media::tenant_id.eq(tx.tenant())).filter(media::id.eq(id));
    tx.execute_exactly(1, statement).await
}

/// Uploads that were begun before a moment and are of no use any more.
pub async fn abandoned(tx: &TenantTx, before: DateTime<Utc>, limit: i64) -> Result<Vec<MediaId>, Fault> {
    tx.load(
        media::table
            .filter(media::tenant_id.eq(tx.tenant()))
            .filter(diesel::dsl::sql::<Bool>("state <> 'STORED'"))
            .filter(media::created_at.lt(before))
            .limit(limit)
            .select(media::id),
    )
    .await
}

pub async fn remove_unfinished_in(tx: &TenantTx, ids: &[MediaId]) -> Result<(), Fault> {
    let statement = delete(media::table)
        .filter(media::tenant_id.eq(tx.tenant()))
        .filter(media::id.eq_any(ids.to_vec()))
        .filter(media::state.ne(MediaState::Stored));
    tx.execute(statement).await.map(|_| ())
}

pub async fn count_awaited(tx: &TenantTx) -> Result<i64, Fault> {
    let awaited = media::table.filter(media::tenant_id.eq(tx.tenant())).filter(media::state.eq(MediaState::Awaited));
    tx.one(awaited.count()).await
}

pub async fn by_id(tx: &TenantTx, ids: &[MediaId]) -> Result<HashMap<MediaId, Media>, Fault> {
    let query = media::table.filter(media::tenant_id.eq(tx.tenant())).filter(media::id.eq_any(ids.to_vec()));
    let rows: Vec<Media> = tx.load(query.select(Media::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// One medium under a lock that nobody's reference to it gets past.
pub async fn lock_in(tx: &TenantTx, id: MediaId) -> Result<Option<Media>, Fault> {
    tx.optional(
        media::table
            .filter(media::tenant_id.eq(tx.tenant()))
            .filter(media::id.eq(id))
            .select(Media::as_select())
            .for_update(),
    )
    .await
}

/// Media that something is about to refer to: none of them goes before that is done. In the order of their IDs.
pub async fn hold_in(tx: &TenantTx, ids: &[MediaId]) -> Result<HashMap<MediaId, Media>, Fault> {
    let rows: Vec<Media> = tx
        .load(
            media::table
                .filter(media::tenant_id.eq(tx.tenant()))
                .filter(media::id.eq_any(ids.to_vec()))
                .order(media::id)
                .select(Media::as_select())
                .for_no_key_update(),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The one medium with this content.
pub async fn by_content(tx: &TenantTx, sha256: &[u8]) -> Result<Option<Media>, Fault> {
    tx.optional(
        media::table
            .filter(media::tenant_id.eq(tx.tenant()))
            .filter(media::sha256.eq(sha256.to_vec()))
            // In the words of the index, which a kept plan would not use for a value that it does not know.
            .filter(diesel::dsl::sql::<Bool>("state = 'STORED'"))
            .select(Media::as_select()),
    )
    .await
}

/// Whether a series or a collectible shows it.
pub async fn is_used(tx: &TenantTx, id: MediaId) -> Result<bool, Fault> {
    #[derive(QueryableByName)]
    struct Used {
        #[diesel(sql_type = Bool)]
        used: bool,
    }
    let statement = statement(
        "SELECT EXISTS (SELECT FROM series WHERE tenant_id = $1 AND cover_id = $2)
             OR EXISTS (SELECT FROM collectibles WHERE tenant_id = $1 AND cover_id = $2)
             OR EXISTS (SELECT FROM collectibles WHERE tenant_id = $1 AND media_id = $2) AS used",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(id);
    Ok(tx.one::<Used, _, _>(statement).await?.used)
}

#[derive(Clone, Debug, Default)]
pub struct MediaFilter {
    pub states: Option<Vec<MediaState>>,
    pub moderations: Option<Vec<Moderation>>,
}

pub async fn list(tx: &TenantTx, filter: &MediaFilter, page: &Page<MediaId>) -> Result<Vec<Media>, Fault> {
    let query = media::table.filter(media::tenant_id.eq(tx.tenant())).select(Media::as_select());
    let mut query = paged!(query, media::id, page);
    if let Some(states) = &filter.states {
        query = query.filter(media::state.eq_any(states.clone()));
    }
    if let Some(moderations) = &filter.moderations {
        query = query.filter(media::moderation.eq_any(moderations.clone()));
    }
    tx.load(query).await
}

pub async fn count(tx: &TenantTx, filter: &MediaFilter) -> Result<i64, Fault> {
    let mut query = media::table.filter(media::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(states) = &filter.states {
        query = query.filter(media::state.eq_any(states.clone()));
    }
    if let Some(moderations) = &filter.moderations {
        query = query.filter(media::moderation.eq_any(moderations.clone()));
    }
    tx.one(query).await
}

/// What was not looked at yet, in the words of its index, which a kept plan would not use for values that it does not know.
macro_rules! not_looked_at {
    () => {
        "state = 'STORED' AND (moderation = 'PENDING' OR thumbnail = 'DUE')"
    };
}

/// The tenants with media that are to be looked at now.
pub async fn tenants_due(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    let due =
        media::table.filter(diesel::dsl::sql::<Bool>(not_looked_at!())).filter(media::due_at.le(diesel::dsl::now));
    tx.load(due.select(media::tenant_id).distinct()).await
}

/// How long until the next is to be looked at.
pub async fn next_due(tx: &HouseTx) -> Result<Option<Duration>, Fault> {
    let statement = statement(concat!(
        "SELECT ceil(extract(epoch FROM min(due_at) - clock_timestamp()) * 1000)::bigint AS milliseconds FROM media WHERE ",
        not_looked_at!()
    ));
    Ok(tx.one::<Next, _, _>(statement).await?.due_in())
}

/// Takes up what is to be looked at and has been due longest: no other server does so until `lease` is over.
pub async fn take_due_in(tx: &TenantTx, lease: Duration) -> Result<Option<Media>, Fault> {
    #[derive(QueryableByName)]
    struct Taken {
        #[diesel(sql_type = SqlUuid)]
        id: MediaId,
    }
    let statement = statement(concat!(
        "UPDATE media SET attempts = attempts + 1, due_at = now() + make_interval(secs => $2)
          WHERE tenant_id = $1 AND id = (SELECT id FROM media WHERE tenant_id = $1 AND due_at <= now() AND ",
        not_looked_at!(),
        " ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) RETURNING id"
    ))
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Double, _>(lease.as_secs_f64());
    let Some(Taken { id }) = tx.optional(statement).await? else { return Ok(None) };
    Ok(by_id(tx, &[id]).await?.remove(&id))
}

/// After trouble: looked at again when the pause is over.
pub async fn put_off_in(tx: &TenantTx, id: MediaId, pause: Duration) -> Result<(), Fault> {
    let statement =
        statement("UPDATE media SET due_at = now() + make_interval(secs => $3) WHERE tenant_id = $1 AND id = $2")
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<SqlUuid, _>(id)
            .bind::<Double, _>(pause.as_secs_f64());
    tx.execute(statement).await.map(|_| ())
}
