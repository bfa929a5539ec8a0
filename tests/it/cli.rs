//! The command line, through the real program.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// The program, with no variable of the environment that the test does not set.
fn voicepost(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voicepost"));
    command.env_clear().args(arguments);
    command
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

fn scratch(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).expect("a file in it");
    (dir, path)
}

#[test]
fn check_config_shows_every_value_and_its_layer() {
    let (_dir, file) = scratch("local.toml", b"[server]\nworkers = 2\n");
    let file = file.to_str().unwrap();
    let mut command = voicepost(&["check-config", "--config", file]);
    let ran = run(command.env("VOICEPOST__PURGE__TTL_SECONDS", "60"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let origin = |key: &str| {
        let line = ran.out.lines().find(|line| line.starts_with(&format!("{key} = ")));
        let (value, layer) = line.expect(key).split_once('#').expect("a layer");
        (value.trim().to_owned(), layer.trim().to_owned())
    };
    assert_eq!(origin("workers"), ("workers = 2".to_owned(), format!("file {file}")));
    assert_eq!(origin("ttl_seconds"), ("ttl_seconds = 60".to_owned(), "environment".to_owned()));
    assert_eq!(
        origin("url"),
        ("url = \"sqlite:data/voicepost.db\"".to_owned(), "default".to_owned())
    );
    assert!(ran.out.contains("[genesys.media_api]\n"), "{}", ran.out);
    assert!(ran.out.contains("# GENESYS_CLIENT_SECRET: not set"), "{}", ran.out);
    assert!(ran.out.contains("# warning: serve would not start: no route is set"), "{}", ran.out);
}

/// What it prints is itself a settings file that says the same.
#[test]
fn check_config_reads_what_it_prints() {
    let first = run(&mut voicepost(&["check-config"]));
    let (_dir, file) = scratch("printed.toml", first.out.as_bytes());
    let again = run(&mut voicepost(&["check-config", "--config", file.to_str().unwrap()]));
    assert_eq!(again.code, Some(0), "{}", again.err);
    let values = |text: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(" # "));
        lines.map(|(value, _)| value.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&first.out), values(&again.out));
    assert!(values(&first.out).len() > 40);
}

#[test]
fn check_config_never_shows_a_secret() {
    for json in [&["check-config"][..], &["check-config", "--json"]] {
        let mut command = voicepost(json);
        command.env("GENESYS_CLIENT_ID", "me").env("GENESYS_CLIENT_SECRET", "hunter2");
        let ran = run(&mut command);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.out.contains("GENESYS_CLIENT_SECRET"), "{}", ran.out);
        assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"));
    }
}

#[test]
fn check_config_speaks_json() {
    let mut command = voicepost(&["check-config", "--json"]);
    command.env("GENESYS_CLIENT_ID", "me").env("VOICEPOST__PURGE__DELAY_SECONDS_MIN", "5");
    let ran = run(&mut command);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let setting = &report["settings"]["purge.delay_seconds_min"];
    assert_eq!(setting, &json!({ "value": 5, "layer": "environment" }));
    assert_eq!(report["credentials"]["GENESYS_CLIENT_ID"]["state"], "set");
    assert_eq!(report["credentials"]["GENESYS_CLIENT_SECRET"]["state"], "not set");
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("purge.delay_seconds_min is 5, below 30"), "{warning}");
}

#[test]
fn check_config_refuses_with_code_1() {
    let mut command = voicepost(&["check-config"]);
    command.env("VOICEPOST__SERVER__LISTEN", "0.0.0.0:80").env("VOICEPOST__PURGE__CALLS_MAX", "0");
    let ran = run(&mut command);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ran.err);
    assert!(lines.iter().all(|line| line.starts_with("error: ")), "{}", ran.err);
    assert!(
        ran.err.contains("loopback") && ran.err.contains("purge.calls_max is 0"),
        "{}",
        ran.err
    );
}

