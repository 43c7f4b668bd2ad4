//! `minthouse ledger verify`, `minthouse ledger audit`; `minthouse ledger evm` stands in `ledger_evm.rs`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use serde_json::Value;

use crate::app::App;
use crate::commands::{House, Opening, keys, ledger_evm};
use crate::ledger::audit::{self, Audit};
use crate::ledger::checkpoint::{Checkpoint, Verifier};
use crate::ledger::ledgers::Ledgers;
use crate::ledger::model::LedgerKind;
use crate::ledger::proof::Document;
use crate::ledger::verify::{self, Proven};
use crate::platform::Platform;
use crate::platform::config::{Config, Flags};
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::wallets::reconcile;

#[derive(Subcommand)]
pub enum Command {
    /// Check the proof of a piece. Needs no database, no configuration and no secrets
    Verify {
        /// What `ledgerProof` gave
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The house's public key, as it publishes it; without it the one in the proof is used and said to be unproven
        #[arg(long, value_name = "KEY")]
        key: Option<Verifier>,
    },
    /// Walk every chain and all that is sealed in it, compare items with their ledgers, name the first row that is wrong
    Audit {
        /// Only this enterprise, by its slug
        #[arg(long, value_name = "SLUG")]
        tenant: Option<String>,
        /// A proof or a checkpoint that was kept outside the database: what it says must still hold; may be repeated
        #[arg(long, value_name = "FILE")]
        seen: Vec<PathBuf>,
    },
    /// The EVM ledger's contract
    Evm {
        #[command(subcommand)]
        command: ledger_evm::Command,
    },
}

pub async fn run(flags: &Flags, command: Command) -> Result<ExitCode> {
    match command {
        Command::Verify { file, key } => verify(&file, key),
        Command::Evm { command } => ledger_evm::run(&Config::load(flags)?, command).await,
        Command::Audit { tenant, seen } => audit(&Config::load(flags)?, tenant.as_deref(), &seen).await,
    }
}

