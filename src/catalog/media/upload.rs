//! A medium comes in: announced, put to an address, completed.
//!
//! What a client puts is read from where the client put it, examined, and kept under another key, in this order. So
//! whoever still has the address can change nothing of what was examined. A file that is refused is taken away, and the
//! address is free for another try.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use super::examine::{self, Announced, Found};
use super::model::{Media, MediaErrorCode as Code, MediaId, MediaState, largest};
use super::store::{self, NewMedia};
use super::{MediaServices, incoming_key, media_key};
use crate::catalog::text;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::media::MediaType;
use crate::platform::objects::{Key, NotReceived, Ticket, Within};
use crate::platform::refusal::Refusal;
use crate::platform::vault::read_sha256;
use crate::tenancy::audit;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::store::enterprise_row;

/// How long an upload's address is good: a large film over a slow line.
const UPLOAD_LIFE: TimeDelta = TimeDelta::minutes(30);

/// How many uploads an enterprise may have begun and not completed, so that nobody fills the store.
const AWAITED_AT_MOST: i64 = 100;

/// How long an upload may be completed. Well after that, and after whatever was begun at the last moment, it is taken away.
const COMPLETED_WITHIN: TimeDelta = TimeDelta::hours(24);
const ABANDONED_AFTER: TimeDelta = TimeDelta::hours(25);

#[derive(Clone, Debug)]
pub struct UploadRequest {
    pub file_name: String,
    pub content_type: String,
    pub size: i64,
    /// 64 hexadecimal digits, where the client knows it.
    pub sha256: Option<String>,
}

/// Where the bytes go.
pub struct Upload {
    pub media: Media,
    pub address: String,
    pub expires_at: DateTime<Utc>,
}

/// Announces a file and gives the address for it.
pub async fn announce(
    platform: &Platform,
    scope: &TenantScope,
    request: &UploadRequest,
) -> Result<Upload, Refusal<Code>> {
    scope.require(Permission::CatalogManage)?;
    let file_name = check_name(&request.file_name)?;
    let media_type = MediaType::parse(request.content_type.trim());
    let (media_type, largest) = media_type
        .and_then(|kind| Some((kind, largest(kind)?)))
        .ok_or_else(|| Refusal::at("contentType", Code::UnsupportedType))?;
    if !(1..=largest).contains(&request.size) {
        return Err(Refusal::explained(
            "size",
            Code::InvalidInput,
            "文件大小须为 1 字节以上，图片不超过 20 MiB，视频和模型不超过 50 MiB。",
            "A file has at least 1 byte; a picture has at most 20 MiB, a film or a model 50 MiB.",
        ));
    }
    let sha256 = match &request.sha256 {
        Some(text) => Some(read_sha256(text).ok_or_else(|| {
            Refusal::explained(
                "sha256",
                Code::InvalidInput,
                "SHA-256 须为 64 位十六进制数字。",
                "A SHA-256 has 64 hexadecimal digits.",
            )
        })?),
        None => None,
    };
    clear_away(platform, scope).await?;
    let tx = scope.write(&platform.database).await?;
    enterprise_row::lock_in(&tx).await?.ok_or(Fault::NotFound)?;
    if store::count_awaited(&tx).await? >= AWAITED_AT_MOST {
        return Err(Refusal::code(Code::TooMany));
    }
    let new = NewMedia {
        id: MediaId::generate(),
        file_name,
        media_type,
        size: request.size,
        sha256: sha256.map(|sha256| sha256.to_vec()),
    };
    let media = store::insert_in(&tx, &new).await?;
    audit::record_in(&tx, "mediaUploadCreate", media.id.uuid(), None, &media.about()).await?;
    tx.commit().await?;

    let now = platform.clock.now();
    let ticket = Ticket {
        key: incoming_key(scope.tenant(), media.id),
        max_bytes: u64::try_from(request.size).map_err(Fault::internal)?,
        sha256: None, // `complete` compares what arrived, in whichever store it lies
        expires_at: now + UPLOAD_LIFE,
    };
    let address = platform.objects.upload_address(&ticket, now);
    Ok(Upload { media, address, expires_at: ticket.expires_at })
}

