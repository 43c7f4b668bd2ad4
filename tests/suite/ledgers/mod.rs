//! Ledgers: what holds of each of them, what the embedded one proves, and what an audit of it finds.

mod checkpoints;
mod conformance;
mod embedded;
mod evm;
mod faults;
mod proofs;
mod tampering;
