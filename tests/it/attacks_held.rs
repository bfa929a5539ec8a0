//! Attacks that hold on to what others need: slow senders, silent ones, broken ones, too many.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use crate::access::{bearer, signed, with_tokens};
use crate::process::{Gateway, PATIENCE, Send, World, wait_until};
use crate::support::issuer::guest;
use crate::support::{Client, Form, Reply, TestGateway, eventually, fixture};

fn in_flight(gateway: &TestGateway) -> usize {
    gateway.pipeline().admission().requests_in_flight()
}

/// The seconds until the gateway closes, and what it said before.
fn until_closed(mut stream: TcpStream) -> (Duration, String) {
    let started = Instant::now();
    let mut said = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut said);
    (started.elapsed(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn whoever_is_slow_with_a_head_or_says_nothing_is_let_go() {
    let gateway = TestGateway::builder().settings(|s| s.server.head_seconds_max = 1).start();
    let silent = gateway.public.connect();
    let mut half = gateway.public.connect();
    half.write_all(b"POST /v1/voice-messages HTTP/1.1\r\nHost: loc").unwrap();
    let half_closed = gateway.public.connect();
    half_closed.shutdown(Shutdown::Write).unwrap();
    let mut dripping = gateway.public.connect();
    let drip = dripping.try_clone().unwrap();
    let dripper = std::thread::spawn(move || {
        let head = b"GET /livez HTTP/1.1\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'x'));
        let mut sent = 0;
        for byte in head.take(300) {
            if dripping.write_all(&[*byte]).is_err() {
                break;
            }
            sent += 1;
            crate::support::pause(Duration::from_millis(20));
        }
        sent
    });
    for (what, stream) in [("half a head", half), ("a byte at a time", drip)] {
        let (lasted, said) = until_closed(stream);
        assert!(said.starts_with("HTTP/1.1 408 "), "{what}: {said}");
        assert!(lasted < Duration::from_secs(5), "{what} lasted {lasted:?}");
    }
    for (what, stream) in [("silence", silent), ("half a connection", half_closed)] {
        let (lasted, _) = until_closed(stream);
        assert!(lasted < Duration::from_secs(5), "{what} lasted {lasted:?}");
    }
    assert!(dripper.join().unwrap() < 300, "the gateway read to the end");
    assert_eq!(in_flight(&gateway), 0);
}

/// actix-http times the first head only.
#[test]
fn whoever_begins_a_second_head_and_does_not_end_it_is_let_go() {
    let gateway = TestGateway::builder()
        .settings(|s| s.server.head_seconds_max = 1)
        .settings(|s| s.server.linger_seconds = 1)
        .start();
    let asked = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answered = |client: &Client| {
        let mut stream = client.connect();
        stream.write_all(asked.as_bytes()).unwrap();
        assert_eq!(Reply::read(&mut stream).status, 200);
        stream
    };
    for client in [&gateway.public, &gateway.admin] {
        let mut one_byte = answered(client);
        let mut dripping = answered(client);
        one_byte.write_all(b"G").unwrap();
        let drip = dripping.try_clone().unwrap();
        let dripper = std::thread::spawn(move || {
            dripping.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
            (0..500)
                .take_while(|_| {
                    crate::support::pause(Duration::from_millis(20));
                    dripping.write_all(b"x").is_ok()
                })
                .count()
        });
        for (what, stream) in [("one byte", one_byte), ("a byte at a time", drip)] {
            let (lasted, said) = until_closed(stream);
            assert_eq!(said, "", "{what}");
            assert!(lasted < Duration::from_secs(8), "{what} lasted {lasted:?}");
        }
        assert!(dripper.join().unwrap() < 500, "the gateway read to the end");
        // Who is silent, and then asks, is answered on the same connection.
        let mut patient = answered(client);
        crate::support::pause(Duration::from_secs(4));
        patient.write_all(asked.as_bytes()).unwrap();
        assert_eq!(Reply::read(&mut patient).status, 200);
    }
}

#[test]
fn a_body_that_drips_or_breaks_off_gives_its_place_back() {
    let gateway = with_tokens()
        .settings(|s| s.server.body_seconds_max = 1)
        .settings(|s| s.server.linger_seconds = 1)
        .start();
    let form = signed(Form::sample(), &guest("guest-1", "c-1"));
    let body = form.body();
    let head = form.request_head().head(&format!("Content-Length: {}", body.len()));
    let begin = || {
        let mut stream = gateway.public.connect();
        stream.write_all(&head).unwrap();
        stream.write_all(&body[..2_000]).unwrap();
        stream
    };
    let mut slow = begin();
    let reset = begin();
    let half_closed = begin();
    eventually("three bodies are being read", || (in_flight(&gateway) == 3).then_some(()));
    set_socket_linger(&reset, Some(Duration::ZERO)).unwrap();
    drop(reset);
    half_closed.shutdown(Shutdown::Write).unwrap();
    eventually("two places are free", || (in_flight(&gateway) == 1).then_some(()));
    Reply::read(&mut slow).problem(408, "upload-too-slow");
    eventually("all places are free", || (in_flight(&gateway) == 0).then_some(()));
    assert_eq!(gateway.pipeline().admission().spool_bytes(), 0);
    assert_eq!(gateway.records().len(), 0);
}

#[test]
fn an_address_gets_no_more_connections_than_its_share() {
    let gateway =
        TestGateway::builder().settings(|s| s.server.connections_per_address_max = 3).start();
    // The test's own look at the document may still be on its way out.
    let hold = |from: [u8; 4]| {
        let stream = from_address(from, gateway.public.address());
        let mut ask = stream.try_clone().unwrap();
        let _ = ask.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut answer = [0; 12];
        ask.read_exact(&mut answer).is_ok().then_some(stream)
    };
    let held = eventually("three connections", || {
        let held: Vec<_> = (0..3).filter_map(|_| hold([127, 0, 0, 2])).collect();
        (held.len() == 3).then_some(held)
    });
    assert!(hold([127, 0, 0, 2]).is_none(), "a fourth connection is served");
    assert!(hold([127, 0, 0, 3]).is_some(), "another address is kept out");
    drop(held);
    eventually("its places are free again", || hold([127, 0, 0, 2]));
}

/// A connection from an address of this machine; there are many on loopback.
fn from_address(from: [u8; 4], to: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((from, 0))).unwrap();
    connect(&socket, &to).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

/// Overload at ten times capacity: what is let in is bounded, what is not is told when to come
/// back, and when the crowd is gone everything is as before.
#[test]
fn at_ten_times_capacity_the_bound_holds_and_all_is_well_afterwards() {
    const PLACES: usize = 4;
    const SENDERS: usize = 40;
    const EACH: usize = 6;
    let gateway = with_tokens()
        .settings(|s| s.server.requests_max = PLACES)
        .settings(|s| s.quota.guest_per_minute = 0)
        .settings(|s| s.quota.address_per_minute = 0)
        .start();
    let (over, highest) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (sent, refused) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                highest.fetch_max(in_flight(&gateway), Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|number| {
                let token = guest(&format!("guest-{number}"), &format!("c-{number}"));
                let form = Form::empty().file("a.ogg", fixture("hello.ogg"));
                let form = form.header("Authorization", &bearer(&token));
                let gateway = &gateway;
                scope.spawn(move || crowd_member(gateway, &form, EACH))
            })
            .collect();
        let told: Vec<_> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        over.store(true, Ordering::Relaxed);
        let sum = |which: fn(&(usize, usize)) -> usize| told.iter().map(which).sum::<usize>();
        (sum(|told| told.0), sum(|told| told.1))
    });
    assert_eq!(sent + refused, SENDERS * EACH);
    assert!(sent >= PLACES && refused > 0, "{sent} sent, {refused} refused");
    assert!(highest.load(Ordering::Relaxed) <= PLACES, "{highest:?} at a time");
    assert_eq!(gateway.records().len(), sent, "every 2xx is a message, and nothing else is");
    eventually("all places are free", || (in_flight(&gateway) == 0).then_some(()));
    let token = guest("guest-late", "c-late");
    let late = Form::empty().file("a.ogg", fixture("hello.ogg"));
    gateway.send(&signed(late, &token)).receipt(201);
}

