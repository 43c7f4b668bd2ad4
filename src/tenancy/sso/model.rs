//! What single sign-on is configured with, and why it is refused. No I/O.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::bridges::partner_signature::Profile;
use crate::platform::language::Text;
use crate::platform::refusal::{Code, Refusal};
use crate::schema::{sso_attempts, sso_connections, sso_keys, sso_origins, sso_tickets};
use crate::tenancy::model::{EnterpriseId, OperatorId, SignInMethod, SsoConnectionId, SsoKeyId};
use crate::tenancy::permission::Role;
use crate::{codes, stored_words, words};

words! {
    /// Whether something of single sign-on is in use.
    pub enum SsoState {
        /// In use.
        Active = "ACTIVE",
        /// Out of use.
        Disabled = "DISABLED",
    }
}

words! {
    /// How a partner's server signs what it says of its people.
    pub enum SsoProfile {
        /// A JWT, signed with the partner's own private key.
        Jwt = "JWT",
        /// Parameters signed as Eqxiu (易企秀) does, with a shared secret.
        Eqxiu = "EQXIU",
        /// Parameters signed as Duiba (兑吧) does, with a shared secret.
        Duiba = "DUIBA",
        /// Parameters signed as RRX (人人秀) does, with a shared secret.
        Rrx = "RRX",
    }
}

impl SsoProfile {
    /// The rule of signature, where parameters are signed.
    pub fn signature(self) -> Option<Profile> {
        match self {
            Self::Jwt => None,
            Self::Eqxiu => Some(Profile::EqxiuRest),
            Self::Duiba => Some(Profile::Duiba),
            Self::Rrx => Some(Profile::Rrx),
        }
    }
}

/// Which role a provider's or a partner's word stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RoleMap {
    pub words: BTreeMap<String, Role>,
}

impl RoleMap {
    /// The role of somebody of whom these words were said: the mightiest that one of them stands for. Ownership is not
    /// given away by anybody outside, whatever stands in the map.
    pub fn role_of(&self, words: &[&str], otherwise: Option<Role>) -> Option<Role> {
        const MIGHTIEST_FIRST: [Role; 4] = [Role::Admin, Role::Operator, Role::Finance, Role::Auditor];
        let said: Vec<Role> = words.iter().filter_map(|word| self.words.get(*word).copied()).collect();
        let found = MIGHTIEST_FIRST.into_iter().find(|role| said.contains(role));
        found.or(otherwise.filter(|role| *role != Role::Owner))
    }

    pub fn to_json(&self) -> Value {
        self.words.iter().map(|(word, role)| (word.clone(), Value::from(role.as_str()))).collect()
    }

    /// What was stored. A word that has no meaning any more gives no role.
    pub fn from_json(value: &Value) -> Self {
        let words = value.as_object().into_iter().flatten();
        let words = words.filter_map(|(word, role)| Some((word.clone(), role.as_str()?.parse().ok()?)));
        Self { words: words.collect() }
    }
}

/// An OpenID provider of an enterprise's own.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sso_connections)]
pub struct Connection {
    pub tenant_id: EnterpriseId,
    pub id: SsoConnectionId,
    pub name: String,
    pub issuer: String,
    pub client_id: String,
    pub client_secret_sealed: Option<Vec<u8>>,
    pub scopes: String,
    pub role_claim: String,
    pub roles: Value,
    pub default_role: Option<Role>,
    pub branch_claim: Option<String>,
    pub state: SsoState,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

/// What may be changed of a connection, but for its secret. The issuer stays: its people are known by its names for
/// them, which another issuer may give to others.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionSettings {
    pub name: String,
    pub client_id: String,
    pub scopes: String,
    pub role_claim: String,
    pub roles: RoleMap,
    pub default_role: Option<Role>,
    pub branch_claim: Option<String>,
}

impl Connection {
    pub fn settings(&self) -> ConnectionSettings {
        ConnectionSettings {
            name: self.name.clone(),
            client_id: self.client_id.clone(),
            scopes: self.scopes.clone(),
            role_claim: self.role_claim.clone(),
            roles: RoleMap::from_json(&self.roles),
            default_role: self.default_role,
            branch_claim: self.branch_claim.clone(),
        }
    }
}

