//! A series is created and changed.

use crate::catalog::history;
use crate::catalog::media::model::MediaId;
use crate::catalog::media::usage::{self, Place};
use crate::catalog::model::design::{Freedom, SeriesDesign, series_changes};
use crate::catalog::model::{CatalogErrorCode as Code, Series, SeriesId};
use crate::catalog::{edit, store, text};
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;

pub async fn create(platform: &Platform, scope: &TenantScope, design: &SeriesDesign) -> Result<Series, Refusal<Code>> {
    scope.require(Permission::CatalogManage)?;
    text::check_series(design)?;
    let tx = scope.write(&platform.database).await?;
    usage::hold_in(&tx, &[("coverId", Place::Cover, design.cover_id)]).await?;
    let series = store::designs::insert_series_in(&tx, SeriesId::generate(), design).await?;
    audit::record_in(&tx, "seriesCreate", series.id.uuid(), None, &series).await?;
    history::record_series_in(&tx, "seriesCreate", None, &series).await?;
    tx.commit().await?;
    Ok(series)
}

/// What an operator wants of a series. What is left out stays as it is.
#[derive(Clone, Debug, Default)]
pub struct SeriesEdit {
    pub name: Option<(String, String)>,
    pub description: Option<(String, String)>,
    pub cover_id: Option<Option<MediaId>>,
}

impl SeriesEdit {
    fn of(&self, series: &Series) -> SeriesDesign {
        let mut design = SeriesDesign::of(series);
        if let Some((chinese, english)) = self.name.clone() {
            (design.name_chinese, design.name_english) = (chinese, english);
        }
        if let Some((chinese, english)) = self.description.clone() {
            (design.description_chinese, design.description_english) = (chinese, english);
        }
        design.cover_id = self.cover_id.unwrap_or(design.cover_id);
        design
    }
}

/// Changes a series that still is as `version` says. Once the house has come to see one of its collectibles, its
/// description alone.
pub async fn update(
    platform: &Platform,
    scope: &TenantScope,
    id: SeriesId,
    version: i32,
    wanted: &SeriesEdit,
) -> Result<Series, Refusal<Code>> {
    scope.require(Permission::CatalogManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = store::designs::lock_series_in(&tx, id).await?;
    let before = before.ok_or_else(|| Refusal::at("id", Code::SeriesNotFound))?;
    if before.version != version {
        return Err(Refusal::at("version", Code::VersionConflict));
    }
    let design = wanted.of(&before);
    let changed = series_changes(Some(&SeriesDesign::of(&before)), Some(&design));
    if changed.is_empty() {
        return Ok(before);
    }
    let freedom = Freedom::of_series(store::designs::has_been_submitted(&tx, id).await?);
    edit::refuse_frozen(&freedom.frozen(&changed))?;
    text::check_series(&design)?;
    usage::hold_in(&tx, &[("coverId", Place::Cover, design.cover_id)]).await?;
    let after = store::designs::set_series_in(&tx, id, &design).await?;
    audit::record_in(&tx, "seriesUpdate", id.uuid(), Some(&before), &after).await?;
    history::record_series_in(&tx, "seriesUpdate", Some(&before), &after).await?;
    tx.commit().await?;
    Ok(after)
}
