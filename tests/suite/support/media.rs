//! Files for the catalogue, and the moves that bring them in.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use minthouse::tenancy::permission::Role;
use serde_json::{Value, json};

use super::app::{Builder, Media, TestApp, client, text};
use super::bucket::{BucketServer, files_below};
use super::play::DECIDE;

pub const ANNOUNCE: &str = "mutation($input: MediaUploadCreateInput!) {
    mediaUploadCreate(input: $input) { media { id state } upload { path expiresAt } userErrors { code field } } }";
pub const COMPLETE: &str = "mutation($id: ID!) { mediaUploadComplete(input: {id: $id}) {
    media { id state contentType size sha256 sm3 width height moderation } userErrors { code field } } }";
pub const LOOK: &str = "query($id: ID!) { media(id: $id) { id state moderation moderationRemark isPublic sha256 sm3
    file { path expiresAt } thumbnail { path expiresAt } } }";
pub const DELETE: &str = "mutation($id: ID!) { mediaDelete(input: {id: $id}) { deletedId userErrors { code field } } }";
pub const NEW_SERIES: &str = "mutation($input: SeriesCreateInput!) {
    seriesCreate(input: $input) { series { id version } userErrors { code field } } }";
pub const DESIGN: &str = "mutation($input: CollectibleCreateInput!) {
    collectibleCreate(input: $input) { collectible { id version state } userErrors { code field } } }";
pub const HAND_IN: &str = "mutation($id: ID!) {
    collectibleSubmit(input: {id: $id}) { collectible { id state version } userErrors { code field } } }";

/// Where a test's files lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Folder,
    Bucket,
    /// A bucket into which clients put their files themselves.
    DirectBucket,
}

/// A house over one of the stores.
pub struct Gallery {
    pub app: TestApp,
    server: Option<BucketServer>,
}

impl Gallery {
    pub async fn open(store: Store) -> Self {
        Self::open_with(store, TestApp::builder().idle(), false).await
    }

    pub async fn open_with(store: Store, builder: Builder, leave_to_the_house: bool) -> Self {
        let server = match store {
            Store::Folder => None,
            Store::Bucket => Some(BucketServer::start(false).await),
            Store::DirectBucket => Some(BucketServer::start(true).await),
        };
        let bucket = server.as_ref().map(|server| server.bucket.clone());
        Self { app: builder.media(Media { bucket, leave_to_the_house }).start().await, server }
    }

    /// How many objects of a kind lie in the store.
    pub fn count(&self, kind: &str) -> usize {
        match &self.server {
            Some(server) => server.count(kind),
            None => files_below(self.app.objects_folder().join(kind)),
        }
    }
}

/// A picture of which no two with different seeds are alike.
pub fn picture(width: u32, height: u32, seed: u8, format: ImageFormat) -> Vec<u8> {
    let colour = |x: u32, y: u32| Rgb([(x % 256) as u8, (y % 256) as u8, seed]);
    let mut bytes = Vec::new();
    let picture = DynamicImage::from(RgbImage::from_fn(width, height, colour));
    picture.write_to(&mut Cursor::new(&mut bytes), format).expect("it can be written");
    bytes
}

pub fn png(seed: u8) -> Vec<u8> {
    picture(40, 30, seed, ImageFormat::Png)
}

pub fn announcement(content_type: &str, bytes: &[u8]) -> Value {
    json!({ "input": { "fileName": "a file", "contentType": content_type, "size": bytes.len() } })
}

pub fn words(chinese: &str, english: &str) -> Value {
    json!({ "chinese": chinese, "english": english })
}

impl TestApp {
    /// Sends bytes to an address as the API gave it: a path of ours, or a whole address elsewhere.
    pub async fn put_to(&self, address: &str, bytes: &[u8]) -> u16 {
        let base = format!("http://{}", self.address).parse::<reqwest::Url>().expect("an address");
        let url = base.join(address).expect("it resolves");
        client().put(url).body(bytes.to_vec()).send().await.expect("it answers").status().as_u16()
    }

    /// Announces bytes and sends them: the medium's ID, and the address.
    pub async fn send_media(&self, token: &str, content_type: &str, bytes: &[u8]) -> (String, String) {
        let announced = self.done(token, ANNOUNCE, announcement(content_type, bytes)).await;
        let address = text(&announced["upload"]["path"]);
        let status = self.put_to(&address, bytes).await;
        assert!(status == 200 || status == 201, "{status}");
        (text(&announced["media"]["id"]), address)
    }

    /// A medium that is stored and was looked at.
    pub async fn medium(&self, token: &str, content_type: &str, bytes: &[u8]) -> String {
        let (id, _) = self.send_media(token, content_type, bytes).await;
        let id = text(&self.done(token, COMPLETE, json!({ "id": id })).await["media"]["id"]);
        self.settle().await;
        id
    }

    pub async fn look(&self, token: &str, id: &str) -> Value {
        self.ok(Some(token), LOOK, json!({ "id": id })).await["media"].take()
    }

    /// A draft in a series of its own: the series' ID and its own.
    pub async fn design(&self, token: &str, media: Value) -> (String, String) {
        let input = json!({ "name": words("系", "S"), "description": words("", ""), "coverId": media["seriesCover"] });
        let series = text(&self.done(token, NEW_SERIES, json!({ "input": input })).await["series"]["id"]);
        let input = design_of(&series, &media);
        let made = self.done(token, DESIGN, json!({ "input": input })).await;
        (series, text(&made["collectible"]["id"]))
    }

    /// Hands a design in and has the house approve it.
    pub async fn approved(&self, token: &str, id: &str) {
        self.done(token, HAND_IN, json!({ "id": id })).await;
        self.approve(id).await;
    }

    /// The house's word on the first of what waits.
    pub async fn decide_first(&self, verdict: &str, remark: Option<&str>) -> Vec<String> {
        let house = self.house(Role::Owner).await;
        let open = "{ reviews(filter: {state: PENDING}) { nodes { id } } }";
        let open = self.ok(Some(&house), open, json!({})).await;
        let id = &open["reviews"]["nodes"][0]["id"];
        self.refused(&house, DECIDE, json!({ "id": id, "verdict": verdict, "remark": remark })).await
    }
}

pub fn design_of(series: &str, media: &Value) -> Value {
    json!({
        "seriesId": series, "name": words("名", "Name"), "description": words("", ""), "author": "A", "supply": 3,
        "mediaId": media["media"], "coverId": media["cover"],
    })
}
