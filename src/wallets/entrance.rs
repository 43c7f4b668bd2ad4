//! Which enterprise somebody means who has no token yet: the one whose host they asked, or one that they name.

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::{EnterpriseId, EnterpriseKind, EnterpriseState, SessionSubject, SignInMethod};
use crate::tenancy::scope::{HouseTx, TenantTx};
use crate::tenancy::session::{self, NewSession, Opened, Visit};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::{self, DirectoryKind};
use crate::wallets::model::{HolderErrorCode, HolderId};
use crate::wallets::store::personal;

/// Where a visitor stands and whom they name.
#[derive(Clone, Copy, Debug)]
pub struct Entrance<'a> {
    /// The enterprise whose bound host was asked, if one was.
    pub site: Option<EnterpriseId>,
    /// A slug.
    pub named: Option<&'a str>,
}

/// Opens the session of a holder who has proved who they are. Whoever erases them at the same time either finds the
/// session or is found: then the next try meets somebody new.
pub async fn open_in(
    platform: &Platform,
    tx: &TenantTx,
    holder: HolderId,
    method: SignInMethod,
    visit: &Visit,
    brief: bool,
) -> Result<Opened, Fault> {
    let known = personal::lock_in(tx, holder).await?;
    if known.is_none_or(|known| known.erased_at.is_some()) {
        return Err(Fault::Contended(anyhow::anyhow!("the holder was erased while signing in")));
    }
    let (subject, subject_id) = (SessionSubject::Holder, holder.uuid());
    session::open_in(platform, tx, NewSession { subject, subject_id, method, visit, brief }).await
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