/// Takes away uploads that were begun and left. Their files go before their rows, without which nobody would find them.
async fn clear_away(platform: &Platform, scope: &TenantScope) -> Result<(), Fault> {
    let before = platform.clock.now() - ABANDONED_AFTER;
    let abandoned = store::abandoned(&scope.read(&platform.database).await?, before, AWAITED_AT_MOST).await?;
    if abandoned.is_empty() {
        return Ok(());
    }
    for id in &abandoned {
        for key in [incoming_key, media_key].map(|key| key(scope.tenant(), *id)) {
            platform.objects.delete(&key).await?;
        }
    }
    let tx = scope.write(&platform.database).await?;
    store::remove_unfinished_in(&tx, &abandoned).await?;
    tx.commit().await
}

/// Looks at what was put, and keeps it if it is what was announced. A file that the enterprise has already is that
/// medium, and it is the one that comes back.
pub async fn complete(
    platform: &Platform,
    services: &MediaServices,
    scope: &TenantScope,
    id: MediaId,
) -> Result<Media, Refusal<Code>> {
    scope.require(Permission::CatalogManage)?;
    let not_found = || Refusal::at("id", Code::MediaNotFound);
    let tx = scope.read(&platform.database).await?;
    let announced = store::by_id(&tx, &[id]).await?.remove(&id).ok_or_else(not_found)?;
    drop(tx); // reading a film takes its time
    if announced.state == MediaState::Awaited {
        if announced.created_at < platform.clock.now() - COMPLETED_WITHIN {
            return Err(not_found());
        }
        let found = keep(platform, services, &announced).await?;
        let tx = scope.write(&platform.database).await?;
        // Uploads of the same content wait for each other here, and for a deletion of it.
        enterprise_row::lock_in(&tx).await?.ok_or(Fault::NotFound)?;
        let before = store::lock_in(&tx, id).await?.ok_or_else(not_found)?;
        if before.state == MediaState::Awaited {
            match store::by_content(&tx, &found.sha256).await? {
                Some(first) => store::set_same_in(&tx, id, first.id).await?,
                None => {
                    let after = store::set_stored_in(&tx, id, &found).await?;
                    let (was, is) = (before.about(), after.about());
                    audit::record_in(&tx, "mediaUploadComplete", id.uuid(), Some(&was), &is).await?;
                }
            }
            tx.commit().await?;
        }
    }
    settled(platform, scope, id).await
}

/// What became of an upload that was completed, now or before.
async fn settled(platform: &Platform, scope: &TenantScope, id: MediaId) -> Result<Media, Refusal<Code>> {
    let not_found = || Refusal::at("id", Code::MediaNotFound);
    let tx = scope.read(&platform.database).await?;
    let media = store::by_id(&tx, &[id]).await?.remove(&id).ok_or_else(not_found)?;
    let Some(first) = media.same_as else {
        drop(tx);
        discard(platform, &media).await;
        return Ok(media);
    };
    let first = store::by_id(&tx, &[first]).await?.remove(&first).ok_or_else(not_found)?;
    drop(tx);
    discard(platform, &media).await;
    let copy = media_key(media.tenant_id, media.id);
    restore(platform, &first, &copy).await?;
    // Not referred to by anything: the copy that was kept for this upload alone.
    platform.objects.delete(&copy).await?;
    Ok(first)
}

/// Where a medium's bytes were lost, the same bytes that came again take their place.
async fn restore(platform: &Platform, lost: &Media, copy: &Key) -> Result<(), Fault> {
    let kept = media_key(lost.tenant_id, lost.id);
    if platform.objects.head(&kept).await?.is_some() {
        return Ok(());
    }
    let Some(bytes) = platform.objects.get(copy).await? else { return Ok(()) };
    match platform.objects.put(&kept, bytes).await {
        Ok(_) | Err(NotReceived::Exists) => Ok(()),
        Err(NotReceived::Fault(fault)) => Err(fault),
        Err(reason) => Err(Fault::internal(reason)),
    }
}

/// Takes away what the client put, once it is of no use. What fails here is done with the next try, or lies there for
/// nobody.
async fn discard(platform: &Platform, media: &Media) {
    if let Err(fault) = platform.objects.delete(&incoming_key(media.tenant_id, media.id)).await {
        tracing::warn!(media = %media.id, "an upload was left behind: {}", fault.with_causes());
    }
}

