//! Activities: who may win what, under which odds, and the record of every draw.
//!
//! An activity is drafted ([`create`]), tried out ([`simulate`]), reviewed by the house ([`submit`]), and published
//! ([`publish`]): from then on its plans are frozen, its stock set aside, and, where people draw, its [`terms`] in
//! [`force`] and its seed committed to. Whether it runs is a matter of its window and the database's clock ([`window`]);
//! only decisions are stored. Once it is over it is settled ([`settle`]), and its seed shown.
//!
//! A draw goes a way of its own, because one activity may see thousands a second. [`draw`] takes the wish, the
//! activity's [`lane`] takes all wishes that wait, and one transaction serves them together and leaves a [`record`]. What
//! it decides is pure: [`engine`] turns wishes into outcomes, [`fairness`] says byte by byte how numbers and a record's
//! hash come about. [`verify`] makes draws again from what [`publication`] serves, and [`explain`] puts them into words.
//! The ledger binds what has been recorded by an [`anchor`] for each stretch of draws ([`anchor_job`]); so one draw can be
//! shown by itself ([`prove`]) and checked without all the others ([`proof`]).
//!
//! Who may draw is a matter of [`participation`], how often one of [`chances`]: those that everybody has, and those earned
//! by a [`task`], a [`draw_code`] or the enterprise's [`grant`].
//!
//! An enterprise may decide by itself: [`custom_rule`] keeps its endpoints, [`consult`] asks them between two visits to the
//! lane, and what they say is a [`ruling`] that the record binds.
//!
//! A win and an airdrop's row are both a claim ([`claim`]): a numbered piece that somebody is owed, theirs once they
//! take it up before its deadline and it has reached them ([`deliver`]): a collectible by the ledger, points and a claim
//! code ([`prize_code`]) at once, and what the enterprise delivers once it says so ([`fulfil`]). Wins of chosen prizes wait
//! for the enterprise's word first ([`win_review`]).
//!
//! What happens is counted as it happens: [`report`] tells what an activity came to, [`view`] counts who looked at it.
//!
//! To add a kind of prize, see [`deliver`]. To add a kind of activity, add its word to [`model::ActivityKind`], its rules to [`create`], and what publication
//! must prepare to [`publish`]. To change what decides a draw, change [`engine`] and raise the version in
//! [`fairness`]'s domain strings: records already written must stay verifiable.

pub mod airdrop;
pub mod anchor;
pub mod anchor_job;
pub mod chances;
pub mod change;
pub mod claim;
pub mod consult;
pub mod create;
pub mod custom_rule;
pub mod deliver;
pub mod draw;
pub mod draw_code;
pub mod end;
pub mod engine;
pub mod explain;
pub mod fairness;
pub mod force;
pub mod fulfil;
pub mod grant;
pub mod graphql;
pub mod lane;
pub mod loaders;
pub mod model;
pub mod participation;
pub mod pause;
pub mod phone_list;
pub mod prize_code;
pub mod proof;
pub mod prove;
pub mod publication;
pub mod publish;
pub mod record;
pub mod report;
pub mod ruling;
pub mod settle;
pub mod simulate;
pub mod store;
pub mod submit;
pub mod task;
pub mod terms;
pub mod verify;
pub mod view;
pub mod win_review;
pub mod window;
