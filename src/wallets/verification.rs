//! Codes that prove a phone: sent, and judged.
//!
//! A code is six digits, good for five minutes, one purpose and one use. What is stored is a keyed hash over tenant,
//! purpose, phone and code. Only the newest code for a phone and a purpose counts. Whether anybody knows the phone is
//! not looked at, so that the answer cannot tell.
//!
//! Tries are bounded twice. From one place a few are free for each phone and then each has to wait; a try that has to
//! wait is not judged, so that it does not wear the code off. And whoever tries, a code bears [`TRIES`]. So nobody spoils
//! a holder's code from where they are: in its five minutes one place gets eight tries. It takes three places at once,
//! and then the next code is as good as new. A guesser who has any number of places gets twenty of a million for a code
//! and, at ten codes a day for a phone ([`ONE_PHONE_A_DAY`]), is right at one enterprise on one day in five thousand,
//! with ten messages to the phone on each of them.

use std::net::IpAddr;

use chrono::TimeDelta;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::randomness::Randomness;
use crate::platform::refusal::Refusal;
use crate::platform::throttle::{Growth, Window};
use crate::tenancy::enterprise::{self, DataKey};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HolderScope, HouseTx, TenantScope, TenantTx};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::{self as directory, DirectoryKind};
use crate::tenancy::throttle::{self, Key, NO_TENANT};
use crate::wallets::entrance::{self, Entrance};
use crate::wallets::holder::{self, Phone};
use crate::wallets::model::{CodePurpose, HolderErrorCode};
use crate::wallets::sms::{Code, SmsError, SmsSender};
use crate::wallets::store::{codes, personal};

/// How long a code is good. The store's SQL says the same.
pub const MINUTES: i64 = 5;
/// What one code bears, wherever the tries come from.
pub const TRIES: i32 = 20;

/// Tries at one phone's codes from one place: a finger that slips five times waits for half a minute.
const FROM_ONE_PLACE: Growth = Growth { free: 5, first: TimeDelta::seconds(30), ..Growth::GUESSES };

/// What is sent at most. A phone's windows protect its owner, also from being written to by one enterprise after the
/// other; an address's keeps one visitor from writing to many, an enterprise's bounds what a flood costs it.
const ONE_PHONE: Window = Window { limit: 1, length: TimeDelta::minutes(1) };
const ONE_PHONE_A_DAY: Window = Window { limit: 10, length: TimeDelta::days(1) };
const ONE_ADDRESS: Window = Window { limit: 60, length: TimeDelta::minutes(10) };
const ONE_HOLDER_A_DAY: Window = Window { limit: 20, length: TimeDelta::days(1) };
const ONE_PHONE_EVERYWHERE: Window = Window { limit: 30, length: TimeDelta::days(1) };
const ONE_ENTERPRISE: Window = Window { limit: 6_000, length: TimeDelta::hours(1) };

/// Whom a code is asked for.
#[derive(Clone, Copy, Debug)]
pub struct CodeRequest<'a> {
    pub phone: &'a str,
    pub purpose: CodePurpose,
    pub entrance: Entrance<'a>,
    /// The holder who asks, if one does. Codes for [`CodePurpose::BindPhone`] and [`CodePurpose::Erase`] are sent to
    /// nobody else.
    pub holder: Option<&'a HolderScope>,
    pub address: Option<IpAddr>,
}

/// Sends a code.
pub async fn send(
    platform: &Platform,
    standings: &Standings,
    sender: &dyn SmsSender,
    request: &CodeRequest<'_>,
) -> Result<(), Refusal<HolderErrorCode>> {
    let phone = holder::phone("phone", request.phone)?;
    let tenant = match (request.purpose, request.holder) {
        (CodePurpose::Wallet, _) => wallet_tenant(platform, request.entrance).await?,
        (CodePurpose::BindPhone | CodePurpose::Erase, None) => {
            return Err(Fault::wrong_caller("用户的令牌", "a holder's token").into());
        }
        (purpose @ (CodePurpose::BindPhone | CodePurpose::Erase), Some(holder)) => {
            can_be_used(platform, holder, purpose, &phone).await?;
            holder.tenant()
        }
        (CodePurpose::SignIn, Some(holder)) => holder.tenant(),
        (CodePurpose::SignIn, None) => entrance::find(platform, standings, request.entrance).await?.tenant,
    };
    let counted = count(platform, tenant, &phone, request.address).await?;

    let code = draw(&*platform.randomness);
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let phone_hash = holder::phone_hash(&data_key, &phone);
    let id = codes::insert_in(&tx, request.purpose, &phone_hash, &hash(&data_key, request.purpose, &phone_hash, &code))
        .await?;
    tx.commit().await?;

    let Err(error) = sender.send_code(&phone, &code).await else { return Ok(()) };
    take_back(platform, &counted).await?;
    if error == SmsError::NotSent {
        // It would stand before an older one that may have arrived. One that may still arrive stays.
        let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
        codes::delete_in(&tx, id).await?;
        tx.commit().await?;
    }
    Err(Refusal::at("phone", HolderErrorCode::NotSent))
}

