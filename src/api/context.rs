//! What a resolver knows about its request.

use std::sync::Arc;

use async_graphql::Context;

use crate::api::transport::raise;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::tenancy::loaders::Loaders;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::permission::Permission;
use crate::tenancy::reader::{ReadGuard, Reader};
use crate::tenancy::scope::{Caller, HolderScope, HouseScope, PersonScope, TenantScope};
use crate::tenancy::session::Visit;

/// One request: who asks, in which language, and the means to read.
pub struct RequestContext {
    pub caller: Caller,
    pub language: Language,
    pub request_id: Arc<str>,
    /// Where the request came from.
    pub visit: Visit,
    /// The enterprise whose bound host was asked, if one was.
    pub site: Option<EnterpriseId>,
    pub reader: Reader,
    pub loaders: Loaders,
}

impl RequestContext {
    /// Whoever acts for the enterprise: its operator or client, or its partner. Anybody else is refused.
    pub fn enterprise(&self) -> Result<&TenantScope, Fault> {
        match &self.caller {
            Caller::Enterprise(scope) => Ok(scope),
            Caller::Anonymous => Err(Fault::NO_TOKEN),
            Caller::Holder(_) | Caller::House(_) | Caller::Person(_) => {
                Err(Fault::wrong_caller("企业的令牌", "a token of the enterprise"))
            }
        }
    }

    /// A person at a console, the enterprise's or the house's: what concerns operators is the same for both.
    pub fn console(&self) -> Result<TenantScope, Fault> {
        match &self.caller {
            Caller::House(scope) => Ok(scope.as_enterprise()),
            _ => self.enterprise().cloned(),
        }
    }

    /// A holder who wants to do something; while the enterprise does not work, holders can only look.
    pub fn holder(&self) -> Result<&HolderScope, Fault> {
        match &self.caller {
            Caller::Holder(scope) => scope.require_active().map(|()| scope),
            Caller::Anonymous => Err(Fault::NO_TOKEN),
            Caller::Enterprise(_) | Caller::House(_) | Caller::Person(_) => {
                Err(Fault::wrong_caller("用户的令牌", "a holder's token"))
            }
        }
    }

    pub fn house(&self) -> Result<&HouseScope, Fault> {
        match &self.caller {
            Caller::House(scope) => Ok(scope),
            Caller::Anonymous => Err(Fault::NO_TOKEN),
            Caller::Enterprise(_) | Caller::Holder(_) | Caller::Person(_) => {
                Err(Fault::wrong_caller("平台运营方的令牌", "the house's token"))
            }
        }
    }

    pub fn person(&self) -> Result<&PersonScope, Fault> {
        match &self.caller {
            Caller::Person(scope) => Ok(scope),
            Caller::Anonymous => Err(Fault::NO_TOKEN),
            Caller::Enterprise(_) | Caller::Holder(_) | Caller::House(_) => {
                Err(Fault::wrong_caller("个人钱包的令牌", "a person's wallet token"))
            }
        }
    }

    /// For what an operator with `permission` may see, and each holder of what the database shows to them.
    pub fn reading(&self, permission: Permission) -> Result<(), Fault> {
        match &self.caller {
            Caller::Enterprise(scope) => scope.require(permission),
            Caller::Holder(_) => Ok(()),
            Caller::Anonymous => Err(Fault::NO_TOKEN),
            Caller::House(_) | Caller::Person(_) => Err(Fault::wrong_caller("企业的令牌", "a token of the enterprise")),
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
