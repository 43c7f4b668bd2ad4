//! `minthouse verify-draws`: checks the public record of an activity's draws, with nothing else at hand.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::activities::verify::{self, Verified};
use crate::platform::vault::hex;

#[derive(Args)]
pub struct Options {
    /// The record, as it was served at the activity's `drawRecordPath`
    #[arg(value_name = "FILE")]
    record: PathBuf,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let file = options.record.display();
    let text = std::fs::read_to_string(&options.record).with_context(|| format!("{file} cannot be read"))?;
    match verify::verify(&text) {
        Ok(verified) => {
            println!("{}", summary(&verified));
            Ok(ExitCode::SUCCESS)
        }
        Err(flaw) => {
            println!("WRONG {flaw}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn summary(verified: &Verified) -> String {
    let Verified { draws, wins, participants, from_seed, head } = verified;
    let numbers = if *from_seed {
        "every number was computed from the seed that was committed to"
    } else {
        "the seed is not revealed yet, so the numbers were taken as they were recorded: ask again after settlement"
    };
    let head = hex(head);
    format!(
        "ok: {draws} draws of {participants} participants, {wins} of them won\n{numbers}\nthe last hash is {head}: an anchor on the ledger, or a hash noted before, shows whether draws are missing behind it"
    )
}
