//! What the route asks of a message before it is accepted, and what it fixes for the wire.

use ring::digest;

use super::super::{Plan, Planner, asked};
use super::HostedClip;
use crate::domain::{
    CopyKind, CopyState, Intent, Lane, NewCopy, NewMessage, Origin, Private, Problem, Record,
    RouteName, Step, UnixMs, hex,
};
use crate::hosted::{Hosted, MediaLink, file_of};

/// The settings this route goes by.
#[derive(Clone, Debug)]
pub struct OpenMessagingRules {
    /// Stand-in transcript.
    pub placeholder: String,
    /// The integration's id.
    pub integration_id: String,
    /// Where the media host is reached from outside, without a slash at its end.
    pub public_url: String,
    /// Seconds from the upload's intent to the end of its address. The file is purged before.
    pub link_seconds: u64,
    /// Seconds for which the file has to be served after the post.
    pub serve_seconds: u64,
    /// Where messages are posted.
    pub origin: Origin,
}

/// The pure half of the route.
pub struct OpenMessagingPlanner {
    rules: OpenMessagingRules,
    hosted: Hosted,
}

impl OpenMessagingPlanner {
    /// A planner that goes by these rules and signs addresses of these files.
    pub fn new(rules: OpenMessagingRules, hosted: Hosted) -> OpenMessagingPlanner {
        OpenMessagingPlanner { rules, hosted }
    }

    /// The file that the next upload of this record makes, and its address.
    fn next_clip(&self, record: &Record, now: UnixMs) -> HostedClip {
        let file = file_of(record.id, record.copies.len());
        let expires_at = now.plus_seconds(self.rules.link_seconds);
        let link = MediaLink { file, container: record.media.container, expires_at };
        let segment = self.hosted.key().segment(&link);
        HostedClip { file, url: format!("{}/media/{segment}", self.rules.public_url) }
    }
}

impl Planner for OpenMessagingPlanner {
    fn name(&self) -> RouteName {
        RouteName::OpenMessaging
    }

    /// The conversation is Genesys' own choice; one that is named is where a post in doubt is
    /// looked for.
    fn plan(&self, message: &NewMessage) -> Result<Plan, Problem> {
        let sender_id = asked::required("sender_id", message.envelope.sender_id.as_deref())?;
        if let Some(conversation_id) = &message.conversation_id {
            asked::id("conversation_id", conversation_id)?;
        }
        let transcript = asked::transcript(message.transcript.clone(), &self.rules.placeholder)?;
        Ok(Plan { lane: lane(&self.rules.integration_id, sender_id), transcript })
    }

    fn intend(&self, record: &Record, step: Step, now: UnixMs) -> Intent {
        let private = match step {
            Step::Upload => self.next_clip(record, now).pack(),
            // The record fixes every byte: its id and its time are on the wire.
            Step::Post => Private::default(),
        };
        Intent { step, private }
    }

    fn retains(&self) -> bool {
        false
    }

    /// A message that was held for long would reach the agent with an address that has ended, or
    /// soon will.
    fn upload_outdated(&self, record: &Record, now: UnixMs) -> bool {
        let published = record.current_copy().and_then(|copy| HostedClip::unpack(&copy.private));
        let Some(HostedClip { url, .. }) = published else { return false };
        let link = url.rsplit('/').next().and_then(|segment| self.hosted.key().read(segment));
        let served_until = now.plus_seconds(self.rules.serve_seconds);
        link.is_none_or(|link| link.expires_at < served_until)
    }

    fn batch_max(&self) -> usize {
        1
    }

    fn lane_of_guest(&self, sender_id: &str) -> Option<Lane> {
        Some(lane(&self.rules.integration_id, sender_id))
    }

    fn lost(&self, record: &Record) -> Vec<NewCopy> {
        let intent = record.intent.as_ref().filter(|intent| intent.step == Step::Upload);
        let private = intent.map(|intent| intent.private.clone()).unwrap_or_default();
        vec![hosted_file(&self.rules.origin, private)]
    }
}

/// The copy on our media host.
pub(super) fn hosted_file(origin: &Origin, private: Private) -> NewCopy {
    new_copy(CopyKind::HostedFile, CopyState::Owed, origin, private)
}

pub(super) fn new_copy(
    kind: CopyKind,
    state: CopyState,
    origin: &Origin,
    private: Private,
) -> NewCopy {
    NewCopy { kind, state, host: origin.host.clone(), client: origin.client.clone(), private }
}

/// A guest at an integration. Hashed: the lane stays in the ledger when the identity has left it
/// (invariant 11).
fn lane(integration_id: &str, sender_id: &str) -> Lane {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(integration_id.as_bytes());
    hash.update(&[0]);
    hash.update(sender_id.as_bytes());
    Lane(hex(&hash.finish().as_ref()[..16]))
}
