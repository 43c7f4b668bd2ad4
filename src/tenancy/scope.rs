//! Scopes: the types that open transactions.
//!
//! A [`TenantTx`] is the only way to a tenant's rows. It comes from a [`TenantScope`] (an operator, an API client, a
//! partner acting for its branch, a worker) or from a [`HolderScope`] (one person). What crosses tenants has types of
//! its own, named so that they are easy to find: a [`HouseTx`] sees the few things that stand across all of them, a
//! [`PartnerTx`] a partner's branches side by side, a [`PersonTx`] where one person is known.

use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::platform::db::{Access, Database, Session, Transaction};
use crate::platform::fault::Fault;
use crate::tenancy::model::{
    ApiClientId, ApiClientSecretId, EnterpriseId, EnterpriseState, HolderId, OperatorId, SessionId,
};
use crate::tenancy::permission::{Permission, Permissions, Role};
use crate::words;

words! {
    /// Who did something.
    pub enum ActorKind {
        /// A console user of the enterprise.
        Operator = "OPERATOR",
        /// A person who draws, buys, claims and holds.
        Holder = "HOLDER",
        /// The house that runs Minthouse.
        House = "HOUSE",
        /// A worker of the server itself.
        System = "SYSTEM",
        /// A machine of the enterprise.
        Client = "CLIENT",
        /// Somebody of the partner that the enterprise is a branch of.
        Partner = "PARTNER",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: Uuid,
}

/// What somebody may do within one enterprise.
#[derive(Clone, Copy, Debug)]
enum Grant {
    /// Workers, and provisioning.
    Everything,
    Role(Role),
    Scopes(Permissions),
}

/// One enterprise, and who acts for it.
#[derive(Clone, Debug)]
pub struct TenantScope {
    tenant: EnterpriseId,
    actor: Actor,
    grant: Grant,
    /// As it was when the caller came in.
    state: EnterpriseState,
    session: Option<SessionId>,
    /// What an API client showed.
    secret: Option<ApiClientSecretId>,
    request_id: Arc<str>,
}

/// One person within one enterprise: reads own rows, writes through use cases that name them.
#[derive(Clone, Debug)]
pub struct HolderScope {
    tenant: EnterpriseId,
    holder: HolderId,
    state: EnterpriseState,
    session: Option<SessionId>,
    request_id: Arc<str>,
}

/// The house: provisions enterprises and reviews what goes live.
#[derive(Clone, Debug)]
pub struct HouseScope {
    tenant: EnterpriseId,
    operator: OperatorId,
    role: Role,
    session: Option<SessionId>,
    request_id: Arc<str>,
}

/// One person wherever they are known, for nobody's eyes but theirs.
#[derive(Clone, Debug)]
pub struct PersonScope {
    person: PersonKey,
    request_id: Arc<str>,
}

/// A keyed hash of the phone that a person has proved to be theirs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PersonKey(pub [u8; 32]);

impl std::fmt::Debug for PersonKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PersonKey(…)")
    }
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub enum Caller {
    Anonymous,
    /// An operator or an API client of the enterprise, or its partner.
    Enterprise(TenantScope),
    Holder(HolderScope),
    House(HouseScope),
    Person(PersonScope),
}

impl TenantScope {
    pub fn of_operator(tenant: EnterpriseId, operator: OperatorId, role: Role, request_id: Arc<str>) -> Self {
        let actor = Actor { kind: ActorKind::Operator, id: operator.uuid() };
        Self::new(tenant, actor, Grant::Role(role), request_id)
    }

    /// A machine of the enterprise.
    pub fn of_client(tenant: EnterpriseId, client: ApiClientId, scopes: Permissions, request_id: Arc<str>) -> Self {
        let actor = Actor { kind: ActorKind::Client, id: client.uuid() };
        Self::new(tenant, actor, Grant::Scopes(scopes), request_id)
    }

