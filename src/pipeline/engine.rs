//! The one thread on which actors, HTTP client and drives live.

use actix_rt::ArbiterHandle;

/// Where the pipeline's tasks run.
#[derive(Clone)]
pub enum Engine {
    /// On this arbiter's thread.
    On(ArbiterHandle),
    /// On the caller's own thread: the simulation has only one.
    Here,
}

impl Engine {
    /// Starts a task there. A task that could not be started because the thread is gone is
    /// dropped; whoever waits for its answer is told so by the closed channel.
    pub fn spawn<F>(&self, task: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        match self {
            Engine::Here => {
                actix::spawn(task());
            }
            Engine::On(arbiter) => {
                arbiter.spawn_fn(move || {
                    actix::spawn(task());
                });
            }
        }
    }
}
