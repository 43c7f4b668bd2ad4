//! One throw-away PostgreSQL for this test process: started by the first test that asks, gone with the process.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use minthouse::platform::db::embedded::{Durability, Embedded, Settings, start};

/// What the whole suite's databases may come to. A cluster alone has some 40 MB, and each database 8 more.
const ROOM_NEEDED: u64 = 2 * 1024 * 1024 * 1024;

const PREFIX: &str = "minthouse-suite-";

pub struct Cluster {
    folder: PathBuf,
    /// Taken out at the end of the process, as a static is never dropped.
    embedded: Mutex<Option<Embedded>>,
}

/// The cluster of this process. It has PostgreSQL's own databases and `minthouse_owner`, and nothing else.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    extern "C" fn throw_away() {
        if let Some(cluster) = SHARED.get() {
            cluster.throw_away();
        }
    }
    SHARED.get_or_init(|| {
        let base = base();
        remove_stale(&base);
        let folder = base.join(format!("{PREFIX}{}", std::process::id()));
        let embedded = start(Settings { data_dir: folder.clone(), durability: Durability::ThrowAway })
            .unwrap_or_else(|error| panic!("the tests' PostgreSQL does not start: {error}"));
        // SAFETY: the function touches only statics, which outlive every exit handler. A process that ends without
        // its handlers (a kill) takes the server along too, and leaves the folder to the next one.
        unsafe { libc::atexit(throw_away) };
        Cluster { folder, embedded: Mutex::new(Some(embedded)) }
    })
}

impl Cluster {
    pub fn url(&self, user: &str, database: &str) -> String {
        let embedded = self.embedded.lock().unwrap_or_else(PoisonError::into_inner);
        embedded.as_ref().expect("the process is not ending yet").url(user, database)
    }

    /// Where tests keep what is to vanish with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn throw_away(&self) {
        drop(self.embedded.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Memory where there is enough of it: creating a database is a copy of files.
fn base() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match room_in(memory) {
        Some(room) if room >= ROOM_NEEDED => memory.to_owned(),
        _ => std::env::temp_dir(),
    }
}

fn room_in(folder: &Path) -> Option<u64> {
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: statvfs is a plain C struct, for which all zeros is a valid value.
    let mut about: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call.
    let found = unsafe { libc::statvfs(path.as_ptr(), &mut about) } == 0;
    found.then(|| about.f_bavail * about.f_frsize)
}

/// The folders of processes that are no more.
fn remove_stale(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|pid| pid.parse::<u32>().ok());
        if process.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[test]
fn the_shared_cluster_is_quick_and_takes_connections() {
    let url = shared().url("minthouse_owner", "postgres");
    assert_eq!(super::super::embedded::ask(&url, "show fsync"), "off");
    assert_eq!(shared().url("minthouse_owner", "postgres"), url, "it is started once");
}

#[test]
fn the_folders_of_dead_processes_are_removed_and_no_others() {
    let base = std::env::temp_dir().join(format!("minthouse-stale-{}", std::process::id()));
    // No process has this number: it is above the kernel's limit.
    let [dead, living, strange] = ["4194305", &std::process::id().to_string(), "notes"].map(|name| {
        let folder = base.join(format!("{PREFIX}{name}"));
        fs::create_dir_all(folder.join("pg")).expect("the temporary folder is writable");
        folder
    });
    remove_stale(&base);
    let left = [&dead, &living, &strange].map(|folder| folder.exists());
    fs::remove_dir_all(&base).expect("the folder is ours");
    assert_eq!(left, [false, true, true]);
}
