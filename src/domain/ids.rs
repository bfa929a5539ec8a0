//! Names of things: messages, principals, routes, lanes.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::UnixMs;

/// The id of one voice message: a UUIDv7 (RFC 9562), so ids sort by the time they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// Makes an id from the time and ten random bytes.
    pub fn new(now: UnixMs, random: [u8; 10]) -> MessageId {
        let millis = u64::try_from(now.0).unwrap_or(0);
        MessageId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Reads the hyphenated form; anything else is `None`.
    pub fn parse(text: &str) -> Option<MessageId> {
        if text.len() != 36 {
            return None;
        }
        Uuid::try_parse(text).ok().map(MessageId)
    }

    /// The 16 bytes under which the ledger keeps it.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id of these stored bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> MessageId {
        MessageId(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Who sent a request: `loopback` as long as nobody has to say who they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Principal(pub String);

impl Principal {
    /// The one principal of a gateway without authentication, which listens on loopback only.
    pub fn loopback() -> Principal {
        Principal("loopback".to_owned())
    }

    /// Whether it is one guest's, and nobody else's.
    pub fn is_a_guest(&self) -> bool {
        self.0.starts_with("guest:")
    }
}

/// A way into Genesys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteName {
    /// Media API upload and conversation message: the contract first asked for.
    MediaApi,
    /// The clip on our own media host, and an inbound open message that references it.
    OpenMessaging,
}

impl RouteName {
    /// Every route this version has.
    pub const ALL: &'static [RouteName] = &[RouteName::MediaApi, RouteName::OpenMessaging];

    /// The name in settings, receipts and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            RouteName::MediaApi => "media-api",
            RouteName::OpenMessaging => "open-messaging",
        }
    }

    /// Whether senders say which conversation a message goes to; else Genesys decides, by the
    /// sender.
    pub fn asks_for_a_conversation(self) -> bool {
        match self {
            RouteName::MediaApi => true,
            RouteName::OpenMessaging => false,
        }
    }

    /// Whether a post of this route makes a recording of the conversation that no call of ours
    /// deletes.
    pub fn leaves_a_recording(self) -> bool {
        match self {
            RouteName::MediaApi => false,
            RouteName::OpenMessaging => true,
        }
    }

    /// Whether a lane of this route is one guest's, and nobody else's.
    pub fn has_a_lane_for_each_guest(self) -> bool {
        match self {
            RouteName::MediaApi => false,
            RouteName::OpenMessaging => true,
        }
    }

    /// The route of this name.
    pub fn parse(text: &str) -> Option<RouteName> {
        RouteName::ALL.iter().copied().find(|route| route.as_str() == text)
    }
}

impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The key a route orders by. Messages of one lane are posted in the order they were accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lane(pub String);
