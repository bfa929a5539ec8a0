//! Which pages may send, and read the answers.

use crate::access::{bearer, signed, with_tokens};
use crate::support::issuer::guest;
use crate::support::{Builder, Form, Reply, Request, TestGateway};

const SHOP: &str = "https://shop.example";
const SEND: &str = "/v1/voice-messages";

fn opened(builder: Builder) -> Builder {
    builder.settings(|s| s.cors.origins = format!("{SHOP}, http://localhost:3000"))
}

fn preflight(gateway: &TestGateway, origin: &str) -> Reply {
    let request = Request::new("OPTIONS", SEND)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization, idempotency-key");
    // No part of the contract: a browser asks it, not a client.
    let mut stream = gateway.public.connect();
    std::io::Write::write_all(&mut stream, &request.to_bytes()).unwrap();
    Reply::read(&mut stream)
}

#[test]
fn a_preflight_of_a_named_origin_is_answered_and_may_be_kept() {
    let gateway = opened(with_tokens()).start();
    for origin in [SHOP, "http://localhost:3000"] {
        let reply = preflight(&gateway, origin);
        assert_eq!(reply.status, 204);
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        assert_eq!(reply.header("access-control-max-age"), Some("600"));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        assert_eq!(reply.header("vary"), Some("origin"));
        let methods = reply.header("access-control-allow-methods").unwrap();
        assert!(["GET", "POST", "DELETE"].iter().all(|m| methods.contains(m)), "{methods}");
        let headers = reply.header("access-control-allow-headers").unwrap();
        for name in ["authorization", "content-type", "idempotency-key", "prefer"] {
            assert!(headers.contains(name), "{headers}");
        }
    }
}

#[test]
fn origins_that_only_look_alike_are_strangers() {
    let gateway = opened(with_tokens()).start();
    for origin in [
        "https://shop.example.evil.example",
        "https://shop.example:8443",
        "http://shop.example",
        "https://evil-shop.example",
        "https://SHOP.example",
        "https://shop.example/",
        "null",
        "*",
        "",
    ] {
        let reply = preflight(&gateway, origin);
        assert_eq!(reply.status, 401, "{origin:?}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{origin:?}");
        assert_eq!(reply.header("vary"), Some("origin"));
    }
}

#[test]
fn errors_can_be_read_by_the_page_too() {
    let gateway = opened(with_tokens()).settings(|s| s.quota.guest_per_minute = 2).start();
    let token = guest("guest-1", "c-1");
    let get = |path: &str, authorization: &str| {
        let request = Request::new("GET", path).header("Origin", SHOP);
        gateway.public.send(&request.header("Authorization", authorization))
    };
    let mut replies = vec![
        (401, get("/v1/voice-messages/x", "Bearer x")),
        (404, get("/v1/voice-messages/x", &bearer(&token))),
    ];
    let form = signed(Form::empty(), &token).header("Origin", SHOP);
    replies.push((400, gateway.send(&form)));
    replies.push((429, gateway.send(&form)));
    for (status, reply) in &replies {
        assert_eq!(reply.status, *status, "{}", reply.text());
        assert_eq!(reply.header("access-control-allow-origin"), Some(SHOP), "{status}");
        let exposed = reply.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("retry-after") && exposed.contains("ratelimit"), "{exposed}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn without_authentication_pages_of_other_origins_send_nothing() {
    let gateway = opened(TestGateway::builder()).start();
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let reply = gateway.send(&Form::sample().header("Origin", origin));
        reply.problem(403, "forbidden");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    assert_eq!(gateway.records().len(), 0);
    let reply = gateway.send(&Form::sample().header("Origin", SHOP));
    reply.receipt(201);
    assert_eq!(reply.header("access-control-allow-origin"), Some(SHOP));
    // The page that the gateway's own address names. Tests call it localhost.
    gateway.send(&Form::sample().header("Origin", "http://localhost")).receipt(201);
}

#[test]
fn without_authentication_a_rebound_name_is_refused() {
    let gateway = TestGateway::start();
    for (host, status) in
        [("evil.example", 403), ("evil.example:8080", 403), ("127.0.0.1", 404), ("[::1]:80", 404)]
    {
        let mut stream = gateway.public.connect();
        let head = format!("GET {SEND}/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
        assert_eq!(Reply::read(&mut stream).status, status, "{host}");
    }
}

#[test]
fn what_is_no_origin_keeps_the_gateway_from_starting() {
    for wrong in ["*", "null", "https://shop.example/", "shop.example", "https://shop.example:443"]
    {
        let builder = TestGateway::builder().settings(|s| s.cors.origins = wrong.to_owned());
        let refusal = builder.try_start().err().expect("no start");
        assert!(refusal.contains("cors.origins"), "{refusal}");
    }
}

#[test]
fn preflights_count_against_the_quota_of_their_address() {
    let gateway = opened(with_tokens()).settings(|s| s.quota.address_per_minute = 2).start();
    for _ in 0..2 {
        assert_eq!(preflight(&gateway, SHOP).status, 204);
    }
    let beyond = preflight(&gateway, SHOP);
    beyond.problem(429, "quota-exceeded");
    assert!(beyond.header("retry-after").is_some());
    assert_eq!(beyond.header("access-control-allow-origin"), Some(SHOP));
}
