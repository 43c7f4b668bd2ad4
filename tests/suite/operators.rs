//! The people at a console: invited, changed, kept out, and the owners among them.

use chrono::TimeDelta;
use minthouse::platform::vault::{hex, sha256};
use minthouse::tenancy::model::OperatorId;
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::token::Identity;
use serde_json::{Value, json};

use crate::support::app::{TestApp, text};
use crate::support::desk::*;

const ALPHA: &str = "owner@alpha.example";
const INVITATIONS: &str = "{ invitations { totalCount nodes { id signIn state } } }";
const REVOKE: &str = "mutation($id: ID!) { invitationRevoke(input: {id: $id}) {
    invitation { id state } userErrors { code field } } }";
const SESSIONS_END: &str = "mutation($id: ID!) { operatorSessionsEnd(input: {id: $id}) {
    endedCount userErrors { code } } }";
const SESSION_END: &str = "mutation($id: ID) { sessionEnd(input: {id: $id}) {
    session { id endedAt endedBecause } userErrors { code } } }";
const RESET: &str = "mutation($id: ID!, $without: Boolean! = false) {
    operatorPasswordReset(input: {id: $id, withoutTotp: $without}) {
        operator { id } secret expiresAt userErrors { code field } } }";

fn invitation(sign_in: &str, role: &str) -> Value {
    json!({ "input": { "signIn": sign_in, "name": "Somebody", "role": role } })
}

async fn accept(app: &TestApp, secret: &Value) -> Value {
    app.ok(None, ACCEPT, json!({ "secret": secret, "password": PASSWORD })).await["invitationAccept"].take()
}

