//! An operator signs in with a password.

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::model::{Enterprise, EnterpriseState, Operator, SessionSubject, SignInErrorCode, SignInMethod};
use crate::tenancy::operator::normalise_sign_in;
use crate::tenancy::password;
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::session::{self, Granted, NewSession, Visit};
use crate::tenancy::store::{self, DirectoryKind};
use crate::tenancy::token::Tokens;

/// A hash of no password that anybody has: verifying against it makes an unknown name cost what a known one costs.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9i$o2IuHdKCGM1C4n3cXQj0kUC7oHVN8S+zH1YXTnNqkFs";

#[derive(Clone, Debug)]
pub struct SignedIn {
    pub granted: Granted,
    pub operator: Operator,
}

pub async fn sign_in(
    platform: &Platform,
    tokens: &Tokens,
    sign_in: &str,
    password: &str,
    visit: &Visit,
) -> Result<SignedIn, Refusal<SignInErrorCode>> {
    let sign_in = normalise_sign_in(sign_in);
    let house = HouseTx::read(&platform.database).await?;
    let tenant = store::look_up(&house, DirectoryKind::SignIn, &sign_in).await?;
    drop(house);

    let found = match tenant {
        Some(tenant) => {
            let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
            find(&tx, &sign_in).await?
        }
        None => None,
    };
    let phc = found.as_ref().and_then(|(_, operator)| operator.password_hash.clone());
    let matches = password::verify(phc.unwrap_or_else(|| NOBODY.to_owned()), password.to_owned()).await?;
    let Some((enterprise, operator)) = found.filter(|_| matches) else {
        return Err(Refusal::code(SignInErrorCode::WrongCredentials));
    };
    if enterprise.state == EnterpriseState::Closed {
        return Err(Refusal::code(SignInErrorCode::EnterpriseNotActive));
    }
    let tx = TenantScope::of_system(enterprise.id).write(&platform.database).await?;
    let new = NewSession {
        subject: SessionSubject::Operator,
        subject_id: operator.id.uuid(),
        method: SignInMethod::Password,
        visit,
    };
    let opened = session::open_in(platform, &tx, new).await?;
    audit::record_in(&tx, "operatorSignIn", operator.id.uuid(), None, &opened.session.id).await?;
    tx.commit().await?;
    let identity = session::operator_identity(enterprise.kind, operator.id, operator.role);
    let granted = session::grant(tokens, enterprise.id, opened, identity)?;
    Ok(SignedIn { granted, operator })
}

async fn find(tx: &TenantTx, sign_in: &str) -> Result<Option<(Enterprise, Operator)>, Fault> {
    let Some(operator) = store::operator_by_sign_in(tx, sign_in).await? else { return Ok(None) };
    Ok(store::enterprise(tx).await?.map(|enterprise| (enterprise, operator)))
}
