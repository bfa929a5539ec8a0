//! Whether hosts can be reached, and whether their clocks agree with ours.

use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::Uri;
use awc::{Client, Connector, SendClientRequest};
use serde_json::Value;

use super::transport::ANSWER_BYTES_MAX;
use crate::clock::Clock;
use crate::domain::{Code, Finding};
use crate::settings::is_loopback;

/// How far clocks may be apart. Signed addresses and tokens end at times.
const SKEW_SECONDS_MAX: u64 = 60;

/// Looks at hosts. Bound to the thread it was made on.
pub struct Reach {
    client: Client,
    clock: Clock,
}

/// What a host answered.
struct Answered {
    status: u16,
    date: Option<String>,
    body: Value,
}

impl Reach {
    /// With the gateway's own way of making connections.
    pub fn new(tls: Arc<rustls::ClientConfig>, timeout: Duration, clock: Clock) -> Reach {
        let connector =
            Connector::new().rustls_0_23(tls).timeout(timeout).handshake_timeout(timeout);
        let builder = Client::builder().connector(connector).timeout(timeout).disable_redirects();
        Reach { client: builder.finish(), clock }
    }

    /// The host of a base URL: its name, its certificate, its clock. `key` is the setting that
    /// names it.
    pub async fn host(&self, name: &str, key: &str, base_url: &str) -> Vec<Finding> {
        let address = look_up(name, key, base_url);
        let resolved = address.fix.is_none();
        let mut findings = vec![address];
        if resolved {
            let answered = self.get(&format!("{base_url}/")).await;
            findings.push(connection(name, base_url, answered.as_ref()));
            if let Ok(answered) = answered {
                findings.push(self.skew(name, answered.date.as_deref()));
            }
        }
        findings
    }

    /// Whether this gateway answers at the address under which clips are fetched: it alone knows
    /// that `ended`, the last segment of an address, has ended. Without one any gateway will do.
    /// What is seen from here need not be what Genesys sees.
    pub async fn media_host(&self, base_url: &str, ended: Option<&str>) -> Vec<Finding> {
        const KEY: &str = "public.base_url";
        let base_url = base_url.trim_end_matches('/');
        let address = look_up("media host", KEY, base_url);
        if address.fix.is_some() {
            return vec![address];
        }
        let answered = self.get(&format!("{base_url}/media/{}", ended.unwrap_or("doctor"))).await;
        let mut findings = vec![address, media(base_url, ended.is_some(), answered)];
        findings.extend(as_genesys_asks(base_url));
        findings
    }

    /// Whether this gateway takes what Genesys sends to its webhook: an event that nobody is shown,
    /// with this value of `X-Hub-Signature-256`.
    pub async fn webhook(&self, url: &str, event: &'static str, signature: &str) -> Finding {
        let call = self.client.post(url).insert_header(("x-hub-signature-256", signature));
        let call = call.insert_header(("content-type", "application/json"));
        webhook(url, self.read(call.send_body(event)).await)
    }

    async fn get(&self, url: &str) -> Result<Answered, SendRequestError> {
        self.read(self.client.get(url).send()).await
    }

    async fn read(&self, request: SendClientRequest) -> Result<Answered, SendRequestError> {
        let mut response = request.await?;
        let date = response.headers().get("date").and_then(|value| value.to_str().ok());
        let date = date.map(str::to_owned);
        let body = response.body().limit(ANSWER_BYTES_MAX).await.unwrap_or_default();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Answered { status: response.status().as_u16(), date, body })
    }

    fn skew(&self, name: &str, date: Option<&str>) -> Finding {
        let subject = format!("{name}: clock");
        let told = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let Some(told) = told.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()) else {
            return Finding::note(subject, "its answer has no time", "compare with another clock");
        };
        let ours = u64::try_from(self.clock.now().0).unwrap_or_default() / 1_000;
        let apart = told.as_secs().abs_diff(ours);
        if apart <= SKEW_SECONDS_MAX {
            return Finding::fine(subject, format!("{apart} s apart"));
        }
        let detail = format!("{apart} s apart; {SKEW_SECONDS_MAX} s are borne");
        Finding::failing(subject, detail, "set this machine's clock, and keep it set (NTP)")
    }
}

/// What Genesys asks of an address that it is to fetch from and to call, and is not met: HTTPS, on
/// port 443 for webhooks. Here on the machine it is enough to know.
fn as_genesys_asks(base_url: &str) -> Option<Finding> {
    let uri = base_url.parse::<Uri>().ok()?;
    let here = uri.host().is_some_and(is_loopback);
    let told = |subject, detail: String, fix: &str| match here {
        true => Finding::note(subject, detail, fix),
        false => Finding::failing(subject, detail, fix),
    };
    if uri.scheme_str() != Some("https") {
        let fix = "give public.base_url an https:// address";
        return Some(told("media host: TLS", "clips are fetched unencrypted".to_owned(), fix));
    }
    let port = uri.port_u16().filter(|port| *port != 443)?;
    let detail = format!("public.base_url names port {port}; Genesys calls webhooks on 443 only");
    Some(told("media host: port", detail, "let a proxy take it at port 443"))
}

