//! From bytes to a verdict: what a clip is, how long it plays, and why it is turned away.
//!
//! - `gate` judges the bytes as they arrive, in memory that does not grow with the clip
//! - `sniff` names a format from its first bytes; `mp3`, `wav`, `ogg` walk one format each
//! - `inspect` takes a bounded second look at a finished clip
//!
//! Duration is always what a player would play, found by counting frames and samples; what a
//! header claims is only compared with it. What is odd about a clip is judged by one policy in every
//! format:
//!
//! | oddity | verdict |
//! |---|---|
//! | not one byte | `audio-empty` |
//! | bytes in front of the magic | `unsupported-audio-format`, named after what stands there; only MP3 may have ID3v2 tags there, two at most and 1 MiB together |
//! | bytes between or behind that belong to no frame, chunk or page | searched for more audio, never played; up to 2 % of the clip accepted and noted `junk-bytes`, above `audio-corrupted`; tags that players know (ID3, APE, Lyrics3 in MP3, whole chunks in WAV) are no junk |
//! | the end is cut off | what is whole is played and noted `truncated`; not one whole frame, sample or packet of audio is `audio-corrupted` |
//! | a header that lies about the length | what is there counts, noted `header-duration-wrong` above a second; a size that cannot be known (0, all ones, about 2³¹) reaches to the end, noted `unknown-size` |
//! | granules that lie | the longer of their span and the packets; only the last may cut off, at most a second and at most its own page |
//! | two readings that players do not share (a second WAV data chunk, streams side by side, a wrong page checksum) | refused |
//! | shorter than the least, longer than the most | `audio-too-short`; `audio-too-long` at the byte that makes it certain |
//! | well-formed, but its packets do not decode | `audio-undecodable` |
//! Pure CPU work: nothing here waits, and nothing here
//! knows HTTP, actors or files.

mod bits;
mod gate;
mod inspect;
mod mp3;
mod mpeg;
mod ogg;
mod ogg_crc;
mod ogg_link;
mod ogg_packets;
mod opus;
mod playtime;
mod sniff;
mod vorbis;
mod vorbis_setup;
mod wav;
mod wav_format;
mod xing;

use std::io::{self, Read};

pub use gate::Gate;
pub use inspect::inspect;

use crate::domain::{AudioLimits, ClipRefusal, Media};

/// The whole verdict on a finished clip: the gate, then the second look.
pub fn judge(clip: &[u8], limits: &AudioLimits) -> Result<Media, ClipRefusal> {
    let mut gate = Gate::new(*limits);
    gate.feed(clip)?;
    let media = gate.finish()?;
    inspect(clip, &media)?;
    Ok(media)
}

/// [`judge`] for a clip that is read from somewhere. Stops reading at the refusal, so at most
/// `limits.bytes_max` plus one read buffer is ever taken.
///
/// The outer error is that of the reader.
pub fn judge_reader(
    clip: &mut impl Read,
    limits: &AudioLimits,
) -> io::Result<Result<Media, ClipRefusal>> {
    let mut gate = Gate::new(*limits);
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match clip.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Err(refusal) = gate.feed(&buffer[..count]) {
            return Ok(Err(refusal));
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
    Ok(gate.finish().and_then(|media| inspect(&bytes, &media).map(|()| media)))
}
