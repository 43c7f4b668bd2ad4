//! Configuration: flags before environment before file before defaults, every option the same way.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::platform::address::Block;

/// The file that is read if it is there and no other is named.
pub const DEFAULT_FILE: &str = "minthouse.toml";

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Who sends codes to phones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SmsChannel {
    /// Nobody: codes are written into the log. For development only.
    Log,
    /// Tencent Cloud.
    Tencent,
}

/// Who says whether a name and an identity number belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RealNameRegister {
    /// Nobody: a well-formed number is enough. For development only.
    Checksum,
    /// Tencent Cloud.
    Tencent,
}

/// Where pieces truly exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LedgerChoice {
    /// The hash chain in the house's own database.
    Embedded,
    /// An ERC-1155 contract on an EVM chain.
    Evm,
}

/// The form of transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeeStyle {
    /// A base fee that the chain sets, and a tip.
    #[default]
    Eip1559,
    /// One gas price, signed after EIP-155: FISCO BCOS, and chains before London.
    Legacy,
}

/// An EVM chain and our contract on it. Every server of a house has the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvmOptions {
    /// The node's JSON-RPC over HTTP.
    pub endpoint: String,
    pub chain_id: u64,
    /// The address of the contract, as `minthouse ledger evm deploy` has printed it.
    pub contract: Option<String>,
    /// The operator account's private key in hexadecimal digits, or the file that holds it.
    pub key: Option<String>,
    pub key_file: Option<PathBuf>,
    /// How many blocks, its own among them, make an operation count as done.
    pub confirmations: u64,
    pub fees: FeeStyle,
    /// What is paid for a unit of gas at most.
    pub max_fee_gwei: u64,
    /// How much gas one transaction may use, and how many operations it may carry.
    pub gas_limit: u64,
    pub operations: u32,
    /// How many transactions may wait for a block at once.
    pub in_flight: u32,
    /// How often the chain is looked at.
    pub poll_milliseconds: u64,
    /// After how long without a sign a transaction is sent again, and after how long with a higher fee.
    pub resend_seconds: f64,
    pub stuck_seconds: f64,
}

impl Default for EvmOptions {
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:8545".into(),
            chain_id: 0,
            contract: None,
            key: None,
            key_file: None,
            confirmations: 12,
            fees: FeeStyle::default(),
            max_fee_gwei: 500,
            gas_limit: 10_000_000,
            operations: 100,
            in_flight: 16,
            poll_milliseconds: 1000,
            resend_seconds: 15.0,
            stuck_seconds: 60.0,
        }
    }
}

/// What becomes of media that come in, as long as nobody looks at them for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ModerationChannel {
    /// All of them pass.
    Pass,
    /// All of them wait for the house's word.
    Review,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the server listens.
    pub listen: String,
    /// The web origin that browsers know the server under, such as `https://house.example`.
    pub public_url: Option<String>,
    /// Where the embedded database, the secrets and the media lie.
    pub data_dir: PathBuf,
    /// A PostgreSQL of yours, reached as the owner of the schema. Without it an embedded child is started.
    pub database_url: Option<String>,
    /// The text of `secrets.json`, where a secret manager keeps it.
    pub secrets: Option<String>,
    /// Shows the GraphQL explorer, lets everybody introspect, allows the embedded database.
    pub development: bool,
    /// Lets the embedded database be used outside development.
    pub embedded_in_production: bool,
    /// Whether this process also does background work.
    pub worker: bool,
    /// Connections to the database for each of the tenant's and the holder's roles.
    pub connections: usize,
    /// What is logged, in the form of tracing's filter.
    pub log: String,
    pub log_format: LogFormat,
    /// Where traces are sent, by OTLP over HTTP. Without it none are.
    pub otlp_endpoint: Option<String>,
    /// Web origins that may call, or `*`.
    pub origins: Vec<String>,
    /// The proxies in front, whose word on a caller's address is believed.
    pub proxies: Vec<Block>,
    /// How much one person may spend a minute, in units of query cost.
    pub cost_per_minute: u32,
    /// How much one person may spend at once.
    pub cost_burst: u32,
    /// How many people's worth of both an enterprise's operator or server may spend.
    pub cost_crowd: u32,
    /// Which ledger keeps what is issued from now on. What was issued before stays on the ledger that it has.
    pub ledger: LedgerChoice,
    /// Who sends codes to phones. Without it the log in development, nobody elsewhere.
    pub sms: Option<SmsChannel>,
    /// Who proves real names. Without it the checksum in development, nobody elsewhere.
    pub real_name: Option<RealNameRegister>,
    /// The account at Tencent Cloud, for both.
    pub tencent_secret_id: Option<String>,
    pub tencent_secret_key: Option<String>,
    /// The region of its SMS product.
    pub tencent_sms_region: String,
    /// The SMS application, its approved signature, and the approved template of codes.
    pub tencent_sms_app_id: Option<String>,
    pub tencent_sms_signature: Option<String>,
    pub tencent_sms_template: Option<String>,
    /// What shall seem to go wrong with the ledger: `seed=7 rate=200`. For development only.
    pub ledger_faults: Option<String>,
    /// A ledger on an EVM chain: in the file `[evm]`, in the environment `MINTHOUSE_EVM__…`.
    pub evm: Option<EvmOptions>,
    /// What becomes of media that come in. Without it they pass in development and wait for the house elsewhere.
    pub moderation: Option<ModerationChannel>,
    /// The bucket of S3 that uploaded files lie in. Without it they lie in the data folder.
    pub s3_bucket: Option<String>,
    pub s3_region: String,
    /// The address of a service other than Amazon's.
    pub s3_endpoint: Option<String>,
    /// Whether the bucket's name stands in the host rather than in the path.
    pub s3_bucket_in_host: bool,
    pub s3_access_key: Option<String>,
    pub s3_secret_key: Option<String>,
    /// Whether clients put media into the bucket themselves.
    pub s3_direct_uploads: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            public_url: None,
            data_dir: "data".into(),
            database_url: None,
            secrets: None,
            development: false,
            embedded_in_production: false,
            worker: true,
            connections: 16,
            log: "info".into(),
            log_format: LogFormat::Text,
            otlp_endpoint: None,
            origins: Vec::new(),
            proxies: Vec::new(),
            cost_per_minute: 30_000,
            cost_burst: 5_000,
            cost_crowd: 200,
            ledger: LedgerChoice::Embedded,
            sms: None,
            real_name: None,
            tencent_secret_id: None,
            tencent_secret_key: None,
            tencent_sms_region: "ap-guangzhou".into(),
            tencent_sms_app_id: None,
            tencent_sms_signature: None,
            tencent_sms_template: None,
            ledger_faults: None,
            evm: None,
            moderation: None,
            s3_bucket: None,
            s3_region: "us-east-1".into(),
            s3_endpoint: None,
            s3_bucket_in_host: false,
            s3_access_key: None,
            s3_secret_key: None,
            s3_direct_uploads: false,
        }
    }
}

