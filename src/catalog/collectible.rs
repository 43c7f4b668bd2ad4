//! A collectible is designed, submitted, and reviewed by the house.

use crate::catalog::model::{CatalogErrorCode, Collectible, CollectibleId, CollectibleState, SeriesId};
use crate::catalog::store::{self, NewCollectible, StateChange, Texts};
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::ReviewSubject;
use crate::tenancy::permission::Permission;
use crate::tenancy::review::Decision;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::{audit, review};

/// The largest supply of one collectible.
pub const MAXIMUM_SUPPLY: i32 = 10_000_000;

#[derive(Clone, Debug)]
pub struct CollectibleRequest {
    pub series: SeriesId,
    pub name_chinese: String,
    pub name_english: String,
    pub description_chinese: String,
    pub description_english: String,
    pub author: String,
    pub image_url: String,
    pub supply: i32,
    pub first_serial: i32,
}

pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &CollectibleRequest,
) -> Result<Collectible, Refusal<CatalogErrorCode>> {
    scope.require(Permission::CatalogManage)?;
    let new = NewCollectible {
        id: CollectibleId::generate(),
        series_id: request.series,
        texts: Texts {
            name: (&request.name_chinese, &request.name_english),
            description: (&request.description_chinese, &request.description_english),
        },
        author: &request.author,
        image_url: &request.image_url,
        supply: request.supply,
        first_serial: request.first_serial,
    };
    check(&new)?;

    let tx = scope.write(&platform.database).await?;
    if store::series_by_id(&tx, &[request.series]).await?.is_empty() {
        return Err(Refusal::at("seriesId", CatalogErrorCode::SeriesNotFound));
    }
    let collectible = store::insert_collectible_in(&tx, &new).await?;
    audit::record_in(&tx, "collectibleCreate", collectible.id.uuid(), None, &collectible).await?;
    announce_in(&tx, &collectible).await?;
    tx.commit().await?;
    Ok(collectible)
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

pub fn check_texts(texts: &Texts<'_>) -> Result<(), Refusal<CatalogErrorCode>> {
    for (field, name) in [("name.chinese", texts.name.0), ("name.english", texts.name.1)] {
        if name.trim().is_empty() || name.chars().count() > 30 {
            return Err(Refusal::explained(
                field,
                CatalogErrorCode::InvalidInput,
                "名称须为 1 到 30 个字符。",
                "A name has 1 to 30 characters.",
            ));
        }
    }
    for (field, text) in [("description.chinese", texts.description.0), ("description.english", texts.description.1)] {
        if text.chars().count() > 500 {
            return Err(Refusal::explained(
                field,
                CatalogErrorCode::InvalidInput,
                "描述不能超过 500 个字符。",
                "A description has at most 500 characters.",
            ));
        }
    }
    Ok(())
}

fn check(new: &NewCollectible<'_>) -> Result<(), Refusal<CatalogErrorCode>> {
    use CatalogErrorCode::InvalidInput;
    check_texts(&new.texts)?;
    if new.author.trim().is_empty() || new.author.chars().count() > 30 {
        return Err(Refusal::explained(
            "author",
            InvalidInput,
            "作者须为 1 到 30 个字符。",
            "An author has 1 to 30 characters.",
        ));
    }
    if new.image_url.len() > 1024 || !(new.image_url.is_empty() || new.image_url.starts_with("https://")) {
        return Err(Refusal::explained(
            "imageUrl",
            InvalidInput,
            "图片地址须为 https 地址，且不超过 1024 字节。",
            "An image address begins with https:// and has at most 1024 bytes.",
        ));
    }
    if !(1..=MAXIMUM_SUPPLY).contains(&new.supply) {
        return Err(Refusal::explained(
            "supply",
            InvalidInput,
            "发行量须为 1 到 10,000,000。",
            "A supply lies between 1 and 10,000,000.",
        ));
    }
    if !(0..=1).contains(&new.first_serial) {
        return Err(Refusal::explained(
            "firstSerial",
            InvalidInput,
            "编号须从 0 或 1 开始。",
            "Serial numbers begin at 0 or at 1.",
        ));
    }
    Ok(())
}
