//! Ledgers that misbehave, each around one that does not.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::anyhow;
use async_trait::async_trait;
use minthouse::ledger::Ledger;
use minthouse::ledger::model::{Account, Content, LedgerKind, Operation, OperationId, Owner, Piece, Receipt};
use minthouse::platform::fault::Fault;
use minthouse::tenancy::model::EnterpriseId;
use tokio::sync::Semaphore;

/// What a wrapped ledger does instead of passing a call on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The call does not get through.
    Lost,
    /// The call is carried out, and its answer is lost.
    Deaf,
}

pub fn silence() -> Fault {
    Fault::Unavailable(anyhow!("the ledger does not answer"))
}

/// Fails at its n-th call, and at no other.
pub struct Stumbling {
    pub inner: Arc<dyn Ledger>,
    pub at: usize,
    pub trouble: Trouble,
    pub calls: AtomicUsize,
}

impl Stumbling {
    async fn pass<T>(&self, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        if self.calls.fetch_add(1, Ordering::SeqCst) != self.at {
            return call.await;
        }
        if self.trouble == Trouble::Deaf {
            call.await?;
        }
        Err(silence())
    }
}

/// Refuses, for good, operations that begin at a serial number or touch it, as long as it is told to.
pub struct Refusing {
    pub inner: Arc<dyn Ledger>,
    pub serial: i32,
    pub refuses: AtomicBool,
    pub refused: Mutex<HashSet<OperationId>>,
}

/// Breaks every call that is about a poisoned operation; `kind` is what it calls itself.
pub struct Choking {
    pub inner: Arc<dyn Ledger>,
    pub kind: LedgerKind,
    pub poison: Box<dyn Fn(&Operation) -> bool + Send + Sync>,
    pub known: Mutex<HashSet<OperationId>>,
}

/// Once armed, keeps one answer back until it is let go.
pub struct Late {
    inner: Arc<dyn Ledger>,
    armed: AtomicBool,
    asked: Semaphore,
    let_go: Semaphore,
}

impl Late {
    pub fn armed(inner: Arc<dyn Ledger>) -> Self {
        Self { inner, armed: true.into(), asked: Semaphore::new(0), let_go: Semaphore::new(0) }
    }

    /// Until the answer is there and kept back.
    pub async fn has_heard(&self) {
        self.asked.acquire().await.expect("it is never closed").forget();
    }

    pub fn let_go(&self) {
        self.let_go.add_permits(1);
    }
}

/// Takes everything and never confirms it.
pub struct Slow(pub Arc<dyn Ledger>);

#[async_trait]
impl Ledger for Stumbling {
    fn kind(&self) -> LedgerKind {
        self.inner.kind()
    }

    async fn submit(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault> {
        self.pass(self.inner.submit(tenant, operations)).await
    }

    async fn receipts(
        &self,
        tenant: EnterpriseId,
        ids: &[OperationId],
    ) -> Result<HashMap<OperationId, Receipt>, Fault> {
        self.pass(self.inner.receipts(tenant, ids)).await
    }

    fn account(&self, tenant: EnterpriseId, owner: Owner) -> Account {
        self.inner.account(tenant, owner)
    }

    async fn owners(&self, tenant: EnterpriseId, pieces: &[Piece]) -> Result<HashMap<Piece, Account>, Fault> {
        self.inner.owners(tenant, pieces).await
    }
}

fn begins_at(operation: &Operation) -> i32 {
    match operation.content {
        Content::Issue { first_serial, .. } => first_serial,
        Content::Transfer { serial, .. } => serial,
        Content::Anchor { .. } => 0,
    }
}

#[async_trait]
impl Ledger for Refusing {
    fn kind(&self) -> LedgerKind {
        self.inner.kind()
    }