/// Whether the holder could use a code that was sent to this phone. Whose phone it is otherwise is not looked at, and how
/// often somebody may ask is counted: a stolen token is not to find out the middle of a number that it shows masked.
async fn can_be_used(
    platform: &Platform,
    holder: &HolderScope,
    purpose: CodePurpose,
    phone: &Phone,
) -> Result<(), Refusal<HolderErrorCode>> {
    let tenant = holder.tenant();
    let asked = Key::new(platform, "code.holder", &[holder.holder().uuid().as_bytes()]);
    if let Err(wait) = throttle::count_in_window(platform, tenant, &asked, &ONE_HOLDER_A_DAY).await? {
        return Err(Refusal::later(HolderErrorCode::TooOften, wait));
    }
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let bound = personal::personal(&tx, holder.holder()).await?.ok_or(Fault::NotFound)?.phone_hash;
    let own = match &bound {
        Some(bound) => *bound == holder::phone_hash(&enterprise::data_key(platform, &tx).await?, phone),
        None => false,
    };
    match (purpose, bound) {
        (CodePurpose::Erase, None) => Err(Refusal::at("phone", HolderErrorCode::NoPhone)),
        (CodePurpose::Erase, Some(_)) if !own => Err(Refusal::at("phone", HolderErrorCode::NotYourPhone)),
        (CodePurpose::BindPhone, Some(_)) if !own => Err(Refusal::at("phone", HolderErrorCode::PhoneBound)),
        _ => Ok(()),
    }
}

/// Codes for a wallet across enterprises are the house's: no enterprise's data key may judge them.
pub async fn wallet_tenant(
    platform: &Platform,
    entrance: Entrance<'_>,
) -> Result<EnterpriseId, Refusal<HolderErrorCode>> {
    if entrance.site.is_some() {
        return Err(Refusal::code(HolderErrorCode::NotOnThisHost));
    }
    if entrance.named.is_some() {
        return Err(Refusal::explained(
            "enterprise",
            HolderErrorCode::InvalidInput,
            "跨企业钱包不属于任何企业，请勿指明企业。",
            "A wallet across enterprises is no enterprise's; leave the enterprise out.",
        ));
    }
    let house = HouseTx::read(&platform.database).await?;
    let found = directory::look_up(&house, DirectoryKind::Slug, enterprise::RESERVED_SLUG).await?;
    Ok(found
        .ok_or_else(|| Fault::Unavailable(anyhow::anyhow!("no house has been founded; apply a manifest with one")))?)
}

/// A try at a code that was counted where it comes from.
pub struct Try {
    tenant: EnterpriseId,
    key: Key,
}

impl Try {
    /// Before the code is judged, and in no transaction. `whose` is the phone that the code was sent to or, where the
    /// try can be nobody else's, the holder.
    pub async fn count(
        platform: &Platform,
        tenant: EnterpriseId,
        whose: &[u8],
        address: Option<IpAddr>,
    ) -> Result<Self, Refusal<HolderErrorCode>> {
        let key = Key::new(platform, "code.try", &[whose, throttle::place(address).as_bytes()]);
        match throttle::attempt(platform, tenant, &[(key, FROM_ONE_PLACE)]).await? {
            Ok(_) => Ok(Self { tenant, key }),
            Err(wait) => Err(Refusal::later(HolderErrorCode::TooOften, wait)),
        }
    }

    /// After the commit. Who is in is in, even if the counter could not be reached.
    pub async fn was_right(self, platform: &Platform) {
        if let Err(fault) = throttle::forgive(platform, self.tenant, &[self.key]).await {
            tracing::warn!("tries at a code stay counted: {}", fault.with_causes());
        }
    }
}

