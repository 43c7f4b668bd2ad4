//! One key is one intent: sent again it gives the first result, at once or later, and never another one.

use std::collections::BTreeSet;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::draws::published;
use crate::prizes;
use crate::support::app::{TestApp, text};
use crate::support::people::id_number;
use crate::support::play::{GIVE, SUBMIT, TAKE, key, phone, prize_of};

/// A mutation that takes a key, and how to see what it did.
struct Intent {
    mutation: &'static str,
    /// The payload's field with what was made or changed: one thing, or a list of them.
    object: &'static str,
    token: String,
    input: Value,
    /// Another input, as good as the first.
    other: Value,
    /// How often it was done, in SQL.
    effect: &'static str,
}

impl Intent {
    fn operation(&self) -> String {
        let (mutation, object) = (self.mutation, self.object);
        let name: String = mutation[..1].to_uppercase() + &mutation[1..];
        format!(
            "mutation($input: {name}Input!) {{ {mutation}(input: $input) {{ {object} {{ id }} replayed userErrors {{ code field }} }} }}"
        )
    }
}

fn id_of<'p>(payload: &'p Value, object: &str) -> &'p Value {
    let found = &payload[object];
    if found.is_array() { &found[0]["id"] } else { &found["id"] }
}

fn with_key(input: &Value, key: &str) -> Value {
    let mut input = input.clone();
    input["idempotencyKey"] = json!(key);
    json!({ "input": input })
}

fn mutations_with_a_key() -> BTreeSet<String> {
    let document = parse_schema(minthouse::api::schema::sdl()).expect("the SDL is valid");
    let mut found = BTreeSet::new();
    for definition in document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let TypeKind::InputObject(input) = &definition.node.kind else { continue };
        if input.fields.iter().any(|field| field.node.name.node == "idempotencyKey") {
            let name = definition.node.name.node.as_str();
            let name = name.strip_suffix("Input").expect("inputs are named so");
            found.insert(name[..1].to_lowercase() + &name[1..]);
        }
    }
    found
}

async fn approved(app: &TestApp, owner: &str, collectible: &str) -> String {
    let draft = app.draft(owner, "AIRDROP", json!({ "prizes": [prize_of(collectible, None, 1)] })).await;
    let id = text(&draft["id"]);
    app.done(owner, SUBMIT, json!({ "id": id })).await;
    app.approve(&id).await;
    id
}

async fn design(app: &TestApp, owner: &str) -> String {
    let series = app.ok(Some(owner), "{ seriesList { nodes { id } } }", json!({})).await;
    let input = json!({ "seriesId": series["seriesList"]["nodes"][0]["id"], "name": { "chinese": "品", "english": "P" },
        "description": { "chinese": "", "english": "" }, "author": "A", "supply": 3 });
    let create = "mutation($input: CollectibleCreateInput!) { collectibleCreate(input: $input) { collectible { id } userErrors { code } } }";
    let id = text(&app.done(owner, create, json!({ "input": input })).await["collectible"]["id"]);
    let submit = "mutation($id: ID!) { collectibleSubmit(input: {id: $id}) { userErrors { code } } }";
    app.done(owner, submit, json!({ "id": id })).await;
    app.approve(&id).await;
    id
}

