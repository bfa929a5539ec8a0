//! The file that keeps the key of the addresses.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::durable_file;

/// Reads the key, or makes one that only the gateway's user can read.
///
/// # Errors
/// Those of the file system; a file of another length is refused, and left as it is.
pub fn read_or_make(path: &Path) -> std::io::Result<[u8; 32]> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let mut key = [0; 32];
    SysRng.try_fill_bytes(&mut key).map_err(Error::other)?;
    durable_file::write(path, &key)?;
    Ok(key)
}

/// Reads the key; `None` where there is none.
///
/// # Errors
/// As for [`read_or_make`].
pub fn read(path: &Path) -> std::io::Result<Option<[u8; 32]>> {
    let mut key = [0; 32];
    match File::open(path) {
        Ok(mut file) => {
            let bytes = file.metadata()?.len();
            if bytes != key.len() as u64 {
                let problem = format!("{} has {bytes} bytes, not 32", path.display());
                return Err(Error::new(ErrorKind::InvalidData, problem));
            }
            file.read_exact(&mut key)?;
            Ok(Some(key))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
