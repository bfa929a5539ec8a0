//! kill -9 at random moments under load, and a reckoning at the end: what senders were told, what
//! the ledger says, and what lies at Genesys must agree.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule, Latency};

use crate::ledger_file::LedgerFile;
use crate::process::{Gateway, Send, World, wait_until};

/// Seed of the kills; another one may be given as `STORM_SEED`.
const SEED: u64 = 20_261_122;
const ROUNDS: u64 = 3;
const SENDERS: u64 = 8;
/// Two senders share a conversation.
const CONVERSATIONS: u64 = 4;

/// What one sender was told of one message. The key is also its transcript.
struct Told {
    key: String,
    id: String,
    status: u16,
}

#[test]
fn killed_at_random_under_load_no_promise_is_broken() {
    let world = World::new(&[("PURGE__CALLS_MAX", "16")]);
    let seed = std::env::var("STORM_SEED").map_or(SEED, |seed| seed.parse().expect("a number"));
    let mut random = StdRng::seed_from_u64(seed);
    let mut told = Vec::new();
    for round in 0..ROUNDS {
        trouble(&world);
        let gateway = world.start();
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| send_until(Arc::clone(&stop), gateway.public, round, sender))
            .collect();
        std::thread::sleep(Duration::from_millis(random.random_range(400..1_200)));
        gateway.kill();
        stop.store(true, Ordering::Relaxed);
        told.extend(senders.into_iter().flat_map(|sender| sender.join().unwrap()));
    }
    world.release();
    let gateway = world.start();
    settle(gateway);
    let ledger = LedgerFile::read(world.data.path());
    println!("seed {seed}: {} answers, {} messages", told.len(), ledger.messages.len());
    assert!(told.len() as u64 > ROUNDS * SENDERS, "{} answers are no load", told.len());
    reckon_messages(&world, &ledger, &told);
    reckon_lanes(&world, &ledger);
    reckon_copies(&world, &ledger);
    assert_eq!(world.spooled(), Vec::<String>::new());
}

/// Slow answers, refusals, and answers that are lost after the call took effect.
fn trouble(world: &World) {
    let slow = |low, high| FaultAction::latency(Latency::Range([low, high]));
    world.faults(vec![
        FaultRule::new(Endpoint::Upload, FaultAction::status(503)).rate(0.03),
        FaultRule::new(Endpoint::Upload, FaultAction::cut(Cut::After)).rate(0.02),
        FaultRule::new(Endpoint::Upload, slow(0, 40)),
        FaultRule::new(Endpoint::Post, FaultAction::cut(Cut::After)).rate(0.02),
        FaultRule::new(Endpoint::Post, slow(0, 20)),
        FaultRule::new(Endpoint::Delete, FaultAction::status(503)).rate(0.2),
    ]);
}

/// Sends one message after the other until told to stop; every other one with `respond-async`.
fn send_until(
    stop: Arc<AtomicBool>,
    gateway: SocketAddr,
    round: u64,
    sender: u64,
) -> JoinHandle<Vec<Told>> {
    std::thread::spawn(move || {
        let mut told = Vec::new();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("{round}-{sender}-{number}");
            let send = Send::new(&conversation(sender), &key).key(&key);
            let send = if number % 2 == 0 { send } else { send.prefer("respond-async") };
            // No answer: the process was killed, and nothing is promised.
            let Some(answer) = send.to(gateway) else { continue };
            assert!([201, 202].contains(&answer.status), "{answer:?}");
            told.push(Told { id: answer.id(), status: answer.status, key });
        }
        told
    })
}

fn conversation(sender: u64) -> String {
    format!("c-{}", sender % CONVERSATIONS)
}

/// Lets the last process come to the end of all it owes, and ends it.
fn settle(gateway: Gateway) {
    wait_until("nothing is owed any more", || {
        let ledger = gateway.admin("/admin/state")["ledger"].clone();
        ledger["open"] == 0 && ledger["purges_owed"] == 0
    });
    gateway.terminate();
    assert_eq!(gateway.ended().code(), Some(0));
}

/// Posts by transcript.
fn posts(world: &World) -> HashMap<String, usize> {
    world.account(|account| {
        let mut posts = HashMap::new();
        for post in account.posts() {
            *posts.entry(post.transcript.clone()).or_default() += 1;
        }
        posts
    })
}

/// Invariant 1, invariant 3: what was told a 2xx stands in its conversation, once unless marked,
/// or has failed where everybody can see it; nothing else stands there unmarked.
fn reckon_messages(world: &World, ledger: &LedgerFile, told: &[Told]) {
    let posts = posts(world);
    for Told { key, id, status } in told {
        let row = ledger.messages.get(id).unwrap_or_else(|| panic!("{id} ({status}) is lost"));
        assert_eq!(ledger.keys.get(key), Some(id), "its key still holds");
        match row.stage.as_str() {
            "sent" => assert!(posts.contains_key(key), "{key} is called sent and is not there"),
            "failed" | "held" => assert!(!row.ending.is_empty() && *status == 202, "{row:?}"),
            _ => panic!("{key} was told {status} and is {row:?}"),
        }
    }
    let mut interrupted = ledger
        .messages
        .values()
        .filter(|row| row.ending == "interrupted" && row.possible_duplicate)
        .count();
    for (key, count) in &posts {
        match ledger.by_key(key) {
            Some(row) => {
                assert!(*count == 1 || row.possible_duplicate, "{key}: {count} of {row:?}")
            }
            // Nobody was told of it, and its key is free: a marked one accounts for it.
            None => {
                assert!(interrupted > 0, "{key} was posted and no message says so");
                interrupted -= 1;
            }
        }
    }
}

/// Invariant 7. The posts of a lane, repeats included, never go back behind a younger message.
fn reckon_lanes(world: &World, ledger: &LedgerFile) {
    let mut lanes: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    world.account(|account| {
        for post in account.posts() {
            let Some(row) = ledger.by_key(&post.transcript) else { continue };
            let lane = lanes.entry(post.conversation_id.clone()).or_default();
            lane.push((row.accepted_seq, post.transcript.clone()));
        }
    });
    assert_eq!(lanes.len() as u64, CONVERSATIONS);
    for (lane, posts) in lanes {
        for pair in posts.windows(2) {
            assert!(pair[0].0 <= pair[1].0, "{lane}: {pair:?} are in the wrong order");
        }
    }
}

/// Invariant 4: every upload whose answer was committed is deleted, and said to be; the others are
/// orphans by name.
fn reckon_copies(world: &World, ledger: &LedgerFile) {
    let summary = world.account(|account| account.summary());
    assert_eq!(ledger.copies("owed"), 0);
    assert_eq!(ledger.copies("gone"), summary.deleted, "no copy is called gone that is not");
    let orphaned = ledger.copies("orphaned");
    assert!(summary.uploads_alive <= orphaned, "{} of {orphaned}", summary.uploads_alive);
    let copies: usize = ledger.messages.values().map(|row| row.copies.len()).sum();
    assert_eq!(copies, summary.deleted + orphaned, "no state but these two");
}
