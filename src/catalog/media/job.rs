//! The job that looks at what came in: a thumbnail of each picture, and the moderator's opinion of everything.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::model::{Media, Moderation, Thumbnail};
use super::moderation::{Exhibit, Opinion};
use super::{MediaServices, media_key, picture, store, thumbnail_key};
use crate::platform::Platform;
use crate::platform::backoff::pause;
use crate::platform::fault::Fault;
use crate::platform::media::MediaType;
use crate::platform::objects::NotReceived;
use crate::tenancy::audit;
use crate::tenancy::model::{EnterpriseId, ReviewSubject};
use crate::tenancy::review;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::worker::Job;

/// Files looked at in one step: each may take a second.
const A_STEP: usize = 8;

/// How long a server may take over one before another takes it up.
const LEASE: Duration = Duration::from_secs(300);

const UNDECODABLE: &str =
    "图片无法解码，请重新导出后上传。The picture cannot be decoded; export it anew and upload that.";

pub struct MediaJob {
    pub platform: Arc<Platform>,
    pub services: Arc<MediaServices>,
}

#[async_trait]
impl Job for MediaJob {
    fn name(&self) -> &'static str {
        "media"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        store::tenants_due(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let scope = TenantScope::of_system(tenant);
        for _ in 0..A_STEP {
            // Each when its turn comes: a step that is cut off leaves the others to whoever is next.
            let tx = scope.write(&self.platform.database).await?;
            let Some(media) = store::take_due_in(&tx, LEASE).await? else { break };
            tx.commit().await?;
            if let Err(fault) = self.look_at(&scope, &media).await {
                tracing::error!(%tenant, media = %media.id, "a file could not be looked at and will be again: {}", fault.with_causes());
                let tx = scope.write(&self.platform.database).await?;
                store::put_off_in(&tx, media.id, pause(media.attempts)).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Duration>, Fault> {
        store::next_due(&HouseTx::read(&self.platform.database).await?).await
    }
}

impl MediaJob {
    async fn look_at(&self, scope: &TenantScope, media: &Media) -> Result<(), Fault> {
        let kind = media.kind().ok_or_else(|| Fault::internal(anyhow::anyhow!("an unknown kind of medium")))?;
        let key = media_key(media.tenant_id, media.id);
        // A folder that is not mounted looks like this too, so nothing is decided by it.
        let bytes = self.platform.objects.get(&key).await?;
        let bytes = bytes.ok_or_else(|| Fault::Unavailable(anyhow::anyhow!("{key} is not in the store")))?;
        let thumbnail = self.thumbnail(media, kind, &bytes).await?;
        let opinion = self.opinion(media, kind, thumbnail, bytes).await?;
        let tx = scope.write(&self.platform.database).await?;
        // Deleted meanwhile, or another server was quicker with a part of it.
        let Some(before) = store::lock_in(&tx, media.id).await? else { return Ok(()) };
        if before.thumbnail == Thumbnail::Due {
            store::set_thumbnail_in(&tx, media.id, thumbnail).await?;
        }
        if before.moderation == Moderation::Pending {
            let after = store::set_moderation_in(&tx, media.id, opinion.verdict, opinion.remark).await?;
            if opinion.verdict == Moderation::Review {
                review::open_in(&tx, ReviewSubject::Media, media.id.uuid()).await?;
            }
            audit::record_in(&tx, "mediaModerate", media.id.uuid(), Some(&before.about()), &after.about()).await?;
        }
        tx.commit().await
    }

    /// Makes the thumbnail and puts it to its place, once.
    async fn thumbnail(&self, media: &Media, kind: MediaType, bytes: &Bytes) -> Result<Thumbnail, Fault> {
        if media.thumbnail != Thumbnail::Due {
            return Ok(media.thumbnail);
        }
        let bytes = bytes.clone();
        let place = self.services.decoding.clone().acquire_owned().await.map_err(Fault::internal)?;
        let made = tokio::task::spawn_blocking(move || {
            let _place = place; // until it is decoded, whether anybody still waits for it or not
            picture::thumbnail(kind, &bytes)
        });
        let made = made.await;
        // A decoder that panics has met a broken picture.
        let Ok(Ok((thumbnail, small))) = made else { return Ok(Thumbnail::Failed) };
        match self.platform.objects.put(&thumbnail_key(media.tenant_id, media.id), small.into()).await {
            // The same bytes give the same thumbnail: another turn has put it there.
            Ok(_) | Err(NotReceived::Exists) => Ok(thumbnail),
            Err(NotReceived::Fault(fault)) => Err(fault),
            Err(reason) => Err(Fault::internal(reason)),
        }
    }

    async fn opinion(
        &self,
        media: &Media,
        kind: MediaType,
        thumbnail: Thumbnail,
        bytes: Bytes,
    ) -> Result<Opinion, Fault> {
        if media.moderation != Moderation::Pending {
            return Ok(Opinion { verdict: media.moderation, remark: media.moderation_remark.clone() });
        }
        if thumbnail == Thumbnail::Failed {
            return Ok(blocked(UNDECODABLE));
        }
        self.services.moderator.judge(&Exhibit { media_type: kind, bytes }).await
    }
}

fn blocked(remark: &str) -> Opinion {
    Opinion { verdict: Moderation::Block, remark: Some(remark.to_owned()) }
}
