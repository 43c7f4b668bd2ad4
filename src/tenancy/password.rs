//! Passwords: what one must be like when it is set, and how it is kept and compared.
//!
//! The policy follows NIST SP 800-63B (revision 3, section 5.1.1.2; revision 4, section 3.1.1.2): length counts, anything
//! that can be typed is welcome, nothing is asked for by kind of character and nothing expires, but what is commonly
//! used, expected or made of the person's own names is refused, and the refusal says what to change.
//!
//! - **Normalised by NFKC** before it is judged, hashed or compared, as section 5.1.1.2 advises. Of its two forms that one
//!   is for whoever types Chinese: an input method left in full width turns `a1` into `ａ１`, and both must be the same
//!   password. Characters that later versions of Unicode could normalise otherwise (those not assigned yet) are refused.
//! - **Guessability** is estimated by `zxcvbn` (<https://dropbox.tech/security/zxcvbn-realistic-password-strength-estimation>)
//!   from its lists of leaked passwords, words and names and from keyboard rows, repeats, sequences and dates. A list alone
//!   would catch nothing of 12 characters but the list itself; asking a breach service would send something of every
//!   password out of the house. It must say that at least 10⁸ guesses are needed (its score 3), which a throttle makes
//!   out of reach.
//! - **Own names give nothing.** `zxcvbn` counts each further word as a fresh guess, so `zhang-demo-zhang-owner` would pass.
//!   What anybody knows of the person is therefore taken out first, and what is left must do by itself.
//!
//! To refuse more: another word in [`EXPECTED`], or another [`Weakness`] with its words.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_public_assigned;
use zxcvbn::Score;
use zxcvbn::feedback::Warning;

use crate::platform::fault::Fault;
use crate::platform::language::Text;
use crate::platform::randomness::Randomness;
use crate::platform::refusal::{Code, Refusal};

const LENGTH: std::ops::RangeInclusive<usize> = 12..=128;

/// How much of what is left is judged. The estimate takes time with the square of the length and more, and whoever needs
/// more than this to reach 10⁸ guesses repeats themselves.
const JUDGED: usize = 48;

/// What is tried first here, and is not among the words that `zxcvbn` knows or not as one: this service's name, and what
/// leaked Chinese passwords are made of.
const EXPECTED: [&str; 14] = [
    "minthouse",
    "password",
    "passwd",
    "admin",
    "mima",
    "woaini",
    "woaiwojia",
    "5201314",
    "1314520",
    "1314",
    "147258369",
    "123456789",
    "zhongguo",
    "密码",
];

/// Why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    Length,
    Unprintable,
    /// Little is left of it without what anybody knows of the person.
    Names,
    Keyboard,
    Repeats,
    Sequence,
    Dates,
    /// Leaked passwords, and words and names that stand alone.
    Common,
}

impl Weakness {
    pub fn text(self) -> Text {
        match self {
            Self::Length => Text::new("密码须为 12 到 128 个字符。", "A password has 12 to 128 characters."),
            Self::Unprintable => Text::new(
                "密码中含有换行、制表等不可见字符或尚未定义的字符，请去掉；空格可以使用。",
                "The password has line breaks, tabs or undefined characters in it: leave them out; spaces may stay.",
            ),
            Self::Names => Text::new(
                "去掉登录名、姓名、企业名称和常见词后，密码所剩太短：请加上三个以上与您无关的词，或用密码管理器生成。",
                "Without the sign-in name, your name, the enterprise's and words that everybody tries, too little is left \
                 of the password: add three or more words that have nothing to do with you, or let a password manager make one.",
            ),
            Self::Keyboard => Text::new(
                "键盘上相邻的按键很容易被猜到：请改用四个以上互不相关的词，或用密码管理器生成。",
                "Keys that lie side by side are easy to guess: use four or more unrelated words instead, or let a \
                 password manager make one.",
            ),
            Self::Repeats => Text::new(
                "重复的字符或词几乎不增加难度：请把重复部分换成别的词。",
                "Repeating characters or words adds next to nothing: put other words in place of what is repeated.",
            ),
            Self::Sequence => Text::new(
                "abcd、6543 这样的顺序很容易被猜到：请改用四个以上互不相关的词。",
                "Sequences such as abcd or 6543 are easy to guess: use four or more unrelated words instead.",
            ),
            Self::Dates => Text::new(
                "日期和年份很容易被猜到：请改用四个以上互不相关的词。",
                "Dates and years are easy to guess: use four or more unrelated words instead.",
            ),
            Self::Common => Text::new(
                "该密码与常见或已泄露的密码过于相近：请加上三个以上不常见、互不相关的词，或用密码管理器生成。",
                "The password is too close to common or leaked ones: add three or more uncommon, unrelated words, or let \
                 a password manager make one.",
            ),
        }
    }
}

