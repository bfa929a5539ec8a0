//! Attacks on guests' tokens, each with its expected answer.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::access::{bearer, signed, with_tokens, write_unseen};
use crate::support::issuer::{AUDIENCE, Issuer, SECRET, claims, encode, guest, key_set, now};
use crate::support::{Builder, Form, TestGateway, eventually, logged};

fn form() -> Form {
    Form::sample().without("conversation_id").without("sender_id")
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims("guest-1", "c-1");
    change(&mut claims);
    claims
}

/// A gateway that knows these issuers by a file, and shares the secret too.
fn with_key_set(issuers: &[&Issuer]) -> Builder {
    let builder = with_tokens();
    let path = builder.data().join("jwks.json");
    std::fs::write(&path, key_set(issuers).to_string()).unwrap();
    builder.settings(|s| s.auth.jwt_key_set = Some(path.to_str().unwrap().to_owned()))
}

#[test]
fn every_algorithm_that_is_allowed_is_verified() {
    let issuers = [Issuer::Rsa, Issuer::ec(), Issuer::ed()];
    let gateway = with_key_set(&issuers.each_ref()).start();
    for issuer in &issuers {
        let token = issuer.token(&claims("guest-1", "c-1"));
        gateway.send(&signed(form(), &token)).receipt(201);
        // A token that names no key is verified by the only one of its algorithm.
        let header = json!({ "alg": issuer.algorithm() });
        let token = issuer.token_with(&header, &claims("guest-1", "c-1"));
        gateway.send(&signed(form(), &token)).receipt(201);
    }
    gateway.send(&signed(form(), &guest("guest-1", "c-1"))).receipt(201);
}

/// What is wrong, the token, and what the answer says.
type Attack = (&'static str, String, &'static str);

/// Claims that are not in order, well signed.
fn wrong_claims() -> Vec<Attack> {
    let us = Issuer::Shared(SECRET.into());
    let row = |what, claims: Value, says| (what, us.token(&claims), says);
    vec![
        row("expired", changed(|c| c["exp"] = json!(now() - 31)), "has expired"),
        row("no exp", changed(|c| c["exp"] = json!(null)), "exp is missing"),
        row("exp is text", changed(|c| c["exp"] = json!("soon")), "cannot be read"),
        row("exp is negative", changed(|c| c["exp"] = json!(-1)), "exp is missing"),
        row("for ever", changed(|c| c["exp"] = json!(now() + 90_000)), "too far"),
        row("exp overflows", changed(|c| c["exp"] = json!(1e300)), "exp is missing"),
        row("not yet valid", changed(|c| c["nbf"] = json!(now() + 60)), "not valid yet"),
        row("nbf is no time", changed(|c| c["nbf"] = json!(-1)), "nbf is no time"),
        row("wrong audience", changed(|c| c["aud"] = json!("somebody-else")), "aud"),
        row("a part of the audience", changed(|c| c["aud"] = json!(&AUDIENCE[..5])), "aud"),
        row("no audience", changed(|c| c["aud"] = json!(null)), "aud or iss is missing"),
        row("empty audience", changed(|c| c["aud"] = json!([])), "aud"),
        row("no sender", changed(|c| c["sub"] = json!(null)), "sub is no id"),
        row("blank sender", changed(|c| c["sub"] = json!("  ")), "sub is no id"),
        row("a sender in two lines", changed(|c| c["sub"] = json!("a\r\nb")), "sub is no id"),
        row("a long sender", changed(|c| c["sub"] = json!("x".repeat(257))), "sub is no id"),
        row("a list of senders", changed(|c| c["sub"] = json!(["a"])), "cannot be read"),
        row(
            "a blank conversation",
            changed(|c| c["conversation_id"] = json!("")),
            "conversation_id is no id",
        ),
    ]
}

