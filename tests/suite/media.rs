//! Media on their way in and out, over a folder and over a bucket alike.

use std::fs;
use std::sync::Arc;

use image::ImageFormat;
use minthouse::catalog::media::examine::sm3;
use minthouse::commands::media_services;
use minthouse::platform::config::Config;
use minthouse::platform::vault::{hex, sha256};
use minthouse::tenancy::permission::Role;
use minthouse::tenancy::worker::Job;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::app::{TestApp, client, text};
use crate::support::media::{
    ANNOUNCE, COMPLETE, DELETE, DESIGN, Gallery, HAND_IN, LOOK, NEW_SERIES, Store, announcement, design_of, picture,
    png, words,
};
use crate::support::play::ISSUE;

const MODERATE: &str = "mutation($enterprise: ID!, $id: ID!, $verdict: Verdict!, $reason: String!) {
    mediaModerate(input: {enterpriseId: $enterprise, id: $id, verdict: $verdict, reason: $reason}) {
        media { moderation moderationRemark isPublic file { path } } userErrors { code field } } }";

#[rstest]
#[case(Store::Folder)]
#[case(Store::Bucket)]
#[case(Store::DirectBucket)]
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_comes_in_is_looked_at_and_goes_again(#[case] store: Store) {
    let gallery = Gallery::open(store).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let bytes = picture(1200, 300, 1, ImageFormat::Png);

    let announced = app.done(&owner, ANNOUNCE, announcement("image/png", &bytes)).await;
    let (id, address) = (text(&announced["media"]["id"]), text(&announced["upload"]["path"]));
    assert_eq!(address.starts_with('/'), store != Store::DirectBucket, "one contract: an address to resolve");
    assert_eq!(app.refused(&owner, COMPLETE, json!({ "id": id })).await, ["NOT_UPLOADED"]);
    assert!(app.put_to(&address, &bytes).await < 300);
    let kept = app.done(&owner, COMPLETE, json!({ "id": id })).await["media"].clone();
    let expected = json!({ "id": id, "state": "STORED", "contentType": "image/png", "size": bytes.len(),
        "sha256": hex(&sha256(&bytes)), "sm3": hex(&sm3(&bytes)), "width": 1200, "height": 300, "moderation": "PENDING" });
    assert_eq!(kept, expected);
    assert_eq!(app.done(&owner, COMPLETE, json!({ "id": id })).await["media"], expected, "once more changes nothing");
    assert_eq!((gallery.count("incoming"), gallery.count("media"), gallery.count("staging")), (0, 1, 0));

    app.settle().await;
    let seen = app.look(&owner, &id).await;
    assert_eq!((&seen["moderation"], &seen["isPublic"]), (&json!("PASS"), &json!(false)));
    assert!(seen["file"]["expiresAt"].is_string(), "what is not public has an address that ends");
    let file = app.get(&text(&seen["file"]["path"])).await;
    assert_eq!(file.headers()["content-type"], "image/png");
    assert_eq!(file.headers()["cache-control"], "private, no-store");
    assert_eq!(file.bytes().await.expect("it comes whole"), bytes);
    let small = app.get(&text(&seen["thumbnail"]["path"])).await;
    assert_eq!(small.headers()["content-type"], "image/jpeg");
    let small = image::load_from_memory(&small.bytes().await.expect("it comes whole")).expect("a picture");
    assert_eq!((small.width(), small.height()), (512, 128));
    let public = format!("/media/{}/{}", app.enterprise("alpha").await, hex(&sha256(&bytes)));
    assert_eq!(app.get(&public).await.status().as_u16(), 404, "it belongs to nothing that was approved");

    // What came in is out of reach of whoever brought it.
    app.put_to(&address, &vec![0; bytes.len()]).await;
    assert_eq!(app.done(&owner, COMPLETE, json!({ "id": id })).await["media"]["sm3"], expected["sm3"]);
    assert_eq!(app.get(&text(&seen["file"]["path"])).await.bytes().await.expect("it comes whole"), bytes);

    assert_eq!(app.done(&owner, DELETE, json!({ "id": id })).await["deletedId"], json!(id));
    assert_eq!(app.get(&text(&seen["file"]["path"])).await.status().as_u16(), 404);
    assert_eq!((gallery.count("incoming"), gallery.count("media"), gallery.count("thumbnail")), (0, 0, 0));
    assert_eq!(app.refused(&owner, DELETE, json!({ "id": id })).await, ["MEDIA_NOT_FOUND"]);
}

