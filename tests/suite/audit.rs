//! The audit log: nothing is left out, nothing can be changed unnoticed, and nobody sees another's.

use std::process::Command;

use futures_util::future::join_all;
use minthouse::tenancy::audit;
use minthouse::tenancy::audit::chain::{Follower, Line};
use minthouse::tenancy::audit::check::{Checked, Finding, check};
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::scope::TenantScope;
use serde_json::{Value, json};

use crate::support::app::{TestApp, client, text};
use crate::support::play::until;

const NEW_SERIES: &str = "mutation { seriesCreate(input: {name: {chinese: \"系\", english: \"S\"}, description: {chinese: \"\", english: \"\"}}) {
    series { id } userErrors { code } } }";
const LIST: &str = "query($filter: AuditFilterInput, $first: Int, $after: String) {
    auditRecords(filter: $filter, first: $first, after: $after, orderBy: CREATED_AT_ASC) {
        totalCount pageInfo { endCursor hasNextPage }
        nodes { id actorKind actorId action subjectId beforeDigest afterDigest requestId createdAt sequence hash } } }";

/// Writes records that say nothing, all in one transaction.
async fn write(app: &TestApp, slug: &str, count: usize) {
    let scope = TenantScope::of_system(app.enterprise(slug).await);
    let tx = scope.write(&app.app.platform.database).await.expect("the database answers");
    for number in 0..count {
        let subject = uuid::Uuid::from_u128(number as u128);
        audit::record_in(&tx, "test", subject, None, &number).await.expect("it can be written");
    }
    tx.commit().await.expect("it can be written");
}

async fn checked(app: &TestApp, slug: &str) -> Checked {
    check(&app.app.platform, app.enterprise(slug).await).await.expect("the database answers")
}

fn export(app: &TestApp, token: &str, query: &str) -> reqwest::RequestBuilder {
    client().get(format!("http://{}/exports/audit.ndjson{query}", app.address)).bearer_auth(token)
}

async fn exported(app: &TestApp, token: &str, query: &str) -> Vec<String> {
    let answer = export(app, token, query).send().await.expect("it answers");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    answer.text().await.expect("it arrives whole").lines().map(str::to_owned).collect()
}

