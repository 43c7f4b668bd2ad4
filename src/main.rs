//! The command line.

use std::process::ExitCode;

use clap::Parser;
use minthouse::commands::{self, CommandLine};

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    // HTTP clients of ours are built without a choice of cryptography of their own.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("minthouse: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(command_line)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("minthouse: {error:#}");
            ExitCode::FAILURE
        }
    }
}
