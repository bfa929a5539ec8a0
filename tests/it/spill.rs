//! Clips that find no room in memory go to the spool while they come: delivered, durable, bounded,
//! and gone without a trace where the message does not come about.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use voicepost::domain::{Code, MessageId, UnixMs};
use voicepost::pipeline::{Admission, Bounds, Clip};
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};
use voicepost::spool::Spool;
use voicepost::spool::memory::MemorySpool;

use crate::process::{Send, World, wait_until};
use crate::support::{Form, Reply, TestGateway, eventually};

/// 16-bit mono at 16 kHz: 32,000 bytes a second.
fn wav(seconds: u32) -> Vec<u8> {
    let data_bytes = seconds * 32_000;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + data_bytes).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data");
    wav.extend(data_bytes.to_le_bytes());
    wav.extend((0..data_bytes).map(|n| (n % 251) as u8));
    wav
}

/// Ten seconds, far more than the memory of [`tight`] holds.
fn large() -> Form {
    Form::sample().without("file").file("large.wav", wav(10))
}

const LARGE_BYTES: u64 = 320_044;

/// A gateway with 64 KiB of memory for clips.
fn tight() -> crate::support::Builder {
    TestGateway::builder().settings(|s| s.memory.clips_bytes_max = 65_536)
}

fn files(gateway: &TestGateway) -> Vec<String> {
    let files = std::fs::read_dir(gateway.data.path().join("spool")).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[track_caller]
fn no_files_are_left(gateway: &TestGateway) {
    eventually("the spool is empty", || files(gateway).is_empty().then_some(()));
    let admission = gateway.pipeline().admission();
    eventually("its room is free again", || (admission.spool_bytes() == 0).then_some(()));
    assert_eq!(admission.clips().bytes_reserved(), 0);
}

fn events(gateway: &TestGateway, id: &str) -> Vec<String> {
    let rows = gateway.admin_get(&format!("/admin/messages/{id}/history")).json();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row["event"].as_str().unwrap().to_owned()).collect()
}

fn slow_uploads(gateway: &TestGateway, latency_ms: u64) {
    let slow = FaultAction::latency(Latency::Fixed(latency_ms));
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, slow)]);
}

#[test]
fn a_clip_that_finds_no_room_in_memory_is_delivered_from_the_spool() {
    let gateway = tight().start();
    let receipt = gateway.send(&large()).receipt(201);
    let sha256 = gateway.at_genesys(|sandbox| sandbox.account().uploads()[0].sha256.clone());
    assert_eq!(receipt["media"]["sha256"], sha256.as_str());
    assert_eq!(receipt["media"]["bytes"], LARGE_BYTES);
    let id = receipt["id"].as_str().unwrap();
    no_files_are_left(&gateway);
    eventually("its removal is recorded", || {
        events(&gateway, id).contains(&"clip-dropped".to_owned()).then_some(())
    });
}

/// Invariant 1: clip and record are durable with the commit that accepts them.
#[test]
fn a_clip_that_came_by_the_spool_is_durable_when_it_is_accepted() {
    let gateway = tight().start();
    slow_uploads(&gateway, 500);
    let form = large().header("Prefer", "respond-async");
    let receipt = gateway.send(&form).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    assert_eq!(files(&gateway), [format!("{id}.clip")]);
    // The delivery goes on beside the answer, and may have begun its upload.
    let events = events(&gateway, id);
    let events: Vec<&str> = events.iter().map(|event| &**event).collect();
    assert!(
        matches!(events[..], ["accepted"] | ["accepted", "upload-intended"]),
        "no second commit was needed for the 202: {events:?}"
    );
    gateway.receipt_when(id, "it is sent", |receipt| receipt["status"] == "sent");
    no_files_are_left(&gateway);
}

#[test]
fn a_clip_of_any_length_fits_a_body_without_length() {
    let gateway = tight().start();
    let form = large();
    let body = form.body();
    let mut stream = gateway.public.connect();
    stream.write_all(&form.request_head().head("Transfer-Encoding: chunked")).unwrap();
    for piece in body.chunks(10_000) {
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).unwrap();
        stream.write_all(piece).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(Reply::read(&mut stream).receipt(201)["media"]["bytes"], LARGE_BYTES);
}

/// Sends all of the form but its last bytes, and waits until the clip is being spooled.
fn sent_half(gateway: &TestGateway, form: &Form) -> TcpStream {
    let body = form.body();
    let mut stream = gateway.public.connect();
    let head = form.request_head().head(&format!("Content-Length: {}", body.len()));
    stream.write_all(&head).unwrap();
    stream.write_all(&body[..200_000]).unwrap();
    eventually("the clip is being spooled", || {
        files(gateway).iter().any(|name| name.ends_with(".unfinished")).then_some(())
    });
    stream
}

