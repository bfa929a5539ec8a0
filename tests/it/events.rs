//! Following a message by its event stream.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};

use crate::support::{Client, Form, Request, TestGateway, eventually};

/// One event of a stream.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    seq: u64,
    pub(crate) kind: String,
    /// Its data: a receipt, or a reply.
    pub(crate) receipt: Value,
}

/// An open stream, its body taken out of its chunks.
pub(crate) struct Events {
    head: String,
    lines: BufReader<Chunks>,
}

struct Chunks {
    stream: BufReader<TcpStream>,
    left: usize,
    over: bool,
}

impl Read for Chunks {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 && !self.over {
            let mut size = String::new();
            self.stream.read_line(&mut size)?;
            self.left = usize::from_str_radix(size.trim(), 16).expect("the size of a chunk");
            self.over = self.left == 0;
        }
        if self.over {
            return Ok(0);
        }
        let most = piece.len().min(self.left);
        let count = self.stream.read(&mut piece[..most])?;
        assert!(count > 0, "the stream was cut off");
        self.left -= count;
        if self.left == 0 {
            self.stream.read_line(&mut String::new())?;
        }
        Ok(count)
    }
}

impl Events {
    pub(crate) fn open(client: &Client, id: &str, last_event_id: Option<&str>) -> Events {
        let mut request = Request::new("GET", &format!("/v1/voice-messages/{id}/events"));
        if let Some(last) = last_event_id {
            request = request.header("Last-Event-ID", last);
        }
        Events::of(client, &request)
    }

    /// The stream that this request opens.
    pub(crate) fn of(client: &Client, request: &Request) -> Events {
        let mut stream = client.connect();
        stream.write_all(&request.to_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).unwrap() > 0, "no head: {head}");
        }
        let over = !head.starts_with("HTTP/1.1 200 ");
        Events { head, lines: BufReader::new(Chunks { stream, left: 0, over }) }
    }

    fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let (mut id, mut kind, mut data) = (None, None, None);
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                assert_eq!((&kind, &data), (&None, &None), "an event is cut off");
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("event", value)) => kind = Some(value.to_owned()),
                Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
                Some(("retry", _)) | None => {}
                Some(other) => panic!("{other:?}"),
            }
            if let (Some(id), "\n", Some(_)) = (&id, line.as_str(), &data) {
                let seq = id.split('.').next().unwrap().parse().unwrap();
                let (id, kind, receipt) = (id.clone(), kind.unwrap(), data.unwrap());
                return Some(Event { id, seq, kind, receipt });
            }
        }
    }

    fn rest(mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

fn slow(gateway: &TestGateway, endpoint: Endpoint, ms: u64) {
    gateway.trouble(vec![FaultRule::new(endpoint, FaultAction::latency(Latency::Fixed(ms)))]);
}

fn accepted(gateway: &TestGateway) -> String {
    let receipt = gateway.send(&Form::sample().header("Prefer", "respond-async")).receipt(202);
    receipt["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_stream_tells_every_stage_and_ends_with_the_proven_purge() {
    let gateway = TestGateway::start();
    slow(&gateway, Endpoint::Upload, 300);
    let id = accepted(&gateway);
    let events = Events::open(&gateway.public, &id, None);
    assert_eq!(events.status(), 200);
    let head = events.head.to_ascii_lowercase();
    for header in ["content-type: text/event-stream", "cache-control: no-store", "x-request-id: "] {
        assert!(head.contains(header), "{head}");
    }
    let events = events.rest();
    let schema = &gateway.contract().document()["components"]["schemas"]["Receipt"];
    for event in &events {
        assert_eq!(gateway.contract().fault(schema, &event.receipt, "receipt"), None);
        assert_eq!(event.receipt["id"], id.as_str());
    }
    assert!(events.windows(2).all(|pair| pair[0].seq < pair[1].seq), "{events:?}");
    let mut stages: Vec<&str> =
        events.iter().map(|event| event.receipt["status"].as_str().unwrap()).collect();
    stages.dedup();
    // Uploading and posting may be one step for whoever reads no faster.
    assert_eq!(stages.first(), Some(&"accepted"));
    assert_eq!(stages.last(), Some(&"sent"));
    let last = events.last().unwrap();
    assert_eq!((last.kind.as_str(), &last.receipt["purge"]["state"]), ("purge", &"purged".into()));
}

#[test]
fn a_stream_goes_on_after_the_last_event_that_was_read() {
    let gateway = TestGateway::start();
    slow(&gateway, Endpoint::Upload, 300);
    let id = accepted(&gateway);
    let mut events = Events::open(&gateway.public, &id, None);
    let first = events.next().unwrap();
    assert_eq!((first.kind.as_str(), &first.receipt["status"]), ("status", &"accepted".into()));
    drop(events);
    let resumed = Events::open(&gateway.public, &id, Some(&first.seq.to_string())).rest();
    assert!(resumed.iter().all(|event| event.seq > first.seq), "{resumed:?}");
    let last = resumed.last().unwrap();
    assert_eq!(last.receipt["purge"]["state"], "purged");
    // An EventSource would come back for ever.
    let nothing = Events::open(&gateway.public, &id, Some(&last.seq.to_string()));
    assert_eq!(nothing.status(), 204);
    // What is no number counts as none.
    let again = Events::open(&gateway.public, &id, Some("yesterday")).rest();
    assert_eq!(again.last().unwrap().seq, last.seq);
}

#[test]
fn who_comes_late_is_told_what_is_and_not_all_that_was() {
    let gateway = TestGateway::start();
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, FaultAction::status(500)).times(8)]);
    let id = accepted(&gateway);
    gateway.receipt_when(&id, "all is done", |receipt| receipt["purge"]["state"] == "incomplete");
    let rows = gateway.admin_get(&format!("/admin/messages/{id}/history")).json();
    assert!(rows.to_string().matches("upload-lost").count() >= 8, "{rows}");
    let events = Events::open(&gateway.public, &id, None).rest();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["status", "purge"]);
}

