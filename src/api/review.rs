//! The house's review queue: joins `tenancy::review` with the capabilities whose work is reviewed.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject, Union};
use chrono::{DateTime, Utc};

use crate::activities;
use crate::activities::graphql::ActivityObject;
use crate::activities::model::ActivityId;
use crate::api::connection::{List, arguments, connect};
use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::transport::raise;
use crate::catalog::collectible;
use crate::catalog::graphql::{CollectibleObject, SeriesObject};
use crate::catalog::media::graphql::MediaObject;
use crate::catalog::media::model::MediaId;
use crate::catalog::media::moderation;
use crate::catalog::model::{CatalogErrorCode, Collectible, CollectibleId, SeriesId};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::platform::refusal::Refusal;
use crate::tenancy::graphql::EnterpriseObject;
use crate::tenancy::graphql::qualifications::{DocumentObject, QualificationObject};
use crate::tenancy::loaders::Batch;
use crate::tenancy::model::{
    Enterprise, EnterpriseId, QualificationId, Review, ReviewErrorCode, ReviewId, ReviewState, ReviewSubject,
    ReviewUserError,
};
use crate::tenancy::review::{self, Decision, ReviewFilter};
use crate::tenancy::scope::{HouseScope, HouseTx, TenantTx};
use crate::tenancy::standing::Standings;
use crate::tenancy::store;
use crate::tenancy::{enterprise, qualification};

const REVIEW_PAGES: PageRule = PageRule { list: "reviews", default: 20, maximum: 100 };

pub struct ReviewObject {
    review: Review,
    /// Read with the review: the house's loaders are no tenant's.
    enterprise: Option<Enterprise>,
}

/// Something that waits for the house's word, or had it.
#[Object(name = "Review")]
impl ReviewObject {
    /// Its ID.
    pub async fn id(&self) -> ReviewId {
        self.review.id
    }

    /// Whose it is.
    async fn enterprise(&self) -> Option<EnterpriseObject> {
        self.enterprise.clone().map(EnterpriseObject)
    }

    /// What kind of thing it is about.
    async fn subject_kind(&self) -> ReviewSubject {
        self.review.subject_kind
    }

    /// The ID of what it is about.
    async fn subject_id(&self) -> String {
        match self.review.subject_kind {
            ReviewSubject::Collectible => CollectibleId::from_uuid(self.review.subject_id).to_string(),
            ReviewSubject::Activity => ActivityId::from_uuid(self.review.subject_id).to_string(),
            ReviewSubject::Enterprise => EnterpriseId::from_uuid(self.review.subject_id).to_string(),
            ReviewSubject::Qualification => QualificationId::from_uuid(self.review.subject_id).to_string(),
            ReviewSubject::Media => MediaId::from_uuid(self.review.subject_id).to_string(),
        }
    }

    /// What it is about, as it is now. Each is a look into its enterprise, so ask for it one review at a time. Fields that
    /// lead on from a collectible or an activity are its enterprise's alone and stay empty or fail here.
    async fn subject(&self, ctx: &Context<'_>) -> Result<Option<Reviewed>> {
        let house = ctx.request().house().map_err(raise)?;
        self.look(ctx.platform(), house).await.map_err(raise)
    }

    /// The media that it is about: all that a collectible will show, or the one that moderation is unsure of. Each is a
    /// look into its enterprise, so ask for them one review at a time.
    async fn media(&self, ctx: &Context<'_>) -> Result<Vec<MediaObject>> {
        let house = ctx.request().house().map_err(raise)?;
        self.look_at_media(ctx.platform(), house).await.map_err(raise)
    }

    /// The document that shows whose a collectible's work is (版权证明), if one was handed in with it.
    async fn copyright_proof(&self, ctx: &Context<'_>) -> Result<Option<DocumentObject>> {
        let house = ctx.request().house().map_err(raise)?;
        self.look_at_proof(ctx.platform(), house).await.map_err(raise)
    }

    /// The series that a collectible belongs to: with the collectible its words become fixed, too.
    async fn series(&self, ctx: &Context<'_>) -> Result<Option<SeriesObject>> {
        let house = ctx.request().house().map_err(raise)?;
        self.look_at_series(ctx.platform(), house).await.map_err(raise)
    }

    /// Where it stands.
    async fn state(&self) -> ReviewState {
        self.review.state
    }

    /// What the house said.
    async fn remark(&self) -> Option<&str> {
        self.review.remark.as_deref()
    }

    /// When it was handed in.
    async fn submitted_at(&self) -> DateTime<Utc> {
        self.review.submitted_at
    }

    /// When it was decided.
    async fn decided_at(&self) -> Option<DateTime<Utc>> {
        self.review.decided_at
    }
}

/// What a review is about.
#[derive(Union)]
pub enum Reviewed {
    Enterprise(EnterpriseObject),
    Qualification(QualificationObject),
    Collectible(CollectibleObject),
    Media(MediaObject),
    Activity(ActivityObject),
}

