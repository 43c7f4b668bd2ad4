//! Documents and qualifications in GraphQL.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::transport::raise;
use crate::platform::fault::Fault;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::platform::vault::hex;
use crate::tenancy::document::{self, UploadRequest};
use crate::tenancy::model::{
    Document, DocumentId, DocumentState, EnterpriseId, Qualification, QualificationId, QualificationKind,
    QualificationState, QualificationUserError,
};
use crate::tenancy::permission::Permission;
use crate::tenancy::qualification::{self, QualificationRequest};
use crate::tenancy::scope::{Caller, TenantTx};
use crate::tenancy::store::documents;
use crate::tenancy::store::qualifications::{self as store, QualificationFilter};

const QUALIFICATION_PAGES: PageRule = PageRule { list: "qualifications", default: 20, maximum: 100 };

/// A document, and the enterprise whose it is.
pub struct DocumentObject {
    tenant: EnterpriseId,
    document: Document,
}

impl DocumentObject {
    pub fn new(tenant: EnterpriseId, document: Document) -> Self {
        Self { tenant, document }
    }
}

/// A file that an enterprise has handed in.
#[Object(name = "Document")]
impl DocumentObject {
    /// Its ID.
    pub async fn id(&self) -> DocumentId {
        self.document.id
    }

    /// What the enterprise calls it.
    async fn name(&self) -> &str {
        &self.document.name
    }

    /// Whether its bytes are there.
    async fn state(&self) -> DocumentState {
        self.document.state
    }

    /// What its bytes are, once they are there: `application/pdf`, `image/png` or `image/jpeg`.
    async fn media_type(&self) -> Option<&str> {
        self.document.media_type.as_deref()
    }

    /// How large it is, in bytes.
    async fn size(&self) -> Option<i64> {
        self.document.size
    }

    /// Its SHA-256, in hexadecimal.
    async fn sha256(&self) -> Option<String> {
        self.document.sha256.as_deref().map(hex)
    }

    /// Where it can be fetched for the next few minutes, once its bytes are there.
    async fn download(&self, ctx: &Context<'_>) -> Option<SignedAddress> {
        document::download(ctx.platform(), self.tenant, &self.document)
            .map(|(path, expires_at)| SignedAddress { path, expires_at })
    }

    /// When it was announced.
    async fn created_at(&self) -> DateTime<Utc> {
        self.document.created_at
    }
}

/// An address that is good for a short while. Whoever has it needs nothing else, so it is not to be passed on.
#[derive(SimpleObject)]
pub struct SignedAddress {
    /// The path at this service; of an upload, it may be a whole address elsewhere.
    pub path: String,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

/// A qualification with its document, which every list reads along.
pub struct QualificationObject {
    tenant: EnterpriseId,
    qualification: Qualification,
    document: Document,
}

impl QualificationObject {
    pub fn new(tenant: EnterpriseId, (qualification, document): (Qualification, Document)) -> Self {
        Self { tenant, qualification, document }
    }
}

/// A licence, a filing or a proof that an enterprise has shown (发行资质).
#[Object(name = "Qualification")]
impl QualificationObject {
    /// Its ID.
    pub async fn id(&self) -> QualificationId {
        self.qualification.id
    }

    /// What it shows.
    async fn kind(&self) -> QualificationKind {
        self.qualification.kind
    }

    /// Its number, as its authority prints it.
    async fn number(&self) -> &str {
        &self.qualification.number
    }

    /// The document that shows it.
    async fn document(&self) -> DocumentObject {
        DocumentObject::new(self.tenant, self.document.clone())
    }

    /// When it ends to be good, if it does.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.qualification.expires_at
    }

    /// Where it stands.
    async fn state(&self) -> QualificationState {
        self.qualification.state
    }

    /// What the house said of it.
    async fn review_remark(&self) -> Option<&str> {
        self.qualification.review_remark.as_deref()
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.qualification.version
    }

