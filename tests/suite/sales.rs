//! First-hand sale: what is sold is there, what is paid is paid once, and what is not paid comes back.

use futures_util::future::{join, join_all};
use minthouse::tenancy::permission::Role;
use serde_json::{Value, json};

use crate::support::app::{TestApp, text};
use crate::support::play::{CANCEL, PAY, PLACE, SUBMIT, key, order_of};

/// What small.toml offers: ten pieces at ten yuan, three a holder.
const PIECES: i64 = 10;
const LIMIT: i32 = 3;
const PRICE: i64 = 1000;

const OFFER: &str = "mutation($input: OfferCreateInput!) {
    offerCreate(input: $input) { offer { id position } userErrors { code field } } }";
const BIND: &str = "mutation($number: String!) {
    merchantCreate(input: {name: \"M\", merchantNumber: $number}) { merchant { id state } userErrors { code field } } }";
const VERIFY: &str =
    "mutation($id: ID!) { merchantVerify(input: {id: $id}) { merchant { state } userErrors { code field } } }";
const HOST: &str = "mutation($host: String!) {
    domainCreate(input: {host: $host, filingNumber: \"备1\"}) { domain { host state verificationToken } userErrors { code field } } }";

fn stock(app: &TestApp) -> String {
    app.sql("SELECT available || ' ' || reserved || ' ' || issued FROM allotments JOIN offers ON offers.allotment_id = allotments.id
        JOIN enterprises ON enterprises.tenant_id = offers.tenant_id WHERE slug = 'alpha'")
}

async fn order(app: &TestApp, token: &str, id: &str) -> Value {
    let query = "query($id: ID!) { order(id: $id) { state total { amountMinor } undelivered paidAt
        lines { quantity serials } payments { id state amount { amountMinor } } } }";
    app.ok(Some(token), query, json!({ "id": id })).await["order"].take()
}

fn paying(order: &str) -> Value {
    json!({ "order": order, "key": key() })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_paid_and_completed() {
    let app = TestApp::builder().idle().start().await;
    let sale = app.sale(&app.owner("alpha").await).await;
    let (buyer, other) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    let id = app.place(&buyer, &sale, 2).await;
    let placed = order(&app, &buyer.token, &id).await;
    assert_eq!((&placed["state"], &placed["total"]["amountMinor"]), (&json!("PENDING_PAYMENT"), &json!(2 * PRICE)));
    assert_eq!((&placed["lines"][0]["serials"], &placed["payments"]), (&Value::Null, &json!([])));
    assert_eq!(stock(&app), "8 2 0");
    assert_eq!(order(&app, &other.token, &id).await, Value::Null, "another's order is not there");
    assert_eq!(app.refused(&other.token, PAY, paying(&id)).await, ["ORDER_NOT_FOUND"]);
    let start = "mutation($id: ID!) { orderPaymentStart(input: {orderId: $id}) { channel parameters { name value } userErrors { code } } }";
    let started = app.done(&buyer.token, start, json!({ "id": id })).await;
    assert_eq!(started["channel"], "SANDBOX");

    let paid = app.done(&buyer.token, PAY, paying(&id)).await;
    assert_eq!((&paid["order"]["state"], &paid["payment"]["state"]), (&json!("FULFILLING"), &json!("SUCCEEDED")));
    app.settle().await;
    let done = order(&app, &buyer.token, &id).await;
    assert_eq!((&done["state"], &done["undelivered"]), (&json!("COMPLETED"), &json!(0)));
    let held =
        app.ok(Some(&buyer.token), "{ items(orderBy: CREATED_AT_ASC) { nodes { serialNumber } } }", json!({})).await;
    let held: Vec<&Value> =
        held["items"]["nodes"].as_array().expect("a list").iter().map(|item| &item["serialNumber"]).collect();
    assert_eq!(json!(held), done["lines"][0]["serials"]);
    assert_eq!(stock(&app), "8 0 2");
    app.sums_hold();
    assert_eq!(app.refused(&buyer.token, start, json!({ "id": id })).await, ["WRONG_STATE"]);
    assert_eq!(app.refused(&buyer.token, CANCEL, paying(&id)).await, ["WRONG_STATE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_buyers_get_what_there_is() {
    let app = TestApp::builder().idle().start().await;
    let sale = app.sale(&app.owner("alpha").await).await;
    let people = app.people("alpha", 100).await;
    let race = people.iter().map(|person| app.ok(Some(&person.token), PLACE, order_of(&sale.0, &sale.1, 1)));
    let answers = join_all(race).await;
    let orders: Vec<(usize, String)> = answers
        .iter()
        .enumerate()
        .filter_map(|(buyer, answer)| Some((buyer, answer["orderPlace"]["order"]["id"].as_str()?.to_owned())))
        .collect();
    assert_eq!(orders.len() as i64, PIECES);
    let refused = answers.iter().filter(|answer| answer["orderPlace"]["userErrors"][0]["code"] == "SOLD_OUT").count();
    assert_eq!(refused, people.len() - orders.len());
    assert_eq!(stock(&app), "0 10 0");
    app.sums_hold();
    join_all(orders.iter().map(|(buyer, id)| app.done(&people[*buyer].token, PAY, paying(id)))).await;
    app.settle().await;
    assert_eq!(stock(&app), "0 0 10");
    app.sums_hold();
    assert_eq!(app.count("SELECT count(DISTINCT serial)::text FROM items WHERE holder_id IS NOT NULL"), PIECES);
    assert_eq!(app.count("SELECT sum(amount_minor)::text FROM payments WHERE state = 'SUCCEEDED'"), PIECES * PRICE);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_passes_their_limit_by_haste() {
    let app = TestApp::builder().idle().start().await;
    let sale = app.sale(&app.owner("alpha").await).await;
    let buyer = app.person("alpha", 1).await;
    let race = (0..8).map(|_| app.refused(&buyer.token, PLACE, order_of(&sale.0, &sale.1, 1)));
    let answers = join_all(race).await;
    assert_eq!(answers.iter().filter(|codes| codes.is_empty()).count() as i32, LIMIT);
    assert!(answers.iter().all(|codes| codes.is_empty() || *codes == ["LIMIT_REACHED"]), "{answers:?}");
    let split = json!({ "input": { "activityId": sale.0, "idempotencyKey": key(),
        "lines": [{ "offerId": sale.1, "quantity": 2 }, { "offerId": sale.1, "quantity": 2 }] } });
    let other = app.person("alpha", 2).await;
    assert_eq!(app.refused(&other.token, PLACE, split).await, ["LIMIT_REACHED"], "two lines count together");
    assert_eq!(stock(&app), "7 3 0");
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_paid_in_time_comes_back() {
    let app = TestApp::builder().idle().start().await;
    let sale = app.sale(&app.owner("alpha").await).await;
    let buyer = app.person("alpha", 1).await;
    let (late, kept) = (app.place(&buyer, &sale, 2).await, app.place(&buyer, &sale, 1).await);
    app.sql("UPDATE orders SET expires_at = now() - interval '1 second' WHERE total_minor = 2000");
    app.settle().await;
    assert_eq!(order(&app, &buyer.token, &late).await["state"], "EXPIRED");
    assert_eq!(order(&app, &buyer.token, &kept).await["state"], "PENDING_PAYMENT");
    assert_eq!(stock(&app), "9 1 0");
    app.sums_hold();
    let start = "mutation($id: ID!) { orderPaymentStart(input: {orderId: $id}) { channel userErrors { code } } }";
    assert_eq!(app.refused(&buyer.token, start, json!({ "id": late })).await, ["ORDER_EXPIRED"]);
    // The limit is free again, and money that comes late is honoured while there is enough.
    let paid = app.done(&buyer.token, PAY, paying(&late)).await;
    assert_eq!((&paid["order"]["state"], &paid["payment"]["state"]), (&json!("FULFILLING"), &json!("SUCCEEDED")));
    assert_eq!(stock(&app), "7 3 0");
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_for_what_is_gone_is_due_back() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let sale = app.sale(&owner).await;
    let people = app.people("alpha", 5).await;
    let late = app.place(&people[0], &sale, 1).await;
    app.sql("UPDATE orders SET expires_at = now() - interval '1 second'");
    app.settle().await;
    for (buyer, quantity) in people[1..].iter().zip([3, 3, 3, 1]) {
        app.place(buyer, &sale, quantity).await;
    }
    assert_eq!(stock(&app), "0 10 0");
    let paid = app.done(&people[0].token, PAY, paying(&late)).await;
    assert_eq!((&paid["order"]["state"], &paid["payment"]["state"]), (&json!("EXPIRED"), &json!("REFUND_DUE")));
    assert_eq!(stock(&app), "0 10 0");
    app.sums_hold();
    app.settle().await;
    let told = "SELECT data->'refundDue'->>'reason' FROM events WHERE data->'refundDue' IS NOT NULL";
    assert_eq!(app.sql(told), "SOLD_OUT");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_and_paying_at_once_ends_in_one_of_the_two() {
    let app = TestApp::builder().idle().start().await;
    let sale = app.sale(&app.owner("alpha").await).await;
    let people = app.people("alpha", 20).await;
    let (buyers, waiting) = people.split_at(PIECES as usize);
    let orders = join_all(buyers.iter().map(|buyer| app.place(buyer, &sale, 1))).await;
    let race = buyers.iter().zip(&orders).map(|(buyer, order)| {
        join(app.refused(&buyer.token, CANCEL, paying(order)), app.done(&buyer.token, PAY, paying(order)))
    });
    // Others are waiting for what is called off, so that not every payment that comes late is still good.
    let snatching = waiting.iter().map(|person| app.refused(&person.token, PLACE, order_of(&sale.0, &sale.1, 1)));
    let (outcomes, snatched) = join(join_all(race), join_all(snatching)).await;
    for ((cancelled, _), (id, buyer)) in outcomes.iter().zip(orders.iter().zip(buyers)) {
        let ended = order(&app, &buyer.token, id).await;
        assert_eq!(ended["payments"].as_array().map(Vec::len), Some(1), "money is never lost");
        let (state, payment) = (text(&ended["state"]), text(&ended["payments"][0]["state"]));
        match (state.as_str(), payment.as_str()) {
            ("FULFILLING", "SUCCEEDED") => {}
            ("CANCELLED", "REFUND_DUE") => assert!(cancelled.is_empty()),
            other => panic!("{other:?}"),
        }
        assert!(cancelled.is_empty() || *cancelled == ["WRONG_STATE"], "{cancelled:?}");
    }
    app.sums_hold();
    let fulfilled = app.count("SELECT count(*)::text FROM orders WHERE state = 'FULFILLING'");
    let placed = snatched.iter().filter(|codes| codes.is_empty()).count() as i64;
    assert_eq!(stock(&app), format!("{} {} 0", PIECES - fulfilled - placed, fulfilled + placed));
    app.settle().await;
    assert_eq!(stock(&app), format!("{} {placed} {fulfilled}", PIECES - fulfilled - placed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_paid_once() {
    let app = TestApp::builder().idle().start().await;
    let sale = app.sale(&app.owner("alpha").await).await;
    let buyer = app.person("alpha", 1).await;
    let id = app.place(&buyer, &sale, 1).await;
    let answers = join_all((0..10).map(|_| app.done(&buyer.token, PAY, paying(&id)))).await;
    assert_eq!(answers.iter().filter(|answer| answer["replayed"] == false).count(), 1);
    assert!(answers.iter().all(|answer| answer["payment"] == answers[0]["payment"]));
    assert_eq!(app.count("SELECT count(*)::text FROM payments"), 1);
    assert_eq!(app.count("SELECT count(*)::text FROM transfers"), 1);
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_pays_a_price_they_have_not_seen() {
    let app = TestApp::builder().idle().start().await;
    let sale = app.sale(&app.owner("alpha").await).await;
    let buyer = app.person("alpha", 1).await;
    let seen = |total: i64| {
        let mut input = order_of(&sale.0, &sale.1, 2);
        input["input"]["expectedTotalMinor"] = json!(total);
        input
    };
    assert_eq!(app.refused(&buyer.token, PLACE, seen(2 * PRICE - 1)).await, ["PRICE_CHANGED"]);
    assert_eq!(stock(&app), "10 0 0");
    let placed = app.done(&buyer.token, PLACE, seen(2 * PRICE)).await;
    assert_eq!(placed["order"]["total"]["amountMinor"], json!(2 * PRICE));
    let nothing = json!({ "input": { "activityId": sale.0, "lines": [], "idempotencyKey": key() } });
    assert_eq!(app.refused(&buyer.token, PLACE, nothing).await, ["INVALID_INPUT"]);
    assert_eq!(app.refused(&buyer.token, PLACE, order_of(&sale.0, &sale.1, 0)).await, ["INVALID_INPUT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_proven_merchant_sells_and_only_before_review() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let collectible = app.collectible(&owner).await;
    let (published, _) = app.sale(&owner).await;
    let draft = text(&app.draft(&owner, "SALE", json!({})).await["id"]);
    let merchant = text(&app.done(&owner, BIND, json!({ "number": "new-1" })).await["merchant"]["id"]);
    assert_eq!(app.refused(&owner, BIND, json!({ "number": "new-1" })).await, ["MERCHANT_NUMBER_TAKEN"]);
    let offer = |sale: &str, merchant: &str| {
        json!({ "input": { "activityId": sale, "collectibleId": collectible, "merchantId": merchant, "priceMinor": 1,
            "quantity": 1, "limitPerHolder": 1 } })
    };
    assert_eq!(app.refused(&owner, OFFER, offer(&draft, &merchant)).await, ["MERCHANT_NOT_ACTIVE"]);
    let bad = app.done(&owner, BIND, json!({ "number": "bad-1" })).await["merchant"]["id"].clone();
    assert_eq!(app.done(&owner, VERIFY, json!({ "id": bad })).await["merchant"]["state"], "FAILED");
    assert_eq!(app.refused(&owner, OFFER, offer(&draft, &text(&bad))).await, ["MERCHANT_NOT_ACTIVE"]);

    assert_eq!(app.done(&owner, VERIFY, json!({ "id": merchant })).await["merchant"]["state"], "ACTIVE");
    assert_eq!(app.refused(&owner, VERIFY, json!({ "id": merchant })).await, ["ALREADY_ACTIVE"]);
    assert_eq!(app.refused(&owner, OFFER, offer(&published, &merchant)).await, ["ACTIVITY_FROZEN"]);
    app.done(&owner, OFFER, offer(&draft, &merchant)).await;
    app.done(&owner, SUBMIT, json!({ "id": draft })).await;
    assert_eq!(app.refused(&owner, OFFER, offer(&draft, &merchant)).await, ["ACTIVITY_FROZEN"]);
    // Money is no campaigner's, and a campaign no treasurer's.
    let campaigner = app.operator("alpha", Role::Operator).await;
    let answer = app.send(Some(&campaigner), OFFER, offer(&draft, &merchant)).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_bound_by_whoever_wants_it_and_once_by_each() {
    let app = TestApp::builder().idle().start().await;
    let (alpha, beta) = (app.owner("alpha").await, app.owner("beta").await);
    // small.toml binds it to alpha, which has proved nothing; who owns it is told in hosts.rs.
    assert_eq!(app.refused(&beta, HOST, json!({ "host": "H5.alpha.example." })).await, Vec::<String>::new());
    assert_eq!(app.refused(&beta, HOST, json!({ "host": "10.0.0.1" })).await, ["INVALID_INPUT"]);
    let race = [&alpha, &beta, &alpha, &beta].map(|owner| app.refused(owner, HOST, json!({ "host": "new.example" })));
    let answers = join_all(race).await;
    assert_eq!(answers.iter().filter(|codes| codes.is_empty()).count(), 2, "{answers:?}");
    assert!(answers.iter().all(|codes| codes.is_empty() || *codes == ["HOST_TAKEN"]), "{answers:?}");
    let fresh = app.done(&beta, HOST, json!({ "host": " Shop.Beta.example" })).await["domain"].clone();
    assert_eq!((&fresh["host"], &fresh["state"]), (&json!("shop.beta.example"), &json!("PENDING")));
    assert!(text(&fresh["verificationToken"]).len() >= 32);
}
