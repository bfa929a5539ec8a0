//! The reckoning after a run: what was promised against what the sandbox has seen.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use voicepost::domain::{ClipPlace, CopyKind, CopyState, Record, Stage};
use voicepost::pipeline::Answer;
use voicepost::sandbox::{Post, Sandbox};
use voicepost::spool::Spool;

use crate::limits::BEYOND_THE_MINUTE_MAX;
use crate::lying::{alive, ends};
use crate::process::KEEPING;
use crate::waits;
use crate::world::World;

/// Everything that is wrong, in words; empty where the run kept every promise.
pub fn check(world: &World) -> Vec<String> {
    let records = world.records();
    let sandbox = world.sandbox.lock().unwrap();
    let posts = sandbox.account().posts();
    let mut wrong = Vec::new();
    accepted_is_not_lost(world, &records, posts, &mut wrong);
    nothing_refused_is_posted(world, &records, &mut wrong);
    doubles_are_marked(world, &records, posts, &mut wrong);
    copies_are_accounted_for(&records, &alive(world, &sandbox, &records), &mut wrong);
    // Within a process the floor also runs on the steady clock; a new process knows only the wall
    // clock, and cannot tell that it was stepped before.
    if world.plan.steps.is_empty() || world.plan.crashes.is_empty() {
        nothing_goes_too_early(world, &sandbox, &mut wrong);
    }
    waits::are_kept(world, &mut wrong);
    lanes_are_in_order(world, &records, posts, &mut wrong);
    no_file_is_left_over(world, &records, &mut wrong);
    let through = world.counters.calls_through_closed_gate.load(Ordering::Relaxed);
    if through > 0 {
        // Invariant 5.
        wrong.push(format!("{through} calls left through a closed gate"));
    }
    let processes = 1 + world.plan.crashes.len() as u64;
    let beyond = world.counters.calls_beyond_the_minute.load(Ordering::Relaxed);
    if beyond > processes * BEYOND_THE_MINUTE_MAX {
        wrong.push(format!("{beyond} calls beyond the minute's limit, in {processes} processes"));
    }
    // Invariant 6.
    wrong.extend(world.counters.most_on_the_wire.beyond());
    wrong
}

fn posts_of(posts: &[Post], number: usize) -> Vec<&Post> {
    posts.iter().filter(|post| post.transcript == format!("message {number}")).collect()
}

/// Invariant 1: a 2xx is at Genesys, or visibly failed or held.
fn accepted_is_not_lost(
    world: &World,
    records: &[(usize, Record)],
    posts: &[Post],
    wrong: &mut Vec<String>,
) {
    for (number, answer) in &world.senders.lock().unwrap().answers {
        let (Answer::Delivered(receipt) | Answer::Accepted(receipt)) = answer else { continue };
        let record = records.iter().find(|(_, record)| record.id == receipt.id());
        let Some((_, record)) = record else {
            wrong.push(format!("message {number} was accepted and has no record"));
            continue;
        };
        match record.stage {
            Stage::Sent if posts_of(posts, *number).is_empty() => {
                wrong.push(format!("message {number} is called sent and was never posted"));
            }
            Stage::Sent | Stage::Failed | Stage::Held | Stage::Cancelled => {}
            Stage::Accepted | Stage::Uploaded => {
                wrong.push(format!("message {number} was left {}", record.stage.as_str()));
            }
        }
    }
}

/// Who was told that nothing is promised sends again: what was refused must not be posted as well,
/// or must say that it may stand twice.
fn nothing_refused_is_posted(world: &World, records: &[(usize, Record)], wrong: &mut Vec<String>) {
    if world.plan.moves() {
        return;
    }
    for (number, answer) in &world.senders.lock().unwrap().answers {
        let Answer::Refused(problem) = answer else { continue };
        let refused = |record: &Record| Some(record.id) == problem.message_id;
        let found = records.iter().find(|(_, record)| refused(record));
        if found.is_some_and(|(_, r)| r.stage == Stage::Sent && !r.possible_duplicate) {
            wrong.push(format!("message {number} was refused ({}) and sent", problem.code));
        }
    }
}

/// Every clip in the spool is one that a record still needs.
fn no_file_is_left_over(world: &World, records: &[(usize, Record)], wrong: &mut Vec<String>) {
    let ids = world.spool.list().now_or_never().expect("the spool in memory answers at once");
    for id in ids.expect("it can be listed") {
        let named = |record: &Record| record.id == id && record.clip == ClipPlace::Spooled;
        if !records.iter().any(|(_, record)| named(record)) {
            wrong.push(format!("the spool still has the clip of {id}"));
        }
    }
}

