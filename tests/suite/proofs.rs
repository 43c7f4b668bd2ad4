//! One draw shown by itself: anchored on the ledger, checked offline, and bound so that nothing can be rewritten after.

use futures_util::future::join_all;
use minthouse::activities::anchor_job::AnchorJob;
use minthouse::activities::model::ActivityId;
use minthouse::activities::proof::{self, Document, Remade};
use minthouse::ledger::audit::{self, Audit};
use minthouse::ledger::model::LedgerKind;
use minthouse::ledger::simulator::Faults;
use minthouse::tenancy::worker::Job;
use serde_json::{Value, json};

use crate::draws::{published, two_collectibles};
use crate::support::app::{TestApp, client, text};
use crate::support::killed::killed_after;
use crate::support::offline::{Folder, run};
use crate::support::play::prize_of;

const PROOF: &str = "query($id: ID!) { drawProof(id: $id) { draw { id sequence } document path notice { english }
    anchor { fromSequence toSequence digest operation state blockNumber } } }";
const END: &str = "mutation($id: ID!) { activityEnd(input: {id: $id}) { userErrors { code } } }";
const SETTLE: &str = "mutation($id: ID!) { activitySettle(input: {id: $id}) { userErrors { code } } }";

/// A draw of few pieces that everybody may join for a long while.
async fn activity(app: &TestApp) -> String {
    let (one, two) = two_collectibles(app).await;
    let prizes = json!([prize_of(&one, Some(300_000), 3), prize_of(&two, Some(300_000), 3)]);
    published(app, json!({ "prizes": prizes, "chancesPerHolder": 900 })).await
}

fn job(app: &TestApp) -> AnchorJob {
    let ledger = app.app.ledgers.get(LedgerKind::Embedded).expect("every house has it").clone();
    AnchorJob { platform: app.app.platform.clone(), ledger }
}

/// Lets another day in Shanghai begin, as far as anchors know.
fn next_day(app: &TestApp) {
    app.sql("UPDATE draw_watches SET day = day - 1, due_at = now() WHERE due_at IS NOT NULL");
}

/// Sequence by sequence, which anchor each draw of the activity stands in: none twice, none left out.
fn anchored(app: &TestApp, activity: &str) -> String {
    let id = activity.parse::<ActivityId>().expect("an ID").uuid();
    app.sql(&format!(
        "SELECT coalesce(string_agg(from_sequence || '-' || to_sequence || ' ' || state, ', ' ORDER BY from_sequence), '')
           FROM draw_anchors WHERE activity_id = '{id}'"
    ))
}

async fn proof(app: &TestApp, token: &str, draw: &str) -> Value {
    app.ok(Some(token), PROOF, json!({ "id": draw })).await["drawProof"].take()
}

