//! Genesys as the bench sees it: a responder that reads every body and gives the literal answers
//! of the media-api contract, or the sandbox.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use voicepost::sandbox::{SandboxServer, SandboxSettings};

const TOKEN: &str = r#"{"access_token":"2YotnFZFEjr1zCsicMWpAAx2YotnFZFEjr1zCsicMWpAA",
"token_type":"bearer","expires_in":86399}"#;
const UPLOAD: &str = r#"{"mediaId":"5f0c7e1d9b2a4c68a1d3e5f708192a3b","mediaUrl":"http://127.0.0.1:9090/media/5f0c7e1d9b2a4c68a1d3e5f708192a3b?expires=1760000900000&signature=0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"}"#;
const POST: &str = r#"{"messages":[{"messageId":"0d1f7f0f-9c2b-4f0e-8a51-6f1c0f4e9b11"}]}"#;
const RETENTION: &str = r#"{"retention":{"duration":"60m"}}"#;
/// Longer than any case.
const UNANSWERED: Duration = Duration::from_secs(600);

/// Runs the responder on one thread.
pub fn run(listen: SocketAddr, without_retention: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let service = service_fn(move |request| answer(request, without_retention));
            tokio::task::spawn_local(async move {
                // A client that hangs up is none of the responder's business.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

async fn answer(
    request: Request<Incoming>,
    without_retention: bool,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = match request.uri().path() {
        "/oauth/token" => TOKEN,
        "/api/v2/media/attachments/upload" => UPLOAD,
        "/api/v2/conversations/messages" => POST,
        _ => RETENTION,
    };
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    if without_retention && text == RETENTION {
        tokio::time::sleep(UNANSWERED).await;
    }
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("inin-correlation-id", "0d1f7f0f-9c2b-4f0e-8a51-6f1c0f4e9b11")
        .header("inin-ratelimit-count", "1")
        .header("inin-ratelimit-allowed", "100000000")
        .header("inin-ratelimit-reset", "60")
        .body(Full::new(Bytes::from_static(text.as_bytes())));
    Ok(response.unwrap())
}

/// Runs the sandbox, without what only people and tests look at.
pub fn run_sandbox(listen: SocketAddr) {
    let settings =
        SandboxSettings { keep_audio: false, keep_hash: false, ..SandboxSettings::default() };
    let _server = SandboxServer::start(settings, TcpListener::bind(listen).unwrap()).unwrap();
    loop {
        std::thread::park();
    }
}
