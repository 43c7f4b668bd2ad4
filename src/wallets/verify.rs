//! A holder proves their real name: name and identity number, which a provider says belong together.
//!
//! The provider is asked between two transactions. The first takes the idempotency key and notes there that the
//! question is being asked; the second keeps the answer under it. So each key is one question and one of the day's
//! tries: the same key gives the first answer again, also a mismatch, and who comes with it while the question is being
//! asked waits for the answer. What the provider could not answer gives the key back and does not count.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bridges::id_number::IdNumber;
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::throttle::{Forgotten, Window};
use crate::platform::vault::hex;
use crate::tenancy::enterprise::DataKey;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::scope::{HolderScope, TenantTx};
use crate::tenancy::store::throttles;
use crate::tenancy::throttle::{self, Key};
use crate::tenancy::{audit, enterprise};
use crate::wallets::model::{Holder, HolderErrorCode, RealNameResult};
use crate::wallets::real_name::RealNameProvider;
use crate::wallets::store;
use crate::wallets::store::personal::{self, Personal, RealName};

/// What names and numbers are sealed and hashed for.
pub const NAME: &str = "name";
pub const ID_NUMBER: &str = "id number";

/// Answers a day.
const TRIES: i64 = 3;
/// Requests of one holder, whatever came of them: a register that is down is not asked by a program all day long.
const REQUESTS: Window = Window { limit: 60, length: TimeDelta::hours(1) };
/// How many holders of one enterprise one identity may verify. A person has several numbers now and then: one of their
/// own from before, one by WeChat alone, one for a parent who has none. More than a few would be one person who takes
/// everybody's chances and limits.
const HOLDERS: i64 = 3;
/// A question that has been open for so long was lost with the server that asked it.
const LOST_AFTER: TimeDelta = TimeDelta::seconds(20);
/// How long somebody waits for the answer to a question that is being asked already.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often an answer is written again that lost a race.
const ATTEMPTS: u32 = 4;

const OPERATION: &str = "holderRealNameVerify";

pub struct Verified {
    pub holder: Holder,
    pub replayed: bool,
}

/// What stands under a key.
#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "SCREAMING_SNAKE_CASE")]
enum Kept {
    Asking { since: DateTime<Utc> },
    Match,
    Mismatch,
    TooManyHolders,
}

enum Begun {
    Ask,
    Wait,
    Done { replayed: bool },
}

struct Claim {
    name: String,
    number: IdNumber,
}

pub async fn verify(
    platform: &Platform,
    provider: &dyn RealNameProvider,
    scope: &HolderScope,
    (name, number): (&str, &str),
    key: &IdempotencyKey,
) -> Result<Verified, Refusal<HolderErrorCode>> {
    scope.require_active()?;
    let claim = check(platform, name, number)?;
    let requests = Key::new(platform, "real-name.holder", &[scope.holder().uuid().as_bytes()]);
    if let Err(wait) = throttle::count_in_window(platform, scope.tenant(), &requests, &REQUESTS).await? {
        return Err(Refusal::later(HolderErrorCode::TooOften, wait));
    }
    let mut patience = PATIENCE;
    loop {
        match begin(platform, scope, &claim, key).await? {
            Begun::Ask => break,
            Begun::Done { replayed } => return Ok(Verified { holder: find(platform, scope).await?, replayed }),
            Begun::Wait if patience.is_zero() => {
                return Err(Fault::Unavailable(anyhow::anyhow!("a register has not answered for long")).into());
            }
            Begun::Wait => {
                tokio::time::sleep(LOOK_AGAIN).await;
                patience = patience.saturating_sub(LOOK_AGAIN);
            }
        }
    }
    let result = match provider.belong_together(&claim.name, &claim.number).await {
        Ok(true) => RealNameResult::Match,
        Ok(false) => RealNameResult::Mismatch,
        Err(_) => RealNameResult::Unavailable,
    };
    // The question is not asked again because its answer lost a race.
    let mut attempt = 1;
    loop {
        match conclude(platform, scope, &claim, (provider.name(), result), key).await {
            Err(Refusal::Fault(Fault::Contended(_))) if attempt < ATTEMPTS => attempt += 1,
            outcome => break outcome?,
        }
    }
    Ok(Verified { holder: find(platform, scope).await?, replayed: false })
}

