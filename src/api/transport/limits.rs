//! What the edge allows: the settings, and the leaky buckets that operations are paid from.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::platform::address::Block;
use crate::platform::fault::Fault;

/// How the edge behaves. The defaults are fit for production.
#[derive(Clone)]
pub struct Settings {
    /// Where GraphQL is served, over every transport.
    pub path: String,
    /// Serves the GraphiQL page to browsers. Its scripts come from a public CDN, so it is for development only.
    pub explorer: bool,
    pub origins: Origins,
    /// The proxies in front: what they say of a caller's address is believed, and nobody else is.
    pub proxies: Vec<Block>,
    /// The longest body of a request and the longest message on a WebSocket. Parsing runs at 3 to 10 MB a second, so
    /// this is also a cap on the time that parsing takes.
    pub body_bytes: usize,
    /// How long a query or a mutation may run, and how long a body may take to arrive.
    pub timeout: Duration,
    pub documents: DocumentLimits,
    pub cost: CostLimits,
    pub streams: StreamLimits,
    /// The texts of the trusted documents: parsed at the start, never evicted, exempt from [`DocumentLimits`], and
    /// found by hash as persisted queries are.
    pub trusted: Vec<String>,
}

/// Which web pages may call from another origin.
#[derive(Clone)]
pub enum Origins {
    None,
    Any,
    Listed(Vec<String>),
    /// Asked for each request, since enterprises bind domains while the server runs. Must not block.
    Asked(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

/// The largest shape of a document, fragments expanded.
#[derive(Clone, Debug)]
pub struct DocumentLimits {
    /// Fields and fragments, each fragment counted wherever it is spread.
    pub nodes: u64,
    /// Fields within fields.
    pub depth: u64,
    pub aliases: u64,
    pub directives: u64,
    /// Fields at the top of an operation.
    pub roots: u64,
    /// The text of the parsed documents that are kept. A parse takes some twenty times the memory of its text.
    pub cached_bytes: usize,
}

#[derive(Clone, Debug)]
pub struct CostLimits {
    /// The most that one operation may cost.
    pub maximum: u32,
    /// The page size that is assumed where neither the request nor the schema names one.
    pub page: u32,
    /// How much flows back into a bucket in a minute.
    pub per_minute: u32,
    /// How much a bucket holds. Never less than `maximum`, or the dearest operation could never run.
    pub burst: u32,
    /// How many people's worth of both a visitor has who speaks for many, as an enterprise's own server does.
    pub crowd: u32,
}

#[derive(Clone, Debug)]
pub struct StreamLimits {
    /// How long a WebSocket may stay open without `connection_init`.
    pub init_timeout: Duration,
    /// How often the server pings. A peer that was silent since the last ping is taken for dead.
    pub ping: Duration,
    /// Operations that run at the same time on one WebSocket or in one event stream.
    pub operations: usize,
    /// Messages that wait for one consumer.
    pub queue: usize,
    /// How long a full queue may stay full before its consumer is cut.
    pub patience: Duration,
    /// How long a closing connection may take to hand over its last frame.
    pub farewell: Duration,
    /// How often an idle event stream sends a comment, so that proxies do not take it for dead.
    pub keep_alive: Duration,
    /// Reserved and open event streams of the single connection mode, on this server.
    pub reservations: usize,
    /// How long a reservation waits for its stream.
    pub reservation_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: "/graphql".to_owned(),
            explorer: false,
            origins: Origins::None,
            proxies: Vec::new(),
            body_bytes: 64 * 1024,
            timeout: Duration::from_secs(15),
            documents: DocumentLimits::default(),
            cost: CostLimits::default(),
            streams: StreamLimits::default(),
            trusted: Vec::new(),
        }
    }
}

impl Default for DocumentLimits {
    fn default() -> Self {
        // The introspection query of graphql-js is the deepest document that must pass: 15 levels, some 300 nodes.
        Self { nodes: 5_000, depth: 20, aliases: 100, directives: 50, roots: 30, cached_bytes: 4 * 1024 * 1024 }
    }
}

impl Default for CostLimits {
    fn default() -> Self {
        Self { maximum: 2_000, page: 20, per_minute: 30_000, burst: 5_000, crowd: 200 }
    }
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            init_timeout: Duration::from_secs(10),
            ping: Duration::from_secs(20),
            operations: 50,
            queue: 64,
            patience: Duration::from_secs(10),
            farewell: Duration::from_secs(5),
            keep_alive: Duration::from_secs(12),
            reservations: 10_000,
            reservation_timeout: Duration::from_secs(30),
        }
    }
}

/// Leaky buckets, one for each key. In this server's memory: with several servers each grants the whole budget.
pub struct Buckets {
    limiter: RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>,
    clock: DefaultClock,
    burst: NonZeroU32,
    charges: AtomicU32,
}

/// What an operation cost, and what its bucket still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    pub requested: u32,
    pub remaining: u32,
    pub limit: u32,
}

impl Buckets {
    pub fn new(limits: &CostLimits) -> Self {
        let burst = NonZeroU32::new(limits.burst.max(limits.maximum)).unwrap_or(NonZeroU32::MIN);
        let per_minute = NonZeroU32::new(limits.per_minute).unwrap_or(NonZeroU32::MIN);
        let clock = DefaultClock::default();
        let quota = Quota::per_minute(per_minute).allow_burst(burst);
        Self { limiter: RateLimiter::keyed(quota).with_middleware(), clock, burst, charges: AtomicU32::new(0) }
    }

    /// The buckets of those who speak for many.
    pub fn of_crowds(limits: &CostLimits) -> Self {
        Self::new(&CostLimits {
            per_minute: limits.per_minute.saturating_mul(limits.crowd),
            burst: limits.burst.saturating_mul(limits.crowd),
            ..limits.clone()
        })
    }

    /// Takes `cost` out of the bucket, or nothing and says how long to wait.
    pub fn charge(&self, bucket: &String, cost: u32) -> Result<Bill, Fault> {
        // A full bucket need not be remembered; without this the map would keep every key that ever came.
        if self.charges.fetch_add(1, Ordering::Relaxed) % 8_192 == 8_191 {
            self.limiter.retain_recent();
        }
        let requested = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
        match self.limiter.check_key_n(bucket, requested) {
            Ok(Ok(state)) => Ok(Bill {
                requested: requested.get(),
                remaining: state.remaining_burst_capacity(),
                limit: self.burst.get(),
            }),
            Ok(Err(refused)) => Err(Fault::RateLimited(refused.wait_time_from(self.clock.now()))),
            Err(_) => Err(Fault::TooComplex(format!("{requested} > {}", self.burst))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_pays_until_it_is_empty_and_leaves_the_others_alone() {
        let buckets = Buckets::new(&CostLimits { maximum: 10, page: 20, per_minute: 60, burst: 10, crowd: 1 });
        let (one, other) = ("one".to_owned(), "other".to_owned());
        assert_eq!(buckets.charge(&one, 7).unwrap(), Bill { requested: 7, remaining: 3, limit: 10 });
        let refused = buckets.charge(&one, 7);
        assert!(matches!(refused, Err(Fault::RateLimited(wait)) if wait > Duration::from_secs(2)), "{refused:?}");
        assert_eq!(buckets.charge(&other, 10).unwrap().remaining, 0);
        assert!(matches!(buckets.charge(&other, 11), Err(Fault::TooComplex(_))));
    }
}
