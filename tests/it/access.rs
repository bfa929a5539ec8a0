//! Who may send, and what of whom: API keys of backends, tokens of guests, and nobody else.

use serde_json::json;
use voicepost::access::{KeyFile, NewKey};
use voicepost::domain::{RouteName, UnixMs};
use voicepost::settings::Secret;

use crate::support::issuer::{self, AUDIENCE, Issuer, SECRET, claims, guest};
use crate::support::{Builder, Client, Form, Reply, Request, TestGateway, eventually, logged};

/// A gateway that knows guests by tokens signed with the tests' secret.
pub fn with_tokens() -> Builder {
    TestGateway::builder()
        .settings(|s| s.auth.jwt_audience = Some(AUDIENCE.to_owned()))
        .access(|secrets| secrets.jwt_secret = Some(Secret::new(SECRET).into()))
}

/// Adds a key to the file and returns its text.
pub fn add_key(file: &KeyFile, number: u8, change: impl FnOnce(&mut NewKey)) -> String {
    let mut new =
        NewKey { name: format!("backend-{number}"), routes: Vec::new(), quota_per_minute: None };
    change(&mut new);
    let (text, key) = new.mint(&[number; 32], [number; 6], UnixMs(0));
    let push = |keys: &mut Vec<_>| -> Result<(), voicepost::access::KeyFileError> {
        keys.push(key);
        Ok(())
    };
    file.change(push).unwrap();
    text
}

/// A gateway with a key file in its folder, and the text of its one key.
pub fn with_key(builder: Builder) -> (Builder, KeyFile, String) {
    let path = builder.data().join("keys.json");
    let file = KeyFile::at(&path);
    let key = add_key(&file, 1, |_| {});
    let path = path.to_str().unwrap().to_owned();
    (builder.settings(|s| s.auth.keys_file = Some(path)), file, key)
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub fn signed(form: Form, token: &str) -> Form {
    form.header("Authorization", &bearer(token))
}

pub fn ask(client: &Client, method: &str, path: &str, token: &str) -> Reply {
    client.send(&Request::new(method, path).header("Authorization", &bearer(token)))
}

fn own(sender: &str) -> Form {
    Form::sample().with("conversation_id", "c-1").with("sender_id", sender)
}

#[test]
fn without_a_token_nothing_but_the_open_paths_is_answered() {
    let gateway = with_tokens().start();
    let reply = gateway.send(&Form::sample());
    reply.problem(401, "unauthorized");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"voicepost\""));
    let id = "019aa6c2-7f31-7c55-9d0e-3b1f6a2c4e88";
    gateway.get(id).problem(401, "unauthorized");
    gateway.delete(id).problem(401, "unauthorized");
    // Other ways to write a path, and paths that are none.
    for path in ["/%761/voice-messages", "/v1/voice-messages/", "/v1//limits", "/v1/limits/", "/x"]
    {
        gateway.public.get(path).problem(401, "unauthorized");
    }
    for path in ["/v1/limits", "/openapi.json", "/livez", "/readyz"] {
        gateway.public.get(path).receipt(200);
    }
    assert_eq!(gateway.records().len(), 0);
}

#[test]
fn a_header_that_is_not_one_bearer_token_is_refused() {
    let gateway = with_tokens().start();
    let sound = bearer(&guest("guest-1", "c-1"));
    let basic = format!("Basic {}", &sound["Bearer ".len()..]);
    for header in [basic.as_str(), "Bearer", "Bearer ", "Bearer a b", "Bearer \"x\"", ""] {
        let reply = gateway.send(&own("guest-1").header("Authorization", header));
        reply.problem(401, "unauthorized");
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_request\""), "{header}: {challenge}");
    }
    let twice = own("guest-1").header("Authorization", &sound).header("Authorization", &sound);
    gateway.send(&twice).problem(401, "unauthorized");
    let long = format!("Bearer {}", "x".repeat(4097));
    gateway.send(&own("guest-1").header("Authorization", &long)).problem(401, "unauthorized");
    // The scheme's case does not matter.
    let lower = sound.replacen("Bearer", "bEARER", 1);
    gateway.send(&own("guest-1").header("Authorization", &lower)).receipt(201);
}

