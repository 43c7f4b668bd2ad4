//! What single sign-on must hold against: answers taken to the wrong place, browser or time, forged and stolen
//! assertions, tickets in the wrong hands.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use minthouse::platform::clock::{Clock, ScriptedClock, SystemClock};
use minthouse::platform::vault::sha256;
use serde_json::{Value, json};
use url::Url;

use crate::support::app::{TestApp, client, text};
use crate::support::desk::DISABLE;
use crate::support::identity_provider::{IdentityProvider, SECRET};
use crate::support::sso::{Browser, NONCE, Signer, code_of, location, refusal, ticket_in};

struct Scene {
    app: TestApp,
    clock: ScriptedClock,
    provider: IdentityProvider,
    connection: String,
}

impl Scene {
    async fn set() -> Self {
        let clock = ScriptedClock::at(SystemClock.now());
        let app = TestApp::builder().idle().clock(clock.clone()).start().await;
        let provider = IdentityProvider::start().await;
        let connection = app.connect("alpha", &provider, json!({})).await;
        app.register_at(&provider, &[&connection]).await;
        Self { app, clock, provider, connection }
    }

    /// A browser in front of our callback, with its address.
    async fn before_callback(&self, user: &str) -> (Browser, String) {
        let mut browser = Browser::default();
        let back = browser.follow(&self.app.start_url(&self.connection, user), "/callback").await;
        (browser, back)
    }
}

/// The address with one parameter set to something else, or taken away.
fn with(address: &str, name: &str, value: Option<&str>) -> String {
    let mut address = Url::parse(address).unwrap();
    let mut pairs: Vec<(String, String)> =
        address.query_pairs().into_owned().filter(|(given, _)| given != name).collect();
    pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    address.query_pairs_mut().clear().extend_pairs(pairs);
    address.into()
}

