//! `GET /voicepost.js` as browsers fetch it.

use std::io::{Read, Write};

use crate::support::{Request, TestGateway};

/// An answer's head in lower case, and its body. Read to the end of the connection: a 304 has no
/// length.
fn fetch(gateway: &TestGateway, headers: &[(&str, &str)]) -> (String, Vec<u8>) {
    let mut request = Request::new("GET", "/voicepost.js");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut stream = gateway.public.connect();
    stream.write_all(&request.to_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end + 4..].to_vec())
}

fn tag(head: &str) -> &str {
    head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an etag")
}

#[test]
fn the_recorder_goes_out_as_the_browser_takes_it() {
    let gateway = TestGateway::start();
    let (head, script) = fetch(&gateway, &[]);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    for line in [
        "content-type: text/javascript; charset=utf-8",
        "vary: accept-encoding",
        "cache-control: public, max-age=300",
        "x-content-type-options: nosniff",
        "access-control-allow-origin: *",
        "cross-origin-resource-policy: cross-origin",
    ] {
        assert!(head.lines().any(|one| one == line), "{line} is not in {head}");
    }
    assert!(!head.contains("content-encoding"), "{head}");
    let text = String::from_utf8(script).expect("the script is UTF-8");
    assert!(text.contains("voice-message"), "the script defines the element");

    let (zipped_head, zipped) = fetch(&gateway, &[("Accept-Encoding", "gzip, br")]);
    assert!(zipped_head.contains("content-encoding: gzip"), "{zipped_head}");
    assert!(zipped.starts_with(&[0x1f, 0x8b]), "gzip's magic number");
    assert!(zipped.len() < 20_000, "{} bytes gzipped", zipped.len());
    assert_ne!(tag(&head), tag(&zipped_head), "two forms, two strong tags");
}

#[test]
fn a_browser_that_has_the_recorder_is_told_so() {
    let gateway = TestGateway::start();
    for accepted in ["identity", "gzip"] {
        let (head, _) = fetch(&gateway, &[("Accept-Encoding", accepted)]);
        let tag = tag(&head).to_owned();
        let again = [("Accept-Encoding", accepted), ("If-None-Match", tag.as_str())];
        let (head, body) = fetch(&gateway, &again);
        assert!(head.starts_with("http/1.1 304"), "{head}");
        assert!(head.contains(&tag), "{head}");
        assert!(body.is_empty());
        let (head, body) = fetch(&gateway, &[("If-None-Match", "\"another\"")]);
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(!body.is_empty());
    }
}
