//! Trouble on request: a list of rules, the first that matches a call decides it.
//!
//! Draws come from a seeded generator that starts anew with every list, so that the same seed,
//! rules and order of calls give the same trouble.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::core::{Call, Endpoint};
use super::rule::{Cut, FaultAction, FaultError, FaultRule, Latency, Outage};
use super::wire::{Delivery, Ending, Reply};

/// What a fault rule makes of one call.
pub(super) struct Strike {
    pub latency_ms: u64,
    pub action: FaultAction,
}

/// When a rule is asked about a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Its head is there.
    Head,
    /// It has been read to its end.
    Whole,
}

/// The rules in force.
pub(super) struct Faults {
    rules: Vec<FaultRule>,
    seed: u64,
    draws: StdRng,
    lists: u64,
}

impl Strike {
    /// What the client gets. `own` is the sandbox's own answer, where the call took effect.
    pub fn reply(self, own: Option<Reply>, call: &Call<'_>) -> Reply {
        let Strike { latency_ms, action } = self;
        let ending = match action {
            FaultAction { outage: Some(Outage::Hang), .. } => Ending::Hang,
            FaultAction { outage: Some(_), .. } => Ending::Reset,
            FaultAction { cut: Some(Cut::Before), .. } => Ending::CutBeforeEffect,
            FaultAction { cut: Some(Cut::After), .. } => Ending::CutAfterEffect,
            FaultAction { cut: Some(Cut::Within), .. } => Ending::CutWithinBody,
            FaultAction { stall_ms: Some(stall_ms), .. } => Ending::StalledBody { stall_ms },
            FaultAction { drip_bytes_per_second: Some(bytes_per_second), .. } => {
                Ending::DrippedBody { bytes_per_second }
            }
            _ => Ending::Whole,
        };
        // Without status and effect no answer is sent, and nobody reads the placeholder.
        let answer = action.answer(call).or(own).unwrap_or_else(|| Reply::new(500));
        Reply { fault: Delivery { latency_ms, ending, close: action.close }, ..answer }
    }
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Faults { rules: Vec::new(), seed, draws: StdRng::seed_from_u64(seed), lists: 0 }
    }

    /// Puts `rules` in the place of those in force and starts the draws anew.
    pub fn set(&mut self, rules: Vec<FaultRule>) -> Result<(), FaultError> {
        let mut problems = rules.iter().enumerate();
        let refused =
            problems.find_map(|(rule, r)| r.problem().map(|problem| FaultError { rule, problem }));
        if let Some(error) = refused {
            return Err(error);
        }
        *self = Faults { rules, lists: self.lists + 1, ..Faults::new(self.seed) };
        Ok(())
    }

    /// Ends all trouble.
    pub fn clear(&mut self) {
        *self = Faults { lists: self.lists + 1, ..Faults::new(self.seed) };
    }

    /// The rules in force, `skip` and `times` counted down.
    pub fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    /// Lists that have been in force; what hangs is let go when it grows.
    pub fn lists(&self) -> u64 {
        self.lists
    }

    /// Decides one call, among the rules that are asked at this moment. A rule whose draw spares
    /// the call leaves it to the next rule.
    pub fn draw(&mut self, endpoint: Endpoint, moment: Moment) -> Option<Strike> {
        let Faults { rules, draws, .. } = self;
        let at_the_head = moment == Moment::Head;
        let asked = rules.iter_mut().filter(|rule| {
            rule.covers(endpoint) && rule.action.strikes_at_the_head() == at_the_head
        });
        for rule in asked {
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
    use super::super::rule::Target;
    use super::*;

    fn storm(seed: u64) -> Vec<Option<(u64, Option<u16>)>> {
        let mut faults = Faults::new(seed);
        let slow = FaultAction::latency(Latency::Range([1, 1_000]));
        let rules = vec![
            FaultRule::new(Endpoint::Upload, FaultAction::status(503)).rate(0.3),
            FaultRule::new(Endpoint::Upload, slow).rate(0.5),
        ];
        faults.set(rules).expect("the rules are sound");
        let draw = |_| {
            faults.draw(Endpoint::Upload, Moment::Whole).map(|s| (s.latency_ms, s.action.status))
        };
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
        let mut status =
            || faults.draw(Endpoint::Delete, Moment::Whole).and_then(|s| s.action.status);
        assert_eq!(status(), Some(503), "the first rule lets one pass, the second takes it");
        assert_eq!([status(), status(), status()], [Some(429), Some(429), None]);
        assert!(faults.draw(Endpoint::Post, Moment::Whole).is_none());
    }

    #[test]
    fn unsound_rules_are_refused_and_leave_those_in_force() {
        let mut faults = Faults::new(1);
        let sound = FaultRule::new(Endpoint::Post, FaultAction::cut(Cut::After));
        faults.set(vec![sound.clone()]).expect("a sound rule");
        let both = FaultAction { cut: Some(Cut::Before), ..FaultAction::status(500) };
        let empty = FaultAction::default();
        let late_outage = FaultAction { stall_ms: Some(1), ..FaultAction::outage(Outage::Hang) };
        let stopped = FaultAction { drip_bytes_per_second: Some(0), ..FaultAction::default() };
        for action in [both, empty, FaultAction::status(99), late_outage, stopped] {
            let rules = vec![sound.clone(), FaultRule::new(Endpoint::Post, action)];
            assert_eq!(faults.set(rules).map_err(|error| error.rule), Err(1));
        }
        assert!(faults.set(vec![sound.clone().rate(1.5)]).is_err());
        assert_eq!(faults.rules(), [sound]);
    }

    #[test]
    fn a_rule_for_any_endpoint_is_asked_at_its_own_moment() {
        let mut faults = Faults::new(1);
        let refuse = FaultRule::new(Target::Any, FaultAction::outage(Outage::Refuse)).times(2);
        let reset = FaultRule::new(Target::Any, FaultAction::outage(Outage::Reset));
        faults.set(vec![reset, refuse]).expect("sound rules");
        let mut outage = |endpoint, moment| {
            faults.draw(endpoint, moment).and_then(|strike| strike.action.outage)
        };
        assert_eq!(outage(Endpoint::Token, Moment::Head), Some(Outage::Refuse));
        assert_eq!(outage(Endpoint::Post, Moment::Whole), Some(Outage::Reset));
        assert_eq!(outage(Endpoint::Delete, Moment::Head), Some(Outage::Refuse));
        assert_eq!(outage(Endpoint::Upload, Moment::Head), None, "used up");
    }
}
