//! Attacks by who reads: nothing of a clip, or a stream for longer than they are known.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use voicepost::access::KeyFileError;
use voicepost::domain::{Deliverable, MessageId, RouteName, UnixMs};
use voicepost::hosted::{LinkKey, MediaLink, read_or_make};
use voicepost::sealing::Sealer;

use crate::access::{add_key, ask, bearer, signed, with_key, with_tokens};
use crate::attacks_held::memory_kib;
use crate::events::Events;
use crate::process::World;
use crate::support::issuer::{Issuer, SECRET, claims, guest, now};
use crate::support::{Form, Request, TestGateway, eventually};

const CLIP_BYTES: usize = 64 * 1024 * 1024;

/// Puts a file among those that are hosted in this directory; the path of its address.
fn host(directory: &std::path::Path, clip: &[u8]) -> String {
    let file = MessageId::from_bytes([5; 16]);
    std::fs::write(directory.join(format!("{file}.clip")), clip).unwrap();
    let key = LinkKey::new(&read_or_make(&directory.join("link.key"), &Sealer::plain()).unwrap());
    let expires_at = UnixMs((now() + 600) * 1000);
    format!("/media/{}", key.segment(&MediaLink { file, container: Deliverable::Wav, expires_at }))
}

fn asked(path: &str) -> Vec<u8> {
    Request::new("GET", path).to_bytes()
}

/// Bytes that still come, until the connection ends.
fn rest(mut stream: TcpStream) -> usize {
    let (mut all, mut piece) = (0, vec![0; 64 * 1024]);
    while let Ok(bytes @ 1..) = stream.read(&mut piece) {
        all += bytes;
    }
    all
}

/// Before, each of these held its clip for as long as it liked.
#[test]
fn who_takes_nothing_of_a_clip_holds_a_piece_of_it_and_is_cut_off() {
    const READERS: usize = 8;
    let world = World::on(
        RouteName::OpenMessaging,
        &[("SERVER__HEAD_SECONDS_MAX", "1"), ("SERVER__LINGER_SECONDS", "1")],
    );
    let gateway = world.start();
    let path = host(&world.data.path().join("hosted"), &vec![0; CLIP_BYTES]);
    let memory = memory_kib(gateway.pid());
    let begin = || {
        let mut stream = TcpStream::connect(gateway.public).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&asked(&path)).unwrap();
        stream
    };
    let readers: Vec<_> = (0..READERS).map(|_| begin()).collect();
    let mut slow = begin();
    let (mut taken, mut piece) = (0, vec![0; 512 * 1024]);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(6) {
        taken += slow.read(&mut piece).unwrap();
        crate::support::pause(Duration::from_millis(100));
    }
    let grown = memory_kib(gateway.pid()).saturating_sub(memory);
    assert!(grown < 32 * 1024, "{READERS} readers of nothing hold {grown} KiB");
    for reader in readers {
        let taken = rest(reader);
        assert!(taken < CLIP_BYTES, "a connection that took nothing went on for 6 s");
    }
    // Who takes some now and then gets it all.
    assert!(taken + rest(slow) > CLIP_BYTES);
}

/// A clip that is sent in pieces is the clip, and so is each range of it.
#[test]
fn a_clip_of_many_pieces_comes_whole_and_in_ranges() {
    let gateway = TestGateway::builder().open_messaging().start();
    let clip: Vec<u8> = (0..300_007_u32).map(|place| (place / 251) as u8).collect();
    let path = host(&gateway.data.path().join("hosted"), &clip);
    let whole = gateway.public.get(&path);
    assert_eq!(whole.status, 200);
    assert!(whole.bytes() == clip);
    let mut stream = gateway.public.connect();
    stream.write_all(&Request::new("HEAD", &path).to_bytes()).unwrap();
    let mut head = String::new();
    stream.read_to_string(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.to_lowercase().contains("content-length: 300007\r\n"), "{head}");
    for (range, first, end) in [
        ("bytes=0-9", 0, 10),
        ("bytes=65530-65545", 65_530, 65_546),
        ("bytes=65536-", 65_536, 300_007),
        ("bytes=1-299999", 1, 300_000),
        ("bytes=-70000", 230_007, 300_007),
    ] {
        let part = gateway.public.send(&Request::new("GET", &path).header("Range", range));
        assert_eq!(part.status, 206, "{range}");
        assert!(part.bytes() == &clip[first..end], "{range}");
    }
}

