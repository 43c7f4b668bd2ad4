//! The EVM ledger against a real node, as long as nothing goes wrong on the way. What does is in `evm_trouble`.

use std::collections::{BTreeMap, HashSet};
use std::process::Command;

use minthouse::catalog::model::CollectibleId;
use minthouse::commands::ledger_evm;
use minthouse::ledger::Ledger;
use minthouse::ledger::model::{Content, LedgerKind, Operation, Owner, Piece, Receipt};
use minthouse::platform::config::{EvmOptions, FeeStyle};
use minthouse::platform::randomness::{Randomness, SeededRandomness};
use minthouse::tenancy::model::HolderId;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::support::anvil::{Anvil, CHAIN_ID};
use crate::support::chain::{Chained, issue, options, transfer, turn};
use crate::transport::clients;

/// Each transaction in a block of its own at once. Tests share it, so none may stop its mining.
static SHARED: OnceCell<Anvil> = OnceCell::const_new();

pub async fn anvil(arguments: &[&str]) -> Anvil {
    clients::installed().await;
    Anvil::start(&clients::folder(), arguments).await
}

pub async fn shared() -> &'static Anvil {
    SHARED.get_or_init(|| anvil(&[])).await
}

/// What the contract answers to a call of `signature`, with words of 32 bytes.
async fn call(anvil: &Anvil, contract: &str, from: &str, signature: &str, words: &[String]) -> Result<Value, String> {
    let selector = alloy::primitives::hex::encode(&alloy::primitives::keccak256(signature)[..4]);
    let data = format!("0x{selector}{}", words.concat());
    anvil.try_ask("eth_call", json!([{ "to": contract, "from": from, "data": data }, "latest"])).await
}

fn word(account: &str) -> String {
    format!("{:0>64}", account.trim_start_matches("0x").to_lowercase())
}

