//! Erasing a guest: what goes, what stays, what is said of it, and that a promise outlives the
//! process that gave it (invariants 4 and 11).

use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value, json};
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule};
use voicepost::settings::Secret;

use crate::access::{signed, with_tokens};
use crate::process::{PATIENCE, Send, World, wait_until};
use crate::support::issuer::{Issuer, SECRET, claims, guest};
use crate::support::{Form, Request, TestGateway, eventually, fixture, logged};

/// Not to be found in a log, an audit row, or a refusal.
const GUEST: &str = "guest-to-be-erased-5c1d";
const OTHER: &str = "guest-who-stays-77b0";

fn of(sender: &str, conversation: &str) -> Form {
    Form::sample().with("sender_id", sender).with("conversation_id", conversation)
}

/// Orders it; the answer at once.
#[track_caller]
fn order(gateway: &TestGateway, sender: &str) -> Value {
    let reply = gateway.admin_post("/admin/erasures", &json!({"sender_id": sender}));
    let told = reply.json();
    let expected = if told["done"] == true { 200 } else { 202 };
    assert_eq!(reply.status, expected, "{told}");
    told
}

/// How it stands once nothing is left to be done.
#[track_caller]
fn done(gateway: &TestGateway, told: &Value) -> Value {
    let path = format!("/admin/erasures/{}", told["id"].as_str().unwrap());
    eventually("the erasure is done", || {
        Some(gateway.admin_get(&path).receipt(200)).filter(|told| told["done"] == true)
    })
}

#[test]
fn everything_of_a_guest_goes_and_nothing_of_another() {
    let gateway = TestGateway::start();
    let keyed = of(GUEST, "c-1").header("Idempotency-Key", "once");
    let first = gateway.send(&keyed).receipt(201)["id"].clone();
    gateway.send(&of(GUEST, "c-2")).receipt(201);
    let stays = gateway.send(&of(OTHER, "c-1")).receipt(201);
    let told = order(&gateway, GUEST);
    assert_eq!(told["messages_found"], 2);
    let told = done(&gateway, &told);
    assert_eq!(told["messages_removed"], 2);
    assert_eq!(told["copies"], json!([{"kind": "uploaded-media", "state": "gone", "count": 2}]));
    assert_eq!(told["unproven"], json!([]));
    gateway.get(first.as_str().unwrap()).problem(404, "message-not-found");
    let rows = gateway.records();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(stays["id"], rows[0].id.to_string());
    // The key is free, and what comes later is a new message.
    let again = gateway.send(&keyed).receipt(201);
    assert_ne!(again["id"], first);
    let nobody = order(&gateway, "nobody-of-this-name");
    assert_eq!((&nobody["messages_found"], &nobody["done"]), (&json!(0), &json!(true)));
}

#[test]
fn what_is_on_its_way_is_not_delivered_and_what_is_held_ends() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("60");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause)]);
    let asynchronous = |c: &str| of(GUEST, c).header("Prefer", "respond-async");
    let id =
        |c: &str| gateway.send(&asynchronous(c)).receipt(202)["id"].as_str().unwrap().to_owned();
    let (waits, held) = (id("c-1"), id("c-2"));
    for id in [&waits, &held] {
        gateway.receipt_when(id, "it pauses", |r| !r["delivery"]["next_attempt_at"].is_null());
    }
    let hold = json!({"reason": "the guest has called"});
    gateway.admin_post(&format!("/admin/messages/{held}/hold"), &hold).receipt(200);
    let told = done(&gateway, &order(&gateway, GUEST));
    assert_eq!(told["messages_removed"], 2);
    assert_eq!(gateway.records().len(), 0);
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 0);
    eventually("the spool is empty", || {
        (gateway.pipeline().admission().spool_bytes() == 0).then_some(())
    });
}

#[test]
fn what_cannot_be_proven_is_said() {
    let mut gateway = TestGateway::start();
    let cut = FaultAction::cut(Cut::After);
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, cut).times(1)]);
    gateway.send(&of(GUEST, "c-1")).receipt(201);
    let told = done(&gateway, &order(&gateway, GUEST));
    let orphan = json!({"kind": "uploaded-media", "state": "orphaned", "count": 1});
    assert_eq!(told["unproven"], json!([orphan]));
    // Later the counts are still there, and name nobody.
    assert!(!told.to_string().contains(GUEST));
    gateway.at_genesys(|sandbox| assert_eq!(sandbox.account().summary().uploads_alive, 1));
    gateway.orphans_erased = 1;
}

