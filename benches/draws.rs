//! `make bench-draws`: how many draws a second one activity serves, beside what its database can do by itself.
//!
//! In turns, on one cluster that commits to the disk: pgbench with a transaction for each draw, as most systems do it
//! (lock the prize's row, debit the chance, insert the draw, insert into the outbox; one prize takes most of it, 32
//! clients); pgbench with the same set-based, 256 draws a transaction (the ceiling); Redis with a script, where it is
//! installed, every append on the disk; the engine in this process, with a crowd that draws as fast as it is answered; and
//! the server through HTTP and GraphQL, a connection each, whose clients run in this process too. The engine does more for
//! each draw: an idempotency key, ledgers of chances and stock, a claim for each win, chained records, events.
//!
//! Then draws over HTTP at four fifths of the peak, each timed from when it was due; and a quiet enterprise's draws, one
//! after the other, alone and while another's crowd rushes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use chrono::TimeDelta;
use futures_util::future::try_join_all;
use minthouse::activities::create::{self, ActivityRequest, AwardRequest, Limits, LotRequest, PrizeRequest};
use minthouse::activities::draw::{self, DrawRequest};
use minthouse::activities::model::{ActivityId, ActivityKind};
use minthouse::activities::participation::{Origin, Rule};
use minthouse::activities::terms::Exhaustion;
use minthouse::activities::{publish, submit};
use minthouse::api::transport::{CostLimits, Settings};
use minthouse::app::App;
use minthouse::catalog::model::CollectibleId;
use minthouse::platform::id;
use minthouse::tenancy::enterprise::{self, EnterpriseRequest};
use minthouse::tenancy::idempotency::IdempotencyKey;
use minthouse::tenancy::model::{EnterpriseId, EnterpriseKind, HolderId};
use minthouse::tenancy::review::Decision;
use minthouse::tenancy::scope::{HolderScope, HouseScope, TenantScope};
use tokio::process::Command;

#[path = "draws/http.rs"]
mod http;
#[path = "draws/redis.rs"]
mod redis;

use self::http::{Crowd, Server};
use self::redis::Redis;
use super::report::Report;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub turns: usize,
    /// How long each has its turn.
    pub turn: Duration,
    /// How many draw at once.
    pub crowd: usize,
}

impl Size {
    pub const FULL: Size = Size { turns: 3, turn: Duration::from_secs(5), crowd: 256 };
}

/// Odds as a campaign has them: some prizes are rare, and one takes most.
const ODDS: [i32; 6] = [1_000, 5_000, 20_000, 100_000, 300_000, 570_000];
const STOCK: i32 = 1_000_000;
const PEOPLE: usize = 10_000;
/// From one of a drawer's people to the next: prime to their number, so that each comes to all.
const STRIDE: usize = 257;
const CLIENTS: usize = 32;
const BATCH: usize = 256;

