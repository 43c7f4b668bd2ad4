//! What the command line can do. One file a command.

pub mod audit;
pub mod demo;
pub mod doctor;
pub mod keys;
pub mod ledger;
pub mod ledger_evm;
pub mod manifest;
pub mod serve;
pub mod tenants;
pub mod token;
pub mod verify_draw;
pub mod verify_draws;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand};

use crate::api::schema;
use crate::app::{App, Services};
use crate::bridges;
use crate::bridges::tencent::Credentials;
use crate::bridges::tencent::id_card::{self, IdCardVerification};
use crate::bridges::tencent::sms::{self, Sender, Sms};
use crate::bridges::wechat::{self, SignIn};
use crate::catalog::media::MediaServices;
use crate::catalog::media::moderation::Blind;
use crate::ledger::ledgers::LedgerParts;
use crate::ledger::model::LedgerKind;
use crate::ledger::simulator::Faults;
use crate::platform::Platform;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::config::{Config, Flags, LedgerChoice, ModerationChannel, RealNameRegister, SmsChannel};
use crate::platform::db::place::Place;
use crate::platform::db::{Database, PoolSettings, migrate};
use crate::platform::objects::Objects;
use crate::platform::objects::bucket::Bucket;
use crate::platform::outbound::Reach;
use crate::platform::randomness::{Randomness, SystemRandomness};
use crate::platform::secrets::{self, Secrets};
use crate::platform::telemetry::{self, Telemetry};
use crate::platform::vault::{SealingKey, hex};
use crate::sales::SalesServices;
use crate::sales::proof::WellKnownFile;
use crate::sales::sandbox::Sandbox;
use crate::wallets::WalletServices;
use crate::wallets::real_name::{ChecksumOnly, NoRegister, RealNameProvider};
use crate::wallets::sms::{LogSender, NoSender, SmsSender, TencentSender};

/// Minthouse: digital-collectible marketing and sale for many enterprises in one house.
#[derive(Parser)]
#[command(name = "minthouse", version, max_term_width = 100)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API, and do the background work
    Serve {
        /// A tenant manifest to apply before serving; may be repeated
        #[arg(long, value_name = "FILE")]
        tenants: Vec<PathBuf>,
    },
    /// Bring the database's schema up to this version
    Migrate,
    /// Apply tenant manifests, or list who is there
    Tenants {
        #[command(subcommand)]
        command: tenants::Command,
    },
    /// Mint tokens, for development and operations
    Token {
        #[command(subcommand)]
        command: token::Command,
    },
    /// Check exports of the audit log
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Check proofs of pieces and the ledger itself, and put the contract on a chain
    Ledger {
        #[command(subcommand)]
        command: ledger::Command,
    },
    /// Check the public record of an activity's draws, offline
    VerifyDraws(verify_draws::Options),
    /// Check the proof of one draw, offline
    VerifyDraw(verify_draw::Options),
    /// Exchange keys, and show those that are public
    Keys {
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Print the GraphQL schema
    Schema,
    /// Play a whole campaign against a running server and check that the sums agree
    Demo(demo::Options),
    /// Check database, roles, row security, ledger, audit log and keys, and say what to do
    Doctor,
}

pub async fn run(command_line: CommandLine) -> Result<ExitCode> {
    let CommandLine { command, flags } = command_line;
    match command {
        Command::Schema => {
            print!("{}", schema::sdl());
            Ok(ExitCode::SUCCESS)
        }
        Command::Audit { command } => audit::run(&command),
        Command::Ledger { command } => ledger::run(&flags, command).await,
        Command::VerifyDraws(options) => verify_draws::run(&options),
        Command::VerifyDraw(options) => verify_draw::run(&options),
        Command::Demo(options) => demo::run(options).await,
        Command::Serve { tenants } => serve::run(Config::load(&flags)?, &tenants).await,
        Command::Migrate => {
            let house = House::open(&Config::load(&flags)?, Opening::ToChange).await?;
            println!("the schema is up to date: {} migrations", migrate::count());
            house.close().await
        }
        Command::Tenants { command } => tenants::run(&Config::load(&flags)?, command).await,
        Command::Token { command } => token::run(&Config::load(&flags)?, command).await,
        Command::Keys { command } => keys::run(&Config::load(&flags)?, command).await,
        Command::Doctor => doctor::run(&Config::load(&flags)?).await,
    }
}

