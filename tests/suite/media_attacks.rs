//! Files that lie, claim, break off and hide, and clients that come with them.

use image::ImageFormat;
use minthouse::platform::vault::{hex, sha256};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::app::{TestApp, client, text};
use crate::support::media::{ANNOUNCE, COMPLETE, DESIGN, Gallery, Store, announcement, design_of, picture, png};

/// A PNG whose header claims this many pixels, with its checksum right.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(1);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = !bytes[12..29].iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 })
    });
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

async fn refused(app: &TestApp, token: &str, content_type: &str, bytes: &[u8]) -> Vec<String> {
    let (id, _) = app.send_media(token, content_type, bytes).await;
    app.refused(token, COMPLETE, json!({ "id": id })).await
}

#[rstest]
#[case(Store::Folder)]
#[case(Store::DirectBucket)]
#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_are_refused_and_nothing_of_them_stays(#[case] store: Store) {
    let gallery = Gallery::open(store).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let whole = png(1);
    let jpeg = picture(40, 30, 1, ImageFormat::Jpeg);
    let html = b"<html><script>alert(1)</script></html>".to_vec();
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>".to_vec();
    let hostile: Vec<(&str, &str, Vec<u8>, &str)> = vec![
        ("a page under a picture's type", "image/png", html.clone(), "UNSUPPORTED_TYPE"),
        ("a vector picture with a script", "image/png", svg, "UNSUPPORTED_TYPE"),
        ("a document", "image/png", b"%PDF-1.7\n%%EOF\n".to_vec(), "UNSUPPORTED_TYPE"),
        ("a picture of another kind", "image/jpeg", whole.clone(), "TYPE_DIFFERS"),
        ("a film that is a picture", "video/mp4", jpeg.clone(), "TYPE_DIFFERS"),
        ("a page behind a picture", "image/png", [&whole[..], &html].concat(), "DAMAGED"),
        ("an archive behind a picture", "image/jpeg", [&jpeg[..], b"PK\x05\x06", &[0; 18]].concat(), "DAMAGED"),
        ("a page behind a GIF", "image/gif", [&picture(9, 9, 1, ImageFormat::Gif)[..], &html].concat(), "DAMAGED"),
        ("a picture cut off", "image/png", whole[..whole.len() - 5].to_vec(), "DAMAGED"),
        ("the first bytes of one", "image/png", whole[..20].to_vec(), "DAMAGED"),
        ("a JPEG cut off", "image/jpeg", jpeg[..jpeg.len() / 2].to_vec(), "DAMAGED"),
        ("a film without its contents", "video/mp4", b"\0\0\0\x14ftypisom\0\0\0\0isom".to_vec(), "DAMAGED"),
        ("a model that claims more", "model/gltf-binary", b"glTF\x02\0\0\0\xff\xff\xff\xff".to_vec(), "DAMAGED"),
        ("3,600 million pixels in a few bytes", "image/png", claiming(60_000, 60_000), "TOO_MANY_PIXELS"),
        ("a line of a picture", "image/png", claiming(20_000, 1), "TOO_MANY_PIXELS"),
        ("no pixels", "image/png", claiming(0, 0), "DAMAGED"),
    ];
    for (what, content_type, bytes, code) in &hostile {
        assert_eq!(refused(app, &owner, content_type, bytes).await, [*code], "{what}");
    }
    assert_eq!((gallery.count("incoming"), gallery.count("media"), gallery.count("staging")), (0, 0, 0));
    assert_eq!(app.count("SELECT count(*)::text FROM media WHERE state <> 'AWAITED'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decoded_is_blocked_and_harms_nobody_else() {
    let gallery = Gallery::open(Store::Folder).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    // Whole by its chunks; what is in them is no compressed picture. And one that claims more than its bytes fill.
    let mut broken = png(1);
    let content = broken.windows(4).position(|name| name == b"IDAT").expect("it has content") + 8;
    broken[content..content + 8].fill(0xff);
    let claims = claiming(8_000, 5_000);
    let sound = app.medium(&owner, "image/png", &png(2)).await;
    for bytes in [broken, claims] {
        let id = app.medium(&owner, "image/png", &bytes).await;
        let seen = app.look(&owner, &id).await;
        assert_eq!((&seen["moderation"], &seen["thumbnail"]), (&json!("BLOCK"), &Value::Null));
        assert!(text(&seen["moderationRemark"]).contains("cannot be decoded"));
    }
    assert_eq!(app.look(&owner, &sound).await["moderation"], "PASS");
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_are_held_to_the_rules() {
    let gallery = Gallery::open(Store::Folder).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let sound = json!({ "fileName": "a.png", "contentType": "image/png", "size": 10, "sha256": "00".repeat(32) });
    let cases = [
        ("fileName", json!(""), "INVALID_INPUT"),
        ("fileName", json!("../../etc/passwd"), "INVALID_INPUT"),
        ("fileName", json!("..\\a.png"), "INVALID_INPUT"),
        ("fileName", json!("a\u{0}.png"), "INVALID_INPUT"),
        ("fileName", json!("gnp\u{202e}exe.png"), "INVALID_INPUT"),
        ("fileName", json!("a".repeat(121)), "INVALID_INPUT"),
        ("contentType", json!("image/svg+xml"), "UNSUPPORTED_TYPE"),
        ("contentType", json!("text/html"), "UNSUPPORTED_TYPE"),
        ("contentType", json!("application/pdf"), "UNSUPPORTED_TYPE"),
        ("size", json!(0), "INVALID_INPUT"),
        ("size", json!(20 * 1024 * 1024 + 1), "INVALID_INPUT"),
        ("sha256", json!("12"), "INVALID_INPUT"),
    ];
    for (field, value, code) in cases {
        let mut input = sound.clone();
        input[field] = value;
        let answer = app.ok(Some(&owner), ANNOUNCE, json!({ "input": input })).await;
        let errors = &answer["mediaUploadCreate"]["userErrors"];
        assert_eq!(errors, &json!([{ "code": code, "field": field }]), "{input}");
    }
    app.done(&owner, ANNOUNCE, json!({ "input": sound })).await;

    // An upload that is begun and begun again fills nothing, and in a day there is room again.
    app.sql("INSERT INTO media (tenant_id, id, file_name, media_type, size)
        SELECT tenant_id, gen_random_uuid(), 'x', 'image/png', 1 FROM enterprises, generate_series(1, 99) WHERE slug = 'alpha'");
    assert_eq!(app.refused(&owner, ANNOUNCE, json!({ "input": sound })).await, ["TOO_MANY"]);
    app.sql("UPDATE media SET created_at = now() - interval '25 hours'");
    app.done(&owner, ANNOUNCE, json!({ "input": sound })).await;
    assert_eq!(app.count("SELECT count(*)::text FROM media"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_completed_within_a_day_and_then_taken_away() {
    let gallery = Gallery::open(Store::Folder).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let (late, _) = app.send_media(&owner, "image/png", &png(1)).await;
    app.sql("UPDATE media SET created_at = now() - interval '24 hours 1 minute' RETURNING 1");
    assert_eq!(app.refused(&owner, COMPLETE, json!({ "id": late })).await, ["MEDIA_NOT_FOUND"]);
    assert_eq!(gallery.count("incoming"), 1);
    app.sql("UPDATE media SET created_at = now() - interval '25 hours 1 minute' RETURNING 1");
    app.done(&owner, ANNOUNCE, announcement("image/png", &png(2))).await;
    assert_eq!((gallery.count("incoming"), app.count("SELECT count(*)::text FROM media")), (0, 1));
}

#[rstest]
#[case(Store::Folder)]
#[case(Store::Bucket)]
#[case(Store::DirectBucket)]
#[tokio::test(flavor = "multi_thread")]
async fn another_size_or_hash_than_announced_is_refused_and_may_be_put_right(#[case] store: Store) {
    let gallery = Gallery::open(store).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let right = png(1);
    let mut wrong = right.clone();
    wrong[45] ^= 1; // only the hash tells them apart
    let mut input = announcement("image/png", &right);
    input["input"]["sha256"] = json!(hex(&sha256(&right)));
    let announced = app.done(&owner, ANNOUNCE, input).await;
    let (id, address) = (text(&announced["media"]["id"]), text(&announced["upload"]["path"]));

    // More than was announced does not even get in.
    assert!(app.put_to(&address, &[&right[..], b"more"].concat()).await >= 400);
    assert_eq!(app.refused(&owner, COMPLETE, json!({ "id": id })).await, ["NOT_UPLOADED"]);
    assert!(app.put_to(&address, &wrong).await < 300);
    assert_eq!(app.refused(&owner, COMPLETE, json!({ "id": id })).await, ["UPLOAD_DIFFERS"]);
    assert!(app.put_to(&address, &right).await < 300, "the address is free for the right one");
    app.done(&owner, COMPLETE, json!({ "id": id })).await;

    let short = app.done(&owner, ANNOUNCE, announcement("image/png", &right)).await;
    let status = app.put_to(&text(&short["upload"]["path"]), &right[..right.len() - 1]).await;
    let code = app.refused(&owner, COMPLETE, json!({ "id": short["media"]["id"] })).await;
    // A bucket that was told the length takes no other; through us a shorter file is found out when it is looked at.
    let expected = if store == Store::DirectBucket { (true, "NOT_UPLOADED") } else { (false, "UPLOAD_DIFFERS") };
    assert_eq!((status >= 400, code), (expected.0, vec![expected.1.to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_the_bucket_is_good_for_one_file_and_one_verb() {
    let gallery = Gallery::open(Store::DirectBucket).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let bytes = png(1);
    let announced = app.done(&owner, ANNOUNCE, announcement("image/png", &bytes)).await;
    let address = text(&announced["upload"]["path"]);
    let id = text(&announced["media"]["id"]);
    let other = app.done(&owner, ANNOUNCE, announcement("image/png", &bytes)).await;
    let path = |address: &str| address.parse::<reqwest::Url>().expect("an address").path().to_owned();
    let (ours, theirs) = (path(&address), path(&text(&other["upload"]["path"])));
    let forged = [address.replace(&ours, &theirs), address.replace(&ours, &ours.replace("incoming", "media"))];
    for address in forged {
        assert_eq!(app.put_to(&address, &bytes).await, 403, "{address}");
    }
    let unsigned = address.split('?').next().expect("a path").to_owned();
    assert_eq!(app.put_to(&unsigned, &bytes).await, 403);
    for verb in [reqwest::Method::GET, reqwest::Method::DELETE] {
        let answer = client().request(verb, &address).send().await.expect("it answers");
        assert_eq!(answer.status().as_u16(), 403);
    }
    assert_eq!(gallery.count("incoming"), 0);
    assert_eq!(app.put_to(&address, &bytes).await, 200);
    app.done(&owner, COMPLETE, json!({ "id": id })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_uses_or_sees_anothers_media() {
    let gallery = Gallery::open(Store::Folder).await;
    let app = &gallery.app;
    let (owner, rival) = (app.owner("alpha").await, app.owner("beta").await);
    let theirs = app.medium(&owner, "image/png", &png(1)).await;
    let (series, _) = app.design(&rival, json!({})).await;
    for field in ["mediaId", "coverId"] {
        let mut input = design_of(&series, &json!({}));
        input[field] = json!(theirs);
        let answer = app.ok(Some(&rival), DESIGN, json!({ "input": input })).await;
        let errors = &answer["collectibleCreate"]["userErrors"];
        assert_eq!(errors, &json!([{ "code": "MEDIA_NOT_FOUND", "field": field }]));
    }
    assert_eq!(app.refused(&rival, COMPLETE, json!({ "id": theirs })).await, ["MEDIA_NOT_FOUND"]);
    let document = app.document(&owner, b"%PDF-1.7\nproof\n%%EOF\n").await;
    let mut input = design_of(&series, &json!({}));
    input["copyrightProofId"] = json!(document);
    assert_eq!(app.refused(&rival, DESIGN, json!({ "input": input })).await, ["DOCUMENT_NOT_FOUND"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_no_cover_and_what_is_not_there_is_no_work() {
    let gallery = Gallery::open(Store::Folder).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let film = b"\0\0\0\x14ftypisom\0\0\0\0isom\0\0\0\x0cmoovabcd\0\0\0\x0cmdatabcd".to_vec();
    let film = app.medium(&owner, "video/mp4", &film).await;
    assert_eq!(app.look(&owner, &film).await["thumbnail"], Value::Null);
    let (series, _) = app.design(&owner, json!({ "media": film })).await;
    let announced = app.done(&owner, ANNOUNCE, announcement("image/png", &png(1))).await;
    let cases = [
        ("coverId", json!(film), "INVALID_INPUT"),
        ("mediaId", announced["media"]["id"].clone(), "MEDIA_NOT_UPLOADED"),
    ];
    for (field, value, code) in cases {
        let mut input = design_of(&series, &json!({}));
        input[field] = value;
        assert_eq!(app.refused(&owner, DESIGN, json!({ "input": input })).await, [code]);
    }
}