impl ReviewObject {
    async fn look(&self, platform: &Platform, house: &HouseScope) -> std::result::Result<Option<Reviewed>, Fault> {
        let (tenant, subject) = (self.review.tenant_id, self.review.subject_id);
        let tx = house.read_within(&platform.database, tenant).await?;
        Ok(match self.review.subject_kind {
            ReviewSubject::Enterprise => store::enterprise(&tx).await?.map(EnterpriseObject).map(Reviewed::Enterprise),
            ReviewSubject::Qualification => {
                let found = store::qualifications::find(&tx, QualificationId::from_uuid(subject)).await?;
                found.map(|found| Reviewed::Qualification(QualificationObject::new(tenant, found)))
            }
            ReviewSubject::Collectible => {
                self.collectible(&tx).await?.map(CollectibleObject).map(Reviewed::Collectible)
            }
            ReviewSubject::Media => {
                let id = MediaId::from_uuid(subject);
                MediaId::fetch(&tx, &[id]).await?.remove(&id).map(MediaObject).map(Reviewed::Media)
            }
            ReviewSubject::Activity => {
                let id = ActivityId::from_uuid(subject);
                let found = ActivityId::fetch(&tx, &[id]).await?.remove(&id);
                found.map(ActivityObject).map(Reviewed::Activity)
            }
        })
    }

    /// The collectible that it is about, if it is about one.
    async fn collectible(&self, tx: &TenantTx) -> std::result::Result<Option<Collectible>, Fault> {
        if self.review.subject_kind != ReviewSubject::Collectible {
            return Ok(None);
        }
        let id = CollectibleId::from_uuid(self.review.subject_id);
        Ok(CollectibleId::fetch(tx, &[id]).await?.remove(&id))
    }

    async fn look_at_media(
        &self,
        platform: &Platform,
        house: &HouseScope,
    ) -> std::result::Result<Vec<MediaObject>, Fault> {
        let tx = house.read_within(&platform.database, self.review.tenant_id).await?;
        let subject = self.review.subject_id;
        let ids: Vec<MediaId> = match self.review.subject_kind {
            ReviewSubject::Media => vec![MediaId::from_uuid(subject)],
            ReviewSubject::Collectible => collectible::shows(&tx, CollectibleId::from_uuid(subject)).await?,
            ReviewSubject::Activity | ReviewSubject::Enterprise | ReviewSubject::Qualification => Vec::new(),
        };
        let mut found = MediaId::fetch(&tx, &ids).await?;
        Ok(ids.iter().filter_map(|id| found.remove(id)).map(MediaObject).collect())
    }

    async fn look_at_series(
        &self,
        platform: &Platform,
        house: &HouseScope,
    ) -> std::result::Result<Option<SeriesObject>, Fault> {
        let tx = house.read_within(&platform.database, self.review.tenant_id).await?;
        let Some(collectible) = self.collectible(&tx).await? else { return Ok(None) };
        let series = SeriesId::fetch(&tx, &[collectible.series_id]).await?.remove(&collectible.series_id);
        Ok(series.map(SeriesObject))
    }

    async fn look_at_proof(
        &self,
        platform: &Platform,
        house: &HouseScope,
    ) -> std::result::Result<Option<DocumentObject>, Fault> {
        let tenant = self.review.tenant_id;
        let tx = house.read_within(&platform.database, tenant).await?;
        let proof = self.collectible(&tx).await?.and_then(|found| found.copyright_proof_id);
        let Some(proof) = proof else { return Ok(None) };
        let found = store::documents::by_id(&tx, &[proof]).await?.remove(&proof);
        Ok(found.map(|document| DocumentObject::new(tenant, document)))
    }
}

/// Which reviews to list.
#[derive(InputObject, Default)]
pub struct ReviewFilterInput {
    /// Only those in this state.
    pub state: Option<ReviewState>,
    /// Only those about this kind of thing: `COLLECTIBLE` for what is to be issued.
    pub subject_kind: Option<ReviewSubject>,
}

#[derive(Default)]
pub struct ReviewQuery;

#[Object]
impl ReviewQuery {
    /// One review by ID. For the house.
    async fn review(&self, ctx: &Context<'_>, id: ReviewId) -> Result<Option<ReviewObject>> {
        ctx.request().house().map_err(raise)?;
        let tx = HouseTx::read(&ctx.platform().database).await.map_err(raise)?;
        let Some(review) = review::find(&tx, id).await.map_err(raise)? else { return Ok(None) };
        let tenant = review.tenant_id;
        let enterprise = store::enterprises_by_id(&tx, &[tenant]).await.map_err(raise)?.remove(&tenant);
        Ok(Some(ReviewObject { review, enterprise }))
    }

