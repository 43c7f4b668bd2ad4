//! Files that people upload: kept once, under keys that we make, and looked at before anybody believes them.
//!
//! Whoever wants a file from a client makes a [`Key`] out of IDs, hands out the path of a [`Ticket`]
//! ([`Objects::upload_path`]), and when the client says that it is done asks [`Objects::examine`] what really lies there.
//! The upload itself (`PUT /uploads/{ticket}`) is taken by `api::uploads`, which knows nothing but the ticket.
//!
//! - An object is written once and never changed: what was examined stays what it was.
//! - It appears whole or not at all. It is first received in the room [`STAGING`] and then moved to its key, which fails
//!   where something lies there already; of two uploads at once one wins.
//! - No key contains anything that a client has sent, so there is no way out of the store's folder.
//!
//! The store is the crate `object_store`'s: a local folder, or a bucket of S3 ([`bucket`]). Another one is a constructor
//! beside [`Objects::in_folder`] and [`Objects::in_bucket`]. It must be able to copy only where nothing exists.

pub mod bucket;
mod download;
mod presign;
mod ticket;

use std::fmt;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path as FolderPath;
use std::sync::Arc;

use anyhow::{Context, Result};
use aws_lc_rs::digest;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{Stream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore, ObjectStoreExt, WriteMultipart};
use uuid::Uuid;

pub use self::download::Download;
use self::presign::Presigner;
pub use self::ticket::{NoTicket, Ticket};
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::platform::media::{self, MediaType};
use crate::platform::vault::SealingKey;

/// Where objects lie until they are complete.
const STAGING: &str = "staging";

/// What lies in [`STAGING`] for longer was left there by a server that died. No upload takes so long.
const ABANDONED: TimeDelta = TimeDelta::days(1);

/// How much is written to a folder at once.
const FOLDER_PART: usize = 512 * 1024;

/// Where an object lies: `kind/owner/object`, of a word in the code and two IDs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    kind: String,
    owner: Uuid,
    object: Uuid,
}

impl Key {
    /// `kind` is a word of lower-case letters. Whose the object is stands in its key, so that no ID of one owner's can
    /// lead to an object of another's.
    pub fn new(kind: &'static str, owner: Uuid, object: Uuid) -> Self {
        assert!(is_kind(kind), "`{kind}` is no kind of object: it has lower-case letters only");
        Self { kind: kind.to_owned(), owner, object }
    }

    /// Whose the object is.
    pub fn owner(&self) -> Uuid {
        self.owner
    }

    /// The object's own ID.
    pub fn object(&self) -> Uuid {
        self.object
    }

    /// What [`fmt::Display`] gives, and nothing else.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (kind, owner, object) = (parts.next()?, parts.next()?, parts.next()?);
        let key =
            Self { kind: kind.to_owned(), owner: Uuid::parse_str(owner).ok()?, object: Uuid::parse_str(object).ok()? };
        (is_kind(kind) && key.to_string() == text).then_some(key)
    }

    fn path(&self) -> Path {
        Path::from(self.to_string())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.kind, self.owner.simple(), self.object.simple())
    }
}

fn is_kind(word: &str) -> bool {
    word != STAGING && (1..=32).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// What an object is, found by reading all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub size: u64,
    pub sha256: [u8; 32],
    /// Of the kinds that are told apart; see [`media::sniff`].
    pub media_type: Option<MediaType>,
}

/// Why an object was not received. Nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum NotReceived {
    #[error("something lies there already")]
    Exists,
    #[error("it is larger than was allowed")]
    TooLarge,
    #[error("it is empty")]
    Empty,
    #[error("it is another one than was announced")]
    Differs,
    #[error("it did not arrive whole")]
    BrokeOff,
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// An object that was asked for with a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    Bytes(Bytes),
    TooLarge,
}

#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Where clients put their files into the store themselves.
    signer: Option<Arc<Presigner>>,
    tickets: SealingKey,
    part_bytes: usize,
}

