//! Operators by single sign-on: made when they first come, brought up to date each time.

use serde_json::json;

use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::{Enterprise, EnterpriseId, NewOperator, Operator, OperatorId, OperatorState};
use crate::tenancy::permission::Role;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::sso::model::{SignOnError, Vouched};
use crate::tenancy::store::{self, sso};
use crate::tenancy::{audit, session};

/// The operator, and whether sessions of theirs were ended: then the standings of the enterprise are to be forgotten.
pub struct Admitted {
    pub operator: Operator,
    pub ended: bool,
}

/// Lets somebody in for whom `voucher` has vouched, in the enterprise that the transaction is in. The role is what the
/// voucher says today, also for somebody whose role was changed here; but who was made an owner stays one, as an
/// enterprise is never without.
pub async fn admit_in(
    tx: &TenantTx,
    voucher: EnterpriseId,
    vouched: &Vouched,
) -> Result<Admitted, Refusal<SignOnError>> {
    let enterprise = store::enterprise(tx).await?.ok_or_else(|| Refusal::code(SignOnError::BranchNotFound))?;
    if !reaches(voucher, &enterprise) {
        return Err(Refusal::code(SignOnError::BranchNotFound));
    }
    let Some(before) = sso::lock_operator_in(tx, vouched.voucher, &vouched.subject).await? else {
        return Ok(Admitted { operator: make_in(tx, vouched).await?, ended: false });
    };
    refresh_in(tx, before, vouched).await
}

/// An enterprise vouches for its own people and for those of its branches.
pub fn reaches(voucher: EnterpriseId, enterprise: &Enterprise) -> bool {
    enterprise.id == voucher || enterprise.partner_id == Some(voucher)
}

async fn make_in(tx: &TenantTx, vouched: &Vouched) -> Result<Operator, Refusal<SignOnError>> {
    let operator = NewOperator {
        tenant_id: tx.tenant(),
        id: OperatorId::generate(),
        sign_in: None,
        name: vouched.name.clone(),
        role: vouched.role,
        password_hash: None,
        sso_connection_id: Some(vouched.voucher),
        sso_subject: Some(vouched.subject.clone()),
    };
    let id = operator.id;
    if !sso::insert_operator_in(tx, operator).await? {
        // Two first visits at once: the other one has made them.
        return Err(Fault::Contended(anyhow::anyhow!("the operator was made by another sign-on")).into());
    }
    let role = json!({ "role": vouched.role });
    audit::record_in(tx, "operatorSsoCreate", id.uuid(), None, &role).await?;
    let made = store::operators_by_id(tx, &[id]).await?.remove(&id);
    Ok(made.ok_or_else(|| Fault::internal(anyhow::anyhow!("an operator was made and is not there")))?)
}

async fn refresh_in(tx: &TenantTx, before: Operator, vouched: &Vouched) -> Result<Admitted, Refusal<SignOnError>> {
    if before.state != OperatorState::Active {
        return Err(Refusal::code(SignOnError::OperatorDisabled));
    }
    let role = if before.role == Role::Owner { Role::Owner } else { vouched.role };
    if before.role == role && before.name == vouched.name {
        return Ok(Admitted { operator: before, ended: false });
    }
    sso::update_operator_in(tx, before.id, &vouched.name, role).await?;
    let mut ended = false;
    if before.role != role {
        // Tokens carry the role that was: those of before end with it.
        ended = session::end_all_in(tx, before.id.uuid(), None, "ROLE_CHANGED").await? > 0;
        let (old, new) = (json!({ "role": before.role }), json!({ "role": role }));
        audit::record_in(tx, "operatorSsoUpdate", before.id.uuid(), Some(&old), &new).await?;
    }
    let operator = Operator { name: vouched.name.clone(), role, version: before.version + 1, ..before };
    Ok(Admitted { operator, ended })
}
