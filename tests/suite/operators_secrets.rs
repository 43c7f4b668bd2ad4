//! Passwords and second factors of operators.

use serde_json::{Value, json};

use crate::support::app::{TestApp, text};
use crate::support::desk::*;

const ALPHA: &str = "owner@alpha.example";
const NEW: &str = "copper-kettle-sings-at-dusk";
const CHANGE: &str = "mutation($present: String!, $new: String!) {
    operatorPasswordChange(input: {password: $present, newPassword: $new}) {
        operator { id } userErrors { code field retryAfterSeconds } } }";
const RESET: &str = "mutation($id: ID!, $without: Boolean! = false) {
    operatorPasswordReset(input: {id: $id, withoutTotp: $without}) {
        operator { id } secret expiresAt userErrors { code field } } }";
const SET: &str = "mutation($secret: String!, $password: String!) {
    operatorPasswordSet(input: {secret: $secret, password: $password}) { signIn userErrors { code field } } }";
const BEGIN: &str = "mutation($password: String!) {
    operatorTotpBegin(input: {password: $password}) { uri secret userErrors { code } } }";
const CONFIRM: &str = "mutation($code: String!) {
    operatorTotpConfirm(input: {code: $code}) { operator { hasTotp } recoveryCodes userErrors { code } } }";
const OFF: &str = "mutation($password: String!, $code: String!) {
    operatorTotpDisable(input: {password: $password, code: $code}) { operator { hasTotp } userErrors { code } } }";

fn change(present: &str, new: &str) -> Value {
    json!({ "present": present, "new": new })
}

async fn set(app: &TestApp, secret: &Value, password: &str) -> Value {
    app.ok(None, SET, json!({ "secret": secret, "password": password })).await["operatorPasswordSet"].take()
}

/// Turns two-step sign-in on; gives the app's secret and the recovery codes.
async fn enrol(app: &TestApp, seat: &Seat, password: &str) -> (String, Vec<String>) {
    let begun = app.done(&seat.token, BEGIN, json!({ "password": password })).await;
    let secret = text(&begun["secret"]);
    let confirmed = app.done(&seat.token, CONFIRM, json!({ "code": code_of(app, &secret) })).await;
    let codes = confirmed["recoveryCodes"].as_array().expect("codes").iter().map(text).collect();
    (secret, codes)
}

/// The app's present code as if none of this step had been used.
fn next_code(app: &TestApp, secret: &str) -> String {
    app.sql("UPDATE operators SET totp_step = 0");
    code_of(app, secret)
}

