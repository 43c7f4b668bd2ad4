//! An operator signs in with a password, and a code where two-step sign-in is on.
//!
//! Each attempt is counted before it is judged, so that guesses at once do not slip through. A stranger's attempt is
//! counted three times: by name and address block, which is where guessing at one person shows; by address over all names;
//! and by name over all addresses, where the waits stay short, because everybody in the world can count that one up. So
//! guesses from elsewhere slow nobody down who signs in from where they always do, and a known device (`device.rs`) is
//! counted by itself, whatever strangers do.
//!
//! Whether a name exists is told by nothing: unknown ones are looked up, counted, verified and answered the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::TimeDelta;
use serde_json::json;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::throttle::{Forgotten, Growth, Wait};
use crate::tenancy::audit;
use crate::tenancy::device::{self, DeviceId};
use crate::tenancy::model::{
    Enterprise, EnterpriseId, EnterpriseState, Operator, OperatorId, OperatorState, SessionSubject, SignInErrorCode,
    SignInMethod,
};
use crate::tenancy::operator::normalise_sign_in;
use crate::tenancy::password;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::second_factor;
use crate::tenancy::session::{self, Granted, NewSession, Visit};
use crate::tenancy::store::{self, DirectoryKind, operators};
use crate::tenancy::throttle::{self, Key, NO_TENANT};
use crate::tenancy::token::Tokens;

/// A hash of no password that anybody has: verifying against it makes an unknown name cost what a known one costs.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9i$o2IuHdKCGM1C4n3cXQj0kUC7oHVN8S+zH1YXTnNqkFs";

/// Many people share an address: more is free, and no wait is as long as one person's.
const ADDRESS: Growth =
    Growth { free: 30, first: TimeDelta::seconds(1), longest: TimeDelta::minutes(5), ..Growth::GUESSES };

/// One address block alone cannot use this up: its own waits are longer.
const NAME: Growth = Growth {
    free: 50,
    first: TimeDelta::seconds(1),
    longest: TimeDelta::minutes(1),
    forgotten: Forgotten::AfterStart(TimeDelta::hours(1)),
};

#[derive(Clone, Debug)]
pub struct SignInRequest<'a> {
    pub sign_in: &'a str,
    pub password: &'a str,
    pub code: Option<&'a str>,
    pub device_token: Option<&'a str>,
    pub visit: &'a Visit,
    /// The enterprise whose bound host was asked: nobody else's people sign in there.
    pub site: Option<EnterpriseId>,
}

#[derive(Clone, Debug)]
pub struct SignedIn {
    pub granted: Granted,
    pub operator: Operator,
    /// For the next sign-in from the same device.
    pub device_token: String,
}

pub async fn sign_in(
    platform: &Platform,
    tokens: &Tokens,
    request: &SignInRequest<'_>,
) -> Result<SignedIn, Refusal<SignInErrorCode>> {
    let name = normalise_sign_in(request.sign_in);
    let device = request.device_token.and_then(|token| device::known(platform, &name, token));
    let counters = Counters::of(platform, &name, request.visit.address, device.as_ref());
    let attempts = counters.count(platform).await?.map_err(later)?;

    let found = find(platform, &name).await?;
    let hash = found.as_ref().and_then(|(_, operator)| operator.password_hash.clone());
    let matches = password::verify(hash.unwrap_or_else(|| NOBODY.to_owned()), request.password.to_owned()).await?;
    let Some((enterprise, operator)) =
        found.as_ref().filter(|(enterprise, _)| matches && request.site.is_none_or(|site| site == enterprise.id))
    else {
        if let Some((enterprise, operator)) = &found {
            note_failure(platform, enterprise.id, operator.id, attempts, "WRONG_PASSWORD");
        }
        return Err(Refusal::code(SignInErrorCode::WrongCredentials));
    };
    if enterprise.state == EnterpriseState::Closed {
        return Err(Refusal::code(SignInErrorCode::EnterpriseNotActive));
    }
    let code = match (operator.totp_confirmed_at, request.code) {
        (None, _) => None,
        (Some(_), None) => {
            counters.take_back(platform).await;
            return Err(Refusal::at("code", SignInErrorCode::TotpRequired));
        }
        (Some(_), Some(code)) => {
            let key = second_factor::count_attempt(platform, enterprise.id, operator.id, device.as_ref()).await?;
            Some((code, key.map_err(later)?))
        }
    };

    let scope = TenantScope::of_operator(enterprise.id, operator.id, operator.role, request.visit.request_id.clone());
    let tx = scope.write(&platform.database).await?;
    // They may have been disabled, or their password changed, while it was verified.
    let present = operators::lock_in(&tx, operator.id).await?.filter(|present| {
        present.state == OperatorState::Active
            && present.password_hash == operator.password_hash
            && present.totp_confirmed_at == operator.totp_confirmed_at
    });
    let present = present.ok_or_else(|| Refusal::code(SignInErrorCode::WrongCredentials))?;
    let method = match code {
        None => SignInMethod::Password,
        Some((code, _)) => match second_factor::spend_in(platform, &tx, present.id, code).await? {
            Some(method) => method,
            None => {
                note_failure(platform, enterprise.id, operator.id, attempts, "WRONG_CODE");
                return Err(Refusal::at("code", SignInErrorCode::WrongCode));
            }
        },
    };
    let new = NewSession {
        subject: SessionSubject::Operator,
        subject_id: present.id.uuid(),
        method,
        visit: request.visit,
        brief: false,
    };
    let opened = session::open_in(platform, &tx, new).await?;
    audit::record_in(&tx, "operatorSignIn", present.id.uuid(), None, &opened.session.id).await?;
    tx.commit().await?;

    counters.forgive(platform).await;
    if let Some((_, key)) = code {
        forgiven(throttle::forgive(platform, enterprise.id, &[key]).await);
    }
    let identity = session::operator_identity(enterprise.kind, present.id, present.role);
    let granted = session::grant(tokens, enterprise.id, opened, identity)?;
    let device_token = match (device, request.device_token) {
        (Some(_), Some(known)) => known.to_owned(),
        _ => device::issue(platform, &name),
    };
    Ok(SignedIn { granted, operator: present, device_token })
}

