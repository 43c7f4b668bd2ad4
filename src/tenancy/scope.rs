//! Scopes: the types that open transactions.
//!
//! A [`TenantTx`] is the only way to a tenant's rows. It comes from a [`TenantScope`] (an operator, or the house
//! within one enterprise, or a worker) or from a [`HolderScope`] (one person). A [`HouseTx`] sees the few things that
//! stand across tenants, and is named so that it is easy to find.

use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::platform::db::{Access, Database, Session, Transaction};
use crate::platform::fault::Fault;
use crate::tenancy::model::{EnterpriseId, HolderId, OperatorId};
use crate::tenancy::permission::{Permission, Role};
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
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: Uuid,
}

/// One enterprise, and who acts for it.
#[derive(Clone, Debug)]
pub struct TenantScope {
    tenant: EnterpriseId,
    actor: Actor,
    role: Option<Role>,
    request_id: Arc<str>,
}

/// One person within one enterprise: reads own rows, writes through use cases that name them.
#[derive(Clone, Debug)]
pub struct HolderScope {
    tenant: EnterpriseId,
    holder: HolderId,
    request_id: Arc<str>,
}

/// The house: provisions enterprises and reviews what goes live.
#[derive(Clone, Debug)]
pub struct HouseScope {
    operator: OperatorId,
    role: Role,
    request_id: Arc<str>,
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub enum Caller {
    Anonymous,
    Operator(TenantScope),
    Holder(HolderScope),
    House(HouseScope),
}

impl TenantScope {
    pub fn of_operator(tenant: EnterpriseId, operator: OperatorId, role: Role, request_id: Arc<str>) -> Self {
        Self { tenant, actor: Actor { kind: ActorKind::Operator, id: operator.uuid() }, role: Some(role), request_id }
    }

    /// For workers and for provisioning, which serve a tenant that asked for nothing just now. Passes every check.
    pub fn of_system(tenant: EnterpriseId) -> Self {
        Self {
            tenant,
            actor: Actor { kind: ActorKind::System, id: Uuid::nil() },
            role: None,
            request_id: Arc::from("system"),
        }
    }

    pub fn tenant(&self) -> EnterpriseId {
        self.tenant
    }

    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// The first statement of a use case.
    pub fn require(&self, permission: Permission) -> Result<(), Fault> {
        let allowed = match (self.actor.kind, self.role) {
            (ActorKind::System, None) => true,
            (_, Some(role)) => role.permits(permission),
            (_, None) => false,
        };
        if allowed { Ok(()) } else { Err(Fault::Forbidden(permission.name())) }
    }

    pub async fn read(&self, database: &Database) -> Result<TenantTx, Fault> {
        self.open(database, Access::ReadOnly).await
    }

    pub async fn write(&self, database: &Database) -> Result<TenantTx, Fault> {
        self.open(database, Access::ReadWrite).await
    }

    async fn open(&self, database: &Database, access: Access) -> Result<TenantTx, Fault> {
        let transaction = database.begin(Session::Tenant { tenant: self.tenant.uuid() }, access).await?;
        Ok(TenantTx { transaction, tenant: self.tenant, actor: self.actor, request_id: self.request_id.clone() })
    }
}

impl HolderScope {
    pub fn new(tenant: EnterpriseId, holder: HolderId, request_id: Arc<str>) -> Self {
        Self { tenant, holder, request_id }
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
        let session = Session::Tenant { tenant: self.tenant.uuid() };
        Ok(self.wrap(database.begin(session, Access::ReadWrite).await?))
    }

    fn wrap(&self, transaction: Transaction) -> TenantTx {
        let actor = Actor { kind: ActorKind::Holder, id: self.holder.uuid() };
        TenantTx { transaction, tenant: self.tenant, actor, request_id: self.request_id.clone() }
    }
}

impl HouseScope {
    pub fn new(operator: OperatorId, role: Role, request_id: Arc<str>) -> Self {
        Self { operator, role, request_id }
    }

    /// For the command line, which whoever runs the server runs.
    pub fn of_command_line() -> Self {
        Self { operator: OperatorId::from_uuid(Uuid::nil()), role: Role::Owner, request_id: Arc::from("command-line") }
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
}

impl Deref for HouseTx {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.0
    }
}