fn verify(file: &Path, key: Option<Verifier>) -> Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let document: Document = match serde_json::from_str(&text) {
        Ok(document) => document,
        Err(error) => {
            println!("WRONG {} is no proof: {error}", file.display());
            return Ok(ExitCode::FAILURE);
        }
    };
    let (key, known) = match key {
        Some(key) => (key, true),
        None => match document.key.parse() {
            Ok(key) => (key, false),
            Err(error) => {
                println!("WRONG the key in the proof: {error}");
                return Ok(ExitCode::FAILURE);
            }
        },
    };
    match verify::verify(&text, &key) {
        Ok(proven) => {
            tell(&document, &proven, &key, known);
            Ok(ExitCode::SUCCESS)
        }
        Err(flaw) => {
            println!("WRONG {flaw}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn tell(document: &Document, proven: &Proven, key: &Verifier, known: bool) {
    let Proven { run: (first, count), steps, holder, checkpoint } = proven;
    let (serial, last) = (document.serial, i64::from(*first) + i64::from(*count) - 1);
    let piece = format!("serial number {serial} of {} of {}", document.collectible, document.enterprise);
    if known {
        println!("ok: {piece}\n");
    } else {
        println!("consistent: {piece}, with the key in the proof itself, which is not proven to be the house's\n");
    }
    println!("Proven, by the key {}:", key.id());
    for (place, (operation, block, sealed_at)) in steps.iter().enumerate() {
        let what = match place {
            0 => format!("issued, with the serial numbers {first} to {last},"),
            _ => "given to somebody".to_owned(),
        };
        println!("  {what} in block {block} at {} ({operation})", time(*sealed_at));
    }
    match holder {
        Some(holder) => println!("  whom it was given to last is {holder}"),
        None => println!("  with its issue it came into the enterprise's treasury, and no transfer is shown"),
    }
    println!("  that all this stood so at {}, when {} blocks were signed", time(checkpoint.signed_at), checkpoint.size);
    println!("Not proven:");
    if !known {
        println!("  that the key is the house's: compare {key} with what the house publishes, or pass it with --key");
    }
    println!(
        "  that it was issued only once, and that nothing later about it stands in that chain: a proof shows what is in"
    );
    println!("    a chain, and cannot show what else is");
    println!("  that the house shows everybody this same chain: compare checkpoints with others");
    println!("  that nothing happened to the piece after the last of these: a newer proof might show more");
    println!("  who the holder is: the house and the enterprise know that, the ledger does not");
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

async fn audit(config: &Config, slug: Option<&str>, seen: &[PathBuf]) -> Result<ExitCode> {
    let quiet = Config { log: "warn".into(), ..config.clone() };
    let house = House::open(&quiet, Opening::ToLook).await?;
    let seen = seen.iter().map(|file| kept(&house.app, file)).collect::<Result<Vec<_>>>()?;
    let mut whole = true;
    for (slug, tenant) in keys::whose(&house, slug).await? {
        match look_over(&house.app, tenant, &seen).await? {
            Ok(sums) => println!("ok    {slug}: {sums}"),
            Err(wrong) => {
                whole = false;
                println!("WRONG {slug}: {wrong}");
            }
        }
    }
    house.close().await?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A checkpoint that somebody kept, alone or in a proof. One of ours it must be, or it says nothing.
fn kept(app: &App, file: &Path) -> Result<Checkpoint> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    // The proof of a piece, that of a draw, or a note by itself.
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let places = ["/checkpoint", "/anchor/ledger/checkpoint"];
    let note = places.iter().find_map(|place| document.pointer(place)?.as_str()).unwrap_or(&text);
    let (checkpoint, _) = app.ledger_keys.open(note).with_context(|| format!("in {}", file.display()))?;
    Ok(checkpoint)
}

/// What an audit went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    blocks: i64,
    operations: i64,
    checkpoints: i64,
    items: i64,
}

impl Sums {
    pub fn add(&mut self, other: &Sums) {
        self.blocks += other.blocks;
        self.operations += other.operations;
        self.checkpoints += other.checkpoints;
        self.items += other.items;
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocks, operations, checkpoints, items } = self;
        write!(formatter, "{blocks} blocks, {operations} operations, {checkpoints} checkpoints, {items} items")
    }
}

/// Why an enterprise's ledgers cannot be said to be in order, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The first row that is wrong.
    #[error("{0}")]
    Changed(String),
    /// A ledger that could not be asked.
    #[error("the ledger {} cannot be compared with: {why}", .ledger.as_str())]
    Silent { ledger: LedgerKind, why: String },
}

/// Walks one enterprise's chain, and compares its items with each ledger that this server has.
pub async fn look_over(app: &App, tenant: EnterpriseId, seen: &[Checkpoint]) -> Result<Result<Sums, Doubt>, Fault> {
    let (blocks, operations, checkpoints) = match audit::audit(&app.platform, &app.ledger_keys, tenant, seen).await? {
        Audit::Whole { blocks, operations, checkpoints } => (blocks, operations, checkpoints),
        Audit::Wrong(wrong) => return Ok(Err(Doubt::Changed(wrong.to_string()))),
    };
    let items = compare(&app.platform, &app.ledgers, tenant).await?;
    Ok(items.map(|items| Sums { blocks, operations, checkpoints, items }))
}

/// How many items agree with their ledgers, or the first that does not.
pub async fn compare(
    platform: &Platform,
    ledgers: &Ledgers,
    tenant: EnterpriseId,
) -> Result<Result<i64, Doubt>, Fault> {
    let mut sum = 0;
    for ledger in LedgerKind::ALL.iter().filter_map(|kind| ledgers.get(*kind)) {
        match reconcile::compare(platform, &**ledger, tenant).await {
            Ok((items, None)) => sum += items,
            Ok((_, Some(difference))) => return Ok(Err(Doubt::Changed(difference.to_string()))),
            // The embedded one is in the database, without which nothing at all can be said.
            Err(fault @ (Fault::Unavailable(_) | Fault::TimedOut)) if ledger.kind() != LedgerKind::Embedded => {
                return Ok(Err(Doubt::Silent { ledger: ledger.kind(), why: fault.with_causes() }));
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(Ok(sum))
}
