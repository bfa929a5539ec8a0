//! The body of a voice message: which parts there are, in which order, and what they may hold.

use serde_json::json;

use crate::support::{CONVERSATION, Form, Request, SENDER, TestGateway, fixture};

#[test]
fn the_clip_may_come_first_or_last() {
    let gateway = TestGateway::start();
    gateway.send(&Form::sample()).receipt(201);
    gateway.send(&Form::sample().reversed()).receipt(201);
    let posts = gateway.at_genesys(|sandbox| sandbox.account().posts().to_vec());
    assert_eq!(posts.len(), 2);
    for post in posts {
        assert_eq!(
            (post.conversation_id.as_str(), post.sender_id.as_str()),
            (CONVERSATION, SENDER)
        );
    }
}

#[test]
fn name_and_type_of_the_file_are_hints_only() {
    let gateway = TestGateway::start();
    let bare = Form::sample().without("file");
    let clip = fixture("hello.mp3");
    for head in [
        "",
        "; filename=\"\"",
        "; filename=\"invoice.pdf\"\r\nContent-Type: application/pdf",
        "; filename=\"../../etc/passwd\"\r\nContent-Type: audio/ogg",
        "\r\nContent-Type: text/plain; charset=utf-8",
    ] {
        let receipt = gateway.send(&bare.clone().part("file", head, &clip)).receipt(201);
        assert_eq!(receipt["media"]["media_type"], "audio/mpeg", "{head:?}");
    }
    gateway.at_genesys(|sandbox| {
        let names: Vec<_> =
            sandbox.account().uploads().iter().map(|upload| upload.file_name.as_str()).collect();
        let plain = "voice-message.mp3";
        assert_eq!(names, [plain, plain, "invoice.mp3", "passwd.mp3", plain]);
        assert!(sandbox.account().uploads().iter().all(|upload| upload.media_type == "audio/mp3"));
    });
}

#[test]
fn a_missing_part_is_named() {
    let gateway = TestGateway::start();
    for part in ["file", "conversation_id", "sender_id"] {
        let reply = gateway.send(&Form::sample().without(part));
        let detail = reply.problem(400, "missing-part");
        assert!(detail.contains(part), "{detail}");
        assert_eq!(reply.json()["part"], part);
    }
    assert_eq!(gateway.send(&Form::empty()).json()["part"], "file");
}

#[test]
fn an_unknown_part_is_refused_with_the_names_there_are() {
    let gateway = TestGateway::start();
    let reply = gateway.send(&Form::sample().field("colour", "blue"));
    let detail = reply.problem(400, "unknown-part");
    assert_eq!(reply.json()["part"], "colour");
    for name in ["file", "conversation_id", "sender_id", "transcript", "language", "metadata"] {
        assert!(detail.contains(name), "{detail}");
    }
    gateway.send(&Form::sample().field("", "no name")).problem(400, "unknown-part");
}

#[test]
fn a_part_that_comes_twice_is_refused() {
    let gateway = TestGateway::start();
    for part in ["conversation_id", "sender_id", "transcript"] {
        let reply = gateway.send(&Form::sample().field(part, "again"));
        assert!(reply.problem(400, "duplicate-part").contains(part));
        assert_eq!(reply.json()["part"], part);
    }
    let twice = Form::sample().file("again.ogg", fixture("hello.ogg"));
    assert_eq!(gateway.send(&twice).json()["part"], "file");
    gateway.send(&twice).problem(400, "duplicate-part");
}

