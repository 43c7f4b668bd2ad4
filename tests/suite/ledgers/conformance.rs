//! What every ledger must do. A ledger joins by setting a [`Stage`] and one line: `conforms!(name, stage)`, see `embedded.rs`.
//!
//! Calls may fail: the suite does then what the server's own workers do, and asks before it submits again. So the same
//! cases judge a ledger that misbehaves on purpose.

use std::collections::{HashMap, HashSet};
use std::slice::from_ref;
use std::sync::Arc;

use async_trait::async_trait;
use minthouse::catalog::model::CollectibleId;
use minthouse::ledger::Ledger;
use minthouse::ledger::model::{Account, Content, Operation, OperationId, Owner, Piece, Place, Receipt};
use minthouse::platform::id;
use minthouse::tenancy::model::{EnterpriseId, HolderId};

/// A ledger that is ready to work, and what the cases need around it.
#[async_trait]
pub trait Stage: Send + Sync {
    fn ledger(&self) -> Arc<dyn Ledger>;

    /// Two enterprises that may use it.
    fn tenants(&self) -> [EnterpriseId; 2];

    /// Lets the ledger get on with what was submitted. Called again and again until everything has come to an end.
    async fn work(&self);

    /// A new one over the same ground, as after a crash.
    async fn restart(&mut self);

    /// How many operations are a lot.
    fn many(&self) -> i32 {
        2500
    }
}

/// How often something is tried before the case gives up.
const TRIES: usize = 400;

/// Has a test for each case, over stages that `$stage().await` sets.
macro_rules! conforms {
    ($name:ident, $stage:path) => {
        $crate::ledgers::conformance::conforms!($name, $stage,
            what_is_submitted_twice_is_done_once
            submitting_at_once_under_one_id_does_it_once
            what_was_never_submitted_is_unknown
            operations_stand_in_the_order_in_which_they_were_submitted
            what_cannot_be_true_is_refused_for_good
            pieces_belong_to_whom_they_were_given
            enterprises_do_not_touch_each_other
            a_restart_in_the_middle_loses_and_doubles_nothing
            many_operations_all_come_to_their_end
            what_is_confirmed_stays_confirmed
            nothing_is_nothing
        );
    };
    ($name:ident, $stage:path, $($case:ident)+) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    $crate::ledgers::conformance::$case(&mut $stage().await).await;
                }
            )+
        }
    };
}
pub(crate) use conforms;

pub fn issue(collectible: CollectibleId, first_serial: i32, count: i32) -> Operation {
    Operation { id: id::generate(), content: Content::Issue { collectible_id: collectible, first_serial, count } }
}

pub fn transfer(piece: Piece, from: Option<HolderId>, to: HolderId) -> Operation {
    let Piece { collectible, serial } = piece;
    Operation { id: id::generate(), content: Content::Transfer { collectible_id: collectible, serial, from, to } }
}

pub fn piece(collectible: CollectibleId, serial: i32) -> Piece {
    Piece { collectible, serial }
}

async fn submit(stage: &dyn Stage, tenant: EnterpriseId, operations: &[Operation]) {
    for _ in 0..TRIES {
        if stage.ledger().submit(tenant, operations).await.is_ok() {
            return;
        }
    }
    panic!("nothing could be submitted in {TRIES} tries");
}

/// Hands operations over and sees to it that each comes to an end: asks, and submits again what never arrived.
pub async fn carry(stage: &dyn Stage, tenant: EnterpriseId, operations: &[Operation]) -> HashMap<OperationId, Receipt> {
    let ids: Vec<OperationId> = operations.iter().map(|operation| operation.id).collect();
    let _ = stage.ledger().submit(tenant, operations).await;
    for _ in 0..TRIES {
        stage.work().await;
        let Ok(receipts) = stage.ledger().receipts(tenant, &ids).await else { continue };
        assert_eq!(receipts.len(), ids.iter().collect::<HashSet<_>>().len(), "a receipt for each that was asked for");
        let unknown: Vec<Operation> =
            operations.iter().filter(|operation| receipts[&operation.id] == Receipt::Unknown).cloned().collect();
        if !unknown.is_empty() {
            let _ = stage.ledger().submit(tenant, &unknown).await;
        } else if receipts.values().all(|receipt| *receipt != Receipt::Pending) {
            return receipts;
        }
    }
    panic!("the operations did not come to an end in {TRIES} tries");
}

