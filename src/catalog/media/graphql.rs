//! Media in GraphQL: decode, call, map.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::address::{self, Address};
use super::model::{Media, MediaId, MediaState, MediaUserError, Moderation};
use super::store::{self, MediaFilter};
use super::upload::{self, UploadRequest};
use super::{MediaServices, moderation, remove};
use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::review::Verdict;
use crate::api::transport::raise;
use crate::platform::fault::Fault;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::platform::vault::hex;
use crate::tenancy::graphql::qualifications::SignedAddress;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::permission::Permission;
use crate::tenancy::review::Decision;
use crate::tenancy::scope::Caller;

const MEDIA_PAGES: PageRule = PageRule { list: "mediaList", default: 20, maximum: 100 };

pub struct MediaObject(pub Media);

/// A picture, a film or a model that an enterprise has uploaded (介质). The same bytes are one medium.
#[Object(name = "Media")]
impl MediaObject {
    /// Its ID.
    pub async fn id(&self) -> MediaId {
        self.0.id
    }

    /// What the file was called.
    async fn file_name(&self) -> &str {
        &self.0.file_name
    }

    /// Whether its bytes are there.
    async fn state(&self) -> MediaState {
        self.0.state
    }

    /// What its bytes are; before they are there, what was announced.
    async fn content_type(&self) -> &str {
        &self.0.media_type
    }

    /// How large it is, in bytes.
    async fn size(&self) -> i64 {
        self.0.size
    }

    /// The SHA-256 of its bytes, in hexadecimal.
    async fn sha256(&self) -> Option<String> {
        self.0.sha256.as_deref().map(hex)
    }

    /// The SM3 of its bytes, in hexadecimal, once they are there.
    async fn sm3(&self) -> Option<String> {
        self.0.sm3.as_deref().map(hex)
    }

    /// A picture's width in pixels.
    async fn width(&self) -> Option<i32> {
        self.0.width
    }

    /// A picture's height in pixels.
    async fn height(&self) -> Option<i32> {
        self.0.height
    }

    /// What was found of its content. Only what is PASS can be handed in and shown.
    async fn moderation(&self) -> Moderation {
        self.0.moderation
    }

    /// Why it may not be shown, where it may not; for the enterprise and the house.
    async fn moderation_remark(&self, ctx: &Context<'_>) -> Option<&str> {
        match ctx.request().caller {
            Caller::Enterprise(_) | Caller::House(_) => self.0.moderation_remark.as_deref(),
            Caller::Anonymous | Caller::Holder(_) | Caller::Person(_) => None,
        }
    }

    /// Where it can be fetched, once it is stored and unless it is blocked.
    async fn file(&self, ctx: &Context<'_>) -> Option<MediaAddress> {
        let address = match ctx.request().caller {
            Caller::House(_) => address::for_the_house(ctx.platform(), &self.0),
            _ => address::of_file(ctx.platform(), &self.0),
        };
        address.map(MediaAddress::from)
    }

    /// Where a picture of at most 512 pixels a side can be fetched, a moment after it is stored.
    async fn thumbnail(&self, ctx: &Context<'_>) -> Option<MediaAddress> {
        address::of_thumbnail(ctx.platform(), &self.0).map(MediaAddress::from)
    }

    /// Whether everybody may fetch it: something that shows it was approved, and it was not blocked since.
    async fn is_public(&self) -> bool {
        self.0.is_public()
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was announced.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// Where a file can be fetched, with ranges.
#[derive(SimpleObject)]
pub struct MediaAddress {
    /// The path at this service.
    pub path: String,
    /// Until when it is good; nothing where it is for good and the same for everybody. Whoever has an address that ends
    /// needs nothing else, so it is not to be passed on.
    pub expires_at: Option<DateTime<Utc>>,
}

impl From<Address> for MediaAddress {
    fn from(Address { path, expires_at }: Address) -> Self {
        Self { path, expires_at }
    }
}

/// A medium as far as the caller may see it by its ID.
pub async fn look_up(ctx: &Context<'_>, id: MediaId) -> std::result::Result<Option<MediaObject>, Fault> {
    ctx.request().enterprise()?.require(Permission::CatalogRead)?;
    Ok(ctx.loaders().one(id).await?.map(MediaObject))
}

/// Which media to list.
#[derive(InputObject, Default)]
pub struct MediaFilterInput {
    /// Only those in one of these states.
    pub states: Option<Vec<MediaState>>,
    /// Only those of which moderation says one of these.
    pub moderations: Option<Vec<Moderation>>,
}

#[derive(Default)]
pub struct MediaQuery;

#[Object]
impl MediaQuery {
    /// One of the enterprise's media by ID. Needs `CATALOG_READ`.
    async fn media(&self, ctx: &Context<'_>, id: MediaId) -> Result<Option<MediaObject>> {
        look_up(ctx, id).await.map_err(raise)
    }

    /// The enterprise's media. Needs `CATALOG_READ`.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn media_list(
        &self,
        ctx: &Context<'_>,
        filter: Option<MediaFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<MediaObject>> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::CatalogRead)).map_err(raise)?;
        let page = Page::new(MEDIA_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = filter.unwrap_or_default();
        let filter = MediaFilter { states: filter.states, moderations: filter.moderations };
        let tx = read(ctx).await?;
        let rows = store::list(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, MediaObject))
    }
}