fn follow(lines: &[String]) -> Vec<Line> {
    let mut follower = Follower::default();
    lines.iter().map(|line| follower.read(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_changes_at_once_on_two_servers_leave_no_gap() {
    let app = TestApp::start().await;
    let other = TestApp::builder().start_beside(&app).await;
    let owner = app.owner("alpha").await;
    let race = (0..200).map(|number| (if number % 2 == 0 { &app } else { &other }).done(&owner, NEW_SERIES, json!({})));
    join_all(race).await;
    until("every record is linked", async || app.count("SELECT count(*)::text FROM audit_waiting") == 0).await;
    let made = "SELECT count(*)::text FROM audit_records JOIN enterprises USING (tenant_id) WHERE slug = 'alpha'";
    let records = app.count(made);
    assert!(records >= 200, "{records}");
    let whole = Checked { chain: Finding::Whole { links: records }, late: 0, lost: 0 };
    assert_eq!(checked(&app, "alpha").await, whole);
    let lines = follow(&exported(&app, &owner, "").await);
    assert!(lines.iter().map(|line| line.sequence).eq(1..=records));
    assert_eq!(
        lines.iter().filter(|line| line.action == "seriesCreate").count() as i64,
        200 + series_of_the_manifest(&app)
    );
}

fn series_of_the_manifest(app: &TestApp) -> i64 {
    app.count("SELECT count(*)::text FROM series JOIN enterprises USING (tenant_id) WHERE slug = 'alpha' AND series.name_english <> 'S'")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_role_can_only_add() {
    let app = TestApp::builder().idle().start().await;
    app.settle().await;
    let tenant = app.sql("SELECT tenant_id FROM enterprises WHERE slug = 'alpha'");
    let url = app.role_url("minthouse_tenant");
    let (server, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("it connects");
    tokio::spawn(connection);
    let attempt = async |sql: &str| {
        let sql = format!("BEGIN; SET LOCAL app.tenant_id = '{tenant}'; {sql}");
        let outcome = server.simple_query(&sql).await;
        server.simple_query("ROLLBACK").await.expect("it answers");
        outcome.map(|_| ()).map_err(|error| error.as_db_error().map_or("", |error| error.message()).to_owned())
    };
    assert_eq!(attempt("SELECT count(*) FROM audit_records").await, Ok(()), "the role and its setting are right");
    for table in ["audit_records", "audit_links"] {
        for change in ["UPDATE {} SET created_at = now()", "DELETE FROM {}", "TRUNCATE {}", "SELECT FROM {} FOR UPDATE"]
        {
            let outcome = attempt(&change.replace("{}", table)).await;
            assert_eq!(outcome, Err(format!("permission denied for table {table}")), "{change}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_owner_of_the_database_changes_is_found_and_named() {
    let app = TestApp::builder().idle().start().await;
    app.settle().await;
    write(&app, "alpha", 3).await;
    app.settle().await;
    let Checked { chain: Finding::Whole { links }, late: 0, lost: 0 } = checked(&app, "alpha").await else {
        panic!("the chain is whole before anybody touches it")
    };
    app.sql("CREATE TABLE kept_records AS SELECT * FROM audit_records");
    app.sql("CREATE TABLE kept_links AS SELECT * FROM audit_links");
    let alpha = "tenant_id = (SELECT tenant_id FROM enterprises WHERE slug = 'alpha')";
    let third = format!("{alpha} AND id = (SELECT record_id FROM audit_links WHERE {alpha} AND sequence = 3)");
    let link = format!("{alpha} AND sequence = 3");

    // A new value for each type that a column can have.
    let other = |column: &str, kind: &str| match (column, kind) {
        ("actor_kind", _) => format!("CASE {column} WHEN 'HOUSE' THEN 'SYSTEM' ELSE 'HOUSE' END"),
        (_, "uuid") => "gen_random_uuid()".to_owned(),
        (_, "text") => format!("{column} || 'x'"),
        (_, "bytea") => format!("coalesce({column}, '') || '\\x00'::bytea"),
        (_, "timestamp with time zone") => format!("{column} + interval '1 microsecond'"),
        (_, "bigint") => format!("{column} + 1000000"),
        other => panic!("no change is known for {other:?}"),
    };
    let mut tried = 0;
    for (table, row, exempt) in [("audit_records", &third, "tenant_id"), ("audit_links", &link, "tenant_id")] {
        let columns = format!(
            "SELECT string_agg(column_name || '=' || data_type, ',' ORDER BY ordinal_position) FROM information_schema.columns
              WHERE table_schema = 'public' AND table_name = '{table}' AND column_name <> '{exempt}'"
        );
        for column in app.sql(&columns).split(',') {
            let (column, kind) = column.split_once('=').expect("a name and a type");
            app.sql(&format!("UPDATE {table} SET {column} = {} WHERE {row}", other(column, kind)));
            let Finding::Broken { sequence, why } = checked(&app, "alpha").await.chain else {
                panic!("{table}.{column} can be changed unnoticed")
            };
            // A link that was moved to another number leaves its place empty: the next one stands there.
            let place = if column == "sequence" { 4 } else { 3 };
            assert_eq!(sequence, place, "{table}.{column}: {why}");
            restore(&app);
            tried += 1;
        }
    }
    assert_eq!(tried, 9 + 4, "every column but the tenant's");
    let beta = "(SELECT tenant_id FROM enterprises WHERE slug = 'beta')";
    for (change, place) in [
        (format!("UPDATE audit_records SET tenant_id = {beta} WHERE {third}"), 3),
        (format!("DELETE FROM audit_records WHERE {third}"), 3),
        (format!("DELETE FROM audit_links WHERE {link}"), 4),
        (format!("DELETE FROM audit_links WHERE {alpha} AND sequence = 1"), 2),
        // Two records exchange their places.
        (format!("UPDATE audit_links SET record_id = gen_random_uuid() WHERE {link};
            UPDATE audit_links AS a SET record_id = b.record_id FROM kept_links AS b WHERE a.{alpha} AND b.{alpha} AND a.sequence = 4 AND b.sequence = 3;
            UPDATE audit_links AS a SET record_id = b.record_id FROM kept_links AS b WHERE a.{alpha} AND b.{alpha} AND a.sequence = 3 AND b.sequence = 4"), 3),
    ] {
        app.sql(&change);
        let Finding::Broken { sequence, why } = checked(&app, "alpha").await.chain else { panic!("unnoticed: {change}") };
        assert_eq!(sequence, place, "{why}: {change}");
        restore(&app);
    }

    // At the chain's end nothing follows that could miss it; what is left of the record tells.
    app.sql(&format!("DELETE FROM audit_links WHERE {alpha} AND sequence = {links}"));
    let torn = checked(&app, "alpha").await;
    assert_eq!(torn, Checked { chain: Finding::Whole { links: links - 1 }, late: 0, lost: 1 });
    restore(&app);
    app.sql(&format!("INSERT INTO audit_records (tenant_id, id, actor_kind, actor_id, action, subject_id, after_digest, request_id)
        SELECT tenant_id, gen_random_uuid(), 'HOUSE', tenant_id, 'slipped in', tenant_id, '', '' FROM enterprises WHERE {alpha}"));
    assert_eq!(checked(&app, "alpha").await.lost, 1);
    restore(&app);
    assert_eq!(checked(&app, "alpha").await, Checked { chain: Finding::Whole { links }, late: 0, lost: 0 });

    // What waits is in order for a while, and not for long.
    write(&app, "alpha", 2).await;
    assert_eq!(checked(&app, "alpha").await.late, 0);
    app.sql("UPDATE audit_records SET created_at = now() - interval '6 minutes' WHERE id IN (SELECT record_id FROM audit_waiting)");
    assert_eq!(checked(&app, "alpha").await, Checked { chain: Finding::Whole { links }, late: 2, lost: 0 });
    // A record that is gone before it was linked: the others go on, and the job says so instead of keeping silent.
    app.sql("DELETE FROM audit_records WHERE id = (SELECT min(record_id::text)::uuid FROM audit_waiting)");
    let fault = app.app.settle().await.expect_err("one is gone");
    assert!(fault.with_causes().contains("1 audit records are gone"), "{}", fault.with_causes());
    assert_eq!(checked(&app, "alpha").await.chain, Finding::Whole { links: links + 1 });
}

fn restore(app: &TestApp) {
    for (table, kept) in [("audit_links", "kept_links"), ("audit_records", "kept_records")] {
        app.sql(&format!("DELETE FROM {table}"));
        app.sql(&format!("INSERT INTO {table} SELECT * FROM {kept}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_whole_and_holds_nothing_of_anothers() {
    let app = TestApp::builder().idle().start().await;
    // More than what is read at a time, in both.
    write(&app, "alpha", 1203).await;
    write(&app, "beta", 700).await;
    app.settle().await;
    let (alpha, beta) = (app.owner("alpha").await, app.owner("beta").await);
    let lines = exported(&app, &alpha, "").await;
    let read = follow(&lines);
    let own = app.enterprise("alpha").await;
    let of = |slug: &str| {
        app.count(&format!(
            "SELECT count(*)::text FROM audit_records JOIN enterprises USING (tenant_id) WHERE slug = '{slug}'"
        ))
    };
    assert_eq!(read.len() as i64, of("alpha"));
    assert!(read.len() > 1203 && read.iter().all(|line| line.enterprise == own));
    assert!(read.iter().map(|line| line.sequence).eq(1..=of("alpha")));
    let others: Vec<_> = follow(&exported(&app, &beta, "").await).into_iter().map(|line| line.id).collect();
    assert_eq!(others.len() as i64, of("beta"));
    assert!(read.iter().all(|line| !others.contains(&line.id)));

    // Taken up again anywhere, it goes on where it was left.
    for after in [0, 1, 499, 500, 501, 1000, read.len() - 1] {
        assert_eq!(exported(&app, &alpha, &format!("?after={after}")).await, lines[after..], "after {after}");
    }
    for end in [read.len(), read.len() + 1, 1_000_000] {
        assert_eq!(exported(&app, &alpha, &format!("?after={end}")).await, Vec::<String>::new());
    }
    let house = follow(&exported(&app, &app.house(Role::Auditor).await, "").await);
    let house_id = app.enterprise("house").await;
    assert!(house.iter().all(|line| line.enterprise == house_id), "the house sees its own and no enterprise's");

    let holder = app.person("alpha", 1).await.token;
    let campaigner = app.operator("alpha", Role::Operator).await;
    for (token, query, status, code) in [
        (Some(&holder), "", 403, "FORBIDDEN"),
        (Some(&campaigner), "", 403, "FORBIDDEN"),
        (None, "", 401, "UNAUTHENTICATED"),
        (Some(&"nonsense".to_owned()), "", 401, "UNAUTHENTICATED"),
        (Some(&alpha), "?after=-1", 400, "BAD_REQUEST"),
        (Some(&alpha), "?before=1", 400, "BAD_REQUEST"),
    ] {
        let mut request = client().get(format!("http://{}/exports/audit.ndjson{query}", app.address));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.header("x-request-id", "mine").send().await.expect("it answers");
        assert_eq!(answer.status().as_u16(), status, "{query}");
        assert_eq!(answer.headers()["x-request-id"], "mine");
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!((&body["code"], &body["requestId"]), (&json!(code), &json!("mine")), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_checked_without_a_house() {
    let app = TestApp::builder().idle().start().await;
    write(&app, "alpha", 5).await;
    app.settle().await;
    let lines = exported(&app, &app.owner("alpha").await, "").await;
    let folder = std::env::temp_dir().join(format!("minthouse-audit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let verify = |lines: &[String]| {
        let file = folder.join("audit.ndjson");
        std::fs::write(&file, lines.join("\n") + "\n").expect("the folder is ours");
        let mut command = Command::new(env!("CARGO_BIN_EXE_minthouse"));
        let output = command.args(["audit", "verify"]).arg(&file).current_dir(&folder).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (whole, said) = verify(&lines);
    assert!(whole && said.contains(&format!("{} records", lines.len())), "{said}");
    let (whole, said) = verify(&lines[2..]);
    assert!(whole && said.contains("it begins after record 2"), "{said}");
    let mut changed = lines.clone();
    changed[3] = changed[3].replacen("\"action\":\"", "\"action\":\"not ", 1);
    let (whole, said) = verify(&changed);
    assert!(!whole && said.contains("line 4:"), "{said}");
    changed.clone_from(&lines);
    changed.remove(1);
    let (whole, said) = verify(&changed);
    assert!(!whole && said.contains("line 2:") && said.contains("3 where 2 is due"), "{said}");
    std::fs::remove_dir_all(folder).expect("it is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_who_what_and_when() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    write(&app, "beta", 3).await;
    let made = "mutation { apiClientCreate(input: {name: \"C\", scopes: [CATALOG_READ]}) { client { id } userErrors { code } } }";
    let machine = text(&app.done(&owner, made, json!({})).await["client"]["id"]);
    for round in ["Disable", "Enable"] {
        let change = format!(
            "mutation($id: ID!) {{ apiClient{round}(input: {{id: $id}}) {{ client {{ id }} userErrors {{ code }} }} }}"
        );
        app.done(&owner, &change, json!({ "id": machine })).await;
    }
    let find = async |filter: Value| {
        let found = app.ok(Some(&owner), LIST, json!({ "filter": filter, "first": 200 })).await["auditRecords"].take();
        assert_eq!(found["totalCount"], json!(found["nodes"].as_array().map(Vec::len)), "{filter}");
        found["nodes"].as_array().expect("a list").clone()
    };
    let actions = |records: &[Value]| records.iter().map(|record| text(&record["action"])).collect::<Vec<_>>();
    let own = find(json!({ "subjectId": machine })).await;
    assert_eq!(actions(&own), ["apiClientCreate", "apiClientDisable", "apiClientEnable"]);
    assert!(own[0]["beforeDigest"].is_null() && own[1]["beforeDigest"].is_string(), "{own:#?}");
    assert_eq!(own[1]["afterDigest"], own[2]["beforeDigest"], "what was after is what was before");
    assert!(own.iter().all(|record| record["sequence"].is_null() && record["hash"].is_null()), "not linked yet");
    assert_eq!(find(json!({ "subjectId": own[0]["subjectId"] })).await, own, "as the record itself shows it");

    app.settle().await;
    let own = find(json!({ "subjectId": machine })).await;
    assert!(own.iter().all(|record| record["sequence"].is_i64() && record["hash"].as_str().map(str::len) == Some(64)));
    let actor = text(&own[0]["actorId"]);
    assert!(actor.starts_with("operator_"), "{actor}");
    assert_eq!(find(json!({ "actorId": actor })).await, own);
    assert_eq!(find(json!({ "action": "apiClientDisable" })).await, own[1..2]);
    let moment = text(&own[1]["createdAt"]);
    let from = find(json!({ "from": moment })).await;
    let until = find(json!({ "until": moment })).await;
    assert_eq!(actions(&from), ["apiClientDisable", "apiClientEnable"]);
    let all = find(json!({})).await;
    assert_eq!([until.clone(), from].concat(), all);
    assert!(actions(&until).contains(&"apiClientCreate".to_owned()) && !actions(&all).contains(&"test".to_owned()));

    // A page at a time, each record once.
    let (mut walked, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = app.ok(Some(&owner), LIST, json!({ "first": 2, "after": after })).await["auditRecords"].take();
        walked.extend(page["nodes"].as_array().expect("a list").clone());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(walked, all);

    // The house looks at its own.
    let house = app.house(Role::Auditor).await;
    let seen = app.ok(Some(&house), LIST, json!({})).await["auditRecords"].take();
    assert!(!actions(seen["nodes"].as_array().expect("a list")).contains(&"apiClientCreate".to_owned()), "{seen:#}");
    let bad = app.send(Some(&owner), LIST, json!({ "filter": { "actorId": "somebody" } })).await;
    assert_eq!(bad["errors"][0]["extensions"]["code"], "BAD_REQUEST");
}
