//! Numbers of licences and filings, as their authorities print them.
//!
//! Only the public form is judged here, and loosely where the authority itself has changed it over the years: whether
//! a number is the enterprise's own is for the house to see in the document. What passes comes back normalised, so that
//! the same number handed in twice is seen to be the same.
//!
//! | kind | form | source |
//! |---|---|---|
//! | BUSINESS_LICENCE | unified social credit code, 18 characters with a check character | GB 32100-2015 |
//! | ICP_LICENCE | `京ICP备12345678号`, with `-1` for a site; `京ICP证123456号`; `京B2-20201234` | 互联网信息服务管理办法, 非经营性互联网信息服务备案管理办法, as beian.miit.gov.cn shows them |
//! | BLOCKCHAIN_FILING | `京网信备` with 20 digits and `号` | 区块链信息服务管理规定 (2019), as the lists of the Cyberspace Administration show them |
//! | COPYRIGHT_PROOF | any; registrars write them as they like | |

use crate::tenancy::model::QualificationKind;

/// The short names of provinces that filings begin with, older ones too (川 and 蜀, 云 and 滇, …).
const PROVINCES: &str = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川蜀贵黔云滇藏陕秦甘陇青宁新";

/// GB 32100-2015, table 1: without I, O, S, V and Z. A character's value is its place.
const CREDIT_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// The number as it is kept, where it has the form of its kind.
pub fn normalise(kind: QualificationKind, text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
    if text.is_empty() || text.chars().count() > 60 || text.chars().any(char::is_control) {
        return None;
    }
    let fits = match kind {
        QualificationKind::BusinessLicence => is_credit_code(&text),
        QualificationKind::IcpLicence => is_icp_number(&text),
        QualificationKind::BlockchainFiling => is_blockchain_number(&text),
        QualificationKind::CopyrightProof => true,
    };
    fits.then_some(text)
}

/// What the number should have looked like, in both languages.
pub fn form(kind: QualificationKind) -> (&'static str, &'static str) {
    match kind {
        QualificationKind::BusinessLicence => (
            "须为 18 位统一社会信用代码，请核对最后一位校验码。",
            "A business licence's number is the unified social credit code of 18 characters; check it for a mistyped one.",
        ),
        QualificationKind::IcpLicence => (
            "须为 ICP 备案号或许可证号，如 京ICP备12345678号、京ICP证123456号 或 京B2-20201234。",
            "An ICP number reads like 京ICP备12345678号, 京ICP证123456号 or 京B2-20201234.",
        ),
        QualificationKind::BlockchainFiling => (
            "须为区块链信息服务备案编号，如 京网信备后接 20 位数字和“号”。",
            "A blockchain filing reads like 京网信备, 20 digits, 号.",
        ),
        QualificationKind::CopyrightProof => ("须为 1 到 60 个字符。", "A number has 1 to 60 characters."),
    }
}

/// GB 32100-2015: the check character makes the weighted sum a multiple of 31.
fn is_credit_code(text: &str) -> bool {
    let values: Option<Vec<usize>> =
        text.bytes().map(|byte| CREDIT_ALPHABET.iter().position(|letter| *letter == byte)).collect();
    let Some(values) = values.filter(|values| values.len() == 18) else { return false };
    let mut weight = 1;
    let mut sum = 0;
    for value in &values[..17] {
        sum += value * weight;
        weight = weight * 3 % 31;
    }
    (31 - sum % 31) % 31 == values[17]
}

fn is_icp_number(text: &str) -> bool {
    let Some(rest) = without_province(text) else { return false };
    if let Some(rest) = rest.strip_prefix("ICP备") {
        let Some((number, site)) = rest.split_once('号') else { return false };
        return digits(number, 5..=12) && (site.is_empty() || site.strip_prefix('-').is_some_and(|n| digits(n, 1..=4)));
    }
    if let Some(rest) = rest.strip_prefix("ICP证") {
        return rest
            .strip_suffix('号')
            .is_some_and(|number| digits(number.trim_start_matches(['B', '2', '-']), 5..=12));
    }
    // The licence for value-added telecommunications, which covers information services.
    rest.strip_prefix("B2-").is_some_and(|number| digits(number, 8..=8))
}

fn is_blockchain_number(text: &str) -> bool {
    without_province(text)
        .and_then(|rest| rest.strip_prefix("网信备"))
        .and_then(|rest| rest.strip_suffix('号'))
        .is_some_and(|number| digits(number, 20..=20))
}

fn without_province(text: &str) -> Option<&str> {
    text.chars().next().filter(|first| PROVINCES.contains(*first)).map(|first| &text[first.len_utf8()..])
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use QualificationKind::*;

    // The worked example of GB 32100-2015: its own code, and the same with a wrong check character.
    #[test]
    fn the_standards_own_credit_code_passes_and_its_wrong_one_does_not() {
        assert_eq!(normalise(BusinessLicence, " 91350100m000100y43 ").as_deref(), Some("91350100M000100Y43"));
        assert_eq!(normalise(BusinessLicence, "91350100M000100Y4Z"), None);
        assert_eq!(normalise(BusinessLicence, "91350100M000100Y4"), None);
    }

    proptest! {
        #[test]
        fn one_mistyped_character_is_seen(place in 0usize..17, letter in 0usize..31) {
            let mut code = b"91350100M000100Y43".to_vec();
            prop_assume!(code[place] != CREDIT_ALPHABET[letter]);
            code[place] = CREDIT_ALPHABET[letter];
            prop_assert_eq!(normalise(BusinessLicence, std::str::from_utf8(&code).unwrap()), None);
        }

        #[test]
        fn a_normal_number_stays_as_it_is(text in "[京粤A]?(ICP备|ICP证|网信备|B2-)?[0-9]{0,20}号?") {
            for &kind in QualificationKind::ALL {
                if let Some(number) = normalise(kind, &text) {
                    prop_assert_eq!(normalise(kind, &number), Some(number));
                }
            }
        }
    }

    #[test]
    fn icp_numbers_of_every_age_pass() {
        for number in [
            "京ICP备12345678号",
            "粤ICP备2021012345号",
            "沪icp备05012345号-12",
            "京ICP证123456号",
            "京ICP证B2-20171219号",
            "粤B2-20090059",
            "蜀ICP备 12345678号",
        ] {
            assert!(normalise(IcpLicence, number).is_some(), "{number}");
        }
        for refused in [
            "",
            "ICP备12345678号",
            "美ICP备12345678号",
            "京ICP备号",
            "京ICP备12345678",
            "京ICP备1234567８号",
            "京ICP备12345678号-",
            "京ICP证号",
            "京B2-2009",
        ] {
            assert_eq!(normalise(IcpLicence, refused), None, "{refused}");
        }
    }

    #[test]
    fn blockchain_filings_have_twenty_digits() {
        let number = format!("京网信备{}号", "1".repeat(20));
        assert_eq!(normalise(BlockchainFiling, &number), Some(number));
        for refused in
            [format!("京网信备{}号", "1".repeat(19)), format!("网信备{}号", "1".repeat(20)), "京网信备号".into()]
        {
            assert_eq!(normalise(BlockchainFiling, &refused), None, "{refused}");
        }
    }
}
