//! The benches start and end; what they measure is nobody's business here.

#[path = "../../benches/ledger.rs"]
#[expect(dead_code, reason = "what sets a house up and writes the report down is for the bench itself")]
mod ledger;

use crate::support::app::TestApp;
use ledger::identity;

#[tokio::test(flavor = "multi_thread")]
async fn the_bench_of_identity_starts_and_ends() {
    let app = TestApp::builder().idle().start().await;
    let report = identity::measure(&app.app, app.enterprise("alpha").await, &identity::Size::TINY).await;
    let report = report.expect("it ends well").json();
    assert_eq!(report["figures"].as_array().map(Vec::len), Some(5), "{report:#}");
    for figure in report["figures"].as_array().expect("a list") {
        assert!(figure["value"].as_f64().is_some_and(|value| value > 0.0) && figure["unit"] == "µs", "{figure}");
    }
    for ratio in report["ratios"].as_array().expect("a list") {
        assert!(ratio["value"].as_f64().is_some_and(|value| value > 0.0) && ratio["goal"] == 1.0, "{ratio}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bench_of_the_ledger_starts_and_ends() {
    let app = TestApp::builder().idle().start().await;
    let report = ledger::measure(&app.app, app.enterprise("alpha").await, &ledger::Size::TINY).await;
    let report = report.expect("it ends well").json();
    let figures = report["figures"].as_array().expect("a list");
    assert!(
        figures.len() == 6 && figures.iter().all(|figure| figure["value"].as_f64().is_some_and(|value| value > 0.0)),
        "{report:#}"
    );
}
