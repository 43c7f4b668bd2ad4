//! Whoever owns the database can change every row of the ledger, and an audit says which one it was.

use std::sync::Arc;

use minthouse::catalog::model::CollectibleId;
use minthouse::commands::ledger::{Doubt, compare, look_over};
use minthouse::commands::ledger_evm;
use minthouse::ledger::Ledger;
use minthouse::ledger::audit::{Audit, Wrong, audit};
use minthouse::ledger::checkpoint::{Checkpoint, LedgerKeys};
use minthouse::ledger::embedded::seal;
use minthouse::ledger::ledgers::Ledgers;
use minthouse::ledger::merkle::{Hash, Peaks};
use minthouse::ledger::model::{Block, LedgerKind};
use minthouse::ledger::store::chain;
use minthouse::platform::config::EvmOptions;
use minthouse::platform::vault::{SealingKey, hex};
use minthouse::tenancy::model::EnterpriseId;
use minthouse::tenancy::scope::TenantScope;
use serde_json::json;

use super::conformance::issue;
use crate::support::app::TestApp;
use crate::support::play::{GIVE, key};

struct House {
    app: TestApp,
    tenant: EnterpriseId,
}

impl House {
    fn embedded(&self) -> &dyn Ledger {
        &**self.app.app.ledgers.get(LedgerKind::Embedded).expect("every server has it")
    }

    /// With a chain of several blocks, in which pieces went from hand to hand.
    async fn set() -> Self {
        let app = TestApp::builder().idle().start().await;
        let tenant = app.enterprise("alpha").await;
        let house = Self { app, tenant };
        let (activity, _) = house.app.activity(&house.app.owner("alpha").await, "DRAW").await;
        let people = house.app.people("alpha", 3).await;
        for (place, person) in people.iter().enumerate() {
            let item = house.app.item(person, &activity).await;
            let to = &people[(place + 1) % people.len()].id;
            house.app.done(&person.token, GIVE, json!({ "item": item, "to": to, "key": key() })).await;
            house.app.settle().await;
        }
        // A block of two, so that there is an order.
        let runs = [7000, 8000].map(|first| issue(CollectibleId::generate(), first, 10));
        house.embedded().submit(tenant, &runs).await.expect("the database answers");
        house.app.settle().await;
        for (kept, table) in TABLES {
            house.app.sql(&format!("CREATE TABLE {kept} AS SELECT * FROM {table}"));
        }
        house
    }

    async fn audit(&self, seen: &[Checkpoint]) -> Audit {
        let app = &self.app.app;
        audit(&app.platform, &app.ledger_keys, self.tenant, seen).await.expect("the database answers")
    }

    async fn wrong(&self, why: &str) -> Wrong {
        match self.audit(&[]).await {
            Audit::Wrong(wrong) => wrong,
            whole => panic!("{why} was not found: {whole:?}"),
        }
    }

    /// Changes rows of `alpha`; `$t` stands for which.
    fn change(&self, sql: &str) {
        self.app.sql(&sql.replace("$t", &format!("tenant_id = '{}'", self.tenant.uuid())));
    }

    fn ask(&self, sql: &str) -> String {
        self.app.sql(&sql.replace("$t", &format!("tenant_id = '{}'", self.tenant.uuid())))
    }

    fn restore(&self) {
        for (_, table) in TABLES.iter().rev() {
            self.app.sql(&format!("DELETE FROM {table}"));
        }
        for (kept, table) in TABLES {
            self.app.sql(&format!("INSERT INTO {table} SELECT * FROM {kept}"));
        }
    }
}

const TABLES: [(&str, &str); 3] = [
    ("kept_blocks", "ledger_blocks"),
    ("kept_operations", "ledger_operations"),
    ("kept_checkpoints", "ledger_checkpoints"),
];

