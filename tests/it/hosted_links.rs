//! How long the address of a hosted clip is good, against how long its message may have waited.

use std::sync::Arc;

use voicepost::domain::{Event, Origin, Record, RouteName, Step};
use voicepost::genesys::Planner;
use voicepost::genesys::open_messaging::{OpenMessagingPlanner, OpenMessagingRules};
use voicepost::hosted::{Hosted, LinkKey};
use voicepost::spool::memory::MemorySpool;

use crate::samples::{START, new_copy, plain};

const LINK_SECONDS: u64 = 1_000;
const SERVE_SECONDS: u64 = 600;

fn planner(key: [u8; 32]) -> OpenMessagingPlanner {
    let rules = OpenMessagingRules {
        placeholder: "Audio message sent by guest".to_owned(),
        integration_id: "an-integration".to_owned(),
        public_url: "https://gateway.example".to_owned(),
        link_seconds: LINK_SECONDS,
        serve_seconds: SERVE_SECONDS,
        origin: Origin { host: "https://api.example".to_owned(), client: "c".to_owned() },
    };
    let files = Arc::new(MemorySpool::new(1 << 20));
    OpenMessagingPlanner::new(rules, Hosted::new(files, LinkKey::new(&key)))
}

/// Held by an operator, for instance, longer than its address was made for.
#[test]
fn a_message_that_waited_too_long_is_published_anew() {
    let planner = planner([1; 32]);
    let mut record = Record { route: RouteName::OpenMessaging, ..plain(1) };
    let intent = planner.intend(&record, Step::Upload, START);
    let mut copy = new_copy();
    copy.private = intent.private.clone();
    record.intent = Some(intent);
    record.apply(&Event::Uploaded { copies: vec![copy], post: None }, START).unwrap();
    let last = START.plus_seconds(LINK_SECONDS - SERVE_SECONDS);
    assert!(!planner.upload_outdated(&record, last), "it is served for as long as it has to be");
    assert!(planner.upload_outdated(&record, last.plus_seconds(1)));
    // An address that another key has signed leads nowhere.
    assert!(self::planner([2; 32]).upload_outdated(&record, START));
}
