//! How much callers may ask: requests a minute, by API key, by guest, and by client address.
//!
//! The arithmetic is GCRA (`governor`): a quota of N a minute may be used up at once, and comes
//! back evenly. Tables are bounded: with more callers than that at a time they share quotas by
//! chance, which refuses too many rather than too few.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota as Rate, RateLimiter};

use super::Caller;
use crate::domain::Principal;
use crate::settings::Quota;

/// Callers of one kind that are counted apart.
const CALLERS_MAX: usize = 100_000;
/// Quotas that callers share who are too many.
const CROWDS: u64 = 4_096;
/// How many requests pass between two looks at a table's size; it outgrows its bound by no more.
const LOOK_EVERY: u32 = 256;
/// Different quotas that API keys may have of their own; with more all are counted anew.
const OWN_QUOTAS_MAX: usize = 256;
/// Bits of an IPv6 address that name a network; the rest is its owner's to choose.
const IPV6_NETWORK_BITS: u32 = 64;

/// How a caller stands with their quota after one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which quota: `key`, `guest` or `address`.
    pub policy: &'static str,
    /// Requests a minute.
    pub per_minute: u32,
    /// Requests that are left now.
    pub left: u32,
    /// Seconds until the whole quota is there again; where the request is refused, until the next
    /// one would not be.
    pub again_in_seconds: u32,
    /// Whether this request is beyond the quota.
    pub used_up: bool,
}

/// Every quota there is. One for the process.
pub struct Quotas {
    keys: Option<Table<Principal>>,
    own: DashMap<u32, Arc<Table<Principal>>>,
    guests: Option<Table<Principal>>,
    addresses: Option<Table<IpAddr>>,
    unproven: Option<Unproven>,
}

impl Quotas {
    /// As the settings say. Addresses are counted only where strangers can come.
    pub fn new(settings: &Quota, strangers: bool) -> Quotas {
        Quotas {
            keys: Table::new("key", settings.key_per_minute),
            own: DashMap::new(),
            guests: Table::new("guest", settings.guest_per_minute),
            addresses: Table::new("address", settings.address_per_minute).filter(|_| strangers),
            unproven: Table::new("address", settings.address_per_minute)
                .map(|table| Unproven { table, shut: DashMap::new() }),
        }
    }

    /// Counts a request from an address; IPv6 by network. `None`: there is no quota.
    pub fn address(&self, address: IpAddr) -> Option<Standing> {
        Some(self.addresses.as_ref()?.take(network(address)))
    }

    /// How an address stands that has come too often without a proof where one is needed; `None`:
    /// it is listened to.
    pub fn shut(&self, address: IpAddr) -> Option<Standing> {
        self.unproven.as_ref()?.standing(network(address))
    }

    /// Counts a request that proved nothing. Those that prove themselves are never counted: who
    /// sends them is trusted with how many there are.
    pub fn unproven(&self, address: IpAddr) {
        if let Some(unproven) = &self.unproven {
            unproven.count(network(address));
        }
    }

    /// Counts a request of a caller: a guest's, or a backend's by its key's own quota where it has
    /// one. `None`: there is no quota.
    pub fn caller(&self, caller: &Caller) -> Option<Standing> {
        let principal = caller.principal.clone();
        if caller.guest.is_some() {
            return Some(self.guests.as_ref()?.take(principal));
        }
        match caller.quota_per_minute {
            Some(own) => Some(self.own(own)?.take(principal)),
            None => Some(self.keys.as_ref()?.take(principal)),
        }
    }

    fn own(&self, per_minute: u32) -> Option<Arc<Table<Principal>>> {
        if let Some(table) = self.own.get(&per_minute) {
            return Some(Arc::clone(&table));
        }
        if self.own.len() >= OWN_QUOTAS_MAX {
            self.own.clear();
        }
        let table = Arc::new(Table::new("key", per_minute)?);
        Some(Arc::clone(&self.own.entry(per_minute).or_insert(table)))
    }

    /// Forgets callers whose whole quota is there again. Takes time where they are many.
    pub fn sweep(&self) {
        for table in self.keys.iter().chain(&self.guests) {
            table.sweep();
        }
        if let Some(table) = &self.addresses {
            table.sweep();
        }
        self.own.iter().for_each(|table| table.sweep());
        if let Some(unproven) = &self.unproven {
            unproven.sweep();
        }
    }
}

/// Addresses that come without a proof. Whether a request has one is known after its body was read:
/// so it is counted then, and who has used up the quota is not read for a while.
struct Unproven {
    table: Table<IpAddr>,
    /// Until when; [`CALLERS_MAX`] at most, what comes beyond that is read.
    shut: DashMap<IpAddr, <DefaultClock as Clock>::Instant>,
}

impl Unproven {
    fn count(&self, address: IpAddr) {
        let Standing { left, per_minute, .. } = self.table.take(address);
        if left == 0 && self.shut.len() < CALLERS_MAX {
            // Until one more is there again, and no shorter than what can be told in `Retry-After`.
            let pause = (Duration::from_secs(60) / per_minute).max(Duration::from_secs(1));
            self.shut.insert(address, self.table.limiter.clock().now() + Nanos::from(pause));
        }
    }

    fn standing(&self, address: IpAddr) -> Option<Standing> {
        let until = *self.shut.get(&address)?;
        let pause = until.duration_since(self.table.limiter.clock().now());
        (!pause.is_zero()).then(|| Standing {
            policy: self.table.policy,
            per_minute: self.table.per_minute.get(),
            left: 0,
            again_in_seconds: seconds(pause),
            used_up: true,
        })
    }

