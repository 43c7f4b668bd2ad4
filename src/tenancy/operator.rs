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
        return Err(Refusal::at("signIn", EnterpriseErrorCode::SignInTaken));
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
