//! The calls of this route.

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
    Code, Copy, CopyKind, CopyState, Failure, Found, NewCopy, Origin, Outcome, Posted, Private,
    PurgeOutcome, Record, ReplyReceipt,
};
use crate::hosted::Hosted;

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
        OpenMessagingRoute { api, origin, integration_id, hosted, checks_audio }
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
                posted.audio_dropped =
                    self.checks_audio && !survived::is_kept(&self.api, &posted).await;
                Outcome::Done(vec![posted])
            }
            Outcome::Refused(failure) => Outcome::Refused(failure),
            Outcome::NotSent(failure) => Outcome::NotSent(failure),
            Outcome::Unknown(failure) => Outcome::Unknown(failure),
        }
    }

    async fn do_look_up(&self, record: Arc<Record>, known: Option<String>) -> Found {
        // The conversation is Genesys' choice: one that only the sender names may be another.
        let is_certain = known.is_some();
        let Some(conversation_id) = known.or_else(|| record.conversation_id.clone()) else {
            return Found::CannotTell;
        };
        let checks = self.checks_audio;
        match look_up::look_up(&self.api, &conversation_id, record.id, checks).await {
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
            // Of another route, or written by something else: it is owed all the same.
            let detail = "the copy's address is not known";
            return PurgeOutcome::Later(Failure::passing(Code::Internal, detail));
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
            CopyKind::Recording => {
                PurgeOutcome::NotPossible("no call on this route deletes a recording".to_owned())
            }
            CopyKind::UploadedMedia => {
                let detail = "the route open-messaging makes no such copy";
                PurgeOutcome::Later(Failure::passing(Code::Internal, detail))
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

    fn look_up(
        &self,
        record: Arc<Record>,
        conversation_id: Option<String>,
    ) -> LocalBoxFuture<'_, Found> {
        self.do_look_up(record, conversation_id).boxed_local()
    }

    fn retain(&self, _copy: Copy, _ttl_seconds: u64) -> LocalBoxFuture<'_, Result<(), Failure>> {
        // A copy that asks for it is of another route: it is asked for when that is back.
        let failure = Failure::passing(Code::Internal, "this route has no retention call");
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
/// apart by id and time, so both stay the same in every repeat; the address of the clip does too,
/// unless it has ended meanwhile and the clip was published anew.
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
