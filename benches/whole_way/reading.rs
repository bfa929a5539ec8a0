//! What one case measured.

use std::collections::BTreeMap;
use std::ops::Sub;
use std::time::Duration;

pub struct Reading {
    pub wall: Duration,
    /// From the first byte sent to the last byte of a 201 read; sorted.
    pub waits: Vec<Duration>,
    /// Answers that were no 201.
    pub others: BTreeMap<u16, u64>,
    pub cpu: Duration,
    pub numbers: Option<Numbers>,
}

impl Reading {
    pub fn rate(&self) -> f64 {
        self.waits.len() as f64 / self.wall.as_secs_f64()
    }

    pub fn cpu_ms(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.waits.len() as f64
    }

    pub fn wait_ms(&self, percent: usize) -> f64 {
        self.waits[(self.waits.len() - 1) * percent / 100].as_secs_f64() * 1e3
    }
}

/// What a gateway counts itself, from its `/metrics`.
#[derive(Clone, Default)]
pub struct Numbers {
    /// Calls to Genesys that were answered.
    pub calls: f64,
    /// Upper bounds in seconds, and the commits that took no longer.
    commits: Vec<(f64, f64)>,
}

impl Numbers {
    pub fn parse(metrics: &str) -> Numbers {
        let mut numbers = Numbers::default();
        for line in metrics.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            if name.starts_with("voicepost_calls_total") {
                numbers.calls += value.parse::<f64>().unwrap();
            } else if let Some(bound) = name
                .strip_prefix("voicepost_commit_seconds_bucket{le=\"")
                .and_then(|rest| rest.strip_suffix("\"}"))
            {
                let bound = bound.parse().unwrap_or(f64::INFINITY);
                numbers.commits.push((bound, value.parse().unwrap()));
            }
        }
        numbers
    }

    /// The commit latency that this part of the commits kept, in milliseconds: within its bucket
    /// taken as evenly spread.
    pub fn commit_ms(&self, part: f64) -> f64 {
        let wanted = self.commits.last().map_or(0.0, |(_, all)| all * part);
        let (mut from, mut below) = (0.0, 0.0);
        for &(to, count) in &self.commits {
            if count >= wanted && count > below && to.is_finite() {
                return (from + (to - from) * (wanted - below) / (count - below)) * 1e3;
            }
            (from, below) = (to, count);
        }
        from * 1e3
    }
}

impl Sub for Numbers {
    type Output = Numbers;

    fn sub(self, before: Numbers) -> Numbers {
        let commits = self.commits.iter().zip(&before.commits);
        Numbers {
            calls: self.calls - before.calls,
            commits: commits.map(|((to, after), (_, before))| (*to, after - before)).collect(),
        }
    }
}
