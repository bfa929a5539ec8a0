//! The numbers behind `/metrics`. Every label is a closed list, so the number of series has a
//! bound; units are seconds and bytes, and stand in the names (Prometheus naming guide).
//!
//! Nothing here is static: whoever counts holds the [`Metrics`] of its own gateway.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::{Code, Event, Outcome};

/// The media type of [`Metrics::render`].
pub const OPENMETRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of [`Metrics::render_classic`].
pub const CLASSIC_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A call to Genesys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// The exchange of credentials for a token.
    Token,
    /// A clip goes up.
    Upload,
    /// A message is posted.
    Post,
    /// A post in doubt is looked up.
    LookUp,
    /// The retention of an upload is set.
    Retention,
    /// An upload is deleted.
    Delete,
    /// What Genesys keeps of a hosted file is listed.
    CachedMedia,
    /// Genesys is told what became of an agent's reply.
    Receipt,
}

impl Call {
    /// Every call.
    pub const ALL: [Call; 8] = [
        Call::Token,
        Call::Upload,
        Call::Post,
        Call::LookUp,
        Call::Retention,
        Call::Delete,
        Call::CachedMedia,
        Call::Receipt,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Call::Token => "token",
            Call::Upload => "upload",
            Call::Post => "post",
            Call::LookUp => "look-up",
            Call::Retention => "retention",
            Call::Delete => "delete",
            Call::CachedMedia => "cached-media",
            Call::Receipt => "receipt",
        }
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It did what it was for.
    Done,
    /// It was answered, and did not.
    Refused,
    /// It never left.
    NotSent,
    /// Nobody knows.
    Unknown,
}

impl CallOutcome {
    const ALL: [CallOutcome; 4] =
        [CallOutcome::Done, CallOutcome::Refused, CallOutcome::NotSent, CallOutcome::Unknown];

    fn as_str(self) -> &'static str {
        match self {
            CallOutcome::Done => "done",
            CallOutcome::Refused => "refused",
            CallOutcome::NotSent => "not-sent",
            CallOutcome::Unknown => "unknown",
        }
    }
}

impl<T> From<&Outcome<T>> for CallOutcome {
    fn from(outcome: &Outcome<T>) -> CallOutcome {
        match outcome {
            Outcome::Done(_) => CallOutcome::Done,
            Outcome::Refused(_) => CallOutcome::Refused,
            Outcome::NotSent(_) => CallOutcome::NotSent,
            Outcome::Unknown(_) => CallOutcome::Unknown,
        }
    }
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// All numbers of one gateway. Counting is cheap and never fails.
#[derive(Debug)]
pub struct Metrics {
    /// Requests that have come in and are not answered.
    pub requests_in_flight: Gauge,
    /// Messages that a drive works on.
    pub drives_awake: Gauge,
    /// Bytes of clips in memory.
    pub clip_memory_bytes: Gauge,
    /// Bytes of clips in the spool, those on their way included.
    pub spool_bytes: Gauge,
    /// Purges the janitor holds in memory; more may wait in the ledger.
    pub purges_in_heap: Gauge,
    requests: Family<Labels<1>, Counter>,
    messages: Family<Labels<1>, Counter>,
    calls: Family<Labels<2>, Counter>,
    call_seconds: Family<Labels<1>, Histogram>,
    accept_seconds: Histogram,
    commit_seconds: Histogram,
    purge_lag_seconds: Histogram,
    token_valid: Gauge,
    registry: Registry,
}

/// From what a call to the sandbox takes to the longest time-out that can be set.
const CALL_SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// From one commit to a slow upload.
const ACCEPT_SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0, 60.0];
/// From a disk with a battery to one that hardly answers.
const COMMIT_SECONDS: [f64; 14] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
/// From on time to a day late.
const PURGE_LAG_SECONDS: [f64; 9] = [0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 86_400.0];

impl Metrics {
    /// Numbers that all stand at zero.
    pub fn new() -> Arc<Metrics> {
        let mut metrics = Metrics {
            requests_in_flight: Gauge::default(),
            drives_awake: Gauge::default(),
            clip_memory_bytes: Gauge::default(),
            spool_bytes: Gauge::default(),
            purges_in_heap: Gauge::default(),
            requests: Family::default(),
            messages: Family::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(|| Histogram::new(CALL_SECONDS)),
            accept_seconds: Histogram::new(ACCEPT_SECONDS),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            purge_lag_seconds: Histogram::new(PURGE_LAG_SECONDS),
            token_valid: Gauge::default(),
            registry: Registry::with_prefix("voicepost"),
        };
        metrics.register();
        metrics.show_zeros();
        Arc::new(metrics)
    }

    /// A request was answered: `None` with what it asked for, else with this problem.
    pub fn answered(&self, problem: Option<Code>) {
        let code = problem.map_or("ok", Code::as_str);
        self.requests.get_or_create(&[("code", code)]).inc();
    }

