//! What goes in and out of the core: a request, a reply, and how the reply is delivered.
//!
//! Knows no HTTP library: the shell translates, a simulation calls the core directly.

use bytes::Bytes;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde::Serialize;

/// One request, read to its end.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Upper-case method.
    pub method: String,
    /// Path as it came, still percent-encoded, without the query.
    pub path: String,
    /// Query without its question mark; empty where there is none.
    pub query: String,
    /// Header names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl Request {
    /// A request without headers and body. `target` is a path, with or without a query.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            ..Request::default()
        }
    }

    /// Adds a header; `name` in any case.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sets the body and its `Content-Length`.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.with_header("content-length", &length)
    }

    /// The first value of the header `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// One answer of the core. Where `fault` cuts the connection, the rest reaches nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case, and their values; never `content-length`.
    pub headers: Vec<(&'static str, String)>,
    /// The whole body.
    pub body: Bytes,
    /// How the answer reaches the client, or does not.
    pub fault: Delivery,
}

/// How an answer reaches the client. All effects happened when the core returned, latency or not:
/// a client that gives up while it waits has changed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Pause before the first byte of the answer, or before the cut.
    pub latency_ms: u64,
    /// What becomes of the answer then.
    pub ending: Ending,
    /// Whether the connection ends after the answer.
    pub close: bool,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// It arrives whole.
    #[default]
    Whole,
    /// The connection is cut without a byte; nothing happened at the sandbox.
    CutBeforeEffect,
    /// The connection is cut without a byte; the sandbox did what was asked.
    CutAfterEffect,
    /// Status, headers and half the body arrive, then the connection is cut; the sandbox did what
    /// was asked.
    CutWithinBody,
    /// Status and headers arrive, the body only after this pause.
    StalledBody {
        /// Pause between the headers and the body.
        stall_ms: u64,
    },
    /// Status and headers arrive at once, the body little by little.
    DrippedBody {
        /// How fast, at least 1.
        bytes_per_second: u32,
    },
    /// The connection is reset without a byte; nothing happened at the sandbox.
    Reset,
    /// No byte comes until the fault rules change, then the connection is reset; nothing happened.
    Hang,
}

/// What becomes of a call of which only the head is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Its body is read.
    Taken,
    /// Its body is read no faster than this.
    ReadSlowly {
        /// How fast, at least 1.
        bytes_per_second: u32,
    },
    /// The connection is reset, its body unread.
    Refused,
}

impl Delivery {
    /// Whether the client gets an answer at all.
    pub fn is_answered(&self) -> bool {
        match self.ending {
            Ending::Whole | Ending::StalledBody { .. } | Ending::DrippedBody { .. } => true,
            Ending::CutBeforeEffect
            | Ending::CutAfterEffect
            | Ending::CutWithinBody
            | Ending::Reset
            | Ending::Hang => false,
        }
    }
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Reply { status, headers: Vec::new(), body: Bytes::new(), fault: Delivery::default() }
    }

    pub(super) fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value)
            .expect("a derived Serialize over strings and numbers, written to memory, cannot fail");
        Reply::new(status).with("content-type", "application/json").with_body(body)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The first value of the header `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }
}

/// A refusal in the words of the platform's API; becomes its `ErrorBody`.
#[derive(Debug)]
pub(super) struct Problem {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    /// Seconds for `Retry-After`.
    pub retry_after_seconds: Option<u64>,
    pub limit: Option<Limit>,
}

/// Which limit a 429 is about.
#[derive(Debug, Serialize)]
pub(super) struct Limit {
    pub key: &'static str,
    pub namespace: &'static str,
    pub value: u32,
}

/// `ErrorBody` of the platform's API description.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    message: &'a str,
    code: &'a str,
    status: u16,
    context_id: &'a str,
    details: [(); 0],
    errors: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a Limit>,
}

impl Problem {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Problem { status, code, message, retry_after_seconds: None, limit: None }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Problem::new(400, "bad.request", message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Problem::new(404, "not.found", message)
    }

    /// The usual words for `status`, for trouble made on request.
    pub fn of_status(status: u16) -> Self {
        let (code, message) = match status {
            400 => ("bad.request", "The request could not be understood by the server."),
            401 => ("bad.credentials", "Invalid login credentials."),
            403 => ("missing.any.permissions", "Unable to perform the requested action."),
            404 => ("not.found", "The requested resource was not found."),
            408 => ("client.request.timeout", "The client did not produce a request in time."),
            413 => ("request.entity.too.large", "The request is over the size limit."),
            415 => ("unsupported.media.type", "Unsupported media type."),
            429 => ("too.many.requests", "Rate limit exceeded the maximum."),
            503 => ("service.unavailable", "Service unavailable."),
            504 => ("gateway.timeout", "The request timed out."),
            500.. => ("internal.server.error", "The server encountered an unexpected condition."),
            _ => ("injected.fault", "Answered on request of a fault rule."),
        };
        Problem::new(status, code, message)
    }

    pub fn into_reply(self, correlation_id: &str) -> Reply {
        let body = ErrorBody {
            message: &self.message,
            code: self.code,
            status: self.status,
            context_id: correlation_id,
            details: [],
            errors: [],
            limit: self.limit.as_ref(),
        };
        let reply = Reply::json(self.status, &body);
        match self.retry_after_seconds {
            Some(seconds) => reply.with("retry-after", seconds.to_string()),
            None => reply,
        }
    }
}

/// `at_ms` (Unix milliseconds) as an HTTP date (RFC 9110 §5.6.7).
pub(super) fn http_date(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .ok()
        .and_then(|at| DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok())
        .unwrap_or_default()
}
