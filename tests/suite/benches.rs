//! The benches start and end; what they measure is nobody's business here.

#[path = "../../benches/bulk.rs"]
#[expect(dead_code, reason = "what the full size needs is for the bench itself")]
mod bulk;
#[path = "../../benches/draws.rs"]
#[expect(dead_code, reason = "what the full size needs is for the bench itself")]
mod draws;
#[path = "../../benches/evm.rs"]
#[expect(dead_code, reason = "what the full size needs is for the bench itself")]
mod evm;
#[path = "../../benches/identity.rs"]
#[expect(dead_code, reason = "what the full size needs is for the bench itself")]
mod identity;
#[path = "../../benches/ledger.rs"]
#[expect(dead_code, reason = "what the full size needs is for the bench itself")]
mod ledger;
#[path = "../../benches/report.rs"]
#[expect(dead_code, reason = "what the full size needs is for the bench itself")]
mod report;

use std::time::Duration;

use crate::support::anvil;
use crate::support::app::TestApp;
use crate::transport::clients;

#[tokio::test(flavor = "multi_thread")]
async fn the_bench_of_identity_starts_and_ends() {
    let app = TestApp::builder().idle().start().await;
    let report =
        identity::measure(&app.app, app.enterprise("alpha").await, &identity::Size { turns: 2, repeats: 3 }).await;
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
async fn the_bench_of_draws_starts_and_ends() {
    let app = TestApp::builder().idle().start().await;
    let size = draws::Size { turns: 1, turn: Duration::from_secs(1), crowd: 8 };
    let report = draws::measure(&app.app, app.enterprise("alpha").await, &app.owner_url(), &size).await;
    let report = report.expect("it ends well").json();
    // One more where Redis is installed.
    assert!(report["figures"].as_array().is_some_and(|figures| (10..=11).contains(&figures.len())), "{report:#}");
    for figure in report["figures"].as_array().expect("a list") {
        assert!(figure["value"].as_f64().is_some_and(|value| value > 0.0), "{figure}");
    }
    app.sums_hold();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bench_of_bulk_work_starts_and_ends() {
    let app = TestApp::start().await;
    let tenant = app.enterprise("alpha").await;
    let size = bulk::Size { turns: 2, pieces: 1_500 };
    let report = bulk::measure(&app.app, tenant, &app.owner_url(), &size).await.expect("it ends well").json();
    assert_eq!(
        (&report["figures"][2]["value"], &report["ratios"][0]["goal"]),
        (&3_000.0.into(), &0.5.into()),
        "{report:#}"
    );
    for ratio in report["ratios"].as_array().expect("a list") {
        assert!(ratio["value"].as_f64().is_some_and(|value| value > 0.0), "{ratio}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bench_of_the_ledger_starts_and_ends() {
    let app = TestApp::builder().idle().start().await;
    let size = ledger::Size { runs: 1, transfers: 3, repeats: 2 };
    let report = ledger::measure(&app.app, app.enterprise("alpha").await, &size).await;
    let report = report.expect("it ends well").json();
    let figures = report["figures"].as_array().expect("a list");
    assert!(
        figures.len() == 6 && figures.iter().all(|figure| figure["value"].as_f64().is_some_and(|value| value > 0.0)),
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bench_of_the_evm_ledger_starts_and_ends() {
    clients::installed().await;
    let app = TestApp::builder().idle().start().await;
    let tenant = app.enterprise("alpha").await;
    let size = evm::Size { runs: 2, transfers: 3, turns: 1, with_slow_blocks: false };
    let report = evm::measure(&app.app, tenant, &clients::folder(), &size).await;
    let report = report.expect("it ends well").json();
    assert_eq!(report["figures"].as_array().map(Vec::len), Some(6), "{report:#}");
    for figure in report["figures"].as_array().expect("a list") {
        assert!(figure["value"].as_f64().is_some_and(|value| value > 0.0), "{figure}");
    }
    let ratio = &report["ratios"][0];
    assert!(ratio["value"].as_f64().is_some_and(|value| value > 0.0), "{ratio}");
}
