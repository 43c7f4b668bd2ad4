//! First-hand sale: merchants, domains, offers, orders and their payments.
//!
//! A SALE activity sells what its offers name. Publishing it sets each offer's stock aside ([`offers::allot_in`]). A
//! holder places an order, which reserves stock and counts against the holder's limit for fifteen minutes
//! ([`reserve`]); a payment in time numbers the pieces and asks for their delivery ([`pay`]); the transfer worker tells
//! of their arrival ([`deliver`]); what is not paid is taken back ([`cancel`], [`expire`]).
//!
//! Payment, cancellation and expiry compete on the order's row lock, and each looks at the state again under it. Locks
//! are always taken in this order: orders, tallies, allotments; and within each by ID.
//!
//! Money arrives through a [`payment::PaymentProvider`]. To add a channel: add its word to [`model::PaymentChannel`] and to the
//! two CHECKs of migration 0005, write the provider in a file of its own beside `sandbox.rs`, and hand it to
//! [`SalesServices::with_provider`] in the wiring. Nothing else changes: a provider verifies a merchant number, starts a
//! payment, and turns what the channel sends into a [`payment::Notification`]; what a notification means for an order is
//! decided once, in `pay.rs`. A domain is proved by a [`proof::DomainProof`]; another kind of proof is another
//! implementation.

pub mod basket;
pub mod cancel;
pub mod deliver;
pub mod domain;
pub mod expire;
pub mod graphql;
pub mod loaders;
pub mod merchant;
pub mod model;
pub mod offers;
pub mod order;
pub mod pay;
pub mod payment;
pub mod place;
pub mod proof;
pub mod reserve;
pub mod sandbox;
pub mod store;

use std::sync::Arc;

use model::PaymentChannel;
use payment::PaymentProvider;
use proof::DomainProof;
use sandbox::Sandbox;

use crate::platform::fault::Fault;

/// The outside world as sales meets it. Made once, in the wiring, and put into the schema's data.
pub struct SalesServices {
    providers: Vec<Arc<dyn PaymentProvider>>,
    sandbox: Option<Arc<Sandbox>>,
    pub domain_proof: Arc<dyn DomainProof>,
}

impl SalesServices {
    pub fn new(domain_proof: Arc<dyn DomainProof>) -> Self {
        Self { providers: Vec::new(), sandbox: None, domain_proof }
    }

    pub fn with_provider(mut self, provider: Arc<dyn PaymentProvider>) -> Self {
        self.providers.push(provider);
        self
    }

    /// Lets orders be paid with play money through `sandboxPay`.
    pub fn with_sandbox(mut self, sandbox: Sandbox) -> Self {
        let sandbox = Arc::new(sandbox);
        self.sandbox = Some(sandbox.clone());
        self.with_provider(sandbox)
    }

    pub fn provider(&self, channel: PaymentChannel) -> Result<&dyn PaymentProvider, Fault> {
        self.providers.iter().find(|provider| provider.channel() == channel).map(|provider| &**provider).ok_or_else(
            || {
                Fault::Unavailable(anyhow::anyhow!(
                    "no payment provider for {channel:?} is configured; play money needs --development"
                ))
            },
        )
    }

    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_deref()
    }
}
