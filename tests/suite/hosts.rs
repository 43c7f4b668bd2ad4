//! Whose a host is: who proves it first has it, and at a bound host there is no other enterprise.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures_util::future::join_all;
use minthouse::platform::Platform;
use minthouse::platform::clock::ScriptedClock;
use minthouse::platform::refusal::Refusal;
use minthouse::sales::model::{Domain, ProofFailure, SaleErrorCode};
use minthouse::sales::proof::DomainProof;
use minthouse::sales::{SalesServices, domain};
use minthouse::tenancy::hosts::{FRESH_FOR, Hosts};
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::scope::{PersonKey, TenantScope};
use minthouse::tenancy::token::Identity;
use serde_json::{Value, json};

use crate::support::app::{TestApp, client, text};
use crate::support::desk::password_of;

const BIND: &str = "mutation($host: String!) {
    domainCreate(input: {host: $host, filingNumber: \"备1\"}) { domain { id state } userErrors { code field } } }";
const SITE: &str = "{ site { enterprise { slug name { english } } } viewer { kind } }";

/// A proof that always succeeds: each enterprise can reach the host, or has somebody who can.
struct Proved;

#[async_trait]
impl DomainProof for Proved {
    async fn check(&self, _: &str, _: &str) -> Result<(), ProofFailure> {
        Ok(())
    }
}

async fn bind(app: &TestApp, slug: &str, host: &str) -> String {
    let owner = app.owner(slug).await;
    text(&app.done(&owner, BIND, json!({ "host": host })).await["domain"]["id"])
}

async fn prove(app: &TestApp, slug: &str, id: &str) -> Result<Domain, Vec<SaleErrorCode>> {
    let services = SalesServices::new(Arc::new(Proved));
    let scope = TenantScope::of_system(app.enterprise(slug).await);
    let id = id.parse().expect("an ID");
    match domain::verify(&app.app.platform, &services, &app.app.hosts, &scope, id).await {
        Ok(domain) => Ok(domain),
        Err(Refusal::Problems(problems)) => Err(problems.into_iter().map(|problem| problem.code).collect()),
        Err(Refusal::Fault(fault)) => panic!("{fault:?}"),
    }
}

/// The answer to a request to `host`.
async fn at(app: &TestApp, host: &str, token: Option<&str>, query: &str) -> Value {
    let mut request = client().post(app.url()).header("host", host).header("accept-language", "en");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let request = request.json(&json!({ "query": query }));
    request.send().await.expect("it answers").json().await.expect("the answer is JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_whose_proof_came_first() {
    let app = TestApp::builder().idle().start().await;
    let (alphas, betas) = (bind(&app, "alpha", "shop.example").await, bind(&app, "beta", "shop.example").await);
    let nobodys = at(&app, "shop.example", None, SITE).await;
    assert_eq!(nobodys["data"]["site"], Value::Null, "bound is not proved");
    assert_eq!(prove(&app, "beta", &betas).await.map(|domain| domain.host), Ok("shop.example".to_owned()));
    // Known at once where it was proved, however fresh the list was.
    let site = at(&app, "shop.example", None, SITE).await;
    let betas_site = json!({ "enterprise": { "slug": "beta", "name": { "english": "Enterprise beta" } } });
    assert_eq!(site["data"], json!({ "site": betas_site, "viewer": { "kind": "ANONYMOUS" } }), "{site:#}");

    assert_eq!(prove(&app, "alpha", &alphas).await.map(|domain| domain.host), Err(vec![SaleErrorCode::HostTaken]));
    let alphas = app.sql(
        "SELECT domains.state || ' ' || domains.version FROM domains JOIN enterprises USING (tenant_id)
        WHERE slug = 'alpha' AND host = 'shop.example'",
    );
    assert_eq!(alphas, "PENDING 1", "a refusal changes nothing");
    let owner = app.owner("alpha").await;
    let again = app.refused(&owner, BIND, json!({ "host": "shop.example" })).await;
    assert_eq!(again, ["HOST_TAKEN"]);
    let verify = "mutation($id: ID!) { domainVerify(input: {id: $id}) { domain { id } userErrors { code } } }";
    let beta = app.owner("beta").await;
    assert_eq!(app.refused(&beta, verify, json!({ "id": betas })).await, ["ALREADY_ACTIVE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_proofs_at_once_one_counts() {
    let app = TestApp::builder().idle().start().await;
    for round in 0..5 {
        let host = format!("race{round}.example");
        let (alphas, betas) = (bind(&app, "alpha", &host).await, bind(&app, "beta", &host).await);
        let outcomes = join_all([prove(&app, "alpha", &alphas), prove(&app, "beta", &betas)]).await;
        let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused, [vec![SaleErrorCode::HostTaken]]);
        let active = format!("SELECT count(*)::text FROM domains WHERE host = '{host}' AND state = 'ACTIVE'");
        assert_eq!(app.count(&active), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_bound_host_there_is_no_other_enterprise() {
    let app = TestApp::builder().idle().start().await;
    let id = bind(&app, "alpha", "xn--fiqs8s.example").await;
    prove(&app, "alpha", &id).await.expect("nobody else has it");
    let (alpha, beta, house) = (app.owner("alpha").await, app.owner("beta").await, app.house(Role::Owner).await);
    let (own, foreign) = (app.person("alpha", 1).await.token, app.person("beta", 1).await.token);
    let person = app.app.tokens.mint(
        minthouse::tenancy::model::EnterpriseId::from_uuid(uuid::Uuid::nil()),
        Identity::Person { person: PersonKey([7; 32]) },
        None,
        TimeDelta::minutes(5),
    );
    let person = person.expect("the key signs").0;
    for host in ["xn--fiqs8s.example", "XN--Fiqs8s.example:8443", "xn--fiqs8s.example.", "xn--fiqs8s.example.:80"] {
        for (who, token, kind) in [("its operator", &alpha, "OPERATOR"), ("its holder", &own, "HOLDER")] {
            let answer = at(&app, host, Some(token), SITE).await;
            assert_eq!(answer["data"]["viewer"]["kind"], kind, "{who} at {host}: {answer:#}");
            assert_eq!(answer["data"]["site"]["enterprise"]["slug"], "alpha", "{host}");
        }
        for (who, token) in [("beta", &beta), ("beta's holder", &foreign), ("the house", &house), ("a person", &person)]
        {
            let answer = at(&app, host, Some(token), SITE).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{who} at {host}: {answer:#}");
            let message = text(&answer["errors"][0]["message"]);
            assert!(message.contains("host"), "it says what is wrong: {message}");
        }
    }
    // Elsewhere everybody is welcome, and no host stands for anybody.
    let near = ["example", "fiqs8s.example", "a.xn--fiqs8s.example", "127.0.0.1", "[::1]:80", "localhost"];
    for host in near {
        for token in [&alpha, &beta, &house, &person] {
            let answer = at(&app, host, Some(token), SITE).await;
            assert!(answer["errors"].is_null() && answer["data"]["site"].is_null(), "{host}: {answer:#}");
        }
    }
    // Nobody is given a token there that the host would refuse.
    for (name, codes) in [("owner@alpha.example", json!([])), ("owner@beta.example", json!(["WRONG_CREDENTIALS"]))] {
        let password = password_of(name);
        let sign_in = format!(
            "mutation {{ operatorSignIn(input: {{signIn: \"{name}\", password: \"{password}\"}}) {{
                token userErrors {{ code }} }} }}"
        );
        let answer = at(&app, "xn--fiqs8s.example", None, &sign_in).await;
        let told = answer["data"]["operatorSignIn"]["userErrors"].as_array().expect("a list");
        assert_eq!(json!(told.iter().map(|error| &error["code"]).collect::<Vec<_>>()), codes, "{answer:#}");
        let refresh_token = app.seat(name).await.refresh_token;
        let refresh =
            format!("mutation {{ sessionRefresh(input: {{refreshToken: \"{refresh_token}\"}}) {{ token }} }}");
        let answer = at(&app, "xn--fiqs8s.example", None, &refresh).await;
        assert_eq!(answer["data"]["sessionRefresh"]["token"].is_string(), codes == json!([]), "{answer:#}");
    }
    // The export and the token endpoint hold the same wall.
    let export =
        client().get(format!("http://{}/exports/audit.ndjson", app.address)).header("host", "xn--fiqs8s.example");
    assert_eq!(export.bearer_auth(&beta).send().await.expect("it answers").status().as_u16(), 401);
    let made = "mutation { apiClientCreate(input: {name: \"C\", scopes: [EVENT_READ]}) { client { key } secret userErrors { code } } }";
    for (owner, status) in [(&alpha, 200), (&beta, 401)] {
        let made = app.done(owner, made, json!({})).await;
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            text(&made["client"]["key"]),
            text(&made["secret"])
        );
        let request = client().post(format!("http://{}/oauth/token", app.address)).header("host", "xn--fiqs8s.example");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        assert_eq!(request.send().await.expect("it answers").status().as_u16(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_hosts_cost_nothing_and_another_servers_proof_is_learned_in_time() {
    let app = TestApp::builder().idle().start().await;
    let own = &app.app.platform;
    let clock = ScriptedClock::at("2026-06-01T00:00:00Z".parse().expect("a time"));
    let platform = Arc::new(Platform {
        database: own.database.clone(),
        clock: Arc::new(clock.clone()),
        randomness: own.randomness.clone(),
        master_key: own.master_key.clone(),
        objects: own.objects.clone(),
    });
    let other = Hosts::new(platform);
    let id = bind(&app, "alpha", "late.example").await;
    assert_eq!(other.site(Some("late.example")).await.expect("it answers"), None);
    prove(&app, "alpha", &id).await.expect("nobody else has it");

    let before = own.database.statements();
    for number in 0..1000 {
        assert_eq!(other.site(Some(&format!("made-up-{number}.example"))).await.expect("it answers"), None);
    }
    assert_eq!(own.database.statements(), before, "nobody asked the database");
    assert_eq!(other.site(Some("late.example")).await.expect("it answers"), None, "not yet known there");
    clock.advance(FRESH_FOR);
    let alpha = app.enterprise("alpha").await;
    let before = own.database.statements();
    let sites = join_all((0..50).map(|_| other.site(Some("late.example")))).await;
    assert!(sites.into_iter().all(|site| site.expect("it answers") == Some(alpha)));
    assert_eq!(own.database.statements() - before, 1, "one look for all who ask at once");
}
