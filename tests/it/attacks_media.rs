//! Attacks on `/media`, and on the listener that has nothing else.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};

use voicepost::domain::{Deliverable, MessageId, UnixMs};
use voicepost::hosted::{LinkKey, MediaLink, read_or_make};
use voicepost::sealing::Sealer;

use crate::access::{bearer, signed, with_tokens};
use crate::support::issuer::guest;
use crate::support::{Builder, Client, Form, MEDIA_BASE_URL, Reply, Request, TestGateway, fixture};

fn hosting() -> Builder {
    with_tokens().open_messaging()
}

fn apart() -> Builder {
    hosting().settings(|s| s.public.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
}

/// A clip that is hosted: the path of its address.
fn publish(gateway: &TestGateway) -> String {
    let token = guest("guest-1", "c-1");
    let form = Form::sample().without("conversation_id").without("sender_id");
    let receipt = gateway.send(&signed(form, &token)).receipt(201);
    let id = receipt["message_id"].as_str().unwrap();
    let message = gateway.at_genesys(|sandbox| sandbox.open_message_shown(id)).unwrap();
    let url = message["content"][0]["attachment"]["url"].as_str().unwrap();
    url.strip_prefix(MEDIA_BASE_URL).unwrap().to_owned()
}

/// The gateway's own key: what it signs with it is genuine.
fn key(gateway: &TestGateway) -> LinkKey {
    let file = gateway.data.path().join("hosted/link.key");
    LinkKey::new(&read_or_make(&file, &Sealer::plain()).unwrap())
}

const DATA_KEY: &str = "a-key-of-the-operator-0123456789";

/// Whoever has the key can fetch every clip: it must not lie beside them.
#[test]
fn a_copy_of_the_disk_does_not_have_the_key_of_the_addresses() {
    let builder = hosting().access(|secrets| {
        secrets.data_key = Some(voicepost::settings::Secret::new(DATA_KEY).into());
    });
    let gateway = builder.start();
    let good = publish(&gateway);
    let file = gateway.data.path().join("hosted/link.key");
    let stolen = read_or_make(&file, &Sealer::plain()).unwrap_err().to_string();
    assert!(stolen.contains("VOICEPOST_DATA_KEY"), "{stolen}");
    let key = read_or_make(&file, &Sealer::new(DATA_KEY).unwrap()).unwrap();
    assert!(LinkKey::new(&key).read(&good["/media/".len()..]).is_some());
    assert!(!std::fs::read(&file).unwrap().windows(32).any(|bytes| bytes == key));
    assert_eq!(Client::new(gateway.public.address(), None).get(&good).status, 200);
}

#[test]
fn the_key_of_the_addresses_outlives_each_change_of_the_data_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("link.key");
    let kept = |data_key: &str| read_or_make(&file, &Sealer::new(data_key).unwrap());
    let key = read_or_make(&file, &Sealer::plain()).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), key);
    let new = "another-key-of-the-operator-01234";
    let both = format!("{new}\n{DATA_KEY}");
    for data_key in [DATA_KEY, &both, new] {
        assert_eq!(kept(data_key).unwrap(), key);
        assert!(!std::fs::read(&file).unwrap().windows(32).any(|bytes| bytes == key));
    }
    let sealed = std::fs::read(&file).unwrap();
    assert!(kept(DATA_KEY).is_err() && read_or_make(&file, &Sealer::plain()).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), sealed, "it is left as it was");
}

fn outside(gateway: &TestGateway) -> &Client {
    gateway.outside.as_ref().expect("a listener of its own")
}

/// Whoever opens this answer in a browser hears a clip, or reads a text; nothing is run, framed, or
/// taken for something else.
#[track_caller]
fn inert(what: &str, reply: &Reply) {
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{what}");
    let policy = reply.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
    assert!(!policy.contains("allow-") && !policy.contains("unsafe"), "{what}: {policy}");
    let caching = reply.header("cache-control").unwrap_or_default();
    assert!(caching.contains("no-store"), "{what}: {caching}");
    let content_type = reply.header("content-type").unwrap_or_default();
    let expected = ["audio/ogg", "audio/mpeg", "audio/wav", "application/problem+json"];
    assert!(expected.contains(&content_type), "{what}: {content_type}");
    assert_eq!(reply.header("set-cookie"), None, "{what}");
    assert_eq!(reply.header("access-control-allow-origin"), None, "{what}");
}

