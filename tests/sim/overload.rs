//! More messages than Genesys allows calls: the backlog is served in the order in which it came.

use voicepost::domain::{Patience, RouteName};

use crate::plan::{Plan, Sending};
use crate::runs::live;

/// Allowed by the sandbox; a message takes an upload and a post.
const CALLS_PER_MINUTE: u32 = 20;
const MESSAGES: u64 = 200;
/// Four times as many as that allows.
const APART_MS: u64 = 1_500;

#[test]
fn whoever_waits_is_served_before_whoever_comes() {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.calls_per_minute = CALLS_PER_MINUTE;
    plan.clips_bytes_max = 16 * 1024 * 1024;
    plan.sendings = (0..MESSAGES)
        .map(|number| Sending {
            // A lane for each: nothing but the gate decides who goes first.
            conversation_id: format!("c{number}"),
            at_ms: number * APART_MS,
            patience: Patience { respond_async: false, wait_ms: 5_000 },
        })
        .collect();
    let world = live(plan);
    let sandbox = world.sandbox.lock().unwrap();
    let number = |transcript: &str| transcript.trim_start_matches("message ").parse::<usize>();
    let posted: Vec<usize> =
        sandbox.account().posts().iter().map(|post| number(&post.transcript).unwrap()).collect();
    assert_eq!(posted.len(), MESSAGES as usize);
    let overtaken = posted.iter().enumerate().map(|(place, number)| place.saturating_sub(*number));
    let overtaken_max = overtaken.max().unwrap();
    println!("posted {posted:?}; overtaken by {overtaken_max} at most");
    // When the gate opens, those who come just then are quicker than those who are woken.
    assert!(overtaken_max <= CALLS_PER_MINUTE as usize, "{overtaken_max}: {posted:?}");
}
