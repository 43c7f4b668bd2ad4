//! The data folder: where the cluster stands in it, how it is made, and how it is taken over after a kill.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::account::Account;
use super::binaries::Binaries;
use super::error::{StartError, files};
use super::postmaster::{self, PidFile};
use super::socket::{Address, short_name};
use super::{Durability, OWNER};

pub(super) const CLUSTER: &str = "pg";
const UNFINISHED: &str = "pg.new";
const LOG: &str = "postgres.log";
/// A log this long is set aside at the next start.
const LONGEST_LOG: u64 = 16 * 1024 * 1024;

/// Where clusters stand whose data folder the server's user cannot walk to, such as a checkout in root's home.
const ELSEWHERE: &str = "/var/lib/minthouse";

/// A killed server's children get this long to notice and leave; a shutdown writes a checkpoint first.
const ORPHANS_GO_WITHIN: Duration = Duration::from_secs(60);

/// Written once into a new cluster's own configuration, so that its operator may change them. What must hold for
/// every start stands on the command line instead (`postmaster::arguments`).
const CONFIGURATION: &str = "
# From Minthouse: modest enough for a laptop beside other programs. Change them freely, they are not written again.
max_connections = 100
shared_buffers = 128MB
wal_compression = on
max_wal_size = 1GB
checkpoint_timeout = 15min
# Short statements by the thousand: compiling a plan costs more than running it.
jit = off
# For solid-state disks; the default weighs a random read as a disk's arm does.
random_page_cost = 1.1
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
";

/// A cluster that exists.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Without links, as the kernel shows it.
    pub path: PathBuf,
    pub major: u32,
    pub owner: u32,
}

/// A data folder and the place of its cluster, which may not exist yet.
#[derive(Debug)]
pub(super) struct Folder {
    data_dir: PathBuf,
    /// The folder in which `pg` stands: the data folder, or one of [`ELSEWHERE`]'s.
    home: PathBuf,
}

/// The data folder, made where it is missing, as an absolute path without links: its name is hashed, and compared
/// with what the kernel shows.
pub(super) fn make(data_dir: &Path) -> Result<PathBuf, StartError> {
    DirBuilder::new().recursive(true).mode(0o755).create(data_dir).map_err(files("make the folder", data_dir))?;
    data_dir.canonicalize().map_err(files("open the folder", data_dir))
}

/// As [`make`], but `None` where there is none.
pub(super) fn existing_data_dir(data_dir: &Path) -> Result<Option<PathBuf>, StartError> {
    match data_dir.canonicalize() {
        Ok(path) => Ok(Some(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(files("open the folder", data_dir)(source)),
    }
}

/// The cluster of a data folder, if it has one already.
pub(super) fn find(data_dir: &Path) -> Result<Option<Cluster>, StartError> {
    let entry = data_dir.join(CLUSTER);
    let path = match entry.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::read_link(&entry) {
                // A disk that is not mounted, say: a fresh cluster would look as if all data were lost.
                Ok(target) => Err(StartError::LinkToNothing { link: entry, target }),
                Err(_) => Ok(None),
            };
        }
        Err(source) => return Err(files("open the folder", &entry)(source)),
    };
    let owner = path.metadata().map_err(files("look at", &path))?.uid();
    let version = fs::read_to_string(path.join("PG_VERSION"));
    match version.as_deref().map(|text| text.trim().parse()) {
        Ok(Ok(major)) => Ok(Some(Cluster { path, major, owner })),
        Ok(Err(_)) => Err(StartError::NotACluster {
            detail: format!("it says {:?}", version.unwrap_or_default().trim()),
            folder: path,
        }),
        // Not ours to look into; that the owner is another user is the thing to tell.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(StartError::ForeignCluster { cluster: path, owner, uid: super::account::our_uid() })
        }
        Err(error) => Err(StartError::NotACluster { folder: path, detail: error.to_string() }),
    }
}

impl Folder {
    pub fn existing(data_dir: &Path, cluster: Cluster, account: &Account) -> Result<Self, StartError> {
        if let Some(closed) = account.closed_ancestor(&cluster.path) {
            return Err(StartError::Unreachable { cluster: cluster.path, user: account.name.clone(), closed });
        }
        let home = cluster.path.parent().unwrap_or(data_dir).to_owned();
        Ok(Self { data_dir: data_dir.to_owned(), home })
    }

    /// Chooses where a new cluster goes: into the data folder if the server's user can walk there, else elsewhere.
    pub fn place(data_dir: &Path, account: &Account) -> Result<Self, StartError> {
        let Some(closed) = account.closed_ancestor(data_dir) else {
            return Ok(Self { data_dir: data_dir.to_owned(), home: data_dir.to_owned() });
        };
        let home = make(&Path::new(ELSEWHERE).join(short_name(data_dir)))?;
        tracing::warn!(
            data_dir = %data_dir.display(), closed = %closed.display(), user = account.name, home = %home.display(),
            "the user who runs PostgreSQL cannot walk to the data folder, so the cluster stands elsewhere",
        );
        if let Some(closed) = account.closed_ancestor(&home) {
            return Err(StartError::Unreachable { cluster: home, user: account.name.clone(), closed });
        }
        let folder = Self { data_dir: data_dir.to_owned(), home };
        folder.set_forgotten_aside()?;
        Ok(folder)
    }

    pub fn cluster(&self) -> PathBuf {
        self.home.join(CLUSTER)
    }

