//! Who may do what, tried on every root field: nobody in particular, the wrong kind of caller, a role without the
//! permission, and the other enterprise, for which what is not its own must look like what does not exist.
//!
//! A new root field needs a line in [`TABLE`]; without one, these tests fail.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use minthouse::platform::id;
use minthouse::tenancy::permission::Role;
use serde_json::{Value, json};

use crate::draws::published;
use crate::support::app::{TestApp, text};
use crate::support::desk::INVITE;
use crate::support::media::png;
use crate::support::people::{ADD_WECHAT, SECRET};
use crate::support::play::{AIRDROP, SUBMIT, key, phone, prize_of};
use crate::support::stream::Stream;
use crate::support::tenants::{CREDIT_CODE, SUSPEND, pdf};

use Due::*;
use Role::{Auditor, Finance, Operator as Campaigner};

/// Whose token is due. Where a role is named, it is one that lacks the permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Anybody,
    Signed,
    Operator(Option<Role>),
    /// A person at a console, the enterprise's or the house's.
    Console(Option<Role>),
    Holder,
    /// Either of the enterprise's two: an operator with the permission, or the holder concerned.
    Either(Option<Role>),
    House(Option<Role>),
    /// A person across enterprises, who is none of the others.
    Person,
}

/// A root field, who may use it, and an operation that does. `@name` stands for an ID of `alpha`, `@key` for a new key.
type Line = (&'static str, Due, &'static str);

