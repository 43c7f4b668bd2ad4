//! Signing in with WeChat: what a client got from WeChat (a code) is exchanged for who the person is.
//!
//! Sources, both at developers.weixin.qq.com: for mini programs `code2Session` (小程序登录,
//! `GET /sns/jscode2session`), for pages of an official account `snsAccessToken` (网页授权,
//! `GET /sns/oauth2/access_token`); the codes are in the table of global return codes (全局返回码).
//!
//! A code is good for one exchange within five minutes, so a lost answer is a lost code: the person signs in again.
//! What the answer says beside the identity (`session_key`, `access_token`, `refresh_token`) is read by nobody here and
//! leaves no trace: with it one could act for the person.

use std::fmt;

use reqwest::{Client, Url};
use serde::Deserialize;

use crate::bridges::exchange::{Exchange, Lost};

/// Where WeChat serves both.
pub const ENDPOINT: &str = "https://api.weixin.qq.com";

/// A mini program or an official account.
#[derive(Clone)]
pub struct App {
    app_id: String,
    secret: String,
}

impl App {
    pub fn new(app_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { app_id: app_id.into(), secret: secret.into() }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("App").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

/// Who somebody is to an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The person's name within this app alone.
    pub open_id: String,
    /// The person's name across the apps of one WeChat Open Platform account. Absent where the app belongs to none, and
    /// on pages that asked for less than `snsapi_userinfo`.
    pub union_id: Option<String>,
}

/// Why a code told nothing. The texts hold neither code nor secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// 40029, 42003.
    #[error("WeChat does not know the code, or it is too old")]
    InvalidCode,
    /// 40163. Somebody may have taken the code from the person who got it.
    #[error("the code was exchanged before")]
    CodeUsed,
    /// 45011.
    #[error("WeChat was asked too often; wait a minute")]
    TooFrequent,
    /// -1.
    #[error("WeChat is busy; try again")]
    Busy,
    /// 40226.
    #[error("WeChat bars this person from signing in")]
    RiskyUser,
    /// The page was shown in WeChat's preview (快照页), where everybody is a made-up person that exists for that one
    /// view. The person has to open the page itself.
    #[error("the page was opened in WeChat's preview, where nobody can sign in")]
    Preview,
    /// 40013, 40125. A fault of whoever set the app up.
    #[error("WeChat does not know the AppID, or the secret is not its own")]
    WrongCredentials,
    /// Any other code of WeChat's table.
    #[error("WeChat refused to sign the person in: {0}")]
    Refused(i64),
    /// No answer. The code may be used up all the same.
    #[error("WeChat cannot be reached")]
    Unreachable,
    #[error("WeChat's answer is not what its documentation says")]
    Nonsense,
}

impl From<Lost> for SignInError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unreachable => Self::Unreachable,
            Lost::Nonsense => Self::Nonsense,
        }
    }
}

impl SignInError {
    fn of(code: i64) -> Self {
        match code {
            40029 | 42003 => Self::InvalidCode,
            40163 => Self::CodeUsed,
            45011 => Self::TooFrequent,
            -1 => Self::Busy,
            40226 => Self::RiskyUser,
            40013 | 40125 => Self::WrongCredentials,
            other => Self::Refused(other),
        }
    }
}

pub struct SignIn {
    exchange: Exchange,
    endpoint: Url,
}

impl SignIn {
    /// The endpoint is [`ENDPOINT`] outside tests; only its scheme, host and port count. The client is
    /// [`crate::bridges::client`]'s.
    pub fn new(http: Client, endpoint: &Url) -> Self {
        Self { exchange: Exchange::new(http), endpoint: endpoint.clone() }
    }

    /// The person whose mini program got this code from `wx.login`.
    pub async fn mini_program(&self, app: &App, code: &str) -> Result<Identity, SignInError> {
        self.identity("/sns/jscode2session", "js_code", app, code).await
    }

    /// The person whom the official account's page was given this code for.
    pub async fn official_account(&self, app: &App, code: &str) -> Result<Identity, SignInError> {
        self.identity("/sns/oauth2/access_token", "code", app, code).await
    }