/// Examines what was put and keeps it under a key that its sender cannot reach.
async fn keep(platform: &Platform, services: &MediaServices, announced: &Media) -> Result<Found, Refusal<Code>> {
    let kept = media_key(announced.tenant_id, announced.id);
    let incoming = incoming_key(announced.tenant_id, announced.id);
    let _place = services.examining.acquire().await.map_err(Fault::internal)?;
    let max_bytes = u64::try_from(announced.size).map_err(Fault::internal)?;
    // Twice at most: where another request has kept its reading meanwhile, that is what counts.
    for _ in 0..2 {
        if let Some(bytes) = platform.objects.get(&kept).await? {
            return examined(announced, bytes).await?.map_err(|code| Refusal::at("id", code));
        }
        let bytes = match platform.objects.get_within(&incoming, max_bytes).await? {
            Some(Within::Bytes(bytes)) => bytes,
            Some(Within::TooLarge) => {
                discard(platform, announced).await;
                return Err(Refusal::at("id", Code::UploadDiffers));
            }
            None => return Err(Refusal::at("id", Code::NotUploaded)),
        };
        let found = match examined(announced, bytes.clone()).await? {
            Ok(found) => found,
            Err(code) => {
                discard(platform, announced).await;
                return Err(Refusal::at("id", code));
            }
        };
        match platform.objects.put(&kept, bytes).await {
            Ok(_) => return Ok(found),
            Err(NotReceived::Exists) => {}
            Err(NotReceived::Fault(fault)) => return Err(fault.into()),
            Err(reason) => return Err(Fault::internal(reason).into()),
        }
    }
    Err(Fault::internal(anyhow::anyhow!("{kept} is there and is not")).into())
}

async fn examined(announced: &Media, bytes: Bytes) -> Result<Result<Found, Code>, Fault> {
    let announced = Announced {
        media_type: announced.kind().ok_or_else(|| Fault::internal(anyhow::anyhow!("an unknown kind of medium")))?,
        size: announced.size,
        sha256: announced.sha256.clone(),
    };
    tokio::task::spawn_blocking(move || examine::examine(&bytes, &announced)).await.map_err(Fault::internal)
}

/// A file that lies on this machine, for manifests: the same way in without a client.
pub async fn take(
    platform: &Platform,
    services: &MediaServices,
    scope: &TenantScope,
    request: &UploadRequest,
    bytes: Bytes,
) -> Result<Media, Refusal<Code>> {
    let upload = announce(platform, scope, request).await?;
    match platform.objects.put(&incoming_key(scope.tenant(), upload.media.id), bytes).await {
        Ok(_) | Err(NotReceived::Exists) => {}
        Err(NotReceived::Fault(fault)) => return Err(fault.into()),
        Err(reason) => return Err(Fault::internal(reason).into()),
    }
    complete(platform, services, scope, upload.media.id).await
}

/// A name is shown and never used to find anything; even so it looks like no path and hides nothing.
fn check_name(name: &str) -> Result<&str, Refusal<Code>> {
    let name = name.trim();
    let is_sound = (1..=120).contains(&name.chars().count())
        && !name.contains(['/', '\\'])
        && !matches!(name, "." | "..")
        && !name.chars().any(text::is_hidden);
    if is_sound {
        return Ok(name);
    }
    Err(Refusal::explained(
        "fileName",
        Code::InvalidInput,
        "文件名须为 1 到 120 个字符，不含路径、控制字符和零宽字符。",
        "A file's name has 1 to 120 characters and no path, control characters or characters of no width.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_hides_nothing() {
        for sound in ["a.png", "  龙 2026.webp ", "…", "a..b"] {
            assert!(check_name(sound).is_ok(), "{sound}");
        }
        for refused in
            ["", " ", ".", "..", "../a.png", "a/b", "..\\a", "a\0.png", "invoice\u{202e}gnp.exe", "a\u{200b}b"]
        {
            assert!(check_name(refused).is_err(), "{refused:?}");
        }
        assert!(check_name(&"长".repeat(120)).is_ok() && check_name(&"长".repeat(121)).is_err());
    }
}
