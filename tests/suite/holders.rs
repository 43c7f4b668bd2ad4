//! How people come in: with a code, through WeChat, vouched for; and how they prove who they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_graphql::{Request, Variables};
use futures_util::future::join_all;
use minthouse::api::context::RequestContext;
use minthouse::platform::language::Language;
use minthouse::tenancy::loaders::Loaders;
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::reader::Reader;
use minthouse::tenancy::scope::Caller;
use minthouse::tenancy::session::Visit;
use minthouse::wallets::sms::SmsError;
use serde_json::{Value, json};

use crate::support::app::{TestApp, text};
use crate::support::desk::Desk;
use crate::support::people::{ADD_WECHAT, BIND, SECRET, SEND, SIGN_IN, STRANGER, VERIFY, WECHAT, id_number, wechat};
use crate::support::play::{key, phone};

const SIGN_ON: &str = "mutation($phone: String, $user: String) {
    holderSignOn(input: {phone: $phone, partnerUserId: $user}) { holder { id phoneMasked } token userErrors { code field } } }";
const CHANGE_WECHAT: &str = "mutation($id: ID!, $secret: String, $state: WeChatAppState) {
    wechatAppUpdate(input: {id: $id, secret: $secret, state: $state}) { wechatApp { state version } userErrors { code } } }";

fn signing_in(phone: &str, code: &str) -> Value {
    json!({ "phone": phone, "code": code, "enterprise": "alpha" })
}

