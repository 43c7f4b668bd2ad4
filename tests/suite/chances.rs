//! Who may draw, how often, and how chances and points are earned and spent.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::draws::{published, two_collectibles, verified};
use crate::support::app::{TestApp, client, text};
use crate::support::play::{DRAW, PAUSE, Person, activity_of, key, prize_of};

const LOOK: &str = "query($id: ID!) { activity(id: $id) { viewerChancesLeft viewerPoints dailyChances
    participation { phoneBound realNamed firstTime listed pointsAtLeast pointsCost holdersPerDevice holdersPerAddress tags excludedTags }
    tasks { id kind chances timesPerDay timesPerHolder onTrust link name { english } viewerDone viewerDoneToday } } }";
const COMPLETE: &str = "mutation($task: ID!, $key: String!) {
    taskComplete(input: {taskId: $task, idempotencyKey: $key}) {
        activity { viewerChancesLeft } task { viewerDone } chances replayed userErrors { code field } } }";
const ENTER: &str = "mutation($activity: ID!, $code: String!, $key: String!) {
    drawCodeEnter(input: {activityId: $activity, code: $code, idempotencyKey: $key}) {
        activity { viewerChancesLeft } chances replayed userErrors { code field retryAfterSeconds } } }";
const GRANT: &str = "mutation($task: ID!, $grants: [ChancesGrantRowInput!]!, $key: String!) {
    chancesGrant(input: {taskId: $task, grants: $grants, idempotencyKey: $key}) {
        grants { reference chances replayed } userErrors { code field } } }";
const CODES: &str = "mutation($task: ID!, $count: Int!, $uses: Int!, $word: String, $key: String!) {
    drawCodesGenerate(input: {taskId: $task, count: $count, uses: $uses, word: $word, idempotencyKey: $key}) {
        batch { id count uses path } replayed userErrors { code field } } }";
const INVITE: &str = "mutation($activity: ID!, $add: [String!]!, $remove: [String!]!) {
    participationPhonesChange(input: {activityId: $activity, add: $add, remove: $remove}) { count userErrors { code field } } }";
const BLOCK: &str = "mutation($add: [String!]!, $remove: [String!]!) {
    blockedPhonesChange(input: {add: $add, remove: $remove}) { count userErrors { code field } } }";
const POINTS: &str = "mutation($adjustments: [PointsAdjustmentInput!]!, $key: String!) {
    pointsAdjust(input: {adjustments: $adjustments, idempotencyKey: $key}) {
        adjusted { balance replayed } userErrors { code field } } }";
const TAG: &str = "mutation($holders: [ID!]!, $add: [String!]!) {
    holderTagsChange(input: {holderIds: $holders, add: $add}) { userErrors { code } } }";
const DRAW_FROM: &str = "mutation($activity: ID!, $key: String!, $device: String, $times: Int) {
    activityDraw(input: {activityId: $activity, idempotencyKey: $key, device: $device, times: $times}) {
        draws { id } userErrors { code field } } }";
const ENTRIES: &str = "query($activity: ID!, $holder: ID) {
    chanceEntries(first: 100, orderBy: CREATED_AT_ASC, filter: {activityId: $activity, holderId: $holder}) {
        totalCount nodes { reason delta holder { id } } } }";

/// A running draw of alpha that wins nothing much; `more` goes into its input.
async fn drawn(app: &TestApp, more: Value) -> String {
    let (one, _) = two_collectibles(app).await;
    let mut input = json!({ "prizes": [prize_of(&one, Some(1), 1)] });
    input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    published(app, input).await
}

async fn left(app: &TestApp, person: &Person, activity: &str) -> i64 {
    let seen = app.ok(Some(&person.token), LOOK, json!({ "id": activity })).await;
    seen["activity"]["viewerChancesLeft"].as_i64().expect("a number")
}

async fn codes(app: &TestApp, person: &Person, activity: &str) -> Vec<String> {
    app.refused(&person.token, DRAW, json!({ "activity": activity, "key": key() })).await
}

fn task(kind: &str, more: Value) -> Value {
    let mut input = json!({ "kind": kind, "name": { "chinese": "任务", "english": kind } });
    input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    input
}

