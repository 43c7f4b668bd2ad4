//! Invitations: how somebody becomes an operator.
//!
//! The one who invites learns a secret, once, and hands it on by whatever way they trust; we keep its hash. The sign-in
//! name is claimed when the invitation is accepted, so an invitation that nobody takes up keeps no name from anybody.
//! Whether a name is taken, anywhere in the house, is told then and not to who invites: names would be tried out
//! through invitations otherwise. Who accepts their own learns it too, once for each; so they are bounded.

use chrono::TimeDelta;
use serde_json::json;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::{Problem, Refusal};
use crate::platform::throttle::Window;
use crate::platform::vault::sha256;
use crate::tenancy::audit;
use crate::tenancy::device;
use crate::tenancy::model::operators::{Invitation, InvitationState, OperatorErrorCode, may_touch};
use crate::tenancy::model::{
    Enterprise, EnterpriseErrorCode, EnterpriseState, InvitationId, OperatorId, SessionSubject, SignInMethod,
};
use crate::tenancy::operator::{self, OperatorRequest, normalise_sign_in};
use crate::tenancy::operator_change::{check_name, present_role_in};
use crate::tenancy::password;
use crate::tenancy::permission::{Permission, Role};
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::session::{self, NewSession, Visit, bearer_secret, tenant_of};
use crate::tenancy::sign_in::SignedIn;
use crate::tenancy::store::operators::{self, NewInvitation};
use crate::tenancy::token::Tokens;
use crate::tenancy::{store, throttle};

const PREFIX: &str = "mhi_";
const GOOD_FOR: TimeDelta = TimeDelta::days(7);

/// Of one enterprise: a company can move in within a morning, and a list of names takes for ever.
const INVITATIONS: Window = Window { limit: 60, length: TimeDelta::hours(1) };

#[derive(Clone, Debug)]
pub struct InvitationRequest {
    pub sign_in: String,
    pub name: String,
    pub role: Role,
}

/// An invitation, and its secret that is shown this once.
pub struct Invited {
    pub invitation: Invitation,
    pub secret: String,
}

/// Invites somebody. An open invitation to the same name gives way: a link that was lost is replaced by asking again.
pub async fn invite(
    platform: &Platform,
    scope: &TenantScope,
    request: &InvitationRequest,
) -> Result<Invited, Refusal<OperatorErrorCode>> {
    scope.require(Permission::OperatorManage)?;
    check_name(&request.name)?;
    let sign_in = normalise_sign_in(&request.sign_in);
    if !operator::is_sign_in(&sign_in) {
        let (chinese, english) = operator::SIGN_IN_RULE;
        return Err(Refusal::explained("signIn", OperatorErrorCode::InvalidInput, chinese, english));
    }
    let key = throttle::Key::new(platform, "INVITATION", &[]);
    if let Err(wait) = throttle::count_in_window(platform, scope.tenant(), &key, &INVITATIONS).await? {
        return Err(Refusal::later(OperatorErrorCode::TryLater, wait));
    }
    let secret = bearer_secret(&*platform.randomness, PREFIX, scope.tenant());

    let tx = scope.write(&platform.database).await?;
    operators::lock_staff_in(&tx).await?;
    let by = present_role_in(&tx).await?;
    let former = operators::open_invitation_to(&tx, &sign_in).await?;
    if !may_touch(by, &[request.role, former.as_ref().map_or(request.role, |former| former.role)]) {
        return Err(Refusal::at("role", OperatorErrorCode::OwnersOnly));
    }
    if let Some(former) = former {
        operators::settle_invitation_in(&tx, former.id, InvitationState::Revoked).await?;
    }
    let new = NewInvitation {
        id: InvitationId::generate(),
        sign_in: &sign_in,
        name: request.name.trim(),
        role: request.role,
        secret_hash: &sha256(secret.as_bytes()),
        invited_by: scope.actor().id,
        expires_at: tx.now().await? + GOOD_FOR,
    };
    let invitation = operators::insert_invitation_in(&tx, &new).await?;
    audit::record_in(&tx, "operatorInvite", invitation.id.uuid(), None, &record(&invitation)).await?;
    tx.commit().await?;
    Ok(Invited { invitation, secret })
}

