//! A partner's branches (平台类): made, stopped and let go on by the partner, who knows each by its corpOpenId.
//!
//! A branch is an enterprise of its own, in a room of its own: nothing here reads or writes it but the row that says
//! who it is. Which enterprises are a partner's stands in the partner's `branches`, and [`locate`] asks there before
//! anything else is done; so another partner's branch is not found, whatever it is called by. The house's word (its
//! state) and the partner's (disabled, expired) are kept apart, and neither can take back the other's.
//!
//! Making one takes two transactions, as it concerns two rooms: first the partner keeps an ID for the corpOpenId, then
//! the branch is made under it. Whoever is interrupted between the two, or comes at the same time, finds the ID kept
//! and goes on from there; an ID under which nothing was made is no branch yet and is not shown.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::{Problem, Refusal};
use crate::platform::vault::{hex, sha256};
use crate::tenancy::enterprise::{self, announce_in};
use crate::tenancy::model::{
    BranchErrorCode, Enterprise, EnterpriseErrorCode, EnterpriseId, EnterpriseKind, EnterpriseState,
};
use crate::tenancy::operator::{self, OperatorRequest};
use crate::tenancy::permission::{Permission, Role};
use crate::tenancy::scope::TenantScope;
use crate::tenancy::standing::Standings;
use crate::tenancy::store::branches::{self, NewBranch};
use crate::tenancy::store::{self, enterprise_row};
use crate::tenancy::{audit, idempotency, password};

/// Under which key the branch notes what it was made from, beside what manifests make.
const MADE_FROM: &str = "branch";

#[derive(Clone, Debug)]
pub struct BranchRequest {
    pub corp_open_id: String,
    pub name_chinese: String,
    pub name_english: String,
    /// Derived from the branch's ID where it is left out.
    pub slug: Option<String>,
    pub owner: Option<OwnerRequest>,
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug)]
pub struct OwnerRequest {
    pub sign_in: String,
    pub name: String,
    pub password: String,
}

pub struct Created {
    pub branch: Enterprise,
    /// It was there already, made from the same input.
    pub replayed: bool,
}

/// What two requests for one corpOpenId are compared by. The password is left out: its hash would tell it to whoever
/// can guess.
#[derive(Serialize)]
struct MadeFrom<'a> {
    name_chinese: &'a str,
    name_english: &'a str,
    slug: Option<&'a str>,
    owner_sign_in: Option<String>,
    owner_name: Option<&'a str>,
    expires_at: Option<DateTime<Utc>>,
}

impl BranchRequest {
    fn digest(&self) -> Result<Vec<u8>, Fault> {
        idempotency::input_hash(&MadeFrom {
            name_chinese: self.name_chinese.trim(),
            name_english: self.name_english.trim(),
            slug: self.slug.as_deref(),
            owner_sign_in: self.owner.as_ref().map(|owner| operator::normalise_sign_in(&owner.sign_in)),
            owner_name: self.owner.as_ref().map(|owner| owner.name.trim()),
            expires_at: self.expires_at,
        })
    }

    fn check(&self) -> Result<(), Refusal<BranchErrorCode>> {
        use BranchErrorCode::InvalidInput;
        if !(1..=128).contains(&self.corp_open_id.len()) || !self.corp_open_id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Refusal::explained(
                "corpOpenId",
                InvalidInput,
                "corpOpenId 须为 1 到 128 个可见 ASCII 字符。",
                "A corpOpenId has 1 to 128 visible ASCII characters.",
            ));
        }
        enterprise::check_names(&self.name_chinese, &self.name_english).map_err(of_branch)?;
        if self.slug.as_deref().is_some_and(|slug| !enterprise::is_slug(slug)) {
            return Err(Refusal::explained(
                "slug",
                InvalidInput,
                "标识须为 2 到 40 个小写字母、数字或连字符，不以连字符开头，且不能是 house。",
                "A slug has 2 to 40 lower-case letters, digits or hyphens, does not begin with a hyphen and is not `house`.",
            ));
        }
        let Some(owner) = &self.owner else { return Ok(()) };
        if !enterprise::is_name(&owner.name) {
            return Err(Refusal::explained(
                "owner.name",
                InvalidInput,
                "姓名须为 1 到 80 个字符。",
                "An owner's name has 1 to 80 characters.",
            ));
        }
        if !operator::is_sign_in(&owner.sign_in) {
            let (chinese, english) = operator::SIGN_IN_RULE;
            return Err(Refusal::explained("owner.signIn", InvalidInput, chinese, english));
        }
        Ok(())
    }
}

