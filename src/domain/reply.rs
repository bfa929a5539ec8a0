//! What an agent answers a guest, and what Genesys is told of it.

use serde::{Deserialize, Serialize};

use super::UnixMs;

/// A message of an agent, as the guest's page is given it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The id Genesys gave it; a repeat has the same.
    pub id: String,
    /// The agent's name, where one is told.
    pub from: Option<String>,
    /// What the agent wrote.
    pub text: Option<String>,
    /// Files that came with it.
    pub attachments: Vec<ReplyAttachment>,
    /// When it came to the gateway.
    pub came_at: UnixMs,
}

/// A file of a reply, at an address of Genesys' or of the agent's choice.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyAttachment {
    /// Where it is.
    pub url: String,
    /// What it is said to be.
    pub media_type: Option<String>,
    /// What it is called.
    pub file_name: Option<String>,
}

/// What became of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyState {
    /// Nobody has been given it.
    Awaited,
    /// A stream of the guest's was given it.
    Delivered,
    /// Nobody fetched it in time, or it cannot be shown.
    Failed,
}

impl ReplyState {
    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            ReplyState::Awaited => "awaited",
            ReplyState::Delivered => "delivered",
            ReplyState::Failed => "failed",
        }
    }

    /// The state of a word.
    pub fn parse(word: &str) -> Option<ReplyState> {
        let all = [ReplyState::Awaited, ReplyState::Delivered, ReplyState::Failed];
        all.into_iter().find(|state| state.as_str() == word)
    }
}

/// How a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyOutcome {
    /// The guest got it.
    Delivered,
    /// The guest did not come for it in time.
    Expired,
    /// It has nothing that a guest could be shown.
    Unsupported,
}

impl Reply {
    /// Whether there is nothing to show of it.
    pub fn is_empty(&self) -> bool {
        self.text.is_none() && self.attachments.is_empty()
    }
}

/// What Genesys is told of a reply, once.
#[derive(Clone, PartialEq, Eq)]
pub struct ReplyReceipt {
    /// Genesys' id of the reply.
    pub reply_id: String,
    /// The guest it was for.
    pub sender_id: String,
    /// What became of it.
    pub outcome: ReplyOutcome,
    /// When that was found.
    pub at: UnixMs,
}
