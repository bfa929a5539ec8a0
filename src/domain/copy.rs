//! Copies: the places outside this process where a clip's audio lies, and what is owed for each.

use serde::{Deserialize, Serialize};

use super::UnixMs;

/// What a route keeps about an intent or a copy: at most [`Private::BYTES_MAX`] bytes that nobody
/// else reads.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Private(pub Vec<u8>);

impl Private {
    /// Largest private value a route may keep.
    pub const BYTES_MAX: usize = 4096;
}

// Route-private values hold signed URLs and ids of guests (invariant 8).
impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Private({} bytes)", self.0.len())
    }
}

/// What kind of place a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyKind {
    /// Media uploaded to Genesys.
    UploadedMedia,
    /// The file on our own media host.
    HostedFile,
    /// What Genesys keeps of a file it fetched from our media host.
    CachedMedia,
    /// Genesys' recording of the conversation, with its own copy of the media.
    Recording,
}

impl CopyKind {
    const NAMES: [(CopyKind, &'static str); 4] = [
        (CopyKind::UploadedMedia, "uploaded-media"),
        (CopyKind::HostedFile, "hosted-file"),
        (CopyKind::CachedMedia, "cached-media"),
        (CopyKind::Recording, "recording"),
    ];

    /// The name in receipts and the ledger.
    pub fn as_str(self) -> &'static str {
        CopyKind::NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind of this name.
    pub fn parse(text: &str) -> Option<CopyKind> {
        CopyKind::NAMES.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind)
    }
}

/// Where a copy's purge stands. Only `Owed` is unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyState {
    /// It exists and must go.
    Owed,
    /// Proven gone.
    Gone,
    /// The route has no way to delete it.
    NotPossible,
    /// It may exist, but its id was never told to us. Never called purged.
    Orphaned,
    /// An operator decided to stop trying.
    GivenUp,
}

impl CopyState {
    const NAMES: [(CopyState, &'static str); 5] = [
        (CopyState::Owed, "owed"),
        (CopyState::Gone, "gone"),
        (CopyState::NotPossible, "not-possible"),
        (CopyState::Orphaned, "orphaned"),
        (CopyState::GivenUp, "given-up"),
    ];

    /// The name in receipts and the ledger.
    pub fn as_str(self) -> &'static str {
        CopyState::NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state of this name.
    pub fn parse(text: &str) -> Option<CopyState> {
        CopyState::NAMES.iter().find(|(_, name)| *name == text).map(|(state, _)| *state)
    }
}

/// Where the call that asks Genesys to keep a copy only so long stands. Whatever becomes of it,
/// the delete is neither cancelled nor delayed (media-api contract, "Retention and deletion").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retention {
    /// Not asked for: the route has none, or the message never got that far.
    None,
    /// To be asked for.
    Owed,
    /// Genesys agreed.
    Set,
    /// Genesys refused it for good.
    Refused,
}

impl Retention {
    const NAMES: [(Retention, &'static str); 4] = [
        (Retention::None, "none"),
        (Retention::Owed, "owed"),
        (Retention::Set, "set"),
        (Retention::Refused, "refused"),
    ];

    /// The name in the ledger.
    pub fn as_str(self) -> &'static str {
        Retention::NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state of this name.
    pub fn parse(text: &str) -> Option<Retention> {
        Retention::NAMES.iter().find(|(_, name)| *name == text).map(|(state, _)| *state)
    }
}

/// Where copies are made: proof of a purge comes from there and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Base URL of the API.
    pub host: String,
    /// OAuth client id; not a secret.
    pub client: String,
}

/// A copy as a route reports it after an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCopy {
    /// What kind of place.
    pub kind: CopyKind,
    /// `Owed`; `Orphaned` where the answer did not name it; `NotPossible` where the route knows
    /// beforehand that nothing can be done about it.
    pub state: CopyState,
    /// The API host that made it. A purge is proven only by an answer of the same host.
    pub host: String,
    /// The OAuth client that made it; not a secret.
    pub client: String,
    /// What the route needs to post, to retain and to delete it.
    pub private: Private,
}

/// One copy and what is owed for it, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Its number within the message, from 0.
    pub ordinal: u32,
    /// What kind of place.
    pub kind: CopyKind,
    /// Where its purge stands.
    pub state: CopyState,
    /// When it must be deleted; `None` while the message is still on its way.
    pub due_at: Option<UnixMs>,
    /// Where its retention call stands.
    pub retention: Retention,
    /// Failed tries of the call that is owed next.
    pub attempts: u32,
    /// When JanitorActor looks at it next; `None` when nothing is owed now.
    pub next_attempt_at: Option<UnixMs>,
    /// Why the last try did not succeed, or why an operator gave up.
    pub last_error: Option<String>,
    /// The API host that made it.
    pub host: String,
    /// The OAuth client that made it.
    pub client: String,
    /// The route's own knowledge of it.
    pub private: Private,
    /// When the upload was answered, or given up as lost.
    pub created_at: UnixMs,
}

/// What JanitorActor owes for a copy at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Ask Genesys to keep it only so long.
    Retain,
    /// Delete it.
    Delete,
    /// Nothing before this time.
    WaitUntil(UnixMs),
    /// Nothing any more.
    Nothing,
}

impl Copy {
    /// What is owed now. The delete goes first once it is due: a retention call that is still
    /// failing by then is skipped.
    pub fn duty(&self, now: UnixMs) -> Duty {
        let (CopyState::Owed, Some(due_at)) = (self.state, self.due_at) else {
            return Duty::Nothing;
        };
        let next_at = self.next_attempt_at.unwrap_or(due_at);
        if now < next_at {
            return Duty::WaitUntil(next_at);
        }
        if now >= due_at {
            return Duty::Delete;
        }
        match self.retention {
            Retention::Owed => Duty::Retain,
            Retention::None | Retention::Set | Retention::Refused => Duty::WaitUntil(due_at),
        }
    }
}
