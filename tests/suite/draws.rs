//! Drawing under pressure: what is won, what it costs, and what an outsider can compute again from the record.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use minthouse::activities::fairness::{self, RecordOf, RollOf};
use minthouse::activities::model::{ActivityId, PrizeId};
use minthouse::activities::publish;
use minthouse::platform::vault::hex;
use minthouse::tenancy::model::HolderId;
use minthouse::tenancy::scope::TenantScope;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{TestApp, text};
use crate::support::play::{DRAW, PAUSE, Person, key};

/// How many pieces small.toml's draw gives away, with odds of a million in a million.
const PIECES: usize = 20;
/// And how often each holder may draw.
const CHANCES: usize = 2;

/// The rows of an activity's draws in the order of sequence, as PostgreSQL has them.
fn recorded(app: &TestApp, activity: ActivityId) -> Vec<Value> {
    let rows = app.sql(&format!(
        "SELECT coalesce(json_agg(json_build_object('sequence', sequence, 'holder', holder_id, 'clientSeed', client_seed,
            'roll', roll, 'picked', picked_prize_id, 'awarded', awarded_prize_id, 'serial', serial,
            'hash', encode(record_hash, 'hex'), 'version', p.version) ORDER BY sequence), '[]')::text
           FROM draws JOIN prize_plans AS p ON p.id = draws.plan_id WHERE draws.activity_id = '{}'",
        activity.uuid()
    ));
    serde_json::from_str(&rows).expect("rows as JSON")
}

/// Plays the outsider: computes every roll, pick and hash again from the seed and the public plan.
async fn verify_chain(app: &TestApp, activity: &str) -> usize {
    let activity: ActivityId = activity.parse().expect("an ID");
    let scope = TenantScope::of_system(app.enterprise("alpha").await);
    let tx = scope.read(&app.app.platform.database).await.expect("the database answers");
    let seed = publish::seed(&app.app.platform, &tx, activity).await.expect("it is sealed, and the key is there");
    drop(tx);
    let commitment =
        app.sql(&format!("SELECT encode(seed_commitment, 'hex') FROM activities WHERE id = '{}'", activity.uuid()));
    assert_eq!(hex(&fairness::commitment(&seed)), commitment);
    let plan = app.sql(&format!(
        "SELECT json_agg(json_build_array(z.id, odds_per_million, quantity, a.end_serial - a.total) ORDER BY position)::text
           FROM prizes AS z JOIN prize_plans AS p ON p.id = plan_id JOIN allotments AS a ON a.id = allotment_id
          WHERE p.activity_id = '{}'",
        activity.uuid()
    ));
    let plan: Vec<(Uuid, u32, u32, u32)> = serde_json::from_str(&plan).expect("a plan");
    let mut left: Vec<u32> = plan.iter().map(|prize| prize.2).collect();
    let mut head = fairness::first_head(activity, &fairness::commitment(&seed));
    let rows = recorded(app, activity);
    for (place, row) in rows.iter().enumerate() {
        let sequence = place as u64 + 1;
        assert_eq!(row["sequence"], sequence, "sequences have no gap");
        let holder = text(&row["holder"]).parse().expect("a UUID");
        let client_seed = text(&row["clientSeed"]);
        let plan_version = row["version"].as_u64().expect("a number") as u32;
        let rolled =
            RollOf { activity, plan_version, holder: HolderId::from_uuid(holder), sequence, client_seed: &client_seed };
        let roll = fairness::roll(&seed, &rolled);
        let picked = fairness::pick(plan.iter().map(|prize| prize.1), roll);
        let awarded = picked.filter(|&prize| left[prize] > 0);
        let serial = awarded.map(|prize| plan[prize].3 + plan[prize].2 - left[prize]);
        if let Some(prize) = awarded {
            left[prize] -= 1;
        }
        let id = |prize: Option<usize>| prize.map(|prize| PrizeId::from_uuid(plan[prize].0));
        let record = RecordOf { rolled, roll, picked: id(picked), awarded: id(awarded), serial, left: &left };
        head = fairness::record_hash(&head, &record);
        assert_eq!(row["roll"], roll);
        assert_eq!(row["serial"], json!(serial), "draw {sequence}");
        assert_eq!(row["hash"], hex(&head), "draw {sequence}");
    }
    rows.len()
}

/// What a draw on small.toml's activity must have come to, once `draws` were made.
async fn taken_stock(app: &TestApp, activity: &str, draws: usize) {
    app.sums_hold();
    assert_eq!(verify_chain(app, activity).await, draws);
    let rows = recorded(app, activity.parse().expect("an ID"));
    let serials: BTreeSet<i64> = rows.iter().filter_map(|row| row["serial"].as_i64()).collect();
    assert_eq!(rows.iter().filter(|row| !row["awarded"].is_null()).count(), PIECES.min(draws), "every piece goes");
    assert_eq!(serials.len(), PIECES.min(draws), "no number twice");
    let (first, last) = (serials.first().expect("a winner"), serials.last().expect("a winner"));
    assert_eq!((last - first) as usize, serials.len() - 1, "no number left out");
    let stock = "SELECT available || ' ' || reserved FROM allotments JOIN prizes ON prizes.allotment_id = allotments.id
        JOIN prize_plans ON prize_plans.id = plan_id WHERE prize_plans.activity_id =";
    let activity: ActivityId = activity.parse().expect("an ID");
    let won = PIECES.min(draws);
    assert_eq!(app.sql(&format!("{stock} '{}'", activity.uuid())), format!("{} {won}", PIECES - won));
    let claims = format!("SELECT count(DISTINCT serial)::text FROM claims WHERE activity_id = '{}'", activity.uuid());
    assert_eq!(app.count(&claims) as usize, won, "each winner is owed a piece");
}

