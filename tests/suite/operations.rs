//! The operations in `graphql/operations/`, which are there to be copied: each is valid, has a name of its own and can be
//! executed, and together they leave out no query and no mutation of the identity part.
//!
//! A new operation needs a row in [`rows`]; without one these tests fail. What stands in the documentation's pages is to be
//! copied as well and is sent as it stands, though it names what is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use async_graphql::parser::types::{DocumentOperations, OperationType, Selection, TypeKind, TypeSystemDefinition};
use async_graphql::parser::{parse_query, parse_schema};
use minthouse::platform::id;
use minthouse::tenancy::permission::Role;
use serde_json::{Value, json};

use crate::support::app::{TestApp, client, text};
use crate::support::desk::code_of;
use crate::support::media::{design_of, png, words};
use crate::support::tenants::{CREDIT_CODE, SUSPEND, branch_of, pdf, registration_of};

/// Root fields of the other parts, whose operations do not stand here (yet).
#[rustfmt::skip]
const ELSEWHERE: &[&str] = &[
    "node", "nodes", "events", "eventTypes",
    "customRuleCreate", "customRuleDisable", "customRuleEnable", "customRuleTest", "customRules",
    "blockedPhonesChange", "chanceEntries", "chancesGrant", "drawCodeEnter", "drawCodesGenerate", "participationPhonesChange",
    "pointEntries", "pointsAdjust", "taskComplete",
    "activities", "activity", "activityCreate", "activityDraw", "activityEnd", "activityPause", "activityPublish",
    "activityReport", "activityResume", "activitySettle", "activitySimulate", "activitySubmit", "activityView", "airdrop", "airdropStart",
    "claimCodeReveal", "claimTake", "claims", "claimsFulfil", "claimsReview", "prizeCodesAdd", "drawExplain", "drawProof",
    "draws", "holderTagsChange",
    "domain", "domainCreate", "domainVerify", "domains", "merchant", "merchantCreate", "merchantVerify", "merchants",
    "offerCreate", "offers", "order", "orderCancel", "orderPaymentStart", "orderPlace", "orders", "sandboxPay",
    "item", "items", "transfer", "transferCancel", "transferStart", "transfers",
];

/// Who sends an operation.
#[derive(Clone, Copy, Debug)]
enum Who {
    Nobody,
    /// The owner of `alpha`.
    Owner,
    /// The owner of an enterprise that has registered itself and is not let in yet.
    Newcomer,
    /// The owner of a partner platform.
    Partner,
    House,
    /// Who has signed in by phone at `alpha`.
    Holder,
    /// The same person in their wallet.
    Person,
}

use Who::*;

/// The owner's of `alpha`, and one that nobody has yet.
const PASSWORD: &str = "quiet-lantern-over-water";
const NEW_PASSWORD: &str = "brass-river-under-stones";

const PHONE: &str = "13900000777";

/// Operations that need what only the outside can give: here it is enough that they are understood and refused.
const REFUSED: [&str; 5] = ["SsoConnectionCreate", "SsoTicketSpend", "WeChatSignIn", "BindPhone", "EraseMyself"];

