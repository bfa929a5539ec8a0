//! An MPEG transport stream that passes for MP3: players take one for the other by how often its
//! sync bytes come, and play what it carries, which may last longer than its MP3 headers say.
//!
//! Measured with ffmpeg 5.1, between frames of 960 and of 1,440 bytes: of ten packets of 188, 192
//! or 204 bytes seven make no transport stream, and nine do; eight of 188 bytes at the front are
//! enough, and those that begin only at 5 KiB or behind are none.

use super::heads::Heads;

/// How far it is looked for.
const REGION_BYTES: usize = 8 * 1024;
/// Lengths of a packet (ISO/IEC 13818-1; with a time code; with error correction).
const PACKET_BYTES: [u64; 3] = [188, 192, 204];
const PHASES: usize = 188 + 192 + 204;
const SYNC: u8 = 0x47;
/// So many packets of ten are no coincidence, and fewer than players ask for.
const PACKETS: u32 = 6;
const OF_PACKETS: u32 = 10;

/// The look into the first frames of one clip; done where it has no more `marks`.
#[derive(Debug)]
pub(super) struct TransportSearch {
    heads: Heads,
    bytes_left: usize,
    marks: Option<Box<[Marks; PHASES]>>,
}

/// Which of the last packets at one phase began with a sync byte.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    packet: u16,
    seen: u16,
}

impl TransportSearch {
    pub(super) fn new() -> TransportSearch {
        let marks = Some(Box::new([Marks::default(); PHASES]));
        TransportSearch { heads: Heads::new(SYNC), bytes_left: REGION_BYTES, marks }
    }

    /// Takes the next bytes; whether they are those of a transport stream.
    pub(super) fn finds(&mut self, bytes: &[u8]) -> bool {
        let Some(marks) = self.marks.as_mut() else { return false };
        let bytes = &bytes[..bytes.len().min(self.bytes_left)];
        self.bytes_left -= bytes.len();
        let found =
            self.heads.any(bytes, |ended, head| is_packet(head) && marks_enough(marks, ended));
        if self.bytes_left == 0 {
            self.marks = None;
        }
        found
    }
}

/// A null packet, or one with a payload or an adaptation field.
fn is_packet(head: [u8; 4]) -> bool {
    let id = u16::from_be_bytes([head[1], head[2]]) & 0x1FFF;
    id == 0x1FFF || head[3] & 0x30 != 0
}

fn marks_enough(marks: &mut [Marks; PHASES], ended: u64) -> bool {
    let mut rest = &mut marks[..];
    for packet_bytes in PACKET_BYTES {
        let (phases, others) = rest.split_at_mut(packet_bytes as usize);
        rest = others;
        let (phase, packet) = (ended % packet_bytes, (ended / packet_bytes) as u16);
        let Some(marks) = phases.get_mut(phase as usize) else { continue };
        let apart = u32::from(packet - marks.packet);
        let seen = if apart < OF_PACKETS { marks.seen << apart } else { 0 };
        *marks = Marks { packet, seen: (seen | 1) & ((1 << OF_PACKETS) - 1) };
        if marks.seen.count_ones() >= PACKETS {
            return true;
        }
    }
    false
}
