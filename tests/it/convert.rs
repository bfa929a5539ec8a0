//! What browsers record is delivered as something that plays the same, and as long.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use voicepost::audio::{self, Converted};
use voicepost::domain::{ClipRefusal, Code, Codec, Conversion, Deliverable, Media};

use crate::audio::{LIMITS, labels};
use crate::support::{Form, TestGateway};

const OPUS: Conversion = Conversion::OggOpus { bits_per_second: 28_000 };

/// Recordings and containers that are labelled `convert`, with the codec in them.
pub(crate) fn sources() -> Vec<(String, Codec)> {
    let labels = labels();
    let mut sources = Vec::new();
    for folder in ["containers", "recorded"] {
        for entry in std::fs::read_dir(path(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let file = format!("{folder}/{name}");
            let label = labels.iter().find(|label| label.file == file);
            if label.is_none_or(|label| label.verdict() != "convert") {
                continue;
            }
            let codec = match name.rsplit_once('.').unwrap() {
                (_, "flac") => Codec::Flac,
                (stem, "webm" | "mkv" | "mp4" | "m4a") => {
                    let is_aac =
                        stem.contains("aac") || ["webkit-default", "webkit-59s"].contains(&stem);
                    if is_aac { Codec::Aac } else { Codec::Opus }
                }
                _ => continue,
            };
            sources.push((file, codec));
        }
    }
    assert!(sources.len() > 25, "{}", sources.len());
    sources.sort_by(|a, b| a.0.cmp(&b.0));
    sources
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio").join(file)
}

pub(crate) fn source(file: &str) -> Vec<u8> {
    std::fs::read(path(file)).unwrap()
}

/// The gate alone.
pub(crate) fn gated(clip: &[u8]) -> Result<Media, ClipRefusal> {
    let mut gate = audio::Gate::new(LIMITS);
    gate.feed(clip)?;
    gate.finish()
}

fn converted(clip: &[u8], conversion: Conversion) -> Converted {
    audio::convert(clip, &gated(clip).unwrap(), conversion, &LIMITS).unwrap()
}

/// WebKit's last description comes twice, and ffmpeg loses the last fragment over it.
fn ffmpeg_is_lost(file: &str) -> bool {
    file.contains("webkit") && !file.contains("webkit-default")
}

/// 16-bit samples of one channel at 48 kHz, as ffmpeg decodes them; `None` where there is none.
fn decoded(file: &Path) -> Option<Vec<u8>> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:a:0", "-f", "s16le", "-ac", "1", "-ar", "48000", "-"])
        .stderr(Stdio::null())
        .output();
    match output {
        Ok(output) => Some(output.stdout),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: ffmpeg is not installed");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn milliseconds(pcm: &[u8]) -> u32 {
    (pcm.len() / 2 / 48) as u32
}

#[test]
fn opus_is_moved_into_ogg_to_the_last_sample() {
    let folder = tempfile::tempdir().unwrap();
    for (file, _) in sources().iter().filter(|(_, codec)| *codec == Codec::Opus) {
        let out = converted(&source(file), OPUS);
        assert_eq!(out.media.container, Deliverable::Ogg, "{file}");
        assert_eq!((out.media.codec, &out.media.notes[..]), (Codec::Opus, &[][..]), "{file}");
        assert!(out.converted_from.ends_with(";codecs=opus"), "{}", out.converted_from);
        let judged = audio::judge(&out.clip, &LIMITS).unwrap().deliverable().unwrap();
        assert_eq!(judged, out.media, "{file}");
        let ogg = folder.path().join("out.ogg");
        std::fs::write(&ogg, &out.clip).unwrap();
        let (Some(before), Some(after)) = (decoded(&path(file)), decoded(&ogg)) else { return };
        let ms = milliseconds(&after);
        assert!(ms.abs_diff(out.media.duration_ms) <= 1, "{file}: {ms} ms, {:?}", out.media);
        if !ffmpeg_is_lost(file) {
            assert!(before == after, "{file}: {} and {} bytes", before.len(), after.len());
        }
    }
}

#[test]
fn the_rest_becomes_speech_of_the_same_length() {
    let folder = tempfile::tempdir().unwrap();
    for (file, codec) in sources().iter().filter(|(_, codec)| *codec != Codec::Opus) {
        let clip = source(file);
        let proven = audio::judge(&clip, &LIMITS).unwrap();
        assert_eq!(proven.codec, *codec, "{file}");
        for (conversion, name) in [(OPUS, "out.ogg"), (Conversion::Wav, "out.wav")] {
            let out = converted(&clip, conversion);
            let ms = out.media.duration_ms;
            assert!(ms.abs_diff(proven.duration_ms) <= 1, "{file}: {ms} ms, {proven:?}");
            let bits = 8_000 * out.clip.len() as u64 / u64::from(ms);
            let rates = if name == "out.wav" { 255_000..262_000 } else { 15_000..34_000 };
            assert!(rates.contains(&bits), "{file} {name}: {bits} bit/s");
            let target = folder.path().join(name);
            std::fs::write(&target, &out.clip).unwrap();
            let (Some(before), Some(after)) = (decoded(&path(file)), decoded(&target)) else {
                return;
            };
            assert!(milliseconds(&after).abs_diff(ms) <= 1, "{file} {name}");
            if !ffmpeg_is_lost(file) {
                let before_ms = milliseconds(&before);
                // The edit list ends within a packet, which ffmpeg plays to its end: 32 ms at most.
                assert!(before_ms.abs_diff(ms) <= 32, "{file}: {before_ms} and {ms} ms");
                assert!(likeness(&before, &after) > 0.9, "{file} {name} sounds otherwise");
            }
        }
    }
}

/// How well the loudness of two clips goes together, in pieces of 20 ms: 1 is the same shape.
fn likeness(a: &[u8], b: &[u8]) -> f64 {
    let shape = |pcm: &[u8]| -> Vec<f64> {
        let loud = |piece: &[u8]| -> f64 {
            let samples = piece.as_chunks::<2>().0.iter();
            samples.map(|sample| f64::from(i16::from_le_bytes(*sample)).abs()).sum()
        };
        pcm.chunks_exact(2 * 960).map(loud).collect()
    };
    let (a, b) = (shape(a), shape(b));
    let mean = |shape: &[f64]| shape.iter().sum::<f64>() / shape.len() as f64;
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    let own = product(&a, mean_a, &a, mean_a) * product(&b, mean_b, &b, mean_b);
    product(&a, mean_a, &b, mean_b) / own.sqrt()
}

#[test]
fn a_muted_microphone_is_told_and_everything_else_is_audible() {
    let muted = ["recorded/chromium-muted.webm", "recorded/firefox-muted.ogg"];
    let mut files: Vec<String> = sources().into_iter().map(|(file, _)| file).collect();
    files.extend(
        [
            "hello.mp3",
            "hello.ogg",
            "hello.vorbis.ogg",
            "hello.wav",
            "adpcm-ima.wav",
            "adpcm-ms.wav",
            "alaw.wav",
            "mulaw.wav",
            "float.wav",
            "extensible-24-bit.wav",
            "chained.ogg",
            "rf64.wav",
            "piped.wav",
            "recorded/firefox-muted.ogg",
        ]
        .map(str::to_owned),
    );
    for file in files {
        let clip = source(&file);
        let media = gated(&clip).unwrap();
        let waveform = match media.clone().deliverable() {
            Some(media) => audio::waveform(&clip, &media),
            None => {
                let out = converted(&clip, OPUS);
                audio::waveform(&out.clip, &out.media)
            }
        };
        let waveform = waveform.unwrap_or_else(|| panic!("{file} is not drawn"));
        assert_eq!(waveform.silent, muted.contains(&file.as_str()), "{file}: {waveform:?}");
        assert_eq!(waveform.peaks.len(), 64, "{file}");
    }
}

/// Six channels are four streams in each packet, and all of them are looked at.
#[test]
fn opus_of_many_channels_is_drawn_too() {
    let out = converted(&source("containers/opus-six-channels.webm"), OPUS);
    assert_eq!(out.media.channels, 6);
    let drawn = audio::waveform(&out.clip, &out.media).unwrap();
    assert!(!drawn.silent && drawn.peaks.iter().any(|peak| *peak > 50), "{drawn:?}");
    let clip = source("encoders/opusenc-six-channels.ogg");
    let media = gated(&clip).unwrap().deliverable().unwrap();
    assert!(!audio::waveform(&clip, &media).unwrap().silent);
}

#[test]
fn every_format_of_one_speech_looks_the_same() {
    let look = |file: &str| {
        let clip = source(file);
        let media = gated(&clip).unwrap().deliverable().unwrap();
        audio::waveform(&clip, &media).unwrap().peaks
    };
    let wanted = look("hello.wav");
    // Coders delay, so that a part's peak may lie in the part beside it; beyond that, what is off.
    let off = |peaks: &[u8]| -> u32 {
        let parts = 1..peaks.len() - 1;
        let beyond = parts.map(|part| {
            let near = &wanted[part - 1..=part + 1];
            let (low, high) = (near.iter().min().unwrap(), near.iter().max().unwrap());
            u32::from(peaks[part].saturating_sub(*high).max(low.saturating_sub(peaks[part])))
        });
        beyond.sum()
    };
    // Two of 255 in each part, on average. MP3 is off by 46 in all; the most, 95, is ADPCM with its
    // four bits a sample and a last block that is filled up.
    let off_max = 2 * 62;
    for file in ["hello.mp3", "hello.ogg", "hello.vorbis.ogg", "alaw.wav", "adpcm-ms.wav"] {
        let mut peaks = look(file);
        assert!(off(&peaks) <= off_max, "{file}: {peaks:?} and {wanted:?}");
        assert!(peaks.iter().any(|peak| *peak > 100), "{file}: {peaks:?}");
        peaks.reverse();
        assert!(off(&peaks) > 4 * off_max, "{file} backwards: {}", off(&peaks));
    }
}

#[test]
fn nothing_of_what_is_said_beside_the_audio_is_carried_over() {
    for (file, _) in sources() {
        let out = converted(&source(&file), OPUS).clip;
        let names = [&b"Lavf"[..], b"Lavc", b"Chrome", b"Mozilla", b"GStreamer", b"libopus"];
        for name in names {
            assert!(!out.windows(name.len()).any(|window| window == name), "{file}");
        }
    }
}

#[test]
fn nothing_too_long_is_converted() {
    for file in ["chromium-62s.webm", "chromium-62s.mp4", "webkit-62s.mp4"] {
        let clip = source(&format!("recorded/{file}"));
        let mut gate = audio::Gate::new(LIMITS);
        let at = clip.chunks(256).position(|piece| gate.feed(piece).is_err()).unwrap() * 256;
        assert!(at < clip.len() - 512, "{file}: refused before its end");
        assert_eq!(gated(&clip).unwrap_err().code(), Code::AudioTooLong, "{file}");
    }
    for file in ["chromium-59s.webm", "webkit-59s.mp4", "firefox-60s.webm"] {
        let media = audio::judge(&source(&format!("recorded/{file}")), &LIMITS).unwrap();
        assert!((58_900..=60_500).contains(&media.duration_ms), "{file}: {media:?}");
    }
}

#[test]
fn recordings_of_browsers_arrive_as_something_genesys_takes() {
    let gateway = TestGateway::start();
    for (file, from) in [
        ("chromium-default.webm", "audio/webm;codecs=opus"),
        ("chromium-opus.mp4", "audio/mp4;codecs=opus"),
        ("firefox-opus.webm", "audio/webm;codecs=opus"),
        ("webkit-default.mp4", "audio/mp4;codecs=mp4a.40.2"),
    ] {
        let clip = source(&format!("recorded/{file}"));
        let form = Form::sample().without("file").file(file, clip.clone());
        let receipt = gateway.send(&form).receipt(201);
        let media = &receipt["media"];
        assert_eq!(media["converted_from"], from, "{file}");
        assert_eq!((&media["media_type"], &media["codec"]), (&"audio/ogg".into(), &"opus".into()));
        let wanted = audio::judge(&clip, &LIMITS).unwrap().duration_ms;
        assert!(media["duration_ms"].as_u64().unwrap().abs_diff(u64::from(wanted)) <= 1);
        let uploads = gateway.at_genesys(|sandbox| sandbox.account().uploads().to_vec());
        let upload = uploads.last().unwrap();
        let stem = file.split_once('.').unwrap().0;
        assert_eq!(upload.file_name, format!("{stem}.ogg"));
        assert_eq!(upload.media_type, "audio/ogg");
        assert_eq!(media["sha256"], Value::from(upload.sha256.clone()));
        assert_eq!(media["bytes"], upload.bytes as u64);
    }
}

#[test]
fn the_same_recording_with_the_same_key_is_the_same_message() {
    let gateway = TestGateway::start();
    let clip = source("recorded/firefox-opus.webm");
    let form = Form::sample().without("file").file("a.webm", clip.clone());
    let form = form.header("Idempotency-Key", "k1");
    let first = gateway.send(&form).receipt(201);
    assert_eq!(gateway.send(&form).receipt(201)["id"], first["id"]);
    // What it is converted to is another clip to the key.
    let ogg = audio::convert(&clip, &gated(&clip).unwrap(), OPUS, &LIMITS).unwrap().clip;
    let other = Form::sample().without("file").file("a.ogg", ogg);
    gateway.send(&other.header("Idempotency-Key", "k1")).problem(422, "idempotency-mismatch");
}

#[test]
fn conversion_can_be_off_or_to_wav() {
    let off = TestGateway::builder()
        .settings(|settings| settings.audio.convert = voicepost::settings::Convert::Off)
        .start();
    let recording = |file: &str| {
        let clip = source(&format!("recorded/{file}"));
        Form::sample().without("file").file(file, clip)
    };
    let detail =
        off.send(&recording("chromium-default.webm")).problem(415, "unsupported-audio-format");
    assert!(detail.starts_with("Unsupported audio format: audio/webm."), "{detail}");
    let wav = TestGateway::builder()
        .settings(|settings| settings.audio.convert = voicepost::settings::Convert::Wav)
        .start();
    let receipt = wav.send(&recording("webkit-default.mp4")).receipt(201);
    assert_eq!((&receipt["media"]["media_type"]), &Value::from("audio/wav"));
    assert_eq!((&receipt["media"]["duration_ms"]), &Value::from(1_997));
    let receipt = wav.send(&recording("chromium-default.webm")).receipt(201);
    assert_eq!((&receipt["media"]["media_type"]), &Value::from("audio/ogg"));
}
