//! The proof of one draw is put together, for whoever may see it. What it shows, and how it is checked, stands in
//! [`crate::activities::proof`].

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::activities::anchor::{self, AnchorState, MOST};
use crate::activities::engine::{Rules, day_of};
use crate::activities::fairness::Hash;
use crate::activities::model::{Activity, ActivityId, ActivityKind, Draw, DrawId};
use crate::activities::proof::{Anchored, Document, FORMAT, Notice, StepTaken};
use crate::activities::record;
use crate::activities::store::anchors::{self, AnchorRow};
use crate::activities::store::{self, plans};
use crate::activities::terms::Terms;
use crate::activities::verify::{Recorded, TermsInForce};
use crate::ledger::checkpoint::LedgerKeys;
use crate::ledger::proof as on_ledger;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::vault::hex;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{TenantScope, TenantTx};

/// A draw's proof, and the anchor that it leads to.
pub struct Proof {
    pub draw: Draw,
    pub document: Document,
    pub anchor: Option<AnchorRow>,
    /// Where the same is served to everybody.
    pub path: String,
}

/// The stretch that a draw stands in, and where the one before it ends.
struct Stretch {
    before: Option<AnchorRow>,
    /// None while it is not anchored.
    own: Option<AnchorRow>,
}

/// What can be proved of one draw by now. None where there is no such draw, or none that terms were written down for.
///
/// A draw's record is public. Whoever calls shows no more than that.
pub async fn of(
    platform: &Platform,
    keys: &LedgerKeys,
    tenant: EnterpriseId,
    id: ActivityId,
    sequence: i64,
) -> Result<Option<Proof>, Fault> {
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let found = store::activities_by_id(&tx, &[id]).await?.remove(&id);
    let Some(activity) = found.filter(|activity| activity.kind == ActivityKind::Draw) else { return Ok(None) };
    let Some(commitment) = activity.seed_commitment.clone() else { return Ok(None) };
    if plans::terms(&tx, id, 1).await?.is_none() {
        return Ok(None);
    }
    // Nobody reads an activity's draws to learn that there is no such one.
    let chain = anchors::chain(&tx, id).await?;
    if !(1..chain.next_sequence).contains(&sequence) {
        return Ok(None);
    }
    let stretch = Stretch::around(&tx, id, sequence).await?;
    let (after, until) = (stretch.after(), stretch.own.as_ref().map(|own| own.last_draw_id));
    let Some(draw) = anchors::draw_between(&tx, id, sequence, after, until).await? else { return Ok(None) };
    let Some(in_force) = plans::terms(&tx, id, draw.version).await? else { return Ok(None) };

    let terms: Terms = serde_json::from_str(&in_force.document).map_err(Fault::internal)?;
    let rules = Rules::new(terms);
    let unreadable = || Fault::internal(anyhow::anyhow!("{} has steps that cannot be read", draw.id));
    let steps = record::unpack(&draw.steps).ok_or_else(unreadable)?;
    let steps = steps.iter().map(|step| StepTaken::of(&rules, step)).collect::<Option<_>>();
    let anchored = match &stretch.own {
        Some(own) => Some(anchored(&tx, own, after, sequence).await?),
        None => None,
    };
    let mut document = Document {
        format: FORMAT.to_owned(),
        enterprise: tenant,
        activity: id,
        commitment: hex(&commitment),
        seed: activity.revealed_seed.as_deref().map(hex),
        terms: TermsInForce { document: in_force.document, since: in_force.since },
        ordinal: draw.ordinal.unsigned_abs(),
        steps: steps.ok_or_else(unreadable)?,
        lot: draw.lot.map(i32::unsigned_abs),
        left: stretch.left(&tx, &rules, &draw).await?,
        previous: hex(&anchors::hash_before(&tx, &draw).await?.unwrap_or(chain.beginning)),
        draw: Recorded::of(&draw).ok_or_else(unreadable)?,
        anchor: anchored,
        notice: None,
    };
    drop(tx); // the ledger has a transaction of its own
    if let (Some(own), Some(anchored)) = (&stretch.own, &mut document.anchor)
        && own.state == AnchorState::Confirmed
    {
        anchored.ledger = on_ledger::of_operation(platform, keys, tenant, own.operation_id).await?;
    }
    document.notice = notice(&document, chain.now);
    Ok(Some(Proof { draw, document, anchor: stretch.own, path: path(&activity, sequence) }))
}

