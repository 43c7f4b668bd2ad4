//! Why a draw came to what it came to, in sentences: for whoever answers people's questions. Pure.

use crate::activities::engine::{Cause, Step, Withheld};
use crate::activities::model::Draw;
use crate::activities::ruling::Ruling;
use crate::activities::terms::{Exhaustion, MILLION, Plan, Prize, Terms};

/// A sentence in both languages, Chinese first.
pub type Sentence = (String, String);

/// From the plan that was drawn from to what was given.
pub fn sentences(terms: &Terms, draw: &Draw, steps: &[Step]) -> Vec<Sentence> {
    let mut said = vec![which(draw)];
    let ruling = Ruling::of_bytes(draw.ruling.as_deref()).unwrap_or_default();
    said.extend(ruled(ruling));
    for (place, step) in steps.iter().enumerate() {
        let Some(plan) = terms.plans.get(step.plan) else { continue };
        if place == 0 || steps[place - 1].plan != step.plan {
            said.push(opened(step.plan, plan));
        }
        let prize = step.picked.and_then(|prize| plan.prizes.get(prize));
        said.push(drawn(step, prize));
        if let (Some(withheld), Some(prize)) = (step.withheld, prize) {
            said.push(held_back(withheld, prize));
            // What the plan then does is said once, by the step that follows or not at all.
            if place + 1 == steps.len() && step.cause == Cause::Roll {
                said.push(left_at_that(plan.exhaustion));
            }
        }
    }
    said.push(outcome(terms, draw, steps, ruling));
    said
}

fn ruled(ruling: Ruling) -> Option<Sentence> {
    let (chinese, english) = match ruling {
        Ruling::Free => return None,
        Ruling::Levels(_) => {
            ("企业的接口限定了可中的奖品等级。", "The enterprise's own system let it win prizes of some levels alone.")
        }
        Ruling::NoPrize => ("企业的接口决定本次不中奖。", "The enterprise's own system ruled that it wins nothing."),
        Ruling::Won(_) => {
            ("企业的接口决定了本次的奖品等级。", "The enterprise's own system ruled which level it wins.")
        }
    };
    Some((chinese.into(), english.into()))
}

fn which(draw: &Draw) -> Sentence {
    (
        format!("这是该用户在本活动的第 {} 次抽奖，全场第 {} 次。", draw.ordinal, draw.sequence),
        format!("It was the holder's draw {} in this activity, and draw {} of all.", draw.ordinal, draw.sequence),
    )
}

fn opened(place: usize, plan: &Plan) -> Sentence {
    let timed = plan.from.is_some() || plan.until.is_some();
    let (chinese, english) = match (plan.for_chosen, timed) {
        (false, false) => ("默认方案", "the plan for everybody"),
        (false, true) => ("限时方案", "a plan for this time"),
        (true, false) => ("指定用户方案", "a plan for chosen people"),
        (true, true) => ("指定用户的限时方案", "a plan for chosen people at this time"),
    };
    (format!("使用第 {} 个方案：{chinese}。", place + 1), format!("It was drawn from plan {}, {english}.", place + 1))
}

