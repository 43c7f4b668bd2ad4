//! Clients of other people's protocols: how a message looks on their wire, how it is signed, and what an answer means.
//!
//! Here are wire formats and nothing else: no database, no GraphQL, no tenancy. A bridge may use `platform` only;
//! capabilities may use bridges. Whose credentials are used, how often somebody may ask and what is stored of an
//! answer is for the capability to decide; `tests/suite/walls.rs` keeps it so.
//!
//! A new bridge is a file (a folder if the provider has several products) that names its public source in its docs,
//! takes credentials and the address as parameters, sends through `exchange` (or, where a tenant named the address,
//! through `platform::outbound`) and answers in a closed set of errors
//! whose texts hold nothing of the request. Its tests run it against a double on 127.0.0.1 that is as strict as the
//! provider's documentation, and judges signatures in code of its own.

pub mod callback;
pub mod ethereum;
mod exchange;
pub mod id_number;
pub mod oidc;
pub mod partner_signature;
pub mod tencent;
pub mod wechat;

pub use exchange::client;
