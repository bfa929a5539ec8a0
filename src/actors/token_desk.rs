//! Where routes get their tokens: the published view for the usual case, TokenActor for the rest.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Notify, watch};

use super::handle::{AskError, Handle};
use super::token::{RejectToken, RenewToken, TokenActor, TokenView, unavailable};
use crate::clock::Clock;
use crate::domain::Failure;
use crate::genesys::api::{AccessToken, TokenSource};

/// How long a call waits for a token before it counts as not sent.
const TOKEN_WAIT: Duration = Duration::from_secs(10);

/// TokenActor as routes see it.
pub struct TokenDesk {
    /// The published token.
    pub view: watch::Receiver<TokenView>,
    /// Tells that the published token has changed.
    pub changed: Arc<Notify>,
    /// The actor.
    pub actor: Handle<TokenActor>,
    /// What time it is.
    pub clock: Clock,
}

impl TokenDesk {
    fn usable(&self, view: &TokenView) -> Option<AccessToken> {
        view.usable(self.clock.now())
    }

    async fn wait(&self) -> Result<AccessToken, Failure> {
        let found = async {
            loop {
                // Listening starts before looking, so that no change is missed in between.
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                let usable = self.usable(&self.view.borrow());
                if let Some(token) = usable {
                    return token;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(TOKEN_WAIT, found).await {
            Ok(token) => Ok(token),
            Err(_) => {
                let trouble = self.view.borrow().trouble.clone();
                let detail = trouble.map_or("no token yet".to_owned(), |t| t.detail);
                Err(unavailable(&detail))
            }
        }
    }
}

impl TokenSource for TokenDesk {
    fn token(&self) -> LocalBoxFuture<'_, Result<AccessToken, Failure>> {
        let usable = self.usable(&self.view.borrow());
        match usable {
            Some(token) => std::future::ready(Ok(token)).boxed_local(),
            None => self.wait().boxed_local(),
        }
    }

    fn renew(&self, stale_version: u64) -> LocalBoxFuture<'_, Result<AccessToken, Failure>> {
        async move {
            let renewed = self.actor.send(RenewToken { stale_version, at_once: false }).await;
            renewed.unwrap_or_else(|error: AskError| Err(unavailable(&error.to_string())))
        }
        .boxed_local()
    }

    fn rejected(&self, version: u64) {
        self.actor.tell(RejectToken { version });
    }
}
