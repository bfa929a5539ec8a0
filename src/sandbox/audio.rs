//! `mediaUrl`: where an uploaded clip is heard, signed, expiring, with ranges (RFC 9110 §14).

use std::ops::Range;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::hmac;

use super::core::Sandbox;
use super::media::hex;
use super::wire::{Problem, Reply, Request};

impl Sandbox {
    /// The address of a clip, good until `expires_at_ms`.
    pub(super) fn signed_url(&self, media_id: &str, expires_at_ms: i64) -> String {
        let segment = utf8_percent_encode(media_id, NON_ALPHANUMERIC);
        let signature = self.signature(media_id, expires_at_ms);
        let base_url = &self.base_url;
        format!("{base_url}/media/{segment}?expires={expires_at_ms}&signature={signature}")
    }

    /// `GET` and `HEAD` of a clip: 403 for a damaged address, 410 once expired or deleted, 404
    /// where the audio is not kept.
    pub(super) fn play(&mut self, request: &Request, now_ms: i64) -> Reply {
        match self.find_audio(request, now_ms) {
            Ok(reply) => reply
                .with("accept-ranges", "bytes")
                .with("cache-control", "private, no-store")
                .with("x-content-type-options", "nosniff"),
            Err(problem) => problem.into_reply(&self.next_uuid()),
        }
    }

    fn find_audio(&self, request: &Request, now_ms: i64) -> Result<Reply, Problem> {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Err(Problem::new(405, "method.not.allowed", "GET or HEAD."));
        }
        let segment = request.path.trim_start_matches("/media/");
        let media_id = percent_decode_str(segment).decode_utf8_lossy();
        let expires_at_ms = query_value(&request.query, "expires").and_then(|v| v.parse().ok());
        let signature = query_value(&request.query, "signature");
        let signed = expires_at_ms.filter(|at| Some(&*self.signature(&media_id, *at)) == signature);
        let expires_at_ms: i64 = signed
            .ok_or_else(|| Problem::new(403, "not.authorized", "The signature does not match."))?;
        let upload = self
            .account
            .upload(&media_id)
            .ok_or_else(|| Problem::not_found("The clip is unknown."))?;
        if upload.deleted_at_ms.is_some() {
            return Err(Problem::new(410, "gone", "The clip was deleted."));
        }
        if expires_at_ms <= now_ms {
            return Err(Problem::new(410, "gone", "The address has expired."));
        }
        if upload.audio.is_empty() {
            return Err(Problem::not_found("The audio is not kept here."));
        }
        let length = upload.audio.len();
        let reply = match requested(request.header("range"), length) {
            Requested::Whole => Reply::new(200).with_body(upload.audio.clone()),
            Requested::Part(range) => {
                let stated = format!("bytes {}-{}/{length}", range.start, range.end - 1);
                Reply::new(206).with("content-range", stated).with_body(upload.audio.slice(range))
            }
            Requested::Outside => {
                return Ok(Reply::new(416).with("content-range", format!("bytes */{length}")));
            }
        };
        // The registered name; browsers know `audio/mp3` only by courtesy.
        let media_type = match upload.media_type.as_str() {
            "audio/mp3" => "audio/mpeg",
            other => other,
        };
        Ok(reply.with("content-type", media_type))
    }

    fn signature(&self, media_id: &str, expires_at_ms: i64) -> String {
        let tag = hmac::sign(&self.signing_key, format!("{media_id}\n{expires_at_ms}").as_bytes());
        hex(&tag.as_ref()[..16])
    }
}

/// What a `Range` header asks of a clip.
#[derive(Debug, PartialEq)]
enum Requested {
    Whole,
    Part(Range<usize>),
    Outside,
}

/// Reads `Range`. A header that is not a single byte range is ignored, as RFC 9110 §14.2 allows.
fn requested(header: Option<&str>, length: usize) -> Requested {
    let parts = header.and_then(|value| value.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = parts else {
        return Requested::Whole;
    };
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), _) if first >= length => Requested::Outside,
        (Ok(first), Ok(last)) if first > last => Requested::Whole,
        (Ok(first), Ok(last)) => Requested::Part(first..length.min(last.saturating_add(1))),
        (Ok(first), Err(_)) if last.is_empty() => Requested::Part(first..length),
        (Err(_), Ok(0)) if first.is_empty() => Requested::Outside,
        (Err(_), Ok(count)) if first.is_empty() => {
            Requested::Part(length.saturating_sub(count)..length)
        }
        _ => Requested::Whole,
    }
}

/// The first value of `name` in a query string, as it stands.
pub(super) fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (named, value) = pair.split_once('=')?;
        (named == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_browsers_send_them() {
        let cases = [
            (None, Requested::Whole),
            (Some("bytes=0-"), Requested::Part(0..10)),
            (Some("bytes=2-4"), Requested::Part(2..5)),
            (Some("bytes=8-99"), Requested::Part(8..10)),
            (Some("bytes=-3"), Requested::Part(7..10)),
            (Some("bytes=-99"), Requested::Part(0..10)),
            (Some("bytes=10-"), Requested::Outside),
            (Some("bytes=-0"), Requested::Outside),
            (Some("bytes=4-2"), Requested::Whole),
            (Some("bytes=0-1,4-5"), Requested::Whole),
            (Some("seconds=1-2"), Requested::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(requested(header, 10), expected, "{header:?}");
        }
    }
}
