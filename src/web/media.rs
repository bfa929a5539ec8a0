//! `/media/…`: hosted clips, for Genesys and for agents' browsers.
//!
//! An address is its own authority: unguessable, signed, with an end. Bytes are never anything but
//! the audio they are named as. `HEAD` and one `Range` (RFC 9110 §14) are answered, 410 once a clip
//! is purged, 404 for what we never gave.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, Header, Range};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use super::{answers, problem};
use crate::domain::{Code, Problem};
use crate::hosted::{Fetched, MediaLink};

/// Clips read into memory at a time; more requests wait for their turn.
pub(super) const READS_MAX: usize = 8;

/// Answers a hosted clip, whole or one range of it.
pub(super) async fn serve(request: HttpRequest, segment: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    let Some(media) = &site.media else { return answers::route_not_found(request).await };
    // Who made an address up gets no turn.
    if media.hosted.key().read(&segment).is_none() {
        return answers::route_not_found(request).await;
    }
    // Never closed.
    let Ok(_turn) = media.reads.acquire().await else {
        return answers::route_not_found(request).await;
    };
    match media.hosted.fetch(&segment, site.pipeline.clock().now()).await {
        Ok(Fetched::Clip(link, clip)) => clip_answer(&request, &link, clip),
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

fn clip_answer(request: &HttpRequest, link: &MediaLink, clip: Bytes) -> HttpResponse {
    let length = clip.len() as u64;
    let part = match asked_range(request, length) {
        Ok(part) => part,
        Err(()) => {
            let detail = format!("the range asked for is not within the {length} bytes there are");
            let problem = Problem::new(Code::RangeNotSatisfiable, detail).with("actual", length);
            let mut response = problem::respond(request, problem);
            insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
            return response;
        }
    };
    let media_type = link.container.container().media_type();
    let status = if part.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
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
    let body = match part {
        Some((first, last)) => {
            let range = format!("bytes {first}-{last}/{length}");
            response.insert_header((header::CONTENT_RANGE, range));
            within(&clip, first, last)
        }
        None => clip,
    };
    response.body(body)
}

/// The one range that is asked for, both ends included. Several ranges, other units and what cannot
/// be read count as not asked (RFC 9110 §14.2); one outside the clip is an error.
fn asked_range(request: &HttpRequest, length: u64) -> Result<Option<(u64, u64)>, ()> {
    if !request.headers().contains_key(header::RANGE) {
        return Ok(None);
    }
    let Ok(Range::Bytes(ranges)) = Range::parse(request) else { return Ok(None) };
    match ranges.as_slice() {
        [one] => one.to_satisfiable_range(length).map(Some).ok_or(()),
        _ => Ok(None),
    }
}

fn within(clip: &Bytes, first: u64, last: u64) -> Bytes {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
    clip.slice(at(first)..at(last.saturating_add(1)).min(clip.len()))
}

fn insert(response: &mut HttpResponse, name: header::HeaderName, value: &str) {
    if let Ok(value) = header::HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
