//! Activities: who may win what, under which odds, and the record of every draw.
//!
//! An activity is drafted ([`create`]), reviewed by the house ([`submit`]), and published ([`publish`]): from then on
//! its plan is frozen, its stock set aside, and, where people draw, its seed committed to. Whether it runs is a matter
//! of its window and the database's clock ([`window`]); only decisions are stored.
//!
//! A draw goes a way of its own, because one activity may see thousands a second. [`draw`] takes the wish, the
//! activity's [`lane`] takes all wishes that wait, and one transaction serves them together. What it decides is pure:
//! [`engine`] turns wishes into outcomes, [`fairness`] says byte by byte how a roll and a record's hash come about, so
//! that an outsider can compute them again.
//!
//! A win and an airdrop's row are both a claim ([`claim`]): a numbered piece that somebody is owed, theirs once they
//! take it up before its deadline and the ledger has moved it.
//!
//! To add a kind of activity, add its word to [`model::ActivityKind`], its rules to [`create`], and what publication
//! must prepare to [`publish`]. To change what decides a draw, change [`engine`] and raise the version in
//! [`fairness`]'s domain strings: records already written must stay verifiable.

pub mod airdrop;
pub mod change;
pub mod claim;
pub mod create;
pub mod draw;
pub mod end;
pub mod engine;
pub mod fairness;
pub mod graphql;
pub mod lane;
pub mod loaders;
pub mod model;
pub mod pause;
pub mod publish;
pub mod record;
pub mod store;
pub mod submit;
pub mod window;
