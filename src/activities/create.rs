//! An activity is drafted, with the first version of what may be won in it.

use chrono::{DateTime, Utc};

use crate::activities::change;
use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityKind, Prize, PrizeId, PrizePlanId};
use crate::activities::store::{self, NewActivity};
use crate::catalog::model::CollectibleId;
use crate::catalog::text::MAXIMUM_SUPPLY;
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::loaders::Batch;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;

pub const MAXIMUM_PRIZES: usize = 50;
const MILLION: i64 = 1_000_000;
const DEFAULT_CLAIM_DAYS: i32 = 30;

#[derive(Clone, Debug)]
pub struct ActivityRequest {
    pub kind: ActivityKind,
    pub name: (String, String),
    pub rules: (String, String),
    pub opens_at: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
    pub chances_per_holder: Option<i32>,
    pub claim_days: Option<i32>,
    pub prizes: Vec<PrizeRequest>,
}

#[derive(Clone, Debug)]
pub struct PrizeRequest {
    pub collectible: CollectibleId,
    pub level: i32,
    pub name: (String, String),
    pub odds_per_million: Option<i32>,
    pub quantity: i32,
}

pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &ActivityRequest,
) -> Result<Activity, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    check(request)?;
    let new = NewActivity {
        id: ActivityId::generate(),
        kind: request.kind,
        name: (&request.name.0, &request.name.1),
        rules: (&request.rules.0, &request.rules.1),
        opens_at: request.opens_at,
        closes_at: request.closes_at,
        chances_per_holder: request.chances_per_holder.unwrap_or(i32::from(request.kind == ActivityKind::Draw)),
        claim_days: request.claim_days.unwrap_or(DEFAULT_CLAIM_DAYS),
    };
    let plan = PrizePlanId::generate();
    let prizes: Vec<Prize> = (0..).zip(&request.prizes).map(|(position, prize)| row(plan, position, prize)).collect();

    let tx = scope.write(&platform.database).await?;
    let named: Vec<CollectibleId> = prizes.iter().map(|prize| prize.collectible_id).collect();
    let known = CollectibleId::fetch(&tx, &named).await?;
    if let Some(position) = named.iter().position(|id| !known.contains_key(id)) {
        return Err(Refusal::at(format!("prizes.{position}.collectibleId"), ActivityErrorCode::CollectibleNotFound));
    }
    let activity = store::insert_activity_in(&tx, &new).await?;
    if !prizes.is_empty() {
        store::insert_plan_in(&tx, activity.id, 1, &prizes, plan).await?;
    }
    audit::record_in(&tx, "activityCreate", activity.id.uuid(), None, &(&activity, &prizes)).await?;
    change::announce_in(&tx, &activity).await?;
    tx.commit().await?;
    Ok(activity)
}

fn row(plan: PrizePlanId, position: i32, prize: &PrizeRequest) -> Prize {
    Prize {
        id: PrizeId::generate(),
        plan_id: plan,
        collectible_id: prize.collectible,
        position,
        level: prize.level,
        name_chinese: prize.name.0.clone(),
        name_english: prize.name.1.clone(),
        odds_per_million: prize.odds_per_million.unwrap_or(0),
        quantity: prize.quantity,
        allotment_id: None,
    }
}

type Checked = Result<(), Refusal<ActivityErrorCode>>;

fn require(holds: bool, field: impl Into<String>, chinese: &'static str, english: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english)) }
}

fn check(request: &ActivityRequest) -> Checked {
    for name in [&request.name.0, &request.name.1] {
        let fits = !name.trim().is_empty() && name.chars().count() <= 60;
        require(fits, "name", "名称须为 1 到 60 个字符。", "A name has 1 to 60 characters.")?;
    }
    for rules in [&request.rules.0, &request.rules.1] {
        let fits = rules.chars().count() <= 2000;
        require(fits, "rules", "规则不能超过 2000 个字符。", "Rules have at most 2000 characters.")?;
    }
    require(
        request.opens_at < request.closes_at,
        "closesAt",
        "结束时间须晚于开始时间。",
        "An activity closes after it opens.",
    )?;
    require(
        request.claim_days.is_none_or(|days| (1..=365).contains(&days)),
        "claimDays",
        "领取期限须为 1 到 365 天。",
        "A claim stays open for 1 to 365 days.",
    )?;
    check_chances(request)?;
    check_plan(request.kind, &request.prizes)
}

fn check_chances(request: &ActivityRequest) -> Checked {
    match (request.kind, request.chances_per_holder) {
        (_, None) => Ok(()),
        (ActivityKind::Draw, Some(chances)) => require(
            (1..=1000).contains(&chances),
            "chancesPerHolder",
            "每人抽奖次数须为 1 到 1000。",
            "A holder draws between 1 and 1000 times.",
        ),
        (_, Some(chances)) => require(
            chances == 0,
            "chancesPerHolder",
            "只有抽奖活动才有抽奖次数。",
            "Only an activity of kind DRAW grants chances; leave them out.",
        ),
    }
}

