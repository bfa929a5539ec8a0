//! HTTP over a bare socket: what leaves is written by hand, what arrives is seen byte by byte. One
//! connection a request, so that a gateway that stops has no idle ones to wait for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use voicepost::web::ROWS;

use super::Contract;

/// Longest silence of the gateway that a client bears.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// A request, its body whole.
#[derive(Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Request {
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// The head for a body that is sent by `framing`, a header line such as `Content-Length: 5`.
    pub fn head(&self, framing: &str) -> Vec<u8> {
        let Request { method, path, .. } = self;
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("{framing}\r\n\r\n");
        head.into_bytes()
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(&format!("Content-Length: {}", self.body.len()));
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    body: Vec<u8>,
}

impl Reply {
    /// Reads an answer as long as its `Content-Length` says, without waiting for the connection to
    /// be closed: a client that was refused while it sent may be listened to for some seconds more.
    #[track_caller]
    pub fn read(stream: &mut impl Read) -> Reply {
        let mut bytes = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            if let Some(reply) = Reply::parse(&bytes) {
                return reply;
            }
            match stream.read(&mut piece) {
                Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
                ended => panic!("no whole answer: {ended:?} after {} bytes", bytes.len()),
            }
        }
    }

    /// The answer, once it is whole.
    pub fn parse(bytes: &[u8]) -> Option<Reply> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).expect("an ASCII head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.expect("a status line");
        let mut reply = Reply { status, head, body: bytes[end + 4..].to_vec() };
        let length = reply.header("content-length").and_then(|text| text.parse().ok());
        // An answer without content has none (RFC 9110 §8.6).
        let length = if status == 204 { Some(0) } else { length };
        let length: usize = length.expect("every other answer has a Content-Length");
        if reply.body.len() < length {
            return None;
        }
        reply.body.truncate(length);
        Some(reply)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (named, value) = line.split_once(':')?;
            named.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        let Ok(value) = serde_json::from_slice(&self.body) else {
            panic!("{} {:?}: the body is not JSON", self.status, self.text());
        };
        value
    }

    /// A text member of the body, by its JSON pointer.
    #[track_caller]
    pub fn at(&self, pointer: &str) -> String {
        let json = self.json();
        match json.pointer(pointer).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => panic!("no text at {pointer} in {json}"),
        }
    }

    /// The receipt of an answer with this status.
    #[track_caller]
    pub fn receipt(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        self.json()
    }

    /// Asserts that this is a whole problem of this status and code; returns its `detail`.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        let row = ROWS.iter().find(|row| row.code.as_str() == code).expect("a code of the table");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("urn:voicepost:problem:{code}"));
        assert_eq!(problem["title"], row.title);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["retryable"], row.retryable);
        let request_id = problem["request_id"].as_str().expect("a request id");
        assert!(!request_id.is_empty());
        assert_eq!(self.header("x-request-id"), Some(request_id));
        if status == 503 {
            let seconds = self.header("retry-after").and_then(|text| text.parse::<u32>().ok());
            assert!(seconds.is_some_and(|seconds| seconds > 0), "503 without Retry-After");
        }
        problem["detail"].as_str().expect("a detail").to_owned()
    }
}

/// A client of one listener.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    contract: Option<Arc<Contract>>,
}

impl Client {
    /// With a contract, every answer is held against it.
    pub fn new(address: SocketAddr, contract: Option<Arc<Contract>>) -> Client {
        Client { address, contract }
    }

    /// Where it asks.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A socket for what no whole request can show.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the gateway listens");
        stream.set_read_timeout(Some(READ_TIMEOUT)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("an option of TCP");
        stream
    }

    #[track_caller]
    pub fn send(&self, request: &Request) -> Reply {
        let mut stream = self.connect();
        // A refused sender may find the connection closed; the answer says why.
        let _ = stream.write_all(&request.to_bytes());
        let reply = Reply::read(&mut stream);
        if let Some(contract) = &self.contract {
            contract.check(&request.method, &request.path, &reply);
        }
        reply
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.send(&Request::new("GET", path))
    }
}