/// A gateway that answers one request with `answer`, and hands the request back.
fn gateway(answer: String) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a sender");
        let request = read_request(&mut stream);
        stream.write_all(answer.as_bytes()).expect("a sender that reads");
        request
    });
    (address, served)
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).expect("a sender that sends");
        assert!(count > 0, "the sender hung up in the middle of its request");
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let (_, rest) = head.split_once("content-length: ").expect("a length");
        let length: usize = rest.lines().next().unwrap_or_default().parse().expect("a number");
        if body.len() >= length {
            return text.into_owned();
        }
    }
}

fn answer(status: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn send(address: SocketAddr, more: &[&str]) -> Ran {
    let (_dir, clip) = scratch("a \"clip\".ogg", b"OggS and so on");
    let (to, clip) = (format!("http://{address}/"), clip.to_str().unwrap_or_default().to_owned());
    let arguments = ["send", &clip, "--to", &to, "--conversation", "c-1", "--sender", "s-1"];
    run(&mut voicepost(&[&arguments[..], more].concat()))
}

#[test]
fn send_brings_every_part_and_shows_the_receipt() {
    let receipt = json!({
        "id": "0190", "status": "sent", "message_id": "m-1", "conversation_id": "c-1",
        "media": {
            "media_type": "audio/ogg", "codec": "opus", "duration_ms": 4980, "bytes": 20310,
        },
        "transcript": { "text": "secret words", "source": "sender" },
        "delivery": { "possible_duplicate": false, "next_attempt_at": null },
        "purge": { "due_at": "2030-01-01T00:00:00Z", "state": "scheduled" },
    });
    let (address, served) = gateway(answer("201 Created", "location: /v1/x\r\n", &receipt));
    let options = ["--transcript", "Hallo", "--language", "de", "--key", "k-1", "--wait", "3"];
    let ran = send(address, &options);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(
        ran.out,
        "sent: voice message 0190\n\
         \x20 conversation  c-1, as message m-1\n\
         \x20 audio         audio/ogg (opus), 4.98 s, 20310 bytes\n\
         \x20 transcript    sender\n\
         \x20 purge         scheduled, due at 2030-01-01T00:00:00Z\n\
         \x20 receipt       /v1/x\n"
    );
    let request = served.join().unwrap();
    for part in [
        "POST /v1/voice-messages HTTP/1.1\r\n",
        "idempotency-key: k-1\r\n",
        "prefer: wait=3\r\n",
        "name=\"conversation_id\"\r\n\r\nc-1\r\n",
        "name=\"sender_id\"\r\n\r\ns-1\r\n",
        "name=\"transcript\"\r\n\r\nHallo\r\n",
        "name=\"language\"\r\n\r\nde\r\n",
        "name=\"file\"; filename=\"a %22clip%22.ogg\"\r\n",
        "\r\n\r\nOggS and so on\r\n--",
    ] {
        assert!(request.contains(part), "no {part:?} in {request}");
    }
}

#[test]
fn send_need_not_wait_and_can_show_the_answer_as_it_came() {
    let body = json!({ "id": "0190", "status": "accepted" });
    let (address, served) = gateway(answer("202 Accepted", "", &body));
    let ran = send(address, &["--async", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), body);
    assert!(served.join().unwrap().contains("prefer: respond-async\r\n"));
}

#[test]
fn a_refused_clip_ends_send_with_code_1() {
    let problem = json!({ "code": "audio-too-long", "detail": "Audio duration 61.00s" });
    let (address, _served) = gateway(answer("422 Unprocessable Content", "", &problem));
    let ran = send(address, &[]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(1), "refused: audio-too-long: Audio duration 61.00s\n")
    );

    let (address, _served) = gateway(answer("502 Bad Gateway", "", &json!("<html>")));
    let ran = send(address, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.starts_with("refused: HTTP 502"), "{}", ran.out);
}

#[test]
fn a_gateway_that_is_not_there_ends_send_with_code_2() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ran = send(address, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains(&address.to_string()), "{}", ran.err);
    assert!(ran.err.contains("Nothing was sent"), "{}", ran.err);
}