#[test]
fn a_body_that_breaks_off_leaves_no_file() {
    let gateway = tight().start();
    drop(sent_half(&gateway, &large()));
    no_files_are_left(&gateway);
    assert!(gateway.records().is_empty());
}

/// Refused while the body comes, when it has come, and when the message is planned.
#[test]
fn a_refusal_after_the_clip_was_spooled_leaves_no_file() {
    let gateway = tight().start();
    gateway.send(&large().field("surprise", "x")).problem(400, "unknown-part");
    gateway.send(&large().with("metadata", "no JSON")).problem(400, "invalid-field");
    gateway.send(&large().without("conversation_id")).problem(400, "missing-part");
    no_files_are_left(&gateway);
    assert!(gateway.records().is_empty());
}

#[test]
fn a_repeat_leaves_one_file_only() {
    let gateway = tight().start();
    slow_uploads(&gateway, 1_000);
    let form = large().header("Prefer", "respond-async").header("Idempotency-Key", "k");
    let first = gateway.send(&form).receipt(202);
    assert_eq!(gateway.send(&form).receipt(202)["id"], first["id"]);
    let file = format!("{}.clip", first["id"].as_str().unwrap());
    assert_eq!(files(&gateway), [file.as_str()]);
    let other = form.with("transcript", "another");
    gateway.send(&other).problem(422, "idempotency-mismatch");
    assert_eq!(files(&gateway), [file.as_str()]);
    gateway.receipt_when(first["id"].as_str().unwrap(), "it is sent", |r| r["status"] == "sent");
    no_files_are_left(&gateway);
}

/// Invariant 1. Memory has room for two clips; the third came by the spool.
#[test]
fn killed_before_anybody_is_told_a_spooled_clip_goes_on_and_those_in_memory_do_not() {
    let world = World::new(&[("MEMORY__CLIPS_BYTES_MAX", "65536")]);
    let gateway = world.start();
    world.hold(Endpoint::Upload, 60);
    let mut senders = Vec::new();
    for count in 1..=3 {
        senders.push(gateway.sending(Send::new(&format!("c-{count}"), &format!("m-{count}"))));
        wait_until("the upload took effect", || world.uploads() == count);
    }
    let ids = gateway.queue();
    assert_eq!(world.spooled(), [format!("{}.clip", ids[2])]);
    gateway.kill();
    let answered = senders.into_iter().filter_map(|sender| sender.join().unwrap()).count();
    assert_eq!(answered, 0);
    world.release();

    let gateway = world.start();
    gateway.receipt_at(&ids[0], "failed");
    gateway.receipt_at(&ids[1], "failed");
    gateway.receipt_at(&ids[2], "sent");
    assert_eq!(world.heard("c-3"), ["m-3"]);
    assert_eq!(world.posts(), 1);
    wait_until("the spool is empty", || world.spooled().is_empty());
}

/// Invariant 6: what is read back has a bound, and who finds it taken waits.
#[test]
fn uploads_wait_for_the_memory_that_clips_are_read_back_into() {
    let gateway = tight()
        .settings(|s| {
            s.limits.bytes_max = 400_000;
            s.memory.read_back_bytes_max = 400_000;
        })
        .start();
    slow_uploads(&gateway, 400);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..3)
            .map(|n| large().with("conversation_id", format!("c-{n}")))
            .map(|form| scope.spawn(|| gateway.send(&{ form }).receipt(201)))
            .collect();
        senders.into_iter().for_each(|sender| drop(sender.join().unwrap()));
    });
    assert!(begun.elapsed() >= Duration::from_millis(1_200), "{:?}", begun.elapsed());
    assert_eq!(gateway.pipeline().admission().uploads().bytes_reserved(), 0);
    assert_eq!(gateway.pipeline().admission().inspections().bytes_reserved(), 0);
}

/// The sender's wait is over although the clip has not been read back yet.
#[test]
fn a_sender_does_not_wait_longer_for_a_clip_that_waits_to_be_read_back() {
    let gateway = tight()
        .settings(|s| {
            s.limits.bytes_max = 400_000;
            s.memory.read_back_bytes_max = 400_000;
        })
        .start();
    slow_uploads(&gateway, 3_000);
    let wait = |form: Form| form.header("Prefer", "wait=1");
    let first = gateway.send(&wait(large().with("conversation_id", "a"))).receipt(202);
    let begun = Instant::now();
    let second = gateway.send(&wait(large().with("conversation_id", "b"))).receipt(202);
    assert!(begun.elapsed() < Duration::from_millis(1_900), "{:?}", begun.elapsed());
    for receipt in [first, second] {
        let id = receipt["id"].as_str().unwrap();
        gateway.receipt_when(id, "it is sent", |receipt| receipt["status"] == "sent");
    }
}

