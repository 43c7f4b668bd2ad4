//! A whole house for one test: its own database, copied from a template in milliseconds, and a server on a free port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::TimeDelta;
use minthouse::api::transport::{CostLimits, Origins, Settings};
use minthouse::app::{App, Services};
use minthouse::catalog::media::MediaServices;
use minthouse::catalog::media::moderation::Blind;
use minthouse::commands::{manifest, sales_services};
use minthouse::ledger::ledgers::LedgerParts;
use minthouse::ledger::simulator::Faults;
use minthouse::platform::Platform;
use minthouse::platform::clock::{Clock, SystemClock};
use minthouse::platform::db::embedded::OWNER;
use minthouse::platform::db::{Database, PoolSettings, migrate};
use minthouse::platform::objects::Objects;
use minthouse::platform::objects::bucket::Bucket;
use minthouse::platform::randomness::{Randomness, SeededRandomness};
use minthouse::platform::secrets::Secrets;
use minthouse::platform::telemetry;
use minthouse::tenancy::model::{EnterpriseId, OperatorId};
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::scope::HouseTx;
use minthouse::tenancy::store::{self, DirectoryKind};
use minthouse::tenancy::token::Identity;
use minthouse::wallets::WalletServices;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cluster;
use super::people::World;

/// Two enterprises, `alpha` and `beta`, small and with different data.
pub const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/support/small.toml");

/// What a test's database begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Migrated, with nobody in it.
    Empty,
    /// With what `small.toml` describes, issued and published.
    Small,
}

impl Beginning {
    fn template(self) -> &'static str {
        match self {
            Self::Empty => "template_empty",
            Self::Small => "template_small",
        }
    }
}

pub struct TestApp {
    pub app: App,
    pub address: SocketAddr,
    /// What is outside of the house.
    pub world: World,
    database: String,
    http: reqwest::Client,
    _shutdown: DropGuard,
}

pub struct Builder {
    beginning: Beginning,
    connections: usize,
    clock: Arc<dyn Clock>,
    worker: bool,
    settings: Settings,
    wechat: Option<String>,
    faults: Option<Faults>,
    media: Media,
}

/// Where a test's files lie, and who looks at its media.
#[derive(Clone, Default)]
pub struct Media {
    pub bucket: Option<Bucket>,
    pub leave_to_the_house: bool,
}

