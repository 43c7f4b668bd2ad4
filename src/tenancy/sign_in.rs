//! An operator signs in with a password.

use chrono::TimeDelta;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::{Enterprise, EnterpriseKind, EnterpriseState, Operator, SignInErrorCode};
use crate::tenancy::operator::{normalise_sign_in, verify_password};
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::store::{self, DirectoryKind};
use crate::tenancy::token::{Identity, Tokens};

pub const OPERATOR_TOKEN_LIFE: TimeDelta = TimeDelta::hours(1);

/// A hash of no password that anybody has: verifying against it makes an unknown name cost what a known one costs.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9i$o2IuHdKCGM1C4n3cXQj0kUC7oHVN8S+zH1YXTnNqkFs";

#[derive(Clone, Debug)]
pub struct SignedIn {
    pub token: String,
    pub expires_at: i64,
    pub operator: Operator,
}

pub async fn sign_in(
    platform: &Platform,
    tokens: &Tokens,
    sign_in: &str,
    password: &str,
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
    let phc = found.as_ref().map_or(NOBODY.to_owned(), |(_, operator)| operator.password_hash.clone());
    let matches = verify_password(phc, password.to_owned()).await?;
    let Some((enterprise, operator)) = found.filter(|_| matches) else {
        return Err(Refusal::code(SignInErrorCode::WrongCredentials));
    };
    if enterprise.state != EnterpriseState::Active {
        return Err(Refusal::code(SignInErrorCode::EnterpriseNotActive));
    }
    let identity = match enterprise.kind {
        EnterpriseKind::House => Identity::House { operator: operator.id, role: operator.role },
        EnterpriseKind::Standard | EnterpriseKind::Platform => {
            Identity::Operator { operator: operator.id, role: operator.role }
        }
    };
    let (token, expires_at) = tokens.mint(enterprise.id, identity, OPERATOR_TOKEN_LIFE)?;
    Ok(SignedIn { token, expires_at, operator })
}

async fn find(tx: &TenantTx, sign_in: &str) -> Result<Option<(Enterprise, Operator)>, Fault> {
    let Some(operator) = store::operator_by_sign_in(tx, sign_in).await? else { return Ok(None) };
    Ok(store::enterprise(tx).await?.map(|enterprise| (enterprise, operator)))
}
