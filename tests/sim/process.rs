//! One life of the gateway: from its start to the death that the plan names, or until nothing is
//! left to do.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::digest;
use tokio::sync::watch;
use voicepost::actors::{self, Cast, ClipRules, Fatal, PurgeRules};
use voicepost::audio::Gate;
use voicepost::clock::Clock;
use voicepost::domain::{
    AudioLimits, Backoff, ClipPlace, Code, Conversion, Envelope, Keeping, MessageId, NewMessage,
    Principal, Record, RouteName, Stage,
};
use voicepost::genesys::transport::Transport;
use voicepost::ledger::Ledger;
use voicepost::pipeline::{Admission, Answer, Bounds, Clip, DriveRules, Engine, Parts, Pipeline};
use voicepost::settings::{AccessSecrets, Credentials, OnUnknown, Secret};
use voicepost::telemetry::Metrics;

use crate::limits::{OnTheWire, POSTS_MAX, PURGES_MAX, UPLOADS_MAX};
use crate::plan::{ClockStep, Crash, Intervention, Order, Sending};
use crate::transport::SandboxTransport;
use crate::way::{self, CLIENT, HOST};
use crate::world::{MortalLedger, START, World, clip};

/// Shorter than in production, so that a run stays short; the floor is the real one.
pub const KEEPING: Keeping =
    Keeping { ttl_seconds: 60, delay_seconds_min: 30, failed_seconds: 120 };
/// Nothing takes longer than this in simulated time; what does hangs.
const RUN_MAX: Duration = Duration::from_secs(6 * 3_600);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Where the plan wanted it.
    Died,
    /// Nothing left to do.
    Quiet,
}

/// Runs one process over the world.
pub fn run(world: &mut World, crash: Option<Crash>) -> Ended {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let system = actix::System::with_tokio_rt(runtime);
    system.block_on(async {
        let seed = world.plan.seed ^ world.now.0.unsigned_abs();
        let clock = Clock::simulated(world.now.plus_ms(world.stepped_ms), seed);
        let time = Clock::simulated(world.now, seed);
        let steps = step_the_clock(world, &clock, &time);
        let (died, mut death) = watch::channel(false);
        world.files.watch_with(time.clone());
        let pipeline = start(world, crash, &clock, &time, &died);
        actix::spawn(Arc::clone(&pipeline).keep_dates_right());
        let life = async {
            let started = &world.counters.started;
            started.store(false, Ordering::Relaxed);
            pipeline.recover().await.unwrap();
            started.store(true, Ordering::Relaxed);
            send_what_is_unanswered(world, &pipeline, &time);
            step_in(world, &pipeline, &time);
            quiet(world, &pipeline).await;
            if world.plan.operator && !world.operated() {
                operate(world, &pipeline).await;
                quiet(world, &pipeline).await;
            }
        };
        let ended = tokio::select! {
            biased;
            _ = death.wait_for(|died| *died) => Ended::Died,
            () = life => Ended::Quiet,
            () = tokio::time::sleep(RUN_MAX) => panic!("still not quiet after {RUN_MAX:?}"),
        };
        drop(steps);
        world.stepped_ms = clock.now().0 - time.now().0;
        world.now = time.now().plus_ms(250);
        ended
    })
}

/// Steps the gateway's clock when the plan wants it; those of earlier processes have happened.
fn step_the_clock(
    world: &World,
    clock: &Clock,
    time: &Clock,
) -> Vec<actix_rt::task::JoinHandle<()>> {
    let due = |step: &&ClockStep| START.plus_ms(step.at_ms) >= world.now;
    let steps = world.plan.steps.iter().filter(due);
    steps
        .map(|step| {
            let wait_ms = START.plus_ms(step.at_ms).ms_since(time.now());
            let (clock, by_ms) = (clock.clone(), step.by_ms);
            actix::spawn(async move {
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                clock.step(by_ms);
            })
        })
        .collect()
}