#[test]
fn a_copy_that_does_not_go_keeps_its_message_until_it_does() {
    let gateway = TestGateway::start();
    gateway.trouble(vec![FaultRule::new(Endpoint::Delete, FaultAction::status(503))]);
    let id = gateway.send(&of(GUEST, "c-1")).receipt(201)["id"].as_str().unwrap().to_owned();
    let told = order(&gateway, GUEST);
    gateway.receipt_when(&id, "it is tried", |receipt| receipt["purge"]["state"] == "purging");
    let path = format!("/admin/erasures/{}", told["id"].as_str().unwrap());
    let told = gateway.admin_get(&path).receipt(200);
    assert_eq!((&told["messages_removed"], &told["done"]), (&json!(0), &json!(false)));
    assert_eq!(told["copies"][0]["state"], "owed");
    gateway.trouble(Vec::new());
    assert_eq!(done(&gateway, &told)["copies"][0]["state"], "gone");
}

#[test]
fn a_guest_is_known_by_their_token_when_their_name_has_left_the_ledger() {
    let sealed = "0123456789abcdef0123456789abcdef";
    let builder = with_tokens().settings(|s| s.purge.ttl_seconds = 1);
    let gateway = builder.access(|a| a.data_key = Some(Secret::new(sealed).into())).start();
    let form = || Form::empty().file("a.ogg", fixture("hello.ogg"));
    gateway.send(&signed(form(), &guest(GUEST, "c-1"))).receipt(201);
    gateway.send(&signed(form(), &guest(OTHER, "c-1"))).receipt(201);
    eventually("names are gone", || {
        gateway.records().iter().all(|record| record.envelope.is_none()).then_some(())
    });
    // One whose name is still there, sealed.
    gateway.send(&signed(form(), &guest(GUEST, "c-2"))).receipt(201);
    let told = done(&gateway, &order(&gateway, GUEST));
    assert_eq!(told["messages_removed"], 2);
    assert_eq!(gateway.records().len(), 1);
}

/// Whose tokens named an issuer while any was believed is found by that issuer only.
#[test]
fn a_guest_of_an_issuer_that_no_setting_names_is_found_by_its_name() {
    let gateway = with_tokens().settings(|s| s.purge.ttl_seconds = 1).start();
    let mut theirs = claims(GUEST, "c-1");
    theirs["iss"] = json!("the-shop");
    let token = Issuer::Shared(SECRET.into()).token(&theirs);
    let form = Form::empty().file("a.ogg", fixture("hello.ogg"));
    gateway.send(&signed(form, &token)).receipt(201);
    eventually("the name is gone", || {
        gateway.records().iter().all(|record| record.envelope.is_none()).then_some(())
    });
    assert_eq!(order(&gateway, GUEST)["messages_found"], 0);
    let order = json!({"sender_id": GUEST, "issuer": "the-shop"});
    let told = gateway.admin_post("/admin/erasures", &order).json();
    assert_eq!(told["messages_found"], 1);
    done(&gateway, &told);
    assert_eq!(gateway.records().len(), 0);
}

#[test]
fn hosted_files_and_what_genesys_caches_go_and_a_recording_is_named() {
    let gateway = TestGateway::builder().open_messaging().start();
    let form = || Form::sample().without("conversation_id").with("sender_id", GUEST);
    gateway.send(&form()).receipt(201);
    gateway.send(&form()).receipt(201);
    gateway.send(&form().with("sender_id", OTHER)).receipt(201);
    let told = done(&gateway, &order(&gateway, GUEST));
    let count = |kind, state| json!({"kind": kind, "state": state, "count": 2});
    assert_eq!(
        told["copies"],
        json!([
            count("cached-media", "gone"),
            count("hosted-file", "gone"),
            count("recording", "not-possible"),
        ])
    );
    assert_eq!(told["unproven"], json!([count("recording", "not-possible")]));
    let files = std::fs::read_dir(gateway.data.path().join("hosted")).unwrap();
    let clips = files.filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "clip");
    assert_eq!(clips.count(), 1, "another guest's clip is still hosted");
}

