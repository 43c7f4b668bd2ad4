//! Operators: the people at an enterprise's console, and their passwords.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::platform::fault::Fault;
use crate::platform::randomness::Randomness;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::{EnterpriseErrorCode, NewOperator, OperatorId};
use crate::tenancy::permission::Role;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::store::{self, DirectoryKind};

/// OWASP's second recommendation for argon2id: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19 * 1024, 2, 1, None).unwrap_or_default())
}

/// What a password must be like before it is hashed.
pub fn check_password(field: &str, password: &str) -> Result<(), Refusal<EnterpriseErrorCode>> {
    if (12..=128).contains(&password.chars().count()) {
        return Ok(());
    }
    let (chinese, english) = ("密码须为 12 到 128 个字符。", "A password has 12 to 128 characters.");
    Err(Refusal::explained(field, EnterpriseErrorCode::InvalidInput, chinese, english))
}

/// How many passwords are hashed at the same time. Each takes 19 MiB and a processor: a flood of sign-ins has to queue
/// here, or it would take the machine's memory with it.
static HASHING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(4)));

/// Runs `work` on the blocking pool in its turn. The turn goes along with the work: a caller who hangs up must not make
/// room for the next while the hashing goes on.
async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    let turn = HASHING.clone().acquire_owned().await.map_err(Fault::internal)?;
    let hashing = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(turn);
        result
    });
    hashing.await.map_err(Fault::internal)
}

tokio::task_local! {
    /// Counts the hashes that are computed for the task it is set in. Whether an unknown name costs what a known one
    /// costs cannot be told by the clock, so the tests count.
    pub static METER: Arc<AtomicU64>;
}

/// A PHC string. Takes tens of milliseconds of processor time by design, so it runs on the blocking pool.
pub async fn hash_password(randomness: &dyn Randomness, password: &str) -> Result<String, Fault> {
    let (password, salt) = (password.to_owned(), randomness.bytes::<16>());
    in_turn(move || argon2().hash_password_with_salt(password.as_bytes(), &salt).map(|hash| hash.to_string()))
        .await?
        .map_err(|error| Fault::internal(anyhow::anyhow!("argon2: {error}")))
}

pub async fn verify_password(phc: String, password: String) -> Result<bool, Fault> {
    let meter = METER.try_with(Arc::clone).ok();
    in_turn(move || {
        PasswordHash::new(&phc).is_ok_and(|hash| {
            if let Some(meter) = &meter {
                meter.fetch_add(1, Ordering::Relaxed);
            }
            argon2().verify_password(password.as_bytes(), &hash).is_ok()
        })
    })
    .await
}

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
