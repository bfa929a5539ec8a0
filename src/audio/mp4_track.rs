//! The `moov` box of an MP4 file: its one audio track, and the tables that say where the packets
//! of an unfragmented file lie (ISO/IEC 14496-12 §8).

use crate::domain::ClipRefusal;

use super::aac;
use super::mp4_boxes::{child, children, descend, number_32, versioned};
use super::mp4_edit;
use super::opus;
use super::packets::{AudioTrack, Coding};
use super::playtime::{corrupted, unsupported};

/// The one audio track of a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mp4Track {
    pub(super) id: u32,
    pub(super) audio: AudioTrack,
    /// Ticks of the track's clock in a second.
    pub(super) timescale: u32,
    /// The size of a fragment's packets unless it says otherwise.
    pub(super) default_bytes: u32,
}

/// Reads the body of a `moov` box. Exactly one track is accepted: Opus, or AAC.
pub(super) fn parse(moov: &[u8]) -> Result<Mp4Track, ClipRefusal> {
    let mut audio = None;
    for (_, trak) in children(moov).filter(|(kind, _)| kind == b"trak") {
        let handler = descend(trak, &[b"mdia", b"hdlr"]).and_then(|hdlr| hdlr.get(8..12));
        match handler {
            Some(b"soun") if audio.is_none() => audio = Some(trak),
            Some(b"soun") => return Err(unsupported("MP4 with several audio tracks")),
            Some(b"vide") => return Err(unsupported("video/mp4 (MP4 with a video track)")),
            _ => {}
        }
    }
    let Some(trak) = audio else {
        return Err(unsupported("MP4 without an audio track"));
    };
    let id = child(trak, b"tkhd").and_then(|tkhd| {
        let (_, at) = versioned(tkhd, 4)?;
        let (_, at) = versioned(tkhd, at)?;
        number_32(tkhd, at)
    });
    let timescale = descend(trak, &[b"mdia", b"mdhd"]).and_then(|mdhd| {
        let (_, at) = versioned(mdhd, 4)?;
        let (_, at) = versioned(mdhd, at)?;
        number_32(mdhd, at)
    });
    let (Some(id), Some(timescale)) = (id, timescale.filter(|scale| *scale > 0)) else {
        return Err(corrupted("the MP4 track has no id or no timescale"));
    };
    let coding = coding(trak)?;
    let edit = mp4_edit::read(moov, trak)?;
    let (start_samples, played_samples) = match &coding {
        // Opus has its own word for what is not played, the pre-skip.
        Coding::Opus { .. } => (0, None),
        Coding::Aac(config) => edit.samples(config.sample_rate_hz, timescale),
    };
    let trex = descend(moov, &[b"mvex"]).and_then(|mvex| {
        let mut boxes = children(mvex).filter(|(kind, _)| kind == b"trex");
        boxes.find(|(_, trex)| number_32(trex, 4) == Some(id)).map(|(_, trex)| trex)
    });
    Ok(Mp4Track {
        id,
        audio: AudioTrack { coding, start_samples, played_samples },
        timescale,
        default_bytes: trex.and_then(|trex| number_32(trex, 16)).unwrap_or(0),
    })
}

/// The `stbl` box of the audio track.
pub(super) fn tables(moov: &[u8]) -> Option<&[u8]> {
    let sound = |trak: &[u8]| {
        descend(trak, &[b"mdia", b"hdlr"]).is_some_and(|hdlr| hdlr.get(8..12) == Some(b"soun"))
    };
    let mut tracks = children(moov).filter(|(kind, _)| kind == b"trak");
    let (_, trak) = tracks.find(|(_, trak)| sound(trak))?;
    descend(trak, &[b"mdia", b"minf", b"stbl"])
}

/// Bytes of an audio sample entry in front of its boxes (ISO/IEC 14496-12 §12.2.3).
const ENTRY_BYTES: usize = 28;

fn coding(trak: &[u8]) -> Result<Coding, ClipRefusal> {
    let stsd = descend(trak, &[b"mdia", b"minf", b"stbl", b"stsd"]);
    let entry = stsd.and_then(|stsd| children(stsd.get(8..)?).next());
    let Some((kind, entry)) = entry else {
        return Err(corrupted("the MP4 track does not say how it is coded"));
    };
    // QuickTime's own versions of the entry have more fields.
    let extra = match entry.get(8..10) {
        Some([0, 1]) => 16,
        Some([0, 2]) => 36,
        _ => 0,
    };
    let inside = entry.get(ENTRY_BYTES + extra..).unwrap_or_default();
    match &kind {
        b"Opus" => match child(inside, b"dOps").and_then(opus::head_from_dops) {
            Some(head) => Ok(Coding::Opus { head }),
            None => Err(corrupted("the Opus track of the MP4 file has no configuration")),
        },
        b"mp4a" => {
            let esds = child(inside, b"esds").or_else(|| descend(inside, &[b"wave", b"esds"]));
            let Some(config) = esds.and_then(aac_config) else {
                return Err(corrupted("the AAC track of the MP4 file has no configuration"));
            };
            let config = config.map_err(unsupported)?;
            aac::parse(config).map(Coding::Aac).map_err(unsupported)
        }
        b"alac" => Err(unsupported("audio/mp4;codecs=alac")),
        b"fLaC" => Err(unsupported("audio/mp4;codecs=flac")),
        b"enca" => Err(unsupported("MP4 with encrypted audio")),
        _ => Err(unsupported("MP4 with an audio codec other than Opus and AAC")),
    }
}

/// The AudioSpecificConfig in an `esds` box (ISO/IEC 14496-1 §7.2.6): descriptors in descriptors,
/// each with a tag and a size of up to four bytes.
fn aac_config(esds: &[u8]) -> Option<Result<&[u8], &'static str>> {
    let (tag, stream) = descriptor(esds.get(4..)?)?;
    let flags = *stream.get(2)?;
    let optional = if flags & 0x80 != 0 { 2 } else { 0 };
    let url = if flags & 0x40 != 0 { 1 + usize::from(*stream.get(3 + optional)?) } else { 0 };
    let clock = if flags & 0x20 != 0 { 2 } else { 0 };
    let inside = stream.get(3 + optional + url + clock..)?;
    let (decoder_tag, decoder) = descriptor(inside)?;
    if tag != 3 || decoder_tag != 4 {
        return None;
    }
    match decoder.first()? {
        0x40 | 0x66..=0x68 => {}
        0x69 | 0x6B => return Some(Err("audio/mp4 with MP3 inside")),
        _ => return Some(Err("MP4 with an audio codec other than Opus and AAC")),
    }
    let (specific_tag, config) = descriptor(decoder.get(13..)?)?;
    (specific_tag == 5).then_some(Ok(config))
}

fn descriptor(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (&tag, mut rest) = bytes.split_first()?;
    let mut size = 0;
    for _ in 0..4 {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        size = size << 7 | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some((tag, rest.get(..size).unwrap_or(rest)))
}

/// `ticks` of a clock of `from_hz` in ticks of one of `to_hz`, rounded to the nearest.
pub(super) fn rescale(ticks: u64, to_hz: u32, from_hz: u32) -> Option<u64> {
    let from_hz = u64::from(from_hz);
    let scaled = ticks.checked_mul(u64::from(to_hz))?.checked_add(from_hz / 2)?;
    scaled.checked_div(from_hz)
}