/// What is tried, the path, and what is answered.
fn forgeries(
    gateway: &TestGateway,
    good: &str,
) -> Vec<(&'static str, String, (u16, &'static str))> {
    const UNKNOWN: (u16, &str) = (404, "route-not-found");
    const GONE: (u16, &str) = (410, "media-gone");
    let key = key(gateway);
    let link = key.read(good.strip_prefix("/media/").unwrap()).expect("genuine");
    let path = |key: &LinkKey, link: MediaLink| format!("/media/{}", key.segment(&link));
    let stem = good.strip_suffix(".ogg").unwrap();
    let last = stem.chars().last().unwrap();
    let other = if last == 'A' { 'B' } else { 'A' };
    let strange = MessageId::from_bytes([9; 16]);
    vec![
        ("a key of one's own", path(&LinkKey::new(&[0; 32]), link), UNKNOWN),
        ("a changed signature", format!("{}{other}.ogg", &stem[..stem.len() - 1]), UNKNOWN),
        ("a changed file", good.replacen(&good[7..11], "AAAA", 1), UNKNOWN),
        ("another type", format!("{stem}.mp3"), UNKNOWN),
        ("a page's type", format!("{stem}.html"), UNKNOWN),
        ("two types", format!("{good}.html"), UNKNOWN),
        ("no type", stem.to_owned(), UNKNOWN),
        ("padding", format!("{stem}=.ogg"), UNKNOWN),
        ("no signature", format!("/media/{}.ogg", "A".repeat(34)), UNKNOWN),
        ("nothing", "/media/".to_owned(), UNKNOWN),
        ("the key's file", "/media/link.key".to_owned(), UNKNOWN),
        ("a way up", "/media/..%2flink.key".to_owned(), UNKNOWN),
        ("another way up", "/media/../livez".to_owned(), UNKNOWN),
        ("below it", format!("{good}/x"), UNKNOWN),
        ("a slash too many", good.replacen("/media/", "/media//", 1), UNKNOWN),
        ("an ended address", path(&key, MediaLink { expires_at: UnixMs(1), ..link }), GONE),
        ("before all time", path(&key, MediaLink { expires_at: UnixMs(i64::MIN), ..link }), GONE),
        ("a file that is none", path(&key, MediaLink { file: strange, ..link }), GONE),
    ]
}

#[test]
fn a_made_up_ended_or_changed_address_leads_nowhere() {
    let gateway = apart().start();
    let good = publish(&gateway);
    let whole = outside(&gateway).get(&good);
    assert_eq!((whole.status, whole.bytes()), (200, fixture("hello.ogg").as_slice()));
    inert("the clip", &whole);
    for (what, path, (status, code)) in forgeries(&gateway, &good) {
        let reply = outside(&gateway).get(&path);
        assert_eq!((reply.status, reply.at("/code").as_str()), (status, code), "{what}: {path}");
        inert(what, &reply);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let reply = outside(&gateway).send(&Request::new(method, &good));
        assert_eq!(reply.status, 405, "{method}");
        inert(method, &reply);
    }
    // Whatever a sender calls the clip: the type is that of the bytes, and so is the extension.
    let link = MediaLink { container: Deliverable::Wav, ..key(&gateway).read(&good[7..]).unwrap() };
    let reply = outside(&gateway).get(&format!("/media/{}", key(&gateway).segment(&link)));
    inert("another type, signed by us", &reply);
}

/// Ranges as attackers ask for them: one clip at most is the answer, never a sum of parts.
#[test]
fn no_range_makes_the_answer_larger_than_the_clip() {
    let gateway = apart().start();
    let path = publish(&gateway);
    let clip = fixture("hello.ogg");
    let length = clip.len();
    let most = u64::MAX;
    let many = |range: &str, count: usize| format!("bytes={}", vec![range; count].join(","));
    let whole = 0..length;
    for (what, asked, status, bytes) in [
        ("a thousand ranges", many("0-", 1_000), 200, whole.clone()),
        ("ten thousand of a byte", many("0-0", 10_000), 200, whole.clone()),
        ("overlapping", "bytes=0-99,50-149,0-".to_owned(), 200, whole.clone()),
        ("backwards", "bytes=9-0".to_owned(), 200, whole.clone()),
        ("negative", "bytes=-1--5".to_owned(), 200, whole.clone()),
        ("two signs", "bytes=--5".to_owned(), 200, whole.clone()),
        ("more than can be counted", format!("bytes={most}0-"), 200, whole.clone()),
        ("an end beyond all", format!("bytes=1-{most}"), 206, 1..length),
        ("a tail beyond all", format!("bytes=-{most}"), 206, whole.clone()),
        ("the last byte", format!("bytes={}-", length - 1), 206, length - 1..length),
        ("the end", format!("bytes={length}-"), 416, 0..0),
        ("beyond the end", format!("bytes={most}-{most}"), 416, 0..0),
        ("a tail of nothing", "bytes=-0".to_owned(), 416, 0..0),
        ("another unit", "items=0-5".to_owned(), 200, whole.clone()),
        ("a script", "bytes=<script>".to_owned(), 200, whole),
    ] {
        let reply = outside(&gateway).send(&Request::new("GET", &path).header("Range", &asked));
        assert_eq!(reply.status, status, "{what}: {}", String::from_utf8_lossy(reply.bytes()));
        inert(what, &reply);
        if status == 416 {
            assert_eq!(
                reply.header("content-range"),
                Some(&*format!("bytes */{length}")),
                "{what}"
            );
        } else {
            assert_eq!(reply.bytes(), &clip[bytes], "{what}");
        }
    }
}