#[test]
fn a_field_with_a_wrong_value_is_refused_with_its_limit() {
    let gateway = TestGateway::start();
    let cases = [
        ("conversation_id", "x".repeat(257), json!(256)),
        ("sender_id", "x".repeat(257), json!(256)),
        ("language", "x".repeat(36), json!(35)),
        ("language", "de_DE".to_owned(), json!(35)),
        ("metadata", format!("{{\"a\":\"{}\"}}", "x".repeat(2_048)), json!(2_048)),
        ("metadata", "{\"a\":1}".to_owned(), json!(null)),
        ("metadata", "[]".to_owned(), json!(null)),
    ];
    for (part, value, limit) in cases {
        let reply = gateway.send(&Form::sample().with(part, &value));
        let detail = reply.problem(400, "invalid-field");
        assert!(detail.contains(part), "{detail}");
        assert_eq!(reply.json()["part"], part);
        assert_eq!(reply.json()["limit"], limit, "{part}: {detail}");
    }
    let reply = gateway.send(&Form::sample().with("sender_id", b"\xff\xfe"));
    assert!(reply.problem(400, "invalid-field").contains("UTF-8"));
    let allowed = Form::sample()
        .with("language", "de-DE")
        .with("metadata", "{\"page\":\"checkout\"}")
        .with("conversation_id", "x".repeat(256));
    gateway.send(&allowed).receipt(201);
}

#[test]
fn a_required_field_that_is_blank_is_refused() {
    let gateway = TestGateway::start();
    for part in ["conversation_id", "sender_id"] {
        for blank in ["", "  "] {
            let reply = gateway.send(&Form::sample().with(part, blank));
            assert_eq!(reply.status, 400, "{}", reply.text());
            assert_eq!(reply.json()["part"], part);
        }
    }
}

#[test]
fn a_body_that_cannot_be_read_is_malformed() {
    let gateway = TestGateway::start();
    let form = Form::sample();
    let cut = form.request_head().body(&form.body()[..2_000]);
    assert!(!gateway.public.send(&cut).problem(400, "malformed-request").is_empty());
    let no_boundary = Request::new("POST", "/v1/voice-messages")
        .header("Content-Type", "multipart/form-data")
        .body(form.body());
    gateway.public.send(&no_boundary).problem(400, "malformed-request");
    let crowd = (0..17).fold(Form::empty(), |form, _| form.field("transcript", ""));
    gateway.send(&crowd).problem(400, "duplicate-part");
}

#[test]
fn a_body_that_is_no_form_is_an_unsupported_media_type() {
    let gateway = TestGateway::start();
    for content_type in ["application/json", "audio/ogg", "multipart/mixed; boundary=x", ""] {
        let request = Request::new("POST", "/v1/voice-messages")
            .header("Content-Type", content_type)
            .body(fixture("hello.ogg"));
        let detail = gateway.public.send(&request).problem(415, "unsupported-media-type");
        assert!(detail.contains("multipart/form-data"), "{detail}");
    }
}

#[test]
fn without_a_transcript_the_agent_reads_the_placeholder() {
    let gateway = TestGateway::start();
    for form in [Form::sample().without("transcript"), Form::sample().with("transcript", " \n\t ")]
    {
        let receipt = gateway.send(&form).receipt(201);
        let placeholder = json!({"text": "Audio message sent by guest", "source": "placeholder"});
        assert_eq!(receipt["transcript"], placeholder);
    }
    gateway.at_genesys(|sandbox| {
        let posts = sandbox.account().posts();
        assert!(posts.iter().all(|post| post.transcript == "Audio message sent by guest"));
    });
}

#[test]
fn a_transcript_may_have_4096_bytes_and_not_one_more() {
    let gateway = TestGateway::start();
    let longest = "é".repeat(2_048);
    let receipt = gateway.send(&Form::sample().with("transcript", &longest)).receipt(201);
    assert_eq!(receipt["transcript"], json!({"text": longest, "source": "sender"}));
    let reply = gateway.send(&Form::sample().with("transcript", longest + "x"));
    let detail = reply.problem(422, "transcript-too-long");
    assert!(detail.contains("4097") && detail.contains("4096"), "{detail}");
    let problem = reply.json();
    assert_eq!((&problem["limit"], &problem["actual"]), (&json!(4_096), &json!(4_097)));
}
