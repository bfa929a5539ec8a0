//! TokenActor owns the OAuth token and its refresh cycle.
//!
//! Promises: one exchange serves any number of waiters; the token is renewed ahead of its expiry;
//! a stale 401 causes one refresh; readers read a published value and never queue behind a
//! refresh. While no token can be had it tries again with growing pauses, for ever. It never logs
//! or shows the token. When it dies, the process ends.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, AsyncContext, Context, Handler, Message, MessageResult, ResponseFuture, SpawnHandle,
};
use futures_util::FutureExt;
use serde::Serialize;
use tokio::sync::{Notify, oneshot, watch};

use super::guard::{Vigil, contained};
use super::handle::Handle;
use crate::clock::Clock;
use crate::domain::{Backoff, Code, Failure, Retry, UnixMs, renew_after_ms};
use crate::genesys::api::AccessToken;
use crate::genesys::oauth::{Exchange, exchange};
use crate::genesys::transport::Transport;
use crate::settings::Credentials;
use crate::telemetry::Metrics;

// 1 limits

/// Pauses between exchanges that fail.
const EXCHANGE_BACKOFF: Backoff = Backoff { pause_ms_min: 1_000, pause_ms_max: 60_000 };
/// How often it is looked whether the clock has passed the end of the token.
const CLOCK_LOOK: Duration = Duration::from_secs(1);
/// Rejections of fresh tokens further apart than this are no longer the same trouble.
const REJECTION_MEMORY_MS: u64 = 300_000;
/// Words of the media-api contract for an exchange that is refused.
const BAD_CREDENTIALS: &str = "OAuth token invalid or expired. Check client credentials.";
/// Words of the media-api contract for an exchange that is forbidden.
const MISSING_SCOPES: &str =
    "Missing required scopes. Verify media:upload and webchat:write are granted.";

// 2 state

/// What an exchange needs.
pub struct TokenSeed {
    /// Makes the exchange.
    pub transport: Rc<dyn Transport>,
    /// Where.
    pub login_url: String,
    /// Who we are.
    pub credentials: Rc<Credentials>,
    /// Time and chance.
    pub clock: Clock,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Wakes the calls that wait for a token, in the order in which they came.
    pub changed: Arc<Notify>,
    /// Watches over this actor.
    pub vigil: Vigil,
}

/// Owner of the token; see the module's head.
pub struct TokenActor {
    seed: TokenSeed,
    published: watch::Sender<TokenView>,
    versions: u64,
    exchanging: bool,
    waiters: Vec<oneshot::Sender<Result<AccessToken, Failure>>>,
    failures: u32,
    /// Fresh tokens answered 401 in a row, and when the last one was: an exchange that succeeds
    /// does not end this trouble.
    rejections: u32,
    rejected_at: Option<UnixMs>,
    timer: Option<SpawnHandle>,
    observed: TokenObserved,
}

/// What readers see.
#[derive(Clone, Default)]
pub struct TokenView {
    /// The token in use.
    pub token: Option<AccessToken>,
    /// When it stops being valid; `None` where the login host did not say.
    pub expires_at: Option<UnixMs>,
    /// Why there is none, or why the last exchange failed.
    pub trouble: Option<TokenTrouble>,
}

/// Why no token can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenTrouble {
    /// Whether the login host refused us, rather than being out of reach.
    pub refused: bool,
    /// The words for an operator.
    pub detail: String,
}

// 3 observed

/// TokenActor as an operator sees it; never the token.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TokenObserved {
    /// Whether a token is in use.
    pub valid: bool,
    /// Exchanges that gave a token.
    pub exchanges: u64,
    /// Exchanges that did not, since the last that did.
    pub failures: u32,
    /// Which exchange the token in use came from.
    pub version: u64,
    /// When the token in use stops being valid.
    pub expires_at: Option<UnixMs>,
    /// When the next exchange is planned.
    pub renewal_at: Option<UnixMs>,
    /// Why there is no token, or why the last exchange failed.
    pub trouble: Option<TokenTrouble>,
}

// 4 messages

/// Asks for a token newer than this version.
pub struct RenewToken {
    /// The version that was answered 401; that token is dropped, unless an operator asks.
    pub stale_version: u64,
    /// Do not wait for the pause after a failed exchange to be over: an operator asks.
    pub at_once: bool,
}

/// Tells that a fresh token was answered 401.
pub struct RejectToken {
    /// Its version.
    pub version: u64,
}

/// Asks for the observable state.
pub struct ObserveToken;

