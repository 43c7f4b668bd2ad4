//! Personal data: sealed, shown to few, erased, sealed anew; and one person across enterprises, seen by that person alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use minthouse::app::sealed_columns;
use minthouse::platform::fault::Fault;
use minthouse::platform::refusal::Refusal;
use minthouse::platform::vault::hex;
use minthouse::tenancy::model::ApiClientId;
use minthouse::tenancy::permission::{Permission, Role};
use minthouse::tenancy::rotate;
use minthouse::tenancy::scope::TenantScope;
use minthouse::wallets::model::{CodePurpose, HolderId, PersonalField};
use minthouse::wallets::reveal;
use minthouse::wallets::store::{codes, personal};
use serde_json::{Value, json};

use crate::support::app::{Beginning, TestApp, copy, text};
use crate::support::cluster;
use crate::support::people::{ADD_WECHAT, SECRET, SIGN_IN, VERIFY, WECHAT, id_number, wechat};
use crate::support::play::{CANCEL, DRAW, GIVE, Person, TAKE, key, phone, until};

const REVEAL: &str = "mutation($id: ID!, $fields: [PersonalField!]!) {
    holderReveal(input: {id: $id, fields: $fields}) { personalData { phone name idNumber } userErrors { code field } } }";
const ERASE: &str = "mutation($id: ID!) {
    holderErase(input: {id: $id}) { holder { id nickname phoneMasked nameMasked idNumberMasked erasedAt } userErrors { code } } }";
const ERASE_MYSELF: &str = "mutation($code: String) {
    holderEraseMyself(input: {code: $code}) { holder { id erasedAt } userErrors { code } } }";
const FIND: &str = "query($phone: String) { holders(filter: {phone: $phone}) { totalCount nodes { id phoneMasked } } }";
const OPEN_WALLET: &str = "mutation($phone: String!, $code: String!) {
    walletSignIn(input: {phone: $phone, code: $code}) { token expiresAt userErrors { code } } }";
const WALLET: &str =
    "{ wallet { memberships { enterprise { slug name { text } } holder { id nickname phoneMasked } itemCount } } }";
const NAME: &str = "欧阳小宝";

async fn verified(app: &TestApp, person: &Person, number: usize) {
    app.done(&person.token, VERIFY, json!({ "name": NAME, "number": id_number(number), "key": key() })).await;
}

