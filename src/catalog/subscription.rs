//! An issuance's progress, pushed as it goes on.

use async_graphql::{Context, Result, Subscription};
use futures_util::{Stream, StreamExt};

use crate::api::context::ContextExt;
use crate::api::transport::raise;
use crate::catalog::graphql::CollectibleObject;
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
    ) -> Result<impl Stream<Item = Result<CollectibleObject>>> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        scope.require(Permission::CatalogRead).map_err(raise)?;
        let mut collectible: Collectible = ctx.loaders().required(id).await.map_err(raise)?;
        let bus = ctx.data_unchecked::<Bus>().clone();
        let changes = follow::subject(ctx.platform().clone(), bus, scope.tenant(), id.uuid(), collectible.version);
        Ok(async_stream::try_stream! {
            yield CollectibleObject(collectible.clone());
            let mut changes = std::pin::pin!(changes);
            while !matches!(collectible.state, CollectibleState::Issued | CollectibleState::Failed) {
                let Some(event) = changes.next().await else { break };
                apply(&mut collectible, event.map_err(raise)?).map_err(raise)?;
                yield CollectibleObject(collectible.clone());
            }
        })
    }
}

fn apply(collectible: &mut Collectible, event: Event) -> Result<(), Fault> {
    collectible.state = serde_json::from_value(event.data["state"].clone()).map_err(Fault::internal)?;
    collectible.issued_count = serde_json::from_value(event.data["issuedCount"].clone()).map_err(Fault::internal)?;
    collectible.version = event.subject_version;
    Ok(())
}