/// An operation's name, who sends it, and its variables, in which `@name` stands for one of the stage's IDs and texts.
/// They are executed one after the other, in this order, on one house.
fn rows() -> Vec<(&'static str, Who, Value)> {
    vec![
        // foundation.graphql
        ("Viewer", Owner, json!({})),
        ("Site", Nobody, json!({})),
        (
            "EnterpriseCreate",
            House,
            json!({ "input": { "slug": "gamma", "name": { "chinese": "丙", "english": "Gamma" },
            "ownerSignIn": "owner@gamma.example", "ownerName": "G", "ownerPassword": NEW_PASSWORD } }),
        ),
        // enterprises.graphql
        ("Enterprise", Owner, json!({ "id": "@enterprise" })),
        ("Enterprises", House, json!({ "first": 10 })),
        ("EnterpriseRegister", Nobody, registration_of("delta", "STANDARD")),
        ("EnterpriseUpdate", Newcomer, json!({ "input": { "name": { "chinese": "改", "english": "Changed" } } })),
        ("DocumentUploadCreate", Newcomer, json!({ "name": "licence.pdf", "size": 100, "sha256": "00".repeat(32) })),
        ("DocumentUploadComplete", Newcomer, json!({ "id": "@sent" })),
        ("Document", Newcomer, json!({ "id": "@document" })),
        (
            "QualificationCreate",
            Newcomer,
            json!({ "input": { "kind": "BUSINESS_LICENCE", "number": CREDIT_CODE, "documentId": "@document" } }),
        ),
        ("Qualifications", Newcomer, json!({ "first": 10 })),
        ("Qualification", Newcomer, json!({ "id": "@qualification" })),
        ("EnterpriseSubmit", Newcomer, json!({ "id": "@newcomer" })),
        ("Review", House, json!({ "id": "@review" })),
        ("EnterpriseSuspend", House, json!({ "id": "@gamma", "reason": "test" })),
        ("EnterpriseResume", House, json!({ "id": "@gamma" })),
        ("EnterpriseClose", House, json!({ "id": "@gamma", "reason": "test" })),
        // catalogue.graphql
        (
            "MediaUploadCreate",
            Owner,
            json!({ "input": { "fileName": "dragon.png", "contentType": "image/png", "size": png(1).len() } }),
        ),
        ("MediaUploadComplete", Owner, json!({ "id": "@media" })),
        ("Media", Owner, json!({ "id": "@media" })),
        ("MediaList", Owner, json!({ "first": 10, "moderations": ["PASS"] })),
        (
            "SeriesCreate",
            Owner,
            json!({ "input": { "name": words("系", "S"), "description": words("", ""), "coverId": "@media" } }),
        ),
        ("CollectibleCreate", Owner, json!({ "input": design_of("@series", &json!({ "media": "@media" })) })),
        ("CollectibleUpdate", Owner, json!({ "input": { "id": "@collectible", "version": 1, "mediaId": null } })),
        ("Collectible", Owner, json!({ "id": "@collectible" })),
        ("CollectibleHistory", Owner, json!({ "id": "@collectible", "first": 10 })),
        ("Collectibles", Owner, json!({ "seriesId": "@series", "first": 10 })),
        ("SeriesUpdate", Owner, json!({ "input": { "id": "@series", "version": 1, "coverId": null } })),
        ("Series", Owner, json!({ "id": "@series" })),
        ("SeriesList", Owner, json!({ "first": 10 })),
        ("CollectibleDelete", Owner, json!({ "id": "@collectible" })),
        ("CollectibleSubmit", Owner, json!({ "id": "@handedIn" })),
        ("CollectibleReviews", House, json!({ "first": 10 })),
        ("CollectibleDecide", House, json!({ "reviewId": "@waiting", "verdict": "APPROVE", "remark": null })),
        ("CollectibleIssue", Owner, json!({ "id": "@handedIn", "idempotencyKey": "issue-1" })),
        ("CollectibleIssuance", Owner, json!({ "id": "@handedIn" })),
        (
            "MediaModerate",
            House,
            json!({ "enterpriseId": "@enterprise", "id": "@media", "verdict": "REJECT", "reason": "test" }),
        ),
        ("MediaDelete", Owner, json!({ "id": "@media" })),
        // branches.graphql
        ("BranchCreate", Partner, branch_of("corp-1")),
        ("Branch", Partner, json!({ "corpOpenId": "corp-1" })),
        ("Branches", Partner, json!({ "first": 10 })),
        ("BranchSummary", Partner, json!({})),
        ("BranchTokenCreate", Partner, json!({ "corpOpenId": "corp-1" })),
        ("BranchDisable", Partner, json!({ "corpOpenId": "corp-1" })),
        ("BranchEnable", Partner, json!({ "corpOpenId": "corp-1" })),
        ("BranchExpire", Partner, json!({ "corpOpenId": "corp-1", "expiresAt": "2099-01-01T00:00:00Z" })),
        // holders.graphql
        ("SendCode", Nobody, json!({ "phone": PHONE, "purpose": "SIGN_IN", "enterprise": "alpha" })),
        ("SignIn", Nobody, json!({ "phone": PHONE, "code": "@code", "enterprise": "alpha" })),
        ("Myself", Holder, json!({})),
        ("WeChatSignIn", Nobody, json!({ "appId": "wxnobody", "code": "c", "enterprise": "alpha" })),
        ("BindPhone", Holder, json!({ "phone": PHONE, "code": "000000" })),
        (
            "VerifyRealName",
            Holder,
            json!({ "name": "李明", "idNumber": "11010519491231002X", "idempotencyKey": "one" }),
        ),
        ("EraseMyself", Holder, json!({ "code": "000000" })),
        ("SignHolderOn", Owner, json!({ "phone": PHONE, "nickname": "N" })),
        ("Holders", Owner, json!({ "phone": PHONE })),
        ("Holder", Owner, json!({ "id": "@holder" })),
        ("RevealHolder", Owner, json!({ "id": "@holder", "fields": ["PHONE"] })),
        (
            "AddWeChatApp",
            Owner,
            json!({ "kind": "MINI_PROGRAM", "appId": "wxalpha", "secret": "0123456789abcdef0123456789abcdef" }),
        ),
        ("WeChatApps", Owner, json!({ "first": 10 })),
        ("ChangeWeChatApp", Owner, json!({ "id": "@wechat", "secret": "fedcba9876543210fedcba9876543210" })),
        ("DisableWeChatApp", Owner, json!({ "id": "@wechat" })),
        // wallet.graphql
        ("SendWalletCode", Nobody, json!({ "phone": PHONE })),
        ("OpenWallet", Nobody, json!({ "phone": PHONE, "code": "@walletCode" })),
        ("Wallet", Person, json!({})),
        ("EraseHolder", Owner, json!({ "id": "@holder" })),
        // sso.graphql
        (
            "SsoConnectionCreate",
            Owner,
            json!({ "input": { "name": "C", "issuer": "https://nowhere.invalid", "clientId": "c", "roles": [] } }),
        ),
        ("SsoConnectionUpdate", Owner, json!({ "input": { "id": "@connection", "name": "D" } })),
        ("SsoConnectionDisable", Owner, json!({ "id": "@connection" })),
        ("SsoConnectionEnable", Owner, json!({ "id": "@connection" })),
        ("SsoConnections", Owner, json!({ "first": 10 })),
        ("SsoKeyCreate", Owner, json!({ "input": { "name": "K", "profile": "RRX", "roles": [] } })),
        ("SsoKeys", Owner, json!({ "first": 10 })),
        ("SsoKeyDisable", Owner, json!({ "id": "@ssokey" })),
        ("SsoOriginAdd", Owner, json!({ "origin": "https://a.example" })),
        ("SsoOrigins", Owner, json!({})),
        ("SsoOriginRemove", Owner, json!({ "origin": "https://a.example" })),
        ("SsoTicketSpend", Nobody, json!({ "ticket": "mht_nothing" })),
        // operators.graphql
        ("OperatorSignIn", Nobody, json!({ "input": { "signIn": "owner@alpha.example", "password": PASSWORD } })),
        ("Me", Owner, json!({})),
        ("Operators", Owner, json!({ "first": 10 })),
        ("Operator", Owner, json!({ "id": "@operator" })),
        ("Sessions", Owner, json!({ "first": 10 })),
        ("SessionRefresh", Nobody, json!({ "input": { "refreshToken": "@refreshToken" } })),
        ("SessionEnd", Owner, json!({ "input": { "id": "@session" } })),
        (
            "OperatorInvite",
            Owner,
            json!({ "input": { "signIn": "new@alpha.example", "name": "N", "role": "AUDITOR" } }),
        ),
        ("Invitations", Owner, json!({ "first": 10 })),
        ("InvitationAccept", Nobody, json!({ "input": { "secret": "@invitationSecret", "password": NEW_PASSWORD } })),
        ("InvitationRevoke", Owner, json!({ "input": { "id": "@invitation" } })),
        ("OperatorUpdate", Owner, json!({ "input": { "id": "@colleague", "name": "M" } })),
        ("OperatorDisable", Owner, json!({ "input": { "id": "@colleague" } })),
        ("OperatorEnable", Owner, json!({ "input": { "id": "@colleague" } })),
        ("OperatorSessionsEnd", Owner, json!({ "input": { "id": "@colleague" } })),
        ("OperatorPasswordReset", Owner, json!({ "input": { "id": "@colleague" } })),
        ("OperatorPasswordSet", Nobody, json!({ "input": { "secret": "@passwordSecret", "password": PASSWORD } })),
        ("OperatorTotpBegin", Owner, json!({ "input": { "password": PASSWORD } })),
        ("OperatorTotpConfirm", Owner, json!({ "input": { "code": "@totpCode" } })),
        ("OperatorTotpDisable", Owner, json!({ "input": { "password": PASSWORD, "code": "@recoveryCode" } })),
        ("OperatorPasswordChange", Owner, json!({ "input": { "password": PASSWORD, "newPassword": NEW_PASSWORD } })),
        // clients.graphql
        (
            "ApiClientCreate",
            Owner,
            json!({ "input": { "name": "C", "scopes": ["CATALOG_READ"], "allowList": ["203.0.113.0/24"] } }),
        ),
        ("ApiClientUpdate", Owner, json!({ "input": { "id": "@client", "scopes": ["CATALOG_READ", "EVENT_READ"] } })),
        ("ApiClientDisable", Owner, json!({ "id": "@client" })),
        ("ApiClientEnable", Owner, json!({ "id": "@client" })),
        ("ApiClientSecretRotate", Owner, json!({ "id": "@client", "overlapHours": 24 })),
        ("ApiClientSecretRevoke", Owner, json!({ "id": "@client", "secretId": "@secret" })),
        ("ApiClients", Owner, json!({ "first": 10 })),
        ("ApiClient", Owner, json!({ "id": "@client" })),
        // audit.graphql
        ("AuditRecords", Owner, json!({ "filter": { "subjectId": "@client" }, "first": 10 })),
        // ledger.graphql
        ("LedgerProof", Owner, json!({ "itemId": "@item" })),
    ]
}

