//! Invariant 7, through the real program: a lane's messages are posted as they were accepted.

use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};

use crate::ledger_file::LedgerFile;
use crate::process::{Send, World, wait_until};

#[test]
fn messages_sent_at_once_into_one_conversation_are_posted_as_they_were_accepted() {
    const MESSAGES: usize = 20;
    let world = World::new(&[]);
    let gateway = world.start();
    let slow = FaultAction::latency(Latency::Range([0, 150]));
    world.faults(vec![FaultRule::new(Endpoint::Upload, slow)]);
    let name = |number: usize| format!("message {number}");
    let senders: Vec<_> = (0..MESSAGES)
        .map(|number| gateway.sending(Send::new("c-1", &name(number)).key(&name(number))))
        .collect();
    for sender in senders {
        assert_eq!(sender.join().unwrap().expect("an answer").status, 201);
    }
    wait_until("all are purged", || world.alive() == 0);
    gateway.terminate();
    assert_eq!(gateway.ended().code(), Some(0));

    let ledger = LedgerFile::read(world.data.path());
    let mut accepted: Vec<String> = (0..MESSAGES).map(name).collect();
    accepted.sort_by_key(|name| ledger.by_key(name).expect("it was accepted").accepted_seq);
    assert_eq!(world.heard("c-1"), accepted);
    let mut sequence: Vec<u64> = ledger.messages.values().map(|row| row.accepted_seq).collect();
    sequence.sort_unstable();
    assert_eq!(sequence, (1..=MESSAGES as u64).collect::<Vec<_>>());
}
