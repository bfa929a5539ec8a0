//! The sandbox behind HTTP: translates between actix-web and the core, and delivers faults.
//!
//! It decides nothing about an answer. It runs on threads of its own, so that neither the caller's
//! runtime nor its clock matters.

use std::any::Any;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt, web};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};

use super::core::Sandbox;
use super::courier;
use super::settings::SandboxSettings;
use super::wire::{Arrival, Ending, Reply, Request};

/// Pause between the pieces of an answer that is cut.
const CUT_PAUSE: Duration = Duration::from_millis(20);
/// Largest request that is read at all; above it the connection is cut.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most that a `Content-Length` alone makes the shell reserve.
const RESERVE_BYTES_MAX: usize = 1024 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client that still sends is listened to after its answer.
const LINGER: Duration = Duration::from_secs(5);
/// How soon a call that hangs notices that the fault rules have changed.
const HANG_LOOK: Duration = Duration::from_millis(20);
/// Pieces a second of an answer that drips.
const DRIPS_PER_SECOND: usize = 10;

type Shared = Arc<Mutex<Sandbox>>;

/// A running sandbox. Dropping it stops it.
pub struct SandboxServer {
    sandbox: Shared,
    base_url: String,
    address: SocketAddr,
    workers: usize,
    connections: Arc<AtomicU64>,
    serving: Mutex<Option<Serving>>,
}

/// The listener and its threads.
struct Serving {
    handle: ServerHandle,
    thread: JoinHandle<()>,
}

impl SandboxServer {
    /// Starts a sandbox on `listener`, on threads of its own, and returns once it answers.
    pub fn start(settings: SandboxSettings, listener: TcpListener) -> io::Result<SandboxServer> {
        let address = listener.local_addr()?;
        let base_url = format!("http://{address}");
        let workers = settings.workers.max(1);
        let sandbox = Arc::new(Mutex::new(Sandbox::new(settings, &base_url)));
        let (connections, serving) = (Arc::default(), Mutex::new(None));
        let server = SandboxServer { sandbox, base_url, address, workers, connections, serving };
        server.listen(listener)?;
        Ok(server)
    }

    /// Where it listens: `http://` and the listener's address.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Runs `action` on the core. Requests wait meanwhile.
    pub fn with<T>(&self, action: impl FnOnce(&mut Sandbox) -> T) -> T {
        action(&mut lock(&self.sandbox))
    }

    /// Answers a request for the page, the account, a clip or an agent's answer that came to a
    /// listener elsewhere; which methods and paths get here is that listener's to say.
    pub fn ask(&self, request: &HttpRequest, body: Bytes) -> HttpResponse {
        let request = translate(request, body);
        answer(self.with(|sandbox| sandbox.handle(&request, now_ms())))
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Closes the listener and every connection: whoever connects is refused. The sandbox keeps
    /// what it has; [`SandboxServer::open`] lets clients in again.
    pub fn close(&self) {
        if let Some(Serving { handle, thread }) = lock(&self.serving).take() {
            // The command is sent when `stop` is called; its future only reports the end.
            drop(handle.stop(false));
            // A panic on that thread has been reported there.
            let _ = thread.join();
        }
    }

    /// Listens again at the same address; does nothing where it listens.
    pub fn open(&self) -> io::Result<()> {
        if lock(&self.serving).is_some() {
            return Ok(());
        }
        self.listen(TcpListener::bind(self.address)?)
    }

    /// Closes the listener and every connection; returns when its thread has ended.
    pub fn stop(self) {
        drop(self);
    }

    fn listen(&self, listener: TcpListener) -> io::Result<()> {
        let (started, start) = mpsc::channel();
        let (sandbox, connections) = (Arc::clone(&self.sandbox), Arc::clone(&self.connections));
        let workers = self.workers;
        let thread = std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
            rt::System::new().block_on(run(sandbox, connections, workers, listener, started));
        })?;
        let handle = start.recv().map_err(|_| io::Error::other("sandbox thread ended"))??;
        *lock(&self.serving) = Some(Serving { handle, thread });
        Ok(())
    }
}

impl Drop for SandboxServer {
    fn drop(&mut self) {
        self.close();
    }
}

