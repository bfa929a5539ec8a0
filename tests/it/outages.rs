//! Genesys is away for 20 s, in every form an outage takes, while senders go on. Then it is back:
//! nothing that was accepted is lost, nothing is doubled unmarked, and the queue drains by itself.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use voicepost::domain::RouteName;
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule, Outage, Target};

use crate::load::{Book, Load, Plan};
use crate::process::{Send, World};
use crate::reckoning::{Exempt, Reckoning};

const OUTAGE: Duration = Duration::from_secs(20);
/// Before the outage, and after it.
const CALM: Duration = Duration::from_secs(1);
const SENDERS: usize = 16;
const PAUSE: Duration = Duration::from_millis(150);
/// From the end of the outage to the last deletion: the longest pause, and the work itself.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// Pauses and deadlines that fit an outage of 20 s.
const SETTINGS: [(&str, &str); 7] = [
    ("GENESYS__TIMEOUT_SECONDS", "2"),
    ("GENESYS__CONNECT_TIMEOUT_SECONDS", "2"),
    ("DELIVERY__PAUSE_MS_MAX", "1000"),
    ("DELIVERY__LATER_PAUSE_MS_MAX", "2000"),
    ("PURGE__PAUSE_MS_MAX", "1000"),
    ("PURGE__CALLS_MAX", "16"),
    ("LOG__FILTER", "error,voicepost::app=info"),
];

#[derive(Clone, Copy, Debug)]
enum Form {
    /// Nobody listens: connections are refused.
    Refused,
    /// Every call is answered 503.
    Errors,
    /// Every call is read, and its connection reset.
    Resets,
    /// Every call is read, and nothing comes.
    Hangs,
}

impl Form {
    fn begin(self, world: &World) {
        let rule = |action| world.faults(vec![FaultRule::new(Target::Any, action)]);
        match self {
            Form::Refused => world.sandbox.close(),
            Form::Errors => rule(FaultAction::status(503)),
            Form::Resets => rule(FaultAction::outage(Outage::Reset)),
            Form::Hangs => rule(FaultAction::outage(Outage::Hang)),
        }
    }

    fn end(world: &World) {
        world.sandbox.open().expect("the address is still free");
        world.release();
    }
}

#[test]
fn an_outage_in_any_form_loses_nothing_that_was_accepted() {
    outages_lose_nothing(RouteName::MediaApi);
}

#[test]
fn an_outage_in_any_form_loses_nothing_that_was_accepted_on_open_messaging() {
    outages_lose_nothing(RouteName::OpenMessaging);
}

fn outages_lose_nothing(route: RouteName) {
    // Four gateways under load are what a small machine bears.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let forms = [Form::Refused, Form::Errors, Form::Resets, Form::Hangs];
    let worlds = forms.map(|form| (form, std::thread::spawn(move || outlive(route, form))));
    for (form, world) in worlds {
        let (reckoning, drained_in, book) = world.join().unwrap();
        println!("{form:?}: drained in {drained_in:.1?}, refused {:?}; {reckoning}", book.refused);
        assert!(reckoning.is_clean(), "{form:?}: {reckoning}");
        assert!(reckoning.accepted > 100, "{form:?}: {} accepted", reckoning.accepted);
        assert_eq!(book.refused.len(), 0, "{form:?}: trouble upstream is not the senders'");
        assert_eq!(book.unanswered.len(), 0, "{form:?}");
    }
}

fn outlive(route: RouteName, form: Form) -> (Reckoning, Duration, Book) {
    let world = World::on(route, &SETTINGS);
    let gateway = world.start();
    let plan = Plan { name: "o".to_owned(), senders: SENDERS, pause: PAUSE, ..Plan::default() };
    let load = Load::start(gateway.public, plan);
    std::thread::sleep(CALM);
    form.begin(&world);
    std::thread::sleep(OUTAGE);
    Form::end(&world);
    let ended = Instant::now();
    std::thread::sleep(CALM);
    let book = load.stop();
    let released = gateway.settled(DRAIN_MAX);
    assert_eq!(released.len(), 0, "{form:?}: nobody has to help");
    (Reckoning::of(&world, &book, &Exempt::default()), ended.elapsed(), book)
}

/// Effect and cut, on a connection made for the call and on one that had carried another.
#[test]
fn an_effect_whose_answer_is_cut_off_is_settled_on_any_connection() {
    let close = |endpoint| {
        let close = FaultAction { close: true, ..FaultAction::default() };
        FaultRule::new(endpoint, close)
    };
    let cut = |endpoint| FaultRule::new(endpoint, FaultAction::cut(Cut::After)).times(1);
    // A connection that ends with the answer before leaves the next call a fresh one.
    for (endpoint, fresh) in [
        (Endpoint::Upload, true),
        (Endpoint::Upload, false),
        (Endpoint::Post, true),
        (Endpoint::Post, false),
        (Endpoint::InboundMessage, true),
        (Endpoint::InboundMessage, false),
    ] {
        let (route, before) = match endpoint {
            Endpoint::InboundMessage => (RouteName::OpenMessaging, Endpoint::Token),
            Endpoint::Upload => (RouteName::MediaApi, Endpoint::Token),
            _ => (RouteName::MediaApi, Endpoint::Upload),
        };
        let world = World::on(route, &[]);
        let mut rules = vec![cut(endpoint)];
        if fresh {
            rules.push(close(before));
        }
        world.faults(rules);
        let gateway = world.start();
        let mut book = Book::default();
        book.send(Send::new("c-1", "one").key("one"), gateway.public);
        let told: Vec<u16> = book.told.iter().map(|told| told.status).collect();
        assert_eq!(told, [201], "{endpoint:?}, fresh: {fresh}");
        let receipt = gateway.receipt(&book.told[0].id);
        let in_doubt = endpoint != Endpoint::Upload;
        assert_eq!(receipt["delivery"]["possible_duplicate"], in_doubt, "{receipt:#}");
        let connections = world.sandbox.connections();
        gateway.settled(Duration::from_secs(20));
        let reckoning = Reckoning::of(&world, &book, &Exempt::default());
        reckoning.expect_clean();
        assert_eq!(reckoning.doubled, usize::from(in_doubt));
        assert_eq!(reckoning.orphaned, usize::from(!in_doubt));
        // One connection, and another after the cut. A close costs one more.
        assert_eq!(connections, 2 + u64::from(fresh), "{endpoint:?}, fresh: {fresh}");
    }
}
