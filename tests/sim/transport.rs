//! Calls in memory: the route's requests go to the sandbox's core, its trouble comes back.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;
use voicepost::clock::Clock;
use voicepost::genesys::transport::{
    Answer, Call, CallName, Called, Method, Transport, not_sent, parse_rate, parse_retry_after,
    unknown,
};
use voicepost::sandbox::{Ending, Reply, Request, Sandbox};

use crate::limits::OnTheWire;
use crate::plan::{Crash, Outage};
use crate::world::{Counters, START};

/// The whole-call deadline, as in the default settings.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

pub struct SandboxTransport {
    pub sandbox: Arc<Mutex<Sandbox>>,
    pub clock: Clock,
    pub counters: Arc<Counters>,
    pub crash: Option<Crash>,
    pub died: watch::Sender<bool>,
    pub outage: Option<Outage>,
    /// Until when each endpoint is closed by a 429 that this process has read.
    pub closed_until_ms: RefCell<HashMap<CallName, i64>>,
    pub on_the_wire: OnTheWire,
}

impl SandboxTransport {
    async fn exchange(&self, call: Call) -> Called {
        let number = self.counters.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let dies = match self.crash {
            Some(Crash::Call { number: at, effect }) if at == number => Some(effect),
            _ => None,
        };
        if dies == Some(false) {
            return self.die().await;
        }
        let _place = self.on_the_wire.take(call.name, &self.counters.most_on_the_wire);
        let now_ms = self.clock.now().0;
        self.watch_the_gate(call.name, now_ms);
        let since_ms = now_ms - START.0;
        if let Some(outage) = self.outage.filter(|o| (o.from_ms..o.to_ms).contains(&since_ms)) {
            if outage.refused {
                return not_sent("connection refused");
            }
            tokio::time::sleep(CALL_TIMEOUT).await;
            return unknown("no answer in time");
        }
        let reply = self.sandbox.lock().unwrap().handle(&request(&call), now_ms);
        if dies == Some(true) {
            return self.die().await;
        }
        match tokio::time::timeout(CALL_TIMEOUT, deliver(&reply)).await {
            Ok(true) => Called::Answered(self.answer(call.name, &reply)),
            Ok(false) => unknown("the connection was cut"),
            Err(_) => unknown("no answer in time"),
        }
    }

    async fn die(&self) -> Called {
        self.died.send_replace(true);
        std::future::pending().await
    }

    fn watch_the_gate(&self, name: CallName, now_ms: i64) {
        let closed_until_ms = self.closed_until_ms.borrow().get(&name).copied().unwrap_or(0);
        if now_ms < closed_until_ms {
            self.counters.calls_through_closed_gate.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn answer(&self, name: CallName, reply: &Reply) -> Answer {
        let now = self.clock.now();
        let retry_after = reply.header("retry-after");
        let retry_after_ms = retry_after.and_then(|value| parse_retry_after(value, now));
        if reply.status == 429 && name != CallName::Token {
            let until_ms = now.0 + i64::try_from(retry_after_ms.unwrap_or(0)).unwrap();
            let mut closed_until_ms = self.closed_until_ms.borrow_mut();
            // The client's budget is used up: nobody may call, not only this endpoint.
            let of_the_client = reply.body.windows(18).any(|part| part == b"client.credentials");
            if of_the_client {
                self.counters.calls_beyond_the_minute.fetch_add(1, Ordering::Relaxed);
            }
            for closed in CallName::ALL {
                if closed == name || (of_the_client && closed != CallName::Token) {
                    closed_until_ms.insert(closed, until_ms);
                }
            }
        }
        Answer {
            status: reply.status,
            retry_after_ms,
            rate: parse_rate(|name| reply.header(name)),
            body: reply.body.clone(),
            may_be_cut_off: false,
        }
    }
}

impl Transport for SandboxTransport {
    fn call(&self, call: Call) -> LocalBoxFuture<'_, Called> {
        self.exchange(call).boxed_local()
    }
}

fn request(call: &Call) -> Request {
    let method = match call.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    };
    let target = call.url.strip_prefix("http://sandbox").unwrap();
    let mut request = Request::new(method, target);
    for (name, value) in &call.headers {
        request = request.with_header(name, value);
    }
    request.with_body(call.body.clone())
}

/// Lets the reply take its time; `false` where it never comes.
async fn deliver(reply: &Reply) -> bool {
    tokio::time::sleep(Duration::from_millis(reply.fault.latency_ms)).await;
    if let Ending::StalledBody { stall_ms } = reply.fault.ending {
        tokio::time::sleep(Duration::from_millis(stall_ms)).await;
    }
    reply.fault.is_answered()
}