/// One house, and what the rows' variables name.
struct Stage {
    app: TestApp,
    names: BTreeMap<&'static str, String>,
    owner: String,
    newcomer: String,
    partner: String,
    house: String,
}

impl Stage {
    async fn set() -> Self {
        let app = TestApp::builder().idle().start().await;
        let sign_in = "mutation($password: String!) {
            operatorSignIn(input: {signIn: \"owner@alpha.example\", password: $password}) {
                token refreshToken operator { id } userErrors { code } } }";
        let signed = app.ok(None, sign_in, json!({ "password": PASSWORD })).await["operatorSignIn"].take();
        let owner = text(&signed["token"]);
        // Of another session: refreshing it does not end the owner's.
        let other = app.ok(None, sign_in, json!({ "password": PASSWORD })).await["operatorSignIn"].take();
        let sessions = app.ok(Some(&owner), "{ sessions { nodes { id isPresent } } }", json!({})).await;
        let sessions = sessions["sessions"]["nodes"].as_array().expect("a list").clone();
        let third = sessions.iter().find(|session| session["isPresent"] == false).expect("the other one");
        let made = "mutation { apiClientCreate(input: {name: \"C\", scopes: [CATALOG_READ]}) { client { id } secretId userErrors { code } } }";
        let machine = app.done(&owner, made, json!({})).await;
        let invited = "mutation { operatorInvite(input: {signIn: \"never@alpha.example\", name: \"N\", role: AUDITOR}) { invitation { id } userErrors { code } } }";
        let invited = app.done(&owner, invited, json!({})).await;
        let (newcomers, newcomer) = app.newcomer("newcomer", "STANDARD").await;
        let sent = app.send_document(&newcomer, &pdf("sent")).await;
        let document = app.document(&newcomer, &pdf("document")).await;
        let (_, partner) = app.partner("partner").await;
        let connection = app.sql(
            "INSERT INTO sso_connections (tenant_id, id, name, issuer, client_id, scopes, role_claim, roles)
             SELECT tenant_id, gen_random_uuid(), 'c', 'https://issuer.example', 'c', 'openid', 'roles', '{}'
               FROM enterprises WHERE slug = 'alpha' RETURNING id",
        );
        let connection = id::format("connection", connection.parse().expect("a UUID"));
        let item = app.sql("SELECT id FROM items JOIN enterprises USING (tenant_id) WHERE slug = 'alpha' LIMIT 1");
        let names = BTreeMap::from([
            ("@item", id::format("item", item.parse().expect("a UUID"))),
            ("@newcomer", newcomers),
            ("@sent", sent),
            ("@document", document),
            ("@connection", connection),
            ("@enterprise", app.enterprise("alpha").await.to_string()),
            ("@operator", text(&signed["operator"]["id"])),
            ("@refreshToken", text(&other["refreshToken"])),
            ("@session", text(&third["id"])),
            ("@client", text(&machine["client"]["id"])),
            ("@secret", text(&machine["secretId"])),
            ("@invitation", text(&invited["invitation"]["id"])),
        ]);
        let house = app.house(Role::Owner).await;
        Self { app, names, owner, newcomer, partner, house }
    }