    /// The review queue across enterprises, oldest first. For the house.
    async fn reviews(
        &self,
        ctx: &Context<'_>,
        filter: Option<ReviewFilterInput>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<ReviewObject>> {
        ctx.request().house().map_err(raise)?;
        let filter = filter.unwrap_or_default();
        let filter = ReviewFilter { state: filter.state, kind: filter.subject_kind };
        let page = Page::new(REVIEW_PAGES, CreatedOrder::CreatedAtAsc, &arguments(first, after, last, before))
            .map_err(raise)?;
        let tx = HouseTx::read(&ctx.platform().database).await.map_err(raise)?;
        let rows = review::list(&tx, filter, &page).await.map_err(raise)?;
        let wants_total = crate::api::connection::wants_total(ctx);
        let total = if wants_total { review::count(&tx, filter).await.map_err(raise)? } else { 0 };
        let mut tenants: Vec<_> = rows.iter().map(|row| row.tenant_id).collect();
        tenants.dedup();
        let enterprises = store::enterprises_by_id(&tx, &tenants).await.map_err(raise)?;
        let object = |review: Review| {
            let enterprise = enterprises.get(&review.tenant_id).cloned();
            ReviewObject { review, enterprise }
        };
        Ok(connect(&page, rows, total, |row| row.id, object))
    }
}

/// What the house says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Verdict {
    /// It may go on.
    Approve,
    /// It goes back to the enterprise.
    Reject,
}

/// A decision.
#[derive(InputObject)]
pub struct ReviewDecideInput {
    /// An open review.
    pub id: ReviewId,
    /// The house's word.
    pub verdict: Verdict,
    /// What the enterprise is told; required with a rejection.
    pub remark: Option<String>,
}

/// What came of a decision.
#[derive(SimpleObject)]
pub struct ReviewPayload {
    /// The review as it is now.
    pub review: Option<ReviewObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<ReviewUserError>,
}

#[derive(Default)]
pub struct ReviewMutation;

#[Object]
impl ReviewMutation {
    /// Decides on what an enterprise has submitted. An enterprise itself is let in once its BUSINESS_LICENCE is approved.
    /// For the house.
    async fn review_decide(&self, ctx: &Context<'_>, input: ReviewDecideInput) -> Result<ReviewPayload> {
        let house = ctx.request().house().map_err(raise)?;
        let outcome = payload::run(ctx, ReviewUserError::from_problem, || async {
            let decision = Decision::new(input.verdict == Verdict::Approve, input.remark.clone())?;
            decide(ctx.platform(), house, input.id, &decision).await
        })
        .await?;
        let review = match outcome.value {
            Some(review) => {
                // Whoever was let in just now is in at once.
                ctx.data_unchecked::<Arc<Standings>>().forget(review.tenant_id);
                let tx = HouseTx::read(&ctx.platform().database).await.map_err(raise)?;
                let enterprise =
                    store::enterprises_by_id(&tx, &[review.tenant_id]).await.map_err(raise)?.remove(&review.tenant_id);
                Some(ReviewObject { review, enterprise })
            }
            None => None,
        };
        Ok(ReviewPayload { review, user_errors: outcome.user_errors })
    }
}

/// The decision, and what it means to its subject, in one transaction.
pub async fn decide(
    platform: &Platform,
    house: &HouseScope,
    id: ReviewId,
    decision: &Decision,
) -> Result<Review, Refusal<ReviewErrorCode>> {
    house.require_decider()?;
    let open = review::find(&HouseTx::read(&platform.database).await?, id)
        .await?
        .ok_or_else(|| Refusal::at("id", ReviewErrorCode::NotFound))?;

    let tx = house.write_within(&platform.database, open.tenant_id).await?;
    let review = review::decide_in(&tx, open.id, decision).await?;
    match review.subject_kind {
        ReviewSubject::Collectible => {
            let heard_of = collectible::decided_in(&tx, CollectibleId::from_uuid(review.subject_id), decision).await;
            if let Err(Refusal::Problems(problems)) = &heard_of
                && problems.iter().all(|problem| {
                    matches!(problem.code, CatalogErrorCode::MediaBlocked | CatalogErrorCode::MediaNotPassed)
                })
            {
                return Err(Refusal::at("id", ReviewErrorCode::MediaNotPassed));
            }
            heard(heard_of)?;
        }
        ReviewSubject::Activity => {
            heard(activities::submit::decided_in(&tx, ActivityId::from_uuid(review.subject_id), decision).await)?;
        }
        ReviewSubject::Media => {
            moderation::decided_in(&tx, MediaId::from_uuid(review.subject_id), decision).await?;
        }
        ReviewSubject::Enterprise => enterprise::decided_in(&tx, decision).await?,
        ReviewSubject::Qualification => {
            qualification::decided_in(&tx, QualificationId::from_uuid(review.subject_id), decision).await?;
        }
    }
    tx.commit().await?;
    Ok(review)
}

// An open review holds its subject IN_REVIEW, so a subject that does not want to hear is a fault of ours.
fn heard<C: std::fmt::Debug>(answer: Result<(), Refusal<C>>) -> Result<(), Fault> {
    answer.map_err(|refusal| match refusal {
        Refusal::Fault(fault) => fault,
        Refusal::Problems(problems) => Fault::internal(anyhow::anyhow!("a reviewed subject refused: {problems:?}")),
    })
}
