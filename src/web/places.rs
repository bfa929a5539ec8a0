//! How many places an address, or a guest, has among those that there are: nobody takes all.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

/// Places by holder. Clones count together. As many holders as there are places, of which whoever
/// gives them bounds the number.
#[derive(Clone)]
pub(super) struct Places<K: Eq + Hash + Clone = IpAddr> {
    taken: Arc<DashMap<K, usize>>,
    taken_in_all: Arc<AtomicUsize>,
    each_max: usize,
    all_max: usize,
}

/// One place; free again when it is dropped.
pub(super) struct Place<K: Eq + Hash + Clone = IpAddr> {
    places: Places<K>,
    holder: Option<K>,
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// So many for each holder, and so many in all. With a limit of 0 for each, holders are not
    /// told apart.
    pub(super) fn new(each_max: usize, all_max: usize) -> Places<K> {
        Places { taken: Arc::default(), taken_in_all: Arc::default(), each_max, all_max }
    }

    /// A place for this holder; `None`: it has all it may have, or all are taken. One that is not
    /// known counts for nobody.
    pub(super) fn take(&self, holder: Option<K>) -> Option<Place<K>> {
        let order = Ordering::Relaxed;
        let room = |taken| (taken < self.all_max).then_some(taken + 1);
        self.taken_in_all.fetch_update(order, order, room).ok()?;
        // Given back when this returns without it.
        let mut place = Place { places: self.clone(), holder: None };
        if let Some(holder) = holder.filter(|_| self.each_max > 0) {
            let mut taken = self.taken.entry(holder.clone()).or_default();
            if *taken >= self.each_max {
                return None;
            }
            *taken += 1;
            drop(taken);
            place.holder = Some(holder);
        }
        Some(place)
    }

    /// The most that one holder may have.
    pub(super) fn each_max(&self) -> usize {
        self.each_max
    }
}

impl<K: Eq + Hash + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        self.places.taken_in_all.fetch_sub(1, Ordering::Relaxed);
        if let Some(holder) = self.holder.take() {
            if let Some(mut left) = self.places.taken.get_mut(&holder) {
                *left -= 1;
            }
            self.places.taken.remove_if(&holder, |_, left| *left == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_has_so_many_places_and_gets_them_back() {
        let places = Places::new(2, 9);
        let first = places.take(Some("one")).expect("a place");
        let _second = places.take(Some("one")).expect("a place");
        assert!(places.take(Some("one")).is_none());
        let _other = places.take(Some("other")).expect("another holder has its own");
        drop(first);
        let _third = places.take(Some("one")).expect("given back");
        assert_eq!(places.taken.len(), 2);
        assert_eq!(places.taken_in_all.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn there_are_so_many_in_all_whoever_holds_them() {
        for each_max in [0, 5] {
            let places = Places::new(each_max, 3);
            let held: Vec<_> = [Some(1), Some(2), None].map(|holder| places.take(holder)).into();
            assert!(held.iter().all(Option::is_some));
            assert!(places.take(Some(3)).is_none());
            drop(held);
            assert!(places.take(Some(3)).is_some());
        }
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let places = Places::new(1, 1);
        for number in 0..100 {
            assert!(places.take(Some(number)).is_some());
        }
        assert!(places.taken.is_empty());
    }
}
