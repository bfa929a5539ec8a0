//! `GET /voicepost.js`: the recorder for pages, `<voice-message>`. The file is built in `web/` and
//! compiled in, as it is and gzipped; which of both is sent is what the browser asks for.

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, ETAG,
    IF_NONE_MATCH, VARY,
};
use actix_web::{HttpRequest, HttpResponse};
use ring::digest::{SHA256, digest};

use super::answers;
use crate::domain::hex;

const SCRIPT: &[u8] = include_bytes!("../../web/dist/voicepost.js");
const GZIPPED: &[u8] = include_bytes!("../../web/dist/voicepost.js.gz");
/// Bytes of the hash that an `ETag` shows.
const TAG_BYTES: usize = 12;

/// Names the script by its content. The two forms are told apart, as strong tags have to be.
static TAG: LazyLock<String> =
    LazyLock::new(|| hex(&digest(&SHA256, SCRIPT).as_ref()[..TAG_BYTES]));

/// The script; 304 where the browser has it already.
pub(super) async fn script(request: HttpRequest) -> HttpResponse {
    answers::site(&request).pipeline.metrics().answered(None);
    let gzipped = takes_gzip(&header(&request, ACCEPT_ENCODING.as_str()));
    let tag = if gzipped { format!("\"{}-gzip\"", *TAG) } else { format!("\"{}\"", *TAG) };
    let known = is_known(&header(&request, IF_NONE_MATCH.as_str()), &tag);
    let status = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((ETAG, tag))
        .insert_header((VARY, "accept-encoding"))
        // A page that has it asks again after five minutes: a new version is there soon.
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        // It is the same for everybody: any page may load it, with `integrity` as well.
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header(("cross-origin-resource-policy", "cross-origin"))
        .insert_header(("x-request-id", answers::request_id(&request)));
    if known {
        return response.finish();
    }
    response.content_type("text/javascript; charset=utf-8");
    if gzipped {
        response.insert_header((CONTENT_ENCODING, "gzip"));
    }
    response.body(if gzipped { GZIPPED } else { SCRIPT })
}

/// The values of a header in one line; empty where there is none.
fn header(request: &HttpRequest, name: &str) -> String {
    let values = request.headers().get_all(name).filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

/// Whether gzip may be sent (RFC 9110 §12.5.3): named, or meant by `*`, with a weight above 0.
fn takes_gzip(accepted: &str) -> bool {
    let weight = |wanted: &str| {
        accepted.split(',').find_map(|choice| {
            let (coding, parameters) = choice.split_once(';').unwrap_or((choice, ""));
            let q = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok());
            coding.trim().eq_ignore_ascii_case(wanted).then_some(q.unwrap_or(1.0_f32))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

/// Whether one of the tags is ours, compared weakly (RFC 9110 §13.1.2).
fn is_known(tags: &str, tag: &str) -> bool {
    let mut tags = tags.split(',').map(str::trim);
    tags.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_goes_only_to_whom_asks_for_it() {
        for accepted in ["gzip", "br, GZIP;q=0.2", "*", "deflate, gzip;q=1.0, *;q=0"] {
            assert!(takes_gzip(accepted), "{accepted}");
        }
        for accepted in ["", "br", "gzip;q=0", "*;q=0", "gzip; q=0.0, *", "identity"] {
            assert!(!takes_gzip(accepted), "{accepted}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        for tags in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(is_known(tags, "\"a\""), "{tags}");
        }
        for tags in ["", "\"b\"", "a"] {
            assert!(!is_known(tags, "\"a\""), "{tags}");
        }
    }
}
