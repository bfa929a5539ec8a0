//! What the answers of this route mean. Pure: status and body in, outcome out. The only place that
//! knows what a status of these endpoints says.

use serde_json::Value;

use super::super::transport::{Answer, Called};
use crate::domain::{Code, Failure, ID_BYTES_MAX, Outcome, Posted, Retry};

/// What posting needs.
pub(super) const RECEIVE: &str = "conversation:message:receive";
/// What deleting cached media needs.
pub(super) const CACHED_MEDIA_DELETE: &str = "conversation:cachedMedia:delete";

/// A post: whatever is not a clear yes or no may have reached the conversation.
pub(super) fn post(called: Called) -> Outcome<Posted> {
    let answer = match called {
        Called::NotSent(failure) => return Outcome::NotSent(failure),
        Called::Unknown(failure) => return Outcome::Unknown(failure),
        Called::Answered(answer) => answer,
    };
    let refused = |detail| Outcome::Refused(Failure::last(Code::GenesysRefused, detail));
    match answer.status {
        200..=299 => Outcome::Done(read_post(&answer.body)),
        403 => refused(missing(RECEIVE)),
        404 => refused("the integration does not exist, or is not active (404)".to_owned()),
        429 => Outcome::Refused(rate_limited(&answer)),
        408 | 500..=599 => Outcome::Unknown(unavailable(&answer)),
        status => {
            let code = error_code(&answer.body).unwrap_or_default();
            refused(format!("the message was answered {status} {code}").trim_end().to_owned())
        }
    }
}

fn read_post(body: &[u8]) -> Posted {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    Posted {
        message_id: text(&answer, "id"),
        conversation_id: text(&answer, "conversationId"),
        ..Posted::default()
    }
}

/// The body of an answer that has to be 2xx and JSON for the work to go on.
pub(super) fn json(called: Called, permission: &str) -> Result<Value, Failure> {
    let answer = match called {
        Called::NotSent(failure) | Called::Unknown(failure) => return Err(failure),
        Called::Answered(answer) => answer,
    };
    match answer.status {
        200..=299 => serde_json::from_slice(&answer.body).map_err(|_| {
            Failure::passing(Code::GenesysUnavailable, "Genesys answered with what is not JSON")
        }),
        403 => Err(Failure::passing(Code::GenesysUnavailable, missing(permission))),
        429 => Err(rate_limited(&answer)),
        _ => Err(unavailable(&answer)),
    }
}

/// A deletion that Genesys has taken on, or that was not needed.
pub(super) fn deleted(called: Called) -> Result<(), Failure> {
    match called {
        Called::Answered(answer) if answer.is_success() || answer.status == 404 => Ok(()),
        Called::Answered(answer) if answer.status == 403 => {
            let detail = missing(CACHED_MEDIA_DELETE);
            Err(Failure::passing(Code::GenesysUnavailable, detail))
        }
        Called::Answered(answer) if answer.status == 429 => Err(rate_limited(&answer)),
        Called::Answered(answer) => Err(unavailable(&answer)),
        Called::NotSent(failure) | Called::Unknown(failure) => Err(failure),
    }
}

/// A receipt: what Genesys will not take now, it never will.
pub(super) fn receipt(called: Called) -> Result<(), Failure> {
    let answer = match called {
        Called::NotSent(failure) | Called::Unknown(failure) => return Err(failure),
        Called::Answered(answer) => answer,
    };
    match answer.status {
        200..=299 => Ok(()),
        403 => Err(Failure::passing(Code::GenesysUnavailable, missing(RECEIVE))),
        429 => Err(rate_limited(&answer)),
        408 | 500..=599 => Err(unavailable(&answer)),
        status => {
            let detail = format!("the receipt was answered {status}");
            Err(Failure::last(Code::GenesysRefused, detail))
        }
    }
}

/// A member that is a text of a length an id may have.
pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    let text = value[name].as_str()?;
    (1..=ID_BYTES_MAX).contains(&text.len()).then(|| text.to_owned())
}

/// The error's `code`, a word of Genesys' own; its `message` may repeat what was sent.
fn error_code(body: &[u8]) -> Option<String> {
    let error: Value = serde_json::from_slice(body).ok()?;
    let code = text(&error, "code")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    code.chars().all(plain).then_some(code)
}

fn missing(permission: &str) -> String {
    format!("the OAuth client's role lacks the permission {permission} (403)")
}

fn rate_limited(answer: &Answer) -> Failure {
    let detail = match answer.retry_after_ms {
        Some(ms) => format!("Genesys asks for a pause of {ms} ms (429)"),
        None => "Genesys asks for a pause (429)".to_owned(),
    };
    Failure { code: Code::GenesysRateLimited, detail, retry: answer.retry() }
}

fn unavailable(answer: &Answer) -> Failure {
    let detail = format!("Genesys answered {}", answer.status);
    Failure { code: Code::GenesysUnavailable, detail, retry: answer.retry() }
}

/// Look again after a pause: the work of a call has been taken on, and is not done yet.
pub(super) fn later(detail: String, not_before_ms: u64) -> Failure {
    let retry = Retry::After { not_before_ms };
    Failure { code: Code::GenesysUnavailable, detail, retry }
}
