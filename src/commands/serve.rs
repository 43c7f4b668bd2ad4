//! `minthouse serve`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::api::transport::{CostLimits, Origins, Settings};
use crate::commands::{House, Opening, doctor, manifest};
use crate::platform::config::Config;

/// How long requests under way may take after a signal, before they are cut.
const DRAIN: Duration = Duration::from_secs(10);

pub async fn run(config: Config, manifests: &[PathBuf]) -> Result<ExitCode> {
    let began = Instant::now();
    config.check()?;
    let house = House::open(&config, Opening::ToServe).await?;
    let mut sign_ins = Vec::new();
    for file in manifests {
        sign_ins.extend(manifest::apply(&house.app, file).await?.sign_ins);
    }

    let listener = TcpListener::bind(&config.listen).await.with_context(|| {
        format!("cannot listen on {}; is another server running? choose another with --listen", config.listen)
    })?;
    let address = listener.local_addr()?;
    // Two steps to the end: first no new work is taken and streams are told, then what still runs is cut.
    let drain = CancellationToken::new();
    let stop_work = CancellationToken::new();
    let router = house.app.router(settings(&config), house.telemetry.metrics.clone(), drain.clone())?;
    if config.worker {
        for ledger in doctor::ledgers_missing(&house.place.owner_url(), &house.app.ledgers).await? {
            tracing::warn!(
                ledger,
                "work waits for a ledger that this server does not have; configure it, or run another that has it"
            );
        }
    }
    let mut workers = if config.worker { house.app.work(&stop_work) } else { tokio::task::JoinSet::new() };

    let serving = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(drain.clone().cancelled_owned());
    let mut serving = tokio::spawn(serving.into_future());
    tracing::info!(%address, started_in = ?began.elapsed(), database_started_in = ?house.place.started_in(), "serving");
    if config.development {
        greet(address, &config.data_dir, &sign_ins, began.elapsed());
    }

    let mut failed = false;
    tokio::select! {
        () = signalled() => tracing::info!("draining; a second signal ends at once"),
        () = database_gone(&house) => {
            tracing::error!("the embedded PostgreSQL has ended; its log in the data folder says why");
            failed = true;
        }
        result = &mut serving => {
            result.context("the listener failed")?.context("the listener failed")?;
        }
    }
    drain.cancel();
    tokio::select! {
        _ = tokio::time::timeout(DRAIN, &mut serving) => {}
        () = signalled() => {}
    }
    stop_work.cancel();
    let _ = tokio::time::timeout(DRAIN, async { while workers.join_next().await.is_some() {} }).await;
    house.close().await?;
    tracing::info!("stopped");
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn settings(config: &Config) -> Settings {
    let origins = match config.origins.as_slice() {
        _ if config.development => Origins::Any,
        [] => Origins::None,
        [any] if any == "*" => Origins::Any,
        listed => Origins::Listed(listed.to_vec()),
    };
    let cost = CostLimits {
        per_minute: config.cost_per_minute,
        burst: config.cost_burst,
        crowd: config.cost_crowd,
        ..CostLimits::default()
    };
    Settings { explorer: config.development, origins, proxies: config.proxies.clone(), cost, ..Settings::default() }
}

/// SIGTERM or SIGINT.
async fn signalled() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn database_gone(house: &House) {
    match house.place.exited() {
        Some(mut exited) => {
            let _ = exited.wait_for(|gone| *gone).await;
        }
        None => std::future::pending().await,
    }
}

/// What somebody who has just started a development server wants to know.
fn greet(address: SocketAddr, data_dir: &Path, sign_ins: &[manifest::SignIn], started_in: Duration) {
    println!("\nMinthouse is serving on http://{address} (started in {:.2} s)", started_in.as_secs_f64());
    println!("  GraphQL   http://{address}/graphql   (a browser gets the explorer)");
    for sign_in in sign_ins {
        println!("  sign in   {}  {}   {}", sign_in.sign_in, sign_in.password, sign_in.what);
    }
    let folder = folder_flag(data_dir);
    println!("\nThree things to try, in another terminal:");
    println!("  1. play a whole campaign:     cargo run -- demo --url http://{address}");
    println!("  2. a token for the explorer:  cargo run -- token mint --enterprise demo --role OWNER{folder}");
    println!("  3. look the house over:       cargo run -- doctor{folder}\n");
}

/// What other commands need to find this server's data folder, as a shell reads it: nothing where it is the usual one.
fn folder_flag(data_dir: &Path) -> String {
    if data_dir == Config::default().data_dir {
        return String::new();
    }
    let folder = data_dir.to_string_lossy();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-".contains(letter);
    if folder.chars().all(plain) {
        format!(" --data-dir {folder}")
    } else {
        format!(" --data-dir '{}'", folder.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_ones_own_is_named_in_what_is_to_be_typed() {
        assert_eq!(folder_flag(Path::new("data")), "");
        assert_eq!(folder_flag(Path::new("/srv/house-1")), " --data-dir /srv/house-1");
        assert_eq!(folder_flag(Path::new("a house's")), " --data-dir 'a house'\\''s'");
    }
}
