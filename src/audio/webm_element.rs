//! Which elements may stand in a WebM file where the walk looks for one (RFC 9559 §5.1): those of a
//! segment, a cluster or a block group. What else begins like an element is
//! junk that looks like one.

use super::ebml::Element;

pub(super) const EBML: u32 = 0x1A45_DFA3;
pub(super) const SEGMENT: u32 = 0x1853_8067;
pub(super) const CLUSTER: u32 = 0x1F43_B675;
pub(super) const BLOCK_GROUP: u32 = 0xA0;
pub(super) const TRACKS: u32 = 0x1654_AE6B;
pub(super) const SIMPLE_BLOCK: u32 = 0xA3;
pub(super) const BLOCK: u32 = 0xA1;
pub(super) const DISCARD_PADDING: u32 = 0x75A2;

/// The longest element that is read as a whole: the tracks, or a block with several packets.
pub(super) const WHOLE_BYTES_MAX: u64 = 64 * 1024;

/// Whether this is an element of WebM, and not longer than such a one has reason to be. Ids of one
/// byte are a sixteenth of all bytes there are, so junk often begins with one.
pub(super) fn may_stand_here(element: Element) -> bool {
    let bytes_max = match element.id {
        // Segment, cluster, seek head, info, tracks, cues, chapters, attachments, tags, void.
        EBML | SEGMENT | CLUSTER | TRACKS | 0x114D_9B74 | 0x1549_A966 | 0x1C53_BB6B
        | 0x1043_A770 | 0x1941_A469 | 0x1254_C367 | 0xEC => u64::MAX,
        // Blocks, and what may stand beside them: additions, slices, state, silent tracks.
        BLOCK_GROUP | SIMPLE_BLOCK | BLOCK | 0xA2 | 0xAF | 0x75A1 | 0x8E | 0xA4 | 0x5854 | 0xC8 => {
            WHOLE_BYTES_MAX
        }
        // Numbers: time, position, previous size, duration, references, checksum, discard padding.
        DISCARD_PADDING | 0xE7 | 0xA7 | 0xAB | 0x9B | 0xFA | 0xFB | 0xFD | 0xBF => 8,
        _ => 0,
    };
    match element.body_bytes {
        // A length that is left open is refused where it is not possible.
        None => bytes_max > 8,
        Some(bytes) => bytes_max > 0 && bytes <= bytes_max,
    }
}
