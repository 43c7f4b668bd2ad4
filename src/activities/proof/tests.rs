use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::activities::anchor;
use crate::activities::engine::LotLeft;
use crate::activities::model::{PrizeKind, PrizePlanId};
use crate::activities::terms::{Lot, Plan, Prize, Rulings};
use crate::activities::verify;
use crate::catalog::model::CollectibleId;
use crate::ledger::checkpoint::{Checkpoint, LedgerKeys};
use crate::ledger::embedded::seal;
use crate::ledger::merkle::{self, Peaks};
use crate::ledger::model::{Content, Operation};
use crate::ledger::proof::{BlockInclusion, Inclusion};
use crate::ledger::record::{self, Salts};
use crate::platform::vault::SealingKey;

const SEED: Seed = [9; 32];

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
}

fn enterprise() -> EnterpriseId {
    EnterpriseId::from_uuid(Uuid::from_u128(4))
}

fn keys() -> LedgerKeys {
    LedgerKeys::new(&SealingKey::new([7; 32]), 1).expect("keys")
}

/// A blind box, a plain prize that soon is gone, and a plan for chosen people.
fn terms(exhaustion: Exhaustion, limited: bool) -> Terms {
    let lot = |number| Lot {
        collectible: Some(CollectibleId::from_uuid(Uuid::from_u128(number))),
        first_serial: 5,
        quantity: 4,
    };
    let prize = |number: u128, odds_per_million, lots| Prize {
        kind: PrizeKind::Collectible,
        id: PrizeId::from_uuid(Uuid::from_u128(number)),
        name_chinese: "奖".into(),
        name_english: "Prize".into(),
        level: 0,
        odds_per_million,
        wins_per_holder: limited.then_some(2),
        wins_per_day: None,
        paced: false,
        fallback: false,
        lots,
    };
    let plan = Plan {
        id: PrizePlanId::from_uuid(Uuid::from_u128(1)),
        for_chosen: false,
        from: None,
        until: None,
        priority: 0,
        overlays: false,
        falls_through: false,
        exhaustion,
        prizes: vec![prize(1, 300_000, vec![lot(1), lot(2)]), prize(2, 400_000, vec![lot(3)])],
    };
    let chosen = Plan {
        id: PrizePlanId::from_uuid(Uuid::from_u128(2)),
        for_chosen: true,
        overlays: true,
        exhaustion: Exhaustion::ToNoPrize,
        prizes: vec![prize(3, 100_000, vec![lot(4)])],
        ..plan.clone()
    };
    Terms {
        activity: ActivityId::from_uuid(Uuid::from_u128(1)),
        version: 1,
        opens_at: at(0),
        closes_at: at(600),
        draws_at_once: 3,
        draws_per_day: None,
        wins_per_holder: limited.then_some(3),
        wins_per_day: None,
        rulings: Rulings::None,
        plans: vec![plan, chosen],
    }
}

/// What an activity's proofs are before anything is anchored: each draw is of one of five people, two of whom were chosen.
fn played(terms: &Terms, draws: u64, client_seed: &str) -> Vec<Document> {
    let document = serde_json::to_string(terms).expect("it is written");
    let (rules, commitment) = (Rules::new(terms.clone()), fairness::commitment(&SEED));
    let beginning = fairness::beginning(terms.activity, &commitment, 1, &document, at(-10));
    let mut turn = Turn::fresh(&rules, Head { next_sequence: 1, hash: beginning }, at(-10));
    let prove = |number: u64| {
        let (who, previous) = (Participant([(number % 5) as u8; 16]), turn.head.hash);
        turn.at = at(number as i64);
        turn.accounts.entry(who).or_default().chosen = u64::from(number % 5 < 2) << 1;
        let made = turn
            .replay(who, Drawn { client_seed, index: 0, ruling: Ruling::Free }, |of| Numbers::new(&SEED, of))
            .expect("nothing is refused");
        let piece = made.awarded.and_then(|award| award.piece);
        Document {
            format: FORMAT.into(),
            enterprise: enterprise(),
            activity: terms.activity,
            commitment: hex(&commitment),
            seed: Some(hex(&SEED)),
            terms: TermsInForce { document: document.clone(), since: at(-10) },
            draw: Recorded {
                sequence: made.sequence,
                participant: hex(&who.0),
                at: turn.at,
                index: 0,
                client_seed: client_seed.into(),
                open_plans: format!("{:x}", made.open_plans),
                ruling: None,
                numbers: verify::numbers(&made.steps),
                awarded: made.awarded.map(|award| rules.prize(award.place).id),
                serial: piece.map(|piece| piece.serial),
                hash: hex(&made.record_hash),
            },
            ordinal: made.ordinal,
            steps: made.steps.iter().map(|step| StepTaken::of(&rules, step).expect("it is of these")).collect(),
            lot: piece.map(|piece| piece.lot as u32),
            left: turn.lots.iter().map(|lot: &LotLeft| lot.left).collect(),
            previous: hex(&previous),
            anchor: None,
            notice: None,
        }
    };
    (0..draws).map(prove).collect()
}

