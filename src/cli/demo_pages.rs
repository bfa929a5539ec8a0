//! The demo's page: a guest's chat with the recorder, and beside it what the agent sees.
//!
//! It stands on the gateway's own listener, and so do the sandbox's page and clips, so that one
//! address shows everything and no browser has to be told to trust a second one.

use std::sync::Arc;

use actix_web::web::{ServiceConfig, get, resource};
use actix_web::{HttpRequest, HttpResponse};

use crate::sandbox::SandboxServer;
use crate::web::Pages;

/// Nothing inline, nothing from elsewhere. `blob:` is for takes that are listened to before they
/// are sent.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; media-src 'self' blob:; img-src data:; frame-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file at a path.
type File = (&'static str, &'static str, &'static [u8]);

/// The page, and clips for who has no microphone: one as it is, one that is converted on its way,
/// and what a muted microphone gives. The voice is espeak-ng's; `parcel.m4a` is made by
/// `espeak-ng -v en-gb -s 155 -w p.wav TEXT` and `ffmpeg -i p.wav -ar 44100 -c:a aac -b:a 40k`.
const FILES: [File; 6] = [
    ("/", HTML, include_bytes!("demo_page/page.html")),
    ("/demo/page.css", STYLE, include_bytes!("demo_page/page.css")),
    ("/demo/page.js", SCRIPT, include_bytes!("demo_page/page.js")),
    ("/demo/hello.ogg", "audio/ogg", include_bytes!("../../tests/fixtures/audio/hello.ogg")),
    ("/demo/parcel.m4a", "audio/mp4", include_bytes!("demo_page/parcel.m4a")),
    (
        "/demo/muted.webm",
        "audio/webm",
        include_bytes!("../../tests/fixtures/audio/recorded/chromium-muted.webm"),
    ),
];

/// The routes, on each worker.
pub(super) fn pages(sandbox: &Arc<SandboxServer>) -> Pages {
    let sandbox = Arc::clone(sandbox);
    Arc::new(move |routes: &mut ServiceConfig| {
        for file in FILES {
            routes.service(resource(file.0).route(get().to(move || answer(file))));
        }
        for path in ["/sandbox/{path:.*}", "/media/{path:.*}"] {
            let sandbox = Arc::clone(&sandbox);
            let look = move |request: HttpRequest| look(Arc::clone(&sandbox), request);
            routes.service(resource(path).route(get().to(look)));
        }
    })
}

async fn answer((_, media_type, bytes): File) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(media_type)
        .insert_header(("content-security-policy", CONTENT_SECURITY_POLICY))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("cache-control", "no-cache"))
        .body(bytes)
}

async fn look(sandbox: Arc<SandboxServer>, request: HttpRequest) -> HttpResponse {
    sandbox.look(&request)
}
