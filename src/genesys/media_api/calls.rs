//! The calls of this route, as the contract writes them.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::super::Route;
use super::super::api::{Api, encoded};
use super::super::transport::{Call, CallName, Method};
use super::answers;
use super::{UploadedMedia, new_copy, wire_media_type};
use crate::domain::{
    Code, Copy, Failure, Found, NewCopy, Origin, Outcome, Posted, PurgeOutcome, Record,
    ReplyReceipt, Retry, hex,
};
use crate::settings::UploadBody;

/// File name where the sender's gives nothing usable.
const STEM_DEFAULT: &str = "voice-message";

/// The calling half of the route.
pub struct MediaApiRoute {
    api: Api,
    origin: Origin,
    upload_body: UploadBody,
}

impl MediaApiRoute {
    /// A route that calls this API.
    pub fn new(api: Api, origin: Origin, upload_body: UploadBody) -> MediaApiRoute {
        MediaApiRoute { api, origin, upload_body }
    }

    fn upload_call(&self, record: &Record, clip: Bytes) -> Call {
        let media_type = wire_media_type(record.media.container);
        let stem = record.envelope.as_ref().and_then(|envelope| envelope.file_stem.as_deref());
        let stem = stem.unwrap_or(STEM_DEFAULT);
        let file_name = format!("{stem}.{}", record.media.container.extension());
        let (headers, body) = match self.upload_body {
            UploadBody::Raw => (
                vec![
                    ("content-type", media_type.to_owned()),
                    ("content-disposition", format!("attachment; filename=\"{file_name}\"")),
                ],
                clip,
            ),
            UploadBody::Multipart => {
                let boundary = format!("voicepost-{}", record.id);
                let body = multipart(&boundary, &file_name, media_type, &clip);
                (vec![("content-type", format!("multipart/form-data; boundary={boundary}"))], body)
            }
        };
        let url = format!("{}/api/v2/media/attachments/upload", self.api.base_url);
        Call { name: CallName::Upload, method: Method::Post, url, headers, due_at: None, body }
    }

    fn json_call(&self, name: CallName, url: String, body: &Value) -> Call {
        let headers = vec![("content-type", "application/json".to_owned())];
        let body = Bytes::from(body.to_string());
        Call { name, method: Method::Post, url, headers, due_at: None, body }
    }

    async fn do_upload(&self, record: Arc<Record>, clip: Bytes) -> Outcome<Vec<NewCopy>> {
        let first_bytes = clip.slice(..clip.len().min(32));
        let outcome = answers::upload(self.api.call(self.upload_call(&record, clip)).await);
        match outcome {
            // An incomplete answer is a copy that the post then refuses to reference.
            Outcome::Done(media) => Outcome::Done(vec![new_copy(&self.origin, media.as_ref())]),
            Outcome::Refused(failure) => {
                if failure.code == Code::ClipRefusedByGenesys {
                    // The one exception to invariant 8, so that the refusal can be understood.
                    tracing::warn!(
                        message.id = %record.id,
                        clip.bytes = record.media.bytes,
                        clip.first_bytes = hex(&first_bytes),
                        "genesys refused the clip"
                    );
                }
                Outcome::Refused(failure)
            }
            Outcome::NotSent(failure) => Outcome::NotSent(failure),
            Outcome::Unknown(failure) => Outcome::Unknown(failure),
        }
    }

    async fn do_post(&self, batch: Vec<Arc<Record>>) -> Outcome<Vec<Posted>> {
        let conversation_id = batch.first().and_then(|record| record.conversation_id.clone());
        let conversation_id = conversation_id.unwrap_or_default();
        let Some(messages) = batch.iter().map(|record| message(record)).collect::<Option<Vec<_>>>()
        else {
            let refused =
                Failure::last(Code::GenesysRefused, "Media API returned missing identifiers.");
            // The others of a batch have theirs.
            let retry = if batch.len() > 1 { Retry::Apart } else { Retry::Never };
            return Outcome::Refused(Failure { retry, ..refused });
        };
        let body = json!({ "conversationId": conversation_id, "messages": messages });
        let url = format!("{}/api/v2/conversations/messages", self.api.base_url);
        let called = self.api.call(self.json_call(CallName::Post, url, &body)).await;
        answers::post(called, &conversation_id, batch.len())
    }

