//! Reading: a page costs the same number of statements whatever its length, and pages lie side by side.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::app::{TestApp, client, text};
use crate::support::media::png;
use crate::support::play::{AIRDROP, CANCEL, TAKE, key, phone, prize_of};
use crate::support::tenants::{CREDIT_CODE, pdf};

/// Rows of everything: enough for a short page and a long one.
const MANY: usize = 20;

/// A house in which twenty people have drawn, ordered and got something.
async fn busy() -> (TestApp, String) {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (activity, _) = app.activity(&owner, "DRAW").await;
    let sale = app.sale(&owner).await;
    let collectible = app.collectible(&owner).await;
    let people = app.people("alpha", MANY).await;
    join_all(people.iter().map(|person| async {
        let drawn = app.draw(person, &activity).await;
        app.done(&person.token, TAKE, json!({ "id": drawn["claim"]["id"], "key": key() })).await;
    }))
    .await;
    for (number, person) in people.iter().enumerate() {
        if number < 2 {
            app.buy(person, &sale, 1).await;
        } else {
            let order = app.place(person, &sale, 1).await;
            app.done(&person.token, CANCEL, json!({ "order": order, "key": key() })).await;
        }
        app.draft(&owner, "AIRDROP", json!({ "prizes": [prize_of(&collectible, None, 1)] })).await;
    }
    app.settle().await;
    (app, owner)
}

