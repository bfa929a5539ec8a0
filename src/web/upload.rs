//! Reading the body of a voice message: parts in any order, the clip judged while it arrives.
//!
//! The gate is fed on the worker that reads; a clip that is refused is refused at that byte, and
//! the rest of the body is never kept. A body that does not come to its end leaves nothing.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartConfig, MultipartError};
use actix_web::error::PayloadError;
use actix_web::web::Payload;
use actix_web::{FromRequest, HttpRequest, dev};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::LocalBoxStream;
use ring::digest;
use tokio::time::Instant;

use super::fields::{CheckedFields, FIELD_BYTES_MAX, Fields, duplicate};
use super::sips::{Held, Valve};
use super::{PatienceRules, Site};
use crate::audio::Gate;
use crate::domain::{ClipRefusal, Code, Media, MessageId, Problem, TRANSCRIPT_BYTES_MAX};
use crate::pipeline::{Clip, IncomingClip};

/// Parts in one request, unknown ones included; more are refused.
const PARTS_MAX: usize = 16;
/// Bytes of the body beside the clip: fields, part headers, boundaries.
const BODY_EXTRA_BYTES_MAX: u64 = 256 * 1024;
/// Bytes of a body that the multipart parser looks at: the longest part head it takes, and the
/// longest piece of a clip it hands on.
const PARSER_BYTES_MAX: usize = 16 * 1024;
/// The upload rate is judged after this long.
const RATE_JUDGED_AFTER: Duration = Duration::from_secs(10);

/// A body that came whole, its clip let through by the gate.
pub(super) struct Body {
    pub(super) clip: Clip,
    pub(super) media: Media,
    pub(super) sha256: [u8; 32],
    pub(super) fields: CheckedFields,
}

/// Why a body was not taken, and whether the sender may still be sending it.
pub(super) struct Refused {
    pub(super) problem: Problem,
    pub(super) unread: bool,
}

impl<T: Into<Problem>> From<T> for Refused {
    fn from(problem: T) -> Refused {
        Refused { problem: problem.into(), unread: true }
    }
}

impl Refused {
    pub(super) fn after_reading(problem: Problem) -> Refused {
        Refused { problem, unread: false }
    }
}

/// How bodies are taken apart.
pub(super) fn parser() -> MultipartConfig {
    MultipartConfig::default().buffer_limit(PARSER_BYTES_MAX)
}

/// Reads and judges the body. The clip of message `id` is durable where it came by the spool.
pub(super) async fn read(
    request: &HttpRequest,
    payload: Payload,
    site: &Site,
    id: MessageId,
) -> Result<Body, Refused> {
    let announced = check_head(request, site)?;
    let mut incoming =
        Some(site.pipeline.admission().receive(id, announced, site.limits.bytes_max)?);
    let connection = Valve::hold(request.conn_data::<Rc<Valve>>().cloned());
    let bytes_max = site.limits.bytes_max + BODY_EXTRA_BYTES_MAX;
    let payload = Paced::new(payload, connection, site.patience, bytes_max);
    let mut payload = dev::Payload::Stream { payload: payload.limited() };
    let multipart = Multipart::from_request(request, &mut payload).await;
    let mut multipart = multipart
        .map_err(|error| Problem::new(Code::MalformedRequest, format!("no multipart: {error}")))?;
    let mut fields = Fields::default();
    let mut clip: Option<(Judged, Option<String>)> = None;
    let mut parts = 0;
    while let Some(field) = multipart.next().await {
        let mut field = field.map_err(unreadable)?;
        parts += 1;
        if parts > PARTS_MAX {
            let detail = format!("the request has more than {PARTS_MAX} parts");
            let problem = Problem::new(Code::MalformedRequest, detail).with("limit", PARTS_MAX);
            return Err(problem.into());
        }
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            let Some(incoming) = incoming.take() else { return Err(duplicate("file").into()) };
            let file_name = field.content_disposition().and_then(|d| d.get_filename());
            let file_name = file_name.map(str::to_owned);
            clip = Some((read_clip(&mut field, site, incoming).await?, file_name));
        } else {
            let name = Fields::known(&name)?;
            fields.put(name, read_field(&mut field, name).await?)?;
        }
    }
    let Some((clip, file_name)) = clip else {
        let problem = Problem::new(Code::MissingPart, "the part file is missing");
        return Err(Refused::after_reading(problem.with("part", "file")));
    };
    let fields = fields.check(file_name.as_deref()).map_err(Refused::after_reading)?;
    let Judged { clip, media, sha256 } = clip;
    let clip = clip.finish().await.map_err(Refused::after_reading)?;
    Ok(Body { clip, media, sha256, fields })
}

/// What can be refused before a byte of the body is read; tells how long it is said to be.
fn check_head(request: &HttpRequest, site: &Site) -> Result<Option<u64>, Problem> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let content_type = header("content-type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        let shown: String = essence.chars().take(64).collect();
        let detail = format!("the body is {shown:?}, not multipart/form-data");
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let mut encodings = request.headers().get_all("content-encoding");
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "the body has a Content-Encoding; clips are sent as they are";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let limit = site.limits.bytes_max + BODY_EXTRA_BYTES_MAX;
    let announced = header("content-length").and_then(|length| length.parse::<u64>().ok());
    match announced {
        Some(bytes) if bytes > limit => {
            let bytes_max = site.limits.bytes_max;
            let detail = format!("the body has {bytes} bytes; a clip may have {bytes_max} at most");
            let problem = Problem::new(Code::TooLarge, detail);
            Err(problem.with("limit", bytes_max).with("actual", bytes))
        }
        announced => Ok(announced),
    }
}