#[rustfmt::skip]
const TABLE: &[Line] = &[
    ("Query.activities", Either(None), "{ activities(first: 100) { totalCount nodes { id } } }"),
    ("Query.activity", Either(None), "{ activity(id: \"@activity\") { id state prizes { id } } }"),
    ("Query.activityReport", Operator(None), "{ activityReport(id: \"@activity\", from: \"2026-01-01T00:00:00Z\", until: \"2026-02-01T00:00:00Z\", granularity: DAY) { totals { draws } series { at } } }"),
    ("Query.airdrop", Operator(None), "{ airdrop(id: \"@airdrop\") { id state rowCount } }"),
    ("Query.apiClient", Operator(None), "{ apiClient(id: \"@client\") { id name secrets { id } } }"),
    ("Query.apiClients", Operator(None), "{ apiClients { totalCount nodes { id } } }"),
    ("Query.auditRecords", Console(Some(Finance)), "{ auditRecords(filter: {subjectId: \"@client\"}) { totalCount nodes { id action } } }"),
    ("Query.branch", Operator(None), "{ branch(corpOpenId: \"nothing\") { corpOpenId state } }"),
    ("Query.branchSummary", Operator(None), "{ branchSummary { states { state count } totals { holders } } }"),
    ("Query.branches", Operator(None), "{ branches { totalCount nodes { corpOpenId totals { holders } } } }"),
    ("Query.claims", Either(None), "{ claims(filter: {activityId: \"@activity\"}) { totalCount nodes { id holder { id } } } }"),
    ("Query.collectible", Either(None), "{ collectible(id: \"@collectible\") { id stock { supply } series { id } } }"),
    ("Query.collectibles", Either(None), "{ collectibles(filter: {seriesId: \"@series\"}) { totalCount nodes { id } } }"),
    ("Query.document", Operator(None), "{ document(id: \"@document\") { id name sha256 download { path } } }"),
    ("Query.domain", Operator(None), "{ domain(id: \"@domain\") { id host verificationToken } }"),
    ("Query.domains", Operator(None), "{ domains(first: 100) { totalCount nodes { id } } }"),
    ("Query.drawExplain", Either(None), "{ drawExplain(id: \"@draw\") { sentences { english } } }"),
    ("Query.drawProof", Either(None), "{ drawProof(id: \"@draw\") { document path draw { id } } }"),
    ("Query.draws", Either(None), "{ draws(filter: {activityId: \"@activity\"}) { totalCount nodes { id holder { id } } } }"),
    ("Query.enterprise", Signed, "{ enterprise(id: \"@enterprise\") { id slug } }"),
    ("Query.enterprises", House(None), "{ enterprises { totalCount nodes { id } } }"),
    ("Query.eventTypes", Anybody, "{ eventTypes }"),
    ("Query.events", Operator(None), "{ events(first: 200) { totalCount nodes { id data } } }"),
    ("Query.holder", Either(Some(Finance)), "{ holder(id: \"@holder\") { id phoneMasked } }"),
    ("Query.holders", Either(Some(Finance)), "{ holders(first: 100) { totalCount nodes { id phoneMasked } } }"),
    ("Query.item", Either(None), "{ item(id: \"@item\") { id serialText holder { id } } }"),
    ("Query.invitations", Console(Some(Campaigner)), "{ invitations { totalCount nodes { id signIn } } }"),
    ("Query.items", Either(None), "{ items(filter: {holderId: \"@holder\"}) { totalCount nodes { id } } }"),
    ("Query.ledgerProof", Either(None), "{ ledgerProof(itemId: \"@item\") { document keyId signedAt } }"),
    ("Query.media", Operator(None), "{ media(id: \"@media\") { id sha256 file { path } thumbnail { path } } }"),
    ("Query.mediaList", Operator(None), "{ mediaList(filter: {states: [STORED]}) { totalCount nodes { id sha256 } } }"),
    ("Query.merchant", Operator(None), "{ merchant(id: \"@merchant\") { id merchantNumber } }"),
    ("Query.merchants", Operator(None), "{ merchants(first: 100) { totalCount nodes { id } } }"),
    ("Query.node", Either(None), "{ node(id: \"@activity\") { id __typename } }"),
    ("Query.nodes", Either(None), "{ nodes(ids: [\"@activity\", \"@collectible\", \"@order\", \"@item\", \"@transfer\", \"@offer\"]) { id } }"),
    ("Query.offers", Either(None), "{ offers(filter: {activityId: \"@sale\"}) { totalCount nodes { id } } }"),
    ("Query.operator", Console(None), "{ operator(id: \"@operator\") { id signIn role } }"),
    ("Query.operators", Console(None), "{ operators { totalCount nodes { id signIn } } }"),
    ("Query.order", Either(None), "{ order(id: \"@order\") { id number lines { quantity } } }"),
    ("Query.orders", Either(None), "{ orders(filter: {activityId: \"@sale\"}) { totalCount nodes { id } } }"),
    ("Query.qualification", Operator(None), "{ qualification(id: \"@qualification\") { id number document { id } } }"),
    ("Query.qualifications", Console(None), "{ qualifications(filter: {enterpriseId: \"@enterprise\"}) { totalCount nodes { id number } } }"),
    ("Query.review", House(None), "{ review(id: \"@review\") { id subject { __typename } } }"),
    ("Query.reviews", House(None), "{ reviews { totalCount nodes { id } } }"),
    ("Query.series", Either(None), "{ series(id: \"@series\") { id name { text } } }"),
    ("Query.seriesList", Either(None), "{ seriesList(first: 100) { totalCount nodes { id } } }"),
    ("Query.sessions", Signed, "{ sessions { totalCount nodes { id address } } }"),
    ("Query.site", Anybody, "{ site { enterprise { slug name { text } } } }"),
    ("Query.ssoConnections", Console(Some(Auditor)), "{ ssoConnections { totalCount nodes { id issuer } } }"),
    ("Query.ssoKeys", Console(Some(Campaigner)), "{ ssoKeys { totalCount nodes { id profile } } }"),
    ("Query.ssoOrigins", Console(Some(Finance)), "{ ssoOrigins { origin state } }"),
    ("Query.transfer", Either(None), "{ transfer(id: \"@transfer\") { id state toHolder { id } } }"),
    ("Query.transfers", Either(None), "{ transfers(filter: {itemId: \"@item\"}) { totalCount nodes { id } } }"),
    ("Query.viewer", Anybody, "{ viewer { kind enterprise { id } } }"),
    ("Mutation.operatorSignIn", Anybody, "mutation { operatorSignIn(input: {signIn: \"owner@alpha.example\", password: \"not-the-password\"}) { token userErrors { code } } }"),
    ("Mutation.sessionRefresh", Anybody, "mutation { sessionRefresh(input: {refreshToken: \"mhr_nothing\"}) { token userErrors { code } } }"),
    ("Mutation.sessionEnd", Signed, "mutation { sessionEnd(input: {}) { session { id } userErrors { code } } }"),
    ("Mutation.operatorInvite", Console(Some(Campaigner)), "mutation { operatorInvite(input: {signIn: \"@key\", name: \"N\", role: AUDITOR}) { invitation { id } userErrors { code } } }"),
    ("Mutation.invitationAccept", Anybody, "mutation { invitationAccept(input: {secret: \"mhi_nothing\", password: \"p\"}) { token userErrors { code } } }"),
    ("Mutation.invitationRevoke", Console(Some(Auditor)), "mutation { invitationRevoke(input: {id: \"@invitation\"}) { invitation { id } userErrors { code } } }"),
    ("Mutation.operatorUpdate", Console(Some(Finance)), "mutation { operatorUpdate(input: {id: \"@colleague\", name: \"N\"}) { operator { id } userErrors { code } } }"),
    ("Mutation.operatorDisable", Console(Some(Campaigner)), "mutation { operatorDisable(input: {id: \"@colleague\"}) { operator { id } userErrors { code } } }"),
    ("Mutation.operatorEnable", Console(Some(Auditor)), "mutation { operatorEnable(input: {id: \"@colleague\"}) { operator { id } userErrors { code } } }"),
    ("Mutation.operatorSessionsEnd", Console(Some(Finance)), "mutation { operatorSessionsEnd(input: {id: \"@colleague\"}) { endedCount userErrors { code } } }"),
    ("Mutation.operatorPasswordChange", Console(None), "mutation { operatorPasswordChange(input: {password: \"p\", newPassword: \"n\"}) { operator { id } userErrors { code } } }"),
    ("Mutation.operatorPasswordReset", Console(Some(Auditor)), "mutation { operatorPasswordReset(input: {id: \"@colleague\"}) { secret userErrors { code } } }"),
    ("Mutation.operatorPasswordSet", Anybody, "mutation { operatorPasswordSet(input: {secret: \"mhp_nothing\", password: \"p\"}) { signIn userErrors { code } } }"),
    ("Mutation.operatorTotpBegin", Console(None), "mutation { operatorTotpBegin(input: {password: \"p\"}) { uri userErrors { code } } }"),
    ("Mutation.operatorTotpConfirm", Console(None), "mutation { operatorTotpConfirm(input: {code: \"1\"}) { recoveryCodes userErrors { code } } }"),
    ("Mutation.operatorTotpDisable", Console(None), "mutation { operatorTotpDisable(input: {password: \"p\", code: \"1\"}) { operator { id } userErrors { code } } }"),
    ("Mutation.apiClientCreate", Operator(Some(Campaigner)), "mutation { apiClientCreate(input: {name: \"C\", scopes: [CATALOG_READ]}) { client { name } userErrors { code } } }"),
    ("Mutation.apiClientUpdate", Operator(Some(Campaigner)), "mutation { apiClientUpdate(input: {id: \"@client\", name: \"D\"}) { client { id } userErrors { code } } }"),
    ("Mutation.apiClientDisable", Operator(Some(Auditor)), "mutation { apiClientDisable(input: {id: \"@client\"}) { client { id } userErrors { code } } }"),
    ("Mutation.apiClientEnable", Operator(Some(Auditor)), "mutation { apiClientEnable(input: {id: \"@client\"}) { client { id } userErrors { code } } }"),
    ("Mutation.apiClientSecretRotate", Operator(Some(Finance)), "mutation { apiClientSecretRotate(input: {id: \"@client\"}) { client { id } userErrors { code } } }"),
    ("Mutation.apiClientSecretRevoke", Operator(Some(Finance)), "mutation { apiClientSecretRevoke(input: {id: \"@client\", secretId: \"@secret\"}) { client { id } userErrors { code } } }"),
    ("Mutation.ssoConnectionCreate", Console(Some(Auditor)), "mutation { ssoConnectionCreate(input: {name: \"P\", issuer: \"http://127.0.0.1:1\", clientId: \"us\", roles: []}) { connection { id } userErrors { code } } }"),
    ("Mutation.ssoConnectionUpdate", Console(Some(Campaigner)), "mutation { ssoConnectionUpdate(input: {id: \"@connection\", name: \"Q\"}) { connection { name } userErrors { code } } }"),
    ("Mutation.ssoConnectionDisable", Console(Some(Finance)), "mutation { ssoConnectionDisable(input: {id: \"@connection\"}) { connection { state } userErrors { code } } }"),
    ("Mutation.ssoConnectionEnable", Console(Some(Auditor)), "mutation { ssoConnectionEnable(input: {id: \"@connection\"}) { connection { state } userErrors { code } } }"),
    ("Mutation.ssoKeyCreate", Console(Some(Auditor)), "mutation { ssoKeyCreate(input: {name: \"K\", profile: DUIBA, roles: []}) { key { state } userErrors { code } } }"),
    ("Mutation.ssoKeyDisable", Console(Some(Campaigner)), "mutation { ssoKeyDisable(input: {id: \"@ssokey\"}) { key { state } userErrors { code } } }"),
    ("Mutation.ssoOriginAdd", Console(Some(Auditor)), "mutation { ssoOriginAdd(input: {origin: \"https://a.example\"}) { origin { state } userErrors { code } } }"),
    ("Mutation.ssoOriginRemove", Console(Some(Finance)), "mutation { ssoOriginRemove(input: {origin: \"https://a.example\"}) { origin { state } userErrors { code } } }"),
    ("Mutation.ssoTicketSpend", Anybody, "mutation { ssoTicketSpend(input: {ticket: \"mht_nothing\", nonce: \"n\"}) { token userErrors { code } } }"),
    ("Mutation.seriesCreate", Operator(Some(Auditor)), "mutation { seriesCreate(input: {name: {chinese: \"系\", english: \"S\"}, description: {chinese: \"\", english: \"\"}}) { series { id } userErrors { code } } }"),
    ("Mutation.collectibleCreate", Operator(Some(Finance)), "mutation { collectibleCreate(input: {seriesId: \"@series\", name: {chinese: \"藏\", english: \"C\"}, description: {chinese: \"\", english: \"\"}, author: \"A\", supply: 5}) { collectible { id } userErrors { code } } }"),
    ("Mutation.seriesUpdate", Operator(Some(Auditor)), "mutation { seriesUpdate(input: {id: \"@series\", version: 99}) { series { id } userErrors { code } } }"),
    ("Mutation.collectibleUpdate", Operator(Some(Finance)), "mutation { collectibleUpdate(input: {id: \"@collectible\", version: 99, author: \"B\"}) { collectible { id } userErrors { code } } }"),
    ("Mutation.collectibleDelete", Operator(Some(Auditor)), "mutation { collectibleDelete(input: {id: \"@collectible\"}) { deletedId userErrors { code } } }"),
    ("Mutation.mediaUploadCreate", Operator(Some(Auditor)), "mutation { mediaUploadCreate(input: {fileName: \"a.png\", contentType: \"image/png\", size: 9}) { media { state } userErrors { code } } }"),
    ("Mutation.mediaUploadComplete", Operator(Some(Finance)), "mutation { mediaUploadComplete(input: {id: \"@media\"}) { media { id } userErrors { code } } }"),
    ("Mutation.mediaDelete", Operator(Some(Finance)), "mutation { mediaDelete(input: {id: \"@media\"}) { deletedId userErrors { code } } }"),
    ("Mutation.mediaModerate", House(Some(Auditor)), "mutation { mediaModerate(input: {enterpriseId: \"@enterprise\", id: \"@media\", verdict: APPROVE, reason: \"r\"}) { media { id } userErrors { code } } }"),
    ("Mutation.collectibleSubmit", Operator(Some(Finance)), "mutation { collectibleSubmit(input: {id: \"@collectible\"}) { collectible { id } userErrors { code } } }"),
    ("Mutation.collectibleIssue", Operator(Some(Finance)), "mutation { collectibleIssue(input: {id: \"@collectible\", idempotencyKey: \"@key\"}) { collectible { id } userErrors { code } } }"),
    ("Mutation.activityCreate", Operator(Some(Finance)), "mutation { activityCreate(input: {kind: AIRDROP, name: {chinese: \"活\", english: \"A\"}, opensAt: \"2026-01-01T00:00:00Z\", closesAt: \"2036-01-01T00:00:00Z\", prizes: [{collectibleId: \"@collectible\", level: 0, name: {chinese: \"奖\", english: \"P\"}, quantity: 1}]}) { activity { state } userErrors { code } } }"),
    ("Mutation.activitySubmit", Operator(Some(Auditor)), "mutation { activitySubmit(input: {id: \"@draft\"}) { activity { id } userErrors { code } } }"),
    ("Mutation.activityPublish", Operator(Some(Auditor)), "mutation { activityPublish(input: {id: \"@draft\", idempotencyKey: \"@key\"}) { activity { id } userErrors { code } } }"),
    ("Mutation.activityPause", Operator(Some(Finance)), "mutation { activityPause(input: {id: \"@draft\"}) { activity { id } userErrors { code } } }"),
    ("Mutation.activityResume", Operator(Some(Finance)), "mutation { activityResume(input: {id: \"@draft\"}) { activity { id } userErrors { code } } }"),
    ("Mutation.activityEnd", Operator(Some(Finance)), "mutation { activityEnd(input: {id: \"@draft\"}) { activity { id } userErrors { code } } }"),
    ("Mutation.activitySettle", Operator(Some(Finance)), "mutation { activitySettle(input: {id: \"@draft\"}) { activity { id } userErrors { code } } }"),
    ("Mutation.activitySimulate", Operator(Some(Finance)), "mutation { activitySimulate(input: {id: \"@activity\", draws: 10}) { simulation { points { draws } } userErrors { code } } }"),
    ("Mutation.activityDraw", Holder, "mutation { activityDraw(input: {activityId: \"@activity\", idempotencyKey: \"@key\"}) { draw { id } userErrors { code } } }"),
    ("Mutation.taskComplete", Holder, "mutation { taskComplete(input: {taskId: \"@task\", idempotencyKey: \"@key\"}) { chances userErrors { code } } }"),
    ("Mutation.drawCodeEnter", Holder, "mutation { drawCodeEnter(input: {activityId: \"@tasked\", code: \"SUMMER\", idempotencyKey: \"@key\"}) { chances userErrors { code } } }"),
    ("Mutation.chancesGrant", Operator(Some(Finance)), "mutation { chancesGrant(input: {taskId: \"@task\", grants: [{holderId: \"@holder\", reference: \"@key\"}], idempotencyKey: \"@key\"}) { grants { chances } userErrors { code } } }"),
    ("Mutation.drawCodesGenerate", Operator(Some(Auditor)), "mutation { drawCodesGenerate(input: {taskId: \"@coded\", count: 1, word: \"SUMMER\", idempotencyKey: \"@key\"}) { batch { id } userErrors { code } } }"),
    ("Mutation.participationPhonesChange", Operator(Some(Finance)), "mutation { participationPhonesChange(input: {activityId: \"@activity\", add: [\"13900000004\"]}) { count userErrors { code } } }"),
    ("Mutation.blockedPhonesChange", Operator(Some(Auditor)), "mutation { blockedPhonesChange(input: {add: [\"13900000004\"]}) { count userErrors { code } } }"),
    ("Mutation.pointsAdjust", Operator(Some(Finance)), "mutation { pointsAdjust(input: {adjustments: [{holderId: \"@holder\", delta: 1, reference: \"@key\"}], idempotencyKey: \"@key\"}) { adjusted { balance } userErrors { code } } }"),
    ("Query.chanceEntries", Either(None), "{ chanceEntries(first: 100) { totalCount nodes { id delta } } }"),
    ("Query.pointEntries", Either(Some(Finance)), "{ pointEntries(first: 100) { totalCount nodes { id delta } } }"),
    ("Mutation.activityView", Holder, "mutation { activityView(input: {activityId: \"@activity\"}) { activity { id } userErrors { code } } }"),
    ("Query.customRules", Operator(None), "{ customRules(first: 100) { totalCount nodes { id url } } }"),
    ("Mutation.customRuleCreate", Operator(Some(Finance)), "mutation { customRuleCreate(input: {kind: DRAW_RULE, name: \"R\", url: \"https://a.example/\", token: \"token\", encodingAesKey: \"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\"}) { customRule { id } userErrors { code } } }"),
    ("Mutation.customRuleDisable", Operator(Some(Auditor)), "mutation { customRuleDisable(input: {id: \"@rule\"}) { customRule { id } userErrors { code } } }"),
    ("Mutation.customRuleEnable", Operator(Some(Auditor)), "mutation { customRuleEnable(input: {id: \"@rule\"}) { customRule { id } userErrors { code } } }"),
    ("Mutation.customRuleTest", Operator(Some(Auditor)), "mutation { customRuleTest(input: {id: \"@rule\", phone: \"13900000005\"}) { lines { check } userErrors { code } } }"),
    ("Mutation.claimTake", Holder, "mutation { claimTake(input: {id: \"@claim\", idempotencyKey: \"@key\"}) { claim { id } userErrors { code } } }"),
    ("Mutation.claimsReview", Operator(Some(Finance)), "mutation { claimsReview(input: {claimIds: [\"@claim\"], verdict: APPROVE, idempotencyKey: \"@key\"}) { claims { id } userErrors { code } } }"),
    ("Mutation.claimsFulfil", Operator(Some(Finance)), "mutation { claimsFulfil(input: {claims: [{claimId: \"@claim\"}], idempotencyKey: \"@key\"}) { claims { id } userErrors { code } } }"),
    ("Mutation.prizeCodesAdd", Operator(Some(Auditor)), "mutation { prizeCodesAdd(input: {prizeId: \"@prize\", codes: [\"CODE-1\"], idempotencyKey: \"@key\"}) { prize { id } userErrors { code } } }"),
    ("Mutation.claimCodeReveal", Holder, "mutation { claimCodeReveal(input: {id: \"@claim\"}) { claim { id } userErrors { code } } }"),
    ("Mutation.airdropStart", Operator(Some(Finance)), "mutation { airdropStart(input: {activityId: \"@dropping\", prizeId: \"@prize\", phones: [\"13900000001\"], idempotencyKey: \"@key\"}) { airdrop { id } userErrors { code } } }"),
    ("Query.wallet", Person, "{ wallet { memberships { itemCount holder { id } enterprise { slug } } } }"),
    ("Query.wechatApps", Operator(Some(Campaigner)), "{ wechatApps(first: 100) { totalCount nodes { id appId } } }"),
    ("Mutation.verificationCodeSend", Anybody, "mutation { verificationCodeSend(input: {phone: \"13900000003\", purpose: SIGN_IN, enterprise: \"alpha\"}) { expiresInSeconds userErrors { code } } }"),
    ("Mutation.holderSignIn", Anybody, "mutation { holderSignIn(input: {phone: \"13900000003\", code: \"000000\", enterprise: \"alpha\"}) { token userErrors { code } } }"),
    ("Mutation.holderWeChatSignIn", Anybody, "mutation { holderWeChatSignIn(input: {appId: \"wx0000\", code: \"c\", enterprise: \"alpha\"}) { token userErrors { code } } }"),
    ("Mutation.walletSignIn", Anybody, "mutation { walletSignIn(input: {phone: \"13900000003\", code: \"000000\"}) { token userErrors { code } } }"),
    ("Mutation.holderPhoneBind", Holder, "mutation { holderPhoneBind(input: {phone: \"13900000003\", code: \"000000\"}) { holder { id } userErrors { code } } }"),
    ("Mutation.holderRealNameVerify", Holder, "mutation { holderRealNameVerify(input: {name: \"韦小宝\", idNumber: \"11010519491231002X\", idempotencyKey: \"@key\"}) { holder { nameMasked } userErrors { code } } }"),
    ("Mutation.holderEraseMyself", Holder, "mutation { holderEraseMyself(input: {code: \"000000\"}) { holder { id } userErrors { code } } }"),
    ("Mutation.holderReveal", Operator(Some(Campaigner)), "mutation { holderReveal(input: {id: \"@holder\", fields: [PHONE]}) { personalData { phone } userErrors { code } } }"),
    ("Mutation.holderErase", Operator(Some(Campaigner)), "mutation { holderErase(input: {id: \"@holder\"}) { holder { id } userErrors { code } } }"),
    ("Mutation.wechatAppCreate", Operator(Some(Campaigner)), "mutation { wechatAppCreate(input: {kind: MINI_PROGRAM, appId: \"wx0001\", secret: \"0123456789abcdef0123456789abcdef\"}) { wechatApp { appId } userErrors { code } } }"),
    ("Mutation.wechatAppUpdate", Operator(Some(Campaigner)), "mutation { wechatAppUpdate(input: {id: \"@wechat\", state: ACTIVE}) { wechatApp { id } userErrors { code } } }"),
    ("Mutation.wechatAppDisable", Operator(Some(Auditor)), "mutation { wechatAppDisable(input: {id: \"@wechat\"}) { wechatApp { id } userErrors { code } } }"),
    ("Mutation.holderTagsChange", Operator(Some(Finance)), "mutation { holderTagsChange(input: {holderIds: [\"@holder\"], add: [\"a\"]}) { holders { id } userErrors { code } } }"),
    ("Mutation.holderSignOn", Operator(Some(Finance)), "mutation { holderSignOn(input: {phone: \"13900000002\"}) { holder { phoneMasked } userErrors { code } } }"),
    ("Mutation.transferStart", Either(Some(Finance)), "mutation { transferStart(input: {itemId: \"@item\", toHolderId: \"@other\", idempotencyKey: \"@key\"}) { transfer { state } userErrors { code } } }"),
    ("Mutation.transferCancel", Operator(Some(Auditor)), "mutation { transferCancel(input: {id: \"@transfer\"}) { transfer { id } userErrors { code } } }"),
    ("Mutation.merchantCreate", Operator(Some(Campaigner)), "mutation { merchantCreate(input: {name: \"M\", merchantNumber: \"@key\"}) { merchant { state } userErrors { code } } }"),
    ("Mutation.merchantVerify", Operator(Some(Campaigner)), "mutation { merchantVerify(input: {id: \"@merchant\"}) { merchant { id } userErrors { code } } }"),
    ("Mutation.domainCreate", Operator(Some(Campaigner)), "mutation { domainCreate(input: {host: \"@key.example\", filingNumber: \"1\"}) { domain { state } userErrors { code } } }"),
    ("Mutation.domainVerify", Operator(Some(Auditor)), "mutation { domainVerify(input: {id: \"@domain\"}) { domain { id } userErrors { code } } }"),
    ("Mutation.offerCreate", Operator(Some(Campaigner)), "mutation { offerCreate(input: {activityId: \"@sale\", collectibleId: \"@collectible\", merchantId: \"@merchant\", priceMinor: 1, quantity: 1, limitPerHolder: 1}) { offer { id } userErrors { code } } }"),
    ("Mutation.orderPlace", Holder, "mutation { orderPlace(input: {activityId: \"@sale\", lines: [{offerId: \"@offer\", quantity: 1}], idempotencyKey: \"@key\"}) { order { id } userErrors { code } } }"),
    ("Mutation.orderPaymentStart", Holder, "mutation { orderPaymentStart(input: {orderId: \"@order\"}) { order { id } userErrors { code } } }"),
    ("Mutation.sandboxPay", Holder, "mutation { sandboxPay(input: {orderId: \"@order\", idempotencyKey: \"@key\"}) { order { id } userErrors { code } } }"),
    ("Mutation.orderCancel", Either(Some(Campaigner)), "mutation { orderCancel(input: {orderId: \"@order\", idempotencyKey: \"@key\"}) { order { id } userErrors { code } } }"),
    ("Mutation.enterpriseCreate", House(None), "mutation { enterpriseCreate(input: {slug: \"gamma\", name: {chinese: \"丙\", english: \"Gamma\"}, ownerSignIn: \"owner@gamma.example\", ownerName: \"G\", ownerPassword: \"copper-kettle-on-stone\"}) { enterprise { slug } userErrors { code } } }"),
    ("Mutation.enterpriseRegister", Anybody, "mutation { enterpriseRegister(input: {slug: \"delta\", name: {chinese: \"丁\", english: \"Delta\"}, ownerSignIn: \"owner@delta.example\", ownerName: \"D\", ownerPassword: \"short\"}) { enterprise { slug } userErrors { code } } }"),
    ("Mutation.enterpriseUpdate", Operator(Some(Campaigner)), "mutation { enterpriseUpdate(input: {name: {chinese: \"甲\", english: \"Alpha\"}}) { enterprise { slug } userErrors { code } } }"),
    ("Mutation.enterpriseSubmit", Operator(Some(Auditor)), "mutation { enterpriseSubmit(input: {id: \"@enterprise\"}) { enterprise { slug } userErrors { code } } }"),
    ("Mutation.enterpriseSuspend", House(Some(Auditor)), "mutation { enterpriseSuspend(input: {id: \"@enterprise\", reason: \"test\"}) { enterprise { state } userErrors { code } } }"),
    ("Mutation.enterpriseResume", House(Some(Auditor)), "mutation { enterpriseResume(input: {id: \"@enterprise\"}) { enterprise { state } userErrors { code } } }"),
    ("Mutation.enterpriseClose", House(Some(Finance)), "mutation { enterpriseClose(input: {id: \"@enterprise\", reason: \"test\"}) { enterprise { state } userErrors { code } } }"),
    ("Mutation.documentUploadCreate", Operator(Some(Campaigner)), "mutation { documentUploadCreate(input: {name: \"a.pdf\", size: 1, sha256: \"00\"}) { document { id } userErrors { code } } }"),
    ("Mutation.documentUploadComplete", Operator(Some(Auditor)), "mutation { documentUploadComplete(input: {id: \"@document\"}) { document { id } userErrors { code } } }"),
    ("Mutation.qualificationCreate", Operator(Some(Finance)), "mutation { qualificationCreate(input: {kind: COPYRIGHT_PROOF, number: \"@key\", documentId: \"@document\"}) { qualification { state } userErrors { code } } }"),
    ("Mutation.branchCreate", Operator(Some(Campaigner)), "mutation { branchCreate(input: {corpOpenId: \"corp\", name: {chinese: \"分\", english: \"B\"}}) { branch { corpOpenId } userErrors { code } } }"),
    ("Mutation.branchDisable", Operator(Some(Campaigner)), "mutation { branchDisable(input: {corpOpenId: \"corp\"}) { branch { corpOpenId } userErrors { code } } }"),
    ("Mutation.branchEnable", Operator(Some(Finance)), "mutation { branchEnable(input: {corpOpenId: \"corp\"}) { branch { corpOpenId } userErrors { code } } }"),
    ("Mutation.branchExpire", Operator(Some(Auditor)), "mutation { branchExpire(input: {corpOpenId: \"corp\"}) { branch { corpOpenId } userErrors { code } } }"),
    ("Mutation.branchTokenCreate", Operator(Some(Campaigner)), "mutation { branchTokenCreate(input: {corpOpenId: \"corp\"}) { token userErrors { code } } }"),
    ("Mutation.reviewDecide", House(Some(Auditor)), "mutation { reviewDecide(input: {id: \"@review\", verdict: APPROVE}) { review { id } userErrors { code } } }"),
    ("Subscription.activityReportChanged", Operator(None), "subscription { activityReportChanged(id: \"@activity\") { id version totals { draws } } }"),
    ("Subscription.events", Operator(None), "subscription { events(after: \"ZXZlbnRzOjA\") { id data } }"),
    ("Subscription.issuanceProgress", Operator(None), "subscription { issuanceProgress(id: \"@collectible\") { id state } }"),
    ("Subscription.transferStatus", Either(None), "subscription { transferStatus(id: \"@transfer\") { id state } }"),
];

