//! What a bench has measured: a table for people, and JSON in `target/bench/` for programs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<(String, f64, &'static str)>,
    ratios: Vec<(String, f64, f64)>,
}

impl Report {
    pub fn figure(&mut self, name: &str, value: f64, unit: &'static str) {
        self.figures.push((name.to_owned(), value, unit));
    }

    /// Higher is better; a goal of 1 is reached where nothing is worse than its bound.
    pub fn ratio(&mut self, name: &str, value: f64, goal: f64) {
        self.ratios.push((name.to_owned(), value, goal));
    }

    pub fn json(&self) -> Value {
        let figures =
            self.figures.iter().map(|(name, value, unit)| json!({ "name": name, "value": value, "unit": unit }));
        let ratios =
            self.ratios.iter().map(|(name, value, goal)| json!({ "name": name, "value": value, "goal": goal }));
        json!({ "machine": machine(), "figures": figures.collect::<Vec<_>>(), "ratios": ratios.collect::<Vec<_>>() })
    }

    pub fn print(&self) {
        println!("\n{}\n", machine());
        for (name, value, unit) in &self.figures {
            println!("  {name:<56} {value:>10.1} {unit}");
        }
        for (name, value, goal) in &self.ratios {
            let verdict = if value >= goal { "reached" } else { "missed" };
            println!("  {name:<56} {value:>10.2}   goal {goal}: {verdict}");
        }
    }

    /// Writes `target/bench/NAME.json`, and says where that is.
    pub fn write(&self, name: &str) -> Result<PathBuf> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        let folder = target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = folder.join(format!("{name}.json"));
        fs::write(&file, serde_json::to_string_pretty(&self.json())? + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }
}

/// The processor, how many of it, and the memory.
fn machine() -> String {
    let read = |file: &str, key: &str| {
        let text = fs::read_to_string(Path::new("/proc").join(file)).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        line.and_then(|line| line.split_once(':').map(|(_, value)| value.trim().to_owned()))
    };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let model = read("cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = read("meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let memory = memory.map_or_else(String::new, |kilobytes| format!(", {:.0} GiB", kilobytes / 1024.0 / 1024.0));
    format!("{processors} × {model}{memory}")
}
