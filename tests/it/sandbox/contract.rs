//! The calls of the contract: what is taken, what is refused, what the account says after.

use serde_json::{Value, json};
use voicepost::sandbox::SandboxSettings;

use super::{CLIP, Client, MESSAGES, UPLOAD, UPLOAD_HEADERS, bytes_of, message};

#[test]
fn a_voice_message_goes_the_whole_way() {
    let client = Client::start(SandboxSettings::default());
    let (media_id, media_url) = client.uploaded();
    let answer = client.post(&message(&media_id, &media_url));
    assert_eq!(answer.status, 200);
    let message_id = answer.json()["messages"][0]["messageId"].clone();
    assert!(message_id.as_str().is_some_and(|id| !id.is_empty()));
    assert!(answer.header("inin-ratelimit-count").is_some());
    assert!(answer.header("inin-ratelimit-allowed").is_some());
    assert!(answer.header("inin-ratelimit-reset").is_some());
    assert!(answer.header("inin-correlation-id").is_some());

    let retention = format!("/api/v2/media/recordings/{media_id}/retention");
    let ask = |duration: &str| {
        client.call("POST", &retention, &[], &bytes_of(&json!({"retention":{"duration":duration}})))
    };
    assert_eq!(ask("15m").status, 200);
    for wrong in ["15", "015m", "PT15M", "0m", "-1m", "15 m", ""] {
        let answer = ask(wrong);
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(answer.json()["message"], "Invalid retention duration format.");
    }

    let delete = format!("/api/v2/media/attachments/{media_id}");
    assert_eq!(client.call("DELETE", &delete, &[], b"").status, 204);
    assert_eq!(client.call("DELETE", &delete, &[], b"").status, 404);
    assert_eq!(client.get(&media_url, &[]).status, 410);
    assert_eq!(ask("15m").status, 404);
    assert_eq!(client.post(&message(&media_id, &media_url)).status, 400);

    let account = client.get("/sandbox/account", &[]).json();
    let upload = &account["uploads"][0];
    assert_eq!(upload["media_id"], media_id.as_str());
    assert_eq!(upload["bytes"], CLIP.len());
    assert_eq!(upload["file_name"], "voice-message.ogg");
    let hash = ring::digest::digest(&ring::digest::SHA256, CLIP);
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(upload["sha256"], hash);
    assert_eq!(upload["delete_attempts"], 2);
    assert!(upload["deleted_at"].is_string());
    let post = &account["posts"][0];
    assert_eq!(post["message_id"], message_id);
    assert_eq!(post["conversation_id"], "c-1");
    assert_eq!(post["transcript"], "Where is my parcel?");
    let summary = client.get("/sandbox/account/summary", &[]).json();
    assert_eq!(summary["uploads"], 1);
    assert_eq!(summary["uploads_alive"], 0);
    assert_eq!(summary["deleted"], 1);
    assert_eq!(summary["calls"]["delete"], json!({"204": 1, "404": 1}));
    assert_eq!(summary["calls"]["retention"], json!({"200": 1, "400": 7, "404": 1}));
}

#[test]
fn a_token_needs_the_right_credentials_and_is_needed_everywhere() {
    let mut client = Client::start(SandboxSettings::default());
    for wrong in ["sandbox-client:wrong", "other:sandbox-secret", "no-colon"] {
        let answer = client.ask_token(wrong);
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"], "invalid_client");
    }
    let answer = client.ask_token("sandbox-client:sandbox-secret").json();
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["expires_in"], 3_600);
    assert_ne!(answer["access_token"], client.token.as_str());

    let answer = client.send("POST", UPLOAD, &UPLOAD_HEADERS, CLIP);
    assert_eq!(answer.status, 401);
    let error = answer.json();
    assert_eq!(error["code"], "authentication.required");
    assert_eq!(error["status"], 401);
    assert_eq!(error["details"], json!([]));
    assert_eq!(error["errors"], json!([]));
    assert_eq!(error["contextId"].as_str(), answer.header("inin-correlation-id"));

    assert_eq!(client.upload().status, 200);
    client.send("POST", "/sandbox/tokens/revoke", &[], b"");
    assert_eq!(client.upload().json()["code"], "bad.credentials");
    client.token = client.exchange();
    assert_eq!(client.upload().status, 200);
}

