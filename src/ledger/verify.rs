//! Checks a proof with nothing but the proof: no database, no configuration. Pure.

use chrono::{DateTime, Utc};

use crate::ledger::checkpoint::{BadCheckpoint, Checkpoint, Verifier};
use crate::ledger::merkle::{self, Hash};
use crate::ledger::model::{Block, OperationId, OperationKind};
use crate::ledger::proof::{self, BlockInclusion, Document, Inclusion, OperationProof};
use crate::ledger::record::{self, Record, TREASURY};
use crate::platform::vault::unhex;
use crate::tenancy::model::{EnterpriseId, HolderId};

/// What a proof has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// First serial number and count of the run that the piece was issued in.
    pub run: (i32, i32),
    /// The issue and each transfer: which operation, in which block, sealed when.
    pub steps: Vec<(OperationId, i64, DateTime<Utc>)>,
    /// None: the treasury.
    pub holder: Option<HolderId>,
    pub checkpoint: Checkpoint,
}

/// Why a proof shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("this is no proof: {0}")]
    Unreadable(String),
    #[error("the proof has the form `{0}`, which this version does not know")]
    OtherFormat(String),
    #[error("the checkpoint does not hold: {0}")]
    Checkpoint(#[from] BadCheckpoint),
    #[error("the checkpoint is of another enterprise's chain")]
    OtherChain,
    #[error("block {0} does not stand in the chain that was signed")]
    Block(i64),
    #[error("operation {place} does not stand in block {block}")]
    Operation { place: usize, block: i64 },
    #[error("operation {place}: {why}")]
    History { place: usize, why: &'static str },
    #[error("the last record does not mean the holder whom the proof names")]
    Holder,
}

/// Follows the proof from its records up to the signature, which must be `key`'s.
pub fn verify(text: &str, key: &Verifier) -> Result<Proven, Flaw> {
    let document: Document = serde_json::from_str(text).map_err(|error| Flaw::Unreadable(error.to_string()))?;
    if document.format != proof::FORMAT {
        return Err(Flaw::OtherFormat(document.format));
    }
    let checkpoint = key.open(&document.checkpoint)?;
    if checkpoint.tenant != document.enterprise {
        return Err(Flaw::OtherChain);
    }
    for block in &document.blocks {
        in_chain(document.enterprise, block, &checkpoint)?;
    }
    let records = records(&document)?;
    let holder = follow(&document, &records)?;
    let issue = records.first().and_then(|(_, issue)| issue.first_serial.zip(issue.count));
    let run = issue.ok_or(Flaw::History { place: 1, why: "there is none, so nothing was issued" })?;
    let steps = records.iter().map(|(block, record)| {
        let sealed_at = DateTime::from_timestamp_micros(block.sealed_at).unwrap_or_default();
        (record.operation, record.block, sealed_at)
    });
    Ok(Proven { run, steps: steps.collect(), holder, checkpoint })
}

/// What one operation's proof has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub record: Record,
    pub sealed_at: DateTime<Utc>,
    pub checkpoint: Checkpoint,
}

/// Follows one operation from its record up to the signature, which must be `key`'s. What the record means is the
/// caller's to say.
pub fn verify_operation(enterprise: EnterpriseId, proof: &OperationProof, key: &Verifier) -> Result<Sealed, Flaw> {
    let checkpoint = key.open(&proof.checkpoint)?;
    if checkpoint.tenant != enterprise {
        return Err(Flaw::OtherChain);
    }
    in_chain(enterprise, &proof.block, &checkpoint)?;
    let record = read(&proof.operation)?;
    in_block(1, &proof.operation, &record, Some(&proof.block).filter(|block| block.number == record.block))?;
    if record.enterprise != enterprise {
        return Err(Flaw::OtherChain);
    }
    let sealed_at = DateTime::from_timestamp_micros(proof.block.sealed_at).unwrap_or_default();
    Ok(Sealed { record, sealed_at, checkpoint })
}

fn in_chain(enterprise: EnterpriseId, block: &BlockInclusion, checkpoint: &Checkpoint) -> Result<(), Flaw> {
    let climbed = head(block).and_then(|head| climb_chain(enterprise, &head, block, checkpoint));
    if climbed == Some(checkpoint.root) { Ok(()) } else { Err(Flaw::Block(block.number)) }
}

/// The block's own words, as the hash is taken of them.
fn head(block: &BlockInclusion) -> Option<Block> {
    Some(Block {
        number: block.number,
        previous_hash: hash(&block.previous_hash)?.to_vec(),
        operations_root: hash(&block.operations_root)?.to_vec(),
        operation_count: block.operation_count,
        sealed_at: DateTime::from_timestamp_micros(block.sealed_at)?,
        hash: Vec::new(),
        subtrees: Vec::new(),
    })
}

