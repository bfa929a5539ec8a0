//! The composition root: builds, starts, drains. The only place that knows everything.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use tokio::sync::oneshot;

use crate::access::{Access, AccessError};
use crate::actors::{self, Actors, Cast, ClipRules, Fatal, PurgeRules};
use crate::clock::Clock;
use crate::domain::{Keeping, Origin};
use crate::genesys::http::{HttpLimits, HttpTransport};
use crate::genesys::tls::{self, TlsError};
use crate::ledger::sqlite::{SqliteLedger, SqliteOptions};
use crate::ledger::{Ledger, OpenError, WatchedLedger, Watchers};
use crate::pipeline::{
    Admission, Board, Bounds, DriveRules, Engine, Parts, Pipeline, RecoveryError,
};
use crate::sealing::{SealError, Sealer};
use crate::settings::{Credentials, LedgerUrl, Settings, SettingsError};
use crate::spool::disk::DiskSpool;
use crate::spool::{Spool, SpoolError};
use crate::telemetry::Metrics;
use crate::web::{CertificateError, Pages, ServerRules, Servers, Site};

mod doors;
mod housekeeping;
mod sockets;
mod way;

use doors::Doors;
pub use sockets::Addresses;
use way::Way;

/// How long the start waits for the first token exchange before it goes on, not ready.
const FIRST_EXCHANGE: Duration = Duration::from_secs(10);
/// How long a drain waits for bodies that are still coming.
const DRAIN_BODIES: Duration = Duration::from_secs(5);
/// How often a drain looks whether messages are still awake.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// How long a drain whose time is over waits until it is written down which calls are on the wire.
const DRAIN_PUT_DOWN: Duration = Duration::from_secs(2);

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings do not fit.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A listener could not be bound.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The system's root certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The gateway's own certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Callers cannot be told apart.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Data cannot be encrypted.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The ledger could not be opened.
    #[error(transparent)]
    Ledger(#[from] OpenError),
    /// The spool could not be opened.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Genesys refuses the credentials or lacks scopes.
    #[error("{0}")]
    Token(String),
    /// What the last process left could not be settled.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// A thread could not be started.
    #[error("cannot start: {0}")]
    Thread(String),
}

/// A running gateway.
pub struct App {
    /// Where it is reached.
    pub addresses: Addresses,
    /// What it does its work with.
    pub pipeline: Arc<Pipeline>,
    servers: Servers,
    ledger: Arc<SqliteLedger>,
    engine: Arbiter,
    drain_for: Duration,
}

impl App {
    /// Builds and starts everything; must run inside an actix system. When it returns, what the
    /// last process left is queued and both listeners answer.
    ///
    /// `fatal` is called when the process must not go on: its ledger failed, or an actor panicked.
    /// `pages` are added to the public listener.
    pub async fn start(
        settings: &Settings,
        credentials: Credentials,
        fatal: Fatal,
        pages: Option<Pages>,
    ) -> Result<App, StartError> {
        let route = settings.route()?;
        settings.check_access(&credentials.access)?;
        let tls = tls::client_config(settings.tls.ca_file.as_deref())?;
        let clock = Clock::system();
        let metrics = Metrics::new();
        let (listeners, addresses) = sockets::bind(settings)?;
        let by_sub_alone = route.has_a_lane_for_each_guest();
        let access = Access::start(&settings.auth, &credentials.access, &tls, by_sub_alone).await?;
        let LedgerUrl::Sqlite(path) = &settings.ledger.url;
        let sealer = doors::sealer(&credentials.access)?;
        let options = SqliteOptions { sealer: Some(Arc::clone(&sealer)), ..Default::default() };
        let ledger = Arc::new(open_ledger(path.clone(), options, Arc::clone(&fatal)).await?);
        let spool: Arc<dyn Spool> = Arc::new(clip_files(&settings.spool.dir, &sealer, &ledger)?);
        let origin =
            Origin { host: settings.genesys.api_url(), client: credentials.client_id.clone() };
        let way = Way::open(route, settings, &sealer, &ledger)?;
        let engine = Arbiter::new();
        let watchers = Watchers::new(settings.server.event_streams_max);
        let shared: Arc<dyn Ledger> =
            Arc::new(WatchedLedger::new(ledger.clone(), Arc::clone(&watchers)));
        let doors = Doors::new(settings, &credentials.access, access, ledger.clone());
        housekeeping::warn_of_open_files(settings, &credentials);
        housekeeping::follow_secrets(&credentials);
        let cast =
            cast(settings, &way, &origin, credentials, &shared, tls, &clock, &metrics, &fatal);
        let actors = start_actors(&engine, cast).await?;
        await_first_token(&actors).await?;
        let admission = Admission::new(bounds(settings), Arc::clone(&spool));
        let parts = Parts {
            ledger: Arc::clone(&shared),
            spool,
            planner: way.planner(settings, origin),
            actors,
            clock,
            rules: drive_rules(settings),
            admission,
            metrics,
            fatal,
        };
        let pipeline = Pipeline::new(parts, Engine::On(engine.handle()));
        housekeeping::watch_storage(&pipeline, settings.ledger.free_bytes_min);
        housekeeping::sweep(&pipeline, settings);
        housekeeping::keep_dates_right(&pipeline);
        housekeeping::sweep_quotas(&doors.quotas);
        recover(&pipeline, &engine).await?;
        housekeeping::go_on_erasing(&pipeline, ledger.clone());
        let replies = way.replies(settings, &pipeline, ledger.clone());
        let site = doors.site(settings, &way, Arc::clone(&pipeline), watchers, replies);
        let site = Arc::new(Site { pages, ..site });
        let servers = Servers::start(site, listeners, server_rules(settings))
            .map_err(|error| StartError::Listen { address: addresses.public, error })?;
        addresses.tell(route);
        let drain_for = Duration::from_secs(settings.server.drain_seconds);
        Ok(App { addresses, pipeline, servers, ledger, engine, drain_for })
    }