/// A file that is to be uploaded.
#[derive(InputObject)]
pub struct MediaUploadCreateInput {
    /// What it is called, 1 to 120 characters. It is shown and finds nothing.
    pub file_name: String,
    /// `image/png`, `image/jpeg`, `image/webp`, `image/gif`, `video/mp4` or `model/gltf-binary`, as its bytes are.
    pub content_type: String,
    /// How large it is in bytes: a picture at most 20 MiB, a film or a model 50 MiB. The address takes exactly as many.
    pub size: i64,
    /// The SHA-256 of its bytes in hexadecimal, where it is known: then nothing else is accepted.
    pub sha256: Option<String>,
}

/// Names an upload whose bytes were sent.
#[derive(InputObject)]
pub struct MediaUploadCompleteInput {
    /// The medium that was announced.
    pub id: MediaId,
}

/// Names a medium.
#[derive(InputObject)]
pub struct MediaDeleteInput {
    /// The medium.
    pub id: MediaId,
}

/// What the house says of a medium.
#[derive(InputObject)]
pub struct MediaModerateInput {
    /// Whose it is.
    pub enterprise_id: EnterpriseId,
    /// A medium that has passed, or one that is blocked.
    pub id: MediaId,
    /// Whether it may be shown from now on.
    pub verdict: Verdict,
    /// What the enterprise is told.
    pub reason: String,
}

/// What came of an announcement.
#[derive(SimpleObject)]
pub struct MediaUploadPayload {
    /// The medium, which waits for its bytes.
    pub media: Option<MediaObject>,
    /// Where to PUT the bytes as the request's body, with nothing else: a path at this service, or a whole address at its
    /// object store. As URLs are resolved, both are one to a client.
    pub upload: Option<SignedAddress>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<MediaUserError>,
}

/// What came of a mutation on media.
#[derive(SimpleObject)]
pub struct MediaPayload {
    /// The medium as it is now.
    pub media: Option<MediaObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<MediaUserError>,
}

impl From<payload::Outcome<Media, MediaUserError>> for MediaPayload {
    fn from(outcome: payload::Outcome<Media, MediaUserError>) -> Self {
        Self { media: outcome.value.map(MediaObject), user_errors: outcome.user_errors }
    }
}

/// What came of a deletion.
#[derive(SimpleObject)]
pub struct MediaDeletePayload {
    /// The ID of what is gone.
    pub deleted_id: Option<MediaId>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<MediaUserError>,
}

#[derive(Default)]
pub struct MediaMutation;

#[Object]
impl MediaMutation {
    /// Announces a file and gives the address for its bytes. Needs `CATALOG_MANAGE`.
    async fn media_upload_create(
        &self,
        ctx: &Context<'_>,
        input: MediaUploadCreateInput,
    ) -> Result<MediaUploadPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let MediaUploadCreateInput { file_name, content_type, size, sha256 } = input;
        let request = UploadRequest { file_name, content_type, size, sha256 };
        let outcome =
            payload::run(ctx, MediaUserError::from_problem, || upload::announce(ctx.platform(), scope, &request))
                .await?;
        let (media, upload) = outcome.value.map_or((None, None), |begun| {
            let upload = SignedAddress { path: begun.address, expires_at: begun.expires_at };
            (Some(MediaObject(begun.media)), Some(upload))
        });
        Ok(MediaUploadPayload { media, upload, user_errors: outcome.user_errors })
    }

    /// Says that the bytes were sent: they are examined and kept. Gives the medium that they are, which is an earlier one
    /// where the enterprise has the same bytes already. Needs `CATALOG_MANAGE`.
    async fn media_upload_complete(&self, ctx: &Context<'_>, input: MediaUploadCompleteInput) -> Result<MediaPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let services = ctx.data_unchecked::<Arc<MediaServices>>();
        let complete = || upload::complete(ctx.platform(), services, scope, input.id);
        Ok(payload::run(ctx, MediaUserError::from_problem, complete).await?.into())
    }

    /// Deletes a medium that nothing uses, or an upload that is not wanted any more. Needs `CATALOG_MANAGE`.
    async fn media_delete(&self, ctx: &Context<'_>, input: MediaDeleteInput) -> Result<MediaDeletePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome =
            payload::run(ctx, MediaUserError::from_problem, || remove::remove(ctx.platform(), scope, input.id)).await?;
        Ok(MediaDeletePayload { deleted_id: outcome.value.map(|media| media.id), user_errors: outcome.user_errors })
    }

    /// Takes a medium that has passed out of sight, or lets one be seen that was blocked. What is in REVIEW is decided with
    /// `reviewDecide`. For the house.
    async fn media_moderate(&self, ctx: &Context<'_>, input: MediaModerateInput) -> Result<MediaPayload> {
        let house = ctx.request().house().map_err(raise)?;
        let reason = Some(input.reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        let decision = Decision { approved: input.verdict == Verdict::Approve, remark: reason };
        let overrule = || moderation::overrule(ctx.platform(), house, input.enterprise_id, input.id, &decision);
        Ok(payload::run(ctx, MediaUserError::from_problem, overrule).await?.into())
    }
}
