//! The page to watch conversations and hear clips: three files, nothing from outside.

use super::wire::Reply;

/// Nothing inline; nothing from elsewhere but what is heard: an open message's attachment lies on
/// its sender's media host; all text reaches the page through `textContent`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; media-src 'self' http: https:; img-src data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'self'";

/// The file at `path`, if it is one of the page's.
pub(super) fn find(path: &str) -> Option<Reply> {
    let (media_type, text) = match path {
        "/" | "/sandbox/" => ("text/html; charset=utf-8", include_str!("page.html")),
        "/sandbox/page.js" => ("text/javascript; charset=utf-8", include_str!("page.js")),
        "/sandbox/page.css" => ("text/css; charset=utf-8", include_str!("page.css")),
        _ => return None,
    };
    let reply = Reply::new(200)
        .with("content-type", media_type)
        .with("content-security-policy", CONTENT_SECURITY_POLICY)
        .with("x-content-type-options", "nosniff")
        .with("referrer-policy", "no-referrer")
        .with("cache-control", "no-cache")
        .with_body(text);
    Some(reply)
}
