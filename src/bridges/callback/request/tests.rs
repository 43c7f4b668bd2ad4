use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn occasion(person: Person) -> Occasion {
    let (id, code) = (ActivityId::Number(10086), "abcdefg".to_owned());
    Occasion { id, code, person, union_id: None, channel_key: None, corp_open_id: None }
}

fn mobile() -> Occasion {
    occasion(Person::Mobile("18300000000".to_owned()))
}

fn text(question: &impl Question) -> String {
    String::from_utf8(question.message()).unwrap()
}

#[test]
fn questions_are_written_as_in_the_vectors() {
    let parameters = Parameters::default();
    let draw = DrawRule { occasion: mobile(), draws: 3, parameters: parameters.clone() };
    assert_eq!(text(&draw), r#"{"id":10086,"code":"abcdefg","mobile":"18300000000","drawNum":3}"#);
    let person = WeChat {
        open_id: "oABCD1234567890".to_owned(),
        nick_name: Some("微信昵称".to_owned()),
        gender: Some("1".to_owned()),
        city: Some("成都".to_owned()),
        country: Some("中国".to_owned()),
    };
    let occasion_of = Occasion { union_id: Some("uABCD".to_owned()), ..occasion(Person::WeChat(person)) };
    let wechat = r#"{"id":10086,"code":"abcdefg","openId":"oABCD1234567890","unionId":"uABCD","nickName":"微信昵称","gender":"1","city":"成都","country":"中国","drawNum":3}"#;
    assert_eq!(text(&DrawRule { occasion: occasion_of, draws: 3, parameters }), wechat);
    let count = ChanceCount {
        occasion: occasion(Person::Custom { open_id: "user-001".to_owned() }),
        prize_code: Some("P-1".to_owned()),
        amount: Some(1),
        parameters: Parameters::new([("points", "1")]).unwrap(),
    };
    let custom = r#"{"id":10086,"code":"abcdefg","prizeCode":"P-1","amont":"1","openId":"user-001","customLotteryParams":{"points":"1"}}"#;
    assert_eq!(text(&count), custom);
    assert_eq!(text(&ClaimCode), "{}");
}

#[test]
fn one_draw_is_not_numbered_and_parameters_stand_beside_the_fields() {
    let parameters = Parameters::new([("points", "10"), ("level", "黄金")]).unwrap();
    let id = ActivityId::Text("act_1".to_owned());
    let (channel_key, corp_open_id) = (Some("app".to_owned()), Some("corp".to_owned()));
    let occasion = Occasion { id, channel_key, corp_open_id, ..mobile() };
    let draw = DrawRule { occasion, draws: 1, parameters };
    let expected = json!({
        "id": "act_1", "code": "abcdefg", "mobile": "18300000000", "channelKey": "app", "corpOpenId": "corp",
        "points": "10", "level": "黄金",
    });
    assert_eq!(serde_json::from_slice::<Value>(&draw.message()).unwrap(), expected);
    let review = PrizeReview {
        occasion: mobile(),
        prize_level: 0,
        prize_code: None,
        prize_name: "头奖".to_owned(),
        record_id: "draw_1".to_owned(),
        parameters: Parameters::default(),
    };
    let expected = json!({
        "id": 10086, "code": "abcdefg", "mobile": "18300000000", "prizeLevel": 0, "prizeName": "头奖",
        "recordId": "draw_1",
    });
    assert_eq!(serde_json::from_slice::<Value>(&review.message()).unwrap(), expected);
}

#[test]
fn no_parameter_takes_a_fields_place() {
    for name in ["points", "P", "member_level", "a-1", &"a".repeat(64)] {
        assert!(is_parameter_name(name), "{name}");
    }
    for name in ["", "1a", "_a", "__proto__", "a b", "a.b", "积分", "a\0", &"a".repeat(65), "MOBILE", "Id"] {
        assert!(!is_parameter_name(name), "{name}");
    }
    let all = Wire {
        id: Some(&ActivityId::Number(1)),
        code: Some(""),
        prize_code: Some(""),
        amount: Some(String::new()),
        mobile: Some(""),
        open_id: Some(""),
        union_id: Some(""),
        nick_name: Some(""),
        gender: Some(""),
        city: Some(""),
        country: Some(""),
        channel_key: Some(""),
        draw_num: Some(2),
        corp_open_id: Some(""),
        custom_lottery_params: Some(&Parameters::default()),
        prize_level: Some(0),
        prize_name: Some(""),
        record_id: Some(""),
        parameters: None,
    };
    let written: Value = serde_json::from_slice(&all.write()).unwrap();
    let written: Vec<&String> = written.as_object().unwrap().keys().collect();
    assert_eq!(written.len(), FIELDS.len());
    for name in written {
        assert!(!is_parameter_name(name), "{name}");
        assert_eq!(Parameters::new([(name.as_str(), "x")]), Err(BadParameter), "{name}");
    }
}

proptest! {
    #[test]
    fn whatever_a_person_is_called_the_question_says_it(name in any::<String>(), value in any::<String>()) {
        let person = Person::WeChat(WeChat { open_id: name.clone(), nick_name: Some(name.clone()), ..WeChat::default() });
        let parameters = Parameters::new([("points", &value)]).unwrap();
        let draw = DrawRule { occasion: occasion(person), draws: 2, parameters };
        let written: Value = serde_json::from_slice(&draw.message()).unwrap();
        prop_assert_eq!(&written["openId"], &json!(name));
        prop_assert_eq!(&written["nickName"], &json!(name));
        prop_assert_eq!(&written["points"], &json!(value));
        prop_assert_eq!(&written["id"], &json!(10086));
    }
}
