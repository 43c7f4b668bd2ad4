//! What is of no use any more goes, and nothing that is young.

use minthouse::tenancy::sweep::Sweeper;
use minthouse::tenancy::worker::Job;

use serde_json::json;

use crate::support::app::{TestApp, text};
use crate::support::tenants::{ANNOUNCE, ARRIVED, pdf};

/// Rows of one table: an SQL text in which `{age}` is what was so long ago, and the ages in hours, first those that are
/// to go and then those that are to stay.
type Case = (&'static str, &'static str, [f64; 3], [f64; 3]);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("idempotency_keys", "(tenant_id, principal, operation, key, input_hash, created_at)
        SELECT tenant, gen_random_uuid(), 'test', name, '', {age}", [72.1, 100.0, 5000.0], [0.0, 1.0, 71.9]),
    ("sso_tickets", "(tenant_id, ticket_hash, vouched_by, voucher_id, operator_id, method, expires_at)
        SELECT tenant, convert_to(name, 'UTF8'), tenant, tenant, gen_random_uuid(), 'TICKET', {age}", [6.1, 7.0, 500.0], [-1.0, 0.0, 5.9]),
    ("used_assertions", "(tenant_id, assertion_hash, expires_at)
        SELECT tenant, convert_to(name, 'UTF8'), {age}", [6.1, 7.0, 500.0], [-1.0, 0.0, 5.9]),
    ("verification_codes", "(tenant_id, id, purpose, phone_hash, code_hash, expires_at)
        SELECT tenant, gen_random_uuid(), 'SIGN_IN', '', '', {age}", [25.1, 30.0, 500.0], [-1.0, 6.0, 24.9]),
    ("throttles", "(tenant_id, kind, key, count, began_at, last_at)
        SELECT tenant, 'TEST', convert_to(name, 'UTF8'), 3, now() - interval '5000 hours', {age}", [24.1, 30.0, 500.0], [0.0, 1.0, 23.9]),
    ("sso_attempts", "(tenant_id, state_hash, connection_id, browser_hash, verifier_sealed, nonce_hash, expires_at)
        SELECT tenant, convert_to(name, 'UTF8'), connection, '', '', '', {age}", [6.1, 7.0, 500.0], [-1.0, 0.0, 5.9]),
];

fn count(app: &TestApp, table: &str) -> i64 {
    app.count(&format!("SELECT count(*)::text FROM {table}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_and_nothing_that_is_young() {
    let app = TestApp::builder().idle().start().await;
    app.sql(
        "INSERT INTO sso_connections (tenant_id, id, name, issuer, client_id, scopes, role_claim, roles)
        SELECT tenant_id, tenant_id, 'c', 'https://i.example', 'c', '', '', '{}' FROM enterprises",
    );
    let before: Vec<i64> = CASES.iter().map(|(table, ..)| count(&app, table)).collect();
    // In two enterprises, and for what is counted before there is one.
    for (table, insert, old, young) in CASES {
        for (place, hours) in old.iter().chain(young).enumerate() {
            let insert = insert.replace("{age}", &format!("now() - interval '{hours} hours'"));
            let nobody = if *table == "throttles" {
                "UNION ALL SELECT '00000000-0000-0000-0000-000000000000'::uuid"
            } else {
                ""
            };
            app.sql(&format!(
                "INSERT INTO {table} {insert} FROM (SELECT tenant AS tenant, tenant AS connection, '{place}' AS name FROM
                    (SELECT tenant_id AS tenant FROM enterprises WHERE slug IN ('alpha', 'beta') {nobody}) AS tenants) AS wanted"
            ));
        }
    }
    // Batches smaller than what there is.
    let sweeper = Sweeper::new(app.app.platform.clone()).in_batches_of(2);
    let due = sweeper.tenants_due().await.expect("it answers");
    assert_eq!(due.len(), 3, "alpha, beta and nobody: {due:?}");
    for tenant in &due {
        sweeper.work(*tenant).await.expect("it can be swept");
    }
    for ((table, ..), before) in CASES.iter().zip(before) {
        let tenants = if *table == "throttles" { 3 } else { 2 };
        assert_eq!(count(&app, table) - before, 3 * tenants, "the young ones of {table} and no other");
    }
    let again = Sweeper::new(app.app.platform.clone());
    assert_eq!(again.tenants_due().await.expect("it answers"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_stays_as_long_as_its_session_could_be_told_of_a_theft() {
    let app = TestApp::builder().idle().start().await;
    // A session each: how long ago it ended by its time and by revocation, and its token's age; in days.
    for (name, expired, revoked, age, goes) in [
        ("gone", "8", "NULL", "98", true),
        ("gone by revocation", "-80", "8", "9", true),
        ("just gone", "6.9", "NULL", "90", false),
        ("just revoked", "-80", "6.9", "9", false),
        ("alive, its token used long ago", "-1", "NULL", "89", false),
        ("alive", "-89", "NULL", "1", false),
    ] {
        let revoked = match revoked {
            "NULL" => "NULL, NULL".to_owned(),
            days => format!("now() - interval '{days} days', 'SIGNED_OUT'"),
        };
        app.sql(&format!(
            "WITH session AS (INSERT INTO sessions (tenant_id, id, subject_kind, subject_id, method, expires_at, revoked_at, revoked_because)
                SELECT tenant_id, gen_random_uuid(), 'HOLDER', gen_random_uuid(), 'PHONE_CODE', now() - interval '{expired} days', {revoked}
                  FROM enterprises WHERE slug = 'alpha' RETURNING tenant_id, id)
             INSERT INTO refresh_tokens (tenant_id, token_hash, session_id, used_at, created_at)
             SELECT tenant_id, convert_to('{goes} {name}', 'UTF8'), id, now() - interval '{age} days', now() - interval '{age} days' FROM session"
        ));
    }
    let sweeper = Sweeper::new(app.app.platform.clone()).in_batches_of(1);
    for tenant in sweeper.tenants_due().await.expect("it answers") {
        sweeper.work(tenant).await.expect("it can be swept");
    }
    let left = "SELECT string_agg(convert_from(token_hash, 'UTF8'), ', ' ORDER BY token_hash) FROM refresh_tokens";
    assert_eq!(app.sql(left), "false alive, false alive, its token used long ago, false just gone, false just revoked");
    // What only an unfinished sweep leaves is looked for at once, everything else after a pause.
    assert_eq!(sweeper.tenants_due().await.expect("it answers"), [], "it pauses");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_was_never_completed_goes_with_its_file() {
    let app = TestApp::builder().idle().start().await;
    let owner = app.owner("alpha").await;
    let announce = json!({ "input": { "name": "a.pdf", "size": 10, "sha256": "00".repeat(32) } });
    let kept = app.document(&owner, &pdf("kept")).await;
    let sent = app.send_document(&owner, &pdf("sent and never completed")).await;
    let never = text(&app.done(&owner, ANNOUNCE, announce.clone()).await["document"]["id"]);
    app.sql("UPDATE documents SET created_at = now() - interval '25 hours'");
    let young = app.send_document(&owner, &pdf("young")).await;
    let files = || {
        let folder = app.objects_folder().join("document");
        let owners = std::fs::read_dir(folder).expect("there are documents").map(|entry| entry.expect("it").path());
        owners.map(|owner| std::fs::read_dir(owner).expect("a folder").count()).sum::<usize>()
    };
    assert_eq!(files(), 3);
    // An enterprise that has as many as it may waits for a day at most.
    app.sql(
        "INSERT INTO documents (tenant_id, id, name, created_at)
         SELECT tenant_id, gen_random_uuid(), 'full', now() - interval '23 hours' FROM enterprises, generate_series(1, 196)
          WHERE slug = 'alpha'",
    );
    assert_eq!(app.refused(&owner, ANNOUNCE, announce.clone()).await, ["TOO_MANY"]);

    let sweeper = Sweeper::new(app.app.platform.clone()).in_batches_of(1);
    let due = sweeper.tenants_due().await.expect("it answers");
    assert_eq!(due, [app.enterprise("alpha").await]);
    sweeper.work(due[0]).await.expect("it can be swept");
    assert_eq!(files(), 2, "a file that nobody completed goes with its row");
    for (id, there) in [(&kept, true), (&sent, false), (&never, false), (&young, true)] {
        let query = "query($id: ID!) { document(id: $id) { id } }";
        let seen = app.ok(Some(&owner), query, json!({ "id": id })).await;
        assert_eq!(seen["document"].is_object(), there, "{id}");
    }
    assert_eq!(app.refused(&owner, ARRIVED, json!({ "id": sent })).await, ["DOCUMENT_NOT_FOUND"]);
    app.done(&owner, ARRIVED, json!({ "id": young })).await;
    app.done(&owner, ANNOUNCE, announce).await;
    let again = Sweeper::new(app.app.platform.clone());
    assert_eq!(again.tenants_due().await.expect("it answers"), []);
}
