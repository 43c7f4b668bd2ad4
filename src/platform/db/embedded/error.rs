//! Why the embedded server could not be started, adopted or stopped, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Each message names the remedy: it is read by someone who wanted to run Minthouse, not PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "PostgreSQL's server programs (initdb and postgres) were not found; looked in {looked_in}. \
         Install them with `{install}`, or set PG_BIN_DIR to the folder they are in."
    )]
    NoBinaries { looked_in: String, install: String },

    #[error(
        "PG_BIN_DIR is {folder}, which holds no initdb and postgres that can be run. Correct it, or unset it and \
         install PostgreSQL with `apt-get install postgresql`."
    )]
    WrongBinDir { folder: PathBuf },

    #[error(
        "The cluster in {cluster} was made by PostgreSQL {wanted}, but only {found} is installed; it is never \
         upgraded silently. Install that version with `apt-get install postgresql-{wanted}`, or move the data over \
         with pg_upgrade or pg_dump."
    )]
    WrongVersion { cluster: PathBuf, wanted: u32, found: String },

    #[error(
        "PostgreSQL {found} is too old, Minthouse needs {needed} or later. Install it with \
         `apt-get install postgresql-{needed}` (from apt.postgresql.org where the distribution has none)."
    )]
    TooOld { found: String, needed: u32 },

    #[error(
        "{folder} stands where the cluster belongs but is not one (its PG_VERSION is missing or unreadable: \
         {detail}). If it holds nothing of value move it away and start again; otherwise restore it from a backup."
    )]
    NotACluster { folder: PathBuf, detail: String },

    #[error(
        "{link} leads to {target}, where nothing is. Mount or restore what belongs there, or remove the link to \
         begin with an empty database."
    )]
    LinkToNothing { link: PathBuf, target: PathBuf },

    #[error(
        "The data folder {data_dir} is in use by {holder}. Stop that process first (`kill {pid}`), or give this \
         one a data folder of its own.", pid = holder.pid
    )]
    InUse { data_dir: PathBuf, holder: Holder },

    #[error(
        "{holder} holds the data folder {data_dir}, but its database was not ready within {waited:?}. Look at \
         {data_dir}/postgres.log, and stop that process if it hangs (`kill {pid}`).", pid = holder.pid
    )]
    NotReady { data_dir: PathBuf, holder: Holder, waited: Duration },

    #[error(
        "PostgreSQL processes that nobody supervises still run on {cluster} after {waited:?} (process {pids}). \
         Stop them with `kill -INT {first}` and start again.", first = pids.split(' ').next().unwrap_or_default()
    )]
    Orphans { cluster: PathBuf, pids: String, waited: Duration },

    #[error(
        "PostgreSQL refuses to run as root, and none of the users {tried} exists to run it as. Make one with \
         `useradd --system postgres`."
    )]
    NoAccount { tried: String },

    #[error(
        "The user with the number {uid} has no entry in the password file, and PostgreSQL refuses to run without \
         one. Run as a named user or as root, or add the entry (in a container: `useradd --uid {uid} minthouse`)."
    )]
    NamelessUser { uid: u32 },

    #[error(
        "The cluster {cluster} belongs to the user with the number {owner}, but PostgreSQL would run as {uid}. Run \
         Minthouse as the owner, or hand the folder over with `chown -R {uid} {cluster}`."
    )]
    ForeignCluster { cluster: PathBuf, owner: u32, uid: u32 },

    #[error(
        "The cluster {cluster} cannot be reached by the user {user}, who runs PostgreSQL: {closed} is closed to \
         them. Open it with `chmod o+x {closed}`, or move the data folder elsewhere."
    )]
    Unreachable { cluster: PathBuf, user: String, closed: PathBuf },

    #[error(
        "No private folder for the database's socket could be made: {detail}. Set XDG_RUNTIME_DIR to a folder of \
         yours with a short path, or make /run or /tmp writable."
    )]
    NoSocketFolder { detail: String },

    #[error(
        "{program} could not be run as the user {user}: {source}. Check that this user may run it (`{program} --version`)."
    )]
    NotRun {
        program: PathBuf,
        user: String,
        #[source]
        source: io::Error,
    },

    #[error(
        "initdb could not make a cluster in {cluster}; its own words follow. Remedy what it names and start again.\n{output}"
    )]
    Initdb { cluster: PathBuf, output: String },

    #[error(
        "PostgreSQL ended while starting ({status}); the end of {log} follows. Remedy what it names and start again.\n{tail}"
    )]
    Ended { status: String, log: PathBuf, tail: String },

    #[error("PostgreSQL was not ready within {waited:?} and was stopped. Look at {log} for what holds it up.")]
    Slow { waited: Duration, log: PathBuf },

    #[error(
        "PostgreSQL (process {pid}) did not stop within {waited:?}. Look at {log}; `kill -QUIT {pid}` ends it without a checkpoint."
    )]
    StillRunning { pid: u32, waited: Duration, log: PathBuf },

    #[error(
        "Could not {action} {path}: {source}. Check that this user may do so and that the disk is neither full nor read-only."
    )]
    Files {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The process that holds a data folder's lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// The program's name, as the holder wrote it down.
    pub program: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "process {} ({})", self.pid, self.program)
    }
}

/// For `map_err` on file operations: what was tried, on which path.
pub(super) fn files(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    move |source| StartError::Files { action, path, source }
}
