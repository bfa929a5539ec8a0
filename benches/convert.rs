//! What does a recording of a browser cost? For each kind one of about a second or five, and one of
//! a minute: the gate in pieces of 16 KiB, the conversion, and how long it takes for a minute of
//! audio; beside them a whole ffprobe process where that is installed.
//!
//! `cargo bench --bench convert`; with `--test` only the short ones, once.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use voicepost::audio::{Gate, convert, waveform};
use voicepost::domain::{AudioLimits, ClipRefusal, Conversion, Media};

const LIMITS: AudioLimits = AudioLimits {
    duration_ms_max: 60_000,
    duration_ms_grace: 500,
    duration_ms_min: 100,
    bytes_max: 12 * 1024 * 1024,
};

/// Clips of a few seconds have no more bytes than this.
const SHORT_BYTES_MAX: usize = 60_000;

const CLIPS: [&str; 9] = [
    "recorded/chromium-24k.webm",
    "recorded/chromium-59s.webm",
    "recorded/firefox-60s.webm",
    "recorded/chromium-opus.mp4",
    "recorded/webkit-opus.mp4",
    "recorded/webkit-aac-24k.mp4",
    "recorded/webkit-59s.mp4",
    "containers/aac-moov-last.m4a",
    "containers/stereo.flac",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let once = std::env::args().any(|argument| argument == "--test");
    let rounds = if once { 1 } else { 15 };
    println!(
        "{:<30}{:>8}{:>9}{:>11}{:>12}{:>12}{:>12}{:>12}{:>11}",
        "clip", "bytes", "seconds", "gate", "to Ogg", "a minute", "to WAV", "waveform", "ffprobe"
    );
    for file in CLIPS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio").join(file);
        let clip = fs::read(&path)?;
        if once && clip.len() > SHORT_BYTES_MAX {
            continue;
        }
        let media = gate(&clip)?;
        let ogg = Conversion::OggOpus { bits_per_second: 28_000 };
        let converted = convert(&clip, &media, ogg, &LIMITS)?;
        let seconds = f64::from(converted.media.duration_ms) / 1e3;
        let judged = least(rounds * 20, || gate(&clip).is_ok());
        let to_ogg = least(rounds, || convert(&clip, &media, ogg, &LIMITS).is_ok());
        let to_wav = least(rounds, || convert(&clip, &media, Conversion::Wav, &LIMITS).is_ok());
        let drawn = least(rounds, || waveform(&converted.clip, &converted.media).is_some());
        println!(
            "{:<30}{:>8}{:>9.1}{:>8.1} µs{:>9.2} ms{:>9.2} ms{:>9.2} ms{:>9.1} ms{:>11}",
            file,
            clip.len(),
            seconds,
            judged.as_secs_f64() * 1e6,
            millis(to_ogg),
            millis(to_ogg) * 60.0 / seconds,
            millis(to_wav),
            millis(drawn),
            ffprobe(&path, rounds.min(5)),
        );
    }
    Ok(())
}

fn gate(clip: &[u8]) -> Result<Media, ClipRefusal> {
    let mut gate = Gate::new(LIMITS);
    for piece in clip.chunks(16 * 1024) {
        gate.feed(black_box(piece))?;
    }
    gate.finish()
}

fn ffprobe(path: &PathBuf, rounds: usize) -> String {
    let run = || {
        let mut ffprobe = Command::new("ffprobe");
        ffprobe.args(["-v", "quiet", "-show_format"]).arg(path);
        ffprobe.stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !run() {
        return "not there".into();
    }
    format!("{:.0} ms", millis(least(rounds, run)))
}

fn least(rounds: usize, run: impl Fn() -> bool) -> Duration {
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        assert!(black_box(run()));
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
