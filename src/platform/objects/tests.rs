use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;
use crate::platform::vault::sha256;

/// A folder of one test, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("minthouse-objects-{}-{number}", std::process::id())))
    }

    fn objects(&self) -> Objects {
        Objects::in_folder(&self.0, &SealingKey::new([7; 32]), now()).expect("the temporary folder is writable")
    }

    fn staged(&self) -> usize {
        fs::read_dir(self.0.join(STAGING)).expect("it is there").count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn now() -> DateTime<Utc> {
    use crate::platform::clock::{Clock, SystemClock};
    SystemClock.now()
}

fn key(object: u128) -> Key {
    Key::new("documents", Uuid::from_u128(1), Uuid::from_u128(object))
}

fn body(parts: Vec<Result<&'static [u8], ()>>) -> impl Stream<Item = Result<Bytes, ()>> + Unpin {
    futures_util::stream::iter(parts.into_iter().map(|part| part.map(Bytes::from_static)))
}

#[tokio::test]
async fn what_was_put_is_there_as_it_was() {
    let folder = Folder::new();
    let objects = folder.objects();
    assert_eq!(objects.head(&key(1)).await.unwrap(), None);
    assert_eq!(objects.get(&key(1)).await.unwrap(), None);
    assert_eq!(objects.examine(&key(1)).await.unwrap(), None);

    let file: &[u8] = b"%PDF-1.7 and so on";
    let put = objects.put(&key(1), Bytes::from_static(file)).await.unwrap();
    let content = Content { size: 18, sha256: sha256(file), media_type: Some(MediaType::Pdf) };
    assert_eq!(put, content);
    assert_eq!(objects.examine(&key(1)).await.unwrap(), Some(content));
    assert_eq!(objects.head(&key(1)).await.unwrap(), Some(18));
    assert_eq!(objects.get(&key(1)).await.unwrap().as_deref(), Some(file));
    assert_eq!(objects.head(&key(2)).await.unwrap(), None);
    let mode = fs::metadata(&folder.0).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "nobody else may enter");
}

