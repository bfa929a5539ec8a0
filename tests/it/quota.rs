//! How much callers may ask, and what they are told about it.

use std::io::Write as _;

use voicepost::access::KeyFile;

use crate::access::{add_key, ask, bearer, signed, with_key, with_tokens};
use crate::replies;
use crate::support::issuer::{Issuer, SECRET, claims, guest};
use crate::support::{Form, Reply, Request, TestGateway};

const LIMITS: &str = "/v1/limits";
const UNKNOWN: &str = "/v1/voice-messages/019aa6c2-7f31-7c55-9d0e-3b1f6a2c4e88";

/// `RateLimit`: the policy, what is left, and the seconds.
#[track_caller]
fn standing(reply: &Reply) -> (String, u32, u32) {
    let header = reply.header("ratelimit").unwrap();
    let (policy, numbers) = header.split_once(";r=").unwrap();
    let (left, seconds) = numbers.split_once(";t=").unwrap();
    (policy.trim_matches('"').to_owned(), left.parse().unwrap(), seconds.parse().unwrap())
}

#[track_caller]
fn refused(reply: &Reply, policy: &str, per_minute: u32) {
    let detail = reply.problem(429, "quota-exceeded");
    assert!(detail.contains(policy) && detail.contains(&per_minute.to_string()), "{detail}");
    assert_eq!(reply.json()["limit"], per_minute);
    let (named, left, seconds) = standing(reply);
    assert_eq!((named.as_str(), left), (policy, 0));
    assert_eq!(reply.header("retry-after").unwrap(), seconds.to_string());
    assert!((1..=60 / per_minute + 1).contains(&seconds), "{seconds}");
    let rule = format!("\"{policy}\";q={per_minute};w=60");
    assert_eq!(reply.header("ratelimit-policy"), Some(rule.as_str()));
}

#[test]
fn a_guest_is_held_to_the_quota_whatever_the_token() {
    let gateway = with_tokens().settings(|s| s.quota.guest_per_minute = 3).start();
    let us = Issuer::Shared(SECRET.into());
    let own = Form::sample().without("conversation_id").without("sender_id");
    let sent = gateway.send(&signed(own.clone(), &guest("guest-1", "c-1")));
    sent.receipt(201);
    assert_eq!(standing(&sent).0, "guest");
    assert_eq!(standing(&sent).1, 2);
    for conversation in ["c-2", "c-3"] {
        let token = us.token(&claims("guest-1", conversation));
        ask(&gateway.public, "GET", UNKNOWN, &token).problem(404, "message-not-found");
    }
    let fourth = gateway.send(&signed(own.clone(), &us.token(&claims("guest-1", "c-4"))));
    fourth.problem(429, "quota-exceeded");
    refused(&fourth, "guest", 3);
    gateway.send(&signed(own, &guest("guest-2", "c-1"))).receipt(201);
    assert_eq!(gateway.records().len(), 2);
}

#[test]
fn a_backend_is_held_to_the_quota_of_its_key_and_to_no_other() {
    let (builder, file, key) = with_key(TestGateway::builder());
    let small: String = {
        let file: &KeyFile = &file;
        add_key(file, 2, |new| new.quota_per_minute = Some(2))
    };
    let gateway = builder
        .settings(|s| s.quota.key_per_minute = 4)
        .settings(|s| s.quota.address_per_minute = 1)
        .start();
    let get = |key: &str| ask(&gateway.public, "GET", UNKNOWN, key);
    for left in [1, 0] {
        let reply = get(&small);
        reply.problem(404, "message-not-found");
        assert_eq!(standing(&reply).1, left);
    }
    refused(&get(&small), "key", 2);
    for _ in 0..4 {
        get(&key).problem(404, "message-not-found");
    }
    refused(&get(&key), "key", 4);
}

#[test]
fn strangers_are_counted_by_address_before_anything_is_verified() {
    let gateway = with_tokens().settings(|s| s.quota.address_per_minute = 4).start();
    let tokens = ["x", "vpk_x", "a.b.c", "."];
    for token in tokens {
        ask(&gateway.public, "GET", UNKNOWN, token).problem(401, "unauthorized");
    }
    let good = guest("guest-1", "c-1");
    let reply = ask(&gateway.public, "GET", UNKNOWN, &good);
    refused(&reply, "address", 4);
    refused(&gateway.public.get(LIMITS), "address", 4);
    refused(&gateway.public.get("/nothing-here"), "address", 4);
    for path in ["/livez", "/readyz"] {
        let reply = gateway.public.get(path);
        assert_eq!((reply.status, reply.header("ratelimit")), (200, None));
    }
}

