//! HTTP in. It translates between HTTP and the pipeline and holds no rule of its own.
//!
//! Every route is on this page, grouped by who calls it. The public listener serves senders and
//! probers; the admin listener serves operators and has no route in common with it. Whoever comes
//! to a signed address comes to the public listener too, or to one of its own (`outside`).

mod admin;
mod admin_guard;
mod answers;
mod certificates;
mod client_address;
mod conversation_events;
mod cors;
mod erasures;
mod events;
mod fields;
mod guard;
mod guest_streams;
mod headers;
mod health;
mod linger;
mod media;
mod messages;
mod openapi;
mod orders;
mod places;
mod prefer;
mod problem;
mod quota;
mod recorder;
mod reply_events;
mod scope;
mod server;
mod sips;
mod stream;
mod surrogates;
mod turns;
mod upload;
mod webhooks;

pub use certificates::{CertificateError, Certificates, Renewal};
pub use cors::CorsRules;
pub use guest_streams::GuestStreams;
pub use openapi::document as openapi_document;
pub use problem::{ROWS, Row};
pub use server::{Listener, Listeners, ServerRules, Servers};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{ServiceConfig, delete, get, head, post, resource};

use tokio::sync::Semaphore;

use crate::access::{Access, OperatorKey, Quotas, WebhookKey};
use crate::domain::{AudioLimits, RouteName};
use crate::hosted::Hosted;
use crate::ledger::{AuditLog, Erasures, Watchers};
use crate::pipeline::{Pipeline, Replies};

/// What the handlers work with.
pub struct Site {
    /// Everything behind HTTP.
    pub pipeline: Arc<Pipeline>,
    /// The way messages take.
    pub route: RouteName,
    /// Who may send.
    pub access: Access,
    /// How much.
    pub quotas: Arc<Quotas>,
    /// Proxies between clients and here.
    pub proxy_hops: usize,
    /// The same, before the listener that has nothing but signed addresses.
    pub outside_hops: usize,
    /// Event streams of each guest.
    pub guest_streams: GuestStreams,
    /// Pages of which origins may ask.
    pub cors: CorsRules,
    /// What operators have to show.
    pub operator_key: Option<OperatorKey>,
    /// What operators did.
    pub audit: Arc<dyn AuditLog>,
    /// What is being erased.
    pub erasures: Arc<dyn Erasures>,
    /// Tells of changes, for the event streams.
    pub watchers: Arc<Watchers>,
    /// What a clip may be.
    pub limits: AudioLimits,
    /// Whether clips that cannot be delivered as they are may be converted.
    pub converts: bool,
    /// How patient the gateway is with senders.
    pub patience: PatienceRules,
    /// The media host, where the route has one.
    pub media: Option<MediaHost>,
    /// What Genesys calls, where the route brings replies and there is a secret.
    pub webhook: Option<Webhook>,
    /// Whether signed addresses are answered by a listener of their own only.
    pub signed_apart: bool,
    /// Pages on the public listener beside the routes below; only the demo has some.
    pub pages: Option<Pages>,
}

/// The media host behind HTTP.
pub struct MediaHost {
    hosted: Hosted,
    reads: Semaphore,
}

impl MediaHost {
    /// A host of these files.
    pub fn new(hosted: Hosted) -> MediaHost {
        MediaHost { hosted, reads: Semaphore::new(media::READS_MAX) }
    }
}

/// The webhook behind HTTP.
pub struct Webhook {
    key: WebhookKey,
    replies: Arc<Replies>,
    bodies: Semaphore,
    /// Whether the last signature was of another secret.
    refusing: AtomicBool,
}

impl Webhook {
    /// One whose calls are signed with this key, and whose replies go there.
    pub fn new(key: WebhookKey, replies: Arc<Replies>) -> Webhook {
        let (bodies, refusing) = (Semaphore::new(webhooks::BODIES_MAX), AtomicBool::new(false));
        Webhook { key, replies, bodies, refusing }
    }

    /// Logs where signatures begin or cease to be wrong: most often the integration has another
    /// secret than this gateway, and no agent's answer arrives.
    fn heard(&self, signed: bool) {
        if self.refusing.swap(!signed, Ordering::Relaxed) == signed {
            match signed {
                true => tracing::info!("webhook signatures are good again"),
                false => tracing::warn!(
                    secret = "VOICEPOST_WEBHOOK_SECRET",
                    "webhook refused: its signature is of another secret"
                ),
            }
        }
    }
}

/// Adds pages to the routes of each worker.
pub type Pages = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// How long senders may take, and may be left waiting.
#[derive(Clone, Copy, Debug)]
pub struct PatienceRules {
    /// Wait for delivery, unless the sender says otherwise.
    pub wait: Duration,
    /// Longest wait a sender may ask for.
    pub wait_max: Duration,
    /// Total time for a body.
    pub body_max: Duration,
    /// How long a refused sender may go on sending.
    pub linger: Duration,
    /// Slowest upload, judged after its first ten seconds.
    pub body_bytes_per_second_min: u64,
}

