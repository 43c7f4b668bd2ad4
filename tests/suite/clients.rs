//! API clients: what they are given, how they come in, and how they are kept out again.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use minthouse::platform::refusal::Refusal;
use minthouse::tenancy::client::{self, ClientRequest};
use minthouse::tenancy::model::ApiClientId;
use minthouse::tenancy::model::clients::ClientErrorCode;
use minthouse::tenancy::permission::{Permission, Permissions};
use minthouse::tenancy::scope::TenantScope;
use serde_json::{Value, json};

use crate::support::app::{TestApp, client, client_from, text};

const CREATE: &str = "mutation($input: ApiClientCreateInput!) { apiClientCreate(input: $input) {
    client { id key scopes allowList state } secret secretId userErrors { code field message } } }";
const UPDATE: &str = "mutation($input: ApiClientUpdateInput!) { apiClientUpdate(input: $input) {
    client { name scopes allowList version } userErrors { code field } } }";
const DISABLE: &str =
    "mutation($id: ID!) { apiClientDisable(input: {id: $id}) { client { state } userErrors { code } } }";
const ENABLE: &str =
    "mutation($id: ID!) { apiClientEnable(input: {id: $id}) { client { state } userErrors { code } } }";
const ROTATE: &str =
    "mutation($id: ID!, $hours: Int!) { apiClientSecretRotate(input: {id: $id, overlapHours: $hours}) {
    secret secretId client { secrets { id isLive } } userErrors { code field } } }";
const REVOKE: &str = "mutation($id: ID!, $secret: ID!) { apiClientSecretRevoke(input: {id: $id, secretId: $secret}) {
    client { secrets { id isLive revokedAt } } userErrors { code field } } }";
const LOOK: &str =
    "query($id: ID!) { apiClient(id: $id) { lastUsedAt secrets { id hint isLive lastUsedAt expiresAt } } }";
const NEW_SERIES: &str = "mutation { seriesCreate(input: {name: {chinese: \"系\", english: \"S\"}, description: {chinese: \"\", english: \"\"}}) {
    series { id } userErrors { code } } }";
const KIND: &str = "{ viewer { kind enterprise { slug } } }";

#[derive(Clone, Debug)]
struct Machine {
    id: String,
    key: String,
    secret: String,
    secret_id: String,
}

struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn told(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or("none"))
    }
}

async fn machine(app: &TestApp, owner: &str, scopes: &[&str], allow_list: &[&str]) -> Machine {
    let input = json!({ "name": "Integrator", "scopes": scopes, "allowList": allow_list });
    let made = app.done(owner, CREATE, json!({ "input": input })).await;
    Machine {
        id: text(&made["client"]["id"]),
        key: text(&made["client"]["key"]),
        secret: text(&made["secret"]),
        secret_id: text(&made["secretId"]),
    }
}

fn token_request(app: &TestApp, from: &reqwest::Client, form: &str) -> reqwest::RequestBuilder {
    from.post(format!("http://{}/oauth/token", app.address))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.to_owned())
}

async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.expect("it answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, body: response.json().await.expect("the answer is JSON") }
}

fn basic(machine: &Machine) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", machine.key, machine.secret)))
}

async fn ask(app: &TestApp, machine: &Machine, form: &str) -> Reply {
    reply(token_request(app, &client(), form).header("authorization", basic(machine))).await
}

const GRANT: &str = "grant_type=client_credentials";

async fn token(app: &TestApp, machine: &Machine) -> String {
    let reply = ask(app, machine, GRANT).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    text(&reply.body["access_token"])
}