fn climb_chain(
    enterprise: EnterpriseId,
    head: &Block,
    block: &BlockInclusion,
    checkpoint: &Checkpoint,
) -> Option<Hash> {
    let index = u64::try_from(block.number.checked_sub(1)?).ok()?;
    let leaf = merkle::leaf(&head.computed_hash(enterprise));
    merkle::climb(leaf, index, checkpoint.size, &hashes(&block.path)?)
}

/// The records, each with the block that it was found in.
fn records(document: &Document) -> Result<Vec<(&BlockInclusion, Record)>, Flaw> {
    let mut found = Vec::with_capacity(document.operations.len());
    for (place, operation) in (1..).zip(&document.operations) {
        let record = read(operation)?;
        let block = document.blocks.iter().find(|block| block.number == record.block);
        found.push((in_block(place, operation, &record, block)?, record));
    }
    Ok(found)
}

fn read(operation: &Inclusion) -> Result<Record, Flaw> {
    let record: Record =
        serde_json::from_str(&operation.record).map_err(|error| Flaw::Unreadable(error.to_string()))?;
    if record.format == record::FORMAT { Ok(record) } else { Err(Flaw::OtherFormat(record.format)) }
}

/// The block, if the record stands in it.
fn in_block<'b>(
    place: usize,
    operation: &Inclusion,
    record: &Record,
    block: Option<&'b BlockInclusion>,
) -> Result<&'b BlockInclusion, Flaw> {
    let flaw = || Flaw::Operation { place, block: record.block };
    let block = block.ok_or_else(flaw)?;
    let climbed = || {
        let (index, size) = (record.position.try_into().ok()?, block.operation_count.try_into().ok()?);
        merkle::climb(record::leaf(&operation.record), index, size, &hashes(&operation.path)?)
    };
    let climbed = climbed().ok_or_else(flaw)?;
    if hash(&block.operations_root) == Some(climbed) { Ok(block) } else { Err(flaw()) }
}

/// Whether the records tell one piece's history without a gap, and who has it at the end.
fn follow(document: &Document, records: &[(&BlockInclusion, Record)]) -> Result<Option<HolderId>, Flaw> {
    let (mut holds, mut last) = (None::<&str>, (0, -1));
    for (place, (_, record)) in (1..).zip(records) {
        let flaw = |why| Err(Flaw::History { place, why });
        if record.enterprise != document.enterprise || record.collectible != Some(document.collectible) {
            return flaw("it is about something else");
        }
        let (Some(first), Some(count)) = (record.first_serial, record.count) else {
            return flaw("it is about no piece");
        };
        if (record.block, record.position) <= last {
            return flaw("it stands before the one that it must follow");
        }
        last = (record.block, record.position);
        let end = i64::from(first) + i64::from(count);
        match (record.kind, holds) {
            (OperationKind::Issue, None) => {
                if !(i64::from(first)..end).contains(&document.serial.into()) {
                    return flaw("it issued other serial numbers");
                }
                holds = Some(TREASURY);
            }
            (OperationKind::Transfer, Some(giver)) => {
                if first != document.serial || count != 1 {
                    return flaw("it moved another piece");
                }
                if record.from.as_deref() != Some(giver) {
                    return flaw("its giver is not who had the piece");
                }
                let Some(receiver) = record.to.as_deref().filter(|to| *to != TREASURY) else {
                    return flaw("it has no receiver");
                };
                holds = Some(receiver);
            }
            (OperationKind::Issue, Some(_)) => return flaw("it issues the piece a second time"),
            (OperationKind::Transfer, None) => return flaw("it moves a piece that was not issued"),
            (OperationKind::Anchor, _) => return flaw("it is about no piece"),
        }
    }
    match (&document.holder, holds) {
        (None, Some(TREASURY)) => Ok(None),
        (Some(opened), Some(holds)) => {
            let salt = hash(&opened.salt).ok_or(Flaw::Holder)?;
            if record::commitment(opened.id, &salt) == holds { Ok(Some(opened.id)) } else { Err(Flaw::Holder) }
        }
        _ => Err(Flaw::Holder),
    }
}

fn hash(text: &str) -> Option<Hash> {
    unhex(text)?.try_into().ok()
}

fn hashes(texts: &[String]) -> Option<Vec<Hash>> {
    texts.iter().map(|text| hash(text)).collect()
}