    /// What an answer tells that a later row needs.
    async fn learn(&mut self, operation: &str, payload: &Value) {
        let learned: &[(&'static str, String)] = match operation {
            "EnterpriseCreate" => &[("@gamma", text(&payload["enterprise"]["id"]))],
            "QualificationCreate" => &[("@qualification", text(&payload["qualification"]["id"]))],
            "EnterpriseSubmit" => &[("@review", self.app.review_of(&self.names["@newcomer"]).await)],
            "EnterpriseResume" => {
                // Only what is stopped is closed.
                let stop = json!({ "id": self.names["@gamma"], "reason": "test" });
                self.app.done(&self.house, SUSPEND, stop).await;
                &[]
            }
            "SendCode" => {
                self.app.forget_sent_codes();
                &[("@code", self.app.world.messages.to(PHONE))]
            }
            "SignIn" => &[("@holder", text(&payload["holder"]["id"])), ("@holderToken", text(&payload["token"]))],
            "MediaUploadCreate" => {
                self.app.put_to(&text(&payload["upload"]["path"]), &png(1)).await;
                &[("@media", text(&payload["media"]["id"]))]
            }
            "MediaUploadComplete" => {
                self.app.settle().await;
                &[]
            }
            "SeriesCreate" => &[("@series", text(&payload["series"]["id"]))],
            "CollectibleCreate" => &[("@collectible", text(&payload["collectible"]["id"]))],
            "CollectibleDelete" => &[("@handedIn", self.app.design(&self.owner, json!({})).await.1)],
            "CollectibleSubmit" => &[("@waiting", self.app.review_of(&self.names["@handedIn"]).await)],
            "AddWeChatApp" => &[("@wechat", text(&payload["wechatApp"]["id"]))],
            "SendWalletCode" => &[("@walletCode", self.app.world.messages.to(PHONE))],
            "OpenWallet" => &[("@personToken", text(&payload["token"]))],
            "SsoKeyCreate" => &[("@ssokey", text(&payload["key"]["id"]))],
            "OperatorInvite" => &[("@invitationSecret", text(&payload["secret"]))],
            "InvitationAccept" => &[("@colleague", text(&payload["operator"]["id"]))],
            "OperatorPasswordReset" => &[("@passwordSecret", text(&payload["secret"]))],
            "OperatorTotpBegin" => &[("@totpCode", code_of(&self.app, &text(&payload["secret"])))],
            "OperatorTotpConfirm" => &[("@recoveryCode", text(&payload["recoveryCodes"][0]))],
            _ => &[],
        };
        self.names.extend(learned.iter().cloned());
    }

    fn filled(&self, variables: &Value) -> Value {
        match variables {
            Value::String(text) => self.names.get(text.as_str()).map_or_else(|| json!(text), |found| json!(found)),
            Value::Array(values) => values.iter().map(|value| self.filled(value)).collect(),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.clone(), self.filled(value))).collect())
            }
            other => other.clone(),
        }
    }
}