/// What a partner's server signs with.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sso_keys)]
pub struct Key {
    pub tenant_id: EnterpriseId,
    pub id: SsoKeyId,
    pub name: String,
    pub profile: SsoProfile,
    pub public_jwk: Option<Value>,
    pub secret_sealed: Option<Vec<u8>>,
    pub roles: Value,
    pub default_role: Option<Role>,
    pub state: SsoState,
    pub version: i32,
    pub last_used_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// A web origin from which the console may be embedded.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sso_origins)]
pub struct Origin {
    pub origin: String,
    pub state: SsoState,
    pub created_at: DateTime<Utc>,
}

/// What is remembered of a sign-in that has come back.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sso_attempts)]
pub struct Attempt {
    pub verifier_sealed: Vec<u8>,
    pub nonce_hash: Vec<u8>,
    pub origin: Option<String>,
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = sso_tickets)]
pub struct Ticket {
    pub vouched_by: EnterpriseId,
    /// The connection or the key, as the method says.
    pub voucher_id: Uuid,
    pub operator_id: OperatorId,
    pub method: SignInMethod,
    pub origin: Option<String>,
    pub nonce_hash: Option<Vec<u8>>,
    pub expires_at: DateTime<Utc>,
    pub spent_at: Option<DateTime<Utc>>,
}

/// Somebody for whom a provider or a partner has vouched, as far as it is known here what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The connection; for assertions the enterprise itself, so that its people outlive its keys.
    pub voucher: Uuid,
    /// The voucher's own name for them, for good.
    pub subject: String,
    pub name: String,
    pub role: Role,
    /// What the partner calls the branch that they are to work in.
    pub corp_open_id: Option<String>,
}

/// A name fit for the console: without control characters, 80 characters at most, never empty.
pub fn display_name(given: Option<&str>, subject: &str) -> String {
    let clean = |text: &str| -> String {
        let text: String = text.chars().filter(|letter| !letter.is_control()).take(80).collect();
        text.trim().to_owned()
    };
    let given = given.map(clean).filter(|name| !name.is_empty());
    given.unwrap_or_else(|| clean(subject))
}

codes!(SsoErrorCode, SsoUserError, {
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    NotFound = "NOT_FOUND": "没有找到您的该对象，请检查 ID 或列出现有的对象。" / "Nothing of yours has that ID; list what there is.",
    IssuerRefused = "ISSUER_REFUSED": "该身份提供方无法使用，请检查地址与其发现文档。" / "The provider cannot be used; check the issuer and its discovery document.",
    PrivateKey = "PRIVATE_KEY": "这是私钥：请视为已泄露，重新生成密钥对，只提交公钥。" / "That JWK holds the private key. Take it for exposed: make a new pair and send the public half alone.",
    NotAPartner = "NOT_A_PARTNER": "只有平台类（PLATFORM）企业有分支，请不要填写 `branchClaim`。" / "Only a PLATFORM enterprise has branches; leave `branchClaim` out.",
    TooMany = "TOO_MANY": "数量已达上限，请先停用不再使用的。" / "There are as many as there may be; take one out of use first.",
});

codes!(SsoTicketErrorCode, SsoTicketUserError, {
    InvalidTicket = "INVALID_TICKET": "登录凭证无效，请重新进入。" / "That is no ticket of this service; ask for a new one.",
    TicketExpired = "TICKET_EXPIRED": "登录凭证已过期（有效期一分钟），请重新进入。" / "The ticket has expired: it is good for a minute. Ask for a new one.",
    TicketSpent = "TICKET_SPENT": "登录凭证已被使用（只能用一次），请重新进入。" / "The ticket was used before: it is good once. Ask for a new one.",
    WrongOrigin = "WRONG_ORIGIN": "来源网页与登录凭证不符，请在其指定的网页中使用。" / "The ticket is for another page than the one that sent it; spend it where it was meant to be.",
    WrongNonce = "WRONG_NONCE": "nonce 与登录凭证不符，请传递申请登录凭证时所用的 nonce。" / "The nonce is not the ticket's; hand on the nonce that the ticket was asked for with.",
    TrustWithdrawn = "TRUST_WITHDRAWN": "登录凭证所依据的密钥、身份提供方连接或来源网页已被停用，请联系企业管理员。" / "The key, the connection or the page that the ticket rests on was taken out of use since; ask the enterprise's administrators.",
    NotAdmitted = "NOT_ADMITTED": "账号已停用或企业未启用，请联系管理员。" / "The operator is disabled or the enterprise is not active; ask its administrators.",
});

