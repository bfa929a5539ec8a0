//! One HTTP call and what became of it. Routes are written against [`Transport`]; the real one is
//! in `http`, the simulation's hands requests to the sandbox's core in memory.

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::domain::{Code, Failure, PAUSE_MS_MAX, RateHeaders, Retry, UnixMs};
/// Which call this is, for logs and metrics.
pub use crate::telemetry::Call as CallName;

/// The HTTP method of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// DELETE.
    Delete,
}

/// A request. Cheap to clone: the body is shared.
#[derive(Clone)]
pub struct Call {
    /// Which call it is.
    pub name: CallName,
    /// Its method.
    pub method: Method,
    /// Absolute URL.
    pub url: String,
    /// Header fields; names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// When what the call does should have happened, where the gate goes by that: deletes.
    pub due_at: Option<UnixMs>,
    /// The whole body; sent with its `Content-Length`.
    pub body: Bytes,
}

/// The answer to a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// What `Retry-After` asks for, in milliseconds from now; an unreadable one counts as absent.
    pub retry_after_ms: Option<u64>,
    /// What the answer says about the client's budget.
    pub rate: Option<RateHeaders>,
    /// The whole body, at most [`ANSWER_BYTES_MAX`].
    pub body: Bytes,
    /// The body is not as long as the head of the answer says, or the head does not say: where the
    /// connection broke, it looks the same.
    pub may_be_cut_off: bool,
}

/// Largest answer read; a larger one counts as a lost answer.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What became of a call.
#[derive(Clone, Debug)]
pub enum Called {
    /// There is a whole answer.
    Answered(Answer),
    /// It certainly never reached the server.
    NotSent(Failure),
    /// It may have reached the server; why we do not know more.
    Unknown(Failure),
}

/// Something that makes calls, each within its own deadlines.
pub trait Transport {
    /// Makes one call. Never waits longer than the configured whole-call timeout.
    fn call(&self, call: Call) -> LocalBoxFuture<'_, Called>;
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// "After the usual pause, and not before `Retry-After`."
    pub fn retry(&self) -> Retry {
        Retry::After { not_before_ms: self.retry_after_ms.unwrap_or(0) }
    }
}

/// A call that did not leave, and is worth repeating.
pub fn not_sent(detail: impl Into<String>) -> Called {
    Called::NotSent(Failure::passing(Code::GenesysUnavailable, detail))
}

/// A call whose answer was lost.
pub fn unknown(detail: impl Into<String>) -> Called {
    Called::Unknown(Failure::passing(Code::GenesysAnswerLost, detail))
}

/// Reads `Retry-After` (RFC 9110 §10.2.3), seconds or date, as milliseconds from `now`, at most
/// [`PAUSE_MS_MAX`]: after that the call is tried, and told again. A date in the past is 0;
/// anything unreadable is `None`.
pub fn parse_retry_after(value: &str, now: UnixMs) -> Option<u64> {
    asked_pause_ms(value, now).map(|pause_ms| pause_ms.min(PAUSE_MS_MAX))
}

fn asked_pause_ms(value: &str, now: UnixMs) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1000));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let at = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
    Some(UnixMs(i64::try_from(at).ok()?).ms_since(now))
}

/// Reads the three `inin-ratelimit-*` fields; `None` unless all are there and make sense. The
/// reset is told in whole seconds, rounded somehow: one second is added, so that the window here
/// never ends before the server's.
pub fn parse_rate<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Option<RateHeaders> {
    let number = |name| field(name)?.trim().parse::<u64>().ok();
    let allowed = number("inin-ratelimit-allowed").filter(|allowed| *allowed > 0)?;
    let count = number("inin-ratelimit-count")?;
    let reset_seconds = number("inin-ratelimit-reset").filter(|seconds| *seconds <= 3_600)?;
    Some(RateHeaders { count, allowed, reset_ms: (reset_seconds + 1) * 1_000 })
}
