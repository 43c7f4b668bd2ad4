//! What a resolver knows about its request.

use std::sync::Arc;

use async_graphql::Context;

use crate::api::transport::raise;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::tenancy::loaders::Loaders;
use crate::tenancy::reader::{ReadGuard, Reader};
use crate::tenancy::scope::{Caller, HolderScope, HouseScope, TenantScope};

/// One request: who asks, in which language, and the means to read.
pub struct RequestContext {
    pub caller: Caller,
    pub language: Language,
    pub request_id: Arc<str>,
    pub reader: Reader,
    pub loaders: Loaders,
}

impl RequestContext {
    /// The enterprise's operator; anybody else is refused.
    pub fn operator(&self) -> Result<&TenantScope, Fault> {
        match &self.caller {
            Caller::Operator(scope) => Ok(scope),
            Caller::Anonymous => Err(Fault::Unauthenticated("no token was sent")),
            Caller::Holder(_) | Caller::House(_) => Err(Fault::WrongCaller("an operator's token")),
        }
    }

    pub fn holder(&self) -> Result<&HolderScope, Fault> {
        match &self.caller {
            Caller::Holder(scope) => Ok(scope),
            Caller::Anonymous => Err(Fault::Unauthenticated("no token was sent")),
            Caller::Operator(_) | Caller::House(_) => Err(Fault::WrongCaller("a holder's token")),
        }
    }

    pub fn house(&self) -> Result<&HouseScope, Fault> {
        match &self.caller {
            Caller::House(scope) => Ok(scope),
            Caller::Anonymous => Err(Fault::Unauthenticated("no token was sent")),
            Caller::Operator(_) | Caller::Holder(_) => Err(Fault::WrongCaller("the house's token")),
        }
    }

    /// For what an operator with `permission` may see, and each holder of what the database shows to them.
    pub fn reading(&self, permission: crate::tenancy::permission::Permission) -> Result<(), Fault> {
        match &self.caller {
            Caller::Operator(scope) => scope.require(permission),
            Caller::Holder(_) => Ok(()),
            Caller::Anonymous => Err(Fault::Unauthenticated("no token was sent")),
            Caller::House(_) => Err(Fault::WrongCaller("a token of the enterprise")),
        }
    }
}

/// Shorthands on async-graphql's context. Faults become coded errors here.
pub trait ContextExt {
    fn request(&self) -> &RequestContext;
    fn platform(&self) -> &Arc<Platform>;
    fn language(&self) -> Language {
        self.request().language
    }
    fn loaders(&self) -> &Loaders {
        &self.request().loaders
    }
}

impl ContextExt for Context<'_> {
    fn request(&self) -> &RequestContext {
        self.data_unchecked::<RequestContext>()
    }

    fn platform(&self) -> &Arc<Platform> {
        self.data_unchecked::<Arc<Platform>>()
    }
}

/// Opens the request's read transaction for a list or a look-up.
pub async fn read(ctx: &Context<'_>) -> async_graphql::Result<ReadGuard> {
    ctx.request().reader.transaction().await.map_err(raise)
}
