//! The public record of an activity's draws, page by page: what [`crate::activities::verify`] checks.

use crate::activities::model::{Activity, ActivityId, ActivityKind, DrawId};
use crate::activities::store::{self, draws, plans};
use crate::activities::verify::{Export, FORMAT, Recorded, TermsInForce};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::vault::hex;
use crate::tenancy::scope::TenantScope;

const PAGE: i64 = 1000;

/// Where it is served, from publication on.
pub fn path(activity: &Activity) -> Option<String> {
    let is_drawn = activity.kind == ActivityKind::Draw && activity.seed_commitment.is_some();
    is_drawn.then(|| format!("/draws/{}/{}", activity.tenant_id, activity.id))
}

/// Where the next page begins.
pub type Place = Option<DrawId>;

/// All but the draws. `None` where nothing was published, or nobody draws.
pub async fn begin(platform: &Platform, scope: &TenantScope, id: ActivityId) -> Result<Option<Export>, Fault> {
    let tx = scope.read(&platform.database).await?;
    let found = store::activities_by_id(&tx, &[id]).await?.remove(&id);
    let Some(activity) = found.filter(|activity| activity.kind == ActivityKind::Draw) else { return Ok(None) };
    let Some(commitment) = &activity.seed_commitment else { return Ok(None) };
    let Some(terms) = plans::terms(&tx, id, 1).await? else { return Ok(None) };
    Ok(Some(Export {
        format: FORMAT.to_owned(),
        activity: id,
        commitment: hex(commitment),
        seed: activity.revealed_seed.as_deref().map(hex),
        terms: TermsInForce { document: terms.document, since: terms.since },
        draws: Vec::new(),
    }))
}

/// The draws behind `after`, in order, and where the next page begins.
pub async fn page(
    platform: &Platform,
    scope: &TenantScope,
    id: ActivityId,
    after: Place,
) -> Result<(Vec<Recorded>, Place), Fault> {
    let tx = scope.read(&platform.database).await?;
    let rows = draws::recorded(&tx, id, after, PAGE).await?;
    let next = rows.last().map(|row| row.id);
    let unreadable = || Fault::internal(anyhow::anyhow!("a draw of {id} has steps that cannot be read"));
    let recorded = rows.iter().map(|row| Recorded::of(row).ok_or_else(unreadable)).collect::<Result<_, _>>()?;
    Ok((recorded, next))
}
