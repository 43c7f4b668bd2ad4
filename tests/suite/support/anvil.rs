//! A node of an EVM chain: npm's anvil, a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub const CHAIN_ID: u64 = 31337;

/// Dropping it ends the process.
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

impl Anvil {
    /// `clients` is the folder where npm has installed it.
    pub async fn start(clients: &Path, arguments: &[&str]) -> Self {
        Self::start_at(clients, 0, arguments).await
    }

    /// On a port of the caller's, or any with 0.
    pub async fn start_at(clients: &Path, port: u16, arguments: &[&str]) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let program = program(clients);
        let mut process = Command::new(&program)
            .args(["--port", &port.to_string(), "--accounts", "1", "--chain-id", &CHAIN_ID.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be run ({error}); run `make clients`", program.display()));
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.expect("its output is text") {
                if let Some(address) = line.strip_prefix("Listening on ") {
                    let port = address.rsplit_once(':').expect("an address has a port").1;
                    return port.trim().parse().expect("a port is a number");
                }
            }
            panic!("anvil ended before it listened");
        };
        let port = tokio::time::timeout(Duration::from_secs(30), listening).await.expect("anvil starts in time");
        // What it goes on to say must be read, or it would wait for us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = reqwest::Client::builder().no_proxy().build().expect("the client is sound");
        Self { port, process, http }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Asks it to end, as an operator would, and waits until it has written its state.
    pub async fn stop(mut self) {
        let id = self.process.id().expect("it runs").cast_signed();
        // SAFETY: a signal to a child of ours that has not been waited for.
        unsafe { libc::kill(id, libc::SIGTERM) };
        tokio::time::timeout(Duration::from_secs(30), self.process.wait()).await.expect("it ends").expect("it ends");
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
