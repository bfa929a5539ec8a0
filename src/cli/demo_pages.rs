//! The demo's page: a guest's chat with the recorder, and beside it what the agent sees.
//!
//! It stands on the gateway's own listener, and so do the sandbox's page and clips, so that one
//! address shows everything and no browser has to be told to trust a second one.

use std::sync::Arc;

use actix_web::web::{Bytes, ServiceConfig, get, post, resource};
use actix_web::{HttpRequest, HttpResponse};

use crate::domain::RouteName;
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

/// The page itself; `ROUTE` in it is the route's name.
const PAGE: &str = include_str!("demo_page/page.html");
const ROUTE: &str = "{route}";

/// What the page needs, and clips for who has no microphone: one as it is, one that is converted on
/// its way, and what a muted microphone gives. The voice is espeak-ng's; `parcel.m4a` is made by
/// `espeak-ng -v en-gb -s 155 -w p.wav TEXT` and `ffmpeg -i p.wav -ar 44100 -c:a aac -b:a 40k`.
const FILES: [File; 5] = [
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

/// The routes, on each worker. On `open-messaging` agents can answer, and clips lie at the gateway
/// itself; otherwise the sandbox is only looked at.
pub(super) fn pages(sandbox: &Arc<SandboxServer>, route: RouteName) -> Pages {
    let sandbox = Arc::clone(sandbox);
    let page = Bytes::from(PAGE.replace(ROUTE, route.as_str()));
    Arc::new(move |routes: &mut ServiceConfig| {
        let page = page.clone();
        let show = move || answer(HTML, page.clone());
        routes.service(resource("/").route(get().to(show)));
        for (path, media_type, bytes) in FILES {
            let show = move || answer(media_type, Bytes::from_static(bytes));
            routes.service(resource(path).route(get().to(show)));
        }
        let sandbox = Arc::clone(&sandbox);
        let ask = move |request: HttpRequest, body: Bytes| ask(Arc::clone(&sandbox), request, body);
        match route {
            RouteName::MediaApi => {
                routes.service(resource("/media/{path:.*}").route(get().to(ask.clone())));
            }
            RouteName::OpenMessaging => {
                let answers = resource("/sandbox/answers");
                let answers = answers.route(get().to(ask.clone())).route(post().to(ask.clone()));
                routes.service(answers);
            }
        }
        routes.service(resource("/sandbox/{path:.*}").route(get().to(ask)));
    })
}

async fn answer(media_type: &'static str, bytes: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(media_type)
        .insert_header(("content-security-policy", CONTENT_SECURITY_POLICY))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("cache-control", "no-cache"))
        .body(bytes)
}

async fn ask(sandbox: Arc<SandboxServer>, request: HttpRequest, body: Bytes) -> HttpResponse {
    sandbox.ask(&request, body)
}
