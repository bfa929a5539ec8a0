//! Our own media host: clips that lie with us and are fetched from outside, each under an address
//! that nobody can guess.
//!
//! The files are kept as the spool keeps its clips: durable once [`Hosted::publish`] resolves, gone
//! for good once [`Hosted::remove`] does. Which file a message has is fixed by its id and a number,
//! so that publishing again puts the same bytes in the same place (invariant 2).

mod key_file;
mod link;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ring::digest;

pub use key_file::read_or_make;
pub use link::{LinkKey, MediaLink};

pub use crate::spool::{Part, SpoolError};

use crate::domain::{Deliverable, MessageId, UnixMs};
use crate::sealing::Sealer;
use crate::spool::Spool;
use crate::spool::disk::DiskSpool;

/// Name of the key's file, beside the clips.
const KEY_FILE: &str = "link.key";

/// The files of the media host and the key of their addresses. Cheap to clone.
#[derive(Clone)]
pub struct Hosted {
    files: Arc<dyn Spool>,
    key: Arc<LinkKey>,
}

/// What an address leads to.
#[derive(Debug)]
pub enum Fetched {
    /// The clip, as far as it was asked for.
    Clip(MediaLink, Part),
    /// It was there, and is gone: purged, or the address has ended.
    Gone,
    /// We never gave this address.
    Unknown,
}

impl Hosted {
    /// These files, which lie in this directory. The key of the addresses is made there at the
    /// first start, sealed where there is a key for data on the disk, and kept, so that addresses
    /// stay good over a restart.
    ///
    /// # Errors
    /// As for the spool.
    pub fn open(directory: &Path, files: DiskSpool, sealer: &Sealer) -> Result<Hosted, SpoolError> {
        let key = read_or_make(&directory.join(KEY_FILE), sealer)
            .map_err(|error| SpoolError::Failed(format!("read or make its key: {error}")))?;
        Ok(Hosted::new(Arc::new(files), LinkKey::new(&key)))
    }

    /// Files in any spool of their own.
    pub fn new(files: Arc<dyn Spool>, key: LinkKey) -> Hosted {
        Hosted { files, key: Arc::new(key) }
    }

    /// The key of the addresses.
    pub fn key(&self) -> &LinkKey {
        &self.key
    }

    /// Puts a clip in its place. Durable when it resolves.
    ///
    /// # Errors
    /// As for [`Spool::keep`].
    pub async fn publish(&self, file: MessageId, clip: Bytes) -> Result<(), SpoolError> {
        self.files.keep(file, clip).await
    }

    /// Deletes a file. It is gone for good when this resolves, also where it never was.
    ///
    /// # Errors
    /// As for [`Spool::remove`].
    pub async fn remove(&self, file: MessageId) -> Result<(), SpoolError> {
        self.files.remove(file).await
    }

    /// What the last segment of an address leads to at `now`: the beginning of a clip, `bytes_max`
    /// at most.
    ///
    /// # Errors
    /// As for [`Spool::read_part`].
    pub async fn fetch(
        &self,
        segment: &str,
        now: UnixMs,
        bytes_max: usize,
    ) -> Result<Fetched, SpoolError> {
        let Some(link) = self.key.read(segment) else { return Ok(Fetched::Unknown) };
        if link.expires_at <= now {
            return Ok(Fetched::Gone);
        }
        match self.files.read_part(link.file, 0, bytes_max).await {
            Ok(part) => Ok(Fetched::Clip(link, part)),
            Err(SpoolError::Missing(_)) => Ok(Fetched::Gone),
            Err(error) => Err(error),
        }
    }

    /// More of a file that was fetched.
    ///
    /// # Errors
    /// As for [`Spool::read_part`]; the file may be gone by now.
    pub async fn more(
        &self,
        file: MessageId,
        first: u64,
        bytes_max: usize,
    ) -> Result<Bytes, SpoolError> {
        Ok(self.files.read_part(file, first, bytes_max).await?.bytes)
    }
}

/// The last segment of an address that has ended, by the key that lies in `directory`: a gateway
/// that has this key answers it with 410, anybody else does not. `None` where there is no key yet.
///
/// # Errors
/// Those of the file system, or that this data key does not open the file.
pub fn ended_segment(directory: &Path, data_key: Option<&str>) -> std::io::Result<Option<String>> {
    let sealer = data_key.map_or_else(|| Ok(Sealer::plain()), Sealer::new);
    let key = key_file::read(&directory.join(KEY_FILE), &sealer.map_err(std::io::Error::other)?)?;
    let link = MediaLink {
        file: MessageId::from_bytes([0; 16]),
        container: Deliverable::Ogg,
        expires_at: UnixMs(0),
    };
    Ok(key.map(|key| LinkKey::new(&key).segment(&link)))
}

/// The file of a message: the `number`th that was published for it, counted from 0.
pub fn file_of(message: MessageId, number: usize) -> MessageId {
    let mut named = digest::Context::new(&digest::SHA256);
    named.update(b"hosted file");
    named.update(message.as_bytes());
    named.update(&number.to_be_bytes());
    let named = named.finish();
    let mut id = [0; 16];
    id.copy_from_slice(&named.as_ref()[..16]);
    MessageId::from_bytes(id)
}
