use chrono::TimeDelta;
use uuid::Uuid;

use super::*;
use crate::activities::model::{PrizeKind, PrizePlanId};
use crate::activities::terms::{Exhaustion, Lot, Plan, Prize, Rulings};
use crate::catalog::model::CollectibleId;

const SEED: Seed = [9; 32];

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
}

fn terms() -> Terms {
    let lot = Lot { collectible: Some(CollectibleId::from_uuid(Uuid::from_u128(1))), first_serial: 1, quantity: 6 };
    let prize = Prize {
        id: PrizeId::from_uuid(Uuid::from_u128(1)),
        name_chinese: "奖".into(),
        name_english: "Prize".into(),
        level: 0,
        odds_per_million: 600_000,
        wins_per_holder: None,
        wins_per_day: None,
        paced: false,
        fallback: false,
        kind: PrizeKind::Collectible,
        lots: vec![lot],
    };
    let plan = Plan {
        id: PrizePlanId::from_uuid(Uuid::from_u128(1)),
        for_chosen: false,
        from: None,
        until: None,
        priority: 0,
        overlays: false,
        falls_through: false,
        exhaustion: Exhaustion::CloseActivity,
        prizes: vec![prize.clone()],
    };
    let chosen = Plan {
        id: PrizePlanId::from_uuid(Uuid::from_u128(2)),
        for_chosen: true,
        from: Some(at(30)),
        exhaustion: Exhaustion::ToNoPrize,
        prizes: vec![Prize { id: PrizeId::from_uuid(Uuid::from_u128(2)), ..prize }],
        ..plan.clone()
    };
    Terms {
        activity: ActivityId::from_uuid(Uuid::from_u128(1)),
        version: 1,
        opens_at: at(0),
        closes_at: at(60),
        draws_at_once: 3,
        draws_per_day: Some(6),
        wins_per_holder: None,
        wins_per_day: None,
        rulings: Rulings::None,
        plans: vec![plan, chosen],
    }
}

/// A draw as a forger makes it up: whose, its place in a multi-draw, when, for which plans they were chosen.
type Row = (u8, u32, i64, u64);

/// A record whose hashes follow, whatever stands in it.
fn record(terms: &Terms, rows: &[Row]) -> Export {
    let document = serde_json::to_string(terms).expect("it is written");
    let rules = Rules::new(terms.clone());
    let since = at(-10);
    let commitment = fairness::commitment(&SEED);
    let beginning = fairness::beginning(terms.activity, &commitment, terms.version, &document, since);
    let head = Head { next_sequence: 1, hash: beginning };
    // Made by terms that limit nothing: what the record is held against are the true ones.
    let mut loose = terms.clone();
    loose.draws_per_day = None;
    loose.plans[0].exhaustion = Exhaustion::ToNoPrize;
    let loose = Rules::new(loose);
    let mut turn = Turn::fresh(&loose, head, since);
    let draws = rows.iter().map(|&(number, index, minutes, chosen)| {
        let who = Participant([number; 16]);
        turn.at = at(minutes);
        turn.accounts.entry(who).or_default().chosen = chosen;
        let made = turn
            .replay(who, Drawn { client_seed: "s", index, ruling: Ruling::Free }, |of| Numbers::new(&SEED, of))
            .expect("nothing is refused");
        Recorded {
            sequence: made.sequence,
            participant: hex(&who.0),
            at: at(minutes),
            index,
            client_seed: "s".into(),
            open_plans: format!("{:x}", made.open_plans),
            ruling: None,
            numbers: numbers(&made.steps),
            awarded: made.awarded.map(|award| rules.prize(award.place).id),
            serial: made.awarded.and_then(|award| award.piece).map(|piece| piece.serial),
            hash: hex(&made.record_hash),
        }
    });
    Export {
        format: FORMAT.into(),
        activity: terms.activity,
        commitment: hex(&fairness::commitment(&SEED)),
        seed: Some(hex(&SEED)),
        draws: draws.collect(),
        terms: TermsInForce { document, since },
    }
}

fn flaw(rows: &[Row]) -> Option<String> {
    let whole = record(&terms(), rows);
    let unsettled = Export { seed: None, ..whole.clone() };
    let (whole, unsettled) = (check(&whole), check(&unsettled));
    assert_eq!(whole.is_ok(), unsettled.is_ok(), "the seed is not needed to see it");
    whole.err().map(|flaw| flaw.to_string())
}

#[test]
fn an_honest_record_holds() {
    assert_eq!(flaw(&[]), None);
    assert_eq!(flaw(&[(1, 0, 0, 0), (1, 1, 0, 0), (1, 2, 0, 0), (2, 0, 0, 0), (1, 0, 59, 2)]), None);
}

