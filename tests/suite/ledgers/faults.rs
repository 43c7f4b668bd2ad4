//! The simulator does what it says, and the house's own workers come through it.

use std::slice::from_ref;
use std::time::Duration;

use minthouse::catalog::model::CollectibleId;
use minthouse::ledger::model::{Owner, Receipt};
use minthouse::ledger::simulator::{Faults, Trouble, wrap};
use minthouse::platform::fault::Fault;
use minthouse::tenancy::model::HolderId;
use serde_json::json;

use super::conformance::{Stage, carry_out, issue, owners, piece, transfer};
use super::embedded::Embedded;
use crate::issuance::Scene;
use crate::support::app::TestApp;
use crate::support::play::{GIVE, ISSUE, TAKE, key};

fn plan(plan: &[Trouble]) -> Option<Faults> {
    Some(Faults { plan: plan.to_vec(), delay: Duration::from_millis(1), ..Faults::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_does_what_it_is_called() {
    use Trouble::{Behind, Half, LateArrival, LostAnswer, LostRequest, Nothing, Twice, Unheard};
    // What submitting answers, and what the ledger then knows of two operations.
    for (trouble, answers, known) in [
        (Nothing, true, [true, true]),
        (Trouble::Delay, true, [true, true]),
        (LostRequest, false, [false, false]),
        (LostAnswer, false, [true, true]),
        (LateArrival, false, [false, false]),
        (Twice, true, [true, true]),
        (Half, false, [true, false]),
    ] {
        let stage = Embedded::with(plan(&[trouble])).await;
        let ([tenant, _], collectible) = (stage.tenants(), CollectibleId::generate());
        let operations = [issue(collectible, 1, 1), issue(collectible, 2, 1)];
        let ids = [operations[0].id, operations[1].id];
        let answered = stage.ledger().submit(tenant, &operations).await;
        assert_eq!(answered.is_ok(), answers, "{trouble:?}");
        assert!(matches!(answered, Ok(()) | Err(Fault::Unavailable(_) | Fault::TimedOut)), "{trouble:?}");
        let receipts = stage.ledger().receipts(tenant, &ids).await.expect("only the first call is troubled");
        assert_eq!(ids.map(|id| receipts[&id] != Receipt::Unknown), known, "{trouble:?}");
        for _ in 0..2 {
            stage.ledger().receipts(tenant, &ids).await.expect("it answers");
        }
        let late = stage.ledger().receipts(tenant, &ids).await.expect("it answers");
        let arrived = if trouble == LateArrival { [true, true] } else { known };
        assert_eq!(ids.map(|id| late[&id] != Receipt::Unknown), arrived, "{trouble:?}");
    }
    let stage = Embedded::with(plan(&[Nothing, Unheard, Behind, LostAnswer, Nothing, Unheard, Behind])).await;
    let [tenant, _] = stage.tenants();
    let issued = issue(CollectibleId::generate(), 1, 1);
    stage.ledger().submit(tenant, from_ref(&issued)).await.expect("nothing is planned for it");
    stage.work().await;
    let ask = async || stage.ledger().receipts(tenant, &[issued.id]).await.map(|mut found| found.remove(&issued.id));
    assert_eq!(ask().await.expect("it answers"), Some(Receipt::Unknown));
    assert_eq!(ask().await.expect("it answers"), Some(Receipt::Pending));
    assert!(matches!(ask().await, Err(Fault::Unavailable(_))));
    for _ in 0..3 {
        assert!(matches!(ask().await, Ok(Some(Receipt::Confirmed(_)))), "what was told once is not taken back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_doomed_is_accepted_and_refused_for_good_and_never_arrives() {
    use Trouble::{Doomed, LateArrival, Nothing, Twice, Unheard};
    let plan = plan(&[LateArrival, Doomed, Unheard, Twice, Nothing, Nothing, Nothing, Nothing, Doomed]);
    let stage = Embedded::with(plan).await;
    let ([tenant, _], ledger) = (stage.tenants(), stage.ledger());
    let arrived = "SELECT count(*)::text FROM ledger_operations";
    let (before, issued) = (stage.app.sql(arrived), issue(CollectibleId::generate(), 1, 1));
    let ask = async || ledger.receipts(tenant, &[issued.id]).await.expect("it answers").remove(&issued.id);
    assert!(ledger.submit(tenant, from_ref(&issued)).await.is_err(), "it comes later, and in vain");
    ledger.submit(tenant, from_ref(&issued)).await.expect("it is accepted");
    assert_eq!(ask().await, Some(Receipt::Unknown), "who has not heard of it submits it again");
    ledger.submit(tenant, from_ref(&issued)).await.expect("it is accepted");
    for _ in 0..3 {
        stage.work().await;
        assert!(matches!(ask().await, Some(Receipt::Refused { reason }) if !reason.is_empty()));
    }
    assert_eq!(stage.app.sql(arrived), before);

    // What the ledger has already is not refused any more.
    let other = issue(CollectibleId::generate(), 1, 1);
    ledger.submit(tenant, from_ref(&other)).await.expect("nothing is planned for it");
    stage.work().await;
    ledger.submit(tenant, from_ref(&other)).await.expect("it is accepted");
    let found = ledger.receipts(tenant, &[other.id]).await.expect("it answers");
    assert!(matches!(found[&other.id], Receipt::Confirmed(_)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuance_fails_where_the_ledger_does_after_it_has_accepted_it_and_another_try_completes_it() {
    let scene = Scene::start().await;
    let job = scene.job(wrap(scene.ledger(), plan(&[Trouble::Doomed]).as_ref()));
    let arrived = "SELECT count(*)::text FROM ledger_operations";
    let (before, id) = (scene.app.sql(arrived), scene.issue(2_500).await);
    assert_eq!(scene.until_over(&job, id).await, "FAILED");
    assert!(scene.field(id, "i.failure").contains("accepted it and then failed"));
    assert_eq!(scene.app.sql(arrived), before);
    let again = json!({ "id": id.to_string(), "key": key() });
    scene.app.done(&scene.app.owner("alpha").await, ISSUE, again).await;
    assert_eq!(scene.until_over(&job, id).await, "ISSUED");
    scene.whole(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_troubles_is_come_through() {
    let mut stage = Embedded::with(None).await;
    let passing = || Trouble::ALL.iter().filter(|trouble| trouble.passes());
    for first in passing() {
        for second in passing() {
            // Over the one database, a new network each time.
            stage.troubled_by(plan(&[*first, *second, *first]));
            let ([tenant, _], collectible, holder) = (stage.tenants(), CollectibleId::generate(), HolderId::generate());
            carry_out(&stage, tenant, &[issue(collectible, 1, 2)]).await;
            carry_out(&stage, tenant, &[transfer(piece(collectible, 1), None, holder)]).await;
            let found = owners(&stage, tenant, &[piece(collectible, 1)]).await;
            assert_eq!(found[&piece(collectible, 1)], stage.ledger().account(tenant, Owner::Holder(holder)));
        }
    }
    assert_eq!(stage.app.sql("SELECT count(*)::text FROM ledger_operations WHERE state <> 'CONFIRMED'"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_come_through_a_ledger_that_fails() {
    let faults = Faults { seed: 3, rate: 400, delay: Duration::from_millis(1), ..Faults::default() };
    let app = TestApp::builder().idle().faults(faults).start().await;
    let settle = async || {
        for _ in 0..200 {
            // A round that the ledger failed is tried again, as the workers do.
            if app.app.settle().await.is_ok() {
                return;
            }
        }
        panic!("the background work does not come to an end");
    };
    let operator = app.owner("alpha").await;
    let (activity, _) = app.activity(&operator, "DRAW").await;
    let people = app.people("alpha", 3).await;
    for person in people.iter().chain(&people) {
        let claim = app.draw(person, &activity).await["claim"]["id"].take();
        app.done(&person.token, TAKE, json!({ "id": claim, "key": key() })).await;
    }
    settle().await;
    for _ in 0..3 {
        let items = app.ok(Some(&operator), "{ items { nodes { id holder { id } } } }", json!({})).await;
        let items = items["items"]["nodes"].as_array().expect("a list").clone();
        assert_eq!(items.len(), 6, "each has got what they drew");
        for item in items {
            let giver = people.iter().position(|person| item["holder"]["id"] == person.id).expect("one of them has it");
            let to = &people[(giver + 1) % people.len()].id;
            app.done(&operator, GIVE, json!({ "item": item["id"], "to": to, "key": key() })).await;
        }
        settle().await;
    }
    assert_eq!(app.sql("SELECT string_agg(DISTINCT state, ' ') FROM transfers"), "SUCCEEDED");
    let ledger = "SELECT count(*)::text FROM ledger_operations WHERE kind = 'TRANSFER' AND state = 'CONFIRMED'";
    assert_eq!(app.sql(ledger), "24", "six were drawn and given on three times, none of them twice");
    assert_eq!(app.sql("SELECT count(*)::text FROM ledger_operations WHERE state <> 'CONFIRMED'"), "0");
    let wrong = app.sql(
        "SELECT count(*)::text FROM items WHERE holder_id IS DISTINCT FROM
            (SELECT to_holder_id FROM ledger_operations AS o WHERE o.tenant_id = items.tenant_id AND o.kind = 'TRANSFER'
                AND o.collectible_id = items.collectible_id AND o.first_serial = items.serial
              ORDER BY block_number DESC, position DESC LIMIT 1)",
    );
    assert_eq!(wrong, "0");
}
