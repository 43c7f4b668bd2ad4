//! Custom rules by signed callback (`bridges::callback`) against an endpoint that judges for itself.

use std::time::Duration;

use chrono::TimeDelta;
use minthouse::bridges::callback::contract::{CHECKS, Line, Sample, examine};
use minthouse::bridges::callback::{
    ActivityId, CallError, ChanceCount, ClaimCode, Digest, DrawAnswer, DrawRule, Endpoint, Keys, Occasion, Parameters,
    Person, PrizeReview, Question, ReviewAnswer, Stamp, WeChat, WinScope,
};
use minthouse::platform::clock::{Clock, ScriptedClock, SystemClock};
use minthouse::platform::outbound::{Outbound, Reach};
use minthouse::platform::randomness::SystemRandomness;
use serde_json::{Value, json};
use url::Url;

use crate::support::partner::{Care, ENCODING_AES_KEY, Partner, Script, TOKEN};

const MOBILE: &str = "18300000000";

fn outbound() -> Outbound {
    let anywhere = Outbound::trusting(rustls::RootCertStore::empty(), Reach::Anywhere).expect("a client can be made");
    anywhere.within(Duration::from_millis(500)).at_most(16 * 1024)
}

fn keys() -> Keys {
    Keys::new(TOKEN, ENCODING_AES_KEY).unwrap()
}

fn endpoint(partner: &Partner) -> Endpoint {
    Endpoint { url: partner.url.clone(), keys: keys() }
}

fn occasion(person: Person) -> Occasion {
    let (id, code) = (ActivityId::Text("activity_1".to_owned()), "abcdefg".to_owned());
    Occasion { id, code, person, union_id: None, channel_key: None, corp_open_id: None }
}

fn mobile() -> Occasion {
    occasion(Person::Mobile(MOBILE.to_owned()))
}

fn draw(draws: u32) -> DrawRule {
    DrawRule { occasion: mobile(), draws, parameters: Parameters::new([("points", "10")]).unwrap() }
}

fn count() -> ChanceCount {
    ChanceCount { occasion: mobile(), prize_code: None, amount: Some(1), parameters: Parameters::default() }
}

fn review() -> PrizeReview {
    PrizeReview {
        occasion: mobile(),
        prize_level: 0,
        prize_code: None,
        prize_name: "头奖".to_owned(),
        record_id: "draw_1".to_owned(),
        parameters: Parameters::default(),
    }
}

fn stamp() -> Stamp {
    Stamp::new(SystemClock.now(), &SystemRandomness)
}

async fn ask<Q: Question>(partner: &Partner, question: &Q) -> Result<Q::Answer, CallError> {
    endpoint(partner).ask(&outbound(), &stamp(), question).await
}

#[tokio::test]
async fn each_question_arrives_whole_and_is_answered() {
    let partner = Partner::start().await;
    let may = DrawAnswer::May { win_scope: WinScope::All };
    assert_eq!(ask(&partner, &draw(3)).await.unwrap(), may);
    partner.play(Script::Answer(json!({"code": "200", "success": true, "obj": {"count": "2"}})));
    assert_eq!(ask(&partner, &count()).await.unwrap().count, 2);
    partner.play(Script::Answer(json!({"code": 200, "success": true, "obj": "CODE-1"})));
    assert_eq!(ask(&partner, &ClaimCode).await.unwrap().code, "CODE-1");
    partner.play(Script::judge(|question| match question["recordId"].as_str() {
        Some("draw_1") => json!({"code": 200, "review": 1}),
        _ => json!({"code": 200, "review": 2, "message": "未知"}),
    }));
    assert_eq!(ask(&partner, &review()).await.unwrap(), ReviewAnswer::Allowed);
    let other = PrizeReview { record_id: "draw_2".to_owned(), ..review() };
    assert_eq!(ask(&partner, &other).await.unwrap(), ReviewAnswer::Refused { message: "未知".to_owned() });
    let asked = partner.asked();
    let first = json!({"id": "activity_1", "code": "abcdefg", "mobile": MOBILE, "drawNum": 3, "points": "10"});
    assert_eq!((asked.len(), &asked[0], &asked[2]), (5, &first, &json!({})));
    assert_eq!((&asked[1]["amont"], &asked[3]["prizeName"]), (&json!("1"), &json!("头奖")));
    assert_eq!(partner.refused(), Vec::<&str>::new());
}

