//! What the demo prints: each step in a line for people, or as a JSON object for programs.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app::App;
use crate::domain::{Copy, CopyKind, Record, RouteName};
use crate::ledger::HistoryRow;

/// Prints steps with the time since the start.
pub(super) struct Steps {
    json: bool,
    started: Instant,
}

impl Steps {
    pub(super) fn new(json: bool) -> Steps {
        Steps { json, started: Instant::now() }
    }

    /// One step: a short name, a sentence, and the values for programs.
    pub(super) fn say(&self, step: &str, text: &str, values: Value) {
        let at: Duration = self.started.elapsed();
        if self.json {
            let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
            println!("{}", json!({ "at_ms": at_ms, "step": step, "text": text, "values": values }));
        } else {
            println!("{:8.3}s  {step:<18} {text}", at.as_secs_f64());
        }
    }

    /// Where everything is. `lives` and `usual` are how long copies live here and elsewhere, the
    /// floor after the post first, in seconds.
    pub(super) fn started(&self, sandbox: &str, app: &App, lives: [u64; 2], usual: [u64; 2]) {
        let ([floor_seconds, ttl_seconds], [usual_floor, usual_ttl]) = (lives, usual);
        let text = format!("stand-in for Genesys Cloud on {sandbox}");
        self.say("sandbox", &text, json!({ "url": sandbox }));
        let text = format!(
            "gateway on http://{}, admin on http://{}",
            app.addresses.public, app.addresses.admin
        );
        let (public, admin) = (app.addresses.public.to_string(), app.addresses.admin.to_string());
        self.say("gateway", &text, json!({ "listen": public, "admin": admin }));
        let text = format!(
            "shortened for the demo: audio lives {ttl_seconds} s (default {usual_ttl}), and at \
             least {floor_seconds} s after the post (default {usual_floor})"
        );
        let values = json!({ "ttl_seconds": ttl_seconds, "delay_seconds_min": floor_seconds });
        self.say("settings", &text, values);
    }

    pub(super) fn sending(&self, bytes: usize) {
        let text = format!("POST /v1/voice-messages, hello.ogg, {bytes} bytes");
        self.say("sending", &text, json!({ "bytes": bytes }));
    }

    pub(super) fn answered(&self, status: u16, receipt: &Value) {
        let text = format!(
            "{status}: status {}, message {}",
            receipt["status"].as_str().unwrap_or("?"),
            receipt["message_id"].as_str().unwrap_or("without an id")
        );
        self.say("answer", &text, json!({ "status": status, "receipt": receipt }));
    }

    pub(super) fn happened(&self, row: &HistoryRow, record: Option<&Record>) {
        let text = match (row.event.as_str(), record) {
            ("accepted", Some(record)) => format!(
                "gate: {} in {}, {} ms, {} bytes; its record is durable, and nothing has left yet",
                codec(record),
                record.media.container.container().media_type(),
                record.media.duration_ms,
                record.media.bytes
            ),
            ("upload-intended", _) => "trying the upload again".to_owned(),
            ("uploaded", Some(record)) if record.route == RouteName::OpenMessaging => {
                "the clip lies on the gateway's media host; its purge is owed from now on"
                    .to_owned()
            }
            ("uploaded", _) => "the clip lies at Genesys; its purge is owed from now on".to_owned(),
            ("post-intended", _) => "posting".to_owned(),
            ("posted", Some(record)) => format!(
                "the message stands in conversation {}; {}{}",
                record.conversation_id.as_deref().unwrap_or("?"),
                row.detail.as_deref().unwrap_or_default(),
                beyond_reach(record)
            ),
            ("retention-settled", _) => "Genesys was asked to keep it only so long".to_owned(),
            ("copy-purged", Some(record)) => proof(copy_of(row, record)).to_owned(),
            (_, _) => row.detail.clone().unwrap_or_default(),
        };
        let values = json!({ "message_id": row.message_id, "at": row.at, "detail": row.detail });
        self.say(&row.event, &text, values);
    }

    /// Where to look, before anything else is said.
    pub(super) fn invitation(&self, app: &App) {
        let url = format!("http://{}/", app.addresses.public);
        if self.json {
            self.say("open", "the demo's page", json!({ "url": url }));
            return;
        }
        println!();
        println!("  Open  {url}  in a browser: record a voice message, and watch it arrive.");
        println!("  Stop with Ctrl-C. Below is what happens, as the ledger's history tells it.");
        println!();
    }
}

/// The copy a row of the history is about: its detail begins with the copy's number.
fn copy_of<'a>(row: &HistoryRow, record: &'a Record) -> Option<&'a Copy> {
    let number = row.detail.as_deref()?.strip_prefix("copy ")?.split(':').next()?;
    record.copies.iter().find(|copy| copy.ordinal.to_string() == number)
}

/// What no purge reaches.
fn beyond_reach(record: &Record) -> &'static str {
    let recording = |copy: &Copy| copy.kind == CopyKind::Recording;
    match record.copies.iter().any(recording) {
        true => "; a recording of the conversation, if there is one, cannot be deleted by this API",
        false => "",
    }
}

/// What a purge was proven by.
fn proof(copy: Option<&Copy>) -> &'static str {
    match copy.map(|copy| copy.kind) {
        Some(CopyKind::HostedFile) => "deleted on the gateway's media host",
        Some(CopyKind::CachedMedia) => "what Genesys cached is deleted: it lists no more of it",
        _ => "deleted at Genesys: proven by its answer",
    }
}

fn codec(record: &Record) -> String {
    format!("{:?}", record.media.codec)
}