    /// Somebody of a partner, within one of its branches.
    pub fn of_partner(branch: EnterpriseId, actor: Uuid, scopes: Permissions, request_id: Arc<str>) -> Self {
        let actor = Actor { kind: ActorKind::Partner, id: actor };
        Self::new(branch, actor, Grant::Scopes(scopes), request_id)
    }

    /// For workers and for provisioning, which serve a tenant that asked for nothing just now. Passes every check.
    pub fn of_system(tenant: EnterpriseId) -> Self {
        let actor = Actor { kind: ActorKind::System, id: Uuid::nil() };
        Self::new(tenant, actor, Grant::Everything, Arc::from("system"))
    }

    /// For a request of somebody who has not proved yet who they are. Passes every check, as it is the use case's to
    /// make: once it knows them, [`TenantTx::acting_as`] says so in the audit log.
    pub fn of_visitor(tenant: EnterpriseId, request_id: Arc<str>) -> Self {
        Self { request_id, ..Self::of_system(tenant) }
    }

    fn new(tenant: EnterpriseId, actor: Actor, grant: Grant, request_id: Arc<str>) -> Self {
        Self { tenant, actor, grant, state: EnterpriseState::Active, session: None, secret: None, request_id }
    }

    /// In the state that the enterprise is in: while it does not work, its people can do little.
    pub fn in_state(self, state: EnterpriseState) -> Self {
        Self { state, ..self }
    }

    /// Under the session that the token named.
    pub fn under(self, session: Option<SessionId>) -> Self {
        Self { session, ..self }
    }

    /// On the strength of a client's secret.
    pub fn showing(self, secret: ApiClientSecretId) -> Self {
        Self { secret: Some(secret), ..self }
    }

    /// The same actor at work in a branch. Which enterprises are branches of whom stands in the partner's `branches`:
    /// look there first. Opens transactions and passes no check.
    pub fn within_branch(&self, branch: EnterpriseId) -> Self {
        Self::of_partner(branch, self.actor.id, Permissions::default(), self.request_id.clone())
    }

    pub fn tenant(&self) -> EnterpriseId {
        self.tenant
    }

    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// The secret that an API client showed: what is made for it ends with it.
    pub fn secret(&self) -> Option<ApiClientSecretId> {
        self.secret
    }

    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    pub fn request_id(&self) -> &Arc<str> {
        &self.request_id
    }

    /// The operator who acts, where it is one: some things are for people only.
    pub fn operator(&self) -> Result<OperatorId, Fault> {
        match self.actor.kind {
            ActorKind::Operator => Ok(OperatorId::from_uuid(self.actor.id)),
            _ => Err(Fault::wrong_caller("操作员本人的令牌", "an operator's own token")),
        }
    }

    /// The role of the operator who acts; nobody else has one.
    pub fn role(&self) -> Option<Role> {
        match self.grant {
            Grant::Role(role) => Some(role),
            Grant::Everything | Grant::Scopes(_) => None,
        }
    }

    pub fn permissions(&self) -> Permissions {
        match self.grant {
            Grant::Everything => Permission::ALL.iter().copied().collect(),
            Grant::Role(role) => role.permissions(),
            Grant::Scopes(scopes) => scopes,
        }
    }

    /// The first statement of a use case.
    pub fn require(&self, permission: Permission) -> Result<(), Fault> {
        match self.grant {
            Grant::Role(role) if !role.permits(permission) => return Err(Fault::Forbidden(permission.name())),
            Grant::Scopes(scopes) if !scopes.contains(permission) => return Err(Fault::OutOfScope(permission.name())),
            Grant::Everything | Grant::Role(_) | Grant::Scopes(_) => {}
        }
        if self.state.admits(permission) { Ok(()) } else { Err(self.state.refusing()) }
    }

    pub async fn read(&self, database: &Database) -> Result<TenantTx, Fault> {
        self.open(database, Access::ReadOnly).await
    }

    pub async fn write(&self, database: &Database) -> Result<TenantTx, Fault> {
        self.open(database, Access::ReadWrite).await
    }

