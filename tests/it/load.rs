//! Senders under load, and what each of them was told.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::sender::{Answer, Send};

/// Two senders share a conversation.
const SENDERS_A_CONVERSATION: usize = 2;

/// What one sender was told of one message. The key is also its transcript.
#[derive(Debug)]
pub struct Told {
    pub key: String,
    pub id: String,
    pub status: u16,
}

/// What senders were told. Nothing else is a promise.
#[derive(Default)]
pub struct Book {
    /// Answers 201 and 202.
    pub told: Vec<Told>,
    /// Every other answer: how often this status and code came.
    pub refused: BTreeMap<(u16, String), usize>,
    /// Sent, and never answered: whatever became of them, they may be sent again under their key.
    pub unanswered: Vec<Send>,
    /// Keys that were sent more than once.
    pub again: HashSet<String>,
}

impl Book {
    /// Takes over what another one says.
    pub fn add(&mut self, other: Book) {
        self.told.extend(other.told);
        self.unanswered.extend(other.unanswered);
        self.again.extend(other.again);
        for (refusal, count) in other.refused {
            *self.refused.entry(refusal).or_default() += count;
        }
    }

    /// Sends one message and writes down what comes back.
    pub fn send(&mut self, send: Send, gateway: SocketAddr) {
        let answer = send.to(gateway);
        self.write_down(send, answer);
    }

    /// Writes down what came back.
    pub fn write_down(&mut self, send: Send, answer: Option<Answer>) {
        let Some(answer) = answer else { return self.unanswered.push(send) };
        if [201, 202].contains(&answer.status) {
            let key = send.key.expect("messages under load have a key");
            self.told.push(Told { key, id: answer.id(), status: answer.status });
        } else {
            let code = answer.body["code"].as_str().unwrap_or_default().to_owned();
            *self.refused.entry((answer.status, code)).or_default() += 1;
        }
    }
}

/// What a load is made of.
#[derive(Clone, Default)]
pub struct Plan {
    /// Tells its messages from those of other loads.
    pub name: String,
    pub senders: usize,
    /// What a sender rests between two messages.
    pub pause: Duration,
    /// Sent first, as they are.
    pub again: Vec<Send>,
    /// Taken in turn; none: the usual one.
    pub clips: &'static [&'static [u8]],
}

/// Senders at work until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<Book>>,
}

impl Load {
    /// Each sender sends one message after the other: of six, one waits as long as is usual, one
    /// for 2 s, and four do not wait.
    pub fn start(gateway: SocketAddr, plan: Plan) -> Load {
        let Plan { name, senders, pause, again, clips } = plan;
        let stop = Arc::new(AtomicBool::new(false));
        let mut shares: Vec<Vec<Send>> = vec![Vec::new(); senders];
        for (number, send) in again.into_iter().enumerate() {
            shares[number % senders].push(send);
        }
        let senders = shares.into_iter().enumerate().map(|(sender, again)| {
            let (stop, name) = (Arc::clone(&stop), name.clone());
            std::thread::spawn(move || {
                let new = (0..).map(move |number| message(&name, sender, number));
                let keys = again.iter().filter_map(|send| send.key.clone());
                let mut book = Book { again: keys.collect(), ..Book::default() };
                for send in again.into_iter().chain(new) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let clip = clips.get(book.told.len() % clips.len().max(1)).copied();
                    let send = clip.into_iter().fold(send, Send::clip);
                    book.send(send, gateway);
                    std::thread::sleep(pause);
                }
                book
            })
        });
        let senders = senders.collect();
        Load { stop, senders }
    }

    /// Lets every sender end the message it is at.
    pub fn stop(self) -> Book {
        self.stop.store(true, Ordering::Relaxed);
        let mut book = Book::default();
        for sender in self.senders {
            book.add(sender.join().expect("no sender panics"));
        }
        book
    }
}

fn message(name: &str, sender: usize, number: usize) -> Send {
    let key = format!("{name}-{sender}-{number}");
    let send = Send::new(&format!("c-{}", sender / SENDERS_A_CONVERSATION), &key).key(&key);
    match number % 6 {
        2 => send.prefer("wait=2"),
        5 => send,
        _ => send.prefer("respond-async"),
    }
}