#[test]
fn a_guest_sends_into_their_own_conversation_only_and_under_their_own_name() {
    let gateway = with_tokens().start();
    let token = guest("guest-1", "c-1");
    let sent = gateway.send(&signed(own("guest-1"), &token)).receipt(201);
    assert_eq!(sent["conversation_id"], "c-1");
    // What the token says need not be said again.
    let bare = Form::sample().without("conversation_id").without("sender_id");
    assert_eq!(gateway.send(&signed(bare, &token)).receipt(201)["conversation_id"], "c-1");
    let records = gateway.records();
    let envelope = records[1].envelope.as_ref().expect("the audio is still there");
    assert_eq!(envelope.sender_id.as_deref(), Some("guest-1"));
    // Another's is refused, whichever comes first.
    let other = signed(own("guest-1").with("conversation_id", "c-2"), &token);
    let reply = gateway.send(&other.reversed());
    assert!(reply.problem(403, "forbidden").contains("conversation_id"));
    let other = gateway.send(&signed(own("guest-2"), &token));
    assert!(other.problem(403, "forbidden").contains("sender_id"));
    assert_eq!(gateway.records().len(), 2);
    // A token without a conversation reads, and sends nowhere.
    let mut without = claims("guest-1", "c-1");
    without.as_object_mut().unwrap().remove("conversation_id");
    let token = Issuer::Shared(SECRET.into()).token(&without);
    gateway.send(&signed(own("guest-1"), &token)).problem(403, "forbidden");
    let path = format!("/v1/voice-messages/{}", sent["id"].as_str().unwrap());
    ask(&gateway.public, "GET", &path, &token).receipt(200);
}

/// Which conversation it is, Genesys decides by the sender; the guest has no say in it.
#[test]
fn on_open_messaging_a_guest_needs_no_conversation_and_can_name_none() {
    let gateway = with_tokens().open_messaging().start();
    let token = |sender: &str| {
        let mut claims = claims(sender, "");
        claims.as_object_mut().unwrap().remove("conversation_id");
        Issuer::Shared(SECRET.into()).token(&claims)
    };
    let (mine, other) = (token("guest-1"), token("guest-2"));
    let bare = || Form::sample().without("conversation_id").without("sender_id");
    let sent = gateway.send(&signed(bare(), &mine)).receipt(201);
    assert!(sent["conversation_id"].is_string(), "{sent}");
    for (part, value) in [("conversation_id", "c-1"), ("sender_id", "guest-2")] {
        let refused = gateway.send(&signed(bare().field(part, value), &mine));
        assert!(refused.problem(403, "forbidden").contains(part));
    }
    let path = format!("/v1/voice-messages/{}", sent["id"].as_str().unwrap());
    for method in ["GET", "DELETE"] {
        ask(&gateway.public, method, &path, &other).problem(404, "message-not-found");
    }
    ask(&gateway.public, "GET", &path, &mine).receipt(200);
    let theirs = gateway.send(&signed(bare(), &other)).receipt(201);
    assert_ne!(theirs["conversation_id"], sent["conversation_id"]);
    assert_eq!(ask(&gateway.public, "DELETE", &path, &mine).status, 202);
}

#[test]
fn a_guest_reads_and_withdraws_their_own_messages_only() {
    let (builder, _file, key) = with_key(with_tokens());
    let gateway = builder.start();
    let mine = guest("guest-1", "c-1");
    let sent = gateway.send(&signed(own("guest-1"), &mine)).receipt(201);
    let path = format!("/v1/voice-messages/{}", sent["id"].as_str().unwrap());
    // Another guest of the same conversation, and a backend that did not send it.
    for other in [guest("guest-2", "c-1"), key] {
        for method in ["GET", "DELETE"] {
            ask(&gateway.public, method, &path, &other).problem(404, "message-not-found");
        }
    }
    // The same guest with a newer token.
    let mut newer = claims("guest-1", "c-9");
    newer["exp"] = json!(issuer::now() + 900);
    let newer = Issuer::Shared(SECRET.into()).token(&newer);
    ask(&gateway.public, "GET", &path, &newer).receipt(200);
    assert!([200, 202].contains(&ask(&gateway.public, "DELETE", &path, &newer).status));
}

#[test]
fn an_idempotency_key_belongs_to_its_caller() {
    let (builder, _file, key) = with_key(with_tokens());
    let gateway = builder.start();
    let send = |token: &str, sender: &str| {
        let form = own(sender).header("Idempotency-Key", "the-same");
        gateway.send(&signed(form, token)).receipt(201)["id"].clone()
    };
    let first = send(&guest("guest-1", "c-1"), "guest-1");
    let second = send(&guest("guest-2", "c-1"), "guest-2");
    let third = send(&key, "guest-1");
    assert!(first != second && second != third && first != third);
    assert_eq!(send(&guest("guest-1", "c-1"), "guest-1"), first);
    assert_eq!(send(&key, "guest-1"), third);
}