/// Invariant 3: a message that stands twice in a conversation says so, and so does the receipt that
/// its sender asks for.
fn doubles_are_marked(
    world: &World,
    records: &[(usize, Record)],
    posts: &[Post],
    wrong: &mut Vec<String>,
) {
    for number in 0..world.plan.sendings.len() {
        let count = posts_of(posts, number).len();
        let mut of_it = records.iter().filter(|(other, _)| *other == number);
        if count > 1 && !of_it.any(|(_, record)| record.possible_duplicate) {
            wrong.push(format!("message {number} was posted {count} times, unmarked"));
        }
        let told = match world.senders.lock().unwrap().answers.get(&number) {
            Some(Answer::Delivered(receipt) | Answer::Accepted(receipt)) => Some(receipt.id()),
            _ => None,
        };
        let promised = records.iter().find(|(_, record)| Some(record.id) == told);
        if count > 1
            && promised.is_some_and(|(_, r)| r.stage == Stage::Sent && !r.possible_duplicate)
        {
            wrong.push(format!("message {number} stands {count} times, its sender is not told"));
        }
    }
}

/// Invariant 4: every named copy ends proven gone; every other one that is there has its orphan,
/// message by message and kind by kind. A held message keeps its copies until an operator decides.
fn copies_are_accounted_for(
    records: &[(usize, Record)],
    alive: &[(CopyKind, Option<usize>)],
    wrong: &mut Vec<String>,
) {
    for (kind, _) in alive.iter().filter(|(_, number)| number.is_none()) {
        wrong.push(format!("a {kind:?} lies there that belongs to no message"));
    }
    let mut numbers: Vec<usize> = records.iter().map(|(number, _)| *number).collect();
    numbers.dedup();
    let kinds = [CopyKind::UploadedMedia, CopyKind::HostedFile, CopyKind::CachedMedia];
    for (number, kind) in numbers.into_iter().flat_map(|n| kinds.map(|kind| (n, kind))) {
        let mine = || records.iter().filter(move |(other, _)| *other == number).map(|(_, r)| r);
        let count = |held: bool, state| {
            let records = mine().filter(move |record| (record.stage == Stage::Held) == held);
            let copies = records.flat_map(|r| &r.copies);
            copies.filter(|copy| copy.kind == kind && copy.state == state).count()
        };
        let owed = count(false, CopyState::Owed);
        let kept = count(true, CopyState::Owed);
        let orphans = count(false, CopyState::Orphaned) + count(true, CopyState::Orphaned);
        let there = alive.iter().filter(|copy| **copy == (kind, Some(number))).count();
        if owed > 0 {
            wrong.push(format!("message {number} still owes {owed} of {kind:?}"));
        }
        if there > orphans + kept {
            let accounted = format!("{orphans} orphaned, {kept} kept");
            wrong.push(format!("message {number} has {there} {kind:?} alive, {accounted}"));
        }
    }
    // Invariant 11: with the last purge, transcript and identity are forgotten.
    for (number, record) in records {
        if record.stage != Stage::Held && (record.transcript.is_some() || record.envelope.is_some())
        {
            wrong.push(format!("message {number} still has its transcript or its sender"));
        }
    }
}

/// Invariant 4: never sooner than the floor after the post.
fn nothing_goes_too_early(world: &World, sandbox: &Sandbox, wrong: &mut Vec<String>) {
    let floor_ms = i64::try_from(KEEPING.delay_seconds_min).unwrap() * 1_000;
    for post in sandbox.account().posts() {
        for kept_ms in ends(world, sandbox, post).iter().map(|at_ms| at_ms - post.arrived_at_ms) {
            if kept_ms < floor_ms {
                wrong.push(format!("{} lost a copy {kept_ms} ms after its post", post.transcript));
            }
        }
    }
}

/// Invariant 7: the first posts of a lane come in the order of acceptance.
fn lanes_are_in_order(
    world: &World,
    records: &[(usize, Record)],
    posts: &[Post],
    wrong: &mut Vec<String>,
) {
    let mut lanes: BTreeMap<&str, Vec<(u64, usize)>> = BTreeMap::new();
    for (number, record) in records {
        let first = posts.iter().position(|post| post.transcript == format!("message {number}"));
        // A message that failed and came again under its key has two places; only the sent counts.
        // One that was released or replayed has left its place.
        let moved = world.plan.moves();
        if let (Some(first), Stage::Sent) = (first, record.stage)
            && !moved
            && records.iter().filter(|(other, _)| other == number).count() == 1
        {
            lanes.entry(&record.lane.0).or_default().push((record.accepted_seq, first));
        }
    }
    for (lane, mut places) in lanes {
        places.sort_unstable();
        if !places.is_sorted_by_key(|(_, first)| *first) {
            wrong.push(format!("lane {lane} was posted out of order: {places:?}"));
        }
    }
}