    async fn identity(&self, path: &str, code_name: &str, app: &App, code: &str) -> Result<Identity, SignInError> {
        let mut address = self.endpoint.clone();
        address.set_path(path);
        address.set_fragment(None);
        address.query_pairs_mut().clear().extend_pairs([
            ("appid", app.app_id.as_str()),
            ("secret", &app.secret),
            (code_name, code),
            ("grant_type", "authorization_code"),
        ]);
        let request = self.exchange.http.get(address).build().map_err(|error| {
            tracing::error!(path, "a sign-in cannot be written: {}", error.without_url());
            SignInError::Unreachable
        })?;
        let answer: Answer = self.exchange.ask(request).await?;
        // Some answers to a good code say `"errcode": 0`.
        if answer.errcode != 0 {
            tracing::warn!(path, app_id = app.app_id, errcode = answer.errcode, "WeChat signed nobody in");
            return Err(SignInError::of(answer.errcode));
        }
        if answer.is_snapshotuser == 1 {
            return Err(SignInError::Preview);
        }
        let open_id = answer.openid.filter(|name| is_name(name)).ok_or(SignInError::Nonsense)?;
        let union_id = answer.unionid.filter(|name| !name.is_empty());
        if union_id.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(SignInError::Nonsense);
        }
        Ok(Identity { open_id, union_id })
    }
}

/// Both kinds of name are some 28 letters, digits, `-` and `_`.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=128).contains(&text.len()) && text.bytes().all(plain)
}

