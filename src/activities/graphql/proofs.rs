//! What clients see of a draw's proof.

use async_graphql::{Context, Object, Result};
use chrono::{DateTime, Utc};

use super::draws::DrawObject;
use crate::activities::anchor::AnchorState;
use crate::activities::model::DrawId;
use crate::activities::prove::{self, Proof};
use crate::activities::store::anchors::AnchorRow;
use crate::api::context::ContextExt;
use crate::api::text::LocalizedText;
use crate::api::transport::raise;
use crate::ledger::checkpoint::LedgerKeys;
use crate::platform::vault::hex;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::Caller;

pub struct DrawProofObject(Proof);

/// The proof of one draw, which anybody can check without us and without the other draws (抽奖证明).
#[Object(name = "DrawProof")]
impl DrawProofObject {
    /// The draw.
    async fn draw(&self) -> DrawObject {
        DrawObject(self.0.draw.clone())
    }

    /// The document, JSON: keep it as it is. `minthouse verify-draw` checks it; docs/draws.md says what it shows.
    async fn document(&self) -> String {
        self.0.document.json()
    }

    /// Where on this server the same document is served to everybody.
    async fn path(&self) -> &str {
        &self.0.path
    }

    /// What the document leads to on the ledger. Nothing until the draw is anchored.
    async fn anchor(&self) -> Option<DrawAnchorObject> {
        self.0.anchor.clone().map(DrawAnchorObject)
    }

    /// What it does not show yet, and when it will. Nothing once it shows all.
    async fn notice(&self) -> Option<LocalizedText> {
        self.0.document.notice.as_ref().map(|notice| LocalizedText::new(&notice.chinese, &notice.english))
    }
}

pub struct DrawAnchorObject(AnchorRow);

/// What the ledger binds of a stretch of an activity's draws (锚定).
#[Object(name = "DrawAnchor")]
impl DrawAnchorObject {
    /// The sequence of the stretch's first draw.
    async fn from_sequence(&self) -> i64 {
        self.0.from_sequence
    }

    /// And of its last.
    async fn to_sequence(&self) -> i64 {
        self.0.to_sequence
    }

    /// What the ledger binds, in hexadecimal: stretch, terms, commitment, head and root.
    async fn digest(&self) -> Result<String> {
        Ok(hex(&self.0.anchor().map_err(raise)?.digest()))
    }

    /// The name of the operation on the embedded ledger.
    async fn operation(&self) -> String {
        self.0.operation_id.to_string()
    }

    /// How far the ledger has come with it.
    async fn state(&self) -> AnchorState {
        self.0.state
    }

    /// The block of the embedded ledger that it stands in, once it does.
    async fn block_number(&self) -> Option<i64> {
        self.0.block_number
    }

    /// When the stretch was closed.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

#[derive(Default)]
pub struct ProofsQuery;

#[Object]
impl ProofsQuery {
    /// The proof of one draw. A holder finds their own; `DrawProof.path` is for everybody.
    async fn draw_proof(&self, ctx: &Context<'_>, id: DrawId) -> Result<Option<DrawProofObject>> {
        let request = ctx.request();
        request.reading(Permission::ActivityRead).map_err(raise)?;
        // Found by whoever may see it; what they may not see is not there.
        let Some(draw) = ctx.loaders().one(id).await.map_err(raise)? else { return Ok(None) };
        let tenant = match &request.caller {
            Caller::Enterprise(scope) => scope.tenant(),
            Caller::Holder(scope) => scope.tenant(),
            _ => return Ok(None),
        };
        let keys = ctx.data_unchecked::<LedgerKeys>();
        let proof = prove::of(ctx.platform(), keys, tenant, draw.activity_id, draw.sequence).await.map_err(raise)?;
        Ok(proof.map(DrawProofObject))
    }
}
