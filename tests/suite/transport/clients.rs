//! The public client packages of npm, run by node against the edge. The scripts take everything as parameters, so
//! that they can be run against any server.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::Server;

static INSTALLED: OnceCell<()> = OnceCell::const_new();

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

async fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let command =
        Command::new(program).args(arguments).current_dir(folder()).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(180), command).await.expect("the client ends in time");
    let output = output.unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}): install Node.js 18 or later, as with `apt-get install nodejs npm`")
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// Sees to it that the packages of the lock file are there. npm writes its own copy of that file last.
pub async fn installed() {
    let written = |file: &str| std::fs::metadata(folder().join(file)).and_then(|file| file.modified()).ok();
    INSTALLED
        .get_or_init(|| async {
            if written("node_modules/.package-lock.json") < written("package-lock.json") {
                let (installed, text) = run("npm", &["ci"]).await;
                assert!(installed, "npm ci failed in tests/clients:\n{text}");
            }
        })
        .await;
}

/// Runs a script and gives its lines that begin with "ok".
pub async fn script(name: &str, parameters: Value) -> Vec<String> {
    installed().await;
    let (passed, text) = run("node", &[name, &parameters.to_string()]).await;
    assert!(passed, "{name} failed:\n{text}");
    text.lines().filter(|line| line.starts_with("ok ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn graphql_http_audits_all_pass() {
    let server = Server::start().await;
    let passed = script("audits.mjs", json!({"url": server.url(), "token": "good"})).await;
    assert_eq!(passed.len(), 61, "{passed:#?}");
}

fn operations(server: &Server) -> Value {
    json!({
        "url": server.url(),
        "token": "good",
        "wrongToken": "bad",
        "query": {"query": "{ hello }"},
        "mutation": {"query": "mutation { touch }"},
        "subscription": {"query": "subscription($to: Int!) { ticks(to: $to) }", "variables": {"to": 3}},
        "events": 3,
        "endless": {"query": "subscription { quiet }"},
    })
}

#[tokio::test]
async fn graphql_ws_is_served() {
    let server = Server::start().await;
    let mut parameters = operations(&server);
    parameters["url"] = json!(format!("ws://{}/graphql", server.address));
    let passed = script("websocket.mjs", parameters).await;
    assert_eq!(passed.len(), 6, "{passed:#?}");
}

#[tokio::test]
async fn graphql_sse_is_served_in_both_modes() {
    let server = Server::start().await;
    let passed = script("sse.mjs", operations(&server)).await;
    assert_eq!(passed.len(), 12, "{passed:#?}");
}
