//! H5 domains: an enterprise binds a host, and shows that it is theirs.
//!
//! Naming a host costs nothing, so it gives nothing: any number of enterprises may have one host bound and unproved.
//! Who proves it first claims it in the directory, across all enterprises, and from then on requests to it are that
//! enterprise's (`tenancy::hosts`).

use serde_json::json;

use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::host;
use crate::platform::refusal::Refusal;
use crate::platform::vault::hex;
use crate::sales::SalesServices;
use crate::sales::model::{BindingState, Domain, DomainId, ProofFailure, SaleErrorCode};
use crate::sales::store::bindings::{self, NewDomain};
use crate::tenancy::audit;
use crate::tenancy::hosts::Hosts;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::store::{DirectoryKind, claim_name_in, look_up};

#[derive(Clone, Debug)]
pub struct DomainRequest {
    pub host: String,
    pub filing_number: String,
}

/// Binds a host, which is nobody's until it is proved.
pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &DomainRequest,
) -> Result<Domain, Refusal<SaleErrorCode>> {
    scope.require(Permission::SaleManage)?;
    let host = host::normalise(&request.host).ok_or_else(|| {
        Refusal::explained(
            "host",
            SaleErrorCode::InvalidInput,
            "须为完整域名，如 shop.example.com，不带协议、端口和路径；中文域名请用 Punycode。",
            "A host is a full name such as shop.example.com, without scheme, port or path; write others than ASCII in Punycode.",
        )
    })?;
    let filing_number = request.filing_number.trim();
    if filing_number.is_empty() || filing_number.chars().count() > 60 {
        return Err(Refusal::explained(
            "filingNumber",
            SaleErrorCode::InvalidInput,
            "备案号须为 1 到 60 个字符。",
            "A filing number has 1 to 60 characters.",
        ));
    }
    let token = hex(&platform.randomness.bytes::<16>());

    // A courtesy: what somebody else has proved cannot be proved again. The proof decides.
    let owner = look_up(&HouseTx::read(&platform.database).await?, DirectoryKind::Host, &host).await?;
    if owner.is_some_and(|owner| owner != scope.tenant()) {
        return Err(Refusal::at("host", SaleErrorCode::HostTaken));
    }
    let tx = scope.write(&platform.database).await?;
    let id = DomainId::generate();
    let new = NewDomain { id, host: &host, filing_number, verification_token: &token };
    let domain = bindings::insert_domain_in(&tx, &new).await?.ok_or_else(|| {
        Refusal::explained(
            "host",
            SaleErrorCode::HostTaken,
            "贵企业已绑定该域名，请在 domains 中查看。",
            "Your enterprise has bound that host already; find it with `domains`.",
        )
    })?;
    audit::record_in(&tx, "domainCreate", id.uuid(), None, &domain).await?;
    announce_in(&tx, &domain).await?;
    tx.commit().await?;
    Ok(domain)
}

/// Looks for the proof on the host. Where it is missing the domain is FAILED, which is a result and may be tried again.
/// A proof counts for requests to the host from the commit on, on this server at once.
pub async fn verify(
    platform: &Platform,
    services: &SalesServices,
    hosts: &Hosts,
    scope: &TenantScope,
    id: DomainId,
) -> Result<Domain, Refusal<SaleErrorCode>> {
    scope.require(Permission::SaleManage)?;
    let tx = scope.read(&platform.database).await?;
    let asked = open(bindings::domains_by_id(&tx, &[id]).await?.remove(&id))?;
    drop(tx); // the host may take its time
    let proof = services.domain_proof.check(&asked.host, &asked.verification_token).await;

    let tx = scope.write(&platform.database).await?;
    // Another verification may have come first.
    let before = open(bindings::lock_domain_in(&tx, id).await?)?;
    let after = match proof {
        Ok(()) => {
            if !claim_name_in(&tx, DirectoryKind::Host, &before.host, id.uuid()).await? {
                return Err(Refusal::explained(
                    "id",
                    SaleErrorCode::HostTaken,
                    "该域名已由其他企业先行验证通过；如确属贵企业，请联系平台运营方。",
                    "Another enterprise has proved this host first; contact the house if it is yours.",
                ));
            }
            let verified = step_in(&tx, &before, BindingState::Verified, None).await?;
            step_in(&tx, &verified, BindingState::Active, None).await?
        }
        Err(failure) => step_in(&tx, &before, BindingState::Failed, Some(failure)).await?,
    };
    audit::record_in(&tx, "domainVerify", id.uuid(), Some(&before), &after).await?;
    tx.commit().await?;
    hosts.forget();
    Ok(after)
}

fn open(domain: Option<Domain>) -> Result<Domain, Refusal<SaleErrorCode>> {
    let domain = domain.ok_or_else(|| Refusal::at("id", SaleErrorCode::DomainNotFound))?;
    if domain.state == BindingState::Active {
        return Err(Refusal::at("id", SaleErrorCode::AlreadyActive));
    }
    Ok(domain)
}

async fn step_in(
    tx: &TenantTx,
    before: &Domain,
    next: BindingState,
    failure: Option<ProofFailure>,
) -> Result<Domain, Fault> {
    if !before.state.may_become(next) {
        return Err(Fault::internal(anyhow::anyhow!("{} cannot go from {:?} to {next:?}", before.id, before.state)));
    }
    let after = bindings::set_domain_state_in(tx, before.id, next, failure).await?;
    announce_in(tx, &after).await?;
    Ok(after)
}

async fn announce_in(tx: &TenantTx, domain: &Domain) -> Result<(), Fault> {
    let data = json!({ "domainId": domain.id, "host": domain.host, "state": domain.state, "failure": domain.failure });
    outbox::emit_in(tx, NewEvent::new(EventType::DomainChanged, domain.id.uuid(), domain.version, data)?).await
}