#[test]
fn two_issuers_do_not_have_the_same_guest() {
    let gateway = with_tokens().start();
    let of = |issuer: &str| {
        let mut claims = claims("guest-1", "c-1");
        claims["iss"] = json!(issuer);
        Issuer::Shared(SECRET.into()).token(&claims)
    };
    let sent = gateway.send(&signed(own("guest-1"), &of("shop"))).receipt(201);
    let path = format!("/v1/voice-messages/{}", sent["id"].as_str().unwrap());
    ask(&gateway.public, "GET", &path, &of("shop")).receipt(200);
    ask(&gateway.public, "GET", &path, &of("bank")).problem(404, "message-not-found");
}

/// At Genesys a guest of this route is known by `sub` alone: two issuers' guests would read what
/// agents answer to each other.
#[test]
fn where_a_guest_is_known_by_name_alone_only_one_issuer_names_guests() {
    let of = |issuer: &str| {
        let mut claims = claims("guest-1", "c-1");
        claims["iss"] = json!(issuer);
        Issuer::Shared(SECRET.into()).token(&claims)
    };
    let sent = |builder: Builder, token: &str| {
        let gateway = builder.start();
        gateway.send(&signed(own("guest-1"), token))
    };
    let open = || with_tokens().open_messaging();
    let detail = sent(open(), &of("shop")).problem(401, "unauthorized");
    assert!(detail.contains("auth.jwt_issuer is empty"), "{detail}");
    sent(open(), &guest("guest-1", "c-1")).receipt(201);
    let one = |builder: Builder| builder.settings(|s| s.auth.jwt_issuer = Some("shop".to_owned()));
    sent(one(open()), &of("shop")).receipt(201);
    sent(one(open()), &of("bank")).problem(401, "unauthorized");
}

#[test]
fn a_token_is_good_for_as_many_clips_as_it_says() {
    let gateway = with_tokens().start();
    let mut two = claims("guest-1", "c-1");
    two["clips_max"] = json!(2);
    let token = Issuer::Shared(SECRET.into()).token(&two);
    // What is refused does not count, and neither does a repeat.
    let broken = Form::sample().without("file").file("x.ogg", b"no audio".to_vec());
    let broken = broken.without("conversation_id").without("sender_id");
    gateway.send(&signed(broken, &token)).problem(415, "unsupported-audio-format");
    let keyed = own("guest-1").header("Idempotency-Key", "once");
    let first = gateway.send(&signed(keyed.clone(), &token)).receipt(201);
    let repeat = || gateway.send(&signed(keyed.clone(), &token)).receipt(201)["id"].clone();
    assert_eq!(repeat(), first["id"]);
    gateway.send(&signed(own("guest-1"), &token)).receipt(201);
    let detail = gateway.send(&signed(own("guest-1"), &token)).problem(403, "forbidden");
    assert!(detail.contains("2 clips"), "{detail}");
    assert_eq!(repeat(), first["id"], "a repeat needs no place");
    let new_key = own("guest-1").header("Idempotency-Key", "twice");
    gateway.send(&signed(new_key, &token)).problem(403, "forbidden");
}

#[test]
fn a_guests_identity_does_not_outlive_the_audio() {
    // Invariant 11: what is kept as the principal does not tell who the guest was.
    let gateway = with_tokens().start();
    let token = guest("planted-guest-4471", "c-1");
    gateway.send(&signed(own("planted-guest-4471"), &token)).receipt(201);
    let principal = gateway.records()[0].principal.0.clone();
    assert!(principal.starts_with("guest:") && principal.len() == 6 + 32, "{principal}");
}

#[test]
fn a_backend_speaks_for_any_guest_by_the_routes_of_its_key() {
    let (builder, file, key) = with_key(TestGateway::builder());
    let elsewhere = add_key(&file, 2, |new| new.routes = vec![RouteName::MediaApi]);
    let gateway = builder.start();
    for (sender, conversation) in [("guest-1", "c-1"), ("guest-2", "c-2")] {
        let form = own(sender).with("conversation_id", conversation);
        gateway.send(&signed(form, &key)).receipt(201);
    }
    gateway.send(&signed(own("guest-1"), &elsewhere)).receipt(201);
    // Still, what the route needs has to be named.
    let bare = Form::sample().without("sender_id");
    gateway.send(&signed(bare, &key)).problem(400, "missing-part");
    for wrong in [format!("{key}x"), "vpk_".to_owned(), key.replace("vpk_", "vpk_A")] {
        let reply = gateway.send(&signed(own("guest-1"), &wrong));
        reply.problem(401, "unauthorized");
        assert!(reply.header("www-authenticate").unwrap().contains("invalid_token"));
    }
    // Only keys are set up: a token is no key.
    gateway.send(&signed(own("a"), &guest("a", "c-1"))).problem(401, "unauthorized");
}