    async fn do_retain(&self, copy: Copy, ttl_seconds: u64) -> Result<(), Failure> {
        let media = known(&copy)?;
        let segment = encoded(&media.media_id);
        let url = format!("{}/api/v2/media/recordings/{segment}/retention", self.api.base_url);
        let duration = format!("{}m", ttl_seconds.div_ceil(60));
        let body = json!({ "retention": { "duration": duration } });
        answers::retention(self.api.call(self.json_call(CallName::Retention, url, &body)).await)
    }

    async fn do_purge(&self, copy: Copy) -> PurgeOutcome {
        if copy.host != self.origin.host || copy.client != self.origin.client {
            let detail = format!("the copy was made at {} by another client", copy.host);
            return PurgeOutcome::Later(Failure::passing(Code::GenesysUnavailable, detail));
        }
        let media = match known(&copy) {
            Ok(media) => media,
            // Of another route, or written by something else: it is owed all the same.
            Err(Failure { code, detail, .. }) => {
                return PurgeOutcome::Later(Failure::passing(code, detail));
            }
        };
        let segment = encoded(&media.media_id);
        let url = format!("{}/api/v2/media/attachments/{segment}", self.api.base_url);
        let call = Call {
            name: CallName::Delete,
            method: Method::Delete,
            url,
            headers: Vec::new(),
            due_at: copy.due_at,
            body: Bytes::new(),
        };
        answers::delete(self.api.call(call).await)
    }
}

impl Route for MediaApiRoute {
    fn upload(
        &self,
        record: Arc<Record>,
        clip: Bytes,
    ) -> LocalBoxFuture<'_, Outcome<Vec<NewCopy>>> {
        self.do_upload(record, clip).boxed_local()
    }

    fn post(&self, batch: Vec<Arc<Record>>) -> LocalBoxFuture<'_, Outcome<Vec<Posted>>> {
        self.do_post(batch).boxed_local()
    }

    fn look_up(
        &self,
        _record: Arc<Record>,
        _conversation_id: Option<String>,
    ) -> LocalBoxFuture<'_, Found> {
        // The contract has no call that could tell.
        std::future::ready(Found::CannotTell).boxed_local()
    }

    fn retain(&self, copy: Copy, ttl_seconds: u64) -> LocalBoxFuture<'_, Result<(), Failure>> {
        self.do_retain(copy, ttl_seconds).boxed_local()
    }

    fn purge(&self, copy: Copy) -> LocalBoxFuture<'_, PurgeOutcome> {
        self.do_purge(copy).boxed_local()
    }

    fn tell_receipt(&self, _receipt: ReplyReceipt) -> LocalBoxFuture<'_, Result<(), Failure>> {
        let failure = Failure::last(Code::Internal, "this route brings no replies");
        std::future::ready(Err(failure)).boxed_local()
    }
}

fn known(copy: &Copy) -> Result<UploadedMedia, Failure> {
    UploadedMedia::unpack(&copy.private)
        .ok_or_else(|| Failure::last(Code::Internal, "the copy's media id cannot be read"))
}

/// One entry of `messages`; `None` where the copy has no URL to post.
fn message(record: &Record) -> Option<Value> {
    let media = UploadedMedia::unpack(&record.current_copy()?.private)?;
    Some(json!({
        "senderId": record.envelope.as_ref()?.sender_id.as_ref()?,
        "media": [{
            "mediaId": media.media_id,
            "mediaUrl": media.media_url?,
            "mediaType": wire_media_type(record.media.container),
            "transcript": record.transcript.as_ref()?.text,
        }],
    }))
}

fn multipart(boundary: &str, file_name: &str, media_type: &str, clip: &[u8]) -> Bytes {
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"{file_name}\"\r\nContent-Type: {media_type}\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let mut body = BytesMut::with_capacity(head.len() + clip.len() + tail.len());
    body.put_slice(head.as_bytes());
    body.put_slice(clip);
    body.put_slice(tail.as_bytes());
    body.freeze()
}
