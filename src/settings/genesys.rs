//! Section `genesys`: the organisation behind the gateway, and the pace of calls to it.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use super::check::Check;
use super::error::route_names;
use super::parse;
use crate::domain::RouteName;

/// Section `genesys`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesys {
    /// The way into Genesys; there is no default.
    #[serde(deserialize_with = "route")]
    pub route: Option<RouteName>,
    /// The region's domain, without `login.` or `api.`.
    pub domain: String,
    /// Replaces `https://login.{domain}`.
    #[serde(deserialize_with = "parse::optional")]
    pub login_url: Option<String>,
    /// Replaces `https://api.{domain}`.
    #[serde(deserialize_with = "parse::optional")]
    pub api_url: Option<String>,
    /// Time for a whole call.
    pub timeout_seconds: u64,
    /// Time for host look-up, connection and TLS handshake, each.
    pub connect_timeout_seconds: u64,
    /// Connections open at a time, all calls together.
    pub connections_max: usize,
    /// Uploads in flight.
    pub uploads_max: usize,
    /// Message posts in flight.
    pub posts_max: usize,
    /// What only the route `media-api` knows.
    pub media_api: MediaApi,
    /// What only the route `open-messaging` knows.
    pub open_messaging: OpenMessaging,
}

/// Section `genesys.media_api`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaApi {
    /// How the clip travels in the upload call.
    #[serde(deserialize_with = "parse::text")]
    pub upload_body: UploadBody,
}

/// Section `genesys.open_messaging`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenMessaging {
    /// The id of the Open Messaging integration.
    pub integration_id: String,
    /// How long the clip is served after the post.
    pub serve_seconds: u64,
    /// Whether each message is read back, to see whether Genesys kept its audio.
    pub check_audio: bool,
    /// How long a reply of an agent waits for its guest.
    pub replies_seconds: u64,
    /// Where the served clips lie.
    pub files_dir: PathBuf,
}

parse::words! {
    /// How the clip travels in the upload call (media-api contract, "Upload").
    UploadBody {
        /// The clip is the body.
        Raw = "raw",
        /// The clip is the one part `file` of a `multipart/form-data` body.
        Multipart = "multipart",
    }
}

impl Genesys {
    /// Base URL of the login host, without a slash at its end.
    pub fn login_url(&self) -> String {
        base_url(self.login_url.as_deref(), "login", &self.domain)
    }

    /// Base URL of the API host, without a slash at its end.
    pub fn api_url(&self) -> String {
        base_url(self.api_url.as_deref(), "api", &self.domain)
    }

    pub(super) fn check(&self, check: &mut Check) {
        if !is_host(&self.domain) {
            check.problem(
                "genesys.domain",
                format!("is {:?}, which is not a domain such as mypurecloud.com", self.domain),
            );
        }
        check_url(check, "genesys.login_url", self.login_url.as_deref());
        check_url(check, "genesys.api_url", self.api_url.as_deref());
        check.range("genesys.timeout_seconds", self.timeout_seconds, 1..=300);
        check.range("genesys.connect_timeout_seconds", self.connect_timeout_seconds, 1..=300);
        check.ordered(
            ("genesys.connect_timeout_seconds", self.connect_timeout_seconds),
            ("genesys.timeout_seconds", self.timeout_seconds),
        );
        check.range("genesys.connections_max", self.connections_max, 1..=4_096);
        check.range("genesys.uploads_max", self.uploads_max, 1..=1_024);
        check.range("genesys.posts_max", self.posts_max, 1..=1_024);
        let is_rehearsal = self.api_url.is_some();
        self.open_messaging.check(check, self.route, is_rehearsal);
    }
}

/// Below this only rehearsals make sense, in front of a host that takes Genesys' place.
const SERVE_SECONDS_MIN: u64 = 60;

impl OpenMessaging {
    fn check(&self, check: &mut Check, route: Option<RouteName>, is_rehearsal: bool) {
        const SERVE: &str = "genesys.open_messaging.serve_seconds";
        let seconds_min = if is_rehearsal { 1 } else { SERVE_SECONDS_MIN };
        check.range(SERVE, self.serve_seconds, seconds_min..=31_536_000);
        if self.serve_seconds < SERVE_SECONDS_MIN && route == Some(RouteName::OpenMessaging) {
            let served = self.serve_seconds;
            let problem = format!(
                "is {served}, below {SERVE_SECONDS_MIN}: Genesys may not have fetched the clip yet"
            );
            check.warning(SERVE, problem);
        }
        const REPLIES: &str = "genesys.open_messaging.replies_seconds";
        check.range(REPLIES, self.replies_seconds, 60..=2_592_000);
        let id = &self.integration_id;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !id.bytes().all(plain) || id.len() > 64 {
            let problem = format!("is {id:?}, which is not an id such as Genesys gives");
            check.problem("genesys.open_messaging.integration_id", problem);
        } else if id.is_empty() && route == Some(RouteName::OpenMessaging) {
            let problem = "is empty; the route open-messaging posts to an integration";
            check.problem("genesys.open_messaging.integration_id", problem);
        }
        if self.files_dir.as_os_str().is_empty() {
            let problem = "is empty; it must name a directory";
            check.problem("genesys.open_messaging.files_dir", problem);
        }
    }
}

fn route<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RouteName>, D::Error> {
    let Some(name) = parse::optional(deserializer)? else { return Ok(None) };
    match RouteName::parse(&name) {
        Some(route) => Ok(Some(route)),
        None => {
            let message = format!("no such route; the routes are: {}", route_names());
            Err(serde::de::Error::custom(message))
        }
    }
}

fn base_url(replacement: Option<&str>, host: &str, domain: &str) -> String {
    match replacement {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("https://{host}.{domain}"),
    }
}

pub(super) fn check_url(check: &mut Check, key: &'static str, url: Option<&str>) {
    let Some(url) = url else { return };
    // A user name or password in the URL is refused too, so the URL is not repeated then.
    if url.contains('@') {
        check.problem(key, "holds a user name or a password, which a base URL must not");
        return;
    }
    let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => {
            check.problem(
                key,
                format!("is {url:?}, which starts with neither http:// nor https://"),
            );
            return;
        }
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host_of(authority).filter(|host| is_host(host) || is_ipv6(host));
    let plain_path = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    match host {
        Some(host) if plain_path => {
            if !secure && !is_loopback(host) {
                check.warning(key, format!("is {url:?}: credentials and audio travel unencrypted"));
            }
        }
        _ => check.problem(
            key,
            format!("is {url:?}, which is not a base URL such as https://api.mypurecloud.com"),
        ),
    }
}

/// The host of `host` or `host:port`; `None` where the port is no port.
fn host_of(authority: &str) -> Option<&str> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => port.parse::<u16>().ok().map(|_| host),
        _ => Some(authority),
    }
}

/// Letters, digits, dots and hyphens, as host names and IPv4 addresses have (RFC 1123).
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn is_ipv6(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}

/// Whether a host of a URL is this machine, and what goes there needs no TLS.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
