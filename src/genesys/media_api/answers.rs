//! What the answers of this route mean. Pure: status, headers and body in, outcome out. The only
//! place that knows what a status of these endpoints says, with the words of the contract.

use serde::Deserialize;
use serde_json::Value;

use super::super::transport::{Answer, Called};
use super::UploadedMedia;
use crate::domain::{Code, Failure, Outcome, Posted, PurgeOutcome, Retry};

#[derive(Deserialize)]
struct PostAnswer {
    #[serde(default)]
    messages: Vec<PostedMessage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedMessage {
    message_id: Option<String>,
}

/// Longest identifiers kept: together with their JSON they fit a route's private value.
const MEDIA_ID_BYTES_MAX: usize = 512;
/// See [`MEDIA_ID_BYTES_MAX`].
const MEDIA_URL_BYTES_MAX: usize = 3_072;

/// An upload: 408 and 5xx may have stored the clip, so its id is lost with them. `Done(None)`: the
/// clip was taken, but the answer names no media id.
pub(super) fn upload(called: Called) -> Outcome<Option<UploadedMedia>> {
    let answer = match called {
        Called::NotSent(failure) => return Outcome::NotSent(failure),
        Called::Unknown(failure) => return Outcome::Unknown(failure),
        Called::Answered(answer) => answer,
    };
    let refused = |code, detail: &str| Outcome::Refused(Failure::last(code, detail));
    match answer.status {
        200..=299 if is_cut_off(&answer) => {
            let detail = "the answer to the upload is cut off";
            Outcome::Unknown(Failure::passing(Code::GenesysAnswerLost, detail))
        }
        200..=299 => Outcome::Done(read_upload(&answer.body)),
        400 => {
            refused(Code::ClipRefusedByGenesys, "Invalid audio payload rejected by Genesys Cloud.")
        }
        413 => refused(Code::ClipRefusedByGenesys, "the clip is too large for Genesys Cloud (413)"),
        415 => refused(Code::ClipRefusedByGenesys, "Genesys Cloud does not take this type (415)"),
        403 => refused(
            Code::GenesysRefused,
            "Missing required scopes. Verify media:upload and webchat:write are granted.",
        ),
        429 => Outcome::Refused(rate_limited(&answer)),
        408 | 500..=599 => Outcome::Unknown(unavailable(&answer)),
        status => refused(Code::GenesysRefused, &format!("the upload was answered {status}")),
    }
}

/// Whether a body is the beginning of JSON and no more, or nothing at all, and a connection that
/// was closed early would end it like any other end: its ids are lost, not absent.
fn is_cut_off(answer: &Answer) -> bool {
    let is_whole = || serde_json::from_slice::<Value>(&answer.body);
    answer.may_be_cut_off && is_whole().is_err_and(|error| error.is_eof())
}

fn read_upload(body: &[u8]) -> Option<UploadedMedia> {
    // Each member for itself: a media id that came owes a purge, whatever the rest looks like.
    let answer: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str, bytes_max| {
        let text = answer[name].as_str()?;
        (1..=bytes_max).contains(&text.len()).then(|| text.to_owned())
    };
    let media_id = text("mediaId", MEDIA_ID_BYTES_MAX)?;
    Some(UploadedMedia { media_id, media_url: text("mediaUrl", MEDIA_URL_BYTES_MAX) })
}

/// A post: whatever is not a clear yes or no may have reached the conversation.
pub(super) fn post(
    called: Called,
    conversation_id: &str,
    batch_len: usize,
) -> Outcome<Vec<Posted>> {
    let answer = match called {
        Called::NotSent(failure) => return Outcome::NotSent(failure),
        Called::Unknown(failure) => return Outcome::Unknown(failure),
        Called::Answered(answer) => answer,
    };
    let refused = |code, detail: String| Outcome::Refused(Failure::last(code, detail));
    match answer.status {
        200..=299 => Outcome::Done(read_post(&answer.body, batch_len)),
        // None of the batch was done (contract, "Message"): each is tried by itself.
        400 | 413 if batch_len > 1 => Outcome::Refused(Failure {
            code: Code::GenesysRefused,
            detail: format!("{batch_len} messages together were answered {}", answer.status),
            retry: Retry::Apart,
        }),
        403 => refused(
            Code::GenesysRefused,
            "Missing webchat:write or conversations:write scope.".to_owned(),
        ),
        404 => refused(
            Code::ConversationNotFound,
            format!("Conversation {conversation_id} not found."),
        ),
        429 => Outcome::Refused(rate_limited(&answer)),
        408 | 500..=599 => Outcome::Unknown(unavailable(&answer)),
        status => refused(Code::GenesysRefused, format!("the message was answered {status}")),
    }
}

/// Ids match by position; an empty or short list means sent, without an id.
fn read_post(body: &[u8], batch_len: usize) -> Vec<Posted> {
    let answer = serde_json::from_slice::<PostAnswer>(body);
    let messages = answer.map(|answer| answer.messages).unwrap_or_default();
    let posted =
        |message: PostedMessage| Posted { message_id: message.message_id, ..Posted::default() };
    let mut posted: Vec<_> = messages.into_iter().map(posted).collect();
    posted.resize(batch_len, Posted::default());
    posted
}

/// A retention call: a 2xx is a yes, a 400 a final no; everything else is tried again until the
/// delete is due. 404 proves nothing about the copy.
pub(super) fn retention(called: Called) -> Result<(), Failure> {
    let answer = match called {
        Called::NotSent(failure) | Called::Unknown(failure) => return Err(failure),
        Called::Answered(answer) => answer,
    };
    let refused = |detail: String| Failure::last(Code::GenesysRefused, detail);
    match answer.status {
        200..=299 => Ok(()),
        400 => Err(refused("Invalid retention duration format.".to_owned())),
        429 => Err(rate_limited(&answer)),
        _ => Err(unavailable(&answer)),
    }
}

/// Pause after a 429 to a delete without `Retry-After` (contract, "Retention and deletion").
const DELETE_PAUSE_MS: u64 = 5_000;

/// A delete: 2xx or 404 is the proof; everything else is repeated.
pub(super) fn delete(called: Called) -> PurgeOutcome {
    let answer = match called {
        Called::NotSent(failure) | Called::Unknown(failure) => {
            return PurgeOutcome::Later(failure);
        }
        Called::Answered(answer) => answer,
    };
    match answer.status {
        200..=299 | 404 => PurgeOutcome::Gone,
        429 => {
            let not_before_ms = answer.retry_after_ms.unwrap_or(DELETE_PAUSE_MS);
            let retry = Retry::After { not_before_ms };
            PurgeOutcome::Later(Failure { retry, ..rate_limited(&answer) })
        }
        status => PurgeOutcome::Later(Failure {
            code: Code::GenesysUnavailable,
            detail: format!("the delete was answered {status}"),
            retry: answer.retry(),
        }),
    }
}

fn rate_limited(answer: &Answer) -> Failure {
    let detail = match answer.retry_after_ms {
        Some(ms) => format!("Genesys asks for a pause of {ms} ms (429)"),
        None => "Genesys asks for a pause (429)".to_owned(),
    };
    Failure { code: Code::GenesysRateLimited, detail, retry: answer.retry() }
}

fn unavailable(answer: &Answer) -> Failure {
    Failure {
        code: Code::GenesysUnavailable,
        detail: format!("Genesys answered {}", answer.status),
        retry: answer.retry(),
    }
}