/// The same, for operations that must all be carried out. Gives their places, in the order of the operations.
pub async fn carry_out(stage: &dyn Stage, tenant: EnterpriseId, operations: &[Operation]) -> Vec<Place> {
    let receipts = carry(stage, tenant, operations).await;
    let place = |operation: &Operation| match &receipts[&operation.id] {
        Receipt::Confirmed(place) => place.clone(),
        other => panic!("{operation:?} was not carried out: {other:?}"),
    };
    operations.iter().map(place).collect()
}

pub async fn owners(stage: &dyn Stage, tenant: EnterpriseId, pieces: &[Piece]) -> HashMap<Piece, Account> {
    for _ in 0..TRIES {
        if let Ok(owners) = stage.ledger().owners(tenant, pieces).await {
            return owners;
        }
    }
    panic!("nobody says who owns what in {TRIES} tries");
}

async fn assert_owner(stage: &dyn Stage, tenant: EnterpriseId, piece: Piece, owner: Owner) {
    let found = owners(stage, tenant, &[piece]).await;
    assert_eq!(found.get(&piece), Some(&stage.ledger().account(tenant, owner)), "{piece:?}");
}

pub async fn what_is_submitted_twice_is_done_once(stage: &mut dyn Stage) {
    let ([tenant, _], collectible, holder) = (stage.tenants(), CollectibleId::generate(), HolderId::generate());
    let issued = issue(collectible, 1, 10);
    let first = carry_out(stage, tenant, from_ref(&issued)).await;
    let moved = transfer(piece(collectible, 3), None, holder);
    submit(stage, tenant, &[moved.clone(), moved.clone()]).await;
    submit(stage, tenant, &[issued.clone(), moved.clone()]).await;
    let places = carry_out(stage, tenant, &[issued.clone(), moved.clone()]).await;
    assert_eq!(places[0], first[0]);
    assert_owner(stage, tenant, piece(collectible, 3), Owner::Holder(holder)).await;

    // The first under an ID is the one; what else comes under it is not even looked at.
    let other = Operation { id: issued.id, ..issue(CollectibleId::generate(), 1, 10) };
    assert_eq!(carry_out(stage, tenant, from_ref(&other)).await, first);
    let Content::Issue { collectible_id, .. } = other.content else { unreachable!("it is an issue") };
    assert_eq!(owners(stage, tenant, &[piece(collectible_id, 1)]).await, HashMap::new());
}

pub async fn submitting_at_once_under_one_id_does_it_once(stage: &mut dyn Stage) {
    let ([tenant, _], collectible, holder) = (stage.tenants(), CollectibleId::generate(), HolderId::generate());
    carry_out(stage, tenant, &[issue(collectible, 1, 2)]).await;
    let moved = transfer(piece(collectible, 1), None, holder);
    let at_once = (0..8).map(|_| {
        let (ledger, moved) = (stage.ledger(), moved.clone());
        tokio::spawn(async move { ledger.submit(tenant, &[moved]).await.is_ok() })
    });
    for sent in futures_util::future::join_all(at_once).await {
        sent.expect("it does not panic");
    }
    let place = carry_out(stage, tenant, from_ref(&moved)).await;
    assert_owner(stage, tenant, piece(collectible, 1), Owner::Holder(holder)).await;
    submit(stage, tenant, from_ref(&moved)).await;
    assert_eq!(carry_out(stage, tenant, &[moved]).await, place);
}

pub async fn what_was_never_submitted_is_unknown(stage: &mut dyn Stage) {
    let ([tenant, _], ids) = (stage.tenants(), [id::generate(), id::generate()]);
    for _ in 0..TRIES {
        if let Ok(receipts) = stage.ledger().receipts(tenant, &ids).await {
            assert_eq!(receipts, ids.iter().map(|id| (*id, Receipt::Unknown)).collect());
            return;
        }
    }
    panic!("no answer in {TRIES} tries");
}

pub async fn operations_stand_in_the_order_in_which_they_were_submitted(stage: &mut dyn Stage) {
    let ([tenant, _], collectible) = (stage.tenants(), CollectibleId::generate());
    let [one, two, three] = [(); 3].map(|()| HolderId::generate());
    carry_out(stage, tenant, &[issue(collectible, 1, 4)]).await;
    let own = piece(collectible, 2);
    let mut moves = [
        transfer(own, None, one),
        transfer(own, Some(one), two),
        transfer(own, Some(two), three),
        transfer(own, Some(three), one),
    ];
    // An ID says nothing of an order: these fall where the moves rise.
    let mut ids = moves.clone().map(|operation| operation.id);
    ids.sort();
    for (operation, id) in moves.iter_mut().zip(ids.into_iter().rev()) {
        operation.id = id;
    }
    let places = carry_out(stage, tenant, &moves).await;
    let order: Vec<(i64, i32)> = places.iter().map(|place| (place.block, place.position)).collect();
    assert!(order.is_sorted_by(|before, after| before < after), "{order:?}");
    assert_owner(stage, tenant, own, Owner::Holder(one)).await;
}

