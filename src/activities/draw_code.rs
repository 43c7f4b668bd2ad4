//! Draw codes (抽奖码): words that the enterprise gives out and that earn a chance when they are entered.
//!
//! A code that is made here has 60 random bits and a check character; of it, only its hash is stored. The codes of a batch
//! follow from its secret, which is sealed, so that their file can be written again for whoever may have it. A word that
//! the enterprise chooses itself is a batch of one.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::activities::chances::{self, Deed, Earned, Proof};
use crate::activities::model::{ActivityErrorCode, ActivityId, DrawCodeBatch, DrawCodeBatchId, TaskId, TaskKind};
use crate::activities::store;
use crate::activities::task::{self, Completed};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::throttle::Growth;
use crate::platform::vault::{hex, hmac_sha256};
use crate::tenancy::enterprise::DataKey;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{HolderScope, TenantScope, TenantTx};
use crate::tenancy::sealed::{Purpose, SealedColumn};
use crate::tenancy::throttle::Key;
use crate::tenancy::{audit, enterprise, throttle};

const GENERATE: &str = "drawCodesGenerate";
const ENTER: &str = "drawCodeEnter";
const HASH: &str = "draw code";
pub const MAXIMUM_CODES: i32 = 100_000;
/// Of one task.
const MAXIMUM_BATCHES: i64 = 100;
const MAXIMUM_USES: i32 = 1_000_000;
/// Ten are free: a phone that is not answered sends the same again and again.
const GUESSES: Growth = Growth { free: 10, ..Growth::GUESSES };
/// How many codes one statement writes.
const A_TIME: usize = 10_000;
const SECRET: usize = 32;

/// What is sealed here.
pub const SEALED: &[SealedColumn] =
    &[SealedColumn::by_id("draw_code_batches", "sealed_secret", Purpose::OfRow(purpose))];

fn purpose(batch: Uuid) -> String {
    format!("draw codes of {}", DrawCodeBatchId::from_uuid(batch))
}

/// Without 0, 1, I and O, which people take for one another.
const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const LETTERS_IN_ALL: usize = 13;

/// A draw code as it is compared: upper case, without blanks and dashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawCode(String);

impl DrawCode {
    /// As somebody typed it.
    pub fn read(text: &str) -> Option<Self> {
        let kept = |letter: &char| !letter.is_whitespace() && !matches!(letter, '-' | '－' | '—');
        let code: String = text.chars().filter(kept).flat_map(char::to_uppercase).collect();
        let fits = (4..=32).contains(&code.chars().count()) && code.chars().all(char::is_alphanumeric);
        fits.then_some(Self(code))
    }

    /// The one of a batch at a place.
    fn of(secret: &[u8], place: u32) -> Self {
        let bytes = hmac_sha256(secret, &[b"draw code", &place.to_be_bytes()]);
        let mut letters: Vec<u8> = bytes[..LETTERS_IN_ALL - 1].iter().map(|byte| byte % 32).collect();
        letters.push(check_letter(&letters));
        Self(letters.into_iter().map(|letter| char::from(LETTERS[usize::from(letter)])).collect())
    }

    /// Keyed: a copy of the table tells nobody the codes.
    pub fn hash(&self, data_key: &DataKey) -> Vec<u8> {
        data_key.hash(HASH, self.0.as_bytes()).to_vec()
    }

    /// With a dash after every fourth letter but the last.
    pub fn grouped(&self) -> String {
        let letters: Vec<char> = self.0.chars().collect();
        let groups: Vec<String> = match letters.split_last_chunk::<5>() {
            Some((groups, last)) if self.0.len() == LETTERS_IN_ALL => {
                groups.chunks(4).chain([&last[..]]).map(|group| group.iter().collect()).collect()
            }
            _ => vec![self.0.clone()],
        };
        groups.join("-")
    }

