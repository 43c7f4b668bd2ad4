//! Tickets: somebody has been vouched for, and a page may open their session with it. Once, within a minute.
//!
//! A ticket is a secret of 256 bits that names its enterprise, known here by hash. It travels through a partner's
//! server, a page and a message between windows, so it is bound to more than being known: to the origin of the page
//! that it was asked for, and to a nonce that only that page (or the browser that signed in) can show. It rests on the
//! enterprise's trust in a key or a connection and in that page: what is taken out of use takes its open tickets with it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::vault::sha256;
use crate::tenancy::audit;
use crate::tenancy::model::{
    Enterprise, EnterpriseId, Operator, OperatorState, SessionSubject, SignInMethod, SsoConnectionId, SsoKeyId,
};
use crate::tenancy::scope::{ActorKind, TenantScope};
use crate::tenancy::session::{self, Granted, NewSession, Visit, bearer_secret, tenant_of};
use crate::tenancy::sso::just_in_time::{self, Admitted};
use crate::tenancy::sso::model::{SignOnError, SsoState, SsoTicketErrorCode, Ticket, Vouched};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::{self, branches, operators, sso};
use crate::tenancy::token::Tokens;

pub const LIFE: TimeDelta = TimeDelta::seconds(60);
const PREFIX: &str = "mht_";
/// How often a lost race (two first visits of one person) is run again.
const ATTEMPTS: u32 = 4;

/// What somebody was vouched for by. It lies in the room of the enterprise that vouches.
#[derive(Clone, Copy, Debug)]
pub enum Voucher {
    Connection(SsoConnectionId),
    Key(SsoKeyId),
}

impl Voucher {
    pub fn method(self) -> SignInMethod {
        match self {
            Self::Connection(_) => SignInMethod::Oidc,
            Self::Key(_) => SignInMethod::Ticket,
        }
    }

    pub fn uuid(self) -> Uuid {
        match self {
            Self::Connection(id) => id.uuid(),
            Self::Key(id) => id.uuid(),
        }
    }
}

/// What a ticket is bound to.
#[derive(Clone, Debug)]
pub struct Terms {
    pub voucher: Voucher,
    /// The page that the console will be embedded in.
    pub origin: Option<String>,
    /// SHA-256 of the nonce's text.
    pub nonce_hash: Option<[u8; 32]>,
}

#[derive(Clone, Debug)]
pub struct Issued {
    pub ticket: String,
    pub enterprise: EnterpriseId,
}

/// Lets in whom `voucher` vouches for, where their enterprise and its partner are at work, and gives a ticket for their
/// session. What they are vouched for by must have been used up in a transaction of before.
pub async fn issue(
    platform: &Platform,
    standings: &Standings,
    voucher: EnterpriseId,
    vouched: &Vouched,
    terms: &Terms,
    request_id: &Arc<str>,
) -> Result<Issued, Refusal<SignOnError>> {
    let target = match &vouched.corp_open_id {
        None => voucher,
        Some(corp_open_id) => {
            let tx = TenantScope::of_system(voucher).read(&platform.database).await?;
            let branch = branches::find(&tx, corp_open_id).await?;
            branch.ok_or_else(|| Refusal::at("corpOpenId", SignOnError::BranchNotFound))?
        }
    };
    if !standings.at_work(target).await? {
        return Err(Refusal::code(SignOnError::EnterpriseNotActive));
    }
    for attempt in 1.. {
        match issue_at(platform, standings, (voucher, target), vouched, terms, request_id).await {
            Err(Refusal::Fault(Fault::Contended(_))) if attempt < ATTEMPTS => {}
            outcome => return outcome,
        }
    }
    unreachable!("the last attempt returns")
}

async fn issue_at(
    platform: &Platform,
    standings: &Standings,
    (voucher, target): (EnterpriseId, EnterpriseId),
    vouched: &Vouched,
    terms: &Terms,
    request_id: &Arc<str>,
) -> Result<Issued, Refusal<SignOnError>> {
    let tx = TenantScope::of_visitor(target, request_id.clone()).write(&platform.database).await?;
    let Admitted { operator, ended } = just_in_time::admit_in(&tx, voucher, vouched).await?;
    let ticket = bearer_secret(&*platform.randomness, PREFIX, target);
    let expires_at = tx.now().await? + LIFE;
    let hash = sha256(ticket.as_bytes());
    sso::insert_ticket_in(&tx, &hash, voucher, operator.id, terms, expires_at).await?;
    let record = json!({ "vouchedBy": voucher, "method": terms.voucher.method(), "origin": terms.origin });
    audit::record_in(&tx, "ssoTicketIssue", operator.id.uuid(), None, &record).await?;
    tx.commit().await?;
    if ended {
        standings.forget(target);
    }
    Ok(Issued { ticket, enterprise: target })
}

/// A ticket, and what the page that spends it shows.
#[derive(Clone, Debug)]
pub struct SpendRequest<'a> {
    pub ticket: &'a str,
    pub nonce: Option<&'a str>,
    /// The origin of the window that handed the ticket over, as the page saw it.
    pub embedder: Option<&'a str>,
    /// Our own origin, where our pages are.
    pub own_origin: &'a str,
    pub visit: &'a Visit,
}

