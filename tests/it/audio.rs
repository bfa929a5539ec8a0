//! The labelled clips of `tests/fixtures/audio/` get the verdict, the notes and the duration that
//! their manifest states, and hostile clips made here get theirs.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use voicepost::audio;
use voicepost::domain::{AudioLimits, ClipRefusal, Code, Media, Note};

pub(crate) const LIMITS: AudioLimits = AudioLimits {
    duration_ms_max: 60_000,
    duration_ms_grace: 500,
    duration_ms_min: 100,
    bytes_max: 12 * 1024 * 1024,
};

#[derive(Debug, Deserialize)]
pub(crate) struct Label {
    pub(crate) file: String,
    pub(crate) verdict: String,
    notes: Vec<Note>,
    /// What a full decode by ffmpeg plays.
    decoded_ms: u32,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio")
}

pub(crate) fn labels() -> Vec<Label> {
    let manifest = fs::read(folder().join("manifest.json")).unwrap();
    serde_json::from_slice(&manifest).unwrap()
}

pub(crate) fn clip(file: &str) -> Vec<u8> {
    fs::read(folder().join(file)).unwrap()
}

fn judge(clip: &[u8]) -> Result<Media, ClipRefusal> {
    audio::judge(clip, &LIMITS)
}

#[test]
fn every_labelled_clip_gets_its_verdict() {
    let labels = labels();
    assert!(labels.len() > 40);
    let mut wrong = Vec::new();
    for label in &labels {
        let (verdict, notes, duration_ms) = match judge(&clip(&label.file)) {
            Ok(media) => {
                let as_it_is = media.container.deliverable().is_some();
                let verdict = if as_it_is { "accept" } else { "convert" };
                (verdict, media.notes, media.duration_ms)
            }
            Err(refusal) => (refusal.code().as_str(), Vec::new(), label.decoded_ms),
        };
        if verdict != label.verdict
            || notes != label.notes
            || duration_ms.abs_diff(label.decoded_ms) > 50
        {
            wrong.push(format!(
                "{}: {verdict} {notes:?} {duration_ms} ms, wanted {label:?}",
                label.file
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_clip_is_labelled() {
    let labels = labels();
    for entry in fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        let is_clip = !matches!(name.as_str(), "manifest.json" | "README.md");
        assert!(!is_clip || labels.iter().any(|label| label.file == name), "{name}");
    }
}

#[test]
fn a_reader_is_read_no_further_than_the_refusal() {
    let hello = clip("hello.ogg");
    let read = audio::judge_reader(&mut hello.as_slice(), &LIMITS).unwrap();
    assert_eq!(read, judge(&hello));

    let long = clip("cbr-180s-header-2s.mp3");
    let mut reader = long.as_slice();
    let refusal = audio::judge_reader(&mut reader, &LIMITS).unwrap().unwrap_err();
    assert_eq!(refusal.code(), Code::AudioTooLong);
    assert!(reader.len() > 100_000, "two thirds of it were not read");

    let mut broken = io::repeat(0xFF).take(10).chain(Broken);
    assert!(audio::judge_reader(&mut broken, &LIMITS).is_err());
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}
