//! The ledgers that this server has.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::ledger::Ledger;
use crate::ledger::evm::EvmLedger;
use crate::ledger::model::LedgerKind;
use crate::ledger::simulator::Faults;

/// Of what they are made.
pub struct LedgerParts {
    /// Keeps what is issued from now on.
    pub chosen: LedgerKind,
    /// What shall seem to go wrong with all of them, for development.
    pub faults: Option<Faults>,
    /// Beside the embedded one.
    pub evm: Option<EvmLedger>,
}

impl Default for LedgerParts {
    fn default() -> Self {
        Self { chosen: LedgerKind::Embedded, faults: None, evm: None }
    }
}

/// Each collectible is kept on one of them, chosen when its issuance starts. Work for a ledger that is not among these
/// waits for a server that has it; `minthouse doctor` says so.
pub struct Ledgers {
    chosen: LedgerKind,
    by_kind: HashMap<LedgerKind, Arc<dyn Ledger>>,
}

impl Ledgers {
    /// `chosen` keeps what is issued from now on.
    pub fn new(chosen: LedgerKind, ledgers: impl IntoIterator<Item = Arc<dyn Ledger>>) -> Result<Self> {
        let by_kind: HashMap<_, _> = ledgers.into_iter().map(|ledger| (ledger.kind(), ledger)).collect();
        by_kind.get(&chosen).with_context(|| {
            format!("`ledger` names {}, which this server does not have; configure it", chosen.as_str())
        })?;
        Ok(Self { chosen, by_kind })
    }

    pub fn chosen(&self) -> LedgerKind {
        self.chosen
    }

    pub fn get(&self, kind: LedgerKind) -> Option<&Arc<dyn Ledger>> {
        self.by_kind.get(&kind)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Ledger>> {
        self.by_kind.values()
    }
}
