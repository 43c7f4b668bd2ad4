//! What the ledger shows in GraphQL.

use async_graphql::{Context, Object, Result};
use chrono::{DateTime, Utc};

use crate::api::context::ContextExt;
use crate::api::transport::raise;
use crate::ledger::checkpoint::{LedgerKeys, Verifier};
use crate::ledger::model::Piece;
use crate::ledger::proof::{self, Proof};
use crate::platform::fault::Fault;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::Caller;
use crate::wallets::model::ItemId;

pub struct LedgerProofObject(Proof);

/// A piece's history on the embedded ledger, as a document that anybody can check without us (存证证明).
#[Object(name = "LedgerProof")]
impl LedgerProofObject {
    /// The document, JSON: keep it as it is. `minthouse ledger verify` checks it; docs/ledgers.md says how to do so with
    /// a program of your own.
    async fn document(&self) -> String {
        self.0.document.json()
    }

    /// How many blocks the signed checkpoint covers that the document stands on.
    async fn block_count(&self) -> u64 {
        self.0.checkpoint.size
    }

    /// When the house signed that checkpoint. The document says nothing of what came later.
    async fn signed_at(&self) -> DateTime<Utc> {
        self.0.checkpoint.signed_at
    }

    /// The ID of the public key that checks it, as `/.well-known/ledger-keys.json` lists it.
    async fn key_id(&self) -> Result<String> {
        let key: Verifier = self.0.document.key.parse().map_err(Fault::internal).map_err(raise)?;
        Ok(key.id())
    }
}

#[derive(Default)]
pub struct LedgerQuery;

#[Object]
impl LedgerQuery {
    /// The proof of an item's history: for the enterprise, and for the holder who has it. Nothing while the item is on its
    /// way, or where its ledger is no chain of ours.
    async fn ledger_proof(&self, ctx: &Context<'_>, item_id: ItemId) -> Result<Option<LedgerProofObject>> {
        let request = ctx.request();
        request.reading(Permission::TransferRead).map_err(raise)?;
        // Found by whoever may see it; what they may not see is not there.
        let Some(item) = ctx.loaders().one(item_id).await.map_err(raise)? else { return Ok(None) };
        let tenant = match &request.caller {
            Caller::Enterprise(scope) => scope.tenant(),
            Caller::Holder(scope) if item.holder_id == Some(scope.holder()) => scope.tenant(),
            _ => return Ok(None),
        };
        let piece = Piece { collectible: item.collectible_id, serial: item.serial };
        let keys = ctx.data_unchecked::<LedgerKeys>();
        let proof = proof::of(ctx.platform(), keys, tenant, piece, item.holder_id).await.map_err(raise)?;
        Ok(proof.map(LedgerProofObject))
    }
}
