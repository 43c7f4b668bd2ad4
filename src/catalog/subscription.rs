//! An issuance's progress, pushed as it goes on.

use async_graphql::{Context, Object, Result, Subscription};
use futures_util::{Stream, StreamExt};

use crate::api::context::ContextExt;
use crate::api::transport::raise;
use crate::catalog::loaders::IssuanceOf;
use crate::catalog::model::{Collectible, CollectibleId, CollectibleState};
use crate::events::bus::Bus;
use crate::events::follow;
use crate::events::model::Event;
use crate::platform::fault::Fault;
use crate::tenancy::permission::Permission;

#[derive(Default)]
pub struct CatalogSubscription;

#[Subscription]
impl CatalogSubscription {
    /// How far an issuance is: as it is now, then at each step, each with its `version`, until every piece exists or
    /// the ledger has refused.
    async fn issuance_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The collectible.")] id: CollectibleId,
    ) -> Result<impl Stream<Item = Result<IssuanceProgress>>> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        scope.require(Permission::CatalogRead).map_err(raise)?;
        let collectible: Collectible = ctx.loaders().required(id).await.map_err(raise)?;
        let issuance = ctx.loaders().one(IssuanceOf(id)).await.map_err(raise)?;
        let bus = ctx.data_unchecked::<Bus>().clone();
        let changes = follow::subject(ctx.platform().clone(), bus, scope.tenant(), id.uuid(), collectible.version);
        let mut progress = IssuanceProgress {
            id,
            version: collectible.version,
            state: collectible.state,
            supply: collectible.supply,
            issued_count: collectible.issued_count,
            batch_count: issuance.as_ref().map_or(0, |issuance| issuance.batch_count),
            confirmed_batch_count: issuance.as_ref().map_or(0, |issuance| issuance.confirmed_count),
            failure: issuance.and_then(|issuance| issuance.failure),
        };
        Ok(async_stream::try_stream! {
            yield progress.clone();
            let mut changes = std::pin::pin!(changes);
            while !matches!(progress.state, CollectibleState::Issued | CollectibleState::Failed) {
                let Some(event) = changes.next().await else { break };
                progress = progress.after(&event.map_err(raise)?).map_err(raise)?;
                yield progress.clone();
            }
        })
    }
}

#[derive(Clone, Debug)]
pub struct IssuanceProgress {
    id: CollectibleId,
    version: i32,
    state: CollectibleState,
    supply: i32,
    issued_count: i32,
    batch_count: i32,
    confirmed_batch_count: i32,
    failure: Option<String>,
}

/// How far a collectible is on its way to the ledger.
#[Object]
impl IssuanceProgress {
    /// The collectible's ID.
    async fn id(&self) -> CollectibleId {
        self.id
    }

    /// Counts up with every change of the collectible.
    async fn version(&self) -> i32 {
        self.version
    }

    /// Where the issuance stands.
    async fn state(&self) -> CollectibleState {
        self.state
    }

    /// How many pieces there shall be.
    async fn supply(&self) -> i32 {
        self.supply
    }

    /// How many pieces exist so far.
    async fn issued_count(&self) -> i32 {
        self.issued_count
    }

    /// How many batches there are; none before the issuance has started.
    async fn batch_count(&self) -> i32 {
        self.batch_count
    }

    /// How many of them the ledger has confirmed.
    async fn confirmed_batch_count(&self) -> i32 {
        self.confirmed_batch_count
    }

    /// Why the ledger refused, where it did.
    async fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

impl IssuanceProgress {
    /// What an event changes. Events that are not about the issuance leave its batches out.
    fn after(self, event: &Event) -> Result<Self, Fault> {
        let part = |name: &str| event.data[name].clone();
        let read = |name: &str| serde_json::from_value(part(name)).map_err(Fault::internal);
        let batches = part("batchCount").is_number();
        Ok(Self {
            version: event.subject_version,
            state: serde_json::from_value(part("state")).map_err(Fault::internal)?,
            issued_count: read("issuedCount")?,
            batch_count: if batches { read("batchCount")? } else { self.batch_count },
            confirmed_batch_count: if batches { read("confirmedBatchCount")? } else { self.confirmed_batch_count },
            failure: if batches { part("failure").as_str().map(str::to_owned) } else { self.failure },
            ..self
        })
    }
}