    /// When it was handed in.
    async fn created_at(&self) -> DateTime<Utc> {
        self.qualification.created_at
    }
}

/// Which qualifications to list.
#[derive(InputObject, Default)]
pub struct QualificationFilterInput {
    /// Only those of this kind.
    pub kind: Option<QualificationKind>,
    /// Only those in this state.
    pub state: Option<QualificationState>,
    /// Whose: the house names the enterprise, everybody else has but their own.
    pub enterprise_id: Option<EnterpriseId>,
}

#[derive(Default)]
pub struct QualificationQuery;

#[Object]
impl QualificationQuery {
    /// One of the enterprise's documents by ID. The house finds them in `review` and `qualifications`. Needs
    /// `ENTERPRISE_READ`.
    async fn document(&self, ctx: &Context<'_>, id: DocumentId) -> Result<Option<DocumentObject>> {
        look_up_document(ctx, id).await.map_err(raise)
    }

    /// One of the enterprise's qualifications by ID. Needs `ENTERPRISE_READ`.
    async fn qualification(&self, ctx: &Context<'_>, id: QualificationId) -> Result<Option<QualificationObject>> {
        look_up(ctx, id).await.map_err(raise)
    }

    /// What the enterprise has handed in, with `ENTERPRISE_READ`; for the house what the enterprise that the filter names
    /// has.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn qualifications(
        &self,
        ctx: &Context<'_>,
        filter: Option<QualificationFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<QualificationObject>> {
        let filter = filter.unwrap_or_default();
        let page = Page::new(QUALIFICATION_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = within(ctx, filter.enterprise_id).await.map_err(raise)?;
        let filter = QualificationFilter { kind: filter.kind, state: filter.state };
        let rows = store::list(&tx, filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count(&tx, filter).await.map_err(raise)? } else { 0 };
        let tenant = tx.tenant();
        Ok(connect(&page, rows, total, |row| row.0.id, |row| QualificationObject::new(tenant, row)))
    }
}

/// A transaction in the caller's enterprise, or for the house in the one that it names.
async fn within(ctx: &Context<'_>, named: Option<EnterpriseId>) -> std::result::Result<TenantTx, Fault> {
    let database = &ctx.platform().database;
    match (&ctx.request().caller, named) {
        (Caller::House(house), Some(tenant)) => house.read_within(database, tenant).await,
        (Caller::House(house), None) => house.as_enterprise().read(database).await,
        _ => {
            let scope = ctx.request().enterprise()?;
            scope.require(Permission::EnterpriseRead)?;
            // What is another's looks like what is not there: nothing is listed of it.
            match named.filter(|named| *named != scope.tenant()) {
                Some(_) => Err(Fault::NotFound),
                None => scope.read(database).await,
            }
        }
    }
}

/// A document as far as the caller may see it.
pub async fn look_up_document(ctx: &Context<'_>, id: DocumentId) -> std::result::Result<Option<DocumentObject>, Fault> {
    let scope = ctx.request().enterprise()?;
    scope.require(Permission::EnterpriseRead)?;
    let tx = ctx.request().reader.transaction().await?;
    let found = documents::by_id(&tx, &[id]).await?.remove(&id);
    Ok(found.map(|document| DocumentObject::new(scope.tenant(), document)))
}

/// A qualification as far as the caller may see it.
pub async fn look_up(
    ctx: &Context<'_>,
    id: QualificationId,
) -> std::result::Result<Option<QualificationObject>, Fault> {
    let scope = ctx.request().enterprise()?;
    scope.require(Permission::EnterpriseRead)?;
    let tx = ctx.request().reader.transaction().await?;
    Ok(store::find(&tx, id).await?.map(|found| QualificationObject::new(scope.tenant(), found)))
}

/// Announces a file.
#[derive(InputObject)]
pub struct DocumentUploadCreateInput {
    /// What to call it, 1 to 120 characters.
    pub name: String,
    /// How large it is, in bytes; at most 10 MiB.
    pub size: i64,
    /// Its SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
}

/// Says that a file was sent.
#[derive(InputObject)]
pub struct DocumentUploadCompleteInput {
    /// The document.
    pub id: DocumentId,
}

/// Hands a qualification in.
#[derive(InputObject)]
pub struct QualificationCreateInput {
    /// What it shows.
    pub kind: QualificationKind,
    /// Its number. A BUSINESS_LICENCE has a unified social credit code of 18 characters, an ICP_LICENCE a number such as
    /// 京ICP备12345678号, a BLOCKCHAIN_FILING 京网信备, 20 digits and 号.
    pub number: String,
    /// A document of the enterprise's that was uploaded and completed.
    pub document_id: DocumentId,
    /// When it ends to be good, if it does.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What came of announcing a file.
#[derive(SimpleObject)]
pub struct DocumentUploadPayload {
    /// The document, which awaits its bytes.
    pub document: Option<DocumentObject>,
    /// Where to send the bytes with PUT, once.
    pub upload: Option<SignedAddress>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<QualificationUserError>,
}

/// What came of a mutation on documents.
#[derive(SimpleObject)]
pub struct DocumentPayload {
    /// The document as it is now.
    pub document: Option<DocumentObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<QualificationUserError>,
}

/// What came of a mutation on qualifications.
#[derive(SimpleObject)]
pub struct QualificationPayload {
    /// The qualification as it is now.
    pub qualification: Option<QualificationObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<QualificationUserError>,
}

#[derive(Default)]
pub struct QualificationMutation;

#[Object]
impl QualificationMutation {
    /// Announces a document and gives the address to send its bytes to. Needs `ENTERPRISE_MANAGE`.
    async fn document_upload_create(
        &self,
        ctx: &Context<'_>,
        input: DocumentUploadCreateInput,
    ) -> Result<DocumentUploadPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = UploadRequest { name: input.name, size: input.size, sha256: input.sha256 };
        let outcome = payload::run(ctx, QualificationUserError::from_problem, || {
            document::upload(ctx.platform(), scope, &request)
        })
        .await?;
        Ok(match outcome.value {
            Some(begun) => DocumentUploadPayload {
                document: Some(DocumentObject::new(scope.tenant(), begun.document)),
                upload: Some(SignedAddress { path: begun.path, expires_at: begun.expires_at }),
                user_errors: Vec::new(),
            },
            None => DocumentUploadPayload { document: None, upload: None, user_errors: outcome.user_errors },
        })
    }