struct Operation {
    file: String,
    /// The whole file, since operations share fragments.
    document: String,
    kind: OperationType,
    /// The root fields that it selects.
    fields: Vec<String>,
}

/// Every operation of every file, by its name.
fn operations() -> BTreeMap<String, Operation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("graphql/operations");
    let mut found: BTreeMap<String, Operation> = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        let file = path.file_name().and_then(|name| name.to_str()).expect("names are text").to_owned();
        assert!(file.ends_with(".graphql"), "{file} is no file of operations");
        let document = fs::read_to_string(&path).expect("it is text");
        let parsed = parse_query(&document).unwrap_or_else(|error| panic!("{file}: {error}"));
        let DocumentOperations::Multiple(named) = parsed.operations else { panic!("{file}: an operation has no name") };
        for (name, operation) in named {
            let selections = &operation.node.selection_set.node.items;
            let fields = selections.iter().map(|selection| match &selection.node {
                Selection::Field(field) => field.node.name.node.to_string(),
                _ => panic!("{file}: {name} hides its root fields in a fragment"),
            });
            let operation = Operation {
                file: file.clone(),
                document: document.clone(),
                kind: operation.node.ty,
                fields: fields.collect(),
            };
            if let Some(other) = found.insert(name.to_string(), operation) {
                panic!("{name} stands in {} and in {file}", other.file);
            }
        }
    }
    found
}

