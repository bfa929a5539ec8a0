//! A death at every commit and at every call of three messages, with and without its effect
//! (invariant 2: intent is durable before its effect).

use std::sync::atomic::Ordering;

use voicepost::domain::RouteName;

use crate::checker::check;
use crate::plan::{Crash, Plan};
use crate::runs::live;

const ROUTES: [RouteName; 2] = [RouteName::MediaApi, RouteName::OpenMessaging];

fn assert_survives(route: RouteName, crash: Crash) {
    let wrong = check(&live(Plan { crashes: vec![crash], ..Plan::calm(route) }));
    assert!(wrong.is_empty(), "{route:?}, {crash:?}: {wrong:#?}");
}

#[test]
fn a_death_at_any_commit_breaks_no_promise() {
    for route in ROUTES {
        let commits = live(Plan::calm(route)).counters.commits.load(Ordering::Relaxed);
        assert!(commits >= 12, "only {commits} commits: three messages have four each at least");
        for number in 1..=commits {
            assert_survives(route, Crash::Commit { number, durable: false });
            assert_survives(route, Crash::Commit { number, durable: true });
        }
    }
}

#[test]
fn a_death_at_any_call_breaks_no_promise() {
    for route in ROUTES {
        let calls = live(Plan::calm(route)).counters.calls.load(Ordering::Relaxed);
        assert!(calls >= 13, "only {calls} calls: a token and four for each of three messages");
        for number in 1..=calls {
            assert_survives(route, Crash::Call { number, effect: false });
            assert_survives(route, Crash::Call { number, effect: true });
        }
    }
}
