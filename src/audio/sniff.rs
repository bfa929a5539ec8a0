//! What the first bytes of a clip say it is, and a name for what is not accepted.
//!
//! Only the bytes at their place count: no search, no name, no declared type.

use crate::domain::ClipRefusal;

use super::mpeg::HeaderBytes;
use super::playtime::{corrupted, unsupported};

/// As many bytes as a verdict needs: the longest magic looked for ends here.
pub(super) const HEAD_BYTES: usize = 16;

/// A format that is accepted, or a tag in front of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sniffed {
    Mp3,
    Wav,
    Ogg,
    Webm,
    Mp4,
    Flac,
    /// An ID3v2 tag of so many bytes, header and footer included.
    Id3 {
        tag_bytes: u64,
    },
}

/// Reads the first `HEAD_BYTES` of a clip, or all of a shorter one. Behind an ID3 tag only MP3 is
/// accepted.
pub(super) fn sniff(head: &[u8], behind_id3: bool) -> Result<Sniffed, ClipRefusal> {
    let found = recognise(head)?;
    match found {
        Some(found @ (Sniffed::Mp3 | Sniffed::Id3 { .. })) => Ok(found),
        Some(found) if !behind_id3 => Ok(found),
        Some(Sniffed::Wav) => Err(unsupported("WAV behind an ID3 tag")),
        Some(Sniffed::Ogg) => Err(unsupported("Ogg behind an ID3 tag")),
        Some(Sniffed::Flac) => Err(unsupported("audio/flac behind an ID3 tag")),
        Some(_) => Err(unsupported("WebM or MP4 behind an ID3 tag")),
        None if behind_id3 && head.is_empty() => Err(corrupted("the clip ends behind its ID3 tag")),
        None if behind_id3 => Err(unsupported(format!("{} behind an ID3 tag", name_of(head)))),
        None => Err(unsupported(name_of(head))),
    }
}

fn recognise(head: &[u8]) -> Result<Option<Sniffed>, ClipRefusal> {
    if head.starts_with(b"OggS") {
        return Ok(Some(Sniffed::Ogg));
    }
    if head.starts_with(b"\x1A\x45\xDF\xA3") {
        return Ok(Some(Sniffed::Webm));
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Ok(Some(Sniffed::Mp4));
    }
    if head.starts_with(b"fLaC") {
        return Ok(Some(Sniffed::Flac));
    }
    let is_wave = head.get(8..12).is_none_or(|form| form == b"WAVE");
    if (head.starts_with(b"RIFF") || head.starts_with(b"RF64")) && is_wave {
        return Ok(Some(Sniffed::Wav));
    }
    if head.starts_with(b"ID3") {
        return id3_bytes(head).map(|tag_bytes| Some(Sniffed::Id3 { tag_bytes }));
    }
    let Some(header) = head.first_chunk::<4>() else { return Ok(None) };
    match HeaderBytes::parse(*header) {
        HeaderBytes::Layer3(_) => Ok(Some(Sniffed::Mp3)),
        HeaderBytes::FreeFormat => Err(unsupported("MP3 with a free-format bit rate")),
        HeaderBytes::OtherLayer(_) => Err(unsupported("MPEG audio of layer I or II")),
        HeaderBytes::Adts | HeaderBytes::Other => Ok(None),
    }
}

/// Size of the tag (ID3v2.4 §3.1): ten bytes of header, four times seven bits, perhaps a footer.
fn id3_bytes(head: &[u8]) -> Result<u64, ClipRefusal> {
    let Some(header) = head.first_chunk::<10>() else {
        return Err(corrupted("the clip ends within its ID3 tag"));
    };
    let size = &header[6..];
    if header[3] == 0xFF || header[4] == 0xFF || size.iter().any(|byte| *byte > 0x7F) {
        return Err(corrupted("the header of the ID3 tag makes no sense"));
    }
    let body = size.iter().fold(0, |sum, byte| sum << 7 | u64::from(*byte));
    let footer = if header[5] & 0x10 != 0 { 10 } else { 0 };
    Ok(10 + body + footer)
}

/// Audio and video formats by their first bytes; `infer` knows some of them under other names.
const MEDIA: [(&[u8], &str); 18] = [
    (b"MAC ", "Monkey's Audio"),
    (b"MP+", "Musepack"),
    (b"MPCK", "Musepack"),
    (b"wvpk", "WavPack"),
    (b"TTA1", "True Audio"),
    (b".snd", "audio/basic"),
    (b"caff", "Core Audio Format"),
    (b"#!AMR", "audio/amr"),
    (b"#!SILK", "SILK audio"),
    (b"\x02#!SILK", "SILK audio"),
    (b"MThd", "audio/midi"),
    (b"ADIF", "audio/aac"),
    (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", "Windows Media"),
    (b"RIFX", "WAV in big-endian order (RIFX)"),
    (b"BW64", "WAV as BW64"),
    (b"riff\x2E\x91\xCF\x11", "WAV as Wave64"),
    (b"FLV\x01", "video/x-flv"),
    (b"OpusHead", "Opus without its Ogg pages"),
];

/// A media type or a few words for bytes that are not accepted.
fn name_of(head: &[u8]) -> String {
    if let Some((_, name)) = MEDIA.iter().find(|(magic, _)| head.starts_with(magic)) {
        return (*name).into();
    }
    let form = head.get(8..12);
    if head.starts_with(b"FORM") && matches!(form, Some(b"AIFF" | b"AIFC")) {
        return "audio/aiff".into();
    }
    if head.first_chunk::<4>().is_some_and(|four| HeaderBytes::parse(*four) == HeaderBytes::Adts) {
        return "audio/aac (ADTS)".into();
    }
    // What `infer` calls MPEG audio has been looked at above, more closely.
    if let Some(kind) = infer::get(head).filter(|kind| kind.mime_type() != "audio/mpeg") {
        return kind.mime_type().into();
    }
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..0x7F);
    let name = match head {
        [] => "no bytes",
        [0, ..] if head.iter().all(|byte| *byte == 0) => "zero bytes",
        _ if head.iter().all(is_text) => "text/plain",
        _ => "unknown bytes",
    };
    name.into()
}
