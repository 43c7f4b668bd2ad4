//! Background work: a job asks which tenants have work due, then serves them one by one.
//!
//! A job keeps nothing in memory between turns: what is due stands in the database, so any number of servers may run
//! the same jobs, and one that is killed leaves its work to the others.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;

#[async_trait]
pub trait Job: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault>;

    /// How long until work comes due by itself, where a job knows. Asked when there is none now.
    async fn next_due(&self) -> Result<Option<Duration>, Fault> {
        Ok(None)
    }

    /// One bounded step for one tenant.
    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault>;
}

/// A row's answer to when work comes due by itself, in whole milliseconds from now.
#[derive(QueryableByName)]
pub struct Next {
    #[diesel(sql_type = Nullable<BigInt>)]
    milliseconds: Option<i64>,
}

impl Next {
    /// None where nothing waits; no time at all where something is overdue.
    pub fn due_in(&self) -> Option<Duration> {
        self.milliseconds.map(|milliseconds| Duration::from_millis(milliseconds.try_into().unwrap_or(0)))
    }
}

/// How long a job rests when nothing wakes it. Work that another server made due waits this long at most.
const REST: Duration = Duration::from_millis(1000);
/// How long it rests while work is under way, so that what comes close together is done together.
const BREATH: Duration = Duration::from_millis(15);
/// How long one tenant's step may take, before the others' turn comes.
const STEP_WITHIN: Duration = Duration::from_secs(60);
/// How long it rests after a failure.
const AFTER_FAILURE: Duration = Duration::from_millis(500);
/// How many tenants a job serves at a time, so that one whose step is long holds up few.
const AT_A_TIME: usize = 4;

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
        let mut idle = false;
        let rest = match round(&*job).await {
            Ok(round) => {
                idle = round.served == 0 && round.failures.is_empty();
                for (tenant, fault) in &round.failures {
                    tracing::error!(job = job.name(), %tenant, "one tenant's work failed and will be tried again: {}", fault.with_causes());
                }
                match (round.served, round.failures.len()) {
                    (0, 0) => rest_before(&*job).await,
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
            woken = commits.changed(), if idle => {
                if woken.is_err() { return }
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// One round over the tenants with work. One tenant's trouble does not keep the others from being served.
pub async fn round(job: &dyn Job) -> Result<Round, Fault> {
    let mut round = Round::default();
    let tenants = stream::iter(job.tenants_due().await?);
    let mut outcomes = pin!(
        tenants
            .map(async |tenant| (tenant, tokio::time::timeout(STEP_WITHIN, job.work(tenant)).await))
            .buffer_unordered(AT_A_TIME)
    );
    while let Some((tenant, work)) = outcomes.next().await {
        match work.unwrap_or(Err(Fault::TimedOut)) {
            Ok(()) => round.served += 1,
            Err(fault) => round.failures.push((tenant, fault)),
        }
    }
    Ok(round)
}

/// Until work comes due by itself, but never longer than a rest is.
async fn rest_before(job: &dyn Job) -> Duration {
    match job.next_due().await {
        Ok(next) => next.map_or(REST, |next| next.clamp(BREATH, REST)),
        Err(_) => AFTER_FAILURE, // the next round meets the same trouble and tells of it
    }
}

/// Whether work of this job comes due so soon that it is worth waiting for.
pub async fn soon(job: &dyn Job) -> Result<Option<Duration>, Fault> {
    Ok(job.next_due().await?.filter(|next| *next < REST))
}