/// Paths of the public listener that tell everyone the same, within the quota of their address; all
/// others ask who is there.
const OPEN_PATHS: [&str; 3] = ["/v1/limits", "/voicepost.js", "/openapi.json"];
/// Paths for probers, who have no key and no quota.
const PROBE_PATHS: [&str; 2] = ["/livez", "/readyz"];

/// Where Genesys sends what agents answer.
pub const WEBHOOK_PATH: &str = "/webhooks/open-messaging";

/// Below these, each address or what is sent to it is signed: see `signed`.
const SIGNED_PATHS: [&str; 2] = ["/media/", "/webhooks/"];

/// Whether a path is one of those: who has one may ask. Only plain characters: what is encoded
/// could be read as another path.
fn is_signed(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let rest = SIGNED_PATHS.iter().find_map(|below| path.strip_prefix(below));
    rest.is_some_and(|segment| segment.bytes().all(plain))
}

/// The public listener. `guard::admit` stands before it.
fn public(routes: &mut ServiceConfig, signed_apart: bool) {
    if !signed_apart {
        signed(routes);
    }
    routes
        .app_data(upload::parser())
        // senders
        .service(command("/v1/voice-messages").route(post().to(messages::create)))
        .service(
            taking("/v1/voice-messages/{id}", "GET, DELETE")
                .route(get().to(messages::show))
                .route(delete().to(messages::withdraw)),
        )
        .service(read_only("/v1/voice-messages/{id}/events").route(get().to(events::follow)))
        .service(
            read_only("/v1/conversations/{conversation_id}/events")
                .route(get().to(conversation_events::follow)),
        )
        .service(read_only("/v1/limits").route(get().to(messages::limits)))
        .service(read_only("/voicepost.js").route(get().to(recorder::script)))
        .service(read_only("/openapi.json").route(get().to(openapi::serve)))
        // probers
        .service(read_only("/livez").route(get().to(health::live)))
        .service(read_only("/readyz").route(get().to(health::ready)))
        .default_service(actix_web::web::to(answers::route_not_found));
}

/// The listener for Genesys and agents' browsers. `guard::admit_signed` stands before it.
fn outside(routes: &mut ServiceConfig) {
    signed(routes);
    routes.default_service(actix_web::web::to(answers::route_not_found));
}

/// What needs no caller: each request proves itself, by its address or by what is in it.
fn signed(routes: &mut ServiceConfig) {
    routes
        .service(
            taking("/media/{segment}", "GET, HEAD")
                .route(get().to(media::serve))
                .route(head().to(media::serve)),
        )
        .service(command(WEBHOOK_PATH).route(post().to(webhooks::open_messaging)));
}

/// The admin listener. `admin_guard` stands before it.
fn operators(routes: &mut ServiceConfig) {
    routes
        .configure(admin::refusals)
        .service(read_only("/admin/state").route(get().to(admin::state)))
        .service(read_only("/admin/messages").route(get().to(admin::messages)))
        .service(read_only("/admin/held").route(get().to(admin::held)))
        .service(read_only("/admin/messages/{id}").route(get().to(admin::message)))
        .service(read_only("/admin/messages/{id}/history").route(get().to(admin::history)))
        .service(read_only("/admin/audit").route(get().to(admin::audit)))
        .service(read_only("/admin/purges").route(get().to(admin::purges)))
        .service(command("/admin/messages/{id}/purge").route(post().to(orders::purge_now)))
        .service(command("/admin/messages/{id}/release").route(post().to(orders::release)))
        .service(command("/admin/messages/{id}/hold").route(post().to(orders::hold)))
        .service(command("/admin/messages/{id}/replay").route(post().to(orders::replay)))
        .service(command("/admin/drain").route(post().to(orders::drain)))
        .service(
            command("/admin/messages/{id}/copies/{ordinal}/give-up")
                .route(post().to(orders::give_up)),
        )
        .service(command("/admin/token/refresh").route(post().to(orders::refresh_token)))
        .service(command("/admin/erasures").route(post().to(erasures::begin)))
        .service(read_only("/admin/erasures/{id}").route(get().to(erasures::show)))
        .service(read_only("/metrics").route(get().to(admin::metrics)))
        .service(read_only("/livez").route(get().to(health::live)))
        .service(read_only("/readyz").route(get().to(health::ready)))
        .default_service(actix_web::web::to(answers::route_not_found));
}

/// A path that answers other methods than these with 405 and their names.
fn taking(path: &str, methods: &'static str) -> actix_web::Resource {
    let refuse = move |request: HttpRequest| answers::method_not_allowed(request, methods);
    resource(path).default_service(actix_web::web::to(refuse))
}

fn read_only(path: &str) -> actix_web::Resource {
    taking(path, "GET")
}

fn command(path: &str) -> actix_web::Resource {
    taking(path, "POST")
}