#[tokio::test]
async fn an_object_is_read_piece_by_piece_and_can_be_taken_away() {
    let folder = Folder::new();
    let objects = folder.objects();
    assert!(objects.read(&key(1), 0..1).await.unwrap().is_none());
    let file = Bytes::from(vec![7; 1_000_000]);
    objects.put(&key(1), file.clone()).await.unwrap();
    let pieces = objects.read(&key(1), 0..1_000_000).await.unwrap().expect("it is there");
    let pieces: Vec<Bytes> = pieces.map(|piece| piece.expect("it can be read")).collect().await;
    assert!(pieces.iter().all(|piece| piece.len() <= 64 * 1024), "no piece is large");
    assert_eq!(pieces.concat(), file);
    for _ in 0..2 {
        objects.delete(&key(1)).await.unwrap();
        assert_eq!(objects.head(&key(1)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_object_is_never_changed() {
    let folder = Folder::new();
    let objects = folder.objects();
    objects.put(&key(1), Bytes::from_static(b"first")).await.unwrap();
    let second = objects.put(&key(1), Bytes::from_static(b"second")).await;
    assert!(matches!(second, Err(NotReceived::Exists)), "{second:?}");
    assert_eq!(objects.get(&key(1)).await.unwrap().as_deref(), Some(&b"first"[..]));
    assert_eq!(folder.staged(), 0);
}

#[tokio::test]
async fn of_uploads_at_once_one_wins_and_is_whole() {
    let folder = Folder::new();
    let objects = folder.objects();
    let files: Vec<Bytes> = (0..8_u8).map(|which| Bytes::from(vec![which; 700_000 + usize::from(which)])).collect();
    let uploads = files.iter().map(|file| objects.put(&KEY, file.clone()));
    static KEY: std::sync::LazyLock<Key> = std::sync::LazyLock::new(|| key(1));
    let results = futures_util::future::join_all(uploads).await;
    let won: Vec<usize> = (0..8).filter(|which| results[*which].is_ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(NotReceived::Exists))), "{results:?}");
    assert_eq!(objects.get(&KEY).await.unwrap().as_ref(), Some(&files[won[0]]));
    assert_eq!(folder.staged(), 0);
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind() {
    let folder = Folder::new();
    let objects = folder.objects();
    let exact = objects.receive(&key(9), (6, None), &mut body(vec![Ok(b"123"), Ok(b"456")])).await;
    assert_eq!(exact.unwrap().size, 6);
    let large = objects.receive(&key(1), (5, None), &mut body(vec![Ok(b"123"), Ok(b"456")])).await;
    assert!(matches!(large, Err(NotReceived::TooLarge)), "{large:?}");
    let broken = objects.receive(&key(1), (5, None), &mut body(vec![Ok(b"123"), Err(())])).await;
    assert!(matches!(broken, Err(NotReceived::BrokeOff)), "{broken:?}");
    for nothing in [vec![], vec![Ok(&b""[..])]] {
        let empty = objects.receive(&key(1), (5, None), &mut body(nothing)).await;
        assert!(matches!(empty, Err(NotReceived::Empty)), "{empty:?}");
    }
    assert_eq!(objects.head(&key(1)).await.unwrap(), None);
    assert_eq!(folder.staged(), 0);
}

#[tokio::test]
async fn a_kind_is_found_in_a_beginning_that_comes_byte_by_byte() {
    let folder = Folder::new();
    let parts = [b"\x89", b"P", b"N", b"G", b"\r", b"\n", b"\x1a", b"\n", b"\0", b"\0", b"\0", b"\x0d", b"I", b"H"];
    let parts = parts.into_iter().map(|part| Ok(&part[..])).chain([Ok(&b"DR and more"[..])]).collect();
    let content = folder.objects().receive(&key(1), (100, None), &mut body(parts)).await.unwrap();
    assert_eq!(content.media_type, Some(MediaType::Png));
}

#[tokio::test]
async fn only_what_was_abandoned_is_removed_at_a_start() {
    let folder = Folder::new();
    let objects = folder.objects();
    objects.put(&key(1), Bytes::from_static(b"kept")).await.unwrap();
    let (old, young) = (folder.0.join("staging/old#1"), folder.0.join("staging/young#1"));
    for file in [&old, &young] {
        fs::write(file, "half").expect("the folder is ours");
    }
    let yesterday = now() - ABANDONED - TimeDelta::seconds(1);
    fs::File::options().write(true).open(&old).and_then(|file| file.set_modified(yesterday.into())).expect("ours");
    let objects = folder.objects();
    assert_eq!([old.exists(), young.exists()], [false, true]);
    assert_eq!(objects.head(&key(1)).await.unwrap(), Some(4));
}

#[test]
fn a_key_is_read_only_as_it_is_written() {
    let text = "documents/00000000000000000000000000000001/00000000000000000000000000000002";
    assert_eq!(key(2).to_string(), text);
    assert_eq!(Key::parse(text), Some(key(2)));
    let (owner, object) = (Uuid::from_u128(1).simple(), Uuid::from_u128(0xab).simple());
    for other in [
        format!("../{owner}/{object}"),
        format!("documents/../{object}"),
        format!("documents/{owner}/{object}/.."),
        format!("/documents/{owner}/{object}"),
        format!("documents/{owner}/{object} "),
        format!("Documents/{owner}/{object}"),
        format!("staging/{owner}/{object}"),
        format!("documents/{owner}/{}", object.to_string().to_uppercase()),
        format!("documents/{owner}/{}", object.as_uuid()),
        format!("documents/{owner}/{object}#1"),
        format!("/{owner}/{object}"),
        String::new(),
    ] {
        assert_eq!(Key::parse(&other), None, "{other}");
    }
}

#[test]
#[should_panic(expected = "no kind of object")]
fn a_key_of_no_kind_is_a_mistake_of_ours() {
    Key::new("../secrets", Uuid::nil(), Uuid::nil());
}

proptest! {
    #[test]
    fn every_key_stays_in_the_folder(text in "[a-z/.%#0-9]{0,80}") {
        if let Some(key) = Key::parse(&text) {
            let path = key.path();
            prop_assert_eq!(path.as_ref(), text.as_str());
            prop_assert_eq!(path.parts().count(), 3);
        }
    }
}