/// Invariant 6: beyond the spool's bytes a request is refused before its body is read.
#[test]
fn a_clip_that_would_not_fit_the_spool_is_refused_before_it_comes_and_comes_back() {
    let gateway = TestGateway::builder()
        .settings(|s| {
            s.limits.bytes_max = 500_000;
            s.spool.bytes_max = 600_000;
        })
        .start();
    slow_uploads(&gateway, 500);
    let form = large().header("Prefer", "respond-async");
    let first = gateway.send(&form).receipt(202);
    let mut stream = gateway.public.connect();
    stream.write_all(&large().request_head().head("Content-Length: 320900")).unwrap();
    let reply = Reply::read(&mut stream);
    let detail = reply.problem(503, "busy");
    assert!(detail.contains("600000"), "{detail}");
    assert_eq!(reply.json()["limit"], 600_000);
    let mut stream = gateway.public.connect();
    stream.write_all(&large().request_head().head("Transfer-Encoding: chunked")).unwrap();
    Reply::read(&mut stream).problem(503, "busy");
    // One that is still sending hears of it as well.
    gateway.send(&large()).problem(503, "busy");
    gateway.receipt_when(first["id"].as_str().unwrap(), "it is sent", |r| r["status"] == "sent");
    no_files_are_left(&gateway);
    gateway.send(&large()).receipt(201);
}

#[test]
fn a_spool_that_fails_while_a_clip_comes_is_said_to() {
    let gateway = tight().start();
    let spool = gateway.data.path().join("spool");
    std::fs::remove_dir(&spool).unwrap();
    let reply = gateway.send(&large());
    reply.problem(503, "storage-failed");
    std::fs::create_dir(&spool).unwrap();
    gateway.send(&large()).receipt(201);
}

fn bounds(clips_bytes_max: u64) -> Bounds {
    Bounds {
        requests_max: 8,
        drives_max: 8,
        clips_bytes_max,
        read_back_bytes_max: 1 << 20,
        spool_bytes_max: 1 << 30,
    }
}

fn id(number: u8) -> MessageId {
    MessageId::new(UnixMs(1_760_000_000_000), [number; 10])
}

#[tokio::test]
async fn a_full_spool_refuses_the_rest_of_a_clip_and_keeps_nothing_of_it() {
    let spool = Arc::new(MemorySpool::new(200_000));
    let admission = Admission::new(bounds(65_536), spool.clone());
    let mut incoming = admission.receive(id(1), Some(300_000), 1 << 20).unwrap();
    let piece = Bytes::from(vec![7; 50_000]);
    for _ in 0..4 {
        incoming.push(piece.clone()).await.unwrap();
    }
    let problem = incoming.push(piece).await.unwrap_err();
    assert_eq!(problem.code, Code::StorageLow);
    assert_eq!(problem.retry_after_seconds, Some(60));
    drop(incoming);
    assert_eq!(admission.spool_bytes(), 0);
    assert_eq!(spool.list().await.unwrap(), []);
}

#[tokio::test]
async fn clips_grow_in_memory_as_long_as_half_of_it_is_left() {
    let spool = Arc::new(MemorySpool::new(1 << 30));
    let admission = Admission::new(bounds(512 * 1024), spool.clone());
    let clips = admission.clips();
    let mut first = admission.receive(id(1), Some(100_000), 1 << 20).unwrap();
    assert_eq!(clips.bytes_reserved(), 64 * 1024);
    let mut second = admission.receive(id(2), Some(200_000), 1 << 20).unwrap();
    for incoming in [&mut first, &mut second] {
        incoming.push(Bytes::from(vec![1; 90_000])).await.unwrap();
    }
    assert!(matches!(first.finish().await.unwrap(), Clip::Memory(_)));
    assert_eq!(clips.bytes_reserved(), 0, "and what is dropped is free");
    let second = second.finish().await.unwrap();
    assert!(matches!(second, Clip::Spooled(_)), "98 KiB were taken, 196 would leave too little");
    assert_eq!(spool.bytes(), 90_000);
    drop(second);
    assert_eq!(spool.bytes(), 0, "nobody named it");
}
