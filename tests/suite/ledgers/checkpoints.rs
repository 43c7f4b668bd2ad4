//! When the house signs: at the latest when nothing waits any more, and never so seldom that it could not be told.

use minthouse::catalog::model::CollectibleId;
use minthouse::ledger::audit::{Audit, audit};
use minthouse::ledger::model::{Operation, Piece};
use minthouse::ledger::proof::{self, Proof};

use super::conformance::{Stage, issue, piece};
use super::embedded::Embedded;

async fn submit(stage: &Embedded, operations: &[Operation]) {
    stage.ledger().submit(stage.tenants()[0], operations).await.expect("the database takes it");
}

async fn audited(stage: &Embedded) -> Audit {
    let app = &stage.app.app;
    audit(&app.platform, &app.ledger_keys, stage.tenants()[0], &[]).await.expect("the database answers")
}

/// Blocks, operations and checkpoints of a chain that is whole.
async fn sums(stage: &Embedded) -> [i64; 3] {
    match audited(stage).await {
        Audit::Whole { blocks, operations, checkpoints } => [blocks, operations, checkpoints],
        Audit::Wrong(wrong) => panic!("{wrong}"),
    }
}

/// What has come to a chain since.
async fn since(stage: &Embedded, before: [i64; 3]) -> [i64; 3] {
    let sums = sums(stage).await;
    [0, 1, 2].map(|which| sums[which] - before[which])
}

/// What is proved of a piece that lies in the treasury.
async fn proof(stage: &Embedded, piece: Piece) -> Option<Proof> {
    let app = &stage.app.app;
    let proof = proof::of(&app.platform, &app.ledger_keys, stage.tenants()[0], piece, None).await;
    proof.expect("the database answers")
}

/// A block full of runs of one piece.
fn full_block(collectible: CollectibleId) -> Vec<Operation> {
    (1..=1000).map(|serial| issue(collectible, serial, 1)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_signed_even_if_all_that_waited_is_refused() {
    let stage = Embedded::with(None).await;
    let before = sums(&stage).await;
    let collectible = CollectibleId::generate();
    let mut operations = full_block(collectible);
    operations.push(issue(collectible, 7, 1));
    submit(&stage, &operations).await;
    stage.work().await;
    assert!(proof(&stage, piece(collectible, 500)).await.is_none(), "more waits, so it is not signed yet");
    assert_eq!(since(&stage, before).await, [1, 1000, 0]);

    stage.work().await;
    assert_eq!(
        stage.app.sql("SELECT string_agg(DISTINCT state, ',' ORDER BY state) FROM ledger_operations"),
        "CONFIRMED,REFUSED"
    );
    assert_eq!(since(&stage, before).await, [1, 1000, 1]);
    let proof = proof(&stage, piece(collectible, 500)).await.expect("it is signed");
    assert_eq!(proof.checkpoint.size as i64, before[0] + 1);
    // What is refused later finds the end signed and lets it be.
    submit(&stage, &[issue(collectible, 8, 1)]).await;
    stage.work().await;
    assert_eq!(since(&stage, before).await, [1, 1000, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_of_a_later_run_has_no_proof_before_its_block_is_signed() {
    let stage = Embedded::with(None).await;
    let before = sums(&stage).await;
    let collectible = CollectibleId::generate();
    submit(&stage, &[issue(collectible, 1, 1000)]).await;
    stage.work().await;
    let mut operations = vec![issue(collectible, 1001, 1000)];
    operations.extend(full_block(CollectibleId::generate()));
    submit(&stage, &operations).await;
    stage.work().await;
    assert_eq!(since(&stage, before).await, [2, 1001, 1]);
    assert!(proof(&stage, piece(collectible, 1500)).await.is_none(), "the run before it is not its own");
    assert!(proof(&stage, piece(collectible, 1000)).await.is_some());
    stage.work().await;
    let later = proof(&stage, piece(collectible, 1500)).await.expect("it is signed");
    assert!(later.document.operations[0].record.contains("\"firstSerial\":1001"), "{}", later.document.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_must_be_there_is_missed() {
    let stage = Embedded::with(None).await;
    let before = sums(&stage).await;
    for serial in 1..=18 {
        submit(&stage, &[issue(CollectibleId::generate(), serial, 1)]).await;
        stage.work().await;
    }
    assert_eq!(since(&stage, before).await, [18, 18, 18]);
    // Those between might never have been: more may have waited.
    stage.app.sql("DELETE FROM ledger_checkpoints WHERE tree_size = 5");
    assert_eq!(since(&stage, before).await, [18, 18, 17]);
    stage.app.sql("DELETE FROM ledger_checkpoints WHERE tree_size = 16");
    let Audit::Wrong(wrong) = audited(&stage).await else { panic!("it was deleted") };
    assert_eq!((wrong.table, wrong.block), ("ledger_checkpoints", 16), "{wrong}");
    assert!(wrong.why.contains("it is gone"), "{wrong}");
}
