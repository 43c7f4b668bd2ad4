//! The relay: takes events out of the outbox and gives them their tenant's next sequence numbers.
//!
//! The writer of an event does not number it: a counter row in every transaction would queue a tenant's writes behind
//! one another. Here the turn is one row's lock, so that numbers have no gap and no double, on however many servers.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::events::bus::{Bus, Topic};
use crate::events::store::{self, Waiting};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::worker::Job;

/// How many events one step publishes.
const STEP: i64 = 1000;

pub struct RelayJob {
    pub platform: Arc<Platform>,
    pub bus: Bus,
}

#[async_trait]
impl Job for RelayJob {
    fn name(&self) -> &'static str {
        "event relay"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        store::tenants_waiting(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let tx = TenantScope::of_system(tenant).write_steadily(&self.platform.database).await?;
        let Some(last) = store::take_turn_in(&tx).await? else { return Ok(()) };
        let waiting = order(store::waiting(&tx, STEP).await?);
        if waiting.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = waiting.iter().map(|event| event.id).collect();
        store::publish_in(&tx, &ids, last + 1).await?;
        tx.commit().await?;
        let subjects = waiting.iter().map(|event| Topic::Subject(tenant, event.subject_id));
        self.bus.wake(subjects.chain([Topic::Tenant(tenant)]));
        Ok(())
    }
}

/// By ID, which is by time; but two servers' clocks may differ, so the events of one subject are put into the order
/// of their versions among the places that they have.
fn order(mut waiting: Vec<Waiting>) -> Vec<Waiting> {
    waiting.sort_by_key(|event| event.id);
    let mut places: HashMap<Uuid, Vec<usize>> = HashMap::new();
    for (place, event) in waiting.iter().enumerate() {
        places.entry(event.subject_id).or_default().push(place);
    }
    for places in places.into_values().filter(|places| places.len() > 1) {
        let mut events: Vec<Waiting> = places.iter().map(|&place| waiting[place]).collect();
        events.sort_by_key(|event| event.subject_version);
        for (place, event) in places.into_iter().zip(events) {
            waiting[place] = event;
        }
    }
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::model::EventId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_subjects_versions_rise_and_nothing_is_lost(rows in prop::collection::vec((any::<u64>(), 0u128..5, 0i32..9), 0..60)) {
            let waiting: Vec<Waiting> = rows
                .iter()
                .map(|&(id, subject, version)| Waiting {
                    id: EventId::from_uuid(Uuid::from_u128(id.into())),
                    subject_id: Uuid::from_u128(subject),
                    subject_version: version,
                })
                .collect();
            let ordered = order(waiting.clone());
            let key = |event: &Waiting| (event.id, event.subject_id, event.subject_version);
            let (mut before, mut after): (Vec<_>, Vec<_>) = (waiting.iter().map(key).collect(), ordered.iter().map(key).collect());
            before.sort();
            after.sort();
            prop_assert_eq!(before, after);
            for subject in 0..5 {
                let versions: Vec<i32> = ordered.iter().filter(|event| event.subject_id == Uuid::from_u128(subject)).map(|event| event.subject_version).collect();
                prop_assert!(versions.is_sorted());
            }
        }
    }
}
