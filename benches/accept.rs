//! What does accepting cost without Genesys? From a complete body to the message on its way
//! (commit 1, with the upload's intent, then the upload is called), and to the 202 of
//! `Prefer: respond-async` (commit 1, clip synced to the spool, commit 2). Pipeline, actors,
//! ledger and spool are the real ones on a real disk; HTTP is left out, and Genesys never answers.
//!
//! `cargo bench --bench accept`; `--test` runs the same on a small scale.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use ring::digest;
use tokio::sync::oneshot;
use voicepost::actors::{self, Actors, Cast, ClipRules, PurgeRules};
use voicepost::audio::Gate;
use voicepost::clock::Clock;
use voicepost::domain::{
    AudioLimits, Backoff, Conversion, Envelope, Keeping, NewMessage, Origin, Patience, Principal,
};
use voicepost::genesys::api::Api;
use voicepost::genesys::media_api::{MediaApiPlanner, MediaApiRoute, MediaApiRules};
use voicepost::genesys::transport::{Answer, Call, CallName, Called, Transport};
use voicepost::ledger::Ledger;
use voicepost::ledger::sqlite::{SqliteLedger, SqliteOptions};
use voicepost::pipeline::{Admission, Answer as Told, Bounds, DriveRules, Engine, Parts, Pipeline};
use voicepost::settings::{AccessSecrets, Credentials, OnUnknown, Secret, UploadBody};
use voicepost::spool::Spool;
use voicepost::spool::disk::DiskSpool;
use voicepost::telemetry::Metrics;

const LIMITS: AudioLimits = AudioLimits {
    duration_ms_max: 60_000,
    duration_ms_grace: 500,
    duration_ms_min: 100,
    bytes_max: 12 * 1024 * 1024,
};
/// As the network hands a body over.
const PIECE_BYTES: usize = 16 * 1024;

/// Who waits for the upload of which message, by its file name.
type Leaving = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;

fn main() {
    let tiny = std::env::args().any(|argument| argument == "--test");
    let messages = if tiny { 64 } else { 4_000 };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio/hello.ogg");
    let clip = Bytes::from(std::fs::read(path).unwrap());
    println!("clip of {} bytes; CPU of all threads", clip.len());
    for submitters in [1, 16, 64] {
        let messages = if submitters == 1 { messages / 4 } else { messages };
        for respond_async in [false, true] {
            let bench = Bench { clip: clip.clone(), respond_async, submitters, messages };
            actix_rt::System::new().block_on(bench.run());
        }
    }
}

struct Bench {
    clip: Bytes,
    respond_async: bool,
    submitters: usize,
    messages: usize,
}

