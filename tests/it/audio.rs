//! The labelled clips of `tests/fixtures/audio/` get the verdict, the notes and the duration that
//! their manifest states, and hostile clips made here get theirs.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use symphonia::core::formats::TrackType;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;
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
    verdict: String,
    notes: Vec<Note>,
    /// What a full decode by ffmpeg plays.
    decoded_ms: u64,
    /// The true length where ffmpeg is no witness.
    played_ms: Option<u64>,
}

impl Label {
    /// The verdict the clip must get.
    pub(crate) fn verdict(&self) -> &str {
        &self.verdict
    }

    fn played_ms(&self) -> u64 {
        self.played_ms.unwrap_or(self.decoded_ms)
    }
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

/// Invariant 9.
#[test]
fn every_labelled_clip_gets_its_verdict() {
    let labels = labels();
    assert!(labels.len() > 450);
    let mut wrong = Vec::new();
    for label in &labels {
        let (verdict, notes, duration_ms) = match judge(&clip(&label.file)) {
            Ok(media) => {
                let as_it_is = media.container.deliverable().is_some();
                let verdict = if as_it_is { "accept" } else { "convert" };
                (verdict, media.notes, media.duration_ms.into())
            }
            Err(refusal) => (refusal.code().as_str(), Vec::new(), label.played_ms()),
        };
        if verdict != label.verdict()
            || notes != label.notes
            || duration_ms.abs_diff(label.played_ms()) > 50
        {
            wrong.push(format!(
                "{}: {verdict} {notes:?} {duration_ms} ms, wanted {label:?}",
                label.file
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What was written by hand is what the manifest holds.
#[test]
fn the_manifest_holds_the_verdicts_that_were_written() {
    let written = fs::read_to_string(folder().join("verdicts.txt")).unwrap();
    let lines = written.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let expected = labels().into_iter().map(|label| {
        let note = |note: &Note| serde_json::to_value(note).unwrap().as_str().unwrap().to_owned();
        let mut words = vec![label.file, label.verdict];
        words.extend(label.notes.iter().map(note));
        words.extend(label.played_ms.map(|ms| format!("played={ms}")));
        words.join(" ")
    });
    assert!(lines.eq(expected), "run scripts/label-clips");
}

/// What recorders are told and what the judge lets through is the same: every listed type is that
/// of a labelled clip that passes, and the type of every clip that passes is listed.
#[test]
fn the_types_that_recorders_are_told_are_those_that_pass() {
    for converts in [true, false] {
        let listed: BTreeSet<String> = audio::recorder_types(converts).collect();
        let mut passed = BTreeSet::new();
        for label in labels() {
            let Ok(media) = judge(&clip(&label.file)) else { continue };
            if converts || media.container.deliverable().is_some() {
                passed.insert(media.container.media_type().to_owned());
                passed.insert(media.container.type_with(Some(media.codec)));
            }
        }
        let untrue: Vec<_> = listed.difference(&passed).collect();
        assert!(untrue.is_empty(), "listed, but no clip of it passes: {untrue:?}");
        let types = passed.iter().filter(|passed| !passed.contains(';'));
        let untold: Vec<_> = types.filter(|passed| !listed.contains(*passed)).collect();
        assert!(untold.is_empty(), "passes, and is not listed: {untold:?}");
    }
}

/// What can be delivered can be drawn, cut off or not, junk in it or not.
#[test]
fn every_accepted_clip_is_drawn() {
    let labels = labels();
    let (accepted, threads) = (labels.iter().filter(|label| label.verdict() == "accept"), 4);
    let accepted: Vec<_> = accepted.collect();
    assert!(accepted.len() > 180, "{}", accepted.len());
    std::thread::scope(|scope| {
        for part in accepted.chunks(accepted.len().div_ceil(threads)) {
            scope.spawn(move || {
                for label in part {
                    let clip = clip(&label.file);
                    let media = judge(&clip).unwrap().deliverable().unwrap();
                    assert!(audio::waveform(&clip, &media).is_some(), "{}", label.file);
                }
            });
        }
    });
}

/// The labels themselves: nothing that plays longer than the limit is to be accepted, nothing
/// shorter is to be called too long.
#[test]
fn no_label_is_on_the_wrong_side_of_a_limit() {
    for label in labels() {
        let played_ms = label.played_ms();
        match label.verdict.as_str() {
            "accept" | "convert" => assert!((100..=60_500).contains(&played_ms), "{label:?}"),
            "audio-too-long" => assert!(played_ms > 60_500, "{label:?}"),
            "audio-too-short" => assert!(played_ms < 100, "{label:?}"),
            code => assert!(Code::ALL.iter().any(|known| known.as_str() == code), "{label:?}"),
        }
    }
}

#[test]
fn every_clip_is_labelled() {
    let labels = labels();
    let mut folders = vec![folder()];
    let mut bytes = 0;
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(here).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            bytes += entry.metadata().unwrap().len();
            let path = entry.path();
            let name = path.strip_prefix(folder()).unwrap().to_str().unwrap();
            let is_clip = !["README.md", "LICENSE", "manifest.json", "verdicts.txt"]
                .iter()
                .any(|other| name.ends_with(other));
            assert!(!is_clip || labels.iter().any(|label| label.file == name), "{name}");
        }
    }
    assert!(bytes < 10_000_000, "the clips have {bytes} bytes, and every clone has them");
}

/// What symphonia's reader adds up from packet to packet, less what the track says is to be cut
/// off, in milliseconds.
fn packet_walk_ms(clip: &[u8]) -> Option<u64> {
    let source = Box::new(io::Cursor::new(clip.to_vec()));
    let stream = MediaSourceStream::new(source, Default::default());
    let probe = symphonia::default::get_probe();
    let mut reader =
        probe.probe(&Hint::new(), stream, Default::default(), Default::default()).ok()?;
    let track = reader.default_track(TrackType::Audio)?;
    let time_base = track.time_base?;
    let cut = u64::from(track.delay.unwrap_or(0)) + u64::from(track.padding.unwrap_or(0));
    let mut played = 0;
    while let Ok(Some(packet)) = reader.next_packet() {
        played += packet.dur.get();
    }
    let seconds = time_base.calc_duration(played.saturating_sub(cut).into())?;
    Some(seconds.as_millis() as u64)
}

#[test]
fn the_gate_agrees_with_a_packet_walk_on_honest_clips() {
    let mut compared = 0;
    for label in labels() {
        let is_honest = label.verdict() == "accept" && label.notes.is_empty();
        if !is_honest || label.file.starts_with("hostile/") {
            continue;
        }
        let clip = clip(&label.file);
        let Some(walked_ms) = packet_walk_ms(&clip) else { continue };
        let gate_ms = u64::from(judge(&clip).unwrap().duration_ms);
        let apart_ms = gate_ms.abs_diff(walked_ms);
        assert!(apart_ms <= 100, "{}: gate {gate_ms} ms, walk {walked_ms} ms", label.file);
        compared += 1;
    }
    assert!(compared > 80, "only {compared} clips were compared");
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
