//! What the configuration says of the chain, read and checked once.

use std::path::Path;
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, Result, bail, ensure};
use reqwest::Url;

use crate::platform::config::{EvmOptions, FeeStyle};

const GWEI: u128 = 1_000_000_000;

#[derive(Clone, Debug)]
pub struct Settings {
    pub endpoint: Url,
    pub chain_id: u64,
    pub signer: PrivateKeySigner,
    pub confirmations: u64,
    pub fees: FeeStyle,
    /// In wei for a unit of gas.
    pub max_fee: u128,
    pub gas_limit: u64,
    pub operations: u32,
    pub in_flight: u32,
    pub poll: Duration,
    pub resend: Duration,
    pub stuck: Duration,
    /// For how long a server that died keeps others from the account. Longer than a step of background work may take.
    pub lease: Duration,
}

impl Settings {
    pub fn read(options: &EvmOptions) -> Result<Self> {
        ensure!(options.chain_id > 0, "evm.chain_id is not set; ask the node: eth_chainId");
        ensure!(options.confirmations > 0, "evm.confirmations is at least 1: the operation's own block");
        ensure!(options.operations > 0 && options.in_flight > 0, "evm.operations and in_flight are at least 1");
        // In the database fees are 64-bit integers.
        ensure!(options.max_fee_gwei <= 1_000_000_000, "evm.max_fee_gwei is at most a billion: one whole coin");
        Ok(Self {
            endpoint: options.endpoint.parse().context("evm.endpoint is no URL")?,
            chain_id: options.chain_id,
            signer: signer(options)?,
            confirmations: options.confirmations,
            fees: options.fees,
            max_fee: u128::from(options.max_fee_gwei) * GWEI,
            gas_limit: options.gas_limit,
            operations: options.operations,
            in_flight: options.in_flight,
            poll: Duration::from_millis(options.poll_milliseconds),
            resend: seconds(options.resend_seconds, "resend_seconds")?,
            stuck: seconds(options.stuck_seconds, "stuck_seconds")?,
            lease: Duration::from_secs(70),
        })
    }

    /// The account that signs and pays.
    pub fn account(&self) -> Address {
        self.signer.address()
    }
}

/// Where our contract is.
pub fn contract(options: &EvmOptions) -> Result<Address> {
    let contract = options
        .contract
        .as_deref()
        .context("evm.contract is not set; deploy one with `minthouse ledger evm deploy` and set what it prints")?;
    contract.parse().context("evm.contract is no address: 0x and 40 hexadecimal digits are due")
}

fn signer(options: &EvmOptions) -> Result<PrivateKeySigner> {
    let text = match (&options.key, &options.key_file) {
        (Some(key), None) => key.clone(),
        (None, Some(file)) => read_secret(file)?,
        (None, None) => bail!("evm.key_file is not set: the file with the operator account's private key"),
        (Some(_), Some(_)) => bail!("set one of evm.key and evm.key_file, not both"),
    };
    // The parser's own words may quote the key.
    text.trim().parse().map_err(|_| anyhow::anyhow!("the key of evm is not 64 hexadecimal digits of a private key"))
}

fn read_secret(file: &Path) -> Result<String> {
    use std::os::unix::fs::PermissionsExt;
    let unreadable = || format!("cannot read evm.key_file {}", file.display());
    let mode = std::fs::metadata(file).with_context(unreadable)?.permissions().mode();
    ensure!(mode & 0o077 == 0, "{} is open to others; run chmod 600 {}", file.display(), file.display());
    std::fs::read_to_string(file).with_context(unreadable)
}

fn seconds(value: f64, name: &str) -> Result<Duration> {
    Duration::try_from_secs_f64(value).ok().with_context(|| format!("evm.{name} is no length of time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_and_a_key_is_never_quoted() {
        let key = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let options = EvmOptions { chain_id: 31337, key: Some(key.into()), ..EvmOptions::default() };
        let settings = Settings::read(&options).expect("all is there");
        assert_eq!(settings.account().to_checksum(None), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

        let refused = |options: EvmOptions| Settings::read(&options).expect_err("it is wrong").to_string();
        assert!(refused(EvmOptions { chain_id: 0, ..options.clone() }).contains("chain_id"));
        assert!(refused(EvmOptions { key: None, ..options.clone() }).contains("key_file"));
        assert!(refused(EvmOptions { confirmations: 0, ..options.clone() }).contains("confirmations"));
        let quoted = refused(EvmOptions { key: Some(format!("{key}00")), ..options.clone() });
        assert!(!quoted.contains("ac0974"), "{quoted}");
        assert!(contract(&options).expect_err("it is not set").to_string().contains("minthouse ledger evm deploy"));
    }
}
