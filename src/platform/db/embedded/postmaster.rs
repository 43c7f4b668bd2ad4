//! The server's process: begun, watched, stopped, and never outliving us.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Durability;
use super::account::Account;
use super::binaries::Binaries;
use super::error::{StartError, files};
use super::folder::Folder;
use super::socket::Address;

/// A fast shutdown ends sessions and writes a checkpoint.
const FAST_WITHIN: Duration = Duration::from_secs(10);
/// An immediate one kills its own children after five seconds.
const IMMEDIATE_WITHIN: Duration = Duration::from_secs(10);
/// How much of the log an error quotes.
const TAIL: u64 = 2000;

#[derive(Debug)]
pub(super) struct Postmaster {
    pid: u32,
    ended: Arc<Ended>,
    exited: watch::Receiver<bool>,
    log: PathBuf,
    log_began_at: u64,
    /// Set when a stop has failed, so that the drop which follows does not wait as long again.
    given_up: AtomicBool,
}

/// How the process ended, once it has.
#[derive(Debug, Default)]
struct Ended {
    status: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

impl Ended {
    fn status(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Postmaster {
    pub fn spawn(
        folder: &Folder,
        binaries: &Binaries,
        account: &Account,
        address: &Address,
        durability: Durability,
    ) -> Result<Self, StartError> {
        let log = folder.open_log()?;
        let log_began_at = log.metadata().map_err(files("look at", &folder.log()))?.len();
        let mut command = account.command(&binaries.postgres);
        command.arg("-D").arg(folder.cluster());
        for (name, value) in arguments(address, durability) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        // A group of its own: Ctrl-C in the terminal is for us, who drain first and then stop the server.
        command.process_group(0);
        command.stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(files("open", &folder.log()))?).stderr(log);
        // SIGINT asks for a fast shutdown: a server whose supervisor was killed still closes its files properly.
        die_with_us(&mut command, libc::SIGINT);

        let (told, telling) = mpsc::channel();
        let (exit, exited) = watch::channel(false);
        let ended = Arc::new(Ended::default());
        // The kernel sends that signal when the *thread* that spawned the child ends, so this thread does nothing
        // but wait for the child.
        std::thread::Builder::new()
            .name("embedded-postgres".into())
            .spawn({
                let ended = Arc::clone(&ended);
                move || match command.spawn() {
                    Ok(child) => {
                        let _ = told.send(Ok(child.id()));
                        reap(child, &ended);
                        exit.send_replace(true);
                    }
                    Err(error) => {
                        let _ = told.send(Err(error));
                    }
                }
            })
            .and_then(|_| telling.recv().unwrap_or_else(|_| Err(io::Error::other("the spawning thread ended"))))
            .map(|pid| Self { pid, ended, exited, log: folder.log(), log_began_at, given_up: AtomicBool::new(false) })
            .map_err(|source| StartError::NotRun {
                program: binaries.postgres.clone(),
                user: account.name.clone(),
                source,
            })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn exited(&self) -> watch::Receiver<bool> {
        self.exited.clone()
    }

    /// The server's own word that it takes connections; a socket that accepts is there earlier, in recovery.
    pub fn wait_until_ready(&self, folder: &Folder, within: Duration) -> Result<(), StartError> {
        let deadline = Instant::now() + within;
        let mut tell_at = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(PidFile { pid, ready: true, .. }) = PidFile::read(&folder.cluster())?
                && pid == self.pid
            {
                return Ok(());
            }
            if let Some(status) = self.wait_for_end(Duration::from_millis(5)) {
                let (status, tail) = (status.to_string(), self.log_tail());
                return Err(StartError::Ended { status, log: self.log.clone(), tail });
            }
            if Instant::now() > deadline {
                return Err(StartError::Slow { waited: within, log: self.log.clone() });
            }
            if Instant::now() > tell_at {
                tracing::info!(log = %self.log.display(), "PostgreSQL is still starting, probably recovering");
                tell_at += Duration::from_secs(10);
            }
        }
    }

    /// Stops the server and waits for its end. Nothing happens where it has ended already.
    pub fn stop(&self) -> Result<(), StartError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Ok(());
        }
        for (signal, within) in [(libc::SIGINT, FAST_WITHIN), (libc::SIGQUIT, IMMEDIATE_WITHIN)] {
            self.signal(signal);
            if self.wait_for_end(within).is_some() {
                return Ok(());
            }
            tracing::warn!(pid = self.pid, signal, ?within, "PostgreSQL did not stop in time");
        }
        self.given_up.store(true, Ordering::Relaxed);
        let waited = FAST_WITHIN + IMMEDIATE_WITHIN;
        Err(StartError::StillRunning { pid: self.pid, waited, log: self.log.clone() })
    }

    fn signal(&self, signal: libc::c_int) {
        let status = self.ended.status();
        if status.is_none() {
            // SAFETY: kill touches no memory. The number is still our child's: `reap` frees it under this mutex.
            unsafe { libc::kill(self.pid.cast_signed(), signal) };
        }
    }

