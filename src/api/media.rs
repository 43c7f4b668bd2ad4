//! `GET /media/{enterprise}/{hash}` and `…/thumbnail`: media that everybody may see.
//!
//! What is public is said by the database (`catalog::media`); what is not, and what is not there, look alike, and so do
//! enterprises. Nothing of the path is used as a path: an ID and a hash are read from it, and lead to a row that says
//! where the bytes lie. An address names one content for ever, so caches may keep it for good; what the house blocks later
//! has to be taken out of them by whoever runs them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use tokio::sync::Semaphore;

use crate::api::downloads::refuse;
use crate::api::serving::{Disposition, Serving, serve};
use crate::api::transport::RequestId;
use crate::catalog::media::{media_key, store, thumbnail_key};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::platform::vault::{hex, read_sha256};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::TenantScope;

/// Looks into the database at a time: strangers may ask as often as they like, and take only so many of its connections.
const LOOKS_AT_ONCE: usize = 4;

const FOR_GOOD: &str = "public, max-age=31536000, immutable";

pub fn router(platform: Arc<Platform>) -> Router {
    Router::new()
        .route("/media/{enterprise}/{hash}", get(file))
        .route("/media/{enterprise}/{hash}/thumbnail", get(thumbnail))
        .with_state(Arc::new(Public { platform, looks: Semaphore::new(LOOKS_AT_ONCE) }))
}

struct Public {
    platform: Arc<Platform>,
    looks: Semaphore,
}

/// Which of a medium's two objects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    File,
    Thumbnail,
}

async fn file(
    State(public): State<Arc<Public>>,
    Path(named): Path<(String, String)>,
    Extension(request_id): Extension<RequestId>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    answer(&public, &named, Wanted::File, &request_id, &method, &headers).await
}

async fn thumbnail(
    State(public): State<Arc<Public>>,
    Path(named): Path<(String, String)>,
    Extension(request_id): Extension<RequestId>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    answer(&public, &named, Wanted::Thumbnail, &request_id, &method, &headers).await
}

async fn answer(
    public: &Public,
    named: &(String, String),
    wanted: Wanted,
    request_id: &RequestId,
    method: &Method,
    headers: &HeaderMap,
) -> Response {
    let language = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let served = find(public, named, wanted, method, headers).await;
    served.unwrap_or_else(|fault| refuse(&fault, Language::from_accept_language(language), request_id))
}

async fn find(
    public: &Public,
    (enterprise, hash): &(String, String),
    wanted: Wanted,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Fault> {
    let enterprise: EnterpriseId = enterprise.parse().map_err(|_| Fault::NotFound)?;
    let sha256 = read_sha256(hash).filter(|sha256| hex(sha256) == *hash).ok_or(Fault::NotFound)?;
    let place = public.looks.acquire().await.map_err(Fault::internal)?;
    let tx = TenantScope::of_system(enterprise).read(&public.platform.database).await?;
    let media = store::by_content(&tx, &sha256).await?.filter(|media| media.is_public()).ok_or(Fault::NotFound)?;
    drop((tx, place)); // the bytes may take their time
    let (key, media_type, tag) = match wanted {
        Wanted::File => (media_key(enterprise, media.id), media.kind(), hex(&sha256)),
        Wanted::Thumbnail => {
            (thumbnail_key(enterprise, media.id), media.thumbnail.media_type(), format!("{}-thumbnail", hex(&sha256)))
        }
    };
    let media_type = media_type.ok_or(Fault::NotFound)?;
    let serving = Serving { key: &key, media_type, tag, cache: FOR_GOOD, disposition: Disposition::Inline };
    serve(&public.platform.objects, &serving, method, headers).await
}