fn check(platform: &Platform, name: &str, number: &str) -> Result<Claim, Refusal<HolderErrorCode>> {
    let name = name.trim();
    let fits = |character: char| character.is_alphabetic() || matches!(character, '·' | '.' | ' ' | '-' | '\'');
    if !(2..=40).contains(&name.chars().count()) || !name.chars().all(fits) {
        return Err(Refusal::explained(
            "name",
            HolderErrorCode::InvalidInput,
            "请按身份证填写姓名，2 到 40 个字符。",
            "Give the name as it stands on the identity card: 2 to 40 letters.",
        ));
    }
    let today = (platform.clock.now() + TimeDelta::hours(8)).date_naive();
    let number =
        IdNumber::parse(number.trim(), today).map_err(|_| Refusal::at("idNumber", HolderErrorCode::InvalidIdNumber))?;
    Ok(Claim { name: name.to_owned(), number })
}

/// Takes the key for a question, or learns what became of it.
async fn begin(
    platform: &Platform,
    scope: &HolderScope,
    claim: &Claim,
    key: &IdempotencyKey,
) -> Result<Begun, Refusal<HolderErrorCode>> {
    let tx = scope.write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let known = lock_in(&tx, scope).await?;
    let now = tx.now().await?;
    // A plain hash of an identity number is as good as the number.
    let input = json!({ "identity": hex(&data_key.hash("real name", claim.text().as_bytes())) });
    match idempotency::claim_in::<Kept>(&tx, OPERATION, key, &input).await? {
        Turn::First => {}
        Turn::Replay(Kept::Match) => return Ok(Begun::Done { replayed: true }),
        Turn::Replay(Kept::Mismatch) => return Err(Refusal::code(HolderErrorCode::RealNameMismatch)),
        Turn::Replay(Kept::TooManyHolders) => return Err(Refusal::code(HolderErrorCode::TooManyHolders)),
        Turn::Replay(Kept::Asking { since }) if since + LOST_AFTER > now => return Ok(Begun::Wait),
        Turn::Replay(Kept::Asking { .. }) => {}
        Turn::Reused => return Err(Refusal::at("idempotencyKey", HolderErrorCode::IdempotencyKeyReused)),
    }
    if known.verified_at.is_some() {
        known.is(&data_key, claim)?;
        idempotency::settle_in(&tx, OPERATION, key, &Kept::Match).await?;
        tx.commit().await?;
        return Ok(Begun::Done { replayed: false });
    }
    if idempotency::count_within(&tx, OPERATION, TimeDelta::days(1)).await? > TRIES {
        return Err(Refusal::code(HolderErrorCode::TooManyTries));
    }
    idempotency::settle_in(&tx, OPERATION, key, &Kept::Asking { since: now }).await?;
    tx.commit().await?;
    Ok(Begun::Ask)
}

