//! What PostgreSQL's catalogue must say of the schema, whatever migration comes next.

use minthouse::platform::db::{inspect, migrate};

use crate::embedded::ask;
use crate::support::app::{Beginning, copy};
use crate::support::cluster;

/// Tables whose keys do not begin with a tenant: a name in the directory is found before its tenant is known.
const NOT_A_TENANTS: [&str; 3] = ["directory_entries", "persons", "evm_accounts"];

/// Tables that belong to no tenant at all, and that no tenant's role may see.
const THE_HOUSES: [&str; 1] = ["evm_accounts"];

/// Indexes for the house, which asks across tenants: its queue of reviews, and one of them by its ID.
const ACROSS_TENANTS: [&str; 2] = ["reviews_id_index", "reviews_queue_index"];

async fn empty() -> String {
    let database = copy(Beginning::Empty).await;
    cluster::shared().url("minthouse_owner", &database)
}

/// The first column of each row, joined by commas; empty where nothing is wrong.
fn names(url: &str, query: &str) -> String {
    ask(url, &format!("SELECT coalesce(string_agg(name, ', ' ORDER BY name), '') FROM ({query}) AS found (name)"))
}

fn exempt() -> String {
    NOT_A_TENANTS.map(quoted).join(", ")
}

fn quoted(name: &str) -> String {
    format!("'{name}'")
}

#[tokio::test]
async fn the_tenant_comes_first_in_every_key_and_index() {
    let url = empty().await;
    let wrong = names(
        &url,
        &format!(
            "SELECT index.relname FROM pg_index
               JOIN pg_class AS index ON index.oid = pg_index.indexrelid
               JOIN pg_class AS relation ON relation.oid = pg_index.indrelid
               LEFT JOIN pg_attribute AS first ON first.attrelid = pg_index.indrelid AND first.attnum = pg_index.indkey[0]
              WHERE relation.relnamespace = 'public'::regnamespace AND relation.relname <> '__diesel_schema_migrations'
                AND relation.relname NOT IN ({}) AND index.relname NOT IN ({}) AND first.attname IS DISTINCT FROM 'tenant_id'",
            exempt(),
            ACROSS_TENANTS.map(quoted).join(", ")
        ),
    );
    assert_eq!(wrong, "");
    let tables = ask(
        &url,
        "SELECT count(*)::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
    );
    assert!(tables.parse::<u32>().expect("a number") > 30, "the query looks at the real schema");
}

#[tokio::test]
async fn every_foreign_key_carries_the_tenant_at_the_same_place_and_is_indexed() {
    let url = empty().await;
    let foreign_keys = "pg_constraint AS fk JOIN pg_class AS relation ON relation.oid = fk.conrelid
        WHERE fk.contype = 'f' AND relation.relnamespace = 'public'::regnamespace AND NOT relation.relispartition";
    let without_tenant = names(
        &url,
        &format!(
            "SELECT fk.conname FROM {foreign_keys} AND NOT EXISTS (
                SELECT FROM unnest(fk.conkey, fk.confkey) AS pair (own, other)
                  JOIN pg_attribute AS a ON a.attrelid = fk.conrelid AND a.attnum = pair.own
                  JOIN pg_attribute AS b ON b.attrelid = fk.confrelid AND b.attnum = pair.other
                 WHERE a.attname = 'tenant_id' AND b.attname = 'tenant_id')"
        ),
    );
    assert_eq!(without_tenant, "");
    let not_indexed = names(
        &url,
        &format!(
            "SELECT fk.conname FROM {foreign_keys} AND NOT EXISTS (
                SELECT FROM pg_index WHERE pg_index.indrelid = fk.conrelid AND pg_index.indpred IS NULL
                   AND (pg_index.indkey::int2[])[0:cardinality(fk.conkey) - 1] @> fk.conkey)"
        ),
    );
    assert_eq!(not_indexed, "");
    let acting = names(
        &url,
        &format!("SELECT fk.conname FROM {foreign_keys} AND (fk.confdeltype <> 'a' OR fk.confupdtype <> 'a')"),
    );
    assert_eq!(acting, "", "a key that deletes or updates of itself cannot be distributed");
}