fn check_plan(kind: ActivityKind, prizes: &[PrizeRequest]) -> Checked {
    match kind {
        ActivityKind::Sale => require(
            prizes.is_empty(),
            "prizes",
            "发售活动没有奖品，请添加商品。",
            "A sale has no prizes; give it offers instead.",
        )?,
        ActivityKind::Draw | ActivityKind::Airdrop => require(
            (1..=MAXIMUM_PRIZES).contains(&prizes.len()),
            "prizes",
            "奖品数量须为 1 到 50。",
            "An activity of this kind has 1 to 50 prizes.",
        )?,
    }
    for (position, prize) in prizes.iter().enumerate() {
        check_prize(kind, prize, |field| format!("prizes.{position}.{field}"))?;
    }
    let odds: i64 = prizes.iter().map(|prize| i64::from(prize.odds_per_million.unwrap_or(0))).sum();
    require(
        odds <= MILLION,
        "prizes",
        "中奖概率之和不能超过百万分之 1,000,000。",
        "The odds add up to at most 1,000,000 in a million; the rest is no prize.",
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
    require(
        (1..=MAXIMUM_SUPPLY).contains(&prize.quantity),
        field("quantity"),
        "奖品数量须为 1 到 10,000,000。",
        "A prize's quantity lies between 1 and 10,000,000.",
    )?;
    match (kind, prize.odds_per_million) {
        (ActivityKind::Draw, odds) => require(
            odds.is_some_and(|odds| (1..=MILLION).contains(&i64::from(odds))),
            field("oddsPerMillion"),
            "抽奖奖品的概率须为百万分之 1 到 1,000,000。",
            "The odds of a prize in a draw lie between 1 and 1,000,000 in a million.",
        ),
        (_, odds) => require(
            odds.is_none_or(|odds| odds == 0),
            field("oddsPerMillion"),
            "只有抽奖活动的奖品才有概率。",
            "Only prizes in a draw have odds; leave them out.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn prize(odds_per_million: Option<i32>) -> PrizeRequest {
        PrizeRequest {
            collectible: CollectibleId::generate(),
            level: 0,
            name: ("奖品".into(), "Prize".into()),
            odds_per_million,
            quantity: 1,
        }
    }

    fn draw() -> ActivityRequest {
        ActivityRequest {
            kind: ActivityKind::Draw,
            name: ("活动".into(), "Activity".into()),
            rules: (String::new(), String::new()),
            opens_at: DateTime::UNIX_EPOCH,
            closes_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(1),
            chances_per_holder: Some(1),
            claim_days: None,
            prizes: vec![prize(Some(1_000_000))],
        }
    }

    fn airdrop() -> ActivityRequest {
        ActivityRequest { kind: ActivityKind::Airdrop, chances_per_holder: None, prizes: vec![prize(None)], ..draw() }
    }

    fn refused_at(request: &ActivityRequest) -> Option<String> {
        match check(request) {
            Ok(()) => None,
            Err(Refusal::Problems(problems)) => problems.into_iter().next().and_then(|problem| problem.field),
            Err(Refusal::Fault(fault)) => panic!("{fault}"),
        }
    }

    #[test]
    fn each_kind_as_it_should_be_passes() {
        assert_eq!(refused_at(&draw()), None);
        assert_eq!(refused_at(&airdrop()), None);
        let sale = ActivityRequest { kind: ActivityKind::Sale, prizes: vec![], ..airdrop() };
        assert_eq!(refused_at(&sale), None);
        assert_eq!(refused_at(&ActivityRequest { prizes: vec![prize(None)], ..sale }).as_deref(), Some("prizes"));
    }

    #[test]
    fn odds_of_more_than_a_million_are_refused() {
        let with =
            |odds: &[i32]| ActivityRequest { prizes: odds.iter().map(|odds| prize(Some(*odds))).collect(), ..draw() };
        assert_eq!(refused_at(&with(&[999_999, 1])), None);
        assert_eq!(refused_at(&with(&[999_999, 2])).as_deref(), Some("prizes"));
        assert_eq!(refused_at(&with(&[1, 0])).as_deref(), Some("prizes.1.oddsPerMillion"), "it could never be won");
        assert_eq!(refused_at(&with(&[-1])).as_deref(), Some("prizes.0.oddsPerMillion"));
        assert_eq!(refused_at(&with(&[])).as_deref(), Some("prizes"));
        assert_eq!(refused_at(&with(&[1; 50])), None);
        assert_eq!(refused_at(&with(&[1; 51])).as_deref(), Some("prizes"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_where_it_stands() {
        let base = draw();
        let closed = ActivityRequest { closes_at: base.opens_at, ..draw() };
        assert_eq!(refused_at(&closed).as_deref(), Some("closesAt"));
        assert_eq!(refused_at(&ActivityRequest { claim_days: Some(0), ..draw() }).as_deref(), Some("claimDays"));
        assert_eq!(refused_at(&ActivityRequest { claim_days: Some(366), ..draw() }).as_deref(), Some("claimDays"));
        let none = ActivityRequest { chances_per_holder: Some(0), ..draw() };
        assert_eq!(refused_at(&none).as_deref(), Some("chancesPerHolder"));
        let granted = ActivityRequest { chances_per_holder: Some(1), ..airdrop() };
        assert_eq!(refused_at(&granted).as_deref(), Some("chancesPerHolder"));
        let likely = ActivityRequest { prizes: vec![prize(Some(1))], ..airdrop() };
        assert_eq!(refused_at(&likely).as_deref(), Some("prizes.0.oddsPerMillion"));
        let nothing = ActivityRequest { prizes: vec![PrizeRequest { quantity: 0, ..prize(Some(1)) }], ..draw() };
        assert_eq!(refused_at(&nothing).as_deref(), Some("prizes.0.quantity"));
    }
}
