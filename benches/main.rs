//! What this house costs, measured. `make bench` runs all of it; `make bench-NAME` one, on a house of its own.
//!
//! One program, because a release build of it takes long. The suite runs each with next to no work.

#[path = "../tests/suite/support/anvil.rs"]
#[expect(dead_code, reason = "the suite needs more of it")]
mod anvil;
mod bulk;
mod draws;
mod evm;
mod house;
mod identity;
mod ledger;
mod report;

use std::path::Path;

use anyhow::{Context, Result, bail};
use minthouse::platform::db::embedded::Durability;

const NAMES: [&str; 5] = ["identity", "draws", "bulk", "ledger", "evm"];

fn main() -> Result<()> {
    // cargo adds flags of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let (names, rest) = match arguments.split_first() {
        None => (NAMES.to_vec(), &[][..]),
        Some((name, rest)) => (vec![name.as_str()], rest),
    };
    for name in names {
        let report = match name {
            "identity" => house::within(Durability::ThrowAway, async |house| {
                identity::measure(&house.app, house.tenant, &identity::Size::FULL).await
            })?,
            "draws" => house::within(Durability::Durable, async |house| {
                draws::measure(&house.app, house.tenant, &house.owner_url, &draws::Size::FULL).await
            })?,
            "bulk" => {
                let pieces = rest.first().map_or(Ok(1_000_000), |count| count.parse());
                let size = bulk::Size::of(pieces.context("bulk takes how many pieces to issue: bulk 1000000")?);
                house::within_at_work(Durability::Durable, async |house| {
                    bulk::measure(&house.app, house.tenant, &house.owner_url, &size).await
                })?
            }
            "ledger" => house::within(Durability::ThrowAway, async |house| {
                ledger::measure(&house.app, house.tenant, &ledger::Size::FULL).await
            })?,
            "evm" => {
                let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
                house::within(Durability::ThrowAway, async |house| {
                    evm::measure(&house.app, house.tenant, &clients, &evm::Size::FULL).await
                })?
            }
            _ => bail!("there is no bench `{name}`; there are {}", NAMES.join(", ")),
        };
        println!("\n{name}");
        report.print();
        println!("\nwritten to {}", report.write(name)?.display());
    }
    Ok(())
}