/// Sends so often; how often it was let in, and how often it was refused in order.
fn crowd_member(gateway: &TestGateway, form: &Form, times: usize) -> (usize, usize) {
    let (mut sent, mut refused) = (0, 0);
    for _ in 0..times {
        let reply = gateway.send(form);
        match reply.status {
            201 | 202 => sent += 1,
            503 => {
                reply.problem(503, "busy");
                assert!(reply.header("retry-after").is_some());
                refused += 1;
            }
            other => panic!("{other}: {}", reply.text()),
        }
    }
    (sent, refused)
}

/// The same against the program itself, whose memory and descriptors can be read from outside.
#[test]
fn a_crowd_does_not_grow_memory_or_descriptors_beyond_bounds() {
    const SENDERS: usize = 40;
    const EACH: usize = 4;
    // Connections to Genesys are kept for the next calls: no more than four messages need.
    let world = World::new(&[
        ("SERVER__REQUESTS_MAX", "4"),
        ("SERVER__LINGER_SECONDS", "1"),
        ("SERVER__CONNECTIONS_PER_ADDRESS_MAX", &SENDERS.to_string()),
        ("GENESYS__CONNECTIONS_MAX", "12"),
    ]);
    let gateway = world.start();
    assert_eq!(gateway.send(&Send::new("c-warm", "warm")).status, 201);
    let (descriptors, memory) = (descriptors(gateway.pid()), memory_kib(gateway.pid()));
    let one = TcpStream::connect(gateway.public).unwrap();
    wait_until("a connection is counted", || held_by_senders(&gateway) > 0);
    drop(one);
    let over = AtomicBool::new(false);
    let (most_descriptors, most_memory) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                most_descriptors.fetch_max(self::descriptors(gateway.pid()), Ordering::Relaxed);
                most_memory.fetch_max(memory_kib(gateway.pid()), Ordering::Relaxed);
                crate::support::pause(Duration::from_millis(2));
            }
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|number| {
                let send = Send::new(&format!("c-{number}"), "crowd");
                let gateway = &gateway;
                scope.spawn(move || (0..EACH).for_each(|_| drop(send.to(gateway.public))))
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        over.store(true, Ordering::Relaxed);
    });
    let grown = most_memory.into_inner().saturating_sub(memory);
    let opened = most_descriptors.into_inner().saturating_sub(descriptors);
    println!("{opened} descriptors and {grown} KiB more at most");
    // Two for each connection, and a few for calls and clips.
    assert!(opened <= 3 * SENDERS, "{opened} descriptors more");
    assert!(grown <= 64 * 1024, "{grown} KiB more");
    let deadline = Instant::now() + PATIENCE;
    while held_by_senders(&gateway) > 0 || self::descriptors(gateway.pid()) > descriptors + 16 {
        assert!(Instant::now() < deadline, "{descriptors} have become {}", open_now(gateway.pid()));
        crate::support::pause(Duration::from_millis(10));
    }
    assert_eq!(gateway.send(&Send::new("c-late", "late")).status, 201);
    gateway.settled(PATIENCE);
}

