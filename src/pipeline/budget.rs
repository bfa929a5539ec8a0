//! Budgets of bytes: clips in memory, clips read back from the spool, clips in the spool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::Problem;
use crate::spool::Spool;

use super::admission::{busy, storage_low};

/// A semaphore permit stands for this many bytes.
const UNIT_BYTES: u64 = 1024;

/// So many bytes of memory, shared by all who take some.
#[derive(Clone)]
pub struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
}

/// Bytes taken from a budget; given back when dropped.
pub struct Reserved {
    permit: OwnedSemaphorePermit,
}

impl Budget {
    pub(super) fn new(bytes_max: u64) -> Budget {
        // More than a semaphore can count is more memory than there is.
        let units_max = u32::try_from(bytes_max / UNIT_BYTES).unwrap_or(u32::MAX);
        let units = (units_max as usize).min(Semaphore::MAX_PERMITS);
        Budget { units: Arc::new(Semaphore::new(units)), units_max }
    }

    /// Takes `bytes` (rounded up to whole KiB), or nothing where they are not there.
    pub(super) fn reserve(&self, bytes: u64) -> Option<Reserved> {
        let permit = Arc::clone(&self.units).try_acquire_many_owned(units(bytes)).ok()?;
        Some(Reserved { permit })
    }

    /// The same for one that has some already and wants more: half of the budget is left to those
    /// who have nothing yet.
    pub(super) fn reserve_more(&self, bytes: u64) -> Option<Reserved> {
        let left = self.units.available_permits() as u64;
        let enough = left >= u64::from(units(bytes)) + u64::from(self.units_max / 2);
        enough.then(|| self.reserve(bytes)).flatten()
    }

    /// Waits for `bytes`, in the order of asking. One that wants more than there is gets all.
    pub(super) async fn reserve_in_turn(&self, bytes: u64) -> Option<Reserved> {
        let units = units(bytes).min(self.units_max);
        let permit = Arc::clone(&self.units).acquire_many_owned(units).await.ok()?;
        Some(Reserved { permit })
    }

    /// Bytes taken now.
    pub fn bytes_reserved(&self) -> u64 {
        let free = self.units.available_permits() as u64;
        u64::from(self.units_max).saturating_sub(free) * UNIT_BYTES
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

impl Reserved {
    /// How many bytes these are.
    pub(super) fn bytes(&self) -> u64 {
        self.permit.num_permits() as u64 * UNIT_BYTES
    }
}

/// The bytes that clips may take in the spool. A clip that may still come there counts with what
/// was announced of it, whether it lies in memory, is being written or has yet to come; one that
/// is there counts with its length.
#[derive(Clone)]
pub(super) struct SpoolRoom {
    spool: Arc<dyn Spool>,
    bytes_max: u64,
    /// What `bytes_max` comes to on this disk, when it was last looked at.
    on_disk_max: Arc<AtomicU64>,
    pledged: Arc<AtomicU64>,
}

/// Room in the spool that is kept for one clip; given back when dropped.
pub(super) struct Pledge {
    bytes: u64,
    pledged: Arc<AtomicU64>,
}

impl SpoolRoom {
    pub(super) fn new(spool: Arc<dyn Spool>, bytes_max: u64) -> SpoolRoom {
        let on_disk_max = Arc::new(AtomicU64::new(u64::MAX));
        SpoolRoom { spool, bytes_max, on_disk_max, pledged: Arc::default() }
    }

    pub(super) fn spool(&self) -> &Arc<dyn Spool> {
        &self.spool
    }

    /// Keeps room for a clip of at most `bytes`, or says why there is none.
    pub(super) fn pledge(&self, bytes: u64) -> Result<Pledge, Problem> {
        let pledged = self.pledged.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let pledge = Pledge { bytes, pledged: Arc::clone(&self.pledged) };
        let wanted = self.spool.bytes().saturating_add(pledged);
        if wanted > self.bytes_max {
            return Err(busy("bytes of clips, those on their way included", self.bytes_max));
        }
        if wanted > self.on_disk_max.load(Ordering::Relaxed) {
            return Err(storage_low());
        }
        Ok(pledge)
    }

    /// Looks how much the disk can take if so many bytes are to stay free on it; tells what is
    /// free.
    pub(super) fn look(&self, free_bytes_min: u64) -> Option<u64> {
        let free = self.spool.free_bytes();
        let on_disk_max = free.map_or(u64::MAX, |free| {
            self.spool.bytes().saturating_add(free.saturating_sub(free_bytes_min))
        });
        self.on_disk_max.store(on_disk_max, Ordering::Relaxed);
        free
    }

    /// Bytes of clips in the spool, and of room that is kept.
    pub(super) fn bytes(&self) -> u64 {
        self.spool.bytes().saturating_add(self.pledged.load(Ordering::Relaxed))
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        self.pledged.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
