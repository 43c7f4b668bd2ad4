//! Partners and their branches: who reaches what, and what is left when somebody is stopped.

use chrono::TimeDelta;
use futures_util::future::join_all;
use minthouse::platform::clock::{Clock, SystemClock};
use minthouse::platform::id;
use minthouse::tenancy::model::{ApiClientId, ApiClientSecretId, OperatorId};
use minthouse::tenancy::permission::{Permission, Role};
use minthouse::tenancy::token::Identity;
use serde_json::{Value, json};

use crate::support::app::{TestApp, text};
use crate::support::play::phone;
use crate::support::tenants::*;

const BRANCH: &str = "query($corp: String!) { branch(corpOpenId: $corp) { state enterprise { id } } }";
const DISABLE: &str = "mutation($corp: String!) { branchDisable(input: {corpOpenId: $corp}) {
    branch { state disabledAt } userErrors { code field } } }";
const ENABLE: &str = "mutation($corp: String!) { branchEnable(input: {corpOpenId: $corp}) {
    branch { state disabledAt } userErrors { code field } } }";
const EXPIRE: &str =
    "mutation($corp: String!, $at: DateTime) { branchExpire(input: {corpOpenId: $corp, expiresAt: $at}) {
    branch { state expiresAt } userErrors { code field } } }";
