//! Holders, items and transfers in GraphQL. What people do about themselves stands in files of its own beside this one.

pub mod holders;
pub mod personal;
mod viewer;
pub mod wallet;
pub mod wechat;

pub mod points;

use std::sync::Arc;

use async_graphql::{Context, InputObject, MergedObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::transport::raise;
use crate::catalog::graphql::CollectibleObject;
use crate::catalog::model::CollectibleId;
use crate::platform::fault::Fault;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::Caller;
use crate::tenancy::token::Tokens;
use crate::wallets::holder::SignOn;
use crate::wallets::loaders::TagsOf;
use crate::wallets::model::{
    Holder, HolderId, HolderUserError, Item, ItemId, Transfer, TransferCause, TransferId, TransferState,
    WalletUserError,
};
use crate::wallets::store::transfers::{self, TransferFilter};
use crate::wallets::store::{self, HolderFilter, ItemFilter};
use crate::wallets::tag::{self, TagRequest};
use crate::wallets::transfer::{self, GiftRequest};
use crate::wallets::{holder, item};

const HOLDER_PAGES: PageRule = PageRule { list: "holders", default: 20, maximum: 100 };
const ITEM_PAGES: PageRule = PageRule { list: "items", default: 20, maximum: 100 };
const TRANSFER_PAGES: PageRule = PageRule { list: "transfers", default: 20, maximum: 100 };

pub struct HolderObject(pub Holder);

/// A person who draws, buys, claims and holds (用户), as one enterprise knows them.
#[Object(name = "Holder")]
impl HolderObject {
    /// Its ID.
    pub async fn id(&self) -> HolderId {
        self.0.id
    }

    /// The mobile number with its middle hidden, where one is known.
    async fn phone_masked(&self) -> Option<&str> {
        self.0.phone_masked.as_deref()
    }

    /// What they call themselves.
    async fn nickname(&self) -> &str {
        &self.0.nickname
    }

    /// The real name with all but its last character hidden, once it is proved.
    async fn name_masked(&self) -> Option<&str> {
        self.0.name_masked.as_deref()
    }

    /// The identity number with its middle hidden, once it is proved.
    async fn id_number_masked(&self) -> Option<&str> {
        self.0.id_number_masked.as_deref()
    }

    /// When their real name was proved, if it was.
    async fn verified_at(&self) -> Option<DateTime<Utc>> {
        self.0.verified_at
    }

    /// When their personal data was erased, if it was. What they have stays where it is.
    async fn erased_at(&self) -> Option<DateTime<Utc>> {
        self.0.erased_at
    }

    /// The words that the enterprise has tied to them, to the enterprise alone.
    async fn tags(&self, ctx: &Context<'_>) -> Result<Option<Vec<String>>> {
        if ctx.request().enterprise().is_err() {
            return Ok(None);
        }
        ctx.loaders().one(TagsOf(self.0.id)).await.map(|tags| Some(tags.unwrap_or_default())).map_err(raise)
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When they first came.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// A holder as far as the caller may know them: nothing for roles without `HOLDER_READ`, and for a holder nobody but
/// themselves.
pub async fn find_holder(ctx: &Context<'_>, id: Option<HolderId>) -> Result<Option<HolderObject>> {
    match id {
        Some(id) if ctx.request().reading(Permission::HolderRead).is_ok() => {
            Ok(ctx.loaders().one(id).await.map_err(raise)?.map(HolderObject))
        }
        _ => Ok(None),
    }
}

pub struct ItemObject(pub Item);

/// One numbered piece of a collectible (藏品份).
#[Object(name = "Item")]
impl ItemObject {
    /// Its ID.
    pub async fn id(&self) -> ItemId {
        self.0.id
    }

    /// What it is a piece of.
    async fn collectible(&self, ctx: &Context<'_>) -> Result<CollectibleObject> {
        ctx.loaders().required(self.0.collectible_id).await.map(CollectibleObject).map_err(raise)
    }

    /// Its number, unique within the collectible.
    async fn serial_number(&self) -> i32 {
        self.0.serial
    }

    /// Its number as people read it: `#00003`.
    async fn serial_text(&self) -> String {
        item::serial_text(self.0.serial)
    }

    /// Who holds it; nobody while it lies in the enterprise's treasury, or where you may not know.
    async fn holder(&self, ctx: &Context<'_>) -> Result<Option<HolderObject>> {
        find_holder(ctx, self.0.holder_id).await
    }

    /// Since when its holder has it.
    async fn acquired_at(&self) -> Option<DateTime<Utc>> {
        self.0.acquired_at
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }
}

pub struct TransferObject(pub Transfer);

/// An item on its way to a holder (转移). Free and irreversible.
#[Object(name = "Transfer")]
impl TransferObject {
    /// Its ID, which is also its operation ID on the ledger.
    pub async fn id(&self) -> TransferId {
        self.0.id
    }

    /// The item.
    async fn item(&self, ctx: &Context<'_>) -> Result<Option<ItemObject>> {
        Ok(ctx.loaders().one(self.0.item_id).await.map_err(raise)?.map(ItemObject))
    }

    /// Who gives it; nobody where it comes from the enterprise's treasury, or where you may not know.
    #[graphql(name = "fromHolder")]
    async fn giver(&self, ctx: &Context<'_>) -> Result<Option<HolderObject>> {
        find_holder(ctx, self.0.from_holder_id).await
    }

    /// Who receives it, unless you may not know.
    #[graphql(name = "toHolder")]
    async fn receiver(&self, ctx: &Context<'_>) -> Result<Option<HolderObject>> {
        find_holder(ctx, Some(self.0.to_holder_id)).await
    }

    /// What set it going.
    async fn cause(&self) -> TransferCause {
        self.0.cause
    }

    /// Where it stands.
    async fn state(&self) -> TransferState {
        self.0.state
    }

    /// Why it failed, if it did; to the enterprise.
    async fn failure(&self, ctx: &Context<'_>) -> Option<&str> {
        ctx.request().enterprise().ok()?;
        self.0.failure.as_deref()
    }

    /// Counts up with every change of state.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When its state last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// Which items to list. A holder sees only their own whatever is asked.
#[derive(InputObject, Default)]
pub struct ItemFilterInput {
    /// Only this holder's.
    pub holder_id: Option<HolderId>,
    /// Only pieces of this collectible.
    pub collectible_id: Option<CollectibleId>,
}

/// Which transfers to list. A holder sees only those they give or receive.
#[derive(InputObject, Default)]
pub struct TransferFilterInput {
    /// Only this item's.
    pub item_id: Option<ItemId>,
    /// Only those in one of these states.
    pub states: Option<Vec<TransferState>>,
}

/// Which holders to list.
#[derive(InputObject, Default)]
pub struct HolderFilterInput {
    /// Only whose number this is: the whole of it, 11 digits with or without +86. For the enterprise alone.
    pub phone: Option<String>,
}

/// What can be read of holders and of what they have.
#[derive(MergedObject, Default)]
pub struct WalletsQuery(ItemsQuery, wallet::WalletQuery, wechat::WeChatQuery);

/// What can be done by holders, and about them.
#[derive(MergedObject, Default)]
pub struct WalletsMutation(
    ItemsMutation,
    holders::HolderMutation,
    personal::PersonalMutation,
    wallet::WalletMutation,
    wechat::WeChatMutation,
);

#[derive(Default)]
pub struct ItemsQuery;

#[Object]
impl ItemsQuery {
    /// One holder by ID. A holder finds only themselves.
    async fn holder(&self, ctx: &Context<'_>, id: HolderId) -> Result<Option<HolderObject>> {
        ctx.request().reading(Permission::HolderRead).map_err(raise)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(HolderObject))
    }

    /// The enterprise's holders.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn holders(
        &self,
        ctx: &Context<'_>,
        filter: Option<HolderFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<HolderObject>> {
        ctx.request().reading(Permission::HolderRead).map_err(raise)?;
        let page = Page::new(HOLDER_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let phone = filter.unwrap_or_default().phone;
        let phone = phone.map(|text| searched(ctx, &text)).transpose().map_err(raise)?;
        let tx = read(ctx).await?;
        let phone_hash = match phone {
            Some(phone) => Some(holder::look_for(ctx.platform(), &tx, &phone).await.map_err(raise)?),
            None => None,
        };
        let filter = HolderFilter { phone_hash };
        let rows = store::list_holders(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count_holders(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, HolderObject))
    }

    /// One item by ID.
    async fn item(&self, ctx: &Context<'_>, id: ItemId) -> Result<Option<ItemObject>> {
        ctx.request().reading(Permission::TransferRead).map_err(raise)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(ItemObject))
    }

    /// Items that somebody holds: a holder's wallet, or what the enterprise has given out.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn items(
        &self,
        ctx: &Context<'_>,
        filter: Option<ItemFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<ItemObject>> {
        ctx.request().reading(Permission::TransferRead).map_err(raise)?;
        let page = Page::new(ITEM_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = filter.unwrap_or_default();
        let mut filter = ItemFilter { holder: filter.holder_id, collectible: filter.collectible_id };
        if let Caller::Holder(scope) = &ctx.request().caller {
            filter.holder = Some(scope.holder());
        }
        let tx = read(ctx).await?;
        let rows = store::list_items(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count_items(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, ItemObject))
    }

    /// One transfer by ID. Polling it tells what `transferStatus` tells.
    async fn transfer(&self, ctx: &Context<'_>, id: TransferId) -> Result<Option<TransferObject>> {
        ctx.request().reading(Permission::TransferRead).map_err(raise)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(TransferObject))
    }

    /// Transfers of the enterprise's items.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn transfers(
        &self,
        ctx: &Context<'_>,
        filter: Option<TransferFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<TransferObject>> {
        ctx.request().reading(Permission::TransferRead).map_err(raise)?;
        let page = Page::new(TRANSFER_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = filter.unwrap_or_default();
        let filter = TransferFilter { item: filter.item_id, states: filter.states };
        let tx = read(ctx).await?;
        let rows = transfers::list_transfers(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { transfers::count_transfers(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, TransferObject))
    }
}

/// The number that somebody of the enterprise looks for. Holders find themselves without.
fn searched(ctx: &Context<'_>, text: &str) -> std::result::Result<holder::Phone, Fault> {
    ctx.request().enterprise()?;
    let words = "`phone` takes a whole mainland mobile number: 11 digits, with or without +86";
    holder::Phone::parse(text).ok_or_else(|| Fault::BadRequest(words.into()))
}

/// Signs a person on: by phone, by the enterprise's own customer number, or by both.
#[derive(InputObject)]
pub struct HolderSignOnInput {
    /// A mainland mobile number: 11 digits, with or without +86.
    pub phone: Option<String>,
    /// The enterprise's own customer number. Once it has come with a phone, it finds the same holder by itself.
    pub partner_user_id: Option<String>,
    /// What they call themselves, at most 40 characters. Kept from their first sign-on.
    #[graphql(default)]
    pub nickname: String,
}

/// Ties words to holders, or takes them off.
#[derive(InputObject)]
pub struct HolderTagsChangeInput {
    /// 1 to 1000 holders.
    pub holder_ids: Vec<HolderId>,
    /// At most 20 tags of 1 to 32 characters each.
    #[graphql(default)]
    pub add: Vec<String>,
    /// At most 20.
    #[graphql(default)]
    pub remove: Vec<String>,
}

/// What came of changing tags.
#[derive(SimpleObject)]
pub struct HolderTagsChangePayload {
    /// The holders named, as they are now.
    pub holders: Vec<HolderObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<HolderUserError>,
}

/// Sets a transfer going.
#[derive(InputObject)]
pub struct TransferStartInput {
    /// The item to give.
    pub item_id: ItemId,
    /// Who shall have it.
    pub to_holder_id: HolderId,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Names a transfer.
#[derive(InputObject)]
pub struct TransferCancelInput {
    /// A gift that has not reached the ledger.
    pub id: TransferId,
}

/// What came of signing a person on.
#[derive(SimpleObject, Default)]
pub struct HolderSignOnPayload {
    /// The person.
    pub holder: Option<HolderObject>,
    /// A token that speaks for them: send it as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// When the token ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Good once, for the next token: hand it to `sessionRefresh`.
    pub refresh_token: Option<String>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<WalletUserError>,
}

/// What came of a mutation on transfers.
#[derive(SimpleObject)]
pub struct TransferPayload {
    /// The transfer as it is now; follow it with `transferStatus`.
    pub transfer: Option<TransferObject>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<WalletUserError>,
}

#[derive(Default)]
pub struct ItemsMutation;

#[Object]
impl ItemsMutation {
    /// Signs a person on whom the enterprise's own system has signed in, and gives their token. Needs `HOLDER_SIGN_ON`.
    async fn holder_sign_on(&self, ctx: &Context<'_>, input: HolderSignOnInput) -> Result<HolderSignOnPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let tokens = ctx.data_unchecked::<Arc<Tokens>>();
        let request = SignOn {
            phone: input.phone.as_deref(),
            partner_user: input.partner_user_id.as_deref(),
            nickname: &input.nickname,
        };
        let outcome = payload::run(ctx, WalletUserError::from_problem, || {
            holder::sign_on(ctx.platform(), tokens, scope, &request, &ctx.request().visit)
        })
        .await?;
        Ok(match outcome.value {
            Some(done) => HolderSignOnPayload {
                holder: Some(HolderObject(done.holder)),
                token: Some(done.granted.token),
                expires_at: Some(done.granted.expires_at),
                refresh_token: done.granted.refresh_token,
                user_errors: Vec::new(),
            },
            None => HolderSignOnPayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }

    /// Ties words to holders and takes others off: prize plans may be for those who have one of them. For all holders
    /// named, or for none. Needs `HOLDER_SIGN_ON`.
    async fn holder_tags_change(
        &self,
        ctx: &Context<'_>,
        input: HolderTagsChangeInput,
    ) -> Result<HolderTagsChangePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = TagRequest { holders: input.holder_ids, add: input.add, remove: input.remove };
        let outcome =
            payload::run(ctx, HolderUserError::from_problem, || tag::change(ctx.platform(), scope, &request)).await?;
        let holders = outcome.value.unwrap_or_default().into_iter().map(HolderObject).collect();
        Ok(HolderTagsChangePayload { holders, user_errors: outcome.user_errors })
    }

    /// Gives an item to another holder: a holder gives their own, an operator with `TRANSFER_MANAGE` any.
    async fn transfer_start(&self, ctx: &Context<'_>, input: TransferStartInput) -> Result<TransferPayload> {
        let request = GiftRequest { item: input.item_id, to: input.to_holder_id };
        let key = input.idempotency_key.parse().map_err(raise)?;
        let outcome = payload::run(ctx, WalletUserError::from_problem, || async {
            match &ctx.request().caller {
                Caller::Holder(scope) => transfer::give(ctx.platform(), scope, &request, &key).await,
                Caller::Enterprise(scope) => transfer::start(ctx.platform(), scope, &request, &key).await,
                Caller::Anonymous => Err(Fault::NO_TOKEN.into()),
                Caller::House(_) | Caller::Person(_) => {
                    Err(Fault::wrong_caller("企业的令牌", "a token of the enterprise").into())
                }
            }
        })
        .await?;
        let (transfer, replayed) = outcome.value.map_or((None, false), |done| (Some(done.transfer), done.replayed));
        Ok(TransferPayload { transfer: transfer.map(TransferObject), replayed, user_errors: outcome.user_errors })
    }

    /// Withdraws a gift that has not reached the ledger. Needs `TRANSFER_MANAGE`.
    async fn transfer_cancel(&self, ctx: &Context<'_>, input: TransferCancelInput) -> Result<TransferPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome =
            payload::run(ctx, WalletUserError::from_problem, || transfer::cancel(ctx.platform(), scope, input.id))
                .await?;
        Ok(TransferPayload {
            transfer: outcome.value.map(TransferObject),
            replayed: false,
            user_errors: outcome.user_errors,
        })
    }
}
