//! The supervised PostgreSQL, tried with real servers: starts, refusals, kills and what is left after each.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use minthouse::platform::db::embedded::{Durability, Embedded, OWNER, Settings, StartError, adopt, start};

/// A test of its own name, which the tests below run in a process of its own so that they can kill it.
const HELPER: &str = "embedded::helper_process";
/// Set for that process alone: the data folder to serve.
const HELPER_FOLDER: &str = "MINTHOUSE_TEST_SERVE";

/// A data folder of one test, gone at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let base = std::env::temp_dir().join(format!("minthouse-{test}-{}", std::process::id()));
        fs::create_dir_all(&base).expect("the temporary folder is writable");
        Self(base)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn start(&self, durability: Durability) -> Result<Embedded, StartError> {
        start(Settings { data_dir: self.data(), durability })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The first column of the first row, as text.
pub fn ask(url: &str, query: &str) -> String {
    // On a thread of its own: a test may itself run on a runtime, and runtimes do not nest.
    std::thread::scope(|scope| scope.spawn(|| ask_here(url, query)).join().expect("the query is valid"))
}

/// The same for a query that may be refused.
pub fn try_ask(url: &str, query: &str) -> Result<String, String> {
    std::thread::scope(|scope| scope.spawn(|| try_ask_here(url, query)).join().expect("the server takes connections"))
}

fn ask_here(url: &str, query: &str) -> String {
    try_ask_here(url, query).unwrap_or_else(|error| panic!("{error}\n{query}"))
}

fn try_ask_here(url: &str, query: &str) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("the server takes connections");
        tokio::spawn(connection);
        let messages = client.simple_query(query).await.map_err(|error| format!("{error:?}"))?;
        let first = messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(first.unwrap_or_default())
    })
}

fn wait_until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_running(pid: u32) -> bool {
    // A zombie has ended: only its parent has not noticed yet.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: kill touches no memory, and the process is one that this test started.
    assert_eq!(unsafe { libc::kill(pid.cast_signed(), signal) }, 0, "process {pid} is there to be signalled");
}

fn child_named(parent: u32, title: &str) -> u32 {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).expect("the server runs");
    let titled =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(title));
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(titled).expect("the server has this child")
}

fn is_root() -> bool {
    // SAFETY: geteuid touches no memory.
    unsafe { libc::geteuid() == 0 }
}

