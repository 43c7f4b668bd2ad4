//! What people try against a console's door: guessing, flooding, stolen tokens, borrowed sessions.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use minthouse::platform::clock::{Clock, ScriptedClock, SystemClock};
use minthouse::platform::throttle::Window;
use minthouse::tenancy::model::OperatorId;
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::session::Visit;
use minthouse::tenancy::sign_in::{SignInRequest, sign_in};
use minthouse::tenancy::throttle::{self, Key, NO_TENANT};
use minthouse::tenancy::token::Identity;
use minthouse::tenancy::{device, password, standing};
use serde_json::{Value, json};

use crate::support::app::{TestApp, text};
use crate::support::desk::*;

const ALPHA: &str = "owner@alpha.example";
const SESSION_END: &str = "mutation($id: ID) { sessionEnd(input: {id: $id}) { session { id } userErrors { code } } }";

fn code(payload: &Value) -> Option<&str> {
    payload["userErrors"][0]["code"].as_str()
}

/// How many attempts the rule lets through within `elapsed`: five, and then after 1 s, 2 s more, 4 s more …
fn admitted_within(elapsed: Duration) -> usize {
    let (mut attempts, mut next, mut wait) = (5, 1, 1);
    while next <= elapsed.as_secs() {
        attempts += 1;
        wait *= 2;
        next += wait;
    }
    attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_guesses_at_once_get_no_more_than_the_free_ones() {
    let app = TestApp::builder().idle().start().await;
    let desk = app.desk(40, 1);
    let begun = Instant::now();
    let answers = futures_util::future::join_all((0..200).map(|number| {
        let password = format!("guess number {number}");
        let desk = &desk;
        async move { desk.guess(ALPHA, &password).await }
    }))
    .await;
    let allowed = admitted_within(begun.elapsed());
    let judged = answers.iter().filter(|code| code.as_deref() == Some("WRONG_CREDENTIALS")).count();
    let later = answers.iter().filter(|code| code.as_deref() == Some("TRY_LATER")).count();
    assert!((5..=allowed).contains(&judged), "{judged} judged, {allowed} allowed");
    assert_eq!(judged + later, 200, "{answers:?}");
    let counted = app.count("SELECT count::text FROM throttles WHERE kind = 'SIGN_IN_BLOCK'");
    assert_eq!(counted, judged as i64, "each that was judged was counted, and no other");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_queued_behind_an_attempt_that_began_later_is_still_free() {
    let app = TestApp::builder().idle().start().await;
    let desk = app.desk(40, 2);
    for _ in 0..3 {
        assert_eq!(desk.guess(ALPHA, "a wrong password").await.as_deref(), Some("WRONG_CREDENTIALS"));
        app.sql("UPDATE throttles SET last_at = now() + interval '20 seconds'");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_from_elsewhere_do_not_slow_the_owner() {
    let app = TestApp::builder().idle().start().await;
    let (thief, owner) = (app.desk(41, 1), app.desk(42, 1));
    for _ in 0..5 {
        assert_eq!(thief.guess(ALPHA, "a wrong password").await.as_deref(), Some("WRONG_CREDENTIALS"));
    }
    app.sql("UPDATE throttles SET count = 14 WHERE kind = 'SIGN_IN_BLOCK'");
    let refused = thief.try_sign_in(json!({ "signIn": ALPHA, "password": password_of(ALPHA) })).await;
    assert_eq!(code(&refused), Some("TRY_LATER"), "not even the right one, there");
    let wait = refused["userErrors"][0]["retryAfterSeconds"].as_i64().expect("seconds");
    assert!((480..=512).contains(&wait), "2⁹ s, less what has passed: {wait}");
    assert!(text(&refused["userErrors"][0]["message"]).ends_with(&format!("Wait {wait} s.")));
    let neighbour = app.desk(41, 200);
    assert_eq!(neighbour.guess(ALPHA, "a wrong password").await.as_deref(), Some("TRY_LATER"), "one block, one count");
    owner.seat(ALPHA, &password_of(ALPHA)).await;
    // And the thief's count stays: the owner's success is not theirs.
    assert_eq!(thief.guess(ALPHA, "a wrong password").await.as_deref(), Some("TRY_LATER"));
    app.wait_out("1 hour 10 minutes");
    assert_eq!(thief.guess(ALPHA, "a wrong password").await.as_deref(), Some("WRONG_CREDENTIALS"), "a quiet hour");
    assert_eq!(app.count("SELECT max(count)::text FROM throttles WHERE kind = 'SIGN_IN_BLOCK'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_device_passes_whatever_strangers_do() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await;
    let password = password_of(ALPHA);
    assert_eq!(app.desk(43, 1).guess(ALPHA, "wrong").await.as_deref(), Some("WRONG_CREDENTIALS"));
    // The whole world has guessed at this name.
    app.sql("UPDATE throttles SET count = 500 WHERE kind = 'SIGN_IN_NAME'");
    let stranger = app.desk(44, 1).try_sign_in(json!({ "signIn": ALPHA, "password": password })).await;
    assert_eq!(code(&stranger), Some("TRY_LATER"));
    assert!(stranger["userErrors"][0]["retryAfterSeconds"].as_i64() <= Some(60), "slowed, never shut out");
    let with_device = async |name: &str, password: &str, device: &str| {
        let input = json!({ "signIn": name, "password": password, "deviceToken": device });
        app.desk(45, 1).try_sign_in(input).await
    };
    let known = with_device(ALPHA, &password, &owner.device_token).await;
    assert_eq!(known["deviceToken"], json!(owner.device_token), "it stays the same device");
    assert!(known["token"].is_string());
    // It is nobody else's, cannot be made up, and its own guesses are counted too.
    let beta = app.seat("owner@beta.example").await;
    for foreign in [beta.device_token.as_str(), "mhd_AAAA", "", &owner.device_token[..40]] {
        assert_eq!(code(&with_device(ALPHA, &password, foreign).await), Some("TRY_LATER"), "{foreign}");
    }
    assert_eq!(code(&with_device(ALPHA, "wrong", &owner.device_token).await), Some("WRONG_CREDENTIALS"));
    app.sql("UPDATE throttles SET count = 14 WHERE kind = 'SIGN_IN_DEVICE'");
    assert_eq!(code(&with_device(ALPHA, &password, &owner.device_token).await), Some("TRY_LATER"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_tries_many_names_is_slowed_by_itself() {
    let app = TestApp::builder().idle().start().await;
    let (prober, neighbour) = (app.desk(46, 1), app.desk(46, 2));
    for name in ["a@nowhere.example", "b@nowhere.example", "owner@beta.example"] {
        assert_eq!(prober.guess(name, "wrong").await.as_deref(), Some("WRONG_CREDENTIALS"));
    }
    let counted = "SELECT count::text FROM throttles WHERE kind = 'SIGN_IN_ADDRESS'";
    assert_eq!(app.count(counted), 3);
    // With a success of one's own in between, the count of the others stays.
    prober.seat(ALPHA, &password_of(ALPHA)).await;
    assert_eq!(app.count(counted), 3);
    app.sql("UPDATE throttles SET count = 39 WHERE kind = 'SIGN_IN_ADDRESS'");
    assert_eq!(prober.guess("c@nowhere.example", "wrong").await.as_deref(), Some("TRY_LATER"));
    assert_eq!(neighbour.guess("c@nowhere.example", "wrong").await.as_deref(), Some("WRONG_CREDENTIALS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_has_is_answered_as_one_that_somebody_has() {
    let app = TestApp::builder().idle().start().await;
    let answers = async |block: u8, name: &str| {
        let desk = app.desk(block, 1);
        let mut seen = Vec::new();
        for guess in 0..3 {
            if guess == 2 {
                app.sql("UPDATE throttles SET count = 16, last_at = now() WHERE kind = 'SIGN_IN_BLOCK'");
            }
            let mut payload = desk.try_sign_in(json!({ "signIn": name, "password": "wrong", "code": "1" })).await;
            // How much of the wait has passed is a matter of the machine.
            let error = &mut payload["userErrors"][0];
            let wait = error["retryAfterSeconds"].take();
            if let Some(wait) = wait.as_i64() {
                assert!((800..=900).contains(&wait), "{wait}");
                error["message"] = json!(text(&error["message"]).replace(&wait.to_string(), "…"));
            }
            seen.push(payload);
        }
        app.sql("UPDATE throttles SET count = 0");
        seen
    };
    let known = answers(47, ALPHA).await;
    assert_eq!(
        known.iter().map(|payload| code(payload).expect("refused")).collect::<Vec<_>>(),
        ["WRONG_CREDENTIALS", "WRONG_CREDENTIALS", "TRY_LATER"]
    );
    assert_eq!(known, answers(48, "nobody@alpha.example").await);
}

/// Time cannot be compared between machines; what takes it can be counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_has_costs_what_a_wrong_password_costs() {
    let app = TestApp::builder().idle().start().await;
    app.seat("owner@beta.example").await;
    let work_of = async |name: &str, password: &str, device: Option<&str>| {
        let meter = Arc::new(AtomicU64::new(0));
        let visit = Visit { address: Some("192.0.2.1".parse().expect("an address")), ..Visit::default() };
        let request =
            SignInRequest { sign_in: name, password, code: None, device_token: device, visit: &visit, site: None };
        let platform = &app.app.platform;
        let before = platform.database.statements();
        let attempt = sign_in(platform, &app.app.tokens, &request);
        let outcome = password::METER.scope(meter.clone(), attempt).await;
        let statements = platform.database.statements() - before;
        app.sql("DELETE FROM throttles");
        (outcome.is_ok(), meter.load(std::sync::atomic::Ordering::SeqCst), statements)
    };
    let nobody = work_of("nobody@alpha.example", "wrong", None).await;
    let wrong = work_of(ALPHA, "wrong", None).await;
    let (right, hashes, _) = work_of(ALPHA, &password_of(ALPHA), None).await;
    assert!(right && !nobody.0 && !wrong.0);
    assert_eq!((nobody.1, wrong.1, hashes), (1, 1, 1), "argon2 ran once for each");
    // A known name's failure is noted in the log beside the request; until then the statements are the same.
    assert!(nobody.2 >= 6 && nobody.2 <= wrong.2, "{nobody:?} {wrong:?}");
    app.sql("UPDATE operators SET state = 'DISABLED' WHERE sign_in = 'owner@alpha.example'");
    let disabled = work_of(ALPHA, &password_of(ALPHA), None).await;
    assert_eq!((disabled.0, disabled.1, disabled.2), (false, 1, nobody.2));
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_sign_ins_are_logged_and_cannot_flood_the_log() {
    let app = TestApp::builder().idle().start().await;
    let desk = app.desk(49, 1);
    let logged = async || app.count("SELECT count(*)::text FROM audit_records WHERE action = 'operatorSignInFailed'");
    for _ in 0..5 {
        assert_eq!(desk.guess(ALPHA, "wrong").await.as_deref(), Some("WRONG_CREDENTIALS"));
    }
    app.wait_out("1 minute");
    assert_eq!(desk.guess(ALPHA, "wrong").await.as_deref(), Some("WRONG_CREDENTIALS"));
    until("the first and the sixth are in the log", async || logged().await == 2).await;
    for _ in 0..20 {
        app.sql("UPDATE throttles SET count = 14, last_at = now()");
        assert_eq!(desk.guess(ALPHA, "wrong").await.as_deref(), Some("TRY_LATER"));
    }
    app.desk(50, 1).guess("nobody@alpha.example", "wrong").await;
    app.desk(50, 1).seat(ALPHA, &password_of(ALPHA)).await;
    assert_eq!(logged().await, 2, "what was not judged is not logged");
    let who = app.sql(
        "SELECT actor_kind || ' ' || (actor_id = subject_id)::text FROM audit_records WHERE action = 'operatorSignIn' ORDER BY id DESC LIMIT 1",
    );
    assert_eq!(who, "OPERATOR true", "a success is the operator's own act");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_admits_exactly_its_number_at_once() {
    let app = TestApp::builder().idle().start().await;
    let platform = &app.app.platform;
    let window = Window { limit: 10, length: TimeDelta::minutes(10) };
    let key = Key::new(platform, "TEST", &[b"one"]);
    let try_all = async || {
        let tries = (0..50).map(|_| throttle::count_in_window(platform, NO_TENANT, &key, &window));
        let answers = futures_util::future::join_all(tries).await;
        answers.into_iter().filter(|answer| answer.as_ref().expect("the database answers").is_ok()).count()
    };
    assert_eq!(try_all().await, 10);
    let waits = throttle::count_in_window(platform, NO_TENANT, &key, &window).await.expect("the database answers");
    let wait = waits.expect_err("it is full").seconds();
    assert!((540..=600).contains(&wait), "{wait}");
    let other = Key::new(platform, "TEST", &[b"o", b"ne"]);
    assert_ne!(key, other, "parts are told apart");
    assert!(throttle::count_in_window(platform, NO_TENANT, &other, &window).await.expect("an answer").is_ok());
    app.wait_out("10 minutes");
    assert_eq!(try_all().await, 10, "the next window");
    let clear = app.count("SELECT count(*)::text FROM throttles WHERE position('one'::bytea IN key) > 0");
    assert_eq!(clear, 0, "keys are hashes");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sign_in_adopts_what_the_client_brings() {
    let app = TestApp::builder().idle().start().await;
    let thief = app.seat("owner@beta.example").await;
    let password = password_of(ALPHA);
    // The thief's token planted in the victim's browser: the victim's sign-in must not become part of that session.
    let planted = app.desk(51, 1);
    let input = json!({ "input": { "signIn": ALPHA, "password": password, "deviceToken": thief.device_token } });
    let answer = planted.send(Some(&thief.token), SIGN_IN, input).await;
    let victim = &answer["data"]["operatorSignIn"];
    let (first, refresh) = (text(&victim["token"]), text(&victim["refreshToken"]));
    assert_ne!(session_of(&first), session_of(&thief.token));
    assert_ne!(refresh, thief.refresh_token);
    assert_ne!(victim["deviceToken"], json!(thief.device_token));
    let still = app.ok(Some(&thief.token), ME, json!({})).await;
    assert_eq!(still["viewer"]["operator"]["signIn"], "owner@beta.example", "the planted one is worth what it was");
    // Nor is there a way to ask for a session or a token by name.
    for field in ["id", "session", "sessionId", "refreshToken", "token"] {
        let named = format!(
            "mutation {{ operatorSignIn(input: {{signIn: \"x\", password: \"y\", {field}: \"z\"}}) {{ token }} }}"
        );
        let answer = app.send(None, &named, json!({})).await;
        assert!(answer["errors"][0]["message"].is_string() && answer["data"].is_null(), "{field}: {answer:#}");
    }
    let again = planted.seat(ALPHA, &password).await;
    assert_ne!(session_of(&again.token), session_of(&first), "each sign-in is a session of its own");
    assert_ne!(again.refresh_token, refresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_comes_twice_at_once_gives_one_pair_and_then_ends_the_session() {
    let app = TestApp::builder().idle().start().await;
    for round in 0..5 {
        let seat = app.seat(ALPHA).await;
        let refresh = || app.ok(None, REFRESH, json!({ "token": seat.refresh_token }));
        let (one, two) = tokio::join!(refresh(), refresh());
        let answers = [&one["sessionRefresh"], &two["sessionRefresh"]];
        let given: Vec<&&Value> = answers.iter().filter(|payload| payload["token"].is_string()).collect();
        assert_eq!(given.len(), 1, "round {round}: {answers:#?}");
        let refused = answers.iter().find(|payload| payload["token"].is_null()).expect("the other");
        assert_eq!(code(refused), Some("REFRESH_TOKEN_REUSED"));
        let pair = given[0];
        assert!(app.is_out(&seat.token).await && app.is_out(&text(&pair["token"])).await, "the session has ended");
        let next = app.ok(None, REFRESH, json!({ "token": pair["refreshToken"] })).await;
        assert_eq!(code(&next["sessionRefresh"]), Some("SESSION_ENDED"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshing_goes_on_from_token_to_token() {
    let app = TestApp::builder().idle().start().await;
    let seat = app.seat(ALPHA).await;
    let mut token = seat.refresh_token.clone();
    for _ in 0..3 {
        let next = app.ok(None, REFRESH, json!({ "token": token })).await["sessionRefresh"].take();
        assert_eq!(session_of(&text(&next["token"])), session_of(&seat.token), "the session stays the same");
        assert_ne!(next["refreshToken"], json!(token));
        token = text(&next["refreshToken"]);
    }
    // The first of the chain, long used: somebody else has it.
    let stolen = app.ok(None, REFRESH, json!({ "token": seat.refresh_token })).await;
    assert_eq!(code(&stolen["sessionRefresh"]), Some("REFRESH_TOKEN_REUSED"));
    let newest = app.ok(None, REFRESH, json!({ "token": token })).await;
    assert_eq!(code(&newest["sessionRefresh"]), Some("SESSION_ENDED"));
    assert!(app.is_out(&seat.token).await);
    let because = app.sql("SELECT revoked_because FROM sessions WHERE revoked_at IS NOT NULL");
    assert_eq!(because, "REFRESH_TOKEN_REUSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_forgotten_after_half_a_year() {
    let clock = ScriptedClock::at(SystemClock.now());
    let app = TestApp::builder().idle().clock(clock.clone()).start().await;
    let platform = &app.app.platform;
    let token = device::issue(platform, ALPHA);
    let known = || device::known(platform, ALPHA, &token).is_some();
    clock.advance(TimeDelta::days(179));
    assert!(known());
    clock.advance(TimeDelta::days(3));
    assert!(!known());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_outlives_its_session() {
    let app = TestApp::builder().idle().start().await;
    let seat = app.seat(ALPHA).await;
    app.sql("UPDATE sessions SET expires_at = now() + interval '100 seconds'");
    let refresh = "mutation($token: String!) { sessionRefresh(input: {refreshToken: $token}) {
        token expiresAt userErrors { code } } }";
    let next = app.ok(None, refresh, json!({ "token": seat.refresh_token })).await["sessionRefresh"].take();
    let ends: chrono::DateTime<chrono::Utc> = text(&next["expiresAt"]).parse().expect("a time");
    let left = app.sql("SELECT extract(epoch FROM min(expires_at))::bigint FROM sessions");
    assert!(ends.timestamp() <= left.parse::<i64>().expect("a number"), "{ends} {left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_is_refused_here_at_once_and_on_another_server_in_time() {
    let app = TestApp::builder().idle().start().await;
    let beside = TestApp::builder().idle().start_beside(&app).await;
    let (seat, other) = (app.seat(ALPHA).await, app.seat(ALPHA).await);
    assert!(!beside.is_out(&seat.token).await, "the other server knows it, and has read the standing");
    let ended = Instant::now();
    app.done(&other.token, SESSION_END, json!({ "id": session_of(&seat.token) })).await;
    assert!(app.is_out(&seat.token).await, "on the next request");
    until("the other server hears of it", async || beside.is_out(&seat.token).await).await;
    let fresh_for = standing::FRESH_FOR.to_std().expect("a positive time");
    assert!(ended.elapsed() < fresh_for + Duration::from_secs(2), "{:?}", ended.elapsed());
    assert!(!beside.is_out(&other.token).await, "the others of the same person go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_and_a_token_end_when_their_time_is_over() {
    let app = TestApp::builder().idle().start().await;
    for change in ["expires_at = now()", "used_at = now() - interval '24 hours'"] {
        let seat = app.seat(ALPHA).await;
        app.sql(&format!("UPDATE sessions SET {change}"));
        let refreshed = app.ok(None, REFRESH, json!({ "token": seat.refresh_token })).await;
        assert_eq!(code(&refreshed["sessionRefresh"]), Some("SESSION_ENDED"), "{change}");
    }
    let identity = Identity::Operator { operator: OperatorId::generate(), role: Role::Owner };
    let tenant = app.enterprise("alpha").await;
    let minted = |life| app.app.tokens.mint(tenant, identity.clone(), None, life).expect("the key signs").0;
    assert!(!app.is_out(&minted(TimeDelta::minutes(1))).await);
    assert!(app.is_out(&minted(TimeDelta::seconds(-10))).await);
}
