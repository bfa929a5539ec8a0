//! Trouble on request: a list of rules, the first that matches a call decides it.
//!
//! Draws come from a seeded generator that starts anew with every list, so that the same seed,
//! rules and order of calls give the same trouble.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::core::{Call, Endpoint};
use super::wire::{Delivery, Ending, Problem, Reply};
use super::{oauth, wire};

/// One rule. As JSON:
/// `{"endpoint":"upload","times":3,"rate":1.0,"do":{"status":429,"retry_after":"2"}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The calls it looks at.
    pub endpoint: Endpoint,
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

/// What happens to a call. At least one field is set; `cut` stands without `status`.
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
}

/// When the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// The request was read and nothing came of it.
    Before,
    /// The request took effect.
    After,
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
    rule: usize,
    problem: &'static str,
}

/// What a fault rule makes of one call.
pub(super) struct Strike {
    pub latency_ms: u64,
    pub action: FaultAction,
}

/// The rules in force.
pub(super) struct Faults {
    rules: Vec<FaultRule>,
    seed: u64,
    draws: StdRng,
}

fn always() -> f64 {
    1.0
}

impl FaultRule {
    /// Strikes every call of `endpoint`, without end; narrow it with `times`, `skip`, `rate`.
    pub fn new(endpoint: Endpoint, action: FaultAction) -> Self {
        FaultRule { endpoint, skip: 0, times: None, rate: always(), action }
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

    fn problem(&self) -> Option<&'static str> {
        let action = &self.action;
        let answer_set = action.effect
            || action.body.is_some()
            || action.retry_after.is_some()
            || action.retry_after_date_seconds.is_some();
        let range_is_empty =
            matches!(action.latency_ms, Some(Latency::Range([low, high])) if low > high);
        if !(0.0..=1.0).contains(&self.rate) {
            Some("rate must be from 0 to 1")
        } else if *action == FaultAction::default() {
            Some("do is empty")
        } else if action.status.is_some_and(|status| !(200..=599).contains(&status)) {
            Some("status must be from 200 to 599")
        } else if action.status.is_none() && answer_set {
            Some("effect, body and retry_after need a status")
        } else if action.cut.is_some() && (action.status.is_some() || action.stall_ms.is_some()) {
            Some("cut goes with neither status nor stall_ms")
        } else if action.retry_after.is_some() && action.retry_after_date_seconds.is_some() {
            Some("retry_after is given twice")
        } else if !action.retry_after.as_deref().is_none_or(is_header_value) {
            Some("retry_after must be printable ASCII")
        } else if range_is_empty {
            Some("latency_ms must be [low, high]")
        } else {
            None
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

    /// With `Retry-After`, sent as it stands here.
    pub fn retry_after(self, value: &str) -> Self {
        FaultAction { retry_after: Some(value.to_owned()), ..self }
    }

    /// Whether the call does what was asked.
    pub(super) fn takes_effect(&self) -> bool {
        match self.cut {
            Some(cut) => cut == Cut::After,
            None => self.status.is_none() || self.effect,
        }
    }

    /// The answer that replaces the sandbox's own; `None` where there is no status.
    fn answer(&self, call: &Call<'_>) -> Option<Reply> {
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
}

impl Strike {
    /// What the client gets. `own` is the sandbox's own answer, where the call took effect.
    pub fn reply(self, own: Option<Reply>, call: &Call<'_>) -> Reply {
        let Strike { latency_ms, action } = self;
        let ending = match (action.cut, action.stall_ms) {
            (Some(Cut::Before), _) => Ending::CutBeforeEffect,
            (Some(Cut::After), _) => Ending::CutAfterEffect,
            (None, Some(stall_ms)) => Ending::StalledBody { stall_ms },
            (None, None) => Ending::Whole,
        };
        // Without status and effect there is a cut, and nobody reads the placeholder.
        let answer = action.answer(call).or(own).unwrap_or_else(|| Reply::new(500));
        Reply { fault: Delivery { latency_ms, ending }, ..answer }
    }
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Faults { rules: Vec::new(), seed, draws: StdRng::seed_from_u64(seed) }
    }

    /// Puts `rules` in the place of those in force and starts the draws anew.
    pub fn set(&mut self, rules: Vec<FaultRule>) -> Result<(), FaultError> {
        let mut problems = rules.iter().enumerate();
        let refused =
            problems.find_map(|(rule, r)| r.problem().map(|problem| FaultError { rule, problem }));
        if let Some(error) = refused {
            return Err(error);
        }
        *self = Faults { rules, ..Faults::new(self.seed) };
        Ok(())
    }

    /// The rules in force, `skip` and `times` counted down.
    pub fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    /// Decides one call. A rule whose draw spares the call leaves it to the next rule.
    pub fn draw(&mut self, endpoint: Endpoint) -> Option<Strike> {
        let Faults { rules, draws, .. } = self;
        for rule in rules.iter_mut().filter(|rule| rule.endpoint == endpoint) {
            if rule.times == Some(0) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if rule.rate < 1.0 && !draws.random_bool(rule.rate) {
                continue;
            }
            rule.times = rule.times.map(|times| times - 1);
            let latency_ms = match rule.action.latency_ms {
                None => 0,
                Some(Latency::Fixed(latency_ms)) => latency_ms,
                Some(Latency::Range([low, high])) => draws.random_range(low..=high),
            };
            return Some(Strike { latency_ms, action: rule.action.clone() });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storm(seed: u64) -> Vec<Option<(u64, Option<u16>)>> {
        let mut faults = Faults::new(seed);
        let slow = FaultAction::latency(Latency::Range([1, 1_000]));
        let rules = vec![
            FaultRule::new(Endpoint::Upload, FaultAction::status(503)).rate(0.3),
            FaultRule::new(Endpoint::Upload, slow).rate(0.5),
        ];
        faults.set(rules).expect("the rules are sound");
        let draw = |_| faults.draw(Endpoint::Upload).map(|s| (s.latency_ms, s.action.status));
        (0..200).map(draw).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_sequence() {
        assert_eq!(storm(7), storm(7));
        assert_ne!(storm(7), storm(8));
        let struck = storm(7).iter().filter(|s| matches!(s, Some((_, Some(503))))).count();
        assert!((40..80).contains(&struck), "30 % of 200 calls, got {struck}");
    }

    #[test]
    fn the_first_rule_that_matches_decides_until_it_is_used_up() {
        let mut faults = Faults::new(1);
        let rule = |status| FaultRule::new(Endpoint::Delete, FaultAction::status(status));
        faults.set(vec![rule(429).times(2).skip(1), rule(503).times(1)]).expect("sound rules");
        let mut status = || faults.draw(Endpoint::Delete).and_then(|s| s.action.status);
        assert_eq!(status(), Some(503), "the first rule lets one pass, the second takes it");
        assert_eq!([status(), status(), status()], [Some(429), Some(429), None]);
        assert!(faults.draw(Endpoint::Post).is_none());
    }

    #[test]
    fn unsound_rules_are_refused_and_leave_those_in_force() {
        let mut faults = Faults::new(1);
        let sound = FaultRule::new(Endpoint::Post, FaultAction::cut(Cut::After));
        faults.set(vec![sound.clone()]).expect("a sound rule");
        let both = FaultAction { cut: Some(Cut::Before), ..FaultAction::status(500) };
        let empty = FaultAction::default();
        for action in [both, empty, FaultAction::status(99)] {
            let rules = vec![sound.clone(), FaultRule::new(Endpoint::Post, action)];
            assert_eq!(faults.set(rules).map_err(|error| error.rule), Err(1));
        }
        assert!(faults.set(vec![sound.clone().rate(1.5)]).is_err());
        assert_eq!(faults.rules(), [sound]);
    }
}
