//! The route `open-messaging`: the clip on our own media host, one call, and every copy's end.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule};
use voicepost::settings::{Settings, Warning};

use crate::support::{
    Client, Form, MEDIA_BASE_URL, Reply, Request, TRANSCRIPT, TestGateway, fixture, logged,
    open_messaging,
};

fn start() -> TestGateway {
    TestGateway::builder().open_messaging().start()
}

fn form() -> Form {
    Form::sample().without("conversation_id")
}

/// What the message in the conversation says, as an agent's desktop would read it.
fn shown(gateway: &TestGateway, receipt: &Value) -> Value {
    let id = receipt["message_id"].as_str().unwrap();
    gateway.at_genesys(|sandbox| sandbox.open_message_shown(id)).unwrap()
}

/// The path of the clip's address.
fn media_path(gateway: &TestGateway, receipt: &Value) -> String {
    let message = shown(gateway, receipt);
    let url = message["content"][0]["attachment"]["url"].as_str().unwrap().to_owned();
    url.strip_prefix(MEDIA_BASE_URL).unwrap().to_owned()
}

/// Somebody who is given an address, and knows nothing of the API's document.
fn outside(gateway: &TestGateway) -> Client {
    Client::new(gateway.public.address(), None)
}

#[test]
fn a_clip_arrives_with_its_text_and_can_be_fetched() {
    let gateway = start();
    let receipt = gateway.send(&form()).receipt(201);
    let message = shown(&gateway, &receipt);
    assert_eq!(message["text"], TRANSCRIPT);
    assert_eq!(message["channel"]["messageId"], receipt["id"]);
    let attachment = &message["content"][0]["attachment"];
    assert_eq!(attachment["mediaType"], "Audio");
    assert_eq!(attachment["mime"], "audio/ogg");
    assert_eq!(attachment["sha256"], receipt["media"]["sha256"]);
    let conversation = gateway.at_genesys(|s| s.account().posts()[0].conversation_id.clone());
    assert_eq!(receipt["conversation_id"], json!(conversation));
    let mut copies = receipt["purge"]["copies"].as_array().unwrap().clone();
    copies.sort_by_key(|copy| copy["kind"].to_string());
    assert_eq!(
        copies,
        [
            json!({"kind": "cached-media", "state": "owed"}),
            json!({"kind": "hosted-file", "state": "owed"}),
            json!({"kind": "recording", "state": "not-possible"}),
        ]
    );

    let path = media_path(&gateway, &receipt);
    let clip = fixture("hello.ogg");
    let whole = outside(&gateway).get(&path);
    assert_eq!((whole.status, whole.bytes()), (200, clip.as_slice()));
    for (name, value) in [
        ("content-type", "audio/ogg"),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-store"),
        ("content-security-policy", "default-src 'none'; sandbox"),
    ] {
        assert_eq!(whole.header(name), Some(value), "{name}");
    }
    // The guest's next message goes on in the same conversation.
    let next = gateway.send(&form()).receipt(201);
    assert_eq!(next["conversation_id"], receipt["conversation_id"]);
    assert_ne!(media_path(&gateway, &next), path);
}