async fn tasks(app: &TestApp, activity: &str) -> Vec<String> {
    let seen = app.ok(Some(&app.owner("alpha").await), LOOK, json!({ "id": activity })).await;
    let tasks = seen["activity"]["tasks"].as_array().expect("a list").clone();
    tasks.iter().map(|task| text(&task["id"])).collect()
}

async fn entries(app: &TestApp, token: &str, activity: &str, holder: Option<&str>) -> Vec<(String, i64)> {
    let found = app.ok(Some(token), ENTRIES, json!({ "activity": activity, "holder": holder })).await;
    let nodes = found["chanceEntries"]["nodes"].as_array().expect("a list").clone();
    assert_eq!(found["chanceEntries"]["totalCount"].as_u64(), Some(nodes.len() as u64));
    nodes.iter().map(|node| (text(&node["reason"]), node["delta"].as_i64().expect("a number"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_give_chances_as_often_as_they_may() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let all = json!([
        task("SHARE", json!({ "chances": 2, "timesPerDay": 2 })),
        task("FOLLOW_ACCOUNT", json!({ "link": "https://mp.example/follow" })),
        task("API", json!({ "chances": 3, "timesPerHolder": 2 })),
        task("DRAW_CODE", json!({})),
    ]);
    let activity = drawn(&app, json!({ "chancesPerHolder": 0, "tasks": all })).await;
    let [share, follow, api, code] = &tasks(&app, &activity).await[..] else { panic!("four tasks") };
    let (person, other) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    assert_eq!(left(&app, &person, &activity).await, 0);
    assert_eq!(codes(&app, &person, &activity).await, ["NO_CHANCE_LEFT"]);

    // Sharing takes the holder's word, twice a day.
    let once = json!({ "task": share, "key": "share" });
    let done = app.done(&person.token, COMPLETE, once.clone()).await;
    assert_eq!((&done["chances"], &done["activity"]["viewerChancesLeft"]), (&json!(2), &json!(2)));
    assert_eq!(done["task"]["viewerDone"], 1);
    let again = app.done(&person.token, COMPLETE, once).await;
    assert_eq!((&again["replayed"], &again["activity"]["viewerChancesLeft"]), (&json!(true), &json!(2)));
    let crowd =
        join_all((0..10).map(|_| app.refused(&person.token, COMPLETE, json!({ "task": share, "key": key() })))).await;
    // A test may run over midnight in Shanghai, and then there are two days.
    let more = crowd.iter().filter(|codes| codes.is_empty()).count();
    assert!((1..=3).contains(&more), "{crowd:?}");
    assert!(crowd.iter().all(|codes| codes.is_empty() || *codes == ["TASK_DONE"]), "{crowd:?}");

    // What the enterprise confirms takes nobody's word, and its server's once for each reference.
    for task in [follow, api, code] {
        let refused = app.refused(&person.token, COMPLETE, json!({ "task": task, "key": key() })).await;
        assert_eq!(refused, ["NOT_ON_TRUST"]);
    }
    let rows =
        json!([{ "holderId": person.id, "reference": "order-1" }, { "holderId": other.id, "reference": "order-2" }]);
    let granted = app.done(&owner, GRANT, json!({ "task": api, "grants": rows, "key": "g" })).await;
    assert_eq!(
        granted["grants"],
        json!([
        { "reference": "order-1", "chances": 3, "replayed": false }, { "reference": "order-2", "chances": 3, "replayed": false }])
    );
    let more = json!([
        { "holderId": person.id, "reference": "order-1" }, { "holderId": person.id, "reference": "order-3" },
        { "holderId": person.id, "reference": "order-4" }]);
    let granted = app.done(&owner, GRANT, json!({ "task": api, "grants": more, "key": key() })).await;
    assert_eq!(
        granted["grants"],
        json!([
        { "reference": "order-1", "chances": 3, "replayed": true }, { "reference": "order-3", "chances": 3, "replayed": false },
        { "reference": "order-4", "chances": 0, "replayed": false }]),
        "twice a holder"
    );
    let taken = json!([{ "holderId": other.id, "reference": "order-1" }]);
    let refused = app.refused(&owner, GRANT, json!({ "task": api, "grants": taken, "key": key() })).await;
    assert_eq!(refused, ["REFERENCE_REUSED"]);
    let stranger = app.person("beta", 1).await;
    let refused = json!([{ "holderId": stranger.id, "reference": "x" }]);
    let refused = app.refused(&owner, GRANT, json!({ "task": api, "grants": refused, "key": key() })).await;
    assert_eq!(refused, ["HOLDER_NOT_FOUND"]);
    let rival = app.owner("beta").await;
    let refused = app.refused(&rival, GRANT, json!({ "task": api, "grants": rows, "key": key() })).await;
    assert_eq!(refused, ["TASK_NOT_FOUND"]);

    // Chances serve while the activity is held, and draws use them up.
    let before = left(&app, &other, &activity).await;
    assert_eq!(before, 3);
    app.done(&owner, PAUSE, json!({ "id": activity })).await;
    let late = json!([{ "holderId": other.id, "reference": "order-9" }]);
    app.done(&owner, GRANT, json!({ "task": follow, "grants": late, "key": key() })).await;
    assert_eq!(app.refused(&other.token, COMPLETE, json!({ "task": share, "key": key() })).await, ["PAUSED"]);
    app.done(
        &owner,
        "mutation($id: ID!) { activityResume(input: {id: $id}) { userErrors { code } } }",
        json!({ "id": activity }),
    )
    .await;
    assert_eq!(left(&app, &other, &activity).await, 4);
    let answers = join_all((0..6).map(|_| codes(&app, &other, &activity))).await;
    assert_eq!(answers.iter().filter(|codes| codes.is_empty()).count(), 4);
    let ledger = entries(&app, &other.token, &activity, None).await;
    let sum = |reason: &str| -> i64 { ledger.iter().filter(|line| line.0 == reason).map(|line| line.1).sum() };
    assert_eq!((sum("GRANTED"), sum("FOLLOWED"), sum("DRAWN"), sum("JOINED")), (3, 1, -4, 0));
    assert_eq!(entries(&app, &owner, &activity, Some(&other.id)).await, ledger);
    assert!(entries(&app, &rival, &activity, None).await.is_empty());
    app.sums_hold();
    assert_eq!(verified(&app, &activity).await.draws, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn chances_are_given_and_used_at_once_on_two_servers() {
    let here = TestApp::builder().idle().start().await;
    let there = TestApp::builder().idle().start_beside(&here).await;
    let owner = here.owner("alpha").await;
    let all = json!([task("API", json!({})), task("SHARE", json!({ "timesPerHolder": 3 }))]);
    let activity = drawn(&here, json!({ "chancesPerHolder": 1, "dailyChances": 1, "tasks": all })).await;
    let [api, share] = &tasks(&here, &activity).await[..] else { panic!("two tasks") };
    let people = here.people("alpha", 20).await;
    // Each is new to the activity, and joins it by drawing, by sharing and by a grant in the same moment.
    let turns = people.iter().enumerate().flat_map(|(number, person)| {
        (0..4).map(move |turn| (if (number + turn) % 2 == 0 { 0 } else { 1 }, turn, person))
    });
    let servers = [&here, &there];
    let (owner, activity, api, share) = (&owner, &activity, api, share);
    join_all(turns.map(|(server, turn, person)| async move {
        match turn {
            0 => drop(codes(servers[server], person, activity).await),
            1 => drop(servers[server].done(&person.token, COMPLETE, json!({ "task": share, "key": key() })).await),
            2 => {
                let row = json!([{ "holderId": person.id, "reference": format!("r-{}", person.id) }]);
                let grants = json!({ "task": api, "grants": row, "key": key() });
                drop(servers[server].done(owner, GRANT, grants).await);
            }
            _ => drop(codes(servers[server], person, activity).await),
        }
    }))
    .await;
    here.sums_hold();
    for person in &people {
        while codes(&here, person, activity).await.is_empty() {}
    }
    here.sums_hold();
    // One from the outset, one a day, one shared, one granted: four draws each, or five over midnight.
    let odd = here.count("SELECT count(*) FROM participants WHERE used NOT IN (4, 5) OR used <> granted");
    assert_eq!(odd, 0);
    assert_eq!(here.count("SELECT count(*) FROM chance_entries WHERE reason = 'JOINED'"), 20, "each joins once");
    verified(&here, activity).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn draw_codes_serve_who_enters_them() {
    let app = TestApp::start().await;
    let owner = app.owner("alpha").await;
    let all = json!([task("DRAW_CODE", json!({ "chances": 2 })), task("API", json!({}))]);
    let activity = drawn(&app, json!({ "chancesPerHolder": 0, "tasks": all })).await;
    let [coded, api] = &tasks(&app, &activity).await[..] else { panic!("two tasks") };
    let (person, other) = (app.person("alpha", 1).await, app.person("alpha", 2).await);

    let order = json!({ "task": coded, "count": 500, "uses": 1, "key": "codes" });
    let made = app.done(&owner, CODES, order.clone()).await;
    assert_eq!((&made["batch"]["count"], &made["replayed"]), (&json!(500), &json!(false)));
    assert_eq!(app.done(&owner, CODES, order).await["batch"], made["batch"]);
    assert_eq!(app.count("SELECT count(*) FROM draw_codes"), 500);
    let refused = app.refused(&owner, CODES, json!({ "task": api, "count": 1, "uses": 1, "key": key() })).await;
    assert_eq!(refused, ["TASK_NOT_FOUND"]);

    // The file, to whoever may run activities; the same after the data key was exchanged.
    let path = text(&made["batch"]["path"]);
    let fetch = async |token: &str| {
        let answer =
            client().get(format!("http://{}{path}", app.address)).bearer_auth(token).send().await.expect("it answers");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    let (status, file) = fetch(&owner).await;
    assert_eq!(status, 200);
    let lines: Vec<&str> = file.lines().collect();
    assert_eq!((lines[0], lines.len()), ("code", 501));
    app.exchange_data_key("alpha").await;
    assert_eq!(fetch(&owner).await, (200, file.clone()));
    assert_eq!(fetch(&app.owner("beta").await).await.0, 404);
    assert_eq!(fetch(&person.token).await.0, 403);
    assert_eq!(fetch("nonsense").await.0, 401);
    assert_eq!(
        app.count("SELECT count(*) FROM audit_records WHERE action = 'drawCodesRead'"),
        2,
        "each look is recorded"
    );

    // A code serves once, however it is typed and however many try.
    let typed = lines[1].to_lowercase().replace('-', " ");
    let enter = async |person: &Person, code: &str| {
        let input = json!({ "activity": activity, "code": code, "key": key() });
        app.refused(&person.token, ENTER, input).await
    };
    let people = [&person, &other];
    let crowd = join_all((0..8).map(|turn| enter(people[turn % 2], if turn < 4 { &typed } else { lines[1] }))).await;
    assert_eq!(crowd.iter().filter(|codes| codes.is_empty()).count(), 1, "{crowd:?}");
    let known = ["CODE_USED", "TOO_OFTEN"];
    assert!(crowd.iter().flatten().all(|code| known.contains(&code.as_str())), "{crowd:?}");
    assert_eq!(left(&app, &person, &activity).await + left(&app, &other, &activity).await, 2);
    assert_eq!(app.count("SELECT count(*) FROM draw_codes WHERE uses_left = 0"), 1);

    // A word of one's own serves many, each once.
    let word = json!({ "task": coded, "count": 1, "uses": 2, "word": "夏日 2026", "key": key() });
    app.done(&owner, CODES, word).await;
    let [one, two, three] = [3, 4, 5].map(|number| app.person("alpha", number));
    let (one, two, three) = (one.await, two.await, three.await);
    assert!(enter(&one, "夏日2026").await.is_empty());
    assert_eq!(enter(&one, "夏日2026").await, ["CODE_USED"], "by one person once");
    assert!(enter(&two, "夏日-2026").await.is_empty());
    assert_eq!(enter(&three, "夏日2026").await, ["CODE_USED"], "two were to enter it");
    let again = json!({ "task": coded, "count": 1, "uses": 2, "word": "夏日2026", "key": key() });
    assert_eq!(app.refused(&owner, CODES, again).await, ["INVALID_INPUT"]);

    // Who guesses waits.
    let guesser = app.person("alpha", 6).await;
    let mut guesses = Vec::new();
    for number in 0..13 {
        guesses.extend(enter(&guesser, &format!("WRONG{number}")).await);
    }
    assert_eq!(guesses[..10], ["WRONG_CODE"; 10]);
    assert!(guesses[10..].contains(&"TOO_OFTEN".to_owned()), "{guesses:?}");
    // An old success forgives nobody's new guesses.
    let clever = app.person("alpha", 7).await;
    let mine = json!({ "activity": activity, "code": lines[2], "key": "mine" });
    app.done(&clever.token, ENTER, mine.clone()).await;
    let mut guesses = Vec::new();
    for number in 0..16 {
        guesses.extend(enter(&clever, &format!("WRONG{number}")).await);
        if number % 3 == 0 {
            guesses.extend(app.refused(&clever.token, ENTER, mine.clone()).await);
        }
    }
    assert!(guesses.contains(&"TOO_OFTEN".to_owned()), "{guesses:?}");
    let hashed = |slug: &str| {
        format!("SELECT string_agg(encode(code_hash, 'hex'), ',') FROM draw_codes AS code
        JOIN draw_code_batches AS batch ON batch.id = code.batch_id JOIN enterprises AS e ON e.tenant_id = code.tenant_id
        WHERE e.slug = '{slug}' AND batch.word")
    };
    let plain = minthouse::platform::vault::hex(&minthouse::platform::vault::sha256("夏日2026".as_bytes()));
    assert!(!app.sql(&hashed("alpha")).is_empty() && app.sql(&hashed("alpha")) != plain, "the hash is keyed");
    let seen = "query($id: ID!) { activity(id: $id) { tasks { codeBatches { path count } } } }";
    let batches =
        app.ok(Some(&owner), seen, json!({ "id": activity })).await["activity"]["tasks"][0]["codeBatches"].take();
    assert_eq!(batches, json!([{ "path": path, "count": 500 }, { "path": null, "count": 1 }]));
    let batches = app.ok(Some(&person.token), seen, json!({ "id": activity })).await;
    assert_eq!(batches["activity"]["tasks"][0]["codeBatches"], Value::Null, "to the enterprise alone");
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_participation_refuses_in_its_own_words() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let with = async |rule: Value| drawn(&app, json!({ "chancesPerHolder": 9, "participation": rule })).await;
    let (person, other) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    let phone = |number: usize| crate::support::play::phone(number);

    let named = with(json!({ "realNamed": true })).await;
    assert_eq!(codes(&app, &person, &named).await, ["REAL_NAME_REQUIRED"]);
    let bound = with(json!({ "phoneBound": true })).await;
    assert!(codes(&app, &person, &bound).await.is_empty());
    app.sql(&format!(
        "UPDATE holders SET phone_hash = NULL, phone_sealed = NULL, phone_masked = NULL WHERE id = '{}'",
        uuid(&other.id)
    ));
    assert_eq!(codes(&app, &other, &bound).await, ["PHONE_REQUIRED"]);

    let tagged = with(json!({ "tags": ["vip"], "excludedTags": ["bot"] })).await;
    assert_eq!(codes(&app, &person, &tagged).await, ["NOT_INVITED"]);
    app.done(&owner, TAG, json!({ "holders": [person.id], "add": ["vip"] })).await;
    assert!(codes(&app, &person, &tagged).await.is_empty());
    app.done(&owner, TAG, json!({ "holders": [person.id], "add": ["bot"] })).await;
    assert_eq!(codes(&app, &person, &tagged).await, ["NOT_INVITED"]);
    let seen = app.ok(Some(&person.token), LOOK, json!({ "id": tagged })).await;
    assert_eq!(seen["activity"]["participation"]["tags"], Value::Null, "by which words is nobody's business");
    let seen = app.ok(Some(&owner), LOOK, json!({ "id": tagged })).await;
    assert_eq!(seen["activity"]["participation"]["excludedTags"], json!(["bot"]));

    let first = with(json!({ "firstTime": true })).await;
    assert_eq!(codes(&app, &person, &first).await, ["NOT_FIRST_TIME"], "they drew elsewhere above");
    let new = app.person("alpha", 3).await;
    assert!(codes(&app, &new, &first).await.is_empty());
    assert!(codes(&app, &new, &first).await.is_empty(), "here they may draw on");

    let listed = with(json!({ "listed": true })).await;
    assert_eq!(codes(&app, &new, &listed).await, ["NOT_LISTED"]);
    let change = |add: &[String], remove: &[String]| json!({ "activity": listed, "add": add, "remove": remove });
    assert_eq!(app.done(&owner, INVITE, change(&[phone(3), phone(4)], &[])).await["count"], 2);
    assert!(codes(&app, &new, &listed).await.is_empty());
    assert_eq!(app.done(&owner, INVITE, change(&[], &[phone(3)])).await["count"], 1);
    assert_eq!(codes(&app, &new, &listed).await, ["NOT_LISTED"]);
    assert_eq!(app.refused(&owner, INVITE, change(&["12".into()], &[])).await, ["INVALID_PHONE"]);

    let plain = with(json!({})).await;
    assert!(codes(&app, &new, &plain).await.is_empty());
    assert_eq!(app.done(&owner, BLOCK, json!({ "add": [phone(3)], "remove": [] })).await["count"], 1);
    assert_eq!(codes(&app, &new, &plain).await, ["BLOCKED"], "in every activity of the enterprise");
    let rival = app.person("beta", 3).await;
    let (theirs, _) = app.activity(&app.owner("beta").await, "DRAW").await;
    assert!(codes(&app, &rival, &theirs).await.is_empty(), "and in no other's");
    assert_eq!(app.done(&owner, BLOCK, json!({ "add": [], "remove": [phone(3)] })).await["count"], 0);
    assert!(codes(&app, &new, &plain).await.is_empty());
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn points_are_given_asked_for_and_spent() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let rule = json!({ "pointsAtLeast": 5, "pointsCost": 3 });
    let activity = drawn(&app, json!({ "chancesPerHolder": 50, "participation": rule, "drawsAtOnce": 5 })).await;
    let (person, other) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    assert_eq!(codes(&app, &person, &activity).await, ["NOT_ENOUGH_POINTS"]);
    let row =
        |person: &Person, delta: i64, name: &str| json!({ "holderId": person.id, "delta": delta, "reference": name });
    let adjust = async |rows: Value| {
        app.send(Some(&owner), POINTS, json!({ "adjustments": rows, "key": key() })).await["data"]["pointsAdjust"]
            .take()
    };
    let given = adjust(json!([row(&person, 20, "a"), row(&other, 4, "b"), row(&person, -3, "c")])).await;
    assert_eq!(
        given["adjusted"],
        json!([
        { "balance": 17, "replayed": false }, { "balance": 4, "replayed": false }, { "balance": 17, "replayed": false }])
    );
    let again = adjust(json!([row(&person, 20, "a"), row(&other, 1, "d")])).await;
    assert_eq!(again["adjusted"], json!([{ "balance": 17, "replayed": true }, { "balance": 5, "replayed": false }]));
    for (rows, code) in [
        (json!([row(&person, 21, "a")]), "REFERENCE_REUSED"),
        (json!([row(&other, 100, "e"), row(&person, -18, "f")]), "NOT_ENOUGH_POINTS"),
        (json!([row(&app.person("beta", 1).await, 1, "g")]), "HOLDER_NOT_FOUND"),
    ] {
        assert_eq!(adjust(rows).await["userErrors"][0]["code"], code);
    }
    // Of 17 points, four draws cost 12, and then five are left: one more, and two.
    let many = json!({ "activity": activity, "key": key(), "times": 4 });
    assert_eq!(app.done(&person.token, DRAW_FROM, many).await["draws"].as_array().map(Vec::len), Some(4));
    let crowd = join_all((0..5).map(|_| codes(&app, &person, &activity))).await;
    assert_eq!(crowd.iter().filter(|codes| codes.is_empty()).count(), 1);
    assert!(crowd.iter().flatten().all(|code| code == "NOT_ENOUGH_POINTS"), "{crowd:?}");
    let seen = app.ok(Some(&person.token), LOOK, json!({ "id": activity })).await;
    assert_eq!(seen["activity"]["viewerPoints"], 2);
    let ledger = "query($holder: ID) { pointEntries(holderId: $holder, first: 50, orderBy: CREATED_AT_ASC) { totalCount nodes { reason delta reference } } }";
    let found = app.ok(Some(&person.token), ledger, json!({})).await;
    let deltas: Vec<i64> = found["pointEntries"]["nodes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|node| node["delta"].as_i64())
        .collect();
    assert_eq!((deltas.iter().sum::<i64>(), deltas.len()), (2, 7));
    let found = app.ok(Some(&owner), ledger, json!({ "holder": other.id })).await;
    assert_eq!(found["pointEntries"]["totalCount"], 2);
    let found = app.ok(Some(&app.owner("beta").await), ledger, json!({})).await;
    assert_eq!(found["pointEntries"]["totalCount"], 0);
    app.sums_hold();
    assert_eq!(verified(&app, &activity).await.draws, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_and_an_address_serve_so_many_people() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let rule = json!({ "holdersPerDevice": 1, "holdersPerAddress": 3 });
    let activity = drawn(&app, json!({ "chancesPerHolder": 5, "participation": rule })).await;
    let people = app.people("alpha", 5).await;
    let from = async |person: &Person, device: Option<&str>| {
        let wish = json!({ "activity": activity, "key": key(), "device": device });
        app.refused(&person.token, DRAW_FROM, wish).await
    };
    assert_eq!(from(&people[0], None).await, ["DEVICE_REQUIRED"]);
    assert_eq!(from(&people[0], Some("short")).await, ["INVALID_INPUT"]);
    // Two people on one phone, at once: one of them.
    let both = join_all([from(&people[0], Some("device-one")), from(&people[1], Some("device-one"))]).await;
    assert_eq!(both.iter().filter(|codes| codes.is_empty()).count(), 1, "{both:?}");
    assert!(both.contains(&vec!["TOO_MANY_ON_DEVICE".to_owned()]), "{both:?}");
    assert!(from(&people[2], Some("device-two")).await.is_empty());
    assert!(from(&people[3], Some("device-three")).await.is_empty());
    assert_eq!(from(&people[4], Some("device-four")).await, ["TOO_MANY_ON_ADDRESS"], "all of the test's come from one");
    assert!(from(&people[2], Some("device-two")).await.is_empty(), "who was there stays");
    assert_eq!(app.count("SELECT count(*) FROM draw_origins"), 6);
    let end = "mutation($id: ID!) { activityEnd(input: {id: $id}) { userErrors { code } } }";
    app.done(&owner, end, json!({ "id": activity })).await;
    let settle = "mutation($id: ID!) { activitySettle(input: {id: $id}) { userErrors { code } } }";
    app.done(&owner, settle, json!({ "id": activity })).await;
    assert_eq!(app.count("SELECT count(*) FROM draw_origins"), 0, "nobody needs to know any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused_at_creation() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (one, _) = two_collectibles(&app).await;
    let create = "mutation($input: ActivityCreateInput!) { activityCreate(input: $input) { userErrors { code field message } } }";
    for (more, field) in [
        (json!({ "chancesPerHolder": 0 }), "chancesPerHolder"),
        (json!({ "dailyChances": -1 }), "dailyChances"),
        (json!({ "tasks": [task("SHARE", json!({}))] }), "tasks.0.timesPerDay"),
        (json!({ "participation": { "tags": ["a"], "excludedTags": ["a"] } }), "participation.excludedTags"),
        (json!({ "participation": { "pointsCost": 0 } }), "participation.pointsCost"),
    ] {
        let mut input = activity_of("DRAW", json!({ "prizes": [prize_of(&one, Some(1), 1)] }));
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let answer = app.send(Some(&owner), create, json!({ "input": input })).await;
        let problem = &answer["data"]["activityCreate"]["userErrors"][0];
        assert_eq!((&problem["code"], &problem["field"]), (&json!("INVALID_INPUT"), &json!(field)), "{answer}");
    }
}

fn uuid(id: &str) -> uuid::Uuid {
    id.parse::<minthouse::wallets::model::HolderId>().expect("an ID").uuid()
}
