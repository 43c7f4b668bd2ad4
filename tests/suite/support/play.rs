//! The moves that tests play campaigns with: each is one operation of the public API, or a few that belong together.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use minthouse::app::sealed_columns;
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::rotate;
use serde_json::{Value, json};

use super::app::{TestApp, text};

pub const DRAW: &str = "mutation($activity: ID!, $key: String!, $seed: String) {
    activityDraw(input: {activityId: $activity, idempotencyKey: $key, clientSeed: $seed}) {
        draw { id sequence serialNumber awardedPrize { id } claim { id serialNumber state } } replayed userErrors { code field } } }";
pub const TAKE: &str = "mutation($id: ID!, $key: String!) {
    claimTake(input: {id: $id, idempotencyKey: $key}) {
        claim { id state version transfer { id } } replayed userErrors { code field } } }";
pub const GIVE: &str = "mutation($item: ID!, $to: ID!, $key: String!) {
    transferStart(input: {itemId: $item, toHolderId: $to, idempotencyKey: $key}) {
        transfer { id state version } replayed userErrors { code field } } }";
pub const PLACE: &str = "mutation($input: OrderPlaceInput!) {
    orderPlace(input: $input) { order { id state number total { amountMinor } } replayed userErrors { code field } } }";
pub const PAY: &str = "mutation($order: ID!, $key: String!) {
    sandboxPay(input: {orderId: $order, idempotencyKey: $key}) {
        order { id state } payment { id state channelTransactionId } replayed userErrors { code field } } }";
pub const CANCEL: &str = "mutation($order: ID!, $key: String!) {
    orderCancel(input: {orderId: $order, idempotencyKey: $key}) {
        order { id state } replayed userErrors { code field } } }";
pub const AIRDROP: &str = "mutation($input: AirdropStartInput!) {
    airdropStart(input: $input) { airdrop { id state rowCount } replayed userErrors { code field } } }";
pub const CREATE: &str = "mutation($input: ActivityCreateInput!) {
    activityCreate(input: $input) { activity { id state prizes { id } } userErrors { code field } } }";
pub const SUBMIT: &str = "mutation($id: ID!) {
    activitySubmit(input: {id: $id}) { activity { id state } userErrors { code field } } }";
pub const PUBLISH: &str = "mutation($id: ID!, $key: String!) {
    activityPublish(input: {id: $id, idempotencyKey: $key}) { activity { id state } replayed userErrors { code field } } }";
pub const PAUSE: &str = "mutation($id: ID!) {
    activityPause(input: {id: $id}) { activity { state } userErrors { code field } } }";
pub const ISSUE: &str = "mutation($id: ID!, $key: String!) {
    collectibleIssue(input: {id: $id, idempotencyKey: $key}) { collectible { id state } replayed userErrors { code field } } }";
pub const DECIDE: &str = "mutation($id: ID!, $verdict: Verdict!, $remark: String) {
    reviewDecide(input: {id: $id, verdict: $verdict, remark: $remark}) { review { state remark } userErrors { code field } } }";

