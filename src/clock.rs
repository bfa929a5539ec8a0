//! The only place that reads the wall clock and draws random numbers. Everything that decides by
//! them takes them as arguments; whoever calls a decision asks here.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::domain::{MessageId, UnixMs};

/// Wall-clock time and randomness, real or simulated. Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    time: Time,
    random: Arc<Mutex<StdRng>>,
}

#[derive(Clone)]
enum Time {
    System,
    /// Starts at a given time and goes on with the runtime's clock, which a test may pause.
    Simulated {
        start_at: UnixMs,
        origin: Instant,
        stepped_ms: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The machine's clock and randomness.
    pub fn system() -> Clock {
        Clock { time: Time::System, random: Arc::new(Mutex::new(rand::make_rng())) }
    }

    /// A clock that starts at `start_at` and follows the runtime's own time, and randomness that
    /// a seed repeats. Must be made inside a runtime.
    pub fn simulated(start_at: UnixMs, seed: u64) -> Clock {
        let random = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
        let stepped_ms = Arc::default();
        Clock { time: Time::Simulated { start_at, origin: Instant::now(), stepped_ms }, random }
    }

    /// Steps a simulated clock, and all its clones, forward or back, as an operator or a time
    /// server does; the machine's clock is left alone.
    pub fn step(&self, by_ms: i64) {
        if let Time::Simulated { stepped_ms, .. } = &self.time {
            stepped_ms.fetch_add(by_ms, Ordering::Relaxed);
        }
    }

    /// What time it is.
    pub fn now(&self) -> UnixMs {
        match &self.time {
            #[expect(clippy::disallowed_methods, reason = "the one place that may")]
            Time::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Time::Simulated { start_at, origin, stepped_ms } => {
                let elapsed_ms = i64::try_from(origin.elapsed().as_millis()).unwrap_or(i64::MAX);
                start_at.plus_ms(elapsed_ms).plus_ms(stepped_ms.load(Ordering::Relaxed))
            }
        }
    }

    /// A random number in 0..1.
    pub fn unit(&self) -> f64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).random::<f64>()
    }

    /// A new message id for this moment.
    pub fn new_id(&self) -> MessageId {
        let random = self.random.lock().unwrap_or_else(PoisonError::into_inner).random();
        MessageId::new(self.now(), random)
    }
}