fn parameter(address: &str, name: &str) -> String {
    let address = Url::parse(address).unwrap();
    address
        .query_pairs()
        .find(|(given, _)| given == name)
        .unwrap_or_else(|| panic!("no {name} in {address}"))
        .1
        .into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_good_once_and_in_the_browser_that_began() {
    let scene = Scene::set().await;
    let (mut browser, back) = scene.before_callback("alice").await;
    let unknown = (403, "ATTEMPT_UNKNOWN".to_owned());

    let cookieless = Browser::default().get(&back).await;
    assert_eq!(refusal(cookieless).await, unknown, "a browser without the cookie");
    let (mut other, others_back) = scene.before_callback("bob").await;
    assert_eq!(refusal(other.get(&back).await).await, unknown, "a browser with another attempt's cookie");
    let mut swapped = Browser::default();
    let name = browser.cookies.keys().find(|name| name.starts_with("minthouse-sso-")).unwrap().clone();
    let others_name = other.cookies.keys().find(|name| name.starts_with("minthouse-sso-")).unwrap().clone();
    swapped.cookies.insert(name.clone(), other.cookies[&others_name].clone());
    assert_eq!(refusal(swapped.get(&back).await).await, unknown, "the right name with another's value");
    assert_eq!(refusal(browser.get(&with(&back, "state", Some("invented"))).await).await, unknown);
    assert_eq!(refusal(browser.get(&with(&back, "state", None)).await).await, (400, "MALFORMED".to_owned()));

    // Two at once: one of them signs in.
    let mut twin = Browser::default();
    twin.cookies = browser.cookies.clone();
    let (one, two) = tokio::join!(browser.get(&back), twin.get(&back));
    let mut statuses = [one.status().as_u16(), two.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 403]);
    // Later, with the cookie still there: the attempt is over.
    browser.cookies.insert(name.clone(), swapped.cookies[&name].clone());
    assert_eq!(refusal(browser.get(&back).await).await, unknown);
    assert_eq!(scene.provider.asked().await.token, 1, "no code was tried that was not to be");
    assert_eq!(other.get(&others_back).await.status(), 303, "nobody else's attempt was harmed");

    let (mut late, back) = scene.before_callback("bob").await;
    scene.app.sql("UPDATE sso_attempts SET expires_at = now() WHERE spent_at IS NULL");
    assert_eq!(refusal(late.get(&back).await).await, unknown, "after ten minutes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_not_taken_to_another_connection_or_provider() {
    let scene = Scene::set().await;
    let app = &scene.app;
    let second = IdentityProvider::start().await;
    let other = app.connect("alpha", &second, json!({})).await;
    app.register_at(&second, &[&other]).await;
    let foreign = app.connect("beta", &scene.provider, json!({})).await;

    let (mut browser, back) = scene.before_callback("alice").await;
    for elsewhere in [&other, &foreign] {
        let moved = back.replace(&scene.connection, elsewhere);
        assert_eq!(
            refusal(browser.get(&moved).await).await,
            (403, "ATTEMPT_UNKNOWN".into()),
            "the state is the first's"
        );
    }
    let wrong = with(&back, "iss", Some(&second.issuer));
    assert_eq!(refusal(browser.get(&wrong).await).await, (502, "PROVIDER_FAILED".into()), "the issuer names another");
    let (mut browser, back) = scene.before_callback("alice").await;
    let without = with(&back, "iss", None);
    assert_eq!(
        refusal(browser.get(&without).await).await,
        (502, "PROVIDER_FAILED".into()),
        "a provider that names itself"
    );
    assert_eq!((scene.provider.asked().await.token, second.asked().await.token), (0, 0), "no code was handed on");

    // Somebody else's code in one's own attempt: PKCE binds it to the attempt that it came from.
    let (_, victims) = scene.before_callback("alice").await;
    let (mut thief, own) = scene.before_callback("bob").await;
    let injected = with(&own, "code", Some(&parameter(&victims, "code")));
    assert_eq!(refusal(thief.get(&injected).await).await, (502, "PROVIDER_FAILED".into()));
    assert_eq!(app.sql("SELECT count(*) FROM operators WHERE sso_subject IS NOT NULL"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_is_not_for_this_sign_in_signs_nobody_in() {
    let scene = Scene::set().await;
    let refused = (502, "PROVIDER_FAILED".to_owned());

    // Signed by the provider itself, with the nonce of this very sign-in, and for another client of its.
    let mut browser = Browser::default();
    let start = browser.get(&scene.app.start_url(&scene.connection, "alice")).await;
    let provider_address = location(&start).unwrap();
    let nonce = parameter(&provider_address, "nonce");
    let verifier = "v".repeat(43);
    let callback = scene.app.callback_url(&scene.connection);
    let mut theirs = Url::parse(&format!("{}/auth", scene.provider.issuer)).unwrap();
    theirs.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", "them"),
        ("redirect_uri", &callback),
        ("scope", "openid profile corp"),
        ("nonce", &nonce),
        ("state", "x"),
        ("login_hint", "alice"),
        ("code_challenge_method", "S256"),
        ("code_challenge", &URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()))),
    ]);
    let code = parameter(&Browser::default().follow(theirs.as_str(), "/callback").await, "code");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", &callback),
        ("code_verifier", &verifier),
    ];
    let secret: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let answer = client()
        .post(format!("{}/token", scene.provider.issuer))
        .header("authorization", format!("Basic {}", STANDARD.encode(format!("them:{secret}"))))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    scene.provider.control(json!({"nextIdToken": text(&answer["id_token"])})).await;
    let back = browser.follow(&provider_address, "/callback").await;
    assert_eq!(refusal(browser.get(&back).await).await, refused, "for another client");

    let (mut browser, back) = scene.before_callback("alice").await;
    scene.provider.control(json!({"nextIdToken": text(&answer["id_token"])})).await;
    assert_eq!(refusal(browser.get(&back).await).await, refused, "of another sign-in");

    let (mut browser, back) = scene.before_callback("alice").await;
    scene.provider.control(json!({"idTokenSeconds": 1})).await;
    scene.clock.advance(TimeDelta::seconds(120));
    assert_eq!(refusal(browser.get(&back).await).await, refused, "expired");
    assert_eq!(scene.app.sql("SELECT count(*) FROM sso_tickets"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_an_address_out_of_a_request() {
    let scene = Scene::set().await;
    let (app, evil) = (&scene.app, "https://evil.example");
    let start = app.start_url(&scene.connection, "alice");
    for origin in [evil, "null", "*", "https://evil.example/", "javascript:alert(1)", "", "%0d%0aset-cookie:x=1"] {
        let refused = Browser::default().get(&format!("{start}&origin={origin}")).await;
        assert_eq!(refusal(refused).await, (403, "UNKNOWN_ORIGIN".into()), "{origin}");
    }
    let more =
        "redirect_uri=https://evil.example&return_to=https://evil.example&next=//evil.example&url=https://evil.example";
    let mut browser = Browser::default();
    let leaves = location(&browser.get(&format!("{start}&{more}")).await).unwrap();
    assert!(leaves.starts_with(&scene.provider.issuer) && !leaves.contains("evil"), "{leaves}");
    assert_eq!(parameter(&leaves, "redirect_uri"), app.callback_url(&scene.connection));
    let back = browser.follow(&leaves, "/callback").await;
    let response = browser.get(&format!("{back}&{more}")).await;
    let end = location(&response).unwrap();
    assert!(end.starts_with("/sso/done#ticket=") && !end.contains("evil"), "{end}");
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((header("cache-control"), header("referrer-policy")), ("no-store".into(), "no-referrer".into()));

    // Nothing of what was asked for comes back in a page.
    let page =
        Browser::default().get(&format!("{}/sso/oidc/%3Cscript%3E/callback?state=%3Cscript%3E", app.origin())).await;
    let page = page.text().await.unwrap();
    assert!(!page.contains("<script>"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_the_browsers_own() {
    let scene = Scene::set().await;
    let mut browser = Browser::default();
    let start = browser.get(&scene.app.start_url(&scene.connection, "alice")).await;
    let set = start.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(set.contains("; HttpOnly") && set.contains("; SameSite=Lax") && set.contains("; Max-Age=600"), "{set}");
    let (_, value) = set.split(';').next().unwrap().split_once('=').unwrap();
    let state = parameter(&location(&start).unwrap(), "state");
    assert_eq!(scene.app.sql(&format!("SELECT count(*) FROM sso_attempts WHERE browser_hash = sha256('{value}') AND state_hash = sha256('{state}')")), "1");
    let back = browser.follow(&location(&start).unwrap(), "/callback").await;
    let end = browser.get(&back).await;
    let ticket = ticket_in(&format!("x{}", location(&end).unwrap()));
    let nonce = browser.nonce().unwrap();
    let left: Vec<&str> =
        browser.cookies.keys().map(String::as_str).filter(|name| name.starts_with("minthouse-sso-")).collect();
    assert_eq!(left, ["minthouse-sso-nonce"], "the attempt's cookie is gone");

    // Somebody who is sent to the last page with another's ticket has no nonce to show: no session is forced on them.
    let own = scene.app.origin();
    let forced = scene.app.spend_from(Some(&own), json!({ "ticket": ticket })).await;
    assert_eq!(code_of(&forced), "WRONG_NONCE");
    assert_eq!(code_of(&scene.app.spend(&ticket, "somebody's own nonce").await), "WRONG_NONCE");
    assert_eq!(scene.app.spend(&ticket, &nonce).await["userErrors"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_reaches_no_branch_of_another() {
    let app = TestApp::builder().idle().start().await;
    let provider = IdentityProvider::start().await;
    app.branch_of("alpha", "corp-1", "branch-1").await;
    app.branch_of("beta", "corp-2", "branch-2").await;
    let connection = app.connect("beta", &provider, json!({"branchClaim": "corp_open_id"})).await;
    app.register_at(&provider, &[&connection]).await;
    let refused = async |what: &str| {
        let mut browser = Browser::default();
        let back = browser.follow(&app.start_url(&connection, "alice"), "/callback").await;
        assert_eq!(refusal(browser.get(&back).await).await, (403, "BRANCH_NOT_FOUND".into()), "{what}");
    };
    refused("alice's claim names alpha's branch").await;
    for odd in [json!(["corp-2"]), json!(7), json!(""), json!({"id": "corp-2"})] {
        provider.control(json!({"users": {"alice": {"roles": "ADMIN", "corp_open_id": odd}}})).await;
        refused("a claim that is no name is not taken for none").await;
    }
    let signer = Signer::of(&app, "beta").await;
    let tried = async |what: &str| {
        let (status, answer) = app.vouch(&signer.sign(json!({"corpOpenId": "corp-1"}))).await;
        assert_eq!((status, &answer["error"]["code"]), (403, &json!("BRANCH_NOT_FOUND")), "{what}");
    };
    tried("a key").await;
    // Even if beta's own list named it: the branch's row says whose it is.
    let (beta, branch) = (app.enterprise("beta").await.uuid(), app.enterprise("branch-1").await.uuid());
    app.sql(&format!(
        "INSERT INTO branches (tenant_id, branch_id, corp_open_id) VALUES ('{beta}', '{branch}', 'corp-1')"
    ));
    tried("a list that lies").await;
    assert_eq!(app.sql("SELECT count(*) FROM operators WHERE sso_subject IS NOT NULL"), "0");
    // A standard enterprise has no branches at all.
    app.sql(&format!("DELETE FROM branches WHERE branch_id = '{branch}'"));
    app.ticket(&signer.sign(json!({"corpOpenId": "corp-2"}))).await;
    app.sql("UPDATE enterprises SET partner_id = NULL, corp_open_id = NULL WHERE slug = 'branch-2'");
    let (status, _) = app.vouch(&signer.sign(json!({"corpOpenId": "corp-2"}))).await;
    assert_eq!(status, 403, "a branch that has left its partner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_session() {
    let app = TestApp::builder().idle().connections(16).start().await;
    let signer = Signer::of(&app, "alpha").await;
    let ticket = app.ticket(&signer.sign(json!({}))).await;
    let answers = futures_util::future::join_all((0..50).map(|_| app.spend(&ticket, NONCE))).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer["token"].is_string());
    assert_eq!((good.len(), bad.len()), (1, 49));
    for answer in bad {
        assert_eq!(code_of(answer), "TICKET_SPENT");
    }
    assert_eq!(app.sql("SELECT count(*) FROM sessions WHERE method = 'TICKET'"), "1");
    assert_eq!(app.sql("SELECT count(*) FROM refresh_tokens"), "0");

    let ticket = app.ticket(&signer.sign(json!({}))).await;
    app.sql("UPDATE sso_tickets SET expires_at = expires_at - interval '61 seconds' WHERE spent_at IS NULL");
    assert_eq!(code_of(&app.spend(&ticket, NONCE).await), "TICKET_EXPIRED");
    let clear =
        app.sql(&format!("SELECT count(*) FROM sso_tickets WHERE encode(ticket_hash, 'escape') LIKE '%{ticket}%'"));
    assert_eq!(clear, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_use_takes_its_open_tickets_with_it() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    app.branch_of("alpha", "corp-1", "branch-1").await;
    let (page, own) = ("https://partner.example", app.origin());
    app.add_origin("alpha", page).await;
    let withdraw =
        |name: &str, id: &str| format!("mutation {{ {name}(input: {{id: \"{id}\"}}) {{ userErrors {{ code }} }} }}");

    // The page, then the key; also of who is to work in a branch.
    let signer = Signer::of(&app, "alpha").await;
    let framed = app.ticket(&signer.sign(json!({ "origin": page }))).await;
    let (here, there) =
        (app.ticket(&signer.sign(json!({}))).await, app.ticket(&signer.sign(json!({ "corpOpenId": "corp-1" }))).await);
    let remove = format!("mutation {{ ssoOriginRemove(input: {{origin: \"{page}\"}}) {{ userErrors {{ code }} }} }}");
    app.done(&owner, &remove, json!({})).await;
    let input = json!({ "ticket": framed, "nonce": NONCE, "embedder": page });
    assert_eq!(code_of(&app.spend_from(Some(&own), input).await), "TRUST_WITHDRAWN");
    let kept = app.ticket(&signer.sign(json!({}))).await;
    assert!(app.spend(&kept, NONCE).await["token"].is_string(), "what does not rest on the page is as good as it was");
    app.done(&owner, &withdraw("ssoKeyDisable", &signer.key), json!({})).await;
    for ticket in [here, there] {
        assert_eq!(code_of(&app.spend(&ticket, NONCE).await), "TRUST_WITHDRAWN");
    }

    let provider = IdentityProvider::start().await;
    let connection = app.connect("alpha", &provider, json!({})).await;
    app.register_at(&provider, &[&connection]).await;
    let (ticket, nonce) = app.sign_in_at(&connection, "alice").await;
    app.done(&owner, &withdraw("ssoConnectionDisable", &connection), json!({})).await;
    assert_eq!(code_of(&app.spend(&ticket, &nonce).await), "TRUST_WITHDRAWN");
    assert_eq!(app.sql("SELECT count(*) FROM sessions WHERE method IN ('TICKET', 'OIDC')"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_spent_where_and_by_whom_it_is_for() {
    let app = TestApp::builder().idle().start().await;
    let (page, own) = ("https://partner.example", app.origin());
    app.add_origin("alpha", page).await;
    app.add_origin("alpha", "https://second.example").await;
    let signer = Signer::of(&app, "alpha").await;
    let ticket = app.ticket(&signer.sign(json!({ "origin": page }))).await;
    let free = app.ticket(&signer.sign(json!({}))).await;
    let input = |ticket: &str, nonce: &str, embedder: Option<&str>| json!({"ticket": ticket, "nonce": nonce, "embedder": embedder});
    for (from, embedder, nonce, code) in [
        (None, Some(page), NONCE, "WRONG_ORIGIN"),
        (Some("https://evil.example"), Some(page), NONCE, "WRONG_ORIGIN"),
        (Some("https://second.example"), Some(page), NONCE, "WRONG_ORIGIN"),
        (Some("null"), Some(page), NONCE, "WRONG_ORIGIN"),
        (Some(&*own), Some("https://evil.example"), NONCE, "WRONG_ORIGIN"),
        (Some(&*own), Some("https://second.example"), NONCE, "WRONG_ORIGIN"),
        (Some(&*own), Some("https://partner.example.evil.example"), NONCE, "WRONG_ORIGIN"),
        (Some(&*own), None, NONCE, "WRONG_ORIGIN"),
        (Some(&*own), Some(page), "another nonce altogether", "WRONG_NONCE"),
        (Some(&*own), Some(page), "", "WRONG_NONCE"),
    ] {
        let answer = app.spend_from(from, input(&ticket, nonce, embedder)).await;
        assert_eq!(code_of(&answer), code, "{from:?} {embedder:?} {nonce}");
    }
    let stray = app.spend_from(Some("https://evil.example"), input(&free, NONCE, None)).await;
    assert_eq!(code_of(&stray), "WRONG_ORIGIN", "one that is bound to no page is for ours");
    for forged in
        ["", "mht_", "mht_AAAA", &ticket.replace("mht_", "mhr_"), &format!("{}A", &ticket[..ticket.len() - 1])]
    {
        assert_eq!(code_of(&app.spend_from(Some(&own), input(forged, NONCE, Some(page))).await), "INVALID_TICKET");
    }
    // None of that has used it up, and the partner's own page may spend it as well.
    assert_eq!(app.spend_from(Some(page), input(&ticket, NONCE, Some(page))).await["userErrors"], json!([]));
    assert_eq!(app.spend_from(Some(&own), input(&free, NONCE, None)).await["userErrors"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_or_stolen_assertion_gets_no_ticket() {
    let app = TestApp::builder().idle().start().await;
    app.add_origin("beta", "https://b.example").await;
    let (signer, rival) = (Signer::of(&app, "alpha").await, Signer::of(&app, "beta").await);
    let now = SystemClock.now().timestamp();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = signer.claims(json!({}));
    let body = part(&claims);
    let none = |algorithm: &str| format!("{}.{body}.", part(&json!({"alg": algorithm, "kid": signer.key})));
    let confused = |secret: &[u8]| {
        let header = Header { kid: Some(signer.key.clone()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let stranger = Signer { enterprise: signer.enterprise.clone(), key: signer.key.clone(), ..Signer::unregistered() };
    let good = signer.sign(json!({}));
    let (head, signature) = (good.split('.').next().unwrap(), good.rsplit('.').next().unwrap());
    let embedded = encode(
        &Header {
            kid: Some(signer.key.clone()),
            jku: Some("https://evil.example/jwks".into()),
            ..Header::new(Algorithm::EdDSA)
        },
        &claims,
        &EncodingKey::from_ed_der(&stranger.pkcs8),
    );
    let invalid = "INVALID_ASSERTION";
    for (what, assertion, code) in [
        ("alg none", none("none"), invalid),
        ("alg NONE", none("NONE"), invalid),
        ("a public key as a secret", confused(&URL_SAFE_NO_PAD.decode(&signer.x).unwrap()), invalid),
        ("its text as a secret", confused(signer.x.as_bytes()), invalid),
        ("an empty secret", confused(b""), invalid),
        ("another's signature", stranger.sign(json!({})), invalid),
        ("a key that the header brings along", embedded.unwrap(), invalid),
        (
            "other claims under a good signature",
            format!("{head}.{}.{signature}", part(&signer.claims(json!({"role": "boss"})))),
            invalid,
        ),
        ("another tenant's key", rival.sign_as(&rival.key, &signer.claims(json!({}))), invalid),
        ("another tenant's key ID", signer.sign_as(&rival.key, &signer.claims(json!({}))), invalid),
        ("another tenant as issuer", signer.sign(json!({"iss": rival.enterprise})), invalid),
        ("no tenant as issuer", signer.sign(json!({"iss": "alpha"})), invalid),
        ("a path for a key ID", signer.sign_as("../../../../dev/null", &signer.claims(json!({}))), invalid),
        ("SQL for a key ID", signer.sign_as("' OR '1'='1", &signer.claims(json!({}))), invalid),
        ("another kind of ID", signer.sign_as(&signer.enterprise, &signer.claims(json!({}))), invalid),
        ("no JWT", "no.jwt".into(), invalid),
        ("an empty text", String::new(), invalid),
        ("expired", signer.sign(json!({"exp": now - 60, "iat": now - 120})), "EXPIRED"),
        ("not valid yet", signer.sign(json!({"nbf": now + 120})), "NOT_YET_VALID"),
        ("of tomorrow", signer.sign(json!({"iat": now + 120})), "NOT_YET_VALID"),
        ("too far ahead", signer.sign(json!({"exp": now + 3_600})), "TOO_LONG"),
        ("for somebody else", signer.sign(json!({"aud": "minthouse-api"})), "WRONG_AUDIENCE"),
        ("for another address", signer.sign(json!({"aud": "https://evil.example"})), "WRONG_AUDIENCE"),
        ("without a nonce", signer.sign(json!({"nonce": null})), "INVALID_CLAIM"),
        ("without an ID", signer.sign(json!({"jti": null})), "INVALID_CLAIM"),
        ("without an end", signer.sign(json!({"exp": null})), "INVALID_CLAIM"),
        ("for a page that is not registered", signer.sign(json!({"origin": "https://evil.example"})), "UNKNOWN_ORIGIN"),
        ("for another tenant's page", signer.sign(json!({"origin": "https://b.example"})), "UNKNOWN_ORIGIN"),
        ("a role that is not mapped", signer.sign(json!({"role": "ADMIN"})), "NO_ROLE"),
        ("the owner's role", signer.sign(json!({"role": "OWNER"})), "NO_ROLE"),
        ("no role", signer.sign(json!({"role": null})), "NO_ROLE"),
    ] {
        let (_, answer) = app.vouch(&assertion).await;
        assert_eq!(answer["error"]["code"], code, "{what}: {answer}");
        assert!(answer["ticket"].is_null());
    }
    assert_eq!(app.sql("SELECT count(*) FROM used_assertions"), "0");

    // Each ID is good once, whatever else stands beside it; and of fifty at once one is served.
    let once = signer.sign(json!({"jti": "the only one"}));
    let answers = futures_util::future::join_all((0..20).map(|_| app.vouch(&once))).await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 1);
    assert!(
        answers
            .iter()
            .all(|(status, answer)| *status == 201 || (*status == 409 && answer["error"]["code"] == "REPLAYED"))
    );
    let (status, _) = app.vouch(&signer.sign(json!({"jti": "the only one", "sub": "user-2"}))).await;
    assert_eq!(status, 409);
    let next_key = Signer::of(&app, "alpha").await;
    let (status, _) = app.vouch(&next_key.sign(json!({"jti": "the only one"}))).await;
    assert_eq!(status, 409, "under another key of the same enterprise");
    app.ticket(&rival.sign(json!({"jti": "the only one"}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_for_a_ticket_is_told_so() {
    let app = TestApp::builder().idle().start().await;
    let address = format!("{}/sso/tickets", app.origin());
    for (kind, body, status) in [
        ("application/json", "{}".to_owned(), 400),
        ("application/json", "[]".to_owned(), 400),
        ("application/json", "{\"assertion\": 7}".to_owned(), 400),
        ("text/plain", "{\"assertion\": \"x\"}".to_owned(), 400),
        ("application/x-www-form-urlencoded", "appKey=x&uid=1".to_owned(), 401),
        ("application/x-www-form-urlencoded", String::new(), 401),
        ("application/json", "x".repeat(40_000), 413),
    ] {
        let response = client().post(&address).header("content-type", kind).body(body.clone()).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{kind} {}", &body[..body.len().min(40)]);
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
    assert_eq!(client().get(&address).send().await.unwrap().status(), 405);
}

/// The last page runs as it stands, in node on a browser's globals.
#[tokio::test(flavor = "multi_thread")]
async fn a_neighbouring_host_plants_no_nonce() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web/embedded/done.js");
    for (protocol, cookie, spent) in [
        ("https:", "__Host-minthouse-sso-nonce=mine", json!([["T", "mine"]])),
        ("https:", "minthouse-sso-nonce=planted", json!([])),
        ("https:", "x-minthouse-sso-nonce=planted; __Host-minthouse-sso-nonce=mine", json!([["T", "mine"]])),
        ("http:", "minthouse-sso-nonce=mine", json!([["T", "mine"]])),
        ("http:", "x__Host-minthouse-sso-nonce=planted", json!([])),
    ] {
        let parameters = json!({ "page": page, "protocol": protocol, "cookie": cookie });
        let told = crate::transport::clients::script("done.mjs", parameters).await;
        assert_eq!(told, [format!("ok {spent}")], "{protocol} {cookie}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_while_their_ticket_is_spent_is_out() {
    let app = TestApp::builder().idle().start().await;
    let signer = Signer::of(&app, "alpha").await;
    let entered = app.spend(&app.ticket(&signer.sign(json!({}))).await, NONCE).await;
    let ticket = app.ticket(&signer.sign(json!({}))).await;
    let owner = app.owner("alpha").await;

    let held = app.hold("sessions").await;
    let spending = app.spend(&ticket, NONCE);
    let disabling = async {
        held.until_waiting(1).await;
        let disabling = app.done(&owner, DISABLE, json!({ "id": entered["operator"]["id"] }));
        let letting_go = async {
            held.until_waiting(2).await;
            held.let_go().await;
        };
        tokio::join!(disabling, letting_go);
    };
    let (spent, ()) = tokio::join!(spending, disabling);
    for token in [&entered["token"], &spent["token"]] {
        assert!(app.is_out(token.as_str().expect("a token")).await);
    }
    let open = "SELECT count(*)::text FROM sessions WHERE revoked_at IS NULL AND method = 'TICKET'";
    assert_eq!(app.count(open), 0);
    let spent = "SELECT string_agg(DISTINCT actor_kind, ' ') FROM audit_records WHERE action = 'ssoTicketSpend'";
    assert_eq!(app.sql(spent), "OPERATOR");
    let nameless = "SELECT count(*)::text FROM audit_records
                     WHERE request_id = 'system' AND (action LIKE 'sso%' OR action LIKE 'operatorSso%')";
    assert_eq!(app.count(nameless), 0, "each says which request it was");
}
