//! A collectible is changed, or a draft is thrown away.
//!
//! Nobody locks a design while they think about it: whoever changes one says which version they have seen, and is
//! refused where it is another by then.

use serde_json::{Value, json};

use crate::catalog::collectible::{announce_in, check_named_in, lock_in};
use crate::catalog::history;
use crate::catalog::media::model::MediaId;
use crate::catalog::model::design::{Attributes, Design, Freedom, changes};
use crate::catalog::model::{CatalogErrorCode as Code, Collectible, CollectibleId, CollectibleState, SeriesId};
use crate::catalog::{store, text};
use crate::platform::Platform;
use crate::platform::refusal::{Problem, Refusal};
use crate::tenancy::model::DocumentId;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::{audit, review};

/// What an operator wants of a collectible. What is left out stays as it is.
#[derive(Clone, Debug, Default)]
pub struct CollectibleEdit {
    pub series_id: Option<SeriesId>,
    pub name: Option<(String, String)>,
    pub description: Option<(String, String)>,
    pub author: Option<String>,
    pub image_url: Option<String>,
    pub cover_id: Option<Option<MediaId>>,
    pub media_id: Option<Option<MediaId>>,
    pub copyright_proof_id: Option<Option<DocumentId>>,
    pub filing_number: Option<String>,
    pub flag: Option<String>,
    pub metadata: Option<String>,
    pub attributes: Option<Attributes>,
    pub supply: Option<i32>,
    pub first_serial: Option<i32>,
}

impl CollectibleEdit {
    fn of(&self, collectible: &Collectible) -> Design {
        let now = Design::of(collectible);
        let wanted = self.clone();
        let (name_chinese, name_english) = wanted.name.unwrap_or((now.name_chinese, now.name_english));
        let (description_chinese, description_english) =
            wanted.description.unwrap_or((now.description_chinese, now.description_english));
        Design {
            series_id: wanted.series_id.unwrap_or(now.series_id),
            name_chinese,
            name_english,
            description_chinese,
            description_english,
            author: wanted.author.unwrap_or(now.author),
            image_url: wanted.image_url.unwrap_or(now.image_url),
            cover_id: wanted.cover_id.unwrap_or(now.cover_id),
            media_id: wanted.media_id.unwrap_or(now.media_id),
            copyright_proof_id: wanted.copyright_proof_id.unwrap_or(now.copyright_proof_id),
            filing_number: wanted.filing_number.unwrap_or(now.filing_number),
            flag: wanted.flag.unwrap_or(now.flag),
            metadata: wanted.metadata.unwrap_or(now.metadata),
            attributes: wanted.attributes.unwrap_or(now.attributes),
            supply: wanted.supply.unwrap_or(now.supply),
            first_serial: wanted.first_serial.unwrap_or(now.first_serial),
        }
    }
}

/// Changes a collectible that still is as `version` says: a draft or a rejected one as one likes, an approved one in its
/// description, one under review not at all.
pub async fn update(
    platform: &Platform,
    scope: &TenantScope,
    id: CollectibleId,
    version: i32,
    wanted: &CollectibleEdit,
) -> Result<Collectible, Refusal<Code>> {
    scope.require(Permission::CatalogManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = lock_in(&tx, id).await?;
    if before.version != version {
        return Err(Refusal::at("version", Code::VersionConflict));
    }
    let (was, design) = (Design::of(&before), wanted.of(&before));
    let changed = changes(Some(&was), Some(&design));
    if changed.is_empty() {
        return Ok(before);
    }
    refuse_frozen(&Freedom::of(before.state).frozen(&changed))?;
    text::check_collectible(&design)?;
    if Freedom::of(before.state) == Freedom::Everything {
        check_named_in(&tx, &design).await?;
    }
    if (was.supply, was.first_serial) != (design.supply, design.first_serial) {
        store::designs::set_planned_stock_in(&tx, id, &design).await?;
    }
    let after = store::designs::set_design_in(&tx, id, &design).await?;
    audit::record_in(&tx, "collectibleUpdate", id.uuid(), Some(&before), &after).await?;
    history::record_in(&tx, "collectibleUpdate", Some(&before), &after).await?;
    announce_in(&tx, &after).await?;
    tx.commit().await?;
    Ok(after)
}

/// Throws a draft away that was never handed in. Gives it as it was.
pub async fn remove(platform: &Platform, scope: &TenantScope, id: CollectibleId) -> Result<Collectible, Refusal<Code>> {
    scope.require(Permission::CatalogManage)?;
    let tx = scope.write(&platform.database).await?;
    let draft = lock_in(&tx, id).await?;
    if draft.state != CollectibleState::Draft || review::was_opened(&tx, id.uuid()).await? {
        return Err(Refusal::at("id", Code::WrongState));
    }
    store::designs::remove_collectible_in(&tx, id).await?;
    audit::record_in(&tx, "collectibleDelete", id.uuid(), Some(&json!(draft)), &Value::Null).await?;
    history::record_removal_in(&tx, "collectibleDelete", &draft).await?;
    tx.commit().await?;
    Ok(draft)
}

/// Names every field that comes too late.
pub fn refuse_frozen(fields: &[&str]) -> Result<(), Refusal<Code>> {
    if fields.is_empty() {
        return Ok(());
    }
    let problem =
        |field: &&str| Problem { code: Code::Frozen, field: Some((*field).to_owned()), detail: None, wait: None };
    Err(Refusal::Problems(fields.iter().map(problem).collect()))
}
