//! The EVM ledger where things go wrong: nodes that restart, forget, reorganise or keep their answers to themselves, and
//! servers that lose their place. Whatever happens, each operation takes effect once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use minthouse::catalog::model::CollectibleId;
use minthouse::ledger::Ledger;
use minthouse::ledger::evm::EvmLedger;
use minthouse::ledger::model::{Operation, Owner, Place, Receipt};
use minthouse::platform::config::{EvmOptions, FeeStyle};
use minthouse::platform::fault::Fault;
use minthouse::tenancy::model::HolderId;
use minthouse::tenancy::worker;
use serde_json::json;

use crate::embedded::ask;
use crate::evm::anvil;
use crate::support::anvil::Anvil;
use crate::support::chain::{Chained, issue, options, transfer, turn};
use crate::support::killed::killed_after;
use crate::transport::clients;

/// The hashes of what was sent, oldest first.
fn attempts(house: &Chained) -> Vec<String> {
    let sql = "SELECT coalesce(string_agg('0x' || encode(hash, 'hex'), ',' ORDER BY created_at), '') FROM evm_attempts";
    house.app.sql(sql).split(',').filter(|hash| !hash.is_empty()).map(str::to_owned).collect()
}

fn place(receipt: &Receipt) -> &Place {
    match receipt {
        Receipt::Confirmed(place) => place,
        other => panic!("{other:?} where a place was due"),
    }
}

/// Takes the database back to before everything.
const FORGET: &str = "DELETE FROM evm_attempts; DELETE FROM evm_transactions; DELETE FROM evm_operations";

/// How often pieces were issued or moved by this house's account, as the chain's own logs say.
async fn effects(anvil: &Anvil, house: &Chained) -> usize {
    let topics = [
        "TransferSingle(address,address,address,uint256,uint256)",
        "TransferBatch(address,address,address,uint256[],uint256[])",
    ]
    .map(|event| alloy::primitives::keccak256(event).to_string());
    let filter =
        json!([{ "address": house.options.contract, "fromBlock": "0x0", "toBlock": "latest", "topics": [topics] }]);
    anvil.ask("eth_getLogs", filter).await.as_array().expect("a list").len()
}

