//! The real transport: awc over rustls, with a deadline on every phase.
//!
//! awc's ways that matter here (measured): its client is bound to one thread; its own timeout
//! covers only the time until the head of the answer; a body that stalls hangs for ever unless it
//! has a timeout of its own; a keep-alive connection that the server closes during the request
//! shows as `Connect(Disconnected)` although the server may have had the request; an answer whose
//! body is not read costs a connection; a body that breaks off where a piece of it ends is whole to
//! it, whatever length was told.

use std::sync::Arc;
use std::time::Duration;

use awc::Connector;
use awc::error::{ConnectError, SendRequestError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::pieces::Pieces;
use super::transport::{
    ANSWER_BYTES_MAX, Answer, Call, Called, Method, Transport, not_sent, parse_rate,
    parse_retry_after, unknown,
};
use crate::clock::Clock;
use crate::telemetry::{CallOutcome, Metrics};
use tokio::time::Instant;

/// Idle connections are closed after this, well before usual servers do, so that a request rarely
/// meets a connection that is just being closed.
const IDLE_KEPT: Duration = Duration::from_secs(5);

/// The status whose answers have no body.
const NO_CONTENT: u16 = 204;

/// Deadlines and limits of the client.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Look-up, TCP and TLS together, each at most this.
    pub connect_timeout: Duration,
    /// The whole call, from the wait for a connection to the last byte of the answer.
    pub call_timeout: Duration,
    /// Connections at once, all hosts together.
    pub connections_max: usize,
}

/// Makes calls over the network. Build it on the thread that will use it.
pub struct HttpTransport {
    client: awc::Client,
    limits: HttpLimits,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl HttpTransport {
    /// A client with its own connection pool, bound to this thread.
    pub fn new(
        limits: HttpLimits,
        tls: Arc<rustls::ClientConfig>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> HttpTransport {
        let connector = Connector::new()
            .rustls_0_23(tls)
            .timeout(limits.connect_timeout)
            .handshake_timeout(limits.connect_timeout)
            .conn_keep_alive(IDLE_KEPT)
            .limit(limits.connections_max);
        let client = awc::Client::builder()
            .connector(connector)
            .timeout(limits.call_timeout)
            .max_http_version(awc::http::Version::HTTP_11)
            .disable_redirects()
            .add_default_header(("user-agent", concat!("voicepost/", env!("CARGO_PKG_VERSION"))))
            .finish();
        HttpTransport { client, limits, clock, metrics }
    }

    async fn exchange(&self, call: Call) -> Called {
        let mut request = match call.method {
            Method::Get => self.client.get(&call.url),
            Method::Post => self.client.post(&call.url),
            Method::Delete => self.client.delete(&call.url),
        };
        for (name, value) in &call.headers {
            request = request.insert_header((*name, value.as_str()));
        }
        let mut response = match request.send_body(Pieces(call.body)).await {
            Ok(response) => response.timeout(self.limits.call_timeout),
            Err(error) => return classify(&error),
        };
        let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
        let retry_after_ms = retry_after.and_then(|v| parse_retry_after(v, self.clock.now()));
        let rate = parse_rate(|name| response.headers().get(name)?.to_str().ok());
        let status = response.status().as_u16();
        let length = response.headers().get("content-length").and_then(|v| v.to_str().ok());
        let length = length.and_then(|v| v.parse::<usize>().ok());
        let length = if status == NO_CONTENT { Some(0) } else { length };
        match response.body().limit(ANSWER_BYTES_MAX).await {
            Ok(body) => Called::Answered(Answer {
                status,
                retry_after_ms,
                rate,
                may_be_cut_off: length != Some(body.len()),
                body,
            }),
            Err(error) => unknown(format!("the body of the answer ({status}) was lost: {error}")),
        }
    }
}

impl Transport for HttpTransport {
    fn call(&self, call: Call) -> LocalBoxFuture<'_, Called> {
        async move {
            let seconds = self.limits.call_timeout.as_secs();
            let name = call.name;
            let started = Instant::now();
            let whole = tokio::time::timeout(self.limits.call_timeout, self.exchange(call));
            let called = whole
                .await
                .unwrap_or_else(|_| unknown(format!("no whole answer within {seconds} s")));
            self.metrics.called(name, outcome(&called), started.elapsed());
            called
        }
        .boxed_local()
    }
}

fn outcome(called: &Called) -> CallOutcome {
    match called {
        Called::Answered(answer) if answer.is_success() => CallOutcome::Done,
        Called::Answered(_) => CallOutcome::Refused,
        Called::NotSent(_) => CallOutcome::NotSent,
        Called::Unknown(_) => CallOutcome::Unknown,
    }
}

/// Sorts awc's errors into "certainly not sent" and "may have arrived".
fn classify(error: &SendRequestError) -> Called {
    let detail = match error {
        SendRequestError::Url(_) | SendRequestError::Http(_) => {
            format!("the request cannot be made: {error}")
        }
        SendRequestError::Connect(ConnectError::Disconnected) => {
            "the connection was closed before the answer".to_owned()
        }
        SendRequestError::Connect(error) => format!("cannot connect: {error}"),
        other => other.to_string(),
    };
    if may_have_arrived(error) { unknown(detail) } else { not_sent(detail) }
}

/// Whether a request that ended so may have reached whoever it was sent to.
pub fn may_have_arrived(error: &SendRequestError) -> bool {
    match error {
        SendRequestError::Url(_) | SendRequestError::Http(_) => false,
        // Also the face of a reused connection that broke with the request on it.
        SendRequestError::Connect(error) => matches!(error, ConnectError::Disconnected),
        _ => true,
    }
}
