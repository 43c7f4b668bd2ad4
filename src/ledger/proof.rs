//! A piece's history as a document that proves itself: each operation in its block, each block in the chain, the chain
//! under the house's signature. Whoever has it needs nothing else, see [`crate::ledger::verify`].

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::catalog::model::CollectibleId;
use crate::ledger::checkpoint::{Checkpoint, LedgerKeys};
use crate::ledger::merkle::{self, Hash, Run};
use crate::ledger::model::{Block, OperationId, Piece};
use crate::ledger::record::Salts;
use crate::ledger::store::{self, chain};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::vault::hex;
use crate::tenancy::model::{EnterpriseId, HolderId};
use crate::tenancy::scope::TenantScope;

pub const FORMAT: &str = "minthouse/ledger-proof/1";

/// Hashes are in hexadecimal throughout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    pub format: String,
    pub enterprise: EnterpriseId,
    pub collectible: CollectibleId,
    pub serial: i32,
    /// Who has the piece; none while it lies in the treasury.
    pub holder: Option<Opened>,
    /// The issue, and each transfer since.
    pub operations: Vec<Inclusion>,
    /// Those that the operations stand in, in order.
    pub blocks: Vec<BlockInclusion>,
    /// The signed note.
    pub checkpoint: String,
    /// The public key that signed it, to be compared with what the house publishes.
    pub key: String,
}

/// The holder whom the last record means, with the salt that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Opened {
    pub id: HolderId,
    pub salt: String,
}

/// An operation in its block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inclusion {
    /// The leaf's text; its place stands in it.
    pub record: String,
    pub path: Vec<String>,
}

/// A block's head, and its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlockInclusion {
    pub number: i64,
    pub previous_hash: String,
    pub operations_root: String,
    pub operation_count: i32,
    /// Microseconds since 1970.
    pub sealed_at: i64,
    pub path: Vec<String>,
}

/// One operation in its block, its block in the chain, and the chain under the signature: a part of whatever document
/// says what the operation is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OperationProof {
    pub operation: Inclusion,
    pub block: BlockInclusion,
    /// The signed note.
    pub checkpoint: String,
    /// The public key that signed it, to be compared with what the house publishes.
    pub key: String,
}

pub struct Proof {
    pub document: Document,
    pub checkpoint: Checkpoint,
}

/// What can be proved of a piece, by the newest checkpoint. None where the chain does not know the piece, or where it
/// says that somebody else than `holder` has it: then the piece is on its way, and a moment later there is a proof.
///
/// The caller has found out that whoever asks may see the piece and its holder.
pub async fn of(
    platform: &Platform,
    keys: &LedgerKeys,
    tenant: EnterpriseId,
    piece: Piece,
    holder: Option<HolderId>,
) -> Result<Option<Proof>, Fault> {
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let Some(last) = chain::last_checkpoint(&tx).await? else { return Ok(None) };
    let (checkpoint, key) = keys.open(&last.note).map_err(Fault::internal)?;
    let history = store::history(&tx, piece, last.tree_size).await?;
    let whole = store::known(&tx, &[piece]).await?.remove(&piece).and_then(|known| known.holding(piece)).is_some();
    let present = history.last().map(|event| event.to_holder_id);
    if !whole || present != Some(holder) {
        return Ok(None);
    }

    let mut numbers: Vec<i64> = history.iter().map(|event| event.block_number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut leaves: HashMap<i64, Vec<Hash>> = HashMap::new();
    for (number, leaf) in chain::leaves(&tx, &numbers).await? {
        leaves.entry(number).or_default().push(Hash::try_from(&leaf[..]).map_err(Fault::internal)?);
    }
    let operations = history
        .iter()
        .map(|event| {
            let place = event.position as usize;
            let leaves = leaves.get(&event.block_number).filter(|leaves| place < leaves.len());
            let leaves = leaves
                .ok_or_else(|| Fault::internal(anyhow::anyhow!("block {} has lost operations", event.block_number)))?;
            Ok(Inclusion { record: event.payload.clone(), path: hexes(&merkle::path(leaves, place)) })
        })
        .collect::<Result<_, _>>()?;

    let heads = chain::blocks(&tx, &numbers).await?;
    let sisters: Vec<Vec<Run>> =
        numbers.iter().map(|number| merkle::sisters(*number as u64 - 1, checkpoint.size)).collect();
    let mut joined = chain::subtrees(&tx, &sisters.concat()).await?.into_iter().map(|run| merkle::join(&run));
    let mut blocks = Vec::with_capacity(numbers.len());
    for (number, sisters) in numbers.iter().zip(&sisters) {
        let path: Vec<Hash> = joined.by_ref().take(sisters.len()).collect();
        blocks.push(BlockInclusion::new(heads.get(number).ok_or(Fault::NotFound)?, &path));
    }
    let salts = Salts::new(&platform.master_key, tenant);
    let opened = |id| history.last().map(|event| Opened { id, salt: hex(&salts.of(event.operation_id)) });
    let document = Document {
        format: FORMAT.to_owned(),
        enterprise: tenant,
        collectible: piece.collectible,
        serial: piece.serial,
        holder: holder.and_then(opened),
        operations,
        blocks,
        checkpoint: last.note,
        key: key.to_string(),
    };
    Ok(Some(Proof { document, checkpoint }))
}

/// What can be proved of one operation, by the newest checkpoint. None where no signed block has it.
///
/// The caller has found out that whoever asks may see what it is about.
pub async fn of_operation(
    platform: &Platform,
    keys: &LedgerKeys,
    tenant: EnterpriseId,
    id: OperationId,
) -> Result<Option<OperationProof>, Fault> {
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let Some(last) = chain::last_checkpoint(&tx).await? else { return Ok(None) };
    let (checkpoint, key) = keys.open(&last.note).map_err(Fault::internal)?;
    let Some(event) = store::sealed(&tx, id, last.tree_size).await? else { return Ok(None) };
    let number = event.block_number;
    let lost = || Fault::internal(anyhow::anyhow!("block {number} has lost operations"));
    let leaves = chain::leaves(&tx, &[number]).await?.into_iter().map(|(_, leaf)| Hash::try_from(leaf));
    let leaves = leaves.collect::<Result<Vec<Hash>, _>>().map_err(|_| lost())?;
    let place = usize::try_from(event.position).ok().filter(|place| *place < leaves.len()).ok_or_else(lost)?;
    let sisters = merkle::sisters(number as u64 - 1, checkpoint.size);
    let path: Vec<Hash> = chain::subtrees(&tx, &sisters).await?.iter().map(|run| merkle::join(run)).collect();
    let block = chain::blocks(&tx, &[number]).await?.remove(&number).ok_or_else(lost)?;
    Ok(Some(OperationProof {
        operation: Inclusion { record: event.payload, path: hexes(&merkle::path(&leaves, place)) },
        block: BlockInclusion::new(&block, &path),
        checkpoint: last.note,
        key: key.to_string(),
    }))
}

impl BlockInclusion {
    fn new(block: &Block, path: &[Hash]) -> Self {
        Self {
            number: block.number,
            previous_hash: hex(&block.previous_hash),
            operations_root: hex(&block.operations_root),
            operation_count: block.operation_count,
            sealed_at: block.sealed_at.timestamp_micros(),
            path: hexes(path),
        }
    }
}

impl Document {
    /// As it is handed out.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a document holds nothing that JSON cannot say")
    }
}

fn hexes(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| hex(hash)).collect()
}
