//! The form that the load sends and the proxies take apart: fields first, the clip last. Only the
//! conversation differs from message to message, and always has the same length.

const BOUNDARY: &str = "-----------------------------31415926535897932384626";
const CONVERSATION: &str = "c0ffee00-0000-4000-8000-";

/// One request, to be sent again and again with another conversation.
pub struct Request {
    pub bytes: Vec<u8>,
    conversation_at: usize,
}

impl Request {
    pub fn new(clip: &[u8]) -> Request {
        let field = |name: &str, value: &str| {
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let mut body = field("conversation_id", &format!("{CONVERSATION}{:012}", 0)).into_bytes();
        body.extend(field("sender_id", "guest-1").into_bytes());
        body.extend(field("transcript", "Where is my parcel?").into_bytes());
        body.extend(
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; \
                 filename=\"hello.ogg\"\r\nContent-Type: audio/ogg\r\n\r\n"
            )
            .into_bytes(),
        );
        body.extend(clip);
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        let mut bytes = format!(
            "POST /v1/voice-messages HTTP/1.1\r\nhost: 127.0.0.1\r\n\
             content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend(body);
        let at = find(&bytes, CONVERSATION.as_bytes()).unwrap();
        Request { bytes, conversation_at: at + CONVERSATION.len() }
    }

    pub fn set_conversation(&mut self, number: u64) {
        let digits = format!("{number:012}");
        let at = self.conversation_at;
        self.bytes[at..at + 12].copy_from_slice(digits.as_bytes());
    }
}

/// Where the clip lies in a body.
pub fn clip(body: &[u8]) -> std::ops::Range<usize> {
    let file = find(body, b"name=\"file\"").unwrap();
    let start = file + find(&body[file..], b"\r\n\r\n").unwrap() + 4;
    start..body.len() - (BOUNDARY.len() + 8)
}

/// The value of a field.
pub fn field<'a>(body: &'a [u8], name: &str) -> &'a str {
    let at = find(body, format!("name=\"{name}\"").as_bytes()).unwrap();
    let start = at + find(&body[at..], b"\r\n\r\n").unwrap() + 4;
    let length = find(&body[start..], b"\r\n").unwrap();
    std::str::from_utf8(&body[start..start + length]).unwrap()
}

/// The post that references an upload, in the words of the media-api contract.
pub fn post(body: &[u8], upload: &serde_json::Value) -> String {
    serde_json::json!({
        "conversationId": field(body, "conversation_id"),
        "messages": [{
            "senderId": field(body, "sender_id"),
            "media": [{
                "mediaId": upload["mediaId"],
                "mediaUrl": upload["mediaUrl"],
                "mediaType": "audio/ogg",
                "transcript": field(body, "transcript"),
            }],
        }],
    })
    .to_string()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
