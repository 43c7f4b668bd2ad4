//! Wiring, once: which part works with which.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::activities::anchor_job::AnchorJob;
use crate::activities::claim;
use crate::activities::consult::Callbacks;
use crate::activities::custom_rule;
use crate::activities::draw_code;
use crate::activities::force;
use crate::activities::lane::Lanes;
use crate::activities::model::ClaimId;
use crate::activities::prize_code;
use crate::activities::settle::SettlementJob;
use crate::activities::view::Views;
use crate::api::downloads;
use crate::api::draws;
use crate::api::exports::{self, Exports};
use crate::api::gate::TokenGate;
use crate::api::media;
use crate::api::oauth::{self, OAuth};
use crate::api::schema::{self, ApiSchema};
use crate::api::server::{self, Surface};
use crate::api::sso::{self, SignOn};
use crate::api::transport::{self, Settings};
use crate::api::uploads;
use crate::bridges::oidc::RelyingParty;
use crate::catalog::issue_job::IssuanceJob;
use crate::catalog::media::MediaServices;
use crate::catalog::media::job::MediaJob;
use crate::catalog::model::CollectibleId;
use crate::events::bus::Bus;
use crate::events::relay::RelayJob;
use crate::ledger::Ledger;
use crate::ledger::checkpoint::LedgerKeys;
use crate::ledger::embedded::EmbeddedLedger;
use crate::ledger::evm::EvmLedger;
use crate::ledger::ledgers::{LedgerParts, Ledgers};
use crate::ledger::model::LedgerKind;
use crate::ledger::simulator;
use crate::platform::Platform;
use crate::platform::address::Block;
use crate::platform::fault::Fault;
use crate::platform::outbound::{Outbound, Reach};
use crate::platform::secrets::Secrets;
use crate::sales::expire::OrderExpiryJob;
use crate::sales::model::OrderId;
use crate::sales::{SalesServices, deliver, order};
use crate::tenancy;
use crate::tenancy::audit::job::AuditChainJob;
use crate::tenancy::hosts::Hosts;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::qualification::QualificationExpiryJob;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::sealed::SealedColumn;
use crate::tenancy::sso::SsoServices;
use crate::tenancy::standing::Standings;
use crate::tenancy::sweep::Sweeper;
use crate::tenancy::token::Tokens;
use crate::tenancy::worker::{self, Job};
use crate::wallets::erase::{Open, Unfinished};
use crate::wallets::model::{HolderId, Item, Transfer, TransferCause};
use crate::wallets::transfer_job::{Arrivals, TransferJob};
use crate::wallets::{self, WalletServices};

/// A whole house, ready to serve or to work.
pub struct App {
    pub platform: Arc<Platform>,
    pub tokens: Arc<Tokens>,
    pub standings: Arc<Standings>,
    pub hosts: Arc<Hosts>,
    pub lanes: Arc<Lanes>,
    pub callbacks: Arc<Callbacks>,
    pub sales: Arc<SalesServices>,
    pub sso: Arc<SsoServices>,
    pub media: Arc<MediaServices>,
    pub bus: Bus,
    pub ledgers: Arc<Ledgers>,
    pub ledger_keys: LedgerKeys,
    /// Beside the embedded one, if the house has it.
    pub evm: Option<Arc<EvmLedger>>,
    pub schema: ApiSchema,
    jobs: Vec<Arc<dyn Job>>,
    development: bool,
}

/// What reaches out of the house, by who needs it.
pub struct Services {
    pub sales: SalesServices,
    pub wallets: WalletServices,
    pub media: MediaServices,
}