stored_words! {
    /// Why a sign-on came to nothing, as a partner's server or a browser that came back is told.
    pub enum SignOnError {
        NotFound = "NOT_FOUND",
        Malformed = "MALFORMED",
        InvalidAssertion = "INVALID_ASSERTION",
        InvalidClaim = "INVALID_CLAIM",
        Expired = "EXPIRED",
        NotYetValid = "NOT_YET_VALID",
        TooLong = "TOO_LONG",
        WrongAudience = "WRONG_AUDIENCE",
        Replayed = "REPLAYED",
        UnknownOrigin = "UNKNOWN_ORIGIN",
        BranchNotFound = "BRANCH_NOT_FOUND",
        NoRole = "NO_ROLE",
        OperatorDisabled = "OPERATOR_DISABLED",
        EnterpriseNotActive = "ENTERPRISE_NOT_ACTIVE",
        AttemptUnknown = "ATTEMPT_UNKNOWN",
        Denied = "DENIED",
        ProviderFailed = "PROVIDER_FAILED",
        TooManyAttempts = "TOO_MANY_ATTEMPTS",
    }
}

impl SignOnError {
    /// Something that a partner's server says is missing, or is not in its form, which is told.
    pub fn about_claim(name: &'static str) -> Refusal<Self> {
        let (chinese, english) = match name {
            "nonce" => (
                "nonce 必填，长度为 16 到 200，并须与页面稍后出示的一致。",
                "A nonce is needed: 16 to 200 characters, the ones that the page will show.",
            ),
            "jti" => {
                ("jti 必填，长度为 8 到 128，且每次不同。", "A jti is needed: 8 to 128 characters, others each time.")
            }
            "sub" | "uid" | "openid" | "openId" => (
                "用户标识必填，长度为 1 到 255，不含控制字符。",
                "The user's own ID is needed: 1 to 255 characters, none of them a control character.",
            ),
            "exp" | "iat" | "nbf" => (
                "时间须为自 1970 年起的秒数；exp 与 iat 必填。",
                "A time is a number of seconds since 1970; exp and iat are needed.",
            ),
            "timestamp" | "time_stamp" => (
                "时间必填，且须为该签名方式规定的位数：毫秒 13 位，秒 10 位。",
                "The time is needed, with the digits of the signature's profile: 13 for milliseconds, 10 for seconds.",
            ),
            "aud" => {
                ("aud 必填：填写本服务的地址或 minthouse。", "An aud is needed: this service's address, or minthouse.")
            }
            "name" => {
                ("name 最长 400 字节，不含控制字符；可不填。", "A name has at most 400 bytes; it may be left out.")
            }
            "role" => (
                "role 须为不超过 128 个字符的文本，断言中也可为文本列表；可不填。",
                "A role is a text of at most 128 characters, in an assertion also a list of texts; it may be left out.",
            ),
            "corpOpenId" => {
                ("corpOpenId 长度为 1 到 128；可不填。", "A corpOpenId has 1 to 128 characters; it may be left out.")
            }
            "origin" => ("origin 长度为 1 到 255；可不填。", "An origin has 1 to 255 characters; it may be left out."),
            _ => return Refusal::at(name, Self::InvalidClaim),
        };
        Refusal::explained(name, Self::InvalidClaim, chinese, english)
    }
}

