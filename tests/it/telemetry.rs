//! Telemetry: what is counted is shown, and the log goes where it is told, filtered and parseable.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use voicepost::domain::{Code, Event, Failure, Outcome};
use voicepost::settings::{Log, LogFormat, Settings};
use voicepost::telemetry::{self, Call, CallOutcome, GaugeGuard, Metrics};

#[track_caller]
fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no line {line:?} in\n{text}");
}

#[test]
fn what_is_counted_is_shown() {
    let metrics = Metrics::new();
    metrics.answered(None);
    metrics.answered(Some(Code::AudioTooLong));
    metrics.accepted(Duration::from_millis(2));
    metrics.happened(&Event::PostDisproved);
    let lost: Outcome<()> = Outcome::Unknown(Failure::passing(Code::GenesysAnswerLost, "x"));
    metrics.called(Call::Post, CallOutcome::from(&lost), Duration::from_millis(300));
    metrics.purged(Duration::from_secs(2));
    metrics.set_token_valid(true);
    metrics.purges_in_heap.set(7);

    let text = metrics.render();
    for line in [
        "voicepost_requests_total{code=\"ok\"} 1",
        "voicepost_requests_total{code=\"audio-too-long\"} 1",
        "voicepost_requests_total{code=\"busy\"} 0",
        "voicepost_messages_total{event=\"accepted\"} 1",
        "voicepost_messages_total{event=\"post-disproved\"} 1",
        "voicepost_calls_total{call=\"post\",outcome=\"unknown\"} 1",
        "voicepost_calls_total{call=\"delete\",outcome=\"done\"} 0",
        "voicepost_call_seconds_bucket{le=\"0.25\",call=\"post\"} 0",
        "voicepost_call_seconds_bucket{le=\"0.5\",call=\"post\"} 1",
        "voicepost_accept_seconds_count 1",
        "voicepost_purge_lag_seconds_bucket{le=\"5.0\"} 1",
        "voicepost_clip_memory_bytes 0",
        "voicepost_spool_bytes 0",
        "voicepost_requests_in_flight 0",
        "voicepost_drives_awake 0",
        "voicepost_purges_in_heap 7",
        "voicepost_token_valid 1",
        concat!("voicepost_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "# EOF",
    ] {
        assert_line(&text, line);
    }
}

#[test]
fn the_classic_text_names_counters_by_their_samples() {
    let metrics = Metrics::new();
    metrics.answered(None);
    let text = metrics.render_classic();
    assert_line(&text, "# TYPE voicepost_requests_total counter");
    assert_line(&text, "voicepost_requests_total{code=\"ok\"} 1");
    assert_line(&text, "# TYPE voicepost_accept_seconds histogram");
    assert!(text.contains("# HELP voicepost_requests_total "), "{text}");
    assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
    let samples = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(samples(&text), samples(&metrics.render()));
}

#[test]
fn a_guard_counts_only_while_it_lives() {
    let metrics = Metrics::new();
    let guard = GaugeGuard::new(&metrics.clip_memory_bytes, 4096);
    assert_eq!(metrics.clip_memory_bytes.get(), 4096);
    drop(guard);
    assert_eq!(metrics.clip_memory_bytes.get(), 0);
}

/// Where a test's log goes.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        let bytes = self.0.lock().expect("no test panics while it logs").clone();
        String::from_utf8(bytes).expect("a log is UTF-8")
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no test panics while it logs").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Sink {
    type Writer = Sink;

    fn make_writer(&'w self) -> Sink {
        self.clone()
    }
}

fn logged(format: LogFormat, filter: &str) -> String {
    let sink = Sink::default();
    let settings = Log { format, filter: filter.to_owned() };
    let log = telemetry::subscriber(&settings, sink.clone(), false).expect("a good filter");
    tracing::dispatcher::with_default(&log, || {
        tracing::info!(bytes = 20_310, "clip accepted");
        tracing::debug!("not to be seen");
    });
    sink.text()
}

#[test]
fn the_log_is_filtered_and_has_one_line_an_event() {
    let text = logged(LogFormat::Text, "info");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("clip accepted bytes=20310"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours where nobody asked for them: {text:?}");
    assert_eq!(logged(LogFormat::Text, "warn"), "");
}

#[test]
fn the_log_for_machines_is_one_object_a_line() {
    let text = logged(LogFormat::Json, "it=debug");
    let events: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2, "{text}");
    assert_eq!(events[0]["message"], "clip accepted");
    assert_eq!(events[0]["bytes"], 20_310);
    assert_eq!(events[0]["level"], "INFO");
}

#[test]
fn a_filter_that_is_none_is_refused() {
    let settings = Log { filter: "info,=".to_owned(), ..Settings::default().log };
    let error = telemetry::subscriber(&settings, std::io::sink, false).unwrap_err();
    assert!(error.to_string().contains("\"info,=\""), "{error}");
}
