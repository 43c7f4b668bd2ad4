//! A PostgreSQL server that Minthouse starts, watches and stops itself.
//!
//! Whoever tries Minthouse out should not have to set up a database first, and the tests should run against the
//! real one. So this supervises the system's own PostgreSQL programs as a child process: a socket in a private
//! folder, no network port, and an end that is tied to ours, however we end. A larger house brings its own server.
//!
//! What stands in a data folder:
//!
//! | entry          | whose        | what                                                               |
//! |----------------|--------------|--------------------------------------------------------------------|
//! | `lock`         | ours         | held for as long as the server runs; names the holder              |
//! | `postgres.log` | ours         | what PostgreSQL says                                               |
//! | `pg`           | the server's | the cluster, or a link to it where PostgreSQL cannot walk to here  |
//! | `pg.new`       | the server's | a cluster that is being made; only ever left behind by a crash     |
//!
//! The parts: `binaries` finds the programs, `account` the user they run as, `folder` places and makes the
//! cluster, `lock` keeps a second server out, `socket` is where it is reached, `postmaster` is the process itself.
//! Everything blocks; call it from a thread of its own. It needs Linux.

mod account;
mod binaries;
mod error;
mod folder;
mod lock;
mod postmaster;
mod socket;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub use error::StartError;

use account::Account;
use binaries::Binaries;
use folder::Folder;
use lock::Lock;
use postmaster::{PidFile, Postmaster};
use socket::Address;

/// The cluster's superuser. It owns the schema; requests never connect as it.
pub const OWNER: &str = "minthouse_owner";

/// A start after a crash replays the log, which takes as long as it takes; beyond this something else is wrong.
const READY_WITHIN: Duration = Duration::from_secs(600);
/// How long an adopter waits for a server that has taken the lock but is not ready yet.
const ADOPT_WITHIN: Duration = Duration::from_secs(60);

/// What a crash of the machine may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was committed.
    Durable,
    /// Everything. For tests: several times quicker, and never for data that anyone wants back.
    ThrowAway,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Made where it does not exist yet, its parents too.
    pub data_dir: PathBuf,
    pub durability: Durability,
}

/// A running server. It stops when this is dropped, and also when our process is killed.
#[derive(Debug)]
pub struct Embedded {
    // Fields are dropped in this order: the lock must not be free before the server is down.
    postmaster: Postmaster,
    address: Address,
    _lock: Lock,
    data_dir: PathBuf,
    started_in: Duration,
}

/// Starts the server of a data folder, making the cluster first where there is none, and returns when it takes
/// connections.
pub fn start(settings: Settings) -> Result<Embedded, StartError> {
    let began = Instant::now();
    let data_dir = folder::make(&settings.data_dir)?;
    let lock = Lock::take(&data_dir)?;

    let found = folder::find(&data_dir)?;
    let account = Account::choose(found.as_ref())?;
    let binaries = Binaries::find(found.as_ref(), &account)?;
    let folder = match found {
        Some(cluster) => Folder::existing(&data_dir, cluster, &account)?,
        None => Folder::place(&data_dir, &account)?,
    };
    let address = Address::prepare(&data_dir, &account)?;
    folder.take_over(&address)?;
    folder.make_cluster(&binaries, &account, settings.durability)?;

    let postmaster = Postmaster::spawn(&folder, &binaries, &account, &address, settings.durability)?;
    postmaster.wait_until_ready(&folder, READY_WITHIN)?;

    let started_in = began.elapsed();
    tracing::info!(
        cluster = %folder.cluster().display(), pid = postmaster.pid(), version = binaries.major, ?started_in,
        "embedded PostgreSQL is ready",
    );
    Ok(Embedded { postmaster, address, _lock: lock, data_dir, started_in })
}

impl Embedded {
    /// A connection string for tokio-postgres and libpq. No password: the socket's folder is private to the
    /// server's user and root.
    pub fn url(&self, user: &str, database: &str) -> String {
        self.address.url(user, database)
    }

    /// The data folder, absolute and without links.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// How long [`start`] took.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.postmaster.pid()
    }

    /// Whether the server has ended, by itself or because [`Embedded::stop`] was called.
    pub fn child_exited(&self) -> bool {
        *self.postmaster.exited().borrow()
    }

    /// Becomes true when the server ends. For a server's main task to wait on beside its signals.
    pub fn exited(&self) -> watch::Receiver<bool> {
        self.postmaster.exited()
    }

    /// Ends open sessions, writes everything down and stops: SIGINT, and SIGQUIT after ten seconds. Close the
    /// pools first, so that no session is cut in the middle of its work.
    pub fn stop(self) -> Result<(), StartError> {
        self.postmaster.stop()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Err(error) = self.postmaster.stop() {
            tracing::error!(%error, "the embedded PostgreSQL did not stop");
        }
        self.address.remove();
    }
}

/// A server that another process of ours runs. Dropping this leaves it alone.
#[derive(Debug)]
pub struct Adopted {
    address: Address,
    data_dir: PathBuf,
    pid: u32,
}

/// The server that another process runs on this data folder, if one does. For the commands that work on a house
/// whether or not it is open: they adopt, and [`start`] for themselves where this gives `None`.
pub fn adopt(data_dir: &Path) -> Result<Option<Adopted>, StartError> {
    let Some(data_dir) = folder::existing_data_dir(data_dir)? else { return Ok(None) };
    let deadline = Instant::now() + ADOPT_WITHIN;
    loop {
        let Some(holder) = Lock::holder(&data_dir)? else { return Ok(None) };
        let cluster = data_dir.join(folder::CLUSTER);
        if let Some(PidFile { pid, socket_folder: Some(folder), ready: true }) = PidFile::read(&cluster)?
            // The file may be a killed server's, which the holder has not replaced yet.
            && cluster.canonicalize().is_ok_and(|cluster| postmaster::standing_in(&cluster).contains(&pid))
        {
            return Ok(Some(Adopted { address: Address::of(folder), data_dir, pid }));
        }
        if Instant::now() > deadline {
            return Err(StartError::NotReady { data_dir, holder, waited: ADOPT_WITHIN });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Adopted {
    /// As [`Embedded::url`].
    pub fn url(&self, user: &str, database: &str) -> String {
        self.address.url(user, database)
    }

    /// As [`Embedded::data_dir`].
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}