impl App {
    /// `public_url` is the web origin that browsers know the server under; in development their own word for it will do.
    pub fn new(
        platform: Arc<Platform>,
        secrets: &Secrets,
        services: Services,
        ledgers: LedgerParts,
        development: bool,
        public_url: Option<&str>,
    ) -> Result<Self> {
        let tokens = Arc::new(Tokens::new(secrets, platform.clock.clone())?);
        let standings = Arc::new(Standings::new(platform.clone()));
        let hosts = Arc::new(Hosts::new(platform.clone()));
        let lanes = Arc::new(Lanes::new(platform.clone()));
        let Services { sales, wallets, media } = services;
        let sales = Arc::new(sales);
        let reach = if development { Reach::Anywhere } else { Reach::Public };
        let callbacks = Arc::new(Callbacks::new(platform.clone(), reach)?);
        let relying_party =
            RelyingParty::new(Outbound::new(reach)?, platform.clock.clone(), platform.randomness.clone());
        let sso_services = Arc::new(SsoServices::new(relying_party, public_url, development)?);
        let media = Arc::new(media);
        let bus = Bus::default();
        let ledger_keys = LedgerKeys::new(&platform.master_key, secrets.ledger_key_generation)?;
        let embedded = Arc::new(EmbeddedLedger::new(platform.clone(), ledger_keys.clone()));
        let LedgerParts { chosen, faults, evm } = ledgers;
        let evm = evm.map(Arc::new);
        let mut ledgers: Vec<Arc<dyn Ledger>> = vec![embedded.clone()];
        ledgers.extend(evm.clone().map(|evm| evm as Arc<dyn Ledger>));
        let ledgers = ledgers.into_iter().map(|ledger| simulator::wrap(ledger, faults.as_ref()));
        let ledgers = Arc::new(Ledgers::new(chosen, ledgers)?);
        let schema = schema::builder()
            .data(platform.clone())
            .data(tokens.clone())
            .data(standings.clone())
            .data(hosts.clone())
            .data(lanes.clone())
            .data(callbacks.clone())
            .data(Arc::new(Views::new(platform.clone())))
            .data(sales.clone())
            .data(sso_services.clone())
            .data(Arc::new(wallets))
            .data(media.clone())
            .data::<Arc<dyn Unfinished>>(Arc::new(OpenBusiness))
            .data(bus.clone())
            .data(ledgers.clone())
            .data(ledger_keys.clone())
            .finish();
        let mut jobs: Vec<Arc<dyn Job>> = vec![embedded.clone()];
        jobs.extend(evm.iter().flat_map(|evm| evm.jobs()));
        for ledger in ledgers.iter() {
            let (platform, ledger) = (platform.clone(), ledger.clone());
            jobs.push(Arc::new(IssuanceJob { platform: platform.clone(), ledger: ledger.clone() }));
            jobs.push(Arc::new(TransferJob { platform, ledger, arrivals: Arc::new(ToItsCause) }));
        }
        let anchoring = ledgers.get(LedgerKind::Embedded).cloned().unwrap_or_else(|| embedded.clone());
        let others: [Arc<dyn Job>; 8] = [
            Arc::new(AnchorJob { platform: platform.clone(), ledger: anchoring }),
            Arc::new(MediaJob { platform: platform.clone(), services: media.clone() }),
            Arc::new(OrderExpiryJob { platform: platform.clone() }),
            Arc::new(SettlementJob { platform: platform.clone() }),
            Arc::new(QualificationExpiryJob { platform: platform.clone() }),
            Arc::new(RelayJob { platform: platform.clone(), bus: bus.clone() }),
            Arc::new(AuditChainJob { platform: platform.clone() }),
            Arc::new(Sweeper::new(platform.clone())),
        ];
        jobs.extend(others);
        Ok(Self {
            platform,
            tokens,
            standings,
            hosts,
            lanes,
            callbacks,
            sales,
            sso: sso_services,
            media,
            bus,
            ledgers,
            ledger_keys,
            evm,
            schema,
            jobs,
            development,
        })
    }

    /// Everything that is served over HTTP.
    pub fn router(&self, settings: Settings, metrics: PrometheusHandle, shutdown: CancellationToken) -> Result<Router> {
        let gate = Arc::new(self.gate());
        let proxies: Arc<[Block]> = settings.proxies.clone().into();
        let uploads = transport::for_pages(uploads::router(self.platform.clone()), &settings.origins);
        let downloads = transport::for_pages(downloads::router(self.platform.clone()), &settings.origins);
        let media = transport::for_pages(media::router(self.platform.clone()), &settings.origins);
        let draws =
            transport::for_pages(draws::router(self.platform.clone(), self.ledger_keys.clone()), &settings.origins);
        let graphql = transport::router(self.schema.clone(), &schema::sdl(), gate.clone(), settings, shutdown)?;
        let surface = Surface {
            platform: self.platform.clone(),
            tokens: self.tokens.clone(),
            ledger_keys: self.ledger_keys.clone(),
            metrics,
        };
        let sign_on = SignOn {
            platform: self.platform.clone(),
            services: self.sso.clone(),
            standings: self.standings.clone(),
            proxies: proxies.clone(),
        };
        Ok(graphql
            .merge(uploads)
            .merge(sso::router(sign_on))
            .merge(downloads)
            .merge(media)
            .merge(draws)
            .merge(server::router(surface))
            .merge(oauth::router(OAuth { gate: gate.clone(), proxies: proxies.clone() }))
            .merge(exports::router(Exports { gate, proxies })))
    }