/// Where a draw's proof is served to everybody.
fn path(activity: &Activity, sequence: i64) -> String {
    format!("/draws/{}/{}/{sequence}", activity.tenant_id, activity.id)
}

impl Stretch {
    async fn around(tx: &TenantTx, activity: ActivityId, sequence: i64) -> Result<Self, Fault> {
        let mut last = anchors::anchors_until(tx, activity, sequence, 2).await?.into_iter();
        let nearest = last.next();
        Ok(match nearest {
            Some(own) if own.to_sequence >= sequence => Self { before: last.next(), own: Some(own) },
            before => Self { before, own: None },
        })
    }

    /// The last draw before it.
    fn after(&self) -> Option<DrawId> {
        self.before.as_ref().map(|before| before.last_draw_id)
    }

    /// What was left of every lot after a draw: what the stretch before has left, less what was given since.
    async fn left(&self, tx: &TenantTx, rules: &Rules, draw: &Draw) -> Result<Vec<u32>, Fault> {
        let mut left = match &self.before {
            Some(before) => before.lots_left(),
            None => rules.full_lots().iter().map(|lot| lot.left).collect(),
        };
        for (lot, taken) in anchors::taken_between(tx, draw.activity_id, self.after(), draw.id).await? {
            let place = usize::try_from(lot).ok().and_then(|lot| left.get_mut(lot));
            let rest = place.as_ref().and_then(|left| i64::from(**left).checked_sub(taken));
            let rest = rest.and_then(|rest| u32::try_from(rest).ok());
            let (Some(place), Some(rest)) = (place, rest) else {
                return Err(Fault::internal(anyhow::anyhow!(
                    "{} is behind draws that took what was not there",
                    draw.id
                )));
            };
            *place = rest;
        }
        Ok(left)
    }
}

/// The draw's path to its anchor.
async fn anchored(tx: &TenantTx, own: &AnchorRow, after: Option<DrawId>, sequence: i64) -> Result<Anchored, Fault> {
    let anchor = own.anchor()?;
    let count = own.to_sequence - own.from_sequence + 1;
    let links = anchors::links(tx, own.activity_id, after, count.min(MOST)).await?;
    let records: Result<Vec<Hash>, _> = links.iter().map(|link| Hash::try_from(&link.record_hash[..])).collect();
    let records = records.map_err(Fault::internal)?;
    let index = usize::try_from(sequence - own.from_sequence).map_err(Fault::internal)?;
    if records.get(index).is_none() || anchor::root(&records) != anchor.root {
        let activity = own.activity_id;
        return Err(Fault::internal(anyhow::anyhow!("draws of {activity} are not those that were anchored")));
    }
    Ok(Anchored {
        from: anchor.from,
        to: anchor.to,
        head: hex(&anchor.head),
        root: hex(&anchor.root),
        path: anchor::path(&records, index).iter().map(|step| hex(step)).collect(),
        operation: own.operation_id,
        ledger: None,
    })
}

/// What there is not yet, and when there will be.
fn notice(document: &Document, now: DateTime<Utc>) -> Option<Notice> {
    match &document.anchor {
        Some(Anchored { ledger: Some(_), .. }) => None,
        Some(_) => Some(Notice {
            chinese: "该抽奖的锚定已交给账本，通常片刻后即可确认。".to_owned(),
            english: "The ledger was told of this draw's anchor and usually confirms it in a moment.".to_owned(),
        }),
        None => {
            let midnight = next_midnight(now).to_rfc3339_opts(SecondsFormat::Secs, true);
            Some(Notice {
                chinese: format!(
                    "该抽奖尚未锚定到账本。最迟在下一个上海零点（{midnight}）后锚定；每满 {MOST} 次抽奖或活动结算时会更早。"
                ),
                english: format!(
                    "This draw is not anchored on the ledger yet. It will be soon after the next midnight in Shanghai \
                     ({midnight}), or before that once {MOST} draws have come together or the activity is settled."
                ),
            })
        }
    }
}

/// When the next day in Shanghai begins.
fn next_midnight(now: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(i64::from(day_of(now)) + 1) - TimeDelta::hours(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_in_shanghai_ends_at_four_in_the_afternoon_of_greenwich() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a moment");
        assert_eq!(next_midnight(at("2026-11-21T15:59:59.999999Z")), at("2026-11-21T16:00:00Z"));
        assert_eq!(next_midnight(at("2026-11-21T16:00:00Z")), at("2026-11-22T16:00:00Z"));
    }
}
