//! A holder's personal data is erased: by the enterprise, or by the holder with a code.
//!
//! The row stays, because the ledgers point at it, and tells nobody who it was: sealed values, hashes, masks, identities,
//! tags, codes and the place among the persons are gone, and what sessions remember of programs and addresses. What the
//! holder has stays where it is and can be moved by nobody but the enterprise. The same phone may sign in afterwards and is
//! somebody new.
//!
//! Nothing may be open, because it would have to be finished with somebody who is not there any more. What is being
//! written in the same moment is waited for; what another server lets in before it has heard of the ended sessions
//! (two seconds at most) is not.

use std::net::IpAddr;

use async_trait::async_trait;
use serde_json::json;

use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::{Problem, Refusal};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{HolderScope, TenantScope, TenantTx};
use crate::tenancy::standing::Standings;
use crate::tenancy::{audit, enterprise, session};
use crate::wallets::model::{CodePurpose, Holder, HolderErrorCode, HolderId};
use crate::wallets::store::{self, codes, identities, personal, tags};
use crate::wallets::verification::{self, Try};

/// What somebody is called who was erased.
pub const NOBODY: &str = "已注销用户";

/// Something of a holder's that other capabilities have not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    Order,
    Claim,
}

/// Asks the other capabilities, which wallets do not know. Implemented in the wiring.
#[async_trait]
pub trait Unfinished: Send + Sync + 'static {
    async fn of(&self, tx: &TenantTx, holder: HolderId) -> Result<Vec<Open>, Fault>;
}

/// The enterprise erases one of its holders.
pub async fn erase(
    platform: &Platform,
    standings: &Standings,
    unfinished: &dyn Unfinished,
    scope: &TenantScope,
    id: HolderId,
) -> Result<Holder, Refusal<HolderErrorCode>> {
    scope.require(Permission::HolderErase)?;
    let tx = scope.write(&platform.database).await?;
    let erased = erase_in(&tx, unfinished, id, "holderErase").await?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(erased)
}

/// A holder erases themselves, whatever state the enterprise is in. Who has a phone proves it once more.
pub async fn erase_myself(
    platform: &Platform,
    standings: &Standings,
    unfinished: &dyn Unfinished,
    scope: &HolderScope,
    code: Option<&str>,
    address: Option<IpAddr>,
) -> Result<Holder, Refusal<HolderErrorCode>> {
    let id = scope.holder();
    if code.is_some() {
        // It stays counted: nobody erases themselves twice.
        Try::count(platform, scope.tenant(), id.uuid().as_bytes(), address).await?;
    }
    let tx = scope.write_of_own(&platform.database).await?;
    let known = personal::personal(&tx, id).await?.ok_or(Fault::NotFound)?;
    if let Some(phone_hash) = known.phone_hash {
        let code = code.ok_or_else(|| Refusal::at("code", HolderErrorCode::WrongCode))?;
        let data_key = enterprise::data_key(platform, &tx).await?;
        if !verification::judge_in(&tx, &data_key, CodePurpose::Erase, &phone_hash, code).await? {
            return verification::refuse(tx).await;
        }
    }
    let erased = erase_in(&tx, unfinished, id, "holderEraseMyself").await?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(erased)
}

async fn erase_in(
    tx: &TenantTx,
    unfinished: &dyn Unfinished,
    id: HolderId,
    action: &str,
) -> Result<Holder, Refusal<HolderErrorCode>> {
    let not_found = || Refusal::at("id", HolderErrorCode::HolderNotFound);
    let phone = personal::personal(tx, id).await?.ok_or_else(not_found)?.phone_hash;
    // Codes are locked before their holder, as everywhere. A refusal gives them back.
    if let Some(phone_hash) = &phone {
        codes::delete_of_in(tx, phone_hash).await?;
    }
    let known = personal::lock_alone_in(tx, id).await?.ok_or_else(not_found)?;
    if known.erased_at.is_some() {
        return Err(Refusal::at("id", HolderErrorCode::Erased));
    }
    let mut open: Vec<HolderErrorCode> = unfinished.of(tx, id).await?.into_iter().map(HolderErrorCode::from).collect();
    if store::transfers::has_open_transfer_of(tx, id).await? {
        open.push(HolderErrorCode::TransferOpen);
    }
    if known.phone_hash != phone {
        return Err(Fault::Contended(anyhow::anyhow!("a phone was bound while its holder was being erased")).into());
    }
    if !open.is_empty() {
        let problems = open.into_iter().map(|code| Problem { code, field: None, detail: None, wait: None }).collect();
        return Err(Refusal::Problems(problems));
    }

    personal::erase_in(tx, id, NOBODY).await?;
    identities::delete_of_in(tx, id).await?;
    identities::delete_person_in(tx, id).await?;
    tags::delete_of_in(tx, id).await?;
    session::erase_all_in(tx, id.uuid()).await?;
    let event = NewEvent::new(EventType::HolderErased, id.uuid(), known.version + 1, json!({ "holderId": id }))?;
    outbox::emit_in(tx, event).await?;
    audit::record_in(tx, action, id.uuid(), None, &json!({ "erased": id })).await?;
    Ok(store::holders_by_id(tx, &[id]).await?.remove(&id).ok_or(Fault::NotFound)?)
}

impl From<Open> for HolderErrorCode {
    fn from(open: Open) -> Self {
        match open {
            Open::Order => Self::OrderOpen,
            Open::Claim => Self::ClaimOpen,
        }
    }
}