    fn sweep(&self) {
        self.table.sweep();
        let now = self.table.limiter.clock().now();
        self.shut.retain(|_, until| *until > now);
    }
}

/// A caller, or one of the quotas that callers share who are too many.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Holder<K> {
    One(K),
    Crowd(u64),
}

type Limiter<K> =
    RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

struct Table<K: Clone + Eq + Hash> {
    policy: &'static str,
    per_minute: NonZeroU32,
    limiter: Limiter<Holder<K>>,
    asked: AtomicU32,
    full: AtomicBool,
    hasher: RandomState,
}

impl<K: Clone + Eq + Hash> Table<K> {
    /// `None` for a quota of 0, which means none.
    fn new(policy: &'static str, per_minute: u32) -> Option<Table<K>> {
        let per_minute = NonZeroU32::new(per_minute)?;
        let limiter = RateLimiter::keyed(Rate::per_minute(per_minute)).with_middleware();
        Some(Table {
            policy,
            per_minute,
            limiter,
            asked: AtomicU32::new(0),
            full: AtomicBool::new(false),
            hasher: RandomState::new(),
        })
    }

    fn take(&self, key: K) -> Standing {
        if self.asked.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == LOOK_EVERY - 1 {
            self.look();
        }
        let holder = if self.full.load(Ordering::Relaxed) {
            Holder::Crowd(self.hasher.hash_one(&key) % CROWDS)
        } else {
            Holder::One(key)
        };
        let (left, wait) = match self.limiter.check_key(&holder) {
            Ok(found) => (found.remaining_burst_capacity(), None),
            Err(refused) => (0, Some(refused.wait_time_from(self.limiter.clock().now()))),
        };
        let per_minute = self.per_minute.get();
        let whole = Duration::from_secs(60) * (per_minute - left.min(per_minute)) / per_minute;
        Standing {
            policy: self.policy,
            per_minute,
            left,
            again_in_seconds: seconds(wait.unwrap_or(whole)),
            used_up: wait.is_some(),
        }
    }

    /// Where the table is full, callers are counted together until the next sweep.
    fn look(&self) {
        let full = self.limiter.len() >= CALLERS_MAX;
        if self.full.swap(full, Ordering::Relaxed) != full {
            tracing::warn!(policy = self.policy, full, "so many callers share quotas");
        }
    }

    fn sweep(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        self.look();
    }
}

/// Whole seconds, at least one: nobody is told to come back at once.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs_f64().ceil() as u64).unwrap_or(u32::MAX).max(1)
}

/// The address itself, or the network (IPv6, /64) that its owner can choose addresses from.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - IPV6_NETWORK_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas() -> Quotas {
        let settings = Quota { key_per_minute: 6, guest_per_minute: 3, address_per_minute: 2 };
        Quotas::new(&settings, true)
    }

    fn used_up(quotas: &Quotas, address: &str) -> bool {
        quotas.address(address.parse().expect("an address")).expect("a quota").used_up
    }

    #[test]
    fn an_owner_of_a_network_does_not_get_more_by_changing_addresses() {
        let quotas = quotas();
        assert!(!used_up(&quotas, "2001:db8:0:1::1"));
        assert!(!used_up(&quotas, "2001:db8:0:1:ffff::2"));
        assert!(used_up(&quotas, "2001:db8:0:1::3"));
        assert!(!used_up(&quotas, "2001:db8:0:2::1"), "another network");
        assert!(!used_up(&quotas, "192.0.2.1"));
        assert!(!used_up(&quotas, "::ffff:192.0.2.1"), "the same address, written otherwise");
        assert!(used_up(&quotas, "192.0.2.1"));
        assert!(!used_up(&quotas, "192.0.2.2"));
    }

    #[test]
    fn what_is_left_and_when_it_comes_back_is_told() {
        let quotas = quotas();
        let stand = || quotas.caller(&Caller::loopback()).expect("a quota");
        let told: Vec<_> = (0..7).map(|_| stand()).map(|s| (s.left, s.used_up)).collect();
        let left = [(5, false), (4, false), (3, false), (2, false), (1, false), (0, false)];
        assert_eq!(told[..6], left);
        assert_eq!(told[6], (0, true));
        let refused = stand();
        assert_eq!((refused.policy, refused.per_minute), ("key", 6));
        assert!((9..=10).contains(&refused.again_in_seconds), "{refused:?}");
    }

    #[test]
    fn a_key_with_a_quota_of_its_own_is_held_to_that() {
        let quotas = quotas();
        let own = Caller { quota_per_minute: Some(1), ..Caller::loopback() };
        assert!(!quotas.caller(&own).expect("a quota").used_up);
        assert!(quotas.caller(&own).expect("a quota").used_up);
        assert!(!quotas.caller(&Caller::loopback()).expect("a quota").used_up);
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_the_table_beyond_its_bound() {
        let quotas = quotas();
        for number in 0..2 * CALLERS_MAX as u32 {
            quotas.address(IpAddr::V4(number.into()));
        }
        let table = quotas.addresses.as_ref().expect("a table");
        let bound = CALLERS_MAX + LOOK_EVERY as usize + CROWDS as usize;
        assert!(table.limiter.len() <= bound, "{} callers", table.limiter.len());
        assert!(table.full.load(Ordering::Relaxed));
        // One that comes again and again is refused all the same.
        assert!((0..3).any(|_| used_up(&quotas, "203.0.113.9")));
    }
}
