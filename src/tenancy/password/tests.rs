use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::platform::randomness::SeededRandomness;
use crate::tenancy::model::EnterpriseErrorCode;

/// The owner of one enterprise, and what is known of them.
const ABOUT: [&str; 5] = ["zhang.wei@hanekiln.example", "张伟", "hane-kiln", "汉瓷窑业", "Hane Kiln"];

fn judged(password: &str) -> Result<(), Weakness> {
    judge(password, &ABOUT.map(str::to_owned))
}

#[test]
fn what_nobody_can_guess_is_taken_whatever_it_is_made_of() {
    for password in [
        "correct horse battery staple",
        "paint-the-porcelain-blue",
        "kx7qmw2vhtpd",
        "KX7QMW2VHTPD",
        "739182640517",
        "月亮咖啡石头窗台蓝色鲸鱼",
        "žluťoučký kůň úpěl",
        "🦊🍵🚲🌋🎻🧊🪁🐙🧵🔭🥁🗿",
        "tJ4!vQ-hanekiln-8pWz",
    ] {
        assert_eq!(judged(password), Ok(()), "{password}");
    }
}

#[test]
fn the_refusal_names_what_is_weak() {
    for (password, weakness) in [
        ("", Weakness::Length),
        ("kx7qmw2vhtp", Weakness::Length),
        ("kx7qmw2vhtpd\n", Weakness::Unprintable),
        ("kx7qmw2vhtpd\u{0}", Weakness::Unprintable),
        ("kx7qmw2vhtpd\u{378}", Weakness::Unprintable),
        ("zhang.wei@hanekiln.example", Weakness::Names),
        ("ZhangWei-HaneKiln-2026", Weakness::Names),
        ("iewgnahz.nlikenah", Weakness::Names),
        ("张伟张伟张伟张伟张伟张伟", Weakness::Names),
        ("汉瓷窑业2026密码密码密码", Weakness::Names),
        ("minthouse-password", Weakness::Names),
        ("woaini5201314", Weakness::Names),
        ("qwertyuiop[]", Weakness::Keyboard),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", Weakness::Repeats),
        ("catcatcatcatcatcatcat", Weakness::Repeats),
        ("abcdefghijklmnop", Weakness::Sequence),
        ("christopher1", Weakness::Common),
        ("unbelievable", Weakness::Common),
    ] {
        assert_eq!(judged(password), Err(weakness), "{password}");
    }
    assert_eq!(judged(&"🗿".repeat(129)), Err(Weakness::Length));
    assert_eq!(judged(&"x7".repeat(64)).err(), Some(Weakness::Repeats), "128 characters are not too many");
    // 18 characters from one: too long only once it is normalised.
    assert_eq!(judged(&"\u{fdfa}".repeat(12)), Err(Weakness::Length));
}

#[test]
fn every_refusal_says_in_both_languages_what_to_do() {
    use Weakness::{Common, Dates, Keyboard, Length, Names, Repeats, Sequence, Unprintable};
    for weakness in [Length, Unprintable, Names, Keyboard, Repeats, Sequence, Dates, Common] {
        let text = weakness.text();
        assert!(text.chinese.contains('须') || text.chinese.contains('请'), "{weakness:?}");
        assert!(text.english.is_ascii() && !text.english.contains("  "), "{weakness:?}");
    }
}

#[test]
fn no_laborious_password_holds_up_the_others() {
    // Every substitution that is looked through, in an order that does not repeat itself.
    let leet: Vec<char> = "4@8({[<369!1|05$7+2%".chars().collect();
    let leet: String = (0..128).map(|place: usize| leet[(place * place + place / 7) % leet.len()]).collect();
    for password in [&leet, &"ab".repeat(64), &"aab".repeat(42), &"1/1/11".repeat(21), &"4@8(1!7|".repeat(16)] {
        let began = Instant::now();
        let _ = judged(password);
        assert!(began.elapsed() < Duration::from_secs(5), "{password} took {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_password_is_the_same_in_full_width() {
    let randomness: &dyn Randomness = &SeededRandomness::new(1);
    let phc = hash(randomness, "Ｋｘ７－ｑｍｗ２　ｖｈｔｐ").await.unwrap();
    assert!(verify(phc.clone(), "Kx7-qmw2 vhtp".to_owned()).await.unwrap());
    assert!(!verify(phc.clone(), "kx7-qmw2 vhtp".to_owned()).await.unwrap());
    assert!(!verify(phc, String::new()).await.unwrap());
    assert!(!verify("no hash".to_owned(), "Kx7-qmw2 vhtp".to_owned()).await.unwrap());
    // é in one character and in two.
    let phc = hash(randomness, "caf\u{e9} na\u{ef}ve zeb").await.unwrap();
    assert!(verify(phc, "cafe\u{301} nai\u{308}ve zeb".to_owned()).await.unwrap());
}

#[tokio::test]
async fn a_refusal_stands_at_its_field() {
    let code = EnterpriseErrorCode::InvalidInput;
    check("password", code, "paint-the-porcelain-blue", &ABOUT).await.expect("it is strong");
    let Err(Refusal::Problems(problems)) = check("password", code, "short", &ABOUT).await else {
        panic!("it is short")
    };
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].field.as_deref(), Some("password"));
    assert_eq!(problems[0].detail, Some(Weakness::Length.text()));
}

fn shout(word: &str) -> String {
    word.to_uppercase()
}

fn backwards(word: &str) -> String {
    word.chars().rev().collect()
}

fn wide(word: &str) -> String {
    let wide = |letter: char| match letter {
        '!'..='~' => char::from_u32(letter as u32 + 0xfee0).expect("full width has the same order"),
        other => other,
    };
    word.chars().map(wide).collect()
}

proptest! {
    #[test]
    fn no_password_is_good_whose_only_substance_is_the_sign_in_name(
        user in "[a-z]{3,10}",
        house in "[a-z0-9]{3,10}",
        pieces in prop::collection::vec((0usize..5, 0usize..4, "[-._ !0-9]?"), 1..9),
        tail in "(19|20)[0-9]{2}|[0-9]{0,3}!?",
    ) {
        let sign_in = format!("{user}@{house}.example");
        let mut password = String::new();
        let mut fillers = 0;
        for (what, how, filler) in pieces {
            let joined = format!("{user}{house}example");
            let word = [&sign_in, &user, &house, "example", &joined][what];
            password += &[str::to_owned, shout, backwards, wide].map(|make| make(word))[how];
            // A filler each would be a password by itself.
            if fillers < 3 {
                fillers += filler.len();
                password += &filler;
            }
        }
        password += &tail;
        prop_assert!(judge(&password, &[sign_in]).is_err(), "{password}");
    }

    #[test]
    fn no_kind_of_character_is_asked_for(letters in "[a-z]{24,40}", digits in "[0-9]{24,40}") {
        // Random letters may by chance be words, but never as many.
        prop_assert_eq!(judged(&letters), Ok(()));
        prop_assert_eq!(judged(&digits), Ok(()));
    }

    #[test]
    fn nothing_makes_it_panic(password in ".{0,140}", name in ".{0,20}") {
        let _ = judge(&password, &[name]);
    }

    #[test]
    fn what_is_left_has_no_name_in_it(password in "[ab]{0,30}", names in prop::collection::vec("[ab]{3,5}", 1..5)) {
        let left = without(&password, &names);
        prop_assert!(names.iter().all(|name| !left.contains(name.as_str())), "{left}");
    }
}
