//! What a run does: the messages, the trouble upstream, and where the process dies.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use voicepost::domain::{Patience, RouteName};
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule, Latency};
use voicepost::settings::OnUnknown;

/// One message that a sender wants delivered. A sender who gets no answer, because the process
/// died, comes back with the same idempotency key, as senders should.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Into which conversation; on a route where Genesys chooses it, the guest's name.
    pub conversation_id: String,
    /// When, from the start of the run.
    pub at_ms: u64,
    /// How long the sender waits.
    pub patience: Patience,
}

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// At this commit, counted over the run; with or without it being durable.
    Commit { number: u64, durable: bool },
    /// At this call; with or without its effect at the sandbox.
    Call { number: u64, effect: bool },
}

/// A time in which nobody answers.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// From this time of the run.
    pub from_ms: i64,
    /// To this time.
    pub to_ms: i64,
    /// Connections are refused, or else hang until the deadline.
    pub refused: bool,
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything random.
    pub seed: u64,
    /// The way into Genesys.
    pub route: RouteName,
    /// The messages.
    pub sendings: Vec<Sending>,
    /// Trouble upstream.
    pub faults: Vec<FaultRule>,
    /// Calls a minute that the sandbox allows; 0 for no limit.
    pub calls_per_minute: u32,
    /// A time without answers.
    pub outage: Option<Outage>,
    /// Deaths, each the end of one process.
    pub crashes: Vec<Crash>,
    /// Steps of the gateway's wall clock: when, by the senders' time, and by how much.
    pub steps: Vec<ClockStep>,
    /// Memory for clips; a clip in memory is lost with its process.
    pub clips_bytes_max: u64,
    /// The text of a message for whose post the ledger's disk has no room at the first try.
    pub full_once: Option<&'static str>,
    /// Commits, of a hundred, for which the ledger's disk has no room.
    pub full_percent: u64,
    /// What becomes of a post that nobody can look up.
    pub on_unknown: OnUnknown,
    /// Whether an operator, at the end, releases what is held and replays what has failed.
    pub operator: bool,
    /// What is asked for meanwhile.
    pub interventions: Vec<Intervention>,
}

impl Plan {
    /// Whether an operator may move messages out of their places.
    pub fn moves(&self) -> bool {
        let moves = |order| matches!(order, Order::Hold | Order::Release | Order::Replay);
        self.operator || self.interventions.iter().any(|one| moves(one.order))
    }
}

/// Somebody steps in while messages are under way.
#[derive(Clone, Copy, Debug)]
pub struct Intervention {
    /// From the start of the run.
    pub at_ms: i64,
    /// The message, by its number in the plan.
    pub number: usize,
    /// What is asked for.
    pub order: Order,
}

/// What senders and operators may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The sender withdraws it.
    Withdraw,
    /// An operator holds it.
    Hold,
    /// An operator lets it go on.
    Release,
    /// An operator has it delivered anew.
    Replay,
    /// An operator wants its audio gone.
    PurgeNow,
}

/// One step of the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct ClockStep {
    /// From the start of the run.
    pub at_ms: i64,
    /// Forward, or back where negative.
    pub by_ms: i64,
}

impl Plan {
    /// Three messages, two of them in one conversation; nothing goes wrong.
    pub fn calm(route: RouteName) -> Plan {
        let sending = |conversation: &str, at_ms, respond_async| Sending {
            conversation_id: conversation.to_owned(),
            at_ms,
            patience: Patience { respond_async, wait_ms: 10_000 },
        };
        Plan {
            seed: 1,
            route,
            sendings: vec![sending("a", 0, false), sending("a", 5, true), sending("b", 10, false)],
            faults: Vec::new(),
            calls_per_minute: 0,
            outage: None,
            crashes: Vec::new(),
            steps: Vec::new(),
            clips_bytes_max: 32 * 1024,
            full_once: None,
            full_percent: 0,
            on_unknown: OnUnknown::Repeat,
            operator: false,
            interventions: Vec::new(),
        }
    }