/// Headers and signatures that are not in order, sound claims.
fn forged(rsa: &Issuer, ec: &Issuer) -> Vec<Attack> {
    let us = Issuer::Shared(SECRET.into());
    let sound = claims("guest-1", "c-1");
    let unsigned = |alg: &str| format!("{}.{}.", encode(&json!({ "alg": alg })), encode(&sound));
    let own = us.token(&sound);
    let (head, signature) = own.rsplit_once('.').unwrap();
    let (header, _) = head.split_once('.').unwrap();
    let others = format!("{header}.{}.{signature}", encode(&claims("guest-2", "c-2")));
    let confused = |issuer: &Issuer| {
        let fake = Issuer::Shared(issuer.public_bytes());
        fake.token_with(&json!({ "alg": "HS256", "kid": issuer.algorithm() }), &sound)
    };
    let renamed = |alg: &str| rsa.token_with(&json!({ "alg": alg, "kid": "RS256" }), &sound);
    let extension = json!({ "alg": "HS256", "crit": ["b64"], "b64": false });
    let inside = json!({ "alg": "ES256", "kid": "x", "jwk": Issuer::ec().jwk() });
    let elsewhere = json!({ "alg": "RS256", "kid": "x", "jku": "http://127.0.0.1:9/jwks" });
    let stranger = Issuer::Shared(b"another-secret-of-enough-bytes-000".to_vec());
    let algorithm = "no token of a known algorithm";
    vec![
        ("alg none", unsigned("none"), algorithm),
        ("alg None", unsigned("None"), algorithm),
        ("alg NONE", unsigned("NONE"), algorithm),
        ("alg empty", unsigned(""), algorithm),
        ("HS256 without a signature", unsigned("HS256"), "signature"),
        ("RS256 without a signature", unsigned("RS256"), "signature"),
        ("another secret", stranger.token(&sound), "signature"),
        ("another's claims", others, "signature"),
        ("cut off", own[..own.len() - 4].to_owned(), "refused"),
        ("the RSA key as secret", confused(rsa), "signature"),
        ("the EC key as secret", confused(ec), "signature"),
        ("RS256 called ES256", renamed("ES256"), "key is not known"),
        ("RS256 called PS256", renamed("PS256"), "key is not known"),
        ("RS256 called HS256", renamed("HS256"), "signature"),
        ("HS512 with our secret", us.token_with(&json!({"alg": "HS512"}), &sound), "not known"),
        ("an extension", us.token_with(&extension, &sound), "extension"),
        ("a key of its own", Issuer::ec().token_with(&inside, &sound), "key is not known"),
        ("a key set of its own", rsa.token_with(&elsewhere, &sound), "key is not known"),
        ("four parts", format!("{own}.x"), algorithm),
        ("two parts", head.to_owned(), algorithm),
        ("dots", "..".to_owned(), algorithm),
        ("a word", "token".to_owned(), algorithm),
    ]
}

#[test]
fn forged_and_wrong_tokens_are_refused() {
    let (rsa, ec) = (Issuer::Rsa, Issuer::ec());
    let gateway = with_key_set(&[&rsa, &ec]).start();
    let attacks = wrong_claims().into_iter().chain(forged(&rsa, &ec));
    let mut tried = 0;
    for (what, token, says) in attacks {
        let reply = gateway.send(&signed(form(), &token));
        let detail = reply.problem(401, "unauthorized");
        assert!(detail.contains(says), "{what}: {detail}");
        assert!(reply.header("www-authenticate").unwrap().contains("invalid_token"), "{what}");
        tried += 1;
    }
    assert_eq!(tried, 40);
    assert_eq!(gateway.records().len(), 0);
    // Within the leeway a clock may be wrong.
    let us = Issuer::Shared(SECRET.into());
    let late = changed(|c| c["exp"] = json!(now() - 5));
    gateway.send(&signed(form(), &us.token(&late))).receipt(201);
    let early = changed(|c| c["nbf"] = json!(now() + 5));
    gateway.send(&signed(form(), &us.token(&early))).receipt(201);
    let among_others = changed(|c| c["aud"] = json!(["somebody-else", AUDIENCE]));
    gateway.send(&signed(form(), &us.token(&among_others))).receipt(201);
}

/// The other signature that is as good: `(r, n - s)` for `(r, s)`, where n is the order of P-256
/// (FIPS 186-5, D.1.2).
fn signed_otherwise(token: &str) -> String {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrowed = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*byte) - borrowed;
        borrowed = i16::from(difference < 0);
        *byte = difference.rem_euclid(256) as u8;
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_token_signed_otherwise_is_good_for_no_more_clips() {
    let ec = Issuer::ec();
    let gateway = with_key_set(&[&ec]).start();
    let token = ec.token(&changed(|c| c["clips_max"] = json!(1)));
    let other = signed_otherwise(&token);
    assert_ne!(token, other);
    gateway.send(&signed(form(), &token)).receipt(201);
    for token in [&other, &token] {
        let detail = gateway.send(&signed(form(), token)).problem(403, "forbidden");
        assert!(detail.contains("1 clips"), "{detail}");
    }
}

#[test]
fn a_secret_in_the_public_set_is_no_key() {
    let planted = Issuer::Shared(b"planted-in-the-public-key-set-00000".to_vec());
    let gateway = with_key_set(&[&planted, &Issuer::Rsa]).start();
    let token = planted.token(&claims("guest-1", "c-1"));
    gateway.send(&signed(form(), &token)).problem(401, "unauthorized");
}

#[test]
fn only_the_allowed_algorithms_and_the_named_issuer_count() {
    let (rsa, ec) = (Issuer::Rsa, Issuer::ec());
    let gateway = with_key_set(&[&rsa, &ec])
        .settings(|s| s.auth.jwt_algorithms = "ES256".to_owned())
        .settings(|s| s.auth.jwt_issuer = Some("shop".to_owned()))
        .start();
    let of = |iss: &str| changed(|c| c["iss"] = json!(iss));
    gateway.send(&signed(form(), &ec.token(&of("shop")))).receipt(201);
    let refused = |token: &str| gateway.send(&signed(form(), token)).problem(401, "unauthorized");
    assert!(refused(&rsa.token(&of("shop"))).contains("key is not known"));
    assert!(refused(&ec.token(&of("bank"))).contains("issuer"));
    assert!(refused(&ec.token(&claims("guest-1", "c-1"))).contains("iss"));
}