#[tokio::test]
async fn row_security_is_on_for_every_table_and_partition_and_asks_no_other_table() {
    let url = empty().await;
    assert_eq!(inspect::tables_without_row_security(&url).await.expect("it answers"), Vec::<String>::new());
    let sub_selects = names(
        &url,
        "SELECT tablename || '.' || policyname FROM pg_policies WHERE schemaname = 'public'
            AND (qual ILIKE '%select%' OR with_check ILIKE '%select%')",
    );
    assert_eq!(sub_selects, "");
    let houses = THE_HOUSES.map(quoted).join(", ");
    let without_wall = names(
        &url,
        &format!(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
                AND relname <> '__diesel_schema_migrations' AND relname NOT IN ({houses})
                AND NOT EXISTS (SELECT FROM pg_policies WHERE tablename = relname AND policyname = 'tenant'
                    AND qual = '(tenant_id = (current_setting(''app.tenant_id''::text))::uuid)' AND with_check = qual)"
        ),
    );
    assert_eq!(without_wall, "");
    let shown = names(
        &url,
        &format!(
            "SELECT grantee || ' ' || table_name FROM information_schema.role_table_grants
              WHERE table_name IN ({houses}) AND grantee NOT IN ('minthouse_owner', 'minthouse_house')"
        ),
    );
    assert_eq!(shown, "", "what is the house's is shown to nobody else");
}

#[tokio::test]
async fn what_is_append_only_cannot_be_changed_by_the_server() {
    let url = empty().await;
    let rights = names(
        &url,
        "SELECT table_name || ' ' || privilege_type || ' ' || grantee FROM information_schema.role_table_grants
          WHERE grantee LIKE 'minthouse\\_%' AND grantee <> 'minthouse_owner' AND privilege_type NOT IN ('SELECT', 'INSERT')
            AND table_name IN ('audit_records', 'stock_entries', 'chance_entries', 'draws', 'events', 'ledger_blocks', 'ledger_checkpoints', 'data_keys',
                'audit_links', 'branches', 'real_name_verifications', 'collectible_changes', 'series_changes',
                'prize_plans', 'prizes', 'prize_plan_tags', 'prize_lots', 'draw_terms', 'draw_anchors')",
    );
    assert_eq!(rights, "");
    let deletes = names(
        &url,
        "SELECT table_name FROM information_schema.role_table_grants
          WHERE grantee IN ('minthouse_tenant', 'minthouse_holder', 'minthouse_house', 'minthouse_partner') AND privilege_type IN ('DELETE', 'TRUNCATE')",
    );
    assert_eq!(
        deletes,
        "audit_waiting, blocked_phones, collectible_stocks, collectibles, consultations, documents, draw_origins, holder_identities, holder_tags, idempotency_keys, media, outbox, participation_phones, persons, \
         recovery_codes, refresh_tokens, sso_attempts, sso_tickets, throttles, used_assertions, verification_codes"
    );
    let writes = names(
        &url,
        "SELECT table_name || ' ' || privilege_type FROM information_schema.role_table_grants
          WHERE grantee IN ('minthouse_holder', 'minthouse_partner') AND privilege_type <> 'SELECT'",
    );
    assert_eq!(writes, "", "a holder's and a partner's role only read");
}

