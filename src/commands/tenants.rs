//! `minthouse tenants apply` and `minthouse tenants list`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::commands::{House, Opening, manifest};
use crate::platform::config::Config;
use crate::tenancy::scope::HouseTx;
use crate::tenancy::store;

#[derive(Subcommand)]
pub enum Command {
    /// Create what manifests describe; what is there already is left as it is
    Apply {
        /// Manifests, such as tenants/demo.toml
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// List the enterprises
    List,
}

pub async fn run(config: &Config, command: Command) -> Result<ExitCode> {
    match command {
        Command::Apply { files } => {
            // Read all before anything is touched: a mistake in the last file must not leave the first half done.
            for file in &files {
                manifest::read(file)?;
            }
            let house = House::open(config, Opening::ToChange).await?;
            for file in &files {
                let applied = manifest::apply(&house.app, file).await?;
                println!("{}: {} created, {} there already", file.display(), applied.created, applied.unchanged);
            }
            house.close().await
        }
        Command::List => {
            let quiet = Config { log: "warn".into(), ..config.clone() };
            let house = House::open(&quiet, Opening::ToLook).await?;
            let tx = HouseTx::read(&house.app.platform.database).await?;
            println!("{:<24} {:<10} {:<10} {:<38} NAME", "SLUG", "KIND", "STATE", "ID");
            for enterprise in store::all_enterprises(&tx).await? {
                println!(
                    "{:<24} {:<10} {:<10} {:<38} {} / {}",
                    enterprise.slug,
                    enterprise.kind.as_str(),
                    enterprise.state.as_str(),
                    enterprise.id.to_string(),
                    enterprise.name_chinese,
                    enterprise.name_english,
                );
            }
            drop(tx);
            house.close().await
        }
    }
}
