//! Every path of the public listener: what it takes, what it refuses, and that the served document
//! says the same.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Contract, Form, Request, TestGateway};

const ID: &str = "019aa6c2-7f31-7c55-9d0e-3b1f6a2c4e88";

#[test]
fn the_limits_are_those_of_the_settings() {
    let gateway = TestGateway::builder().settings(|s| s.limits.duration_ms_max = 30_000).start();
    assert_eq!(
        gateway.public.get("/v1/limits").receipt(200),
        json!({
            "types": [
                "audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4;codecs=opus",
                "audio/mp4;codecs=mp4a.40.2", "audio/ogg", "audio/webm", "audio/mp4", "audio/mpeg",
                "audio/wav", "audio/flac",
            ],
            "duration_ms_max": 30_000, "duration_ms_min": 100, "bytes_max": 12_582_912,
        })
    );
}

#[test]
fn the_probes_answer_on_both_listeners() {
    let gateway = TestGateway::start();
    for client in [&gateway.public, &gateway.admin] {
        let live = client.get("/livez").receipt(200);
        assert_eq!(live, json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
        let ready = client.get("/readyz").receipt(200);
        assert_eq!(ready, json!({"ready": true, "reasons": []}));
    }
}

#[test]
fn a_path_with_nothing_at_it_is_not_found() {
    let gateway = TestGateway::start();
    for path in ["/", "/v1", "/v1/voice-messages/", "/admin/state", "/metrics", "/v2/limits"] {
        let detail = gateway.public.get(path).problem(404, "route-not-found");
        assert!(detail.ends_with(path), "{detail}");
    }
    for path in ["/v1/voice-messages", "/v1/limits", "/admin", "/openapi.json"] {
        gateway.admin.get(path).problem(404, "route-not-found");
    }
}

#[test]
fn a_method_that_a_path_does_not_take_is_refused_with_those_it_does() {
    let gateway = TestGateway::start();
    let one = format!("/v1/voice-messages/{ID}");
    for (path, allowed) in [
        ("/v1/voice-messages", "POST"),
        (one.as_str(), "GET, DELETE"),
        ("/v1/limits", "GET"),
        ("/voicepost.js", "GET"),
        ("/livez", "GET"),
        ("/readyz", "GET"),
        ("/openapi.json", "GET"),
        ("/v1/conversations/c-1/events", "GET"),
        ("/media/x", "GET, HEAD"),
        ("/webhooks/open-messaging", "POST"),
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if allowed.split(", ").any(|one| one == method) {
                continue;
            }
            let reply = gateway.public.send(&Request::new(method, path));
            let detail = reply.problem(405, "method-not-allowed");
            assert!(detail.contains(path) && detail.contains(method), "{detail}");
            assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
        }
    }
    let purge = format!("/admin/messages/{ID}/purge");
    let give_up = format!("/admin/messages/{ID}/copies/0/give-up");
    let order = |name: &str| format!("/admin/messages/{ID}/{name}");
    let (release, hold, replay) = (order("release"), order("hold"), order("replay"));
    for path in [
        purge.as_str(),
        give_up.as_str(),
        release.as_str(),
        hold.as_str(),
        replay.as_str(),
        "/admin/drain",
        "/admin/erasures",
        "/admin/token/refresh",
    ] {
        let reply = gateway.admin.get(path);
        reply.problem(405, "method-not-allowed");
        assert_eq!(reply.header("allow"), Some("POST"));
    }
    for path in ["/admin/state", "/admin/messages", "/admin/purges", "/metrics"] {
        let reply = gateway.admin_post(path, &json!({}));
        reply.problem(405, "method-not-allowed");
        assert_eq!(reply.header("allow"), Some("GET"));
    }
}

#[test]
fn a_request_id_is_taken_over_where_it_is_short_and_plain() {
    let gateway = TestGateway::start();
    let ask = |id: &str| gateway.public.send(&Request::new("GET", "/").header("X-Request-Id", id));
    let longest = "x".repeat(64);
    for good in ["a", "trace-7.A_b", &longest] {
        let reply = ask(good);
        reply.problem(404, "route-not-found");
        assert_eq!(reply.header("x-request-id"), Some(good));
    }
    let mut made = BTreeSet::new();
    for bad in ["", "a b", "a/b", "é", &"x".repeat(65)] {
        let reply = ask(bad);
        reply.problem(404, "route-not-found");
        let id = reply.header("x-request-id").unwrap().to_owned();
        assert_ne!(id, bad);
        made.insert(id);
    }
    assert_eq!(made.len(), 5, "each is new");
    let form = Form::sample().header("X-Request-Id", "clip-1");
    let reply = gateway.send(&form);
    reply.receipt(201);
    assert_eq!(reply.header("x-request-id"), Some("clip-1"));
}

#[test]
fn the_document_has_the_paths_and_methods_of_the_listener() {
    let gateway = TestGateway::start();
    let document = gateway.public.get("/openapi.json").receipt(200);
    assert_eq!(&document, voicepost::web::openapi_document(), "answers are held to what is served");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    // What is in the document is at the listener …
    for (path, item) in paths {
        let path = path.replace("{id}", ID).replace("{conversation_id}", "c-1");
        for method in ["get", "put", "post", "delete", "patch"] {
            let status = gateway.public.send(&Request::new(&method.to_uppercase(), &path)).status;
            let documented = item.get(method).is_some();
            assert_eq!(status != 405, documented, "{method} {path} is answered {status}");
        }
    }
    // … and what is at the listener is in the document.
    assert_eq!(routes(), paths.keys().cloned().collect::<BTreeSet<_>>());
}

/// The paths of `public` in the one page of routes.
fn routes() -> BTreeSet<String> {
    let page = include_str!("../../src/web/mod.rs");
    let (_, public) = page.split_once("fn public(").expect("the public listener");
    let (public, _) = public.split_once("fn operators(").expect("the admin listener");
    let public = public.replace("WEBHOOK_PATH", &format!("{:?}", voicepost::web::WEBHOOK_PATH));
    public.split('"').filter(|text| text.starts_with('/')).map(str::to_owned).collect()
}

#[test]
fn the_examples_of_the_document_are_as_it_says() {
    let gateway = TestGateway::start();
    let contract: &Contract = gateway.contract();
    let schemas = contract.document()["components"]["schemas"].as_object().unwrap();
    let mut examples = 0;
    for (name, schema) in schemas {
        for example in schema["examples"].as_array().into_iter().flatten() {
            assert_eq!(contract.fault(schema, example, name), None);
            examples += 1;
        }
    }
    assert!(examples >= 3, "only {examples} examples");
}

#[test]
fn the_validator_finds_what_is_not_as_the_document_says() {
    let gateway = TestGateway::start();
    let contract = gateway.contract();
    let schemas = &contract.document()["components"]["schemas"];
    let sound = &schemas["Receipt"]["examples"][0];
    let faults = [
        ("/status", json!("lost")),
        ("/created_at", json!("yesterday")),
        ("/media/duration_ms", json!(-1)),
        ("/media/bytes", json!("many")),
        ("/transcript/text", json!("")),
        ("/purge/copies/0/state", json!(null)),
        ("/delivery", json!({})),
    ];
    for (pointer, value) in faults {
        let mut receipt = sound.clone();
        *receipt.pointer_mut(pointer).unwrap() = value;
        assert!(contract.fault(&schemas["Receipt"], &receipt, "receipt").is_some(), "{pointer}");
    }
    let mut receipt = sound.clone();
    receipt["secret"] = json!("not in the document");
    assert!(contract.fault(&schemas["Receipt"], &receipt, "receipt").is_some());
}
