//! From what browsers record to what Genesys takes.
//!
//! Opus in WebM or MP4 is moved into Ogg as it is. AAC and FLAC are decoded and become speech: Opus
//! again, or WAV. What comes out goes through the gate like any clip, and that verdict counts: no
//! header of the source decides how long it is. Nothing but the audio is carried over.
//!
//! CPU-bound, milliseconds to about half a second; knows no thread and no setting's name.

mod decode;
mod flac_speech;
mod ogg_writer;
mod remux;
mod resample;
mod speech;
mod speech_file;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::{
    AudioLimits, ClipRefusal, Codec, Container, Conversion, Deliverable, Media, Note,
};

use super::mp4::Mp4Walk;
use super::packets::PacketSink;
use super::playtime::{PlaytimeLimit, milliseconds};
use super::webm::WebmWalk;
use decode::AacSpeech;
use remux::Remux;
use speech::Speech;

/// A clip that may be delivered in place of the one that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The whole clip.
    pub clip: Vec<u8>,
    /// What it is. Its notes include those on the source.
    pub media: Media<Deliverable>,
    /// What the source was: its media type with its codec.
    pub converted_from: String,
}

/// Converts a clip that has passed the gate as `media`, which is not deliverable as it is.
///
/// Refuses what does not decode, what is too long or too short when all is decoded, and everything
/// when conversion is off. A crash inside a decoder is caught and refuses the clip.
pub fn convert(
    clip: &[u8],
    media: &Media,
    conversion: Conversion,
    limits: &AudioLimits,
) -> Result<Converted, ClipRefusal> {
    let (converted, notes) = caught(|| match conversion {
        Conversion::Off => Err(ClipRefusal::UnsupportedFormat { detected: media.full_type() }),
        _ if media.codec == Codec::Opus => remuxed(clip, media, limits),
        Conversion::OggOpus { bits_per_second } => {
            let (speech, notes) = speech(clip, media, limits, true)?;
            Ok((speech_file::ogg_opus(&speech.finish(), bits_per_second)?, notes))
        }
        Conversion::Wav => {
            let (speech, notes) = speech(clip, media, limits, true)?;
            Ok((speech_file::wav(&speech.finish()), notes))
        }
    })?;
    judged(converted, media, notes, limits)
}

/// What [`convert`] would say of a clip, for those who do not want the outcome: everything is
/// decoded, nothing is coded anew. The duration is that of what would be delivered.
pub fn prove(clip: &[u8], media: &Media, limits: &AudioLimits) -> Result<Media, ClipRefusal> {
    let (played_ms, notes) = caught(|| {
        if media.codec == Codec::Opus {
            let (converted, notes) = remuxed(clip, media, limits)?;
            let converted = judged(converted, media, notes, limits)?;
            return Ok((converted.media.duration_ms, converted.media.notes));
        }
        let (speech, notes) = speech(clip, media, limits, false)?;
        PlaytimeLimit::new(limits).check_whole(speech.played_us())?;
        Ok((milliseconds(speech.played_us()), notes))
    })?;
    Ok(Media { duration_ms: played_ms, notes, ..media.clone() })
}

fn caught<T>(work: impl FnOnce() -> Result<T, ClipRefusal>) -> Result<T, ClipRefusal> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(ClipRefusal::Undecodable { reason: "the decoder crashed on it".into() })
    })
}

/// The last word on a converted clip.
fn judged(
    clip: Vec<u8>,
    source: &Media,
    notes: Vec<Note>,
    limits: &AudioLimits,
) -> Result<Converted, ClipRefusal> {
    // The size was judged as it was sent.
    let limits = AudioLimits { bytes_max: u64::MAX, ..*limits };
    let media = super::judge(&clip, &limits)?;
    let mut media = media.deliverable().ok_or_else(|| ClipRefusal::Undecodable {
        reason: "the converted clip is not what it should be".into(),
    })?;
    media.notes.extend(notes);
    Ok(Converted { clip, media, converted_from: source.full_type() })
}

fn remuxed(
    clip: &[u8],
    media: &Media,
    limits: &AudioLimits,
) -> Result<(Vec<u8>, Vec<Note>), ClipRefusal> {
    let remux = Remux::new(PlaytimeLimit::new(limits), clip.len());
    let (remux, notes) = walked(clip, media, remux)?;
    Ok((remux.finish()?, notes))
}

fn speech(
    clip: &[u8],
    media: &Media,
    limits: &AudioLimits,
    keep: bool,
) -> Result<(Speech, Vec<Note>), ClipRefusal> {
    let limit = PlaytimeLimit::new(limits);
    if media.container == Container::Flac {
        return flac_speech::flac(clip, limit, keep);
    }
    let (aac, notes) = walked(clip, media, AacSpeech::new(limit, keep))?;
    Ok((aac.finish()?, notes))
}

/// Hands the packets of the clip to the sink.
fn walked<S: PacketSink>(
    clip: &[u8],
    media: &Media,
    sink: S,
) -> Result<(S, Vec<Note>), ClipRefusal> {
    if media.container == Container::Webm {
        let mut walk = WebmWalk::new(sink);
        walk.feed(clip)?;
        let notes = walk.finish()?;
        return Ok((walk.sink, notes));
    }
    let mut walk = Mp4Walk::new(sink);
    walk.feed(clip)?;
    let notes = walk.finish(clip)?;
    Ok((walk.sink, notes))
}
