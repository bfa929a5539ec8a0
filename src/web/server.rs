//! The listeners.

use std::fmt::Debug;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_rt::net::TcpStream;
use actix_server::ServerBuilder;
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::dev::{AppConfig, Server, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::process::Resource;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::places::{Place, Places};
use super::sips::{Bodies, Sips};
use super::stream::Stream;
use super::turns::TurnRules;
use super::{Site, admin_guard, guard, linger, operators, outside, public, turns};
use crate::access::network;

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

/// A bound socket, so that whoever starts the gateway knows the port, and how TLS is spoken there.
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// `None`: no TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

/// All that is listened to.
pub struct Listeners {
    /// For senders.
    pub public: Listener,
    /// For whoever comes to a signed address; `None`: they come to the senders' one.
    pub outside: Option<Listener>,
    /// For operators.
    pub admin: Listener,
}

/// What holds for connections.
#[derive(Clone, Copy, Debug)]
pub struct ServerRules {
    /// Threads of the public listener.
    pub workers: usize,
    /// Connections from one address, and no more than half of those there are; 0: no limit.
    pub connections_per_address_max: usize,
    /// Whether proxies stand before the senders' listener: one address is then everybody.
    pub behind_proxies: bool,
    /// The same, before the listener for signed addresses.
    pub outside_behind_proxies: bool,
    /// Time for the head of a request.
    pub head_max: Duration,
    /// How long a refused sender may go on sending.
    pub linger: Duration,
}

impl ServerRules {
    /// Makes the places of a listener that has so many connections, behind proxies or not.
    fn places(&self, all_max: usize) -> impl Fn(bool) -> Places + use<> {
        let (configured, half) = (self.connections_per_address_max, (all_max / 2).max(1));
        if configured > half && !self.behind_proxies {
            tracing::warn!(
                connections_max = all_max,
                connections_per_address_max = half,
                "an address gets half of the connections there are, which is fewer than \
                 server.connections_per_address_max: raise the limit of open files"
            );
        }
        move |behind_proxies| {
            let each_max = if behind_proxies { 0 } else { configured.min(half) };
            Places::new(each_max, all_max)
        }
    }
}

/// The running servers.
pub struct Servers {
    handles: [ServerHandle; 2],
}

impl Servers {
    /// Starts all. Must run inside an actix system; the servers answer on threads of their own.
    pub fn start(site: Arc<Site>, listeners: Listeners, rules: ServerRules) -> io::Result<Servers> {
        let data = Data::from(site);
        let connections_max = rules.workers.max(1) * connections_max(rules.workers);
        // Each listener has places of its own: who floods one does not shut the other.
        let listeners_max = if listeners.outside.is_some() { 2 } else { 1 };
        let places = rules.places(connections_max / listeners_max);
        let Listeners { public: senders, outside: strangers, admin } = listeners;
        let site = data.clone();
        let door = Door { rules, places: places(rules.behind_proxies), tls: senders.tls };
        let app = move || {
            let pages = site.pages.clone();
            let app = App::new()
                .app_data(site.clone())
                .wrap(from_fn(guard::admit))
                .wrap(from_fn(turns::answer))
                // The demo has addresses of its own below `/media`.
                .configure(|routes| pages.iter().for_each(|pages| pages(routes)))
                .configure(|routes| public(routes, site.signed_apart));
            connections(app, door.clone())
        };
        let mut server = server(rules.workers).listen("public", narrowed(senders.socket)?, app)?;
        if let Some(listener) = strangers {
            let site = data.clone();
            let door =
                Door { rules, places: places(rules.outside_behind_proxies), tls: listener.tls };
            let app = move || {
                let app = App::new().app_data(site.clone()).wrap(from_fn(guard::admit_signed));
                connections(app.wrap(from_fn(turns::answer)).configure(outside), door.clone())
            };
            server = server.listen("outside", narrowed(listener.socket)?, app)?;
        }
        let door = Door { rules, places: Places::new(0, usize::MAX), tls: admin.tls };
        let app = move || {
            let app = App::new().app_data(data.clone()).wrap(from_fn(admin_guard::admit));
            connections(app.wrap(from_fn(turns::answer)).configure(operators), door.clone())
        };
        let admin = self::server(1).listen("admin", narrowed(admin.socket)?, app)?;
        Ok(Servers { handles: [spawn(server.run()), spawn(admin.run())] })
    }

    /// Lets requests under way finish, then closes all listeners.
    pub async fn stop(self) {
        let [public, admin] = self.handles;
        public.stop(true).await;
        admin.stop(true).await;
    }
}

fn server(workers: usize) -> ServerBuilder {
    Server::build()
        .workers(workers)
        .backlog(BACKLOG)
        .max_concurrent_connections(connections_max(workers))
        .shutdown_timeout(1)
        .disable_signals()
}

/// What a connection passes before it asks anything.
#[derive(Clone)]
struct Door {
    rules: ServerRules,
    places: Places,
    tls: Option<Arc<ServerConfig>>,
}

impl Door {
    /// Takes a connection, as long as its address has places. A handshake has as long as a head.
    async fn pass(self, stream: TcpStream) -> io::Result<(Stream, Place)> {
        let address = stream.peer_addr().ok().map(|peer| network(peer.ip()));
        let place = self.places.take(address).ok_or(io::ErrorKind::QuotaExceeded)?;
        let Some(tls) = self.tls else { return Ok((Stream::Plain(stream), place)) };
        let handshake = TlsAcceptor::from(tls).accept(stream);
        let stream = tokio::time::timeout(self.rules.head_max, handshake).await??;
        Ok((Stream::Tls(Box::new(stream)), place))
    }
}

/// Lets connections pass the door, and has `app` answer what they ask.
fn connections<T>(
    app: App<T>,
    door: Door,
) -> impl ServiceFactory<TcpStream, Config = (), Error: Debug, InitError = ()>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    T::Future: 'static,
{
    let turn_rules = TurnRules {
        idle_max: KEEP_ALIVE + door.rules.head_max,
        // What comes may also be the rest of a body that was refused.
        head_max: door.rules.head_max + door.rules.linger,
    };
    let http = HttpService::build()
        .client_request_timeout(door.rules.head_max)
        // A sender who is refused while still sending must be able to read why.
        .client_disconnect_timeout(door.rules.linger)
        .keep_alive(KEEP_ALIVE)
        .on_connect_ext(move |connection: &Sips, extensions| {
            if let Some(cut) = linger::on_connect(connection.stream().tcp(), extensions) {
                turns::watch(connection.turns(), cut, turn_rules);
            }
            extensions.insert(Rc::clone(connection.turns()));
            extensions.insert(connection.valve());
        })
        .finish(map_config(app, |()| AppConfig::default()));
    let bodies = Bodies::default();
    fn_service(move |stream: TcpStream| {
        let peer = stream.peer_addr().ok();
        let (bodies, door) = (bodies.clone(), door.clone());
        async move {
            let (stream, place) = door.pass(stream).await.map_err(DispatchError::Io)?;
            Ok((Sips::new(stream, bodies, place), Protocol::Http1, peer))
        }
    })
    .and_then(http)
}

/// A listener whose connections keep little of what is not read yet; they take that over from it.
fn narrowed(listener: TcpListener) -> io::Result<TcpListener> {
    set_socket_recv_buffer_size(&listener, RECEIVE_BUFFER_BYTES)?;
    Ok(listener)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_no_more_than_half_of_the_connections_there_are() {
        let rules = ServerRules {
            workers: 1,
            connections_per_address_max: 1_024,
            behind_proxies: false,
            outside_behind_proxies: true,
            head_max: Duration::from_secs(10),
            linger: Duration::from_secs(10),
        };
        let each_max = |all_max, behind_proxies| rules.places(all_max)(behind_proxies).each_max();
        assert_eq!(each_max(496, false), 248);
        assert_eq!(each_max(1, false), 1);
        assert_eq!(each_max(25_000, false), 1_024);
        assert_eq!(each_max(496, true), 0, "told apart where there is somebody to tell");
        let unlimited = ServerRules { connections_per_address_max: 0, ..rules };
        assert_eq!(unlimited.places(496)(false).each_max(), 0);
    }
}