/// Anchors all of these as one stretch, in the first of two blocks that the house has signed.
fn anchor_all(documents: &mut [Document]) {
    let read = |text: &str| hash(text).expect("a hash");
    let records: Vec<Hash> = documents.iter().map(|document| read(&document.draw.hash)).collect();
    let first = &documents[0];
    let anchor = Anchor {
        activity: first.activity,
        beginning: fairness::beginning(
            first.activity,
            &read(&first.commitment),
            1,
            &first.terms.document,
            first.terms.since,
        ),
        from: first.draw.sequence.unsigned_abs(),
        to: documents[documents.len() - 1].draw.sequence.unsigned_abs(),
        head: records[records.len() - 1],
        root: anchor::root(&records),
    };
    let operation = Operation { id: Uuid::from_u128(77), content: Content::Anchor { digest: anchor.digest() } };
    let salts = Salts::new(&SealingKey::new([7; 32]), enterprise());
    let text = record::Record::new(&salts, enterprise(), (1, 0), &operation, None).text();
    let leaves = [record::leaf(&text), merkle::leaf(b"another operation")];
    let mut peaks = Peaks::default();
    let block = seal(enterprise(), None, &leaves, at(700), &mut peaks);
    let next = seal(enterprise(), Some(&block), &leaves[1..], at(701), &mut peaks);
    let blocks = [merkle::leaf(&block.hash), merkle::leaf(&next.hash)];
    let checkpoint = Checkpoint { tenant: enterprise(), size: 2, root: peaks.root(), signed_at: at(702) };
    let hexes = |hashes: &[Hash]| hashes.iter().map(|hash| hex(hash)).collect::<Vec<_>>();
    let ledger = OperationProof {
        operation: Inclusion { record: text, path: hexes(&merkle::path(&leaves, 0)) },
        block: BlockInclusion {
            number: 1,
            previous_hash: hex(&block.previous_hash),
            operations_root: hex(&block.operations_root),
            operation_count: block.operation_count,
            sealed_at: block.sealed_at.timestamp_micros(),
            path: hexes(&merkle::path(&blocks, 0)),
        },
        checkpoint: keys().sign(&checkpoint),
        key: keys().verifier().to_string(),
    };
    for (index, document) in documents.iter_mut().enumerate() {
        document.anchor = Some(Anchored {
            from: anchor.from,
            to: anchor.to,
            head: hex(&anchor.head),
            root: hex(&anchor.root),
            path: hexes(&anchor::path(&records, index)),
            operation: operation.id,
            ledger: Some(ledger.clone()),
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Of an honest record every draw proves itself, before settlement and after, anchored or not.
    #[test]
    fn every_draw_proves_itself(client_seed in "[a-z]{0,12}", limited: bool, exhaustion in 0..3_usize) {
        let exhaustion = [Exhaustion::ToNoPrize, Exhaustion::RedrawOnce, Exhaustion::Renormalise][exhaustion];
        let mut documents = played(&terms(exhaustion, limited), 40, &client_seed);
        prop_assert!(documents.iter().any(|document| document.steps.iter().any(|step| step.withheld.is_some())));
        for document in &documents {
            prop_assert_eq!(check(document, None).map(|proven| proven.sealed), Ok(None), "{:?}", document);
        }
        anchor_all(&mut documents);
        for mut document in documents {
            let went_on = |step: &StepTaken| step.plan == 0 && step.withheld.is_some();
            let renormalised = exhaustion == Exhaustion::Renormalise && document.steps.iter().any(went_on);
            let due = match limited {
                false => Remade::Whole,
                true if renormalised => Remade::NotAlone,
                true => Remade::LimitsOnItsWord,
            };
            let proven = check(&document, Some(&keys().verifier())).expect("it is honest");
            prop_assert_eq!((proven.remade, proven.from_seed), (due, due != Remade::NotAlone));
            prop_assert_eq!(proven.sealed.map(|sealed| sealed.record.block), Some(1));
            document.seed = None;
            let proven = check(&document, Some(&keys().verifier())).expect("it is honest");
            prop_assert!(!proven.from_seed && proven.remade == due);
        }
    }
}

/// Every text and every number of a document, changed one at a time, and every list without one of its elements.
fn changed(value: &Value, change: &mut dyn FnMut(Value)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                changed(field, &mut |other| {
                    let mut fields = fields.clone();
                    fields[name] = other;
                    change(Value::Object(fields));
                });
            }
        }
        Value::Array(values) => {
            for (place, element) in values.iter().enumerate() {
                changed(element, &mut |other| {
                    let mut values = values.clone();
                    values[place] = other;
                    change(Value::Array(values));
                });
                let mut fewer = values.clone();
                fewer.remove(place);
                change(Value::Array(fewer));
            }
        }
        Value::String(text) => {
            for (at, letter) in text.char_indices().step_by(3) {
                let other = if letter == '0' { '1' } else { '0' };
                let mut text = text.clone();
                text.replace_range(at..at + letter.len_utf8(), &other.to_string());
                change(json!(text));
            }
        }
        Value::Number(number) => change(json!(number.as_i64().expect("whole numbers") + 1)),
        _ => change(json!("something")),
    }
}