/// The second transfer of a piece, which has everything that an operation can have.
const SECOND: &str =
    "SELECT operation_id FROM ledger_operations WHERE $t AND kind = 'TRANSFER' AND from_holder_id IS NOT NULL
    ORDER BY block_number, position LIMIT 1";

#[tokio::test(flavor = "multi_thread")]
async fn each_changed_row_is_named() {
    let house = House::set().await;
    let whole = house.audit(&[]).await;
    assert!(matches!(whole, Audit::Whole { blocks: 4.., operations: 8.., checkpoints: 4.. }), "{whole:?}");
    let second = house.ask(SECOND);
    let block: i64 = house
        .ask(&format!("SELECT block_number::text FROM ledger_operations WHERE operation_id = '{second}'"))
        .parse()
        .expect("a number");
    let other = house.ask(&format!("SELECT id FROM holders WHERE $t AND id NOT IN (SELECT unnest(ARRAY[from_holder_id, to_holder_id]) FROM ledger_operations WHERE operation_id = '{second}') LIMIT 1"));

    for (column, value) in [
        ("payload", "payload || ' '".to_owned()),
        ("payload", "replace(payload, '\"block\"', '\"Block\"')".to_owned()),
        ("leaf", "sha256('another'::bytea)".to_owned()),
        ("collectible_id", "gen_random_uuid()".to_owned()),
        ("first_serial", "first_serial + 1000".to_owned()),
        ("piece_count", "2".to_owned()),
        ("from_holder_id", format!("'{other}'")),
        ("from_holder_id", "NULL".to_owned()),
        ("to_holder_id", format!("'{other}'")),
        ("position", "position + 1".to_owned()),
    ] {
        house.change(&format!("UPDATE ledger_operations SET {column} = {value} WHERE operation_id = '{second}'"));
        let wrong = house.wrong(column).await;
        assert_eq!((wrong.table, wrong.block), ("ledger_operations", block), "{column} = {value}: {wrong}");
        if column != "position" {
            assert_eq!(wrong.operation.map(|id| id.to_string()), Some(second.clone()), "{column} = {value}: {wrong}");
            assert_eq!(wrong.column, Some(column), "{column} = {value}: {wrong}");
        }
        house.restore();
    }
    // Its name on the ledger is a column too.
    house.change(&format!(
        "UPDATE ledger_operations SET operation_id = gen_random_uuid() WHERE operation_id = '{second}'"
    ));
    let wrong = house.wrong("another ID").await;
    assert_eq!((wrong.table, wrong.block, wrong.column), ("ledger_operations", block, Some("operation_id")), "{wrong}");
    house.restore();
    // Who writes record, leaf and columns anew in step still does not meet the block's root.
    house.change(&format!(
        "UPDATE ledger_operations SET first_serial = 59, payload = replace(payload, '\"firstSerial\":' || first_serial, '\"firstSerial\":59')
          WHERE operation_id = (SELECT operation_id FROM ledger_operations WHERE $t AND kind = 'TRANSFER' AND from_holder_id IS NULL ORDER BY block_number DESC, position DESC LIMIT 1) AND $t AND '{second}' <> ''"
    ));
    house.change("UPDATE ledger_operations SET leaf = sha256('\\x00'::bytea || convert_to(payload, 'UTF8')) WHERE $t AND payload IS NOT NULL");
    let wrong = house.wrong("a whole operation").await;
    assert!(wrong.table == "ledger_operations" && wrong.why.contains("written anew"), "{wrong}");
    house.restore();

    for (column, value) in [
        ("previous_hash", "sha256('another'::bytea)"),
        ("operations_root", "sha256('another'::bytea)"),
        ("operation_count", "operation_count + 1"),
        ("sealed_at", "sealed_at + interval '1 second'"),
        ("hash", "sha256('another'::bytea)"),
        ("subtrees", "subtrees || sha256('another'::bytea)"),
    ] {
        house.change(&format!("UPDATE ledger_blocks SET {column} = {value} WHERE $t AND number = {block}"));
        let wrong = house.wrong(column).await;
        assert_eq!((wrong.table, wrong.block), ("ledger_blocks", block), "{column}: {wrong}");
        // A hash or a time can have been anything: only that they do not fit can be told.
        let due = if ["sealed_at", "hash"].contains(&column) { None } else { Some(column) };
        assert_eq!(wrong.column, due, "{wrong}");
        house.restore();
    }
    assert_eq!(house.audit(&[]).await, whole, "and nothing else had changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_taken_out_put_in_or_moved_are_named() {
    let house = House::set().await;
    let issues = "SELECT count(*) FROM ledger_operations AS other WHERE other.tenant_id = ledger_operations.tenant_id AND other.block_number = ledger_operations.block_number";
    let block = house.ask(&format!(
        "SELECT coalesce(min(block_number), 0)::text FROM ledger_operations WHERE $t AND ({issues}) > 1"
    ));
    assert_ne!(block, "0", "two runs were issued at once");
    let number: i64 = block.parse().expect("a number");
    for position in [0, 1] {
        house.change(&format!(
            "DELETE FROM ledger_operations WHERE $t AND block_number = {block} AND position = {position}"
        ));
        let wrong = house.wrong("a deletion").await;
        assert_eq!((wrong.table, wrong.block), ("ledger_operations", number), "{wrong}");
        assert!(wrong.why.contains(&format!("position {position} is gone")), "{wrong}");
        house.restore();
    }
    let copy = |position: i64, payload: &str| {
        house.change(&format!(
            "INSERT INTO ledger_operations (tenant_id, operation_id, kind, state, payload, leaf, block_number, position, collectible_id, first_serial, piece_count, ordinal)
             SELECT tenant_id, 'ffffffff-0000-7000-8000-000000000000', kind, state, {payload}, sha256('\\x00'::bytea || convert_to({payload}, 'UTF8')), block_number, {position}, gen_random_uuid(), first_serial, piece_count, ordinal
               FROM ledger_operations WHERE $t AND block_number = {block} AND position = 1"
        ));
    };
    copy(2, "payload");
    let wrong = house.wrong("an insertion").await;
    assert_eq!((wrong.table, wrong.block), ("ledger_operations", number), "{wrong}");
    assert_eq!(
        wrong.operation.map(|id| id.to_string()).as_deref(),
        Some("ffffffff-0000-7000-8000-000000000000"),
        "{wrong}"
    );
    house.restore();
    let (one, two) = ("position = 0", "position = 1");
    for step in [
        format!("SET position = 1000 WHERE $t AND block_number = {block} AND {one}"),
        format!("SET position = 0 WHERE $t AND block_number = {block} AND {two}"),
        format!("SET position = 1 WHERE $t AND block_number = {block} AND position = 1000"),
    ] {
        house.change(&format!("UPDATE ledger_operations {step}"));
    }
    let wrong = house.wrong("a swap").await;
    assert_eq!((wrong.table, wrong.block, wrong.column), ("ledger_operations", number, Some("position")), "{wrong}");
    house.restore();
    house.change(&format!("UPDATE ledger_operations SET block_number = NULL, position = NULL, payload = NULL, leaf = NULL, state = 'PENDING' WHERE $t AND block_number = {block} AND position = 1"));
    let wrong = house.wrong("an operation that waits again").await;
    assert_eq!((wrong.table, wrong.block), ("ledger_operations", number), "{wrong}");
    house.restore();
    // A block with all that hangs on it.
    let last = house.ask("SELECT max(number)::text FROM ledger_blocks WHERE $t");
    house.change("DELETE FROM ledger_checkpoints WHERE $t AND tree_size = 3");
    house.change("DELETE FROM ledger_operations WHERE $t AND block_number = 3");
    house.change("DELETE FROM ledger_blocks WHERE $t AND number = 3");
    let wrong = house.wrong("a deleted block").await;
    assert_eq!((wrong.table, wrong.block, wrong.why.as_str()), ("ledger_blocks", 3, "it is gone"), "{wrong}");
    house.restore();
    // The end of a chain can be cut off so that nothing within shows it; who kept a checkpoint knows better.
    let kept = newest(&house).await;
    for (table, column) in
        [("ledger_blocks", "number"), ("ledger_operations", "block_number"), ("ledger_checkpoints", "tree_size")]
    {
        // As whoever may do everything to the database can.
        let unchecked = "SET session_replication_role = replica";
        house.change(&format!("{unchecked}; DELETE FROM {table} WHERE $t AND {column} = {last}"));
        if table != "ledger_checkpoints" {
            let wrong = house.wrong("a block that others still name").await;
            assert_eq!((wrong.table, wrong.block), ("ledger_blocks", last.parse().expect("a number")), "{wrong}");
        }
    }
    assert!(matches!(house.audit(&[]).await, Audit::Whole { .. }));
    let Audit::Wrong(wrong) = house.audit(&[kept]).await else { panic!("the kept checkpoint covers more") };
    assert!(wrong.table == "ledger_blocks" && wrong.why.contains("kept elsewhere"), "{wrong}");
}

async fn newest(house: &House) -> Checkpoint {
    let tx = TenantScope::of_system(house.tenant).read(&house.app.app.platform.database).await.expect("it opens");
    let row = chain::last_checkpoint(&tx).await.expect("it answers").expect("there is one");
    house.app.app.ledger_keys.open(&row.note).expect("it is ours").0
}

/// Seals the chain anew from a block on, as if it had happened a second later. Everything follows but the signatures.
async fn reseal(house: &House, from: i64) -> (Block, Peaks) {
    let tx = TenantScope::of_system(house.tenant).read(&house.app.app.platform.database).await.expect("it opens");
    let blocks = chain::blocks_after(&tx, 0, 1000).await.expect("it answers");
    let (mut last, mut peaks) = (None::<Block>, Peaks::default());
    for block in blocks {
        let leaves = chain::leaves(&tx, &[block.number]).await.expect("it answers");
        let leaves: Vec<Hash> = leaves.iter().map(|(_, leaf)| leaf[..].try_into().expect("a hash")).collect();
        let later = if block.number >= from { chrono::TimeDelta::seconds(1) } else { chrono::TimeDelta::zero() };
        let sealed = seal(house.tenant, last.as_ref(), &leaves, block.sealed_at + later, &mut peaks);
        assert!(block.number >= from || sealed == block, "before that it is the same");
        house.change(&format!(
            "UPDATE ledger_blocks SET previous_hash = '\\x{}', hash = '\\x{}', subtrees = '\\x{}', sealed_at = sealed_at + interval '{} seconds' WHERE $t AND number = {}",
            hex(&sealed.previous_hash), hex(&sealed.hash), hex(&sealed.subtrees), later.num_seconds(), sealed.number
        ));
        last = Some(sealed);
    }
    (last.expect("the chain has blocks"), peaks)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_anew_lacks_the_houses_signature() {
    let house = House::set().await;
    let kept = newest(&house).await;
    reseal(&house, 3).await;
    let wrong = house.wrong("a chain that was sealed anew").await;
    assert_eq!((wrong.table, wrong.block), ("ledger_blocks", 3), "{wrong}");
    assert!(wrong.why.contains("sealed anew") && wrong.why.contains("signed checkpoint"), "{wrong}");

    // The house does not go on from it, nor sign it.
    let next = issue(CollectibleId::generate(), 1, 1);
    house.embedded().submit(house.tenant, &[next]).await.expect("the database answers");
    let fault = house.app.app.settle().await.expect_err("the sealer looks at what it goes on from");
    assert!(fault.with_causes().contains("minthouse ledger audit"), "{}", fault.with_causes());

    // Without the checkpoints that say otherwise, their absence does.
    house.restore();
    house.change("DELETE FROM ledger_checkpoints WHERE $t AND tree_size >= 3");
    let (last, peaks) = reseal(&house, 3).await;
    let wrong = house.wrong("a chain without signatures").await;
    assert_eq!((wrong.table, wrong.block), ("ledger_checkpoints", last.number), "{wrong}");

    // A checkpoint by somebody else, and one that bears a signature of ours for something else.
    let forger = LedgerKeys::new(&SealingKey::new([1; 32]), 1).expect("keys can be made");
    let checkpoint =
        Checkpoint { tenant: house.tenant, size: peaks.size(), root: peaks.root(), signed_at: last.sealed_at };
    let true_note = house.ask("SELECT note FROM kept_checkpoints WHERE $t ORDER BY tree_size DESC LIMIT 1");
    let signature = true_note.rsplit_once("\n\n").expect("a signature").1.trim_end().to_owned();
    let forged = forger.sign(&checkpoint);
    let borrowed = format!("{}\n\n{signature}\n", forged.split_once("\n\n").expect("a body").0);
    for (note, why) in [
        (forged, "no key of the house"),
        (borrowed, "its signature is wrong"),
        ("note".to_owned(), "form of a checkpoint"),
    ] {
        let at = last.sealed_at.to_rfc3339();
        house.change(&format!("INSERT INTO ledger_checkpoints SELECT tenant_id, number, '{note}', '{at}'::timestamptz FROM ledger_blocks WHERE $t AND number = {}", last.number));
        let wrong = house.wrong(why).await;
        assert_eq!(
            (wrong.table, wrong.block, wrong.column),
            ("ledger_checkpoints", last.number, Some("note")),
            "{wrong}"
        );
        assert!(wrong.why.contains(why), "{wrong}");
        house.change(&format!("DELETE FROM ledger_checkpoints WHERE $t AND tree_size = {}", last.number));
    }

    // Even one that the house itself was brought to sign does not agree with what somebody took home before.
    let note = house.app.app.ledger_keys.sign(&checkpoint);
    let at = last.sealed_at.to_rfc3339();
    house.change(&format!("INSERT INTO ledger_checkpoints SELECT tenant_id, number, '{note}', '{at}'::timestamptz FROM ledger_blocks WHERE $t AND number = {}", last.number));
    assert!(matches!(house.audit(&[]).await, Audit::Whole { .. }));
    let Audit::Wrong(wrong) = house.audit(&[kept]).await else { panic!("it was kept for this") };
    assert!(wrong.why.contains("kept elsewhere"), "{wrong}");

    // A true checkpoint in another's place, and one with another time.
    house.restore();
    house.change("UPDATE ledger_checkpoints SET note = (SELECT note FROM kept_checkpoints WHERE $t AND tree_size = 2) WHERE $t AND tree_size = 3");
    let wrong = house.wrong("a moved checkpoint").await;
    assert_eq!((wrong.table, wrong.block, wrong.column), ("ledger_checkpoints", 3, Some("tree_size")), "{wrong}");
    house.restore();
    house.change("UPDATE ledger_checkpoints SET created_at = now() WHERE $t AND tree_size = 2");
    let wrong = house.wrong("another time").await;
    assert_eq!((wrong.table, wrong.block, wrong.column), ("ledger_checkpoints", 2, Some("created_at")), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_the_ledger_gives_to_somebody_else_is_named() {
    let house = House::set().await;
    let found = async || look_over(&house.app.app, house.tenant, &[]).await.expect("the database answers");
    let sums = found().await.expect("nothing is wrong").to_string();
    assert!(sums.ends_with("120 items"), "{sums}");
    let held = house.ask("SELECT id FROM items WHERE $t AND holder_id IS NOT NULL ORDER BY id LIMIT 1");
    let kept = house.ask("SELECT id FROM items WHERE $t AND holder_id IS NULL ORDER BY id LIMIT 1");
    let somebody = house.ask(&format!(
        "SELECT id FROM holders WHERE $t AND id <> (SELECT holder_id FROM items WHERE id = '{held}') LIMIT 1"
    ));
    for (item, change) in [
        (&held, "holder_id = NULL, acquired_at = NULL".to_owned()),
        (&held, format!("holder_id = '{somebody}'")),
        (&kept, format!("holder_id = '{somebody}', acquired_at = now()")),
        (&kept, "serial = serial + 5000".to_owned()),
    ] {
        house.change(&format!("CREATE TABLE kept_item AS SELECT * FROM items WHERE $t AND id = '{item}'"));
        house.change(&format!("UPDATE items SET {change} WHERE $t AND id = '{item}'"));
        let wrong = found().await.expect_err("it is found").to_string();
        let id = minthouse::platform::id::format("item", item.parse().expect("a UUID"));
        let column = if change.starts_with("serial") { "never issued" } else { "column holder_id" };
        assert!(wrong.starts_with(&format!("items, {id}")) && wrong.contains(column), "{change}: {wrong}");
        house.change(&format!("UPDATE items SET (holder_id, acquired_at, serial) = (SELECT holder_id, acquired_at, serial FROM kept_item) WHERE $t AND id = '{item}'"));
        house.change("DROP TABLE kept_item");
    }
    let serial = house.ask(&format!("SELECT serial FROM items WHERE $t AND id = '{kept}'"));
    house.change(&format!("CREATE TABLE kept_item AS SELECT * FROM items WHERE $t AND id = '{kept}'"));
    house.change(&format!("DELETE FROM items WHERE $t AND id = '{kept}'"));
    let wrong = found().await.expect_err("it is found").to_string();
    assert!(wrong.starts_with(&format!("items: that of serial number {serial} of ")), "{wrong}");
    house.change("INSERT INTO items SELECT * FROM kept_item");
    assert_eq!(found().await.expect("nothing is wrong").to_string(), sums);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_compared_with_each_ledger_and_one_that_is_away_is_told() {
    let house = House::set().await;
    let platform = &house.app.app.platform;
    let embedded = house.app.app.ledgers.get(LedgerKind::Embedded).expect("every server has it").clone();
    // Nobody listens there.
    let options = EvmOptions {
        endpoint: "http://127.0.0.1:1/".into(),
        chain_id: 1,
        key: Some(format!("{:064x}", 1)),
        contract: Some(format!("0x{:040x}", 1)),
        ..EvmOptions::default()
    };
    let beside = |options: &EvmOptions| {
        let evm: Arc<dyn Ledger> =
            Arc::new(ledger_evm::ledger(platform.clone(), options).expect("the options are sound"));
        Ledgers::new(LedgerKind::Embedded, [embedded.clone(), evm]).expect("the chosen one is there")
    };
    let found = async |ledgers: &Ledgers| compare(platform, ledgers, house.tenant).await.expect("the database answers");
    assert_eq!(found(&beside(&options)).await, Ok(120), "where it has no items, it is not asked");

    house.change("UPDATE issuances SET ledger = 'EVM' WHERE $t");
    let silent = found(&beside(&options)).await.expect_err("nobody answers");
    assert!(matches!(silent, Doubt::Silent { ledger: LedgerKind::Evm, .. }), "{silent:?}");
    assert!(silent.to_string().contains("EVM") && silent.to_string().contains("cannot be reached"), "{silent}");
    // It says nothing of pieces that it never issued, without a look at the chain.
    let shallow = EvmOptions { confirmations: 1, ..options };
    let wrong = found(&beside(&shallow)).await.expect_err("they were issued elsewhere");
    assert!(matches!(&wrong, Doubt::Changed(row) if row.contains("never issued")), "{wrong:?}");
}
