//! A collectible is designed, submitted, and reviewed by the house.

use crate::catalog::history;
use crate::catalog::media::model::{Media, MediaId};
use crate::catalog::media::usage::{self, Place};
use crate::catalog::model::design::Design;
use crate::catalog::model::{CatalogErrorCode, Collectible, CollectibleId, CollectibleState};
use crate::catalog::store::{self, StateChange};
use crate::catalog::text;
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::{DocumentState, ReviewSubject};
use crate::tenancy::permission::Permission;
use crate::tenancy::review::Decision;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::store::documents;
use crate::tenancy::{audit, review};

pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    design: &Design,
) -> Result<Collectible, Refusal<CatalogErrorCode>> {
    scope.require(Permission::CatalogManage)?;
    text::check_collectible(design)?;
    let tx = scope.write(&platform.database).await?;
    check_named_in(&tx, design).await?;
    let collectible = store::designs::insert_collectible_in(&tx, CollectibleId::generate(), design).await?;
    audit::record_in(&tx, "collectibleCreate", collectible.id.uuid(), None, &collectible).await?;
    history::record_in(&tx, "collectibleCreate", None, &collectible).await?;
    announce_in(&tx, &collectible).await?;
    tx.commit().await?;
    Ok(collectible)
}

/// That everything a design names is there, the enterprise's own, and fit for its place.
pub async fn check_named_in(tx: &TenantTx, design: &Design) -> Result<(), Refusal<CatalogErrorCode>> {
    if store::series_by_id(tx, &[design.series_id]).await?.is_empty() {
        return Err(Refusal::at("seriesId", CatalogErrorCode::SeriesNotFound));
    }
    if let Some(proof) = design.copyright_proof_id {
        let found = documents::by_id(tx, &[proof]).await?.remove(&proof);
        if found.is_none_or(|document| document.state != DocumentState::Stored) {
            return Err(Refusal::at("copyrightProofId", CatalogErrorCode::DocumentNotFound));
        }
    }
    hold_media_in(tx, design).await.map(|_| ())
}

async fn hold_media_in(tx: &TenantTx, design: &Design) -> Result<Vec<Media>, Refusal<CatalogErrorCode>> {
    usage::hold_in(tx, &[("coverId", Place::Cover, design.cover_id), ("mediaId", Place::Work, design.media_id)]).await
}

/// Everything that is shown of a collectible: its own media and its series' cover. All of it has passed.
pub async fn shown_in(tx: &TenantTx, collectible: &Collectible) -> Result<Vec<Media>, Refusal<CatalogErrorCode>> {
    let series = store::designs::lock_series_in(tx, collectible.series_id).await?;
    let series = series.ok_or_else(|| Refusal::at("id", CatalogErrorCode::SeriesNotFound))?;
    let named = [
        ("id", Place::Cover, collectible.cover_id),
        ("id", Place::Work, collectible.media_id),
        ("id", Place::Cover, series.cover_id),
    ];
    let media = usage::hold_in(tx, &named).await?;
    usage::require_passed(&media)?;
    Ok(media)
}

/// The IDs of everything that is shown of a collectible, for whoever is to judge it.
pub async fn shows(tx: &TenantTx, id: CollectibleId) -> Result<Vec<MediaId>, Fault> {
    let Some(collectible) = store::collectibles_by_id(tx, &[id]).await?.remove(&id) else { return Ok(Vec::new()) };
    let series = store::series_by_id(tx, &[collectible.series_id]).await?.remove(&collectible.series_id);
    let series_cover = series.and_then(|series| series.cover_id);
    let mut ids: Vec<MediaId> =
        [collectible.media_id, collectible.cover_id, series_cover].into_iter().flatten().collect();
    ids.dedup();
    Ok(ids)
}

/// Hands a draft to the house. From here on it is frozen.
pub async fn submit(
    platform: &Platform,
    scope: &TenantScope,
    id: CollectibleId,
) -> Result<Collectible, Refusal<CatalogErrorCode>> {
    scope.require(Permission::CatalogManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = lock_in(&tx, id).await?;
    if !before.state.may_be_submitted() {
        return Err(Refusal::at("id", CatalogErrorCode::WrongState));
    }
    shown_in(&tx, &before).await?;
    review::open_in(&tx, ReviewSubject::Collectible, id.uuid()).await?;
    let after = move_in(&tx, &before, CollectibleState::InReview, None, "collectibleSubmit").await?;
    tx.commit().await?;
    Ok(after)
}

/// The house has decided; called in the transaction of the decision.
pub async fn decided_in(
    tx: &TenantTx,
    id: CollectibleId,
    decision: &Decision,
) -> Result<(), Refusal<CatalogErrorCode>> {
    let before = lock_in(tx, id).await?;
    if before.state != CollectibleState::InReview {
        return Err(Refusal::code(CatalogErrorCode::WrongState));
    }
    let state = if decision.approved { CollectibleState::Approved } else { CollectibleState::Rejected };
    if decision.approved {
        let shown = shown_in(tx, &before).await?;
        let work = shown.iter().find(|medium| Some(medium.id) == before.media_id);
        store::designs::freeze_media_in(tx, id, work.and_then(|medium| medium.sm3.clone())).await?;
        usage::publish_in(tx, &shown).await?;
    }
    move_in(tx, &before, state, decision.remark.clone(), "collectibleReview").await?;
    Ok(())
}

/// The collectible under lock, or the refusal that says it is not there.
pub async fn lock_in(tx: &TenantTx, id: CollectibleId) -> Result<Collectible, Refusal<CatalogErrorCode>> {
    store::lock_collectible_in(tx, id).await?.ok_or_else(|| Refusal::at("id", CatalogErrorCode::CollectibleNotFound))
}

/// The new state, its audit record and its event.
async fn move_in(
    tx: &TenantTx,
    before: &Collectible,
    state: CollectibleState,
    review_remark: Option<String>,
    action: &'static str,
) -> Result<Collectible, Fault> {
    let change = StateChange { state, review_remark, issued_count: before.issued_count };
    let after = store::set_state_in(tx, before.id, change).await?;
    audit::record_in(tx, action, after.id.uuid(), Some(before), &after).await?;
    history::record_in(tx, action, Some(before), &after).await?;
    announce_in(tx, &after).await?;
    Ok(after)
}

/// Tells the world where a collectible stands.
pub async fn announce_in(tx: &TenantTx, collectible: &Collectible) -> Result<(), Fault> {
    let data = serde_json::json!({
        "collectibleId": collectible.id,
        "state": collectible.state,
        "supply": collectible.supply,
        "issuedCount": collectible.issued_count,
    });
    outbox::emit_in(tx, NewEvent::new(EventType::CollectibleChanged, collectible.id.uuid(), collectible.version, data)?)
        .await
}