async fn codes(app: &TestApp, person: &Person, activity: &str) -> Vec<String> {
    app.refused(&person.token, DRAW, json!({ "activity": activity, "key": key(), "seed": "运气" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_draws_exactly_what_there_is() {
    let app = TestApp::builder().idle().start().await;
    let (activity, _) = app.activity(&app.owner("alpha").await, "DRAW").await;
    let people = app.people("alpha", 67).await;
    // Each tries once more than they may: 201 requests at once.
    let turns = people.iter().flat_map(|person| std::iter::repeat_n(person, CHANCES + 1));
    let answers = join_all(turns.map(|person| codes(&app, person, &activity))).await;
    let drawn = answers.iter().filter(|codes| codes.is_empty()).count();
    assert_eq!(drawn, people.len() * CHANCES);
    assert!(answers.iter().all(|codes| codes.is_empty() || *codes == ["NO_CHANCE_LEFT"]), "{answers:?}");
    taken_stock(&app, &activity, drawn).await;
    let left = "SELECT count(*)::text FROM participants WHERE used <> granted";
    assert_eq!(app.count(left), 0, "every chance was used");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_draw_on_one_activity() {
    let here = TestApp::builder().idle().start().await;
    // The second with hardly a connection: a crowd may wait there, and must not lock itself out.
    let there = TestApp::builder().idle().connections(1).start_beside(&here).await;
    let (activity, _) = here.activity(&here.owner("alpha").await, "DRAW").await;
    let people = here.people("alpha", 40).await;
    let turns = people.iter().flat_map(|person| [(&here, person), (&there, person), (&here, person), (&there, person)]);
    let answers = join_all(turns.map(|(server, person)| codes(server, person, &activity))).await;
    let drawn = answers.iter().filter(|codes| codes.is_empty()).count();
    assert_eq!(drawn, people.len() * CHANCES);
    assert!(answers.iter().all(|codes| codes.is_empty() || *codes == ["NO_CHANCE_LEFT"]), "{answers:?}");
    taken_stock(&here, &activity, drawn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_draw_however_often_it_is_sent() {
    let here = TestApp::builder().idle().start().await;
    let there = TestApp::builder().idle().start_beside(&here).await;
    let (activity, _) = here.activity(&here.owner("alpha").await, "DRAW").await;
    let person = here.person("alpha", 1).await;
    let intent = json!({ "activity": activity, "key": "once", "seed": "" });
    let race = (0..20).map(|turn| if turn % 2 == 0 { &here } else { &there });
    let answers = join_all(race.map(|server| server.done(&person.token, DRAW, intent.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer["replayed"] == false).count(), 1);
    assert!(answers.iter().all(|answer| answer["draw"] == answers[0]["draw"] && !answer["draw"].is_null()));
    taken_stock(&here, &activity, 1).await;

    let other = json!({ "activity": activity, "key": "once", "seed": "another" });
    assert_eq!(here.refused(&person.token, DRAW, other).await, ["IDEMPOTENCY_KEY_REUSED"]);
    // Somebody else's key of the same name is another key.
    let neighbour = here.person("alpha", 2).await;
    assert_eq!(here.done(&neighbour.token, DRAW, intent).await["replayed"], false);
    taken_stock(&here, &activity, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_drawn_outside_the_window() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let person = app.person("alpha", 1).await;
    let id = activity.parse::<ActivityId>().expect("an ID").uuid();
    let consumed = || {
        app.sql(
            "SELECT (SELECT count(*) FROM draws) || ' ' || (SELECT count(*) FROM claims) || ' ' ||
            (SELECT coalesce(sum(used), 0) FROM participants) || ' ' ||
            (SELECT count(*) FROM stock_entries WHERE reason = 'WON') || ' ' ||
            (SELECT count(*) FROM idempotency_keys WHERE operation = 'activityDraw')",
        )
    };
    let nothing = "0 0 0 0 0";
    assert_eq!(consumed(), nothing);

    let window = |opens: &str, closes: &str| {
        app.sql(&format!("UPDATE activities SET opens_at = {opens}, closes_at = {closes} WHERE id = '{id}'"))
    };
    window("now() + interval '1 hour'", "now() + interval '2 hours'");
    assert_eq!(codes(&app, &person, &activity).await, ["NOT_YET_OPEN"]);
    window("now() - interval '2 hours'", "now()");
    assert_eq!(codes(&app, &person, &activity).await, ["CLOSED"], "the closing moment is outside");
    assert_eq!(consumed(), nothing);

    window("now() - interval '2 hours'", "now() + interval '2 hours'");
    app.done(&owner, PAUSE, json!({ "id": activity })).await;
    assert_eq!(codes(&app, &person, &activity).await, ["PAUSED"]);
    assert_eq!(consumed(), nothing);
    let resume = "mutation($id: ID!) { activityResume(input: {id: $id}) { userErrors { code } } }";
    app.done(&owner, resume, json!({ "id": activity })).await;
    app.draw(&person, &activity).await;
    let end = "mutation($id: ID!) { activityEnd(input: {id: $id}) { userErrors { code } } }";
    app.done(&owner, end, json!({ "id": activity })).await;
    assert_eq!(codes(&app, &person, &activity).await, ["CLOSED"]);
    taken_stock(&app, &activity, 1).await;

    let (airdrop, _) = app.activity(&owner, "AIRDROP").await;
    assert_eq!(codes(&app, &person, &airdrop).await, ["NOT_FOUND"], "nobody draws in an airdrop");
}
