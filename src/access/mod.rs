//! Who asks. Every request to `/v1` comes from one caller: a backend with an API key, a guest with
//! a token (JWT), or, where neither is set up, whoever reaches the loopback address.
//!
//! - `keys`, `key_file`: API keys, and the file they stand in
//! - `clips`: how often a guest's token was used
//! - `guest`: what a guest's token has to say; `tokens`: whether it is genuine
//! - `key_set`, `key_source`: the issuer's public keys (JWKS), and where they are had from
//! - `operator_key`: what operators show; `webhook_key`: what Genesys signs its calls with
//! - `quota`: how much callers may ask
//! - `ring_verifier`: the signatures themselves; `start`: all of it, as the settings say
//!
//! Nothing here knows HTTP: a token comes in, a caller or the reason why not goes out. Invariant 8:
//! reasons name no token, no key and no guest.

mod clips;
mod guest;
mod key_file;
mod key_set;
mod key_source;
mod keys;
mod operator_key;
mod quota;
mod ring_verifier;
mod start;
mod tokens;
mod webhook_key;

pub use clips::{ClipPlace, NoClip};
pub use guest::Guest;
pub use key_file::{KeyFile, KeyFileError};
pub use keys::{ApiKey, KeyTable, NewKey};
pub use operator_key::OperatorKey;
pub use quota::{Quotas, Standing, network};
pub use start::AccessError;
pub use tokens::{Tokens, TokensError};
pub use webhook_key::WebhookKey;

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use clips::ClipCounts;

use crate::domain::{Principal, RouteName, UnixMs};

/// Longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 4096;

/// Who sent a request, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name that messages and idempotency keys are kept under.
    pub principal: Principal,
    /// Requests a minute, where the caller's key names its own quota.
    pub quota_per_minute: Option<u32>,
    /// Routes the caller may send by; empty: every route.
    pub routes: Vec<RouteName>,
    /// Who and where a guest is; `None`: the caller speaks for any guest.
    pub guest: Option<Guest>,
}

impl Caller {
    /// The one caller of a gateway that asks nobody who they are.
    pub fn loopback() -> Caller {
        Caller {
            principal: Principal::loopback(),
            quota_per_minute: None,
            routes: Vec::new(),
            guest: None,
        }
    }
}

/// What a request shows of who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// Nothing is asked for.
    Nothing,
    /// The API key of this caller.
    Key(Caller),
    /// A token, not verified yet: that takes time.
    Token(&'a str),
}

/// Why a request has no caller. The texts are for whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no `Authorization: Bearer`.
    #[error("the request needs an Authorization header with a bearer token")]
    Missing,
    /// There is something else, or more than one.
    #[error("the Authorization header is not one bearer token")]
    Malformed,
    /// An API key that nobody has, or that was revoked.
    #[error("the API key is not known")]
    UnknownKey,
    /// A token that is not genuine, not ours, or not valid now.
    #[error("the token is refused: {0}")]
    Token(&'static str),
}

/// What decides who a caller is.
pub struct Access {
    keys: Option<KeyTable>,
    tokens: Option<Tokens>,
    clips: ClipCounts,
}

impl Access {
    /// By API key, by token, or by either; by neither: everyone is the loopback caller.
    pub fn new(keys: Option<KeyTable>, tokens: Option<Tokens>) -> Access {
        Access { keys, tokens, clips: ClipCounts::default() }
    }

    /// Whether callers have to say who they are.
    pub fn is_on(&self) -> bool {
        self.keys.is_some() || self.tokens.is_some()
    }

    /// What these `Authorization` headers show. Takes no more than a digest, so that whoever shows
    /// nothing that is known can be counted before anything is verified.
    ///
    /// # Errors
    /// Why it is nothing that a caller could show.
    pub fn shown<'a>(
        &self,
        mut authorization: impl Iterator<Item = Option<&'a str>>,
    ) -> Result<Shown<'a>, Denied> {
        if !self.is_on() {
            return Ok(Shown::Nothing);
        }
        let header = authorization.next().ok_or(Denied::Missing)?.ok_or(Denied::Malformed)?;
        if authorization.next().is_some() {
            return Err(Denied::Malformed);
        }
        let token = bearer(header).ok_or(Denied::Malformed)?;
        if keys::looks_like_a_key(token) {
            let table = self.keys.as_ref().ok_or(Denied::UnknownKey)?;
            return table.caller(token).map(Shown::Key).ok_or(Denied::UnknownKey);
        }
        Ok(Shown::Token(token))
    }

    /// The caller who shows this. Waits only where a token names a key of the issuer that has to be
    /// fetched first, and then for a few seconds at most.
    ///
    /// # Errors
    /// Why the token is not believed.
    pub async fn identify(&self, shown: Shown<'_>, now: UnixMs) -> Result<Caller, Denied> {
        match shown {
            Shown::Nothing => Ok(Caller::loopback()),
            Shown::Key(caller) => Ok(caller),
            Shown::Token(token) => {
                let tokens = self.tokens.as_ref().ok_or(Denied::UnknownKey)?;
                tokens.caller(token, now).await
            }
        }
    }

    /// Resolves when this caller, known at `now`, is known no longer: the key is revoked, or the
    /// token has ended.
    pub fn ended(&self, caller: &Caller, now: UnixMs) -> BoxFuture<'static, ()> {
        match (&caller.guest, &self.tokens, &self.keys) {
            (Some(guest), Some(tokens), _) => {
                let left_ms = tokens.ends_at(guest).0.saturating_sub(now.0);
                let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
                tokio::time::sleep(left).boxed()
            }
            (None, _, Some(keys)) => keys.revoked(caller.principal.clone()).boxed(),
            _ => std::future::pending().boxed(),
        }
    }

    /// The principals that a guest of this name has or had: without an issuer, with the one that is
    /// set now, and with `issuer`. Where none is set any issuer was believed, and who it was cannot
    /// be found out here.
    pub fn principals_of(&self, sender_id: &str, issuer: Option<&str>) -> Vec<Principal> {
        let set = self.tokens.as_ref().and_then(Tokens::issuer);
        let issuers = std::iter::once("").chain(set).chain(issuer);
        issuers.map(|issuer| guest::principal(issuer, sender_id)).collect()
    }

    /// Takes one of the clips that the guest's token is good for; given back where it is dropped
    /// without [`ClipPlace::keep`].
    ///
    /// # Errors
    /// When there is none left.
    pub fn take_clip(&self, guest: &Guest, now: UnixMs) -> Result<ClipPlace, NoClip> {
        self.clips.take(guest, now)
    }
}

/// The token of `Bearer …` (RFC 6750 §2.1); the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim_matches(' ');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    let sound = (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.chars().all(plain);
    (scheme.eq_ignore_ascii_case("bearer") && sound).then_some(token)
}

/// What tells that a file is another one than before: its time, its size, its place on the disk.
/// `None` where there is no such file now.
type Stamp = Option<(i64, i64, u64, u64)>;

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::metadata(path).ok()?;
    Some((file.mtime(), file.mtime_nsec(), file.size(), file.ino()))
}
