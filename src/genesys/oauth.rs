//! The client-credentials exchange (RFC 6749 §4.4; media-api contract, "Hosts and sign-in").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::transport::{Call, CallName, Called, Method, Transport};
use crate::settings::{Credentials, Secret};

/// What the login host says to our credentials.
pub enum Exchange {
    /// A token, and how many seconds it lives where the answer says so.
    Granted {
        /// The access token.
        token: Secret,
        /// `expires_in`.
        expires_in_seconds: Option<u64>,
        /// `scope`, where the answer names it.
        scope: Option<String>,
    },
    /// 400 or 401: the credentials are wrong.
    BadCredentials,
    /// 403: the client lacks scopes.
    MissingScopes,
    /// Nobody there, or trouble on the other side; worth trying again.
    Unavailable {
        /// What happened, without secrets.
        detail: String,
        /// What `Retry-After` asks for.
        retry_after_ms: u64,
    },
}

/// Reads the answer of a granted exchange; the error says what is wrong with it. A life that makes
/// no sense counts as not told.
fn granted(body: &[u8]) -> Result<Exchange, &'static str> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| "is no JSON")?;
    let token = answer["access_token"].as_str().ok_or("has no access_token")?;
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has an access_token that cannot be sent in a header");
    }
    let told = &answer["expires_in"];
    let number = || told.as_str()?.trim().parse::<u64>().ok();
    let expires_in_seconds =
        told.as_u64().or_else(number).filter(|seconds| *seconds <= YEAR_SECONDS);
    let scope = answer["scope"].as_str().map(str::to_owned);
    Ok(Exchange::Granted { token: Secret::new(token), expires_in_seconds, scope })
}

/// No token is believed to live longer.
const YEAR_SECONDS: u64 = 31_536_000;

/// Exchanges the credentials for a token. One call, no retry.
pub async fn exchange(
    transport: &dyn Transport,
    login_url: &str,
    credentials: &Credentials,
) -> Exchange {
    let secret = credentials.client_secret.current();
    let pair = format!("{}:{}", credentials.client_id, secret.expose());
    let call = Call {
        name: CallName::Token,
        method: Method::Post,
        url: format!("{login_url}/oauth/token"),
        headers: vec![
            ("authorization", format!("Basic {}", STANDARD.encode(pair))),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ],
        due_at: None,
        body: Bytes::from_static(b"grant_type=client_credentials"),
    };
    let answer = match transport.call(call).await {
        Called::Answered(answer) => answer,
        Called::NotSent(failure) | Called::Unknown(failure) => {
            return Exchange::Unavailable { detail: failure.detail, retry_after_ms: 0 };
        }
    };
    match answer.status {
        200..=299 => granted(&answer.body).unwrap_or_else(|wrong| Exchange::Unavailable {
            detail: format!("the token answer {wrong}"),
            retry_after_ms: 0,
        }),
        400 | 401 => Exchange::BadCredentials,
        403 => Exchange::MissingScopes,
        status => Exchange::Unavailable {
            detail: format!("the login host answered {status}"),
            retry_after_ms: answer.retry_after_ms.unwrap_or(0),
        },
    }
}
