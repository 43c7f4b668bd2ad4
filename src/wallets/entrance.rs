//! Which enterprise somebody means who has no token yet: the one whose host they asked, or one that they name.

use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::{EnterpriseId, EnterpriseKind, EnterpriseState};
use crate::tenancy::scope::HouseTx;
use crate::tenancy::standing::Standings;
use crate::tenancy::store::{self, DirectoryKind};
use crate::wallets::model::HolderErrorCode;

/// Where a visitor stands and whom they name.
#[derive(Clone, Copy, Debug)]
pub struct Entrance<'a> {
    /// The enterprise whose bound host was asked, if one was.
    pub site: Option<EnterpriseId>,
    /// A slug.
    pub named: Option<&'a str>,
}

/// The enterprise that is meant.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub tenant: EnterpriseId,
    /// One that was stopped or closed lets those in who have something there, to look at it, and nobody new.
    pub takes_newcomers: bool,
}

impl Found {
    /// Refuses somebody who has proved who they are and is not known here. Whoever has proved nothing must not hear it.
    pub fn newcomer(&self) -> Result<(), Refusal<HolderErrorCode>> {
        match self.takes_newcomers {
            true => Ok(()),
            false => Err(Refusal::at("enterprise", HolderErrorCode::EnterpriseNotActive)),
        }
    }
}

/// An enterprise that has been at work. On a bound host it is that one, and naming another one there finds nothing.
pub async fn find(
    platform: &Platform,
    standings: &Standings,
    entrance: Entrance<'_>,
) -> Result<Found, Refusal<HolderErrorCode>> {
    let not_found = || Refusal::at("enterprise", HolderErrorCode::EnterpriseNotFound);
    let named = match entrance.named {
        Some(slug) => {
            let house = HouseTx::read(&platform.database).await?;
            Some(store::look_up(&house, DirectoryKind::Slug, slug).await?.ok_or_else(not_found)?)
        }
        None => None,
    };
    let tenant = match (entrance.site, named) {
        (Some(site), Some(named)) if site != named => return Err(not_found()),
        (Some(tenant), _) | (None, Some(tenant)) => tenant,
        (None, None) => {
            return Err(Refusal::explained(
                "enterprise",
                HolderErrorCode::EnterpriseNotFound,
                "请指明企业标识。",
                "Name the enterprise by its slug; only on an enterprise's own host it goes without saying.",
            ));
        }
    };
    match standings.of_visited(tenant).await? {
        (EnterpriseKind::House, _) => Err(not_found()),
        (_, EnterpriseState::Pending) => Err(Refusal::at("enterprise", HolderErrorCode::EnterpriseNotActive)),
        (_, state) => Ok(Found { tenant, takes_newcomers: state == EnterpriseState::Active }),
    }
}