#[test]
fn whatever_is_changed_in_a_proof_is_refused() {
    let mut documents = played(&terms(Exhaustion::RedrawOnce, true), 30, "s");
    anchor_all(&mut documents);
    let key = keys().verifier();
    let won = documents.iter().find(|document| document.lot.is_some() && document.steps.len() > 1).expect("a win");
    let withheld = |document: &&Document| document.steps.iter().any(|step| step.withheld.is_some());
    let withheld = documents.iter().find(withheld).expect("something was withheld");
    for document in [&documents[0], won, withheld] {
        let mut whole: Value = serde_json::from_str(&document.json()).expect("JSON");
        // It only says which key to look for.
        let path = "/anchor/ledger";
        whole.pointer_mut(path).and_then(Value::as_object_mut).expect("an object").remove("key");
        let verdict = |mut value: Value| {
            if let Some(ledger) = value.pointer_mut(path).and_then(Value::as_object_mut) {
                ledger.insert("key".into(), json!(key.to_string()));
            }
            read(&value.to_string()).and_then(|document| check(&document, Some(&key)))
        };
        assert!(verdict(whole.clone()).is_ok());
        let mut count = 0;
        changed(&whole, &mut |other| {
            count += 1;
            assert!(verdict(other.clone()).is_err(), "{other:#}");
        });
        assert!(count > 500, "{count} changes were tried");
    }
}

#[test]
fn what_is_made_up_is_told_apart_by_what_does_not_fit() {
    let mut documents = played(&terms(Exhaustion::ToNoPrize, false), 12, "s");
    anchor_all(&mut documents);
    let key = keys().verifier();
    let flaw = |change: &dyn Fn(&mut Document)| {
        let mut other = documents[4].clone();
        change(&mut other);
        check(&other, Some(&key)).expect_err("it was changed")
    };
    assert_eq!(flaw(&|it| it.seed = Some("00".repeat(32))), Flaw::OtherSeed);
    assert_eq!(flaw(&|it| it.activity = ActivityId::from_uuid(Uuid::from_u128(9))), Flaw::OtherTerms);
    assert_eq!(flaw(&|it| it.ordinal += 1), Flaw::Draw("its hash is another"));
    assert_eq!(flaw(&|it| it.commitment = "00".repeat(32)), Flaw::OtherSeed);
    let rewritten = |change: &dyn Fn(&mut Terms)| {
        let mut other = terms(Exhaustion::ToNoPrize, false);
        change(&mut other);
        let mut played = played(&other, 12, "s");
        // A history of its own, with the anchor of the true one.
        played[4].anchor = documents[4].anchor.clone();
        check(&played[4], Some(&key)).expect_err("it is another")
    };
    assert_eq!(rewritten(&|terms| terms.plans[0].prizes[0].odds_per_million += 1), Flaw::Path);
    // The draws are the same, the terms are not: the anchor binds them too.
    let mut same = documents[4].clone();
    same.seed = None;
    same.terms.document = same.terms.document.replace("Prize", "Price");
    assert_eq!(check(&same, Some(&key)), Err(Flaw::OtherAnchor));
    // Another house's signature is not the house's.
    let stranger = LedgerKeys::new(&SealingKey::new([8; 32]), 1).expect("keys").verifier();
    assert!(matches!(check(&documents[4], Some(&stranger)), Err(Flaw::Ledger(_))));
    assert!(check(&documents[4], None).is_ok(), "without a key it is held against its own");
}
