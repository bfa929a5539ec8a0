//! The `media-api` route: upload the clip, post a message that references it, set its retention,
//! delete it. Source: the media-api contract.
//!
//! The id of a copy is known only from the upload's answer, and there is no look-up: a lost upload
//! leaves an orphan, a lost post stays in doubt.

mod answers;
mod calls;
mod check_up;
mod planner;

pub use calls::MediaApiRoute;
pub use check_up::{COMMON_ERRORS, check_up};
pub use planner::{MediaApiPlanner, MediaApiRules};

use serde::{Deserialize, Serialize};

use crate::domain::{CopyKind, CopyState, Deliverable, NewCopy, Origin, Private};

/// What this route keeps about an uploaded copy.
#[derive(Serialize, Deserialize)]
struct UploadedMedia {
    media_id: String,
    /// Absent where the answer had an id but no URL: the copy can be deleted, not posted.
    media_url: Option<String>,
}

impl UploadedMedia {
    fn pack(&self) -> Private {
        Private(serde_json::to_vec(self).unwrap_or_default())
    }

    fn unpack(private: &Private) -> Option<UploadedMedia> {
        serde_json::from_slice(&private.0).ok()
    }
}

/// The copy of this media; an orphan where no answer named one.
fn new_copy(origin: &Origin, media: Option<&UploadedMedia>) -> NewCopy {
    NewCopy {
        kind: CopyKind::UploadedMedia,
        state: if media.is_some() { CopyState::Owed } else { CopyState::Orphaned },
        host: origin.host.clone(),
        client: origin.client.clone(),
        private: media.map(UploadedMedia::pack).unwrap_or_default(),
    }
}

/// The media type on this route, in the upload and in the message alike.
fn wire_media_type(container: Deliverable) -> &'static str {
    match container {
        Deliverable::Mp3 => "audio/mp3",
        Deliverable::Wav => "audio/wav",
        Deliverable::Ogg => "audio/ogg",
    }
}
