//! Media (介质): the pictures, films and models that collectibles show, kept once for each enterprise and content.
//!
//! An announcement gives an address for the bytes ([`upload::announce`]); completing ([`upload::complete`]) reads what
//! really came, and keeps it under a key that no client has an address for. What is kept is looked at by a job
//! ([`job::MediaJob`]), which asks the [`moderation::Moderator`] and makes a thumbnail. Only what has passed can go to
//! the house with a design, and only the approval of a design makes its media public ([`usage::publish_in`]).
//!
//! Files are told apart by their SHA-256 within one enterprise, and by nothing across enterprises: no answer, address or
//! length of time tells that somebody else has the same file.
//!
//! To admit another kind of file: `platform::media`, and a line in [`model::largest`]. Another moderator implements
//! [`moderation::Moderator`] and is chosen in `commands`.

pub mod address;
pub mod examine;
pub mod graphql;
pub mod job;
pub mod model;
pub mod moderation;
pub mod picture;
pub mod remove;
pub mod store;
pub mod upload;
pub mod usage;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::platform::objects::Key;
use crate::tenancy::model::EnterpriseId;
use model::MediaId;
use moderation::Moderator;

/// Files that a server examines at the same time: each is in memory as a whole.
const EXAMINED_AT_ONCE: usize = 4;

/// Pictures that a server decodes at the same time: one can take some 300 MB.
const DECODED_AT_ONCE: usize = 1;

/// What media need beside the platform.
pub struct MediaServices {
    pub moderator: Arc<dyn Moderator>,
    examining: Semaphore,
    decoding: Arc<Semaphore>,
}

impl MediaServices {
    pub fn new(moderator: Arc<dyn Moderator>) -> Self {
        let decoding = Arc::new(Semaphore::new(DECODED_AT_ONCE));
        Self { moderator, examining: Semaphore::new(EXAMINED_AT_ONCE), decoding }
    }
}

/// Where a client's bytes come in.
fn incoming_key(tenant: EnterpriseId, id: MediaId) -> Key {
    Key::new("incoming", tenant.uuid(), id.uuid())
}

/// Where they are kept.
pub fn media_key(tenant: EnterpriseId, id: MediaId) -> Key {
    Key::new("media", tenant.uuid(), id.uuid())
}

pub fn thumbnail_key(tenant: EnterpriseId, id: MediaId) -> Key {
    Key::new("thumbnail", tenant.uuid(), id.uuid())
}
