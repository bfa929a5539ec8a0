//! The calls of this route.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::super::Route;
use super::super::api::Api;
use super::super::transport::{Call, CallName, Method};
use super::planner::{hosted_file, new_copy};
use super::{HostedClip, answers, cached_media, look_up, receipts, survived, wire_media_type};
use crate::domain::{
    Code, Copy, CopyKind, CopyState, Failure, Found, Lane, NewCopy, Origin, Outcome, Posted,
    Private, PurgeOutcome, Record, ReplyReceipt,
};
use crate::hosted::Hosted;

/// Lanes whose conversation is remembered; the oldest are forgotten.
const CONVERSATIONS_MAX: usize = 4_096;
/// File name where the sender's gives nothing usable.
const STEM_DEFAULT: &str = "voice-message";

/// The calling half of the route.
pub struct OpenMessagingRoute {
    api: Api,
    origin: Origin,
    integration_id: String,
    hosted: Hosted,
    /// Whether each message is read back, to see whether its audio was kept.
    checks_audio: bool,
    /// Where the messages of a lane went last, to look a lost post up.
    conversations: RefCell<VecDeque<(Lane, String)>>,
}

impl OpenMessagingRoute {
    /// A route that calls this API for this integration, and publishes on this media host;
    /// `checks_audio`: it reads each message back, to see whether Genesys kept the audio.
    pub fn new(
        api: Api,
        origin: Origin,
        integration_id: String,
        hosted: Hosted,
        checks_audio: bool,
    ) -> OpenMessagingRoute {
        let conversations = RefCell::default();
        OpenMessagingRoute { api, origin, integration_id, hosted, checks_audio, conversations }
    }

    async fn publish(&self, record: Arc<Record>, clip: Bytes) -> Outcome<Vec<NewCopy>> {
        let intended = record.intent.as_ref().and_then(|i| HostedClip::unpack(&i.private));
        let Some(hosted) = intended else {
            let detail = "the upload's intent names no file";
            return Outcome::Refused(Failure::last(Code::Internal, detail));
        };
        if let Err(error) = self.hosted.publish(hosted.file, clip).await {
            return Outcome::NotSent(Failure::passing(Code::StorageFailed, error.to_string()));
        }
        let copy = |kind, state, private| new_copy(kind, state, &self.origin, private);
        // The last one is what the post references.
        Outcome::Done(vec![
            copy(CopyKind::CachedMedia, CopyState::Owed, hosted.pack()),
            hosted_file(&self.origin, hosted.pack()),
        ])
    }

    async fn do_post(&self, batch: Vec<Arc<Record>>) -> Outcome<Vec<Posted>> {
        // `batch_max` is 1.
        let Some(record) = batch.first() else { return Outcome::Done(Vec::new()) };
        let Some(body) = message(record) else {
            let detail = "the hosted file's address or the guest is missing";
            return Outcome::Refused(Failure::last(Code::Internal, detail));
        };
        let url = format!(
            "{}/api/v2/conversations/messages/{}/inbound/open/message?prefetchConversationId=true",
            self.api.base_url, self.integration_id
        );
        let headers = vec![("content-type", "application/json".to_owned())];
        let body = Bytes::from(body.to_string());
        let (name, method) = (CallName::Post, Method::Post);
        let call = Call { name, method, url, headers, due_at: None, body };
        match answers::post(self.api.call(call).await) {
            Outcome::Done(mut posted) => {
                posted.copies.push(recording(&self.origin));
                self.remember(&record.lane, posted.conversation_id.as_deref());
                posted.audio_dropped =
                    self.checks_audio && !survived::is_kept(&self.api, &posted).await;
                Outcome::Done(vec![posted])
            }
            Outcome::Refused(failure) => Outcome::Refused(failure),
            Outcome::NotSent(failure) => Outcome::NotSent(failure),
            Outcome::Unknown(failure) => Outcome::Unknown(failure),
        }
    }

    fn remember(&self, lane: &Lane, conversation_id: Option<&str>) {
        let Some(conversation_id) = conversation_id else { return };
        let mut conversations = self.conversations.borrow_mut();
        conversations.retain(|(known, _)| known != lane);
        conversations.truncate(CONVERSATIONS_MAX - 1);
        conversations.push_front((lane.clone(), conversation_id.to_owned()));
    }

    /// Where the messages of a lane went last, as Genesys told.
    fn conversation_of(&self, lane: &Lane) -> Option<String> {
        let conversations = self.conversations.borrow();
        let known = conversations.iter().find(|(known, _)| known == lane);
        known.map(|(_, id)| id.clone())
    }