/// The same options as flags. What is not given is left to the environment, the file and the defaults.
#[derive(Clone, Debug, Default, Serialize, clap::Args)]
pub struct Flags {
    /// The configuration file [environment: MINTHOUSE_CONFIG; default: minthouse.toml if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Where to listen [environment: MINTHOUSE_LISTEN; default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// The web origin that browsers know the server under [environment: MINTHOUSE_PUBLIC_URL; default: none]
    #[arg(long, global = true, value_name = "ORIGIN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Where the embedded database and the secrets lie [environment: MINTHOUSE_DATA_DIR; default: data]
    #[arg(long, global = true, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// A PostgreSQL of yours, reached as the schema's owner [environment: DATABASE_URL; default: an embedded child]
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// The text of secrets.json [environment: MINTHOUSE_SECRETS; default: the file in the data folder]
    #[arg(long, global = true, value_name = "JSON", hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<String>,
    /// Explorer, introspection for everybody, embedded database [environment: MINTHOUSE_DEVELOPMENT]
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub development: Option<bool>,
    /// Allow the embedded database outside development [environment: MINTHOUSE_EMBEDDED_IN_PRODUCTION]
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded_in_production: Option<bool>,
    /// Whether to do background work too [environment: MINTHOUSE_WORKER; default: true]
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<bool>,
    /// Database connections for each role [environment: MINTHOUSE_CONNECTIONS; default: 16]
    #[arg(long, global = true, value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<usize>,
    /// What to log, e.g. `info,minthouse=debug` [environment: MINTHOUSE_LOG; default: info]
    #[arg(long, global = true, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How to write log lines [environment: MINTHOUSE_LOG_FORMAT; default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Where to send traces by OTLP/HTTP [environment: MINTHOUSE_OTLP_ENDPOINT; default: nowhere]
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// A web origin that may call; may be repeated [environment: MINTHOUSE_ORIGINS='["https://…"]']
    #[arg(long, global = true, value_name = "ORIGIN")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// Addresses of a proxy in front, as CIDR; may be repeated [environment: MINTHOUSE_PROXIES='["10.0.0.0/8"]']
    #[arg(long, global = true, value_name = "CIDR")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<Block>,
    /// Query cost that one person may spend a minute [environment: MINTHOUSE_COST_PER_MINUTE; default: 30000]
    #[arg(long, global = true, value_name = "UNITS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_per_minute: Option<u32>,
    /// Query cost that one person may spend at once [environment: MINTHOUSE_COST_BURST; default: 5000]
    #[arg(long, global = true, value_name = "UNITS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_burst: Option<u32>,
    /// How many people's worth an enterprise may spend [environment: MINTHOUSE_COST_CROWD; default: 200]
    #[arg(long, global = true, value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_crowd: Option<u32>,
    /// Which ledger keeps what is issued from now on [environment: MINTHOUSE_LEDGER; default: embedded]
    #[arg(long, global = true, value_name = "LEDGER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerChoice>,
    /// Who sends codes to phones [environment: MINTHOUSE_SMS; default: log in development, nobody elsewhere]
    #[arg(long, global = true, value_name = "CHANNEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms: Option<SmsChannel>,
    /// Who proves real names [environment: MINTHOUSE_REAL_NAME; default: checksum in development, nobody elsewhere]
    #[arg(long, global = true, value_name = "REGISTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real_name: Option<RealNameRegister>,
    /// The Tencent Cloud account's SecretId [environment: MINTHOUSE_TENCENT_SECRET_ID]
    #[arg(long, global = true, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tencent_secret_id: Option<String>,
    /// The Tencent Cloud account's SecretKey [environment: MINTHOUSE_TENCENT_SECRET_KEY]
    #[arg(long, global = true, value_name = "KEY", hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tencent_secret_key: Option<String>,
    /// The region of Tencent's SMS product [environment: MINTHOUSE_TENCENT_SMS_REGION; default: ap-guangzhou]
    #[arg(long, global = true, value_name = "REGION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tencent_sms_region: Option<String>,
    /// The SMS application's number at Tencent [environment: MINTHOUSE_TENCENT_SMS_APP_ID]
    #[arg(long, global = true, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tencent_sms_app_id: Option<String>,
    /// The approved signature of messages [environment: MINTHOUSE_TENCENT_SMS_SIGNATURE]
    #[arg(long, global = true, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tencent_sms_signature: Option<String>,
    /// The approved template of codes: {1} the code, {2} minutes [environment: MINTHOUSE_TENCENT_SMS_TEMPLATE]
    #[arg(long, global = true, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tencent_sms_template: Option<String>,
    /// Let the ledger seem to fail, in development [environment: MINTHOUSE_LEDGER_FAULTS; default: no faults]
    #[arg(long, global = true, value_name = "FAULTS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger_faults: Option<String>,
    /// What becomes of media that come in [environment: MINTHOUSE_MODERATION; default: pass in development, review elsewhere]
    #[arg(long, global = true, value_name = "CHANNEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderation: Option<ModerationChannel>,
    /// The bucket of S3 that uploaded files lie in [environment: MINTHOUSE_S3_BUCKET; default: the data folder]
    #[arg(long, global = true, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_bucket: Option<String>,
    /// The bucket's region [environment: MINTHOUSE_S3_REGION; default: us-east-1]
    #[arg(long, global = true, value_name = "REGION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_region: Option<String>,
    /// The address of a service other than Amazon's [environment: MINTHOUSE_S3_ENDPOINT]
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_endpoint: Option<String>,
    /// The bucket's name stands in the host [environment: MINTHOUSE_S3_BUCKET_IN_HOST; default: in the path]
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_bucket_in_host: Option<bool>,
    /// The access key of S3 [environment: MINTHOUSE_S3_ACCESS_KEY]
    #[arg(long, global = true, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_access_key: Option<String>,
    /// The secret key of S3 [environment: MINTHOUSE_S3_SECRET_KEY]
    #[arg(long, global = true, value_name = "KEY", hide = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_secret_key: Option<String>,
    /// Clients put media into the bucket themselves [environment: MINTHOUSE_S3_DIRECT_UPLOADS]
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_direct_uploads: Option<bool>,
}

