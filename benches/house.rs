//! A throw-away house with one enterprise, on a cluster of its own, for benches to measure.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use minthouse::app::{App, Services};
use minthouse::commands::{media_services, sales_services, wallet_services};
use minthouse::ledger::ledgers::LedgerParts;
use minthouse::platform::Platform;
use minthouse::platform::clock::{Clock, SystemClock};
use minthouse::platform::config::Config;
use minthouse::platform::db::embedded::{self, Durability, OWNER};
use minthouse::platform::db::{Database, PoolSettings, migrate};
use minthouse::platform::objects::Objects;
use minthouse::platform::randomness::{Randomness, SystemRandomness};
use minthouse::platform::secrets::Secrets;
use minthouse::tenancy::enterprise::{self, EnterpriseRequest};
use minthouse::tenancy::model::{EnterpriseId, EnterpriseKind};
use minthouse::tenancy::scope::HouseScope;
use tokio_util::sync::CancellationToken;

use super::report::Report;

pub struct House {
    pub app: App,
    pub tenant: EnterpriseId,
    /// Where the tables' owner connects.
    pub owner_url: String,
}

/// Sets a house up, measures in it, and takes it down again.
pub fn within(durability: Durability, measure: impl AsyncFnOnce(&House) -> Result<Report>) -> Result<Report> {
    let folder = std::env::temp_dir().join(format!("minthouse-bench-{}", std::process::id()));
    let cluster = embedded::start(embedded::Settings { data_dir: folder.join("data"), durability })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(async {
        migrate::ensure_database(&cluster.url(OWNER, "postgres"), "bench").await?;
        let house = set_up(|user| cluster.url(user, "bench"), &folder).await?;
        let report = measure(&house).await;
        house.app.platform.database.close();
        report
    });
    drop(runtime);
    drop(cluster);
    std::fs::remove_dir_all(&folder).ok();
    measured
}

/// The same with its workers at work, as in a server.
pub fn within_at_work(durability: Durability, measure: impl AsyncFnOnce(&House) -> Result<Report>) -> Result<Report> {
    within(durability, async |house| {
        let shutdown = CancellationToken::new();
        let mut workers = house.app.work(&shutdown);
        let report = measure(house).await;
        shutdown.cancel();
        while workers.join_next().await.is_some() {}
        report
    })
}

async fn set_up(url_of: impl Fn(&str) -> String, folder: &Path) -> Result<House> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
    let secrets = Secrets::generate(&*randomness)?;
    migrate::migrate(&url_of(OWNER), clock.now(), |_| ()).await?;
    let database = Database::new(|role| url_of(role.name()), &PoolSettings::default())?;
    let master_key = secrets.master_key()?;
    let objects = Objects::in_folder(&folder.join("objects"), &master_key, clock.now())?;
    let platform = Platform { database, clock, randomness, master_key, objects };
    let config = Config { development: true, ..Config::default() };
    let services = Services {
        sales: sales_services(&platform, true)?,
        wallets: wallet_services(&platform, &config)?,
        media: media_services(&config),
    };
    let app = App::new(Arc::new(platform), &secrets, services, LedgerParts::default(), true, None)?;
    let request = EnterpriseRequest {
        slug: "bench".into(),
        name_chinese: "基准".into(),
        name_english: "Bench".into(),
        kind: EnterpriseKind::Standard,
        owner_sign_in: "owner@bench.example".into(),
        owner_name: "Owner".into(),
        owner_password: "quiet-lantern-over-water".into(),
    };
    let tenant = enterprise::create(&app.platform, &HouseScope::of_command_line(), &request).await;
    let tenant = tenant.map_err(|refusal| anyhow::anyhow!("the enterprise cannot be made: {refusal:?}"))?;
    Ok(House { app, tenant, owner_url: url_of(OWNER) })
}