/// One house with one of everything in `alpha`, and callers of every kind.
struct Stage {
    app: TestApp,
    ids: BTreeMap<&'static str, String>,
    holder: String,
}

impl Stage {
    async fn set() -> Self {
        let app = TestApp::builder().idle().start().await;
        let owner = app.owner("alpha").await;
        let (person, other) = (app.person("alpha", 1).await, app.person("alpha", 2).await);
        let (activity, _) = app.activity(&owner, "DRAW").await;
        let (dropping, prize) = app.activity(&owner, "AIRDROP").await;
        let prize = prize.expect("an airdrop has a prize");
        let sale = app.sale(&owner).await;
        let collectible = app.collectible(&owner).await;
        let order = app.buy(&person, &sale, 1).await;
        let item = app.item(&person, &activity).await;
        let claim = text(&app.draw(&person, &activity).await["claim"]["id"]);
        let drop = json!({ "activityId": dropping, "prizeId": prize, "phones": [phone(2)], "idempotencyKey": key() });
        let dropped = app.done(&owner, AIRDROP, json!({ "input": drop })).await;
        let draft = app.draft(&owner, "AIRDROP", json!({ "prizes": [prize_of(&collectible, None, 1)] })).await;
        let submitted = app.draft(&owner, "AIRDROP", json!({ "prizes": [prize_of(&collectible, None, 1)] })).await;
        app.done(&owner, SUBMIT, json!({ "id": submitted["id"] })).await;
        let review = app.review_of(&text(&submitted["id"])).await;
        let made = "mutation { apiClientCreate(input: {name: \"C\", scopes: [CATALOG_READ]}) { client { id } secretId userErrors { code } } }";
        let client = app.done(&owner, made, json!({})).await;
        let document = app.document(&owner, &pdf("alpha")).await;
        let media = app.medium(&owner, "image/png", &png(1)).await;
        app.design(&owner, json!({ "media": media })).await;
        let qualification = app.qualification(&owner, "BUSINESS_LICENCE", CREDIT_CODE).await;
        app.approve(&qualification).await;
        let wechat = json!({ "kind": "MINI_PROGRAM", "app": "wxalpha", "secret": SECRET });
        let wechat = app.done(&owner, ADD_WECHAT, wechat).await["wechatApp"]["id"].take();
        let operator = app.sql("SELECT id FROM operators WHERE sign_in = 'owner@alpha.example'");
        let operator = id::format("operator", operator.parse().expect("a UUID"));
        let colleague = app.colleague(&owner, "colleague@alpha.example", "AUDITOR").await;
        let invited = json!({ "input": { "signIn": "invited@alpha.example", "name": "I", "role": "AUDITOR" } });
        let invited = app.done(&owner, INVITE, invited).await;
        let made = "mutation { ssoKeyCreate(input: {name: \"K\", profile: RRX, roles: []}) { key { id } userErrors { code } } }";
        let sso_key = text(&app.done(&owner, made, json!({})).await["key"]["id"]);
        // Made without its provider, which these tests do without.
        let (tenant, connection) = (app.enterprise("alpha").await.uuid(), id::generate());
        app.sql(&format!(
            "INSERT INTO sso_connections (tenant_id, id, name, issuer, client_id, scopes, role_claim, roles)
             VALUES ('{tenant}', '{connection}', 'P', 'https://id.example', 'us', 'openid', 'roles', '{{}}')"
        ));
        let tasks = json!([
            { "kind": "SHARE", "name": { "chinese": "分享", "english": "Share" }, "timesPerDay": 9 },
            { "kind": "DRAW_CODE", "name": { "chinese": "抽奖码", "english": "Code" } }]);
        let tasked = published(&app, json!({ "prizes": [prize_of(&collectible, Some(1), 1)], "tasks": tasks })).await;
        let query = "query($id: ID!) { activity(id: $id) { tasks { id } } }";
        let tasks = app.ok(Some(&owner), query, json!({ "id": tasked })).await["activity"]["tasks"].take();
        let rule = "mutation { customRuleCreate(input: {kind: DRAW_RULE, name: \"R\", url: \"https://127.0.0.1:9/\", token: \"token\", encodingAesKey: \"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\"}) { customRule { id } userErrors { code } } }";
        let rule = text(&app.done(&owner, rule, json!({})).await["customRule"]["id"]);
        app.settle().await;

        let first = async |query: &str| {
            let found = app.ok(Some(&owner), query, json!({})).await;
            text(&found.as_object().expect("fields").values().next().expect("one")["nodes"][0]["id"])
        };
        let ids = BTreeMap::from([
            ("@series", first("{ seriesList(orderBy: CREATED_AT_ASC) { nodes { id } } }").await),
            ("@domain", first("{ domains { nodes { id } } }").await),
            ("@merchant", first("{ merchants { nodes { id } } }").await),
            ("@transfer", first("{ transfers { nodes { id } } }").await),
            ("@enterprise", app.enterprise("alpha").await.to_string()),
            ("@activity", activity),
            ("@airdrop", text(&dropped["airdrop"]["id"])),
            ("@claim", claim),
            ("@colleague", colleague.id),
            ("@client", text(&client["client"]["id"])),
            ("@collectible", collectible),
            ("@document", document),
            ("@media", media),
            ("@coded", text(&tasks[1]["id"])),
            ("@connection", id::format("connection", connection)),
            ("@draft", text(&draft["id"])),
            ("@draw", first("{ draws { nodes { id } } }").await),
            ("@dropping", dropping),
            ("@holder", person.id),
            ("@invitation", text(&invited["invitation"]["id"])),
            ("@item", item),
            ("@offer", sale.1),
            ("@operator", operator),
            ("@order", order),
            ("@other", other.id),
            ("@prize", prize),
            ("@qualification", qualification),
            ("@review", review),
            ("@rule", rule),
            ("@sale", sale.0),
            ("@secret", text(&client["secretId"])),
            ("@ssokey", sso_key),
            ("@task", text(&tasks[0]["id"])),
            ("@tasked", tasked),
            ("@wechat", text(&wechat)),
        ]);
        Self { app, ids, holder: person.token }
    }

