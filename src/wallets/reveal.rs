//! A person of the enterprise looks at a holder's personal data in clear. Each look is recorded with what was looked at.

use std::collections::BTreeSet;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::{audit, enterprise};
use crate::wallets::holder;
use crate::wallets::model::{HolderErrorCode, HolderId, PersonalField};
use crate::wallets::store::personal;
use crate::wallets::verify;

/// What was asked for and is known.
#[derive(Clone, Default)]
pub struct Revealed {
    pub phone: Option<String>,
    pub name: Option<String>,
    pub id_number: Option<String>,
}

/// For people only: a machine that could reveal would be a copy of the list.
pub async fn reveal(
    platform: &Platform,
    scope: &TenantScope,
    id: HolderId,
    fields: &[PersonalField],
) -> Result<Revealed, Refusal<HolderErrorCode>> {
    scope.require(Permission::HolderReveal)?;
    scope.operator()?;
    let names: BTreeSet<&str> = fields.iter().map(|field| field.as_str()).collect();
    if names.is_empty() {
        return Err(Refusal::explained(
            "fields",
            HolderErrorCode::InvalidInput,
            "请指明要查看的内容。",
            "Name what you want to see.",
        ));
    }
    let tx = scope.write(&platform.database).await?;
    let known = personal::personal(&tx, id).await?.ok_or_else(|| Refusal::at("id", HolderErrorCode::HolderNotFound))?;
    if known.erased_at.is_some() {
        return Err(Refusal::at("id", HolderErrorCode::Erased));
    }
    let data_key = enterprise::data_key(platform, &tx).await?;
    let open = |field: PersonalField, purpose, sealed: &Option<Vec<u8>>| match sealed {
        Some(sealed) if fields.contains(&field) => {
            let clear = data_key.open(purpose, sealed).map_err(Fault::internal)?;
            String::from_utf8(clear)
                .map(Some)
                .map_err(|_| Fault::internal(anyhow::anyhow!("what was sealed is no text")))
        }
        _ => Ok(None),
    };
    let revealed = Revealed {
        phone: open(PersonalField::Phone, holder::PURPOSE, &known.phone_sealed)?,
        name: open(PersonalField::Name, verify::NAME, &known.name_sealed)?,
        id_number: open(PersonalField::IdNumber, verify::ID_NUMBER, &known.id_number_sealed)?,
    };
    // The log keeps digests of what changed, and here nothing did: what was looked at stands in the action.
    let names: Vec<&str> = names.into_iter().collect();
    let action = format!("holderReveal({})", names.join(", "));
    audit::record_in(&tx, &action, id.uuid(), None, &names).await?;
    tx.commit().await?;
    Ok(revealed)
}
