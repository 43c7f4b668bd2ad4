//! The 18-digit identity number of residents of mainland China, without asking anybody.
//!
//! Source: GB 11643-1999. Six digits of the registered place (GB/T 2260), eight of the date of birth, three of
//! sequence, and a check character by ISO 7064 MOD 11-2. A number that passes here is well formed; whether it was ever
//! given to somebody, and to whom, only a provider can say (see [`crate::bridges::tencent::id_card`]).
//!
//! **What the check character finds.** Counted from the right and from 0, character *i* has the weight 2^i, and the
//! weighted sum of all 18 is 1 modulo 11, where `X` stands for 10. Eleven is prime and no difference of two characters
//! is a multiple of it, so:
//! - for any 17 digits exactly one check character fits,
//! - one wrong character changes the sum by a difference times a power of two, which is never 0: all are found,
//! - two exchanged characters that stand *k* apart change it by a difference times a power of two times (2^k − 1),
//!   which is 0 only where 2^k = 1. The order of 2 modulo 11 is 10, so every exchange is found but for those ten
//!   places apart; of neighbours, all.

use std::fmt;

use chrono::{Months, NaiveDate};

const LENGTH: usize = 18;
/// Nobody alive was born longer ago.
const MAXIMUM_AGE: Months = Months::new(150 * 12);

/// Why a text is no identity number. The texts do not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdNumber {
    #[error("an identity number has 17 digits, the first not 0, and a digit or X behind them")]
    Shape,
    #[error("the check character of the identity number does not fit; was a digit mistyped?")]
    CheckCharacter,
    #[error("the date of birth in the identity number is no day on which somebody alive was born")]
    BirthDate,
}

/// A well-formed identity number. It is personal data, so that it shows itself only when asked by name.
#[derive(Clone, PartialEq, Eq)]
pub struct IdNumber {
    /// With a capital X.
    text: String,
    birth_date: NaiveDate,
}

impl IdNumber {
    /// Reads a number as people type it, with a small or a capital X. `today` is the day in China.
    ///
    /// The place is not looked up: places are split and renamed and keep living in the numbers given there, and since
    /// 2023 foreigners with permanent residence have numbers that begin with 9 and follow the same rules.
    pub fn parse(text: &str, today: NaiveDate) -> Result<Self, InvalidIdNumber> {
        let text = text.to_ascii_uppercase();
        let bytes: &[u8; LENGTH] = text.as_bytes().try_into().map_err(|_| InvalidIdNumber::Shape)?;
        let (body, check) = (&bytes[..LENGTH - 1], bytes[LENGTH - 1]);
        if !body.iter().all(u8::is_ascii_digit) || body[0] == b'0' || !(check.is_ascii_digit() || check == b'X') {
            return Err(InvalidIdNumber::Shape);
        }
        if !check_fits(bytes) {
            return Err(InvalidIdNumber::CheckCharacter);
        }
        // Digits alone, so each slice is ASCII and each number small.
        let part = |range: std::ops::Range<usize>| text[range].parse::<u32>().map_err(|_| InvalidIdNumber::Shape);
        let year = i32::try_from(part(6..10)?).map_err(|_| InvalidIdNumber::Shape)?;
        let birth_date = NaiveDate::from_ymd_opt(year, part(10..12)?, part(12..14)?)
            .filter(|&date| date <= today && today.checked_sub_months(MAXIMUM_AGE).is_none_or(|first| date >= first))
            .ok_or(InvalidIdNumber::BirthDate)?;
        Ok(Self { text, birth_date })
    }

    /// The number itself, for sealing, for hashing and for a provider's eyes.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What may be shown to its holder and to operators: `110***********002X`.
    pub fn masked(&self) -> String {
        format!("{}***********{}", &self.text[..3], &self.text[LENGTH - 4..])
    }

    pub fn birth_date(&self) -> NaiveDate {
        self.birth_date
    }
}

impl fmt::Debug for IdNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdNumber(…)")
    }
}

