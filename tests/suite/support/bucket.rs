//! An S3 server of a test's own: `s3s` over a folder, on a port of loopback. It checks every signature.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use minthouse::platform::objects::bucket::Bucket;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cluster;

const BUCKET: &str = "minthouse-test";
const ACCESS_KEY: &str = "AKIDTEST";
const SECRET_KEY: &str = "a-secret-of-the-tests";

pub struct BucketServer {
    pub bucket: Bucket,
    folder: PathBuf,
    _shutdown: DropGuard,
}

impl BucketServer {
    pub async fn start(direct: bool) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = cluster::shared().folder().join("buckets").join(number.to_string());
        fs::create_dir_all(folder.join(BUCKET)).expect("the folder is writable");

        let mut service = S3ServiceBuilder::new(FileSystem::new(&folder).expect("the folder is there"));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let shutdown = CancellationToken::new();
        let ended = shutdown.clone();
        tokio::spawn(async move {
            while let Some(Ok((stream, _))) = ended.run_until_cancelled(listener.accept()).await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that hangs up is no concern of the server's.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        let bucket = Bucket {
            name: BUCKET.into(),
            region: "us-east-1".into(),
            endpoint: Some(endpoint),
            in_host: false,
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            direct,
        };
        Self { bucket, folder, _shutdown: shutdown.drop_guard() }
    }

    /// How many objects lie below a kind of key.
    pub fn count(&self, kind: &str) -> usize {
        files_below(self.folder.join(BUCKET).join(kind))
    }
}

/// The files of a folder and of those below it; none where there is no such folder.
pub fn files_below(folder: PathBuf) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| entry.expect("it can be read").path())
        .map(|path| if path.is_dir() { files_below(path) } else { 1 })
        .sum()
}
