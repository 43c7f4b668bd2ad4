//! What a holder asks first: who am I here?

use async_graphql::{ComplexObject, Context, Result};

use crate::api::context::ContextExt;
use crate::tenancy::graphql::Viewer;
use crate::tenancy::scope::Caller;
use crate::wallets::graphql::{HolderObject, find_holder};

#[ComplexObject]
impl Viewer {
    /// The person that a holder's token speaks for.
    async fn holder(&self, ctx: &Context<'_>) -> Result<Option<HolderObject>> {
        match &ctx.request().caller {
            Caller::Holder(scope) => find_holder(ctx, Some(scope.holder())).await,
            _ => Ok(None),
        }
    }
}
