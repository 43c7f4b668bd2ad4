//! The catalogue: series, the collectibles in them, their issuance on the ledger, and their stock.
//!
//! Stock is counted once, on the collectible, and set aside in allotments: a run of serial numbers for one prize or
//! one offer ([`stock::allot_in`]). Who hands pieces out works on its own allotment only, so that two campaigns never
//! wait for each other.

pub mod collectible;
pub mod graphql;
pub mod issuance;
pub mod issue;
pub mod issue_job;
pub mod loaders;
pub mod model;
pub mod series;
pub mod stock;
pub mod store;
pub mod subscription;