fn start(
    world: &World,
    crash: Option<Crash>,
    clock: &Clock,
    time: &Clock,
    died: &watch::Sender<bool>,
) -> Arc<Pipeline> {
    let fatal: Fatal = Arc::new(|reason: String| panic!("fatal: {reason}"));
    let ledger: Arc<dyn Ledger> = Arc::new(MortalLedger {
        inner: Arc::clone(&world.ledger),
        counters: Arc::clone(&world.counters),
        crash,
        died: died.clone(),
        seed: world.plan.seed,
        full_percent: world.plan.full_percent,
        full_once: Mutex::new(world.plan.full_once),
    });
    let metrics = Metrics::new();
    let cast = Cast {
        transport: transport(world, crash, time, died),
        route: way::factory(world),
        login_url: HOST.to_owned(),
        credentials: Credentials {
            client_id: CLIENT.to_owned(),
            client_secret: Secret::new("sandbox-secret").into(),
            access: AccessSecrets::default(),
        },
        ledger: Arc::clone(&ledger),
        clock: clock.clone(),
        clip_rules: ClipRules { limits: LIMITS, conversion: Conversion::Off, transcodes_max: 1 },
        purge_rules: PurgeRules {
            backoff: Backoff { pause_ms_min: 2_000, pause_ms_max: 60_000 },
            ttl_seconds: KEEPING.ttl_seconds,
            delay_seconds_min: KEEPING.delay_seconds_min,
            calls_max: PURGES_MAX,
        },
        uploads_max: UPLOADS_MAX,
        posts_max: POSTS_MAX,
        metrics: Arc::clone(&metrics),
        fatal: Arc::clone(&fatal),
    };
    let parts = Parts {
        ledger,
        spool: world.spool.clone(),
        planner: way::planner(world),
        actors: actors::start(cast),
        clock: clock.clone(),
        rules: DriveRules { on_unknown: world.plan.on_unknown, ..RULES },
        admission: Admission::new(
            Bounds { clips_bytes_max: world.plan.clips_bytes_max, ..BOUNDS },
            world.spool.clone(),
        ),
        metrics,
        fatal,
    };
    Pipeline::new(parts, Engine::Here)
}

/// Few places, so that messages have to sleep; memory for one clip, so that others are spooled
/// while they come.
const BOUNDS: Bounds = Bounds {
    requests_max: 64,
    drives_max: 4,
    clips_bytes_max: 32 * 1024,
    read_back_bytes_max: LIMITS.bytes_max,
    spool_bytes_max: 64 * 1024 * 1024,
};

/// The pauses of the default settings.
const RULES: DriveRules = DriveRules {
    attempts: 3,
    backoff: Backoff { pause_ms_min: 2_000, pause_ms_max: 10_000 },
    later_backoff: Backoff { pause_ms_min: 5_000, pause_ms_max: 60_000 },
    expires_after_seconds: 3_600,
    on_unknown: OnUnknown::Repeat,
    keeping: KEEPING,
    backpressure_seconds: 300,
    waveforms: false,
};

fn transport(
    world: &World,
    crash: Option<Crash>,
    clock: &Clock,
    died: &watch::Sender<bool>,
) -> Box<dyn FnOnce() -> Rc<dyn Transport> + Send> {
    let (sandbox, counters) = (Arc::clone(&world.sandbox), Arc::clone(&world.counters));
    let (clock, died, outage) = (clock.clone(), died.clone(), world.plan.outage);
    Box::new(move || {
        Rc::new(SandboxTransport {
            sandbox,
            clock,
            counters,
            crash,
            died,
            outage,
            closed_until_ms: RefCell::default(),
            on_the_wire: OnTheWire::default(),
        })
    })
}