    fn wait_for_end(&self, within: Duration) -> Option<ExitStatus> {
        let status = self.ended.status();
        let waited = self.ended.changed.wait_timeout_while(status, within, |status| status.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// What this start has logged, at most [`TAIL`] bytes of it.
    fn log_tail(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = fs::File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(self.log_began_at.max(length.saturating_sub(TAIL))))?;
            let mut tail = Vec::new();
            file.read_to_end(&mut tail)?;
            Ok(tail)
        };
        read().map(|tail| String::from_utf8_lossy(&tail).trim().to_owned()).unwrap_or_default()
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        // Whoever wants to know calls `stop`; this is for a start that failed halfway.
        let _ = self.stop();
    }
}

/// What every start insists on, whatever the cluster's own configuration says.
fn arguments(address: &Address, durability: Durability) -> Vec<(&'static str, String)> {
    let mut arguments = vec![
        ("listen_addresses", String::new()),
        ("port", "5432".to_owned()),
        ("unix_socket_directories", quoted(address.folder())),
        // Containers give 64 MB of /dev/shm, which one parallel query can exceed.
        ("dynamic_shared_memory_type", "mmap".to_owned()),
        ("logging_collector", "off".to_owned()),
        ("log_destination", "stderr".to_owned()),
    ];
    if durability == Durability::ThrowAway {
        let quick = [
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("autovacuum", "off"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("checkpoint_timeout", "1h"),
            // Many tests beside each other, each with a pool of its own.
            ("max_connections", "300"),
        ];
        arguments.extend(quick.map(|(name, value)| (name, value.to_owned())));
    }
    arguments
}

/// The setting is a list, in which a name with a comma or a blank needs quotes.
fn quoted(folder: &Path) -> String {
    format!("\"{}\"", folder.display().to_string().replace('"', "\"\""))
}

/// Has the kernel send `signal` to the child when the thread that spawns it ends, however it ends.
pub(super) fn die_with_us(command: &mut Command, signal: libc::c_int) {
    let us = std::process::id();
    // SAFETY: between fork and exec only prctl and getppid are called, which are safe there, and nothing is
    // allocated. It runs after the change of user, which would undo it.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal) != 0 {
                return Err(io::Error::last_os_error());
            }
            // We may have ended before the request was made; then nobody would ever signal.
            if libc::getppid().cast_unsigned() != us {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Waits for the child's end without freeing its number, then frees it under the mutex: so a signal sent under
/// the same mutex cannot reach a stranger.
fn reap(mut child: Child, ended: &Ended) {
    loop {
        // SAFETY: siginfo_t is a plain C struct, for which all zeros is a valid value.
        let mut about: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `about` is valid for the call, and the child is ours and not yet reaped.
        let result = unsafe { libc::waitid(libc::P_PID, child.id(), &mut about, libc::WEXITED | libc::WNOWAIT) };
        if result == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            break;
        }
    }
    let mut status = ended.status();
    match child.wait() {
        Ok(found) => *status = Some(found),
        Err(error) => {
            tracing::error!(%error, "the embedded PostgreSQL's end could not be learned");
            *status = Some(ExitStatus::default());
        }
    }
    ended.changed.notify_all();
}

/// What a running server writes about itself into its cluster.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    pub pid: u32,
    pub socket_folder: Option<PathBuf>,
    pub ready: bool,
}

impl PidFile {
    pub const NAME: &str = "postmaster.pid";

    /// `None` where there is none, or it is only half written.
    pub fn read(cluster: &Path) -> Result<Option<Self>, StartError> {
        let path = cluster.join(Self::NAME);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(files("read", &path)(source)),
        }
    }

    /// The lines' meanings are in PostgreSQL's `src/include/utils/pidfile.h`.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        Some(Self {
            pid: lines.first()?.trim().parse().ok()?,
            socket_folder: lines.get(4).filter(|line| !line.is_empty()).map(PathBuf::from),
            ready: lines.get(7).is_some_and(|line| line.trim() == "ready"),
        })
    }
}

/// The processes whose working folder is `folder`. Those of other users are not seen unless we are root.
pub(super) fn standing_in(folder: &Path) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|standing| standing == folder))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_file_is_read_line_by_line() {
        let file = "4711\n/srv/pg\n1763689\n5432\n/run/minthouse/ab\n\n  1234 5678\nready   \n";
        let socket_folder = Some(PathBuf::from("/run/minthouse/ab"));
        assert_eq!(
            PidFile::parse(file),
            Some(PidFile { pid: 4711, socket_folder: socket_folder.clone(), ready: true })
        );
        let starting = file.replace("ready   ", "starting");
        assert_eq!(PidFile::parse(&starting), Some(PidFile { pid: 4711, socket_folder, ready: false }));
        assert_eq!(PidFile::parse("4711\n"), Some(PidFile { pid: 4711, socket_folder: None, ready: false }));
        assert_eq!(PidFile::parse(""), None);
    }
}
