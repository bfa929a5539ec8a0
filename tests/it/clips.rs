//! Clips that are turned away, over real sockets: by their bytes, early, and in words that help.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::ogg_writer;
use crate::support::{Form, Reply, TestGateway, fixture};

/// A WAV of 32-bit stereo at 192 kHz whose header leaves the size open: 1.5 MB a second.
fn heavy_wav(bytes: usize) -> Vec<u8> {
    let mut wav = Vec::with_capacity(bytes);
    wav.extend_from_slice(b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x02\0");
    wav.extend_from_slice(&192_000_u32.to_le_bytes());
    wav.extend_from_slice(&(192_000_u32 * 8).to_le_bytes());
    wav.extend_from_slice(b"\x08\0\x20\0data\xff\xff\xff\xff");
    wav.resize(bytes, 0);
    wav
}

/// Invariant 9: the type of a clip is what its bytes say.
#[test]
fn a_document_named_mp3_is_no_audio() {
    let gateway = TestGateway::start();
    for name in ["document.mp3", "html-behind-id3.mp3", "sample.aac", "flac-in.ogg"] {
        let form = Form::sample().without("file").part(
            "file",
            "; filename=\"voice.mp3\"\r\nContent-Type: audio/mp3",
            &fixture(name),
        );
        let reply = gateway.send(&form);
        let detail = reply.problem(415, "unsupported-audio-format");
        assert!(detail.starts_with("Unsupported audio format: "), "{detail}");
        assert!(detail.contains(". Allowed: audio/mp3, audio/ogg, audio/wav"), "{detail}");
        assert_eq!(reply.json()["allowed"], json!(["audio/mpeg", "audio/wav", "audio/ogg"]));
        assert!(reply.json()["detected"].is_string());
    }
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().uploads().len()), 0);
    assert!(gateway.records().is_empty(), "a refused clip leaves nothing");
}

#[test]
fn a_clip_that_is_empty_short_or_broken_is_refused() {
    let gateway = TestGateway::start();
    assert!(gateway.send(&Form::with_clip("empty.mp3")).problem(422, "audio-empty").contains('0'));
    let reply = gateway.send(&Form::with_clip("short-60ms.wav"));
    let detail = reply.problem(422, "audio-too-short");
    assert!(detail.contains("60 ms") && detail.contains("100 ms"), "{detail}");
    assert_eq!((&reply.json()["limit"], &reply.json()["actual"]), (&json!(100), &json!(60)));
    for name in ["only-header.wav", "only-header.ogg"] {
        let detail = gateway.send(&Form::with_clip(name)).problem(422, "audio-corrupted");
        assert!(detail.starts_with("Failed to parse audio metadata. File may be corrupted."));
    }
}

#[test]
fn a_clip_that_does_not_decode_is_refused() {
    let gateway = TestGateway::start();
    // Code 1 promises two frames of equal size; one byte is left over.
    let packets: [&[u8]; 20] = [&[31 << 3 | 1, 0, 0, 0]; 20];
    let mut clip = ogg_writer::opus_headers(1, 1, 312);
    for number in 1..=5 {
        let flags = if number == 5 { ogg_writer::ENDS } else { 0 };
        clip.extend(ogg_writer::page(1, flags, number * 20 * 1_920, &packets));
    }
    let reply = gateway.send(&Form::sample().without("file").file("a.ogg", clip));
    let detail = reply.problem(422, "audio-undecodable");
    assert!(detail.starts_with("the audio does not decode: "), "{detail}");
}

#[test]
fn a_clip_of_60_seconds_passes_and_one_of_61_is_refused() {
    let gateway = TestGateway::start();
    let receipt = gateway.send(&Form::with_clip("exactly-60s.mp3")).receipt(201);
    assert_eq!(receipt["media"]["duration_ms"], 60_000);
    for name in ["long-61s.mp3", "long-61s.wav", "long-61s.ogg", "long-61s.vorbis.ogg"] {
        let reply = gateway.send(&Form::with_clip(name));
        let detail = reply.problem(422, "audio-too-long");
        assert!(detail.starts_with("Audio duration 6"), "{detail}");
        assert!(detail.ends_with("s exceeds maximum of 60s"), "{detail}");
        assert_eq!(reply.json()["limit"], 60_000);
        assert!(reply.json()["actual"].as_u64().is_some_and(|ms| ms > 60_500));
    }
}

