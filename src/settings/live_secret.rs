//! A secret that may be replaced while the gateway runs: its file is read again and again.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::secret_kind::SecretKind;
use super::{Secret, SettingsError};

/// A secret as it is now. Clones are the same secret.
#[derive(Clone)]
pub struct LiveSecret(Arc<Inner>);

struct Inner {
    /// Where it is read anew from; `None`: it never changes.
    source: Option<Source>,
    current: watch::Sender<Secret>,
    unusable: AtomicBool,
}

pub(super) struct Source {
    pub(super) kind: &'static SecretKind,
    /// What it is called where it cannot be read.
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// What came of a look at a secret's file.
#[derive(Debug)]
pub enum Looked {
    /// It is as before, or there is no file.
    Same,
    /// It is another one from now on.
    Changed,
    /// It cannot be read, or is not what such a secret has to be, since now; it stays as it was.
    Unusable(SettingsError),
}

impl LiveSecret {
    pub(super) fn read(source: Source) -> Result<LiveSecret, SettingsError> {
        let first = super::credentials::read(&source)?;
        Ok(LiveSecret::new(Some(source), first))
    }

    fn new(source: Option<Source>, first: Secret) -> LiveSecret {
        let current = watch::Sender::new(first);
        LiveSecret(Arc::new(Inner { source, current, unusable: AtomicBool::new(false) }))
    }

    /// The file it is read from, where there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.0.source.as_ref().map(|source| source.path.as_path())
    }

    /// The secret as it is now. Must not be kept.
    pub fn current(&self) -> Secret {
        self.0.current.borrow().clone()
    }

    /// Reads the file anew. What cannot be used changes nothing, and is told once.
    pub fn look(&self) -> Looked {
        let Some(source) = &self.0.source else { return Looked::Same };
        match super::credentials::read(source) {
            Ok(read) => {
                self.0.unusable.store(false, Ordering::Relaxed);
                let changed = self.0.current.send_if_modified(|current| {
                    let changed = current.expose() != read.expose();
                    if changed {
                        *current = read;
                    }
                    changed
                });
                if changed { Looked::Changed } else { Looked::Same }
            }
            Err(_) if self.0.unusable.swap(true, Ordering::Relaxed) => Looked::Same,
            Err(error) => Looked::Unusable(error),
        }
    }
}

impl From<Secret> for LiveSecret {
    /// A secret that never changes, and that nobody looks at: whoever gives it knows that it is
    /// sound.
    fn from(secret: Secret) -> LiveSecret {
        LiveSecret::new(None, secret)
    }
}

impl fmt::Debug for LiveSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}
