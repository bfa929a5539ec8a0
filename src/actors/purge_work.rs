//! What JanitorActor does for one due copy: look at the record, make the call that is owed, commit
//! what came of it. Holds no state of its own.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::guard::contained;
use crate::clock::Clock;
use crate::domain::{
    Backoff, Code, Copy, CopyState, Duty, Event, Failure, PurgeOutcome, Record, Retry, UnixMs,
};
use crate::genesys::Route;
use crate::ledger::{ChangeError, DueCopy, Ledger, change};
use crate::telemetry::Metrics;

/// Shortest pause after a 429: what the answer asks for may be nothing, or over already by our
/// clock.
const RATE_PAUSE_MS_MIN: u64 = 1_000;

/// Pause after a ledger that did not commit or could not be read.
const LEDGER_PAUSE_MS: i64 = 5_000;

/// How purges are carried out.
#[derive(Clone, Copy, Debug)]
pub struct PurgeRules {
    /// Pauses between attempts at one copy.
    pub backoff: Backoff,
    /// What the retention call asks for, in seconds.
    pub ttl_seconds: u64,
    /// The floor between a post and the delete, in seconds (invariant 4).
    pub delay_seconds_min: u64,
    /// Calls at once.
    pub calls_max: usize,
}

/// Everything needed to work on a copy.
pub struct PurgeWork {
    /// Deletes copies.
    pub route: Rc<dyn Route>,
    /// Knows what is owed.
    pub ledger: Arc<dyn Ledger>,
    /// Time and chance.
    pub clock: Clock,
    /// Pauses and limits.
    pub rules: PurgeRules,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// What came of one look at a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Proven gone, and when it was due.
    Purged { due_at: UnixMs },
    /// The retention call is settled; look again when it is due.
    Retained { next_at: UnixMs },
    /// To be tried again.
    Deferred { next_at: UnixMs },
    /// A delete that was due at `due_at` did not succeed; to be tried again.
    NotYet { due_at: UnixMs, next_at: UnixMs },
    /// A delete that was due at `due_at` met a closed gate: no delete may leave before `opens_at`.
    /// Nothing is written down.
    Closed { due_at: UnixMs, opens_at: UnixMs },
    /// Nothing to do before this time; nothing is written down.
    Wait { next_at: UnixMs },
    /// It cannot be deleted on this route.
    NotPossible,
    /// Nothing is owed any more.
    Nothing,
}

impl Settled {
    /// When to look at the copy again.
    pub fn next_at(self) -> Option<UnixMs> {
        match self {
            Settled::Retained { next_at }
            | Settled::Deferred { next_at }
            | Settled::NotYet { next_at, .. }
            | Settled::Wait { next_at } => Some(next_at),
            Settled::Closed { opens_at, .. } => Some(opens_at),
            Settled::Purged { .. } | Settled::NotPossible | Settled::Nothing => None,
        }
    }
}

impl PurgeWork {
    /// Does what is owed for the copy now. What it returns is durable, except where it says that
    /// nothing is written down. A failure of the ledger itself is logged, and the copy looked at
    /// again.
    pub async fn carry_out(&self, due: DueCopy) -> Settled {
        match self.attempt(due).await {
            Ok(settled) => settled,
            // Somebody else settled the copy in between.
            Err(ChangeError::Illegal(_) | ChangeError::Gone(_)) => Settled::Nothing,
            Err(error) => {
                tracing::error!(message.id = %due.id, %error, "a purge cannot be recorded");
                Settled::Wait { next_at: self.clock.now().plus_ms(LEDGER_PAUSE_MS) }
            }
        }
    }

    async fn attempt(&self, due: DueCopy) -> Result<Settled, ChangeError> {
        let Some(mut record) = self.ledger.find(due.id).await? else {
            return Ok(Settled::Nothing);
        };
        let Some(copy) = record.copies.iter().find(|copy| copy.ordinal == due.ordinal).cloned()
        else {
            return Ok(Settled::Nothing);
        };
        match copy.duty(self.clock.now()) {
            Duty::Nothing => Ok(Settled::Nothing),
            Duty::WaitUntil(next_at) => Ok(Settled::Wait { next_at }),
            Duty::Retain => self.retain(&mut record, copy).await,
            Duty::Delete => self.delete(&mut record, copy).await,
        }
    }

    async fn retain(&self, record: &mut Record, copy: Copy) -> Result<Settled, ChangeError> {
        let ordinal = copy.ordinal;
        let attempts = copy.attempts;
        let due_at = copy.due_at.unwrap_or(self.clock.now());
        let call = self.route.retain(copy, self.rules.ttl_seconds);
        let answer = contained(call, || {
            Err(Failure::passing(Code::Internal, "the retention call panicked"))
        });
        let (set, detail) = match answer.await {
            Ok(()) => (true, None),
            Err(failure) if failure.retry == Retry::Never => (false, Some(failure.detail)),
            Err(Failure {
                code: Code::GenesysRateLimited,
                retry: Retry::Closed { opens_in_ms: ms } | Retry::After { not_before_ms: ms },
                ..
            }) => return Ok(Settled::Wait { next_at: due_at.min(self.after(ms)) }),
            Err(failure) => {
                let next_at = self.next_attempt(attempts + 1, failure.retry);
                return Ok(match self.defer(record, ordinal, failure.detail, next_at).await? {
                    Some(next_at) => Settled::Deferred { next_at },
                    None => Settled::Nothing,
                });
            }
        };
        let id = record.id;
        tracing::info!(message.id = %id, copy.ordinal = ordinal, set, detail, "retention settled");
        let event = Event::RetentionSettled { ordinal, set, detail };
        self.change(record, event).await?;
        Ok(match next_at(record, ordinal) {
            Some(next_at) => Settled::Retained { next_at },
            None => Settled::Nothing,
        })
    }

