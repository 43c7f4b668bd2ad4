//! SQL over operators, their second factors and invitations.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, Binary, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel::{ExpressionMethods, IntoSql, QueryDsl, SelectableHelper, delete, insert_into, update};

use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{enterprises, invitations, operators, recovery_codes};
use crate::tenancy::model::operators::{Invitation, InvitationState, TotpSeat};
use crate::tenancy::model::{EnterpriseId, InvitationId, NewOperator, Operator, OperatorId, OperatorState};
use crate::tenancy::permission::Role;
use crate::tenancy::scope::TenantTx;

pub async fn insert_operator_in(tx: &TenantTx, operator: NewOperator) -> Result<(), Fault> {
    tx.execute_exactly(1, insert_into(operators::table).values(operator)).await
}

pub async fn operator_by_sign_in(tx: &TenantTx, sign_in: &str) -> Result<Option<Operator>, Fault> {
    tx.optional(
        operators::table
            .filter(operators::tenant_id.eq(tx.tenant()))
            .filter(operators::sign_in.eq(sign_in.to_owned()))
            .filter(operators::state.eq(OperatorState::Active))
            .select(Operator::as_select()),
    )
    .await
}

pub async fn first_operator_with_role(tx: &TenantTx, role: Role) -> Result<Option<Operator>, Fault> {
    tx.optional(
        operators::table
            .filter(operators::tenant_id.eq(tx.tenant()))
            .filter(operators::role.eq(role))
            .filter(operators::state.eq(OperatorState::Active))
            .order(operators::id)
            .limit(1)
            .select(Operator::as_select()),
    )
    .await
}

