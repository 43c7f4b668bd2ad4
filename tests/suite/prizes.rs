//! Prizes of every kind: won, reviewed, taken and delivered, and what an outsider sees of them in the record.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use minthouse::activities::model::{ActivityId, PrizeId};
use serde_json::{Value, json};

use crate::draws::{published, two_collectibles, verified};
use crate::support::app::{TestApp, client, text};
use crate::support::offline::{Folder, run};
use crate::support::play::{AIRDROP, DRAW, PUBLISH, Person, SUBMIT, key, phone, prize_of};

const TAKE: &str = "mutation($id: ID!, $key: String!) { claimTake(input: {id: $id, idempotencyKey: $key}) {
    claim { id kind state serialNumber takenAt transfer { id } collectible { id } } code replayed userErrors { code field } } }";
const REVIEW: &str = "mutation($claims: [ID!]!, $verdict: Verdict!, $remark: String, $key: String!) {
    claimsReview(input: {claimIds: $claims, verdict: $verdict, remark: $remark, idempotencyKey: $key}) {
        claims { id state deadline remark version } replayed userErrors { code field } } }";
const FULFIL: &str = "mutation($claims: [ClaimFulfilmentInput!]!, $key: String!) {
    claimsFulfil(input: {claims: $claims, idempotencyKey: $key}) {
        claims { id state deliveryReference } replayed userErrors { code field } } }";
const CODES: &str = "mutation($prize: ID!, $codes: [String!]!, $key: String!) {
    prizeCodesAdd(input: {prizeId: $prize, codes: $codes, idempotencyKey: $key}) {
        prize { codeCount } replayed userErrors { code field } } }";
const REVEAL: &str =
    "mutation($id: ID!) { claimCodeReveal(input: {id: $id}) { claim { id } code userErrors { code field } } }";
const CLAIMS: &str = "query($activity: ID) { claims(first: 100, orderBy: CREATED_AT_ASC, filter: {activityId: $activity}) {
    nodes { id kind state serialNumber deadline remark deliveryReference takenAt prize { kind points reference instructions { english } } } } }";

/// A prize that is no collectible, with whatever its kind needs.
pub fn prize(kind: &str, odds: i32, quantity: i32, more: Value) -> Value {
    let mut prize =
        json!({ "kind": kind, "level": 0, "name": { "chinese": kind, "english": kind }, "oddsPerMillion": odds });
    let fields = prize.as_object_mut().expect("an object");
    match kind {
        "NOTHING" => {}
        "POINTS" => fields.extend([("points".into(), json!(100)), ("quantity".into(), json!(quantity))]),
        "CLAIM_CODE" => fields.extend([("quantity".into(), json!(quantity))]),
        _ => fields.extend([("reference".into(), json!(format!("sku-{kind}"))), ("quantity".into(), json!(quantity))]),
    }
    fields.extend(more.as_object().expect("an object").clone());
    prize
}

/// A draft that the house has approved, and its prizes.
async fn approved(app: &TestApp, kind: &str, input: Value) -> (String, Vec<String>) {
    let owner = app.owner("alpha").await;
    let draft = app.draft(&owner, kind, input).await;
    let id = text(&draft["id"]);
    app.done(&owner, SUBMIT, json!({ "id": id })).await;
    app.approve(&id).await;
    (id, draft["prizes"].as_array().expect("a list").iter().map(|prize| text(&prize["id"])).collect())
}

fn codes(name: &str, range: std::ops::RangeInclusive<usize>) -> Vec<String> {
    range.map(|number| format!("{name}-{number}")).collect()
}

pub async fn draws(app: &TestApp, person: &Person, activity: &str, times: usize) -> Vec<Value> {
    let mut drawn = Vec::new();
    for _ in 0..times {
        drawn.push(app.done(&person.token, DRAW, json!({ "activity": activity, "key": key() })).await["draw"].take());
    }
    drawn
}

async fn claims(app: &TestApp, token: &str, activity: &str) -> Vec<Value> {
    let found = app.ok(Some(token), CLAIMS, json!({ "activity": activity })).await;
    found["claims"]["nodes"].as_array().expect("a list").clone()
}