#[test]
fn a_clip_that_is_too_long_is_refused_before_it_is_all_there() {
    let gateway = TestGateway::start();
    let form = Form::with_clip("long-61s.mp3").reversed();
    let body = form.body();
    let mut stream = gateway.public.connect();
    let head = form.request_head().head(&format!("Content-Length: {}", body.len()));
    stream.write_all(&head).unwrap();
    stream.write_all(&body[..body.len() - 200]).unwrap();
    let reply = Reply::read(&mut stream);
    reply.problem(422, "audio-too-long");
}

#[test]
fn a_body_that_says_it_is_too_large_is_refused_before_it_comes() {
    let gateway = TestGateway::start();
    let request = Form::sample().request_head();
    let mut stream = gateway.public.connect();
    stream.write_all(&request.head("Content-Length: 104857600")).unwrap();
    let reply = Reply::read(&mut stream);
    let detail = reply.problem(413, "too-large");
    assert!(detail.contains("104857600") && detail.contains("12582912"), "{detail}");
    assert_eq!(reply.json()["limit"], 12_582_912);
}

/// Sends a heavy WAV as a chunked body of 100 MB; the answer, when the connection was closed (if it
/// was within five seconds), and how much had been sent when it was.
fn stream_100_mb(gateway: &TestGateway) -> (Reply, Option<Duration>, u64) {
    let form = Form::empty().file("heavy.wav", heavy_wav(64 * 1024));
    let mut first = form.body();
    first.truncate(64 * 1024);
    let mut stream = gateway.public.connect();
    let mut writing = stream.try_clone().unwrap();
    let head = form.request_head().head("Transfer-Encoding: chunked");
    let sender = std::thread::spawn(move || {
        let chunk = |bytes: &[u8]| {
            [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n".as_slice()].concat()
        };
        let zeros = chunk(&[0; 64 * 1024]);
        writing.write_all(&head).unwrap();
        writing.write_all(&chunk(&first)).unwrap();
        // Unless the gateway hangs up before.
        (0..1_600).take_while(|_| writing.write_all(&zeros).is_ok()).count() as u64 * 64 * 1024
    });
    let reply = Reply::read(&mut stream);
    let answered = Instant::now();
    let sent = sender.join().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // A reset closes it as well as an end; a time-out does not.
    let closed = match stream.read(&mut [0; 1]) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    (reply, closed.then(|| answered.elapsed()), sent)
}

#[test]
fn the_refusal_of_a_body_without_length_reaches_a_client_that_is_still_sending() {
    let gateway = TestGateway::start();
    let (reply, _, sent) = stream_100_mb(&gateway);
    let detail = reply.problem(413, "too-large");
    assert!(detail.contains("12582912"), "{detail}");
    assert!(sent > 12_000_000, "the limit lies at 12 MiB, and {sent} bytes were sent");
    assert!(gateway.records().is_empty());
}

#[test]
fn a_refused_sender_without_length_is_cut_off_when_the_linger_is_over() {
    let gateway = TestGateway::start();
    let (reply, closed_after, _) = stream_100_mb(&gateway);
    reply.problem(413, "too-large");
    assert!(closed_after.is_some(), "linger_seconds is 2, and it is open after 5 s");
}

#[test]
fn a_clip_of_more_than_12_mib_is_refused_whatever_it_plays() {
    let gateway = TestGateway::start();
    let reply = gateway.send(&Form::sample().without("file").file("a.wav", heavy_wav(12_582_913)));
    reply.problem(413, "too-large");
    let limit = Form::sample().without("file").file("a.wav", heavy_wav(12_582_912));
    assert_eq!(gateway.send(&limit).receipt(201)["media"]["bytes"], 12_582_912);
}

#[test]
fn a_body_that_stops_coming_is_answered_408() {
    let gateway = TestGateway::builder().settings(|s| s.server.body_seconds_max = 1).start();
    let form = Form::sample();
    let body = form.body();
    let mut stream = gateway.public.connect();
    let head = form.request_head().head(&format!("Content-Length: {}", body.len()));
    let started = Instant::now();
    stream.write_all(&head).unwrap();
    stream.write_all(&body[..5_000]).unwrap();
    let detail = Reply::read(&mut stream).problem(408, "upload-too-slow");
    assert!(detail.contains("1 s"), "{detail}");
    assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
    assert!(gateway.records().is_empty(), "half a message leaves nothing");
}

#[test]
fn a_client_that_hangs_up_half_way_leaves_nothing() {
    let gateway = TestGateway::start();
    let form = Form::sample();
    let body = form.body();
    let mut stream = gateway.public.connect();
    stream
        .write_all(&form.request_head().head(&format!("Content-Length: {}", body.len())))
        .unwrap();
    stream.write_all(&body[..5_000]).unwrap();
    drop(stream);
    gateway.send(&Form::sample()).receipt(201);
    assert_eq!(gateway.records().len(), 1);
}
