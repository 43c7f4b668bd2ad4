//! The benches start and end; what they measure is nobody's business here.

#[path = "../../benches/identity.rs"]
#[expect(dead_code, reason = "what sets a house up and writes the report down is for the bench itself")]
mod identity;

#[path = "../../benches/evm.rs"]
#[expect(dead_code, reason = "what sets a house up and writes the report down is for the bench itself")]
mod evm;

use crate::support::app::TestApp;
use crate::transport::clients;

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
async fn the_bench_of_the_evm_ledger_starts_and_ends() {
    clients::installed().await;
    let app = TestApp::builder().idle().start().await;
    let tenant = app.enterprise("alpha").await;
    let report = evm::measure(&app.app, tenant, &clients::folder(), &evm::Size::TINY).await;
    let report = report.expect("it ends well").json();
    assert_eq!(report["figures"].as_array().map(Vec::len), Some(6), "{report:#}");
    for figure in report["figures"].as_array().expect("a list") {
        assert!(figure["value"].as_f64().is_some_and(|value| value > 0.0), "{figure}");
    }
    let ratio = &report["ratios"][0];
    assert!(ratio["value"].as_f64().is_some_and(|value| value > 0.0), "{ratio}");
}