/// How a command meets the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Alone: brings the schema up to date and refuses a folder that another server holds.
    ToServe,
    /// Beside a running server, if there is one; brings the schema up to date.
    ToChange,
    /// Beside a running server, if there is one; leaves a service's schema as it is.
    ToLook,
}

/// A database that is up to date, and the wired house on it.
pub struct House {
    pub place: Place,
    pub app: App,
    pub secrets: Secrets,
    pub telemetry: Telemetry,
}

impl House {
    pub async fn open(config: &Config, opening: Opening) -> Result<Self> {
        let telemetry = telemetry::start(config)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let secrets = match &config.secrets {
            Some(text) => Secrets::parse(text).context("in MINTHOUSE_SECRETS")?,
            None if opening == Opening::ToLook && !config.data_dir.join(secrets::FILE_NAME).exists() => anyhow::bail!(
                "there is no house in {}; name its folder with --data-dir, or start one with `minthouse serve`",
                config.data_dir.display()
            ),
            None => {
                std::fs::create_dir_all(&config.data_dir)
                    .with_context(|| format!("cannot make the data folder {}", config.data_dir.display()))?;
                Secrets::load_or_create(&config.data_dir, &*randomness)?
            }
        };
        let master_key = secrets.master_key()?;
        let place =
            Place::open(config.database_url.as_deref(), &config.data_dir, &master_key, opening != Opening::ToServe)
                .await?;
        let owner_url = place.owner_url();
        if opening == Opening::ToLook && config.database_url.is_some() {
            // A look must not change what other servers of an older version are working with.
            let pending = migrate::pending(&owner_url).await?;
            if !pending.is_empty() {
                anyhow::bail!("these migrations have not run: {}; run `minthouse migrate`", pending.join(", "));
            }
        } else {
            let run = migrate::migrate(&owner_url, clock.now(), |name| tracing::info!("migration {name}")).await?;
            if run > 0 {
                tracing::info!("{run} migrations have run");
            }
        }
        // Before anything is changed by it: another house's key would lock this one's servers out.
        let fingerprint = hex(&master_key.derive("fingerprint").expose()[..8]);
        migrate::bind_master_key(&owner_url, &fingerprint).await?;
        place.let_roles_in().await?;
        doctor::refuse_unsafe_roles(&owner_url).await?;

        let pools = PoolSettings { connections: config.connections, ..PoolSettings::default() };
        let database = Database::new(|role| place.role_url(role), &pools)?;
        let objects = objects(config, &master_key, clock.now())?;
        let platform = Platform { database, clock, randomness, master_key, objects };
        let services = Services {
            sales: sales_services(&platform, config.development)?,
            wallets: wallet_services(&platform, config)?,
            media: media_services(config),
        };
        let platform = Arc::new(platform);
        let faults = config.ledger_faults.as_deref().map(str::parse::<Faults>).transpose();
        let ledgers = LedgerParts {
            chosen: match config.ledger {
                LedgerChoice::Embedded => LedgerKind::Embedded,
                LedgerChoice::Evm => LedgerKind::Evm,
            },
            faults: faults.context("`ledger_faults` cannot be read")?.filter(|_| config.development),
            evm: config.evm.as_ref().map(|options| ledger_evm::ledger(platform.clone(), options)).transpose()?,
        };
        let public_url = config.public_url.as_deref();
        let app = App::new(platform, &secrets, services, ledgers, config.development, public_url)?;
        Ok(Self { place, app, secrets, telemetry })
    }

    pub async fn close(self) -> Result<ExitCode> {
        self.app.platform.database.close();
        self.place.close().await?;
        self.telemetry.close();
        Ok(ExitCode::SUCCESS)
    }
}

