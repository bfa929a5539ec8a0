//! `mediaUrl` and `mediaId`: signed, expiring, opaque.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use voicepost::sandbox::{MediaIds, SandboxSettings};

use super::{CLIP, Client, message};

#[test]
fn a_media_url_plays_in_parts_and_only_with_its_signature() {
    let client = Client::start(SandboxSettings::default());
    let (_, media_url) = client.uploaded();
    let whole = client.get(&media_url, &[]);
    assert_eq!((whole.status, whole.body.as_slice()), (200, CLIP));
    assert_eq!(whole.header("content-type"), Some("audio/ogg"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let part = client.get(&media_url, &[("Range", "bytes=4-7")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &CLIP[4..8]));
    let stated = format!("bytes 4-7/{}", CLIP.len());
    assert_eq!(part.header("content-range"), Some(stated.as_str()));
    assert_eq!(client.get(&media_url, &[("Range", "bytes=999-")]).status, 416);
    let target = media_url.trim_start_matches(client.server.base_url());
    let head = client.send("HEAD", target, &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(CLIP.len().to_string().as_str()));
    let damaged = media_url.replace("signature=", "signature=0");
    assert_eq!(client.get(&damaged, &[]).status, 403);
    let later = media_url.replace("expires=", "expires=9");
    assert_eq!(client.get(&later, &[]).status, 403);
}

#[test]
fn a_media_url_expires_for_listeners_and_for_posts() {
    let settings = SandboxSettings { media_url_seconds: 1, ..SandboxSettings::default() };
    let client = Client::start(settings);
    let (media_id, media_url) = client.uploaded();
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(client.get(&media_url, &[]).status, 410);
    let answer = client.post(&message(&media_id, &media_url));
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["message"], "messages[0]: mediaUrl has expired");
}

#[test]
fn awkward_ids_work_only_when_encoded_as_one_segment() {
    let settings = SandboxSettings { media_ids: MediaIds::Awkward, ..SandboxSettings::default() };
    let client = Client::start(settings);
    let (media_id, media_url) = client.uploaded();
    assert!(media_id.contains('/') && media_id.contains('%') && media_id.contains('?'));
    assert_eq!(client.get(&media_url, &[]).body, CLIP);
    let delete = |segment: &str| {
        let target = format!("/api/v2/media/attachments/{segment}");
        client.call("DELETE", &target, &[], b"").status
    };
    let half_encoded = media_id.replace(' ', "%20").replace('#', "%23").replace('ü', "%C3%BC");
    assert_eq!(delete(&half_encoded), 404);
    let encoded = utf8_percent_encode(&media_id, NON_ALPHANUMERIC);
    assert_eq!(delete(&encoded.to_string()), 204);
}
