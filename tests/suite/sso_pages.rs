//! What browsers are shown at a single sign-on: in which language, and what leads on from where it came to nothing.

use std::path::Path;

use reqwest::Response;
use serde_json::json;

use crate::support::app::{TestApp, client};
use crate::support::identity_provider::IdentityProvider;
use crate::support::sso::Browser;
use crate::transport::clients;

/// The language that a page names, and its text.
async fn page(response: Response) -> (String, String) {
    let html = response.text().await.expect("a page");
    let language = html.split("<html lang=\"").nth(1).and_then(|rest| rest.split('"').next());
    (language.unwrap_or_else(|| panic!("no page: {html}")).to_owned(), html)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_speaks_the_language_that_its_address_asks_for() {
    let app = TestApp::builder().idle().start().await;
    for path in ["/embedded/nope", "/embedded/alpha", "/sso/done", "/sso/oidc/nope/start", "/sso/oidc/nope/callback"] {
        for (query, preferred, expected) in [
            ("", "en", "en"),
            ("", "zh-CN,zh;q=0.9", "zh-CN"),
            ("?lang=zh", "en", "zh-CN"),
            ("?lang=EN-GB", "zh", "en"),
            ("?lang=fr", "en", "en"),
            ("?lang=%22%3E%3Cscript%3E", "zh", "zh-CN"),
        ] {
            let address = format!("{}{path}{query}", app.origin());
            let response = client().get(&address).header("accept-language", preferred).send().await.unwrap();
            let (language, html) = page(response).await;
            assert_eq!(language, expected, "{path}{query} {preferred}");
            assert!(!html.contains("{{"), "{html}");
            if path.contains("nope") {
                assert_eq!(html.contains("请"), expected == "zh-CN", "{html}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_of_the_start_comes_back_from_the_provider() {
    let app = TestApp::builder().idle().start().await;
    let provider = IdentityProvider::start().await;
    let roles = json!({"roles": [{"value": "AUDITOR", "role": "AUDITOR"}]});
    let connection = app.connect("alpha", &provider, roles).await;
    app.register_at(&provider, &[&connection]).await;
    // These browsers prefer English.
    for (asked, page_asked, expected) in [("&lang=zh", "?lang=zh-CN", "zh-CN"), ("", "", "en")] {
        let mut browser = Browser::default();
        let start = format!("{}{asked}", app.start_url(&connection, "alice"));
        let back = browser.follow(&start, "/callback").await;
        let (language, html) = page(browser.get(&back).await).await;
        assert_eq!((language.as_str(), html.contains("NO_ROLE")), (expected, true), "{html}");

        let mut browser = Browser::default();
        let start = format!("{}{asked}", app.start_url(&connection, "bob"));
        let end = browser.follow(&start, "/sso/done").await;
        let (address, _) = end.split_once("#ticket=mht_").expect("a ticket");
        assert_eq!(address, format!("{}/sso/done{page_asked}", app.origin()));
    }
}

/// The pages run as they stand, in node on a browser's globals.
#[tokio::test(flavor = "multi_thread")]
async fn the_console_notices_its_end_and_leads_back_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/embedded");
    let told = clients::script("console.mjs", json!({ "folder": folder })).await;
    assert_eq!(told.len(), 7, "{told:#?}");
}
