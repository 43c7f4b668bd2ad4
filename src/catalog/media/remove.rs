//! A medium goes, as long as nothing shows it.

use serde_json::{Value, json};

use super::model::{Media, MediaErrorCode as Code, MediaId};
use super::{incoming_key, media_key, store, thumbnail_key};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::permission::Permission;
use crate::tenancy::review;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::store::enterprise_row;

pub async fn remove(platform: &Platform, scope: &TenantScope, id: MediaId) -> Result<Media, Refusal<Code>> {
    scope.require(Permission::CatalogManage)?;
    let tx = scope.write(&platform.database).await?;
    // The turn of everything that looks for a content: what is uploaded meanwhile is not taken for this.
    enterprise_row::lock_in(&tx).await?.ok_or(Fault::NotFound)?;
    let media = store::lock_in(&tx, id).await?.ok_or_else(|| Refusal::at("id", Code::MediaNotFound))?;
    if store::is_used(&tx, id).await? {
        return Err(Refusal::at("id", Code::InUse));
    }
    // The house is looking at it.
    if review::open_of(&tx, id.uuid()).await?.is_some() {
        return Err(Refusal::at("id", Code::WrongState));
    }
    store::remove_in(&tx, id).await?;
    audit::record_in(&tx, "mediaDelete", id.uuid(), Some(&json!(media.about())), &Value::Null).await?;
    tx.commit().await?;
    // Its keys are its own for ever, so nobody else's file can be meant.
    for key in [incoming_key, media_key, thumbnail_key].map(|key| key(media.tenant_id, id)) {
        if let Err(fault) = platform.objects.delete(&key).await {
            tracing::warn!(%key, "a file was left behind: {}", fault.with_causes());
        }
    }
    Ok(media)
}