/// Starts a sender for every message that has no answer yet. The tasks end with the process.
fn send_what_is_unanswered(world: &World, pipeline: &Arc<Pipeline>, time: &Clock) {
    for (number, sending) in world.plan.sendings.iter().enumerate() {
        let answered = world.senders.lock().unwrap().answers.contains_key(&number);
        if answered {
            continue;
        }
        let (pipeline, sending) = (Arc::clone(pipeline), sending.clone());
        let route = world.plan.route;
        let senders = Arc::clone(&world.senders);
        let at = START.plus_ms(i64::try_from(sending.at_ms).unwrap());
        let wait_ms = at.ms_since(time.now());
        actix::spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            loop {
                let Ok(ticket) = pipeline.enter() else {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    continue;
                };
                let message = message(&pipeline, route, number, &sending);
                senders.lock().unwrap().ids.entry(number).or_default().push(message.id);
                let clip = receive(&pipeline, message.id).await;
                let answer = pipeline.submit(message, clip, ticket).await;
                if !asks_to_come_back(&answer) {
                    senders.lock().unwrap().answers.insert(number, answer);
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
}

/// 409 `in-progress`: the sender's earlier request is still on its way to being durable.
fn asks_to_come_back(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(problem) if problem.code == Code::InProgress)
}

async fn receive(pipeline: &Pipeline, id: MessageId) -> Clip {
    let announced = Some(clip().len() as u64);
    let mut incoming = pipeline.admission().receive(id, announced, LIMITS.bytes_max).unwrap();
    incoming.push(clip()).await.unwrap();
    incoming.finish().await.unwrap()
}

fn message(pipeline: &Pipeline, route: RouteName, number: usize, sending: &Sending) -> NewMessage {
    let named = sending.conversation_id.clone();
    let (conversation_id, guest) = match route {
        RouteName::MediaApi => (Some(named), "guest".to_owned()),
        // Genesys finds the guest's conversation, or begins one.
        RouteName::OpenMessaging => (None, named),
    };
    let mut gate = Gate::new(LIMITS);
    gate.feed(&clip()).unwrap();
    NewMessage {
        id: pipeline.clock().new_id(),
        principal: Principal::loopback(),
        key: Some(format!("key-{number}")),
        conversation_id,
        envelope: Envelope {
            sender_id: Some(guest),
            file_stem: Some(format!("m{number}")),
            ..Envelope::default()
        },
        transcript: Some(format!("message {number}")),
        media: gate.finish().unwrap(),
        sha256: digest::digest(&digest::SHA256, &clip()).as_ref().try_into().unwrap(),
        patience: sending.patience,
        received_at: pipeline.clock().now(),
    }
}

const LIMITS: AudioLimits = AudioLimits {
    duration_ms_max: 60_000,
    duration_ms_grace: 500,
    duration_ms_min: 100,
    bytes_max: 12 * 1024 * 1024,
};

/// Carries out what the plan wants asked while messages are under way; what earlier processes were
/// asked has happened. Whether it fits the message by then is not known beforehand.
fn step_in(world: &World, pipeline: &Arc<Pipeline>, time: &Clock) {
    let due = |one: &&Intervention| START.plus_ms(one.at_ms) >= world.now;
    for Intervention { at_ms, number, order } in world.plan.interventions.iter().filter(due) {
        let wait_ms = START.plus_ms(*at_ms).ms_since(time.now());
        let (pipeline, senders) = (Arc::clone(pipeline), Arc::clone(&world.senders));
        let (number, order) = (*number, *order);
        let may_be_full = world.plan.full_percent > 0;
        actix::spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            let id = senders.lock().unwrap().ids.get(&number).and_then(|ids| ids.last().copied());
            let Some(id) = id else { return };
            let done = match order {
                Order::Withdraw => pipeline.withdraw(id, &Principal::loopback()).await.map(drop),
                Order::Hold => pipeline.hold(id, "wait".to_owned()).await.map(drop),
                Order::Release => pipeline.release(id).await.map(drop),
                Order::Replay => pipeline.replay(id).await.map(drop),
                Order::PurgeNow => pipeline.purge_now(id).await.map(drop),
            };
            if let Err(problem) = done {
                let is_told = match problem.code {
                    Code::WrongState | Code::MessageNotFound => true,
                    Code::StorageLow => may_be_full,
                    Code::Busy => matches!(order, Order::Withdraw),
                    _ => false,
                };
                assert!(is_told, "{order:?} of message {number}: {problem:?}");
            }
        });
    }
}

/// Once in a run an operator lets held messages go on, and has failed ones delivered anew as far
/// as their clips are still kept.
async fn operate(world: &World, pipeline: &Arc<Pipeline>) {
    world.counters.operated.store(true, Ordering::Relaxed);
    for (_, record) in world.records() {
        let ordered = match record.stage {
            Stage::Held => pipeline.release(record.id).await,
            Stage::Failed => pipeline.replay(record.id).await,
            _ => continue,
        };
        if let Err(problem) = ordered {
            let full = problem.code == Code::StorageLow && world.plan.full_percent > 0;
            assert!(full || problem.code == Code::WrongState, "{problem:?}");
        }
    }
}

/// Waits until every sender is answered, nothing is unfinished but the clips kept of failed
/// messages, and nothing is owed. Before an operator is to come, that is as far as it goes; at the
/// end the kept clips go as well.
async fn quiet(world: &World, pipeline: &Arc<Pipeline>) {
    let operator_comes = world.plan.operator && !world.operated();
    let kept = |record: &Record| record.stage == Stage::Failed && record.clip == ClipPlace::Spooled;
    let mut pause_seconds = 1.0;
    loop {
        tokio::time::sleep(Duration::from_secs_f64(pause_seconds)).await;
        pause_seconds = f64::min(pause_seconds * 1.05, 20.0);
        let answered = world.senders.lock().unwrap().answers.len() == world.plan.sendings.len();
        let unfinished = pipeline.ledger().unfinished(0, 100).await.unwrap();
        let owed = pipeline.ledger().due_copies(None, 1).await.unwrap();
        let only_kept = unfinished.iter().all(|record| operator_comes && kept(record));
        if answered && only_kept && owed.is_empty() && pipeline.board().is_empty() {
            return;
        }
    }
}