/// What is read of both answers.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    errcode: i64,
    openid: Option<String>,
    unionid: Option<String>,
    #[serde(default)]
    is_snapshotuser: i64,
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::Query;
    use axum::http::header::CONTENT_TYPE;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use serde_json::{Value, json};

    use super::*;

    const APP_ID: &str = "wx520c15f417810387";
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const OPEN_ID: &str = "oFoSZ5T0DOf8Fhfz2SZfWcaJW-b0";
    const UNION_ID: &str = "o6_bmasdasdsad6_2sgVt7hMZOPf";
    const KEY: &str = "aAf3uQ5AslIObWmLT+BXPg==";

    /// The codes that each endpoint gave out, and what it answers to them.
    #[derive(Default)]
    struct Double {
        codes: HashMap<String, Value>,
        used: Mutex<HashSet<String>>,
    }

    impl Double {
        /// As documented: every parameter once and none beside, the app's own secret, a code once.
        fn judge(&self, code_name: &str, query: &[(String, String)]) -> Value {
            let refused = |code: i64, message: &str| json!({ "errcode": code, "errmsg": format!("{message}, hints: [ req_id: 7L8aBa05974105 ] {query:?}") });
            let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
            if names != ["appid", "secret", code_name, "grant_type"] {
                return refused(47001, "data format error");
            }
            let [app_id, secret, code, grant] = [0, 1, 2, 3].map(|at| query[at].1.as_str());
            if grant != "authorization_code" {
                return refused(40002, "invalid grant_type");
            }
            if app_id != APP_ID {
                return refused(40013, "invalid appid");
            }
            if secret != SECRET {
                return refused(40125, "invalid appsecret");
            }
            let Some(answer) = self.codes.get(code) else {
                return refused(40029, "invalid code");
            };
            if !self.used.lock().unwrap().insert(code.to_owned()) {
                return refused(40163, "code been used");
            }
            answer.clone()
        }
    }

    type Question = Query<Vec<(String, String)>>;

    /// WeChat with these codes for the mini program and for the official account.
    async fn wechat(mini_program: &[(&str, Value)], official_account: &[(&str, Value)]) -> SignIn {
        let serve = |codes: &[(&str, Value)], code_name: &'static str| {
            let codes = codes.iter().map(|(code, answer)| ((*code).to_owned(), answer.clone())).collect();
            let double = Arc::new(Double { codes, ..Double::default() });
            get(move |Query(query): Question| async move {
                ([(CONTENT_TYPE, "text/plain")], double.judge(code_name, &query).to_string()).into_response()
            })
        };
        let routes = Router::new()
            .route("/sns/jscode2session", serve(mini_program, "js_code"))
            .route("/sns/oauth2/access_token", serve(official_account, "code"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        SignIn::new(crate::bridges::client().unwrap(), &endpoint)
    }

    fn app() -> App {
        App::new(APP_ID, SECRET)
    }

    fn session() -> Value {
        json!({ "session_key": KEY, "openid": OPEN_ID, "unionid": UNION_ID })
    }

    fn authorization() -> Value {
        json!({
            "access_token": "ACCESS_TOKEN", "expires_in": 7200, "refresh_token": "REFRESH_TOKEN", "openid": OPEN_ID,
            "scope": "snsapi_base",
        })
    }

    #[tokio::test]
    async fn a_code_tells_who_somebody_is_once() {
        let wechat = wechat(&[("a&b=c d", session())], &[("page", authorization())]).await;
        let identity = wechat.mini_program(&app(), "a&b=c d").await.unwrap();
        assert_eq!(identity, Identity { open_id: OPEN_ID.to_owned(), union_id: Some(UNION_ID.to_owned()) });
        assert!(!format!("{identity:?}").contains(KEY));
        assert_eq!(wechat.mini_program(&app(), "a&b=c d").await, Err(SignInError::CodeUsed));

        let identity = wechat.official_account(&app(), "page").await.unwrap();
        assert_eq!(identity, Identity { open_id: OPEN_ID.to_owned(), union_id: None });
        assert_eq!(wechat.official_account(&app(), "page").await, Err(SignInError::CodeUsed));
    }

    #[tokio::test]
    async fn a_code_of_one_kind_is_none_of_the_other() {
        let wechat = wechat(&[("mini", session())], &[("page", authorization())]).await;
        assert_eq!(wechat.official_account(&app(), "mini").await, Err(SignInError::InvalidCode));
        assert_eq!(wechat.mini_program(&app(), "page").await, Err(SignInError::InvalidCode));
        assert_eq!(wechat.mini_program(&app(), "").await, Err(SignInError::InvalidCode));
    }

    #[tokio::test]
    async fn an_app_needs_its_own_secret() {
        let wechat = wechat(&[("mini", session())], &[]).await;
        for app in [App::new(APP_ID, "other"), App::new("wx0000000000000000", SECRET), App::new(APP_ID, "")] {
            let refused = wechat.mini_program(&app, "mini").await;
            assert_eq!(refused, Err(SignInError::WrongCredentials));
        }
        assert!(wechat.mini_program(&app(), "mini").await.is_ok(), "a wrong secret uses no code up");
    }

    #[tokio::test]
    async fn each_refusal_has_its_word() {
        for (code, error) in [
            (-1, SignInError::Busy),
            (40013, SignInError::WrongCredentials),
            (40029, SignInError::InvalidCode),
            (40125, SignInError::WrongCredentials),
            (40163, SignInError::CodeUsed),
            (40226, SignInError::RiskyUser),
            (42003, SignInError::InvalidCode),
            (45011, SignInError::TooFrequent),
            (48001, SignInError::Refused(48001)),
        ] {
            let answer = json!({ "errcode": code, "errmsg": format!("about {SECRET}"), "openid": OPEN_ID });
            let wechat = wechat(&[("mini", answer.clone())], &[("page", answer)]).await;
            assert_eq!(wechat.mini_program(&app(), "mini").await, Err(error));
            assert_eq!(wechat.official_account(&app(), "page").await, Err(error));
            assert!(!format!("{error} {error:?}").contains(SECRET));
        }
    }

    #[tokio::test]
    async fn nobody_signs_in_from_a_preview() {
        let mut answer = authorization();
        answer["is_snapshotuser"] = 1.into();
        let wechat = wechat(&[], &[("page", answer)]).await;
        assert_eq!(wechat.official_account(&app(), "page").await, Err(SignInError::Preview));
    }

    #[tokio::test]
    async fn an_answer_without_a_person_is_nonsense() {
        for answer in [
            json!({}),
            json!([]),
            json!({ "openid": "" }),
            json!({ "openid": null, "errcode": 0 }),
            json!({ "openid": "a b" }),
            json!({ "openid": OPEN_ID, "unionid": "a/b" }),
            json!({ "openid": OPEN_ID, "errcode": "0" }),
        ] {
            let wechat = wechat(&[("mini", answer.clone())], &[]).await;
            assert_eq!(wechat.mini_program(&app(), "mini").await, Err(SignInError::Nonsense), "{answer}");
        }
        let fine = json!({ "openid": OPEN_ID, "unionid": "", "errcode": 0, "errmsg": "ok" });
        let wechat = wechat(&[("mini", fine)], &[]).await;
        let identity = wechat.mini_program(&app(), "mini").await.unwrap();
        assert_eq!(identity, Identity { open_id: OPEN_ID.to_owned(), union_id: None });
    }

    #[test]
    fn an_app_does_not_show_its_secret() {
        let shown = format!("{:?}", app());
        assert!(shown.contains(APP_ID) && !shown.contains(SECRET));
    }
}
