//! A node of an EVM chain: npm's anvil, a process of its own.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

pub const CHAIN_ID: u64 = 31337;

/// Dropping it ends the process, and so does the end of ours.
pub struct Anvil {
    pub port: u16,
    process: Child,
    http: reqwest::Client,
}

/// The program itself, past npm's wrapper, which would outlive its parent.
fn program(clients: &Path) -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    clients.join(format!("node_modules/@foundry-rs/anvil-linux-{machine}/bin/anvil"))
}

/// Runs the program on a thread of its own, which reads what it says for as long as it says something: the kernel ends it
/// together with that thread, and a test's runtime may end long before.
fn run(mut command: Command, started: oneshot::Sender<(Child, u16)>) {
    // SAFETY: prctl is a system call and touches none of the parent's memory.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
            Ok(())
        })
    };
    let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; run `make clients`"));
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned));
    let address = address.expect("anvil tells where it listens");
    let port = address.rsplit_once(':').expect("an address has a port").1.trim().parse().expect("it is a number");
    if started.send((process, port)).is_ok() {
        lines.for_each(drop);
    }
}

impl Anvil {
    /// `clients` is the folder where npm has installed it.
    pub async fn start(clients: &Path, arguments: &[&str]) -> Self {
        Self::start_at(clients, 0, arguments).await
    }

    /// On a port of the caller's, or any with 0.
    pub async fn start_at(clients: &Path, port: u16, arguments: &[&str]) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut command = Command::new(program(clients));
        command
            .args(["--port", &port.to_string(), "--accounts", "1", "--chain-id", &CHAIN_ID.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let (started, start) = oneshot::channel();
        std::thread::spawn(move || run(command, started));
        let start = tokio::time::timeout(Duration::from_secs(30), start).await.expect("anvil starts in time");
        let (process, port) = start.expect("anvil starts");
        // Tests that share it have runtimes of their own, and a connection lives no longer than its runtime.
        let http =
            reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("the client is sound");
        Self { port, process, http }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Asks it to end, as an operator would, and waits until it has written its state.
    pub async fn stop(mut self) {
        // SAFETY: a signal to a child of ours that has not been waited for.
        unsafe { libc::kill(self.process.id().cast_signed(), libc::SIGTERM) };
        let ended = tokio::task::spawn_blocking(move || self.process.wait().expect("it is ours"));
        tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it ends").expect("it ends");
    }

    /// The answer, or the node's own words on why there is none.
    pub async fn try_ask(&self, method: &str, parameters: Value) -> Result<Value, String> {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let answer = self.http.post(self.url()).json(&question).send().await.expect("anvil answers");
        let mut answer: Value = answer.json().await.expect("the answer is JSON");
        match answer.get("error") {
            Some(error) => Err(error["message"].as_str().unwrap_or_default().to_owned()),
            None => Ok(answer["result"].take()),
        }
    }

    pub async fn ask(&self, method: &str, parameters: Value) -> Value {
        let answer = self.try_ask(method, parameters).await;
        answer.unwrap_or_else(|message| panic!("{method}: {message}"))
    }

    pub async fn number(&self, method: &str, parameters: Value) -> u64 {
        let answer = self.ask(method, parameters).await;
        let digits = answer.as_str().and_then(|text| text.strip_prefix("0x")).expect("a quantity");
        u64::from_str_radix(digits, 16).expect("a quantity")
    }

    pub async fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([blocks])).await;
    }

    /// Waits until nothing is left to be mined: by itself it mines a moment after it has answered, and on a busy machine
    /// that moment may be long.
    pub async fn mined(&self) {
        for _ in 0..5000 {
            if self.ask("txpool_status", json!([])).await["pending"] == "0x0" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("anvil does not mine what it has");
    }

    pub async fn automine(&self, on: bool) {
        self.ask("evm_setAutomine", json!([on])).await;
    }

    pub async fn transaction(&self, hash: &str) -> Value {
        self.ask("eth_getTransactionByHash", json!([hash])).await
    }

    /// How many transactions of an account stand in blocks.
    pub async fn count(&self, account: &str) -> u64 {
        self.number("eth_getTransactionCount", json!([account, "latest"])).await
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
