//! Follows an enterprise's audit chain in the database, and hands it out as an export.

use chrono::TimeDelta;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::audit::chain::{BEGINNING, Broken, Follower, Line, Place};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::store::audit as store;

/// How many links are read at a time, so that memory does not depend on the chain's length.
const STEP: i64 = 500;

/// How long a record may wait for its place before somebody should ask why.
pub const PATIENCE: TimeDelta = TimeDelta::minutes(5);

/// What following a chain has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The chain is whole; so many links.
    Whole { links: i64 },
    /// The link with this number is the first that is not as it must be.
    Broken { sequence: i64, why: Broken },
}

/// A chain, and what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub chain: Finding,
    /// Records that have waited for longer than [`PATIENCE`].
    pub late: i64,
    /// Records that neither stand in the chain nor wait for their place.
    pub lost: i64,
}

/// Follows the whole chain.
pub async fn check(platform: &Platform, tenant: EnterpriseId) -> Result<Checked, Fault> {
    let scope = TenantScope::of_system(tenant);
    let tx = scope.read(&platform.database).await?;
    let (late, lost) = store::count_astray(&tx, tx.now().await? - PATIENCE).await?;
    drop(tx);
    let mut follower = Follower::from_the_beginning(tenant);
    let chain = 'whole: loop {
        let tx = scope.read(&platform.database).await?;
        let links = store::links_after(&tx, follower.sequence(), STEP).await?;
        if links.is_empty() {
            break Finding::Whole { links: follower.sequence() };
        }
        for (link, record) in links {
            let place = Place { tenant, sequence: link.sequence, linked_at: link.created_at };
            let followed = match &record {
                Some(record) => follower.follow(&place, record, &link.hash),
                None => Err(Broken::Missing(link.record_id)),
            };
            if let Err(why) = followed {
                break 'whole Finding::Broken { sequence: link.sequence, why };
            }
        }
    };
    Ok(Checked { chain, late, lost })
}

/// The lines of an export after a place, as many as are read at a time; none where the chain ends.
pub async fn lines_after(platform: &Platform, scope: &TenantScope, sequence: i64) -> Result<Vec<Line>, Fault> {
    let tx = scope.read(&platform.database).await?;
    let mut previous = match sequence {
        0 => BEGINNING.to_vec(),
        _ => match store::hash_at(&tx, sequence).await? {
            Some(hash) => hash,
            // Nothing stands there yet, so nothing comes after it.
            None => return Ok(Vec::new()),
        },
    };
    let links = store::links_after(&tx, sequence, STEP).await?;
    links
        .into_iter()
        .map(|(link, record)| {
            let record = record.ok_or_else(|| Fault::internal(Broken::Missing(link.record_id)))?;
            let place = Place { tenant: scope.tenant(), sequence: link.sequence, linked_at: link.created_at };
            let line = Line::new(place, record, &previous, &link.hash);
            previous = link.hash;
            Ok(line)
        })
        .collect()
}