    /// Everything from the seed.
    pub fn random(route: RouteName, seed: u64) -> Plan {
        let mut random = StdRng::seed_from_u64(seed);
        let messages = random.random_range(1..12);
        let sendings = (0..messages)
            .map(|_| Sending {
                conversation_id: format!("c{}", random.random_range(0..4)),
                at_ms: random.random_range(0..20_000),
                patience: Patience {
                    respond_async: random.random_bool(0.3),
                    wait_ms: random.random_range(0..20_000),
                },
            })
            .collect();
        let mut faults: Vec<FaultRule> =
            (0..random.random_range(0..5)).map(|_| fault(&mut random, route)).collect();
        let crashes = (0..random.random_range(0..4)).map(|_| crash(&mut random)).collect();
        let limited = random.random_bool(0.2);
        let outage = random.random_bool(0.3).then(|| {
            let from_ms = random.random_range(0..20_000);
            let to_ms = from_ms + random.random_range(1_000..120_000);
            Outage { from_ms, to_ms, refused: random.random_bool(0.5) }
        });
        let calls_per_minute = if limited { random.random_range(10..40) } else { 0 };
        let steps = random.random_bool(0.15).then(|| ClockStep {
            at_ms: random.random_range(0..60_000),
            by_ms: random.random_range(-600_000..3_600_000),
        });
        let mut steps: Vec<ClockStep> = steps.into_iter().collect();
        let hold = random.random_bool(0.2);
        let on_unknown = if hold { OnUnknown::Hold } else { OnUnknown::Repeat };
        let operator = random.random_bool(0.3);
        let orders = if random.random_bool(0.4) { random.random_range(1..8) } else { 0 };
        let interventions = (0..orders).map(|_| intervention(&mut random, messages)).collect();
        let full = random.random_bool(0.15);
        let full_percent = if full { random.random_range(1..15) } else { 0 };
        for rule in &mut faults {
            let waits = matches!(rule.action.status, Some(429 | 503)) && random.random_bool(0.1);
            if waits {
                let seconds = random.random_range(60..1_500);
                rule.action.retry_after = Some(seconds.to_string());
            }
        }
        // Drawn last, so that what seeds have found stays with them: far away, and back again.
        if let Some(step) = steps.first().copied().filter(|_| random.random_bool(0.5)) {
            let days = random.random_range(-3..4);
            steps[0].by_ms += days * 86_400_000;
            let at_ms = step.at_ms + random.random_range(1_000..180_000);
            steps.push(ClockStep { at_ms, by_ms: -steps[0].by_ms });
        }
        Plan {
            seed,
            route,
            sendings,
            faults,
            calls_per_minute,
            outage,
            crashes,
            steps,
            clips_bytes_max: 32 * 1024,
            full_once: None,
            full_percent,
            on_unknown,
            operator,
            interventions,
        }
    }
}

fn intervention(random: &mut StdRng, messages: usize) -> Intervention {
    let orders = [Order::Withdraw, Order::Hold, Order::Release, Order::Replay, Order::PurgeNow];
    Intervention {
        at_ms: random.random_range(0..60_000),
        number: random.random_range(0..messages),
        order: orders[random.random_range(0..orders.len())],
    }
}

fn fault(random: &mut StdRng, route: RouteName) -> FaultRule {
    let endpoints = endpoints(route);
    let endpoint = endpoints[random.random_range(0..endpoints.len())];
    let finals = [400, 403, 404, 413, 415];
    let mut action = match random.random_range(0..7) {
        // A final no; to a delete a 404 would be a proof.
        5 if ![Endpoint::Delete, Endpoint::CachedMediaDelete].contains(&endpoint) => {
            FaultAction::status(finals[random.random_range(0..finals.len())])
        }
        0 => FaultAction::status(429).retry_after(&random.random_range(0..8).to_string()),
        1 => FaultAction::status(503),
        2 => FaultAction { effect: true, ..FaultAction::status(503) },
        3 => FaultAction { cut: Some(Cut::Before), ..FaultAction::default() },
        4 => FaultAction { cut: Some(Cut::After), ..FaultAction::default() },
        _ => FaultAction::default(),
    };
    action.latency_ms = Some(Latency::Range([0, random.random_range(1..45_000)]));
    let mut rule = FaultRule::new(endpoint, action);
    rule.times = Some(random.random_range(1..6));
    rule.rate = random.random_range(0.2..1.0);
    rule
}

fn crash(random: &mut StdRng) -> Crash {
    let number = random.random_range(1..60);
    if random.random_bool(0.5) {
        Crash::Commit { number, durable: random.random_bool(0.5) }
    } else {
        Crash::Call { number, effect: random.random_bool(0.5) }
    }
}

/// Every call that the route makes.
fn endpoints(route: RouteName) -> &'static [Endpoint] {
    use Endpoint::{CachedMedia, CachedMediaDelete, Conversation, Delete, InboundMessage};
    use Endpoint::{Message, Post, Retention, Token, Upload};
    match route {
        RouteName::MediaApi => &[Token, Upload, Post, Retention, Delete],
        RouteName::OpenMessaging => {
            &[Token, InboundMessage, Conversation, Message, CachedMedia, CachedMediaDelete]
        }
    }
}