#[test]
fn an_upload_that_breaks_the_contract_is_refused() {
    let client = Client::start(SandboxSettings { upload_bytes_max: 40, ..Default::default() });
    let [ogg, name] = UPLOAD_HEADERS;
    let status =
        |headers: &[(&str, &str)], body: &[u8]| client.call("POST", UPLOAD, headers, body).status;
    assert_eq!(status(&[ogg, name], CLIP), 200);
    for other in ["audio/mpeg", "audio/webm", "application/octet-stream", ""] {
        assert_eq!(status(&[("Content-Type", other), name], CLIP), 415, "{other}");
    }
    assert_eq!(status(&[name], CLIP), 415);
    assert_eq!(status(&[ogg], CLIP), 400, "no Content-Disposition");
    for other in [
        "attachment",
        "attachment; filename=\"a.mp3\"",
        "inline; filename=\"a.ogg\"",
        "attachment; filename=\".ogg\"",
        "attachment; filename=\"a b.ogg\"",
    ] {
        assert_eq!(status(&[ogg, ("Content-Disposition", other)], CLIP), 400, "{other}");
    }
    assert_eq!(status(&[ogg, name], b""), 400, "empty");
    assert_eq!(status(&[ogg, name], &[b'x'; 41]), 413);
    let summary = client.server.with(|sandbox| sandbox.account().summary());
    assert_eq!(summary.uploads, 1, "only the first was kept");
}

#[test]
fn the_multipart_form_has_one_part_named_file() {
    let client = Client::start(SandboxSettings::default());
    let content_type = [("Content-Type", "multipart/form-data; boundary=\"xx-1\"")];
    let part = |name: &str| {
        format!(
            "--xx-1\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.wav\"\r\n\
             Content-Type: audio/wav\r\n\r\nRIFF\r\n\r\nbody\r\n"
        )
    };
    let send = |body: String| client.call("POST", UPLOAD, &content_type, body.as_bytes());
    assert_eq!(send(part("file") + "--xx-1--\r\n").status, 200);
    client.server.with(|sandbox| {
        let upload = &sandbox.account().uploads()[0];
        assert_eq!(&upload.audio[..], b"RIFF\r\n\r\nbody");
        assert_eq!((upload.media_type.as_str(), upload.file_name.as_str()), ("audio/wav", "a.wav"));
    });
    assert_eq!(send(part("clip") + "--xx-1--\r\n").status, 400, "another name");
    assert_eq!(send(part("file") + &part("more") + "--xx-1--\r\n").status, 400, "two parts");
    assert_eq!(send(part("file")).status, 400, "no end");
}