#[rstest]
#[case(Store::Folder)]
#[case(Store::Bucket)]
#[case(Store::DirectBucket)]
#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_are_one_medium_of_an_enterprise_and_two_of_two(#[case] store: Store) {
    let gallery = Gallery::open(store).await;
    let app = &gallery.app;
    let (owner, rival) = (app.owner("alpha").await, app.owner("beta").await);
    let first = app.medium(&owner, "image/png", &png(1)).await;
    let (again, _) = app.send_media(&owner, "image/png", &png(1)).await;
    for _ in 0..2 {
        let kept = app.done(&owner, COMPLETE, json!({ "id": again })).await;
        assert_eq!((&kept["media"]["id"], &kept["media"]["moderation"]), (&json!(first), &json!("PASS")));
    }
    assert_eq!(gallery.count("media"), 1);
    assert_eq!(app.look(&owner, &again).await["state"], "SAME");

    // The other has the same file, and each goes its own way.
    let theirs = app.medium(&rival, "image/png", &png(1)).await;
    assert_ne!(theirs, first);
    assert_eq!(gallery.count("media"), 2);
    assert_eq!(app.look(&rival, &first).await, Value::Null);
    app.done(&rival, DELETE, json!({ "id": theirs })).await;
    assert_eq!(app.look(&owner, &first).await["state"], "STORED");
    assert_eq!(gallery.count("media"), 1);

    // Two at once.
    let (one, two) =
        (app.send_media(&owner, "image/png", &png(2)).await.0, app.send_media(&owner, "image/png", &png(2)).await.0);
    let (one, two) = tokio::join!(
        app.done(&owner, COMPLETE, json!({ "id": one })),
        app.done(&owner, COMPLETE, json!({ "id": two }))
    );
    assert_eq!(one["media"]["id"], two["media"]["id"]);
    assert_eq!(app.count("SELECT count(*)::text FROM media WHERE state = 'STORED'"), 2);
    assert_eq!((gallery.count("incoming"), gallery.count("media")), (0, 2));
}

/// A collectible of `alpha` whose work and cover everybody may see: the work's path.
async fn exhibited(app: &TestApp, owner: &str, bytes: &[u8]) -> (String, String) {
    let work = app.medium(owner, "image/png", bytes).await;
    let (_, id) = app.design(owner, json!({ "media": work, "cover": work, "seriesCover": work })).await;
    app.approved(owner, &id).await;
    let seen = app.look(owner, &work).await;
    assert_eq!((&seen["isPublic"], &seen["file"]["expiresAt"]), (&json!(true), &Value::Null));
    (work, text(&seen["file"]["path"]))
}

async fn ask(app: &TestApp, method: Method, path: &str, headers: &[(&str, String)]) -> (u16, reqwest::Response) {
    let mut request = client().request(method, format!("http://{}{path}", app.address));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let answer = request.send().await.expect("it answers");
    (answer.status().as_u16(), answer)
}

