//! Lists of phones: who is invited to an activity, and whom the enterprise lets draw in none (黑名单). Kept as keyed
//! hashes: a list can be changed and counted, and not be read.

use std::collections::HashSet;

use serde_json::json;

use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityKind};
use crate::activities::store;
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::{audit, enterprise};
use crate::wallets::holder::{self, Phone};

const MAXIMUM: usize = 1000;

#[derive(Clone, Debug)]
pub struct PhonesRequest {
    pub add: Vec<String>,
    pub remove: Vec<String>,
}

/// How many stand on a list that was changed.
pub struct Listed<T> {
    pub of: T,
    pub count: i64,
}

/// Changes the list of an activity, whatever its state.
pub async fn change_invited(
    platform: &Platform,
    scope: &TenantScope,
    id: ActivityId,
    request: &PhonesRequest,
) -> Result<Listed<Activity>, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let (add, remove) = phones(request)?;
    let tx = scope.write(&platform.database).await?;
    let found = store::activities_by_id(&tx, &[id]).await?.remove(&id);
    let drawn = found.filter(|activity| activity.kind == ActivityKind::Draw);
    let activity = drawn.ok_or_else(|| Refusal::at("activityId", ActivityErrorCode::NotFound))?;
    let (add, remove) = hashed(platform, &tx, &add, &remove).await?;
    store::participation::remove_listed_in(&tx, id, remove).await?;
    store::participation::add_listed_in(&tx, id, add).await?;
    let count = store::participation::count_listed(&tx, id).await?;
    record_in(&tx, "participationPhonesChange", id.uuid(), request, count).await?;
    tx.commit().await?;
    Ok(Listed { of: activity, count })
}

/// Changes the enterprise's black list.
pub async fn change_blocked(
    platform: &Platform,
    scope: &TenantScope,
    request: &PhonesRequest,
) -> Result<Listed<()>, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let (add, remove) = phones(request)?;
    let tx = scope.write(&platform.database).await?;
    let (add, remove) = hashed(platform, &tx, &add, &remove).await?;
    store::participation::remove_blocked_in(&tx, remove).await?;
    store::participation::add_blocked_in(&tx, add).await?;
    let count = store::participation::count_blocked(&tx).await?;
    record_in(&tx, "blockedPhonesChange", scope.tenant().uuid(), request, count).await?;
    tx.commit().await?;
    Ok(Listed { of: (), count })
}

type Phones = (HashSet<Phone>, HashSet<Phone>);

fn phones(request: &PhonesRequest) -> Result<Phones, Refusal<ActivityErrorCode>> {
    let read = |field: &str, texts: &[String]| -> Result<HashSet<Phone>, Refusal<ActivityErrorCode>> {
        let read = |(place, text): (usize, &String)| {
            Phone::parse(text).ok_or_else(|| Refusal::at(format!("{field}.{place}"), ActivityErrorCode::InvalidPhone))
        };
        texts.iter().enumerate().map(read).collect()
    };
    let explain = |chinese, english| Refusal::explained("add", ActivityErrorCode::InvalidInput, chinese, english);
    if !(1..=MAXIMUM).contains(&(request.add.len() + request.remove.len())) {
        return Err(explain(
            "须有 1 到 1000 个手机号。",
            "Name 1 to 1000 mobile numbers, to add and to remove together.",
        ));
    }
    let (add, remove) = (read("add", &request.add)?, read("remove", &request.remove)?);
    if add.is_disjoint(&remove) {
        Ok((add, remove))
    } else {
        Err(explain("同一手机号不能既添加又移除。", "A number is either added or removed, not both."))
    }
}

async fn hashed(
    platform: &Platform,
    tx: &TenantTx,
    add: &HashSet<Phone>,
    remove: &HashSet<Phone>,
) -> Result<(Vec<Vec<u8>>, Vec<Vec<u8>>), Refusal<ActivityErrorCode>> {
    let data_key = enterprise::data_key(platform, tx).await?;
    let hash = |phones: &HashSet<Phone>| -> Vec<Vec<u8>> {
        let mut hashes: Vec<Vec<u8>> = phones.iter().map(|phone| holder::phone_hash(&data_key, phone)).collect();
        hashes.sort_unstable();
        hashes
    };
    Ok((hash(add), hash(remove)))
}

async fn record_in(
    tx: &TenantTx,
    action: &str,
    subject: uuid::Uuid,
    request: &PhonesRequest,
    count: i64,
) -> Result<(), Refusal<ActivityErrorCode>> {
    let change = json!({ "added": request.add.len(), "removed": request.remove.len(), "count": count });
    Ok(audit::record_in(tx, action, subject, None, &change).await?)
}
