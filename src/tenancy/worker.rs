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

#[async_trait]
pub trait Job: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault>;

    /// One bounded step for one tenant.
    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault>;
}

/// How long a job rests when nothing wakes it. Work that another server made due waits this long at most.
const REST: Duration = Duration::from_millis(1000);
/// How long it rests while work is under way, so that what comes close together is done together.
const BREATH: Duration = Duration::from_millis(15);
/// How long one tenant's step may take, before the others' turn comes.
const STEP_WITHIN: Duration = Duration::from_secs(60);
/// How long it rests after a failure.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// What came of one round.
#[derive(Debug, Default)]
pub struct Round {
    /// Tenants that were served.
    pub served: usize,
    /// Why others were not.
    pub failures: Vec<(EnterpriseId, Fault)>,
}

/// Runs a job until the server stops. `commits` wakes it: each commit of this server may have made work due.
pub async fn run(job: Arc<dyn Job>, mut commits: watch::Receiver<u64>, shutdown: CancellationToken) {
    loop {
        commits.mark_unchanged();
        let rest = match round(&*job).await {
            Ok(round) => {
                for (tenant, fault) in &round.failures {
                    tracing::error!(job = job.name(), %tenant, "one tenant's work failed and will be tried again: {}", fault.with_causes());
                }
                match (round.served, round.failures.len()) {
                    (0, 0) => REST,
                    (0, _) => AFTER_FAILURE,
                    _ => BREATH,
                }
            }
            Err(fault) => {
                tracing::error!(job = job.name(), "a round failed and will be tried again: {}", fault.with_causes());
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

/// One round over the tenants with work. One tenant's trouble does not keep the others from being served.
pub async fn round(job: &dyn Job) -> Result<Round, Fault> {
    let mut round = Round::default();
    for tenant in job.tenants_due().await? {
        let work = tokio::time::timeout(STEP_WITHIN, job.work(tenant)).await;
        match work.unwrap_or(Err(Fault::TimedOut)) {
            Ok(()) => round.served += 1,
            Err(fault) => round.failures.push((tenant, fault)),
        }
    }
    Ok(round)
}
