//! The file of API keys: JSON, made anew and renamed into place at every change.
//!
//! A file of its own and not the ledger, because a running gateway holds the ledger alone: so keys
//! are made and revoked whether a gateway runs or not, without another credential, and the file
//! can be handed out by whatever hands out configuration. It holds digests, no secret.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ApiKey;
use crate::durable_file;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why the keys cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file is not there.
    #[error("there is no key file {0}: `voicepost keys new` makes it")]
    Missing(PathBuf),
    /// It cannot be read or written.
    #[error("cannot {what} the key file {}: {error}", path.display())]
    Io {
        /// Read, write or lock.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It is not what `keys new` writes.
    #[error("the key file {} is not sound: {detail}", path.display())]
    Unsound {
        /// The file.
        path: PathBuf,
        /// What about it.
        detail: String,
    },
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    keys: Vec<ApiKey>,
}

/// The file at one path.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at this path, which need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> KeyFile {
        KeyFile { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All keys, revoked ones too, the oldest first.
    ///
    /// # Errors
    /// When the file is missing, cannot be read, or is not sound.
    pub fn read(&self) -> Result<Vec<ApiKey>, KeyFileError> {
        let mut text = String::new();
        let file = File::open(&self.path);
        match file.and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyFileError::Missing(self.path.clone()));
            }
            Err(error) => return Err(self.io("read", error)),
        }
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(self.unsound(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        let contents: Contents =
            serde_json::from_str(&text).map_err(|error| self.unsound(error.to_string()))?;
        for key in &contents.keys {
            let hexadecimal = |c: char| matches!(c, '0'..='9' | 'a'..='f');
            if key.sha256.len() != 64 || !key.sha256.chars().all(hexadecimal) {
                let detail = format!("the sha256 of key {} is not 64 lower-case digits", key.id);
                return Err(self.unsound(detail));
            }
        }
        Ok(contents.keys)
    }

    /// Lets `change` work on the keys and writes what it leaves; durable when it returns. Two
    /// changes at once wait for each other. A file that is missing counts as one without keys.
    ///
    /// # Errors
    /// What `change` says, or why the file cannot be read or written; then nothing has changed.
    pub fn change<T, E: From<KeyFileError>>(
        &self,
        change: impl FnOnce(&mut Vec<ApiKey>) -> Result<T, E>,
    ) -> Result<T, E> {
        // Lasts until the end of this function, whatever that is.
        let _lock = self.lock().map_err(|error| self.io("lock", error))?;
        let mut keys = match self.read() {
            Err(KeyFileError::Missing(_)) => Vec::new(),
            read => read?,
        };
        let result = change(&mut keys)?;
        self.write(&Contents { keys }).map_err(|error| self.io("write", error))?;
        Ok(result)
    }

    fn lock(&self) -> io::Result<File> {
        let path = durable_file::beside(&self.path, "lock");
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
        lock.lock()?;
        Ok(lock)
    }

    fn write(&self, contents: &Contents) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(contents)?;
        text.push('\n');
        durable_file::write(&self.path, text.as_bytes())
    }

    fn io(&self, what: &'static str, error: io::Error) -> KeyFileError {
        KeyFileError::Io { what, path: self.path.clone(), error }
    }

    fn unsound(&self, detail: String) -> KeyFileError {
        KeyFileError::Unsound { path: self.path.clone(), detail }
    }
}