    /// A message was accepted by a commit.
    pub fn accepted(&self, took: Duration) {
        self.messages.get_or_create(&[("event", "accepted")]).inc();
        self.accept_seconds.observe(took.as_secs_f64());
    }

    /// A message's commit was on the disk so long after it was asked for.
    pub fn committed(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// A commit changed a message.
    pub fn happened(&self, event: &Event) {
        self.messages.get_or_create(&[("event", event.name())]).inc();
    }

    /// A call to Genesys ended, however it did.
    pub fn called(&self, call: Call, outcome: CallOutcome, took: Duration) {
        let labels = [("call", call.as_str()), ("outcome", outcome.as_str())];
        self.calls.get_or_create(&labels).inc();
        self.call_seconds.get_or_create(&[labels[0]]).observe(took.as_secs_f64());
    }

    /// A copy was proven gone, so long after it was due.
    pub fn purged(&self, late: Duration) {
        self.purge_lag_seconds.observe(late.as_secs_f64());
    }

    /// Whether there is a token to call with.
    pub fn set_token_valid(&self, valid: bool) {
        self.token_valid.set(i64::from(valid));
    }

    /// All numbers as OpenMetrics 1.0 text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String does not fail");
        text
    }

    /// All numbers as Prometheus text 0.0.4, for readers that do not ask for OpenMetrics. There a
    /// counter's family bears the `_total` of its samples, and `UNIT` and `EOF` do not exist.
    pub fn render_classic(&self) -> String {
        let open = self.render();
        let is_counter = |name: &str| open.contains(&format!("# TYPE {name} counter\n"));
        let mut text = String::with_capacity(open.len());
        for line in open.lines() {
            let mut words = line.splitn(4, ' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("#"), Some("UNIT" | "EOF"), ..) => continue,
                (Some("#"), Some(word), Some(name), Some(rest)) if is_counter(name) => {
                    text.push_str(&format!("# {word} {name}_total {rest}"));
                }
                _ => text.push_str(line),
            }
            text.push('\n');
        }
        text
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let version = env!("CARGO_PKG_VERSION");
        let build: Family<Labels<1>, Gauge> = Family::default();
        build.get_or_create(&[("version", version)]).set(1);
        // The client appends the units, `_total`, and a full stop to the help texts.
        registry.register("build_info", "The version that runs; always 1", build);
        registry.register(
            "requests",
            "Requests answered, by problem code or ok",
            self.requests.clone(),
        );
        registry.register(
            "messages",
            "Events in the life of voice messages, as committed to the ledger",
            self.messages.clone(),
        );
        registry.register("calls", "Calls to Genesys, by what became of them", self.calls.clone());
        let seconds = [
            ("accept", "Time from a complete request body to the commit", &self.accept_seconds),
            ("commit", "Time that the commits of deliveries waited and took", &self.commit_seconds),
            ("purge_lag", "Time by which purges were late", &self.purge_lag_seconds),
        ];
        for (name, help, histogram) in seconds {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        registry.register_with_unit(
            "call",
            "Time that calls to Genesys took",
            Unit::Seconds,
            self.call_seconds.clone(),
        );
        let bytes = [
            ("clip_memory", "Clips in memory", &self.clip_memory_bytes),
            ("spool", "Clips in the spool and on their way there", &self.spool_bytes),
        ];
        for (name, help, gauge) in bytes {
            registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        }
        let gauges = [
            ("requests_in_flight", "Requests not yet answered", &self.requests_in_flight),
            ("drives_awake", "Messages worked on", &self.drives_awake),
            ("purges_in_heap", "Purges the janitor holds in memory", &self.purges_in_heap),
            ("token_valid", "1 while there is a token to call with, else 0", &self.token_valid),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    /// A series that is missing until its first event cannot be told from one that is not there.
    fn show_zeros(&self) {
        drop(self.requests.get_or_create(&[("code", "ok")]));
        for code in Code::ALL {
            drop(self.requests.get_or_create(&[("code", code.as_str())]));
        }
        drop(self.messages.get_or_create(&[("event", "accepted")]));
        for call in Call::ALL {
            drop(self.call_seconds.get_or_create(&[("call", call.as_str())]));
            for outcome in CallOutcome::ALL {
                let labels = [("call", call.as_str()), ("outcome", outcome.as_str())];
                drop(self.calls.get_or_create(&labels));
            }
        }
    }
}

/// Counts in a gauge as long as it lives, so that a future which is dropped does not count on.
#[derive(Debug)]
pub struct GaugeGuard {
    gauge: Gauge,
    amount: i64,
}

impl GaugeGuard {
    /// Adds `amount` to the gauge until the guard is dropped.
    pub fn new(gauge: &Gauge, amount: i64) -> GaugeGuard {
        gauge.inc_by(amount);
        GaugeGuard { gauge: gauge.clone(), amount }
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.gauge.dec_by(self.amount);
    }
}
