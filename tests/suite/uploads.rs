//! Files on their way in: `PUT /uploads/{ticket}`, with clients that lie, hang up and come twice.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use minthouse::api::transport::Origins;
use minthouse::platform::media::MediaType;
use minthouse::platform::objects::{Content, Download, Key, Ticket};
use minthouse::platform::vault::{SealingKey, hex, sha256};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use uuid::Uuid;

use crate::support::app::{TestApp, client, text};

const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n";

fn key(object: u128) -> Key {
    Key::new("documents", Uuid::from_u128(7), Uuid::from_u128(object))
}

fn ticket(app: &TestApp, object: u128, max_bytes: u64) -> String {
    ticket_until(app, object, max_bytes, app.app.platform.clock.now() + TimeDelta::minutes(10))
}

fn ticket_until(app: &TestApp, object: u128, max_bytes: u64, expires_at: DateTime<Utc>) -> String {
    app.app.platform.objects.upload_path(&Ticket { key: key(object), max_bytes, sha256: None, expires_at })
}

/// Sends a file and gives the status and the answer.
async fn put(app: &TestApp, path: &str, file: &[u8]) -> (u16, Value) {
    let request = client().put(format!("http://{}{path}", app.address)).body(file.to_vec());
    let request = request.header("accept-language", "en").header("content-type", "text/html");
    let answer = request.send().await.expect("it answers");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    (answer.status().as_u16(), answer.json().await.expect("the answer is JSON"))
}

/// A request that is written by hand.
struct Raw(TcpStream);

impl Raw {
    async fn begin(app: &TestApp, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(app.address).await.expect("it listens");
        let head = format!("PUT {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("it takes the head");
        Self(stream)
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("it takes the bytes");
    }

    /// Sends one chunk of a body of unknown length; an empty one ends it.
    async fn chunk(&mut self, bytes: &[u8]) {
        self.send(&[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()).await;
    }

    async fn status(&mut self) -> u16 {
        let mut answer = Vec::new();
        self.0.read_to_end(&mut answer).await.expect("the answer comes whole");
        let answer = String::from_utf8(answer).expect("the answer is text");
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        status.unwrap_or_else(|| panic!("no answer: {answer}"))
    }
}

/// How many uploads lie half done in the store's folder.
fn under_way(app: &TestApp) -> usize {
    fs::read_dir(app.objects_folder().join("staging")).expect("the folder is there").count()
}

/// Every file in the store's folder, half done or whole.
fn files(app: &TestApp) -> Vec<String> {
    let (mut folders, mut files) = (vec![app.objects_folder()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("it can be read")) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path();
                let below = path.strip_prefix(app.objects_folder()).expect("it is below");
                files.push(below.to_str().expect("names are text").to_owned());
            }
        }
    }
    files
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not yet: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_lets_one_file_in_and_its_bytes_say_what_it_is() {
    let app = TestApp::builder().idle().start().await;
    let path = ticket(&app, 1, 1000);
    assert!(path.starts_with("/uploads/"));
    let (status, answer) = put(&app, &path, PDF).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer, json!({ "size": PDF.len(), "sha256": hex(&sha256(PDF)), "mediaType": "application/pdf" }));
    let objects = &app.app.platform.objects;
    assert_eq!(objects.get(&key(1)).await.unwrap(), Some(Bytes::from_static(PDF)));
    let content = Content { size: PDF.len() as u64, sha256: sha256(PDF), media_type: Some(MediaType::Pdf) };
    assert_eq!(objects.examine(&key(1)).await.unwrap(), Some(content));

    // A second one, smaller, larger or the same, changes nothing.
    for again in [&b"other"[..], PDF, &[0; 1000]] {
        let (status, answer) = put(&app, &path, again).await;
        assert_eq!((status, &answer["code"]), (409, &json!("ALREADY_UPLOADED")));
    }
    assert_eq!(objects.get(&key(1)).await.unwrap(), Some(Bytes::from_static(PDF)));