#[test]
fn the_listener_for_signed_addresses_has_nothing_else() {
    let gateway = apart().access(|secrets| {
        secrets.admin_key = Some(voicepost::settings::Secret::new(ADMIN_KEY).into());
    });
    let gateway = gateway.start();
    let good = publish(&gateway);
    let id = MessageId::from_bytes([1; 16]);
    // The document is that of the senders' listener: there these paths lead somewhere.
    let strangers = Client::new(outside(&gateway).address(), None);
    let (token, key) = (bearer(&guest("guest-1", "c-1")), bearer(ADMIN_KEY));
    for path in [
        "/",
        "/v1",
        "/v1/limits",
        "/v1/voice-messages",
        &format!("/v1/voice-messages/{id}"),
        "/admin",
        "/admin/state",
        "/admin/audit",
        "/%61dmin/state",
        "//admin/state",
        "/metrics",
        "/media/../admin/state",
        "/voicepost.js",
        "/openapi.json",
        "/livez",
        "/readyz",
    ] {
        for shown in [&token, &key] {
            for method in ["GET", "POST", "DELETE"] {
                let request = Request::new(method, path).header("Authorization", shown);
                let reply = strangers.send(&request);
                assert_eq!(reply.status, 404, "{method} {path}");
                inert(path, &reply);
            }
        }
    }
    // Nor are the others' listeners a way round.
    gateway.public.get(&good).problem(404, "route-not-found");
    let asked = Request::new("GET", &good).header("Authorization", &token);
    gateway.public.send(&asked).problem(404, "route-not-found");
    for path in ["/admin/state", "/metrics"] {
        let asked = Request::new("GET", path).header("Authorization", &key);
        gateway.public.send(&asked).problem(401, "unauthorized");
    }
    assert_eq!(gateway.admin.get("/livez").status, 200);
    assert_eq!(gateway.admin.get(&good).status, 401);
}

const ADMIN_KEY: &str = "operators-key-0123456789";

#[test]
fn without_a_listener_of_its_own_media_is_where_senders_are() {
    let gateway = hosting().start();
    assert!(gateway.outside.is_none());
    let good = publish(&gateway);
    let client = Client::new(gateway.public.address(), None);
    assert_eq!(client.get(&good).status, 200);
    for (what, path, (status, _)) in forgeries(&gateway, &good) {
        let reply = client.get(&path);
        // What is no address at all asks for a caller first.
        assert!([status, 401].contains(&reply.status), "{what}: {} {path}", reply.status);
        inert(what, &reply);
    }
}

/// A body that nobody reads ends with its connection, whatever was asked.
#[test]
fn who_sends_for_ever_what_nobody_reads_is_cut_off() {
    let gateway = apart().settings(|s| s.server.linger_seconds = 1).start();
    let good = publish(&gateway);
    let key = bearer(&guest("guest-1", "c-1"));
    for (client, method, path) in [
        (outside(&gateway), "POST", good.as_str()),
        (outside(&gateway), "GET", good.as_str()),
        (outside(&gateway), "POST", "/nothing"),
        (&gateway.public, "POST", "/livez"),
        (&gateway.public, "POST", "/v1/limits"),
        (&gateway.public, "GET", "/v1/voice-messages/x"),
    ] {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let mut stream = client.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            (0..500)
                .take_while(|_| {
                    crate::support::pause(std::time::Duration::from_millis(20));
                    stream.write_all(b"1\r\nx\r\n").is_ok()
                })
                .count()
        });
        let mut said = Vec::new();
        // A reset is an end as well.
        let _ = reader.read_to_end(&mut said);
        assert!(said.starts_with(b"HTTP/1.1 "), "{method} {path}: no answer");
        assert!(sending.join().unwrap() < 500, "{method} {path} was read for ten seconds");
    }
}
