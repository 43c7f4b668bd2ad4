//! One pool a login role.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_postgres::config::SslMode;

use crate::platform::db::{Access, Role, Session, Transaction};
use crate::platform::fault::Fault;

/// How many connections each role's pool may open, and how long a request waits for one.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    pub connections: usize,
    pub wait: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { connections: 16, wait: Duration::from_secs(10) }
    }
}

/// The database as the server sees it: four login roles, a pool each.
#[derive(Clone)]
pub struct Database {
    tenant: Pool<AsyncPgConnection>,
    holder: Pool<AsyncPgConnection>,
    house: Pool<AsyncPgConnection>,
    partner: Pool<AsyncPgConnection>,
    statements: Arc<AtomicU64>,
    commits: Arc<watch::Sender<u64>>,
}

impl Database {
    /// `url_of` gives the connection string of a role. Connections are opened when first needed.
    pub fn new(url_of: impl Fn(Role) -> String, settings: &PoolSettings) -> anyhow::Result<Self> {
        let pool = |role: Role, connections: usize| {
            let mut config = ManagerConfig::default();
            // The stock check costs a query at each checkout; a dead connection shows at its first use.
            config.recycling_method = RecyclingMethod::Fast;
            config.custom_setup = Box::new(establish_with_limits);
            Pool::builder(AsyncDieselConnectionManager::new_with_config(url_of(role), config))
                .max_size(connections)
                .wait_timeout(Some(settings.wait))
                .create_timeout(Some(settings.wait))
                .runtime(deadpool::Runtime::Tokio1)
                .build()
                .context("the connection pool's settings do not fit together")
        };
        Ok(Self {
            tenant: pool(Role::Tenant, settings.connections)?,
            holder: pool(Role::Holder, settings.connections)?,
            house: pool(Role::House, (settings.connections / 4).max(2))?,
            partner: pool(Role::Partner, (settings.connections / 4).max(2))?,
            statements: Arc::default(),
            commits: Arc::new(watch::Sender::new(0)),
        })
    }

    /// Takes a connection. The transaction itself begins together with its first statement.
    pub async fn begin(&self, session: Session, access: Access) -> Result<Transaction, Fault> {
        Ok(Transaction::new(
            self.connection(session.role()).await?,
            session,
            access,
            self.statements.clone(),
            self.commits.clone(),
        ))
    }

    /// Lets nobody take a connection any more, and closes those that come back.
    pub fn close(&self) {
        for pool in [&self.tenant, &self.holder, &self.house, &self.partner] {
            pool.close();
        }
    }

    /// How many statements have been sent since the start, beside BEGIN and COMMIT.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Counts this server's commits: a change means that work may be due, somewhere.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    async fn connection(&self, role: Role) -> Result<Object<AsyncPgConnection>, Fault> {
        let pool = match role {
            Role::Tenant => &self.tenant,
            Role::Holder => &self.holder,
            Role::House => &self.house,
            Role::Partner => &self.partner,
        };
        pool.get().await.map_err(|error| Fault::Unavailable(anyhow!("no connection for {role:?}: {error}")))
    }
}

/// One connection outside every pool, for whoever looks after the schema.
pub(super) async fn connect(url: &str) -> anyhow::Result<AsyncPgConnection> {
    let config: tokio_postgres::Config = url.parse().context("DATABASE_URL is no connection string")?;
    open(&config).await.context("cannot connect to PostgreSQL; check DATABASE_URL and that it runs")
}

/// What no statement of the server may exceed. The database itself holds these: a client's time limit alone would leave
/// the statement running, and its locks with it.
const LIMITS: &str = "-c lock_timeout=5s -c statement_timeout=20s -c idle_in_transaction_session_timeout=60s";

fn establish_with_limits(url: &str) -> BoxFuture<'_, ConnectionResult<AsyncPgConnection>> {
    async move {
        let config: tokio_postgres::Config = url.parse().map_err(bad)?;
        let options = [config.get_options().unwrap_or_default(), LIMITS].join(" ");
        let mut limited = config.clone();
        limited.options(options.trim());
        open(&limited).await
    }
    .boxed()
}

/// With what PostgreSQL itself says, which the error's own words leave out.
fn bad(error: tokio_postgres::Error) -> ConnectionError {
    let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    ConnectionError::BadConnection(why)
}

async fn open(config: &tokio_postgres::Config) -> ConnectionResult<AsyncPgConnection> {
    if config.get_ssl_mode() == SslMode::Disable || is_local(config) {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.map_err(bad)?;
        return AsyncPgConnection::try_from_client_and_connection(client, connection).await;
    }
    let tls = tokio_postgres_rustls::MakeRustlsConnect::new(tls_config()?);
    let (client, connection) = config.connect(tls).await.map_err(bad)?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

fn is_local(config: &tokio_postgres::Config) -> bool {
    !config.get_hosts().is_empty()
        && config.get_hosts().iter().all(|host| match host {
            tokio_postgres::config::Host::Unix(_) => true,
            tokio_postgres::config::Host::Tcp(name) => name == "localhost" || name == "127.0.0.1" || name == "::1",
        })
}

fn tls_config() -> ConnectionResult<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| ConnectionError::BadConnection(error.to_string()))
}
