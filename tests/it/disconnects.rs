//! The sender hangs up at every point where the handler of a message waits: within the head, within
//! each part, within the clip, and while it waits for the answer. What was committed ends without a
//! restart; what was not leaves nothing; and nothing stays taken.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};

use crate::load::Book;
use crate::process::{Gateway, Send, World, wait_at_most, wait_until};
use crate::reckoning::{Exempt, Reckoning};

/// Where the sender hangs up.
#[derive(Clone, Copy, Debug)]
enum At {
    /// After so many bytes of the request.
    Byte(usize),
    /// So long after its last byte.
    Wait(Duration),
}

/// How it hangs up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// In order: the gateway reads the end of the stream.
    Close,
    /// At once, as a process that dies with its answer unread.
    Reset,
    /// Its half only: it says no more, and still listens.
    HalfClose,
}

const WAYS: [How; 3] = [How::Close, How::Reset, How::HalfClose];
/// Bytes of a clip between two cuts.
const CLIP_STEP: usize = 4_096;
/// How long a sender that only closed its half goes on listening.
const LISTENS: Duration = Duration::from_secs(20);

#[test]
fn a_sender_may_hang_up_wherever_the_handler_waits() {
    let world = World::new(&[("PURGE__CALLS_MAX", "16"), ("LOG__FILTER", "warn,voicepost=info")]);
    // Every step takes long enough to be hung up in.
    let slow = FaultAction::latency(Latency::Fixed(40));
    world
        .faults([Endpoint::Upload, Endpoint::Post].map(|e| FaultRule::new(e, slow.clone())).into());
    let gateway = world.start();
    let (mut cut, mut complete) = (0, 0);
    let mut senders = Vec::new();
    for how in WAYS {
        for prefer in [None, Some("respond-async")] {
            let request = message(how, prefer, 0).request();
            for (number, at) in points(&request).into_iter().enumerate() {
                match at {
                    At::Byte(_) => cut += 1,
                    At::Wait(_) => complete += 1,
                }
                let request = message(how, prefer, number).request();
                senders.push(hang_up(gateway.public, request, at, how));
                // Not so many at a time that the machine decides where the handler waits.
                if senders.len() % 8 == 0 {
                    senders.drain(..).for_each(|sender| sender.join().unwrap());
                }
            }
        }
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    at_rest(&gateway);
    let accepted = world.posts();
    println!("{cut} requests cut short, {complete} whole; {accepted} became messages");
    // Those that had gone before the body's last byte was read became nothing.
    assert!(accepted <= complete, "{accepted} messages of {complete} whole requests");
    assert!(accepted * 2 >= complete, "{accepted} messages of {complete} whole requests");
    assert_eq!(gateway.queue(), Vec::<String>::new());
    assert_eq!(world.spooled(), Vec::<String>::new());
    gateway.settled(Duration::from_secs(30));
    let reckoning = Reckoning::of(&world, &Book::default(), &Exempt::default());
    reckoning.expect_clean();
    assert_eq!(reckoning.messages, accepted, "every commit was delivered");
    assert_eq!((reckoning.interrupted, reckoning.marked), (0, 0));
}

fn message(how: How, prefer: Option<&str>, number: usize) -> Send {
    let key = format!("{how:?}-{}-{number}", prefer.unwrap_or("waits"));
    let send = Send::new(&format!("c-{}", number % 16), &key).key(&key);
    prefer.iter().fold(send, |send, prefer| send.prefer(prefer))
}

/// Where to hang up in this request: around every line of its head and of its parts' heads, in
/// every field, all over the clip, one byte before the end, at the end, and after it.
fn points(request: &[u8]) -> Vec<At> {
    let mut cuts: Vec<usize> = vec![0, 1, request.len() - 1, request.len() - 2];
    let ends = (2..request.len()).filter(|at| &request[at - 2..*at] == b"\r\n");
    // Within the clip the two bytes mean nothing: only what stands near other text counts.
    let lines: Vec<usize> = ends.filter(|at| request[at - 3].is_ascii_graphic()).collect();
    cuts.extend(lines.iter().flat_map(|end| [end - 3, end - 1, *end, end + 1]));
    cuts.extend((0..request.len()).step_by(CLIP_STEP));
    cuts.retain(|cut| *cut < request.len());
    cuts.sort_unstable();
    cuts.dedup();
    let waits = [0, 1, 2, 3, 5, 8, 12, 20, 30, 40, 50, 60, 70, 80, 90, 100, 120, 150, 200, 300];
    let waits = waits.map(|ms| At::Wait(Duration::from_millis(ms)));
    cuts.into_iter().map(At::Byte).chain(waits).collect()
}

fn hang_up(gateway: SocketAddr, request: Vec<u8>, at: At, how: How) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(gateway).expect("the gateway listens");
        let sent = match at {
            At::Byte(byte) => byte,
            At::Wait(_) => request.len(),
        };
        // Whoever has been refused may not get rid of everything.
        let _ = stream.write_all(&request[..sent]);
        match at {
            // The gateway has these bytes before it learns of the end.
            At::Byte(_) => std::thread::sleep(Duration::from_millis(2)),
            At::Wait(wait) => std::thread::sleep(wait),
        }
        match how {
            How::Close => {}
            How::Reset => {
                let linger = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
                linger.expect("a socket can be told to end at once");
            }
            How::HalfClose => {
                // It fails where the gateway has closed already.
                let _ = stream.shutdown(std::net::Shutdown::Write);
                stream.set_read_timeout(Some(LISTENS)).unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
    })
}

/// Nothing is under way any more, and everything that was taken has been given back.
fn at_rest(gateway: &Gateway) {
    wait_at_most(Duration::from_secs(60), "every message has ended", || {
        gateway.state()["ledger"]["open"] == 0
    });
    wait_until("every budget is whole again", || {
        let state = gateway.state();
        let taken = ["requests_in_flight", "drives_awake", "clip_memory_bytes", "messages_parked"];
        taken.iter().all(|name| state[name] == 0)
    });
}