#[test]
fn ranges_and_heads_are_answered() {
    let gateway = start();
    let receipt = gateway.send(&form()).receipt(201);
    let path = media_path(&gateway, &receipt);
    let clip = fixture("hello.ogg");
    let length = clip.len();
    let range = |range: &str| -> Reply {
        outside(&gateway).send(&Request::new("GET", &path).header("Range", range))
    };
    for (asked, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=100-", 100, length - 1),
        ("bytes=-10", length - 10, length - 1),
        ("bytes=0-999999999", 0, length - 1),
    ] {
        let reply = range(asked);
        assert_eq!((reply.status, reply.bytes()), (206, &clip[first..=last]), "{asked}");
        let told = format!("bytes {first}-{last}/{length}");
        assert_eq!(reply.header("content-range"), Some(told.as_str()), "{asked}");
    }
    for asked in ["bytes=0-1,5-6", "lines=1-2", "bytes=", "bytes=5-1", "nonsense"] {
        let reply = range(asked);
        assert_eq!((reply.status, reply.bytes().len()), (200, length), "{asked}");
    }
    // A condition that nothing here can meet: the whole clip.
    let asked = Request::new("GET", &path).header("Range", "bytes=0-9");
    let reply = outside(&gateway).send(&asked.header("If-Range", "\"a-tag\""));
    assert_eq!((reply.status, reply.bytes().len()), (200, length));
    let beyond = range(&format!("bytes={length}-"));
    assert_eq!((beyond.status, beyond.at("/code").as_str()), (416, "range-not-satisfiable"));
    let told = format!("bytes */{length}");
    assert_eq!(beyond.header("content-range"), Some(told.as_str()));

    let mut stream = TcpStream::connect(gateway.public.address()).unwrap();
    stream.write_all(&Request::new("HEAD", &path).to_bytes()).unwrap();
    let mut head = String::new();
    stream.read_to_string(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_ascii_lowercase().contains(&format!("content-length: {length}\r\n")), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_purge_takes_our_file_and_what_genesys_keeps() {
    let gateway = start();
    let receipt = gateway.send(&form()).receipt(201);
    let id = receipt["id"].as_str().unwrap();
    let path = media_path(&gateway, &receipt);
    gateway.delete(id).receipt(202);
    let purged = gateway.receipt_when(id, "what can go is gone", |receipt| {
        receipt["purge"]["state"] == "incomplete"
    });
    for copy in purged["purge"]["copies"].as_array().unwrap() {
        let wanted = if copy["kind"] == "recording" { "not-possible" } else { "gone" };
        assert_eq!(copy["state"], wanted, "{copy}");
    }
    assert_eq!(purged["transcript"], Value::Null);
    let gone = outside(&gateway).get(&path);
    assert_eq!((gone.status, gone.at("/code").as_str()), (410, "media-gone"));
    let never = outside(&gateway).get(&path.replace(".ogg", ".mp3"));
    assert_eq!(never.status, 404);
    let cached = gateway.at_genesys(|sandbox| sandbox.cached_items().to_vec());
    assert!(cached.iter().all(|item| item.delete_asked_at_ms.is_some()), "{cached:?}");
    assert_eq!(cached.len(), 1);
    // Genesys takes its deletion on before it is done: that is its way, and nothing to warn of.
    let log = logged();
    let said = |what: &str| log.lines().any(|line| line.contains(id) && line.contains(what));
    assert!(said("purge under way") && !said("purge deferred"));
    let files = std::fs::read_dir(gateway.data.path().join("hosted")).unwrap();
    let clips = files.filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "clip");
    assert_eq!(clips.count(), 0);
}

/// Genesys may ask for a long pause; our own file needs no call of it.
#[test]
fn our_file_goes_in_time_while_genesys_takes_no_deletion() {
    let gateway = start();
    let send = || gateway.send(&form()).receipt(201)["id"].as_str().unwrap().to_owned();
    let (first, second) = (send(), send());
    let pause = FaultAction::status(429).retry_after("600");
    gateway.trouble(vec![FaultRule::new(Endpoint::CachedMedia, pause)]);
    let gone = |id: &str| {
        gateway.delete(id).receipt(202);
        gateway.receipt_when(id, "our file is gone", |receipt| {
            let copies = receipt["purge"]["copies"].as_array().unwrap();
            copies.iter().any(|copy| copy["kind"] == "hosted-file" && copy["state"] == "gone")
        })
    };
    gone(&first);
    let receipt = gone(&second);
    assert_eq!(receipt["purge"]["copies"][0]["state"], "owed", "what Genesys caches is owed");
}

#[test]
fn a_post_whose_answer_was_lost_is_found_in_the_guests_conversation() {
    let gateway = start();
    let first = gateway.send(&form()).receipt(201);
    let cut = FaultAction::cut(Cut::After);
    gateway.trouble(vec![FaultRule::new(Endpoint::InboundMessage, cut).times(1)]);
    let second = gateway.send(&form()).receipt(201);
    assert_eq!(second["delivery"]["possible_duplicate"], false);
    assert_eq!(second["conversation_id"], first["conversation_id"]);
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 2);
    // Cut before the effect: it is not there, and is posted.
    let cut = FaultAction::cut(Cut::Before);
    gateway.trouble(vec![FaultRule::new(Endpoint::InboundMessage, cut).times(1)]);
    let third = gateway.send(&form()).receipt(201);
    assert_eq!(third["delivery"]["possible_duplicate"], false);
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 3);
}

#[test]
fn a_lost_first_post_is_repeated_byte_for_byte_and_marked() {
    let gateway = start();
    let cut = FaultAction::cut(Cut::After);
    gateway.trouble(vec![FaultRule::new(Endpoint::InboundMessage, cut).times(1)]);
    let receipt = gateway.send(&form()).receipt(201);
    assert_eq!(receipt["delivery"]["possible_duplicate"], true);
    let posts = gateway.at_genesys(|sandbox| sandbox.account().posts().to_vec());
    assert_eq!(posts.len(), 2);
    let shown = |n: usize| {
        gateway.at_genesys(|sandbox| sandbox.open_message_shown(&posts[n].message_id)).unwrap()
    };
    for part in ["channel", "text"] {
        assert_eq!(shown(0)[part], shown(1)[part], "{part}");
    }
    let url = |n| shown(n)["content"][0]["attachment"]["url"].clone();
    assert_eq!(url(0), url(1));
}

