//! A voice message as its sender hands it over, before anything is durable.

use super::{Envelope, Media, MessageId, Principal, UnixMs};

/// Longest id of a guest, a conversation or an agent's message, in bytes. Genesys' own are UUIDs;
/// this leaves room.
pub const ID_BYTES_MAX: usize = 256;

/// How long the sender is willing to wait for the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Answer 202 as soon as the message is durable (`Prefer: respond-async`, RFC 7240).
    pub respond_async: bool,
    /// Otherwise wait this long for the delivery, then answer 202.
    pub wait_ms: u64,
}

/// One request, its parts read and its clip judged.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The id the message will have.
    pub id: MessageId,
    /// Who sent it.
    pub principal: Principal,
    /// Idempotency key, where one was sent.
    pub key: Option<String>,
    /// The conversation, where one was named.
    pub conversation_id: Option<String>,
    /// Identities and extras.
    pub envelope: Envelope,
    /// The sender's transcript, which may be blank.
    pub transcript: Option<String>,
    /// What the gate found the clip to be.
    pub media: Media,
    /// SHA-256 of the clip as it was sent.
    pub sha256: [u8; 32],
    /// How long the sender waits.
    pub patience: Patience,
    /// When the body was complete.
    pub received_at: UnixMs,
}
