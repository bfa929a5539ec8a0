//! Fault rules as tests and rehearsals write them: which calls, how often, what happens to them.

use serde::{Deserialize, Serialize};

use super::core::{Call, Endpoint};
use super::wire::{Problem, Reply};
use super::{oauth, wire};

/// One rule. As JSON:
/// `{"endpoint":"upload","times":3,"rate":1.0,"do":{"status":429,"retry_after":"2"}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The calls it looks at; `"any"` for all of them.
    pub endpoint: Target,
    /// Lets this many calls pass first.
    #[serde(default)]
    pub skip: u32,
    /// Strikes this often, then never again; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Share of calls it strikes, 0 to 1.
    #[serde(default = "always")]
    pub rate: f64,
    /// What happens to a call it strikes.
    #[serde(rename = "do")]
    pub action: FaultAction,
}

/// Which calls a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// All of them, token exchanges included.
    Any,
    /// Those of one endpoint.
    #[serde(untagged)]
    One(Endpoint),
}

impl From<Endpoint> for Target {
    fn from(endpoint: Endpoint) -> Target {
        Target::One(endpoint)
    }
}

/// What happens to a call. At least one field is set; `cut` stands without `status`,
/// unless it is within the answer; `outage` and `read_bytes_per_second` stand alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultAction {
    /// Pause before the answer or the cut. The effect comes before the pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Latency>,
    /// Answers with this status instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// With `status`: the call takes effect all the same, and its answer is lost.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub effect: bool,
    /// With `status`: `Retry-After`, sent as it stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// With `status`: `Retry-After` as a date this many seconds ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_date_seconds: Option<u32>,
    /// With `status`: the body, sent as it stands here and called JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Cuts the connection without a byte of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// Sends the headers, and the body only after this pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_ms: Option<u64>,
    /// Sends the body of the answer in drips, this many bytes a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drip_bytes_per_second: Option<u32>,
    /// Reads the body of the request no faster than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes_per_second: Option<u32>,
    /// Closes the connection after the answer, so that the next call needs a new one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub close: bool,
    /// Takes back every token first; the call itself is then refused with 401.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub revoke_tokens: bool,
    /// Is not there for the call: nothing happens, and no answer comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outage: Option<Outage>,
}

/// When the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// The request was read and nothing came of it.
    Before,
    /// The request took effect.
    After,
    /// The request took effect, and half the body of the answer has come.
    Within,
}

/// How a service that is down meets a call. Connections that are not even accepted are
/// `SandboxServer::close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outage {
    /// The connection is reset once the head is there; the body is not read.
    Refuse,
    /// The whole request is read, then the connection is reset.
    Reset,
    /// Nothing comes, until other rules are set; then the connection is reset.
    Hang,
}

/// A pause: `200`, or drawn evenly from `[100, 300]`, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Latency {
    /// Always the same.
    Fixed(u64),
    /// Drawn anew for each call.
    Range([u64; 2]),
}

/// Why a list of rules is refused; `rule` counts from 0.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("fault rule {rule}: {problem}")]
pub struct FaultError {
    pub(super) rule: usize,
    pub(super) problem: &'static str,
}

fn always() -> f64 {
    1.0
}

impl FaultRule {
    /// Strikes every call of `endpoint`, without end; narrow it with `times`, `skip`, `rate`.
    pub fn new(endpoint: impl Into<Target>, action: FaultAction) -> Self {
        FaultRule { endpoint: endpoint.into(), skip: 0, times: None, rate: always(), action }
    }

    /// Strikes `times` calls, then never again.
    pub fn times(self, times: u32) -> Self {
        FaultRule { times: Some(times), ..self }
    }

    /// Lets the first `skip` calls pass.
    pub fn skip(self, skip: u32) -> Self {
        FaultRule { skip, ..self }
    }

    /// Strikes this share of calls, 0 to 1.
    pub fn rate(self, rate: f64) -> Self {
        FaultRule { rate, ..self }
    }

    /// Whether it looks at calls of `endpoint`.
    pub(super) fn covers(&self, endpoint: Endpoint) -> bool {
        matches!(self.endpoint, Target::Any) || self.endpoint == Target::One(endpoint)
    }

    /// Why it makes no sense, if so.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let action = &self.action;
        if !(0.0..=1.0).contains(&self.rate) {
            Some("rate must be from 0 to 1")
        } else if *action == FaultAction::default() {
            Some("do is empty")
        } else {
            action.problem_of_answer().or_else(|| action.problem_of_delivery())
        }
    }
}

fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

impl FaultAction {
    /// Answers with `status` and does nothing.
    pub fn status(status: u16) -> Self {
        FaultAction { status: Some(status), ..FaultAction::default() }
    }

    /// Does what was asked and answers with `status` all the same.
    pub fn effect_then_status(status: u16) -> Self {
        FaultAction { effect: true, ..FaultAction::status(status) }
    }

    /// Cuts the connection.
    pub fn cut(cut: Cut) -> Self {
        FaultAction { cut: Some(cut), ..FaultAction::default() }
    }

    /// Answers late.
    pub fn latency(latency: Latency) -> Self {
        FaultAction { latency_ms: Some(latency), ..FaultAction::default() }
    }

    /// Is not there.
    pub fn outage(outage: Outage) -> Self {
        FaultAction { outage: Some(outage), ..FaultAction::default() }
    }

    /// With `Retry-After`, sent as it stands here.
    pub fn retry_after(self, value: &str) -> Self {
        FaultAction { retry_after: Some(value.to_owned()), ..self }
    }

    /// Whether it is decided when only the head of a request is there.
    pub(super) fn strikes_at_the_head(&self) -> bool {
        self.outage == Some(Outage::Refuse) || self.read_bytes_per_second.is_some()
    }

    /// Whether the call does what was asked.
    pub(super) fn takes_effect(&self) -> bool {
        match self.cut {
            _ if self.outage.is_some() => false,
            Some(cut) => cut != Cut::Before,
            None => self.status.is_none() || self.effect,
        }
    }

    /// The answer that replaces the sandbox's own; `None` where there is no status.
    pub(super) fn answer(&self, call: &Call<'_>) -> Option<Reply> {
        let status = self.status?;
        let mut reply = match (&self.body, call.endpoint) {
            (Some(body), _) => Reply::new(status)
                .with("content-type", "application/json")
                .with_body(body.clone().into_bytes()),
            (None, Endpoint::Token) => {
                oauth::refusal(status, "injected_fault", "answered on request of a fault rule")
            }
            (None, _) => Problem::of_status(status).into_reply(&call.correlation_id),
        };
        if let Some(value) = &self.retry_after {
            reply = reply.with("retry-after", value.as_str());
        }
        if let Some(seconds) = self.retry_after_date_seconds {
            let at_ms = call.now_ms.saturating_add(i64::from(seconds) * 1_000);
            reply = reply.with("retry-after", wire::http_date(at_ms));
        }
        Some(reply)
    }

    fn problem_of_answer(&self) -> Option<&'static str> {
        let answer_set = self.effect
            || self.body.is_some()
            || self.retry_after.is_some()
            || self.retry_after_date_seconds.is_some();
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            Some("status must be from 200 to 599")
        } else if self.status.is_none() && answer_set {
            Some("effect, body and retry_after need a status")
        } else if self.retry_after.is_some() && self.retry_after_date_seconds.is_some() {
            Some("retry_after is given twice")
        } else if !self.retry_after.as_deref().is_none_or(is_header_value) {
            Some("retry_after must be printable ASCII")
        } else {
            None
        }
    }

    fn problem_of_delivery(&self) -> Option<&'static str> {
        let slowed = self.stall_ms.is_some() || self.drip_bytes_per_second.is_some();
        let alone = FaultAction {
            outage: self.outage,
            read_bytes_per_second: self.read_bytes_per_second,
            ..FaultAction::default()
        };
        let stands_alone = self.outage.is_some() || self.read_bytes_per_second.is_some();
        let two_alone = self.outage.is_some() && self.read_bytes_per_second.is_some();
        let rates = [self.drip_bytes_per_second, self.read_bytes_per_second];
        if matches!(self.latency_ms, Some(Latency::Range([low, high])) if low > high) {
            Some("latency_ms must be [low, high]")
        } else if self.cut.is_some_and(|cut| cut != Cut::Within) && self.status.is_some() {
            Some("a cut before the answer goes without status")
        } else if self.cut.is_some() && (slowed || self.close) {
            Some("cut goes with neither stall_ms, drip_bytes_per_second nor close")
        } else if self.stall_ms.is_some() && self.drip_bytes_per_second.is_some() {
            Some("stall_ms and drip_bytes_per_second are two ways to be slow")
        } else if stands_alone && (*self != alone || two_alone) {
            Some("outage and read_bytes_per_second stand alone")
        } else if rates.contains(&Some(0)) {
            Some("a rate in bytes is at least 1")
        } else {
            None
        }
    }
}