struct ExchangeNow;
struct Exchanged(Exchange);

impl Message for RenewToken {
    type Result = Result<AccessToken, Failure>;
}
impl Message for RejectToken {
    type Result = ();
}
impl Message for ObserveToken {
    type Result = TokenObserved;
}
impl Message for ExchangeNow {
    type Result = ();
}
impl Message for Exchanged {
    type Result = ();
}

// 5 life-cycle

impl TokenActor {
    /// The actor, and the view it publishes to.
    pub fn new(seed: TokenSeed) -> (TokenActor, watch::Receiver<TokenView>) {
        let (published, view) = watch::channel(TokenView::default());
        let actor = TokenActor {
            seed,
            published,
            versions: 0,
            exchanging: false,
            waiters: Vec::new(),
            failures: 0,
            rejections: 0,
            rejected_at: None,
            timer: None,
            observed: TokenObserved::default(),
        };
        (actor, view)
    }
}

impl Actor for TokenActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.start_exchange(ctx);
        ctx.run_interval(CLOCK_LOOK, Self::look_at_the_clock);
    }
}

// 6 handlers

impl Handler<RenewToken> for TokenActor {
    type Result = ResponseFuture<Result<AccessToken, Failure>>;

    fn handle(&mut self, message: RenewToken, ctx: &mut Self::Context) -> Self::Result {
        let in_use = self.published.borrow().token.clone();
        if let Some(token) = in_use.filter(|token| token.version > message.stale_version) {
            return std::future::ready(Ok(token)).boxed_local();
        }
        if !message.at_once {
            self.drop_stale();
        }
        if self.pausing() && !message.at_once {
            let detail = self.trouble();
            return std::future::ready(Err(unavailable(&detail))).boxed_local();
        }
        let (answer, answered) = oneshot::channel();
        self.waiters.push(answer);
        self.start_exchange(ctx);
        async move { answered.await.unwrap_or_else(|_| Err(unavailable("no answer"))) }
            .boxed_local()
    }
}

impl Handler<RejectToken> for TokenActor {
    type Result = ();

    fn handle(&mut self, message: RejectToken, ctx: &mut Self::Context) {
        let in_use = self.published.borrow().token.as_ref().map(|token| token.version);
        if in_use == Some(message.version) && !self.exchanging {
            self.rejected();
            self.failed(true, "Genesys answers 401 to a fresh token", 0, true, ctx);
        }
    }
}

impl Handler<ObserveToken> for TokenActor {
    type Result = MessageResult<ObserveToken>;

    fn handle(&mut self, _: ObserveToken, _: &mut Self::Context) -> Self::Result {
        let usable = self.published.borrow().usable(self.seed.clock.now());
        MessageResult(TokenObserved { valid: usable.is_some(), ..self.observed.clone() })
    }
}

impl Handler<ExchangeNow> for TokenActor {
    type Result = ();

    fn handle(&mut self, _: ExchangeNow, ctx: &mut Self::Context) {
        self.start_exchange(ctx);
    }
}

impl Handler<Exchanged> for TokenActor {
    type Result = ();

    fn handle(&mut self, Exchanged(exchange): Exchanged, ctx: &mut Self::Context) {
        self.exchanging = false;
        match exchange {
            Exchange::Granted { token, expires_in_seconds, .. } => {
                self.versions += 1;
                let token = AccessToken { value: token, version: self.versions };
                self.granted(token, expires_in_seconds, ctx);
            }
            Exchange::BadCredentials => self.failed(true, BAD_CREDENTIALS, 0, false, ctx),
            Exchange::MissingScopes => self.failed(true, MISSING_SCOPES, 0, false, ctx),
            Exchange::Unavailable { detail, retry_after_ms } => {
                self.failed(false, &detail, retry_after_ms, false, ctx);
            }
        }
    }
}

// 7 private

impl TokenActor {
    fn start_exchange(&mut self, ctx: &mut Context<Self>) {
        if self.exchanging {
            return;
        }
        self.exchanging = true;
        let transport = Rc::clone(&self.seed.transport);
        let credentials = Rc::clone(&self.seed.credentials);
        let login_url = self.seed.login_url.clone();
        let handle = Handle::new(ctx.address(), 1);
        actix::spawn(async move {
            let exchange = exchange(&*transport, &login_url, &credentials);
            let exchange = contained(exchange, || Exchange::Unavailable {
                detail: "the exchange panicked".to_owned(),
                retry_after_ms: 0,
            });
            handle.tell(Exchanged(exchange.await));
        });
    }