/// Keeps what the provider said.
async fn conclude(
    platform: &Platform,
    scope: &HolderScope,
    claim: &Claim,
    (provider, result): (&str, RealNameResult),
    key: &IdempotencyKey,
) -> Result<(), Refusal<HolderErrorCode>> {
    let id = scope.holder();
    let tx = scope.write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let known = lock_in(&tx, scope).await?;
    personal::insert_verification_in(&tx, id, provider, result).await?;
    audit::record_in(&tx, OPERATION, id.uuid(), None, &result).await?;
    let refused = match result {
        RealNameResult::Unavailable => {
            idempotency::release_in(&tx, OPERATION, key).await?;
            Some(HolderErrorCode::RealNameUnavailable)
        }
        RealNameResult::Mismatch => {
            idempotency::settle_in(&tx, OPERATION, key, &Kept::Mismatch).await?;
            Some(HolderErrorCode::RealNameMismatch)
        }
        // Another question of theirs was answered first.
        RealNameResult::Match if known.verified_at.is_some() => {
            known.is(&data_key, claim)?;
            idempotency::settle_in(&tx, OPERATION, key, &Kept::Match).await?;
            None
        }
        RealNameResult::Match => {
            let number_hash = data_key.hash(ID_NUMBER, claim.number.expose().as_bytes()).to_vec();
            take_turn_in(platform, &tx, &number_hash).await?;
            if personal::count_by_number(&tx, &number_hash).await? >= HOLDERS {
                idempotency::settle_in(&tx, OPERATION, key, &Kept::TooManyHolders).await?;
                Some(HolderErrorCode::TooManyHolders)
            } else {
                let seal = |purpose, text: &str| data_key.seal(&*platform.randomness, purpose, text.as_bytes());
                let real = RealName {
                    name_sealed: seal(NAME, &claim.name),
                    name_masked: masked(&claim.name),
                    number_sealed: seal(ID_NUMBER, claim.number.expose()),
                    number_hash,
                    number_masked: claim.number.masked(),
                };
                personal::set_real_name_in(&tx, id, real).await?;
                let data = json!({ "holderId": id });
                let event = NewEvent::new(EventType::HolderVerified, id.uuid(), known.version + 1, data)?;
                outbox::emit_in(&tx, event).await?;
                idempotency::settle_in(&tx, OPERATION, key, &Kept::Match).await?;
                None
            }
        }
    };
    tx.commit().await?;
    match refused {
        Some(code) => Err(Refusal::code(code)),
        None => Ok(()),
    }
}

/// Holders who verify under one number come one after the other: its counter's row is locked until the commit.
async fn take_turn_in(platform: &Platform, tx: &TenantTx, number_hash: &[u8]) -> Result<(), Fault> {
    let turn = Key::new(platform, "real-name.number", &[number_hash]);
    throttles::count_always_in(tx, &turn, Forgotten::AfterStart(TimeDelta::days(1))).await
}

async fn lock_in(tx: &TenantTx, scope: &HolderScope) -> Result<Personal, Refusal<HolderErrorCode>> {
    let known = personal::lock_in(tx, scope.holder()).await?.ok_or(Fault::NotFound)?;
    match known.erased_at {
        Some(_) => Err(Refusal::code(HolderErrorCode::Erased)),
        None => Ok(known),
    }
}

async fn find(platform: &Platform, scope: &HolderScope) -> Result<Holder, Fault> {
    let tx = scope.read(&platform.database).await?;
    store::holders_by_id(&tx, &[scope.holder()]).await?.remove(&scope.holder()).ok_or(Fault::NotFound)
}

impl Claim {
    fn text(&self) -> String {
        format!("{}/{}", self.number.expose(), self.name)
    }
}

impl Personal {
    /// Whether a verified holder is who is claimed; somebody else they cannot become.
    fn is(&self, data_key: &DataKey, claim: &Claim) -> Result<(), Refusal<HolderErrorCode>> {
        let opened = |purpose, sealed: &Option<Vec<u8>>| {
            sealed.as_ref().map(|sealed| data_key.open(purpose, sealed)).transpose().map_err(Fault::internal)
        };
        let same = opened(NAME, &self.name_sealed)?.as_deref() == Some(claim.name.as_bytes())
            && opened(ID_NUMBER, &self.id_number_sealed)?.as_deref() == Some(claim.number.expose().as_bytes());
        if same { Ok(()) } else { Err(Refusal::code(HolderErrorCode::AlreadyVerified)) }
    }
}

/// The last character, as many stars before it as others were.
fn masked(name: &str) -> String {
    let hidden = name.chars().count().saturating_sub(1);
    "*".repeat(hidden) + &name.chars().skip(hidden).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn a_name_shows_its_last_character() {
        assert_eq!(masked("韦小宝"), "**宝");
        assert_eq!(masked("Wu"), "*u");
    }
}
