//! The load: a closed loop over kept connections, one request under way on each. Every answer is
//! read to its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::clips::Clip;
use super::form::Request;
use super::reading::{Numbers, Reading};

pub struct Run {
    pub address: SocketAddr,
    pub connections: usize,
    pub warm_up: Duration,
    pub window: Duration,
}

#[derive(Default)]
struct Seen {
    /// Only what ends while this is true is measured.
    counting: bool,
    waits: Vec<Duration>,
    others: BTreeMap<u16, u64>,
    number: u64,
}

/// Loads the target; `look` tells its CPU time and its own numbers.
pub fn run(run: &Run, clip: &Clip, look: impl Fn() -> (Duration, Option<Numbers>)) -> Reading {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let seen = Rc::new(RefCell::new(Seen::default()));
        for _ in 0..run.connections {
            let (seen, request) = (Rc::clone(&seen), Request::new(&clip.bytes));
            let stream = TcpStream::connect(run.address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::task::spawn_local(keep_sending(stream, request, seen));
        }
        tokio::time::sleep(run.warm_up).await;
        let (cpu, numbers) = look();
        let begun = Instant::now();
        seen.borrow_mut().counting = true;
        tokio::time::sleep(run.window).await;
        seen.borrow_mut().counting = false;
        let wall = begun.elapsed();
        let (cpu_after, numbers_after) = look();
        let seen = std::mem::take(&mut *seen.borrow_mut());
        let mut waits = seen.waits;
        assert!(!waits.is_empty(), "no message was delivered; other answers: {:?}", seen.others);
        waits.sort();
        Reading {
            wall,
            waits,
            others: seen.others,
            cpu: cpu_after - cpu,
            numbers: numbers_after.zip(numbers).map(|(after, before)| after - before),
        }
    })
}

async fn keep_sending(mut stream: TcpStream, mut request: Request, seen: Rc<RefCell<Seen>>) {
    let mut answer = Vec::with_capacity(4096);
    loop {
        let number = {
            let mut seen = seen.borrow_mut();
            seen.number += 1;
            seen.number
        };
        request.set_conversation(number);
        let begun = Instant::now();
        stream.write_all(&request.bytes).await.unwrap();
        let status = read_answer(&mut stream, &mut answer).await;
        let mut seen = seen.borrow_mut();
        if seen.counting {
            match status {
                201 => seen.waits.push(begun.elapsed()),
                other => *seen.others.entry(other).or_default() += 1,
            }
        }
    }
}

/// Reads one answer with a `Content-Length` to its end, and tells its status.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> u16 {
    answer.clear();
    loop {
        let read = stream.read_buf(answer).await.unwrap();
        assert!(read > 0, "the connection was closed");
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&answer[..head]).unwrap();
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        if answer.len() == head + 4 + length.unwrap().unwrap() {
            return text[9..12].parse().unwrap();
        }
    }
}
