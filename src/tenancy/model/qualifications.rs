//! Documents, and the qualifications (发行资质) that they prove.

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use serde::Serialize;

use crate::schema::{documents, qualifications};
use crate::tenancy::model::{DocumentId, QualificationId, QualificationState};
use crate::{codes, words};

words! {
    /// What a qualification shows.
    pub enum QualificationKind {
        /// Who the enterprise is (营业执照).
        BusinessLicence = "BUSINESS_LICENCE",
        /// That its site is filed or licensed (ICP 备案或许可证).
        IcpLicence = "ICP_LICENCE",
        /// That its blockchain service is filed (区块链信息服务备案).
        BlockchainFiling = "BLOCKCHAIN_FILING",
        /// That it may use the works it issues (著作权登记或授权).
        CopyrightProof = "COPYRIGHT_PROOF",
    }
}

words! {
    /// Whether a document's bytes are there.
    pub enum DocumentState {
        /// Waits for its bytes.
        Awaited = "AWAITED",
        /// Its bytes are there and are what was announced.
        Stored = "STORED",
    }
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = documents)]
pub struct Document {
    pub id: DocumentId,
    pub name: String,
    pub media_type: Option<String>,
    /// As it was announced; once it is stored, as it is.
    pub size: Option<i64>,
    pub sha256: Option<Vec<u8>>,
    pub state: DocumentState,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Serialize, Queryable, Selectable)]
#[diesel(table_name = qualifications)]
pub struct Qualification {
    pub id: QualificationId,
    pub kind: QualificationKind,
    pub number: String,
    pub document_id: DocumentId,
    pub expires_at: Option<DateTime<Utc>>,
    pub state: QualificationState,
    pub review_remark: Option<String>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

codes!(QualificationErrorCode, QualificationUserError, {
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    DocumentNotFound = "DOCUMENT_NOT_FOUND": "没有找到您的该文件，请先用 `documentUploadCreate` 申请上传。" / "There is no such document of yours; begin with `documentUploadCreate`.",
    NotUploaded = "NOT_UPLOADED": "文件尚未上传，请先把文件 PUT 到上传地址，再完成上传。" / "The bytes are not there yet; PUT them to the upload's address, then complete it.",
    UploadDiffers = "UPLOAD_DIFFERS": "上传的文件与声明的大小或 SHA-256 不一致，请重新用 `documentUploadCreate` 申请上传。" / "What was uploaded has another size or SHA-256 than was announced; begin anew with `documentUploadCreate`.",
    UnsupportedType = "UNSUPPORTED_TYPE": "文件内容不是 PDF、PNG 或 JPEG，请转换格式后重新用 `documentUploadCreate` 申请上传。" / "The content is no PDF, PNG or JPEG, whatever its name says; convert it and begin anew with `documentUploadCreate`.",
    AlreadyHandedIn = "ALREADY_HANDED_IN": "相同的资质已提交或已通过，可用 `qualifications` 列出。" / "The same qualification was handed in already and waits or was approved; list them with `qualifications`.",
    TooMany = "TOO_MANY": "文件数量已达上限：未完成上传的文件一天后自动清除，请先完成上传或明天再试；如均已使用，请联系平台运营方。" / "The enterprise has as many documents as it may have. Those that were announced and not completed go after a day: complete them, or come back tomorrow; if all are in use, contact the house that runs this service.",
});