#[test]
fn new_and_revoked_keys_count_without_a_restart() {
    let (builder, file, first) = with_key(TestGateway::builder());
    let gateway = builder.start();
    let path = "/v1/voice-messages/019aa6c2-7f31-7c55-9d0e-3b1f6a2c4e88";
    let status = |key: &str| ask(&gateway.public, "GET", path, key).status;
    assert_eq!(status(&first), 404);
    let second = add_key(&file, 2, |_| {});
    eventually("the new key counts", || (status(&second) == 404).then_some(()));
    let revoke = |keys: &mut Vec<voicepost::access::ApiKey>| {
        keys[0].revoked_at = Some(UnixMs(1));
        Ok::<(), voicepost::access::KeyFileError>(())
    };
    file.change(revoke).unwrap();
    eventually("the revoked key does not", || (status(&first) == 401).then_some(()));
    assert_eq!(status(&second), 404);
    // A file that is broken, or gone, changes nothing.
    std::fs::write(file.path(), "{").unwrap();
    crate::support::pause(std::time::Duration::from_millis(1500));
    assert_eq!((status(&first), status(&second)), (401, 404));
    std::fs::remove_file(file.path()).unwrap();
    crate::support::pause(std::time::Duration::from_millis(1500));
    assert_eq!((status(&first), status(&second)), (401, 404));
}

/// Writes a file without letting its time, size or place on the disk tell that it was written.
pub fn write_unseen(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1)).unwrap();
}

#[test]
fn a_key_is_revoked_although_the_first_read_of_the_file_failed() {
    let (builder, file, key) = with_key(TestGateway::builder());
    let gateway = builder.start();
    let path = "/v1/voice-messages/019aa6c2-7f31-7c55-9d0e-3b1f6a2c4e88";
    let status = || ask(&gateway.public, "GET", path, &key).status;
    let mut keys = file.read().unwrap();
    keys[0].revoked_at = Some(UnixMs(1));
    let revoked = json!({ "keys": keys }).to_string();
    write_unseen(file.path(), &format!("{:1$}", "{", revoked.len()));
    let told = format!("the key file {} is not sound", file.path().display());
    eventually("the failed read is told", || logged().contains(&told).then_some(()));
    assert_eq!(status(), 404, "what cannot be read changes nothing");
    write_unseen(file.path(), &revoked);
    eventually("the key is revoked", || (status() == 401).then_some(()));
    assert_eq!(logged().matches(&told).count(), 1, "told once, not every second");
}

#[test]
fn a_gateway_that_cannot_tell_callers_apart_does_not_start() {
    let start = |builder: Builder| builder.try_start().err().expect("no start");
    let missing = TestGateway::builder();
    let missing = missing.settings(|s| s.auth.keys_file = Some("/nonexistent/keys".to_owned()));
    assert!(start(missing).contains("voicepost keys new"));
    let keyless =
        TestGateway::builder().settings(|s| s.auth.jwt_audience = Some(AUDIENCE.to_owned()));
    assert!(start(keyless).contains("VOICEPOST_JWT_SECRET"));
    let secret_only =
        TestGateway::builder().access(|a| a.jwt_secret = Some(Secret::new(SECRET).into()));
    assert!(start(secret_only).contains("auth.jwt_audience"));
    let algorithm = with_tokens().settings(|s| s.auth.jwt_algorithms = "RS256, HS256".to_owned());
    assert!(start(algorithm).contains("HS256"));
}

#[test]
fn no_token_and_no_key_is_logged() {
    // Invariant 8, for what callers show.
    let (builder, _file, key) = with_key(with_tokens());
    let gateway = builder.start();
    let token = guest("planted-guest-90ab", "planted-conversation-17");
    let form = own("planted-guest-90ab").with("conversation_id", "planted-conversation-17");
    let id = gateway.send(&signed(form.clone(), &token)).receipt(201)["id"].clone();
    gateway.send(&signed(form.with("sender_id", "x"), &token)).problem(403, "forbidden");
    gateway.send(&signed(own("guest-1"), &key)).receipt(201);
    let forged = format!("{token}AAAA");
    gateway.send(&signed(own("guest-1"), &forged)).problem(401, "unauthorized");
    gateway.send(&signed(own("guest-1"), &format!("{key}A"))).problem(401, "unauthorized");
    drop(gateway);
    let log = logged();
    assert!(log.contains(id.as_str().unwrap()), "the log is that of this test");
    let signature = token.rsplit('.').next().unwrap();
    for secret in [SECRET, signature, &key[4..], "planted-guest-90ab"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret:?} is logged");
    }
}