#[test]
fn a_post_that_breaks_the_contract_is_refused_whole() {
    let client = Client::start(SandboxSettings::default());
    let (media_id, media_url) = client.uploaded();
    let good = message(&media_id, &media_url);
    let with_item = |field: &str, value: Value| {
        let mut body = good.clone();
        body["messages"][0]["media"][0][field] = value;
        body
    };
    let mut cases = vec![
        with_item("mediaId", json!("0123")),
        with_item("mediaUrl", json!(format!("{media_url}0"))),
        with_item("mediaType", json!("audio/mpeg")),
        with_item("transcript", json!("  ")),
        with_item("transcript", Value::Null),
        with_item("transcript", json!("é".repeat(2_049))),
        with_item("caption", json!("a field of nobody")),
    ];
    for (pointer, value) in [
        ("/conversationId", json!("")),
        ("/messages", json!([])),
        ("/messages/0/senderId", json!("")),
        ("/messages/0/media", json!([])),
    ] {
        let mut body = good.clone();
        *body.pointer_mut(pointer).expect("the field is there") = value;
        cases.push(body);
    }
    let mut absent = good.clone();
    absent["messages"][0]["media"][0].as_object_mut().expect("an item").remove("transcript");
    cases.push(absent);
    let mut second_is_bad = good.clone();
    let bad = with_item("mediaId", json!("0123"))["messages"][0].clone();
    second_is_bad["messages"].as_array_mut().expect("a list").push(bad);
    cases.push(second_is_bad);
    for body in &cases {
        assert_eq!(client.post(body).status, 400, "{body}");
    }
    let as_text =
        client.call("POST", MESSAGES, &[("Content-Type", "text/plain")], &bytes_of(&good));
    assert_eq!(as_text.status, 415);
    let mut long = bytes_of(&good);
    long.resize(2_000_001, b' ');
    let json_type = [("Content-Type", "application/json")];
    assert_eq!(client.call("POST", MESSAGES, &json_type, &long).status, 413);
    long.truncate(2_000_000);
    assert_eq!(client.call("POST", MESSAGES, &json_type, &long).status, 200);

    let closed = json!({"conversation_id": "c-1"});
    client.send("POST", "/sandbox/conversations/close", &[], &bytes_of(&closed));
    let answer = client.post(&good);
    assert_eq!((answer.status, &answer.json()["status"]), (404, &json!(404)));
    assert_eq!(client.server.with(|sandbox| sandbox.account().posts().len()), 1);
}

#[test]
fn a_batch_keeps_its_order_and_answers_by_position() {
    let client = Client::start(SandboxSettings::default());
    let clips: Vec<_> = (0..3).map(|_| client.uploaded()).collect();
    let mut batch = json!({"conversationId": "c-1", "messages": []});
    for (media_id, media_url) in &clips {
        let one = message(media_id, media_url)["messages"][0].clone();
        batch["messages"].as_array_mut().expect("a list").push(one);
    }
    let answer = client.post(&batch).json();
    client.server.with(|sandbox| {
        let posts = sandbox.account().posts();
        assert_eq!(posts.len(), 3);
        for (index, post) in posts.iter().enumerate() {
            assert_eq!(post.media_id, clips[index].0);
            assert_eq!(answer["messages"][index]["messageId"], post.message_id.as_str());
            assert_eq!(post.call, 1);
        }
    });
    client.post(&batch);
    assert_eq!(client.server.with(|sandbox| sandbox.account().summary().posts_repeated), 3);
}

#[test]
fn the_rate_limit_answers_429_and_names_itself() {
    let client = Client::start(SandboxSettings { calls_per_minute: 2, ..Default::default() });
    assert_eq!([client.upload().status, client.upload().status], [200, 200]);
    let answer = client.upload();
    assert_eq!(answer.status, 429);
    let reset = answer.header("inin-ratelimit-reset").expect("a reset");
    assert_eq!(answer.header("retry-after"), Some(reset));
    assert!(reset.parse::<u64>().is_ok_and(|seconds| (1..=60).contains(&seconds)));
    assert_eq!(answer.json()["limit"]["key"], "client.credentials.token.rate.per.minute");
    assert_eq!(answer.json()["limit"]["value"], 2);
    assert_eq!(client.ask_token("sandbox-client:sandbox-secret").status, 200, "not counted");
}

#[test]
fn a_reset_forgets_everything() {
    let client = Client::start(SandboxSettings::default());
    let (media_id, _) = client.uploaded();
    assert_eq!(client.send("POST", "/sandbox/reset", &[], b"").status, 204);
    let summary = client.server.with(|sandbox| sandbox.account().summary());
    assert_eq!((summary.uploads, summary.tokens_issued, summary.calls.len()), (0, 0, 0));
    let target = format!("/api/v2/media/attachments/{media_id}");
    assert_eq!(client.call("DELETE", &target, &[], b"").status, 401);
}
