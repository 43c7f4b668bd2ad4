//! `minthouse demo`: a whole campaign, played through the public API, and its sums checked.

mod client;
mod report;
mod story;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

/// Who takes part, and how many at once.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The server's address
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub url: String,
    /// How many people draw
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "COUNT")]
    pub people: u32,
    /// Over how many connections at once
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2_000), value_name = "COUNT")]
    pub clients: u32,
    /// The enterprise's owner, as tenants/demo.toml names them
    #[arg(long, default_value = "owner@demo.example", value_name = "NAME")]
    pub operator: String,
    #[arg(long, default_value = "paint-the-porcelain-blue", hide_default_value = true, value_name = "PASSWORD")]
    pub operator_password: String,
    /// The house's reviewer
    #[arg(long, default_value = "house@minthouse.example", value_name = "NAME")]
    pub house: String,
    #[arg(long, default_value = "review-with-care-1", hide_default_value = true, value_name = "PASSWORD")]
    pub house_password: String,
}

pub async fn run(options: Options) -> Result<ExitCode> {
    let outcome = story::play(&options).await?;
    let agrees = report::print(&outcome);
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
