//! An MPEG transport stream that passes for MP3: players take one for the other by how often its
//! sync bytes come, and play what it carries, which may last longer than its MP3 headers say.
//!
//! Measured with ffmpeg 5.1, between frames of 960 and of 1,440 bytes: of ten packets of 188, 192
//! or 204 bytes seven make no transport stream, and nine do; eight of 188 bytes at the front are
//! enough, and those that begin only at 5 KiB or behind are none.

/// How far it is looked for.
const REGION_BYTES: u32 = 8 * 1024;
/// Lengths of a packet (ISO/IEC 13818-1; with a time code; with error correction).
const PACKET_BYTES: [u32; 3] = [188, 192, 204];
const PHASES: usize = 188 + 192 + 204;
const SYNC: u32 = 0x47;
/// So many packets of ten are no coincidence, and fewer than players ask for.
const PACKETS: u32 = 6;
const OF_PACKETS: u32 = 10;

/// The look into the first frames of one clip; done where it has no more `marks`.
#[derive(Debug)]
pub(super) struct TransportSearch {
    bytes: u32,
    window: u32,
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
        TransportSearch { bytes: 0, window: 0, marks: Some(Box::new([Marks::default(); PHASES])) }
    }

    /// Takes the next bytes; whether they are those of a transport stream.
    pub(super) fn finds(&mut self, bytes: &[u8]) -> bool {
        let Some(marks) = self.marks.as_mut() else { return false };
        for byte in bytes {
            self.window = self.window << 8 | u32::from(*byte);
            self.bytes += 1;
            if self.window >> 24 == SYNC && is_packet(self.window) {
                let at = self.bytes.wrapping_sub(4);
                if marks_enough(marks, at) {
                    return true;
                }
            }
            if self.bytes == REGION_BYTES {
                self.marks = None;
                return false;
            }
        }
        false
    }
}

/// A null packet, or one with a payload or an adaptation field.
fn is_packet(head: u32) -> bool {
    let id = head >> 8 & 0x1FFF;
    id == 0x1FFF || head & 0x30 != 0
}

fn marks_enough(marks: &mut [Marks; PHASES], at: u32) -> bool {
    let mut rest = &mut marks[..];
    for packet_bytes in PACKET_BYTES {
        let (phases, others) = rest.split_at_mut(packet_bytes as usize);
        rest = others;
        let (phase, packet) = (at % packet_bytes, (at / packet_bytes) as u16);
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
