//! `voicepost inspect`: what the gateway would say to each file, by the same code and limits.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::Ended;
use crate::audio;
use crate::domain::{AudioLimits, ClipRefusal, Code, Codec, Container, Media, Note};
use crate::settings::Settings;

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The clips
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What the gateway would do with a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// Deliver it as it is.
    Accept,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Prints one JSON object a line for each file. Exit code 1 when one is rejected or cannot be read;
/// the latter is told on standard error.
///
/// # Errors
/// When the settings are unusable, or the output cannot be written.
pub fn run(config: Option<&Path>, args: &InspectArgs) -> Ended {
    let limits = Settings::load(config)?.limits.audio();
    let mut out = io::stdout().lock();
    let mut code = ExitCode::SUCCESS;
    for path in &args.files {
        let name = path.to_string_lossy();
        match judge(path, &limits) {
            Ok((bytes, verdict)) => {
                if verdict.is_err() {
                    code = ExitCode::FAILURE;
                }
                serde_json::to_writer(&mut out, &line(&name, bytes, verdict.as_ref()))?;
                writeln!(out)?;
            }
            Err(error) => {
                eprintln!("error: cannot read {name}: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// The size of the file, and the verdict on it.
fn judge(path: &Path, limits: &AudioLimits) -> io::Result<(u64, Result<Media, ClipRefusal>)> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok((bytes, audio::judge_reader(&mut file, limits)?))
}

fn line<'a>(file: &'a str, bytes: u64, verdict: Result<&'a Media, &ClipRefusal>) -> Line<'a> {
    let media = verdict.ok();
    let refusal = verdict.err();
    Line {
        file,
        verdict: if refusal.is_none() { Verdict::Accept } else { Verdict::Reject },
        code: refusal.map(ClipRefusal::code),
        container: media.map(|media| media.container),
        codec: media.map(|media| media.codec),
        media_type: media.map(|media| media.container.media_type()),
        duration_ms: media.map(|media| media.duration_ms),
        sample_rate_hz: media.map(|media| media.sample_rate_hz),
        channels: media.map(|media| media.channels),
        bytes: media.map_or(bytes, |media| media.bytes),
        notes: media.map_or(&[], |media| &media.notes),
        detail: refusal.map(ClipRefusal::to_string),
    }
}
