//! Single sign-on as it should go: at a certified provider, by assertion and by signed parameters, and how it is
//! configured. What should not get through is tried in `sso_attacks.rs`.

use chrono::TimeDelta;
use minthouse::bridges::partner_signature::Profile;
use minthouse::platform::clock::{Clock, ScriptedClock, SystemClock};
use minthouse::tenancy::model::OperatorId;
use minthouse::tenancy::permission::{Permission, Permissions, Role};
use minthouse::tenancy::token::Identity;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::app::{TestApp, client, text};
use crate::support::identity_provider::{IdentityProvider, SECRET};
use crate::support::sso::{
    Browser, CONNECT, KEY, NONCE, ORIGIN_ADD, Signer, code_of, location, refusal, roles, ticket_in,
};

const VIEWER: &str = "{ viewer { kind enterprise { slug } } activities { totalCount } }";

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_at_their_provider_and_works_in_their_branch() {
    let app = TestApp::builder().idle().start().await;
    let provider = IdentityProvider::start().await;
    app.branch_of("alpha", "corp-1", "branch-1").await;
    let connection = app.connect("alpha", &provider, json!({"branchClaim": "corp_open_id"})).await;
    app.register_at(&provider, &[&connection]).await;

    let (ticket, nonce) = app.sign_in_at(&connection, "alice").await;
    let entered = app.spend(&ticket, &nonce).await;
    assert_eq!(entered["userErrors"], json!([]));
    assert_eq!(entered["enterprise"]["slug"], "branch-1");
    assert_eq!(
        (&entered["operator"]["name"], &entered["operator"]["role"], &entered["operator"]["signIn"]),
        (&json!("爱丽丝"), &json!("ADMIN"), &Value::Null)
    );
    let token = text(&entered["token"]);
    let seen = app.ok(Some(&token), VIEWER, json!({})).await;
    assert_eq!(seen["viewer"], json!({"kind": "OPERATOR", "enterprise": {"slug": "branch-1"}}));
    assert_eq!(seen["activities"]["totalCount"], 0, "the partner's own activities are not the branch's");
    let sessions = app.ok(Some(&token), "{ sessions { nodes { method isPresent } } }", json!({})).await;
    assert_eq!(sessions["sessions"]["nodes"], json!([{"method": "OIDC", "isPresent": true}]));
    let ends = entered["expiresAt"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!((ends - SystemClock.now() - TimeDelta::minutes(30)).abs() < TimeDelta::minutes(1));

    app.exchange_data_key("alpha").await;
    // Today the provider says something else of the same person.
    provider
        .control(json!({"users": {"alice": {"name": "Alice", "corp_open_id": "corp-1", "roles": "AUDITOR"}}}))
        .await;
    let (ticket, nonce) = app.sign_in_at(&connection, "alice").await;
    let again = app.spend(&ticket, &nonce).await;
    assert_eq!(again["operator"]["id"], entered["operator"]["id"]);
    assert_eq!((&again["operator"]["role"], &again["operator"]["name"]), (&json!("AUDITOR"), &json!("Alice")));
    let old = app.send(Some(&token), VIEWER, json!({})).await;
    assert_eq!(old["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "the former role's session has ended: {old}");
    app.ok(Some(&text(&again["token"])), VIEWER, json!({})).await;

    // Who was made an owner stays one, whatever the provider says: an enterprise is never without.
    let branch = app.enterprise("branch-1").await.uuid();
    app.sql(&format!("UPDATE operators SET role = 'OWNER' WHERE tenant_id = '{branch}'"));
    let (ticket, nonce) = app.sign_in_at(&connection, "alice").await;
    assert_eq!(app.spend(&ticket, &nonce).await["operator"]["role"], "OWNER");

    // Without the claim somebody works in the partner itself; with one that no branch has, nowhere.
    provider.control(json!({"users": {"bob": {"name": "Bob", "roles": "FINANCE"}}})).await;
    let (ticket, nonce) = app.sign_in_at(&connection, "bob").await;
    assert_eq!(app.spend(&ticket, &nonce).await["enterprise"]["slug"], "alpha");
    provider.control(json!({"users": {"bob": {"name": "Bob", "roles": "FINANCE", "corp_open_id": "corp-9"}}})).await;
    let mut browser = Browser::default();
    let back = browser.follow(&app.start_url(&connection, "bob"), "/callback").await;
    assert_eq!(refusal(browser.get(&back).await).await, (403, "BRANCH_NOT_FOUND".into()));
    assert_eq!(app.sql("SELECT count(*) FROM operators WHERE sso_subject = 'bob'"), "1");
    assert_eq!(
        app.sql("SELECT count(*) FROM audit_records WHERE action IN ('ssoTicketSpend', 'operatorSsoCreate')"),
        "6"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_may_exchange_its_keys_between_two_sign_ins() {
    let clock = ScriptedClock::at(SystemClock.now());
    let app = TestApp::builder().idle().clock(clock.clone()).start().await;
    let provider = IdentityProvider::start().await;
    let connection = app.connect("alpha", &provider, json!({})).await;
    app.register_at(&provider, &[&connection]).await;
    let (ticket, nonce) = app.sign_in_at(&connection, "alice").await;
    let first = app.spend(&ticket, &nonce).await;
    provider.control(json!({"rotateKeys": true})).await;
    clock.advance(TimeDelta::seconds(6));
    let (ticket, nonce) = app.sign_in_at(&connection, "alice").await;
    let second = app.spend(&ticket, &nonce).await;
    assert_eq!(second["operator"]["id"], first["operator"]["id"]);
    assert_eq!(second["userErrors"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_mapped_to_no_role_or_is_disabled_stays_out() {
    let app = TestApp::builder().idle().start().await;
    let provider = IdentityProvider::start().await;
    let connection = app.connect("alpha", &provider, json!({"roles": [{"value": "AUDITOR", "role": "AUDITOR"}]})).await;
    app.register_at(&provider, &[&connection]).await;
    let come = async |user: &str| {
        let mut browser = Browser::default();
        let back = browser.follow(&app.start_url(&connection, user), "/callback").await;
        refusal(browser.get(&back).await).await
    };
    assert_eq!(come("alice").await, (403, "NO_ROLE".into()));
    assert_eq!(come("nobody").await, (403, "DENIED".into()));
    // OWNER is a word like any other to the provider, and gives nothing.
    provider.control(json!({"users": {"alice": {"roles": ["OWNER"]}}})).await;
    assert_eq!(come("alice").await, (403, "NO_ROLE".into()));

    // A ticket that was given before somebody was disabled is not spent after.
    let (ticket, nonce) = app.sign_in_at(&connection, "bob").await;
    app.sql("UPDATE operators SET state = 'DISABLED' WHERE sso_subject = 'bob'");
    assert_eq!(code_of(&app.spend(&ticket, &nonce).await), "NOT_ADMITTED");
    assert_eq!(come("bob").await, (403, "OPERATOR_DISABLED".into()));
    app.sql("UPDATE operators SET state = 'ACTIVE' WHERE sso_subject = 'bob'");
    let (ticket, nonce) = app.sign_in_at(&connection, "bob").await;
    assert_eq!(app.spend(&ticket, &nonce).await["operator"]["name"], "Bob");

    let change = "mutation($input: SsoConnectionUpdateInput!) { ssoConnectionUpdate(input: $input) {
        connection { name defaultRole hasClientSecret version } userErrors { code field } } }";
    let owner = app.owner("alpha").await;
    let input = json!({"id": connection, "name": "Renamed", "defaultRole": "FINANCE"});
    let changed = app.done(&owner, change, json!({ "input": input })).await;
    let expected = json!({"name": "Renamed", "defaultRole": "FINANCE", "hasClientSecret": true, "version": 2});
    assert_eq!(changed["connection"], expected);
    let (ticket, nonce) = app.sign_in_at(&connection, "alice").await;
    assert_eq!(app.spend(&ticket, &nonce).await["operator"]["role"], "FINANCE");
    let input = json!({"id": connection, "defaultRole": null, "clientSecret": "another"});
    assert_eq!(app.done(&owner, change, json!({ "input": input })).await["connection"]["defaultRole"], Value::Null);
    assert_eq!(come("bob").await, (502, "PROVIDER_FAILED".into()), "the provider knows us by the former secret");

    let disable = format!(
        "mutation {{ ssoConnectionDisable(input: {{id: \"{connection}\"}}) {{ connection {{ state }} userErrors {{ code }} }} }}"
    );
    assert_eq!(app.done(&owner, &disable, json!({})).await["connection"]["state"], "DISABLED");
    let refused = Browser::default().get(&app.start_url(&connection, "bob")).await;
    assert_eq!(refusal(refused).await, (404, "NOT_FOUND".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn enterprises_that_do_not_work_let_nobody_in() {
    let app = TestApp::builder().idle().start().await;
    app.branch_of("alpha", "corp-1", "branch-1").await;
    let signer = Signer::of(&app, "alpha").await;
    let for_branch = || signer.sign(json!({"corpOpenId": "corp-1"}));
    let ticket = app.ticket(&for_branch()).await;
    let (partner, branch) = (app.enterprise("alpha").await, app.enterprise("branch-1").await);
    let set = |slug: &str, what: &str| {
        app.sql(&format!("UPDATE enterprises SET {what} WHERE slug = '{slug}'"));
        app.app.standings.forget(partner);
        app.app.standings.forget(branch);
    };
    for (stopped, works) in [
        ("disabled_at = now()", "disabled_at = NULL"),
        ("expires_at = now()", "expires_at = NULL"),
        ("state = 'SUSPENDED'", "state = 'ACTIVE'"),
        ("state = 'CLOSED'", "state = 'ACTIVE'"),
    ] {
        set("branch-1", stopped);
        let (status, answer) = app.vouch(&for_branch()).await;
        assert_eq!((status, &answer["error"]["code"]), (403, &json!("ENTERPRISE_NOT_ACTIVE")), "{stopped}");
        assert_eq!(code_of(&app.spend(&ticket, NONCE).await), "NOT_ADMITTED", "{stopped}");
        set("branch-1", works);
    }
    for state in ["SUSPENDED", "CLOSED", "PENDING"] {
        set("alpha", &format!("state = '{state}'"));
        for assertion in [for_branch(), signer.sign(json!({}))] {
            let (status, answer) = app.vouch(&assertion).await;
            assert_eq!((status, &answer["error"]["code"]), (403, &json!("ENTERPRISE_NOT_ACTIVE")), "{state}");
        }
        assert_eq!(code_of(&app.spend(&ticket, NONCE).await), "NOT_ADMITTED", "its partner is {state}");
        let page = client().get(format!("{}/embedded/alpha", app.origin())).send().await.unwrap();
        assert_eq!(page.status(), 404, "{state}");
    }
    set("alpha", "state = 'ACTIVE'");
    assert_eq!(app.spend(&ticket, NONCE).await["enterprise"]["slug"], "branch-1", "none of it has used the ticket up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partners_server_vouches_for_its_users() {
    let app = TestApp::builder().idle().start().await;
    app.branch_of("alpha", "corp-1", "branch-1").await;
    app.add_origin("alpha", "https://partner.example").await;
    let signer = Signer::of(&app, "alpha").await;
    let origin = "https://partner.example";
    let claims = json!({"corpOpenId": "corp-1", "origin": origin, "role": ["staff", "boss"]});
    let (status, answer) = app.vouch(&signer.sign(claims)).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(
        answer["url"],
        format!("{}/embedded/alpha", app.origin()),
        "the page that the partner's origins may frame"
    );
    let input = json!({"ticket": answer["ticket"], "nonce": NONCE, "embedder": origin});
    let entered = app.spend_from(Some(&app.origin()), input).await;
    assert_eq!((&entered["operator"]["role"], &entered["enterprise"]["slug"]), (&json!("ADMIN"), &json!("branch-1")));

    // Another key of the same enterprise speaks of the same people; another enterprise of others.
    let next = Signer::of(&app, "alpha").await;
    let ticket = app.ticket(&next.sign(json!({"corpOpenId": "corp-1", "aud": app.origin()}))).await;
    let again = app.spend(&ticket, NONCE).await;
    assert_eq!(again["operator"]["id"], entered["operator"]["id"]);
    assert_eq!(again["operator"]["role"], "AUDITOR");
    let ticket = app.ticket(&signer.sign(json!({}))).await;
    let in_partner = app.spend(&ticket, NONCE).await;
    assert_eq!(in_partner["enterprise"]["slug"], "alpha");
    assert_ne!(in_partner["operator"]["id"], entered["operator"]["id"]);

    let disable = format!(
        "mutation {{ ssoKeyDisable(input: {{id: \"{}\"}}) {{ key {{ state }} userErrors {{ code }} }} }}",
        signer.key
    );
    app.done(&app.owner("alpha").await, &disable, json!({})).await;
    let (status, answer) = app.vouch(&signer.sign(json!({}))).await;
    assert_eq!((status, &answer["error"]["code"]), (401, &json!("INVALID_ASSERTION")));
    app.ticket(&next.sign(json!({}))).await;
    let used = app
        .ok(Some(&app.owner("alpha").await), "{ ssoKeys { totalCount nodes { state lastUsedAt } } }", json!({}))
        .await;
    assert_eq!(used["ssoKeys"]["totalCount"], 2);
    assert!(used["ssoKeys"]["nodes"].as_array().unwrap().iter().all(|key| key["lastUsedAt"].is_string()), "{used}");
}

#[rstest]
#[case::duiba("DUIBA", Profile::Duiba, "appKey", "uid", "timestamp", 1_000)]
#[case::rrx("RRX", Profile::Rrx, "app_key", "openid", "time_stamp", 1_000)]
#[case::eqxiu("EQXIU", Profile::EqxiuRest, "appId", "openId", "timestamp", 1)]
#[tokio::test(flavor = "multi_thread")]
async fn signed_parameters_are_good_once_and_as_they_were_signed(
    #[case] profile: &str,
    #[case] rule: Profile,
    #[case] key_name: &str,
    #[case] user_name: &str,
    #[case] time_name: &str,
    #[case] unit: i64,
) {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let input = json!({"name": "server", "profile": profile, "roles": roles()});
    let made = app.done(&owner, KEY, json!({ "input": input })).await;
    let (key, secret) = (text(&made["key"]["id"]), text(&made["secret"]));
    assert_eq!(
        app.sql(&format!("SELECT count(*) FROM sso_keys WHERE encode(secret_sealed, 'escape') LIKE '%{secret}%'")),
        "0"
    );

    let sign = |seconds: i64, user: &str| {
        let time = (SystemClock.now().timestamp() + seconds) * unit;
        let list = [(key_name, key.as_str()), (user_name, user), ("nonce", NONCE), ("role", "boss"), ("name", "小红")];
        let mut all: Vec<(String, String)> = list.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        all.push((time_name.to_owned(), time.to_string()));
        let signature = rule.sign(&all, &secret).unwrap();
        all.push((rule.signature_name().to_owned(), signature));
        all
    };
    let good = sign(0, "u-1");
    let (status, answer) = app.vouch_form(&good).await;
    assert_eq!(status, 201, "{answer}");
    let entered = app.spend(&text(&answer["ticket"]), NONCE).await;
    assert_eq!((&entered["operator"]["name"], &entered["operator"]["role"]), (&json!("小红"), &json!("ADMIN")));

    app.exchange_data_key("alpha").await;
    assert_eq!(app.vouch_form(&sign(-60, "u-1")).await.0, 201, "the secret opens under the next key");

    let refused = async |parameters: &[(String, String)], status: u16, code: &str| {
        let (got, answer) = app.vouch_form(parameters).await;
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)), "{parameters:?}");
    };
    refused(&good, 409, "REPLAYED").await;
    let mut shuffled = good.clone();
    shuffled.reverse();
    refused(&shuffled, 409, "REPLAYED").await;
    let mut tampered = sign(0, "u-2");
    tampered.iter_mut().find(|(name, _)| name == user_name).unwrap().1 = "u-3".into();
    refused(&tampered, 401, "INVALID_ASSERTION").await;
    let mut doubled = sign(0, "u-4");
    doubled.push((user_name.into(), "u-5".into()));
    refused(&doubled, 401, "INVALID_ASSERTION").await;
    let mut stranger = sign(0, "u-6");
    stranger[0].1 = app
        .done(&owner, KEY, json!({"input": {"name": "other", "profile": profile, "roles": roles()}}))
        .await["key"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    refused(&stranger, 401, "INVALID_ASSERTION").await;
    let mut odd = sign(0, "u-9");
    odd.retain(|(name, _)| name != rule.signature_name());
    for (name, value, told) in [("credits", "1", "must not be there"), ("nonce", "short", "16 to 200")] {
        let mut odd = odd.clone();
        odd.retain(|(given, _)| given != name);
        odd.push((name.to_owned(), value.to_owned()));
        let signature = rule.sign(&odd, &secret).unwrap();
        odd.push((rule.signature_name().to_owned(), signature));
        let (status, answer) = app.vouch_form(&odd).await;
        assert_eq!(
            (status, &answer["error"]["code"], &answer["error"]["field"]),
            (400, &json!("INVALID_CLAIM"), &json!(name))
        );
        assert!(text(&answer["error"]["message"]).contains(told), "{answer}");
    }
    refused(&sign(-3_600, "u-7"), 401, "EXPIRED").await;
    refused(&sign(3_600, "u-8"), 401, "NOT_YET_VALID").await;
    assert_eq!(app.sql("SELECT count(*) FROM operators WHERE sso_subject IS NOT NULL"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_enterprises_page_is_framed_by_its_own_origins_alone() {
    let app = TestApp::builder().idle().start().await;
    for (slug, origin) in
        [("alpha", "https://a.example"), ("alpha", "http://localhost:4000"), ("beta", "https://b.example")]
    {
        app.add_origin(slug, origin).await;
    }
    let remove = "mutation { ssoOriginRemove(input: {origin: \"https://gone.example\"}) { origin { state } userErrors { code } } }";
    app.add_origin("beta", "https://gone.example").await;
    app.done(&app.owner("beta").await, remove, json!({})).await;
    let policy = async |slug: &str| {
        let page = client().get(format!("{}/embedded/{slug}", app.origin())).send().await.unwrap();
        let header = |name: &str| page.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"));
        assert_eq!(header("cache-control").as_deref(), Some("no-store"));
        assert_eq!((header("set-cookie"), header("x-frame-options")), (None, None));
        (page.status().as_u16(), header("content-security-policy").unwrap())
    };
    let rest = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors";
    assert_eq!(policy("alpha").await, (200, format!("{rest} http://localhost:4000 https://a.example")));
    assert_eq!(policy("beta").await, (200, format!("{rest} https://b.example")));
    assert_eq!(policy("house").await, (200, format!("{rest} 'none'")));
    assert_eq!(policy("nobody").await, (404, format!("{rest} 'none'")));
    for file in ["console.css", "console.js", "embedded.js", "done.js", "notice.js"] {
        let asset = client().get(format!("{}/sso/assets/{file}", app.origin())).send().await.unwrap();
        assert_eq!(
            (asset.status().as_u16(), &asset.headers()["x-content-type-options"]),
            (200, &"nosniff".parse().unwrap())
        );
    }
    assert_eq!(
        client().get(format!("{}/sso/assets/..%2Findex.html", app.origin())).send().await.unwrap().status(),
        404
    );
    let done = client().get(format!("{}/sso/done", app.origin())).send().await.unwrap();
    assert_eq!(done.headers()["content-security-policy"].to_str().unwrap(), format!("{rest} 'none'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_for_a_provider_that_can_be_used() {
    let app = TestApp::builder().idle().start().await;
    let provider = IdentityProvider::start().await;
    let owner = app.owner("alpha").await;
    let good = json!({
        "name": "Provider", "issuer": provider.issuer, "clientId": "us", "clientSecret": SECRET,
        "roles": [{"value": "x", "role": "AUDITOR"}],
    });
    let with = |change: Value| {
        let mut input = good.clone();
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "input": input })
    };
    for (change, code) in [
        (json!({"issuer": "http://127.0.0.1:1"}), "ISSUER_REFUSED"),
        (json!({"issuer": format!("{}/", provider.issuer)}), "ISSUER_REFUSED"),
        (json!({"issuer": "not an address"}), "ISSUER_REFUSED"),
        (json!({"issuer": "file:///etc/passwd"}), "ISSUER_REFUSED"),
        (json!({"roles": [{"value": "x", "role": "OWNER"}]}), "INVALID_INPUT"),
        (json!({"defaultRole": "OWNER"}), "INVALID_INPUT"),
        (json!({"branchClaim": "corp_open_id"}), "NOT_A_PARTNER"),
        (json!({"scopes": "openid  profile"}), "INVALID_INPUT"),
        (json!({"roleClaim": ""}), "INVALID_INPUT"),
        (json!({"clientId": "a b"}), "INVALID_INPUT"),
        (json!({"clientSecret": ""}), "INVALID_INPUT"),
        (json!({"name": " "}), "INVALID_INPUT"),
    ] {
        assert_eq!(app.refused(&owner, CONNECT, with(change.clone())).await, [code], "{change}");
    }
    assert_eq!(app.sql("SELECT count(*) FROM sso_connections"), "0");
    let made = app.done(&owner, CONNECT, with(json!({}))).await;
    let id = text(&made["connection"]["id"]);
    assert_eq!(made["connection"]["redirectUri"], app.callback_url(&id));
    assert_eq!(made["connection"]["startUrl"], format!("{}/sso/oidc/{id}/start", app.origin()));
    assert_eq!(made["connection"]["roles"], json!([{"value": "x", "role": "AUDITOR"}]));
    let kept = app.sql("SELECT coalesce(encode(client_secret_sealed, 'escape'), '') FROM sso_connections");
    assert!(!kept.is_empty() && !kept.contains(SECRET), "the secret is sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_public_and_origins_are_exact() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let signer = Signer::unregistered();
    let jwk = |more: Value| {
        let mut jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": signer.x});
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwk
    };
    for (input, code) in [
        (json!({"name": "k", "profile": "JWT", "publicJwk": jwk(json!({"d": signer.x})), "roles": []}), "PRIVATE_KEY"),
        (json!({"name": "k", "profile": "JWT", "publicJwk": {"kty": "oct", "k": "AAAA"}, "roles": []}), "PRIVATE_KEY"),
        (json!({"name": "k", "profile": "JWT", "publicJwk": {"kty": "EC"}, "roles": []}), "INVALID_INPUT"),
        (json!({"name": "k", "profile": "JWT", "roles": []}), "INVALID_INPUT"),
        (json!({"name": "k", "profile": "DUIBA", "publicJwk": jwk(json!({})), "roles": []}), "INVALID_INPUT"),
        (json!({"name": "k", "profile": "RRX", "roles": [{"value": "x", "role": "OWNER"}]}), "INVALID_INPUT"),
        (json!({"name": "", "profile": "RRX", "roles": []}), "INVALID_INPUT"),
    ] {
        assert_eq!(app.refused(&owner, KEY, json!({ "input": input })).await, [code], "{input}");
    }
    let input =
        json!({"name": "k", "profile": "JWT", "publicJwk": jwk(json!({"kid": "own", "x5c": ["…"]})), "roles": []});
    let made = app.done(&owner, KEY, json!({ "input": input })).await;
    let kept = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": signer.x});
    assert_eq!((&made["key"]["publicJwk"], &made["secret"]), (&kept, &Value::Null));
    for origin in ["https://*.example", "https://a.example/", "null", "https://a.example;x", "javascript:alert(1)"] {
        assert_eq!(app.refused(&owner, ORIGIN_ADD, json!({ "origin": origin })).await, ["INVALID_INPUT"], "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_use_stands_in_nobodys_way() {
    let app = TestApp::builder().idle().start().await;
    let provider = IdentityProvider::start().await;
    let owner = app.owner("alpha").await;
    let connections = |state: &str, count: i32| {
        app.sql(&format!(
            "INSERT INTO sso_connections (tenant_id, id, name, issuer, client_id, scopes, role_claim, roles, state)
             SELECT tenant_id, gen_random_uuid(), 'c', 'https://i.example', 'c', '', '', '{{}}', '{state}'
               FROM enterprises, generate_series(1, {count}) WHERE slug = 'alpha'"
        ));
    };
    connections("DISABLED", 20);
    connections("ACTIVE", 18);
    let first = app.connect("alpha", &provider, json!({})).await;
    app.connect("alpha", &provider, json!({})).await;
    let input = json!({"name": "p", "issuer": provider.issuer, "clientId": "us", "roles": []});
    assert_eq!(app.refused(&owner, CONNECT, json!({ "input": input })).await, ["TOO_MANY"]);
    // Taking one out of use helps, as the message says; it does not come back beside the one that took its place.
    let disable =
        "mutation($id: ID!) { ssoConnectionDisable(input: {id: $id}) { connection { state } userErrors { code } } }";
    let enable =
        "mutation($id: ID!) { ssoConnectionEnable(input: {id: $id}) { connection { state } userErrors { code } } }";
    app.done(&owner, disable, json!({ "id": first })).await;
    app.done(&owner, enable, json!({ "id": first })).await;
    app.done(&owner, disable, json!({ "id": first })).await;
    app.connect("alpha", &provider, json!({})).await;
    assert_eq!(app.refused(&owner, enable, json!({ "id": first })).await, ["TOO_MANY"]);

    let origins = |state: &str, count: i32| {
        app.sql(&format!(
            "INSERT INTO sso_origins (tenant_id, origin, state)
             SELECT tenant_id, 'https://' || '{state}' || number || '.example', '{state}'
               FROM enterprises, generate_series(1, {count}) AS number WHERE slug = 'alpha'"
        ));
    };
    origins("DISABLED", 50);
    origins("ACTIVE", 49);
    app.add_origin("alpha", "https://one.example").await;
    app.add_origin("alpha", "https://one.example").await;
    assert_eq!(app.refused(&owner, ORIGIN_ADD, json!({ "origin": "https://two.example" })).await, ["TOO_MANY"]);
    let remove = "mutation($origin: String!) { ssoOriginRemove(input: {origin: $origin}) { origin { state } userErrors { code } } }";
    app.done(&owner, remove, json!({ "origin": "https://one.example" })).await;
    app.add_origin("alpha", "https://two.example").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_people_configure_single_sign_on() {
    let app = TestApp::builder().idle().start().await;
    app.branch_of("alpha", "corp-1", "branch-1").await;
    let partner = app.enterprise("alpha").await;
    let branch = app.enterprise("branch-1").await;
    let scope: Permissions = Permission::ALL.iter().copied().collect();
    let identity = Identity::Partner { partner, actor: OperatorId::generate(), scope, disabled: 0 };
    let (token, _) = app.app.tokens.mint(branch, identity, None, TimeDelta::minutes(5)).unwrap();
    for operation in [
        "{ ssoKeys { totalCount } }",
        "mutation { ssoKeyCreate(input: {name: \"k\", profile: RRX, roles: []}) { userErrors { code } } }",
        "mutation { ssoOriginAdd(input: {origin: \"https://a.example\"}) { userErrors { code } } }",
    ] {
        let answer = app.send(Some(&token), operation, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{operation}: {answer}");
    }
    // The house's administrators look after the house's own.
    let made = app
        .done(&app.house(Role::Owner).await, KEY, json!({"input": {"name": "k", "profile": "RRX", "roles": roles()}}))
        .await;
    assert_eq!(made["key"]["state"], "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_in_a_page_gets_a_ticket_for_that_page() {
    let app = TestApp::builder().idle().start().await;
    let provider = IdentityProvider::start().await;
    let connection = app.connect("alpha", &provider, json!({})).await;
    app.register_at(&provider, &[&connection]).await;
    app.add_origin("alpha", "https://partner.example").await;
    let mut browser = Browser::default();
    let start = format!("{}&origin=https://partner.example", app.start_url(&connection, "alice"));
    let ticket = ticket_in(&browser.follow(&start, "/sso/done").await);
    let (own, nonce) = (app.origin(), browser.nonce().unwrap());
    let elsewhere = json!({"ticket": ticket, "nonce": nonce, "embedder": "https://other.example"});
    assert_eq!(code_of(&app.spend_from(Some(&own), elsewhere).await), "WRONG_ORIGIN");
    assert_eq!(code_of(&app.spend(&ticket, &nonce).await), "WRONG_ORIGIN", "nobody embeds it");
    let right = json!({"ticket": ticket, "nonce": nonce, "embedder": "https://partner.example"});
    assert_eq!(app.spend_from(Some(&own), right).await["operator"]["name"], "爱丽丝");
    assert_eq!(location(&Browser::default().get(&format!("{own}/sso/done")).await), None);
}