async fn reveal_all(app: &TestApp, token: &str, id: &str) -> Value {
    let asked = json!({ "id": id, "fields": ["NAME", "PHONE", "ID_NUMBER"] });
    app.done(token, REVEAL, asked).await["personalData"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_shown_to_few_and_each_look_is_recorded() {
    let app = TestApp::builder().idle().start().await;
    let person = app.person("alpha", 1).await;
    verified(&app, &person, 1).await;
    let owner = app.owner("alpha").await;
    let asked = |fields: &[&str]| json!({ "id": person.id, "fields": fields });
    let shown = app.done(&owner, REVEAL, asked(&["PHONE"])).await;
    assert_eq!(shown["personalData"], json!({ "phone": phone(1), "name": null, "idNumber": null }));
    let all = json!({ "phone": phone(1), "name": NAME, "idNumber": id_number(1) });
    assert_eq!(reveal_all(&app, &owner, &person.id).await, all);
    let looks =
        app.sql("SELECT string_agg(action, '; ' ORDER BY id) FROM audit_records WHERE action LIKE 'holderReveal%'");
    assert_eq!(looks, "holderReveal(PHONE); holderReveal(ID_NUMBER, NAME, PHONE)");
    assert_eq!(app.refused(&owner, REVEAL, asked(&[])).await, ["INVALID_INPUT"]);

    for role in [Role::Operator, Role::Finance, Role::Auditor] {
        let token = app.operator("alpha", role).await;
        let answer = app.send(Some(&token), REVEAL, asked(&["PHONE"])).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{role:?}");
    }
    // A machine may not, whatever its scopes say.
    let scopes = Permission::ALL.iter().copied().collect();
    let machine =
        TenantScope::of_client(app.enterprise("alpha").await, ApiClientId::generate(), scopes, Arc::from("t"));
    let id: HolderId = person.id.parse().expect("an ID");
    let refused = reveal::reveal(&app.app.platform, &machine, id, &[PersonalField::Phone]).await;
    assert!(matches!(refused, Err(Refusal::Fault(Fault::WrongCaller(_)))));
    let masked = app.ok(Some(&owner), FIND, json!({ "phone": null })).await;
    assert_eq!(masked["holders"]["nodes"][0]["phoneMasked"], "138****0001");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_is_found_by_the_whole_phone_and_nothing_less() {
    let app = TestApp::builder().idle().start().await;
    let people = app.people("alpha", 3).await;
    let owner = app.owner("alpha").await;
    let find = async |text: &str| app.ok(Some(&owner), FIND, json!({ "phone": text })).await["holders"].take();
    for text in [phone(1), format!("+86{}", phone(1))] {
        let found = find(&text).await;
        assert_eq!((&found["totalCount"], &found["nodes"][0]["id"]), (&json!(1), &json!(people[1].id)));
    }
    assert_eq!(find(&phone(9)).await["totalCount"], 0);
    let rival = app.owner("beta").await;
    assert_eq!(app.ok(Some(&rival), FIND, json!({ "phone": phone(1) })).await["holders"]["totalCount"], 0);
    for (token, text, code) in [
        (&owner, "1381".to_owned(), "BAD_REQUEST"),
        (&people[0].token, phone(1), "FORBIDDEN"),
        (&app.operator("alpha", Role::Finance).await, phone(1), "FORBIDDEN"),
    ] {
        let answer = app.send(Some(token), FIND, json!({ "phone": text })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{answer:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_erased_while_something_of_theirs_is_open() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (person, friend) = (app.came_in("alpha", &phone(1)).await, app.person("alpha", 2).await);
    let sale = app.sale(&owner).await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let erase = async || app.refused(&owner, ERASE, json!({ "id": person.id })).await;

    let order = app.place(&person, &sale, 1).await;
    assert_eq!(erase().await, ["ORDER_OPEN"]);
    app.done(&person.token, CANCEL, json!({ "order": order, "key": key() })).await;
    let drawn = app.done(&person.token, DRAW, json!({ "activity": activity, "key": key() })).await;
    assert_eq!(erase().await, ["CLAIM_OPEN"]);
    app.done(&person.token, TAKE, json!({ "id": drawn["draw"]["claim"]["id"], "key": key() })).await;
    assert_eq!(erase().await, ["CLAIM_OPEN", "TRANSFER_OPEN"]);
    app.settle().await;
    let item = app.item(&friend, &activity).await;
    app.done(&friend.token, GIVE, json!({ "item": item, "to": person.id, "key": key() })).await;
    assert_eq!(erase().await, ["TRANSFER_OPEN"], "also what is on its way to them");
    app.settle().await;
    assert_eq!(erase().await, Vec::<String>::new());
    assert_eq!(erase().await, ["ERASED"]);
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_waits_for_a_code_before_it_holds_the_holder() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let person = app.came_in("alpha", &phone(1)).await;
    app.code(Some(&person.token), &phone(1), "BIND_PHONE", None).await;
    let id: HolderId = person.id.parse().expect("an ID");

    // Somebody binds the phone: the code first, and then the holder.
    let tx = TenantScope::of_system(app.enterprise("alpha").await).write(&app.app.platform.database).await;
    let tx = tx.expect("a transaction");
    let known = personal::personal(&tx, id).await.expect("it answers").expect("they are there");
    let phone_hash = known.phone_hash.expect("a phone");
    codes::lock_newest_in(&tx, CodePurpose::BindPhone, &phone_hash).await.expect("it locks").expect("a code");
    let binding = async {
        let waits = "SELECT count(*)::text FROM pg_locks JOIN pg_stat_activity USING (pid)
                      WHERE datname = current_database() AND NOT granted";
        until("the erasure waits", async || app.count(waits) > 0).await;
        app.sql(&format!("SELECT id::text FROM holders WHERE id = '{}' FOR UPDATE NOWAIT", id.uuid()));
        personal::lock_in(&tx, id).await.expect("the holder is free").expect("they are there");
        tx.commit().await.expect("it commits");
    };
    let (erased, ()) = futures_util::future::join(app.done(&owner, ERASE, json!({ "id": person.id })), binding).await;
    assert!(erased["holder"]["erasedAt"].is_string(), "{erased}");
    assert_eq!(app.count("SELECT count(*)::text FROM verification_codes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_leaves_what_they_have_and_no_trace_of_who_they_were() {
    let app = TestApp::builder().idle().wechat(&wechat().await).start().await;
    let owner = app.owner("alpha").await;
    let person = app.came_in("alpha", &phone(1)).await;
    verified(&app, &person, 1).await;
    let sign_on = "mutation($phone: String!) { holderSignOn(input: {phone: $phone, partnerUserId: \"u1\"}) { userErrors { code } } }";
    app.done(&owner, sign_on, json!({ "phone": phone(1) })).await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let item = app.item(&person, &activity).await;
    let code = app.code(None, &phone(1), "SIGN_IN", Some("alpha")).await;

    let erased = app.done(&owner, ERASE, json!({ "id": person.id })).await["holder"].take();
    assert!(erased["erasedAt"].is_string());
    assert_eq!(erased["nickname"], "已注销用户");
    for field in ["phoneMasked", "nameMasked", "idNumberMasked"] {
        assert_eq!(erased[field], Value::Null, "{field}");
    }
    let left = app.sql(
        "SELECT num_nonnulls(phone_hash, phone_sealed, phone_masked, name_sealed, name_masked, id_number_sealed,
            id_number_hash, id_number_masked)
          + (SELECT count(*) FROM holder_identities) + (SELECT count(*) FROM persons) + (SELECT count(*) FROM verification_codes)
          + (SELECT count(*) FROM sessions WHERE subject_id = holders.id AND (revoked_at IS NULL OR client <> '' OR address <> ''))
          || '' FROM holders WHERE erased_at IS NOT NULL",
    );
    assert_eq!(left, "0");
    assert_eq!(app.count("SELECT count(*)::text FROM outbox WHERE type = 'holder.erased'"), 1);
    let answer = app.send(Some(&person.token), "{ viewer { kind } }", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "their sessions have ended");
    let input = json!({ "phone": phone(1), "code": code, "enterprise": "alpha" });
    assert_eq!(app.turned_away(SIGN_IN, input).await, ["WRONG_CODE"], "a code from before is gone");
    assert_eq!(app.refused(&owner, REVEAL, json!({ "id": person.id, "fields": ["PHONE"] })).await, ["ERASED"]);
    let friend = app.person("alpha", 2).await;
    let theirs = app.item(&friend, &activity).await;
    let gift = json!({ "item": theirs, "to": person.id, "key": key() });
    assert_eq!(app.refused(&friend.token, GIVE, gift).await, ["HOLDER_NOT_FOUND"]);

    // The item is where it was, and the phone and the identity are free for somebody new.
    let held = app.ok(Some(&owner), "query($id: ID!) { item(id: $id) { holder { id } } }", json!({ "id": item })).await;
    assert_eq!(held["item"]["holder"]["id"], json!(person.id));
    let anew = app.came_in("alpha", &phone(1)).await;
    assert_ne!(anew.id, person.id);
    verified(&app, &anew, 1).await;
    let items = app.ok(Some(&anew.token), "{ items { totalCount } }", json!({})).await;
    assert_eq!(items["items"]["totalCount"], 0);
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_erases_themselves_with_a_code_whatever_state_the_enterprise_is_in() {
    let app = TestApp::builder().idle().wechat(&wechat().await).start().await;
    let person = app.came_in("alpha", &phone(1)).await;
    let refused = async |code: Value| app.refused(&person.token, ERASE_MYSELF, json!({ "code": code })).await;
    let rival = app.came_in("alpha", &phone(2)).await;
    let other = app.code(Some(&rival.token), &phone(2), "ERASE", None).await;
    assert_eq!(refused(json!(other)).await, ["WRONG_CODE"], "another phone's code");
    assert_eq!(refused(Value::Null).await, ["WRONG_CODE"]);
    let code = app.code(Some(&person.token), &phone(1), "ERASE", None).await;
    app.sql("UPDATE enterprises SET state = 'SUSPENDED' WHERE slug = 'alpha'");
    app.app.standings.forget(app.enterprise("alpha").await);
    let erased = app.done(&person.token, ERASE_MYSELF, json!({ "code": code })).await;
    assert!(erased["holder"]["erasedAt"].is_string());

    // Who has no phone has only their token to show.
    let rival = app.owner("beta").await;
    app.done(&rival, ADD_WECHAT, json!({ "kind": "MINI_PROGRAM", "app": "wxmini", "secret": SECRET })).await;
    let come = json!({ "app": "wxmini", "code": "open1:union1:1", "enterprise": "beta" });
    let token = text(&app.ok(None, WECHAT, come).await["holderWeChatSignIn"]["token"]);
    app.done(&token, ERASE_MYSELF, json!({ "code": null })).await;
    assert_eq!(app.count("SELECT count(*)::text FROM holder_identities"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_their_wallet_across_enterprises_and_nobody_else_does() {
    let app = TestApp::builder().idle().start().await;
    let (at_alpha, at_beta) = (app.came_in("alpha", &phone(1)).await, app.came_in("beta", &phone(1)).await);
    app.came_in("alpha", &phone(2)).await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    app.item(&at_alpha, &activity).await;

    let code = app.code(None, &phone(1), "WALLET", None).await;
    let input = |code: &str| json!({ "phone": phone(1), "code": code });
    assert_eq!(app.turned_away(OPEN_WALLET, input("x")).await, ["WRONG_CODE"]);
    let opened = app.ok(None, OPEN_WALLET, input(&code)).await;
    let token = text(&opened["walletSignIn"]["token"]);
    assert_eq!(app.turned_away(OPEN_WALLET, input(&code)).await, ["WRONG_CODE"], "a code is good once");
    let wallet = app.ok(Some(&token), WALLET, json!({})).await;
    let memberships = wallet["wallet"]["memberships"].as_array().expect("a list").clone();
    let seen: BTreeSet<(String, String, i64)> = memberships
        .iter()
        .map(|each| {
            let count = each["itemCount"].as_i64().expect("a number");
            (text(&each["enterprise"]["slug"]), text(&each["holder"]["id"]), count)
        })
        .collect();
    let expected = [("alpha".to_owned(), at_alpha.id, 1), ("beta".to_owned(), at_beta.id.clone(), 0)];
    assert_eq!(seen, BTreeSet::from(expected));
    assert_eq!(memberships[0]["holder"]["phoneMasked"], "138****0001");

    // The token opens the wallet and nothing else; no other token opens it.
    for query in ["{ items { totalCount } }", "{ holders { totalCount } }", "{ enterprises { totalCount } }"] {
        let answer = app.send(Some(&token), query, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{query}");
    }
    for token in [&at_alpha.token, &at_beta.token, &owner, &app.house(Role::Owner).await] {
        let answer = app.send(Some(token), WALLET, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
    }
    // Who is erased at one enterprise is not there any more, and stays at the other.
    app.done(&app.owner("beta").await, ERASE, json!({ "id": at_beta.id })).await;
    let wallet = app.ok(Some(&token), WALLET, json!({})).await;
    assert_eq!(wallet["wallet"]["memberships"].as_array().expect("a list").len(), 1);
    assert_eq!(wallet["wallet"]["memberships"][0]["enterprise"]["slug"], "alpha");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_that_vouches_for_a_phone_learns_nothing_of_other_enterprises() {
    let app = TestApp::builder().idle().start().await;
    let elsewhere = app.came_in("beta", &phone(1)).await;
    // Alpha vouches for a number of its choice, and for one that nobody knows; it gets the same.
    let owner = app.owner("alpha").await;
    let sign_on = "mutation($phone: String!) { holderSignOn(input: {phone: $phone}) { holder { nickname nameMasked verifiedAt version } userErrors { code } } }";
    let known = app.ok(Some(&owner), sign_on, json!({ "phone": phone(1) })).await;
    let unknown = app.ok(Some(&owner), sign_on, json!({ "phone": phone(2) })).await;
    assert_eq!(known, unknown);
    assert_eq!(
        app.count("SELECT count(*)::text FROM persons"),
        1,
        "vouching proves nothing to the person's own wallet"
    );
    let person = app.person("alpha", 1).await;
    let items = app.ok(Some(&person.token), "{ items { totalCount } viewer { enterprise { slug } } }", json!({})).await;
    assert_eq!(items, json!({ "items": { "totalCount": 0 }, "viewer": { "enterprise": { "slug": "alpha" } } }));
    let holder =
        app.ok(Some(&person.token), "query($id: ID!) { holder(id: $id) { id } }", json!({ "id": elsewhere.id })).await;
    assert_eq!(holder["holder"], Value::Null);
    let answer = app.send(Some(&person.token), WALLET, json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
    // The database itself does not let a tenant look who is where.
    let tenant = app.enterprise("alpha").await.uuid();
    let url = app.role_url("minthouse_tenant");
    let ask =
        |sql: &str| crate::embedded::try_ask(&url, &format!("BEGIN; SET LOCAL app.tenant_id = '{tenant}'; {sql}"));
    assert!(ask("SELECT encode(person_key, 'hex') FROM persons").is_err(), "the key is nobody's to read");
    assert_eq!(ask("SELECT count(holder_id)::text FROM persons").expect("it may count its own"), "0");
    // The wallet shows what the person proved: not alpha.
    let code = app.code(None, &phone(1), "WALLET", None).await;
    let opened = app.ok(None, OPEN_WALLET, json!({ "phone": phone(1), "code": code })).await;
    let wallet = app.ok(Some(&text(&opened["walletSignIn"]["token"])), WALLET, json!({})).await;
    let slugs: Vec<&Value> = wallet["wallet"]["memberships"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|each| &each["enterprise"]["slug"])
        .collect();
    assert_eq!(slugs, ["beta"]);
}

/// The versions of the keys that an enterprise's phones stand under.
fn versions(app: &TestApp) -> String {
    app.sql(
        "SELECT string_agg(DISTINCT get_byte(phone_sealed, 1)::text, ' ') FROM holders
          JOIN enterprises USING (tenant_id) WHERE slug = 'alpha'",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_key_is_exchanged_while_servers_work_and_after_being_broken_off() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let tenant = app.enterprise("alpha").await;
    let people = app.people("alpha", 20).await;
    for (number, person) in people.iter().enumerate().take(5) {
        verified(&app, person, number).await;
    }
    let platform = &app.app.platform;
    let columns = sealed_columns();
    let rotation = rotate::begin(platform, tenant, &columns).await.expect("it begins");
    // Twenty phones, five names, five numbers, and the seed of the draw.
    assert_eq!((rotation.version, rotation.fresh, rotation.values), (2, true, 31));
    // Broken off after the phones: what is old and what is new can be read and found, and what comes is new.
    let phones: Vec<_> = columns.iter().filter(|column| column.column == "phone_sealed").copied().collect();
    rotate::reseal(platform, tenant, &phones, 2, &|_| ()).await.expect("it goes on");
    assert_eq!(versions(&app), "2");
    assert_eq!(rotate::left(platform, tenant, &columns).await.expect("it counts"), 11);
    for number in [0, 7] {
        let shown = reveal_all(&app, &owner, &people[number].id).await;
        assert_eq!(shown["phone"], json!(phone(number)));
        assert_eq!(shown["name"], if number == 0 { json!(NAME) } else { Value::Null });
    }
    let found = app.ok(Some(&owner), FIND, json!({ "phone": phone(3) })).await;
    assert_eq!(found["holders"]["nodes"][0]["id"], json!(people[3].id));

    // Gone on with, while people sign on and prove their names and draw.
    let over = Arc::new(AtomicBool::new(false));
    let work = async {
        let mut number = 100;
        while !over.load(Ordering::SeqCst) || number < 110 {
            let person = app.person("alpha", number).await;
            verified(&app, &person, number).await;
            let (activity, _) = app.activity(&owner, "DRAW").await;
            if number < 110 {
                app.draw(&person, &activity).await;
            }
            number += 1;
        }
        number
    };
    let rotate = async {
        let rotation = rotate::begin(platform, tenant, &columns).await.expect("it begins");
        assert_eq!((rotation.version, rotation.fresh), (2, false), "no third key before the second has all");
        rotate::reseal(platform, tenant, &columns, 2, &|_| ()).await.expect("it ends");
        over.store(true, Ordering::SeqCst);
    };
    let (number, ()) = futures_util::future::join(work, rotate).await;
    assert_eq!(rotate::left(platform, tenant, &columns).await.expect("it counts"), 0);
    for (id, number) in [(people[2].id.clone(), 2), (app.person("alpha", number - 1).await.id, number - 1)] {
        let shown = reveal_all(&app, &owner, &id).await;
        assert_eq!(shown, json!({ "phone": phone(number), "name": NAME, "idNumber": id_number(number) }));
    }
    // The other enterprise was let be; a next rotation makes a next key.
    assert_eq!(app.sql("SELECT string_agg(data_keys.version::text, ' ') FROM data_keys JOIN enterprises USING (tenant_id) WHERE slug = 'beta'"), "1");
    let next = rotate::begin(platform, tenant, &columns).await.expect("it begins");
    assert_eq!((next.version, next.fresh), (3, true));
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sealed_column_is_known_to_the_rotation() {
    let database = copy(Beginning::Empty).await;
    let url = cluster::shared().url("minthouse_owner", &database);
    let there = crate::embedded::ask(
        &url,
        "SELECT string_agg(table_name || '.' || column_name, ' ' ORDER BY table_name, column_name) FROM information_schema.columns
          WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name LIKE '%sealed%'",
    );
    let there: BTreeSet<&str> = there.split(' ').collect();
    let columns = sealed_columns();
    let known: BTreeSet<String> = columns.iter().map(|column| format!("{}.{}", column.table, column.column)).collect();
    assert_eq!(known.len(), columns.len(), "a column stands twice in the lists");
    assert_eq!(known.iter().map(String::as_str).collect::<BTreeSet<_>>(), there);
}

/// How a text may stand in a dump without being sealed.
fn disguises(clear: &str) -> Vec<String> {
    let mut found = vec![clear.to_owned(), hex(clear.as_bytes()), hex(clear.as_bytes()).to_uppercase()];
    // Within something longer, base 64 shows a text in one of three ways; its first and last characters may be others'.
    for before in 0..3 {
        let shifted = [&b"xxx"[..before], clear.as_bytes()].concat();
        for encoded in [STANDARD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            let encoded = encoded.trim_end_matches('=');
            let from = if before == 0 { 0 } else { before + 1 };
            found.push(encoded[from..encoded.len() - 1].to_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_the_house_tells_nothing_of_its_people() {
    let app = TestApp::builder().idle().wechat(&wechat().await).start().await;
    let owner = app.owner("alpha").await;
    let person = app.came_in("alpha", &phone(7_654_321)).await;
    app.code(None, &phone(7_654_321), "WALLET", None).await;
    let failed = app.code(Some(&person.token), &phone(7_654_321), "ERASE", None).await;
    verified(&app, &person, 123).await;
    let wrong = json!({ "name": "夏侯无名", "number": id_number(321), "key": key() });
    app.refused(&person.token, VERIFY, wrong).await;
    app.done(&owner, ADD_WECHAT, json!({ "kind": "MINI_PROGRAM", "app": "wxmini", "secret": SECRET })).await;
    let come = json!({ "app": "wxmini", "code": "oFoSZ5T0DOf8:o6_bmasdasdsad6:1", "enterprise": "alpha" });
    app.ok(None, WECHAT, come).await;
    let sign_on =
        "mutation { holderSignOn(input: {partnerUserId: \"customer-4711-0815\"}) { token userErrors { code } } }";
    app.done(&owner, sign_on, json!({})).await;
    let (activity, prize) = app.activity(&owner, "AIRDROP").await;
    let drop =
        json!({ "activityId": activity, "prizeId": prize, "phones": [phone(7_111_111)], "idempotencyKey": key() });
    app.done(&owner, crate::support::play::AIRDROP, json!({ "input": drop })).await;
    reveal_all(&app, &owner, &person.id).await;
    app.ok(Some(&owner), FIND, json!({ "phone": phone(7_654_321) })).await;
    app.settle().await;

    let tables = app.sql(
        "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
    );
    let mut dump = String::new();
    for table in tables.split(' ') {
        dump += &app.sql(&format!("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {table} AS t"));
    }
    // The dump has what may be there, so that looking into it means something.
    for there in ["138****4321", "wxmini", "holderReveal", "holder.verified"] {
        assert!(dump.contains(there), "{there}");
    }
    let secrets = [
        phone(7_654_321),
        phone(7_111_111),
        NAME.to_owned(),
        "夏侯无名".to_owned(),
        id_number(123),
        id_number(321),
        SECRET.to_owned(),
        "oFoSZ5T0DOf8".to_owned(),
        "o6_bmasdasdsad6".to_owned(),
        "customer-4711-0815".to_owned(),
        person.token,
    ];
    for secret in &secrets {
        for disguise in disguises(secret) {
            assert!(!dump.contains(&disguise), "`{secret}` stands there as `{disguise}`");
        }
    }
    // A code is too short to be looked for everywhere; where it is kept there is no text.
    let codes = app.sql("SELECT string_agg(c::text, ' ') FROM verification_codes AS c");
    assert!(!codes.contains(&format!("\\x{}", hex(failed.as_bytes()))), "{codes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_while_signing_in_is_out() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let sign_on = "mutation { holderSignOn(input: {partnerUserId: \"u-1\"}) {
        token holder { id } userErrors { code } } }";
    let before = app.done(&owner, sign_on, json!({})).await;
    let held = app.hold("sessions").await;
    let signing_on = app.done(&owner, sign_on, json!({}));
    let erasing = async {
        held.until_waiting(1).await;
        let erasing = app.done(&owner, ERASE, json!({ "id": before["holder"]["id"] }));
        let letting_go = async {
            held.until_waiting(2).await;
            held.let_go().await;
        };
        tokio::join!(erasing, letting_go);
    };
    let (meanwhile, ()) = tokio::join!(signing_on, erasing);
    for token in [&before["token"], &meanwhile["token"]] {
        assert!(app.is_out(token.as_str().expect("a token")).await);
    }
    assert_eq!(
        app.count("SELECT count(*)::text FROM sessions WHERE subject_kind = 'HOLDER' AND revoked_at IS NULL"),
        0
    );
}
