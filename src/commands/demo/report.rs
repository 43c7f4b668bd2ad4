//! The table at the end, and whether everything agrees.

use std::time::Duration;

/// One prize of the demonstration's draw, as expected and as it came.
#[derive(Clone, Debug)]
pub struct PrizeLine {
    pub name: String,
    pub odds_per_million: i64,
    pub quantity: i64,
    pub wins: i64,
    pub available: i64,
    pub reserved: i64,
    pub issued: i64,
}

/// What the story saw, from the outside.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub draws: i64,
    pub drawing: Duration,
    pub latencies: Vec<Duration>,
    pub prizes: Vec<PrizeLine>,
    pub draws_listed: i64,
    /// Made again from the public record.
    pub draws_verified: i64,
    pub claims_delivered: i64,
    pub claims_taken: i64,
    pub airdropped: i64,
    pub orders_completed: i64,
    pub pieces_bought: i64,
    pub items_held: i64,
    pub transfers_succeeded: i64,
    pub transfer_statuses: Vec<String>,
    pub draw_events: i64,
    pub events: i64,
    pub event_gap: Option<(i64, i64)>,
    pub replays_agreed: bool,
    pub rival_saw: i64,
}

struct Check {
    what: &'static str,
    expected: String,
    found: String,
}

pub fn print(outcome: &Outcome) -> bool {
    let mut latencies = outcome.latencies.clone();
    latencies.sort();
    let at = |share: f64| latencies.get(((latencies.len() as f64 - 1.0) * share) as usize).copied().unwrap_or_default();
    let rate = outcome.draws as f64 / outcome.drawing.as_secs_f64().max(1e-9);
    println!();
    println!(
        "draws            {:>8}   {rate:.0} a second, p50 {:.1} ms, p99 {:.1} ms",
        outcome.draws,
        ms(at(0.50)),
        ms(at(0.99))
    );
    println!();
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "prize", "odds", "expected", "won", "left", "reserved", "issued"
    );
    for prize in &outcome.prizes {
        println!(
            "{:<28} {:>8.2}% {:>9.1} {:>9} {:>9} {:>9} {:>9}",
            prize.name,
            prize.odds_per_million as f64 / 10_000.0,
            expected(prize, outcome.draws),
            prize.wins,
            prize.available,
            prize.reserved,
            prize.issued,
        );
    }
    println!();
    println!("claims delivered {:>8}   of {} taken", outcome.claims_delivered, outcome.claims_taken);
    println!("airdropped       {:>8}", outcome.airdropped);
    println!("orders completed {:>8}   {} pieces", outcome.orders_completed, outcome.pieces_bought);
    println!(
        "transfers done   {:>8}   the one watched: {}",
        outcome.transfers_succeeded,
        outcome.transfer_statuses.join(" → ")
    );
    println!("events received  {:>8}   {} of them draws", outcome.events, outcome.draw_events);
    println!();

    let checks = checks(outcome);
    let mut agrees = true;
    for check in &checks {
        let fine = check.expected == check.found;
        agrees &= fine;
        println!(
            "{} {:<58} {}",
            if fine { "ok   " } else { "WRONG" },
            check.what,
            if fine { check.found.clone() } else { format!("expected {}, found {}", check.expected, check.found) }
        );
    }
    println!("\n{}", if agrees { "All sums agree." } else { "Something disagrees: see the lines marked WRONG." });
    agrees
}