pub async fn operators_by_id(tx: &TenantTx, ids: &[OperatorId]) -> Result<HashMap<OperatorId, Operator>, Fault> {
    let rows: Vec<Operator> = tx
        .load(
            operators::table
                .filter(operators::tenant_id.eq(tx.tenant()))
                .filter(operators::id.eq_any(ids.to_vec()))
                .select(Operator::as_select()),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// One at a time changes who works for an enterprise: what is read after this holds until the commit.
pub async fn lock_staff_in(tx: &TenantTx) -> Result<(), Fault> {
    let found: Option<EnterpriseId> = tx
        .optional(
            enterprises::table
                .filter(enterprises::tenant_id.eq(tx.tenant()))
                .select(enterprises::tenant_id)
                .for_no_key_update(),
        )
        .await?;
    found.map(drop).ok_or(Fault::NotFound)
}

/// The operator, locked.
pub async fn lock_in(tx: &TenantTx, id: OperatorId) -> Result<Option<Operator>, Fault> {
    tx.optional(
        operators::table
            .filter(operators::tenant_id.eq(tx.tenant()))
            .filter(operators::id.eq(id))
            .select(Operator::as_select())
            .for_no_key_update(),
    )
    .await
}

#[derive(Clone, Copy, Debug, Default)]
pub struct OperatorFilter {
    pub role: Option<Role>,
    pub state: Option<OperatorState>,
}

pub async fn list(tx: &TenantTx, filter: &OperatorFilter, page: &Page<OperatorId>) -> Result<Vec<Operator>, Fault> {
    let query = operators::table.filter(operators::tenant_id.eq(tx.tenant())).select(Operator::as_select());
    let mut query = paged!(query, operators::id, page);
    if let Some(role) = filter.role {
        query = query.filter(operators::role.eq(role));
    }
    if let Some(state) = filter.state {
        query = query.filter(operators::state.eq(state));
    }
    tx.load(query).await
}

pub async fn count(tx: &TenantTx, filter: &OperatorFilter) -> Result<i64, Fault> {
    let mut query = operators::table.filter(operators::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(role) = filter.role {
        query = query.filter(operators::role.eq(role));
    }
    if let Some(state) = filter.state {
        query = query.filter(operators::state.eq(state));
    }
    tx.one(query).await
}

/// What can be changed about an operator from outside.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    pub name: &'a str,
    pub role: Role,
    pub state: OperatorState,
}

pub async fn change_in(tx: &TenantTx, id: OperatorId, change: &Change<'_>) -> Result<Operator, Fault> {
    let statement = update(operators::table)
        .filter(operators::tenant_id.eq(tx.tenant()))
        .filter(operators::id.eq(id))
        .set((
            operators::name.eq(change.name.to_owned()),
            operators::role.eq(change.role),
            operators::state.eq(change.state),
            operators::version.eq(operators::version + 1),
        ))
        .returning(Operator::as_returning());
    tx.one(statement).await
}

/// A new password. It makes every link that was given out for an earlier version of the operator worthless.
pub async fn set_password_in(tx: &TenantTx, id: OperatorId, hash: &str) -> Result<Operator, Fault> {
    let statement = update(operators::table)
        .filter(operators::tenant_id.eq(tx.tenant()))
        .filter(operators::id.eq(id))
        .set((operators::password_hash.eq(Some(hash.to_owned())), operators::version.eq(operators::version + 1)))
        .returning(Operator::as_returning());
    tx.one(statement).await
}

/// Counts the operator's version up and changes nothing else.
pub async fn step_version_in(tx: &TenantTx, id: OperatorId) -> Result<Operator, Fault> {
    let statement = update(operators::table)
        .filter(operators::tenant_id.eq(tx.tenant()))
        .filter(operators::id.eq(id))
        .set(operators::version.eq(operators::version + 1))
        .returning(Operator::as_returning());
    tx.one(statement).await
}

pub async fn totp_seat(tx: &TenantTx, id: OperatorId) -> Result<Option<TotpSeat>, Fault> {
    tx.optional(
        operators::table
            .filter(operators::tenant_id.eq(tx.tenant()))
            .filter(operators::id.eq(id))
            .select(TotpSeat::as_select()),
    )
    .await
}

/// Puts a secret in that is not confirmed yet, or takes out what there is. The last accepted step stays: a secret that
/// is enrolled again must not take an old code.
pub async fn set_totp_in(tx: &TenantTx, id: OperatorId, sealed: Option<Vec<u8>>) -> Result<Operator, Fault> {
    let statement = update(operators::table)
        .filter(operators::tenant_id.eq(tx.tenant()))
        .filter(operators::id.eq(id))
        .set((
            operators::totp_sealed.eq(sealed),
            operators::totp_confirmed_at.eq(None::<DateTime<Utc>>),
            operators::version.eq(operators::version + 1),
        ))
        .returning(Operator::as_returning());
    tx.one(statement).await
}

pub async fn confirm_totp_in(tx: &TenantTx, id: OperatorId) -> Result<Operator, Fault> {
    let statement = update(operators::table)
        .filter(operators::tenant_id.eq(tx.tenant()))
        .filter(operators::id.eq(id))
        .set((
            operators::totp_confirmed_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()),
            operators::version.eq(operators::version + 1),
        ))
        .returning(Operator::as_returning());
    tx.one(statement).await
}

/// Uses a step up, and all before it; `false` where it was used already. Of two who come at once, the second waits for
/// the first and then finds it used.
pub async fn spend_totp_step_in(tx: &TenantTx, id: OperatorId, step: i64) -> Result<bool, Fault> {
    let statement = update(operators::table)
        .filter(operators::tenant_id.eq(tx.tenant()))
        .filter(operators::id.eq(id))
        .filter(operators::totp_step.lt(step))
        .set(operators::totp_step.eq(step));
    Ok(tx.execute(statement).await? == 1)
}

pub async fn insert_recovery_codes_in(tx: &TenantTx, id: OperatorId, hashes: Vec<Vec<u8>>) -> Result<(), Fault> {
    let count = hashes.len();
    let statement = statement(
        "INSERT INTO recovery_codes (tenant_id, operator_id, code_hash)
         SELECT $1, $2, code.hash FROM unnest($3) AS code (hash)
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(id)
    .bind::<Array<Binary>, _>(hashes);
    tx.execute_exactly(count, statement).await
}

pub async fn delete_recovery_codes_in(tx: &TenantTx, id: OperatorId) -> Result<(), Fault> {
    let statement = delete(recovery_codes::table)
        .filter(recovery_codes::tenant_id.eq(tx.tenant()))
        .filter(recovery_codes::operator_id.eq(id));
    tx.execute(statement).await.map(drop)
}

/// Uses a recovery code up; `false` where there is none or it was used.
pub async fn spend_recovery_code_in(tx: &TenantTx, id: OperatorId, hash: &[u8]) -> Result<bool, Fault> {
    let statement = update(recovery_codes::table)
        .filter(recovery_codes::tenant_id.eq(tx.tenant()))
        .filter(recovery_codes::operator_id.eq(id))
        .filter(recovery_codes::code_hash.eq(hash.to_vec()))
        .filter(recovery_codes::used_at.is_null())
        .set(recovery_codes::used_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()));
    Ok(tx.execute(statement).await? == 1)
}

/// Whether the enterprise has an owner who can come in, beside this one.
pub async fn has_other_owner(tx: &TenantTx, than: OperatorId) -> Result<bool, Fault> {
    let others: i64 = tx
        .one(
            operators::table
                .filter(operators::tenant_id.eq(tx.tenant()))
                .filter(operators::role.eq(Role::Owner))
                .filter(operators::state.eq(OperatorState::Active))
                .filter(operators::id.ne(than))
                .count(),
        )
        .await?;
    Ok(others > 0)
}

pub struct NewInvitation<'a> {
    pub id: InvitationId,
    pub sign_in: &'a str,
    pub name: &'a str,
    pub role: Role,
    pub secret_hash: &'a [u8],
    pub invited_by: uuid::Uuid,
    pub expires_at: DateTime<Utc>,
}

