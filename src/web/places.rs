//! How many connections an address has: nobody takes all that there are.

use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;

use crate::access::network;

/// Connections by address. Clones count together. As many addresses as there are connections, of
/// which the listener bounds the number.
#[derive(Clone)]
pub(super) struct Places {
    taken: Arc<DashMap<IpAddr, usize>>,
    per_address_max: usize,
}

/// The place of one connection; free again when it is dropped.
pub(super) struct Place(Option<(Arc<DashMap<IpAddr, usize>>, IpAddr)>);

impl Places {
    /// With a limit of 0 nothing is counted.
    pub(super) fn new(per_address_max: usize) -> Places {
        Places { taken: Arc::default(), per_address_max }
    }

    /// A place for a connection from this address; `None`: it has all it may have. A connection
    /// that has no address any more is gone, and needs none.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Option<Place> {
        let Some(address) = address.filter(|_| self.per_address_max > 0).map(network) else {
            return Some(Place(None));
        };
        let mut taken = self.taken.entry(address).or_default();
        if *taken >= self.per_address_max {
            return None;
        }
        *taken += 1;
        drop(taken);
        Some(Place(Some((Arc::clone(&self.taken), address))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((taken, address)) = self.0.take() {
            if let Some(mut left) = taken.get_mut(&address) {
                *left -= 1;
            }
            taken.remove_if(&address, |_, left| *left == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let places = Places::new(2);
        let take = |text: &str| places.take(text.parse().ok());
        let first = take("192.0.2.1").expect("a place");
        let _second = take("::ffff:192.0.2.1").expect("a place");
        assert!(take("192.0.2.1").is_none());
        let _other = take("192.0.2.2").expect("another address has its own");
        drop(first);
        let _third = take("192.0.2.1").expect("given back");
        assert_eq!(places.taken.len(), 2);
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let places = Places::new(1);
        for number in 0..100_u32 {
            drop(places.take(Some(IpAddr::V4(number.into()))));
        }
        assert!(places.taken.is_empty());
    }
}