fn checks(outcome: &Outcome) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut equal = |what, expected: i64, found: i64| {
        checks.push(Check { what, expected: expected.to_string(), found: found.to_string() });
    };
    let wins: i64 = outcome.prizes.iter().map(|prize| prize.wins).sum();
    equal("every draw is on record", outcome.draws, outcome.draws_listed);
    equal("every draw came to the same when it was made again", outcome.draws, outcome.draws_verified);
    equal("every draw's event was received once", outcome.draws, outcome.draw_events);
    equal("wins taken = wins delivered", outcome.claims_taken, outcome.claims_delivered);
    equal("claims taken = wins + airdrops", wins + outcome.airdropped, outcome.claims_taken);
    let unbalanced =
        outcome.prizes.iter().filter(|prize| prize.available + prize.reserved + prize.issued != prize.quantity);
    equal("prizes whose left + reserved + issued is not their quantity", 0, unbalanced.count() as i64);
    let miscounted = outcome.prizes.iter().filter(|prize| prize.reserved + prize.issued != prize.wins);
    equal("prizes whose stock given out is not their wins", 0, miscounted.count() as i64);
    equal("items held = delivered + bought", outcome.claims_delivered + outcome.pieces_bought, outcome.items_held);
    equal("what the competitor saw of all this", 0, outcome.rival_saw);
    let far = outcome.prizes.iter().filter(|prize| !plausible(prize, outcome.draws)).count();
    equal("prizes five standard deviations off their odds", 0, far as i64);
    let path = ["REQUESTED", "LOCKED", "SUBMITTED", "CONFIRMED", "SUCCEEDED"];
    let seen = path.iter().position(|state| Some(*state) == outcome.transfer_statuses.first().map(String::as_str));
    let whole = seen.is_some_and(|from| outcome.transfer_statuses == path[from..]);
    equal("the watched transfer's states came in order to the end", 1, i64::from(whole));
    equal("the event feed had no gap", 0, i64::from(outcome.event_gap.is_some()));
    equal("a repeated draw gave the first result again", 1, i64::from(outcome.replays_agreed));
    checks
}

fn expected(prize: &PrizeLine, draws: i64) -> f64 {
    (draws as f64 * prize.odds_per_million as f64 / 1e6).min(prize.quantity as f64)
}

/// Five standard deviations of the binomial distribution: one honest run in a million falls outside for some prize.
fn plausible(prize: &PrizeLine, draws: i64) -> bool {
    let odds = prize.odds_per_million as f64 / 1e6;
    let deviation = (draws as f64 * odds * (1.0 - odds)).sqrt();
    let off = prize.wins as f64 - draws as f64 * odds;
    // A prize that ran out can only lie below.
    off.abs() <= 5.0 * deviation + 1.0 || (prize.available == 0 && off < 0.0)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreeing() -> Outcome {
        let prize = PrizeLine {
            name: "p".into(),
            odds_per_million: 500_000,
            quantity: 60,
            wins: 50,
            available: 10,
            reserved: 0,
            issued: 50,
        };
        Outcome {
            draws: 100,
            draws_listed: 100,
            draws_verified: 100,
            draw_events: 100,
            prizes: vec![prize],
            claims_taken: 52,
            claims_delivered: 52,
            airdropped: 2,
            items_held: 53,
            pieces_bought: 1,
            transfer_statuses: ["LOCKED", "SUBMITTED", "CONFIRMED", "SUCCEEDED"].map(Into::into).to_vec(),
            replays_agreed: true,
            ..Outcome::default()
        }
    }

    fn wrong(change: impl FnOnce(&mut Outcome)) -> usize {
        let mut outcome = agreeing();
        change(&mut outcome);
        checks(&outcome).iter().filter(|check| check.expected != check.found).count()
    }

    #[test]
    fn what_agrees_passes_and_each_disagreement_is_seen() {
        assert_eq!(wrong(|_| ()), 0);
        assert_eq!(wrong(|outcome| outcome.draws_listed = 99), 1);
        assert_eq!(wrong(|outcome| outcome.draws_verified = 99), 1);
        assert_eq!(wrong(|outcome| outcome.draw_events = 101), 1);
        assert_eq!(wrong(|outcome| outcome.claims_delivered = 51), 2);
        assert_eq!(wrong(|outcome| outcome.prizes[0].available = 11), 1);
        assert_eq!(wrong(|outcome| outcome.prizes[0].issued = 49), 2);
        assert_eq!(wrong(|outcome| outcome.items_held = 54), 1);
        assert_eq!(wrong(|outcome| outcome.rival_saw = 1), 1);
        assert_eq!(wrong(|outcome| outcome.event_gap = Some((3, 5))), 1);
        assert_eq!(wrong(|outcome| outcome.replays_agreed = false), 1);
        assert_eq!(
            wrong(|outcome| {
                outcome.transfer_statuses.remove(1);
            }),
            1
        );
        assert_eq!(wrong(|outcome| outcome.prizes[0].odds_per_million = 100_000), 1);
    }
}