/// Why the gateway's own address was not answered.
fn unanswered(subject: &'static str, url: &str, error: &SendRequestError) -> Finding {
    if let SendRequestError::Connect(ConnectError::Io(error)) = error
        && is_of_tls(error)
    {
        let detail = format!("the certificate at {url} is not one that Genesys trusts: {error}");
        let fix = "serve one of a public authority, for this name, with its whole chain; \
                   tls.ca_file counts for what the gateway calls, not for who calls it";
        return Finding::failing(subject, detail, fix);
    }
    let detail = format!("nobody answers at {url}: {error}");
    let fix = "start the gateway, and let public.base_url lead to it from the internet";
    Finding::failing(subject, detail, fix)
}

/// What the media host's answer says; `is_proof`: it was asked for what only this gateway knows.
fn media(base_url: &str, is_proof: bool, got: Result<Answered, SendRequestError>) -> Finding {
    const SUBJECT: &str = "media host";
    let Answered { status, body, .. } = match got {
        Ok(answered) => answered,
        Err(error) => return unanswered(SUBJECT, base_url, &error),
    };
    let says = |code: Code| body["code"] == code.as_str();
    match (is_proof, status) {
        (true, 410) if says(Code::MediaGone) => {
            let detail = format!("this gateway answers at {base_url}/media, seen from here");
            Finding::fine(SUBJECT, detail)
        }
        (true, 404) if says(Code::RouteNotFound) => {
            let detail = format!(
                "a gateway answers at {base_url}/media, and does not know the addresses of this one"
            );
            let fix = "let public.base_url lead to the listener of this gateway that serves /media \
                       (public.listen, else server.listen), with no path of its own";
            Finding::failing(SUBJECT, detail, fix)
        }
        (false, 404) if says(Code::RouteNotFound) => {
            let detail = format!(
                "a gateway answers at {base_url}/media; whether it is this one cannot be told: \
                 its genesys.open_messaging.files_dir has no key here"
            );
            let fix = "run doctor where the gateway runs, as its user, after its first start";
            Finding::note(SUBJECT, detail, fix)
        }
        _ => {
            let detail = format!("{base_url}/media answers {status}, and it is no gateway");
            let fix = "start the gateway and let the proxy pass /media on to it";
            Finding::failing(SUBJECT, detail, fix)
        }
    }
}

/// What the webhook's answer says.
fn webhook(url: &str, got: Result<Answered, SendRequestError>) -> Finding {
    const SUBJECT: &str = "webhook: call";
    let Answered { status, body, .. } = match got {
        Ok(answered) => answered,
        Err(error) => return unanswered(SUBJECT, url, &error),
    };
    let says = |code: Code| body["code"] == code.as_str();
    match status {
        200 if body["entered"] == false => {
            Finding::fine(SUBJECT, format!("{url} takes what is signed, seen from here"))
        }
        401 if says(Code::Unauthorized) => {
            let detail = format!("the gateway at {url} has another signature secret");
            let fix = "give it the VOICEPOST_WEBHOOK_SECRET that doctor has, and start it anew";
            Finding::failing(SUBJECT, detail, fix)
        }
        404 if says(Code::RouteNotFound) => {
            let detail = format!("the gateway at {url} takes no webhook");
            let fix = "start it on the route open-messaging with VOICEPOST_WEBHOOK_SECRET, and let \
                       public.base_url lead to it with no path of its own";
            Finding::failing(SUBJECT, detail, fix)
        }
        _ => {
            let detail = format!("{url} answers {status}, and it is no gateway");
            let fix = "start the gateway and let the proxy pass /webhooks on to it";
            Finding::failing(SUBJECT, detail, fix)
        }
    }
}

fn look_up(name: &str, key: &str, base_url: &str) -> Finding {
    let subject = format!("{name}: DNS");
    let fix = format!("correct {key}, or this machine's name server");
    let uri = base_url.parse::<Uri>().ok();
    let Some((uri, host)) = uri.as_ref().and_then(|uri| Some((uri, uri.host()?))) else {
        return Finding::failing(subject, format!("{base_url} names no host"), fix);
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    // Blocks: nothing else is at work on this thread.
    match (bare, uri.port_u16().unwrap_or(443)).to_socket_addrs().map(|found| found.count()) {
        Ok(0) => Finding::failing(subject, format!("{host} has no address"), fix),
        Ok(1) => Finding::fine(subject, format!("{host} has one address")),
        Ok(count) => Finding::fine(subject, format!("{host} has {count} addresses")),
        Err(error) => Finding::failing(subject, format!("{host} is not found: {error}"), fix),
    }
}

fn connection(name: &str, base_url: &str, got: Result<&Answered, &SendRequestError>) -> Finding {
    let subject = format!("{name}: connection");
    let secure = base_url.starts_with("https://");
    match got {
        Ok(_) if secure => Finding::fine(subject, "it answers, and its certificate is trusted"),
        Ok(_) => {
            let fix = "use an https:// address; loopback needs none";
            Finding::note(subject, "it answers, without TLS", fix)
        }
        Err(SendRequestError::Connect(ConnectError::Io(error))) if is_of_tls(error) => {
            let fix = "where a proxy inspects what leaves, name its authority in tls.ca_file";
            Finding::failing(subject, format!("TLS fails: {error}"), fix)
        }
        Err(error) => {
            let detail = format!("cannot connect: {error}");
            Finding::failing(subject, detail, "let this machine out to it, port 443")
        }
    }
}

fn is_of_tls(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}
