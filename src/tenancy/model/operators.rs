//! The people at a console: invitations, and why something about an operator was refused.

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};

use crate::schema::{invitations, operators};
use crate::tenancy::model::{InvitationId, OperatorId};
use crate::tenancy::permission::Role;
use crate::{codes, words};

words! {
    /// Where an invitation stands.
    pub enum InvitationState {
        /// Waits to be accepted, until it expires.
        Open = "OPEN",
        /// Became an operator.
        Accepted = "ACCEPTED",
        /// Was taken back, or gave way to a newer one.
        Revoked = "REVOKED",
    }
}

/// Somebody who may become an operator.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = invitations)]
pub struct Invitation {
    pub id: InvitationId,
    pub sign_in: String,
    pub name: String,
    pub role: Role,
    pub invited_by: OperatorId,
    pub state: InvitationState,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

/// What an operator's second factor is checked with.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = operators)]
pub struct TotpSeat {
    pub totp_sealed: Option<Vec<u8>>,
    pub totp_confirmed_at: Option<DateTime<Utc>>,
    pub totp_step: i64,
}

/// An owner is made and changed by owners alone, so that nobody raises themselves.
pub fn may_touch(by: Option<Role>, concerned: &[Role]) -> bool {
    by == Some(Role::Owner) || !concerned.contains(&Role::Owner)
}

codes!(OperatorErrorCode, OperatorUserError, {
    NotFound = "NOT_FOUND": "没有找到该操作员，可用 `operators` 列出。" / "There is no such operator; list them with `operators`.",
    InvitationNotFound = "INVITATION_NOT_FOUND": "没有找到该待接受的邀请，可用 `invitations` 列出。" / "There is no such open invitation; list them with `invitations`.",
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    OwnersOnly = "OWNERS_ONLY": "只有企业所有者才能邀请、设立或变更所有者，请联系所有者。" / "Only an owner may invite, make or change an owner; ask one of them.",
    LastOwner = "LAST_OWNER": "企业至少需要一名启用中的所有者，请先设立另一名所有者。" / "An enterprise keeps at least one active owner; make somebody else an owner first.",
    Yourself = "YOURSELF": "不能对自己进行该操作，请由其他管理员处理。" / "You cannot do this to yourself; have another administrator do it.",
    SignInTaken = "SIGN_IN_TAKEN": "该登录名已被占用，请让管理员以其他登录名重新邀请。" / "That sign-in name is taken; a new invitation is needed under another one.",
    SecretInvalid = "SECRET_INVALID": "链接无效、已使用或已过期，请让管理员重新生成。" / "This link is wrong, was used or has expired; ask an administrator for a new one.",
    NoPassword = "NO_PASSWORD": "该操作员通过单点登录进入，没有密码，请由单点登录进入。" / "This operator comes by single sign-on and has no password; let them sign in there.",
    WrongPassword = "WRONG_PASSWORD": "当前密码不正确，请重试。" / "That is not the present password; try again.",
    WrongCode = "WRONG_CODE": "验证码不正确或已使用，请输入新的验证码。" / "The code is wrong or was used; enter the next one that your app shows.",
    TotpOn = "TOTP_ON": "已开启两步验证，如需更换请先关闭。" / "Two-step sign-in is on already; turn it off first to move it to another device.",
    TotpOff = "TOTP_OFF": "尚未开启两步验证，请先用 `operatorTotpBegin` 开始设置。" / "Two-step sign-in is not on; begin with `operatorTotpBegin`.",
    TryLater = "TRY_LATER": "尝试次数过多。" / "Too many attempts.",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_the_owners_affair() {
        for &by in Role::ALL {
            for &concerned in Role::ALL {
                let may = may_touch(Some(by), &[Role::Auditor, concerned]);
                assert_eq!(may, by == Role::Owner || concerned != Role::Owner, "{by:?} {concerned:?}");
            }
        }
        assert!(!may_touch(None, &[Role::Owner]), "nor a partner's, nor a machine's");
    }
}