pub async fn take(app: &TestApp, person: &Person, claim: &Value) -> Value {
    app.done(&person.token, TAKE, json!({ "id": claim["id"], "key": key() })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_won_taken_and_delivered_its_own_way() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (one, _) = two_collectibles(&app).await;
    let told = json!({ "instructions": { "chinese": "到店领取", "english": "Pick it up" } });
    let prizes = json!([
        prize_of(&one, Some(200_000), 2),
        prize("BENEFIT", 200_000, 2, told),
        prize("POINTS", 200_000, 2, json!({})),
        prize("WECHAT_CARD", 200_000, 2, json!({})),
        prize("OWN_GIFT", 100_000, 2, json!({})),
        prize("CLAIM_CODE", 100_000, 2, json!({})),
    ]);
    // Whatever is drawn, something is won for as long as there is anything.
    let input = json!({ "prizes": prizes, "chancesPerHolder": 13, "exhaustion": "RENORMALISE" });
    let (activity, ids) = approved(&app, "DRAW", input).await;
    app.done(&owner, CODES, json!({ "prize": ids[5], "codes": ["first", "second"], "key": key() })).await;
    app.done(&owner, PUBLISH, json!({ "id": activity, "key": key() })).await;
    let (winner, other) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    let drawn = draws(&app, &winner, &activity, 13).await;
    assert_eq!(drawn.iter().filter(|draw| !draw["claim"].is_null()).count(), 12);
    assert!(drawn[12]["awardedPrize"].is_null(), "nothing is left");
    app.sums_hold();

    let won = claims(&app, &winner.token, &activity).await;
    let mut kinds: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for claim in &won {
        assert_eq!(claim["kind"], claim["prize"]["kind"]);
        assert_eq!(claim["prize"]["reference"], Value::Null, "to the enterprise alone");
        assert_eq!((&claim["state"], &claim["takenAt"]), (&json!("PENDING"), &Value::Null));
        kinds.entry(text(&claim["kind"])).or_default().push(claim["serialNumber"].as_i64().expect("a number"));
    }
    for (kind, serials) in kinds.iter_mut() {
        serials.sort_unstable();
        assert!(serials.len() == 2 && serials[1] == serials[0] + 1, "{kind}: {serials:?}");
        assert!(kind == "COLLECTIBLE" || *serials == [1, 2], "{kind}: {serials:?}");
    }
    assert_eq!(kinds.len(), 6);

    let mut waiting = Vec::new();
    for claim in &won {
        let stolen = json!({ "id": claim["id"], "key": key() });
        assert_eq!(app.refused(&other.token, TAKE, stolen).await, ["CLAIM_NOT_FOUND"]);
        let once = json!({ "id": claim["id"], "key": text(&claim["id"]) });
        let taken = app.done(&winner.token, TAKE, once.clone()).await;
        let again = app.done(&winner.token, TAKE, once).await;
        assert_eq!(
            (&again["claim"], &again["code"], &again["replayed"]),
            (&taken["claim"], &taken["code"], &json!(true))
        );
        let after = json!({ "id": claim["id"], "key": key() });
        assert_eq!(app.refused(&winner.token, TAKE, after).await, ["ALREADY_CLAIMED"]);
        let kind = text(&claim["kind"]);
        let state = match kind.as_str() {
            "COLLECTIBLE" => "DELIVERING",
            "POINTS" | "CLAIM_CODE" => "DELIVERED",
            _ => "CLAIMED",
        };
        assert_eq!(taken["claim"]["state"], state, "{kind}");
        assert!(taken["claim"]["takenAt"].is_string());
        let is_moved = kind == "COLLECTIBLE";
        assert_eq!(
            (taken["claim"]["transfer"].is_null(), taken["claim"]["collectible"].is_null()),
            (!is_moved, !is_moved)
        );
        let code = match (kind.as_str(), claim["serialNumber"].as_i64()) {
            ("CLAIM_CODE", Some(1)) => json!("first"),
            ("CLAIM_CODE", _) => json!("second"),
            _ => Value::Null,
        };
        assert_eq!(taken["code"], code, "{kind}");
        if state == "CLAIMED" {
            waiting.push(text(&claim["id"]));
        }
    }
    app.sums_hold();
    let points = "query($id: ID!) { activity(id: $id) { viewerPoints } }";
    let points = app.ok(Some(&winner.token), points, json!({ "id": activity })).await;
    assert_eq!(points["activity"]["viewerPoints"], 200);
    assert_eq!(app.sql("SELECT string_agg(reason || delta, ' ') FROM point_entries"), "WON100 WON100");

    // What the enterprise delivers is delivered once it says so: all of a list or nothing.
    let row = |id: &String| json!({ "claimId": id, "reference": format!("SF-{}", &id[id.len() - 6..]) });
    let rows: Vec<Value> = waiting.iter().map(row).collect();
    assert_eq!(rows.len(), 6);
    let mut mixed = rows.clone();
    mixed.push(json!({ "claimId": won.iter().find(|claim| claim["kind"] == "POINTS").expect("one")["id"] }));
    assert_eq!(app.refused(&owner, FULFIL, json!({ "claims": mixed, "key": key() })).await, ["WRONG_CLAIM_STATE"]);
    assert_eq!(app.count("SELECT count(*) FROM claims WHERE state = 'CLAIMED'"), 6);
    let rival = app.owner("beta").await;
    assert_eq!(app.refused(&rival, FULFIL, json!({ "claims": rows, "key": key() })).await, ["CLAIM_NOT_FOUND"]);
    let done = json!({ "claims": rows, "key": "fulfil" });
    let answers = join_all((0..5).map(|_| app.done(&owner, FULFIL, done.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer["replayed"] == false).count(), 1);
    assert!(answers.iter().all(|answer| answer["claims"] == answers[0]["claims"]));
    assert_eq!(answers[0]["claims"][0]["deliveryReference"], rows[0]["reference"]);
    let other_input = json!({ "claims": [rows[0]], "key": "fulfil" });
    assert_eq!(app.refused(&owner, FULFIL, other_input).await, ["IDEMPOTENCY_KEY_REUSED"]);
    assert_eq!(app.refused(&owner, FULFIL, json!({ "claims": rows, "key": key() })).await, ["WRONG_CLAIM_STATE"]);
    app.settle().await;
    assert!(claims(&app, &winner.token, &activity).await.iter().all(|claim| claim["state"] == "DELIVERED"));
    assert_eq!(app.count("SELECT count(*) FROM allotments WHERE issued = 2 AND total = 2"), 6);
    app.sums_hold();
    assert_eq!(verified(&app, &activity).await.wins, 12);

    // The integrator's server hears what is to be delivered, and by which name it knows it.
    let told = "SELECT string_agg(DISTINCT (data->>'prizeKind') || ' ' || (data->>'reference'), ', ') FROM events
        WHERE type = 'claim.changed' AND data->>'state' = 'CLAIMED'";
    assert_eq!(app.sql(told), "BENEFIT sku-BENEFIT, OWN_GIFT sku-OWN_GIFT, WECHAT_CARD sku-WECHAT_CARD");
    let seen = claims(&app, &owner, &activity).await;
    let benefit = seen.iter().find(|claim| claim["kind"] == "BENEFIT").expect("one");
    assert_eq!(benefit["prize"]["reference"], "sku-BENEFIT");
    assert_eq!(benefit["prize"]["instructions"]["english"], "Pick it up");
    assert!(benefit["deliveryReference"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_claim_code_is_given_twice_whoever_comes_at_once() {
    let here = TestApp::builder().idle().start().await;
    let there = TestApp::builder().idle().start_beside(&here).await;
    let owner = here.owner("alpha").await;
    let input = || json!({ "prizes": [prize("CLAIM_CODE", 1_000_000, 30, json!({}))], "chancesPerHolder": 2 });
    let (activity, ids) = approved(&here, "DRAW", input()).await;
    let add = |codes: Vec<String>| json!({ "prize": ids[0], "codes": codes, "key": key() });
    let publish = || json!({ "id": activity, "key": key() });

    assert_eq!(here.refused(&owner, PUBLISH, publish()).await, ["NOT_ENOUGH_CODES"]);
    let once = json!({ "prize": ids[0], "codes": codes("a", 1..=20), "key": "codes" });
    let answers = join_all((0..4).map(|_| here.done(&owner, CODES, once.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer["replayed"] == false).count(), 1);
    assert_eq!(answers[0]["prize"]["codeCount"], 20);
    assert_eq!(here.refused(&owner, PUBLISH, publish()).await, ["NOT_ENOUGH_CODES"]);
    assert_eq!(here.refused(&owner, CODES, add(codes("b", 1..=11))).await, ["INVALID_INPUT"], "more than pieces");
    assert_eq!(here.refused(&owner, CODES, add(vec!["b-1".into(), "a-7".into()])).await, ["DUPLICATE_CODE"]);
    assert_eq!(here.refused(&owner, CODES, add(vec!["b-1".into(), "b-1".into()])).await, ["DUPLICATE_CODE"]);
    let rival = here.owner("beta").await;
    assert_eq!(here.refused(&rival, CODES, add(codes("b", 1..=1))).await, ["PRIZE_NOT_FOUND"]);
    // Two lists at once: they stand one behind the other.
    join_all([codes("b", 1..=5), codes("c", 1..=5)].map(|list| here.done(&owner, CODES, add(list)))).await;
    here.done(&owner, PUBLISH, publish()).await;
    assert_eq!(here.refused(&owner, CODES, add(codes("d", 1..=1))).await, ["WRONG_STATE"]);
    assert_eq!(
        here.count("SELECT count(DISTINCT position) FROM prize_claim_codes WHERE position BETWEEN 1 AND 30"),
        30
    );
    let clear = "SELECT count(*) FROM prize_claim_codes WHERE encode(sealed_code, 'escape') LIKE '%a-%'
        OR code_hash = sha256('a-1'::bytea)";
    assert_eq!(here.count(clear), 0, "codes are sealed, and their hashes keyed");

    // A crowd on two servers, and each winner takes theirs at once.
    let people = here.people("alpha", 25).await;
    let servers = [&here, &there];
    let turns = people.iter().flat_map(|person| (0..2).map(move |turn| (servers[turn], person)));
    let given = join_all(turns.map(|(server, person)| {
        let activity = &activity;
        async move {
            let drawn = draws(server, person, activity, 1).await.remove(0);
            if drawn["claim"].is_null() {
                return None;
            }
            let taken = take(server, person, &drawn["claim"]).await;
            Some((person.clone(), text(&drawn["claim"]["id"]), text(&taken["code"])))
        }
    }))
    .await;
    let given: Vec<_> = given.into_iter().flatten().collect();
    let different: BTreeSet<&String> = given.iter().map(|(.., code)| code).collect();
    assert_eq!((given.len(), different.len()), (30, 30));
    here.sums_hold();
    assert_eq!(verified(&here, &activity).await.draws, 50);

    // Its winner sees it again, also once the data key was exchanged; nobody else does.
    here.exchange_data_key("alpha").await;
    let (winner, claim, code) = &given[0];
    assert_eq!(here.done(&winner.token, REVEAL, json!({ "id": claim })).await["code"], json!(code));
    let stranger = people.iter().find(|person| person.id != winner.id).expect("somebody else");
    assert_eq!(here.refused(&stranger.token, REVEAL, json!({ "id": claim })).await, ["CLAIM_NOT_FOUND"]);

    // A code that is public stands under no second prize.
    let (later, prizes) = approved(&here, "DRAW", input()).await;
    let list = codes("e", 1..=29).into_iter().chain(["a-1".into()]).collect::<Vec<_>>();
    let refused = json!({ "prize": prizes[0], "codes": list, "key": key() });
    assert_eq!(here.refused(&owner, CODES, refused).await, ["DUPLICATE_CODE"], "when it is handed in");
    assert_eq!(here.refused(&owner, PUBLISH, json!({ "id": later, "key": key() })).await, ["NOT_ENOUGH_CODES"]);

    // Nor where two go public at once, with the same codes in another order.
    let mut pair = Vec::new();
    for (name, list) in [("up", codes("f", 1..=30)), ("down", codes("f", 1..=30).into_iter().rev().collect())] {
        let (activity, prizes) = approved(&here, "DRAW", input()).await;
        here.done(&owner, CODES, json!({ "prize": prizes[0], "codes": list, "key": name })).await;
        pair.push(activity);
    }
    let both = [(&here, &pair[0]), (&there, &pair[1])]
        .map(|(server, id)| server.refused(&owner, PUBLISH, json!({ "id": id, "key": key() })));
    let mut both = join_all(both).await;
    both.sort();
    assert_eq!(both, [vec![], vec!["DUPLICATE_CODE".to_owned()]]);
    let id = prizes[0].parse::<PrizeId>().expect("an ID").uuid();
    assert_eq!(
        here.count(&format!("SELECT count(*) FROM prize_lots WHERE prize_id = '{id}' AND allotment_id IS NOT NULL")),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewed_win_waits_for_the_enterprises_word() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let prizes = json!([prize("OWN_GIFT", 1_000_000, 4, json!({ "reviewed": true }))]);
    let activity = published(&app, json!({ "prizes": prizes, "chancesPerHolder": 6, "claimDays": 7 })).await;
    let winner = app.person("alpha", 1).await;
    draws(&app, &winner, &activity, 4).await;
    let won = claims(&app, &winner.token, &activity).await;
    assert!(won.iter().all(|claim| claim["state"] == "IN_REVIEW" && claim["deadline"].is_null()), "{won:?}");
    let ids: Vec<&Value> = won.iter().map(|claim| &claim["id"]).collect();
    let taken = |place: usize| json!({ "id": ids[place], "key": key() });
    assert_eq!(app.refused(&winner.token, TAKE, taken(0)).await, ["CLAIM_IN_REVIEW"]);

    let rival = app.owner("beta").await;
    let judge = |claims: &[&Value], verdict: &str, remark: Option<&str>, key: String| json!({ "claims": claims, "verdict": verdict, "remark": remark, "key": key });
    let approve = judge(&ids[..2], "APPROVE", None, "approve".into());
    assert_eq!(app.refused(&rival, REVIEW, approve.clone()).await, ["CLAIM_NOT_FOUND"]);
    let silent = judge(&ids[2..3], "REJECT", None, key());
    assert_eq!(app.refused(&owner, REVIEW, silent).await, ["INVALID_INPUT"], "who refuses says why");
    let answers = join_all((0..5).map(|_| app.done(&owner, REVIEW, approve.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer["replayed"] == false).count(), 1);
    for claim in answers[0]["claims"].as_array().expect("a list") {
        assert_eq!((&claim["state"], &claim["version"]), (&json!("PENDING"), &json!(2)));
    }
    let days = "SELECT count(*) FROM claims WHERE state = 'PENDING' AND deadline = updated_at + interval '7 days'";
    assert_eq!(app.count(days), 2, "their days count from the approval");
    let another = judge(&ids[..1], "APPROVE", None, "approve".into());
    assert_eq!(app.refused(&owner, REVIEW, another).await, ["IDEMPOTENCY_KEY_REUSED"]);

    // Of a list with one that is no longer reviewed, nothing is decided.
    let mixed = judge(&[ids[2], ids[0]], "REJECT", Some("刷奖"), key());
    assert_eq!(app.refused(&owner, REVIEW, mixed).await, ["WRONG_CLAIM_STATE"]);
    assert_eq!(app.count("SELECT count(*) FROM claims WHERE state = 'IN_REVIEW'"), 2);
    let rejected = app.done(&owner, REVIEW, judge(&ids[2..3], "REJECT", Some("刷奖"), key())).await;
    assert_eq!(rejected["claims"][0]["state"], "REVOKED");
    assert_eq!(app.refused(&winner.token, TAKE, taken(2)).await, ["CLAIM_REVOKED"]);
    assert_eq!(claims(&app, &winner.token, &activity).await[2]["remark"], "刷奖", "its winner is told");
    let again = judge(&ids[2..3], "APPROVE", None, key());
    assert_eq!(app.refused(&owner, REVIEW, again).await, ["WRONG_CLAIM_STATE"], "for good");
    take(&app, &winner, &won[0]).await;
    assert_eq!(app.refused(&winner.token, TAKE, taken(3)).await, ["CLAIM_IN_REVIEW"]);

    // The piece goes to nobody again, and the record stands as it was drawn.
    let activity_id: ActivityId = activity.parse().expect("an ID");
    let stock =
        "SELECT available || ' ' || reserved || ' ' || issued || ' ' || void FROM allotments WHERE activity_id =";
    assert_eq!(app.sql(&format!("{stock} '{}'", activity_id.uuid())), "0 3 0 1");
    assert_eq!(app.count("SELECT count(*) FROM stock_entries WHERE reason = 'REVOKED' AND void_delta = 1"), 1);
    assert!(draws(&app, &winner, &activity, 1).await[0]["awardedPrize"].is_null());
    app.sums_hold();
    assert_eq!(verified(&app, &activity).await.wins, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_has_a_name_and_is_never_won() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let input = json!({
        "chancesPerHolder": 60, "exhaustion": "RENORMALISE", "drawsAtOnce": 10,
        "prizes": [prize("NOTHING", 300_000, 0, json!({})), prize("POINTS", 300_000, 5, json!({})),
            prize("OWN_GIFT", 400_000, 5, json!({}))],
        "personalPlans": [{
            "startsAt": "2026-01-01T00:00:00Z", "overlays": true, "exhaustion": "REDRAW_ONCE",
            "prizes": [prize("NOTHING", 300_000, 0, json!({})), prize("BENEFIT", 300_000, 5, json!({}))],
        }],
    });
    let activity = published(&app, input).await;
    let person = app.person("alpha", 1).await;
    for _ in 0..6 {
        let wish = "mutation($activity: ID!, $key: String!) { activityDraw(input: {activityId: $activity, idempotencyKey: $key, times: 10}) {
            draws { id } userErrors { code } } }";
        app.done(&person.token, wish, json!({ "activity": activity, "key": key() })).await;
    }
    let query = "query($activity: ID) { draws(first: 100, filter: {activityId: $activity}) {
        nodes { id pickedPrize { kind quantity stock { total } } awardedPrize { kind } serialNumber claim { id } } } }";
    let found = app.ok(Some(&person.token), query, json!({ "activity": activity })).await;
    let drawn = found["draws"]["nodes"].as_array().expect("a list").clone();
    let on_nothing: Vec<&Value> = drawn.iter().filter(|draw| draw["pickedPrize"]["kind"] == "NOTHING").collect();
    assert!(on_nothing.len() > 3, "a third of sixty");
    for draw in &on_nothing {
        assert!(draw["awardedPrize"].is_null() && draw["claim"].is_null() && draw["serialNumber"].is_null(), "{draw}");
        assert_eq!((&draw["pickedPrize"]["quantity"], &draw["pickedPrize"]["stock"]), (&json!(0), &Value::Null));
    }
    assert!(drawn.iter().all(|draw| draw["awardedPrize"]["kind"] != "NOTHING"));
    let won = drawn.iter().filter(|draw| !draw["awardedPrize"].is_null()).count();
    assert_eq!(app.count("SELECT count(*) FROM claims"), won as i64);
    let explain = "query($id: ID!) { drawExplain(id: $id) { sentences { english } steps { withheld } } }";
    let explained = app.ok(Some(&person.token), explain, json!({ "id": on_nothing[0]["id"] })).await;
    let said = explained["drawExplain"]["sentences"].as_array().expect("a list").clone();
    assert_eq!(said.last().expect("one")["english"], "It won nothing.");
    assert_eq!(explained["drawExplain"]["steps"].as_array().map(Vec::len), Some(1), "no other plan has its turn");
    app.sums_hold();
    assert_eq!(verified(&app, &activity).await.wins, won);

    // And strangers come to the same.
    let end = "mutation($id: ID!) { activityEnd(input: {id: $id}) { userErrors { code } } }";
    let settle =
        "mutation($id: ID!) { activitySettle(input: {id: $id}) { activity { drawRecordPath } userErrors { code } } }";
    app.done(&owner, end, json!({ "id": activity })).await;
    let path = text(&app.done(&owner, settle, json!({ "id": activity })).await["activity"]["drawRecordPath"]);
    let record = client().get(app.url().replace("/graphql", &path)).send().await.expect("it answers");
    let record = record.text().await.expect("a text");
    let terms: Value = serde_json::from_str(&record).expect("a record");
    let terms: Value = serde_json::from_str(terms["terms"]["document"].as_str().expect("a text")).expect("terms");
    assert_eq!(
        (&terms["plans"][0]["prizes"][0]["kind"], &terms["plans"][0]["prizes"][0]["lots"]),
        (&json!("NOTHING"), &json!([]))
    );
    assert_eq!(terms["plans"][0]["prizes"][1]["lots"], json!([{ "firstSerial": 1, "quantity": 5 }]));
    let folder = Folder::new("prizes");
    let file = folder.file("record.json", &record);
    let file = file.to_str().expect("text");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/verify-draws.mjs");
    let (whole, said) = run("node", &[script, file]);
    assert!(whole && said.starts_with("ok 60 "), "{said}");
    let (whole, said) = run(env!("CARGO_BIN_EXE_minthouse"), &["verify-draws", file]);
    assert!(whole && said.contains("computed from the seed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_collectible_is_dropped_as_well() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let dropped = |kind: &str| {
        let mut prize = prize(kind, 0, 2, json!({}));
        prize.as_object_mut().expect("an object").remove("oddsPerMillion");
        prize
    };
    let prizes = json!([dropped("POINTS"), dropped("CLAIM_CODE"), dropped("WECHAT_CARD")]);
    let (activity, ids) = approved(&app, "AIRDROP", json!({ "prizes": prizes })).await;
    app.done(&owner, CODES, json!({ "prize": ids[1], "codes": ["one", "two"], "key": key() })).await;
    app.done(&owner, PUBLISH, json!({ "id": activity, "key": key() })).await;
    let people = [app.person("alpha", 1).await, app.person("alpha", 2).await];
    for prize in &ids {
        let list = json!({ "activityId": activity, "prizeId": prize, "phones": [phone(1), phone(2)], "idempotencyKey": key() });
        app.done(&owner, AIRDROP, json!({ "input": list })).await;
        let more = json!({ "activityId": activity, "prizeId": prize, "phones": [phone(1)], "idempotencyKey": key() });
        assert_eq!(app.refused(&owner, AIRDROP, json!({ "input": more })).await, ["NOT_ENOUGH_STOCK"]);
    }
    let mut shown = BTreeSet::new();
    for person in &people {
        let owed = claims(&app, &person.token, &activity).await;
        assert_eq!(owed.iter().map(|claim| text(&claim["kind"])).collect::<BTreeSet<_>>().len(), 3);
        for claim in &owed {
            let taken = take(&app, person, claim).await;
            shown.extend(taken["code"].as_str().map(str::to_owned));
        }
    }
    assert_eq!(shown, BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    let states = "SELECT string_agg(state || ' ' || count, ', ' ORDER BY state) FROM (SELECT state, count(*) FROM claims GROUP BY 1) AS them";
    assert_eq!(app.sql(states), "CLAIMED 2, DELIVERED 4");
    assert_eq!(app.count("SELECT sum(balance) FROM point_accounts"), 200);
    app.sums_hold();
}