fn token(collectible: CollectibleId, serial: i32) -> String {
    format!("{:032x}{serial:032x}", collectible.uuid().as_u128())
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_are_issued_and_moved_and_the_chain_says_whose_they_are() {
    let anvil = shared().await;
    let house = Chained::on(anvil).await;
    let (collectible, holder) = (CollectibleId::generate(), HolderId::generate());
    assert_eq!(house.ledger.kind(), LedgerKind::Evm);
    let operations = [issue(collectible, 1, 1000), transfer(collectible, 7, None, holder)];
    assert_eq!(house.receipt(operations[0].id).await, Receipt::Unknown, "nobody has spoken of it");
    house.submit(&operations).await;
    assert_eq!(house.receipt(operations[0].id).await, Receipt::Pending);
    let receipts = house.settle(&operations).await;

    let Receipt::Confirmed(place) = &receipts[&operations[1].id] else { panic!("{receipts:#?}") };
    let hash = place.transaction.clone().expect("the chain has a name for it");
    let mined = anvil.transaction(&hash).await;
    assert_eq!(mined["type"], "0x2", "a base fee and a tip");
    assert_eq!(mined["from"].as_str().map(str::to_lowercase), Some(house.account.to_lowercase()));
    assert_eq!(u64::from_str_radix(&mined["blockNumber"].as_str().unwrap()[2..], 16), Ok(place.block.cast_unsigned()));
    let receipt = anvil.ask("eth_getTransactionReceipt", json!([hash])).await;
    let logs = receipt["logs"].as_array().expect("a list");
    assert_eq!(logs.len(), 4, "two of the standard, two of ours");
    let Receipt::Confirmed(first) = &receipts[&operations[0].id] else { panic!("{receipts:#?}") };
    assert_eq!((place.block, place.position), (first.block, first.position + 2), "their places among the block's logs");

    let (treasury, account) = (house.account_of(Owner::Treasury), house.account_of(Owner::Holder(holder)));
    assert_ne!(treasury, account);
    let pieces: Vec<Piece> = [7, 8, 1000, 0, 1001].map(|serial| Piece { collectible, serial }).into();
    let owners = house.ledger.owners(house.tenant, &pieces).await.expect("the node answers");
    let found: BTreeMap<i32, &str> = owners.iter().map(|(piece, account)| (piece.serial, account.0.as_str())).collect();
    assert_eq!(found, BTreeMap::from([(7, &*account), (8, &*treasury), (1000, &*treasury)]));

    // As anybody sees it, by the standard's own functions.
    let contract = house.options.contract.clone().expect("it is deployed");
    for (owner, serial, balance) in [(&account, 7, 1), (&treasury, 7, 0), (&treasury, 8, 1), (&treasury, 1001, 0)] {
        let words = [word(owner), token(collectible, serial)];
        let answer = call(anvil, &contract, owner, "balanceOf(address,uint256)", &words).await;
        assert_eq!(answer, Ok(json!(format!("0x{balance:064x}"))), "{serial}");
    }
    for interface in ["01ffc9a7", "d9b67a26", "0e89341c"] {
        let words = [format!("{interface:0<64}")];
        let answer = call(anvil, &contract, &account, "supportsInterface(bytes4)", &words).await;
        assert_eq!(answer, Ok(json!(format!("0x{:064x}", 1))), "{interface}");
    }

    // Handed over again, it is left as it is.
    let before = anvil.count(&house.account).await;
    house.submit(&operations).await;
    house.turn().await;
    assert_eq!(house.receipts(&[operations[0].id, operations[1].id]).await, receipts);
    assert_eq!(anvil.count(&house.account).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_with_a_reason_and_holds_nothing_up() {
    let anvil = shared().await;
    let house = Chained::with(anvil, EvmOptions { operations: 50, ..options(anvil) }).await;
    let (collectible, holder) = (CollectibleId::generate(), HolderId::generate());
    let mut operations = vec![issue(collectible, 1, 300)];
    operations.extend((1..=20).map(|serial| transfer(collectible, serial, None, holder)));
    let poison = [
        (issue(collectible, 300, 2), "exists already"),
        (issue(collectible, 400, 1001), "too long"),
        (issue(collectible, 400, 0), "empty"),
        (transfer(collectible, 301, None, holder), "never issued"),
        (transfer(collectible, 1, None, holder), "does not belong"),
    ];
    operations.extend(poison.iter().map(|(operation, _)| operation.clone()));
    operations.extend((21..=120).map(|serial| transfer(collectible, serial, None, holder)));
    house.submit(&operations).await;
    let receipts = house.settle(&operations).await;
    for (operation, reason) in &poison {
        let Receipt::Refused { reason: said } = &receipts[&operation.id] else { panic!("{receipts:#?}") };
        assert!(said.contains(reason), "{said}");
    }
    let refused = receipts.values().filter(|receipt| matches!(receipt, Receipt::Refused { .. })).count();
    assert_eq!(refused, poison.len(), "the others were carried out");
    // 126 operations in transactions of at most 50; one more has deployed the contract.
    assert_eq!(anvil.count(&house.account).await, 1 + 3);
    assert_eq!(house.owner_of(collectible, 300).await, Some(house.account_of(Owner::Treasury)));
    assert_eq!(house.owner_of(collectible, 301).await, None, "nothing of a refused run remains");
    assert_eq!(house.owner_of(collectible, 400).await, None);
}

/// The contract's rules in a few lines, to be compared with.
#[derive(Default)]
struct Model(BTreeMap<(CollectibleId, i32), Option<HolderId>>);

impl Model {
    /// Whether the operation is carried out.
    fn carry_out(&mut self, content: &Content) -> bool {
        match *content {
            Content::Issue { collectible_id, first_serial, count } => {
                let run = (first_serial..first_serial + count).map(|serial| (collectible_id, serial));
                let free = (1..=1000).contains(&count) && !run.clone().any(|piece| self.0.contains_key(&piece));
                if free {
                    self.0.extend(run.map(|piece| (piece, None)));
                }
                free
            }
            Content::Transfer { collectible_id, serial, from, to } => {
                let owner = self.0.get_mut(&(collectible_id, serial)).filter(|owner| **owner == from);
                owner.map(|owner| *owner = Some(to)).is_some()
            }
            Content::Anchor { .. } => false,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_does_what_its_rules_say_whatever_comes() {
    let anvil = shared().await;
    let house = Chained::on(anvil).await;
    let dice: &dyn Randomness = &SeededRandomness::new(20261121);
    let roll = |sides: u32| i32::try_from(u32::from_be_bytes(dice.bytes()) % sides).expect("few sides");
    let collectibles = [CollectibleId::generate(), CollectibleId::generate()];
    let holders: Vec<HolderId> = (0..3).map(|_| HolderId::generate()).collect();
    let anybody = |number: i32| usize::try_from(number).ok().and_then(|number| holders.get(number)).copied();
    let operations: Vec<Operation> = (0..300)
        .map(|_| {
            let collectible = collectibles[usize::from(roll(2) == 0)];
            match roll(5) {
                // Runs begin and end at and around the borders of the contract's words of 256 bits.
                0 => issue(collectible, 240 + roll(40), 1 + roll(30)),
                _ => {
                    transfer(collectible, 240 + roll(60), anybody(roll(4)), holders[usize::try_from(roll(3)).unwrap()])
                }
            }
        })
        .collect();
    let mut model = Model::default();
    let expected: Vec<bool> = operations.iter().map(|operation| model.carry_out(&operation.content)).collect();
    assert!(expected.iter().filter(|done| **done).count() > 30 && expected.iter().any(|done| !done), "both happen");

    house.submit(&operations).await;
    let receipts = house.settle(&operations).await;
    for (operation, expected) in operations.iter().zip(expected) {
        let done = matches!(receipts[&operation.id], Receipt::Confirmed(_));
        assert_eq!(done, expected, "{operation:?}: {:?}", receipts[&operation.id]);
    }
    let all = collectibles.iter().flat_map(|&collectible| (239..330).map(move |serial| Piece { collectible, serial }));
    let all: Vec<Piece> = all.collect();
    let owners = house.ledger.owners(house.tenant, &all).await.expect("the node answers");
    for piece in all {
        let expected = model.0.get(&(piece.collectible, piece.serial));
        let expected = expected.map(|holder| house.account_of(holder.map_or(Owner::Treasury, Owner::Holder)));
        assert_eq!(owners.get(&piece).map(|account| account.0.clone()), expected, "{piece:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_and_two_enterprises_share_one_account() {
    let anvil = shared().await;
    let house = Chained::with(anvil, EvmOptions { operations: 5, in_flight: 3, ..options(anvil) }).await;
    let other = house.beside();
    let beta = house.app.enterprise("beta").await;
    let (ours, theirs, holder) = (CollectibleId::generate(), CollectibleId::generate(), HolderId::generate());
    let runs = |collectible| (0..20).map(move |run| issue(collectible, run * 10, 10));
    let (alphas, betas): (Vec<_>, Vec<_>) = (runs(ours).collect(), runs(theirs).collect());
    house.submit(&alphas).await;
    other.submit(beta, &betas).await.expect("the database takes it");
    for _ in 0..400 {
        // At the same time, as two servers do.
        let (one, two) = tokio::join!(turn(&house.ledger), turn(&other));
        one.and(two).expect("neither is in the other's way");
        if house.app.sql("SELECT count(*)::text FROM evm_operations WHERE state <> 'CONFIRMED'") == "0" {
            break;
        }
    }
    let settled = house.settle(&alphas).await;
    assert!(settled.values().all(|receipt| matches!(receipt, Receipt::Confirmed(_))), "{settled:#?}");
    let ids: Vec<_> = betas.iter().map(|operation| operation.id).collect();
    let settled = other.receipts(beta, &ids).await.expect("the database answers");
    assert!(settled.values().all(|receipt| matches!(receipt, Receipt::Confirmed(_))), "{settled:#?}");

    // One transaction a nonce, one enterprise a transaction, none sent for nothing.
    let transactions = house.app.sql("SELECT count(*)::text FROM evm_transactions WHERE state = 'SETTLED'");
    assert_eq!(anvil.count(&house.account).await.to_string(), (1 + transactions.parse::<u64>().unwrap()).to_string());
    assert_eq!(house.app.sql("SELECT count(DISTINCT nonce)::text FROM evm_transactions"), transactions);
    assert_eq!(house.app.sql("SELECT count(*)::text FROM evm_transactions WHERE state <> 'SETTLED'"), "0");

    // What is one enterprise's cannot be moved by another, not even by the same operator.
    let theft = transfer(theirs, 3, None, holder);
    house.submit(std::slice::from_ref(&theft)).await;
    let receipts = house.settle(std::slice::from_ref(&theft)).await;
    assert!(matches!(&receipts[&theft.id], Receipt::Refused { reason } if reason.contains("does not belong")));
    let squat = issue(theirs, 500, 1);
    house.submit(std::slice::from_ref(&squat)).await;
    let receipts = house.settle(std::slice::from_ref(&squat)).await;
    assert!(matches!(&receipts[&squat.id], Receipt::Refused { reason } if reason.contains("another enterprise")));
    assert_eq!(house.owner_of(theirs, 3).await, None, "to have asked for it tells nothing of whose it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn legacy_transactions_are_bound_to_their_chain() {
    let anvil = shared().await;
    let house = Chained::with(anvil, EvmOptions { fees: FeeStyle::Legacy, ..options(anvil) }).await;
    let operation = issue(CollectibleId::generate(), 0, 3);
    house.submit(std::slice::from_ref(&operation)).await;
    let receipts = house.settle(std::slice::from_ref(&operation)).await;
    let Receipt::Confirmed(place) = &receipts[&operation.id] else { panic!("{receipts:#?}") };
    let mined = anvil.transaction(place.transaction.as_deref().expect("a hash")).await;
    assert_eq!(mined["type"], "0x0");
    let v = u64::from_str_radix(&mined["v"].as_str().expect("a signature")[2..], 16).expect("a quantity");
    assert!([35, 36].contains(&(v - 2 * CHAIN_ID)), "EIP-155: {v}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_moves_pieces_past_the_house() {
    let anvil = shared().await;
    let house = Chained::on(anvil).await;
    let (collectible, holder) = (CollectibleId::generate(), HolderId::generate());
    house.carry_out(&[issue(collectible, 1, 2), transfer(collectible, 1, None, holder)]).await;
    let contract = house.options.contract.clone().expect("it is deployed");
    let (owner, stranger) = (house.account_of(Owner::Holder(holder)), word("0x1234"));
    let stranger_address = format!("0x{}", &stranger[24..]);
    let one = format!("{:064x}", 1);
    let transfer_words =
        [word(&owner), stranger.clone(), token(collectible, 1), one.clone(), format!("{:064x}", 0xa0), "0".repeat(64)];
    let transfer = "safeTransferFrom(address,address,uint256,uint256,bytes)";
    // Neither the owner nor the operator, by the standard's way; nor a stranger by ours.
    for from in [&owner, &house.account, &stranger_address] {
        assert!(call(anvil, &contract, from, transfer, &transfer_words).await.is_err(), "{from}");
        let approval = [stranger.clone(), one.clone()];
        assert!(call(anvil, &contract, from, "setApprovalForAll(address,bool)", &approval).await.is_err());
    }
    let execute = "execute((bytes32,uint8,uint256,uint256,address,address)[])";
    let nothing = [format!("{:064x}", 0x20), "0".repeat(64)];
    assert_eq!(call(anvil, &contract, &house.account, execute, &nothing).await, Ok(json!("0x")));
    for from in [&owner, &stranger_address] {
        assert!(call(anvil, &contract, from, execute, &nothing).await.is_err(), "{from}");
    }
    let pair = [word(&owner), word(&house.account)];
    let approved = call(anvil, &contract, &owner, "isApprovedForAll(address,address)", &pair).await;
    assert_eq!(approved, Ok(json!(format!("0x{:064x}", 0))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_chain_and_a_missing_role_are_told_before_anything_is_sent() {
    let anvil = shared().await;
    let house = Chained::on(anvil).await;
    let (trouble, fine) = ledger_evm::look(&house.ledger).await;
    assert_eq!(trouble, Vec::new());
    assert!(fine.contains("chain 31337") && fine.contains(&house.account), "{fine}");

    let look = async |options: EvmOptions| {
        let ledger = ledger_evm::ledger(house.app.app.platform.clone(), &options).expect("the options are sound");
        let (mut trouble, _) = ledger_evm::look(&ledger).await;
        let (what, remedy) = trouble.swap_remove(0);
        (ledger, what, remedy)
    };
    let (_, what, remedy) = look(EvmOptions { chain_id: 1, ..house.options.clone() }).await;
    assert!(what.contains("chain 31337") && what.contains("says 1") && remedy.contains("evm.chain_id"), "{what}");
    let nowhere = Some("0x00000000000000000000000000000000000000ee".to_owned());
    let (_, what, remedy) = look(EvmOptions { contract: nowhere, ..house.options.clone() }).await;
    assert!(what.contains("no contract") && remedy.contains("minthouse ledger evm deploy"), "{what}");
    let closed = "http://127.0.0.1:1/".to_owned();
    let (_, what, _) = look(EvmOptions { endpoint: closed, ..house.options.clone() }).await;
    assert!(what.contains("cannot be reached"), "{what}");

    // Another key, which the contract's administrator has not made an operator.
    let key = format!("{:064x}", 0xbeef);
    let (ledger, what, remedy) = look(EvmOptions { key: Some(key), ..house.options.clone() }).await;
    assert!(what.contains("no operator's role") && remedy.contains("OPERATOR_ROLE"), "{what}");
    let operation = issue(CollectibleId::generate(), 1, 1);
    house.submit(std::slice::from_ref(&operation)).await;
    let fault = turn(&ledger).await.expect_err("it sends nothing").with_causes();
    assert!(fault.contains("no operator's role"), "{fault}");
    assert_eq!(house.receipt(operation.id).await, Receipt::Pending, "it waits for whoever may");
    house.carry_out(&[operation]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_deploys_the_contract() {
    let anvil = shared().await;
    let folder = tempfolder("deploy");
    let key = folder.join("operator.key");
    std::fs::write(&key, format!("0x{:064x}\n", 0xd0d0)).expect("the folder is writable");
    let configuration = folder.join("minthouse.toml");
    let text = format!("[evm]\nendpoint = \"{}\"\nkey_file = \"{}\"\n", anvil.url(), key.display());
    std::fs::write(&configuration, text).expect("the folder is writable");
    let deploy = async || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_minthouse"));
        command.args(["ledger", "evm", "deploy", "--config"]).arg(&configuration);
        command.args(["--uri", "https://meta.example/{id}"]).env("MINTHOUSE_EVM__CHAIN_ID", CHAIN_ID.to_string());
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it runs");
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), out, err)
    };
    let mode =
        |mode| std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("it is ours");
    mode(0o644);
    let (done, _, err) = deploy().await;
    assert!(!done && err.contains("chmod 600"), "{err}");
    mode(0o600);
    let (done, _, err) = deploy().await;
    assert!(!done && err.contains("could not be sent"), "it has nothing to pay with: {err}");
    let account = "0x".to_owned() + &account_of(0xd0d0);
    anvil.ask("anvil_setBalance", json!([account, "0x56bc75e2d63100000"])).await;
    let (done, out, err) = deploy().await;
    assert!(done, "{err}");
    let contract = out.trim().strip_prefix("contract = \"").and_then(|text| text.strip_suffix('"')).expect(&out);
    let code = anvil.ask("eth_getCode", json!([contract, "latest"])).await;
    let artefact: Value = serde_json::from_str(include_str!("../../contracts/out/MinthouseCollectibles.json")).unwrap();
    assert_eq!(code, artefact["deployedBytecode"]);
    std::fs::remove_dir_all(&folder).expect("it is ours");
}

fn account_of(key: u64) -> String {
    let signer: alloy::signers::local::PrivateKeySigner = format!("{key:064x}").parse().expect("a key");
    alloy::primitives::hex::encode(signer.address())
}

fn tempfolder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("minthouse-evm-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    folder
}

#[test]
fn the_committed_contract_is_what_its_source_compiles_to() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(&folder).output();
        let output = output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    if !folder.join("node_modules/.package-lock.json").exists() {
        run("npm", &["ci", "--no-audit", "--no-fund"]);
    }
    let built = run("node", &["build.mjs", "--print"]);
    let committed = include_bytes!("../../contracts/out/MinthouseCollectibles.json");
    assert!(built == committed, "run `make contracts` and look at the difference");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_in_order_and_each_operation_stands_once() {
    let anvil = shared().await;
    let house = Chained::with(anvil, EvmOptions { operations: 7, in_flight: 4, ..options(anvil) }).await;
    let collectible = CollectibleId::generate();
    let holders: Vec<HolderId> = (0..30).map(|_| HolderId::generate()).collect();
    // One piece from hand to hand: any other order would be refused.
    let mut operations = vec![issue(collectible, 1, 1)];
    let mut from = None;
    for to in &holders {
        operations.push(transfer(collectible, 1, from, *to));
        from = Some(*to);
    }
    house.submit(&operations).await;
    let receipts = house.settle(&operations).await;
    let mut last = (0, 0);
    let mut places = HashSet::new();
    for operation in &operations {
        let Receipt::Confirmed(place) = &receipts[&operation.id] else { panic!("{:?}", receipts[&operation.id]) };
        assert!((place.block, place.position) > last, "they stand in their order");
        last = (place.block, place.position);
        assert!(places.insert(last));
    }
    let end = house.account_of(Owner::Holder(*holders.last().expect("thirty")));
    assert_eq!(house.owner_of(collectible, 1).await, Some(end));
}
