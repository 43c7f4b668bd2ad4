//! What an activity may be, field by field. Pure.

use std::collections::HashSet;

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use super::{ActivityRequest, Limits, PlanRequest, PrizeRequest};
use crate::activities::draw::MAXIMUM_AT_ONCE;
use crate::activities::model::{ActivityErrorCode, ActivityKind, PrizeKind};
use crate::activities::participation::Rule;
use crate::activities::prize_code::MAXIMUM_PIECES;
use crate::activities::store::plans::WholePlan;
use crate::activities::task;
use crate::activities::terms::{self, Exhaustion};
use crate::catalog::model::CollectibleId;
use crate::catalog::text::MAXIMUM_SUPPLY;
use crate::platform::refusal::Refusal;
use crate::wallets::points::is_reference;
use crate::wallets::tag;

/// In one plan.
const MAXIMUM_PRIZES: usize = 50;
/// Beside the one for everybody.
const MAXIMUM_PERSONAL_PLANS: usize = 20;
/// Of one prize.
const MAXIMUM_LOTS: usize = 20;
/// In all: each record of a draw binds what is left of every lot.
const MAXIMUM_LOTS_IN_ALL: usize = 200;
/// With one win.
const MAXIMUM_WON_POINTS: i64 = 1_000_000_000;
const MILLION: i64 = terms::MILLION as i64;

type Checked = Result<(), Refusal<ActivityErrorCode>>;

fn require(holds: bool, field: impl Into<String>, chinese: &'static str, english: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english)) }
}

pub fn check(request: &ActivityRequest) -> Checked {
    for name in [&request.name.0, &request.name.1] {
        let fits = !name.trim().is_empty() && name.chars().count() <= 60;
        require(fits, "name", "名称须为 1 到 60 个字符。", "A name has 1 to 60 characters.")?;
    }
    for rules in [&request.rules.0, &request.rules.1] {
        let fits = rules.chars().count() <= 2000;
        require(fits, "rules", "规则不能超过 2000 个字符。", "Rules have at most 2000 characters.")?;
    }
    require(
        request.closes_at - request.opens_at >= TimeDelta::seconds(1),
        "closesAt",
        "结束时间须至少晚于开始时间 1 秒。",
        "An activity closes a second after it opens, or later.",
    )?;
    for (moment, field) in [(request.opens_at, "opensAt"), (request.closes_at, "closesAt")] {
        check_moment(moment, field)?;
    }
    require(
        request.claim_days.is_none_or(|days| (1..=365).contains(&days)),
        "claimDays",
        "领取期限须为 1 到 365 天。",
        "A claim stays open for 1 to 365 days.",
    )?;
    check_chances(request)?;
    check_participation(request)?;
    task::check(request.kind, &request.tasks)?;
    check_limits(request.kind, request.limits)?;
    check_plans(request)
}

fn check_moment(moment: DateTime<Utc>, field: impl Into<String>) -> Checked {
    require(
        terms::YEARS.contains(&moment.year()),
        field,
        "时间须在 2000 年到 2200 年之间。",
        "A moment lies between the years 2000 and 2200.",
    )
}

fn check_chances(request: &ActivityRequest) -> Checked {
    let (chances, daily) = (request.chances_per_holder, request.daily_chances);
    for (chances, field) in [(chances, "chancesPerHolder"), (daily, "dailyChances")] {
        require(
            request.kind == ActivityKind::Draw || chances.is_none_or(|chances| chances == 0),
            field,
            "只有抽奖活动才有抽奖次数。",
            "Only an activity of kind DRAW grants chances; leave them out.",
        )?;
        require(
            chances.is_none_or(|chances| (0..=1000).contains(&chances)),
            field,
            "抽奖次数须为 0 到 1000。",
            "A holder is given between 0 and 1000 chances.",
        )?;
    }
    let earned = daily.is_some_and(|daily| daily > 0) || !request.tasks.is_empty();
    require(
        request.kind != ActivityKind::Draw || chances != Some(0) || earned,
        "chancesPerHolder",
        "没有任务也没有每日免费次数时，每人抽奖次数须至少为 1。",
        "Where there are no tasks and no daily chances, a holder needs at least 1 to draw at all.",
    )
}

fn check_participation(request: &ActivityRequest) -> Checked {
    require(
        request.kind == ActivityKind::Draw || request.participation == Rule::default(),
        "participation",
        "只有抽奖活动才有参与条件。",
        "Only an activity of kind DRAW has rules of participation; leave them out.",
    )?;
    request.participation.check()
}

