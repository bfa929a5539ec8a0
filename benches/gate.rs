//! What does a verdict cost? For each format a clip of five seconds and one of sixty: the gate fed
//! whole and in pieces of 16 KiB, the second look (where it has to be converted: decoding all of
//! it), and beside them a plain walk over the packets with symphonia's own readers, and a process
//! of ffprobe, where that is installed.
//!
//! `cargo bench --bench gate`; with `--test` each is run once.

#[path = "../tests/it/ogg_writer.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod ogg_writer;

use std::fs;
use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use symphonia::core::formats::FormatReader;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;
use symphonia_format_isomp4::IsoMp4Reader;
use symphonia_format_mkv::MkvReader;
use voicepost::audio::{Gate, inspect, prove};
use voicepost::domain::{AudioLimits, ClipRefusal, Container, Media};

/// The ID3v2 tag in front of `hello.mp3`.
const MP3_TAG_BYTES: usize = 45;

/// Wide enough for clips put together from repeated ones, and for recordings of 62 s.
const LIMITS: AudioLimits = AudioLimits {
    duration_ms_max: 65_000,
    duration_ms_grace: 0,
    duration_ms_min: 100,
    bytes_max: 12 * 1024 * 1024,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { 300 };
    println!(
        "{:<18}{:>9}{:>10}{:>10}{:>8}{:>10}{:>10}{:>12}{:>11}{:>11}",
        "clip",
        "bytes",
        "gate",
        "median",
        "GB/s",
        "16 KiB",
        "inspect",
        "median",
        "symphonia",
        "ffprobe"
    );
    for (name, clip) in clips()? {
        let media = gate(&clip, clip.len())?;
        let whole = measure(rounds, || gate(&clip, clip.len()).is_ok());
        let pieces = measure(rounds, || gate(&clip, 16 * 1024).is_ok());
        let is_deliverable = media.container.deliverable().is_some();
        let second_look = || match is_deliverable {
            true => inspect(&clip, &media).is_ok(),
            false => prove(&clip, &media, &LIMITS).is_ok(),
        };
        let inspected = measure(if is_deliverable { rounds } else { rounds.min(30) }, second_look);
        let walk = || symphonia_walk(&clip, media.container);
        let walked = if walk().is_some() {
            let walked = measure(rounds.min(50), || walk().is_some());
            format!("{:.1} µs", micros(walked.least))
        } else {
            "refused".into()
        };
        let probed = ffprobe(&clip, rounds.min(5))?;
        println!(
            "{:<18}{:>9}{:>7.1} µs{:>7.1} µs{:>8.1}{:>7.1} µs{:>7.1} µs{:>9.1} µs{:>11}{:>11}",
            format!("{name} {:.1} s", f64::from(media.duration_ms) / 1e3),
            clip.len(),
            micros(whole.least),
            micros(whole.median),
            clip.len() as f64 / whole.least.as_secs_f64() / 1e9,
            micros(pieces.least),
            micros(inspected.least),
            micros(inspected.median),
            walked,
            probed.map_or("-".into(), |time| format!("{:.0} ms", micros(time) / 1e3)),
        );
    }
    Ok(())
}

fn clips() -> std::io::Result<Vec<(&'static str, Vec<u8>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio");
    let read = |file: &str| fs::read(folder.join(file));
    let (mp3, wav) = (read("hello.mp3")?, read("hello.wav")?);
    let (opus, vorbis) = (read("hello.ogg")?, read("hello.vorbis.ogg")?);
    let minute = |clip: &[u8]| clip.repeat(12);
    let (wav_header, samples) = wav.split_at(78);
    let mut long_wav = wav_header.to_vec();
    long_wav[74..78].fill(0xFF);
    long_wav.extend(minute(samples));
    // Put together with their tags, and as one encoder would have written them.
    let (mp3_in_turn, long_mp3) = (minute(&mp3), minute(&mp3[MP3_TAG_BYTES..]));
    let long_opus = ogg_writer::repeated(&opus, 12);
    let long_vorbis = ogg_writer::repeated(&vorbis, 12);
    let recorded = |file: &str| read(&format!("recorded/{file}"));
    Ok(vec![
        ("mp3", mp3),
        ("wav", wav),
        ("opus", opus),
        ("vorbis", vorbis),
        ("webm", recorded("chromium-24k.webm")?),
        ("mp4 opus", recorded("chromium-opus.mp4")?),
        ("mp4 aac", recorded("webkit-aac-24k.mp4")?),
        ("mp3", long_mp3),
        ("mp3 put together", mp3_in_turn),
        ("wav", long_wav),
        ("opus", long_opus),
        ("vorbis", long_vorbis),
        ("webm", recorded("chromium-59s.webm")?),
        ("mp4 opus", recorded("chromium-62s.mp4")?),
        ("mp4 aac", recorded("webkit-59s.mp4")?),
    ])
}

fn gate(clip: &[u8], piece_bytes: usize) -> Result<Media, ClipRefusal> {
    let mut gate = Gate::new(LIMITS);
    for piece in clip.chunks(piece_bytes) {
        gate.feed(black_box(piece))?;
    }
    gate.finish()
}

/// Packets that symphonia's reader finds; `None` where that refuses the clip. The gateway is built
/// without the readers for WebM and MP4, so they are not found by probing.
fn symphonia_walk(clip: &[u8], container: Container) -> Option<usize> {
    let source = Box::new(Cursor::new(clip.to_vec()));
    let stream = MediaSourceStream::new(source, Default::default());
    let probe = symphonia::default::get_probe();
    let mut reader: Box<dyn FormatReader> = match container {
        Container::Webm => Box::new(MkvReader::try_new(stream, Default::default()).ok()?),
        Container::Mp4 => Box::new(IsoMp4Reader::try_new(stream, Default::default()).ok()?),
        _ => probe.probe(&Hint::new(), stream, Default::default(), Default::default()).ok()?,
    };
    let mut packets = 0;
    while let Ok(Some(_)) = reader.next_packet() {
        packets += 1;
    }
    Some(packets)
}

/// The shortest time that a process of ffprobe takes to tell the length of the clip; `None` where
/// it is not installed.
fn ffprobe(clip: &[u8], rounds: usize) -> std::io::Result<Option<Duration>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("clip");
    fs::write(&path, clip)?;
    let mut least = None;
    for _ in 0..rounds {
        let mut command = Command::new("ffprobe");
        command.args(["-v", "quiet", "-show_entries", "format=duration"]).arg(&path);
        let start = Instant::now();
        if command.output().is_err() {
            return Ok(None);
        }
        let time = start.elapsed();
        least = Some(least.map_or(time, |least: Duration| least.min(time)));
    }
    Ok(least)
}

struct Times {
    least: Duration,
    median: Duration,
}

fn measure(rounds: usize, run: impl Fn() -> bool) -> Times {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            assert!(black_box(run()));
            start.elapsed()
        })
        .collect();
    times.sort();
    Times { least: times[0], median: times[times.len() / 2] }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