const NESTED: [(&str, &str); 5] = [
    ("orders", "id total { amountMinor } payments { id } merchant { id } holder { id } activity { id }
        lines { quantity serials collectible { id series { id } } offer { id stock { available } merchant { id } collectible { id } } }"),
    ("activities", "id prizes { id stock { available } collectible { id stock { unallotted } series { id } } }"),
    ("items", "id serialText collectible { id stock { supply } series { id collectibles { id } } } holder { id }"),
    ("draws", "id activity { id } holder { id } pickedPrize { id } awardedPrize { id collectible { id } }
        claim { id state prize { id } transfer { id item { id collectible { id } } toHolder { id } } }"),
    ("transfers", "id item { id holder { id } collectible { id } } fromHolder { id } toHolder { id }"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_long_page_costs_no_more_statements_than_a_short_one() {
    let (app, owner) = busy().await;
    for (list, fields) in NESTED {
        let mut costs = Vec::new();
        for size in [2, MANY] {
            let query =
                format!("{{ {list}(first: {size}, orderBy: CREATED_AT_ASC) {{ totalCount nodes {{ {fields} }} }} }}");
            // The gate's own look, which is due every few seconds, is part of each.
            app.app.standings.forget(app.enterprise("alpha").await);
            let before = app.app.platform.database.statements();
            let found = app.ok(Some(&owner), &query, json!({})).await;
            costs.push(app.app.platform.database.statements() - before);
            assert_eq!(found[list]["nodes"].as_array().map(Vec::len), Some(size), "{list}");
        }
        assert!(costs[0] > 1, "{list}: the statements are counted");
        // Where two ways lead to one kind, whether both are loaded together is a matter of moments: that is one statement
        // more or less, and never one for each row.
        assert!(
            costs[1].abs_diff(costs[0]) <= 2,
            "{list} reads row by row: {costs:?} statements for 2 and {MANY} rows"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lie_side_by_side_in_both_directions() {
    let (app, owner) = busy().await;
    for list in ["holders", "orders", "draws", "claims", "items", "transfers", "activities"] {
        let page = async |arguments: String| {
            let query = format!(
                "{{ {list}({arguments}) {{ totalCount edges {{ cursor node {{ id }} }}
                pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
            );
            app.ok(Some(&owner), &query, json!({})).await[list].take()
        };
        let ids = |page: &Value| -> Vec<String> {
            page["edges"].as_array().expect("edges").iter().map(|edge| text(&edge["node"]["id"])).collect()
        };
        let whole = page("first: 100, orderBy: CREATED_AT_ASC".into()).await;
        let all = ids(&whole);
        assert!(all.len() >= MANY, "{list}");
        assert_eq!(whole["totalCount"], all.len());
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{list} has no row twice");
        let mut reversed = ids(&page("first: 100, orderBy: CREATED_AT_DESC".into()).await);
        reversed.reverse();
        assert_eq!(reversed, all, "{list}");

        let (mut forward, mut after) = (Vec::new(), None);
        loop {
            let seek = after.map_or_else(String::new, |cursor: String| format!(", after: \"{cursor}\""));
            let found = page(format!("first: 7, orderBy: CREATED_AT_ASC{seek}")).await;
            assert_eq!(found["pageInfo"]["hasPreviousPage"], !forward.is_empty(), "{list}");
            assert_eq!(found["totalCount"], all.len(), "{list} counts all, wherever the page is");
            forward.extend(ids(&found));
            if found["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = Some(text(&found["pageInfo"]["endCursor"]));
        }
        assert_eq!(forward, all, "{list} forward");

        let (mut backward, mut before): (Vec<String>, Option<String>) = (Vec::new(), None);
        loop {
            let seek = before.map_or_else(String::new, |cursor| format!(", before: \"{cursor}\""));
            let found = page(format!("last: 7, orderBy: CREATED_AT_ASC{seek}")).await;
            let mut rows = ids(&found);
            rows.append(&mut backward);
            backward = rows;
            if found["pageInfo"]["hasPreviousPage"] == false {
                break;
            }
            before = Some(text(&found["pageInfo"]["startCursor"]));
        }
        assert_eq!(backward, all, "{list} backward");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_page_is_refused() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    app.person("alpha", 1).await;
    let found = app.ok(Some(&owner), "{ holders { edges { cursor } } }", json!({})).await;
    let foreign = text(&found["holders"]["edges"][0]["cursor"]);
    let lists = [
        "activities",
        "claims",
        "collectibles",
        "domains",
        "draws",
        "events",
        "holders",
        "items",
        "merchants",
        "offers",
        "orders",
        "seriesList",
        "transfers",
    ];
    for list in lists {
        let mut wrong = vec![
            "first: 2, last: 2".into(),
            "first: 201".into(),
            "first: -1".into(),
            "last: 201".into(),
            "first: 1, after: \"nonsense\"".into(),
        ];
        if list != "holders" {
            wrong.push(format!("first: 1, after: \"{foreign}\""));
            wrong.push(format!("last: 1, before: \"{foreign}\""));
        }
        for arguments in wrong {
            let query = format!("{{ {list}({arguments}) {{ nodes {{ id }} }} }}");
            let answer = app.send(Some(&owner), &query, json!({})).await;
            let code = &answer["errors"][0]["extensions"]["code"];
            assert!(code == "BAD_REQUEST" || code == "TOO_COMPLEX" && arguments.contains("201"), "{query}: {answer:#}");
        }
        let empty =
            app.ok(Some(&owner), &format!("{{ {list}(first: 0) {{ totalCount nodes {{ id }} }} }}"), json!({})).await;
        assert_eq!(empty[list]["nodes"], json!([]));
        assert!(empty[list]["totalCount"].is_i64());
    }
}

/// An ID of each type that there is, as lists and payloads give them.
async fn one_of_each(app: &TestApp, owner: &str) -> BTreeMap<String, String> {
    let (activity, _) = app.activity(owner, "DRAW").await;
    let (dropping, prize) = app.activity(owner, "AIRDROP").await;
    let sale = app.sale(owner).await;
    let person = app.person("alpha", 1).await;
    let item = app.item(&person, &activity).await;
    let order = app.buy(&person, &sale, 1).await;
    let drop = json!({ "activityId": dropping, "prizeId": prize, "phones": [phone(2)], "idempotencyKey": key() });
    let airdrop = text(&app.done(owner, AIRDROP, json!({ "input": drop })).await["airdrop"]["id"]);
    let sign_in = "mutation { operatorSignIn(input: {signIn: \"owner@alpha.example\", password: \"quiet-lantern-over-water\"}) { operator { id } } }";
    let signed_in = app.ok(None, sign_in, json!({})).await;
    let made = "mutation { apiClientCreate(input: {name: \"C\", scopes: [CATALOG_READ]}) { client { id } userErrors { code } } }";
    let machine = app.done(owner, made, json!({})).await;
    let mut found = BTreeMap::from([
        ("Activity".to_owned(), activity),
        ("Airdrop".to_owned(), airdrop),
        ("ApiClient".to_owned(), text(&machine["client"]["id"])),
        ("Document".to_owned(), app.document(owner, &pdf("one")).await),
        ("Enterprise".to_owned(), app.enterprise("alpha").await.to_string()),
        ("Holder".to_owned(), person.id),
        ("Item".to_owned(), item),
        ("Media".to_owned(), app.medium(owner, "image/png", &png(1)).await),
        ("Offer".to_owned(), sale.1),
        ("Operator".to_owned(), text(&signed_in["operatorSignIn"]["operator"]["id"])),
        ("Order".to_owned(), order),
        ("Prize".to_owned(), prize.expect("an airdrop has a prize")),
        ("Qualification".to_owned(), app.qualification(owner, "BUSINESS_LICENCE", CREDIT_CODE).await),
    ]);
    let query =
        "{ claims { nodes { id } } collectibles { nodes { id } } domains { nodes { id } } draws { nodes { id } }
        merchants { nodes { id } } seriesList { nodes { id } } transfers { nodes { id } } }";
    let lists = app.ok(Some(owner), query, json!({})).await;
    for (list, kind) in [
        ("claims", "Claim"),
        ("collectibles", "Collectible"),
        ("domains", "Domain"),
        ("draws", "Draw"),
        ("merchants", "Merchant"),
        ("seriesList", "Series"),
        ("transfers", "Transfer"),
    ] {
        found.insert(kind.to_owned(), text(&lists[list]["nodes"][0]["id"]));
    }
    found
}

fn node_types() -> BTreeSet<String> {
    let document = parse_schema(minthouse::api::schema::sdl()).expect("the SDL is valid");
    let nodes = document.definitions.into_iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(definition) => match &definition.node.kind {
            TypeKind::Object(object) if object.implements.iter().any(|interface| interface.node == "Node") => {
                Some(definition.node.name.node.to_string())
            }
            _ => None,
        },
        _ => None,
    });
    nodes.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_has_an_id_is_found_by_it() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let known = one_of_each(&app, &owner).await;
    assert_eq!(known.keys().cloned().collect::<BTreeSet<_>>(), node_types(), "each type is tried");
    for (kind, id) in &known {
        let found =
            app.ok(Some(&owner), "query($id: ID!) { node(id: $id) { __typename id } }", json!({ "id": id })).await;
        assert_eq!(found["node"], json!({ "__typename": kind, "id": id }));
    }
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";
    let mut ids: Vec<String> = known.values().cloned().collect();
    ids.insert(3, minthouse::sales::model::OrderId::generate().to_string());
    ids.push(ids[0].clone());
    let found = app.ok(Some(&owner), query, json!({ "ids": ids })).await["nodes"].take();
    let given: Vec<Option<&str>> = found.as_array().expect("a list").iter().map(|node| node["id"].as_str()).collect();
    let due: Vec<Option<&str>> =
        ids.iter().enumerate().map(|(place, id)| (place != 3).then_some(id.as_str())).collect();
    assert_eq!(given, due, "in order, with nothing where there is nothing");

    for wrong in ["nonsense", "order_01h455vb4pex5vsknk084sn02", "teapot_01h455vb4pex5vsknk084sn02q"] {
        let answer = app.send(Some(&owner), query, json!({ "ids": [wrong] })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{wrong}: {answer:#}");
    }
    let answer = app.send(Some(&owner), query, json!({ "ids": vec![&ids[0]; 101] })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    // An ID of one type where another is due is refused before anything is looked up.
    let other = json!({ "id": known["Order"] });
    let answer = app.send(Some(&owner), "query($id: ID!) { holder(id: $id) { id } }", other).await;
    assert!(answer["errors"][0]["message"].as_str().is_some_and(|message| message.contains("holder")), "{answer:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_their_own_language() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let ask = async |language: &str| -> Value {
        let body = json!({ "query": "mutation { activityPause(input: {id: \"activity_01h455vb4pex5vsknk084sn02q\"}) { userErrors { code message } }
            holderSignOn(input: {phone: \"1\"}) { userErrors { message } } }" });
        let request = client().post(app.url()).bearer_auth(&owner).header("accept-language", language).json(&body);
        let refused: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        let body = json!({ "query": "{ seriesList { nodes { name { text } } } }" });
        let request = client().post(app.url()).bearer_auth(&owner).header("accept-language", language).json(&body);
        let named: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        json!([
            refused["data"]["activityPause"]["userErrors"][0]["message"],
            refused["data"]["holderSignOn"]["userErrors"][0]["message"],
            named["data"]["seriesList"]["nodes"][0]["name"]["text"],
        ])
    };
    let (chinese, english) = (ask("zh-CN,zh;q=0.9,en;q=0.8").await, ask("en-GB,en;q=0.9").await);
    for (place, message) in chinese.as_array().expect("three").iter().enumerate() {
        assert!(text(message).chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter)), "{message}");
        assert!(text(&english[place]).is_ascii(), "{}", english[place]);
    }
    assert_eq!((&chinese[2], &english[2]), (&json!("甲系列"), &json!("Series of alpha")));
    assert_eq!(ask("fr, en;q=0.5, zh;q=0.4").await, english);
}
