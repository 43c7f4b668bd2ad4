//! The EVM ledger before the suite of all ledgers, on a real node, as it is and behind a network that fails. What is its
//! own is in `crate::evm` and `crate::evm_trouble`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use minthouse::ledger::Ledger;
use minthouse::ledger::evm::EvmLedger;
use minthouse::ledger::simulator::{Faults, wrap};
use minthouse::tenancy::model::EnterpriseId;

use super::conformance::{Stage, conforms};
use crate::evm::shared;
use crate::support::chain::{Chained, turn};

struct Evm {
    house: Chained,
    tenants: [EnterpriseId; 2],
    faults: Option<Faults>,
    worker: Arc<EvmLedger>,
    ledger: Arc<dyn Ledger>,
}

impl Evm {
    async fn with(faults: Option<Faults>) -> Self {
        let house = Chained::on(shared().await).await;
        let tenants = [house.tenant, house.app.enterprise("beta").await];
        let worker = Arc::new(house.beside());
        let ledger = wrap(worker.clone(), faults.as_ref());
        Self { house, tenants, faults, worker, ledger }
    }
}

#[async_trait]
impl Stage for Evm {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }

    fn tenants(&self) -> [EnterpriseId; 2] {
        self.tenants
    }

    async fn work(&self) {
        turn(&self.worker).await.expect("the turn ends well");
    }

    async fn restart(&mut self) {
        self.worker = Arc::new(self.house.beside());
        self.ledger = wrap(self.worker.clone(), self.faults.as_ref());
    }

    fn many(&self) -> i32 {
        1100
    }
}

async fn plain() -> Evm {
    Evm::with(None).await
}

/// Every third call goes wrong.
async fn troubled() -> Evm {
    let delay = Duration::from_millis(1);
    Evm::with(Some(Faults { seed: 20_261, rate: 333, delay, ..Faults::default() })).await
}

conforms!(as_it_is, super::plain);
conforms!(behind_the_simulator, super::troubled);
