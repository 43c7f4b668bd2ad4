//! Signed parameters: the same statement as an assertion's, in the form of the signature profiles. No I/O.
//!
//! | profile | the key's ID | the user | the time |
//! |---|---|---|---|
//! | Duiba | `appKey` | `uid` | `timestamp`, milliseconds, five minutes |
//! | RRX | `app_key` | `openid` | `time_stamp`, milliseconds, ten minutes |
//! | Eqxiu | `appId` | `openId` | `timestamp`, seconds, five minutes |
//!
//! Beside them stand `nonce`, and if wanted `origin`, `role`, `name` and `corpOpenId`, in all profiles. Nothing else may,
//! and each value must have its form: the profiles' texts do not show for certain where a value ends, so a name that
//! nobody expects is a place to hide another value's end in. These parameters are for a partner's server to send; they
//! must not pass through a browser.

use chrono::{DateTime, TimeDelta, Utc};

use crate::platform::refusal::Refusal;
use crate::tenancy::model::SsoKeyId;
use crate::tenancy::sso::assertion::Statement;
use crate::tenancy::sso::model::{SignOnError, SsoProfile};

pub type Parameters = [(String, String)];

/// How a profile writes what it says.
struct Names {
    profile: SsoProfile,
    key: &'static str,
    user: &'static str,
    time: &'static str,
    signature: &'static str,
    /// How many digits a time has; thirteen are milliseconds.
    digits: usize,
    tolerance: TimeDelta,
}

const NAMES: [Names; 3] = [
    Names {
        profile: SsoProfile::Duiba,
        key: "appKey",
        user: "uid",
        time: "timestamp",
        signature: "sign",
        digits: 13,
        tolerance: TimeDelta::minutes(5),
    },
    Names {
        profile: SsoProfile::Rrx,
        key: "app_key",
        user: "openid",
        time: "time_stamp",
        signature: "sign",
        digits: 13,
        tolerance: TimeDelta::minutes(10),
    },
    Names {
        profile: SsoProfile::Eqxiu,
        key: "appId",
        user: "openId",
        time: "timestamp",
        signature: "signature",
        digits: 10,
        tolerance: TimeDelta::minutes(5),
    },
];

const COMMON: [&str; 5] = ["nonce", "origin", "role", "name", "corpOpenId"];

fn value<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}

/// The profile that the parameters are written in, and the key that they name. Good for finding the key.
pub fn claimed(parameters: &Parameters) -> Option<(SsoProfile, SsoKeyId)> {
    let mut fitting = NAMES.iter().filter_map(|names| Some((names.profile, value(parameters, names.key)?)));
    let (profile, key) = fitting.next()?;
    match fitting.next() {
        None => Some((profile, key.parse().ok()?)),
        Some(_) => None,
    }
}

/// What parameters say that were signed under a key of this profile.
pub fn verify(
    parameters: &Parameters,
    profile: SsoProfile,
    secret: &str,
    now: DateTime<Utc>,
) -> Result<Statement, Refusal<SignOnError>> {
    let names = NAMES.iter().find(|names| names.profile == profile);
    let (Some(names), Some(rule)) = (names, profile.signature()) else {
        return Err(Refusal::code(SignOnError::InvalidAssertion));
    };
    if !rule.verify(parameters, secret) {
        return Err(Refusal::code(SignOnError::InvalidAssertion));
    }
    let own = [names.key, names.user, names.time, names.signature];
    if let Some((stranger, _)) =
        parameters.iter().find(|(name, _)| !own.contains(&&**name) && !COMMON.contains(&&**name))
    {
        let shown: String = stranger.chars().filter(|letter| !letter.is_control()).take(40).collect();
        return Err(Refusal::explained(
            shown,
            SignOnError::InvalidClaim,
            "不允许出现该参数，请去掉它再签名。",
            "This parameter must not be there; leave it out and sign the others.",
        ));
    }
    let text = |name: &'static str, length: std::ops::RangeInclusive<usize>| match value(parameters, name) {
        None | Some("") => Ok(None),
        Some(text) if length.contains(&text.len()) && !text.chars().any(char::is_control) => Ok(Some(text.to_owned())),
        Some(_) => Err(SignOnError::about_claim(name)),
    };
    let due = |name: &'static str, found: Option<String>| found.ok_or_else(|| SignOnError::about_claim(name));
    let signed_at = moment(names, &due(names.time, text(names.time, 1..=13)?)?)?;
    if signed_at > now + names.tolerance {
        return Err(Refusal::at(names.time, SignOnError::NotYetValid));
    }
    if signed_at + names.tolerance <= now {
        return Err(Refusal::at(names.time, SignOnError::Expired));
    }
    let signature = due(names.signature, text(names.signature, 1..=128)?)?;
    Ok(Statement {
        subject: due(names.user, text(names.user, 1..=255)?)?,
        name: text("name", 1..=400)?,
        roles: text("role", 1..=128)?.into_iter().collect(),
        corp_open_id: text("corpOpenId", 1..=128)?,
        origin: text("origin", 1..=255)?,
        nonce: due("nonce", text("nonce", 16..=200)?)?,
        id: signature,
        worthless_at: signed_at + names.tolerance,
    })
}

