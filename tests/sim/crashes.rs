//! A death at every commit and at every call of three messages, with and without its effect.

use std::sync::atomic::Ordering;

use crate::checker::check;
use crate::plan::{Crash, Plan};
use crate::runs::live;

fn assert_survives(crash: Crash) {
    let wrong = check(&live(Plan { crashes: vec![crash], ..Plan::calm() }));
    assert!(wrong.is_empty(), "{crash:?}: {wrong:#?}");
}

#[test]
fn a_death_at_any_commit_breaks_no_promise() {
    let commits = live(Plan::calm()).counters.commits.load(Ordering::Relaxed);
    assert!(commits >= 12, "only {commits} commits: three messages have four each at least");
    for number in 1..=commits {
        assert_survives(Crash::Commit { number, durable: false });
        assert_survives(Crash::Commit { number, durable: true });
    }
}

#[test]
fn a_death_at_any_call_breaks_no_promise() {
    let calls = live(Plan::calm()).counters.calls.load(Ordering::Relaxed);
    assert!(calls >= 13, "only {calls} calls: a token and four for each of three messages");
    for number in 1..=calls {
        assert_survives(Crash::Call { number, effect: false });
        assert_survives(Crash::Call { number, effect: true });
    }
}