impl Objects {
    /// Objects in a local folder, which is made if it is missing and which nobody else may enter. Several servers on one
    /// database must share it. What dead servers have left half done is removed.
    pub fn in_folder(folder: &FolderPath, master_key: &SealingKey, now: DateTime<Utc>) -> Result<Self> {
        let staging = folder.join(STAGING);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&staging);
        made.with_context(|| format!("cannot make the folder for uploaded files {}", staging.display()))?;
        remove_abandoned(&staging, now - ABANDONED)
            .with_context(|| format!("cannot look through {}; is it this user's?", staging.display()))?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .with_context(|| format!("cannot open the folder for uploaded files {}", folder.display()))?
            // Whoever is told that their file has arrived will not send it again.
            .with_fsync(true);
        let tickets = master_key.derive("uploads");
        Ok(Self { store: Arc::new(store), signer: None, tickets, part_bytes: FOLDER_PART })
    }

    /// Where a client may put one object of exactly the ticket's size, until the ticket expires: a path at this service
    /// ([`Self::upload_path`]), or a whole address at the store. What lies there afterwards may still be replaced by
    /// whoever has the address, so it has to be taken from there ([`Self::put`]) before it is relied on.
    pub fn upload_address(&self, ticket: &Ticket, now: DateTime<Utc>) -> String {
        match &self.signer {
            Some(signer) => signer.put(&ticket.key.to_string(), ticket.max_bytes, now, ticket.expires_at - now),
            None => self.upload_path(ticket),
        }
    }

    /// The path at which a client may put one object, until the ticket expires.
    pub fn upload_path(&self, ticket: &Ticket) -> String {
        format!("/uploads/{}", ticket::write(&self.tickets, ticket))
    }

    /// Reads what [`Self::upload_path`] wrote.
    pub fn read_ticket(&self, text: &str, now: DateTime<Utc>) -> Result<Ticket, NoTicket> {
        ticket::read(&self.tickets, text, now)
    }

    /// Puts an object of ours.
    pub async fn put(&self, key: &Key, bytes: Bytes) -> Result<Content, NotReceived> {
        let max_bytes = bytes.len() as u64;
        let mut body = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
        self.receive(key, (max_bytes, None), &mut body).await
    }

    /// Puts an object as it arrives: of so many bytes at most, and of this SHA-256 where one was announced. A caller that
    /// may be dropped half way (a request's handler) spawns this: a store far away is cleaned up by no destructor.
    pub async fn receive<E>(
        &self,
        key: &Key,
        (max_bytes, announced): (u64, Option<[u8; 32]>),
        body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    ) -> Result<Content, NotReceived> {
        if self.head(key).await?.is_some() {
            return Err(NotReceived::Exists);
        }
        let staged = Path::from(format!("{STAGING}/{}", id::generate().simple()));
        let upload = self.store.put_multipart(&staged).await.map_err(unavailable)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, self.part_bytes);
        let filled = fill(&mut upload, max_bytes, body).await;
        let as_announced = |content: &Content| announced.is_none_or(|sha256| content.sha256 == sha256);
        let content = match filled.and_then(|content| Some(content).filter(as_announced).ok_or(NotReceived::Differs)) {
            Ok(content) => content,
            Err(reason) => {
                let aborted = upload.abort().await;
                aborted.unwrap_or_else(|error| tracing::warn!(%staged, %error, "an upload could not be taken back"));
                return Err(reason);
            }
        };
        upload.finish().await.map_err(unavailable)?;
        let published = self.store.copy_if_not_exists(&staged, &key.path()).await;
        if let Err(error) = self.store.delete(&staged).await {
            tracing::warn!(%staged, %error, "an upload was left behind; it is removed at a start after a day");
        }
        match published {
            Ok(()) => Ok(content),
            Err(Error::AlreadyExists { .. }) => Err(NotReceived::Exists),
            Err(error) => Err(unavailable(error).into()),
        }
    }

    /// Whether the store takes an object and lets no other take its place: for whoever sets one up.
    pub async fn probe(&self) -> Result<(), Fault> {
        let [staged, kept] = [(); 2].map(|()| Path::from(format!("{STAGING}/{}", id::generate().simple())));
        self.store.put(&staged, Bytes::from_static(b"probe").into()).await.map_err(unavailable)?;
        let first = self.store.copy_if_not_exists(&staged, &kept).await;
        let again = self.store.copy_if_not_exists(&staged, &kept).await;
        for path in [&staged, &kept] {
            self.store.delete(path).await.map_err(unavailable)?;
        }
        first.map_err(unavailable)?;
        match again {
            Err(Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
            Ok(()) => Err(Fault::Unavailable(anyhow::anyhow!("it lets an object take the place of another"))),
        }
    }

    /// The size of an object, if it is there.
    pub async fn head(&self, key: &Key) -> Result<Option<u64>, Fault> {
        found(self.store.head(&key.path()).await).map(|found| found.map(|meta| meta.size))
    }

    /// All of an object, if it is there.
    pub async fn get(&self, key: &Key) -> Result<Option<Bytes>, Fault> {
        match found(self.store.get(&key.path()).await)? {
            Some(object) => object.bytes().await.map(Some).map_err(unavailable),
            None => Ok(None),
        }
    }

    /// All of an object that is no larger than `max_bytes`; nothing of one that is.
    pub async fn get_within(&self, key: &Key, max_bytes: u64) -> Result<Option<Within>, Fault> {
        match found(self.store.get(&key.path()).await)? {
            Some(object) if object.meta.size > max_bytes => Ok(Some(Within::TooLarge)),
            Some(object) => object.bytes().await.map(|bytes| Some(Within::Bytes(bytes))).map_err(unavailable),
            None => Ok(None),
        }
    }

    /// Some of an object as it comes, if it is there. `range` lies within it.
    pub async fn read(
        &self,
        key: &Key,
        range: Range<u64>,
    ) -> Result<Option<impl Stream<Item = Result<Bytes, Fault>> + Send + 'static>, Fault> {
        let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
        let object = found(self.store.get_opts(&key.path(), options).await)?;
        Ok(object.map(|object| object.into_stream().map(|part| part.map_err(unavailable))))
    }

    /// Removes an object, if it is there. Nothing may refer to it any more.
    pub async fn delete(&self, key: &Key) -> Result<(), Fault> {
        found(self.store.delete(&key.path()).await).map(|_| ())
    }

    /// What an object really is, if it is there.
    pub async fn examine(&self, key: &Key) -> Result<Option<Content>, Fault> {
        let Some(object) = found(self.store.get(&key.path()).await)? else { return Ok(None) };
        let (mut look, mut bytes) = (Look::new(), object.into_stream());
        while let Some(part) = bytes.next().await {
            look.at(&part.map_err(unavailable)?);
        }
        Ok(Some(look.content()))
    }
}