/// The code of the only error.
async fn code(app: &TestApp, token: &str, query: &str) -> String {
    let answer = app.send(Some(token), query, json!({})).await;
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_comes_in_with_its_secret_and_does_what_its_scopes_say() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let machine = machine(&app, &owner, &["CATALOG_READ", "EVENT_READ"], &[]).await;
    assert!(machine.key.starts_with("mhk_") && machine.secret.starts_with("mhs_"), "{machine:?}");

    let granted = ask(&app, &machine, GRANT).await;
    assert_eq!(granted.status, 200, "{}", granted.body);
    assert_eq!((granted.header("cache-control"), granted.header("pragma")), ("no-store", "no-cache"));
    assert_eq!(granted.body["token_type"], "Bearer");
    assert_eq!(granted.body["expires_in"], 1800);
    assert_eq!(granted.body["scope"], "CATALOG_READ EVENT_READ");
    let token = text(&granted.body["access_token"]);
    let viewer = app.ok(Some(&token), KIND, json!({})).await["viewer"].take();
    assert_eq!(viewer, json!({ "kind": "CLIENT", "enterprise": { "slug": "alpha" } }));
    app.ok(Some(&token), "{ seriesList { nodes { id } } events { nodes { id } } }", json!({})).await;
    let refused = app.send(Some(&token), NEW_SERIES, json!({})).await["errors"][0].take();
    assert_eq!(refused["extensions"]["code"], "FORBIDDEN");
    let said = text(&refused["message"]);
    assert!(said.contains("CATALOG_MANAGE") && (said.contains("scope") || said.contains("权限范围")), "{said}");
    assert_eq!(code(&app, &token, "{ holders { nodes { id } } }").await, "FORBIDDEN");

    // The same as form parameters, and with fewer scopes.
    let form = format!("{GRANT}&client_id={}&client_secret={}&scope=EVENT_READ", machine.key, machine.secret);
    let narrow = reply(token_request(&app, &client(), &form)).await;
    assert_eq!((narrow.status, &narrow.body["scope"]), (200, &json!("EVENT_READ")));
    let narrow = text(&narrow.body["access_token"]);
    app.ok(Some(&narrow), "{ events { nodes { id } } }", json!({})).await;
    assert_eq!(code(&app, &narrow, "{ seriesList { nodes { id } } }").await, "FORBIDDEN");

    let seen = app.ok(Some(&owner), LOOK, json!({ "id": machine.id })).await["apiClient"].take();
    assert!(seen["lastUsedAt"].is_string() && seen["secrets"][0]["lastUsedAt"].is_string(), "{seen:#}");
    assert_eq!(seen["secrets"][0]["hint"], machine.secret[machine.secret.len() - 4..]);
    // Of the secret itself nothing is kept, and what the client did stands under its name.
    assert_eq!(app.count("SELECT count(*)::text FROM api_client_secrets WHERE secret_hash = ''"), 0);
    let clear = format!("SELECT count(*)::text FROM api_client_secrets AS s WHERE s::text LIKE '%{}%'", machine.secret);
    assert_eq!(app.count(&clear), 0);
    let granted =
        "SELECT count(*)::text FROM audit_records WHERE action = 'apiClientTokenGrant' AND actor_kind = 'CLIENT'";
    assert_eq!(app.count(granted), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_told_as_the_rfc_says() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let machine = machine(&app, &owner, &["CATALOG_READ"], &[]).await;
    let twice = format!("{GRANT}&{GRANT}");
    let both = format!("{GRANT}&client_id={}&client_secret={}", machine.key, machine.secret);
    for (form, told) in [
        ("", (400, "invalid_request")),
        ("grant_type=", (400, "invalid_request")),
        (&twice, (400, "invalid_request")),
        (&both, (400, "invalid_request")),
        ("grant_type=password", (400, "unsupported_grant_type")),
        ("grant_type=client_credentials&scope=EVERYTHING", (400, "invalid_scope")),
        ("grant_type=client_credentials&scope=CATALOG_READ+EVENT_READ", (400, "invalid_scope")),
        ("grant_type=client_credentials&scope=+", (400, "invalid_scope")),
    ] {
        let reply = ask(&app, &machine, form).await;
        assert_eq!(reply.told(), told, "{form}");
        assert_eq!(reply.header("cache-control"), "no-store", "{form}");
        assert!(reply.body["error_description"].is_string(), "{form}");
    }
    let bare = reply(token_request(&app, &client(), GRANT)).await;
    assert_eq!(bare.told(), (401, "invalid_client"));
    assert!(bare.header("www-authenticate").starts_with("Basic "), "{:?}", bare.headers);
    assert!(text(&bare.body["error_description"]).starts_with("No key and secret were sent"), "{}", bare.body);
    let json = client().post(format!("http://{}/oauth/token", app.address)).json(&json!({ "grant_type": "x" }));
    assert_eq!(reply(json).await.told(), (400, "invalid_request"));
    let large = format!("{GRANT}&padding={}", "x".repeat(10_000));
    assert_eq!(ask(&app, &machine, &large).await.told(), (400, "invalid_request"));
    let get = client().get(format!("http://{}/oauth/token", app.address)).send().await.expect("it answers");
    assert_eq!(get.status().as_u16(), 405);

    let metadata = client().get(format!("http://{}/.well-known/oauth-authorization-server", app.address));
    let metadata = reply(metadata).await.body;
    let origin = format!("http://{}", app.address);
    assert_eq!(metadata["issuer"], json!(origin));
    assert_eq!(metadata["token_endpoint"], json!(format!("{origin}/oauth/token")));
    let keys = client().get(text(&metadata["jwks_uri"])).send().await.expect("it answers");
    assert_eq!(keys.status().as_u16(), 200, "what the metadata names is there");
    let offered = metadata["scopes_supported"].as_array().expect("a list");
    assert!(offered.contains(&json!("CATALOG_READ")) && !offered.contains(&json!("CLIENT_MANAGE")), "{offered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_does_not_learn_why() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let fine = machine(&app, &owner, &["CATALOG_READ"], &[]).await;
    let disabled = machine(&app, &owner, &["CATALOG_READ"], &[]).await;
    app.done(&owner, DISABLE, json!({ "id": disabled.id })).await;
    let elsewhere = machine(&app, &owner, &["CATALOG_READ"], &["127.0.1.0/24"]).await;
    let wrong = Machine { secret: disabled.secret.clone(), ..fine.clone() };
    let unknown = Machine { key: key_of_nobody(), ..fine.clone() };
    let garbage = Machine { key: "mhk_nothing".into(), ..fine.clone() };
    let mut answers = Vec::new();
    for machine in [&wrong, &unknown, &garbage, &disabled, &elsewhere] {
        let reply = ask(&app, machine, GRANT).await;
        let header = (reply.header("www-authenticate").to_owned(), reply.header("cache-control").to_owned());
        answers.push((reply.status, reply.body, header));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!((answers[0].0, &answers[0].1["error"]), (401, &json!("invalid_client")));
    // From its own network it comes in; and with the token too from nowhere else.
    let near = client_from([127, 0, 1, 9]);
    let granted = reply(token_request(&app, &near, GRANT).header("authorization", basic(&elsewhere))).await;
    assert_eq!(granted.status, 200, "{}", granted.body);
    let token = text(&granted.body["access_token"]);
    assert_eq!(code(&app, &token, KIND).await, "UNAUTHENTICATED");
    let from_near = near.post(app.url()).bearer_auth(&token).json(&json!({ "query": KIND }));
    assert_eq!(reply(from_near).await.body["data"]["viewer"]["kind"], "CLIENT");
}

fn key_of_nobody() -> String {
    let tenant = minthouse::tenancy::model::EnterpriseId::generate();
    minthouse::tenancy::model::clients::key_of(tenant, ApiClientId::generate())
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_for_those_who_guess() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let machine = machine(&app, &owner, &["CATALOG_READ"], &[]).await;
    let wrong = Machine { secret: "mhs_guess".into(), ..machine.clone() };
    let nobody = Machine { key: key_of_nobody(), ..wrong.clone() };
    for guessed in [&wrong, &nobody] {
        let answers = join_all((0..40).map(|_| ask(&app, guessed, GRANT))).await;
        let judged = answers.iter().filter(|reply| reply.told() == (401, "invalid_client")).count();
        let slowed: Vec<&Reply> = answers.iter().filter(|reply| reply.told() == (429, "slow_down")).collect();
        // Where they take their time, one more is judged after a second, the next after two, and so on.
        assert!((20..25).contains(&judged) && judged + slowed.len() == 40, "twenty are free: {judged}");
        assert!(slowed.iter().all(|reply| reply.header("retry-after").parse::<u32>().is_ok_and(|wait| wait >= 1)));
    }
    app.sql("UPDATE throttles SET last_at = now() + interval '1 hour'");
    assert_eq!(ask(&app, &machine, GRANT).await.told(), (429, "slow_down"), "the right one waits with them");
    // Elsewhere nobody has guessed, so nobody waits.
    let request = token_request(&app, &client_from([127, 0, 0, 9]), GRANT).header("authorization", basic(&machine));
    assert_eq!(reply(request).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_is_gone_from_tokens_that_are_about() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let machine = machine(&app, &owner, &["CATALOG_READ", "CATALOG_MANAGE"], &[]).await;
    let token = token(&app, &machine).await;
    app.done(&token, NEW_SERIES, json!({})).await;
    let change = |more: Value| {
        let mut input = json!({ "id": machine.id });
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "input": input })
    };
    let narrowed = app.done(&owner, UPDATE, change(json!({ "scopes": ["CATALOG_READ", "EVENT_READ"] }))).await;
    assert_eq!(narrowed["client"]["name"], "Integrator", "what is left out stays");
    assert_eq!(code(&app, &token, NEW_SERIES).await, "FORBIDDEN", "narrowed");
    assert_eq!(code(&app, &token, "{ events { nodes { id } } }").await, "FORBIDDEN", "and not widened");
    app.ok(Some(&token), "{ seriesList { nodes { id } } }", json!({})).await;

    app.done(&owner, UPDATE, change(json!({ "allowList": ["127.0.1.0/24"] }))).await;
    assert_eq!(code(&app, &token, KIND).await, "UNAUTHENTICATED", "an allow-list");
    app.done(&owner, UPDATE, change(json!({ "allowList": [] }))).await;
    assert_eq!(code(&app, &token, KIND).await, "none");

    app.done(&owner, DISABLE, json!({ "id": machine.id })).await;
    assert_eq!(code(&app, &token, KIND).await, "UNAUTHENTICATED", "disabled");
    app.done(&owner, ENABLE, json!({ "id": machine.id })).await;
    assert_eq!(code(&app, &token, KIND).await, "none");

    app.done(&owner, REVOKE, json!({ "id": machine.id, "secret": machine.secret_id })).await;
    assert_eq!(code(&app, &token, KIND).await, "UNAUTHENTICATED", "its secret was revoked");
    assert_eq!(ask(&app, &machine, GRANT).await.told(), (401, "invalid_client"));
    let again = json!({ "id": machine.id, "secret": machine.secret_id });
    assert_eq!(app.refused(&owner, REVOKE, again).await, ["SECRET_NOT_FOUND"]);

    for (input, field) in [
        (json!({ "scopes": [] }), "scopes"),
        (json!({ "name": " " }), "name"),
        (json!({ "allowList": ["10.0.0.0/8", "10.0.0.0/33"] }), "allowList.1"),
    ] {
        let payload = app.ok(Some(&owner), UPDATE, change(input)).await["apiClientUpdate"].take();
        assert_eq!(payload["userErrors"], json!([{ "code": "INVALID_INPUT", "field": field }]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_exchanged_without_a_gap() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let old = machine(&app, &owner, &["CATALOG_READ"], &[]).await;
    let old_token = token(&app, &old).await;
    let rotate = |hours: i32| json!({ "id": old.id, "hours": hours });
    let next =
        |made: &Value| Machine { secret: text(&made["secret"]), secret_id: text(&made["secretId"]), ..old.clone() };
    for hours in [-1, 73] {
        assert_eq!(app.refused(&owner, ROTATE, rotate(hours)).await, ["INVALID_INPUT"]);
    }
    let made = app.done(&owner, ROTATE, rotate(1)).await;
    assert_eq!(made["client"]["secrets"].as_array().map(Vec::len), Some(2));
    let new = next(&made);
    let new_token = token(&app, &new).await;
    token(&app, &old).await;
    assert_eq!(app.refused(&owner, ROTATE, rotate(1)).await, ["TOO_MANY_SECRETS"], "two are live");

    // The overlap runs out; a token of before does not outlive it by more than its own life.
    app.sql("UPDATE api_client_secrets SET expires_at = now() + interval '90 seconds' WHERE expires_at IS NOT NULL");
    let last = ask(&app, &old, GRANT).await;
    assert!(last.body["expires_in"].as_i64().is_some_and(|seconds| (1..=90).contains(&seconds)), "{}", last.body);
    app.sql("UPDATE api_client_secrets SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL");
    assert_eq!(ask(&app, &old, GRANT).await.told(), (401, "invalid_client"));
    token(&app, &new).await;

    // Without an overlap everything before ends here and now.
    let newest = next(&app.done(&owner, ROTATE, rotate(0)).await);
    assert_eq!(ask(&app, &new, GRANT).await.told(), (401, "invalid_client"));
    assert_eq!(code(&app, &new_token, KIND).await, "UNAUTHENTICATED");
    assert_eq!(code(&app, &old_token, KIND).await, "none", "that secret had ended by itself");
    token(&app, &newest).await;

    // Ten at once: never more than two live.
    join_all((0..10).map(|_| app.refused(&owner, ROTATE, rotate(1)))).await;
    let live = "SELECT count(*)::text FROM api_client_secrets WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())";
    assert_eq!(app.count(live), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_ends_is_not_kept_alive_by_the_next_exchange() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let first = machine(&app, &owner, &["CATALOG_READ"], &[]).await;
    let rotate = |hours: i32| json!({ "id": first.id, "hours": hours });
    let second = app.done(&owner, ROTATE, rotate(1)).await;
    app.done(&owner, REVOKE, json!({ "id": first.id, "secret": second["secretId"] })).await;
    app.done(&owner, ROTATE, rotate(72)).await;
    let lives_on = "SELECT count(*)::text FROM api_client_secrets
                     WHERE revoked_at IS NULL AND expires_at > now() + interval '2 hours'";
    assert_eq!(app.count(lives_on), 0);
    let ends = "SELECT count(*)::text FROM api_client_secrets WHERE revoked_at IS NULL AND expires_at IS NOT NULL";
    assert_eq!(app.count(ends), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hands_a_machine_what_they_do_not_have() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    for scope in Permission::ALL.iter().filter(|scope| !scope.may_be_a_scope()) {
        let input = json!({ "input": { "name": "C", "scopes": ["CATALOG_READ", scope.name()] } });
        assert_eq!(app.refused(&owner, CREATE, input).await, ["SCOPE_NOT_ALLOWED"], "{scope:?}");
    }
    // A machine makes no machines, not even of its own kind.
    let every = Permission::ALL.iter().filter(|scope| scope.may_be_a_scope()).map(|scope| scope.name());
    let strong = machine(&app, &owner, &every.collect::<Vec<_>>(), &[]).await;
    let token = token(&app, &strong).await;
    let input = json!({ "input": { "name": "C", "scopes": ["CATALOG_READ"] } });
    let answer = app.send(Some(&token), CREATE, input).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer:#}");

    // Somebody who may make clients and little else cannot make a strong one, nor make one strong, nor get at one's secret.
    let (platform, standings) = (&app.app.platform, &app.app.standings);
    let little: Permissions = [Permission::ClientManage, Permission::CatalogRead].into_iter().collect();
    let tenant = app.enterprise("alpha").await;
    let weak = TenantScope::of_partner(tenant, uuid::Uuid::nil(), little, Arc::from("test"));
    let request =
        |scopes: &[Permission]| ClientRequest { name: "W".into(), scopes: scopes.to_vec(), allow_list: Vec::new() };
    let refused = client::create(platform, &weak, &request(&[Permission::CatalogManage])).await.err();
    assert_eq!(codes(refused), [ClientErrorCode::ScopeNotAllowed]);
    let own = client::create(platform, &weak, &request(&[Permission::CatalogRead])).await;
    let own = own.unwrap_or_else(|_| panic!("what they have they may give")).client.id;
    let change = |scopes: Option<&[Permission]>| client::ClientChange {
        name: Some("X".into()),
        scopes: scopes.map(<[Permission]>::to_vec),
        allow_list: None,
    };
    let widened = change(Some(&[Permission::CatalogRead, Permission::HolderErase]));
    let refused = client::update(platform, standings, &weak, own, &widened).await.err();
    assert_eq!(codes(refused), [ClientErrorCode::ScopeNotAllowed]);
    let strong: ApiClientId = strong.id.parse().expect("an ID");
    let refused = client::rotate(platform, standings, &weak, strong, 1).await.err();
    assert_eq!(codes(refused), [ClientErrorCode::ScopeNotAllowed]);
    assert!(client::update(platform, standings, &weak, strong, &change(None)).await.is_ok(), "its name is no power");
}

fn codes(refusal: Option<Refusal<ClientErrorCode>>) -> Vec<ClientErrorCode> {
    match refusal {
        Some(Refusal::Problems(problems)) => problems.into_iter().map(|problem| problem.code).collect(),
        Some(Refusal::Fault(fault)) => panic!("{fault:?}"),
        None => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_one_enterprise_is_nothing_in_another() {
    let app = TestApp::builder().idle().start().await;
    let (alpha, beta) = (app.owner("alpha").await, app.owner("beta").await);
    let machine = machine(&app, &alpha, &["CATALOG_READ", "ENTERPRISE_READ"], &[]).await;
    let token = token(&app, &machine).await;
    let theirs = app.collectible(&beta).await;
    let seen = app.ok(Some(&token), "query($id: ID!) { collectible(id: $id) { id } }", json!({ "id": theirs })).await;
    assert_eq!(seen["collectible"], Value::Null);
    let slugs = app.ok(Some(&token), KIND, json!({})).await;
    assert_eq!(slugs["viewer"]["enterprise"]["slug"], "alpha");
    for (query, variables) in [
        (UPDATE, json!({ "input": { "id": machine.id, "name": "stolen" } })),
        (DISABLE, json!({ "id": machine.id })),
        (ROTATE, json!({ "id": machine.id, "hours": 0 })),
        (REVOKE, json!({ "id": machine.id, "secret": machine.secret_id })),
    ] {
        assert_eq!(app.refused(&beta, query, variables).await, ["NOT_FOUND"], "{query}");
    }
    // A key that names beta and alpha's client is a key of nobody, whatever the secret.
    let id: ApiClientId = machine.id.parse().expect("an ID");
    let crossed = minthouse::tenancy::model::clients::key_of(app.enterprise("beta").await, id);
    let crossed = Machine { key: crossed, ..machine.clone() };
    assert_eq!(ask(&app, &crossed, GRANT).await.told(), (401, "invalid_client"));
    app.ok(Some(&token), KIND, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_proxy_of_ours_is_believed_about_the_address() {
    let behind = TestApp::builder().idle().behind(&["127.0.0.1/32", "10.0.0.0/8"]).start().await;
    let open = TestApp::builder().idle().start().await;
    for (app, forwarded, admitted) in [
        (&behind, "203.0.113.7", true),
        (&behind, "198.51.100.1, 203.0.113.7, 10.1.2.3", true),
        (&behind, "203.0.113.7, 198.51.100.1", false),
        (&behind, "203.0.113.7, unknown", false),
        (&behind, "", false),
        (&open, "203.0.113.7", false),
    ] {
        let owner = app.owner("alpha").await;
        let machine = machine(app, &owner, &["AUDIT_READ"], &["203.0.113.0/24"]).await;
        let request = token_request(app, &client(), GRANT).header("authorization", basic(&machine));
        let reply_to = reply(request.header("x-forwarded-for", forwarded)).await;
        assert_eq!(reply_to.status == 200, admitted, "the token endpoint, {forwarded}");

        // The same for a token, at GraphQL and at the export.
        let identity = minthouse::tenancy::token::Identity::Client {
            client: machine.id.parse().expect("an ID"),
            secret: machine.secret_id.parse().expect("an ID"),
            scope: [Permission::AuditRead].into_iter().collect(),
        };
        let token = app.mint("alpha", identity).await;
        let query = client().post(app.url()).bearer_auth(&token).header("x-forwarded-for", forwarded);
        let answer = reply(query.json(&json!({ "query": KIND }))).await;
        assert_eq!(
            answer.body["data"]["viewer"]["kind"] == "CLIENT",
            admitted,
            "GraphQL, {forwarded}: {}",
            answer.body
        );
        let export = client().get(format!("http://{}/exports/audit.ndjson", app.address)).bearer_auth(&token);
        let export = export.header("x-forwarded-for", forwarded).send().await.expect("it answers");
        assert_eq!(export.status().is_success(), admitted, "the export, {forwarded}");
    }
    // Its word on the scheme is believed as well, and nobody else's.
    for (app, scheme) in [(&behind, "https"), (&open, "http")] {
        let metadata = client().get(format!("http://{}/.well-known/oauth-authorization-server", app.address));
        let metadata = reply(metadata.header("x-forwarded-proto", "https")).await.body;
        assert_eq!(metadata["issuer"], json!(format!("{scheme}://{}", app.address)));
    }
}
