//! Drawing where things go wrong. Whatever happens: nothing acknowledged is lost, nothing is drawn twice for one key, no
//! chance is charged without a record, and nothing is oversold.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use minthouse::activities::draw::{self, Answer, Answered, Drawn, Wish};
use minthouse::activities::model::{ActivityId, DrawId};
use minthouse::activities::participation::Origin;
use minthouse::tenancy::idempotency;
use minthouse::tenancy::model::HolderId;
use serde_json::{Value, json};

use crate::draws::{published, two_collectibles, verified};
use crate::support::app::{TestApp, text};
use crate::support::killed::killed_after;
use crate::support::play::{Person, key, prize_of};

const DRAW: &str = "mutation($activity: ID!, $key: String!, $times: Int!) {
    activityDraw(input: {activityId: $activity, idempotencyKey: $key, times: $times}) {
        draws { id } replayed userErrors { code } } }";

/// A draw that everybody may join for a long while, with few pieces, so that they run out on the way.
async fn long_draw(app: &TestApp) -> String {
    let (one, two) = two_collectibles(app).await;
    let mut limited = prize_of(&two, Some(300_000), 10);
    limited["winsPerHolder"] = json!(2);
    let prizes = json!([prize_of(&one, Some(200_000), 10), limited]);
    published(app, json!({ "prizes": prizes, "chancesPerHolder": 900, "drawsAtOnce": 3 })).await
}

fn holder(person: &Person) -> HolderId {
    person.id.parse().expect("an ID")
}

fn wish(person: &Person, times: i32) -> Wish {
    Wish {
        holder: holder(person),
        client_seed: "s".into(),
        times,
        origin: Origin::default(),
        key: key().parse().expect("a key"),
        input_hash: idempotency::input_hash(&times).expect("it can be hashed"),
        consulted: None,
    }
}

fn drawn(answer: Answer) -> Drawn {
    match answer {
        Ok(Answered::Drawn(drawn)) => drawn,
        other => panic!("it is not drawn: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_killed_at_any_step_is_served_again_whole() {
    let app = TestApp::builder().idle().start().await;
    let activity = long_draw(&app).await;
    let people = app.people("alpha", 3).await;
    let (tenant, id) = (app.enterprise("alpha").await, activity.parse::<ActivityId>().expect("an ID"));
    let platform = &app.app.platform;
    let mut made = BTreeSet::new();
    let (mut kills, mut unharmed) = (0, 0);
    for steps in (1..400).step_by(2) {
        let wishes: Vec<Wish> = people.iter().zip([1, 3, 2]).map(|(person, times)| wish(person, times)).collect();
        let whole = killed_after(steps, draw::batch(platform, tenant, id, &mut None, &wishes)).await.is_some();
        kills += usize::from(!whole);
        unharmed += usize::from(whole);
        // Whoever lost the answer asks again, of a server that remembers nothing.
        let mut served: Vec<Vec<DrawId>> = Vec::new();
        for answer in draw::batch(platform, tenant, id, &mut None, &wishes).await.expect("it is served") {
            served.push(drawn(answer).draws.iter().map(|draw| draw.id).collect());
        }
        assert_eq!(served.iter().map(Vec::len).collect::<Vec<_>>(), [1, 3, 2]);
        for answer in draw::batch(platform, tenant, id, &mut None, &wishes).await.expect("it is served") {
            let answer = drawn(answer);
            assert!(answer.replayed, "after {steps} steps");
            assert_eq!(answer.draws.iter().map(|draw| draw.id).collect::<Vec<_>>(), served.remove(0));
            made.extend(answer.draws.iter().map(|draw| draw.id));
        }
        // At last behind its very end.
        if unharmed == 3 {
            break;
        }
    }
    assert!(kills > 0 && unharmed == 3, "{kills} kills, {unharmed} batches unharmed");
    assert_eq!(made.len(), 6 * (kills + unharmed));
    app.sums_hold();
    let verified = verified(&app, &activity).await;
    assert_eq!(verified.draws, made.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_fail_at_random_lose_and_double_nothing() {
    const PEOPLE: usize = 10;
    const WISHES: usize = 8;
    let here = TestApp::builder().idle().start().await;
    let there = TestApp::builder().idle().start_beside(&here).await;
    let activity = long_draw(&here).await;
    let people = here.people("alpha", PEOPLE).await;
    here.sql(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF random() < 0.03 THEN RAISE EXCEPTION 'by chance' USING ERRCODE = 'XX000'; END IF; RETURN NULL; END $$",
    );
    for table in [
        "participants",
        "chance_entries",
        "draws",
        "claims",
        "stock_entries",
        "allotments",
        "idempotency_keys",
        "outbox",
        "prize_tallies",
        "activity_counts",
    ] {
        here.sql(&format!(
            "CREATE TRIGGER fail AFTER INSERT OR UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION fail()"
        ));
    }
    // And at the very end, when it is committed.
    here.sql(
        "CREATE CONSTRAINT TRIGGER fail_late AFTER UPDATE ON draw_lanes DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let (here, there, activity) = (&here, &there, &activity);
    let drawers = people.iter().map(async |person| {
        let (mut made, mut failures) = (Vec::<Value>::new(), 0);
        for turn in 0..WISHES {
            let wish = json!({ "activity": activity, "key": format!("wish-{turn}"), "times": 1 + turn % 3 });
            loop {
                let server = if (turn + failures) % 2 == 0 { here } else { there };
                let answer = server.send(Some(&person.token), DRAW, wish.clone()).await;
                let payload = &answer["data"]["activityDraw"];
                if payload["draws"].as_array().is_some_and(|draws| draws.len() == 1 + turn % 3) {
                    made.extend(payload["draws"].as_array().expect("a list").clone());
                    break;
                }
                assert!(answer["errors"].is_array(), "it is a fault, and no refusal: {answer}");
                failures += 1;
                assert!(failures < 500, "it never ends well: {answer}");
            }
        }
        (made, failures)
    });
    let served = join_all(drawers).await;
    assert!(served.iter().map(|(_, failures)| failures).sum::<usize>() > 0, "nothing has failed");
    let told: BTreeSet<String> = served.iter().flat_map(|(made, _)| made).map(|draw| text(&draw["id"])).collect();
    let each: usize = (0..WISHES).map(|turn| 1 + turn % 3).sum();
    assert_eq!(told.len(), PEOPLE * each, "every answer is another draw");
    here.sums_hold();
    assert_eq!(verified(here, activity).await.draws, told.len(), "and there is no draw that nobody was told of");
    assert_eq!(here.count("SELECT sum(used) FROM participants"), told.len() as i64);
}