async fn intents(app: &TestApp) -> Vec<Intent> {
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let (dropping, prize) = app.activity(&owner, "AIRDROP").await;
    let sale = app.sale(&owner).await;
    let collectible = app.collectible(&owner).await;
    let people = app.people("alpha", 5).await;
    let (drawer, giver, buyer, winner) = (&people[0], &people[1], &people[2], &people[3]);
    let item = app.item(giver, &activity).await;
    let (payable, cancellable) = (app.place(buyer, &sale, 1).await, app.place(&people[4], &sale, 1).await);
    let (unpaid, kept) = (app.place(buyer, &sale, 1).await, app.place(&people[4], &sale, 1).await);
    let mut claims = Vec::new();
    for _ in 0..2 {
        claims.push(app.draw(winner, &activity).await["claim"]["id"].clone());
    }
    let gift = |reviewed: bool| {
        let prize = prizes::prize("OWN_GIFT", 1_000_000, 2, json!({ "reviewed": reviewed }));
        published(app, json!({ "prizes": [prize], "chancesPerHolder": 2 }))
    };
    let (judged, sent) = (prizes::draws(app, winner, &gift(true).await, 2).await, gift(false).await);
    let sent = prizes::draws(app, winner, &sent, 2).await;
    for draw in &sent {
        prizes::take(app, winner, &draw["claim"]).await;
    }
    let coded = json!({ "prizes": [prizes::prize("CLAIM_CODE", 1_000_000, 5, json!({}))] });
    let coded = app.draft(&owner, "DRAW", coded).await["prizes"][0]["id"].clone();
    let tasks = json!([
        { "kind": "SHARE", "name": { "chinese": "分享", "english": "Share" }, "timesPerHolder": 1 },
        { "kind": "SHARE", "name": { "chinese": "再分享", "english": "Share again" }, "timesPerHolder": 9 },
        { "kind": "API", "name": { "chinese": "购物", "english": "Shop" } },
        { "kind": "DRAW_CODE", "name": { "chinese": "抽奖码", "english": "Code" } }]);
    let tasked = published(app, json!({ "prizes": [prize_of(&collectible, Some(1), 1)], "tasks": tasks })).await;
    let query = "query($id: ID!) { activity(id: $id) { tasks { id } } }";
    let tasks = app.ok(Some(&owner), query, json!({ "id": tasked })).await["activity"]["tasks"].take();
    for word in ["SPRING", "AUTUMN"] {
        let make = "mutation($task: ID!, $word: String!, $key: String!) {
            drawCodesGenerate(input: {taskId: $task, count: 1, uses: 9, word: $word, idempotencyKey: $key}) { userErrors { code } } }";
        app.done(&owner, make, json!({ "task": tasks[3]["id"], "word": word, "key": key() })).await;
    }
    let made = |mutation, object, token: &String, input, other, effect| Intent {
        mutation,
        object,
        token: token.clone(),
        input,
        other,
        effect,
    };
    let line = |quantity| json!({ "activityId": sale.0, "lines": [{ "offerId": sale.1, "quantity": quantity }] });
    let drop = |number| json!({ "activityId": dropping, "prizeId": prize, "phones": [phone(number)] });
    vec![
        made(
            "activityDraw",
            "draw",
            &drawer.token,
            json!({ "activityId": activity, "clientSeed": "a" }),
            json!({ "activityId": activity, "clientSeed": "b" }),
            "SELECT count(*)::text FROM draws",
        ),
        made(
            "taskComplete",
            "task",
            &drawer.token,
            json!({ "taskId": tasks[0]["id"] }),
            json!({ "taskId": tasks[1]["id"] }),
            "SELECT count(*)::text FROM task_completions",
        ),
        made(
            "drawCodeEnter",
            "task",
            &drawer.token,
            json!({ "activityId": tasked, "code": "spring" }),
            json!({ "activityId": tasked, "code": "autumn" }),
            "SELECT count(*)::text FROM task_completions",
        ),
        made(
            "chancesGrant",
            "task",
            &owner,
            json!({ "taskId": tasks[2]["id"], "grants": [{ "holderId": drawer.id, "reference": "a" }] }),
            json!({ "taskId": tasks[2]["id"], "grants": [{ "holderId": drawer.id, "reference": "b" }] }),
            "SELECT count(*)::text FROM task_completions",
        ),
        made(
            "drawCodesGenerate",
            "batch",
            &owner,
            json!({ "taskId": tasks[3]["id"], "count": 1 }),
            json!({ "taskId": tasks[3]["id"], "count": 2 }),
            "SELECT count(*)::text FROM draw_code_batches",
        ),
        made(
            "pointsAdjust",
            "holders",
            &owner,
            json!({ "adjustments": [{ "holderId": drawer.id, "delta": 1, "reference": "a" }] }),
            json!({ "adjustments": [{ "holderId": drawer.id, "delta": 1, "reference": "b" }] }),
            "SELECT count(*)::text FROM point_entries",
        ),
        made(
            "activityPublish",
            "activity",
            &owner,
            json!({ "id": approved(app, &owner, &collectible).await }),
            json!({ "id": approved(app, &owner, &collectible).await }),
            "SELECT count(*)::text FROM activities WHERE state = 'PUBLISHED'",
        ),
        made("airdropStart", "airdrop", &owner, drop(50), drop(51), "SELECT count(*)::text FROM airdrops"),
        made(
            "claimTake",
            "claim",
            &winner.token,
            json!({ "id": claims[0] }),
            json!({ "id": claims[1] }),
            "SELECT count(*)::text FROM transfers WHERE cause = 'CLAIM'",
        ),
        made(
            "claimsReview",
            "claims",
            &owner,
            json!({ "claimIds": [judged[0]["claim"]["id"]], "verdict": "APPROVE" }),
            json!({ "claimIds": [judged[1]["claim"]["id"]], "verdict": "APPROVE" }),
            "SELECT count(*)::text FROM audit_records WHERE action = 'claimsReview'",
        ),
        made(
            "claimsFulfil",
            "claims",
            &owner,
            json!({ "claims": [{ "claimId": sent[0]["claim"]["id"] }] }),
            json!({ "claims": [{ "claimId": sent[1]["claim"]["id"] }] }),
            "SELECT count(*)::text FROM audit_records WHERE action = 'claimsFulfil'",
        ),
        made(
            "prizeCodesAdd",
            "prize",
            &owner,
            json!({ "prizeId": coded, "codes": ["one"] }),
            json!({ "prizeId": coded, "codes": ["two"] }),
            "SELECT count(*)::text FROM prize_claim_codes",
        ),
        made(
            "collectibleIssue",
            "collectible",
            &owner,
            json!({ "id": design(app, &owner).await }),
            json!({ "id": design(app, &owner).await }),
            "SELECT count(*)::text FROM audit_records WHERE action = 'collectibleIssue'",
        ),
        made(
            "holderRealNameVerify",
            "holder",
            &people[4].token,
            json!({ "name": "韦小宝", "idNumber": id_number(1) }),
            json!({ "name": "韦小宝", "idNumber": id_number(2) }),
            "SELECT count(*)::text FROM real_name_verifications",
        ),
        made("orderPlace", "order", &buyer.token, line(1), line(2), "SELECT count(*)::text FROM orders"),
        made(
            "sandboxPay",
            "payment",
            &buyer.token,
            json!({ "orderId": payable }),
            json!({ "orderId": unpaid }),
            "SELECT count(*)::text FROM payments",
        ),
        made(
            "orderCancel",
            "order",
            &people[4].token,
            json!({ "orderId": cancellable }),
            json!({ "orderId": kept }),
            "SELECT count(*)::text FROM orders WHERE state = 'CANCELLED'",
        ),
        made(
            "transferStart",
            "transfer",
            &giver.token,
            json!({ "itemId": item, "toHolderId": drawer.id }),
            json!({ "itemId": item, "toHolderId": buyer.id }),
            "SELECT count(*)::text FROM transfers WHERE cause = 'GIFT'",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_an_intent() {
    let app = TestApp::builder().idle().start().await;
    let intents = intents(&app).await;
    let tried: BTreeSet<String> = intents.iter().map(|intent| intent.mutation.to_owned()).collect();
    assert_eq!(tried, mutations_with_a_key(), "each mutation with a key is tried, and no other");
    for intent in &intents {
        let (mutation, operation, key) = (intent.mutation, intent.operation(), key());
        let before = app.count(intent.effect);
        let input = with_key(&intent.input, &key);
        let at_once = join_all((0..6).map(|_| app.done(&intent.token, &operation, input.clone()))).await;
        let first = id_of(&at_once[0], intent.object);
        assert!(first.is_string(), "{mutation}: {at_once:?}");
        assert!(at_once.iter().all(|payload| id_of(payload, intent.object) == first), "{mutation}: {at_once:?}");
        let firsts = at_once.iter().filter(|payload| payload["replayed"] == false).count();
        assert_eq!(firsts, 1, "{mutation}: {at_once:?}");
        assert_eq!(app.count(intent.effect), before + 1, "{mutation} was done once");

        let other = app.refused(&intent.token, &operation, with_key(&intent.other, &key)).await;
        assert_eq!(other, ["IDEMPOTENCY_KEY_REUSED"], "{mutation}");
        assert_eq!(app.count(intent.effect), before + 1, "{mutation} did nothing under a used key");
        // Also after whatever came of it has gone on.
        app.settle().await;
        let later = app.done(&intent.token, &operation, input).await;
        assert_eq!((id_of(&later, intent.object), &later["replayed"]), (first, &json!(true)), "{mutation}");
    }
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_uses_no_key_up() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let (giver, taker) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    let item = app.item(&giver, &activity).await;
    let first = json!({ "item": item, "to": giver.id, "key": "mine" });
    assert_eq!(app.refused(&giver.token, GIVE, first).await, ["SAME_HOLDER"]);
    let corrected = json!({ "item": item, "to": taker.id, "key": "mine" });
    assert_eq!(app.done(&giver.token, GIVE, corrected).await["replayed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_a_form() {
    let app = TestApp::builder().idle().start().await;
    let person = app.person("alpha", 1).await;
    let claim = minthouse::activities::model::ClaimId::generate();
    for key in ["", " ", &"k".repeat(129), "zeile\numbruch"] {
        let answer = app.send(Some(&person.token), TAKE, json!({ "id": claim, "key": key })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{key:?}: {answer:#}");
    }
}
