//! What "flat" means: the median of a soak's last quarter is not above that of its second one by
//! more than a bound. The first quarter is for caches and pools to fill.

use std::fmt;

use super::samples::{NAMES, Sample};

/// How much may be added between the second quarter and the last: a share, and a constant for
/// what is small or comes in steps.
const BOUNDS: [(&str, f64, u64); 4] = [
    ("resident_bytes", 0.10, 4 * 1024 * 1024),
    ("descriptors", 0.10, 8),
    ("threads", 0.0, 2),
    ("wal_bytes", 0.10, 1024 * 1024),
];

/// Samples in a quarter below which its median means nothing.
const QUARTER_MIN: usize = 5;

/// One thing that was judged.
pub struct Finding {
    name: &'static str,
    second: u64,
    last: u64,
    bound: u64,
    pub is_flat: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { name, second, last, bound, is_flat } = self;
        let word = if *is_flat { "flat" } else { "GROWS" };
        write!(f, "{name}: {second} in the second quarter, {last} in the last, ≤ {bound}: {word}")
    }
}

/// Judges everything that has a bound; `None` where there are too few samples.
pub fn growth(samples: &[Sample]) -> Option<Vec<Finding>> {
    let quarter = samples.len() / 4;
    if quarter < QUARTER_MIN {
        return None;
    }
    let judge = |(name, share, constant): (&'static str, f64, u64)| {
        let column = NAMES.iter().position(|other| *other == name).unwrap();
        let second = median(&samples[quarter..quarter * 2], column);
        let last = median(&samples[samples.len() - quarter..], column);
        let bound = second + (second as f64 * share) as u64 + constant;
        Finding { name, second, last, bound, is_flat: last <= bound }
    };
    Some(BOUNDS.into_iter().map(judge).collect())
}

fn median(samples: &[Sample], column: usize) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(|sample| sample.values[column]).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