pub async fn what_cannot_be_true_is_refused_for_good(stage: &mut dyn Stage) {
    let ([tenant, _], collectible) = (stage.tenants(), CollectibleId::generate());
    let [giver, receiver, stranger] = [(); 3].map(|()| HolderId::generate());
    let (kept, given) = (piece(collectible, 10), piece(collectible, 11));
    carry_out(stage, tenant, &[issue(collectible, 10, 5)]).await;
    carry_out(stage, tenant, &[transfer(given, None, giver)]).await;
    let impossible = [
        issue(collectible, 10, 5),
        issue(collectible, 14, 1),
        issue(collectible, 6, 5),
        issue(collectible, 12, 1),
        issue(collectible, 0, 100),
        issue(collectible, -5, 3),
        issue(collectible, i32::MAX - 1, 5),
        transfer(piece(collectible, -1), None, receiver),
        issue(collectible, 20, 0),
        transfer(piece(collectible, 9), None, receiver),
        transfer(piece(collectible, 15), None, receiver),
        transfer(piece(CollectibleId::generate(), 10), None, receiver),
        transfer(given, None, receiver),
        transfer(given, Some(stranger), receiver),
        transfer(kept, Some(giver), receiver),
    ];
    let possible = [issue(collectible, 15, 5), issue(collectible, 0, 10)];
    let all: Vec<Operation> = impossible.iter().chain(&possible).cloned().collect();
    let receipts = carry(stage, tenant, &all).await;
    for operation in &impossible {
        let receipt = &receipts[&operation.id];
        assert!(matches!(receipt, Receipt::Refused { reason } if !reason.is_empty()), "{operation:?}: {receipt:?}");
    }
    for operation in &possible {
        assert!(matches!(receipts[&operation.id], Receipt::Confirmed(_)), "{operation:?}");
    }
    // Even when it has become possible: who was refused has been told so.
    carry_out(stage, tenant, &[transfer(kept, None, giver)]).await;
    submit(stage, tenant, &all).await;
    stage.work().await;
    assert_eq!(carry(stage, tenant, &all).await, receipts);
    assert_owner(stage, tenant, given, Owner::Holder(giver)).await;
    assert_owner(stage, tenant, kept, Owner::Holder(giver)).await;
}

pub async fn pieces_belong_to_whom_they_were_given(stage: &mut dyn Stage) {
    let ([tenant, _], collectible) = (stage.tenants(), CollectibleId::generate());
    let (one, two) = (HolderId::generate(), HolderId::generate());
    carry_out(stage, tenant, &[issue(collectible, 0, 3)]).await;
    let pieces: Vec<Piece> = (0..5).map(|serial| piece(collectible, serial)).collect();
    let treasury = stage.ledger().account(tenant, Owner::Treasury);
    let found = owners(stage, tenant, &pieces).await;
    assert_eq!(
        found,
        pieces[..3].iter().map(|piece| (*piece, treasury.clone())).collect(),
        "what was not issued is left out"
    );

    carry_out(stage, tenant, &[transfer(pieces[0], None, one), transfer(pieces[1], None, two)]).await;
    carry_out(stage, tenant, &[transfer(pieces[1], Some(two), one)]).await;
    let found = owners(stage, tenant, &pieces).await;
    let account = |owner| stage.ledger().account(tenant, owner);
    assert_eq!(found[&pieces[0]], account(Owner::Holder(one)));
    assert_eq!(found[&pieces[1]], account(Owner::Holder(one)));
    assert_eq!(found[&pieces[2]], treasury);
    let accounts: HashSet<Account> =
        [Owner::Treasury, Owner::Holder(one), Owner::Holder(two)].into_iter().map(account).collect();
    assert_eq!(accounts.len(), 3, "each owner has an account of their own");
}

