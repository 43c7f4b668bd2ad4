use super::*;
use crate::activities::create::{AwardRequest, LotRequest};
use crate::activities::model::ActivityId;

fn moment() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn prize(odds_per_million: Option<i32>) -> PrizeRequest {
    PrizeRequest {
        award: AwardRequest::default(),
        lots: vec![LotRequest { collectible: Some(CollectibleId::generate()), quantity: 1 }],
        level: 0,
        name: ("奖品".into(), "Prize".into()),
        odds_per_million,
        wins_per_holder: None,
        wins_per_day: None,
        paced: false,
        fallback: false,
    }
}

fn draw() -> ActivityRequest {
    ActivityRequest {
        kind: ActivityKind::Draw,
        name: ("活动".into(), "Activity".into()),
        rules: (String::new(), String::new()),
        opens_at: moment(),
        closes_at: moment() + TimeDelta::seconds(1),
        chances_per_holder: Some(1),
        daily_chances: None,
        participation: Rule::default(),
        tasks: Vec::new(),
        custom_rules: Vec::new(),
        limits: Limits::default(),
        claim_days: None,
        exhaustion: Exhaustion::ToNoPrize,
        prizes: vec![prize(Some(1_000_000))],
        personal_plans: Vec::new(),
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
    let far = ActivityRequest { closes_at: moment() + TimeDelta::days(365 * 9000), ..draw() };
    assert_eq!(refused_at(&far).as_deref(), Some("closesAt"));
    let none = ActivityRequest { chances_per_holder: Some(0), ..draw() };
    assert_eq!(refused_at(&none).as_deref(), Some("chancesPerHolder"));
    let free = ActivityRequest { chances_per_holder: Some(0), daily_chances: Some(1), ..draw() };
    assert_eq!(refused_at(&free), None, "who may draw once a day needs nothing else");
    let often = ActivityRequest { daily_chances: Some(1001), ..draw() };
    assert_eq!(refused_at(&often).as_deref(), Some("dailyChances"));
    let granted = ActivityRequest { chances_per_holder: Some(1), ..airdrop() };
    assert_eq!(refused_at(&granted).as_deref(), Some("chancesPerHolder"));
    let likely = ActivityRequest { prizes: vec![prize(Some(1))], ..airdrop() };
    assert_eq!(refused_at(&likely).as_deref(), Some("prizes.0.oddsPerMillion"));
    let mut nothing = draw();
    nothing.prizes[0].lots[0].quantity = 0;
    assert_eq!(refused_at(&nothing).as_deref(), Some("prizes.0.quantity"));
}

fn refused_with(change: impl FnOnce(&mut ActivityRequest)) -> Option<String> {
    let mut request = draw();
    change(&mut request);
    refused_at(&request)
}

fn personal(tags: &[&str]) -> PlanRequest {
    PlanRequest {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        starts_at: None,
        ends_at: None,
        priority: 0,
        overlays: true,
        falls_through: true,
        exhaustion: Exhaustion::Renormalise,
        prizes: vec![prize(Some(1))],
    }
}

#[test]
fn a_fallback_prize_goes_with_its_policy() {
    let fallback = || PrizeRequest { fallback: true, ..prize(None) };
    assert_eq!(refused_with(|it| it.exhaustion = Exhaustion::ToFallback).as_deref(), Some("prizes"));
    assert_eq!(refused_with(|it| it.prizes.push(fallback())).as_deref(), Some("prizes"));
    let both = |it: &mut ActivityRequest| {
        it.exhaustion = Exhaustion::ToFallback;
        it.prizes.push(fallback());
    };
    assert_eq!(refused_with(both), None);
    let two = |it: &mut ActivityRequest| {
        both(it);
        it.prizes.push(fallback());
    };
    assert_eq!(refused_with(two).as_deref(), Some("prizes"));
}

#[test]
fn a_blind_box_names_each_collectible_once() {
    let lot = || LotRequest { collectible: Some(CollectibleId::generate()), quantity: 1 };
    assert_eq!(refused_with(|it| it.prizes[0].lots = vec![lot(), lot()]), None);
    assert_eq!(refused_with(|it| it.prizes[0].lots = vec![lot(); 2]).as_deref(), Some("prizes.0.lots"));
    assert_eq!(refused_with(|it| it.prizes[0].lots.clear()).as_deref(), Some("prizes.0.lots"));
    let many = |it: &mut ActivityRequest| it.prizes[0].lots = (0..21).map(|_| lot()).collect();
    assert_eq!(refused_with(many).as_deref(), Some("prizes.0.lots"));
    let too_many = |it: &mut ActivityRequest| {
        it.prizes[0].lots =
            vec![LotRequest { quantity: 6_000_000, ..lot() }, LotRequest { quantity: 6_000_000, ..lot() }]
    };
    assert_eq!(refused_with(too_many).as_deref(), Some("prizes.0.quantity"));
    let mut dropped = airdrop();
    dropped.prizes[0].lots = vec![lot(), lot()];
    assert_eq!(refused_at(&dropped).as_deref(), Some("prizes.0.lots"));
}

#[test]
fn a_personal_plan_is_for_some_people_or_some_time() {
    let with = |plan: PlanRequest| refused_with(|it| it.personal_plans = vec![plan]);
    assert_eq!(with(personal(&["vip"])), None);
    let timed = || PlanRequest { starts_at: Some(moment()), ..personal(&[]) };
    assert_eq!(with(timed()), None);
    assert_eq!(with(personal(&[])).as_deref(), Some("personalPlans.0"));
    assert_eq!(with(personal(&["vip", "vip"])).as_deref(), Some("personalPlans.0.tags"));
    assert_eq!(with(personal(&[""])).as_deref(), Some("personalPlans.0.tags"));
    let backwards = PlanRequest { ends_at: Some(moment()), ..timed() };
    assert_eq!(with(backwards).as_deref(), Some("personalPlans.0.endsAt"));
    let closing = PlanRequest { exhaustion: Exhaustion::CloseActivity, ..timed() };
    assert_eq!(with(closing).as_deref(), Some("personalPlans.0.exhaustion"));
    let hopeless = PlanRequest { prizes: vec![prize(None)], ..timed() };
    assert_eq!(with(hopeless).as_deref(), Some("personalPlans.0.prizes.0.oddsPerMillion"));
    let mut elsewhere = airdrop();
    elsewhere.personal_plans = vec![timed()];
    assert_eq!(refused_at(&elsewhere).as_deref(), Some("personalPlans"));
}

#[test]
fn limits_are_for_draws() {
    assert_eq!(refused_with(|it| it.limits.draws_at_once = Some(10)), None);
    assert_eq!(refused_with(|it| it.limits.draws_at_once = Some(11)).as_deref(), Some("drawsAtOnce"));
    assert_eq!(refused_with(|it| it.limits.wins_per_day = Some(0)).as_deref(), Some("winsPerDay"));
    let limits = Limits { draws_per_day: Some(1), ..Limits::default() };
    assert_eq!(refused_at(&ActivityRequest { limits, ..airdrop() }).as_deref(), Some("drawsPerDay"));
    let paced = PrizeRequest { paced: true, ..prize(None) };
    let paced = ActivityRequest { prizes: vec![paced], ..airdrop() };
    assert_eq!(refused_at(&paced).as_deref(), Some("prizes.0.winsPerHolder"));
}

#[test]
fn plans_that_tie_are_refused() {
    let tie = |plans: Vec<PlanRequest>| {
        let request = ActivityRequest { personal_plans: plans, ..draw() };
        match check_ties(&super::super::plans(ActivityId::generate(), &request)) {
            Ok(()) => None,
            Err(Refusal::Problems(problems)) => problems.into_iter().next().and_then(|problem| problem.field),
            Err(Refusal::Fault(fault)) => panic!("{fault}"),
        }
    };
    assert_eq!(tie(vec![personal(&["a"]), personal(&["b"])]).as_deref(), Some("personalPlans.1.priority"));
    assert_eq!(tie(vec![personal(&["a"]), PlanRequest { priority: 1, ..personal(&["b"]) }]), None);
}

/// A prize of another kind, with what goes with it.
fn award(kind: PrizeKind) -> PrizeRequest {
    let quantity = LotRequest { collectible: None, quantity: 5 };
    PrizeRequest {
        award: AwardRequest {
            kind,
            points: (kind == PrizeKind::Points).then_some(100),
            reference: kind.is_delivered_by_enterprise().then(|| "sku-1".to_owned()),
            ..AwardRequest::default()
        },
        lots: if kind == PrizeKind::Nothing { Vec::new() } else { vec![quantity] },
        ..prize(Some(1000))
    }
}

#[test]
fn each_kind_of_prize_takes_what_goes_with_it() {
    let with = |prize: PrizeRequest| refused_with(|it| it.prizes.push(prize));
    let others = || PrizeKind::ALL.iter().copied().filter(|kind| *kind != PrizeKind::Collectible);
    for kind in others() {
        let prize = || award(kind);
        let changed = |change: &dyn Fn(&mut PrizeRequest)| {
            let mut prize = prize();
            change(&mut prize);
            refused_with(|it| {
                it.prizes[0].odds_per_million = Some(1);
                it.prizes.push(prize);
            })
        };
        assert_eq!(changed(&|_| ()), None, "{kind:?}");
        let strange = |field: &str| Some(format!("prizes.1.{field}"));
        let points = changed(&|it| it.award.points = it.award.points.xor(Some(1)));
        assert_eq!(points, strange("points"), "{kind:?}");
        let reference = changed(&|it| it.award.reference = it.award.reference.take().xor(Some("x".into())));
        assert_eq!(reference, strange("reference"), "{kind:?}");
        let piece = LotRequest { collectible: Some(CollectibleId::generate()), quantity: 1 };
        let of_a_collectible = changed(&|it| it.lots = vec![piece]);
        let field = if kind == PrizeKind::Nothing { "quantity" } else { "collectibleId" };
        assert_eq!(of_a_collectible, strange(field), "{kind:?}");
        if kind != PrizeKind::Nothing {
            assert_eq!(changed(&|it| it.lots.clear()), strange("quantity"), "{kind:?}");
            assert_eq!(changed(&|it| it.lots[0].quantity = 0), strange("quantity"), "{kind:?}");
            assert_eq!(changed(&|it| it.award.reviewed = true), None, "{kind:?}");
        }
    }
    let codes = |quantity| PrizeRequest {
        lots: vec![LotRequest { collectible: None, quantity }],
        ..award(PrizeKind::ClaimCode)
    };
    let few = |prize: PrizeRequest| refused_with(|it| it.prizes = vec![prize]);
    assert_eq!(few(codes(100_000)), None);
    assert_eq!(few(codes(100_001)).as_deref(), Some("prizes.0.quantity"));
    assert_eq!(with(award(PrizeKind::Benefit)).as_deref(), Some("prizes"), "more than a million");
}

#[test]
fn nothing_is_no_prize_by_itself() {
    let nothing = || award(PrizeKind::Nothing);
    assert_eq!(refused_with(|it| it.prizes = vec![nothing()]).as_deref(), Some("prizes"));
    let limited = PrizeRequest { wins_per_day: Some(1), ..nothing() };
    assert_eq!(refused_with(|it| it.prizes = vec![limited]).as_deref(), Some("prizes.0.kind"));
    let dropped = ActivityRequest { prizes: vec![PrizeRequest { odds_per_million: None, ..nothing() }], ..airdrop() };
    assert_eq!(refused_at(&dropped).as_deref(), Some("prizes.0.kind"));
    let mut reviewed = airdrop();
    reviewed.prizes[0].award.reviewed = true;
    assert_eq!(refused_at(&reviewed).as_deref(), Some("prizes.0.reviewed"));
    let gift = ActivityRequest {
        prizes: vec![PrizeRequest { odds_per_million: None, ..award(PrizeKind::OwnGift) }],
        ..airdrop()
    };
    assert_eq!(refused_at(&gift), None);
}