    /// Whether it could be one that was made here. Each wrong letter and nearly each exchange of two shows.
    pub fn is_well_formed(&self) -> bool {
        let letter =
            |one: u8| LETTERS.iter().position(|known| *known == one).and_then(|place| u8::try_from(place).ok());
        let letters: Option<Vec<u8>> = self.0.bytes().map(letter).collect();
        letters.is_some_and(|letters| match letters.split_last() {
            Some((check, rest)) => letters.len() == LETTERS_IN_ALL && check_letter(rest) == *check,
            None => false,
        })
    }
}

/// The sum of the letters, each times an odd number, in 32.
fn check_letter(letters: &[u8]) -> u8 {
    let sum: usize = letters.iter().enumerate().map(|(place, letter)| (2 * place + 1) * usize::from(*letter)).sum();
    u8::try_from(sum % 32).unwrap_or(0)
}

#[derive(Clone, Debug)]
pub struct CodesRequest {
    pub task: TaskId,
    pub count: i32,
    /// How many people may enter each, each once.
    pub uses: i32,
    /// The one code, in the enterprise's own words.
    pub word: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    batch: DrawCodeBatchId,
}

pub struct Generated {
    pub batch: DrawCodeBatch,
    pub replayed: bool,
}

/// Makes codes for a task. Their file is served at [`path`].
pub async fn generate(
    platform: &Platform,
    scope: &TenantScope,
    request: &CodesRequest,
    key: &IdempotencyKey,
) -> Result<Generated, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let word = check(request)?;
    let tx = scope.write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let word_hash = word.as_ref().map(|word| word.hash(&data_key));
    let input = json!({
        "task": request.task, "count": request.count, "uses": request.uses, "word": word_hash.as_deref().map(hex),
    });
    match idempotency::claim_in(&tx, GENERATE, key, &input).await? {
        Turn::First => {}
        Turn::Replay(Kept { batch }) => {
            let batch = store::tasks::batches_by_id(&tx, &[batch]).await?.remove(&batch).ok_or(Fault::NotFound)?;
            return Ok(Generated { batch, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused)),
    }
    let (task, activity) = task::find_in(&tx, request.task).await?;
    if task.kind != TaskKind::DrawCode {
        return Err(Refusal::explained(
            "taskId",
            ActivityErrorCode::TaskNotFound,
            "只有 DRAW_CODE 类任务才有抽奖码。",
            "Only a task of kind DRAW_CODE has draw codes.",
        ));
    }
    if store::tasks::count_batches(&tx, task.id).await? >= MAXIMUM_BATCHES {
        return Err(Refusal::explained(
            "taskId",
            ActivityErrorCode::InvalidInput,
            "每个任务最多生成 100 批抽奖码，请加大每批数量。",
            "A task has at most 100 batches of codes; make more at a time.",
        ));
    }
    let batch = DrawCodeBatch {
        id: DrawCodeBatchId::generate(),
        activity_id: activity.id,
        task_id: task.id,
        count: request.count,
        uses: request.uses,
        word: word_hash.is_some(),
        created_at: activity.read_at,
    };
    match word_hash {
        Some(hash) => {
            store::tasks::insert_batch_in(&tx, &batch, None).await?;
            if store::tasks::insert_codes_in(&tx, &batch, vec![hash]).await? == 0 {
                return Err(Refusal::explained(
                    "word",
                    ActivityErrorCode::InvalidInput,
                    "本活动已有该抽奖码，请换一个。",
                    "The activity has this code already; choose another word.",
                ));
            }
        }
        None => {
            let secret: [u8; SECRET] = platform.randomness.bytes();
            let sealed = data_key.seal(&*platform.randomness, &purpose(batch.id.uuid()), &secret);
            store::tasks::insert_batch_in(&tx, &batch, Some(sealed)).await?;
            let hashes: Vec<Vec<u8>> = codes(&secret, batch.count).map(|code| code.hash(&data_key)).collect();
            for some in hashes.chunks(A_TIME) {
                if store::tasks::insert_codes_in(&tx, &batch, some.to_vec()).await? != some.len() {
                    // Once in very many lives; another secret makes others.
                    return Err(Fault::Contended(anyhow::anyhow!("a new draw code was there already")).into());
                }
            }
        }
    }
    audit::record_in(&tx, GENERATE, batch.id.uuid(), None, &batch).await?;
    idempotency::settle_in(&tx, GENERATE, key, &Kept { batch: batch.id }).await?;
    tx.commit().await?;
    Ok(Generated { batch, replayed: false })
}