#[rstest]
#[case(Store::Folder)]
#[case(Store::Bucket)]
#[tokio::test(flavor = "multi_thread")]
async fn public_media_are_served_whole_and_in_parts(#[case] store: Store) {
    let gallery = Gallery::open(store).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let bytes = png(1);
    let (_, path) = exhibited(app, &owner, &bytes).await;
    let size = bytes.len();

    let (status, whole) = ask(app, Method::GET, &path, &[]).await;
    let about = whole.headers().clone();
    assert_eq!((status, whole.bytes().await.expect("it comes whole")), (200, bytes.clone().into()));
    let tag = about["etag"].to_str().expect("text").to_owned();
    assert_eq!(tag, format!("\"{}\"", hex(&sha256(&bytes))));
    for (name, value) in [
        ("content-type", "image/png"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ("cross-origin-resource-policy", "cross-origin"),
    ] {
        assert_eq!(about[name], value, "{name}");
    }
    let shown = about["content-disposition"].to_str().expect("text");
    assert!(shown.starts_with("inline; filename=\"") && shown.ends_with(".png\""), "{shown}");

    let (status, head) = ask(app, Method::HEAD, &path, &[]).await;
    assert_eq!((status, &head.headers()["content-length"]), (200, &about["content-length"]));
    assert!(head.bytes().await.expect("nothing").is_empty());

    let last = size - 1;
    let part = |first: usize, last: usize| Some((first, last));
    let cases = [
        ("bytes=0-0", None, 206, part(0, 0)),
        ("bytes=10-19", None, 206, part(10, 19)),
        ("bytes=10-", None, 206, part(10, last)),
        ("bytes=-7", None, 206, part(size - 7, last)),
        ("bytes=0-1000000", None, 206, part(0, last)),
        ("bytes=10-19", Some(tag.as_str()), 206, part(10, 19)),
        ("bytes=10-19", Some("\"other\""), 200, None),
        ("bytes=0-1,3-4", None, 200, None),
        ("bytes=1000000-", None, 416, None),
    ];
    for (range, if_range, expected, part) in cases {
        let mut headers = vec![("range", range.to_owned())];
        headers.extend(if_range.map(|tag| ("if-range", tag.to_owned())));
        let (status, answer) = ask(app, Method::GET, &path, &headers).await;
        assert_eq!(status, expected, "{range} {if_range:?}");
        let said = answer.headers().get("content-range").map(|said| said.to_str().expect("text").to_owned());
        let got = answer.bytes().await.expect("it comes whole");
        match (status, part) {
            (206, Some((first, last))) => {
                assert_eq!(said, Some(format!("bytes {first}-{last}/{size}")));
                assert_eq!(got, bytes[first..=last], "{range}");
            }
            (416, _) => assert_eq!(said, Some(format!("bytes */{size}"))),
            _ => assert_eq!((said, got.len()), (None, size)),
        }
    }
    let (status, same) = ask(app, Method::GET, &path, &[("if-none-match", tag.clone())]).await;
    assert_eq!((status, &same.headers()["etag"]), (304, &about["etag"]));
    assert!(same.bytes().await.expect("nothing").is_empty());

    let (status, small) = ask(app, Method::GET, &format!("{path}/thumbnail"), &[]).await;
    assert_eq!(status, 200);
    assert_eq!(small.headers()["content-type"], "image/jpeg");
    assert_ne!(small.headers()["etag"], about["etag"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_to_anything_else() {
    let gallery = Gallery::open(Store::Folder).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let (id, path) = exhibited(app, &owner, &png(1)).await;
    let hidden = app.medium(&owner, "image/png", &png(2)).await;
    let hidden = text(&app.look(&owner, &hidden).await["sha256"]);
    let (alpha, beta) = (app.enterprise("alpha").await, app.enterprise("beta").await);
    let hash = path.rsplit('/').next().expect("a hash");
    let refused = [
        format!("/media/{beta}/{hash}"),
        format!("/media/{alpha}/{hidden}"),
        format!("/media/{alpha}/{}", "0".repeat(64)),
        format!("/media/{alpha}/{}", hash.to_uppercase()),
        format!("/media/{alpha}/{id}"),
        format!("/media/{}/{hash}", alpha.uuid()),
        format!("/media/alpha/{hash}"),
        format!("/media/{alpha}"),
        format!("/media/{alpha}/"),
        "/media".to_owned(),
        "/media/".to_owned(),
        format!("/media/{alpha}/..%2f..%2fsecrets.json"),
        format!("/media/..%2f..%2f{alpha}/{hash}"),
        format!("/media/{alpha}/%2e%2e/{hash}"),
        format!("{path}/thumbnail/more"),
        format!("{path}%00"),
    ];
    let mut bodies = Vec::new();
    for path in refused {
        let (status, answer) = ask(app, Method::GET, &path, &[]).await;
        assert_eq!(status, 404, "{path}");
        let mut body: Value = answer.json().await.unwrap_or_default();
        if let Some(body) = body.as_object_mut() {
            body.remove("requestId");
            bodies.push(Value::from(body.clone()));
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "the foreign, the hidden and the unknown look alike: {bodies:?}");
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        assert_eq!(ask(app, method, &path, &[]).await.0, 405);
    }
    assert_eq!(ask(app, Method::GET, &path, &[]).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moderation_is_unsure_of_waits_for_the_house() {
    let gallery = Gallery::open_with(Store::Folder, TestApp::builder().idle(), true).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let house = app.house(Role::Owner).await;
    let (good, bad) = (app.medium(&owner, "image/png", &png(1)).await, app.medium(&owner, "image/png", &png(2)).await);
    let query = "{ reviews(filter: {state: PENDING}) { totalCount nodes { subjectKind media { id file { path } }
        subject { __typename ... on Media { id moderation } } } } }";
    let queue = app.ok(Some(&house), query, json!({})).await["reviews"].take();
    assert_eq!(queue["totalCount"], 2, "once each, however often the job turns");
    let first = &queue["nodes"][0];
    assert_eq!((&first["subjectKind"], &first["subject"]["id"]), (&json!("MEDIA"), &json!(good)));
    assert_eq!(first["subject"]["moderation"], "REVIEW");
    let shown = app.get(&text(&first["media"][0]["file"]["path"])).await;
    assert_eq!(shown.bytes().await.expect("it comes whole"), png(1), "the house sees what it decides on");

    let (_, id) = app.design(&owner, json!({ "media": good, "cover": bad })).await;
    assert_eq!(app.refused(&owner, HAND_IN, json!({ "id": id })).await, ["MEDIA_NOT_PASSED"]);
    assert_eq!(app.decide_first("APPROVE", None).await, Vec::<String>::new());
    assert_eq!(app.decide_first("REJECT", None).await, ["REMARK_REQUIRED"]);
    assert_eq!(app.decide_first("REJECT", Some("a brand of somebody else's")).await, Vec::<String>::new());
    let blocked = app.look(&owner, &bad).await;
    assert_eq!((&blocked["moderation"], &blocked["file"]), (&json!("BLOCK"), &Value::Null));
    assert_eq!(blocked["moderationRemark"], "a brand of somebody else's");
    assert_eq!(app.look(&owner, &good).await["moderation"], "PASS");
    assert_eq!(app.refused(&owner, HAND_IN, json!({ "id": id })).await, ["MEDIA_BLOCKED"]);
    let (series, _) = app.design(&owner, json!({ "media": good })).await;
    let input = design_of(&series, &json!({ "media": bad }));
    assert_eq!(app.refused(&owner, DESIGN, json!({ "input": input })).await, ["MEDIA_BLOCKED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_house_takes_out_of_sight_what_had_passed() {
    let gallery = Gallery::open(Store::Folder).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let house = app.house(Role::Owner).await;
    let alpha = app.enterprise("alpha").await.to_string();
    let (id, path) = exhibited(app, &owner, &png(1)).await;
    let word =
        |verdict: &str, reason: &str| json!({ "enterprise": alpha, "id": id, "verdict": verdict, "reason": reason });
    assert_eq!(app.refused(&house, MODERATE, word("REJECT", " ")).await, ["REASON_REQUIRED"]);
    assert_eq!(app.refused(&house, MODERATE, word("APPROVE", "why not")).await, ["WRONG_STATE"]);
    let blocked = app.done(&house, MODERATE, word("REJECT", "a court's order")).await;
    assert_eq!((&blocked["media"]["moderation"], &blocked["media"]["isPublic"]), (&json!("BLOCK"), &json!(false)));
    assert!(blocked["media"]["file"]["path"].as_str().is_some_and(|path| path.starts_with("/downloads/")));
    for path in [path.clone(), format!("{path}/thumbnail")] {
        assert_eq!(app.get(&path).await.status().as_u16(), 404);
    }
    let beta = json!({ "enterprise": app.enterprise("beta").await, "id": id, "verdict": "APPROVE", "reason": "r" });
    assert_eq!(app.refused(&house, MODERATE, beta).await, ["MEDIA_NOT_FOUND"]);
    app.done(&house, MODERATE, word("APPROVE", "the order was lifted")).await;
    assert_eq!(app.get(&path).await.status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_freezes_the_works_hash_and_shows_it_to_holders() {
    let gallery = Gallery::open(Store::Folder).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let work = app.medium(&owner, "image/png", &png(1)).await;
    let (_, id) = app.design(&owner, json!({ "media": work })).await;
    let query = "query($id: ID!) { collectible(id: $id) { state mediaSm3 media { id sm3 } } }";
    let before = app.ok(Some(&owner), query, json!({ "id": id })).await["collectible"].take();
    assert_eq!(before["mediaSm3"], Value::Null);
    app.done(&owner, HAND_IN, json!({ "id": id })).await;

    // Blocked while the house looks at the design: it can only be rejected.
    app.sql("UPDATE media SET moderation = 'BLOCK'");
    assert_eq!(app.decide_first("APPROVE", None).await, ["MEDIA_NOT_PASSED"]);
    app.sql("UPDATE media SET moderation = 'PASS'");
    app.approve(&id).await;
    let after = app.ok(Some(&owner), query, json!({ "id": id })).await["collectible"].take();
    assert_eq!((&after["state"], &after["mediaSm3"]), (&json!("APPROVED"), &json!(hex(&sm3(&png(1))))));
    assert_eq!(app.refused(&owner, DELETE, json!({ "id": work })).await, ["IN_USE"]);

    // A holder sees what belongs to what is issued, and of no draft anything.
    let person = app.person("alpha", 1).await;
    app.sql(&format!("UPDATE collectibles SET state = 'ISSUED', issued_count = supply WHERE id = '{}'", uuid_of(&id)));
    let seen = app.ok(Some(&person.token), query, json!({ "id": id })).await["collectible"].take();
    assert_eq!(seen["media"]["id"], json!(work));
    let hidden = app.medium(&owner, "image/png", &png(2)).await;
    let cover = json!({ "input": { "name": words("另", "Other"), "description": words("", ""), "coverId": hidden } });
    let other = text(&app.done(&owner, NEW_SERIES, cover).await["series"]["id"]);
    let query = "query($id: ID!) { series(id: $id) { cover { id } } }";
    let covers = |token: &str| {
        let (token, other) = (token.to_owned(), other.clone());
        async move { app.ok(Some(&token), query, json!({ "id": other })).await["series"]["cover"].take() }
    };
    assert_eq!(covers(&person.token).await, Value::Null);
    assert_eq!(covers(&owner).await["id"], json!(hidden));
    let look = app.send(Some(&person.token), LOOK, json!({ "id": hidden })).await;
    assert_eq!(look["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

fn uuid_of(id: &str) -> uuid::Uuid {
    minthouse::platform::id::parse(id).expect("an ID").1
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_blocked_after_its_approval_is_not_issued() {
    let gallery = Gallery::open(Store::Folder).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let (house, enterprise) = (app.house(Role::Owner).await, app.enterprise("alpha").await.to_string());
    let work = app.medium(&owner, "image/png", &png(9)).await;
    let (_, design) = app.design(&owner, json!({ "media": work })).await;
    app.approved(&owner, &design).await;
    let block = json!({ "enterprise": enterprise, "id": work, "verdict": "REJECT", "reason": "a court says so" });
    app.done(&house, MODERATE, block).await;
    let issue = |key: &str| json!({ "id": design, "key": key });
    assert_eq!(app.refused(&owner, ISSUE, issue("a")).await, ["MEDIA_BLOCKED"]);
    let allow = json!({ "enterprise": enterprise, "id": work, "verdict": "APPROVE", "reason": "and another says not" });
    app.done(&house, MODERATE, allow).await;
    app.done(&owner, ISSUE, issue("a")).await;
    app.settle().await;
    let seen =
        app.ok(Some(&owner), "query($id: ID!) { collectible(id: $id) { state } }", json!({ "id": design })).await;
    assert_eq!(seen["collectible"]["state"], "ISSUED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_looked_at_holds_up_no_other_and_may_come_again() {
    let gallery = Gallery::open(Store::Folder).await;
    let (app, owner) = (&gallery.app, gallery.app.owner("alpha").await);
    let mut ids = Vec::new();
    for seed in 1..=3 {
        let (id, _) = app.send_media(&owner, "image/png", &png(seed)).await;
        ids.push(text(&app.done(&owner, COMPLETE, json!({ "id": id })).await["media"]["id"]));
        if seed == 1 {
            fs::remove_dir_all(app.objects_folder().join("media")).expect("the store is ours");
        }
    }
    let moderation = async |id: &str| text(&app.look(&owner, id).await["moderation"]);
    let job = minthouse::catalog::media::job::MediaJob {
        platform: app.app.platform.clone(),
        services: Arc::new(media_services(&Config { development: true, ..Config::default() })),
    };
    let (tenant, other) = (app.enterprise("alpha").await, "UPDATE media SET due_at = now() - interval '1 hour'");
    for _ in 0..3 {
        job.work(tenant).await.expect("trouble with one file is no trouble of the job");
        app.sql(other);
    }
    assert_eq!(moderation(&ids[0]).await, "PENDING", "nothing is said of what nobody has seen");
    assert_eq!((moderation(&ids[1]).await, moderation(&ids[2]).await), ("PASS".into(), "PASS".into()));

    // The same bytes again are that medium, and it has them back.
    let (again, _) = app.send_media(&owner, "image/png", &png(1)).await;
    assert_eq!(app.done(&owner, COMPLETE, json!({ "id": again })).await["media"]["id"], json!(ids[0]));
    job.work(tenant).await.expect("the turn ends well");
    assert_eq!(moderation(&ids[0]).await, "PASS");
    assert_eq!(gallery.count("media"), 3, "and no copy is left");
}

#[rstest]
#[case(Store::Folder)]
#[case(Store::Bucket)]
#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_asked_whether_it_keeps_what_it_has(#[case] store: Store) {
    let gallery = Gallery::open(store).await;
    gallery.app.app.platform.objects.probe().await.expect("it does");
    assert_eq!(gallery.count("staging"), 0, "nothing is left of the question");
}