    /// Looks at what was sent: it must have the size and the SHA-256 that were announced, and be a PDF, PNG or JPEG by its
    /// content. Needs `ENTERPRISE_MANAGE`.
    async fn document_upload_complete(
        &self,
        ctx: &Context<'_>,
        input: DocumentUploadCompleteInput,
    ) -> Result<DocumentPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome = payload::run(ctx, QualificationUserError::from_problem, || {
            document::complete(ctx.platform(), scope, input.id)
        })
        .await?;
        let document = outcome.value.map(|document| DocumentObject::new(scope.tenant(), document));
        Ok(DocumentPayload { document, user_errors: outcome.user_errors })
    }

    /// Hands a qualification in for the house's review. Needs `ENTERPRISE_MANAGE`.
    async fn qualification_create(
        &self,
        ctx: &Context<'_>,
        input: QualificationCreateInput,
    ) -> Result<QualificationPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = QualificationRequest {
            kind: input.kind,
            number: input.number,
            document: input.document_id,
            expires_at: input.expires_at,
        };
        let outcome = payload::run(ctx, QualificationUserError::from_problem, || {
            qualification::create(ctx.platform(), scope, &request)
        })
        .await?;
        let qualification = outcome.value.map(|made| QualificationObject::new(scope.tenant(), made));
        Ok(QualificationPayload { qualification, user_errors: outcome.user_errors })
    }
}
