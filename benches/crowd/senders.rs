//! Many senders at once, each with one clip. They read while they send, as a refusal may come
//! early, and come back when they are told to.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Barrier;

const BOUNDARY: &str = "voicepost-crowd-boundary";
/// A body is sent in pieces of this size.
const PIECE_BYTES: usize = 16 * 1024;

/// What became of one sender.
pub struct Told {
    /// The transcript of its message.
    pub name: String,
    /// The last answer.
    pub status: u16,
    /// Answers before, each with the time to come back.
    pub refusals: Vec<u16>,
    /// From the first byte of the request that was answered last to that answer.
    pub took: Duration,
}

pub struct Crowd {
    gateway: SocketAddr,
    clip: Vec<u8>,
    sending_for: Duration,
    until: Instant,
    senders: usize,
    ready: Barrier,
}

impl Crowd {
    pub fn new(
        gateway: SocketAddr,
        senders: usize,
        sending_for: Duration,
        patience: Duration,
    ) -> Crowd {
        let (clip, until) = (minute_of_wav(), Instant::now() + patience);
        let ready = Barrier::new(senders);
        Crowd { gateway, clip, sending_for, until, senders, ready }
    }

    pub fn clip_bytes(&self) -> usize {
        self.clip.len()
    }

    /// All connect, then all send.
    pub async fn send(self: Rc<Self>) -> Vec<Told> {
        let mut tasks = Vec::new();
        for number in 0..self.senders {
            // One after the other, or the backlog drops some.
            let stream = TcpStream::connect(self.gateway).await.unwrap();
            let crowd = Rc::clone(&self);
            tasks.push(tokio::task::spawn_local(async move {
                crowd.ready.wait().await;
                crowd.deliver(stream, number).await
            }));
        }
        let mut told = Vec::new();
        for task in tasks {
            told.push(task.await.unwrap());
        }
        told
    }

    async fn deliver(&self, stream: TcpStream, number: usize) -> Told {
        let name = format!("message {number}");
        let mut refusals = Vec::new();
        let mut stream = Some(stream);
        loop {
            let connection = match stream.take() {
                Some(stream) => stream,
                None => TcpStream::connect(self.gateway).await.unwrap(),
            };
            let begun = Instant::now();
            let (status, head) = self.exchange(connection, &name).await;
            if status < 400 || Instant::now() > self.until {
                return Told { name, status, refusals, took: begun.elapsed() };
            }
            let pause = header(&head, "retry-after").unwrap_or_else(|| panic!("{name}: {head}"));
            refusals.push(status);
            tokio::time::sleep(Duration::from_secs(pause.parse().unwrap())).await;
        }
    }

    /// One request; its answer's status and head.
    async fn exchange(&self, stream: TcpStream, name: &str) -> (u16, String) {
        let (reading, mut writing) = stream.into_split();
        let (front, back) = self.form(name);
        let bytes = front.len() + self.clip.len() + back.len();
        let head = format!(
            "POST /v1/voice-messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
             Content-Length: {bytes}\r\n\r\n"
        );
        let send = async {
            let pieces = self.clip.chunks(PIECE_BYTES);
            let pause = self.sending_for / u32::try_from(pieces.len()).unwrap();
            let front = [head.as_bytes(), front.as_bytes()].concat();
            writing.write_all(&front).await?;
            for piece in pieces {
                writing.write_all(piece).await?;
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            writing.write_all(back.as_bytes()).await
        };
        let (sent, answer) = tokio::join!(send, read_head(reading));
        let answer = answer.unwrap_or_else(|| panic!("{name}: no answer, after {sent:?}"));
        (answer[9..12].parse().unwrap(), answer)
    }

    fn form(&self, name: &str) -> (String, String) {
        let mut front = String::new();
        for (field, value) in [("conversation_id", name), ("sender_id", "g"), ("transcript", name)]
        {
            let head = format!("Content-Disposition: form-data; name=\"{field}\"");
            front += &format!("--{BOUNDARY}\r\n{head}\r\n\r\n{value}\r\n");
        }
        let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"";
        front += &format!("--{BOUNDARY}\r\n{head}\r\n\r\n");
        (front, format!("\r\n--{BOUNDARY}--\r\n"))
    }
}

/// The head of the answer; `None` where the connection ends without one.
async fn read_head(mut reading: OwnedReadHalf) -> Option<String> {
    let mut answer = Vec::new();
    loop {
        if reading.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            answer.truncate(end);
            return String::from_utf8(answer).ok();
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// 60 s of 16-bit mono at 16 kHz, no two seconds alike.
fn minute_of_wav() -> Vec<u8> {
    const DATA_BYTES: u32 = 60 * 32_000;
    let mut wav = Vec::new();
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + DATA_BYTES).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend_from_slice(&16_000_u32.to_le_bytes());
    wav.extend_from_slice(&32_000_u32.to_le_bytes());
    wav.extend_from_slice(b"\x02\0\x10\0data");
    wav.extend_from_slice(&DATA_BYTES.to_le_bytes());
    let mut sample = 1_u16;
    for _ in 0..DATA_BYTES / 2 {
        sample = sample.wrapping_mul(25_173).wrapping_add(13_849);
        wav.extend_from_slice(&sample.to_le_bytes());
    }
    wav
}
