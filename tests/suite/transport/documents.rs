use minthouse::api::transport::CostLimits;
use serde_json::{Value, json};

use super::{Reply, Server, reply};

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn doublings(levels: usize) -> String {
    let mut text = format!("{{ ...F0 }} fragment F{levels} on Query {{ hello }} ");
    for level in 0..levels {
        text += &format!("fragment F{level} on Query {{ ...F{0} ...F{0} }} ", level + 1);
    }
    text
}

#[tokio::test]
async fn hostile_documents_are_refused_before_they_are_expanded() {
    let server = Server::start().await;
    let deep = format!("{{ __schema {}name{} }}", "{ a ".repeat(40), "}".repeat(40));
    let aliases: String = (0..101).map(|number| format!("a{number}: hello ")).collect();
    let directives = "@include(if: true) ".repeat(51);
    for (name, query, says) in [
        ("2^25 doublings", doublings(25), "301989832"),
        ("2^90 doublings", doublings(90), "nodes"),
        ("depth", deep, "depth"),
        ("aliases", format!("{{ {aliases} }}"), "aliases: 101, the limit is 100"),
        ("directives", format!("{{ hello {directives} }}"), "directives: 51, the limit is 50"),
        ("roots", format!("{{ {} }}", "hello ".repeat(31)), "root fields: 31, the limit is 30"),
        ("brackets", format!("{{ hello(name: {}", "[".repeat(20_000)), "depth: 101"),
        ("selections", "{a".repeat(20_000), "depth: 101"),
        ("pages", "{ items(first: 2001) { name } }".to_owned(), "cost: 2001, the limit is 2000"),
    ] {
        let answer = server.query(&query).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "TOO_COMPLEX"), "{name}: {}", answer.text);
        assert!(answer.message().contains(says), "{name}: {}", answer.message());
    }
    let cycle = server.query("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }").await;
    assert_eq!((cycle.status, cycle.code().as_str()), (400, "GRAPHQL_VALIDATION_FAILED"));
}

/// Just under the caps, the library's own parser and validation must cope within a worker's stack.
#[tokio::test]
async fn the_largest_documents_that_pass_do_no_harm() {
    let server = Server::start().await;
    let nested_list = format!("{{ hello(name: {}{}) }}", "[".repeat(97), "]".repeat(97));
    assert_eq!(server.query(&nested_list).await.code(), "GRAPHQL_VALIDATION_FAILED");
    let nested_object = format!("{{ hello(name: {}1{}) }}", "{a: ".repeat(97), "}".repeat(97));
    assert_eq!(server.query(&nested_object).await.code(), "GRAPHQL_VALIDATION_FAILED");
    let selections = format!("{}hello{}", "{ ... ".repeat(90), "}".repeat(90));
    assert_eq!(server.query(&selections).await.code(), "GRAPHQL_PARSE_FAILED");
    let many = format!("{{ {} }}", "...on Query { hello } ".repeat(30));
    assert_eq!(server.query(&many).await.json()["data"]["hello"], "Hello, world!");
    assert_eq!(server.query(&doublings(4)).await.json()["data"]["hello"], "Hello, world!");
}

#[tokio::test]
async fn page_sizes_come_from_variables_too() {
    let server = Server::start().await;
    let query = "query($n: Int!) { items(first: $n) { name } }";
    let ask = async |size: i64| reply(server.post(&json!({"query": query, "variables": {"n": size}}))).await;
    assert_eq!(ask(2).await.json()["extensions"]["cost"]["requested"], 2);
    assert_eq!(ask(1_000_000).await.code(), "TOO_COMPLEX");
}

