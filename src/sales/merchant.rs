//! Merchant numbers: an enterprise binds its own, and the channel says whether it is.

use serde_json::json;

use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::sales::SalesServices;
use crate::sales::model::{BindingState, Merchant, MerchantId, PaymentChannel, SaleErrorCode};
use crate::sales::store::bindings::{self, NewMerchant};
use crate::tenancy::audit;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};

#[derive(Clone, Debug)]
pub struct MerchantRequest {
    pub name: String,
    pub channel: PaymentChannel,
    pub merchant_number: String,
}

pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &MerchantRequest,
) -> Result<Merchant, Refusal<SaleErrorCode>> {
    scope.require(Permission::SaleManage)?;
    let new = NewMerchant {
        id: MerchantId::generate(),
        name: request.name.trim(),
        channel: request.channel,
        merchant_number: request.merchant_number.trim(),
    };
    check(&new)?;
    let tx = scope.write(&platform.database).await?;
    let merchant = bindings::insert_merchant_in(&tx, &new)
        .await?
        .ok_or_else(|| Refusal::at("merchantNumber", SaleErrorCode::MerchantNumberTaken))?;
    audit::record_in(&tx, "merchantCreate", merchant.id.uuid(), None, &merchant).await?;
    announce_in(&tx, &merchant).await?;
    tx.commit().await?;
    Ok(merchant)
}

/// Asks the channel. Its no makes the merchant FAILED, which is a result and may be tried again.
pub async fn verify(
    platform: &Platform,
    services: &SalesServices,
    scope: &TenantScope,
    id: MerchantId,
) -> Result<Merchant, Refusal<SaleErrorCode>> {
    scope.require(Permission::SaleManage)?;
    let tx = scope.read(&platform.database).await?;
    let asked = open(bindings::merchants_by_id(&tx, &[id]).await?.remove(&id))?;
    drop(tx); // the channel may take its time
    let is_theirs = services.provider(asked.channel)?.verify(&asked).await?;

    let tx = scope.write(&platform.database).await?;
    // Another verification may have come first.
    let before = open(bindings::lock_merchant_in(&tx, id).await?)?;
    let after = if is_theirs {
        let verified = step_in(&tx, &before, BindingState::Verified).await?;
        // A channel asks for nothing more today. One that does stops at VERIFIED.
        step_in(&tx, &verified, BindingState::Active).await?
    } else {
        step_in(&tx, &before, BindingState::Failed).await?
    };
    audit::record_in(&tx, "merchantVerify", id.uuid(), Some(&before), &after).await?;
    tx.commit().await?;
    Ok(after)
}

fn open(merchant: Option<Merchant>) -> Result<Merchant, Refusal<SaleErrorCode>> {
    let merchant = merchant.ok_or_else(|| Refusal::at("id", SaleErrorCode::MerchantNotFound))?;
    if merchant.state == BindingState::Active {
        return Err(Refusal::at("id", SaleErrorCode::AlreadyActive));
    }
    Ok(merchant)
}

async fn step_in(tx: &TenantTx, before: &Merchant, next: BindingState) -> Result<Merchant, Fault> {
    if !before.state.may_become(next) {
        return Err(Fault::internal(anyhow::anyhow!("{} cannot go from {:?} to {next:?}", before.id, before.state)));
    }
    let after = bindings::set_merchant_state_in(tx, before.id, next).await?;
    announce_in(tx, &after).await?;
    Ok(after)
}

async fn announce_in(tx: &TenantTx, merchant: &Merchant) -> Result<(), Fault> {
    let data = json!({ "merchantId": merchant.id, "channel": merchant.channel, "state": merchant.state });
    outbox::emit_in(tx, NewEvent::new(EventType::MerchantChanged, merchant.id.uuid(), merchant.version, data)?).await
}

fn check(new: &NewMerchant<'_>) -> Result<(), Refusal<SaleErrorCode>> {
    if new.name.is_empty() || new.name.chars().count() > 60 {
        return Err(Refusal::explained(
            "name",
            SaleErrorCode::InvalidInput,
            "名称须为 1 到 60 个字符。",
            "A name has 1 to 60 characters.",
        ));
    }
    let number = new.merchant_number.as_bytes();
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=32).contains(&number.len()) || !number.iter().all(fits) {
        return Err(Refusal::explained(
            "merchantNumber",
            SaleErrorCode::InvalidInput,
            "商户号须为 1 到 32 个字母、数字、连字符或下划线。",
            "A merchant number has 1 to 32 letters, digits, hyphens or underscores.",
        ));
    }
    Ok(())
}