/// What a content profile does not admit Genesys drops, and says nothing.
#[test]
fn dropped_audio_is_a_warning_that_names_what_to_change() {
    let start = |checks: bool| {
        TestGateway::builder()
            .open_messaging()
            .settings(|settings| settings.genesys.open_messaging.check_audio = checks)
            .sandbox(|sandbox| sandbox.inbound_media = vec!["image/*".to_owned()])
            .start()
    };
    let gateway = start(true);
    let receipt = gateway.send(&form()).receipt(201);
    let warning = receipt["delivery"]["warning"].as_str().unwrap();
    for words in ["dropped its audio", "content profile", "audio/ogg or audio/*"] {
        assert!(warning.contains(words), "{warning}");
    }
    let id = receipt["id"].as_str().unwrap();
    let history = gateway.admin_get(&format!("/admin/messages/{id}/history")).text().to_owned();
    assert!(history.contains("Genesys dropped the audio"), "{history}");
    let shown = gateway.admin_get(&format!("/admin/messages/{id}")).text().to_owned();
    assert!(shown.contains("dropped its audio"), "{shown}");
    let logged = logged();
    let line = logged.lines().find(|line| line.contains("audio dropped") && line.contains(id));
    assert!(line.is_some_and(|line| line.contains("WARN")), "{line:?}");
    // One whose answer was lost is looked up, and looked at all the same.
    let cut = FaultAction::cut(Cut::After);
    gateway.trouble(vec![FaultRule::new(Endpoint::InboundMessage, cut).times(1)]);
    let found = gateway.send(&form()).receipt(201);
    assert_eq!(found["delivery"]["possible_duplicate"], false);
    assert!(found["delivery"]["warning"].is_string(), "{found}");
    // What is admitted, what cannot be told, and who does not ask: no warning.
    gateway.sandbox.with(|sandbox| sandbox.set_inbound_media(vec!["audio/*".to_owned()]));
    assert_eq!(gateway.send(&form()).receipt(201)["delivery"].get("warning"), None);
    gateway.sandbox.with(|sandbox| sandbox.set_inbound_media(vec!["image/*".to_owned()]));
    let refuse = FaultRule::new(Endpoint::Message, FaultAction::status(403));
    gateway.trouble(vec![refuse]);
    assert_eq!(gateway.send(&form()).receipt(201)["delivery"].get("warning"), None);
    let unasked = start(false);
    assert_eq!(unasked.send(&form()).receipt(201)["delivery"].get("warning"), None);
}

#[test]
fn refusals_say_what_to_change() {
    let gateway = start();
    for (status, words) in [(403, "conversation:message:receive"), (404, "integration")] {
        let rule = FaultRule::new(Endpoint::InboundMessage, FaultAction::status(status));
        gateway.trouble(vec![rule]);
        let refused = gateway.send(&form());
        assert_eq!((refused.status, refused.at("/code").as_str()), (502, "genesys-refused"));
        assert!(refused.at("/detail").contains(words), "{}", refused.at("/detail"));
    }
    gateway.trouble(Vec::new());
    let missing = gateway.send(&form().without("sender_id"));
    assert_eq!((missing.status, missing.at("/part").as_str()), (400, "sender_id"));
}

#[test]
fn the_route_asks_for_what_it_needs() {
    let refused = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        open_messaging(&mut settings);
        change(&mut settings);
        settings.check().unwrap_err().to_string()
    };
    let id = refused(|settings| settings.genesys.open_messaging.integration_id = String::new());
    assert!(id.contains("genesys.open_messaging.integration_id"), "{id}");
    let url = refused(|settings| settings.public.base_url = None);
    assert!(url.contains("public.base_url"), "{url}");
    let short = refused(|settings| settings.genesys.open_messaging.serve_seconds = 59);
    assert!(short.contains("serve_seconds") && short.contains("59"), "{short}");
    // In front of a sandbox it only warns.
    let mut brief = Settings::default();
    open_messaging(&mut brief);
    brief.genesys.api_url = Some("http://127.0.0.1:9090".to_owned());
    brief.genesys.open_messaging.serve_seconds = 59;
    let warned = |warning: &Warning| warning.to_string().contains("serve_seconds is 59");
    assert!(brief.check().unwrap().iter().any(warned));
}
