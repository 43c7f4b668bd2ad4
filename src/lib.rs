//! Minthouse: a multi-tenant backend for digital-collectible marketing and sale.
//!
//! The top level names what the business does; `platform` and `api` are the ground it stands on.
//! docs/ARCHITECTURE.md is the map.

pub mod activities;
pub mod api;
pub mod app;
pub mod bridges;
pub mod catalog;
pub mod commands;
pub mod events;
pub mod ledger;
pub mod platform;
pub mod sales;
pub mod schema;
pub mod tenancy;
pub mod wallets;
