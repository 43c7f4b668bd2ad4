//! Events: numbered without gaps whoever publishes them, and followed without gap or repetition.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::app::{TestApp, text};
use crate::support::play::{DRAW, GIVE, PLACE, Person, key, order_of, until};
use crate::support::stream::Stream;

const FOLLOW: &str = "subscription($after: String, $types: [String!]) {
    events(after: $after, types: $types) { sequence cursor type subjectVersion } }";

async fn draw_all(app: &TestApp, people: &[Person], activity: &str) {
    let turns =
        people.iter().map(|person| app.done(&person.token, DRAW, json!({ "activity": activity, "key": key() })));
    join_all(turns).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_number_a_burst_without_gaps() {
    let here = TestApp::builder().start().await;
    let there = TestApp::builder().start_beside(&here).await;
    let owner = here.owner("alpha").await;
    let (activity, _) = here.activity(&owner, "DRAW").await;
    let sale = here.sale(&owner).await;
    let people = here.people("alpha", 30).await;
    let rivals = there.people("beta", 10).await;
    let (rival_activity, _) = there.activity(&there.owner("beta").await, "DRAW").await;
    let buying = people.iter().take(10).map(|person| async {
        let order = there.done(&person.token, PLACE, order_of(&sale.0, &sale.1, 1)).await;
        let pay = "mutation($order: ID!, $key: String!) { sandboxPay(input: {orderId: $order, idempotencyKey: $key}) { userErrors { code } } }";
        here.done(&person.token, pay, json!({ "order": order["order"]["id"], "key": key() })).await;
    });
    tokio::join!(
        draw_all(&here, &people, &activity),
        draw_all(&there, &people, &activity),
        draw_all(&here, &rivals, &rival_activity),
        join_all(buying),
    );
    until("the orders are delivered and every event is out", async || {
        here.count(
            "SELECT ((SELECT count(*) FROM outbox) + (SELECT count(*) FROM orders WHERE state <> 'COMPLETED'))::text",
        ) == 0
    })
    .await;

    let gaps = "SELECT count(*)::text FROM (SELECT tenant_id FROM events GROUP BY tenant_id
        HAVING count(*) <> max(sequence) OR count(DISTINCT sequence) <> max(sequence) OR min(sequence) <> 1) AS wrong";
    assert_eq!(here.count(gaps), 0, "each enterprise counts 1, 2, 3, …");
    assert_eq!(here.count("SELECT count(DISTINCT tenant_id)::text FROM events"), 2);
    let unordered = "SELECT count(*)::text FROM (
        SELECT subject_version - lag(subject_version, 1, 0) OVER (PARTITION BY tenant_id, subject_id ORDER BY sequence) AS step
          FROM events WHERE type IN ('order.changed', 'transfer.changed', 'claim.changed', 'draw.recorded')) AS steps WHERE step <> 1";
    assert_eq!(here.count(unordered), 0, "each subject's versions are 1, 2, 3, … in the order of the events");
    for (kind, table) in [("draw.recorded", "draws"), ("holder.registered", "holders")] {
        let (told, there_are) = (
            here.count(&format!("SELECT count(*)::text FROM events WHERE type = '{kind}'")),
            here.count(&format!("SELECT count(*)::text FROM {table}")),
        );
        assert_eq!(told, there_are, "each {kind} is told once");
    }
    let last = "SELECT count(*)::text FROM orders AS o WHERE o.version <>
        (SELECT max(subject_version) FROM events WHERE subject_id = o.id)";
    assert_eq!(here.count(last), 0, "the last thing told is how it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_goes_on_where_it_left_off() {
    let app = TestApp::builder().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let people = app.people("alpha", 12).await;
    until("what came before is out", async || app.count("SELECT count(*)::text FROM outbox") == 0).await;
    let before =
        app.count("SELECT max(sequence)::text FROM events JOIN enterprises USING (tenant_id) WHERE slug = 'alpha'");

    let mut first = Stream::open(&app, Some(&owner), FOLLOW, json!({})).await;
    let (one, two) = people.split_at(6);
    draw_all(&app, one, &activity).await;
    let mut seen: Vec<Value> = Vec::new();
    for _ in 0..5 {
        seen.push(first.data().await);
    }
    drop(first);
    draw_all(&app, two, &activity).await;
    let cursor = seen[4]["cursor"].clone();
    let mut second = Stream::open(&app, Some(&owner), FOLLOW, json!({ "after": cursor })).await;
    // Each draw tells of itself and of the claim that it won.
    while seen.len() < 24 {
        seen.push(second.data().await);
    }
    let sequences: Vec<i64> = seen.iter().map(|event| event["sequence"].as_i64().expect("a number")).collect();
    assert_eq!(sequences, (before + 1..=before + 24).collect::<Vec<_>>(), "from now on, no gap, no repetition");

    // And on from the last, live again.
    app.draw(&people[0], &activity).await;
    assert_eq!(second.data().await["sequence"], before + 25);

    let mut draws =
        Stream::open(&app, Some(&owner), FOLLOW, json!({ "after": cursor, "types": ["draw.recorded"] })).await;
    let after = sequences[4];
    let due = app.count(&format!(
        "SELECT count(*)::text FROM events JOIN enterprises USING (tenant_id)
          WHERE slug = 'alpha' AND type = 'draw.recorded' AND sequence > {after} AND sequence <= {before} + 24"
    ));
    assert!(due > 5);
    for _ in 0..due {
        assert_eq!(draws.data().await["type"], "draw.recorded");
    }
    let page = "query($after: String) { events(after: $after, first: 3, filter: {types: [\"draw.recorded\"]}) { nodes { type sequence } } }";
    let pulled = app.ok(Some(&owner), page, json!({ "after": cursor })).await;
    assert_eq!(pulled["events"]["nodes"].as_array().map(Vec::len), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_enterprise_follows_and_only_what_there_is() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let person = app.person("alpha", 1).await;
    let code = async |token: &str, variables: Value| {
        let mut stream = Stream::open(&app, Some(token), FOLLOW, variables).await;
        let refused = stream.next().await.expect("a result");
        assert_eq!(stream.next().await, None, "and nothing after it");
        text(&refused["errors"][0]["extensions"]["code"])
    };
    // Every role of an operator has EVENT_READ; a holder's token has no role.
    assert_eq!(code(&person.token, json!({})).await, "FORBIDDEN");
    assert_eq!(code(&owner, json!({ "types": ["nothing.happened"] })).await, "BAD_REQUEST");
    let foreign = app.ok(Some(&owner), "{ holders { edges { cursor } } }", json!({})).await;
    let cursor = &foreign["holders"]["edges"][0]["cursor"];
    assert_eq!(code(&owner, json!({ "after": cursor })).await, "BAD_REQUEST");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_followed_from_where_it_is_to_its_end() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let people = app.people("alpha", 3).await;
    let item = app.item(&people[0], &activity).await;
    let gift = json!({ "item": item, "to": people[1].id, "key": key() });
    let transfer = app.done(&people[0].token, GIVE, gift).await["transfer"]["id"].clone();
    let status = "subscription($id: ID!) { transferStatus(id: $id) { state version } }";
    let variables = json!({ "id": transfer });
    let mut streams = Vec::new();
    for token in [&owner, &people[0].token, &people[1].token] {
        let mut stream = Stream::open(&app, Some(token), status, variables.clone()).await;
        assert_eq!(stream.data().await, json!({ "state": "REQUESTED", "version": 1 }));
        streams.push(stream);
    }
    app.settle().await;
    for mut stream in streams {
        for (state, version) in [("LOCKED", 2), ("SUBMITTED", 3), ("CONFIRMED", 4), ("SUCCEEDED", 5)] {
            assert_eq!(stream.data().await, json!({ "state": state, "version": version }));
        }
        assert_eq!(stream.next().await, None, "it is over");
    }
    let mut late = Stream::open(&app, Some(&owner), status, variables.clone()).await;
    assert_eq!(late.data().await, json!({ "state": "SUCCEEDED", "version": 5 }));
    assert_eq!(late.next().await, None);
    let mut uninvolved = Stream::open(&app, Some(&people[2].token), status, variables).await;
    let refused = uninvolved.next().await.expect("a result");
    assert_eq!(refused["errors"][0]["extensions"]["code"], "NOT_FOUND");
}