async fn run(
    sandbox: Shared,
    connections: Arc<AtomicU64>,
    workers: usize,
    listener: TcpListener,
    started: mpsc::Sender<io::Result<ServerHandle>>,
) {
    let carried = Arc::clone(&sandbox);
    let server = HttpServer::new(move || {
        let sandbox = Arc::clone(&sandbox);
        App::new().default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
            serve(Arc::clone(&sandbox), request, payload)
        }))
    })
    .on_connect(move |io, extensions| {
        connections.fetch_add(1, Ordering::Relaxed);
        keep_connection(io, extensions);
    })
    .workers(workers)
    .keep_alive(KEEP_ALIVE)
    .client_disconnect_timeout(LINGER)
    .disable_signals()
    .listen(listener);
    match server {
        Ok(server) => {
            let server = server.run();
            let _ = started.send(Ok(server.handle()));
            let courier = rt::spawn(courier::carry(carried));
            // The end is asked for by `stop`; an error of the accept loop ends it as well.
            let _ = server.await;
            courier.abort();
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

/// Hangs up in order: the client reads the end of the stream.
fn cut(request: &HttpRequest) -> HttpResponse {
    if let Some(Connection(socket)) = request.conn_data::<Connection>() {
        // It fails only where the client has hung up already.
        let _ = socket.shutdown(Shutdown::Both);
    }
    HttpResponse::InternalServerError().force_close().finish()
}

/// Breaks the connection off: the client is sent a reset.
fn reset(request: &HttpRequest) -> HttpResponse {
    if let Some(Connection(socket)) = request.conn_data::<Connection>() {
        // To dissolve the association of an open TCP socket is to reset it.
        let _ = rustix::net::connect_unspec(socket);
    }
    HttpResponse::InternalServerError().force_close().finish()
}

async fn serve(sandbox: Shared, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let head = translate(&request, Bytes::new());
    let arrival = lock(&sandbox).arrive(&head);
    let body = match arrival {
        Arrival::Refused => return reset(&request),
        Arrival::Taken => read(&request, payload, None).await,
        Arrival::ReadSlowly { bytes_per_second } => {
            read(&request, payload, Some(bytes_per_second)).await
        }
    };
    let Some(body) = body else {
        return cut(&request);
    };
    let (reply, lists) = {
        let mut sandbox = lock(&sandbox);
        (sandbox.handle(&Request { body, ..head }, now_ms()), sandbox.fault_lists())
    };
    if reply.fault.latency_ms > 0 {
        rt::time::sleep(Duration::from_millis(reply.fault.latency_ms)).await;
    }
    match reply.fault.ending {
        Ending::Whole
        | Ending::StalledBody { .. }
        | Ending::DrippedBody { .. }
        | Ending::CutWithinBody => answer(reply),
        Ending::CutBeforeEffect | Ending::CutAfterEffect => cut(&request),
        Ending::Reset => reset(&request),
        Ending::Hang => {
            while lock(&sandbox).fault_lists() == lists {
                rt::time::sleep(HANG_LOOK).await;
            }
            reset(&request)
        }
    }
}

/// The whole body, no faster than `bytes_per_second`; `None` where it is too large or never
/// completes.
async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    bytes_per_second: Option<u32>,
) -> Option<Bytes> {
    let length =
        request.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse().ok());
    let mut body = BytesMut::with_capacity(length.unwrap_or(0).min(RESERVE_BYTES_MAX));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.ok()?;
        if body.len() + chunk.len() > REQUEST_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
        if let Some(bytes_per_second) = bytes_per_second {
            rt::time::sleep(time_of(chunk.len(), bytes_per_second)).await;
        }
    }
    Some(body.freeze())
}

/// How long so many bytes take.
fn time_of(bytes: usize, bytes_per_second: u32) -> Duration {
    Duration::from_secs(bytes as u64) / bytes_per_second.max(1)
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

fn answer(reply: Reply) -> HttpResponse {
    let Reply { status, headers, body, fault } = reply;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            response.append_header((HeaderName::from_static(name), value));
        }
    }
    if fault.close {
        response.force_close();
    }
    match fault.ending {
        Ending::StalledBody { stall_ms } => {
            response.no_chunking(body.len() as u64);
            let length = body.len();
            response.streaming(drips(body, length, Duration::from_millis(stall_ms)))
        }
        Ending::DrippedBody { bytes_per_second } => {
            response.no_chunking(body.len() as u64);
            let drip = (bytes_per_second as usize / DRIPS_PER_SECOND).max(1);
            response.streaming(drips(body, drip, time_of(drip, bytes_per_second)))
        }
        Ending::CutWithinBody => {
            response.no_chunking(body.len() as u64);
            let half = body.slice(..body.len() / 2);
            let length = half.len();
            response.streaming(drips(half, length, CUT_PAUSE).chain(stream::once(broken_off())))
        }
        _ => response.body(body),
    }
}

/// The end of a connection whose answer has not ended. Later than its beginning, which would else
/// never leave.
async fn broken_off() -> Result<Bytes, actix_web::Error> {
    rt::time::sleep(CUT_PAUSE).await;
    Err(std::io::Error::other("cut on request of a fault rule").into())
}

/// The body in pieces of `drip` bytes, each after a pause.
fn drips(
    body: Bytes,
    drip: usize,
    pause: Duration,
) -> impl Stream<Item = Result<Bytes, actix_web::Error>> + 'static {
    let drips = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        rt::time::sleep(pause).await;
        let piece = rest.split_to(drip.min(rest.len()));
        Some((Ok(piece), rest))
    });
    Box::pin(drips)
}

pub(super) fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panicking test in `with` must not take every later request with it.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the sandbox imports nothing of the gateway")]
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