#[tokio::test]
async fn introspection_is_for_those_who_may() {
    let server = Server::start().await;
    let answer = server.query_as("good", "{ __schema { queryType { name } } __type(name: \"Item\") { name } }").await;
    assert_eq!(answer.json()["data"]["__schema"]["queryType"]["name"], "Query");
    assert_eq!(answer.json()["extensions"]["cost"]["requested"], 110);
    for query in
        ["{ __schema { queryType { name } } }", "{ ...F } fragment F on Query { __type(name: \"Item\") { name } }"]
    {
        let refused = server.query_as("holder", query).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "FORBIDDEN"), "{query}");
        assert!(refused.message().contains("schema.introspect"));
    }
    assert_eq!(server.query_as("holder", "{ __typename }").await.json()["data"]["__typename"], "Query");
}

#[tokio::test]
async fn a_bucket_that_is_empty_refuses_until_it_has_filled() {
    let limits = CostLimits { maximum: 10, page: 20, per_minute: 60, burst: 10, crowd: 1 };
    let server = Server::with(|settings| settings.cost = limits).await;
    let paid = server.query_as("one", "{ items(first: 8) { name } }").await;
    assert_eq!(paid.json()["extensions"]["cost"], json!({"requested": 8, "remaining": 2, "limit": 10}));
    let refused = server.query_as("one", "{ items(first: 8) { name } }").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "RATE_LIMITED"));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((5..=7).contains(&wait), "{wait}");
    assert_eq!(server.query_as("two", "{ items(first: 8) { name } }").await.status, 200);
    // A document that is refused is paid for as well.
    for _ in 0..2 {
        assert_eq!(server.query_as("three", "{").await.status, 400);
    }
    assert_eq!(server.query_as("three", "{ items(first: 9) { name } }").await.status, 429);
}

async fn persisted(server: &Server, query: Option<&str>, hash: &str) -> Reply {
    let mut body = json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}});
    if let Some(query) = query {
        body["query"] = Value::from(query);
    }
    reply(server.post(&body)).await
}

#[tokio::test]
async fn persisted_queries_are_learnt_and_then_named() {
    let server = Server::start().await;
    let (query, hash) = ("query P { hello(name: \"P\") }", sha256("query P { hello(name: \"P\") }"));
    let unknown = persisted(&server, None, &hash).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (200, "PERSISTED_QUERY_NOT_FOUND"));
    assert_eq!(unknown.message(), "PersistedQueryNotFound");
    assert_eq!(persisted(&server, Some(query), &sha256("other")).await.status, 400);
    assert_eq!(persisted(&server, Some(query), &hash).await.json()["data"]["hello"], "Hello, P!");
    assert_eq!(persisted(&server, None, &hash).await.json()["data"]["hello"], "Hello, P!");
    let extensions = json!({"persistedQuery": {"version": 1, "sha256Hash": hash}}).to_string();
    let by_get = reply(server.get(&[("extensions", &extensions)])).await;
    assert_eq!(by_get.json()["data"]["hello"], "Hello, P!");

    let mutation = "mutation M { touch }";
    assert_eq!(persisted(&server, Some(mutation), &sha256(mutation)).await.json()["data"]["touch"], 1);
    let extensions = json!({"persistedQuery": {"version": 1, "sha256Hash": sha256(mutation)}}).to_string();
    assert_eq!(reply(server.get(&[("extensions", &extensions)])).await.status, 405);
}

#[tokio::test]
async fn some_visitors_may_send_trusted_documents_only() {
    let trusted = "query Trusted($name: String) { hello(name: $name) }";
    let server = Server::with(|settings| settings.trusted = vec![trusted.to_owned()]).await;
    assert_eq!(server.query_as("page", trusted).await.json()["data"]["hello"], "Hello, world!");
    let named = json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(trusted)}}});
    let named = reply(server.post(&named).bearer_auth("page")).await;
    assert_eq!(named.json()["data"]["hello"], "Hello, world!");
    let refused = server.query_as("page", "{ hello }").await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "BAD_REQUEST"));
    assert!(refused.message().contains("trusted"), "{}", refused.message());
    assert_eq!(server.query_as("good", "{ hello }").await.status, 200);
}