    let (status, answer) = put(&app, &ticket(&app, 2, 1000), b"<html>").await;
    assert_eq!((status, &answer["mediaType"]), (201, &Value::Null), "its Content-Type is not believed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_for_a_file_that_was_announced_takes_that_file_alone() {
    let app = TestApp::builder().idle().start().await;
    let expires_at = app.app.platform.clock.now() + TimeDelta::minutes(10);
    let ticket = Ticket { key: key(1), max_bytes: PDF.len() as u64, sha256: Some(sha256(PDF)), expires_at };
    let path = app.app.platform.objects.upload_path(&ticket);
    let mut changed = PDF.to_vec();
    changed[20] ^= 1;
    for other in [&changed[..], &PDF[1..]] {
        let (status, answer) = put(&app, &path, other).await;
        assert_eq!((status, &answer["code"]), (422, &json!("UPLOAD_DIFFERS")));
        assert!(text(&answer["message"]).contains("to the same address"), "{answer}");
        assert_eq!(files(&app), Vec::<String>::new(), "nothing of it was kept");
    }
    assert_eq!(put(&app, &path, PDF).await.0, 201, "the address is as good as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_house_did_not_write_is_refused_and_says_what_to_do() {
    let app = TestApp::builder().idle().start().await;
    let now = app.app.platform.clock.now();
    let good = ticket(&app, 1, 1000);
    let (_, token) = good.rsplit_once('/').expect("it has a token");
    let expired = ticket_until(&app, 1, 1000, now - TimeDelta::seconds(1));
    let (status, answer) = put(&app, &expired, PDF).await;
    assert_eq!((status, &answer["code"]), (403, &json!("UPLOAD_ADDRESS_EXPIRED")));
    assert!(text(&answer["message"]).contains("ask for another"), "{answer}");
    assert!(!text(&answer["requestId"]).is_empty());

    let mut forged: Vec<String> = (0..token.len())
        .step_by(7)
        .map(|place| {
            let mut letters = token.as_bytes().to_vec();
            letters[place] = if letters[place] == b'A' { b'B' } else { b'A' };
            format!("/uploads/{}", String::from_utf8(letters).expect("it is ASCII"))
        })
        .collect();
    let elsewhere = "..%2f..%2f..%2fetc%2fpasswd";
    forged.extend([
        "/uploads/x".to_owned(),
        format!("/uploads/{elsewhere}"),
        format!("/uploads/{token}{elsewhere}"),
        format!("/uploads/{token}%00"),
        format!("/uploads/{token}="),
        format!("/uploads/{}", "A".repeat(4000)),
    ]);
    for path in &forged {
        let (status, answer) = put(&app, path, PDF).await;
        assert_eq!((status, &answer["code"]), (403, &json!("INVALID_UPLOAD_ADDRESS")), "{path}");
    }
    // One that another house wrote, for just this file.
    let folder = app.objects_folder().join("other");
    let other = minthouse::platform::objects::Objects::in_folder(&folder, &SealingKey::new([9; 32]), now);
    let ticket = Ticket { key: key(1), max_bytes: 1000, sha256: None, expires_at: now + TimeDelta::minutes(1) };
    let foreign = other.expect("the folder is writable").upload_path(&ticket);
    assert_eq!(put(&app, &foreign, PDF).await.0, 403);
    for (path, method) in [(good.as_str(), "GET"), (good.as_str(), "POST"), (good.as_str(), "DELETE")] {
        let request = client().request(method.parse().expect("a method"), format!("http://{}{path}", app.address));
        assert_eq!(request.send().await.expect("it answers").status().as_u16(), 405, "{method}");
    }
    for path in [format!("{good}/../../x"), format!("{good}/x"), "/uploads".to_owned(), "/uploads/".to_owned()] {
        let status = Raw::begin(&app, &path, "content-length: 0").await.status().await;
        assert_eq!(status, 404, "{path}");
    }
    assert_eq!(files(&app), Vec::<String>::new());

    let chinese = client().put(format!("http://{}{expired}", app.address)).send().await.expect("it answers");
    let chinese: Value = chinese.json().await.expect("the answer is JSON");
    assert!(text(&chinese["message"]).contains("重新申请"), "{chinese}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_larger_than_its_ticket_whatever_its_client_says() {
    let app = TestApp::builder().idle().start().await;
    let limit = 600_000;
    let path = ticket(&app, 1, limit);
    let (status, answer) = put(&app, &path, &vec![1; 600_001]).await;
    assert_eq!((status, &answer["code"]), (413, &json!("PAYLOAD_TOO_LARGE")));
    assert!(text(&answer["message"]).contains("600000"), "{answer}");

    // Without a word of its size: found out on the way.
    let mut endless = Raw::begin(&app, &path, "transfer-encoding: chunked").await;
    for _ in 0..7 {
        endless.chunk(&[2; 100_000]).await;
    }
    endless.chunk(b"").await;
    assert_eq!(endless.status().await, 413);
    assert_eq!(files(&app), Vec::<String>::new());

    // More bytes than were announced are another request, and a bad one.
    let mut more = Raw::begin(&app, &path, "content-length: 5").await;
    more.send(b"12345and more").await;
    assert_eq!(more.status().await, 201);
    assert_eq!(app.app.platform.objects.get(&key(1)).await.unwrap().as_deref(), Some(&b"12345"[..]));

    let (status, _) = put(&app, &ticket(&app, 2, limit), &vec![3; 600_000]).await;
    assert_eq!(status, 201, "as large as allowed is not too large");
    let (status, answer) = put(&app, &ticket(&app, 3, limit), b"").await;
    assert_eq!((status, &answer["code"]), (400, &json!("BAD_REQUEST")), "{answer}");
    assert_eq!(under_way(&app), 0);
    assert_eq!(app.app.platform.objects.head(&key(3)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_half_way_leaves_nothing_and_may_try_again() {
    let app = TestApp::builder().idle().start().await;
    for (object, head) in [(1, "content-length: 1500000"), (2, "transfer-encoding: chunked")] {
        let path = ticket(&app, object, 2_000_000);
        let mut upload = Raw::begin(&app, &path, head).await;
        if head.starts_with("content") {
            upload.send(&[1; 700_000]).await;
        } else {
            upload.chunk(&[1; 700_000]).await;
        }
        until("the upload has begun", || under_way(&app) == 1).await;
        drop(upload);
        until("it is taken back", || under_way(&app) == 0).await;
        assert_eq!(app.app.platform.objects.head(&key(object)).await.unwrap(), None);
        // The place is free a moment after the file is gone.
        let mut status = 409;
        for _ in 0..1000 {
            status = put(&app, &path, PDF).await.0;
            if status != 409 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(status, 201);
    }
    let mut kept = files(&app);
    kept.sort();
    assert_eq!(kept, [key(1).to_string(), key(2).to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_received_once_at_a_time_and_few_of_one_owner() {
    let app = TestApp::builder().idle().start().await;
    let mut uploads = Vec::new();
    for object in 1..=4 {
        let mut upload = Raw::begin(&app, &ticket(&app, object, 2_000_000), "content-length: 1200000").await;
        upload.send(&[b'a'; 600_000]).await;
        uploads.push(upload);
        until("it has begun", || under_way(&app) == uploads.len()).await;
    }
    // One ticket on many connections is one upload; an owner has a few, and others have room.
    let (status, answer) = put(&app, &ticket(&app, 1, 1000), PDF).await;
    assert_eq!((status, &answer["code"]), (409, &json!("UPLOAD_UNDER_WAY")));
    let (status, answer) = put(&app, &ticket(&app, 5, 1000), PDF).await;
    assert_eq!((status, &answer["code"]), (429, &json!("TOO_MANY_UPLOADS")));
    let others = Key::new("documents", Uuid::from_u128(8), Uuid::from_u128(1));
    let expires_at = app.app.platform.clock.now() + TimeDelta::minutes(10);
    let others =
        app.app.platform.objects.upload_path(&Ticket { key: others, max_bytes: 1000, sha256: None, expires_at });
    assert_eq!(put(&app, &others, PDF).await.0, 201);

    for upload in &mut uploads {
        upload.send(&[b'b'; 600_000]).await;
        assert_eq!(upload.status().await, 201);
    }
    let whole = [vec![b'a'; 600_000], vec![b'b'; 600_000]].concat();
    assert_eq!(app.app.platform.objects.get(&key(1)).await.unwrap(), Some(Bytes::from(whole)));
    assert_eq!(put(&app, &ticket(&app, 5, 1000), PDF).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_slow_to_read_keeps_no_whole_object_in_memory() {
    const SIZE: usize = 24 * 1024 * 1024;
    let app = TestApp::builder().idle().start().await;
    let objects = &app.app.platform.objects;
    objects.put(&key(1), Bytes::from(vec![b'a'; SIZE])).await.expect("it is kept");
    let expires_at = app.app.platform.clock.now() + TimeDelta::minutes(10);
    let path = objects.download_path(&Download { key: key(1), media_type: MediaType::Pdf, expires_at });

    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 * 1024).expect("a small window");
    let mut stream = socket.connect(app.address).await.expect("it listens");
    let head = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it takes the head");
    let mut answer = vec![0; 4096];
    stream.read_exact(&mut answer).await.expect("it begins to answer");

    // Nobody changes an object but a test that wants to know whether its end has been read.
    let mut file = fs::OpenOptions::new().write(true).open(app.objects_folder().join(key(1).to_string())).expect("it");
    file.seek(SeekFrom::End(-1)).expect("its end");
    file.write_all(b"z").expect("it is ours");
    stream.read_to_end(&mut answer).await.expect("the answer comes whole");
    let begin = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&answer[..begin]).to_lowercase();
    assert!(head.contains(&format!("content-length: {SIZE}\r\n")), "{head}");
    assert_eq!(answer.len() - begin, SIZE);
    assert_eq!(answer.last(), Some(&b'z'), "the end was not read before its turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_allowed_origins_may_upload() {
    let listed = Origins::Listed(vec!["https://console.example".to_owned()]);
    let app = TestApp::builder().idle().origins(listed).start().await;
    let url = format!("http://{}{}", app.address, ticket(&app, 1, 1000));
    for (origin, allowed) in [("https://console.example", true), ("https://evil.example", false)] {
        let preflight = client().request("OPTIONS".parse().expect("a method"), &url);
        let preflight = preflight.header("origin", origin).header("access-control-request-method", "PUT");
        let answer =
            preflight.header("access-control-request-headers", "content-type").send().await.expect("an answer");
        let named = answer.headers().get("access-control-allow-origin").is_some_and(|named| named == origin);
        assert_eq!(named, allowed, "{origin}");
        if allowed {
            let methods = answer.headers()["access-control-allow-methods"].to_str().expect("it is text");
            assert!(methods.contains("PUT"), "{methods}");
        }
    }
    let answer =
        client().put(&url).header("origin", "https://console.example").body(PDF).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 201);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://console.example");
}