/// Follows a message that is far from its end: its id, and the stream.
fn followed(gateway: &TestGateway, form: Form, token: &str) -> (String, Events) {
    let receipt = gateway.send(&signed(form, token)).receipt(201);
    let id = receipt["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/voice-messages/{id}/events");
    let request = Request::new("GET", &path).header("Authorization", &bearer(token));
    let mut events = Events::of(&gateway.public, &request);
    assert!(events.next().is_some());
    (id, events)
}

fn until_over(mut events: Events) -> Duration {
    let started = Instant::now();
    while events.next().is_some() {}
    started.elapsed()
}

#[test]
fn a_stream_ends_with_the_token_that_opened_it() {
    let gateway = with_tokens()
        .settings(|s| s.purge.ttl_seconds = 60)
        .settings(|s| s.auth.jwt_leeway_seconds = 0)
        .start();
    let mut short = claims("guest-1", "c-1");
    short["exp"] = json!(now() + 4);
    let token = Issuer::Shared(SECRET.into()).token(&short);
    let form = Form::sample().without("conversation_id").without("sender_id");
    let lasted = until_over(followed(&gateway, form, &token).1);
    assert!(lasted < Duration::from_secs(6), "{lasted:?}");
}

#[test]
fn a_stream_ends_when_its_key_is_revoked() {
    let (builder, file, key) = with_key(TestGateway::builder());
    let other = add_key(&file, 2, |_| {});
    let gateway = builder.settings(|s| s.purge.ttl_seconds = 60).start();
    let (_, events) = followed(&gateway, Form::sample(), &key);
    let (id, mut others) = followed(&gateway, Form::sample(), &other);
    file.change(|keys| {
        keys[0].revoked_at = Some(UnixMs(1));
        Ok::<(), KeyFileError>(())
    })
    .unwrap();
    let lasted = until_over(events);
    assert!(lasted < Duration::from_secs(4), "{lasted:?}");
    // That of another key goes on, and tells what becomes of its message.
    let withdrawn = ask(&gateway.public, "DELETE", &format!("/v1/voice-messages/{id}"), &other);
    assert_eq!(withdrawn.status, 202);
    assert!(others.next().is_some(), "another key's stream ended too");
}

#[test]
fn a_guest_does_not_open_all_the_streams_there_are() {
    let (builder, _file, key) = with_key(with_tokens());
    let gateway = builder
        .settings(|s| s.purge.ttl_seconds = 60)
        .settings(|s| s.server.event_streams_per_guest_max = 2)
        .start();
    let form = || Form::sample().without("conversation_id").without("sender_id");
    let (greedy, other) = (guest("guest-1", "c-1"), guest("guest-2", "c-2"));
    let (id, first) = followed(&gateway, form(), &greedy);
    let _second = followed(&gateway, form(), &greedy);
    let third = || ask(&gateway.public, "GET", &format!("/v1/voice-messages/{id}/events"), &greedy);
    let detail = third().problem(503, "busy");
    assert!(detail.contains("2 event streams"), "{detail}");
    let _others = followed(&gateway, form(), &other);
    // A backend follows for as many guests as it has.
    let _backends: Vec<_> = (0..4).map(|_| followed(&gateway, Form::sample(), &key)).collect();
    drop(first);
    // The gateway notices with the next comment, or with what it has to tell.
    ask(&gateway.public, "DELETE", &format!("/v1/voice-messages/{id}"), &greedy);
    let _again = followed_again(&gateway, &id, &greedy);
}

/// Follows as soon as there is a place.
fn followed_again(gateway: &TestGateway, id: &str, token: &str) -> Events {
    let path = format!("/v1/voice-messages/{id}/events");
    let request = Request::new("GET", &path).header("Authorization", &bearer(token));
    eventually("there is a place again", || {
        let mut events = Events::of(&gateway.public, &request);
        events.next().map(|_| events)
    })
}