/// Requests that come together, with nobody to take the answers: the gateway makes no more answers
/// than are taken. Who takes them gets all of them.
#[test]
fn who_asks_and_does_not_take_the_answers_gets_no_memory() {
    const CONNECTIONS: usize = 64;
    const REQUESTS: usize = 1_400;
    let world = World::new(&[]);
    let gateway = world.start();
    let many = b"GET /voicepost.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(REQUESTS);
    let ask = || {
        let mut stream = TcpStream::connect(gateway.public).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        // More than the gateway reads stays here.
        let _ = stream.write_all(&many);
        stream
    };
    let mut first = ask();
    let mut begun = [0; 4096];
    first.read_exact(&mut begun).unwrap();
    let before = memory_kib(gateway.pid());
    let asked: Vec<_> = (0..CONNECTIONS).map(|_| ask()).collect();
    crate::support::pause(Duration::from_millis(500));
    let grown = memory_kib(gateway.pid()).saturating_sub(before) / CONNECTIONS;
    println!("{grown} KiB more for each of {CONNECTIONS} connections");
    assert!(grown <= 2_048, "{grown} KiB for each");
    drop(asked);

    let mut patient = TcpStream::connect(gateway.public).unwrap();
    let mut taken = patient.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        taken.read_to_end(&mut bytes).unwrap();
        bytes
    });
    patient.write_all(&many[..many.len() / 10]).unwrap();
    patient.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let bytes = reader.join().unwrap();
    let answered = bytes.windows(15).filter(|window| window == b"HTTP/1.1 200 OK").count();
    assert_eq!(answered, REQUESTS / 10 + 1);
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// What a process has open, for who has to find out why.
fn open_now(pid: u32) -> String {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open: Vec<_> = open.filter_map(|one| std::fs::read_link(one.path()).ok()).collect();
    format!("{}: {open:?}", open.len())
}

/// Descriptors of connections to the senders' listener.
fn held_by_senders(gateway: &Gateway) -> usize {
    const LISTENING: &str = "0A";
    let port = format!(":{:04X}", gateway.public.port());
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", gateway.pid())).unwrap();
    // The columns: number, local address, remote address, state, and as the tenth the inode.
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let here = rows.filter(|row| row[1].ends_with(&port) && row[3] != LISTENING);
    let sockets: Vec<String> = here.map(|row| format!("socket:[{}]", row[9])).collect();
    let open = std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap().flatten();
    let open = open.filter_map(|one| std::fs::read_link(one.path()).ok());
    open.filter(|one| sockets.iter().any(|socket| one.as_os_str() == socket.as_str())).count()
}

/// Resident memory.
pub fn memory_kib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