fn check_limits(kind: ActivityKind, limits: Limits) -> Checked {
    for (limit, field, most) in [
        (limits.draws_at_once, "drawsAtOnce", MAXIMUM_AT_ONCE),
        (limits.draws_per_day, "drawsPerDay", 1000),
        (limits.wins_per_holder, "winsPerHolder", 1000),
        (limits.wins_per_day, "winsPerDay", 1000),
    ] {
        require(
            limit.is_none() || kind == ActivityKind::Draw,
            field,
            "只有抽奖活动才有此限制。",
            "Only an activity of kind DRAW has this limit; leave it out.",
        )?;
        require(
            limit.is_none_or(|limit| (1..=most).contains(&limit)),
            field,
            "限制须为正数，且不超过允许的最大值（单次最多 10，其余最多 1000）。",
            "A limit is at least 1 and at most 1000, and for `drawsAtOnce` at most 10.",
        )?;
    }
    Ok(())
}

fn check_plans(request: &ActivityRequest) -> Checked {
    match request.kind {
        ActivityKind::Sale => require(
            request.prizes.is_empty(),
            "prizes",
            "发售活动没有奖品，请添加商品。",
            "A sale has no prizes; give it offers instead.",
        )?,
        ActivityKind::Draw | ActivityKind::Airdrop => {
            check_prizes(request.kind, request.exhaustion, &request.prizes, "prizes")?;
        }
    }
    require(
        request.kind == ActivityKind::Draw
            || (request.personal_plans.is_empty() && request.exhaustion == Exhaustion::ToNoPrize),
        "personalPlans",
        "只有抽奖活动才有个性化方案与缺货策略。",
        "Only an activity of kind DRAW has personal plans and an exhaustion policy; leave them out.",
    )?;
    require(
        request.personal_plans.len() <= MAXIMUM_PERSONAL_PLANS,
        "personalPlans",
        "个性化方案不能超过 20 个。",
        "An activity has at most 20 personal plans.",
    )?;
    for (place, plan) in request.personal_plans.iter().enumerate() {
        check_personal(plan, &format!("personalPlans.{place}"))?;
        check_prizes(request.kind, plan.exhaustion, &plan.prizes, &format!("personalPlans.{place}.prizes"))?;
    }
    let plans = request.personal_plans.iter().flat_map(|plan| &plan.prizes);
    let lots: usize = request.prizes.iter().chain(plans).map(|prize| prize.lots.len()).sum();
    require(
        lots <= MAXIMUM_LOTS_IN_ALL,
        "prizes",
        "所有奖品合计不能超过 200 份组成。",
        "All prizes together consist of at most 200 lots.",
    )
}

fn check_personal(plan: &PlanRequest, at: &str) -> Checked {
    require(
        !plan.tags.is_empty() || plan.starts_at.is_some() || plan.ends_at.is_some(),
        at,
        "个性化方案须指定标签或时间。",
        "A personal plan names tags, a time, or both; what is for everybody at any time goes into `prizes`.",
    )?;
    for (moment, field) in [(plan.starts_at, "startsAt"), (plan.ends_at, "endsAt")] {
        moment.map_or(Ok(()), |moment| check_moment(moment, format!("{at}.{field}")))?;
    }
    let times = plan.starts_at.zip(plan.ends_at);
    require(
        times.is_none_or(|(starts, ends)| ends - starts >= TimeDelta::seconds(1)),
        format!("{at}.endsAt"),
        "方案的结束时间须至少晚于开始时间 1 秒。",
        "A plan ends a second after it starts, or later.",
    )?;
    require(
        plan.tags.len() <= 20 && plan.tags.iter().all(|tag| tag::is_tag(tag)),
        format!("{at}.tags"),
        "标签最多 20 个，每个 1 到 32 个字符。",
        "A plan names at most 20 tags of 1 to 32 characters each, without blanks around them.",
    )?;
    require(
        plan.tags.iter().collect::<HashSet<_>>().len() == plan.tags.len(),
        format!("{at}.tags"),
        "标签重复。",
        "Name each tag once.",
    )?;
    require(
        plan.exhaustion != Exhaustion::CloseActivity,
        format!("{at}.exhaustion"),
        "只有默认方案可以在抽完后结束活动。",
        "Only the plan for everybody may end the activity; choose another policy.",
    )?;
    require(
        (-1000..=1000).contains(&plan.priority),
        format!("{at}.priority"),
        "优先级须为 -1000 到 1000。",
        "A priority lies between -1000 and 1000.",
    )
}

