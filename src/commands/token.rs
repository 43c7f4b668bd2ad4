//! `minthouse token mint`

use std::process::ExitCode;

use anyhow::{Context, Result};
use chrono::TimeDelta;
use clap::{Subcommand, ValueEnum};

use crate::commands::{House, Opening};
use crate::platform::config::Config;
use crate::tenancy::model::OperatorId;
use crate::tenancy::permission::Role;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::session;
use crate::tenancy::store::{self, DirectoryKind};

#[derive(Subcommand)]
pub enum Command {
    /// Print one token and nothing else
    Mint {
        /// The enterprise's slug; `house` for whoever runs this service
        #[arg(long, value_name = "SLUG")]
        enterprise: String,
        /// What the token's bearer may do
        #[arg(long, value_enum, ignore_case = true)]
        role: RoleName,
        /// How long it lives, in minutes
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=60))]
        minutes: i64,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RoleName {
    Owner,
    Admin,
    Operator,
    Finance,
    Auditor,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Owner => Role::Owner,
            RoleName::Admin => Role::Admin,
            RoleName::Operator => Role::Operator,
            RoleName::Finance => Role::Finance,
            RoleName::Auditor => Role::Auditor,
        }
    }
}

pub async fn run(config: &Config, command: Command) -> Result<ExitCode> {
    let Command::Mint { enterprise: slug, role, minutes } = command;
    let role = Role::from(role);
    // Only the token may appear, so that `TOKEN=$(minthouse token mint …)` works.
    let quiet = Config { log: "warn".into(), ..config.clone() };
    let house = House::open(&quiet, Opening::ToLook).await?;
    let database = &house.app.platform.database;
    let tenant = store::look_up(&HouseTx::read(database).await?, DirectoryKind::Slug, &slug)
        .await?
        .with_context(|| format!("there is no enterprise `{slug}`; `minthouse tenants list` shows who is there"))?;
    let tx = TenantScope::of_system(tenant).read(database).await?;
    let enterprise = store::enterprise(&tx).await?.context("the directory names an enterprise that is gone")?;
    let operator = store::first_operator_with_role(&tx, role)
        .await?
        .map_or(OperatorId::from_uuid(uuid::Uuid::nil()), |operator| operator.id);
    drop(tx);
    let identity = session::operator_identity(enterprise.kind, operator, role);
    let (token, _) = house.app.tokens.mint(tenant, identity, None, TimeDelta::minutes(minutes))?;
    println!("{token}");
    house.close().await
}