/// Refuses a password that is not fit to be set. `about` is what anybody may know of the person: the sign-in name, their
/// own name, the enterprise's slug and names. Only for setting one: what was set once is only compared.
pub async fn check<C: Code>(field: &str, code: C, password: &str, about: &[&str]) -> Result<(), Refusal<C>> {
    let (password, about) = (password.to_owned(), about.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
    let judged = in_turn(&JUDGING, move || judge(&password, &about)).await?;
    judged.map_err(|weakness| {
        let Text { chinese, english } = weakness.text();
        Refusal::explained(field, code, chinese, english)
    })
}

fn judge(password: &str, about: &[String]) -> Result<(), Weakness> {
    // Before it is normalised too, which can make it eighteen times as long.
    if password.chars().count() > *LENGTH.end() {
        return Err(Weakness::Length);
    }
    if password.chars().any(|character| character.is_control() || !is_public_assigned(character)) {
        return Err(Weakness::Unprintable);
    }
    let password = normalise(password);
    if !LENGTH.contains(&password.chars().count()) {
        return Err(Weakness::Length);
    }
    let (password, names) = (password.to_lowercase(), names(about));
    let left = without(&password, &names);
    let judged: String = left.chars().take(JUDGED).collect();
    let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
    let estimate = zxcvbn::zxcvbn(&judged, &inputs);
    if estimate.score() >= Score::Three {
        return Ok(());
    }
    if left.chars().count() < password.chars().count() {
        return Err(Weakness::Names);
    }
    Err(match estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning) {
        Some(Warning::StraightRowsOfKeysAreEasyToGuess | Warning::ShortKeyboardPatternsAreEasyToGuess) => {
            Weakness::Keyboard
        }
        Some(Warning::RepeatsLikeAaaAreEasyToGuess | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess) => {
            Weakness::Repeats
        }
        Some(Warning::SequencesLikeAbcAreEasyToGuess) => Weakness::Sequence,
        Some(Warning::RecentYearsAreEasyToGuess | Warning::DatesAreOftenEasyToGuess) => Weakness::Dates,
        _ => Weakness::Common,
    })
}

/// What a password is before anything is done with it.
fn normalise(password: &str) -> String {
    password.nfkc().collect()
}

/// The words that give nothing, forwards and backwards, the longest first. Whole, in one piece, and in parts; parts of
/// two letters are left out, for they stand in any word, but two Chinese characters are a name.
fn names(about: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    for word in about.iter().map(String::as_str).chain(EXPECTED) {
        let word = normalise(word).to_lowercase();
        let parts = word.split(|character: char| !character.is_alphanumeric());
        let joined: String = parts.clone().collect();
        names.extend(parts.map(str::to_owned));
        names.extend([joined, word.trim().to_owned()]);
    }
    let backwards: Vec<String> = names.iter().map(|name| name.chars().rev().collect()).collect();
    names.extend(backwards);
    names.retain(|name| name.chars().count() >= if name.is_ascii() { 3 } else { 2 });
    names.sort_by(|one, other| other.chars().count().cmp(&one.chars().count()).then_with(|| one.cmp(other)));
    names.dedup();
    names
}

/// The password without any of the names, also where taking one out joins another.
fn without(password: &str, names: &[String]) -> String {
    let mut left = password.to_owned();
    loop {
        let shorter = names.iter().fold(left.clone(), |left, name| left.replace(name.as_str(), ""));
        if shorter.len() == left.len() {
            return left;
        }
        left = shorter;
    }
}

/// OWASP's second recommendation for argon2id: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19 * 1024, 2, 1, None).unwrap_or_default())
}

/// How many passwords are hashed at the same time. Each takes 19 MiB and a processor: a flood of sign-ins has to queue
/// here, or it would take the machine's memory with it.
static HASHING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(4)));

/// New passwords are judged one after the other, so that whoever sends laborious ones keeps no sign-in waiting.
static JUDGING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(1)));

/// Runs `work` on the blocking pool in its turn. The turn goes along with the work: a caller who hangs up must not make
/// room for the next while the hashing goes on.
async fn in_turn<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let turn = turns.clone().acquire_owned().await.map_err(Fault::internal)?;
    let working = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(turn);
        result
    });
    working.await.map_err(Fault::internal)
}

tokio::task_local! {
    /// Counts the comparisons that are computed for the task it is set in. Whether an unknown name costs what a known one
    /// costs cannot be told by the clock, so the tests count.
    pub static METER: Arc<AtomicU64>;
}

/// A PHC string. Takes tens of milliseconds of processor time by design, so it runs on the blocking pool.
pub async fn hash(randomness: &dyn Randomness, password: &str) -> Result<String, Fault> {
    let (password, salt) = (normalise(password), randomness.bytes::<16>());
    in_turn(&HASHING, move || argon2().hash_password_with_salt(password.as_bytes(), &salt).map(|hash| hash.to_string()))
        .await?
        .map_err(|error| Fault::internal(anyhow::anyhow!("argon2: {error}")))
}

pub async fn verify(phc: String, password: String) -> Result<bool, Fault> {
    let meter = METER.try_with(Arc::clone).ok();
    in_turn(&HASHING, move || {
        let password = normalise(&password);
        PasswordHash::new(&phc).is_ok_and(|hash| {
            if let Some(meter) = &meter {
                meter.fetch_add(1, Ordering::Relaxed);
            }
            argon2().verify_password(password.as_bytes(), &hash).is_ok()
        })
    })
    .await
}

#[cfg(test)]
mod tests;