/// Another code of six digits.
fn other_than(code: &str) -> String {
    let number: u32 = code.parse().expect("digits");
    format!("{:06}", (number + 1) % 1_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_with_a_code_and_is_the_same_the_next_time() {
    let app = TestApp::builder().idle().start().await;
    let first = app.came_in("alpha", &phone(1)).await;
    let again = app.came_in("alpha", &phone(1)).await;
    assert_eq!(first.id, again.id);
    let session =
        app.ok(Some(&first.token), "{ sessions { nodes { method isPresent } } viewer { kind } }", json!({})).await;
    assert_eq!(session["sessions"]["nodes"].as_array().expect("a list").len(), 2);
    assert_eq!(session["sessions"]["nodes"][0]["method"], "PHONE_CODE");
    assert_eq!(session["viewer"]["kind"], "HOLDER");
    assert_eq!(app.count("SELECT count(*)::text FROM outbox WHERE type = 'holder.registered'"), 1);
    let by_themselves = "SELECT count(*)::text FROM audit_records WHERE action = 'holderSignIn'
                          AND actor_kind = 'HOLDER' AND actor_id = subject_id AND request_id <> 'system'";
    assert_eq!(app.count(by_themselves), 2);
    // Whom the enterprise has vouched for is no other person when they come by themselves.
    let vouched = app.person("alpha", 2).await;
    assert_eq!(app.came_in("alpha", &phone(2)).await.id, vouched.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_fifty_use_at_once_lets_one_in() {
    let app = TestApp::builder().idle().start().await;
    let code = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    let attempts = (0..50).map(|_| app.ok(None, SIGN_IN, signing_in(&phone(1), &code)));
    let answers: Vec<Value> = join_all(attempts).await;
    let tokens = answers.iter().filter(|answer| answer["holderSignIn"]["token"].is_string()).count();
    assert_eq!(tokens, 1);
    let refused = |answer: &&Value| {
        let code = &answer["holderSignIn"]["userErrors"][0]["code"];
        code == "WRONG_CODE" || code == "TOO_OFTEN"
    };
    assert_eq!(answers.iter().filter(refused).count(), 49);
    assert_eq!(app.count("SELECT count(*)::text FROM sessions"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_for_five_tries_five_minutes_one_purpose_and_until_a_newer_one() {
    let app = TestApp::builder().idle().start().await;
    let wrong = ["WRONG_CODE"];
    let try_it = async |code: &str| app.turned_away(SIGN_IN, signing_in(&phone(1), code)).await;

    let code = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    for _ in 0..4 {
        assert_eq!(try_it(&other_than(&code)).await, wrong);
    }
    assert_eq!(try_it(&code).await, Vec::<String>::new(), "the fifth try is one");
    assert_eq!(try_it(&code).await, wrong, "a code is good once");

    let code = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    for _ in 0..5 {
        assert_eq!(try_it("").await, wrong);
    }
    assert_eq!(try_it(&code).await, ["TOO_OFTEN"], "after five tries there is a wait");
    app.wait_out("31 seconds");
    assert_eq!(try_it(&code).await, Vec::<String>::new(), "and the code is as good as it was");

    let older = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    let newer = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    assert_eq!(try_it(&older).await, wrong, "the newest counts");
    assert_eq!(try_it(&newer).await, Vec::<String>::new());

    let code = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    app.sql("UPDATE verification_codes SET expires_at = now()");
    assert_eq!(try_it(&code).await, wrong);

    let token = app.came_in("alpha", &phone(1)).await.token;
    let code = app.code(Some(&token), &phone(1), "BIND_PHONE", None).await;
    assert_eq!(try_it(&code).await, wrong, "another purpose's");
    let code = app.code(None, &phone(1), "SIGN_IN", Some("beta")).await;
    assert_eq!(try_it(&code).await, wrong, "another enterprise's");
    let code = app.code(None, &phone(2), "SIGN_IN", Some("alpha")).await;
    assert_eq!(try_it(&code).await, wrong, "another phone's");
}

/// What a place is refused with that tries a code, if it is.
async fn tried_from(desk: &Desk<'_>, code: &str) -> Value {
    let answer = desk.send(None, SIGN_IN, signing_in(&phone(1), code)).await;
    answer["data"]["holderSignIn"]["userErrors"][0]["code"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_wears_a_holders_code_off_from_where_they_are() {
    let app = TestApp::builder().idle().start().await;
    let code = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    let stranger = app.desk(9, 1);
    let mut told = Vec::new();
    for _ in 0..12 {
        told.push(tried_from(&stranger, &other_than(&code)).await);
    }
    assert_eq!(told[..5], vec![json!("WRONG_CODE"); 5]);
    assert_eq!(told[5..], vec![json!("TOO_OFTEN"); 7]);
    assert_eq!(tried_from(&stranger, &code).await, "TOO_OFTEN", "a guess that has to wait is not judged");
    assert_eq!(app.count("SELECT attempts::text FROM verification_codes"), 5, "and does not count for the code");
    assert_eq!(tried_from(&app.desk(8, 1), &code).await, Value::Null, "the holder comes in");

    // Many places together get no more than the code bears.
    let code = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    for place in 10..16 {
        let desk = app.desk(place, 1);
        for _ in 0..5 {
            assert_eq!(tried_from(&desk, &other_than(&code)).await, "WRONG_CODE");
        }
    }
    let newest = "SELECT attempts::text FROM verification_codes ORDER BY id DESC LIMIT 1";
    assert_eq!(app.count(newest), 20);
    assert_eq!(tried_from(&app.desk(20, 1), &code).await, "WRONG_CODE", "it is worn off for everybody");
    let next = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    assert_eq!(tried_from(&app.desk(20, 1), &next).await, Value::Null);

    // The same where a phone is bound, a wallet opened and somebody erased.
    let person = app.came_in("alpha", &phone(1)).await;
    let wallet = "mutation($phone: String!, $code: String!) {
        walletSignIn(input: {phone: $phone, code: $code}) { token userErrors { code } } }";
    let erase = "mutation($code: String!) { holderEraseMyself(input: {code: $code}) { userErrors { code } } }";
    for (token, purpose, query, input) in [
        (Some(person.token.as_str()), "BIND_PHONE", BIND, json!({ "phone": phone(1), "code": "x" })),
        (None, "WALLET", wallet, json!({ "phone": phone(1), "code": "x" })),
        (Some(person.token.as_str()), "ERASE", erase, json!({ "code": "x" })),
    ] {
        app.code(token, &phone(1), purpose, None).await;
        let mut told = Vec::new();
        for _ in 0..6 {
            let answer = app.ok(token, query, input.clone()).await;
            let payload = answer.as_object().and_then(|fields| fields.values().next()).expect("one field").clone();
            told.push(text(&payload["userErrors"][0]["code"]));
        }
        assert_eq!(told[4..], ["WRONG_CODE", "TOO_OFTEN"], "{purpose}");
        assert_eq!(app.count(newest), 5, "{purpose}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_a_code_does_not_tell_whether_a_phone_is_known() {
    let app = TestApp::builder().idle().wechat(&wechat().await).start().await;
    app.came_in("alpha", &phone(1)).await;
    let tenant = app.enterprise("alpha").await;
    let owner = app.owner("alpha").await;
    app.done(&owner, ADD_WECHAT, json!({ "kind": "MINI_PROGRAM", "app": "wxmini", "secret": SECRET })).await;
    let come = json!({ "app": "wxmini", "code": "open1::1", "enterprise": "alpha" });
    let phoneless = text(&app.ok(None, WECHAT, come).await["holderWeChatSignIn"]["token"]);
    for (token, purpose) in [(None, "SIGN_IN"), (Some(phoneless.as_str()), "BIND_PHONE")] {
        app.forget_sent_codes();
        let mut seen = Vec::new();
        for number in [1, 2] {
            // What is remembered of the enterprise for two seconds is looked up both times.
            app.app.standings.forget(tenant);
            let before = app.app.platform.database.statements();
            let asked = json!({ "phone": phone(number), "purpose": purpose, "enterprise": "alpha" });
            let mut answer = app.send(token, SEND, asked).await;
            let statements = app.app.platform.database.statements() - before;
            answer["extensions"].take();
            seen.push((answer, statements));
        }
        assert_eq!(seen[0], seen[1], "{purpose}");
        assert_eq!(seen[0].0["data"]["verificationCodeSend"]["expiresInSeconds"], 300);
        assert!(seen[0].1 > 0);
    }
    // Nor does a wrong code tell, whether one was sent or not.
    app.code(None, &phone(3), "SIGN_IN", Some("alpha")).await;
    for number in [1, 3, 4] {
        assert_eq!(app.turned_away(SIGN_IN, signing_in(&phone(number), "x")).await, ["WRONG_CODE"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_code_is_sent_that_nobody_could_use() {
    let app = TestApp::builder().idle().wechat(&wechat().await).start().await;
    let person = app.came_in("alpha", &phone(1)).await;
    app.came_in("alpha", &phone(2)).await;
    let owner = app.owner("alpha").await;
    app.done(&owner, ADD_WECHAT, json!({ "kind": "MINI_PROGRAM", "app": "wxmini", "secret": SECRET })).await;
    let come = json!({ "app": "wxmini", "code": "open1::1", "enterprise": "alpha" });
    let phoneless = text(&app.ok(None, WECHAT, come).await["holderWeChatSignIn"]["token"]);
    app.forget_sent_codes();
    let before = app.world.messages.count();
    let asked = |number: usize, purpose: &str| json!({ "phone": phone(number), "purpose": purpose });
    // A known phone and an unknown one are answered alike.
    for other in [2, 3] {
        assert_eq!(app.refused(&person.token, SEND, asked(other, "ERASE")).await, ["NOT_YOUR_PHONE"]);
        assert_eq!(app.refused(&person.token, SEND, asked(other, "BIND_PHONE")).await, ["PHONE_BOUND"]);
        assert_eq!(app.refused(&phoneless, SEND, asked(other, "ERASE")).await, ["NO_PHONE"]);
        for purpose in ["ERASE", "BIND_PHONE"] {
            let mut stranger = asked(other, purpose);
            stranger["enterprise"] = json!("alpha");
            let answer = app.send(None, SEND, stranger).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{purpose}");
            assert_eq!(app.fault(&owner, SEND, asked(other, purpose)).await, "FORBIDDEN", "{purpose}");
        }
    }
    // A stolen token does not find out the middle of the number that it shows masked.
    for _ in 0..16 {
        assert_eq!(app.refused(&person.token, SEND, asked(3, "ERASE")).await, ["NOT_YOUR_PHONE"]);
    }
    assert_eq!(app.refused(&person.token, SEND, asked(1, "ERASE")).await, ["TOO_OFTEN"]);
    assert_eq!(app.world.messages.count(), before);
    app.code(Some(&person.token), &phone(1), "ERASE", None).await;
    app.code(Some(&phoneless), &phone(3), "BIND_PHONE", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_learns_who_they_are() {
    let app = TestApp::builder().idle().start().await;
    let person = app.came_in("alpha", &phone(1)).await;
    let me = "{ viewer { kind holder { id phoneMasked } } }";
    let seen = app.ok(Some(&person.token), me, json!({})).await;
    let holder = json!({ "id": person.id, "phoneMasked": "138****0001" });
    assert_eq!(seen["viewer"], json!({ "kind": "HOLDER", "holder": holder }));
    for other in [None, Some(app.owner("alpha").await), Some(app.house(Role::Owner).await)] {
        let seen = app.ok(other.as_deref(), me, json!({})).await;
        assert_eq!(seen["viewer"]["holder"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_bounded_for_a_phone_an_address_and_an_enterprise() {
    let app = TestApp::builder().idle().start().await;
    let ask = async |number: usize, slug: &str| {
        let asked = json!({ "phone": phone(number), "purpose": "SIGN_IN", "enterprise": slug });
        app.ok(None, SEND, asked).await["verificationCodeSend"]["userErrors"].get(0).cloned().unwrap_or_default()
    };
    assert_eq!(ask(1, "alpha").await, Value::Null);
    let refused = ask(1, "alpha").await;
    assert_eq!(refused["code"], "TOO_OFTEN");
    let wait = refused["retryAfterSeconds"].as_i64().expect("a number");
    assert!((50..=60).contains(&wait), "{wait}");
    assert_eq!(ask(2, "alpha").await, Value::Null, "another phone's turn is its own");
    assert_eq!(ask(1, "beta").await, Value::Null, "another enterprise's too");

    let full = [
        ("code.phone.day", "10"),
        ("code.phone.everywhere", "30"),
        ("code.address", "60"),
        ("code.enterprise", "6000"),
    ];
    for (kind, limit) in full {
        app.forget_sent_codes();
        assert_eq!(ask(1, "alpha").await, Value::Null);
        app.sql("DELETE FROM throttles WHERE kind = 'code.phone'");
        app.sql(&format!("UPDATE throttles SET count = {limit} WHERE kind = '{kind}'"));
        let before = app.sql("SELECT string_agg(kind || count, ' ' ORDER BY kind) FROM throttles");
        assert_eq!(ask(1, "alpha").await["code"], "TOO_OFTEN", "{kind}");
        let after = app.sql("SELECT string_agg(kind || count, ' ' ORDER BY kind) FROM throttles WHERE count > 0");
        assert_eq!(after, before, "what was not sent is not counted under {kind}");
    }
    let at_once = join_all((0..8).map(|_| ask(7, "beta"))).await;
    assert_eq!(at_once.iter().filter(|answer| answer.is_null()).count(), 1, "{at_once:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_does_not_leave_is_told_and_not_counted() {
    let app = TestApp::builder().idle().start().await;
    let asked = json!({ "phone": phone(1), "purpose": "SIGN_IN", "enterprise": "alpha" });
    let older = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    app.forget_sent_codes();
    app.world.messages.fail_with(Some(SmsError::NotSent));
    for _ in 0..3 {
        assert_eq!(app.turned_away(SEND, asked.clone()).await, ["NOT_SENT"]);
    }
    assert_eq!(app.count("SELECT count(*)::text FROM throttles WHERE count > 0"), 0);
    let inside = app.turned_away(SIGN_IN, signing_in(&phone(1), &older)).await;
    assert_eq!(inside, Vec::<String>::new(), "a code that never left takes no other's place");
    // One that may have arrived is good.
    app.world.messages.fail_with(Some(SmsError::Unknown));
    assert_eq!(app.turned_away(SEND, asked).await, ["NOT_SENT"]);
    app.world.messages.fail_with(None);
    let code = app.world.messages.to(&phone(1));
    assert_eq!(app.turned_away(SIGN_IN, signing_in(&phone(1), &code)).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_that_is_not_there_or_was_not_let_in_lets_nobody_in() {
    let app = TestApp::builder().idle().start().await;
    let ask = async |enterprise: Value| {
        app.turned_away(SEND, json!({ "phone": phone(1), "purpose": "SIGN_IN", "enterprise": enterprise })).await
    };
    assert_eq!(ask(json!("gamma")).await, ["ENTERPRISE_NOT_FOUND"]);
    assert_eq!(ask(json!("house")).await, ["ENTERPRISE_NOT_FOUND"]);
    assert_eq!(ask(Value::Null).await, ["ENTERPRISE_NOT_FOUND"]);
    let code = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;
    become_of(&app, "PENDING").await;
    assert_eq!(ask(json!("alpha")).await, ["ENTERPRISE_NOT_ACTIVE"]);
    assert_eq!(app.turned_away(SIGN_IN, signing_in(&phone(1), &code)).await, ["ENTERPRISE_NOT_ACTIVE"]);
    let broken = json!({ "phone": "12345", "purpose": "SIGN_IN", "enterprise": "alpha" });
    assert_eq!(app.turned_away(SEND, broken).await, ["INVALID_PHONE"]);
}

/// Another state of `alpha`, which everybody hears of at once.
async fn become_of(app: &TestApp, state: &str) {
    app.sql(&format!("UPDATE enterprises SET state = '{state}' WHERE slug = 'alpha'"));
    app.app.standings.forget(app.enterprise("alpha").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_that_was_stopped_lets_in_whom_it_has_and_nobody_new() {
    let app = TestApp::builder().idle().wechat(&wechat().await).start().await;
    let owner = app.owner("alpha").await;
    let known = app.came_in("alpha", &phone(1)).await;
    app.done(&owner, ADD_WECHAT, json!({ "kind": "MINI_PROGRAM", "app": "wxmini", "secret": SECRET })).await;
    let by_wechat = async |code: String| {
        let input = json!({ "app": "wxmini", "code": code, "enterprise": "alpha" });
        app.ok(None, WECHAT, input).await["holderWeChatSignIn"].take()
    };
    let friend = by_wechat("open1:union1:1".to_owned()).await;
    let holders = "SELECT count(*)::text FROM holders";
    let before = app.count(holders);

    for (turn, state) in ["SUSPENDED", "CLOSED"].into_iter().enumerate() {
        become_of(&app, state).await;
        let again = app.came_in("alpha", &phone(1)).await;
        assert_eq!(again.id, known.id, "{state}");
        app.ok(Some(&again.token), "{ items(first: 1) { totalCount } orders(first: 1) { totalCount } }", json!({}))
            .await;
        let verify = json!({ "name": "韦小宝", "number": id_number(1), "key": key() });
        assert_eq!(app.fault(&again.token, VERIFY, verify).await, "ENTERPRISE_NOT_ACTIVE", "{state}");

        // Before the right code nothing tells a phone that is known from one that is not.
        let mut seen = Vec::new();
        for number in [1, 2] {
            let code = app.code(None, &phone(number), "SIGN_IN", Some("alpha")).await;
            app.app.standings.forget(app.enterprise("alpha").await);
            let before = app.app.platform.database.statements();
            let refused = app.turned_away(SIGN_IN, signing_in(&phone(number), &other_than(&code))).await;
            seen.push((refused, app.app.platform.database.statements() - before));
        }
        assert_eq!(seen[0], seen[1], "{state}");
        assert_eq!(seen[0].0, ["WRONG_CODE"], "{state}");
        // With it, somebody new hears why, once.
        let code = app.world.messages.to(&phone(2));
        assert_eq!(app.turned_away(SIGN_IN, signing_in(&phone(2), &code)).await, ["ENTERPRISE_NOT_ACTIVE"], "{state}");
        assert_eq!(
            app.turned_away(SIGN_IN, signing_in(&phone(2), &code)).await,
            ["WRONG_CODE"],
            "{state}: it was used"
        );

        let again = by_wechat(format!("open1:union1:again{turn}")).await;
        assert_eq!(again["holder"]["id"], friend["holder"]["id"], "{state}");
        let refused = by_wechat(format!("open2:union2:new{turn}")).await;
        assert_eq!(refused["userErrors"][0]["code"], "ENTERPRISE_NOT_ACTIVE", "{state}");
        assert_eq!(app.count(holders), before, "{state}: nobody became a holder");
        let word = if state == "CLOSED" { "UNAUTHENTICATED" } else { "ENTERPRISE_NOT_ACTIVE" };
        assert_eq!(app.fault(&owner, SIGN_ON, json!({ "phone": phone(1) })).await, word, "the enterprise's own word");
    }
    become_of(&app, "ACTIVE").await;
    app.came_in("alpha", &phone(2)).await;
}

/// As `alpha`'s own host would ask.
async fn on_alphas_host(app: &TestApp, query: &str, variables: Value) -> Value {
    let reader = Reader::of_request(app.app.platform.clone(), None);
    let context = RequestContext {
        caller: Caller::Anonymous,
        language: Language::English,
        request_id: Arc::from("test"),
        visit: Visit::default(),
        site: Some(app.enterprise("alpha").await),
        loaders: Loaders::new(reader.clone()),
        reader,
    };
    let request = Request::new(query).variables(Variables::from_json(variables)).data(context);
    let answer = app.app.schema.execute(request).await;
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    answer.data.into_json().expect("the answer is JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn on_an_enterprises_own_host_it_goes_without_saying_and_no_other_is_there() {
    let app = TestApp::builder().idle().start().await;
    let send = async |purpose: &str, enterprise: Option<&str>| {
        app.forget_sent_codes();
        let asked = json!({ "phone": phone(1), "purpose": purpose, "enterprise": enterprise });
        let answer = on_alphas_host(&app, SEND, asked).await;
        answer["verificationCodeSend"]["userErrors"][0]["code"].clone()
    };
    assert_eq!(send("SIGN_IN", Some("beta")).await, "ENTERPRISE_NOT_FOUND");
    assert_eq!(send("SIGN_IN", Some("alpha")).await, Value::Null);
    assert_eq!(send("SIGN_IN", None).await, Value::Null);
    let code = app.world.messages.to(&phone(1));
    let inside = on_alphas_host(&app, SIGN_IN, json!({ "phone": phone(1), "code": code })).await;
    assert!(inside["holderSignIn"]["token"].is_string(), "{inside:#}");

    assert_eq!(send("WALLET", None).await, "NOT_ON_THIS_HOST");
    let code = app.code(None, &phone(1), "WALLET", None).await;
    let open = "mutation($phone: String!, $code: String!) {
        walletSignIn(input: {phone: $phone, code: $code}) { token userErrors { code } } }";
    let refused = on_alphas_host(&app, open, json!({ "phone": phone(1), "code": code })).await;
    assert_eq!(refused["walletSignIn"]["userErrors"][0]["code"], "NOT_ON_THIS_HOST");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_enterprises_own_customer_number_finds_the_same_holder() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let sign_on = async |input: Value| app.ok(Some(&owner), SIGN_ON, input).await["holderSignOn"].take();
    let id = |answer: &Value| text(&answer["holder"]["id"]);
    let conflict = |answer: Value| assert_eq!(answer["userErrors"][0]["code"], "PARTNER_USER_CONFLICT", "{answer:#}");

    let both = sign_on(json!({ "phone": phone(1), "user": "u1" })).await;
    assert_eq!(id(&sign_on(json!({ "user": "u1" })).await), id(&both));
    assert_eq!(id(&sign_on(json!({ "phone": phone(1) })).await), id(&both));
    assert_eq!(id(&sign_on(json!({ "phone": phone(1), "user": "u1" })).await), id(&both));
    // Who is known by number alone gets the phone when it comes.
    let alone = sign_on(json!({ "user": "u2" })).await;
    assert_eq!(alone["holder"]["phoneMasked"], Value::Null);
    assert_ne!(id(&alone), id(&both));
    let with_phone = sign_on(json!({ "user": "u2", "phone": phone(2) })).await;
    assert_eq!(id(&with_phone), id(&alone));
    assert_eq!(id(&sign_on(json!({ "phone": phone(2) })).await), id(&alone));
    // A number or a phone that would lead to somebody else's wallet.
    conflict(sign_on(json!({ "phone": phone(1), "user": "u2" })).await);
    conflict(sign_on(json!({ "phone": phone(1), "user": "u3" })).await);
    conflict(sign_on(json!({ "phone": phone(9), "user": "u1" })).await);
    assert_eq!(sign_on(json!({})).await["userErrors"][0]["code"], "INVALID_INPUT");
    // Another enterprise's numbers are its own.
    let rival = app.owner("beta").await;
    let elsewhere = app.ok(Some(&rival), SIGN_ON, json!({ "user": "u1" })).await["holderSignOn"].take();
    assert_eq!(elsewhere["holder"]["phoneMasked"], Value::Null);
    assert_ne!(id(&elsewhere), id(&both));

    let at_once = join_all((0..8).map(|_| sign_on(json!({ "user": "u9" })))).await;
    assert!(at_once.iter().all(|answer| id(answer) == id(&at_once[0])), "{at_once:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_comes_by_wechat_and_is_one_across_the_apps_of_a_union() {
    let app = TestApp::builder().idle().wechat(&wechat().await).start().await;
    let owner = app.owner("alpha").await;
    let add = |kind: &str, id: &str, secret: &str| json!({ "kind": kind, "app": id, "secret": secret });
    app.done(&owner, ADD_WECHAT, add("MINI_PROGRAM", "wxmini", SECRET)).await;
    let page = app.done(&owner, ADD_WECHAT, add("OFFICIAL_ACCOUNT", "wxpage", SECRET)).await;
    app.done(&owner, ADD_WECHAT, add("MINI_PROGRAM", "wxwrong", &"f".repeat(32))).await;
    assert_eq!(app.refused(&owner, ADD_WECHAT, add("MINI_PROGRAM", "wxmini", SECRET)).await, ["APP_TAKEN"]);
    assert_eq!(app.refused(&owner, ADD_WECHAT, add("MINI_PROGRAM", "wx-mini", SECRET)).await, ["INVALID_INPUT"]);
    assert_eq!(app.refused(&owner, ADD_WECHAT, add("MINI_PROGRAM", "wxnew", "short")).await, ["INVALID_INPUT"]);

    let come = async |app_id: &str, code: &str| {
        let input = json!({ "app": app_id, "code": code, "enterprise": "alpha" });
        app.ok(None, WECHAT, input).await["holderWeChatSignIn"].take()
    };
    let id = |answer: &Value| text(&answer["holder"]["id"]);
    let first = come("wxmini", "open1:union1:1").await;
    assert_eq!(first["holder"]["phoneMasked"], Value::Null);
    let viewer = app.ok(Some(&text(&first["token"])), "{ viewer { kind } }", json!({})).await;
    assert_eq!(viewer["viewer"]["kind"], "HOLDER");
    assert_eq!(id(&come("wxmini", "open1:union1:2").await), id(&first), "the same person again");
    assert_eq!(id(&come("wxpage", "other1:union1:3").await), id(&first), "and through another app of the union");
    assert_eq!(id(&come("wxpage", "other1::4").await), id(&first), "and there without the union");
    assert_ne!(id(&come("wxpage", "open1::5").await), id(&first), "an openId is one app's");
    assert_ne!(id(&come("wxmini", "open2:union2:6").await), id(&first));

    let refused = async |app_id: &str, code: &str| come(app_id, code).await["userErrors"][0]["code"].take();
    assert_eq!(refused("wxmini", "open1:union1:1").await, "WRONG_CODE", "a code is good once");
    assert_eq!(refused("wxmini", "nonsense").await, "WRONG_CODE");
    assert_eq!(refused("wxnone", "open1:union1:7").await, "WECHAT_APP_NOT_FOUND");
    assert_eq!(refused("wxwrong", "open1:union1:8").await, "WECHAT_MISCONFIGURED");
    let change = json!({ "id": page["wechatApp"]["id"], "state": "DISABLED" });
    assert_eq!(app.done(&owner, CHANGE_WECHAT, change).await["wechatApp"]["state"], "DISABLED");
    assert_eq!(refused("wxpage", "other1:union1:9").await, "WECHAT_APP_NOT_FOUND");
    let back = json!({ "id": page["wechatApp"]["id"], "state": "ACTIVE", "secret": "e".repeat(32) });
    app.done(&owner, CHANGE_WECHAT, back).await;
    assert_eq!(refused("wxpage", "other1:union1:10").await, "WECHAT_MISCONFIGURED", "the new secret is used");

    let at_once = join_all((20..28).map(|number| come_owned(&app, number))).await;
    assert!(at_once.iter().all(|answer| id(answer) == id(&at_once[0])), "one person at eight devices: {at_once:?}");
}

async fn come_owned(app: &TestApp, number: usize) -> Value {
    let input = json!({ "app": "wxmini", "code": format!("open9:union9:{number}"), "enterprise": "alpha" });
    app.ok(None, WECHAT, input).await["holderWeChatSignIn"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_bound_once_and_never_to_two() {
    let app = TestApp::builder().idle().wechat(&wechat().await).start().await;
    let owner = app.owner("alpha").await;
    app.done(&owner, ADD_WECHAT, json!({ "kind": "MINI_PROGRAM", "app": "wxmini", "secret": SECRET })).await;
    let come = async |code: &str| {
        let input = json!({ "app": "wxmini", "code": code, "enterprise": "alpha" });
        text(&app.ok(None, WECHAT, input).await["holderWeChatSignIn"]["token"])
    };
    let (one, two) = (come("open1::1").await, come("open2::2").await);
    let code = app.code(Some(&one), &phone(1), "BIND_PHONE", None).await;
    let input = |number: usize, code: &str| json!({ "phone": phone(number), "code": code });
    assert_eq!(app.refused(&one, BIND, input(1, &other_than(&code))).await, ["WRONG_CODE"]);
    let bound = app.done(&one, BIND, input(1, &code)).await;
    assert_eq!(bound["holder"]["phoneMasked"], "138****0001");
    assert_eq!(app.came_in("alpha", &phone(1)).await.id, text(&bound["holder"]["id"]), "the phone finds them now");

    let other = app.code(Some(&two), &phone(2), "BIND_PHONE", None).await;
    assert_eq!(app.refused(&one, BIND, input(2, &other)).await, ["PHONE_BOUND"]);
    let code = app.code(Some(&two), &phone(1), "BIND_PHONE", None).await;
    assert_eq!(app.refused(&two, BIND, input(1, &code)).await, ["PHONE_TAKEN"]);
    assert_eq!(app.count("SELECT count(*)::text FROM holders WHERE phone_hash IS NOT NULL"), 1);
    assert_eq!(app.count("SELECT count(*)::text FROM persons"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_name_is_proved_once_and_for_good() {
    let app = TestApp::builder().idle().start().await;
    let person = app.person("alpha", 1).await;
    let claim = |name: &str, number: &str| json!({ "name": name, "number": number, "key": key() });
    let refused = async |name: &str, number: &str| app.refused(&person.token, VERIFY, claim(name, number)).await;
    let asked = || app.world.register.asked.load(Ordering::SeqCst);

    assert_eq!(refused("韦小宝", "110105199003070011").await, ["INVALID_ID_NUMBER"]);
    assert_eq!(refused("1", &id_number(1)).await, ["INVALID_INPUT"]);
    assert_eq!(asked(), 0, "what cannot be right is not asked about");
    app.world.register.down.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(refused("韦小宝", &id_number(1)).await, ["REAL_NAME_UNAVAILABLE"]);
    }
    app.world.register.down.store(false, Ordering::SeqCst);

    // A mismatch is an answer: the same key gives it again, and it counts once.
    let first = claim(STRANGER, &id_number(1));
    let before = asked();
    assert_eq!(app.refused(&person.token, VERIFY, first.clone()).await, ["REAL_NAME_MISMATCH"]);
    assert_eq!(app.refused(&person.token, VERIFY, first).await, ["REAL_NAME_MISMATCH"]);
    assert_eq!(asked(), before + 1);
    let done = app.done(&person.token, VERIFY, claim(" 韦小宝 ", &id_number(1).to_lowercase())).await;
    assert_eq!(done["holder"]["nameMasked"], "**宝");
    let masked = text(&done["holder"]["idNumberMasked"]);
    assert_eq!(masked, format!("110***********{}", &id_number(1)[14..]));
    assert!(done["holder"]["verifiedAt"].is_string());
    assert_eq!(app.count("SELECT count(*)::text FROM outbox WHERE type = 'holder.verified'"), 1);
    let results = app.sql("SELECT string_agg(result, ' ' ORDER BY id) FROM real_name_verifications");
    assert_eq!(results, format!("{}MISMATCH MATCH", "UNAVAILABLE ".repeat(5)));

    app.sql("UPDATE throttles SET count = 60 WHERE kind = 'real-name.holder'");
    assert_eq!(refused("韦小宝", &id_number(1)).await, ["TOO_OFTEN"]);
    app.sql("DELETE FROM throttles WHERE kind = 'real-name.holder'");
    let before = asked();
    app.done(&person.token, VERIFY, claim("韦小宝", &id_number(1))).await;
    assert_eq!(refused("韦大宝", &id_number(1)).await, ["ALREADY_VERIFIED"]);
    assert_eq!(refused("韦小宝", &id_number(2)).await, ["ALREADY_VERIFIED"]);
    assert_eq!(asked(), before, "who is verified is not asked about again");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_more_than_three_tries_a_day_also_at_once() {
    let app = TestApp::builder().idle().start().await;
    let person = app.person("alpha", 1).await;
    let claim = || json!({ "name": STRANGER, "number": id_number(1), "key": key() });
    let mut codes: Vec<String> = join_all((0..12).map(|_| app.refused(&person.token, VERIFY, claim()))).await.concat();
    codes.sort();
    let expected = [vec!["REAL_NAME_MISMATCH"; 3], vec!["TOO_MANY_TRIES"; 9]].concat();
    assert_eq!(codes, expected);
    assert_eq!(app.world.register.asked.load(Ordering::SeqCst), 3);
    app.sql("UPDATE idempotency_keys SET created_at = created_at - interval '25 hours'");
    app.done(&person.token, VERIFY, json!({ "name": "韦小宝", "number": id_number(1), "key": key() })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_identity_verifies_three_holders_of_an_enterprise() {
    let app = TestApp::builder().idle().start().await;
    let people = app.people("alpha", 6).await;
    let claim = || json!({ "name": "韦小宝", "number": id_number(1), "key": key() });
    let at_once = join_all(people.iter().map(|person| app.refused(&person.token, VERIFY, claim()))).await;
    let verified = at_once.iter().filter(|codes| codes.is_empty()).count();
    assert_eq!(verified, 3, "{at_once:?}");
    assert!(at_once.iter().all(|codes| codes.is_empty() || *codes == ["TOO_MANY_HOLDERS"]), "{at_once:?}");
    // Another enterprise counts its own.
    let elsewhere = app.person("beta", 1).await;
    app.done(&elsewhere.token, VERIFY, claim()).await;
}
