//! `POST /oauth/token` and the check of bearer tokens.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::settings::SandboxSettings;
use super::wire::{Problem, Reply, Request};

/// Life of a token whose answer names none.
const UNNAMED_LIFE_SECONDS: u32 = 86_400;

/// The tokens that are good now.
#[derive(Default)]
pub(super) struct Tokens {
    expires_at_ms: HashMap<String, i64>,
}

#[derive(Serialize)]
struct TokenAnswer<'a> {
    access_token: &'a str,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

#[derive(Serialize)]
struct OauthError<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// An OAuth refusal (RFC 6749 §5.2), which is not an `ErrorBody`.
pub(super) fn refusal(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &OauthError { error, error_description: description })
}

/// Checks a client-credentials request. The answer is 200, or 400 with an OAuth error.
pub(super) fn check(request: &Request, settings: &SandboxSettings) -> Result<(), Reply> {
    let (id, secret) = basic_credentials(request)
        .ok_or_else(|| refusal(400, "invalid_client", "basic credentials missing or unreadable"))?;
    if id != settings.client_id || secret != settings.client_secret {
        return Err(refusal(400, "invalid_client", "client not found or secret wrong"));
    }
    let form = "application/x-www-form-urlencoded";
    if !request.header("content-type").is_some_and(|value| media_type_is(value, form)) {
        return Err(refusal(400, "invalid_request", "body must be form-urlencoded"));
    }
    let grant = request.body.split(|byte| *byte == b'&').find_map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        text.strip_prefix("grant_type=")
    });
    match grant {
        Some("client_credentials") => Ok(()),
        Some(_) => Err(refusal(400, "unsupported_grant_type", "only client_credentials")),
        None => Err(refusal(400, "invalid_request", "grant_type missing")),
    }
}

impl Tokens {
    /// Makes `token` good from now on and answers with it.
    pub fn issue(&mut self, token: String, settings: &SandboxSettings, now_ms: i64) -> Reply {
        self.expires_at_ms.retain(|_, expires_at_ms| *expires_at_ms > now_ms);
        let named = Some(settings.token_expires_in_seconds).filter(|seconds| *seconds > 0);
        let life_ms = i64::from(named.unwrap_or(UNNAMED_LIFE_SECONDS)) * 1_000;
        let answer = TokenAnswer {
            access_token: &token,
            token_type: "bearer",
            expires_in: named,
            scope: Some(settings.token_scope.as_str()).filter(|scope| !scope.is_empty()),
        };
        let reply = Reply::json(200, &answer).with("cache-control", "no-store");
        self.expires_at_ms.insert(token, now_ms.saturating_add(life_ms));
        reply
    }

    /// Takes back every token that is good now, and says how many there were.
    pub fn revoke_all(&mut self) -> usize {
        let count = self.expires_at_ms.len();
        self.expires_at_ms.clear();
        count
    }

    /// 401 unless the request carries a token that is good now.
    pub fn check(&self, request: &Request, now_ms: i64) -> Result<(), Problem> {
        let header =
            request.header("authorization").and_then(|value| after_scheme(value, "bearer"));
        let Some(token) = header else {
            let message = "No authentication bearer token specified in authorization header.";
            return Err(Problem::new(401, "authentication.required", message));
        };
        match self.expires_at_ms.get(token) {
            Some(expires_at_ms) if *expires_at_ms > now_ms => Ok(()),
            _ => Err(Problem::of_status(401)),
        }
    }
}

/// Whether a `Content-Type` value names `media_type`, whatever its parameters.
pub(super) fn media_type_is(value: &str, media_type: &str) -> bool {
    value.split(';').next().is_some_and(|named| named.trim().eq_ignore_ascii_case(media_type))
}

fn after_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (named, rest) = value.split_once(' ')?;
    named.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn basic_credentials(request: &Request) -> Option<(String, String)> {
    let encoded = after_scheme(request.header("authorization")?, "basic")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