#[test]
fn behind_proxies_the_client_is_who_the_outermost_of_them_saw() {
    let gateway = TestGateway::builder()
        .settings(|s| s.server.proxy_hops = 2)
        .settings(|s| s.quota.address_per_minute = 2)
        .start();
    let from = |chain: &str| {
        gateway.public.send(&Request::new("GET", LIMITS).header("X-Forwarded-For", chain))
    };
    from("192.0.2.1, 10.0.0.1").receipt(200);
    // What stands further left is the client's own invention.
    from("203.0.113.1, 192.0.2.1, 10.0.0.1").receipt(200);
    refused(&from("203.0.113.2, 192.0.2.1, 10.0.0.2"), "address", 2);
    from("192.0.2.2, 10.0.0.1").receipt(200);
    for number in 1..=2 {
        from(&format!("2001:db8:0:1::{number}, 10.0.0.1")).receipt(200);
    }
    refused(&from("2001:db8:0:1::3, 10.0.0.1"), "address", 2);
    // Whoever did not come by the proxies is the address of the connection.
    from("198.51.100.1").receipt(200);
    from("198.51.100.2").receipt(200);
    refused(&from("198.51.100.3"), "address", 2);
}

#[test]
fn a_quota_comes_back_by_itself() {
    let gateway = with_tokens().settings(|s| s.quota.guest_per_minute = 60).start();
    let token = guest("guest-1", "c-1");
    let get = || ask(&gateway.public, "GET", UNKNOWN, &token);
    let refused = (0..70).map(|_| get()).find(|reply| reply.status == 429);
    assert_eq!(refused.unwrap().header("retry-after"), Some("1"));
    crate::support::eventually("the next request is served", || {
        (get().status == 404).then_some(())
    });
}

#[test]
fn a_refused_sender_with_a_body_reads_why() {
    let gateway = with_tokens().settings(|s| s.quota.guest_per_minute = 1).start();
    let token = guest("guest-1", "c-1");
    ask(&gateway.public, "GET", UNKNOWN, &token).problem(404, "message-not-found");
    let large = Form::empty().file("large.wav", vec![0; 1 << 20]);
    let reply = gateway.send(&large.header("Authorization", &bearer(&token)));
    refused(&reply, "guest", 1);
    assert_eq!(reply.header("connection"), Some("close"));
}

/// A flood of calls of the webhook that nobody signed; what Genesys signs is never counted.
#[test]
fn a_flood_of_what_nobody_signed_is_held_to_the_quota_of_its_address() {
    let gateway = replies::builder().settings(|s| s.quota.address_per_minute = 3).start();
    let call = |secret: &str| replies::call(&gateway, secret, b"{}");
    for _ in 0..10 {
        assert_eq!(call(replies::SECRET).status, 200);
    }
    for _ in 0..3 {
        call("another-secret-of-22-ch").problem(401, "unauthorized");
    }
    let fourth = call("another-secret-of-22-ch");
    refused(&fourth, "address", 3);
    // Nothing more of it is read: neither a body, nor another path that is signed.
    let begun = Request::new("POST", "/webhooks/open-messaging").head("Content-Length: 1000");
    let mut stream = gateway.public.connect();
    stream.write_all(&begun).unwrap();
    Reply::read(&mut stream).problem(429, "quota-exceeded");
    refused(&gateway.public.get("/media/made-up.ogg"), "address", 3);
    // Senders, who show who they are, have quotas of their own.
    assert_eq!(gateway.public.get(LIMITS).status, 200);
    let seconds = fourth.header("retry-after").unwrap().parse().unwrap();
    crate::support::pause(std::time::Duration::from_secs(seconds));
    assert_eq!(call(replies::SECRET).status, 200, "it may try again when it was told to");
}

#[test]
fn made_up_addresses_of_clips_are_held_to_the_quota_too() {
    let gateway = TestGateway::builder().settings(|s| s.quota.address_per_minute = 2).start();
    for _ in 0..2 {
        gateway.public.get("/media/made-up.ogg").problem(404, "route-not-found");
    }
    refused(&gateway.public.get("/media/made-up.ogg"), "address", 2);
}

/// Each listener knows how many proxies are before it: who reaches one directly makes up no
/// address.
#[test]
fn a_listener_without_proxies_does_not_believe_what_proxies_say_at_the_other() {
    let apart = |hops| {
        TestGateway::builder()
            .settings(|s| s.server.proxy_hops = 1)
            .settings(|s| s.public.listen = Some(([127, 0, 0, 1], 0).into()))
            .settings(move |s| s.public.proxy_hops = hops)
            .settings(|s| s.quota.address_per_minute = 2)
            .start()
    };
    let made_up = |gateway: &TestGateway, number: u8| {
        let request = Request::new("GET", "/media/made-up.ogg")
            .header("X-Forwarded-For", &format!("192.0.2.{number}"));
        gateway.outside.as_ref().unwrap().send(&request)
    };
    let direct = apart(0);
    for number in 0..2 {
        made_up(&direct, number).problem(404, "route-not-found");
    }
    refused(&made_up(&direct, 9), "address", 2);
    let behind = apart(1);
    for number in 0..9 {
        made_up(&behind, number).problem(404, "route-not-found");
    }
}
