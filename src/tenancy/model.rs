//! Enterprises and the people who act for them.

use chrono::{DateTime, Utc};
use diesel::{Insertable, Queryable, Selectable};

use crate::codes;
use crate::schema::{enterprises, operators, reviews};
use crate::tenancy::permission::Role;
use crate::{typed_id, words};

typed_id!(
    /// A tenant.
    EnterpriseId, "enterprise"
);
typed_id!(OperatorId, "operator");
typed_id!(HolderId, "holder");
typed_id!(ReviewId, "review");
typed_id!(AuditRecordId, "audit");

words! {
    /// What kind of tenant an enterprise is.
    pub enum EnterpriseKind {
        /// Whoever runs Minthouse.
        House = "HOUSE",
        /// One enterprise with its own users (标准类).
        Standard = "STANDARD",
        /// A partner with enterprises under it (平台类).
        Platform = "PLATFORM",
    }
}

words! {
    /// Where an enterprise stands.
    pub enum EnterpriseState {
        /// Registered, not yet let in.
        Pending = "PENDING",
        /// Works.
        Active = "ACTIVE",
        /// Stopped by the house; its holders still see what they own.
        Suspended = "SUSPENDED",
        /// Gone for good.
        Closed = "CLOSED",
    }
}

words! {
    /// What a review is about.
    pub enum ReviewSubject {
        /// A collectible before its issuance.
        Collectible = "COLLECTIBLE",
        /// An activity before its publication.
        Activity = "ACTIVITY",
    }
}

words! {
    /// Where a review stands.
    pub enum ReviewState {
        /// Waits for the house.
        Pending = "PENDING",
        /// The house agreed.
        Approved = "APPROVED",
        /// The house refused, with a remark.
        Rejected = "REJECTED",
    }
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = enterprises)]
pub struct Enterprise {
    #[diesel(column_name = tenant_id)]
    pub id: EnterpriseId,
    pub slug: String,
    pub name_chinese: String,
    pub name_english: String,
    pub kind: EnterpriseKind,
    pub state: EnterpriseState,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = operators)]
pub struct Operator {
    pub id: OperatorId,
    pub sign_in: String,
    pub name: String,
    pub role: Role,
    pub password_hash: String,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = operators)]
pub struct NewOperator {
    pub tenant_id: EnterpriseId,
    pub id: OperatorId,
    pub sign_in: String,
    pub name: String,
    pub role: Role,
    pub password_hash: String,
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = reviews)]
pub struct Review {
    pub tenant_id: EnterpriseId,
    pub id: ReviewId,
    pub subject_kind: ReviewSubject,
    pub subject_id: uuid::Uuid,
    pub state: ReviewState,
    pub remark: Option<String>,
    pub submitted_at: DateTime<Utc>,
    pub decided_at: Option<DateTime<Utc>>,
}

codes!(EnterpriseErrorCode, EnterpriseUserError, {
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    SlugTaken = "SLUG_TAKEN": "该标识已被占用，请换一个。" / "That slug is taken; choose another.",
    SignInTaken = "SIGN_IN_TAKEN": "该登录名已被占用，请换一个。" / "That sign-in name is taken; choose another.",
});

codes!(SignInErrorCode, SignInUserError, {
    WrongCredentials = "WRONG_CREDENTIALS": "登录名或密码不正确。" / "The sign-in name or the password is wrong; try again or have your owner reset it.",
    EnterpriseNotActive = "ENTERPRISE_NOT_ACTIVE": "企业未启用或已停用，请联系平台运营方。" / "The enterprise is not active; contact the house that runs this service.",
});

codes!(ReviewErrorCode, ReviewUserError, {
    NotFound = "NOT_FOUND": "没有找到该审核项。" / "There is no such review; list the open ones with `reviews`.",
    AlreadyDecided = "ALREADY_DECIDED": "该审核项已有结论。" / "This review was already decided; the subject must be submitted again.",
    RemarkRequired = "REMARK_REQUIRED": "驳回时必须填写审核意见。" / "A rejection needs a remark that tells the enterprise what to change.",
});
