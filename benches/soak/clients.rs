//! Clients that are no load: bad ones, slow ones, and those that vanish.

use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::load::Book;
use crate::sender::{Send, answer, exchange, request};

macro_rules! clip {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/fixtures/audio/", $name)) as &[u8]
    };
}

/// What good senders send, in turn.
pub const GOOD: [&[u8]; 8] = [
    clip!("hello.ogg"),
    clip!("hello.mp3"),
    clip!("hello.wav"),
    clip!("hello.vorbis.ogg"),
    clip!("alaw.wav"),
    clip!("exactly-60s.mp3"),
    clip!("tagged.mp3"),
    clip!("stereo.ogg"),
];

/// What is refused for the clip alone.
const BAD: [&[u8]; 6] = [
    clip!("sample.aac"),
    clip!("long-61s.mp3"),
    clip!("long-61s.wav"),
    clip!("flac-in.ogg"),
    clip!("only-header.wav"),
    clip!("empty.mp3"),
];

const SEED: u64 = 20_261_125;
const VANISHING: u64 = 2;
const REST: Duration = Duration::from_millis(150);
/// A slow sender's bytes between two rests; together some 8 kB a second.
const SIP_BYTES: usize = 1_024;
const SIP_REST: Duration = Duration::from_millis(125);

/// How often each kind was served.
#[derive(Default)]
pub struct Count {
    refused: AtomicU64,
    /// Bad ones that were not refused.
    unrefused: AtomicU64,
    vanished: AtomicU64,
    slow: AtomicU64,
}

impl Count {
    /// Whether every kind was there, and every bad one refused.
    pub fn is_served(&self) -> bool {
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let (refused, vanished) = (count(&self.refused), count(&self.vanished));
        refused > 0 && vanished > 0 && count(&self.slow) > 0 && count(&self.unrefused) == 0
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed);
        write!(
            f,
            "{} bad ones refused, {} not; {} vanished; {} slow ones served",
            count(&self.refused),
            count(&self.unrefused),
            count(&self.vanished),
            count(&self.slow)
        )
    }
}

/// What a client does again and again; it is told how often it has.
type Work = Box<dyn Fn(u64, &Count, &mut Book) + std::marker::Send>;

/// The clients at work.
pub struct Clients {
    stop: Arc<AtomicBool>,
    count: Arc<Count>,
    threads: Vec<JoinHandle<Book>>,
}

impl Clients {
    pub fn start(gateway: SocketAddr) -> Clients {
        let (stop, count) = (Arc::<AtomicBool>::default(), Arc::<Count>::default());
        let mut threads = Vec::new();
        let mut client = |work: Work| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            threads.push(std::thread::spawn(move || {
                let mut book = Book::default();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    work(number, &count, &mut book);
                    std::thread::sleep(REST);
                }
                book
            }));
        };
        client(Box::new(move |number, count, _| bad(gateway, number, count)));
        client(Box::new(move |number, count, book| slow(gateway, number, count, book)));
        for client_number in 0..VANISHING {
            client(Box::new(move |number, count, _| {
                vanishing(gateway, client_number, number, count);
            }));
        }
        Clients { stop, count, threads }
    }

    /// Lets each end what it is at; what they were promised goes into `book`.
    pub fn stop(self, book: &mut Book) -> Count {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            book.add(thread.join().expect("no client panics"));
        }
        Arc::into_inner(self.count).expect("the threads have ended")
    }
}

/// Must be refused with a 4xx, whatever else is going on.
fn bad(gateway: SocketAddr, number: u64, count: &Count) {
    let kinds = BAD.len() as u64 + 2;
    let kind = usize::try_from(number % kinds).unwrap();
    let bytes = match BAD.get(kind) {
        Some(clip) => Send::new("c-bad", "bad").clip(clip).request(),
        None if kind == BAD.len() => Send::new(" ", "no conversation").request(),
        None => request("POST", "/v1/voice-messages", "Content-Type: text/plain\r\n", b"no form"),
    };
    let refused = exchange(gateway, &bytes).is_some_and(|told| (400..500).contains(&told.status));
    let counter = if refused { &count.refused } else { &count.unrefused };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Hangs up somewhere within its request, or some time after it, in order or not.
fn vanishing(gateway: SocketAddr, client: u64, number: u64, count: &Count) {
    let mut random = StdRng::seed_from_u64(SEED ^ (client << 32) ^ number);
    let key = format!("gone-{client}-{number}");
    let clip = GOOD[random.random_range(0..GOOD.len())];
    let send = Send::new(&format!("c-gone-{client}"), &key).key(&key).clip(clip);
    let bytes = send.request();
    let Ok(mut stream) = TcpStream::connect(gateway) else { return };
    let sent = match random.random_bool(0.5) {
        true => random.random_range(0..bytes.len()),
        false => bytes.len(),
    };
    // Whoever has been refused may not get rid of everything.
    let _ = stream.write_all(&bytes[..sent]);
    std::thread::sleep(Duration::from_millis(random.random_range(0..200)));
    if random.random_bool(0.5) {
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    }
    count.vanished.fetch_add(1, Ordering::Relaxed);
}

/// Sends as a phone with a poor signal does, and is served like any other.
fn slow(gateway: SocketAddr, number: u64, count: &Count, book: &mut Book) {
    let key = format!("slow-{number}");
    let send = Send::new("c-slow", &key).key(&key);
    let Ok(mut stream) = TcpStream::connect(gateway) else { return };
    for sip in send.request().chunks(SIP_BYTES) {
        if stream.write_all(sip).is_err() {
            break;
        }
        std::thread::sleep(SIP_REST);
    }
    book.write_down(send, answer(stream, "POST", "/v1/voice-messages"));
    count.slow.fetch_add(1, Ordering::Relaxed);
}
