//! The file that keeps the key of the addresses.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;

/// Reads the key, or makes one that only the gateway's user can read.
///
/// # Errors
/// Those of the file system; a file of another length is refused, and left as it is.
pub fn read_or_make(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut key = [0; 32];
    match File::open(path) {
        Ok(mut file) => {
            let bytes = file.metadata()?.len();
            if bytes != key.len() as u64 {
                let problem = format!("{} has {bytes} bytes, not 32", path.display());
                return Err(Error::new(ErrorKind::InvalidData, problem));
            }
            file.read_exact(&mut key)?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            SysRng.try_fill_bytes(&mut key).map_err(Error::other)?;
            // Under another name first: half a key must never be found.
            let unfinished = path.with_extension("unfinished");
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
            file.write_all(&key)?;
            file.sync_all()?;
            std::fs::rename(&unfinished, path)?;
            if let Some(directory) = path.parent() {
                File::open(directory)?.sync_all()?;
            }
            Ok(key)
        }
        Err(error) => Err(error),
    }
}
