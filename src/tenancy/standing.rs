//! Whether what a token says still holds: is the enterprise at work, has the session ended, was the client's secret
//! revoked?
//!
//! The gate asks this at every request, so it must cost next to nothing. What it needs to know of one enterprise is
//! little, because it is a list of what does *not* hold any more: sessions and secrets that were revoked within the
//! longest life of a token. It is read once and kept for [`FRESH_FOR`], for all callers of the enterprise together, so
//! a hundred thousand phones cost one look every two seconds. A server that ends a session itself forgets what it kept
//! and knows at once; the others know within [`FRESH_FOR`].

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::{
    ApiClientId, ApiClientSecretId, Enterprise, EnterpriseId, EnterpriseKind, EnterpriseState, SessionId,
};
use crate::tenancy::permission::{Permission, Permissions};
use crate::tenancy::scope::TenantScope;
use crate::tenancy::store;
use crate::tenancy::store::clients::{self, ClientStanding};
use crate::tenancy::token::{Claims, Identity, LONGEST_LIFE};

/// For how long what was read is believed. Revocations made by another server are late by this much at most.
pub const FRESH_FOR: TimeDelta = TimeDelta::seconds(2);

/// By how much this server's clock may be ahead of the database's.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(10);

/// Enterprises that nobody has asked about for this long are let go when room is needed.
const KEPT_FOR: TimeDelta = TimeDelta::minutes(10);
const ROOM: usize = 10_000;

/// What is known of one enterprise.
pub struct Standing {
    enterprise: Enterprise,
    /// Sessions and secrets that ended while tokens of theirs may still be about.
    revoked: HashSet<uuid::Uuid>,
    clients: HashMap<ApiClientId, ClientStanding>,
}

impl Standing {
    fn session_holds(&self, session: Option<SessionId>) -> Result<(), Fault> {
        match session {
            Some(session) if self.revoked.contains(&session.uuid()) => {
                Err(Fault::unauthenticated("会话已结束，请重新登录", "the session was ended; sign in again"))
            }
            _ => Ok(()),
        }
    }

    /// What the client may do at present: less than its token says, where its scopes were narrowed since.
    fn client_holds(
        &self,
        client: ApiClientId,
        secret: ApiClientSecretId,
        address: Option<IpAddr>,
    ) -> Result<Permissions, Fault> {
        if self.revoked.contains(&secret.uuid()) {
            return Err(Fault::unauthenticated(
                "应用的该密钥已吊销，请使用当前密钥",
                "the client's secret was revoked; use its present one",
            ));
        }
        match self.clients.get(&client) {
            Some(client) if client.active && client.allows(address) => Ok(client.scopes),
            Some(client) if client.active => Err(Fault::unauthenticated(
                "当前地址不在应用的允许名单内",
                "this address is not on the client's allow-list",
            )),
            _ => Err(Fault::unauthenticated("该应用已停用", "the client is disabled")),
        }
    }

    /// For a partner's token that was made when the branch had been disabled so many times. Times of day would not do:
    /// a token knows its second alone, and servers' clocks lie apart.
    fn not_disabled_since(&self, disabled: i32) -> Result<(), Fault> {
        // A token that knows of more is newer than what is kept here; only we sign tokens.
        if disabled >= self.enterprise.times_disabled {
            return Ok(());
        }
        Err(Fault::unauthenticated(
            "该令牌签发后分支曾被停用，请重新获取",
            "the branch was disabled after the token was made; get another one",
        ))
    }

    /// The state at this moment, as the house and, for a branch, its partner want it: a branch may expire while its
    /// standing is kept.
    fn state_at(&self, now: DateTime<Utc>) -> EnterpriseState {
        let Enterprise { state, disabled_at, expires_at, .. } = &self.enterprise;
        let stopped = disabled_at.is_some() || expires_at.is_some_and(|end| end <= now);
        match state {
            EnterpriseState::Active if stopped => EnterpriseState::Suspended,
            state => *state,
        }
    }
}

#[derive(Default)]
struct Entry {
    known: Mutex<Option<(DateTime<Utc>, Arc<Standing>)>>,
    /// One look at a time: the others wait for it.
    looking: tokio::sync::Mutex<()>,
}

impl Entry {
    fn fresh(&self, now: DateTime<Utc>) -> Option<Arc<Standing>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(at, _)| (now - *at).abs() < FRESH_FOR).map(|(_, standing)| standing.clone())
    }
}

/// How a token's bearer may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The state that their enterprise is in.
    pub state: EnterpriseState,
    /// What a machine may do at present, whatever its token says.
    pub scopes: Option<Permissions>,
}

/// The standings of the enterprises whose people are about.
pub struct Standings {
    platform: Arc<Platform>,
    entries: Mutex<HashMap<EnterpriseId, Arc<Entry>>>,
}

