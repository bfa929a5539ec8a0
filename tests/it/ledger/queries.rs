//! What can be asked of the ledger, and that it gives back what it was given.

use proptest::prelude::*;
use voicepost::domain::Step;
use voicepost::domain::{
    ClipPlace, Code, Copy, CopyState, Ending, Event, Intent, NewCopy, Record, Stage,
};
use voicepost::ledger::{DueCopy, KeyHolder, Ledger, Totals};

use super::{accept, accepted, changed, happen, in_memory, one, open, posted, uploaded, with_key};
use crate::samples::{START, any_record_twice, id, intent, new_copy, plain};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_record_is_read_back_as_it_was_written((first, second) in any_record_twice()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let ledger = in_memory();
            let mut record = accept(&ledger, first).await;
            prop_assert_eq!(ledger.find(record.id).await.unwrap(), Some(record.clone()));
            // Nothing has changed: writing it again changes nothing but the version.
            record.version = one(&ledger, changed(&record, "again")).await.unwrap().version;
            prop_assert_eq!(ledger.find(record.id).await.unwrap(), Some(record.clone()));
            // What was said and by whom does not change, it only leaves.
            let mut second = Record {
                version: record.version,
                accepted_seq: record.accepted_seq,
                envelope: second.envelope.and(record.envelope.clone()),
                transcript: second.transcript.and(record.transcript.clone()),
                ..second
            };
            second.version = one(&ledger, changed(&second, "changed")).await.unwrap().version;
            prop_assert_eq!(ledger.find(record.id).await.unwrap(), Some(second));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn due_copies_come_in_order_page_by_page() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let mut expected = Vec::new();
    for number in 0..60 {
        let mut record = plain(number);
        record.apply(&uploaded(), START).unwrap();
        // Ten messages share each time, and some have two copies at the same time.
        let at = START.plus_ms(1000 * i64::try_from(number % 6).unwrap());
        if number % 4 == 0 {
            let second = Copy { ordinal: 1, ..record.copies[0].clone() };
            record.copies.push(second);
        }
        record.apply(&posted(at), START).unwrap();
        for copy in &record.copies {
            expected.push(DueCopy { at, id: record.id, ordinal: copy.ordinal });
        }
        accept(&ledger, record).await;
    }
    // Not due: on its way, and gone.
    let mut open_message = plain(100);
    open_message.apply(&uploaded(), START).unwrap();
    accept(&ledger, open_message.clone()).await;
    open_message.id = id(101);
    open_message.copies[0].state = CopyState::Gone;
    accept(&ledger, open_message).await;

    expected.sort();
    let mut found = Vec::new();
    loop {
        let page = ledger.due_copies(found.last().copied(), 7).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn unfinished_are_those_the_pipeline_can_work_on() {
    let ledger = in_memory();
    let with = |number, stage, clip, intent: Option<Intent>| Record {
        stage,
        clip,
        intent,
        ..plain(number)
    };
    let upload = || Some(intent(Step::Upload));
    for record in [
        with(1, Stage::Accepted, ClipPlace::Memory, upload()),
        with(2, Stage::Uploaded, ClipPlace::Spooled, None),
        with(3, Stage::Sent, ClipPlace::Memory, None),
        with(4, Stage::Sent, ClipPlace::Spooled, None),
        with(5, Stage::Cancelled, ClipPlace::Gone, upload()),
        with(6, Stage::Failed, ClipPlace::Gone, None),
        with(7, Stage::Held, ClipPlace::Spooled, None),
        with(8, Stage::Failed, ClipPlace::Spooled, None),
        with(9, Stage::Held, ClipPlace::Spooled, upload()),
    ] {
        accept(&ledger, record).await;
    }
    let ids = |records: Vec<Record>| records.iter().map(|record| record.id).collect::<Vec<_>>();
    let all = ledger.unfinished(0, 100).await.unwrap();
    let second_place = all[1].accepted_seq;
    assert_eq!(ids(all), [id(1), id(2), id(4), id(5), id(8), id(9)]);
    let page = ledger.unfinished(second_place, 2).await.unwrap();
    assert_eq!(ids(page), [id(4), id(5)]);
    let totals = ledger.totals().await.unwrap();
    assert_eq!((totals.open, totals.held), (2, 2));
}

#[tokio::test]
async fn totals_count_what_is_owed_with_and_without_a_time() {
    let ledger = in_memory();
    let mut on_its_way = accept(&ledger, plain(1)).await;
    happen(&ledger, &mut on_its_way, &[uploaded()]).await;
    let mut sent = accept(&ledger, plain(2)).await;
    happen(&ledger, &mut sent, &[uploaded(), posted(START)]).await;
    let mut purged = accept(&ledger, plain(3)).await;
    let purge = Event::CopyPurged { ordinal: 0 };
    happen(&ledger, &mut purged, &[uploaded(), posted(START), purge]).await;
    let mut lost = accept(&ledger, plain(4)).await;
    let lose = Event::UploadLost {
        code: Code::GenesysAnswerLost,
        copies: vec![NewCopy { state: CopyState::Orphaned, ..new_copy() }],
        next_attempt_at: START,
        crashed: false,
    };
    happen(&ledger, &mut lost, &[lose]).await;
    let mut held = accept(&ledger, plain(5)).await;
    let ending = Ending { code: Code::CrashLoop, detail: "three crashes".to_owned() };
    happen(&ledger, &mut held, &[uploaded(), Event::Held { ending }]).await;
    let kept = |number| Record {
        stage: Stage::Failed,
        clip: ClipPlace::Spooled,
        intent: None,
        ..plain(number)
    };
    accept(&ledger, kept(6)).await;
    let mut undeleted = accept(&ledger, kept(7)).await;
    let deferred = Event::ClipDropDeferred { detail: "the disk is read-only".to_owned() };
    happen(&ledger, &mut undeleted, &[deferred]).await;
    let expected =
        Totals { open: 2, held: 1, purges_owed: 3, orphaned: 1, spool_files_undeleted: 1 };
    assert_eq!(ledger.totals().await.unwrap(), expected);
}

#[tokio::test]
async fn history_is_in_order_of_commits_and_can_be_resumed() {
    let ledger = in_memory();
    let mut first = accept(&ledger, plain(1)).await;
    let mut second = accept(&ledger, plain(2)).await;
    happen(&ledger, &mut first, &[uploaded()]).await;
    happen(&ledger, &mut second, &[uploaded()]).await;
    let due_at = START.plus_seconds(900);
    first.apply(&posted(due_at), START).unwrap();
    let mut transition = changed(&first, "posted");
    transition.detail = posted(due_at).detail();
    one(&ledger, transition).await.unwrap();

    let all = ledger.history_after(None, 0, 100).await.unwrap();
    let told: Vec<_> = all.iter().map(|row| (row.message_id, row.event.as_str())).collect();
    let expected = [
        (id(1), "accepted"),
        (id(2), "accepted"),
        (id(1), "uploaded"),
        (id(2), "uploaded"),
        (id(1), "posted"),
    ];
    assert_eq!(told, expected);
    assert!(all.windows(2).all(|two| two[0].seq < two[1].seq));
    assert_eq!(all[4].detail.as_deref(), Some("purge due at 2025-10-09T09:08:20.000Z"));
    let resumed = ledger.history_after(Some(id(1)), all[0].seq, 100).await.unwrap();
    assert_eq!(resumed, [all[2].clone(), all[4].clone()]);
    let page = ledger.history_after(None, all[1].seq, 2).await.unwrap();
    assert_eq!(page, all[2..4]);
}

#[tokio::test]
async fn sweep_takes_old_keys_and_old_records_with_nothing_owed() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let now = START.plus_seconds(100);
    let at =
        |number: u64, seconds| Record { created_at: START.plus_seconds(seconds), ..plain(number) };
    for number in 1..=3 {
        let record = at(number, number);
        one(&ledger, with_key(accepted(&record), &format!("k{number}"))).await.unwrap();
        let mut record = ledger.find(id(number)).await.unwrap().unwrap();
        happen(&ledger, &mut record, &[uploaded(), posted(now)]).await;
        if number != 2 {
            happen(&ledger, &mut record, &[Event::CopyPurged { ordinal: 0 }]).await;
        }
    }
    accept(&ledger, at(4, 4)).await;
    accept(&ledger, Record { stage: Stage::Failed, intent: None, ..at(5, 50) }).await;
    let spooled = Record { clip: ClipPlace::Spooled, ..at(6, 6) };
    accept(&ledger, Record { stage: Stage::Failed, intent: None, ..spooled }).await;

    // Too young a key keeps its record.
    assert_eq!(ledger.sweep(START, now, 100).await.unwrap(), 0);
    // Three keys; records 1 and 3: number 2 owes a purge, 4 is open, 5 too young, 6 has its clip.
    let before = START.plus_seconds(10);
    assert_eq!(ledger.sweep(before, before, 1).await.unwrap(), 2);
    assert_eq!(ledger.sweep(before, before, 100).await.unwrap(), 3);
    assert_eq!(ledger.sweep(before, before, 100).await.unwrap(), 0);
    for (number, kept) in [(1, false), (2, true), (3, false), (4, true), (5, true), (6, true)] {
        assert_eq!(ledger.find(id(number)).await.unwrap().is_some(), kept, "message {number}");
        let history = ledger.history_after(Some(id(number)), 0, 10).await.unwrap();
        assert_eq!(!history.is_empty(), kept);
    }
    let key = ledger.by_key(plain(2).principal, "k2".to_owned()).await.unwrap();
    assert_eq!(key, None::<KeyHolder>);

    // Places are never given twice, not even the highest one's after it was swept.
    let last = accept(&ledger, at(7, 7)).await;
    let mut ended = last.clone();
    ended.apply(&Event::Cancelled { due_at: now }, now).unwrap();
    ended.intent = None;
    one(&ledger, changed(&ended, "cancelled")).await.unwrap();
    assert_eq!(ledger.sweep(before, before, 100).await.unwrap(), 1);
    assert!(accept(&ledger, at(8, 8)).await.accepted_seq > last.accepted_seq);
    assert_eq!(ledger.unfinished(0, 100).await.unwrap().len(), 3);
}
