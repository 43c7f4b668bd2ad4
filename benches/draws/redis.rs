//! The same draw in Redis: a script that knows the key, debits the chance, takes a piece and appends to a stream, with
//! every append on the disk before it is answered.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::{Child, Command};

const SCRIPT: &str = "if redis.call('SET', KEYS[1], '1', 'NX') == false then return 0 end \
     if redis.call('HINCRBY', 'chances', ARGV[1], -1) < -1000000 then return -1 end \
     local n = redis.call('INCR', 'sequence') \
     local r = (n * 7919) % 1000 \
     local p = 5 \
     if r < 1 then p = 0 elseif r < 6 then p = 1 elseif r < 26 then p = 2 elseif r < 126 then p = 3 elseif r < 426 then p = 4 end \
     redis.call('HINCRBY', 'stock', p, -1) \
     redis.call('XADD', 'outbox', '*', 'holder', ARGV[1], 'prize', p, 'sequence', n) \
     return p";

/// A server of its own, on a port that was free a moment ago.
pub struct Redis {
    server: Child,
    port: u16,
}

impl Redis {
    /// `None`: this machine has none.
    pub async fn start(folder: &Path) -> Result<Option<Self>> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        tokio::fs::create_dir_all(folder).await?;
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder)
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(server) = server else { return Ok(None) };
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(Some(Self { server, port }));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("redis-server does not answer on port {port}")
    }

    /// Draws a second, by so many clients.
    pub async fn draws(&self, clients: usize, draws: usize) -> Result<f64> {
        let output = Command::new("redis-benchmark")
            .args([
                "-p",
                &self.port.to_string(),
                "-c",
                &clients.to_string(),
                "-n",
                &draws.to_string(),
                "-r",
                "1000000000",
                "-q",
            ])
            .args(["EVAL", SCRIPT, "1", "key:__rand_int__", "__rand_int__"])
            .output()
            .await
            .context("redis-benchmark, which comes with redis-tools, cannot be run")?;
        let said = String::from_utf8_lossy(&output.stdout).replace('\r', "\n");
        ensure!(output.status.success(), "redis-benchmark has failed: {said}");
        let last = said.lines().rev().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let place = words.iter().position(|word| *word == "requests")?;
            words.get(place.checked_sub(1)?)?.parse().ok()
        });
        last.with_context(|| format!("redis-benchmark does not say how fast it was: {said}"))
    }

    pub async fn stop(mut self) -> Result<()> {
        self.server.kill().await?;
        Ok(())
    }
}