    /// The answer to an operation with `alpha`'s IDs filled in.
    async fn send(&self, token: Option<&str>, operation: &str) -> Value {
        self.send_with(token, operation, &self.ids).await
    }

    async fn send_with(&self, token: Option<&str>, operation: &str, ids: &BTreeMap<&str, String>) -> Value {
        let mut operation = operation.replace("@key", &key());
        // The longer names first: `@dropping` is not `@drop` and something.
        let mut names: Vec<_> = ids.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, id) in names {
            operation = operation.replace(name, id);
        }
        if operation.starts_with("subscription") {
            let mut stream = Stream::open(&self.app, token, &operation, json!({})).await;
            return stream.next().await.expect("a result");
        }
        self.app.send(token, &operation, json!({})).await
    }

    /// IDs of the same types that nothing has.
    fn unknown(&self) -> BTreeMap<&'static str, String> {
        let fresh = |known: &String| id::format(id::parse(known).expect("an ID").0, id::generate());
        self.ids.iter().map(|(name, known)| (*name, fresh(known))).collect()
    }

    async fn refused(&self, token: Option<&str>, (field, _, operation): &Line, code: &str, who: &str) {
        let answer = self.send(token, operation).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{field} for {who}: {answer:#}");
        assert!(answer["data"].as_object().is_none_or(|data| data.values().all(Value::is_null)), "{field}: {answer:#}");
    }
}