/// Exactly so many digits: what was cut off or pushed in from a neighbour shows.
fn moment(names: &Names, text: &str) -> Result<DateTime<Utc>, Refusal<SignOnError>> {
    let digits = text.len() == names.digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<i64>().ok().filter(|_| digits);
    let moment = number.and_then(|number| match names.digits {
        13 => DateTime::from_timestamp_millis(number),
        _ => DateTime::from_timestamp(number, 0),
    });
    moment.ok_or_else(|| SignOnError::about_claim(names.time))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_780_000_000;
    const SECRET: &str = "a secret of the tests";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(NOW, 0).unwrap()
    }

    fn good(names: &Names) -> Vec<(String, String)> {
        let time = if names.digits == 13 { NOW * 1_000 } else { NOW };
        let list = [
            (names.key, SsoKeyId::generate().to_string()),
            (names.user, "u-1".to_owned()),
            (names.time, time.to_string()),
            ("nonce", "0123456789abcdef".to_owned()),
        ];
        list.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    fn signed(names: &Names, mut parameters: Vec<(String, String)>) -> Vec<(String, String)> {
        let rule = names.profile.signature().unwrap();
        let signature = rule.sign(&parameters, SECRET).unwrap();
        parameters.push((names.signature.to_owned(), signature));
        parameters
    }

    fn judge(names: &Names, parameters: Vec<(String, String)>, secret: &str) -> Result<Statement, SignOnError> {
        verify(&signed(names, parameters), names.profile, secret, now()).map_err(|refusal| match refusal {
            Refusal::Problems(problems) => problems[0].code,
            Refusal::Fault(fault) => panic!("{fault}"),
        })
    }

    fn with(names: &Names, name: &str, value: &str) -> Vec<(String, String)> {
        let mut parameters = good(names);
        parameters.retain(|(given, _)| given != name);
        parameters.push((name.to_owned(), value.to_owned()));
        parameters
    }

    #[test]
    fn each_profile_is_known_by_its_own_name_for_the_key() {
        for names in &NAMES {
            let parameters = good(names);
            let (profile, key) = claimed(&parameters).unwrap();
            assert_eq!((profile, key.to_string()), (names.profile, parameters[0].1.clone()));
            let statement = judge(names, parameters, SECRET).unwrap();
            assert_eq!((statement.subject.as_str(), statement.nonce.as_str()), ("u-1", "0123456789abcdef"));
            assert_eq!(statement.worthless_at, now() + names.tolerance);
        }
        let both = [good(&NAMES[0]), good(&NAMES[1])].concat();
        assert_eq!(claimed(&both), None, "whose rule holds is anybody's guess");
        assert_eq!(claimed(&with(&NAMES[0], "appKey", "../x")), None);
    }

    #[test]
    fn what_is_not_signed_so_or_not_expected_is_refused() {
        use SignOnError::*;
        for names in &NAMES {
            assert_eq!(judge(names, good(names), "another secret"), Err(InvalidAssertion));
            assert_eq!(judge(names, with(names, "credits", "7"), SECRET), Err(InvalidClaim));
            assert_eq!(judge(names, with(names, "nonce", "short"), SECRET), Err(InvalidClaim));
            assert_eq!(judge(names, with(names, names.user, ""), SECRET), Err(InvalidClaim));
            assert_eq!(judge(names, with(names, names.user, "u\n1"), SECRET), Err(InvalidClaim));
            assert!(verify(&good(names), names.profile, SECRET, now()).is_err(), "without a signature");
        }
    }

    #[test]
    fn a_time_has_its_digits_and_is_near() {
        use SignOnError::*;
        for names in &NAMES {
            let unit = if names.digits == 13 { 1_000 } else { 1 };
            let reach = names.tolerance.num_seconds();
            let at =
                |seconds: i64| judge(names, with(names, names.time, &((NOW + seconds) * unit).to_string()), SECRET);
            assert!(at(reach).is_ok() && at(1 - reach).is_ok());
            assert_eq!(at(reach + 1), Err(NotYetValid));
            assert_eq!(at(-reach), Err(Expired));
            let other = if unit == 1 { NOW * 1_000 } else { NOW };
            for odd in [other.to_string(), format!("{}x", NOW * unit), "-1".into(), "1e9".into()] {
                assert_eq!(judge(names, with(names, names.time, &odd), SECRET), Err(InvalidClaim), "{odd}");
            }
        }
    }
}
