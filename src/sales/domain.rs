//! H5 domains: an enterprise binds a host, and shows that it is theirs.

use serde_json::json;

use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::vault::hex;
use crate::sales::SalesServices;
use crate::sales::model::{BindingState, Domain, DomainId, ProofFailure, SaleErrorCode};
use crate::sales::store::bindings::{self, NewDomain};
use crate::tenancy::audit;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::store::{DirectoryKind, claim_name_in};

#[derive(Clone, Debug)]
pub struct DomainRequest {
    pub host: String,
    pub filing_number: String,
}

/// Binds a host. No two enterprises have one host, so it is claimed across all of them.
pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &DomainRequest,
) -> Result<Domain, Refusal<SaleErrorCode>> {
    scope.require(Permission::SaleManage)?;
    let host = normalise_host(&request.host).ok_or_else(|| {
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

    let tx = scope.write(&platform.database).await?;
    let id = DomainId::generate();
    if !claim_name_in(&tx, DirectoryKind::Host, &host, id.uuid()).await? {
        return Err(Refusal::at("host", SaleErrorCode::HostTaken));
    }
    let new = NewDomain { id, host: &host, filing_number, verification_token: &token };
    let domain = bindings::insert_domain_in(&tx, &new).await?;
    audit::record_in(&tx, "domainCreate", id.uuid(), None, &domain).await?;
    announce_in(&tx, &domain).await?;
    tx.commit().await?;
    Ok(domain)
}

/// Looks for the proof on the host. Where it is missing the domain is FAILED, which is a result and may be tried again.
pub async fn verify(
    platform: &Platform,
    services: &SalesServices,
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
            let verified = step_in(&tx, &before, BindingState::Verified, None).await?;
            step_in(&tx, &verified, BindingState::Active, None).await?
        }
        Err(failure) => step_in(&tx, &before, BindingState::Failed, Some(failure)).await?,
    };
    audit::record_in(&tx, "domainVerify", id.uuid(), Some(&before), &after).await?;
    tx.commit().await?;
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

/// A host name of RFC 1123 with at least two labels, in lower case and without the root's dot. The last label begins
/// with a letter, so no IP address passes for a name.
pub fn normalise_host(text: &str) -> Option<String> {
    let host = text.trim().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let labels: Vec<&[u8]> = host.split('.').map(str::as_bytes).collect();
    let fits = |label: &&[u8]| {
        (1..=63).contains(&label.len())
            && label.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
    };
    let ends_in_letters = labels.last().is_some_and(|label| label.first().is_some_and(u8::is_ascii_lowercase));
    (host.len() <= 253 && labels.len() >= 2 && labels.iter().all(fits) && ends_in_letters).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_is_a_name_and_nothing_else() {
        assert_eq!(normalise_host(" Shop.Example.COM. ").as_deref(), Some("shop.example.com"));
        assert_eq!(normalise_host("xn--fiqs8s.cn").as_deref(), Some("xn--fiqs8s.cn"));
        let long = format!("{}.com", "a".repeat(64));
        let longer = format!("{}com", "a.".repeat(126));
        for refused in [
            "",
            "localhost",
            "shop.example.com/path",
            "https://shop.example.com",
            "shop.example.com:80",
            "127.0.0.1",
            "1.2.3",
            "[::1]",
            "-a.com",
            "a-.com",
            "a..com",
            ".com",
            "a.com..",
            "中文.cn",
            "a b.com",
            "user@a.com",
            "a_b.com",
            &long,
            &longer,
        ] {
            assert_eq!(normalise_host(refused), None, "{refused}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_host_stays_as_it_is(text in "[a-zA-Z0-9.-]{0,40}") {
            if let Some(host) = normalise_host(&text) {
                prop_assert_eq!(normalise_host(&host), Some(host.clone()));
                prop_assert!(host.parse::<std::net::IpAddr>().is_err());
            }
        }
    }
}
