//! Objects in a bucket of S3, or of whatever speaks its protocol.
//!
//! The bucket has to know `If-None-Match` for the completion of an upload in parts (Amazon's, MinIO's, Cloudflare's and
//! others' do): an object that is there is never written again. Two rules of the bucket's own clear away what nobody
//! will ask for: everything below `staging/` and below `incoming/` ends after two days, and so do unfinished uploads.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use object_store::aws::{AmazonS3Builder, S3CopyIfNotExists};

use super::Objects;
use super::presign::Presigner;
use crate::platform::vault::SealingKey;

/// The smallest part that S3 takes, but for the last.
const BUCKET_PART: usize = 5 * 1024 * 1024;

/// Where objects lie, and who we are there.
#[derive(Clone)]
pub struct Bucket {
    pub name: String,
    pub region: String,
    /// Of a service other than Amazon's.
    pub endpoint: Option<String>,
    /// Whether the bucket's name stands in the host (and in `endpoint`) rather than in the path.
    pub in_host: bool,
    pub access_key: String,
    pub secret_key: String,
    /// Whether clients put their files there themselves. Then the bucket lets the pages' origins do so (CORS), and
    /// clients reach the endpoint.
    pub direct: bool,
}

impl Objects {
    /// Objects in a bucket, which has to be there.
    pub fn in_bucket(bucket: &Bucket, master_key: &SealingKey) -> Result<Self> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&bucket.name)
            .with_region(&bucket.region)
            .with_access_key_id(&bucket.access_key)
            .with_secret_access_key(&bucket.secret_key)
            .with_virtual_hosted_style_request(bucket.in_host)
            .with_copy_if_not_exists(S3CopyIfNotExists::Multipart);
        if let Some(endpoint) = &bucket.endpoint {
            let is_web = endpoint.starts_with("http://") || endpoint.starts_with("https://");
            ensure!(is_web, "s3_endpoint is no address: it begins with https:// or http://");
            // Beside the server, as MinIO often is, plain HTTP will do; whoever writes it means it.
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let store = Arc::new(builder.build().with_context(|| format!("cannot use the bucket `{}`", bucket.name))?);
        let signer = bucket.direct.then(|| Presigner::new(bucket)).transpose()?.map(Arc::new);
        Ok(Self { store, signer, tickets: master_key.derive("uploads"), part_bytes: BUCKET_PART })
    }
}
