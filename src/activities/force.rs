//! Terms come into force: written down for everybody, and bound into the activity's chain of records.

use std::sync::Arc;

use crate::activities::custom_rule;
use crate::activities::draw::Remembered;
use crate::activities::engine::Rules;
use crate::activities::fairness::{self, Seed};
use crate::activities::model::{Activity, ActivityId, Prize, PrizeId, PrizeLot};
use crate::activities::store;
use crate::activities::store::plans::{self, InForce, WholePlan};
use crate::activities::store::{anchors, draws};
use crate::activities::terms::{self, Rulings, Terms};
use crate::catalog::model::AllotmentId;
use crate::catalog::stock;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::enterprise;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::sealed::{Purpose, SealedColumn};

/// What is sealed here.
pub const SEALED: &[SealedColumn] =
    &[SealedColumn::by_id("activities", "sealed_seed", Purpose::OfRow(|id| purpose(ActivityId::from_uuid(id))))];

/// Chooses the seed, commits to it, and begins the chain of records with the commitment and the first terms. Every lot
/// of the plans has its stock.
pub async fn begin_in(
    platform: &Platform,
    tx: &TenantTx,
    activity: &Activity,
    plans: &[WholePlan],
) -> Result<(), Fault> {
    let id = activity.id;
    let seed: Seed = platform.randomness.bytes();
    let commitment = fairness::commitment(&seed);
    let sealed = enterprise::data_key(platform, tx).await?.seal(&*platform.randomness, &purpose(id), &seed);
    store::set_seed_in(tx, id, commitment.to_vec(), sealed).await?;

    let lots: Vec<PrizeLot> = plans.iter().flat_map(|whole| &whole.prizes).flat_map(|(_, lots)| lots.clone()).collect();
    let allotments: Vec<AllotmentId> = lots.iter().map(allotment_of).collect::<Result<_, _>>()?;
    let rows = stock::lock_in(tx, &allotments).await?;
    // Nothing was taken from it yet, so the next number is the first.
    let first_serial = |lot: &PrizeLot| lot.allotment_id.map_or(0, |id| rows[&id].next_serial.unsigned_abs());
    let rulings = custom_rule::rulings(tx, id).await?;
    let terms = terms_of(activity, plans, rulings, first_serial);
    let in_force =
        InForce { document: serde_json::to_string(&terms).map_err(Fault::internal)?, since: tx.now().await? };
    let head = fairness::beginning(id, &commitment, terms.version, &in_force.document, in_force.since);
    plans::insert_terms_in(tx, id, terms.version.cast_signed(), &in_force, &head).await?;
    draws::insert_lane_in(tx, id, &head, in_force.since).await?;
    anchors::insert_watch_in(tx, id).await
}

/// The terms of plans that have no stock yet, as if each lot began at number 1.
pub fn planned(activity: &Activity, plans: &[WholePlan]) -> Terms {
    terms_of(activity, plans, Rulings::None, |_| 1)
}

fn terms_of(
    activity: &Activity,
    plans: &[WholePlan],
    rulings: Rulings,
    first_serial: impl Fn(&PrizeLot) -> u32,
) -> Terms {
    let count = |limit: Option<i32>| limit.map(i32::unsigned_abs);
    let lot = |lot: &PrizeLot| terms::Lot {
        collectible: lot.collectible_id,
        first_serial: first_serial(lot),
        quantity: lot.quantity.unsigned_abs(),
    };
    let prize = |(prize, lots): &(Prize, Vec<PrizeLot>)| terms::Prize {
        id: prize.id,
        name_chinese: prize.name_chinese.clone(),
        name_english: prize.name_english.clone(),
        level: prize.level.unsigned_abs(),
        odds_per_million: prize.odds_per_million.unsigned_abs(),
        wins_per_holder: count(prize.wins_per_holder),
        wins_per_day: count(prize.wins_per_day),
        paced: prize.paced,
        fallback: prize.fallback,
        kind: prize.kind,
        lots: lots.iter().map(lot).collect(),
    };
    let plan = |WholePlan { plan, prizes }: &WholePlan| terms::Plan {
        prizes: prizes.iter().map(prize).collect(),
        ..terms::Plan::from(plan)
    };
    Terms {
        activity: activity.id,
        version: plans.first().map_or(1, |whole| whole.plan.version.unsigned_abs()),
        opens_at: activity.opens_at,
        closes_at: activity.closes_at,
        draws_at_once: activity.draws_at_once.unsigned_abs(),
        draws_per_day: count(activity.draws_per_day),
        wins_per_holder: count(activity.wins_per_holder),
        wins_per_day: count(activity.wins_per_day),
        rulings,
        plans: plans.iter().map(plan).collect(),
    }
}

/// What a lane needs of terms in force.
pub async fn remember(
    platform: &Platform,
    tx: &TenantTx,
    activity: ActivityId,
    version: i32,
) -> Result<Remembered, Fault> {
    let missing = || Fault::internal(anyhow::anyhow!("{activity} has no terms of version {version}"));
    let in_force = plans::terms(tx, activity, version).await?.ok_or_else(missing)?;
    let terms: Terms = serde_json::from_str(&in_force.document).map_err(Fault::internal)?;
    let rules = Rules::new(terms);
    let prizes: Vec<PrizeId> = rules.prizes().map(|prize| prize.id).collect();
    let mut lots = plans::lots_of_prizes(tx, &prizes).await?;
    let in_order = prizes.iter().flat_map(|prize| lots.remove(prize).unwrap_or_default());
    let allotments: Vec<AllotmentId> = in_order.map(|lot| allotment_of(&lot)).collect::<Result<_, _>>()?;
    if allotments.len() != rules.lots() {
        return Err(Fault::internal(anyhow::anyhow!("{activity} has other lots than its terms")));
    }
    let prizes = plans::prizes_by_id(tx, &prizes).await?;
    let seed = seed(platform, tx, activity).await?;
    let rule = store::participation::rule(tx, activity).await?;
    let data_key = enterprise::data_key(platform, tx).await?;
    let asking = custom_rule::asking(tx, activity, &rules).await?.map(Arc::new);
    Ok(Remembered { rules, seed, allotments, prizes, rule, data_key, asking })
}

fn allotment_of(lot: &PrizeLot) -> Result<AllotmentId, Fault> {
    let missing = || Fault::internal(anyhow::anyhow!("{} is drawn without stock", lot.prize_id));
    lot.allotment_id.ok_or_else(missing)
}

/// The seed of a published activity of kind DRAW. It leaves the server at settlement, never before.
pub async fn seed(platform: &Platform, tx: &TenantTx, id: ActivityId) -> Result<Seed, Fault> {
    let sealed = draws::sealed_seed(tx, id)
        .await?
        .ok_or_else(|| Fault::internal(anyhow::anyhow!("{id} has a lane and no seed")))?;
    let seed = enterprise::data_key(platform, tx).await?.open(&purpose(id), &sealed).map_err(Fault::internal)?;
    seed.try_into().map_err(|_| Fault::internal(anyhow::anyhow!("the seed of {id} has a wrong length")))
}

// The activity is bound in: one activity's sealed seed is of no use in another's row.
fn purpose(id: ActivityId) -> String {
    format!("draw seed of {id}")
}
