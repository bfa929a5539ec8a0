//! The description of the tracks in a WebM file, and what stands in front of the packets of a block
//! (RFC 9559 §5.1.4 and §10).

use crate::domain::ClipRefusal;

use super::ebml::{self, Number};
use super::opus;
use super::packets::Coding;
use super::playtime::{corrupted, unsupported};

const TRACK_ENTRY: u32 = 0xAE;
const TRACK_NUMBER: u32 = 0xD7;
const TRACK_TYPE: u32 = 0x83;
const CODEC_ID: u32 = 0x86;
const CODEC_PRIVATE: u32 = 0x63A2;
const CONTENT_ENCODINGS: u32 = 0x6D80;

/// The type of audio tracks.
const AUDIO: u64 = 2;

/// The one audio track of a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebmTrack {
    pub(super) number: u64,
    pub(super) coding: Coding,
}

/// Reads the body of a `Tracks` element. Exactly one track is accepted, and it has to be Opus.
pub(super) fn parse(tracks: &[u8]) -> Result<WebmTrack, ClipRefusal> {
    let mut entries = ebml::children(tracks).filter(|(id, _)| *id == TRACK_ENTRY);
    let Some((_, entry)) = entries.next() else {
        return Err(corrupted("the WebM file describes no track"));
    };
    let field = |wanted| ebml::children(entry).find(|(id, _)| *id == wanted).map(|(_, body)| body);
    let kind = |entry| {
        let found = ebml::children(entry).find(|(id, _)| *id == TRACK_TYPE);
        found.map_or(0, |(_, body)| ebml::unsigned(body))
    };
    if kind(entry) != AUDIO || entries.any(|(_, other)| kind(other) != AUDIO) {
        return Err(unsupported("video/webm (WebM with a track that is not audio)"));
    }
    if ebml::children(tracks).filter(|(id, _)| *id == TRACK_ENTRY).count() > 1 {
        return Err(unsupported("WebM with several audio tracks"));
    }
    if field(CONTENT_ENCODINGS).is_some() {
        return Err(unsupported("WebM with compressed or encrypted packets"));
    }
    match field(CODEC_ID).unwrap_or_default() {
        b"A_OPUS" => {}
        b"A_VORBIS" => return Err(unsupported("audio/webm;codecs=vorbis")),
        b"A_PCM/FLOAT/IEEE" | b"A_PCM/INT/LIT" => {
            return Err(unsupported("audio/webm;codecs=pcm"));
        }
        _ => return Err(unsupported("WebM with an audio codec other than Opus")),
    }
    let head = opus::head_of(field(CODEC_PRIVATE).unwrap_or_default()).map_err(corrupted)?;
    let Some(number) = field(TRACK_NUMBER).map(ebml::unsigned) else {
        return Err(corrupted("the WebM track has no number"));
    };
    Ok(WebmTrack { number, coding: Coding::Opus { head: head.to_vec() } })
}

/// The first bytes of a block: its track, and how its packets are laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHead {
    pub(super) track: u64,
    pub(super) lacing: Lacing,
    pub(super) bytes: usize,
}

/// How several packets share a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lacing {
    None,
    Xiph,
    Fixed,
    Ebml,
}

/// The longest head of a block: eight bytes of track number, two of time, one of flags.
pub(super) const BLOCK_HEAD_BYTES_MAX: usize = 11;

/// Reads the head of a block; `None` when it is not one, or is cut off.
pub(super) fn block_head(block: &[u8]) -> Option<BlockHead> {
    let Number::Whole { value: Some(track), bytes } = ebml::number(block) else { return None };
    let lacing = match block.get(bytes + 2)? >> 1 & 3 {
        0 => Lacing::None,
        1 => Lacing::Xiph,
        2 => Lacing::Fixed,
        _ => Lacing::Ebml,
    };
    Some(BlockHead { track, lacing, bytes: bytes + 3 })
}

/// The packets of a laced block, of which `body` is everything behind the head.
pub(super) fn laced(lacing: Lacing, body: &[u8]) -> Option<Vec<&[u8]>> {
    let (&count, mut rest) = body.split_first()?;
    let count = usize::from(count) + 1;
    let mut sizes = Vec::with_capacity(count);
    match lacing {
        Lacing::None => return None,
        Lacing::Fixed => {
            // Packets of no bytes would be work that nobody sent.
            if rest.len() < count || !rest.len().is_multiple_of(count) {
                return None;
            }
            sizes.resize(count - 1, rest.len() / count);
        }
        Lacing::Xiph => {
            for _ in 1..count {
                let mut size = 0;
                loop {
                    let (&byte, after) = rest.split_first()?;
                    rest = after;
                    size += usize::from(byte);
                    if byte != 255 {
                        break;
                    }
                }
                sizes.push(size);
            }
        }
        Lacing::Ebml => {
            let mut size = 0i64;
            for number in 1..count {
                let Number::Whole { value: Some(value), bytes } = ebml::number(rest) else {
                    return None;
                };
                rest = &rest[bytes..];
                let value = i64::try_from(value).ok()?;
                // The first is a size, each other a difference around the middle of its range.
                let middle = if number == 1 { 0 } else { (1i64 << (7 * bytes - 1)) - 1 };
                size = size.checked_add(value - middle)?;
                sizes.push(usize::try_from(size).ok()?);
            }
        }
    }
    let mut packets = Vec::with_capacity(count);
    for size in sizes {
        let (packet, after) = rest.split_at_checked(size)?;
        packets.push(packet);
        rest = after;
    }
    packets.push(rest);
    Some(packets)
}

#[cfg(test)]
mod tests {
    use super::{Lacing, laced};

    #[test]
    fn laces_share_out_the_whole_block() {
        let xiph = [2, 1, 2, 10, 20, 20, 30, 30, 30];
        let wanted: Vec<&[u8]> = vec![&[10], &[20, 20], &[30, 30, 30]];
        assert_eq!(laced(Lacing::Xiph, &xiph), Some(wanted.clone()));
        let ebml = [2, 0x81, 0xC0, 10, 20, 20, 30, 30, 30];
        assert_eq!(laced(Lacing::Ebml, &ebml), Some(wanted));
        let fixed = [1, 7, 8, 9, 10];
        assert_eq!(laced(Lacing::Fixed, &fixed), Some(vec![&[7, 8][..], &[9, 10]]));
        assert_eq!(laced(Lacing::Fixed, &fixed[..4]), None);
        assert_eq!(laced(Lacing::Fixed, &[255]), None);
        assert_eq!(laced(Lacing::Xiph, &[1, 9, 0]), None);
    }
}
