//! The bus inside one server: wake-ups for whoever follows a tenant's events or one subject's.
//!
//! It carries no events, only "there is more". What a follower reads comes from the database, so a slow follower
//! costs no memory, and one whose wake-up came from another server finds the event at its next look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use uuid::Uuid;

use crate::tenancy::model::EnterpriseId;

/// What somebody follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Everything of an enterprise.
    Tenant(EnterpriseId),
    /// One subject of an enterprise.
    Subject(EnterpriseId, Uuid),
}

#[derive(Clone, Default)]
pub struct Bus(Arc<Mutex<HashMap<Topic, watch::Sender<()>>>>);

impl Bus {
    pub fn follow(&self, topic: Topic) -> watch::Receiver<()> {
        let mut topics = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if topics.len() > 1024 {
            topics.retain(|_, sender| sender.receiver_count() > 0);
        }
        topics.entry(topic).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    pub fn wake(&self, topics: impl IntoIterator<Item = Topic>) {
        let mut known = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for topic in topics {
            if let Some(sender) = known.get(&topic)
                && sender.send(()).is_err()
            {
                known.remove(&topic); // nobody follows it any more
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_followers_of_the_topic_are_woken_and_the_forgotten_are_dropped() {
        let (bus, tenant, subject) = (Bus::default(), EnterpriseId::generate(), Uuid::from_u128(1));
        let mut all = bus.follow(Topic::Tenant(tenant));
        let mut one = bus.follow(Topic::Subject(tenant, subject));
        let other = bus.follow(Topic::Subject(tenant, Uuid::from_u128(2)));
        bus.wake([Topic::Tenant(tenant), Topic::Subject(tenant, subject)]);
        all.changed().await.unwrap();
        one.changed().await.unwrap();
        assert!(!other.has_changed().unwrap());
        drop(one);
        bus.wake([Topic::Subject(tenant, subject)]);
        assert_eq!(bus.0.lock().unwrap().len(), 2);
    }
}