fn code(payload: &Value) -> Option<&str> {
    payload["userErrors"][0]["code"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_needs_the_present_one_and_ends_every_other_session() {
    let app = TestApp::builder().idle().start().await;
    let present = password_of(ALPHA);
    let (here, elsewhere) = (app.seat(ALPHA).await, app.seat(ALPHA).await);
    assert_eq!(app.refused(&here.token, CHANGE, change("not-the-present-one", NEW)).await, ["WRONG_PASSWORD"]);
    assert_eq!(app.refused(&here.token, CHANGE, change(&present, "short")).await, ["INVALID_INPUT"]);
    assert!(!app.is_out(&elsewhere.token).await, "a refusal changes nothing");
    app.done(&here.token, CHANGE, change(&present, NEW)).await;
    assert!(!app.is_out(&here.token).await && app.is_out(&elsewhere.token).await);
    let refreshed = app.ok(None, REFRESH, json!({ "token": elsewhere.refresh_token })).await;
    assert_eq!(refreshed["sessionRefresh"]["userErrors"][0]["code"], "SESSION_ENDED");
    let desk = app.desk(0, 7);
    assert_eq!(desk.guess(ALPHA, &present).await.as_deref(), Some("WRONG_CREDENTIALS"));
    assert_eq!(desk.guess(ALPHA, NEW).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_console_is_no_place_to_guess_the_password() {
    let app = TestApp::builder().idle().start().await;
    let seat = app.seat(ALPHA).await;
    assert_eq!(app.refused(&seat.token, CHANGE, change("not-the-present-one", NEW)).await, ["WRONG_PASSWORD"]);
    app.sql("UPDATE throttles SET count = 12 WHERE kind = 'PASSWORD'");
    let payload = app.ok(Some(&seat.token), CHANGE, change(&password_of(ALPHA), NEW)).await;
    let error = &payload["operatorPasswordChange"]["userErrors"][0];
    assert_eq!(error["code"], "TRY_LATER");
    let wait = error["retryAfterSeconds"].as_i64().expect("seconds");
    assert!((100..=128).contains(&wait), "2⁷ s, less what has passed: {wait}");
    let other = app.seat("owner@beta.example").await;
    app.done(&other.token, CHANGE, change(&password_of("owner@beta.example"), NEW)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_good_once_and_only_the_newest_of_them() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await;
    let admin = app.colleague(&owner.token, "admin@alpha.example", "ADMIN").await;
    let one = app.colleague(&owner.token, "one@alpha.example", "OPERATOR").await;
    let older = app.done(&admin.token, RESET, json!({ "id": one.id })).await;
    let newer = app.done(&admin.token, RESET, json!({ "id": one.id })).await;
    assert!(text(&newer["secret"]).starts_with("mhp_"));
    assert!(!app.is_out(&one.token).await, "asking alone puts nobody out");
    assert_eq!(code(&set(&app, &older["secret"], NEW).await), Some("SECRET_INVALID"));
    let mut forged = text(&newer["secret"]);
    let last = forged.pop().expect("it has characters");
    forged.push(if last == 'A' { 'B' } else { 'A' });
    assert_eq!(code(&set(&app, &json!(forged), NEW).await), Some("SECRET_INVALID"));
    assert_eq!(code(&set(&app, &newer["secret"], "short").await), Some("INVALID_INPUT"));

    let both = [set(&app, &newer["secret"], NEW), set(&app, &newer["secret"], "another-gate-of-the-orchard")];
    let both = futures_util::future::join_all(both).await;
    let done = both.iter().filter(|payload| payload["signIn"] == "one@alpha.example").count();
    assert_eq!(done, 1, "one of two at once: {both:#?}");
    assert!(app.is_out(&one.token).await, "every session ended");
    let desk = app.desk(0, 8);
    assert_eq!(desk.guess(&one.sign_in, PASSWORD).await.as_deref(), Some("WRONG_CREDENTIALS"));
    assert_eq!(code(&set(&app, &newer["secret"], NEW).await), Some("SECRET_INVALID"));

    assert_eq!(app.refused(&admin.token, RESET, json!({ "id": admin.id })).await, ["YOURSELF"]);
    let late = app.done(&admin.token, RESET, json!({ "id": one.id })).await;
    app.done(&admin.token, DISABLE, json!({ "id": one.id })).await;
    assert_eq!(code(&set(&app, &late["secret"], NEW).await), Some("SECRET_INVALID"), "nor for who was disabled");
    let beta = app.seat("owner@beta.example").await;
    assert_eq!(app.refused(&admin.token, RESET, json!({ "id": beta.id })).await, ["NOT_FOUND"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_step_sign_in_asks_for_a_code_and_takes_each_step_once() {
    let app = TestApp::builder().idle().start().await;
    let (seat, password, desk) = (app.seat(ALPHA).await, password_of(ALPHA), app.desk(0, 9));
    assert_eq!(app.refused(&seat.token, BEGIN, json!({ "password": "wrong" })).await, ["WRONG_PASSWORD"]);
    assert_eq!(app.refused(&seat.token, CONFIRM, json!({ "code": "123456" })).await, ["TOTP_OFF"]);
    let begun = app.done(&seat.token, BEGIN, json!({ "password": password })).await;
    let secret = text(&begun["secret"]);
    let uri = url::Url::parse(&text(&begun["uri"])).expect("an address");
    assert_eq!((uri.scheme(), uri.host_str()), ("otpauth", Some("totp")));
    assert!(uri.query_pairs().any(|(name, value)| name == "secret" && value == secret));
    assert_eq!(desk.guess(ALPHA, &password).await, None, "until it is confirmed it counts for nothing");
    let sealed = app.sql("SELECT encode(totp_sealed, 'escape') FROM operators WHERE totp_sealed IS NOT NULL");
    assert!(!sealed.contains(&secret), "it is sealed");

    let wrong = code_of(&app, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert_eq!(app.refused(&seat.token, CONFIRM, json!({ "code": wrong })).await, ["WRONG_CODE"]);
    let first = code_of(&app, &secret);
    let confirmed = app.done(&seat.token, CONFIRM, json!({ "code": first })).await;
    assert_eq!(confirmed["operator"]["hasTotp"], true);
    assert_eq!(confirmed["recoveryCodes"].as_array().map(Vec::len), Some(10));
    assert_eq!(app.refused(&seat.token, BEGIN, json!({ "password": password })).await, ["TOTP_ON"]);

    let sign_in = async |code: Option<&str>| {
        desk.try_sign_in(json!({ "signIn": ALPHA, "password": password, "code": code })).await
    };
    let asked = sign_in(None).await;
    assert_eq!((code(&asked), &asked["token"]), (Some("TOTP_REQUIRED"), &Value::Null));
    assert_eq!(code(&sign_in(Some(&first)).await), Some("WRONG_CODE"), "confirming has used the step up");
    app.exchange_data_key("alpha").await;
    let fresh = next_code(&app, &secret);
    let good = sign_in(Some(&format!("{} {}", &fresh[..3], &fresh[3..]))).await;
    assert!(good["token"].is_string(), "{good:#}");
    assert_eq!(app.count("SELECT count(*)::text FROM sessions WHERE method = 'TOTP'"), 1);
    assert_eq!(code(&sign_in(Some(&fresh)).await), Some("WRONG_CODE"), "no step twice");
    let wrong_password = json!({ "signIn": ALPHA, "password": "wrong", "code": next_code(&app, &secret) });
    assert_eq!(code(&desk.try_sign_in(wrong_password).await), Some("WRONG_CREDENTIALS"), "a code is no password");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sign_ins_at_once_with_one_code_one_succeeds() {
    let app = TestApp::builder().idle().start().await;
    let (seat, password, desk) = (app.seat(ALPHA).await, password_of(ALPHA), app.desk(0, 10));
    let (secret, recovery) = enrol(&app, &seat, &password).await;
    for (round, recovery) in recovery.iter().enumerate().take(4) {
        // The loser's attempt stays counted where it comes after the winner's has been forgiven.
        app.sql("DELETE FROM throttles");
        let shown = if round % 2 == 0 { next_code(&app, &secret) } else { recovery.clone() };
        let input = json!({ "signIn": ALPHA, "password": password, "code": shown });
        let both = tokio::join!(desk.try_sign_in(input.clone()), desk.try_sign_in(input));
        let given = [&both.0, &both.1].into_iter().filter(|payload| payload["token"].is_string()).count();
        assert_eq!(given, 1, "round {round}: {both:#?}");
        let refused = if both.0["token"].is_string() { &both.1 } else { &both.0 };
        assert_eq!(code(refused), Some("WRONG_CODE"), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_code_opens_once_and_turning_it_off_needs_both_proofs() {
    let app = TestApp::builder().idle().start().await;
    let (seat, password, desk) = (app.seat(ALPHA).await, password_of(ALPHA), app.desk(0, 11));
    let (secret, recovery) = enrol(&app, &seat, &password).await;
    let sign_in =
        async |code: &str| desk.try_sign_in(json!({ "signIn": ALPHA, "password": password, "code": code })).await;
    assert!(sign_in(&recovery[0].to_uppercase()).await["token"].is_string());
    assert_eq!(code(&sign_in(&recovery[0]).await), Some("WRONG_CODE"));
    assert_eq!(app.count("SELECT count(*)::text FROM sessions WHERE method = 'RECOVERY_CODE'"), 1);

    let off = |password: &str, code: &str| json!({ "password": password, "code": code });
    assert_eq!(app.refused(&seat.token, OFF, off("wrong", &recovery[1])).await, ["WRONG_PASSWORD"]);
    assert_eq!(app.refused(&seat.token, OFF, off(&password, &recovery[0])).await, ["WRONG_CODE"]);
    let turned = app.done(&seat.token, OFF, off(&password, &recovery[1])).await;
    assert_eq!(turned["operator"]["hasTotp"], false);
    assert_eq!(desk.guess(ALPHA, &password).await, None, "the password alone does again");
    assert_eq!(app.count("SELECT count(*)::text FROM recovery_codes"), 0);
    assert_eq!(app.refused(&seat.token, OFF, off(&password, &recovery[2])).await, ["TOTP_OFF"]);
    let (other, _) = enrol_again(&app, &seat, &password).await;
    assert_ne!(other, secret);
}

async fn enrol_again(app: &TestApp, seat: &Seat, password: &str) -> (String, Vec<String>) {
    app.sql("UPDATE operators SET totp_step = 0");
    enrol(app, seat, password).await
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_cannot_be_tried_through() {
    let app = TestApp::builder().idle().start().await;
    let (seat, password) = (app.seat(ALPHA).await, password_of(ALPHA));
    let (secret, _) = enrol(&app, &seat, &password).await;
    // Whoever knows the password and comes from ever new addresses is still counted by operator.
    let guess = json!({ "signIn": ALPHA, "password": password, "code": "no-code" });
    for block in 20..25 {
        assert_eq!(code(&app.desk(block, 1).try_sign_in(guess.clone()).await), Some("WRONG_CODE"), "{block}");
    }
    app.sql("UPDATE throttles SET count = 12, last_at = now() WHERE kind = 'CODE'");
    let shown = next_code(&app, &secret);
    let right = json!({ "signIn": ALPHA, "password": password, "code": shown });
    assert_eq!(code(&app.desk(30, 1).try_sign_in(right.clone()).await), Some("TRY_LATER"));
    // The owner's own device is counted apart.
    let mut known = right.clone();
    known["deviceToken"] = json!(seat.device_token);
    assert!(app.desk(31, 1).try_sign_in(known).await["token"].is_string());
    app.wait_out("130 seconds");
    let mut later = right;
    later["code"] = json!(next_code(&app, &secret));
    assert!(app.desk(32, 1).try_sign_in(later).await["token"].is_string());
    assert_eq!(app.count("SELECT count(*)::text FROM throttles WHERE kind = 'CODE'"), 0, "and all is forgiven");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_leaves_the_second_factor_unless_it_says_otherwise() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await;
    let one = app.colleague(&owner.token, "one@alpha.example", "OPERATOR").await;
    let (secret, _) = enrol(&app, &one, PASSWORD).await;
    let desk = app.desk(0, 12);
    let reset = app.done(&owner.token, RESET, json!({ "id": one.id })).await;
    assert_eq!(code(&set(&app, &reset["secret"], NEW).await), None);
    assert_eq!(desk.guess(&one.sign_in, NEW).await.as_deref(), Some("TOTP_REQUIRED"));
    let shown = next_code(&app, &secret);
    let with_code = json!({ "signIn": one.sign_in, "password": NEW, "code": shown });
    assert!(desk.try_sign_in(with_code).await["token"].is_string());
    let reset = app.done(&owner.token, RESET, json!({ "id": one.id, "without": true })).await;
    assert_eq!(desk.guess(&one.sign_in, NEW).await.as_deref(), Some("TOTP_REQUIRED"), "not before it is used");
    assert_eq!(code(&set(&app, &reset["secret"], PASSWORD).await), None);
    assert_eq!(desk.guess(&one.sign_in, PASSWORD).await, None);
}