fn codes(secret: &[u8], count: i32) -> impl Iterator<Item = DrawCode> {
    (0..count.unsigned_abs()).map(move |place| DrawCode::of(secret, place))
}

fn check(request: &CodesRequest) -> Result<Option<DrawCode>, Refusal<ActivityErrorCode>> {
    let explain =
        |field: &str, chinese, english| Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english);
    if !(1..=MAXIMUM_CODES).contains(&request.count) {
        return Err(explain("count", "数量须为 1 到 100,000。", "Make between 1 and 100,000 codes at a time."));
    }
    if !(1..=MAXIMUM_USES).contains(&request.uses) {
        return Err(explain(
            "uses",
            "每个抽奖码的使用次数须为 1 到 1,000,000。",
            "A code serves between 1 and 1,000,000 people.",
        ));
    }
    let Some(word) = &request.word else { return Ok(None) };
    let word = DrawCode::read(word).filter(|_| request.count == 1);
    word.map(Some).ok_or_else(|| {
        explain(
            "word",
            "自定义抽奖码须为 4 到 32 个字母、数字或汉字，且数量为 1。",
            "A word of your own has 4 to 32 letters or digits, and goes with a `count` of 1.",
        )
    })
}

/// Where a batch's file is served to who may run activities. A word of the enterprise's own has none.
pub fn path(batch: &DrawCodeBatch) -> Option<String> {
    (!batch.word).then(|| format!("/exports/draw-codes/{}.csv", batch.id))
}

/// The codes of a batch as they were made. `None`: there is no such batch, or it is a word of the enterprise's own.
pub async fn file(platform: &Platform, scope: &TenantScope, id: DrawCodeBatchId) -> Result<Option<Vec<String>>, Fault> {
    scope.require(Permission::ActivityManage)?;
    let tx = scope.write(&platform.database).await?;
    let Some(batch) = store::tasks::batches_by_id(&tx, &[id]).await?.remove(&id) else { return Ok(None) };
    let Some(sealed) = store::tasks::sealed_secret(&tx, id).await? else { return Ok(None) };
    let data_key = enterprise::data_key(platform, &tx).await?;
    let secret = data_key.open(&purpose(id.uuid()), &sealed).map_err(Fault::internal)?;
    audit::record_in(&tx, "drawCodesRead", id.uuid(), None, &batch).await?;
    tx.commit().await?;
    Ok(Some(codes(&secret, batch.count).map(|code| code.grouped()).collect()))
}

/// A holder enters a code.
pub async fn enter(
    platform: &Platform,
    scope: &HolderScope,
    activity: ActivityId,
    text: &str,
    key: &IdempotencyKey,
) -> Result<Completed, Refusal<ActivityErrorCode>> {
    scope.require_active()?;
    // Counted before it is judged, and forgiven to who was right.
    let guesses = Key::new(platform, "draw.code", &[activity.uuid().as_bytes(), scope.holder().uuid().as_bytes()]);
    if let Err(wait) = throttle::attempt(platform, scope.tenant(), &[(guesses, GUESSES)]).await? {
        return Err(Refusal::later(ActivityErrorCode::TooOften, wait));
    }
    let code = DrawCode::read(text).ok_or_else(|| Refusal::at("code", ActivityErrorCode::WrongCode))?;
    let tx = scope.write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let done = enter_in(&tx, scope, activity, code.hash(&data_key), key).await?;
    tx.commit().await?;
    if done.replayed {
        return Ok(done); // it tells nothing of whether this guess was one
    }
    if let Err(fault) = throttle::forgive(platform, scope.tenant(), &[guesses]).await {
        tracing::warn!("guesses at a draw code stay counted: {}", fault.with_causes());
    }
    Ok(done)
}

