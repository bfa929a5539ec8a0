//! What a gateway holds at its worst: memory, files, TCP buffers (Linux, `/proc`).

use std::fmt;
use std::fs::{read_dir, read_to_string};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::gateway::Gateway;

const LOOK: Duration = Duration::from_millis(50);
const PAGE_BYTES: u64 = 4096;

/// The largest of each number that was seen.
#[derive(Clone, Copy, Default)]
pub struct Peaks {
    /// The kernel's own high-water mark.
    marked_bytes: u64,
    resident_bytes: u64,
    spool_bytes: u64,
    descriptors: u64,
    threads: u64,
    tcp_bytes: u64,
}

impl Peaks {
    pub fn now(gateway: &Gateway) -> Peaks {
        look(gateway.process_id(), &gateway.spool)
    }

    fn or(self, other: Peaks) -> Peaks {
        Peaks {
            marked_bytes: self.marked_bytes.max(other.marked_bytes),
            resident_bytes: self.resident_bytes.max(other.resident_bytes),
            spool_bytes: self.spool_bytes.max(other.spool_bytes),
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
            tcp_bytes: self.tcp_bytes.max(other.tcp_bytes),
        }
    }
}

impl fmt::Display for Peaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        write!(
            f,
            "VmHWM {:.1} MiB, VmRSS {:.1} MiB, spool {:.1} MiB, {} descriptors, {} threads, \
             TCP buffers of the machine {:.1} MiB",
            mib(self.marked_bytes),
            mib(self.resident_bytes),
            mib(self.spool_bytes),
            self.descriptors,
            self.threads,
            mib(self.tcp_bytes),
        )
    }
}

/// Looks again and again, on a thread of its own.
pub struct Watch {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<Peaks>,
}

impl Watch {
    pub fn start(gateway: &Gateway) -> Watch {
        let (process_id, spool) = (gateway.process_id(), gateway.spool.clone());
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let thread = std::thread::spawn(move || {
            let mut peaks = Peaks::default();
            while !stop.load(Ordering::Relaxed) {
                peaks = peaks.or(look(process_id, &spool));
                std::thread::park_timeout(LOOK);
            }
            peaks.or(look(process_id, &spool))
        });
        Watch { stopped, thread }
    }

    pub fn stop(self) -> Peaks {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn look(process_id: u32, spool: &PathBuf) -> Peaks {
    let status = read_to_string(format!("/proc/{process_id}/status")).unwrap();
    let sockets = read_to_string("/proc/net/sockstat").unwrap();
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:")).unwrap();
    let files = read_dir(spool).unwrap();
    // A file may be gone again by now.
    let lengths = files.filter_map(|file| file.ok()?.metadata().ok());
    Peaks {
        marked_bytes: after(&status, "VmHWM:") * 1024,
        resident_bytes: after(&status, "VmRSS:") * 1024,
        spool_bytes: lengths.map(|metadata| metadata.len()).sum(),
        descriptors: read_dir(format!("/proc/{process_id}/fd")).unwrap().count() as u64,
        threads: after(&status, "Threads:"),
        tcp_bytes: after(tcp, "mem") * PAGE_BYTES,
    }
}

/// The number after a word.
fn after(text: &str, word: &str) -> u64 {
    let mut words = text.split_whitespace().skip_while(|found| *found != word);
    words.nth(1).unwrap().parse().unwrap()
}