#[tokio::test]
async fn nothing_stands_in_the_way_of_distributing_the_schema() {
    let url = empty().await;
    let namespace = "relnamespace = 'public'::regnamespace";
    assert_eq!(
        names(&url, &format!("SELECT relname FROM pg_class WHERE {namespace} AND relkind = 'S'")),
        "",
        "sequences"
    );
    assert_eq!(
        names(
            &url,
            &format!(
                "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE {namespace} AND NOT tgisinternal"
            )
        ),
        "",
        "triggers"
    );
    assert_eq!(
        names(&url, "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'"),
        "",
        "enum types"
    );
    assert_eq!(
        names(
            &url,
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosrc ILIKE '%notify%'"
        ),
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_roles_hold_and_doctor_would_see_if_they_did_not() {
    let url = empty().await;
    assert_eq!(inspect::unsafe_roles(&url).await.expect("it answers"), Vec::new());
    // A role of another name: the real ones belong to the whole cluster, and other tests are using them.
    ask(&url, "CREATE TABLE open_to_all (tenant_id uuid)");
    assert_eq!(inspect::tables_without_row_security(&url).await.expect("it answers"), ["open_to_all"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_rs_is_what_the_database_says() {
    let printed = ask(&empty().await, include_str!("schema.sql"));
    let words =
        |text: &str| text.split_whitespace().map(|word| word.trim_end_matches(',').to_owned()).collect::<Vec<_>>();
    // Formatting may break lines where the database does not.
    let committed = include_str!("../../src/schema.rs");
    assert_eq!(
        words(committed),
        words(&printed),
        "apply the migrations and print src/schema.rs anew, see migrations/README.md"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_migration_can_be_taken_back_over_data_and_made_again() {
    let database = copy(Beginning::Small).await;
    let url = cluster::shared().url("minthouse_owner", &database);
    let now = chrono::DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
    assert_eq!(migrate::migrate(&url, now, |_| ()).await.expect("it runs"), 0, "a second run finds nothing to do");
    assert_eq!(migrate::revert_all(&url).await.expect("all can be reverted"), migrate::count());
    let left = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> '__diesel_schema_migrations'";
    assert_eq!(names(&url, left), "");
    assert_eq!(migrate::migrate(&url, now, |_| ()).await.expect("it runs"), migrate::count());
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_reach_a_year_ahead_and_what_lies_beyond_still_lands() {
    let url = empty().await;
    for table in migrate::PARTITIONED {
        let count = ask(&url, &format!("SELECT count(*)::text FROM pg_inherits WHERE inhparent = '{table}'::regclass"));
        assert_eq!(count, "14", "thirteen months and the default of {table}");
    }
    // A UUIDv7 of 2126, and one of the second month.
    let place = |id: &str| {
        ask(
            &url,
            &format!(
                "WITH added AS (INSERT INTO events (tenant_id, id, sequence, type, subject_id, subject_version, data, occurred_at)
                    VALUES (gen_random_uuid(), '{id}', 1, 'x', gen_random_uuid(), 1, '{{}}', now()) RETURNING tableoid)
                 SELECT tableoid::regclass::text FROM added"
            ),
        )
    };
    assert_eq!(place("047d2f5b-a000-7000-8000-000000000000"), "events_default");
    let october = uuid::Uuid::from_u128(1_791_500_000_000u128 << 80 | 0x7000 << 64 | 0x8000 << 48);
    assert_eq!(place(&october.to_string()), "events_2026_10");
}

#[test]
fn the_committed_contract_is_what_the_server_serves() {
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/graphql/schema.graphql")).unwrap_or_default();
    let served = minthouse::api::schema::sdl();
    if committed != served {
        let line = committed.lines().zip(served.lines()).take_while(|(old, new)| old == new).count() + 1;
        panic!("graphql/schema.graphql differs from line {line} on; run `make schema` and look at the difference");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_with_another_master_key_is_kept_out() {
    let url = empty().await;
    migrate::bind_master_key(&url, "0123").await.expect("the first binds");
    migrate::bind_master_key(&url, "0123").await.expect("the same may come again");
    let refused = migrate::bind_master_key(&url, "4567").await.expect_err("another may not").to_string();
    assert!(refused.contains("another master key") && refused.contains("--data-dir"), "{refused}");
}

/// What a message or a description tells people to use, there is.
#[test]
fn what_messages_name_is_in_the_contract() {
    let sdl = minthouse::api::schema::sdl();
    let is_name = |word: &&str| {
        let camel = word.chars().skip(1).any(char::is_uppercase) && word.starts_with(char::is_lowercase);
        camel && word.chars().all(char::is_alphanumeric)
    };
    // Without what stands between backticks, which is what is looked for.
    let outside: String = sdl.split('`').step_by(2).collect();
    let known: std::collections::BTreeSet<&str> = outside.split(|letter: char| !letter.is_alphanumeric()).collect();
    let named = sdl.split('`').skip(1).step_by(2).flat_map(|quoted| quoted.split('.'));
    let missing: std::collections::BTreeSet<&str> =
        named.filter(is_name).filter(|word| !known.contains(word)).collect();
    assert_eq!(missing, std::collections::BTreeSet::new());
}
