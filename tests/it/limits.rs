//! Genesys asks for fewer calls: a storm of 429, and a steady limit that is kept to.

use std::time::{Duration, Instant};

use voicepost::domain::RouteName;
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, RateLimit, Target};

use crate::load::{Book, Load, Plan};
use crate::process::{Send, World};
use crate::reckoning::{Exempt, Reckoning};
use crate::ways;

const SENDERS: usize = 12;
/// The limit of 300 calls a minute, in windows that a test can wait for.
const CALLS: u32 = 40;
const WINDOW_SECONDS: u32 = 8;

#[test]
fn a_storm_of_429_loses_nothing_on_media_api() {
    storm(RouteName::MediaApi);
}

#[test]
fn a_storm_of_429_loses_nothing_on_open_messaging() {
    storm(RouteName::OpenMessaging);
}

fn storm(route: RouteName) {
    const CALM: Duration = Duration::from_secs(1);
    const STORM: Duration = Duration::from_secs(8);
    let world = World::on(
        route,
        &[
            ("DELIVERY__LATER_PAUSE_MS_MAX", "2000"),
            ("PURGE__PAUSE_MS_MAX", "1000"),
            ("PURGE__CALLS_MAX", "16"),
            ("LOG__FILTER", "error,voicepost::app=info"),
        ],
    );
    let gateway = world.start();
    // Every call of one endpoint refused would leave none for those that come after it.
    let asked = |endpoint| {
        let first = [Endpoint::Upload, Endpoint::InboundMessage, Endpoint::CachedMedia];
        let rate = if first.contains(&endpoint) { 0.3 } else { 0.8 };
        let seconds = FaultAction::status(429).retry_after("1");
        let date = FaultAction { retry_after_date_seconds: Some(2), ..FaultAction::status(429) };
        [FaultRule::new(endpoint, seconds).rate(rate), FaultRule::new(endpoint, date).rate(rate)]
    };
    let endpoints = ways::calls(route);
    let pause = Duration::from_millis(100);
    let plan = Plan { name: "s".to_owned(), senders: SENDERS, pause, ..Plan::default() };
    let load = Load::start(gateway.public, plan);
    std::thread::sleep(CALM);
    world.faults(endpoints.iter().copied().flat_map(asked).collect());
    std::thread::sleep(STORM);
    world.release();
    let book = load.stop();
    let released = gateway.settled(Duration::from_secs(60));
    assert_eq!((released.len(), book.refused.len()), (0, 0), "{:?}", book.refused);
    let refused: Vec<_> = world.account(|account| {
        endpoints.iter().map(|endpoint| (*endpoint, account.calls(*endpoint, Some(429)))).collect()
    });
    println!("{route:?}, answered 429: {refused:?}");
    let reckoning = Reckoning::of(&world, &book, &Exempt::default());
    reckoning.expect_clean();
    // Retention is asked for only where nobody else wants to call.
    let met = |(endpoint, times): &(Endpoint, u64)| *endpoint == Endpoint::Retention || *times > 0;
    assert!(refused.iter().all(met), "{refused:?} leaves an endpoint out");
    assert_eq!(reckoning.doubled + reckoning.marked, 0, "a 429 leaves nothing in doubt");
}

#[test]
fn a_steady_limit_is_kept_to_on_media_api() {
    steady(RouteName::MediaApi);
}

#[test]
fn a_steady_limit_is_kept_to_on_open_messaging() {
    steady(RouteName::OpenMessaging);
}

fn steady(route: RouteName) {
    const MESSAGES: usize = 25;
    let world = World::on(route, &[("LOG__FILTER", "error,voicepost::app=info")]);
    let limit = RateLimit { endpoint: Target::Any, calls: CALLS, window_seconds: WINDOW_SECONDS };
    world.sandbox.with(|sandbox| sandbox.set_rate_limit(limit));
    let gateway = world.start();
    let began = Instant::now();
    let mut book = Book::default();
    for number in 0..MESSAGES {
        let key = format!("l-{number}");
        let send = Send::new(&format!("c-{}", number % 8), &key).key(&key);
        book.send(send.prefer("respond-async"), gateway.public);
    }
    gateway.settled(Duration::from_secs(90));
    let elapsed = began.elapsed();
    let endpoints = ways::calls(route);
    let (calls, refused) = world.account(|account| {
        let by_status = account.summary().calls;
        // Retention gives way to everything else.
        for endpoint in endpoints.iter().filter(|endpoint| **endpoint != Endpoint::Retention) {
            assert!(by_status.contains_key(endpoint.as_str()), "{endpoint:?} was never called");
        }
        let calls = endpoints.iter().filter_map(|endpoint| by_status.get(endpoint.as_str()));
        let refused = endpoints.iter().map(|endpoint| account.calls(*endpoint, Some(429)));
        (calls.flat_map(|by_status| by_status.values()).sum::<u64>(), refused.sum::<u64>())
    });
    println!("{route:?}: {calls} calls in {elapsed:.1?}, {refused} answered 429");
    Reckoning::of(&world, &book, &Exempt::default()).expect_clean();
    let windows = calls / u64::from(CALLS);
    assert!(windows >= 2, "{calls} calls do not reach the limit");
    assert!(refused * 50 <= calls, "{refused} of {calls} calls were refused: more than 2 %");
    // As fast as the limit lets: the last window may be cut short, one more may be lost.
    let enough = Duration::from_secs((windows + 2) * u64::from(WINDOW_SECONDS));
    assert!(elapsed <= enough, "{elapsed:?} for {windows} windows");
}
