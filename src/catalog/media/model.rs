//! What is known of a medium.

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use serde::Serialize;

use crate::platform::media::MediaType;
use crate::platform::vault::hex;
use crate::schema::media;
use crate::tenancy::model::EnterpriseId;
use crate::{codes, typed_id, words};

typed_id!(MediaId, "media");

words! {
    /// Whether a medium's bytes are there.
    pub enum MediaState {
        /// Waits for its bytes.
        Awaited = "AWAITED",
        /// Its bytes are there and are what was announced.
        Stored = "STORED",
        /// Its bytes had come before: the medium that came first counts.
        Same = "SAME",
    }
}

words! {
    /// What was found of a medium's content.
    pub enum Moderation {
        /// Not looked at yet.
        Pending = "PENDING",
        /// May be shown.
        Pass = "PASS",
        /// Waits for the house's word.
        Review = "REVIEW",
        /// May neither be used nor shown.
        Block = "BLOCK",
    }
}

words! {
    /// Whether there is a small picture of it, and of what kind.
    pub enum Thumbnail {
        /// It is no picture.
        None = "NONE",
        /// Not made yet.
        Due = "DUE",
        /// A JPEG.
        Jpeg = "JPEG",
        /// A PNG, because parts of it are transparent.
        Png = "PNG",
        /// It cannot be decoded.
        Failed = "FAILED",
    }
}

impl Thumbnail {
    pub fn media_type(self) -> Option<MediaType> {
        match self {
            Self::Jpeg => Some(MediaType::Jpeg),
            Self::Png => Some(MediaType::Png),
            Self::None | Self::Due | Self::Failed => None,
        }
    }
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = media)]
pub struct Media {
    pub tenant_id: EnterpriseId,
    pub id: MediaId,
    pub file_name: String,
    /// As it was announced; once it is stored, as it is.
    pub media_type: String,
    pub size: i64,
    pub sha256: Option<Vec<u8>>,
    pub sm3: Option<Vec<u8>>,
    pub width: Option<i32>,
    pub height: Option<i32>,
    pub state: MediaState,
    pub same_as: Option<MediaId>,
    pub moderation: Moderation,
    pub moderation_remark: Option<String>,
    pub thumbnail: Thumbnail,
    pub published_at: Option<DateTime<Utc>>,
    pub attempts: i32,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

impl Media {
    pub fn kind(&self) -> Option<MediaType> {
        MediaType::parse(&self.media_type)
    }

    pub fn is_public(&self) -> bool {
        self.published_at.is_some() && self.moderation == Moderation::Pass
    }

    /// What the audit log has a digest of.
    pub fn about(&self) -> About<'_> {
        About {
            id: self.id,
            file_name: &self.file_name,
            media_type: &self.media_type,
            size: self.size,
            sha256: self.sha256.as_deref().map(hex),
            sm3: self.sm3.as_deref().map(hex),
            state: self.state,
            moderation: self.moderation,
            moderation_remark: self.moderation_remark.as_deref(),
            published_at: self.published_at,
        }
    }
}

#[derive(Serialize)]
pub struct About<'a> {
    id: MediaId,
    file_name: &'a str,
    media_type: &'a str,
    size: i64,
    sha256: Option<String>,
    sm3: Option<String>,
    state: MediaState,
    moderation: Moderation,
    moderation_remark: Option<&'a str>,
    published_at: Option<DateTime<Utc>>,
}

/// The largest file of a kind, in bytes; nothing for a kind that is no medium.
pub fn largest(kind: MediaType) -> Option<i64> {
    const MIB: i64 = 1024 * 1024;
    match kind {
        MediaType::Pdf => None,
        MediaType::Png | MediaType::Jpeg | MediaType::Webp | MediaType::Gif => Some(20 * MIB),
        MediaType::Mp4 | MediaType::Glb => Some(50 * MIB),
    }
}

codes!(MediaErrorCode, MediaUserError, {
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    MediaNotFound = "MEDIA_NOT_FOUND": "没有找到该介质，请先调用 `mediaUploadCreate`。" / "There is no such medium of yours; begin with `mediaUploadCreate`.",
    UnsupportedType = "UNSUPPORTED_TYPE": "仅支持 PNG、JPEG、WebP、GIF、MP4 和 GLB 文件，请转换格式后重新上传。" / "The content is no PNG, JPEG, WebP, GIF, MP4 or GLB, whatever its name says; convert it and begin anew with `mediaUploadCreate`.",
    TypeDiffers = "TYPE_DIFFERS": "文件内容与声明的类型不一致，请用真实的类型重新申请上传。" / "The content is of another type than was announced; begin anew with `mediaUploadCreate` and the real type.",
    NotUploaded = "NOT_UPLOADED": "文件尚未上传，请先把文件 PUT 到上传地址。" / "The bytes are not there yet; PUT them to the upload's address, then complete it.",
    UploadDiffers = "UPLOAD_DIFFERS": "上传的文件与声明的大小或 SHA-256 不一致，请把正确的文件上传到同一地址，或重新申请。" / "What was uploaded has another size or SHA-256 than was announced; PUT the right file to the same address, or begin anew with `mediaUploadCreate`.",
    Damaged = "DAMAGED": "文件不完整，或在结尾之后带有其他内容，请重新导出后上传。" / "The file is cut off, or goes on behind its end; export it anew and upload that.",
    TooManyPixels = "TOO_MANY_PIXELS": "图片过大：每边最多 16,384 像素，总计最多 4,000 万像素，请缩小后上传。" / "The picture is too large: at most 16,384 pixels a side and 40 million in all; make it smaller and upload that.",
    InUse = "IN_USE": "该介质已被系列或藏品使用，不能删除。" / "A series or a collectible uses this medium; take it out there first.",
    TooMany = "TOO_MANY": "未完成的上传过多，请先完成或等待一天后再试。" / "Too many uploads were begun and not completed; complete them, or wait a day.",
    WrongState = "WRONG_STATE": "该介质当前状态不允许此操作，请查看 `state` 和 `moderation`。" / "The medium's state does not allow this; read `state` and `moderation`.",
    ReasonRequired = "REASON_REQUIRED": "必须填写原因。" / "A reason is needed, which the enterprise is told.",
});