impl TestApp {
    /// A house with two small enterprises, and workers at work.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn builder() -> Builder {
        let cost = CostLimits { per_minute: 100_000_000, burst: 100_000_000, crowd: 1, ..CostLimits::default() };
        let settings = Settings { cost, ..Settings::default() };
        Builder {
            beginning: Beginning::Small,
            connections: 8,
            clock: Arc::new(SystemClock),
            worker: true,
            settings,
            wechat: None,
            faults: None,
            media: Media::default(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    /// Where its uploaded files lie.
    pub fn objects_folder(&self) -> PathBuf {
        objects_folder(&self.database)
    }

    pub fn owner_url(&self) -> String {
        cluster::shared().url(OWNER, &self.database)
    }

    /// The database as one of the server's own roles sees it.
    pub fn role_url(&self, role: &str) -> String {
        cluster::shared().url(role, &self.database)
    }

    pub async fn enterprise(&self, slug: &str) -> EnterpriseId {
        let tx = HouseTx::read(&self.app.platform.database).await.expect("the database answers");
        let found = store::look_up(&tx, DirectoryKind::Slug, slug).await.expect("the database answers");
        found.unwrap_or_else(|| panic!("no enterprise {slug}"))
    }

    /// A token of an operator of `slug` with `role`.
    pub async fn operator(&self, slug: &str, role: Role) -> String {
        let identity = Identity::Operator { operator: OperatorId::generate(), role };
        self.mint(slug, identity).await
    }

    /// A token of the house.
    pub async fn house(&self, role: Role) -> String {
        self.mint("house", Identity::House { operator: OperatorId::generate(), role }).await
    }

    /// A person signed on at `slug`: their token and ID.
    pub async fn holder(&self, slug: &str, phone: &str) -> (String, String) {
        let operator = self.operator(slug, Role::Admin).await;
        let answer = self
            .ok(
                Some(&operator),
                "mutation($phone: String!) { holderSignOn(input: {phone: $phone}) { token holder { id } userErrors { code } } }",
                json!({ "phone": phone }),
            )
            .await;
        let signed_on = &answer["holderSignOn"];
        assert_eq!(signed_on["userErrors"], json!([]));
        (text(&signed_on["token"]), text(&signed_on["holder"]["id"]))
    }

    pub async fn mint(&self, slug: &str, identity: Identity) -> String {
        let tenant = self.enterprise(slug).await;
        self.app.tokens.mint(tenant, identity, None, TimeDelta::minutes(30)).expect("the key signs").0
    }

    /// The whole answer, as a client reads it.
    pub async fn send(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        let mut request = self.http.post(self.url()).json(&json!({ "query": query, "variables": variables }));
        request = request.header("accept-language", "en");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.expect("the server answers").json().await.expect("the answer is JSON")
    }

    /// The data of an answer that must have no errors.
    pub async fn ok(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        let mut answer = self.send(token, query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"].take()
    }

    /// The payload of a mutation whose name is the answer's only field, without user errors.
    pub async fn done(&self, token: &str, query: &str, variables: Value) -> Value {
        let mut data = self.ok(Some(token), query, variables).await;
        let fields = data.as_object_mut().expect("data is an object");
        let payload = fields.values_mut().next().expect("one field").take();
        assert_eq!(payload["userErrors"], json!([]), "{query}\n{payload:#}");
        payload
    }

    /// The codes of a mutation's user errors.
    pub async fn refused(&self, token: &str, query: &str, variables: Value) -> Vec<String> {
        let data = self.ok(Some(token), query, variables).await;
        let payload = data.as_object().and_then(|fields| fields.values().next()).cloned().expect("one field");
        payload["userErrors"]
            .as_array()
            .expect("userErrors is selected")
            .iter()
            .map(|error| text(&error["code"]))
            .collect()
    }

    /// One value that SQL gives, asked as the owner of everything.
    pub fn sql(&self, sql: &str) -> String {
        super::super::embedded::ask(&self.owner_url(), sql)
    }
}

impl Builder {
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// With a clock of the test's. The database keeps its own time.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    pub fn origins(mut self, origins: Origins) -> Self {
        self.settings.origins = origins;
        self
    }

    /// How often an idle stream says that it is there, and asks whether its reader may still come in.
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.settings.streams.keep_alive = keep_alive;
        self
    }

    /// With proxies in front whose word on a caller's address counts.
    pub fn behind(mut self, proxies: &[&str]) -> Self {
        self.settings.proxies = proxies.iter().map(|block| block.parse().expect("a block of addresses")).collect();
        self
    }

    /// With WeChat at this address.
    pub fn wechat(mut self, url: &str) -> Self {
        self.wechat = Some(url.to_owned());
        self
    }

    /// With a ledger that seems to fail in these ways.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    pub fn media(mut self, media: Media) -> Self {
        self.media = media;
        self
    }

    /// Without background work; `app.settle()` does it when the test wants it.
    pub fn idle(mut self) -> Self {
        self.worker = false;
        self
    }

    pub async fn start(self) -> TestApp {
        let database = copy(self.beginning).await;
        self.start_on(database).await
    }

    /// One more server on a database that has one already.
    pub async fn start_beside(self, other: &TestApp) -> TestApp {
        self.start_on(other.database.clone()).await
    }

