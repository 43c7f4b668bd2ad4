//! Media as the catalogue uses them: what may be shown, and when it becomes public.

use super::model::{Media, MediaId, MediaState, Moderation};
use super::store;
use crate::catalog::model::CatalogErrorCode as Code;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::scope::TenantTx;

/// What a design may show of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A picture that stands for the whole.
    Cover,
    /// The work itself, of any kind.
    Work,
}

/// The media that a design names, held until the transaction ends. None of them is missing, blocked or out of place.
pub async fn hold_in(
    tx: &TenantTx,
    named: &[(&'static str, Place, Option<MediaId>)],
) -> Result<Vec<Media>, Refusal<Code>> {
    let mut ids: Vec<MediaId> = named.iter().filter_map(|(_, _, id)| *id).collect();
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = store::hold_in(tx, &ids).await?;
    for (field, place, id) in named {
        let Some(id) = id else { continue };
        let medium = found.get(id).ok_or_else(|| Refusal::at(*field, Code::MediaNotFound))?;
        if medium.state != MediaState::Stored {
            return Err(Refusal::at(*field, Code::MediaNotUploaded));
        }
        if medium.moderation == Moderation::Block {
            return Err(Refusal::at(*field, Code::MediaBlocked));
        }
        if *place == Place::Cover && !medium.kind().is_some_and(|kind| kind.is_image()) {
            return Err(Refusal::explained(
                *field,
                Code::InvalidInput,
                "封面须为图片（PNG、JPEG、WebP 或 GIF）。",
                "A cover is a picture: a PNG, a JPEG, a WebP or a GIF.",
            ));
        }
    }
    Ok(found.into_values().collect())
}

/// Refuses media that moderation has not let pass.
pub fn require_passed(media: &[Media]) -> Result<(), Refusal<Code>> {
    if media.iter().any(|medium| medium.moderation == Moderation::Block) {
        return Err(Refusal::code(Code::MediaBlocked));
    }
    if media.iter().any(|medium| medium.moderation != Moderation::Pass) {
        return Err(Refusal::code(Code::MediaNotPassed));
    }
    Ok(())
}

/// What shows them was approved: everybody may see them.
pub async fn publish_in(tx: &TenantTx, media: &[Media]) -> Result<(), Fault> {
    let ids: Vec<MediaId> = media.iter().map(|medium| medium.id).collect();
    if ids.is_empty() { Ok(()) } else { store::publish_in(tx, &ids).await }
}
