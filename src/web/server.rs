//! The two listeners.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Protocol};
use actix_rt::net::TcpStream;
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::process::Resource;

use super::sips::Sips;
use super::{Site, linger, operators, public};

/// Time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
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

/// The running servers.
pub struct Servers {
    handles: [ServerHandle; 2],
}

impl Servers {
    /// Starts both. Must run inside an actix system; the servers answer on threads of their own.
    pub fn start(
        site: Arc<Site>,
        listeners: Listeners,
        workers: usize,
        linger_for: Duration,
    ) -> std::io::Result<Servers> {
        // Connections take this over from their listener.
        set_socket_recv_buffer_size(&listeners.public, RECEIVE_BUFFER_BYTES)?;
        let data = Data::from(site);
        let app_data = data.clone();
        let connection = move || {
            let pages = app_data.pages.clone();
            let app = App::new().app_data(app_data.clone()).configure(public);
            let app = app.configure(|routes| pages.iter().for_each(|pages| pages(routes)));
            let http = HttpService::build()
                .client_request_timeout(HEAD_TIMEOUT)
                // A sender who is refused while still sending must be able to read why.
                .client_disconnect_timeout(linger_for)
                .keep_alive(KEEP_ALIVE)
                .on_connect_ext(|connection: &Sips, extensions| {
                    linger::on_connect(connection.stream(), extensions);
                    extensions.insert(connection.valve());
                })
                .finish(map_config(app, |()| AppConfig::default()));
            fn_service(|stream: TcpStream| async {
                let peer = stream.peer_addr().ok();
                Ok((Sips::new(stream), Protocol::Http1, peer))
            })
            .and_then(http)
        };
        let public = Server::build()
            .workers(workers)
            .backlog(BACKLOG)
            .max_concurrent_connections(connections_max(workers))
            .shutdown_timeout(1)
            .disable_signals()
            .listen("public", listeners.public, connection)?
            .run();
        let admin = HttpServer::new(move || App::new().app_data(data.clone()).configure(operators))
            .workers(1)
            .client_request_timeout(HEAD_TIMEOUT)
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
