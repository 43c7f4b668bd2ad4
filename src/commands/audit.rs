//! `minthouse audit verify`

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::tenancy::audit::chain::{Follower, Line};

#[derive(Subcommand)]
pub enum Command {
    /// Check an export of the audit log: is its chain whole? Needs no database and no secrets
    Verify {
        /// What `GET /exports/audit.ndjson` gave
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub fn run(command: &Command) -> Result<ExitCode> {
    let Command::Verify { file } = command;
    verify(file)
}

fn verify(file: &Path) -> Result<ExitCode> {
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let mut follower = Follower::default();
    let mut ends: Option<(Line, Line)> = None;
    for (number, text) in (1..).zip(BufReader::new(opened).lines()) {
        let text = text.with_context(|| format!("cannot read line {number} of {}", file.display()))?;
        match follower.read(&text) {
            Ok(line) => {
                let first = ends.map_or_else(|| line.clone(), |(first, _)| first);
                ends = Some((first, line));
            }
            Err(why) => {
                println!("WRONG line {number}: {why}");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    let Some((first, last)) = ends else { bail!("{} is empty: there is nothing to check", file.display()) };
    let count = last.sequence - first.sequence + 1;
    println!("ok: {count} records of {}, {} to {}", first.enterprise, first.sequence, last.sequence);
    if first.sequence > 1 {
        println!("it begins after record {}, whose hash is {}", first.sequence - 1, first.previous);
    }
    println!("the last hash is {}", last.hash);
    Ok(ExitCode::SUCCESS)
}