fn one() -> Operation {
    issue(CollectibleId::generate(), 1, 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_drops_forgets_replaces_or_stalls_loses_and_doubles_nothing() {
    // In turns, as each of them holds the whole chain up.
    let anvil = anvil(&[]).await;
    dropped_transactions_are_sent_again(&anvil).await;
    stuck_transactions_pay_more(&anvil, FeeStyle::Eip1559).await;
    stuck_transactions_pay_more(&anvil, FeeStyle::Legacy).await;
    the_first_form_may_be_the_one_that_is_mined(&anvil).await;
    a_stuck_transaction_pays_no_more_than_it_may(&anvil).await;
    a_spent_nonce_is_exchanged(&anvil).await;
    a_gap_is_filled(&anvil).await;
    nothing_is_believed_before_it_is_deep_enough(&anvil).await;
    a_replaced_block_is_noticed(&anvil).await;
    what_lands_elsewhere_is_settled_where_it_stands(&anvil).await;
    a_transaction_without_enough_gas_is_tried_again_one_by_one(&anvil).await;
}

async fn dropped_transactions_are_sent_again(anvil: &Anvil) {
    let house = Chained::on(anvil).await;
    anvil.automine(false).await;
    let operation = one();
    house.submit(std::slice::from_ref(&operation)).await;
    house.turn().await;
    let sent = attempts(&house);
    assert_eq!(sent.len(), 1);
    anvil.ask("anvil_dropTransaction", json!([sent[0]])).await;
    assert!(anvil.transaction(&sent[0]).await.is_null(), "the node has forgotten it");
    house.turn().await;
    assert_eq!(attempts(&house), sent, "the same bytes again");
    anvil.automine(true).await;
    anvil.mine(1).await;
    let receipts = house.settle(std::slice::from_ref(&operation)).await;
    assert_eq!(place(&receipts[&operation.id]).transaction.as_ref(), Some(&sent[0]));
    assert_eq!(effects(anvil, &house).await, 1);
}

async fn stuck_transactions_pay_more(anvil: &Anvil, fees: FeeStyle) {
    let house = Chained::with(anvil, EvmOptions { stuck_seconds: 0.0, fees, ..options(anvil) }).await;
    anvil.automine(false).await;
    let operations = [one(), one()];
    house.submit(&operations[..1]).await;
    house.turn().await;
    house.submit(&operations[1..]).await;
    for _ in 0..3 {
        house.turn().await;
    }
    // Four forms of the first and three of the second, an eighth dearer each time, under the nonces they had.
    assert_eq!(
        house.app.sql("SELECT string_agg(n::text, ',' ORDER BY nonce) FROM (SELECT nonce, count(*) AS n FROM evm_attempts GROUP BY nonce) AS t"),
        "4,3"
    );
    let cheap = "SELECT count(*)::text FROM (
        SELECT max_fee, tip, lag(max_fee) OVER w AS before, lag(tip) OVER w AS tip_before FROM evm_attempts
        WINDOW w AS (PARTITION BY nonce ORDER BY created_at)) AS t WHERE max_fee * 8 < before * 9 OR tip * 8 < tip_before * 9";
    assert_eq!(house.app.sql(cheap), "0");
    let pool = anvil.ask("txpool_status", json!([])).await;
    assert_eq!((&pool["pending"], &pool["queued"]), (&json!("0x2"), &json!("0x0")), "the others were replaced");
    anvil.automine(true).await;
    anvil.mine(1).await;
    let receipts = house.settle(&operations).await;
    let last = attempts(&house);
    let mined: Vec<&String> =
        operations.iter().filter_map(|operation| place(&receipts[&operation.id]).transaction.as_ref()).collect();
    assert!(mined.iter().all(|hash| last.contains(hash)) && !mined.contains(&&last[0]), "a later form was mined");
    assert_eq!(effects(anvil, &house).await, 2);
}

async fn the_first_form_may_be_the_one_that_is_mined(anvil: &Anvil) {
    let house = Chained::with(anvil, EvmOptions { stuck_seconds: 0.0, ..options(anvil) }).await;
    anvil.automine(false).await;
    let operation = one();
    house.submit(std::slice::from_ref(&operation)).await;
    house.turn().await;
    let first = attempts(&house)[0].clone();
    let raw = anvil.ask("eth_getRawTransactionByHash", json!([first])).await;
    house.turn().await;
    let both = attempts(&house);
    assert_eq!(both.len(), 2);
    // Some miner has kept the first.
    anvil.ask("anvil_dropTransaction", json!([both[1]])).await;
    anvil.ask("eth_sendRawTransaction", json!([raw])).await;
    anvil.automine(true).await;
    anvil.mine(1).await;
    let receipts = house.settle(std::slice::from_ref(&operation)).await;
    assert_eq!(place(&receipts[&operation.id]).transaction.as_ref(), Some(&first));
    assert_eq!(effects(anvil, &house).await, 1);
}

async fn a_stuck_transaction_pays_no_more_than_it_may(anvil: &Anvil) {
    let house = Chained::on(anvil).await;
    let capped = EvmOptions { stuck_seconds: 0.0, max_fee_gwei: 3, ..house.options.clone() };
    let ledger = minthouse::commands::ledger_evm::ledger(house.app.app.platform.clone(), &capped).expect("sound");
    anvil.automine(false).await;
    let operation = one();
    house.submit(std::slice::from_ref(&operation)).await;
    for _ in 0..12 {
        turn(&ledger).await.expect("it goes on");
    }
    assert!(attempts(&house).len() < 12, "it stopped to raise");
    assert_eq!(house.app.sql("SELECT bool_and(max_fee <= 3000000000)::text FROM evm_attempts"), "true");
    anvil.automine(true).await;
    anvil.mine(1).await;
    house.settle(std::slice::from_ref(&operation)).await;
}

async fn a_spent_nonce_is_exchanged(anvil: &Anvil) {
    let house = Chained::on(anvil).await;
    anvil.automine(false).await;
    let operation = one();
    house.submit(std::slice::from_ref(&operation)).await;
    house.turn().await;
    let sent = attempts(&house);
    anvil.ask("anvil_dropTransaction", json!([sent[0]])).await;
    // Somebody else uses the key.
    anvil.ask("anvil_impersonateAccount", json!([house.account])).await;
    let stranger = json!([{ "from": house.account, "to": house.account, "value": "0x1", "nonce": "0x1" }]);
    anvil.ask("eth_sendTransaction", stranger).await;
    anvil.automine(true).await;
    anvil.mine(1).await;
    assert_eq!(anvil.count(&house.account).await, 2);
    let receipts = house.settle(std::slice::from_ref(&operation)).await;
    assert_ne!(place(&receipts[&operation.id]).transaction.as_ref(), Some(&sent[0]));
    assert_eq!(house.app.sql("SELECT string_agg(nonce::text, ',') FROM evm_transactions"), "2");
    assert_eq!(effects(anvil, &house).await, 1);
}

async fn a_gap_is_filled(anvil: &Anvil) {
    let house = Chained::with(anvil, EvmOptions { operations: 1, ..options(anvil) }).await;
    anvil.automine(false).await;
    let operations = [one(), one(), one()];
    house.submit(&operations).await;
    house.turn().await;
    let sent = attempts(&house);
    assert_eq!(sent.len(), 3);
    // The first is lost, and with it the database's memory of it, as if it had been settled on a fork that did not stay.
    anvil.ask("anvil_dropTransaction", json!([sent[0]])).await;
    house.app.sql("WITH gone AS (UPDATE evm_transactions SET state = 'SETTLED' WHERE nonce = 1 RETURNING id)
        UPDATE evm_operations SET state = 'WAITING', transaction_id = NULL WHERE transaction_id = (SELECT id FROM gone)");
    anvil.automine(true).await;
    anvil.mine(1).await;
    assert_eq!(anvil.count(&house.account).await, 1, "the others wait above the gap");
    let receipts = house.settle(&operations).await;
    assert!(receipts.values().all(|receipt| matches!(receipt, Receipt::Confirmed(_))), "{receipts:#?}");
    assert_eq!(effects(anvil, &house).await, 3);
}

async fn nothing_is_believed_before_it_is_deep_enough(anvil: &Anvil) {
    let house = Chained::with(anvil, EvmOptions { confirmations: 4, ..options(anvil) }).await;
    let (collectible, holder) = (CollectibleId::generate(), HolderId::generate());
    let operations = [issue(collectible, 1, 1), transfer(collectible, 1, None, holder)];
    house.submit(&operations).await;
    house.turn().await;
    anvil.mined().await;
    for depth in 1..4 {
        house.turn().await;
        assert_eq!(house.receipt(operations[0].id).await, Receipt::Pending, "{depth} deep");
        assert_eq!(house.owner_of(collectible, 1).await, None, "{depth} deep");
        anvil.mine(1).await;
    }
    house.turn().await;
    place(&house.receipt(operations[0].id).await);
    assert_eq!(house.owner_of(collectible, 1).await, Some(house.account_of(Owner::Holder(holder))));
}

async fn a_replaced_block_is_noticed(anvil: &Anvil) {
    let house = Chained::with(anvil, EvmOptions { confirmations: 3, ..options(anvil) }).await;
    let operations = [one(), one()];
    house.submit(&operations[..1]).await;
    house.turn().await;
    anvil.mined().await;
    house.turn().await;
    assert_eq!(house.app.sql("SELECT state FROM evm_transactions"), "MINED");
    let sent = attempts(&house);
    // The chain goes another way, without it.
    anvil.ask("anvil_reorg", json!([1, []])).await;
    assert_eq!(anvil.count(&house.account).await, 1, "its nonce is free again");
    house.submit(&operations[1..]).await;
    house.turn().await;
    assert_eq!(attempts(&house)[..1], sent, "the same bytes again, before what came later");
    anvil.mine(3).await;
    let receipts = house.settle(&operations).await;
    let (first, second) = (place(&receipts[&operations[0].id]), place(&receipts[&operations[1].id]));
    assert_eq!(first.transaction.as_ref(), Some(&sent[0]));
    assert!(first.block < second.block);
    let receipt = anvil.ask("eth_getTransactionReceipt", json!([sent[0]])).await;
    assert_eq!(receipt["blockNumber"], json!(format!("{:#x}", first.block)), "where it stands in the end");
    assert_eq!(effects(anvil, &house).await, 2);
}

async fn what_lands_elsewhere_is_settled_where_it_stands(anvil: &Anvil) {
    let house = Chained::with(anvil, EvmOptions { confirmations: 6, ..options(anvil) }).await;
    let operations = [one(), one(), one()];
    for operation in &operations {
        house.submit(std::slice::from_ref(operation)).await;
        house.turn().await;
        anvil.mined().await;
        house.turn().await;
    }
    assert_eq!(house.app.sql("SELECT DISTINCT state FROM evm_transactions"), "MINED");
    let sent = attempts(&house);
    let stands = async |hash: &str| {
        let receipt = anvil.ask("eth_getTransactionReceipt", json!([hash])).await;
        (receipt["blockNumber"].clone(), receipt["logs"][0]["logIndex"].clone())
    };
    let before = [stands(&sent[0]).await, stands(&sent[1]).await, stands(&sent[2]).await];
    // Three blocks go: two transactions come to stand in one block, and the third before where it was.
    let mut landed = Vec::new();
    for (hash, block) in sent.iter().zip([0, 1, 1]) {
        landed.push(json!([anvil.ask("eth_getRawTransactionByHash", json!([hash])).await, block]));
    }
    anvil.ask("anvil_reorg", json!([3, landed])).await;
    house.turn().await;
    anvil.mine(6).await;
    let receipts = house.settle(&operations).await;
    let after = [stands(&sent[0]).await, stands(&sent[1]).await, stands(&sent[2]).await];
    assert_ne!(before[2], after[2], "it stands elsewhere");
    for ((operation, hash), (block, _)) in operations.iter().zip(&sent).zip(&after) {
        let place = place(&receipts[&operation.id]);
        assert_eq!((&json!(format!("{:#x}", place.block)), place.transaction.as_ref()), (block, Some(hash)));
    }
    let places = operations.each_ref().map(|operation| place(&receipts[&operation.id]));
    assert!(places.is_sorted_by_key(|place| (place.block, place.position)), "{places:?}");
    assert_eq!(places[1].block, places[2].block);
    assert_eq!(attempts(&house), sent, "nothing was sent again");
    assert_eq!(effects(anvil, &house).await, 3);
}

async fn a_transaction_without_enough_gas_is_tried_again_one_by_one(anvil: &Anvil) {
    let house = Chained::on(anvil).await;
    let operations = [one(), one(), one()];
    house.submit(&operations).await;
    for job in &house.ledger.jobs()[..1] {
        minthouse::tenancy::worker::round(&**job).await.expect("it is bundled");
    }
    house.app.sql("UPDATE evm_transactions SET gas_limit = 120000");
    let receipts = house.settle(&operations).await;
    assert!(receipts.values().all(|receipt| matches!(receipt, Receipt::Confirmed(_))), "{receipts:#?}");
    let states = "SELECT string_agg(state, ',' ORDER BY id) FROM evm_transactions";
    assert_eq!(house.app.sql(states), "REVERTED,SETTLED,SETTLED,SETTLED");
    assert_eq!(effects(anvil, &house).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_forgets_its_pool_and_loses_nothing() {
    clients::installed().await;
    let folder = std::env::temp_dir().join(format!("minthouse-evm-state-{}", std::process::id()));
    let state = folder.to_str().expect("a path").to_owned();
    let keeps = ["--state", state.as_str()];
    let first = anvil(&keeps).await;
    let house = Chained::on(&first).await;
    let port = first.port;
    let mined = one();
    house.carry_out(std::slice::from_ref(&mined)).await;
    first.automine(false).await;
    let pending = one();
    house.submit(std::slice::from_ref(&pending)).await;
    house.turn().await;
    let sent = attempts(&house);
    first.stop().await;

    let fault = turn(&house.ledger).await.expect_err("nobody answers").with_causes();
    assert!(fault.contains("cannot be reached"), "{fault}");
    let second = Anvil::start_at(&clients::folder(), port, &keeps).await;
    assert!(second.transaction(&sent[1]).await.is_null(), "what waited in its memory is gone");
    house.settle(std::slice::from_ref(&pending)).await;
    assert_eq!(attempts(&house), sent, "the same bytes again");
    place(&house.receipt(mined.id).await);
    assert_eq!(second.count(&house.account).await, 3);
    drop(second);
    let _ = std::fs::remove_dir_all(&folder);
    let _ = std::fs::remove_file(&folder);
}

/// Hands everything on to a node, unless it is told otherwise.
#[derive(Clone)]
struct Taciturn {
    node: String,
    /// Keeps the answers to what is sent to itself.
    silent: Arc<AtomicBool>,
    /// Has no logs for anybody.
    forgetful: Arc<AtomicBool>,
    http: reqwest::Client,
}

impl Taciturn {
    /// Before a node; its address.
    async fn before(anvil: &Anvil) -> (Self, String) {
        let (silent, forgetful) = (Arc::default(), Arc::default());
        let taciturn = Self { node: anvil.url(), silent, forgetful, http: crate::support::app::client() };
        let address = serve(Router::new().route("/", post(hand_on)).with_state(taciturn.clone())).await;
        (taciturn, address)
    }
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address: SocketAddr = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

fn asks(question: &[u8], method: &str) -> bool {
    question.windows(method.len()).any(|part| part == method.as_bytes())
}

async fn hand_on(State(taciturn): State<Taciturn>, question: Bytes) -> Response {
    let sends = asks(&question, "eth_sendRawTransaction");
    if asks(&question, "eth_getLogs") && taciturn.forgetful.load(Ordering::SeqCst) {
        let error = json!({ "code": -32000, "message": "history has been pruned" });
        return axum::Json(json!({ "jsonrpc": "2.0", "id": 1, "error": error })).into_response();
    }
    let request = taciturn.http.post(&taciturn.node).header("content-type", "application/json").body(question);
    let answer = request.send().await.expect("anvil answers").bytes().await.expect("anvil answers");
    if sends && taciturn.silent.load(Ordering::SeqCst) {
        return StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    answer.into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_and_a_lost_database_are_made_up_for_by_asking() {
    let anvil = anvil(&[]).await;
    let (Taciturn { silent, forgetful, .. }, endpoint) = Taciturn::before(&anvil).await;
    let house = Chained::with(&anvil, EvmOptions { endpoint, ..options(&anvil) }).await;

    silent.store(true, Ordering::SeqCst);
    let (collectible, holder) = (CollectibleId::generate(), HolderId::generate());
    let operations = [issue(collectible, 1, 2), transfer(collectible, 1, None, holder)];
    house.submit(&operations).await;
    let fault = turn(&house.ledger).await.expect_err("there was no answer").with_causes();
    assert!(fault.contains("cannot be reached"), "{fault}");
    assert_eq!(house.receipt(operations[0].id).await, Receipt::Pending);
    assert_eq!(anvil.count(&house.account).await, 2, "and yet it has arrived");
    let receipts = house.settle(&operations).await;
    assert_eq!(anvil.count(&house.account).await, 2, "found, not sent again");
    silent.store(false, Ordering::SeqCst);

    // The database is brought back from before all that: the same operations come in again.
    house.app.sql(FORGET);
    assert_eq!(house.receipt(operations[0].id).await, Receipt::Unknown);
    house.submit(&operations).await;
    let again = house.settle(&operations).await;
    assert_eq!(again, receipts, "they stand where they stood");
    assert_eq!(effects(&anvil, &house).await, 2);

    // Not even logs are needed: the contract itself knows what became of them, and in which block.
    forgetful.store(true, Ordering::SeqCst);
    house.app.sql(FORGET);
    house.submit(&operations).await;
    let again = house.settle(&operations).await;
    for operation in &operations {
        let known = Place { position: Place::SOMEWHERE, transaction: None, ..place(&receipts[&operation.id]).clone() };
        assert_eq!(again[&operation.id], Receipt::Confirmed(known));
    }
    forgetful.store(false, Ordering::SeqCst);

    // And if then one ID stands for something else, that is not taken for done.
    house.app.sql(FORGET);
    let other = Operation { id: operations[0].id, ..issue(CollectibleId::generate(), 1, 2) };
    house.submit(std::slice::from_ref(&other)).await;
    let refused = house.settle(std::slice::from_ref(&other)).await;
    assert!(
        matches!(&refused[&other.id], Receipt::Refused { reason } if reason.contains("another operation")),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_between_any_two_steps_is_continued_by_another() {
    let anvil = anvil(&[]).await;
    let house = Chained::on(&anvil).await;
    let operations = [one(), one()];
    house.submit(&operations).await;
    // It dies with the lease in hand, after the transaction was made, after the nonce was given, after it was recorded.
    let hold = "UPDATE evm_accounts SET lease_holder = gen_random_uuid(), lease_until = now() + interval '1 hour'";
    let expire = "UPDATE evm_accounts SET lease_until = now() - interval '1 second'";
    house.turn().await;
    assert_eq!(attempts(&house).len(), 1);
    house.app.sql(hold);
    house.turn().await;
    assert_eq!(house.receipt(operations[0].id).await, Receipt::Pending, "the account is another's");
    house.app.sql(expire);
    let receipts = turn_until_settled(&house, &operations).await;
    assert!(receipts, "whoever comes next takes it over");

    // Recorded and never sent: the hash is known, the chain does not know it.
    let late = one();
    house.submit(std::slice::from_ref(&late)).await;
    anvil.automine(false).await;
    house.turn().await;
    let sent = attempts(&house);
    anvil.ask("anvil_dropTransaction", json!([sent[1]])).await;
    // Given a nonce and not recorded.
    house.app.sql(&format!("DELETE FROM evm_attempts WHERE hash = decode('{}', 'hex')", &sent[1][2..]));
    anvil.automine(true).await;
    house.settle(std::slice::from_ref(&late)).await;
    assert_eq!(effects(&anvil, &house).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_one_transaction_holds_up_no_other() {
    let anvil = anvil(&[]).await;
    let house = Chained::on(&anvil).await;
    let beta = house.app.enterprise("beta").await;
    let (broken, good) = (one(), one());
    house.submit(std::slice::from_ref(&broken)).await;
    let jobs = house.ledger.jobs();
    worker::round(&*jobs[0]).await.expect("it is bundled");
    house.app.sql("UPDATE evm_operations SET payload = 'nonsense'");
    house.ledger.submit(beta, std::slice::from_ref(&good)).await.expect("the database takes it");
    // The bundler stumbles over the nonsense again, and the others' work goes on.
    for _ in 0..6 {
        worker::round(&*jobs[0]).await.expect("a round");
        let round = worker::round(&*jobs[1]).await.expect("a round");
        assert!(round.failures.is_empty(), "{:?}", round.failures);
        anvil.mined().await;
    }
    let settled = house.ledger.receipts(beta, &[good.id]).await.expect("the database answers");
    assert!(matches!(settled[&good.id], Receipt::Confirmed(_)), "{settled:?}");
    let states = "SELECT string_agg(state, ',' ORDER BY state) FROM evm_transactions";
    assert_eq!(house.app.sql(states), "SETTLED,WITHDRAWN", "its nonce is another's now");
    assert_eq!(house.receipt(broken.id).await, Receipt::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_block_holds_any_more_is_told_and_made_anew() {
    let anvil = anvil(&["--gas-limit", "12000000"]).await;
    let house = Chained::on(&anvil).await;
    // One and the same server throughout, which looks at the chain when it starts.
    let jobs = house.ledger.jobs();
    let goes_on = async || {
        for job in &jobs {
            let round = worker::round(&**job).await.expect("a round");
            assert!(round.failures.is_empty(), "{:?}", round.failures);
        }
    };
    let first = one();
    house.submit(std::slice::from_ref(&first)).await;
    goes_on().await;
    anvil.mined().await;
    goes_on().await;
    place(&house.receipt(first.id).await);
    // The chain's validators agree on smaller blocks.
    anvil.ask("evm_setBlockGasLimit", json!(["0x3d0900"])).await;
    anvil.mine(1).await;
    let operations: Vec<Operation> = (0..6).map(|_| issue(CollectibleId::generate(), 1, 1000)).collect();
    house.submit(&operations).await;
    goes_on().await;
    let states = "SELECT string_agg(state, ',' ORDER BY id) FROM evm_transactions";
    assert_eq!(house.app.sql(states), "SETTLED,WITHDRAWN", "it was not even sent");
    assert_eq!(attempts(&house).len(), 1);
    worker::round(&*jobs[0]).await.expect("a round");
    let (_, fault) = worker::round(&*jobs[1]).await.expect("a round").failures.pop().expect("it has looked again");
    let fault = fault.with_causes();
    assert!(fault.contains("evm.gas_limit is 10000000") && fault.contains("to 4000000 or less"), "{fault}");

    let fitting = EvmOptions { gas_limit: 4_000_000, ..house.options.clone() };
    let ledger = minthouse::commands::ledger_evm::ledger(house.app.app.platform.clone(), &fitting).expect("sound");
    for _ in 0..8 {
        turn(&ledger).await.expect("it fits");
        anvil.mined().await;
    }
    let receipts = house.receipts(&operations.iter().map(|operation| operation.id).collect::<Vec<_>>()).await;
    assert!(receipts.values().all(|receipt| matches!(receipt, Receipt::Confirmed(_))), "{receipts:#?}");
    assert_eq!(house.app.sql(states), "SETTLED,WITHDRAWN,WITHDRAWN,SETTLED,SETTLED");
    assert_eq!(effects(&anvil, &house).await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_meant_for_an_address_without_a_contract_goes_to_the_right_one() {
    let anvil = anvil(&[]).await;
    let house = Chained::on(&anvil).await;
    let nowhere = EvmOptions { contract: Some(house.account.clone()), ..house.options.clone() };
    let mistaken = minthouse::commands::ledger_evm::ledger(house.app.app.platform.clone(), &nowhere).expect("sound");
    let operations = [one(), one()];
    house.submit(&operations[..1]).await;
    let told = turn(&mistaken).await.expect_err("it looks before it sends").with_causes();
    assert!(told.contains("there is no contract at"), "{told}");
    assert!(attempts(&house).is_empty());
    house.submit(&operations[1..]).await;
    house.settle(&operations).await;
    assert_eq!(effects(&anvil, &house).await, 2);

    // Even where it was sent there, by a server that knew no better.
    let lost = one();
    anvil.automine(false).await;
    house.submit(std::slice::from_ref(&lost)).await;
    house.turn().await;
    anvil.ask("anvil_dropAllTransactions", json!([])).await;
    let count = anvil.count(&house.account).await;
    anvil.ask("anvil_setNonce", json!([house.account, format!("0x{:x}", count + 1)])).await;
    let elsewhere = house.account.trim_start_matches("0x");
    house.app.sql(&format!(
        "UPDATE evm_transactions SET contract = '\\x{elsewhere}', missing_since = now() - interval '1 hour' WHERE state = 'SENT' RETURNING 1"
    ));
    anvil.automine(true).await;
    anvil.mine(1).await;
    let receipts = house.settle(std::slice::from_ref(&lost)).await;
    place(&receipts[&lost.id]);
    assert_eq!(effects(&anvil, &house).await, 3);
}

const EXPIRE: &str = "UPDATE evm_accounts SET lease_until = now() - interval '1 second'";

/// Hands everything on to a node, and sees whether another server is amid its turn too.
#[derive(Clone)]
struct Observer {
    node: String,
    me: usize,
    amid: Arc<[AtomicBool; 2]>,
    overlaps: Arc<AtomicUsize>,
    http: reqwest::Client,
}

async fn observe(State(observer): State<Observer>, question: Bytes) -> Response {
    observer.amid[observer.me].store(true, Ordering::SeqCst);
    if observer.amid[1 - observer.me].load(Ordering::SeqCst) {
        observer.overlaps.fetch_add(1, Ordering::SeqCst);
    }
    let request = observer.http.post(&observer.node).header("content-type", "application/json").body(question);
    request.send().await.expect("anvil answers").bytes().await.expect("anvil answers").into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_both_have_the_account_do_everything_once() {
    let anvil = anvil(&[]).await;
    let house = Chained::with(&anvil, EvmOptions { operations: 2, in_flight: 4, ..options(&anvil) }).await;
    let operations: Vec<Operation> = (0..24).map(|_| one()).collect();
    house.submit(&operations).await;
    let (amid, overlaps) = (Arc::new([AtomicBool::new(false), AtomicBool::new(false)]), Arc::new(AtomicUsize::new(0)));
    let over = AtomicBool::new(false);
    let server = async |me: usize| {
        let (node, http) = (anvil.url(), crate::support::app::client());
        let observer = Observer { node, me, amid: amid.clone(), overlaps: overlaps.clone(), http };
        let endpoint = serve(Router::new().route("/", post(observe)).with_state(observer)).await;
        let options = EvmOptions { endpoint, ..house.options.clone() };
        let ledger = minthouse::commands::ledger_evm::ledger(house.app.app.platform.clone(), &options).expect("sound");
        for _ in 0..400 {
            turn(&ledger).await.expect("the other does no harm");
            amid[me].store(false, Ordering::SeqCst);
            let ids: Vec<_> = operations.iter().map(|operation| operation.id).collect();
            let receipts = house.receipts(&ids).await;
            if over.load(Ordering::SeqCst) || receipts.values().all(|receipt| *receipt != Receipt::Pending) {
                over.store(true, Ordering::SeqCst);
                return;
            }
        }
        panic!("it does not come to an end");
    };
    let robber = async {
        while !over.load(Ordering::SeqCst) {
            let place = house.app.owner_url();
            tokio::task::spawn_blocking(move || ask(&place, EXPIRE)).await.expect("the database answers");
        }
    };
    tokio::join!(server(0), server(1), robber);
    assert!(overlaps.load(Ordering::SeqCst) > 0, "they were never at it together");
    let receipts = house.settle(&operations).await;
    assert!(receipts.values().all(|receipt| matches!(receipt, Receipt::Confirmed(_))), "{receipts:#?}");
    assert_eq!(effects(&anvil, &house).await, operations.len());
    assert_eq!(house.app.sql("SELECT string_agg(DISTINCT state, ',') FROM evm_transactions"), "SETTLED");
    // Nonces are given out by the transactions' IDs: the operations travel in the order in which they were handed over.
    let crosswise = "SELECT count(*)::text FROM (
        SELECT min(sequence_id::text) AS first, lag(max(sequence_id::text)) OVER (ORDER BY transaction_id) AS before
          FROM evm_operations GROUP BY transaction_id) AS t WHERE first < before";
    assert_eq!(house.app.sql(crosswise), "0");
}

/// What the dead have left locked may still be locked for a while, and a slow machine may be late: then a turn comes to
/// nothing, as it does in a server, and another follows. Nothing else may go wrong.
fn bear(fault: Fault) {
    assert!(matches!(fault, Fault::Contended(_) | Fault::Unavailable(_) | Fault::TimedOut), "{}", fault.with_causes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_any_step_is_continued_by_the_next() {
    let anvil = anvil(&[]).await;
    let house = Chained::on(&anvil).await;
    let work = async |ledger: &EvmLedger| {
        for job in ledger.jobs() {
            job.work(house.tenant).await.unwrap_or_else(bear);
        }
    };
    let mut operations = Vec::new();
    for steps in (1..600).step_by(3) {
        let (collectible, holder) = (CollectibleId::generate(), HolderId::generate());
        let pair = [issue(collectible, 1, 3), transfer(collectible, 2, None, holder)];
        house.submit(&pair).await;
        // The first turn sends, the second settles: each is broken off, at last behind its very end.
        let mut whole = true;
        for _ in 0..2 {
            whole &= killed_after(steps, work(&house.beside())).await.is_some();
            house.app.sql(EXPIRE);
        }
        let next = house.beside();
        for _ in 0..400 {
            if house.receipts(&[pair[0].id, pair[1].id]).await.values().all(|receipt| *receipt != Receipt::Pending) {
                break;
            }
            turn(&next).await.unwrap_or_else(bear);
        }
        for operation in &pair {
            let receipt = house.receipt(operation.id).await;
            assert!(matches!(receipt, Receipt::Confirmed(_)), "killed after {steps}: {receipt:?}");
        }
        operations.extend(pair);
        if whole {
            assert!(operations.len() > 2, "it was never killed");
            assert_eq!(effects(&anvil, &house).await, operations.len());
            return;
        }
    }
    panic!("no turn was ever whole");
}

async fn turn_until_settled(house: &Chained, operations: &[Operation]) -> bool {
    let receipts = house.settle(operations).await;
    receipts.values().all(|receipt| matches!(receipt, Receipt::Confirmed(_)))
}
