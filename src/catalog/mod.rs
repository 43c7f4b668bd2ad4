//! The catalogue: series, the collectibles in them, their issuance on the ledger, and their stock.
//!
//! Stock is counted once, on the collectible, and set aside in allotments: a run of serial numbers for one prize or
//! one offer ([`stock::allot_in`]). Who hands pieces out works on its own allotment only, so that two campaigns never
//! wait for each other.
//!
//! What an enterprise says of a design may be changed until the house sees it ([`model::design::Freedom`] decides, alone),
//! every change stands in the design's history ([`history`]), and what it shows are [`media`].

pub mod collectible;
pub mod edit;
pub mod graphql;
pub mod history;
pub mod issuance;
pub mod issue;
pub mod issue_job;
pub mod loaders;
pub mod media;
pub mod model;
pub mod series;
pub mod stock;
pub mod store;
pub mod subscription;
pub mod text;
