//! An enterprise's own endpoint decides who may draw and what is won, and is trusted no further than that.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::draws::{published, record, two_collectibles, verified, with_seed};
use crate::support::app::{TestApp, text};
use crate::support::offline::{Folder, run};
use crate::support::partner::{ENCODING_AES_KEY, Partner, Script, TOKEN};
use crate::support::play::{Person, activity_of, key, prize_of};

const REGISTER: &str = "mutation($input: CustomRuleCreateInput!) {
    customRuleCreate(input: $input) { customRule { id state kind url digest parameters { parameter default } } userErrors { code field } } }";
const DISABLE: &str =
    "mutation($id: ID!) { customRuleDisable(input: {id: $id}) { customRule { state } userErrors { code } } }";
const ENABLE: &str =
    "mutation($id: ID!) { customRuleEnable(input: {id: $id}) { customRule { state } userErrors { code } } }";
const TEST: &str = "mutation($id: ID!, $phone: String!) {
    customRuleTest(input: {id: $id, phone: $phone}) { lines { check passed detail } userErrors { code field } } }";
const DRAW: &str = "mutation($activity: ID!, $key: String!, $times: Int) {
    activityDraw(input: {activityId: $activity, idempotencyKey: $key, times: $times}) {
        draws { awardedPrize { name { english } } roll } replayed refusal { message url } userErrors { code field retryAfterSeconds } } }";
const LEFT: &str = "query($id: ID!) { activity(id: $id) { viewerChancesLeft } }";

async fn register(app: &TestApp, kind: &str, url: &str, parameters: Value) -> String {
    let input = json!({ "kind": kind, "name": "我的规则", "url": url, "token": TOKEN, "encodingAesKey": ENCODING_AES_KEY, "parameters": parameters });
    let made = app.done(&app.owner("alpha").await, REGISTER, json!({ "input": input })).await;
    text(&made["customRule"]["id"])
}

/// Three prizes of levels 0, 1 and 2, of which the highest is never drawn by chance.
async fn ruled(app: &TestApp, rules: Value, more: Value) -> String {
    let (one, two) = two_collectibles(app).await;
    let prize = |collectible: &str, level: i32, odds: i32, quantity: i32| {
        let mut prize = prize_of(collectible, Some(odds), quantity);
        prize["level"] = json!(level);
        prize["name"] = json!({ "chinese": "奖", "english": format!("level {level}") });
        prize
    };
    let thanks = json!({ "kind": "NOTHING", "level": 3, "name": { "chinese": "谢谢", "english": "thanks" }, "oddsPerMillion": 1 });
    let prizes = json!([prize(&one, 0, 1, 2), prize(&one, 1, 1, 5), prize(&two, 2, 999_997, 30), thanks]);
    let mut input = json!({ "prizes": prizes, "chancesPerHolder": 50, "drawsAtOnce": 5, "customRules": rules });
    input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    published(app, input).await
}

async fn send(app: &TestApp, person: &Person, activity: &str, times: i32) -> Value {
    let input = json!({ "activity": activity, "key": key(), "times": times });
    app.send(Some(&person.token), DRAW, input).await["data"]["activityDraw"].take()
}

async fn left(app: &TestApp, person: &Person, activity: &str) -> i64 {
    let seen = app.ok(Some(&person.token), LEFT, json!({ "id": activity })).await;
    seen["activity"]["viewerChancesLeft"].as_i64().expect("a number")
}

fn won(answer: &Value) -> Vec<Option<&str>> {
    let draws = answer["draws"].as_array().expect("a list");
    draws.iter().map(|draw| draw["awardedPrize"]["name"]["english"].as_str()).collect()
}