    async fn do_look_up(&self, record: Arc<Record>) -> Found {
        let known = self.conversation_of(&record.lane);
        // The conversation is Genesys' choice: one that only the sender names may be another.
        let is_certain = known.is_some();
        let Some(conversation_id) = known.or_else(|| record.conversation_id.clone()) else {
            return Found::CannotTell;
        };
        match look_up::look_up(&self.api, &conversation_id, record.id).await {
            Found::Yes(mut posted) => {
                posted.copies.push(recording(&self.origin));
                Found::Yes(posted)
            }
            Found::No if !is_certain => Found::CannotTell,
            other => other,
        }
    }

    async fn do_purge(&self, copy: Copy) -> PurgeOutcome {
        let Some(hosted) = HostedClip::unpack(&copy.private) else {
            return PurgeOutcome::NotPossible("the copy's address is not known".to_owned());
        };
        match copy.kind {
            CopyKind::HostedFile => match self.hosted.remove(hosted.file).await {
                Ok(()) => PurgeOutcome::Gone,
                Err(error) => {
                    let failure = Failure::passing(Code::StorageFailed, error.to_string());
                    PurgeOutcome::Later(failure)
                }
            },
            CopyKind::CachedMedia => self.purge_cached(&copy, &hosted).await,
            CopyKind::UploadedMedia | CopyKind::Recording => {
                PurgeOutcome::NotPossible("the route open-messaging makes no such copy".to_owned())
            }
        }
    }

    async fn purge_cached(&self, copy: &Copy, hosted: &HostedClip) -> PurgeOutcome {
        if copy.host != self.origin.host || copy.client != self.origin.client {
            let detail = format!("the copy was made at {} by another client", copy.host);
            return PurgeOutcome::Later(Failure::passing(Code::GenesysUnavailable, detail));
        }
        // Our own file goes first: what is deleted there could be fetched anew from here.
        if let Err(error) = self.hosted.remove(hosted.file).await {
            return PurgeOutcome::Later(Failure::passing(Code::StorageFailed, error.to_string()));
        }
        cached_media::purge(&self.api, copy, &hosted.url).await
    }
}

impl Route for OpenMessagingRoute {
    fn upload(
        &self,
        record: Arc<Record>,
        clip: Bytes,
    ) -> LocalBoxFuture<'_, Outcome<Vec<NewCopy>>> {
        self.publish(record, clip).boxed_local()
    }

    fn post(&self, batch: Vec<Arc<Record>>) -> LocalBoxFuture<'_, Outcome<Vec<Posted>>> {
        self.do_post(batch).boxed_local()
    }

    fn look_up(&self, record: Arc<Record>) -> LocalBoxFuture<'_, Found> {
        self.do_look_up(record).boxed_local()
    }

    fn retain(&self, _copy: Copy, _ttl_seconds: u64) -> LocalBoxFuture<'_, Result<(), Failure>> {
        let failure = Failure::last(Code::Internal, "this route has no retention call");
        std::future::ready(Err(failure)).boxed_local()
    }

    fn purge(&self, copy: Copy) -> LocalBoxFuture<'_, PurgeOutcome> {
        self.do_purge(copy).boxed_local()
    }

    fn tell_receipt(&self, receipt: ReplyReceipt) -> LocalBoxFuture<'_, Result<(), Failure>> {
        async move { receipts::tell(&self.api, &self.integration_id, &receipt).await }.boxed_local()
    }
}

/// The recording of the conversation that a post has its part in.
fn recording(origin: &Origin) -> NewCopy {
    new_copy(CopyKind::Recording, CopyState::NotPossible, origin, Private::default())
}

/// The message on the wire: fixed by the record and its copy (invariant 2). Genesys tells messages
/// apart by id and time, so both stay the same in every repeat.
fn message(record: &Record) -> Option<Value> {
    let hosted = HostedClip::unpack(&record.current_copy()?.private)?;
    let envelope = record.envelope.as_ref()?;
    let stem = envelope.file_stem.as_deref().unwrap_or(STEM_DEFAULT);
    Some(json!({
        "channel": {
            "from": { "id": envelope.sender_id.as_ref()?, "idType": "Opaque" },
            "messageId": record.id,
            "time": record.created_at,
        },
        "text": record.transcript.as_ref()?.text,
        "content": [{ "attachment": {
            "mediaType": "Audio",
            "url": hosted.url,
            "mime": wire_media_type(record.media.container),
            "filename": format!("{stem}.{}", record.media.container.extension()),
            "sha256": record.sha256,
        }}],
    }))
}