/// Of two plans that may be open to one person at once, it must be clear which goes before the other.
pub fn check_ties(plans: &[WholePlan]) -> Checked {
    let plans: Vec<terms::Plan> = plans.iter().map(|whole| terms::Plan::from(&whole.plan)).collect();
    match terms::tie(&plans) {
        None => Ok(()),
        Some((_, later)) => Err(Refusal::explained(
            format!("personalPlans.{}.priority", later.saturating_sub(1)),
            ActivityErrorCode::InvalidInput,
            "两个同类方案可能同时生效，请设置不同的优先级或错开时间。",
            "Two plans of the same kind may be open at once; give them different priorities, or times that do not meet.",
        )),
    }
}

fn check_prizes(kind: ActivityKind, exhaustion: Exhaustion, prizes: &[PrizeRequest], at: &str) -> Checked {
    require((1..=MAXIMUM_PRIZES).contains(&prizes.len()), at, "奖品数量须为 1 到 50。", "A plan has 1 to 50 prizes.")?;
    for (position, prize) in prizes.iter().enumerate() {
        check_prize(kind, prize, |field| format!("{at}.{position}.{field}"))?;
    }
    let odds: i64 = prizes.iter().map(|prize| i64::from(prize.odds_per_million.unwrap_or(0))).sum();
    require(
        odds <= MILLION,
        at,
        "中奖概率之和不能超过百万分之 1,000,000。",
        "The odds add up to at most 1,000,000 in a million; the rest is no prize.",
    )?;
    let something = |prize: &PrizeRequest| prize.award.kind != PrizeKind::Nothing && prize.odds_per_million > Some(0);
    require(
        kind != ActivityKind::Draw || prizes.iter().any(something),
        at,
        "至少一个奖品须有中奖概率（NOTHING 不算）。",
        "At least one prize of a plan that is not NOTHING has odds.",
    )?;
    let fallbacks = prizes.iter().filter(|prize| prize.fallback).count();
    require(
        fallbacks == usize::from(exhaustion == Exhaustion::ToFallback),
        at,
        "缺货策略为 TO_FALLBACK 时须有且仅有一个兜底奖，否则不能有兜底奖。",
        "A plan with the policy TO_FALLBACK has exactly one fallback prize, any other has none.",
    )
}

fn check_prize(kind: ActivityKind, prize: &PrizeRequest, field: impl Fn(&str) -> String) -> Checked {
    for name in [&prize.name.0, &prize.name.1] {
        let fits = !name.trim().is_empty() && name.chars().count() <= 30;
        require(fits, field("name"), "奖品名称须为 1 到 30 个字符。", "A prize's name has 1 to 30 characters.")?;
    }
    require(
        (0..=99).contains(&prize.level),
        field("level"),
        "奖品等级须为 0 到 99。",
        "A prize's level lies between 0 and 99.",
    )?;
    check_award(kind, prize, &field)?;
    match prize.award.kind {
        PrizeKind::Collectible => check_lots(kind, prize, &field)?,
        _ => check_quantity(prize, &field)?,
    }
    let limits = [("winsPerHolder", prize.wins_per_holder), ("winsPerDay", prize.wins_per_day)];
    for (limit, most) in limits {
        require(
            most.is_none_or(|most| (1..=MAXIMUM_SUPPLY).contains(&most)),
            field(limit),
            "限制须为 1 到 10,000,000。",
            "A limit lies between 1 and 10,000,000.",
        )?;
    }
    let is_plain = limits.iter().all(|(_, most)| most.is_none()) && !prize.paced && !prize.fallback;
    require(
        kind == ActivityKind::Draw || is_plain,
        field("winsPerHolder"),
        "只有抽奖活动的奖品才有中奖限制、匀速发放与兜底。",
        "Only prizes in a draw have limits, pacing or a fallback; leave them out.",
    )?;
    match (kind, prize.odds_per_million) {
        (ActivityKind::Draw, odds) => require(
            odds.map_or(prize.fallback, |odds| (i64::from(!prize.fallback)..=MILLION).contains(&i64::from(odds))),
            field("oddsPerMillion"),
            "抽奖奖品的概率须为百万分之 1 到 1,000,000。",
            "The odds of a prize in a draw lie between 1 and 1,000,000 in a million; a fallback prize may have none.",
        ),
        (_, odds) => require(
            odds.is_none_or(|odds| odds == 0),
            field("oddsPerMillion"),
            "只有抽奖活动的奖品才有概率。",
            "Only prizes in a draw have odds; leave them out.",
        ),
    }
}

