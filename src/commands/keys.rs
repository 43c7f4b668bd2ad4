//! `minthouse keys rotate`, `minthouse keys ledger`

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::sealed_columns;
use crate::commands::{House, Opening};
use crate::ledger::checkpoint::{LedgerKeys, Turn};
use crate::platform::config::Config;
use crate::platform::secrets::Secrets;
use crate::tenancy::enterprise::RESERVED_SLUG;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::rotate::{self, Rotation};
use crate::tenancy::scope::HouseTx;
use crate::tenancy::store::{self, DirectoryKind};

#[derive(Subcommand)]
pub enum Command {
    /// Give enterprises a new data key and seal what they keep anew; servers may go on meanwhile
    #[command(group(clap::ArgGroup::new("whose").required(true)))]
    Rotate {
        /// One enterprise, by its slug; `house` for whoever runs this service
        #[arg(long, value_name = "SLUG", group = "whose")]
        enterprise: Option<String>,
        /// Every enterprise, and the house
        #[arg(long, group = "whose")]
        all: bool,
    },
    /// Show the public keys that checkpoints of the ledger are checked with; needs no database
    Ledger {
        /// Let a new key sign from now on. What older ones have signed still holds
        #[arg(long)]
        rotate: bool,
    },
}

pub async fn run(config: &Config, command: Command) -> Result<ExitCode> {
    match command {
        Command::Rotate { enterprise, all: _ } => rotate_data_keys(config, enterprise).await,
        Command::Ledger { rotate } => ledger_keys(config, rotate),
    }
}

fn ledger_keys(config: &Config, rotate: bool) -> Result<ExitCode> {
    let mut secrets = match &config.secrets {
        Some(text) => Secrets::parse(text).context("in MINTHOUSE_SECRETS")?,
        None => Secrets::load(&config.data_dir)?,
    };
    if rotate {
        secrets.ledger_key_generation += 1;
        if config.secrets.is_some() {
            let generation = secrets.ledger_key_generation;
            bail!(
                "the secrets come from MINTHOUSE_SECRETS; set `\"ledger_key_generation\": {generation}` in their text"
            );
        }
        secrets.replace(&config.data_dir)?;
    }
    for (verifier, turn) in LedgerKeys::new(&secrets.master_key()?, secrets.ledger_key_generation)?.verifiers() {
        let turn = match turn {
            Turn::Past => "",
            Turn::Signs => "  signs",
            Turn::Next => "  next",
        };
        println!("{verifier}{turn}");
    }
    if rotate {
        println!("Restart the servers, one by one if you like: each signs with the key that it found when it started.");
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate_data_keys(config: &Config, enterprise: Option<String>) -> Result<ExitCode> {
    let quiet = Config { log: "warn".into(), ..config.clone() };
    let house = House::open(&quiet, Opening::ToLook).await?;
    let platform = &house.app.platform;
    let columns = sealed_columns();
    for (slug, tenant) in whose(&house, enterprise.as_deref()).await? {
        let Rotation { version, fresh, values } = rotate::begin(platform, tenant, &columns).await?;
        let bar = bar(values.unsigned_abs(), &slug);
        rotate::reseal(platform, tenant, &columns, version, &|count| bar.inc(count)).await?;
        bar.finish_and_clear();
        let what = match fresh {
            true => "has a new data key",
            false => "has gone on to the data key of a rotation that was broken off",
        };
        println!("{slug}: {what}, version {version}; {} values sealed anew", bar.position());
    }
    house.close().await
}

/// Enterprises by slug, the house last; one of them, or all.
pub(super) async fn whose(house: &House, slug: Option<&str>) -> Result<Vec<(String, EnterpriseId)>> {
    let tx = HouseTx::read(&house.app.platform.database).await?;
    if let Some(slug) = slug {
        let found = store::look_up(&tx, DirectoryKind::Slug, slug).await?;
        let tenant = found
            .with_context(|| format!("there is no enterprise `{slug}`; `minthouse tenants list` shows who is there"))?;
        return Ok(vec![(slug.to_owned(), tenant)]);
    }
    let mut found: Vec<(String, EnterpriseId)> =
        store::all_enterprises(&tx).await?.into_iter().map(|enterprise| (enterprise.slug, enterprise.id)).collect();
    if let Some(tenant) = store::look_up(&tx, DirectoryKind::Slug, RESERVED_SLUG).await? {
        found.push((RESERVED_SLUG.to_owned(), tenant));
    }
    Ok(found)
}

fn bar(length: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:<22} {bar:32} {pos:>6}/{len} {elapsed:>4}");
    ProgressBar::new(length)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what.to_owned())
}
