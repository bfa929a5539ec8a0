//! What bounds the work under way (invariant 6). Every limit says what happens at it: the request
//! is answered 503 with `Retry-After` before its body is read, and nothing is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::domain::{Code, Problem};

/// Seconds after which a refused sender should come back.
const RETRY_AFTER_BUSY_SECONDS: u32 = 2;
/// The same while the gateway shuts down: by then another instance, or a new one, should answer.
const RETRY_AFTER_DRAINING_SECONDS: u32 = 5;
/// The same while the disk is nearly full: an operator has to act.
const RETRY_AFTER_STORAGE_SECONDS: u32 = 60;

/// The bounds, shared by every thread.
#[derive(Clone)]
pub struct Admission {
    requests: Arc<Semaphore>,
    requests_max: usize,
    drives: Arc<Semaphore>,
    drives_max: usize,
    clips: ClipBudget,
    storage_low: Arc<AtomicBool>,
    drain: Drain,
}

/// What one request holds while it is read and answered.
pub struct Ticket {
    _request: OwnedSemaphorePermit,
    drive: OwnedSemaphorePermit,
}

impl Ticket {
    /// The place among the drives, for the message that the request became.
    pub(super) fn into_drive(self) -> OwnedSemaphorePermit {
        self.drive
    }
}

impl Admission {
    /// Bounds for this many requests, messages awake, and bytes of clips in memory.
    pub fn new(requests_max: usize, drives_max: usize, clip_bytes_max: u64) -> Admission {
        Admission {
            requests: Arc::new(Semaphore::new(requests_max)),
            requests_max,
            drives: Arc::new(Semaphore::new(drives_max)),
            drives_max,
            clips: ClipBudget::new(clip_bytes_max),
            storage_low: Arc::default(),
            drain: Drain::default(),
        }
    }

    /// Lets a request in, or says why not. Called before the body is read.
    pub fn enter(&self) -> Result<Ticket, Problem> {
        if self.drain.is_draining() {
            return Err(Problem::new(Code::Draining, "the gateway is shutting down")
                .retry_after(RETRY_AFTER_DRAINING_SECONDS));
        }
        if self.storage_low.load(Ordering::Relaxed) {
            return Err(Problem::new(Code::StorageLow, "the gateway's disk is nearly full")
                .retry_after(RETRY_AFTER_STORAGE_SECONDS));
        }
        let request = Arc::clone(&self.requests).try_acquire_owned();
        let request = request.map_err(|_| busy("requests under way", self.requests_max as u64))?;
        let drive = Arc::clone(&self.drives).try_acquire_owned();
        let drive = drive.map_err(|_| busy("messages under way", self.drives_max as u64))?;
        Ok(Ticket { _request: request, drive })
    }

    /// Waits for a place among the drives: for messages found at start.
    pub(super) async fn drive(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.drives).acquire_owned().await.ok()
    }

    /// The bytes of clips that may lie in memory.
    pub fn clips(&self) -> &ClipBudget {
        &self.clips
    }

    /// Whether and since when the gateway shuts down.
    pub fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Refuses new messages, or takes them again, by what is free on the disk.
    pub fn set_storage_low(&self, low: bool) {
        if self.storage_low.swap(low, Ordering::Relaxed) != low {
            tracing::warn!(storage.low = low, "free space crossed the limit");
        }
    }

    /// Whether new messages are refused because the disk is nearly full.
    pub fn is_storage_low(&self) -> bool {
        self.storage_low.load(Ordering::Relaxed)
    }

    /// Requests being read or answered now.
    pub fn requests_in_flight(&self) -> usize {
        self.requests_max - self.requests.available_permits()
    }

    /// Messages awake now, and requests that may become one.
    pub fn drives_awake(&self) -> usize {
        self.drives_max - self.drives.available_permits()
    }
}

fn busy(what: &str, limit: u64) -> Problem {
    Problem::new(Code::Busy, format!("all places are taken: {limit} {what}"))
        .with("limit", limit)
        .retry_after(RETRY_AFTER_BUSY_SECONDS)
}

/// A semaphore permit stands for this many bytes.
const UNIT_BYTES: u64 = 1024;

/// One budget for all clips in memory.
#[derive(Clone)]
pub struct ClipBudget {
    units: Arc<Semaphore>,
    bytes_max: u64,
}

/// Bytes taken from the budget; given back when dropped.
pub struct Reserved {
    permit: OwnedSemaphorePermit,
}

impl ClipBudget {
    fn new(bytes_max: u64) -> ClipBudget {
        let units = usize::try_from(bytes_max / UNIT_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        ClipBudget { units: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))), bytes_max }
    }

    /// Takes `bytes` (rounded up to whole KiB) for a clip that is being read.
    pub fn reserve(&self, bytes: u64) -> Result<Reserved, Problem> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        match Arc::clone(&self.units).try_acquire_many_owned(units) {
            Ok(permit) => Ok(Reserved { permit }),
            Err(_) => Err(busy("bytes of clips in memory", self.bytes_max)),
        }
    }

    /// Bytes taken now.
    pub fn bytes_reserved(&self) -> u64 {
        let free = self.units.available_permits() as u64 * UNIT_BYTES;
        self.bytes_max.saturating_sub(free)
    }
}

impl Reserved {
    /// Adds more bytes to what is taken.
    pub fn grow(&mut self, more: Reserved) {
        self.permit.merge(more.permit);
    }

    /// Gives back what more than `bytes` is taken, or takes what is missing.
    pub fn resize(&mut self, bytes: u64, budget: &ClipBudget) -> Result<(), Problem> {
        let wanted = usize::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(usize::MAX);
        let taken = self.permit.num_permits();
        if wanted > taken {
            self.grow(budget.reserve((wanted - taken) as u64 * UNIT_BYTES)?);
        }
        drop(self.permit.split(taken.saturating_sub(wanted)));
        Ok(())
    }
}

/// Whether the gateway shuts down, for everybody who has to stop.
#[derive(Clone)]
pub struct Drain {
    draining: watch::Sender<bool>,
}

impl Default for Drain {
    fn default() -> Drain {
        Drain { draining: watch::channel(false).0 }
    }
}

impl Drain {
    /// Begins the shutdown. There is no way back.
    pub fn begin(&self) {
        self.draining.send_replace(true);
    }

    /// Whether it has begun.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Resolves when it begins.
    pub async fn begun(&self) {
        let mut draining = self.draining.subscribe();
        // The sender lives in `self`, so waiting cannot fail before it is true.
        let _ = draining.wait_for(|draining| *draining).await;
    }
}