    /// Who may come in, to GraphQL and to every other route that asks.
    pub fn gate(&self) -> TokenGate {
        TokenGate {
            platform: self.platform.clone(),
            tokens: self.tokens.clone(),
            standings: self.standings.clone(),
            hosts: self.hosts.clone(),
            development: self.development,
        }
    }

    /// Starts the background work; it ends with `shutdown`.
    pub fn work(&self, shutdown: &CancellationToken) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for job in &self.jobs {
            tasks.spawn(worker::run(job.clone(), self.platform.database.commits(), shutdown.clone()));
        }
        tasks
    }

    /// One turn of every job for one enterprise, in this very task. For commands that wait for its results.
    pub async fn work_for(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        for job in &self.jobs {
            match job.work(tenant).await {
                // A ledger that did not answer is asked again in the next turn.
                Err(fault @ (Fault::Unavailable(_) | Fault::TimedOut)) => {
                    tracing::warn!(job = job.name(), "a turn failed: {}", fault.with_causes());
                }
                done => done?,
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    }

    /// Does background work in this very task until none is left. For tests.
    pub async fn settle(&self) -> Result<(), Fault> {
        loop {
            let mut served = 0;
            for job in &self.jobs {
                let mut round = worker::round(&**job).await?;
                served += round.served;
                if let Some((_, fault)) = round.failures.pop() {
                    return Err(fault);
                }
            }
            let mut rest = Duration::from_millis(1);
            if served == 0 {
                // What is asked about again in a moment is not settled yet.
                let mut next = None;
                for job in &self.jobs {
                    next = worker::soon(&**job).await?.into_iter().chain(next).min();
                }
                match next {
                    Some(soon) => rest = rest.max(soon),
                    None => return Ok(()),
                }
            }
            tokio::time::sleep(rest).await;
        }
    }
}

/// Every column of sealed values that there is. A capability that seals something new adds its own list here.
pub fn sealed_columns() -> Vec<SealedColumn> {
    [wallets::SEALED, custom_rule::SEALED, draw_code::SEALED, force::SEALED, prize_code::SEALED, tenancy::SEALED]
        .concat()
}

/// What keeps a holder from being erased, in the capabilities that wallets do not know.
struct OpenBusiness;

#[async_trait]
impl Unfinished for OpenBusiness {
    async fn of(&self, tx: &TenantTx, holder: HolderId) -> Result<Vec<Open>, Fault> {
        let mut open = Vec::new();
        if order::has_open(tx, holder).await? {
            open.push(Open::Order);
        }
        if claim::has_open(tx, holder).await? {
            open.push(Open::Claim);
        }
        Ok(open)
    }
}

/// Tells claims and orders that their pieces have arrived.
struct ToItsCause;

#[async_trait]
impl Arrivals for ToItsCause {
    async fn arrived_in(&self, tx: &TenantTx, arrived: &[(Transfer, Item)]) -> Result<(), Fault> {
        let of = |cause: TransferCause| arrived.iter().filter(move |(transfer, _)| transfer.cause == cause);
        let claims: Vec<ClaimId> =
            of(TransferCause::Claim).map(|(transfer, _)| ClaimId::from_uuid(transfer.cause_id)).collect();
        let pieces: Vec<(OrderId, CollectibleId, i32)> = of(TransferCause::Order)
            .map(|(transfer, item)| (OrderId::from_uuid(transfer.cause_id), item.collectible_id, item.serial))
            .collect();
        if !claims.is_empty() {
            claim::delivered_in(tx, &claims).await?;
        }
        if !pieces.is_empty() {
            deliver::delivered_in(tx, &pieces).await?;
        }
        Ok(())
    }
}