/// ISO 7064 MOD 11-2, by Horner's rule. The characters are digits, or `X` for ten.
fn check_fits(characters: &[u8; LENGTH]) -> bool {
    let value = |character: u8| if character == b'X' { 10 } else { u32::from(character - b'0') };
    characters.iter().fold(0, |sum, &character| (sum * 2 + value(character)) % 11) == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHARACTERS: &[u8; 11] = b"0123456789X";

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    fn today() -> NaiveDate {
        day(2025, 6, 1)
    }

    /// The check character as the standard has it: its printed tables of weights and of characters.
    fn by_the_tables(body: &[u8]) -> u8 {
        let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
        let sum: usize = body.iter().zip(weights).map(|(digit, weight)| usize::from(digit - b'0') * weight).sum();
        b"10X98765432"[sum % 11]
    }

    fn complete(body: &str) -> String {
        format!("{body}{}", char::from(by_the_tables(body.as_bytes())))
    }

    fn fits(characters: &[u8]) -> bool {
        check_fits(characters.try_into().unwrap())
    }

    fn body() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(b'0'..=b'9', LENGTH - 1)
    }

    fn valid() -> impl Strategy<Value = (String, NaiveDate)> {
        (100_000..1_000_000_u32, 0..50_000_i64, 0..1000_u32).prop_map(|(place, days, sequence)| {
            let born = today() - chrono::TimeDelta::days(days);
            (complete(&format!("{place}{}{sequence:03}", born.format("%Y%m%d"))), born)
        })
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        let number = IdNumber::parse("11010519491231002x", today()).unwrap();
        assert_eq!(number.expose(), "11010519491231002X");
        assert_eq!(number.masked(), "110***********002X");
        assert_eq!(number.birth_date(), day(1949, 12, 31));
        assert_eq!(number, IdNumber::parse("11010519491231002X", today()).unwrap());
        for example in ["440524188001010014", "34052419800101001X"] {
            assert_eq!(IdNumber::parse(example, today()).unwrap().expose(), example);
        }
    }

    #[test]
    fn what_is_no_number_is_refused_by_its_shape() {
        for text in [
            "",
            "11010519491231002",
            "11010519491231002XX",
            " 11010519491231002X",
            "1101051949123100２X",
            "一一〇一〇五",
            "1101051949X231002X",
            "01010519491231002X",
            "11010519491231002Y",
            "+1010519491231002X",
            "110105491231002",
        ] {
            assert_eq!(IdNumber::parse(text, today()), Err(InvalidIdNumber::Shape), "{text}");
        }
    }

    #[test]
    fn a_date_of_birth_is_a_day_that_was_and_not_too_long_ago() {
        let born = |date: &str| IdNumber::parse(&complete(&format!("110105{date}002")), today()).map(drop);
        for date in ["20250601", "20000229", "18750601"] {
            assert_eq!(born(date), Ok(()), "{date}");
        }
        for date in ["20250602", "19000229", "20010229", "20011301", "20010001", "20010100", "00000101", "18750531"] {
            assert_eq!(born(date), Err(InvalidIdNumber::BirthDate), "{date}");
        }
    }

    #[test]
    fn it_does_not_show_itself() {
        let number = IdNumber::parse("11010519491231002X", today()).unwrap();
        assert_eq!(format!("{number:?}"), "IdNumber(…)");
        let refused = IdNumber::parse("110105194912310021", today()).unwrap_err();
        assert_eq!(refused, InvalidIdNumber::CheckCharacter);
        assert!(!format!("{refused} {refused:?}").contains("1949"));
    }

    proptest! {
        #[test]
        fn exactly_one_check_character_fits_and_it_is_the_tables(body in body()) {
            let fitting: Vec<u8> =
                CHARACTERS.iter().copied().filter(|&check| fits(&[&body[..], &[check]].concat())).collect();
            prop_assert_eq!(fitting, vec![by_the_tables(&body)]);
        }

        #[test]
        fn every_wrong_character_is_found(body in body()) {
            let good = [&body[..], &[by_the_tables(&body)]].concat();
            for place in 0..LENGTH {
                for &other in CHARACTERS.iter().filter(|&&other| other != good[place]) {
                    let mut bad = good.clone();
                    bad[place] = other;
                    prop_assert!(!fits(&bad), "place {}", place);
                }
            }
        }

        #[test]
        fn every_exchange_is_found_but_for_those_ten_places_apart(body in body()) {
            let good = [&body[..], &[by_the_tables(&body)]].concat();
            for first in 0..LENGTH {
                for second in first + 1..LENGTH {
                    let mut bad = good.clone();
                    bad.swap(first, second);
                    let blind = second - first == 10 || good[first] == good[second];
                    prop_assert_eq!(fits(&bad), blind, "places {} and {}", first, second);
                }
            }
        }

        #[test]
        fn a_number_is_read_as_it_was_given((text, born) in valid()) {
            let number = IdNumber::parse(&text.to_lowercase(), today()).unwrap();
            prop_assert_eq!(number.expose(), &text);
            prop_assert_eq!(number.birth_date(), born);
            let masked = number.masked();
            prop_assert_eq!(masked.len(), LENGTH);
            prop_assert_eq!(masked.replace('*', ""), format!("{}{}", &text[..3], &text[14..]));
        }

        #[test]
        fn any_text_gets_an_answer(text in "\\PC{0,20}|[0-9xX]{17,19}") {
            if let Ok(number) = IdNumber::parse(&text, today()) {
                prop_assert!(text.eq_ignore_ascii_case(number.expose()));
            }
        }
    }
}
