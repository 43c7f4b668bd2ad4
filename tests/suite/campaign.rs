//! From a draft to what somebody holds: issuance, review, claims, gifts and airdrops.

use futures_util::future::join_all;
use minthouse::tenancy::permission::Role;
use serde_json::{Value, json};

use crate::support::app::{TestApp, text};
use crate::support::play::{
    AIRDROP, CREATE, DECIDE, GIVE, ISSUE, PUBLISH, SUBMIT, TAKE, activity_of, key, phone, prize_of,
};

const SERIES: &str = "mutation($input: SeriesCreateInput!) {
    seriesCreate(input: $input) { series { id } userErrors { code field } } }";
const COLLECTIBLE: &str = "mutation($input: CollectibleCreateInput!) {
    collectibleCreate(input: $input) { collectible { id state } userErrors { code field } } }";
const HAND_IN: &str = "mutation($id: ID!) {
    collectibleSubmit(input: {id: $id}) { collectible { state } userErrors { code field } } }";
const WITHDRAW: &str = "mutation($id: ID!) {
    transferCancel(input: {id: $id}) { transfer { state version } userErrors { code field } } }";

fn words(chinese: &str, english: &str) -> Value {
    json!({ "chinese": chinese, "english": english })
}

async fn states(app: &TestApp, token: &str, list: &str) -> Vec<String> {
    let query = format!("{{ {list}(first: 100) {{ nodes {{ state }} }} }}");
    let found = app.ok(Some(token), &query, json!({})).await;
    found[list]["nodes"].as_array().expect("a list").iter().map(|node| text(&node["state"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_delivered_and_its_item_held() {
    let app = TestApp::builder().idle().start().await;
    let (activity, _) = app.activity(&app.owner("alpha").await, "DRAW").await;
    let (winner, other) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    let drawn = app.draw(&winner, &activity).await;
    assert_eq!(drawn["claim"]["state"], "PENDING");
    let claim = json!({ "id": drawn["claim"]["id"], "key": key() });
    assert_eq!(app.refused(&other.token, TAKE, claim.clone()).await, ["CLAIM_NOT_FOUND"]);

    let taken = app.done(&winner.token, TAKE, claim.clone()).await;
    assert_eq!(taken["claim"]["state"], "DELIVERING");
    let again = json!({ "id": drawn["claim"]["id"], "key": key() });
    assert_eq!(app.refused(&winner.token, TAKE, again).await, ["ALREADY_CLAIMED"]);
    app.settle().await;

    let query = "{ claims { nodes { id state serialNumber transfer { state cause item { id } } } }
        items { totalCount nodes { id serialNumber holder { id } } } }";
    let seen = app.ok(Some(&winner.token), query, json!({})).await;
    let (claim, item) = (&seen["claims"]["nodes"][0], &seen["items"]["nodes"][0]);
    assert_eq!((&claim["state"], &claim["transfer"]["state"]), (&json!("DELIVERED"), &json!("SUCCEEDED")));
    assert_eq!(claim["transfer"]["cause"], "CLAIM");
    assert_eq!(claim["transfer"]["item"]["id"], item["id"]);
    assert_eq!((&item["serialNumber"], &item["holder"]["id"]), (&drawn["serialNumber"], &json!(winner.id)));
    assert_eq!(seen["items"]["totalCount"], 1);
    app.sums_hold();
    assert_eq!(app.count("SELECT sum(issued)::text FROM allotments WHERE issued > 0"), 1);

    let late = app.draw(&winner, &activity).await["claim"]["id"].clone();
    app.sql("UPDATE claims SET deadline = now() WHERE state = 'PENDING'");
    assert_eq!(app.refused(&winner.token, TAKE, json!({ "id": late, "key": key() })).await, ["CLAIM_EXPIRED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_changes_hands_and_only_its_holder_gives_it() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let (giver, taker) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    let foreign = app.person("beta", 1).await;
    let item = app.item(&giver, &activity).await;
    let gift = |to: &str| json!({ "item": item, "to": to, "key": key() });
    assert_eq!(app.refused(&giver.token, GIVE, gift(&giver.id)).await, ["SAME_HOLDER"]);
    assert_eq!(app.refused(&giver.token, GIVE, gift(&foreign.id)).await, ["HOLDER_NOT_FOUND"]);
    assert_eq!(app.refused(&taker.token, GIVE, gift(&giver.id)).await, ["ITEM_NOT_FOUND"]);

    let started = app.done(&giver.token, GIVE, gift(&taker.id)).await["transfer"].clone();
    assert_eq!((&started["state"], &started["version"]), (&json!("REQUESTED"), &json!(1)));
    app.settle().await;
    let query = "query($id: ID!) { transfer(id: $id) { state cause fromHolder { id } toHolder { id } item { holder { id } } } }";
    let ended = app.ok(Some(&owner), query, json!({ "id": started["id"] })).await["transfer"].clone();
    assert_eq!((&ended["state"], &ended["cause"]), (&json!("SUCCEEDED"), &json!("GIFT")));
    assert_eq!((&ended["fromHolder"]["id"], &ended["toHolder"]["id"]), (&json!(giver.id), &json!(taker.id)));
    assert_eq!(ended["item"]["holder"]["id"], json!(taker.id));
    assert_eq!(app.refused(&giver.token, GIVE, gift(&taker.id)).await, ["ITEM_NOT_FOUND"], "it is given away");
    let of_this = "SELECT string_agg(data->>'state', ' ' ORDER BY sequence) FROM events WHERE data->>'transferId' =";
    let told = app.sql(&format!("{of_this} '{}'", text(&started["id"])));
    assert_eq!(told, "REQUESTED LOCKED SUBMITTED CONFIRMED SUCCEEDED");

    // The enterprise may act for whoever has it now.
    let by_operator = app.done(&owner, GIVE, gift(&giver.id)).await;
    assert_eq!(by_operator["replayed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_on_one_way_only_and_a_gift_can_be_called_back_in_time() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let people = app.people("alpha", 6).await;
    let item = app.item(&people[0], &activity).await;
    let claims = app.ok(Some(&owner), "{ transfers { nodes { id } } }", json!({})).await;
    let delivered = &claims["transfers"]["nodes"][0]["id"];
    assert_eq!(app.refused(&owner, WITHDRAW, json!({ "id": delivered })).await, ["TOO_LATE"]);

    let race = people[1..]
        .iter()
        .map(|to| app.ok(Some(&people[0].token), GIVE, json!({ "item": item, "to": to.id, "key": key() })));
    let answers = join_all(race).await;
    let (won, lost): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| !answer["transferStart"]["transfer"].is_null());
    assert_eq!((won.len(), lost.len()), (1, people.len() - 2));
    assert!(lost.iter().all(|answer| answer["transferStart"]["userErrors"][0]["code"] == "TRANSFER_OPEN"), "{lost:?}");

    let gift = &won[0]["transferStart"]["transfer"]["id"];
    let withdrawn = app.done(&owner, WITHDRAW, json!({ "id": gift })).await["transfer"].clone();
    assert_eq!((&withdrawn["state"], &withdrawn["version"]), (&json!("CANCELLED"), &json!(2)));
    assert_eq!(app.refused(&owner, WITHDRAW, json!({ "id": gift })).await, ["TOO_LATE"]);
    app.settle().await;
    let held = app.ok(Some(&people[0].token), "{ items { nodes { id } } }", json!({})).await;
    assert_eq!(held["items"]["nodes"], json!([{ "id": item }]), "it never left");

    // Free again, and once it has reached the ledger there is no way back.
    let gift = app.done(&people[0].token, GIVE, json!({ "item": item, "to": people[1].id, "key": key() })).await;
    app.settle().await;
    let gone = json!({ "id": gift["transfer"]["id"] });
    assert_eq!(app.refused(&owner, WITHDRAW, gone).await, ["TOO_LATE"]);
    // What an order or a claim is owed is nobody's to withdraw, not even before it has moved.
    let drawn = app.draw(&people[2], &activity).await;
    let taken = app.done(&people[2].token, TAKE, json!({ "id": drawn["claim"]["id"], "key": key() })).await;
    let owed = json!({ "id": taken["claim"]["transfer"]["id"] });
    assert_eq!(app.refused(&owner, WITHDRAW, owed).await, ["TOO_LATE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_airdrop_gives_to_all_or_to_nobody() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, prize) = app.activity(&owner, "AIRDROP").await;
    let drop = |phones: Vec<String>| json!({ "input": { "activityId": activity, "prizeId": prize, "phones": phones, "idempotencyKey": key() } });
    let before = app.sql("SELECT (SELECT count(*) FROM holders) || ' ' || (SELECT count(*) FROM stock_entries)");
    let untouched = || {
        let now = app.sql("SELECT (SELECT count(*) FROM holders) || ' ' || (SELECT count(*) FROM stock_entries)");
        assert_eq!(now, before);
        assert_eq!(app.count("SELECT ((SELECT count(*) FROM airdrops) + (SELECT count(*) FROM claims))::text"), 0);
    };
    let twice = vec![phone(1), phone(2), format!("+86{}", phone(1))];
    assert_eq!(app.refused(&owner, AIRDROP, drop(twice)).await, ["DUPLICATE_PHONE"]);
    assert_eq!(app.refused(&owner, AIRDROP, drop(vec![phone(1), "123".into()])).await, ["INVALID_PHONE"]);
    // small.toml sets ten pieces aside.
    assert_eq!(app.refused(&owner, AIRDROP, drop((0..11).map(phone).collect())).await, ["NOT_ENOUGH_STOCK"]);
    untouched();

    let known = app.person("alpha", 3).await;
    let dropped = app.done(&owner, AIRDROP, drop((0..10).map(phone).collect())).await;
    assert_eq!((&dropped["airdrop"]["state"], &dropped["airdrop"]["rowCount"]), (&json!("COMPLETED"), &json!(10)));
    assert_eq!(app.refused(&owner, AIRDROP, drop(vec![phone(99)])).await, ["NOT_ENOUGH_STOCK"]);
    app.sums_hold();
    assert_eq!(app.count("SELECT count(DISTINCT (holder_id, serial))::text FROM claims"), 10);
    assert_eq!(app.count("SELECT count(*)::text FROM holders"), 10, "who was known is not made again");
    let owed = app.ok(Some(&known.token), "{ claims { nodes { id source state } } }", json!({})).await;
    assert_eq!(owed["claims"]["nodes"][0]["source"], "AIRDROP");
    app.done(&known.token, TAKE, json!({ "id": owed["claims"]["nodes"][0]["id"], "key": key() })).await;
    app.settle().await;
    assert_eq!(states(&app, &known.token, "claims").await, ["DELIVERED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_design_is_reviewed_issued_and_then_given_away() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let house = app.house(Role::Owner).await;
    let series = json!({ "input": { "name": words("新", "New"), "description": words("", "") } });
    let series = text(&app.done(&owner, SERIES, series).await["series"]["id"]);
    let input = json!({ "seriesId": series, "name": words("品", "Piece"), "description": words("", ""), "author": "A",
        "supply": 7, "firstSerial": 0 });
    let id = app.done(&owner, COLLECTIBLE, json!({ "input": input })).await["collectible"]["id"].clone();
    let issue = || json!({ "id": id, "key": key() });
    assert_eq!(app.refused(&owner, ISSUE, issue()).await, ["WRONG_STATE"], "nothing unseen is issued");
    app.done(&owner, HAND_IN, json!({ "id": id })).await;
    assert_eq!(app.refused(&owner, HAND_IN, json!({ "id": id })).await, ["WRONG_STATE"]);

    // The house sends it back once, and must say why.
    let review = app.review_of(&text(&id)).await;
    let decide = |verdict: &str, remark: Option<&str>| json!({ "id": review, "verdict": verdict, "remark": remark });
    assert_eq!(app.refused(&house, DECIDE, decide("REJECT", None)).await, ["REMARK_REQUIRED"]);
    assert_eq!(app.refused(&house, DECIDE, decide("REJECT", Some("  "))).await, ["REMARK_REQUIRED"]);
    let race = (0..8).map(|turn| {
        let answer = if turn % 2 == 0 { decide("REJECT", Some("画面不清")) } else { decide("REJECT", Some("no")) };
        app.ok(Some(&house), DECIDE, answer)
    });
    let answers = join_all(race).await;
    let decided = answers.iter().filter(|answer| !answer["reviewDecide"]["review"].is_null()).count();
    assert_eq!(decided, 1, "a review is decided once");
    assert_eq!(app.refused(&house, DECIDE, decide("APPROVE", None)).await, ["ALREADY_DECIDED"]);
    let query = "query($id: ID!) { collectible(id: $id) { state reviewRemark issuedCount stock { supply unallotted allotted } } }";
    let found = app.ok(Some(&owner), query, json!({ "id": id })).await["collectible"].clone();
    assert_eq!(found["state"], "REJECTED");
    assert!(["画面不清", "no"].contains(&found["reviewRemark"].as_str().expect("a remark")));

    app.done(&owner, HAND_IN, json!({ "id": id })).await;
    app.approve(&text(&id)).await;
    app.done(&owner, ISSUE, issue()).await;
    app.settle().await;
    let found = app.ok(Some(&owner), query, json!({ "id": id })).await["collectible"].clone();
    assert_eq!((&found["state"], &found["issuedCount"]), (&json!("ISSUED"), &json!(7)));
    assert_eq!(found["stock"], json!({ "supply": 7, "unallotted": 7, "allotted": 0 }));
    assert_eq!(app.refused(&owner, ISSUE, issue()).await, ["WRONG_STATE"]);
    let serials = "SELECT string_agg(serial::text, ' ' ORDER BY serial) FROM items JOIN collectibles AS c
        ON c.id = collectible_id WHERE c.supply = 7";
    assert_eq!(app.sql(serials), "0 1 2 3 4 5 6");

    // Eight of seven cannot be promised; five can, and then two are left.
    let id = text(&id);
    for (quantity, refusal) in [(8, Some("NOT_ENOUGH_STOCK")), (5, None), (3, Some("NOT_ENOUGH_STOCK")), (2, None)] {
        let prizes = json!({ "prizes": [prize_of(&id, Some(1_000_000), quantity)] });
        let draft = app.draft(&owner, "DRAW", prizes).await["id"].clone();
        assert_eq!(app.refused(&owner, PUBLISH, json!({ "id": draft, "key": key() })).await, ["WRONG_STATE"]);
        app.done(&owner, SUBMIT, json!({ "id": draft })).await;
        app.approve(&text(&draft)).await;
        let publish = app.refused(&owner, PUBLISH, json!({ "id": draft, "key": key() })).await;
        assert_eq!(publish, refusal.into_iter().collect::<Vec<_>>(), "{quantity} pieces");
    }
    app.sums_hold();
}

/// Each refusal names the field that it is about, by a path that leads somewhere in the input.
#[tokio::test(flavor = "multi_thread")]
async fn refused_input_is_named() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let collectible = app.collectible(&owner).await;
    let series = app.ok(Some(&owner), "{ seriesList { nodes { id } } }", json!({})).await;
    let series = &series["seriesList"]["nodes"][0]["id"];
    let long = "长".repeat(257);
    let sound = json!({ "seriesId": series, "name": words("名", "Name"), "description": words("", ""), "author": "A",
        "imageUrl": "https://example.com/a.png", "supply": 1, "firstSerial": 1 });
    let prize = || prize_of(&collectible, Some(600_000), 1);
    let draw = activity_of("DRAW", json!({ "prizes": [prize()], "claimDays": 1, "chancesPerHolder": 1 }));
    let cases = [
        (COLLECTIBLE, &sound, "name.chinese", words("", "Name"), "name"),
        (COLLECTIBLE, &sound, "name.english", words("名", &long), "name"),
        (COLLECTIBLE, &sound, "description.english", words("", &"x".repeat(501)), "description"),
        (COLLECTIBLE, &sound, "author", json!(""), "author"),
        (COLLECTIBLE, &sound, "imageUrl", json!("http://example.com/a.png"), "imageUrl"),
        (COLLECTIBLE, &sound, "supply", json!(0), "supply"),
        (COLLECTIBLE, &sound, "supply", json!(10_000_001), "supply"),
        (COLLECTIBLE, &sound, "firstSerial", json!(2), "firstSerial"),
        (CREATE, &draw, "closesAt", json!("2026-01-01T00:00:00Z"), "closesAt"),
        (CREATE, &draw, "claimDays", json!(0), "claimDays"),
        (CREATE, &draw, "chancesPerHolder", json!(0), "chancesPerHolder"),
        (CREATE, &draw, "prizes", json!([]), "prizes"),
        (CREATE, &draw, "prizes", json!([prize(), prize()]), "prizes"),
        (CREATE, &draw, "prizes.1.oddsPerMillion", json!([prize(), prize_of(&collectible, None, 1)]), "prizes"),
        (CREATE, &draw, "prizes.0.quantity", json!([prize_of(&collectible, Some(1), 0)]), "prizes"),
    ];
    for (operation, sound, path, value, field) in cases {
        let mut input = sound.clone();
        input[field] = value;
        let answer = app.ok(Some(&owner), operation, json!({ "input": input })).await;
        let payload = answer.as_object().and_then(|data| data.values().next()).expect("a payload");
        assert_eq!(payload["userErrors"], json!([{ "code": "INVALID_INPUT", "field": path }]), "{input}");
        let pointer = format!("/{}", path.replace('.', "/"));
        assert!(input.pointer(&pointer).is_some(), "{path} leads nowhere in {input}");
    }
    app.done(&owner, COLLECTIBLE, json!({ "input": sound })).await;
    app.done(&owner, CREATE, json!({ "input": draw })).await;
}
