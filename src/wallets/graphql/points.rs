//! Points: what an enterprise gives to its holders and draws cost.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{HolderObject, find_holder};
use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::transport::raise;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::permission::Permission;
use crate::wallets::model::{HolderId, HolderUserError, PointEntry, PointEntryId, PointReason};
use crate::wallets::points::{self, Adjusted, Adjustment};
use crate::wallets::store::points as store;

const POINT_ENTRY_PAGES: PageRule = PageRule { list: "pointEntries", default: 20, maximum: 100 };

pub struct PointEntryObject(pub PointEntry);

/// A line of the ledger of points (积分). What somebody has is the sum of theirs.
#[Object(name = "PointEntry")]
impl PointEntryObject {
    /// Its ID.
    async fn id(&self) -> PointEntryId {
        self.0.id
    }

    /// Whose points they are, unless you may not know.
    async fn holder(&self, ctx: &Context<'_>) -> Result<Option<HolderObject>> {
        find_holder(ctx, Some(self.0.holder_id)).await
    }

    /// Why they changed.
    async fn reason(&self) -> PointReason {
        self.0.reason
    }

    /// How many more, or fewer.
    async fn delta(&self) -> i64 {
        self.0.delta
    }

    /// The enterprise's own name for what it did.
    async fn reference(&self) -> Option<&str> {
        self.0.reference.as_deref()
    }

    /// The UUID of the draw that they were spent on.
    async fn subject(&self) -> Option<Uuid> {
        self.0.subject_id
    }

    /// When it was written.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// Gives and takes points.
#[derive(InputObject)]
pub struct PointsAdjustInput {
    /// 1 to 1000.
    pub adjustments: Vec<PointsAdjustmentInput>,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Points given to a holder, or taken.
#[derive(InputObject)]
pub struct PointsAdjustmentInput {
    /// Whose.
    pub holder_id: HolderId,
    /// How many more, or fewer: not 0, and never more than the holder has.
    pub delta: i64,
    /// The enterprise's own name for it, 1 to 64 visible ASCII characters, used once for ever: what comes again does nothing
    /// again, whatever the key.
    pub reference: String,
}

/// What came of giving and taking points.
#[derive(SimpleObject, Default)]
pub struct PointsAdjustPayload {
    /// Whose points were changed, in order.
    pub holders: Vec<HolderObject>,
    /// What came of each, in order.
    pub adjusted: Vec<PointsAdjusted>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was done, if nothing was. Then nobody's points changed.
    pub user_errors: Vec<HolderUserError>,
}

/// What came of one change of points.
#[derive(SimpleObject)]
pub struct PointsAdjusted {
    /// Whose they are.
    pub holder_id: HolderId,
    /// The enterprise's own name for it.
    pub reference: String,
    /// What the holder has after all of the list.
    pub balance: i64,
    /// Whether this had been done before.
    pub replayed: bool,
}

#[derive(Default)]
pub struct PointsQuery;

#[Object]
impl PointsQuery {
    /// The ledger of points. A holder sees their own.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn point_entries(
        &self,
        ctx: &Context<'_>,
        holder_id: Option<HolderId>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<PointEntryObject>> {
        ctx.request().reading(Permission::HolderRead).map_err(raise)?;
        let page = Page::new(POINT_ENTRY_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = read(ctx).await?;
        let rows = store::list_entries(&tx, holder_id, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count_entries(&tx, holder_id).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, PointEntryObject))
    }
}

#[derive(Default)]
pub struct PointsMutation;

#[Object]
impl PointsMutation {
    /// Gives points (积分) to holders, or takes some, all of the list or nothing. Needs `HOLDER_SIGN_ON`.
    async fn points_adjust(&self, ctx: &Context<'_>, input: PointsAdjustInput) -> Result<PointsAdjustPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let row = |row: PointsAdjustmentInput| Adjustment {
            holder: row.holder_id,
            delta: row.delta,
            reference: row.reference,
        };
        let rows: Vec<Adjustment> = input.adjustments.into_iter().map(row).collect();
        let outcome =
            payload::run(ctx, HolderUserError::from_problem, || points::adjust(ctx.platform(), scope, &rows, &key))
                .await?;
        let adjusted = |row: Adjusted| PointsAdjusted {
            holder_id: row.holder,
            reference: row.reference,
            balance: row.balance,
            replayed: row.replayed,
        };
        let Some(done) = outcome.value else {
            return Ok(PointsAdjustPayload { user_errors: outcome.user_errors, ..PointsAdjustPayload::default() });
        };
        let mut holders = Vec::new();
        for row in &done.rows {
            holders.push(ctx.loaders().required(row.holder).await.map(HolderObject).map_err(raise)?);
        }
        Ok(PointsAdjustPayload {
            holders,
            adjusted: done.rows.into_iter().map(adjusted).collect(),
            replayed: done.replayed,
            user_errors: outcome.user_errors,
        })
    }
}
