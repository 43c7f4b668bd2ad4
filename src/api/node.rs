//! Relay's `Node`: any object by its ID.
//!
//! To add a type: a variant here and a line in `fetch`. The ID's prefix says which.

use async_graphql::{Context, Interface, Object, Result};

use crate::activities::graphql::{ActivityObject, AirdropObject, ClaimObject, DrawObject, PrizeObject};
use crate::activities::model::{ActivityId, AirdropId, ClaimId, DrawId, PrizeId};
use crate::api::context::ContextExt;
use crate::api::transport::raise;
use crate::catalog::graphql::{CollectibleObject, SeriesObject};
use crate::catalog::media::graphql::{self as media, MediaObject};
use crate::catalog::media::model::MediaId;
use crate::catalog::model::{CollectibleId, SeriesId};
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::sales::graphql::{DomainObject, MerchantObject, OfferObject, OrderObject};
use crate::sales::model::{DomainId, MerchantId, OfferId, OrderId};
use crate::tenancy::graphql::clients::ApiClientObject;
use crate::tenancy::graphql::qualifications::{DocumentObject, QualificationObject};
use crate::tenancy::graphql::{EnterpriseObject, OperatorObject, qualifications};
use crate::tenancy::model::{ApiClientId, DocumentId, EnterpriseId, OperatorId, QualificationId};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::Caller;
use crate::wallets::graphql::{HolderObject, ItemObject, TransferObject};
use crate::wallets::model::{HolderId, ItemId, TransferId};

/// Whatever has an ID.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "async_graphql::ID", desc = "Its ID."))]
pub enum Node {
    Enterprise(EnterpriseObject),
    Operator(OperatorObject),
    ApiClient(ApiClientObject),
    Document(DocumentObject),
    Qualification(QualificationObject),
    Series(SeriesObject),
    Collectible(CollectibleObject),
    Media(MediaObject),
    Activity(ActivityObject),
    Prize(PrizeObject),
    Draw(DrawObject),
    Claim(ClaimObject),
    Airdrop(AirdropObject),
    Merchant(MerchantObject),
    Domain(DomainObject),
    Offer(OfferObject),
    Order(OrderObject),
    Holder(HolderObject),
    Item(ItemObject),
    Transfer(TransferObject),
}

/// How many objects `nodes` gives at once.
const MAXIMUM_NODES: usize = 100;

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Any object by its ID; nothing where there is none, or none that you may see.
    async fn node(&self, ctx: &Context<'_>, id: async_graphql::ID) -> Result<Option<Node>> {
        fetch(ctx, &id).await.map_err(raise)
    }

    /// Many objects by their IDs, in the same order; at most 100.
    async fn nodes(&self, ctx: &Context<'_>, ids: Vec<async_graphql::ID>) -> Result<Vec<Option<Node>>> {
        if ids.len() > MAXIMUM_NODES {
            return Err(raise(Fault::BadRequest(format!(
                "`nodes` takes at most {MAXIMUM_NODES} IDs, {} came",
                ids.len()
            ))));
        }
        // Side by side, so that the loaders see them together.
        futures_util::future::try_join_all(ids.iter().map(|id| fetch(ctx, id))).await.map_err(raise)
    }
}

async fn fetch(ctx: &Context<'_>, id: &str) -> Result<Option<Node>, Fault> {
    let (prefix, uuid) = id::parse(id).map_err(|invalid| Fault::BadRequest(invalid.to_string()))?;
    let request = ctx.request();
    let loaders = ctx.loaders();
    macro_rules! load {
        ($id:ty, $permission:ident, $variant:ident, $object:expr) => {{
            request.reading(Permission::$permission)?;
            loaders.one(<$id>::from_uuid(uuid)).await?.map($object).map(Node::$variant)
        }};
    }
    Ok(match prefix {
        EnterpriseId::PREFIX => match request.caller {
            Caller::Anonymous => return Err(Fault::NO_TOKEN),
            _ => crate::tenancy::graphql::look_up(ctx, EnterpriseId::from_uuid(uuid)).await?.map(Node::Enterprise),
        },
        OperatorId::PREFIX => {
            request.enterprise()?.require(Permission::EnterpriseRead)?;
            loaders.one(OperatorId::from_uuid(uuid)).await?.map(OperatorObject).map(Node::Operator)
        }
        ApiClientId::PREFIX => {
            request.enterprise()?.require(Permission::EnterpriseRead)?;
            loaders.one(ApiClientId::from_uuid(uuid)).await?.map(ApiClientObject).map(Node::ApiClient)
        }
        DocumentId::PREFIX => {
            qualifications::look_up_document(ctx, DocumentId::from_uuid(uuid)).await?.map(Node::Document)
        }
        QualificationId::PREFIX => {
            qualifications::look_up(ctx, QualificationId::from_uuid(uuid)).await?.map(Node::Qualification)
        }
        SeriesId::PREFIX => load!(SeriesId, CatalogRead, Series, SeriesObject),
        CollectibleId::PREFIX => load!(CollectibleId, CatalogRead, Collectible, CollectibleObject),
        MediaId::PREFIX => media::look_up(ctx, MediaId::from_uuid(uuid)).await?.map(Node::Media),
        ActivityId::PREFIX => load!(ActivityId, ActivityRead, Activity, ActivityObject),
        PrizeId::PREFIX => load!(PrizeId, ActivityRead, Prize, PrizeObject),
        DrawId::PREFIX => load!(DrawId, ActivityRead, Draw, DrawObject),
        ClaimId::PREFIX => load!(ClaimId, ActivityRead, Claim, ClaimObject),
        AirdropId::PREFIX => {
            request.enterprise()?.require(Permission::ActivityRead)?;
            loaders.one(AirdropId::from_uuid(uuid)).await?.map(AirdropObject).map(Node::Airdrop)
        }
        MerchantId::PREFIX => {
            request.enterprise()?.require(Permission::SaleRead)?;
            loaders.one(MerchantId::from_uuid(uuid)).await?.map(MerchantObject).map(Node::Merchant)
        }
        DomainId::PREFIX => {
            request.enterprise()?.require(Permission::SaleRead)?;
            loaders.one(DomainId::from_uuid(uuid)).await?.map(DomainObject).map(Node::Domain)
        }
        OfferId::PREFIX => load!(OfferId, SaleRead, Offer, OfferObject),
        OrderId::PREFIX => load!(OrderId, SaleRead, Order, OrderObject),
        HolderId::PREFIX => load!(HolderId, HolderRead, Holder, HolderObject),
        ItemId::PREFIX => load!(ItemId, TransferRead, Item, ItemObject),
        TransferId::PREFIX => load!(TransferId, TransferRead, Transfer, TransferObject),
        _ => return Err(Fault::BadRequest(format!("`{prefix}` is no type of object"))),
    })
}