#[tokio::test]
async fn both_profiles_and_wide_letters_are_understood() {
    let partner = Partner::builder().sha256().trailing_id("wx2c2769f8efd9abc2").start().await;
    let keys = keys().with_digest(Digest::Sha256).with_trailing_id("wx2c2769f8efd9abc2").unwrap();
    let endpoint = Endpoint { url: partner.url.clone(), keys };
    let nick_name = Some("Zoë 微信昵称 🎁".to_owned());
    let person = Person::WeChat(WeChat { open_id: "o1".to_owned(), nick_name, ..WeChat::default() });
    let question = DrawRule { occasion: occasion(person), ..draw(1) };
    endpoint.ask(&outbound(), &stamp(), &question).await.unwrap();
    assert_eq!(partner.asked()[0]["nickName"], json!("Zoë 微信昵称 🎁"));
    for (other, why) in [
        (self::keys().with_digest(Digest::Sha256), "decryption"),
        (self::keys().with_trailing_id("wx2c2769f8efd9abc2").unwrap(), "signature"),
    ] {
        let endpoint = Endpoint { keys: other, ..endpoint.clone() };
        let outcome = endpoint.ask(&outbound(), &stamp(), &question).await;
        assert!(matches!(&outcome, Err(CallError::Rejected(rejection)) if rejection.code == "403"), "{outcome:?}");
        assert_eq!(partner.refused().last(), Some(&why));
    }
}

#[tokio::test]
async fn a_stamp_is_good_once_and_not_for_long() {
    let clock = ScriptedClock::at(SystemClock.now());
    let partner = Partner::builder().clock(clock.clone()).start().await;
    let endpoint = endpoint(&partner);
    let used = stamp();
    endpoint.ask(&outbound(), &used, &draw(1)).await.unwrap();
    endpoint.ask(&outbound(), &used, &draw(1)).await.unwrap_err();
    let late = stamp();
    clock.advance(TimeDelta::minutes(6));
    endpoint.ask(&outbound(), &late, &draw(1)).await.unwrap_err();
    assert_eq!(partner.refused(), ["nonce", "timestamp"]);
}

#[tokio::test]
async fn every_trouble_has_a_name_and_tells_nothing() {
    let partner = Partner::start().await;
    let secret = "a-secret-word";
    let scripts = [
        (Script::Hang, "TIMED_OUT", true),
        (Script::slow(Duration::from_secs(2), Script::Status(200)), "TIMED_OUT", true),
        (Script::Garbage, "MALFORMED", true),
        (Script::Status(500), "REFUSED", true),
        (Script::Status(302), "REFUSED", true),
        (Script::Drop, "UNREACHABLE", true),
        (Script::Answer(json!({"code": 200, "lottery": secret})), "MALFORMED", true),
        (Script::Answer(json!({"code": 200, "lottery": 1, "more": "a".repeat(20_000)})), "TOO_LONG", true),
        (Script::Answer(json!({"code": 500, "msg": secret})), "REJECTED", false),
    ];
    for (script, word, is_trouble) in scripts {
        partner.play(script);
        let error = ask(&partner, &draw(1)).await.unwrap_err();
        assert_eq!((error.word(), error.is_trouble()), (word, is_trouble), "{error:?}");
        let text = error.to_string();
        for told in [secret, MOBILE, TOKEN, ENCODING_AES_KEY, "secret-path"] {
            assert!(!text.contains(told), "{text}");
        }
    }
    partner.play(Script::slow(Duration::from_millis(20), Script::Answer(json!({"code": 200, "lottery": 3}))));
    assert_eq!(ask(&partner, &draw(1)).await.unwrap(), DrawAnswer::NoPrize { message: None });
    let nobody = Endpoint { url: Url::parse("http://127.0.0.1:1/secret-path").unwrap(), keys: keys() };
    let error = nobody.ask(&outbound(), &stamp(), &draw(1)).await.unwrap_err();
    assert_eq!(error.word(), "UNREACHABLE");
    assert!(!error.to_string().contains("secret-path"), "{error}");
    assert!(!format!("{nobody:?} {:?}", mobile()).contains("secret-path"));
    assert!(!format!("{:?}", mobile()).contains(MOBILE));
}

#[tokio::test]
async fn our_own_network_is_not_asked() {
    let partner = Partner::start().await;
    let public = Outbound::trusting(rustls::RootCertStore::empty(), Reach::Public).unwrap();
    for outbound in [public.clone(), public.plain_too()] {
        let error = endpoint(&partner).ask(&outbound, &stamp(), &draw(1)).await.unwrap_err();
        assert_eq!((error.word(), error.is_trouble()), ("FORBIDDEN", false), "{error}");
    }
    assert_eq!(partner.asked(), Vec::<Value>::new());
}

async fn examined(partner: &Partner, sample: &Sample) -> Vec<Line> {
    examine(&outbound(), &endpoint(partner), sample, &SystemClock, &SystemRandomness).await
}

/// The checks that did not pass.
fn failed(lines: &[Line]) -> Vec<&'static str> {
    for line in lines {
        assert!(CHECKS.contains(&line.check) && !line.detail.chinese.is_empty() && !line.detail.english.is_empty());
        let words = format!("{}{}", line.detail.chinese, line.detail.english);
        assert!(!words.contains("secret-path") && !words.contains(TOKEN) && !words.contains(MOBILE), "{words}");
    }
    lines.iter().filter(|line| !line.passed).map(|line| line.check).collect()
}