#[derive(Clone, Debug)]
pub struct Entered {
    pub granted: Granted,
    pub operator: Operator,
    pub enterprise: Enterprise,
}

/// Opens the session that the ticket is for.
pub async fn spend(
    platform: &Platform,
    tokens: &Tokens,
    standings: &Standings,
    request: &SpendRequest<'_>,
) -> Result<Entered, Refusal<SsoTicketErrorCode>> {
    let invalid = || Refusal::at("ticket", SsoTicketErrorCode::InvalidTicket);
    let tenant = tenant_of(PREFIX, request.ticket).ok_or_else(invalid)?;
    let hash = sha256(request.ticket.as_bytes());
    let scope = TenantScope::of_visitor(tenant, request.visit.request_id.clone());
    // Only a ticket that we gave has us look at how its enterprise stands.
    let tx = scope.read(&platform.database).await?;
    let given = sso::ticket(&tx, &hash).await?.ok_or_else(invalid)?;
    drop(tx);
    let at_work = standings.at_work(tenant).await?;
    let trusted = is_trusted(platform, &given).await?;

    let tx = scope.write(&platform.database).await?;
    let ticket = sso::lock_ticket_in(&tx, &hash).await?.ok_or_else(invalid)?;
    judge(&ticket, request, tx.now().await?)?;
    if !trusted {
        return Err(Refusal::at("ticket", SsoTicketErrorCode::TrustWithdrawn));
    }
    sso::spend_ticket_in(&tx, &hash).await?;

    let not_admitted = || Refusal::code(SsoTicketErrorCode::NotAdmitted);
    let enterprise = store::enterprise(&tx).await?.ok_or_else(not_admitted)?;
    // Within the minute the branch may have left its partner, or somebody was disabled.
    let operator = operators::lock_in(&tx, ticket.operator_id).await?;
    let operator = operator.filter(|operator| operator.state == OperatorState::Active).ok_or_else(not_admitted)?;
    if !at_work || !just_in_time::reaches(ticket.vouched_by, &enterprise) {
        return Err(not_admitted());
    }
    let new = NewSession {
        subject: SessionSubject::Operator,
        subject_id: operator.id.uuid(),
        method: ticket.method,
        visit: request.visit,
        brief: false,
    };
    let tx = tx.acting_as(ActorKind::Operator, operator.id.uuid());
    let opened = session::open_in(platform, &tx, new).await?;
    audit::record_in(&tx, "ssoTicketSpend", operator.id.uuid(), None, &opened.session.id).await?;
    tx.commit().await?;
    let identity = session::operator_identity(enterprise.kind, operator.id, operator.role);
    let granted = session::grant(tokens, tenant, opened, identity)?;
    Ok(Entered { granted, operator, enterprise })
}

/// Whether the enterprise that vouched still trusts what the ticket rests on: its key or connection, and the page.
async fn is_trusted(platform: &Platform, ticket: &Ticket) -> Result<bool, Fault> {
    let tx = TenantScope::of_system(ticket.vouched_by).read(&platform.database).await?;
    let state = match ticket.method {
        SignInMethod::Oidc => {
            let found = sso::connection(&tx, SsoConnectionId::from_uuid(ticket.voucher_id)).await?;
            found.map(|connection| connection.state)
        }
        _ => sso::key(&tx, SsoKeyId::from_uuid(ticket.voucher_id)).await?.map(|key| key.state),
    };
    Ok(state == Some(SsoState::Active)
        && match &ticket.origin {
            Some(origin) => sso::has_origin(&tx, origin).await?,
            None => true,
        })
}

fn judge(ticket: &Ticket, request: &SpendRequest<'_>, now: DateTime<Utc>) -> Result<(), Refusal<SsoTicketErrorCode>> {
    if ticket.spent_at.is_some() {
        return Err(Refusal::at("ticket", SsoTicketErrorCode::TicketSpent));
    }
    if ticket.expires_at <= now {
        return Err(Refusal::at("ticket", SsoTicketErrorCode::TicketExpired));
    }
    let bound = ticket.origin.as_deref();
    let sent_from = request.visit.origin.as_deref();
    if sent_from.is_none() || (sent_from != Some(request.own_origin) && sent_from != bound) {
        return Err(Refusal::code(SsoTicketErrorCode::WrongOrigin));
    }
    if bound.is_some() && request.embedder != bound {
        return Err(Refusal::at("embedder", SsoTicketErrorCode::WrongOrigin));
    }
    // Hashes are compared: how long that takes tells nothing of the nonce.
    let shown = request.nonce.map(|nonce| sha256(nonce.as_bytes()).to_vec());
    if ticket.nonce_hash.is_some() && shown != ticket.nonce_hash {
        return Err(Refusal::at("nonce", SsoTicketErrorCode::WrongNonce));
    }
    Ok(())
}
