//! Issuance: whatever is lost, broken off or refused on the way, each piece comes into being once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use minthouse::catalog::issue;
use minthouse::catalog::issue_job::IssuanceJob;
use minthouse::catalog::model::CollectibleId;
use minthouse::ledger::Ledger;
use minthouse::ledger::embedded::EmbeddedLedger;
use minthouse::ledger::model::{Content, LedgerKind, Operation};
use minthouse::platform::fault::Fault;
use minthouse::platform::id as ids;
use minthouse::tenancy::model::{EnterpriseId, HolderId};
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::scope::{TenantScope, TenantTx};
use minthouse::tenancy::worker::{self, Job};
use minthouse::wallets::model::{Item, Transfer};
use minthouse::wallets::transfer_job::{Arrivals, TransferJob};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::killed::killed_after;
use crate::support::ledgers::{Choking, Late, Refusing, Slow, Stumbling, Trouble};
use crate::support::play::{ISSUE, TAKE, key};
use crate::support::stream::Stream;

/// A house without workers, whose issuances the test carries out itself.
pub struct Scene {
    pub app: TestApp,
    tenant: EnterpriseId,
    sealer: Arc<EmbeddedLedger>,
}

impl Scene {
    pub async fn start() -> Self {
        let app = TestApp::builder().idle().start().await;
        let tenant = app.enterprise("alpha").await;
        let sealer = Arc::new(EmbeddedLedger::new(app.app.platform.clone(), app.app.ledger_keys.clone()));
        Self { app, tenant, sealer }
    }

    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.sealer.clone()
    }

    pub fn job(&self, ledger: Arc<dyn Ledger>) -> IssuanceJob {
        IssuanceJob { platform: self.app.app.platform.clone(), ledger }
    }

    /// An approved collectible of `slug`, as its review leaves it.
    async fn approved(&self, slug: &str, supply: i32) -> CollectibleId {
        let (collectible, tenant) = (CollectibleId::generate(), self.app.enterprise(slug).await.uuid());
        self.app.sql(&format!(
            "WITH made AS (INSERT INTO collectibles (tenant_id, id, series_id, name_chinese, name_english, author, supply, state)
                SELECT tenant_id, '{id}', id, '藏品', 'Collectible', 'A', {supply}, 'APPROVED' FROM series
                 WHERE tenant_id = '{tenant}' LIMIT 1 RETURNING tenant_id, id, supply),
             stocked AS (INSERT INTO collectible_stocks (tenant_id, collectible_id, supply, unallotted, next_serial)
                SELECT tenant_id, id, supply, supply, 1 FROM made RETURNING 1)
             SELECT count(*)::text FROM stocked",
            id = collectible.uuid(),
        ));
        collectible
    }

    async fn issue_of(&self, slug: &str, supply: i32, ledger: LedgerKind) -> CollectibleId {
        let collectible = self.approved(slug, supply).await;
        let scope = TenantScope::of_system(self.app.enterprise(slug).await);
        let key = key().parse().expect("a key");
        let started = issue::start(&self.app.app.platform, &scope, ledger, collectible, &key).await;
        assert!(started.is_ok_and(|started| !started.replayed));
        collectible
    }

    pub async fn issue(&self, supply: i32) -> CollectibleId {
        self.issue_of("alpha", supply, LedgerKind::Embedded).await
    }

    pub fn field(&self, id: CollectibleId, what: &str) -> String {
        self.app.sql(&format!(
            "SELECT coalesce(({what})::text, 'null') FROM collectibles JOIN issuances AS i ON i.collectible_id = collectibles.id
              WHERE collectibles.id = '{}'",
            id.uuid()
        ))
    }

    fn state(&self, id: CollectibleId) -> String {
        self.field(id, "state")
    }

    /// An hour passes, as far as pauses are concerned.
    fn all_due(&self) {
        self.app.sql(
            "WITH i AS (UPDATE issuances SET due_at = due_at - interval '1 hour' RETURNING 1),
                  t AS (UPDATE transfers SET due_at = due_at - interval '1 hour' RETURNING 1) SELECT count(*)::text FROM i, t",
        );
    }

    /// One turn of the job, and of the ledger's own sealer.
    async fn turn(&self, job: &dyn Job) {
        self.all_due();
        job.work(self.tenant).await.expect("the turn ends well");
        self.sealer.work(self.tenant).await.expect("the sealer seals");
    }

    pub async fn until_over(&self, job: &dyn Job, id: CollectibleId) -> String {
        for _ in 0..30 {
            if self.field(id, "i.due_at IS NULL") == "true" {
                return self.state(id);
            }
            self.turn(job).await;
        }
        panic!("it does not end: {} {}", self.state(id), self.field(id, "row_to_json(i)"));
    }

    /// Each serial number once, each batch once on the ledger, and all the counts agree.
    pub fn whole(&self, id: CollectibleId) {
        let broken = self.app.sql(&format!(
            "WITH c AS (SELECT * FROM collectibles WHERE id = '{id}'),
                  i AS (SELECT * FROM issuances WHERE collectible_id = '{id}'),
                  o AS (SELECT (payload::json ->> 'firstSerial')::int AS first, (payload::json ->> 'count')::int AS count, state
                          FROM ledger_operations WHERE kind = 'ISSUE' AND payload LIKE '%{typed}%')
             SELECT coalesce(string_agg(what, '; '), '') FROM (
                SELECT 'items' FROM c WHERE (SELECT array_agg(serial ORDER BY serial) FROM items WHERE collectible_id = c.id)
                    IS DISTINCT FROM (SELECT array_agg(s) FROM generate_series(first_serial, first_serial + supply - 1) AS s)
                UNION ALL SELECT 'state ' || state || issued_count FROM c WHERE state <> 'ISSUED' OR issued_count <> supply
                UNION ALL SELECT 'stock' FROM c LEFT JOIN collectible_stocks AS s ON s.collectible_id = c.id
                    WHERE s.supply IS DISTINCT FROM c.supply OR s.unallotted + s.allotted IS DISTINCT FROM c.supply
                UNION ALL SELECT 'batches' FROM i WHERE confirmed_count <> batch_count OR failure IS NOT NULL OR due_at IS NOT NULL
                    OR batch_count <> (SELECT count(*) FROM issuance_batches WHERE collectible_id = '{id}' AND state = 'CONFIRMED')
                UNION ALL SELECT 'ledger' FROM c, i WHERE (SELECT sum(count) FROM o) IS DISTINCT FROM supply
                    OR (SELECT count(DISTINCT first) FROM o WHERE state = 'CONFIRMED') <> batch_count OR (SELECT count(*) FROM o) <> batch_count
             ) AS broken (what)",
            id = id.uuid(),
            typed = id,
        ));
        assert_eq!(broken, "", "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_step_loses_nothing_and_doubles_nothing() {
    let scene = Scene::start().await;
    let job = scene.job(scene.ledger());
    let mut unharmed = 0;
    for steps in 1..200 {
        let id = scene.issue(1_001).await;
        // The first turn hands over, the second brings into being: each is broken off, at last behind its very end.
        for _ in 0..2 {
            scene.all_due();
            killed_after(steps, job.work(scene.tenant)).await;
            killed_after(steps, scene.sealer.work(scene.tenant)).await;
        }
        unharmed += usize::from(scene.state(id) == "ISSUED");
        assert_eq!(scene.until_over(&job, id).await, "ISSUED", "killed after {steps}");
        scene.whole(id);
        if unharmed == 2 {
            assert!(steps > 2, "it was never killed");
            return;
        }
    }
    panic!("no turn was ever whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_lost_or_goes_unanswered_is_asked_about() {
    let scene = Scene::start().await;
    let mut unknown = 0;
    for trouble in [Trouble::Lost, Trouble::Deaf] {
        for at in 0..4 {
            let ledger = Stumbling { inner: scene.ledger(), at, trouble, calls: AtomicUsize::new(0) };
            let job = scene.job(Arc::new(ledger));
            let id = scene.issue(2_500).await;
            for _ in 0..30 {
                scene.turn(&job).await;
                unknown += usize::from(scene.state(id) == "UNKNOWN");
            }
            assert_eq!(scene.state(id), "ISSUED", "{trouble:?} at call {at}");
            scene.whole(id);
        }
    }
    assert!(unknown >= 4, "nobody could tell, and it was said: {unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_at_once_do_it_once() {
    let scene = Scene::start().await;
    let (one, other) = (scene.job(scene.ledger()), scene.job(scene.ledger()));
    for supply in [1, 1_000, 3_333] {
        let id = scene.issue(supply).await;
        for _ in 0..30 {
            scene.all_due();
            let (a, b, c) =
                tokio::join!(one.work(scene.tenant), other.work(scene.tenant), scene.sealer.work(scene.tenant));
            assert!(a.is_ok() && b.is_ok() && c.is_ok(), "{a:?} {b:?} {c:?}");
            if scene.state(id) == "ISSUED" {
                break;
            }
        }
        scene.whole(id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_fails_the_issuance_with_its_reason_and_the_next_try_completes_it() {
    let scene = Scene::start().await;
    let ledger = Arc::new(Refusing {
        inner: scene.ledger(),
        serial: 2_001,
        refuses: AtomicBool::new(true),
        refused: Mutex::default(),
    });
    let job = scene.job(ledger.clone());
    let id = scene.issue(4_100).await;
    let operation = scene.field(id, "i.operation_id");
    assert_eq!(scene.until_over(&job, id).await, "FAILED");

    let app = &scene.app;
    let owner = app.owner("alpha").await;
    let query = "query($id: ID!) { collectible(id: $id) { state issuedCount issuance { ledger batchCount confirmedBatchCount failure } } }";
    let seen = app.ok(Some(&owner), query, json!({ "id": id.to_string() })).await;
    let failed =
        json!({ "ledger": "EMBEDDED", "batchCount": 5, "confirmedBatchCount": 4, "failure": "no room for 2001" });
    assert_eq!(seen["collectible"], json!({ "state": "FAILED", "issuedCount": 3_100, "issuance": failed }));
    let holder = app.person("alpha", 1).await;
    let theirs = app.send(Some(&holder.token), query, json!({ "id": id.to_string() })).await;
    assert!(!theirs.to_string().contains("no room"), "{theirs:#}");

    // Refused once more, and then not: what is confirmed stays, and the refused name is never used again.
    let again = |key: String| json!({ "id": id.to_string(), "key": key });
    app.done(&owner, ISSUE, again(key())).await;
    assert_eq!(scene.until_over(&job, id).await, "FAILED");
    assert_eq!(ledger.refused.lock().unwrap().len(), 2);
    ledger.refuses.store(false, Ordering::SeqCst);
    app.done(&owner, ISSUE, again(key())).await;
    assert_eq!(scene.until_over(&job, id).await, "ISSUED");
    scene.whole(id);
    assert_eq!(scene.field(id, "i.operation_id"), operation, "one name for all retries");
    assert_eq!(app.refused(&owner, ISSUE, again(key())).await, ["WRONG_STATE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_comes_late_is_not_taken_for_the_next_try() {
    let scene = Scene::start().await;
    let ledger = Arc::new(Refusing {
        inner: scene.ledger(),
        serial: 1,
        refuses: AtomicBool::new(true),
        refused: Mutex::default(),
    });
    let late = Arc::new(Late::armed(ledger.clone()));
    let (slow, quick) = (scene.job(late.clone()), scene.job(ledger.clone()));
    let id = scene.issue(10).await;
    scene.turn(&quick).await;
    scene.all_due();
    let hears_it_late = async { slow.work(scene.tenant).await.expect("the turn ends well") };
    let meanwhile = async {
        late.has_heard().await;
        assert_eq!(scene.until_over(&quick, id).await, "FAILED");
        ledger.refuses.store(false, Ordering::SeqCst);
        let owner = scene.app.owner("alpha").await;
        scene.app.done(&owner, ISSUE, json!({ "id": id.to_string(), "key": key() })).await;
        scene.turn(&quick).await;
        assert_eq!(
            scene.field(id, "(SELECT state FROM issuance_batches AS b WHERE b.collectible_id = i.collectible_id)"),
            "HANDED"
        );
        late.let_go();
    };
    tokio::join!(hears_it_late, meanwhile);
    assert_eq!(scene.until_over(&quick, id).await, "ISSUED");
    scene.whole(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_the_ledger_stands_in_the_history() {
    let scene = Scene::start().await;
    let id = scene.issue(1_500).await;
    assert_eq!(scene.until_over(&scene.job(scene.ledger()), id).await, "ISSUED");
    let query = "query($id: ID!) { collectible(id: $id) { history { nodes { action actorKind fields { field before after } } } } }";
    let owner = scene.app.owner("alpha").await;
    let seen = scene.app.ok(Some(&owner), query, json!({ "id": id.to_string() })).await;
    let step = |action: &str, before: &str, after: &str| {
        let fields = [json!({ "field": "state", "before": before, "after": after })];
        json!({ "action": action, "actorKind": "SYSTEM", "fields": fields })
    };
    assert_eq!(
        seen["collectible"]["history"]["nodes"],
        json!([
            step("issuance", "CONFIRMING", "ISSUED"),
            step("issuance", "SUBMITTED", "CONFIRMING"),
            step("collectibleIssue", "APPROVED", "SUBMITTED"),
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_takes_its_time_is_asked_less_and_less() {
    let scene = Scene::start().await;
    let job = scene.job(Arc::new(Slow(scene.ledger())));
    let id = scene.issue(10).await;
    for _ in 0..12 {
        scene.turn(&job).await;
    }
    assert_eq!(scene.state(id), "CONFIRMING");
    assert_eq!(
        scene.field(id, "i.due_at > now() + interval '10 seconds'"),
        "true",
        "{}",
        scene.field(id, "i.attempts")
    );
    assert_eq!(worker::round(&job).await.expect("a round").served, 0, "nobody is served before the time");
    assert!(job.next_due().await.expect("it is known").is_some_and(|next| next.as_secs() >= 9));
    // As soon as something comes of it, its patience begins anew.
    let job = scene.job(scene.ledger());
    assert_eq!(scene.until_over(&job, id).await, "ISSUED");
    assert_eq!(scene.field(id, "i.attempts"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_issuance_holds_up_nobody_else() {
    let scene = Scene::start().await;
    let poisoned = scene.issue(10).await;
    let ledger = Choking {
        inner: scene.ledger(),
        kind: LedgerKind::Embedded,
        poison: Box::new(
            move |operation: &Operation| matches!(operation.content, Content::Issue { collectible_id, .. } if collectible_id == poisoned),
        ),
        known: Mutex::default(),
    };
    let job = scene.job(Arc::new(ledger));
    let mine: Vec<CollectibleId> = [scene.issue(10).await, scene.issue(1_500).await].into();
    let theirs = scene.issue_of("beta", 20, LedgerKind::Embedded).await;
    // By its own clock: nothing is made due by hand.
    worker::round(&job).await.expect("a round");
    for _ in 0..200 {
        let round = worker::round(&job).await.expect("a round");
        assert!(round.failures.is_empty(), "{:?}", round.failures);
        worker::round(&*scene.sealer).await.expect("the sealer seals");
        if mine.iter().chain([&theirs]).all(|id| scene.state(*id) == "ISSUED") {
            break;
        }
    }
    for id in mine.into_iter().chain([theirs]) {
        scene.whole(id);
    }
    assert_eq!(scene.state(poisoned), "UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collectible_stays_on_its_ledger_and_waits_for_it() {
    let scene = Scene::start().await;
    let id = scene.issue_of("alpha", 10, LedgerKind::Evm).await;
    scene.app.settle().await;
    assert_eq!(scene.state(id), "SUBMITTED", "this server has no such ledger");
    let missing = minthouse::commands::doctor::ledgers_missing(&scene.app.owner_url(), &scene.app.app.ledgers).await;
    assert_eq!(missing.expect("it looks"), ["EVM"]);

    let evm = || -> Arc<dyn Ledger> {
        Arc::new(Choking {
            inner: scene.ledger(),
            kind: LedgerKind::Evm,
            poison: Box::new(|_| false),
            known: Mutex::default(),
        })
    };
    let elsewhere = scene.job(evm());
    assert_eq!(scene.until_over(&elsewhere, id).await, "ISSUED");
    scene.whole(id);

    // A gift of such a piece goes to that ledger and to no other. The giver has it there too.
    let (giver, taker) = (scene.app.person("alpha", 1).await, scene.app.person("alpha", 2).await);
    let to = giver.id.parse::<HolderId>().expect("an ID");
    let handed =
        Operation { id: ids::generate(), content: Content::Transfer { collectible_id: id, serial: 1, from: None, to } };
    scene.ledger().submit(scene.tenant, &[handed]).await.expect("the ledger answers");
    scene.sealer.work(scene.tenant).await.expect("the sealer seals");
    let item = scene.app.sql(&format!(
        "WITH given AS (UPDATE items SET holder_id = holders.id, acquired_at = now() FROM holders
             WHERE items.collectible_id = '{}' AND items.serial = 1 AND holders.nickname IS NOT NULL AND holders.id = '{}' RETURNING items.id)
         SELECT id::text FROM given",
        id.uuid(),
        to.uuid()
    ));
    let item = minthouse::wallets::model::ItemId::from_uuid(item.parse().expect("an ID")).to_string();
    let gift = json!({ "item": item, "to": taker.id, "key": key() });
    scene.app.done(&giver.token, crate::support::play::GIVE, gift).await;
    scene.app.settle().await;
    let state = "SELECT string_agg(state || ' ' || ledger, ',') FROM transfers WHERE cause = 'GIFT'";
    assert_eq!(scene.app.sql(state), "REQUESTED EVM");
    let transfers =
        TransferJob { platform: scene.app.app.platform.clone(), ledger: evm(), arrivals: Arc::new(NobodyWaits) };
    for _ in 0..6 {
        scene.turn(&transfers).await;
    }
    assert_eq!(scene.app.sql(state), "SUCCEEDED EVM");
}

struct NobodyWaits;

#[async_trait]
impl Arrivals for NobodyWaits {
    async fn arrived_in(&self, _: &TenantTx, _: &[(Transfer, Item)]) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_transfer_is_left_behind_and_a_refused_one_says_why() {
    let scene = Scene::start().await;
    let app = &scene.app;
    let (activity, _) = app.activity(&app.owner("alpha").await, "DRAW").await;
    let people = app.people("alpha", 8).await;
    for person in &people {
        let drawn = app.draw(person, &activity).await;
        app.done(&person.token, TAKE, json!({ "id": drawn["claim"]["id"], "key": key() })).await;
    }
    let states = |app: &TestApp| {
        app.sql(
            "SELECT coalesce(string_agg(state || ' ' || count, ',' ORDER BY state), '') FROM
            (SELECT state, count(*)::text FROM transfers GROUP BY state) AS s (state, count)",
        )
    };
    assert_eq!(states(app), "REQUESTED 8");
    let chosen = app.count(
        "SELECT i.serial::text FROM transfers JOIN items AS i ON i.id = item_id ORDER BY i.serial OFFSET 4 LIMIT 1",
    );
    let arrivals: Arc<dyn Arrivals> = Arc::new(NobodyWaits);
    let poison = move |operation: &Operation| matches!(operation.content, Content::Transfer { serial, .. } if i64::from(serial) == chosen);
    let choking = Choking {
        inner: scene.ledger(),
        kind: LedgerKind::Embedded,
        poison: Box::new(poison),
        known: Mutex::default(),
    };
    let platform = app.app.platform.clone();
    let job = TransferJob { platform: platform.clone(), ledger: Arc::new(choking), arrivals: arrivals.clone() };
    for _ in 0..25 {
        scene.turn(&job).await;
    }
    assert_eq!(states(app), "SUCCEEDED 7,UNKNOWN 1", "seven came through");

    let refusing = Refusing {
        inner: scene.ledger(),
        serial: chosen as i32,
        refuses: AtomicBool::new(true),
        refused: Mutex::default(),
    };
    let job = TransferJob { platform, ledger: Arc::new(refusing), arrivals };
    for _ in 0..6 {
        scene.turn(&job).await;
    }
    assert_eq!(states(app), "FAILED 1,SUCCEEDED 7");
    let query = "{ transfers(first: 50) { nodes { state failure } } }";
    let reason = format!("no room for {chosen}");
    let seen = app.ok(Some(&app.owner("alpha").await), query, json!({})).await;
    let nodes = seen["transfers"]["nodes"].as_array().expect("a list");
    assert!(nodes.contains(&json!({ "state": "FAILED", "failure": reason })), "{seen:#}");
    for person in &people {
        let theirs = app.ok(Some(&person.token), query, json!({})).await.to_string();
        assert!(!theirs.contains(&reason), "the ledger's words are for the enterprise: {theirs}");
    }
    assert_eq!(app.count("SELECT count(*)::text FROM ledger_operations WHERE kind = 'TRANSFER'"), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_from_the_first_to_the_last_piece() {
    let app = TestApp::start().await;
    let scene = Scene {
        tenant: app.enterprise("alpha").await,
        sealer: Arc::new(EmbeddedLedger::new(app.app.platform.clone(), app.app.ledger_keys.clone())),
        app,
    };
    let app = &scene.app;
    let owner = app.owner("alpha").await;
    let id = scene.approved("alpha", 40_000).await;
    let query = "subscription($id: ID!) { issuanceProgress(id: $id) { id version state supply issuedCount batchCount confirmedBatchCount failure } }";
    let mut stream = Stream::open(app, Some(&owner), query, json!({ "id": id.to_string() })).await;
    let first = stream.data().await;
    assert_eq!((&first["state"], &first["batchCount"]), (&json!("APPROVED"), &json!(0)), "a snapshot first");
    app.done(&owner, ISSUE, json!({ "id": id.to_string(), "key": key() })).await;
    let mut seen = vec![first];
    while let Some(next) = stream.next().await {
        seen.push(next["data"]["issuanceProgress"].clone());
    }
    let number = |value: &Value, field: &str| value[field].as_i64().unwrap_or_else(|| panic!("{field} of {value}"));
    assert!(seen.is_sorted_by(|a, b| number(a, "version") < number(b, "version")), "{seen:#?}");
    for field in ["issuedCount", "confirmedBatchCount"] {
        assert!(seen.is_sorted_by_key(|one| number(one, field)), "{field} never falls");
    }
    let last = seen.last().expect("there are some");
    let over = json!({ "id": id.to_string(), "version": last["version"], "state": "ISSUED", "supply": 40_000, "issuedCount": 40_000,
        "batchCount": 40, "confirmedBatchCount": 40, "failure": null });
    assert_eq!(last, &over);
    assert!(seen.len() >= 4, "not all at once: {seen:#?}");
    assert!(seen.iter().any(|one| one["state"] == "SUBMITTED" && one["batchCount"] == 40));
    scene.whole(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_house_sees_what_it_decides_on() {
    let app = TestApp::builder().idle().start().await;
    let (owner, house) = (app.owner("alpha").await, app.house(Role::Owner).await);
    let series = app.ok(Some(&owner), "{ seriesList(first: 1) { nodes { id } } }", json!({})).await;
    let words = |text: &str| json!({ "chinese": text, "english": text });
    let mut waiting = Vec::new();
    for name in ["first", "second"] {
        let create = "mutation($input: CollectibleCreateInput!) { collectibleCreate(input: $input) { collectible { id } userErrors { code field } } }";
        let input = json!({ "seriesId": series["seriesList"]["nodes"][0]["id"], "name": words(name), "description": words("about it"),
            "author": "A", "supply": 3 });
        let created = app.done(&owner, create, json!({ "input": input })).await["collectible"]["id"].clone();
        let submit = "mutation($id: ID!) { collectibleSubmit(input: {id: $id}) { userErrors { code field } } }";
        app.done(&owner, submit, json!({ "id": created })).await;
        waiting.push(created);
    }
    let queue = "{ reviews(first: 20, filter: {state: PENDING, subjectKind: COLLECTIBLE}) { totalCount nodes { id subjectKind subjectId
        subject { ... on Collectible { name { english } description { english } author supply firstSerial state issuance { failure } } } } } }";
    let found = app.ok(Some(&house), queue, json!({})).await["reviews"].clone();
    assert_eq!(found["totalCount"], 2, "{found:#}");
    for (node, (id, name)) in
        found["nodes"].as_array().expect("a list").iter().zip(waiting.iter().zip(["first", "second"]))
    {
        assert_eq!(&node["subjectId"], id, "oldest first");
        let subject = json!({ "name": { "english": name }, "description": { "english": "about it" }, "author": "A", "supply": 3,
            "firstSerial": 1, "state": "IN_REVIEW", "issuance": null });
        assert_eq!(node["subject"], subject);
    }
    let none = "{ reviews(filter: {state: PENDING, subjectKind: ACTIVITY}) { totalCount } }";
    assert_eq!(app.ok(Some(&house), none, json!({})).await["reviews"]["totalCount"], 0);
    let refused = app.send(Some(&owner), queue, json!({})).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "an enterprise has no business in the queue");
}
