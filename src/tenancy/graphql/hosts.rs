//! The enterprise behind a host, for its pages.

use async_graphql::{Context, Object, Result, SimpleObject};

use crate::api::context::ContextExt;
use crate::api::text::LocalizedText;
use crate::api::transport::raise;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::store;

/// An enterprise as everybody may see it.
#[derive(SimpleObject)]
pub struct SiteEnterprise {
    /// Its short name, unique in this house.
    pub slug: String,
    /// What it is called.
    pub name: LocalizedText,
}

/// What a bound host stands for.
#[derive(SimpleObject)]
pub struct Site {
    /// The enterprise that has proved the host to be theirs.
    pub enterprise: SiteEnterprise,
}

#[derive(Default)]
pub struct HostQuery;

#[Object]
impl HostQuery {
    /// What the host of this very request stands for, with or without a token; nothing where no enterprise has proved
    /// it.
    async fn site(&self, ctx: &Context<'_>) -> Result<Option<Site>> {
        let Some(tenant) = ctx.request().site else { return Ok(None) };
        let tx = TenantScope::of_system(tenant).read(&ctx.platform().database).await.map_err(raise)?;
        let enterprise = store::enterprise(&tx).await.map_err(raise)?;
        Ok(enterprise.map(|enterprise| Site {
            enterprise: SiteEnterprise {
                name: LocalizedText::new(&enterprise.name_chinese, &enterprise.name_english),
                slug: enterprise.slug,
            },
        }))
    }
}
