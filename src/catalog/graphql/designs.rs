//! Making and changing series and collectibles in GraphQL.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, Result, SimpleObject};

use super::{CollectiblePayload, SeriesObject, SeriesPayload};
use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::text::LocalizedTextInput;
use crate::api::transport::raise;
use crate::catalog::collectible;
use crate::catalog::edit::{self, CollectibleEdit};
use crate::catalog::media::model::MediaId;
use crate::catalog::model::design::{Attribute, Attributes, Design, SeriesDesign};
use crate::catalog::model::{CatalogUserError, CollectibleId, SeriesId};
use crate::catalog::series::{self, SeriesEdit};
use crate::tenancy::model::DocumentId;

/// A new series.
#[derive(InputObject)]
pub struct SeriesCreateInput {
    /// What it is called, 1 to 30 characters in each language.
    pub name: LocalizedTextInput,
    /// What it is about, at most 500 characters in each language.
    pub description: LocalizedTextInput,
    /// A picture that stands for it.
    pub cover_id: Option<MediaId>,
}

/// What to change of a series. What is left out stays as it is.
#[derive(InputObject)]
pub struct SeriesUpdateInput {
    /// The series.
    pub id: SeriesId,
    /// The version that you have seen; refused where it is another by now.
    pub version: i32,
    /// What it is called, 1 to 30 characters in each language.
    pub name: Option<LocalizedTextInput>,
    /// What it is about, at most 500 characters in each language.
    pub description: Option<LocalizedTextInput>,
    /// A picture that stands for it; null for none.
    pub cover_id: MaybeUndefined<MediaId>,
}

/// One thing that is said of a collectible beside its description.
#[derive(InputObject)]
pub struct AttributeInput {
    /// What it is about, 1 to 30 characters; each name stands once.
    pub name: String,
    /// What it is, 1 to 100 characters.
    pub value: String,
}

/// A new collectible.
#[derive(InputObject)]
pub struct CollectibleCreateInput {
    /// The series that it belongs to.
    pub series_id: SeriesId,
    /// What it is called, 1 to 256 characters in each language.
    pub name: LocalizedTextInput,
    /// What it shows, at most 500 characters in each language.
    pub description: LocalizedTextInput,
    /// Who made it, 1 to 30 characters.
    pub author: String,
    /// The work itself: a picture, a film or a model.
    pub media_id: Option<MediaId>,
    /// A picture that stands for it.
    pub cover_id: Option<MediaId>,
    /// A picture that lies elsewhere: an https address. Nobody looks after it; upload a medium instead.
    pub image_url: Option<String>,
    /// A document that shows whose the work is (版权证明). The enterprise and the house see it, nobody else.
    pub copyright_proof_id: Option<DocumentId>,
    /// The filing number that is shown with it (备案号), at most 60 characters.
    #[graphql(default)]
    pub filing_number: String,
    /// A mark for whoever displays it, at most 30 characters.
    #[graphql(default)]
    pub flag: String,
    /// Anything else that is to be kept with it, at most 1,024 characters.
    #[graphql(default)]
    pub metadata: String,
    /// What is said of it beside its description, in the order in which it is shown; at most 20.
    #[graphql(default)]
    pub attributes: Vec<AttributeInput>,
    /// How many pieces there shall be, 1 to 10,000,000.
    pub supply: i32,
    /// The first serial number: 0 or 1.
    #[graphql(default = 1)]
    pub first_serial: i32,
}

/// What to change of a collectible. What is left out stays as it is. A draft or a rejected one takes everything, an
/// approved one descriptions, one under review nothing.
#[derive(InputObject)]
pub struct CollectibleUpdateInput {
    /// The collectible.
    pub id: CollectibleId,
    /// The version that you have seen; refused where it is another by now.
    pub version: i32,
    /// The series that it belongs to.
    pub series_id: Option<SeriesId>,
    /// What it is called, 1 to 256 characters in each language.
    pub name: Option<LocalizedTextInput>,
    /// What it shows, at most 500 characters in each language.
    pub description: Option<LocalizedTextInput>,
    /// Who made it, 1 to 30 characters.
    pub author: Option<String>,
    /// The work itself; null for none.
    pub media_id: MaybeUndefined<MediaId>,
    /// A picture that stands for it; null for none.
    pub cover_id: MaybeUndefined<MediaId>,
    /// A picture that lies elsewhere; empty for none.
    pub image_url: Option<String>,
    /// A document that shows whose the work is; null for none.
    pub copyright_proof_id: MaybeUndefined<DocumentId>,
    /// The filing number that is shown with it; empty for none.
    pub filing_number: Option<String>,
    /// A mark for whoever displays it; empty for none.
    pub flag: Option<String>,
    /// Anything else that is to be kept with it; empty for none.
    pub metadata: Option<String>,
    /// All of its attributes, in their order.
    pub attributes: Option<Vec<AttributeInput>>,
    /// How many pieces there shall be, 1 to 10,000,000.
    pub supply: Option<i32>,
    /// The first serial number: 0 or 1.
    pub first_serial: Option<i32>,
}

