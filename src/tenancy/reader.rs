//! Reading within one request: one pooled connection, one read-only transaction, opened at the first need.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{Caller, HolderScope, TenantScope, TenantTx};

/// Whose rows are read.
#[derive(Clone, Debug)]
pub enum ReadScope {
    Tenant(TenantScope),
    Holder(HolderScope),
}

impl ReadScope {
    pub fn of(caller: &Caller) -> Option<Self> {
        match caller {
            Caller::Enterprise(scope) => Some(Self::Tenant(scope.clone())),
            Caller::Holder(scope) => Some(Self::Holder(scope.clone())),
            Caller::Anonymous | Caller::House(_) | Caller::Person(_) => None,
        }
    }

    pub fn tenant(&self) -> EnterpriseId {
        match self {
            Self::Tenant(scope) => scope.tenant(),
            Self::Holder(scope) => scope.tenant(),
        }
    }
}

/// The reads of one request.
#[derive(Clone)]
pub struct Reader {
    platform: Arc<Platform>,
    scope: Option<ReadScope>,
    /// What the siblings of one request share. A subscription has none: it may live for hours and must not keep a
    /// connection, so each of its reads is a transaction of its own.
    shared: Option<Arc<Mutex<Option<TenantTx>>>>,
}

impl Reader {
    pub fn of_request(platform: Arc<Platform>, scope: Option<ReadScope>) -> Self {
        Self { platform, scope, shared: Some(Arc::default()) }
    }

    pub fn of_subscription(platform: Arc<Platform>, scope: Option<ReadScope>) -> Self {
        Self { platform, scope, shared: None }
    }

    pub fn scope(&self) -> Option<&ReadScope> {
        self.scope.as_ref()
    }

    /// The request's transaction, for one caller at a time.
    pub async fn transaction(&self) -> Result<ReadGuard, Fault> {
        let scope = self
            .scope
            .as_ref()
            .ok_or(Fault::unauthenticated("此处需要企业或用户的令牌", "this needs an enterprise or a holder"))?;
        let Some(shared) = &self.shared else {
            return Ok(ReadGuard::Own(Box::new(self.open(scope).await?)));
        };
        let mut guard = shared.clone().lock_owned().await;
        if guard.is_none() {
            *guard = Some(self.open(scope).await?);
        }
        Ok(ReadGuard::Shared(guard))
    }

    /// Gives the request's connection back, if it has one: a mutation that follows needs one of its own, and requests
    /// that hold one while they wait for another would wait for each other.
    pub async fn release(&self) {
        if let Some(shared) = &self.shared {
            shared.lock().await.take();
        }
    }

    async fn open(&self, scope: &ReadScope) -> Result<TenantTx, Fault> {
        match scope {
            ReadScope::Tenant(scope) => scope.read(&self.platform.database).await,
            ReadScope::Holder(scope) => scope.read(&self.platform.database).await,
        }
    }
}

/// A [`TenantTx`] to read with. Dropping it ends a subscription's transaction, and lets the next sibling have a
/// request's.
pub enum ReadGuard {
    Shared(OwnedMutexGuard<Option<TenantTx>>),
    Own(Box<TenantTx>),
}

impl Deref for ReadGuard {
    type Target = TenantTx;

    fn deref(&self) -> &TenantTx {
        match self {
            Self::Shared(guard) => guard.as_ref().expect("the reader filled it before handing it out"),
            Self::Own(tx) => tx,
        }
    }
}