    /// Resolves when an operator asks for the shutdown.
    pub async fn drain_asked(&self) {
        self.pipeline.admission().drain().begun().await;
    }

    /// Shuts down: not ready at once, no new messages; every message under way ends or becomes
    /// durable, its sender is told which; then everything is closed. `false`: the time was over
    /// before that, and what was left is settled at the next start.
    pub async fn drain(self) -> bool {
        tracing::info!("draining");
        let admission = self.pipeline.admission();
        admission.drain().begin();
        let begun = tokio::time::Instant::now();
        let deadline = begun + self.drain_for;
        let bodies_until = begun + DRAIN_BODIES.min(self.drain_for);
        let board = self.pipeline.board();
        loop {
            let now = tokio::time::Instant::now();
            let bodies = admission.requests_in_flight() > 0 && now < bodies_until;
            if now >= deadline || (board.is_empty() && !bodies) {
                break;
            }
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        // Breaks off what still comes. Messages that were complete are on the board.
        self.servers.stop().await;
        emptied(board, deadline).await;
        let left = board.not_durable();
        // A call that is still on the wire must not look like one that ended the process.
        admission.drain().end();
        emptied(board, tokio::time::Instant::now() + DRAIN_PUT_DOWN).await;
        let ledger = self.ledger;
        // Elsewhere: a disk that hangs must not keep this thread from hearing of a second signal.
        if tokio::task::spawn_blocking(move || ledger.close()).await.is_err() {
            tracing::error!("the ledger was not closed in order");
        }
        self.engine.stop();
        tracing::info!(messages.left = left, "drained");
        left == 0
    }
}

/// Opens the ledger on a thread where it may take its time: signals are heard meanwhile.
async fn open_ledger(
    path: PathBuf,
    options: SqliteOptions,
    fatal: Fatal,
) -> Result<SqliteLedger, StartError> {
    let opened = tokio::task::spawn_blocking(move || SqliteLedger::open(&path, options, fatal));
    let cut_off = |error| StartError::Thread(format!("opening the ledger was cut off: {error}"));
    Ok(opened.await.map_err(cut_off)??)
}

/// Clips in this directory, which may be the ledger's: that is locked already.
fn clip_files(
    directory: &Path,
    sealer: &Arc<Sealer>,
    ledger: &SqliteLedger,
) -> Result<DiskSpool, SpoolError> {
    match ledger.has_locked(directory) {
        true => DiskSpool::open_in_locked(directory, Arc::clone(sealer)),
        false => DiskSpool::open_sealed(directory, Arc::clone(sealer)),
    }
}

/// Waits until no message is awake any more, until `deadline` at the latest.
async fn emptied(board: &Board, deadline: tokio::time::Instant) {
    while !board.is_empty() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

fn server_rules(settings: &Settings) -> ServerRules {
    let server = &settings.server;
    ServerRules {
        workers: if server.workers == 0 { cores() } else { server.workers },
        connections_per_address_max: server.connections_per_address_max,
        // A proxy's address is everybody's.
        behind_proxies: server.proxy_hops > 0,
        outside_behind_proxies: settings.public.proxy_hops > 0,
        head_max: Duration::from_secs(server.head_seconds_max),
        linger: Duration::from_secs(server.linger_seconds),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[expect(clippy::too_many_arguments, reason = "the composition root hands everything on once")]
fn cast(
    settings: &Settings,
    way: &Way,
    origin: &Origin,
    credentials: Credentials,
    ledger: &Arc<dyn Ledger>,
    tls: Arc<rustls::ClientConfig>,
    clock: &Clock,
    metrics: &Arc<Metrics>,
    fatal: &Fatal,
) -> Cast {
    let limits = HttpLimits {
        connect_timeout: Duration::from_secs(settings.genesys.connect_timeout_seconds),
        call_timeout: Duration::from_secs(settings.genesys.timeout_seconds),
        connections_max: settings.genesys.connections_max,
    };
    let (http_clock, http_metrics) = (clock.clone(), Arc::clone(metrics));
    Cast {
        transport: Box::new(move || {
            Rc::new(HttpTransport::new(limits, tls, http_clock, http_metrics))
        }),
        route: way.factory(settings, origin.clone()),
        login_url: settings.genesys.login_url(),
        credentials,
        ledger: Arc::clone(ledger),
        clock: clock.clone(),
        clip_rules: ClipRules {
            limits: settings.limits.audio(),
            conversion: settings.audio.conversion(),
            transcodes_max: match settings.audio.transcodes_max {
                0 => (cores() / 2).max(1),
                configured => configured,
            },
        },
        purge_rules: PurgeRules {
            backoff: settings.purge.backoff(),
            ttl_seconds: keeping(settings).ttl_seconds.max(keeping(settings).delay_seconds_min),
            delay_seconds_min: settings.purge.delay_seconds_min,
            calls_max: settings.purge.calls_max,
        },
        uploads_max: settings.genesys.uploads_max,
        posts_max: settings.genesys.posts_max,
        metrics: Arc::clone(metrics),
        fatal: Arc::clone(fatal),
    }
}

async fn start_actors(engine: &Arbiter, cast: Cast) -> Result<Actors, StartError> {
    let (started, actors) = oneshot::channel();
    engine.spawn_fn(move || {
        // The receiver waits right below; it cannot be gone.
        let _ = started.send(actors::start(cast));
    });
    let gone = || StartError::Thread("the actors' thread ended at its start".to_owned());
    actors.await.map_err(|_| gone())
}

/// One exchange proves the credentials. Refused ones end the start; a login host out of reach does
/// not: the gateway is then not ready, and goes on trying.
async fn await_first_token(actors: &Actors) -> Result<(), StartError> {
    let mut view = actors.token_view.clone();
    let first = view.wait_for(|view| view.token.is_some() || view.trouble.is_some());
    let Ok(Ok(view)) = tokio::time::timeout(FIRST_EXCHANGE, first).await else { return Ok(()) };
    match &view.trouble {
        Some(trouble) if trouble.refused => Err(StartError::Token(trouble.detail.clone())),
        _ => Ok(()),
    }
}

fn keeping(settings: &Settings) -> Keeping {
    Keeping {
        ttl_seconds: way::ttl_seconds(settings),
        delay_seconds_min: settings.purge.delay_seconds_min,
        failed_seconds: settings.delivery.failed_keep_seconds,
    }
}

fn bounds(settings: &Settings) -> Bounds {
    Bounds {
        requests_max: settings.server.requests_max,
        drives_max: settings.delivery.drives_max,
        clips_bytes_max: settings.memory.clips_bytes_max,
        read_back_bytes_max: settings.memory.read_back_bytes_max,
        spool_bytes_max: settings.spool.bytes_max,
    }
}

fn drive_rules(settings: &Settings) -> DriveRules {
    let delivery = &settings.delivery;
    DriveRules {
        attempts: delivery.attempts,
        backoff: delivery.backoff(),
        later_backoff: delivery.later_backoff(),
        expires_after_seconds: delivery.expires_after_seconds,
        on_unknown: delivery.on_unknown,
        keeping: keeping(settings),
        backpressure_seconds: settings.purge.backpressure_seconds,
        waveforms: settings.audio.waveforms,
    }
}

async fn recover(pipeline: &Arc<Pipeline>, engine: &Arbiter) -> Result<(), StartError> {
    let (done, recovered) = oneshot::channel();
    let pipeline = Arc::clone(pipeline);
    engine.spawn_fn(move || {
        actix::spawn(async move {
            // The receiver waits right below; it cannot be gone.
            let _ = done.send(pipeline.recover().await);
        });
    });
    let gone = || StartError::Thread("recovery was cut off".to_owned());
    let found = recovered.await.map_err(|_| gone())??;
    tracing::info!(
        messages.unfinished = found.unfinished,
        spool.strays = found.spool_strays,
        "recovered"
    );
    Ok(())
}