/// Takes an open invitation back; its secret opens nothing from then on.
pub async fn revoke(
    platform: &Platform,
    scope: &TenantScope,
    id: InvitationId,
) -> Result<Invitation, Refusal<OperatorErrorCode>> {
    scope.require(Permission::OperatorManage)?;
    let not_found = || Refusal::at("id", OperatorErrorCode::InvitationNotFound);
    let tx = scope.write(&platform.database).await?;
    operators::lock_staff_in(&tx).await?;
    let by = present_role_in(&tx).await?;
    let before = operators::lock_invitation_in(&tx, id).await?.ok_or_else(not_found)?;
    if before.state != InvitationState::Open {
        return Err(not_found());
    }
    if !may_touch(by, &[before.role]) {
        return Err(Refusal::at("id", OperatorErrorCode::OwnersOnly));
    }
    let after = operators::settle_invitation_in(&tx, id, InvitationState::Revoked).await?;
    audit::record_in(&tx, "invitationRevoke", id.uuid(), Some(&record(&before)), &record(&after)).await?;
    tx.commit().await?;
    Ok(after)
}

/// What somebody who was invited sends.
pub struct Acceptance<'a> {
    pub secret: &'a str,
    pub password: &'a str,
    pub visit: &'a Visit,
    pub request_id: std::sync::Arc<str>,
}

/// Makes an operator of whoever holds the secret, and signs them in.
pub async fn accept(
    platform: &Platform,
    tokens: &Tokens,
    acceptance: Acceptance<'_>,
) -> Result<SignedIn, Refusal<OperatorErrorCode>> {
    let Acceptance { secret, password: new_password, visit, request_id } = acceptance;
    let invalid = || Refusal::at("secret", OperatorErrorCode::SecretInvalid);
    let tenant = tenant_of(PREFIX, secret).ok_or_else(invalid)?;
    let hash = sha256(secret.as_bytes());
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    let asked = lock_open_in(&tx, &hash).await?;
    let enterprise = store::enterprise(&tx).await?.ok_or_else(invalid)?;
    drop(tx); // hashing takes its time
    let Enterprise { slug, name_chinese, name_english, .. } = &enterprise;
    let about = [slug, name_chinese, name_english, &asked.name, &asked.sign_in].map(String::as_str);
    password::check("password", OperatorErrorCode::InvalidInput, new_password, &about).await?;
    let password_hash = password::hash(&*platform.randomness, new_password).await?;

    let id = OperatorId::generate();
    let scope = TenantScope::of_operator(tenant, id, asked.role, request_id);
    let tx = scope.write(&platform.database).await?;
    // Who invited them may have taken it back meanwhile.
    let invitation = lock_open_in(&tx, &hash).await?;
    let request =
        OperatorRequest { sign_in: &invitation.sign_in, name: &invitation.name, role: invitation.role, password_hash };
    let enterprise = store::enterprise(&tx).await?.ok_or_else(invalid)?;
    if enterprise.state == EnterpriseState::Closed {
        return Err(invalid());
    }
    operator::add_as_in(&tx, id, request).await.map_err(plain)?;
    operators::settle_invitation_in(&tx, invitation.id, InvitationState::Accepted).await?;
    let operator = operators::lock_in(&tx, id).await?.ok_or(Fault::NotFound)?;
    let new = NewSession {
        brief: false,
        subject: SessionSubject::Operator,
        subject_id: id.uuid(),
        method: SignInMethod::Invitation,
        visit,
    };
    let opened = session::open_in(platform, &tx, new).await?;
    audit::record_in(&tx, "invitationAccept", invitation.id.uuid(), None, &json!({ "operator": id })).await?;
    tx.commit().await?;
    let identity = session::operator_identity(enterprise.kind, id, operator.role);
    let device_token = device::issue(platform, &invitation.sign_in);
    Ok(SignedIn { granted: session::grant(tokens, tenant, opened, identity)?, operator, device_token })
}

async fn lock_open_in(tx: &TenantTx, hash: &[u8]) -> Result<Invitation, Refusal<OperatorErrorCode>> {
    let now = tx.now().await?;
    operators::lock_invitation_of_in(tx, hash)
        .await?
        .filter(|invitation| invitation.state == InvitationState::Open && invitation.expires_at > now)
        .ok_or_else(|| Refusal::at("secret", OperatorErrorCode::SecretInvalid))
}

/// The audit log gets digests only, but a name or a sign-in name has no business even in those.
fn record(invitation: &Invitation) -> serde_json::Value {
    json!({ "role": invitation.role, "state": invitation.state, "expiresAt": invitation.expires_at })
}

/// What provisioning refuses, in this family's words.
fn plain(refusal: Refusal<EnterpriseErrorCode>) -> Refusal<OperatorErrorCode> {
    let code = |code| match code {
        EnterpriseErrorCode::SignInTaken => OperatorErrorCode::SignInTaken,
        _ => OperatorErrorCode::InvalidInput,
    };
    match refusal {
        Refusal::Fault(fault) => Refusal::Fault(fault),
        Refusal::Problems(problems) => Refusal::Problems(
            problems
                .into_iter()
                .map(|Problem { code: was, field, detail, wait }| Problem { code: code(was), field, detail, wait })
                .collect(),
        ),
    }
}
