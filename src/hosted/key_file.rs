//! The file that keeps the key of the addresses: 32 bytes, sealed where there is a key for data on
//! the disk, or a copy of the disk could fetch every clip from the gateway.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::durable_file;
use crate::sealing::{SEAL_BYTES, Sealer};

/// What the sealed bytes are.
const CONTEXT: &[u8] = b"key of hosted clips' addresses";
const KEY_BYTES: usize = 32;
const SEALED_BYTES: usize = KEY_BYTES + SEAL_BYTES;

/// Reads the key, or makes one, in a file that only the gateway's user can read. Where values are
/// encrypted it is sealed anew, by the newest of the sealer's keys: one that was plain, or sealed
/// by an older key, stays the same key.
///
/// # Errors
/// Those of the file system; a file of another length, and one that the sealer cannot open, is
/// refused, and left as it is.
pub fn read_or_make(path: &Path, sealer: &Sealer) -> std::io::Result<[u8; KEY_BYTES]> {
    let found = read(path, sealer)?;
    let key = match found {
        Some(key) => key,
        None => {
            let mut key = [0; KEY_BYTES];
            SysRng.try_fill_bytes(&mut key).map_err(Error::other)?;
            key
        }
    };
    if sealer.encrypts() {
        durable_file::write(path, &sealer.seal(CONTEXT, &key).map_err(Error::other)?)?;
    } else if found.is_none() {
        durable_file::write(path, &key)?;
    }
    Ok(key)
}

/// Reads the key; `None` where there is none.
///
/// # Errors
/// As for [`read_or_make`].
pub fn read(path: &Path, sealer: &Sealer) -> std::io::Result<Option<[u8; KEY_BYTES]>> {
    let unsound = |what: String| {
        let problem = format!("{} {what}", path.display());
        Error::new(ErrorKind::InvalidData, problem)
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::with_capacity(SEALED_BYTES);
    file.take(SEALED_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() == SEALED_BYTES {
        let opened = sealer.open(CONTEXT, &bytes).map_err(|error| {
            unsound(format!(
                "cannot be decrypted: {error}; VOICEPOST_DATA_KEY must have the key it was \
                 encrypted by, or the file be deleted, and with it all addresses of clips"
            ))
        })?;
        bytes = opened.into_owned();
    }
    let length = bytes.len();
    let key = bytes.try_into().map_err(|_| {
        unsound(format!(
            "has {length} bytes, not {KEY_BYTES}, or {SEALED_BYTES} where it is sealed"
        ))
    })?;
    Ok(Some(key))
}