const FLOOR: &str = "
    CREATE SCHEMA floor;
    CREATE TABLE floor.prizes (no int PRIMARY KEY, stock_left bigint NOT NULL CHECK (stock_left >= 0)) WITH (fillfactor = 50);
    CREATE TABLE floor.chances (holder int PRIMARY KEY, chances_left bigint NOT NULL CHECK (chances_left >= 0)) WITH (fillfactor = 50);
    CREATE TABLE floor.draws (id uuid PRIMARY KEY, holder int NOT NULL, prize int NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
    CREATE INDEX ON floor.draws (holder, id);
    CREATE TABLE floor.outbox (id uuid PRIMARY KEY, payload json NOT NULL);
    INSERT INTO floor.prizes SELECT no, 1000000000 FROM generate_series(0, 6) AS no;
    INSERT INTO floor.chances SELECT holder, 1000000000 FROM generate_series(0, 9999) AS holder;";

const ONE_BY_ONE: &str = r"\set r random(1, 1000)
\set p case when :r <= 1 then 0 when :r <= 6 then 1 when :r <= 26 then 2 when :r <= 126 then 3 when :r <= 426 then 4 else 5 end
\set h random(0, 9999)
BEGIN;
UPDATE floor.prizes SET stock_left = stock_left - 1 WHERE no = :p AND stock_left > 0;
UPDATE floor.chances SET chances_left = chances_left - 1 WHERE holder = :h AND chances_left > 0;
INSERT INTO floor.draws (id, holder, prize) VALUES (gen_random_uuid(), :h::int, :p::int);
INSERT INTO floor.outbox VALUES (gen_random_uuid(), json_build_object('holder', :h::int, 'prize', :p::int));
COMMIT;
";

const SET_BASED: &str = r"\set s random(1, 1000000000)
BEGIN;
SELECT no FROM floor.prizes ORDER BY no FOR NO KEY UPDATE;
WITH wish AS MATERIALIZED (
    SELECT gen_random_uuid() AS id, (hashint8extended(g, :s::bigint) & 1048575) % 10000 AS h, (hashint8extended(g, :s::bigint + 1) & 1048575) % 1000 AS r
      FROM generate_series(1, 256) AS g),
drawn AS MATERIALIZED (
    SELECT id, h::int AS holder, CASE WHEN r < 1 THEN 0 WHEN r < 6 THEN 1 WHEN r < 26 THEN 2 WHEN r < 126 THEN 3 WHEN r < 426 THEN 4 ELSE 5 END AS prize
      FROM wish),
stock AS (UPDATE floor.prizes AS p SET stock_left = p.stock_left - n FROM (SELECT prize, count(*) AS n FROM drawn GROUP BY 1) AS d WHERE p.no = d.prize),
spent AS (UPDATE floor.chances AS c SET chances_left = c.chances_left - n FROM (SELECT holder, count(*) AS n FROM drawn GROUP BY 1) AS d WHERE c.holder = d.holder),
made AS (INSERT INTO floor.draws (id, holder, prize) SELECT id, holder, prize FROM drawn)
INSERT INTO floor.outbox SELECT gen_random_uuid(), json_build_object('holder', holder, 'prize', prize) FROM drawn;
COMMIT;
";

/// Pgbench and the engine in turns.
pub async fn measure(app: &App, tenant: EnterpriseId, owner_url: &str, size: &Size) -> Result<Report> {
    let (owner, connection) = tokio_postgres::connect(owner_url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    owner.batch_execute(FLOOR).await?;
    let activity = published(app, tenant, &owner).await?;
    let people = people(tenant, &owner).await?;
    drop(owner);
    connection.await??;

    let folder = std::env::temp_dir().join(format!("minthouse-bench-redis-{}", std::process::id()));
    let redis = Redis::start(&folder).await?;
    let server = Server::start(app, settings()).await?;
    let phones = Crowd::new(app, &server, tenant, activity, &people)?;

    let (mut one_by_one, mut set_based, mut scripted, mut served) = (0.0, 0.0, 0.0, 0.0);
    let mut drawn = Drawn::default();
    for _ in 0..size.turns {
        one_by_one += pgbench(owner_url, ONE_BY_ONE, CLIENTS, size.turn).await?;
        set_based += pgbench(owner_url, SET_BASED, 1, size.turn).await? * BATCH as f64;
        if let Some(redis) = &redis {
            scripted += redis.draws(size.crowd, size.crowd * 200).await?;
        }
        drawn.add(crowd(app, (tenant, activity), &people, size).await?);
        served += phones.rush(size.crowd, size.turn).await?;
    }
    let turns = size.turns as f64;
    let engine = drawn.latencies.len() as f64 / drawn.took.as_secs_f64();
    let [one_by_one, set_based, scripted, served] = [one_by_one, set_based, scripted, served].map(|sum| sum / turns);
    let mut paced = Drawn { latencies: phones.paced(size.crowd, served * 0.8, size.turn).await?, took: size.turn };
    let quiet = quiet(app, owner_url, &phones, size).await?;

    let mut report = Report::default();
    report.figure("(a) pgbench, a transaction a draw, 32 clients", one_by_one, "draws/s");
    report.figure("(b) pgbench, 256 draws a transaction", set_based, "draws/s");
    match redis {
        Some(redis) => {
            report.figure("(c) Redis, a script, each append on the disk", scripted, "draws/s");
            redis.stop().await?;
            tokio::fs::remove_dir_all(&folder).await.ok();
        }
        None => println!("(c) is left out: install redis-server to measure it"),
    }
    report.figure("(d) the engine in process", engine, "draws/s");
    report.figure("(d) median", drawn.percentile(0.5), "ms");
    report.figure("(d) 99th percentile", drawn.percentile(0.99), "ms");
    report.figure("(e) the server, HTTP and GraphQL", served, "draws/s");
    report.figure("(e) median at four fifths of its peak", paced.percentile(0.5), "ms");
    report.figure("(e) 99th percentile at four fifths of its peak", paced.percentile(0.99), "ms");
    report.figure("a quiet enterprise, 99th percentile alone", quiet.alone, "ms");
    report.figure("a quiet enterprise, 99th percentile beside a rush", quiet.beside, "ms");
    report.ratio("(d) / (a)", engine / one_by_one, 10.0);
    report.ratio("(d) / (b)", engine / set_based, 0.5);
    if scripted > 0.0 {
        report.ratio("(d) / (c)", engine / scripted, 1.0);
    }
    report.ratio("(e) / (a)", served / one_by_one, 5.0);
    report.ratio("50 ms / (e) 99th percentile at four fifths", 50.0 / paced.percentile(0.99), 1.0);
    report.ratio("3 × alone / beside a rush", 3.0 * quiet.alone / quiet.beside, 1.0);
    Ok(report)
}

/// With room for people who draw by the thousand: what is measured is not the limits.
fn settings() -> Settings {
    let cost = CostLimits { per_minute: u32::MAX / 2, burst: u32::MAX / 2, ..CostLimits::default() };
    Settings { cost, ..Settings::default() }
}

struct Quiet {
    alone: f64,
    beside: f64,
}

/// Another enterprise's draws, one after the other.
async fn quiet(app: &App, owner_url: &str, phones: &Crowd, size: &Size) -> Result<Quiet> {
    let (owner, connection) = tokio_postgres::connect(owner_url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let request = EnterpriseRequest {
        slug: "quiet".into(),
        name_chinese: "安静".into(),
        name_english: "Quiet".into(),
        kind: EnterpriseKind::Standard,
        owner_sign_in: "owner@quiet.example".into(),
        owner_name: "Owner".into(),
        owner_password: "slow-river-under-bridges".into(),
    };
    let tenant = enterprise::create(&app.platform, &HouseScope::of_command_line(), &request).await;
    let tenant = tenant.map_err(|refusal| anyhow!("the enterprise cannot be made: {refusal:?}"))?;
    let activity = published(app, tenant, &owner).await?;
    let people = people(tenant, &owner).await?;
    drop(owner);
    connection.await??;
    let one = Size { crowd: 1, ..*size };
    let mut alone = crowd(app, (tenant, activity), &people, &one).await?;
    let (rush, beside) =
        futures_util::join!(phones.rush(size.crowd, size.turn), crowd(app, (tenant, activity), &people, &one));
    rush?;
    Ok(Quiet { alone: alone.percentile(0.99), beside: beside?.percentile(0.99) })
}

async fn published(app: &App, tenant: EnterpriseId, owner: &tokio_postgres::Client) -> Result<ActivityId> {
    let (series, collectible) = (id::generate(), CollectibleId::generate());
    let supply = STOCK * 6;
    owner
        .batch_execute(&format!(
            "INSERT INTO series (tenant_id, id, name_chinese, name_english) VALUES ('{tenant}', '{series}', '系列', 'Series');
             INSERT INTO collectibles (tenant_id, id, series_id, name_chinese, name_english, author, supply, state)
             VALUES ('{tenant}', '{collectible}', '{series}', '藏品', 'Collectible', 'Author', {supply}, 'ISSUED');
             INSERT INTO collectible_stocks (tenant_id, collectible_id, supply, unallotted, next_serial)
             VALUES ('{tenant}', '{collectible}', {supply}, {supply}, 1)",
            tenant = tenant.uuid(),
            collectible = collectible.uuid(),
        ))
        .await?;
    let prize = |odds: &i32| PrizeRequest {
        award: AwardRequest::default(),
        lots: vec![LotRequest { collectible: Some(collectible), quantity: STOCK }],
        level: 0,
        name: ("奖品".into(), "Prize".into()),
        odds_per_million: Some(*odds),
        wins_per_holder: None,
        wins_per_day: None,
        paced: false,
        fallback: false,
    };
    let now = app.platform.clock.now();
    let request = ActivityRequest {
        kind: ActivityKind::Draw,
        name: ("基准".into(), "Bench".into()),
        rules: Default::default(),
        opens_at: now - TimeDelta::hours(1),
        closes_at: now + TimeDelta::hours(24),
        chances_per_holder: Some(1000),
        daily_chances: None,
        participation: Rule::default(),
        tasks: Vec::new(),
        custom_rules: Vec::new(),
        limits: Limits::default(),
        claim_days: None,
        exhaustion: Exhaustion::ToNoPrize,
        prizes: ODDS.iter().map(prize).collect(),
        personal_plans: Vec::new(),
    };
    let refused = |refusal| anyhow!("the activity is refused: {refusal:?}");
    let scope = TenantScope::of_system(tenant);
    let id = create::create(&app.platform, &scope, &request).await.map_err(refused)?.id;
    submit::submit(&app.platform, &scope, id).await.map_err(refused)?;
    let tx = scope.write(&app.platform.database).await?;
    submit::decided_in(&tx, id, &Decision { approved: true, remark: None }).await.map_err(refused)?;
    tx.commit().await?;
    publish::publish(&app.platform, &scope, id, &"bench".parse()?).await.map_err(refused)?;
    Ok(id)
}

/// As many as pgbench has.
async fn people(tenant: EnterpriseId, owner: &tokio_postgres::Client) -> Result<Arc<[HolderId]>> {
    let people: Vec<HolderId> = (0..PEOPLE).map(|_| HolderId::generate()).collect();
    let ids: Vec<String> = people.iter().map(|id| id.uuid().to_string()).collect();
    let signed_on = format!(
        "INSERT INTO holders (tenant_id, id, nickname) SELECT '{}', id::uuid, '' FROM unnest($1::text[]) AS id",
        tenant.uuid()
    );
    owner.execute(&signed_on, &[&ids]).await?;
    Ok(people.into())
}

/// Transactions a second.
async fn pgbench(url: &str, script: &str, clients: usize, turn: Duration) -> Result<f64> {
    let file = std::env::temp_dir().join(format!("minthouse-bench-{}-{clients}.sql", std::process::id()));
    tokio::fs::write(&file, script).await?;
    let seconds = turn.as_secs().max(1).to_string();
    let output = Command::new(program())
        .args(["--no-vacuum", "--protocol", "prepared", "--client", &clients.to_string(), "--time", &seconds])
        .args(["--jobs", "2", "--file"])
        .arg(&file)
        .arg(url)
        .output()
        .await
        .context("pgbench, which comes with PostgreSQL, cannot be run")?;
    tokio::fs::remove_file(&file).await.ok();
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench has failed: {}", String::from_utf8_lossy(&output.stderr));
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.with_context(|| format!("pgbench does not say how fast it was: {said}"))
}

/// Where Debian keeps the newest, or wherever the shell finds it. Debian's own `pgbench` would look for clusters of its own.
fn program() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin/pgbench")).filter(|program| program.exists());
    let named = std::env::var_os("PG_BIN_DIR").map(|folder| PathBuf::from(folder).join("pgbench"));
    named.or_else(|| found.max()).unwrap_or_else(|| "pgbench".into())
}

#[derive(Default)]
struct Drawn {
    latencies: Vec<Duration>,
    took: Duration,
}

impl Drawn {
    fn add(&mut self, more: Self) {
        self.latencies.extend(more.latencies);
        self.took += more.took;
    }

    /// In milliseconds.
    fn percentile(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        let place = (self.latencies.len().saturating_sub(1) as f64 * share) as usize;
        self.latencies.get(place).copied().unwrap_or_default().as_secs_f64() * 1e3
    }
}

/// Each of the crowd draws, and for the next of its people as soon as it is answered.
async fn crowd(
    app: &App,
    (tenant, activity): (EnterpriseId, ActivityId),
    people: &Arc<[HolderId]>,
    size: &Size,
) -> Result<Drawn> {
    let over = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let drawers = (0..size.crowd).map(|number| {
        let (lanes, callbacks) = (app.lanes.clone(), app.callbacks.clone());
        let (over, people) = (over.clone(), people.clone());
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            for turn in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let holder = people[(number + turn * STRIDE) % people.len()];
                let scope = HolderScope::new(tenant, holder, Arc::from("bench"));
                let key: IdempotencyKey = id::generate().to_string().parse()?;
                let request = DrawRequest { activity, client_seed: String::new(), times: 1, origin: Origin::default() };
                let asked = Instant::now();
                draw::draw(&lanes, &callbacks, &scope, &request, &key)
                    .await
                    .map_err(|refusal| anyhow!("{refusal:?}"))?;
                latencies.push(asked.elapsed());
            }
            anyhow::Ok(latencies)
        })
    });
    let drawers: Vec<_> = drawers.collect();
    tokio::time::sleep(size.turn).await;
    over.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for drawn in try_join_all(drawers).await? {
        latencies.extend(drawn?);
    }
    Ok(Drawn { latencies, took: began.elapsed() })
}