/// Where uploaded files lie: in the bucket that is named, or else in the data folder.
fn objects(config: &Config, master_key: &SealingKey, now: DateTime<Utc>) -> Result<Objects> {
    let Some(name) = &config.s3_bucket else {
        ensure!(
            config.s3_endpoint.is_none()
                && config.s3_access_key.is_none()
                && config.s3_secret_key.is_none()
                && !config.s3_direct_uploads,
            "there are options of S3 and no `s3_bucket`: name the bucket, or leave them out"
        );
        return Objects::in_folder(&config.data_dir.join("objects"), master_key, now);
    };
    let needed = |option: &Option<String>, name: &str| {
        option.clone().with_context(|| format!("{name} is not set; `s3_bucket` needs it"))
    };
    let bucket = Bucket {
        name: name.clone(),
        region: config.s3_region.clone(),
        endpoint: config.s3_endpoint.clone(),
        in_host: config.s3_bucket_in_host,
        access_key: needed(&config.s3_access_key, "s3_access_key")?,
        secret_key: needed(&config.s3_secret_key, "s3_secret_key")?,
        direct: config.s3_direct_uploads,
    };
    Objects::in_bucket(&bucket, master_key)
}

/// Who looks at media. Without a word in the configuration everything passes in development, and goes to the house
/// elsewhere.
pub fn media_services(config: &Config) -> MediaServices {
    let default = if config.development { ModerationChannel::Pass } else { ModerationChannel::Review };
    MediaServices::new(match config.moderation.unwrap_or(default) {
        ModerationChannel::Pass => Arc::new(Blind::passes_all()),
        ModerationChannel::Review => Arc::new(Blind::leaves_all_to_the_house()),
    })
}

/// Messages, registers and WeChat as the configuration wants them.
pub fn wallet_services(platform: &Platform, config: &Config) -> Result<WalletServices> {
    let http = bridges::client()?;
    let needed = |option: &Option<String>, name: &str| {
        option.clone().with_context(|| format!("{name} is not set; `sms` and `real_name` need it for Tencent Cloud"))
    };
    let credentials = || -> Result<Credentials> {
        let id = needed(&config.tencent_secret_id, "tencent_secret_id")?;
        Ok(Credentials::new(id, needed(&config.tencent_secret_key, "tencent_secret_key")?))
    };
    let sms: Arc<dyn SmsSender> = match config.sms {
        Some(SmsChannel::Tencent) => {
            let sender = Sender {
                sdk_app_id: needed(&config.tencent_sms_app_id, "tencent_sms_app_id")?,
                sign_name: needed(&config.tencent_sms_signature, "tencent_sms_signature")?,
            };
            let (endpoint, region) = (sms::ENDPOINT.parse()?, config.tencent_sms_region.as_str());
            let clock = platform.clock.clone();
            Arc::new(TencentSender {
                sms: Sms::new(http.clone(), clock, credentials()?, &endpoint, region, sender),
                template: needed(&config.tencent_sms_template, "tencent_sms_template")?,
            })
        }
        Some(SmsChannel::Log) | None if config.development => Arc::new(LogSender),
        Some(SmsChannel::Log) | None => Arc::new(NoSender),
    };
    let real_name: Arc<dyn RealNameProvider> = match config.real_name {
        Some(RealNameRegister::Tencent) => {
            let endpoint = id_card::ENDPOINT.parse()?;
            Arc::new(IdCardVerification::new(http.clone(), platform.clock.clone(), credentials()?, &endpoint))
        }
        Some(RealNameRegister::Checksum) | None if config.development => Arc::new(ChecksumOnly),
        Some(RealNameRegister::Checksum) | None => Arc::new(NoRegister),
    };
    Ok(WalletServices { sms, real_name, wechat: SignIn::new(http, &wechat::ENDPOINT.parse()?) })
}

/// Payment channels and domain proofs as the configuration wants them.
pub fn sales_services(platform: &Platform, development: bool) -> Result<SalesServices> {
    let reach = if development { Reach::Anywhere } else { Reach::Public };
    let services = SalesServices::new(Arc::new(WellKnownFile::new(reach)?));
    // Play money buys real pieces, so it must not be legal tender outside development.
    Ok(if development { services.with_sandbox(Sandbox::new(&platform.master_key)) } else { services })
}
