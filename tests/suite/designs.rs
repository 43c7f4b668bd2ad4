//! Series and collectibles as they are written, changed, frozen and remembered.

use futures_util::future::join_all;
use minthouse::tenancy::permission::Role;
use serde_json::{Value, json};

use crate::support::app::{TestApp, text};
use crate::support::media::{DESIGN, HAND_IN, NEW_SERIES, png, words};
use crate::support::play::{DECIDE, ISSUE, key};

const UPDATE: &str = "mutation($input: CollectibleUpdateInput!) { collectibleUpdate(input: $input) {
    collectible { version name { english } description { english } author supply firstSerial media { id } stock { supply unallotted } }
    userErrors { code field } } }";
const UPDATE_SERIES: &str = "mutation($input: SeriesUpdateInput!) { seriesUpdate(input: $input) {
    series { version name { english } description { english } cover { id } } userErrors { code field } } }";
const THROW_AWAY: &str = "mutation($id: ID!) {
    collectibleDelete(input: {id: $id}) { deletedId userErrors { code field } } }";
const HISTORY: &str = "query($id: ID!) { collectible(id: $id) { version history(first: 50) { totalCount
    nodes { version action actorKind actorId changedAt fields { field before after } } } } }";

fn change(id: &str, version: i32, said: Value) -> Value {
    let mut input = said;
    input["id"] = json!(id);
    input["version"] = json!(version);
    json!({ "input": input })
}

async fn errors(app: &TestApp, token: &str, query: &str, variables: Value) -> Value {
    let answer = app.ok(Some(token), query, variables).await;
    answer.as_object().and_then(|data| data.values().next()).expect("a payload")["userErrors"].clone()
}

