//! Reviews: what the house looks at before it goes live.
//!
//! A capability opens a review with [`open_in`] and hears the decision through its own `decided_in`, in the same
//! transaction; `api/review.rs` joins the two, so that tenancy need not know what is reviewed.

use diesel::sql_types::{Nullable, Timestamptz};
use diesel::{ExpressionMethods, IntoSql, QueryDsl, SelectableHelper, insert_into, update};
use uuid::Uuid;

use crate::paged;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::platform::refusal::Refusal;
use crate::schema::reviews;
use crate::tenancy::model::{Review, ReviewErrorCode, ReviewId, ReviewState, ReviewSubject};
use crate::tenancy::scope::{HouseTx, TenantTx};

/// Opens the review of a subject; at most one is open for each.
pub async fn open_in(tx: &TenantTx, kind: ReviewSubject, subject: Uuid) -> Result<ReviewId, Fault> {
    let id = ReviewId::generate();
    let row = (
        reviews::tenant_id.eq(tx.tenant()),
        reviews::id.eq(id),
        reviews::subject_kind.eq(kind),
        reviews::subject_id.eq(subject),
    );
    tx.execute_exactly(1, insert_into(reviews::table).values(row)).await?;
    Ok(id)
}

#[derive(Clone, Debug)]
pub struct Decision {
    pub approved: bool,
    pub remark: Option<String>,
}

impl Decision {
    pub fn new(approved: bool, remark: Option<String>) -> Result<Self, Refusal<ReviewErrorCode>> {
        let remark = remark.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if !approved && remark.is_none() {
            return Err(Refusal::at("remark", ReviewErrorCode::RemarkRequired));
        }
        Ok(Self { approved, remark })
    }
}

/// Writes the house's decision down and gives back what it was about.
pub async fn decide_in(tx: &TenantTx, id: ReviewId, decision: &Decision) -> Result<Review, Refusal<ReviewErrorCode>> {
    let statement = update(reviews::table)
        .filter(reviews::tenant_id.eq(tx.tenant()))
        .filter(reviews::id.eq(id))
        .filter(reviews::state.eq(ReviewState::Pending))
        .set((
            reviews::state.eq(if decision.approved { ReviewState::Approved } else { ReviewState::Rejected }),
            reviews::remark.eq(decision.remark.clone()),
            reviews::reviewer_id.eq(Some(tx.actor().id)),
            reviews::decided_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()),
        ))
        .returning(Review::as_returning());
    match tx.optional(statement).await? {
        Some(review) => Ok(review),
        None => Err(Refusal::code(ReviewErrorCode::AlreadyDecided)),
    }
}

/// The open review of a subject.
pub async fn open_of(tx: &TenantTx, subject: Uuid) -> Result<Option<ReviewId>, Fault> {
    tx.optional(
        reviews::table
            .filter(reviews::tenant_id.eq(tx.tenant()))
            .filter(reviews::subject_id.eq(subject))
            .filter(reviews::state.eq(ReviewState::Pending))
            .select(reviews::id),
    )
    .await
}

/// Whether the house has ever been asked about a subject.
pub async fn was_opened(tx: &TenantTx, subject: Uuid) -> Result<bool, Fault> {
    let opened =
        reviews::table.filter(reviews::tenant_id.eq(tx.tenant())).filter(reviews::subject_id.eq(subject)).count();
    Ok(tx.one::<i64, _, _>(opened).await? > 0)
}

pub async fn find(tx: &HouseTx, id: ReviewId) -> Result<Option<Review>, Fault> {
    tx.optional(reviews::table.filter(reviews::id.eq(id)).select(Review::as_select())).await
}

#[derive(Clone, Copy, Debug, Default)]
pub struct ReviewFilter {
    pub state: Option<ReviewState>,
    pub kind: Option<ReviewSubject>,
}

/// Across enterprises, for the house's queue.
pub async fn list(tx: &HouseTx, filter: ReviewFilter, page: &Page<ReviewId>) -> Result<Vec<Review>, Fault> {
    let mut query = paged!(reviews::table.select(Review::as_select()), reviews::id, page);
    if let Some(state) = filter.state {
        query = query.filter(reviews::state.eq(state));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(reviews::subject_kind.eq(kind));
    }
    tx.load(query).await
}

pub async fn count(tx: &HouseTx, filter: ReviewFilter) -> Result<i64, Fault> {
    let mut query = reviews::table.count().into_boxed();
    if let Some(state) = filter.state {
        query = query.filter(reviews::state.eq(state));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(reviews::subject_kind.eq(kind));
    }
    tx.one(query).await
}