/// What goes with each kind, and nothing that goes with another.
fn check_award(kind: ActivityKind, prize: &PrizeRequest, field: impl Fn(&str) -> String) -> Checked {
    let award = &prize.award;
    require(
        award.points.map_or(award.kind != PrizeKind::Points, |points| {
            award.kind == PrizeKind::Points && (1..=MAXIMUM_WON_POINTS).contains(&points)
        }),
        field("points"),
        "POINTS 类奖品须填写每次中奖的积分（1 到 1,000,000,000），其他奖品不填。",
        "A prize of kind POINTS says how many each win gives, 1 to 1,000,000,000; no other prize does.",
    )?;
    require(
        award.reference.as_deref().map_or(!award.kind.is_delivered_by_enterprise(), |reference| {
            award.kind.is_delivered_by_enterprise() && is_reference(reference)
        }),
        field("reference"),
        "BENEFIT、WECHAT_CARD、OWN_GIFT 类奖品须填写 1 到 64 个可见 ASCII 字符的业务编号，其他奖品不填。",
        "A prize of kind BENEFIT, WECHAT_CARD or OWN_GIFT has a reference of 1 to 64 visible ASCII characters; no other has.",
    )?;
    for text in [&award.instructions.0, &award.instructions.1] {
        let fits = text.chars().count() <= 1000 && !text.contains('\0');
        require(
            fits,
            field("instructions"),
            "说明不能超过 1000 个字符。",
            "Instructions have at most 1000 characters.",
        )?;
    }
    require(
        !award.reviewed || kind == ActivityKind::Draw,
        field("reviewed"),
        "只有抽奖活动的奖品才有中奖审核。",
        "Only prizes in a draw are reviewed: an airdrop goes to people whom you have named yourself.",
    )?;
    let is_plain = prize.wins_per_holder.is_none() && prize.wins_per_day.is_none() && !prize.paced && !prize.fallback;
    require(
        award.kind != PrizeKind::Nothing || (kind == ActivityKind::Draw && is_plain && !award.reviewed),
        field("kind"),
        "NOTHING（谢谢参与）只用于抽奖，且没有限制、匀速、兜底与审核。",
        "NOTHING is for draws, and has no limits, no pacing, no review, and is no fallback.",
    )
}

/// Of what is no collectible.
fn check_quantity(prize: &PrizeRequest, field: impl Fn(&str) -> String) -> Checked {
    let lots = &prize.lots;
    if prize.award.kind == PrizeKind::Nothing {
        return require(
            lots.is_empty(),
            field("quantity"),
            "NOTHING 没有数量，请勿填写 `quantity`、`collectibleId` 与 `lots`。",
            "There is no end of NOTHING; leave `quantity`, `collectibleId` and `lots` out.",
        );
    }
    require(
        lots.len() <= 1 && lots.iter().all(|lot| lot.collectible.is_none()),
        field("collectibleId"),
        "只有 COLLECTIBLE 类奖品才有藏品，其他奖品只填写 `quantity`。",
        "Only a prize of kind COLLECTIBLE names collectibles; give any other its `quantity` alone.",
    )?;
    let most = if prize.award.kind == PrizeKind::ClaimCode { MAXIMUM_PIECES } else { MAXIMUM_SUPPLY };
    require(
        lots.len() == 1 && lots.iter().all(|lot| (1..=most).contains(&lot.quantity)),
        field("quantity"),
        "奖品数量须为 1 到 10,000,000，兑奖码奖品最多 100,000。",
        "A prize's quantity lies between 1 and 10,000,000; of claim codes there are at most 100,000.",
    )
}

fn check_lots(kind: ActivityKind, prize: &PrizeRequest, field: impl Fn(&str) -> String) -> Checked {
    let lots = &prize.lots;
    let most = if kind == ActivityKind::Draw { MAXIMUM_LOTS } else { 1 };
    require(
        (1..=most).contains(&lots.len()) && lots.iter().all(|lot| lot.collectible.is_some()),
        field("lots"),
        "请填写 collectibleId 与 quantity，或填写 lots（盲盒，最多 20 种，仅限抽奖），二者选一。",
        "Name `collectibleId` and `quantity`, or `lots` instead: at most 20, and only in a draw.",
    )?;
    let quantity: i64 = lots.iter().map(|lot| i64::from(lot.quantity)).sum();
    require(
        lots.iter().all(|lot| lot.quantity >= 1) && quantity <= i64::from(MAXIMUM_SUPPLY),
        field("quantity"),
        "奖品数量须为 1 到 10,000,000。",
        "A prize's quantity lies between 1 and 10,000,000.",
    )?;
    let collectibles: HashSet<CollectibleId> = lots.iter().filter_map(|lot| lot.collectible).collect();
    require(
        collectibles.len() == lots.len(),
        field("lots"),
        "同一奖品中每种藏品只能出现一次。",
        "Name each collectible once in a prize.",
    )
}

#[cfg(test)]
mod tests;
