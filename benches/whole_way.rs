//! What does a delivered voice message cost, beside two proxies that make the same two calls to
//! Genesys (upload, post), check nothing and store nothing?
//!
//! The gateway is the release binary with its durable ledger on the disk under `target/`. Gateway,
//! proxies and upstream are processes of their own; this one is the load. All share one machine,
//! so only the ratios of one run mean anything. Each case is a fresh gateway on an empty ledger.
//!
//! A gateway makes a third call that no proxy makes: it asks Genesys to keep the copy for a time
//! only, and commits the answer. Each case is therefore measured twice: as it is, and, as "2
//! calls", beside an upstream that leaves those calls unanswered. Deletes lie behind the end of
//! every run, because copies live for an hour here.
//!
//! `cargo bench --bench whole_way -- [--seconds N] [--sandbox] [--test]`, and to look at one case
//! alone `[--only ROW] [--clip "5 s"] [--connections N]`. With `--sandbox` the upstream is the
//! sandbox in place of a responder with the same literal answers.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

mod whole_way {
    pub mod actix_proxy;
    pub mod clips;
    pub mod form;
    pub mod hyper_proxy;
    pub mod load;
    pub mod process;
    pub mod reading;
    pub mod table;
    pub mod upstream;
}

use std::time::Duration;

use whole_way::process::{Gateway, Process};
use whole_way::table::{Row, Table};
use whole_way::{actix_proxy, clips, hyper_proxy, load, upstream};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if let Some(role) = after("--role") {
        let listen = after("--listen").unwrap().parse().unwrap();
        let url = after("--upstream").unwrap_or_default();
        return match role.as_str() {
            "hyper-proxy" => hyper_proxy::run(listen, &url),
            "actix-proxy" => actix_proxy::run(listen, &url),
            "upstream" => upstream::run(listen, false),
            "upstream-2-calls" => upstream::run(listen, true),
            "sandbox" => upstream::run_sandbox(listen),
            unknown => panic!("unknown role {unknown}"),
        };
    }
    let tiny = has("--test");
    let seconds = after("--seconds").map_or(6.0, |seconds| seconds.parse().unwrap());
    let connections = after("--connections").map(|number| vec![number.parse().unwrap()]);
    let bench = Bench {
        warm_up: Duration::from_secs_f64(if tiny { 0.05 } else { 1.0 }),
        window: Duration::from_secs_f64(if tiny { 0.2 } else { seconds }),
        connections: connections.unwrap_or(if tiny { vec![1, 4] } else { vec![1, 16, 64] }),
        upstream: if has("--sandbox") { "sandbox" } else { "upstream" },
        only: after("--only"),
        clip: after("--clip"),
    };
    bench.run();
}

struct Bench {
    warm_up: Duration,
    window: Duration,
    connections: Vec<usize>,
    upstream: &'static str,
    only: Option<String>,
    clip: Option<String>,
}

impl Bench {
    fn run(&self) {
        let upstream = Process::role(self.upstream, None);
        let two_calls = Process::role("upstream-2-calls", None);
        let hyper = Process::role("hyper-proxy", Some(&upstream));
        let actix = Process::role("actix-proxy", Some(&upstream));
        println!("upstream: {}; no idempotency keys; one conversation a message", self.upstream);
        let wanted = |clip: &clips::Clip| self.clip.as_deref().is_none_or(|only| only == clip.name);
        for clip in clips::all().into_iter().filter(wanted) {
            for &connections in &self.connections {
                let mut table = Table::new(clip.name, clip.bytes.len(), connections);
                let wanted = |name: &str| self.only.as_deref().is_none_or(|only| only == name);
                for (name, proxy) in [("hyper", &hyper), ("actix", &actix)] {
                    if wanted(name) {
                        let reading = self.measure(proxy, &clip, connections, || None);
                        table.add(Row { name, reading });
                    }
                }
                for (name, upstream) in [("gateway", &upstream), ("2 calls", &two_calls)] {
                    // The sandbox answers every call.
                    let comparable = name == "gateway" || self.upstream != "sandbox";
                    if wanted(name) && comparable {
                        let gateway = Gateway::start(upstream);
                        let numbers = || Some(gateway.numbers());
                        let reading = self.measure(&gateway.process, &clip, connections, numbers);
                        table.add(Row { name, reading });
                    }
                }
                table.print();
            }
        }
    }

    fn measure(
        &self,
        target: &Process,
        clip: &clips::Clip,
        connections: usize,
        numbers: impl Fn() -> Option<whole_way::reading::Numbers>,
    ) -> whole_way::reading::Reading {
        let run = load::Run {
            address: target.address,
            connections,
            warm_up: self.warm_up,
            window: self.window,
        };
        load::run(&run, clip, || (target.cpu(), numbers()))
    }
}
