//! Modest trouble upstream all the time, and an outage of some seconds every minute, each time in
//! another form; then calm, so that the end of a soak shows what rest looks like.

use std::time::Duration;

use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule, Latency, Outage, Target};

use crate::process::World;

/// From the beginning of one outage to that of the next.
const CYCLE: Duration = Duration::from_secs(60);
/// Where in a cycle it begins; short soaks have one as well.
const OUTAGE_AT: Duration = Duration::from_secs(20);
const OUTAGE: Duration = Duration::from_secs(3);
/// Before the end of a soak.
const CALM: Duration = Duration::from_secs(20);
const FORMS: u64 = 4;

/// What the sandbox is told to do, and when.
pub struct Trouble {
    length: Duration,
    now: Option<Weather>,
    outage_began: Option<Duration>,
    /// When it was away: from, to.
    pub outages: Vec<(Duration, Duration)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Weather {
    Calm,
    Modest,
    /// Of this form.
    Away(u64),
}

impl Trouble {
    pub fn new(length: Duration) -> Trouble {
        Trouble { length, now: None, outage_began: None, outages: Vec::new() }
    }

    /// Changes the weather where it is time to.
    pub fn look(&mut self, world: &World, elapsed: Duration) {
        let weather = self.weather(elapsed);
        if self.now == Some(weather) {
            return;
        }
        self.come_back(world, elapsed);
        match weather {
            Weather::Calm => world.release(),
            Weather::Modest => {
                world.faults(modest());
                world.sandbox.with(|sandbox| sandbox.revoke_tokens());
            }
            Weather::Away(form) => {
                self.outage_began = Some(elapsed);
                go_away(world, form);
            }
        }
        self.now = Some(weather);
    }

    /// Ends all trouble.
    pub fn end(&mut self, world: &World, elapsed: Duration) {
        self.come_back(world, elapsed);
        world.release();
    }

    fn weather(&self, elapsed: Duration) -> Weather {
        let cycle = elapsed.as_secs() / CYCLE.as_secs();
        let within = Duration::from_secs(elapsed.as_secs() % CYCLE.as_secs());
        if elapsed + CALM >= self.length {
            Weather::Calm
        } else if (OUTAGE_AT..OUTAGE_AT + OUTAGE).contains(&within) {
            Weather::Away(cycle % FORMS)
        } else {
            Weather::Modest
        }
    }

    fn come_back(&mut self, world: &World, elapsed: Duration) {
        if let Some(began) = self.outage_began.take() {
            world.sandbox.open().expect("the address is still free");
            self.outages.push((began, elapsed));
        }
    }
}

fn go_away(world: &World, form: u64) {
    let rule = |action| world.faults(vec![FaultRule::new(Target::Any, action)]);
    match form {
        0 => world.sandbox.close(),
        1 => rule(FaultAction::status(503)),
        2 => rule(FaultAction::outage(Outage::Reset)),
        _ => rule(FaultAction::outage(Outage::Hang)),
    }
}

fn modest() -> Vec<FaultRule> {
    let slow = |low, high| FaultAction::latency(Latency::Range([low, high]));
    let asked = || FaultAction::status(429).retry_after("1");
    let drips = FaultAction { drip_bytes_per_second: Some(500), ..FaultAction::default() };
    let stalls = FaultAction { stall_ms: Some(200), ..FaultAction::default() };
    vec![
        FaultRule::new(Endpoint::Upload, FaultAction::status(503)).rate(0.02),
        FaultRule::new(Endpoint::Upload, FaultAction::cut(Cut::After)).rate(0.01),
        FaultRule::new(Endpoint::Upload, FaultAction::cut(Cut::Within)).rate(0.005),
        FaultRule::new(Endpoint::Upload, asked()).rate(0.01),
        FaultRule::new(Endpoint::Upload, drips).rate(0.02),
        FaultRule::new(Endpoint::Upload, slow(0, 80)),
        FaultRule::new(Endpoint::Post, FaultAction::effect_then_status(503)).rate(0.01),
        FaultRule::new(Endpoint::Post, FaultAction::cut(Cut::After)).rate(0.01),
        FaultRule::new(Endpoint::Post, FaultAction::cut(Cut::Within)).rate(0.005),
        FaultRule::new(Endpoint::Post, asked()).rate(0.01),
        FaultRule::new(Endpoint::Post, slow(0, 40)),
        FaultRule::new(Endpoint::Retention, stalls).rate(0.05),
        FaultRule::new(Endpoint::Delete, FaultAction::status(503)).rate(0.1),
        FaultRule::new(Endpoint::Delete, FaultAction::cut(Cut::After)).rate(0.02),
    ]
}
