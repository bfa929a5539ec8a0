//! The body of a voice message, written by hand: parts in the order in which they were named.

use std::path::Path;

use super::Request;

/// The conversation of a sample.
pub const CONVERSATION: &str = "conversation-7f3a";
/// The sender of a sample.
pub const SENDER: &str = "guest-identity-c41d";
/// The transcript of a sample.
pub const TRANSCRIPT: &str = "My parcel 8d21 has not arrived yet.";

const BOUNDARY: &str = "----voicepost-test-boundary";

/// A file of `tests/fixtures/audio`.
#[track_caller]
pub fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[derive(Clone)]
struct Part {
    name: String,
    /// What follows the name in `Content-Disposition`, and the lines after it.
    head: String,
    body: Vec<u8>,
}

/// A multipart form and the headers to send it with.
#[derive(Clone, Default)]
pub struct Form {
    parts: Vec<Part>,
    headers: Vec<(String, String)>,
}

impl Form {
    /// A form without parts.
    pub fn empty() -> Form {
        Form::default()
    }

    /// A form that is accepted: five seconds of Ogg Opus and all required fields.
    pub fn sample() -> Form {
        Form::with_clip("hello.ogg")
    }

    /// The same with another clip of the fixtures.
    #[track_caller]
    pub fn with_clip(name: &str) -> Form {
        Form::empty()
            .file(name, fixture(name))
            .field("conversation_id", CONVERSATION)
            .field("sender_id", SENDER)
            .field("transcript", TRANSCRIPT)
    }

    /// Appends a text part.
    pub fn field(self, name: &str, value: impl AsRef<[u8]>) -> Form {
        self.part(name, "", value.as_ref())
    }

    /// Appends the part `file`, of a type that says nothing.
    pub fn file(self, file_name: &str, bytes: impl Into<Vec<u8>>) -> Form {
        let head = format!("; filename=\"{file_name}\"\r\nContent-Type: application/octet-stream");
        self.part("file", &head, &bytes.into())
    }

    /// Appends a part whose head goes on with `head` after its name.
    pub fn part(mut self, name: &str, head: &str, body: &[u8]) -> Form {
        self.parts.push(Part { name: name.to_owned(), head: head.to_owned(), body: body.to_vec() });
        self
    }

    /// Takes out every part of this name.
    pub fn without(mut self, name: &str) -> Form {
        self.parts.retain(|part| part.name != name);
        self
    }

    /// Puts a text part in the place of those of its name.
    pub fn with(self, name: &str, value: impl AsRef<[u8]>) -> Form {
        self.without(name).field(name, value)
    }

    /// Turns the order of the parts round.
    pub fn reversed(mut self) -> Form {
        self.parts.reverse();
        self
    }

    /// Adds a header to the request.
    pub fn header(mut self, name: &str, value: &str) -> Form {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for Part { name, head, body: bytes } in &self.parts {
            let disposition = format!("Content-Disposition: form-data; name=\"{name}\"{head}");
            body.extend_from_slice(format!("--{BOUNDARY}\r\n{disposition}\r\n\r\n").as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        body
    }

    /// The request without its body.
    pub fn request_head(&self) -> Request {
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let request =
            Request::new("POST", "/v1/voice-messages").header("Content-Type", &content_type);
        let headers = self.headers.iter();
        headers.fold(request, |request, (name, value)| request.header(name, value))
    }

    pub fn request(&self) -> Request {
        self.request_head().body(self.body())
    }
}