fn code(answer: &Value) -> &str {
    answer["userErrors"][0]["code"].as_str().unwrap_or("nothing")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_rules_and_the_record_says_so() {
    let app = TestApp::builder().idle().start().await;
    let partner = Partner::start().await;
    let parameters = json!([
        { "name": "消耗积分", "parameter": "points", "kind": "COST", "default": "10", "minimum": 1, "maximum": 100 },
        { "name": "会员等级", "parameter": "grade", "kind": "IDENTITY", "classes": ["gold", "silver"] }]);
    let rule = register(&app, "DRAW_RULE", partner.url.as_str(), parameters).await;
    let set = json!([{ "customRuleId": rule, "parameters": [{ "parameter": "grade", "value": "gold" }] }]);
    let activity = ruled(&app, set, json!({})).await;
    let person = app.person("alpha", 1).await;

    partner.play(Script::Answer(json!({ "code": 200, "lottery": 1 })));
    assert_eq!(won(&send(&app, &person, &activity, 1).await), [Some("level 2")]);
    let asked = partner.asked().pop().expect("it was asked");
    assert_eq!(
        asked,
        json!({ "id": activity, "code": activity, "mobile": crate::support::play::phone(1), "points": "10", "grade": "gold" })
    );

    // Only levels 1 and 2, as they count: ours are 0 and 1, which chance never falls on.
    partner.play(Script::Answer(json!({ "code": "200", "lottery": "1", "winScope": [1, 2] })));
    let scoped = send(&app, &person, &activity, 3).await;
    assert_eq!(won(&scoped), [None, None, None]);
    assert!(scoped["draws"][0]["roll"].is_i64(), "a number was drawn all the same");
    assert_eq!(partner.asked().pop().expect("it was asked")["drawNum"], 3);

    partner.play(Script::Answer(json!({ "code": 200, "lottery": 3, "message": "下次好运" })));
    let lost = send(&app, &person, &activity, 1).await;
    assert_eq!((won(&lost), &lost["draws"][0]["roll"]), (vec![None], &Value::Null));
    let before = left(&app, &person, &activity).await;
    assert_eq!(before, 45, "each of five draws has cost a chance");

    partner.play(Script::Answer(
        json!({ "code": 200, "lottery": 2, "message": "请先登录会员", "url": "https://shop.example/join" }),
    ));
    let refused = send(&app, &person, &activity, 1).await;
    assert_eq!(code(&refused), "RULED_OUT");
    assert_eq!(refused["refusal"], json!({ "message": "请先登录会员", "url": "https://shop.example/join" }));
    assert_eq!(left(&app, &person, &activity).await, before, "the chance is kept");

    // Won, as long as there is any: stock stays ours.
    partner.play(Script::Answer(json!({ "code": 200, "lottery": 4, "prizeLevel": 0 })));
    let three = [
        send(&app, &person, &activity, 1).await,
        send(&app, &person, &activity, 1).await,
        send(&app, &person, &activity, 1).await,
    ];
    assert_eq!(three.iter().flat_map(won).collect::<Vec<_>>(), [Some("level 0"), Some("level 0"), None]);
    let list = json!([{ "isWin": 1, "prizeLevel": 1 }, { "isWin": 0 }]);
    partner.play(Script::Answer(json!({ "code": 200, "lottery": 4, "lotteryList": list })));
    assert_eq!(won(&send(&app, &person, &activity, 2).await), [Some("level 1"), None]);

    // A level of thanks is nothing won.
    partner.play(Script::Answer(json!({ "code": 200, "lottery": 4, "prizeLevel": 3 })));
    assert_eq!(won(&send(&app, &person, &activity, 1).await), [None]);
    app.sums_hold();
    assert_eq!(verified(&app, &activity).await.draws, 11);
    let (folder, export) = (Folder::new("ruled"), with_seed(&app, &activity).await);
    let file = folder.file("record.json", &serde_json::to_string(&export).expect("it is written"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/verify-draws.mjs");
    let (whole, said) = run("node", &[script, file.to_str().expect("text")]);
    assert!(whole && said.starts_with("ok 11 "), "{said}");
    // A ruling is bound: nobody can say afterwards that the endpoint had ruled otherwise.
    for place in 0..11 {
        let mut forged = export.clone();
        forged.draws[place].ruling = match forged.draws[place].ruling {
            None => Some(minthouse::activities::ruling::Ruling::NoPrize),
            Some(_) => None,
        };
        assert!(minthouse::activities::verify::check(&forged).is_err(), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_in_trouble_costs_nothing_and_is_told_of() {
    let app = TestApp::start().await;
    let partner = Partner::start().await;
    let rule = register(&app, "DRAW_RULE", partner.url.as_str(), json!([])).await;
    let activity = ruled(&app, json!([{ "customRuleId": rule, "decides": true }]), json!({})).await;
    let person = app.person("alpha", 1).await;
    let troubles = [
        (Script::Garbage, "MALFORMED"),
        (Script::Status(500), "REFUSED"),
        (Script::Answer(json!({ "code": 200, "lottery": 9 })), "MALFORMED"),
        (Script::Answer(json!({ "code": 200, "lottery": 1 })), "NOT_DECIDED"),
        (Script::Answer(json!({ "code": 200, "lottery": 4, "prizeLevel": 7 })), "UNKNOWN_LEVEL"),
        (Script::Answer(json!({ "code": 500, "msg": "no" })), "REJECTED"),
        (Script::Hang, "TIMED_OUT"),
    ];
    for (script, _) in &troubles {
        partner.play(script.clone());
        let answer = send(&app, &person, &activity, 1).await;
        assert_eq!(code(&answer), "CUSTOM_RULE_FAILED", "{answer}");
    }
    assert_eq!(left(&app, &person, &activity).await, 50);
    assert_eq!(app.count("SELECT count(*) FROM draws"), 0);
    crate::support::play::until("each failure is told", async || {
        app.count("SELECT count(*) FROM events WHERE type = 'custom_rule.failed'") == troubles.len() as i64
    })
    .await;
    let told = app.sql(
        "SELECT string_agg(data ->> 'reason', ',' ORDER BY sequence) FROM events WHERE type = 'custom_rule.failed'",
    );
    assert_eq!(told.split(',').collect::<Vec<_>>(), troubles.iter().map(|(_, reason)| *reason).collect::<Vec<_>>());

    // The same key again, once it answers: the wish was not used up.
    let wish = json!({ "activity": activity, "key": "patient", "times": 1 });
    partner.play(Script::Status(503));
    let answer = app.send(Some(&person.token), DRAW, wish.clone()).await["data"]["activityDraw"].take();
    assert_eq!(code(&answer), "CUSTOM_RULE_FAILED");
    partner.play(Script::Answer(json!({ "code": 200, "lottery": 4, "prizeLevel": 1 })));
    let answer = app.done(&person.token, DRAW, wish.clone()).await;
    assert_eq!((won(&answer), &answer["replayed"]), (vec![Some("level 1")], &json!(false)));
    let asked = partner.asked().len();
    let again = app.done(&person.token, DRAW, wish).await;
    assert_eq!((won(&again), &again["replayed"]), (vec![Some("level 1")], &json!(true)));
    assert_eq!(partner.asked().len(), asked, "what was drawn is not asked about again");
    // Keys are forgotten after some days; an answer that was drawn by is not good for a second draw.
    app.sql("DELETE FROM idempotency_keys WHERE key = 'patient'");
    assert_eq!(
        app.refused(&person.token, DRAW, json!({ "activity": activity, "key": "patient", "times": 1 })).await,
        ["IDEMPOTENCY_KEY_REUSED"]
    );
    assert_eq!((app.count("SELECT count(*) FROM draws"), partner.asked().len()), (1, asked));

    // One that fails again and again is left in peace, and the holder is answered at once.
    partner.play(Script::Status(500));
    for _ in 0..5 {
        assert_eq!(code(&send(&app, &person, &activity, 1).await), "CUSTOM_RULE_FAILED");
    }
    let asked = partner.asked().len();
    for _ in 0..5 {
        assert_eq!(code(&send(&app, &person, &activity, 1).await), "CUSTOM_RULE_FAILED");
    }
    assert_eq!(partner.asked().len(), asked, "nobody asks it for a while");
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_is_asked_about_once_at_a_time_and_its_answer_is_kept() {
    let here = TestApp::builder().idle().start().await;
    let there = TestApp::builder().idle().start_beside(&here).await;
    let partner = Partner::start().await;
    let rule = register(&here, "DRAW_RULE", partner.url.as_str(), json!([])).await;
    let activity = ruled(&here, json!([{ "customRuleId": rule }]), json!({})).await;
    let person = here.person("alpha", 1).await;
    partner.play(Script::slow(
        Duration::from_millis(600),
        Script::Answer(json!({ "code": 200, "lottery": 4, "prizeLevel": 1 })),
    ));
    let wish = json!({ "activity": activity, "key": "one", "times": 1 });
    let crowd = join_all((0..8).map(|turn| {
        let (server, wish) = (if turn % 2 == 0 { &here } else { &there }, wish.clone());
        let token = &person.token;
        async move { server.send(Some(token), DRAW, wish).await["data"]["activityDraw"].take() }
    }))
    .await;
    assert_eq!(partner.asked().len(), 1);
    assert_eq!(crowd.iter().filter(|answer| code(answer) == "nothing").count(), 1, "{crowd:?}");
    assert!(crowd.iter().all(|answer| ["nothing", "BEING_DECIDED"].contains(&code(answer))), "{crowd:?}");
    assert_eq!(here.count("SELECT count(*) FROM draws"), 1);

    // A server that falls between the answer and the draw: the answer is there, and another server uses it.
    let ruling = json!({ "rulings": [{ "won": 0 }], "counted": false });
    here.sql(&format!(
        "INSERT INTO consultations (tenant_id, activity_id, holder_id, key, input_hash, answer, asked_at)
         SELECT tenant_id, activity_id, holder_id, 'fallen', input_hash, '{ruling}', now() FROM consultations WHERE key = 'one'"
    ));
    let answer = there.done(&person.token, DRAW, json!({ "activity": activity, "key": "fallen", "times": 1 })).await;
    assert_eq!(won(&answer), [Some("level 0")]);
    assert_eq!(partner.asked().len(), 1);
    // One that falls while it asks: after a while somebody else asks.
    here.sql(
        "INSERT INTO consultations (tenant_id, activity_id, holder_id, key, input_hash, asked_at)
         SELECT tenant_id, activity_id, holder_id, 'lost', input_hash, now() - interval '11 seconds' FROM consultations WHERE key = 'one'",
    );
    let answer = there.done(&person.token, DRAW, json!({ "activity": activity, "key": "lost", "times": 1 })).await;
    assert_eq!((won(&answer), partner.asked().len()), (vec![Some("level 1")], 2));
    here.sums_hold();
    assert_eq!(verified(&here, &activity).await.draws, 3);
    assert_eq!(record(&here, &activity).await.draws.iter().filter(|draw| draw.ruling.is_some()).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_counts_chances_in_place_of_ours() {
    let app = TestApp::builder().idle().start().await;
    let (counter, decider) = (Partner::start().await, Partner::start().await);
    let count = register(&app, "CHANCE_COUNT", counter.url.as_str(), json!([])).await;
    let rule = register(&app, "DRAW_RULE", decider.url.as_str(), json!([])).await;
    let rules = json!([{ "customRuleId": count }, { "customRuleId": rule }]);
    let activity = ruled(&app, rules, json!({ "chancesPerHolder": 1 })).await;
    let person = app.person("alpha", 1).await;
    decider.play(Script::Answer(json!({ "code": 200, "lottery": 1 })));
    counter.play(Script::Answer(
        json!({ "code": 200, "success": true, "obj": { "count": 0, "message": "去购物得机会" } }),
    ));
    let refused = send(&app, &person, &activity, 1).await;
    assert_eq!((code(&refused), &refused["refusal"]["message"]), ("RULED_OUT", &json!("去购物得机会")));
    assert!(decider.asked().is_empty(), "who has no chance is not asked about");
    counter.play(Script::Answer(json!({ "code": 200, "success": true, "obj": { "count": 3 } })));
    assert_eq!(code(&send(&app, &person, &activity, 4).await), "RULED_OUT");
    assert_eq!(won(&send(&app, &person, &activity, 3).await).len(), 3);
    assert_eq!(left(&app, &person, &activity).await, 1, "ours are not touched");
    assert_eq!(app.count("SELECT coalesce(sum(delta), 0) FROM chance_entries WHERE reason = 'ENDPOINT'"), 3);
    app.sums_hold();
    assert_eq!(verified(&app, &activity).await.draws, 3);
    // A count that nobody debits would be good for ever.
    let (one, _) = two_collectibles(&app).await;
    let alone = activity_of(
        "DRAW",
        json!({ "prizes": [prize_of(&one, Some(1), 1)], "customRules": [{ "customRuleId": count }] }),
    );
    let make = "mutation($input: ActivityCreateInput!) { activityCreate(input: $input) { userErrors { code field } } }";
    assert_eq!(app.refused(&app.owner("alpha").await, make, json!({ "input": alone })).await, ["INVALID_INPUT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_allowed_and_nobody_could_draw_is_told() {
    let app = TestApp::start().await;
    let partner = Partner::start().await;
    let rule = register(&app, "DRAW_RULE", partner.url.as_str(), json!([])).await;
    let activity = ruled(&app, json!([{ "customRuleId": rule }]), json!({ "chancesPerHolder": 1 })).await;
    let person = app.person("alpha", 1).await;
    partner.play(Script::slow(Duration::from_millis(800), Script::Answer(json!({ "code": 200, "lottery": 3 }))));
    let owner = app.owner("alpha").await;
    let pause = async {
        crate::support::play::until("it is asked", async || app.count("SELECT count(*) FROM consultations") == 1).await;
        app.done(&owner, crate::support::play::PAUSE, json!({ "id": activity })).await;
    };
    // Of two wishes with one chance, the endpoint hears of one.
    let both = async { join_all([send(&app, &person, &activity, 1), send(&app, &person, &activity, 1)]).await };
    let (answers, ()) = futures_util::join!(both, pause);
    let codes: Vec<&str> = answers.iter().map(code).collect();
    assert!(codes.contains(&"PAUSED") && codes.contains(&"BEING_DECIDED"), "{codes:?}");
    assert_eq!(partner.asked().len(), 1);
    crate::support::play::until("it is told", async || {
        app.sql("SELECT coalesce(max(data ->> 'reason'), '') FROM events WHERE type = 'custom_rule.unused'") == "PAUSED"
    })
    .await;
    assert_eq!(left(&app, &person, &activity).await, 1);
    assert_eq!(app.count("SELECT count(*) FROM draws"), 0);
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_registered_tested_and_left_alone() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let partner = Partner::start().await;
    partner.play(Script::Answer(json!({ "code": 200, "lottery": 3 })));
    let rule = register(&app, "DRAW_RULE", partner.url.as_str(), json!([])).await;
    assert_eq!(
        app.count("SELECT count(*) FROM custom_rules WHERE encode(sealed_secrets, 'escape') LIKE '%spamtest%'"),
        0
    );
    let tested = app.done(&owner, TEST, json!({ "id": rule, "phone": "13800000001" })).await;
    let lines = tested["lines"].as_array().expect("a list").clone();
    assert!(lines.len() >= 9 && lines.iter().all(|line| line["passed"] == true), "{lines:?}");
    let careless = crate::support::partner::Care { signature: false, timestamp: false, nonce: false };
    let careless =
        Partner::builder().care(careless).script(Script::Answer(json!({ "code": 200, "lottery": 3 }))).start().await;
    let other = register(&app, "DRAW_RULE", careless.url.as_str(), json!([])).await;
    let tested = app.done(&owner, TEST, json!({ "id": other, "phone": "13800000001" })).await;
    let failed: Vec<String> = tested["lines"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|line| line["passed"] == false)
        .map(|line| text(&line["check"]))
        .collect();
    assert_eq!(failed, ["BROKEN_SIGNATURE_REFUSED", "OLD_TIMESTAMP_REFUSED", "REPEATED_NONCE_REFUSED"]);
    app.exchange_data_key("alpha").await;
    let again = app.done(&owner, TEST, json!({ "id": rule, "phone": "13800000001" })).await;
    assert_eq!(again["lines"].as_array().expect("a list").len(), lines.len(), "its secrets open under the new key");

    // Another enterprise neither sees nor uses it.
    let rival = app.owner("beta").await;
    assert_eq!(
        app.refused(&rival, TEST, json!({ "id": rule, "phone": "13800000001" })).await,
        ["CUSTOM_RULE_NOT_FOUND"]
    );
    let listed = app.ok(Some(&rival), "{ customRules(first: 10) { totalCount } }", json!({})).await;
    assert_eq!(listed["customRules"]["totalCount"], 0);

    let activity = ruled(&app, json!([{ "customRuleId": rule }]), json!({})).await;
    let person = app.person("alpha", 1).await;
    assert_eq!(won(&send(&app, &person, &activity, 1).await), [None]);
    app.done(&owner, DISABLE, json!({ "id": rule })).await;
    assert_eq!(code(&send(&app, &person, &activity, 1).await), "CUSTOM_RULE_FAILED");
    app.done(&owner, ENABLE, json!({ "id": rule })).await;
    assert_eq!(won(&send(&app, &person, &activity, 1).await), [None]);

    let create = |input: Value| json!({ "input": input });
    let base = json!({ "kind": "DRAW_RULE", "name": "n", "url": "https://a.example/", "token": TOKEN, "encodingAesKey": ENCODING_AES_KEY });
    for (field, value) in [
        ("url", json!("ftp://a.example/")),
        ("encodingAesKey", json!("short")),
        ("token", json!("")),
        ("name", json!("")),
    ] {
        let mut input = base.clone();
        input[field] = value;
        assert_eq!(app.refused(&owner, REGISTER, create(input)).await, ["INVALID_INPUT"], "{field}");
    }
    let (one, _) = two_collectibles(&app).await;
    let make = "mutation($input: ActivityCreateInput!) { activityCreate(input: $input) { userErrors { code field } } }";
    for (rules, problem) in [
        (json!([{ "customRuleId": rule }, { "customRuleId": other }]), "INVALID_INPUT"),
        (json!([{ "customRuleId": rule, "parameters": [{ "parameter": "x", "value": "1" }] }]), "INVALID_INPUT"),
    ] {
        let input = activity_of("DRAW", json!({ "prizes": [prize_of(&one, Some(1), 1)], "customRules": rules }));
        assert_eq!(app.refused(&owner, make, json!({ "input": input })).await, [problem]);
    }
    let input = activity_of(
        "DRAW",
        json!({ "prizes": [prize_of(&one, Some(1), 1)], "customRules": [{ "customRuleId": rule }] }),
    );
    let beta = json!({ "input": input });
    assert_eq!(app.refused(&rival, make, beta).await.len(), 1, "neither the collectible nor the rule is theirs");
}
