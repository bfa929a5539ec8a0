//! `/media/…`: hosted clips, for Genesys and for agents' browsers.
//!
//! An address is its own authority: unguessable, signed, with an end. Bytes are never anything but
//! the audio they are named as. `HEAD` and one `Range` (RFC 9110 §14) are answered, 410 once a clip
//! is purged, 404 for what we never gave.

use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::header::{self, Header, Range};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::{Stream, stream};

use super::{MediaHost, Site, answers, problem};
use crate::domain::{Code, MessageId, Problem};
use crate::hosted::{Fetched, MediaLink, Part, SpoolError};

/// Pieces read into memory at a time; more answers wait for their turn.
pub(super) const READS_MAX: usize = 8;
/// Bytes of a clip that an answer holds: whoever is slow to take it holds no more.
const PIECE_BYTES: usize = 64 * 1024;

/// Answers a hosted clip, whole or one range of it.
pub(super) async fn serve(request: HttpRequest, segment: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    let Some(media) = &site.media else { return answers::route_not_found(request).await };
    // Who made an address up gets no turn.
    if media.hosted.key().read(&segment).is_none() {
        return answers::route_not_found(request).await;
    }
    // Never closed.
    let Ok(turn) = media.reads.acquire().await else {
        return answers::route_not_found(request).await;
    };
    let bytes_max = if request.method() == Method::HEAD { 0 } else { PIECE_BYTES };
    let now = site.pipeline.clock().now();
    let fetched = media.hosted.fetch(&segment, now, bytes_max).await;
    drop(turn);
    match fetched {
        Ok(Fetched::Clip(link, part)) => clip_answer(&request, &site, &link, part),
        Ok(Fetched::Gone) => {
            let detail = "the audio that was here is deleted";
            problem::respond(&request, Problem::new(Code::MediaGone, detail))
        }
        Ok(Fetched::Unknown) => answers::route_not_found(request).await,
        Err(error) => {
            tracing::error!(%error, "a hosted clip cannot be read");
            let detail = "the audio cannot be read at present";
            problem::respond(&request, Problem::new(Code::StorageFailed, detail))
        }
    }
}

fn clip_answer(
    request: &HttpRequest,
    site: &Arc<Site>,
    link: &MediaLink,
    part: Part,
) -> HttpResponse {
    let length = part.clip_bytes;
    let range = match asked_range(request, length) {
        Ok(range) => range,
        Err(()) => {
            let detail = format!("the range asked for is not within the {length} bytes there are");
            let problem = Problem::new(Code::RangeNotSatisfiable, detail).with("actual", length);
            let mut response = problem::respond(request, problem);
            insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
            return response;
        }
    };
    let media_type = link.container.container().media_type();
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    response
        .content_type(media_type)
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("inline; filename=\"voice-message.{}\"", link.container.extension()),
        ))
        // What is deleted here must not live on in a cache.
        .insert_header((header::CACHE_CONTROL, "private, no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .insert_header(("cross-origin-resource-policy", "cross-origin"));
    if let Some((first, last)) = range {
        let range = format!("bytes {first}-{last}/{length}");
        response.insert_header((header::CONTENT_RANGE, range));
    }
    let (first, end) = range.map_or((0, length), |(first, last)| (first, last + 1));
    let size = end - first;
    if request.method() == Method::HEAD {
        return response.body(SizedStream::new(size, stream::empty::<Result<_, SpoolError>>()));
    }
    let ahead = if first == 0 { part.bytes } else { Bytes::new() };
    let rest = Rest { site: Arc::clone(site), file: link.file, next: first, end, ahead };
    response.body(SizedStream::new(size, rest.pieces()))
}

/// What is still to be sent of a clip. It is read when it can be sent, so that an answer that
/// nobody takes holds one piece; where the clip is purged meanwhile, the answer breaks off.
struct Rest {
    site: Arc<Site>,
    file: MessageId,
    next: u64,
    end: u64,
    /// Has been read already.
    ahead: Bytes,
}

impl Rest {
    fn pieces(self) -> impl Stream<Item = Result<Bytes, SpoolError>> {
        stream::try_unfold(self, |mut rest| async move {
            let left = usize::try_from(rest.end - rest.next).unwrap_or(usize::MAX);
            if left == 0 {
                return Ok(None);
            }
            let mut piece = std::mem::take(&mut rest.ahead);
            if piece.is_empty() {
                piece = rest.read(left.min(PIECE_BYTES)).await?;
            }
            piece.truncate(left);
            rest.next += piece.len() as u64;
            Ok(Some((piece, rest)))
        })
    }

    async fn read(&self, bytes_max: usize) -> Result<Bytes, SpoolError> {
        let missing = SpoolError::Missing(self.file);
        let Some(MediaHost { hosted, reads }) = &self.site.media else { return Err(missing) };
        let _turn = reads.acquire().await;
        let piece = hosted.more(self.file, self.next, bytes_max).await?;
        if piece.is_empty() { Err(missing) } else { Ok(piece) }
    }
}

/// The one range that is asked for, both ends included. Several ranges, other units and what cannot
/// be read count as not asked (RFC 9110 §14.2); one outside the clip is an error.
fn asked_range(request: &HttpRequest, length: u64) -> Result<Option<(u64, u64)>, ()> {
    // There is no validator, so nothing a condition names can match (RFC 9110 §13.1.5).
    let headers = request.headers();
    if !headers.contains_key(header::RANGE) || headers.contains_key(header::IF_RANGE) {
        return Ok(None);
    }
    let Ok(Range::Bytes(ranges)) = Range::parse(request) else { return Ok(None) };
    match ranges.as_slice() {
        [one] => one.to_satisfiable_range(length).map(Some).ok_or(()),
        _ => Ok(None),
    }
}

fn insert(response: &mut HttpResponse, name: header::HeaderName, value: &str) {
    if let Ok(value) = header::HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