impl Config {
    pub fn load(flags: &Flags) -> Result<Self> {
        let named = flags.config.clone().or_else(|| std::env::var_os("MINTHOUSE_CONFIG").map(PathBuf::from));
        let file = named.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if file.exists() {
            figment = figment.merge(Toml::file_exact(&file));
        } else if file != Path::new(DEFAULT_FILE) {
            anyhow::bail!("there is no configuration file {}", file.display());
        }
        figment
            .merge(Env::prefixed("MINTHOUSE_").ignore(&["config", "vectors"]).split("__"))
            .merge(Env::raw().only(&["DATABASE_URL"]))
            .merge(Serialized::defaults(flags))
            .extract()
            .context("the configuration cannot be read; docs/configuration.md lists the options")
    }

    /// Refuses settings that would be an accident.
    pub fn check(&self) -> Result<()> {
        if self.database_url.is_none() && !self.development && !self.embedded_in_production {
            anyhow::bail!(
                "outside development a PostgreSQL of yours is expected: set DATABASE_URL, \
                 or pass --embedded-in-production to use the embedded one, or --development to try things out"
            );
        }
        // Either would let anybody in as anybody.
        if self.sms == Some(SmsChannel::Log) && !self.development {
            anyhow::bail!("sms = \"log\" writes codes where operators read them; choose \"tencent\", or --development");
        }
        if self.real_name == Some(RealNameRegister::Checksum) && !self.development {
            anyhow::bail!("real_name = \"checksum\" proves nothing; choose \"tencent\", or --development");
        }
        if self.ledger_faults.is_some() && !self.development {
            anyhow::bail!("ledger_faults makes issuances and transfers fail on purpose; take it out, or --development");
        }
        Ok(())
    }
}
