//! Drawing under pressure: what is won, what it costs, and what an outsider can compute again from the record.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use minthouse::activities::model::ActivityId;
use minthouse::activities::verify::{self, Export, Flaw, Recorded, Verified};
use minthouse::activities::{force, publication};
use minthouse::platform::vault::hex;
use minthouse::tenancy::scope::TenantScope;
use serde_json::{Value, json};

use crate::support::app::{TestApp, client, text};
use crate::support::offline::{Folder, run};
use crate::support::play::{DRAW, PAUSE, PUBLISH, Person, SUBMIT, key, prize_of};

/// How many pieces small.toml's draw gives away, with odds of a million in a million.
const PIECES: usize = 20;
/// And how often each holder may draw.
const CHANCES: usize = 2;

const DRAW_MANY: &str = "mutation($activity: ID!, $key: String!, $times: Int!, $seed: String) {
    activityDraw(input: {activityId: $activity, idempotencyKey: $key, times: $times, clientSeed: $seed}) {
        draws { id sequence ordinal index roll serialNumber awardedPrize { id name { english } } plan { position } }
        replayed userErrors { code field } } }";
const END: &str = "mutation($id: ID!) { activityEnd(input: {id: $id}) { activity { state } userErrors { code } } }";
const SETTLE: &str =
    "mutation($id: ID!) { activitySettle(input: {id: $id}) { activity { state seed } userErrors { code field } } }";
const TAG: &str = "mutation($holders: [ID!]!, $add: [String!]!, $remove: [String!]!) {
    holderTagsChange(input: {holderIds: $holders, add: $add, remove: $remove}) { holders { tags } userErrors { code field } } }";

/// The public record, as it stands now.
pub async fn record(app: &TestApp, activity: &str) -> Export {
    let activity: ActivityId = activity.parse().expect("an ID");
    let scope = TenantScope::of_system(app.enterprise("alpha").await);
    let platform = &app.app.platform;
    let mut export =
        publication::begin(platform, &scope, activity).await.expect("it answers").expect("it was published");
    let mut after = None;
    loop {
        let (draws, next) = publication::page(platform, &scope, activity, after).await.expect("it answers");
        export.draws.extend(draws);
        if next.is_none() {
            return export;
        }
        after = next;
    }
}

/// The record with the seed that only settlement will show.
pub async fn with_seed(app: &TestApp, activity: &str) -> Export {
    let mut export = record(app, activity).await;
    let scope = TenantScope::of_system(app.enterprise("alpha").await);
    let tx = scope.read(&app.app.platform.database).await.expect("the database answers");
    let seed = force::seed(&app.app.platform, &tx, export.activity).await.expect("it is sealed, and the key is there");
    export.seed = Some(hex(&seed));
    export
}

/// Plays the outsider: computes every draw again, with and without the seed.
pub async fn verified(app: &TestApp, activity: &str) -> Verified {
    let before = verify::check(&record(app, activity).await).unwrap_or_else(|flaw| panic!("{flaw}"));
    let after = verify::check(&with_seed(app, activity).await).unwrap_or_else(|flaw| panic!("{flaw}"));
    assert!(!before.from_seed && after.from_seed);
    assert_eq!(before, Verified { from_seed: false, ..after.clone() });
    after
}

/// What a draw on small.toml's activity must have come to, once `draws` were made.
async fn taken_stock(app: &TestApp, activity: &str, draws: usize) {
    app.sums_hold();
    assert_eq!(verified(app, activity).await.draws, draws);
    let rows = record(app, activity).await.draws;
    let serials: BTreeSet<u32> = rows.iter().filter_map(|row| row.serial).collect();
    assert_eq!(rows.iter().filter(|row| row.awarded.is_some()).count(), PIECES.min(draws), "every piece goes");
    assert_eq!(serials.len(), PIECES.min(draws), "no number twice");
    let (first, last) = (serials.first().expect("a winner"), serials.last().expect("a winner"));
    assert_eq!((last - first) as usize, serials.len() - 1, "no number left out");
    let stock = "SELECT available || ' ' || reserved FROM allotments WHERE activity_id =";
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
    app.done(&owner, END, json!({ "id": activity })).await;
    assert_eq!(codes(&app, &person, &activity).await, ["CLOSED"]);
    taken_stock(&app, &activity, 1).await;

    let (airdrop, _) = app.activity(&owner, "AIRDROP").await;
    assert_eq!(codes(&app, &person, &airdrop).await, ["NOT_FOUND"], "nobody draws in an airdrop");
}

