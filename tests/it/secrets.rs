//! Invariant 8, from outside: secrets, transcripts, sender, file name and audio are planted, and
//! everything that the process wrote is searched for them: its log, its data directory while
//! messages wait and after the end, every answer but the sender's own receipts, `Debug`.
//!
//! The one exception, the first bytes of a clip that Genesys refused, is why the clip is searched
//! for from its middle on.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use voicepost::domain::RouteName;
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule, Webhook};
use voicepost::settings::{Credentials, Environment};

use crate::process::{Answer, Gateway, PATIENCE, World, wait_until};
use crate::sender::{exchange, request};
use crate::support::issuer::{AUDIENCE, Issuer, claims};
use crate::support::{Form, fixture};
use crate::ways;

const JWT_SECRET: &str = "planted-jwt-secret-8c1f0d7a92b34e55";
const ADMIN_KEY: &str = "planted-admin-key-51d0c2";
const DATA_KEY: &str = "planted-data-key-3d9a8e0f7b6c5d4e3f2a";
const SENDER: &str = "planted-sender-5f0a";
const TRANSCRIPT: &str = "planted transcript 77be";
const FILE_NAME: &str = "planted-file-name-19ac";
const METADATA: &str = "planted-metadata-e02d";
const WEBHOOK_SECRET: &str = "planted-webhook-secret-6b7e01";
const REPLY: &str = "planted reply of an agent 40c9";