#[test]
fn only_operators_erase_and_nobody_reads_of_whom() {
    const KEY: &str = "operators-key-0123456789";
    let gateway = TestGateway::builder();
    let gateway = gateway.access(|a| a.admin_key = Some(Secret::new(KEY).into())).start();
    let body = json!({"sender_id": GUEST}).to_string();
    let ask = |path: &str, body: &str| {
        let shown = format!("Bearer {KEY}");
        gateway.admin.send(&Request::new("POST", path).header("Authorization", &shown).body(body))
    };
    gateway
        .admin
        .send(&Request::new("POST", "/admin/erasures").body(body.clone()))
        .problem(401, "unauthorized");
    gateway
        .public
        .send(&Request::new("POST", "/admin/erasures").body(body.clone()))
        .problem(404, "route-not-found");
    ask("/admin/erasures", &body).receipt(200);
    let odd = format!("{{\"sender_id\": \"{GUEST}\", \"more\": 1}}");
    let refusal = ask("/admin/erasures", &odd).problem(400, "malformed-request");
    assert!(!refusal.contains(GUEST), "{refusal}");
    ask("/admin/erasures", &json!({"sender_id": " "}).to_string()).problem(400, "invalid-field");
    let long = json!({"sender_id": "x".repeat(257)}).to_string();
    ask("/admin/erasures", &long).problem(400, "invalid-field");
    let shown = format!("Bearer {KEY}");
    let get =
        |path: &str| gateway.admin.send(&Request::new("GET", path).header("Authorization", &shown));
    get("/admin/erasures/x").problem(404, "message-not-found");
    let audit = get("/admin/audit").receipt(200).to_string();
    assert!(audit.contains("POST /admin/erasures") && !audit.contains(GUEST), "{audit}");
    assert!(logged().contains("a guest is erased by an operator"));
    assert!(!logged().contains(GUEST));
}

/// `voicepost erase` against this gateway: its exit code, and what it printed.
fn erase(admin: SocketAddr, wait: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_voicepost"))
        .env_clear()
        .args(["erase", "--sender", "guest-1", "--at", &format!("http://{admin}"), "--wait", wait])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text + &String::from_utf8(output.stderr).unwrap())
}

/// A message of the one who is erased.
fn of_guest(conversation: &str) -> Send {
    Send { guest: "guest-1".to_owned(), ..Send::new(conversation, "words") }
}

/// kill -9 between the promise and its fulfilment, again and again.
#[test]
fn what_was_promised_is_erased_also_after_kill_9() {
    let world = World::new(&[("PURGE__DELAY_SECONDS_MIN", "2"), ("PURGE__TTL_SECONDS", "600")]);
    let gateway = world.start();
    for number in 0..3 {
        assert_eq!(gateway.send(&of_guest(&format!("c-{number}"))).status, 201);
    }
    // One that is durable here, and not delivered yet.
    let refused = FaultAction::status(503).retry_after("1");
    world.faults(vec![FaultRule::new(Endpoint::Upload, refused)]);
    let waits = gateway.send(&of_guest("c-9").prefer("respond-async"));
    assert_eq!(waits.status, 202);
    let (code, said) = erase(gateway.admin, "0");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("of 4 messages") && said.contains("on its way"), "{said}");
    let id = said.split_whitespace().nth(1).expect("its id").to_owned();
    gateway.kill();
    world.release();
    world.start().kill();
    let gateway = world.start();
    wait_until("all that was promised is gone", || {
        gateway.admin(&format!("/admin/erasures/{id}"))["done"] == true
    });
    let told = gateway.admin(&format!("/admin/erasures/{id}"));
    assert_eq!(told["messages_removed"], 4, "{told}");
    assert_eq!(world.alive(), 0);
    assert_eq!(world.posts(), 3, "what was withdrawn was not delivered");
    wait_until("the spool is empty", || world.spooled().iter().all(|name| !name.ends_with("clip")));
    let (code, said) = erase(gateway.admin, "0");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("0 of 0 messages") && said.contains("not touched"), "{said}");
    gateway.settled(PATIENCE);
    let (code, said) = erase(SocketAddr::from(([127, 0, 0, 1], 1)), "0");
    assert_eq!(code, Some(2), "{said}");
}
