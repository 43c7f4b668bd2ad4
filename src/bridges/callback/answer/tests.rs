use proptest::prelude::*;
use serde_json::json;

use super::*;

fn body(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn draw(value: Value, draws: u32) -> Result<Reply<DrawAnswer>, Malformed> {
    DrawAnswer::read(&body(&value), draws)
}

/// What the answer to a single draw comes to.
fn single(value: Value) -> DrawAnswer {
    match draw(value.clone(), 1) {
        Ok(Reply::Answer(answer)) => answer,
        other => panic!("{value}: {other:?}"),
    }
}

fn field<A: std::fmt::Debug>(outcome: Result<A, Malformed>) -> String {
    outcome.unwrap_err().field.unwrap_or_default()
}

fn win(prize_level: u32) -> DrawResult {
    DrawResult { is_win: true, prize_level: Some(prize_level), prize_code: None, prize_name: None, dyn_data: None }
}

#[test]
fn somebody_may_draw_for_all_prizes_or_some() {
    let all = DrawAnswer::May { win_scope: WinScope::All };
    for value in [
        json!({"code": 200, "lottery": 1}),
        json!({"code": "200", "msg": "ok", "lottery": "1", "winScope": null, "message": "", "more": [1]}),
        json!({"code": " 200 ", "lottery": 1, "winScope": "", "lotteryList": "ignored", "url": "ignored"}),
    ] {
        assert_eq!(single(value), all);
    }
    let some = single(json!({"code": 200, "lottery": 1, "winScope": [3, "1", 3]}));
    assert_eq!(some, DrawAnswer::May { win_scope: WinScope::Levels(vec![1, 3]) });
    for scope in [json!([]), json!([0]), json!([1, -1]), json!([1.5]), json!(["a"]), json!(1), json!("1,2"), json!({})]
    {
        assert_eq!(field(draw(json!({"code": 200, "lottery": 1, "winScope": scope}), 1)), "winScope", "{scope}");
    }
    let long: Vec<usize> = (1..=101).collect();
    assert_eq!(field(draw(json!({"code": 200, "lottery": 1, "winScope": long}), 1)), "winScope");
}

#[test]
fn somebody_who_is_refused_is_told_why() {
    let refused = single(json!({"code": 200, "lottery": 2, "message": "积分不足", "url": "https://e.example/a?b=1"}));
    let url = Some(Url::parse("https://e.example/a?b=1").unwrap());
    assert_eq!(refused, DrawAnswer::Refused { message: "积分不足".to_owned(), url });
    let closes = single(json!({"code": 200, "lottery": "2", "message": "no", "url": ""}));
    assert_eq!(closes, DrawAnswer::Refused { message: "no".to_owned(), url: None });
    for message in [json!(null), json!(""), json!("  "), json!([]), json!("字".repeat(501)), json!("a\0")] {
        let value = json!({"code": 200, "lottery": 2, "message": message});
        assert_eq!(field(draw(value, 1)), "message", "{message}");
    }
    for url in [
        "javascript:alert(1)",
        "data:text/html,x",
        "/home",
        "e.example",
        &format!("https://e.example/{}", "a".repeat(2_048)),
    ] {
        let value = json!({"code": 200, "lottery": 2, "message": "no", "url": url});
        assert_eq!(field(draw(value, 1)), "url", "{url}");
    }
}

#[test]
fn no_prize_needs_no_words() {
    assert_eq!(single(json!({"code": 200, "lottery": 3})), DrawAnswer::NoPrize { message: None });
    let worded = single(json!({"code": 200, "lottery": 3, "message": "谢谢参与"}));
    assert_eq!(worded, DrawAnswer::NoPrize { message: Some("谢谢参与".to_owned()) });
}

#[test]
fn a_single_prize_stands_in_the_answer_or_in_a_list_of_one() {
    let full = DrawResult {
        prize_code: Some("77".to_owned()),
        prize_name: Some("头奖".to_owned()),
        dyn_data: Some(json!({"coupon": ["A"]})),
        ..win(0)
    };
    let prize = json!({"prizeLevel": "0", "prizeCode": 77, "prizeName": "头奖", "dynData": {"coupon": ["A"]}});
    let mut flat = prize.clone();
    flat.as_object_mut().unwrap().extend([("code".to_owned(), json!(200)), ("lottery".to_owned(), json!(4))]);
    assert_eq!(single(flat), DrawAnswer::Won(vec![full.clone()]));
    let mut listed = prize;
    listed["isWin"] = json!(1);
    assert_eq!(single(json!({"code": 200, "lottery": 4, "lotteryList": [listed]})), DrawAnswer::Won(vec![full]));
    let empty_list = json!({"code": 200, "lottery": 4, "prizeLevel": 2, "lotteryList": []});
    assert_eq!(single(empty_list), DrawAnswer::Won(vec![win(2)]));
    let two = json!({"code": 200, "lottery": 4, "prizeLevel": 2, "lotteryList": [{"isWin": 0}, {"isWin": 0}]});
    assert_eq!(field(draw(two, 1)), "lotteryList");
    for level in [json!(null), json!(-1), json!(0.5), json!("first"), json!(u64::MAX), json!(true)] {
        assert_eq!(field(draw(json!({"code": 200, "lottery": 4, "prizeLevel": level}), 1)), "prizeLevel", "{level}");
    }
    for (name, value) in [
        ("prizeCode", json!("a".repeat(65))),
        ("prizeName", json!("字".repeat(257))),
        ("dynData", json!("a".repeat(4_097))),
        ("dynData", json!([{"a\0": 1}])),
        ("dynData", json!([["\0"]])),
    ] {
        let answer = json!({"code": 200, "lottery": 4, "prizeLevel": 0, name: value});
        assert_eq!(field(draw(answer, 1)), name);
    }
}

#[test]
fn several_draws_have_a_result_each() {
    let list = json!([
        {"isWin": true, "prizeLevel": 1}, {"isWin": "0", "prizeLevel": -1, "dynData": "\0"}, {"isWin": "1", "prizeLevel": "0"},
    ]);
    let lost = DrawResult { is_win: false, prize_level: None, ..win(0) };
    let expected = DrawAnswer::Won(vec![win(1), lost, win(0)]);
    assert_eq!(draw(json!({"code": 200, "lottery": 4, "lotteryList": list}), 3), Ok(Reply::Answer(expected)));
    for draws in [2, 4] {
        assert_eq!(field(draw(json!({"code": 200, "lottery": 4, "lotteryList": list}), draws)), "lotteryList");
    }
    assert_eq!(field(draw(json!({"code": 200, "lottery": 4, "prizeLevel": 0}), 2)), "lotteryList");
    for (element, name) in [
        (json!(1), "lotteryList[1]"),
        (json!({"prizeLevel": 0}), "lotteryList[1].isWin"),
        (json!({"isWin": 2}), "lotteryList[1].isWin"),
        (json!({"isWin": 1}), "lotteryList[1].prizeLevel"),
        (json!({"isWin": 1, "prizeLevel": 0, "prizeCode": []}), "lotteryList[1].prizeCode"),
    ] {
        let answer = json!({"code": 200, "lottery": 4, "lotteryList": [{"isWin": 0}, element]});
        assert_eq!(field(draw(answer, 2)), name);
    }
}

#[test]
fn what_is_no_answer_is_named() {
    for value in [json!([]), json!("200"), json!(null)] {
        assert_eq!(field(draw(value, 1)), "");
    }
    for text in [&b""[..], b"OK", b"{\"code\":200", b"\xff", &[b'['; 100_000]] {
        assert_eq!(field(DrawAnswer::read(text, 1)), "");
    }
    for code in [json!(null), json!(""), json!(true), json!(2.5), json!([200]), json!("a b"), json!("1".repeat(33))] {
        assert_eq!(field(draw(json!({"code": code, "lottery": 1}), 1)), "code", "{code}");
    }
    for lottery in [json!(null), json!(0), json!(5), json!("x"), json!(true)] {
        let outcome = draw(json!({"code": 200, "lottery": lottery}), 1);
        let malformed = outcome.unwrap_err();
        assert_eq!(malformed.to_string(), "`lottery` has to be 1, 2, 3 or 4");
        assert_eq!(
            malformed.in_language(crate::platform::language::Language::Chinese),
            "字段“lottery”应为1、2、3 或 4"
        );
    }
    let marked = [&b"\xef\xbb\xbf"[..], &body(&json!({"code": 200, "lottery": 1}))].concat();
    assert!(DrawAnswer::read(&marked, 1).is_ok());
}

#[test]
fn another_code_is_a_rejection_whatever_else_is_said() {
    let answer = json!({"code": "E-01", "msg": format!("不\n行{}", "x".repeat(1_000)), "lottery": 9});
    let Ok(Reply::Rejected(rejection)) = draw(answer, 1) else { panic!("it is rejected") };
    assert_eq!((rejection.code.as_str(), rejection.msg.map(|msg| msg.chars().count())), ("E-01", Some(500)));
    let rejection = Rejection { code: "-1".to_owned(), msg: None };
    assert_eq!(draw(json!({"code": -1, "msg": []}), 1), Ok(Reply::Rejected(rejection.clone())));
    assert_eq!(ChanceAnswer::read(br#"{"code":-1}"#), Ok(Reply::Rejected(rejection.clone())));
    assert_eq!(ClaimCodeAnswer::read(br#"{"code":-1,"obj":"A"}"#), Ok(Reply::Rejected(rejection.clone())));
    assert_eq!(ReviewAnswer::read(br#"{"code":-1,"review":1}"#), Ok(Reply::Rejected(rejection)));
}

#[test]
fn chances_are_counted() {
    let read = |value: Value| ChanceAnswer::read(&body(&value));
    let answer = |count, message: Option<&str>| {
        Ok(Reply::Answer(ChanceAnswer { count, message: message.map(str::to_owned), url: None }))
    };
    assert_eq!(read(json!({"code": "200", "success": true, "msg": "", "obj": {"count": "3"}})), answer(3, None));
    assert_eq!(
        read(json!({"code": 200, "obj": {"count": 0, "message": "明天再来", "url": null}})),
        answer(0, Some("明天再来"))
    );
    let contradicted = Rejection { code: "200".to_owned(), msg: Some("no".to_owned()) };
    let value = json!({"code": 200, "success": false, "msg": "no", "obj": {"count": 3}});
    assert_eq!(read(value), Ok(Reply::Rejected(contradicted)));
    assert_eq!(field(read(json!({"code": 200, "success": "perhaps", "obj": {"count": 3}}))), "success");
    assert_eq!(field(read(json!({"code": 200}))), "obj");
    assert_eq!(field(read(json!({"code": 200, "obj": 3}))), "obj");
    for count in [json!(null), json!(-1), json!(1.5), json!("many"), json!(1_u64 << 32)] {
        assert_eq!(field(read(json!({"code": 200, "obj": {"count": count}}))), "obj.count", "{count}");
    }
    assert_eq!(field(read(json!({"code": 200, "obj": {"count": 0, "url": "x:y"}}))), "obj.url");
}

#[test]
fn a_claim_code_has_fewer_than_16_characters() {
    let read = |obj: Value| ClaimCodeAnswer::read(&body(&json!({"code": 200, "success": true, "obj": obj})));
    for (obj, code) in [
        (json!("A-1"), "A-1".to_owned()),
        (json!(" A-1 "), "A-1".to_owned()),
        (json!(123_456), "123456".to_owned()),
        (json!("码".repeat(15)), "码".repeat(15)),
    ] {
        assert_eq!(read(obj), Ok(Reply::Answer(ClaimCodeAnswer { code })));
    }
    for obj in [
        json!(null),
        json!(""),
        json!("a".repeat(16)),
        json!("a b"),
        json!("a\u{7f}b"),
        json!(["A"]),
        json!({"code": "A"}),
    ] {
        assert_eq!(field(read(obj.clone())), "obj", "{obj}");
    }
}

#[test]
fn a_review_allows_by_one_word_alone() {
    let read = |value: Value| ReviewAnswer::read(&body(&value));
    assert_eq!(read(json!({"code": 200, "review": 1})), Ok(Reply::Answer(ReviewAnswer::Allowed)));
    assert_eq!(read(json!({"code": "200", "review": "1"})), Ok(Reply::Answer(ReviewAnswer::Allowed)));
    let refused = ReviewAnswer::Refused { message: "黑名单".to_owned() };
    assert_eq!(read(json!({"code": 200, "review": 2, "message": "黑名单"})), Ok(Reply::Answer(refused)));
    assert_eq!(field(read(json!({"code": 200, "review": 2}))), "message");
    for review in [json!(null), json!(0), json!(3), json!(true), json!("yes"), json!(1.0)] {
        assert_eq!(field(read(json!({"code": 200, "review": review}))), "review", "{review}");
    }
}

/// JSON of any shape, which uses the names that are read.
fn any_json() -> impl Strategy<Value = Value> {
    let names = "(code|lottery|winScope|message|url|prizeLevel|prizeCode|dynData|lotteryList|isWin|obj|count|success|review|msg)";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-1..6_i64).prop_map(Value::from),
        Just(json!(200)),
        "\\PC{0,20}".prop_map(Value::from),
        "[0-9]{1,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..10).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn read_all(bytes: &[u8], draws: u32) {
    if let Ok(Reply::Answer(DrawAnswer::Won(results))) = DrawAnswer::read(bytes, draws) {
        assert_eq!(results.len(), draws.max(1) as usize);
        assert!(results.iter().all(|result| result.is_win == result.prize_level.is_some()));
    }
    if let Ok(Reply::Answer(answer)) = ClaimCodeAnswer::read(bytes) {
        assert!((1..16).contains(&answer.code.chars().count()));
    }
    let _ = ChanceAnswer::read(bytes);
    let _ = ReviewAnswer::read(bytes);
}

proptest! {
    #[test]
    fn any_json_is_read_in_peace(value in any_json(), lottery in 0..6_i64, draws in 0..4_u32) {
        read_all(&body(&value), draws);
        if let Value::Object(mut object) = value {
            object.insert("code".to_owned(), json!(200));
            object.insert("lottery".to_owned(), json!(lottery));
            read_all(&body(&Value::Object(object)), draws);
        }
    }

    #[test]
    fn any_bytes_are_read_in_peace(bytes in any::<Vec<u8>>(), draws in any::<u32>()) {
        read_all(&bytes, draws);
    }

    #[test]
    fn what_is_malformed_is_told_without_quoting(secret in "[a-z]{12}") {
        let malformed = draw(json!({"code": 200, "lottery": secret}), 1).unwrap_err();
        let told = format!("{malformed} {malformed:?}");
        prop_assert!(!told.contains(&secret));
    }
}