/// Makes a branch, which works at once. Asked again for the same corpOpenId with the same input, it gives the same one.
pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &BranchRequest,
) -> Result<Created, Refusal<BranchErrorCode>> {
    scope.require(Permission::BranchManage)?;
    request.check()?;
    let digest = request.digest()?;
    let id = reserve(platform, scope, &request.corp_open_id).await?;

    let acting = scope.within_branch(id);
    if let Some(made) = made(platform, &acting, &digest).await? {
        return Ok(made);
    }
    let password_hash = match &request.owner {
        Some(owner) => {
            let about = [&request.name_chinese, &request.name_english, &owner.sign_in, &owner.name].map(String::as_str);
            password::check("owner.password", BranchErrorCode::InvalidInput, &owner.password, &about).await?;
            Some(password::hash(&*platform.randomness, &owner.password).await?)
        }
        None => None,
    };
    let slug = request.slug.clone().unwrap_or_else(|| derived_slug(id));
    let new = NewBranch {
        slug: &slug,
        names: (request.name_chinese.trim(), request.name_english.trim()),
        partner: scope.tenant(),
        corp_open_id: &request.corp_open_id,
        expires_at: request.expires_at,
    };
    let tx = acting.write(&platform.database).await?;
    if !branches::insert_in(&tx, &new).await? {
        drop(tx);
        let made = made(platform, &acting, &digest).await?;
        return made.ok_or_else(|| Fault::internal(anyhow::anyhow!("{id} was there and is not")).into());
    }
    enterprise::furnish_in(platform, &tx, &slug).await.map_err(of_branch)?;
    if let (Some(owner), Some(password_hash)) = (&request.owner, password_hash) {
        let new =
            OperatorRequest { sign_in: &owner.sign_in, name: owner.name.trim(), role: Role::Owner, password_hash };
        operator::add_in(&tx, new).await.map_err(of_branch)?;
    }
    store::insert_manifest_entry_in(&tx, MADE_FROM, id.uuid(), digest).await?;
    let branch = store::enterprise(&tx).await?.ok_or(Fault::NotFound)?;
    audit::record_in(&tx, "branchCreate", id.uuid(), None, &(&slug, new.names, new.corp_open_id)).await?;
    announce_in(&tx, &branch).await?;
    tx.commit().await?;
    Ok(Created { branch, replayed: false })
}

/// The partner's side: an ID for the corpOpenId, kept for good.
async fn reserve(
    platform: &Platform,
    scope: &TenantScope,
    corp_open_id: &str,
) -> Result<EnterpriseId, Refusal<BranchErrorCode>> {
    let tx = scope.write(&platform.database).await?;
    let partner = store::enterprise(&tx).await?.ok_or(Fault::NotFound)?;
    if partner.kind != EnterpriseKind::Platform {
        return Err(Refusal::code(BranchErrorCode::NotAPartner));
    }
    if partner.state != EnterpriseState::Active {
        return Err(partner.state.refusing().into());
    }
    let (id, is_new) = branches::reserve_in(&tx, corp_open_id).await?;
    if is_new {
        audit::record_in(&tx, "branchCreate", id.uuid(), None, &corp_open_id).await?;
    }
    tx.commit().await?;
    Ok(id)
}

