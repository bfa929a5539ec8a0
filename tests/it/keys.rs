//! `voicepost keys`, through the real program.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Form, TestGateway};

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn keys(file: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voicepost"));
    command.env_clear().env("VOICEPOST__AUTH__KEYS_FILE", file).arg("keys").args(arguments);
    let ran = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
    Ran { code: ran.status.code(), out: text(ran.stdout), err: text(ran.stderr) }
}

#[test]
fn a_key_is_shown_once_and_only_its_digest_is_kept() {
    let builder = TestGateway::builder();
    let file = builder.data().join("keys.json");
    let made = keys(&file, &["new", "--name", "shop", "--routes", "media-api", "--quota", "600"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let key = made.out.trim();
    // 256 bits, six a character.
    assert!(key.starts_with("vpk_") && key.len() == 4 + 43, "{key}");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(!kept.contains(&key[4..]) && !made.err.contains(&key[4..]));
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    assert!(kept.contains(&voicepost::domain::hex(digest.as_ref())));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = keys(&file, &["list"]);
    assert!(listed.out.contains("shop: media-api, 600 a minute, made "), "{}", listed.out);
    let path = file.to_str().unwrap().to_owned();
    let gateway = builder.settings(|s| s.auth.keys_file = Some(path)).start();
    let form = Form::sample().header("Authorization", &format!("Bearer {key}"));
    gateway.send(&form).receipt(201);
}

#[test]
fn keys_are_told_apart_and_revoked_by_id_or_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let first: Value =
        serde_json::from_str(&keys(&file, &["--json", "new", "--name", "a"]).out).unwrap();
    let second = keys(&file, &["new", "--name", "b"]);
    assert_ne!(first["key"], second.out.trim());
    let taken = keys(&file, &["new", "--name", "a"]);
    assert_eq!((taken.code, taken.out.as_str()), (Some(1), ""));
    assert!(taken.err.contains("named \"a\" already"), "{}", taken.err);
    assert_eq!(keys(&file, &["revoke", first["id"].as_str().unwrap()]).code, Some(0));
    assert_eq!(keys(&file, &["revoke", "b"]).code, Some(0));
    assert_eq!(keys(&file, &["revoke", "b"]).code, Some(1), "it is revoked already");
    // The name is free again, and the revoked ones stay in the list.
    assert_eq!(keys(&file, &["new", "--name", "a"]).code, Some(0));
    let listed: Value = serde_json::from_str(&keys(&file, &["list", "--json"]).out).unwrap();
    let states: Vec<(&str, bool)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["name"].as_str().unwrap(), key["revoked_at"].is_null()))
        .collect();
    assert_eq!(states, [("a", false), ("b", false), ("a", true)]);
}

#[test]
fn what_is_no_key_file_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, "{\"keys\": 1}").unwrap();
    let refused = keys(&file, &["new", "--name", "a"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
    assert!(refused.err.contains("is not sound"), "{}", refused.err);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"keys\": 1}");
    let unnamed = keys(Path::new(""), &["list"]);
    assert!(unnamed.err.contains("auth.keys_file"), "{}", unnamed.err);
    for name in ["", "a\nb", "x\u{e9}"] {
        assert_eq!(keys(&file, &["new", "--name", name]).code, Some(2));
    }
    assert_eq!(keys(&file, &["new", "--name", "a", "--quota", "0"]).code, Some(2));
}
