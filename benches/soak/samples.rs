//! What the gateway uses, read from outside every few seconds.

use std::path::PathBuf;
use std::time::Duration;

use crate::process::{Gateway, World};

const EVERY: Duration = Duration::from_secs(3);

/// One reading.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Since the beginning.
    pub at: Duration,
    /// The values, in the order of [`NAMES`].
    pub values: [u64; NAMES.len()],
}

/// What is read, with its unit.
pub const NAMES: [&str; 7] = [
    "resident_bytes",
    "descriptors",
    "threads",
    "wal_bytes",
    "spool_files",
    "purges_owed",
    "drives_awake",
];

/// Reads when it is time to.
pub struct Sampler {
    process: PathBuf,
    wal: PathBuf,
    next: Duration,
    pub samples: Vec<Sample>,
}

impl Sampler {
    /// Of the process with this id, whose write-ahead log is this file.
    pub fn new(pid: u32, wal: PathBuf) -> Sampler {
        let process = PathBuf::from(format!("/proc/{pid}"));
        Sampler { process, wal, next: Duration::ZERO, samples: Vec::new() }
    }

    /// Takes a sample where the last one is old enough.
    pub fn look(&mut self, gateway: &Gateway, world: &World, at: Duration) {
        if at < self.next {
            return;
        }
        self.next = at + EVERY;
        let state = gateway.state();
        let count =
            |folder: &str| std::fs::read_dir(self.process.join(folder)).unwrap().count() as u64;
        let values = [
            self.resident_bytes(),
            count("fd"),
            count("task"),
            std::fs::metadata(&self.wal).map_or(0, |found| found.len()),
            world.spooled().len() as u64,
            state["ledger"]["purges_owed"].as_u64().unwrap(),
            state["drives_awake"].as_u64().unwrap(),
        ];
        self.samples.push(Sample { at, values });
    }

    fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(self.process.join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

/// All samples as comma-separated lines.
pub fn csv(samples: &[Sample]) -> String {
    let mut text = format!("seconds,{}\n", NAMES.join(","));
    for sample in samples {
        let values = sample.values.map(|value| value.to_string());
        text += &format!("{:.0},{}\n", sample.at.as_secs_f64(), values.join(","));
    }
    text
}