    /// For a hot path: its statements go by their keys, whatever the planner thinks of its tables.
    pub async fn write_steadily(&self, database: &Database) -> Result<TenantTx, Fault> {
        self.open(database, Access::Steady).await
    }

    async fn open(&self, database: &Database, access: Access) -> Result<TenantTx, Fault> {
        let transaction = database.begin(Session::Tenant { tenant: self.tenant.uuid() }, access).await?;
        Ok(TenantTx { transaction, tenant: self.tenant, actor: self.actor, request_id: self.request_id.clone() })
    }
}

impl HolderScope {
    pub fn new(tenant: EnterpriseId, holder: HolderId, request_id: Arc<str>) -> Self {
        Self { tenant, holder, state: EnterpriseState::Active, session: None, request_id }
    }

    /// In the state that the enterprise is in: while it does not work, its holders can look and do nothing.
    pub fn in_state(self, state: EnterpriseState) -> Self {
        Self { state, ..self }
    }

    /// Under the session that the token named.
    pub fn under(self, session: Option<SessionId>) -> Self {
        Self { session, ..self }
    }

    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// The first statement of what a holder does.
    pub fn require_active(&self) -> Result<(), Fault> {
        match self.state {
            EnterpriseState::Active => Ok(()),
            state => Err(state.refusing_holders()),
        }
    }

    pub fn tenant(&self) -> EnterpriseId {
        self.tenant
    }

    pub fn holder(&self) -> HolderId {
        self.holder
    }

    pub async fn read(&self, database: &Database) -> Result<TenantTx, Fault> {
        let session = Session::Holder { tenant: self.tenant.uuid(), holder: self.holder.uuid() };
        Ok(self.wrap(database.begin(session, Access::ReadOnly).await?))
    }

    /// What a person does moves stock, chances and money, which the person's own database role may not touch: the use
    /// case writes for them as the tenant, and names the holder in each of its statements.
    pub async fn write(&self, database: &Database) -> Result<TenantTx, Fault> {
        self.require_active()?;
        self.write_of_own(database).await
    }

    /// For what a person may do about themselves whatever their enterprise's state: sign out, be erased.
    pub async fn write_of_own(&self, database: &Database) -> Result<TenantTx, Fault> {
        let session = Session::Tenant { tenant: self.tenant.uuid() };
        Ok(self.wrap(database.begin(session, Access::ReadWrite).await?))
    }

    fn wrap(&self, transaction: Transaction) -> TenantTx {
        let actor = Actor { kind: ActorKind::Holder, id: self.holder.uuid() };
        TenantTx { transaction, tenant: self.tenant, actor, request_id: self.request_id.clone() }
    }
}

impl HouseScope {
    pub fn new(tenant: EnterpriseId, operator: OperatorId, role: Role, request_id: Arc<str>) -> Self {
        Self { tenant, operator, role, session: None, request_id }
    }

    /// Under the session that the token named.
    pub fn under(self, session: Option<SessionId>) -> Self {
        Self { session, ..self }
    }

    /// For the command line, which whoever runs the server runs.
    pub fn of_command_line() -> Self {
        let nobody = (EnterpriseId::from_uuid(Uuid::nil()), OperatorId::from_uuid(Uuid::nil()));
        Self::new(nobody.0, nobody.1, Role::Owner, Arc::from("command-line"))
    }

    /// The house is an enterprise too: its operators, sessions and sign-on are looked after as everybody's are.
    pub fn as_enterprise(&self) -> TenantScope {
        TenantScope::of_operator(self.tenant, self.operator, self.role, self.request_id.clone()).under(self.session)
    }

    /// The house's auditors look; its other roles also decide.
    pub fn require_decider(&self) -> Result<(), Fault> {
        match self.role {
            Role::Owner | Role::Admin | Role::Operator => Ok(()),
            Role::Finance | Role::Auditor => Err(Fault::Forbidden("HOUSE_REVIEW")),
        }
    }

