//! What does a durable commit cost? The three commits of a message's life with 1, 16 and 64
//! submitters on a real file, beside bare appends with fdatasync in the same run; then a million
//! owed purges. `--test` runs the same on a small scale.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use voicepost::domain::{
    ClipPlace, Codec, CopyKind, CopyState, Deliverable, Envelope, Event, Intent, Lane, Media,
    MessageId, NewCopy, Posted, Principal, Private, Record, RouteName, Stage, Step, Transcript,
    UnixMs,
};
use voicepost::ledger::sqlite::{SqliteLedger, SqliteOptions};
use voicepost::ledger::{Committed, DueCopy, KeyChange, KeyClaim, Ledger, Transition};

const START: UnixMs = UnixMs(1_760_000_000_000);

fn main() {
    let tiny = std::env::args().any(|argument| argument == "--test");
    let (messages, purges) = if tiny { (200, 2000) } else { (20_000, 1_000_000) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for submitters in [1, 16, 64] {
        // One submitter waits for the disk at every commit; a tenth is enough to tell.
        let messages = if submitters == 1 { messages / 10 } else { messages };
        append_log(submitters, messages);
        runtime.block_on(lives(submitters, messages));
    }
    runtime.block_on(owed_purges(purges));
}

fn scratch() -> tempfile::TempDir {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    tempfile::Builder::new().prefix("ledger-bench-").tempdir_in(target).unwrap()
}

fn open(directory: &Path) -> Arc<SqliteLedger> {
    let fatal = Arc::new(|reason| panic!("{reason}"));
    let path = directory.join("ledger.sqlite");
    Arc::new(SqliteLedger::open(&path, SqliteOptions::default(), fatal).unwrap())
}

/// CPU time of the threads that live now (Linux, `proc_pid_schedstat(5)`: the first number).
fn cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let spent = threads.map(|thread| {
        let path = thread.unwrap().path().join("schedstat");
        let text = std::fs::read_to_string(path).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(spent.sum())
}

struct Measure {
    wall: Instant,
    cpu: Duration,
}

impl Measure {
    fn begin() -> Measure {
        Measure { wall: Instant::now(), cpu: cpu() }
    }

    fn tell(&self, what: &str, submitters: usize, commits: usize, mut waits: Vec<Duration>) {
        let (wall, cpu) = (self.wall.elapsed(), cpu() - self.cpu);
        waits.sort();
        let part = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        println!(
            "{what:<22} {submitters:>3} submitters: {:>8.0} commits/s, {:>5.2} µs CPU a commit, \
             p50 {:.2} ms, p99 {:.2} ms",
            commits as f64 / wall.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / commits as f64,
            part(50),
            part(99),
        );
    }
}

/// The floor: as many bytes as a commit carries, appended and synced, one sync for each round of
/// submitters, as if every group were full.
fn append_log(submitters: usize, messages: usize) {
    let directory = scratch();
    let mut log = std::fs::File::create(directory.path().join("log")).unwrap();
    let entry = vec![b'x'; 1000];
    let commits = messages * 3;
    let mut waits = Vec::with_capacity(commits);
    let measure = Measure::begin();
    for _ in 0..commits / submitters {
        let begun = Instant::now();
        for _ in 0..submitters {
            log.write_all(&entry).unwrap();
        }
        log.sync_data().unwrap();
        waits.push(begun.elapsed());
    }
    measure.tell("append + fdatasync", submitters, commits, waits);
}

async fn lives(submitters: usize, messages: usize) {
    let directory = scratch();
    let ledger = open(directory.path());
    let measure = Measure::begin();
    let tasks = (0..submitters).map(|submitter| {
        let ledger = Arc::clone(&ledger);
        let numbers = (submitter..messages).step_by(submitters);
        async move {
            let mut waits = Vec::new();
            for number in numbers {
                live(&ledger, number as u64, &mut waits).await;
            }
            waits
        }
    });
    // Polling all at each wake would measure the test, not the ledger: each its own task.
    let local = tokio::task::LocalSet::new();
    let tasks: Vec<_> = tasks.map(|task| local.spawn_local(task)).collect();
    local.await;
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    measure.tell("ledger, 3 a message", submitters, messages * 3, waits);
    ledger.close();
    let bytes = directory.path().join("ledger.sqlite").metadata().unwrap().len();
    println!("{:<22} {:>14} bytes a message", "", bytes / messages as u64);
}

/// Accepted with a key and the upload intended; uploaded with the post intended; posted.
async fn live(ledger: &SqliteLedger, number: u64, waits: &mut Vec<Duration>) {
    let mut record = accepted(number);
    let mut transition = accepting(&record);
    let claim = KeyClaim { key: format!("key-{number}"), fingerprint: [7; 32], taken_from: None };
    transition.key = Some(KeyChange::Claim(claim));
    let done = commit(ledger, transition, waits).await;
    (record.version, record.accepted_seq) = (done.version, done.accepted_seq);
    for event in [uploaded(), posted(number)] {
        record.apply(&event, START).unwrap();
        let transition = Transition {
            record: record.clone(),
            expected_version: Some(record.version),
            key: None,
            event: event.name(),
            detail: event.detail(),
            at: START,
        };
        record.version = commit(ledger, transition, waits).await.version;
    }
}

async fn commit(
    ledger: &SqliteLedger,
    transition: Transition,
    waits: &mut Vec<Duration>,
) -> Committed {
    let begun = Instant::now();
    let done = ledger.commit(vec![transition]).await.unwrap();
    waits.push(begun.elapsed());
    done[0]
}

/// A million messages posted and not purged, as after a long outage of Genesys.
async fn owed_purges(count: u64) {
    let directory = scratch();
    let ledger = open(directory.path());
    let begun = Instant::now();
    for first in (0..count).step_by(1000) {
        let batch = (first..(first + 1000).min(count)).map(|number| {
            let mut record = accepted(number);
            record.apply(&uploaded(), START).unwrap();
            record.apply(&posted(number), START).unwrap();
            accepting(&record)
        });
        ledger.commit(batch.collect()).await.unwrap();
    }
    println!("{count} owed purges: inserted in {:.1} s", begun.elapsed().as_secs_f64());
    ledger.close();
    drop(ledger);
    let bytes = directory.path().join("ledger.sqlite").metadata().unwrap().len();
    println!("  {:.1} MB on disk, {} bytes each", bytes as f64 / 1e6, bytes / count);

    let begun = Instant::now();
    let ledger = open(directory.path());
    let mut page: Vec<DueCopy> = ledger.due_copies(None, 100_000).await.unwrap();
    println!(
        "  {} earliest, {:.1} ms after opening",
        page.len(),
        begun.elapsed().as_secs_f64() * 1e3
    );
    let (begun, spent) = (Instant::now(), cpu());
    let mut seen = 0;
    while let Some(last) = page.last().copied() {
        seen += page.len() as u64;
        page = ledger.due_copies(Some(last), 10_000).await.unwrap();
    }
    assert_eq!(seen, count);
    let spent = (cpu() - spent).as_secs_f64() * 1e6 / count as f64;
    let wall_ms = begun.elapsed().as_secs_f64() * 1e3;
    println!("  the rest by pages of 10,000 in {wall_ms:.1} ms, {spent:.2} µs CPU each");
    let begun = Instant::now();
    let totals = ledger.totals().await.unwrap();
    assert_eq!(totals.purges_owed, count);
    println!("  totals in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
}

fn accepting(record: &Record) -> Transition {
    Transition {
        record: record.clone(),
        expected_version: None,
        key: None,
        event: "accepted",
        detail: None,
        at: START,
    }
}

fn uploaded() -> Event {
    let copy = NewCopy {
        kind: CopyKind::UploadedMedia,
        state: CopyState::Owed,
        host: "api.mypurecloud.com".to_owned(),
        client: "6f1c0f4e-9c2b-4f0e-8a51-0d1f7f0f9b11".to_owned(),
        private: Private(vec![b'u'; 300]),
    };
    let post = Intent { step: Step::Post, private: Private(vec![b'p'; 150]) };
    Event::Uploaded { copies: vec![copy], post: Some(post) }
}

fn posted(number: u64) -> Event {
    let message_id = Some("0d1f7f0f-9c2b-4f0e-8a51-6f1c0f4e9b11".to_owned());
    let due_at = START.plus_ms(900_000 + i64::try_from(number).unwrap() / 10);
    Event::Posted { posted: Posted { message_id, ..Posted::default() }, due_at, retention: false }
}

fn accepted(number: u64) -> Record {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    let conversation = format!("c0ffee00-0000-4000-8000-{:012x}", number % 1000);
    Record {
        id: MessageId::new(START, random),
        accepted_seq: 0,
        version: 0,
        principal: Principal::loopback(),
        route: RouteName::MediaApi,
        lane: Lane(conversation.clone()),
        stage: Stage::Accepted,
        clip: ClipPlace::Memory,
        media: Media {
            container: Deliverable::Ogg,
            codec: Codec::Opus,
            duration_ms: 4980,
            sample_rate_hz: 48_000,
            channels: 1,
            bytes: 20_310,
            notes: Vec::new(),
        },
        sha256: "5e".repeat(32),
        converted_from: None,
        waveform: None,
        conversation_id: Some(conversation),
        envelope: Some(Envelope { sender_id: Some("guest-1".to_owned()), ..Envelope::default() }),
        transcript: Some(Transcript::choose(Some("Where is my parcel?".to_owned()), "")),
        intent: Some(Intent { step: Step::Upload, private: Private(vec![b'i'; 100]) }),
        attempts: 1,
        next_attempt_at: None,
        post_in_doubt: false,
        withdrawn: false,
        possible_duplicate: false,
        audio_dropped: false,
        was_promised: false,
        last_error_code: None,
        ending: None,
        message_id: None,
        crashes: 0,
        clip_kept_until: None,
        clip_attempts: 0,
        created_at: START.plus_ms(i64::try_from(number).unwrap()),
        uploaded_at: None,
        posted_at: None,
        expires_at: START.plus_seconds(3600),
        copies: Vec::new(),
    }
}
