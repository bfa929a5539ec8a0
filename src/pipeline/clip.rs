//! A clip on its way into a message: in memory or in the spool, while it comes and when it is
//! whole. The one place that knows both cases.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ring::digest;

use super::budget::{Budget, Pledge, Reserved};
use crate::domain::{ClipPlace, Code, MessageId, Problem, hex};
use crate::spool::{Spool, SpoolError, SpoolWriter, Unclaimed};

/// Memory that a clip starts with, where there is so much.
const START_BYTES: u64 = 64 * 1024;
/// Bytes that are hashed at a time.
const HASHED_BYTES: usize = 64 * 1024;
/// Seconds after which a sender should come back whose clip the spool could not take.
const RETRY_AFTER_SECONDS: u32 = 60;

/// A clip that is being received. It grows within the memory's budget and goes over to the spool
/// when that is short. Dropped, it leaves nothing behind.
pub struct IncomingClip {
    id: MessageId,
    budget: Budget,
    spool: Arc<dyn Spool>,
    pledge: Pledge,
    place: Place,
}

enum Place {
    Memory(Buffer),
    Spool(Box<dyn SpoolWriter>),
}

/// A whole clip.
pub enum Clip {
    /// In memory.
    Memory(HeldClip),
    /// In the spool, synced. It is removed when it is dropped, unless a record has come to name it.
    Spooled(Unclaimed),
}

/// A clip in memory together with its share of a budget, which goes back with the last clone.
#[derive(Clone)]
pub struct HeldClip {
    pub(super) bytes: Bytes,
    share: Arc<Share>,
}

struct Share {
    reserved: Option<Reserved>,
    /// Room in the spool, as long as the clip may still have to go there.
    _pledge: Option<Pledge>,
}

impl HeldClip {
    /// The share under which so many bytes may take this clip's place: its own where that is large
    /// enough, else a larger one, if there is one.
    fn share_for(&self, bytes: u64, budget: &Budget) -> Option<Arc<Share>> {
        if self.share.reserved.as_ref().is_some_and(|reserved| bytes <= reserved.bytes()) {
            return Some(Arc::clone(&self.share));
        }
        let reserved = budget.reserve_more(bytes)?;
        Some(Arc::new(Share { reserved: Some(reserved), _pledge: None }))
    }
}

impl IncomingClip {
    pub(super) fn new(
        id: MessageId,
        announced_bytes: Option<u64>,
        budget: Budget,
        spool: Arc<dyn Spool>,
        pledge: Pledge,
    ) -> IncomingClip {
        let start_bytes = START_BYTES.min(announced_bytes.unwrap_or(START_BYTES));
        let reserved = budget.reserve(start_bytes);
        let buffer = Buffer { bytes: BytesMut::new(), reserved, announced_bytes };
        IncomingClip { id, budget, spool, pledge, place: Place::Memory(buffer) }
    }

    /// Takes the next bytes. Resolves when they are kept or written, so that a slow disk slows the
    /// sender.
    ///
    /// # Errors
    /// `storage-low` or `storage-failed`, with the time to come back.
    pub async fn push(&mut self, chunk: Bytes) -> Result<(), Problem> {
        let written = match &mut self.place {
            Place::Memory(buffer) => {
                if buffer.make_room(chunk.len(), &self.budget) {
                    buffer.bytes.extend_from_slice(&chunk);
                    return Ok(());
                }
                self.spill(chunk).await
            }
            Place::Spool(writer) => writer.append(chunk).await,
        };
        written.map_err(|error| unstored(&error))
    }

    /// Goes over to the spool; what lay in memory is free when this resolves.
    async fn spill(&mut self, chunk: Bytes) -> Result<(), SpoolError> {
        let mut writer = self.spool.begin(self.id).await?;
        if let Place::Memory(buffer) = &mut self.place
            && !buffer.bytes.is_empty()
        {
            writer.append(std::mem::take(&mut buffer.bytes).freeze()).await?;
        }
        writer.append(chunk).await?;
        self.place = Place::Spool(writer);
        Ok(())
    }

    /// Nothing more comes. A clip that went to the spool is durable there when this resolves.
    ///
    /// # Errors
    /// As for [`IncomingClip::push`].
    pub async fn finish(self) -> Result<Clip, Problem> {
        match self.place {
            Place::Memory(Buffer { bytes, reserved, .. }) => {
                let share = Share { reserved, _pledge: Some(self.pledge) };
                Ok(Clip::Memory(HeldClip { bytes: bytes.freeze(), share: Arc::new(share) }))
            }
            Place::Spool(writer) => match writer.finish().await {
                Ok(unclaimed) => Ok(Clip::Spooled(unclaimed)),
                Err(error) => Err(unstored(&error)),
            },
        }
    }
}