/// The operator of this name who may come in. The same statements are sent for a name that nobody has.
async fn find(platform: &Platform, name: &str) -> Result<Option<(Enterprise, Operator)>, Fault> {
    let house = HouseTx::read(&platform.database).await?;
    let tenant = store::look_up(&house, DirectoryKind::SignIn, name).await?.unwrap_or(NO_TENANT);
    drop(house);
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let (operator, enterprise) =
        futures_util::try_join!(store::operator_by_sign_in(&tx, name), store::enterprise(&tx))?;
    Ok(enterprise.zip(operator))
}

/// What an attempt is counted under.
enum Counters {
    Known { device: Key },
    Stranger { block: Key, address: Key, name: Key },
}

impl Counters {
    fn of(platform: &Platform, name: &str, address: Option<IpAddr>, device: Option<&DeviceId>) -> Self {
        let name = name.as_bytes();
        if let Some(device) = device {
            return Self::Known { device: Key::new(platform, "SIGN_IN_DEVICE", &[name, device]) };
        }
        let (block, place) = (block(address).to_string(), throttle::place(address));
        Self::Stranger {
            block: Key::new(platform, "SIGN_IN_BLOCK", &[name, block.as_bytes()]),
            address: Key::new(platform, "SIGN_IN_ADDRESS", &[place.as_bytes()]),
            name: Key::new(platform, "SIGN_IN_NAME", &[name]),
        }
    }

    /// Gives which attempt it is in the narrowest of them.
    async fn count(&self, platform: &Platform) -> Result<Result<u32, Wait>, Fault> {
        let keys = match self {
            Self::Known { device } => vec![(*device, Growth::GUESSES)],
            Self::Stranger { block, address, name } => {
                vec![(*block, Growth::GUESSES), (*address, ADDRESS), (*name, NAME)]
            }
        };
        let counts = throttle::attempt(platform, NO_TENANT, &keys).await?;
        Ok(counts.map(|counts| counts.first().copied().unwrap_or(1)))
    }

    /// After a success. What is shared with others is not cleared.
    async fn forgive(&self, platform: &Platform) {
        match self {
            Self::Known { device } => forgiven(throttle::forgive(platform, NO_TENANT, &[*device]).await),
            Self::Stranger { block, address, name } => {
                forgiven(throttle::forgive(platform, NO_TENANT, &[*block]).await);
                forgiven(throttle::take_back(platform, NO_TENANT, &[*address, *name]).await);
            }
        }
    }

    /// After an attempt that was no guess.
    async fn take_back(&self, platform: &Platform) {
        let keys = match self {
            Self::Known { device } => vec![*device],
            Self::Stranger { block, address, name } => vec![*block, *address, *name],
        };
        forgiven(throttle::take_back(platform, NO_TENANT, &keys).await);
    }
}

/// Who is in is in, even if the counters could not be reached.
fn forgiven(outcome: Result<(), Fault>) {
    if let Err(fault) = outcome {
        tracing::warn!("a sign-in's attempts stay counted: {}", fault.with_causes());
    }
}

/// The neighbourhood of a place, /24 or /48: all that one subscriber can usually come from. It is counted with a name
/// together, so neighbours share no wait unless they try the same name. Whoever comes from nowhere that is known shares
/// one.
fn block(address: Option<IpAddr>) -> IpAddr {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8)).into(),
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)).into(),
        None => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Tells the enterprise's log of attempts that failed: of the first of a row, and then of each that had to wait, so that
/// nobody can flood it. It happens beside the request, because only names that exist have a log, and the time of writing
/// would tell them.
fn note_failure(platform: &Platform, tenant: EnterpriseId, operator: OperatorId, attempt: u32, because: &'static str) {
    if attempt > 1 && attempt <= Growth::GUESSES.free {
        return;
    }
    let database = platform.database.clone();
    tokio::spawn(async move {
        let noted = async {
            let tx = TenantScope::of_system(tenant).write(&database).await?;
            let what = json!({ "because": because, "attempt": attempt });
            audit::record_in(&tx, "operatorSignInFailed", operator.uuid(), None, &what).await?;
            tx.commit().await
        };
        if let Err(fault) = noted.await {
            tracing::warn!(%tenant, "a failed sign-in is missing in the audit log: {}", fault.with_causes());
        }
    });
}

fn later(wait: Wait) -> Refusal<SignInErrorCode> {
    Refusal::later(SignInErrorCode::TryLater, wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_block_and_strangers_do_not() {
        let of = |text: &str| block(Some(text.parse().expect("an address")));
        assert_eq!(of("203.0.113.7"), of("203.0.113.200"));
        assert_ne!(of("203.0.113.7"), of("203.0.114.7"));
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.9"));
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:ffff::9"));
        assert_ne!(of("2001:db8:1::"), of("2001:db8:2::"));
    }

    #[test]
    fn one_block_alone_cannot_use_up_a_names_budget() {
        // How many attempts the waits of one block leave within the hour that the budget is for.
        let (mut attempts, mut waited) = (0, TimeDelta::zero());
        while waited < TimeDelta::hours(1) {
            attempts += 1;
            waited += Growth::GUESSES.wait_after(attempts);
        }
        assert!(attempts < NAME.free, "{attempts}");
    }
}
