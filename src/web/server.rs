//! The two listeners.

use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_rt::net::TcpStream;
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::process::Resource;

use super::places::Places;
use super::sips::{Bodies, Sips};
use super::{Site, admin_guard, guard, linger, operators, public};

/// Time an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections waiting to be taken, for each listener.
const BACKLOG: u32 = 1024;

/// Bytes of a connection that the kernel keeps until they are read; it reserves twice that for
/// itself. Left alone it keeps megabytes for each sender that is faster than the gateway, and actix
/// reads in one go what is there. At a round trip of 100 ms this is still 640 kB a second.
const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;
/// Descriptors kept for the ledger, the spool, calls to Genesys and operators.
const DESCRIPTORS_KEPT: usize = 512;
/// Connections of one worker at most, however many descriptors there are.
const CONNECTIONS_MAX: usize = 25_000;

/// Bound sockets, so that whoever starts the gateway knows the ports.
pub struct Listeners {
    /// For senders.
    pub public: TcpListener,
    /// For operators.
    pub admin: TcpListener,
}

/// What holds for connections.
#[derive(Clone, Copy, Debug)]
pub struct ServerRules {
    /// Threads of the public listener.
    pub workers: usize,
    /// Connections from one address; 0: no limit.
    pub connections_per_address_max: usize,
    /// Time for the head of a request.
    pub head_max: Duration,
    /// How long a refused sender may go on sending.
    pub linger: Duration,
}

/// The running servers.
pub struct Servers {
    handles: [ServerHandle; 2],
}

impl Servers {
    /// Starts both. Must run inside an actix system; the servers answer on threads of their own.
    pub fn start(site: Arc<Site>, listeners: Listeners, rules: ServerRules) -> io::Result<Servers> {
        // Connections take this over from their listener.
        set_socket_recv_buffer_size(&listeners.public, RECEIVE_BUFFER_BYTES)?;
        let data = Data::from(site);
        let app_data = data.clone();
        let places = Places::new(rules.connections_per_address_max);
        let connection = move || {
            let app =
                App::new().app_data(app_data.clone()).wrap(from_fn(guard::admit)).configure(public);
            let http = HttpService::build()
                .client_request_timeout(rules.head_max)
                // A sender who is refused while still sending must be able to read why.
                .client_disconnect_timeout(rules.linger)
                .keep_alive(KEEP_ALIVE)
                .on_connect_ext(|connection: &Sips, extensions| {
                    linger::on_connect(connection.stream(), extensions);
                    extensions.insert(connection.valve());
                })
                .finish(map_config(app, |()| AppConfig::default()));
            let (bodies, places) = (Bodies::default(), places.clone());
            fn_service(move |stream: TcpStream| {
                let peer = stream.peer_addr().ok();
                let place = places.take(peer.map(|peer| peer.ip()));
                let refused = || DispatchError::Io(io::ErrorKind::QuotaExceeded.into());
                let connection = place.map(|place| Sips::new(stream, place, bodies.clone()));
                let connection = connection.ok_or_else(refused);
                ready(connection.map(|connection| (connection, Protocol::Http1, peer)))
            })
            .and_then(http)
        };
        let public = Server::build()
            .workers(rules.workers)
            .backlog(BACKLOG)
            .max_concurrent_connections(connections_max(rules.workers))
            .shutdown_timeout(1)
            .disable_signals()
            .listen("public", listeners.public, connection)?
            .run();
        let admin = HttpServer::new(move || {
            App::new().app_data(data.clone()).wrap(from_fn(admin_guard::admit)).configure(operators)
        })
        .workers(1)
        .client_request_timeout(rules.head_max)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listeners.admin)?
        .run();
        Ok(Servers { handles: [spawn(public), spawn(admin)] })
    }

    /// Lets requests under way finish, then closes both listeners.
    pub async fn stop(self) {
        let [public, admin] = self.handles;
        public.stop(true).await;
        admin.stop(true).await;
    }
}

/// Connections that one worker may hold, from the descriptors this process may have: two for each
/// connection, one for its clip in the spool, and enough left for other files and calls. Beyond it
/// connections wait in the backlog.
fn connections_max(workers: usize) -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    (limit.saturating_sub(DESCRIPTORS_KEPT) / 3 / workers.max(1)).clamp(1, CONNECTIONS_MAX)
}

fn spawn(server: Server) -> ServerHandle {
    let handle = server.handle();
    actix::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "a listener ended");
        }
    });
    handle
}
