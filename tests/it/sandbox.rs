//! The sandbox keeps the media-api contract and fails on request, over real sockets.
//!
//! The client is a bare socket: what arrives is seen byte by byte, cut connections included.

mod answers;
mod content;
mod contract;
mod faults;
mod media_url;
mod outages;
mod page;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use voicepost::sandbox::{FaultRule, SandboxServer, SandboxSettings};

const UPLOAD: &str = "/api/v2/media/attachments/upload";
const MESSAGES: &str = "/api/v2/conversations/messages";
const CLIP: &[u8] = b"OggS, or what a test takes for it";

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (named, value) = line.split_once(": ")?;
            named.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// A sandbox, and a client that holds a token of it.
struct Client {
    server: SandboxServer,
    token: String,
}

impl Client {
    fn start(settings: SandboxSettings) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = SandboxServer::start(settings, listener).expect("the sandbox starts");
        let mut client = Client { server, token: String::new() };
        client.token = client.exchange();
        client
    }

    fn exchange(&self) -> String {
        let answer = self.ask_token("sandbox-client:sandbox-secret");
        assert_eq!(answer.status, 200);
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    fn ask_token(&self, credentials: &str) -> Answer {
        let basic = format!("Basic {}", STANDARD.encode(credentials));
        let form = "application/x-www-form-urlencoded";
        let headers = [("Authorization", basic.as_str()), ("Content-Type", form)];
        self.send("POST", "/oauth/token", &headers, b"grant_type=client_credentials")
    }

    /// All bytes the server sends until it closes.
    fn exchange_bytes(&self, request: &[u8]) -> Vec<u8> {
        let address = self.server.base_url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("the sandbox listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        stream.write_all(request).expect("the request is taken");
        let mut bytes = Vec::new();
        // A reset ends the answer like a close does.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bytes = self.exchange_bytes(&request_bytes(method, target, headers, body));
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("an answer with a head");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("an ASCII head");
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status line");
        Answer { status, head, body: bytes[end + 4..].to_vec() }
    }

    fn call(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        self.send(method, target, &all, body)
    }

    fn upload(&self) -> Answer {
        self.call("POST", UPLOAD, &UPLOAD_HEADERS, CLIP)
    }

    /// Uploads the clip; its id and address.
    fn uploaded(&self) -> (String, String) {
        let answer = self.upload();
        assert_eq!(answer.status, 200);
        let answer = answer.json();
        let text = |name: &str| answer[name].as_str().expect("an identifier").to_owned();
        (text("mediaId"), text("mediaUrl"))
    }

    fn post(&self, body: &Value) -> Answer {
        self.call("POST", MESSAGES, &[("Content-Type", "application/json")], &bytes_of(body))
    }

    fn get(&self, url: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", url.trim_start_matches(self.server.base_url()), headers, b"")
    }

    fn faults(&self, rules: Vec<FaultRule>) {
        self.server.with(|sandbox| sandbox.set_faults(rules)).expect("the rules are sound");
    }
}

const INTEGRATION: &str = "0be11e55-0000-4000-8000-000000000001";

impl Client {
    fn json_call(&self, method: &str, target: &str, body: &Value) -> Answer {
        self.call(method, target, &[("Content-Type", "application/json")], &bytes_of(body))
    }

    /// Sends an open message with an attachment of this type; what it was answered.
    fn open_message(&self, mime: &str) -> Value {
        let target = format!("{MESSAGES}/{INTEGRATION}/inbound/open/message");
        let answer = self.json_call(
            "POST",
            &format!("{target}?prefetchConversationId=true"),
            &json!({
                "channel": {
                    "from": {"id": "guest-1", "idType": "Opaque", "nickname": "Ada"},
                    "time": "2026-11-25T12:00:00.000Z",
                    "messageId": "m-1",
                },
                "text": "Where is my parcel?",
                "content": [{"attachment": {"mediaType": "Audio", "mime": mime,
                    "url": "https://media.example/clip", "filename": "clip"}}],
            }),
        );
        assert_eq!(answer.status, 200);
        answer.json()
    }

    /// The message as the platform keeps it.
    fn details(&self, id: &Value) -> Value {
        let id = id.as_str().expect("an id");
        self.call("GET", &format!("{MESSAGES}/{id}/details"), &[], b"").json()
    }
}

const UPLOAD_HEADERS: [(&str, &str); 2] = [
    ("Content-Type", "audio/ogg"),
    ("Content-Disposition", "attachment; filename=\"voice-message.ogg\""),
];

fn request_bytes(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn bytes_of(body: &Value) -> Vec<u8> {
    serde_json::to_vec(body).expect("JSON")
}

fn message(media_id: &str, media_url: &str) -> Value {
    json!({"conversationId": "c-1", "messages": [{"senderId": "guest", "media": [{
        "mediaId": media_id, "mediaUrl": media_url, "mediaType": "audio/ogg",
        "transcript": "Where is my parcel?"}]}]})
}