async fn fill<E>(
    upload: &mut WriteMultipart,
    max_bytes: u64,
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> Result<Content, NotReceived> {
    let mut look = Look::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|_| NotReceived::BrokeOff)?;
        look.at(&part);
        if look.size > max_bytes {
            return Err(NotReceived::TooLarge);
        }
        upload.wait_for_capacity(2).await.map_err(unavailable)?;
        upload.put(part);
    }
    if look.size == 0 {
        return Err(NotReceived::Empty);
    }
    Ok(look.content())
}

/// Looks at bytes as they pass by.
struct Look {
    size: u64,
    digest: digest::Context,
    beginning: Vec<u8>,
}

impl Look {
    fn new() -> Self {
        Self { size: 0, digest: digest::Context::new(&digest::SHA256), beginning: Vec::new() }
    }

    fn at(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.digest.update(bytes);
        let missing = media::SNIFFED_BYTES - self.beginning.len();
        self.beginning.extend_from_slice(&bytes[..bytes.len().min(missing)]);
    }

    fn content(self) -> Content {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.finish().as_ref());
        Content { size: self.size, sha256, media_type: media::sniff(&self.beginning) }
    }
}

fn found<T>(result: object_store::Result<T>) -> Result<Option<T>, Fault> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}

fn unavailable(error: Error) -> Fault {
    Fault::Unavailable(anyhow::Error::new(error).context("the store of uploaded files does not work"))
}

/// Not by way of the store, which does not list what it has not finished writing.
fn remove_abandoned(staging: &FolderPath, before: DateTime<Utc>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(staging)? {
        let entry = entry?;
        // Another server may be quicker to remove it, or to finish it.
        let Ok(about) = entry.metadata() else { continue };
        if about.is_file() && DateTime::<Utc>::from(about.modified()?) < before {
            let _ = std::fs::remove_file(entry.path());
            tracing::info!(file = %entry.path().display(), "an abandoned upload was removed");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