const SERIES: &str = "mutation { seriesCreate(input: {name: {chinese: \"系\", english: \"S\"},
    description: {chinese: \"\", english: \"\"}}) { series { id } userErrors { code } } }";
const VIEWER: &str = "{ viewer { kind enterprise { id } } }";
const PAST: &str = "2020-01-01T00:00:00Z";

fn corp(name: &str) -> Value {
    json!({ "corp": name })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_branch_is_made_once_and_another_under_its_name_never() {
    let app = TestApp::builder().idle().start().await;
    let (_, one) = app.partner("one").await;
    let (_, two) = app.partner("two").await;
    let full = json!({ "input": { "corpOpenId": "corp-1", "slug": "first-branch", "expiresAt": "2099-01-01T00:00:00Z",
        "name": { "chinese": "分支", "english": "Branch" },
        "owner": { "signIn": "owner@branch.example", "name": "Owner", "password": PASSWORD } } });
    let made = app.done(&one, BRANCH_CREATE, full.clone()).await;
    assert_eq!(made["replayed"], false);
    assert_eq!(made["branch"]["state"], "ACTIVE");
    assert_eq!(made["branch"]["enterprise"]["kind"], "STANDARD");
    assert_eq!(made["branch"]["enterprise"]["slug"], "first-branch");
    let again = app.done(&one, BRANCH_CREATE, full.clone()).await;
    assert_eq!((&again["replayed"], &again["branch"]), (&json!(true), &made["branch"]));
    for (field, other) in [
        ("slug", json!("other-branch")),
        ("expiresAt", Value::Null),
        ("name", json!({ "chinese": "别的", "english": "Branch" })),
        ("owner", Value::Null),
    ] {
        let mut changed = full.clone();
        changed["input"][field] = other;
        assert_eq!(app.refused(&one, BRANCH_CREATE, changed).await, ["ALREADY_CREATED"], "{field}");
    }
    // What happens to it later does not make it another.
    app.done(&one, DISABLE, corp("corp-1")).await;
    let again = app.done(&one, BRANCH_CREATE, full.clone()).await;
    assert_eq!(again["branch"]["state"], "DISABLED");
    app.done(&one, ENABLE, corp("corp-1")).await;

    // Two partners may call theirs the same; nobody may take another's slug or sign-in name.
    assert_eq!(app.refused(&two, BRANCH_CREATE, full.clone()).await, ["SLUG_TAKEN"]);
    let mut free = full.clone();
    free["input"]["slug"] = json!("free-slug");
    assert_eq!(app.refused(&two, BRANCH_CREATE, free.clone()).await, ["SIGN_IN_TAKEN"]);
    let listed = app.ok(Some(&two), "{ branches { totalCount nodes { corpOpenId } } }", json!({})).await;
    assert_eq!(listed["branches"], json!({ "totalCount": 0, "nodes": [] }), "what was refused is no branch");
    assert_eq!(app.ok(Some(&two), BRANCH, corp("corp-1")).await["branch"], Value::Null);
    free["input"]["owner"] = Value::Null;
    let theirs = app.done(&two, BRANCH_CREATE, free).await;
    assert_ne!(theirs["branch"]["enterprise"]["id"], made["branch"]["enterprise"]["id"]);

    for (field, wrong) in [
        ("corpOpenId", json!("")),
        ("corpOpenId", json!("with space")),
        ("corpOpenId", json!("x".repeat(129))),
        ("slug", json!("Upper")),
        ("name", json!({ "chinese": "", "english": "B" })),
        ("owner", json!({ "signIn": "o@b.example", "name": "O", "password": "short" })),
    ] {
        let mut changed = branch_of("corp-2");
        changed["input"][field] = wrong.clone();
        assert_eq!(app.refused(&one, BRANCH_CREATE, changed).await, ["INVALID_INPUT"], "{field} {wrong}");
    }
    // Its owner signs in there and works at once.
    let owner = app.signed_in("owner@branch.example").await;
    app.done(&owner, SERIES, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_who_make_one_branch_at_once_make_one() {
    let app = TestApp::builder().idle().start().await;
    let (id, partner) = app.partner("one").await;
    let before = app.count("SELECT count(*)::text FROM enterprises");
    let made = join_all((0..200).map(|_| app.done(&partner, BRANCH_CREATE, branch_of("hot")))).await;
    let first = &made[0]["branch"]["enterprise"]["id"];
    assert!(made.iter().all(|made| made["branch"]["enterprise"]["id"] == *first), "all are told of the same");
    assert_eq!(made.iter().filter(|made| made["replayed"] == false).count(), 1, "one of them made it");
    assert_eq!(app.count("SELECT count(*)::text FROM enterprises"), before + 1);
    let tenant = id::parse(&id).expect("an ID").1;
    assert_eq!(app.count(&format!("SELECT count(*)::text FROM branches WHERE tenant_id = '{tenant}'")), 1);

    // With inputs that differ one wins, and the others are told so.
    let race = join_all((0..40).map(|number| {
        let mut input = branch_of("contested");
        input["input"]["name"]["english"] = json!(format!("Branch {}", number % 2));
        app.ok(Some(&partner), BRANCH_CREATE, input)
    }))
    .await;
    let refused = race.iter().filter(|answer| answer["branchCreate"]["userErrors"][0]["code"] == "ALREADY_CREATED");
    assert_eq!(refused.count(), 20, "{race:?}");
    assert_eq!(app.count("SELECT count(*)::text FROM enterprises"), before + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_interrupted_goes_on_with_the_id_that_was_kept() {
    let app = TestApp::builder().idle().start().await;
    let (id, partner) = app.partner("one").await;
    let kept = id::generate();
    let tenant = id::parse(&id).expect("an ID").1;
    app.sql(&format!(
        "INSERT INTO branches (tenant_id, branch_id, corp_open_id) VALUES ('{tenant}', '{kept}', 'half') RETURNING 'kept'::text"
    ));
    assert_eq!(app.ok(Some(&partner), BRANCH, corp("half")).await["branch"], Value::Null);
    for step in [DISABLE, ENABLE, EXPIRE, BRANCH_TOKEN] {
        assert_eq!(app.refused(&partner, step, corp("half")).await, ["NOT_FOUND"], "{step}");
    }
    assert_eq!(app.branch(&partner, "half").await, id::format("enterprise", kept));
    assert_eq!(app.ok(Some(&partner), BRANCH, corp("half")).await["branch"]["state"], "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_branches_costs_the_same_however_many_there_are() {
    let app = TestApp::builder().idle().start().await;
    let (_, partner) = app.partner("one").await;
    let (_, other) = app.partner("two").await;
    app.branch(&other, "b-0").await;
    let page = "{ branches(first: 50) { nodes { corpOpenId state expiresAt
        totals { holders items paidOrders paidAmounts { currency amountMinor } runningActivities issuedCollectibles } } } }";
    let cost = async || {
        let before = app.app.platform.database.statements();
        let seen = app.ok(Some(&partner), page, json!({})).await["branches"]["nodes"].take();
        (app.app.platform.database.statements() - before, seen)
    };
    app.branch(&partner, "b-0").await;
    let (for_one, seen) = cost().await;
    assert_eq!(seen.as_array().expect("a list").len(), 1);
    join_all((1..50).map(|number| {
        let (app, partner) = (&app, &partner);
        async move { app.branch(partner, &format!("b-{number}")).await }
    }))
    .await;
    // Something to count in two of them.
    for (name, people) in [("b-3", 2), ("b-7", 3)] {
        let within = app.within(&partner, name).await;
        let sign_on = "mutation($phone: String!) { holderSignOn(input: {phone: $phone}) { userErrors { code } } }";
        for number in 0..people {
            app.done(&within, sign_on, json!({ "phone": phone(number) })).await;
        }
    }
    app.sql(
        "WITH branch AS (SELECT tenant_id FROM enterprises WHERE corp_open_id = 'b-3'),
          holder AS (SELECT h.tenant_id, h.id FROM holders AS h JOIN branch USING (tenant_id) ORDER BY id LIMIT 1),
          merchant AS (INSERT INTO merchants (tenant_id, id, name, channel, merchant_number, state)
            SELECT tenant_id, gen_random_uuid(), 'M', 'SANDBOX', '1', 'ACTIVE' FROM branch RETURNING tenant_id, id),
          activity AS (INSERT INTO activities (tenant_id, id, kind, name_chinese, name_english, rules_chinese, rules_english,
                opens_at, closes_at, state)
            SELECT tenant_id, gen_random_uuid(), 'SALE', '售', 'S', '', '', now() - interval '1 day', now() + ends.at, ends.state
              FROM branch, (VALUES (interval '1 day', 'PUBLISHED'), (interval '-1 hour', 'PUBLISHED'), (interval '1 day', 'DRAFT')) AS ends (at, state)
            RETURNING tenant_id, id, state),
          placed AS (INSERT INTO orders (tenant_id, id, number, activity_id, merchant_id, holder_id, state, total_minor, currency, undelivered, expires_at)
            SELECT tenant_id, gen_random_uuid(), sums.number, (SELECT id FROM activity LIMIT 1), merchant.id, holder.id, sums.state,
                sums.minor, 'CNY', 0, now()
              FROM holder JOIN merchant USING (tenant_id),
                (VALUES ('1', 'COMPLETED', 1500), ('2', 'PAID', 250), ('3', 'EXPIRED', 9999)) AS sums (number, state, minor)
            RETURNING 1)
         SELECT count(*)::text FROM placed",
    );
    let (for_fifty, seen) = cost().await;
    assert_eq!(for_fifty, for_one, "statements");
    let seen = seen.as_array().expect("a list").clone();
    assert_eq!(seen.len(), 50);
    let of =
        |name: &str| seen.iter().find(|branch| branch["corpOpenId"] == name).expect("it is listed")["totals"].clone();
    let nothing = json!({ "holders": 0, "items": 0, "paidOrders": 0, "paidAmounts": [], "runningActivities": 0,
        "issuedCollectibles": 0 });
    assert_eq!(of("b-0"), nothing, "the other partner's branch of that name has no part in it");
    assert_eq!(of("b-7")["holders"], 3);
    let busy = json!({ "holders": 2, "items": 0, "paidOrders": 2,
        "paidAmounts": [{ "currency": "CNY", "amountMinor": 1750 }], "runningActivities": 1, "issuedCollectibles": 0 });
    assert_eq!(of("b-3"), busy);

    // A single one and the sum of all tell the same.
    let one = "{ branch(corpOpenId: \"b-3\") { totals { holders items paidOrders paidAmounts { currency amountMinor }
        runningActivities issuedCollectibles } } }";
    assert_eq!(app.ok(Some(&partner), one, json!({})).await["branch"]["totals"], busy);
    app.done(&partner, DISABLE, corp("b-7")).await;
    let all = "{ branchSummary { states { state count } totals { holders paidOrders paidAmounts { amountMinor } } } }";
    let all = app.ok(Some(&partner), all, json!({})).await["branchSummary"].take();
    assert_eq!(all["totals"], json!({ "holders": 5, "paidOrders": 2, "paidAmounts": [{ "amountMinor": 1750 }] }));
    let count = |state: &str| {
        let states = all["states"].as_array().expect("a list");
        states.iter().find(|found| found["state"] == state).expect("each state is told")["count"].clone()
    };
    assert_eq!((count("ACTIVE"), count("DISABLED"), count("CLOSED")), (json!(49), json!(1), json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_under_a_filter_have_no_seams() {
    let app = TestApp::builder().idle().start().await;
    let (_, partner) = app.partner("one").await;
    for number in 0..9 {
        app.branch(&partner, &format!("b-{number}")).await;
    }
    for number in [1, 4, 5, 8] {
        app.done(&partner, DISABLE, corp(&format!("b-{number}"))).await;
    }
    app.done(&partner, EXPIRE, json!({ "corp": "b-2", "at": PAST })).await;
    let query = "query($state: BranchState, $after: String, $order: CreatedOrder!) {
        branches(filter: {state: $state}, first: 2, after: $after, orderBy: $order) {
            totalCount pageInfo { hasNextPage endCursor } nodes { corpOpenId state } } }";
    for (state, wanted) in [
        (json!("DISABLED"), vec![1, 4, 5, 8]),
        (json!("EXPIRED"), vec![2]),
        (json!("ACTIVE"), vec![0, 3, 6, 7]),
        (json!("CLOSED"), vec![]),
        (Value::Null, (0..9).collect()),
    ] {
        for order in ["CREATED_AT_ASC", "CREATED_AT_DESC"] {
            let (mut found, mut after) = (Vec::new(), Value::Null);
            loop {
                let seen =
                    app.ok(Some(&partner), query, json!({ "state": state, "after": after, "order": order })).await;
                let seen = &seen["branches"];
                assert_eq!(seen["totalCount"], wanted.len());
                for node in seen["nodes"].as_array().expect("a list") {
                    found.push(text(&node["corpOpenId"]));
                    assert!(state.is_null() || node["state"] == state, "{node}");
                }
                if seen["pageInfo"]["hasNextPage"] == false {
                    break;
                }
                after = seen["pageInfo"]["endCursor"].clone();
            }
            let mut wanted: Vec<String> = wanted.iter().map(|number| format!("b-{number}")).collect();
            if order == "CREATED_AT_DESC" {
                wanted.reverse();
            }
            assert_eq!(found, wanted, "{state} {order}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_reaches_its_own_branches_and_nobody_elses() {
    let app = TestApp::builder().idle().start().await;
    let (one_id, one) = app.partner("one").await;
    let (two_id, two) = app.partner("two").await;
    let (mine, sibling) = (app.branch(&one, "mine").await, app.branch(&one, "sibling").await);
    let theirs = app.branch(&two, "theirs").await;
    let by_id = "query($id: ID!) { enterprise(id: $id) { id } node(id: $id) { id __typename } }";
    let reaches = async |token: &str, id: &str| {
        let seen = app.ok(Some(token), by_id, json!({ "id": id })).await;
        assert_eq!(seen["enterprise"].is_null(), seen["node"].is_null(), "{seen}");
        !seen["enterprise"].is_null()
    };
    assert!(reaches(&one, &mine).await && reaches(&one, &sibling).await && reaches(&one, &one_id).await);
    for stranger in [&theirs, &two_id, &app.enterprise("alpha").await.to_string()] {
        assert!(!reaches(&one, stranger).await, "{stranger}");
    }
    assert_eq!(app.ok(Some(&one), BRANCH, corp("theirs")).await["branch"], Value::Null);
    for step in [DISABLE, ENABLE, EXPIRE, BRANCH_TOKEN] {
        for name in ["theirs", &theirs, "nothing", &mine] {
            assert_eq!(app.refused(&one, step, corp(name)).await, ["NOT_FOUND"], "{name} {step}");
        }
    }
    let listed = app.ok(Some(&one), "{ branches { nodes { corpOpenId } } }", json!({})).await;
    assert!(!listed.to_string().contains("theirs"), "{listed}");

    // Within a branch one is in the branch: neither the partner nor its other branches are to be seen from there.
    let within = app.within(&one, "mine").await;
    let viewer = app.ok(Some(&within), VIEWER, json!({})).await["viewer"].take();
    assert_eq!(viewer, json!({ "kind": "PARTNER", "enterprise": { "id": mine } }));
    assert!(reaches(&within, &mine).await);
    for outside in [&one_id, &sibling, &theirs] {
        assert!(!reaches(&within, outside).await, "{outside}");
    }
    assert_eq!(app.fault(&within, BRANCH, corp("sibling")).await, "FORBIDDEN");
    for step in [DISABLE, ENABLE, BRANCH_TOKEN] {
        assert_eq!(app.fault(&within, step, corp("sibling")).await, "FORBIDDEN", "{step}");
    }
    // The branch's own owner has every permission there is, and no branches.
    let slug = app.sql("SELECT slug FROM enterprises WHERE corp_open_id = 'mine'");
    let owner = app.owner(&slug).await;
    for outside in [&one_id, &sibling, &theirs] {
        assert!(!reaches(&owner, outside).await, "{outside}");
    }
    assert_eq!(app.refused(&owner, DISABLE, corp("sibling")).await, ["NOT_FOUND"]);
    assert_eq!(app.refused(&owner, BRANCH_TOKEN, corp("sibling")).await, ["NOT_FOUND"]);

    // A token that names a partner whose branch it is not.
    let forged = |partner, branch: &str| {
        let identity = Identity::Partner {
            partner,
            actor: OperatorId::generate(),
            scope: [Permission::CatalogRead].into_iter().collect(),
            disabled: 0,
        };
        let branch = branch.parse().expect("an ID");
        app.app.tokens.mint(branch, identity, None, TimeDelta::minutes(5)).expect("the key signs").0
    };
    let (one_id, two_id) = (one_id.parse().expect("an ID"), two_id.parse().expect("an ID"));
    app.ok(Some(&forged(one_id, &mine)), "{ seriesList { totalCount } }", json!({})).await;
    for wrong in [forged(two_id, &mine), forged(one_id, &theirs), forged(one_id, &one_id.to_string())] {
        assert_eq!(app.fault(&wrong, VIEWER, json!({})).await, "UNAUTHENTICATED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_cannot_be_a_partner_and_a_standard_enterprise_has_no_branches() {
    let app = TestApp::builder().idle().start().await;
    let (_, partner) = app.partner("one").await;
    app.branch(&partner, "mine").await;
    let slug = app.sql("SELECT slug FROM enterprises WHERE corp_open_id = 'mine'");
    for token in [app.owner(&slug).await, app.owner("alpha").await] {
        assert_eq!(app.refused(&token, BRANCH_CREATE, branch_of("below")).await, ["NOT_A_PARTNER"]);
    }
    assert_eq!(app.count("SELECT count(*)::text FROM branches"), 1);
    // And no statement, whoever wrote it, could make it one.
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        app.sql("UPDATE enterprises SET kind = 'PLATFORM' WHERE corp_open_id = 'mine' RETURNING slug")
    }));
    assert!(refused.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_is_stopped_at_once_and_each_word_is_its_speakers() {
    let app = TestApp::builder().idle().start().await;
    let (partner_id, partner) = app.partner("one").await;
    let house = app.house(Role::Owner).await;
    let id = app.branch(&partner, "mine").await;
    let slug = app.sql("SELECT slug FROM enterprises WHERE corp_open_id = 'mine'");
    let (owner, first) = (app.owner(&slug).await, app.within(&partner, "mine").await);
    let works = async |within: &str| {
        let inside = app.send(Some(within), SERIES, json!({})).await;
        let own = app.send(Some(&owner), SERIES, json!({})).await;
        let codes = (&inside["errors"][0]["extensions"]["code"], &own["errors"][0]["extensions"]["code"]);
        match codes {
            (Value::Null, Value::Null) => true,
            _ => {
                assert_eq!(codes, (&json!("UNAUTHENTICATED"), &json!("ENTERPRISE_NOT_ACTIVE")));
                false
            }
        }
    };
    let this = json!({ "id": id, "reason": "Complaints" });
    assert!(works(&first).await);

    // The partner's word.
    let stopped = app.done(&partner, DISABLE, corp("mine")).await;
    assert_eq!(stopped["branch"]["state"], "DISABLED");
    assert!(!works(&first).await);
    assert_eq!(app.refused(&partner, BRANCH_TOKEN, corp("mine")).await, ["NOT_ACTIVE"]);
    let again = app.done(&partner, DISABLE, corp("mine")).await;
    assert_eq!(again["branch"]["disabledAt"], stopped["branch"]["disabledAt"], "said twice is said once");
    // The house cannot take it back.
    app.done(&house, SUSPEND, this.clone()).await;
    app.done(&house, RESUME, this.clone()).await;
    assert!(!works(&first).await);
    app.done(&partner, ENABLE, corp("mine")).await;
    assert_eq!(app.fault(&first, VIEWER, json!({})).await, "UNAUTHENTICATED", "the first word ended it for good");
    let within = app.within(&partner, "mine").await;
    assert!(works(&within).await);

    // The calendar's.
    let soon = (chrono::DateTime::UNIX_EPOCH + TimeDelta::days(50 * 365)).to_rfc3339();
    let expired = app.done(&partner, EXPIRE, json!({ "corp": "mine", "at": PAST })).await;
    assert_eq!(expired["branch"]["state"], "EXPIRED");
    assert!(!works(&within).await);
    app.done(&partner, EXPIRE, json!({ "corp": "mine", "at": soon })).await;
    assert!(!works(&within).await, "2020 is over");
    app.done(&partner, EXPIRE, json!({ "corp": "mine", "at": null })).await;
    assert!(works(&within).await);

    // The house's, which the partner cannot take back.
    app.done(&house, SUSPEND, this.clone()).await;
    assert!(!works(&within).await);
    let enabled = app.done(&partner, ENABLE, corp("mine")).await;
    assert_eq!(enabled["branch"]["state"], "SUSPENDED");
    assert!(!works(&within).await);
    app.done(&house, RESUME, this.clone()).await;
    assert!(works(&within).await);

    // With the partner goes the branch.
    let above = json!({ "id": partner_id, "reason": "Complaints" });
    app.done(&house, SUSPEND, above.clone()).await;
    assert!(!works(&within).await);
    assert_eq!(app.fault(&partner, BRANCH_CREATE, branch_of("more")).await, "ENTERPRISE_NOT_ACTIVE");
    assert_eq!(app.fault(&partner, BRANCH_TOKEN, corp("mine")).await, "ENTERPRISE_NOT_ACTIVE");
    app.done(&house, RESUME, above).await;
    assert!(works(&within).await);

    app.done(&house, SUSPEND, this.clone()).await;
    app.done(&house, CLOSE, this).await;
    assert_eq!(app.fault(&owner, VIEWER, json!({})).await, "UNAUTHENTICATED");
    for step in [DISABLE, ENABLE, EXPIRE] {
        assert_eq!(app.refused(&partner, step, corp("mine")).await, ["CLOSED"], "{step}");
    }
    assert_eq!(app.ok(Some(&partner), BRANCH, corp("mine")).await["branch"]["state"], "CLOSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_token_ends_with_what_it_was_made_under() {
    let app = TestApp::builder().idle().start().await;
    let (partner_id, partner) = app.partner("one").await;
    app.branch(&partner, "mine").await;
    let within = app.within(&partner, "mine").await;
    app.done(&within, SERIES, json!({})).await;
    app.done(&partner, "mutation { sessionEnd(input: {}) { userErrors { code } } }", json!({})).await;
    assert_eq!(app.fault(&within, VIEWER, json!({})).await, "UNAUTHENTICATED");

    // The same for a machine, whose secret is revoked.
    let (client, secret) = (ApiClientId::generate(), ApiClientSecretId::generate());
    let (tenant, client_uuid, secret_uuid) = (id::parse(&partner_id).expect("an ID").1, client.uuid(), secret.uuid());
    app.sql(&format!(
        "WITH made AS (INSERT INTO api_clients (tenant_id, id, name, scopes)
            VALUES ('{tenant}', '{client_uuid}', 'machine', 'BRANCH_ACT CATALOG_READ') RETURNING tenant_id, id)
         INSERT INTO api_client_secrets (tenant_id, id, client_id, secret_hash, hint)
            SELECT tenant_id, '{secret_uuid}', id, '', '' FROM made RETURNING 'made'::text"
    ));
    let scope = [Permission::BranchAct, Permission::CatalogRead].into_iter().collect();
    let identity = Identity::Client { client, secret, scope };
    let tenant_id = partner_id.parse().expect("an ID");
    let machine = app.app.tokens.mint(tenant_id, identity, None, TimeDelta::minutes(5)).expect("the key signs").0;
    app.app.standings.forget(tenant_id);
    let given = app.done(&machine, BRANCH_TOKEN, corp("mine")).await;
    assert_eq!(given["scopes"], json!(["CATALOG_READ"]));
    let within = text(&given["token"]);
    let seen = app.ok(Some(&within), "{ seriesList { totalCount } viewer { kind } }", json!({})).await;
    assert_eq!(seen, json!({ "seriesList": { "totalCount": 1 }, "viewer": { "kind": "PARTNER" } }));
    assert_eq!(app.fault(&within, SERIES, json!({})).await, "FORBIDDEN");
    let scopes = |scopes: &str| {
        app.sql(&format!("UPDATE api_clients SET scopes = '{scopes}' WHERE id = '{client_uuid}'"));
        app.app.standings.forget(tenant_id);
    };
    scopes("CATALOG_READ");
    assert_eq!(app.fault(&within, VIEWER, json!({})).await, "UNAUTHENTICATED", "it may not act for branches any more");
    scopes("BRANCH_ACT CATALOG_READ");
    app.ok(Some(&within), VIEWER, json!({})).await;
    app.sql(&format!(
        "UPDATE api_client_secrets SET revoked_at = now() WHERE id = '{secret_uuid}' RETURNING 'revoked'::text"
    ));
    app.app.standings.forget(tenant_id);
    assert_eq!(app.fault(&within, VIEWER, json!({})).await, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_token_gives_no_more_than_its_maker_may_and_says_who_acted() {
    let app = TestApp::builder().idle().start().await;
    let (_, partner) = app.partner("one").await;
    let id = app.branch(&partner, "mine").await;
    for scopes in [
        json!(["BRANCH_ACT"]),
        json!(["BRANCH_READ"]),
        json!(["CLIENT_MANAGE"]),
        json!(["OPERATOR_MANAGE", "CATALOG_READ"]),
        json!([]),
    ] {
        let asked = json!({ "corp": "mine", "scopes": scopes });
        assert_eq!(app.refused(&partner, BRANCH_TOKEN, asked).await, ["SCOPE_NOT_YOURS"], "{scopes}");
    }
    let finance = app.operator("one", Role::Finance).await;
    assert_eq!(app.fault(&finance, BRANCH_TOKEN, corp("mine")).await, "FORBIDDEN");

    let narrow = json!({ "corp": "mine", "scopes": ["CATALOG_READ"] });
    let narrow = text(&app.done(&partner, BRANCH_TOKEN, narrow).await["token"]);
    assert_eq!(app.fault(&narrow, SERIES, json!({})).await, "FORBIDDEN");
    let within = app.within(&partner, "mine").await;
    app.done(&within, SERIES, json!({})).await;
    // Sessions and passwords are a person's own, and there is nobody of the branch here.
    assert_eq!(app.fault(&within, "{ sessions { totalCount } }", json!({})).await, "FORBIDDEN");

    let tenant = id::parse(&id).expect("an ID").1;
    let noted = app.sql(&format!(
        "SELECT string_agg(DISTINCT action || ' ' || actor_kind, ',' ORDER BY action || ' ' || actor_kind)
           FROM audit_records WHERE tenant_id = '{tenant}'"
    ));
    assert_eq!(noted, "branchCreate PARTNER,branchTokenCreate PARTNER,seriesCreate PARTNER");
    let who = app.sql(&format!(
        "SELECT count(DISTINCT actor_id)::text || ' ' || bool_and(actor_id IN (SELECT id FROM operators WHERE sign_in = 'owner@one.example'))
           FROM audit_records WHERE tenant_id = '{tenant}'"
    ));
    assert_eq!(who, "1 true", "the partner's operator, by their ID");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_partner_signs_on_in_a_branch_is_signed_on_for_about_as_long_as_the_partner() {
    let app = TestApp::builder().idle().start().await;
    let (_, partner) = app.partner("one").await;
    app.branch(&partner, "mine").await;
    let within = app.within(&partner, "mine").await;
    let sign_on = "mutation { holderSignOn(input: {partnerUserId: \"u-1\"}) {
        token refreshToken expiresAt userErrors { code } } }";
    let signed_on = app.done(&within, sign_on, json!({})).await;
    assert_eq!(signed_on["refreshToken"], Value::Null);
    let ends: chrono::DateTime<chrono::Utc> = text(&signed_on["expiresAt"]).parse().expect("a time");
    assert!(ends <= SystemClock.now() + TimeDelta::minutes(16), "{ends}");
    app.ok(Some(&text(&signed_on["token"])), VIEWER, json!({})).await;
}
