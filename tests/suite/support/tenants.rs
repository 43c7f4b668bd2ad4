//! How enterprises come in, show who they are, and have branches.

use minthouse::platform::vault::{hex, sha256};
use minthouse::tenancy::permission::Role;
use serde_json::{Value, json};

use super::app::{TestApp, client, text};

/// The unified social credit code that GB 32100-2015 works its example with.
pub const CREDIT_CODE: &str = "91350100M000100Y43";

pub const PASSWORD: &str = "quite-a-long-phrase-81";

pub const REGISTER: &str = "mutation($input: EnterpriseRegisterInput!) {
    enterpriseRegister(input: $input) { enterprise { id slug state kind } userErrors { code field retryAfterSeconds } } }";
pub const ANNOUNCE: &str = "mutation($input: DocumentUploadCreateInput!) {
    documentUploadCreate(input: $input) { document { id state } upload { path expiresAt } userErrors { code field } } }";
pub const ARRIVED: &str = "mutation($id: ID!) { documentUploadComplete(input: {id: $id}) {
    document { id state mediaType size sha256 download { path } } userErrors { code field } } }";
pub const QUALIFY: &str = "mutation($input: QualificationCreateInput!) {
    qualificationCreate(input: $input) { qualification { id state number } userErrors { code field } } }";
pub const HAND_IN: &str = "mutation($id: ID!) {
    enterpriseSubmit(input: {id: $id}) { enterprise { id state } userErrors { code field } } }";
pub const SUSPEND: &str =
    "mutation($id: ID!, $reason: String!) { enterpriseSuspend(input: {id: $id, reason: $reason}) {
    enterprise { state stateReason version } userErrors { code field } } }";
pub const RESUME: &str = "mutation($id: ID!) { enterpriseResume(input: {id: $id}) {
    enterprise { state stateReason } userErrors { code field } } }";
pub const CLOSE: &str = "mutation($id: ID!, $reason: String!) { enterpriseClose(input: {id: $id, reason: $reason}) {
    enterprise { state stateReason } userErrors { code field } } }";
pub const SIGN_IN: &str = "mutation($name: String!, $password: String!) {
    operatorSignIn(input: {signIn: $name, password: $password}) { token userErrors { code } } }";
pub const BRANCH_CREATE: &str = "mutation($input: BranchCreateInput!) { branchCreate(input: $input) {
    branch { corpOpenId state expiresAt enterprise { id slug state kind } } replayed userErrors { code field } } }";
pub const BRANCH_TOKEN: &str = "mutation($corp: String!, $scopes: [Permission!]) {
    branchTokenCreate(input: {corpOpenId: $corp, scopes: $scopes}) { token scopes userErrors { code field } } }";

/// What is a PDF as far as anybody looks.
pub fn pdf(text: &str) -> Vec<u8> {
    format!("%PDF-1.7\n{text}\n%%EOF\n").into_bytes()
}

pub fn registration_of(slug: &str, kind: &str) -> Value {
    json!({ "input": { "slug": slug, "kind": kind, "name": { "chinese": "新企业", "english": "Newcomer" },
        "ownerSignIn": format!("owner@{slug}.example"), "ownerName": "Owner", "ownerPassword": PASSWORD } })
}

pub fn branch_of(corp: &str) -> Value {
    json!({ "input": { "corpOpenId": corp, "name": { "chinese": "分支", "english": "Branch" } } })
}

impl TestApp {
    /// Registers an enterprise and signs its owner in: its ID, and what speaks for the owner.
    pub async fn newcomer(&self, slug: &str, kind: &str) -> (String, String) {
        let made = self.ok(None, REGISTER, registration_of(slug, kind)).await["enterpriseRegister"].take();
        assert_eq!(made["userErrors"], json!([]), "{made:#}");
        (text(&made["enterprise"]["id"]), self.signed_in(&format!("owner@{slug}.example")).await)
    }

    /// Signs somebody in who has [`PASSWORD`].
    pub async fn signed_in(&self, name: &str) -> String {
        let signed_in = self.ok(None, SIGN_IN, json!({ "name": name, "password": PASSWORD })).await;
        text(&signed_in["operatorSignIn"]["token"])
    }

    /// Announces bytes and sends them: the document's ID.
    pub async fn send_document(&self, token: &str, bytes: &[u8]) -> String {
        let input = json!({ "input": { "name": "document.pdf", "size": bytes.len(), "sha256": hex(&sha256(bytes)) } });
        let announced = self.done(token, ANNOUNCE, input).await;
        assert_eq!(self.put(&text(&announced["upload"]["path"]), bytes).await, 201);
        text(&announced["document"]["id"])
    }

    /// A document that was looked at and taken.
    pub async fn document(&self, token: &str, bytes: &[u8]) -> String {
        let id = self.send_document(token, bytes).await;
        self.done(token, ARRIVED, json!({ "id": id })).await;
        id
    }

    pub async fn put(&self, path: &str, bytes: &[u8]) -> u16 {
        let sent = client().put(self.address_of(path)).body(bytes.to_vec()).send().await;
        sent.expect("the server answers").status().as_u16()
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        client().get(self.address_of(path)).send().await.expect("the server answers")
    }

    fn address_of(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A qualification that waits for the house.
    pub async fn qualification(&self, token: &str, kind: &str, number: &str) -> String {
        let document = self.document(token, &pdf(number)).await;
        let input = json!({ "input": { "kind": kind, "number": number, "documentId": document } });
        text(&self.done(token, QUALIFY, input).await["qualification"]["id"])
    }

    /// A PLATFORM enterprise that works: its ID, and a token of its owner's.
    pub async fn partner(&self, slug: &str) -> (String, String) {
        let create = "mutation($input: EnterpriseCreateInput!) {
            enterpriseCreate(input: $input) { enterprise { id } userErrors { code field message } } }";
        let house = self.house(Role::Owner).await;
        let made = self.done(&house, create, registration_of(slug, "PLATFORM")).await;
        (text(&made["enterprise"]["id"]), self.signed_in(&format!("owner@{slug}.example")).await)
    }

    /// A branch: the ID of the enterprise that it is.
    pub async fn branch(&self, partner: &str, corp: &str) -> String {
        text(&self.done(partner, BRANCH_CREATE, branch_of(corp)).await["branch"]["enterprise"]["id"])
    }

    /// A partner's token within a branch, with all that it may have.
    pub async fn within(&self, partner: &str, corp: &str) -> String {
        text(&self.done(partner, BRANCH_TOKEN, json!({ "corp": corp })).await["token"])
    }

    /// The code of the fault that an operation ends in.
    pub async fn fault(&self, token: &str, query: &str, variables: Value) -> String {
        let answer = self.send(Some(token), query, variables).await;
        text(&answer["errors"][0]["extensions"]["code"])
    }
}
