//! What browsers are shown: pages with a policy of their own, the files that they use, and why nothing came of it.
//!
//! To add a page, make it with [`page`], which gives it its policy. To add a file, name it in [`asset`].

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::platform::refusal::Refusal;
use crate::platform::throttle::Wait;
use crate::tenancy::sso::model::SignOnError;

/// A page of ours: it may use our own files and our own API, and be framed by `ancestors` alone.
fn policy(ancestors: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors {ancestors}"
    )
}

pub fn page(status: StatusCode, html: String, ancestors: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy(ancestors)),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (status, headers, html).into_response()
}

/// A page's text in the language that its scripts and its reader are to use.
pub fn in_language(html: &str, language: Language) -> String {
    html.replace("{{language}}", language.tag())
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Why nothing came of it, in words for whoever asked.
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    field: Option<String>,
    message: String,
    wait: Option<i64>,
}

impl Failure {
    pub fn of(refusal: Refusal<SignOnError>, language: Language) -> Self {
        match refusal {
            Refusal::Problems(mut problems) => match problems.pop() {
                Some(problem) => Self {
                    status: status_of(problem.code),
                    code: problem.code.as_str(),
                    message: problem.message(language),
                    wait: problem.wait.map(Wait::seconds),
                    field: problem.field,
                },
                None => Self::of(Fault::internal(anyhow::anyhow!("a refusal without a problem")).into(), language),
            },
            Refusal::Fault(fault) => {
                let status = match fault {
                    Fault::BadRequest(_) => StatusCode::BAD_REQUEST,
                    Fault::Unavailable(_) | Fault::Contended(_) => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                };
                if status.is_server_error() {
                    tracing::error!("single sign-on: {}", fault.with_causes());
                }
                let (code, message) = (fault.code(), fault.message(language));
                Self { status, code, field: None, message, wait: None }
            }
        }
    }

    pub fn as_page(&self, language: Language) -> Response {
        let html = in_language(include_str!("../../../web/embedded/notice.html"), language)
            .replace("{{code}}", self.code)
            .replace("{{message}}", &escape(&self.message));
        self.with_wait(page(self.status, html, "'none'"))
    }

    pub fn as_json(&self) -> Response {
        let error = json!({ "code": self.code, "field": self.field, "message": self.message });
        let answer = (self.status, [(header::CACHE_CONTROL, "no-store")], Json(json!({ "error": error })));
        self.with_wait(answer.into_response())
    }

    fn with_wait(&self, mut response: Response) -> Response {
        if let Some(seconds) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn status_of(code: SignOnError) -> StatusCode {
    use SignOnError::*;
    match code {
        NotFound => StatusCode::NOT_FOUND,
        Malformed | InvalidClaim => StatusCode::BAD_REQUEST,
        InvalidAssertion | Expired | NotYetValid | TooLong | WrongAudience => StatusCode::UNAUTHORIZED,
        Replayed => StatusCode::CONFLICT,
        UnknownOrigin | BranchNotFound | NoRole | OperatorDisabled | EnterpriseNotActive | AttemptUnknown | Denied => {
            StatusCode::FORBIDDEN
        }
        ProviderFailed => StatusCode::BAD_GATEWAY,
        TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
    }
}

pub async fn asset(Path(file): Path<String>) -> Response {
    let (kind, text) = match file.as_str() {
        "console.css" => ("text/css; charset=utf-8", include_str!("../../../web/embedded/console.css")),
        "console.js" => ("text/javascript; charset=utf-8", include_str!("../../../web/embedded/console.js")),
        "embedded.js" => ("text/javascript; charset=utf-8", include_str!("../../../web/embedded/embedded.js")),
        "done.js" => ("text/javascript; charset=utf-8", include_str!("../../../web/embedded/done.js")),
        "notice.js" => ("text/javascript; charset=utf-8", include_str!("../../../web/embedded/notice.js")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, text).into_response()
}