/// What must be nowhere, with what it is called where it is found.
struct Planted(Vec<(&'static str, Vec<u8>)>);

impl Planted {
    fn new(token: &str) -> Planted {
        let clip = fixture("hello.ogg");
        let middle = &clip[clip.len() / 2..clip.len() / 2 + 48];
        let basic = STANDARD.encode("sandbox-client:sandbox-secret");
        let text = |what, text: &str| (what, text.as_bytes().to_vec());
        Planted(vec![
            text("the client's secret", "sandbox-secret"),
            text("the client's secret, as sent", &basic),
            text("the secret of tokens", JWT_SECRET),
            text("the operators' key", ADMIN_KEY),
            text("the key of the data", DATA_KEY),
            text("the webhook's secret", WEBHOOK_SECRET),
            text("an agent's reply", REPLY),
            text("a guest's token", token),
            text("the sender", SENDER),
            text("the transcript", TRANSCRIPT),
            text("the file's name", FILE_NAME),
            text("the metadata", METADATA),
            ("the audio", middle.to_vec()),
            ("the audio in base64", STANDARD.encode(middle).into_bytes()),
            text(
                "the audio in hex",
                &middle.iter().map(|b| format!("{b:02x}")).collect::<String>(),
            ),
        ])
    }

    #[track_caller]
    fn are_not_in(&self, place: &str, written: &[u8]) {
        for (what, planted) in &self.0 {
            let found = written.windows(planted.len()).any(|window| window == planted);
            assert!(!found, "{what} is in {place}");
        }
    }

    #[track_caller]
    fn are_not_below(&self, directory: &Path) -> usize {
        let mut files = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files += self.are_not_below(&path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                self.are_not_in(&path.display().to_string(), &bytes);
                files += 1;
            }
        }
        files
    }
}

fn planted_form(token: &str) -> Form {
    Form::empty()
        .file(&format!("{FILE_NAME}.ogg"), fixture("hello.ogg"))
        .field("transcript", TRANSCRIPT)
        .field("metadata", format!("{{\"key\":\"{METADATA}\"}}"))
        .header("Authorization", &format!("Bearer {token}"))
}

fn ask_operators(gateway: &Gateway, method: &str, path: &str, key: &str) -> Answer {
    let head = format!("Authorization: Bearer {key}\r\n");
    exchange(gateway.admin, &request(method, path, &head, b"")).unwrap()
}

fn text_of(answer: &Answer) -> String {
    format!("{}\n{}", answer.head, answer.body)
}

/// Messages that came to all kinds of ends, and what was answered to them beside receipts.
fn send_into_trouble(world: &World, gateway: &Gateway, token: &str) -> Vec<String> {
    let send = |form: &Form| exchange(gateway.public, &form.request().to_bytes()).unwrap();
    let mut answers = Vec::new();
    for (endpoint, action) in [
        (Endpoint::Upload, FaultAction::status(400)),
        (Endpoint::Upload, FaultAction::cut(Cut::After)),
        (Endpoint::Post, FaultAction::status(400)),
        (Endpoint::Post, FaultAction::effect_then_status(503)),
    ] {
        world.faults(vec![FaultRule::new(endpoint, action).times(1)]);
        let answer = send(&planted_form(token));
        if answer.status >= 400 {
            answers.push(text_of(&answer));
        }
    }
    let wrong = [
        planted_form(token).with("metadata", METADATA),
        planted_form(token).with("transcript", TRANSCRIPT.repeat(400)),
        planted_form(token).field("transcript", TRANSCRIPT),
        planted_form(token).field("sender_id", "another"),
        planted_form("planted.but.wrong"),
    ];
    for form in wrong {
        let answer = send(&form);
        assert!((400..500).contains(&answer.status), "{answer:?}");
        answers.push(text_of(&answer));
    }
    answers
}

#[test]
fn what_is_planted_is_found_nowhere() {
    let token = Issuer::Shared(JWT_SECRET.into()).token(&claims(SENDER, "conversation-of-secrets"));
    let planted = Planted::new(&token);
    let world = World::new(&[
        ("AUTH__JWT_AUDIENCE", AUDIENCE),
        ("LOG__FILTER", "trace"),
        ("DELIVERY__EXPIRES_AFTER_SECONDS", "60"),
    ])
    .variable("VOICEPOST_JWT_SECRET", Some(JWT_SECRET))
    .variable("VOICEPOST_ADMIN_KEY", Some(ADMIN_KEY))
    .variable("VOICEPOST_DATA_KEY", Some(DATA_KEY));
    let gateway = world.start();
    let mut answers = send_into_trouble(&world, &gateway, &token);

    // A message that waits lies on the disk with all it has.
    world.faults(vec![FaultRule::new(Endpoint::Post, FaultAction::status(503))]);
    let waiting = planted_form(&token).header("Prefer", "respond-async");
    let waiting = exchange(gateway.public, &waiting.request().to_bytes()).unwrap();
    assert_eq!(waiting.status, 202, "{waiting:?}");
    wait_until("its clip is in the spool", || !world.spooled().is_empty());
    assert!(planted.are_not_below(world.data.path()) >= 3, "ledger, log of it, clip");

    let id = waiting.id();
    let operators = |method: &str, path: &str| {
        let answer = ask_operators(&gateway, method, path, ADMIN_KEY);
        format!("{method} {path}\n{}", text_of(&answer))
    };
    for path in ["state", "messages", "held", "purges", "audit"] {
        answers.push(operators("GET", &format!("/admin/{path}")));
    }
    answers.push(operators("GET", &format!("/admin/messages/{id}")));
    answers.push(operators("GET", &format!("/admin/messages/{id}/history")));
    answers.push(operators("POST", "/admin/token/refresh"));
    answers.push(text_of(&ask_operators(&gateway, "GET", "/admin/state", "wrong-key")));
    for answer in &answers {
        planted.are_not_in(&format!("an answer: {answer}"), answer.as_bytes());
    }

    // The message is read back and posted as it was sent.
    world.release();
    wait_until("the message is posted", || {
        world.account(|account| account.posts().iter().any(|post| post.transcript == TRANSCRIPT))
    });
    let whole = fixture("hello.ogg").len();
    assert!(world.account(|account| account.uploads().iter().all(|u| u.bytes == whole)));
    gateway.terminate();
    let said = {
        wait_until("it has ended", || gateway.said().contains("drained"));
        gateway.said()
    };
    assert!(said.contains(&id), "the log is that of this test");
    planted.are_not_in("the log", said.as_bytes());
    assert_eq!(gateway.ended().code(), Some(0));
    planted.are_not_below(world.data.path());
}

/// The same where the clip lies on our own media host, and an agent answers.
#[test]
fn what_is_planted_is_found_nowhere_on_open_messaging() {
    let token = Issuer::Shared(JWT_SECRET.into()).token(&claims(SENDER, "conversation-of-secrets"));
    let planted = Planted::new(&token);
    let settings = [
        ("AUTH__JWT_AUDIENCE", AUDIENCE),
        ("LOG__FILTER", "trace"),
        ("GENESYS__OPEN_MESSAGING__SERVE_SECONDS", "600"),
    ];
    let world = World::on(RouteName::OpenMessaging, &settings)
        .variable("VOICEPOST_JWT_SECRET", Some(JWT_SECRET))
        .variable("VOICEPOST_ADMIN_KEY", Some(ADMIN_KEY))
        .variable("VOICEPOST_WEBHOOK_SECRET", Some(WEBHOOK_SECRET))
        .variable("VOICEPOST_DATA_KEY", Some(DATA_KEY));
    let gateway = world.start();
    let send = || exchange(gateway.public, &planted_form(&token).request().to_bytes()).unwrap();
    let mut answers = Vec::new();
    for action in [FaultAction::status(400), FaultAction::effect_then_status(503)] {
        world.faults(vec![FaultRule::new(Endpoint::InboundMessage, action).times(1)]);
        answers.push(send());
    }
    let sent = send();
    assert_eq!((answers[0].status, sent.status), (502, 201), "{sent:?}");
    let url = address_of_the_last(&world);
    let desk = |webhook: &str| {
        world.sandbox.with(|sandbox| {
            let conversation = sandbox.account().posts()[0].conversation_id.clone();
            let url = format!("http://{}{webhook}", gateway.public);
            sandbox.set_webhook(Webhook { url, secret: WEBHOOK_SECRET.to_owned() });
            sandbox.answer_guest(&conversation, REPLY, 0).expect("an open conversation");
        });
    };
    desk("/webhooks/open-messaging");
    let taken_in = || world.sandbox.with(|sandbox| format!("{:?}", sandbox.answers()));
    wait_until("the answer is taken in", || taken_in().contains("DeliveredToWebhook"));
    let forged = "X-Hub-Signature-256: sha256=AAAA\r\nContent-Type: application/json\r\n";
    let forged = request("POST", "/webhooks/open-messaging", forged, REPLY.as_bytes());
    answers.push(exchange(gateway.public, &forged).unwrap());
    assert_eq!(answers.last().unwrap().status, 401);
    // Message, reply and hosted clip lie on the disk now.
    assert!(!ways::hosted_clips(world.data.path()).is_empty());
    assert!(planted.are_not_below(world.data.path()) >= 3, "ledger, log of it, clips");
    let id = sent.id();
    for path in ["state", "messages", "purges"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("messages/{id}"), format!("messages/{id}/history")])
    {
        answers.push(ask_operators(&gateway, "GET", &format!("/admin/{path}"), ADMIN_KEY));
    }
    // The first is the sender's own receipt, of a message that failed.
    for answer in answers.iter().skip(2) {
        planted.are_not_in("an answer", text_of(answer).as_bytes());
    }
    gateway.terminate();
    wait_until("it has ended", || gateway.said().contains("drained"));
    let said = gateway.said();
    assert!(said.contains(&id) && said.contains("reply came"), "the log is that of this test");
    planted.are_not_in("the log", said.as_bytes());
    assert!(!said.contains(&url), "the clip's address is in the log");
    planted.are_not_below(world.data.path());
}

