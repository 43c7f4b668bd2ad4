//! What people are told: the same advice in both languages, and no language within the other.

use async_graphql::resolver_utils::EnumType;
use minthouse::platform::fault::Fault;
use minthouse::platform::language::Language;
use minthouse::platform::refusal::Code;
use minthouse::tenancy::model::clients::ClientErrorCode;
use minthouse::tenancy::model::operators::OperatorErrorCode;
use minthouse::tenancy::model::{
    BranchErrorCode, EnterpriseErrorCode, EnterpriseState, QualificationErrorCode, ReviewErrorCode, SessionErrorCode,
    SignInErrorCode,
};
use minthouse::tenancy::sso::model::{SignOnError, SsoErrorCode, SsoTicketErrorCode};
use minthouse::wallets::model::{HolderErrorCode, WalletErrorCode, WeChatAppErrorCode};

/// What is named between backticks: fields, mutations, words of the schema.
fn named(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn all<C: Code + EnumType>() -> Vec<C> {
    C::items().iter().map(|item| item.value).collect()
}

/// The texts of a family in which only one of the languages says where to turn.
fn lopsided<C: Code + std::fmt::Debug>(codes: &[C]) -> Vec<String> {
    let differs = |code: &&C| {
        let text = code.text();
        let (mut chinese, mut english) = (named(text.chinese), named(text.english));
        chinese.sort_unstable();
        english.sort_unstable();
        // An instruction follows a semicolon or a colon in English; in Chinese it begins with one of these words.
        let advises = text.english.contains([';', ':']);
        let hints = ["请", "可用", "不能", "没有留存", "勿", "须"];
        chinese != english || (advises && !hints.iter().any(|hint| text.chinese.contains(hint)))
    };
    codes.iter().filter(differs).map(|code| format!("{code:?}: {:?}", code.text())).collect()
}

#[test]
fn both_languages_give_the_same_advice() {
    let found = [
        lopsided(&all::<EnterpriseErrorCode>()),
        lopsided(&all::<SignInErrorCode>()),
        lopsided(&all::<ReviewErrorCode>()),
        lopsided(&all::<SessionErrorCode>()),
        lopsided(&all::<ClientErrorCode>()),
        lopsided(&all::<OperatorErrorCode>()),
        lopsided(&all::<BranchErrorCode>()),
        lopsided(&all::<QualificationErrorCode>()),
        lopsided(&all::<SsoErrorCode>()),
        lopsided(&all::<SsoTicketErrorCode>()),
        lopsided(SignOnError::ALL),
        lopsided(&all::<WalletErrorCode>()),
        lopsided(&all::<HolderErrorCode>()),
        lopsided(&all::<WeChatAppErrorCode>()),
    ];
    assert_eq!(found.concat(), Vec::<String>::new());
}

#[test]
fn a_fault_is_told_in_one_language() {
    let faults =
        [Fault::NO_TOKEN, Fault::wrong_caller("用户的令牌", "a holder's token"), Fault::OutOfScope("SALE_READ")];
    let states = EnterpriseState::ALL.iter().flat_map(|state| [state.refusing(), state.refusing_holders()]);
    for fault in faults.into_iter().chain(states) {
        let (chinese, english) = (fault.message(Language::Chinese), fault.message(Language::English));
        // Names of the schema and of headers stand in both; sentences do not.
        for phrase in [" was ", " is ", " the ", " token"] {
            assert!(!chinese.contains(phrase), "{chinese}");
        }
        assert!(english.is_ascii() || english.replace('…', "").is_ascii(), "{english}");
    }
}