fn too_large(at_least_bytes: u64, bytes_max: u64) -> Problem {
    ClipRefusal::TooLarge { at_least_bytes, bytes_max }.into()
}

/// A clip that the gate let through.
struct Judged {
    clip: IncomingClip,
    media: Media,
    sha256: [u8; 32],
}

async fn read_clip(
    field: &mut Field,
    site: &Site,
    mut clip: IncomingClip,
) -> Result<Judged, Problem> {
    let mut gate = Gate::new(site.limits).converting(site.converts);
    let mut hash = digest::Context::new(&digest::SHA256);
    while let Some(chunk) = field.next().await {
        let chunk = chunk.map_err(unreadable)?;
        gate.feed(&chunk)?;
        hash.update(&chunk);
        clip.push(chunk).await?;
    }
    let media = gate.finish()?;
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hash.finish().as_ref());
    Ok(Judged { clip, media, sha256 })
}

async fn read_field(field: &mut Field, name: &'static str) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.next().await {
        let chunk = chunk.map_err(unreadable)?;
        if bytes.len() + chunk.len() > FIELD_BYTES_MAX {
            let (code, bytes_max) = match name {
                "transcript" => (Code::TranscriptTooLong, TRANSCRIPT_BYTES_MAX),
                _ => (Code::InvalidField, FIELD_BYTES_MAX),
            };
            let detail = format!("the part {name} has more than {bytes_max} bytes");
            return Err(Problem::new(code, detail).with("part", name).with("limit", bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The body stream with its deadlines and its size.
struct Paced {
    payload: Payload,
    connection: Held,
    rules: PatienceRules,
    started: Instant,
    /// How long the sender was waited for. What our own disk takes does not count against them.
    waited: Duration,
    bytes: u64,
    bytes_max: u64,
}

/// What [`Paced`] says through the multipart parser, which carries only I/O errors.
#[derive(Debug, thiserror::Error)]
enum PaceError {
    #[error("the body was not complete after {seconds} s")]
    Late { seconds: u64 },
    #[error("the body came at {rate} bytes a second, less than the minimum of {minimum}")]
    Slow { rate: u64, minimum: u64 },
    #[error("the body has at least {bytes} bytes, more than the maximum of {bytes_max}")]
    Oversized { bytes: u64, bytes_max: u64 },
}

impl Paced {
    fn new(payload: Payload, connection: Held, rules: PatienceRules, bytes_max: u64) -> Paced {
        let started = Instant::now();
        Paced { payload, connection, rules, started, waited: Duration::ZERO, bytes: 0, bytes_max }
    }

    fn limited(self) -> LocalBoxStream<'static, Result<Bytes, PayloadError>> {
        futures_util::stream::unfold(Some(self), |paced| async move {
            let mut paced = paced?;
            match paced.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(paced))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        // The multipart parser polls again after the end.
        .fuse()
        .boxed_local()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, PayloadError> {
        let io = |error: PaceError| PayloadError::Io(std::io::Error::other(error));
        let asked = Instant::now();
        let deadline = self.next_deadline(asked);
        let next = poll_fn(|context| {
            let next = self.payload.poll_next_unpin(context);
            if next.is_pending() {
                self.connection.want();
            }
            next
        });
        let came = tokio::time::timeout_at(deadline, next).await;
        self.waited += asked.elapsed();
        let chunk = match came {
            Ok(None) => return Ok(None),
            Ok(Some(chunk)) => chunk?,
            Err(_) => return Err(io(self.late())),
        };
        self.bytes += chunk.len() as u64;
        if self.bytes > self.bytes_max {
            let (bytes, bytes_max) = (self.bytes, self.bytes_max);
            return Err(io(PaceError::Oversized { bytes, bytes_max }));
        }
        Ok(Some(chunk))
    }

    /// The next chunk must be here by the total deadline, and early enough to keep the rate.
    fn next_deadline(&self, now: Instant) -> Instant {
        let total = self.started + self.rules.body_max;
        let rate = self.rules.body_bytes_per_second_min.max(1);
        let earned = Duration::from_millis((self.bytes + 1).saturating_mul(1000) / rate);
        total.min(now + earned.max(RATE_JUDGED_AFTER).saturating_sub(self.waited))
    }

    fn late(&self) -> PaceError {
        if self.started.elapsed() >= self.rules.body_max {
            return PaceError::Late { seconds: self.rules.body_max.as_secs() };
        }
        let rate = self.bytes / self.waited.as_secs().max(1);
        PaceError::Slow { rate, minimum: self.rules.body_bytes_per_second_min }
    }
}

/// What the multipart parser could not read.
fn unreadable(error: MultipartError) -> Problem {
    if let MultipartError::Payload(PayloadError::Io(io)) = &error
        && let Some(pace) = io.get_ref().and_then(|inner| inner.downcast_ref::<PaceError>())
    {
        return match pace {
            PaceError::Oversized { bytes, bytes_max } => too_large(*bytes, *bytes_max),
            slow => Problem::new(Code::UploadTooSlow, slow.to_string()),
        };
    }
    Problem::new(Code::MalformedRequest, format!("the multipart body cannot be read: {error}"))
}