/// What has come of a clip. The buffer is as large as what is reserved for it, so it never doubles
/// by itself.
struct Buffer {
    bytes: BytesMut,
    reserved: Option<Reserved>,
    announced_bytes: Option<u64>,
}

impl Buffer {
    /// Makes room for the next bytes, if there is some. A clip that outgrows its share moves into
    /// one for all that was announced, else into one twice as large.
    fn make_room(&mut self, more: usize, budget: &Budget) -> bool {
        let Some(reserved) = &self.reserved else { return false };
        let (held, needed) = (reserved.bytes(), (self.bytes.len() + more) as u64);
        if needed > held {
            let wanted = self.announced_bytes.unwrap_or(2 * held).max(needed);
            let Some(larger) = budget.reserve_more(wanted) else { return false };
            let small = std::mem::replace(&mut self.bytes, with_capacity(&larger));
            self.bytes.extend_from_slice(&small);
            self.reserved = Some(larger);
        } else if self.bytes.capacity() == 0 {
            self.bytes = with_capacity(reserved);
        }
        true
    }
}

fn with_capacity(reserved: &Reserved) -> BytesMut {
    // What was reserved is memory, so it can be counted.
    BytesMut::with_capacity(usize::try_from(reserved.bytes()).unwrap_or(usize::MAX))
}

impl Clip {
    /// What a record says of where this clip is.
    pub(super) fn place(&self) -> ClipPlace {
        match self {
            Clip::Memory(_) => ClipPlace::Memory,
            Clip::Spooled(_) => ClipPlace::Spooled,
        }
    }

    /// A record names the clip from now on; tells what is still to be held in memory for it.
    pub(super) fn claim(self) -> Option<HeldClip> {
        match self {
            Clip::Memory(held) => Some(held),
            Clip::Spooled(unclaimed) => {
                unclaimed.claim();
                None
            }
        }
    }

    /// What this clip was converted to takes its place: in memory where that has room for it, else
    /// in the spool. A clip in the spool stays there, and its file is replaced.
    pub(super) async fn converted_to(
        self,
        id: MessageId,
        bytes: Bytes,
        spool: &dyn Spool,
        budget: &Budget,
    ) -> Result<Clip, SpoolError> {
        if let Clip::Memory(held) = &self
            && let Some(share) = held.share_for(bytes.len() as u64, budget)
        {
            return Ok(Clip::Memory(HeldClip { bytes, share }));
        }
        let mut writer = spool.begin(id).await?;
        writer.append(bytes).await?;
        let converted = writer.finish().await?;
        // The file of the clip that was sent is no longer there to be removed.
        drop(self.claim());
        Ok(Clip::Spooled(converted))
    }

    /// The bytes, read back where they are in the spool.
    pub(super) async fn bytes(
        &self,
        id: MessageId,
        bytes: u64,
        sha256: &str,
        spool: &dyn Spool,
        budget: &Budget,
    ) -> Result<HeldClip, SpoolError> {
        match self {
            Clip::Memory(held) => Ok(held.clone()),
            Clip::Spooled(_) => read_back(id, bytes, sha256, spool, budget).await,
        }
    }
}

/// Reads a clip back from the spool, once the budget has room for it: who comes first is served
/// first. Nobody who holds some of that budget waits for more of it. One that is not of this many
/// bytes with this SHA-256, in hex, is [`SpoolError::Damaged`].
pub(super) async fn read_back(
    id: MessageId,
    bytes: u64,
    sha256: &str,
    spool: &dyn Spool,
    budget: &Budget,
) -> Result<HeldClip, SpoolError> {
    let reserved = budget.reserve_in_turn(bytes).await;
    let clip = spool.read(id).await?;
    if clip.len() as u64 != bytes || sha256_of(&clip).await != sha256 {
        return Err(SpoolError::Damaged(id));
    }
    let share = Share { reserved, _pledge: None };
    Ok(HeldClip { bytes: clip, share: Arc::new(share) })
}

/// In pieces, so that others get their turn on this thread while a large clip is hashed.
async fn sha256_of(clip: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for piece in clip.chunks(HASHED_BYTES) {
        context.update(piece);
        tokio::task::yield_now().await;
    }
    hex(context.finish().as_ref())
}

/// What a sender is told whose clip the spool could not take or give back.
pub(super) fn unstored(error: &SpoolError) -> Problem {
    let code = if *error == SpoolError::Full { Code::StorageLow } else { Code::StorageFailed };
    tracing::error!(%error, "clip not spooled");
    Problem::new(code, error.to_string()).retry_after(RETRY_AFTER_SECONDS)
}
