//! Batching: the siblings of one level of a query become one statement.
//!
//! A capability makes its entity loadable by implementing [`Batch`] for the key, in its own `loaders.rs`. The one
//! [`Loaders`] of a request carries the caller's scope, so a loader cannot be asked outside it.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::runtime::{Timer, TokioSpawner};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, FuturesUnordered};
use futures_util::task::{FutureObj, Spawn, SpawnError};
use futures_util::{FutureExt, Stream, StreamExt};

use crate::platform::fault::Fault;
use crate::tenancy::model::clients::{ApiClient, ApiClientSecret};
use crate::tenancy::model::{ApiClientId, Operator, OperatorId};
use crate::tenancy::reader::Reader;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::store;

/// A key that many can be looked up by at once.
pub trait Batch: Copy + Eq + Hash + Send + Sync + 'static {
    type Value: Clone + Send + Sync + 'static;

    /// One statement for all keys. What is missing from the answer does not exist for this caller.
    fn fetch(tx: &TenantTx, keys: &[Self]) -> impl Future<Output = Result<HashMap<Self, Self::Value>, Fault>> + Send;
}

pub struct BatchReader(Reader);

impl<K: Batch> Loader<K> for BatchReader {
    type Value = K::Value;
    type Error = Arc<Fault>;

    async fn load(&self, keys: &[K]) -> Result<HashMap<K, K::Value>, Arc<Fault>> {
        let tx = self.0.transaction().await?;
        Ok(K::fetch(&tx, keys).await?)
    }
}

/// The loaders of one request.
pub struct Loaders(DataLoader<BatchReader>);

impl Loaders {
    /// Loaders whose batches run in tasks of their own.
    pub fn new(reader: Reader) -> Self {
        Self::with(reader, TokioSpawner::current())
    }

    /// Loaders whose batches are errands of the request's own task. There a batch is sent off once every sibling has
    /// asked; a task of its own may run on another thread while they are still asking, and split it.
    pub fn with_errands(reader: Reader) -> (Self, BoxStream<'static, ()>) {
        let asked = Asked::default();
        (Self::with(reader, asked.clone()), asked.run().boxed())
    }

    fn with(reader: Reader, spawner: impl Spawn + Send + Sync + 'static) -> Self {
        Self(DataLoader::new(BatchReader(reader), spawner, NextTurn).max_batch_size(1000))
    }

    pub async fn one<K: Batch>(&self, key: K) -> Result<Option<K::Value>, Fault> {
        self.0.load_one(key).await.map_err(shared_fault)
    }

    /// For a key that a foreign key vouches for.
    pub async fn required<K: Batch>(&self, key: K) -> Result<K::Value, Fault> {
        self.one(key).await?.ok_or(Fault::NotFound)
    }
}

// Each of the waiters on a broken batch gets a fault of its own that names the same cause.
fn shared_fault(fault: Arc<Fault>) -> Fault {
    Arc::try_unwrap(fault).unwrap_or_else(|fault| match &*fault {
        Fault::Unavailable(_) | Fault::Contended(_) => Fault::Unavailable(anyhow::anyhow!(fault.with_causes())),
        Fault::Unauthenticated(why) => Fault::Unauthenticated(*why),
        _ => Fault::internal(anyhow::anyhow!(fault.with_causes())),
    })
}

/// Batches that have been asked for and wait to be run.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<FutureObj<'static, ()>>>>);

impl Spawn for Asked {
    fn spawn_obj(&self, batch: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
        Ok(())
    }
}

impl Asked {
    fn run(self) -> impl Stream<Item = ()> {
        let mut running = FuturesUnordered::new();
        stream::poll_fn(move |context| {
            running.extend(self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..));
            match running.poll_next_unpin(context) {
                Poll::Ready(Some(())) => Poll::Ready(Some(())),
                // Nothing is asked for: whoever asks next is part of the same task.
                Poll::Ready(None) | Poll::Pending => Poll::Pending,
            }
        })
    }
}

/// Waits for the other resolvers of this turn of the executor, not for a clock: a fixed delay costs over a
/// millisecond a level.
struct NextTurn;

impl Timer for NextTurn {
    fn delay(&self, _: Duration) -> BoxFuture<'static, ()> {
        async {
            for _ in 0..2 {
                tokio::task::yield_now().await;
            }
        }
        .boxed()
    }
}

/// The secrets of an API client, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretsOf(pub ApiClientId);

impl Batch for ApiClientId {
    type Value = ApiClient;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, ApiClient>, Fault> {
        store::clients::by_id(tx, keys).await
    }
}

impl Batch for SecretsOf {
    type Value = Vec<ApiClientSecret>;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Vec<ApiClientSecret>>, Fault> {
        let clients: Vec<ApiClientId> = keys.iter().map(|key| key.0).collect();
        let found = store::clients::secrets_of(tx, &clients).await?;
        Ok(found.into_iter().map(|(client, secrets)| (SecretsOf(client), secrets)).collect())
    }
}

impl Batch for OperatorId {
    type Value = Operator;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Operator>, Fault> {
        store::operators_by_id(tx, keys).await
    }
}