#[test]
fn a_gateway_that_hangs_up_ends_send_with_code_2() {
    // Before the answer, in the middle of its body, and with a key of the sender's own.
    let half = "HTTP/1.1 201 Created\r\ncontent-length: 500\r\n\r\n{".to_owned();
    for (answer, own) in [(String::new(), None), (half, None), (String::new(), Some("k-1"))] {
        let (address, served) = gateway(answer);
        let options: Vec<&str> = own.iter().flat_map(|key| ["--key", key]).collect();
        let ran = send(address, &options);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains("may have been taken"), "{}", ran.err);
        let (_, key) = ran.err.split_once("again with --key ").expect("what to do");
        let (key, _) = key.split_once(':').expect("why");
        assert!(own.is_none_or(|own| own == key), "{key}");
        assert!(served.join().unwrap().contains(&format!("idempotency-key: {key}\r\n")));
    }
}

#[test]
fn send_names_a_file_that_cannot_be_read() {
    let arguments = ["send", "/nonexistent.ogg", "--conversation", "c", "--sender", "s"];
    let ran = run(&mut voicepost(&arguments));
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("/nonexistent.ogg: No such file"), "{}", ran.err);
}

#[test]
fn inspect_says_of_every_labelled_clip_what_its_label_says() {
    let labels = crate::audio::labels();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audio/");
    let files: Vec<String> = labels.iter().map(|label| format!("{folder}{}", label.file)).collect();
    let arguments: Vec<&str> =
        std::iter::once("inspect").chain(files.iter().map(String::as_str)).collect();
    let ran = run(&mut voicepost(&arguments));
    assert_eq!(ran.code, Some(1), "some of them are rejected");
    let lines: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), labels.len());
    for ((line, label), file) in lines.iter().zip(&labels).zip(&files) {
        assert_eq!(line["file"], *file);
        assert_eq!(line["bytes"], std::fs::metadata(file).unwrap().len(), "{file}");
        if ["accept", "convert"].contains(&label.verdict()) {
            assert_eq!(
                (&line["verdict"], &line["code"]),
                (&json!(label.verdict()), &Value::Null),
                "{file}"
            );
            assert!(line["duration_ms"].as_u64() >= Some(100), "{file}");
        } else {
            assert_eq!(line["verdict"], "reject", "{file}");
            assert_eq!(line["code"], label.verdict(), "{file}");
            assert!(line["detail"].is_string() && line["container"].is_null(), "{file}");
        }
    }
}

#[test]
fn inspect_prints_exactly_the_agreed_fields() {
    let ogg = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audio/hello.ogg");
    let ran = run(&mut voicepost(&["inspect", ogg]));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let bytes = std::fs::metadata(ogg).unwrap().len();
    let name = json!(ogg);
    let start = format!(
        "{{\"file\":{name},\"verdict\":\"accept\",\"code\":null,\"container\":\"ogg\",\
         \"codec\":\"opus\",\"media_type\":\"audio/ogg\",\"duration_ms\":"
    );
    let end = format!("\"channels\":1,\"bytes\":{bytes},\"notes\":[]}}\n");
    assert!(ran.out.starts_with(&start) && ran.out.ends_with(&end), "{}", ran.out);
    assert!(ran.out.contains(",\"sample_rate_hz\":"), "{}", ran.out);
}

#[test]
fn inspect_goes_on_after_a_file_that_cannot_be_read() {
    let ogg = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audio/hello.ogg");
    let ran = run(&mut voicepost(&["inspect", "/nonexistent.mp3", ogg]));
    assert_eq!((ran.code, ran.out.lines().count()), (Some(1), 1));
    assert!(ran.err.contains("cannot read /nonexistent.mp3: No such file"), "{}", ran.err);
}

#[test]
fn inspect_keeps_to_the_limits_that_are_set() {
    let ogg = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audio/hello.ogg");
    let mut command = voicepost(&["inspect", ogg]);
    let ran = run(command.env("VOICEPOST__LIMITS__DURATION_MS_MAX", "2000"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("\"code\":\"audio-too-long\""), "{}", ran.out);
}
