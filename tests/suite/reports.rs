//! What an activity came to: counted as it happens, and never otherwise than what is recorded.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use minthouse::activities::model::ActivityId;
use minthouse::activities::view;
use minthouse::platform::id;
use serde_json::{Value, json};

use crate::support::app::{TestApp, text};
use crate::support::killed::killed_after;
use crate::support::play::{AIRDROP, DRAW, Person, TAKE, key, phone, prize_of};
use crate::support::stream::Stream;

const VIEW: &str = "mutation($activity: ID!) {
    activityView(input: {activityId: $activity}) { activity { id phase viewerChancesLeft } userErrors { code field } } }";
const REPORT: &str = "query($id: ID!, $from: DateTime!, $until: DateTime!, $granularity: ReportGranularity!) {
    activityReport(id: $id, from: $from, until: $until, granularity: $granularity) {
        activity { id } from until granularity
        totals { views viewers participants draws wins claims }
        series { at views viewers participants draws wins claims } } }";
const FOLLOW: &str = "subscription($id: ID!) {
    activityReportChanged(id: $id) { id version at over totals { views viewers participants draws wins claims } } }";
const END: &str = "mutation($id: ID!) { activityEnd(input: {id: $id}) { activity { state } userErrors { code } } }";
const SETTLE: &str =
    "mutation($id: ID!) { activitySettle(input: {id: $id}) { activity { state } userErrors { code } } }";

const COUNTED: [&str; 6] = ["views", "viewers", "participants", "draws", "wins", "claims"];

fn now(app: &TestApp) -> DateTime<Utc> {
    let now = app.sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    now.parse().expect("a time")
}

fn asked(activity: &str, from: DateTime<Utc>, until: DateTime<Utc>, granularity: &str) -> Value {
    json!({ "id": activity, "from": from, "until": until, "granularity": granularity })
}

/// The report on what has happened in the last hour, after a look at whether its series says the same.
async fn report(app: &TestApp, token: &str, activity: &str, granularity: &str) -> Value {
    let now = now(app);
    let hour = TimeDelta::hours(1);
    let wanted = asked(activity, now - hour, now + hour, granularity);
    let report = app.ok(Some(token), REPORT, wanted).await["activityReport"].take();
    let series = report["series"].as_array().expect("a list").clone();
    for counted in COUNTED {
        let sum: i64 = series.iter().map(|bucket| bucket[counted].as_i64().expect("a number")).sum();
        assert_eq!(report["totals"][counted], sum, "{counted} by {granularity}");
    }
    let starts: Vec<DateTime<Utc>> = series.iter().map(|bucket| text(&bucket["at"]).parse().expect("a time")).collect();
    let length = match granularity {
        "MINUTE" => TimeDelta::minutes(1),
        "HOUR" => TimeDelta::hours(1),
        _ => TimeDelta::days(1),
    };
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == length), "no bucket is left out");
    let border = |name: &str| text(&report[name]).parse::<DateTime<Utc>>().expect("a time");
    assert_eq!((border("from"), border("until")), (starts[0], *starts.last().expect("a bucket") + length));
    assert!(border("from") <= now - hour && border("until") >= now + hour);
    report
}

fn figures(counts: &Value) -> [i64; 6] {
    COUNTED.map(|name| counts[name].as_i64().expect("a number"))
}

async fn looks(app: &TestApp, person: &Person, activity: &str) {
    let seen = app.done(&person.token, VIEW, json!({ "activity": activity })).await;
    assert_eq!(seen["activity"]["id"], activity);
}