fn name(text: &str) -> Value {
    json!({ "chinese": text, "english": text })
}

/// A prize of its own name.
fn named(words: &str, collectible: &str, odds: Option<i32>, quantity: i32, more: Value) -> Value {
    let mut prize = prize_of(collectible, odds, quantity);
    prize["name"] = name(words);
    let more = more.as_object().expect("an object").clone();
    prize.as_object_mut().expect("an object").extend(more);
    prize
}

/// A draw of alpha's that is open to everybody.
pub async fn published(app: &TestApp, input: Value) -> String {
    let owner = app.owner("alpha").await;
    let id = text(&app.draft(&owner, "DRAW", input).await["id"]);
    app.done(&owner, SUBMIT, json!({ "id": id })).await;
    app.approve(&id).await;
    app.done(&owner, PUBLISH, json!({ "id": id, "key": key() })).await;
    id
}

async fn many(app: &TestApp, person: &Person, activity: &str, times: i32) -> Vec<Value> {
    let wish = json!({ "activity": activity, "key": key(), "times": times, "seed": "好运" });
    app.done(&person.token, DRAW_MANY, wish).await["draws"].as_array().expect("a list").clone()
}

async fn codes_of_many(app: &TestApp, person: &Person, activity: &str, times: i32) -> Vec<String> {
    app.refused(&person.token, DRAW_MANY, json!({ "activity": activity, "key": key(), "times": times })).await
}

fn prizes_of(draws: &[Value]) -> Vec<Option<&str>> {
    draws.iter().map(|draw| draw["awardedPrize"]["name"]["english"].as_str()).collect()
}

