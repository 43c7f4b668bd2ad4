//! Enterprises and the people who act for them.

pub mod audit;
pub mod clients;
pub mod operators;

use chrono::{DateTime, Utc};
use diesel::{Insertable, Queryable, Selectable};

use crate::codes;
use crate::schema::{enterprises, reviews, sessions};
use crate::tenancy::permission::Role;
use crate::{typed_id, words};

mod branches;
mod qualifications;

pub use branches::*;
pub use qualifications::*;

typed_id!(
    /// A tenant.
    EnterpriseId, "enterprise"
);
typed_id!(OperatorId, "operator");
typed_id!(HolderId, "holder");
typed_id!(ReviewId, "review");
typed_id!(AuditRecordId, "audit");
typed_id!(SessionId, "session");
typed_id!(InvitationId, "invitation");
typed_id!(ApiClientId, "client");
typed_id!(ApiClientSecretId, "secret");
typed_id!(SsoConnectionId, "connection");
typed_id!(SsoKeyId, "ssokey");
typed_id!(DocumentId, "document");
typed_id!(QualificationId, "qualification");

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

impl EnterpriseState {
    /// The only steps there are. One that was refused stays pending; one that is closed stays closed.
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending, Self::Active)
                | (Self::Active, Self::Suspended)
                | (Self::Suspended, Self::Active | Self::Closed)
        )
    }
}

words! {
    /// Whether an operator may come in.
    pub enum OperatorState {
        /// They may.
        Active = "ACTIVE",
        /// They may not, until they are enabled again.
        Disabled = "DISABLED",
    }
}

words! {
    /// What a review is about.
    pub enum ReviewSubject {
        /// A collectible before its issuance.
        Collectible = "COLLECTIBLE",
        /// An activity before its publication.
        Activity = "ACTIVITY",
        /// An enterprise that has registered itself.
        Enterprise = "ENTERPRISE",
        /// A licence, a filing or a proof.
        Qualification = "QUALIFICATION",
        /// A file that moderation is unsure of.
        Media = "MEDIA",
    }
}

words! {
    /// Where a qualification stands.
    pub enum QualificationState {
        /// Waits for the house.
        Pending = "PENDING",
        /// The house agreed.
        Approved = "APPROVED",
        /// The house refused, with a remark.
        Rejected = "REJECTED",
        /// It was good until its day came.
        Expired = "EXPIRED",
    }
}

words! {
    /// How somebody signed in.
    pub enum SignInMethod {
        /// With a password.
        Password = "PASSWORD",
        /// With a password and a one-time password.
        Totp = "TOTP",
        /// With a password and a recovery code.
        RecoveryCode = "RECOVERY_CODE",
        /// By accepting an invitation.
        Invitation = "INVITATION",
        /// Through the enterprise's OpenID provider.
        Oidc = "OIDC",
        /// With a one-time ticket that a partner's server obtained.
        Ticket = "TICKET",
        /// With a code sent to the phone.
        PhoneCode = "PHONE_CODE",
        /// Through WeChat.
        WeChat = "WECHAT",
        /// The enterprise vouched for them.
        Partner = "PARTNER",
    }
}

words! {
    /// Whose a session is.
    pub enum SessionSubject {
        /// A console user's.
        Operator = "OPERATOR",
        /// A person's.
        Holder = "HOLDER",
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
    pub state_reason: Option<String>,
    /// The PLATFORM enterprise whose branch it is, and what that one calls it.
    pub partner_id: Option<EnterpriseId>,
    pub corp_open_id: Option<String>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    /// How often its partner has disabled it.
    pub times_disabled: i32,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::operators)]
pub struct Operator {
    pub id: OperatorId,
    /// Nobody's who comes by single sign-on.
    pub sign_in: Option<String>,
    pub name: String,
    pub role: Role,
    pub password_hash: Option<String>,
    pub state: OperatorState,
    pub totp_confirmed_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = crate::schema::operators)]
pub struct NewOperator {
    pub tenant_id: EnterpriseId,
    pub id: OperatorId,
    pub sign_in: Option<String>,
    pub name: String,
    pub role: Role,
    pub password_hash: Option<String>,
    pub sso_connection_id: Option<uuid::Uuid>,
    pub sso_subject: Option<String>,
}