impl Code for SignOnError {
    fn text(self) -> Text {
        let (chinese, english) = match self {
            Self::NotFound => (
                "没有找到该登录入口，请向企业索取新的链接。",
                "There is no such way in; ask your enterprise for its present link.",
            ),
            Self::Malformed => (
                "请求格式不正确：请发送含 assertion 的 JSON 对象，或含签名参数的表单。",
                "The request is neither a JSON object with an assertion nor a form with signed parameters; send one of them.",
            ),
            Self::InvalidAssertion => (
                "断言或签名无效，请检查密钥、签名和签发方。",
                "The assertion is not good: check the key's ID and state, the signature and the issuer.",
            ),
            Self::InvalidClaim => (
                "缺少必填项，或其格式不正确，请检查。",
                "Something that must be there is missing, or is not in its form; check it.",
            ),
            Self::Expired => ("断言已过期，请重新签发。", "The assertion has expired; sign a new one."),
            Self::NotYetValid => {
                ("断言尚未生效，请检查服务器时间。", "The assertion is not valid yet; check your server's clock.")
            }
            Self::TooLong => {
                ("断言有效期过长，最多五分钟，请缩短。", "The assertion ends too far ahead; five minutes are the most.")
            }
            Self::WrongAudience => (
                "断言的受众不是本服务，请把本服务写为受众。",
                "The assertion is for somebody else; name this service as its audience.",
            ),
            Self::Replayed => ("该断言已被使用，请重新签发。", "The assertion was used before; each is good once."),
            Self::UnknownOrigin => (
                "该来源未登记，请先在单点登录设置中登记。",
                "That origin is not registered; add it to the enterprise's origins first.",
            ),
            Self::BranchNotFound => (
                "合作方没有该 corpOpenId 的分支，请先创建。",
                "The partner has no branch of that corpOpenId; create it first.",
            ),
            Self::NoRole => (
                "所给信息没有对应的角色，请联系企业管理员设置角色映射。",
                "None of what was said gives a role here; ask the enterprise's administrators to map it.",
            ),
            Self::OperatorDisabled => {
                ("账号已停用，请联系企业管理员。", "The operator is disabled; ask the enterprise's administrators.")
            }
            Self::EnterpriseNotActive => (
                "企业未启用或已停用，请联系平台运营方。",
                "The enterprise is not active; contact the house that runs this service.",
            ),
            Self::AttemptUnknown => (
                "本次登录在其他浏览器中开始、已超时或已结束，请回到原页面重新登录。",
                "This sign-in was begun in another browser, too long ago, or is over; begin again.",
            ),
            Self::Denied => (
                "身份提供方拒绝了本次登录，请联系企业管理员。",
                "The identity provider refused the sign-in; ask the enterprise's administrators.",
            ),
            Self::ProviderFailed => (
                "与身份提供方的通信失败，请稍后重试或联系管理员。",
                "The identity provider did not answer as it should; try again, or ask the administrators.",
            ),
            Self::TooManyAttempts => ("尝试过于频繁，请一分钟后重试。", "Too many attempts; try again in a minute."),
        };
        Text::new(chinese, english)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> RoleMap {
        RoleMap::from_json(&value)
    }

    #[test]
    fn the_mightiest_of_several_roles_counts_and_unknown_words_count_nothing() {
        let map = map(json!({"staff": "AUDITOR", "money": "FINANCE", "boss": "ADMIN", "gone": "JANITOR"}));
        assert_eq!(map.role_of(&["staff", "boss", "money"], None), Some(Role::Admin));
        assert_eq!(map.role_of(&["stranger", "staff"], Some(Role::Operator)), Some(Role::Auditor));
        assert_eq!(map.role_of(&["gone"], None), None);
        assert_eq!(map.role_of(&[], Some(Role::Finance)), Some(Role::Finance));
    }

    #[test]
    fn ownership_is_given_by_no_map_and_by_no_default() {
        let map = map(json!({"boss": "OWNER"}));
        assert_eq!(map.role_of(&["boss"], None), None);
        assert_eq!(map.role_of(&["boss"], Some(Role::Owner)), None);
        assert_eq!(map.role_of(&["boss"], Some(Role::Auditor)), Some(Role::Auditor));
    }

    #[test]
    fn a_name_is_cleaned_and_never_empty() {
        assert_eq!(display_name(Some("  爱丽丝\u{0}\n "), "u-1"), "爱丽丝");
        assert_eq!(display_name(Some("\u{7}"), "u-1"), "u-1");
        assert_eq!(display_name(None, &"x".repeat(200)).len(), 80);
    }
}
