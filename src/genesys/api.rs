//! Calls that need the access token, and what to do when Genesys does not take it.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

use super::gate::Gate;
use super::transport::{Call, Called, Transport};
use crate::domain::{Code, Failure};
use crate::settings::Secret;

/// An access token and which exchange it came from.
#[derive(Clone)]
pub struct AccessToken {
    /// The bearer value.
    pub value: Secret,
    /// Counts exchanges; a 401 names the version it was answered to.
    pub version: u64,
}

/// Where tokens come from: TokenActor, seen from below.
pub trait TokenSource {
    /// The token in use. Waits a bounded time for one; then fails with `token-unavailable`.
    fn token(&self) -> LocalBoxFuture<'_, Result<AccessToken, Failure>>;

    /// A token newer than `stale_version`: one exchange serves everybody who asks.
    fn renew(&self, stale_version: u64) -> LocalBoxFuture<'_, Result<AccessToken, Failure>>;

    /// Tells that even a fresh token was answered 401.
    fn rejected(&self, version: u64);
}

/// The API behind a token.
pub struct Api {
    /// Base URL without a slash at the end.
    pub base_url: String,
    /// Makes the calls.
    pub transport: Rc<dyn Transport>,
    /// Gives the tokens.
    pub tokens: Rc<dyn TokenSource>,
    /// Every call passes it, a repeat after a 401 as well.
    pub gate: Rc<Gate>,
}

impl Api {
    /// Makes the call with the token in use. A 401 drops that token, and the call is repeated once
    /// with a newer one; where none can be had, or the repeat is 401 too, the call counts as not
    /// sent: it had no effect, and the trouble is the gateway's, not the message's.
    pub async fn call(&self, call: Call) -> Called {
        let token = match self.tokens.token().await {
            Ok(token) => token,
            Err(failure) => return Called::NotSent(failure),
        };
        let first = self.send(call.clone(), &token).await;
        if !is_unauthorized(&first) {
            return first;
        }
        let fresh = match self.tokens.renew(token.version).await {
            Ok(fresh) => fresh,
            Err(failure) => return Called::NotSent(failure),
        };
        let second = self.send(call, &fresh).await;
        if !is_unauthorized(&second) {
            return second;
        }
        self.tokens.rejected(fresh.version);
        Called::NotSent(Failure::passing(
            Code::TokenUnavailable,
            "Genesys answers 401 to a fresh token",
        ))
    }

    async fn send(&self, mut call: Call, token: &AccessToken) -> Called {
        let passed = match self.gate.pass(&call).await {
            Ok(passed) => passed,
            Err(failure) => return Called::NotSent(failure),
        };
        call.headers.push(("authorization", format!("Bearer {}", token.value.expose())));
        let called = self.transport.call(call).await;
        if let Some(passed) = passed {
            passed.came_back(&called);
        }
        called
    }
}

fn is_unauthorized(called: &Called) -> bool {
    matches!(called, Called::Answered(answer) if answer.status == 401)
}
