//! The findings in words.

use super::Detail;
use super::gist::Gist;
use crate::bridges::callback::answer::Reply;
use crate::bridges::callback::fields::Malformed;
use crate::platform::language::Language;
use crate::platform::outbound::OutboundError;

pub fn detail(chinese: &str, english: &str) -> Detail {
    Detail { chinese: chinese.to_owned(), english: english.to_owned() }
}

pub fn prefixed(chinese: &str, english: &str, rest: &Detail) -> Detail {
    Detail { chinese: format!("{chinese}{}", rest.chinese), english: format!("{english}{}", rest.english) }
}

pub fn forbidden(error: &OutboundError) -> Detail {
    match error {
        OutboundError::PrivateAddress(_) => detail(
            "域名必须解析到公网地址；请勿使用内网或本机地址",
            "the host has to lead to addresses of the public internet alone, not into a private network",
        ),
        _ => detail(
            "地址必须是 https 地址，且不得包含用户名和密码",
            "the address has to be an https address without a name and a password in it",
        ),
    }
}

pub fn no_answer(error: &OutboundError) -> Detail {
    match error {
        OutboundError::TimedOut(_) => detail(
            "未在时限内应答；请先应答，耗时的工作放到应答之后",
            "no answer in time; answer first, and do what takes long afterwards",
        ),
        OutboundError::TooLong(_, bytes) => Detail {
            chinese: format!("应答超过 {bytes} 字节"),
            english: format!("the answer is longer than {bytes} bytes"),
        },
        OutboundError::Unreachable { cause, .. } => Detail {
            chinese: format!("无法连接（{cause}）；请检查域名、端口、防火墙和证书链"),
            english: format!("no connection ({cause}); look at the name, the port, the firewall and the certificates"),
        },
        OutboundError::BadAddress(_) | OutboundError::PrivateAddress(_) => forbidden(error),
    }
}

/// Whether an answer is one that can be used, and what is wrong with it.
pub fn judged(outcome: &Result<Reply<Gist>, Malformed>) -> (bool, Detail) {
    match outcome {
        Ok(Reply::Answer(_)) => (true, detail("应答格式正确", "the answer is well formed")),
        Ok(Reply::Rejected(rejection)) => {
            let (code, msg) = (&rejection.code, rejection.msg.as_deref().unwrap_or("-"));
            let chinese = format!(
                "应答的 code 为 {code}（msg：{msg}）；请确认双方的 token、EncodingAESKey、尾部 ID 与摘要算法一致，\
                 并以 code 200 应答样例参数；拒绝用户抽奖请用 lottery 2"
            );
            let english = format!(
                "answered with the code {code} (msg: {msg}); see that token, EncodingAESKey, the ID behind the message and the \
                 digest are the same on both sides, and answer the sample with code 200; refuse a person by lottery 2"
            );
            (false, Detail { chinese, english })
        }
        Err(malformed) => {
            let [chinese, english] =
                [Language::Chinese, Language::English].map(|language| malformed.in_language(language));
            (false, Detail { chinese, english })
        }
    }
}
