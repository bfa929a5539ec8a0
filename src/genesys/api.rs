//! Calls that need the access token, and what to do when Genesys does not take it.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

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

/// All but what needs no encoding anywhere (RFC 3986 §2.3): not every server decodes what does not.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one segment of a path, or one value of a query.
pub(super) fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

fn is_unauthorized(called: &Called) -> bool {
    matches!(called, Called::Answered(answer) if answer.status == 401)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_to_be_is_encoded() {
        let id = "319c2832-3c49-41f9-a0e4-51dc1dd0ea1b";
        assert_eq!(encoded(id).to_string(), id);
        assert_eq!(encoded("a/b?c=d&e %f").to_string(), "a%2Fb%3Fc%3Dd%26e%20%25f");
    }
}