/// Whether this is the newest code that was sent to the phone for the purpose, which is then used up. A try is counted
/// either way: who is told `false` commits before they refuse. Where it comes from was counted before ([`Try`]).
pub async fn judge_in(
    tx: &TenantTx,
    data_key: &DataKey,
    purpose: CodePurpose,
    phone_hash: &[u8],
    code: &str,
) -> Result<bool, Fault> {
    let Some(sent) = codes::lock_newest_in(tx, purpose, phone_hash).await? else { return Ok(false) };
    if sent.used_at.is_some() || sent.attempts >= TRIES || sent.expires_at <= tx.now().await? {
        return Ok(false);
    }
    let right = sent.code_hash == hash(data_key, purpose, phone_hash, &Code::of(code));
    codes::count_try_in(tx, sent.id, right).await?;
    Ok(right)
}

/// Commits the try that was counted, and says no.
pub async fn refuse<T>(tx: TenantTx) -> Result<T, Refusal<HolderErrorCode>> {
    tx.commit().await?;
    Err(Refusal::at("code", HolderErrorCode::WrongCode))
}

/// Counts a message under everything that bounds it, or under nothing.
async fn count(
    platform: &Platform,
    tenant: EnterpriseId,
    phone: &Phone,
    address: Option<IpAddr>,
) -> Result<Vec<(EnterpriseId, Key)>, Refusal<HolderErrorCode>> {
    let phone = phone.digits().as_bytes();
    let place = throttle::place(address);
    let bounds = [
        (tenant, Key::new(platform, "code.address", &[place.as_bytes()]), ONE_ADDRESS),
        (tenant, Key::new(platform, "code.phone", &[phone]), ONE_PHONE),
        (tenant, Key::new(platform, "code.phone.day", &[phone]), ONE_PHONE_A_DAY),
        (NO_TENANT, Key::new(platform, "code.phone.everywhere", &[phone]), ONE_PHONE_EVERYWHERE),
        (tenant, Key::new(platform, "code.enterprise", &[]), ONE_ENTERPRISE),
    ];
    let mut counted = Vec::with_capacity(bounds.len());
    for (tenant, key, window) in bounds {
        if let Err(wait) = throttle::count_in_window(platform, tenant, &key, &window).await? {
            take_back(platform, &counted).await?;
            return Err(Refusal::later(HolderErrorCode::TooOften, wait));
        }
        counted.push((tenant, key));
    }
    Ok(counted)
}

async fn take_back(platform: &Platform, counted: &[(EnterpriseId, Key)]) -> Result<(), Fault> {
    for (tenant, key) in counted {
        throttle::take_back(platform, *tenant, &[*key]).await?;
    }
    Ok(())
}

/// Every code is as likely as every other: a number beyond the last whole million is drawn again.
fn draw(randomness: &dyn Randomness) -> Code {
    const CODES: u32 = 1_000_000;
    loop {
        let number = u32::from_be_bytes(randomness.bytes());
        if number < u32::MAX - u32::MAX % CODES {
            return Code::new(number % CODES);
        }
    }
}

// The phone's hash is the tenant's own, so the tenant is bound in twice.
fn hash(data_key: &DataKey, purpose: CodePurpose, phone_hash: &[u8], code: &Code) -> Vec<u8> {
    let bytes = [purpose.as_str().as_bytes(), b"/", phone_hash, code.expose().as_bytes()].concat();
    data_key.hash("verification code", &bytes).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::randomness::SeededRandomness;

    /// Gives these numbers, one after the other.
    struct Scripted(std::sync::Mutex<Vec<u32>>);

    impl Randomness for Scripted {
        fn fill(&self, bytes: &mut [u8]) {
            let number = self.0.lock().unwrap().remove(0);
            bytes.copy_from_slice(&number.to_be_bytes());
        }
    }

    #[test]
    fn no_code_is_likelier_than_another() {
        let drawn = |numbers: &[u32]| draw(&Scripted(std::sync::Mutex::new(numbers.to_vec())));
        assert_eq!(drawn(&[0]).expose(), "000000");
        assert_eq!(drawn(&[4_293_999_999]).expose(), "999999", "the last whole million");
        assert_eq!(drawn(&[4_294_000_000, u32::MAX, 5]).expose(), "000005", "what is beyond is drawn again");
        let randomness = SeededRandomness::new(3);
        assert_ne!(draw(&randomness), draw(&randomness));
    }
}