fn root_fields() -> BTreeSet<String> {
    let document = parse_schema(minthouse::api::schema::sdl()).expect("the SDL is valid");
    let mut found = BTreeSet::new();
    for definition in document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let name = definition.node.name.node.as_str();
        if let (TypeKind::Object(object), "Query" | "Mutation" | "Subscription") = (&definition.node.kind, name) {
            found.extend(object.fields.iter().map(|field| format!("{name}.{}", field.node.name.node)));
        }
    }
    found
}

#[test]
fn every_root_field_is_in_the_table() {
    let listed: BTreeSet<String> = TABLE.iter().map(|(field, ..)| (*field).to_owned()).collect();
    assert_eq!(listed.len(), TABLE.len(), "a field stands twice in the table");
    assert_eq!(listed, root_fields());
    for (field, _, operation) in TABLE {
        let name = field.split_once('.').expect("a type and a field").1;
        assert!(operation.contains(name), "the operation for {field} does not use it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_the_wrong_kind_of_caller_are_refused() {
    let stage = Stage::set().await;
    let (owner, house) = (stage.app.owner("alpha").await, stage.app.house(Role::Owner).await);
    for line in TABLE {
        let (field, due, operation) = line;
        if *due == Anybody {
            let answer = stage.send(None, operation).await;
            assert!(answer.get("errors").is_none(), "{field}: {answer:#}");
            continue;
        }
        stage.refused(None, line, "UNAUTHENTICATED", "a stranger").await;
        let wrong: &[(&str, &String)] = match due {
            Anybody | Signed => &[],
            Console(_) => &[("a holder", &stage.holder)],
            Operator(_) => &[("a holder", &stage.holder), ("the house", &house)],
            Holder => &[("an operator", &owner), ("the house", &house)],
            Either(_) => &[("the house", &house)],
            House(_) => &[("an operator", &owner), ("a holder", &stage.holder)],
            Person => &[("an operator", &owner), ("a holder", &stage.holder), ("the house", &house)],
        };
        for (who, token) in wrong {
            stage.refused(Some(token), line, "FORBIDDEN", who).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_the_permission_is_refused() {
    let stage = Stage::set().await;
    for line in TABLE {
        let token = match line.1 {
            Operator(Some(role)) | Either(Some(role)) | Console(Some(role)) => stage.app.operator("alpha", role).await,
            House(Some(role)) => stage.app.house(role).await,
            _ => continue,
        };
        stage.refused(Some(&token), line, "FORBIDDEN", "a role that may not").await;
    }
    assert_eq!(stage.app.count("SELECT count(*)::text FROM reviews WHERE state = 'PENDING'"), 1, "nothing was decided");
}

/// What may differ between two refusals of the same thing.
fn bare(mut answer: Value) -> String {
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("extensions");
    }
    let mut text = answer.to_string();
    for word in answer.to_string().split(['"', '`', ' ', '\'']) {
        if id::parse(word).is_ok() || uuid::Uuid::parse_str(word).is_ok() {
            text = text.replace(word, "…");
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_looks_like_what_is_not_there() {
    let stage = Stage::set().await;
    let rival = stage.app.owner("beta").await;
    let rival_holder = stage.app.person("beta", 1).await.token;
    let owner = stage.app.owner("alpha").await;
    let unknown = stage.unknown();
    let own = |answer: &Value| stage.ids.values().any(|id| answer.to_string().contains(id.as_str()));
    for (field, due, operation) in TABLE {
        let callers: &[(&String, &String)] = match due {
            Anybody | House(_) | Person => continue,
            Signed | Operator(_) | Console(_) => &[(&rival, &owner)],
            Holder => &[(&rival_holder, &stage.holder)],
            Either(_) => &[(&rival, &owner), (&rival_holder, &stage.holder)],
        };
        for (stranger, rightful) in callers {
            let seen = stage.send(Some(stranger), operation).await;
            assert!(!own(&seen), "{field} shows alpha's to beta: {seen:#}");
            let takes_ids = operation.replace("@key", "").contains('@');
            if !takes_ids {
                continue;
            }
            let missing = stage.send_with(Some(stranger), operation, &unknown).await;
            assert_eq!(bare(seen), bare(missing.clone()), "{field} tells the foreign from the unknown");
            // Were the rightful caller answered like this too, the comparison above would prove nothing.
            let rightful = stage.send(Some(rightful), operation).await;
            assert_ne!(bare(rightful), bare(missing), "{field} finds nothing for whom it belongs to");
        }
    }
}

/// An operation on what is one's own, into which something of the other's is slipped.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_anothers_is_taken_into_what_is_ones_own() {
    let stage = Stage::set().await;
    let app = &stage.app;
    let rival = app.owner("beta").await;
    let (person, friend) = (app.person("beta", 1).await, app.person("beta", 2).await);
    let (draw, _) = app.activity(&rival, "DRAW").await;
    let (dropping, prize) = app.activity(&rival, "AIRDROP").await;
    let (sale, offer) = app.sale(&rival).await;
    let collectible = app.collectible(&rival).await;
    let item = app.item(&person, &draw).await;
    let draft = text(&app.draft(&rival, "SALE", json!({})).await["id"]);
    let merchant = app.ok(Some(&rival), "{ merchants { nodes { id } } }", json!({})).await;
    let own = BTreeMap::from([
        ("@dropping", dropping),
        ("@prize", prize.expect("an airdrop has a prize")),
        ("@sale", sale),
        ("@offer", offer),
        ("@collectible", collectible),
        ("@item", item),
        ("@other", friend.id),
        ("@draft", draft),
        ("@merchant", text(&merchant["merchants"]["nodes"][0]["id"])),
    ]);
    let offering = "mutation { offerCreate(input: {activityId: \"@draft\", collectibleId: \"@collectible\", merchantId: \"@merchant\", priceMinor: 1, quantity: 1, limitPerHolder: 1}) { offer { id } userErrors { code } } }";
    let line = |field: &str| TABLE.iter().find(|(name, ..)| name.ends_with(field)).expect("it is in the table").2;
    let slipped = [
        ("@prize", &rival, line(".airdropStart"), "PRIZE_NOT_FOUND"),
        ("@dropping", &rival, line(".airdropStart"), "NOT_FOUND"),
        ("@offer", &person.token, line(".orderPlace"), "OFFER_NOT_FOUND"),
        ("@sale", &person.token, line(".orderPlace"), "ACTIVITY_NOT_FOUND"),
        ("@other", &person.token, line(".transferStart"), "HOLDER_NOT_FOUND"),
        ("@item", &rival, line(".transferStart"), "ITEM_NOT_FOUND"),
        ("@collectible", &rival, offering, "COLLECTIBLE_NOT_FOUND"),
        ("@merchant", &rival, offering, "MERCHANT_NOT_FOUND"),
        ("@draft", &rival, offering, "ACTIVITY_NOT_FOUND"),
    ];
    for (name, token, operation, code) in slipped {
        let mut ids = own.clone();
        ids.insert(name, stage.ids[name].clone());
        let answer = stage.send_with(Some(token), operation, &ids).await;
        let payload = answer["data"].as_object().and_then(|data| data.values().next()).expect("a payload");
        assert_eq!(payload["userErrors"][0]["code"], code, "{name} in {operation}: {answer:#}");
    }
    // With its own everywhere, each of them goes well: it was the other's that was refused.
    for (token, operation) in
        [(&rival, line(".airdropStart")), (&person.token, line(".orderPlace")), (&rival, offering)]
    {
        let answer = stage.send_with(Some(token), operation, &own).await;
        let payload = answer["data"].as_object().and_then(|data| data.values().next()).expect("a payload");
        assert_eq!(payload["userErrors"], json!([]), "{operation}");
    }
    app.sums_hold();
}

/// What may be done in an enterprise that the house has stopped: see to it that it goes on, and look after one's people.
const WHILE_STOPPED: &[&str] = &[
    "Mutation.documentUploadComplete",
    "Mutation.documentUploadCreate",
    "Mutation.enterpriseSubmit",
    "Mutation.enterpriseUpdate",
    "Mutation.holderEraseMyself",
    "Mutation.invitationRevoke",
    "Mutation.operatorDisable",
    "Mutation.operatorEnable",
    "Mutation.operatorInvite",
    "Mutation.operatorPasswordChange",
    "Mutation.operatorPasswordReset",
    "Mutation.operatorSessionsEnd",
    "Mutation.operatorTotpBegin",
    "Mutation.operatorTotpConfirm",
    "Mutation.operatorTotpDisable",
    "Mutation.operatorUpdate",
    "Mutation.qualificationCreate",
];

#[tokio::test(flavor = "multi_thread")]
async fn in_a_stopped_enterprise_people_look_and_do_nothing() {
    let stage = Stage::set().await;
    // Somebody who is in the database, as some operations ask who it is.
    let owner = stage.app.seat("owner@alpha.example").await.token;
    let house = stage.app.house(Role::Owner).await;
    let reason = json!({ "id": stage.ids["@enterprise"], "reason": "a test" });
    stage.app.done(&house, SUSPEND, reason).await;
    let mut refused = 0;
    for line in TABLE {
        let (field, due, operation) = line;
        let callers: &[&String] = match due {
            Operator(_) | Console(_) => &[&owner],
            Holder => &[&stage.holder],
            Either(_) => &[&owner, &stage.holder],
            Anybody | Signed | Person | House(_) => continue,
        };
        for token in callers {
            let is_holder = **token == stage.holder;
            if field.starts_with("Mutation") && !WHILE_STOPPED.contains(field) {
                stage.refused(Some(token), line, "ENTERPRISE_NOT_ACTIVE", "somebody of a stopped enterprise").await;
                refused += 1;
            } else if is_holder || WHILE_STOPPED.contains(field) {
                let answer = stage.send(Some(token), operation).await;
                assert!(answer["errors"].is_null(), "{field}: {answer:#}");
            }
        }
    }
    assert!(refused > 20, "the table was gone through");
}
