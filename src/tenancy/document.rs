//! Documents that an enterprise hands in: announced, uploaded beside the API, and looked at before they count.
//!
//! An announcement says how large the file is and what its SHA-256 is; the address that it gives takes that file and no
//! other. Completing reads what really lies there. The type is the one found in the bytes, never the one that somebody
//! says, and the file is served under it alone. Only the enterprise and the house come to see a document; whoever sees it
//! gets an address that is good for a few minutes.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::media::MediaType;
use crate::platform::objects::{Download, Key, Ticket};
use crate::platform::refusal::Refusal;
use crate::platform::vault::{hex, read_sha256};
use crate::tenancy::audit;
use crate::tenancy::model::{Document, DocumentId, DocumentState, EnterpriseId, QualificationErrorCode as Code};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::store::documents::{self, NewDocument};
use crate::tenancy::store::enterprise_row;

/// A scanned licence fits, and what does not fit is no document.
pub const LARGEST: i64 = 10 * 1024 * 1024;

/// How many documents an enterprise may have, so that nobody fills the store. Whoever registers may begin at once. What
/// was announced and never completed is swept after a day ([`discard_in`]).
const AT_MOST: i64 = 200;

/// How long an upload's address is good.
const UPLOAD_LIFE: TimeDelta = TimeDelta::minutes(15);

/// How long a download's address is good: as long as it takes to click.
const DOWNLOAD_LIFE: TimeDelta = TimeDelta::minutes(5);

#[derive(Clone, Debug)]
pub struct UploadRequest {
    pub name: String,
    pub size: i64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// Where the bytes go.
pub struct Upload {
    pub document: Document,
    pub path: String,
    pub expires_at: DateTime<Utc>,
}

/// Announces a document.
pub async fn upload(
    platform: &Platform,
    scope: &TenantScope,
    request: &UploadRequest,
) -> Result<Upload, Refusal<Code>> {
    scope.require(Permission::EnterpriseManage)?;
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > 120 || name.chars().any(char::is_control) {
        return Err(Refusal::explained(
            "name",
            Code::InvalidInput,
            "文件名须为 1 到 120 个字符，且不含控制字符。",
            "A document's name has 1 to 120 characters and no control characters.",
        ));
    }
    if !(1..=LARGEST).contains(&request.size) {
        return Err(Refusal::explained(
            "size",
            Code::InvalidInput,
            "文件大小须为 1 字节到 10 MiB。",
            "A document has 1 byte to 10 MiB.",
        ));
    }
    let sha256 = read_sha256(&request.sha256).ok_or_else(|| {
        Refusal::explained(
            "sha256",
            Code::InvalidInput,
            "SHA-256 须为 64 位十六进制数字。",
            "A SHA-256 has 64 hexadecimal digits.",
        )
    })?;
    let tx = scope.write(&platform.database).await?;
    enterprise_row::lock_in(&tx).await?.ok_or(Fault::NotFound)?;
    if documents::count(&tx).await? >= AT_MOST {
        return Err(Refusal::code(Code::TooMany));
    }
    let new = NewDocument { id: DocumentId::generate(), name, size: request.size, sha256: sha256.to_vec() };
    let document = documents::insert_in(&tx, &new).await?;
    audit::record_in(&tx, "documentUploadCreate", document.id.uuid(), None, &about(&document)).await?;
    tx.commit().await?;
    let ticket = Ticket {
        key: key(scope.tenant(), document.id),
        max_bytes: u64::try_from(request.size).map_err(Fault::internal)?,
        sha256: Some(sha256),
        expires_at: platform.clock.now() + UPLOAD_LIFE,
    };
    Ok(Upload { document, path: platform.objects.upload_path(&ticket), expires_at: ticket.expires_at })
}

/// Looks at what was uploaded, and takes it if it is what was announced. One that was taken stays as it is.
pub async fn complete(platform: &Platform, scope: &TenantScope, id: DocumentId) -> Result<Document, Refusal<Code>> {
    scope.require(Permission::EnterpriseManage)?;
    let not_found = || Refusal::at("id", Code::DocumentNotFound);
    let tx = scope.read(&platform.database).await?;
    let announced = documents::by_id(&tx, &[id]).await?.remove(&id).ok_or_else(not_found)?;
    drop(tx); // reading ten megabytes takes its time
    if announced.state == DocumentState::Stored {
        return Ok(announced);
    }
    let found = platform.objects.examine(&key(scope.tenant(), id)).await?;
    let found = found.ok_or_else(|| Refusal::at("id", Code::NotUploaded))?;
    if announced.size != i64::try_from(found.size).ok() || announced.sha256.as_deref() != Some(&found.sha256[..]) {
        return Err(Refusal::at("id", Code::UploadDiffers));
    }
    let media_type =
        found.media_type.filter(|found| matches!(found, MediaType::Pdf | MediaType::Png | MediaType::Jpeg));
    let media_type = media_type.ok_or_else(|| Refusal::at("id", Code::UnsupportedType))?;

    let tx = scope.write(&platform.database).await?;
    let before = documents::lock_in(&tx, id).await?.ok_or_else(not_found)?;
    if before.state == DocumentState::Stored {
        return Ok(before); // another request came first; an object never changes
    }
    let after = documents::set_stored_in(&tx, id, media_type.as_str()).await?;
    audit::record_in(&tx, "documentUploadComplete", id.uuid(), Some(&about(&before)), &about(&after)).await?;
    tx.commit().await?;
    Ok(after)
}

/// Takes away what was announced before a moment and never completed, with what was uploaded of it. Their addresses must
/// have expired long ago. Gives how many there were, `limit` at most.
pub async fn discard_in(platform: &Platform, tx: &TenantTx, before: DateTime<Utc>, limit: i64) -> Result<usize, Fault> {
    // Who completes one in this moment waits, and then finds nothing.
    let abandoned = documents::lock_awaited_in(tx, before, limit).await?;
    for id in &abandoned {
        // Before its row, without which nobody would find it again.
        platform.objects.delete(&key(tx.tenant(), *id)).await?;
    }
    documents::delete_in(tx, &abandoned).await?;
    Ok(abandoned.len())
}

/// Where a document that was taken can be fetched for a short while, and until when. For whoever may see the document.
pub fn download(platform: &Platform, tenant: EnterpriseId, document: &Document) -> Option<(String, DateTime<Utc>)> {
    let media_type = document.media_type.as_deref().and_then(MediaType::parse)?;
    let expires_at = platform.clock.now() + DOWNLOAD_LIFE;
    let download = Download { key: key(tenant, document.id), media_type, expires_at };
    (document.state == DocumentState::Stored).then(|| (platform.objects.download_path(&download), expires_at))
}

fn key(tenant: EnterpriseId, id: DocumentId) -> Key {
    Key::new("document", tenant.uuid(), id.uuid())
}

fn about(document: &Document) -> serde_json::Value {
    json!({
        "id": document.id,
        "name": document.name,
        "size": document.size,
        "sha256": document.sha256.as_deref().map(hex),
        "mediaType": document.media_type,
        "state": document.state,
    })
}
