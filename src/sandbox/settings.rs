//! How a sandbox behaves. Independent of where it listens.

use serde::Deserialize;

/// Settings of one sandbox; every field has a default.
///
/// Deliberately without `Debug`: it holds secrets.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxSettings {
    /// The client id that `POST /oauth/token` accepts.
    pub client_id: String,
    /// The client secret that goes with it.
    pub client_secret: String,
    /// Life of a token. 0 leaves `expires_in` out of the answer; the token then lives a day.
    pub token_expires_in_seconds: u32,
    /// The `scope` of a token answer; left out where it is empty.
    pub token_scope: String,
    /// Life of a `mediaUrl`, from the upload.
    pub media_url_seconds: u32,
    /// Largest upload; above it 413. In bytes.
    pub upload_bytes_max: usize,
    /// Start of every `mediaUrl`, without a trailing slash. Empty: the address listened on.
    pub base_url: String,
    /// Seed of ids, tokens and fault draws. Same seed and same calls, same answers.
    pub seed: u64,
    /// Whether clips can be heard again. Off: only size and hash are kept.
    pub keep_audio: bool,
    /// Whether uploads are hashed (SHA-256). Off for benches.
    pub keep_hash: bool,
    /// API calls allowed in a minute, token exchanges apart; 0 switches the limit off.
    pub calls_per_minute: u32,
    /// What `mediaId`s look like.
    pub media_ids: MediaIds,
    /// The one Open Messaging integration.
    pub integration_id: String,
    /// What the integration says of itself: `Active`, `Inactive`.
    pub integration_status: String,
    /// Media types its content profile lets in, with wildcards; others are dropped silently.
    pub inbound_media: Vec<String>,
    /// Where agents' answers go; empty: agents cannot answer.
    pub webhook_url: String,
    /// The key that signs them.
    pub webhook_secret: String,
    /// Pause before a call of the webhook is repeated.
    pub webhook_retry_pause_ms: u32,
    /// HTTP worker threads, at least 1.
    pub workers: usize,
}

/// What `mediaId`s look like. They are opaque, so a client must cope with either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaIds {
    /// 32 hexadecimal digits.
    Hex,
    /// With characters that break a path unless they are percent-encoded.
    Awkward,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        SandboxSettings {
            client_id: "sandbox-client".to_owned(),
            client_secret: "sandbox-secret".to_owned(),
            token_expires_in_seconds: 3_600,
            token_scope: String::new(),
            media_url_seconds: 900,
            upload_bytes_max: 32 * 1024 * 1024,
            base_url: String::new(),
            seed: 1,
            keep_audio: true,
            keep_hash: true,
            calls_per_minute: 0,
            media_ids: MediaIds::Hex,
            integration_id: "0be11e55-0000-4000-8000-000000000001".to_owned(),
            integration_status: "Active".to_owned(),
            inbound_media: vec!["*/*".to_owned()],
            webhook_url: String::new(),
            webhook_secret: String::new(),
            webhook_retry_pause_ms: 5_000,
            workers: 1,
        }
    }
}