    fn granted(&mut self, token: AccessToken, expires_in: Option<u64>, ctx: &mut Context<Self>) {
        let now = self.seed.clock.now();
        let expires_at = expires_in.map(|seconds| now.plus_seconds(seconds));
        self.failures = 0;
        for waiter in self.waiters.drain(..) {
            // A waiter that gave up has nothing to be told.
            let _ = waiter.send(Ok(token.clone()));
        }
        tracing::info!(
            token.version = token.version,
            token.expires_at = expires_at.map(tracing::field::display),
            "token granted"
        );
        self.observed.exchanges += 1;
        self.observed.version = token.version;
        self.publish(TokenView { token: Some(token), expires_at, trouble: None });
        let pause_ms = renew_after_ms(expires_in, self.seed.clock.unit());
        self.arm(pause_ms.max(1_000), ctx);
    }

    /// Renews a token that has expired without its timer: the clock was set, or the machine slept.
    /// No call could ask for it: a gateway that is not ready may get none.
    fn look_at_the_clock(&mut self, ctx: &mut Context<Self>) {
        let expired = {
            let view = self.published.borrow();
            view.token.is_some() && view.usable(self.seed.clock.now()).is_none()
        };
        if expired && self.failures == 0 {
            self.start_exchange(ctx);
        }
    }

    /// A token that was answered 401 is of no use to anybody.
    fn drop_stale(&mut self) {
        let view = self.published.borrow().clone();
        if view.token.is_some() {
            self.publish(TokenView { token: None, ..view });
        }
    }

    /// Whether the last exchange failed and the next one is not due yet: callers wait with it.
    fn pausing(&self) -> bool {
        self.failures > 0 && !self.exchanging && self.timer.is_some()
    }

    fn trouble(&self) -> String {
        let trouble = self.published.borrow().trouble.clone();
        trouble.map_or("no token".to_owned(), |trouble| trouble.detail)
    }

    fn rejected(&mut self) {
        let now = self.seed.clock.now();
        let again = self.rejected_at.is_some_and(|at| now.ms_since(at) < REJECTION_MEMORY_MS);
        self.rejections = if again { self.rejections.saturating_add(1) } else { 1 };
        self.rejected_at = Some(now);
    }

    /// A failed renewal keeps the old token until it expires, unless Genesys rejects it.
    fn failed(
        &mut self,
        refused: bool,
        detail: &str,
        not_before_ms: u64,
        drop_token: bool,
        ctx: &mut Context<Self>,
    ) {
        self.failures = self.failures.saturating_add(1);
        tracing::error!(token.failures = self.failures, detail, "no token");
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(Err(unavailable(detail)));
        }
        let now = self.seed.clock.now();
        let mut view = self.published.borrow().clone();
        if drop_token || view.expires_at.is_some_and(|at| at <= now) {
            view.token = None;
        }
        view.trouble = Some(TokenTrouble { refused, detail: detail.to_owned() });
        self.publish(view);
        let retry = Retry::After { not_before_ms };
        let unit = self.seed.clock.unit();
        let attempts = if drop_token { self.rejections } else { self.failures };
        let pause_ms = EXCHANGE_BACKOFF.pause_ms(attempts, retry, unit).unwrap_or(60_000);
        self.arm(pause_ms, ctx);
    }

    fn publish(&mut self, view: TokenView) {
        self.observed.valid = view.token.is_some();
        self.observed.failures = self.failures;
        self.observed.expires_at = view.expires_at;
        self.observed.trouble = view.trouble.clone();
        self.seed.metrics.set_token_valid(view.token.is_some());
        self.published.send_replace(view);
        self.seed.changed.notify_waiters();
    }

    fn arm(&mut self, pause_ms: u64, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let pause = i64::try_from(pause_ms).unwrap_or(i64::MAX);
        self.observed.renewal_at = Some(self.seed.clock.now().plus_ms(pause));
        self.timer = Some(ctx.notify_later(ExchangeNow, Duration::from_millis(pause_ms)));
    }
}

pub(super) fn unavailable(detail: &str) -> Failure {
    Failure::passing(Code::TokenUnavailable, detail)
}

impl TokenView {
    /// The token, as long as it has not expired.
    pub fn usable(&self, now: UnixMs) -> Option<AccessToken> {
        let live = self.expires_at.is_none_or(|at| now < at);
        self.token.clone().filter(|_| live)
    }
}