#[test]
fn no_query_and_no_mutation_of_the_identity_part_is_left_out() {
    let document = parse_schema(minthouse::api::schema::sdl()).expect("the SDL is valid");
    let mut due = BTreeSet::new();
    for definition in document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        if let (TypeKind::Object(object), "Query" | "Mutation") =
            (&definition.node.kind, definition.node.name.node.as_str())
        {
            due.extend(object.fields.iter().map(|field| field.node.name.node.to_string()));
        }
    }
    let stale: Vec<&&str> = ELSEWHERE.iter().filter(|field| !due.contains(**field)).collect();
    assert_eq!(stale, Vec::<&&str>::new(), "these are no root fields any more");
    let used: BTreeSet<String> = operations().into_values().flat_map(|operation| operation.fields).collect();
    let missing: Vec<&String> =
        due.iter().filter(|field| !ELSEWHERE.contains(&field.as_str()) && !used.contains(*field)).collect();
    assert_eq!(missing, Vec::<&String>::new(), "add an operation to graphql/operations/ for each of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_can_be_executed_as_it_stands() {
    let (operations, rows) = (operations(), rows());
    let listed: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let unique: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(unique.len(), listed.len(), "an operation has two rows");
    assert_eq!(
        unique,
        operations.keys().map(String::as_str).collect(),
        "each operation needs a row and each row an operation"
    );

    let mut stage = Stage::set().await;
    for (name, who, variables) in rows {
        let operation = &operations[name];
        let body = json!({ "query": operation.document, "operationName": name, "variables": stage.filled(&variables) });
        let mut request = client().post(stage.app.url()).header("accept-language", "en").json(&body);
        match who {
            Nobody => {}
            Owner => request = request.bearer_auth(&stage.owner),
            Newcomer => request = request.bearer_auth(&stage.newcomer),
            Partner => request = request.bearer_auth(&stage.partner),
            House => request = request.bearer_auth(&stage.house),
            Holder => request = request.bearer_auth(&stage.names["@holderToken"]),
            Person => request = request.bearer_auth(&stage.names["@personToken"]),
        }
        let answer: Value = request.send().await.expect("it answers").json().await.expect("in JSON");
        assert!(answer.get("errors").is_none(), "{}: {name}: {answer:#}", operation.file);
        if operation.kind == OperationType::Mutation {
            for field in &operation.fields {
                let payload = &answer["data"][field];
                let refused = payload["userErrors"] != json!([]);
                assert_eq!(refused, REFUSED.contains(&name), "{}: {name}: {payload:#}", operation.file);
                stage.learn(name, payload).await;
            }
        }
    }
}

/// The requests of a page: each block of GraphQL, and the variables in the block of JSON that follows it.
fn requests(page: &str) -> Vec<(String, Value)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).expect("it is text");
    let blocks: Vec<&str> = text.split("```graphql\n").skip(1).collect();
    let requests = blocks.iter().map(|block| {
        let (document, rest) = block.split_once("\n```\n").expect("a block ends");
        let variables = rest.strip_prefix("\n```json\n").and_then(|rest| rest.split_once("\n```"));
        let (variables, _) = variables.unwrap_or_else(|| panic!("{page}: no variables below {document}"));
        let variables =
            serde_json::from_str(variables).unwrap_or_else(|error| panic!("{page}: {error} in {variables}"));
        (document.to_owned(), variables)
    });
    requests.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_the_documentation_is_understood() {
    let app = TestApp::builder().idle().start().await;
    let sign_in = "mutation($password: String!) {
        operatorSignIn(input: {signIn: \"owner@alpha.example\", password: $password}) { token } }";
    let owner = text(&app.ok(None, sign_in, json!({ "password": PASSWORD })).await["operatorSignIn"]["token"]);
    for (page, least) in [("identity.md", 20), ("identity/oidc.md", 2)] {
        let requests = requests(page);
        assert!(requests.len() >= least, "{page} shows {} requests", requests.len());
        for (document, variables) in requests {
            let answer = app.send(Some(&owner), &document, variables).await;
            // Understood is what fits the schema, and breaks no rule of form. It names things that are not there, and some
            // of it is for others than this owner.
            let fault = answer["errors"][0]["extensions"]["code"].as_str();
            assert!(matches!(fault, None | Some("FORBIDDEN" | "NOT_FOUND")), "{page}: {document}\n{answer:#}");
            let payload = answer["data"].as_object().and_then(|data| data.values().next());
            let problem = payload.and_then(|payload| payload["userErrors"][0]["code"].as_str());
            assert_ne!(problem, Some("INVALID_INPUT"), "{page}: {document}\n{answer:#}");
        }
    }
}