/// One time that somebody signed in, and what came of it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct Session {
    pub id: SessionId,
    pub subject_kind: SessionSubject,
    pub subject_id: uuid::Uuid,
    pub method: SignInMethod,
    pub client: String,
    pub address: String,
    pub used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub revoked_because: Option<String>,
    pub created_at: DateTime<Utc>,
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
    NotFound = "NOT_FOUND": "没有找到该企业，可用 `enterprises` 列出。" / "There is no such enterprise; list them with `enterprises`.",
    WrongState = "WRONG_STATE": "企业当前状态不允许此操作，请查看 `state`。" / "The enterprise's state does not allow this; read `state`.",
    InReview = "IN_REVIEW": "企业正在审核中，请等待审核结果。" / "The enterprise is in the house's review; wait for its word.",
    TooManyAttempts = "TOO_MANY_ATTEMPTS": "该地址的尝试次数过多。" / "Too many attempts came from this address.",
    LicenceMissing = "LICENCE_MISSING": "请先用 `qualificationCreate` 提交营业执照（BUSINESS_LICENCE）。" / "Hand in a BUSINESS_LICENCE with `qualificationCreate` first.",
});

codes!(SignInErrorCode, SignInUserError, {
    WrongCredentials = "WRONG_CREDENTIALS": "登录名或密码不正确，请重试，或请企业所有者重置密码。" / "The sign-in name or the password is wrong; try again or have your owner reset it.",
    TotpRequired = "TOTP_REQUIRED": "已开启两步验证，请以 `code` 同时提交验证器显示的验证码或恢复码。" / "Two-step sign-in is on: send the code that your app shows, or a recovery code, as `code`.",
    WrongCode = "WRONG_CODE": "验证码不正确或已使用，请输入新的验证码。" / "The code is wrong or was used; enter the next one that your app shows.",
    TryLater = "TRY_LATER": "尝试次数过多。" / "Too many attempts.",
    EnterpriseNotActive = "ENTERPRISE_NOT_ACTIVE": "企业未启用或已停用，请联系平台运营方。" / "The enterprise is not active; contact the house that runs this service.",
});

codes!(ReviewErrorCode, ReviewUserError, {
    NotFound = "NOT_FOUND": "没有找到该审核项，可用 `reviews` 列出待审核项。" / "There is no such review; list the open ones with `reviews`.",
    AlreadyDecided = "ALREADY_DECIDED": "该审核项已有结论，如需再审须由企业重新提交。" / "This review was already decided; the subject must be submitted again.",
    RemarkRequired = "REMARK_REQUIRED": "驳回时必须填写审核意见，告知企业应修改什么。" / "A rejection needs a remark that tells the enterprise what to change.",
    LicenceUndecided = "LICENCE_UNDECIDED": "该企业没有已通过的营业执照：请先对其营业执照作出审核，或驳回本项并填写意见。" / "The enterprise has no approved BUSINESS_LICENCE: decide on its licence first, or reject this review with a remark.",
    MediaNotPassed = "MEDIA_NOT_PASSED": "所用介质尚未全部通过内容审核；请先处理这些介质，或驳回申请。" / "Not all of its media have passed moderation; decide on those first, or reject it.",
});

codes!(SessionErrorCode, SessionUserError, {
    InvalidRefreshToken = "INVALID_REFRESH_TOKEN": "刷新令牌无效，请重新登录。" / "That is no refresh token of this service; sign in again.",
    RefreshTokenReused = "REFRESH_TOKEN_REUSED": "该刷新令牌已被使用过，为安全起见会话已结束，请重新登录。" / "This refresh token was used before, so the session was ended for safety; sign in again.",
    SessionEnded = "SESSION_ENDED": "会话已结束，请重新登录。" / "The session has ended; sign in again.",
    NotFound = "NOT_FOUND": "没有找到您的该会话，可用 `sessions` 列出。" / "There is no such session of yours; list them with `sessions`.",
    OwnersOnly = "OWNERS_ONLY": "所有者的会话只能由所有者结束，请联系所有者。" / "An owner's session is ended by owners only; ask one of them.",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enterprise_takes_only_the_steps_there_are() {
        use EnterpriseState::*;
        let steps = [(Pending, Active), (Active, Suspended), (Suspended, Active), (Suspended, Closed)];
        for &from in EnterpriseState::ALL {
            for &to in EnterpriseState::ALL {
                assert_eq!(from.may_become(to), steps.contains(&(from, to)), "{from:?} to {to:?}");
            }
        }
    }
}