#[test]
fn what_is_written_survives_a_stop_and_the_settings_are_safe() {
    let scratch = Scratch::new("warm");
    let server = scratch.start(Durability::Durable).expect("a cold start");
    let url = server.url(OWNER, "postgres");
    for (setting, value) in [
        ("listen_addresses", ""),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("dynamic_shared_memory_type", "mmap"),
        ("max_connections", "100"),
        ("jit", "off"),
        ("TimeZone", "UTC"),
    ] {
        assert_eq!(ask(&url, &format!("show {setting}")), value, "{setting}");
    }
    assert_eq!(ask(&url, "select rolsuper from pg_roles where rolname = current_user"), "t");
    ask(&url, "create table kept (name text); insert into kept values ('数字藏品')");
    let pid = server.pid();
    // SAFETY: getpgid touches no memory.
    let group = unsafe { libc::getpgid(pid.cast_signed()) };
    assert_eq!(group, pid.cast_signed(), "Ctrl-C must not reach the server before us");
    let socket_folder = PathBuf::from(ask(&url, "show unix_socket_directories").trim_matches('"'));
    let mode = socket_folder.metadata().expect("the socket's folder is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "this folder is the only access control");

    server.stop().expect("a clean stop");
    assert!(!is_running(pid));
    assert!(!scratch.data().join("pg/postmaster.pid").exists());
    assert!(!socket_folder.exists());
    let log = fs::read_to_string(scratch.data().join("postgres.log")).expect("the log is ours");
    assert!(log.contains("database system is shut down"), "{log}");

    let server = scratch.start(Durability::Durable).expect("a warm start");
    assert_eq!(ask(&server.url(OWNER, "postgres"), "select name from kept"), "数字藏品");
    assert!(server.started_in() < Duration::from_secs(5), "{:?}", server.started_in());
    let log = fs::read_to_string(scratch.data().join("postgres.log")).expect("the log is ours");
    assert!(!log.contains("was not properly shut down"), "{log}");
}

#[test]
fn a_folder_in_use_is_refused_to_a_second_server_and_open_to_adopters() {
    let scratch = Scratch::new("second");
    assert!(adopt(&scratch.data()).expect("nothing is wrong").is_none());
    assert!(!scratch.data().exists(), "looking must not make the folder");

    let server = scratch.start(Durability::ThrowAway).expect("the first start");
    let refusal = scratch.start(Durability::ThrowAway).expect_err("the folder is in use").to_string();
    assert!(refusal.contains(&format!("process {} (suite", std::process::id())), "{refusal}");
    assert!(refusal.contains(&format!("`kill {}`", std::process::id())), "{refusal}");

    let adopted = adopt(&scratch.data()).expect("nothing is wrong").expect("a server runs");
    assert_eq!(adopted.pid(), server.pid());
    assert_eq!(adopted.url(OWNER, "postgres"), server.url(OWNER, "postgres"));
    assert_eq!(adopted.data_dir(), server.data_dir());
    drop(adopted);
    assert_eq!(ask(&server.url(OWNER, "postgres"), "select 1"), "1", "an adopter leaves the server alone");

    server.stop().expect("a clean stop");
    assert!(adopt(&scratch.data()).expect("nothing is wrong").is_none());
}

#[test]
fn a_server_that_dies_is_noticed_and_its_data_recovered() {
    let scratch = Scratch::new("dies");
    let server = scratch.start(Durability::Durable).expect("a start");
    ask(&server.url(OWNER, "postgres"), "create table kept (n int); insert into kept values (7)");
    assert!(!server.child_exited());
    let exited = server.exited();
    signal(server.pid(), libc::SIGKILL);
    wait_until("the death is noticed", Duration::from_secs(5), || server.child_exited());
    assert!(*exited.borrow());
    drop(server);
    assert!(scratch.data().join("pg/postmaster.pid").exists(), "a killed server leaves its lock file");

    let server = scratch.start(Durability::Durable).expect("a start over what was left");
    assert_eq!(ask(&server.url(OWNER, "postgres"), "select n from kept"), "7");
}

/// Not a test by itself: the process that the tests below start, kill or question.
#[test]
fn helper_process() {
    let Some(folder) = std::env::var_os(HELPER_FOLDER) else { return };
    let folder = PathBuf::from(folder);
    let outcome = start(Settings { data_dir: folder.clone(), durability: Durability::ThrowAway });
    let report = match &outcome {
        Ok(server) => server.pid().to_string(),
        Err(error) => error.to_string(),
    };
    // Moved into place, so that nobody reads half of it.
    let file = folder.with_extension("report");
    fs::write(file.with_extension("new"), report).expect("the test's folder is writable");
    fs::rename(file.with_extension("new"), file).expect("the test's folder is writable");
    if outcome.is_ok() {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Runs [`helper_process`] on a data folder, and gives it and what it reported: the server's number, or its error.
fn helper(data_dir: &Path, more: &[(&str, &str)]) -> (Child, String) {
    let child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", HELPER])
        .env(HELPER_FOLDER, data_dir)
        .envs(more.iter().copied())
        .stdout(Stdio::null())
        .spawn()
        .expect("this program can be run again");
    let file = data_dir.with_extension("report");
    wait_until("the helper reports", Duration::from_secs(20), || file.exists());
    (child, fs::read_to_string(file).expect("the report is ours"))
}

#[test]
fn a_killed_owner_takes_its_server_along_and_the_next_one_takes_over() {
    let scratch = Scratch::new("killed");
    let (mut owner, report) = helper(&scratch.data(), &[]);
    let server: u32 = report.parse().unwrap_or_else(|_| panic!("the helper did not start: {report}"));
    let refusal = scratch.start(Durability::ThrowAway).expect_err("the helper holds it").to_string();
    assert!(refusal.contains(&format!("process {}", owner.id())), "{refusal}");
    let adopted = adopt(&scratch.data()).expect("nothing is wrong").expect("the helper serves");
    assert_eq!(adopted.pid(), server);
    ask(&adopted.url(OWNER, "postgres"), "create table kept (n int); insert into kept values (7)");

    // The orphan's shutdown ends with a checkpoint: with the one who writes it held still, the next start comes upon
    // the orphan for certain. Holding the server itself is no use, the kernel wakes a group that loses its parent.
    let checkpointer = child_named(server, "postgres: checkpointer");
    signal(checkpointer, libc::SIGSTOP);
    owner.kill().expect("the helper is ours");
    let began = Instant::now();
    let held = Duration::from_millis(700);
    let release = std::thread::spawn(move || {
        std::thread::sleep(held);
        let held_on = is_running(server);
        signal(checkpointer, libc::SIGCONT);
        held_on
    });
    let next = scratch.start(Durability::ThrowAway);
    let waited = began.elapsed();
    assert!(release.join().expect("the checkpointer was there to be released"), "the orphan was gone too soon");
    let next = next.expect("a take-over");
    assert!(waited >= held, "it must not start beside the orphan: {waited:?}");
    assert!(!is_running(server), "two servers on one cluster");
    assert_eq!(ask(&next.url(OWNER, "postgres"), "select n from kept"), "7");
    let log = fs::read_to_string(scratch.data().join("postgres.log")).expect("the log is ours");
    assert!(log.contains("received fast shutdown request"), "the kernel signals the orphan: {log}");
    owner.wait().expect("the helper is ours");
}

#[test]
fn owner_and_server_killed_together_leave_nothing_that_blocks() {
    let scratch = Scratch::new("together");
    let (mut owner, report) = helper(&scratch.data(), &[]);
    let server: u32 = report.parse().unwrap_or_else(|_| panic!("the helper did not start: {report}"));
    // The server first: its supervisor must not have the time to shut it down.
    signal(server, libc::SIGKILL);
    owner.kill().expect("the helper is ours");
    owner.wait().expect("the helper is ours");
    // Another process of the same user has got the number since: PostgreSQL itself would refuse to start.
    let pid_file = scratch.data().join("pg/postmaster.pid");
    let stale = fs::read_to_string(&pid_file).expect("a killed server leaves its lock file");
    let user = pid_file.metadata().expect("it is there");
    let mut stranger = Command::new("sleep");
    stranger.arg("60");
    if is_root() {
        stranger.uid(user.uid()).gid(user.gid());
    }
    let mut stranger = stranger.spawn().expect("sleep is everywhere");
    let claimed = stale.replacen(&server.to_string(), &stranger.id().to_string(), 1);
    fs::write(&pid_file, claimed).expect("the folder is ours");

    let next = scratch.start(Durability::ThrowAway);
    stranger.kill().expect("the process is ours");
    stranger.wait().expect("the process is ours");
    let next = next.expect("a take-over");
    assert_eq!(ask(&next.url(OWNER, "postgres"), "select 1"), "1");
}

#[test]
fn a_folder_that_the_servers_user_cannot_walk_to_still_works() {
    let scratch = Scratch::new("closed");
    fs::set_permissions(&scratch.0, PermissionsExt::from_mode(0o700)).expect("the folder is ours");
    let server = scratch.start(Durability::ThrowAway).expect("a start below a closed folder");
    ask(&server.url(OWNER, "postgres"), "create table kept (n int); insert into kept values (7)");
    assert_eq!(server.data_dir(), scratch.data().canonicalize().expect("it exists"));
    server.stop().expect("a clean stop");

    let again = scratch.start(Durability::ThrowAway).expect("a second start");
    assert_eq!(ask(&again.url(OWNER, "postgres"), "select n from kept"), "7");
    assert!(adopt(&scratch.data()).expect("nothing is wrong").is_some());
    drop(again);
    if !is_root() {
        return;
    }

    let cluster = fs::read_link(scratch.data().join("pg")).expect("root's own folder is closed to postgres");
    let home = cluster.parent().expect("a cluster has a folder").to_owned();
    assert!(home.starts_with("/var/lib/minthouse"), "{}", home.display());

    fs::rename(&cluster, home.join("unmounted")).expect("root may");
    let lost = scratch.start(Durability::ThrowAway).expect_err("the link leads nowhere").to_string();
    assert!(lost.contains("leads to") && lost.contains("Mount or restore"), "{lost}");
    fs::rename(home.join("unmounted"), &cluster).expect("root may");

    fs::remove_dir_all(scratch.data()).expect("the folder is ours");
    let fresh = scratch.start(Durability::ThrowAway).expect("a start after the data folder was deleted");
    let tables = ask(&fresh.url(OWNER, "postgres"), "select count(*) from pg_tables where tablename = 'kept'");
    drop(fresh);
    let kept = fs::read_dir(&home).expect("root may").flatten().map(|entry| entry.file_name());
    let kept = kept.filter(|name| name.to_string_lossy().starts_with("pg.forgotten-")).count();
    fs::remove_dir_all(&home).expect("root may");
    assert_eq!((tables.as_str(), kept), ("0", 1), "a deleted data folder is a fresh start, but nothing is destroyed");
}

#[test]
fn missing_programs_and_foreign_versions_are_named_with_their_remedy() {
    let scratch = Scratch::new("refused");
    let (mut child, report) = helper(&scratch.data(), &[("PG_BIN_DIR", "/nonexistent")]);
    child.wait().expect("the helper is ours");
    assert!(report.contains("/nonexistent") && report.contains("`apt-get install postgresql`"), "{report}");
    assert!(!scratch.data().join("pg").exists());

    scratch.start(Durability::ThrowAway).expect("a start").stop().expect("a clean stop");
    let version = scratch.data().join("pg/PG_VERSION");
    fs::write(&version, "7\n").expect("the folder is ours");
    let wrong = scratch.start(Durability::ThrowAway).expect_err("nobody has PostgreSQL 7").to_string();
    assert!(wrong.contains("made by PostgreSQL 7") && wrong.contains("apt-get install postgresql-7"), "{wrong}");
    fs::write(&version, "seven\n").expect("the folder is ours");
    let wrong = scratch.start(Durability::ThrowAway).expect_err("that is no version").to_string();
    assert!(wrong.contains("is not one") && wrong.contains("seven"), "{wrong}");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let scratch = Scratch::new("broken");
    scratch.start(Durability::ThrowAway).expect("a start").stop().expect("a clean stop");
    let configuration = scratch.data().join("pg/postgresql.conf");
    fs::write(&configuration, "no_such_setting = 1\n").expect("the folder is ours");
    let error = scratch.start(Durability::ThrowAway).expect_err("the configuration is broken").to_string();
    assert!(error.contains("no_such_setting"), "the log's end is quoted: {error}");
    fs::write(&configuration, "").expect("the folder is ours");
    let server = scratch.start(Durability::ThrowAway).expect("a failed start leaves nothing that blocks");
    assert!(server.started_in() > Duration::ZERO);
}