    async fn delete(&self, record: &mut Record, copy: Copy) -> Result<Settled, ChangeError> {
        let ordinal = copy.ordinal;
        let due_at = copy.due_at.unwrap_or(self.clock.now());
        let attempts = copy.attempts;
        // Invariant 4: never sooner than due, and only what is still owed.
        debug_assert!(copy.state == CopyState::Owed && due_at <= self.clock.now());
        let outcome = contained(self.route.purge(copy), || {
            PurgeOutcome::Later(Failure::passing(Code::Internal, "the delete panicked"))
        });
        match outcome.await {
            PurgeOutcome::Gone => {
                self.change(record, Event::CopyPurged { ordinal }).await?;
                let lag_ms = self.clock.now().ms_since(due_at);
                self.metrics.purged(Duration::from_millis(lag_ms));
                tracing::info!(
                    message.id = %record.id,
                    copy.ordinal = ordinal,
                    purge.lag_ms = lag_ms,
                    "copy purged"
                );
                Ok(Settled::Purged { due_at })
            }
            PurgeOutcome::NotPossible(detail) => {
                let id = record.id;
                tracing::error!(message.id = %id, copy.ordinal = ordinal, detail, "not purgeable");
                let event = Event::CopyNotPurgeable { ordinal, detail };
                self.change(record, event).await?;
                Ok(Settled::NotPossible)
            }
            // The gate was closed: nothing was tried, and there is nothing to record.
            PurgeOutcome::Later(Failure {
                code: Code::GenesysRateLimited,
                retry: Retry::Closed { opens_in_ms },
                ..
            }) => Ok(Settled::Closed { due_at, opens_at: self.after(opens_in_ms) }),
            // Genesys has closed it just now, for all: no fault of this copy, and no try of it.
            PurgeOutcome::Later(Failure {
                code: Code::GenesysRateLimited,
                retry: Retry::After { not_before_ms },
                detail,
            }) => {
                let id = record.id;
                tracing::warn!(message.id = %id, copy.ordinal = ordinal, detail, "purges pause");
                Ok(Settled::Closed { due_at, opens_at: self.after(not_before_ms) })
            }
            PurgeOutcome::Later(failure) => {
                let next_at = self.next_attempt(attempts + 1, failure.retry);
                let put_off = self.defer(record, ordinal, failure.detail, next_at).await?;
                Ok(not_yet(due_at, put_off))
            }
            PurgeOutcome::UnderWay(Failure { detail, retry, .. }) => {
                let next_at = self.next_attempt(attempts + 1, retry);
                let id = record.id;
                tracing::info!(message.id = %id, copy.ordinal = ordinal, detail, "purge under way");
                let put_off = self.put_off(record, ordinal, detail, next_at).await?;
                Ok(not_yet(due_at, put_off))
            }
        }
    }

    /// [`Self::put_off`] for a call that had no effect, which is logged.
    async fn defer(
        &self,
        record: &mut Record,
        ordinal: u32,
        detail: String,
        next_at: UnixMs,
    ) -> Result<Option<UnixMs>, ChangeError> {
        tracing::warn!(
            message.id = %record.id,
            copy.ordinal = ordinal,
            detail,
            next_at = %next_at,
            "purge deferred"
        );
        self.put_off(record, ordinal, detail, next_at).await
    }

    /// Commits that the call is to be made again, and says when.
    async fn put_off(
        &self,
        record: &mut Record,
        ordinal: u32,
        detail: String,
        next_at: UnixMs,
    ) -> Result<Option<UnixMs>, ChangeError> {
        let event = Event::PurgeDeferred { ordinal, detail, next_at };
        self.change(record, event).await?;
        Ok(self::next_at(record, ordinal))
    }

    fn after(&self, pause_ms: u64) -> UnixMs {
        let pause_ms = pause_ms.max(RATE_PAUSE_MS_MIN);
        self.clock.now().plus_ms(i64::try_from(pause_ms).unwrap_or(i64::MAX))
    }

    async fn change(&self, record: &mut Record, event: Event) -> Result<(), ChangeError> {
        let events = [event];
        change(&*self.ledger, record, &events, self.clock.now()).await?;
        self.metrics.happened(&events[0]);
        Ok(())
    }

    fn next_attempt(&self, attempts: u32, retry: Retry) -> UnixMs {
        // A purge has no final failure: it is owed until it is proven.
        let retry = if retry == Retry::Never { Retry::BACKOFF } else { retry };
        let pause_ms = self.rules.backoff.pause_ms(attempts, retry, self.clock.unit());
        let pause_ms = pause_ms.unwrap_or(self.rules.backoff.pause_ms_max);
        self.clock.now().plus_ms(i64::try_from(pause_ms).unwrap_or(i64::MAX))
    }
}

fn not_yet(due_at: UnixMs, put_off: Option<UnixMs>) -> Settled {
    put_off.map_or(Settled::Nothing, |next_at| Settled::NotYet { due_at, next_at })
}

/// When the record, as it is now, wants this copy looked at.
fn next_at(record: &Record, ordinal: u32) -> Option<UnixMs> {
    record.copies.iter().find(|copy| copy.ordinal == ordinal)?.next_attempt_at
}
