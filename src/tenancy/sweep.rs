//! Takes away what is of no use any more.
//!
//! What is swept, and when, is the table [`RULES`]; to sweep something else, add its SQL to `store/sweep.rs`, a line
//! there, and the grants (DELETE for the tenant's role, tenant and age for the house's).
//!
//! Nothing waits for the sweeper, and looking for work touches many tables: so it looks once in [`PAUSE`] and, where it
//! found more than it takes in one step, again at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::document;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::store::sweep::{self as store, Due, Leavings};
use crate::tenancy::worker::Job;

/// What is swept.
enum Sweep {
    /// Rows that are nothing but rows.
    Rows(Leavings),
    /// Documents that were announced and never completed, with what was uploaded of them.
    Documents,
}

/// How old something must be before it goes. The age is that of the column named in `store/sweep.rs`.
const RULES: [(Sweep, TimeDelta); 8] = [
    // A client may repeat a request for three days.
    (Sweep::Rows(store::IDEMPOTENCY_KEYS), TimeDelta::hours(72)),
    // After their session's end.
    (Sweep::Rows(store::REFRESH_TOKENS), TimeDelta::days(7)),
    // After their own end: somebody may still come to ask what became of a sign-in.
    (Sweep::Rows(store::SSO_ATTEMPTS), TimeDelta::hours(6)),
    (Sweep::Rows(store::SSO_TICKETS), TimeDelta::hours(6)),
    (Sweep::Rows(store::USED_ASSERTIONS), TimeDelta::hours(6)),
    // Longer than whoever counts the codes that one phone got looks back.
    (Sweep::Rows(store::VERIFICATION_CODES), TimeDelta::hours(25)),
    // After the last attempt; no rule of `platform::throttle` that is in use remembers longer.
    (Sweep::Rows(store::THROTTLES), TimeDelta::hours(24)),
    // Nobody can upload or is uploading one that old; somebody may still have to complete it.
    (Sweep::Documents, TimeDelta::days(1)),
];

impl Sweep {
    fn due(&self) -> &Due {
        match self {
            Self::Rows(leavings) => &leavings.due,
            Self::Documents => &store::AWAITED_DOCUMENTS,
        }
    }
}

/// How often the sweeper looks for work.
const PAUSE: TimeDelta = TimeDelta::minutes(10);
/// How many rows go in one transaction, and how many transactions are one step.
const BATCH: i64 = 1000;
const BATCHES: usize = 50;

pub struct Sweeper {
    platform: Arc<Platform>,
    looked_at: Mutex<Option<DateTime<Utc>>>,
    more: AtomicBool,
    batch: i64,
}

impl Sweeper {
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform, looked_at: Mutex::default(), more: AtomicBool::new(false), batch: BATCH }
    }

    /// With batches of another size. For tests, which have few rows.
    pub fn in_batches_of(self, batch: i64) -> Self {
        Self { batch, ..self }
    }

    fn may_look(&self) -> bool {
        let more = self.more.swap(false, Ordering::Relaxed);
        let now = self.platform.clock.now();
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = more || looked_at.is_none_or(|last| (now - last).abs() >= PAUSE);
        if due {
            *looked_at = Some(now);
        }
        due
    }
}

#[async_trait]
impl Job for Sweeper {
    fn name(&self) -> &'static str {
        "sweeper"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        if !self.may_look() {
            return Ok(Vec::new());
        }
        let tx = HouseTx::read(&self.platform.database).await?;
        let now = self.platform.clock.now();
        let mut tenants = Vec::new();
        for (sweep, age) in &RULES {
            tenants.extend(sweep.due().tenants(&tx, now - *age).await?);
        }
        tenants.sort_unstable();
        tenants.dedup();
        Ok(tenants)
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let scope = TenantScope::of_system(tenant);
        for (sweep, age) in &RULES {
            let mut left = true;
            for _ in 0..BATCHES {
                let tx = scope.write(&self.platform.database).await?;
                // By the database's time, which has made most of what is compared with it.
                let before = tx.now().await? - *age;
                let deleted = match sweep {
                    Sweep::Rows(leavings) => leavings.delete_in(&tx, before, self.batch).await?,
                    Sweep::Documents => document::discard_in(&self.platform, &tx, before, self.batch).await?,
                };
                tx.commit().await?;
                left = deleted as i64 == self.batch;
                if !left {
                    break;
                }
            }
            if left {
                self.more.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}