/// Names a draft.
#[derive(InputObject)]
pub struct CollectibleDeleteInput {
    /// A collectible that was never handed in.
    pub id: CollectibleId,
}

/// What came of a deletion.
#[derive(SimpleObject)]
pub struct CollectibleDeletePayload {
    /// The ID of what is gone.
    pub deleted_id: Option<CollectibleId>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<CatalogUserError>,
}

impl From<SeriesCreateInput> for SeriesDesign {
    fn from(input: SeriesCreateInput) -> Self {
        Self {
            name_chinese: input.name.chinese,
            name_english: input.name.english,
            description_chinese: input.description.chinese,
            description_english: input.description.english,
            cover_id: input.cover_id,
        }
    }
}

impl From<CollectibleCreateInput> for Design {
    fn from(input: CollectibleCreateInput) -> Self {
        Self {
            series_id: input.series_id,
            name_chinese: input.name.chinese,
            name_english: input.name.english,
            description_chinese: input.description.chinese,
            description_english: input.description.english,
            author: input.author,
            image_url: input.image_url.unwrap_or_default(),
            cover_id: input.cover_id,
            media_id: input.media_id,
            copyright_proof_id: input.copyright_proof_id,
            filing_number: input.filing_number,
            flag: input.flag,
            metadata: input.metadata,
            attributes: attributes(input.attributes),
            supply: input.supply,
            first_serial: input.first_serial,
        }
    }
}

fn attributes(inputs: Vec<AttributeInput>) -> Attributes {
    Attributes(inputs.into_iter().map(|input| Attribute { name: input.name, value: input.value }).collect())
}

fn texts(input: LocalizedTextInput) -> (String, String) {
    (input.chinese, input.english)
}

/// Left out: as it is. Null: none.
fn given<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

#[derive(Default)]
pub struct DesignMutation;

#[Object]
impl DesignMutation {
    /// Creates a series. Needs `CATALOG_MANAGE`.
    async fn series_create(&self, ctx: &Context<'_>, input: SeriesCreateInput) -> Result<SeriesPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let design = SeriesDesign::from(input);
        let outcome =
            payload::run(ctx, CatalogUserError::from_problem, || series::create(ctx.platform(), scope, &design))
                .await?;
        Ok(SeriesPayload { series: outcome.value.map(SeriesObject), user_errors: outcome.user_errors })
    }

    /// Changes a series; once one of its collectibles was handed in, its description alone. Needs `CATALOG_MANAGE`.
    async fn series_update(&self, ctx: &Context<'_>, input: SeriesUpdateInput) -> Result<SeriesPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let wanted = SeriesEdit {
            name: input.name.map(texts),
            description: input.description.map(texts),
            cover_id: given(input.cover_id),
        };
        let update = || series::update(ctx.platform(), scope, input.id, input.version, &wanted);
        let outcome = payload::run(ctx, CatalogUserError::from_problem, update).await?;
        Ok(SeriesPayload { series: outcome.value.map(SeriesObject), user_errors: outcome.user_errors })
    }

    /// Creates a collectible as a draft. Needs `CATALOG_MANAGE`.
    async fn collectible_create(&self, ctx: &Context<'_>, input: CollectibleCreateInput) -> Result<CollectiblePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let design = Design::from(input);
        let outcome =
            payload::run(ctx, CatalogUserError::from_problem, || collectible::create(ctx.platform(), scope, &design))
                .await?;
        Ok(CollectiblePayload::from(outcome))
    }

    /// Changes a collectible as far as its state allows. Needs `CATALOG_MANAGE`.
    async fn collectible_update(&self, ctx: &Context<'_>, input: CollectibleUpdateInput) -> Result<CollectiblePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let wanted = CollectibleEdit {
            series_id: input.series_id,
            name: input.name.map(texts),
            description: input.description.map(texts),
            author: input.author,
            image_url: input.image_url,
            cover_id: given(input.cover_id),
            media_id: given(input.media_id),
            copyright_proof_id: given(input.copyright_proof_id),
            filing_number: input.filing_number,
            flag: input.flag,
            metadata: input.metadata,
            attributes: input.attributes.map(attributes),
            supply: input.supply,
            first_serial: input.first_serial,
        };
        let update = || edit::update(ctx.platform(), scope, input.id, input.version, &wanted);
        Ok(CollectiblePayload::from(payload::run(ctx, CatalogUserError::from_problem, update).await?))
    }

    /// Throws a draft away that was never handed in. Needs `CATALOG_MANAGE`.
    async fn collectible_delete(
        &self,
        ctx: &Context<'_>,
        input: CollectibleDeleteInput,
    ) -> Result<CollectibleDeletePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome =
            payload::run(ctx, CatalogUserError::from_problem, || edit::remove(ctx.platform(), scope, input.id)).await?;
        Ok(CollectibleDeletePayload {
            deleted_id: outcome.value.map(|draft| draft.id),
            user_errors: outcome.user_errors,
        })
    }
}
