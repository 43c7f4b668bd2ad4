//! A partner looks at its branches: pages of them, and what they amount to.
//!
//! Which branches there are comes out of the partner's own room, and what they are out of a [`PartnerTx`] that names
//! those very ones. A page costs the same few statements whatever its size. A filter goes by what only the branches
//! themselves know, so it is applied to whole stretches of [`STRETCH`] branches until the page is full.

use std::collections::HashMap;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::page::{Page, Sort};
use crate::tenancy::model::{BranchState, BranchTotals, Enterprise, EnterpriseId};
use crate::tenancy::scope::{PartnerTx, TenantTx};
use crate::tenancy::store::branches;

/// How many branches are looked at in one go where not each of them may be wanted.
const STRETCH: i64 = 500;

/// Branches in one state, or in any.
pub type Filter = Option<BranchState>;

/// One branch by the partner's name for it.
pub async fn by_name(platform: &Platform, tx: &TenantTx, corp_open_id: &str) -> Result<Option<Enterprise>, Fault> {
    match branches::find(tx, corp_open_id).await? {
        Some(id) => Ok(side_by_side(platform, &[id]).await?.remove(&id)),
        None => Ok(None),
    }
}

/// One branch by its ID, if it is this partner's.
pub async fn by_id(platform: &Platform, tx: &TenantTx, id: EnterpriseId) -> Result<Option<Enterprise>, Fault> {
    match branches::is_branch(tx, id).await? {
        true => Ok(side_by_side(platform, &[id]).await?.remove(&id)),
        false => Ok(None),
    }
}

/// A page of branches, and one more if there is one.
pub async fn list(
    platform: &Platform,
    tx: &TenantTx,
    filter: Filter,
    page: &Page<EnterpriseId>,
) -> Result<Vec<Enterprise>, Fault> {
    let stretch = if filter.is_some() { STRETCH } else { page.limit() };
    let (mut above, mut below) = (page.above(), page.below());
    let mut found = Vec::new();
    loop {
        let ids = branches::ids(tx, page.sort(), above, below, stretch).await?;
        let Some(&last) = ids.last() else { return Ok(found) };
        found.extend(wanted(platform, &ids, filter).await?);
        if found.len() as i64 >= page.limit() || (ids.len() as i64) < stretch {
            found.truncate(usize::try_from(page.limit()).map_err(Fault::internal)?);
            return Ok(found);
        }
        match page.sort() {
            Sort::Ascending => above = Some(last),
            Sort::Descending => below = Some(last),
        }
    }
}

pub async fn count(platform: &Platform, tx: &TenantTx, filter: Filter) -> Result<i64, Fault> {
    let (mut count, mut stretches) = (0, Stretches::default());
    while let Some(ids) = stretches.next(tx).await? {
        count += wanted(platform, &ids, filter).await?.len() as i64;
    }
    Ok(count)
}

/// What these branches amount to, each.
pub async fn totals(platform: &Platform, ids: &[EnterpriseId]) -> Result<HashMap<EnterpriseId, BranchTotals>, Fault> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    branches::totals(&PartnerTx::read(&platform.database, ids).await?, ids).await
}

/// All of a partner's branches together.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub states: Vec<(BranchState, i64)>,
    pub totals: BranchTotals,
}

pub async fn summary(platform: &Platform, tx: &TenantTx) -> Result<Summary, Fault> {
    let now = platform.clock.now();
    let mut states: HashMap<BranchState, i64> = HashMap::new();
    let mut sum = BranchTotals::default();
    let mut stretches = Stretches::default();
    while let Some(ids) = stretches.next(tx).await? {
        let partner = PartnerTx::read(&platform.database, &ids).await?;
        let (found, totals) =
            futures_util::try_join!(branches::enterprises(&partner, &ids), branches::totals(&partner, &ids))?;
        for branch in found.values() {
            *states.entry(BranchState::of(branch, now)).or_default() += 1;
        }
        totals.values().for_each(|branch| sum.add(branch));
    }
    let states = BranchState::ALL.iter().map(|state| (*state, states.remove(state).unwrap_or_default())).collect();
    Ok(Summary { states, totals: sum })
}

/// All of a partner's branches, a stretch at a time.
#[derive(Default)]
struct Stretches {
    after: Option<EnterpriseId>,
    ended: bool,
}

impl Stretches {
    async fn next(&mut self, tx: &TenantTx) -> Result<Option<Vec<EnterpriseId>>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let ids = branches::ids(tx, Sort::Ascending, self.after, None, STRETCH).await?;
        self.ended = (ids.len() as i64) < STRETCH;
        self.after = ids.last().copied();
        Ok(Some(ids).filter(|ids| !ids.is_empty()))
    }
}

/// Those of the branches that are there and fit, in the order given.
async fn wanted(platform: &Platform, ids: &[EnterpriseId], filter: Filter) -> Result<Vec<Enterprise>, Fault> {
    let now = platform.clock.now();
    let mut found = side_by_side(platform, ids).await?;
    let fits = |branch: &Enterprise| filter.is_none_or(|state| BranchState::of(branch, now) == state);
    Ok(ids.iter().filter_map(|id| found.remove(id)).filter(fits).collect())
}

async fn side_by_side(platform: &Platform, ids: &[EnterpriseId]) -> Result<HashMap<EnterpriseId, Enterprise>, Fault> {
    branches::enterprises(&PartnerTx::read(&platform.database, ids).await?, ids).await
}
