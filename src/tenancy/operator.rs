//! Operators: the people at an enterprise's console.

use crate::platform::refusal::Refusal;
use crate::tenancy::model::{EnterpriseErrorCode, NewOperator, OperatorId};
use crate::tenancy::permission::Role;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::store::{self, DirectoryKind};

/// Sign-in names are compared without case.
pub fn normalise_sign_in(sign_in: &str) -> String {
    sign_in.trim().to_lowercase()
}

/// What [`is_sign_in`] asks for, in Chinese and in English.
pub const SIGN_IN_RULE: (&str, &str) =
    ("登录名须为 3 到 254 个字符，且不含空格。", "A sign-in name has 3 to 254 characters and no spaces.");

/// Whether something can be a sign-in name, wherever it is chosen: by an owner, for a branch's, or in an invitation.
pub fn is_sign_in(sign_in: &str) -> bool {
    let sign_in = normalise_sign_in(sign_in);
    sign_in.chars().count() >= 3 && sign_in.len() <= 254 && !sign_in.chars().any(char::is_whitespace)
}

pub struct OperatorRequest<'a> {
    pub sign_in: &'a str,
    pub name: &'a str,
    pub role: Role,
    pub password_hash: String,
}

/// Adds an operator; the sign-in name is claimed across all tenants.
pub async fn add_in(tx: &TenantTx, request: OperatorRequest<'_>) -> Result<OperatorId, Refusal<EnterpriseErrorCode>> {
    let id = OperatorId::generate();
    add_as_in(tx, id, request).await?;
    Ok(id)
}

/// The same under an ID that is known already.
pub async fn add_as_in(
    tx: &TenantTx,
    id: OperatorId,
    request: OperatorRequest<'_>,
) -> Result<(), Refusal<EnterpriseErrorCode>> {
    let sign_in = normalise_sign_in(request.sign_in);
    if !store::claim_name_in(tx, DirectoryKind::SignIn, &sign_in, id.uuid()).await? {
        return Err(Refusal::at("ownerSignIn", EnterpriseErrorCode::SignInTaken));
    }
    let operator = NewOperator {
        tenant_id: tx.tenant(),
        id,
        sign_in: Some(sign_in),
        name: request.name.to_owned(),
        role: request.role,
        password_hash: Some(request.password_hash),
        sso_connection_id: None,
        sso_subject: None,
    };
    store::insert_operator_in(tx, operator).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_sign_in;

    #[test]
    fn a_sign_in_name_has_a_length_and_no_spaces() {
        for name in ["abc", " Owner@Alpha.example ", "掌柜的", &"a".repeat(254)] {
            assert!(is_sign_in(name), "{name}");
        }
        for name in ["", "ab", " ab ", "two words", "tab\tbed", &"a".repeat(255), &"掌".repeat(85)] {
            assert!(!is_sign_in(name), "{name}");
        }
    }
}
