//! Which enterprise a request's host stands for, before anybody has looked at its token.
//!
//! The gate asks this at every request, and the `Host` header is the caller's to choose: a cache of single names would
//! ask the database about each name that somebody makes up, or would have to be large. So what is kept is the whole
//! list of proved hosts, which only their owners' proofs can lengthen. It is read again when it is older than
//! [`FRESH_FOR`] and somebody asks, once for all who ask meanwhile; a name that is not in it is nobody's. A server that
//! has seen a proof itself forgets the list and knows at once, the others know within [`FRESH_FOR`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::host;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::HouseTx;
use crate::tenancy::store;

/// For how long the list is believed.
pub const FRESH_FOR: TimeDelta = TimeDelta::seconds(10);

type List = Arc<HashMap<String, EnterpriseId>>;

#[derive(Default)]
struct Entry {
    known: Mutex<Option<(DateTime<Utc>, List)>>,
    /// One look at a time: the others wait for it.
    looking: tokio::sync::Mutex<()>,
}

impl Entry {
    fn known(&self) -> Option<(DateTime<Utc>, List)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fresh(&self, now: DateTime<Utc>) -> Option<List> {
        self.known().filter(|(at, _)| (now - *at).abs() < FRESH_FOR).map(|(_, list)| list)
    }
}

/// The hosts that enterprises have proved to be theirs.
pub struct Hosts {
    platform: Arc<Platform>,
    /// Exchanged as a whole when it is forgotten, so that a look that began before cannot bring the old list back.
    entry: Mutex<Arc<Entry>>,
}

impl Hosts {
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform, entry: Mutex::default() }
    }

    /// The enterprise whose host a request's `Host` header names; nothing where nobody has proved it.
    pub async fn site(&self, header: Option<&str>) -> Result<Option<EnterpriseId>, Fault> {
        // Addresses and short names are nobody's, and cost nothing.
        let Some(host) = header.and_then(host::of_header) else { return Ok(None) };
        Ok(self.list().await?.get(&host).copied())
    }

    /// After a proof that this server has seen. Call it after the commit.
    pub fn forget(&self) {
        *self.entry.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    async fn list(&self) -> Result<List, Fault> {
        let entry = self.entry.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(list) = entry.fresh(self.platform.clock.now()) {
            return Ok(list);
        }
        let _looking = entry.looking.lock().await;
        let now = self.platform.clock.now();
        if let Some(list) = entry.fresh(now) {
            return Ok(list);
        }
        let list = match self.look().await {
            Ok(list) => list,
            // Hosts seldom change hands, and much can be answered without the database: better an old list than none.
            Err(fault) => match entry.known() {
                Some((_, list)) => {
                    tracing::warn!("the list of hosts cannot be read, the old one goes on: {}", fault.with_causes());
                    list
                }
                None => return Err(fault),
            },
        };
        *entry.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, list.clone()));
        Ok(list)
    }

    async fn look(&self) -> Result<List, Fault> {
        Ok(Arc::new(store::hosts(&HouseTx::read(&self.platform.database).await?).await?))
    }
}