/// Every record here hangs together: its numbers follow from the seed, its prizes from the numbers, its hashes from all.
#[test]
fn a_record_that_hangs_together_may_still_be_forged() {
    let wrong = |rows: &[Row], what: &str| {
        let said = flaw(rows).unwrap_or_else(|| panic!("{rows:?} holds"));
        assert!(said.contains(what), "{rows:?}: {said}");
    };
    // The place in a multi-draw decides numbers: whoever could choose it could choose what is won.
    wrong(&[(1, 1861, 0, 0)], "follows no draw");
    wrong(&[(1, 0, 0, 0), (1, 2, 0, 0)], "follows no draw");
    wrong(&[(1, 0, 0, 0), (2, 1, 0, 0)], "follows no draw");
    wrong(&[(1, 0, 0, 0), (1, 1, 1, 0)], "follows no draw");
    wrong(&[(1, 0, 0, 0), (1, 1, 0, 0), (1, 2, 0, 0), (1, 3, 0, 0)], "follows no draw");
    wrong(&[(1, 0, -1, 0)], "outside of the activity's window");
    wrong(&[(1, 0, 60, 0)], "outside of the activity's window");
    wrong(&[(1, 0, 5, 0), (2, 0, 4, 0)], "older than the one before");
    wrong(&[(1, 0, 0, 0); 7], "as often as they may");
    let everybody: Vec<Row> = (1..=40).map(|number| (number, 0, 0, 0)).collect();
    wrong(&everybody, "after the terms had ended the activity");
}

#[test]
fn plans_that_were_not_open_are_told() {
    let mut forged = record(&terms(), &[(1, 0, 0, 0)]);
    forged.draws[0].open_plans = "3".into();
    assert!(check(&forged).is_err_and(|flaw| flaw.to_string().contains("a plan that was not open")));
    forged.draws[0].open_plans = "0".into();
    assert!(check(&forged).is_err_and(|flaw| flaw.to_string().contains("a plan that was not open")));
    forged.draws[0].open_plans = "x".into();
    assert!(check(&forged).is_err_and(|flaw| flaw.to_string().contains("cannot be read")));
}

#[test]
fn what_is_no_record_is_told_from_one_that_is_wrong() {
    let whole = || record(&terms(), &[(1, 0, 0, 0)]);
    assert!(matches!(verify("{}"), Err(Flaw::Unreadable(_))));
    assert!(matches!(check(&Export { format: "other".into(), ..whole() }), Err(Flaw::OtherFormat(_))));
    let activity = ActivityId::from_uuid(Uuid::from_u128(7));
    assert_eq!(check(&Export { activity, ..whole() }), Err(Flaw::OtherTerms));
    assert!(matches!(check(&Export { commitment: "00".into(), ..whole() }), Err(Flaw::Unreadable(_))));
    assert_eq!(check(&Export { seed: Some(hex(&[1; 32])), ..whole() }), Err(Flaw::OtherSeed));
    let mut finer = whole();
    finer.draws[0].at += TimeDelta::nanoseconds(1);
    assert!(check(&finer).is_err(), "the hash binds microseconds");
    finer = whole();
    finer.terms.since += TimeDelta::nanoseconds(1);
    assert!(matches!(check(&finer), Err(Flaw::Terms(_))));
}

#[test]
fn terms_that_nobody_could_have_published_are_refused() {
    let refused = |change: &dyn Fn(&mut Terms)| {
        let mut changed = terms();
        change(&mut changed);
        let export = Export { draws: Vec::new(), ..record(&changed, &[]) };
        matches!(check(&export), Err(Flaw::Terms(_)))
    };
    assert!(!refused(&|_| ()));
    assert!(refused(&|terms| terms.plans = vec![terms.plans[0].clone(); 65]));
    assert!(refused(&|terms| terms.plans[0].prizes[0].odds_per_million = 1_000_001));
    assert!(refused(
        &|terms| terms.plans[0].prizes[0].lots = vec![Lot { quantity: 1 << 31, ..terms.plans[0].prizes[0].lots[0] }; 2]
    ));
    assert!(refused(&|terms| terms.plans[0].prizes[0].lots[0].first_serial = u32::MAX));
    assert!(refused(&|terms| terms.plans[1].prizes[0].id = terms.plans[0].prizes[0].id));
    assert!(
        refused(&|terms| (terms.plans[1].for_chosen, terms.plans[1].from) = (false, None)),
        "two plans for everybody"
    );
    let first = |terms: &mut Terms, change: fn(&mut Prize)| change(&mut terms.plans[0].prizes[0]);
    assert!(refused(&|terms| first(terms, |prize| prize.lots.clear())), "a prize without pieces");
    assert!(refused(&|terms| first(terms, |prize| prize.kind = PrizeKind::Nothing)), "nothing with pieces");
    assert!(refused(&|terms| first(terms, |prize| prize.kind = PrizeKind::Points)), "points of a collectible");
    assert!(refused(&|terms| first(terms, |prize| prize.lots[0].collectible = None)), "a collectible of none");
    assert!(!refused(&|terms| first(terms, |prize| {
        (prize.kind, prize.lots[0].collectible) = (PrizeKind::Points, None);
    })));
    assert!(!refused(&|terms| first(terms, |prize| {
        prize.kind = PrizeKind::Nothing;
        prize.lots.clear();
    })));
    assert!(refused(&|terms| terms.closes_at = terms.opens_at));
    assert!(refused(&|terms| terms.closes_at = DateTime::<Utc>::MAX_UTC));
    assert!(refused(&|terms| terms.opens_at += TimeDelta::nanoseconds(1)));
}
