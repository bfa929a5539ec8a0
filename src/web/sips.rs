//! A connection whose body is read in sips, each when the one before it is used up.
//!
//! actix-http reads a connection until it has 128 KiB, however much the handler has still to take;
//! a sender that is faster than the disk makes that several hundred KiB a connection (measured).
//! Where a worker takes many bodies at once, their connections are therefore read only as far as
//! their handlers ask. A few are read freely: a sip is a system call and a turn of its task more.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::places::Place;
use super::stream::Stream;
use super::turns::Turns;

/// Bytes of one sip. actix-http starts with 8 KiB and doubles that as soon as less than 1 KiB of it
/// is left, so this much never makes it grow.
const SIP_BYTES: usize = 7 * 1024;
/// Bodies of one worker that are read freely; those that come while so many are under way, in sips.
const FREE_BODIES_MAX: usize = 48;

/// The bodies that one worker takes at this moment.
#[derive(Clone, Default)]
pub(super) struct Bodies(Rc<Cell<usize>>);

impl Bodies {
    fn are_many(&self) -> bool {
        self.0.get() >= FREE_BODIES_MAX
    }
}

/// A connection whose bytes come in sips.
pub(super) struct Sips {
    stream: Stream,
    valve: Rc<Valve>,
    turns: Rc<Turns>,
    left: usize,
    _place: Place,
}

/// Says whether more of a connection may be read. Shared with the handler of its request.
pub(super) struct Valve {
    bodies: Bodies,
    flow: Cell<Flow>,
    reader: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Default)]
enum Flow {
    /// Nobody takes a body: heads, and what a refused sender still sends.
    #[default]
    Free,
    /// A handler takes a body that is one of a few.
    Open,
    /// A handler takes a body and has some of it still to use.
    Held,
    /// The handler waits for more.
    Wanted,
}

/// A body that is taken. As long as this lives, and unless it is one of a few, its connection is
/// read only as far as is asked.
pub(super) struct Held {
    valve: Option<Rc<Valve>>,
    in_sips: bool,
}

impl Valve {
    /// Counts a body and holds its connection, where it is one that can be held.
    pub(super) fn hold(valve: Option<Rc<Valve>>) -> Held {
        let in_sips = valve.as_ref().is_some_and(|valve| {
            let many = valve.bodies.are_many();
            valve.bodies.0.update(|bodies| bodies + 1);
            many
        });
        let held = Held { valve, in_sips };
        held.set(if in_sips { Flow::Held } else { Flow::Open });
        held
    }

    fn set(&self, flow: Flow) {
        self.flow.set(flow);
        if !matches!(flow, Flow::Held)
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }
}

impl Held {
    /// Lets one more sip through.
    pub(super) fn want(&self) {
        if self.in_sips {
            self.set(Flow::Wanted);
        }
    }

    fn set(&self, flow: Flow) {
        if let Some(valve) = &self.valve {
            valve.set(flow);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(Flow::Free);
        if let Some(valve) = &self.valve {
            valve.bodies.0.update(|bodies| bodies - 1);
        }
    }
}

impl Sips {
    /// A connection of the worker that takes `bodies`.
    pub(super) fn new(stream: Stream, bodies: Bodies, place: Place) -> Sips {
        let valve = Valve { bodies, flow: Cell::default(), reader: RefCell::default() };
        let (valve, turns) = (Rc::new(valve), Turns::new());
        Sips { stream, valve, turns, left: SIP_BYTES, _place: place }
    }

    /// The connection itself.
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Whose turn it is on it.
    pub(super) fn turns(&self) -> &Rc<Turns> {
        &self.turns
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.turns.went();
        }
        written
    }

    /// What holds it.
    pub(super) fn valve(&self) -> Rc<Valve> {
        Rc::clone(&self.valve)
    }
}

impl AsyncRead for Sips {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.as_mut().sip(context, buffer);
        if buffer.filled().len() > before {
            self.turns.came();
        }
        read
    }
}

impl Sips {
    fn sip(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let flow = self.valve.flow.get();
        if matches!(flow, Flow::Open) && !self.valve.bodies.are_many() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        // Every head that is parsed pins all of what came with it (measured).
        if matches!(flow, Flow::Free) && self.turns.is_unsent(context) {
            return Poll::Pending;
        }
        if self.left == 0 {
            match flow {
                Flow::Held => {
                    self.valve.reader.replace(Some(context.waker().clone()));
                    return Poll::Pending;
                }
                Flow::Wanted => self.valve.flow.set(Flow::Held),
                Flow::Free | Flow::Open => {
                    // Whoever reads looks first at what it has: there may be a handler by then.
                    self.left = SIP_BYTES;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            self.left = SIP_BYTES;
        }
        let bytes_max = self.left.min(buffer.remaining());
        let mut sip = ReadBuf::new(buffer.initialize_unfilled_to(bytes_max));
        let read = Pin::new(&mut self.stream).poll_read(context, &mut sip);
        let bytes = sip.filled().len();
        buffer.advance(bytes);
        self.left -= bytes;
        read
    }
}

impl AsyncWrite for Sips {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.turns.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
