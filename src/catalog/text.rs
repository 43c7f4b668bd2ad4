//! What texts of the catalogue may hold.
//!
//! Limits are counted in characters, as the ledger's platform counts them. Names are compared by eyes, so nothing may
//! stand in them that eyes do not see; a description may have lines.

use crate::catalog::model::CatalogErrorCode as Code;
use crate::catalog::model::design::{Attributes, Design, SeriesDesign};
use crate::platform::refusal::{Problem, Refusal};

pub const SERIES_NAME: usize = 30;
pub const NAME: usize = 256;
pub const DESCRIPTION: usize = 500;
pub const AUTHOR: usize = 30;
pub const FLAG: usize = 30;
pub const METADATA: usize = 1024;
pub const FILING_NUMBER: usize = 60;
pub const IMAGE_URL: usize = 1024;
pub const ATTRIBUTES: usize = 20;
pub const ATTRIBUTE_NAME: usize = 30;
pub const ATTRIBUTE_VALUE: usize = 100;

/// The largest supply of one collectible.
pub const MAXIMUM_SUPPLY: i32 = 10_000_000;

/// Whether a character is a control, takes no room, or turns the direction of what stands beside it. Variation
/// selectors are none of these: rare Chinese characters and pictures are written with them.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// What is wrong with an input, all of it.
struct Findings(Vec<Problem<Code>>);

impl Findings {
    fn wrong(&mut self, field: impl Into<String>, chinese: &'static str, english: &'static str) {
        if let Refusal::Problems(problems) = Refusal::explained(field, Code::InvalidInput, chinese, english) {
            self.0.extend(problems);
        }
    }

    /// A name: there, short enough, and all of it visible.
    fn name(&mut self, field: &str, text: &str, limit: usize, (chinese, english): (&'static str, &'static str)) {
        if text.trim().is_empty() || text.chars().count() > limit {
            self.wrong(field, chinese, english);
        } else {
            self.visible(field, text);
        }
    }

    fn visible(&mut self, field: &str, text: &str) {
        if text.chars().any(is_hidden) {
            self.wrong(
                field,
                "不能包含控制字符、零宽字符或文字方向控制符，请删除后重试。",
                "It has control characters, characters of no width, or such as turn the direction of text; take them out.",
            );
        }
    }

    fn descriptions(&mut self, chinese: &str, english: &str) {
        for (field, text) in [("description.chinese", chinese), ("description.english", english)] {
            if text.chars().count() > DESCRIPTION {
                self.wrong(field, "描述不能超过 500 个字符。", "A description has at most 500 characters.");
            } else if text.chars().any(|character| is_hidden(character) && character != '\n') {
                self.visible(field, text);
            }
        }
    }

    fn into_result(self) -> Result<(), Refusal<Code>> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::Problems(self.0)) }
    }
}

pub fn check_series(design: &SeriesDesign) -> Result<(), Refusal<Code>> {
    let mut findings = Findings(Vec::new());
    for (field, name) in [("name.chinese", &design.name_chinese), ("name.english", &design.name_english)] {
        findings.name(
            field,
            name,
            SERIES_NAME,
            ("名称须为 1 到 30 个字符。", "A series' name has 1 to 30 characters."),
        );
    }
    findings.descriptions(&design.description_chinese, &design.description_english);
    findings.into_result()
}

pub fn check_collectible(design: &Design) -> Result<(), Refusal<Code>> {
    let mut findings = Findings(Vec::new());
    for (field, name) in [("name.chinese", &design.name_chinese), ("name.english", &design.name_english)] {
        findings.name(field, name, NAME, ("名称须为 1 到 256 个字符。", "A name has 1 to 256 characters."));
    }
    findings.descriptions(&design.description_chinese, &design.description_english);
    findings.name("author", &design.author, AUTHOR, ("作者须为 1 到 30 个字符。", "An author has 1 to 30 characters."));
    let url = &design.image_url;
    let is_address = url.is_empty() || (url.starts_with("https://") && !url.contains(char::is_whitespace));
    if url.len() > IMAGE_URL || !is_address {
        findings.wrong(
            "imageUrl",
            "图片地址须为 https 地址，且不超过 1024 字节。",
            "An image address begins with https://, has no spaces and at most 1024 bytes.",
        );
    } else {
        findings.visible("imageUrl", url);
    }
    if design.filing_number.chars().count() > FILING_NUMBER {
        findings.wrong("filingNumber", "备案号不能超过 60 个字符。", "A filing number has at most 60 characters.");
    } else {
        findings.visible("filingNumber", &design.filing_number);
    }
    if design.flag.chars().count() > FLAG {
        findings.wrong("flag", "标记不能超过 30 个字符。", "A flag has at most 30 characters.");
    } else {
        findings.visible("flag", &design.flag);
    }
    if design.metadata.chars().count() > METADATA {
        findings.wrong("metadata", "元数据不能超过 1024 个字符。", "Metadata has at most 1024 characters.");
    } else if design.metadata.contains('\0') {
        findings.visible("metadata", &design.metadata);
    }
    check_attributes(&mut findings, &design.attributes);
    if !(1..=MAXIMUM_SUPPLY).contains(&design.supply) {
        findings.wrong("supply", "发行量须为 1 到 10,000,000。", "A supply lies between 1 and 10,000,000.");
    }
    if !(0..=1).contains(&design.first_serial) {
        findings.wrong("firstSerial", "编号须从 0 或 1 开始。", "Serial numbers begin at 0 or at 1.");
    }
    findings.into_result()
}

