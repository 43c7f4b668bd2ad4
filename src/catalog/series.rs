//! A series is created.

use crate::catalog::collectible::check_texts;
use crate::catalog::model::{CatalogErrorCode, Series, SeriesId};
use crate::catalog::store::{self, Texts};
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;

#[derive(Clone, Debug)]
pub struct SeriesRequest {
    pub name_chinese: String,
    pub name_english: String,
    pub description_chinese: String,
    pub description_english: String,
}

pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &SeriesRequest,
) -> Result<Series, Refusal<CatalogErrorCode>> {
    scope.require(Permission::CatalogManage)?;
    let texts = Texts {
        name: (&request.name_chinese, &request.name_english),
        description: (&request.description_chinese, &request.description_english),
    };
    check_texts(&texts)?;

    let tx = scope.write(&platform.database).await?;
    let series = store::insert_series_in(&tx, SeriesId::generate(), &texts).await?;
    audit::record_in(&tx, "seriesCreate", series.id.uuid(), None, &series).await?;
    tx.commit().await?;
    Ok(series)
}