async fn enter_in(
    tx: &TenantTx,
    scope: &HolderScope,
    id: ActivityId,
    hash: Vec<u8>,
    key: &IdempotencyKey,
) -> Result<Completed, Refusal<ActivityErrorCode>> {
    match idempotency::claim_in(tx, ENTER, key, &json!({ "activity": id, "code": hex(&hash) })).await? {
        Turn::First => {}
        Turn::Replay(done) => return Ok(Completed { replayed: true, ..done }),
        Turn::Reused => return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused)),
    }
    let not_found = || Refusal::at("activityId", ActivityErrorCode::NotFound);
    let activity = store::activities_by_id(tx, &[id]).await?.remove(&id).ok_or_else(not_found)?;
    chances::may_be_earned_by_oneself(&activity)
        .map_err(|why| Refusal::at("activityId", ActivityErrorCode::from(why)))?;
    let known = store::tasks::lock_code_in(tx, id, &hash, scope.holder()).await?;
    let known = known.ok_or_else(|| Refusal::at("code", ActivityErrorCode::WrongCode))?;
    if known.uses_left == 0 || known.entered {
        return Err(Refusal::at("code", ActivityErrorCode::CodeUsed));
    }
    let (task, _) = task::find_in(tx, known.task).await?;
    let deed = Deed { holder: scope.holder(), task: &task, proof: Proof::Code(hash.clone()) };
    let [Earned::Chances(given)] = chances::earn_in(tx, &activity, activity.read_at, &[deed]).await?[..] else {
        return Err(Refusal::at("code", ActivityErrorCode::TaskDone));
    };
    store::tasks::use_code_in(tx, id, &hash).await?;
    let done = Completed { activity: id, task: task.id, chances: given, replayed: false };
    idempotency::settle_in(tx, ENTER, key, &done).await?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let read = |text| DrawCode::read(text).map(|code| code.0);
        assert_eq!(read(" abcd-efgh—2345 ").as_deref(), Some("ABCDEFGH2345"));
        assert_eq!(read("夏日抽奖").as_deref(), Some("夏日抽奖"));
        for text in ["", "abc", "a'b;c", "----", &"x".repeat(33)] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn codes_of_a_batch_are_all_different_and_follow_from_its_secret() {
        let secret = [7; SECRET];
        let all: std::collections::HashSet<String> = codes(&secret, 20_000).map(|code| code.0).collect();
        assert_eq!(all.len(), 20_000);
        assert!(codes(&secret, 100).all(|code| code.is_well_formed() && all.contains(&code.0)));
        assert_eq!(DrawCode::of(&secret, 3), DrawCode::of(&secret, 3));
        assert_ne!(DrawCode::of(&secret, 3), DrawCode::of(&[8; SECRET], 3));
        let grouped = DrawCode::of(&secret, 0).grouped();
        assert_eq!(grouped.split('-').map(str::len).collect::<Vec<_>>(), [4, 4, 5]);
        assert_eq!(DrawCode::read(&grouped), Some(DrawCode::of(&secret, 0)));
    }

    proptest! {
        /// One wrong letter shows.
        #[test]
        fn a_wrong_letter_shows(secret: [u8; 32], place: u32, at in 0..LETTERS_IN_ALL, by in 1_usize..32) {
            let code = DrawCode::of(&secret, place);
            prop_assert!(code.is_well_formed());
            let mut letters = code.0.clone().into_bytes();
            let known = LETTERS.iter().position(|letter| *letter == letters[at]).expect("a letter");
            letters[at] = LETTERS[(known + by) % 32];
            let wrong = DrawCode(String::from_utf8(letters).expect("letters"));
            prop_assert!(!wrong.is_well_formed());
        }
    }
}