fn check_attributes(findings: &mut Findings, Attributes(attributes): &Attributes) {
    if attributes.len() > ATTRIBUTES {
        findings.wrong("attributes", "属性不能超过 20 个。", "A collectible has at most 20 attributes.");
        return;
    }
    for (place, attribute) in attributes.iter().enumerate() {
        findings.name(
            &format!("attributes.{place}.name"),
            &attribute.name,
            ATTRIBUTE_NAME,
            ("属性名须为 1 到 30 个字符。", "An attribute's name has 1 to 30 characters."),
        );
        findings.name(
            &format!("attributes.{place}.value"),
            &attribute.value,
            ATTRIBUTE_VALUE,
            ("属性值须为 1 到 100 个字符。", "An attribute's value has 1 to 100 characters."),
        );
        if attributes[..place].iter().any(|earlier| earlier.name == attribute.name) {
            findings.wrong(
                format!("attributes.{place}.name"),
                "属性名重复，请合并或改名。",
                "Another attribute has this name already; join them or rename one.",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::model::design::{Attribute, tests::designs};

    fn fields(answer: Result<(), Refusal<Code>>) -> Vec<String> {
        match answer {
            Ok(()) => Vec::new(),
            Err(Refusal::Problems(problems)) => problems.into_iter().filter_map(|problem| problem.field).collect(),
            Err(Refusal::Fault(fault)) => panic!("{fault:?}"),
        }
    }

    #[test]
    fn each_limit_holds_to_the_character() {
        type Change = fn(&mut Design, String);
        let limits: [(&str, usize, Change); 8] = [
            ("name.chinese", NAME, |design, text| design.name_chinese = text),
            ("name.english", NAME, |design, text| design.name_english = text),
            ("description.chinese", DESCRIPTION, |design, text| design.description_chinese = text),
            ("description.english", DESCRIPTION, |design, text| design.description_english = text),
            ("author", AUTHOR, |design, text| design.author = text),
            ("filingNumber", FILING_NUMBER, |design, text| design.filing_number = text),
            ("flag", FLAG, |design, text| design.flag = text),
            ("metadata", METADATA, |design, text| design.metadata = text),
        ];
        for (field, limit, change) in limits {
            let mut design = Design::sample();
            change(&mut design, "龙".repeat(limit));
            assert_eq!(fields(check_collectible(&design)), Vec::<String>::new(), "{field}");
            change(&mut design, "龙".repeat(limit + 1));
            assert_eq!(fields(check_collectible(&design)), [field]);
        }
    }

    #[test]
    fn nothing_hides_in_a_name_and_everything_wrong_is_said_at_once() {
        for hidden in ['\0', '\u{7f}', '\u{200b}', '\u{200d}', '\u{202e}', '\u{feff}', '\u{3164}', '\u{e0041}', '\n'] {
            let mut design = Design::sample();
            design.name_english = format!("Dra{hidden}gon");
            design.author = format!("{hidden}Li");
            assert_eq!(fields(check_collectible(&design)), ["name.english", "author"], "{hidden:?}");
        }
        let mut design = Design::sample();
        design.description_english = "One line\nand another".into();
        design.name_chinese = "辻\u{e0100} ❤\u{fe0f}".into();
        assert_eq!(fields(check_collectible(&design)), Vec::<String>::new());
    }

    #[test]
    fn attributes_are_few_and_have_names_of_their_own() {
        let attribute = |name: &str, value: &str| Attribute { name: name.into(), value: value.into() };
        let mut design = Design::sample();
        design.attributes = Attributes((0..20).map(|n| attribute(&n.to_string(), "v")).collect());
        assert_eq!(fields(check_collectible(&design)), Vec::<String>::new());
        design.attributes.0.push(attribute("20", "v"));
        assert_eq!(fields(check_collectible(&design)), ["attributes"]);
        design.attributes = Attributes(vec![attribute("a", "v"), attribute("a", ""), attribute("", "v")]);
        assert_eq!(
            fields(check_collectible(&design)),
            ["attributes.1.value", "attributes.1.name", "attributes.2.name"]
        );
    }

    proptest! {
        #[test]
        fn any_design_is_judged_without_panic(design in designs()) {
            let _ = check_collectible(&design);
        }
    }
}