pub async fn insert_invitation_in(tx: &TenantTx, new: &NewInvitation<'_>) -> Result<Invitation, Fault> {
    let row = (
        invitations::tenant_id.eq(tx.tenant()),
        invitations::id.eq(new.id),
        invitations::sign_in.eq(new.sign_in.to_owned()),
        invitations::name.eq(new.name.to_owned()),
        invitations::role.eq(new.role),
        invitations::token_hash.eq(new.secret_hash.to_vec()),
        invitations::invited_by.eq(new.invited_by),
        invitations::expires_at.eq(new.expires_at),
    );
    tx.one(insert_into(invitations::table).values(row).returning(Invitation::as_returning())).await
}

/// The invitation to this name that has not been accepted or revoked, expired or not.
pub async fn open_invitation_to(tx: &TenantTx, sign_in: &str) -> Result<Option<Invitation>, Fault> {
    tx.optional(
        invitations::table
            .filter(invitations::tenant_id.eq(tx.tenant()))
            .filter(invitations::sign_in.eq(sign_in.to_owned()))
            .filter(invitations::state.eq(InvitationState::Open))
            .select(Invitation::as_select()),
    )
    .await
}

/// The invitation that a secret stands for, locked.
pub async fn lock_invitation_of_in(tx: &TenantTx, secret_hash: &[u8]) -> Result<Option<Invitation>, Fault> {
    tx.optional(
        invitations::table
            .filter(invitations::tenant_id.eq(tx.tenant()))
            .filter(invitations::token_hash.eq(secret_hash.to_vec()))
            .select(Invitation::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn lock_invitation_in(tx: &TenantTx, id: InvitationId) -> Result<Option<Invitation>, Fault> {
    tx.optional(
        invitations::table
            .filter(invitations::tenant_id.eq(tx.tenant()))
            .filter(invitations::id.eq(id))
            .select(Invitation::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn settle_invitation_in(
    tx: &TenantTx,
    id: InvitationId,
    state: InvitationState,
) -> Result<Invitation, Fault> {
    let statement = update(invitations::table)
        .filter(invitations::tenant_id.eq(tx.tenant()))
        .filter(invitations::id.eq(id))
        .filter(invitations::state.eq(InvitationState::Open))
        .set(invitations::state.eq(state))
        .returning(Invitation::as_returning());
    tx.one(statement).await
}

/// Takes back what somebody invited who may not do so any more.
pub async fn revoke_invitations_by_in(tx: &TenantTx, inviter: OperatorId) -> Result<usize, Fault> {
    let statement = update(invitations::table)
        .filter(invitations::tenant_id.eq(tx.tenant()))
        .filter(invitations::invited_by.eq(inviter.uuid()))
        .filter(invitations::state.eq(InvitationState::Open))
        .set(invitations::state.eq(InvitationState::Revoked));
    tx.execute(statement).await
}

pub async fn list_invitations(
    tx: &TenantTx,
    state: Option<InvitationState>,
    page: &Page<InvitationId>,
) -> Result<Vec<Invitation>, Fault> {
    let query = invitations::table.filter(invitations::tenant_id.eq(tx.tenant())).select(Invitation::as_select());
    let mut query = paged!(query, invitations::id, page);
    if let Some(state) = state {
        query = query.filter(invitations::state.eq(state));
    }
    tx.load(query).await
}

pub async fn count_invitations(tx: &TenantTx, state: Option<InvitationState>) -> Result<i64, Fault> {
    let mut query = invitations::table.filter(invitations::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(state) = state {
        query = query.filter(invitations::state.eq(state));
    }
    tx.one(query).await
}