#[tokio::test]
async fn a_good_endpoint_passes_every_check_of_its_kind() {
    let partner = Partner::start().await;
    let codes = std::sync::atomic::AtomicU32::new(0);
    let scripts = [
        (Sample::DrawRule(draw(1)), Script::Answer(json!({"code": 200, "lottery": 1}))),
        (Sample::ChanceCount(count()), Script::Answer(json!({"code": 200, "obj": {"count": 1}}))),
        (Sample::PrizeReview(review()), Script::Answer(json!({"code": 200, "review": 2, "message": "no"}))),
        (
            Sample::ClaimCode(ClaimCode),
            Script::judge(move |_| {
                let next = codes.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                json!({"code": 200, "success": true, "obj": format!("C-{next}")})
            }),
        ),
    ];
    let mut made = Vec::new();
    for (sample, script) in scripts {
        partner.play(script);
        let lines = examined(&partner, &sample).await;
        assert_eq!(failed(&lines), Vec::<&str>::new(), "{lines:#?}");
        let checks: Vec<&str> = lines.iter().map(|line| line.check).collect();
        assert!(checks.is_sorted_by_key(|check| CHECKS.iter().position(|known| known == check)), "{checks:?}");
        made.extend(checks);
    }
    assert!(CHECKS.iter().all(|check| made.contains(check)), "{made:?}");
    assert_eq!(partner.refused(), ["signature", "timestamp", "nonce"].repeat(4));
}

#[tokio::test]
async fn each_missing_protection_is_found() {
    for (care, check) in [
        (Care { signature: false, ..Care::FULL }, "BROKEN_SIGNATURE_REFUSED"),
        (Care { timestamp: false, ..Care::FULL }, "OLD_TIMESTAMP_REFUSED"),
        (Care { nonce: false, ..Care::FULL }, "REPEATED_NONCE_REFUSED"),
    ] {
        let partner = Partner::builder().care(care).start().await;
        let lines = examined(&partner, &Sample::DrawRule(draw(1))).await;
        assert_eq!(failed(&lines), [check], "{lines:#?}");
    }
}

#[tokio::test]
async fn an_examination_ends_where_the_rest_would_say_nothing() {
    let partner = Partner::start().await;
    let sample = Sample::DrawRule(draw(2));
    for (script, check) in [
        (Script::Hang, "ANSWERS_IN_TIME"),
        (Script::Drop, "ANSWERS_IN_TIME"),
        (Script::Status(500), "STATUS_SUCCESSFUL"),
        (Script::Garbage, "ANSWER_WELL_FORMED"),
        (Script::Answer(json!({"code": 401, "msg": "sign"})), "ANSWER_WELL_FORMED"),
        (Script::Answer(json!({"code": 200, "lottery": 4, "prizeLevel": 0})), "ANSWER_WELL_FORMED"),
    ] {
        partner.play(script);
        let lines = examined(&partner, &sample).await;
        assert_eq!((failed(&lines), lines.last().map(|line| line.check)), (vec![check], Some(check)), "{lines:#?}");
    }
    assert!(partner.refused().is_empty());
    let public = Outbound::trusting(rustls::RootCertStore::empty(), Reach::Public).unwrap();
    let named = Endpoint { url: Url::parse("http://localhost:1/").unwrap(), keys: keys() };
    for (outbound, endpoint) in
        [(public.clone(), endpoint(&partner)), (public.clone(), named.clone()), (public.plain_too(), named)]
    {
        let lines = examine(&outbound, &endpoint, &sample, &SystemClock, &SystemRandomness).await;
        assert_eq!((lines.len(), failed(&lines)), (1, vec!["ADDRESS_ALLOWED"]), "{lines:#?}");
    }
}

#[tokio::test]
async fn what_changes_from_one_answer_to_the_next_is_found() {
    let turns = std::sync::atomic::AtomicU32::new(0);
    let alternating = Script::judge(move |_| match turns.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 2 {
        0 => json!({"code": 200, "lottery": 1}),
        _ => json!({"code": 200, "lottery": 2, "message": "no"}),
    });
    let partner = Partner::builder().script(alternating).start().await;
    let lines = examined(&partner, &Sample::DrawRule(draw(1))).await;
    assert_eq!(failed(&lines), ["SAME_QUESTION_SAME_ANSWER"], "{lines:#?}");
    partner.play(Script::Answer(json!({"code": 200, "obj": "SAME"})));
    let lines = examined(&partner, &Sample::ClaimCode(ClaimCode)).await;
    assert_eq!(failed(&lines), ["CLAIM_CODES_DIFFER"], "{lines:#?}");
    // An endpoint that reads one byte a letter stumbles over what is wide.
    partner.play(Script::judge(|question| match question["nickName"].as_str() {
        Some(name) if !name.is_ascii() => json!({"code": 500, "msg": "bad length"}),
        _ => json!({"code": 200, "lottery": 3}),
    }));
    let lines = examined(&partner, &Sample::DrawRule(draw(1))).await;
    assert_eq!(failed(&lines), ["WIDE_LETTERS_UNDERSTOOD"], "{lines:#?}");
}
