//! Who may give orders on the operators' listener, and the book of what they ordered.

use std::io::Write as _;

use serde_json::{Value, json};
use voicepost::settings::Secret;

use crate::support::{Form, Reply, Request, TestGateway, logged};

const KEY: &str = "operators-planted-key-31c7";
const STATE: &str = "/admin/state";
const REFRESH: &str = "/admin/token/refresh";

fn with_key() -> TestGateway {
    TestGateway::builder()
        .access(|secrets| secrets.admin_key = Some(Secret::new(KEY).into()))
        .start()
}

fn ask(gateway: &TestGateway, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let request = Request::new(method, path);
    gateway.admin.send(&headers.iter().fold(request, |request, (n, v)| request.header(n, v)))
}

fn audit(gateway: &TestGateway, headers: &[(&str, &str)]) -> Vec<Value> {
    let reply = ask(gateway, "GET", "/admin/audit", headers);
    reply.receipt(200).as_array().unwrap().clone()
}

#[test]
fn with_a_key_nothing_but_the_probes_is_answered_without_it() {
    let gateway = with_key();
    let sound = format!("Bearer {KEY}");
    let wrong = [
        vec![],
        vec![("Authorization", KEY)],
        vec![("Authorization", "Bearer operators-planted-key-31c")],
        vec![("Authorization", "Bearer operators-planted-key-31c77")],
        vec![("Authorization", sound.as_str()), ("Authorization", sound.as_str())],
        vec![("X-Api-Key", KEY)],
    ];
    for headers in &wrong {
        for path in [STATE, "/metrics", "/admin/audit", "/admin/messages", "/%61dmin/state", "/x"] {
            let reply = ask(&gateway, "GET", path, headers);
            reply.problem(401, "unauthorized");
            assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer"));
        }
        ask(&gateway, "POST", REFRESH, headers).problem(401, "unauthorized");
    }
    for path in ["/livez", "/readyz"] {
        ask(&gateway, "GET", path, &[]).receipt(200);
    }
    let key = [("Authorization", sound.as_str())];
    ask(&gateway, "GET", STATE, &key).receipt(200);
    ask(&gateway, "POST", REFRESH, &key).receipt(200);
    // What was refused is no order.
    let rows = audit(&gateway, &key);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["who"], &rows[0]["status"]), (&json!("operator"), &json!(200)));
    drop(gateway);
    assert!(!logged().contains(KEY), "the key is logged");
}

#[test]
fn every_order_leaves_a_row() {
    let gateway = TestGateway::start();
    let id = gateway.send(&Form::sample()).receipt(201)["id"].as_str().unwrap().to_owned();
    let refresh = ask(&gateway, "POST", REFRESH, &[("X-Request-Id", "order-1")]);
    refresh.receipt(200);
    let purge = format!("/admin/messages/{id}/purge");
    ask(&gateway, "POST", &purge, &[]).receipt(200);
    let release = format!("/admin/messages/{id}/release");
    ask(&gateway, "POST", &release, &[]).problem(409, "wrong-state");
    gateway.admin_get(STATE).receipt(200);
    let rows = audit(&gateway, &[]);
    let told: Vec<(&str, u64)> = rows
        .iter()
        .map(|row| (row["action"].as_str().unwrap(), row["status"].as_u64().unwrap()))
        .collect();
    let (purge, release) = (format!("POST {purge}"), format!("POST {release}"));
    assert_eq!(told, [(&*release, 409), (&*purge, 200), ("POST /admin/token/refresh", 200)]);
    let first = &rows[2];
    assert_eq!(first["who"], "loopback");
    assert_eq!(first["address"], "127.0.0.1");
    assert_eq!(first["request_id"], "order-1");
    let path = format!("/admin/audit?limit=1&before={}", rows[1]["seq"]);
    assert_eq!(gateway.admin_get(&path).receipt(200), json!([first]));
}

#[test]
fn a_page_of_another_origin_gives_no_orders() {
    let gateway = TestGateway::start();
    let forbidden = |headers: &[(&str, &str)]| {
        ask(&gateway, "POST", REFRESH, headers).problem(403, "forbidden");
        let reply = ask(&gateway, "GET", STATE, headers);
        reply.problem(403, "forbidden");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    };
    forbidden(&[("Origin", "https://evil.example")]);
    forbidden(&[("Origin", "null")]);
    // A name that may be anybody's is what DNS rebinding needs; an address is not.
    for (host, status) in [("evil.example", 403), ("evil.example:8081", 403), ("[::1]:8081", 200)] {
        let mut stream = gateway.admin.connect();
        let head = format!("GET {STATE} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        assert_eq!(Reply::read(&mut stream).status, status, "{host}");
    }
    assert_eq!(audit(&gateway, &[]).len(), 0);
}

#[test]
fn every_answer_is_strict() {
    let gateway = TestGateway::start();
    for reply in [
        gateway.admin_get(STATE),
        gateway.admin_get("/metrics"),
        gateway.admin_get("/nowhere"),
        gateway.public.get("/v1/limits"),
        gateway.public.get("/nowhere"),
        gateway.send(&Form::empty()),
    ] {
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let policy = reply.header("content-security-policy").unwrap();
        assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'");
    }
}

#[test]
fn nothing_of_the_operators_is_reachable_from_the_senders_listener() {
    let gateway = with_key();
    let key = format!("Bearer {KEY}");
    for (method, path) in [
        ("GET", STATE),
        ("GET", "/metrics"),
        ("GET", "/admin/audit"),
        ("GET", "//admin/state"),
        ("GET", "/v1/../admin/state"),
        ("GET", "/%61dmin/state"),
        ("POST", REFRESH),
        ("POST", "/admin/drain"),
    ] {
        let request = Request::new(method, path).header("Authorization", &key);
        gateway.public.send(&request).problem(404, "route-not-found");
    }
    assert_eq!(audit(&gateway, &[("Authorization", key.as_str())]).len(), 0);
}

#[test]
fn who_guesses_at_the_key_is_held_to_a_quota_and_fills_no_log() {
    let gateway = TestGateway::builder()
        .access(|secrets| secrets.admin_key = Some(Secret::new(KEY).into()))
        .settings(|s| s.quota.address_per_minute = 30)
        .start();
    let sound = format!("Bearer {KEY}");
    let ask = |shown: &str| ask(&gateway, "GET", STATE, &[("Authorization", shown)]);
    for _ in 0..100 {
        ask(&sound).receipt(200);
    }
    let guesses: Vec<Reply> = (0..60).map(|_| ask("Bearer a-guess-at-the-key-of-22")).collect();
    let refused = guesses.iter().filter(|reply| reply.status == 401).count();
    assert!((30..40).contains(&refused), "{refused} of 60 guesses were looked at");
    guesses[59].problem(429, "quota-exceeded");
    // Nor does the answer tell a right one from a wrong one now.
    ask(&sound).problem(429, "quota-exceeded");
    let seconds = guesses[59].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    assert_eq!(ask_probe(&gateway), 200);
    crate::support::pause(std::time::Duration::from_secs(seconds));
    ask(&sound).receipt(200);
}

fn ask_probe(gateway: &TestGateway) -> u16 {
    ask(gateway, "GET", "/livez", &[]).status
}