/// Brings it about that whoever looked may be counted again.
fn a_minute_passes(app: &TestApp) {
    app.sql("UPDATE activity_viewers SET minute = minute - interval '1 minute'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_seen_as_it_happens() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    assert_eq!(figures(&report(&app, &owner, &activity, "MINUTE").await["totals"]), [0; 6]);

    let (one, two) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
    looks(&app, &one, &activity).await;
    looks(&app, &two, &activity).await;
    a_minute_passes(&app);
    looks(&app, &one, &activity).await;
    let drawn = app.draw(&one, &activity).await;
    app.draw(&one, &activity).await;
    app.draw(&two, &activity).await;
    assert_eq!(app.refused(&one.token, DRAW, json!({ "activity": activity, "key": key() })).await, ["NO_CHANCE_LEFT"]);
    let take = json!({ "id": drawn["claim"]["id"], "key": "once" });
    app.done(&one.token, TAKE, take.clone()).await;
    assert_eq!(app.done(&one.token, TAKE, take).await["replayed"], true);
    app.settle().await;
    for granularity in ["MINUTE", "HOUR", "DAY"] {
        let report = report(&app, &owner, &activity, granularity).await;
        assert_eq!((&report["activity"]["id"], &report["granularity"]), (&json!(activity), &json!(granularity)));
        assert_eq!(figures(&report["totals"]), [3, 2, 2, 3, 3, 1], "by {granularity}");
    }
    app.sums_hold();

    // What is outside of a report's time is no part of it.
    let long_ago = now(&app) - TimeDelta::days(40);
    let empty = asked(&activity, long_ago, long_ago + TimeDelta::days(1), "HOUR");
    let empty = app.ok(Some(&owner), REPORT, empty).await["activityReport"].take();
    assert_eq!(figures(&empty["totals"]), [0; 6]);
    assert!(matches!(empty["series"].as_array().map(Vec::len), Some(24 | 25)));

    // An airdrop has no draws, and claims all the same.
    let (dropping, prize) = app.activity(&owner, "AIRDROP").await;
    let drop = json!({ "activityId": dropping, "prizeId": prize, "phones": [phone(1)], "idempotencyKey": key() });
    app.done(&owner, AIRDROP, json!({ "input": drop })).await;
    let claims = "query($id: ID!) { claims(filter: {activityId: $id}) { nodes { id } } }";
    let owed = app.ok(Some(&one.token), claims, json!({ "id": dropping })).await;
    app.done(&one.token, TAKE, json!({ "id": owed["claims"]["nodes"][0]["id"], "key": key() })).await;
    assert_eq!(figures(&report(&app, &owner, &dropping, "DAY").await["totals"]), [0, 0, 0, 0, 0, 1]);
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_on_two_servers_is_counted_exactly() {
    let here = TestApp::builder().idle().start().await;
    let there = TestApp::builder().idle().start_beside(&here).await;
    let owner = here.owner("alpha").await;
    let (activity, _) = here.activity(&owner, "DRAW").await;
    let people = here.people("alpha", 40).await;
    let servers = [&here, &there];
    let taken = join_all(people.iter().enumerate().map(async |(number, person)| {
        let server = |turn: usize| servers[(number + turn) % 2];
        let mut taken = 0;
        join_all((0..3).map(async |turn| looks(server(turn), person, &activity).await)).await;
        let wishes = (0..3).map(async |turn| {
            let wish = json!({ "activity": activity, "key": key() });
            server(turn).ok(Some(&person.token), DRAW, wish).await["activityDraw"].take()
        });
        for drawn in join_all(wishes).await {
            if drawn["draw"]["claim"].is_object() {
                let claim = json!({ "id": drawn["draw"]["claim"]["id"], "key": key() });
                join_all(servers.map(|server| server.send(Some(&person.token), TAKE, claim.clone()))).await;
                taken += 1;
            }
        }
        looks(server(0), person, &activity).await;
        taken
    }))
    .await;
    here.sums_hold();
    assert_eq!(taken.iter().sum::<i64>(), 20, "every piece was won and taken up");
    for granularity in ["MINUTE", "DAY"] {
        let [views, rest @ ..] = figures(&report(&there, &owner, &activity, granularity).await["totals"]);
        assert_eq!(rest, [40, 40, 80, 20, 20]);
        assert_eq!(views, here.count("SELECT sum(views) FROM activity_viewers"));
        assert!((40..=160).contains(&views), "four looks each, and some within one minute: {views}");
    }
    a_minute_passes(&here);
    let before = here.count("SELECT sum(views) FROM activity_viewers");
    join_all(people.iter().map(|person| looks(&here, person, &activity))).await;
    assert!(here.count("SELECT sum(views) FROM activity_viewers") >= before);
    assert_eq!(here.count("SELECT count(*) FROM activity_viewers"), 40);
    here.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_are_cut_off_are_counted_or_not_and_never_by_half() {
    let app = TestApp::builder().idle().start().await;
    let (activity, _) = app.activity(&app.owner("alpha").await, "DRAW").await;
    let people = app.people("alpha", 5).await;
    let holders: Vec<_> = people.iter().map(|person| person.id.parse().expect("an ID")).collect();
    let (tenant, id) = (app.enterprise("alpha").await, activity.parse::<ActivityId>().expect("an ID"));
    let (mut kills, mut unharmed) = (0, 0);
    for steps in 1..200 {
        let batch = view::batch(&app.app.platform, tenant, id, id::generate(), &holders);
        match killed_after(steps, batch).await {
            None => kills += 1,
            Some(answer) => {
                assert!(answer.expect("it is counted").is_some());
                unharmed += 1;
            }
        }
        a_minute_passes(&app);
        app.sums_hold();
        if unharmed == 3 {
            break;
        }
    }
    assert!(kills > 0 && unharmed == 3, "{kills} kills, {unharmed} batches unharmed");
    assert!(app.count("SELECT min(views) FROM activity_viewers") >= 2);
    assert_eq!(app.count("SELECT sum(viewers)::text FROM activity_counts WHERE span = 'HOUR'"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_public_is_looked_at() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let person = app.person("alpha", 1).await;
    let prizes = json!([prize_of(&app.collectible(&owner).await, Some(1), 1)]);
    let draft = text(&app.draft(&owner, "DRAW", json!({ "prizes": prizes })).await["id"]);
    let (foreign, _) = app.activity(&app.owner("beta").await, "DRAW").await;
    for activity in [draft, foreign, ActivityId::generate().to_string()] {
        assert_eq!(app.refused(&person.token, VIEW, json!({ "activity": activity })).await, ["NOT_FOUND"]);
    }
    assert_eq!(app.count("SELECT count(*) FROM activity_counts"), 0);
    let (activity, _) = app.activity(&owner, "DRAW").await;
    app.done(&owner, END, json!({ "id": activity })).await;
    looks(&app, &person, &activity).await;
    assert_eq!(figures(&report(&app, &owner, &activity, "DAY").await["totals"]), [1, 1, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_given_says_what_can() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let start: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().expect("a time");
    let wrong = [
        (start, TimeDelta::zero(), "DAY", "`from` must be earlier"),
        (start, TimeDelta::hours(-1), "MINUTE", "`from` must be earlier"),
        (start, TimeDelta::hours(25), "MINUTE", "24 hours at most"),
        (start, TimeDelta::days(32), "HOUR", "31 days at most"),
        (start, TimeDelta::days(367), "DAY", "366 days at most"),
        ("1969-12-31T00:00:00Z".parse().expect("a time"), TimeDelta::days(9), "DAY", "between the years"),
    ];
    for (from, length, granularity, told) in wrong {
        let answer = app.send(Some(&owner), REPORT, asked(&activity, from, from + length, granularity)).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{answer:#}");
        let message = text(&answer["errors"][0]["message"]);
        assert!(message.contains(told), "{message}");
    }
    for (length, granularity, buckets) in
        [(TimeDelta::hours(24), "MINUTE", 1440), (TimeDelta::days(31), "HOUR", 744), (TimeDelta::days(366), "DAY", 367)]
    {
        // A day in Shanghai begins at 16:00: days are widened at both ends.
        let found = app.ok(Some(&owner), REPORT, asked(&activity, start, start + length, granularity)).await;
        assert_eq!(found["activityReport"]["series"].as_array().map(Vec::len), Some(buckets), "{granularity}");
    }
    let rival = app.owner("beta").await;
    let foreign = asked(&activity, start, start + TimeDelta::days(1), "DAY");
    assert_eq!(app.ok(Some(&rival), REPORT, foreign).await["activityReport"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_followed_until_the_activity_is_settled() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let person = app.person("alpha", 1).await;
    let open = async |token: &str| Stream::open(&app, Some(token), FOLLOW, json!({ "id": activity })).await;
    let mut stream = open(&owner).await;
    let first = stream.data().await;
    assert_eq!((&first["id"], &first["version"], &first["over"]), (&json!(activity), &json!(0), &json!(false)));
    assert_eq!(figures(&first["totals"]), [0; 6]);

    let mut version = 0;
    let mut changed = |change: &Value| {
        let rises = change["version"].as_i64().expect("a number") > version;
        version = change["version"].as_i64().expect("a number");
        assert!(rises, "{change}");
        figures(&change["totals"])
    };
    looks(&app, &person, &activity).await;
    assert_eq!(changed(&stream.data().await), [1, 1, 0, 0, 0, 0]);
    let drawn = app.draw(&person, &activity).await;
    assert_eq!(changed(&stream.data().await), [1, 1, 1, 1, 1, 0]);
    app.done(&person.token, TAKE, json!({ "id": drawn["claim"]["id"], "key": key() })).await;
    let last = stream.data().await;
    assert_eq!(changed(&last), [1, 1, 1, 1, 1, 1]);
    let late = open(&owner).await.data().await;
    assert_eq!((&late["version"], &late["totals"]), (&last["version"], &last["totals"]), "the same for everybody");

    app.done(&owner, END, json!({ "id": activity })).await;
    app.done(&owner, SETTLE, json!({ "id": activity })).await;
    let over = stream.data().await;
    assert_eq!((&over["over"], &over["totals"]), (&json!(true), &last["totals"]));
    assert_eq!(stream.next().await, None);
    let mut again = open(&owner).await;
    assert_eq!(again.data().await["over"], true);
    assert_eq!(again.next().await, None);

    for (token, code) in [(app.owner("beta").await, "NOT_FOUND"), (person.token, "FORBIDDEN")] {
        let refused = open(&token).await.next().await.expect("a result");
        assert_eq!(refused["errors"][0]["extensions"]["code"], code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_before_there_were_reports_is_counted_too() {
    let app = TestApp::builder().idle().start().await;
    let (activity, _) = app.activity(&app.owner("alpha").await, "DRAW").await;
    for person in app.people("alpha", 12).await {
        let drawn = app.draw(&person, &activity).await;
        app.draw(&person, &activity).await;
        app.done(&person.token, TAKE, json!({ "id": drawn["claim"]["id"], "key": key() })).await;
    }
    app.settle().await;
    let counted = || {
        app.sql(
            "SELECT string_agg(concat_ws(' ', activity_id, span, starts_at, views, viewers, participants, draws, wins, claims), '; ')
               FROM (SELECT activity_id, span, starts_at, sum(views) AS views, sum(viewers) AS viewers,
                            sum(participants) AS participants, sum(draws) AS draws, sum(wins) AS wins, sum(claims) AS claims
                       FROM activity_counts GROUP BY 1, 2, 3 ORDER BY 1, 2, 3) AS counted",
        )
    };
    let before = counted();
    let migration = include_str!("../../migrations/0016_reports/up.sql");
    let (_, filling) = migration.split_once("\nINSERT INTO").expect("it fills the table");
    let (filling, _) = filling.split_once(";\n").expect("the statement ends");
    app.sql("DELETE FROM activity_counts");
    app.sql(&format!("INSERT INTO{filling}"));
    assert_eq!(counted(), before);
    app.sums_hold();
}
