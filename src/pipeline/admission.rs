//! What bounds the work under way (invariant 6). Every limit says what happens at it: the request
//! is answered 503 with `Retry-After` before its body is read, and nothing is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::budget::{Budget, SpoolRoom};
use super::clip::IncomingClip;
use crate::domain::{Code, MessageId, Problem};
use crate::spool::{Spool, SpoolError};

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
    clips: Budget,
    inspections: Budget,
    uploads: Budget,
    room: SpoolRoom,
    storage_low: Arc<AtomicBool>,
    spool_trouble: watch::Sender<Option<SpoolError>>,
    drain: Drain,
}

/// How much the bounds allow.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests read or answered at a time.
    pub requests_max: usize,
    /// Messages awake at a time.
    pub drives_max: usize,
    /// Bytes of clips in memory, while they come and wait.
    pub clips_bytes_max: u64,
    /// Bytes of clips read back from the spool for uploads, and as many for inspections.
    pub read_back_bytes_max: u64,
    /// Bytes of clips in the spool, those on their way included.
    pub spool_bytes_max: u64,
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
    /// These bounds, over the spool in which clips are kept.
    pub fn new(bounds: Bounds, spool: Arc<dyn Spool>) -> Admission {
        let Bounds { requests_max, drives_max, .. } = bounds;
        Admission {
            requests: Arc::new(Semaphore::new(requests_max)),
            requests_max,
            drives: Arc::new(Semaphore::new(drives_max)),
            drives_max,
            clips: Budget::new(bounds.clips_bytes_max),
            inspections: Budget::new(bounds.read_back_bytes_max),
            uploads: Budget::new(bounds.read_back_bytes_max),
            room: SpoolRoom::new(spool, bounds.spool_bytes_max),
            storage_low: Arc::default(),
            spool_trouble: watch::channel(None).0,
            drain: Drain::default(),
        }
    }

    /// Lets a request in, or says why not. Called before the body is read.
    pub(super) fn enter(&self) -> Result<Ticket, Problem> {
        if self.drain.is_draining() {
            return Err(Problem::new(Code::Draining, "the gateway is shutting down")
                .retry_after(RETRY_AFTER_DRAINING_SECONDS));
        }
        if self.storage_low.load(Ordering::Relaxed) {
            return Err(storage_low());
        }
        let request = Arc::clone(&self.requests).try_acquire_owned();
        let request = request.map_err(|_| busy("requests under way", self.requests_max as u64))?;
        let drive = Arc::clone(&self.drives).try_acquire_owned();
        let drive = drive.map_err(|_| busy("messages under way", self.drives_max as u64))?;
        Ok(Ticket { _request: request, drive })
    }

    /// Makes ready for a clip of so many bytes, or of at most `bytes_max` where it was not
    /// announced; or says that there is no room for it. Called before the body is read.
    pub fn receive(
        &self,
        id: MessageId,
        announced_bytes: Option<u64>,
        bytes_max: u64,
    ) -> Result<IncomingClip, Problem> {
        let announced_bytes = announced_bytes.map(|bytes| bytes.min(bytes_max));
        let pledge = self.room.pledge(announced_bytes.unwrap_or(bytes_max))?;
        let (memory, spool) = (self.clips.clone(), Arc::clone(self.room.spool()));
        Ok(IncomingClip::new(id, announced_bytes, memory, spool, pledge))
    }

    /// Waits for a place among the drives: for messages found at start.
    pub(super) async fn drive(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.drives).acquire_owned().await.ok()
    }

    /// A place among the drives that is free now.
    pub(super) fn try_drive(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.drives).try_acquire_owned().ok()
    }

    /// The bytes of clips that may lie in memory while they come and wait.
    pub fn clips(&self) -> &Budget {
        &self.clips
    }

    /// The bytes of clips read back to be looked into. Apart from those of uploads, which a slow
    /// Genesys can hold for long.
    pub fn inspections(&self) -> &Budget {
        &self.inspections
    }

    /// The bytes of clips read back to be uploaded.
    pub fn uploads(&self) -> &Budget {
        &self.uploads
    }

    /// Bytes of clips in the spool, those on their way included as they were announced.
    pub fn spool_bytes(&self) -> u64 {
        self.room.bytes()
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

    /// Looks at what is free on the ledger's disk and on the spool's, of which so many bytes are to
    /// stay free.
    pub fn look_at_storage(&self, ledger_free_bytes: Option<u64>, free_bytes_min: u64) {
        let spool_free_bytes = self.room.look(free_bytes_min);
        let free = [ledger_free_bytes, spool_free_bytes].into_iter().flatten().min();
        self.set_storage_low(free.is_some_and(|bytes| bytes < free_bytes_min));
    }

    /// Tries whether the spool takes a file.
    pub async fn look_at_spool(&self) {
        let trouble = self.room.spool().probe().await.err();
        self.spool_trouble.send_if_modified(|shown| {
            if *shown == trouble {
                return false;
            }
            match &trouble {
                Some(error) => tracing::error!(%error, "the spool takes no clips"),
                None => tracing::info!("the spool takes clips again"),
            }
            *shown = trouble;
            true
        });
    }

    /// Why the spool takes no clips, where that is so: nothing can be promised.
    pub fn spool_trouble(&self) -> Option<SpoolError> {
        self.spool_trouble.borrow().clone()
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

pub(super) fn storage_low() -> Problem {
    Problem::new(Code::StorageLow, "the gateway's disk is nearly full")
        .retry_after(RETRY_AFTER_STORAGE_SECONDS)
}

pub(super) fn busy(what: &str, limit: u64) -> Problem {
    Problem::new(Code::Busy, format!("all places are taken: {limit} {what}"))
        .with("limit", limit)
        .retry_after(RETRY_AFTER_BUSY_SECONDS)
}

/// Whether the gateway shuts down, for everybody who has to stop.
#[derive(Clone, Default)]
pub struct Drain {
    begun: CancellationToken,
    over: CancellationToken,
}

impl Drain {
    /// Begins the shutdown. There is no way back.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Whether it has begun.
    pub fn is_draining(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Resolves when it begins.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Ends its time: whoever still waits for an answer of Genesys waits no longer.
    pub fn end(&self) {
        self.over.cancel();
    }

    /// Whether its time is over.
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Resolves when its time is over.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }
}