impl Bench {
    async fn run(self) {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = tempfile::Builder::new().prefix("accept-").tempdir_in(target).unwrap();
        let leaving = Leaving::default();
        let (pipeline, ledger) = pipeline(directory.path(), &leaving).await;
        let (begun, spent) = (Instant::now(), cpu());
        let waits = Rc::new(RefCell::new(Vec::with_capacity(self.messages)));
        let bench = Rc::new(self);
        let tasks = (0..bench.submitters).map(|submitter| {
            let (bench, waits) = (Rc::clone(&bench), Rc::clone(&waits));
            let (pipeline, leaving) = (Arc::clone(&pipeline), Arc::clone(&leaving));
            actix_rt::spawn(async move {
                for number in (submitter..bench.messages).step_by(bench.submitters) {
                    let begun = Instant::now();
                    bench.accept(&pipeline, &leaving, number).await;
                    waits.borrow_mut().push(begun.elapsed());
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let (wall, spent) = (begun.elapsed(), cpu() - spent);
        let mut waits = waits.take();
        waits.sort();
        let part = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        println!(
            "{:<38}{:>3} at once: {:>6.0}/s, {:>4.0} µs CPU each, p50 {:>5.2} ms, p99 {:>5.2} ms",
            match bench.respond_async {
                false => "to the upload's first byte (1 commit)",
                true => "to the early 202 (2 commits + spool)",
            },
            bench.submitters,
            waits.len() as f64 / wall.as_secs_f64(),
            spent.as_secs_f64() * 1e6 / waits.len() as f64,
            part(50),
            part(99),
        );
        ledger.close();
    }

    /// One message: the gate and the hash over its clip, then the pipeline.
    async fn accept(&self, pipeline: &Arc<Pipeline>, leaving: &Leaving, number: usize) {
        let ticket = pipeline.enter().unwrap();
        let (id, bytes) = (pipeline.clock().new_id(), self.clip.len() as u64);
        let mut clip = pipeline.admission().receive(id, Some(bytes), LIMITS.bytes_max).unwrap();
        let mut gate = Gate::new(LIMITS);
        let mut hash = digest::Context::new(&digest::SHA256);
        for piece in self.clip.chunks(PIECE_BYTES) {
            gate.feed(piece).unwrap();
            hash.update(piece);
            clip.push(self.clip.slice_ref(piece)).await.unwrap();
        }
        let clip = clip.finish().await.unwrap();
        let name = format!("clip-{number}");
        let message = NewMessage {
            id,
            principal: Principal::loopback(),
            key: None,
            conversation_id: Some(format!("conversation-{number}")),
            envelope: Envelope {
                sender_id: Some("guest-1".to_owned()),
                file_stem: Some(name.clone()),
                ..Envelope::default()
            },
            transcript: None,
            media: gate.finish().unwrap(),
            sha256: hash.finish().as_ref().try_into().unwrap(),
            patience: Patience { respond_async: self.respond_async, wait_ms: 600_000 },
            received_at: pipeline.clock().now(),
        };
        let (left, leaves) = oneshot::channel();
        leaving.lock().unwrap().insert(name, left);
        let answer = Arc::clone(pipeline);
        let answer = actix_rt::spawn(async move { answer.submit(message, clip, ticket).await });
        match self.respond_async {
            true => assert!(matches!(answer.await.unwrap(), Told::Accepted(_))),
            false => leaves.await.unwrap(),
        }
    }
}

/// Grants a token, then takes every upload and answers none.
struct Silent {
    leaving: Leaving,
}

impl Transport for Silent {
    fn call(&self, call: Call) -> LocalBoxFuture<'_, Called> {
        if call.name == CallName::Token {
            let body = Bytes::from_static(br#"{"access_token":"token","expires_in":86400}"#);
            let answer = Answer {
                status: 200,
                retry_after_ms: None,
                rate: None,
                body,
                may_be_cut_off: false,
            };
            return std::future::ready(Called::Answered(answer)).boxed_local();
        }
        let named = call.headers.iter().find_map(|(name, value)| {
            let value = (*name == "content-disposition").then_some(value)?;
            Some(value.split('"').nth(1)?.strip_suffix(".ogg")?.to_owned())
        });
        if let Some(left) = self.leaving.lock().unwrap().remove(&named.unwrap()) {
            // With respond-async nobody waits for it.
            let _ = left.send(());
        }
        std::future::pending().boxed_local()
    }
}

async fn pipeline(directory: &Path, leaving: &Leaving) -> (Arc<Pipeline>, Arc<SqliteLedger>) {
    let fatal: actors::Fatal = Arc::new(|reason| panic!("{reason}"));
    let path = directory.join("ledger.db");
    let ledger = SqliteLedger::open(&path, SqliteOptions::default(), Arc::clone(&fatal)).unwrap();
    let ledger = Arc::new(ledger);
    let shared: Arc<dyn Ledger> = ledger.clone();
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let origin = Origin { host: "https://genesys".to_owned(), client: "client".to_owned() };
    let backoff = Backoff { pause_ms_min: 2_000, pause_ms_max: 10_000 };
    let cast = cast(leaving, &origin, &shared, &clock, &metrics, backoff, &fatal);
    let engine = actix_rt::Arbiter::new();
    let (started, actors) = oneshot::channel::<Actors>();
    engine.spawn_fn(move || drop(started.send(actors::start(cast))));
    let rules = MediaApiRules {
        placeholder: "Audio message".to_owned(),
        media_url_seconds_max: 600,
        origin,
    };
    let spool: Arc<dyn Spool> = Arc::new(DiskSpool::open(&directory.join("spool")).unwrap());
    let bounds = Bounds {
        requests_max: 100_000,
        drives_max: 100_000,
        clips_bytes_max: 1 << 30,
        read_back_bytes_max: LIMITS.bytes_max,
        spool_bytes_max: 1 << 40,
    };
    let parts = Parts {
        ledger: shared,
        spool: Arc::clone(&spool),
        planner: Arc::new(MediaApiPlanner::new(rules)),
        actors: actors.await.unwrap(),
        clock,
        rules: DriveRules {
            attempts: 3,
            backoff,
            later_backoff: backoff,
            expires_after_seconds: 3_600,
            on_unknown: OnUnknown::Repeat,
            keeping: Keeping { ttl_seconds: 3_600, delay_seconds_min: 30, failed_seconds: 0 },
            backpressure_seconds: 300,
            waveforms: false,
        },
        admission: Admission::new(bounds, spool),
        metrics,
        fatal,
    };
    (Pipeline::new(parts, Engine::On(engine.handle())), ledger)
}

fn cast(
    leaving: &Leaving,
    origin: &Origin,
    ledger: &Arc<dyn Ledger>,
    clock: &Clock,
    metrics: &Arc<Metrics>,
    backoff: Backoff,
    fatal: &actors::Fatal,
) -> Cast {
    let (leaving, origin) = (Arc::clone(leaving), origin.clone());
    Cast {
        transport: Box::new(move || Rc::new(Silent { leaving })),
        route: Box::new(move |transport, tokens, gate| {
            let api = Api { base_url: origin.host.clone(), transport, tokens, gate };
            Rc::new(MediaApiRoute::new(api, origin, UploadBody::Raw))
        }),
        login_url: "https://login".to_owned(),
        credentials: Credentials {
            client_id: "client".to_owned(),
            client_secret: Secret::new("secret".to_owned()).into(),
            access: AccessSecrets::default(),
        },
        ledger: Arc::clone(ledger),
        clock: clock.clone(),
        clip_rules: ClipRules { limits: LIMITS, conversion: Conversion::Off, transcodes_max: 1 },
        purge_rules: PurgeRules {
            backoff,
            ttl_seconds: 3_600,
            delay_seconds_min: 30,
            calls_max: 8,
        },
        uploads_max: 100_000,
        posts_max: 16,
        metrics: Arc::clone(metrics),
        fatal: Arc::clone(fatal),
    }
}

/// CPU time of the threads that live now (Linux, `/proc/self/task/TID/schedstat`: the first
/// number).
fn cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let spent = threads.map(|thread| {
        let text = std::fs::read_to_string(thread.unwrap().path().join("schedstat"));
        text.unwrap_or_default().split(' ').next().and_then(|t| t.parse::<u64>().ok()).unwrap_or(0)
    });
    Duration::from_nanos(spent.sum())
}