/// A key that this process has not used before.
pub fn key() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("key-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A mobile number of its own for each `number` below ten million.
pub fn phone(number: usize) -> String {
    format!("1381{number:07}")
}

/// A person signed on: what speaks for them, and who they are.
#[derive(Clone, Debug)]
pub struct Person {
    pub token: String,
    pub id: String,
}

impl TestApp {
    /// Exchanges the enterprise's data key: what was sealed under the one before is sealed anew.
    pub async fn exchange_data_key(&self, slug: &str) {
        let (platform, tenant, columns) = (&self.app.platform, self.enterprise(slug).await, sealed_columns());
        let rotation = rotate::begin(platform, tenant, &columns).await.expect("it begins");
        assert!(rotation.fresh && rotation.values > 0, "{rotation:?}");
        rotate::reseal(platform, tenant, &columns, rotation.version, &|_| ()).await.expect("it ends");
    }

    pub async fn owner(&self, slug: &str) -> String {
        self.operator(slug, Role::Owner).await
    }

    pub async fn person(&self, slug: &str, number: usize) -> Person {
        let (token, id) = self.holder(slug, &phone(number)).await;
        Person { token, id }
    }

    pub async fn people(&self, slug: &str, count: usize) -> Vec<Person> {
        futures_util::future::join_all((0..count).map(|number| self.person(slug, number))).await
    }

    /// The manifest's activity of a kind: its ID, and its first prize's where it has one.
    pub async fn activity(&self, operator: &str, kind: &str) -> (String, Option<String>) {
        let query = "query($kind: ActivityKind!) {
            activities(filter: {kind: $kind}, orderBy: CREATED_AT_ASC) { nodes { id prizes { id } } } }";
        let found = self.ok(Some(operator), query, json!({ "kind": kind })).await;
        let first = &found["activities"]["nodes"][0];
        (text(&first["id"]), first["prizes"][0]["id"].as_str().map(str::to_owned))
    }

    /// The manifest's sale and its only offer.
    pub async fn sale(&self, operator: &str) -> (String, String) {
        let (sale, _) = self.activity(operator, "SALE").await;
        let query = "query($id: ID!) { offers(filter: {activityId: $id}) { nodes { id } } }";
        let found = self.ok(Some(operator), query, json!({ "id": sale })).await;
        (sale, text(&found["offers"]["nodes"][0]["id"]))
    }

    pub async fn collectible(&self, operator: &str) -> String {
        let query = "{ collectibles(first: 1, orderBy: CREATED_AT_ASC) { nodes { id } } }";
        text(&self.ok(Some(operator), query, json!({})).await["collectibles"]["nodes"][0]["id"])
    }

    pub async fn draw(&self, person: &Person, activity: &str) -> Value {
        self.done(&person.token, DRAW, json!({ "activity": activity, "key": key() })).await["draw"].take()
    }

    pub async fn place(&self, person: &Person, (sale, offer): &(String, String), quantity: i32) -> String {
        let placed = self.done(&person.token, PLACE, order_of(sale, offer, quantity)).await;
        text(&placed["order"]["id"])
    }

    pub async fn buy(&self, person: &Person, sale: &(String, String), quantity: i32) -> String {
        let order = self.place(person, sale, quantity).await;
        self.done(&person.token, PAY, json!({ "order": order, "key": key() })).await;
        order
    }

    /// An item that a person has drawn, taken up and got. Does background work until it is there.
    pub async fn item(&self, person: &Person, activity: &str) -> String {
        let drawn = self.draw(person, activity).await;
        let taken = json!({ "id": drawn["claim"]["id"], "key": key() });
        let taken = self.done(&person.token, TAKE, taken).await;
        self.settle().await;
        let query = "query($id: ID!) { transfer(id: $id) { item { id } } }";
        let transfer = json!({ "id": taken["claim"]["transfer"]["id"] });
        text(&self.ok(Some(&person.token), query, transfer).await["transfer"]["item"]["id"])
    }

    /// A draft; `more` goes into its input.
    pub async fn draft(&self, operator: &str, kind: &str, more: Value) -> Value {
        let created = self.done(operator, CREATE, json!({ "input": activity_of(kind, more) })).await;
        created["activity"].clone()
    }

    /// The open review of a subject.
    pub async fn review_of(&self, subject: &str) -> String {
        let house = self.house(Role::Owner).await;
        let query = "{ reviews(first: 100, filter: {state: PENDING}) { nodes { id subjectId } } }";
        let found = self.ok(Some(&house), query, json!({})).await;
        let reviews = found["reviews"]["nodes"].as_array().expect("a list").clone();
        let review = reviews.iter().find(|review| review["subjectId"] == subject);
        text(&review.unwrap_or_else(|| panic!("{subject} is not in the queue: {reviews:?}"))["id"])
    }

    pub async fn approve(&self, subject: &str) {
        let review = self.review_of(subject).await;
        let house = self.house(Role::Owner).await;
        self.done(&house, DECIDE, json!({ "id": review, "verdict": "APPROVE" })).await;
    }

    /// Does the background work that is due. Meant for a house without workers of its own.
    pub async fn settle(&self) {
        self.app.settle().await.expect("the background work can be done");
    }

    /// A whole number that SQL gives.
    pub fn count(&self, sql: &str) -> i64 {
        let answer = self.sql(sql);
        answer.parse().unwrap_or_else(|_| panic!("{sql} gave `{answer}`"))
    }

    /// What must hold of every ledger at every moment; each row that breaks it is named.
    pub fn sums_hold(&self) {
        let broken = self.sql(
            "SELECT coalesce(string_agg(what, '; '), '') FROM (
                SELECT 'allotment ' || a.id FROM allotments AS a
                  LEFT JOIN (SELECT allotment_id, sum(available_delta) AS available, sum(reserved_delta) AS reserved,
                        sum(issued_delta) AS issued, sum(void_delta) AS void FROM stock_entries GROUP BY allotment_id) AS e
                    ON e.allotment_id = a.id
                 WHERE (a.available, a.reserved, a.issued, a.void) IS DISTINCT FROM (e.available, e.reserved, e.issued, e.void)
                    OR a.total <> a.available + a.reserved + a.issued + a.void
                UNION ALL
                SELECT 'chances of ' || p.holder_id FROM participants AS p
                  LEFT JOIN (SELECT activity_id, holder_id, sum(delta) AS held FROM chance_entries GROUP BY 1, 2) AS e
                    USING (activity_id, holder_id)
                 WHERE p.granted - p.used IS DISTINCT FROM e.held
                UNION ALL
                SELECT 'draws of ' || p.holder_id FROM participants AS p
                  LEFT JOIN (SELECT activity_id, holder_id, count(*) AS made FROM draws GROUP BY 1, 2) AS d
                    USING (activity_id, holder_id)
                 WHERE p.used <> coalesce(d.made, 0)
                UNION ALL
                SELECT 'nobody ' || r.holder_id
                  FROM (SELECT tenant_id, holder_id FROM participants UNION SELECT tenant_id, holder_id FROM claims) AS r
                 WHERE NOT EXISTS (SELECT FROM holders AS h WHERE h.tenant_id = r.tenant_id AND h.id = r.holder_id)
                UNION ALL
                SELECT 'points of ' || a.holder_id FROM point_accounts AS a
                  LEFT JOIN (SELECT holder_id, sum(delta) AS held FROM point_entries GROUP BY 1) AS e USING (holder_id)
                 WHERE a.balance <> coalesce(e.held, 0)
                UNION ALL
                SELECT 'stock of ' || a.id FROM allotments AS a
                  JOIN (SELECT allotment_id, count(*) FILTER (WHERE state IN ('IN_REVIEW', 'PENDING', 'CLAIMED', 'DELIVERING')) AS owed,
                               count(*) FILTER (WHERE state = 'DELIVERED') AS delivered,
                               count(*) FILTER (WHERE state = 'REVOKED') AS revoked FROM claims GROUP BY 1) AS c
                    ON c.allotment_id = a.id
                 WHERE (a.reserved, a.issued, a.void) <> (c.owed, c.delivered, c.revoked)
                UNION ALL
                SELECT 'purchases of ' || t.holder_id FROM purchase_tallies AS t
                  LEFT JOIN (SELECT l.offer_id, l.holder_id, sum(l.quantity) AS held FROM order_lines AS l
                        JOIN orders AS o ON o.id = l.order_id WHERE o.state NOT IN ('CANCELLED', 'EXPIRED') GROUP BY 1, 2) AS l
                    USING (offer_id, holder_id)
                 WHERE t.quantity <> coalesce(l.held, 0)
                UNION ALL
                SELECT 'counts of ' || activity_id || ' by ' || span || ' at ' || starts_at
                  FROM (SELECT activity_id, span, starts_at, sum(participants) AS participants, sum(draws) AS draws,
                               sum(wins) AS wins, sum(claims) AS claims
                          FROM activity_counts GROUP BY 1, 2, 3) AS counted
                  FULL JOIN (SELECT activity_id, span, date_trunc(span, at, 'UTC') AS starts_at, sum(participants) AS participants,
                               sum(draws) AS draws, sum(wins) AS wins, sum(claims) AS claims
                          FROM (SELECT activity_id, created_at AS at, (ordinal = 1)::integer AS participants, 1 AS draws,
                                       (awarded_prize_id IS NOT NULL)::integer AS wins, 0 AS claims FROM draws
                                UNION ALL
                                SELECT activity_id, taken_at, 0, 0, 0, 1 FROM claims WHERE taken_at IS NOT NULL
                               ) AS happened
                         CROSS JOIN (VALUES ('MINUTE'), ('HOUR')) AS spans (span) GROUP BY 1, 2, 3) AS happened
                    USING (activity_id, span, starts_at)
                 WHERE (coalesce(counted.participants, 0), coalesce(counted.draws, 0), coalesce(counted.wins, 0), coalesce(counted.claims, 0))
                    <> (coalesce(happened.participants, 0), coalesce(happened.draws, 0), coalesce(happened.wins, 0), coalesce(happened.claims, 0))
                UNION ALL
                SELECT 'views of ' || activity_id
                  FROM (SELECT activity_id, span, sum(views) AS views, sum(viewers) AS viewers FROM activity_counts GROUP BY 1, 2) AS counted
                  FULL JOIN (SELECT activity_id, span, sum(views) AS views, count(*) AS viewers FROM activity_viewers
                         CROSS JOIN (VALUES ('MINUTE'), ('HOUR')) AS spans (span) GROUP BY 1, 2) AS seen
                    USING (activity_id, span)
                 WHERE (coalesce(counted.views, 0), coalesce(counted.viewers, 0)) <> (coalesce(seen.views, 0), coalesce(seen.viewers, 0))
            ) AS broken (what)",
        );
        assert_eq!(broken, "");
    }
}

pub fn order_of(sale: &str, offer: &str, quantity: i32) -> Value {
    json!({ "input": { "activityId": sale, "lines": [{ "offerId": offer, "quantity": quantity }], "idempotencyKey": key() } })
}

pub fn activity_of(kind: &str, more: Value) -> Value {
    let mut input = json!({ "kind": kind, "name": { "chinese": "活动", "english": "Activity" },
        "opensAt": "2026-01-01T00:00:00Z", "closesAt": "2036-01-01T00:00:00Z" });
    let more = more.as_object().expect("an object").clone();
    input.as_object_mut().expect("an object").extend(more);
    input
}

pub fn prize_of(collectible: &str, odds: Option<i32>, quantity: i32) -> Value {
    json!({ "collectibleId": collectible, "level": 0, "name": { "chinese": "奖", "english": "Prize" },
        "oddsPerMillion": odds, "quantity": quantity })
}

/// Looks again and again until something holds.
pub async fn until<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