async fn served(app: &TestApp, path: &str) -> (u16, String) {
    let answer = client().get(app.url().replace("/graphql", path)).send().await.expect("it answers");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_draw_is_anchored_and_proves_itself_offline() {
    let app = TestApp::builder().idle().start().await;
    let (owner, activity) = (app.owner("alpha").await, activity(&app).await);
    let people = app.people("alpha", 4).await;
    let mut drawn = Vec::new();
    for turn in 0..11 {
        let person = &people[turn % 4];
        drawn.push((person, text(&app.draw(person, &activity).await["id"])));
    }
    app.settle().await;
    assert_eq!(anchored(&app, &activity), "", "the day is not over");

    // What is not anchored proves itself as far as it goes, and says when there will be more.
    let folder = Folder::new("proofs");
    let minthouse = env!("CARGO_BIN_EXE_minthouse");
    let key = app.app.ledger_keys.verifier().to_string();
    let early = proof(&app, &owner, &drawn[6].1).await;
    assert!(early["anchor"].is_null() && text(&early["notice"]["english"]).contains("midnight in Shanghai"), "{early}");
    let file = folder.file("early.json", &text(&early["document"]));
    let (whole, said) = run(minthouse, &["verify-draw", file.to_str().expect("text"), "--key", &key]);
    assert!(
        whole && said.starts_with("consistent: draw 7") && said.contains("does not stand on the ledger yet"),
        "{said}"
    );

    next_day(&app);
    app.settle().await;
    assert_eq!(anchored(&app, &activity), "1-11 CONFIRMED");
    drawn.push((&people[0], text(&app.draw(&people[0], &activity).await["id"])));
    next_day(&app);
    app.settle().await;
    assert_eq!(anchored(&app, &activity), "1-11 CONFIRMED, 12-12 CONFIRMED");
    next_day(&app);
    app.settle().await;
    assert_eq!(anchored(&app, &activity), "1-11 CONFIRMED, 12-12 CONFIRMED", "nothing was drawn since");

    for (place, (person, draw)) in drawn.iter().enumerate() {
        let own = proof(&app, &person.token, draw).await;
        assert_eq!((&own["anchor"]["state"], &own["notice"]), (&json!("CONFIRMED"), &Value::Null));
        let document = text(&own["document"]);
        assert_eq!(document, text(&proof(&app, &owner, draw).await["document"]));
        assert_eq!((200, document.clone()), served(&app, &text(&own["path"])).await, "anybody may have it");
        let file = folder.file("proof.json", &document);
        let (whole, said) = run(minthouse, &["verify-draw", file.to_str().expect("text"), "--key", &key]);
        assert!(whole && said.starts_with(&format!("ok: draw {} of", place + 1)), "{said}");
        assert!(said.contains("the seed is shown once") && said.contains("comes to the same"), "{said}");
        let (whole, said) = run(minthouse, &["verify-draw", file.to_str().expect("text")]);
        assert!(whole && said.starts_with("consistent:") && said.contains("--key"), "{said}");
        // It names nobody.
        let holder = minthouse::platform::id::parse(&person.id).expect("an ID").1;
        assert!(!document.contains(&person.id) && !document.contains(&holder.to_string()));
    }

    app.done(&owner, END, json!({ "id": activity })).await;
    app.done(&owner, SETTLE, json!({ "id": activity })).await;
    app.settle().await;
    let last = proof(&app, &owner, &drawn[4].1).await;
    let document = text(&last["document"]);
    let file = folder.file("last.json", &document);
    let (whole, said) = run(minthouse, &["verify-draw", file.to_str().expect("text"), "--key", &key]);
    assert!(whole && said.contains("follow from the seed"), "{said}");
    let proven = proof::read(&document).and_then(|read| proof::check(&read, None)).expect("it proves itself");
    assert!(proven.from_seed && proven.remade == Remade::Whole);
    let forged = document.replacen("\"ordinal\": 2", "\"ordinal\": 1", 1);
    let file = folder.file("forged.json", &forged);
    let (whole, said) = run(minthouse, &["verify-draw", file.to_str().expect("text")]);
    assert!(forged != document && !whole && said.starts_with("WRONG the draw: its hash is another"), "{said}");

    let tenant = app.enterprise("alpha").await;
    let audit = audit::audit(&app.app.platform, &app.app.ledger_keys, tenant, &[]).await.expect("it can be read");
    assert!(matches!(audit, Audit::Whole { .. }), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settlement_anchors_what_is_left_and_then_nobody_looks_any_more() {
    let app = TestApp::builder().idle().start().await;
    let (owner, activity) = (app.owner("alpha").await, activity(&app).await);
    let person = app.person("alpha", 1).await;
    for _ in 0..3 {
        app.draw(&person, &activity).await;
    }
    app.done(&owner, END, json!({ "id": activity })).await;
    app.done(&owner, SETTLE, json!({ "id": activity })).await;
    app.settle().await;
    assert_eq!(anchored(&app, &activity), "1-3 CONFIRMED");
    let id = activity.parse::<ActivityId>().expect("an ID").uuid();
    assert_eq!(app.count(&format!("SELECT count(due_at) FROM draw_watches WHERE activity_id = '{id}'")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ones_own_has_no_proof() {
    let app = TestApp::builder().idle().start().await;
    let activity = activity(&app).await;
    let (person, other) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    let draw = text(&app.draw(&person, &activity).await["id"]);
    let path = text(&proof(&app, &person.token, &draw).await["path"]);
    for stranger in [&other.token, &app.owner("beta").await, &app.person("beta", 3).await.token] {
        assert_eq!(proof(&app, stranger, &draw).await, Value::Null);
    }
    let (alpha, beta) = (app.enterprise("alpha").await.to_string(), app.enterprise("beta").await.to_string());
    assert_eq!(served(&app, &path).await.0, 200);
    for nowhere in [
        path.replace(&alpha, &beta),
        format!("{}/2", path.strip_suffix("/1").expect("the first")),
        format!("{path}0"),
        format!("{}/0", path.strip_suffix("/1").expect("the first")),
        format!("{}/-1", path.strip_suffix("/1").expect("the first")),
        format!("{}/one", path.strip_suffix("/1").expect("the first")),
    ] {
        assert_eq!(served(&app, &nowhere).await.0, 404, "{nowhere}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_anchored_is_not_rewritten_unnoticed() {
    let app = TestApp::builder().idle().start().await;
    let (owner, activity) = (app.owner("alpha").await, activity(&app).await);
    let person = app.person("alpha", 1).await;
    let mut draws = Vec::new();
    for _ in 0..5 {
        draws.push(text(&app.draw(&person, &activity).await["id"]));
    }
    next_day(&app);
    app.settle().await;
    let kept = text(&proof(&app, &owner, &draws[2]).await["document"]);
    // The house writes the last record anew, as if it had always been so.
    app.sql("UPDATE draws SET record_hash = sha256('another'::bytea) WHERE sequence = 5");
    let answer = app.send(Some(&owner), PROOF, json!({ "id": draws[2] })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "INTERNAL", "it vouches for nothing that was changed");
    let read: Document = proof::read(&kept).expect("a proof");
    assert!(proof::check(&read, Some(&app.app.ledger_keys.verifier())).is_ok(), "what was given out still holds");
    // What does not hang together is not anchored.
    app.draw(&person, &activity).await;
    app.sql("UPDATE draws SET sequence = 60 WHERE sequence = 6");
    next_day(&app);
    app.settle().await;
    assert_eq!(anchored(&app, &activity), "1-5 CONFIRMED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_that_is_killed_at_any_step_is_made_once() {
    let app = TestApp::builder().idle().start().await;
    let activity = activity(&app).await;
    let person = app.person("alpha", 1).await;
    let tenant = app.enterprise("alpha").await;
    let (mut kills, mut unharmed, mut due) = (0, 0, 0);
    for steps in 1..200 {
        app.draw(&person, &activity).await;
        next_day(&app);
        due += 1;
        let whole = killed_after(steps, job(&app).work(tenant)).await.is_some_and(|done| done.is_ok());
        kills += usize::from(!whole);
        unharmed += usize::from(whole);
        app.settle().await;
        let id = activity.parse::<ActivityId>().expect("an ID").uuid();
        let sums = format!(
            "SELECT count(*) || ' ' || sum(to_sequence - from_sequence + 1) || ' ' || max(to_sequence) || ' ' || count(*) FILTER (WHERE state = 'CONFIRMED')
               FROM draw_anchors WHERE activity_id = '{id}'"
        );
        assert_eq!(app.sql(&sums), format!("{due} {due} {due} {due}"), "after {steps} steps");
        if unharmed == 3 {
            break;
        }
    }
    assert!(kills > 0 && unharmed == 3, "{kills} kills");
    assert_eq!(app.count("SELECT count(*) FROM ledger_operations WHERE kind = 'ANCHOR'"), due, "none was told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_and_a_ledger_that_fails_anchor_each_draw_once() {
    let faults: Faults = "seed=11 rate=400 delay=5 plan=nothing,doomed".parse().expect("faults");
    let here = TestApp::builder().idle().faults(faults).start().await;
    let there = TestApp::builder().idle().start_beside(&here).await;
    let activity = activity(&here).await;
    let person = here.person("alpha", 1).await;
    let tenant = here.enterprise("alpha").await;
    for _ in 0..6 {
        here.draw(&person, &activity).await;
        next_day(&here);
        let (one, other) = (job(&here), job(&there));
        join_all([one.work(tenant), other.work(tenant), one.work(tenant), other.work(tenant)]).await;
    }
    let waiting = "SELECT count(*) FROM draw_anchors WHERE state <> 'CONFIRMED'";
    for _ in 0..50 {
        here.sql("UPDATE draw_anchors SET due_at = now() WHERE due_at IS NOT NULL");
        here.settle().await;
        if here.count(waiting) == 0 {
            break;
        }
    }
    let id = activity.parse::<ActivityId>().expect("an ID").uuid();
    let sums = format!(
        "SELECT sum(to_sequence - from_sequence + 1) || ' ' || max(to_sequence) || ' ' || bool_and(state = 'CONFIRMED')::text
           FROM draw_anchors WHERE activity_id = '{id}'"
    );
    assert_eq!(here.sql(&sums), "6 6 true");
}