    async fn submit(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault> {
        let taken: Vec<Operation> = {
            let mut refused = self.refused.lock().unwrap();
            let refuses = self.refuses.load(Ordering::SeqCst);
            for operation in operations.iter().filter(|operation| refuses && begins_at(operation) == self.serial) {
                refused.insert(operation.id);
            }
            operations.iter().filter(|operation| !refused.contains(&operation.id)).cloned().collect()
        };
        self.inner.submit(tenant, &taken).await
    }

    async fn receipts(
        &self,
        tenant: EnterpriseId,
        ids: &[OperationId],
    ) -> Result<HashMap<OperationId, Receipt>, Fault> {
        let mut receipts = self.inner.receipts(tenant, ids).await?;
        for id in self.refused.lock().unwrap().iter().filter(|id| ids.contains(id)) {
            receipts.insert(*id, Receipt::Refused { reason: format!("no room for {}", self.serial) });
        }
        Ok(receipts)
    }

    fn account(&self, tenant: EnterpriseId, owner: Owner) -> Account {
        self.inner.account(tenant, owner)
    }

    async fn owners(&self, tenant: EnterpriseId, pieces: &[Piece]) -> Result<HashMap<Piece, Account>, Fault> {
        self.inner.owners(tenant, pieces).await
    }
}

#[async_trait]
impl Ledger for Choking {
    fn kind(&self) -> LedgerKind {
        self.kind
    }

    async fn submit(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault> {
        let poisoned: Vec<OperationId> =
            operations.iter().filter(|operation| (self.poison)(operation)).map(|operation| operation.id).collect();
        if !poisoned.is_empty() {
            self.known.lock().unwrap().extend(poisoned);
            return Err(silence());
        }
        self.inner.submit(tenant, operations).await
    }

    async fn receipts(
        &self,
        tenant: EnterpriseId,
        ids: &[OperationId],
    ) -> Result<HashMap<OperationId, Receipt>, Fault> {
        if ids.iter().any(|id| self.known.lock().unwrap().contains(id)) {
            return Err(silence());
        }
        self.inner.receipts(tenant, ids).await
    }

    fn account(&self, tenant: EnterpriseId, owner: Owner) -> Account {
        self.inner.account(tenant, owner)
    }

    async fn owners(&self, tenant: EnterpriseId, pieces: &[Piece]) -> Result<HashMap<Piece, Account>, Fault> {
        self.inner.owners(tenant, pieces).await
    }
}

#[async_trait]
impl Ledger for Slow {
    fn kind(&self) -> LedgerKind {
        self.0.kind()
    }

    async fn submit(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault> {
        self.0.submit(tenant, operations).await
    }

    async fn receipts(&self, _: EnterpriseId, ids: &[OperationId]) -> Result<HashMap<OperationId, Receipt>, Fault> {
        Ok(ids.iter().map(|id| (*id, Receipt::Pending)).collect())
    }

    fn account(&self, tenant: EnterpriseId, owner: Owner) -> Account {
        self.0.account(tenant, owner)
    }

    async fn owners(&self, tenant: EnterpriseId, pieces: &[Piece]) -> Result<HashMap<Piece, Account>, Fault> {
        self.0.owners(tenant, pieces).await
    }
}

#[async_trait]
impl Ledger for Late {
    fn kind(&self) -> LedgerKind {
        self.inner.kind()
    }

    async fn submit(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault> {
        self.inner.submit(tenant, operations).await
    }

    async fn receipts(
        &self,
        tenant: EnterpriseId,
        ids: &[OperationId],
    ) -> Result<HashMap<OperationId, Receipt>, Fault> {
        let answer = self.inner.receipts(tenant, ids).await;
        if self.armed.swap(false, Ordering::SeqCst) {
            self.asked.add_permits(1);
            self.let_go.acquire().await.expect("it is never closed").forget();
        }
        answer
    }

    fn account(&self, tenant: EnterpriseId, owner: Owner) -> Account {
        self.inner.account(tenant, owner)
    }

    async fn owners(&self, tenant: EnterpriseId, pieces: &[Piece]) -> Result<HashMap<Piece, Account>, Fault> {
        self.inner.owners(tenant, pieces).await
    }
}