    /// The house at work within one enterprise: a review is recorded beside what it decides on.
    pub async fn write_within(&self, database: &Database, tenant: EnterpriseId) -> Result<TenantTx, Fault> {
        let transaction = database.begin(Session::Tenant { tenant: tenant.uuid() }, Access::ReadWrite).await?;
        let actor = Actor { kind: ActorKind::House, id: self.operator.uuid() };
        Ok(TenantTx { transaction, tenant, actor, request_id: self.request_id.clone() })
    }

    /// The house looking at what one enterprise has handed in for its review.
    pub async fn read_within(&self, database: &Database, tenant: EnterpriseId) -> Result<TenantTx, Fault> {
        let transaction = database.begin(Session::Tenant { tenant: tenant.uuid() }, Access::ReadOnly).await?;
        let actor = Actor { kind: ActorKind::House, id: self.operator.uuid() };
        Ok(TenantTx { transaction, tenant, actor, request_id: self.request_id.clone() })
    }
}

impl PersonScope {
    pub fn new(person: PersonKey, request_id: Arc<str>) -> Self {
        Self { person, request_id }
    }

    pub fn person(&self) -> PersonKey {
        self.person
    }

    /// Where this person is known. What they own there is read enterprise by enterprise, as the holder they are there.
    pub async fn read(&self, database: &Database) -> Result<PersonTx, Fault> {
        Ok(PersonTx(database.begin(Session::Person { key: self.person.0 }, Access::ReadOnly).await?))
    }

    /// The same person, as one enterprise knows them.
    pub fn within(&self, tenant: EnterpriseId, holder: HolderId) -> HolderScope {
        HolderScope::new(tenant, holder, self.request_id.clone())
    }
}

/// A transaction within one enterprise.
pub struct TenantTx {
    transaction: Transaction,
    tenant: EnterpriseId,
    actor: Actor,
    request_id: Arc<str>,
}

impl TenantTx {
    /// Bind it in every statement: it routes, it serves the index, and it turns the row-security policy into a check
    /// done once.
    pub fn tenant(&self) -> EnterpriseId {
        self.tenant
    }

    pub fn actor(&self) -> Actor {
        self.actor
    }

    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// From here on on behalf of somebody who has proved who they are.
    pub fn acting_as(self, kind: ActorKind, id: Uuid) -> Self {
        Self { actor: Actor { kind, id }, ..self }
    }

    /// The database's time at the start of this transaction, by which windows and deadlines are judged.
    pub async fn now(&self) -> Result<DateTime<Utc>, Fault> {
        use diesel::IntoSql;
        self.transaction.one(diesel::select(diesel::dsl::now.into_sql::<diesel::sql_types::Timestamptz>())).await
    }

    pub async fn commit(self) -> Result<(), Fault> {
        self.transaction.commit().await
    }
}

impl Deref for TenantTx {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.transaction
    }
}

/// A transaction across enterprises, under a role that sees only who exists, what waits for review and where work is due.
pub struct HouseTx(Transaction);

impl HouseTx {
    pub async fn read(database: &Database) -> Result<Self, Fault> {
        Ok(Self(database.begin(Session::House, Access::ReadOnly).await?))
    }

    /// For what belongs to no enterprise.
    pub async fn write(database: &Database) -> Result<Self, Fault> {
        Ok(Self(database.begin(Session::House, Access::ReadWrite).await?))
    }

    pub async fn commit(self) -> Result<(), Fault> {
        self.0.commit().await
    }
}

impl Deref for HouseTx {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.0
    }
}

/// A partner's branches side by side, in states and sums. Which branches it names must have come out of the partner's
/// own `branches`.
pub struct PartnerTx(Transaction);

impl PartnerTx {
    pub async fn read(database: &Database, branches: &[EnterpriseId]) -> Result<Self, Fault> {
        let branches = branches.iter().map(|branch| branch.uuid()).collect();
        Ok(Self(database.begin(Session::Partner { branches }, Access::ReadOnly).await?))
    }
}

impl Deref for PartnerTx {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.0
    }
}

/// Where one person is known.
pub struct PersonTx(Transaction);

impl Deref for PersonTx {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.0
    }
}
