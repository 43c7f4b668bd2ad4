use std::sync::atomic::Ordering;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use minthouse::api::transport::Origins;
use serde_json::{Value, json};

use super::{Server, reply};

#[tokio::test]
async fn an_operation_is_answered_with_its_cost_and_its_request_id() {
    let server = Server::start().await;
    let answer = server.query("{ hello requestId }").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/graphql-response+json; charset=utf-8");
    let body = answer.json();
    assert_eq!(body["data"]["hello"], "Hello, world!");
    assert_eq!(body["data"]["requestId"], answer.header("x-request-id"));
    assert_eq!(body["extensions"]["cost"], json!({"requested": 1, "remaining": 4_999, "limit": 5_000}));
    assert_eq!(server.finished.load(Ordering::SeqCst), 1);

    let again = server.query("{ items(first: 3) { name } }").await.json();
    assert_eq!(again["extensions"]["cost"]["requested"], 3);
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_any_other_replaced() {
    let server = Server::start().await;
    let ask = async |id: &str| reply(server.post(&json!({"query": "{ nope }"})).header("x-request-id", id)).await;
    let answer = ask("abc-1.2_3").await;
    assert_eq!(answer.header("x-request-id"), "abc-1.2_3");
    assert_eq!(answer.json()["errors"][0]["extensions"]["requestId"], "abc-1.2_3");
    for insane in ["a b", "a\"b", &"x".repeat(65)] {
        let answer = ask(insane).await;
        let id = uuid::Uuid::parse_str(answer.header("x-request-id")).expect("a fresh identifier");
        assert_eq!(id.get_version_num(), 7);
    }
}

#[tokio::test]
async fn statuses_follow_the_media_type() {
    let server = Server::start().await;
    for (query, code) in [("{", "GRAPHQL_PARSE_FAILED"), ("{ nope }", "GRAPHQL_VALIDATION_FAILED")] {
        let newer = server.query(query).await;
        assert_eq!((newer.status, newer.code().as_str()), (400, code));
        assert!(newer.json().get("data").is_none(), "{}", newer.text);
        let request = server.client.post(server.url()).header("content-type", "application/json");
        let older = reply(request.body(json!({"query": query}).to_string())).await;
        assert_eq!((older.status, older.code().as_str()), (200, code));
        assert_eq!(older.header("content-type"), "application/json; charset=utf-8");
    }
    // Executed, with an error at a field: 200 and partial data in either.
    let partial = server.query("{ hello missing }").await;
    assert_eq!((partial.status, partial.code().as_str()), (200, "NOT_FOUND"));
    assert_eq!(partial.json()["data"], json!({"hello": "Hello, world!", "missing": null}));
    assert_eq!(partial.json()["errors"][0]["path"], json!(["missing"]));
    // Executed to nothing: data is there, and null.
    let nothing = server.query("{ small(number: 9) }").await;
    assert_eq!((nothing.status, nothing.code().as_str()), (200, "BAD_REQUEST"));
    assert_eq!(nothing.json().get("data"), Some(&Value::Null));
}

#[tokio::test]
async fn the_accept_header_is_obeyed() {
    let server = Server::start().await;
    let ask = async |accept: &str| {
        let request = server.client.post(server.url()).header("content-type", "application/json");
        reply(request.header("accept", accept).body(json!({"query": "{ hello }"}).to_string())).await
    };
    assert_eq!(ask("*/*").await.header("content-type"), "application/json; charset=utf-8");
    let weighed = ask("application/graphql-response+json;q=0.1, application/json;q=0.2").await;
    assert_eq!(weighed.header("content-type"), "application/json; charset=utf-8");
    let refused = ask("image/png").await;
    assert_eq!((refused.status, refused.code().as_str()), (406, "NOT_ACCEPTABLE"));
    let stream = ask("text/event-stream").await;
    assert_eq!(stream.header("content-type"), "text/event-stream; charset=utf-8");
}

#[tokio::test]
async fn only_json_is_taken_and_only_one_request_at_a_time() {
    let server = Server::start().await;
    let send = async |content_type: &str, body: String| {
        let request = server.client.post(server.url()).header("content-type", content_type);
        reply(request.header("accept-language", "en").body(body)).await
    };
    let mutation = json!({"query": "mutation { touch }"}).to_string();
    for foreign in ["text/plain", "multipart/form-data; boundary=x", "application/json; charset=gbk"] {
        let answer = send(foreign, mutation.clone()).await;
        assert_eq!((answer.status, answer.code().as_str()), (415, "UNSUPPORTED_MEDIA_TYPE"), "{foreign}");
    }
    let batch = send("application/json", format!("[{mutation},{mutation}]")).await;
    assert_eq!((batch.status, batch.code().as_str()), (400, "BATCH_REFUSED"));
    assert!(batch.message().contains("one by one"), "{}", batch.message());
    for malformed in [
        "{ not json",
        "\"text\"",
        r#"{"query": 1}"#,
        r#"{"query": "{ hello }", "variables": []}"#,
        r#"{"query": "{ hello }", "extensions": "x"}"#,
        r#"{"query": "{ hello }", "operationName": {}}"#,
        r#"{"variables": {}}"#,
    ] {
        assert_eq!(send("application/json", malformed.to_owned()).await.status, 400, "{malformed}");
    }
    let mut invalid_utf8 = b"{\"query\": \"{ hello(name: \\\"".to_vec();
    invalid_utf8.push(0xff);
    let request = server.client.post(server.url()).header("content-type", "application/json");
    assert_eq!(reply(request.body(invalid_utf8)).await.status, 400);
    assert_eq!(server.touched.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused() {
    let server = Server::start().await;
    let body = |bytes: usize| json!({"query": "{ hello }", "padding": "x".repeat(bytes)});
    assert_eq!(reply(server.post(&body(60_000))).await.status, 200);
    let answer = reply(server.post(&body(70_000))).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "PAYLOAD_TOO_LARGE"));
}

#[tokio::test]
async fn get_is_for_queries() {
    let server = Server::start().await;
    let two = "query A { hello } query B($n: String) { hello(name: $n) }";
    let parameters = [("query", two), ("operationName", "B"), ("variables", r#"{"n": "B"}"#)];
    assert_eq!(reply(server.get(&parameters)).await.json()["data"]["hello"], "Hello, B!");

    for effect in ["mutation { touch }", "query A { hello } mutation B { touch }", "subscription { quiet }"] {
        let name = if effect.contains(" B ") { "B" } else { "" };
        let answer = reply(server.get(&[("query", effect), ("operationName", name)])).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{effect}");
    }
    assert_eq!(server.touched.load(Ordering::SeqCst), 0);
    for (parameters, status) in [
        (vec![("query", "{ hello }"), ("variables", "{")], 400),
        (vec![("query", "{ hello }"), ("query", "{ hello }")], 400),
        (vec![], 400),
    ] {
        assert_eq!(reply(server.get(&parameters)).await.status, status, "{parameters:?}");
    }
    let patch = reply(server.client.patch(server.url())).await;
    assert_eq!((patch.status, patch.header("allow")), (405, "GET, POST, PUT, DELETE"));
}

#[tokio::test]
async fn a_subscription_needs_a_stream() {
    let answer = Server::start().await.query("subscription { quiet }").await;
    assert_eq!((answer.status, answer.code().as_str()), (406, "NOT_ACCEPTABLE"));
    assert!(answer.message().contains("text/event-stream"));
}

#[tokio::test]
async fn the_gate_decides_who_comes_in() {
    let server = Server::start().await;
    assert_eq!(server.query("{ bearer }").await.json()["data"]["bearer"], Value::Null);
    assert_eq!(server.query_as("good", "{ bearer }").await.json()["data"]["bearer"], "good");

    let bad = server.query_as("bad", "{ hello }").await;
    assert_eq!((bad.status, bad.code().as_str()), (401, "UNAUTHENTICATED"));
    assert_eq!(bad.header("www-authenticate"), "Bearer");
    assert!(bad.json().get("data").is_none());
    let basic = reply(server.post(&json!({"query": "{ hello }"})).header("authorization", "Basic eDp5")).await;
    assert_eq!((basic.status, basic.code().as_str()), (401, "UNAUTHENTICATED"));

    let down = server.query_as("down", "{ hello }").await;
    assert_eq!((down.status, down.code().as_str()), (503, "UNAVAILABLE"));
    assert!(!down.text.contains("hunter2"));
}

#[tokio::test]
async fn nothing_of_the_inside_leaves() {
    let server = Server::start().await;
    let leak = server.query("{ leak }").await;
    assert_eq!((leak.status, leak.code().as_str()), (200, "INTERNAL"));
    let panic = server.query("{ panics }").await;
    assert_eq!((panic.status, panic.code().as_str()), (500, "INTERNAL"));
    let gate = server.query_as("gate-panics", "{ hello }").await;
    assert_eq!((gate.status, gate.code().as_str()), (500, "INTERNAL"));
    for answer in [leak, panic, gate] {
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
        assert_eq!(answer.json()["errors"][0]["extensions"]["requestId"], answer.header("x-request-id"));
        assert!(answer.message().contains("contact support"));
    }
    // What follows an execution is awaited after a panic too; the gate's panic came before.
    assert_eq!(server.finished.load(Ordering::SeqCst), 2);
    assert_eq!(server.query("{ hello }").await.status, 200);
}

#[tokio::test]
async fn messages_are_in_the_callers_language() {
    let server = Server::start().await;
    let ask = async |language: &str, query: &str| {
        let request = server.client.post(server.url()).header("content-type", "application/json");
        reply(request.header("accept-language", language).body(json!({"query": query}).to_string())).await.message()
    };
    assert!(ask("zh-CN", "{ missing }").await.starts_with("没有找到"));
    assert!(ask("en", "{ missing }").await.starts_with("Nothing was found"));
    assert!(ask("zh-CN", "subscription { quiet }").await.starts_with("订阅需要流"));
}

#[tokio::test]
async fn an_operation_that_hangs_is_timed_out() {
    let server = Server::with(|settings| settings.timeout = Duration::from_millis(50)).await;
    let answer = server.query("{ hangs }").await;
    assert_eq!((answer.status, answer.code().as_str()), (504, "TIMED_OUT"));
    assert_eq!(server.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn answers_are_compressed_and_streams_are_not() {
    let server = Server::start().await;
    let ask = async |accept: &str, query: &str| {
        let request = server.post(&json!({"query": query})).header("accept-encoding", "gzip");
        let response = request.header("accept", accept).send().await.unwrap();
        response.headers().get("content-encoding").map(|coding| coding.to_str().unwrap().to_owned())
    };
    assert_eq!(ask("application/json", "{ long }").await.as_deref(), Some("gzip"));
    assert_eq!(ask("application/json", "{ hello }").await, None);
    let stream = server.client.post(server.url()).header("content-type", "application/json");
    let stream = stream.header("accept", "text/event-stream").header("accept-encoding", "gzip");
    let stream = reply(stream.body(json!({"query": "{ long }"}).to_string())).await;
    assert_eq!(stream.header("content-encoding"), "");
    assert!(stream.text.contains("long long"));
}

#[tokio::test]
async fn other_origins_call_only_where_they_may() {
    let server = Server::with(|settings| {
        settings.origins = Origins::Asked(std::sync::Arc::new(|origin| origin.ends_with(".example")));
    })
    .await;
    let preflight = async |origin: &str| {
        let request = server.client.request(reqwest::Method::OPTIONS, server.url()).header("origin", origin);
        reply(request.header("access-control-request-method", "POST")).await
    };
    let allowed = preflight("https://shop.example").await;
    assert_eq!(allowed.header("access-control-allow-origin"), "https://shop.example");
    assert!(allowed.header("access-control-allow-headers").contains("authorization"));
    assert_eq!(preflight("https://evil.test").await.header("access-control-allow-origin"), "");
    let closed = Server::start().await;
    let request = closed.post(&json!({"query": "{ hello }"})).header("origin", "https://shop.example");
    assert_eq!(reply(request).await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn the_explorer_is_served_to_browsers_in_development_only() {
    let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
    let ask = async |server: &Server| reply(server.client.get(server.url()).header("accept", browser)).await;
    let page = ask(&Server::with(|settings| settings.explorer = true).await).await;
    assert!(page.status == 200 && page.text.contains("GraphiQL"), "{}", page.text);
    let refused = ask(&Server::start().await).await;
    assert!(refused.status == 400 && !refused.text.contains("<html"), "{}", refused.text);
}

#[tokio::test]
async fn operations_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // The test's runtime has one thread, so the server's tasks see the recorder as well.
    let _local = metrics::set_default_local_recorder(&recorder);
    let server = Server::start().await;
    for query in ["{ hello }", "{ missing }", "{ panics }", "{ nope", "mutation { touch }"] {
        server.query(query).await;
    }
    let figures = handle.render();
    for expected in [
        "graphql_operations_total{kind=\"query\",outcome=\"ok\"} 1",
        "graphql_operations_total{kind=\"query\",outcome=\"failed\"} 1",
        "graphql_operations_total{kind=\"query\",outcome=\"panicked\"} 1",
        "graphql_operations_total{kind=\"unknown\",outcome=\"refused\"} 1",
        "graphql_operations_total{kind=\"mutation\",outcome=\"ok\"} 1",
        "graphql_operation_seconds_count{kind=\"query\"} 3",
    ] {
        assert!(figures.contains(expected), "{expected} is not in\n{figures}");
    }
}
