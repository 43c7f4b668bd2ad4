//! The one schema: each capability brings its part.

use async_graphql::{MergedObject, MergedSubscription, Schema, SchemaBuilder};

use crate::activities::graphql::{
    ActivitiesMutation, ActivitiesQuery, ChancesMutation, ChancesQuery, CustomRulesMutation, CustomRulesQuery,
    PrizesMutation, ProofsQuery, ReportQuery, ReportSubscription, ViewMutation,
};
use crate::api::node::NodeQuery;
use crate::api::review::{ReviewMutation, ReviewQuery};
use crate::catalog::graphql::designs::DesignMutation;
use crate::catalog::graphql::{CatalogMutation, CatalogQuery};
use crate::catalog::media::graphql::{MediaMutation, MediaQuery};
use crate::catalog::subscription::CatalogSubscription;
use crate::events::graphql::{EventsQuery, EventsSubscription};
use crate::ledger::graphql::LedgerQuery;
use crate::sales::graphql::{SalesMutation, SalesQuery};
use crate::tenancy::graphql::{TenancyMutation, TenancyQuery};
use crate::wallets::graphql::points::{PointsMutation, PointsQuery};
use crate::wallets::graphql::{WalletsMutation, WalletsQuery};
use crate::wallets::subscription::WalletsSubscription;

/// What can be read.
#[derive(MergedObject, Default)]
pub struct Query(
    NodeQuery,
    TenancyQuery,
    ReviewQuery,
    CatalogQuery,
    MediaQuery,
    ActivitiesQuery,
    ChancesQuery,
    CustomRulesQuery,
    ProofsQuery,
    ReportQuery,
    SalesQuery,
    WalletsQuery,
    PointsQuery,
    LedgerQuery,
    EventsQuery,
);

/// What can be done. Each mutation takes one `input` and answers with the changed object and `userErrors`.
#[derive(MergedObject, Default)]
pub struct Mutation(
    TenancyMutation,
    ReviewMutation,
    CatalogMutation,
    DesignMutation,
    MediaMutation,
    ActivitiesMutation,
    ChancesMutation,
    CustomRulesMutation,
    PrizesMutation,
    ViewMutation,
    SalesMutation,
    WalletsMutation,
    PointsMutation,
);

/// What can be followed.
#[derive(MergedSubscription, Default)]
pub struct Subscription(CatalogSubscription, ReportSubscription, WalletsSubscription, EventsSubscription);

pub type ApiSchema = Schema<Query, Mutation, Subscription>;

/// The schema without its data. Depth, complexity and the like are judged before it, in `transport`.
pub fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription::default())
}

/// The contract as text, sorted, so that two versions of it can be compared.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    builder().finish().sdl_with_options(options)
}
