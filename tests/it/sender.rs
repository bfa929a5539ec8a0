//! A sender: a bare socket, one connection a request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Contract, Reply};

const CLIP: &[u8] = include_bytes!("../fixtures/audio/hello.ogg");
const BOUNDARY: &str = "voicepost-test-boundary";
/// Longer than any answer may take, the longest `Prefer: wait` included.
const ANSWER_MAX: Duration = Duration::from_secs(80);

/// One voice message on its way in.
#[derive(Clone)]
pub struct Send {
    pub conversation: String,
    pub guest: String,
    pub transcript: String,
    pub key: Option<String>,
    pub prefer: Option<String>,
    pub clip: &'static [u8],
}

impl Send {
    /// A message whose transcript tells it apart.
    pub fn new(conversation: &str, transcript: &str) -> Send {
        Send {
            conversation: conversation.to_owned(),
            // Each has its own: where Genesys chooses the conversation, it goes by the guest.
            guest: format!("guest-of-{conversation}"),
            transcript: transcript.to_owned(),
            key: None,
            prefer: None,
            clip: CLIP,
        }
    }

    pub fn key(self, key: &str) -> Send {
        Send { key: Some(key.to_owned()), ..self }
    }

    pub fn prefer(self, prefer: &str) -> Send {
        Send { prefer: Some(prefer.to_owned()), ..self }
    }

    /// With another clip.
    pub fn clip(self, clip: &'static [u8]) -> Send {
        Send { clip, ..self }
    }

    /// Sends it; `None`: the connection ended without an answer.
    pub fn to(&self, gateway: SocketAddr) -> Option<Answer> {
        exchange(gateway, &self.request())
    }

    /// The whole request, byte by byte.
    pub fn request(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let fields = [
            ("conversation_id", self.conversation.as_str()),
            ("sender_id", self.guest.as_str()),
            ("transcript", self.transcript.as_str()),
        ];
        for (name, value) in fields {
            let head = format!("Content-Disposition: form-data; name=\"{name}\"");
            body.extend(format!("--{BOUNDARY}\r\n{head}\r\n\r\n{value}\r\n").bytes());
        }
        let head = "Content-Disposition: form-data; name=\"file\"; filename=\"clip.ogg\"\r\n\
                    Content-Type: audio/ogg";
        body.extend(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").bytes());
        body.extend(self.clip);
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
        let mut head = format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n");
        for (name, value) in [("Idempotency-Key", &self.key), ("Prefer", &self.prefer)] {
            if let Some(value) = value {
                head += &format!("{name}: {value}\r\n");
            }
        }
        request("POST", "/v1/voice-messages", &head, &body)
    }
}

/// A request without a body, or with one.
pub fn request(method: &str, path: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend(body);
    bytes
}

/// What a gateway answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Answer {
    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (named, value) = line.split_once(": ")?;
            named.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The message it is about.
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id: {self:?}")).to_owned()
    }
}

/// `None`: the connection ended without an answer. What senders are answered is held against the
/// document.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_write_timeout(Some(ANSWER_MAX)).unwrap();
    // Whoever is refused early may not get rid of everything; the answer says why.
    let _ = stream.write_all(request);
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    answer(stream, method, path)
}

/// What comes back on a connection that this request was sent on.
pub fn answer(mut stream: TcpStream, method: &str, path: &str) -> Option<Answer> {
    stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    let mut bytes = Vec::new();
    // A reset ends the answer like a close does.
    let _ = stream.read_to_end(&mut bytes);
    let reply = Reply::parse(&bytes)?;
    // The document is that of senders; operators have none.
    if !path.starts_with("/admin/") {
        Contract::of_this_build().check(method, path, &reply);
    }
    let body = serde_json::from_slice(reply.bytes()).ok()?;
    Some(Answer { status: reply.status, head: reply.head, body })
}