/// A host that answers every request with the set, and counts them.
fn host(set: &Value) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let (asked, set) = (Arc::new(AtomicUsize::new(0)), set.to_string());
    let counted = Arc::clone(&asked);
    // Ends with the tests' process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            counted.fetch_add(1, Ordering::Relaxed);
            let length = set.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            let _ = stream.write_all(format!("{head}{set}").as_bytes());
        }
    });
    (url, asked)
}

#[test]
fn a_flood_of_unknown_key_ids_does_not_become_a_flood_of_fetches() {
    let ec = Issuer::ec();
    let (url, asked) = host(&key_set(&[&ec]));
    let gateway = with_tokens().settings(|s| s.auth.jwt_key_set = Some(url)).start();
    gateway.send(&signed(form(), &ec.token(&claims("guest-1", "c-1")))).receipt(201);
    let started = std::time::Instant::now();
    for number in 0..200 {
        let header = json!({ "alg": "ES256", "kid": format!("unknown-{number}") });
        let token = ec.token_with(&header, &claims("guest-1", "c-1"));
        gateway.send(&signed(form(), &token)).problem(401, "unauthorized");
    }
    let windows = started.elapsed().as_secs() as usize / 10 + 2;
    let fetches = asked.load(Ordering::Relaxed);
    assert!(fetches <= windows, "{fetches} fetches in {windows} windows of 10 s");
}

#[test]
fn a_new_key_of_the_issuer_is_found_without_a_restart() {
    let (old, new) = (Issuer::ec(), Issuer::ed());
    let builder = with_key_set(&[&old]);
    let path = builder.data().join("jwks.json");
    let gateway = builder.start();
    let status = |issuer: &Issuer| {
        let token = issuer.token(&claims("guest-1", "c-1"));
        gateway.send(&signed(form(), &token)).status
    };
    assert_eq!((status(&old), status(&new)), (201, 401));
    std::fs::write(&path, key_set(&[&new]).to_string()).unwrap();
    eventually("the new key counts", || (status(&new) == 201).then_some(()));
    assert_eq!(status(&old), 401, "the old one is gone");
}

#[test]
fn a_withdrawn_key_is_gone_although_the_first_read_of_the_set_failed() {
    let (old, new) = (Issuer::ec(), Issuer::ed());
    let builder = with_key_set(&[&old]);
    let path = builder.data().join("jwks.json");
    let gateway = builder.start();
    let status = || gateway.send(&signed(form(), &old.token(&claims("guest-1", "c-1")))).status;
    let set = key_set(&[&new]).to_string();
    write_unseen(&path, &format!("{:1$}", "{", set.len()));
    eventually("the failed read is told", || logged().contains("not a JWK set").then_some(()));
    assert_eq!(status(), 201, "what cannot be read changes nothing");
    write_unseen(&path, &set);
    eventually("the old key is gone", || (status() == 401).then_some(()));
}

#[test]
fn an_issuer_out_of_reach_lets_nobody_in_and_keeps_nobody_from_starting() {
    let nobody = "http://127.0.0.1:9/jwks.json".to_owned();
    let gateway = with_tokens().settings(|s| s.auth.jwt_key_set = Some(nobody)).start();
    let token = Issuer::ec().token(&claims("guest-1", "c-1"));
    gateway.send(&signed(form(), &token)).problem(401, "unauthorized");
    let header = bearer(&guest("guest-1", "c-1"));
    gateway.send(&form().header("Authorization", &header)).receipt(201);
}

#[test]
fn with_authentication_other_hosts_may_come() {
    let gateway = with_tokens()
        .settings(|s| s.server.listen = std::net::SocketAddr::from(([0, 0, 0, 0], 0)))
        .start();
    gateway.send(&signed(form(), &guest("guest-1", "c-1"))).receipt(201);
    let open = TestGateway::builder()
        .settings(|s| s.server.listen = std::net::SocketAddr::from(([0, 0, 0, 0], 0)));
    let refusal = open.try_start().err().expect("no start");
    assert!(refusal.contains("auth.keys_file"), "{refusal}");
}

#[test]
fn a_key_set_is_not_fetched_with_a_password_that_would_be_logged() {
    let mut settings = voicepost::settings::Settings::default();
    settings.auth.jwt_audience = Some(AUDIENCE.to_owned());
    for (place, sound) in [
        ("https://user:planted-pw@issuer.example/jwks", false),
        ("http://planted-pw@issuer.example", false),
        ("https://issuer.example:8443/keys@v1", true),
        ("/etc/keys@v1.json", true),
    ] {
        settings.auth.jwt_key_set = Some(place.to_owned());
        let refusal = settings.check().err().map(|error| error.to_string());
        assert_eq!(refusal.is_none(), sound, "{place}: {refusal:?}");
        assert!(refusal.is_none_or(|told| !told.contains("planted-pw")), "{place}");
    }
}
