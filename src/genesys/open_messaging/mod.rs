//! The `open-messaging` route: the clip on our own media host, and an inbound open message that
//! names its address. Source: the Open Messaging API of the public platform.
//!
//! Ids and times on the wire are ours: a repeat is the same, byte for byte. Three copies are owed
//! for: the hosted file; what Genesys keeps of it (cached media, found by its address); and the
//! conversation's recording, which no call on this route can delete.

mod answers;
mod cached_media;
mod calls;
mod check_up;
mod look_up;
mod planner;
mod receipts;
mod survived;

pub use calls::OpenMessagingRoute;
pub use check_up::{CheckUp, ExpectedWebhook};
pub use planner::{OpenMessagingPlanner, OpenMessagingRules};

use serde::{Deserialize, Serialize};

use crate::domain::{Deliverable, MessageId, Private};

/// What an upload's intent, a hosted and a cached copy keep: the file and its address.
#[derive(Clone, Serialize, Deserialize)]
struct HostedClip {
    file: MessageId,
    url: String,
}

impl HostedClip {
    fn pack(&self) -> Private {
        Private(serde_json::to_vec(self).unwrap_or_default())
    }

    fn unpack(private: &Private) -> Option<HostedClip> {
        serde_json::from_slice(&private.0).ok()
    }
}

/// The media type in the message and of what the media host serves.
pub(crate) fn wire_media_type(container: Deliverable) -> &'static str {
    container.container().media_type()
}
