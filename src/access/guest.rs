//! What a guest's token has to say (RFC 7519 §4.1). Pure: the time is an argument.

use ring::digest;
use serde::Deserialize;

use super::{Caller, Denied};
use crate::domain::{ID_BYTES_MAX, Principal, UnixMs, hex};

/// A guest: whom the token was made out to, and for what.
#[derive(Clone, PartialEq, Eq)]
pub struct Guest {
    /// The sender of every message of this guest (`sub`).
    pub sender_id: String,
    /// The only conversation the guest may send into (`conversation_id`).
    pub conversation_id: Option<String>,
    /// Clips that may be sent with this one token (`clips_max`).
    pub clips_max: Option<u32>,
    /// Tells this token from others; the digest of what is signed of it. A signature may have more
    /// than one form that is good (ECDSA: of `s` and `n - s` either).
    pub token: [u8; 32],
    /// When it ends (`exp`).
    pub expires_at: UnixMs,
}

// Invariant 8: guest identities never reach a log through `Debug`.
impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guest(redacted)")
    }
}

/// The claims that are read; others are ignored (RFC 7519 §4).
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: Option<String>,
    iss: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    conversation_id: Option<String>,
    clips_max: Option<u32>,
}

/// How far clocks may be apart, and how long a token may live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    pub(super) leeway_seconds: u32,
    pub(super) life_seconds_max: u32,
}

impl Claims {
    /// Whether the token says who made it.
    pub(super) fn names_an_issuer(&self) -> bool {
        self.iss.is_some()
    }

    /// The caller with these claims; the signature over `signed`, `aud` and `iss` are checked
    /// already.
    pub(super) fn caller(
        self,
        signed: &str,
        validity: Validity,
        now: UnixMs,
    ) -> Result<Caller, Denied> {
        let expires_at = numeric_date(self.exp).ok_or(Denied::Token("exp is missing"))?;
        let leeway_ms = i64::from(validity.leeway_seconds) * 1000;
        if now >= expires_at.plus_ms(leeway_ms) {
            return Err(Denied::Token("it has expired"));
        }
        let life_ms = i64::from(validity.life_seconds_max) * 1000;
        if expires_at > now.plus_ms(life_ms).plus_ms(leeway_ms) {
            return Err(Denied::Token("exp is too far in the future"));
        }
        if self.nbf.is_some() {
            let from = numeric_date(self.nbf).ok_or(Denied::Token("nbf is no time"))?;
            if now < from.plus_ms(-leeway_ms) {
                return Err(Denied::Token("it is not valid yet"));
            }
        }
        let sender_id = self.sub.filter(|sub| names(sub)).ok_or(Denied::Token("sub is no id"))?;
        let conversation_id = match self.conversation_id {
            Some(id) if !names(&id) => return Err(Denied::Token("conversation_id is no id")),
            given => given,
        };
        Ok(Caller {
            principal: principal(self.iss.as_deref().unwrap_or_default(), &sender_id),
            quota_per_minute: None,
            routes: Vec::new(),
            guest: Some(Guest {
                sender_id,
                conversation_id,
                clips_max: self.clips_max,
                token: sha256(&[signed]),
                expires_at,
            }),
        })
    }
}

/// Seconds since 1970, fractions allowed (RFC 7519 §2).
fn numeric_date(seconds: Option<f64>) -> Option<UnixMs> {
    // Every time from 1970 to the year 5138; beyond it lies a mistake.
    let seconds = seconds.filter(|seconds| (0.0..1e11).contains(seconds))?;
    Some(UnixMs((seconds * 1000.0) as i64))
}

fn names(id: &str) -> bool {
    !id.trim().is_empty() && id.len() <= ID_BYTES_MAX && !id.chars().any(char::is_control)
}

/// A guest's name in ledger and idempotency keys, where it outlives the guest's identity
/// (invariant 11): a digest of issuer and sender.
pub(super) fn principal(issuer: &str, sender_id: &str) -> Principal {
    Principal(format!("guest:{}", hex(&sha256(&[issuer, sender_id])[..16])))
}

/// Each text with its length before it, so that no two lists have the same digest.
fn sha256(texts: &[&str]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
