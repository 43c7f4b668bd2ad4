//! A transfer's status, pushed as it changes.

use async_graphql::{Context, Result, Subscription};
use futures_util::{Stream, StreamExt};

use crate::api::context::ContextExt;
use crate::api::transport::raise;
use crate::events::bus::Bus;
use crate::events::follow;
use crate::events::model::Event;
use crate::platform::fault::Fault;
use crate::tenancy::permission::Permission;
use crate::wallets::graphql::TransferObject;
use crate::wallets::model::{Transfer, TransferId};

#[derive(Default)]
pub struct WalletsSubscription;

#[Subscription]
impl WalletsSubscription {
    /// Where a transfer stands: as it is now, then at each change, each with its `version`, until it has ended.
    async fn transfer_status(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The transfer.")] id: TransferId,
    ) -> Result<impl Stream<Item = Result<TransferObject>>> {
        ctx.request().reading(Permission::TransferRead).map_err(raise)?;
        let mut transfer: Transfer = ctx.loaders().required(id).await.map_err(raise)?;
        let scope = ctx.request().reader.scope().ok_or(Fault::NotFound).map_err(raise)?;
        let bus = ctx.data_unchecked::<Bus>().clone();
        let changes = follow::subject(ctx.platform().clone(), bus, scope.tenant(), id.uuid(), transfer.version);
        Ok(async_stream::try_stream! {
            yield TransferObject(transfer.clone());
            let mut changes = std::pin::pin!(changes);
            while transfer.state.is_open() {
                let Some(event) = changes.next().await else { break };
                apply(&mut transfer, event.map_err(raise)?).map_err(raise)?;
                yield TransferObject(transfer.clone());
            }
        })
    }
}

fn apply(transfer: &mut Transfer, event: Event) -> Result<(), Fault> {
    transfer.state = serde_json::from_value(event.data["state"].clone()).map_err(Fault::internal)?;
    transfer.failure = event.data["failure"].as_str().map(str::to_owned);
    transfer.version = event.subject_version;
    transfer.updated_at = event.occurred_at;
    Ok(())
}
