//! Clients of other people's protocols.
//!
//! A bridge speaks one protocol and decides nothing of the business: it uses `platform` alone, and a capability hands
//! it what it needs. What leaves for an address that a tenant named goes through `platform::outbound`. To add one, put
//! it into a file of its own, say in its module docs which text of the protocol it follows, and test it against a
//! program or vectors that are not ours.

pub mod oidc;