async fn version_of(app: &TestApp, token: &str, id: &str) -> i32 {
    let found = app.ok(Some(token), "query($id: ID!) { collectible(id: $id) { version } }", json!({ "id": id })).await;
    found["collectible"]["version"].as_i64().and_then(|version| version.try_into().ok()).expect("a version")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_design_says_everything_that_the_field_knows() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (work, cover) =
        (app.medium(&owner, "image/png", &png(1)).await, app.medium(&owner, "image/png", &png(2)).await);
    let proof = app.document(&owner, b"%PDF-1.7\nproof\n%%EOF\n").await;
    let (series, _) = app.design(&owner, json!({})).await;
    let input = json!({ "seriesId": series, "name": words("辰龙", "Dragon"), "description": words("行\n二", "d"),
        "author": "周禾", "mediaId": work, "coverId": cover, "copyrightProofId": proof, "filingNumber": "京网信备11010120000000000001号",
        "flag": "NEW", "metadata": "{\"edition\":1}", "supply": 5, "firstSerial": 0,
        "attributes": [{ "name": "材质", "value": "青铜" }, { "name": "Colour", "value": "gold" }] });
    let id = text(&app.done(&owner, DESIGN, json!({ "input": input })).await["collectible"]["id"]);
    let query =
        "query($id: ID!) { collectible(id: $id) { media { id } cover { id } copyrightProof { id } filingNumber flag
        metadata attributes { name value } supply firstSerial imageUrl mediaSm3 author } }";
    let seen = app.ok(Some(&owner), query, json!({ "id": id })).await["collectible"].take();
    let expected = json!({ "media": { "id": work }, "cover": { "id": cover }, "copyrightProof": { "id": proof },
        "filingNumber": "京网信备11010120000000000001号", "flag": "NEW", "metadata": "{\"edition\":1}",
        "attributes": input["attributes"], "supply": 5, "firstSerial": 0, "imageUrl": null, "mediaSm3": null, "author": "周禾" });
    assert_eq!(seen, expected);

    // The house sees whose the work is, and everything that will be shown.
    app.done(&owner, HAND_IN, json!({ "id": id })).await;
    let house = app.house(Role::Owner).await;
    let query =
        "{ reviews(filter: {state: PENDING}) { nodes { media { id } copyrightProof { id download { path } } } } }";
    let queue = app.ok(Some(&house), query, json!({})).await["reviews"]["nodes"].take();
    assert_eq!(queue[0]["media"], json!([{ "id": work }, { "id": cover }]));
    assert_eq!(queue[0]["copyrightProof"]["id"], json!(proof));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_takes_everything_and_its_stock_follows() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (_, id) = app.design(&owner, json!({})).await;
    let work = app.medium(&owner, "image/png", &png(1)).await;
    let wanted = json!({ "author": "B", "supply": 70, "firstSerial": 0, "mediaId": work, "name": words("新", "New") });
    let changed = app.done(&owner, UPDATE, change(&id, 1, wanted)).await["collectible"].take();
    let expected = json!({ "version": 2, "name": { "english": "New" }, "description": { "english": "" }, "author": "B",
        "supply": 70, "firstSerial": 0, "media": { "id": work }, "stock": { "supply": 70, "unallotted": 70 } });
    assert_eq!(changed, expected);
    assert_eq!(app.sql("SELECT next_serial::text FROM collectible_stocks ORDER BY collectible_id DESC LIMIT 1"), "0");
    let cleared = app.done(&owner, UPDATE, change(&id, 2, json!({ "mediaId": null }))).await;
    assert_eq!(cleared["collectible"]["media"], Value::Null);
    let same = app.done(&owner, UPDATE, change(&id, 3, json!({ "author": "B" }))).await;
    assert_eq!(same["collectible"]["version"], 3, "what says nothing new is no change");
    let wrong = change(&id, 3, json!({ "author": "", "supply": 0, "name": words("a\u{200b}b", "n") }));
    let named = json!([{ "code": "INVALID_INPUT", "field": "name.chinese" },
        { "code": "INVALID_INPUT", "field": "author" }, { "code": "INVALID_INPUT", "field": "supply" }]);
    assert_eq!(errors(&app, &owner, UPDATE, wrong).await, named);
    assert_eq!(
        errors(&app, &app.owner("beta").await, UPDATE, change(&id, 3, json!({}))).await[0]["code"],
        "COLLECTIBLE_NOT_FOUND"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_house_sees_is_frozen_and_what_it_approved_keeps_its_words_alone_open() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (series, id) = app.design(&owner, json!({})).await;
    let text_alone = json!({ "description": words("新", "new") });
    let more = json!({ "description": words("又", "again"), "author": "B", "supply": 9 });
    let frozen = |fields: &[&str]| {
        json!(fields.iter().map(|field| json!({ "code": "FROZEN", "field": field })).collect::<Vec<_>>())
    };

    app.done(&owner, HAND_IN, json!({ "id": id })).await;
    let version = version_of(&app, &owner, &id).await;
    assert_eq!(
        errors(&app, &owner, UPDATE, change(&id, version, text_alone.clone())).await,
        frozen(&["description.chinese", "description.english"])
    );
    let name = json!({ "name": words("系", "Other"), "description": words("", "") });
    assert_eq!(errors(&app, &owner, UPDATE_SERIES, change(&series, 1, name.clone())).await, frozen(&["name.english"]));

    // Sent back: free again. Approved: its words alone, up to the ledger and beyond.
    app.decide_first("REJECT", Some("say more")).await;
    let version = version_of(&app, &owner, &id).await;
    app.done(&owner, UPDATE, change(&id, version, more.clone())).await;
    app.done(&owner, UPDATE_SERIES, change(&series, 1, name.clone())).await;
    app.approved(&owner, &id).await;
    for _ in 0..2 {
        let version = version_of(&app, &owner, &id).await;
        let said = json!({ "author": "C", "description": words("三", "third"), "firstSerial": 0, "flag": "x" });
        assert_eq!(
            errors(&app, &owner, UPDATE, change(&id, version, said)).await,
            frozen(&["author", "flag", "firstSerial"])
        );
        let said = json!({ "description": words("新", &format!("at version {version}")) });
        let changed = app.done(&owner, UPDATE, change(&id, version, said)).await;
        assert_eq!(changed["collectible"]["version"], version + 1);
        let name = json!({ "name": words("系", "Third"), "coverId": null });
        assert_eq!(errors(&app, &owner, UPDATE_SERIES, change(&series, 2, name)).await, frozen(&["name.english"]));
        if version_of(&app, &owner, &id).await < 8 {
            app.done(&owner, ISSUE, json!({ "id": id, "key": key() })).await;
            app.settle().await;
        }
    }
    let told = app.done(&owner, UPDATE_SERIES, change(&series, 2, text_alone)).await;
    assert_eq!(told["series"]["description"]["english"], "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_changes_a_version() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (series, id) = app.design(&owner, json!({})).await;
    let race = (0..6).map(|n| {
        let said = json!({ "description": words("", &format!("by {n}")) });
        errors(&app, &owner, UPDATE, change(&id, 1, said))
    });
    let mut answers: Vec<String> = join_all(race).await.iter().map(|errors| errors[0]["code"].to_string()).collect();
    answers.sort();
    assert_eq!(
        answers,
        [
            "\"VERSION_CONFLICT\"",
            "\"VERSION_CONFLICT\"",
            "\"VERSION_CONFLICT\"",
            "\"VERSION_CONFLICT\"",
            "\"VERSION_CONFLICT\"",
            "null"
        ]
    );
    assert_eq!(version_of(&app, &owner, &id).await, 2);
    let race = (0..4).map(|n| {
        let said = json!({ "description": words("", &format!("by {n}")) });
        errors(&app, &owner, UPDATE_SERIES, change(&series, 1, said))
    });
    let won = join_all(race).await.iter().filter(|errors| **errors == json!([])).count();
    assert_eq!(won, 1);
    let conflict = errors(&app, &owner, UPDATE_SERIES, change(&series, 1, json!({}))).await;
    assert_eq!(conflict, json!([{ "code": "VERSION_CONFLICT", "field": "version" }]));

    // Handed in and changed at the same moment: whichever comes first, the house never sees what is being changed.
    for round in 0..4 {
        let (_, id) = app.design(&owner, json!({})).await;
        let said = change(&id, 1, json!({ "author": format!("author {round}") }));
        let (handed_in, changed) =
            tokio::join!(app.refused(&owner, HAND_IN, json!({ "id": id })), errors(&app, &owner, UPDATE, said));
        let code = changed[0]["code"].as_str().unwrap_or("none").to_owned();
        assert!(["none", "VERSION_CONFLICT", "FROZEN"].contains(&code.as_str()), "{changed}");
        assert_eq!(handed_in, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_goes_and_nothing_else_does() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let work = app.medium(&owner, "image/png", &png(1)).await;
    let (_, draft) = app.design(&owner, json!({ "media": work })).await;
    assert_eq!(
        app.refused(&app.owner("beta").await, THROW_AWAY, json!({ "id": draft })).await,
        ["COLLECTIBLE_NOT_FOUND"]
    );
    assert_eq!(app.done(&owner, THROW_AWAY, json!({ "id": draft })).await["deletedId"], json!(draft));
    let found = app.ok(Some(&owner), HISTORY, json!({ "id": draft })).await;
    assert_eq!(found["collectible"], Value::Null);
    assert_eq!(
        app.sql("SELECT string_agg(action, ' ' ORDER BY id) FROM collectible_changes WHERE action LIKE '%Delete'"),
        "collectibleDelete"
    );
    app.done(
        &owner,
        "mutation($id: ID!) { mediaDelete(input: {id: $id}) { userErrors { code } } }",
        json!({ "id": work }),
    )
    .await;

    let (_, seen) = app.design(&owner, json!({})).await;
    app.done(&owner, HAND_IN, json!({ "id": seen })).await;
    assert_eq!(app.refused(&owner, THROW_AWAY, json!({ "id": seen })).await, ["WRONG_STATE"]);
    app.decide_first("REJECT", Some("no")).await;
    assert_eq!(app.refused(&owner, THROW_AWAY, json!({ "id": seen })).await, ["WRONG_STATE"], "the house has seen it");
    let issued = app.collectible(&owner).await;
    assert_eq!(app.refused(&owner, THROW_AWAY, json!({ "id": issued })).await, ["WRONG_STATE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_stands_in_the_history_and_stays_there() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let (series, id) = app.design(&owner, json!({})).await;
    app.done(&owner, UPDATE, change(&id, 1, json!({ "author": "B", "supply": 9 }))).await;
    app.done(&owner, HAND_IN, json!({ "id": id })).await;
    let house = app.house(Role::Owner).await;
    let review = app.review_of(&id).await;
    app.done(&house, DECIDE, json!({ "id": review, "verdict": "REJECT", "remark": "no" })).await;

    let seen = app.ok(Some(&owner), HISTORY, json!({ "id": id })).await["collectible"]["history"].take();
    let told: Vec<(i64, String, String)> = seen["nodes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|node| (node["version"].as_i64().expect("a version"), text(&node["action"]), text(&node["actorKind"])))
        .collect();
    let line = |version: i64, action: &str, actor: &str| (version, action.to_owned(), actor.to_owned());
    assert_eq!(
        told,
        [
            line(4, "collectibleReview", "HOUSE"),
            line(3, "collectibleSubmit", "OPERATOR"),
            line(2, "collectibleUpdate", "OPERATOR"),
            line(1, "collectibleCreate", "OPERATOR"),
        ]
    );
    assert_eq!(seen["totalCount"], 4);
    assert_eq!(
        seen["nodes"][2]["fields"],
        json!([
            { "field": "author", "before": "A", "after": "B" },
            { "field": "supply", "before": 3, "after": 9 },
        ])
    );
    assert_eq!(seen["nodes"][1]["fields"], json!([{ "field": "state", "before": "DRAFT", "after": "IN_REVIEW" }]));
    let first = seen["nodes"][3]["fields"].as_array().expect("a list");
    assert!(first.iter().all(|field| field["before"].is_null()) && first.len() > 10, "{first:?}");

    let query = "query($id: ID!) { series(id: $id) { history { nodes { version action } } } }";
    let of_series = app.ok(Some(&owner), query, json!({ "id": series })).await["series"]["history"].take();
    assert_eq!(of_series["nodes"], json!([{ "version": 1, "action": "seriesCreate" }]));

    // A page at a time, and for nobody but the enterprise.
    let query = "query($id: ID!, $after: String) { collectible(id: $id) { history(first: 3, after: $after) {
        nodes { version } pageInfo { endCursor hasNextPage } } } }";
    let page = app.ok(Some(&owner), query, json!({ "id": id })).await["collectible"]["history"].take();
    let rest = json!({ "id": id, "after": page["pageInfo"]["endCursor"] });
    let rest = app.ok(Some(&owner), query, rest).await["collectible"]["history"].take();
    assert_eq!((&page["pageInfo"]["hasNextPage"], &rest["nodes"]), (&json!(true), &json!([{ "version": 1 }])));
    let issued = app.collectible(&owner).await;
    let person = app.person("alpha", 1).await;
    let hidden = app.send(Some(&person.token), HISTORY, json!({ "id": issued })).await;
    assert_eq!(hidden["errors"][0]["extensions"]["code"], "FORBIDDEN");

    for table in ["collectible_changes", "series_changes"] {
        for statement in [format!("UPDATE {table} SET action = 'x'"), format!("DELETE FROM {table}")] {
            let (client, connection) =
                tokio_postgres::connect(&app.role_url("minthouse_tenant"), tokio_postgres::NoTls)
                    .await
                    .expect("the database answers");
            let connection = tokio::spawn(connection);
            let tenant = app.enterprise("alpha").await.uuid();
            client.batch_execute(&format!("SET app.tenant_id = '{tenant}'")).await.expect("a setting");
            let refused = client.batch_execute(&statement).await.expect_err("it may not").to_string();
            assert!(refused.contains("db error") || refused.contains("permission denied"), "{refused}");
            drop(client);
            let _ = connection.await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_have_their_limits_in_a_series_too() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let input = |name: Value, description: Value| json!({ "input": { "name": name, "description": description } });
    for (name, description, field) in [
        (words(&"长".repeat(31), "n"), words("", ""), "name.chinese"),
        (words("n", "\u{202e}n"), words("", ""), "name.english"),
        (words("n", "n"), words("", &"d".repeat(501)), "description.english"),
        (words("n", "n"), words("\u{7}", ""), "description.chinese"),
    ] {
        let found = errors(&app, &owner, NEW_SERIES, input(name, description)).await;
        assert_eq!(found, json!([{ "code": "INVALID_INPUT", "field": field }]));
    }
    app.done(&owner, NEW_SERIES, input(words(&"长".repeat(30), "n"), words("", &"d".repeat(500)))).await;
}
