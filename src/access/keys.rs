//! API keys: 256 random bits, shown once, of which only the SHA-256 is kept.
//!
//! A key is looked up by its digest. Comparing digests needs no constant time: who can tell how far
//! one matches learns nothing that helps to find 256 random bits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Caller, KeyFile, KeyFileError};
use crate::domain::{Principal, RouteName, UnixMs, hex};

/// What every key starts with, so that scanners for leaked secrets can find it.
const PREFIX: &str = "vpk_";
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// One key as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Names the key in logs and in the ledger; says nothing about the key itself.
    pub id: String,
    /// What its owner calls it; no two keys in use have the same.
    pub name: String,
    /// SHA-256 of the key's text, in lower-case hex.
    pub sha256: String,
    /// Routes it may send by; empty: every route.
    pub routes: Vec<RouteName>,
    /// Requests a minute; `None`: what the settings say.
    pub quota_per_minute: Option<u32>,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it was revoked; `None`: it is in use.
    pub revoked_at: Option<UnixMs>,
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What its owner calls it.
    pub name: String,
    /// Routes it may send by; empty: every route.
    pub routes: Vec<RouteName>,
    /// Requests a minute.
    pub quota_per_minute: Option<u32>,
}

impl NewKey {
    /// Makes the key: its text, which nobody can be told again, and what is kept of it.
    pub fn mint(self, secret: &[u8; 32], id: [u8; 6], now: UnixMs) -> (String, ApiKey) {
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
        let key = ApiKey {
            id: hex(&id),
            name: self.name,
            sha256: hex(&sha256(&text)),
            routes: self.routes,
            quota_per_minute: self.quota_per_minute,
            created_at: now,
            revoked_at: None,
        };
        (text, key)
    }
}

pub(super) fn looks_like_a_key(token: &str) -> bool {
    token.starts_with(PREFIX)
}

fn sha256(text: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    digest
}

type Callers = Arc<HashMap<String, Caller>>;

/// The keys in use, by digest; follows the file.
pub struct KeyTable {
    callers: watch::Receiver<Callers>,
}

impl KeyTable {
    /// Reads the file, and goes on looking at it every second: new and revoked keys count without
    /// a restart. A file that cannot be read any more changes nothing, is logged, and is tried
    /// again every second. Must run inside an actix system.
    ///
    /// # Errors
    /// When the file cannot be read now.
    pub fn follow(file: KeyFile) -> Result<KeyTable, KeyFileError> {
        let mut seen = super::stamp(file.path());
        let (callers, followed) = watch::channel(in_use(&file.read()?));
        actix::spawn(async move {
            let mut told = None;
            while !callers.is_closed() {
                tokio::time::sleep(LOOK).await;
                let now = super::stamp(file.path());
                if now == seen {
                    continue;
                }
                match file.read() {
                    Ok(keys) => {
                        let table = in_use(&keys);
                        tracing::info!(keys = table.len(), "API keys read anew");
                        callers.send_replace(table);
                        // Only now: a revoked key must not outlive a read that failed.
                        (seen, told) = (now, None);
                    }
                    Err(error) if told != Some(now) => {
                        tracing::error!(%error, "API keys stay as they were");
                        told = Some(now);
                    }
                    Err(_) => {}
                }
            }
        });
        Ok(KeyTable { callers: followed })
    }

    /// The caller with this key.
    pub(super) fn caller(&self, key: &str) -> Option<Caller> {
        self.callers.borrow().get(&hex(&sha256(key))).cloned()
    }

    /// Resolves when no key of this caller is in use, or none is looked at any more.
    pub(super) fn revoked(&self, principal: Principal) -> impl Future<Output = ()> + use<> {
        let mut callers = self.callers.clone();
        async move {
            let in_use = |callers: &Callers| callers.values().any(|c| c.principal == principal);
            let _ = callers.wait_for(|callers| !in_use(callers)).await;
        }
    }
}

fn in_use(keys: &[ApiKey]) -> Callers {
    let used = keys.iter().filter(|key| key.revoked_at.is_none());
    let callers = used.map(|key| {
        let caller = Caller {
            principal: Principal(format!("key:{}", key.id)),
            quota_per_minute: key.quota_per_minute,
            routes: key.routes.clone(),
            guest: None,
        };
        (key.sha256.clone(), caller)
    });
    Arc::new(callers.collect())
}