    pub fn log(&self) -> PathBuf {
        self.data_dir.join(LOG)
    }

    /// The log, opened for the server to write its end.
    pub fn open_log(&self) -> Result<File, StartError> {
        let path = self.log();
        if path.metadata().is_ok_and(|metadata| metadata.len() > LONGEST_LOG) {
            let aside = path.with_extension("log.1");
            fs::rename(&path, &aside).map_err(files("set aside", &path))?;
        }
        OpenOptions::new().create(true).append(true).open(&path).map_err(files("open", &path))
    }

    /// A cluster elsewhere that no link names: its data folder was deleted, which asks for a fresh start. Deleting
    /// data on a guess is not ours to do.
    #[expect(clippy::disallowed_methods, reason = "the time only tells two folders' names apart")]
    fn set_forgotten_aside(&self) -> Result<(), StartError> {
        let cluster = self.cluster();
        if !cluster.exists() {
            return Ok(());
        }
        wait_for_orphans(&cluster)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let aside = self.home.join(format!("{CLUSTER}.forgotten-{now}"));
        fs::rename(&cluster, &aside).map_err(files("set aside", &cluster))?;
        tracing::warn!(
            aside = %aside.display(),
            "this data folder was deleted since its cluster was made; the old cluster is kept, delete it if unwanted",
        );
        Ok(())
    }

    /// After a kill -9 of the last holder: its server may still be shutting down, and leaves its lock files if it
    /// was killed too. We hold the data folder's lock, so whatever stands here is nobody's.
    pub fn take_over(&self, address: &Address) -> Result<(), StartError> {
        let cluster = self.cluster();
        wait_for_orphans(&cluster)?;
        let path = cluster.join(PidFile::NAME);
        match fs::remove_file(&path) {
            Ok(()) => tracing::warn!(cluster = %cluster.display(), "the last server was killed; recovering"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(files("remove", &path)(source)),
        }
        address.clear();
        Ok(())
    }

    /// Makes the cluster if there is none: beside its place, then moved there, so that a crash halfway leaves
    /// nothing that looks like one.
    pub fn make_cluster(
        &self,
        binaries: &Binaries,
        account: &Account,
        durability: Durability,
    ) -> Result<(), StartError> {
        let (cluster, unfinished) = (self.cluster(), self.home.join(UNFINISHED));
        if cluster.exists() {
            return Ok(());
        }
        if unfinished.exists() {
            wait_for_orphans(&unfinished)?;
            fs::remove_dir_all(&unfinished).map_err(files("remove", &unfinished))?;
        }
        DirBuilder::new().mode(0o700).create(&unfinished).map_err(files("make the folder", &unfinished))?;
        account.give(&unfinished)?;

        let mut command = account.command(&binaries.initdb);
        command.arg("-D").arg(&unfinished).args(["-U", OWNER]);
        // Everyone who reaches the socket is trusted; its folder decides who does. Checksums find a failing disk.
        command.args(["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-k", "--no-instructions"]);
        if durability == Durability::ThrowAway {
            command.arg("--no-sync");
        }
        command.process_group(0);
        postmaster::die_with_us(&mut command, libc::SIGKILL);
        let output = command.output().map_err(|source| StartError::NotRun {
            program: binaries.initdb.clone(),
            user: account.name.clone(),
            source,
        })?;
        if !output.status.success() {
            let output = [output.stdout, output.stderr].concat();
            return Err(StartError::Initdb { cluster, output: String::from_utf8_lossy(&output).trim().to_owned() });
        }
        self.finish(&unfinished, durability)
    }

    fn finish(&self, unfinished: &Path, durability: Durability) -> Result<(), StartError> {
        let configuration = unfinished.join("postgresql.conf");
        let mut file = OpenOptions::new().append(true).open(&configuration).map_err(files("open", &configuration))?;
        file.write_all(CONFIGURATION.as_bytes()).map_err(files("write", &configuration))?;
        if durability == Durability::Durable {
            file.sync_all().map_err(files("write down", &configuration))?;
        }
        let cluster = self.cluster();
        fs::rename(unfinished, &cluster).map_err(files("move into place", &cluster))?;
        if self.home != self.data_dir {
            // Last, so that a link always leads to a whole cluster; a crash just before costs an empty one.
            let link = self.data_dir.join(CLUSTER);
            symlink(&cluster, &link).map_err(files("make the link", &link))?;
        }
        if durability == Durability::Durable {
            for folder in [&self.home, &self.data_dir] {
                let open = File::open(folder).map_err(files("open the folder", folder))?;
                open.sync_all().map_err(files("write down", folder))?;
            }
        }
        Ok(())
    }
}

/// Returns once no process stands in `cluster`. The server and all its children do; their numbers in its own lock
/// file may long be someone else's.
fn wait_for_orphans(cluster: &Path) -> Result<(), StartError> {
    let deadline = Instant::now() + ORPHANS_GO_WITHIN;
    let mut told = false;
    loop {
        let pids = postmaster::standing_in(cluster);
        if pids.is_empty() {
            return Ok(());
        }
        let pids = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        if Instant::now() > deadline {
            return Err(StartError::Orphans { cluster: cluster.to_owned(), pids, waited: ORPHANS_GO_WITHIN });
        }
        if !told {
            tracing::info!(cluster = %cluster.display(), pids, "waiting for the last server to shut down");
            told = true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
