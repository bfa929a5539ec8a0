//! The five actors, and the one handle to reach them.
//!
//! | actor | owns |
//! |---|---|
//! | [`TokenActor`] | the OAuth token and its refresh cycle |
//! | [`ValidatorActor`] | the small pool that looks inside finished clips |
//! | [`UploaderActor`] | uploads in flight |
//! | [`MessengerActor`] | posts in flight |
//! | [`JanitorActor`] | every purge still owed |
//!
//! All files read alike: limits, state, observed, messages, life-cycle, handlers, private. An
//! actor never awaits another one, except that routes ask TokenActor for tokens. All five live on
//! one thread, the engine's, together with the HTTP client that cannot leave it.

mod guard;
mod handle;
mod janitor;
mod messenger;
mod outcomes;
mod purge_timers;
mod purge_work;
mod token;
mod token_desk;
mod uploader;
mod validator;

use std::rc::Rc;
use std::sync::Arc;

use actix::Actor;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use guard::{Fatal, Vigil};
pub use handle::{AskError, Handle, Order};
pub use janitor::{JanitorActor, JanitorObserved, JanitorSeed, ObserveJanitor, OwePurge};
pub use messenger::{
    LookUpPost, MessengerActor, MessengerObserved, ObserveMessenger, PostMessages, TellReceipt,
};
pub use outcomes::Outcomes;
pub use purge_work::PurgeRules;
pub use token::{
    ObserveToken, RenewToken, TokenActor, TokenObserved, TokenSeed, TokenTrouble, TokenView,
};
pub use token_desk::TokenDesk;
pub use uploader::{ObserveUploader, UploadClip, UploaderActor, UploaderObserved};
pub use validator::{
    CheckClip, CheckedClip, ClipRules, ConvertedClip, DrawClip, INSPECTIONS_MAX, NotChecked,
    ObserveValidator, ValidatorActor, ValidatorObserved,
};

use crate::clock::Clock;
use crate::domain::{Pace, UnixMs};
use crate::genesys::Route;
use crate::genesys::api::TokenSource;
use crate::genesys::gate::Gate;
use crate::genesys::transport::Transport;
use crate::ledger::Ledger;
use crate::settings::Credentials;
use crate::telemetry::Metrics;

/// Look-ups at once. Each makes up to nine calls.
const LOOK_UPS_MAX: usize = 2;

/// Handles to all actors. Cheap to clone, and usable from any thread.
#[derive(Clone)]
pub struct Actors {
    /// Owner of the token.
    pub token: Handle<TokenActor>,
    /// What readers see of the token.
    pub token_view: watch::Receiver<TokenView>,
    /// What can be seen of the rate gate.
    pub pace: watch::Receiver<Pace>,
    /// From when the rate gate's times count.
    pub pace_origin: Instant,
    /// Since when the oldest purge is late.
    pub purges_late_since: watch::Receiver<Option<UnixMs>>,
    /// Owner of the inspections.
    pub validator: Handle<ValidatorActor>,
    /// Owner of the uploads.
    pub uploader: Handle<UploaderActor>,
    /// Owner of the posts.
    pub messenger: Handle<MessengerActor>,
    /// The same, for look-ups alone: they take nobody's place among the posts, and are so few at a
    /// time that each comes to its end within one window of a rate limit.
    pub look_ups: Handle<MessengerActor>,
    /// Owner of the purges.
    pub janitor: Handle<JanitorActor>,
}

/// Makes a route on the thread that will use it.
pub type MakeRoute =
    Box<dyn FnOnce(Rc<dyn Transport>, Rc<dyn TokenSource>, Rc<Gate>) -> Rc<dyn Route> + Send>;

/// What the actors are made of. Can cross threads; what cannot is made by its two factories on the
/// thread that will use it.
pub struct Cast {
    /// Makes the HTTP client.
    pub transport: Box<dyn FnOnce() -> Rc<dyn Transport> + Send>,
    /// Makes the route on top of it.
    pub route: MakeRoute,
    /// Where tokens are exchanged.
    pub login_url: String,
    /// Who we are there.
    pub credentials: Credentials,
    /// Knows what is owed.
    pub ledger: Arc<dyn Ledger>,
    /// Time and chance.
    pub clock: Clock,
    /// What clips are held to.
    pub clip_rules: ClipRules,
    /// How purges are carried out.
    pub purge_rules: PurgeRules,
    /// Uploads at once.
    pub uploads_max: usize,
    /// Posts at once.
    pub posts_max: usize,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Ends the process when an actor panics.
    pub fatal: Fatal,
}

/// Starts the actors on the current thread, which must run an actix system or arbiter.
pub fn start(cast: Cast) -> Actors {
    let vigil = |name| Vigil::new(name, Arc::clone(&cast.fatal));
    let transport = (cast.transport)();
    let changed = Arc::new(Notify::new());
    let (token, token_view) = TokenActor::new(TokenSeed {
        transport: Rc::clone(&transport),
        login_url: cast.login_url,
        credentials: Rc::new(cast.credentials),
        clock: cast.clock.clone(),
        metrics: Arc::clone(&cast.metrics),
        changed: Arc::clone(&changed),
        vigil: vigil("TokenActor"),
    });
    let token = Handle::new(token.start(), 1);
    let desk = TokenDesk {
        view: token_view.clone(),
        changed,
        actor: token.clone(),
        clock: cast.clock.clone(),
    };
    let (pace_seen, pace) = watch::channel(Pace::default());
    let gate = Gate::new(cast.clock.clone(), pace_seen);
    let pace_origin = gate.origin();
    let route = (cast.route)(transport, Rc::new(desk), gate);
    let uploader = UploaderActor::new(Rc::clone(&route), vigil("UploaderActor"));
    let messenger = MessengerActor::new(Rc::clone(&route), vigil("MessengerActor"));
    let (late_since, purges_late_since) = watch::channel(None);
    let janitor = JanitorActor::new(JanitorSeed {
        route,
        ledger: cast.ledger,
        clock: cast.clock,
        rules: cast.purge_rules,
        metrics: cast.metrics,
        late_since,
        vigil: vigil("JanitorActor"),
    });
    let messenger = messenger.start();
    Actors {
        token,
        token_view,
        pace,
        pace_origin,
        purges_late_since,
        validator: Handle::new(
            ValidatorActor::new(cast.clip_rules, vigil("ValidatorActor")).start(),
            INSPECTIONS_MAX,
        ),
        uploader: Handle::new(uploader.start(), cast.uploads_max),
        look_ups: Handle::new(messenger.clone(), LOOK_UPS_MAX),
        messenger: Handle::new(messenger, cast.posts_max),
        janitor: Handle::new(janitor.start(), 1),
    }
}
