//! Background work: a job asks which tenants have work due, then serves them one by one.
//!
//! A job keeps nothing in memory between turns: what is due stands in the database, so any number of servers may run
//! the same jobs, and one that is killed leaves its work to the others.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more for this tenant right now.
    More,
    /// Nothing more for now.
    Idle,
}

#[async_trait]
pub trait Job: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault>;

    /// One bounded step for one tenant.
    async fn work(&self, tenant: EnterpriseId) -> Result<Progress, Fault>;
}

/// How long a job rests when nothing wakes it. Work that another server made due waits this long at most.
const REST: Duration = Duration::from_millis(1000);
/// How long it rests while work is under way, so that what comes close together is done together.
const BREATH: Duration = Duration::from_millis(15);
/// How long it rests after a failure.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Runs a job until the server stops. `commits` wakes it: each commit of this server may have made work due.
pub async fn run(job: Arc<dyn Job>, mut commits: watch::Receiver<u64>, shutdown: CancellationToken) {
    loop {
        commits.mark_unchanged();
        let rest = match turn(&*job).await {
            Ok(true) => BREATH,
            Ok(false) => REST,
            Err(fault) => {
                tracing::error!(job = job.name(), "a turn failed and will be tried again: {fault}");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
            woken = commits.changed(), if rest == REST => {
                if woken.is_err() { return }
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// One round over the tenants with work; whether there was any.
pub async fn turn(job: &dyn Job) -> Result<bool, Fault> {
    let tenants = job.tenants_due().await?;
    for &tenant in &tenants {
        match job.work(tenant).await {
            Ok(_) => {}
            // One tenant's trouble must not keep the others from being served.
            Err(fault) => tracing::error!(job = job.name(), %tenant, "one tenant's work failed: {fault}"),
        }
    }
    Ok(!tenants.is_empty())
}