fn drawn(step: &Step, prize: Option<&Prize>) -> Sentence {
    let number = step.number;
    let name = prize.map(|prize| (prize.name_chinese.as_str(), prize.name_english.as_str()));
    match (step.cause, name) {
        (Cause::Roll, Some((chinese, english))) => {
            (format!("摇出 {number}，落在“{chinese}”。"), format!("The number {number} fell on \"{english}\"."))
        }
        (Cause::Redraw, Some((chinese, english))) => (
            format!("按方案重抽一次，摇出 {number}，落在“{chinese}”。"),
            format!("The plan draws once more: the number {number} fell on \"{english}\"."),
        ),
        (Cause::Renormalised, Some((chinese, english))) => (
            format!("按方案在仍可发放的奖品中重新分配概率，摇出 {number}，落在“{chinese}”。"),
            format!("The plan draws among what could be given: the number {number} fell on \"{english}\"."),
        ),
        (Cause::Fallback, Some((chinese, english))) => (
            format!("按方案改发兜底奖“{chinese}”。"),
            format!("The plan gives its fallback prize instead: \"{english}\"."),
        ),
        (Cause::Piece, Some((chinese, english))) => (
            format!("在“{chinese}”剩余的各份中摇出第 {number} 份（从 0 起）。"),
            format!("Of the pieces left of \"{english}\", number {number} (from 0) was drawn."),
        ),
        (Cause::Endpoint, Some((chinese, english))) => (
            format!("企业的接口决定：中“{chinese}”。"),
            format!("The enterprise's own system ruled that it wins \"{english}\"."),
        ),
        (Cause::Redraw, None) => (
            format!("按方案重抽一次，摇出 {number}，未落在任何奖品上。"),
            format!("The plan draws once more: the number {number} fell on no prize."),
        ),
        (_, None) => (
            format!("摇出 {number}，未落在任何奖品上（共 {MILLION} 个号码）。"),
            format!("The number {number}, of {MILLION} there are, fell on no prize."),
        ),
    }
}

fn held_back(withheld: Withheld, prize: &Prize) -> Sentence {
    let limit = |limit: Option<u32>| limit.map_or_else(String::new, |limit| limit.to_string());
    match withheld {
        Withheld::Gone => ("该奖品已发完。".into(), "None of it was left.".into()),
        Withheld::PrizeToday => (
            format!("该奖品今日已发完（每日 {} 份）。", limit(prize.wins_per_day)),
            format!("It had been won as often that day as it may be ({}).", limit(prize.wins_per_day)),
        ),
        Withheld::PrizeOfHolder => (
            format!("该用户已达到该奖品的中奖上限（{} 次）。", limit(prize.wins_per_holder)),
            format!("The holder had won it as often as anybody may ({}).", limit(prize.wins_per_holder)),
        ),
        Withheld::WinsOfHolder => (
            "该用户在本活动的中奖次数已达上限。".into(),
            "The holder had won in this activity as often as anybody may.".into(),
        ),
        Withheld::WinsToday => {
            ("该用户今日的中奖次数已达上限。".into(), "The holder had won as often on that day as anybody may.".into())
        }
        Withheld::OutOfScope => (
            "企业的接口未允许该等级的奖品。".into(),
            "The enterprise's own system did not allow prizes of its level.".into(),
        ),
        Withheld::Paced => (
            "该奖品按小时匀速发放，当时的份额已发完。".into(),
            "It is given out hour by hour, and the share so far was gone.".into(),
        ),
    }
}

fn left_at_that(exhaustion: Exhaustion) -> Sentence {
    match exhaustion {
        Exhaustion::Renormalise => {
            ("方案中已没有可发放的奖品。".into(), "Nothing else of the plan could be given.".into())
        }
        _ => ("方案规定此时不发奖。".into(), "The plan gives nothing then.".into()),
    }
}

fn outcome(terms: &Terms, draw: &Draw, steps: &[Step], ruling: Ruling) -> Sentence {
    let prizes = || terms.plans.iter().flat_map(|plan| &plan.prizes);
    let given = draw.awarded_prize_id.and_then(|id| prizes().find(|prize| prize.id == id));
    match (given, draw.serial) {
        (Some(prize), Some(serial)) => (
            format!("结果：获得“{}”，编号 #{serial:05}。", prize.name_chinese),
            format!("It won \"{}\", number #{serial:05}.", prize.name_english),
        ),
        (Some(prize), None) => {
            (format!("结果：获得“{}”。", prize.name_chinese), format!("It won \"{}\".", prize.name_english))
        }
        (None, _) if steps.is_empty() && matches!(ruling, Ruling::Free | Ruling::Levels(_)) => {
            ("结果：当时没有可用的方案，未中奖。".into(), "No plan was open then, so it won nothing.".into())
        }
        (None, _) => ("结果：未中奖。".into(), "It won nothing.".into()),
    }
}