impl Standings {
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform, entries: Mutex::default() }
    }

    pub async fn of(&self, tenant: EnterpriseId) -> Result<Arc<Standing>, Fault> {
        let now = self.platform.clock.now();
        let entry = self.entry(tenant, now);
        if let Some(standing) = entry.fresh(now) {
            return Ok(standing);
        }
        let _looking = entry.looking.lock().await;
        let now = self.platform.clock.now();
        if let Some(standing) = entry.fresh(now) {
            return Ok(standing);
        }
        let standing = Arc::new(self.look(tenant).await?);
        *entry.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, standing.clone()));
        Ok(standing)
    }

    /// After a change of this server's own, so that it counts at once here. Call it after the commit.
    pub fn forget(&self, tenant: EnterpriseId) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
    }

    /// Whether the token's bearer may still come in, and how.
    pub async fn check(&self, claims: &Claims, address: Option<IpAddr>) -> Result<Admission, Fault> {
        let mut scopes = None;
        if matches!(claims.identity, Identity::Person { .. }) {
            return Ok(Admission { state: EnterpriseState::Active, scopes });
        }
        let standing = self.of(claims.tenant).await?;
        match claims.identity {
            Identity::Operator { .. } | Identity::House { .. } | Identity::Holder { .. } => {
                standing.session_holds(claims.sid)?;
            }
            Identity::Client { client, secret, .. } => {
                let standing = self.knowing(claims.tenant, standing.clone(), client).await?;
                scopes = Some(standing.client_holds(client, secret, address)?);
            }
            Identity::Partner { partner, disabled, .. } => {
                standing.not_disabled_since(disabled)?;
                self.partner(&standing, partner).await?.session_holds(claims.sid)?;
            }
            Identity::PartnerClient { partner, client, secret, disabled, .. } => {
                standing.not_disabled_since(disabled)?;
                let theirs = self.partner(&standing, partner).await?;
                let theirs = self.knowing(partner, theirs, client).await?;
                let held = theirs.client_holds(client, secret, address)?;
                if !held.contains(Permission::BranchAct) {
                    return Err(Fault::unauthenticated(
                        "该应用已不能在分支内操作",
                        "the client may not act within branches any more",
                    ));
                }
                scopes = Some(held);
            }
            Identity::Person { .. } => {}
        }
        match (self.present_state(&standing).await?, &claims.identity) {
            // What holders own outlives the enterprise that gave it to them.
            (EnterpriseState::Closed, identity) if !matches!(identity, Identity::Holder { .. }) => {
                Err(Fault::unauthenticated("企业已关闭", "the enterprise is closed"))
            }
            // A partner has other ways to see to a branch that does not work than to act within it.
            (
                EnterpriseState::Pending | EnterpriseState::Suspended,
                Identity::Partner { .. } | Identity::PartnerClient { .. },
            ) => Err(Fault::unauthenticated("该分支当前不可用", "the branch does not work at present")),
            (state, _) => Ok(Admission { state, scopes }),
        }
    }

    /// A standing that knows the client. One that has just been made comes before what is kept has run out; as only we
    /// sign tokens, nobody can have us look again and again.
    async fn knowing(
        &self,
        tenant: EnterpriseId,
        standing: Arc<Standing>,
        client: ApiClientId,
    ) -> Result<Arc<Standing>, Fault> {
        if standing.clients.contains_key(&client) {
            return Ok(standing);
        }
        self.forget(tenant);
        self.of(tenant).await
    }

    /// What kind of tenant it is and its state, for somebody who has no token of it yet.
    pub async fn of_visited(&self, tenant: EnterpriseId) -> Result<(EnterpriseKind, EnterpriseState), Fault> {
        let standing = self.of(tenant).await?;
        Ok((standing.enterprise.kind, self.present_state(&standing).await?))
    }

    /// Whether the enterprise and, for a branch, its partner are at work.
    pub async fn at_work(&self, tenant: EnterpriseId) -> Result<bool, Fault> {
        Ok(self.of_visited(tenant).await?.1 == EnterpriseState::Active)
    }

    async fn present_state(&self, standing: &Standing) -> Result<EnterpriseState, Fault> {
        let now = self.platform.clock.now();
        let state = standing.state_at(now);
        match standing.enterprise.partner_id {
            // A branch does not work while its partner does not.
            Some(partner) if state == EnterpriseState::Active => match self.of(partner).await?.state_at(now) {
                EnterpriseState::Active => Ok(state),
                _ => Ok(EnterpriseState::Suspended),
            },
            _ => Ok(state),
        }
    }

    async fn partner(&self, branch: &Standing, partner: EnterpriseId) -> Result<Arc<Standing>, Fault> {
        if branch.enterprise.partner_id != Some(partner) {
            return Err(Fault::unauthenticated(
                "该企业不是此合作方的分支",
                "the enterprise is no branch of this partner",
            ));
        }
        let standing = self.of(partner).await?;
        match standing.state_at(self.platform.clock.now()) {
            EnterpriseState::Active => Ok(standing),
            _ => Err(Fault::unauthenticated("合作方未启用", "the partner is not active")),
        }
    }

    async fn look(&self, tenant: EnterpriseId) -> Result<Standing, Fault> {
        let tx = TenantScope::of_system(tenant).read(&self.platform.database).await?;
        let since = self.platform.clock.now() - LONGEST_LIFE - CLOCKS_APART;
        let (enterprise, revoked, clients) =
            futures_util::try_join!(store::enterprise(&tx), store::revoked_since(&tx, since), clients::standings(&tx))?;
        let enterprise = enterprise.ok_or(Fault::unauthenticated("没有该企业", "there is no such enterprise"))?;
        Ok(Standing { enterprise, revoked, clients })
    }

    fn entry(&self, tenant: EnterpriseId, now: DateTime<Utc>) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ROOM && !entries.contains_key(&tenant) {
            entries.retain(|_, entry| {
                let known = entry.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.as_ref().is_none_or(|(at, _)| now - *at < KEPT_FOR)
            });
        }
        entries.entry(tenant).or_default().clone()
    }
}
