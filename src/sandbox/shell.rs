//! The sandbox behind HTTP: translates between actix-web and the core, and delivers faults.
//!
//! It decides nothing about an answer. It runs on threads of its own, so that neither the caller's
//! runtime nor its clock matters.

use std::any::Any;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt, web};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};

use super::core::Sandbox;
use super::settings::SandboxSettings;
use super::wire::{Ending, Reply, Request};

/// Largest request that is read at all; above it the connection is cut.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most that a `Content-Length` alone makes the shell reserve.
const RESERVE_BYTES_MAX: usize = 1024 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client that still sends is listened to after its answer.
const LINGER: Duration = Duration::from_secs(5);

type Shared = Arc<Mutex<Sandbox>>;

/// A running sandbox. Dropping it stops it.
pub struct SandboxServer {
    sandbox: Shared,
    base_url: String,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl SandboxServer {
    /// Starts a sandbox on `listener`, on threads of its own, and returns once it answers.
    pub fn start(settings: SandboxSettings, listener: TcpListener) -> io::Result<SandboxServer> {
        let base_url = format!("http://{}", listener.local_addr()?);
        let workers = settings.workers.max(1);
        let sandbox = Arc::new(Mutex::new(Sandbox::new(settings, &base_url)));
        let (started, start) = mpsc::channel();
        let served = Arc::clone(&sandbox);
        let thread = std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
            rt::System::new().block_on(run(served, workers, listener, started));
        })?;
        let handle = start.recv().map_err(|_| io::Error::other("sandbox thread ended"))??;
        Ok(SandboxServer { sandbox, base_url, handle, thread: Some(thread) })
    }

    /// Where it listens: `http://` and the listener's address.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Runs `action` on the core. Requests wait meanwhile.
    pub fn with<T>(&self, action: impl FnOnce(&mut Sandbox) -> T) -> T {
        action(&mut lock(&self.sandbox))
    }

    /// Closes the listener and every connection; returns when its thread has ended.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for SandboxServer {
    fn drop(&mut self) {
        // The command is sent when `stop` is called; its future only reports the end.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has been reported there.
            let _ = thread.join();
        }
    }
}

async fn run(
    sandbox: Shared,
    workers: usize,
    listener: TcpListener,
    started: mpsc::Sender<io::Result<ServerHandle>>,
) {
    let server = HttpServer::new(move || {
        let sandbox = Arc::clone(&sandbox);
        App::new().default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
            serve(Arc::clone(&sandbox), request, payload)
        }))
    })
    .on_connect(keep_connection)
    .workers(workers)
    .keep_alive(KEEP_ALIVE)
    .client_disconnect_timeout(LINGER)
    .disable_signals()
    .listen(listener);
    match server {
        Ok(server) => {
            let server = server.run();
            let _ = started.send(Ok(server.handle()));
            // The end is asked for by `stop`; an error of the accept loop ends it as well.
            let _ = server.await;
        }
        Err(error) => drop(started.send(Err(error))),
    }
}

/// A second handle to a client's socket: the only way to hang up without a byte of an answer.
struct Connection(TcpStream);

fn keep_connection(io: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = io.downcast_ref::<rt::net::TcpStream>() else {
        return;
    };
    // Where the process is out of descriptors the connection works on, but cannot be cut.
    if let Ok(socket) = stream.as_fd().try_clone_to_owned() {
        extensions.insert(Connection(TcpStream::from(socket)));
    }
}

fn cut(request: &HttpRequest) -> HttpResponse {
    if let Some(Connection(socket)) = request.conn_data::<Connection>() {
        // It fails only where the client has hung up already.
        let _ = socket.shutdown(Shutdown::Both);
    }
    HttpResponse::InternalServerError().force_close().finish()
}

async fn serve(sandbox: Shared, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(body) = read(&request, payload).await else {
        return cut(&request);
    };
    let reply = lock(&sandbox).handle(&translate(&request, body), now_ms());
    if reply.fault.latency_ms > 0 {
        rt::time::sleep(Duration::from_millis(reply.fault.latency_ms)).await;
    }
    match reply.fault.ending {
        Ending::Whole => answer(reply, Duration::ZERO),
        Ending::StalledBody { stall_ms } => answer(reply, Duration::from_millis(stall_ms)),
        Ending::CutBeforeEffect | Ending::CutAfterEffect => cut(&request),
    }
}

/// The whole body; `None` where it is too large or never completes.
async fn read(request: &HttpRequest, mut payload: web::Payload) -> Option<Bytes> {
    let length =
        request.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse().ok());
    let mut body = BytesMut::with_capacity(length.unwrap_or(0).min(RESERVE_BYTES_MAX));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.ok()?;
        if body.len() + chunk.len() > REQUEST_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body.freeze())
}

fn translate(request: &HttpRequest, body: Bytes) -> Request {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request.headers().iter();
    Request {
        method: request.method().as_str().to_owned(),
        // Not `HttpRequest::path`, which is decoded in part.
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers: headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body,
    }
}

fn answer(reply: Reply, stall: Duration) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            response.append_header((HeaderName::from_static(name), value));
        }
    }
    if stall.is_zero() {
        return response.body(reply.body);
    }
    response.no_chunking(reply.body.len() as u64);
    let body = stream::once(async move {
        rt::time::sleep(stall).await;
        Ok::<_, actix_web::Error>(reply.body)
    });
    response.streaming(Box::pin(body))
}

fn lock(sandbox: &Mutex<Sandbox>) -> MutexGuard<'_, Sandbox> {
    // A panicking test in `with` must not take every later request with it.
    sandbox.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the sandbox imports nothing of the gateway")]
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
