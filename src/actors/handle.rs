//! The one way to reach an actor.
//!
//! A mailbox's capacity is not a bound in actix: each clone of an address may push past it. What
//! bounds an actor's work here is a number of permits. A permit travels inside the order and is
//! freed when the handler's future is done, not when the caller gives up: a caller that hangs up
//! does not make room for more work than allowed.

use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Work for an actor together with the permit it runs under.
pub struct Order<W> {
    /// What to do.
    pub work: W,
    /// Held until the handler is done.
    pub permit: OwnedSemaphorePermit,
}

impl<W: Message> Message for Order<W> {
    type Result = W::Result;
}

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// All permits are taken and the caller did not want to wait.
    #[error("all places are taken")]
    Busy,
    /// The actor is gone; the process is about to end.
    #[error("the actor is gone")]
    Gone,
}

/// An actor's address with its permits.
pub struct Handle<A: Actor> {
    addr: Addr<A>,
    permits: Arc<Semaphore>,
    permits_max: usize,
}

impl<A: Actor> Clone for Handle<A> {
    fn clone(&self) -> Handle<A> {
        Handle {
            addr: self.addr.clone(),
            permits: Arc::clone(&self.permits),
            permits_max: self.permits_max,
        }
    }
}

impl<A: Actor> Handle<A> {
    /// A handle that lets `permits_max` orders run at once.
    pub fn new(addr: Addr<A>, permits_max: usize) -> Handle<A> {
        Handle { addr, permits: Arc::new(Semaphore::new(permits_max)), permits_max }
    }

    /// Orders in work now.
    pub fn in_flight(&self) -> usize {
        self.permits_max.saturating_sub(self.permits.available_permits())
    }

    /// Waits for a permit, first come, first served. For work whose intent has to be durable before
    /// it begins: what only waits for a permit must not look as if it had begun.
    pub async fn permit(&self) -> Result<OwnedSemaphorePermit, AskError> {
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| AskError::Gone)
    }

    /// A permit, where one is free now.
    pub fn try_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// Hands over work under a permit of this handle, and waits for the answer.
    pub async fn ask<W>(&self, work: W, permit: OwnedSemaphorePermit) -> Result<W::Result, AskError>
    where
        A: Handler<Order<W>>,
        A::Context: ToEnvelope<A, Order<W>>,
        W: Message + Send + 'static,
        W::Result: Send,
    {
        self.send(Order { work, permit }).await
    }

    /// Like [`Handle::ask`], with a permit that is free now.
    pub async fn try_ask<W>(&self, work: W) -> Result<W::Result, AskError>
    where
        A: Handler<Order<W>>,
        A::Context: ToEnvelope<A, Order<W>>,
        W: Message + Send + 'static,
        W::Result: Send,
    {
        let permit = self.try_permit().ok_or(AskError::Busy)?;
        self.send(Order { work, permit }).await
    }

    /// Sends a message that needs no permit because answering it costs next to nothing.
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    pub async fn send<M>(&self, message: M) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.addr.send(message).await.map_err(|_| AskError::Gone)
    }

    /// Tells the actor something without waiting. Only for hints: what must not be lost is in the
    /// ledger before anybody is told.
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    pub fn tell<M>(&self, message: M)
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.addr.do_send(message);
    }
}