    async fn start_on(self, database: String) -> TestApp {
        let world = World::default();
        let services = world.services(self.wechat.as_deref());
        let app = app_at(&database, self.connections, self.clock, services, self.faults.as_ref(), &self.media);
        let shutdown = CancellationToken::new();
        let router = app.router(self.settings, recorder(), shutdown.clone()).expect("the schema is sound");
        if self.worker {
            app.work(&shutdown).detach_all();
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let serving = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(shutdown.clone().cancelled_owned());
        tokio::spawn(serving.into_future());
        TestApp { app, address, world, database, http: client(), _shutdown: shutdown.drop_guard() }
    }
}

/// A client with connections of its own.
pub fn client() -> reqwest::Client {
    client_from([127, 0, 0, 1])
}

/// The same, with one of the machine's own addresses.
pub fn client_from(address: [u8; 4]) -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let address = std::net::IpAddr::from(address);
    reqwest::Client::builder().no_proxy().local_address(address).build().expect("the client is sound")
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// Where the uploaded files of one database lie.
fn objects_folder(database: &str) -> PathBuf {
    cluster::shared().folder().join("objects").join(database)
}

/// An app on one of the shared cluster's databases. Secrets and randomness are the same in every run.
pub fn app(database: &str, connections: usize, wallets: WalletServices) -> App {
    app_at(database, connections, Arc::new(SystemClock), wallets, None, &Media::default())
}

fn app_at(
    database: &str,
    connections: usize,
    clock: Arc<dyn Clock>,
    wallets: WalletServices,
    faults: Option<&Faults>,
    media: &Media,
) -> App {
    let cluster = cluster::shared();
    let pools = PoolSettings { connections, ..PoolSettings::default() };
    let objects = objects_folder(database);
    let database = Database::new(|role| cluster.url(role.name(), database), &pools).expect("the settings are sound");
    let master_key = secrets().master_key().expect("the secrets are sound");
    // Each app draws on a stretch of its own, or two of them on one database would make the same seeds.
    static STRETCH: AtomicU32 = AtomicU32::new(1);
    let randomness: Arc<dyn Randomness> =
        Arc::new(SeededRandomness::new(STRETCH.fetch_add(1, Ordering::Relaxed).into()));
    let platform = Platform {
        database,
        clock,
        randomness,
        objects: match &media.bucket {
            Some(bucket) => Objects::in_bucket(bucket, &master_key).expect("the settings are sound"),
            None => Objects::in_folder(&objects, &master_key, SystemClock.now()).expect("the folder is writable"),
        },
        master_key,
    };
    let sales = sales_services(&platform, true).expect("the client for proofs can be made");
    let media = MediaServices::new(match media.leave_to_the_house {
        true => Arc::new(Blind::leaves_all_to_the_house()),
        false => Arc::new(Blind::passes_all()),
    });
    let ledgers = LedgerParts { faults: faults.cloned(), ..LedgerParts::default() };
    let services = Services { sales, wallets, media };
    App::new(Arc::new(platform), secrets(), services, ledgers, true, None).expect("the parts fit together")
}

fn secrets() -> &'static Secrets {
    static SECRETS: OnceLock<Secrets> = OnceLock::new();
    SECRETS.get_or_init(|| Secrets::generate(&SeededRandomness::new(0)).expect("keys can be made"))
}

fn recorder() -> metrics_exporter_prometheus::PrometheusHandle {
    static RECORDER: OnceLock<metrics_exporter_prometheus::PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| telemetry::metrics().expect("it is set up once")).clone()
}

/// A fresh database, copied from its template.
pub async fn copy(beginning: Beginning) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{number}");
    let made = name.clone();
    tokio::task::spawn_blocking(move || {
        templates();
        let sql = format!("CREATE DATABASE {made} TEMPLATE {} STRATEGY FILE_COPY", beginning.template());
        super::super::embedded::ask(&cluster::shared().url(OWNER, "postgres"), &sql);
    })
    .await
    .expect("the template can be copied");
    name
}

/// Makes both templates, once a process, on a runtime of its own: nothing of it may stay connected to them.
fn templates() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        runtime.block_on(async {
            for beginning in [Beginning::Empty, Beginning::Small] {
                let name = beginning.template();
                migrate::ensure_database(&cluster::shared().url(OWNER, "postgres"), name).await.expect("it is new");
                let url = cluster::shared().url(OWNER, name);
                let now = chrono::DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
                migrate::migrate(&url, now, |_| ()).await.expect("the migrations run");
                if beginning == Beginning::Small {
                    let app = app(name, 2, World::default().services(None));
                    manifest::apply(&app, Path::new(MANIFEST)).await.expect("the manifest is sound");
                    app.platform.database.close();
                }
            }
        });
        // Dropping the runtime ends its connections' tasks; the server notices a moment later.
        drop(runtime);
        let owner = cluster::shared().url(OWNER, "postgres");
        super::super::embedded::ask(
            &owner,
            "SELECT coalesce(bool_and(pg_terminate_backend(pid)), true)::text FROM pg_stat_activity WHERE datname LIKE 'template\\_%'",
        );
    });
}