pub async fn enterprises_do_not_touch_each_other(stage: &mut dyn Stage) {
    let ([one, other], collectible, holder) = (stage.tenants(), CollectibleId::generate(), HolderId::generate());
    let own = piece(collectible, 1);
    let issued = issue(collectible, 1, 3);
    carry_out(stage, one, from_ref(&issued)).await;
    assert_eq!(owners(stage, other, &[own]).await, HashMap::new());
    let stolen = transfer(own, None, holder);
    assert!(matches!(carry(stage, other, from_ref(&stolen)).await[&stolen.id], Receipt::Refused { .. }));

    // The same ID is another operation there.
    let theirs = piece(CollectibleId::generate(), 100);
    carry_out(stage, other, &[Operation { id: issued.id, ..issue(theirs.collectible, 100, 3) }]).await;
    carry_out(stage, one, &[transfer(own, None, holder)]).await;
    assert_eq!(owners(stage, other, &[own]).await, HashMap::new());
    assert_eq!(owners(stage, one, &[theirs]).await, HashMap::new());
    assert_owner(stage, one, own, Owner::Holder(holder)).await;
    assert_owner(stage, other, theirs, Owner::Treasury).await;
}

pub async fn a_restart_in_the_middle_loses_and_doubles_nothing(stage: &mut dyn Stage) {
    let ([tenant, _], collectible, holder) = (stage.tenants(), CollectibleId::generate(), HolderId::generate());
    let issued = issue(collectible, 1, 20);
    let _ = stage.ledger().submit(tenant, from_ref(&issued)).await;
    stage.restart().await;
    let first = carry_out(stage, tenant, from_ref(&issued)).await;
    let moves: Vec<Operation> = (1..=20).map(|serial| transfer(piece(collectible, serial), None, holder)).collect();
    let _ = stage.ledger().submit(tenant, &moves).await;
    stage.work().await;
    stage.restart().await;
    let places = carry_out(stage, tenant, &moves).await;
    assert_eq!(places.iter().map(|place| (place.block, place.position)).collect::<HashSet<_>>().len(), moves.len());
    stage.restart().await;
    assert_eq!(carry_out(stage, tenant, &moves).await, places);
    assert_eq!(carry_out(stage, tenant, &[issued]).await, first);
    assert_owner(stage, tenant, piece(collectible, 20), Owner::Holder(holder)).await;
}

pub async fn many_operations_all_come_to_their_end(stage: &mut dyn Stage) {
    let ([tenant, _], collectible, holder) = (stage.tenants(), CollectibleId::generate(), HolderId::generate());
    // As many pieces as an issuance puts into one operation, and more operations than fit into one block.
    let many = stage.many();
    let runs: Vec<Operation> =
        (0..many).step_by(1000).map(|first| issue(collectible, first, 1000.min(many - first))).collect();
    carry_out(stage, tenant, &runs).await;
    let pieces: Vec<Piece> = (0..many).map(|serial| piece(collectible, serial)).collect();
    let moves: Vec<Operation> = pieces.iter().map(|piece| transfer(*piece, None, holder)).collect();
    let places = carry_out(stage, tenant, &moves).await;
    assert_eq!(places.iter().map(|place| (place.block, place.position)).collect::<HashSet<_>>().len(), moves.len());
    let account = stage.ledger().account(tenant, Owner::Holder(holder));
    let found = owners(stage, tenant, &pieces).await;
    assert_eq!(found.len(), pieces.len());
    assert!(found.values().all(|owner| *owner == account));
}

pub async fn what_is_confirmed_stays_confirmed(stage: &mut dyn Stage) {
    let ([tenant, _], collectible) = (stage.tenants(), CollectibleId::generate());
    let (one, two) = (HolderId::generate(), HolderId::generate());
    let own = piece(collectible, 7);
    let mut done = vec![issue(collectible, 7, 1)];
    let mut places = carry_out(stage, tenant, &done).await;
    let (mut giver, mut receiver) = (None, one);
    for _ in 0..4 {
        let next = transfer(own, giver, receiver);
        places.extend(carry_out(stage, tenant, from_ref(&next)).await);
        done.push(next);
        (giver, receiver) = (Some(receiver), if receiver == one { two } else { one });
        assert_eq!(carry_out(stage, tenant, &done).await, places);
    }
}

pub async fn nothing_is_nothing(stage: &mut dyn Stage) {
    let [tenant, _] = stage.tenants();
    submit(stage, tenant, &[]).await;
    stage.work().await;
    assert_eq!(carry(stage, tenant, &[]).await, HashMap::new());
    assert_eq!(owners(stage, tenant, &[]).await, HashMap::new());
}