#[test]
fn a_message_that_is_none_has_no_events() {
    let gateway = TestGateway::start();
    for id in ["019aa6c2-7f31-7c55-9d0e-3b1f6a2c4e88", "nothing"] {
        let reply = gateway.public.get(&format!("/v1/voice-messages/{id}/events"));
        reply.problem(404, "message-not-found");
    }
}

/// Invariant 6: no more streams than that, and their places come back.
#[test]
fn no_more_streams_are_open_than_allowed() {
    let builder = TestGateway::builder().settings(|settings| {
        settings.server.event_streams_max = 2;
        settings.purge.ttl_seconds = 30;
    });
    let gateway = builder.start();
    slow(&gateway, Endpoint::Upload, 1_000);
    let id = accepted(&gateway);
    let path = format!("/v1/voice-messages/{id}/events");
    let mut open: Vec<Events> = (0..2).map(|_| Events::open(&gateway.public, &id, None)).collect();
    open.iter_mut().for_each(|events| assert!(events.next().is_some()));
    gateway.public.get(&path).problem(503, "busy");
    open.pop();
    let events = eventually("the place is free again", || {
        let events = Events::open(&gateway.public, &id, None);
        (events.status() == 200).then_some(events)
    });
    drop((open, events));
    gateway.delete(&id);
}

#[test]
fn a_shutdown_ends_the_streams() {
    let builder = TestGateway::builder().settings(|settings| settings.purge.ttl_seconds = 60);
    let gateway = builder.start();
    let receipt = gateway.send(&Form::sample()).receipt(201);
    let mut events = Events::open(&gateway.public, receipt["id"].as_str().unwrap(), None);
    assert!(events.next().is_some());
    let started = Instant::now();
    gateway.pipeline().admission().drain().begin();
    while events.next().is_some() {}
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
