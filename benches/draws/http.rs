//! Draws as phones make them: GraphQL over HTTP, a connection each, against this program's own server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::TimeDelta;
use futures_util::future::try_join_all;
use minthouse::activities::model::ActivityId;
use minthouse::api::transport::Settings;
use minthouse::app::App;
use minthouse::platform::id;
use minthouse::tenancy::model::{EnterpriseId, HolderId};
use minthouse::tenancy::token::Identity;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

const DRAW: &str = "mutation($activity: ID!, $key: String!) {
    activityDraw(input: {activityId: $activity, idempotencyKey: $key}) {
        draw { id sequence serialNumber awardedPrize { id } } replayed userErrors { code } } }";

pub struct Server {
    url: String,
    _shutdown: DropGuard,
}

impl Server {
    pub async fn start(app: &App, settings: Settings) -> Result<Self> {
        // A program that has one already keeps it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let shutdown = CancellationToken::new();
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
        let router = app.router(settings, metrics, shutdown.clone())?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/graphql", listener.local_addr()?);
        let serving = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(shutdown.clone().cancelled_owned());
        tokio::spawn(serving.into_future());
        Ok(Self { url, _shutdown: shutdown.drop_guard() })
    }
}

/// Somebody's phone: a connection, and the people who draw on it one after the other.
struct Phone {
    client: reqwest::Client,
    url: String,
    tokens: Arc<[String]>,
    next: usize,
    stride: usize,
    activity: ActivityId,
}

impl Phone {
    async fn draw(&mut self) -> Result<()> {
        let token = &self.tokens[self.next % self.tokens.len()];
        self.next += self.stride;
        let variables = json!({ "activity": self.activity, "key": id::generate().to_string() });
        let request =
            self.client.post(&self.url).bearer_auth(token).json(&json!({ "query": DRAW, "variables": variables }));
        let answer: Value = request.send().await?.json().await?;
        let done = &answer["data"]["activityDraw"];
        ensure!(done["draw"]["id"].is_string(), "a draw is refused: {answer}");
        Ok(())
    }
}

/// A crowd of phones at one activity.
pub struct Crowd {
    url: String,
    tokens: Arc<[String]>,
    activity: ActivityId,
}

impl Crowd {
    pub fn new(
        app: &App,
        server: &Server,
        tenant: EnterpriseId,
        activity: ActivityId,
        people: &[HolderId],
    ) -> Result<Self> {
        let token = |holder: &HolderId| {
            let minted = app.tokens.mint(tenant, Identity::Holder { holder: *holder }, None, TimeDelta::hours(2));
            minted.map(|(token, _)| token).map_err(|fault| anyhow::anyhow!("{fault}"))
        };
        let tokens = people.iter().map(token).collect::<Result<Vec<String>>>()?;
        Ok(Self { url: server.url.clone(), tokens: tokens.into(), activity })
    }

    fn phones(&self, count: usize) -> Result<Vec<Phone>> {
        let phone = |number| {
            let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(1).build()?;
            let (url, tokens, activity) = (self.url.clone(), self.tokens.clone(), self.activity);
            Ok(Phone { client, url, tokens, next: number, stride: count, activity })
        };
        (0..count).map(phone).collect()
    }

    /// Draws a second, each phone as soon as it is answered.
    pub async fn rush(&self, count: usize, turn: Duration) -> Result<f64> {
        let drawn = Arc::new(AtomicU64::new(0));
        let until = Instant::now() + turn;
        let phones = self.phones(count)?.into_iter().map(|mut phone| {
            let drawn = drawn.clone();
            tokio::spawn(async move {
                while Instant::now() < until {
                    phone.draw().await?;
                    drawn.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            })
        });
        let phones: Vec<_> = phones.collect();
        let began = Instant::now();
        for phone in try_join_all(phones).await? {
            phone?;
        }
        Ok(drawn.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
    }

    /// How long draws take that come at a steady pace, each from the moment at which it was due.
    pub async fn paced(&self, count: usize, a_second: f64, turn: Duration) -> Result<Vec<Duration>> {
        let every = Duration::from_secs_f64(count as f64 / a_second.max(1.0));
        let start = Instant::now();
        let phones = self.phones(count)?.into_iter().enumerate().map(|(number, mut phone)| {
            let first = every.mul_f64(number as f64 / count as f64);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                for step in 0.. {
                    let due = first + every * step;
                    if due > turn {
                        break;
                    }
                    tokio::time::sleep_until((start + due).into()).await;
                    phone.draw().await?;
                    latencies.push(start.elapsed() - due);
                }
                anyhow::Ok(latencies)
            })
        });
        let phones: Vec<_> = phones.collect();
        let mut latencies = Vec::new();
        for phone in try_join_all(phones).await.context("a phone has fallen")? {
            latencies.extend(phone?);
        }
        Ok(latencies)
    }
}
