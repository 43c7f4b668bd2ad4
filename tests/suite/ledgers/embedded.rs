//! The embedded ledger before the suite of all ledgers, as it is and behind a network that fails.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use minthouse::ledger::Ledger;
use minthouse::ledger::embedded::EmbeddedLedger;
use minthouse::ledger::simulator::{Faults, wrap};
use minthouse::tenancy::model::EnterpriseId;
use minthouse::tenancy::worker::Job;

use super::conformance::{Stage, conforms};
use crate::support::app::TestApp;

pub struct Embedded {
    pub app: TestApp,
    tenants: [EnterpriseId; 2],
    faults: Option<Faults>,
    sealer: Arc<EmbeddedLedger>,
    ledger: Arc<dyn Ledger>,
}

impl Embedded {
    pub async fn with(faults: Option<Faults>) -> Self {
        let app = TestApp::builder().idle().start().await;
        let tenants = [app.enterprise("alpha").await, app.enterprise("beta").await];
        let sealer = Arc::new(EmbeddedLedger::new(app.app.platform.clone(), app.app.ledger_keys.clone()));
        let ledger = wrap(sealer.clone(), faults.as_ref());
        Self { app, tenants, faults, sealer, ledger }
    }

    /// Lets these faults stand before it from now on.
    pub fn troubled_by(&mut self, faults: Option<Faults>) {
        self.ledger = wrap(self.sealer.clone(), faults.as_ref());
        self.faults = faults;
    }
}

#[async_trait]
impl Stage for Embedded {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }

    fn tenants(&self) -> [EnterpriseId; 2] {
        self.tenants
    }

    async fn work(&self) {
        for tenant in self.sealer.tenants_due().await.expect("the database answers") {
            self.sealer.work(tenant).await.expect("what waits can be sealed");
        }
    }

    async fn restart(&mut self) {
        let (platform, keys) = (self.app.app.platform.clone(), self.app.app.ledger_keys.clone());
        self.sealer = Arc::new(EmbeddedLedger::new(platform, keys));
        self.ledger = wrap(self.sealer.clone(), self.faults.as_ref());
    }
}

async fn plain() -> Embedded {
    Embedded::with(None).await
}

/// Every third call goes wrong.
async fn troubled() -> Embedded {
    let delay = Duration::from_millis(1);
    Embedded::with(Some(Faults { seed: 20_260, rate: 333, delay, ..Faults::default() })).await
}

conforms!(as_it_is, super::plain);
conforms!(behind_the_simulator, super::troubled);
