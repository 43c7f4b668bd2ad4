//! How an enterprise comes in, shows who it is, and is stopped.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use minthouse::platform::id;
use minthouse::platform::vault::{hex, sha256};
use minthouse::sales::model::OrderId;
use minthouse::sales::pay;
use minthouse::sales::store::{bindings, orders};
use minthouse::tenancy::model::ApiClientId;
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::scope::TenantScope;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::app::{TestApp, client, text};
use crate::support::play::{DECIDE, TAKE, key};
use crate::support::stream::Stream;
use crate::support::tenants::*;

const SERIES: &str = "mutation { seriesCreate(input: {name: {chinese: \"系\", english: \"S\"},
    description: {chinese: \"\", english: \"\"}}) { series { id } userErrors { code } } }";
const RENAME: &str = "mutation { enterpriseUpdate(input: {name: {chinese: \"改名\", english: \"Renamed\"}}) {
    enterprise { name { english } } userErrors { code } } }";
const OWN: &str = "{ viewer { enterprise { state stateReason } } }";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registers_sees_to_their_admission_and_is_let_in() {
    let app = TestApp::builder().idle().start().await;
    let house = app.house(Role::Owner).await;
    let (id, owner) = app.newcomer("newcomer", "STANDARD").await;
    assert_eq!(app.fault(&owner, SERIES, json!({})).await, "ENTERPRISE_NOT_ACTIVE");
    assert_eq!(app.ok(Some(&owner), OWN, json!({})).await["viewer"]["enterprise"]["state"], "PENDING");

    let this = json!({ "id": id });
    assert_eq!(app.refused(&owner, HAND_IN, this.clone()).await, ["LICENCE_MISSING"]);
    let licence = app.qualification(&owner, "BUSINESS_LICENCE", CREDIT_CODE).await;
    assert_eq!(app.done(&owner, RENAME, json!({})).await["enterprise"]["name"]["english"], "Renamed");
    app.done(&owner, HAND_IN, this.clone()).await;
    assert_eq!(app.refused(&owner, HAND_IN, this.clone()).await, ["IN_REVIEW"]);
    assert_eq!(app.refused(&owner, RENAME, json!({})).await, ["IN_REVIEW"]);

    // Refused, it knows why, and comes again.
    let review = app.review_of(&id).await;
    let no = json!({ "id": review, "verdict": "REJECT", "remark": "The scan cannot be read" });
    app.done(&house, DECIDE, no).await;
    let own = app.ok(Some(&owner), OWN, json!({})).await;
    assert_eq!(own["viewer"]["enterprise"], json!({ "state": "PENDING", "stateReason": "The scan cannot be read" }));
    app.done(&owner, HAND_IN, this).await;
    app.approve(&licence).await;
    app.approve(&id).await;

    // The token that was refused above is good for it now.
    app.done(&owner, SERIES, json!({})).await;
    let own = app.ok(Some(&owner), OWN, json!({})).await;
    assert_eq!(own["viewer"]["enterprise"], json!({ "state": "ACTIVE", "stateReason": null }));
    assert_eq!(app.refused(&owner, HAND_IN, json!({ "id": id })).await, ["WRONG_STATE"]);
    app.settle().await;
    let told = app.ok(Some(&owner), "{ events(first: 50) { nodes { type data } } }", json!({})).await;
    let told: Vec<&Value> = told["events"]["nodes"].as_array().expect("a list").iter().collect();
    let states: Vec<&str> = told
        .iter()
        .filter(|event| event["type"] == "enterprise.changed")
        .map(|event| event["data"]["state"].as_str().expect("a state"))
        .collect();
    assert_eq!(states, ["PENDING", "PENDING", "PENDING", "ACTIVE"], "registered, renamed, refused, let in: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_before_their_licence_is_approved() {
    let app = TestApp::builder().idle().start().await;
    let house = app.house(Role::Owner).await;
    let (id, owner) = app.newcomer("newcomer", "STANDARD").await;
    let first = app.qualification(&owner, "BUSINESS_LICENCE", CREDIT_CODE).await;
    app.done(&owner, HAND_IN, json!({ "id": id })).await;
    let yes = json!({ "id": app.review_of(&id).await, "verdict": "APPROVE" });
    assert_eq!(app.refused(&house, DECIDE, yes.clone()).await, ["LICENCE_UNDECIDED"], "it waits");
    let no = json!({ "id": app.review_of(&first).await, "verdict": "REJECT", "remark": "The scan cannot be read" });
    app.done(&house, DECIDE, no).await;
    assert_eq!(app.refused(&house, DECIDE, yes.clone()).await, ["LICENCE_UNDECIDED"], "it was refused");

    // Another one may be handed in meanwhile; it must also still be good.
    let second = app.qualification(&owner, "BUSINESS_LICENCE", CREDIT_CODE).await;
    app.approve(&second).await;
    app.sql("UPDATE qualifications SET expires_at = now() WHERE state = 'APPROVED'");
    assert_eq!(app.refused(&house, DECIDE, yes.clone()).await, ["LICENCE_UNDECIDED"], "its day has come");
    app.sql("UPDATE qualifications SET expires_at = NULL WHERE state = 'APPROVED'");
    assert_eq!(app.ok(Some(&owner), OWN, json!({})).await["viewer"]["enterprise"]["state"], "PENDING");
    app.done(&house, DECIDE, yes).await;
    assert_eq!(app.ok(Some(&owner), OWN, json!({})).await["viewer"]["enterprise"]["state"], "ACTIVE");
}

/// The whole message of the fault that an operation ends in.
async fn told(app: &TestApp, token: &str, language: &str, query: &str) -> String {
    let request = client().post(app.url()).bearer_auth(token).header("accept-language", language);
    let answer: Value =
        request.json(&json!({ "query": query })).send().await.expect("it answers").json().await.expect("JSON");
    text(&answer["errors"][0]["message"])
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_stopped_is_told_what_helps_in_their_state() {
    let app = TestApp::builder().idle().start().await;
    let (_, pending) = app.newcomer("newcomer", "STANDARD").await;
    let list = "{ seriesList { totalCount } }";
    for language in ["zh", "en"] {
        let said = told(&app, &pending, language, list).await;
        for word in ["PENDING", "`qualificationCreate`", "`enterpriseSubmit`"] {
            assert!(said.contains(word), "{said}");
        }
        assert!(!said.contains("looked at"), "a read was refused: {said}");
    }
    // What the page says of it (docs/identity.md, Tokens).
    let invite = "mutation { operatorInvite(input: {signIn: \"new@newcomer.example\", name: \"N\", role: AUDITOR}) {
        invitation { id } userErrors { code } } }";
    app.done(&pending, invite, json!({})).await;
    app.done(&pending, RENAME, json!({})).await;
    app.ok(Some(&pending), "{ auditRecords { nodes { id } } operators { nodes { id } } }", json!({})).await;

    let (owner, person) = (app.owner("alpha").await, app.person("alpha", 1).await);
    let house = app.house(Role::Owner).await;
    app.done(&house, SUSPEND, json!({ "id": app.enterprise("alpha").await, "reason": "Complaints" })).await;
    for language in ["zh", "en"] {
        let said = told(&app, &owner, language, list).await;
        assert!(said.contains("SUSPENDED") && said.contains("`stateReason`"), "{said}");
        assert!(!said.contains("enterpriseSubmit"), "{said}");
    }
    let bind = "mutation { holderPhoneBind(input: {phone: \"13800000001\", code: \"1\"}) { userErrors { code } } }";
    let said = told(&app, &person.token, "en", bind).await;
    assert!(said.contains("you still see what you own"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_takes_no_name_twice_and_is_counted_by_address() {
    let app = TestApp::builder().idle().start().await;
    let before = app.count("SELECT count(*)::text FROM enterprises");
    let refused = async |change: Value| {
        let mut input = registration_of("another", "STANDARD");
        let fields = change.as_object().expect("fields").clone();
        input["input"].as_object_mut().expect("fields").extend(fields);
        let answer = app.ok(None, REGISTER, input).await;
        text(&answer["enterpriseRegister"]["userErrors"][0]["code"])
    };
    assert_eq!(refused(json!({ "slug": "alpha" })).await, "SLUG_TAKEN");
    assert_eq!(refused(json!({ "ownerSignIn": "Owner@Alpha.example" })).await, "SIGN_IN_TAKEN");
    let mut taken = registration_of("another", "STANDARD");
    taken["input"]["ownerSignIn"] = json!("owner@alpha.example");
    let taken = app.ok(None, REGISTER, taken).await;
    assert_eq!(taken["enterpriseRegister"]["userErrors"][0]["field"], "ownerSignIn");
    for wrong in [
        json!({ "kind": "HOUSE" }),
        json!({ "slug": "house" }),
        json!({ "slug": "Upper" }),
        json!({ "ownerPassword": "short" }),
        json!({ "ownerName": " " }),
        json!({ "name": { "chinese": "", "english": "E" } }),
    ] {
        assert_eq!(refused(wrong.clone()).await, "INVALID_INPUT", "{wrong}");
    }
    assert_eq!(app.count("SELECT count(*)::text FROM enterprises"), before, "what was refused left nothing behind");
    assert_eq!(app.count("SELECT count(*)::text FROM directory_entries WHERE key = 'another'"), 0);

    assert_eq!(refused(json!({ "ownerSignIn": "two words" })).await, "INVALID_INPUT", "as in an invitation");

    // Everybody here comes from one address.
    let mut codes = Vec::new();
    for _ in 0..20 {
        codes.push(refused(json!({ "slug": "alpha" })).await);
    }
    assert_eq!(codes.last().map(String::as_str), Some("TOO_MANY_ATTEMPTS"));
    let answer = app.ok(None, REGISTER, registration_of("another", "STANDARD")).await;
    let error = &answer["enterpriseRegister"]["userErrors"][0];
    assert_eq!(error["code"], "TOO_MANY_ATTEMPTS");
    assert!((1..=3600).contains(&error["retryAfterSeconds"].as_i64().expect("seconds")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_of_the_same_network_is_no_new_beginning() {
    let app = TestApp::builder().idle().behind(&["127.0.0.1/32"]).start().await;
    let from = async |path: &str, address: String, body: Value| {
        let request = client().post(format!("http://{}{path}", app.address)).header("x-forwarded-for", address);
        let request = match &body {
            Value::String(form) => {
                request.header("content-type", "application/x-www-form-urlencoded").body(form.clone())
            }
            query => request.json(query),
        };
        request.send().await.expect("it answers").json::<Value>().await.expect("JSON")
    };
    let register = json!({ "query": REGISTER, "variables": registration_of("alpha", "STANDARD") });
    let key = minthouse::tenancy::model::clients::key_of(app.enterprise("alpha").await, ApiClientId::generate());
    let grant = json!(format!("grant_type=client_credentials&client_id={key}&client_secret=mhs_wrong"));
    let code = |answer: &Value| answer["data"]["enterpriseRegister"]["userErrors"][0]["code"].clone();
    for n in 0..20 {
        let address = format!("2001:db8:7:5{n:02x}:{n}::{n}");
        assert_eq!(code(&from("/graphql", address.clone(), register.clone()).await), "SLUG_TAKEN", "{address}");
        assert_eq!(from("/oauth/token", address, grant.clone()).await["error"], "invalid_client");
    }
    let next = "2001:db8:7:5ff:ffff::1".to_owned();
    assert_eq!(code(&from("/graphql", next.clone(), register.clone()).await), "TOO_MANY_ATTEMPTS");
    assert!(from("/oauth/token", next, grant.clone()).await["error"].is_string());
    assert_eq!(app.count("SELECT count(*)::text FROM throttles WHERE kind = 'CLIENT_GRANT'"), 1);
    let neighbour = "2001:db8:7:600::1".to_owned();
    assert_eq!(code(&from("/graphql", neighbour.clone(), register).await), "SLUG_TAKEN");
    assert_eq!(from("/oauth/token", neighbour, grant).await["error"], "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_what_its_bytes_are() {
    let app = TestApp::builder().idle().start().await;
    let (owner, rival) = (app.owner("alpha").await, app.owner("beta").await);
    let bytes = pdf("licence");
    let announce = |size: usize, of: &[u8]| json!({ "input": { "name": "licence.pdf", "size": size, "sha256": hex(&sha256(of)) } });
    let announced = app.done(&owner, ANNOUNCE, announce(bytes.len(), &bytes)).await;
    let (id, path) = (text(&announced["document"]["id"]), text(&announced["upload"]["path"]));
    assert_eq!(app.refused(&owner, ARRIVED, json!({ "id": id })).await, ["NOT_UPLOADED"]);
    assert_eq!(app.put(&path, &pdf("a longer one than was announced")).await, 413);
    assert_eq!(app.put(&path, &bytes).await, 201);
    assert_eq!(app.refused(&rival, ARRIVED, json!({ "id": id })).await, ["DOCUMENT_NOT_FOUND"]);

    // Many at once complete it once.
    let at_once = (0..8).map(|_| app.done(&owner, ARRIVED, json!({ "id": id })));
    for arrived in futures_util::future::join_all(at_once).await {
        assert_eq!(arrived["document"]["state"], "STORED");
        assert_eq!(arrived["document"]["mediaType"], "application/pdf");
        assert_eq!(arrived["document"]["sha256"], hex(&sha256(&bytes)));
    }
    assert_eq!(app.count("SELECT count(*)::text FROM audit_records WHERE action = 'documentUploadComplete'"), 1);

    // It is fetched as an attachment of the type that was found in it, and by nobody who was not given the address.
    let query = "query($id: ID!) { document(id: $id) { download { path } } }";
    let seen = app.ok(Some(&owner), query, json!({ "id": id })).await;
    let address = text(&seen["document"]["download"]["path"]);
    let fetched = app.get(&address).await;
    let header = |name: &str| fetched.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(fetched.status(), 200);
    assert_eq!(header("content-type"), "application/pdf");
    assert!(header("content-disposition").starts_with("attachment; filename=\""));
    assert!(!header("content-disposition").contains("licence"), "no name of a client's making");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cache-control"), "private, no-store");
    assert!(header("content-security-policy").contains("sandbox"));
    assert_eq!(fetched.bytes().await.expect("the bytes"), bytes);
    assert_eq!(app.ok(Some(&rival), query, json!({ "id": id })).await["document"], Value::Null);
    for forged in [
        format!("{address}A"),
        address.replace("/downloads/", "/uploads/"),
        path.replace("/uploads/", "/downloads/"),
        "/downloads/..%2f..%2fsecrets.json".to_owned(),
    ] {
        let status = app.get(&forged).await.status().as_u16();
        assert!(matches!(status, 403 | 405), "{forged} gave {status}");
    }

    // What differs, and what only calls itself a PDF.
    let announced = app.done(&owner, ANNOUNCE, announce(bytes.len(), b"something else")).await;
    let address = text(&announced["upload"]["path"]);
    assert_eq!(app.put(&address, &bytes).await, 422);
    assert_eq!(app.put(&address, b"something els").await, 422, "it is shorter");
    assert_eq!(app.refused(&owner, ARRIVED, json!({ "id": announced["document"]["id"] })).await, ["NOT_UPLOADED"]);
    let padded = [&b"something else"[..], &vec![0; bytes.len() - 14]].concat();
    assert_eq!(app.put(&address, &padded).await, 422, "of the right length");
    let page = app.send_document(&owner, b"<html>%PDF-1.7<script>alert(1)</script>").await;
    assert_eq!(app.refused(&owner, ARRIVED, json!({ "id": page })).await, ["UNSUPPORTED_TYPE"]);
    let seen = app.ok(Some(&owner), query, json!({ "id": page })).await;
    assert_eq!(seen["document"]["download"], Value::Null, "nobody fetches what was not taken");
    for size in [0, 10 * 1024 * 1024 + 1] {
        assert_eq!(app.refused(&owner, ANNOUNCE, announce(size, b"")).await, ["INVALID_INPUT"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn qualifications_are_checked_decided_and_expire_on_their_day() {
    let app = TestApp::builder().idle().start().await;
    let (owner, house) = (app.owner("alpha").await, app.house(Role::Owner).await);
    let document = app.document(&owner, &pdf("filing")).await;
    let of = |kind: &str, number: &str, more: Value| {
        let mut input = json!({ "kind": kind, "number": number, "documentId": document });
        input.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        json!({ "input": input })
    };
    for (kind, number) in [
        ("BUSINESS_LICENCE", "91350100M000100Y4Z"),
        ("ICP_LICENCE", "12345678"),
        ("BLOCKCHAIN_FILING", "京网信备1234号"),
        ("COPYRIGHT_PROOF", " "),
    ] {
        assert_eq!(app.refused(&owner, QUALIFY, of(kind, number, json!({}))).await, ["INVALID_INPUT"], "{number}");
    }
    let past = json!({ "expiresAt": "2020-01-01T00:00:00Z" });
    assert_eq!(app.refused(&owner, QUALIFY, of("COPYRIGHT_PROOF", "1", past)).await, ["INVALID_INPUT"]);
    let awaited = app.send_document(&owner, &pdf("not looked at")).await;
    let unseen = of("COPYRIGHT_PROOF", "1", json!({ "documentId": awaited }));
    assert_eq!(app.refused(&owner, QUALIFY, unseen).await, ["NOT_UPLOADED"]);
    let foreign = app.document(&app.owner("beta").await, &pdf("beta's")).await;
    let foreign = of("COPYRIGHT_PROOF", "1", json!({ "documentId": foreign }));
    assert_eq!(app.refused(&owner, QUALIFY, foreign).await, ["DOCUMENT_NOT_FOUND"]);

    // The same number twice at once waits once.
    let good = of("ICP_LICENCE", "京ICP备12345678号-1", json!({ "expiresAt": "2099-01-01T00:00:00Z" }));
    let at_once = (0..8).map(|_| app.ok(Some(&owner), QUALIFY, good.clone()));
    let answers = futures_util::future::join_all(at_once).await;
    let made: Vec<String> = answers
        .iter()
        .filter_map(|answer| answer["qualificationCreate"]["qualification"]["id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    let other = text(&app.done(&owner, QUALIFY, of("COPYRIGHT_PROOF", "C-1", json!({}))).await["qualification"]["id"]);

    app.approve(&made[0]).await;
    let review = app.review_of(&other).await;
    app.done(&house, DECIDE, json!({ "id": review, "verdict": "REJECT", "remark": "Not yours" })).await;
    let list = "{ qualifications(first: 10, orderBy: CREATED_AT_ASC) { totalCount nodes { id state reviewRemark } } }";
    let seen = app.ok(Some(&owner), list, json!({})).await;
    assert_eq!(seen["qualifications"]["totalCount"], 2);
    let nodes = &seen["qualifications"]["nodes"];
    assert_eq!(nodes[0], json!({ "id": made[0], "state": "APPROVED", "reviewRemark": null }));
    assert_eq!(nodes[1], json!({ "id": other, "state": "REJECTED", "reviewRemark": "Not yours" }));
    let narrowed = "{ qualifications(filter: {kind: COPYRIGHT_PROOF, state: REJECTED}) { totalCount nodes { id } } }";
    let narrowed = app.ok(Some(&owner), narrowed, json!({})).await;
    assert_eq!(narrowed["qualifications"], json!({ "totalCount": 1, "nodes": [{ "id": other }] }));

    app.settle().await;
    assert_eq!(app.sql("SELECT string_agg(state, ',' ORDER BY id) FROM qualifications"), "APPROVED,REJECTED");
    app.sql("UPDATE qualifications SET expires_at = now() - interval '1 second' WHERE state = 'APPROVED' RETURNING 'moved'::text");
    app.settle().await;
    assert_eq!(app.sql("SELECT string_agg(state, ',' ORDER BY id) FROM qualifications"), "EXPIRED,REJECTED");
    let told = app.sql(
        "SELECT string_agg(data->>'state', ',' ORDER BY sequence) FROM events WHERE type = 'qualification.changed'
            AND data->>'kind' = 'ICP_LICENCE'",
    );
    assert_eq!(told, "PENDING,APPROVED,EXPIRED");
    // An expired one may be handed in again.
    app.done(&owner, QUALIFY, good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_house_reads_what_it_decides_on() {
    let app = TestApp::builder().idle().start().await;
    let (owner, house) = (app.owner("alpha").await, app.house(Role::Auditor).await);
    let (newcomer, newcomers_owner) = app.newcomer("newcomer", "PLATFORM").await;
    let licence = app.qualification(&newcomers_owner, "BUSINESS_LICENCE", CREDIT_CODE).await;
    app.done(&newcomers_owner, HAND_IN, json!({ "id": newcomer })).await;
    let draft = app.draft(&owner, "SALE", json!({})).await;
    let collectible = app.collectible(&owner).await;
    app.sql(&format!(
        "INSERT INTO reviews (tenant_id, id, subject_kind, subject_id)
            SELECT tenant_id, gen_random_uuid(), 'ACTIVITY', id FROM activities WHERE id = '{0}'
            UNION ALL SELECT tenant_id, gen_random_uuid(), 'COLLECTIBLE', id FROM collectibles WHERE id = '{1}'
            RETURNING 'opened'::text",
        id::parse(&text(&draft["id"])).expect("an ID").1,
        id::parse(&collectible).expect("an ID").1,
    ));
    let query = "query($id: ID!) { review(id: $id) { subject { __typename
        ... on Enterprise { id slug kind }
        ... on Qualification { id number document { download { path } } }
        ... on Collectible { id }
        ... on Activity { id } } } }";
    let subject = async |of: &str| {
        let review = app.review_of(of).await;
        app.ok(Some(&house), query, json!({ "id": review })).await["review"]["subject"].take()
    };
    let seen = subject(&newcomer).await;
    assert_eq!(seen, json!({ "__typename": "Enterprise", "id": newcomer, "slug": "newcomer", "kind": "PLATFORM" }));
    let seen = subject(&licence).await;
    assert_eq!(seen["number"], CREDIT_CODE);
    let fetched = app.get(&text(&seen["document"]["download"]["path"])).await;
    assert_eq!(fetched.bytes().await.expect("the bytes"), pdf(CREDIT_CODE));
    assert_eq!(subject(&collectible).await, json!({ "__typename": "Collectible", "id": collectible }));
    assert_eq!(subject(&text(&draft["id"])).await, json!({ "__typename": "Activity", "id": draft["id"] }));

    let list = "query($id: ID!) { qualifications(filter: {enterpriseId: $id}) { nodes { id } } }";
    let seen = app.ok(Some(&house), list, json!({ "id": newcomer })).await;
    assert_eq!(seen["qualifications"]["nodes"], json!([{ "id": licence }]));
    assert_eq!(app.fault(&owner, list, json!({ "id": newcomer })).await, "NOT_FOUND");
    let unknown = json!({ "id": id::format("review", id::generate()) });
    assert_eq!(app.ok(Some(&house), query, unknown).await["review"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_and_won_arrives_though_the_enterprise_was_stopped() {
    let app = TestApp::builder().idle().start().await;
    let (owner, house) = (app.owner("alpha").await, app.house(Role::Owner).await);
    let (person, sale) = (app.person("alpha", 1).await, app.sale(&owner).await);
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let won = app.draw(&person, &activity).await;
    app.done(&person.token, TAKE, json!({ "id": won["claim"]["id"], "key": key() })).await;
    let (paid_late, unpaid) = (app.place(&person, &sale, 1).await, app.place(&person, &sale, 1).await);

    let alpha = app.enterprise("alpha").await;
    let this = json!({ "id": alpha, "reason": "Complaints" });
    app.done(&house, SUSPEND, this.clone()).await;
    assert_eq!(app.refused(&house, SUSPEND, this.clone()).await, ["WRONG_STATE"]);

    // The channel tells of money, as it does whatever the house thinks.
    let tx = TenantScope::of_system(alpha).read(&app.app.platform.database).await.expect("a transaction");
    let order_id: OrderId = paid_late.parse().expect("an ID");
    let order =
        orders::orders_by_id(&tx, &[order_id]).await.expect("it answers").remove(&order_id).expect("it is there");
    let merchant = bindings::merchants_by_id(&tx, &[order.merchant_id]).await.expect("it answers");
    let merchant = merchant.get(&order.merchant_id).expect("it is there").clone();
    drop(tx);
    let told = app.app.sales.sandbox().expect("the sandbox").pay(&merchant, &order).expect("it signs");
    pay::confirm(&app.app.platform, &app.app.sales, alpha, merchant.id, &told).await.expect("money is not turned away");
    app.settle().await;

    let items = "{ items(first: 10) { totalCount } orders(first: 10, orderBy: CREATED_AT_ASC) { nodes { id state } } }";
    let seen = app.ok(Some(&person.token), items, json!({})).await;
    assert_eq!(seen["items"]["totalCount"], 2, "the prize and the purchase");
    assert_eq!(seen["orders"]["nodes"][0], json!({ "id": paid_late, "state": "COMPLETED" }));
    assert_eq!(seen["orders"]["nodes"][1], json!({ "id": unpaid, "state": "PENDING_PAYMENT" }));
    // What nobody paid goes back in its time.
    app.sql("UPDATE orders SET expires_at = now() - interval '1 second' WHERE state = 'PENDING_PAYMENT' RETURNING 'moved'::text");
    app.settle().await;
    let seen = app.ok(Some(&person.token), items, json!({})).await;
    assert_eq!(seen["orders"]["nodes"][1]["state"], "EXPIRED");
    app.sums_hold();

    // Closed for good, holders look on, and nobody else comes in.
    app.done(&house, CLOSE, this.clone()).await;
    assert_eq!(app.ok(Some(&person.token), items, json!({})).await["items"]["totalCount"], 2);
    assert_eq!(app.fault(&owner, "{ viewer { kind } }", json!({})).await, "UNAUTHENTICATED");
    let draw = json!({ "activity": activity, "key": key() });
    assert_eq!(app.fault(&person.token, crate::support::play::DRAW, draw).await, "ENTERPRISE_NOT_ACTIVE");
    let name = json!({ "name": "owner@alpha.example", "password": "quiet-lantern-over-water" });
    let refused = app.ok(None, SIGN_IN, name).await;
    assert_eq!(refused["operatorSignIn"]["userErrors"][0]["code"], "ENTERPRISE_NOT_ACTIVE");
    for step in [SUSPEND, CLOSE, RESUME] {
        assert_eq!(app.refused(&house, step, this.clone()).await, ["WRONG_STATE"], "closed is closed: {step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_house_stops_others_by_the_steps_there_are_and_says_why() {
    let app = TestApp::builder().idle().start().await;
    let (owner, house) = (app.owner("alpha").await, app.house(Role::Owner).await);
    let alpha = app.enterprise("alpha").await.to_string();
    let this = json!({ "id": alpha, "reason": "Complaints" });
    assert_eq!(app.refused(&house, CLOSE, this.clone()).await, ["WRONG_STATE"], "nothing is closed by one slip");
    assert_eq!(app.refused(&house, RESUME, this.clone()).await, ["WRONG_STATE"]);
    for reason in ["", "  ", &"x".repeat(501)] {
        assert_eq!(app.refused(&house, SUSPEND, json!({ "id": alpha, "reason": reason })).await, ["INVALID_INPUT"]);
    }
    for nobody in [app.enterprise("house").await.to_string(), id::format("enterprise", id::generate())] {
        let refused = app.refused(&house, SUSPEND, json!({ "id": nobody, "reason": "x" })).await;
        assert_eq!(refused, ["NOT_FOUND"]);
    }
    let (pending, _) = app.newcomer("newcomer", "STANDARD").await;
    for step in [SUSPEND, RESUME, CLOSE] {
        let refused = app.refused(&house, step, json!({ "id": pending, "reason": "x" })).await;
        assert_eq!(refused, ["WRONG_STATE"], "one that waits is let in by a review alone: {step}");
    }

    let stopped = app.done(&house, SUSPEND, this.clone()).await;
    assert_eq!(stopped["enterprise"]["stateReason"], "Complaints");
    assert_eq!(app.fault(&owner, SERIES, json!({})).await, "ENTERPRISE_NOT_ACTIVE");
    let own = app.ok(Some(&owner), OWN, json!({})).await;
    assert_eq!(own["viewer"]["enterprise"]["stateReason"], "Complaints");
    let resumed = app.done(&house, RESUME, this).await;
    assert_eq!(resumed["enterprise"], json!({ "state": "ACTIVE", "stateReason": null }));
    app.done(&owner, SERIES, json!({})).await;
    let noted = app.sql(
        "SELECT string_agg(action || ' ' || actor_kind, ',' ORDER BY id) FROM audit_records
          WHERE action IN ('enterpriseSuspend', 'enterpriseResume', 'enterpriseClose')",
    );
    assert_eq!(noted, "enterpriseSuspend HOUSE,enterpriseResume HOUSE");
}

/// A WebSocket that has been let in, and what it answers to one operation after the other.
struct Line(tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>);

impl Line {
    async fn open(app: &TestApp, token: &str) -> Self {
        let mut request = format!("ws://{}/graphql", app.address).into_client_request().expect("an address");
        let protocol = "graphql-transport-ws".parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let mut line = Self(tokio_tungstenite::connect_async(request).await.expect("it is taken").0);
        line.say(json!({ "type": "connection_init", "payload": { "token": token, "accept-language": "en" } })).await;
        assert_eq!(line.hear().await.expect("an answer")["type"], "connection_ack");
        line
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("it is sent");
    }

    /// The next message, or the code with which the line was closed.
    async fn hear(&mut self) -> Result<Value, u16> {
        loop {
            match tokio::time::timeout(Duration::from_secs(20), self.0.next()).await.expect("an answer in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("it is JSON")),
                Some(Ok(Message::Close(frame))) => return Err(frame.expect("it says why").code.into()),
                Some(Ok(_)) => {}
                other => panic!("the line broke: {other:?}"),
            }
        }
    }

    async fn ask(&mut self, query: &str, variables: Value) -> Result<Value, u16> {
        self.say(json!({ "id": "1", "type": "subscribe", "payload": { "query": query, "variables": variables } }))
            .await;
        let answer = self.hear().await?;
        if answer["type"] == "next" {
            assert_eq!(self.hear().await?["type"], "complete");
        }
        Ok(answer["payload"].clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_open_before_is_asked_anew() {
    let app = TestApp::builder().idle().keep_alive(Duration::from_millis(50)).start().await;
    let (owner, house) = (app.owner("alpha").await, app.house(Role::Owner).await);
    let person = app.person("alpha", 1).await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let draw = || json!({ "activity": activity, "key": key() });
    let mut line = Line::open(&app, &person.token).await;
    let drawn = line.ask(crate::support::play::DRAW, draw()).await.expect("it stays open");
    assert_eq!(drawn["data"]["activityDraw"]["userErrors"], json!([]), "{drawn:#}");

    let this = json!({ "id": app.enterprise("alpha").await, "reason": "Complaints" });
    app.done(&house, SUSPEND, this.clone()).await;
    let refused = line.ask(crate::support::play::DRAW, draw()).await.expect("it stays open");
    assert_eq!(refused["errors"][0]["extensions"]["code"], "ENTERPRISE_NOT_ACTIVE", "{refused:#}");
    let seen = line.ask("{ items { totalCount } }", json!({})).await.expect("it stays open");
    assert_eq!(seen["data"]["items"]["totalCount"], 0, "holders look on");

    // Whoever may not come in any more is put out, from a stream too.
    let mut line = Line::open(&app, &owner).await;
    let mut stream = Stream::open(&app, Some(&owner), "subscription { events { cursor } }", json!({})).await;
    app.done(&house, CLOSE, this).await;
    assert_eq!(line.ask("{ viewer { kind } }", json!({})).await, Err(4403));
    while stream.next().await.is_some() {}
}
