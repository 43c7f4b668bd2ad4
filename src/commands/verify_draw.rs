//! `minthouse verify-draw`: checks the proof of one draw, with nothing else at hand.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;

use crate::activities::proof::{self, Document, Flaw, Proven, Remade};
use crate::ledger::checkpoint::Verifier;

#[derive(Args)]
pub struct Options {
    /// What `drawProof` gave, or what is served at its `path`
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The house's public key, as it publishes it; without it the one in the proof is used and said to be unproven
    #[arg(long, value_name = "KEY")]
    key: Option<Verifier>,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let file = options.proof.display();
    let text = std::fs::read_to_string(&options.proof).with_context(|| format!("{file} cannot be read"))?;
    match verify(&text, options.key.as_ref()) {
        Ok((document, proven)) => {
            tell(&document, &proven, options.key.as_ref());
            Ok(ExitCode::SUCCESS)
        }
        Err(flaw) => {
            println!("WRONG {flaw}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn verify(text: &str, key: Option<&Verifier>) -> Result<(Document, Proven), Flaw> {
    let document = proof::read(text)?;
    let proven = proof::check(&document, key)?;
    Ok((document, proven))
}

fn tell(document: &Document, proven: &Proven, key: Option<&Verifier>) {
    let draw = &document.draw;
    let named = format!("draw {} of {} of {}", draw.sequence, document.activity, document.enterprise);
    let won = match (draw.awarded, draw.serial) {
        (Some(prize), Some(serial)) => format!("won {prize}, serial number {serial}"),
        (Some(prize), None) => format!("won {prize}"),
        (None, _) => "won nothing".to_owned(),
    };
    if key.is_some() && proven.sealed.is_some() {
        println!("ok: {named}, which {won}\n");
    } else {
        println!("consistent: {named}, which {won}\n");
    }
    println!("Proven:");
    for line in shown(document, proven, key) {
        println!("  {line}");
    }
    println!("Not proven:");
    for line in not_shown(document, proven, key.is_some()) {
        println!("  {line}");
    }
}

fn shown(document: &Document, proven: &Proven, key: Option<&Verifier>) -> Vec<String> {
    let mut lines = vec![format!("the record has the hash {}, which binds all of it", document.draw.hash)];
    match proven.remade {
        Remade::Whole => lines.push("made once more, the draw comes to the same".into()),
        Remade::LimitsOnItsWord => lines.push(
            "made once more, the draw comes to the same, if limits of wins were reached as the record says".into(),
        ),
        Remade::NotAlone => {}
    }
    if proven.from_seed {
        lines.push("its numbers follow from the seed that was committed to".into());
    }
    let Some(anchored) = &document.anchor else { return lines };
    let (from, to) = (anchored.from, anchored.to);
    lines.push(format!("it stands among the draws {from} to {to}, which have the root {}", anchored.root));
    if let Some(sealed) = &proven.sealed {
        let (block, key) = (sealed.record.block, key.map_or_else(|| own_key(document), Verifier::id));
        lines.push(format!(
            "these, the terms and the commitment to the seed stood on the ledger at {}, in block {block}, by the key {key}",
            time(sealed.sealed_at)
        ));
    }
    lines
}

fn not_shown(document: &Document, proven: &Proven, known: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if proven.sealed.is_none() {
        lines.push("that the house has signed it: it does not stand on the ledger yet, ask for a newer proof".into());
        if let Some(notice) = &document.notice {
            lines.push(format!("  {}", notice.english));
        }
    } else if !known {
        let key = key_in(document);
        lines.push(format!(
            "that the key is the house's: compare {key} with what the house publishes, or pass it with --key"
        ));
    }
    if document.seed.is_none() {
        lines.push("where its numbers come from: the seed is shown once the activity is settled".into());
    }
    match proven.remade {
        Remade::Whole => {}
        Remade::LimitsOnItsWord => lines.push("whether limits of wins were reached: those count other draws".into()),
        Remade::NotAlone => lines
            .push("how its numbers lead to the prize: that depends on limits of wins, which count other draws".into()),
    }
    lines.push(
        "that what it says was left of every lot follows from the draws before, that it was its participant's draw \
         number so and so, and that daily limits were kept: `minthouse verify-draws` checks the whole record"
            .into(),
    );
    lines
}

fn key_in(document: &Document) -> &str {
    let ledger = document.anchor.as_ref().and_then(|anchored| anchored.ledger.as_ref());
    ledger.map(|ledger| ledger.key.as_str()).unwrap_or_default()
}

/// The ID of the key in the proof, or the whole text where that is none.
fn own_key(document: &Document) -> String {
    let key = key_in(document);
    key.parse::<Verifier>().map_or_else(|_| key.to_owned(), |key| key.id())
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
