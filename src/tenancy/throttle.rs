//! Attempts at passwords, codes and the like, counted so that nobody gets through by trying.
//!
//! An attempt is counted *before* it is judged ([`attempt`]), and what turned out to be right is forgiven afterwards
//! ([`forgive`], [`take_back`]): of two hundred guesses that come at once none is judged that was not counted. Counters
//! are keyed by a keyed hash of who or where, so the table tells nothing, and a name that does not exist is counted as
//! one that does. Each function is a transaction of its own; none of them may be called within another, which a refusal
//! would roll back and the count with it.
//!
//! To throttle something new, give it a `kind` of its own and a rule of `platform::throttle`, and decide what its key is
//! made of: whoever shares a key shares the wait, so a key that a stranger can count up locks others out.

use std::net::{IpAddr, Ipv6Addr};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::throttle::{Growth, Wait, Window};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::store::throttles;

/// Whose counters those are that are counted before an enterprise is known.
pub const NO_TENANT: EnterpriseId = EnterpriseId::from_uuid(Uuid::nil());

/// One counter: what is counted, and under which keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub kind: &'static str,
    pub hash: [u8; 32],
}

impl Key {
    /// Of several parts, told apart whatever they hold.
    pub fn new(platform: &Platform, kind: &'static str, parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(*part);
        }
        Self { kind, hash: platform.master_key.derive("throttle").hash(kind, &bytes) }
    }
}

/// Where somebody comes from, as far as it can be counted: an address, and of IPv6 the /56 around it, because nobody is
/// given a single one. A telephone has a /64 and a household a /56; whoever has a /48 has 256 places and not one for
/// every packet. Who comes from nowhere that is known shares one place.
pub fn place(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("{}/56", Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 72))),
        None => "unknown".to_owned(),
    }
}

/// Counts one attempt under every key, or under none where one of them has to wait. Gives the counts in the order of the
/// keys. Call it before the attempt is judged. Keys of several kinds are always named in the same order.
pub async fn attempt(
    platform: &Platform,
    tenant: EnterpriseId,
    keys: &[(Key, Growth)],
) -> Result<Result<Vec<u32>, Wait>, Fault> {
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    let mut counts = Vec::with_capacity(keys.len());
    for (key, growth) in keys {
        let Some(count) = throttles::count_growth_in(&tx, key, growth).await? else {
            let tally = throttles::tally(&tx, key).await?;
            let now = tx.now().await?;
            let wait = tally.and_then(|tally| growth.wait(&tally, now));
            // Dropped, it takes back what was counted under the keys before.
            return Ok(Err(wait.unwrap_or(Wait::of(TimeDelta::zero()))));
        };
        counts.push(count);
    }
    tx.commit().await?;
    Ok(Ok(counts))
}

/// Whether an attempt would have to wait, without counting it. It is no guard by itself: see [`attempt`].
pub async fn check(
    platform: &Platform,
    tenant: EnterpriseId,
    key: &Key,
    growth: &Growth,
) -> Result<Result<(), Wait>, Fault> {
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let Some(tally) = throttles::tally(&tx, key).await? else { return Ok(Ok(())) };
    let now: DateTime<Utc> = tx.now().await?;
    Ok(growth.wait(&tally, now).map_or(Ok(()), Err))
}

/// Counts a failure that was not counted beforehand, whether or not it ought to have waited.
pub async fn fail(platform: &Platform, tenant: EnterpriseId, key: &Key, growth: &Growth) -> Result<(), Fault> {
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    throttles::count_always_in(&tx, key, growth.forgotten).await?;
    tx.commit().await
}

/// Forgets all that was counted under a key: whoever it stands for has shown that they may.
pub async fn forgive(platform: &Platform, tenant: EnterpriseId, keys: &[Key]) -> Result<(), Fault> {
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    for key in keys {
        throttles::delete_in(&tx, key).await?;
    }
    tx.commit().await
}

/// Takes back one attempt of the caller's own. For keys that others share: who could clear them could guess for ever at
/// others, with a success of their own in between.
pub async fn take_back(platform: &Platform, tenant: EnterpriseId, keys: &[Key]) -> Result<(), Fault> {
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    for key in keys {
        throttles::count_down_in(&tx, key).await?;
    }
    tx.commit().await
}

/// Counts one more within the present window, or says when the next one begins.
pub async fn count_in_window(
    platform: &Platform,
    tenant: EnterpriseId,
    key: &Key,
    window: &Window,
) -> Result<Result<(), Wait>, Fault> {
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    if throttles::count_window_in(&tx, key, window).await?.is_some() {
        tx.commit().await?;
        return Ok(Ok(()));
    }
    let tally = throttles::tally(&tx, key).await?;
    let now = tx.now().await?;
    let wait = tally.and_then(|tally| window.wait(&tally, now));
    Ok(Err(wait.unwrap_or(Wait::of(TimeDelta::zero()))))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn nobody_gets_another_place_by_taking_another_of_their_addresses() {
        let of = |text: &str| place(Some(text.parse().expect("an address")));
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:ff:1:2:3:4"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:102::3"), "a neighbour's");
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.7"));
        assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
        assert_ne!(of("::"), place(None));
    }
}