/// The branch that was made under the ID, if one was, and from this input.
async fn made(
    platform: &Platform,
    acting: &TenantScope,
    digest: &[u8],
) -> Result<Option<Created>, Refusal<BranchErrorCode>> {
    let tx = acting.read(&platform.database).await?;
    let Some(branch) = store::enterprise(&tx).await? else { return Ok(None) };
    match store::manifest_entry(&tx, MADE_FROM).await? {
        Some((_, from)) if from == digest => Ok(Some(Created { branch, replayed: true })),
        _ => Err(Refusal::at("corpOpenId", BranchErrorCode::AlreadyCreated)),
    }
}

/// A slug nobody has. It tells nothing: neither the partner's name for the branch nor when it was made.
fn derived_slug(id: EnterpriseId) -> String {
    format!("branch-{}", hex(&sha256(id.uuid().as_bytes())[..8]))
}

/// What a partner does to a branch of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Disable,
    Enable,
    /// From when on it no longer works; without a time it works on.
    Expire(Option<DateTime<Utc>>),
}

impl Step {
    fn action(self) -> &'static str {
        match self {
            Self::Disable => "branchDisable",
            Self::Enable => "branchEnable",
            Self::Expire(_) => "branchExpire",
        }
    }

    fn is_taken(self, branch: &Enterprise) -> bool {
        match self {
            Self::Disable => branch.disabled_at.is_some(),
            Self::Enable => branch.disabled_at.is_none(),
            Self::Expire(at) => branch.expires_at == at,
        }
    }
}

/// Takes the step; one that was taken already changes nothing.
pub async fn take(
    platform: &Platform,
    standings: &Standings,
    scope: &TenantScope,
    corp_open_id: &str,
    step: Step,
) -> Result<Enterprise, Refusal<BranchErrorCode>> {
    scope.require(Permission::BranchManage)?;
    let id = locate(platform, scope, corp_open_id).await?;
    let tx = scope.within_branch(id).write(&platform.database).await?;
    let before = enterprise_row::lock_in(&tx).await?.ok_or_else(not_found)?;
    if before.state == EnterpriseState::Closed {
        return Err(Refusal::at("corpOpenId", BranchErrorCode::Closed));
    }
    if step.is_taken(&before) {
        return Ok(before);
    }
    let after = match step {
        Step::Disable => enterprise_row::disable_in(&tx).await?,
        Step::Enable => enterprise_row::enable_in(&tx).await?,
        Step::Expire(at) => enterprise_row::set_expiry_in(&tx, at).await?,
    };
    let told = |branch: &Enterprise| (branch.disabled_at, branch.expires_at);
    audit::record_in(&tx, step.action(), id.uuid(), Some(&told(&before)), &told(&after)).await?;
    announce_in(&tx, &after).await?;
    tx.commit().await?;
    standings.forget(id);
    Ok(after)
}

/// The branch that the partner calls so. What is another partner's is not there.
pub async fn locate(
    platform: &Platform,
    scope: &TenantScope,
    corp_open_id: &str,
) -> Result<EnterpriseId, Refusal<BranchErrorCode>> {
    let tx = scope.read(&platform.database).await?;
    branches::find(&tx, corp_open_id).await?.ok_or_else(not_found)
}

pub fn not_found() -> Refusal<BranchErrorCode> {
    Refusal::at("corpOpenId", BranchErrorCode::NotFound)
}

/// What stands in the way of an enterprise stands in the way of a branch. Its owner's fields lie one level deeper.
fn of_branch(refusal: Refusal<EnterpriseErrorCode>) -> Refusal<BranchErrorCode> {
    let code = |code| match code {
        EnterpriseErrorCode::SlugTaken => BranchErrorCode::SlugTaken,
        EnterpriseErrorCode::SignInTaken => BranchErrorCode::SignInTaken,
        _ => BranchErrorCode::InvalidInput,
    };
    match refusal {
        Refusal::Fault(fault) => Refusal::Fault(fault),
        Refusal::Problems(problems) => Refusal::Problems(
            problems
                .into_iter()
                .map(|problem| Problem {
                    code: code(problem.code),
                    field: problem
                        .field
                        .map(|field| if field == "ownerSignIn" { "owner.signIn".into() } else { field }),
                    detail: problem.detail,
                    wait: problem.wait,
                })
                .collect(),
        ),
    }
}