/// Where the clip of the last message lies.
fn address_of_the_last(world: &World) -> String {
    world.sandbox.with(|sandbox| {
        let id = sandbox.account().posts().last().expect("a post").message_id.clone();
        let shown = sandbox.open_message_shown(&id).expect("the message");
        shown["content"][0]["attachment"]["url"].as_str().expect("an address").to_owned()
    })
}

#[test]
fn what_is_encrypted_is_read_after_a_restart_and_only_with_its_key() {
    let world = World::new(&[]).variable("VOICEPOST_DATA_KEY", Some(DATA_KEY));
    world.faults(vec![FaultRule::new(Endpoint::Post, FaultAction::status(503))]);
    let gateway = world.start();
    let form = Form::sample().header("Prefer", "respond-async");
    let accepted = exchange(gateway.public, &form.request().to_bytes()).unwrap();
    assert_eq!(accepted.status, 202);
    gateway.kill();
    // Without the key nothing is guessed at: the gateway does not start.
    let without = world.variable("VOICEPOST_DATA_KEY", None);
    let ended = without.launch().ended();
    assert_eq!(ended.code(), Some(1));
    let changed = format!("{}\n{DATA_KEY}", DATA_KEY.replace("planted", "another"));
    let world = without.variable("VOICEPOST_DATA_KEY", Some(&changed));
    world.release();
    let gateway = world.start();
    gateway.receipt_at(&accepted.id(), "sent");
    gateway.settled(PATIENCE);
    assert_eq!(world.posts(), 1);
}

#[test]
fn debug_shows_no_secret() {
    let environment: Environment = [
        ("GENESYS_CLIENT_ID", "me"),
        ("GENESYS_CLIENT_SECRET", "sandbox-secret"),
        ("VOICEPOST_JWT_SECRET", JWT_SECRET),
        ("VOICEPOST_ADMIN_KEY", ADMIN_KEY),
        ("VOICEPOST_DATA_KEY", DATA_KEY),
    ]
    .into_iter()
    .collect();
    let credentials = Credentials::load_from(&environment).unwrap();
    let sealer = voicepost::sealing::Sealer::new(DATA_KEY).unwrap();
    let shown = format!("{environment:?} {credentials:?} {credentials:#?} {sealer:?}");
    Planted::new("no token").are_not_in("Debug", shown.as_bytes());
    assert!(shown.contains("redacted"), "{shown}");
}
