//! What an enterprise's own endpoint rules of a draw, where its activity asks one. Pure.
//!
//! Our own bounds hold whatever it rules: what is gone, limited or kept for later is not given.

use serde::{Deserialize, Serialize};

use crate::bridges::callback::{DrawAnswer, WinScope};

/// Prizes have levels below this one.
const LEVELS: u32 = 100;
/// How many bytes a ruling takes in a record.
pub const LENGTH: usize = 17;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ruling {
    /// Nobody was asked, or the draw is left to us.
    #[default]
    Free,
    /// Only prizes of these levels are given, bit by level; fallback prizes are.
    Levels(#[serde(with = "hexadecimal")] u128),
    /// It wins nothing.
    NoPrize,
    /// It wins a prize of this level.
    Won(u32),
}

impl Ruling {
    /// As records bind it and rows keep it: the kind, then levels or level, big-endian. Nothing where it is free.
    pub fn bytes(self) -> Option<[u8; LENGTH]> {
        let (kind, value) = match self {
            Self::Free => return None,
            Self::Levels(levels) => (1, levels),
            Self::NoPrize => (2, 0),
            Self::Won(level) => (3, level.into()),
        };
        let mut bytes = [kind; LENGTH];
        bytes[1..].copy_from_slice(&u128::to_be_bytes(value));
        Some(bytes)
    }

    /// What [`Self::bytes`] has written; nothing where it has not.
    pub fn of_bytes(bytes: Option<&[u8]>) -> Option<Self> {
        let Some(bytes) = bytes else { return Some(Self::Free) };
        let (kind, value) = bytes.split_first()?;
        let value = u128::from_be_bytes(value.try_into().ok()?);
        match (kind, value) {
            (1, levels) => Some(Self::Levels(levels)),
            (2, 0) => Some(Self::NoPrize),
            (3, level) => u32::try_from(level).ok().filter(|level| *level < LEVELS).map(Self::Won),
            _ => None,
        }
    }

    /// Whether prizes of a level may be given.
    pub fn allows(self, level: u32) -> bool {
        match self {
            Self::Free => true,
            Self::Levels(levels) => level < LEVELS && levels & (1 << level) != 0,
            Self::NoPrize => false,
            Self::Won(won) => level == won,
        }
    }

    /// What an answer rules of each of so many draws. `None`: it refuses them all.
    pub fn of_answer(answer: &DrawAnswer, draws: usize) -> Option<Vec<Self>> {
        Some(match answer {
            DrawAnswer::May { win_scope: WinScope::All } => vec![Self::Free; draws],
            // Theirs count from 1, ours from 0.
            DrawAnswer::May { win_scope: WinScope::Levels(levels) } => {
                let bit = |level: &u32| if (1..=LEVELS).contains(level) { 1 << (level - 1) } else { 0 };
                vec![Self::Levels(levels.iter().map(bit).fold(0, |all, one| all | one)); draws]
            }
            DrawAnswer::Refused { .. } => return None,
            DrawAnswer::NoPrize { .. } => vec![Self::NoPrize; draws],
            DrawAnswer::Won(results) => {
                let ruling = |result: &crate::bridges::callback::DrawResult| match (result.is_win, result.prize_level) {
                    (true, Some(level)) => Self::Won(level),
                    _ => Self::NoPrize,
                };
                results.iter().map(ruling).collect()
            }
        })
    }
}

mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(levels: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{levels:x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(|_| serde::de::Error::custom("levels are hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridges::callback::DrawResult;

    const ALL: [Ruling; 4] = [Ruling::Free, Ruling::Levels(0b1010), Ruling::NoPrize, Ruling::Won(7)];

    #[test]
    fn a_ruling_comes_out_as_it_went_in() {
        for ruling in ALL {
            assert_eq!(Ruling::of_bytes(ruling.bytes().as_ref().map(|bytes| &bytes[..])), Some(ruling));
            let text = serde_json::to_string(&ruling).expect("JSON");
            assert_eq!(serde_json::from_str::<Ruling>(&text).expect("the same"), ruling);
        }
        assert_eq!(serde_json::to_string(&Ruling::Levels(0b1010)).expect("JSON"), r#"{"levels":"a"}"#);
        let mut won = Ruling::Won(7).bytes().expect("bytes");
        won[LENGTH - 1] = 100;
        for bytes in [&won[..], &[0; LENGTH], &[4; LENGTH], &[2; LENGTH], &[1; 16], &[]] {
            assert_eq!(Ruling::of_bytes(Some(bytes)), None);
        }
    }

    #[test]
    fn levels_count_from_1_there_and_from_0_here() {
        let may = DrawAnswer::May { win_scope: WinScope::Levels(vec![1, 3, 100, 101]) };
        let ruling = Ruling::of_answer(&may, 2).expect("rulings")[1];
        assert_eq!((0..=101).filter(|level| ruling.allows(*level)).collect::<Vec<_>>(), [0, 2, 99]);
        let result = |is_win, prize_level| DrawResult {
            is_win,
            prize_level,
            prize_code: None,
            prize_name: None,
            dyn_data: None,
        };
        let won = DrawAnswer::Won(vec![result(true, Some(0)), result(false, None)]);
        assert_eq!(Ruling::of_answer(&won, 2), Some(vec![Ruling::Won(0), Ruling::NoPrize]));
        assert_eq!(Ruling::of_answer(&DrawAnswer::NoPrize { message: None }, 3), Some(vec![Ruling::NoPrize; 3]));
        let refused = DrawAnswer::Refused { message: "no".into(), url: None };
        assert_eq!(Ruling::of_answer(&refused, 1), None);
    }
}
