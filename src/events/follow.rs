//! Following events: what is stored first, then what comes, with no gap and no double at the seam.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::watch;
use uuid::Uuid;

use crate::events::bus::{Bus, Topic};
use crate::events::model::{Event, EventType};
use crate::events::store;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::TenantScope;

/// How many events one look brings: all that a follower ever has in memory.
const LOOK: i64 = 200;
/// How long a follower waits before it looks again unasked, for events that another server published.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// An enterprise's events after a sequence number, for ever.
pub fn tenant(
    platform: Arc<Platform>,
    bus: Bus,
    scope: TenantScope,
    types: Option<Vec<EventType>>,
    mut after: i64,
) -> impl Stream<Item = Result<Event, Fault>> {
    async_stream::try_stream! {
        let mut more = bus.follow(Topic::Tenant(scope.tenant()));
        loop {
            more.mark_unchanged();
            let tx = scope.read(&platform.database).await?;
            // Asked first: what is published up to here, and of other types, need not be looked at again.
            let last = store::last_sequence(&tx).await?;
            let events = store::after(&tx, types.as_deref(), after, LOOK).await?;
            drop(tx);
            if events.is_empty() {
                after = after.max(last);
                wait(&mut more).await;
            }
            for event in events {
                after = event.sequence;
                yield event;
            }
        }
    }
}

/// One subject's events after one of its versions, for ever. The caller has checked that whoever follows may see the
/// subject.
pub fn subject(
    platform: Arc<Platform>,
    bus: Bus,
    tenant: EnterpriseId,
    subject: Uuid,
    mut version: i32,
) -> impl Stream<Item = Result<Event, Fault>> {
    async_stream::try_stream! {
        let scope = TenantScope::of_system(tenant);
        let mut more = bus.follow(Topic::Subject(tenant, subject));
        loop {
            more.mark_unchanged();
            let tx = scope.read(&platform.database).await?;
            let events = store::of_subject(&tx, subject, version, LOOK).await?;
            drop(tx);
            if events.is_empty() {
                wait(&mut more).await;
            }
            for event in events {
                version = event.subject_version;
                yield event;
            }
        }
    }
}

async fn wait(more: &mut watch::Receiver<()>) {
    // Either way there is nothing to do but to look again.
    let _ = tokio::time::timeout(LOOK_AGAIN, more.changed()).await;
}