/// The first two collectibles of alpha.
pub async fn two_collectibles(app: &TestApp) -> (String, String) {
    let query = "{ collectibles(first: 2, orderBy: CREATED_AT_ASC) { nodes { id } } }";
    let found = app.ok(Some(&app.owner("alpha").await), query, json!({})).await;
    let nodes = &found["collectibles"]["nodes"];
    (text(&nodes[0]["id"]), text(&nodes[1]["id"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn several_draws_at_once_are_all_made_or_none() {
    let app = TestApp::builder().idle().start().await;
    let (one, _) = two_collectibles(&app).await;
    let prizes = json!([named("a", &one, Some(500_000), 4, json!({}))]);
    let activity = published(&app, json!({ "prizes": prizes, "chancesPerHolder": 7, "drawsAtOnce": 5 })).await;
    let person = app.person("alpha", 1).await;

    assert_eq!(codes_of_many(&app, &person, &activity, 6).await, ["TOO_MANY_AT_ONCE"], "more than the activity allows");
    assert_eq!(codes_of_many(&app, &person, &activity, 11).await, ["TOO_MANY_AT_ONCE"], "more than any does");
    assert_eq!(codes_of_many(&app, &person, &activity, 0).await, ["TOO_MANY_AT_ONCE"]);
    let five = many(&app, &person, &activity, 5).await;
    let figures = |field: &str| five.iter().map(|draw| draw[field].as_i64().expect("a number")).collect::<Vec<_>>();
    assert_eq!(figures("ordinal"), [1, 2, 3, 4, 5]);
    assert_eq!(figures("index"), [0, 1, 2, 3, 4]);
    assert_eq!(figures("sequence"), [1, 2, 3, 4, 5]);
    assert_eq!(
        codes_of_many(&app, &person, &activity, 3).await,
        ["NO_CHANCE_LEFT"],
        "two are left, and three are none"
    );
    assert_eq!(app.count("SELECT count(*) FROM draws"), 5);

    // One key, sent by a crowd: one set of draws.
    let wish = json!({ "activity": activity, "key": "twice", "times": 2, "seed": "s" });
    let answers = join_all((0..10).map(|_| app.done(&person.token, DRAW_MANY, wish.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer["replayed"] == false).count(), 1);
    assert!(answers.iter().all(|answer| answer["draws"] == answers[0]["draws"]));
    assert_eq!(answers[0]["draws"].as_array().map(Vec::len), Some(2));
    let other = json!({ "activity": activity, "key": "twice", "times": 1, "seed": "s" });
    assert_eq!(app.refused(&person.token, DRAW_MANY, other).await, ["IDEMPOTENCY_KEY_REUSED"]);
    app.sums_hold();
    assert_eq!(verified(&app, &activity).await.draws, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_from_batch_to_batch_and_from_server_to_server() {
    let here = TestApp::builder().idle().start().await;
    let there = TestApp::builder().idle().start_beside(&here).await;
    let (one, two) = two_collectibles(&here).await;
    let prizes = json!([
        named("daily", &one, Some(500_000), 10, json!({ "winsPerDay": 3 })),
        named("once", &two, Some(500_000), 5, json!({ "winsPerHolder": 1 })),
    ]);
    let limits = json!({ "prizes": prizes, "chancesPerHolder": 50, "drawsPerDay": 6, "winsPerHolder": 2 });
    let activity = published(&here, limits).await;
    let people = here.people("alpha", 8).await;
    let servers = [&here, &there];
    let turns = people.iter().flat_map(|person| (0..8).map(move |turn| (servers[turn % 2], person)));
    let answers = join_all(turns.map(|(server, person)| codes(server, person, &activity))).await;
    assert!(answers.iter().all(|codes| codes.is_empty() || *codes == ["NOT_TODAY"]), "{answers:?}");
    assert_eq!(answers.iter().filter(|codes| codes.is_empty()).count(), 8 * 6);
    here.sums_hold();
    // A test may run over midnight in Shanghai, and then there are two days.
    let days = here.count("SELECT count(DISTINCT day) FROM participants");
    let daily = here.count("SELECT coalesce(sum(wins), 0) FROM prize_days");
    assert!((3..=3 * days).contains(&daily), "{daily} in {days} days");
    assert_eq!(here.count("SELECT coalesce(max(wins), 0) FROM prize_tallies"), 1);
    assert!(here.count("SELECT max(wins) FROM participants") <= 2);
    let counted = "SELECT count(*) FROM participants AS p WHERE wins <> (SELECT count(awarded_prize_id) FROM draws AS d
        WHERE d.holder_id = p.holder_id AND d.activity_id = p.activity_id)";
    assert_eq!(here.count(counted), 0, "wins are counted as they were made");
    assert_eq!(verified(&here, &activity).await.draws, 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_for_whom_the_enterprise_has_chosen_and_for_their_time() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (one, two) = two_collectibles(&app).await;
    let input = json!({
        "chancesPerHolder": 20,
        "prizes": [named("everybody", &one, Some(1_000_000), 10, json!({}))],
        "personalPlans": [
            { "tags": ["vip", "金卡"], "fallsThrough": true, "prizes": [named("vip", &two, Some(1_000_000), 2, json!({}))] },
            { "tags": ["later"], "startsAt": "2035-01-01T00:00:00Z", "prizes": [named("later", &two, Some(1_000_000), 1, json!({}))] },
        ],
    });
    let activity = published(&app, input).await;
    let (vip, other) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    let tagged = json!({ "holders": [vip.id], "add": ["金卡", "later"], "remove": [] });
    let tagged = app.done(&owner, TAG, tagged).await;
    assert_eq!(tagged["holders"], json!([{ "tags": ["later", "金卡"] }]));

    assert_eq!(prizes_of(&many(&app, &other, &activity, 1).await), [Some("everybody")]);
    let mut drawn = Vec::new();
    for _ in 0..3 {
        drawn.extend(many(&app, &vip, &activity, 1).await);
    }
    assert_eq!(
        prizes_of(&drawn),
        [Some("vip"), Some("vip"), Some("everybody")],
        "the plan falls through once it is empty"
    );
    let untagged = json!({ "holders": [vip.id], "add": [], "remove": ["later"] });
    assert_eq!(app.done(&owner, TAG, untagged).await["holders"], json!([{ "tags": ["金卡"] }]));
    assert_eq!(verified(&app, &activity).await.draws, 4);

    // By which words somebody was chosen is no holder's business, and no other enterprise's.
    let seen = app
        .ok(
            Some(&vip.token),
            "query($id: ID!) { activity(id: $id) { plans { forChosen tags prizes { name { english } quantity } } } }",
            json!({ "id": activity }),
        )
        .await;
    let plans = seen["activity"]["plans"].as_array().expect("a list").clone();
    assert_eq!(
        plans.iter().map(|plan| plan["forChosen"].clone()).collect::<Vec<_>>(),
        [json!(false), json!(true), json!(true)]
    );
    assert!(plans.iter().all(|plan| plan["tags"].is_null()), "{plans:?}");
    let mine = app.ok(Some(&vip.token), "query($id: ID!) { holder(id: $id) { tags } }", json!({ "id": vip.id })).await;
    assert_eq!(mine["holder"]["tags"], Value::Null);
    let rival = app.owner("beta").await;
    let strangers = json!({ "holders": [vip.id], "add": ["x"], "remove": [] });
    assert_eq!(app.refused(&rival, TAG, strangers).await, ["HOLDER_NOT_FOUND"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_may_end_with_its_last_piece() {
    let app = TestApp::builder().idle().start().await;
    let (one, _) = two_collectibles(&app).await;
    let input = json!({
        "chancesPerHolder": 9,
        "exhaustion": "CLOSE_ACTIVITY",
        "prizes": [named("a", &one, Some(1_000_000), 3, json!({}))],
    });
    let activity = published(&app, input).await;
    let person = app.person("alpha", 1).await;
    let answers = join_all((0..9).map(|_| codes(&app, &person, &activity))).await;
    assert_eq!(answers.iter().filter(|codes| codes.is_empty()).count(), 3);
    assert!(answers.iter().all(|codes| codes.is_empty() || *codes == ["CLOSED"]), "{answers:?}");
    assert_eq!(app.sql("SELECT used || ' ' || granted FROM participants"), "3 9", "nobody pays for what is over");
    let found = app
        .ok(
            Some(&app.owner("alpha").await),
            "query($id: ID!) { activity(id: $id) { state } }",
            json!({ "id": activity }),
        )
        .await;
    assert_eq!(found["activity"]["state"], "ENDED");
    assert_eq!(verified(&app, &activity).await.draws, 3);
}

/// Everything that a draw can meet, drawn by five people.
async fn colourful(app: &TestApp) -> String {
    let (one, two) = two_collectibles(app).await;
    let blind = json!({ "collectibleId": null, "quantity": null, "lots": [{ "collectibleId": one, "quantity": 3 }, { "collectibleId": two, "quantity": 3 }] });
    let input = json!({
        "chancesPerHolder": 40, "drawsAtOnce": 10, "winsPerHolder": 6,
        "exhaustion": "TO_FALLBACK",
        "prizes": [
            named("blind", &one, Some(200_000), 1, blind),
            named("once", &one, Some(300_000), 4, json!({ "winsPerHolder": 1 })),
            named("slow", &one, Some(100_000), 4, json!({ "paced": true })),
            named("fallback", &two, None, 2, json!({ "fallback": true })),
        ],
        "personalPlans": [
            { "tags": ["vip"], "overlays": true, "exhaustion": "RENORMALISE", "prizes": [
                named("vip", &two, Some(100_000), 1, json!({})), named("vip too", &two, Some(100_000), 1, json!({})) ] },
            { "startsAt": "2026-02-01T00:00:00Z", "endsAt": "2035-02-01T00:00:00Z", "overlays": true, "fallsThrough": true,
                "exhaustion": "REDRAW_ONCE", "prizes": [named("timed", &two, Some(200_000), 1, json!({}))] },
        ],
    });
    let activity = published(app, input).await;
    let people = app.people("alpha", 5).await;
    let tagged = json!({ "holders": [people[0].id, people[1].id], "add": ["vip"], "remove": [] });
    app.done(&app.owner("alpha").await, TAG, tagged).await;
    for person in &people {
        many(app, person, &activity, 10).await;
    }
    join_all(people.iter().map(|person| many(app, person, &activity, 3))).await;
    activity
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_activity_is_verified_by_strangers() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let activity = colourful(&app).await;
    let ours = verified(&app, &activity).await;
    assert!(ours.draws == 65 && ours.participants == 5 && ours.wins > 5, "{ours:?}");
    let causes: BTreeSet<u8> = steps(&app).into_iter().map(|(cause, _)| cause).collect();
    assert!(causes.contains(&1) && causes.contains(&4) && causes.contains(&5), "{causes:?}");
    assert!(steps(&app).iter().filter(|(_, withheld)| *withheld > 0).count() > 3);

    assert_eq!(app.refused(&owner, SETTLE, json!({ "id": activity })).await, ["NOT_OVER"]);
    let path = "query($id: ID!) { activity(id: $id) { drawRecordPath seed seedCommitment } }";
    let found = app.ok(Some(&owner), path, json!({ "id": activity })).await["activity"].take();
    assert_eq!(found["seed"], Value::Null);
    let fetch = async || {
        let path = found["drawRecordPath"].as_str().expect("a path");
        let answer = client().get(app.url().replace("/graphql", path)).send().await.expect("it answers");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a text")
    };
    let folder = Folder::new("draws");
    let minthouse = env!("CARGO_BIN_EXE_minthouse");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/verify-draws.mjs");

    let before = folder.file("before.json", &fetch().await);
    let (whole, said) = run(minthouse, &["verify-draws", before.to_str().expect("text")]);
    assert!(whole && said.starts_with("ok: 65 draws of 5 participants") && said.contains("not revealed yet"), "{said}");

    app.done(&owner, END, json!({ "id": activity })).await;
    let settled = app.done(&owner, SETTLE, json!({ "id": activity })).await["activity"].take();
    assert_eq!(settled["state"], "SETTLED");
    let record = fetch().await;
    let file = folder.file("record.json", &record);
    let file = file.to_str().expect("text");
    let (whole, said) = run(minthouse, &["verify-draws", file]);
    assert!(whole && said.contains("computed from the seed") && said.contains(&hex(&ours.head)), "{said}");
    let (whole, said) = run("node", &[script, file]);
    assert_eq!((whole, said.trim()), (true, format!("ok 65 {}", hex(&ours.head)).as_str()));

    // What is changed is found, by the one as by the other.
    let export: Export = serde_json::from_str(&record).expect("a record");
    let people: BTreeSet<&String> = export.draws.iter().map(|draw| &draw.participant).collect();
    for holder in app.sql("SELECT string_agg(id::text, ',') FROM holders").split(',') {
        assert!(!record.contains(holder) && !people.contains(&holder.replace('-', "")), "the record names nobody");
    }
    let won = export.draws.iter().position(|draw| draw.serial.is_some()).expect("somebody won");
    type Change = fn(&mut Recorded);
    let changes: [(&str, Change); 8] = [
        ("participant", |draw| draw.participant = "00".repeat(16)),
        ("seed", |draw| draw.client_seed.push('x')),
        ("numbers", |draw| draw.numbers[0] = (draw.numbers[0] + 1) % 1_000_000),
        ("awarded", |draw| draw.awarded = None),
        ("serial", |draw| draw.serial = draw.serial.map(|serial| serial + 1)),
        ("hash", |draw| draw.hash.replace_range(0..1, if draw.hash.starts_with('0') { "1" } else { "0" })),
        ("at", |draw| draw.at += chrono::TimeDelta::microseconds(1)),
        ("index", |draw| draw.index += 1),
    ];
    for (what, change) in changes {
        let mut forged = export.clone();
        change(&mut forged.draws[won]);
        assert!(matches!(verify::check(&forged), Err(Flaw::Draw(..))), "{what}");
        forged.seed = None;
        assert!(verify::check(&forged).is_err(), "{what}, without the seed");
    }
    let forged = |change: &dyn Fn(&mut Export)| {
        let mut forged = export.clone();
        change(&mut forged);
        let flaw = verify::check(&forged).expect_err("it was changed");
        let file = folder.file("forged.json", &serde_json::to_string(&forged).expect("it is written"));
        assert!(!run("node", &[script, file.to_str().expect("text")]).0, "{flaw}");
        flaw
    };
    assert!(matches!(forged(&|it| drop(it.draws.remove(3))), Flaw::Gap { place: 4, found: 5 }));
    assert!(matches!(forged(&|it| it.draws.swap(3, 4)), Flaw::Gap { .. }));
    assert!(matches!(forged(&|it| it.terms.document = it.terms.document.replace("300000", "300001")), Flaw::Draw(..)));
    assert!(matches!(forged(&|it| it.terms.since += chrono::TimeDelta::seconds(1)), Flaw::Draw(..)));
    assert_eq!(forged(&|it| it.seed = Some("00".repeat(32))), Flaw::OtherSeed);
    // A record that ends too soon holds: that it is whole shows in the last hash, which was noted before.
    let mut short = export.clone();
    short.draws.truncate(60);
    assert!(verify::check(&short).is_ok_and(|verified| verified.head != ours.head));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_keep_a_seed_back() {
    let app = TestApp::builder().idle().start().await;
    let (one, _) = two_collectibles(&app).await;
    let draw = || json!({ "prizes": [prize_of(&one, Some(1), 1)] });
    let (ended, closed, running) =
        (published(&app, draw()).await, published(&app, draw()).await, published(&app, draw()).await);
    app.done(&app.owner("alpha").await, END, json!({ "id": ended })).await;
    let id = |text: &str| text.parse::<ActivityId>().expect("an ID").uuid();
    let stands = |activity: &str| {
        app.sql(&format!("SELECT state || ' ' || (revealed_seed IS NOT NULL)::text || ' ' || coalesce((seed_commitment = sha256(revealed_seed))::text, '') FROM activities WHERE id = '{}'", id(activity)))
    };
    let past = |activity: &str, column: &str, minutes: i32| {
        app.sql(&format!(
            "UPDATE activities SET {column} = now() - interval '{minutes} minutes' WHERE id = '{}'",
            id(activity)
        ))
    };
    past(&ended, "updated_at", 59);
    past(&closed, "closes_at", 59);
    app.settle().await;
    assert_eq!(
        (stands(&ended), stands(&closed)),
        ("ENDED false ".into(), "PUBLISHED false ".into()),
        "an hour is theirs"
    );
    past(&ended, "updated_at", 61);
    past(&closed, "closes_at", 61);
    app.settle().await;
    for activity in [&ended, &closed] {
        assert_eq!(stands(activity), "SETTLED true true");
    }
    assert_eq!(stands(&running), "PUBLISHED false ");
}

/// Cause and reason of each step of each draw, as they are stored.
fn steps(app: &TestApp) -> Vec<(u8, u8)> {
    let packed = app.sql("SELECT coalesce(string_agg(encode(steps, 'hex'), ''), '') FROM draws");
    let bytes = minthouse::platform::vault::unhex(&packed).expect("hexadecimal");
    bytes.chunks(8).map(|step| (step[1], step[7])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_public_once_the_activity_is_and_nobody_elses() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let (airdrop, _) = app.activity(&owner, "AIRDROP").await;
    let (one, _) = two_collectibles(&app).await;
    let draft = app.draft(&owner, "DRAW", json!({ "prizes": [prize_of(&one, Some(1), 1)] })).await;
    let status = async |enterprise: &str, activity: &str| {
        let answer = client().get(app.url().replace("graphql", &format!("draws/{enterprise}/{activity}"))).send().await;
        answer.expect("it answers").status().as_u16()
    };
    let (alpha, beta) = (app.enterprise("alpha").await.to_string(), app.enterprise("beta").await.to_string());
    assert_eq!(status(&alpha, &activity).await, 200);
    for (enterprise, activity) in [
        (&beta, &activity),
        (&alpha, &airdrop),
        (&alpha, &text(&draft["id"])),
        (&alpha, &ActivityId::generate().to_string()),
        (&alpha, &"..".to_owned()),
    ] {
        assert_eq!(status(enterprise, activity).await, 404, "{enterprise}/{activity}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn support_learns_why_a_draw_came_to_what_it_came_to() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (one, two) = two_collectibles(&app).await;
    let input = json!({
        "chancesPerHolder": 9, "exhaustion": "TO_FALLBACK",
        "prizes": [named("main", &one, Some(1_000_000), 1, json!({})), named("comfort", &two, None, 1, json!({ "fallback": true }))],
    });
    let activity = published(&app, input).await;
    let person = app.person("alpha", 1).await;
    let mut drawn = Vec::new();
    for _ in 0..3 {
        drawn.extend(many(&app, &person, &activity, 1).await);
    }
    let query = "query($id: ID!) { drawExplain(id: $id) {
        sentences { english chinese } steps { cause number pickedPrize { name { english } } withheld } } }";
    let explained = async |token: &str, place: usize| {
        app.ok(Some(token), query, json!({ "id": drawn[place]["id"] })).await["drawExplain"].take()
    };
    let causes = |explained: &Value| {
        let steps = explained["steps"].as_array().expect("a list").clone();
        steps
            .iter()
            .map(|step| (text(&step["cause"]), step["withheld"].as_str().map(str::to_owned)))
            .collect::<Vec<_>>()
    };
    let step = |cause: &str, withheld: Option<&str>| (cause.to_owned(), withheld.map(str::to_owned));
    let first = explained(&owner, 0).await;
    assert_eq!(causes(&first), [step("ROLL", None)]);
    let last =
        |explained: &Value| text(&explained["sentences"].as_array().expect("a list").last().expect("one")["english"]);
    assert!(last(&first).starts_with("It won \"main\", number #"), "{first}");
    let second = explained(&person.token, 1).await;
    assert_eq!(causes(&second), [step("ROLL", Some("GONE")), step("FALLBACK", None)]);
    assert!(last(&second).starts_with("It won \"comfort\""), "{second}");
    let third = explained(&owner, 2).await;
    assert_eq!(causes(&third), [step("ROLL", Some("GONE")), step("FALLBACK", Some("GONE"))]);
    assert_eq!(last(&third), "It won nothing.");
    assert!(third["steps"][0]["number"].is_number() && third["steps"][1]["number"].is_null());

    let neighbour = app.person("alpha", 2).await;
    assert_eq!(explained(&neighbour.token, 0).await, Value::Null, "somebody else's draw");
    assert_eq!(explained(&app.owner("beta").await, 0).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_tried_out_and_nothing_is_written() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (one, two) = two_collectibles(&app).await;
    let input = json!({
        "chancesPerHolder": 5,
        "prizes": [named("rare", &one, Some(1_000), 30, json!({})), named("common", &two, Some(200_000), 30, json!({}))],
        "personalPlans": [{ "tags": ["vip"], "prizes": [named("vip", &two, Some(500_000), 5, json!({}))] }],
    });
    let draft = app.draft(&owner, "DRAW", input).await;
    let simulate = "mutation($input: ActivitySimulateInput!) { activitySimulate(input: $input) {
        simulation { points { at draws wins refused left costMinor } overAt
            prizes { prize { name { english } } expectedWins picked wins withheld left goneAt } }
        userErrors { code field } } }";
    let try_out = async |more: Value| {
        let mut input = json!({ "id": draft["id"], "draws": 3000, "points": 6, "chosenPerMillion": 100_000 });
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        app.done(&owner, simulate, json!({ "input": input })).await["simulation"].take()
    };
    let before = app.sql("SELECT count(*) FROM events");
    let costs = json!([{ "prizeId": draft["prizes"][1]["id"], "costMinor": 100 }]);
    let done = try_out(json!({ "costs": costs })).await;
    let points = done["points"].as_array().expect("a list").clone();
    assert_eq!(points.len(), 6);
    let last = &points[5];
    assert!(last["draws"].as_i64().expect("a number") + last["refused"].as_i64().expect("a number") == 3000, "{last}");
    let names: Vec<_> =
        done["prizes"].as_array().expect("a list").iter().map(|it| text(&it["prize"]["name"]["english"])).collect();
    assert_eq!(names, ["rare", "common", "vip"]);
    // A fifth of most draws would win the common prize, of which there are 30; a tenth of the crowd draws for the other.
    assert_eq!(done["prizes"][1]["wins"], 30);
    assert!(done["prizes"][1]["goneAt"].is_string() && done["prizes"][1]["withheld"].as_i64() > Some(30), "{done}");
    assert_eq!(done["prizes"][2]["wins"], 5);
    assert_eq!(last["costMinor"], 3000);
    let written = "SELECT (SELECT count(*) FROM draws) || ' ' || (SELECT count(*) FROM participants) || ' ' || (SELECT count(*) FROM allotments WHERE activity_id = (SELECT max(id::text)::uuid FROM activities))";
    assert_eq!(app.sql(written), "0 0 0");
    assert_eq!(app.sql("SELECT count(*) FROM events"), before);
    let refused = async |input: Value| app.refused(&owner, simulate, json!({ "input": input })).await;
    assert_eq!(refused(json!({ "id": draft["id"], "draws": 100_001 })).await, ["INVALID_INPUT"]);
    assert_eq!(refused(json!({ "id": draft["id"], "points": 0 })).await, ["INVALID_INPUT"]);
    let (sale, _) = app.sale(&owner).await;
    assert_eq!(refused(json!({ "id": sale })).await, ["NOT_FOUND"]);
    let strange = app.activity(&app.owner("beta").await, "DRAW").await.1;
    let strange = json!({ "id": draft["id"], "costs": [{ "prizeId": strange, "costMinor": 1 }] });
    assert_eq!(refused(strange).await, ["PRIZE_NOT_FOUND"]);
}
