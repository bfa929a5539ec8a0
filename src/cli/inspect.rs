//! `voicepost inspect`: what the gateway would say to each file, by the same code and limits.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use clap::Args;
use serde::Serialize;

use super::Ended;
use crate::audio::{self, Gate};
use crate::domain::{ClipRefusal, Code, Codec, Container, Conversion, Media, Note, Waveform};
use crate::settings::Settings;

/// Results that a thread may have ready before they are printed.
const AHEAD_MAX: usize = 64;

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The clips
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Decode each clip for what it looks like, and draw that on standard error
    #[arg(long)]
    pub waveform: bool,
}

/// What the gateway would do with a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// Deliver it as it is.
    Accept,
    /// Deliver what it is converted to.
    Convert,
    /// Turn it away.
    Reject,
}

/// One line of output. Programs rely on these names.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    verdict: Verdict,
    code: Option<Code>,
    container: Option<Container>,
    codec: Option<Codec>,
    media_type: Option<&'static str>,
    duration_ms: Option<u32>,
    sample_rate_hz: Option<u32>,
    channels: Option<u16>,
    bytes: u64,
    notes: &'a [Note],
    /// With `--waveform` only: as in the receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    waveform: Option<&'a [u8]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Prints one JSON object a line for each file, in their order, and uses every core for it. Exit
/// code 1 when one is rejected or cannot be read; the latter is told on standard error.
///
/// # Errors
/// When the settings are unusable, or the output cannot be written.
pub fn run(config: Option<&Path>, args: &InspectArgs) -> Ended {
    let settings = Settings::load(config)?;
    let gate = || {
        let converts = settings.audio.conversion() != Conversion::Off;
        Gate::new(settings.limits.audio()).converting(converts)
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut code = ExitCode::SUCCESS;
    let work = |path: &PathBuf| judge(path, gate(), args.waveform);
    in_order(&args.files, work, |path, judged| {
        let name = path.to_string_lossy();
        match judged {
            Ok(judged) => {
                if judged.verdict.is_err() {
                    code = ExitCode::FAILURE;
                }
                serde_json::to_writer(&mut out, &line(&name, &judged))?;
                writeln!(out)?;
                if let Some(waveform) = &judged.waveform {
                    out.flush()?;
                    eprint!("{}", picture(waveform));
                }
            }
            Err(error) => {
                eprintln!("error: cannot read {name}: {error}");
                code = ExitCode::FAILURE;
            }
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(code)
}

/// Works on all items with a thread a core, and takes the results in the order of the items. The
/// threads are at most [`AHEAD_MAX`] results ahead of the slowest.
fn in_order<I: Sync, R: Send>(
    items: &[I],
    work: impl Fn(&I) -> R + Sync,
    mut take: impl FnMut(&I, R) -> io::Result<()>,
) -> io::Result<()> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    thread::scope(|scope| {
        let mut lines = Vec::new();
        for first in 0..threads {
            let (send, results) = mpsc::sync_channel(AHEAD_MAX);
            lines.push(results);
            let work = &work;
            scope.spawn(move || {
                for item in items.iter().skip(first).step_by(threads) {
                    // Nobody listens any more when the output broke.
                    if send.send(work(item)).is_err() {
                        return;
                    }
                }
            });
        }
        for (number, item) in items.iter().enumerate() {
            if let Ok(result) = lines[number % threads].recv() {
                take(item, result)?;
            }
        }
        Ok(())
    })
}

/// A file that could be read.
struct Judged {
    bytes: u64,
    verdict: Result<Media, ClipRefusal>,
    waveform: Option<Waveform>,
}

fn judge(path: &Path, gate: Gate, draw: bool) -> io::Result<Judged> {
    let limits = gate.limits();
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let verdict = audio::judge_through(gate, &mut file)?;
    let mut waveform = None;
    if let (Ok(media), true) = (&verdict, draw) {
        let clip = std::fs::read(path)?;
        waveform = match media.clone().deliverable() {
            Some(media) => audio::waveform(&clip, &media),
            None => audio::convert(&clip, media, Conversion::Wav, &limits)
                .ok()
                .and_then(|converted| audio::waveform(&converted.clip, &converted.media)),
        };
    }
    Ok(Judged { bytes, verdict, waveform })
}

fn line<'a>(file: &'a str, judged: &'a Judged) -> Line<'a> {
    let media = judged.verdict.as_ref().ok();
    let refusal = judged.verdict.as_ref().err();
    Line {
        file,
        verdict: match media {
            None => Verdict::Reject,
            Some(media) if media.container.deliverable().is_none() => Verdict::Convert,
            Some(_) => Verdict::Accept,
        },
        code: refusal.map(ClipRefusal::code),
        container: media.map(|media| media.container),
        codec: media.map(|media| media.codec),
        media_type: media.map(|media| media.container.media_type()),
        duration_ms: media.map(|media| media.duration_ms),
        sample_rate_hz: media.map(|media| media.sample_rate_hz),
        channels: media.map(|media| media.channels),
        bytes: media.map_or(judged.bytes, |media| media.bytes),
        notes: media.map_or(&[], |media| &media.notes),
        waveform: judged.waveform.as_ref().map(|drawn| &drawn.peaks[..]),
        silent: judged.waveform.as_ref().map(|drawn| drawn.silent),
        detail: refusal.map(ClipRefusal::to_string),
    }
}

/// Rows of the picture, each of eight steps.
const ROWS: u32 = 4;

/// The peaks as columns of blocks, quiet ones made visible by the square root.
fn picture(waveform: &Waveform) -> String {
    let steps = |peak: &u8| (f64::from(*peak) / 255.0).sqrt() * f64::from(8 * ROWS);
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        let filled = |peak| (steps(peak).ceil() as u32).saturating_sub(8 * row).min(8);
        let column = |peak| [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][filled(peak) as usize];
        text.extend(waveform.peaks.iter().map(column));
        text.push('\n');
    }
    text.push_str(if waveform.silent { "silent: nothing is to be heard\n" } else { "" });
    text
}