fn owners(app: &TestApp) -> i64 {
    app.count(
        "SELECT count(*)::text FROM operators JOIN enterprises USING (tenant_id)
          WHERE slug = 'alpha' AND role = 'OWNER' AND operators.state = 'ACTIVE'",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_invited_becomes_an_operator_of_that_console_once() {
    let app = TestApp::builder().idle().start().await;
    for (inviter, new) in [(ALPHA, "new@alpha.example"), ("house@test.example", "new@house.example")] {
        let inviter = app.seat(inviter).await;
        let invited = app.done(&inviter.token, INVITE, invitation(&new.to_uppercase(), "AUDITOR")).await;
        assert_eq!(invited["invitation"]["signIn"], new, "names are compared without case");
        assert!(text(&invited["secret"]).starts_with("mhi_"));
        let stored = app.count(&format!(
            "SELECT count(*)::text FROM invitations WHERE token_hash = sha256('{}') AND expires_at > now() + interval '6 days 23 hours'",
            text(&invited["secret"])
        ));
        assert_eq!(stored, 1, "its hash is kept, for a week");
        let accepted = accept(&app, &invited["secret"]).await;
        assert_eq!(accepted["userErrors"], json!([]));
        let me = app.ok(Some(&text(&accepted["token"])), ME, json!({})).await;
        assert_eq!(me["viewer"]["operator"]["signIn"], new);
        assert_eq!(me["viewer"]["operator"]["role"], "AUDITOR");
        let again = accept(&app, &invited["secret"]).await;
        assert_eq!(again["userErrors"][0]["code"], "SECRET_INVALID");
        assert_eq!(again["token"], Value::Null);
        let seat = app.desk(0, 3).seat(new, PASSWORD).await;
        assert_eq!(Some(seat.id.as_str()), accepted["operator"]["id"].as_str());
        let listed = app.ok(Some(&inviter.token), INVITATIONS, json!({})).await;
        assert_eq!(listed["invitations"]["nodes"][0]["state"], "ACCEPTED");
        let people = "{ operators { totalCount nodes { signIn role state } } }";
        let people = app.ok(Some(&inviter.token), people, json!({})).await;
        assert_eq!(people["operators"]["totalCount"], 2, "the other console's people are not among them");
        assert_eq!(people["operators"]["nodes"][0], json!({ "signIn": new, "role": "AUDITOR", "state": "ACTIVE" }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_ends_by_being_revoked_replaced_or_a_week_old() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await.token;
    let first = app.done(&owner, INVITE, invitation("new@alpha.example", "OPERATOR")).await;
    let second = app.done(&owner, INVITE, invitation("new@alpha.example", "FINANCE")).await;
    assert_eq!(accept(&app, &first["secret"]).await["userErrors"][0]["code"], "SECRET_INVALID");
    let revoked = app.done(&owner, REVOKE, json!({ "id": second["invitation"]["id"] })).await;
    assert_eq!(revoked["invitation"]["state"], "REVOKED");
    assert_eq!(accept(&app, &second["secret"]).await["userErrors"][0]["code"], "SECRET_INVALID");
    let again = app.refused(&owner, REVOKE, json!({ "id": second["invitation"]["id"] })).await;
    assert_eq!(again, ["INVITATION_NOT_FOUND"]);
    let third = app.done(&owner, INVITE, invitation("new@alpha.example", "FINANCE")).await;
    app.sql("UPDATE invitations SET expires_at = now() WHERE state = 'OPEN'");
    assert_eq!(accept(&app, &third["secret"]).await["userErrors"][0]["code"], "SECRET_INVALID");
    assert_eq!(app.count("SELECT count(*)::text FROM operators WHERE sign_in LIKE 'new%'"), 0);
    let fourth = app.done(&owner, INVITE, invitation("new@alpha.example", "FINANCE")).await;
    assert_eq!(accept(&app, &fourth["secret"]).await["operator"]["role"], "FINANCE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_belongs_to_who_accepts_first() {
    let app = TestApp::builder().idle().start().await;
    let (alpha, beta) = (app.seat(ALPHA).await.token, app.seat("owner@beta.example").await.token);
    let ours = app.done(&alpha, INVITE, invitation("both@test.example", "OPERATOR")).await;
    let theirs = app.done(&beta, INVITE, invitation("both@test.example", "OPERATOR")).await;
    assert_eq!(accept(&app, &theirs["secret"]).await["userErrors"], json!([]));
    let late = accept(&app, &ours["secret"]).await;
    assert_eq!(late["userErrors"][0]["code"], "SIGN_IN_TAKEN");
    assert_eq!(late["token"], Value::Null);
    let listed = app.ok(Some(&alpha), INVITATIONS, json!({})).await;
    assert_eq!(listed["invitations"]["nodes"][0]["state"], "OPEN", "nothing was used up by the refusal");
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_do_not_tell_which_names_are_taken_elsewhere() {
    let app = TestApp::builder().idle().start().await;
    let alpha = app.seat(ALPHA).await.token;
    for name in ["owner@beta.example", "nobody@beta.example"] {
        let invited = app.done(&alpha, INVITE, invitation(name, "OPERATOR")).await;
        assert_eq!(invited["invitation"]["signIn"], name);
    }
    for name in ["ab", "two words", &"x".repeat(255)] {
        assert_eq!(app.refused(&alpha, INVITE, invitation(name, "OPERATOR")).await, ["INVALID_INPUT"], "{name}");
    }
    // Who accepts their own learns it; so an enterprise has so many an hour, and others their own.
    app.sql("UPDATE throttles SET count = 60 WHERE kind = 'INVITATION'");
    assert_eq!(app.refused(&alpha, INVITE, invitation("third@beta.example", "OPERATOR")).await, ["TRY_LATER"]);
    let beta = app.seat("owner@beta.example").await.token;
    app.done(&beta, INVITE, invitation("third@beta.example", "OPERATOR")).await;
    app.wait_out("61 minutes");
    app.done(&alpha, INVITE, invitation("third@beta.example", "OPERATOR")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_digest_of_a_change_can_be_tried_for_a_name() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await.token;
    let other = app.colleague(&owner, "other@alpha.example", "OPERATOR").await;
    app.done(&owner, UPDATE, json!({ "input": { "id": other.id, "name": "Renamed" } })).await;
    let digests = app.sql(
        "SELECT encode(before_digest, 'hex') || ' ' || encode(after_digest, 'hex') FROM audit_records WHERE action = 'operatorUpdate'",
    );
    let of = |version: i32| {
        let nameless = format!("{{\"role\":\"OPERATOR\",\"state\":\"ACTIVE\",\"version\":{version}}}");
        hex(&sha256(nameless.as_bytes()))
    };
    assert_eq!(digests, format!("{} {}", of(1), of(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_invitation_accepted_twice_at_once_makes_one_operator() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await.token;
    let invited = app.done(&owner, INVITE, invitation("new@alpha.example", "OPERATOR")).await;
    let answers = futures_util::future::join_all((0..6).map(|_| accept(&app, &invited["secret"]))).await;
    let made = answers.iter().filter(|answer| answer["token"].is_string()).count();
    assert_eq!(made, 1, "{answers:#?}");
    let made = "SELECT count(*)::text FROM operators WHERE sign_in = 'new@alpha.example'";
    assert_eq!(app.count(made), 1);
    let sessions = "SELECT count(*)::text FROM sessions WHERE method = 'INVITATION'";
    assert_eq!(app.count(sessions), 1, "and one session");
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_the_affair_of_owners_alone() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await;
    let admin = app.colleague(&owner.token, "admin@alpha.example", "ADMIN").await;
    let open = app.done(&owner.token, INVITE, invitation("heir@alpha.example", "OWNER")).await;
    let session = session_of(&owner.token);
    let only_owners = ["OWNERS_ONLY"];
    let by_admin = async |query: &str, variables: Value| app.refused(&admin.token, query, variables).await;
    assert_eq!(by_admin(INVITE, invitation("x@alpha.example", "OWNER")).await, only_owners);
    assert_eq!(
        by_admin(INVITE, invitation("heir@alpha.example", "AUDITOR")).await,
        only_owners,
        "it would replace one"
    );
    assert_eq!(by_admin(REVOKE, json!({ "id": open["invitation"]["id"] })).await, only_owners);
    let raise = |id: &str| json!({ "input": { "id": id, "role": "OWNER" } });
    assert_eq!(by_admin(UPDATE, raise(&admin.id)).await, only_owners, "nobody raises themselves");
    assert_eq!(by_admin(UPDATE, json!({ "input": { "id": owner.id, "name": "Renamed" } })).await, only_owners);
    assert_eq!(by_admin(DISABLE, json!({ "id": owner.id })).await, only_owners);
    assert_eq!(by_admin(ENABLE, json!({ "id": owner.id })).await, only_owners);
    assert_eq!(by_admin(RESET, json!({ "id": owner.id })).await, only_owners);
    assert_eq!(by_admin(SESSIONS_END, json!({ "id": owner.id })).await, only_owners);
    assert_eq!(by_admin(SESSION_END, json!({ "id": session })).await, only_owners);
    assert!(!app.is_out(&owner.token).await, "and nothing happened to the owner");
    // The owner may do each of them.
    app.done(&owner.token, REVOKE, json!({ "id": open["invitation"]["id"] })).await;
    app.done(&owner.token, UPDATE, raise(&admin.id)).await;
    assert_eq!(owners(&app), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tokens_word_on_a_role_is_not_believed_against_the_database() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await;
    let admin = app.colleague(&owner.token, "admin@alpha.example", "ADMIN").await;
    // As if it had been an owner when the token was made, on a server that has not heard of the change yet.
    let tenant = app.enterprise("alpha").await;
    let stale = Identity::Operator { operator: OperatorId::from_uuid(admin.uuid()), role: Role::Owner };
    let (stale, _) = app.app.tokens.mint(tenant, stale, None, TimeDelta::minutes(5)).expect("the key signs");
    let raise = json!({ "input": { "id": admin.id, "role": "OWNER" } });
    assert_eq!(app.refused(&stale, UPDATE, raise).await, ["OWNERS_ONLY"]);
    app.done(&owner.token, DISABLE, json!({ "id": admin.id })).await;
    let answer = app.send(Some(&stale), INVITE, invitation("x@alpha.example", "AUDITOR")).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{answer:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_active_owner_stays() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await;
    let demote = |id: &str| json!({ "input": { "id": id, "role": "ADMIN" } });
    assert_eq!(app.refused(&owner.token, UPDATE, demote(&owner.id)).await, ["LAST_OWNER"]);
    assert_eq!(app.refused(&owner.token, DISABLE, json!({ "id": owner.id })).await, ["LAST_OWNER"]);
    let other = app.colleague(&owner.token, "second@alpha.example", "OWNER").await;
    app.done(&owner.token, DISABLE, json!({ "id": other.id })).await;
    assert_eq!(app.refused(&owner.token, UPDATE, demote(&owner.id)).await, ["LAST_OWNER"], "a disabled one is no help");
    app.done(&owner.token, UPDATE, demote(&other.id)).await;
    app.done(&owner.token, UPDATE, json!({ "input": { "id": other.id, "role": "OWNER" } })).await;
    app.done(&owner.token, ENABLE, json!({ "id": other.id })).await;
    app.done(&owner.token, UPDATE, demote(&owner.id)).await;
    assert_eq!(owners(&app), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_who_demote_or_disable_each_other_at_once_leave_one() {
    let app = TestApp::builder().idle().start().await;
    let first = app.seat(ALPHA).await;
    let second = app.colleague(&first.token, "second@alpha.example", "OWNER").await;
    let tenant = app.enterprise("alpha").await;
    // Without a session, so that the round before does not end them.
    let token = |seat: &Seat| {
        let identity = Identity::Operator { operator: OperatorId::from_uuid(seat.uuid()), role: Role::Owner };
        app.app.tokens.mint(tenant, identity, None, TimeDelta::minutes(30)).expect("the key signs").0
    };
    let tokens = [token(&first), token(&second)];
    for round in 0..12 {
        let (query, [at_second, at_first]) = if round % 2 == 0 {
            (UPDATE, [&second, &first].map(|seat| json!({ "input": { "id": seat.id, "role": "AUDITOR" } })))
        } else {
            (DISABLE, [&second, &first].map(|seat| json!({ "id": seat.id })))
        };
        tokio::join!(app.send(Some(&tokens[0]), query, at_second), app.send(Some(&tokens[1]), query, at_first));
        assert_eq!(owners(&app), 1, "round {round}");
        app.sql("UPDATE operators SET role = 'OWNER', state = 'ACTIVE' WHERE sign_in LIKE '%alpha.example'");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_role_counts_at_once_and_old_tokens_are_refused() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await.token;
    let admin = app.colleague(&owner, "admin@alpha.example", "ADMIN").await;
    let by_admin = app.done(&admin.token, INVITE, invitation("friend@alpha.example", "AUDITOR")).await;
    let renamed = json!({ "input": { "id": admin.id, "name": "Another name" } });
    app.done(&owner, UPDATE, renamed).await;
    assert!(!app.is_out(&admin.token).await, "a name ends no session");

    app.done(&owner, UPDATE, json!({ "input": { "id": admin.id, "role": "AUDITOR" } })).await;
    assert!(app.is_out(&admin.token).await);
    let refreshed = app.ok(None, REFRESH, json!({ "token": admin.refresh_token })).await;
    assert_eq!(refreshed["sessionRefresh"]["userErrors"][0]["code"], "SESSION_ENDED");
    assert_eq!(accept(&app, &by_admin["secret"]).await["userErrors"][0]["code"], "SECRET_INVALID");
    let seat = app.desk(0, 4).seat(&admin.sign_in, PASSWORD).await;
    let answer = app.send(Some(&seat.token), INVITE, invitation("friend@alpha.example", "AUDITOR")).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_is_out_at_once_and_comes_back_when_enabled() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await.token;
    let one = app.colleague(&owner, "one@alpha.example", "OPERATOR").await;
    let disabled = app.done(&owner, DISABLE, json!({ "id": one.id })).await;
    assert_eq!(disabled["operator"]["state"], "DISABLED");
    assert!(app.is_out(&one.token).await);
    let desk = app.desk(0, 5);
    assert_eq!(desk.guess(&one.sign_in, PASSWORD).await.as_deref(), Some("WRONG_CREDENTIALS"), "as if there were none");
    let refreshed = app.ok(None, REFRESH, json!({ "token": one.refresh_token })).await;
    assert_eq!(refreshed["sessionRefresh"]["userErrors"][0]["code"], "SESSION_ENDED");
    app.done(&owner, DISABLE, json!({ "id": one.id })).await; // is nothing new
    app.done(&owner, ENABLE, json!({ "id": one.id })).await;
    assert!(app.is_out(&one.token).await, "what was ended stays ended");
    desk.seat(&one.sign_in, PASSWORD).await;
    let acts = "SELECT string_agg(action, ' ' ORDER BY id) FROM audit_records WHERE action LIKE 'operator%able'";
    assert_eq!(app.sql(acts), "operatorDisable operatorEnable", "each is recorded once");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_one_by_one_or_all_together() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.seat(ALPHA).await;
    let one = app.colleague(&owner.token, "one@alpha.example", "FINANCE").await;
    let desk = app.desk(0, 6);
    let (second, third) = (desk.seat(&one.sign_in, PASSWORD).await, desk.seat(&one.sign_in, PASSWORD).await);
    // One of another's, by who manages operators; not by who does not.
    let others = json!({ "id": session_of(&owner.token) });
    assert_eq!(app.refused(&third.token, SESSION_END, others).await, ["NOT_FOUND"]);
    let ended = app.done(&owner.token, SESSION_END, json!({ "id": session_of(&second.token) })).await;
    assert_eq!(ended["session"]["endedBecause"], "ENDED_BY_ADMINISTRATOR");
    assert!(app.is_out(&second.token).await && !app.is_out(&third.token).await);
    // One's own others.
    let count = app.done(&third.token, SESSIONS_END, json!({ "id": one.id })).await;
    assert_eq!(count["endedCount"], 1, "the very first; the second had ended");
    assert!(app.is_out(&one.token).await && !app.is_out(&third.token).await);
    // All of another's.
    app.done(&owner.token, SESSIONS_END, json!({ "id": one.id })).await;
    assert!(app.is_out(&third.token).await && !app.is_out(&owner.token).await);
    // A holder's is none of an operator's.
    let holder = app.holder("alpha", "13800000001").await.0;
    let of_holder = json!({ "id": session_of(&holder) });
    assert_eq!(app.refused(&owner.token, SESSION_END, of_holder).await, ["NOT_FOUND"]);
    // Nor is another enterprise's operator's.
    let beta = app.seat("owner@beta.example").await;
    assert_eq!(app.refused(&owner.token, SESSION_END, json!({ "id": session_of(&beta.token) })).await, ["NOT_FOUND"]);
    assert_eq!(app.refused(&owner.token, SESSIONS_END, json!({ "id": beta.id })).await, ["NOT_FOUND"]);
    assert!(!app.is_out(&beta.token).await);
}
