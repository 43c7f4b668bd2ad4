//! Sales in GraphQL: decode, call, map.

mod mutations;
mod objects;
mod queries;

pub use mutations::SalesMutation;
pub use objects::{DomainObject, MerchantObject, MoneyObject, OfferObject, OrderObject, PaymentObject};
pub use queries::SalesQuery;
